"""Mail files to messages: mbox in all dialects, .eml, Apple's .emlx and .mbox bundles.

Everything is listed by its headers; only what matters need be read whole. Bodies come as plain
text with quotes as `> ` lines; telling own words from the rest is clean's work. Constant memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from aitwin.corpus import headers, letter, mailfile, mime
from aitwin.corpus.mailfile import Entry, MailFile, recognises
from aitwin.corpus.messages import Message, Person
from aitwin.corpus.report import Skipped

__all__ = ["CUT_OFF", "Listed", "fetch", "index", "part", "read", "recognises"]

CUT_OFF = "cut off at the end of the file"
"""Remark on a message that is kept: the rest of it is not there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One message of a file by its headers: enough to tell whether its body is worth reading."""

    offset: int
    """Bytes from the start of the file."""
    length: int
    """Bytes."""
    id: str
    sender: Person
    sent_at: datetime
    subject: str = field(repr=False)
    conversation: str
    is_last: bool
    """Whether the file ends with it: another copy that is longer may be the whole one."""
    sent: bool = False
    """Whether the mailbox itself calls it sent by its owner."""


def read(
    path: Path, skipped: Skipped, passed: Callable[[int], None] = lambda position: None
) -> Iterator[Message]:
    """Every message in a mail file, whole. What cannot become one is counted in `skipped`.

    `passed` is told the position (bytes from the start of the file) behind each message.
    Raises TwinError when the file cannot be read or is no mail.
    """
    with mailfile.opened(path) as file:
        for entry in file.entries():
            message = _message(file, entry, skipped)
            if message is not None and file.is_cut(entry):
                skipped.add(CUT_OFF, file.where(entry.offset))
            passed(entry.offset + entry.length)
            if message is not None:
                yield message


def index(path: Path, skipped: Skipped) -> Iterator[Listed]:
    """Every message in a mail file by its headers, counting and raising like read."""
    with mailfile.opened(path) as file:
        for entry in file.entries():
            if listed := _listed(file, entry, skipped):
                yield listed


def part(
    path: Path, start: int, stop: int, skipped: Skipped, *, exactly: bool = False
) -> tuple[int, int, int, list[Listed]]:
    """What begins at `start` or later and before `stop` (bytes).

    Where that begins, where the last message in it begins, where that one ends, and all of them.
    Where the message before ends is not known: `exactly` says that one begins at `start`. Without
    a message in there all three are where the next one begins.
    """
    with mailfile.opened(path) as file:
        begin = last = end = start if exactly else file.next_entry(start)
        listed = []
        for entry in file.entries(begin, stop) if begin < stop else ():
            last, end = entry.offset, entry.offset + entry.length
            if one := _listed(file, entry, skipped):
                listed.append(one)
    return begin, last, end, listed


def fetch(
    path: Path, places: Iterable[tuple[int, int]], skipped: Skipped
) -> Iterator[Message | None]:
    """The messages at these (offset, length), whole; None for one that is not there any more."""
    with mailfile.opened(path) as file:
        for offset, length in places:
            there = offset + length <= len(file)
            yield _message(file, file.entry(offset, length), skipped) if there else None


def _listed(file: MailFile, entry: Entry, skipped: Skipped) -> Listed | None:
    known = _known(file, entry, skipped)
    if known is None:
        return None
    sender, sent_at = known
    head = entry.headers
    id_ = letter.id_of(head)
    if not id_:
        message = _message(file, entry, Skipped())
        id_ = message.id if message else ""
    if file.is_cut(entry):
        skipped.add(CUT_OFF, file.where(entry.offset))
    return Listed(
        entry.offset,
        entry.length,
        id_,
        sender,
        sent_at,
        head.text("subject"),
        head.raw("x-gm-thrid"),
        file.is_last(entry),
        letter.is_labelled_sent(head),
    )


def _known(file: MailFile, entry: Entry, skipped: Skipped) -> tuple[Person, datetime] | None:
    """Who wrote a message and when; None, counted, if it is none or that cannot be known."""
    head = entry.headers
    reason = letter.unwanted(head)
    sender = letter.sender(head)
    sent_at = letter.sent_at(head, entry.envelope)
    if not reason and sender is not None and sent_at is not None:
        return sender, sent_at
    missing = "no headers" if not len(head) else "no sender" if sender is None else "no date"
    skipped.add(reason or missing, file.where(entry.offset))
    return None


def _message(file: MailFile, entry: Entry, skipped: Skipped) -> Message | None:
    head = entry.headers.taken_apart()
    known = _known(file, entry, skipped)
    if known is None:
        return None
    sender, sent_at = known
    _, content = headers.split(file.raw(entry))
    body = mime.body(head, content)
    if body.tnef:
        skipped.add("winmail.dat attachment, not opened", file.where(entry.offset))
    message_id = letter.id_of(head) or _made_up_id(sender, sent_at, body.text)
    return Message(
        id=message_id,
        channel="mail",
        sender=sender,
        sent_at=sent_at,
        text=body.text,
        subject=head.text("subject"),
        recipients=tuple(letter.recipients(head)),
        references=letter.references(head, message_id),
        conversation=head.raw("x-gm-thrid"),
        automatic=body.automatic or letter.automatic(head, sender),
    )


def _made_up_id(sender: Person, sent_at: datetime, text: str) -> str:
    parts = "\n".join((sender.address, sent_at.astimezone(UTC).isoformat(), text))
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:32]
