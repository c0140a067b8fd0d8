"""Where the messages of a mailbox file begin and end. Knows no MIME and reads no body.

Takes every dialect (mboxo, mboxrd, mboxcl, mboxcl2, Thunderbird, Gmail, Pipermail). A separator is
believed for what stands around it, since writers that do not escape "From " in bodies are common.
"""

import mmap
import re
from collections.abc import Iterator

from aitwin.corpus import headers

Buffer = bytes | mmap.mmap

_FROM = b"From "
_HEADER = re.compile(rb"(?:[!-9;-~]{1,76}[ \t]*:|>From )")
_LINE_LIMIT = 512
"""Bytes of a separator line that are looked at; real ones stay under 200."""
_WHEN = re.compile(
    rb"(?=.*\b\d{1,2}:\d{2}(?::\d{2})?\b)(?=.*\b(?:19|20)\d\d\b)"
    rb".*(?:\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b|\d{4}-\d\d-\d\d)"
)
_SURE = re.compile(
    rb"From (?=[^\n]{0,500}\d:\d\d[:\s])(?=[^\n]{0,500}\b(?:19|20)\d\d\b)"
    rb"[^\n]{0,500}\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b[^\n]{0,500}\n[!-9;-~]{1,76}:"
)
"""Nearly all separators at one look; the others get a second one."""
_UNDATED = re.compile(rb"From (?:-|nobody|MAILER-DAEMON|[^\s@]+@[^\s@]+)\s*$")
_MAIL_HEADER = re.compile(
    rb"(?i)(?:received|return-path|delivered-to|message-id|mime-version|date|from|to|subject"
    rb"|envelope-to|status|content-type|x-[!-9;-~]+)[ \t]*:"
)
_CONTENT_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*(\d{1,12})[ \t]*\r?$")
_HEADER_LIMIT = 1 << 18
"""Bytes within which a header block must end; longer ones are taken as they come."""
_ESCAPED = re.compile(rb"^(>+)From ", re.MULTILINE)
_RELEASE = 1 << 25
"""Bytes after which pages already read are given back: a 50 GB mailbox in constant memory."""


def spans(
    buffer: Buffer, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, int, bytes]]:
    """(start, end, header block) of each message, its `From ` line included.

    Bytes before the first separator, if any, come as a span of their own. With `start`, which must
    be where a message begins, and `stop`: those that begin at `start` or later and before `stop`.
    """
    size = len(buffer)
    stop = size if stop is None else min(stop, size)
    released = start
    while start < stop:
        block = header_block(buffer, start)
        end = _end_by_length(buffer, start, block)
        if end is None:
            end = next_separator(buffer, start + 1)
        yield start, end, block[: end - start]
        start = end
        if isinstance(buffer, mmap.mmap) and start - released > _RELEASE:
            released = release(buffer, released, start)


def is_separator(buffer: Buffer, position: int) -> bool:
    """Whether the line at `position` begins a message.

    It does when a date-like tail, or a bare address or `-`, is followed by header lines; after a
    line that is not blank (writers that forget the blank line exist) by two that only mail has.
    """
    if _SURE.match(buffer, position) and _after_blank(buffer, position):
        return True
    if buffer[position : position + 5] != _FROM:
        return False
    line, following = _line(buffer, position)
    if following >= len(buffer):
        return _WHEN.match(line) is not None and _after_blank(buffer, position)
    first, after_first = _line(buffer, following)
    if not _HEADER.match(first):
        return False
    dated = _WHEN.match(line) is not None
    if dated and _after_blank(buffer, position):
        return True
    if not dated and not _UNDATED.match(line):
        return False
    second, _ = _line(buffer, after_first)
    return (
        bool(_MAIL_HEADER.match(first))
        and (second[:1] in (b" ", b"\t") or bool(_MAIL_HEADER.match(second)))
        and (dated or _after_blank(buffer, position))
    )


def unescape(body: bytes) -> bytes:
    """Take the `>` off lines that an mbox writer escaped.

    mboxrd escapes `>From ` too, mboxo does not, and a file does not say which it is; so the
    lines around decide: an escaped line has one `>` more than its neighbours, a quoted one not.
    """
    if b">From " not in body:
        return body
    lines = body.split(b"\n")
    for number, line in enumerate(lines):
        mark = _ESCAPED.match(line)
        if mark is None:
            continue
        before = _nearest(lines, number, -1)
        after = _nearest(lines, number, +1)
        depth = len(mark[1])
        # After "Bob wrote:" a lone line is Bob's.
        introduced = depth == 1 and before.rstrip().endswith(b":")
        if depth > max(_depth(before), _depth(after)) and not introduced:
            lines[number] = line[1:]
    return b"\n".join(lines)


def _nearest(lines: list[bytes], number: int, step: int) -> bytes:
    for other in range(number + step, number + 4 * step, step):
        if 0 <= other < len(lines) and lines[other].strip() and not _ESCAPED.match(lines[other]):
            return lines[other]
    return b""


def _depth(line: bytes) -> int:
    marks = re.match(rb"[> ]*", line)
    return marks[0].count(b">") if marks else 0


def _line(buffer: Buffer, position: int) -> tuple[bytes, int]:
    """The line at `position` without its end, and where the next one begins."""
    newline = buffer.find(b"\n", position)
    end = newline if newline >= 0 else len(buffer)
    return buffer[position : min(end, position + _LINE_LIMIT)].rstrip(b"\r"), end + 1


def _after_blank(buffer: Buffer, position: int) -> bool:
    before = buffer[max(0, position - 3) : position]
    return position == 0 or before.endswith((b"\n\n", b"\n\r\n")) or before in (b"\n", b"\r\n")


def next_separator(buffer: Buffer, position: int) -> int:
    """Where the first message after `position` begins, or the end of the file."""
    while True:
        found = buffer.find(b"\nFrom ", position)
        if found < 0:
            return len(buffer)
        if is_separator(buffer, found + 1):
            return found + 1
        position = found + 1


def _end_by_length(buffer: Buffer, start: int, block: bytes) -> int | None:
    """Where Content-Length says that the message ends, if a separator or the file's end is there.

    It is only a hint: copies, gateways and editors leave wrong ones behind.
    """
    if b"ength" not in block and b"ENGTH" not in block:
        return None
    found = _CONTENT_LENGTH.search(block)
    if found is None:
        return None
    end = start + len(block) + int(found[1])
    for gap in (0, 1, 2):
        if end + gap == len(buffer) or (
            end + gap < len(buffer) and _at_separator(buffer, end + gap)
        ):
            return end + gap
    return None


def _at_separator(buffer: Buffer, position: int) -> bool:
    return buffer[position - 1 : position] == b"\n" and is_separator(buffer, position)


def header_block(buffer: Buffer, start: int) -> bytes:
    """The header lines from `start` on, with the blank line that ends them."""
    block = buffer[start : start + 8192]
    end = headers.end(block)
    if end < 0 and start + 8192 < len(buffer):
        block = buffer[start : start + _HEADER_LIMIT]
        end = headers.end(block)
    return block[:end] if end >= 0 else block


def release(buffer: mmap.mmap, released: int, position: int) -> int:
    """Give pages back to the system up to `position`; from where on the next ones are to go."""
    upto = position - position % mmap.PAGESIZE
    if upto > released and hasattr(mmap, "MADV_DONTNEED"):
        buffer.madvise(mmap.MADV_DONTNEED, released, upto - released)
    return upto
