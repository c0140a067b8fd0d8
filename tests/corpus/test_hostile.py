# ruff: noqa: E501 -- hostile samples are easier to compare unbroken
"""Hostile files: four times the size may take four times as long, not sixteen times.

Measured as a ratio of processor times on this very machine, never as a time.
"""

import gc
import time
from collections.abc import Callable
from math import isqrt
from pathlib import Path

import pytest

from aitwin.corpus import clean, headers, html, mail, sources, whatsapp
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError

HEAD = b"From: Ana <ana@example.org>\nDate: Mon, 3 Mar 2025 10:15:00 +0100\n"
SEPARATOR = b"From a@b.example Mon Mar  3 10:15:00 2025\n"


def nested(depth: int) -> bytes:
    parts = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )
    return HEAD + parts + b"\nHi.\n"


MAILS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "separators": (60_000, lambda n: SEPARATOR + HEAD + b"\n" + b"From \n" * n),
    "separators after blanks": (20_000, lambda n: SEPARATOR + HEAD + b"\n" + b"\n\nFrom \n" * n),
    "separators with dates": (4_000, lambda n: SEPARATOR + HEAD + b"\n" + b"\n" + SEPARATOR * n),
    "quote marks": (300_000, lambda n: HEAD + b"\n" + b">" * n),
    "lines of quote marks": (20_000, lambda n: HEAD + b"\n" + b">\n" * n),
    "escaped lines": (10_000, lambda n: SEPARATOR + HEAD + b"\n" + b">From x\n" * n),
    "escaped deeper and deeper": (90_000, lambda n: SEPARATOR + HEAD + b"\n" + b"".join(b">" * i + b"From \n" for i in range(isqrt(n)))),
    "multiparts in multiparts": (5_000, nested),
    "parts": (10_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * n),
    "one part with many dashes": (100_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-" * n),
    "a long header": (60_000, lambda n: HEAD + b"Subject: " + b"x" * n + b"\n\nHi.\n"),
    "a huge header": (2_500_000, lambda n: HEAD + b"Subject: " + b"x" * n + b"\n\nHi.\n"),
    "a header folded often": (50_000, lambda n: HEAD + b"Subject: x" + b"\n x" * n + b"\n\nHi.\n"),
    "many headers": (50_000, lambda n: HEAD + b"X-A: b\n" * n + b"\nHi.\n"),
    "encoded words": (4_000, lambda n: HEAD + b"Subject: " + b" =?utf-8?B?w7w=?=" * n + b"\n\nHi.\n"),
    "encoded words never closed": (20_000, lambda n: HEAD + b"Subject: " + b"=?utf-8?B?" * n + b"\n\nHi.\n"),
    "one encoded word": (200_000, lambda n: HEAD + b"Subject: =?utf-8?B?" + b"A" * n + b"?=\n\nHi.\n"),
    "a huge boundary": (200_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=" + b"b" * n + b"\n\n--" + b"b" * n),
    "parameters": (20_000, lambda n: HEAD + b"Content-Type: text/plain" + b"; a*0=b" * n + b"\n\nHi.\n"),
    "an open quotation mark": (200_000, lambda n: HEAD + b'Content-Type: text/plain; a="' + b"\\" * n + b"\n\nHi.\n"),
    "colons": (300_000, lambda n: HEAD + b"To: " + b":" * n + b"\n\n" + b":" * n),
    "quotation marks never closed": (8_000, lambda n: HEAD + b'To: "' + b'\\"' * n + b"\n\nHi.\n"),
    "brackets never closed": (8_000, lambda n: HEAD + b"To: (" + b"\\(" * n + b"\n\nHi.\n"),
    "a name without an address": (15_000, lambda n: HEAD + b"To: " + b"a" * n + b"\n\nHi.\n"),
    "colons in a field": (15_000, lambda n: HEAD + b"To: " + b":" * n + b"\n\nHi.\n"),
    "brackets": (100_000, lambda n: HEAD + b"To: " + b"(" * n + b"\n\nHi.\n"),
    "angles": (100_000, lambda n: HEAD + b"To: " + b"<" * n + b"\nReferences: " + b"<" * n + b"\n\nHi.\n"),
    "addresses of one field": (1_000, lambda n: HEAD + b"To: " + b"a@b.example, " * n + b"\n\nHi.\n"),
    "addresses": (20_000, lambda n: HEAD + b"To: " + b"a@b.example, " * n + b"\n\nHi.\n"),
    "a name of many signs": (100_000, lambda n: HEAD + b"To: " + b"a " * n + b"@\n\nHi.\n"),
    "soft line breaks": (100_000, lambda n: HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=\n" * n),
    "spaces before a line's end": (100_000, lambda n: HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"A" + b" " * n + b"."),
    "flowed lines": (50_000, lambda n: HEAD + b"Content-Type: text/plain; format=flowed\n\n" + b"a \n" * n),
    "uuencode begun often": (5_000, lambda n: HEAD + b"Content-Transfer-Encoding: x-uuencode\n\n" + b"begin 644 a\n" * n),
    "uuencode ended often": (5_000, lambda n: HEAD + b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + b" \n" * n),
    "labels": (20_000, lambda n: HEAD + b"X-Gmail-Labels: " + b"a," * n + b"\n\nHi.\n"),
    "blank lines before it": (60_000, lambda n: b"\n" * n + HEAD + b"\nHi.\n"),
}  # fmt: skip

TEXTS: dict[str, tuple[int, Callable[[int], str]]] = {
    "quote marks": (100_000, lambda n: ">" * n),
    "lines of quote marks": (5_000, lambda n: ">\n" * n),
    "spaced quote marks": (50_000, lambda n: "> " * n),
    "blank lines first": (30_000, lambda n: "\n" * n + "a"),
    "rules first": (5_000, lambda n: "-----\n" * n + "a"),
    "blank lines": (10_000, lambda n: "a\n" + "\n" * n + "b"),
    "spaces": (100_000, lambda n: "a" + " " * n + "b"),
    "colons": (100_000, lambda n: ":" * n),
    "lines that end in colons": (1_500, lambda n: "On 3 Mar 2025, Ana wrote:\n" * n),
    "labels": (1_500, lambda n: "From: Ana\n" * n),
    "labels and a subject": (1_000, lambda n: "From: Ana\nSent: x\nSubject: y\n\n" * n),
    "dividers": (2_000, lambda n: "_" * 32 + "\n" + "-- \nx\n" * n),
    "one long divider": (400_000, lambda n: "_ " * n),
    "delimiters": (3_000, lambda n: "--\nx\n\n" * n),
    "original messages": (5_000, lambda n: "-----Original Message-----\n" * n),
    "armour begun often": (1_500, lambda n: "-----BEGIN PGP MESSAGE-----\n" * n),
    "signatures begun often": (1_500, lambda n: "-----BEGIN PGP SIGNED MESSAGE-----\n\n" * n),
    "armour of many kinds": (2_000, lambda n: "".join(f"-----BEGIN PGP {chr(65 + i % 26) * (i // 26 % 30 + 1)}-----\n" for i in range(n))),
    "patches": (5_000, lambda n: "@@ -1 +1 @@\n" * n),
    "a hunk of many digits": (2_000, lambda n: "@@ -1," + "9" * n + " +1 @@\n"),
    "diff heads": (5_000, lambda n: "diff --git a b\n" * n),
    "digits": (50_000, lambda n: "1" * n),
    "dates": (10_000, lambda n: "1.1.2024 " * n),
    "one long word": (100_000, lambda n: "a" * n),
    "at signs": (50_000, lambda n: "a@" * n),
    "angles": (50_000, lambda n: "<" * n),
    "names before marks": (5_000, lambda n: "Ana> x\n" * n),
    "bars": (5_000, lambda n: "| x\n" * n),
    "sentences": (5_000, lambda n: "I go. You stay. " * n),
    "wrapped prose": (1_000, lambda n: ("word " * 14 + "\n") * n),
    "postscripts": (2_000, lambda n: "-- \n" + "PS: x\n" * n),
    "device lines": (1_000, lambda n: "Sent from my iPhone\n\n" * n),
    "disclaimers": (1_000, lambda n: "This e-mail is confidential and intended for the recipient.\n\n" * n),
}  # fmt: skip

PAGES: dict[str, tuple[int, Callable[[int], str]]] = {
    "tags never closed": (20_000, lambda n: "<div>" * n),
    "tags closed out of order": (2_000, lambda n: "<div><table><td></div></td></table>" * n),
    "closing tags alone": (20_000, lambda n: "<div></p></x>" * n),
    "more tags than are laid out": (6_000, lambda n: "<i>x</i>" * n),
    "quotes never closed": (2_000, lambda n: "<blockquote>" * n),
    "quotes side by side": (5_000, lambda n: "<blockquote>x</blockquote>" * n),
    "gmail in gmail": (2_000, lambda n: "<div class=gmail_quote>" * n),
    "signatures in signatures": (2_000, lambda n: "own<div class=gmail_signature>" * n),
    "gmail in gmail often": (100, lambda n: ("<div class=gmail_quote>" * 50 + "</div>" * 50) * n),
    "borders in borders": (2_000, lambda n: '<div style="border-top:solid 1pt">' * n),
    "bold in bold": (2_000, lambda n: "<b><i>" * n),
    "angles": (100_000, lambda n: "<" * n),
    "comments never closed": (20_000, lambda n: "<!--" * n),
    "entities": (50_000, lambda n: "&lt;" * n),
    "attributes": (20_000, lambda n: "<p " + "a=b " * n + ">x"),
    "one long style": (100_000, lambda n: '<p style="' + "border:" * n + '">x'),
    "tables in tables": (1_000, lambda n: "<table><tr><td>" * n),
    "breaks": (50_000, lambda n: "<br>" * n),
    "blank lines in pre": (50_000, lambda n: "<pre>" + "\n" * n),
}  # fmt: skip

CHATS: dict[str, tuple[int, Callable[[int], str]]] = {
    "messages": (3_000, lambda n: "13/02/22, 14:56 - A: x\n" * n),
    "one long text": (3_000, lambda n: "13/02/22, 14:56 - A: x\n" + "more\n" * n),
    "colons": (100_000, lambda n: "13/02/22, 14:56 - " + ":" * n),
    "names": (3_000, lambda n: "".join(f"13/02/22, 14:56 - A{i}: x\n" for i in range(n))),
    "names with colons": (3_000, lambda n: "13/02/22, 14:56 - A: b: c: x\n" * n),
    "marks": (100_000, lambda n: "13/02/22, 14:56 - A: " + "\u200e" * n),
    "angles": (100_000, lambda n: "13/02/22, 14:56 - A: " + "<" * n),
    "brackets": (100_000, lambda n: "[13/02/22, 14:56:01] A: " + "[" * n),
    "days back and forth": (2_000, lambda n: "13/02/22, 14:56 - A: x\n14/01/22, 14:56 - B: x\n" * n),
    "lines of no chat": (20_000, lambda n: "x\n" * n),
    "polls": (3_000, lambda n: "13/02/22, 14:56 - A: POLL:\nWhich?\n" + "OPTION: x (1 vote)\n" * n),
    "words at the time": (3_000, lambda n: "".join(f"13/02/22, 2:56 w{i} - A: x\n" for i in range(n))),
}  # fmt: skip

GROWTH = 4
"""How much larger the second file is."""
BOUND = 9
"""Times as long as it may take: a quadratic pattern takes 16 times as long, a linear one 4."""
SMALLEST = 0.02  # seconds; below, a clock's own grain and one pause of the machine would decide


def assert_linear(n: int, work: Callable[[int], Callable[[], object]]) -> None:
    """Processor time grows with the size, not with its square. The best of several runs counts."""
    ratios = []
    for _ in range(6):
        once, more = spent(work(n)), spent(work(GROWTH * n))
        if more < SMALLEST or more < BOUND * once:
            return
        ratios.append(more / once)
    pytest.fail(f"{GROWTH} times the size takes {min(ratios):.0f} times as long")


def spent(work: Callable[[], object]) -> float:
    """Seconds of processor time, of work that is not remembered from the time before."""
    clean._marked.cache_clear()
    gc.collect()
    gc.disable()  # it goes through all that the other tests of this process have left behind
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("case", MAILS)
def test_hostile_mail_takes_linear_time(case: str, tmp_path: Path) -> None:
    """C1: nobody can stop an import with one mail."""
    n, build = MAILS[case]

    def work(size: int) -> Callable[[], object]:
        path = tmp_path / f"{size}.eml"
        path.write_bytes(build(size))
        headers.people.cache_clear()
        return lambda: read_or_refused(path, mail)

    assert_linear(n, work)


@pytest.mark.parametrize("case", TEXTS)
def test_hostile_texts_take_linear_time(case: str) -> None:
    """C2."""
    n, build = TEXTS[case]

    def work(size: int) -> Callable[[], object]:
        text = build(size)
        return lambda: (clean.own_words(text), clean.unwrap(text), clean.exchanges(text))

    assert_linear(n, work)


@pytest.mark.parametrize("case", PAGES)
def test_hostile_html_takes_linear_time(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """C1. What takes the parser squares is cut off at a limit, which is lowered to be quick here."""
    monkeypatch.setattr(html, "TAG_LIMIT", 10_000)
    n, build = PAGES[case]

    def work(size: int) -> Callable[[], object]:
        source = build(size)
        return lambda: html.text(source)

    assert_linear(n, work)


@pytest.mark.parametrize("case", CHATS)
def test_hostile_chats_take_linear_time(case: str, tmp_path: Path) -> None:
    """C1."""
    n, build = CHATS[case]

    def work(size: int) -> Callable[[], object]:
        path = tmp_path / f"{size}.txt"
        path.write_text(build(size))
        return lambda: read_or_refused(path, whatsapp)

    assert_linear(n, work)


def read_or_refused(path: Path, reader: sources.Reader) -> None:
    try:
        list(reader.read(path, Skipped()))
    except TwinError:
        return
