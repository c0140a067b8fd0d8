"""Near-identical texts, by MinHash LSH and the true Jaccard similarity (C5).

MinHash only proposes: every candidate is compared for real, so nothing below the threshold is
ever dropped. What a missed proposal leaves in does little harm (measured: none in 86,000).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from aitwin.corpus.pairs import Pair

THRESHOLD = 0.85
SHINGLE = 5  # characters: words would see nothing in "on my way", and not exist in Chinese
PERMUTATIONS, BANDS = 128, 16
"""8 rows a band: a pair at 0.85 is proposed with probability 1 - (1 - 0.85**8)**16 = 99.4 %."""
MARGIN = 0.1
"""How far a sketch's estimate may be under the threshold before it is believed."""
SHORT_REPLY = 24
"""Characters. "Yes." and "Done, thanks." are how people write, not copies: replies this short
are the same pair only when what they answer is the same too."""


def shingles(text: str) -> frozenset[str]:
    """What similarity is measured on: runs of characters, without regard to case and spacing."""
    plain = f" {' '.join(text.casefold().split())} "
    return frozenset(plain[i : i + SHINGLE] for i in range(max(1, len(plain) - SHINGLE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles over all shingles."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class Sketched(NamedTuple):
    """A text made ready for comparison."""

    shingles: frozenset[str]
    sketch: Any
    """rensa.RMinHash"""


def sketched(text: str) -> Sketched:
    """The costly half of a comparison, done once for each text."""
    from rensa import RMinHash

    these = shingles(text)
    sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update(list(these))  # in any order: the sketch is of a set
    return Sketched(these, sketch)


class Index:
    """Texts by number, to be asked for one that another text nearly repeats."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        from rensa import RMinHashLSH  # MIT, no dependencies; see docs/benchmarks.md

        self._threshold = threshold
        self._lsh = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=BANDS)
        self._texts: dict[int, Sketched] = {}

    def add(self, number: int, text: Sketched) -> None:
        """Remember a text."""
        self._texts[number] = text
        self._lsh.insert(number, text.sketch)

    def like(self, text: Sketched) -> int | None:
        """The lowest number whose text reaches the threshold with this one."""
        for number in sorted(self._lsh.query(text.sketch)):
            other = self._texts[number]
            # Ten times cheaper than the truth, and off by 0.03 (one sigma) at 0.85.
            if text.sketch.jaccard(other.sketch) < self._threshold - MARGIN:
                continue
            if jaccard(text.shingles, other.shingles) >= self._threshold:
                return int(number)
        return None


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[list[int]]:
    """Groups of two or more near-identical texts, as positions in `texts`.

    The first of a group stands for it: it is the earliest in the order given, and each of the
    others reaches the threshold with it. Similarity is not passed on: "a like b, b like c" does
    not make c a copy of a.
    """
    groups: dict[int, list[int]] = {}
    for position, original in originals(texts, threshold):
        if original != position:
            groups.setdefault(original, [original]).append(position)
    return list(groups.values())


def originals(texts: Sequence[str], threshold: float = THRESHOLD) -> Iterator[tuple[int, int]]:
    """Each position with that of the earlier text that it repeats, or with its own."""
    seen = Index(threshold)
    for position, text in enumerate(texts):
        ready = sketched(text)
        original = seen.like(ready)
        if original is None:
            seen.add(position, ready)
        yield position, position if original is None else original


def without_copies(
    pairs: Sequence[Pair], dropped: Collection[str] = ()
) -> tuple[list[Pair], list[list[Pair]]]:
    """The pairs whose replies differ, in their order, and the groups that they stand for.

    Of near-identical replies the best contexted stays: the one with the longest incoming text,
    then the newest. Pinned pairs all stay. Those whose ids are `dropped` go, and take with them
    what nearly repeats them: what the owner struck out must not return as its copy.
    """
    ranked = sorted(
        pairs,
        key=lambda p: (
            not p.pinned,
            p.id not in dropped,
            -len(p.incoming),
            -p.sent_at.timestamp(),
            p.id,
        ),
    )
    long = [pair for pair in ranked if len(pair.reply) >= SHORT_REPLY]
    groups = [[long[i] for i in group] for group in near_duplicates([p.reply for p in long])]
    by_reply: dict[str, list[Pair]] = {}
    for pair in ranked:
        if len(pair.reply) < SHORT_REPLY:
            by_reply.setdefault(" ".join(pair.reply.casefold().split()), []).append(pair)
    for same in by_reply.values():
        contexts = [f"{pair.instruction}\n{pair.incoming}" for pair in same]
        groups += [[same[i] for i in group] for group in near_duplicates(contexts)]
    copies = {pair.id for group in groups for pair in group[1:] if not pair.pinned}
    return [pair for pair in pairs if pair.id not in copies and pair.id not in dropped], groups
