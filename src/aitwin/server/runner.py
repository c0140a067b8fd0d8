"""Runs jobs: each is a command of the command line in a process of its own, told of in the ledger.

A process of its own, because hours of training must not stop what writes and speaks, nor take it
along when the memory is short. Jobs of one lane run one after the other. Whatever ends the server,
even `kill -9`, ends its jobs, and they are found interrupted.
"""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home, environment_of_jobs
from aitwin.server.ledger import OPEN, Kind, Ledger, Order, Record, State
from aitwin.server.problems import Problem

Lane = Literal["model", "data", "voice"]

LANES: Mapping[Kind, Lane] = {
    "import": "data",
    "build": "data",
    "training": "model",
    "evaluation": "model",
    "voice-preparation": "voice",
    "voice-evaluation": "voice",
}
"""What runs beside what: one job of a lane at a time. Whatever loads a base is in `model`."""
HEARTBEAT = 15.0
"""Seconds after which a stream says that it is still there: else something on the way cuts it."""
WAITING = 16
"""Jobs of a lane that may wait."""
COMMAND = (sys.executable, "-m", "aitwin")
FOLDER = "jobs"
PATIENCE: Mapping[Kind, float] = {"training": 900.0}
"""Seconds until a job that was asked to stop is made to: a training ends its step, and measures."""
USUAL_PATIENCE = 20.0
AT_ONCE = 5.0
"""Seconds until a job that is to stop at once is killed."""
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C stopped."""
LONGEST_PLAN = 600.0
"""Seconds."""
UNNAMED = "a file cannot be read; run `twin corpus add` with it in a terminal to see why"
"""Why an import failed, where its own words may name a file."""
STEADY = 2.0
"""Seconds of a stage after which its pace says how long the rest takes."""


@dataclass(eq=False)
class _Running:
    """A job whose process runs."""

    record: Record
    process: "subprocess.Popen[bytes]"
    asked: int = 0
    """How often it was asked to stop."""
    timer: threading.Timer | None = None

    def signal(self, number: int) -> None:
        """To the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


@dataclass
class _Heard:
    """What a command told of itself."""

    moment: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    failed: str | None = None
    _since: tuple[float, float] | None = field(default=None, repr=False)
    """When the first progress of this stage came, and how much was done then."""

    def hear(self, line: Mapping[str, Any]) -> bool:
        """Take a line in; whether it is a step of a curve, which is to be kept."""
        event = line.get("event")
        rest = {key: value for key, value in line.items() if key != "event"}
        if event == "finished":
            # Where it lies is known by its name.
            self.result = {key: value for key, value in rest.items() if key != "adapter"}
        elif event == "failed":
            self.failed = str(rest.get("detail", ""))
        elif event == "plan":
            self.moment["plan"] = rest
        elif event == "stage":
            self.moment |= {"stage": str(rest.get("name", "")), "progress": None}
            self._since = None
        elif event == "progress" and "step" in rest:
            self.moment["training"] = rest
            self.moment["progress"] = {
                "done": rest["step"],
                "total": rest["total"],
                "unit": "steps",
                "seconds_left": rest["seconds_left"],
            }
            self.moment["stage"] = "training"
            return True
        elif event == "progress":
            self.moment["progress"] = {**rest, "seconds_left": self._left(rest)}
        return False

    def _left(self, progress: Mapping[str, Any]) -> float | None:
        """Seconds, by the pace of this stage."""
        now = time.monotonic()
        done, total = float(progress["done"]), float(progress["total"] or 0)
        if self._since is None:
            self._since = (now, done)
        began, at_first = self._since
        if not total or done <= at_first or now - began < STEADY:
            return None
        return round((total - done) * (now - began) / (done - at_first), 1)


class Jobs:
    """The jobs of a home. Safe for several threads."""

    def __init__(self, home: Home, command: Sequence[str] = COMMAND) -> None:
        self._home = home
        self._command = tuple(command)
        self._lock = threading.RLock()
        self._made: Ledger | None = None
        self._held = contextlib.ExitStack()
        self._make_room: Callable[[], None] = lambda: None
        self._going = False
        self._closed = False
        self._streaming = True
        self._running: dict[Lane, _Running] = {}
        self._turns: dict[Lane, threading.Lock] = {
            lane: threading.Lock() for lane in LANES.values()
        }
        self._threads: dict[Lane, threading.Thread] = {}
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @classmethod
    def open(cls, home: Home) -> "Jobs":
        """Those that ran when the server was killed are found interrupted.

        Makes nothing where no job was ever accepted. Raises TwinError when another server has them.
        """
        jobs = cls(home)
        if (jobs.directory).is_dir():
            _ = jobs.ledger
        return jobs

    @property
    def directory(self) -> Path:
        """Where the ledger lies."""
        return self._home.run / FOLDER

    @property
    def ledger(self) -> Ledger:
        """The ledger, made when it is first needed."""
        with self._lock:
            if self._closed:
                raise Problem("shutting-down", headers={"Retry-After": "10"})
            if self._made is None:
                self._home.open()
                artifact.make_private_dir(self.directory)
                try:
                    self._held.enter_context(artifact.holding(self.directory, wait=False))
                except BlockingIOError:
                    raise TwinError(
                        f"another `twin serve` works with {self._home.root}; stop that one first"
                    ) from None
                self._made = Ledger(self.directory)
                self._made.interrupt_all()
            return self._made

    def begin(self, make_room: Callable[[], None] = lambda: None) -> None:
        """Run what is queued, from now on. `make_room` unloads models before one is trained."""
        with self._lock:
            self._make_room = make_room
            self._going = True
            if self._made is not None:
                for record in reversed(self._made.all(states=("queued",))):
                    self._wake(lane(record))

    def close(self) -> None:
        """End what runs so that it can be resumed; what is queued waits for the next server."""
        with self._lock:
            self._closed, self._going = True, False
            running = list(self._running.values())
            threads = list(self._threads.values())
        self.end_streams()
        for one in running:
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + AT_ONCE
        for one in running:
            try:
                one.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.signal(signal.SIGKILL)
        for thread in threads:
            thread.join(AT_ONCE)
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None
            self._held.close()

    # What is asked

    def get(self, job_id: str) -> Record:
        """The job of that id. Raises Problem when there is none."""
        record = self.ledger.get(job_id) if self._exists else None
        if record is None:
            raise Problem("unknown-job")
        return record

    def all(self, kind: str | None = None) -> list[Record]:
        """All that are remembered, the newest first."""
        return self.ledger.all(kind) if self._exists else []

    def active(self, kind: Kind | None = None) -> list[Record]:
        """Those that have not ended, the newest first."""
        return self.ledger.all(kind, states=OPEN) if self._exists else []

    @property
    def _exists(self) -> bool:
        return self._made is not None or self.directory.is_dir()

    # What is done

    def start(self, order: Order) -> Record:
        """Accept a job: it is in the ledger when this returns.

        Raises Problem when a training is at work already, and when too much waits.
        """
        with self._lock:
            self._require_room(order)
            with _disk_full_told():
                record = self.ledger.accept(order)
            self._wake(lane(record))
        self._notify()
        return record

    def resume(self, job_id: str, arguments: Callable[[Record], Sequence[str]]) -> Record:
        """Queue once more a job that was interrupted, was cancelled, or has failed.

        `arguments` says with which. Raises Problem when it cannot be.
        """
        with self._lock:
            record = self.get(job_id)
            if not can_resume(record):
                raise Problem("not-resumable", f"this job is {record.state}: start a new one")
            self._require_room(record)
            record = self.ledger.again(job_id, arguments(record))
            self._wake(lane(record))
        self._notify()
        return record

    def cancel(self, job_id: str) -> Record:
        """Ask a job to stop: what is good of it is kept. Asked again, it stops at once.

        Raises Problem when it has ended.
        """
        with self._lock:
            record = self.get(job_id)
            if record.ended:
                raise Problem("not-cancellable", f"this job is {record.state} already")
            if record.state == "queued":
                record = self.ledger.end(job_id, "cancelled")
            else:
                running = self._running.get(lane(record))
                if running is not None and running.record.id == job_id:
                    self._stop(running)
                record = self.ledger.mark_cancelling(job_id)
        self._notify()
        return record

    def ask(self, arguments: Sequence[str]) -> list[dict[str, Any]]:
        """Run a command that loads a base and leaves nothing behind: its lines. Blocks.

        Raises Problem while a job does so, and TwinError with what the command says.
        """
        turn = self._turns["model"]
        if not turn.acquire(blocking=False):
            raise Problem("busy-training", "a training or an evaluation is at work")
        try:
            self._make_room()
            process = self._process(arguments)
            timer = threading.Timer(LONGEST_PLAN, process.kill)
            timer.start()
            lines = list(_lines(process))
            code = _ended(process)
            timer.cancel()
        finally:
            turn.release()
        failed = next((line for line in lines if line.get("event") == "failed"), None)
        if failed is not None:
            raise TwinError(str(failed.get("detail", "")))
        if code:
            raise TwinError(_unexplained(code))
        return lines

    # Who watches

    async def moments(
        self, job_id: str, after: int = 0
    ) -> "AsyncIterator[tuple[int, dict[str, Any]] | None]":
        """What a job tells after the event of that number, as it does, until it has ended.

        None whenever nothing was told for a while.
        """
        woken = asyncio.Event()
        listener = (asyncio.get_running_loop(), woken)
        with self._lock:
            self._listeners.add(listener)
        try:
            while self._streaming:
                woken.clear()
                record = await asyncio.to_thread(self.get, job_id)
                for number, moment in await asyncio.to_thread(self.ledger.moments, job_id, after):
                    after = number
                    yield number, {"state": record.state, **moment}
                if record.ended:
                    return
                try:
                    await asyncio.wait_for(woken.wait(), HEARTBEAT)
                except TimeoutError:
                    yield None
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def end_streams(self) -> None:
        """Let nobody watch any longer: the server is about to end."""
        self._streaming = False
        self._notify()

    def _notify(self) -> None:
        with self._lock:
            for loop, woken in self._listeners:
                with contextlib.suppress(RuntimeError):  # its loop is closed
                    loop.call_soon_threadsafe(woken.set)

    # How it runs

    def _require_room(self, wanted: Order | Record) -> None:
        """The lock is held."""
        if wanted.kind == "training" and self.active("training"):
            raise Problem("busy-training")
        if sum(lane(one) == lane(wanted) for one in self.active()) > WAITING:
            raise Problem("queue-full", headers={"Retry-After": "60"})

    def _wake(self, where: Lane) -> None:
        """Have somebody see to what is queued; the lock is held."""
        if not self._going or where in self._threads:
            return
        thread = threading.Thread(
            target=self._work, args=(where,), name=f"jobs-{where}", daemon=True
        )
        self._threads[where] = thread
        thread.start()

    def _work(self, where: Lane) -> None:
        """Run what is queued in a lane, the oldest first, until nothing is."""
        while True:
            with self._turns[where]:
                with self._lock:
                    queued = self._queued(where) if self._going else None
                    if queued is None:
                        del self._threads[where]
                        return
                    record = self.ledger.begin(queued.id)
                self._run(record, where)

    def _queued(self, where: Lane) -> Record | None:
        queued = [one for one in self.ledger.all(states=("queued",)) if lane(one) == where]
        return queued[-1] if queued else None

    def _run(self, record: Record, where: Lane) -> None:
        heard = _Heard(dict(record.moment))
        self._notify()
        try:
            if where == "model":
                self._make_room()
            with self._lock:
                if not self._going:  # it is closed meanwhile: interrupted before it began
                    return
                running = _Running(record, self._process(record.arguments))
                self._running[where] = running
                # Whoever cancelled it between its begin and here found no process to stop.
                if self.get(record.id).state == "cancelling":
                    self._stop(running)
        except OSError as error:
            self._end(record, "failed", heard, f"it cannot be started ({error.strerror})")
            return
        reader = threading.Thread(target=self._follow, args=(running, heard), daemon=True)
        reader.start()
        code = _ended(running.process)
        # What it had started and left: it holds the pipe that is read.
        running.signal(signal.SIGKILL)
        reader.join()
        with self._lock:
            del self._running[where]
            if running.timer:
                running.timer.cancel()
            closing = self._closed
        state, problem = _outcome(record, running.asked, heard, code, closing=closing)
        self._end(record, state, heard, problem)

    def _process(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - our own command, and no shell
            [*self._command, *arguments, "--json-lines"],
            # Nothing is ever written to it: it closes when this process ends, however it does.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Words for a terminal, and tracebacks, which may quote a mail.
            stderr=subprocess.DEVNULL,
            env=environment_of_jobs(self._home),
            # A group of its own: Ctrl-C for the server is none for a training.
            start_new_session=True,
        )

    def _follow(self, running: _Running, heard: _Heard) -> None:
        for line in _lines(running.process):
            step = heard.hear(line)
            if line.get("event") in ("stage", "plan", "progress"):
                with contextlib.suppress(sqlite3.Error, Problem):  # the disk is full, or we end
                    self.ledger.tell(running.record.id, heard.moment, keep=step)
                self._notify()

    def _end(self, record: Record, state: State, heard: _Heard, problem: str | None) -> None:
        with self._lock:
            if self._made is not None:
                with contextlib.suppress(sqlite3.Error):  # then it is found interrupted
                    self._made.end(record.id, state, result=heard.result, problem=problem)
        self._notify()

    def _stop(self, running: _Running) -> None:
        """Gently, then less so: Ctrl-C, Ctrl-C again, and the end."""
        if running.timer:
            running.timer.cancel()
        running.asked += 1
        gentle = running.asked == 1
        running.signal(signal.SIGINT if running.asked <= 2 else signal.SIGKILL)
        patience = PATIENCE.get(running.record.kind, USUAL_PATIENCE) if gentle else AT_ONCE
        running.timer = threading.Timer(patience, self._stop_harder, (running,))
        running.timer.daemon = True
        running.timer.start()

    def _stop_harder(self, running: _Running) -> None:
        with self._lock:
            if running.process.poll() is None:
                self._stop(running)


def lane(job: Order | Record) -> Lane:
    """Where a job runs."""
    # Instructions by the base want as much memory as a training.
    return "model" if job.kind == "build" and "llm" in job.arguments else LANES[job.kind]


def can_resume(record: Record) -> bool:
    """Whether a job can be queued once more."""
    # An import that failed has no arguments any more: see Ledger.end.
    return record.state in ("interrupted", "cancelled", "failed") and bool(record.arguments)


def can_cancel(record: Record) -> bool:
    """Whether a job can be asked to stop."""
    return not record.ended


def _outcome(
    record: Record, asked: int, heard: _Heard, code: int, *, closing: bool
) -> tuple[State, str | None]:
    """What a job has come to, and why where it failed."""
    if heard.result is not None and heard.failed is None:
        # A training that was stopped has an adapter, too: the best so far.
        unfinished = record.kind == "training" and not heard.result.get("finished", True)
        return ("cancelled" if unfinished else "done"), None
    if asked:
        return "cancelled", None
    if heard.failed is not None:
        return "failed", _without_names(record, heard.failed)
    if closing or code == INTERRUPTED:
        return "interrupted", None
    return "failed", _unexplained(code)


def _without_names(record: Record, problem: str) -> str:
    """Why an import failed, without what its files are called: by whoever wrote, often."""
    if record.kind != "import":
        return problem
    for given in filter(os.path.isabs, record.arguments):
        problem = problem.replace(given, "the file")
    return UNNAMED if os.sep in problem else problem


def _unexplained(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "it was killed from outside: the memory may have been full; close other programs, and "
            "go on"
        )
    return f"it ended with exit code {code} and said nothing; run it in a terminal to see why"


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of a process: its exit code."""
    code = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    return code


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """The lines of JSON that a command prints; what is none is passed over."""
    assert process.stdout is not None  # noqa: S101 - it was opened with a pipe
    with process.stdout:
        for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict):
                yield told


@contextmanager
def _disk_full_told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise Problem("disk-full") from None
        raise
