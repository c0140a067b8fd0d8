"""What a run will take, said before it starts: pairs, tokens, steps, memory, time.

Reads the dataset as the model will, and measures the pace on one batch. Trains nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from aitwin.style.batches import batches
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded
from aitwin.style.trainer import Trainer

EVALUATION_COST = 0.5
"""Of a training step on the same tokens: forward only, where a step goes back as well."""


@dataclass(frozen=True)
class Data:
    """The dataset as the model sees it."""

    training: Sequence[Encoded] = field(repr=False)
    validation: Sequence[Encoded] = field(repr=False)
    test: Sequence[Encoded] = field(repr=False)
    too_long: int
    """Examples of all parts that are left out: their reply leaves no room for a prompt."""


@dataclass(frozen=True)
class Plan:
    """A run before its first step."""

    base: str
    trainer: str
    device: str
    bits: int
    """Bits per weight of the base while it is trained on."""
    pairs: int
    too_long: int
    tokens: int
    """Of one epoch, prompts and replies."""
    reply_tokens: int
    """Of one epoch: those that carry the loss."""
    steps: int
    memory: int
    """Bytes that the training is expected to take at most."""
    available: int
    """Bytes that there are for it."""
    seconds: float | None
    """Expected for all steps and evaluations; None where the owner gave a time."""
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def seconds(trainer: Trainer, data: Data, recipe: Recipe, evaluations: int) -> float:
    """What the run is expected to take, by the pace of one batch of middle length.

    The trainer is left exactly as it was.
    """
    groups = batches(data.training, recipe, 0)
    ordered = sorted((batch for group in groups for batch in group), key=_padded)
    adapter, state = trainer.adapter_state(), trainer.state()
    # The first step pays for what is set up once: a short one.
    trainer.step([ordered[0]], recipe.learning_rate)
    middle = ordered[len(ordered) // 2]
    started = time.monotonic()
    trainer.step([middle], recipe.learning_rate)
    pace = (time.monotonic() - started) / _padded(middle)
    trainer.load_adapter_state(adapter)
    trainer.load_state(state)
    epoch = sum(_padded(batch) for batch in ordered)
    held_out = sum(map(len, data.validation)) * evaluations + 2 * sum(map(len, data.test))
    steps = recipe.total_steps(len(data.training))
    return pace * (epoch * steps / len(groups) + EVALUATION_COST * held_out)


def _padded(batch: Sequence[Encoded]) -> int:
    """Tokens that a batch costs: all rows are as long as the longest."""
    return len(batch) * max(map(len, batch))
