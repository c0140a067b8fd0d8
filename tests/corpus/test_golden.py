# ruff: noqa: E501 -- sample files are easier to read unbroken
"""Golden files: what reading a sample gives lies beside it, and every change of it shows in a diff.

    python -m tests.corpus.test_golden --write    writes them anew (`make golden`)

Read the diff before you commit it: what is wrong is a bug to mend, never to freeze.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aitwin.corpus import clean, sources
from aitwin.corpus.messages import Message, Person
from aitwin.corpus.report import Skipped
from tests.corpus.samples import FOLDER, GOLDEN, Sample, samples

ZONE = "Europe/Stockholm"
"""Chats hold the phone's local time: it must not depend on the machine that runs the tests."""
SAMPLES = samples()


def reading(sample: Sample, scratch: Path) -> dict[str, Any]:
    """What the one reader that claims a sample makes of it. Texts as lines: a diff shows them."""
    found = sources.detect(sample.file(scratch))
    skipped = Skipped()
    messages = [shown(message) for message in found.read(skipped)] if found.format else []
    return {
        "reader": found.format or found.reason,
        "skipped": dict(sorted(skipped.counts.items())),
        "messages": messages,
    }


def shown(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": message.id,
        "sender": named(message.sender),
        "sent_at": message.sent_at.isoformat(),
        "subject": message.subject,
        "recipients": [named(person) for person in message.recipients],
        "references": list(message.references),
        "conversation": message.conversation,
        "automatic": message.automatic,
        "text": message.text.split("\n"),
    }
    if message.channel == "mail":
        fields["own"] = clean.own_words(message.text).split("\n")
    return {name: value for name, value in fields.items() if value not in ("", [], [""])}


def named(person: Person) -> str:
    return f"{person.name} <{person.address}>".strip() if person.address else person.name


def as_json(read: dict[str, Any]) -> str:
    return json.dumps(read, ensure_ascii=False, indent=1) + "\n"


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_reading_gives_the_golden_output(sample: Sample, tmp_path: Path) -> None:
    """C1, C2: senders, times, subjects, threads, texts and own words, in every dialect."""
    assert reading(sample, tmp_path) == json.loads(sample.golden.read_text(encoding="utf-8")), (
        f"{sample} is read otherwise; if that is right, run `make golden` and read the diff"
    )


def test_every_golden_output_has_its_sample() -> None:
    kept = set(FOLDER.rglob(f"*{GOLDEN}"))
    assert kept == {sample.golden for sample in SAMPLES}


# Which reader a file belongs to.


@pytest.mark.parametrize("name", ["renamed.bin", "renamed", "renamed.txt", "renamed.mbox"])
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_one_reader_claims_a_sample_whatever_its_name(
    sample: Sample, name: str, tmp_path: Path
) -> None:
    """C1."""
    file = sample.file(tmp_path)
    target = tmp_path / name
    shutil.copytree(file, target) if file.is_dir() else shutil.copyfile(file, target)
    found = sources.detect(target)
    assert (found.format, found.error) == (sample.format, "")


NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(200))
OTHERS = {
    "noise": NOISE,
    "noise without zeros": NOISE.replace(b"\0", b"\1"),
    "blank": b"\n" * 3000,
    "script": Path(__file__).read_bytes(),
    "answer": b"HTTP/1.1 200 OK\r\nDate: Mon, 3 Mar 2025 10:15:00 GMT\r\nServer: x\r\n\r\n<p>Hi</p>",
    "post": b"---\ntitle: From the garden\ndate: 2025-03-03 10:15\n---\n\nPeas.\n",
    "calendar": b"BEGIN:VCALENDAR\r\nDTSTART:20250303T101500Z\r\nSUMMARY:Peas\r\nEND:VCALENDAR\r\n",
    "card": b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Nora\r\nEMAIL:nora@lindqvist.example\r\nEND:VCARD\r\n",
    "table": b"date,from,text\n2025-03-03 10:15,Nora,Peas\n2025-03-03 10:16,Ines,Beans\n" * 20,
    "diary": b"3 March\n\nFrom nine to ten I planted peas.\n\n4 March: rain\n" * 9,
    "commits": b"commit 1a2b3c\nAuthor: Nora <nora@lindqvist.example>\nDate:   Mon Mar 3 10:15:00 2025\n\n    Peas\n"
    * 9,
    "log": b"[2025-03-03T10:15:00Z] INFO garden: peas planted\n" * 50,
    "subtitles": b"1\n00:00:01,000 --> 00:00:04,000\nPeas.\n\n" * 50,
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_reader_claims_another_file(name: str, tmp_path: Path) -> None:
    """C1: also when it is called like mail."""
    for suffix in (".mbox", ".eml", ".emlx", ".txt", ".zip", ""):
        file = tmp_path / f"other{suffix}"
        file.write_bytes(OTHERS[name])
        found = sources.detect(file)
        assert (found.format, found.error) == ("", "")
        assert found.reason


def test_a_folder_of_apples_is_read_and_what_is_left_out_has_a_reason() -> None:
    """C1: the text beside a partial mail is an attachment, and nobody's message."""
    found = sources.find([FOLDER / "apple"])
    assert {one.path.name: one.format or one.reason for one in found if _is_sample(one)} == {
        "mbox": "mail",
        "table_of_contents": "a binary file, no mailbox or chat",
        "212.emlx": "mail",
        "213.partial.emlx": "mail",
        "prices.txt": "an attachment",
    }


def _is_sample(found: sources.Found) -> bool:
    return not found.path.name.endswith(GOLDEN)


def test_a_file_of_two_formats_is_an_error_that_names_both(tmp_path: Path) -> None:
    """C1: a mail with the zip of a chat behind it is both to whoever looks."""
    archive = tmp_path / "chat.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(FOLDER / "whatsapp/ios-en-GB.txt", "_chat.txt")
    both = tmp_path / "both.eml"
    both.write_bytes((FOLDER / "eml/alternative.eml").read_bytes() + archive.read_bytes())
    found = sources.detect(both)
    assert found.format == ""
    assert "like mail and like whatsapp" in found.error
    assert str(both) in str(found.refusal())


def write() -> None:
    """All golden outputs anew."""
    os.environ["TZ"] = ZONE
    time.tzset()
    for kept in FOLDER.rglob(f"*{GOLDEN}"):
        kept.unlink()
    for sample in SAMPLES:
        with tempfile.TemporaryDirectory() as scratch:
            sample.golden.write_text(as_json(reading(sample, Path(scratch))), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write()
