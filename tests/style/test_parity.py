"""One recipe, two trainers: the same losses, the same adapters, and those of the engine."""

import json
from pathlib import Path

import numpy as np
import pytest
import style_models
from style_samples import example

from aitwin.prompt import ChatMessage
from aitwin.style import adapter as adapters
from aitwin.style import gguf as export
from aitwin.style.base import Base
from aitwin.style.batches import Loss, batches
from aitwin.style.engine import LlamaCpp
from aitwin.style.recipe import TARGETS, Recipe
from aitwin.style.tokens import END_OF_TURN, Encoded
from aitwin.style.trainer import Trainer
from aitwin.style.trainer_mlx import MlxTrainer
from aitwin.style.trainer_torch import TorchTrainer

EXAMPLES = style_models.examples(56)
TRAINING, HELD_OUT = EXAMPLES[:48], EXAMPLES[48:]
# The highest rate, on a random model: enough for its losses to move in nine steps.
RECIPE = Recipe(dropout=0.0, learning_rate=1e-3, epochs=3, targets=TARGETS)


def train(trainer: Trainer) -> list[Loss]:
    """As train does: three epochs, warm-up and cosine."""
    losses = []
    total = RECIPE.total_steps(len(TRAINING))
    for epoch in range(RECIPE.epochs):
        for group in batches(TRAINING, RECIPE, epoch):
            rate = RECIPE.learning_rate_at(len(losses), total)
            losses.append(trainer.step(group, rate))
    return losses


def held_out(trainer: Trainer) -> float:
    return sum(trainer.evaluate(HELD_OUT), Loss(0.0, 0)).mean


@pytest.mark.parametrize(
    ("architecture", "kind", "width", "tolerance"),
    [
        ("llama", "F32", 64, 1e-5),
        ("qwen2", "F32", 64, 1e-5),
        # Of the weights: PyTorch trains on dequantised ones, MLX on the integers themselves.
        ("qwen2", "Q4_0", 64, 5e-4),
        ("llama", "Q4_K", 256, 5e-4),
    ],
)
def test_both_train_the_same_adapter(
    architecture: str, kind: str, width: int, tolerance: float, tmp_path: Path
) -> None:
    """Issue 4, M2 to M5: held-out loss within 0.001 %, on 4 bits within 0.05 %."""
    base = style_models.base(tmp_path, architecture, kind, width=width)
    mlx, torch = MlxTrainer(base, RECIPE), TorchTrainer(base, RECIPE)
    start = mlx.adapter_state()
    fresh = torch.adapter_state()
    assert start.keys() == fresh.keys()
    assert all(np.array_equal(start[name], fresh[name]) for name in start)

    before = held_out(mlx)
    assert before == pytest.approx(held_out(torch), rel=tolerance)
    for ours, theirs in zip(train(mlx), train(torch), strict=True):
        assert ours.tokens == theirs.tokens
        assert ours.mean == pytest.approx(theirs.mean, rel=tolerance)
    ours, theirs = held_out(mlx), held_out(torch)
    assert before - ours > 10 * tolerance * before  # they learned something to speak of
    assert ours == pytest.approx(theirs, rel=tolerance)

    # Each goes on with the adapter of the other.
    made, other = mlx.adapter_state(), torch.adapter_state()
    mlx.load_adapter_state(other)
    torch.load_adapter_state(made)
    assert held_out(mlx) == pytest.approx(theirs, rel=tolerance)
    assert held_out(torch) == pytest.approx(ours, rel=tolerance)
    if kind == "F32":
        apart = max(np.abs(made[name] - other[name]).max() for name in made)
        assert apart < 0.01 * max(np.abs(made[name]).max() for name in made)


@pytest.mark.model
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_llama_cpp_serves_what_mlx_trained(
    architecture: str, smollm2: Path, tmp_path: Path
) -> None:
    """M1: adapters on every attention projection, written as train writes them."""
    base = style_models.base(tmp_path, architecture, tokenizer_from=smollm2)
    trainer = MlxTrainer(base, RECIPE)
    random = np.random.default_rng(4)
    state = {
        name: (random.standard_normal(array.shape) * 0.2).astype(np.float32)
        for name, array in trainer.adapter_state().items()
    }
    trainer.load_adapter_state(state)
    adapters.write_weights(tmp_path, trainer.adapter_state(), RECIPE, base.name)
    assert json.loads((tmp_path / adapters.CONFIG).read_text())["r"] == RECIPE.rank
    export.from_peft(tmp_path, base, tmp_path / adapters.GGUF)
    with LlamaCpp(base.gguf, tmp_path / adapters.GGUF, context=512) as engine:
        for adapted in (False, True):
            served, trained = _both(engine, trainer, "Bring the key.", adapted=adapted)
            assert served == pytest.approx(trained, rel=2e-3)


def _both(
    engine: LlamaCpp, trainer: Trainer, reply: str, *, adapted: bool = True
) -> tuple[float, float]:
    """Log-probability of a reply in the engine and in the trainer."""
    messages: list[ChatMessage] = example("Ana: the key?", reply).messages[:-1]
    served = engine.score(messages, reply, adapted=adapted).log_probability
    ids = tuple(engine.prompt_tokens(messages)), tuple(engine.tokenize(reply + END_OF_TURN))
    losses = trainer.evaluate([Encoded("one", *ids)], adapted=adapted)
    return served, -sum(loss.total for loss in losses)


@pytest.mark.model
def test_the_real_model_is_the_same_in_all_three(small_base: Base) -> None:
    """SmolLM2, Q4_1 and Q8_0: log-probabilities of a reply, and one step on it.

    Few tokens: MLX's wheel for Linux multiplies by a reference BLAS, 0.15 s for each of them.
    """
    mlx, torch = MlxTrainer(small_base, RECIPE), TorchTrainer(small_base, RECIPE, 32)
    one = [Encoded("one", (1, 4093, 198, 504, 2365, 47, 198), (6824, 28, 357, 2))]
    ours, theirs = (next(iter(trainer.evaluate(one))).total for trainer in (mlx, torch))
    assert ours == pytest.approx(theirs, rel=2e-3)
    assert mlx.step([one], 1e-3).total == pytest.approx(torch.step([one], 1e-3).total, rel=2e-3)
    ours, theirs = (next(iter(trainer.evaluate(one))).total for trainer in (mlx, torch))
    assert ours == pytest.approx(theirs, rel=1e-2)
