"""Every number of a training run: its one default, its bounds, and why (M2-M5).

Does not train: see train.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import ceil, cos, pi
from typing import Any

from aitwin.errors import TwinError
from aitwin.prompt import ROW_TOKENS

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class Recipe:
    """How an adapter is trained. Construction refuses values out of bounds, all at once."""

    rank: int = 8
    """8 learns style, 16 style and task; above 32 an adapter starts to memorise (M2)."""
    alpha: int = 16
    """Scale of the update is alpha / rank; twice the rank is the usual choice (Hu et al., 2021)."""
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    """Attention projections that are adapted; `k_proj` and `o_proj` are optional (M2)."""
    dropout: float = 0.05
    learning_rate: float = 2e-4
    """Peak, reached after the warm-up; a cosine leads from there to zero (M3)."""
    warmup: float = 0.1
    """Share of the optimiser steps in which the learning rate rises (M3)."""
    batch: int = 4
    """Examples per device and forward pass (M4)."""
    accumulation: int = 4
    """Forward passes per optimiser step (M4)."""
    sequence_length: int = ROW_TOKENS
    """Tokens; a longer example loses the oldest part of its context, never of its reply (M4)."""
    epochs: int = 2
    """Passes over the training split (M5); `steps`, when given, takes its place."""
    steps: int | None = None
    """Optimiser steps (M5)."""
    patience: int = 3
    """Evaluations in a row without a better one, after which the rest is not worth its time."""
    clip: float = 1.0
    """Largest gradient norm."""
    seed: int = 20

    def __post_init__(self) -> None:
        """Refuse what is known not to work, with the reason."""
        problems = list(self._problems())
        if problems:
            raise TwinError("this recipe will not do:\n" + "\n".join(f"- {p}" for p in problems))

    def _problems(self) -> Iterator[str]:
        bounds = (
            ("rank", self.rank, 1, 32, "a higher rank memorises mail instead of learning style"),
            ("alpha", self.alpha, 1, 512, "more drowns the base model"),
            ("dropout", self.dropout, 0.0, 0.5, "more leaves nothing to learn from"),
            ("learning_rate", self.learning_rate, 1e-6, 1e-3, "more diverges, less learns nothing"),
            ("warmup", self.warmup, 0.05, 0.10, "shorter is unstable, longer is wasted"),
            ("batch", self.batch, 4, 8, "fewer is noisy, more needs too much memory"),
            ("accumulation", self.accumulation, 4, 8, "an update wants 16 to 64 examples"),
            ("sequence_length", self.sequence_length, 64, 4096, "memory grows with it"),
            ("epochs", self.epochs, 1, 3, "more memorises"),
            ("patience", self.patience, 1, 10, "one odd evaluation is no trend, ten are a run"),
            (
                "clip",
                self.clip,
                0.01,
                10.0,
                "less learns nothing, more lets one odd mail derail it",
            ),
        )
        for name, value, low, high, reason in bounds:
            if not low <= value <= high:
                yield f"{name} {value} is not within {low} to {high}: {reason}"
        if self.steps is not None and not 300 <= self.steps <= 600:
            yield f"steps {self.steps} is not within 300 to 600: fewer underfits, more memorises"
        unknown = [target for target in self.targets if target not in TARGETS]
        if unknown or not self.targets:
            yield f"targets {', '.join(unknown) or '(none)'}: choose among {', '.join(TARGETS)}"
        elif len(set(self.targets)) < len(self.targets):
            yield f"targets {', '.join(self.targets)}: name each once"

    def warnings(self, activations: int) -> Iterator[str]:
        """What is allowed but deserves a word before the run starts.

        `activations` are the bytes that a batch of the longest examples takes (see memory).
        """
        if self.sequence_length >= 2048:
            yield (
                f"sequence_length {self.sequence_length}: a batch takes up to "
                f"{activations / 1e9:.1f} GB beside the base; 512 to 1,024 is plenty for mail and "
                "chats"
            )
        if self.rank > 16:
            yield f"rank {self.rank}: above 16, check the memorisation figures afterwards"

    def total_steps(self, examples: int) -> int:
        """Optimiser steps for a training split of `examples`."""
        if self.steps is not None:
            return self.steps
        return max(1, ceil(examples / (self.batch * self.accumulation)) * self.epochs)

    def learning_rate_at(self, step: int, total: int) -> float:
        """Of optimiser step `step` (from 0): a linear warm-up, then a cosine to zero."""
        warm = max(1, round(self.warmup * total))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + cos(pi * (step - warm) / max(1, total - warm)))

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)
