"""Adapters over HTTP: what each was trained on, how well it does, and its evaluation (C6)."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server.jobs import CurvePoint, Job, view
from aitwin.server.ledger import Order
from aitwin.server.pages import private_page
from aitwin.server.problems import Problem, told
from aitwin.server.training import PLAIN_NAME

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.style.adapter import StyleAdapter

Candidate = Literal["base", "examples", "twin", "owner"]


class AdapterSummary(BaseModel):
    """An adapter in a list, with what it is compared by."""

    name: str
    made_at: datetime
    base: str
    dataset: str
    """Digest of the rows that it was trained on."""
    dataset_name: str | None
    """The dataset here that has these rows; None when it was built anew since, or is gone."""
    current: bool
    """Whether it is the newest: the one that writes where none is named."""
    resumable: bool
    """Whether a stopped run to this name waits."""
    finished: bool
    steps: int | None
    planned_steps: int | None
    best_step: int | None
    seconds: float | None
    minutes: float | None
    """The time that was given for it."""
    tokens_per_second: float | None
    peak_memory: int | None
    """Bytes."""
    test_loss_before: float | None
    test_loss_after: float | None
    test_perplexity_before: float | None
    test_perplexity_after: float | None
    verdict: Literal["passed", "failed", "unsettled", "none"]
    """Of its evaluation; `unsettled`: too few prompts to say; `none`: never evaluated."""


class StoppedRun(BaseModel):
    """A training that was stopped, and has left no adapter yet."""

    name: str


class Adapters(BaseModel):
    """The adapters, newest first, and the stopped runs that have no adapter yet."""

    adapters: list[AdapterSummary]
    stopped: list[StoppedRun]
    problems: list[str]
    """Adapters that cannot be read, and why."""


class AdapterDetail(AdapterSummary):
    """All of an adapter: its curve, its recipe, its figures."""

    trainer: str
    device: str
    bits: int | None
    canaries: int
    too_long: int | None
    training_examples: int | None
    test_examples: int | None
    served_log_probability_base: float | None
    served_log_probability_twin: float | None
    recipe: dict[str, Any]
    versions: dict[str, str]
    history: list[CurvePoint]
    """The loss curve."""


MEASURED = (
    *("bits", "too_long", "training_examples", "test_examples"),
    *("served_log_probability_base", "served_log_probability_twin"),
)
"""Figures of a manifest that only the detail has."""


class Figure(BaseModel):
    """A figure with its 95 % interval; null where it is not known."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    """Texts that it is of."""


class Check(BaseModel):
    """One rule of the verdict."""

    name: str
    measure: str
    passed: bool | None
    """None where the rule does not know."""
    answer: str
    """passed, failed, doubtful or unknown."""
    limit: float | None
    bound: str | None
    reason: str


class Gate(BaseModel):
    """The verdict."""

    passed: bool
    settled: bool
    reasons: list[str]
    checks: list[Check]


class Evaluation(BaseModel):
    """The fidelity report: figures of base, base with examples, twin and owner. No text."""

    adapter: str
    """Name of the adapter."""
    base: str
    dataset: str
    """Digest."""
    made: datetime
    stale: bool
    """Whether the adapter was trained anew since."""
    counts: dict[str, int]
    plan: dict[str, Any]
    gate: Gate
    warnings: list[str]
    measures: dict[str, dict[Candidate, Figure]]
    """By key, as `attribution.body`; the checks of the gate name those that they look at."""


class EvaluationRequest(BaseModel):
    """How much is asked; what is left out is as `twin eval` has it."""

    model_config = ConfigDict(extra="forbid")

    dataset: str = Field(default="", pattern=rf"^$|{PLAIN_NAME}")
    """Empty: the dataset here that the adapter was trained on."""
    prompts: StrictInt | None = Field(default=None, ge=1, le=10_000)
    """Held-out prompts to ask; more give surer figures, and take longer."""


def router_of(parts: "Parts") -> APIRouter:
    """The routes below /adapters."""
    router = APIRouter(prefix="/adapters", tags=["training"])
    home = parts.home

    @router.get("", operation_id="listAdapters")
    def list_adapters() -> Adapters:
        """Every adapter with what it is compared by, and the stopped runs without one."""
        found, problems = _all(home)
        names = {one.path.name for one in found}
        datasets = _datasets_by_digest(home)
        summaries = [
            AdapterSummary.model_validate(_summary(home, one, datasets, current=not place))
            for place, one in enumerate(found)
        ]
        stopped = [StoppedRun(name=name) for name in _stopped(home) if name not in names]
        return Adapters(adapters=summaries, stopped=stopped, problems=problems)

    @router.get("/{name}", operation_id="getAdapter", responses=told("unknown-adapter", "cannot"))
    def get_adapter(name: str) -> AdapterDetail:
        """One adapter: its curve, its recipe, its figures."""
        one = _open(home, name)
        newest = next(iter(_all(home)[0]), None)
        current = newest is not None and newest.path == one.path
        summary = _summary(home, one, _datasets_by_digest(home), current=current)
        manifest, metrics = one.manifest, one.manifest.get("metrics", {})
        return AdapterDetail.model_validate(
            {
                **summary,
                **{key: metrics.get(key) for key in MEASURED},
                "trainer": manifest.get("trainer", ""),
                "device": metrics.get("device", ""),
                "canaries": manifest.get("canaries", 0),
                "recipe": manifest.get("recipe", {}),
                "versions": manifest.get("versions", {}),
                "history": _history(one),
            }
        )

    @router.post(
        "/{name}/evaluation",
        operation_id="startEvaluation",
        status_code=202,
        responses=told("unknown-adapter", "unknown-dataset", "queue-full", "cannot", "disk-full"),
    )
    def start_evaluation(name: str, wanted: EvaluationRequest) -> Job:
        """Examine an adapter on held-out replies: does it sound like the owner, what it repeats."""
        one = _open(home, name)
        dataset = wanted.dataset or _datasets_by_digest(home).get(_dataset_of(one), "")
        if not dataset or not (home.datasets / dataset / artifact.MANIFEST).is_file():
            raise Problem(
                "unknown-dataset",
                "the dataset that the adapter was trained on is not here as it was: train again, "
                "then evaluate",
            )
        command = ["eval", "--adapter", one.path.name, "--dataset", dataset]
        if wanted.prompts is not None:
            command += ["--prompts", str(wanted.prompts)]
        return view(parts.jobs.start(Order("evaluation", one.path.name, tuple(command))))

    @router.get(
        "/{name}/evaluation",
        operation_id="getEvaluation",
        responses=told("unknown-adapter", "no-evaluation", "cannot"),
    )
    def get_evaluation(name: str) -> Evaluation:
        """The fidelity report in figures, without a text."""
        one = _open(home, name)
        result = _evaluation_of(one)
        if result is None:
            raise Problem("no-evaluation")
        return Evaluation.model_validate(
            {**result, "adapter": one.path.name, "stale": not _is_of(result, one)}
        )

    @router.get(
        "/{name}/evaluation/page",
        operation_id="getEvaluationPage",
        response_class=HTMLResponse,
        responses=told("unknown-adapter", "no-evaluation", "cannot"),
    )
    def get_evaluation_page(name: str) -> HTMLResponse:
        """The fidelity report as a page, with texts side by side."""
        from aitwin.style.evaluation import report

        file = _open(home, name).path / report.FILE
        return private_page(file, Problem("no-evaluation"))

    return router


def _open(home: Home, name: str) -> "StyleAdapter":
    """The adapter of that name. Raises Problem when there is none, TwinError for a damaged one."""
    from aitwin.style import adapter

    path = home.adapters / name
    if not re.fullmatch(PLAIN_NAME, name) or not (path / artifact.MANIFEST).is_file():
        raise Problem("unknown-adapter")
    return adapter.load(path)


def _all(home: Home) -> "tuple[list[StyleAdapter], list[str]]":
    """Every adapter that can be read, the newest first, and what is wrong with the others."""
    from aitwin.style import adapter

    found, problems = [], []
    for manifest in home.adapters.glob(f"[!.]*/{artifact.MANIFEST}"):
        try:
            found.append((manifest.stat().st_mtime_ns, adapter.load(manifest.parent)))
        except TwinError as error:
            problems.append(str(error))
        except OSError:
            continue  # replaced at this moment
    found.sort(key=lambda one: -one[0])
    return [one for _, one in found], problems


def _stopped(home: Home) -> list[str]:
    """Names of adapters whose training was stopped and can go on."""
    from aitwin.style.train import waits

    names = sorted(path.name[1:-4] for path in home.adapters.glob(".*.run"))
    return [name for name in names if waits(home.adapters / name)]


def _datasets_by_digest(home: Home) -> dict[str, str]:
    """Names of the datasets here by the digest of their rows."""
    names = {}
    for manifest in sorted(home.datasets.glob(f"[!.]*/{artifact.MANIFEST}")):
        try:
            told = artifact.read_manifest(manifest.parent, kind="dataset", remedy="")
        except TwinError:
            continue  # the list of datasets says so
        names[str(told.get("digest"))] = manifest.parent.name
    return names


def _dataset_of(adapter: "StyleAdapter") -> str:
    return str(adapter.manifest.get("dataset", ""))


def _summary(
    home: Home, adapter: "StyleAdapter", datasets: Mapping[str, str], *, current: bool
) -> dict[str, Any]:
    from aitwin.style.train import waits

    manifest, metrics = adapter.manifest, adapter.manifest.get("metrics", {})
    names = AdapterSummary.model_fields
    written = (adapter.path / artifact.MANIFEST).stat().st_mtime
    return {
        **dict.fromkeys((*names, *AdapterDetail.model_fields)),
        **{key: value for key, value in metrics.items() if key in names},
        "name": adapter.path.name,
        "made_at": datetime.fromtimestamp(written, UTC),
        "base": manifest["base"]["name"],
        "dataset": _dataset_of(adapter),
        "dataset_name": datasets.get(_dataset_of(adapter)),
        "current": current,
        "resumable": waits(adapter.path),
        "finished": not metrics or adapter.finished,
        "verdict": _verdict(adapter),
    }


def _history(adapter: "StyleAdapter") -> list[CurvePoint]:
    try:
        return [CurvePoint.model_validate(entry) for entry in adapter.history]
    except (OSError, ValueError):
        return []  # made before there was a history


def _evaluation_of(adapter: "StyleAdapter") -> dict[str, Any] | None:
    from aitwin.style.evaluation import gate

    try:
        told = json.loads((adapter.path / gate.FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("kind") == "evaluation" else None


def _is_of(evaluation: Mapping[str, Any], adapter: "StyleAdapter") -> bool:
    """Whether it is of this very adapter, and not of one that was trained before it."""
    return bool(evaluation.get("adapter") == artifact.sha256(adapter.path / artifact.MANIFEST))


def _verdict(adapter: "StyleAdapter") -> str:
    evaluation = _evaluation_of(adapter)
    if evaluation is None or not _is_of(evaluation, adapter):
        return "none"
    gate = evaluation.get("gate", {})
    if gate.get("passed"):
        return "passed"
    return "failed" if gate.get("settled") else "unsettled"
