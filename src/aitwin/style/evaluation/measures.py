"""The shape of every result: what was measured, of whom, and how sure it is.

Candidates stand beside each other, the owner among them: what the owner's own other replies reach
is the most that a twin can. Measures nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Literal

from aitwin.style.evaluation.statistics import UNKNOWN, Estimate

Candidate = Literal["base", "examples", "twin", "owner"]
CANDIDATES: tuple[Candidate, ...] = ("base", "examples", "twin", "owner")
DRAFTING: tuple[Candidate, ...] = ("base", "examples", "twin")
TITLES: dict[Candidate, str] = {
    "base": "base",
    "examples": "base + 5",
    "twin": "twin",
    "owner": "you",
}
Unit = Literal["share", "number", "distance"]
Better = Literal["high", "low", "owner"]
"""Whether more is better, less, or what comes near the owner."""


@dataclass(frozen=True)
class Measure:
    """One line of the report."""

    key: str
    """As the gate and evaluation.json know it: `attribution.body`."""
    name: str
    unit: Unit
    better: Better
    estimates: Mapping[Candidate, Estimate]
    headline: bool = False
    """Whether it is among the few that the terminal shows."""

    def of(self, candidate: Candidate) -> Estimate:
        """The figure of one candidate; UNKNOWN where it has none."""
        return self.estimates.get(candidate, UNKNOWN)

    def as_json(self) -> dict[str, Any]:
        """For evaluation.json."""
        return {name: estimate.as_json() for name, estimate in self.estimates.items()}


@dataclass(frozen=True)
class Section:
    """Measures that belong together, and what must be known to read them."""

    title: str
    note: str
    measures: tuple[Measure, ...]
    warnings: tuple[str, ...] = field(default=())
    """Why a reader should not trust these, if so."""


def figure(measure: Measure, candidate: Candidate) -> str:
    """A figure as it is read: `84 %`; empty where there is none."""
    value = measure.of(candidate).value
    if isnan(value):
        return ""
    return _number(measure, value) + (" %" if measure.unit == "share" else "")


def interval(measure: Measure, candidate: Candidate) -> str:
    """Its interval: `71–93`; empty where there is none."""
    estimate = measure.of(candidate)
    if isnan(estimate.value) or isnan(estimate.low):
        return ""
    return f"{_number(measure, estimate.low)}–{_number(measure, estimate.high)}"


def _number(measure: Measure, value: float) -> str:
    if measure.unit == "share":
        percent = 100 * value
        return (
            f"{percent:.1f}" if 0 < percent < 10 and percent != round(percent) else f"{percent:.0f}"
        )
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
