"""The same work on many jobs, on all processor cores, in the order of the jobs.

Knows nothing of mail. Little is in flight at any time, so that memory does not grow with the jobs.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from aitwin.errors import TwinError

Job = TypeVar("Job")
Result = TypeVar("Result")

MOST = 8
"""Processes; beyond, the one that collects the results is what others wait for."""
WATCH = 1.0
"""Seconds between looks at whether the first process still lives: kill -9 tells nobody."""
AHEAD = 2
"""Jobs in flight for each process: one that is worked on, one that waits."""


def count() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(MOST, len(os.sched_getaffinity(0)))
    return min(MOST, os.cpu_count() or 1)


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], *, alone: bool = False
) -> Iterator[Result]:
    """`work` of each job, in the order of the jobs; `alone` in this process (short work).

    `work` must be a function of a module, since other processes look it up by its name.
    """
    if alone or count() == 1:
        yield from map(work, jobs)
        return
    # Not by fork: a progress bar is a thread, and a fork copies its locks, held.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count(), context, _prepare, (os.getpid(),)) as pool:
        stream = iter(jobs)
        flying: deque[Future[Result]] = deque()
        try:
            flying.extend(pool.submit(work, job) for job in islice(stream, AHEAD * count()))
            while flying:
                yield flying.popleft().result()
                flying.extend(pool.submit(work, job) for job in islice(stream, 1))
        except BrokenProcessPool:
            raise TwinError(
                "a process of this command was ended from outside (out of memory?); "
                "close other programs and run the command again: it goes on where it stopped"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _prepare(parent: int) -> None:
    """Leave Ctrl-C to the first process, which ends the others, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)
