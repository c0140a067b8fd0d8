"""The gateway's build: where it lies, and how Deno is told to run it. Does not start anything."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aitwin
from aitwin.errors import TwinError

PORT = 8787
COMPLETE = "main.js"
"""The build writes it last."""
OWN = ("PORT", "TWIN_UPSTREAM", "TWIN_TOKEN")
"""Variables that are set here; what else the gateway may see is the owner's to set."""


@dataclass(frozen=True)
class Upstream:
    """Where the API listens: a Unix socket, or a port of loopback."""

    socket: Path | None = None
    port: int = 0

    def __str__(self) -> str:
        """As the gateway reads it."""
        return f"unix:{self.socket}" if self.socket else f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Launch:
    """How to start it."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)


def find() -> Path:
    """The directory of the build: in the package, or beside it in a clone.

    Raises TwinError when it is in neither.
    """
    package = Path(aitwin.__file__).parent
    clone = package.parent.parent / "gateway"
    for place in (package / "gateway", clone / "build"):
        if (place / COMPLETE).is_file():
            return place
    if (clone / "deno.json").is_file():
        raise TwinError(f"the gateway is not built yet; run `make gateway` in {clone.parent}")
    raise TwinError(
        "this installation has no gateway; install a wheel that `make wheel` made of a clone, or "
        "serve the API alone: twin serve --no-gateway"
    )


def deno() -> str:
    """The program that runs it. Raises TwinError when it is not there."""
    try:
        from deno import find_deno_bin
    except ModuleNotFoundError:
        found = shutil.which("deno")
    else:
        try:
            return str(find_deno_bin())
        except FileNotFoundError:
            found = shutil.which("deno")
    if found is None:
        raise TwinError(
            "Deno, which runs the gateway, is missing; run: pip install 'aitwin[serve]'"
        )
    return found


def permitted(build: Path) -> frozenset[str]:
    """Names of the variables that the gateway may see, but for those that are set here."""
    found = re.search(r'"--allow-env=([\w,]+)"', _launch_file(build))
    return frozenset(found[1].split(",") if found else ()) - frozenset(OWN)


@dataclass(frozen=True)
class Plan:
    """What the gateway is told."""

    port: int
    upstream: Upstream
    credential: str = field(repr=False)
    cache: Path
    """Where Deno may keep compiled code."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The owner's, by the names that `permitted` gives."""


def launch(build: Path, plan: Plan, *, leashed: bool = True) -> Launch:
    """How Deno is to run the build: everything is denied but what it needs.

    Leashed, it ends when its standard input does, which is when whoever started it does.
    """
    kind = "unix" if plan.upstream.socket else "tcp"
    lists = json.loads(_launch_file(build))
    keys = plan.settings.get("TWIN_ACCESS_KEYS", "")
    *flags, main = lists[kind]
    values = {
        "build": str(build),
        "port": str(plan.port),
        "upstream": f"127.0.0.1:{plan.upstream.port}",
        "socket": str(plan.upstream.socket),
        "keys": keys,
    }
    if keys:
        flags += lists["keys"]
    filled = [re.sub(r"\{(\w+)\}", lambda found: values[found[1]], one) for one in (*flags, main)]
    # Deno splits lists at commas: such a path would allow something else.
    if unfit := [path for path in (str(build), values["socket"], keys) if "," in path]:
        raise TwinError(f"{unfit[0]}: Deno takes no path with a comma; choose another place")
    return Launch(
        (deno(), *filled, *(("--end-with-stdin",) if leashed else ())),
        {
            **plan.settings,
            "PORT": str(plan.port),
            "TWIN_UPSTREAM": str(plan.upstream),
            "TWIN_TOKEN": plan.credential,
            "DENO_DIR": str(plan.cache),
            "DENO_NO_UPDATE_CHECK": "1",
            "NO_COLOR": "1",
        },
    )


def _launch_file(build: Path) -> str:
    try:
        return (build / "launch.json").read_text("utf-8")
    except OSError as error:
        raise TwinError(
            f"the gateway's build at {build} is incomplete ({error.strerror}); build it anew"
        ) from None
