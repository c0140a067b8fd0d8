"""Mail files to messages: mbox in all dialects, .eml, Apple's .emlx and .mbox bundles.

What a file is, its content says, never its name. Bodies come as plain text with quotes as `> `
lines; telling own words from the rest is clean's work. Constant memory: one message at a time.
"""

import hashlib
import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from aitwin.corpus import headers, mbox, mime, phrases
from aitwin.corpus.headers import Headers
from aitwin.corpus.messages import Message, Person
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError

Kind = Literal["mbox", "eml", "emlx"]

MESSAGE_LIMIT = 32 << 20
"""Bytes of one message that are parsed: text comes before attachments."""
CUT_OFF = "cut off at the end of the file"
"""Remark on a message that is kept: the rest of it is not there."""
_SNIFFED = 1 << 16
_BOM = b"\xef\xbb\xbf"
_COUNT_LINE = re.compile(rb"[ \t]*(\d{1,12})[ \t]*\r?\n")
_HEADER_NAME = re.compile(rb"([!-9;-~]{1,76})[ \t]*:")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SENDER_NAMES = frozenset(
    {b"from", b"date", b"received", b"return-path", b"message-id", b"delivered-to", b"sender"}
)
_OTHER_NAMES = frozenset(
    {b"to", b"subject", b"cc", b"mime-version", b"content-type", b"content-transfer-encoding"}
    | {b"reply-to", b"references", b"in-reply-to", b"x-mailer", b"user-agent", b"x-received"}
    | {b"dkim-signature", b"status", b"x-gmail-labels", b"x-gm-thrid", b"x-mozilla-status"}
)
_PLIST_DATE = re.compile(rb"<key>date-received</key>\s*<(?:integer|real)>(\d{9,10})")
_AUTOMATIC_HEADERS = {
    "x-autoreply": "auto-reply",
    "x-autorespond": "auto-reply",
    "x-autoresponse": "auto-reply",
    "x-failed-recipients": "bounce",
}
_DIGEST = re.compile(r"(?i)^(?!(?:re|aw|sv|antw|fwd?)\s*:).*\bdigest,? vol(?:ume)?\.? \d+")
_VIA = re.compile(r"\s+(?:via|über|through|przez|през|через|vía|通过|経由)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """Where one message lies in a file, and its headers. Its body has not been looked at."""

    offset: int
    """Bytes from the start of the file, at the separator line if there is one."""
    length: int
    """Bytes, separator line and blank line before the next one included."""
    envelope: str = field(repr=False)
    """The `From ` line of an mbox without its first word; Apple's date of receipt; or empty."""
    headers: Headers = field(repr=False)
    cut: bool = False
    """Whether its file ends before the length that Apple or the mailbox gives it."""


def recognises(path: Path) -> bool:
    """Whether the file, or Apple's bundle directory, holds mail; its name does not count."""
    file = _file(path)
    return file is not None and _kind(_head(file)) is not None


def read(
    path: Path, skipped: Skipped, passed: Callable[[int], None] = lambda position: None
) -> Iterator[Message]:
    """Every message in a mail file. What cannot become a message is counted in `skipped`.

    `passed` is told the position (bytes from the start of the file) behind each message.
    Raises TwinError when the file cannot be read or is no mail.
    """
    file = _file(path)
    if file is None:
        raise TwinError(
            f"{path} is not a mail file; give an .mbox, .eml or .emlx, or a folder of them"
        )
    with _opened(file) as (buffer, kind):
        for entry in _entries(buffer, kind):
            where = f"{file.name}@{entry.offset}" if kind == "mbox" else file.name
            raw = _raw(buffer, entry)
            message = _message(entry, raw, where, skipped)
            at_end = entry.offset + entry.length >= len(buffer)
            if message is not None and at_end and _is_cut(entry, raw):
                skipped.add(CUT_OFF, where)
            passed(entry.offset + entry.length)
            if message is not None:
                yield message


def index(path: Path) -> Iterator[Entry]:
    """Offsets and headers of every message, for choosing which ones are worth reading.

    Raises TwinError like read.
    """
    file = _file(path)
    if file is None:
        raise TwinError(
            f"{path} is not a mail file; give an .mbox, .eml or .emlx, or a folder of them"
        )
    with _opened(file) as (buffer, kind):
        yield from _entries(buffer, kind)


def _file(path: Path) -> Path | None:
    """The file to read: Apple's bundle is a directory with one called `mbox` in it."""
    try:
        if path.is_dir():
            path = path / "mbox"
        return path if path.is_file() else None
    except OSError:
        return None


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_SNIFFED)
    except OSError as error:
        raise TwinError(
            f"{file} cannot be read ({error.strerror}); check its permissions"
        ) from None


def _kind(head: bytes) -> Kind | None:
    head = _with_newlines(head).removeprefix(_BOM)
    start = _first_text(head)
    if mbox.is_separator(b"\n\n" + head[start:], 2):
        return "mbox"
    count = _COUNT_LINE.match(head, start)
    if count and _is_header_block(head[count.end() :]):
        return "emlx"
    return "eml" if _is_header_block(head[start:]) else None


def _first_text(head: bytes) -> int:
    return len(head) - len(head.lstrip(b"\r\n\t "))


def _with_newlines(data: bytes) -> bytes:
    """Old Macs ended lines with CR alone."""
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def _is_header_block(data: bytes) -> bool:
    """Two headers that mail has, one of them of those that nothing else has, and nothing binary."""
    block, _ = headers.split(data)
    names: set[bytes] = set()
    good = bad = 0
    for line in block.split(b"\n")[:400]:
        name = _HEADER_NAME.match(line)
        if name is not None:
            names.add(name[1].lower())
            good += 1
        elif line.strip() and line[:1] not in (b" ", b"\t") and not line.startswith(b">From "):
            bad += 1
            if not good or bad > 2 + good // 4:
                return False
    known = names & (_SENDER_NAMES | _OTHER_NAMES)
    return bool(names & _SENDER_NAMES) and len(known) >= 2 and not _CONTROL.search(block[:2048])


@contextmanager
def _opened(file: Path) -> Iterator[tuple[mbox.Buffer, Kind]]:
    head = _head(file)
    if not head:
        raise TwinError(f"{file} is empty; export it again")
    kind = _kind(head)
    if kind is None:
        raise TwinError(
            f"{file} is not mail: it begins with neither a mailbox separator nor mail headers"
        )
    try:
        with file.open("rb") as opened:
            if b"\n" not in head:
                yield opened.read().replace(b"\r", b"\n"), kind
                return
            with _mapped(file, opened) as buffer:
                yield buffer, kind
    except OSError as error:
        raise TwinError(f"{file} cannot be read ({error.strerror}); check the disk") from None


def _mapped(file: Path, opened: BinaryIO) -> mmap.mmap:
    try:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # emptied since its head was read
        raise TwinError(f"{file} is empty; export it again") from None


def _entries(buffer: mbox.Buffer, kind: Kind) -> Iterator[Entry]:
    if kind == "mbox":
        for start, end in mbox.spans(buffer):
            yield _mbox_entry(buffer, start, end)
        return
    lead = buffer[:_SNIFFED]
    start = len(_BOM) if lead.startswith(_BOM) else 0
    start += _first_text(lead[start:])
    end = len(buffer)
    received, whole = None, 0
    if kind == "emlx" and (count := _COUNT_LINE.match(lead, start)):
        start = count.end()
        end, whole = min(end, start + int(count[1])), start + int(count[1])
        received = _PLIST_DATE.search(buffer[end : end + _SNIFFED])
    # Apple's property list says when the mail came, as the separator line of an mbox does.
    envelope = datetime.fromtimestamp(int(received[1]), UTC).isoformat() if received else ""
    head = Headers(mbox.header_block(buffer, start))
    yield Entry(start, end - start, envelope, head, cut=whole > end)


def _mbox_entry(buffer: mbox.Buffer, start: int, end: int) -> Entry:
    block = mbox.header_block(buffer, start)[: end - start]
    lead = block.removeprefix(_BOM).lstrip(b"\r\n\t ")
    envelope = ""
    if lead.startswith(b"From "):
        line, _, lead = lead.partition(b"\n")
        envelope = headers.decode_bytes(line[5:200]).strip()
    return Entry(start, end - start, envelope, Headers(lead))


def _raw(buffer: mbox.Buffer, entry: Entry) -> bytes:
    """Headers and body of an entry, as the writer of the message had them."""
    end = min(entry.offset + entry.length, entry.offset + MESSAGE_LIMIT)
    raw = buffer[entry.offset : end]
    if raw.startswith(_BOM):
        raw = raw[len(_BOM) :]
    raw = raw.lstrip(b"\r\n\t ") if not raw.startswith(b"From ") else raw
    if raw.startswith(b"From "):
        raw = mbox.unescape(raw.partition(b"\n")[2])
    return raw


def _message(entry: Entry, raw: bytes, where: str, skipped: Skipped) -> Message | None:
    head = entry.headers
    reason = _unwanted(head)
    sender = _sender(head)
    sent_at = _sent_at(head, entry.envelope)
    if not len(head):
        reason = "no headers"
    elif not reason and sender is None:
        reason = "no sender"
    elif not reason and sent_at is None:
        reason = "no date"
    if reason or sender is None or sent_at is None:
        skipped.add(reason, where)
        return None
    _, content = headers.split(raw)
    body = mime.body(head, content)
    if body.tnef:
        skipped.add("winmail.dat attachment, not opened", where)
    message_id = _id(head) or _made_up_id(sender, sent_at, body.text)
    return Message(
        id=message_id,
        channel="mail",
        sender=sender,
        sent_at=sent_at,
        text=body.text,
        subject=head.text("subject"),
        recipients=tuple(_recipients(head)),
        references=_references(head, message_id),
        conversation=head.raw("x-gm-thrid"),
        automatic=body.automatic or _automatic(head, sender),
    )


def _is_cut(entry: Entry, raw: bytes) -> bool:
    """Whether the last message of a file visibly ends in its middle."""
    if entry.cut:
        return True
    if len(raw) > MESSAGE_LIMIT:
        return False
    _, content = headers.split(raw)
    given = entry.headers.raw("content-length")
    if re.fullmatch(r"\d{1,12}", given):
        # Counted with two bytes for each line break by some writers.
        there = len(content) + (0 if b"\r\n" in content else content.count(b"\n"))
        there += content.count(b"\nFrom ")  # escaped when they were counted
        if int(given) > there:
            return True
    return mime.is_cut(entry.headers, content)


def _unwanted(head: Headers) -> str:
    """Why the mailbox itself says that this is no letter sent: drafts, spam, trash, chat."""
    if "x-gmail-labels" in head:
        labels = {
            label.strip(" \"'").casefold() for label in head.text("x-gmail-labels").split(",")
        }
        for reason, names in phrases.GMAIL_LABELS.items():
            if labels & names:
                return reason
    status = head.raw("x-mozilla-status")
    if re.fullmatch(r"[0-9a-fA-F]{4}", status) and int(status, 16) & 0x0008:
        return "trash"
    return ""


def _id(head: Headers) -> str:
    value = head.raw("message-id")
    found = headers.ids(value)
    return found[0] if found else re.sub(r"[\s<>]+", "", value)


def _made_up_id(sender: Person, sent_at: datetime, text: str) -> str:
    parts = "\n".join((sender.address, sent_at.astimezone(UTC).isoformat(), text))
    return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:32]


def _sender(head: Headers) -> Person | None:
    found = headers.people(head.raw("from"))
    if not found:
        return None
    sender = found[0]
    if not _VIA.search(sender.name):
        return sender
    return _before_the_list(head, sender) or sender


def _before_the_list(head: Headers, rewritten: Person) -> Person | None:
    """Who wrote what a list sends as "X via list": only a header decides, never a guess."""
    original = headers.people(head.raw("x-original-from"))
    if original:
        return original[0]
    lists = {rewritten.address, *re.findall(r"mailto:([^>?]+)", head.raw("list-post").lower())}
    answers = [
        person for person in headers.people(head.raw("reply-to")) if person.address not in lists
    ]
    if len(answers) != 1:
        return None
    name = _VIA.split(rewritten.name)[0].strip(" '\"")
    return Person(answers[0].name or name, answers[0].address)


def _sent_at(head: Headers, envelope: str) -> datetime | None:
    """The Date; else when a server took the mail; else what the separator line says."""
    for name in ("date", "x-original-date", "resent-date", "delivery-date"):
        for value in head.all(name):
            if when := headers.moment(value):
                return when
    for value in head.all("received"):
        if when := headers.moment(value.rpartition(";")[2]):
            return when
    # "user@host Wed Jan  3 08:00:00 2024": what comes before the weekday is an address.
    day = re.search(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*|\b\d{4}-\d\d-\d\d.*", envelope)
    return _envelope_moment(day[0]) if day else None


def _envelope_moment(tail: str) -> datetime | None:
    if re.match(r"\d{4}-", tail):
        try:
            when = datetime.fromisoformat(tail.strip().replace(" ", "T", 1))
        except ValueError:
            return None
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    gmail = re.fullmatch(
        r"(\w{3}) (\w{3}) +(\d{1,2}) ([\d:]+) ([+-]\d{4}|[A-Z]{2,4}) (\d{4}).*", tail
    )
    if gmail:  # the zone before the year, which the standard library does not expect
        tail = f"{gmail[1]}, {gmail[3]} {gmail[2]} {gmail[6]} {gmail[4]} {gmail[5]}"
    return headers.moment(tail)


def _recipients(head: Headers) -> Iterator[Person]:
    seen = set()
    for name in ("to", "cc", "bcc"):
        for value in head.all(name):
            for person in headers.people(value):
                if person.address not in seen:
                    seen.add(person.address)
                    yield person


def _references(head: Headers, own: str) -> tuple[str, ...]:
    """References and In-Reply-To, oldest first; a single In-Reply-To is the parent, so last."""
    found = headers.ids(head.raw("references"))
    answered = headers.ids(head.raw("in-reply-to"))
    if len(answered) == 1:
        found = [reference for reference in found if reference != answered[0]]
    elif found:
        answered = []  # old clients put addresses there too: the other header is the better one
    return tuple(dict.fromkeys(id_ for id_ in (*found, *answered) if id_ != own))


def _automatic(head: Headers, sender: Person) -> str:
    submitted = head.raw("auto-submitted").split(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return "auto-reply" if submitted == "auto-replied" else "generated"
    for name, reason in _AUTOMATIC_HEADERS.items():
        if head.raw(name).lower() not in ("", "no", "false"):
            return reason
    if head.raw("precedence").lower() in ("auto_reply", "auto-reply"):
        return "auto-reply"
    local = sender.address.partition("@")[0]
    if local == "mailer-daemon" or (local == "postmaster" and head.raw("return-path") == "<>"):
        return "bounce"
    if _DIGEST.match(head.text("subject")) and local.endswith(("-request", "-owner", "-digest")):
        return "list digest"
    return ""
