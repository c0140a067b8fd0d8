"""HTTP over Twin, on loopback: health, and the OpenAI-shaped routes for chat and speech.

Made for the gateway and for programs on this machine: every route but `/health` wants the token
that `twin serve` keeps in the owner's directory. Does not load models itself: it is given a Twin.
"""

import hmac
import json
import logging
import signal
import socket
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, closing, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar
from uuid import uuid4

from anyio import CancelScope, Semaphore, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
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
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from aitwin import __version__
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Kind, Register, Task
from aitwin.style.engine import Engine, Sampling
from aitwin.style.guard import Intervention
from aitwin.style.writer import sampling_for
from aitwin.twin import Twin
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.speech import PAUSES, SEEDS, SPEEDS, Speech, unspoken
from aitwin.voice.studio import BASE_VOICES, BUNDLED, Cast, Studio

if TYPE_CHECKING:
    from aitwin.voice.audio import Utterance
    from aitwin.voice.voices import Voice

LOOPBACK = "127.0.0.1"
LONGEST = 100_000
"""Characters of one text in a request: a hundred pages, far beyond the model's context."""
LONGEST_NAME = 200
TWIN, BASE = "twin", "base"
_DEFAULT = Sampling()
_Item = TypeVar("_Item")


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


class SpeechRequest(BaseModel):
    """A text to say, in OpenAI's shape; the fields from `emotion` to `seed` are ours.

    As for drafts: what would change the answer, and is not done here, is refused.
    """

    input: str = Field(min_length=1, max_length=LONGEST, repr=False)
    voice: str = Field(default="", max_length=LONGEST_NAME)
    """By id; empty: the owner's voice where there is one."""
    model: str = Field(default=TWIN, max_length=LONGEST_NAME)
    """The engine, or `twin`: the best that can speak in the voice."""
    response_format: Literal["wav", "mp3"] = "wav"
    speed: StrictFloat = Field(default=1.0, ge=SPEEDS[0], le=SPEEDS[1])
    emotion: str = ""
    pause: StrictFloat = Field(default=1.0, ge=PAUSES[0], le=PAUSES[1])
    """A factor on the rests between sentences."""
    seed: StrictInt = Field(default=0, ge=SEEDS[0], le=SEEDS[1])
    instructions: Any = Field(default=None, repr=False)
    stream_format: Any = Field(default=None, repr=False)

    @field_validator("instructions")
    @classmethod
    def _not_followed(cls, value: Any) -> None:
        if value:
            raise ValueError("not supported; leave it out, and choose an `emotion`")

    @field_validator("stream_format")
    @classmethod
    def _sound_alone(cls, value: Any) -> None:
        if value not in (None, "audio"):
            raise ValueError("the sound is streamed as it is: 'audio', or leave it out")

    @field_validator("emotion")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and value not in EMOTIONS:
            raise ValueError(f"there are {', '.join(EMOTIONS)}")
        return value

    @property
    def engine(self) -> str:
        """As the studio calls it; empty for the best."""
        return "" if self.model == TWIN else self.model


def create(twin: Twin, token: str, *, on_close: Callable[[], None] = lambda: None) -> FastAPI:
    """The application over `twin`; `token` opens it, `on_close` runs after the last request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(on_close)

    app = FastAPI(
        title="AI Twin",
        version=__version__,
        lifespan=lifespan,
        # Would answer without the token, as the pages would that are made of it.
        openapi_url=None,
    )
    # A page on the internet that resolves its own name to 127.0.0.1 still sends that name.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    _explain_errors(app)

    def authorised(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "the token is missing or wrong; see `twin serve --help`")

    app.include_router(_health(twin))
    guarded = [Depends(authorised)]
    app.include_router(_writing(twin), prefix="/v1", dependencies=guarded)
    app.include_router(_speaking(twin), prefix="/v1", dependencies=guarded)
    return app


def _explain_errors(app: FastAPI) -> None:
    """Every refusal as one JSON shape; none of them repeats what was sent."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, which is a mail. So would the name of a field
        # that is not ours, but unknown fields are no error.
        places = {".".join(map(str, e["loc"])): e["msg"] for e in error.errors()}
        return _problem(422, "; ".join(f"{place}: {what}" for place, what in places.items()))

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail))

    @app.exception_handler(TwinError)
    async def failed(request: Request, error: TwinError) -> JSONResponse:
        return _problem(422, str(error))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return _problem(500, f"this is a bug ({type(error).__name__}); please report it")


def _health(twin: Twin) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Alive, and which version: all that is told without the token."""
        return {"status": "ok", "version": __version__}

    return router


def _writing(twin: Twin) -> APIRouter:
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
        ready = _from_thread(pieces, turn)
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


def _speaking(twin: Twin) -> APIRouter:
    router = APIRouter()
    # One sentence at a time, by turns: a long text lets others in after each of its sentences.
    # Those who wait hold no thread meanwhile.
    turn = Semaphore(1)

    @router.get("/engines")
    async def engines() -> dict[str, Any]:
        """Every way to speak, and why it cannot where it cannot."""
        states = await to_thread.run_sync(twin.studio.engines)
        return {"object": "list", "data": [asdict(state) for state in states]}

    @router.get("/voices")
    async def voices() -> dict[str, Any]:
        """The base voice and the owner's, each with what speaks for it and why nothing better."""
        return await to_thread.run_sync(_voices, twin.studio)

    @router.post("/audio/speech")
    async def speech(wanted: SpeechRequest) -> Response:
        """Say a text, streamed sentence by sentence: WAV or MP3 (S2, S4)."""
        async with turn:
            # In its turn, too: what is loaded or measured for a voice takes seconds.
            said = await to_thread.run_sync(_speech, twin, wanted)
        # A long text is made words for a second, in which drafts and others go on.
        utterances, left_out = await to_thread.run_sync(_begun, said, wanted)
        encode, kind = _ENCODED[wanted.response_format]
        chunks = _by_turns(encode(utterances, said.note), utterances, turn)
        # What cannot be said is refused before the sound begins, when an error has its status.
        first = await anext(chunks, b"")
        return StreamingResponse(
            _joined(first, chunks), media_type=kind, headers=_told(said, left_out)
        )

    return router


def _begun(speech: Speech, wanted: SpeechRequest) -> tuple[Iterator["Utterance"], int]:
    """What is said, sentence by sentence, and how many characters have no sound."""
    utterances = speech.stream(
        wanted.input, speed=wanted.speed, pause=wanted.pause, seed=wanted.seed
    )
    return utterances, unspoken(wanted.input)


def _speech(twin: Twin, wanted: SpeechRequest) -> Speech:
    """What speaks. Raises HTTPException when there is no such voice or engine."""
    if wanted.engine and wanted.engine not in (names := _names(twin.studio)):
        raise HTTPException(
            404,
            f"no model for speech is called that: say {TWIN!r} for the best engine that can speak "
            f"in the voice, or one of {', '.join(names)}",
        )
    try:
        voice = twin.studio.find(wanted.voice)
    except TwinError as error:
        # What was sent is never repeated; a locked volume is no "not found".
        named = repr(wanted.voice)
        status = 404 if wanted.voice and named in str(error) else 422
        raise HTTPException(status, str(error).replace(named, "that")) from None
    return twin.studio.speech(voice, emotion=wanted.emotion, engine=wanted.engine)


def _names(studio: Studio) -> list[str]:
    return [state.name for state in studio.engines()]


def _told(speech: Speech, left_out: int) -> dict[str, str]:
    """Which voice is heard, by which engine, and why by no better one: as headers.

    Header text is ASCII without line ends: ids of voices and names of engines (engines.NAME) are,
    and JSON sees to the rest.
    """
    chosen = speech.speaker
    if not isinstance(chosen, Cast):
        return {"X-Voice": chosen.name, "X-Engine": chosen.name}
    # As `GET /v1/voices` has it; the voice of its own that another engine has is called so.
    nobody = BASE_VOICES[0] if chosen.engine == BUNDLED else chosen.engine
    return {
        "X-Voice": chosen.voice if chosen.owner else nobody,
        "X-Engine": chosen.engine,
        "X-Engine-Report": json.dumps(
            {
                "engine": chosen.engine,
                "cloned": chosen.cloned,
                "approximate": chosen.approximate,
                "emotion": chosen.emotion,
                "marked": speech.watermark is not None,
                "unspoken": left_out,
                "passed": [asdict(passed) for passed in chosen.passed],
            }
        ),
    }


def _voices(studio: Studio) -> dict[str, Any]:
    """The list; with a `problem` where the owner's voices cannot be seen: the base voice speaks."""
    rows: list[dict[str, Any]] = [
        {"id": BASE_VOICES[0], "name": "", "emotions": [], "engine": BUNDLED, "passed": []}
    ]
    try:
        rows += [_voice(studio, voice) for voice in studio.voices()]
    except TwinError as error:
        return {"object": "list", "data": rows, "problem": str(error)}
    return {"object": "list", "data": rows}


def _voice(studio: Studio, voice: "Voice") -> dict[str, Any]:
    rungs = studio.ladder(voice)
    return {
        "id": voice.id,
        "name": voice.name,
        "emotions": studio.emotions(voice),
        "engine": next((rung.name for rung in rungs if not rung.lacking), ""),
        "passed": [{"engine": rung.name, "why": rung.lacking} for rung in rungs if rung.lacking],
    }


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


async def _from_thread(
    items: Iterator[_Item], turn: Semaphore | None = None
) -> AsyncGenerator[_Item]:
    """Pull a blocking iterator from a thread, when it is its turn.

    When the client goes away, it is closed at once, and the turn is free.
    """
    end = object()
    async with turn or nullcontext():
        try:
            while (item := await to_thread.run_sync(next, items, end)) is not end:
                yield item  # type: ignore[misc]  # not the sentinel
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(getattr(items, "close", lambda: None))


async def _by_turns(
    chunks: Iterator[bytes], utterances: Iterator["Utterance"], turn: Semaphore
) -> AsyncGenerator[bytes]:
    """Pull what is made of `utterances` from a thread, each piece in its own turn.

    When the client goes away, the sentence under way is the last one.
    """
    end = object()
    try:
        while True:
            async with turn:
                chunk = await to_thread.run_sync(next, chunks, end)
            if chunk is end:
                return
            yield chunk  # type: ignore[misc]  # not the sentinel
    finally:
        with CancelScope(shield=True):
            for items in (chunks, utterances):
                await to_thread.run_sync(getattr(items, "close", lambda: None))


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _wav(utterances: Iterator["Utterance"], note: str) -> Iterator[bytes]:
    from aitwin.voice import audio

    return audio.wav_stream(utterances, note=note)


def _mp3(utterances: Iterator["Utterance"], note: str) -> Iterator[bytes]:
    from aitwin.voice import audio

    return audio.mp3_stream(utterances, note=note)


_ENCODED: dict[str, tuple[Callable[[Iterator["Utterance"], str], Iterator[bytes]], str]] = {
    "wav": (_wav, "audio/wav"),
    "mp3": (_mp3, "audio/mpeg"),
}
"""By format: what encodes it piece by piece, and its media type."""


def _problem(status: int, detail: str) -> JSONResponse:
    """An error as RFC 9457 asks, with the `error` object that OpenAI's clients read."""
    return JSONResponse(
        {
            "type": "about:blank",
            "status": status,
            "detail": detail,
            "error": {"message": detail, "type": "invalid_request_error", "code": status},
        },
        status_code=status,
        media_type="application/problem+json",
    )


def bind(port: int) -> socket.socket:
    """A socket on loopback that holds the port and refuses connections until `listen`.

    Raises TwinError when the port is taken.
    """
    # With the protocol named, asyncio turns Nagle's algorithm off: 40 ms per request otherwise.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError as error:
        bound.close()
        raise _unusable(port, error) from None
    return bound


def listen(bound: socket.socket) -> None:
    """Take connections from now on.

    Raises TwinError when another program was first: two may bind a port while neither listens.
    """
    try:
        bound.listen(128)
    except OSError as error:
        raise _unusable(bound.getsockname()[1], error) from None


def _unusable(port: int, error: OSError) -> TwinError:
    return TwinError(
        f"port {port} on {LOOPBACK} cannot be used ({error.strerror}); "
        "stop the other program, or choose another with `twin serve --port`"
    )


def run(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests that are under way."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    logging.getLogger("uvicorn.error").addFilter(_without_words)
    # uvicorn raises the signal once more when it has shut down; it did end well, so: exit code 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)
    uvicorn.Server(config).run(sockets=[listening])


def _without_words(record: logging.LogRecord) -> bool:
    """Make of a traceback its kind and place: the text of an error may quote a mail."""
    if record.exc_info and record.exc_info[1]:
        kind, error, trace = record.exc_info
        if isinstance(error.__cause__, TwinError):
            # The sound was on its way already, and no status can be sent any more.
            record.msg, record.args = "a stream was cut off: %s", (str(error.__cause__),)
            record.exc_info = record.exc_text = None
            return True
        while trace and trace.tb_next:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        record.msg, record.args = (
            "%s in %s: a bug; please report it",
            (kind and kind.__name__, place),
        )
        record.exc_info = record.exc_text = None
    return True
