"""What a fine-tune takes, reckoned from shapes alone (S6)."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from aitwin.errors import TwinError
from aitwin.voice import lessons, memory
from aitwin.voice.mels import Analysis
from aitwin.voice.synthesizer import FEATURES, Sizes
from aitwin.voice.tuner import Batch, Recipe, Tuner
from tests.voice import tiny_melo

SIZES = Sizes.of(tiny_melo.config())
ANALYSIS = Analysis.of(tiny_melo.config()["data"])
RECIPE = Recipe(batch=2, segment=8, narrower=16, warm_up=0)
SECONDS = 2.0


def reckoned(recipe: Recipe) -> memory.Estimate:
    """For utterances of SECONDS at most."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lessons, "LONGEST", SECONDS)
        return memory.tuning.__wrapped__(SIZES, ANALYSIS, recipe)


@pytest.fixture(scope="module")
def foreseen() -> memory.Estimate:
    return reckoned(RECIPE)


@pytest.fixture(scope="module")
def tuner() -> Tuner:
    return Tuner(tiny_melo.network(), ANALYSIS, RECIPE)


def longest(count: int) -> Batch:
    """Utterances that take most: as long as may be, with as many letters as fit."""
    frames = int(SECONDS * tiny_melo.RATE / tiny_melo.HOP)
    symbols = 2 * int(SECONDS * memory.LETTERS) + 1
    ids = torch.zeros(count, symbols, dtype=torch.long)
    random = torch.Generator().manual_seed(0)
    return Batch(
        phones=ids,
        tones=ids,
        languages=ids,
        features=torch.randn(count, FEATURES, symbols, generator=random),
        speakers=torch.zeros(count, dtype=torch.long),
        samples=torch.randn(count, frames * tiny_melo.HOP, generator=random) * 0.1,
        symbols=(symbols,) * count,
        frames=(frames,) * count,
    )


def kept_by_autograd(tuner: Tuner, batch: Batch) -> int:
    """Bytes that wait for the backward pass of the network, counted on the CPU as they come."""
    found: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)
        return tensor

    weights = {
        one.untyped_storage().data_ptr()
        for network in (tuner.network, tuner.adversaries)
        for one in network.parameters()
    }
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        passed = tuner._pass(batch)
        seen = [tuner.adversaries(passed.recorded), tuner.adversaries(passed.made)]
    del seen
    return sum(size for place, size in found.items() if place not in weights)


def test_activations_are_those_of_a_step(foreseen: memory.Estimate, tuner: Tuner) -> None:
    """Reckoned without a number being computed, and held against those of a batch that is."""
    measured = kept_by_autograd(tuner, longest(RECIPE.batch))
    assert foreseen.activations / memory.SLACK == pytest.approx(measured, rel=0.1)


def test_weights_and_checkpoint_are_those_of_a_run(foreseen: memory.Estimate, tuner: Tuner) -> None:
    tuner.step(longest(1), 0)

    def size(tensors: Iterable[Tensor | None]) -> int:
        return sum(one.nbytes for one in tensors if one is not None)

    parameters = [*tuner.network.parameters(), *tuner.adversaries.parameters()]
    moments = [tensor for name, tensor in tuner.state().items() if ".exp_avg" in name]
    best = tuner.weights()
    held = size(parameters) + size(one.grad for one in parameters) + size(moments)
    assert foreseen.weights == pytest.approx(held + size(best.values()), rel=0.02)
    # The names are a part of such small files, and nothing of the real ones.
    names = sum(len(name) + 80 for name in (*tuner.state(), *best))
    written = len(save(tuner.state())) + len(save(best))
    assert foreseen.checkpoint == pytest.approx(written - names, rel=0.05)
    assert foreseen.total == foreseen.weights + foreseen.activations + memory.LIBRARIES


def test_more_to_learn_at_once_takes_more(foreseen: memory.Estimate) -> None:
    two = reckoned(replace(RECIPE, batch=4))
    assert two.activations == pytest.approx(2 * foreseen.activations, rel=0.05)
    assert (two.weights, two.checkpoint) == (foreseen.weights, foreseen.checkpoint)


def test_official_sizes(shared: Path) -> None:
    """51.9 million weights of MeloTTS as published, 46.7 of HiFi-GAN's adversaries."""
    place = shared / "golden" / "melo" / "config_official_sizes_en.json"
    config = json.loads(place.read_text())
    found = memory._Pass.of(Sizes.of(config), Analysis.of(config["data"]), Recipe())
    assert found.parameters == pytest.approx(98.6e6, rel=0.002)
    published = 207_860_748 / 4  # bytes of the checkpoint, of which 0.2 % are names
    adversaries = sum(one.numel() for one in found.adversaries.parameters())
    assert found.parameters - adversaries == pytest.approx(published, rel=0.01)


def test_what_does_not_fit_is_refused_with_the_remedy(foreseen: memory.Estimate) -> None:
    memory.require(foreseen, int(foreseen.total / memory.USABLE) + 1)
    with pytest.raises(TwinError, match="lower --batch"):
        memory.require(foreseen, foreseen.total)


def test_a_container_has_what_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP", limit)
    whole = memory.available("cpu")
    assert whole > 500_000_000
    limit.write_text("400000000\n")
    assert memory.available("cpu") == 400_000_000
    limit.write_text("max\n")
    assert memory.available("cpu") == whole
