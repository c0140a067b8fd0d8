"""Recordings in: streamed to disk, listened to, kept as takes, graded at once (A4).

What is accepted is on the disk, whole, before the answer; what is refused leaves nothing. How the
bytes come: forms. What there is of a voice: voices.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server import voice_shapes as shapes
from aitwin.server.forms import Bounds, Form, body_of
from aitwin.server.owned import (
    PATIENCE,
    arrived,
    called,
    changing,
    opened,
    owner,
    taken_in,
    today,
    voices_of,
    with_room,
    wrong,
)
from aitwin.server.problems import Problem, told
from aitwin.server.queueing import asker
from aitwin.server.shapes import Shape
from aitwin.server.voice_shapes import LONGEST_NAME, PROMPT_ID, TAKE_ID, VOICE_ID, Emotion, Uploaded

if TYPE_CHECKING:
    from aitwin.server.bench import Bench
    from aitwin.server.parts import Parts
    from aitwin.voice.grades import Grade
    from aitwin.voice.intake import Intake
    from aitwin.voice.prompts import Prompt
    from aitwin.voice.voices import Take, Voice

MOST = 200_000_000
"""Bytes of a recording."""
LONGEST = 2 * 3600.0
"""Seconds of a recording at once: the whole hour that is asked for, twice (V1). What unpacks to
more is refused, be it three hours of speech or a small file of silence."""
LEAST_READ = 0.5
"""Seconds of a sentence that was read; of a file that is added, see sound_file.MIN_SECONDS."""
RENEWED = 1200.0
"""Seconds of takes up to which the profile is brought up to date with each file that is added: it
reads them all. Beyond, and after sentences that were read, the preparation does."""

Nothing = BeforeValidator(lambda value: None if value == "" else value)
"""A field that was sent empty is one that was not sent: forms of pages do so."""


class Wanted(Shape):
    """The fields beside the recording."""

    voice_id: Annotated[str | None, Nothing] = Field(default=None, pattern=VOICE_ID)
    """The voice that it is added to."""
    name: Annotated[str | None, Nothing] = Field(
        default=None, min_length=1, max_length=LONGEST_NAME, repr=False
    )
    """Of the voice, which is made when none is called so; without name and id, the owner's own."""
    emotion: Annotated[Emotion | None, Nothing] = None
    """How it is spoken: that of the sentence, or neutral."""
    prompt_id: Annotated[str | None, Nothing] = Field(default=None, pattern=PROMPT_ID)
    """The sentence that was read (see `GET /voices/{voice_id}/prompts`)."""
    consent: Annotated[bool | None, Nothing] = None
    """Whether you say that this is your own voice, and may be cloned here."""
    replaces: Annotated[str | None, Nothing] = Field(default=None, pattern=TAKE_ID)
    """A take of the voice that goes when this one is kept: a retake."""


BOUNDS = Bounds("audio", frozenset(Wanted.model_fields), MOST)


def router_of(parts: "Parts") -> APIRouter:
    """The routes that take recordings."""
    router = APIRouter(tags=["voices"])

    @router.post(
        "/voices/uploads",
        operation_id="uploadRecording",
        status_code=201,
        openapi_extra=body_of(form=Wanted, file="audio"),
        responses={
            200: {"model": Uploaded, "description": "The recording was here already"},
            **told(
                *("malformed", "truncated", "too-large", "unsupported-media-type"),
                *("invalid-request", "not-audio", "unusable-audio", "too-long-audio"),
                *("unknown-voice", "unknown-prompt", "unknown-take", "voices-locked"),
                *("disk-full", "busy", "cannot"),
            ),
        },
    )
    async def upload(request: Request, response: Response) -> Uploaded:
        """Add a recording to a voice: wav, mp3, m4a, flac, ogg or webm, up to 200 MB (A4).

        It is kept as it is, made ready, and graded at once. The same recording sent twice is one.
        """
        directory = await to_thread.run_sync(voices_of, parts.home)
        async with arrived(parts, request, directory, BOUNDS) as form:
            wanted = form.read(Wanted)
            with parts.hearing.place(asker(request)):
                async with parts.hearing.turn:
                    kept = await to_thread.run_sync(_kept, parts, directory, form, wanted)
        if kept.already_here:
            response.status_code = 200
        return kept

    return router


def _kept(parts: "Parts", directory: Path, form: Form, wanted: Wanted) -> Uploaded:
    """Listen to it, and keep it."""
    from aitwin.voice.sound_file import MIN_SECONDS

    prompt = _prompt(wanted)
    least = LEAST_READ if prompt else MIN_SECONDS
    path, heard = taken_in(form, "audio", least=least, longest=LONGEST)
    voice, created = _voice(parts.home, directory, wanted)
    if wanted.replaces and not (voice.path / "takes" / wanted.replaces).is_dir():
        raise Problem("unknown-take")
    with with_room():
        take, known = _take(voice, created, path, heard, wanted, prompt)
        _settle(take)
    warnings = []
    if heard.missing:
        warnings.append(
            f"the recording was cut off: {heard.missing:.1f} seconds are missing; the rest is kept"
        )
    if take.emotion != _emotion(wanted, prompt):
        warnings.append(f"it is here as {take.emotion}; delete it first to add it as another")
    grade, why = parts.bench.grade(voice, take)
    warnings += [why] * bool(why)
    warnings += [f"{reason.found}: {reason.advice}" for reason in grade.reasons] if grade else []
    agreed = bool(wanted.consent) and _state(parts.home, voice)
    if wanted.replaces and wanted.replaces != take.id:
        warnings += _replaced(voice, wanted.replaces)
    if not _agreed(voice):
        warnings.append(
            "nobody has said that this voice may be cloned: give the consent of whoever speaks"
        )
    if agreed or (prompt is None and _seconds(voice) <= RENEWED):
        warnings += _renewed(parts.bench, voice)
    return _told(voice, take, heard, grade, warnings, known, created)


def _prompt(wanted: Wanted) -> "Prompt | None":
    """The sentence that was read."""
    from aitwin.voice import prompts

    if wanted.prompt_id is None:
        return None
    prompt = prompts.find(wanted.prompt_id)
    if prompt is None:
        raise Problem("unknown-prompt")
    if wanted.emotion not in (None, prompt.emotion):
        raise wrong("emotion", f"the sentence is read {prompt.emotion}")
    return prompt


def _emotion(wanted: Wanted, prompt: "Prompt | None") -> str:
    return prompt.emotion if prompt else wanted.emotion or "neutral"


def _voice(home: Home, directory: Path, wanted: Wanted) -> "tuple[Voice, bool]":
    """The voice that is meant, and whether it was made for this."""
    if wanted.voice_id and wanted.name:
        raise wrong("name", "give voice_id for a voice that is here, or name, not both")
    if wanted.voice_id:
        return opened(directory, wanted.voice_id), False
    name = wanted.name or (home.settings().name if home.settings_file.exists() else "My voice")
    return called(directory, name)


def _take(  # noqa: PLR0913 (what is kept, where, and what is known of it)
    voice: "Voice",
    created: bool,
    path: Path,
    heard: "Intake",
    wanted: Wanted,
    prompt: "Prompt | None",
) -> "tuple[Take, bool]":
    """The recording as a take, and whether it was one already."""
    from aitwin.voice import voices

    for take in voice.takes():
        if take.sound == heard.sound:
            return take, True
    values: dict[str, Any] = {"emotion": _emotion(wanted, prompt), **heard.values}
    if prompt is not None:
        values |= {"prompt": prompt.text, "prompt_id": prompt.id}
    before = {take.id for take in voice.takes()}
    try:
        take = voice.add(path, values, move=True)
    except BaseException:
        if created and not voice.takes():
            voices.delete(voice.path)
        raise
    return take, take.id in before


def _settle(take: "Take") -> None:
    """Have the names on the disk, too, before anybody is told: also a power failure loses none."""
    for directory in (take.path, *take.path.parents[:3]):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _state(home: Home, voice: "Voice") -> bool:
    from aitwin.voice import consent

    place = voice.path / "consent"
    with suppress(TwinError):  # damaged: given anew
        given = consent.load(place)
        if given is not None and given.kind == "stated":
            return False  # it was said already: a new one would outdate the profile
    return consent.state(place, owner(home, voice), today())


def _agreed(voice: "Voice") -> bool:
    from aitwin.voice import consent

    with suppress(TwinError):
        return consent.load(voice.path / "consent") is not None
    return False


def _seconds(voice: "Voice") -> float:
    return sum(take.seconds for take in voice.takes())


def _replaced(voice: "Voice", earlier: str) -> list[str]:
    """Let the take go that a retake replaces, now that the new one is safe."""
    try:
        with changing(voice), suppress(TwinError):  # gone meanwhile, as was asked for
            voice.drop(earlier)
    except Problem as error:
        return [f"the take that it replaces is still there: {error.detail}"]
    return []


def _renewed(bench: "Bench", voice: "Voice") -> list[str]:
    from aitwin.voice import at_work

    try:
        with at_work.alone(voice, PATIENCE):
            why = bench.renew_profile(voice)
    except at_work.BusyError as error:
        why = str(error)
    return [why] if why else []


def reasons_of(grade: "Grade | None") -> tuple[shapes.Reason, ...]:
    """What lowers a grade, as the API has it."""
    return tuple(
        shapes.Reason(what=one.what, letter=one.letter, found=one.found, advice=one.advice)
        for one in (grade.reasons if grade else ())
    )


def _told(  # noqa: PLR0913 (all that is told)
    voice: "Voice",
    take: "Take",
    heard: "Intake",
    grade: "Grade | None",
    warnings: list[str],
    known: bool,
    created: bool,
) -> Uploaded:
    return Uploaded(
        voice_id=voice.id,
        take_id=take.id,
        seconds=round(take.seconds, 3),
        sample_rate=take.sample_rate,
        grade=grade.letter if grade else None,
        warnings=tuple(dict.fromkeys(warnings)),
        reasons=reasons_of(grade),
        format=heard.format,
        channels=take.channels,
        emotion=take.emotion,  # type: ignore[arg-type]  # an id of EMOTIONS
        already_here=known,
        created=created,
    )
