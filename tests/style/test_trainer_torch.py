import math
import random
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from style_samples import example, pairs

from aitwin.style.base import Base
from aitwin.style.batches import Loss, batches
from aitwin.style.engine import LlamaCpp
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import END_OF_TURN, Encoded, encode
from aitwin.style.trainer import Arrays
from aitwin.style.trainer_torch import TorchTrainer


def invented(count: int, seed: int = 0) -> list[Encoded]:
    draw = random.Random(seed)  # noqa: S311 (lengths, not secrets)
    return [
        Encoded(f"e{n}", (1,) * draw.randint(20, 400), (2,) * draw.randint(1, 90))
        for n in range(count)
    ]


# --- Batches --------------------------------------------------------------------------------------


@given(
    st.integers(1, 400), st.integers(4, 8), st.integers(4, 8), st.integers(0, 3), st.integers(0, 99)
)
def test_an_epoch_shows_every_example_once(
    count: int, batch: int, accumulation: int, epoch: int, seed: int
) -> None:
    """M4: updates of `accumulation` batches of `batch`; as many as the recipe plans."""
    recipe = Recipe(batch=batch, accumulation=accumulation, seed=seed, epochs=1)
    examples = invented(count)
    steps = batches(examples, recipe, epoch)
    shown = Counter(one.id for step in steps for part in step for one in part)
    assert shown == Counter(one.id for one in examples)
    assert len(steps) == recipe.total_steps(count)
    assert all(len(step) == accumulation for step in steps[:-1])
    assert all(0 < len(part) <= batch for step in steps for part in step)
    assert steps == batches(examples, recipe, epoch)


def test_epochs_and_seeds_give_other_orders() -> None:
    examples = invented(100)
    orders = {
        tuple(one.id for step in batches(examples, recipe, epoch) for part in step for one in part)
        for recipe in (Recipe(), Recipe(seed=21))
        for epoch in range(3)
    }
    assert len(orders) == 6


def test_batches_hold_examples_of_like_length() -> None:
    """Little is padded: under a tenth, where a random order would pad more than three tenths."""

    def padded(parts: list[list[Encoded]]) -> float:
        sizes = [[len(one) for one in part] for part in parts]
        return 1 - sum(map(sum, sizes)) / sum(len(part) * max(part) for part in sizes)

    examples = invented(800)
    parts = [part for step in batches(examples, Recipe(), 0) for part in step]
    assert padded(parts) < 0.1
    assert padded([examples[n : n + 4] for n in range(0, 800, 4)]) > 0.3


# --- Losses ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trainer(small_base: Base) -> TorchTrainer:
    return TorchTrainer(small_base, Recipe(dropout=0.0))


@pytest.fixture(scope="module")
def few(engine: LlamaCpp) -> list[Encoded]:
    rows = [example(pair.incoming, pair.reply) for pair in pairs(16)]
    encoded = [encode(engine, row, 512) for row in rows]
    return [one for one in encoded if one is not None]


def test_the_loss_is_that_of_the_reply_alone(trainer: TorchTrainer, few: list[Encoded]) -> None:
    """Against the model's own full logits, token by token: prompt tokens carry no loss."""
    (loss,) = trainer.evaluate(few[:1])
    ids = torch.tensor([few[0].prompt + few[0].reply])
    with torch.inference_mode():
        logits = trainer.model(input_ids=ids).logits[0].float().log_softmax(-1)
    start = len(few[0].prompt)
    by_hand = -sum(float(logits[start + n - 1, token]) for n, token in enumerate(few[0].reply))
    assert loss.tokens == len(few[0].reply)
    assert loss.total == pytest.approx(by_hand, rel=1e-4)


def test_no_prompt_token_is_a_target(trainer: TorchTrainer, few: list[Encoded]) -> None:
    """The targets of cross entropy are the reply tokens in order, the last one the end of turn."""
    seen: list[list[int]] = []
    real = torch.nn.functional.cross_entropy

    def spy(logits: torch.Tensor, labels: torch.Tensor, **options: object) -> torch.Tensor:
        seen.append(labels.tolist())
        return real(logits, labels, **options)

    torch.nn.functional.cross_entropy = spy
    try:
        list(trainer.evaluate(few[:4]))
    finally:
        torch.nn.functional.cross_entropy = real
    ordered = sorted(few[:4], key=len)
    assert seen == [[token for one in ordered for token in one.reply]]


def test_padding_changes_nothing(trainer: TorchTrainer, few: list[Encoded]) -> None:
    """A batch of unlike lengths has the sum of the losses of each alone."""
    long = replace(few[0], prompt=few[0].prompt * 3)
    together = sum(trainer.evaluate([long, *few[1:4]]), Loss(0.0, 0))
    alone = sum(
        (loss for one in (long, *few[1:4]) for loss in trainer.evaluate([one])), Loss(0.0, 0)
    )
    assert together.tokens == alone.tokens
    assert together.total == pytest.approx(alone.total, rel=1e-4)


def test_gradients_come_from_the_reply_alone(trainer: TorchTrainer, few: list[Encoded]) -> None:
    """With one token of reply, the gradient is that of this token's log-probability by hand."""
    one = replace(few[0], prompt=few[0].prompt + few[0].reply[:-1], reply=few[0].reply[-1:])
    trainer.model.eval()
    moved = [p for name, p in trainer.model.named_parameters() if "lora_B" in name]
    ours = torch.autograd.grad(trainer._negative_log_likelihood([one]), moved)
    logits = trainer.model(input_ids=torch.tensor([one.prompt + one.reply])).logits[0, -2]
    by_hand = torch.autograd.grad(-logits.float().log_softmax(-1)[one.reply[0]], moved)
    for mine, reference in zip(ours, by_hand, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-3, atol=1e-4)


def test_only_the_chosen_projections_are_trained(small_base: Base) -> None:
    """M2: rank, targets and scale are those of the recipe; everything else is frozen."""
    recipe = Recipe(rank=4, alpha=12, targets=("q_proj", "k_proj", "v_proj", "o_proj"))
    model = TorchTrainer(small_base, recipe).model
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == 30 * 4 * 2
    assert {n.split(".")[-4] for n in trained} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert all(4 in p.shape for p in trained.values())
    scales = {m.scaling["default"] for m in model.modules() if hasattr(m, "lora_A")}
    assert scales == {3.0}


def test_the_optimiser_is_the_one_of_the_requirements(trainer: TorchTrainer) -> None:
    """M3: AdamW; 8-bit where bitsandbytes runs on CUDA. Frozen weights are not in it."""
    assert isinstance(trainer._optimizer, torch.optim.AdamW)
    held = {id(p) for group in trainer._optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in trainer.model.parameters() if p.requires_grad}


def test_a_fresh_adapter_is_the_base(trainer: TorchTrainer, few: list[Encoded]) -> None:
    twin, base = (
        sum(trainer.evaluate(few[:4], adapted=adapted), Loss(0.0, 0)) for adapted in (True, False)
    )
    assert twin == base


def test_the_same_seed_starts_the_same_run(small_base: Base, few: list[Encoded]) -> None:
    """Two trainers in one process, whatever was drawn in between, give the same bits."""

    def run(seed: int) -> Arrays:
        one = TorchTrainer(small_base, Recipe(seed=seed))
        one.step([few[:4]], 1e-3)
        return one.adapter_state()

    first = run(20)
    torch.rand(1000)
    second, other = run(20), run(21)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_state_goes_on_to_the_bit(small_base: Base, few: list[Encoded]) -> None:
    """Adapter, moments of the optimiser and the dropout's generator: all that a step depends on."""
    group = [few[:4], few[4:8]]
    whole = TorchTrainer(small_base, Recipe(dropout=0.3))
    whole.step(group, 1e-3)
    state, adapter = whole.state(), whole.adapter_state()
    first = whole.step(group, 5e-4)
    resumed = TorchTrainer(small_base, Recipe(dropout=0.3, seed=99))
    resumed.load_adapter_state(adapter)
    resumed.load_state(state)
    assert resumed.step(group, 5e-4) == first
    ours, theirs = whole.adapter_state(), resumed.adapter_state()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_clipping_bounds_the_update(small_base: Base, few: list[Encoded]) -> None:
    """A learning rate of zero moves nothing; the gradient norm seen by AdamW is at most `clip`."""
    trainer = TorchTrainer(small_base, Recipe(clip=0.01))
    before = trainer.adapter_state()
    norms: list[float] = []
    step = trainer._optimizer.step

    def spy() -> None:
        norms.append(math.sqrt(sum(float(p.grad.pow(2).sum()) for p in trainer._weights)))
        step()

    trainer._optimizer.step = spy
    trainer.step([few[:4]], 0.0)
    after = trainer.adapter_state()
    assert norms[0] <= 0.01 * 1.001
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_loading_is_silent_but_our_own_warnings_are_heard(
    small_base: Base, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        TorchTrainer(small_base, Recipe())
        warnings.warn("ours", FutureWarning, stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["ours"]
    assert capfd.readouterr() == ("", "")


def test_end_of_turn_is_the_last_target(engine: LlamaCpp, few: list[Encoded]) -> None:
    (end,) = engine.tokenize(END_OF_TURN)
    assert {one.reply[-1] for one in few} == {end}
