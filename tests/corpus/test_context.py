from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import context
from aitwin.corpus.context import CUT, Budget
from aitwin.corpus.pairs import Pair

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


def test_whole_pieces_stay_from_the_newest_back():
    pieces = [f"{n} " + "word " * 60 for n in range(9)]
    pair = context.fit(asked(*pieces), words(200))
    assert pair.incoming.split("\n\n") == [CUT, *(piece.strip() for piece in pieces[-3:])]


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
