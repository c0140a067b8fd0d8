"""Text to speech, one sentence at a time: what can be spoken, where to cut, how long to rest.

Does not pronounce (see engines), and is no normaliser: "$5.50" and dates are the speaker's to read.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from aitwin.errors import TwinError

if TYPE_CHECKING:
    from aitwin.voice.audio import Utterance
    from aitwin.voice.engines import Speaker

MAX_CHARACTERS = 300
"""The longest piece that a speaker gets: bounds its memory, and the wait for the first sound."""
SPEEDS = (0.5, 2.0)
WRAPPED = 55
"""A line at least this long, without a stop, before a lower-case one: the break is a mere wrap."""
LOOK_BACK = 60
"""Characters before a stop that are looked at; more than the longest abbreviation."""
LONGEST_NUMBER = 9
"""Digits in a row that are read as a number; more are read one by one, as one reads an order id."""
LONGEST_GROUPED = 15
"""The same for digits with commas: 999,999,999,999,999 is still a number that people say."""


class Stop(Enum):
    """How a piece of text ends; the value is the rest after it, in seconds."""

    SPACE = 0.0
    CLAUSE = 0.15
    SENTENCE = 0.35
    ELLIPSIS = 0.5
    LINE = 0.45
    PARAGRAPH = 0.75


@dataclass(frozen=True)
class Piece:
    """What is said in one go."""

    text: str = field(repr=False)
    stop: Stop


@dataclass(frozen=True)
class Script:
    """A text made ready for speaking."""

    pieces: tuple[Piece, ...] = field(repr=False)
    unspoken: int
    """Characters without a sound, left out: emoji, other scripts, control characters."""


@dataclass(frozen=True)
class Spoken:
    """What was written to a file."""

    seconds: float
    sentences: int
    engine: str
    """Whose voice it is, in words for the owner."""
    unspoken: int
    """Characters left out; see Script."""


class Speech:
    """Says texts of any length with one speaker."""

    def __init__(self, speaker: "Speaker") -> None:
        self.speaker = speaker

    def stream(self, text: str, *, speed: float = 1.0, seed: int = 0) -> Iterator["Utterance"]:
        """One utterance per sentence at 22,050 Hertz, each as soon as it is there.

        Raises TwinError at the call, not at the first sentence, when there is nothing to say or
        `speed` is out of bounds.
        """
        return self._heard(self._say(script(text).pieces, _checked(speed), seed))

    def save(
        self,
        text: str,
        path: Path,
        progress: Callable[[int, int], None] | None = None,
        *,
        speed: float = 1.0,
        seed: int = 0,
    ) -> Spoken:
        """Say `text` into a WAV; an interruption leaves the previous file.

        `progress` is told how many sentences of how many are done, first 0.
        """
        from aitwin.voice import audio

        ready = script(text)
        total = len(ready.pieces)
        said = self._heard(self._say(ready.pieces, _checked(speed), seed))
        seconds = audio.save(_watched(said, total, progress) if progress else said, path)
        return Spoken(seconds, total, self.speaker.describe(), ready.unspoken)

    def follow(
        self, text: Iterable[str], *, speed: float = 1.0, seed: int = 0
    ) -> Iterator["str | Utterance"]:
        """Hand on a text that is still being written, and say each sentence once it stands.

        A sentence stands when the word after it does: "Dr. S" may go on as "Dr. So" or "Dr. She".
        Raises TwinError as `stream` does, but for a text without words only at its end.
        """
        return self._follow(text, _checked(speed), seed)

    def _follow(self, text: Iterable[str], speed: float, seed: int) -> Iterator["str | Utterance"]:
        written = ""
        said = 0
        for part in text:
            yield part
            written += part
            # The whole text is cut anew, since the look of a line decides on its breaks: 0.5 ms
            # for 5,000 characters, next to some 25 ms for a word of a model.
            *standing, last = _pieces(written) or [Piece("", Stop.SPACE)]
            if " " in last.text:
                yield from self._say(_script(standing[said:]).pieces, speed, seed)
                said = len(standing)
        script(written)  # raises when there was nothing to say
        yield from self._say(_script(_pieces(written)[said:]).pieces, speed, seed)

    def _say(self, pieces: Iterable[Piece], speed: float, seed: int) -> Iterator["Utterance"]:
        from aitwin.voice import audio

        for piece in pieces:
            said = self.speaker.speak(piece.text, speed=speed, seed=seed)
            # Speakers leave rests of their own length at the ends; ours follow the punctuation.
            sound = audio.trim(audio.resample(said, audio.OUTPUT_RATE))
            yield audio.settle(sound, piece.stop.value / speed)

    def _heard(self, utterances: Iterator["Utterance"]) -> Iterator["Utterance"]:
        """Silence for a whole text is a failure, not a result."""
        heard = False
        for utterance in utterances:
            heard = heard or bool(utterance.samples.any())
            yield utterance
        if not heard:
            raise TwinError(
                f"the {self.speaker.name} voice has no sound for any word of the text; "
                "say it in English, or with another --voice"
            )


def _watched(
    said: Iterator["Utterance"], total: int, progress: Callable[[int, int], None]
) -> Iterator["Utterance"]:
    progress(0, total)
    for done, utterance in enumerate(said, start=1):
        yield utterance
        progress(done, total)


def script(text: str) -> Script:
    """What of `text` is said, in pieces.

    Raises TwinError when nothing is.
    """
    ready = _script(_pieces(text))
    if not ready.pieces:
        raise TwinError(
            f"nothing in the text can be spoken ({len(text)} characters, none of them a Latin "
            "letter or a digit); give it words in Latin letters"
        )
    # Nothing follows the last one: the rest of a paragraph would be dead air.
    last = replace(ready.pieces[-1], stop=Stop.SENTENCE)
    return Script((*ready.pieces[:-1], last), ready.unspoken)


def _script(pieces: Iterable[Piece]) -> Script:
    said: list[Piece] = []
    unspoken = 0
    for piece in pieces:
        text, silent = speakable(piece.text)
        unspoken += silent
        # A number that is read digit by digit has grown.
        parts = _bounded(" ".join(text.split()), piece.stop)
        said.extend(part for part in parts if any(map(str.isalnum, part.text)))
    return Script(tuple(said), unspoken)


def _checked(speed: float) -> float:
    low, high = SPEEDS
    if not low <= speed <= high:
        raise TwinError(f"speed {speed} is out of bounds; choose one from {low} to {high}")
    return speed


# --- What can be spoken ---------------------------------------------------------------------------

# Beyond ASCII: what the bundled voice has a word or a rest for (tried one by one).
_SOUNDED = frozenset("–—―‒…‘’“”«»¿¡°²³½¼¾¢£¥€₹₩§©±×÷µ")
_MARKER = re.compile(r"^[ \t]*(?:(?:[-*•‣>]|#{1,6})[ \t]+)+", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<!\w)[*_`]++(?=\S)|(?<=\S)[*_`]++(?!\w)")
_DIGITS = re.compile(r"\d[\d,]*\d")
_LEADING_ZERO = re.compile(r"(?<![\d.,:/-])0\d+(?![\d]*[.,:/-]\d)")


def speakable(text: str) -> tuple[str, int]:
    """`text` without what has no sound (and how many characters that were), long numbers as digits.

    List markers and Markdown emphasis go too, uncounted: they are not words.
    """
    text = _EMPHASIS.sub("", _MARKER.sub("", unicodedata.normalize("NFC", text)))
    parts = []
    unspoken = 0
    for character in text:
        part = _sound(character)
        unspoken += part is None
        # A space keeps the words on either side apart.
        parts.append(" " if part is None else part)
    spoken = _DIGITS.sub(_number, "".join(parts))
    return _LEADING_ZERO.sub(lambda zeros: " ".join(zeros[0]), spoken), unspoken


@lru_cache(maxsize=4096)
def _sound(character: str) -> str | None:
    """What is spoken for one character: itself, a plain form of it, nothing, or None: unspoken."""
    category = unicodedata.category(character)
    if character.isspace() or character in _SOUNDED:
        return character
    if category == "Nd":
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character).replace("\N{FRACTION SLASH}", "/")
    if all(map(_sounds, plain)):
        return f" {plain}" if category == "No" else plain  # "5⅓" is no "51/3"
    # Marks and joiners belong to the character before; they are no character of their own.
    return "" if category in {"Cf", "Mn", "Me"} else None


def _sounds(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    return character in _SOUNDED or (
        character.isalpha() and unicodedata.name(character, "").startswith("LATIN ")
    )


def _number(found: re.Match[str]) -> str:
    """A number as it is, or digit by digit with a short rest after every third."""
    digits = found[0]
    runs = digits.split(",")
    longest = max(map(len, runs))
    if longest <= LONGEST_NUMBER and sum(map(len, runs)) <= LONGEST_GROUPED:
        return digits
    threes = (run[at : at + 3] for run in runs for at in range(0, len(run), 3))
    return ", ".join(" ".join(three) for three in threes)


# --- Where to cut ---------------------------------------------------------------------------------


def _words(table: str) -> frozenset[str]:
    return frozenset(table.split())


_TITLES = _words(
    "mr mrs ms mx dr prof gen gov sen rep capt lt col sgt cmdr rev hon pres supt cpl maj adm fr "
    "msgr messrs dept est approx ca cf viz vs e.g i.e resp incl excl"
)
"""A stop after these ends no sentence."""
_NUMBERED = _words(
    "no nos nr fig figs vol p pp ch chap sec art eq ext tel par para pt jan feb mar apr jun jul "
    "aug sep sept oct nov dec"
)
"""Nor after these, when a number follows."""
_EITHER = _words("inc ltd co corp bros jr sr ave blvd rd st ft mt ph.d m.d b.a m.a u.s u.k u.n e.u")
"""These end a sentence when the next word looks like the first of one."""
_ZONES = _words(
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri "
    "sat sun eastern central mountain pacific est edt cst cdt mst mdt pst pdt gmt utc cet cest bst "
    "ist"
)
"""After "3 p.m." these go on with the time."""
_STARTERS = _words(
    "a all also always an and any are as at both but by can come could did do does each even "
    "every everybody everyone for from give go have he hello help her here hi his how however i "
    "i'd i'll i'm i've if in is it it's its just keep last let let's look make many maybe me most "
    "my never next no nobody not nothing now of on once one only or our people perhaps please see "
    "she should since so some still take thanks that that's the their then there there's these "
    "they they're this those to today tomorrow try until was we we'll we're we've were what when "
    "where which while who why will with would yes yesterday you you'll you're your"
)

# Possessive, and from the first of a run only: a million dots take linear time.
_STOP = re.compile(r"""(?<![.!?…])(?P<stop>[.!?…]++)(?P<closers>["'”’»)\]}*_]*+)(?=\s)""")
_WORD = re.compile(r"[^\s\"'“‘«(\[{]*$")
_NEXT = re.compile(r"\s+[\"'“‘«(\[{¿¡*_]*(?P<word>[^\s.,;:!?…\"”»)\]}]*)")
_LIST_NUMBER = re.compile(r"\s*[(\[]?(?:\d{1,3}|[A-Za-z]|[ivx]{1,4})$")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]$")
_CLAUSES = tuple(
    re.compile(pattern) for pattern in (r"[.!?…][\"'”’»)\]]*\s", r"[;:—–)]\s", r",\s|\s[-–—]\s")
)
"""Where a piece that is too long is cut, best first."""


def sentences(text: str) -> list[str]:
    """`text` cut where one takes breath; only the white space between is gone.

    No piece is longer than MAX_CHARACTERS.
    """
    return [piece.text for piece in _pieces(text)]


def _pieces(text: str) -> list[Piece]:
    pieces: list[Piece] = []
    for line, blank_after in _lines(text):
        found = _sentences(line)
        for at, sentence in enumerate(found, start=1):
            end = _ending(sentence)
            if at == len(found):
                end = Stop.PARAGRAPH if blank_after else max(Stop.LINE, end, key=_rest)
            pieces.extend(_bounded(sentence, end))
    return pieces


def _rest(stop: Stop) -> float:
    return stop.value


def _ending(sentence: str) -> Stop:
    bare = sentence.rstrip("\"'”’»)]}*_")
    return Stop.ELLIPSIS if bare.endswith(("...", "…")) else Stop.SENTENCE


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines with hard wraps undone, each with whether a paragraph ends there."""
    held: list[str] = []
    for line in (" ".join(line.split()) for line in text.splitlines()):
        if held and not _wrapped(held[-1], line):
            yield " ".join(held), not line
            held = []
        if line:
            held.append(line)
    if held:
        yield " ".join(held), True


def _wrapped(line: str, following: str) -> bool:
    return len(line) >= WRAPPED and following[:1].islower() and line[-1] not in ".!?…:;"


def _sentences(line: str) -> list[str]:
    found = []
    start = 0
    for stop in _STOP.finditer(line):
        before = line[max(start, stop.start() - LOOK_BACK) : stop.start()]
        if _ends(before, stop):
            found.append(line[start : stop.end()].strip())
            start = stop.end()
    found.append(line[start:].strip())
    return [sentence for sentence in found if sentence]


def _ends(before: str, stop: re.Match[str]) -> bool:
    """Whether `stop`, with `before` since the last one, ends a sentence."""
    following = _NEXT.match(stop.string, stop.end())
    word = following["word"] if following else ""
    if stop["stop"] != ".":
        # Lower case goes on after a pause ("well... no") and a quotation ('"Really?" he asked').
        trails = stop["stop"].startswith(("..", "…")) or bool(stop["closers"])
        return not (word[:1].islower() and trails)
    if word[:1].islower() or _LIST_NUMBER.fullmatch(stop.string, 0, stop.start()):
        return False
    last = _WORD.search(before)
    return _ends_after(last[0] if last else "", before, word)


def _ends_after(last: str, before: str, word: str) -> bool:
    """The same for a single stop between the words `last` and `word`, the latter no lower case."""
    key = last.lower()
    if key in _TITLES:
        return False
    if key in _NUMBERED and word[:1].isdigit():
        return False
    if key in {"a.m", "p.m"}:
        return word.lower() not in _ZONES
    starts = word.lower().replace("’", "'") in _STARTERS
    if key in _EITHER or _DOTTED.fullmatch(last):
        return starts
    if len(last) == 1 and last.isalpha() and last.isupper():
        # An initial ("J. Smith", "Ana B. Cruz"), unless "so am I. Nobody" or "plan B. We go".
        earlier = before.split()[:-1]
        return bool(earlier) and (starts or (last == "I" and earlier[-1].islower()))
    return True


def _bounded(sentence: str, stop: Stop) -> Iterator[Piece]:
    """`sentence` in pieces of at most MAX_CHARACTERS, the last of which ends with `stop`."""
    start = 0
    while len(sentence) - start > MAX_CHARACTERS:
        at, end = _cut(sentence[start : start + MAX_CHARACTERS + 1])
        yield Piece(sentence[start : start + at].strip(), end)
        start += at
    yield Piece(sentence[start:].strip(), stop)


def _cut(head: str) -> tuple[int, Stop]:
    """Where to cut within `head`: behind a clause in its last two thirds, at a space, anywhere."""
    for pattern in _CLAUSES:
        ends = [found.end() for found in pattern.finditer(head, MAX_CHARACTERS // 3)]
        if ends:
            return ends[-1], Stop.CLAUSE
    space = head.rfind(" ", 1)
    return (space + 1 if space > 0 else MAX_CHARACTERS), Stop.SPACE
