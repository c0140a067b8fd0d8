"""One run in two real processes, as `torchrun` starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import style_models
import tiny_models
from safetensors.numpy import load_file, save_file
from style_samples import PERSONA, pairs

from aitwin.corpus import dataset
from aitwin.errors import TwinError
from aitwin.style import adapter as adapters
from aitwin.style import train as training
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.recipe import Recipe
from aitwin.style.train import Job, Watcher
from aitwin.style.trainer import Arrays
from aitwin.style.trainer_torch import TorchTrainer

SHORT = tiny_models.encoded(18)
STEPS = [[SHORT[:4], SHORT[4:8], SHORT[8:12]], [SHORT[12:16]], [SHORT[12:16], SHORT[16:]]]
"""An odd number of batches, and one alone: a process may have less to do, or nothing."""
DROPOUTS = (0.0, 0.3)
RUN_RECIPE = Recipe(dropout=0.0, epochs=1, learning_rate=1e-3, alpha=512, sequence_length=128)


def train(trainer: TorchTrainer) -> list[float]:
    """Losses of some steps and of an evaluation."""
    losses = [trainer.step(group, 1e-3).mean for group in STEPS]
    return [*losses, sum(trainer.evaluate(SHORT), Loss(0.0, 0)).mean]


def child(folder: Path, gguf: Path) -> None:
    """What each process does: train, and go on from its own state to the same bits."""
    base = Base("tiny", gguf, "0" * 64, gguf.parent)
    for dropout in DROPOUTS:
        recipe = Recipe(dropout=dropout)
        trainer = TorchTrainer(base, recipe)
        losses = train(trainer)
        adapter, state = trainer.adapter_state(), trainer.state()
        after = trainer.step(STEPS[0], 1e-3)
        resumed = TorchTrainer(base, recipe)
        resumed.load_adapter_state(adapter)
        resumed.load_state(state)
        again = resumed.step(STEPS[0], 1e-3)
        rank = trainer._rank
        report = {
            "losses": np.array(losses),
            "resumed": np.array([after.total, again.total]),
            "agreed": np.array(trainer.agreed(float(rank + 7))),
            "lead": np.array(int(trainer.lead)),
        }
        for kind, arrays in (("report", report), ("adapter", adapter), ("state", state)):
            save_file(arrays, folder / f"{kind}.{dropout}.{rank}")


def files(folder: Path, kind: str, dropout: float) -> list[Arrays]:
    """What both processes wrote."""
    return [load_file(folder / f"{kind}.{dropout}.{rank}") for rank in range(2)]


def close(ours: Arrays, theirs: Arrays) -> None:
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], atol=1e-5)


def same(ours: Arrays, theirs: Arrays) -> None:
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    found = tiny_models.tiny(tmp_path_factory.mktemp("tiny"))
    return Base(found.name, found.gguf, "0" * 64, found.cache)


@pytest.fixture(scope="module")
def launched(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes of this file; `accelerate launch` starts several on GPUs in the same way."""
    folder = tmp_path_factory.mktemp("launched")
    launch(str(folder), str(base.gguf))
    return folder


def launch(*arguments: str) -> None:
    """This file in two processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ("--master-addr=127.0.0.1", f"--master-port={port}")
    launcher = ("torch.distributed.run", "--nproc-per-node=2", *where)
    done = subprocess.run(
        [sys.executable, "-m", *launcher, __file__, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_train_the_adapter_of_one(base: Base, launched: Path) -> None:
    """M1: the same recipe over several processes gives the same adapter, and the same losses."""
    alone = TorchTrainer(base, Recipe(dropout=0.0))
    losses = train(alone)
    first, second = files(launched, "report", 0.0)
    assert first["losses"] == pytest.approx(losses, rel=1e-5)
    assert second["losses"] == pytest.approx(losses, rel=1e-5)
    assert (first["lead"], second["lead"]) == (1, 0)
    assert (first["agreed"], second["agreed"]) == (7, 7)
    for adapter in files(launched, "adapter", 0.0):
        close(adapter, alone.adapter_state())


def test_a_run_of_two_goes_on_exactly(base: Base, launched: Path) -> None:
    """Each process draws another dropout; a checkpoint holds where each of them is."""
    for report in files(launched, "report", 0.3):
        after, again = report["resumed"]
        assert after == again
    one, two = files(launched, "state", 0.3)
    same(one, two)
    assert not np.array_equal(one["random.0"], one["random.1"])
    same(*files(launched, "adapter", 0.3))
    alone = TorchTrainer(base, Recipe(dropout=0.3))
    with pytest.raises(TwinError, match="begun with 2 processes and there are 1"):
        alone.load_state(one)


def whole_run(folder: Path, gguf: Path, data: Path) -> None:
    """A training from the dataset to the adapter, in every process of the run."""
    told: list[str] = []
    base = Base("tiny", gguf, "0" * 64, gguf.parent)
    job = Job(dataset.load(data), base, RUN_RECIPE, folder / "main")
    result = training.train(job, watcher=Watcher(stage=told.append))
    rank = int(os.environ.get("RANK", "0"))
    (folder / f"said.{rank}").write_text(f"{result is not None} {told[-1]}")


def test_a_whole_run_of_two_ends_as_one(smollm2: Path, tmp_path: Path) -> None:
    """M1: steps, evaluations, checkpoint, test replies, export; the lead writes the adapter."""
    gguf = tmp_path / "tiny.gguf"
    style_models.write_model(gguf, "llama", tokenizer_from=smollm2)
    data = dataset.build(pairs(45), PERSONA, tmp_path / "data").path
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    whole_run(one, gguf, data)
    launch(str(two), str(gguf), str(data))
    assert (two / "said.0").read_text() == "True proof of life in llama.cpp"
    assert (two / "said.1").read_text().startswith("False ")
    close(*(load_file(folder / "main" / adapters.WEIGHTS) for folder in (one, two)))
    metrics = [adapters.load(folder / "main").manifest["metrics"] for folder in (one, two)]
    for name in ("test_loss_before", "test_loss_after"):
        assert metrics[0][name] == pytest.approx(metrics[1][name], rel=1e-5)
    assert sorted(path.name for path in two.iterdir()) == ["main", "said.0", "said.1"]


if __name__ == "__main__":
    (child if len(sys.argv) == 3 else whole_run)(*map(Path, sys.argv[1:]))
