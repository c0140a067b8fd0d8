"""Placing: on what, with how many threads and in which way a voice's networks compute.

Which is fastest is measured where it runs, at the first start, and written down: on the machines
that were tried, two threads were now faster, now slower than one, and an accelerator gains little
on short sentences. Knows no network: what is tried is handed in.
"""

import json
import math
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np

from aitwin import artifact
from aitwin.voice.audio import Samples

BACKENDS = ("rows", "plain")
"""As images of one row with their channels last, or as torch lays sequences out."""
WINS = 0.9
"""Of the time so far: what is tried must need less, else the simpler choice stays. Threads that
gain little are better left to others, and a shared machine swings by as much."""
TAKES = 2
"""Of every trial, after one to warm up; the fastest counts."""
HOPELESS = 3.0
"""Of the time so far: a candidate that needs more when it warms up, or at any take, has lost. Two
threads on two cores that others keep busy need up to a hundred times as long."""
BUDGET = 4.0
"""Seconds of the processor after which no further candidate is tried: an owner waits for it."""
ALIKE = 1e-2
"""Of the loudest sample: by more no correct device differs (1e-3 is usual). Some kernels of young
accelerators are wrong, and fast."""

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux describes the processor."""

Trial: TypeAlias = Callable[[], Samples]
"""Does a little of the work, always the same, and says what came of it."""


@dataclass(frozen=True)
class Placing:
    """A choice. The same seed gives the same samples under the same choice, else nearly so."""

    device: str = "cpu"
    """As torch calls it: "cpu", "mps", "cuda"."""
    threads: int = 1
    """Of the processor, for one sentence."""
    backend: str = BACKENDS[0]
    """How the decoder computes, one of BACKENDS."""

    @contextmanager
    def engaged(self) -> Iterator[None]:
        """Within the block torch computes with `threads`, and nothing is kept to train.

        Several threads of the program may be in such blocks at once: each computes with its own
        number, and the last one that leaves leaves torch as the first one found it.
        """
        import torch

        with _FOUND.kept(self.threads), torch.inference_mode():
            yield


class _Found:
    """How many threads torch had before anybody was engaged.

    Torch keeps a number for each thread of the program, and one for all that are still to come,
    which each setting changes with its own. What a thread finds when it enters may therefore be
    what another one has set for itself: it must not be what is put back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engaged = 0
        self._outside = 0
        self._here = threading.local()

    @contextmanager
    def kept(self, threads: int) -> Iterator[None]:
        """Torch computes with `threads` in this thread until the block ends."""
        import torch

        outer: int | None = getattr(self._here, "threads", None)  # of a block around this one
        with self._lock:
            # Asked in any case: a new thread would else take up at its first operation what another
            # one has set by then.
            found = torch.get_num_threads()
            if not self._engaged:
                self._outside = found
            self._engaged += 1
            torch.set_num_threads(threads)
        self._here.threads = threads
        try:
            yield
        finally:
            self._here.threads = outer
            with self._lock:
                self._engaged -= 1
                torch.set_num_threads(self._outside if outer is None else outer)


_FOUND = _Found()


def choose(note: Path, work: str, prepare: Callable[[Placing], Trial]) -> Placing:
    """The fastest placing here for `work`, as noted in `note`, or else found and noted now.

    `prepare` makes a network ready and gives a trial of it; it is asked for every candidate (some
    seconds each with the official sizes). The note is a small file beside the models, for all
    kinds of work; it is made anew when the machine, torch or this package is another one. A note
    that cannot be read or written is no error: it is measured again next time.
    """
    here = _machine()
    notes = _noted(note, here)
    if work in notes:
        return notes[work]
    found = fastest(prepare, devices(), idle())
    content = {"machine": here, "work": {k: asdict(v) for k, v in {**notes, work: found}.items()}}
    with suppress(OSError):
        artifact.write_private(note, json.dumps(content, indent=1) + "\n")
    return found


def known(note: Path, work: str) -> Placing | None:
    """What `choose` has found here for `work` before; None where it would have to measure."""
    return _noted(note, _machine()).get(work)


def fastest(prepare: Callable[[Placing], Trial], devices: list[str], cores: int) -> Placing:
    """Back ends first, then threads as long as doubling them wins, then other devices.

    What does not run, or says something else than the first candidate, is passed over. Ends early
    when BUDGET is spent.
    """
    spent_before = time.process_time()
    best = Placing()
    trial = prepare(best)
    truth = trial()
    least = _seconds(trial)

    def wins(candidate: Placing) -> bool:
        nonlocal best, least
        if time.process_time() - spent_before > BUDGET:
            return False
        try:
            trial = prepare(candidate)
            began = time.perf_counter()
            said = trial()
        except (RuntimeError, NotImplementedError, TypeError):  # as torch says that it cannot
            return False
        slow = time.perf_counter() - began > HOPELESS * least
        if slow and candidate.device == "cpu":  # accelerators compile at first
            return False
        if not _alike(said, truth):
            return False
        seconds = _seconds(trial, HOPELESS * least)
        won = seconds < WINS * least
        if won:
            best, least = candidate, seconds
        return won

    for backend in BACKENDS[1:]:
        wins(replace(best, backend=backend))
    while 2 * best.threads <= cores and wins(replace(best, threads=2 * best.threads)):
        pass
    for device in devices:
        wins(Placing(device=device, backend="plain"))
    return best


def devices() -> list[str]:
    """The accelerators that torch finds here."""
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name, there in found.items() if there]


def _alike(said: Samples, truth: Samples) -> bool:
    if said.shape != truth.shape or not np.isfinite(said).all():
        return False
    return bool(np.abs(said - truth).max() <= ALIKE * np.abs(truth).max())


def idle() -> int:
    """Cores that nobody else keeps busy, by the last minute's load; at least one.

    Threads on busy ones wait for each other, and burn the processor meanwhile. One of the load is
    this process itself, which has just loaded a network.
    """
    cores = os.cpu_count() or 1
    try:
        return max(1, cores - math.floor(max(0.0, os.getloadavg()[0] - 1)))
    except OSError:  # the system does not tell
        return cores


def _seconds(trial: Trial, hopeless: float = math.inf) -> float:
    """Of the fastest take; no more takes after one that is `hopeless`."""
    times: list[float] = []
    for _ in range(TAKES):
        began = time.perf_counter()
        trial()
        times.append(time.perf_counter() - began)
        if times[-1] > hopeless:
            break
    return min(times)


def _machine() -> dict[str, object]:
    import torch

    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "devices": devices(),
        "cards": [torch.cuda.get_device_name(card) for card in range(torch.cuda.device_count())],
        "torch": str(torch.__version__),
        "aitwin": version("aitwin"),
    }


def _processor() -> str:
    """Its maker's name for it, "Apple M4 Pro": platform.processor() says no more than "arm".

    Not the computer's own name: two alike need not be measured twice, and a Mac is now and then
    renamed by the network that it joins.
    """
    with suppress(OSError, subprocess.SubprocessError):
        if platform.system() == "Darwin":
            asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            said = subprocess.run(  # noqa: S603 - no word of it comes from outside
                asked, capture_output=True, text=True, timeout=5, check=True
            )
            return said.stdout.strip()
        with CPUINFO.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    return platform.processor()


def _noted(note: Path, here: dict[str, object]) -> dict[str, Placing]:
    """What was found on this very machine; nothing for a note that is not ours to trust."""
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        if content["machine"] != here:
            return {}
        found = {str(work): Placing(**choice) for work, choice in content["work"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    known = {"cpu", *devices()}
    return {
        work: choice
        for work, choice in found.items()
        if choice.device in known
        and choice.backend in BACKENDS
        and isinstance(choice.threads, int)
        and 1 <= choice.threads <= (os.cpu_count() or 1)
    }
