"""Speech like a reference clip, which is not kept, or in a voice of the owner's (A2, S3).

Says no more than the two have in common: what speaks is the studio's, how a text goes out is
speaking's.
"""

import io
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import AliasChoices, ConfigDict, Field, model_validator

from aitwin.errors import TwinError
from aitwin.server.forms import NO_CONSENT, Bounds, Form, body_of, is_form
from aitwin.server.owned import arrived, taken_in, voices_of, with_room, wrong
from aitwin.server.problems import Problem, told
from aitwin.server.queueing import asker
from aitwin.server.scopes import USE
from aitwin.server.shapes import read_json
from aitwin.server.speaking import (
    MEDIA_TYPES,
    SPOKEN,
    Delivery,
    Format,
    Said,
    attached,
    chosen,
    sized,
    spoken,
)
from aitwin.server.streams import Streamed, after, while_there, whole
from aitwin.server.writing import LONGEST, LONGEST_NAME
from aitwin.voice.studio import Studio

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.audio import Samples
    from aitwin.voice.clips import Clip
    from aitwin.voice.speech import Speech

MOST = 50_000_000
"""Bytes of a clip: nine minutes of the largest WAV that anybody records."""
LEAST, LONGEST_CLIP = 1.0, 600.0
"""Seconds of a clip; of more than clips.HEARD nothing is heard."""
MOST_WHOLE = 20_000
"""Characters that are said into one file before it is sent, some 20 minutes: 60 MB. What is longer
is streamed."""
COMPARED = 30.0
"""Seconds of what was said that are compared with the voice."""


class Wanted(Delivery):
    """A text to say: in a voice of the owner's by its id, or like the clip that comes with it."""

    # What is misspelt would be answered in another voice or form, and look well.
    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=LONGEST, repr=False, examples=["The kettle is on."])
    voice: str = Field(
        default="",
        max_length=LONGEST_NAME,
        validation_alias=AliasChoices("voice_id", "voice"),
        examples=["ana"],
    )
    """Id of a voice, also as `voice`; empty: that of the clip, or the owner's where none is
    sent."""
    format: Format = "wav"
    engine: str = Field(default="", max_length=LONGEST_NAME)
    """Empty: the best that can (see `GET /engines`)."""
    stream: bool = False
    """Send it as it is said, sentence by sentence; otherwise as one file, with its length."""
    similarity: bool = False
    """Measure how like the voice the speech is (`X-Similarity`); not of a stream."""
    consent: bool = False
    """That whoever is heard in the clip has agreed to be spoken like. Nothing is said without: send
    it before the clip."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not self.stream and len(self.text) > MOST_WHOLE:
            raise ValueError(f"a text of more than {MOST_WHOLE:,} characters is streamed: `stream`")
        if self.stream and self.similarity:
            raise ValueError("`similarity` is measured of a whole file: leave out one of the two")
        return self


BOUNDS = Bounds(
    "clip",
    frozenset(Wanted.model_fields) | {"voice_id"},
    MOST,
    texts=frozenset({"text"}),
    most_text=6 * LONGEST,
    agreed="consent",
)
_HEADERS = {
    "X-Voice": "Id of the voice that is heard; `clip` for that of the clip",
    "X-Voice-Wanted": "Id of the voice that was meant, where another is heard in its place",
    "X-Engine": "What speaks",
    "X-Engine-Report": "JSON: cloned, approximate, emotion, marked, unspoken, passed, remarks",
    "X-Seconds": "How long it lasts; not of a stream",
    "X-Similarity": "Likeness to the voice, -1 to 1, by the most independent encoder; if asked for",
    "X-Similarity-Report": "JSON: likeness by encoder, and where one person is surely one; or "
    "what is wanting; if asked for",
}


def router_of(parts: "Parts") -> APIRouter:
    """The route."""
    router = APIRouter(tags=["speak"])

    @router.post(
        "/speech",
        operation_id="speakLike",
        response_class=Response,
        openapi_extra={**body_of(form=Wanted, file="clip", optional=True, json=Wanted), **USE},
        responses={
            200: {
                "description": "The sound at 22,050 Hz",
                "content": {
                    kind: {"schema": {"type": "string", "format": "binary"}}
                    for kind in MEDIA_TYPES.values()
                },
                "headers": {
                    name: {"description": what, "schema": {"type": "string"}}
                    for name, what in _HEADERS.items()
                },
            },
            **told(
                *SPOKEN,
                *("truncated", "not-audio", "unusable-audio", "too-long-audio"),
                *("voices-locked", "disk-full"),
            ),
        },
    )
    async def speech(request: Request) -> Response:
        """Say a text like a reference clip, which is not kept, or in a voice of yours (A2).

        As a form with `clip`, or as JSON with `voice_id`.
        """
        wanted, clip = await _asked(parts, request)
        if clip is not None:
            opened = partial(like, parts.studio, clip, wanted.engine)
        else:
            opened = partial(chosen, parts.studio, wanted, wanted.engine)
        said = spoken(
            parts.speaking,
            opened,
            wanted,
            wanted.text,
            wanted.format,
            who=asker(request),
            remarks=remarks(wanted, clip),
        )
        if not wanted.stream:
            return await while_there(request, _whole(parts, wanted, clip, said))
        # What cannot be said is refused before the sound begins, when an error has its status.
        first = await while_there(request, anext(said.chunks, b""))
        return Streamed(
            after(first, said.chunks),
            [said.chunks],
            media_type=MEDIA_TYPES[wanted.format],
            headers=said.headers,
        )

    return router


# --- What was asked for ---------------------------------------------------------------------------


async def _asked(parts: "Parts", request: Request) -> "tuple[Wanted, Clip | None]":
    """The text, and what was heard of the clip; None where a voice is named instead."""
    if not is_form(request):
        return await read_json(request, Wanted), None
    directory = await to_thread.run_sync(voices_of, parts.home)
    async with arrived(parts, request, directory, BOUNDS) as form:
        wanted = form.read(Wanted)
        if form.file is None:
            return wanted, None
        if wanted.voice:
            raise wrong("voice_id", "send a clip or name a voice, not both")
        with parts.hearing.place(asker(request)):
            return wanted, await heard(parts, form, consent=wanted.consent)


def remarks(how: Delivery, clip: object) -> tuple[str, ...]:
    """What is done otherwise than it was asked for."""
    if clip is not None and how.emotion:
        return ("a clip has one manner, its own: `emotion` was not followed",)
    return ()


async def heard(parts: "Parts", form: Form, *, consent: bool) -> "Clip":
    """The clip of a form (see `BOUNDS`), listened to; nothing of it is kept on the disk.

    Raises Problem without consent, and when nothing can be made of the clip.
    """
    if not consent:
        raise Problem("no-consent", NO_CONSENT)
    # By turns with sentences that are said, not behind an upload of half an hour (S3).
    async with parts.speaking.turn:
        return await to_thread.run_sync(_listened, parts, form)


def _listened(parts: "Parts", form: Form) -> "Clip":
    with with_room():
        path, found = taken_in(form, BOUNDS.file, least=LEAST, longest=LONGEST_CLIP, plain=True)
    try:
        return parts.bench.clip(parts.studio, path, found.sound)
    except TwinError as error:
        raise Problem("unusable-audio", str(error).replace(str(path), "the file")) from None
    except ModuleNotFoundError as error:
        raise Problem(
            "not-installed", f"{error.name} is not installed; see `twin doctor`"
        ) from None


# --- What speaks ----------------------------------------------------------------------------------


def like(studio: Studio, clip: "Clip", engine: str = "") -> "Speech":
    """Speech like a clip. Raises Problem when there is no such engine, or nothing can."""
    if engine and engine not in {state.name for state in studio.engines() if state.clones}:
        raise Problem("unknown-engine", "no engine of that name speaks like a clip")
    return studio.speech_like(clip, engine=engine)


# --- As one file ----------------------------------------------------------------------------------


async def _whole(parts: "Parts", wanted: Wanted, clip: "Clip | None", said: Said) -> Response:
    sound = bytearray()
    await whole(said.chunks, sound.extend)
    own: Callable[[], Samples | None] = partial(_own, parts.studio, wanted, clip)
    if "X-Voice-Wanted" in said.headers:
        own = _nobody
    measured = await to_thread.run_sync(_measured, parts, wanted, sound, own)
    return Response(
        bytes(sound),
        media_type=MEDIA_TYPES[wanted.format],
        headers={**said.headers, **measured, **attached(wanted.format)},
    )


def _nobody() -> None:
    """Another voice spoke in the place of the one that was meant: how like is no question."""


def _measured(
    parts: "Parts", wanted: Wanted, sound: bytearray, own: "Callable[[], Samples | None]"
) -> dict[str, str]:
    """Headers of a whole file, whose stated length is set right."""
    import soundfile

    with soundfile.SoundFile(io.BytesIO(sized(sound, wanted.format))) as file:
        headers = {"X-Seconds": f"{file.frames / file.samplerate:.3f}"}
        if not wanted.similarity:
            return headers
        samples = file.read(round(COMPARED * file.samplerate), dtype="float32")
    return headers | _similarity(parts, samples, own())


def _own(studio: Studio, wanted: Wanted, clip: "Clip | None") -> "Samples | None":
    """Somebody's own speech, to compare with; None where nobody's voice was wanted."""
    from aitwin.voice import profile, reference

    if clip is not None:
        return clip.samples
    try:
        voice = studio.find(wanted.voice)
        if voice is None:
            return None
        made = profile.load(profile.path_of(voice))
        return reference.of(voice, made, wanted.emotion).samples
    except TwinError:
        return None


def _similarity(parts: "Parts", said: "Samples", own: "Samples | None") -> dict[str, str]:
    from aitwin.voice import openvoice, verify
    from aitwin.voice.ge2e import PULL

    likeness = {} if own is None else parts.bench.likeness(said, own)
    report: dict[str, Any] = {
        "likeness": {name: round(value, 3) for name, value in likeness.items()},
        "same_from": {name: verify.SAME[name] for name in likeness},
    }
    if own is None:
        report["lacking"] = "no recording of a voice that is heard is here to compare with"
    elif not likeness:
        report["lacking"] = f"no encoder is here: {PULL}, or {openvoice.PULL}"
    headers = {"X-Similarity-Report": json.dumps(report)}
    # OpenVoice's own encoder is a lenient judge of what its converter has made: see verify.
    for name in (verify.GE2E, verify.OPENVOICE):
        if name in likeness:
            return {"X-Similarity": f"{likeness[name]:.3f}", **headers}
    return headers
