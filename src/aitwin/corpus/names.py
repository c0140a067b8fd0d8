"""Other people's names, where the owner wants them out: names that are given, never guessed.

A list of all first names would take "Rose", "Mark" and "May" out of gardens, schools and months;
the people of a corpus are known from its headers. Does not find nicknames.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from aitwin.corpus.detector import Prepared, Span

SHORTEST = 3
"""Letters of a part of a name that is taken out by itself: "Ana", not "de" or "J."."""
LONGEST = 5
"""Words of a name; what is longer is a list's title."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_GAP = re.compile(r"[ \t]{1,2}|,[ \t]|[ \t]?\n")
_COMMON = frozenset(
    [
        "will",
        "mark",
        "may",
        "april",
        "june",
        "rose",
        "grace",
        "hope",
        "bill",
        "art",
        "sue",
        "pat",
        "drew",
        "chase",
        "faith",
        "joy",
        "jack",
        "rob",
        "nick",
        "frank",
        "max",
        "ray",
        "dean",
        "miles",
        "wade",
        "cliff",
        "dale",
        "glen",
        "grant",
        "lance",
        "rich",
        "skip",
        "ward",
        "young",
        "king",
        "brown",
        "white",
        "black",
        "green",
        "gray",
        "long",
        "short",
        "stone",
        "woods",
        "fields",
        "rivers",
        "banks",
        "best",
        "love",
        "bush",
        "cook",
        "baker",
        "das",
        "den",
        "der",
        "des",
        "les",
        "los",
        "las",
        "von",
        "van",
        "ben",
        "bin",
        "sol",
        "mar",
        "luz",
        "angel",
        "ange",
        "pierre",
        "marine",
        "claire",
        "dan",
        "sun",
        "moon",
        "sky",
        "summer",
        "autumn",
        "ivy",
        "lily",
        "daisy",
        "basil",
        "sage",
        "olive",
        "hazel",
        "robin",
        "jay",
        "martin",
        "page",
        "price",
        "post",
        "day",
        "night",
        "south",
        "north",
        "west",
        "east",
        "field",
        "hill",
        "lane",
        "street",
        "wood",
        "bell",
        "ball",
        "small",
        "little",
        "good",
        "and",
        "the",
        "team",
        "support",
        "info",
        "admin",
        "office",
        "sales",
        "service",
        "group",
        "mail",
        "list",
        "news",
    ]
)
"""Also words: a name only beside the rest of it, or after a greeting."""
_GREETING = re.compile(
    r"(?i)(?:\b(?:hi|hey|hello|dear|hallo|liebe[r]?|bonjour|cher|chère|hola|ciao|olá|oi|thanks|"
    r"cheers|"
    r"from|mr|mrs|ms|dr|herr|frau|with|ask|tell),? |@)$"
)


class Names:
    """The given people, by their full names and by each part of them."""

    def __init__(self, people: Iterable[str], keep: Iterable[str] = ()) -> None:
        kept = {word.casefold() for name in keep for word in _WORD.findall(Prepared(name).text)}
        self._owners: dict[str, str] = {}
        self._full: dict[tuple[str, ...], str] = {}
        self._words = set(_COMMON)
        for name in sorted(people):
            parts = tuple(word.casefold() for word in _WORD.findall(Prepared(name).text))
            if not 0 < len(parts) <= LONGEST or kept.issuperset(parts):
                continue
            key = " ".join(parts)
            if len(parts) > 1:
                self._full[parts] = self._full[(parts[-1], *parts[:-1])] = key
            for part in parts:
                if len(part) >= SHORTEST and part not in kept:
                    # Two people of one name share what stands for the part alone.
                    self._owners[part] = key if self._owners.get(part, key) == key else part

    def spare(self, texts: Iterable[str]) -> None:
        """Take for words those parts that the texts have in small letters as often as not."""
        small: Counter[str] = Counter()
        for text in texts if self._owners else ():
            for word in _WORD.findall(text):
                part = _bare(word)
                if part in self._owners:
                    small[part] += 1 if word[0].islower() else -1
        self._words.update(part for part, more in small.items() if more >= 0)

    def find(self, text: str) -> Iterator[Span]:
        """Names in full and runs of their parts: "Ana", "Silva, Ana", "ANA SILVA"."""
        if not self._owners:
            return
        words = list(_WORD.finditer(text))
        parts = [_bare(word[0]) for word in words]
        at = 0
        while at < len(words):
            count, key = self._at(text, words, parts, at)
            if count:
                last = words[at + count - 1]
                end = last.end() - (len(last[0]) - len(_possessor(last[0])))
                yield Span(words[at].start(), end, "NAME", key)
            at += count or 1

    def _at(
        self, text: str, words: Sequence[re.Match[str]], parts: Sequence[str], at: int
    ) -> tuple[int, str]:
        """How many words from here are one name, and whose."""
        if parts[at] not in self._owners and not any(
            tuple(parts[at : at + count]) in self._full for count in range(2, LONGEST + 1)
        ):
            return 0, ""
        joined = 1
        while joined < LONGEST and at + joined < len(words):
            gap = _GAP.fullmatch(text, words[at + joined - 1].end(), words[at + joined].start())
            if not gap:
                break
            joined += 1
        for count in range(joined, 1, -1):
            key = self._full.get(tuple(parts[at : at + count]), "")
            if key and not any(
                word[0].islower() and part in self._words
                for word, part in zip(words[at : at + count], parts[at:], strict=False)
            ):
                return count, key
        return self._run(text, words, parts[at : at + joined], at)

    def _run(
        self, text: str, words: Sequence[re.Match[str]], parts: Sequence[str], at: int
    ) -> tuple[int, str]:
        """The parts of one person's name that follow each other, in any order."""
        owner = self._owners.get(parts[0], "")
        if not owner or (parts[0] in self._words and words[at][0].islower()):
            return 0, ""
        count = 1
        # The same part again is the same person again: "jörg, Jörg's car".
        while (
            count < len(parts)
            and self._owners.get(parts[count]) == owner
            and parts[count] not in parts[:count]
        ):
            count += 1
        if count == 1 and parts[0] in self._words:
            before = text[max(0, words[at].start() - 12) : words[at].start()]
            if not _GREETING.search(before):
                return 0, ""
        return count, owner


def _possessor(word: str) -> str:
    return re.sub(r"['’]s$", "", word)


def _bare(word: str) -> str:
    return _possessor(word).casefold()
