"""Programs of the machine, asked by name and argument: no shell, bounded in time.

The one thing that tests of the services replace.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aitwin.home import for_children

SECONDS = 20.0
"""What a program that only reports gets; the slowest seen (`system_profiler`) takes five."""
PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/opt/homebrew/bin")
"""Where programs are looked for besides PATH: services start with hardly any."""


@dataclass(frozen=True)
class Done:
    """What a program left."""

    code: int
    """Its exit status; as in a shell 127 when it is not installed, 124 when it took too long."""
    out: str = field(default="", repr=False)
    err: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.code == 0

    @property
    def missing(self) -> bool:
        """Whether there is no such program."""
        return self.code == MISSING

    @property
    def text(self) -> str:
        """All that it said: programs of macOS tell their state on either stream."""
        return "\n".join(part for part in (self.out.strip(), self.err.strip()) if part)


MISSING = 127
TIMED_OUT = 124


class Commands(Protocol):
    """Runs programs."""

    def run(
        self, command: Sequence[str], *, stdin: str | None = None, seconds: float = SECONDS
    ) -> Done:
        """Run it to its end. Never raises for what the program does, or for its absence."""
        ...


@dataclass(frozen=True)
class System:
    """The programs of this machine."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to the process's own."""

    def run(
        self, command: Sequence[str], *, stdin: str | None = None, seconds: float = SECONDS
    ) -> Done:
        """See Commands."""
        program = find(command[0])
        if program is None:
            return Done(MISSING, err=f"{command[0]} is not installed")
        # What it says is read for English words.
        environment = for_children(LC_ALL="C", LANG="C", **self.environment)
        try:
            done = subprocess.run(  # noqa: S603 - our own command, no shell
                [str(program), *command[1:]],
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                errors="replace",
                env=environment,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            # What it said may tell for what it waits, say for a click on a page of its maker's.
            told = late.stdout or b""
            out = told.decode(errors="replace") if isinstance(told, bytes) else told
            return Done(TIMED_OUT, out, f"{command[0]} did not end within {seconds:.0f} s")
        except OSError as error:
            return Done(MISSING, err=f"{command[0]} cannot be run ({error.strerror})")
        return Done(done.returncode, done.stdout, done.stderr)


def find(program: str) -> Path | None:
    """The program's file: on PATH, or where systems keep them."""
    import shutil

    path = os.pathsep.join((for_children().get("PATH", ""), *PLACES))
    found = shutil.which(program, path=path)
    return Path(found) if found else None
