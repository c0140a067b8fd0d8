from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models

from aitwin.errors import TwinError
from aitwin.style import base_mlx, base_torch, memory
from aitwin.style.base import Base
from aitwin.style.memory import Shape
from aitwin.style.recipe import Recipe

QWEN_7B = Shape(
    layers=28,
    width=3584,
    inner=18944,
    heads=28,
    queries=3584,
    keys=512,
    vocabulary=152_064,
    matrices=28 * (3584 * (2 * 3584 + 2 * 512) + 3 * 3584 * 18944),
    others=2 * 152_064 * 3584 + 57 * 3584,
)
"""Qwen2.5-7B-Instruct: 7.6 billion parameters, of which 6.5 in matrices."""


@pytest.fixture
def tiny(tmp_path: Path) -> Base:
    return tiny_models.tiny(tmp_path)


def test_the_sizes_are_those_of_the_file(smollm2: Path) -> None:
    shape = memory.shape(smollm2)
    assert shape.parameters == 134_515_008
    assert (shape.layers, shape.width, shape.inner, shape.vocabulary) == (30, 576, 1536, 49152)
    assert (shape.queries, shape.keys) == (576, 192)
    assert shape.matrices == 30 * (576 * (2 * 576 + 2 * 192) + 3 * 576 * 1536)


@pytest.mark.parametrize("bits", [4, 32])
@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ("q_proj", "k_proj", "o_proj")])
def test_weights_and_adapter_are_counted_exactly(
    tiny: Base, bits: int, targets: tuple[str, ...]
) -> None:
    """Against the tensors of the trainer: the optimiser keeps twice what the adapter is."""
    from aitwin.style.trainer_torch import TorchTrainer

    recipe = Recipe(targets=targets, dropout=0.0)
    trainer = TorchTrainer(tiny, recipe, bits)
    trainer.step([tiny_models.encoded(4)], 1e-4)
    parts = memory.estimate(tiny, recipe, bits, False)
    adapter = sum(p.numel() * p.element_size() for p in trainer._weights)
    moments = sum(
        array.nbytes for name, array in trainer.state().items() if name.endswith(("avg", "avg_sq"))
    )
    assert parts.adapter == 2 * adapter + moments
    frozen = sum(
        p.numel() * p.element_size() for p in trainer.model.parameters() if not p.requires_grad
    )
    scales = 0 if bits == 32 else 2 * 2 * 64 * 300  # of matrices so small, not as many per scale
    assert parts.weights == pytest.approx(frozen, abs=4 * 400 + scales)


def test_activations_are_those_that_autograd_keeps(tiny: Base) -> None:
    """Every tensor that the backward pass holds, each once, against the formula."""
    import torch

    from aitwin.style.trainer_torch import TorchTrainer

    recipe = Recipe(sequence_length=256)
    trainer = TorchTrainer(tiny, recipe, 32)
    trainer._learn(True)
    batch = [replace(one, prompt=one.prompt * 60) for one in tiny_models.encoded(4)]
    batch = [replace(one, prompt=one.prompt[: 256 - len(one.reply)]) for one in batch]
    parameters = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = trainer._negative_log_likelihood(batch)
    reckoned = memory._activations(memory.shape(tiny.gguf), recipe, 4, checkpointing=False)
    assert reckoned == pytest.approx(sum(held.values()), rel=0.2)
    loss.backward()


def test_less_where_less_is_asked() -> None:
    """R1: what is named in the message is what helps."""

    def total(recipe: Recipe, bits: int = 4, checkpointing: bool = False) -> int:
        return memory.reckon(QWEN_7B, recipe, bits, checkpointing, "cuda").total

    usual = Recipe()
    assert total(usual, 32) > total(usual, 16) > total(usual)
    assert total(usual, checkpointing=True) < total(usual)
    assert total(replace(usual, batch=8)) > total(usual)
    assert total(replace(usual, sequence_length=256)) < total(usual)
    assert total(replace(usual, rank=32)) > total(usual)


def test_a_7b_in_4_bits() -> None:
    """M1: QLoRA of a 7B fits a GPU of 12 GB with checkpointing; its weights are 5.5 GB."""
    recipe = Recipe()
    held = memory.reckon(QWEN_7B, recipe, 4, True, "cuda")
    assert held.weights == pytest.approx(5.5e9, rel=0.02)
    assert held.total < 12e9 * memory.USABLE + 0.5e9


@pytest.mark.parametrize(
    ("device", "gigabytes", "expected"),
    [
        ("cuda", 80, (4, False)),
        ("cuda", 24, (4, True)),
        ("cpu", 64, (32, True)),
        ("cpu", 96, (32, False)),
        ("cpu", 24, (4, True)),
        ("mps", 32, (16, True)),
        ("mps", 64, (32, True)),
    ],
)
def test_bits_and_checkpointing_are_what_fits(
    tiny: Base,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    gigabytes: int,
    expected: tuple[int, bool],
) -> None:
    monkeypatch.setattr(memory, "shape", lambda _: QWEN_7B)
    monkeypatch.setattr(memory, "available", lambda _: gigabytes * 10**9)
    plan = memory.plan(tiny, Recipe(), device)
    assert (plan.bits, plan.checkpointing) == expected


def test_small_bases_stay_floats_on_a_gpu(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda _: 80 * 10**9)
    assert memory.plan(tiny, Recipe(), "cuda").bits == 16
    assert memory.plan(tiny, Recipe(), "cuda", bits=4).bits == 4


def test_without_bitsandbytes_there_are_no_4_bits(
    tiny: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "find_spec", lambda _: None)
    monkeypatch.setattr(memory, "shape", lambda _: QWEN_7B)
    monkeypatch.setattr(memory, "available", lambda _: 24 * 10**9)
    assert memory.plan(tiny, Recipe(), "cuda").bits == 16
    with pytest.raises(TwinError, match="choose a smaller base"):
        memory.plan(tiny, Recipe(), "cpu")


def test_what_cannot_fit_is_refused_with_what_to_lower(
    tiny: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1: before anything is converted or loaded."""
    from aitwin.style.trainer_torch import TorchTrainer

    monkeypatch.setattr(memory, "available", lambda _: 10**9 // 2)
    says = r"takes about 0\.\d GB .* of 0\.5: lower batch \(now 8\) or sequence_length \(now 512\)"
    with pytest.raises(TwinError, match=says):
        TorchTrainer(tiny, Recipe(batch=8))
    with pytest.raises(TwinError, match=r"0\.5: lower sequence_length .*smaller base"):
        TorchTrainer(tiny, Recipe())
    assert not tiny.converted(base_torch.FORM).exists()


def test_mlx_holds_the_bits_of_the_file(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: Qwen2.5-7B as Q4_K_M, some of it in 8 bits, trains in less than 12 GB."""
    held = memory.estimate_mlx(tiny, Recipe())
    assert held.weights == 4 * memory.shape(tiny.gguf).parameters
    assert memory.plan_mlx(tiny, Recipe(), "cpu").bits == 32
    monkeypatch.setattr(memory, "shape", lambda _: QWEN_7B)
    monkeypatch.setattr(base_mlx, "size", lambda _: (5_500_000_000, 4))
    monkeypatch.setattr(memory, "available", lambda _: 16 * 10**9)
    plan = memory.plan_mlx(tiny, Recipe())
    assert (plan.bits, plan.checkpointing) == (4, True)
    assert plan.estimate.total < 16e9 * memory.USABLE


def test_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = memory.available("cpu")
    assert there > 10**9
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP", limit)
    limit.write_text("max\n")
    assert memory.available("cpu") >= there
    limit.write_text("500000000\n")
    assert memory.available("cpu") == 500_000_000


def test_another_file_is_no_model(tmp_path: Path) -> None:
    import gguf_samples

    file = gguf_samples.write(tmp_path / "x.gguf", {"general.architecture": "llama"}, {})
    with pytest.raises(TwinError, match="no model of the Llama family"):
        memory.shape(file)


@pytest.mark.parametrize(("device", "bits"), [("cpu", 16), ("cpu", 8), ("cuda", -5), ("mps", 1)])
def test_bits_that_there_are_not_are_refused(
    tiny: Base, monkeypatch: pytest.MonkeyPatch, device: str, bits: int
) -> None:
    monkeypatch.setattr(memory, "available", lambda _: 80 * 10**9)
    with pytest.raises(TwinError, match=rf"on {device} PyTorch holds .* not in {bits};"):
        memory.plan(tiny, Recipe(), device, bits)
