"""macOS: agents of the owner, or daemons that run as the owner before anybody logs in (O1, O4).

Keys are those of launchd.plist(5), commands those of launchctl(1). What `launchctl print` says is
no API, by its own words; of it, process and last exit code are read, as Homebrew does, and the
variants that must be understood stand in tests/services/test_launchd.py.
"""

import os
import plistlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import units
from aitwin.services.commands import Commands, Done
from aitwin.services.manager import LOOK, Doing, Kind, said
from aitwin.services.units import Name, Unit

AGENTS = Path("Library/LaunchAgents")
DAEMONS = Path("/Library/LaunchDaemons")
_NO_SERVICE = 113
"""`launchctl print` of what is not loaded: "Could not find service"."""
_GONE = frozenset({0, 3, _NO_SERVICE})
"""`launchctl bootout`: done, or "No such process"."""
_UNDER_WAY = 36
"""`launchctl bootout`, "Operation now in progress": the service takes its time to end."""
_LOADED = frozenset({37})
"""`launchctl bootstrap`, "Operation already in progress"."""
_BUSY = 5
"""`launchctl bootstrap`, "Input/output error": also while the one before is still being let go."""
_PATIENCE = 15.0
"""Seconds for that."""
_GRACE = 5.0
"""Seconds for launchd itself, besides what the service takes."""


@dataclass(frozen=True)
class Launchd:
    """The launchd of this Mac, for the services of a home."""

    home: Home
    commands: Commands = field(repr=False)
    at_boot: bool = False
    """As daemons: administrator rights to install them, no login to start them."""
    own: Path = field(default_factory=Path.home)
    user: int = field(default_factory=os.getuid)
    name_of_user: str = ""
    patience: float = _PATIENCE

    @property
    def kind(self) -> Kind:
        """See Manager."""
        return "launchd"

    @property
    def domain(self) -> str:
        """Of the owner's session at the screen, or of the system."""
        return "system" if self.at_boot else f"gui/{self.user}"

    def require(self) -> None:
        """See Manager."""
        done = self._asked("print", self.domain)
        if done.missing:
            raise TwinError("launchd is a part of macOS; here use --with systemd or --with tmux")
        if not done.ok:
            raise TwinError(
                "you are not logged in at this Mac's screen, where agents run; log in there once, "
                "or let the services run without: twin services install --at-boot"
            )

    def file(self, name: Name) -> Path:
        """See Manager."""
        directory = DAEMONS if self.at_boot else self.own / AGENTS
        return directory / f"{self._label(name)}.plist"

    def render(self, unit: Unit) -> bytes:
        """See Manager."""
        keys = properties(unit, self.name_of_user if self.at_boot else "")
        if wrong := faults(keys):
            raise TwinError(f"the definition of {unit.title} is no good: {'; '.join(wrong)}")
        return plistlib.dumps(keys, sort_keys=True)

    def write(self, unit: Unit) -> None:
        """See Manager."""
        file = self.file(unit.name)
        if not self.at_boot:
            artifact.write_private(file, self.render(unit))
            self._lint(file)
            return
        # launchd takes a daemon's definition only when it is root's.
        own = self.home.run / "services" / file.name
        artifact.write_private(own, self.render(unit))
        self._lint(own)
        install = ["install", "-o", "root", "-g", "wheel", "-m", "644", str(own), str(file)]
        self._done(self._by_administrator(install), f"{file} could not be written")
        own.unlink()

    def delete(self, name: Name) -> None:
        """See Manager."""
        file = self.file(name)
        if self.at_boot:
            self._done(self._by_administrator(["rm", "-f", str(file)]), f"{file} is still there")
        else:
            file.unlink(missing_ok=True)

    def settle(self) -> None:
        """See Manager: launchd reads a definition when it is loaded."""

    def start(self, unit: Unit) -> None:
        """See Manager."""
        doing = self.doing(unit.name)
        if doing.process:
            return
        if doing.loaded:
            self._done(self._told("kickstart", self._target(unit.name)), _not_started(unit))
            return
        # Somebody may have disabled it; it would be refused with the same error as when it is busy.
        self._told("enable", self._target(unit.name))
        until = time.monotonic() + self.patience
        while True:
            done = self._told("bootstrap", self.domain, str(self.file(unit.name)))
            if done.ok or done.code in _LOADED or self.doing(unit.name).loaded:
                return
            # Right after `bootout`, launchd refuses a definition for a while as if it could not
            # read it (openclaw/openclaw issue 136453, Opendray/opendray pull request 211).
            if done.code != _BUSY or time.monotonic() > until:
                self._done(done, _not_started(unit))
            time.sleep(LOOK * 5)

    def stop(self, name: Name, seconds: float) -> None:
        """See Manager."""
        if not self.doing(name).loaded:
            return
        done = self._told("bootout", self._target(name))
        if done.code not in {*_GONE, _UNDER_WAY}:
            self._done(done, f"{name} could not be stopped")
        # It returns before the service has ended, which launchd kills after ExitTimeOut.
        if not _comes(lambda: not self.doing(name).loaded, seconds + _GRACE):
            self._told("kill", "SIGKILL", self._target(name))
            if not _comes(lambda: not self.doing(name).loaded, _GRACE):
                raise TwinError(f"launchd does not let go of {self._label(name)}; restart this Mac")

    def doing(self, name: Name) -> Doing:
        """See Manager."""
        return of_print(self._asked("print", self._target(name)))

    def _label(self, name: Name) -> str:
        return f"{units.prefix(self.home)}.{name}"

    def _target(self, name: Name) -> str:
        return f"{self.domain}/{self._label(name)}"

    def _asked(self, *words: str) -> Done:
        return self.commands.run(["launchctl", *words])

    def _told(self, *words: str) -> Done:
        if self.at_boot:
            return self._by_administrator(["launchctl", *words])
        return self._asked(*words)

    def _by_administrator(self, command: list[str]) -> Done:
        # sudo asks for the password at the terminal itself.
        return self.commands.run(["sudo", *command], seconds=120.0)

    def _lint(self, file: Path) -> None:
        done = self.commands.run(["plutil", "-lint", str(file)])
        if not done.missing:
            self._done(done, f"{file} is no good")

    def _done(self, done: Done, failed: str) -> None:
        if not done.ok:
            raise TwinError(f"{failed}: {said(done)}")


def properties(unit: Unit, user: str = "") -> dict[str, Any]:
    """The definition of a service; with a user, of a daemon that runs as that one."""
    return {
        "Label": unit.label,
        "ProgramArguments": list(unit.program),
        "EnvironmentVariables": dict(unit.environment),
        "WorkingDirectory": str(unit.home.root),
        "RunAtLoad": True,
        "KeepAlive": unit.keep_alive,
        "ThrottleInterval": unit.throttle,
        "ExitTimeOut": round(unit.drain + _GRACE),
        "ProcessType": unit.process_type,
        "Umask": 0o077,
        # What is printed to stdout may be a secret (a login link); nobody is there to read it.
        "StandardOutPath": os.devnull,
        "StandardErrorPath": str(unit.log),
        "SoftResourceLimits": {"NumberOfFiles": unit.files, "Core": 0},
        "HardResourceLimits": {"Core": 0},
        **({"UserName": user} if user else {}),
    }


def _words(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _path(value: object) -> bool:
    return _words(value) and str(value).startswith("/")


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _map(of: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, dict) and all(_words(key) and of(one) for key, one in value.items())
    )


_SCHEMA: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "Label": (lambda value: bool(re.fullmatch(r"[\w.-]{1,128}", str(value))), "a name with dots"),
    "ProgramArguments": (
        lambda value: (
            isinstance(value, list)
            and bool(value)
            # "" is an argument; the program itself is a path, as launchd has hardly any PATH.
            and _path(value[0])
            and all(isinstance(one, str) for one in value)
        ),
        "a program's path and its arguments",
    ),
    "EnvironmentVariables": (_map(lambda value: isinstance(value, str)), "names and texts"),
    "WorkingDirectory": (_path, "an absolute path"),
    "RunAtLoad": (lambda value: isinstance(value, bool), "true or false"),
    "KeepAlive": (lambda value: isinstance(value, bool), "true or false"),
    "ThrottleInterval": (_whole(1, 3600), "seconds"),
    "ExitTimeOut": (_whole(1, 3600), "seconds"),
    "ProcessType": (
        lambda value: value in ("Background", "Standard", "Adaptive", "Interactive"),
        "one of launchd's four",
    ),
    "Umask": (_whole(0, 0o777), "a mode as a number"),
    "StandardOutPath": (_path, "an absolute path"),
    "StandardErrorPath": (_path, "an absolute path"),
    "SoftResourceLimits": (_map(_whole(0, 1 << 40)), "numbers"),
    "HardResourceLimits": (_map(_whole(0, 1 << 40)), "numbers"),
    "UserName": (_words, "a user's name"),
}
_NEEDED = ("Label", "ProgramArguments")


def faults(keys: Mapping[str, Any]) -> list[str]:
    """What launchd would refuse, or read as nothing, in a definition of ours."""
    unknown = [f"{key} is not a key that we use" for key in keys if key not in _SCHEMA]
    missing = [f"{key} is missing" for key in _NEEDED if key not in keys]
    wrong = [
        f"{key} is not {wanted}"
        for key, (fits, wanted) in _SCHEMA.items()
        if key in keys and not fits(keys[key])
    ]
    return [*unknown, *missing, *wrong]


def of_print(done: Done) -> Doing:
    """From `launchctl print DOMAIN/LABEL`. What is nested may repeat a name, further on."""
    if not done.ok:
        return Doing(loaded=False)
    pid = re.search(r"^\s*pid = (\d+)\s*$", done.out, re.MULTILINE)
    code = re.search(r"^\s*last exit code = (.+?)\s*$", done.out, re.MULTILINE)
    signal = re.search(r"^\s*last terminating signal = (.+?)\s*$", done.out, re.MULTILINE)
    ended = signal or code
    told = ended[1] if ended and ended[1] != "(never exited)" else ""
    return Doing(True, int(pid[1]) if pid else 0, told)


def _comes(true: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK)
    return True


def _not_started(unit: Unit) -> str:
    return f"launchd did not start {unit.title}"
