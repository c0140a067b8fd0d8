"""Signed, encrypted, flowed and automatic mail as text."""

import base64

import pytest
from test_signed import ENVELOPED_DATA, in_pieces, whole

from aitwin.corpus import mime
from aitwin.corpus.clean import own_words
from aitwin.corpus.headers import Headers


def body(head: str, content: bytes) -> mime.Body:
    return mime.body(Headers(head.encode()), content)


@pytest.mark.parametrize("parameters", ["; smime-type=signed-data; name=smime.p7m", ""])
@pytest.mark.parametrize("envelope", [whole(), in_pieces()])
def test_opaque_signed_mail_is_read(parameters: str, envelope: bytes) -> None:
    """C2: the text is inside; what the label says does not matter."""
    head = (
        f"Content-Type: application/pkcs7-mime{parameters}\nContent-Transfer-Encoding: base64\n"
        "Content-Disposition: attachment; filename=smime.p7m\n"
    )
    read = body(head, base64.encodebytes(envelope))
    assert read.text.strip() == "The boat leaks."
    assert read.automatic == ""


def test_encrypted_mail_is_counted() -> None:
    head = "Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n"
    assert body(head, base64.encodebytes(whole(ENVELOPED_DATA))).automatic == "encrypted"
    assert body("Content-Type: multipart/encrypted; boundary=b\n", b"--b\n\nx\n--b--\n").automatic


@pytest.mark.parametrize("protocol", ["application/pgp-signature", "application/pkcs7-signature"])
def test_of_signed_parts_the_first_is_read(protocol: str) -> None:
    head = f"Content-Type: multipart/signed; protocol={protocol}; boundary=b\n"
    content = (
        b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nThe boat leaks.\n--c--\n"
        b"--b\nContent-Type: " + protocol.encode() + b"\n\nMIIB\n--b--\n"
    )
    assert body(head, content).text.strip() == "The boat leaks."


def test_flowed_text_is_joined_quotes_and_signature_apart() -> None:
    head = "Content-Type: text/plain; format=flowed\n"
    content = b"> Shall we \n> sail? \nOnly if the \nwind turns.\n From here on.\n-- \nBo\n"
    read = body(head, content)
    assert own_words(read.text) == "Only if the wind turns.\nFrom here on."
    assert "> Shall we sail?" in read.text


def test_flowed_text_may_lose_its_spaces() -> None:
    head = "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\n"
    assert body(head, "船が \n漏れる。\n".encode()).text.strip() == "船が漏れる。"


def test_an_automatic_reply_without_headers_is_known_by_its_subject() -> None:
    assert body("Subject: Automatic reply: Boat\n", b"Away.\n").automatic == "auto-reply"
    assert body("Subject: Re: Automatic reply: Boat\n", b"Enjoy.\n").automatic == ""
