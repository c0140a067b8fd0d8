"""Linux: units of the owner's own systemd (systemd.service(5), systemctl(1))."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from aitwin import artifact, home
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import units
from aitwin.services.commands import Commands, Done
from aitwin.services.manager import Doing, Kind, said
from aitwin.services.units import Name, Unit

_GRACE = 10.0
"""Seconds for systemd itself, besides what the service takes."""


def _directory() -> Path:
    config = home.told(("XDG_CONFIG_HOME",)).get("XDG_CONFIG_HOME")
    return Path(config or Path.home() / ".config") / "systemd" / "user"


@dataclass(frozen=True)
class Systemd:
    """The systemd of the owner, for the services of a home."""

    home: Home
    commands: Commands = field(repr=False)
    at_boot: bool = False
    """Whether it runs, with all its services, when the owner is not logged in."""
    directory: Path = field(default_factory=_directory)

    @property
    def kind(self) -> Kind:
        """See Manager."""
        return "systemd"

    def require(self) -> None:
        """See Manager."""
        done = self._control("show", "--property=Version")
        if done.missing:
            raise TwinError("systemd is not installed; here use --with tmux")
        if not done.ok:
            raise TwinError(
                f"your own systemd does not run here ({said(done)}); log in as yourself (not by "
                "su or sudo), or use --with tmux"
            )

    def file(self, name: Name) -> Path:
        """See Manager."""
        return self.directory / self._unit(name)

    def render(self, unit: Unit) -> bytes:
        """See Manager."""
        after = [self._unit(name) for name in unit.after]
        lines = [
            "[Unit]",
            f"Description=AI Twin: {unit.title}",
            *([f"After={' '.join(after)}", f"Wants={' '.join(after)}"] if after else []),
            # Never gives up; `twin services run` slows down what dies again and again.
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"ExecStart={' '.join(_quoted(word, program=True) for word in unit.program)}",
            *(f"Environment={_quoted(f'{key}={to}')}" for key, to in unit.environment.items()),
            f"WorkingDirectory={_escaped(str(unit.home.root))}",
            f"Restart={'always' if unit.keep_alive else 'no'}",
            f"RestartSec={unit.throttle}",
            f"TimeoutStopSec={unit.drain:.0f}",
            # Its own children end with it; the API's jobs are first given the time to save.
            "KillMode=mixed",
            "UMask=0077",
            "NoNewPrivileges=yes",
            f"LimitNOFILE={unit.files}",
            "LimitCORE=0",
            "StandardOutput=null",
            f"StandardError=append:{_escaped(str(unit.log))}",
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        ]
        text = "\n".join(lines)
        if "\n" in "".join((*unit.program, *unit.environment.values(), str(unit.log))):
            raise TwinError("a path with a line break cannot be in a unit of systemd; rename it")
        return text.encode()

    def write(self, unit: Unit) -> None:
        """See Manager."""
        artifact.write_private(self.file(unit.name), self.render(unit))

    def delete(self, name: Name) -> None:
        """See Manager."""
        self._control("disable", self._unit(name))
        self.file(name).unlink(missing_ok=True)

    def settle(self) -> None:
        """See Manager."""
        self._done(self._control("daemon-reload"), "systemd did not read its units anew")
        if self.at_boot:
            done = self.commands.run(["loginctl", "enable-linger"])
            self._done(done, "the services cannot run while you are not logged in")

    def start(self, unit: Unit) -> None:
        """See Manager."""
        name = self._unit(unit.name)
        self._done(self._control("enable", name), f"systemd did not take {name}")
        done = self._control("start", name, seconds=unit.drain + _GRACE)
        self._done(done, f"systemd did not start {unit.title}")

    def stop(self, name: Name, seconds: float) -> None:
        """See Manager."""
        if not self.doing(name).loaded:
            return
        # systemd itself ends it by force: TimeoutStopSec.
        done = self._control("stop", self._unit(name), seconds=seconds + _GRACE)
        self._done(done, f"{name} could not be stopped")

    def doing(self, name: Name) -> Doing:
        """See Manager."""
        wanted = "--property=LoadState,ActiveState,MainPID,Result,ExecMainStatus"
        return of_show(self._control("show", self._unit(name), wanted))

    def _unit(self, name: Name) -> str:
        return f"{units.prefix(self.home)}.{name}.service"

    def _control(self, *words: str, seconds: float = 30.0) -> Done:
        return self.commands.run(["systemctl", "--user", *words], seconds=seconds)

    def _done(self, done: Done, failed: str) -> None:
        if not done.ok:
            raise TwinError(f"{failed}: {said(done)}")


def of_show(done: Done) -> Doing:
    """From `systemctl show`: one property to a line."""
    found = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    active = found.get("ActiveState", "")
    if not done.ok or found.get("LoadState") != "loaded":
        return Doing(loaded=False)
    result = found.get("Result", "")
    ended = "" if result in ("", "success") else f"{result}, {found.get('ExecMainStatus', '?')}"
    # "activating" is also the pause before it is started again.
    loaded = active in ("active", "activating", "reloading", "deactivating")
    return Doing(loaded, int(found.get("MainPID") or 0), ended)


def _escaped(text: str) -> str:
    """Without what systemd would replace (systemd.unit(5), "SPECIFIERS")."""
    return text.replace("%", "%%")


def _quoted(word: str, *, program: bool = False) -> str:
    """One word of a line (systemd.syntax(7)); of a program, no variable is filled in."""
    word = re.sub(r'(["\\])', r"\\\1", _escaped(word))
    return f'"{word.replace("$", "$$") if program else word}"'
