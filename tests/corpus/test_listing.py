"""The first pass over mail files: every mail by its headers, in parts, on all cores."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aitwin.corpus import listing, mail, reading
from aitwin.corpus.messages import Owner
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Imported, Store
from tests.corpus.letters import ANA, ME, letter, mailbox

OWNER = Owner("Me", frozenset({ME}))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus")


def add(store: Store, path: Path) -> Imported:
    return listing.import_mail(store, path, path)


def rows(store: Store) -> list[tuple]:
    with store.held(), store._connected() as db:
        query = "SELECT id, address, sent_at, subject, offset, length FROM messages ORDER BY offset"
        return db.execute(query).fetchall()


@pytest.mark.parametrize("part", [100, 333, 4096, 1 << 24])
def test_parts_of_any_size_list_the_same(tmp_path, store, monkeypatch, part):
    """C1: nothing lost or doubled where one part ends and the next begins."""
    monkeypatch.setattr(listing, "PART", part)
    tricky = letter(7, body="> a quote\n\nFrom Russia with love\n\nFrom here on\n")
    path = mailbox(tmp_path / "all.mbox", *(letter(n) for n in range(7)), tricky, letter(8))
    imported = add(store, path)
    assert (imported.read, imported.new, imported.finished) == (9, 9, True)
    expected = [
        (m.id, m.sender.address, m.sent_at.isoformat(), m.subject, m.offset, m.length)
        for m in mail.index(path, Skipped())
    ]
    assert rows(store) == expected


def test_a_message_whose_length_hides_a_separator_stays_whole(tmp_path, store, monkeypatch):
    """C1, mboxcl2: the part that began inside of it is listed again from its true end."""
    monkeypatch.setattr(listing, "PART", 700)
    pasted = b"".join(letter(100 + n) for n in range(20))
    length = len(pasted) + 1
    whole = letter(1, body=pasted.decode()[:-1], more=f"Content-Length: {length}\n")
    path = mailbox(tmp_path / "all.mbox", letter(0), whole, letter(2))
    assert add(store, path).read == 3
    assert [row[0] for row in rows(store)] == ["0@x", "1@x", "2@x"]


@pytest.mark.parametrize("name", ["baechle-mips", "leech-usrp"])
def test_real_mailboxes_on_all_cores(shared, tmp_path, store, monkeypatch, name):
    """C1: other processes list what this one does."""
    monkeypatch.setattr(listing, "ALONE", 0)
    monkeypatch.setattr(listing, "PART", 5 << 20)
    path = shared / "corpora" / name / "all.mbox"
    imported = add(store, path)
    listed = list(mail.index(path, Skipped()))
    assert imported.read == imported.new == len(listed)
    assert {row[0] for row in rows(store)} == {one.id for one in listed}


@pytest.fixture
def starts(monkeypatch):
    """Where in the file each part began that was looked at."""
    seen: list[int] = []
    real = mail.part

    def part(path, start, stop, skipped, *, exactly=False):
        seen.append(start)
        return real(path, start, stop, skipped, exactly=exactly)

    monkeypatch.setattr(mail, "part", part)
    return seen


def test_the_same_file_again_is_not_looked_at(tmp_path, store, starts):
    path = mailbox(tmp_path / "all.mbox", *(letter(n) for n in range(5)))
    add(store, path)
    starts.clear()
    again = add(store, path)
    assert (again.read, again.new, again.finished) == (5, 0, True)
    assert starts == []


def test_of_a_grown_export_only_what_is_new_is_looked_at(tmp_path, store, starts):
    """C1: from the last message on, which may have been cut off when it was listed."""
    old = [letter(n) for n in range(5)]
    path = mailbox(tmp_path / "all.mbox", *old)
    add(store, path)
    starts.clear()
    mailbox(path, *old, letter(5), letter(6))
    grown = add(store, path)
    assert (grown.read, grown.new) == (7, 2)
    assert starts == [sum(map(len, old[:-1]))]
    assert len(rows(store)) == 7


def test_a_message_that_was_cut_off_is_read_whole_when_the_rest_came(tmp_path, store):
    """C1: also when its beginning had been read already."""
    first = letter(0, ME, ANA, body="Monday, then. " * 5 + "And bring the keys.")
    path = mailbox(tmp_path / "all.mbox", letter(1), first[:-40])
    add(store, path)
    reading.what_matters(store, OWNER)
    assert "keys" not in next(store.messages()).text
    mailbox(path, letter(1), first, letter(2))
    assert add(store, path).new == 1
    reading.what_matters(store, OWNER)
    assert "And bring the keys." in next(store.messages()).text


def test_a_file_that_was_rewritten_is_listed_anew(tmp_path, store):
    """C1: mails that are not read yet are looked for where they are now."""
    path = mailbox(tmp_path / "all.mbox", letter(0), letter(1, ME, ANA))
    add(store, path)
    mailbox(path, letter(9), letter(8), letter(1, ME, ANA), letter(0))
    assert add(store, path).new == 2
    assert reading.what_matters(store, OWNER).read == 1
    assert [message.id for message in store.messages()] == ["1@x"]


def test_an_import_that_is_killed_goes_on_where_it_stopped(tmp_path, store, starts, monkeypatch):
    """C1: kill -9 in the middle; what was listed stays, and nothing is counted twice."""
    monkeypatch.setattr(listing, "PART", 1000)
    path = mailbox(tmp_path / "all.mbox", *(letter(n) for n in range(40)))
    script = f"""
        import os, signal
        from pathlib import Path
        from aitwin.corpus import listing
        from aitwin.corpus.store import Store
        listing.PART = 1000
        def passed(position):
            if position > 4000:
                os.kill(os.getpid(), signal.SIGKILL)
        path = Path({str(path)!r})
        listing.import_mail(Store(Path({str(store.path.parent)!r})), path, path, passed)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    [unfinished] = store.import_log()
    assert not unfinished.finished
    assert 0 < unfinished.read < 40
    imported = add(store, path)
    assert (imported.read, imported.new, imported.finished) == (40, 40, True)
    assert min(starts) >= 4000
    assert len(store.import_log()) == 1
    assert len(rows(store)) == 40


def test_what_is_passed_over_is_counted_once(tmp_path, store, monkeypatch):
    monkeypatch.setattr(listing, "PART", 300)
    bad = letter(3).replace(b"From: ana@far.example\n", b"")
    path = mailbox(tmp_path / "all.mbox", letter(0), bad, letter(1), bad, letter(2))
    imported = add(store, path)
    assert imported.read == 3
    assert imported.skipped == {"no sender": 2}
    assert len(imported.places["no sender"]) == 2


def test_single_mails_are_listed_too(tmp_path, store):
    """C1: .eml and .emlx have one mail each."""
    raw = letter(1).partition(b"\n")[2]
    eml = tmp_path / "one.eml"
    eml.write_bytes(raw)
    emlx = tmp_path / "two.emlx"
    other = letter(2, ME).partition(b"\n")[2]
    emlx.write_bytes(b"%d\n" % len(other) + other + b"<?xml version='1.0'?><plist></plist>")
    assert add(store, eml).new == add(store, emlx).new == 1
    assert reading.what_matters(store, OWNER).read == 1
    assert next(store.messages()).text.strip() == "The boat leaks again."
    assert all(one.finished for one in store.import_log())
    assert [add(store, path).read for path in (eml, emlx)] == [1, 1]


def answered() -> bytes:
    return letter(1, ME, ANA, subject="Re: boat", more="In-Reply-To: <0@x>\n")


def test_a_mailbox_that_was_compacted_and_grew_loses_nothing(tmp_path, store):
    """C1: as Thunderbird does; what ended the file before means nothing then."""
    path = mailbox(tmp_path / "all.mbox", *(letter(n) for n in range(10)))
    add(store, path)
    mailbox(path, *(letter(n) for n in range(5)))
    add(store, path)
    mailbox(path, *(letter(n) for n in range(5)), *(letter(n) for n in range(20, 40)))
    assert add(store, path).read == 25
    assert {row[0] for row in rows(store)} == {f"{n}@x" for n in (*range(10), *range(20, 40))}


@pytest.mark.parametrize("cut", [50, 80, 150, 200])
def test_a_mail_that_was_cut_in_its_headers_is_one_mail(tmp_path, store, cut):
    """C1: before its sender, before its Message-ID, in its body."""
    last = letter(1, ME, ANA)
    path = mailbox(tmp_path / "all.mbox", letter(0), last[:cut])
    add(store, path)
    reading.what_matters(store, OWNER)
    mailbox(path, letter(0), last, letter(2))
    assert add(store, path).read == 3
    assert [row[0] for row in rows(store)] == ["0@x", "1@x", "2@x"]
    reading.what_matters(store, OWNER)
    assert next(store.messages()).text.strip() == "The boat leaks again."


def test_a_list_copy_does_not_take_the_owners_place(tmp_path):
    """C1: whichever is added first; also where it is the longer last mail of its file."""
    mine = letter(1, f"Me <{ME}>", ANA)
    copy = letter(1, "Me via L <l@lists.example>", ANA, body="The boat leaks again.\n-- \nL list")
    for folder, first, second in (("a", mine, copy), ("b", copy, mine)):
        (tmp_path / folder).mkdir()
        kept = Store(tmp_path / folder / "corpus")
        for name, one in (("1.mbox", first), ("2.mbox", second)):
            add(kept, mailbox(tmp_path / folder / name, one))
            reading.what_matters(kept, OWNER)
        assert kept.summary(OWNER).own_mails == 1
        [message] = [m for m in kept.messages(OWNER) if OWNER.wrote(m)]
        assert message.text.strip() == "The boat leaks again."


def test_a_longer_copy_replaces_what_was_cut_and_never_what_differs(tmp_path, store):
    """C1: until the longer one is read, the shorter one counts."""
    beginning = "The boat leaks again, and"
    cut = letter(1, ME, ANA, body=beginning)[:-2]
    add(store, mailbox(tmp_path / "cut.mbox", cut))
    reading.what_matters(store, OWNER)
    other = letter(1, ME, ANA, body="Quite another text. " * 9)
    add(store, mailbox(tmp_path / "other.mbox", other))
    assert next(store.messages(OWNER)).text.strip() == beginning
    reading.what_matters(store, OWNER)
    assert next(store.messages(OWNER)).text.strip() == beginning
    whole = letter(1, ME, ANA, body=f"{beginning} nobody bails. " + "Bail! " * 50)
    add(store, mailbox(tmp_path / "whole.mbox", whole))
    reading.what_matters(store, OWNER)
    assert "Bail!" in next(store.messages(OWNER)).text


def test_what_another_file_holds_comes_back_when_that_is_added_again(tmp_path, store):
    """As `twin corpus remove` says."""
    files = [mailbox(tmp_path / f"{n}.mbox", letter(0), answered()) for n in range(3)]
    for path in files:
        add(store, path)
    reading.what_matters(store, OWNER)
    store.remove(files[0])
    store.remove(files[2])
    assert add(store, files[1]).read == 2
    reading.what_matters(store, OWNER)
    assert store.summary(OWNER).mails == store.summary(OWNER).whole_mails == 2


def test_a_name_that_is_no_text_is_found_again(tmp_path, store):
    """C1: a path in another encoding, as old disks have them."""
    path = mailbox(tmp_path / "caf\udce9 mail.mbox", letter(0), answered())
    add(store, path)
    assert store.import_log()[0].source == path
    assert reading.what_matters(store, OWNER).read == 2


def test_a_cut_mail_is_replaced_also_when_its_file_was_added_twice(tmp_path, store):
    """C1: adding an unchanged file again must not make its end look whole."""
    last = letter(1, ME, ANA, body="Monday, then. And bring the keys.")
    path = mailbox(tmp_path / "all.mbox", letter(0), last[:-20])
    for _ in range(2):
        assert add(store, path).read == 2
    reading.what_matters(store, OWNER)
    mailbox(path, letter(0), last, letter(2))
    assert add(store, path).read == 3
    reading.what_matters(store, OWNER)
    assert "bring the keys" in next(store.messages()).text
