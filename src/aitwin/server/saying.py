"""Write and speak at once: a draft whose sentences are heard while the rest is written (S3, A1).

The same whole (JSON), in two parts (multipart/mixed), or as it comes (server-sent events). Writing
and speaking themselves: see drafting, speaking.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from secrets import token_hex
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from anyio import CancelScope, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, ConfigDict, Field, StrictInt

from aitwin.server import drafting, problems, references
from aitwin.server.drafting import Drafting, Wish
from aitwin.server.forms import Bounds, body_of, is_form
from aitwin.server.owned import arrived, voices_of, wrong
from aitwin.server.problems import ClientGoneError
from aitwin.server.queueing import asker
from aitwin.server.scopes import USE
from aitwin.server.shapes import Shape, read_json
from aitwin.server.speaking import (
    ENCODED,
    MEDIA_TYPES,
    SPOKEN,
    Delivery,
    Format,
    PassedRow,
    chosen,
    report,
    require_listener,
    sized,
)
from aitwin.server.streams import Streamed, pumped, while_there
from aitwin.server.writing import EVENT, EVENTS, LONGEST, LONGEST_NAME, TWIN, WRITTEN, Brief
from aitwin.style.engine import Sampling
from aitwin.style.guard import Intervention
from aitwin.voice.speech import SEEDS, Speech, unspoken

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.audio import Utterance

MIXED = "multipart/mixed"
Answer = Literal["json", "mixed", "events"]
"""In which form."""


class SayRequest(Brief, Delivery):
    """A writing task whose draft is spoken."""

    model_config = ConfigDict(
        # What is misspelt would be answered in another voice or form, and look well.
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"prompt": "Thank Ana; Thursday works.", "voice": "base"},
                {
                    "prompt": "Say yes, but not before ten.",
                    "kind": "reply",
                    "context": "Can we meet on Thursday? Ana",
                    "answer": "events",
                    "format": "mp3",
                },
            ]
        },
    )

    SAID_IN = "`prompt`"

    voice: str = Field(
        default="",
        max_length=LONGEST_NAME,
        validation_alias=AliasChoices("voice", "voice_id"),
        examples=["base"],
    )
    """By id, also as `voice_id`; empty: the owner's voice where there is one."""
    prompt: str = Field(default="", max_length=LONGEST, repr=False)
    """What to write; for a reply or a rewrite, what more is to be said."""
    style_reference: str = Field(default="", max_length=LONGEST, repr=False)
    """Text whose style the draft shall follow."""
    model: Literal["twin", "base"] = "twin"
    """Who writes: the twin, or its base to compare with."""
    engine: str = Field(default="", max_length=LONGEST_NAME)
    """What speaks; empty: the best that can speak in the voice."""
    seed: StrictInt = Field(default=Sampling.seed, ge=SEEDS[0], le=SEEDS[1])
    """Of the writing and the speaking: the same gives the same."""
    format: Format = "wav"
    """Of the sound."""
    answer: Answer | None = None
    """Whole as JSON, in two parts, or as it comes; left out: as `Accept` says, else JSON."""
    stream: bool = False
    """The same as `answer: "events"`, as A3 has it."""

    consent: bool = False
    """That whoever is heard in the clip of a form has agreed to be spoken like: sent before it."""

    @property
    def instruction(self) -> str:
        """See Brief."""
        return self.prompt

    @property
    def style(self) -> str:
        """See Brief."""
        return self.style_reference

    @property
    def wish(self) -> Wish:
        """For whoever writes."""
        return Wish(self.task, self.sampling, self.model == TWIN)


FORM = Bounds(
    "clip",
    frozenset(
        ("voice_id", *(field.alias or name for name, field in SayRequest.model_fields.items()))
    ),
    references.MOST,
    texts=frozenset({"prompt", "context", "style_reference"}),
    most_text=6 * LONGEST,
    agreed="consent",
)


class Heard(Shape):
    """Which voice is heard, by which engine, and why by no better one."""

    voice: str
    wanted: str = ""
    """Id of the voice that was meant, where another is heard in its place."""
    engine: str
    cloned: bool = False
    approximate: bool = False
    emotion: str = ""
    marked: bool = False
    passed: list[PassedRow] = Field(default_factory=list)
    remarks: list[str] = Field(default_factory=list)
    """What else is otherwise than it was asked for."""
    format: Format
    sample_rate: int
    """Hertz."""


class Written(Shape):
    """A draft that has ended."""

    text: str = Field(repr=False)
    taken_off: list[Intervention]
    """What the model had added, and the twin took off, by its kind (W3)."""
    finish_reason: Literal["stop", "length"]
    model: Literal["twin", "base"]


class Done(Written):
    """A draft that has ended, and was spoken."""

    seconds: float
    """Of sound."""
    unspoken: int
    """Characters that have no sound, and were left out."""


class SaidWhole(Heard, Done):
    """A draft and its speech."""

    audio: str = Field(repr=False, json_schema_extra={"contentEncoding": "base64"})
    """The file, in base64."""


@dataclass(frozen=True)
class Delta:
    """A piece of the text."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class Chunk:
    """A piece of the sound."""

    data: bytes = field(repr=False)


Items = AsyncGenerator[Delta | Chunk | Written]


class Saying:
    """A draft that is being written and spoken. Belongs to one request."""

    def __init__(
        self, parts: "Parts", wanted: SayRequest, draft: Drafting, speech: Speech, who: str = ""
    ) -> None:
        self._parts, self._wanted, self._who = parts, wanted, who
        self._draft, self._speech = draft, speech
        self._halt = Event()
        self._standing: SimpleQueue[str | None] = SimpleQueue()
        """What is written, for the thread that speaks; None ends it."""
        self._text: list[str] = []
        self._samples = 0

    @property
    def heard(self) -> Heard:
        """Known before the first word."""
        from aitwin.voice.audio import OUTPUT_RATE

        clip = getattr(self._speech.speaker, "clip", None)
        known = report(self._speech, 0, references.remarks(self._wanted, clip))
        known.pop("unspoken", None)
        return Heard(**known, format=self._wanted.format, sample_rate=OUTPUT_RATE)

    @property
    def done(self) -> Done:
        """Known after the last sound."""
        from aitwin.voice.audio import OUTPUT_RATE

        written = self.written
        return Done(
            **written.model_dump(),
            seconds=round(self._samples / OUTPUT_RATE, 3),
            unspoken=unspoken(written.text),
        )

    @property
    def written(self) -> Written:
        """Known after the last piece of the text."""
        return Written(
            text="".join(self._text).strip(),
            taken_off=self._draft.taken_off,
            finish_reason=self._draft.finish,
            model=self._wanted.model,
        )

    async def items(self) -> Items:
        """Text as it is written, Written when it stands, and sound as it is spoken.

        Raises Problem or TwinError when either fails; closing it stops both.
        """
        arrived: asyncio.Queue[Delta | Chunk | Written | BaseException | None] = asyncio.Queue()
        tasks = [
            asyncio.create_task(self._passed_on(source, arrived))
            for source in (self._writes(), self._speaks())
        ]
        try:
            at_work = len(tasks)
            while at_work:
                item = await arrived.get()
                if item is None:
                    at_work -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self._draft.halt.set()
            self._halt.set()
            self._standing.put(None)
            for task in tasks:
                task.cancel()
            with CancelScope(shield=True):
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _passed_on(
        self,
        source: Items,
        arrived: "asyncio.Queue[Delta | Chunk | Written | BaseException | None]",
    ) -> None:
        try:
            async with aclosing(source):
                async for item in source:
                    arrived.put_nowait(item)
            arrived.put_nowait(None)
        except Exception as error:  # noqa: BLE001 (raised again where it is awaited)
            arrived.put_nowait(error)

    async def _writes(self) -> AsyncGenerator[Delta | Written]:
        async with aclosing(self._draft.pieces) as pieces:
            async for piece in pieces:
                self._text.append(piece)
                self._standing.put(piece)
                yield Delta(piece)
        self._standing.put(None)
        yield self.written

    async def _speaks(self) -> AsyncGenerator[Chunk]:
        encoded = self._encoded()
        # Its turn comes sentence by sentence, in the studio's own queue: while the next one is
        # being written, others speak.
        spoken = pumped(encoded, self._parts.speaking, self._halt, turns=False, who=self._who)
        async with aclosing(spoken) as chunks:
            async for data in chunks:
                yield Chunk(data)

    def _encoded(self) -> Generator[bytes]:
        sounds = self._sounds()
        with closing(sounds):
            yield from ENCODED[self._wanted.format](sounds, self._speech.note)

    def _sounds(self) -> "Generator[Utterance]":
        from aitwin.voice.audio import Utterance

        how = self._wanted
        following = self._speech.follow(
            self._stands(),
            speed=how.speed,
            pause=how.pause,
            seed=how.seed,
            look=partial(require_listener, self._halt),
        )
        for item in following:
            if isinstance(item, Utterance):
                self._samples += len(item.samples)
                yield item

    def _stands(self) -> Iterator[str]:
        while (piece := self._standing.get()) is not None:
            yield piece
        if self._halt.is_set():
            # Or what stands of a text that nobody waits for would be spoken to its end.
            raise ClientGoneError


def router_of(parts: "Parts") -> APIRouter:
    """The route."""
    router = APIRouter(tags=["say"])

    @router.post(
        "/say",
        operation_id="say",
        openapi_extra={
            **body_of(form=SayRequest, file="clip", optional=True, json=SayRequest),
            **USE,
        },
        response_model=SaidWhole,
        responses={
            200: {
                "description": "The draft and its speech, in the form that was asked for",
                "content": {
                    EVENTS: {"schema": {**EVENT, "required": ["event", "data"]}},
                    MIXED: {"schema": {"type": "string", "format": "binary"}},
                },
            },
            **problems.told(
                *dict.fromkeys((*WRITTEN, *SPOKEN)),
                *("truncated", "not-audio", "unusable-audio", "too-long-audio"),
                *("voices-locked", "disk-full"),
            ),
        },
    )
    async def say(request: Request) -> Response:
        """Write in the owner's style, and say each sentence as soon as it stands (A1, S3).

        As JSON, or as a form with `clip`: then it is said like that, which is not kept.
        """
        wanted, opened = await _asked(parts, request)
        # Who cannot speak is told before anything is written.
        speech = await while_there(request, _in_turn(parts, opened))
        who = asker(request)
        draft = await drafting.begin(parts, wanted.wish, who)
        saying = Saying(parts, wanted, draft, speech, who)
        form = wanted.answer or ("events" if wanted.stream else _acceptable(request))
        return await _ANSWERS[form](request, saying, saying.items())

    return router


def _acceptable(request: Request) -> Answer:
    """What `Accept` likes best of what we have, and of equals the first; else JSON."""
    best: tuple[float, Answer] = (0.0, "json")
    for part in request.headers.get("accept", "").lower().split(","):
        kind, _, how = part.partition(";")
        answer = _ACCEPTED.get(kind.strip())
        if answer is not None and (weight := _weight(how)) > best[0]:
            best = (weight, answer)
    return best[1]


_ACCEPTED: dict[str, Answer] = {EVENTS: "events", MIXED: "mixed", "application/json": "json"}


def _weight(how: str) -> float:
    """The `q` of a part of `Accept`; 1 where it has none that can be read."""
    for one in how.split(";"):
        name, _, value = one.partition("=")
        if name.strip() == "q":
            with suppress(ValueError):
                return float(value)
    return 1.0


async def _asked(parts: "Parts", request: Request) -> tuple[SayRequest, Callable[[], Speech]]:
    """What to write, and what opens the speech that it is said with."""
    if not is_form(request):
        wanted = await read_json(request, SayRequest)
        return wanted, partial(chosen, parts.studio, wanted, wanted.engine)
    directory = await to_thread.run_sync(voices_of, parts.home)
    async with arrived(parts, request, directory, FORM) as form:
        wanted = form.read(SayRequest)
        if form.file is None:
            return wanted, partial(chosen, parts.studio, wanted, wanted.engine)
        if wanted.voice:
            raise wrong("voice", "send a clip or name a voice, not both")
        with parts.hearing.place(asker(request)):
            clip = await references.heard(parts, form, consent=wanted.consent)
        return wanted, partial(references.like, parts.studio, clip, wanted.engine)


async def _in_turn(parts: "Parts", opened: Callable[[], Speech]) -> Speech:
    async with parts.speaking.turn:
        return await to_thread.run_sync(opened)


async def _whole(request: Request, saying: Saying, items: Items) -> Response:
    sound = bytearray()

    async def read() -> None:
        async with aclosing(items):
            async for item in items:
                if isinstance(item, Chunk):
                    sound.extend(item.data)

    await while_there(request, read())
    said = {**saying.heard.model_dump(), **saying.done.model_dump()}
    audio = b64encode(sized(sound, saying.heard.format)).decode()
    return JSONResponse({**said, "audio": audio})


async def _mixed(request: Request, saying: Saying, items: Items) -> Response:
    """The text when it stands, then the sound: what of it is spoken by then, and the rest."""
    before: list[bytes] = []

    async def written() -> Written:
        async for item in items:
            if isinstance(item, Written):
                return item
            if isinstance(item, Chunk):
                before.append(item.data)
        raise RuntimeError("a draft ended without an end")

    try:
        text = await while_there(request, written())
    except BaseException:
        with CancelScope(shield=True):
            await items.aclose()
        raise
    boundary = f"twin-{token_hex(16)}"
    told = json.dumps({**saying.heard.model_dump(), **text.model_dump()})

    async def sent() -> AsyncIterator[bytes]:
        kind = MEDIA_TYPES[saying.heard.format]
        yield (
            f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{told}\r\n"
            f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n"
        ).encode()
        for data in before:
            yield data
        async for item in items:
            if isinstance(item, Chunk):
                yield item.data
        yield f"\r\n--{boundary}--\r\n".encode()

    return Streamed(sent(), [items], media_type=f"{MIXED}; boundary={boundary}")


async def _events(request: Request, saying: Saying, items: Items) -> Response:
    try:
        # The first piece is fetched before the answer begins: so an error has its status.
        first = await while_there(request, anext(items))
    except BaseException:
        with CancelScope(shield=True):
            await items.aclose()
        raise

    async def sent() -> AsyncIterator[str]:
        yield _event("voice", saying.heard.model_dump())
        yield _told(first)
        try:
            async for item in items:
                yield _told(item)
        except Exception as error:  # noqa: BLE001 (told by its kind alone)
            # The status is sent already: the error has to travel in the stream.
            yield _event("problem", problems.reported(error).document())
            return
        yield _event("done", saying.done.model_dump())

    return Streamed(sent(), [items], media_type=EVENTS)


_ANSWERS = {"json": _whole, "mixed": _mixed, "events": _events}


def _told(item: Delta | Chunk | Written) -> str:
    """As an event; that the text stands is told with the end."""
    if isinstance(item, Delta):
        return _event("text", {"delta": item.text})
    if isinstance(item, Chunk):
        return _event("audio", {"chunk": b64encode(item.data).decode()})
    return ""


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
