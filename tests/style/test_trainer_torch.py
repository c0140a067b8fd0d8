import math
import os
import random
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from style_samples import example, pairs

from aitwin.errors import TwinError
from aitwin.style import trainer_torch
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


def test_no_prompt_token_is_a_target(
    trainer: TorchTrainer, few: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The targets are the reply tokens in order, the last one the end of turn."""
    seen: list[list[int]] = []
    real = trainer_torch._head_loss

    def spy(hidden: torch.Tensor, head: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert len(hidden) == len(labels)
        seen.append(labels.tolist())
        return real(hidden, head, labels)

    monkeypatch.setattr(trainer_torch, "_head_loss", spy)
    list(trainer.evaluate(few[:4]))
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


# --- Runs, on a base of two layers ----------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_models.tiny(tmp_path_factory.mktemp("tiny"))


SHORT = tiny_models.encoded(40)
GROUP = [SHORT[:4], SHORT[4:8], SHORT[8:12]]


def same(ours: Arrays, theirs: Arrays) -> bool:
    assert set(ours) == set(theirs)
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


def mean(trainer: TorchTrainer, *, adapted: bool = True) -> float:
    return sum(trainer.evaluate(SHORT, adapted=adapted), Loss(0.0, 0)).mean


def test_the_same_seed_starts_the_same_run(tiny: Base) -> None:
    """Two trainers in one process, whatever was drawn in between, give the same bits."""

    def run(seed: int) -> Arrays:
        one = TorchTrainer(tiny, Recipe(seed=seed))
        one.step(GROUP, 1e-3)
        return one.adapter_state()

    first = run(20)
    torch.rand(1000)
    assert same(first, run(20))
    assert not same(first, run(21))


@pytest.mark.parametrize("bits", [32, 4])
def test_state_goes_on_to_the_bit(tiny: Base, bits: int) -> None:
    """Adapter, moments of the optimiser and the dropout's generator: all that a step depends on."""
    whole = TorchTrainer(tiny, Recipe(dropout=0.3), bits)
    whole.step(GROUP, 1e-3)
    state, adapter = whole.state(), whole.adapter_state()
    first = whole.step(GROUP, 5e-4)
    resumed = TorchTrainer(tiny, Recipe(dropout=0.3, seed=99), bits)
    resumed.load_adapter_state(adapter)
    resumed.load_state(state)
    assert resumed.step(GROUP, 5e-4) == first
    assert same(whole.adapter_state(), resumed.adapter_state())
    assert same(whole.state(), resumed.state())


def test_the_state_of_8_bit_adamw_is_kept_too(tiny: Base) -> None:
    """It is used on CUDA; it runs on a CPU as well. Its moments are bytes and their scales."""
    from bitsandbytes.optim import AdamW8bit

    def trainer() -> TorchTrainer:
        one = TorchTrainer(tiny, Recipe(dropout=0.0, rank=32))
        one._weights = [p for p in one._weights if p.numel() >= 2048]
        one._optimizer = AdamW8bit(one._weights, lr=0.0, weight_decay=0.0, min_8bit_size=1024)
        return one

    whole = trainer()
    whole.step(GROUP, 1e-3)
    state, adapter = whole.state(), whole.adapter_state()
    assert {array.dtype for name, array in state.items() if "state1" in name} == {np.dtype("u1")}
    whole.step(GROUP, 5e-4)
    resumed = trainer()
    resumed.load_adapter_state(adapter)
    resumed.load_state(state)
    resumed.step(GROUP, 5e-4)
    assert same(whole.adapter_state(), resumed.adapter_state())


def test_clipping_bounds_the_update(tiny: Base) -> None:
    """A learning rate of zero moves nothing; the gradient norm seen by AdamW is at most `clip`."""
    trainer = TorchTrainer(tiny, Recipe(clip=0.01))
    before = trainer.adapter_state()
    norms: list[float] = []
    step = trainer._optimizer.step

    def spy() -> None:
        norms.append(math.sqrt(sum(float(p.grad.pow(2).sum()) for p in trainer._weights)))
        step()

    trainer._optimizer.step = spy
    trainer.step(GROUP, 0.0)
    assert norms[0] <= 0.01 * 1.001
    assert same(trainer.adapter_state(), before)


@pytest.mark.parametrize("count", [1, 5, 600])
def test_the_loss_and_its_slope_are_those_of_cross_entropy(count: int) -> None:
    """Also where the positions do not fill a piece, and where they fill several."""
    draw = torch.Generator().manual_seed(2)
    head = torch.randn(97, 16, generator=draw)
    hidden = torch.randn(count, 16, generator=draw, requires_grad=True)
    labels = torch.randint(0, 97, (count,), generator=draw)
    theirs = torch.nn.functional.cross_entropy(hidden @ head.T, labels, reduction="sum")
    (wanted,) = torch.autograd.grad(theirs, hidden)
    ours = trainer_torch._head_loss(hidden, head, labels)
    (slope,) = torch.autograd.grad(ours / 7, hidden)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    torch.testing.assert_close(slope * 7, wanted, rtol=1e-4, atol=1e-5)
    assert trainer_torch._head_loss(hidden.detach(), head, labels).item() == pytest.approx(
        theirs.item(), rel=1e-5
    )


def test_checkpointing_gives_the_same_gradients(
    tiny: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M1: with dropout, which is drawn again alike when a layer is computed again."""
    recipe = Recipe(dropout=0.3)
    kept = TorchTrainer(tiny, recipe)
    plan = replace(kept.plan, checkpointing=True)
    monkeypatch.setattr(trainer_torch.memory, "plan", lambda *_: plan)
    again = TorchTrainer(tiny, recipe)
    assert again.model.get_base_model().model.layers[0].gradient_checkpointing
    for one in (kept, again):
        torch.manual_seed(5)
        one.step(GROUP, 1e-3)
    for name, array in kept.adapter_state().items():
        np.testing.assert_allclose(again.adapter_state()[name], array, rtol=1e-5, atol=1e-7)


# --- 4 bits ---------------------------------------------------------------------------------------


def test_4_bits_learn(tiny: Base, tmp_path: Path) -> None:
    """M1: QLoRA; training after an evaluation too, and the adapter belongs on floats as well."""
    trainer = TorchTrainer(tiny, Recipe(dropout=0.0), bits=4)
    assert "bitsandbytes" in trainer.libraries
    kinds = {type(m).__name__ for n, m in trainer.model.named_modules() if "base_layer" in n}
    assert kinds == {"Linear4bit"}
    assert trainer.model.get_base_model().lm_head.weight.dtype == torch.float32
    before, base = mean(trainer), mean(trainer, adapted=False)
    assert before == base
    losses = []
    for _ in range(6):
        losses.append(trainer.step(GROUP, 1e-3).mean)
        mean(trainer)
    assert losses == sorted(losses, reverse=True)
    assert mean(trainer, adapted=False) == base
    whole = TorchTrainer(tiny, Recipe(dropout=0.0))
    state = trainer.adapter_state()
    assert {array.dtype for array in state.values()} == {np.dtype(np.float32)}
    assert {name: a.shape for name, a in whole.adapter_state().items()} == {
        name: a.shape for name, a in state.items()
    }
    untouched = mean(whole)
    whole.load_adapter_state(state)
    assert mean(whole) < untouched


@pytest.mark.model
def test_4_bits_of_a_real_base_are_close_to_floats(
    small_base: Base, trainer: TorchTrainer, few: list[Encoded]
) -> None:
    """Measured: 6.13 against 5.85 nats per token; a larger model loses less."""
    four = TorchTrainer(small_base, Recipe(dropout=0.0), bits=4)
    (held,) = four.evaluate(few[:4], adapted=False)
    (floats,) = trainer.evaluate(few[:4], adapted=False)
    assert held.mean == pytest.approx(floats.mean, rel=0.1)


# --- A full memory --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("where", ["step", "evaluate"])
def test_a_full_memory_says_what_to_lower(
    tiny: Base, monkeypatch: pytest.MonkeyPatch, error: Exception, where: str
) -> None:
    trainer = TorchTrainer(tiny, Recipe(batch=8))

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(trainer_torch, "_head_loss", full)
    with pytest.raises(TwinError, match=r"memory is full.*batch \(now 8\).*smaller base"):
        trainer.step(GROUP, 1e-3) if where == "step" else list(trainer.evaluate(SHORT))


def test_another_error_stays_what_it_is(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = TorchTrainer(tiny, Recipe())

    def broken(*_: object) -> None:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(trainer_torch, "_head_loss", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        trainer.step(GROUP, 1e-3)


# --- Quiet ----------------------------------------------------------------------------------------


def test_loading_is_silent_but_our_own_warnings_are_heard(
    tiny: Base, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        TorchTrainer(tiny, Recipe())
        warnings.warn("ours", FutureWarning, stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["ours"]
    assert capfd.readouterr() == ("", "")


def test_bitsandbytes_is_imported_silently_and_looks_nowhere(tmp_path: Path) -> None:
    """It asks the package `kernels`, where that is installed, to fetch one from the network."""
    (tmp_path / "kernels.py").write_text("raise SystemExit('it looks for kernels')")
    code = (
        "import sys, aitwin.style.trainer_torch as t\n"
        "with t._quiet(): import peft, accelerate\n"
        "assert 'bitsandbytes' in sys.modules and 'kernels' not in sys.modules"
    )
    paths = [str(tmp_path), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_end_of_turn_is_the_last_target(engine: LlamaCpp, few: list[Encoded]) -> None:
    (end,) = engine.tokenize(END_OF_TURN)
    assert {one.reply[-1] for one in few} == {end}
