"""The second pass over mail files: the owner's mails and what they answer, whole."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aitwin.corpus import listing, mail, messages, reading
from aitwin.corpus.messages import Owner
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Store
from tests.corpus.letters import ANA, ME, TOM, answer, letter, mailbox

OWNER = Owner("Me", frozenset({ME}))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus")


@pytest.fixture
def listed(tmp_path, store):
    def _listed(*letters: bytes) -> Store:
        path = mailbox(tmp_path / "all.mbox", *letters)
        listing.import_mail(store, path, path)
        return store

    return _listed


def ids(store: Store, owner: Owner | None = None) -> list[str]:
    return sorted(message.id.partition("@")[0] for message in store.messages(owner))


def test_only_what_matters_is_read(listed):
    """C2: the owner's own mail and its parent; not the rest of the thread, not other mail."""
    store = listed(
        letter(0), answer(1, 0, TOM), answer(2, 1, ANA, TOM), answer(3, 2), letter(4, TOM, ANA)
    )
    assert reading.what_matters(store, OWNER).read == 2
    assert ids(store) == ["2", "3"]
    assert reading.what_matters(store, OWNER).read == 0


def test_what_is_read_is_what_the_file_says(shared, store, monkeypatch):
    """C1: by other processes and in batches, the same messages as read one after the other."""
    monkeypatch.setattr(reading, "ALONE", 0)
    monkeypatch.setattr(reading, "BATCH", 200_000)
    path = shared / "corpora" / "leech-usrp" / "all.mbox"
    owner = Owner("Marcus D. Leech", frozenset({"patchvonbraun@gmail.com"}))
    listing.import_mail(store, path, path)
    reading.what_matters(store, owner)
    expected = {message.id: message for message in mail.read(path, Skipped())}
    found = list(store.messages())
    assert len(found) > 1800
    assert all(message == expected[message.id] for message in found)
    assert sum(map(owner.wrote, found)) == sum(map(owner.wrote, expected.values()))


def test_where_the_headers_lead_nowhere_subject_and_people_decide(listed):
    """A mail about the same thing to other people is not what was answered."""
    store = listed(
        letter(0, ANA, ME),
        letter(1, TOM, "list@far.example"),
        letter(2, ME, ANA, subject="Re: boat"),
        letter(3, ME, ANA, subject="Re: another thing"),
        answer(4, 999),
    )
    reading.what_matters(store, OWNER)
    [mine] = [m for m in store.messages() if m.id == "2@x"]
    parent = messages.parent(mine, sorted(store.messages(), key=lambda m: m.sent_at), OWNER)
    assert parent is not None
    assert parent.id == "0@x"
    [named] = [m for m in store.messages() if m.id == "4@x"]
    assert messages.parent(named, list(store.messages()), OWNER) is None


def test_gmails_conversation_leads_to_the_parent(listed):
    """C1: X-GM-THRID, where neither headers nor subject do."""
    thread = "X-GM-THRID: 77\n"
    store = listed(
        letter(0, ANA, ME, subject="Fwd: keys", more=thread),
        letter(1, TOM, ME, subject="other"),
        letter(2, ME, ANA, subject="Re: the garage", more=thread),
    )
    reading.what_matters(store, OWNER)
    [mine] = [message for message in store.messages() if OWNER.wrote(message)]
    [group] = [t for t in messages.threads(store.messages(OWNER)) if mine in t.messages]
    parent = messages.parent(mine, group.messages, OWNER)
    assert parent is not None
    assert parent.id == "0@x"


def test_an_address_that_comes_later_needs_no_new_import(listed):
    """C1: `twin init --address` is enough, as long as the file is there."""
    store = listed(letter(0), answer(1, 0, "old@own.example"), answer(2, 0))
    reading.what_matters(store, OWNER)
    assert ids(store) == ["0", "2"]
    both = Owner("Me", frozenset({ME, "old@own.example"}))
    assert reading.what_matters(store, both).read == 1
    assert ids(store) == ["0", "1", "2"]


def test_a_file_that_is_gone_is_told_and_loses_nothing(tmp_path, listed):
    """C1: what was read stays; put back, the rest is read."""
    store = listed(letter(0), answer(1, 0), answer(2, 0, "old@own.example"))
    reading.what_matters(store, OWNER)
    path = tmp_path / "all.mbox"
    away = path.rename(tmp_path / "away")
    both = Owner("Me", frozenset({ME, "old@own.example"}))
    read = reading.what_matters(store, both)
    assert read.gone == {path: 1}
    assert str(path) in reading.remark(read.gone)
    assert ids(store) == ["0", "1"]
    away.rename(path)
    assert reading.what_matters(store, both).gone == {}
    assert ids(store) == ["0", "1", "2"]


def test_another_mail_at_the_same_place_is_never_taken_for_it(tmp_path, listed):
    store = listed(letter(10), letter(11, ME, ANA))
    mailbox(tmp_path / "all.mbox", letter(10), letter(12, ME, ANA))
    assert reading.what_matters(store, OWNER).gone == {tmp_path / "all.mbox": 1}
    assert ids(store) == []


def test_reading_that_is_killed_goes_on_where_it_stopped(tmp_path, listed):
    """C1: kill -9 in the middle; each batch that was kept stays."""
    store = listed(*(letter(n, ME, ANA) for n in range(40)))
    script = f"""
        import os, signal
        from pathlib import Path
        from aitwin.corpus import reading
        from aitwin.corpus.messages import Owner
        from aitwin.corpus.store import Store
        reading.BATCH = 1000
        def progress(done, total):
            if done > 4000:
                os.kill(os.getpid(), signal.SIGKILL)
        owner = Owner("Me", frozenset({{{ME!r}}}))
        reading.what_matters(Store(Path({str(store.path.parent)!r})), owner, progress)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    before = len(ids(store))
    assert 0 < before < 40
    assert reading.what_matters(store, OWNER).read == 40 - before
    assert len(ids(store)) == 40


def test_what_was_not_opened_is_counted_with_its_file(listed):
    """C1: winmail.dat in a mail that is read."""
    tnef = (
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n',
        "--b\nContent-Type: text/plain\n\nSee attached.\n"
        "--b\nContent-Type: application/ms-tnef; name=winmail.dat\n\nx\n--b--",
    )
    store = listed(letter(0, ME, ANA, more=tnef[0], body=tnef[1]))
    reading.what_matters(store, OWNER)
    [imported] = store.import_log()
    assert imported.skipped == {"winmail.dat attachment, not opened": 1}


def test_a_store_of_the_first_version_is_taken_over(tmp_path):
    """Earlier imports stay usable: they hold every mail whole."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    with sqlite3.connect(folder / "messages.sqlite") as db:
        db.executescript("""
            CREATE TABLE imports (
                n INTEGER PRIMARY KEY, path TEXT NOT NULL, format TEXT NOT NULL, at TEXT NOT NULL,
                read INTEGER NOT NULL, new INTEGER NOT NULL, skipped TEXT NOT NULL
            );
            CREATE TABLE messages (
                n INTEGER PRIMARY KEY, import INTEGER NOT NULL REFERENCES imports ON DELETE CASCADE,
                channel TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL,
                sent_at TEXT NOT NULL, subject TEXT NOT NULL, bare_subject TEXT NOT NULL,
                recipients TEXT NOT NULL, refs TEXT NOT NULL, conversation TEXT NOT NULL,
                automatic TEXT NOT NULL, text TEXT NOT NULL,
                UNIQUE (channel, id)
            );
            CREATE INDEX messages_import ON messages (import);
            CREATE INDEX messages_people ON messages (channel, address, name);
            CREATE INDEX messages_subject ON messages (bare_subject) WHERE bare_subject <> '';
            INSERT INTO imports
                VALUES (1, '/old.mbox', 'mail', '2026-01-01', 1, 1, '{"no date": 2}');
            INSERT INTO messages VALUES (1, 1, 'mail', '7@x', '', 'me@own.example',
                '2024-01-01T09:00:00+05:30', 'boat', 'boat', '[]', '[]', '', '', 'It leaks.');
            PRAGMA user_version = 1;
        """)
    db.close()
    store = Store(folder)
    [message] = store.messages(OWNER)
    assert message.text == "It leaks."
    assert store.import_log()[0].skipped == {"no date": 2}
    assert reading.what_matters(store, OWNER).gone == {}
    path = mailbox(tmp_path / "new.mbox", letter(7, ME), letter(8, ME))
    assert listing.import_mail(store, path, path).new == 1
