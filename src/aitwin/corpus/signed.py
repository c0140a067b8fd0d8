"""The text inside an opaque S/MIME signature (CMS SignedData in BER or DER).

Opens the envelope and looks at nothing else: no signature is checked, nothing is decrypted.
"""

from collections.abc import Iterator

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_DATA = bytes.fromhex("2a864886f70d010701")
_OBJECT_ID, _OCTETS, _OCTETS_IN_PIECES = 0x06, 0x04, 0x24
_INTEGER, _SEQUENCE, _SET, _EXPLICIT = 0x02, 0x30, 0x31, 0xA0


class _MalformedError(Exception):
    """Not what CMS prescribes; caught here."""


def content(envelope: bytes) -> bytes | None:
    """The signed MIME entity; None if this is no SignedData that holds its content."""
    try:
        at = _enter(envelope, 0, _SEQUENCE)
        at = _passed(envelope, at, _OBJECT_ID, _SIGNED_DATA)
        at = _enter(envelope, _enter(envelope, at, _EXPLICIT), _SEQUENCE)
        at = _passed(envelope, at, _INTEGER)
        at = _passed(envelope, at, _SET)
        at = _enter(envelope, at, _SEQUENCE)
        at = _passed(envelope, at, _OBJECT_ID, _DATA)
        at = _enter(envelope, at, _EXPLICIT)
        return b"".join(_octets(envelope, at))
    except _MalformedError:
        return None


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where the value begins, and its length; -1 where it ends with a mark instead."""
    if at + 2 > len(data):
        raise _MalformedError
    tag, size = data[at], data[at + 1]
    if size == 0x80:
        return tag, at + 2, -1
    if size < 0x80:
        return tag, at + 2, size
    start = at + 2 + (size & 0x7F)
    if start - at > 10 or start > len(data):
        raise _MalformedError
    return tag, start, int.from_bytes(data[at + 2 : start], "big")


def _enter(data: bytes, at: int, expected: int) -> int:
    tag, start, _ = _head(data, at)
    if tag != expected:
        raise _MalformedError
    return start


def _passed(data: bytes, at: int, expected: int, value: bytes | None = None) -> int:
    """Where the element at `at` ends, which must have this tag and value."""
    tag, start, length = _head(data, at)
    if tag != expected or (value is not None and data[start : start + length] != value):
        raise _MalformedError
    if length >= 0:
        return start + length
    at, open_ = start, 1
    while open_:  # elements without a length, within each other
        tag, start, length = _head(data, at)
        open_ += (length < 0) - (tag == length == 0)
        at = start + max(length, 0)
    return at


def _octets(data: bytes, at: int) -> Iterator[bytes]:
    """The pieces of an octet string that is whole, or in pieces one level deep."""
    tag, start, length = _head(data, at)
    if tag == _OCTETS and length >= 0:
        yield data[start : start + length]
        return
    if tag != _OCTETS_IN_PIECES:
        raise _MalformedError
    end = start + length if length >= 0 else len(data)
    at = start
    while at < end:
        tag, start, length = _head(data, at)
        if tag != _OCTETS or length < 0:
            return  # the mark of the end, or a mail that was cut
        yield data[start : start + length]
        at = start + length
