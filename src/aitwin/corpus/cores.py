"""The same work on many jobs, on all processor cores, in the order of the jobs.

Knows nothing of mail. Each process has one job at a time, so that memory does not grow with them.

Not multiprocessing: its fork copies the locks of the thread that draws the progress bar, and its
spawn runs the caller's script again, which not every script bears.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO, Generic, TypeVar

from aitwin.errors import TwinError

Job = TypeVar("Job")
Result = TypeVar("Result")

MOST = 8
"""Processes; beyond, the one that collects the results is what others wait for."""
_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from aitwin.corpus import cores
cores.serve()
"""


def count() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(MOST, len(os.sched_getaffinity(0)))
    return min(MOST, os.cpu_count() or 1)


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], *, alone: bool = False
) -> Iterator[Result]:
    """`work` of each job, in the order of the jobs; `alone` in this process (short work).

    `work` must be a function of a module, since other processes look it up by its name. What it
    raises is raised here. Raises TwinError when a process is ended from outside.
    """
    if alone or count() == 1:
        yield from map(work, jobs)
        return
    stream = iter(jobs)
    helpers: deque[_Helper[Job, Result]] = deque()
    try:
        for job in islice(stream, count()):
            helpers.append(_Helper(work))
            helpers[-1].give(job)
        while helpers:
            # In turn, the longest at work first; it has its next job before its result is used.
            result = helpers[0].take()
            for job in islice(stream, 1):
                helpers[0].give(job)
                helpers.rotate(-1)
                break
            else:
                helpers.popleft().end()
            yield result
    finally:
        for helper in helpers:
            helper.end()


class _Helper(Generic[Job, Result]):
    """Another process that does one thing, again and again."""

    def __init__(self, work: Callable[[Job], Result]) -> None:
        # A session of its own: Ctrl-C reaches the first process, which ends the others.
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._send(sys.path)
        self._send(work)

    def give(self, job: Job) -> None:
        """Let it begin with a job; it must have none."""
        self._send(job)

    def take(self) -> Result:
        """Wait for what it makes of its job."""
        try:
            good, result = pickle.load(_pipe(self._process.stdout))  # noqa: S301 - from ourselves
        except (EOFError, pickle.UnpicklingError):
            raise _ended() from None
        if not good:
            raise result
        made: Result = result
        return made

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.communicate()

    def _send(self, message: object) -> None:
        pipe = _pipe(self._process.stdin)
        try:
            pickle.dump(message, pipe)
            pipe.flush()
        except BrokenPipeError:
            raise _ended() from None


def serve() -> None:
    """In the other process: do what comes in until nothing more can, because nobody is there."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not write into the answers
    try:
        work = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        while True:
            job = pickle.load(sys.stdin.buffer)  # noqa: S301
            try:
                answer = (True, work(job))
            except Exception as error:  # noqa: BLE001 - raised again where the work was asked for
                answer = (False, error)
            pickle.dump(answer, answers)
            answers.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - for the type checker: it was asked for
    return pipe


def _ended() -> TwinError:
    return TwinError(
        "a process of this command was ended from outside (out of memory?); "
        "close other programs and run the command again: it goes on where it stopped"
    )
