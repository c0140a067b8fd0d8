"""What a long command does, as lines of JSON for a program: --json-lines.

One object a line, each with its `event`: `stage` (what is begun), `plan` (a training's),
`progress` (how far), and one at the end: `finished` with figures, or `failed` with what to do. Of
the owner's texts there is never a word in them, nor the name of a file that is read.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from aitwin.cli.console import print_line
from aitwin.cli.explained import explanation

JsonLines = Annotated[
    bool, typer.Option("--json-lines", help="Print what happens as lines of JSON, as it does.")
]

EVERY = 0.2
"""Seconds between two lines of one stage: nobody sees more, and each costs its reader a write."""
GRACE = 3.0
"""Seconds that a command has to clear up when whoever started it is gone."""


@dataclass
class Lines:
    """Prints the lines, if they are wanted."""

    on: bool
    _stage: str = field(default="", init=False)
    _told_at: float = field(default=float("-inf"), init=False)

    def stage(self, name: str) -> None:
        """Something else is done from now on."""
        if self.on and name != self._stage:
            self._stage, self._told_at = name, float("-inf")
            print_line({"event": "stage", "name": name})

    def progress(self, done: float, total: float | None, unit: str, stage: str = "") -> None:
        """So much of `total` is done; None where nobody knows how much there is."""
        if not self.on:
            return
        if stage:
            self.stage(stage)
        now = time.monotonic()
        if done != total and now - self._told_at < EVERY:
            return
        self._told_at = now
        print_line({"event": "progress", "done": done, "total": total, "unit": unit})

    def finished(self, result: dict[str, Any]) -> None:
        """It is done; `result` has figures only."""
        if self.on:
            print_line({"event": "finished", **result})

    def failed(self, detail: str) -> None:
        """It came to nothing, and what to do."""
        if self.on:
            print_line({"event": "failed", "detail": detail})


@contextmanager
def telling(on: bool) -> Iterator[Lines]:
    """Lines for the block, if `on`: an error that leaves it is told as the last of them."""
    if on:
        follow_whoever_started_this()
    lines = Lines(on)
    try:
        yield lines
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        lines.failed(explanation(error) or _bug(error))
        raise


def _bug(error: Exception) -> str:
    """Its kind and place: its text may quote a mail."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} in {place}: a bug; please report it"


def follow_whoever_started_this() -> None:
    """End with the server that started this command, however that ends; else nothing.

    It holds the other end of our standard input, and writes nothing to it.
    """
    from aitwin.home import leashed

    if not leashed():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that starts a server with & has it ignored, which processes inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_follow, name="leash", daemon=True).start()


def _follow() -> None:
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 1):
        pass
    # With all that this command has started: a server gives each command a group of its own.
    group = os.getpgrp() if os.getpgrp() == os.getpid() else 0
    for number, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 0.0)):
        if group:
            os.killpg(group, number)
        else:
            os.kill(os.getpid(), number)
        time.sleep(wait)
