"""The second pass over mail files: the mails that matter are read whole, on all cores.

What matters are the owner's own mails and those that they answer; the rest of a mailbox stays
listed only (see listing). Each batch is kept as it is done, so work that was cut short goes on.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aitwin.corpus import cores, mail, store
from aitwin.corpus.messages import Owner
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Place, Row, Store
from aitwin.errors import TwinError

BATCH = 4 << 20
"""Bytes of mail that are read at a time: what is kept at once when the work is cut short."""
MOST = 500
"""Mails that are read at a time, however short."""
ALONE = 16 << 20
"""Bytes under which other processes would take longer to start than they save."""


@dataclass(frozen=True)
class Read:
    """What became of the mails that matter."""

    read: int
    gone: dict[Path, int] = field(default_factory=dict)
    """Mails that do not lie any more where they were listed, by file."""


def remark(gone: Mapping[Any, int]) -> str:
    """What to tell the owner about mails that are gone, by file; empty if there are none."""
    if not gone:
        return ""
    return (
        f"{sum(gone.values()):,} mails that matter are no longer in {', '.join(map(str, gone))}; "
        "put the file back where it was, or add it from where it is now (twin corpus add)"
    )


class _Whole(NamedTuple):
    """What came of a batch."""

    rows: list[tuple[int, Row]]
    gone: Counter[Path]
    skipped: dict[Path, Skipped]


def what_matters(
    kept: Store, owner: Owner, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Read:
    """Read the owner's mails and what they answer, as far as they are not read yet.

    `on_progress` is told how many bytes are done, and of how many.
    """
    gone: Counter[Path] = Counter()
    read = done = 0
    for pick in (kept.unread_own, kept.unread_parents):
        batches = list(_batches(pick(owner)))
        sizes = [sum(place.length for place in batch) for batch in batches]
        total = done + sum(sizes)
        on_progress(done, total)
        wholes = cores.in_order(_read, batches, alone=total - done < ALONE)
        for whole, size in zip(wholes, sizes, strict=True):
            kept.fill(whole.rows, whole.skipped)
            read += len(whole.rows)
            gone += whole.gone
            done += size
            on_progress(done, total)
    return Read(read, dict(gone))


def _batches(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Places in their order, in lists of up to BATCH bytes and MOST mails."""
    batch: list[Place] = []
    size = 0
    for place in places:
        if batch and (size >= BATCH or len(batch) >= MOST):
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += place.length
    if batch:
        yield batch


def _read(batch: list[Place]) -> _Whole:
    rows: list[tuple[int, Row]] = []
    gone: Counter[Path] = Counter()
    passed_over: dict[Path, Skipped] = {}
    for path, group in itertools.groupby(batch, key=lambda place: place.path):
        skipped, places, before = Skipped(), list(group), len(rows)
        spans = [(place.offset, place.length) for place in places]
        try:
            for place, message in zip(places, mail.fetch(path, spans, skipped), strict=True):
                if message is not None and message.id == place.id:
                    rows.append((place.number, store.whole_row(message)))
        except (TwinError, OSError):
            pass  # the file is gone, or is no mail any more: what was read of it counts
        gone[path] = len(places) - (len(rows) - before)
        if skipped.total:
            passed_over[path] = skipped
    return _Whole(rows, +gone, passed_over)
