"""Text to speech, one sentence at a time: where to cut a text, and how long to rest.

A text is cut as it is written, where capitals and stops still tell where a sentence ends; what a
speaker then gets is in words (see normalise). Does not pronounce (see engines).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from aitwin.errors import TwinError
from aitwin.voice import normalise
from aitwin.voice.shorthand import word_set

if TYPE_CHECKING:
    from aitwin.voice.audio import Utterance
    from aitwin.voice.engines import Speaker
    from aitwin.voice.watermark import Watermark

T = TypeVar("T")

MAX_CHARACTERS = 300
"""The longest piece of a text: bounds the memory of a speaker, and the wait for the next sound."""
MAX_SAID = 450
"""The longest that a speaker gets at once: what is longer in words, a piece full of numbers, is
said in parts that are cut as a text is."""
SOON = (100, 180)
"""Characters of the first pieces of a text, where a clause allows: a sound leaves early (S3).

100 characters are 6 seconds of speech, time enough to make the next piece."""
REMAINS = 30
"""Characters that are left behind such a cut: less is no phrase of its own."""
SURELY = 1.5
"""Seconds of sound from which a mark that is there is always found (see watermark)."""
SPEEDS = (0.5, 2.0)
SEEDS = (0, 2**63 - 1)
"""What every generator of random numbers takes: torch's wants 64 bits with a sign."""
PAUSES = (0.0, 4.0)
"""Factors on the rests between sentences and paragraphs: from breathless to dictation."""
ALONE = 25
"""A shorter line that begins with a capital and has no stop is a heading, or a sign-off."""
WRAPPED = 55
"""A line at least this long, without a stop, before one that is no item: the break is a wrap."""
LOOK_BACK = 60
"""Characters before a stop that are looked at; more than the longest abbreviation."""


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
    """As it is written."""
    stop: Stop
    spoken: str = field(default="", repr=False)
    """As it is said: normalise.spoken."""


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
    """Whose voice it is, in words for the owner: Speaker.describe()."""
    speaker: str
    """The id of the engine: Speaker.name."""
    cloned: bool
    """Whether it sounds like the owner: Speaker.cloned."""
    unspoken: int
    """Characters left out; see Script."""
    marked: float | None = None
    """How surely the file bears the mark of synthesised speech, found again in it after writing;
    None: nothing marks speech here."""


@dataclass(frozen=True)
class _Manner:
    """How a text is said, all of it. Raises TwinError when that is out of bounds."""

    speed: float
    pause: float
    seed: int

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("speed", self.speed, SPEEDS),
            ("pause", self.pause, PAUSES),
            ("seed", self.seed, SEEDS),
        ):
            if not low <= value <= high:
                raise TwinError(f"{name} {value} is out of bounds; choose one from {low} to {high}")


class Speech:
    """Says texts of any length with one speaker."""

    def __init__(
        self,
        speaker: "Speaker",
        watermark: "Watermark | None" = None,
        note: str = "AI-generated voice",
    ) -> None:
        """`watermark` marks every sentence inaudibly; `note` stands in what is written.

        Raises TwinError when the speaker sounds like somebody, as a clone does and an approximate
        match, and nothing marks that as synthesised: such speech never leaves unmarked.
        """
        # A studio's speaker has an owner where it is meant to sound like one.
        if watermark is None and (speaker.cloned or getattr(speaker, "owner", None)):
            raise TwinError(_unmarked(speaker))
        self.speaker = speaker
        self.watermark = watermark
        self.note = note

    def stream(
        self,
        text: str,
        *,
        speed: float = 1.0,
        pause: float = 1.0,
        seed: int = 0,
        look: Callable[[], None] = lambda: None,
    ) -> Iterator["Utterance"]:
        """One utterance per sentence at 22,050 Hertz, each as soon as it is there.

        A sentence that is very long in words comes as several, with its text on the first.
        `speed` is a factor on how fast it is said, `pause` one on the rests after sentences; the
        same `seed` gives the same samples. `look` is called before each piece of a sentence, and
        between its steps: what it raises ends the speech.
        Raises TwinError at the call, not at the first sentence, when there is nothing to say, or
        when `speed`, `pause` or `seed` is out of bounds.
        """
        manner = _Manner(speed, pause, seed)
        return self._heard(self._say(_sayable(text, look), manner, look))

    def save(  # noqa: PLR0913 (the last three are the manner, each with a default)
        self,
        text: str,
        path: Path,
        progress: Callable[[int, int], None] | None = None,
        *,
        speed: float = 1.0,
        pause: float = 1.0,
        seed: int = 0,
    ) -> Spoken:
        """Say `text` into a file: see `write`.

        `progress` is told how many sentences of how many are done, first 0. Raises TwinError as
        `stream` and `write` do.
        """
        manner = _Manner(speed, pause, seed)
        ready = script(text)
        pieces = _watched(ready.pieces, progress) if progress else ready.pieces
        spoken = self.write(self._heard(self._say(pieces, manner)), path)
        return replace(spoken, unspoken=ready.unspoken)

    def write(self, said: Iterable["str | Utterance"], path: Path) -> Spoken:
        """Write what `stream` or `follow` gives into a WAV, or an MP3 by its name.

        The mark is looked for in the first 30 s (watermark.PART) of what was written, before the
        file takes its place: an interruption or a failure leaves the previous one. Of less than
        SURELY nothing sure can be said; it is kept, and `Spoken.marked` is the confidence that was
        found. Raises TwinError when a longer one does not bear the mark, the name ends otherwise,
        or the file cannot be written.
        """
        from aitwin.voice import audio

        written: list[str] = []
        sentences = 0
        marked: list[float] = []

        def sounds() -> Iterator["Utterance"]:
            nonlocal sentences
            for item in said:
                if isinstance(item, str):
                    written.append(item)
                else:
                    sentences += bool(item.text)
                    yield item

        def look(file: BinaryIO) -> None:
            if self.watermark is not None:
                marked.append(self._found_again(file, self.watermark))

        seconds = audio.save(sounds(), path, note=self.note, look=look)
        return Spoken(
            seconds,
            sentences,
            engine=self.speaker.describe(),
            speaker=self.speaker.name,
            cloned=self.speaker.cloned,
            unspoken=unspoken("".join(written)),
            marked=marked[0] if marked else None,
        )

    def _found_again(self, file: BinaryIO, mark: "Watermark") -> float:
        """How surely the beginning of a file bears the mark."""
        import soundfile

        from aitwin.voice import watermark
        from aitwin.voice.placing import Placing

        with soundfile.SoundFile(file) as sound:
            rate = sound.samplerate
            samples = sound.read(round(watermark.PART * rate), dtype="float32")
        with Placing().engaged():
            found = mark.confidence(samples, rate)
        if found < watermark.SURE and len(samples) >= SURELY * rate:
            raise TwinError(
                f"what was said does not bear the mark of synthesised speech (confidence "
                f"{found:.2f}), so it was not kept; try another --seed, and please report it"
            )
        return found

    def follow(
        self,
        text: Iterable[str],
        *,
        speed: float = 1.0,
        pause: float = 1.0,
        seed: int = 0,
        look: Callable[[], None] = lambda: None,
    ) -> Iterator["str | Utterance"]:
        """Hand on a text that is still being written, and say each sentence once it stands.

        A sentence stands when the word after it does: "Dr. S" may go on as "Dr. So" or "Dr. She".
        `look`: see `stream`. Raises TwinError as that does, but for a text without words only at
        its end.
        """
        manner = _Manner(speed, pause, seed)
        return self._heard(self._say(_standing(text), manner, look))

    def _say(
        self,
        pieces: Iterable["Piece | T"],
        manner: "_Manner",
        look: Callable[[], None] = lambda: None,
    ) -> Iterator["Utterance | T"]:
        """Pieces as sound; everything else is handed on."""
        parts = 0
        for piece in pieces:
            if not isinstance(piece, Piece):
                yield piece
                continue
            text = piece.text
            for part in _bounded(piece.spoken, piece.stop, parts):
                yield replace(self._sound(part, manner, look), text=text)
                text = ""
                parts += 1

    def _sound(self, part: Piece, manner: "_Manner", look: Callable[[], None]) -> "Utterance":
        from aitwin.voice import audio

        look()
        said = self.speaker.speak(part.text, speed=manner.speed, seed=manner.seed)
        # Speakers leave rests of their own length at the ends; ours follow the punctuation.
        sound = audio.trim(audio.resample(said, audio.OUTPUT_RATE))
        # Marking takes as long as speaking: nobody waits for either when nobody listens.
        look()
        if self.watermark is not None:
            from aitwin.voice.placing import Placing

            # One thread: two on a busy machine with two cores took five times as long.
            with Placing().engaged():
                sound = self.watermark.apply(sound)
        return audio.settle(sound, part.stop.value * manner.pause / manner.speed)

    def _heard(self, items: Iterable["Utterance | T"]) -> Iterator["Utterance | T"]:
        """The same, from the first utterance that sounds on: those before it wait for it.

        Silence for a whole text is a failure, not a result, and an answer over HTTP can say so
        only while none of it is sent.
        """
        from aitwin.voice.audio import Utterance

        held: list[Utterance | T] = []
        heard = False
        for item in items:
            if heard or not isinstance(item, Utterance):
                yield item
                continue
            held.append(item)
            if item.samples.any():
                heard = True
                yield from held
                held.clear()
        if not heard:
            raise TwinError(
                f"the {self.speaker.name} voice has no sound for any word of the text; "
                "say it in English, or with another --voice"
            )


def _unmarked(speaker: "Speaker") -> str:
    from aitwin.voice import watermark

    why = watermark.lacking() or "none was given"
    return (
        f"{speaker.describe()} is not spoken without the inaudible mark of synthesised speech: "
        f"{why}; the base voice speaks without it"
    )


def _watched(pieces: Sequence[Piece], progress: Callable[[int, int], None]) -> Iterator[Piece]:
    """The pieces; each is done when the next is asked for."""
    progress(0, len(pieces))
    for done, piece in enumerate(pieces, start=1):
        yield piece
        progress(done, len(pieces))


def script(text: str) -> Script:
    """What of `text` is said, in pieces.

    Raises TwinError when nothing is.
    """
    return Script(tuple(_sayable(text)), unspoken(text))


def unspoken(text: str) -> int:
    """Characters of `text` that have no sound, and will be left out: emoji, other scripts."""
    return sum(normalise.plain(piece.text)[1] for piece in pieces(text))


def _sayable(text: str, look: Callable[[], None] = lambda: None) -> Iterator[Piece]:
    """The pieces of `text` that can be said, each put into words when its turn comes.

    Raises TwinError at the call when there is none.
    """
    said = _last_at_rest(_in_words(pieces(text), look))
    first = next(said, None)
    if first is None:
        raise TwinError(_wordless(text))
    return chain([first], said)


def _standing(text: Iterable[str]) -> Iterator[str | Piece]:
    """The text that is still being written, as it comes, and its pieces as soon as they stand."""
    written = ""
    said = 0
    heard = False
    for part in text:
        yield part
        written += part
        # The whole text is cut anew, since the look of a line decides on its breaks: 0.5 ms
        # for 5,000 characters, next to some 25 ms for a word of a model.
        *standing, last = pieces(_settled(written)) or [Piece("", Stop.SPACE)]
        if " " in last.text:
            for piece in _in_words(standing[said:]):
                yield piece
                heard = True
            said = len(standing)
    for piece in _last_at_rest(_in_words(pieces(written)[said:])):
        yield piece
        heard = True
    if not heard:
        raise TwinError(_wordless(written))


def _in_words(written: Iterable[Piece], look: Callable[[], None] = lambda: None) -> Iterator[Piece]:
    """Those that can be said, with what is said."""
    for piece in written:
        look()
        spoken = normalise.spoken(piece.text)
        if spoken:
            yield replace(piece, spoken=spoken)


def _last_at_rest(said: Iterator[Piece]) -> Iterator[Piece]:
    """Nothing follows the last one: the rest of a paragraph would be dead air."""
    held = next(said, None)
    for piece in said:
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield replace(held, stop=Stop.SENTENCE)


def _wordless(text: str) -> str:
    return (
        f"nothing in the text can be spoken ({len(text)} characters, none of them a Latin "
        "letter or a digit); give it words in Latin letters"
    )


# --- Where to cut ---------------------------------------------------------------------------------


_TITLES = word_set(
    "mr mrs ms mx dr prof gen gov sen rep capt lt col sgt cmdr rev hon pres supt cpl maj adm fr "
    "msgr messrs dept est approx ca cf viz vs e.g i.e resp incl excl"
)
"""A stop after these ends no sentence."""
_NUMBERED = word_set(
    "no nos nr fig figs vol p pp ch chap sec art eq ext tel par para pt jan feb mar apr jun jul "
    "aug sep sept oct nov dec"
)
"""Nor after these, when a number follows."""
_EITHER = word_set(
    "inc ltd co corp bros jr sr ave blvd rd st ft mt ph.d m.d b.a m.a u.s u.k u.n e.u"
)
"""These end a sentence when the next word looks like the first of one."""
_ZONES = word_set(
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri "
    "sat sun eastern central mountain pacific est edt cst cdt mst mdt pst pdt gmt utc cet cest bst "
    "ist"
)
"""After "3 p.m." these go on with the time."""
_STARTERS = word_set(
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


def pieces(text: str) -> list[Piece]:
    """`text` cut where one takes breath; only the white space between is gone.

    No piece is longer than MAX_CHARACTERS. What is said of them is not known yet.
    """
    cut: list[Piece] = []
    for line, blank_after in _lines(text):
        found = _sentences(line)
        for at, sentence in enumerate(found, start=1):
            end = _ending(sentence)
            if at == len(found):
                end = Stop.PARAGRAPH if blank_after else max(Stop.LINE, end, key=_rest)
            cut.extend(_phrases(sentence, end, len(cut)))
    return cut


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


_GOES_ON = word_set(
    "a an and as at because but by for from if in into is are my of on or our than that the their "
    "to was were which with your his her its"
)
"""No line of its own ends with one of these, however short it is."""
_ITEM = re.compile(r"(?:[-*+•‣>–—]|#{1,6}|\(?\d{1,3}[.)]|\(?[A-Za-z]\))(?:\s|$)|\||(?:\d{1,3}|\w)$")
"""The first of a line that stands for itself; or too little of it to see, while it is written."""


def _wrapped(line: str, following: str) -> bool:
    """Whether the break after `line` only keeps it from getting too long.

    Not told by capitals alone: "I", names and numbers begin a quarter of all wrapped lines.
    """
    if not following or line[-1] in ".!?…:;" or line[0] in "#|" or _ITEM.match(following):
        return False
    if line.rsplit(" ", 1)[-1] in _GOES_ON:
        return True
    return len(line) >= WRAPPED and not _alone(following)


def _alone(line: str) -> bool:
    return _short(line) and line[-1] not in ".!?…;"


def _short(line: str) -> bool:
    return len(line) < ALONE and line[:1].isupper()


def _settled(written: str) -> str:
    """`written` without a last line that may yet go on the one before, or stand alone.

    It is not asked for a stop: "Mr." may become "Mr. Tom".
    """
    *before, last = written.splitlines(keepends=True) or [""]
    ended = last.splitlines() != [last]
    if ended or not before or not _short(" ".join(last.split())):
        return written
    wide = len(" ".join(before[-1].split())) >= WRAPPED
    return "".join(before).rstrip() if wide else written


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


def _bounded(text: str, stop: Stop, before: int) -> Iterator[Piece]:
    """What a speaker gets of a piece in words: all of it, or parts where it is too long.

    `before`: how many parts the text has so far.
    """
    if len(text) > MAX_SAID:
        yield from _phrases(text, stop, before)
    else:
        yield Piece(text, stop)


def _phrases(sentence: str, stop: Stop, before: int) -> Iterator[Piece]:
    """`sentence` in pieces of at most MAX_CHARACTERS, the last of which ends with `stop`.

    `before`: how many pieces the text has so far; the first ones are shorter, see SOON.
    Looks at no more of a sentence than it cuts, so that one that still grows is cut alike.
    """
    start = 0
    while True:
        soon = SOON[before] if before < len(SOON) else MAX_CHARACTERS
        left = len(sentence) - start
        at, end = 0, stop
        if left > soon + REMAINS:
            at, end = _clause(sentence[start : start + soon + 1]), Stop.CLAUSE
        if not at and left > MAX_CHARACTERS:
            at, end = _cut(sentence[start : start + MAX_CHARACTERS + 1])
        if not at:
            yield Piece(sentence[start:].strip(), stop)
            return
        yield Piece(sentence[start : start + at].strip(), end)
        start += at
        before += 1


def _clause(head: str) -> int:
    """Where the last clause in the last two thirds of `head` ends; 0 when none does."""
    for pattern in _CLAUSES:
        ends = [found.end() for found in pattern.finditer(head, len(head) // 3)]
        if ends:
            return ends[-1]
    return 0


def _cut(head: str) -> tuple[int, Stop]:
    """Where to cut within `head`: behind a clause, at a space, anywhere."""
    clause = _clause(head)
    if clause:
        return clause, Stop.CLAUSE
    space = head.rfind(" ", 1)
    return (space + 1 if space > 0 else len(head) - 1), Stop.SPACE
