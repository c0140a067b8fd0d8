"""`twin services run NAME`: what a service manager starts, and what becomes the service.

launchd has no order, and tmux neither, so it waits here for what its service comes after; it takes
the secrets from files of the owner's, so that no definition holds one; and it slows a service down
that dies again and again. Then it is replaced by the service (exec): the manager watches, and
ends, that itself.
"""

import fcntl
import json
import os
import resource
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import logs, serving, units
from aitwin.services.supervisor import Pace
from aitwin.services.units import Start, Unit

WAIT = 120.0
"""Seconds for each service that it comes after; then the manager starts it again."""
_LOOK = 0.1


@dataclass(frozen=True)
class Deaths:
    """How a service has fared."""

    started: float
    """Wall clock, at its last start."""
    in_a_row: int
    """Starts none of which came after a proven run."""


def run(unit: Unit, wait: float = WAIT) -> NoReturn:
    """Become the service. Raises TwinError when it cannot be started, or what is before it is not.

    In the background: what it says goes to its log.
    """
    os.umask(0o077)
    logs.take_over(unit.log)
    _limit(unit)
    time.sleep(pause(unit))
    _say(f"{unit.title} starts")
    _await(unit, wait)
    if unit.name == "api":
        _claim(unit)
        credential = _made(unit.home)
    else:
        credential = _known(unit.home) if unit.name == "gateway" else ""
    launch = unit.launch(Start(credential))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; a service need not
        signal.signal(number, signal.SIG_DFL)
    os.execve(launch.command[0], launch.command, dict(launch.environment))  # noqa: S606


def pause(unit: Unit, pace: Pace | None = None, now: Callable[[], float] = time.time) -> float:
    """Seconds to wait before this start; counts it.

    None at the first death: whoever starts it again has let it have its pause. Then twice as long
    after each, for as long as it never runs for long.
    """
    pace = pace or Pace()
    file = _record(unit)
    moment = now()
    try:
        before = Deaths(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        before = Deaths(0.0, 0)
    # A clock that was set back says nothing.
    quick = 0 <= moment - before.started < pace.proven
    deaths = before.in_a_row + 1 if quick else 0
    artifact.write_private(file, json.dumps(asdict(Deaths(moment, deaths))))
    return min(pace.again * 2 ** (deaths - 2), pace.longest) if deaths > 1 else 0.0


def forget(place: Home, *, credential: bool) -> None:
    """Let the next start be a first one; `credential`: with a new one, as nothing runs now."""
    for file in _directory(place).glob("*.json"):
        file.unlink(missing_ok=True)
    if credential:
        _secret(place).unlink(missing_ok=True)


def _await(unit: Unit, seconds: float) -> None:
    all_units = units.table(unit.home, unit.choice)
    for name in unit.after:
        before = units.find(all_units, name)
        until = time.monotonic() + seconds
        while not before.healthy():
            if time.monotonic() > until:
                raise TwinError(
                    f"{unit.title} waits for {before.title}, which has not answered for "
                    f"{seconds:.0f} s; see: twin services logs {before.name}"
                )
            time.sleep(_LOOK)


def _claim(unit: Unit) -> None:
    """Say where the twin is served; the claim ends with the service, however that ends.

    Raises TwinError when `twin serve` serves it.
    """
    directory = artifact.make_private_dir(unit.home.open().run / "serving")
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TwinError("the twin is served already by `twin serve`; end that") from None
    # Held by the open file, which the service inherits, and hands on to nobody.
    os.set_inheritable(handle, True)
    upstream = units.upstream_of(unit.home, unit.choice)
    serving.announce(
        directory, serving.Address(unit.choice.page, str(upstream), os.getpid(), "services")
    )


def _made(place: Home) -> str:
    """The credential of this run of the stack: made by whichever API comes first.

    An API that is started again takes the one that its gateway has.
    """
    file = _secret(place)
    if not file.exists():
        artifact.write_private(file, secrets.token_urlsafe(32))
    return file.read_text()


def _known(place: Home) -> str:
    try:
        return _secret(place).read_text()
    except FileNotFoundError:
        raise TwinError("the API that answers is none of the services; end `twin serve`") from None


def _limit(unit: Unit) -> None:
    """No dump of what was in memory, and enough open files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = unit.files if hard == resource.RLIM_INFINITY else min(unit.files, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _directory(place: Home) -> Path:
    return place.run / "services"


def _record(unit: Unit) -> Path:
    return _directory(unit.home) / f"{unit.name}.json"


def _secret(place: Home) -> Path:
    return _directory(place) / "credential"


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stderr.write(f"{stamp} twin: {text}\n")
    sys.stderr.flush()
