"""Drafts in OpenAI's shape: chat completions, whole or as they are written (W1, W2)."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from anyio import Semaphore
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import (
    BaseModel,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    field_validator,
    model_validator,
)

from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Kind, Register, Task
from aitwin.server.streams import from_thread
from aitwin.style.engine import Engine, Sampling
from aitwin.style.guard import Intervention
from aitwin.style.writer import sampling_for
from aitwin.twin import Twin

LONGEST = 100_000
"""Characters of one text in a request: a hundred pages, far beyond the model's context."""
LONGEST_NAME = 200
TWIN, BASE = "twin", "base"
_DEFAULT = Sampling()


class Turn(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=LONGEST, repr=False)

    @field_validator("content", mode="before")
    @classmethod
    def _parts_as_text(cls, content: Any) -> Any:
        """OpenAI's other form: a list of {"type": "text", "text": …}."""
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


class ChatRequest(BaseModel):
    """A writing task in OpenAI's shape; the fields from `context` to `length` are ours.

    What would change the answer's shape or end, and is not done here, is refused; of what else
    OpenAI's clients may send, nothing is read.
    """

    messages: list[Turn] = Field(min_length=1, max_length=200, repr=False)
    model: str = TWIN
    stream: StrictBool = False
    temperature: StrictFloat = Field(default=_DEFAULT.temperature, ge=0, le=2)
    top_p: StrictFloat = Field(default=_DEFAULT.top_p, gt=0, le=1)
    max_tokens: StrictInt | None = Field(default=None, ge=1, le=4096)
    max_completion_tokens: StrictInt | None = Field(default=None, ge=1, le=4096)
    seed: StrictInt = _DEFAULT.seed
    context: str = Field(default="", max_length=LONGEST, repr=False)
    """The mail or chat to answer, or the text to rewrite."""
    reference: str = Field(default="", max_length=LONGEST, repr=False)
    """Text whose style the draft shall follow."""
    kind: Kind = "write"
    """What to do with the context."""
    to: str = Field(default="", max_length=LONGEST_NAME, repr=False)
    """Who will read it."""
    register_: Register | None = Field(default=None, alias="register")
    length: (
        Literal["short", "medium", "long"] | Annotated[StrictInt, Field(ge=1, le=2000)] | None
    ) = None
    """A number is one of words."""
    n: StrictInt | None = Field(default=None, ge=1, le=1)
    stop: Any = Field(default=None, repr=False)
    tools: Any = Field(default=None, repr=False)
    functions: Any = Field(default=None, repr=False)
    logprobs: Any = Field(default=None, repr=False)
    response_format: Any = Field(default=None, repr=False)

    @field_validator("stop", "tools", "functions", "logprobs", "response_format")
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

    @model_validator(mode="after")
    def _has_what_it_is_about(self) -> Self:
        if self.kind != "write" and not self.context.strip():
            raise ValueError(f"to {self.kind}, give the text in `context`")
        if self.kind == "write" and not self.messages[-1].content.strip():
            raise ValueError("say what to write in the last of `messages`")
        return self

    @property
    def sampling(self) -> Sampling:
        """For the engine."""
        usual = sampling_for(self.length)
        return replace(
            usual,
            max_tokens=self.max_completion_tokens or self.max_tokens or usual.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
        )

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
    def task(self) -> Task:
        """The last turn, with what else was said about it."""
        return Task(
            self.messages[-1].content,
            self.context,
            self.reference,
            kind=self.kind,
            to=self.to,
            register=self.register_,
            length=self.length,
        )


def router_of(twin: Twin) -> APIRouter:
    """The routes for drafts, below /v1."""
    router = APIRouter()
    # One draft at a time: the engine has one context. Those who wait hold no thread meanwhile;
    # forty that did would leave none for the draft that they wait for.
    turn = Semaphore(1)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The twin, and the base model it was made from."""
        return {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": 0, "owned_by": "owner"}
                for name in (TWIN, BASE)
            ],
        }

    @router.post("/chat/completions")
    async def chat(wanted: ChatRequest, request: Request) -> Response:
        """Write in the owner's style (W1, W2)."""
        if wanted.model not in (TWIN, BASE):
            raise HTTPException(404, f"no such model; there are {TWIN!r} and {BASE!r}")
        engine = _Counted(twin.writer.engine)
        writer = replace(twin.writer, engine=engine)
        sampling = wanted.sampling
        adapted = wanted.model == TWIN
        taken_off: list[Intervention] = []
        pieces = writer.stream(
            wanted.task,
            sampling,
            adapted=adapted,
            earlier=wanted.earlier,
            taken_off=taken_off.append,
        )
        ready = from_thread(pieces, turn)
        frame = _Frame(
            wanted.model,
            lambda: "length" if engine.pieces >= sampling.max_tokens else "stop",
            taken_off,
        )
        if wanted.stream:
            # The first piece is fetched before the answer begins: so an error has its status.
            first = await anext(ready, "")
            return StreamingResponse(frame.stream(first, ready), media_type="text/event-stream")
        draft = []
        async with aclosing(ready):
            async for piece in ready:
                draft.append(piece)
                if await request.is_disconnected():
                    break
        return JSONResponse(frame.whole("".join(draft).strip()))

    return router


class _Counted:
    """The engine of one request, and how many pieces it gave.

    A piece is a token, but for those that are a part of a character (some emoji): of a text cut
    off after such ones the limit is not noticed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.pieces = 0

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine."""
        with closing(self._engine.stream(messages, sampling, adapted=adapted)) as pieces:
            for piece in pieces:
                self.pieces += 1
                yield piece


class _Frame:
    """The envelope that OpenAI's clients expect around text; `taken_off` in it is ours."""

    def __init__(
        self,
        model: str,
        finish: Callable[[], Literal["stop", "length"]],
        taken_off: Sequence[Intervention],
    ) -> None:
        self._finish = finish
        """Why the text ended: to be asked when it has."""
        self._taken_off = taken_off
        """Filled when it has ended."""
        self._common = {
            "id": f"chatcmpl-{uuid4().hex}",
            "model": model,
            "created": int(time.time()),
        }

    def whole(self, text: str) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": self._finish(),
        }
        return {
            **self._common,
            "object": "chat.completion",
            "choices": [choice],
            "taken_off": list(self._taken_off),
        }

    async def stream(self, first: str, rest: AsyncGenerator[str]) -> AsyncIterator[str]:
        # Closed here, not when the garbage is collected: only then is the engine free.
        async with aclosing(rest):
            yield self._event({"role": "assistant", "content": first})
            try:
                async for piece in rest:
                    yield self._event({"content": piece})
            except TwinError as error:
                # The status is sent already: the error has to travel in the stream.
                yield f"data: {json.dumps({'error': {'message': str(error)}})}\n\n"
                return
        yield self._event({}, self._finish())
        yield "data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**self._common, "object": "chat.completion.chunk", "choices": [choice]}
        if finish:
            chunk["taken_off"] = list(self._taken_off)
        return f"data: {json.dumps(chunk)}\n\n"
