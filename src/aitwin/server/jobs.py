"""Jobs over HTTP: what runs, how far it is, and how it ends (O3). Runs none: see runner."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from aitwin.server.ledger import Kind as JobKind
from aitwin.server.ledger import Record
from aitwin.server.ledger import State as JobState
from aitwin.server.problems import told
from aitwin.server.runner import Jobs as Jobs  # what Parts has
from aitwin.server.runner import can_cancel, can_resume

if TYPE_CHECKING:
    from aitwin.server.parts import Parts

MOST_EVENTS = 2**53 - 1
"""The largest number that a browser can send back as it came."""
RECONNECT = 2000
"""Milliseconds after which a browser comes again when a stream was cut."""


class Progress(BaseModel):
    """How far a job is."""

    done: float
    total: float | None = None
    """None where nobody knows yet."""
    unit: Literal["steps", "bytes", "messages", "pairs", "prompts", "seconds", "sentences", ""] = ""
    seconds_left: float | None = None


class TrainingProgress(BaseModel):
    """Where a training stands."""

    step: int
    total: int
    loss: float
    """Training loss of the last step, nats per reply token."""
    validation: float
    """The latest loss on held-out replies, nats per reply token."""
    tokens_per_second: float
    memory: int
    """Bytes that the run has held at most so far."""
    seconds_left: float | None = None


class TrainingPlan(BaseModel):
    """A run before its first step."""

    base: str
    trainer: str
    device: str
    bits: int
    """Bits per weight of the base while it is trained on."""
    pairs: int
    too_long: int
    """Examples that are left out: their reply leaves no room for a prompt."""
    tokens: int
    """Of one epoch, prompts and replies."""
    reply_tokens: int
    """Of one epoch: those that carry the loss."""
    steps: int
    memory: int
    """Bytes that the training is expected to take at most."""
    available: int
    """Bytes that there are for it."""
    seconds: float | None = None
    """Expected for all steps and evaluations; None where a time was given."""
    warnings: list[str] = []


class CurvePoint(BaseModel):
    """One point of a loss curve, in nats per reply token."""

    step: int
    validation: float | None = None
    training: float | None = None
    seconds: float | None = None


class Trouble(BaseModel):
    """Why a job failed, in words for the owner."""

    title: str
    detail: str


class Moment(BaseModel):
    """What a job does at one moment: the data of a `progress` event. Every part is the latest."""

    state: JobState
    stage: str | None = None
    progress: Progress | None = None
    training: TrainingProgress | None = None
    plan: TrainingPlan | None = None


class Job(Moment):
    """One long piece of work, from its acceptance to its end; the data of an `end` event."""

    id: str
    kind: JobKind
    name: str
    """The adapter, dataset or voice that it is about; empty for the corpus."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    can_cancel: bool = False
    can_resume: bool = False
    problem: Trouble | None = None
    result: dict[str, Any] | None = None
    """Figures of what came of it: never a text of the owner's."""


class JobDetail(Job):
    """A job with the curve that its progress drew so far (of a training)."""

    curve: list[CurvePoint] = Field(default_factory=list)


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: list[Job]


def view(record: Record) -> Job:
    """A job as it is told."""
    return Job.model_validate(_told(record))


def _told(record: Record) -> dict[str, Any]:
    return {
        **record.moment,
        "id": record.id,
        "kind": record.kind,
        "name": record.name,
        "state": record.state,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "attempts": record.attempts,
        "can_cancel": can_cancel(record),
        "can_resume": can_resume(record),
        "problem": {"title": _FAILED[record.kind], "detail": record.problem}
        if record.problem
        else None,
        "result": record.result,
    }


_FAILED: dict[JobKind, str] = {
    "import": "The import failed",
    "build": "The dataset could not be built",
    "training": "The training failed",
    "evaluation": "The evaluation failed",
    "voice-preparation": "The voice could not be prepared",
    "voice-evaluation": "The voice could not be evaluated",
}


def curve(moments: Sequence[dict[str, Any]]) -> list[CurvePoint]:
    """The curve of a training by what it told: one point a step, the last that was told of it."""
    points = {}
    measured = None
    for moment in moments:
        if now := moment.get("training"):
            # Measured now and then, and told with every step until the next time.
            new = now["validation"] if now["validation"] != measured else None
            measured = now["validation"]
            points[now["step"]] = CurvePoint(step=now["step"], validation=new, training=now["loss"])
    return [points[step] for step in sorted(points)]


def router_of(parts: "Parts") -> APIRouter:
    """The routes below /jobs."""
    jobs = parts.jobs

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        # Not before: what was queued when the last server ended is run by one that serves.
        await to_thread.run_sync(jobs.begin, parts.desk.rest)
        yield

    router = APIRouter(prefix="/jobs", tags=["jobs"], lifespan=lifespan)

    @router.get("", operation_id="listJobs")
    async def list_jobs(kind: JobKind | None = None) -> JobList:
        """Every job that is remembered, the newest first."""
        records = await to_thread.run_sync(jobs.all, kind)
        return JobList(jobs=[view(record) for record in records])

    @router.get("/{job_id}", operation_id="getJob", responses=told("unknown-job"))
    async def get_job(job_id: str) -> JobDetail:
        """One job, with the curve that it drew so far."""
        record = await to_thread.run_sync(jobs.get, job_id)
        drawn: list[CurvePoint] = []
        if record.kind == "training":
            moments = await to_thread.run_sync(jobs.ledger.moments, job_id)
            drawn = curve([moment for _, moment in moments])
        return JobDetail.model_validate({**_told(record), "curve": drawn})

    @router.get(
        "/{job_id}/events",
        operation_id="watchJob",
        response_class=StreamingResponse,
        responses={200: _STREAM, **told("unknown-job")},
    )
    async def watch_job(
        job_id: str,
        last_event_id: Annotated[int | None, Header(ge=0, le=MOST_EVENTS)] = None,
    ) -> StreamingResponse:
        """What a job does, as it does it: `progress` with a Moment, and at last `end` with the Job.

        Without Last-Event-ID a training's curve is told from its beginning.
        """
        await to_thread.run_sync(jobs.get, job_id)  # a problem while there is a status for it
        return StreamingResponse(
            _stream(jobs, job_id, last_event_id or 0),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    @router.post(
        "/{job_id}/cancel",
        operation_id="cancelJob",
        responses=told("unknown-job", "not-cancellable"),
    )
    async def cancel_job(job_id: str) -> Job:
        """Ask a job to stop: what is good of it is kept. Asked once more, it stops at once."""
        return view(await to_thread.run_sync(jobs.cancel, job_id))

    @router.post(
        "/{job_id}/resume",
        operation_id="resumeJob",
        status_code=202,
        responses=told("unknown-job", "not-resumable", "busy-training", "queue-full"),
    )
    async def resume_job(job_id: str) -> Job:
        """Go on with a job that was interrupted or cancelled, or try again one that failed."""
        return view(await to_thread.run_sync(jobs.resume, job_id, _again(parts)))

    return router


_STREAM: dict[str, Any] = {
    "description": "Events: `progress` (a Moment, each part the latest), `end` (the Job)",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'id: 7\nevent: progress\ndata: {"state": "running"}\n\n',
        }
    },
}


async def _stream(jobs: Jobs, job_id: str, after: int) -> AsyncIterator[str]:
    yield f"retry: {RECONNECT}\n\n"
    async for event in jobs.moments(job_id, after):
        if event is None:
            yield ": still here\n\n"
            continue
        after, moment = event
        data = Moment.model_validate(moment).model_dump_json()
        yield f"id: {after}\nevent: progress\ndata: {data}\n\n"
    record = await to_thread.run_sync(jobs.get, job_id)
    if record.ended:
        yield f"id: {after}\nevent: end\ndata: {view(record).model_dump_json()}\n\n"


def _again(parts: "Parts") -> Callable[[Record], Sequence[str]]:
    """With what arguments a job goes on; all but a training are begun alike, and go on."""

    def arguments(record: Record) -> Sequence[str]:
        if record.kind != "training":
            return record.arguments
        from aitwin.style.train import waits

        rest = [one for one in record.arguments if one not in ("--resume", "--restart")]
        return [*rest, "--resume"] if waits(parts.home.adapters / record.name) else rest

    return arguments
