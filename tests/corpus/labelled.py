"""Mails whose own words are labelled, and how far the extraction is from the labels.

Invented mails, one after the other: `# name language [html]`, then lines that begin with
    |  somebody else's or a program's
    +  the sender's own
    ?  own or not: either will do
    =  own as text, where the mail is HTML and all its lines are `|`
A `␣` is a space that editors would take away from the end of a line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aitwin.corpus import clean, html

DATA = Path(__file__).parent / "data"


@dataclass
class Case:
    name: str
    language: str
    is_html: bool = False
    source: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    maybe: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        source = "\n".join(self.source)
        return html.text(source) if self.is_html else source


@dataclass(frozen=True)
class Outcome:
    lost: tuple[str, ...]
    """Own lines that were left out."""
    foreign: tuple[str, ...]
    """Lines of others that were kept."""
    is_exact: bool


def invented(name: str) -> list[Case]:
    cases: list[Case] = []
    for line in (DATA / name).read_text().splitlines():
        if line.startswith("# "):
            case, language, *kind = line[2:].split()
            cases.append(Case(case, language, is_html=kind == ["html"]))
        elif line:
            _add(cases[-1], line[0], line[1:].replace("␣", " "))
    return cases


def _add(case: Case, mark: str, line: str) -> None:
    if mark != "=":
        case.source.append(line)
    if mark in "+=":
        case.own.append(line)
    elif mark == "?":
        case.maybe.append(line)
    elif mark != "|":
        raise ValueError(f"{case.name}: a line begins with {mark!r}")


def fixtures(shared: Path) -> Iterator[Case]:
    """The test mails of three strippers; `own_lines.json` has the numbers of the own lines."""
    labels: dict[str, str] = json.loads((DATA / "own_lines.json").read_text())
    for name, spans in labels.items():
        lines = (shared / "corpora" / "fixtures" / name).read_text().split("\n")
        own = []
        for span in spans.split():
            first, _, last = span.partition("-")
            own += lines[int(first) - 1 : int(last or first)]
        yield Case(name, "", source=lines, own=own)


def plain_lines(text: str) -> list[str]:
    """The lines of a text, less empty ones and what is not seen."""
    lines = (" ".join(line.replace("\u200b", "").split()) for line in text.split("\n"))
    return [line for line in lines if line]


def outcome(case: Case) -> Outcome:
    found = _comparable(case, clean.own_words(case.text))
    own = _comparable(case, "\n".join(case.own))
    maybe = set(_comparable(case, "\n".join(case.maybe)))
    lost = tuple(line for line in own if line not in found)
    kept = [line for line in found if line not in maybe]
    return Outcome(lost, tuple(line for line in kept if line not in own), kept == own)


def _comparable(case: Case, text: str) -> list[str]:
    lines = plain_lines(text)
    return [line.removeprefix("- ") for line in lines] if case.is_html else lines
