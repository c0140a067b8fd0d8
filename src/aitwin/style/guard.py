"""A draft less what a model adds around it: announcements, formulas, decoration. Counts them.

Errs on the owner's side. Without knowing how the owner writes, it takes off only what speaks of the
draft itself or waits to be filled in; with Habits, learnt from the owner's replies, also what none
of those has. Knows nothing of models; the patterns are in manners.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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
    def _openings(self) -> Iterator[tuple[Intervention, re.Pattern[str], Callable[[str], bool]]]:
        """What is taken off a head: its kind, the whole of it, and whether a text may become it."""
        if self._takes("announcement"):
            yield "announcement", manners.ANNOUNCEMENT, manners.may_announce
        if self._takes("subject line") and not manners.ASKS_SUBJECT.search(self._asked):
            yield "subject line", manners.SUBJECT, manners.may_be_subject
        if self._takes("placeholder"):
            yield "placeholder", manners.GREETING, manners.may_greet

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
            for kind, pattern, _ in self._openings:
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
            code = manners.CODE_SIGNS.search(head.partition("\n```")[0])
            return bool(code) or not self._may_be_wrapped(head, "\n```", manners.FENCED)
        if self._takes("quotes") and head[0] in manners.QUOTES:
            return not self._may_be_wrapped(head, manners.QUOTES[head[0]], manners.QUOTED)
        if "\n" in head or len(head) > manners.LEAD + len("\n"):
            return True
        if self._announced and not head.strip("- \t"):
            return False
        return not any(may_be(head) for _, _, may_be in self._openings)

    def _may_be_wrapped(self, text: str, closing: str, longest: int) -> bool:
        """Whether all of the draft may turn out to stand between fences or quotes."""
        end = text.find(closing, 1)
        if end < 0:
            return len(text) <= longest + len(closing)
        rest = text[end + len(closing) :]
        return (
            end <= longest
            and len(rest) <= manners.BEHIND
            and self._may_end("\n" + rest.lstrip("\n"))
        )

    def _unwrapped(self, text: str) -> str:
        """A whole draft without the fences or quotes around it, and what a model says behind."""
        kind: Intervention
        if self._takes("fence") and (fenced := manners.FENCE.match(text)):
            kind, inner, rest = "fence", fenced["inner"], text[fenced.end() :]
            # In doubt it is code.
            if manners.CODE_SIGNS.search(inner) or not manners.SENTENCE.search(inner):
                return text
        elif self._takes("quotes") and text[:1] in manners.QUOTES:
            inner, closing, rest = text[1:].partition(manners.QUOTES[text[0]])
            # One who says a few words in quotes cites them.
            kind, inner = "quotes", inner if closing and "\n" in inner else ""
        else:
            return text
        left, kinds = self._ended(rest.strip("\n").split("\n"))
        if not inner.strip() or "".join(left).strip() or "sign-off" in kinds:
            return text
        self.found |= {kind, *kinds}
        return inner.lstrip()

    # In the text

    def _undecorated(self, pieces: Iterable[str]) -> Generator[str]:
        """Less bold and headings, but for code."""
        if not (self._takes("bold") or self._takes("heading")):
            yield from pieces
            return
        line, place, code = "", 0, False
        for piece in pieces:
            *whole, last = piece.split("\n")
            for part in whole:
                passed, _ = self._plain(line + part, place, code, complete=True)
                code ^= not place and bool(manners.CODE.match(line + part))
                yield f"{passed}\n"
                line, place = "", 0
            line += last
            passed, place = self._plain(line, place, code, complete=False)
            yield passed
            # What was passed on is of no more use, but for the character before what follows.
            line, place = line[max(0, place - 1) :], min(place, 1)
        yield self._plain(line, place, code, complete=True)[0]

    def _plain(self, line: str, place: int, code: bool, *, complete: bool) -> tuple[str, int]:
        """What stands in a line from `place`, undecorated, and how far that is certain."""
        passed: list[str] = []
        if not place:
            if not complete and manners.LINE_BEGUN.fullmatch(line):
                return "", 0
            if manners.CODE.match(line):
                # Its line is passed on as it is, however it goes on.
                return (line, len(line)) if complete else ("", 0)
            if not code and self._takes("heading") and (found := manners.HEADING.match(line)):
                self.found.add("heading")
                place = found.end()
        if code or not self._takes("bold"):
            return line[place:], len(line)
        while (start := line.find("*", place)) >= 0:
            passed.append(line[place:start])
            bold = manners.BOLD.match(line, start)
            if bold and (complete or bold.end() < len(line)):
                self.found.add("bold")
                passed.append(bold["inner"])
                place = bold.end()
            elif not complete and manners.BOLD_BEGUN.fullmatch(line, start):
                return "".join(passed), start
            else:
                passed.append("*")
                place = start + 1
        return "".join([*passed, line[place:]]), len(line)

    # The end

    def _without_ending(self, pieces: Iterable[str]) -> Generator[str]:
        """Less the lines that end it. Holds back from a line that may begin the end."""
        ending = _Ending(self._kind, self._begins)
        for piece in pieces:
            yield ending.passed(piece)
        body, rest = ending.parted()
        yield body
        if rest:
            lines, kinds = self._ended(rest.removeprefix("\n").split("\n"))
            self.found |= kinds
            if not kinds:
                yield rest
            elif lines:
                yield "\n".join(["", *lines] if rest.startswith("\n") else lines)

    def _may_end(self, text: str) -> bool:
        """Whether all lines of `text` belong to an ending, or may when the last is complete."""
        *lines, last = text.removeprefix("\n").split("\n")
        names = 0
        for line in lines:
            kind = self._kind(line, names)
            if kind == "body":
                return False
            names = NAMES if kind == "sign-off" else names - (kind == "name")
        return self._kind(last, names) != "body" or self._begins(last, names)

    def _kind(self, line: str, names: int) -> str:
        """What a line of an ending is; `names`: how many lines may yet say who signs."""
        if len(line) > LINE:
            return "body"
        line = line.strip()
        if not line.strip("-_*"):
            return "gap"
        if self._takes("placeholder") and manners.ALL_TO_FILL_IN.fullmatch(line):
            return "placeholder"
        if _sign_off(line):
            return "sign-off"
        if self._is_offer(line):
            return "offer"
        return "name" if names and self._says_who(line) else "body"

    def _is_offer(self, line: str) -> bool:
        return self._takes_offers and manners.offers(line, known=self._habits is not None)

    @property
    def _takes_offers(self) -> bool:
        return self._takes("offer") and not manners.ASKS_OFFER.search(self._asked)

    def _says_who(self, line: str) -> bool:
        return _is_name(line) or _formula(line) in self._signs

    def _begins(self, line: str, names: int) -> bool:
        """Whether a line that has only begun may turn out to be one of an ending."""
        if len(line) > LINE:
            return False
        whole_words = " ".join(line.split()[:-1])
        line = line.strip()
        return (
            (self._takes("placeholder") and manners.may_fill_in(line))
            or (self._takes_offers and manners.may_offer(line))
            or any(_may_sign_off(line, formula) for formula in manners.SIGN_OFFS)
            or (names > 0 and (not whole_words or _is_name(whole_words)))
            or (names > 0 and any(sign.startswith(_formula(line)) for sign in self._signs))
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
        below = next((line.lstrip() for line in lines[1:] if line.strip()), "")
        return bool(manners.TO_FILL_IN.search(lines[0]) or manners.TO_FILL_IN.match(below))


class _Ending:
    """Lines that may be the end of a draft, held back until another follows that is not.

    What a line that ends with a colon introduces is never of the end: the lines up to the next
    blank one or, where a blank one follows the colon, all.
    """

    def __init__(self, kind: Callable[[str, int], str], begins: Callable[[str, int], bool]) -> None:
        self._kind, self._begins = kind, begins
        self._held: list[str] = []
        self._line = ""
        """What there is of the last line, while that may be of the end."""
        self._start = ""
        """The beginning of a line that is not."""
        self._last = ""
        """The last character of a line that is not of the end."""
        self._break = ""
        self._amid = False
        self._names = 0
        self._below: Literal["", "colon", "block", "all"] = ""

    def passed(self, piece: str) -> str:
        """What is certainly not of the end, now that `piece` is there."""
        first, *lines = piece.split("\n")
        text = [self._longer(first)]
        for line in lines:
            text += self._broken(), self._longer(line)
        return "".join(text)

    def parted(self) -> tuple[str, str]:
        """What is left when the draft has ended: body, and end."""
        text = self._broken()
        return text, "".join(self._held)

    def _longer(self, part: str) -> str:
        if self._amid:
            return self._of_body(part)
        self._line += part
        if not self._line.strip() and len(self._line) <= LINE:
            return ""
        if not self._below and (
            self._kind(self._line, self._names) != "body" or self._begins(self._line, self._names)
        ):
            return ""
        return self._released()

    def _released(self) -> str:
        """All that was held, for the line is not of the end."""
        text = "".join([*self._held, self._break, self._line])
        self._held.clear()
        self._names, self._amid = 0, True
        self._of_body(self._line)
        return text

    def _of_body(self, part: str) -> str:
        self._start += part[: LINE - len(self._start)]
        self._last = part.rstrip(" \t\r*_")[-1:] or self._last
        return part

    def _broken(self) -> str:
        """The line has ended."""
        text = ""
        if self._below == "block" and not self._amid and not self._line.strip():
            self._below = ""
        kind = "body" if self._amid or self._below else self._kind(self._line, self._names)
        if kind == "body":
            text = "" if self._amid else self._released()
            self._introduce()
        else:
            self._held.append(self._break + self._line)
            self._names = NAMES if kind == "sign-off" else self._names - (kind == "name")
        self._break, self._line, self._start, self._last, self._amid = "\n", "", "", "", False
        return text

    def _introduce(self) -> None:
        if self._below == "all":
            return
        if not self._last:
            self._below = "all" if self._below else ""
        elif self._last in ":：" and not manners.SALUTATION.fullmatch(self._start):
            self._below = "colon"
        else:
            self._below = "block" if self._below else ""


def _may_sign_off(line: str, formula: str) -> bool:
    lower = line.lower()
    rest = lower.removeprefix(formula).lstrip()
    if rest == lower:
        return formula.startswith(lower)
    if rest in ("", ".", "!"):
        return True
    name = line.partition(",")[2].strip()
    words = " ".join(name.split()[:-1])
    few = name.startswith("[") or not words or _is_name(words)
    return rest.startswith(",") and len(name) <= manners.NAME and few


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
