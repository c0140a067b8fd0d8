"""How sure a figure is: bootstrap intervals over conversations, Wilson intervals, AUC.

Knows numbers only; what they are figures of is told by whoever asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

RESAMPLES = 1000
CONFIDENCE = 0.95
_Z = 1.959963984540054
"""Of the normal distribution, for CONFIDENCE on both sides."""
SEED = 4


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float
    count: int
    """Texts that it is of."""

    def as_json(self) -> dict[str, float | int | None]:
        """For evaluation.json, where a number that is not known is null."""
        plain = {"value": self.value, "low": self.low, "high": self.high}
        known = {key: None if value != value else round(value, 6) for key, value in plain.items()}
        return {**known, "count": self.count}


UNKNOWN = Estimate(nan, nan, nan, 0)


def mean(
    values: Sequence[float], groups: Sequence[str], *, weights: Sequence[float] | None = None
) -> Estimate:
    """The (weighted) mean of `values`; replies of one conversation are drawn together."""
    if not len(values):
        return UNKNOWN
    numbers = np.asarray(values, dtype=np.float64)
    heavy = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=np.float64)
    times = draws(groups)
    return summary((times @ (numbers * heavy)) / np.maximum(times @ heavy, 1e-12), groups)


def share(hits: Sequence[bool], groups: Sequence[str]) -> Estimate:
    """How many are true. Where no conversation has two, or all are true or none, Wilson's interval
    is the better: what is drawn again of a few knows too little doubt, or too much."""
    if all(hits) or not any(hits) or len(set(groups)) == len(groups):
        return wilson(sum(hits), len(hits))
    return mean([float(hit) for hit in hits], groups)


def bootstrap(statistic: Callable[[Any], float], groups: Sequence[str]) -> Estimate:
    """`statistic` of the rows with the given indices, with its interval."""
    if not len(groups):
        return UNKNOWN
    rows = np.arange(len(groups))
    return summary(
        np.asarray([statistic(np.repeat(rows, times)) for times in draws(groups)]), groups
    )


def draws(groups: Sequence[str]) -> NDArray[np.int64]:
    """How often each row is drawn: once in the first line, which is what was observed, and in
    RESAMPLES more as chance has it.

    Whole groups are drawn (cluster bootstrap; Davison and Hinkley 1997, 3.8): replies of one
    conversation resemble each other, and counted singly would promise too narrow an interval.
    """
    return _draws(tuple(groups))


@lru_cache(maxsize=16)
def _draws(groups: tuple[str, ...]) -> NDArray[np.int64]:
    names, of_row = np.unique(np.asarray(groups), return_inverse=True)
    random = np.random.default_rng(SEED)
    chosen = random.integers(len(names), size=(RESAMPLES, len(names)))
    counts = np.stack([np.bincount(line, minlength=len(names)) for line in chosen])
    observed = np.ones((1, len(names)), dtype=np.int64)
    return np.concatenate((observed, counts))[:, of_row]


def summary(of_draws: Numbers, groups: Sequence[str]) -> Estimate:
    """A figure and its percentile interval, from its value in every line of `draws`.

    One conversation tells nothing of others: then there is no interval.
    """
    value, *drawn = of_draws.tolist()
    if len(set(groups)) < 2:
        return Estimate(value, nan, nan, len(groups))
    low, high = np.nanpercentile(drawn, (100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2))
    return Estimate(value, float(low), float(high), len(groups))


def wilson(hits: int, count: int) -> Estimate:
    """A share with its score interval (Wilson 1927), which holds near 0 and 1, too."""
    if not count:
        return UNKNOWN
    p, z2 = hits / count, _Z**2
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count**2))
    # At the edges exactly, whatever is rounded.
    low = middle - half if hits else 0.0
    high = middle + half if hits < count else 1.0
    return Estimate(p, low, high, count)


def auc(
    higher: Sequence[float],
    lower: Sequence[float],
    groups: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Estimate:
    """Probability that one of `higher` exceeds one of `lower`, ties half (Mann and Whitney 1947).

    0.5 tells nothing apart, 1 everything.
    """
    if not len(higher) or not len(lower):
        return UNKNOWN
    values = np.asarray([*higher, *lower], dtype=np.float64)
    first = np.arange(len(values)) < len(higher)
    one, other = groups or (
        [str(n) for n in range(len(higher))],
        [str(n) for n in range(len(lower))],
    )
    # The two sides never share a group: they are drawn together, but each by its own.
    names = [*(f"a{name}" for name in one), *(f"b{name}" for name in other)]
    return bootstrap(lambda at: _auc(values[at], first[at]), names)


def _auc(values: Numbers, first: NDArray[np.bool_]) -> float:
    a, b = np.sort(values[first]), np.sort(values[~first])
    if not len(a) or not len(b):
        return nan
    below = np.searchsorted(b, a, side="left").sum()
    tied = (np.searchsorted(b, a, side="right") - np.searchsorted(b, a, side="left")).sum()
    return float((below + tied / 2) / (len(a) * len(b)))
