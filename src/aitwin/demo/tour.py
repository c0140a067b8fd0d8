"""The whole main job in order, on the sample owner. Each step is the one that the owner will run.

Works in a home of its own inside the owner's, and touches nothing else there.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from aitwin import home as homes
from aitwin.corpus import imports, pipeline
from aitwin.corpus.dataset import Dataset
from aitwin.corpus.messages import Owner
from aitwin.corpus.store import Imported, Store
from aitwin.demo import SAMPLE_OWNER, THOTA, report
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.models import Shelf
from aitwin.prompt import Persona, Task
from aitwin.style import adapter as adapters
from aitwin.style import base as bases
from aitwin.style import trainer as trainers
from aitwin.style.adapter import StyleAdapter
from aitwin.style.base import Base
from aitwin.style.engine import LlamaCpp, Sampling
from aitwin.style.guard import Habits
from aitwin.style.recipe import Recipe
from aitwin.style.train import Job
from aitwin.style.writer import Writer
from aitwin.voice.speech import Speech
from aitwin.voice.studio import Studio

RECIPE = Recipe(alpha=512)
"""Some 13 updates fit into the demo's minutes, against 100 in an evening: each has to count more.
Held-out loss after 13 updates: 4.29 -> 3.90 with alpha 256, -> 3.82 with 512 (measured)."""
TASKS = (
    Task("Draft a reply to my colleague thanking them for their help."),
    Task(
        'Reply to this mail from Gavin Stroud about "Quick call re: synergies?".',
        "Hi Thota!\n\nI hope this email finds you well! I wanted to reach out to see whether you "
        "might have 30 minutes next week to explore how our AI-powered vendor platform could "
        "unlock value for Quillfern. Would Tuesday or Wednesday work?\n\nBest,\nGavin",
    ),
    Task(
        "Reply in this chat with Meera.",
        "Meera: are you anywhere near the shop??\nMeera: we're out of milk and Anu has invented "
        "cereal with orange juice",
    ),
)
"""What base and twin are both asked to write."""


class Stage(Protocol):
    """A step under way, for whoever shows it."""

    def note(self, text: str) -> None:
        """Say in a few words what came of it."""


@dataclass(frozen=True)
class Answer:
    """One task, written by base and by twin, and the twin's draft spoken."""

    task: Task
    base: str = field(repr=False)
    twin: str = field(repr=False)
    speech: Path


@dataclass(frozen=True)
class Tour:
    """What the tour leaves behind."""

    home: Path
    """The sample owner's own: every command works on it."""
    report: Path
    speech: Path
    own_base: str
    """The base that the owner's own twin wants."""


@dataclass(frozen=True)
class Guide:
    """How the tour is shown and timed."""

    stage: Callable[[str], AbstractContextManager[Stage]]
    train: Callable[[Job, bool], StyleAdapter]
    """Trains with a progress bar; the flag asks to resume."""


OWN_BASE = homes.DEFAULT_BASE
"""What to advise for the owner's own: what the twin is made for (M1)."""
STAGES = (
    "base model",
    "mail and chats",
    "dataset",
    "model for training",
    "training",
    "writing",
    "speaking",
    "report",
)


def take(home: Home, guide: Guide, *, minutes: float) -> Tour:
    """Run every stage; what an earlier tour finished is kept."""
    owner_home = home.open()
    demo = Home(home.demo).open()
    demo.write_settings(SAMPLE_OWNER)
    if not demo.models.exists():
        # One shelf for both homes: models are large, and nothing personal is in them.
        demo.models.symlink_to(owner_home.models, target_is_directory=True)
    settings = demo.settings()
    persona = Persona(settings.name, settings.traits)
    shelf = Shelf(owner_home.models)

    with guide.stage("base model") as stage:
        shelf.pull(settings.base, stage.note)
        path, digest = shelf.open(settings.base)
    with guide.stage("mail and chats") as stage:
        imported = _import(demo)
        stage.note(f"{sum(one.read for one in imported):,} messages in {len(imported)} files")
    with guide.stage("dataset") as stage:
        dataset = _dataset(demo, settings, persona)
        stage.note(f"{sum(dataset.counts.values())} pairs")
    with guide.stage("model for training") as stage:
        base = bases.find(settings.base, path, digest, owner_home.models)
        trainers.prepare(trainers.choose(), base)
        stage.note("converted once")
    with guide.stage("training") as stage:
        adapter = _train(demo, dataset, base, guide, minutes)
        metrics = adapter.manifest["metrics"]
        stage.note(
            f"held-out loss {metrics['test_loss_before']:.2f} → {metrics['test_loss_after']:.2f}"
        )
    with guide.stage("writing") as stage:
        drafts = _write(base, adapter, persona)
        stage.note(f"{len(drafts)} tasks, base and twin")
    with guide.stage("speaking") as stage:
        speech = Studio().speech(None)  # nobody recorded the sample owner's voice
        answers, seconds = _speak(drafts, speech, demo.root)
        stage.note(f"{seconds:.0f} s of speech, {speech.speaker.describe()}")
    with guide.stage("report") as stage:
        page = demo.root / "report.html"
        report.write(page, imported, dataset, adapter, answers)
        stage.note(str(page))
    return Tour(demo.root, page, answers[0].speech, OWN_BASE)


def _import(demo: Home) -> list[Imported]:
    store = Store(demo.corpus)
    if not store.import_log():
        for _, result in imports.add(store, sorted(THOTA.iterdir())):
            if isinstance(result, TwinError):
                raise result
    return store.import_log()


def _dataset(demo: Home, settings: homes.Settings, persona: Persona) -> Dataset:
    owner = Owner(settings.name, frozenset(settings.addresses), frozenset(settings.chat_names))
    return pipeline.build(Store(demo.corpus), owner, persona, demo.datasets / "main")


def _train(demo: Home, dataset: Dataset, base: Base, guide: Guide, minutes: float) -> StyleAdapter:
    job = Job(dataset, base, RECIPE, demo.adapters / "main", minutes, trainers.choose())
    try:
        earlier = adapters.load(job.target)
    except TwinError:
        pass
    else:
        same_time = earlier.manifest["metrics"]["minutes"] == minutes
        if same_time and earlier.is_result_of(job.fingerprint):
            return earlier
    return guide.train(job, job.can_resume)


def _write(base: Base, adapter: StyleAdapter, persona: Persona) -> list[Answer]:
    sampling = Sampling(max_tokens=160)
    answers = []
    with LlamaCpp(base.gguf, adapter.gguf) as engine:
        writer = Writer(engine, persona, Habits.load(adapter.path))
        for task in TASKS:
            by_base, by_twin = (
                "".join(writer.stream(task, sampling, adapted=adapted)).strip()
                for adapted in (False, True)
            )
            answers.append(Answer(task, by_base, by_twin, speech=Path()))
    return answers


def _speak(answers: list[Answer], speech: Speech, folder: Path) -> tuple[list[Answer], float]:
    spoken = []
    seconds = 0.0
    for number, answer in enumerate(answers, start=1):
        path = folder / f"draft-{number}.wav"
        seconds += speech.save(answer.twin, path).seconds
        spoken.append(replace(answer, speech=path))
    return spoken, seconds
