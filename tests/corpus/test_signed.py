"""Opaque S/MIME signatures, whole and in pieces, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import signed

ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe boat leaks.\r\n"
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703")
DATA = bytes.fromhex("06092a864886f70d010701")


def definite(tag: int, value: bytes) -> bytes:
    size = len(value)
    head = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + head + value


def indefinite(tag: int, value: bytes) -> bytes:
    return bytes([tag, 0x80]) + value + b"\0\0"


def whole(kind: bytes = SIGNED_DATA) -> bytes:
    """As DER has it: every length is written."""
    inside = definite(0x30, DATA + definite(0xA0, definite(0x04, ENTITY)))
    body = definite(0x30, b"\x02\x01\x01" + definite(0x31, b"\x30\x00") + inside)
    return definite(0x30, kind + definite(0xA0, body))


def in_pieces() -> bytes:
    """As programs write what they send while they still read it."""
    pieces = definite(0x04, ENTITY[:20]) + definite(0x04, ENTITY[20:])
    inside = indefinite(0x30, DATA + indefinite(0xA0, indefinite(0x24, pieces)))
    digests = indefinite(0x31, indefinite(0x30, b"\x06\x01\x01"))
    body = indefinite(0x30, b"\x02\x01\x01" + digests + inside)
    return indefinite(0x30, SIGNED_DATA + indefinite(0xA0, body))


@pytest.mark.parametrize("envelope", [whole(), in_pieces()])
def test_the_signed_text_is_taken_out(envelope: bytes) -> None:
    """C2: S/MIME signed mail is unwrapped."""
    assert signed.content(envelope) == ENTITY


def test_what_is_encrypted_or_holds_nothing_is_left() -> None:
    assert signed.content(whole(ENVELOPED_DATA)) is None
    assert signed.content(b"") is None
    assert signed.content(b"\x30\x80" * 50_000) is None


@given(st.integers(0, 200), st.binary(max_size=6))
def test_damage_raises_nothing(at: int, bytes_: bytes) -> None:
    for envelope in (whole(), in_pieces()):
        signed.content(envelope[:at] + bytes_ + envelope[at + len(bytes_) :])
        signed.content(envelope[:at])
