"""Other people's names, where the owner wants them out: only names that are given, never guessed.

A list of all first names would take "Rose", "Mark" and "May" out of gardens, schools and months;
the people of a corpus are known from its headers. Does not find nicknames.
"""

import re
from collections.abc import Iterable, Iterator

from aitwin.corpus.detector import Prepared, Span

SHORTEST = 3
"""Letters of a part of a name that is taken out by itself: "Ana", not "de" or "J."."""
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
    """The given people, by each part of their names."""

    def __init__(self, people: Iterable[str], keep: Iterable[str] = ()) -> None:
        kept = {word.casefold() for name in keep for word in _WORD.findall(Prepared(name).text)}
        self._owners: dict[str, str] = {}
        for name in sorted(people):
            words = _WORD.findall(Prepared(name).text)
            key = " ".join(words).casefold()
            for word in words:
                part = word.casefold()
                if len(part) >= SHORTEST and part not in kept:
                    # Two people of one name share what stands for the part alone.
                    self._owners[part] = key if part not in self._owners else part

    def find(self, text: str) -> Iterator[Span]:
        """Runs of parts of names: "Ana", "Silva, Ana", "ANA SILVA"."""
        if not self._owners:
            return
        run: list[re.Match[str]] = []
        for word in _WORD.finditer(text):
            part = _bare(word[0])
            if part not in self._owners or (part in _COMMON and word[0].islower()):
                continue
            if run and not self._goes_on(text, run[-1], word):
                yield from self._span(text, run)
                run = []
            run.append(word)
        yield from self._span(text, run)

    def _goes_on(self, text: str, last: re.Match[str], word: re.Match[str]) -> bool:
        """Whether a part of a name continues the one before it."""
        same = self._owners[_bare(last[0])] == self._owners[_bare(word[0])]
        return same and bool(_GAP.fullmatch(text, last.end(), word.start()))

    def _span(self, text: str, run: list[re.Match[str]]) -> Iterator[Span]:
        if not run:
            return
        parts = [_bare(word[0]) for word in run]
        if len(run) == 1 and parts[0] in _COMMON:
            before = text[max(0, run[0].start() - 12) : run[0].start()]
            if not (run[0][0][0].isupper() and _GREETING.search(before)):
                return
        end = run[-1].end() - (len(run[-1][0]) - len(_possessor(run[-1][0])))
        yield Span(run[0].start(), end, "NAME", self._owners[parts[0]])


def _possessor(word: str) -> str:
    return re.sub(r"['’]s$", "", word)


def _bare(word: str) -> str:
    return _possessor(word).casefold()
