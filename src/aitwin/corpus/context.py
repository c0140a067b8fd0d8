"""How much of what was said before a reply is kept: the newest whole pieces, within a budget.

A piece is a paragraph of a mail, a turn of a chat. The budget is in tokens of the base model; this
module cannot count them: who knows the model passes a counter in, else they are estimated.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from aitwin.corpus.messages import Channel
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
ESTIMATE = "estimate"

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


def fit(pair: "Pair", budget: Budget) -> "Pair":
    """`pair` with as much of its context as its instruction and its reply leave room for."""
    texts = (pair.instruction, pair.incoming, pair.reply)
    # A token has one byte or more: most examples need no counting.
    if budget.template + sum(len(text.encode(errors="replace")) for text in texts) <= budget.row:
        return replace(pair, pieces=())
    used = budget.template + budget.count(pair.instruction) + budget.count(pair.reply)
    used += _between("mail", budget.count)  # the instruction and the incoming text are so parted
    room = max(LEAST, budget.row - used)
    pieces = newest(pair.pieces or (pair.incoming,), pair.channel, room, budget.count)
    return replace(pair, incoming=BETWEEN[pair.channel].join(pieces), pieces=())


def newest(
    pieces: Sequence[str], channel: Channel, room: int, count: Callable[[str], int] = len
) -> list[str]:
    """As many whole pieces from the end as fit: the newest are what is answered.

    Where none fits whole, the last one loses its beginning; in a chat, where a piece begins with
    a name and a colon, not who says it. CUT stands for what was left out.
    """
    said = [piece.strip() for piece in pieces if piece.strip()]
    between = _between(channel, count)
    kept: list[str] = []
    for piece in reversed(said):
        cost = count(piece) + (between if kept else 0)
        spare = 0 if len(kept) == len(said) - 1 else count(CUT) + between
        if cost + spare > room:
            if not kept:
                kept.append(_end(piece, room - count(CUT) - between, count, channel))
            kept.append(CUT)
            break
        kept.append(piece)
        room -= cost
    return [piece for piece in reversed(kept) if piece]


def _between(channel: Channel, count: Callable[[str], int]) -> int:
    """What parts two pieces, counted between words: alone it may be fewer tokens."""
    return count(f"a{BETWEEN[channel]}a") - 2 * count("a")


def _end(piece: str, room: int, count: Callable[[str], int], channel: Channel) -> str:
    """The end of a piece that fits, from the start of a word; amid one where it has no spaces."""
    name, colon, text = piece.partition(": ") if channel == "chat" else ("", "", piece)
    head = name + colon if colon else ""
    text = text if colon else piece
    room -= count(head) if head else 0

    def fits(start: int) -> bool:
        return count(text[start:]) <= room

    words = accumulate((len(word) + 1 for word in text.split(" ")), initial=0)
    starts = [start for start in words if start < len(text)]
    first = bisect_left(starts, True, key=fits)
    start = starts[first] if first < len(starts) else bisect_left(range(len(text)), True, key=fits)
    rest = text[start:].strip()
    return head + rest if rest else ""
