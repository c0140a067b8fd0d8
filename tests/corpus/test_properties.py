"""What holds for any mailbox and any chat: nothing is lost, nobody else speaks, nothing hangs.

The same rules hold under a fuzzer for longer than a test may take: see fuzz/.
"""

import base64
import gc
import quopri
import re
import time
import zipfile
from math import isqrt
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aitwin.corpus import clean, headers, html, mail, mime, sources, whatsapp
from aitwin.corpus.headers import Headers
from aitwin.corpus.messages import Message
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError
from fuzz import targets
from tests.corpus.samples import Sample, samples

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
"""The same examples every time: a test that fails must fail for everybody."""
DATA = {str(sample): sample.data() for sample in samples()}


def read(path: Path, data: bytes) -> list[Message]:
    path.write_bytes(data)
    return list(mail.read(path, Skipped()))


# Mailboxes: what was written is read back.

DIALECTS = ("mboxo", "mboxrd", "mboxcl", "mboxcl2", "thunderbird", "pipermail")
LINE = st.one_of(
    st.sampled_from(
        ["", "From here on", ">From there", "> quoted", ">> twice", "> >From deep", "-- ", "Ana wrote:"]
        + ["From: Mallory <mallory@evil.example>", "Subject: none", ".", "--=b", "begin 644 a"]
        + ["From mallory@evil.example Wed Jan 03 08:00:00 2024", "=20", "Content-Length: 3"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60),
)  # fmt: skip
BODY = st.lists(LINE, max_size=8).map("\n".join)
CODING = st.sampled_from(["8bit", "quoted-printable", "base64"])
LETTERS = st.lists(st.tuples(BODY, CODING), min_size=1, max_size=6)


def mailbox(dialect: str, letters: list[tuple[str, str]]) -> bytes:
    """The letters as a writer of the dialect would have written them, each with its own sender."""
    return b"".join(
        written(dialect, number, body, coding) for number, (body, coding) in enumerate(letters)
    )


def written(dialect: str, number: int, body: str, coding: str) -> bytes:
    sender = f"s{number}@writer.example"
    content = coded(body, coding)
    if dialect != "mboxcl2":
        marks = b">*" if dialect == "mboxrd" else b""
        content = re.sub(rb"(?m)^(?=" + marks + rb"From )", b">", content)
    head = f"From: Writer {number} <{sender}>\nTo: reader@reader.example\n"
    head += (
        f"Date: Mon, 3 Mar 2025 10:{number:02}:00 +0100\nMessage-ID: <{number}@writer.example>\n"
    )
    head += f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {coding}\n"
    if dialect.startswith("mboxcl"):
        head += f"Content-Length: {len(content)}\n"
    separator = {
        "thunderbird": "From - Mon Mar 03 09:00:00 2025",
        "pipermail": f"From s{number} at writer.example  Mon Mar  3 09:00:00 2025",
    }.get(dialect, f"From {sender} Mon Mar  3 09:00:00 2025")
    return f"{separator}\n{head}\n".encode() + content + b"\n"


def coded(body: str, coding: str) -> bytes:
    data = (body + "\n").encode()
    if coding == "base64":
        return base64.encodebytes(data)
    return quopri.encodestring(data) if coding == "quoted-printable" else data


def unescaped(text: str) -> str:
    """Without what an mbox may add before `From `: some dialects cannot tell it from a quote."""
    return re.sub(r"(?m)^>+(?=From )", "", text).rstrip("\n")


@BOUNDED
@given(dialect=st.sampled_from(DIALECTS), letters=LETTERS)
@example(
    dialect="mboxcl2", letters=[("\nFrom a@b.example Wed Jan 03 08:00:00 2024\nTo: x\n", "8bit")]
)
def test_a_mailbox_comes_back_as_it_was_written(
    dialect: str, letters: list[tuple[str, str]], tmp_path: Path
) -> None:
    """C1: count, order, senders, and every body but for the mark before `From `."""
    messages = read(tmp_path / "box", mailbox(dialect, letters))
    assert [message.id for message in messages] == [
        f"{number}@writer.example" for number in range(len(letters))
    ]
    for number, (message, (body, _)) in enumerate(zip(messages, letters, strict=True)):
        assert message.sender.address == f"s{number}@writer.example"
        assert unescaped(message.text) == unescaped(body)


@BOUNDED
@given(first=LETTERS, second=LETTERS, dialects=st.tuples(*[st.sampled_from(DIALECTS)] * 2))
def test_two_mailboxes_in_one_file_are_all_their_messages(
    first: list[tuple[str, str]],
    second: list[tuple[str, str]],
    dialects: tuple[str, str],
    tmp_path: Path,
) -> None:
    """C1: `cat a b > c` loses nothing and mixes nobody up."""
    parts = [mailbox(dialects[0], first), mailbox(dialects[1], second)]
    apart = [message for part in parts for message in read(tmp_path / "box", part)]
    together = read(tmp_path / "box", b"".join(parts))
    assert [(m.id, m.sender, m.text.rstrip("\n")) for m in together] == [
        (m.id, m.sender, m.text.rstrip("\n")) for m in apart
    ]


# Bodies: every part that is for people is in the text, in order.

WORDS = st.text(st.characters(categories=["L", "N"]), min_size=3, max_size=12)
LEAF = st.tuples(WORDS, CODING, st.sampled_from(["text/plain", "text/html"]))
TREE = st.recursive(LEAF, lambda inside: st.lists(inside, min_size=1, max_size=4), max_leaves=12)


def entity(tree: object, mark: str = "b") -> bytes:
    if isinstance(tree, tuple):
        words, coding, kind = tree
        body = f"<p>{words}</p>" if kind == "text/html" else words
        head = f"Content-Type: {kind}; charset=utf-8\nContent-Transfer-Encoding: {coding}\n\n"
        return head.encode() + coded(body, coding)
    assert isinstance(tree, list)
    parts = [entity(part, f"{mark}{number}") for number, part in enumerate(tree)]
    head = f'Content-Type: multipart/mixed; boundary="={mark}="\n\n'.encode()
    line = f"\n--={mark}=".encode()
    return head + b"".join(line + b"\n" + part for part in parts) + line + b"--\n"


def leaves(tree: object) -> list[str]:
    if isinstance(tree, tuple):
        return [tree[0]]
    assert isinstance(tree, list)
    return [words for part in tree for words in leaves(part)]


@BOUNDED
@given(tree=TREE, cut=st.booleans())
def test_parts_put_together_lose_no_word(tree: object, cut: bool) -> None:
    """C1: however parts are nested and coded; also when the last boundaries are missing."""
    block, content = headers.split(entity(tree))
    if cut:
        content = content.rstrip(b"\n").removesuffix(b"--")
    assert mime.body(Headers(block), content).text.split() == leaves(tree)


INLINE = st.sampled_from(["p", "div", "b", "i", "span", "li", "td", "h2", "pre", "font", "center"])


@BOUNDED
@given(pieces=st.lists(st.tuples(INLINE, WORDS, st.booleans()), min_size=1, max_size=12))
def test_html_loses_no_word(pieces: list[tuple[str, str, bool]]) -> None:
    """C1: also where tags are never closed."""
    source = "".join(
        f"<{tag}> {words} " + (f"</{tag}>" if closed else "") for tag, words, closed in pieces
    )
    found = [word for word in html.text(source).split() if word != "-"]
    assert sorted(found) == sorted(words for _, words, _ in pieces)


@BOUNDED
@given(text=BODY)
def test_own_words_and_quotes_are_lines_of_the_mail(text: str) -> None:
    """C2: nothing is made up; what is plain prose without any mark stays whole."""
    targets.own_words(text.encode())


@BOUNDED
@given(paragraphs=st.lists(st.lists(WORDS, min_size=6, max_size=12), min_size=1, max_size=5))
def test_plain_prose_is_own_words(paragraphs: list[list[str]]) -> None:
    """C2: losing an own sentence is worse than keeping a footer."""
    text = "\n\n".join(" ".join(words).capitalize() + "." for words in paragraphs)
    assert clean.own_words(text) == text


# Broken files: nothing but TwinError, and nobody speaks who is not there.

TOKENS = st.sampled_from(
    [b"From ", b"\n\n", b"\r\n", b"\nFrom - \n", b">From ", b"=?utf-8?B?", b"=?x?Q?=FF?=", b"Content-Length: 9\n"]
    + [b"charset=idna", b"charset=utf-16", b"\x00", b"--b", b"\xff\xfe", b"<", b'"', b"(", b"@", b"9" * 20, b":"]
    + [b"boundary=", b";", b"<blockquote>", b"> ", b"\xe2\x80\x8e", b"\xe2\x80\xaf", b"[1/2/22, 10:00:00] ", b" - "]
)  # fmt: skip
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), TOKENS | st.binary(max_size=6)), max_size=8
)


def mutated(data: bytes, edits: list[tuple[float, int, bytes]], cut: float) -> bytes:
    for where, length, token in edits:
        at = int(where * len(data))
        data = data[:at] + token + data[at + length :]
    return data[: int(cut * len(data))]


@settings(BOUNDED, max_examples=500)
@given(name=st.sampled_from(sorted(DATA)), edits=EDITS, cut=st.floats(0, 1) | st.just(1.0))
def test_broken_samples_break_no_rule(
    name: str, edits: list[tuple[float, int, bytes]], cut: float
) -> None:
    """C1: whatever is wrong with a file, the import of all others goes on."""
    data = mutated(DATA[name], edits, cut)
    targets.mail_file(data)
    targets.chat_file(data)
    targets.detection(data)


@pytest.mark.parametrize("sample", samples(), ids=str)
def test_samples_cut_off_anywhere_break_no_rule(sample: Sample) -> None:
    """C1: an interrupted copy of a mailbox."""
    data = sample.data()
    for end in range(0, len(data), max(1, len(data) // 40)):
        targets.mail_file(data[:end]) if sample.format == "mail" else targets.chat_file(data[:end])


@settings(BOUNDED, max_examples=150)
@given(data=st.binary(max_size=400), edits=EDITS)
def test_any_bytes_break_no_rule(data: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    for target in set(targets.TARGETS.values()):
        target(mutated(data, edits, 1.0))


def test_a_zip_with_a_broken_name_is_refused(tmp_path: Path) -> None:
    """C1. Found by the fuzzer: a name that is not in the charset that the zip says it is in."""
    path = tmp_path / "chat.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("é_chat.txt", "13/02/22, 14:56 - A: x\n")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe1\x28"))
    with pytest.raises(TwinError, match="damaged"):
        whatsapp.recognises(path)
    assert "damaged" in sources.detect(path).error


# Hostile files: four times the size takes about four times as long.

HEAD = b"From: Ana <ana@example.org>\nDate: Mon, 3 Mar 2025 10:15:00 +0100\n"
SEPARATOR = b"From a@b.example Mon Mar  3 10:15:00 2025\n"


def nested(depth: int) -> bytes:
    parts = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )
    return HEAD + parts + b"\nHi.\n"


MAILS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "separators": (20_000, lambda n: SEPARATOR + HEAD + b"\n" + b"From \n" * n),
    "separators after blanks": (20_000, lambda n: SEPARATOR + HEAD + b"\n" + b"\n\nFrom \n" * n),
    "separators with dates": (4_000, lambda n: SEPARATOR + HEAD + b"\n" + b"\n" + SEPARATOR * n),
    "quote marks": (200_000, lambda n: HEAD + b"\n" + b">" * n),
    "lines of quote marks": (20_000, lambda n: HEAD + b"\n" + b">\n" * n),
    "escaped lines": (10_000, lambda n: SEPARATOR + HEAD + b"\n" + b">From x\n" * n),
    "escaped deeper and deeper": (90_000, lambda n: SEPARATOR + HEAD + b"\n" + b"".join(b">" * i + b"From \n" for i in range(isqrt(n)))),
    "multiparts in multiparts": (5_000, nested),
    "parts": (10_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * n),
    "one part with many dashes": (100_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=-\n\n" + b"-" * n),
    "a huge header": (1_000_000, lambda n: HEAD + b"Subject: " + b"x" * n + b"\n\nHi.\n"),
    "a header folded often": (50_000, lambda n: HEAD + b"Subject: x" + b"\n x" * n + b"\n\nHi.\n"),
    "many headers": (50_000, lambda n: HEAD + b"X-A: b\n" * n + b"\nHi.\n"),
    "encoded words": (4_000, lambda n: HEAD + b"Subject: " + b" =?utf-8?B?w7w=?=" * n + b"\n\nHi.\n"),
    "encoded words never closed": (20_000, lambda n: HEAD + b"Subject: " + b"=?utf-8?B?" * n + b"\n\nHi.\n"),
    "one encoded word": (200_000, lambda n: HEAD + b"Subject: =?utf-8?B?" + b"A" * n + b"?=\n\nHi.\n"),
    "a huge boundary": (200_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=" + b"b" * n + b"\n\n--" + b"b" * n),
    "parameters": (20_000, lambda n: HEAD + b"Content-Type: text/plain" + b"; a*0=b" * n + b"\n\nHi.\n"),
    "an open quotation mark": (200_000, lambda n: HEAD + b'Content-Type: text/plain; a="' + b"\\" * n + b"\n\nHi.\n"),
    "colons": (300_000, lambda n: HEAD + b"To: " + b":" * n + b"\n\n" + b":" * n),
    "brackets": (100_000, lambda n: HEAD + b"To: " + b"(" * n + b"\n\nHi.\n"),
    "angles": (100_000, lambda n: HEAD + b"To: " + b"<" * n + b"\nReferences: " + b"<" * n + b"\n\nHi.\n"),
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
    "blank lines first": (100_000, lambda n: "\n" * n + "a"),
    "rules first": (20_000, lambda n: "-----\n" * n + "a"),
    "blank lines": (20_000, lambda n: "a\n" + "\n" * n + "b"),
    "spaces": (100_000, lambda n: "a" + " " * n + "b"),
    "colons": (200_000, lambda n: ":" * n),
    "lines that end in colons": (5_000, lambda n: "On 3 Mar 2025, Ana wrote:\n" * n),
    "labels": (5_000, lambda n: "From: Ana\n" * n),
    "labels and a subject": (3_000, lambda n: "From: Ana\nSent: x\nSubject: y\n\n" * n),
    "dividers": (5_000, lambda n: "_" * 32 + "\n" + "-- \nx\n" * n),
    "one long divider": (400_000, lambda n: "_ " * n),
    "delimiters": (3_000, lambda n: "--\nx\n\n" * n),
    "original messages": (5_000, lambda n: "-----Original Message-----\n" * n),
    "armour begun often": (3_000, lambda n: "-----BEGIN PGP MESSAGE-----\n" * n),
    "signatures begun often": (3_000, lambda n: "-----BEGIN PGP SIGNED MESSAGE-----\n\n" * n),
    "armour of many kinds": (2_000, lambda n: "".join(f"-----BEGIN PGP {chr(65 + i % 26) * (i // 26 % 30 + 1)}-----\n" for i in range(n))),
    "patches": (5_000, lambda n: "@@ -1 +1 @@\n" * n),
    "diff heads": (5_000, lambda n: "diff --git a b\n" * n),
    "digits": (50_000, lambda n: "1" * n),
    "dates": (10_000, lambda n: "1.1.2024 " * n),
    "one long word": (100_000, lambda n: "a" * n),
    "at signs": (50_000, lambda n: "a@" * n),
    "angles": (50_000, lambda n: "<" * n),
    "names before marks": (5_000, lambda n: "Ana> x\n" * n),
    "bars": (5_000, lambda n: "| x\n" * n),
    "sentences": (10_000, lambda n: "I go. You stay. " * n),
    "wrapped prose": (3_000, lambda n: ("word " * 14 + "\n") * n),
    "postscripts": (5_000, lambda n: "-- \n" + "PS: x\n" * n),
    "device lines": (3_000, lambda n: "Sent from my iPhone\n\n" * n),
    "disclaimers": (1_000, lambda n: "This e-mail is confidential and intended for the recipient.\n\n" * n),
}  # fmt: skip

PAGES: dict[str, tuple[int, Callable[[int], str]]] = {
    "tags never closed": (20_000, lambda n: "<div>" * n),
    "tags closed out of order": (20_000, lambda n: "<div><table><td></div></td></table>" * n),
    "closing tags alone": (20_000, lambda n: "<div></p></x>" * n),
    "more tags than are laid out": (60_000, lambda n: "<i>x</i>" * n),
    "quotes never closed": (2_000, lambda n: "<blockquote>" * n),
    "quotes side by side": (10_000, lambda n: "<blockquote>x</blockquote>" * n),
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
    for _ in range(3):
        once, more = spent(work(n)), spent(work(GROWTH * n))
        if more < SMALLEST or more < BOUND * once:
            return
        ratios.append(more / once)
    pytest.fail(f"{GROWTH} times the size takes {min(ratios):.0f} times as long")


def spent(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


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
def test_hostile_html_takes_linear_time(case: str) -> None:
    """C1."""
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
