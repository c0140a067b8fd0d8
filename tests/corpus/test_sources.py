import os
import zipfile

import pytest

from aitwin.corpus import sources
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError

MBOX = (
    b"From a@x.example Wed Jan 03 08:00:00 2024\nFrom: Ana <a@x.example>\nTo: t@x.example\n"
    b"Date: Wed, 3 Jan 2024 08:00:00 +0000\nMessage-ID: <1@x.example>\nSubject: Boat\n\nDry?\n"
)
CHAT = "[18/07/2020, 18:24:25] Ana: is it dry?\n[18/07/2020, 18:25:02] Thota: No.\n"


def reasons(*paths):
    return {found.path.name: found.format or found.reason for found in sources.find(paths)}


def test_content_decides_and_nothing_is_passed_over_in_silence(tmp_path):
    """C1."""
    (tmp_path / "mail.txt").write_bytes(MBOX)
    (tmp_path / "chat.mbox").write_text(CHAT)
    (tmp_path / "notes.txt").write_text("Buy leeks.\n")
    (tmp_path / "photo.eml").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / "empty.mbox").touch()
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "Attachments").mkdir()
    (tmp_path / "Attachments" / "plan.md").write_text("# Plan\n")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("a.jpg", "x")
    assert reasons(tmp_path) == {
        "mail.txt": "mail",
        "chat.mbox": "whatsapp",
        "notes.txt": "text, but no mailbox (mbox, eml, emlx) and no WhatsApp chat",
        "photo.eml": "a binary file, no mailbox or chat",
        "empty.mbox": "the file is empty",
        ".DS_Store": "hidden file",
        "plan.md": "an attachment",
        "pictures.zip": "a zip without a WhatsApp chat in it",
    }


def test_a_file_named_and_met_in_its_folder_is_one(tmp_path):
    file = tmp_path / "all.mbox"
    file.write_bytes(MBOX)
    found = sources.find([tmp_path, file])
    assert [(f.path, f.named) for f in found] == [(file, True)]
    assert [message.id for message in found[0].read(Skipped())] == ["1@x.example"]


def test_a_named_file_that_cannot_be_read_says_what_it_is_and_what_to_give(tmp_path):
    file = tmp_path / "empty.mbox"
    file.touch()
    [found] = sources.find([file])
    assert "empty.mbox was not imported: the file is empty; give a mailbox" in str(found.refusal())


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(TwinError, match="does not exist"):
        sources.find([tmp_path / "nowhere.mbox"])


def test_two_readers_for_one_file_are_an_error_that_names_both(tmp_path, monkeypatch):
    file = tmp_path / "all.mbox"
    file.write_bytes(MBOX)
    twice = {"mail": sources.SOURCES["mail"], "post": sources.SOURCES["mail"]}
    monkeypatch.setattr(sources, "SOURCES", twice)
    [found] = sources.find([file])
    assert "like mail and like post" in str(found.refusal())


def test_a_link_to_nothing_is_left_out_or_refused_by_name(tmp_path):
    """C1: one odd file in a folder must not stop the others."""
    (tmp_path / "all.mbox").write_bytes(MBOX)
    (tmp_path / "gone.mbox").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round.mbox").symlink_to(tmp_path / "round.mbox")
    found = reasons(tmp_path)
    assert found["all.mbox"] == "mail"
    assert found["gone.mbox"] == "a link to nothing"
    assert "cannot be read" in found["round.mbox"]
    [named] = sources.find([tmp_path / "gone.mbox"])
    assert "gone.mbox was not imported: a link to nothing" in str(named.refusal())


def test_a_zip_of_mail_is_to_be_unzipped(tmp_path):
    """C1: Takeout comes as a zip; the message says what to do with it."""
    path = tmp_path / "takeout.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Takeout/Mail/Gesendet.mbox", "From a@x Mon Mar  3 10:15:00 2025\n")
    found = sources.detect(path)
    assert not found.format
    assert "unzip it, and add the folder" in found.reason


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path, monkeypatch):
    """C1: folders that are links or locked, and a Maildir with its folders of dots."""
    letter = b"From: a@x.example\nTo: b@x.example\nDate: Mon, 3 Mar 2025 10:15:00 +0100\n\nHi.\n"
    for place in ("cur/1:2,S", ".Sent/cur/2:2,S", ".Sent/cur/3:2,ST", ".cache/cur.txt"):
        file = tmp_path / "mail" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(letter)
    (tmp_path / "mail" / "link").symlink_to(tmp_path)
    locked = tmp_path / "mail" / "locked"
    locked.mkdir()
    scandir = os.scandir

    def refused(path):
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = {
        one.path.relative_to(tmp_path / "mail").as_posix(): one
        for one in sources.find([tmp_path / "mail"])
    }
    assert {name: one.format or one.reason for name, one in found.items()} == {
        "cur/1:2,S": "mail",
        ".Sent/cur/2:2,S": "mail",
        ".Sent/cur/3:2,ST": "in the trash of a Maildir",
        ".cache/cur.txt": "hidden file",
        "link": "a link to a folder",
        "locked": "a folder without permission to read",
    }
