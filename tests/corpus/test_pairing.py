"""Threads to pairs by many processes: the same as one after the other."""

import pickle
from datetime import UTC, datetime, timedelta

from aitwin.corpus import pairing, pairs
from aitwin.corpus.messages import Message, Owner, Person, Thread
from aitwin.corpus.report import Losses, lose

OWNER = Owner("Me", frozenset({"me@x.example"}))


def thread(number: int) -> Thread:
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)
    asked = Message(f"a{number}", "mail", Person("Ana", "ana@x.example"), start, f"Boat {number}?")
    mine = Person("Me", "me@x.example")
    answered = Message(
        f"b{number}",
        "mail",
        mine,
        start + timedelta(hours=1),
        f"It leaks {number} times." if number % 3 else "> only a quote",
        references=(f"a{number}",),
    )
    return Thread(f"a{number}", "mail", (asked, answered))


def test_the_same_pairs_and_losses_in_the_same_order(monkeypatch):
    """C2: nothing is lost or doubled between processes."""
    threads = [thread(number) for number in range(60)]
    one = Losses()
    expected = [pair for t in threads for pair in pairs.from_thread(t, OWNER, one)]
    monkeypatch.setattr(pairing, "ALONE", 0)
    monkeypatch.setattr(pairing, "BATCH", 200)
    many = Losses()
    assert list(pairing.from_threads(threads, OWNER, many)) == expected
    assert len(expected) == 40
    assert many == one
    assert many.reasons == one.reasons
    assert len(many.reasons) == 20


def test_losses_keep_their_reasons_on_the_way_between_processes():
    losses = Losses()
    lose(losses, "empty", "m1")
    again = pickle.loads(pickle.dumps(losses))  # noqa: S301 - our own
    assert again == losses
    assert again.reasons == {"m1": "empty"}
