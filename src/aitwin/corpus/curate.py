"""Which pairs are worth learning from: gates that each count what they stop, then a diverse choice.

The choice is deterministic and keeps the owner's own shares: of mail and chat, of short and long
replies, of formal and informal ones, of people and of times. Does not judge the owner's taste.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from aitwin.corpus import languages, pasted, register
from aitwin.corpus import words as wording
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
CHAT_WORDS = (0, 200)
FRAGMENT_WORDS = 2
"""A reply of this many words or fewer shows a habit, but little style: "ok", "haha yes"."""
FRAGMENT_SHARE = 0.1
"""Fragments at most, as a share of the pairs that pass: rare enough not to rule the set."""
SAME_REPLY_MOST = 3
"""How often one and the same short reply is kept, whatever it answers: "Done."."""
PASTED_SHARE = 0.5
"""Code, logs and tables in a reply at most (see pasted)."""
OTHER_LANGUAGE = "reply in another language"
REASONS = 4
"""Reasons that a refusal names, the commonest."""
LENGTH_BANDS = 4
"""Quarters of the replies by length; the choice keeps their sizes."""
STEPS = 8
"""Parts of such a quarter by length, and by time, none of which gets more than its share."""
STRATUM_MOST = 4000
"""Pairs compared with each other at once: 4,000 x 4,000 similarities take 64 MB."""
FEATURES = 2048
GRAM = 4  # bytes

words = wording.count


@dataclass(frozen=True)
class Choice:
    """What the owner may decide about the set."""

    size: int = SIZE
    seed: int = 0
    allow_small: bool = False
    """Build a set under FEWEST, too."""
    languages: tuple[str, ...] = ()
    """Codes of the languages whose replies are taken ("en"); none: all of them."""
    mail_share: float | None = None
    """Mails in the set, which is the smaller for it if need be; None: as the owner writes."""

    def __post_init__(self) -> None:
        """Refuse a size that makes no set, and a share that is none."""
        if self.mail_share is not None and not 0 <= self.mail_share <= 1:
            raise TwinError(f"a mail share of {self.mail_share:g} is not within 0 to 1")
        if self.size < FEWEST and not self.allow_small:
            raise TwinError(
                f"a set of {self.size} pairs is too small to learn a style from; "
                f"ask for {FEWEST} or more, or build anyway with --allow-small"
            )


def gate(pairs: Sequence[Pair], dropped: Counter[str], wanted: Sequence[str] = ()) -> list[Pair]:
    """The pairs that can teach something, in their order; the others counted by reason.

    `wanted` are the codes of languages; without any, all are. A pinned pair passes whatever is a
    matter of taste: all but a reply without a word.
    """
    passed = []
    for pair in pairs:
        reason = _unfit(pair)
        if not reason and wanted and not languages.wanted(pair.language, wanted):
            reason = f"{OTHER_LANGUAGE} ({pair.language})"
        if reason and not (pair.pinned and _says_something(pair)):
            lose(dropped, reason, pair.id)
        else:
            passed.append(pair)
    return _without_excess(passed, dropped)


def _unfit(pair: Pair) -> str:
    fewest, most = MAIL_WORDS if pair.channel == "mail" else CHAT_WORDS
    count = words(pair.reply)
    if not _says_something(pair):
        return "reply without a word"
    if count < fewest:
        return f"reply under {fewest} words"
    if count > most:
        return f"reply over {most} words"
    if pair.channel == "chat" and not pair.incoming:
        return "chat reply without context"
    if pasted.share(pair.reply) > PASTED_SHARE:
        return "reply is mostly code, logs or tables"
    return ""


def _says_something(pair: Pair) -> bool:
    """Whether a reply has a word; in a chat, an emoji is one."""
    return bool(words(pair.reply)) or (pair.channel == "chat" and wording.has_emoji(pair.reply))


def _without_excess(pairs: list[Pair], dropped: Counter[str]) -> list[Pair]:
    """Leave out repetitions of one short reply, then fragments above their share, newest kept."""
    ranked = sorted(pairs, key=lambda p: (not p.pinned, -p.sent_at.timestamp(), p.id))
    same: Counter[str] = Counter()
    repeated, fragments = [], []
    for pair in ranked:
        plain = " ".join(wording.found(pair.reply.casefold())) or pair.reply.strip()
        same[plain] += 1
        if same[plain] > SAME_REPLY_MOST and not pair.pinned:
            repeated.append(pair)
        elif words(pair.reply) <= FRAGMENT_WORDS:
            fragments.append(pair)
    # A share of what stays, the fragments included: of a chat that is mostly "ok", few do.
    others = len(pairs) - len(repeated) - len(fragments)
    room = int(others * FRAGMENT_SHARE / (1 - FRAGMENT_SHARE) + 1e-9)
    excess = [pair for pair in fragments[room:] if not pair.pinned]
    for pair in repeated:
        lose(dropped, f"the same reply more than {SAME_REPLY_MOST} times", pair.id)
    for pair in excess:
        lose(dropped, f"fragments ({FRAGMENT_WORDS} words or fewer) above their share", pair.id)
    left_out = {pair.id for pair in (*repeated, *excess)}
    return [pair for pair in pairs if pair.id not in left_out]


def require_enough(
    pairs: Sequence[Pair],
    came_from: str,
    lost: Mapping[str, int] | None = None,
    *,
    allow_small: bool = False,
) -> None:
    """Refuse a set that is too small to learn a style from (C3), and say what was lost for what."""
    if len(pairs) >= FEWEST or (allow_small and pairs):
        return
    channels = Counter(pair.channel for pair in pairs)
    remedy = "" if not pairs else ", or build anyway with --allow-small"
    commonest = Counter(lost or {}).most_common(REASONS)
    why = "; ".join(f"{count} {reason}" for reason, count in commonest if count)
    another = any(reason.startswith(OTHER_LANGUAGE) for reason, _ in commonest)
    begin = "Take other languages, too (--language), add" if another else "Add"
    raise TwinError(
        f"{len(pairs)} usable pairs ({channels['mail']} from mail, {channels['chat']} from chats) "
        f"from {came_from}; {FEWEST - len(pairs)} more are needed. "
        + (f"Left out: {why}. " if why else "")
        + f"{begin} another export (twin corpus add PATH), or another address or chat name of "
        f"yours (twin init){remedy}"
    )


def choose(
    pairs: Sequence[Pair], size: int = SIZE, seed: int = 0, mail_share: float | None = None
) -> list[Pair]:
    """Up to `size` pairs that together resemble all of them, oldest first; the pinned are in.

    Each channel and each quarter by length keeps its share. Within, greedy facility location: a
    pair is chosen for how many others are closer to it than to any chosen before, so topics are
    covered in proportion, and odd ones out (which k-centre collects) are not preferred. Nobody,
    no time, no register and no length gets more than its own share of a quarter, rounded up.
    """
    mail = [pair for pair in pairs if pair.channel == "mail"]
    chat = [pair for pair in pairs if pair.channel == "chat"]
    by_hand = [pair for pair in pairs if pair.pinned]
    if len(by_hand) > size:
        raise TwinError(
            f"{len(by_hand)} pairs are pinned, but the set is to have {size}; "
            f"ask for --size {len(by_hand)}, or unmark some (twin dataset unmark ID …)"
        )
    mails, chats = _totals(len(mail), len(chat), size, mail_share)
    pinned = Counter(pair.channel for pair in by_hand)
    mails, chats = max(mails, pinned["mail"]), max(chats, pinned["chat"])
    over = max(0, mails + chats - size)
    fewer = min(over, mails - pinned["mail"])
    chosen = list(by_hand)
    for channel, total in ((mail, mails - fewer), (chat, chats - over + fewer)):
        rest = [pair for pair in channel if not pair.pinned]
        chosen += _chosen(rest, total - (len(channel) - len(rest)), seed)
    return sorted(chosen, key=lambda pair: (pair.sent_at, pair.id))


def why_not(chosen: int, usable: int, choice: Choice) -> str:
    """Why a usable pair is not among the `chosen`."""
    if choice.mail_share is not None and chosen < min(usable, choice.size):
        return f"left out for a mail share of {choice.mail_share:g}"
    return "not among the chosen"


def require_share(chosen: Sequence[Pair], choice: Choice) -> None:
    """Refuse a set that the wished share of mails makes too small to learn from (C3)."""
    if len(chosen) >= FEWEST or choice.mail_share is None or (choice.allow_small and chosen):
        return
    channels = Counter(pair.channel for pair in chosen)
    remedy = ", or build anyway with --allow-small" if chosen else ""
    raise TwinError(
        f"a mail share of {choice.mail_share:g} leaves {len(chosen)} pairs ({channels['mail']} "
        f"from mail, {channels['chat']} from chats); {FEWEST} are needed. Ask for another "
        f"--mail-share, or add more of what is scarce (twin corpus add PATH){remedy}"
    )


def _totals(mails: int, chats: int, size: int, mail_share: float | None) -> tuple[int, int]:
    """How many of each channel: a share that is asked for is kept, and the set smaller for it."""
    if mail_share is None:
        total = min(size, mails + chats)
        of_mail = round(total * mails / max(1, mails + chats))
        return of_mail, total - of_mail
    limits = [size]
    limits += [int(mails / mail_share + 1e-9)] if mail_share > 0 else []
    limits += [int(chats / (1 - mail_share) + 1e-9)] if mail_share < 1 else []
    of_mail = min(mails, round(min(limits) * mail_share))
    return of_mail, min(chats, min(limits) - of_mail)


def _chosen(pairs: list[Pair], total: int, seed: int) -> list[Pair]:
    """So many of one channel's."""
    if total >= len(pairs):
        return pairs
    strata = _strata(pairs)
    quotas = _quotas([len(stratum) for stratum in strata], total)
    chosen = []
    for stratum, quota in zip(strata, quotas, strict=True):
        chosen += _cover(_thinned(stratum, seed), quota)
    return chosen


def _strata(pairs: list[Pair]) -> list[list[Pair]]:
    """The quarters of one channel by length of the reply, shortest first."""
    return _bands(sorted(pairs, key=lambda pair: (len(pair.reply), pair.id)), LENGTH_BANDS)


def _bands(ranked: list[Pair], bands: int) -> list[list[Pair]]:
    cuts = [len(ranked) * band // bands for band in range(bands + 1)]
    return [ranked[cuts[band] : cuts[band + 1]] for band in range(bands)]


def _quotas(sizes: list[int], total: int) -> list[int]:
    """`total` shared out in proportion to `sizes`; the largest remainders get what is over."""
    everything = max(1, sum(sizes))
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
    """Greedy facility location; gains only fall, so a stale one is looked at only when on top.

    A pair that would give a group more than its share waits until no other is left.
    """
    import numpy as np

    if quota >= len(pairs):
        return pairs
    vectors = _vectors(pairs)
    similarity = np.maximum(vectors @ vectors.T, 0)
    covered = np.zeros(len(pairs), np.float32)
    gains = [(-float(gain), i) for i, gain in enumerate(similarity.sum(axis=0))]
    heapify(gains)
    groups = _groups(pairs)
    room = _shares(groups, quota)
    chosen: list[int] = []
    waiting: list[tuple[float, int]] = []
    while len(chosen) < quota:
        if not gains:
            # What waits fits nowhere: shares of a few do not always add up to the quota.
            gains, waiting = waiting, []
            heapify(gains)
            room.update(dict.fromkeys(room, quota))
        stale, best = heappop(gains)
        if any(room[group] <= 0 for group in groups[best]):
            waiting.append((stale, best))
            continue
        gain = float(np.maximum(similarity[best] - covered, 0).sum())
        if gains and -gain > gains[0][0] + 1e-6:
            heappush(gains, (-gain, best))
            continue
        chosen.append(best)
        room.subtract(groups[best])
        np.maximum(covered, similarity[best], out=covered)
    return [pairs[i] for i in chosen]


def _groups(pairs: list[Pair]) -> list[list[str]]:
    """What each pair is one of: people, a time, a register, a length."""
    place = {pair.id: number for number, pair in enumerate(pairs)}
    groups = [
        [f"register {register.of(pair.reply)}", *(f"person {name}" for name in set(pair.people))]
        for pair in pairs
    ]
    by_time = sorted(pairs, key=lambda pair: (pair.sent_at, pair.id))
    by_length = sorted(pairs, key=lambda pair: (len(pair.reply), pair.id))
    for what, ranked in (("time", by_time), ("length", by_length)):
        for number, band in enumerate(_bands(ranked, STEPS)):
            for pair in band:
                groups[place[pair.id]].append(f"{what} {number}")
    return groups


def _shares(groups: list[list[str]], quota: int) -> Counter[str]:
    """How many of each group may be chosen: its share of all, rounded up."""
    sizes = Counter(group for these in groups for group in these)
    return Counter({group: -(-size * quota // len(groups)) for group, size in sizes.items()})


def _vectors(pairs: list[Pair]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """TF-IDF of hashed character n-grams of reply and incoming text, [pairs, FEATURES], norm 1."""
    import numpy as np

    counts = np.zeros((len(pairs), FEATURES), np.float32)
    for row, pair in enumerate(pairs):
        # The reply counts most; the start of the incoming text gives its topic.
        for text, weight in ((pair.reply, 2), (pair.instruction, 1), (pair.incoming[:500], 1)):
            counts[row] += weight * np.bincount(_grams(text), minlength=FEATURES)
    weighted = np.sqrt(counts) * np.log((1 + len(pairs)) / (1 + (counts > 0).sum(axis=0)))
    norms = np.linalg.norm(weighted, axis=1, keepdims=True)
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]] = weighted / np.maximum(norms, 1e-9)
    return vectors.astype(np.float32)


def _grams(text: str) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
    """The runs of GRAM bytes of a text, each as the number of its feature."""
    import numpy as np

    plain = np.frombuffer(" ".join(text.casefold().split()).encode(errors="replace"), np.uint8)
    grams = np.zeros(max(0, len(plain) - GRAM + 1), np.uint32)
    for place in range(GRAM):
        grams = grams << np.uint32(8) | plain[place : place + len(grams)]
    # Knuth's multiplicative hash; the high bits are the good ones.
    return (grams * np.uint32(2654435761)) >> np.uint32(32 - (FEATURES - 1).bit_length())
