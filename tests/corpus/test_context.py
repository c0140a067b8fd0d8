import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import context
from aitwin.corpus.context import CUT, Budget
from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError

PAIR = Pair("p", "t", "mail", datetime(2024, 1, 1, tzinfo=UTC), "Reply.", "", "No.")


def by_words(text):
    return len(text.split())


def words(row):
    """A budget in which a word is a token."""
    return Budget(row, by_words, "words", template=0)


def asked(*pieces, channel="mail", reply="No."):
    incoming = ("\n\n" if channel == "mail" else "\n").join(pieces)
    return replace(PAIR, channel=channel, incoming=incoming, pieces=pieces, reply=reply)


def test_what_fits_stays_as_it_is():
    pair = context.fit(asked("one two", "three"), Budget())
    assert pair.incoming == "one two\n\nthree"
    assert pair.pieces == ()  # they are not redacted, and must not go on


def test_pieces_stay_from_the_newest_back_and_the_oldest_loses_its_beginning():
    pieces = [f"{n} " + "word " * 60 for n in range(9)]
    pair = context.fit(asked(*pieces), words(200))
    cut, partial, *whole = pair.incoming.split("\n\n")
    assert (cut, whole) == (CUT, [piece.strip() for piece in pieces[-3:]])
    assert set(partial.split()) == {"word"}
    assert by_words(pair.incoming) == 200 - by_words("Reply. No.")


@pytest.mark.parametrize("end", ["Rob", "Thanks,\nRob", "Thanks!", "ขอบคุณครับ", "謝謝", "Gruß"])
def test_a_sign_off_is_never_all_that_is_left(end):
    """C4: what the reply answers stands above the name."""
    steps = " ".join(f"Step {n} needs the pump." for n in range(200))
    for budget in (words(100), Budget(300)):
        pair = context.fit(asked("Hi,", steps, end), budget)
        cut, partial, last = pair.incoming.split("\n\n")
        assert (cut, last) == (CUT, end)
        assert partial.startswith("Step 1")  # from a sentence
        assert partial.endswith("Step 199 needs the pump.")
        assert budget.count(pair.incoming) > 0.8 * (
            budget.row - budget.template - budget.count("Reply. No.")
        )


def test_a_scrap_of_a_paragraph_is_left_out():
    pair = context.fit(asked("old " * 60, "new " * 90), words(100))
    assert pair.incoming == f"{CUT}\n\n" + ("new " * 90).strip()


def test_a_cut_begins_with_a_line_where_one_is_near():
    listed = "\n".join(f"{n}. fetch pump number {n} and dry it" for n in range(40))
    pair = context.fit(asked("Hi", listed, "Rob"), words(100))
    _, partial, _ = pair.incoming.split("\n\n")
    assert all(re.match(r"\d+\. fetch", line) for line in partial.split("\n"))


def one_by_one(*passages, row=100):
    pair = replace(asked(*passages), one_by_one=True)
    return context.fit(pair, words(row)).incoming.split("\n\n")


def test_of_passages_answered_one_by_one_each_stays_with_its_number():
    """C4: the reply answers all of them; the longest are shortened, from their beginnings."""
    long = ["word " * 60 + f"question {n}?" for n in range(3)]
    shown = one_by_one(f"(1) {long[0]}", "(2) Is it dry?", f"(3) {long[1]}", f"(4) {long[2]}")
    assert [passage[:3] for passage in shown] == ["(1)", "(2)", "(3)", "(4)"]
    assert shown[1] == "(2) Is it dry?"
    assert all(p.startswith(f"({n}) {CUT} word") for n, p in ((1, shown[0]), (4, shown[3])))
    assert [p[-11:] for p in (shown[0], *shown[2:])] == [f"question {n}?" for n in range(3)]
    assert 85 <= sum(map(by_words, shown)) <= 98
    assert one_by_one("(1) a", "(2) b") == ["(1) a", "(2) b"]


def test_of_each_passage_some_words_stay_however_long_the_reply():
    """C4: "limit." alone is no question. What then has no room is left out as any such reply is."""
    passages = tuple(f"({n}) " + "word " * 60 + "dry?" for n in range(1, 6))
    pair = replace(asked(*passages, reply="word " * 360), one_by_one=True)
    shown = context.fit(pair, words(400)).incoming.split("\n\n")
    assert all(f"({n}) {CUT} word" in one for n, one in enumerate(shown, start=1))
    assert all(by_words(one) >= context.LEAST_EACH - 2 for one in shown)
    assert sum(map(by_words, shown)) <= 5 * context.LEAST_EACH
    assert context.without_endless([pair], words(490), Counter()) == [pair]
    assert context.without_endless([pair], words(470), Counter()) == []
    plain = replace(pair, one_by_one=False)
    assert context.without_endless([plain], words(470), Counter()) == [plain]


def test_passages_too_many_for_a_few_words_each_are_cut_as_any_mail_is():
    shown = one_by_one(*(f"({n}) " + "word " * 20 for n in range(1, 40)))
    assert shown[0] == CUT
    assert shown[-1].startswith("(39)")


def test_a_row_without_room_for_an_example_is_refused():
    """M4."""
    with pytest.raises(TwinError, match="--tokens 192"):
        context.require_room(Budget(191))
    context.require_room(Budget(192))


def test_one_endless_paragraph_keeps_its_end_from_a_word():
    pair = context.fit(asked("start " + "word " * 999 + "end?"), words(100))
    assert pair.incoming.startswith(f"{CUT}\n\nword word")
    assert pair.incoming.endswith("end?")


def test_a_text_without_spaces_is_cut_amid():
    pair = context.fit(asked("雨" * 3000 + "？"), Budget(400))
    assert pair.incoming.endswith("雨？")
    assert 50 < len(pair.incoming) < 300


def test_a_long_turn_keeps_its_speaker():
    """C4: the model must know who says what."""
    turns = ("Bo: hm", "Ana: " + "word " * 500 + "dry?")
    pair = context.fit(asked(*turns, channel="chat"), words(100))
    first, second = pair.incoming.split("\n")
    assert first == CUT
    assert second.startswith("Ana: word")
    assert second.endswith("dry?")


def test_a_long_reply_leaves_less_room_but_never_none():
    pieces = ["word " * 20] * 20
    short = context.fit(asked(*pieces), words(300))
    long = context.fit(asked(*pieces, reply="word " * 200), words(300))
    longest = context.fit(asked(*pieces, reply="word " * 900), words(300))
    assert len(short.incoming) > len(long.incoming) >= len(longest.incoming) > 0
    assert by_words(longest.incoming) <= context.LEAST


def test_what_will_be_counted_is_told_beforehand():
    told, counted = [], []

    def count(text):
        counted.append(text)
        return by_words(text)

    budget = Budget(200, count, "words", 0, told.extend)
    small = asked("one two", "three")
    large = asked("word " * 60, "said " * 60, "last " * 90)
    assert [p.incoming[:4] for p in context.fit_all([small, large], budget)] == ["one ", "[…]\n"]
    assert "one two" not in told
    whole = {text for text in counted if len(text) > 20 and text not in large.incoming[1:]}
    assert whole <= set(told)


def test_a_reply_that_leaves_no_room_is_left_out_and_counted():
    """M4: an example that no training can take is none. An estimate loses clear excess alone."""
    rows = [
        asked("dry?", reply="word " * 100),
        replace(asked("dry?", reply="word " * 150), id="long"),
        replace(PAIR, id="first", reply="word " * 150),
    ]
    dropped = Counter()
    assert [p.id for p in context.without_endless(rows, words(200), dropped)] == ["p", "first"]
    assert dropped == {"reply too long for an example of 200 tokens": 1}
    # Estimated, each word is 2.1 tokens here; half as many again is certain.
    said = [replace(row, reply="word " * n) for row, n in zip(rows, (100, 150, 400), strict=True)]
    assert context.without_endless(said, Budget(300), dropped) == said[:2]
    pinned = replace(said[2], pinned=True)
    assert context.without_endless([pinned], Budget(300), dropped) == [pinned]


PIECES = st.lists(st.text(st.sampled_from("ab 雨é\n:"), max_size=200), max_size=8)


@given(PIECES, st.integers(70, 300), st.sampled_from(["mail", "chat"]))
def test_an_example_fits_its_budget_and_invents_nothing(pieces, row, channel):
    budget = replace(words(row), count=len)
    pair = context.fit(asked(*pieces, channel=channel), budget)
    used = sum(map(len, (pair.instruction, pair.reply, pair.incoming)))
    assert used <= row or used <= context.LEAST + len("Reply.No.")
    whole = "".join("".join(pieces).split())
    assert "".join(pair.incoming.replace(CUT, "").split()) in whole or channel == "chat"


@pytest.mark.parametrize(
    ("text", "real"),
    [  # tokens that SmolLM2 makes of them, whose vocabulary knows little but English
        ("I'll call you later tonight.", 7),
        ("Merci pour la réponse rapide, je regarderai cela demain matin.", 22),
        ("Спасибо за быстрый ответ, посмотрю завтра утром.", 39),
        ("谢谢你这么快回复，我明天早上看", 29),
        ("🙂🙂🙂", 6),
    ],
)
def test_the_estimate_is_on_the_safe_side(text, real):
    assert real <= context.estimate(text) <= 2.2 * real


@pytest.mark.model
def test_the_estimate_against_a_real_tokenizer(smollm2):
    """Rather cut a little more than train on half a mail."""
    from aitwin.demo import THOTA
    from aitwin.style import vocabulary

    text = (THOTA / "WhatsApp Chat with Tom Bexley.txt").read_text()
    pieces = [text[at : at + 600] for at in range(0, len(text), 600)]
    with vocabulary.tokenizer(smollm2) as tokenizer:
        ratios = sorted(context.estimate(p) / len(tokenizer.tokenize(p)) for p in pieces)
    assert ratios[len(ratios) // 100] >= 0.95
    assert ratios[len(ratios) // 2] <= 1.8
