"""Distances that can be worked out by hand, and an owner whose manner is plain to see."""

import numpy as np
import pytest

from aitwin.style.evaluation import manner
from aitwin.style.evaluation.manner import jensen_shannon, spread, wasserstein
from aitwin.style.evaluation.measures import Candidate

SHORT = [
    f"No. Bring {n} buckets. The {thing} leaks." for n in range(12) for thing in ("roof", "van")
]
CORPORATE = [
    f"I hope this email finds you well! Perhaps we could possibly touch base on item {n}, moving "
    "forward, at your earliest convenience? Please do not hesitate to reach out to me 😀!"
    for n in range(24)
]


def test_wasserstein_is_the_area_between_the_distributions() -> None:
    def apart(values: list[float], reference: list[float]) -> float:
        times = np.ones((1, len(values)), dtype=np.int64)
        return float(wasserstein(np.array(values), np.array(reference), times)[0])

    assert apart([0.0, 0.0], [3.0]) == pytest.approx(3.0)
    assert apart([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]) == pytest.approx(1.0)
    assert apart([0.0, 2.0], [0.0, 0.0, 2.0, 2.0]) == pytest.approx(0.0)
    twice = wasserstein(np.array([0.0, 4.0]), np.array([0.0]), np.array([[1, 1], [2, 0], [0, 2]]))
    assert twice.tolist() == pytest.approx([2.0, 0.0, 4.0])


def test_spread_is_how_far_two_of_them_are_apart() -> None:
    values = np.array([0.0, 1.0, 5.0])
    assert spread(values) == pytest.approx((1 + 5 + 4) / 3)
    assert spread(np.array([7.0])) == 0.0


def test_jensen_shannon_goes_from_equal_to_disjoint() -> None:
    assert jensen_shannon(np.array([2.0, 2.0]), np.array([5.0, 5.0])) == pytest.approx(0.0)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(1.0)
    assert jensen_shannon(np.array([0.0, 0.0]), np.array([0.0, 3.0])) == 1.0


def test_an_assistants_manner_is_far_from_a_dry_owners() -> None:
    texts: dict[Candidate, list[str]] = {"base": CORPORATE, "owner": SHORT[::2]}
    groups: dict[Candidate, list[str]] = {
        c: [str(n) for n in range(len(these))] for c, these in texts.items()
    }
    found = {m.key: m for m in manner.measure(texts, groups, SHORT[1::2]).measures}
    overall = found["manner.distance"]
    assert overall.of("owner").high < 0.5 < 1.0 < overall.of("base").low
    for trait in ("hedges", "corporate", "emoji", "length"):
        distance = found[f"manner.{trait}_distance"]
        assert distance.of("base").value > 1 > distance.of("owner").value
    assert found["manner.length"].of("owner").value == pytest.approx(7.0, abs=0.5)
    assert found["manner.corporate"].of("owner").value == 0


def test_phrases_are_whole_words_in_four_languages() -> None:
    for text in ("Vielleicht morgen.", "peut-être demain", "quizás mañana", "I think so"):
        assert manner.HEDGES.search(text), text
    assert not manner.HEDGES.search("the mighty maybeetle")
    assert manner.CORPORATE.search("n'hésitez pas à m'appeler")
    assert not manner.CORPORATE.search("the leveraged buyout")


def test_small_starts_are_seen_where_sentences_begin() -> None:
    trait = next(t for t in manner.TRAITS if t.key == "small")
    assert trait.of("no. bring bread. ok") == 100
    assert trait.of("No. Bring bread, not milk.") == 0
    assert trait.of("不行。") == 0  # no case, no starts
