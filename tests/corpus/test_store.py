import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import UTC, datetime, timedelta
from errno import EIO, ENOSPC
from pathlib import Path

import pytest

from aitwin.corpus.mail import Listed
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import FILE, Progress, Store, listed_row
from aitwin.errors import TwinError

ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota"}))
SOURCE = Path("/mail/all.mbox")


def mail(number, by="ana@y.example", name="", **more):
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return Message(f"m{number}", "mail", Person(name, by), moment, "text", **more)


def chat(number, name, conversation):
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return Message(f"c{number}", "chat", Person(name), moment, "text", conversation=conversation)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "corpus")


def add(store, messages, source=SOURCE):
    return store.add(source, "mail", messages, Skipped())


def test_messages_come_back_as_they_went_in(store):
    full = Message(
        id="1@x",
        channel="mail",
        sender=Person("Ana", "ana@y.example"),
        sent_at=datetime.fromisoformat("2024-01-01T09:00:00+05:30"),
        text="Grüße 👋\n> quoted",
        subject="Re: Boat",
        recipients=(Person("Thota", "t@x.example"), Person("", "b@y.example")),
        references=("0@x", "00@x"),
        conversation="77",
        automatic="calendar",
    )
    add(store, [full, chat(1, "Ana", "Boat")])
    assert list(store.messages()) == [full, chat(1, "Ana", "Boat")]


def test_adding_again_imports_only_what_is_new(store):
    skipped = Skipped(Counter({"undecodable": 2}))
    first = store.add(SOURCE, "mail", [mail(1), mail(2), mail(2)], skipped)
    second = store.add(SOURCE, "mail", [mail(1), mail(2), mail(3)], Skipped())
    assert (first.read, first.new, first.known) == (3, 2, 1)
    assert (second.read, second.new, second.known) == (3, 1, 2)
    assert store.import_log() == [first, second]
    assert first.skipped == {"undecodable": 2}


def with_text(text):
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return Message("cut", "mail", Person("", "ana@y.example"), moment, text)


@pytest.mark.parametrize("cut", ["", "The bo", "The boat\n", "The boat \ufffd"])
def test_a_message_that_was_cut_off_gives_way_to_the_whole_one(store, cut):
    """C2: a broken download must not shadow the whole export for ever."""
    add(store, [with_text(cut)])
    imported = add(store, [with_text("The boat leaks."), mail(1)], Path("/mail/whole.mbox"))
    assert (imported.new, imported.known) == (2, 0)
    assert [message.text for message in store.messages()] == ["The boat leaks.", "text"]
    assert add(store, [with_text(cut)]).new == 0
    assert add(store, [with_text("The boat leaks.")]).new == 0
    assert add(store, [with_text("The dog sleeps, and nobody else.")]).new == 0
    assert [message.text for message in store.messages()] == ["The boat leaks.", "text"]


def test_it_is_private(store):
    add(store, [mail(1)])
    with sqlite3.connect(store.path) as reader:
        reader.execute("SELECT 1 FROM messages").fetchone()
        add(store, [mail(2)])
        modes = {file.name: file.stat().st_mode & 0o777 for file in store.path.parent.iterdir()}
    reader.close()
    assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


def broken(error):
    yield from (mail(number) for number in range(1200))
    raise error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), TwinError("cut off"), OSError(EIO, "bad disk")]
)
def test_an_import_that_fails_leaves_what_was_there(store, error):
    add(store, [mail(5000)])
    with pytest.raises(type(error)):
        add(store, broken(error))
    assert [message.id for message in store.messages()] == ["m5000"]
    assert len(store.import_log()) == 1


def test_a_killed_import_leaves_what_was_there(store):
    add(store, [mail(5000)])
    script = f"""
        import os, signal
        from pathlib import Path
        from tests.corpus.test_store import Store, mail, add
        def dying():
            yield from (mail(number) for number in range(3000))
            os.kill(os.getpid(), signal.SIGKILL)
        add(Store(Path({str(store.path.parent)!r})), dying())
    """
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=root, env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert [message.id for message in Store(store.path.parent).messages()] == ["m5000"]
    assert add(store, [mail(1)]).new == 1


def test_a_full_disk_is_told_and_loses_nothing(store, monkeypatch):
    add(store, [mail(1)])
    with pytest.raises(TwinError, match="no space left"):
        add(store, broken(OSError(ENOSPC, "No space left on device")))

    real = sqlite3.connect

    def small(*args, **kwargs):
        db = real(*args, **kwargs)
        db.execute("PRAGMA max_page_count = 40")
        return db

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(TwinError, match="no space left"):
        add(store, (mail(n, subject="long " * 400) for n in range(500)))
    monkeypatch.undo()
    assert [message.id for message in store.messages()] == ["m1"]


def test_a_file_that_is_no_store_is_told(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database, whatever its name says" * 99)
    with pytest.raises(TwinError, match="is damaged"):
        Store(tmp_path)


def test_removing_a_source_wipes_its_words(store):
    add(store, [mail(1)])
    secret = Message(
        "s", "mail", Person(""), datetime(2024, 1, 1, tzinfo=UTC), "zucchini-canary" * 9
    )
    add(store, [secret], Path("/mail/other.mbox"))
    assert store.remove(Path("/mail/other.mbox")) == 1
    assert [message.id for message in store.messages()] == ["m1"]
    for file in store.path.parent.iterdir():
        assert b"zucchini-canary" not in file.read_bytes()
    with pytest.raises(TwinError, match="nothing was imported from"):
        store.remove(Path("/mail/other.mbox"))


def test_half_a_character_does_not_stop_an_import(store):
    odd = Message("o", "mail", Person(""), datetime(2024, 1, 1, tzinfo=UTC), "a\ud83db")
    add(store, [odd])
    assert [message.text for message in store.messages()] == ["a?b"]


def test_for_an_owner_only_what_can_matter_is_read(store):
    own = mail(3, by="t@x.example", subject="Re: Boat", references=("m1",))
    mails = [
        mail(1, subject="Something else"),
        mail(2, subject="AW: boat"),
        own,
        mail(4, subject="Newsletter"),
        mail(5, by="t@x.example"),
        mail(6),
    ]
    chats = [chat(1, "Ana", "Boat"), chat(2, "Thota", "Boat"), chat(3, "Bob", "Strangers")]
    add(store, mails + chats)
    # The owner's own first: of two copies of one mail, that one counts.
    assert [m.id for m in store.messages(ME)] == ["m3", "m5", "c2", "m1", "m2", "c1"]
    summary = store.summary(ME)
    assert (summary.mails, summary.own_mails) == (6, 2)
    assert (summary.chat_messages, summary.own_chat_messages) == (3, 1)
    assert summary.first == chat(1, "", "").sent_at
    assert summary.last == mail(6).sent_at


def test_addresses_under_the_owners_name_are_suggested_when_seen_often(store):
    often = [
        mail(n, by="old@x.example", name=name)
        for n, name in enumerate(["THOTA", "Thota.", "thota"])
    ]
    once = [mail(9, by="spam@x.example", name="Thota"), mail(10, by="t@x.example", name="Thota")]
    add(store, often + once)
    assert store.suggest_addresses(ME) == Counter({"old@x.example": 3})


def test_chat_names_are_counted(store):
    add(store, [chat(1, "Ana", "Boat"), chat(2, "Thota", "Boat"), chat(3, "Ana", "Boat"), mail(1)])
    assert store.chat_names() == Counter(Ana=2, Thota=1)


def test_an_address_with_a_tag_is_suggested_and_so_is_what_was_sent(store):
    """C1: plus-addresses, Gmail's dots, and the label Sent."""
    owner = Owner("Thota", frozenset({"t@x.example", "thota.r@gmail.com"}))
    for number, (address, sent) in enumerate(
        [
            ("t+shop@x.example", False),
            ("tho.tar+a@googlemail.com", False),
            ("job@y.example", True),
        ]
        * 3
        + [("ana@y.example", False)] * 5
    ):
        sender = Person("", address)
        moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        listed = Listed(number, 1, f"s{number}", sender, moment, "", "", False, sent)
        done = Progress(0, 1, Skipped(), 1, 1, 0, "")
        store.list_part(SOURCE, [listed_row(listed)], done)
    assert store.suggest_addresses(owner) == Counter(
        {"t+shop@x.example": 3, "tho.tar+a@googlemail.com": 3, "job@y.example": 3}
    )
