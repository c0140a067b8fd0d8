from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus.dedupe import (
    THRESHOLD,
    jaccard,
    near_duplicates,
    shingles,
    without_copies,
)
from aitwin.corpus.pairs import Pair

LONG = "The pump in house 3 runs at 40 litres an hour; that is a leak, not a schedule."


def pair(id, reply, incoming="", channel="chat", day=0):
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day)
    return Pair(id, f"t{id}", channel, moment, "Reply in this chat with Ana.", incoming, reply)


def test_near_identical_texts_are_found_and_others_are_not():
    """C5."""
    texts = [LONG, "Fine.", LONG.replace("40", "41"), LONG.upper(), LONG[:50]]
    assert near_duplicates(texts) == [[0, 2, 3]]


def test_similarity_is_not_passed_on_along_a_chain():
    texts = [
        LONG,
        LONG.replace("litres an", "liters an"),
        "NB. " + LONG.replace("litres an", "liters an"),
    ]
    sets = [shingles(text) for text in texts]
    assert jaccard(sets[0], sets[1]) >= THRESHOLD > jaccard(sets[0], sets[2])
    assert near_duplicates(texts) == [[0, 1]]


WORD = st.sampled_from(
    ["pump", "leak", "house", "three", "valve", "soup", "Tuesday", "water", "no", "yes"]
)
WORDS = st.lists(WORD, max_size=14)


@given(st.lists(WORDS.map(" ".join), max_size=14))
def test_nothing_under_the_threshold_is_ever_dropped(texts):
    """C5: LSH only proposes; the true similarity decides."""
    sets = [shingles(text) for text in texts]
    dropped = set()
    for first, *rest in near_duplicates(texts):
        for position in rest:
            assert first < position
            assert jaccard(sets[first], sets[position]) >= THRESHOLD
            dropped.add(position)
    # Exact copies are proposed with certainty: none stays.
    kept = [sets[i] for i in range(len(texts)) if i not in dropped]
    assert all(one != other for one, other in combinations(kept, 2))


def test_of_copies_the_one_with_the_most_context_stays():
    pairs = [
        pair("a", LONG, "short"),
        pair("b", LONG + " T.", "a much longer question"),
        pair("c", "No."),
    ]
    kept, groups = without_copies(pairs)
    assert [p.id for p in kept] == ["b", "c"]
    assert [[p.id for p in group] for group in groups] == [["b", "a"]]


def test_a_short_reply_is_a_copy_only_when_it_answers_the_same():
    question = "Ana: is the oscilloscope still in the van, or did you take it up to the office?"
    pairs = [
        pair("a", "Yes.", question),
        pair("b", "yes.", question + "?"),
        pair("c", "Yes.", "Tom: is the boat floating, for once?"),
        pair("d", "No.", question),
    ]
    assert [p.id for p in without_copies(pairs)[0]] == ["b", "c", "d"]


@pytest.mark.parametrize("text", ["", " ", "👍", "好"])
def test_tiny_texts_have_a_shingle(text):
    assert near_duplicates([text, text]) == [[0, 1]]
