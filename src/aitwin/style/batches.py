"""Losses, and the order of the batches: the same for every trainer.

Knows token ids and the recipe; knows no library that trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded

POOL = 8
"""Updates whose examples are sorted together: more sorts better, fewer mixes better."""


@dataclass(frozen=True)
class Loss:
    """A sum of negative log-probabilities (nats) over reply tokens."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token; exp() of it is the perplexity."""
        return self.total / max(1, self.tokens)

    def __add__(self, other: "Loss") -> "Loss":
        """Losses of two batches."""
        return Loss(self.total + other.total, self.tokens + other.tokens)


def batches(encoded: Sequence[Encoded], recipe: Recipe, epoch: int) -> list[list[list[Encoded]]]:
    """The optimiser steps of one epoch: each `accumulation` batches of `batch` examples.

    Order depends on the seed and the epoch alone. Examples of like length share a batch, so that
    little is padded; which batches meet in one update is random.
    """
    random = Random(f"{recipe.seed}/{epoch}")  # noqa: S311 (an order, not a secret)
    order = list(encoded)
    random.shuffle(order)
    batched = []
    pool = recipe.batch * recipe.accumulation * POOL
    for start in range(0, len(order), pool):
        alike = sorted(order[start : start + pool], key=len)
        batched += [alike[i : i + recipe.batch] for i in range(0, len(alike), recipe.batch)]
    random.shuffle(batched)
    size = recipe.accumulation
    return [batched[start : start + size] for start in range(0, len(batched), size)]
