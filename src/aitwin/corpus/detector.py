"""What every finder of secrets is made of: a choice of lines, a pattern, a proof.

Does not know any secret: see secrets, identifiers and addresses. Does not replace: see redact.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple

PLACEHOLDER = re.compile(r"\[[A-Z]+(?:_[A-Z]+)*_\d+\]")
HIDDEN = "\0"
"""Stands in a prepared text where a placeholder is: no secret may reach over one."""


_FLAGS = re.compile(r"\A\(\?([a-z]+)\)(.*)\Z", re.DOTALL)


class Span(NamedTuple):
    """Where a secret stands, and what it is to be compared by."""

    start: int
    end: int
    kind: str
    key: str
    """What two spellings of one secret have in common."""


def plain(text: str) -> str:
    """A text as detectors read it, character by character in its place."""
    if not text.isascii():
        text = text.translate(_PLAIN)
    text = text.replace(HIDDEN, " ")
    return PLACEHOLDER.sub(lambda found: HIDDEN * len(found[0]), text) if "[" in text else text


class Prepared:
    """A text as detectors read it, character by character in its place.

    Digits of every script, wide forms, dashes and spaces become the plain ones, marks without
    width become spaces, placeholders that are there already are hidden.
    """

    def __init__(self, text: str, vocabulary: frozenset[str] = frozenset()) -> None:
        """A `vocabulary` has all words that will be asked for: they are looked for but once."""
        self.text = plain(text)
        self.lower = self.text.lower()
        self.plain = self.lower.isascii()
        known = _ascii(vocabulary) if self.plain else vocabulary
        self._held = frozenset(word for word in known if word in self.lower)
        self._vocabulary = bool(vocabulary)
        self.digits = bool(_DIGIT.search(self.text))
        self._lines_with: dict[re.Pattern[str], list[tuple[int, int]]] = {}
        self._paths: list[tuple[int, int]] | None = None

    @property
    def numbers(self) -> list[tuple[int, int]]:
        """The lines with a number of seven digits or more, as (start, end)."""
        return self.lines(_NUMBER)

    def lines(self, clue: re.Pattern[str]) -> list[tuple[int, int]]:
        """The lines in which the pattern begins, as (start, end)."""
        if clue not in self._lines_with:
            places = (found.start() for found in clue.finditer(self.text))
            self._lines_with[clue] = list(self._lines(places))
        return self._lines_with[clue]

    def in_path(self, at: int) -> bool:
        """Whether this is in the path of a link: an archive's page, no secret that is told."""
        if self._paths is None:
            self._paths = [found.span() for found in _PATH.finditer(self.text)]
        place = bisect_right(self._paths, (at, len(self.text)))
        return place > 0 and at < self._paths[place - 1][1]

    def around(self, words: tuple[str, ...], more: int = 1) -> Iterator[tuple[int, int]]:
        """The lines with one of the words, each with `more` lines after it, as (start, end)."""
        held = self._held.intersection(words) if self._vocabulary else words
        places = [at for word in held for at in self._all(word)]
        return self._lines(sorted(places), more) if places else iter(())

    def _all(self, word: str) -> Iterator[int]:
        at = self.lower.find(word)
        while at >= 0:
            yield at
            at = self.lower.find(word, at + len(word))

    def _lines(self, places: Iterable[int], more: int = 0) -> Iterator[tuple[int, int]]:
        start, end = 0, -1
        for at in places:
            if at < end:
                continue
            first = self.text.rfind("\n", 0, at) + 1
            if end >= 0 and first > end:
                yield start, end
            if end < 0 or first > end:
                start = first
            end = at
            for _ in range(1 + more):
                end = self.text.find("\n", end) + 1 or len(self.text) + 1
        if end >= 0:
            yield start, end


_TOWN = re.compile(r"\d[a-z]?(?:, [^,\n]{1,12})?,\s(?:[A-Z]{1,2}-)?\d\d")
"""A number, a comma and another number: a house and the postcode of its town."""
_NUMBER = re.compile(r"\d(?:[ ().\-/]{0,3}\d){6,}")
_DIGIT = re.compile(r"\d")
_PATH = re.compile(r"(?i)(?:https?://|(?<!\w)www\.)[^\s<>\"?#&=]*")
"""A link up to its query: what is asked for there may well be a secret."""
_CLUES = {"many": _NUMBER, "town": _TOWN}
Digits = Literal["", "some", "many", "town"]


@cache
def _ascii(words: frozenset[str]) -> frozenset[str]:
    """Those that a text in plain letters can hold: half of them, in English."""
    return frozenset(word for word in words if word.isascii())


def _always(_: str) -> bool:
    return True


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


class Detector(NamedTuple):
    """One way to recognise one kind of secret."""

    kind: str
    pattern: re.Pattern[str]
    """Its named groups are the secrets; without any, all of the match is."""
    words: tuple[str, ...] = ()
    """Only lines with one of these (in small letters) are tried, and the line after: speed."""
    digits: Digits = ""
    """Only texts with a digit, lines with a number of seven, or lines with a number after a
    comma are tried: speed."""
    confirmed: Callable[[str], bool] = _always
    same: Callable[[str], str] = _folded

    def find(self, text: Prepared) -> Iterator[Span]:
        """The secrets of its kind."""
        if self.digits and not text.digits:
            return
        for start, end in self._places(text):
            if self.digits == "some" and not _DIGIT.search(text.text, start, end):
                continue
            for match in self.pattern.finditer(text.text, start, end):
                yield from self._spans(match)

    def _places(self, text: Prepared) -> Iterable[tuple[int, int]]:
        if self.words:
            return text.around(self.words)
        clue = _CLUES.get(self.digits)
        return text.lines(clue) if clue else ((0, len(text.text)),)

    def _spans(self, match: re.Match[str]) -> Iterator[Span]:
        for group in self.pattern.groupindex or (0,):
            secret = match[group]
            if secret and HIDDEN not in secret and self.confirmed(secret):
                yield Span(match.start(group), match.end(group), self.kind, self.same(secret))


def detector(
    kind: str,
    *alternatives: str,
    words: tuple[str, ...] = (),
    digits: Digits = "",
    confirmed: Callable[[str], bool] = _always,
    same: Callable[[str], str] = _folded,
) -> Detector:
    """A detector from alternative patterns, each with its own leading flags."""
    scoped = (_FLAGS.sub(r"(?\1:\2)", alternative) for alternative in alternatives)
    return Detector(kind, re.compile("|".join(scoped)), words, digits, confirmed, same)


def digits(text: str) -> str:
    """Nothing but its digits."""
    return re.sub(r"\D", "", text)


class _Plain(dict[int, int]):
    """The plain form of a character, worked out once for each."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        category = unicodedata.category(character)
        plain = unicodedata.normalize("NFKC", character)
        if category == "Nd":
            plain = str(unicodedata.digit(character))
        elif category == "Pd":
            plain = "-"
        elif category in ("Zs", "Cf"):
            plain = " "
        # A wide "A" is no other letter, but "ß" or "½" must stay what they are.
        keeps = len(plain) != 1 or (plain.isalpha() and not 0xFF00 <= code <= 0xFFEF)
        if character == "İ":  # the one capital whose small form is two characters
            plain, keeps = "I", False
        self[code] = code if keeps else ord(plain)
        return self[code]


_PLAIN = _Plain()
