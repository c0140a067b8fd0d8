"""Speech, streamed sentence by sentence, in OpenAI's shape; what can speak here (S2, S4)."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, StrictFloat, StrictInt, field_validator, model_validator

from aitwin.errors import TwinError
from aitwin.server import problems
from aitwin.server.problems import ClientGoneError, Problem
from aitwin.server.queueing import Line, asker
from aitwin.server.scopes import USE
from aitwin.server.shapes import Shape, without_nulls
from aitwin.server.streams import Streamed, after, by_turns, while_there
from aitwin.server.writing import LONGEST, LONGEST_NAME, TWIN
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.speech import PAUSES, SEEDS, SPEEDS, Speech, unspoken
from aitwin.voice.studio import BASE_VOICES, BUNDLED, Cast, Studio

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.audio import Utterance
    from aitwin.voice.voices import Voice

Format = Literal["wav", "mp3"]
SPOKEN = (
    *("malformed", "too-large", "unsupported-media-type", "invalid-request", "unknown-voice"),
    *("unknown-engine", "not-installed", "no-consent", "cannot", "busy", "out-of-memory"),
)
"""Problems of a route that speaks."""


OPENAIS_ENGINES = re.compile(r"tts-1.*|gpt-.*-tts.*")
OPENAIS_VOICES = frozenset(
    (
        *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
        *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
    )
)
"""What programs ask OpenAI for by default: the best engine in the owner's voice answers."""


class Delivery(Shape):
    """In which voice a text is said, and how."""

    voice: str = Field(default="", max_length=LONGEST_NAME, examples=["base"])
    """By id; empty: the owner's voice where there is one."""
    emotion: str = Field(default="", json_schema_extra={"enum": ["", *EMOTIONS]})
    """One that the voice was recorded in; empty: as it usually speaks."""
    speed: StrictFloat = Field(default=1.0, ge=SPEEDS[0], le=SPEEDS[1], allow_inf_nan=False)
    pause: StrictFloat = Field(default=1.0, ge=PAUSES[0], le=PAUSES[1], allow_inf_nan=False)
    """A factor on the rests between sentences."""
    seed: StrictInt = Field(default=0, ge=SEEDS[0], le=SEEDS[1])

    @field_validator("emotion")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and value not in EMOTIONS:
            raise ValueError(f"there are {', '.join(EMOTIONS)}")
        return value


class SpeechRequest(Delivery):
    """A text to say, in OpenAI's shape; the fields from `emotion` to `seed` are ours.

    As for drafts: what would change the answer, and is not done here, is refused.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"input": "The kettle is on.", "voice": "base"},
                {"input": "No sugar.", "voice": "base", "response_format": "mp3", "speed": 1.2},
            ]
        }
    )

    input: str = Field(min_length=1, max_length=LONGEST, repr=False)
    model: str = Field(default=TWIN, max_length=LONGEST_NAME)
    """The engine, or `twin`: the best that can speak in the voice. So do OpenAI's (`tts-1`)."""
    response_format: Format = "wav"
    instructions: Any = Field(default=None, repr=False)
    stream_format: Any = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_left_out(cls, body: Any) -> Any:
        return without_nulls(body)

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

    @property
    def engine(self) -> str:
        """As the studio calls it; empty for the best."""
        any_ = self.model == TWIN or OPENAIS_ENGINES.fullmatch(self.model)
        return "" if any_ else self.model


class PassedRow(Shape):
    """A better engine that does not speak."""

    engine: str
    why: str


class VoiceRow(Shape):
    """A voice, what speaks for it, and why nothing better."""

    id: str
    name: str = Field(repr=False)
    emotions: list[str]
    engine: str
    """Empty when nothing can speak in it."""
    passed: list[PassedRow]


class VoiceList(Shape):
    """The base voice and the owner's; `voices` is what other programs read of them."""

    object: Literal["list"] = "list"
    data: list[VoiceRow]
    voices: list[dict[str, str]]
    problem: str | None = None
    """Why the owner's voices cannot be seen: the base voice speaks meanwhile."""


class EngineRow(Shape):
    """A way to speak, and why it cannot where it cannot."""

    name: str
    title: str
    licence: str
    clones: bool
    lacking: str


class EngineList(Shape):
    """Every way to speak."""

    object: Literal["list"] = "list"
    data: list[EngineRow]


_SOUND = {
    "description": "The sound at 22,050 Hz, sent sentence by sentence",
    "content": {
        kind: {"schema": {"type": "string", "format": "binary"}}
        for kind in ("audio/wav", "audio/mpeg")
    },
    "headers": {
        name: {"description": what, "schema": {"type": "string"}}
        for name, what in (
            ("X-Voice", "Id of the voice that is heard"),
            (
                "X-Voice-Wanted",
                "Id of the voice that was meant, where another is heard in its place",
            ),
            ("X-Engine", "What speaks"),
            (
                "X-Engine-Report",
                "JSON: cloned, approximate, emotion, marked, unspoken, passed, remarks",
            ),
        )
    },
}
"""What a route that speaks answers."""


def router_of(parts: "Parts") -> APIRouter:
    """The routes for speech."""
    router = APIRouter(tags=["speak"])

    @router.get("/engines", operation_id="listEngines", openapi_extra=USE)
    async def engines() -> EngineList:
        """Every way to speak, and why it cannot where it cannot."""
        states = await to_thread.run_sync(parts.studio.engines)
        rows = [
            EngineRow(**{**asdict(state), "lacking": pathless(state.lacking)}) for state in states
        ]
        return EngineList(data=rows)

    @router.get("/v1/audio/voices", operation_id="listSpeakingVoices", openapi_extra=USE)
    async def voices() -> VoiceList:
        """The base voice and the owner's, each with what speaks for it and why nothing better."""
        return await to_thread.run_sync(listed, parts.studio)

    @router.post(
        "/v1/audio/speech",
        operation_id="speak",
        openapi_extra=USE,
        response_class=Response,
        responses={200: _SOUND, **problems.told(*SPOKEN)},
    )
    async def speech(wanted: SpeechRequest, request: Request) -> Response:
        """Say a text, streamed sentence by sentence: WAV or MP3 (S2, S4)."""
        opened = partial(_chosen_by_a_program, parts.studio, wanted)
        said = spoken(
            parts.speaking,
            opened,
            wanted,
            wanted.input,
            wanted.response_format,
            who=asker(request),
        )
        # What cannot be said is refused before the sound begins, when an error has its status.
        first = await while_there(request, anext(said.chunks, b""))
        return Streamed(
            after(first, said.chunks),
            [said.chunks],
            media_type=MEDIA_TYPES[wanted.response_format],
            headers=said.headers,
        )

    return router


@dataclass(frozen=True, eq=False)
class Said:
    """A text that is being said."""

    chunks: AsyncGenerator[bytes]
    """A WAV or an MP3."""
    headers: dict[str, str]
    """Which voice is heard, by which engine: filled with the first chunk."""


def spoken(  # noqa: PLR0913 (what, how, and for whom)
    line: Line,
    opened: Callable[[], Speech],
    how: Delivery,
    text: str,
    form: Format,
    *,
    who: str = "",
    remarks: tuple[str, ...] = (),
) -> Said:
    """A text as sound, one sentence at a time by turns, by what `opened` opens in its turn.

    A long text lets others in after each of its sentences; one that nobody waits for any more ends
    within a step of the sentence under way. `who` asks (see Line); `remarks`: see report.
    Raises, at its first chunk, Problem or TwinError when it cannot be said.
    """
    headers: dict[str, str] = {}
    halt = Event()

    async def chunks() -> AsyncGenerator[bytes]:
        with line.place(who):
            async with line.turn:
                # In its turn, too: what is loaded or measured for a voice takes seconds.
                speech = await to_thread.run_sync(opened)
            # A long text is made words for a second, in which drafts and others go on.
            utterances, left_out = await to_thread.run_sync(_begun, speech, how, text, halt)
            headers.update(told(speech, left_out, remarks))
            encoded = ENCODED[form](utterances, speech.note)
            async with aclosing(by_turns(encoded, utterances, line.turn, halt)) as pieces:
                async for piece in pieces:
                    yield piece

    return Said(chunks(), headers)


def _begun(
    speech: Speech, how: Delivery, text: str, halt: Event
) -> tuple[Iterator["Utterance"], int]:
    """What is said, sentence by sentence, and how many characters have no sound."""
    utterances = speech.stream(
        text,
        speed=how.speed,
        pause=how.pause,
        seed=how.seed,
        look=partial(require_listener, halt),
    )
    return utterances, unspoken(text)


def require_listener(halt: Event) -> None:
    """Raise ClientGoneError when nobody listens any more."""
    if halt.is_set():
        raise ClientGoneError


def chosen(studio: Studio, how: Delivery, engine: str) -> Speech:
    """What speaks. Raises Problem when there is no such voice or engine."""
    if engine and engine not in (names := [state.name for state in studio.engines()]):
        raise Problem(
            "unknown-engine",
            f"no model for speech is called that: say {TWIN!r} for the best engine that can speak "
            f"in the voice, or one of {', '.join(names)}",
        )
    try:
        voice = studio.find(how.voice)
    except TwinError as error:
        # What was sent is never repeated; a locked volume is no "not found".
        named = repr(how.voice)
        kind = "unknown-voice" if how.voice and named in str(error) else "cannot"
        why = f"{pathless(str(error).replace(named, 'that'))}; the base voice is called base"
        raise Problem(kind, why) from None
    return studio.speech_however_little(voice, emotion=how.emotion, engine=engine)


def _chosen_by_a_program(studio: Studio, wanted: SpeechRequest) -> Speech:
    """The same; a voice that only OpenAI has is the owner's, and `X-Voice` says whose was heard."""
    try:
        return chosen(studio, wanted, wanted.engine)
    except Problem as problem:
        if problem.kind != "unknown-voice" or wanted.voice not in OPENAIS_VOICES:
            raise
    return chosen(studio, wanted.model_copy(update={"voice": ""}), wanted.engine)


_ABSOLUTE = re.compile(r"(?<![\w.~`/])/(?:[^/\n;:()`]+/)*([^/\n;:()`]+/)(?=[^/\s])")


def pathless(why: str) -> str:
    """The same without where the owner's home lies, which is no business of a token's.

    What is left of a path is its last two names: the voice's id, and what of it.
    """
    return _ABSOLUTE.sub(r"\1", why)


def attached(form: Format) -> dict[str, str]:
    """Headers of a whole file, which browsers keep under this name."""
    return {"Content-Disposition": f'attachment; filename="speech.{form}"'}


def report(speech: Speech, left_out: int, remarks: tuple[str, ...] = ()) -> dict[str, Any]:
    """Which voice is heard, by which engine, and why by no better one.

    `remarks`: what else is otherwise than it was asked for.
    """
    chosen = speech.speaker
    if not isinstance(chosen, Cast):
        return {"voice": chosen.name, "engine": chosen.name}
    # As `GET /voices` has it; the voice of its own that another engine has is called so.
    nobody = BASE_VOICES[0] if chosen.engine == BUNDLED else chosen.engine
    return {
        "voice": chosen.voice if chosen.owner else nobody,
        "wanted": "" if chosen.owner else chosen.voice,
        "engine": chosen.engine,
        "cloned": chosen.cloned,
        "approximate": chosen.approximate,
        "emotion": chosen.emotion,
        "marked": speech.watermark is not None,
        "unspoken": left_out,
        "passed": [{**asdict(one), "why": pathless(one.why)} for one in chosen.passed],
        "remarks": list(remarks),
    }


def told(speech: Speech, left_out: int, remarks: tuple[str, ...] = ()) -> dict[str, str]:
    """The same as headers.

    Header text is ASCII without line ends: ids of voices and names of engines (engines.NAME) are,
    and JSON sees to the rest.
    """
    known = report(speech, left_out, remarks)
    wanted = known.pop("wanted", "")
    return {
        "X-Voice": known.pop("voice"),
        **({"X-Voice-Wanted": wanted} if wanted else {}),
        "X-Engine": known["engine"],
        "X-Engine-Report": json.dumps(known),
    }


def listed(studio: Studio) -> VoiceList:
    """Every voice; with a `problem` where the owner's cannot be seen."""
    base = VoiceRow(id=BASE_VOICES[0], name="", emotions=[], engine=BUNDLED, passed=[])
    rows, problem = [base], None
    try:
        rows += [_row(studio, voice) for voice in studio.voices()]
    except TwinError as error:
        problem = pathless(str(error))
    named = [{"id": row.id, "name": row.name or row.id} for row in rows]
    return VoiceList(data=rows, voices=named, problem=problem)


def _row(studio: Studio, voice: "Voice") -> VoiceRow:
    rungs = studio.ladder(voice)
    return VoiceRow(
        id=voice.id,
        name=voice.name,
        emotions=studio.emotions(voice),
        engine=next((rung.name for rung in rungs if not rung.lacking), ""),
        passed=[
            PassedRow(engine=rung.name, why=pathless(rung.lacking))
            for rung in rungs
            if rung.lacking
        ],
    )


def _wav(utterances: Iterator["Utterance"], note: str) -> Iterator[bytes]:
    from aitwin.voice import audio

    return audio.wav_stream(utterances, note=note)


def _mp3(utterances: Iterator["Utterance"], note: str) -> Iterator[bytes]:
    from aitwin.voice import audio

    return audio.mp3_stream(utterances, note=note)


ENCODED: dict[Format, Callable[[Iterator["Utterance"], str], Iterator[bytes]]] = {
    "wav": _wav,
    "mp3": _mp3,
}
"""By format: what encodes it piece by piece."""
MEDIA_TYPES: dict[Format, str] = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def sized(sound: bytearray, form: Format) -> bytes:
    """A whole file: of a WAV that was streamed, the head says how long it is by now."""
    from aitwin.voice.audio import UNKNOWN_SIZE

    # With its unknown size: a name in the comment before it may hold the word, too.
    if form == "wav" and (start := sound.find(b"data" + UNKNOWN_SIZE.to_bytes(4, "little"))) >= 0:
        sound[4:8] = (len(sound) - 8).to_bytes(4, "little")
        sound[start + 4 : start + 8] = (len(sound) - start - 8).to_bytes(4, "little")
    return bytes(sound)
