"""What is left out on the way: reasons, counts, places and ids. Never a word of a message."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PLACES_KEPT = 100
"""Places remembered per reason: enough to look them up, too few to fill the memory."""


@dataclass
class Skipped:
    """Counts what a reader passes over, and remembers where the first of each kind are."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """Locators such as `all.mbox@10240` (file and byte) by reason: the first `PLACES_KEPT`."""

    def add(self, reason: str, where: str) -> None:
        """Count one thing that was passed over at `where`."""
        self.counts[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < PLACES_KEPT:
            places.append(where)

    def take(self, other: "Skipped") -> None:
        """Add what another part of the work passed over."""
        for reason, count in other.counts.items():
            self.counts[reason] += count
            places = self.places.setdefault(reason, [])
            places += other.places.get(reason, [])[: PLACES_KEPT - len(places)]

    @property
    def total(self) -> int:
        """How many things were passed over, for any reason."""
        return self.counts.total()


class Losses(Counter[str]):
    """Counts by reason that also remember what was lost for it, by id."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}
        """Id of a message or pair -> why it was left out."""

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: a Counter by itself would lose the reasons."""
        return (_losses, (dict(self), self.reasons))

    def take(self, other: "Losses") -> None:
        """Add what another part of the work lost."""
        self.update(other)
        self.reasons |= other.reasons


def _losses(counts: dict[str, int], reasons: dict[str, str]) -> Losses:
    losses = Losses()
    losses.update(counts)
    losses.reasons = reasons
    return losses


def lose(dropped: Counter[str], reason: str, what: str) -> None:
    """Count the loss of the message or pair with the id `what`."""
    dropped[reason] += 1
    if isinstance(dropped, Losses):
        dropped.reasons[what] = reason
