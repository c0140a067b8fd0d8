"""The services of a home together: installed, started in order, looked at, stopped, taken away.

All of it can be run again; what is as it should be is left alone. What keeps the services running
is a Manager; what they are stands in units.
"""

import getpass
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import logs, running, serving, units
from aitwin.services.commands import Commands, System
from aitwin.services.finding import Finding
from aitwin.services.launchd import Launchd
from aitwin.services.manager import Doing, Kind, Manager
from aitwin.services.systemd import Systemd
from aitwin.services.tmux import Tmux
from aitwin.services.units import NAMES, Choice, Name, Unit
from aitwin.services.vault import Vault

WELL = 90.0
"""Seconds for all of them to be well after a start: Ollama and the API may each take a while."""
_LOOK = 0.2


@dataclass(frozen=True)
class Installed:
    """What the owner has chosen."""

    kind: Kind
    choice: Choice
    at_boot: bool = False
    """Whether the services run before the owner has logged in."""


@dataclass(frozen=True)
class Changes:
    """What an installation changed, by the services' names."""

    added: tuple[Name, ...] = ()
    changed: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()


@dataclass(frozen=True)
class Status:
    """How a service is doing."""

    name: Name
    title: str
    state: str
    """"well", "starts" (it does not answer yet), "waits" (to be started again), or "stopped"."""
    process: int = 0
    seconds: float = 0.0
    """For how long this process has run."""
    bytes: int = 0
    """Of memory, with what it has started."""
    ended: str = ""
    """How it ended last, in the manager's words; empty when nothing is known."""


def usual() -> Kind:
    """What keeps services running on a machine of this kind."""
    return "launchd" if platform.system() == "Darwin" else "systemd"


def manager_of(
    kind: Kind, place: Home, *, at_boot: bool = False, commands: Commands | None = None
) -> Manager:
    """Raises TwinError for what cannot be had together."""
    commands = commands or System()
    if kind == "tmux":
        if at_boot:
            raise TwinError("tmux starts nothing at boot; use launchd or systemd for that")
        return Tmux(place, commands)
    if kind == "systemd":
        return Systemd(place, commands, at_boot)
    return Launchd(place, commands, at_boot, name_of_user=getpass.getuser())


def installed(place: Home) -> Installed | None:
    """What is installed for a home; None for nothing."""
    try:
        told = json.loads(_record(place).read_text())
        return Installed(told["kind"], Choice(**told["choice"]), told["at_boot"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise TwinError(f"{_record(place)} is damaged; run: twin services install") from None


class Stack:
    """The services of a home."""

    def __init__(
        self,
        place: Home,
        what: Installed,
        say: Callable[[str], None],
        commands: Commands | None = None,
    ) -> None:
        self.home = place
        self.what = what
        self.manager = manager_of(what.kind, place, at_boot=what.at_boot, commands=commands)
        self.units = units.table(place, what.choice)
        self._say = say
        self._commands = commands

    @classmethod
    def of(
        cls, place: Home, say: Callable[[str], None], commands: Commands | None = None
    ) -> "Stack":
        """What is installed. Raises TwinError when nothing is."""
        what = installed(place)
        if what is None:
            raise TwinError("no services are installed; run: twin services install")
        return cls(place, what, say, commands)

    def install(self) -> Changes:
        """Write the definitions that are new or other than before, and take away what is no more.

        What is replaced has ended then; what is as before runs on. Call `start` next.
        """
        self.home.open()
        self.manager.require()
        self._require_free()
        before = installed(self.home)
        if before and (before.kind, before.at_boot) != (self.what.kind, self.what.at_boot):
            Stack(self.home, before, self._say, self._commands).uninstall(for_good=False)
        wanted = {unit.name: self.manager.render(unit) for unit in self.units}
        lying = {
            name: self.manager.file(name).read_bytes()
            for name in NAMES
            if self.manager.file(name).is_file()
        }
        added = tuple(name for name in wanted if name not in lying)
        changed = tuple(name for name in wanted if name in lying and lying[name] != wanted[name])
        removed = tuple(name for name in lying if name not in wanted)
        # Before anything is changed: `uninstall` then finds whatever a stopped run leaves.
        artifact.write_private(_record(self.home), json.dumps(asdict(self.what)))
        for name in reversed(NAMES):
            if name in changed or name in removed:
                self.manager.stop(name, self._drain(name))
            if name in removed:
                self.manager.delete(name)
        for unit in self.units:
            # By us, so that nobody else may read them.
            logs.prepare(unit.log)
            if unit.name in (*added, *changed):
                self.manager.write(unit)
        self.manager.settle()
        return Changes(added, changed, removed)

    def start(self, seconds: float = WELL) -> None:
        """Start what does not run, and wait until all are well.

        Raises TwinError when one is not well in time; the manager goes on trying.
        """
        self.manager.require()
        self._require_free()
        idle = not any(self.manager.doing(unit.name).process for unit in self.units)
        running.forget(self.home, credential=idle)
        for unit in self.units:
            if not self.manager.file(unit.name).is_file():
                raise TwinError(f"{unit.title} is not installed; run: twin services install")
            self.manager.start(unit)
        until = time.monotonic() + seconds
        while lacking := [unit for unit in self.units if not self._is_well(unit)]:
            if time.monotonic() > until:
                raise TwinError(
                    f"{lacking[0].title} is not well {seconds:.0f} s after its start; see: "
                    f"twin services logs {lacking[0].name}"
                )
            time.sleep(_LOOK)

    def stop(self, *, close: bool = True) -> None:
        """End all, the last first, and lock the vault.

        They come back when the machine restarts, or the owner logs in anew: see uninstall.
        """
        for name in reversed(NAMES):
            self.manager.stop(name, self._drain(name))
        running.forget(self.home, credential=True)
        if close:
            self._lock()

    def restart(self) -> None:
        """End all and start them, whatever runs now."""
        self.stop(close=False)
        self.start()

    def uninstall(self, *, for_good: bool = True) -> None:
        """End all, and leave nothing of them; the logs and an open vault, when others follow."""
        self.stop(close=for_good)
        for name in NAMES:
            if self.manager.file(name).is_file():
                self.manager.delete(name)
        self.manager.settle()
        _record(self.home).unlink(missing_ok=True)
        if for_good:
            logs.remove(units.logs(self.home))

    def status(self) -> list[Status]:
        """How each of them is doing."""
        return [self._status(unit) for unit in self.units]

    def _status(self, unit: Unit) -> Status:
        doing = self.manager.doing(unit.name)
        if doing.process:
            state = "well" if _is_it(doing.process, unit) and unit.healthy() else "starts"
            seconds, taken = _measured(doing.process)
            return Status(unit.name, unit.title, state, doing.process, seconds, taken, doing.ended)
        return Status(
            unit.name, unit.title, "waits" if doing.loaded else "stopped", ended=doing.ended
        )

    def _is_well(self, unit: Unit) -> bool:
        doing: Doing = self.manager.doing(unit.name)
        return bool(doing.process) and _is_it(doing.process, unit) and unit.healthy()

    def _drain(self, name: Name) -> float:
        return next((unit.drain for unit in self.units if unit.name == name), 30.0)

    def _require_free(self) -> None:
        """Raise TwinError while `twin serve` serves this home."""
        served = serving.running(self.home)
        if served and served.by == "twin serve":
            raise TwinError(
                f"the twin is served by `twin serve` (process {served.process}); end that first"
            )

    def _lock(self) -> None:
        try:
            if Vault(self.home, self._commands).close():
                self._say("the vault is locked")
        except TwinError as error:
            self._say(f"the vault is still open: {error}")


def finding(place: Home, commands: Commands) -> Finding:
    """For `twin doctor`: whether all services are well (O4)."""
    try:
        what = installed(place)
        if what is None:
            evidence = "none; the twin runs while `twin serve` does"
            return Finding("services", "ok", evidence, "twin services install", (), ("O1", "O4"))
        found = Stack(place, what, lambda text: None, commands).status()
    except TwinError as error:
        return Finding("services", "bad", str(error), "twin services install", (), ("O4",))
    lacking = [f"{one.title} {one.state}" for one in found if one.state != "well"]
    if lacking:
        remedy = "twin services start"
        return Finding("services", "bad", ", ".join(lacking), remedy, requirements=("O4",))
    names = ", ".join(one.name for one in found)
    return Finding("services", "ok", f"{what.kind} keeps {names}", requirements=("O4",))


def logs_of(stack: Stack, names: Sequence[str]) -> list[Path]:
    """The logs of the services of these names, or of all. Raises TwinError for unknown ones."""
    chosen = [units.find(stack.units, name) for name in names] if names else list(stack.units)
    return [unit.log for unit in chosen]


def _record(place: Home) -> Path:
    return place.run / "services" / "stack"


def _is_it(process: int, unit: Unit) -> bool:
    """Whether a process has become its service, and waits for nothing any more."""
    import psutil

    try:
        command = psutil.Process(process).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # of another user, as far as the system says: its health must do
    return tuple(command[-len(unit.program) :]) != unit.program


def _measured(process: int) -> tuple[float, int]:
    """Seconds that it runs, and bytes of memory with all that it has started."""
    import psutil

    try:
        found = psutil.Process(process)
        family = [found, *found.children(recursive=True)]
        seconds = max(0.0, time.time() - found.create_time())
    except psutil.Error:
        return 0.0, 0
    taken = 0
    for one in family:
        try:
            taken += one.memory_info().rss
        except psutil.Error:
            continue
    return seconds, taken
