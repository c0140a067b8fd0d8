"""Fine-tune: MeloTTS learns to speak as a voice does, from the voice's prepared utterances (S6).

    voices/ID/.finetune.run/
      run.json      what the run is made of: it is resumed with the same, or not at all
      lessons/      see lessons
      checkpoint/   networks, optimisers and place, so that a run goes on exactly where it stopped
      samples/      held-out sentences as said at each evaluation, to hear

The best network by held-out sentences becomes voices/ID/finetune (see tuned). Decides when to
measure, keep and stop; how a step is made: tuner. Every emotion with enough speech becomes a
speaker of its own. Stays what it is when the takes change: then make it anew. A run that ends, or
cannot go on, leaves nothing of the speech that it has copied.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import audio, configs, lessons, memory, speakers, tuned
from aitwin.voice import checkpoint as checkpoints
from aitwin.voice import profile as profiles
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.configs import PULL
from aitwin.voice.heard import RATE
from aitwin.voice.lessons import Lesson, Lessons, Reading
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.profile import VoiceProfile
from aitwin.voice.tuned import Tuned
from aitwin.voice.voices import LEARNING, Voice

if TYPE_CHECKING:
    from torch import Tensor

    from aitwin.voice.transcribe import Transcriber
    from aitwin.voice.tuner import Losses, Recipe, Tuner
    from aitwin.voice.watermark import Watermark

RUN, CHECKPOINT, LESSONS, SAMPLES = "run.json", "checkpoint", "lessons", "samples"
STATE, BEST = "state.safetensors", "best.safetensors"
OWN_ROW = 30.0
"""Seconds of an emotion from which it becomes a speaker of its own; less learns with NEUTRAL."""
SAVE_EVERY = 600.0
"""Seconds between two checkpoints: one of MeloTTS is 1.3 GB."""
FREE = 2
"""Checkpoints that the disk must have room for: a new one is whole before the old one goes."""
WORDS_LOST = 0.05
"""Rise of the word error rate that costs nothing: half a word in ten sentences, within chance."""
UNDERSTOOD = 0.5
"""Share of words heard wrong above which speech is no speech, whomever it sounds like."""
EARLIER = "an earlier fine-tune is intact"
LEAST_GAIN = 0.01
"""Likeness by which an evaluation must be better than the best to count as better."""


@dataclass(frozen=True)
class Base:
    """MeloTTS as it was published."""

    checkpoint: Path
    config: Path


@dataclass(frozen=True, eq=False)
class Ears:
    """What judges the speech that is made."""

    encoder: ReferenceEncoder
    """Whose voice it is."""
    transcriber: "Transcriber | None" = field(default=None, repr=False)
    """Whether the words are heard; without it nothing is known of them."""


@dataclass(frozen=True, eq=False)
class Job:
    """A fine-tune to be done."""

    voice: Voice
    profile: VoiceProfile
    base: Base
    read: Callable[[str], Reading | None]
    """A text as the network reads it, and what BERT says of it; None when it cannot be read."""
    ears: Ears
    watermark: "Watermark"
    """What every sample to hear bears: it is somebody's voice, and nobody said it."""
    recipe: "Recipe"
    device: str = "cpu"

    @property
    def target(self) -> Path:
        """Where the result shall lie."""
        return tuned.path_of(self.voice)

    @property
    def note(self) -> str:
        """Of the samples' files, as of all that is spoken."""
        return f"AI-generated voice of {self.voice.name}"

    @property
    def workplace(self) -> Path:
        """Where the run keeps what it needs to go on."""
        return workplace(self.voice)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        return {
            "base": artifact.sha256(self.base.checkpoint),
            "config": artifact.sha256(self.base.config),
            "voice": artifact.digest(json.dumps(self.profile.inputs, sort_keys=True)),
            "recipe": asdict(self.recipe),
        }


@dataclass(frozen=True)
class Heard:
    """Held-out sentences as said by a network."""

    step: int
    likeness: float
    """Mean cosine to the voice's own embedding in each sentence's emotion."""
    word_errors: float | None
    """Of all their words; None without speech recognition."""

    def score(self, first: "Heard") -> float:
        """What is wanted: likeness, less the words that are heard worse than at `first`.

        -1 for what nobody understands.
        """
        if self.word_errors is None or first.word_errors is None:
            return self.likeness
        if self.word_errors > UNDERSTOOD:
            return -1.0
        return self.likeness - max(0.0, self.word_errors - first.word_errors - WORDS_LOST)


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    step: int
    total: int
    losses: "Losses"
    heard: Heard
    """The last evaluation."""
    best: Heard
    seconds_left: float
    samples: Path
    """Where the last evaluation's sentences are, to hear."""


@dataclass(frozen=True)
class Plan:
    """What a run takes, told before it begins."""

    minutes: float
    """Of speech to learn from."""
    sentences: int
    held: int
    left_out: dict[str, int]
    speakers: dict[str, float]
    """Minutes by emotion that becomes a speaker of its own."""
    steps: int
    epochs: float
    memory: int
    """Bytes."""
    available: int
    device: str


@dataclass(frozen=True)
class Watcher:
    """Who is told what, as it happens."""

    stage: Callable[[str], None] = lambda name: None
    plan: Callable[[Plan], None] = lambda plan: None
    progress: Callable[[Progress], None] = lambda now: None


@dataclass
class _Run:
    """One run, from its first step to its last."""

    step: int = 0
    seconds: float = 0.0
    over: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    """An entry for each evaluation."""

    @property
    def heard(self) -> list[Heard]:
        return [Heard(one["step"], one["likeness"], one["word_errors"]) for one in self.history]

    @property
    def best(self) -> Heard:
        """The one that is kept: the first of those that are as good."""
        first, *others = self.heard
        best = first
        for one in others:
            if one.score(first) >= best.score(first) + LEAST_GAIN:
                best = one
        return best

    def worse(self) -> int:
        """Evaluations in a row that were not the best."""
        return sum(one.step > self.best.step for one in self.heard)

    @classmethod
    def parsed(cls, values: Mapping[str, Any], steps: int) -> "_Run":
        """From a manifest, for a recipe of `steps`.

        Raises KeyError, TypeError or ValueError when it is none of such a run.
        """
        run = cls(
            step=_whole(values["step"]),
            seconds=artifact.number(values["seconds"]),
            over=values["over"],
            history=[_entry(one) for one in values["history"]],
        )
        heard = [one["step"] for one in run.history]
        rising = all(one < other for one, other in pairwise(heard))
        if (
            type(run.over) is not bool
            or not rising
            or heard[:1] != [0]
            or not heard[-1] <= run.step <= steps
            or run.seconds < 0
        ):
            raise ValueError("not the place of a run")
        return run


def workplace(voice: Voice) -> Path:
    """Where a run of a voice's fine-tune lies."""
    return voice.path / LEARNING


def waits(voice: Voice) -> bool:
    """Whether a stopped run can be resumed."""
    place = workplace(voice) / CHECKPOINT
    if place.parent.is_dir():
        artifact.restore(place)
    return (place / artifact.MANIFEST).exists()


def forget(voice: Voice) -> None:
    """Delete a run that was stopped, with its samples."""
    artifact.remove(workplace(voice))


def place(wanted: str = "auto") -> str:
    """The device to learn on: a GPU where there is one, unless the owner says otherwise.

    Raises TwinError for one that is not here.
    """
    import torch

    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(name for name, there in here.items() if there)
    if not here.get(wanted):
        there = ", ".join(name for name, is_here in here.items() if is_here)
        raise TwinError(f"no device {wanted!r} is here; there are {there}, and auto")
    return wanted


def require_choice(voice: Voice, *, resume: bool, restart: bool) -> None:
    """Refuse to wipe a run that was stopped unless the owner says so.

    Raises TwinError while one waits and neither is chosen, or when both are.
    """
    if resume and restart:
        raise TwinError("a run goes on, or begins anew: choose one of --resume and --restart")
    if waits(voice) and not (resume or restart):
        again = f"twin voice finetune {voice.id}"
        raise TwinError(
            f"a stopped run of the voice {voice.id} waits: go on with `{again} --resume`, or throw "
            f"it away and begin anew with `{again} --restart`"
        )


def run(
    job: Job,
    *,
    resume: bool = False,
    restart: bool = False,
    stop: Event | None = None,
    watcher: Watcher = Watcher(),
) -> Tuned | None:
    """Run the job to its end, or to the step after `stop` is set.

    The best network so far takes its place, unless none is better than before: None then, when
    there is more to come. A run that was stopped goes on, by `resume`, exactly as if it had not
    been (bit for bit on a CPU with the same number of threads); one that waits is thrown away by
    `restart` alone. Raises TwinError for a voice whose owner has not agreed, too little speech, too
    little memory or disk, losses that are no numbers (the best before is kept), a `resume` of
    nothing or of another job; and at the end, when nothing was better than before. When the consent
    is taken back meanwhile it ends with the step, and keeps nothing.
    """
    profiles.require_cloneable(job.profile)
    stop = stop or Event()
    with _alone(job), _forgotten_when_it_cannot_go_on(job):
        require_choice(job.voice, resume=resume, restart=restart)
        if resume:
            _require_resumable(job)
        else:
            _empty(job.workplace)
            fingerprint = json.dumps(job.fingerprint)
            artifact.write_private(job.workplace / RUN, fingerprint)
        work = _Work.begin(job, watcher)
        state = work.resumed() if resume else _Run()
        fault = work.steps(state, stop)
        over = bool(fault) or state.over or state.step >= job.recipe.steps
        if not over and not state.best.step:
            return None
        profiles.require_cloneable(job.profile)
        result = work.finish(state) if state.best.step else None
        if over:
            _end(job.workplace)
    if fault:
        kept = f"the best, of step {state.best.step}, is kept" if result else EARLIER
        raise TwinError(f"{fault}; {kept}")
    if result is None:
        raise TwinError(_in_vain(job, state))
    return result


@dataclass(eq=False)
class _Work:
    """A job with everything open."""

    job: Job
    lessons: Lessons
    tuner: "Tuner"
    config: dict[str, Any]
    """Of the result: its speakers are the voice's emotions."""
    watcher: Watcher
    best: dict[str, "Tensor"] = field(default_factory=dict, repr=False)

    @classmethod
    def begin(cls, job: Job, watcher: Watcher) -> "_Work":
        import torch

        from aitwin.voice.mels import Analysis
        from aitwin.voice.synthesizer import Sizes, Synthesizer
        from aitwin.voice.tuner import Tuner

        watcher.stage("reading the network")
        content = configs.read(job.base.config, PULL)
        try:
            sizes, analysis = Sizes.of(content), Analysis.of(content["data"])
            known = configs.speakers(content, sizes.speakers)
            with torch.device("meta"):
                network = Synthesizer(sizes, trainable=True)
            if sizes.hop != analysis.hop or sizes.window != analysis.window:
                raise ValueError("two sizes of a frame")
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise TwinError(
                f"{job.base.config} is no config of MeloTTS ({error}); {PULL}"
            ) from None
        needed = memory.tuning(sizes, analysis, job.recipe)
        available = memory.available(job.device)
        memory.require(needed, available)
        _require_room(job.workplace, needed.checkpoint)
        tensors = checkpoints.read(job.base.checkpoint, PULL)
        if not any(name.startswith("enc_q.") for name in tensors):
            raise TwinError(
                f"{job.base.checkpoint} is a network that was made to speak only: the part that "
                f"listens while learning (enc_q) is not in it; {PULL} and fine-tune that one"
            )
        checkpoints.load_into(network, checkpoints.fused(tensors), job.base.checkpoint, PULL)
        found = _lessons(job, sizes.rate, sizes.hop, watcher)
        rows = _rows(found, known, sizes.speakers)
        _begin_rows(network, rows, _base_row(job.profile, known))
        content["data"]["spk2id"] = rows
        epoch = lessons.batches(len(found.training), job.recipe.batch)
        watcher.plan(
            Plan(
                minutes=sum(map(found.seconds, found.training)) / 60,
                sentences=len(found.training),
                held=len(found.held),
                left_out=found.left_out,
                speakers={
                    emotion: seconds / 60
                    for emotion, seconds in found.emotions.items()
                    if seconds >= OWN_ROW
                },
                steps=job.recipe.steps,
                epochs=job.recipe.steps / epoch,
                memory=needed.total,
                available=available,
                device=job.device,
            )
        )
        return cls(job, found, Tuner(network, analysis, job.recipe, job.device), content, watcher)

    @property
    def rows(self) -> dict[str, int]:
        """Speakers by every emotion of the lessons."""
        known: dict[str, int] = self.config["data"]["spk2id"]
        return {one: known.get(one, known[tuned.NEUTRAL]) for one in self.lessons.emotions} | known

    def steps(self, run: _Run, stop: Event) -> str:
        """Step by step, until the end or `stop`; a checkpoint is kept in either case.

        Answers why it cannot go on, and keeps no checkpoint of that; empty when it can.
        """
        from aitwin.voice.tuner import Losses, collate

        recipe, saved = self.job.recipe, time.monotonic()
        started = saved - run.seconds
        if not run.history:
            self.watcher.stage("hearing how it speaks before")
            self._evaluate(run, Losses())
        epoch_length = lessons.batches(len(self.lessons.training), recipe.batch)
        known, order = -1, list[list[Lesson]]()
        while run.step < recipe.steps and not run.over and not stop.is_set():
            # Looked up anew: who takes the consent back need not know that this goes on.
            profiles.require_cloneable(self.job.profile)
            epoch, place = divmod(run.step, epoch_length)
            if epoch != known:
                order = lessons.order(self.lessons.training, recipe.batch, recipe.seed, epoch)
                known = epoch
            batch = collate(self.lessons, order[place], self.rows, self.tuner.analysis.hop)
            losses = self.tuner.step(batch, run.step)
            if not losses.finite:
                return (
                    f"a loss is no number at step {run.step + 1}, so the run has ended; begin anew "
                    f"with a lower --learning-rate (now {recipe.learning_rate})"
                )
            run.step += 1
            evaluated = run.step % recipe.every == 0 or run.step == recipe.steps
            if evaluated and run.step > recipe.warm_up:
                self._evaluate(run, losses)
                run.over = run.worse() >= recipe.patience
            run.seconds = time.monotonic() - started
            if time.monotonic() - saved > SAVE_EVERY or (evaluated and run.step < recipe.steps):
                self._save(run)
                saved = time.monotonic()
            self.watcher.progress(self._progress(run, losses))
        self._save(run)
        return ""

    def _progress(self, run: _Run, losses: "Losses") -> Progress:
        left = 0 if run.over else self.job.recipe.steps - run.step
        last = run.heard[-1]
        return Progress(
            step=run.step,
            total=self.job.recipe.steps,
            losses=losses,
            heard=last,
            best=run.best,
            seconds_left=run.seconds / run.step * left,
            samples=self._samples(last.step),
        )

    def _samples(self, step: int) -> Path:
        return self.job.workplace / SAMPLES / f"step-{step:06d}"

    def _evaluate(self, run: _Run, losses: "Losses") -> None:
        """Say the held-out sentences, keep them to hear, and judge them."""
        spoken = [*self._said(self.lessons.held[: self.job.recipe.spoken])]
        for number, (lesson, samples) in enumerate(spoken, 1):
            name = f"{number:02d}-{lesson.emotion}.wav"
            marked = self.job.watermark.apply(Utterance(samples, self.lessons.rate))
            audio.save([marked], self._samples(run.step) / name, note=self.job.note)
        at_rate = [
            (lesson, audio.resample(Utterance(samples, self.lessons.rate), RATE).samples)
            for lesson, samples in spoken
        ]
        heard = Heard(
            run.step,
            likeness(at_rate, self.job.profile, self.job.ears.encoder),
            word_errors(at_rate, self.job.ears.transcriber),
        )
        run.history.append({**asdict(heard), **asdict(losses)})
        if run.best.step == run.step:
            self.best = self.tuner.weights()

    def _said(self, held: Sequence[Lesson]) -> Iterator[tuple[Lesson, Samples]]:
        from aitwin.voice import melo

        network = self.tuner.network.eval()
        try:
            for lesson in held:
                features = self.lessons.features(lesson)
                row = self.rows.get(lesson.emotion, self.rows[tuned.NEUTRAL])
                said = melo.spoken(network, lesson.units, features, row)
                # The step after it finds that nothing can be learnt by this network any more.
                yield lesson, np.nan_to_num(said, posinf=0.0, neginf=0.0)
        finally:
            network.train()

    def _save(self, run: _Run) -> None:
        """Whole or not at all: killed here, a run goes on from the checkpoint before."""
        from safetensors.torch import save_file

        with artifact.building(self.job.workplace / CHECKPOINT) as scratch:
            save_file(self.tuner.state(), scratch / STATE)
            save_file(self.best, scratch / BEST)
            digests = {name: artifact.sha256(scratch / name) for name in (STATE, BEST)}
            artifact.write_manifest(scratch, {**asdict(run), "sha256": digests})

    def resumed(self) -> _Run:
        """Put everything where the run was stopped. Raises TwinError when that is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        place, remedy = self.job.workplace / CHECKPOINT, "begin anew with --restart"
        manifest = artifact.read_manifest(place, kind="checkpoint", remedy=remedy)
        try:
            run = _Run.parsed(manifest, self.job.recipe.steps)
            for name in (STATE, BEST):
                if artifact.sha256(place / name) != manifest["sha256"][name]:
                    raise ValueError("not as it was written")
            self.tuner.load_state(load_file(place / STATE))
            self.best = load_file(place / BEST)
        except (
            OSError,
            RuntimeError,
            LookupError,
            TypeError,
            ValueError,
            SafetensorError,
        ) as error:
            raise TwinError(f"{place} is damaged ({type(error).__name__}); {remedy}") from None
        return run

    def finish(self, run: _Run) -> Tuned:
        """The best network, which is not the first, as an artifact."""
        from safetensors.torch import save_file

        first, best = run.heard[0], run.best
        self.watcher.stage("keeping the best")
        with artifact.building(self.job.target) as scratch:
            save_file(self.best, scratch / tuned.CHECKPOINT)
            artifact.write_private(scratch / tuned.CONFIG, json.dumps(self.config, indent=1))
            lines = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in run.history)
            artifact.write_private(scratch / tuned.HISTORY, lines)
            for name, step in (("before", 0), ("after", best.step)):
                shutil.copytree(self._samples(step), scratch / tuned.SAMPLES / name)
            artifact.write_manifest(
                scratch,
                {
                    "version": tuned.VERSION,
                    **self.job.fingerprint,
                    "size": (scratch / tuned.CHECKPOINT).stat().st_size,
                    "sha256": artifact.sha256(scratch / tuned.CHECKPOINT),
                    "takes": sorted({one.id.rpartition("-")[0] for one in self.lessons.all}),
                    "metrics": {
                        "likeness_before": first.likeness,
                        "likeness": best.likeness,
                        "word_errors_before": first.word_errors,
                        "word_errors": best.word_errors,
                        "sentences": min(self.job.recipe.spoken, len(self.lessons.held)),
                        "finished": run.over or run.step >= self.job.recipe.steps,
                        "step": best.step,
                        "steps": run.step,
                        "seconds": round(run.seconds, 1),
                        "minutes": round(sum(self.lessons.emotions.values()) / 60, 2),
                        "left_out": self.lessons.left_out,
                        "device": self.job.device,
                    },
                    "versions": {name: version(name) for name in ("torch", "aitwin")},
                },
            )
        return tuned.load(self.job.target)


def likeness(
    spoken: Sequence[tuple[Lesson, Samples]], profile: VoiceProfile, encoder: ReferenceEncoder
) -> float:
    """Mean cosine of sentences at heard.RATE to the voice in each one's emotion.

    What is too short or too quiet to be anybody's counts as 0. Raises ValueError when there is no
    sentence.
    """
    if not spoken:
        raise ValueError("likeness is of sentences, and there is none")
    found = []
    for lesson, samples in spoken:
        manner = profile.manners.get(lesson.emotion)
        goal = manner.embedding if manner is not None else None
        goal = profile.pooled if goal is None else goal
        if goal is None or len(samples) < encoder.window or not speakers.audible(samples):
            found.append(0.0)
        else:
            found.append(speakers.cosine(encoder.embed(samples), goal))
    return float(np.mean(found))


def word_errors(
    spoken: Sequence[tuple[Lesson, Samples]], transcriber: "Transcriber | None"
) -> float | None:
    """Words of sentences at heard.RATE that are not heard as written, of all; None: unknown."""
    if transcriber is None:
        return None
    from aitwin.voice import verify

    heard = transcriber.words_of_each([samples for _, samples in spoken])
    counts = [
        verify.word_errors(lesson.text, words)
        for (lesson, _), words in zip(spoken, heard, strict=True)
    ]
    return sum(wrong for wrong, _ in counts) / max(1, sum(words for _, words in counts))


def _lessons(job: Job, rate: int, hop: int, watcher: Watcher) -> Lessons:
    """Those of the run: made at its beginning, the same ever after."""
    place = job.workplace / LESSONS
    if (place / artifact.MANIFEST).exists():
        return lessons.load(place)
    watcher.stage("reading what was said")
    sources = lessons.utterances(job.voice, job.profile)
    return lessons.make(place, sources, job.read, rate=rate, hop=hop)


def _rows(found: Lessons, known: Mapping[str, int], most: int) -> dict[str, int]:
    """A row of the speakers' embedding for each emotion, behind those that are taken.

    NEUTRAL is always among them. An emotion with little speech gets none, as do those for which
    there is no row left.
    """
    first = max(known.values()) + 1
    free = most - first
    emotions = found.emotions
    wanted = [one for one, seconds in emotions.items() if seconds >= OWN_ROW]
    wanted = [tuned.NEUTRAL, *(one for one in wanted if one != tuned.NEUTRAL)][: max(free, 1)]
    if free < 1:  # a network of one speaker: that one learns
        first = most - 1
    return {emotion: first + place for place, emotion in enumerate(wanted)}


def _base_row(profile: VoiceProfile, known: Mapping[str, int]) -> int:
    """The published speaker whose tone colour is nearest; the first one where nobody knows."""
    named = {name.lower().replace("_", "-"): row for name, row in known.items()}
    nearest = profile.base.name if profile.base is not None else ""
    return named.get(nearest, min(known.values()))


def _begin_rows(network: Any, rows: Mapping[str, int], base: int) -> None:
    """Every new speaker begins as the base speaker."""
    import torch

    with torch.no_grad():
        table = network.emb_g.weight
        for row in rows.values():
            table[row] = table[base]


def _require_room(place: Path, checkpoint: int) -> None:
    free, wanted = shutil.disk_usage(place).free, FREE * checkpoint
    if free < wanted:
        raise TwinError(
            f"{place} has room for {free / 1e9:.1f} GB, and the run keeps {wanted / 1e9:.1f} GB "
            "there at times; make room, and run it again"
        )


def _require_resumable(job: Job) -> None:
    """Raise TwinError unless a run of the same base, voice and recipe was stopped here."""
    voice = job.voice.id
    try:
        before = json.loads((job.workplace / RUN).read_text())
    except (OSError, ValueError):
        before = None
    if not isinstance(before, dict) or not waits(job.voice):
        raise TwinError(
            f"nothing to resume for the voice {voice}; run `twin voice finetune {voice}`"
        )
    changed = [key for key, value in job.fingerprint.items() if before.get(key) != value]
    if changed:
        raise TwinError(
            f"the stopped run of the voice {voice} had another {' and another '.join(changed)}; "
            "resume it with the same, or begin anew with --restart"
        )


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Hold the workplace. Raises TwinError when another process is at work in it."""
    place = job.workplace
    while True:
        artifact.make_private_dir(place)
        with ExitStack() as held:
            try:
                found = place.stat()
                held.enter_context(artifact.holding(place, wait=False))
                # A run that has just ended took its directory with it: then this is no lock.
                if not os.path.samestat(found, place.stat()):
                    continue
            except FileNotFoundError:
                continue
            except BlockingIOError:
                raise TwinError(
                    f"another `twin voice finetune` works on the voice {job.voice.id} at this "
                    "moment; wait for it"
                ) from None
            yield
            return


@contextmanager
def _forgotten_when_it_cannot_go_on(job: Job) -> Iterator[None]:
    """Keep nothing of a run that ends in an error before its first checkpoint, or without consent.

    It holds a copy of all that was said.
    """
    try:
        yield
    except BaseException:
        if not waits(job.voice) or profiles.lacking(job.profile):
            _end(job.workplace)
        raise


def _end(place: Path) -> None:
    """Forget a run that is held."""
    if place.is_dir():
        _empty(place)
        place.rmdir()


def _in_vain(job: Job, run: _Run) -> str:
    return (
        f"after {run.step} steps held-out sentences sound no more like the voice {job.voice.id} "
        f"than before (likeness {run.heard[0].likeness:.2f}), so there is nothing to keep: record "
        f"more, or begin anew with other numbers; {EARLIER}"
    )


def _whole(value: object) -> int:
    """A manifest's step. Raises ValueError when it is none."""
    return 0 if value == 0 and type(value) is int else artifact.count(value)


def _entry(values: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation as in a manifest. Raises KeyError, TypeError or ValueError when it is none."""
    from aitwin.voice.tuner import Losses

    heard = Heard(
        _whole(values["step"]),
        artifact.number(values["likeness"]),
        None if values["word_errors"] is None else artifact.number(values["word_errors"]),
    )
    losses = {one.name: artifact.number(values[one.name]) for one in fields(Losses)}
    return {**asdict(heard), **losses}


def _empty(place: Path) -> None:
    """Forget a run; cut off on the way, nothing is left that claims to be resumable."""
    (place / CHECKPOINT / artifact.MANIFEST).unlink(missing_ok=True)
    for path in place.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
