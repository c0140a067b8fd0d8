"""Drafts in OpenAI's shape: chat completions, whole or as they are written (W1, W2)."""

import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from uuid import uuid4

from anyio import CancelScope
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import (
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aitwin.prompt import ChatMessage, Kind, Register, Task
from aitwin.server import drafting, problems
from aitwin.server.drafting import SEEDS, Drafting, Wish
from aitwin.server.problems import Problem
from aitwin.server.queueing import asker
from aitwin.server.scopes import USE
from aitwin.server.shapes import Shape, without_nulls
from aitwin.server.streams import Streamed, while_there, whole
from aitwin.style.engine import Sampling
from aitwin.style.guard import Intervention
from aitwin.style.writer import sampling_for

if TYPE_CHECKING:
    from aitwin.server.parts import Parts

LONGEST = 100_000
"""Characters of one text in a request: a hundred pages, far beyond the model's context."""
LONGEST_NAME = 200
MOST_TOKENS = 4096
TWIN, BASE = "twin", "base"
_OPENAIS = re.compile(r"(?:chat)?gpt-.*|o\d(?:-.*)?")
"""Models that programs ask OpenAI for by default: the twin answers, and says that it was it."""
MOST_STOPS, LONGEST_STOP = 4, 200
EVENTS = "text/event-stream"
EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
"""Schema of a server-sent event."""
NOBODY = ("not-set-up", "no-adapter", "model-not-pulled", "not-installed", "busy-training")
"""Problems of a twin that cannot write yet."""
WRITTEN = (
    *(*NOBODY, "malformed", "too-large", "unsupported-media-type", "invalid-request"),
    *("prompt-too-long", "cannot", "busy", "out-of-memory", "shutting-down"),
)
"""Problems of a route that writes."""
_DEFAULT = Sampling()


class Turn(Shape):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=LONGEST, repr=False)

    @field_validator("content", mode="before")
    @classmethod
    def _parts_as_text(cls, content: Any, info: ValidationInfo) -> Any:
        """OpenAI's other form: a list of {"type": "text", "text": …}; null of who called a tool."""
        if content is None and info.data.get("role") == "assistant":
            return ""
        if not isinstance(content, list):
            return content
        texts = []
        for part in content:
            match part:
                case {"type": "text", "text": str(text)}:
                    texts.append(text)
                case _:
                    raise ValueError("every part must be text; pictures and sound are not read")
        return "\n".join(texts)


class Brief(Shape):
    """What is to be written, and how: the fields that all requests for a draft have."""

    SAID_IN: ClassVar[str]
    """The field with the instruction."""

    temperature: StrictFloat = Field(default=_DEFAULT.temperature, ge=0, le=2, allow_inf_nan=False)
    top_p: StrictFloat = Field(default=_DEFAULT.top_p, gt=0, le=1, allow_inf_nan=False)
    max_tokens: StrictInt | None = Field(default=None, ge=1, le=MOST_TOKENS)
    seed: StrictInt = Field(default=_DEFAULT.seed, ge=SEEDS[0], le=SEEDS[1])
    context: str = Field(default="", max_length=LONGEST, repr=False)
    """The mail or chat to answer, or the text to rewrite."""
    kind: Kind = "write"
    """What to do with the context."""
    to: str = Field(default="", max_length=LONGEST_NAME, repr=False)
    """Who will read it."""
    register_: Register | None = Field(default=None, alias="register")
    length: (
        Literal["short", "medium", "long"] | Annotated[StrictInt, Field(ge=1, le=2000)] | None
    ) = None
    """A number is one of words."""

    @model_validator(mode="after")
    def _has_what_it_is_about(self) -> Self:
        if self.kind != "write" and not self.context.strip():
            raise ValueError(f"to {self.kind}, give the text in `context`")
        if self.kind == "write" and not self.instruction.strip():
            raise ValueError(f"say what to write in {self.SAID_IN}")
        return self

    @property
    def instruction(self) -> str:
        """What the owner wants."""
        raise NotImplementedError

    @property
    def style(self) -> str:
        """Text whose style the draft shall follow."""
        raise NotImplementedError

    @property
    def most(self) -> int | None:
        """Tokens of the draft, if anything was said."""
        return self.max_tokens

    @property
    def sampling(self) -> Sampling:
        """For the engine."""
        usual = sampling_for(self.length)
        return replace(
            usual,
            max_tokens=self.most or usual.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
        )

    @property
    def task(self) -> Task:
        """All that was said about what to write."""
        return Task(
            self.instruction,
            self.context,
            self.style,
            kind=self.kind,
            to=self.to,
            register=self.register_,
            length=self.length,
        )


class StreamOptions(Shape):
    """What more a stream tells."""

    include_usage: StrictBool = False
    """How many tokens there were, in a last event of its own."""


class ChatRequest(Brief):
    """A writing task in OpenAI's shape; the fields from `context` to `length` are ours.

    What would change the answer's shape or end, and is not done here, is refused; of what else
    OpenAI's clients may send, nothing is read.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": TWIN,
                    "messages": [{"role": "user", "content": "Thank Ana; Thursday works."}],
                    "max_tokens": 200,
                },
                {
                    "messages": [{"role": "user", "content": "Say yes, but not before ten."}],
                    "kind": "reply",
                    "context": "Can we meet on Thursday? Ana",
                    "to": "Ana",
                    "register": "mail",
                    "length": "short",
                    "stream": True,
                },
            ]
        }
    )

    SAID_IN = "the last of `messages`"

    messages: list[Turn] = Field(min_length=1, max_length=200, repr=False)
    model: str = Field(default=TWIN, max_length=LONGEST_NAME)
    """`twin`, or `base` to compare with; OpenAI's own names (`gpt-…`) mean the twin."""
    stream: StrictBool = False
    stream_options: StreamOptions | None = None
    # Programs ask for as many as OpenAI's models give: no more than ours come.
    max_tokens: StrictInt | None = Field(default=None, ge=1)
    """At most; above 4,096 it is that."""
    max_completion_tokens: StrictInt | None = Field(default=None, ge=1)
    reference: str = Field(default="", max_length=LONGEST, repr=False)
    """Text whose style the draft shall follow."""
    n: StrictInt | None = Field(default=None, ge=1, le=1)
    stop: list[Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]] = Field(
        default_factory=list, max_length=MOST_STOPS, repr=False
    )
    """Texts before which the draft ends; one may come without its list."""
    tools: Any = Field(default=None, repr=False)
    functions: Any = Field(default=None, repr=False)
    logprobs: Any = Field(default=None, repr=False)
    response_format: Any = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_left_out(cls, body: Any) -> Any:
        return without_nulls(body)

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("tools", "functions", "logprobs", "response_format")
    @classmethod
    def _not_done_here(cls, value: Any) -> None:
        if value and value != {"type": "text"}:
            raise ValueError("not supported; leave it out")

    @field_validator("messages")
    @classmethod
    def _ends_with_a_task(cls, turns: list[Turn]) -> list[Turn]:
        if turns[-1].role == "assistant":
            raise ValueError("the last message is the task, so it is the user's")
        return turns

    @property
    def earlier(self) -> list[ChatMessage]:
        """The turns before the task."""
        return [
            ChatMessage(
                role="assistant" if turn.role == "assistant" else "user", content=turn.content
            )
            for turn in self.messages[:-1]
        ]

    @property
    def instruction(self) -> str:
        """The last turn."""
        return self.messages[-1].content

    @property
    def style(self) -> str:
        """See Brief."""
        return self.reference

    @property
    def most(self) -> int | None:
        """Under either of OpenAI's names."""
        asked = self.max_completion_tokens or self.max_tokens
        return min(asked, MOST_TOKENS) if asked else None

    @property
    def writes(self) -> str:
        """Who: the twin or its base. Raises Problem when it is neither."""
        if self.model in (TWIN, BASE):
            return self.model
        if _OPENAIS.fullmatch(self.model):
            return TWIN
        raise Problem("unknown-model", f"no such model; there are {TWIN!r} and {BASE!r}")

    @property
    def wish(self) -> Wish:
        """For whoever writes."""
        return Wish(self.task, self.sampling, self.writes == TWIN, self.earlier)


class ModelRow(Shape):
    """What can write."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "owner"


class ModelList(Shape):
    """What can write, in OpenAI's shape."""

    object: Literal["list"] = "list"
    data: list[ModelRow]


class ChatReply(Shape):
    """A draft as a message."""

    role: Literal["assistant"] = "assistant"
    content: str = Field(repr=False)


class Choice(Shape):
    """A draft; there is always one."""

    index: int = 0
    message: ChatReply
    finish_reason: Literal["stop", "length"]


class Usage(Shape):
    """How many tokens there were."""

    prompt_tokens: int
    """About: by four characters each, as engines do not all count them."""
    completion_tokens: int
    total_tokens: int


class ChatCompletion(Shape):
    """A whole draft in OpenAI's shape."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    taken_off: list[Intervention]
    """What the model had added, and the twin took off, by its kind (W3)."""


def router_of(parts: "Parts") -> APIRouter:
    """The routes for drafts."""
    router = APIRouter(tags=["write"])

    @router.get("/v1/models", operation_id="listModels", openapi_extra=USE)
    async def models() -> ModelList:
        """The twin, and the base model it was made from."""
        return ModelList(data=[ModelRow(id=name) for name in (TWIN, BASE)])

    @router.get(
        "/v1/models/{model}",
        operation_id="getModel",
        openapi_extra=USE,
        responses=problems.told("unknown-model"),
    )
    async def one(model: str) -> ModelRow:
        """One of them."""
        if model not in (TWIN, BASE):
            raise Problem("unknown-model", f"no such model; there are {TWIN!r} and {BASE!r}")
        return ModelRow(id=model)

    @router.post(
        "/v1/chat/completions",
        operation_id="writeChat",
        openapi_extra=USE,
        response_model=ChatCompletion,
        responses={
            200: {
                "description": "The draft; with `stream`, its pieces as OpenAI sends them",
                "content": {EVENTS: {"schema": EVENT}},
            },
            **problems.told("unknown-model", *WRITTEN),
        },
    )
    async def chat(wanted: ChatRequest, request: Request) -> Response:
        """Write in the owner's style (W1, W2)."""
        draft = await drafting.begin(parts, wanted.wish, asker(request))
        frame = _Frame(wanted, draft)
        if wanted.stream:
            # The first piece is fetched before the answer begins: so an error has its status.
            first = await while_there(request, anext(frame.pieces, ""))
            return Streamed(frame.stream(first), [frame.pieces, draft.pieces], media_type=EVENTS)
        text: list[str] = []
        await while_there(request, whole(frame.pieces, text.append))
        return JSONResponse(frame.whole("".join(text).strip()))

    return router


class _Frame:
    """The envelope that OpenAI's clients expect around text; `taken_off` in it is ours."""

    def __init__(self, wanted: ChatRequest, draft: Drafting) -> None:
        self._draft = draft
        self._tells_usage = (
            wanted.stream_options is not None and wanted.stream_options.include_usage
        )
        self.pieces = until_a_stop(draft, wanted.stop)
        self._common = {
            "id": f"chatcmpl-{uuid4().hex}",
            "model": wanted.writes,
            "created": int(time.time()),
        }

    def whole(self, text: str) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": self._draft.finish,
        }
        return {
            **self._common,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._usage(),
            "taken_off": list(self._draft.taken_off),
        }

    def _usage(self) -> dict[str, int]:
        read, written = self._draft.engine.read, self._draft.engine.pieces
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }

    async def stream(self, first: str) -> AsyncIterator[str]:
        yield self._event({"role": "assistant", "content": first})
        try:
            async for piece in self.pieces:
                yield self._event({"content": piece})
        except Exception as error:  # noqa: BLE001 (told by its kind alone)
            # The status is sent already: the error has to travel in the stream.
            yield f"data: {json.dumps(problems.reported(error).document())}\n\n"
            return
        yield self._event({}, self._draft.finish)
        if self._tells_usage:
            last = {"object": "chat.completion.chunk", "choices": [], "usage": self._usage()}
            yield f"data: {json.dumps({**self._common, **last})}\n\n"
        yield "data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**self._common, "object": "chat.completion.chunk", "choices": [choice]}
        if finish:
            chunk["taken_off"] = list(self._draft.taken_off)
        return f"data: {json.dumps(chunk)}\n\n"


async def until_a_stop(draft: Drafting, stops: Sequence[str]) -> AsyncGenerator[str]:
    """The pieces of a draft, until one of these texts would come.

    What may be the begin of one is held back until more is known.
    """
    held = ""
    try:
        async for piece in draft.pieces:
            held += piece
            ends = [at for stop in stops if (at := held.find(stop)) >= 0]
            if ends:
                draft.stopped = True
                draft.halt.set()
                held = held[: min(ends)]
                break
            sure = len(held) - max((_begun(held, stop) for stop in stops), default=0)
            if sure:
                yield held[:sure]
                held = held[sure:]
        if held:
            yield held
    finally:
        with CancelScope(shield=True):
            await draft.pieces.aclose()


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of a text are the begin of `stop`."""
    most = min(len(text), len(stop) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(stop[:n])), 0)
