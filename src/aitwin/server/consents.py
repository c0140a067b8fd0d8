"""Consent over HTTP: the sentence to read, the owner's word, and taking it back.

What it allows, profile judges, with every sentence that is spoken.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.server import voice_shapes as shapes
from aitwin.server.forms import Bounds, Form, body_of, is_form
from aitwin.server.owned import (
    PATIENCE,
    arrived,
    opened,
    owner,
    taken_in,
    today,
    voices_of,
    with_room,
)
from aitwin.server.problems import Problem, told
from aitwin.server.queueing import asker
from aitwin.server.voice_shapes import VoiceId

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.consent import Consent
    from aitwin.voice.voices import Voice

MOST = 20_000_000
"""Bytes of a consent that is read aloud: a minute and more in any format."""
LONGEST = 120.0
"""Seconds of one; a slow reader takes fifteen."""
LEAST = 1.0
"""Seconds of one."""
WORD = 0.1
"""Seconds of speech that a word of the sentence takes at the least (see record.Session.accept)."""
MOST_WORD = 4_096
"""Bytes of the owner's word as JSON."""
BOUNDS = Bounds("audio", frozenset(), MOST)


class _Alone(BaseModel):
    """A form with a recording and nothing else."""


def router_of(parts: "Parts") -> APIRouter:
    """The routes for the consent of a voice."""
    router = APIRouter()

    @router.get(
        "/voices/{voice_id}/consent",
        operation_id="getConsent",
        responses=told("unknown-voice", "voices-locked", "cannot"),
    )
    def consent(voice_id: VoiceId) -> shapes.Consent:
        """The sentence that the speaker reads aloud, and the consent that there is."""
        return _told(parts, opened(voices_of(parts.home), voice_id))

    @router.post(
        "/voices/{voice_id}/consent",
        operation_id="giveConsent",
        status_code=201,
        openapi_extra=body_of(form=_Alone, file="audio", json=shapes.StatedConsent),
        responses=told(
            *("malformed", "truncated", "too-large", "unsupported-media-type", "invalid-request"),
            *("not-audio", "unusable-audio", "too-long-audio", "consent-unheard"),
            *("unknown-voice", "voices-locked", "disk-full", "busy", "cannot"),
        ),
    )
    async def give(request: Request, voice_id: VoiceId) -> shapes.Consent:
        """Allow a voice to be cloned, as its speaker: by a recording, or by your word."""
        directory = await to_thread.run_sync(voices_of, parts.home)
        voice = await to_thread.run_sync(opened, directory, voice_id)
        if not is_form(request):
            await _word(request)
            return await to_thread.run_sync(_state, parts, voice)
        async with arrived(parts, request, directory, BOUNDS) as form:
            with parts.hearing.place(asker(request)):
                async with parts.hearing.turn:
                    return await to_thread.run_sync(_hear, parts, voice, form)

    @router.delete(
        "/voices/{voice_id}/consent",
        operation_id="withdrawConsent",
        status_code=204,
        responses=told("unknown-voice", "voices-locked", "cannot"),
    )
    def withdraw(voice_id: VoiceId) -> None:
        """Take the consent back: nothing is cloned any more, and what was made goes.

        Its fine-tune, its evaluation and the page to listen to are deleted; recordings stay.
        """
        _withdraw(parts, opened(voices_of(parts.home), voice_id))

    return router


# --- By word --------------------------------------------------------------------------------------


async def _word(request: Request) -> None:
    """Read the owner's word. Raises Problem when it is not given."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("unsupported-media-type", "send JSON, or a form with a recording")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_WORD:
            raise Problem("too-large")
    try:
        shapes.StatedConsent.model_validate_json(bytes(body))
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None


def _state(parts: "Parts", voice: "Voice") -> shapes.Consent:
    from aitwin.voice import consent as consents

    with with_room():
        consents.state(voice.path / "consent", owner(parts.home, voice), today())
    return _compared(parts, voice)


def _withdraw(parts: "Parts", voice: "Voice") -> None:
    from aitwin.voice import at_work
    from aitwin.voice import consent as consents

    for place in ("consent", consents.IMPORTED):
        consents.withdraw(voice.path / place)
    with at_work.after_all(voice):
        voice.forget_clones()
        parts.bench.renew_profile(voice)


# --- Read aloud -----------------------------------------------------------------------------------


def _hear(parts: "Parts", voice: "Voice", form: Form) -> shapes.Consent:
    """Listen to it, and keep it when the sentence was read."""
    from aitwin.voice import consent as consents

    with with_room():
        path, _ = taken_in(form, "audio", least=LEAST, longest=LONGEST, plain=True)
    sentence = consents.sentence(owner(parts.home, voice), today())
    share = _heard(parts, path, sentence)
    with with_room():
        given = consents.Consent(
            kind="spoken",
            given_on=today(),
            sentence=sentence,
            sha256=artifact.sha256(path),
            words=share,
        )
        consents.store(voice.path / "consent", given, path)
    return _compared(parts, voice)


def _heard(parts: "Parts", path: Path, sentence: str) -> float | None:
    """Share of the sentence that was heard; None: nothing here hears words.

    Raises Problem when it was not read.
    """
    import numpy as np

    from aitwin.voice import consent as consents
    from aitwin.voice import read_aloud, vad
    from aitwin.voice.heard import HOP, RATE
    from aitwin.voice.source import Source

    samples = np.concatenate(list(Source(path).blocks()))
    spans = vad.speech_spans(parts.bench.tools().detector.probabilities(samples))
    said = sum(stop - start for start, stop in spans) * HOP / RATE
    wanted = len(sentence.split()) * WORD
    if said < wanted:
        raise Problem(
            "consent-unheard",
            f"{said:.1f} s of speech were heard, and nobody reads the sentence in less than "
            f"{wanted:.0f} s; read it aloud, word for word",
        )
    transcriber = parts.bench.transcriber()
    if transcriber is None:
        return None
    share = read_aloud.contains(sentence, transcriber.words(samples))
    if share < consents.LEAST_WORDS:
        raise Problem(
            "consent-unheard",
            f"{share:.0%} of the sentence's words were heard, and {consents.LEAST_WORDS:.0%} are "
            "the least; read it aloud, word for word, in a quiet room",
        )
    return share


# --- As it stands ---------------------------------------------------------------------------------


def _compared(parts: "Parts", voice: "Voice") -> shapes.Consent:
    """The consent, once the profile knows of it: its speaker is compared with the takes'."""
    from aitwin.voice import at_work

    # Whoever is at work on the voice renews the profile, or `missing` tells that it is older.
    with suppress(at_work.BusyError), at_work.alone(voice, PATIENCE):
        parts.bench.renew_profile(voice)
    return _told(parts, voice)


def _told(parts: "Parts", voice: "Voice") -> shapes.Consent:
    from aitwin.voice import consent as consents

    return shapes.Consent(
        voice_id=voice.id,
        sentence=consents.sentence(owner(parts.home, voice), today()),
        given=given(voice),
        imported=(voice.path / consents.IMPORTED).exists(),
    )


def given(voice: "Voice") -> shapes.ConsentState | None:
    """The consent that there is, as far as it is known; one that is damaged counts for nothing."""
    from aitwin.voice import consent as consents
    from aitwin.voice import record

    try:
        stored = consents.load(voice.path / "consent")
    except TwinError:
        return None
    if stored is None:
        return None
    known = _known(voice, stored)
    return shapes.ConsentState(
        kind=stored.kind,
        given_on=stored.given_on,
        words=known.words,
        likeness=known.likeness,
        doubts=record.consent_doubts(voice),
        unchecked=known.unchecked,
    )


def _known(voice: "Voice", stored: "Consent") -> "Consent":
    """With its likeness, which is in the profile."""
    from aitwin.voice import profile

    with suppress(TwinError):  # no profile yet
        compared = profile.load(profile.path_of(voice)).consent
        if compared is not None and compared.sha256 == stored.sha256:
            return compared
    return stored
