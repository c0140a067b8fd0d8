"""What must hold whatever the bytes: one function per parser, for atheris and for hypothesis alike.

Each takes bytes and raises AssertionError for a broken rule. The rules: no exception but TwinError,
nobody speaks who is not in the file, and own words are words of the mail. Knows no fuzzer.
"""

import atexit
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from aitwin.corpus import clean, headers, html, mail, mime, sources, whatsapp
from aitwin.corpus.headers import Headers
from aitwin.corpus.messages import Message
from aitwin.corpus.report import Skipped
from aitwin.corpus.whatsapp_headers import MARKS
from aitwin.errors import TwinError

_SCRATCH = Path(tempfile.mkdtemp(prefix="aitwin-fuzz-"))
atexit.register(shutil.rmtree, _SCRATCH, ignore_errors=True)
_COMMENT = re.compile(r"\([^()]*\)|<[^<>]*>")
_WORD = re.compile(r"[a-z0-9]+")
_MARKS = re.compile(f"[{MARKS}]+")


def mail_file(data: bytes) -> None:
    """An mbox, .eml or .emlx."""
    path = _written(data)
    skipped = Skipped()
    try:
        messages = list(mail.read(path, skipped))
    except TwinError:
        assert not mail.recognises(path) or not data
        return
    assert mail.recognises(path)
    assert messages or skipped.total, "something was passed over in silence"
    _are_in_the_mailbox((message.sender.address for message in messages), data)
    for message in messages:
        _is_whole(message)


def chat_file(data: bytes) -> None:
    """A WhatsApp export, as text or in its zip."""
    path = _written(data)
    try:
        messages = list(whatsapp.read(path, Skipped(), "dmy"))
    except TwinError:
        return
    for message in messages:
        _is_whole(message)
    if not zipfile.is_zipfile(path):
        _are_in_the_chat({message.sender.name for message in messages}, data)


def detection(data: bytes) -> None:
    """Any file: one reader, or none and a reason, or an error that names both."""
    found = sources.detect(_written(data))
    assert bool(found.format) != bool(found.reason)
    assert not found.error or str(found.path) in found.error


def body(data: bytes) -> None:
    """The header block of a part and its content, also as HTML."""
    block, content = headers.split(data)
    read = mime.body(Headers(block), content)
    mime.is_cut(Headers(block), content)
    assert "\0" not in read.text
    html.text(headers.decode_bytes(data))


def own_words(data: bytes) -> None:
    """The text of a mail."""
    _own_words_of(data.decode("utf-8", "replace"))


def header_block(data: bytes) -> None:
    """Every kind of field in one block."""
    head = Headers(data)
    for name in ("from", "to", "subject", "date", "references", "content-type", "x-gmail-labels"):
        value = head.raw(name)
        text = head.text(name)
        assert "\n" not in text
        headers.parameters(value)
        headers.ids(value)
        when = headers.moment(value)
        assert when is None or when.tzinfo is not None
        _are_in_the_mailbox((person.address for person in headers.people(value)), data)
    headers.decode_base64(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "mbox": mail_file,
    "eml": mail_file,
    "emlx": mail_file,
    "whatsapp": chat_file,
    "detection": detection,
    "body": body,
    "own_words": own_words,
    "headers": header_block,
}
"""By the name of what they are given to begin with: see seeds."""


def _written(data: bytes) -> Path:
    path = _SCRATCH / "file"
    path.write_bytes(data)
    return path


def _is_whole(message: Message) -> None:
    assert message.id
    assert message.sent_at.tzinfo is not None
    message.text.encode("utf-8")  # no half characters, which no file can hold


def _own_words_of(text: str) -> None:
    """Own words, quotes and exchanges are taken from the text, line by line; none is made up."""
    lines = {_bare(line) for line in _lines(text)}
    # What stands behind an end of OpenPGP's armour, on its line, is kept.
    lines |= {_bare(line.rpartition("-----")[2]) for line in _lines(text)}
    for line in _lines(clean.own_words(text)):
        own = _bare(line)  # what was left out between own lines is shown as a blank line
        assert not own or own in lines or f"-{own}" in lines, "a line that is not in the mail"
    clean.unwrap(text)
    quoted = _squashed(clean.quoted(text))
    assert len(quoted) <= len(_squashed(text))
    for theirs, own in clean.exchanges(text):
        assert len(theirs) + len(own) <= 2 * len(text) + 2


def _lines(text: str) -> Iterable[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _bare(line: str) -> str:
    return re.sub("[\\s\u200b\u200c\u2060\ufeff\u00ad\x00]", "", line)


def _are_in_the_mailbox(addresses: Iterable[str], data: bytes) -> None:
    """Every word of every address stands in the file, as it is or in an encoded word."""
    words = {word for address in addresses for word in _WORD.findall(_squashed(address))}
    for text in _readings(data):
        if not words:
            return
        there = _squashed(text)
        words = {word for word in words if word not in there}
    assert not words, "a sender who is not in the file"


def _readings(data: bytes) -> Iterator[str]:
    """What the file may be read as; the likeliest first, for the others take their time."""
    for charset in ("utf-8", "cp1252"):
        text = data.decode(charset, "replace")
        yield text
        yield _COMMENT.sub("", text)
        yield headers.decode_words(text)
        yield _COMMENT.sub("", headers.decode_words(text))


def _squashed(text: str) -> str:
    """Without what folding and quoting put between characters."""
    return re.sub(r"[\s\"'\\\x00]", "", text).lower()


def _are_in_the_chat(names: Iterable[str], data: bytes) -> None:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    texts = [data.decode(code, "replace") for code in (["utf-16"] if wide else ["utf-8", "cp1252"])]
    there = "".join(_MARKS.sub("", "\n".join(texts)).replace("\u2011", "-").split())
    for name in names:
        assert f"{''.join(name.split())}:" in there, "a sender who is not in the file"
