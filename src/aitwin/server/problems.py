"""Every refusal as one JSON shape (RFC 9457); none of them repeats what was sent.

The kinds stand in one table; a route names those that it knows with `told`. Whoever needs a kind
that is not there adds a line.
"""

import errno
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from aitwin.errors import TwinError

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:aitwin:problem:"
GONE = 499
"""The client went away; nobody reads it (nginx's number)."""
MOST_FAULTS = 20
"""Wrong fields that are named: a request may have as many as it likes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What a problem is, whoever meets it."""

    status: int
    title: str
    detail: str
    """Where nothing more is known than the kind: what to do next."""


KINDS: Mapping[str, Kind] = {
    # Who asks
    "no-credential": Kind(
        401, "The credential is missing or wrong", "only the gateway that `twin serve` starts asks"
    ),
    "unknown-caller": Kind(
        401, "The token or session is not known", "it was revoked or has expired: sign in again"
    ),
    "wrong-code": Kind(401, "That does not open the twin", "ask for a new link with `twin login`"),
    "not-allowed": Kind(
        403,
        "This needs the owner",
        "use a token that was made with `twin token create --scope owner`",
    ),
    # What was sent
    "malformed": Kind(400, "The request cannot be read", "send one whole JSON document"),
    "invalid-request": Kind(422, "Some fields of the request are wrong", "see `errors`"),
    "too-large": Kind(413, "The request is too large", "send less at once"),
    "unsupported-media-type": Kind(
        415, "The request is in another form", "see the documentation of this route"
    ),
    "truncated": Kind(400, "The request ended early", "send it again"),
    "prompt-too-long": Kind(
        422, "The text is longer than the model's context", "shorten what is to be answered"
    ),
    # What is not there
    "not-found": Kind(404, "There is nothing here", "see the documentation for what there is"),
    "wrong-method": Kind(405, "This is not done here", "see `Allow`"),
    "unknown-model": Kind(404, "There is no such model", "see GET /v1/models"),
    "unknown-engine": Kind(404, "There is no such engine", "see GET /engines"),
    "unknown-voice": Kind(404, "There is no such voice", "see GET /voices"),
    "unknown-take": Kind(404, "There is no such take", "see GET /voices/{id}"),
    "unknown-job": Kind(404, "There is no such job", "see GET /jobs"),
    "unknown-adapter": Kind(404, "There is no such adapter", "see GET /adapters"),
    "unknown-dataset": Kind(404, "There is no such dataset", "see GET /datasets"),
    "unknown-pair": Kind(404, "There is no such pair", "see GET /datasets/{id}/pairs"),
    "unknown-prompt": Kind(404, "There is no such sentence", "see GET /voices/{id}/prompts"),
    "unknown-path": Kind(404, "There is no such file", "give the whole path of a file or folder"),
    "no-report": Kind(404, "There is no report of it", "build it again"),
    "no-evaluation": Kind(404, "Nothing was measured yet", "start the evaluation first"),
    # What has to be done first
    "not-set-up": Kind(409, "Nobody said yet whose twin this is", "run `twin init` first"),
    "no-adapter": Kind(
        409,
        "The twin has not learnt to write yet",
        "build a dataset and train on it: the pages Data and Training, or `twin train`",
    ),
    "model-not-pulled": Kind(409, "A model is not here yet", "see `twin models list`"),
    "not-installed": Kind(409, "A part of AI Twin is not installed", "see `twin doctor`"),
    "no-consent": Kind(
        409, "The speaker has not consented", "give the consent of whoever is heard first"
    ),
    "voices-locked": Kind(503, "The volume with the recordings is locked", "unlock it first"),
    "stopped-run-waits": Kind(
        409, "A training that was stopped waits", "resume it, or start anew with `restart`"
    ),
    "not-resumable": Kind(409, "That cannot go on", "start it anew"),
    "not-cancellable": Kind(409, "That has ended already", "see GET /jobs/{id}"),
    "exists": Kind(409, "That is there already", "choose another name"),
    "in-use": Kind(409, "That is in use", "wait until it is done, or cancel what uses it"),
    "busy-training": Kind(
        409, "A training is running already", "wait until it is done, or cancel it"
    ),
    # What cannot be
    "cannot": Kind(422, "This cannot be done as things are", "run `twin doctor`"),
    "not-audio": Kind(
        415, "This is no sound that can be read", "send WAV, MP3, M4A, FLAC, OGG or WebM"
    ),
    "unusable-file": Kind(422, "The file is empty or damaged", "export it again"),
    "unusable-audio": Kind(
        422, "The recording cannot be used", "record it again, nearer and in a quiet room"
    ),
    "consent-unheard": Kind(
        422, "The consent was not heard", "read the sentence aloud, word for word, in a quiet room"
    ),
    "too-long-audio": Kind(422, "The recording is too long", "send it in shorter pieces"),
    "not-a-corpus": Kind(
        415, "There is no mail and no chat in it", "give a mailbox, or the export of a chat"
    ),
    "bad-range": Kind(416, "There are no such bytes", "ask for bytes within the file"),
    # What is short
    "busy": Kind(429, "Too many requests wait already", "try again in some seconds"),
    "queue-full": Kind(429, "Too many jobs wait already", "wait until one is done"),
    "out-of-memory": Kind(
        507, "The memory does not suffice", "close other programs, or choose a smaller model"
    ),
    "disk-full": Kind(507, "The disk is full", "make room, and send it again"),
    "shutting-down": Kind(503, "The twin is being stopped", "try again when it runs again"),
    "bug": Kind(500, "This is a bug", "please report it"),
}


@dataclass(frozen=True)
class Fault:
    """A field that is wrong."""

    pointer: str
    """Where: a JSON pointer into the body ("#/messages/0/role"), or "?limit" for what stands in the
    query, "path voice_id" in the path, "header last-event-id" in a header."""
    detail: str


class Problem(Exception):  # noqa: N818 (RFC 9457's own word; it is an answer, not only an error)
    """A refusal of a known kind. Its text never repeats what was sent."""

    def __init__(
        self,
        kind: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Fault] = (),
        status: int | None = None,
    ) -> None:
        """`status` is for the one route that means another by it than the table does."""
        known = KINDS[kind]
        super().__init__(detail or known.detail)
        self.kind = kind
        self.title = known.title
        self.status = status or known.status
        self.detail = detail or known.detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)

    def document(self) -> dict[str, Any]:
        """As RFC 9457 asks, with the `error` object that OpenAI's clients read."""
        told: dict[str, Any] = {
            "type": PREFIX + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "error": {
                "message": self.detail,
                "type": "invalid_request_error" if self.status < 500 else "server_error",
                "code": self.kind,
            },
        }
        if self.errors:
            told["errors"] = [asdict(fault) for fault in self.errors]
        return told

    def answer(self) -> JSONResponse:
        """The response."""
        return JSONResponse(
            self.document(), status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


class ClientGoneError(Exception):
    """Whoever asked has hung up; nobody reads an answer."""


LEFT = (ClientGoneError, ClientDisconnect)
"""Errors of a client that went away: nothing is wrong, and nobody is told."""


class FaultDocument(BaseModel):
    """A field that is wrong."""

    pointer: str = Field(examples=["#/messages/0/role"])
    detail: str


class OpenAIError(BaseModel):
    """What OpenAI's clients read of an error."""

    message: str
    type: str
    code: str


class ProblemDocument(BaseModel):
    """A refusal (RFC 9457). `type` is one of the kinds that the route lists."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [Problem("busy").document()]}, extra="forbid"
    )

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultDocument] | None = None
    error: OpenAIError


def told(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides what it is for: FastAPI's `responses`."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for name in kinds:
        kind = KINDS[name]
        answer = by_status.setdefault(
            kind.status,
            {
                "description": "",
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                        "examples": {},
                    }
                },
            },
        )
        answer["description"] = "; ".join(filter(None, [answer["description"], kind.title]))
        answer["content"][MEDIA_TYPE]["examples"][name] = {"value": Problem(name).document()}
        if kind.status in (429, 503):
            answer["headers"] = {
                "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}
            }
    return by_status


def of(error: BaseException) -> Problem:
    """What to tell of an error: by its kind where that is known, and never in its own words.

    But for those of a TwinError, which is written for the owner.
    """
    from aitwin.style.engine import LoadError, TooLongError

    if isinstance(error, Problem):
        return error
    if isinstance(error, TooLongError):
        return Problem("prompt-too-long", str(error))
    if isinstance(error, LoadError) and error.is_too_large:
        return Problem("out-of-memory", str(error))
    if isinstance(error, TwinError):
        return Problem("cannot", str(error))
    if isinstance(error, ModuleNotFoundError):
        return Problem("not-installed", f"{error.name} is not installed; see `twin doctor`")
    if _is_of_memory(error):
        return Problem("out-of-memory")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("disk-full")
    return Problem("bug", f"this is a bug ({type(error).__name__}); please report it")


def reported(error: BaseException) -> Problem:
    """The same; a bug is logged, by its kind and place alone."""
    problem = of(error)
    if problem.kind == "bug":
        _log.error("%s", place(error))
    return problem


_OF_MEMORY = re.compile("not enough memory|out of memory|can't allocate|unable to allocate", re.I)
"""How torch, MLX and numpy say so, in errors of no class of their own."""


def _is_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _OF_MEMORY.search(str(error)) is not None
    )


def place(error: BaseException) -> str:
    """The kind of an error and where it was raised: its text may quote a mail."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} in {place}: a bug; please report it"


def explain(app: FastAPI) -> None:
    """Every refusal as one JSON shape; none of them repeats what was sent."""

    @app.exception_handler(Problem)
    async def refused(request: Request, error: Problem) -> JSONResponse:
        return error.answer()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, which is a mail.
        return _invalid(error.errors()).answer()

    @app.exception_handler(StarletteHTTPException)
    async def plain(request: Request, error: StarletteHTTPException) -> JSONResponse:
        kind = _BY_STATUS.get(error.status_code, "bug" if error.status_code >= 500 else "malformed")
        problem = Problem(kind, headers=error.headers, status=error.status_code)
        return problem.answer()

    async def failed(request: Request, error: Exception) -> JSONResponse:
        return reported(error).answer()

    for kind in (TwinError, ModuleNotFoundError, MemoryError):
        app.add_exception_handler(kind, failed)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return of(error).answer()  # it is raised again after this, and logged by uvicorn

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=GONE)

    # The other one is raised when it hangs up before its body is whole.
    for left in LEFT:
        app.add_exception_handler(left, gone)


_BY_STATUS = {400: "malformed", 401: "unknown-caller", 403: "not-allowed", 404: "not-found"} | {
    405: "wrong-method", 413: "too-large", 415: "unsupported-media-type", 416: "bad-range",
    422: "invalid-request", 429: "busy", 503: "shutting-down", 507: "disk-full",
}  # fmt: skip


def _invalid(faults: Sequence[Mapping[str, Any]]) -> Problem:
    if any(fault["type"] == "json_invalid" for fault in faults):
        return Problem("malformed")
    listed = tuple(Fault(_pointer(fault), _message(fault)) for fault in faults[:MOST_FAULTS])
    detail = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in listed)
    if more := len(faults) - len(listed):
        detail += f"; and {more} more"
    return Problem("invalid-request", detail, errors=listed)


def _pointer(fault: Mapping[str, Any]) -> str:
    """Where a fault is. What is not ours, the name of a field that was made up, is not repeated."""
    place, *steps = fault["loc"]
    if fault["type"] == "extra_forbidden":
        steps[-1:] = ["…"]
    if place == "body":
        return "#" + "".join(f"/{step}" for step in steps)
    return f"{'?' if place == 'query' else place + ' '}{'.'.join(map(str, steps))}"


def _message(fault: Mapping[str, Any]) -> str:
    """What is wrong. Pydantic quotes the input in this one kind."""
    if fault["type"] == "union_tag_invalid":
        return "none of the known kinds"
    return str(fault["msg"]).removeprefix("Value error, ")
