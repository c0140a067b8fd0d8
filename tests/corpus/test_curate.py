import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from aitwin.corpus import curate
from aitwin.corpus.curate import Choice
from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError

TOPICS = {
    "boat": [
        "hull",
        "bilge",
        "caulking",
        "keel",
        "oars",
        "mooring",
        "varnish",
        "tide",
        "rudder",
        "sail",
    ],
    "code": [
        "compiler",
        "branch",
        "deploy",
        "rollback",
        "staging",
        "latency",
        "broker",
        "schema",
        "queue",
    ],
    "cook": [
        "dal",
        "cumin",
        "coriander",
        "simmer",
        "ladle",
        "biryani",
        "pickle",
        "mustard",
        "skillet",
        "ghee",
    ],
}


def pair(id, reply, channel="mail", incoming="What now?", day=0):
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day)
    return Pair(str(id), f"t{id}", channel, moment, "Reply to this mail from Ana.", incoming, reply)


def written(number, topic, channel="mail", length=12):
    words = random.Random(f"{number}{topic}").choices(TOPICS[topic], k=length)  # noqa: S311
    return pair(f"{topic}{number}", " ".join(words), channel, day=number)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("No. Bring a bucket.", 4),
        ("", 0),
        ("👍 !!", 0),
        ("don't re-use it", 3),
        ("今日は雨です", 3),
    ],
)
def test_words_are_counted_in_any_script(text, count):
    assert curate.words(text) == count


def test_each_gate_says_why():
    dropped = Counter()
    patch = (
        "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-  int x = 0;\n+  int y = (1);"
    )
    passed = curate.gate(
        [
            pair("good", "No. Bring a bucket, and tell Reg that the leeks are his."),
            pair("one", "Yes."),
            pair("emoji", "👍"),
            pair("essay", "word " * 401),
            pair("patch", patch),
            pair("chat", "Coming at ten with the grinder.", "chat", incoming=""),
        ],
        dropped,
    )
    assert [p.id for p in passed] == ["good"]
    assert dropped == {
        "reply under 2 words": 1,
        "reply without a word": 1,
        "reply over 400 words": 1,
        "reply is mostly code, logs or tables": 1,
        "chat reply without context": 1,
    }


def test_fragments_and_repetitions_do_not_rule_the_set():
    letters = "abcdefghij"
    chats = [pair(f"ok{n}", "ok", "chat", day=n) for n in range(9)]
    chats += [pair(f"f{a}{b}", f"{a}{b} {b}", "chat") for a in letters for b in letters]
    chats += [written(n, "boat", "chat") for n in range(100)]
    dropped = Counter()
    passed = curate.gate(chats, dropped)
    fragments = [p for p in passed if curate.words(p.reply) <= curate.FRAGMENT_WORDS]
    assert len(fragments) == int(curate.FRAGMENT_SHARE * len(chats))
    assert [p.id for p in passed if p.reply == "ok"] == ["ok6", "ok7", "ok8"]
    assert dropped["the same reply more than 3 times"] == 6
    assert len(passed) + dropped.total() == len(chats)


def test_the_choice_is_the_same_every_time_and_in_order_of_time():
    pairs = [written(n, topic) for topic in TOPICS for n in range(60)]
    chosen = curate.choose(pairs, 40)
    assert len({p.id for p in chosen}) == 40
    assert chosen == curate.choose(pairs[::-1], 40)
    assert chosen == sorted(chosen, key=lambda p: (p.sent_at, p.id))
    assert len(curate.choose(pairs, 1000)) == len(pairs)


def test_the_choice_keeps_the_shares_of_channels_and_lengths():
    pairs = [written(n, "boat", "mail", 5 + n % 40) for n in range(300)]
    pairs += [written(n, "cook", "chat", 3 + n % 9) for n in range(100)]
    chosen = curate.choose(pairs, 100)
    assert sum(p.channel == "mail" for p in chosen) == pytest.approx(75, abs=1)

    def median(some):
        return sorted(len(p.reply) for p in some if p.channel == "mail")[len(some) * 3 // 8]

    assert median(chosen) == pytest.approx(median(pairs), rel=0.15)


def test_the_choice_is_more_diverse_than_chance():
    """C6: many pairs on one topic do not push out the few on another."""
    pairs = [written(n, "boat") for n in range(300)] + [written(n, "cook") for n in range(12)]
    chosen = curate.choose(pairs, 25)
    assert sum(p.id.startswith("cook") for p in chosen) >= 1

    def distinct(some):
        return len({p.reply[i : i + 6] for p in some for i in range(len(p.reply) - 5)})

    sample = random.Random(0).sample(pairs, 25)  # noqa: S311
    assert distinct(chosen) > distinct(sample)


def test_too_few_are_refused_with_what_is_missing():
    """C3."""
    pairs = [written(n, "boat", "mail" if n % 3 else "chat") for n in range(143)]
    with pytest.raises(TwinError) as refused:
        curate.require_enough(pairs, "812 messages of yours")
    text = str(refused.value)
    assert "143 usable pairs (95 from mail, 48 from chats) from 812 messages" in text
    assert "57 more are needed" in text
    assert "--allow-small" in text
    curate.require_enough(pairs, "", allow_small=True)
    with pytest.raises(TwinError, match="0 usable pairs"):
        curate.require_enough([], "3 messages of yours", allow_small=True)


def test_a_size_that_makes_no_set_is_refused():
    with pytest.raises(TwinError, match="too small"):
        Choice(size=20)
    assert Choice(size=20, allow_small=True).size == 20
