"""Mail that passes on another one: what it passes on, and whose that is.

A subject alone does not make a mail one: "TR: my report" and "I: see you" are no forwards. What is
passed on must show, below a line or a block of the mail program's, or behind quote marks.
"""

from dataclasses import dataclass, field
from email.utils import parseaddr

from aitwin.corpus import clean, messages, phrases
from aitwin.corpus.messages import Message, Person

LINES = 2000
"""Lines of a mail in which it is looked for who wrote what is passed on."""
LINE = 400


@dataclass(frozen=True)
class Forwarded:
    """A mail in a mail."""

    sender: Person
    """As the block above it says; nobody where there is none."""
    text: str = field(repr=False)
    """The own words of its sender."""


def forwarded(mail: Message) -> Forwarded | None:
    """What `mail` passes on; None if it is no forward, or does not show where that begins."""
    if messages.has_reply_subject(mail):
        return None
    lines = [line[:LINE] for line in mail.text.split("\n")[:LINES]]
    divided = any(phrases.FORWARDED.match(line) for line in lines)
    if not divided and not messages.has_forward_subject(mail):
        return None
    text = clean.quoted(mail.text).strip()
    return Forwarded(_sender(lines), text) if text else None


def _sender(lines: list[str]) -> Person:
    for line in lines:
        header = phrases.HEADER_LINE.match(line)
        if header and header["from"]:
            value = header["value"].strip().strip("*").strip()
            name, address = parseaddr(value)
            if "@" not in address:
                name, address = value, ""
            return Person(name.strip("\"' "), address.lower())
    return Person("")
