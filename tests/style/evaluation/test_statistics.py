"""Intervals hold as often as they promise; the AUC is the one that can be counted."""

from itertools import product

import numpy as np
import pytest

from aitwin.style.evaluation import statistics


def test_the_interval_of_a_mean_holds_about_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(1), 0
    names = [str(n) for n in range(40)]
    for _ in range(60):
        found = statistics.mean(random.normal(3.0, 1.0, 40).tolist(), names)
        held += found.low <= 3.0 <= found.high
    assert held >= 51  # 95 % of 60 is 57; fewer than 51 would be one chance in thousands


def test_replies_of_one_conversation_do_not_narrow_the_interval() -> None:
    random = np.random.default_rng(2)
    of_threads = random.normal(0, 1, 10)
    values = np.repeat(of_threads, 8).tolist()
    together = statistics.mean(values, [str(n // 8) for n in range(80)])
    single = statistics.mean(values, [str(n) for n in range(80)])
    assert together.value == pytest.approx(single.value)
    assert together.high - together.low > 2 * (single.high - single.low)


def test_a_share_of_none_or_all_is_not_certain() -> None:
    none = statistics.share([False] * 20, [str(n) for n in range(20)])
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.161, abs=0.001)  # Wilson (1927), by hand
    every = statistics.share([True] * 20, [str(n) for n in range(20)])
    assert every.low == pytest.approx(1 - 0.161, abs=0.001)


def test_nothing_to_measure_is_unknown_not_nought() -> None:
    assert statistics.share([], []).as_json() == {
        "value": None, "low": None, "high": None, "count": 0,
    }  # fmt: skip
    alone = statistics.mean([2.0, 4.0], ["t1", "t1"])
    assert alone.value == 3.0
    assert alone.as_json()["low"] is None  # one conversation tells nothing of others


def test_auc_counts_the_pairs_in_the_right_order() -> None:
    higher, lower = [3.0, 1.0, 2.0, 5.0], [2.0, 0.0, 1.0]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(higher, lower)]
    assert statistics.auc(higher, lower).value == pytest.approx(sum(pairs) / len(pairs))
    assert statistics.auc([2.0, 3.0], [0.0, 1.0]).value == 1.0
    assert statistics.auc([], [1.0]).count == 0


def test_auc_of_two_equal_samples_has_a_half_in_its_interval() -> None:
    random = np.random.default_rng(3)
    found = statistics.auc(random.normal(size=60).tolist(), random.normal(size=60).tolist())
    assert found.low < 0.5 < found.high
    apart = statistics.auc(random.normal(1.5, size=60).tolist(), random.normal(size=60).tolist())
    assert apart.low > 0.7
