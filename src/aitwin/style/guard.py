"""A draft less what a model adds around it: announcements, formulas, decoration. Counts them.

Errs on the owner's side. Without knowing how the owner writes, it takes off only what speaks of the
draft itself or waits to be filled in; with Habits, learnt from the owner's replies, also what none
of those has. Knows nothing of models; the patterns are in manners.
"""

import json
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import manners

Intervention = Literal[
    "announcement",
    "subject line",
    "fence",
    "quotes",
    "bold",
    "heading",
    "placeholder",
    "offer",
    "sign-off",
]
HABITS = "habits.json"
"""Beside the adapter."""
NAMES = 3
"""Lines that may follow a sign-off: name, title, company."""
SIGNED = 2
"""Replies that end in the same short line, so that it is how the owner signs."""
LINE = 240
"""Characters of a line that may belong to an ending."""
_CERTAIN = ("announcement", "placeholder", "offer")
"""Taken off whoever the owner is; of offers, those that speak of the draft."""


@dataclass(frozen=True)
class Habits:
    """What the owner's own replies have, of all that would be taken off."""

    kinds: frozenset[Intervention] = frozenset()
    sign_offs: frozenset[str] = field(default=frozenset(), repr=False)
    """Formulas such as "best regards", in lower case."""
    names: frozenset[str] = field(default=frozenset(), repr=False)
    """How the owner signs, in lower case."""

    @classmethod
    def of(cls, replies: Iterable[str]) -> "Habits":
        """One reply is enough: what the owner wrote once is the owner's."""
        kinds: set[Intervention] = set()
        formulas: set[str] = set()
        names: Counter[str] = Counter()
        for reply in replies:
            guard = Guard(cls())
            for _ in guard.alone([reply]):
                pass
            kinds |= guard.found
            lines = [line.strip() for line in reply.split("\n") if line.strip()]
            formulas.update(filter(None, map(_sign_off, lines)))
            if lines and _is_name(lines[-1]):
                names[_formula(lines[-1])] += 1
        signs = frozenset(name for name, times in names.items() if times >= SIGNED)
        return cls(frozenset(kinds - {"sign-off"}), frozenset(formulas), signs)

    def save(self, directory: Path) -> None:
        """Write them beside an adapter."""
        found = {name: sorted(getattr(self, name)) for name in ("kinds", "sign_offs", "names")}
        artifact.write_private(directory / HABITS, json.dumps(found, indent=2) + "\n")

    @classmethod
    def load(cls, directory: Path) -> "Habits | None":
        """Those beside an adapter; None for an adapter without."""
        try:
            found = json.loads((directory / HABITS).read_text())
            kinds = (kind for kind in get_args(Intervention) if kind in found["kinds"])
            return cls(frozenset(kinds), frozenset(found["sign_offs"]), frozenset(found["names"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise TwinError(
                f"{directory / HABITS} cannot be read ({type(error).__name__}); run `twin train`"
            ) from None


@dataclass(frozen=True)
class Draft:
    """A whole draft, and what was taken off it, in this order."""

    text: str = field(repr=False)
    interventions: tuple[Intervention, ...] = ()


def guarded(text: str, habits: Habits | None = None, *, asked: str = "") -> Draft:
    """`text` as a draft alone."""
    guard = Guard(habits, asked)
    return Draft("".join(guard.alone([text])), guard.interventions)


class Guard:
    """Watches over one draft while it is written."""

    def __init__(self, habits: Habits | None = None, asked: str = "") -> None:
        """`asked`: the owner's instruction. Who asks for a subject line gets one."""
        self._habits = habits
        self._asked = asked.casefold()
        self._signs = habits.names if habits else frozenset()
        self._announced = False
        self.found: set[Intervention] = set()
        """What there was to take off, also of a text that was passed on whole."""
        self.interventions: tuple[Intervention, ...] = ()
        """What was taken off, each kind once: known when the draft has ended."""

    def alone(self, pieces: Iterable[str]) -> Generator[str]:
        """Pass on a stream of text less what the owner would not write, however it is cut.

        A text of which nothing would be left is passed on as it is.
        """
        raw: list[str] = []
        empty = True

        def read() -> Iterator[str]:
            for piece in pieces:
                if empty:
                    raw.append(piece)
                yield piece

        for piece in self._without_ending(self._undecorated(self._without_head(read()))):
            if piece and (not empty or piece.strip()):
                empty = False
                yield piece
        if not empty:
            self.interventions = tuple(k for k in get_args(Intervention) if k in self.found)
        elif text := "".join(raw).lstrip():
            yield text

    def _takes(self, kind: Intervention) -> bool:
        if self._habits is None:
            return kind in _CERTAIN
        return kind not in self._habits.kinds

    # The head

    @property
    def _openings(self) -> Iterator[tuple[Intervention, re.Pattern[str]]]:
        if self._takes("announcement"):
            yield "announcement", manners.ANNOUNCEMENT
        if self._takes("subject line") and not manners.ASKS_SUBJECT.search(self._asked):
            yield "subject line", manners.SUBJECT
        if self._takes("placeholder"):
            yield "placeholder", manners.GREETING

    def _without_head(self, pieces: Iterable[str]) -> Generator[str]:
        head = ""
        rest = iter(pieces)
        for piece in rest:
            head = self._opened(head + piece)
            if self._is_settled(head):
                break
        else:
            head = self._opened(self._unwrapped(head))
        if head:
            yield head
        yield from rest

    def _opened(self, text: str) -> str:
        """Less the lines at its head that announce it, as often as there are any."""
        before, text = "", text.lstrip()
        while before != text:
            before = text
            for kind, pattern in self._openings:
                found = pattern.match(text)
                if found and len(found[0].rstrip()) <= manners.LEAD:
                    self.found.add(kind)
                    self._announced = True
                    text = text[found.end() :].lstrip()
            if self._announced and (rule := manners.RULE.match(text)):
                text = text[rule.end() :].lstrip()
        return text

    def _is_settled(self, head: str) -> bool:
        """Whether nothing will be taken off `head`, already opened, whatever follows."""
        if not head:
            return False
        if self._takes("fence") and "```".startswith(head[:3]):
            return not self._may_be_wrapped(head, "\n```")
        if self._takes("quotes") and head[0] in manners.QUOTES:
            return not self._may_be_wrapped(head, manners.QUOTES[head[0]])
        if "\n" in head or len(head) > manners.LEAD + len("\n"):
            return True
        return not _begins(head, manners.OPENINGS)

    def _may_be_wrapped(self, text: str, closing: str) -> bool:
        """Whether all of the draft may turn out to stand between fences or quotes."""
        end = text.find(closing, 1)
        return end < 0 or self._may_end("\n" + text[end + len(closing) :].lstrip("\n"))

    def _unwrapped(self, text: str) -> str:
        """A whole draft without the fences or quotes around it, and what stands behind them."""
        kind: Intervention
        if self._takes("fence") and (fenced := manners.FENCE.match(text)):
            kind, inner, rest = "fence", fenced["inner"], text[fenced.end() :]
        elif self._takes("quotes") and text[:1] in manners.QUOTES:
            inner, closing, rest = text[1:].partition(manners.QUOTES[text[0]])
            # One who says a few words in quotes cites them.
            kind, inner = "quotes", inner if closing and "\n" in inner else ""
        else:
            return text
        left, kinds = self._ended(rest.strip("\n").split("\n"))
        if not inner.strip() or "".join(left).strip():
            return text
        self.found |= {kind, *kinds}
        return inner.lstrip()

    # In the text

    def _undecorated(self, pieces: Iterable[str]) -> Generator[str]:
        """Less bold and headings, but for code."""
        if not (self._takes("bold") or self._takes("heading")):
            yield from pieces
            return
        line, passed, code = "", 0, False
        for piece in pieces:
            *whole, last = (line + piece).split("\n")
            for line in whole:
                code ^= bool(manners.CODE.match(line))
                yield f"{self._plain(line, code)[passed:]}\n"
                passed = 0
            line = last
            if (certain := _undecorated_length(line, code)) > passed:
                yield line[passed:certain]
                passed = certain
        yield self._plain(line, code)[passed:]

    def _plain(self, line: str, code: bool) -> str:
        if code:
            return line
        if self._takes("heading") and (heading := manners.HEADING.match(line)):
            self.found.add("heading")
            line = line[heading.end() :]
        before = None if self._takes("bold") else line
        while line != before:
            before, line = line, manners.BOLD.sub(r"\g<inner>", line)
            if line != before:
                self.found.add("bold")
        return line

    # The end

    def _without_ending(self, pieces: Iterable[str]) -> Generator[str]:
        """Less the lines that end it. Holds back from a line that may begin the end."""
        held, amid = "", False
        for piece in pieces:
            held += piece
            place, amid = self._body(held, amid)
            if place:
                yield held[:place]
                held = held[place:]
        place, _ = self._body(held, amid, complete=True)
        if place:
            yield held[:place]
        if rest := held[place:]:
            lines, kinds = self._ended(rest.removeprefix("\n").split("\n"))
            self.found |= kinds
            if not kinds:
                yield rest
            elif lines:
                yield "\n".join(["", *lines] if rest.startswith("\n") else lines)

    def _body(self, text: str, amid: bool, *, complete: bool = False) -> tuple[int, bool]:
        """How much of `text` is not the end, and whether that ends amid a line.

        `text` begins with a line or a line break; `amid`: with the rest of a line that is not.
        """
        place = 0
        while place < len(text):
            if amid:
                place = text.find("\n", place)
                if place < 0:
                    return len(text), True
            elif self._may_end(text[place:], complete=complete):
                return place, False
            elif text[place] == "\n":
                place += 1
            amid = not amid
        return place, amid

    def _may_end(self, text: str, *, complete: bool = False) -> bool:
        """Whether all lines of `text` belong to an ending, or may when the last is complete."""
        *lines, last = text.removeprefix("\n").split("\n")
        names = 0
        for line in lines:
            kind = self._kind(line, names)
            if kind == "body":
                return False
            names = NAMES if kind == "sign-off" else names - (kind == "name")
        return self._kind(last, names) != "body" or (not complete and self._begins(last, names))

    def _kind(self, line: str, names: int) -> str:
        """What a line of an ending is; `names`: how many lines may yet say who signs."""
        line = line.strip()
        if not line.strip("-_*"):
            return "gap"
        if len(line) > LINE:
            return "body"
        if self._takes("placeholder") and manners.ALL_TO_FILL_IN.fullmatch(line):
            return "placeholder"
        if _sign_off(line):
            return "sign-off"
        if self._is_offer(line):
            return "offer"
        return "name" if names and self._says_who(line) else "body"

    def _is_offer(self, line: str) -> bool:
        pattern = manners.OFFER if self._habits else manners.OFFERS_DRAFT
        return bool(
            self._takes("offer")
            and pattern.fullmatch(line)
            and not manners.ASKS_OFFER.search(self._asked)
        )

    def _says_who(self, line: str) -> bool:
        return _is_name(line) or _formula(line) in self._signs

    def _begins(self, line: str, names: int) -> bool:
        """Whether a line that has only begun may turn out to be one of an ending."""
        whole_words = " ".join(line.split()[:-1])
        line = line.strip().lower()
        if len(line) > LINE:
            return False
        return (
            line.startswith("[")
            or _begins(line.removeprefix("("), manners.OFFERS)
            or any(_may_sign_off(line, formula) for formula in manners.SIGN_OFFS)
            or (names > 0 and _is_name(whole_words))
            or (names > 0 and _begins(_formula(line), self._signs))
        )

    def _ended(self, lines: Sequence[str]) -> tuple[list[str], set[Intervention]]:
        """The lines of an ending that are the owner's, and what the others are."""
        kept: list[str] = []
        kinds: set[Intervention] = set()
        names, foreign = 0, False
        for place, line in enumerate(lines):
            kind = self._kind(line, names)
            if kind == "sign-off":
                names, foreign = NAMES, self._is_foreign(lines[place:])
            else:
                names -= kind == "name"
            if kind == "sign-off" and foreign:
                kinds.add("sign-off")
            elif kind == "placeholder" or kind == "offer":
                kinds.add("placeholder" if kind == "placeholder" else "offer")
            elif kind != "name" or not foreign or _formula(line) in self._signs:
                kept.append(line)
        while kinds and kept and not kept[-1].strip(" \t-_*"):
            kept.pop()
        return kept, kinds

    def _is_foreign(self, lines: Sequence[str]) -> bool:
        """Whether a sign-off, the first of the lines, is not the owner's."""
        formula = _sign_off(lines[0])
        if formula in self._asked:
            return False
        if self._habits is not None:
            return formula not in self._habits.sign_offs
        below = " ".join(lines[1:]).lstrip()
        return bool(manners.TO_FILL_IN.search(lines[0]) or manners.TO_FILL_IN.match(below))


def _undecorated_length(line: str, code: bool) -> int:
    """How much of a line that goes on will stay as it is."""
    begun = line.lstrip()
    if not begun or begun[0] == "`" or (begun[0] == "#" and not code):
        return 0
    bold = line.find("**")
    if code or (bold < 0 and not line.endswith("*")):
        return len(line)
    return bold if bold >= 0 else len(line) - 1


def _begins(text: str, openings: Iterable[str]) -> bool:
    """Whether a text that has only begun may turn out to begin with one of `openings`."""
    begun = text.lower()
    return any(begun.startswith(one) or one.startswith(begun) for one in openings)


def _may_sign_off(line: str, formula: str) -> bool:
    rest = line.removeprefix(formula).lstrip()
    if rest == line:
        return formula.startswith(line)
    return rest in ("", ".", "!") or (rest[0] == "," and len(rest) <= manners.NAME + 2)


def _sign_off(line: str) -> str:
    """The formula of a line that is nothing but a sign-off; empty for any other line."""
    found = manners.SIGN_OFF.fullmatch(line.strip())
    name = found["name"] if found else None
    if not found or (name and not _is_name(name) and not manners.TO_FILL_IN.fullmatch(name)):
        return ""
    return _formula(found["phrase"])


def _formula(line: str) -> str:
    return line.strip(" \t.,!-–—~*").casefold()


def _is_name(line: str) -> bool:
    """Whether a line may be the name, the title or the company of who signs."""
    words = line.split()
    return (
        bool(words)
        and len(line) <= manners.NAME
        and all(
            word[0].isalpha() and not word[0].islower()
            for word in words
            if word not in manners.SMALL
        )
        and words[0] not in manners.SMALL
        and all(character.isalpha() or character in " .,'’&-" for character in line)
    )
