"""How sure a figure is: bootstrap intervals over conversations, Wilson intervals, AUC.

Knows numbers only; what they are figures of is told by whoever asks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    numbers = np.asarray(values, dtype=np.float64)
    heavy = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=np.float64)
    return bootstrap(
        lambda at: float(np.dot(numbers[at], heavy[at]) / max(1e-12, heavy[at].sum())), groups
    )


def share(hits: Sequence[bool], groups: Sequence[str]) -> Estimate:
    """How many are true. Where all are or none, what was drawn again would know no doubt: Wilson's
    interval stands in."""
    if not len(hits) or all(hits) or not any(hits):
        return wilson(sum(hits), len(hits))
    return mean([float(hit) for hit in hits], groups)


def bootstrap(statistic: Callable[[Any], float], groups: Sequence[str]) -> Estimate:
    """`statistic` of the rows with the given indices, with its percentile interval.

    Whole groups are drawn (cluster bootstrap; Davison and Hinkley 1997, 3.8): replies of one
    conversation resemble each other, and counted singly would promise too narrow an interval.
    """
    if not len(groups):
        return UNKNOWN
    value = statistic(np.arange(len(groups)))
    if len(set(groups)) == 1:
        return Estimate(value, nan, nan, len(groups))
    drawn = [statistic(at) for at in _draws(groups)]
    low, high = np.nanpercentile(drawn, (100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2))
    return Estimate(value, float(low), float(high), len(groups))


def _draws(groups: Sequence[str]) -> list[NDArray[np.intp]]:
    random = np.random.default_rng(SEED)
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    each = [np.asarray(places, dtype=np.intp) for places in members.values()]
    return [
        np.concatenate([each[number] for number in random.integers(len(each), size=len(each))])
        for _ in range(RESAMPLES)
    ]


def wilson(hits: int, count: int) -> Estimate:
    """A share with its score interval (Wilson 1927), which holds near 0 and 1, too."""
    if not count:
        return UNKNOWN
    p, z2 = hits / count, _Z**2
    middle = (p + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * sqrt(p * (1 - p) / count + z2 / (4 * count**2))
    return Estimate(p, max(0.0, middle - half), min(1.0, middle + half), count)


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
