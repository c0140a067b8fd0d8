"""How many came in at each stage of the corpus, how many went on, and why the rest did not.

The counts add up: a stage that loses something without a reason cannot be written down.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One step from the messages read to the pairs chosen."""

    name: str
    unit: str
    """What is counted: "messages", "pairs"."""
    came: int
    dropped: Counter[str]
    """Reason -> how many ended here."""
    went: int

    def __post_init__(self) -> None:
        """Refuse numbers that do not add up: they would lie to the owner."""
        if self.came != self.went + self.dropped.total():
            raise ValueError(
                f"{self.name}: {self.came} came, {self.went} went on, "
                f"{self.dropped.total()} were dropped"
            )


@dataclass
class Funnel:
    """The stages in their order; each begins with what the one before let through."""

    stages: list[Stage] = field(default_factory=list)

    def add(self, name: str, unit: str, came: int, dropped: Mapping[str, int]) -> Stage:
        """Write down a stage. Its input must be the output of the stage before."""
        if self.stages and self.stages[-1].went != came:
            raise ValueError(f"{name}: {came} came, but {self.stages[-1].went} had gone on")
        reasons = Counter({reason: count for reason, count in dropped.items() if count})
        stage = Stage(name, unit, came, reasons, came - reasons.total())
        self.stages.append(stage)
        return stage

    def as_json(self) -> list[dict[str, Any]]:
        """For a manifest, commonest reason first."""
        return [
            {
                "name": stage.name,
                "unit": stage.unit,
                "came": stage.came,
                "dropped": dict(stage.dropped.most_common()),
                "went": stage.went,
            }
            for stage in self.stages
        ]

    @classmethod
    def from_json(cls, stages: list[dict[str, Any]]) -> "Funnel":
        """The funnel of a manifest; its numbers are checked again."""
        funnel = cls()
        for stage in stages:
            funnel.add(stage["name"], stage["unit"], stage["came"], stage["dropped"])
        return funnel
