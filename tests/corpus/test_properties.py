# ruff: noqa: E501 -- sample mails are easier to read unbroken
"""What holds for any mailbox and any chat: nothing is lost, nobody else speaks.

The same rules hold under a fuzzer for longer than a test may take: see fuzz/.
What takes how long is in test_hostile.
"""

import base64
import quopri
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aitwin.corpus import clean, headers, html, listing, mail, mime, sources, store, whatsapp
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
        ["", "From here on", ">From there", "> quoted", ">> twice", "> >From deep", "-- ", "Ana wrote:",
         "From: Mallory <mallory@evil.example>", "Subject: none", ".", "--=b", "begin 644 a",
         "From mallory@evil.example Wed Jan 03 08:00:00 2024", "=20", "Content-Length: 3"]
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


@BOUNDED
@given(dialect=st.sampled_from(DIALECTS), letters=LETTERS, stretch=st.integers(1, 2000))
def test_a_mailbox_listed_in_stretches_is_the_whole(
    dialect: str, letters: list[tuple[str, str]], stretch: int, tmp_path: Path
) -> None:
    """C1: what both cores list, wherever their stretches begin, is what one reads."""
    data = mailbox(dialect, letters)
    path = tmp_path / "box"
    messages = read(path, data)
    listed = list(mail.index(path, Skipped()))
    assert [(one.id, one.sender) for one in listed] == [(one.id, one.sender) for one in messages]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PART", stretch)
        parts = list(listing.parts(path, 0, len(data)))
    assert [row for part in parts for row in part.rows] == [*map(store.listed_row, listed)]


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
    [b"From ", b"\n\n", b"\r\n", b"\nFrom - \n", b">From ", b"=?utf-8?B?", b"=?x?Q?=FF?=", b"Content-Length: 9\n",
     b"charset=idna", b"charset=utf-16", b"\x00", b"--b", b"\xff\xfe", b"<", b'"', b"(", b"@", b"9" * 20, b":",
     b"boundary=", b";", b"<blockquote>", b"> ", b"\xe2\x80\x8e", b"\xe2\x80\xaf", b"[1/2/22, 10:00:00] ", b" - "]
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
