"""Many threads to pairs, on all cores: most of the time of a build goes into cleaning mail.

What becomes of one thread is said in pairs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from aitwin.corpus import cores, pairs
from aitwin.corpus.messages import Owner, Thread
from aitwin.corpus.pairs import Pair
from aitwin.corpus.report import Losses

BATCH = 1 << 19
"""Characters of threads that one process takes at a time."""
ALONE = 4 << 20
"""Characters under which other processes would take longer to start than they save."""


def from_threads(
    threads: Sequence[Thread],
    owner: Owner,
    dropped: Losses,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Pair]:
    """The pairs of threads, in their order; what gave none is counted in `dropped`.

    `on_progress` is told how many threads are done, and of how many.
    """
    alone = sum(map(_length, threads)) < ALONE
    batches = list(_batches(threads))
    results = cores.in_order(partial(_pair, owner), batches, alone=alone)
    done = 0
    for batch, (found, lost) in zip(batches, results, strict=True):
        yield from found
        dropped.take(lost)
        done += len(batch)
        on_progress(done, len(threads))


def _pair(owner: Owner, threads: Sequence[Thread]) -> tuple[list[Pair], Losses]:
    lost = Losses()
    return [pair for thread in threads for pair in pairs.from_thread(thread, owner, lost)], lost


def _batches(threads: Iterable[Thread]) -> Iterator[list[Thread]]:
    batch: list[Thread] = []
    size = 0
    for thread in threads:
        batch.append(thread)
        size += _length(thread)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _length(thread: Thread) -> int:
    return sum(len(message.text) for message in thread.messages)
