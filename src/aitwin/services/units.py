"""The one table of the twin's services: what runs, after what, how it is known to be well.

`twin serve` runs the API and the gateway of this table as its children; launchd, systemd and tmux
run all of it, each service as `twin services run NAME`, which waits for what it comes after (see
running). Starts nothing, and writes nothing.
"""

import contextlib
import hashlib
import http.client
import json
import os
import socket
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import aitwin
from aitwin import home
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import commands, gateway, remote, sandbox, tunnel
from aitwin.services.gateway import Launch, Plan, Upstream
from aitwin.style import ollama

LOOPBACK = "127.0.0.1"
NAMESPACE = "org.aitwin"
Name = Literal["ollama", "api", "gateway", "tunnel", "keeper"]
NAMES: tuple[Name, ...] = get_args(Name)
ProcessType = Literal["Interactive", "Standard", "Background"]

_HOST = "twin.invalid"
"""Host of a request over the socket: nobody can have that name (RFC 6761)."""
_LONGEST_SOCKET = 99
"""Bytes of its path: 104 on macOS, less what the API needs to put it there in one go."""
_JOBS = 30.0
"""Seconds for the API to end in: ten for requests, then its jobs save what they can go on from."""
_ANSWER = 2.0
"""Seconds for an answer to the question whether a service is well."""
OLLAMA = {
    "OLLAMA_HOST": "127.0.0.1:11434",
    "OLLAMA_NO_CLOUD": "1",
    "OLLAMA_KEEP_ALIVE": "30m",
    "OLLAMA_FLASH_ATTENTION": "1",
}
"""Loopback alone, no computer of others, the model kept, attention in less memory (O3, W4)."""


@dataclass(frozen=True)
class Choice:
    """How the owner wants to be served."""

    port: int = gateway.PORT
    """The gateway's; 0 for a free one."""
    api: Literal["unix", "tcp"] = "unix"
    api_port: int = 0
    """Where the API listens with `tcp`; 0 for a free one."""
    with_gateway: bool = True
    adapter: str = ""

    @property
    def page(self) -> str:
        """The page's address; empty where the API is served alone."""
        return f"http://{LOOPBACK}:{self.port}" if self.with_gateway else ""


@dataclass(frozen=True)
class Start:
    """What a service is told at its start, and its definition may not hold."""

    credential: str = field(default="", repr=False)
    """That the gateway shows to the API."""
    leashed: bool = False
    """Whether it is to end when its standard input does: with who started it."""


@dataclass(frozen=True)
class Unit:
    """A service."""

    name: Name
    title: str
    """As the owner is told of it: "the API"."""
    home: Home
    choice: Choice
    launch: Callable[[Start], Launch] = field(repr=False)
    """What it is in the end. Raises TwinError when it cannot be started."""
    healthy: Callable[[], bool] = field(repr=False)
    """Whether it answers."""
    after: tuple[Name, ...] = ()
    """What is well before it starts."""
    process_type: ProcessType = "Interactive"
    """launchd's: on Apple silicon what is in the background runs on the slow cores."""
    keep_alive: bool = True
    throttle: int = 1
    """Seconds between two starts that launchd keeps at least; its own default is ten."""
    files: int = 4096
    """Most that it may have open; macOS gives 256, which uploads and models use up."""
    drain: float = 12.0
    """Seconds that it gets to end in."""
    settings: str = ""
    """Digest of what it reads from twin.toml at its start: another one is a change of it."""

    @property
    def label(self) -> str:
        """Its name for a manager that knows all services of a user: "org.aitwin.api"."""
        return f"{prefix(self.home)}.{self.name}"

    @property
    def program(self) -> tuple[str, ...]:
        """What a manager runs: program and arguments, no secret among them."""
        chosen, usual = self.choice, Choice()
        options: list[str] = []
        for option, value, default in (
            ("--port", chosen.port, usual.port),
            ("--api", chosen.api, usual.api),
            ("--api-port", chosen.api_port, usual.api_port),
            ("--adapter", chosen.adapter, usual.adapter),
        ):
            if value != default:
                options += [option, str(value)]
        if not chosen.with_gateway:
            options.append("--no-gateway")
        return (sys.executable, "-m", "aitwin", "services", "run", self.name, *options)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a manager gives it: no secret."""
        own = str(Path(sys.executable).parent)
        return {
            "TWIN_HOME": str(self.home.root),
            # Ollama does not start without; a daemon of launchd has none.
            "HOME": str(Path.home()),
            "PATH": os.pathsep.join((own, *commands.PLACES)),
            # So that an update is a change, and what is new is what runs.
            "TWIN_VERSION": aitwin.__version__,
            **({"TWIN_SETTINGS": self.settings} if self.settings else {}),
            # Where Ollama's models are, and where Python finds a twin that is not installed.
            **home.told(("OLLAMA_MODELS", "PYTHONPATH")),
        }

    @property
    def log(self) -> Path:
        """What it says about itself; no content."""
        return logs(self.home) / f"{self.name}.log"


def table(place: Home, choice: Choice) -> tuple[Unit, ...]:
    """The services of a home, in the order in which they start; ports must be given.

    Without the gateway where it is not wanted, Ollama where it does not write, the tunnel where
    none is set up. Raises TwinError when the socket's path is of no use.
    """
    upstream = upstream_of(place, choice)
    made: list[Unit] = []
    if (url := _ollama_url(place)) is not None:
        made.append(_ollama(place, choice, url))
    made.append(_api(place, choice, upstream))
    if choice.with_gateway:
        made.append(_gateway(place, choice, upstream))
        if tunnel.config_file(place).is_file():
            made.append(_tunnel(place, choice))
    made.append(_keeper(place, choice))
    names = {unit.name for unit in made}
    return tuple(
        replace(unit, after=tuple(name for name in unit.after if name in names)) for unit in made
    )


def find(units: tuple[Unit, ...], name: str) -> Unit:
    """The service of that name. Raises TwinError when this home has none."""
    for unit in units:
        if unit.name == name:
            return unit
    known = ", ".join(unit.name for unit in units)
    raise TwinError(f"this twin has no service {name}; it has: {known}")


def prefix(place: Home) -> str:
    """What the labels of a home's services begin with: no two homes get into each other's way."""
    if place.root == Path.home() / ".aitwin":
        return NAMESPACE
    return f"{NAMESPACE}.{hashlib.sha256(os.fsencode(place.root)).hexdigest()[:8]}"


def logs(place: Home) -> Path:
    """Where the services' logs lie."""
    return place.root / "logs" / "services"


def upstream_of(place: Home, choice: Choice) -> Upstream:
    """Where the API listens. Raises TwinError when that cannot be the path of a socket."""
    if choice.api == "tcp":
        return Upstream(port=choice.api_port)
    path = place.api_socket
    # Deno splits its list of permissions at commas; the system has its own limit.
    if "," in str(path) or len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise TwinError(
            f"{path} cannot be the name of a socket (at most {_LONGEST_SOCKET} bytes, no comma); "
            "set TWIN_HOME to a shorter path, or use a port: twin serve --api tcp"
        )
    return Upstream(socket=path)


# --- The table ------------------------------------------------------------------------------------


def _api(place: Home, choice: Choice, upstream: Upstream) -> Unit:
    def launch(start: Start) -> Launch:
        where = ("--socket", str(upstream.socket)) if upstream.socket else ()
        where = where or ("--port", str(upstream.port))
        options = ["--adapter", choice.adapter, "--gateway", choice.page]
        if start.leashed:
            options.append("--end-with-stdin")
        return Launch(
            sandbox.confined((sys.executable, "-m", "aitwin.server", *where, *options)),
            home.for_children(TWIN_HOME=str(place.root), **{home.CREDENTIAL: start.credential}),
        )

    def healthy() -> bool:
        if upstream.socket:
            return answers_at(upstream.socket)
        return answers(upstream.port, "/health")

    return Unit(
        "api",
        "the API",
        place,
        choice,
        launch=launch,
        healthy=healthy,
        after=("ollama",),
        drain=_JOBS,
    )


def _gateway(place: Home, choice: Choice, upstream: Upstream) -> Unit:
    def launch(start: Start) -> Launch:
        build = gateway.find()
        settings = remote.environment(place, gateway.permitted(build))
        plan = Plan(choice.port, upstream, start.credential, place.run / "deno", settings)
        launch = gateway.launch(build, plan, leashed=start.leashed)
        return replace(launch, command=sandbox.confined(launch.command))

    return Unit(
        "gateway",
        "the gateway",
        place,
        choice,
        launch=launch,
        # A page, or the way to one; never an error, which a build that is gone gives for ever.
        healthy=lambda: answers(choice.port, well=(http.client.OK, http.client.SEE_OTHER)),
        after=("api",),
        settings=_remote_settings(place),
    )


def _remote_settings(place: Home) -> str:
    """Digest of [remote] of twin.toml; empty where nobody comes in from elsewhere."""
    try:
        chosen = place.remote_settings()
    except TwinError:
        return ""  # the gateway then knows no name but loopback's
    stated = json.dumps(asdict(chosen), sort_keys=True)
    return hashlib.sha256(stated.encode()).hexdigest()[:16] if chosen.way else ""


def _ollama_url(place: Home) -> str | None:
    """Where Ollama is to listen; None where it does not write, or nobody can tell."""
    try:
        writer = place.settings().writer
    except TwinError:
        return None  # the page says what is wrong with twin.toml; it is to open
    return writer.url or ollama.URL if writer.engine == "ollama" else None


def _ollama(place: Home, choice: Choice, url: str) -> Unit:
    def healthy() -> bool:
        try:
            ollama.Ollama(url, patience=_ANSWER).version()
        except TwinError:
            return False
        return True

    def launch(start: Start) -> Launch:
        if url != ollama.URL:
            raise TwinError(
                f"writer.url of {place.settings_file} is not {ollama.URL}, where the service "
                "Ollama listens; take it out, or start your Ollama yourself"
            )
        program = commands.find("ollama")
        if program is None:
            raise TwinError("Ollama is not installed; install it, or take another writer.engine")
        if healthy():
            raise TwinError("an Ollama that is not this service runs already (its app?); quit it")
        return Launch((str(program), "serve"), home.for_children(**OLLAMA))

    return Unit("ollama", "Ollama", place, choice, launch, healthy)


def _tunnel(place: Home, choice: Choice) -> Unit:
    def launch(start: Start) -> Launch:
        # TUNNEL_TOKEN would make it another tunnel, whose rules stand in a dashboard.
        kept = {
            name: value
            for name, value in home.for_children().items()
            if not name.startswith(("TUNNEL_", "TWIN_"))
        }
        return Launch(tunnel.command(place), {**kept, **tunnel.ENVIRONMENT})

    return Unit(
        "tunnel",
        "the tunnel",
        place,
        choice,
        launch=launch,
        # 200 once it is connected, else 503 (cloudflared's metrics/readiness.go).
        healthy=lambda: answers(tunnel.METRICS_PORT, "/ready"),
        after=("gateway",),
        process_type="Standard",
        drain=35.0,  # it waits 30 s for requests that are under way
    )


def _keeper(place: Home, choice: Choice) -> Unit:
    def launch(start: Start) -> Launch:
        return Launch(
            (sys.executable, "-m", "aitwin.services.keeper"),
            home.for_children(TWIN_HOME=str(place.root)),
        )

    return Unit(
        "keeper",
        "the keeper of the logs and the vault",
        place,
        choice,
        launch=launch,
        healthy=lambda: True,  # nobody asks it for anything
        process_type="Background",
        settings=_remote_settings(place),  # whose keys it fetches
    )


# --- Whether something answers --------------------------------------------------------------------


def answers(port: int, path: str = "/login", *, well: Container[int] = (http.client.OK,)) -> bool:
    """Whether something speaks HTTP there, and is well."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status in well
        except (OSError, http.client.HTTPException):
            return False


def answers_at(path: Path) -> bool:
    """Whether the API is well, behind its socket."""
    connection = http.client.HTTPConnection(_HOST, timeout=_ANSWER)
    with socket.socket(socket.AF_UNIX) as reached, contextlib.closing(connection):
        reached.settimeout(_ANSWER)
        try:
            reached.connect(str(path))
            connection.sock = reached
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
