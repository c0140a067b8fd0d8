"""What a mail passes on without a quote mark: patches and letters of others, under a `From:` line.

Works on own words (see clean), and needs to know the owner: the same line above the owner's own
patch is nobody else's. In doubt a line stays.
"""

import re
from itertools import takewhile

from aitwin.corpus.messages import Owner

_HEADER = re.compile(
    r"(?P<label>From|To|Cc|Bcc|Reply-To|Date|Sent|Subject|Message-ID|In-Reply-To|References)"
    r":[ \t]*(?P<value>\S.*)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s<>@,;:()\"']+@[^\s<>@,;:()\"']+")
_PEOPLE = frozenset({"from", "to", "cc", "bcc", "reply-to"})
_NOTES = re.compile(r"---\s*")
"""Below it, git keeps what whoever sends a patch says about it."""
_EDITED = re.compile(r"\[[^\[\]\s]+@[^\[\]\s]+: ")
"""`[ralf@example.com: fixed the typo.]`: what a maintainer did to a patch of somebody else's."""
_PATCH = re.compile(r"(?m)^(?:diff --git |--- a/|Index: \S|\+\+\+ \S)")


def without(own: str, whole: str, owner: Owner) -> str:
    """The own words of a mail less what they relay and less stray header lines.

    `whole` is the text of the mail: a `From:` line with a quote below it introduces the quote.
    """
    lines = own.split("\n")
    kept: list[str] = []
    number = 0
    while number < len(lines):
        block = _header_block(lines, number)
        if not block:
            kept.append(lines[number])
            number += 1
            continue
        end = number + len(block)
        if not _is_relayed(block, owner) or _quote_follows(block, whole):
            number = end
            continue
        opens = not "".join(kept).strip()
        if opens or len(_labels(block)) > 1 or _PATCH.search(whole):
            number = _relayed_end(lines, end, owner, letter=bool(_labels(block) & {"to", "cc"}))
        else:
            kept += block
            number = end
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def _header_block(lines: list[str], start: int) -> list[str]:
    """The header lines that are a paragraph of their own at `start`; empty if there are none.

    Prose has lines such as "From: the kitchen" too: one at least must name an address.
    """
    if ":" not in lines[start] or (start and lines[start - 1].strip()):
        return []
    block = list(takewhile(str.strip, lines[start:]))
    if not block or not all(
        _HEADER.fullmatch(line) or (number and line[0] in " \t")
        for number, line in enumerate(block)
    ):
        return []
    return block if _labels(block) & _PEOPLE and _ADDRESS.search("\n".join(block)) else []


def _labels(block: list[str]) -> set[str]:
    return {header["label"].lower() for line in block if (header := _HEADER.fullmatch(line))}


def _is_relayed(block: list[str], owner: Owner) -> bool:
    """Whether its `From:` names somebody who is not the owner."""
    for line in block:
        header = _HEADER.fullmatch(line)
        if header is not None and header["label"].lower() == "from":
            address = _ADDRESS.search(header["value"])
            name = header["value"].partition("<")[0].strip(" \t\"'").casefold()
            known = address is None or address[0].lower() in owner.addresses
            return not known and name != owner.name.casefold()
    return False


def _quote_follows(block: list[str], whole: str) -> bool:
    below = whole.partition(block[-1])[2].lstrip()
    return below.startswith((">", "|"))


def _relayed_end(lines: list[str], start: int, owner: Owner, *, letter: bool) -> int:
    """Where the owner speaks again: below git's `---`, or in brackets; never in a whole letter."""
    for number in range(start, len(lines)):
        if letter:
            continue
        if _NOTES.fullmatch(lines[number]):
            return number + 1
        edited = _EDITED.match(lines[number])
        if edited and lines[number][1 : edited.end() - 2].lower() in owner.addresses:
            return number
    return len(lines)
