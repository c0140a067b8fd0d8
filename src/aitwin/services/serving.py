"""What `twin serve` runs: the API and the gateway, one of each for a home, and where they listen.

Does not start them (see supervisor), and does not print.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import gateway, units
from aitwin.services.supervisor import Child
from aitwin.services.units import LOOPBACK, Choice, Start

_ADDRESS, _CREDENTIAL = "address.json", "credential"


@dataclass(frozen=True)
class Address:
    """Where a twin is served, and by which process."""

    page: str
    """"http://127.0.0.1:8787"; empty where the API is served alone."""
    api: str
    process: int
    by: str = "twin serve"
    """What keeps it running: that, or the services."""


@dataclass(frozen=True)
class Line:
    """What is to be run."""

    address: Address
    children: tuple[Child, ...] = field(repr=False)


@contextmanager
def alone(place: Home) -> Iterator[Path]:
    """Keep a second `twin serve` of the same home out; yields the directory of the one that runs.

    Raises TwinError when one runs already.
    """
    directory = artifact.make_private_dir(place.open().run / "serving")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(artifact.holding(directory, wait=False))
        except BlockingIOError:
            served = running(place)
            where = f" at {served.page or served.api} (process {served.process})" if served else ""
            ends = (
                "`twin services stop`" if served and served.by != "twin serve" else "Ctrl-C there"
            )
            raise TwinError(
                f"the twin is served already{where}; `twin login` opens its page, {ends} ends it"
            ) from None
        yield directory


@contextmanager
def announced(directory: Path, address: Address) -> Iterator[None]:
    """Let other commands know where the twin is, for as long as the block runs."""
    announce(directory, address)
    try:
        yield
    finally:
        (directory / _ADDRESS).unlink(missing_ok=True)


def announce(directory: Path, address: Address) -> None:
    """Let other commands know where the twin is, while this process holds the directory."""
    artifact.write_private(directory / _ADDRESS, json.dumps(asdict(address)) + "\n")


@contextmanager
def lent(directory: Path, credential: str) -> Iterator[Path]:
    """A file with the credential, while the API is served without its gateway."""
    file = directory / _CREDENTIAL
    artifact.write_private(file, credential)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def running(place: Home) -> Address | None:
    """Where the twin of a home is served now; None when it is not, or is only starting."""
    directory = place.run / "serving"
    if not directory.is_dir():
        return None
    try:
        with artifact.holding(directory, wait=False):
            return None  # whoever left an address behind was killed
    except BlockingIOError:
        pass
    try:
        return Address(**json.loads((directory / _ADDRESS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def plan(place: Home, choice: Choice, credential: str) -> Line:
    """What to run for a choice.

    Before anything is started, raises TwinError when a port is taken or the gateway is not there,
    and ModuleNotFoundError when a package is not.
    """
    from aitwin.services.doctor import PARTS  # which looks at what is served

    for module in PARTS["serving"]:
        # Deno may come from elsewhere, and the API alone does without: see gateway.deno.
        if module != "deno" and find_spec(module) is None:
            # As an import does in the child, whose owner would see a traceback.
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    if choice.with_gateway:
        gateway.find()
        choice = replace(choice, port=_usable(choice.port, "--port"))
    if choice.api == "tcp":
        choice = replace(choice, api_port=_usable(choice.api_port, "--api-port"))
    start = Start(credential, leashed=True)
    children = [
        Child(unit.title, launch.command, launch.environment, unit.healthy, unit.drain)
        for unit in units.table(place, choice)
        if unit.name in ("api", "gateway")
        for launch in (unit.launch(start),)
    ]
    address = Address(choice.page, str(units.upstream_of(place, choice)), os.getpid())
    return Line(address, tuple(children))


def _usable(port: int, option: str) -> int:
    """The port, or a free one for 0. Raises TwinError when another program has it."""
    with socket.socket() as bound:
        # As those who will listen do: what was closed a minute ago is no hindrance.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((LOOPBACK, port))
            bound.listen()
        except OSError as error:
            raise TwinError(
                f"port {port} on {LOOPBACK} cannot be used ({error.strerror}); stop the other "
                f"program, or choose another with `twin serve {option}`"
            ) from None
        return int(bound.getsockname()[1])
