import random
from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aitwin.corpus import curate, register
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
    assert len(fragments) == int(curate.FRAGMENT_SHARE * len(passed))
    assert [p.id for p in passed if p.reply == "ok"] == ["ok6", "ok7", "ok8"]
    assert dropped["the same reply more than 3 times"] == 6
    assert len(passed) + dropped.total() == len(chats)


def test_a_chat_that_is_mostly_ok_gives_a_set_that_is_not():
    """Fragments are a share of what stays, not of what there was."""
    yes = ["ok", "haha", "haha yes", "np", "on it", "cool", "lol", "yes please"]
    chats = [pair(f"f{n}", f"{yes[n % 8]} {n}" if n % 2 else yes[n % 8], "chat", day=n)
             for n in range(900)]  # fmt: skip
    chats = [replace(p, reply=" ".join(p.reply.split()[:2])) for p in chats]
    chats += [written(n, "boat", "chat") for n in range(90)]
    passed = curate.gate(chats, Counter())
    short = sum(curate.words(p.reply) <= curate.FRAGMENT_WORDS for p in passed)
    assert (short, len(passed)) == (10, 100)


def test_a_reply_in_another_language_is_left_out_unless_pinned():
    dropped = Counter()
    rows = [
        replace(written(0, "boat"), language="en"),
        replace(written(1, "boat"), language="fr"),
        replace(written(2, "boat"), language="fr", pinned=True),
        written(3, "boat"),  # nobody can tell
    ]
    assert [p.id for p in curate.gate(rows, dropped, ("en", "de"))] == ["boat0", "boat2", "boat3"]
    assert dropped == {"reply in another language (fr)": 1}
    assert len(curate.gate(rows, Counter())) == 4


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


def corpus(count=3000):
    """A made-up owner: few people get most, a third is chats, more lately, all registers."""
    rng = random.Random(7)  # noqa: S311
    rows = []
    for n in range(count):
        topic = rng.choices(list(TOPICS), (70, 25, 5))[0]
        length = min(200, max(3, round(rng.lognormvariate(2.6, 0.8))))
        said = rng.choices(TOPICS[topic], k=length)
        text = " ".join(f"{word}{rng.randrange(30)}" for word in said)
        form = rng.random()
        if form < 0.2:
            text = f"Dear Ms Lopez, {text}."
        elif form < 0.6:
            text = f"{text.capitalize()}."
        person = f"p{min(int(rng.expovariate(0.25)), 30)}"
        day = round(3000 * rng.random() ** 0.5)
        channel = "chat" if rng.random() < 1 / 3 else "mail"
        rows.append(replace(pair(n, text, channel, day=day), people=(person,)))
    return rows


def shares(rows, what):
    counts = Counter(map(what, rows))
    return {one: count / len(rows) for one, count in counts.items()}


def year(pair):
    return pair.sent_at.year


def distance(all_, some):
    """Kolmogorov and Smirnov's: the largest difference between the shares below any length."""
    lengths = [sorted(len(p.reply) for p in rows) for rows in (all_, some)]
    return max(
        abs(bisect_right(lengths[0], at) / len(all_) - bisect_right(lengths[1], at) / len(some))
        for at in lengths[0]
    )


def test_nobody_and_no_time_gets_more_than_its_share():
    """C6: but for the rounding, once in each of the eight strata."""
    rows = corpus()
    chosen = curate.choose(rows, 500)
    for what in (lambda p: p.people[0], year, lambda p: p.channel):
        own, got = shares(rows, what), shares(chosen, what)
        assert all(got[one] <= own[one] + 8 / 500 for one in got), (own, got)


def test_the_owners_lengths_and_registers_stay():
    """C6: lengths within 4 in 100 (Kolmogorov-Smirnov; a step is 3), a register within 2."""
    rows = corpus()
    chosen = curate.choose(rows, 500)
    assert distance(rows, chosen) <= 0.04
    own = shares(rows, lambda p: register.of(p.reply))
    got = shares(chosen, lambda p: register.of(p.reply))
    assert set(own) == {"formal", "plain", "informal"}
    assert all(abs(own[one] - got.get(one, 0)) <= 0.02 for one in own), (own, got)


def test_without_shares_the_long_and_the_loud_would_win():
    """That the shares do something: the same choice without them is off."""
    rows = [p for p in corpus() if p.channel == "mail"]
    free = curate._cover(rows, 300)
    assert distance(rows, free) > 2 * distance(rows, curate.choose(rows, 300))


def test_what_is_chosen_covers_more_than_chance_does():
    """C6: the likeness of all pairs to their nearest chosen one, against ten random choices."""
    rows = corpus(1200)
    vectors = curate._vectors(rows)
    place = {p.id: number for number, p in enumerate(rows)}

    def coverage(some):
        return float((vectors @ vectors[[place[p.id] for p in some]].T).max(axis=1).mean())

    chance = [coverage(random.Random(n).sample(rows, 200)) for n in range(10)]  # noqa: S311
    assert coverage(curate.choose(rows, 200)) > max(chance)


def test_mails_and_chats_are_balanced_as_wished():
    rows = [written(n, "boat", "mail", 5 + n % 40) for n in range(300)]
    rows += [written(n, "cook", "chat", 3 + n % 9) for n in range(100)]

    def mails(share, size=100):
        return sum(p.channel == "mail" for p in curate.choose(rows, size, mail_share=share))

    assert [mails(share) for share in (None, 0.5, 0.0, 1.0)] == [75, 50, 0, 100]
    assert [mails(share, 1000) for share in (None, 0.5, 0.0, 1.0, 0.9)] == [300, 100, 0, 300, 300]

    def size(share, size=1000):
        return len(curate.choose(rows, size, mail_share=share))

    # A share that is asked for is kept, and the set smaller for it.
    assert [size(share) for share in (None, 0.5, 0.0, 1.0, 0.9)] == [400, 200, 100, 300, 333]
    assert [size(share, 350) for share in (None, 0.5, 0.0)] == [350, 200, 100]
    pinned = [replace(rows[0], pinned=True), *rows[1:]]
    kept = curate.choose(pinned, 50, mail_share=0)
    assert [p.id for p in kept if p.channel == "mail"] == [rows[0].id]
    pinned = [replace(row, pinned=n % 5 == 0) for n, row in enumerate(rows)]  # 60 mails, 20 chats
    for share in (None, 0, 0.5, 1):
        kept = curate.choose(pinned, 90, mail_share=share)
        assert len(kept) == 90
        assert {p.id for p in pinned if p.pinned} <= {p.id for p in kept}
    with pytest.raises(TwinError, match="mail share"):
        Choice(mail_share=1.5)


def test_what_a_share_costs_is_said():
    """C3: the share that was asked for is not given up without a word, nor is the size."""
    chosen = [written(n, "cook", "chat") for n in range(151)]
    half = Choice(mail_share=0)
    assert curate.why_not(151, 443, half) == "left out for a mail share of 0"
    assert curate.why_not(1000, 1443, half) == "not among the chosen"
    assert curate.why_not(400, 443, Choice(400)) == "not among the chosen"
    with pytest.raises(TwinError, match="mail share of 0 leaves 151 pairs") as refused:
        curate.require_share(chosen, half)
    assert "--allow-small" in str(refused.value)
    curate.require_share(chosen, Choice(mail_share=0, allow_small=True))
    curate.require_share(chosen, Choice())
    with pytest.raises(TwinError, match="leaves 0 pairs"):
        curate.require_share([], Choice(mail_share=0.5, allow_small=True))


def test_a_refusal_says_the_commonest_reasons():
    lost = {"reply in another language (en)": 430, "automatic: bounce": 3, "no reason": 0}
    with pytest.raises(TwinError) as refused:
        curate.require_enough([], "800 messages of yours", lost)
    text = str(refused.value)
    assert "Left out: 430 reply in another language (en); 3 automatic: bounce." in text
    assert "Take other languages, too (--language)" in text
    assert "no reason" not in text


def test_a_seed_thins_a_large_stratum_differently(monkeypatch):
    monkeypatch.setattr(curate, "STRATUM_MOST", 50)
    rows = [written(n, "boat", length=12) for n in range(400)]
    one, two = curate.choose(rows, 40, seed=1), curate.choose(rows, 40, seed=2)
    assert one == curate.choose(rows, 40, seed=1)
    assert one != two


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


@pytest.mark.parametrize(
    "text",
    [
        "कल सुबह दस बजे नाव के पास मिलते हैं।",
        "நாளை காலை பத்து மணிக்கு சந்திப்போம்.",
        "พรุ่งนี้เช้าเจอกันที่ท่าเรือนะครับ",
        "ព្រឹកស្អែកជួបគ្នានៅកំពង់ផែ",
        "نلتقي غدًا في العاشرة",
        "נפגש מחר בעשר",
        "haha sure 😂😂😂",
        "10:30?",
        "7:30 pm, gate 14",
        "I paid $45.20 on 14/03",
    ],
)
def test_no_script_and_no_sign_keeps_a_reply_out(text):
    """C3."""
    for channel in ("mail", "chat"):
        dropped = Counter()
        passed = [pair("p", text, channel), *(written(n, "boat") for n in range(20))]
        assert curate.gate(passed, dropped)[0].reply == text
        assert not dropped


def test_an_emoji_alone_is_a_fragment_in_a_chat_and_nothing_in_a_mail():
    rows = [written(n, "boat") for n in range(20)]
    rows += [pair(n, "😂", "chat", day=n) for n in range(9)]
    rows += [pair("no", "…!", "chat"), pair("mail", "👍"), pair("heart", "❤️", "chat")]
    dropped = Counter()
    passed = curate.gate(rows, dropped)
    assert dropped["reply without a word"] == 2
    assert dropped["the same reply more than 3 times"] == 6
    assert len(passed) == 20 + 2  # a tenth
