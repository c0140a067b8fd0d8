# ruff: noqa: E501 -- sample mails are easier to read unbroken
"""Mail files of every dialect, by the rule: separators, headers, bodies, what is left out."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aitwin.corpus import mail
from aitwin.corpus.messages import Message
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError

Write = Callable[..., Path]
HEAD = "From: Ana Ruiz <ana@example.org>\nDate: Mon, 3 Mar 2025 10:15:00 +0100\nMessage-ID: <{id}@example.org>\n"


def letter(
    id_: str,
    body: str = "Hello.\n",
    more: str = "",
    separator: str = "ana@example.org Mon Mar  3 10:15:00 2025",
) -> str:
    return f"From {separator}\n{HEAD.format(id=id_)}{more}\n{body}\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(data: str | bytes, name: str = "mail") -> Path:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return _write


def read(path: Path) -> tuple[list[Message], Skipped]:
    skipped = Skipped()
    return list(mail.read(path, skipped)), skipped


def ids(path: Path) -> list[str]:
    return [message.id.partition("@")[0] for message in read(path)[0]]


def one(path: Path) -> Message:
    [message] = read(path)[0]
    return message


# The real mailboxes.


@pytest.mark.parametrize("name", ["baechle-mips", "leech-usrp"])
def test_real_mailboxes_agree_with_their_ground_truth(shared: Path, name: str) -> None:
    """C1: every message, id, sender, parent; nobody else's message has an address of the owner."""
    folder = shared / "corpora" / name
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    messages, skipped = read(folder / "all.mbox")
    assert [message.id for message in messages] == [row["mid"].strip("<>") for row in rows]
    assert skipped.total == 0
    for message, row in zip(messages, rows, strict=True):
        if " via " not in row["frm"] and "@" in row["frm"]:
            assert message.sender.address == row["frm"].rpartition("<")[2].strip("> ").lower()
        if row["parent"]:
            assert message.references[-1] == row["parent"].strip("<>")
    owner = {m.sender.address for m, row in zip(messages, rows, strict=True) if row["owner"]}
    others = {m.sender.address for m, row in zip(messages, rows, strict=True) if not row["owner"]}
    assert not owner & others


def test_index_finds_what_read_reads(shared: Path) -> None:
    path = shared / "corpora/baechle-mips/all.mbox"
    listed = list(mail.index(path, Skipped()))
    assert sum(one.length for one in listed) == path.stat().st_size
    messages = read(path)[0]
    assert [(one.id, one.sender, one.sent_at, one.subject) for one in listed] == [
        (message.id, message.sender, message.sent_at, message.subject) for message in messages
    ]
    places = [(one.offset, one.length) for one in listed][::7]
    assert list(mail.fetch(path, places, Skipped())) == messages[::7]


def test_every_fixture_is_read_or_refused_and_none_is_lost(shared: Path) -> None:
    """390 mails of three mail libraries' own test suites: none may crash, few may be skipped."""
    files = [
        path
        for folder in ("fx-mikel-mail", "fx-python-email", "fx-talon", "fx-emlx-mikez")
        for path in sorted((shared / "corpora/fixtures" / folder).rglob("*"))
        if path.suffix in (".eml", ".emlx") or path.name.startswith("msg_")
    ]
    recognised = [path for path in files if mail.recognises(path)]
    skipped = Skipped()
    messages = [message for path in recognised for message in mail.read(path, skipped)]
    assert len(recognised) >= 0.9 * len(files)
    cut = skipped.counts[mail.CUT_OFF]  # raw_email4.eml has no last boundary
    assert cut == 1
    assert len(messages) + skipped.total - cut == len(recognised)
    assert skipped.counts["no headers"] == 0
    assert all(message.sender.address for message in messages)


# Where messages begin.


@pytest.mark.parametrize(
    "separator",
    ["a@b Wed Jan 03 08:00:00 2024", "- Sun Jun 02 10:00:00 2024", "-", "ana@example.org",
     "1545123@xxx Fri Sep 16 22:26:51 +0000 2016", "ana at example.org  Tue Mar  5 10:15:00 2002",
     "MAILER-DAEMON Fri Jul  8 12:08:34 2011", "???@??? Tue Jan 04 10:00:00 2000",
     "a@b Tue Jan  3 08:00 2024", "a@b Tue Jan  3 08:00:00 PST 2024", "ana 2024-01-03 08:00:00",
     "fo\u00f6@b Wed Jan 03 08:00:00 2024", "a@b Wed, 3 Jan 2024 08:00:00 +0000"],
)  # fmt: skip
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_separators_of_every_writer(write: Write, separator: str, ends: str) -> None:
    """C1: the second message begins where it begins, whoever wrote the separator."""
    text = letter("1", separator=separator) + letter("2", separator=separator) + letter("3")
    path = write(text.replace("\n", ends))
    assert mail.recognises(path)
    assert ids(path) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "line",
    ["From Russia with love", "From 10:00 to 11:00 in May 2024 we slept.", "From: someone", "From",
     "From Ana, Wed Jan 03 08:00:00 2024:", "From me to you\nSubject: to change"],
)  # fmt: skip
def test_sentences_that_begin_with_from_are_no_separators(write: Write, line: str) -> None:
    path = write(letter("1", f"Dear B,\n\n{line}\n\nand so on.\n") + letter("2"))
    messages, _ = read(path)
    assert [message.id[:1] for message in messages] == ["1", "2"]
    assert line in messages[0].text
    assert "and so on." in messages[0].text


def test_a_missing_blank_line_loses_no_message(write: Write) -> None:
    assert ids(write(letter("1").rstrip("\n") + "\n" + letter("2"))) == ["1", "2"]


def test_content_length_is_believed_only_when_it_fits(write: Write) -> None:
    inner = letter("inner", "quoted\n")
    body = f"See:\n\n{inner}end\n"
    true = letter("1", body, f"Content-Length: {len(body)}\n")
    messages, _ = read(write(true + letter("2")))
    assert [message.id[:1] for message in messages] == ["1", "2"]
    assert "end" in messages[0].text
    for wrong in (0, 3, len(body) * 100, 10**11):
        path = write(
            letter("1", "Hello.\n", f"Content-Length: {wrong}\n") + letter("2") + letter("3")
        )
        assert ids(path) == ["1", "2", "3"]


PARTS = "--=b\n\nHello there.\n--=b\nContent-Type: text/html\n\n<p>Hello there.</p>\n"
MULTIPART = 'Content-Type: multipart/alternative; boundary="=b"\n'
BASE64 = base64.encodebytes(b"Hello there, the boat leaks and the pump is out. " * 4).decode()
CODED = "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n"


@pytest.mark.parametrize(
    ("more", "whole", "cut"),
    [
        (MULTIPART, PARTS + "--=b--\n", PARTS),
        (CODED, BASE64, BASE64[:-30]),
        (CODED, BASE64 + "_____\nlist footer\n", BASE64[:-47]),
        ("Content-Length: 27\n", "Hello there,\nthe boat leaks\n", "Hello th"),
        ("Content-Length: 29\n", "Hello there,\nthe boat leaks\n", "Hello there,\n"),
    ],
)
def test_a_file_that_ends_in_the_middle_is_told_and_its_message_kept(
    write: Write, more: str, whole: str, cut: str
) -> None:
    for head in ("From ana@example.org Mon Mar  3 10:15:00 2025\n", ""):
        start = head + HEAD.format(id="a") + more + "\n"
        messages, skipped = read(write(start + whole))
        assert (len(messages), skipped.total) == (1, 0)
        messages, skipped = read(write(start + cut))
        assert [message.text[:5] for message in messages] == ["Hello"]
        assert skipped.counts == {mail.CUT_OFF: 1}
    # Elsewhere a missing boundary is somebody's sloppy program, and nothing is lost.
    middle = f"{letter('a', cut, more)}\n{letter('b')}"
    assert mail.CUT_OFF not in read(write(middle))[1].counts


def test_a_letter_of_apples_that_is_shorter_than_it_says(write: Write) -> None:
    text = HEAD.format(id="a") + "\nHello there.\n"
    assert read(write(f"{len(text)}\n{text}"))[1].total == 0
    messages, skipped = read(write(f"{len(text) + 9}\n{text}"))
    assert len(messages) == skipped.counts[mail.CUT_OFF] == 1


def test_escaped_lines_are_restored_and_quoted_ones_left(write: Write) -> None:
    body = (
        ">From now on I pay.\n\n>>From the old days.\n\nBo wrote:\n>From me.\n\n> a\n>From b\n> c\n"
    )
    text = one(write(letter("1", body))).text
    assert text.startswith("From now on I pay.\n\n>From the old days.")
    assert "Bo wrote:\n>From me." in text
    assert "> a\n>From b\n> c" in text


def test_marks_cuts_and_nul_bytes(write: Write) -> None:
    whole = letter("1", "Hello\x00 there.\n") + letter("2", "This one is cut in the midd")
    messages, _ = read(write(b"\xef\xbb\xbf" + whole.encode().rstrip()))
    assert [message.id[:1] for message in messages] == ["1", "2"]
    assert "\x00" not in messages[0].text
    assert messages[1].text.startswith("This one is cut in the midd")
    messages, skipped = read(write(letter("1") + "From a@b Wed Jan 03 08:00:00 2024\n"))
    assert len(messages) == 1
    assert skipped.counts == {"no headers": 1}
    assert skipped.places == {"no headers": [f"mail@{len(letter('1'))}"]}


# Other containers.


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_eml_with_any_line_end(write: Write, ends: str) -> None:
    path = write((HEAD.format(id="1") + "Subject: Hi\n\nOne.\nTwo.\n").replace("\n", ends))
    assert mail.recognises(path)
    message = one(path)
    assert message.text == "One.\nTwo.\n"
    assert message.subject == "Hi"
    assert message.sent_at == datetime(2025, 3, 3, 10, 15, tzinfo=timezone(timedelta(hours=1)))


def test_apple_mail(write: Write, tmp_path: Path) -> None:
    source = HEAD.format(id="1") + "\nHello.\n"
    plist = (
        '<?xml version="1.0"?><plist><dict><key>flags</key><integer>1</integer></dict></plist>\n'
    )
    path = write(f"{len(source)}      \n{source}{plist}", "1.partial.emlx")
    assert mail.recognises(path)
    assert one(path).text == "Hello.\n"
    undated = source.replace("Date:", "X-Date:")
    received = "<plist><key>date-received</key>\n\t<integer>1581000000</integer></plist>"
    assert one(write(f"{len(undated)}\n{undated}{received}")).sent_at.year == 2020
    bundle = tmp_path / "Sent.mbox"
    bundle.mkdir()
    assert not mail.recognises(bundle)
    (bundle / "mbox").write_text(letter("1") + letter("2"))
    (bundle / "table_of_contents").write_bytes(b"\0" * 100)
    assert mail.recognises(bundle)
    assert ids(bundle) == ["1", "2"]


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 5000, b"%PDF-1.7\n%\xe2\xe3", b"PK\x03\x04abc", b"[18/07/2020, 18:24:25] Ana: hi\n",
     b"1/4/23, 7:02 PM - Ana: hi\n", b"Dear Bo,\n\nFrom Russia with love.\n", b"Title: x\nDate: y\n\nblog post",
     b"From now on\nwe sleep\n", b'{"From": "x"}\n', b"HTTP/1.1 200 OK\nDate: x\nContent-Type: y\n\n", b"12\nDear Bo\n"],
)  # fmt: skip
def test_other_files_are_not_mail_and_the_error_says_so(write: Write, data: bytes) -> None:
    path = write(data)
    assert not mail.recognises(path)
    with pytest.raises(TwinError, match=str(path)):
        list(mail.read(path, Skipped()))


# Who, when, answering what.


@pytest.mark.parametrize(
    ("value", "address", "name"),
    [
        ("Ana Ruiz <Ana@Example.ORG>", "ana@example.org", "Ana Ruiz"),
        ('"Ruiz, Ana" <ana@example.org>', "ana@example.org", "Ruiz, Ana"),
        ("Ruiz, Ana <ana@example.org>", "ana@example.org", "Ana"),
        ("ana@example.org (Ana Ruiz)", "ana@example.org", "Ana Ruiz"),
        ("ana at example.org (Ana Ruiz)", "ana@example.org", "Ana Ruiz"),
        (
            "=?utf-8?B?" + base64.b64encode("Añá".encode()).decode() + "?= <ana@example.org>",
            "ana@example.org",
            "Añá",
        ),
        (
            "=?iso-8859-1?Q?J=F6rg_?=\n =?iso-8859-1?Q?M=FCller?= <j@example.org>",
            "j@example.org",
            "Jörg Müller",
        ),
        ("Jörg <j@example.org>", "j@example.org", "Jörg"),
        ("friends:bo@example.org, ana@example.org;", "bo@example.org", ""),
        ("=?x-no-such?Q?J=F6rg?= <j@example.org>", "j@example.org", "Jörg"),
    ],
)
def test_senders(write: Write, value: str, address: str, name: str) -> None:
    message = one(
        write(f"From: {value}\nDate: Mon, 3 Mar 2025 10:15:00 +0100\nTo: x@y.org\n\nHi.\n")
    )
    assert (message.sender.address, message.sender.name) == (address, name)


def test_raw_latin_1_headers(write: Write) -> None:
    head = (
        "From: Jörg <j@example.org>\nSubject: Grüße\nDate: Mon, 3 Mar 2025 10:15:00 +0100\n\nHi.\n"
    )
    assert one(write(head.encode("latin-1"))).subject == "Grüße"
    assert one(write(head.encode("utf-8"))).sender.name == "Jörg"


def test_a_list_that_rewrites_from_is_undone_only_by_a_header(write: Write) -> None:
    """NOTES trap: "X via list". Nothing is guessed."""

    def sender(more: str) -> str:
        head = f"From: 'Ana Ruiz' via Knitters <knit@example.org>\nList-Post: <mailto:knit@example.org>\n{more}"
        return one(write(f"{head}Date: Mon, 3 Mar 2025 10:15:00 +0100\n\nHi.\n")).sender.address

    assert sender("") == "knit@example.org"
    assert sender("Reply-To: Ana Ruiz <ana@example.org>\n") == "ana@example.org"
    assert sender("Reply-To: Knitters <knit@example.org>\n") == "knit@example.org"
    assert sender("Reply-To: a@example.org, b@example.org\n") == "knit@example.org"
    assert (
        sender("X-Original-From: Ana <ana@home.org>\nReply-To: x@example.org\n") == "ana@home.org"
    )


def test_dates_come_from_the_header_the_server_or_the_separator(write: Write) -> None:
    chat = "From 15@xxx Fri Sep 16 22:26:51 +0000 2016\nFrom: Ana <ana@example.org>\nX-GM-THRID: 154\n{}\nHi.\n"
    message = one(write(chat.format("")))
    assert message.sent_at == datetime(2016, 9, 16, 22, 26, 51, tzinfo=UTC)
    assert message.conversation == "154"
    assert message.id
    assert message.id == one(write(chat.format(""), "again")).id
    received = "Received: by x; Tue, 4 Mar 2025 09:00:00 +0000\n"
    assert one(write(chat.format("Date: whenever\n" + received))).sent_at.day == 4
    assert one(write(letter("1", separator="-").replace("Mar 2025", "Mar 25"))).sent_at.year == 2025
    messages, skipped = read(write("From: a@b.org\nTo: b@c.org\nSubject: x\n\nHi.\n"))
    assert not messages
    assert skipped.counts == {"no date": 1}


def test_references_are_oldest_first_with_the_parent_last(write: Write) -> None:
    def references(more: str) -> tuple[str, ...]:
        return one(write(letter("me", more=more))).references

    assert references("References: <a@x>\n <b@x>\nIn-Reply-To: <b@x>\n") == ("a@x", "b@x")
    assert references("References: <a@x> <b@x> <a@x>\n") == ("a@x", "b@x")
    assert references("In-Reply-To: <c@x>\nReferences: <a@x> <c@x> <b@x>\n") == (
        "a@x",
        "b@x",
        "c@x",
    )
    assert references("References: <a@x> <b@x>\nIn-Reply-To: Bo <bo@x.org>'s message <b@x>\n") == (
        "a@x",
        "b@x",
    )
    assert references("References: <me@example.org>\n") == ()


# What is left out, and what no person wrote.


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("Inbox,Drafts", "drafts"),
        ("=?UTF-8?Q?Gesendet,Entw=C3=BC?=\n =?UTF-8?Q?rfe?=", "drafts"),
        ("=?UTF-8?B?" + base64.b64encode("Корзина,Важное".encode()).decode() + "?=", "trash"),
        ("Papierkorb", "trash"), ("Spam,Unread", "spam"), ("Chat", "chat"), ("草稿", "drafts"),
        ("Sent,Drafts of my novel", ""), ("Archived,Sent", ""),
    ],
)  # fmt: skip
def test_gmail_labels(write: Write, labels: str, reason: str) -> None:
    messages, skipped = read(write(letter("1", more=f"X-Gmail-Labels: {labels}\n")))
    assert skipped.counts == ({reason: 1} if reason else {})
    assert len(messages) == (0 if reason else 1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("Auto-Submitted: auto-replied\n", "auto-reply"),
        ("Auto-Submitted: no\n", ""),
        ("X-Autoreply: yes\n", "auto-reply"),
        ("Precedence: bulk\n", ""),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x\n", "bounce"),
        ("Content-Type: multipart/encrypted; boundary=x\n", "encrypted"),
        ("Content-Type: text/calendar; method=REPLY\n", "calendar"),
        ("Content-Type: multipart/digest; boundary=x\n", "list digest"),
    ],
)
def test_automatic_mail(write: Write, more: str, reason: str) -> None:
    assert one(write(letter("1", "--x\n\nHi.\n--x--\n", more))).automatic == reason


def test_encrypted_text_is_automatic(write: Write) -> None:
    body = "-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n"
    assert one(write(letter("1", body))).automatic == "encrypted"


# Bodies.


def body(write: Write, content_type: str, content: str | bytes, more: str = "") -> str:
    raw = content.encode() if isinstance(content, str) else content
    head = f"{HEAD.format(id='1')}MIME-Version: 1.0\nContent-Type: {content_type}\n{more}\n"
    return one(write(head.encode() + raw)).text


def test_charsets_right_wrong_and_unknown(write: Write) -> None:
    assert (
        body(write, "text/plain; charset=windows-1252", "“naïve” – €".encode("cp1252"))
        == "“naïve” – €"
    )
    assert body(write, "text/plain; charset=iso-8859-1", "“Ja”".encode("cp1252")) == "“Ja”"
    assert body(write, "text/plain; charset=us-ascii", "Grüße".encode()) == "Grüße"
    assert body(write, "text/plain; charset=utf-8", "Grüße".encode("latin-1")) == "Grüße"
    assert body(write, "text/plain; charset=x-unknown", "Grüße".encode("latin-1")) == "Grüße"
    assert body(write, "text/plain; charset=hex", b"abcd") == "abcd"
    assert (
        body(write, 'text/plain; charset="iso-2022-jp"', "今日は".encode("iso-2022-jp")) == "今日は"
    )
    assert body(write, "text/plain; charset=gb2312", "你好镕".encode("gb18030")) == "你好镕"


def test_transfer_encodings(write: Write) -> None:
    encoded = base64.encodebytes("Grüße, alle.".encode()).decode()
    more = "Content-Transfer-Encoding: base64\n"
    assert (
        body(write, "text/plain; charset=utf-8", encoded + "____\nlist footer\n", more)
        == "Grüße, alle."
    )
    assert body(write, "text/plain", "Plain all the same.", more) == "Plain all the same."
    assert (
        body(write, "text/plain", "a=\nb =3D c", "Content-Transfer-Encoding: quoted-printable\n")
        == "ab = c"
    )


def test_format_flowed_is_unwrapped(write: Write) -> None:
    text = "This is one \nparagraph.\n>> quoted \n>> too\n> other \nmine\n-- \nBo\n"
    expected = "This is one paragraph.\n>> quoted too\n> other\nmine\n-- \nBo\n"
    assert body(write, "text/plain; format=flowed", text) == expected
    assert body(write, "text/plain; format=flowed; delsp=yes", "今日 \nは\n") == "今日は\n"


def test_alternatives_and_attachments(write: Write) -> None:
    def mixed(*parts: str, kind: str = "alternative") -> str:
        content = "preamble\n" + "".join(f"--b\n{part}\n" for part in parts) + "--b--\nepilogue"
        return body(write, f'multipart/{kind}; boundary="b"', content).strip()

    plain, rich = "Content-Type: text/plain\n\nPlain.", "Content-Type: text/html\n\n<p>Rich.</p>"
    assert mixed(plain, rich) == "Plain."
    assert mixed("Content-Type: text/plain\n\n \n", rich) == "Rich."
    attachment = (
        'Content-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nNot me.'
    )
    forwarded = f"Content-Type: message/rfc822\n\n{HEAD}\nNot me."
    assert mixed(plain, attachment, forwarded, "\nFooter.", kind="mixed") == "Plain.\nFooter."
    assert mixed(plain, "Content-Type: application/pgp-signature\n\nx", kind="signed") == "Plain."
    assert (
        body(write, "multipart/mixed; boundary=b", "--b\n\nCut in the midd").strip()
        == "Cut in the midd"
    )
    assert body(write, "multipart/mixed", "Said to be many, is one.") == "Said to be many, is one."


def test_html_only_mail_keeps_lines_and_marks_quotes(write: Write) -> None:
    source = (
        "<html><head><style>p{}</style></head><body><p class=MsoNormal>Dear Bo,<o:p></o:p></p>"
        "<p class=MsoNormal>&nbsp;</p><p class=MsoNormal>It&#8217;s <b>fine</b>.</p><ul><li>one<li>two</ul>"
        "<div style='display:none'>preheader</div>"
        "<div style='border:none;border-top:solid #E1E1E1 1.0pt'><p><b>From:</b> Bo</p></div><p>Old.</p>"
    )
    assert body(write, "text/html; charset=windows-1252", source) == (
        "Dear Bo,\n\nIt’s fine.\n\n- one\n- two\n\n> From: Bo\n>\n> Old."
    )


def test_gmail_answers_between_quotes_are_not_quoted(write: Write) -> None:
    source = (
        '<div class="gmail_quote"><div>Le 3 mars, X a écrit :</div><blockquote class="gmail_quote">When?'
        '</blockquote><div>Friday.</div><blockquote class="gmail_quote">Where?</blockquote>Here.</div>'
    )
    lines = [line for line in body(write, "text/html", source).split("\n") if line.strip("> ")]
    assert lines == ["> Le 3 mars, X a écrit :", "> When?", "Friday.", "> Where?", "Here."]


def test_winmail_is_counted(write: Write) -> None:
    content = "--b\n\nHi.\n--b\nContent-Type: application/ms-tnef; name=winmail.dat\n\nx\n--b--\n"
    skipped = Skipped()
    [message] = mail.read(
        write(letter("1", content, "Content-Type: multipart/mixed; boundary=b\n")), skipped
    )
    assert message.text.strip() == "Hi."
    assert skipped.total == 1


@pytest.mark.parametrize("inner", ["multipart/mixed", "multipart/alternative"])
def test_nested_multiparts_and_deep_html_do_no_harm(write: Write, inner: str) -> None:
    nested = "".join(f"--b{n}\nContent-Type: {inner}; boundary=b{n + 1}\n\n" for n in range(3000))
    body(write, f"{inner}; boundary=b0", nested)
    assert "deep" in body(write, "text/html", "<div>" * 20_000 + "deep" + "</div>" * 20_000)
    assert body(write, "text/html", "<blockquote>" * 300 + "q").startswith("> ")
    one(write(letter("1", more="To: " + "(" * 100_000 + "\n")))


SEEDS = [
    letter("1").encode() + letter("2", ">From a\n").encode(),
    (
        HEAD.format(id="1") + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nHi.\n--b--\n"
    ).encode(),
    (
        HEAD.format(id="1")
        + "Content-Type: text/html; charset=utf-7\n\n<p>Hi<blockquote type=cite>x"
    ).encode(),
    (HEAD.format(id="1") + "Content-Transfer-Encoding: base64\n\nSGVsbG8=\n").encode(),
    b"120   \n" + (HEAD.format(id="1") + "Subject: =?utf-8?B?w7w=?=\n\nHi.\n").encode() + b"<?xml",
]
TOKENS = [b"From ", b"\n\n", b"\r", b"=?utf-8?Q?=?=", b"Content-Length: 9\n", b"charset=idna", b"\x00", b"--b",
          b"\xff\xfe", b"<", b'"', b"(", b"99999999999", b"boundary=", b"Date: Mon, 99 Foo 99999", b";"]  # fmt: skip


@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(
            st.integers(0, 400), st.integers(0, 6), st.sampled_from(TOKENS) | st.binary(max_size=4)
        )
    ),
)
@settings(
    max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_mutated_files_raise_nothing_but_twin_error(
    tmp_path: Path, seed: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    """No bytes may end an import of everything else."""
    for position, length, token in edits:
        seed = seed[:position] + token + seed[position + length :]
    path = tmp_path / "mutated"
    path.write_bytes(seed)
    try:
        list(mail.read(path, Skipped()))
    except TwinError:
        assert not mail.recognises(path)


@given(
    noise=st.lists(st.sampled_from(TOKENS) | st.text(max_size=20).map(str.encode), max_size=30).map(
        b"".join
    )
)
@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_body_hides_the_message_after_it(tmp_path: Path, noise: bytes) -> None:
    """Whatever a body holds, the message after it is found, and its words stay its own."""
    path = tmp_path / "box"
    path.write_bytes(
        letter("1").encode() + noise + b"\n\n" + letter("last", "Last words.\n").encode()
    )
    messages, _ = read(path)
    assert messages[0].id == "1@example.org"
    assert messages[-1].id == "last@example.org"
    assert messages[-1].text == "Last words.\n\n"
