"""Mail files: what kind each is, by its content, and where the messages in it lie.

Looks at headers only; what they say is letter's, what the bodies say is mime's.
"""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from aitwin.corpus import headers, mbox, mime
from aitwin.corpus.headers import Headers
from aitwin.errors import TwinError

Kind = Literal["mbox", "eml", "emlx"]

MESSAGE_LIMIT = 32 << 20
"""Bytes of one message that are parsed: text comes before attachments."""
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


class MailFile:
    """An open mail file: the messages in it, one at a time, and nothing held."""

    def __init__(self, name: str, kind: Kind, buffer: mbox.Buffer) -> None:
        self.name = name
        self.kind = kind
        self._buffer = buffer

    def __len__(self) -> int:
        """Bytes."""
        return len(self._buffer)

    def where(self, offset: int) -> str:
        """What to call the message at `offset` when it is counted: `all.mbox@10240`."""
        return f"{self.name}@{offset}" if self.kind == "mbox" else self.name

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Every message, or those that begin at `start` or later and before `stop`.

        `start` must be 0 or where a message begins (see next_entry).
        """
        if self.kind == "mbox":
            for begin, end, block in mbox.spans(self._buffer, start, stop):
                yield _mbox_entry(begin, end, block)
        elif start < len(self):
            yield self._only_entry()

    def next_entry(self, position: int) -> int:
        """Where the first message at or after `position` begins; the length if there is none."""
        if position == 0:
            return 0
        return mbox.next_separator(self._buffer, position - 1) if self.kind == "mbox" else len(self)

    def entry(self, offset: int, length: int) -> Entry:
        """The message that is known to lie there."""
        if self.kind != "mbox":
            return self._only_entry()
        block = mbox.header_block(self._buffer, offset)[:length]
        return _mbox_entry(offset, min(offset + length, len(self)), block)

    def raw(self, entry: Entry) -> bytes:
        """Headers and body of an entry, as the writer of the message had them."""
        end = min(entry.offset + entry.length, entry.offset + MESSAGE_LIMIT)
        raw = self._buffer[entry.offset : end]
        if raw.startswith(_BOM):
            raw = raw[len(_BOM) :]
        raw = raw.lstrip(b"\r\n\t ") if not raw.startswith(b"From ") else raw
        if raw.startswith(b"From "):
            raw = mbox.unescape(raw.partition(b"\n")[2])
        return raw

    def is_last(self, entry: Entry) -> bool:
        """Whether nothing comes after the message: if the file was cut off, it is not whole."""
        return entry.offset + entry.length >= len(self)

    def is_cut(self, entry: Entry) -> bool:
        """Whether the message is the last one and visibly ends in its middle."""
        if not self.is_last(entry):
            return False
        if entry.cut:
            return True
        raw = self.raw(entry)
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

    def _only_entry(self) -> Entry:
        lead = self._buffer[:_SNIFFED]
        start = len(_BOM) if lead.startswith(_BOM) else 0
        start += _first_text(lead[start:])
        end = len(self._buffer)
        received, whole = None, 0
        if self.kind == "emlx" and (count := _COUNT_LINE.match(lead, start)):
            start = count.end()
            end, whole = min(end, start + int(count[1])), start + int(count[1])
            received = _PLIST_DATE.search(self._buffer[end : end + _SNIFFED])
        # Apple's property list says when the mail came, as the separator line of an mbox does.
        envelope = datetime.fromtimestamp(int(received[1]), UTC).isoformat() if received else ""
        block = mbox.header_block(self._buffer, start)
        return Entry(start, end - start, envelope, Headers(block), cut=whole > end)


def recognises(path: Path) -> bool:
    """Whether the file, or Apple's bundle directory, holds mail; its name does not count."""
    file = _place(path)
    return file is not None and _kind(_head(file)) is not None


@contextmanager
def opened(path: Path) -> Iterator[MailFile]:
    """The mail file at `path`, or in Apple's bundle there.

    Raises TwinError when it cannot be read or is no mail.
    """
    file = place(path)
    head = _head(file)
    if not head:
        raise TwinError(f"{file} is empty; export it again")
    kind = _kind(head)
    if kind is None:
        raise TwinError(
            f"{file} is not mail: it begins with neither a mailbox separator nor mail headers"
        )
    try:
        with file.open("rb") as stream:
            if b"\n" not in head:
                yield MailFile(file.name, kind, stream.read().replace(b"\r", b"\n"))
                return
            with _mapped(file, stream) as buffer:
                yield MailFile(file.name, kind, buffer)
    except OSError as error:
        raise TwinError(f"{file} cannot be read ({error.strerror}); check the disk") from None


def place(path: Path) -> Path:
    """The file to read at `path`, or in Apple's bundle there. Raises TwinError if there is none."""
    file = _place(path)
    if file is None:
        raise TwinError(
            f"{path} is not a mail file; give an .mbox, .eml or .emlx, or a folder of them"
        )
    return file


def size(path: Path) -> int:
    """Bytes of the file to read. Raises TwinError if there is none."""
    return place(path).stat().st_size


def _place(path: Path) -> Path | None:
    """The file to read: Apple's bundle is a directory with one called `mbox` in it."""
    try:
        if path.is_dir():
            path = path / "mbox"
        return path if path.is_file() else None
    except OSError:
        return None


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_SNIFFED)
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


def _mapped(file: Path, stream: BinaryIO) -> mmap.mmap:
    try:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # emptied since its head was read
        raise TwinError(f"{file} is empty; export it again") from None


def _mbox_entry(start: int, end: int, block: bytes) -> Entry:
    lead = block.removeprefix(_BOM).lstrip(b"\r\n\t ")
    envelope = ""
    if lead.startswith(b"From "):
        line, _, lead = lead.partition(b"\n")
        envelope = headers.decode_bytes(line[5:200]).strip()
    return Entry(start, end - start, envelope, Headers(lead))
