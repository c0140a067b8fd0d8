"""Programs that run together: started in order, started again when they die, ended together.

A child's standard input is a pipe that nobody writes to. It ends when this process does, in
whatever way, kill -9 included: then the child is to end by itself. Knows nothing of what they do.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from types import FrameType
from typing import Any

from aitwin.errors import TwinError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK = 0.1
"""Seconds between two looks at a child that is not well yet."""


@dataclass(frozen=True)
class Child:
    """A program to be run."""

    name: str
    """As the owner is told of it: "the API"."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    """All of it: nothing of our own is handed on."""
    healthy: Callable[[], bool] = field(repr=False)
    """Whether it answers; asked every now and then until it does."""
    drain: float = 12.0
    """Seconds that it gets to end in when it is told to."""


@dataclass(frozen=True)
class Pace:
    """How patient the supervisor is, in seconds."""

    start: float = 120.0
    """For the first start of each child, until it is healthy."""
    again: float = 0.5
    """Before a child that died is started again; twice as long after each death."""
    longest: float = 30.0
    """The longest of these pauses."""
    proven: float = 60.0
    """Who has run for so long has not died of its start: the pause is short again."""


@dataclass(frozen=True)
class _Ended:
    index: int
    code: int


@dataclass(frozen=True)
class _Told:
    """To stop."""


@dataclass
class _Run:
    """How one child is doing."""

    child: Child
    process: "subprocess.Popen[bytes] | None" = None
    began: float = 0.0
    healthy: bool = False
    deaths: int = 0
    """In a row, none of which came after a proven run."""
    due: float | None = None
    """When it is started again."""


class StoppedError(Exception):
    """It was told to stop while it started: no failure."""


class Supervisor:
    """`with Supervisor(children, say) as all: all.start(); all.watch()`.

    To be used in the main thread, whose signals it takes. Leaving the block ends all children.
    """

    def __init__(
        self, children: Sequence[Child], say: Callable[[str], None], pace: Pace | None = None
    ) -> None:
        self._runs = [_Run(child) for child in children]
        self._say = say
        self._pace = pace or Pace()
        # Filled by threads and by signal handlers, in which only this kind of queue may be used.
        self._events: SimpleQueue[_Ended | _Told] = SimpleQueue()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Supervisor":
        """Take SIGINT, SIGTERM and SIGHUP: each of them stops all."""

        def told(number: int, frame: FrameType | None) -> None:
            self._events.put(_Told())

        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's
                self._before[number] = signal.signal(number, told)
        return self

    def __exit__(self, *error: object) -> None:
        """End all children, and give the signals back."""
        try:
            self._stop()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Start the children in their order, each when the one before it is healthy.

        Raises TwinError when one of them ends or is not healthy in time, and StoppedError when a
        signal came first.
        """
        for index, run in enumerate(self._runs):
            self._begin(index)
            until = run.began + self._pace.start
            while not self._look(run):
                if time.monotonic() > until:
                    raise TwinError(
                        f"{run.child.name} has not answered for {self._pace.start:.0f} s after its "
                        "start; is the machine busy? Try again"
                    )
                match self._event(_LOOK):
                    case _Told():
                        raise StoppedError
                    case _Ended(ended, code):
                        _let_go(self._runs[ended])
                        raise TwinError(
                            f"{self._runs[ended].child.name} {_how(code)} at the start; what it "
                            "said stands above"
                        )

    def watch(self) -> None:
        """Start again whichever dies, until a signal comes."""
        while True:
            match self._event(self._wait()):
                case _Told():
                    return
                case _Ended(index, code):
                    self._died(self._runs[index], code)
            for index, run in enumerate(self._runs):
                if run.due is not None and run.due <= time.monotonic():
                    self._begin(index)
                elif run.process is not None and not run.healthy and self._look(run):
                    self._say(f"{run.child.name} is back")

    def _event(self, timeout: float | None) -> _Ended | _Told | None:
        try:
            return self._events.get(timeout=timeout)
        except Empty:
            return None

    def _wait(self) -> float | None:
        """Seconds until there is something to do without an event."""
        if any(run.process is not None and not run.healthy for run in self._runs):
            return _LOOK
        dues = [run.due for run in self._runs if run.due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _begin(self, index: int) -> None:
        run = self._runs[index]
        run.due, run.healthy, run.began = None, False, time.monotonic()
        # A session of its own: Ctrl-C in the terminal reaches this process alone, which ends them
        # in their order.
        process = run.process = subprocess.Popen(  # noqa: S603 - the command is ours
            run.child.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=dict(run.child.environment),
            start_new_session=True,
            umask=0o077,
        )

        def wait() -> None:
            self._events.put(_Ended(index, process.wait()))

        Thread(target=wait, daemon=True, name=f"waits for {run.child.name}").start()

    def _look(self, run: _Run) -> bool:
        run.healthy = run.process is not None and run.process.poll() is None and run.child.healthy()
        return run.healthy

    def _died(self, run: _Run, code: int) -> None:
        _let_go(run)
        if time.monotonic() - run.began >= self._pace.proven:
            run.deaths = 0
        pause = min(self._pace.again * 2**run.deaths, self._pace.longest)
        run.deaths += 1
        run.due = time.monotonic() + pause
        self._say(f"{run.child.name} {_how(code)}; it is started again in {pause:g} s")

    def _stop(self) -> None:
        """End all, the last first: who asks ends before who answers."""
        hurried = False
        for index in reversed(range(len(self._runs))):
            run = self._runs[index]
            if run.process is None:
                continue
            if not hurried:
                run.process.terminate()
                hurried = not self._ends(run, run.child.drain)
            if run.process.poll() is None:
                if not hurried:
                    self._say(f"{run.child.name} did not end in time, and is killed")
                _kill(run.process)
                run.process.wait()
            _let_go(run)

    def _ends(self, run: _Run, seconds: float) -> bool:
        """Whether it ends in time, and no second signal asks to hurry."""
        assert run.process is not None  # noqa: S101
        until = time.monotonic() + seconds
        while run.process.poll() is None:
            if isinstance(self._event(_LOOK), _Told):
                return False
            if time.monotonic() > until:
                return True  # the next still gets its own time
        return True


def _let_go(run: _Run) -> None:
    if run.process is not None and run.process.stdin is not None:
        run.process.stdin.close()
    run.process = None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill it, and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _how(code: int) -> str:
    """How a program ended, by what Popen says."""
    if code >= 0:
        return f"ended (exit code {code})"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
