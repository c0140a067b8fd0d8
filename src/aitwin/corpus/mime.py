"""The body of a mail as the plain text that a reader of the mail sees.

Chooses among alternatives, undoes transfer encodings and charsets. Does not tell own words from
quoted ones: see clean. Attachments and attached messages are not looked into.
"""

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from aitwin.corpus import automatic, headers, html, signed
from aitwin.corpus.headers import Headers

DEPTH_LIMIT = 16
"""Multiparts within multiparts that are followed; people send four, attackers thousands."""
PART_LIMIT = 500
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]*={0,2}\s*$")
_SNIFFED_BOUNDARY = re.compile(rb"^--([^\s][^\r\n]{0,200}?)[ \t]*\r?\nContent-", re.M | re.I)
_UU_BEGIN = re.compile(rb"^begin [0-7]{3} [^\n]*\n", re.M)
_UU_END = re.compile(rb"^(?:`|[ \t]{0,8})\r?\nend", re.M)
_SMIME = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_PGP_MESSAGE = "-----BEGIN PGP MESSAGE-----"


@dataclass
class Body:
    """What the parts of one mail come to."""

    text: str = field(default="", repr=False)
    automatic: str = ""
    """What the structure says about who wrote it: "bounce", "calendar", "encrypted" and so on."""
    tnef: int = 0
    """Outlook's `winmail.dat` parts, which are not opened."""


@dataclass(frozen=True)
class _Part:
    kind: str
    """Content type in lower case."""
    parameters: dict[str, str]
    headers: Headers = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def is_attachment(self) -> bool:
        disposition = self.headers.raw("content-disposition").lower()
        if disposition.startswith("attachment"):
            return True
        return "filename" in headers.parameters(disposition) or "name" in self.parameters


def body(head: Headers, content: bytes) -> Body:
    """The text of the message with these headers and this content."""
    result = Body()
    top = _part(head, content, "text/plain")
    budget = [PART_LIMIT]
    if top.kind.startswith("multipart/") or top.kind in _SMIME:
        result.text = _joined(_texts(top, result, 0, budget))
    elif not head.raw("content-disposition").lower().startswith("attachment"):
        result.text = _joined(_leaf(top, result))
    if result.text.lstrip().startswith(_PGP_MESSAGE):
        result.automatic = result.automatic or "encrypted"
    answers = "in-reply-to" in head or "references" in head
    if automatic.is_reply(head.text("subject"), result.text, answers=answers):
        result.automatic = result.automatic or "auto-reply"
    return result


def is_cut(head: Headers, content: bytes) -> bool:
    """Whether the content ends before its last boundary, or within a group of base64."""
    top = _part(head, content, "text/plain")
    boundary = top.parameters.get("boundary", "").encode("utf-8", "replace").rstrip()
    if top.kind.startswith("multipart/"):
        mark = b"--" + boundary
        found = list(_delimiters(content, mark)) if boundary else []
        return 0 < len(found) < PART_LIMIT and not any(last for _, _, last in found)
    if head.raw("content-transfer-encoding").strip(" ;\"'").lower() != "base64":
        return False
    lines = [line.strip() for line in content.split(b"\n")]
    plain = not all(map(_BASE64_LINE.match, lines))
    return not plain and len(b"".join(lines)) % 4 != 0


def _joined(texts: Iterator[str]) -> str:
    return "\n".join(text for text in texts if text.strip())


def _part(head: Headers, content: bytes, default: str) -> _Part:
    value = head.raw("content-type")
    kind = re.split(r"[;\s]", value, maxsplit=1)[0].strip("\"'").lower() if value else default
    if kind in ("text", "plain", "plain/text") or "/" not in kind:
        kind = "text/plain"
    return _Part(kind, headers.parameters(value), head, content)


def _texts(part: _Part, result: Body, depth: int, budget: list[int]) -> Iterator[str]:
    if depth > DEPTH_LIMIT or budget[0] <= 0:
        return
    budget[0] -= 1
    _note_kind(part, result)
    result.tnef += part.kind in ("application/ms-tnef", "application/vnd.ms-tnef")
    if part.kind in _SMIME:
        yield from _opened(part, result, depth, budget)
    elif part.kind == "multipart/alternative":
        yield from _best(part, result, depth, budget)
    elif part.kind.startswith("multipart/") and part.kind != "multipart/encrypted":
        for child in _children(part):
            yield from _texts(child, result, depth + 1, budget)
            if part.kind in ("multipart/related", "multipart/signed", "multipart/report"):
                break  # the first part is for people; the rest belongs to programs
    elif not part.is_attachment:
        yield from _leaf(part, result)


def _opened(part: _Part, result: Body, depth: int, budget: list[int]) -> Iterator[str]:
    """The text inside an S/MIME envelope, which is signed (then it is readable) or encrypted."""
    inside = signed.content(_transfer_decoded(part))
    if inside is not None:
        block, content = headers.split(inside)
        yield from _texts(_part(Headers(block), content, "text/plain"), result, depth + 1, budget)
    elif part.parameters.get("smime-type", "").lower() not in ("signed-data", "certs-only"):
        result.automatic = result.automatic or "encrypted"


def _best(part: _Part, result: Body, depth: int, budget: list[int]) -> Iterator[str]:
    """Plain text if it says anything, else the richest form that does."""
    children = list(_children(part))
    for child in children:
        _note_kind(child, result)
    plain = [child for child in children if child.kind == "text/plain"]
    richer = [child for child in reversed(children) if child.kind != "text/plain"]
    for child in (*plain, *richer):  # lazily: laying out HTML that nobody needs is most of the work
        texts = [text for text in _texts(child, result, depth + 1, budget) if text.strip()]
        if texts:
            yield from texts
            return


def _children(part: _Part) -> Iterator[_Part]:
    default = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
    pieces = list(_pieces(part))
    if not pieces:
        yield _Part("text/plain", part.parameters, part.headers, part.content)
    for piece in pieces:
        block, content = headers.split(piece)
        yield _part(Headers(block), content, default)


def _pieces(part: _Part) -> Iterator[bytes]:
    """What stands between the boundaries; a missing last boundary loses nothing."""
    boundary = part.parameters.get("boundary", "").encode("utf-8", "replace").rstrip()
    if not boundary or b"--" + boundary not in part.content:
        sniffed = _SNIFFED_BOUNDARY.search(part.content)
        if sniffed is None:
            return
        boundary = sniffed[1]
    start = -1
    for begin, end, last in _delimiters(part.content, b"--" + boundary):
        if start >= 0:
            yield _without_first_newline(part.content[start:begin])
        if last:
            return
        start = end
    if start >= 0:
        yield _without_first_newline(part.content[start:])


def _delimiters(content: bytes, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is the last) of each boundary line with the break before it."""
    found = content.find(mark)
    count = 0
    while found >= 0 and count < PART_LIMIT:
        after = found + len(mark)
        if found == 0 or content[found - 1] == 0x0A:
            newline = content.find(b"\n", after)
            end = newline if newline >= 0 else len(content)
            tail = content[after : min(end, after + 80)].strip()
            if tail in (b"", b"--"):
                count += 1
                before = found - (found > 0)
                yield before - (before > 0 and content[before - 1] == 0x0D), end, tail == b"--"
        found = content.find(mark, after)


def _without_first_newline(piece: bytes) -> bytes:
    return piece[2:] if piece.startswith(b"\r\n") else piece[1:]


def _note_kind(part: _Part, result: Body) -> None:
    kind, report = part.kind, part.parameters.get("report-type", "").lower()
    if kind == "multipart/report":
        reason = "read receipt" if report == "disposition-notification" else "bounce"
    elif kind == "multipart/digest":
        reason = "list digest"
    elif kind == "multipart/encrypted":
        reason = "encrypted"
    elif kind == "text/calendar" and part.parameters.get("method") and not part.is_attachment:
        reason = "calendar"
    else:
        return
    result.automatic = result.automatic or reason


def _leaf(part: _Part, result: Body) -> Iterator[str]:
    _note_kind(part, result)
    if part.kind == "text/html":
        yield html.text(_decoded(part))
    elif part.kind in ("text/enriched", "text/richtext"):
        yield re.sub(r"<[^<>]{0,80}>", "", _decoded(part))
    elif part.kind == "text/plain":
        text = _UNIX_ENDS.sub("\n", _decoded(part))
        if part.parameters.get("format", "").lower() == "flowed":
            text = unflow(text, delete_space=part.parameters.get("delsp", "").lower() == "yes")
        yield text


_UNIX_ENDS = re.compile(r"\r\n?")


def _decoded(part: _Part) -> str:
    return headers.decode_bytes(_transfer_decoded(part), part.parameters.get("charset", ""))


def _transfer_decoded(part: _Part) -> bytes:
    encoding = part.headers.raw("content-transfer-encoding").strip(" ;\"'").lower()
    if encoding == "quoted-printable":
        return quopri.decodestring(part.content)
    if encoding == "base64":
        return _base64_body(part.content)
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return _uudecoded(part.content)
    return part.content


def _base64_body(content: bytes) -> bytes:
    """Decode up to the first line that is not base64: lists append plain footers."""
    lines = []
    for line in content.split(b"\n"):
        if not _BASE64_LINE.match(line):
            break
        lines.append(line)
    joined = b"".join(lines)
    if not joined.strip():
        return content  # labelled base64, but plain
    return headers.decode_base64(joined)


def _uudecoded(content: bytes) -> bytes:
    # Two patterns, since one that looks for its end from every beginning takes quadratic time.
    begin = _UU_BEGIN.search(content)
    end = _UU_END.search(content, begin.end()) if begin else None
    if begin is None or end is None:
        return content
    out = []
    for line in content[begin.end() : end.start()].splitlines():
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(out)


def unflow(text: str, *, delete_space: bool = False) -> str:
    """Join the lines of format=flowed (RFC 3676): one line per paragraph, quotes as `> `."""
    out: list[list[str]] = []  # the pieces of each line: adding to a long string copies it
    open_depth = -1  # quote depth of the paragraph that the last line left open; -1 if none is
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        flowing = content.endswith(" ") and content != "-- "
        piece = content[:-1] if flowing and delete_space else content
        if open_depth == depth and content != "-- ":
            out[-1].append(piece)
        else:
            out.append([f"{'>' * depth}{' ' * (depth > 0)}{piece}"])
        open_depth = depth if flowing else -1
    whole = map("".join, out)
    return "\n".join(line if line.endswith("-- ") else line.rstrip(" ") for line in whole)
