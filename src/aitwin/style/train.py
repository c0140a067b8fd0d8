"""A dataset, a base and a recipe become a StyleAdapter. Decides when to evaluate, save and stop.

A run lives in a hidden directory beside its target until it is finished, so that it can be stopped
at any moment and resumed; the adapter of an earlier run stays usable until the new one replaces it.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import exp
from pathlib import Path
from threading import Event
from typing import Any

from aitwin import artifact
from aitwin.corpus.dataset import SPLITS, Dataset
from aitwin.errors import TwinError
from aitwin.style import adapter, canaries, checkpoint, curve, gguf, plan
from aitwin.style import proof as proving
from aitwin.style import trainer as trainers
from aitwin.style.adapter import StyleAdapter
from aitwin.style.base import Base
from aitwin.style.batches import Loss, batches
from aitwin.style.checkpoint import Run
from aitwin.style.engine import LlamaCpp
from aitwin.style.guard import Habits
from aitwin.style.plan import Data, Plan
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded, encode_all
from aitwin.style.trainer import Backend, Trainer

VALIDATION_EXAMPLES = 24
"""Enough for a curve: on a CPU every further example costs a quarter of a second per evaluation."""
TEST_EXAMPLES = 32
STEPS_PER_EVALUATION = 12
LEAST_EVALUATIONS, MOST_EVALUATIONS = 3, 10
"""Evaluations spread over a run, besides the one before it."""
WARM_STEPS = 2
"""After these the pace is known."""
CHECKPOINT_SECONDS = 20.0
TOKENIZER_CONTEXT = 256
"""Nothing is generated while the dataset is read: the smallest context will do."""
RUN = "run.json"


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever draws it."""

    step: int
    total: int
    loss: float
    """Training loss of the last step, nats per reply token."""
    validation: float
    """The latest validation loss, nats per reply token."""
    tokens_per_second: float
    memory: int
    """Bytes that the run has held at most so far."""
    seconds_left: float


@dataclass(frozen=True)
class Watcher:
    """Who is told of a run while it goes on."""

    plan: Callable[[Plan], None] | None = None
    """Told before the first step; the pace is measured only if somebody asks."""
    stage: Callable[[str], None] = lambda name: None
    progress: Callable[[Progress], None] = lambda progress: None


@dataclass(frozen=True)
class Job:
    """One training: what, from what, to where."""

    dataset: Dataset
    base: Base
    recipe: Recipe
    target: Path
    """The directory that becomes the adapter."""
    minutes: float | None = None
    """Fit the steps into this time: after a measured warm-up, plan fewer if need be."""
    backend: Backend = "torch"
    bits: int | None = None
    """Bits per weight of the base while it is trained on; None: as many as the memory allows."""
    canaries: int = 0
    """Invented secrets to plant, so that an evaluation can say whether the twin tells them."""

    @property
    def workplace(self) -> Path:
        """Where the unfinished run lives."""
        return _workplace(self.target)

    @property
    def stopped(self) -> bool:
        """Whether an unfinished run waits, of this job or of another to the same target."""
        return waits(self.target)

    @property
    def can_resume(self) -> bool:
        """Whether a run of this very job was stopped and can go on."""
        try:
            before = json.loads((self.workplace / RUN).read_text())
        except (OSError, ValueError):
            return False
        return self.stopped and before == self.fingerprint

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed, and what the manifest records."""
        return {
            "dataset": self.dataset.digest,
            "base": {"name": self.base.name, "sha256": self.base.digest},
            "recipe": json.loads(json.dumps(self.recipe.as_dict())),
            "trainer": self.backend,
            "canaries": self.canaries,
        }


def _workplace(target: Path) -> Path:
    return target.parent / f".{target.name}.run"


def waits(target: Path) -> bool:
    """Whether a stopped run to `target` can be resumed, by a job like it."""
    return checkpoint.there(_workplace(target))


def train(
    job: Job, *, resume: bool = False, stop: Event | None = None, watcher: Watcher | None = None
) -> StyleAdapter | None:
    """Run the job to its end, or to the step after `stop` is set; either way keep the best adapter.

    None in those processes of a run over several that do not lead it.
    Raises TwinError for a dataset that leaves nothing to train on, a base that does not fit, a loss
    that is no number, and a `resume` without a run or with another recipe, dataset or base.
    """
    stop, watcher = stop or Event(), watcher or Watcher()
    if resume:
        _require_resumable(job)
    data, trainer = _prepare(job, watcher)
    with _alone(job) if trainer.lead else nullcontext():
        if resume:
            run = checkpoint.resume(job.workplace, trainer)
        else:
            run = Run(total=job.recipe.total_steps(len(data.training)))
            if trainer.lead:
                checkpoint.forget(job.workplace)
                artifact.write_private(job.workplace / RUN, json.dumps(job.fingerprint))
            if trainer.agreed(watcher.plan is not None):
                watcher.stage("measuring the pace")
                foreseen = _plan(job, trainer, data)
                if watcher.plan is not None:
                    watcher.plan(foreseen)
        watcher.stage("measuring before training")
        _steps(job, trainer, data, run, stop, watcher)
        result = _finish(job, trainer, data, run, watcher)
        if result is not None and run.finished:
            checkpoint.forget(job.workplace)
            job.workplace.rmdir()
        return result


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Hold the workplace. Raises TwinError when another process trains to the same target."""
    artifact.make_private_dir(job.workplace)
    try:
        with artifact.holding(job.workplace, wait=False):
            yield
    except BlockingIOError:
        raise TwinError(
            f"another `twin train` is training {job.target.name!r} at this moment; wait for it, or "
            "give this one another name with --name"
        ) from None


def look_ahead(job: Job, watcher: Watcher) -> Plan:
    """What the job would take, without doing it."""
    data, trainer = _prepare(job, watcher)
    watcher.stage("measuring the pace")
    return _plan(job, trainer, data)


def _prepare(job: Job, watcher: Watcher) -> tuple[Data, Trainer]:
    watcher.stage("reckoning the memory")
    trainers.foresee(job.backend, job.base, job.recipe, job.bits)
    watcher.stage("reading the dataset as llama.cpp reads it")
    data = _read(job)
    watcher.stage("loading the base model")
    trainers.prepare(job.backend, job.base)
    trainer = trainers.load(job.backend, job.base, job.recipe, job.bits)
    _require_one_job(job, trainer)
    return data, trainer


def _read(job: Job) -> Data:
    """The dataset as token ids, before a model takes the memory."""
    limit = job.recipe.sequence_length
    parts = {}
    with LlamaCpp(job.base.gguf, context=TOKENIZER_CONTEXT) as engine:
        for name in SPLITS:
            examples = job.dataset.split(name)
            if name == "train":
                examples += canaries.rows(job.recipe.seed, job.canaries, job.dataset.persona)
            parts[name] = encode_all(engine, examples, limit)
            if not parts[name]:
                raise TwinError(
                    f"no example of {job.dataset.path / name}.jsonl fits into {limit} tokens; "
                    "raise sequence_length or rebuild the dataset"
                )
    return Data(
        parts["train"],
        _some(parts["valid"], VALIDATION_EXAMPLES),
        _some(parts["test"], TEST_EXAMPLES),
        too_long=sum(job.dataset.counts.values()) + job.canaries - sum(map(len, parts.values())),
    )


def _some(encoded: Sequence[Encoded], count: int) -> Sequence[Encoded]:
    """At most `count`, spread over the whole time."""
    taken = min(count, len(encoded))
    return [encoded[index * len(encoded) // taken] for index in range(taken)]


def _require_one_job(job: Job, trainer: Trainer) -> None:
    """Raise TwinError unless every process of the run has the same job."""
    own = float(int(artifact.digest(json.dumps(job.fingerprint, sort_keys=True))[:12], 16))
    if trainer.agreed(own) != own:
        raise TwinError(
            "the machines of this run have another dataset, base or recipe than the first: copy "
            f"{job.dataset.path} and the base there, and give every machine the same options"
        )


def _plan(job: Job, trainer: Trainer, data: Data) -> Plan:
    total = job.recipe.total_steps(len(data.training))
    seconds = None
    if job.minutes is None:
        seconds = plan.seconds(trainer, data, job.recipe, len(_evaluation_steps(total)) + 1)
    memory, available = trainers.foresee(job.backend, job.base, job.recipe, job.bits)
    return Plan(
        base=job.base.name,
        trainer=job.backend,
        device=trainer.device,
        bits=trainer.bits,
        pairs=len(data.training),
        too_long=data.too_long,
        tokens=sum(map(len, data.training)),
        reply_tokens=sum(len(one.reply) for one in data.training),
        steps=total,
        memory=memory.total,
        available=available,
        seconds=seconds,
        warnings=tuple(job.recipe.warnings(memory.activations)),
    )


def _steps(  # noqa: PLR0913 (the loop is the place where everything meets)
    job: Job, trainer: Trainer, data: Data, run: Run, stop: Event, watcher: Watcher
) -> None:
    saved = time.monotonic()
    started = saved - run.seconds
    if not run.history:
        _validate(trainer, data.validation, run, None, stop)
    per_epoch = len(batches(data.training, job.recipe, 0))
    # Clocks and signals differ between processes: the lead decides for all.
    while not run.finished and not trainer.agreed(stop.is_set()):
        epoch, position = divmod(run.step, per_epoch)
        group = batches(data.training, job.recipe, epoch)[position]
        loss = trainer.step(group, job.recipe.learning_rate_at(run.step, run.total))
        if not loss.mean < float("inf"):  # also true for NaN
            raise TwinError(
                f"the loss became {loss.mean} at step {run.step + 1}; lower learning_rate (now "
                f"{job.recipe.learning_rate}) and begin anew with `twin train --restart`; the "
                "earlier adapter is intact"
            )
        run.step += 1
        run.tokens += sum(len(one) for batch in group for one in batch)
        now = time.monotonic()
        run.seconds = now - started
        run.first_seconds = run.first_seconds or run.seconds
        if job.minutes is not None and run.step >= WARM_STEPS:
            planned = job.recipe.total_steps(len(data.training))
            run.total = int(trainer.agreed(_fit(run, planned, job.minutes * 60)))
        evaluated = run.step in _evaluation_steps(run.total)
        if evaluated:
            _validate(trainer, data.validation, run, loss.mean)
            run.over = run.evaluations_since_best >= job.recipe.patience
            run.seconds = time.monotonic() - started
        if trainer.agreed(evaluated or now - saved > CHECKPOINT_SECONDS):
            checkpoint.save(job.workplace, run, trainer)
            saved = time.monotonic()
        watcher.progress(_progress(run, loss.mean, trainer.peak_memory()))
    # Before the evaluation that only a stopped run makes: resumed, it is as if never stopped.
    checkpoint.save(job.workplace, run, trainer)
    if run.history[-1]["step"] != run.step:
        _validate(trainer, data.validation, run, None)


def _evaluation_steps(total: int) -> set[int]:
    count = min(MOST_EVALUATIONS, max(LEAST_EVALUATIONS, total // STEPS_PER_EVALUATION))
    return {max(1, round(total * part / count)) for part in range(1, count + 1)}


def _fit(run: Run, planned: int, budget: float) -> int:
    """Of `planned` steps, those that fit into `budget` seconds; looked at anew after every step.

    At the pace so far, but for the first step, which pays for what is set up once.
    """
    evaluated = [entry["seconds"] for entry in run.history]
    # The first step's time holds that of the evaluation before it.
    pace = (run.seconds - run.first_seconds - sum(evaluated[1:])) / (run.step - 1)
    wanted = len(_evaluation_steps(run.total)) + 1
    to_evaluate = max(0, wanted - len(evaluated)) * evaluated[0]
    return min(planned, run.step + max(0, int((budget - run.seconds - to_evaluate) / pace)))


def _progress(run: Run, loss: float, memory: int) -> Progress:
    pace = run.seconds / run.step
    return Progress(
        step=run.step,
        total=run.total,
        loss=loss,
        validation=run.history[-1]["validation"],
        tokens_per_second=run.tokens / max(run.seconds, 1e-9),
        memory=memory,
        seconds_left=0.0 if run.finished else pace * (run.total - run.step),
    )


def _validate(
    trainer: Trainer,
    validation: Sequence[Encoded],
    run: Run,
    training_loss: float | None,
    stop: Event | None = None,
) -> None:
    """Add the validation loss to the history; a `stop` that is given is heeded between batches."""
    started = time.monotonic()
    total = Loss(0.0, 0)
    for batch in trainer.evaluate(validation):
        total += batch
        if stop is not None and trainer.agreed(stop.is_set()):
            raise TwinError("stopped before the first step: nothing was trained, nothing is lost")
    loss = total.mean
    entry = {"step": run.step, "validation": loss, "seconds": time.monotonic() - started}
    if training_loss is not None:
        entry["training"] = training_loss
    run.history.append(entry)
    if loss < run.best:
        run.best, run.best_step, run.best_weights = loss, run.step, trainer.adapter_state()


def _require_resumable(job: Job) -> None:
    """Raise TwinError unless a run with the same dataset, base and recipe was stopped here."""
    try:
        before = json.loads((job.workplace / RUN).read_text())
    except (OSError, ValueError):
        before = None
    if before is None or not job.stopped:
        raise TwinError(f"nothing to resume for {job.target}; run `twin train` without --resume")
    changed = [key for key, value in job.fingerprint.items() if before.get(key) != value]
    if changed:
        raise TwinError(
            f"the unfinished run of {job.target} had another {' and another '.join(changed)}; "
            "resume it with the same, or begin anew with `twin train --restart`"
        )


def _finish(
    job: Job, trainer: Trainer, data: Data, run: Run, watcher: Watcher
) -> StyleAdapter | None:
    """Write the best adapter so far, its GGUF, the proof of life, the curve and the manifest.

    Every process measures its share; the lead writes. An adapter that does not prove itself never
    takes the place of the one before.
    """
    if not run.best_step:
        remedy = (
            "lower learning_rate or add pairs, and begin anew with `twin train --restart`"
            if run.finished
            else "go on with `twin train --resume`"
        )
        raise TwinError(
            f"after {run.step} of {run.total} steps held-out replies are no likelier than under "
            f"the base, so there is nothing to keep: {remedy}"
        )
    trainer.load_adapter_state(run.best_weights)
    watcher.stage("measuring on held-out replies")
    before = sum(trainer.evaluate(data.test, adapted=False), Loss(0.0, 0))
    after = sum(trainer.evaluate(data.test), Loss(0.0, 0))
    if not trainer.lead:
        return None
    with artifact.building(job.target) as scratch:
        adapter.write_weights(scratch, run.best_weights, job.recipe, job.base.name)
        gguf.from_peft(scratch, job.base, scratch / adapter.GGUF)
        watcher.stage("proof of life in llama.cpp")
        with LlamaCpp(job.base.gguf, scratch / adapter.GGUF) as engine:
            proof = proving.prove(engine, job.dataset.persona, job.dataset.split("test"))
        proof.require()
        artifact.write_private(scratch / adapter.PROOF, json.dumps(asdict(proof), indent=2))
        lines = "".join(json.dumps(entry) + "\n" for entry in run.history)
        artifact.write_private(scratch / adapter.HISTORY, lines)
        for name in adapter.CURVES:
            curve.draw(run.history, scratch / name)
        Habits.of(row.reply for row in job.dataset.split("train")).save(scratch)
        if job.canaries:
            canaries.save(scratch, job.recipe.seed, job.canaries)
        files = sorted(path.name for path in scratch.iterdir())
        artifact.write_manifest(
            scratch,
            {
                "kind": "adapter",
                **job.fingerprint,
                "files": {name: artifact.sha256(scratch / name) for name in files},
                "metrics": {
                    "minutes": job.minutes,
                    "steps": run.step,
                    "planned_steps": run.total,
                    "finished": run.finished,
                    "best_step": run.best_step,
                    "seconds": round(run.seconds, 1),
                    "tokens_per_second": round(run.tokens / max(run.seconds, 1e-9), 1),
                    "device": trainer.device,
                    "bits": trainer.bits,
                    "peak_memory": trainer.peak_memory(),
                    "served_log_probability_base": proof.base.mean,
                    "served_log_probability_twin": proof.twin.mean,
                    "test_examples": len(data.test),
                    "test_loss_before": before.mean,
                    "test_loss_after": after.mean,
                    "too_long": data.too_long,
                    "training_examples": len(data.training),
                    "test_perplexity_before": exp(before.mean),
                    "test_perplexity_after": exp(after.mean),
                },
                "versions": {name: version(name) for name in trainer.libraries},
            },
        )
    return adapter.load(job.target)
