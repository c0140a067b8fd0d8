"""Header fields, found where they stand or all at once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aitwin.corpus import headers
from aitwin.corpus.headers import Headers

NAMES = ("from", "date", "subject", "x-gmail-labels")
LINES = st.sampled_from(
    [
        b"From: Ana <ana@x.example>",
        b"from : b@x.example",
        b"FROM\t:\tc@x.example",
        b"From-Field: no",
        b"From here on",
        b" folded",
        b"\tDate: not a field",
        b"Date: Mon, 3 Mar 2025 10:15:00 +0100",
        b"Date:",
        b"Subject: caf\xc3\xa9 =?utf-8?q?=C3=A9?=",
        b"X-Gmail-Labels: Sent",
        b"x-gmail-labels:Inbox",
        b"",
        b":",
    ]
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_a_field_is_the_same_however_it_is_looked_up(lines: list[bytes], end: bytes) -> None:
    """C1: listing a mailbox and reading it must agree."""
    block = end.join(lines) + end
    for name in NAMES:
        sought, found = Headers(block), Headers(block).taken_apart()
        assert (name in sought) == (name in found)
        assert sought.raw(name) == found.raw(name)
        assert sought.text(name) == found.text(name)
        assert list(sought.all(name)) == list(found.all(name))


def test_of_many_fields_the_first_counts() -> None:
    head = Headers(b"Received: one\nReceived: two\n three\nreceived: four\n")
    assert head.raw("received") == "one"
    assert list(head.all("received")) == ["one", "two three", "four"]
    assert len(head) == 1


def test_a_block_of_ten_thousand_fields_loses_none_that_is_asked_for() -> None:
    block = b"".join(b"X-%d: y\n" % number for number in range(10_000)) + b"Date: last\n"
    assert Headers(block).raw("date") == "last"
    assert list(Headers(block).all("date")) == ["last"]


def test_an_address_is_decoded_only_if_that_leaves_an_address() -> None:
    """C1: the fuzzer found one made up of the bytes of what only looked like an encoded word."""
    [ana] = headers.people("<=?utf-8?q?ana=40x=2Eexample?=>")
    assert ana.address == "ana@x.example"
    [odd] = headers.people("bo=?x?B?Gko@mori.example?=")
    assert odd.address == "bo=?x?b?gko@mori.example?="
