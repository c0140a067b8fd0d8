"""Trainings over HTTP: what one would take, and its start (M1-M5)."""

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from aitwin import artifact
from aitwin.server.jobs import Job, TrainingPlan, view
from aitwin.server.ledger import Order
from aitwin.server.problems import Problem, told

if TYPE_CHECKING:
    from aitwin.server.parts import Parts

PLAIN_NAME = r"^\w[\w. -]{0,80}$"
"""Of a dataset or an adapter: it becomes that of a directory beside the others."""


class TrainingRequest(BaseModel):
    """One training; what is left out is as `twin train` has it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"dataset": "main", "name": "main", "minutes": 60}]},
    )

    dataset: str = Field(default="main", pattern=PLAIN_NAME)
    name: str = Field(default="main", pattern=PLAIN_NAME)
    base: str = Field(default="", max_length=200)
    """Of the shelf; empty: that of twin.toml."""
    rank: StrictInt | None = Field(default=None, ge=1, le=32)
    alpha: StrictInt | None = Field(default=None, ge=1, le=512)
    targets: list[Literal["q_proj", "k_proj", "v_proj", "o_proj"]] | None = Field(
        default=None, min_length=1, max_length=4
    )
    dropout: float | None = Field(default=None, ge=0, le=0.5)
    learning_rate: float | None = Field(default=None, ge=1e-6, le=1e-3)
    batch: StrictInt | None = Field(default=None, ge=4, le=8)
    accumulation: StrictInt | None = Field(default=None, ge=4, le=8)
    epochs: StrictInt | None = Field(default=None, ge=1, le=3)
    steps: StrictInt | None = Field(default=None, ge=300, le=600)
    sequence_length: StrictInt | None = Field(default=None, ge=64, le=4096)
    minutes: float | None = Field(default=None, ge=0.1, le=100_000)
    """Fit the run into this time, with fewer steps if need be."""
    trainer: Literal["auto", "mlx", "torch"] = "auto"
    bits: Literal[4, 16, 32] | None = None
    canaries: StrictInt = Field(default=0, ge=0, le=32)


class TrainingStart(TrainingRequest):
    """A training to start. A stopped run of the same name wants one of the two."""

    resume: StrictBool = False
    """Go on with the stopped run."""
    restart: StrictBool = False
    """Begin anew although a stopped run waits."""


FLAGS = {
    "base": "--base",
    "rank": "--rank",
    "alpha": "--alpha",
    "dropout": "--dropout",
    "learning_rate": "--learning-rate",
    "batch": "--batch",
    "accumulation": "--accumulation",
    "epochs": "--epochs",
    "steps": "--steps",
    "sequence_length": "--sequence-length",
    "minutes": "--minutes",
    "bits": "--bits",
}
"""Options of `twin train` by the fields whose absence means: as it comes."""


def arguments(wanted: TrainingRequest) -> list[str]:
    """The command for a training, without what is said of a stopped run."""
    command = ["train", "--dataset", wanted.dataset, "--name", wanted.name]
    for name, flag in FLAGS.items():
        if (value := getattr(wanted, name)) not in (None, ""):
            command += [flag, str(value)]
    for target in wanted.targets or ():
        command += ["--target", target]
    return [*command, "--trainer", wanted.trainer, "--canaries", str(wanted.canaries)]


def router_of(parts: "Parts") -> APIRouter:
    """The routes below /trainings."""
    router = APIRouter(prefix="/trainings", tags=["training"])

    @router.post(
        "/plan",
        operation_id="planTraining",
        responses=told(
            "unknown-dataset", "model-not-pulled", "not-set-up", "busy-training", "cannot"
        ),
    )
    def plan_training(wanted: TrainingRequest) -> TrainingPlan:
        """What a training would take: it reads the dataset and measures the pace of the base.

        Takes as long as loading the base, and leaves nothing behind.
        """
        _require_ready(parts, wanted)
        for line in parts.jobs.ask([*arguments(wanted), "--plan"]):
            if line.get("event") == "plan":
                return TrainingPlan.model_validate(line)
        raise Problem("bug", "the plan came to nothing; please report it")

    @router.post(
        "",
        operation_id="startTraining",
        status_code=202,
        responses=told(
            *("unknown-dataset", "model-not-pulled", "not-set-up", "busy-training"),
            *("stopped-run-waits", "cannot", "queue-full", "disk-full"),
        ),
    )
    def start_training(wanted: TrainingStart) -> Job:
        """Start a training. The job tells its loss, its memory and the time that it still takes."""
        from aitwin.style.train import waits

        _require_ready(parts, wanted)
        waiting = waits(parts.home.adapters / wanted.name)
        if waiting and not (wanted.resume or wanted.restart):
            raise Problem("stopped-run-waits")
        command = arguments(wanted)
        if waiting:
            command.append("--restart" if wanted.restart else "--resume")
        return view(parts.jobs.start(Order("training", wanted.name, tuple(command))))

    return router


def _require_ready(parts: "Parts", wanted: TrainingRequest) -> None:
    """Raise Problem where the command could only fail: at once, not in a job."""
    from aitwin import models

    home = parts.home
    if not home.settings_file.exists():
        raise Problem("not-set-up")
    settings = home.settings()
    if not (home.datasets / wanted.dataset / artifact.MANIFEST).is_file():
        raise Problem("unknown-dataset", "build it first, on the page Data")
    known = next((m for m in models.CATALOGUE if m.name == (wanted.base or settings.base)), None)
    if known and models.Shelf(home.models).state(known) == "absent":
        raise Problem(
            "model-not-pulled", f"the base model is not here; run: twin models pull {known.name}"
        )
    _recipe_of(wanted)


def _recipe_of(wanted: TrainingRequest) -> None:
    """Raise TwinError for numbers that do not go together."""
    from dataclasses import fields

    from aitwin.style.recipe import Recipe

    names = {field.name for field in fields(Recipe)}
    chosen = wanted.model_dump(include=names, exclude_none=True)
    if targets := chosen.pop("targets", None):
        chosen["targets"] = tuple(targets)
    Recipe(**chosen)
