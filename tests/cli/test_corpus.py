"""twin corpus and twin dataset: what goes in, and bad input, which gets one clear message."""

import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from aitwin.artifact import MANIFEST
from aitwin.cli import corpus
from aitwin.corpus import imports, listing
from aitwin.corpus.store import Store
from tests.corpus import letters as post

CANARY = "zuccanary"  # stands in every mail (see conftest)
CHAT = "[{}, 18:24:25] Ana: dry {}?\n[{}, 18:25:02] Thota: No.\n"


def test_mail_and_chats_go_in_and_are_counted(owner, mailbox, tmp_path):
    """C1, C2."""
    chat = tmp_path / "chat.txt"
    chat.write_text(CHAT.format("18/07/2020", CANARY, "18/07/2020"))
    result = owner("corpus", "add", mailbox, chat, "--json")
    assert result.code == 0
    assert [(one["format"], one["new"]) for one in result.json["imported"]] == [
        ("mail", 60), ("whatsapp", 2),
    ]  # fmt: skip
    shown = owner("corpus", "show", "--json").json
    assert shown["summary"]["own_mails"] == 30
    assert shown["summary"]["own_chat_messages"] == 1
    again = owner("corpus", "add", mailbox)
    assert "60" in again.out
    assert "0" in again.out
    table = owner("corpus", "show")
    assert table.code == 0
    assert mailbox.name in table.out
    assert CANARY not in table.out + table.err


def test_a_folder_of_letters_is_one_row(mbox, owner, tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    for n in range(5):
        raw = mbox(1, start=n).split("From a Thu", 2)[1].partition("\n")[2]
        (folder / f"{n}.eml").write_text(raw)
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\0")
    result = owner("corpus", "add", folder)
    assert result.code == 0
    rows = [line for line in result.out.splitlines() if "mail" in line]
    assert len(rows) == 1
    assert "letters/ (5 files)" in rows[0]
    assert "left out 1 files in folders" in result.err
    assert str(folder / "photo.jpg") in result.err


def test_files_that_were_left_out_are_named(owner, mailbox, tmp_path):
    """C1: five of each kind in the terminal, all of them for programs."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(7):
        (folder / f"photo{n}.jpg").write_bytes(b"\xff\xd8\0")
    (folder / "odd\udcff.mbox").touch()
    result = owner("corpus", "add", folder, mailbox)
    assert result.code == 0
    assert sum(f"photo{n}.jpg" in result.err for n in range(7)) == 5
    assert "photo4.jpg and 2 more" in result.err
    left_out = owner("corpus", "add", folder, mailbox, "--json").json["not_read"]
    assert sorted(len(files) for files in left_out.values()) == [1, 7]
    assert str(folder / "photo6.jpg") in left_out["a binary file, no mailbox or chat"]


def test_a_long_mailbox_moves_the_bar(mbox, owner, mailbox, home, monkeypatch):
    """Bytes of all files: rising, never beyond the total, and many steps within one file."""
    monkeypatch.setattr(listing, "PART", 200)
    second = mailbox.with_name("second.mbox")
    second.write_text(mbox(30, start=100))
    seen = []
    store = Store(home / "corpus")
    for _ in imports.add(store, [mailbox, second], on_progress=seen.append):
        pass
    total = mailbox.stat().st_size + second.stat().st_size
    assert {reading.total for reading in seen} == {total}
    done = [reading.done for reading in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == total
    assert len(done) > 100


BAD = {
    "notes.mbox": (f"{CANARY}: buy leeks\n".encode(), "no mailbox"),
    "empty.mbox": (b"", "the file is empty"),
    "noise.mbox": (bytes(range(256)) * 40, "a binary file"),
    "chat.zip": (b"PK\x05\x06" + bytes(18), "zip without a WhatsApp chat"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_mail_is_refused_by_name_and_the_rest_stays(name, owner, mailbox, tmp_path):
    owner("corpus", "add", mailbox)
    before = owner("corpus", "show", "--json").json
    bad = tmp_path / name
    content, reason = BAD[name]
    bad.write_bytes(content)
    owner("corpus", "add", bad).refused(str(bad), reason, "give a mailbox")
    assert owner("corpus", "show", "--json").json == before


def test_a_bad_file_does_not_stop_the_others_and_json_has_both(owner, mailbox, tmp_path):
    (tmp_path / "bad.mbox").write_text(CANARY)
    result = owner("corpus", "add", tmp_path / "bad.mbox", mailbox, "--json")
    assert result.code == 1
    assert [one["new"] for one in result.json["imported"]] == [60]
    assert "bad.mbox" in result.json["errors"][0]
    assert CANARY not in result.out + result.err


def test_a_truncated_mailbox_gives_what_is_whole(mbox, owner, tmp_path):
    text = mbox(10)
    path = tmp_path / "cut.mbox"
    path.write_text(text[: text.rindex("Message-ID")])
    result = owner("corpus", "add", path, "--json")
    assert result.code == 0
    [one] = result.json["imported"]
    assert one["read"] + sum(one["skipped"].values()) == 20
    assert one["read"] >= 19


def test_a_path_that_is_not_there(owner, tmp_path):
    owner("corpus", "add", tmp_path / "no.mbox").refused("no.mbox does not exist")


def test_a_name_that_is_no_text_can_be_imported(mbox, owner, tmp_path):
    path = tmp_path / "S\udcffnt [bold].mbox"
    path.write_text(mbox(2))
    assert owner("corpus", "add", path).code == 0
    assert owner("corpus", "add", path, "--json").code == 0
    assert owner("corpus", "show").code == 0


def test_an_ambiguous_chat_asks_and_dates_mends_it(owner, tmp_path):
    chat = tmp_path / "chat.txt"
    chat.write_text(CHAT.format("01/02/2020", CANARY, "01/02/2020"))
    owner("corpus", "add", chat).refused(str(chat), "--dates dmy", "--dates mdy")
    result = owner("corpus", "add", chat, "--dates", "dmy", "--json")
    assert result.code == 0
    summary = owner("corpus", "show", "--json").json["summary"]
    assert summary["first"].startswith("2020-02-01")


def test_other_dates_replace_a_chat_that_was_read_wrongly(owner, tmp_path):
    """C2: and only then; an export that lost its oldest messages takes nothing away."""
    chat = tmp_path / "chat.txt"
    lines = "[01/02/2020, 18:24:25] Ana: dry?\n[02/02/2020, 18:25:02] Thota: No.\n"
    chat.write_text(lines)
    assert owner("corpus", "add", chat, "--dates", "mdy").code == 0
    assert owner("corpus", "add", chat, "--dates", "dmy").code == 0
    shown = owner("corpus", "show", "--json").json
    assert shown["summary"]["chat_messages"] == 2
    assert shown["summary"]["first"].startswith("2020-02-01")
    assert len(shown["files"]) == 1
    chat.write_text(lines.partition("\n")[2] + "[03/02/2020, 18:24:25] Ana: dry?\n")
    assert owner("corpus", "add", chat, "--dates", "dmy").code == 0
    assert owner("corpus", "show", "--json").json["summary"]["chat_messages"] == 3


def test_what_was_added_can_be_removed_again(owner, mbox, mailbox, tmp_path):
    """C2: by the path, also when the file is gone, or by the folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(2):
        (folder / f"{n}.mbox").write_text(mbox(2, start=100 + 10 * n))
    assert owner("corpus", "add", mailbox, folder).code == 0
    mailbox.unlink()
    result = owner("corpus", "remove", mailbox, "--json")
    assert result.json == {"removed": {str(mailbox.resolve()): 60}}
    owner("corpus", "remove", mailbox).refused("nothing was imported from", mailbox.name)
    result = owner("corpus", "remove", folder)
    assert result.code == 0
    assert "removed 8 messages of 2 files" in result.err
    assert owner("corpus", "show", "--json").json["summary"]["mails"] == 0


def test_an_owner_who_wrote_nothing_is_told_what_to_do(twin, mailbox):
    twin("init", "--name", "Nobody", "--address", "nobody@x.example")
    twin("corpus", "add", mailbox)
    twin("dataset", "build").refused("none of 60 messages is by you", "twin init")


def test_an_address_that_is_missing_is_suggested(twin, mailbox):
    twin("init", "--name", "Thota", "--address", "old@x.example")
    twin("corpus", "add", mailbox)
    assert "thota@x.example" in twin("corpus", "show").err


def test_too_few_pairs_are_refused_and_allow_small_goes_on(owner, mailbox, home):
    """C3."""
    owner("corpus", "add", mailbox)
    owner("dataset", "build").refused("30 usable pairs", "170 more", "--allow-small")
    assert not (home / "datasets" / "main").exists()
    owner("dataset", "show").refused("datasets/main", "twin dataset build")
    result = owner("dataset", "build", "--allow-small", "--json")
    assert result.code == 0
    assert sum(result.json["counts"].values()) == 30
    assert owner("dataset", "show", "--json").json == {**result.json, "marks": {}}
    manifest = (home / "datasets" / "main" / MANIFEST).read_bytes()
    owner("dataset", "build").refused("30 usable pairs")
    assert (home / "datasets" / "main" / MANIFEST).read_bytes() == manifest
    shown = owner("dataset", "show", "--examples", "2")
    assert shown.out.count("buckets of type") == 2


def test_an_empty_corpus_says_how_to_begin(owner):
    owner("dataset", "build").refused("twin corpus add")
    assert "twin corpus add" in owner("corpus", "show").err


def test_a_damaged_dataset_is_named(owner, mailbox, home):
    owner("corpus", "add", mailbox)
    owner("dataset", "build", "--allow-small")
    rows = home / "datasets" / "main" / "train.jsonl"
    rows.write_text(rows.read_text().replace("buckets", "bucketz", 1))
    owner("dataset", "show").refused(str(rows), "twin dataset build")
    owner("train").refused(str(rows), "twin dataset build")


@contextmanager
def tiny_disk(place: Path, kib: int):
    """A file system of that size at `place`; skips where one cannot be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", place], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("mount"), reason="mounts a tmpfs")
def test_a_full_disk_is_told_and_leaves_what_was_imported(
    mbox, twin, mailbox, tmp_path, monkeypatch
):
    with tiny_disk(tmp_path / "disk", 512) as disk:
        monkeypatch.setenv("TWIN_HOME", str(disk / "home"))
        twin("init", "--name", "Thota", "--address", "thota@x.example")
        assert twin("corpus", "add", mailbox).code == 0
        before = twin("corpus", "show", "--json").json
        large = tmp_path / "large.mbox"
        large.write_text(mbox(1500, start=1000))
        twin("corpus", "add", large).refused("no space left on the disk", str(disk))
        assert twin("corpus", "show", "--json").json == before
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free))
        twin("dataset", "build", "--allow-small").refused("no space left", "free some")
        assert list((disk / "home" / "datasets").glob("main")) == []
        twin("init", "--address", "b@x.example").refused("disk is full")
        assert "b@x.example" not in (disk / "home" / "twin.toml").read_text()
        (disk / "ballast").unlink()
        assert twin("corpus", "show", "--json").json == before
        assert twin("dataset", "build", "--allow-small").code == 0


def test_a_limit_on_file_size_is_told(twin_process, owner, mailbox, home):
    """The same where no disk can be mounted: the kernel refuses a write in a real process."""

    def limit():
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = twin_process("corpus", "add", mailbox, preexec_fn=limit)
    assert result.code == 1
    assert "Traceback" not in result.err
    assert "twin: " in result.err
    assert CANARY not in result.err
    assert owner("corpus", "add", mailbox).code == 0


def test_twin_home_is_honoured(twin_process, home, tmp_path, monkeypatch, mailbox):
    elsewhere = tmp_path / "else where"
    monkeypatch.setenv("TWIN_HOME", str(elsewhere))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    assert twin_process("init", "--name", "A", "--address", "thota@x.example").code == 0
    assert twin_process("corpus", "add", mailbox).code == 0
    assert twin_process("dataset", "build", "--allow-small").code == 0
    assert {path.name for path in elsewhere.iterdir()} >= {"twin.toml", "corpus", "datasets"}
    assert not home.exists()
    assert not (tmp_path / "nobody").exists()


def test_ctrl_c_keeps_what_is_done(owner, mailbox, monkeypatch):
    """Stopped in the middle, told so, and gone on with by the same command."""
    monkeypatch.setattr(listing, "PART", 2000)
    kept = Store.list_part
    parts = []

    def stopped(self, source, rows, done, again=None):
        if len(parts) == 2:
            parts.append(None)
            raise KeyboardInterrupt
        parts.append(rows)
        return kept(self, source, rows, done, again)

    monkeypatch.setattr(Store, "list_part", stopped)
    result = owner("corpus", "add", mailbox)
    assert result.code == 130
    assert "run the same command again to go on" in result.err
    shown = owner("corpus", "show")
    assert "(unfinished)" in shown.out
    assert "add them again to go on" in shown.err
    again = owner("corpus", "add", mailbox, "--json").json
    assert [(one["read"], one["new"]) for one in again["imported"]] == [(60, 60)]


def test_the_owner_is_asked_for_addresses_that_look_like_theirs(owner, home, tmp_path, monkeypatch):
    """C1: "these look like yours too; add?" where somebody is there to answer."""
    letters = [post.letter(n, "Thota <thota@old.example>", "ana@x.example") for n in range(3)]
    path = post.mailbox(tmp_path / "old.mbox", *letters)
    told = owner("corpus", "add", path)
    assert "these look like yours too: thota@old.example (3 mails)" in told.err
    assert "twin init --address" in told.err
    monkeypatch.setattr(corpus, "_somebody_is_there", lambda: True)
    owner("corpus", "show", stdin="y\n")
    assert "thota@old.example" in (home / "twin.toml").read_text()
    assert owner("corpus", "show", "--json").json["summary"]["whole_mails"] == 3


def test_what_was_passed_over_is_in_the_json(owner, tmp_path):
    """Counts by reason, as a program reads them."""
    bad = post.letter(2).replace(b"From: ana@far.example\n", b"")
    path = post.mailbox(tmp_path / "some.mbox", post.letter(1), bad)
    added = owner("corpus", "add", path, "--json").json["imported"]
    shown = owner("corpus", "show", "--json").json["files"]
    assert added[0]["skipped"] == shown[0]["skipped"] == {"no sender": 1}


def test_the_same_file_twice_is_one_row_with_its_own_count(owner, mailbox):
    owner("corpus", "add", mailbox)
    owner("corpus", "add", mailbox)
    [row] = owner("corpus", "show", "--json").json["files"]
    assert (row["read"], row["new"]) == (60, 60)


def test_a_chat_in_which_nobody_is_the_owner_is_named(owner, tmp_path):
    """C1: also where another chat knows the owner."""
    mine, strange = tmp_path / "mine.txt", tmp_path / "strange.txt"
    mine.write_text(CHAT.format("18/07/2020", "roof", "18/07/2020"))
    strange.write_text(CHAT.format("19/07/2020", "cellar", "19/07/2020").replace("Thota", "T"))
    owner("corpus", "add", mine, strange)
    told = owner("corpus", "show").err
    assert "nobody in strange.txt is known as you; who speaks there: " in told
    assert "mine.txt" not in told


def test_a_build_that_misses_a_file_says_so(twin, tmp_path, mailbox):
    """Listed before anybody was known, then moved: the remedy is the file, not an address."""
    twin("corpus", "add", mailbox)
    mailbox.rename(tmp_path / "away.mbox")
    twin("init", "--name", "Thota", "--address", "thota@x.example")
    twin("dataset", "build", "--allow-small").refused("no longer in", mailbox.name)
