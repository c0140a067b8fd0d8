"""Reading: what somebody read, against what was to be read.

Lenient where only the spelling differs: numbers, contractions, words that sound alike. Does not
hear anything itself: see transcribe.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from aitwin.voice.consent import SENTENCE
from aitwin.voice.phonemes import VOWELS, Phonemes, phonemes
from aitwin.voice.transcribe import Word

Kind = Literal["replaced", "missing", "added"]


@dataclass(frozen=True)
class Slip:
    """One word that was not read as written."""

    kind: Kind
    position: int
    """Of the word in the text, from 0; for an added word that of the one behind it."""
    written: str = field(repr=False)
    """Empty when the word was added."""
    heard: str = field(repr=False)
    """Empty when the word is missing."""


@dataclass(frozen=True)
class Reading:
    """How a text was read."""

    words: int
    """Of the text, as they are said: "twenty-five" is two."""
    slips: tuple[Slip, ...] = ()
    """In the order of the text."""

    @property
    def misread(self) -> int:
        """Words replaced, missing or added."""
        return len(self.slips)

    def count(self, kind: Kind) -> int:
        """Slips of one kind."""
        return sum(slip.kind == kind for slip in self.slips)


@dataclass(frozen=True)
class _Match:
    """A step of an alignment: words of the text, the words heard for them, and its cost."""

    written: tuple[str, ...] = field(repr=False)
    heard: tuple[str, ...] = field(repr=False)
    cost: int

    @property
    def replaces(self) -> bool:
        return bool(self.cost and self.written and self.heard)


def compare(text: str, words: Sequence[Word]) -> Reading:
    """Align what was heard with what was written (Levenshtein, over words).

    For a prompt or a page: the time grows with the product of their words.
    Raises TwinError when the phonemizer is not installed.
    """
    written = _spoken(text)
    slips: list[Slip] = []
    position = 0
    for match in _align(written, _heard(words)):
        if match.cost:
            kind: Kind = "added" if not match.written else "replaced" if match.heard else "missing"
            slips.append(Slip(kind, position, " ".join(match.written), " ".join(match.heard)))
        position += len(match.written)
    return Reading(len(written), tuple(slips))


def contains(sentence: str, words: Sequence[Word]) -> float:
    """Share of a consent sentence that was heard, in order, 0 to 1.

    The name counts as one word, heard when anything stands in its place: no ASR can spell names.
    The date counts as four, by the share of its day and month in any order and form. The share
    is never more than that of the words of permission alone, and 0 when they were denied ("I do
    not allow"). Any other sentence is compared word by word.
    Raises TwinError when the phonemizer is not installed.
    """
    heard = _heard(words)
    parts = _CONSENT.fullmatch(sentence.strip())
    if parts is None:
        return _share(_spoken(sentence), heard)
    introduction, today, permission = (_spoken(part) for part in _FIXED)
    after = heard[heard.index("today") :] if "today" in heard else heard
    if not _DENIALS.isdisjoint(after):
        return 0.0
    fixed = [*introduction, *today, *permission]
    found = (
        _share(fixed, heard) * len(fixed)
        + _NAME_WEIGHT * _named(heard)
        + _DATE_WEIGHT * _dated(parts["date"], heard)
    )
    return min(
        found / (len(fixed) + _NAME_WEIGHT + _DATE_WEIGHT),
        _share(permission, heard),
    )


def _share(written: Sequence[str], heard: Sequence[str]) -> float:
    matches = _align(written, heard)
    right = sum(len(match.written) for match in matches if not match.cost)
    return right / len(written) if written else 1.0


_FIXED = tuple(re.split(r"\{name\}|\{date\}", SENTENCE))
"""What stands before the name, between name and date, and behind the date."""
_NAME_WEIGHT = 1
_DATE_WEIGHT = 4
"""Words of the sentence that the name and the date count for."""
_DENIALS = frozenset(
    ("not", "never", "no", "cannot", "can't", "don't", "isn't", "won't", "refuse", "forbid")
)
_CONSENT = re.compile("{}(?P<name>.+?){}(?P<date>.+?){}".format(*map(re.escape, _FIXED)), re.DOTALL)


def _named(heard: Sequence[str]) -> bool:
    """Whether there are words between "I am" and "today"."""
    said = " ".join(heard)
    return re.search(r"\b(?:i am|i'm|im) (?!today\b)\w.* today\b", said) is not None


def _dated(date: str, heard: Sequence[str]) -> float:
    """Share of the words of a date's day and month that were heard, in any order."""
    wanted = Counter(_day_and_month(date))
    found = wanted & Counter(map(_cardinal, heard))
    return found.total() / wanted.total() if wanted else 1.0


def _day_and_month(date: str) -> list[str]:
    """The words of a date but for the year, which has many readings: "twenty", "nine", "may"."""
    words = [_cardinal(word) for word in _spoken(re.sub(r"\b\d{4}\b", "", date))]
    month = next((at for at, word in enumerate(words) if word in _MONTHS), None)
    if month is None:
        return words
    before, after = (
        [word for word in part if word in _SMALL or word in _TENS]
        for part in (words[:month], words[month + 1 :])
    )
    if not before:
        tens_and_ones = len(after) > 1 and after[0] in _TENS and after[1] in _SMALL[1:10]
        before = after[: 1 + tens_and_ones]
    return [*before, words[month]]


# How words are compared ---------------------------------------------------------------------

_STEPS = ((1, 1), (1, 0), (0, 1), (1, 2), (2, 1), (2, 2))
"""Words of the text and words heard in one step; longer ones only match, they never replace."""


def _align(written: Sequence[str], heard: Sequence[str]) -> list[_Match]:
    """The cheapest way from one to the other; of equal ones that with the most words right."""
    best: dict[tuple[int, int], tuple[int, int, _Match | None]] = {(0, 0): (0, 0, None)}
    for row in range(len(written) + 1):
        for column in range(len(heard) + 1):
            arrivals = [
                (cost + match.cost, wrong + match.replaces, match)
                for down, across in _STEPS
                if down <= row and across <= column
                for cost, wrong, _ in [best[row - down, column - across]]
                for match in [
                    _step(tuple(written[row - down : row]), tuple(heard[column - across : column]))
                ]
                if match is not None
            ]
            if arrivals:
                best[row, column] = min(arrivals, key=lambda arrival: arrival[:2])
    path: list[_Match] = []
    row, column = len(written), len(heard)
    while (last := best[row, column][2]) is not None:
        path.append(last)
        row, column = row - len(last.written), column - len(last.heard)
    return path[::-1]


def _step(written: tuple[str, ...], heard: tuple[str, ...]) -> _Match | None:
    """None: no step of an alignment."""
    if written and heard and _same(" ".join(written), " ".join(heard)):
        return _Match(written, heard, 0)
    if len(written) > 1 or len(heard) > 1:
        return None
    return _Match(written, heard, 1)


@lru_cache(maxsize=100_000)
def _same(written: str, heard: str) -> bool:
    """Whether two stretches of words can be the same speech, spelled in two ways."""
    if _joined(written) == _joined(heard):
        return True
    if _full(written) & _full(heard) or {written, heard} <= _WEAK:
        return True
    return _sound(written) == _sound(heard) != ()


_WEAK = frozenset(("and", "an", "in"))
"""Words that are one "n" between others: "bread 'n' butter"."""


def _joined(words: str) -> str:
    return words.replace(" ", "").replace("'", "")


_CONTRACTED = {
    "n't": ("not",),
    "'re": ("are",),
    "'m": ("am",),
    "'ll": ("will", "shall"),
    "'ve": ("have",),
    "'d": ("had", "would"),
    "'s": ("is", "has", "us"),
}
_WHOLE = {"can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not"}
_ENDING = re.compile(r"(n't|'(?:re|m|ll|ve|d|s))$")


def _full(words: str) -> frozenset[str]:
    """What contracted words may stand for, themselves included."""
    forms = [""]
    for word in words.split():
        ending = _ENDING.search(word)
        readings = [_WHOLE.get(word, word)]
        if word not in _WHOLE and ending is not None:
            stem = word[: ending.start()]
            readings += [f"{stem} {full}" for full in _CONTRACTED[ending[1]]]
        forms = [f"{form} {reading}".strip() for form in forms for reading in readings]
    return frozenset(forms)


_MERGING = ({"t", "d"}, {"s", "z"})
"""Consonants of which two that meet are heard as one: "learned to" is "learn to"."""


@lru_cache(maxsize=100_000)
def _sound(words: str) -> Phonemes:
    """How it sounds, as far as American ears tell: "ladder" is "latter", and no stress."""
    said = [phoneme for stretch in phonemes(words) for phoneme in stretch]
    heard: list[str] = []
    for phoneme, following in zip(said, [*said[1:], ""], strict=True):
        if phoneme == following or any({phoneme, following} <= pair for pair in _MERGING):
            continue
        if phoneme == "t" and following in VOWELS and heard and heard[-1] in VOWELS:
            phoneme = "d"
        heard.append("ə" if phoneme == "ʌ" else phoneme)
    return tuple(heard)


# From spelling to words ---------------------------------------------------------------------

_TOKEN = re.compile(r"\d+(?:st|nd|rd|th)\b|\d{1,3}(?:,\d{3})+|\d+|%|&|[^\W\d_]+(?:'[^\W\d_]+)*")
_SIGNS = {"%": "percent", "&": "and"}
_NOISES = frozenset(("ah", "aha", "er", "erm", "hm", "hmm", "huh", "mm", "mmm", "psst", "uh", "um"))
"""Sounds rather than words: everybody spells them in another way, and Whisper leaves them out."""

# fmt: off
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)
# fmt: on
_ORDINALS = {
    "first": "one",
    "second": "two",
    "third": "three",
    "fifth": "five",
    "eighth": "eight",
    "ninth": "nine",
    "twelfth": "twelve",
}


def _heard(words: Sequence[Word]) -> list[str]:
    return _spoken(" ".join(word.text for word in words))


def _spoken(text: str) -> list[str]:
    """The words of a text as they are said, in lower case: "5th" is "fifth", "21" two words."""
    words: list[str] = []
    for token in _TOKEN.findall(text.lower().replace("’", "'")):
        words += _digits(token) if token[0].isdigit() else [_SIGNS.get(token, token)]
    # "A hundred" and "100" are the same; so are their thousands.
    for number, following in enumerate(words[1:]):
        if words[number] == "a" and following in ("hundred", "thousand", "million"):
            words[number] = "one"
    return [word for word in words if word not in _NOISES]


def _digits(token: str) -> list[str]:
    number = re.sub(r"\D", "", token)
    words = list(_number(int(number))) if len(number) < 10 else [_SMALL[int(d)] for d in number]
    if token[-1].isalpha():
        words[-1] = _ordinal(words[-1])
    return words


def _number(value: int) -> Iterator[str]:
    """A number below a thousand millions in words, without "and"."""
    for scale, name in _SCALES:
        if value >= scale:
            yield from _number(value // scale)
            yield name
            value %= scale
            if not value:
                return
    if value < 20:
        yield _SMALL[value]
        return
    yield _TENS[value // 10 - 2]
    if value % 10:
        yield _SMALL[value % 10]


def _ordinal(word: str) -> str:
    irregular = {cardinal: ordinal for ordinal, cardinal in _ORDINALS.items()}
    if word in irregular:
        return irregular[word]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"


def _cardinal(word: str) -> str:
    """The number behind an ordinal: "ninth" is "nine"; any other word is itself."""
    if word in _ORDINALS:
        return _ORDINALS[word]
    if word.endswith("ieth") and word[:-4] + "y" in _TENS:
        return word[:-4] + "y"
    return word[:-2] if word.endswith("th") and word[:-2] in _SMALL else word
