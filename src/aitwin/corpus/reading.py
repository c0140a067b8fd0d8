"""The second pass over mail files: the mails that matter are read whole, on all cores.

What matters are the owner's own mails and those that they answer; the rest of a mailbox stays
listed only (see listing). Each batch is kept as it is done, so work that was cut short goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aitwin.corpus import cores, mail, store
from aitwin.corpus.messages import Owner
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Place, Row, Store
from aitwin.errors import TwinError

BATCH = 4 << 20
"""Bytes of mail that are read at a time: what is kept at once when the work is cut short."""
ALONE = 16 << 20
"""Bytes under which other processes would take longer to start than they save."""


@dataclass(frozen=True)
class Read:
    """What became of the mails that matter."""

    read: int
    gone: dict[Path, int] = field(default_factory=dict)
    """Mails that do not lie any more where they were listed, by file."""


def remark(gone: Mapping[Path, int]) -> str:
    """What to tell the owner about mails that are gone; empty if there are none."""
    if not gone:
        return ""
    return (
        f"{sum(gone.values()):,} mails that matter are no longer in {', '.join(map(str, gone))}; "
        "put the file back where it was, or add it from where it is now (twin corpus add)"
    )


class _Batch(NamedTuple):
    path: Path
    places: Sequence[Place]


class _Whole(NamedTuple):
    path: Path
    rows: list[tuple[int, Row]]
    gone: int
    skipped: Skipped


def what_matters(
    kept: Store, owner: Owner, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Read:
    """Read the owner's mails and what they answer, as far as they are not read yet.

    `on_progress` is told how many bytes are done, and of how many.
    """
    gone: dict[Path, int] = {}
    read = done = 0
    for pick in (kept.unread_own, kept.unread_parents):
        places = pick(owner)
        total = done + sum(place.length for place in places)
        on_progress(done, total)
        sizes = (sum(place.length for place in batch.places) for batch in _batches(places))
        alone = total - done < ALONE
        for whole, size in zip(
            cores.in_order(_read, _batches(places), alone=alone), sizes, strict=True
        ):
            kept.fill(whole.rows, {whole.path: whole.skipped} if whole.skipped.total else {})
            read += len(whole.rows)
            if whole.gone:
                gone[whole.path] = gone.get(whole.path, 0) + whole.gone
            done += size
            on_progress(done, total)
    return Read(read, gone)


def _batches(places: Iterable[Place]) -> Iterator[_Batch]:
    """Places of one file each, in their order, up to BATCH bytes."""
    batch: list[Place] = []
    size = 0
    for place in places:
        if batch and (place.path != batch[0].path or size >= BATCH):
            yield _Batch(batch[0].path, batch)
            batch, size = [], 0
        batch.append(place)
        size += place.length
    if batch:
        yield _Batch(batch[0].path, batch)


def _read(batch: _Batch) -> _Whole:
    skipped = Skipped()
    rows: list[tuple[int, Row]] = []
    spans = [(place.offset, place.length) for place in batch.places]
    try:
        for place, message in zip(
            batch.places, mail.fetch(batch.path, spans, skipped), strict=True
        ):
            if message is not None and message.id == place.id:
                rows.append((place.number, store.whole_row(message)))
    except TwinError:  # the file is gone, or is no mail any more: what was read of it counts
        pass
    return _Whole(batch.path, rows, len(batch.places) - len(rows), skipped)
