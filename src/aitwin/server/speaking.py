"""Speech in OpenAI's shape, streamed sentence by sentence; what can speak here (S2, S4)."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from anyio import Semaphore, to_thread
from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StrictFloat, StrictInt, field_validator

from aitwin.errors import TwinError
from aitwin.server.streams import by_turns, joined
from aitwin.server.writing import LONGEST, LONGEST_NAME, TWIN
from aitwin.twin import Twin
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.speech import PAUSES, SEEDS, SPEEDS, Speech, unspoken
from aitwin.voice.studio import BASE_VOICES, BUNDLED, Cast, Studio

if TYPE_CHECKING:
    from aitwin.voice.audio import Utterance
    from aitwin.voice.voices import Voice


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


def router_of(twin: Twin) -> APIRouter:
    """The routes for speech, below /v1."""
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
        chunks = by_turns(encode(utterances, said.note), utterances, turn)
        # What cannot be said is refused before the sound begins, when an error has its status.
        first = await anext(chunks, b"")
        return StreamingResponse(
            joined(first, chunks), media_type=kind, headers=_told(said, left_out)
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
