"""How much of what was said before a reply is kept: the newest of it, within a budget.

A piece is a paragraph of a mail, a turn of a chat; the oldest that is kept may lose its beginning.
Of passages that a reply answers one by one, each stays, shortened. The budget is in tokens of the
base model; this module cannot count them: who knows the model passes a counter in, else they are
estimated.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aitwin.corpus.messages import Channel
from aitwin.corpus.report import lose
from aitwin.errors import TwinError
from aitwin.prompt import ROW_TOKENS

if TYPE_CHECKING:
    from aitwin.corpus.pairs import Pair

BETWEEN: dict[Channel, str] = {"mail": "\n\n", "chat": "\n"}
"""What stands between two pieces."""
CUT = "[…]"
"""Stands where older text was left out."""
TEMPLATE = 64
"""Tokens of the chat template and the standing instruction, where nobody has counted them."""
LEAST = 64
"""Tokens of context that stay, however long the reply: without any it answers nothing."""
LEAST_EACH = 24
"""Tokens that stay of each passage that is answered by itself: its number and some seven words."""
PIECES = 12
"""Of the newest pieces, how many are counted beforehand: more seldom fit."""
SCRAP = 12
"""Tokens of a piece below which it is left out rather than cut: they say nothing."""
NEAR = 0.4
"""Share of a cut piece that may go so that it begins with a sentence."""
LONGEST_WORD = 24
"""Characters of a word: what is longer is a text without spaces, and may be cut amid."""
REPLY = 64
"""Tokens of a reply for which an example must have room: some forty words."""
EXCESS = 1.5
"""Of an estimate: how far over its row an example must be for its excess to be certain."""
ESTIMATE = "estimate"

_SPEAKER = re.compile(r"[^\n]{1,200}?: ")
_NOTHING = re.compile("")
_NUMBER = re.compile(r"\(\w{1,4}\) |\d{1,2}[.)] |[a-z]\) ")
_WORD = re.compile(r"\S+")
_SENTENCE = re.compile(r"[.!?…][\"')\]]*\s+|[。！？।؟۔។]|\n\s*")

# Tokens a character, so that 99 of 100 texts are not underestimated: measured on SmolLM2, whose
# vocabulary is English and small (docs/decisions.md). ASCII first; then what lies below a code.
_LETTER, _SPACE, _BREAK, _SIGN = 0.4, 0.1, 0.5, 1.0
_SCRIPTS = ((0x370, 1.5), (0x900, 1.1), (0x10000, 2.2), (0x110000, 4.0))
"""Accented Latin; alphabets of two bytes; scripts of three; emoji."""


def estimate(text: str) -> int:
    """Tokens of a text in any script, rather too many than too few."""
    return 1 + round(sum(map(_tokens, text)))


def _tokens(character: str) -> float:
    if character.isascii():
        if character.isalpha():
            return _LETTER
        return {" ": _SPACE, "\n": _BREAK}.get(character, _SIGN)
    code = ord(character)
    return next(tokens for below, tokens in _SCRIPTS if code < below)


@dataclass(frozen=True)
class Budget:
    """How long an example may be, and who counts."""

    row: int = ROW_TOKENS
    """Tokens of the whole example: what stands before the reply, and the reply."""
    count: Callable[[str], int] = estimate
    """Tokens of a text."""
    counted_by: str = ESTIMATE
    """Whose tokens: the name of a base model, or ESTIMATE."""
    template: int = TEMPLATE
    """Tokens that every example has besides its own texts."""
    learn: Callable[[Iterable[str]], None] = lambda texts: None
    """Told beforehand what will be counted: many texts at once may be quicker."""


def require_room(budget: Budget) -> None:
    """Refuse a row that holds no example. Raises TwinError."""
    least = budget.template + LEAST + REPLY
    if budget.row < least:
        raise TwinError(
            f"examples of {budget.row} tokens have no room: {budget.template} are the template's, "
            f"{LEAST} are for what is answered, {REPLY} for a reply; ask for --tokens {least} or "
            f"more ({ROW_TOKENS} are usual)"
        )


def without_endless(pairs: Sequence["Pair"], budget: Budget, dropped: Counter[str]) -> list["Pair"]:
    """The pairs whose replies leave room for a prompt; no training could take the others.

    An estimate loses only what exceeds by far and is not pinned: else the trainer decides, who
    counts.
    """
    estimated = budget.counted_by == ESTIMATE
    most = budget.row * (EXCESS if estimated else 1)
    rest = {pair.id: _rest(pair) for pair in pairs}
    spare = {pair.id: budget.row - budget.template - least(pair, budget) for pair in pairs}
    long = {
        pair.id
        for pair in pairs
        if len(rest[pair.id].encode(errors="replace")) > spare[pair.id]
        and not (estimated and pair.pinned)
    }
    budget.learn(rest[pair.id] for pair in pairs if pair.id in long)
    kept = []
    for pair in pairs:
        needed = budget.template + (least(pair, budget) if pair.incoming else 0)
        if pair.id in long and needed + budget.count(rest[pair.id]) > most:
            lose(dropped, f"reply too long for an example of {budget.row} tokens", pair.id)
        else:
            kept.append(pair)
    return kept


def least(pair: "Pair", budget: Budget) -> int:
    """Tokens of context that stay, however long the reply; of very many passages not each."""
    every = LEAST_EACH * len(pair.pieces) if pair.one_by_one else 0
    return max(LEAST, every) if every <= budget.row // 2 else LEAST


def fit_all(pairs: Sequence["Pair"], budget: Budget) -> list["Pair"]:
    """Each pair with as much of its context as there is room for."""
    budget.learn(text for pair in pairs if _may_exceed(pair, budget) for text in _counted(pair))
    return [fit(pair, budget) for pair in pairs]


def _counted(pair: "Pair") -> Iterator[str]:
    """The texts whose tokens decide."""
    yield _rest(pair)
    yield from (piece.strip() for piece in pair.pieces[-PIECES:])


def _rest(pair: "Pair") -> str:
    # The break stands for the one that there is between the instruction and the incoming text.
    return f"{pair.instruction}{BETWEEN['mail']}{pair.reply}"


def _may_exceed(pair: "Pair", budget: Budget) -> bool:
    """Whether there is anything to count: a token has one byte or more."""
    texts = (pair.instruction, pair.incoming, pair.reply)
    size = sum(len(text.encode(errors="replace")) for text in texts)
    return budget.template + len(BETWEEN["mail"]) + size > budget.row


def fit(pair: "Pair", budget: Budget) -> "Pair":
    """`pair` with as much of its context as its instruction and its reply leave room for."""
    if not pair.incoming or not _may_exceed(pair, budget):
        return replace(pair, pieces=())
    used = budget.template + budget.count(_rest(pair))
    room = max(least(pair, budget), budget.row - used)
    keep = each if pair.one_by_one else newest
    pieces = keep(pair.pieces or (pair.incoming,), pair.channel, room, budget.count)
    return replace(pair, incoming=BETWEEN[pair.channel].join(pieces), pieces=())


def newest(
    pieces: Sequence[str], channel: Channel, room: int, count: Callable[[str], int] = len
) -> list[str]:
    """As much from the end as fits: the newest is what is answered.

    The oldest piece that is kept loses its beginning where it does not fit whole; in a chat, where
    a piece begins with a name and a colon, not who says it. CUT stands for what was left out.
    """
    said = [piece.strip() for piece in pieces if piece.strip()]
    between = _between(channel, count)
    kept: list[str] = []
    for piece in reversed(said):
        cost = count(piece) + (between if kept else 0)
        spare = 0 if len(kept) == len(said) - 1 else count(CUT) + between
        if cost + spare > room:
            left = room - count(CUT) - between - (between if kept else 0)
            if not kept or left >= SCRAP:
                kept.append(_end(piece, left, count, _SPEAKER if channel == "chat" else _NOTHING))
            kept.append(CUT)
            break
        kept.append(piece)
        room -= cost
    return [piece for piece in reversed(kept) if piece]


def each(
    pieces: Sequence[str], channel: Channel, room: int, count: Callable[[str], int] = len
) -> list[str]:
    """Every piece, the longest shortened to one length so that all fit, with their numbers.

    The end of a passage stays: an answer stands right below it. Where not even a few words of each
    have room, the newest stay.
    """
    said = [piece.strip() for piece in pieces if piece.strip()]
    costs = [count(piece) for piece in said]
    left = room - _between(channel, count) * (len(said) - 1)
    if sum(costs) <= left:
        return said
    length = _level(costs, left)
    if length < SCRAP:
        return newest(pieces, channel, room, count)
    return [
        piece if cost <= length else _shortened(piece, length, count)
        for piece, cost in zip(said, costs, strict=True)
    ]


def _level(costs: Sequence[int], room: int) -> int:
    """The length to which the longest must be cut so that all together have room."""
    for number, cost in enumerate(sorted(costs)):
        share = room // (len(costs) - number)
        if cost > share:
            return share
        room -= cost
    return max(costs, default=0)


def _shortened(piece: str, room: int, count: Callable[[str], int]) -> str:
    number = _NUMBER.match(piece)
    head = f"{number[0] if number else ''}{CUT}"
    rest = _end(piece[number.end() if number else 0 :], room - count(f"{head} "), count, _NOTHING)
    return f"{head} {rest}" if rest else head


def _between(channel: Channel, count: Callable[[str], int]) -> int:
    """What parts two pieces, counted between words: alone it may be fewer tokens."""
    return count(f"a{BETWEEN[channel]}a") - 2 * count("a")


def _end(piece: str, room: int, count: Callable[[str], int], head: re.Pattern[str]) -> str:
    """The end of a piece that fits, behind the `head` that stays.

    From the start of a sentence or a line, if one is near; else of a word; amid one in a text
    without spaces.
    """
    begins = head.match(piece)
    stays = begins[0] if begins else ""
    text = piece[len(stays) :]
    room -= count(stays) if stays else 0

    def fits(start: int) -> bool:
        return count(text[start:]) <= room

    words = [word.start() for word in _WORD.finditer(text)]
    first = bisect_left(words, True, key=fits)
    if first < len(words):
        start = words[first]
    elif words and len(text) - words[-1] <= LONGEST_WORD:
        return stays
    else:
        start = bisect_left(range(len(text)), True, key=fits)
    near = start + int((len(text) - start) * NEAR)
    sentences = (sentence.end() for sentence in _SENTENCE.finditer(text, max(0, start - 2)))
    start = next((place for place in sentences if start <= place <= near), start)
    rest = text[start:].strip()
    return stays + rest if rest else ""
