"""Where there is neither launchd nor systemd: a tmux of its own, in which what ends starts again.

Each service is a session with one pane, in which a loop of the shell starts it for as long as its
mark is there. (tmux's own way, a hook for a pane whose program has ended, was seen to miss kills
under load.) It does not come back when the machine restarts, nor when tmux or the loop is
killed itself.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services.commands import Commands, Done
from aitwin.services.manager import LOOK, Doing, Kind, said
from aitwin.services.units import Name, Unit

_LOOP = """umask 077; base=$1 log=$2; shift 2
while [ -e "$base.on" ]; do
  "$@" 2>>"$log"; echo $? >"$base.ended"
  [ ! -e "$base.on" ] || sleep 0.5
done"""
_LONGEST_SOCKET = 99


@dataclass(frozen=True)
class Tmux:
    """A tmux for the services of a home."""

    home: Home
    commands: Commands = field(repr=False)

    @property
    def kind(self) -> Kind:
        """See Manager."""
        return "tmux"

    @property
    def socket(self) -> Path:
        """Where it listens: not the owner's own tmux."""
        return self.home.run / "tmux.sock"

    def require(self) -> None:
        """See Manager."""
        if self.commands.run(["tmux", "-V"]).missing:
            raise TwinError("tmux is not installed; install it with your system's packages")
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET:
            raise TwinError(f"{self.socket} is too long for a socket; use a shorter TWIN_HOME")

    def file(self, name: Name) -> Path:
        """See Manager."""
        return self.home.run / "services" / "tmux" / f"{name}.json"

    def render(self, unit: Unit) -> bytes:
        """See Manager: nothing of the shell's environment in which tmux was started."""
        values = [f"{key}={value}" for key, value in unit.environment.items()]
        # The log takes what is said before `twin services run` writes to it itself.
        loop = ("/bin/sh", "-c", _LOOP, "sh", str(self._base(unit.name)), str(unit.log))
        return json.dumps(["env", "-i", *values, *loop, *unit.program], indent=1).encode()

    def write(self, unit: Unit) -> None:
        """See Manager."""
        artifact.write_private(self.file(unit.name), self.render(unit))

    def delete(self, name: Name) -> None:
        """See Manager."""
        for file in (self.file(name), self._ended(name)):
            file.unlink(missing_ok=True)

    def settle(self) -> None:
        """See Manager: there is nothing to be made known."""

    def start(self, unit: Unit) -> None:
        """See Manager."""
        if self.doing(unit.name).loaded:
            return
        command = json.loads(self.file(unit.name).read_bytes())
        artifact.make_private_dir(self.socket.parent)
        self._mark(unit.name).touch(mode=0o600)
        done = self._tmux(
            *("new-session", "-d", "-s", unit.name, "-c", str(self.home.root)),
            *(_word(word) for word in command),
        )
        if not done.ok:
            raise TwinError(f"tmux did not start {unit.title}: {said(done)}")

    def stop(self, name: Name, seconds: float) -> None:
        """See Manager."""
        # First: what ends now is not to come back.
        self._mark(name).unlink(missing_ok=True)
        until = time.monotonic() + seconds
        told = 0
        while (doing := self.doing(name)).loaded:
            hurried = time.monotonic() > until
            # It may have been started again a moment before the mark was gone.
            if doing.process and (hurried or doing.process != told):
                told = doing.process
                with contextlib.suppress(ProcessLookupError):
                    os.kill(told, signal.SIGKILL if hurried else signal.SIGTERM)
            time.sleep(LOOK)

    def doing(self, name: Name) -> Doing:
        """See Manager."""
        done = self._tmux("list-panes", "-s", "-t", f"={name}", "-F", "#{pane_pid}")
        if not done.ok or not done.out.strip():
            return Doing(loaded=False)
        return Doing(True, _child(int(done.out.split()[0])), _how(self._ended(name)))

    def _base(self, name: Name) -> Path:
        return self.file(name).with_suffix("")

    def _mark(self, name: Name) -> Path:
        return self._base(name).with_suffix(".on")

    def _ended(self, name: Name) -> Path:
        return self._base(name).with_suffix(".ended")

    def _tmux(self, *words: str) -> Done:
        # Without the owner's configuration.
        return self.commands.run(["tmux", "-S", str(self.socket), "-f", os.devnull, *words])


def _word(word: str) -> str:
    """tmux ends a command at a word that ends with a semicolon."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def _child(shell: int) -> int:
    """The service that the loop has started; 0 while it pauses."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(shell).children():
            if child.status() != psutil.STATUS_ZOMBIE and child.name() != "sleep":
                return int(child.pid)
    return 0


def _how(file: Path) -> str:
    """How it ended last, by the shell's exit status."""
    try:
        code = int(file.read_text())
    except (OSError, ValueError):
        return ""
    return f"signal {code - 128}" if code > 128 else f"exit code {code}"
