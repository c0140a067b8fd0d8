"""Two invented writers on the same topics: the judge tells them apart, and knows when it cannot."""

import numpy as np

from aitwin.style.evaluation import attribution
from aitwin.style.evaluation.attribution import Sample

TOPICS = (
    "the roof",
    "the van",
    "the bill",
    "the ladder",
    "the goat",
    "the key",
    "bread",
    "the cat",
)


def dry(number: int, seed: int = 0) -> str:
    r = np.random.default_rng([1, number, seed])
    topic = r.choice(TOPICS)
    ends = (
        "No.",
        "Late again.",
        "Bring cash.",
        "Ask Jonas.",
        "Not my idea.",
        "It leaks.",
        "Tea at 4.",
    )
    return (
        f"{r.choice(ends)} {topic.capitalize()} is done; {r.choice(ends).lower()} {r.choice(ends)}"
    )


def polite(number: int, seed: int = 0) -> str:
    r = np.random.default_rng([2, number, seed])
    opens = ("I was wondering whether", "Would you be so kind as to say if", "I hope that")
    ends = ("thank you so much!", "that would be wonderful!", "please let me know, thanks!")
    return f"{r.choice(opens)} {r.choice(TOPICS)} could be looked at, and {r.choice(ends)}"


def samples(of: object, count: int, prefix: str) -> list[Sample]:
    return [Sample(of(n), f"{prefix}{n // 2}") for n in range(count)]  # type: ignore[operator]


def test_two_writers_are_told_apart_on_unseen_texts() -> None:
    judge = attribution.teach(
        "mail", samples(dry, 60, "a"), samples(polite, 60, "b"), samples(polite, 10, "c")
    )
    assert judge is not None
    assert judge.against_others.low > 0.95
    assert judge.against_drafts.value > 0.95
    assert sum(judge.attributes([dry(n, 9) for n in range(20)])) >= 18
    assert sum(judge.attributes([polite(n, 9) for n in range(20)])) <= 2


def test_a_judge_of_one_writer_against_himself_says_that_it_cannot_tell() -> None:
    judge = attribution.teach(
        "mail", samples(dry, 80, "a"), [Sample(dry(n, 1), f"b{n}") for n in range(80)], []
    )
    assert judge is not None
    assert 0.3 < judge.against_others.value < 0.7
    assert judge.against_drafts.count == 0


def test_conversations_are_never_on_both_sides_of_the_examination() -> None:
    # Copies within a conversation: a judge that had seen one would know the others by heart.
    own = [Sample(dry(n // 8), f"t{n // 8}") for n in range(80)]
    others = [Sample(dry(n // 8, 1), f"u{n // 8}") for n in range(80)]
    judge = attribution.teach("mail", own, others, [])
    assert judge is not None
    assert judge.against_others.value < 0.8


def test_few_texts_make_no_judge() -> None:
    assert attribution.teach("mail", samples(dry, 19, "a"), samples(polite, 60, "b"), []) is None
    assert attribution.teach("mail", samples(dry, 60, "a"), [Sample("", "b")] * 60, []) is None


def test_an_empty_draft_is_nobodys() -> None:
    judge = attribution.teach("chat", samples(dry, 40, "a"), samples(polite, 40, "b"), [])
    assert judge is not None
    assert judge.attributes(["", "…", dry(3, 7)]) == [False, False, True]
    assert judge.attributes([]) == []
