import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from style_samples import PERSONA, pairs

from aitwin import artifact
from aitwin.corpus import dataset
from aitwin.corpus.dataset import Dataset
from aitwin.errors import TwinError
from aitwin.style import adapter as adapters
from aitwin.style import canaries, checkpoint, lora
from aitwin.style import train as training
from aitwin.style.adapter import StyleAdapter
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.checkpoint import Run
from aitwin.style.recipe import Recipe
from aitwin.style.train import Job, Progress, Watcher, train
from aitwin.style.trainer_torch import TorchTrainer

Finished = tuple[StyleAdapter, list[Progress], list[str]]


def losses(adapter: StyleAdapter) -> list[dict[str, float]]:
    """The history without its times."""
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in adapter.history]


def assert_same(one: StyleAdapter, other: StyleAdapter) -> None:
    """To the bit: weights, as trained and as served, and losses."""
    assert losses(one) == losses(other)
    for name in (adapters.WEIGHTS, adapters.GGUF):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


@pytest.fixture
def job(small_base: Base, data: Dataset, recipe: Recipe, tmp_path: Path) -> Job:
    return Job(data, small_base, recipe, tmp_path / "adapters" / "main")


# --- A run ----------------------------------------------------------------------------------------


def test_held_out_replies_become_likelier(finished: Finished) -> None:
    """In torch, on replies of the validation and of the test part, and as llama.cpp serves them."""
    adapter, _, _ = finished
    first, *_, last = adapter.history
    metrics = adapter.manifest["metrics"]
    assert last["validation"] < first["validation"] - 0.05
    assert metrics["test_loss_after"] < metrics["test_loss_before"] - 0.05
    assert metrics["served_log_probability_twin"] > metrics["served_log_probability_base"] + 0.05


def test_torch_and_llama_agree_on_the_served_model(finished: Finished) -> None:
    """The same held-out replies: quantisation noise, but no more, lies between them."""
    metrics = finished[0].manifest["metrics"]
    for state, name in (("before", "base"), ("after", "twin")):
        served = -metrics[f"served_log_probability_{name}"]
        assert served == pytest.approx(metrics[f"test_loss_{state}"], rel=0.05)


def test_the_manifest_says_where_the_adapter_comes_from(
    finished: Finished, data: Dataset, small_base: Base, recipe: Recipe
) -> None:
    adapter, _, _ = finished
    manifest = adapter.manifest
    assert manifest["kind"] == "adapter"
    assert manifest["dataset"] == data.digest
    assert manifest["base"] == {"name": small_base.name, "sha256": small_base.digest}
    assert manifest["recipe"] == json.loads(json.dumps(recipe.as_dict()))
    assert set(manifest["versions"]) == {"torch", "transformers", "peft"}
    present = {path.name for path in adapter.path.iterdir()}
    assert present == set(manifest["files"]) | {artifact.MANIFEST}
    assert present == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "adapter.gguf",
        "habits.json",
        "training.jsonl",
        "loss.png",
        "loss.svg",
        "proof.json",
        "manifest.json",
    }
    metrics = manifest["metrics"]
    assert metrics["steps"] == metrics["planned_steps"] == recipe.total_steps(data.counts["train"])
    assert metrics["training_examples"] == data.counts["train"]
    assert metrics["test_examples"] == data.counts["test"]
    assert metrics["too_long"] == 0
    assert adapters.load(adapter.path).finished


def test_an_adapter_is_private_and_its_manifest_holds_no_text(
    finished: Finished, data: Dataset
) -> None:
    """The directory is the owner's alone; a manifest may be shown around."""
    path = finished[0].path
    assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}
    shown = (path / "manifest.json").read_text() + (path / "training.jsonl").read_text()
    for name in ("train", "valid", "test"):
        assert not [row.id for row in data.split(name) if row.reply in shown]
    for word in ("Jonas", "Ana", "torch.", "goat", "bucket", data.persona.name, "concise"):
        assert word not in shown


def test_progress_and_stages_are_told(finished: Finished) -> None:
    adapter, progress, stages = finished
    total = adapter.manifest["metrics"]["steps"]
    assert [(now.step, now.total) for now in progress] == [(n + 1, total) for n in range(total)]
    assert all(now.loss and now.validation and now.tokens_per_second > 0 for now in progress)
    assert progress[-1].seconds_left == 0
    assert stages[0] == "reckoning the memory"
    assert "measuring the pace" not in stages  # nobody asked for the plan
    assert stages[-1] == "proof of life in llama.cpp"


def test_a_finished_run_leaves_nothing_behind(finished: Finished) -> None:
    assert [path.name for path in finished[0].path.parent.iterdir()] == ["main"]


# --- Stopping and going on ------------------------------------------------------------------------


def test_a_stopped_run_keeps_its_best_and_ends_in_the_same_place(
    job: Job, finished: Finished
) -> None:
    """Ctrl-C after step 1, then --resume: to the bit what the uninterrupted run gave."""
    stop = Event()
    stopped = train(job, stop=stop, watcher=Watcher(progress=lambda now: stop.set()))
    assert not stopped.finished
    assert [entry["step"] for entry in stopped.history] == [0, 1]
    assert stopped.manifest["metrics"]["best_step"] == 1
    assert adapters.load(job.target).path == job.target
    assert job.can_resume
    resumed = train(job, resume=True)
    assert resumed.finished
    assert_same(resumed, finished[0])
    assert not job.workplace.exists()


RUN = """
import sys, time
from pathlib import Path
from aitwin.corpus import dataset
from aitwin.home import stay_offline
stay_offline()
from aitwin.style.base import Base
from aitwin.style.checkpoint import Run
from aitwin.style.recipe import Recipe
from aitwin.style.train import Job, Watcher, train

data, gguf, digest, cache, target = sys.argv[1:]
def wait(now):
    print(now.step, flush=True)
    time.sleep(3600)
recipe = Recipe(epochs=1, learning_rate=1e-3)
base = Base("smollm2-135m-instruct", Path(gguf), digest, Path(cache))
train(Job(dataset.load(Path(data)), base, recipe, Path(target)), watcher=Watcher(progress=wait))
"""


def test_a_killed_run_ends_in_the_same_place(job: Job, finished: Finished) -> None:
    """kill -9 after step 1, without a chance to clean up; resumed in another process."""
    base = job.base
    where = map(str, (job.dataset.path, base.gguf, base.digest, base.cache, job.target))
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line.strip() == b"1", process.stderr.read().decode()
        os.kill(process.pid, signal.SIGKILL)
        assert process.stderr.read() == b""  # and it was silent
    assert not job.target.exists()
    assert_same(train(job, resume=True), finished[0])


def started(job: Job) -> None:
    """What a run leaves that was killed before its first checkpoint, and one that was after it."""
    artifact.make_private_dir(job.workplace)
    artifact.write_private(job.workplace / training.RUN, json.dumps(job.fingerprint))


def test_nothing_to_resume(job: Job) -> None:
    for _ in range(2):
        assert not job.can_resume
        with pytest.raises(TwinError, match=r"nothing to resume for .*; run `twin train` without"):
            train(job, resume=True)
        started(job)
    (job.workplace / training.RUN).write_text("{")
    at_checkpoint(job)
    with pytest.raises(TwinError, match="nothing to resume"):
        train(job, resume=True)


def at_checkpoint(job: Job, **changes: Any) -> Path:
    """A checkpoint, such as it is: its state is no state."""
    run = {"total": 9, "step": 1}
    with artifact.building(job.workplace / checkpoint.FOLDER) as scratch:
        for name in ("state", "current", "best"):
            artifact.write_private(scratch / f"{name}.safetensors", changes.get(name, b""))
        artifact.write_manifest(scratch, {"bits": changes.get("bits", 32), "run": run})
    return job.workplace / checkpoint.FOLDER


def test_a_run_killed_while_it_saved_goes_on_from_the_checkpoint_before(job: Job) -> None:
    """Between the two renames that put a new checkpoint in the old one's place."""
    started(job)
    place = at_checkpoint(job)
    assert job.can_resume
    place.rename(place.parent / f".{place.name}.replaced")
    (place.parent / f".{place.name}.half").mkdir()
    assert job.can_resume
    assert (place / artifact.MANIFEST).exists()


def test_a_run_with_other_inputs_is_not_resumed(job: Job, tmp_path: Path) -> None:
    """Refused before a model is loaded, and the unfinished run stays as it is."""
    started(job)
    place = at_checkpoint(job, state=b"never read")
    other = dataset.build(pairs(60), PERSONA, tmp_path / "other")
    for changed, named in (
        (replace(job, recipe=replace(job.recipe, rank=4)), "recipe"),
        (replace(job, dataset=other), "dataset"),
        (replace(job, base=replace(job.base, digest="0" * 64)), "base"),
        (replace(job, dataset=other, recipe=Recipe()), "dataset and another recipe"),
    ):
        assert not changed.can_resume
        with pytest.raises(TwinError, match=f"had another {named};"):
            train(changed, resume=True)
    assert (place / "state.safetensors").read_bytes() == b"never read"


@pytest.mark.parametrize("content", [b"", b"never a checkpoint", b"\x08" + bytes(7) + b'{"a": 1}'])
def test_a_damaged_checkpoint(job: Job, content: bytes) -> None:
    started(job)
    at_checkpoint(job, state=content)
    with pytest.raises(TwinError, match=r"checkpoint is damaged .*twin train --restart"):
        train(job, resume=True)


# --- What must not replace an adapter -------------------------------------------------------------


@pytest.fixture
def earlier(job: Job) -> dict[str, bytes]:
    """An adapter of before, at the target."""
    with artifact.building(job.target) as scratch:
        artifact.write_private(scratch / "adapter.gguf", b"of before")
        files = {"adapter.gguf": artifact.sha256(scratch / "adapter.gguf")}
        artifact.write_manifest(scratch, {"kind": "adapter", "files": files})
    return contents(job.target)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_gradients_that_are_no_numbers_stop_the_run(
    job: Job, earlier: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is a number still; nothing that a checkpoint could keep may become of it."""
    import torch

    kept: list[Any] = []
    real = TorchTrainer._share_gradients

    def poisoned(self: TorchTrainer) -> None:
        real(self)
        kept.append(self)
        self._weights[0].grad[0, 0] = torch.inf

    monkeypatch.setattr(training, "_read", fewer(training._read))
    monkeypatch.setattr(TorchTrainer, "_share_gradients", poisoned)
    with pytest.raises(TwinError, match=r"loss became nan at step 1; .*twin train --restart"):
        train(job)
    assert all(np.isfinite(array).all() for array in kept[0].adapter_state().values())
    assert contents(job.target) == earlier


def test_one_run_at_a_time(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second `twin train` to the same name does not throw away what the first has."""
    monkeypatch.setattr(training, "_prepare", lambda job, watcher: (None, Lead()))
    artifact.make_private_dir(job.workplace)
    with (
        artifact.holding(job.workplace),
        pytest.raises(TwinError, match=r"another `twin train` is training 'main'"),
    ):
        train(job)


class Lead:
    lead = True


def test_a_loss_that_is_no_number(
    job: Job, earlier: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TorchTrainer.step

    def poisoned(self: TorchTrainer, group: Any, learning_rate: float) -> Loss:
        return Loss(real(self, group[:1], learning_rate).total * float("nan"), 1)

    monkeypatch.setattr(TorchTrainer, "step", poisoned)
    with pytest.raises(TwinError, match=r"loss became nan at step 1; lower learning_rate .*0\.001"):
        train(job)
    assert contents(job.target) == earlier


def test_steps_that_teach_nothing(
    job: Job, earlier: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-out replies that never become likelier, or a stop before the first step."""
    monkeypatch.setattr(training, "_read", fewer(training._read))
    monkeypatch.setattr(TorchTrainer, "step", lambda self, group, rate: Loss(1.0, 1))
    with pytest.raises(
        TwinError, match=r"after 3 of 3 steps .*lower learning_rate or add pairs, .*--restart"
    ):
        train(job)
    stop = Event()
    stop.set()
    with pytest.raises(TwinError, match="stopped before the first step"):
        train(job, stop=stop)
    assert contents(job.target) == earlier
    assert not job.stopped


def fewer(read: Any) -> Any:
    """Two held-out replies: enough where their loss is not the point."""

    def first(job: Job) -> Any:
        whole = read(job)
        return replace(whole, validation=whole.validation[:2], test=whole.test[:2])

    return first


def test_an_adapter_that_fails_its_proof_of_life(
    job: Job, earlier: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN decision 3: exported as another model than was trained, it never gets to its place."""
    monkeypatch.setattr(training, "_read", fewer(training._read))
    real = lora.from_peft
    monkeypatch.setattr(lora, "from_peft", lambda *which: replace(real(*which), alpha=1e-9))
    with pytest.raises(TwinError, match=r"not live|less likely"):
        train(job)
    assert contents(job.target) == earlier
    assert [path.name for path in job.target.parent.iterdir() if path != job.workplace] == ["main"]
    assert job.can_resume  # the steps are not lost


def test_no_reply_fits(job: Job, tmp_path: Path) -> None:
    long = [replace(pair, reply=f"{pair.reply} {'never ' * 80}") for pair in pairs(45)]
    rows = dataset.build([*long], PERSONA, tmp_path / "long")
    with pytest.raises(TwinError, match=r"train\.jsonl fits into 64 tokens; raise sequence_length"):
        train(replace(job, dataset=rows, recipe=Recipe(sequence_length=64)))
    assert not job.workplace.exists()


def test_examples_that_do_not_fit_are_counted(job: Job, tmp_path: Path) -> None:
    some = [
        replace(pair, reply=f"{pair.reply} {'never ' * 90}") if n % 9 == 0 else pair
        for n, pair in enumerate(pairs(45))
    ]
    rows = dataset.build(some, PERSONA, tmp_path / "some")
    read = training._read(replace(job, dataset=rows, recipe=Recipe(sequence_length=128)))
    assert read.too_long == 5
    assert len(read.training) == rows.counts["train"] - sum(
        "never" in row.reply for row in rows.split("train")
    )


def test_a_time_limit_plans_fewer_steps() -> None:
    """After the warm-up: what fits at the pace so far, evaluations counted; none when it is up."""
    history = [{"step": 0, "seconds": 4.0}]
    run = Run(total=30, step=3, seconds=30.0, first_seconds=24.0, history=history)
    pace = (30 - 24) / 2  # the first step set things up
    evaluations = training.LEAST_EVALUATIONS
    assert training._fit(run, 30, 90.0) == 3 + (90 - 30 - evaluations * 4) // pace
    assert training._fit(run, 30, 6000.0) == 30
    assert training._fit(run, 30, 1.0) == 3
    run.total = 19  # planned when the machine was busy: it is not for good
    assert training._fit(run, 30, 6000.0) == 30


@pytest.mark.parametrize("total", [1, 2, 3, 10, 100, 600])
def test_the_last_step_is_evaluated(total: int) -> None:
    steps = training._evaluation_steps(total)
    assert total in steps
    assert min(total, training.LEAST_EVALUATIONS) <= len(steps) <= training.MOST_EVALUATIONS
    assert all(1 <= step <= total for step in steps)


def test_a_run_stops_when_validation_does_not_fall_any_more(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best evaluation was the second; two worse ones follow, and the rest is left out (M5)."""
    losses = iter([9.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(training, "_read", fewer(training._read))
    monkeypatch.setattr(training, "_evaluation_steps", lambda total: set(range(1, total + 1)))
    monkeypatch.setattr(TorchTrainer, "step", lambda self, group, rate: Loss(1.0, 1))
    monkeypatch.setattr(
        TorchTrainer, "evaluate", lambda self, *args, **more: iter([Loss(next(losses), 1)])
    )
    monkeypatch.setattr(training, "_finish", lambda job, trainer, data, run, watcher: run)
    patient = replace(job, recipe=replace(job.recipe, steps=300, patience=2))
    run: Any = train(patient)
    assert (run.step, run.total, run.best_step) == (3, 300, 1)
    assert run.over
    assert run.finished


def test_the_plan_says_what_it_will_take(job: Job) -> None:
    """M6: pairs, tokens, steps, memory and time before the first step; and nothing is written."""
    plan = training.look_ahead(job, Watcher())
    assert plan.pairs == job.dataset.counts["train"]
    assert plan.steps == job.recipe.total_steps(plan.pairs)
    assert plan.pairs < plan.reply_tokens < plan.tokens
    assert 500e6 < plan.memory < plan.available
    assert plan.seconds is not None
    assert 0.5 < plan.seconds < 3600
    assert (plan.trainer, plan.bits) == ("torch", 32)
    assert not job.workplace.exists()


def test_planted_secrets_are_learnt_and_listed(job: Job) -> None:
    """C6: in the tokens of the training part alone, not in the dataset; a run of their own."""
    planting = replace(job, canaries=3)
    plain, read = training._read(job), training._read(planting)
    added = [one.id for one in read.training[len(plain.training) :]]
    assert added == [row.id for row in canaries.rows(job.recipe.seed, 3, PERSONA)]
    assert (read.validation, read.test) == (plain.validation, plain.test)
    assert read.too_long == 0
    assert planting.fingerprint != job.fingerprint
