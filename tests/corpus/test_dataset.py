import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitwin import prompt
from aitwin.corpus import dataset
from aitwin.corpus.dedupe import THRESHOLD, jaccard, shingles
from aitwin.corpus.funnel import Funnel
from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError
from aitwin.prompt import Persona

THOTA = Persona("Thota", ("concise", "dry humour"))
VERBS = ["paint", "sell", "mend", "hide", "weigh", "count", "borrow", "water"]
THINGS = [
    "the boat",
    "a semicolon",
    "Segfault",
    "plot 14",
    "the celadon bowls",
    "every leek",
    "two radios",
]


def pair(number, thread=None, channel="mail", reply=None):
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)
    verb, thing = VERBS[number % 8], THINGS[number % 7]
    text = reply or f"{number * 7919}: {verb} {thing} before {number}:00, then ring {thing[::-1]}."
    return Pair(f"p{number}", thread or f"t{number}", channel, moment, "Reply.", "Now?\n🙂", text)


def hundred():
    return [pair(n, channel="mail" if n % 5 else "chat") for n in range(100)]


def test_rows_are_chatml_made_by_the_one_prompt(tmp_path):
    """C4."""
    funnel = Funnel()
    funnel.add("read", "messages", 140, {"written by others": 40})
    built = dataset.build(hundred(), THOTA, tmp_path / "d", funnel=funnel, settings={"seed": 0})
    assert built.counts == {"train": 80, "valid": 10, "test": 10}
    line = json.loads((tmp_path / "d" / "train.jsonl").read_text().splitlines()[0])
    first = hundred()[0]
    assert line["messages"] == [
        *prompt.messages(THOTA, first.task),
        {"role": "assistant", "content": first.reply},
    ]
    example = built.split("train")[0]
    assert (example.id, example.thread, example.channel) == (first.id, first.thread, "chat")
    assert (example.sent_at, example.reply) == (first.sent_at, first.reply)
    assert first.reply not in repr(example)
    assert built.persona == THOTA
    assert [stage.name for stage in built.funnel.stages] == ["read", "split"]


def test_the_test_part_is_the_newest_of_each_channel(tmp_path):
    built = dataset.build(hundred(), THOTA, tmp_path / "d")
    for channel in ("mail", "chat"):
        moments = [
            [e.sent_at for e in built.split(name) if e.channel == channel]
            for name in dataset.SPLITS
        ]
        assert max(moments[0]) < min(moments[1]) <= max(moments[1]) < min(moments[2])


def test_it_is_private_and_the_same_bytes_every_time(tmp_path):
    one = dataset.build(hundred(), THOTA, tmp_path / "one")
    two = dataset.build(hundred()[::-1], THOTA, tmp_path / "two")
    assert one.digest == two.digest
    assert one.manifest == two.manifest
    assert {f.stat().st_mode & 0o777 for f in one.path.iterdir()} == {0o600}
    assert one.path.stat().st_mode & 0o777 == 0o700


def test_a_changed_or_missing_part_is_refused(tmp_path):
    built = dataset.build(hundred(), THOTA, tmp_path / "d")
    file = built.path / "valid.jsonl"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(TwinError, match=r"valid\.jsonl is missing or was changed"):
        dataset.load(built.path)
    file.unlink()
    with pytest.raises(TwinError, match=r"valid\.jsonl is missing"):
        dataset.load(built.path)
    with pytest.raises(TwinError, match="no complete dataset"):
        dataset.load(tmp_path / "nowhere")


def test_a_failed_build_leaves_the_one_before(tmp_path):
    built = dataset.build(hundred(), THOTA, tmp_path / "d")
    with pytest.raises(TwinError, match="1 pairs of 1 conversations"):
        dataset.build(hundred()[:1], THOTA, tmp_path / "d")
    assert dataset.load(built.path) == built


def test_one_long_thread_does_not_fill_the_held_out_parts():
    pairs = [pair(n, thread="list" if n >= 50 else None) for n in range(100)]
    parts = dataset.split(pairs, Counter())
    assert {p.thread for p in parts["test"]}.isdisjoint({"list"})
    assert 8 <= len(parts["test"]) <= 12


def test_a_held_out_reply_that_repeats_training_is_left_out_and_counted():
    """C6: else the test would measure memory."""
    same = "That is not a plan, that is a wish. Bring numbers on Tuesday."
    copies = [pair(n, reply=same if n in (3, 97) else None) for n in range(100)]
    dropped = Counter()
    parts = dataset.split(copies, dropped)
    assert "p3" in {p.id for p in parts["train"]}
    assert "p97" not in {p.id for part in parts.values() for p in part}
    assert +dropped == {"test reply that nearly repeats one in training": 1}


_LINE = "On it now, ring me at four and bring the pump, both buckets and the old rope."


def _edited(edits):
    """The line with some of its characters changed: near 0.85 on either side."""
    said = list(_LINE)
    for place, sign in edits:
        said[place % len(said)] = sign
    return "".join(said)


REPLIES = st.one_of(
    st.sampled_from(["", "Done.", "No."]),
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from("xyz")), max_size=4).map(_edited),
    st.text(max_size=12),
)
THREADS = st.lists(
    st.tuples(
        st.integers(0, 12), st.sampled_from(["mail", "chat"]), REPLIES, st.integers(0, 9).map(bool)
    ),
    max_size=40,
)


def _pairs(rows):
    return [
        replace(pair(n, f"{channel}{thread}", channel, reply), pinned=not unpinned)
        for n, (thread, channel, reply, unpinned) in enumerate(rows)
    ]


@settings(deadline=None)
@given(THREADS)
def test_no_thread_is_in_two_parts_and_nothing_held_out_is_in_training(rows):
    """C6, by the true similarity of every held-out reply with every learnt one."""
    pairs = _pairs(rows)
    dropped = Counter()
    parts = dataset.split(pairs, dropped)
    threads = [{p.thread for p in part} for part in parts.values()]
    assert sum(map(len, threads)) == len(set().union(*threads))
    assert sum(map(len, parts.values())) + dropped.total() == len(pairs)
    learnt = [shingles(p.reply) for p in parts["train"]]
    for held in (*parts["valid"], *parts["test"]):
        assert all(jaccard(shingles(held.reply), one) < THRESHOLD for one in learnt)


@given(THREADS)
def test_the_test_part_is_the_newest_but_for_long_and_pinned_threads(rows):
    """A thread that is newer than one in the test is there too, or may not be."""
    pairs = _pairs(rows)
    parts = dataset.split(pairs, Counter())
    for channel in ("mail", "chat"):
        these = [p for p in pairs if p.channel == channel]
        whole = {t: [p for p in these if p.thread == t] for t in {p.thread for p in these}}
        newest = {thread: max(p.sent_at for p in members) for thread, members in whole.items()}
        held = {p.thread for p in parts["test"] if p.channel == channel}
        most = max(1, dataset.LARGEST_SHARE * dataset.TEST_SHARE * len(these))
        for thread, members in whole.items():
            newer = any(newest[thread] > newest[other] for other in held)
            if newer and thread not in held and len(members) <= most:
                nearly = {p.id for part in parts.values() for p in part}
                gone = all(p.id not in nearly for p in members)
                assert gone or any(p.pinned for p in members)


def test_a_near_copy_at_the_threshold_is_always_found():
    """MinHash would miss some of these: 85 of 100 shingles shared, hundreds of times."""
    signs = "".join(map(chr, range(0x4E00, 0x4E00 + 6000)))
    for n in range(0, 5400, 27):
        # 84 characters give 82 shingles with the blanks; the last few differ.
        whole = pair(1, reply=signs[n : n + 84])
        for changed in range(1, 20):
            near = pair(2, reply=signs[n : n + 84 - changed] + "x" * changed)
            alike = jaccard(shingles(whole.reply), shingles(near.reply)) >= THRESHOLD
            assert (dataset._unlike([whole], [near]) == []) == alike
