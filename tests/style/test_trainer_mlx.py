import json
import math
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx_process
import numpy as np
import pytest
import style_models
from mlx import optimizers
from mlx.utils import tree_flatten

from aitwin.corpus.dataset import Dataset
from aitwin.errors import TwinError
from aitwin.style import memory, trainer_mlx
from aitwin.style.adapter import GGUF, WEIGHTS
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.recipe import TARGETS, Recipe
from aitwin.style.train import Job, Progress, Watcher, train
from aitwin.style.trainer import Arrays
from aitwin.style.trainer_mlx import MlxTrainer

FEW = style_models.examples(8)
GROUP = [FEW[:4], FEW[4:]]


@pytest.fixture(scope="module", params=["llama-F32", "qwen2-Q4_0"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    architecture, kind = request.param.split("-")
    return style_models.base(
        tmp_path_factory.mktemp("base"), architecture, kind, tied=kind == "Q4_0"
    )


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return style_models.base(tmp_path_factory.mktemp("base"), "qwen2", "Q4_0")


def same(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


# --- Losses ---------------------------------------------------------------------------------------


def test_the_loss_is_that_of_the_reply_alone(base: Base) -> None:
    """Against mlx-lm's own full logits, token by token: prompt tokens carry no loss."""
    trainer = MlxTrainer(base, Recipe())
    (loss,) = trainer.evaluate(FEW[:1])
    logits = trainer.model(mx.array([FEW[0].prompt + FEW[0].reply]))[0].astype(mx.float32)
    likely = np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
    start = len(FEW[0].prompt)
    by_hand = -sum(float(likely[start + n - 1, token]) for n, token in enumerate(FEW[0].reply))
    assert loss.tokens == len(FEW[0].reply)
    assert loss.total == pytest.approx(by_hand, rel=1e-5)


def test_padding_changes_nothing(base: Base) -> None:
    """A batch of unlike lengths has the sum of the losses of each alone."""
    trainer = MlxTrainer(base, Recipe())
    batch = [replace(FEW[0], prompt=FEW[0].prompt * 4), *FEW[1:4]]
    together = sum(trainer.evaluate(batch), Loss(0.0, 0))
    alone = sum((loss for one in batch for loss in trainer.evaluate([one])), Loss(0.0, 0))
    assert together.tokens == alone.tokens
    assert together.total == pytest.approx(alone.total, rel=1e-5)


def test_a_fresh_adapter_is_the_base_and_a_trained_one_is_not(base: Base) -> None:
    trainer = MlxTrainer(base, Recipe())
    twin, plain = (
        sum(trainer.evaluate(FEW, adapted=adapted), Loss(0.0, 0)) for adapted in (True, False)
    )
    assert twin == plain
    trainer.step(GROUP, 1e-3)
    twin, again = (
        sum(trainer.evaluate(FEW, adapted=adapted), Loss(0.0, 0)) for adapted in (True, False)
    )
    assert twin.total < plain.total
    assert again == plain


# --- What is trained, and how ---------------------------------------------------------------------


def test_only_the_chosen_projections_are_trained(base: Base) -> None:
    """M2: rank, targets and scale are those of the recipe, in all layers; the rest is frozen."""
    trainer = MlxTrainer(base, Recipe(rank=4, alpha=12, targets=TARGETS))
    frozen = {
        name: np.array(array.astype(mx.float32))
        for name, array in tree_flatten(trainer.model.parameters())
        if "lora" not in name
    }
    trainer.step(GROUP, 1e-3)
    trained = dict(tree_flatten(trainer.model.trainable_parameters()))
    assert len(trained) == style_models.LAYERS * 4 * 2
    assert {name.split(".")[-2] for name in trained} == set(TARGETS)
    assert all(4 in array.shape for array in trained.values())
    assert {module.scale for module in trainer._adapted.values()} == {3.0}
    for name, array in tree_flatten(trainer.model.parameters()):
        if "lora" not in name:
            assert np.array_equal(np.array(array.astype(mx.float32)), frozen[name])


def test_the_adapter_has_the_names_and_shapes_of_peft(base: Base) -> None:
    state = MlxTrainer(base, Recipe(targets=("k_proj",))).adapter_state()
    name = "base_model.model.model.layers.1.self_attn.k_proj.lora_{}.weight"
    keys = style_models.WIDTH // style_models.HEADS * style_models.KEY_HEADS
    assert len(state) == 2 * style_models.LAYERS
    assert state[name.format("A")].shape == (8, style_models.WIDTH)
    assert state[name.format("B")].shape == (keys, 8)
    assert {array.dtype for array in state.values()} == {np.dtype(np.float32)}
    assert all(array.flags["C_CONTIGUOUS"] for array in state.values())


def test_quantised_weights_stay_quantised(quantised: Base) -> None:
    """M1: QLoRA. Four bits in memory, and the manifest can say so."""
    trainer = MlxTrainer(quantised, Recipe())
    held = dict(tree_flatten(trainer.model.parameters()))
    assert trainer.bits == 4
    assert held["model.layers.0.self_attn.q_proj.linear.weight"].dtype == mx.uint32
    assert held["model.embed_tokens.weight"].dtype == mx.uint32
    assert trainer.device == ("cpu" if sys.platform == "linux" else "metal")
    assert trainer.peak_memory() > 1e7


def test_the_optimiser_is_the_one_of_the_requirements(base: Base) -> None:
    """M3: AdamW, with the bias correction that mlx-lm leaves out."""
    optimizer = MlxTrainer(base, Recipe())._optimizer
    assert isinstance(optimizer, optimizers.AdamW)
    assert optimizer.bias_correction
    assert (optimizer.betas, optimizer.eps) == ([0.9, 0.999], 1e-8)
    assert optimizer.weight_decay == 0


def test_clipping_bounds_the_update(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learning rate of zero moves nothing; the gradient norm seen by AdamW is at most `clip`."""
    trainer = MlxTrainer(base, Recipe(clip=0.01))
    before = trainer.adapter_state()
    norms: list[float] = []
    update = trainer._optimizer.update

    def spy(model: object, gradients: object) -> None:
        norms.append(math.sqrt(sum(g.square().sum().item() for _, g in tree_flatten(gradients))))
        update(model, gradients)

    monkeypatch.setattr(trainer._optimizer, "update", spy)
    trainer.step(GROUP, 0.0)
    assert 0.009 < norms[0] <= 0.01 * 1.001
    assert same(before, trainer.adapter_state())


def test_the_same_seed_starts_the_same_run(base: Base) -> None:
    """Whatever was drawn in between; dropout and A come from the seed alone."""

    def run(seed: int) -> Arrays:
        trainer = MlxTrainer(base, Recipe(seed=seed, dropout=0.3))
        trainer.step(GROUP, 1e-3)
        return trainer.adapter_state()

    first = run(20)
    mx.eval(mx.random.uniform(shape=(1000,)))
    assert same(first, run(20))
    assert not same(first, run(21))


def test_state_goes_on_to_the_bit(base: Base) -> None:
    """M5: adapter, moments and step: all that a step depends on, in a file that train writes."""
    recipe = Recipe(dropout=0.3)
    whole = MlxTrainer(base, recipe)
    whole.step(GROUP, 1e-3)
    state, weights = whole.state(), whole.adapter_state()
    first = whole.step(GROUP, 5e-4)
    resumed = MlxTrainer(base, recipe)
    resumed.load_adapter_state(weights)
    resumed.load_state(state)
    assert resumed.step(GROUP, 5e-4) == first
    assert same(whole.adapter_state(), resumed.adapter_state())
    assert same(whole.state(), resumed.state())


def test_a_copy_of_the_state_does_not_change(base: Base) -> None:
    trainer = MlxTrainer(base, Recipe())
    before = (trainer.state(), trainer.adapter_state())
    kept = [{name: array.copy() for name, array in arrays.items()} for arrays in before]
    trainer.step(GROUP, 1e-3)
    assert all(same(one, other) for one, other in zip(before, kept, strict=True))
    assert not same(before[1], trainer.adapter_state())


def test_state_of_another_adapter_is_refused(base: Base) -> None:
    """train turns it into the advice to start anew."""
    other = MlxTrainer(base, Recipe(targets=("k_proj",)))
    trainer = MlxTrainer(base, Recipe())
    with pytest.raises(KeyError):
        trainer.load_state(other.state())
    with pytest.raises(KeyError):
        trainer.load_adapter_state(other.adapter_state())


def test_computing_twice_instead_of_keeping_changes_nothing(base: Base) -> None:
    """Gradient checkpointing drops the same units both times; MLX's own dropout would not."""
    recipe = Recipe(dropout=0.5)
    kept, twice = MlxTrainer(base, recipe), MlxTrainer(base, recipe)
    assert not kept.checkpointing
    twice.checkpointing = True
    for _ in range(2):
        assert kept.step(GROUP, 1e-3) == twice.step(GROUP, 1e-3)
    for name, array in kept.adapter_state().items():
        assert twice.adapter_state()[name] == pytest.approx(array, abs=1e-6)


def test_a_gpu_computes_in_16_bits_and_keeps_the_adapter_in_32(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Metal would do, on the CPU: the same steps within a per cent."""
    exact = MlxTrainer(base, Recipe(dropout=0.1))
    monkeypatch.setattr(trainer_mlx, "_dtype", lambda device: mx.bfloat16)
    rough = MlxTrainer(base, Recipe(dropout=0.1))
    held = dict(tree_flatten(rough.model.parameters()))
    assert held["model.norm.weight"].dtype == mx.bfloat16
    for _ in range(2):
        assert rough.step(GROUP, 1e-3).mean == pytest.approx(exact.step(GROUP, 1e-3).mean, rel=1e-2)
    assert {array.dtype for array in rough.adapter_state().values()} == {np.dtype(np.float32)}
    moments = {name: array for name, array in rough.state().items() if name.endswith((".m", ".v"))}
    assert {array.dtype for array in moments.values()} == {np.dtype(np.float32)}
    assert (rough.adapter_state().keys(), rough.bits) == (exact.adapter_state().keys(), exact.bits)


# --- A whole run ----------------------------------------------------------------------------------


@pytest.mark.model
def test_a_killed_run_ends_as_one_that_was_not(
    data: Dataset, smollm2: Path, tmp_path: Path
) -> None:
    """M1, M5: from dataset to proven adapter on 4 bits; killed between checkpoints, the same."""
    base = style_models.base(tmp_path, "qwen2", "Q4_0", tokenizer_from=smollm2)
    recipe = Recipe(epochs=3, learning_rate=1e-3, dropout=0.1)
    whole = train(Job(data, base, recipe, tmp_path / "whole", backend="mlx"))
    assert whole is not None
    assert whole.manifest["metrics"]["bits"] == 4
    assert whole.manifest["versions"].keys() == {"mlx", "mlx-lm"}

    def kill(progress: Progress) -> None:
        if progress.step == 5:
            raise KilledError

    killed = Job(data, base, recipe, tmp_path / "killed", backend="mlx")
    with pytest.raises(KilledError):
        train(killed, watcher=Watcher(progress=kill))
    resumed = train(killed, resume=True)
    assert resumed is not None
    for name in (WEIGHTS, GGUF):
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert [{**entry, "seconds": 0} for entry in resumed.history] == [
        {**entry, "seconds": 0} for entry in whole.history
    ]


class KilledError(Exception):
    """As kill -9: nothing of the run is done after it."""


# --- When it goes wrong ---------------------------------------------------------------------------


def test_a_loss_that_is_no_number_is_told(base: Base) -> None:
    """train stops the run; the trainer hides nothing."""
    trainer = MlxTrainer(base, Recipe())
    spoiled = {name: np.full_like(array, np.nan) for name, array in trainer.adapter_state().items()}
    trainer.load_adapter_state(spoiled)
    assert math.isnan(trainer.step(GROUP, 1e-3).mean)


def test_full_memory_says_what_to_lower(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = MlxTrainer(base, Recipe())

    def fails(*arrays: object) -> None:
        raise RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory")

    monkeypatch.setattr(mx, "eval", fails)
    with pytest.raises(TwinError, match="lower sequence_length"):
        trainer.step(GROUP, 1e-3)


def test_other_errors_are_not_hidden(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = MlxTrainer(base, Recipe())

    def fails(*arrays: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(mx, "eval", fails)
    with pytest.raises(RuntimeError, match="something else"):
        trainer.step(GROUP, 1e-3)


def test_memory_decides_what_is_computed_twice(
    quantised: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(sequence_length=1024)
    kept, twice = (
        memory.estimate_mlx(quantised, recipe, checkpointing=checkpointing, device="cpu").total
        for checkpointing in (False, True)
    )
    assert twice < kept
    for there, checkpointing in ((kept, False), (twice, True)):
        monkeypatch.setattr(memory, "available", lambda device, there=there: there / memory.USABLE)
        assert MlxTrainer(quantised, recipe).checkpointing == checkpointing
    monkeypatch.setattr(memory, "available", lambda device: twice)
    with pytest.raises(TwinError, match="smaller base"):
        MlxTrainer(quantised, recipe)


# --- Several machines -----------------------------------------------------------------------------


def _free_ports() -> int:
    """The first of two that nobody listens on."""
    for port in range(20000 + os.getpid() % 20000, 60000, 2):
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


def test_two_processes_train_what_one_trains(quantised: Base, tmp_path: Path) -> None:
    """Several Macs: by mlx.launch, with dropout; in each second round one has nothing to do."""
    cache = tmp_path / "cache"
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    mlx_process.train(quantised.gguf, cache, alone)
    launch = [str(Path(sys.executable).with_name("mlx.launch")), "-n", "2", "--backend", "ring"]
    with subprocess.Popen(
        [
            *launch,
            *("--starting-port", str(_free_ports()), "--python", sys.executable),
            *("--env", f"PYTHONPATH={os.pathsep.join(p for p in sys.path if p)}"),
            mlx_process.__file__,
            *map(str, (quantised.gguf, cache, together)),
        ],
        stdin=subprocess.PIPE,  # it waits for a terminal that has nothing to say
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with those that it launched
            raise
    assert (together / "report0.json").exists(), output.decode()

    expected = json.loads((alone / "report0.json").read_text())
    reports = [json.loads((together / f"report{rank}.json").read_text()) for rank in (0, 1)]
    assert [report["lead"] for report in reports] == [True, False]
    assert [report["agreed"] for report in reports] == [0.1, 0.1]
    assert (expected["rounds"], reports[0]["rounds"]) == (3, 2)
    assert [("is gone" in said) for said in reports[0]["left"]] == [True, True]
    for report in reports:
        assert np.array(report["losses"]) == pytest.approx(np.array(expected["losses"]), rel=1e-5)
        for moment in ("before", "after"):
            assert report[moment] == pytest.approx(expected[moment], rel=1e-4)
    one = np.load(alone / "adapter0.npz")
    both = [np.load(together / f"adapter{rank}.npz") for rank in (0, 1)]
    for name in one:
        assert np.array_equal(both[0][name], both[1][name])
        assert np.abs(one[name] - both[0][name]).max() < 1e-4
