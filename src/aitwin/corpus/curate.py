"""Which pairs are worth learning from: gates that each count what they stop, then a diverse choice.

The choice is deterministic, keeps the owner's own shares of mail and chat and of short and long
replies, and never looks at more than these numbers. Does not judge the owner's language or taste.
"""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from aitwin.corpus.pairs import Pair
from aitwin.corpus.report import lose
from aitwin.errors import TwinError

if TYPE_CHECKING:
    import numpy as np

SIZE = 1000
"""Pairs of a full set (C3). More cost hours and teach rank 8 little (Panza: 128-1,000)."""
FEWEST = 200
"""Below, an adapter learns phrases by heart instead of a style (C3)."""
MAIL_WORDS = (2, 400)
CHAT_WORDS = (1, 200)
FRAGMENT_WORDS = 2
"""A reply of this many words or fewer shows a habit, but little style: "ok", "haha yes"."""
FRAGMENT_SHARE = 0.1
"""Fragments in the set at most, as a share of all pairs that pass: rare enough not to rule it."""
SAME_REPLY_MOST = 3
"""How often one and the same short reply is kept, whatever it answers: "Done."."""
PROSE_SHARE = 0.6
"""Letters, digits' words and spaces in a reply at least; logs, patches and tables have fewer."""
LENGTH_BANDS = 4
"""Quarters of the replies by length; the choice keeps their sizes."""
STRATUM_MOST = 4000
"""Pairs compared with each other at once: 4,000 x 4,000 similarities take 64 MB."""
FEATURES = 2048
GRAM = 4  # characters

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# Scripts without spaces: a word is about two characters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class Choice:
    """What the owner may decide about the set."""

    size: int = SIZE
    seed: int = 0
    allow_small: bool = False
    """Build a set under FEWEST, too."""

    def __post_init__(self) -> None:
        """Refuse a size that makes no set."""
        if self.size < FEWEST and not self.allow_small:
            raise TwinError(
                f"a set of {self.size} pairs is too small to learn a style from; "
                f"ask for {FEWEST} or more, or build anyway with --allow-small"
            )


def words(text: str) -> int:
    """How many words, also where a script does not part them."""
    unspaced = len(_UNSPACED.findall(text))
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + (unspaced + 1) // 2


def gate(pairs: Sequence[Pair], dropped: Counter[str]) -> list[Pair]:
    """The pairs that can teach something, in their order; the others counted by reason.

    A pinned one passes whatever is a matter of taste: all but a reply without a word.
    """
    passed = []
    for pair in pairs:
        if (reason := _unfit(pair)) and not (pair.pinned and words(pair.reply)):
            lose(dropped, reason, pair.id)
        else:
            passed.append(pair)
    return _without_excess(passed, dropped)


def _unfit(pair: Pair) -> str:
    fewest, most = MAIL_WORDS if pair.channel == "mail" else CHAT_WORDS
    count = words(pair.reply)
    if count < fewest:
        return "reply without a word" if count == 0 else f"reply under {fewest} words"
    if count > most:
        return f"reply over {most} words"
    if pair.channel == "chat" and not pair.incoming:
        return "chat reply without context"
    if _prose_share(pair.reply) < PROSE_SHARE:
        return "reply is mostly code, logs or tables"
    return ""


def _prose_share(text: str) -> float:
    """The part of a text that stands in lines of words, weighted by their length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    prose = sum(len(line) for line in lines if _is_prose(line))
    return prose / max(1, sum(map(len, lines)))


def _is_prose(line: str) -> bool:
    if re.match(r"(?:[+-]{1,3}|@@|diff |\$ |# |//|/\*|\}|index [0-9a-f]{7})\s?\S*", line) and (
        re.search(r"[;{}=()]|^(?:diff|index|@@|---|\+\+\+)", line)
    ):
        return False
    wordy = sum(c.isalpha() or c.isspace() or c in ".,'’" for c in line)
    return wordy >= 0.75 * len(line) and not line.endswith((";", "{", "}"))


def _without_excess(pairs: list[Pair], dropped: Counter[str]) -> list[Pair]:
    """Leave out repetitions of one short reply, then fragments above their share, newest kept."""
    same: Counter[str] = Counter()
    room = int(FRAGMENT_SHARE * len(pairs))
    left_out = set()
    ranked = sorted(pairs, key=lambda p: (not p.pinned, -p.sent_at.timestamp(), p.id))
    for pair in ranked:
        plain = " ".join(_WORD.findall(pair.reply.casefold()))
        same[plain] += 1
        fragment = words(pair.reply) <= FRAGMENT_WORDS
        reason = ""
        if same[plain] > SAME_REPLY_MOST:
            reason = f"the same reply more than {SAME_REPLY_MOST} times"
        elif fragment and room <= 0:
            reason = f"fragments ({FRAGMENT_WORDS} words or fewer) above their share"
        if reason and not pair.pinned:
            lose(dropped, reason, pair.id)
            left_out.add(pair.id)
        else:
            room -= fragment
    return [pair for pair in pairs if pair.id not in left_out]


def require_enough(pairs: Sequence[Pair], came_from: str, *, allow_small: bool = False) -> None:
    """Refuse a set that is too small to learn a style from (C3)."""
    if len(pairs) >= FEWEST or (allow_small and pairs):
        return
    channels = Counter(pair.channel for pair in pairs)
    remedy = "" if not pairs else ", or build anyway with --allow-small"
    raise TwinError(
        f"{len(pairs)} usable pairs ({channels['mail']} from mail, {channels['chat']} from chats) "
        f"from {came_from}; {FEWEST - len(pairs)} more are needed. Add another export "
        "(twin corpus add PATH), or another address or chat name of yours (twin init)" + remedy
    )


def choose(pairs: Sequence[Pair], size: int = SIZE, seed: int = 0) -> list[Pair]:
    """Up to `size` pairs that together resemble all of them, oldest first; the pinned are in.

    Each channel and each quarter by length keeps its share; within, facility location: a pair is
    chosen for how many others are closer to it than to any chosen before. So topics are covered
    in proportion, and odd ones out (which k-centre collects) are not preferred.
    """
    if len(pairs) > size:
        by_hand = [pair for pair in pairs if pair.pinned]
        if len(by_hand) > size:
            raise TwinError(
                f"{len(by_hand)} pairs are pinned, but the set is to have {size}; "
                f"ask for --size {len(by_hand)}, or unmark some (twin dataset unmark ID …)"
            )
        pairs = [pair for pair in pairs if not pair.pinned]
        size -= len(by_hand)
        strata = _strata(pairs)
        quotas = _quotas([len(stratum) for stratum in strata], size)
        pairs = [
            pair
            for stratum, quota in zip(strata, quotas, strict=True)
            for pair in _cover(_thinned(stratum, seed), quota)
        ] + by_hand
    return sorted(pairs, key=lambda pair: (pair.sent_at, pair.id))


def _strata(pairs: Sequence[Pair]) -> list[list[Pair]]:
    strata = []
    for channel in ("mail", "chat"):
        ranked = sorted(
            (pair for pair in pairs if pair.channel == channel),
            key=lambda pair: (len(pair.reply), pair.id),
        )
        cuts = [len(ranked) * band // LENGTH_BANDS for band in range(LENGTH_BANDS + 1)]
        strata += [ranked[cuts[band] : cuts[band + 1]] for band in range(LENGTH_BANDS)]
    return strata


def _quotas(sizes: list[int], total: int) -> list[int]:
    """`total` shared out in proportion to `sizes`; the largest remainders get what is over."""
    everything = sum(sizes)
    quotas = [total * size // everything for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % everything), i))
    for i in by_remainder[: total - sum(quotas)]:
        quotas[i] += 1
    return quotas


def _thinned(pairs: list[Pair], seed: int) -> list[Pair]:
    """At most STRATUM_MOST pairs, by a hash: nobody's favourites, the same ones every time."""
    if len(pairs) <= STRATUM_MOST:
        return pairs
    return sorted(pairs, key=lambda p: (zlib.crc32(f"{seed}{p.id}".encode()), p.id))[:STRATUM_MOST]


def _cover(pairs: list[Pair], quota: int) -> list[Pair]:
    """Greedy facility location; gains only fall, so a stale one is looked at only when on top."""
    import numpy as np

    if quota >= len(pairs):
        return pairs
    vectors = _vectors(pairs)
    similarity = np.maximum(vectors @ vectors.T, 0)
    covered = np.zeros(len(pairs), np.float32)
    gains = [(-float(gain), i) for i, gain in enumerate(similarity.sum(axis=0))]
    heapify(gains)
    chosen: list[int] = []
    while len(chosen) < quota:
        _, best = heappop(gains)
        gain = float(np.maximum(similarity[best] - covered, 0).sum())
        if gains and -gain > gains[0][0] + 1e-6:
            heappush(gains, (-gain, best))
            continue
        chosen.append(best)
        np.maximum(covered, similarity[best], out=covered)
    return [pairs[i] for i in chosen]


def _vectors(pairs: list[Pair]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """TF-IDF of hashed character n-grams of reply and incoming text, [pairs, FEATURES], norm 1."""
    import numpy as np

    counts = np.zeros((len(pairs), FEATURES), np.float32)
    for row, pair in enumerate(pairs):
        # The reply counts most; the start of the incoming text gives its topic.
        for text, weight in ((pair.reply, 2), (pair.instruction, 1), (pair.incoming[:500], 1)):
            plain = " ".join(text.casefold().split()).encode()
            for i in range(len(plain) - GRAM + 1):
                counts[row, zlib.crc32(plain[i : i + GRAM]) % FEATURES] += weight
    weighted = np.sqrt(counts) * np.log((1 + len(pairs)) / (1 + (counts > 0).sum(axis=0)))
    norms = np.linalg.norm(weighted, axis=1, keepdims=True)
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]] = weighted / np.maximum(norms, 1e-9)
    return vectors.astype(np.float32)
