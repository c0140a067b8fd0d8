"""One of several processes that train together; `mlx.launch` runs it (see test_trainer_mlx)."""

import json
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import style_models

from aitwin.errors import TwinError
from aitwin.style import base as bases
from aitwin.style.batches import Loss
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded
from aitwin.style.trainer_mlx import MlxTrainer

RECIPE = Recipe(dropout=0.2, accumulation=4)
BATCHES = 3
"""One less than a whole number of rounds of two processes: in the last, one has nothing to do."""


def train(gguf: Path, cache: Path, target: Path) -> None:
    """Two steps, an evaluation, and what came of them in a file of this process."""
    trainer = MlxTrainer(bases.find("tiny", gguf, "0" * 64, cache), RECIPE)
    examples = style_models.examples(4 * BATCHES)
    group = [examples[start : start + 4] for start in range(0, len(examples), 4)]
    losses = [trainer.step(group, 1e-3), trainer.step(group[:1], 1e-3)]
    rounds = list(trainer.evaluate(examples))
    untouched = list(trainer.evaluate(examples, adapted=False))
    rank = mx.distributed.init().rank()
    np.savez(target / f"adapter{rank}.npz", **trainer.adapter_state())
    report = {
        "lead": trainer.lead,
        "agreed": trainer.agreed(0.1 + rank),
        "rounds": len(rounds),
        "losses": [[loss.total, loss.tokens] for loss in losses],
        "after": vars(sum(rounds, Loss(0.0, 0))),
        "before": vars(sum(untouched, Loss(0.0, 0))),
    }
    if mx.distributed.init().size() > 1:
        report["left"] = left_alone(trainer, group)
    (target / f"report{rank}.json").write_text(json.dumps(report))


def left_alone(trainer: MlxTrainer, group: list[list[Encoded]]) -> list[str]:
    """What the lead is told when the other process is gone."""
    said: list[str] = []
    if not trainer.lead:
        return said
    for act in (lambda: trainer.step(group, 1e-3), lambda: trainer.agreed(1.0)):
        try:
            act()
        except TwinError as error:
            said.append(str(error))
    return said


if __name__ == "__main__":
    train(*map(Path, sys.argv[1:]))
