"""Takes over HTTP: to listen to, to delete; and the sentences that are read next.

How they come in: uploads.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from aitwin.errors import TwinError
from aitwin.server import voice_shapes as shapes
from aitwin.server.owned import changing, opened, voices_of
from aitwin.server.problems import Problem, told
from aitwin.server.voice_shapes import PROMPT_ID, Emotion, TakeId, VoiceId

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.prompts import Prompt
    from aitwin.voice.script import Script
    from aitwin.voice.voices import Take, Voice

MOST_PROMPTS = 50
KINDS = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg",
    ".oga": "audio/ogg", ".opus": "audio/ogg", ".webm": "audio/webm", ".m4a": "audio/mp4",
    ".mp4": "audio/mp4", ".aiff": "audio/aiff", ".aif": "audio/aiff", ".aac": "audio/aac",
}  # fmt: skip
"""Media types by the suffix of an original; of others nobody claims to know."""
UNKNOWN = "application/octet-stream"
PRIVATE = {"Cache-Control": "private, no-store"}
"""A recording of somebody's voice is nothing for a cache on the way."""

Prepared = Annotated[bool, Query(description="The sound that was made ready, a FLAC")]
Only = Annotated[
    Emotion | Literal[""], Query(description="This emotion alone; empty: one after the other")
]
Count = Annotated[int, Query(ge=1, le=MOST_PROMPTS, description="Of sentences, at most")]
Skipped = Annotated[
    str,
    Query(
        max_length=4_000,
        description="Ids of sentences for another day, with commas between them",
    ),
]


class Sound(FileResponse):
    """A file, or the one stretch of it that `Range` asks for.

    What is no such range, or several, is answered with the whole, as RFC 9110 allows; one beyond
    the end with a problem.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        asked = _RANGE.fullmatch(Headers(scope=scope).get("range", ""))
        size = Path(self.path).stat().st_size
        if asked is None or (asked["stop"] and int(asked["stop"]) < int(asked["start"])):
            kept = [one for one in scope["headers"] if one[0].lower() != b"range"]
            await super().__call__({**scope, "headers": kept}, receive, send)
        elif int(asked["start"] or 0) >= size or asked["last"] == "0":
            refused = Problem("bad-range", headers={"Content-Range": f"bytes */{size}"})
            await refused.answer()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


_RANGE = re.compile(r"bytes=(?:(?P<start>\d{1,15})-(?P<stop>\d{0,15})|-(?P<last>\d{1,15}))")


def router_of(parts: "Parts") -> APIRouter:
    """The routes for takes and prompts."""
    router = APIRouter()

    @router.get(
        "/voices/{voice_id}/takes/{take_id}/audio",
        operation_id="getTakeAudio",
        response_class=Sound,
        responses={
            200: {
                "description": "The recording as it came, or made ready",
                "content": {
                    kind: {"schema": {"type": "string", "format": "binary"}}
                    for kind in sorted({*KINDS.values(), UNKNOWN})
                },
            },
            206: {"description": "What of it `Range` asks for"},
            **told("unknown-voice", "unknown-take", "bad-range", "voices-locked", "cannot"),
        },
    )
    def audio(voice_id: VoiceId, take_id: TakeId, prepared: Prepared = False) -> Sound:
        """What was recorded, to listen to."""
        voice = opened(voices_of(parts.home), voice_id)
        return _sound(voice, _take(voice, take_id), prepared=prepared)

    @router.delete(
        "/voices/{voice_id}/takes/{take_id}",
        operation_id="deleteTake",
        status_code=204,
        responses=told("unknown-voice", "unknown-take", "voices-locked", "in-use", "cannot"),
    )
    def drop(voice_id: VoiceId, take_id: TakeId) -> None:
        """Delete a take, what was made of it, and the evaluation and the pages that hold it."""
        _drop(parts, opened(voices_of(parts.home), voice_id), take_id)

    @router.get(
        "/voices/{voice_id}/prompts",
        operation_id="listPrompts",
        responses=told("unknown-voice", "voices-locked", "cannot", "invalid-request"),
    )
    def prompts(
        voice_id: VoiceId, emotion: Only = "", count: Count = 10, skip: Skipped = ""
    ) -> shapes.Prompts:
        """The sentences to read next, and how far the reading has come."""
        skipped = {one for one in skip.split(",") if re.fullmatch(PROMPT_ID, one)}
        return _to_read(opened(voices_of(parts.home), voice_id), emotion, count, skipped)

    return router


def _require_take(voice: "Voice", take_id: str) -> None:
    if not (voice.path / "takes" / take_id).is_dir():
        raise Problem("unknown-take")


def _take(voice: "Voice", take_id: str) -> "Take":
    _require_take(voice, take_id)
    return voice.take(take_id)


def _sound(voice: "Voice", take: "Take", *, prepared: bool) -> Sound:
    path, kind = take.original, KINDS.get(take.suffix, UNKNOWN)
    if prepared:
        ready = voice.prepared(take)
        if ready is None:
            raise Problem("unknown-take", "it is not made ready yet: prepare the voice first")
        path, kind = ready.sound, KINDS[".flac"]
    if not path.is_file():
        raise Problem("unknown-take")
    return Sound(path, media_type=kind, headers=PRIVATE)


def _drop(parts: "Parts", voice: "Voice", take_id: str) -> None:
    _require_take(voice, take_id)
    with changing(voice):
        _require_take(voice, take_id)  # gone meanwhile
        voice.drop(take_id)
        parts.bench.renew_profile(voice)


def _to_read(voice: "Voice", emotion: str, count: int, skipped: Collection[str]) -> shapes.Prompts:
    from aitwin.voice import record
    from aitwin.voice.emotions import EMOTIONS
    from aitwin.voice.prompts import prompts

    sentences = [one for name in EMOTIONS for one in prompts(name)]
    by_id = {one.id: one for one in sentences}
    script = record.script(voice, sentences, record.past(voice), emotion)
    progress = _progress(script)
    chosen: dict[str, shapes.Prompt] = {}
    while len(chosen) < count and (current := script.current) is not None:
        if current.id in chosen:
            break  # all of it once more: that is for the next time
        if current.id in skipped:
            script.skip()
            continue
        chosen[current.id] = _prompt(by_id[current.id])
        script.read(chosen[current.id].seconds)
    return shapes.Prompts(prompts=tuple(chosen.values()), progress=progress)


def _prompt(prompt: "Prompt") -> shapes.Prompt:
    return shapes.Prompt(
        id=prompt.id,
        emotion=prompt.emotion,  # type: ignore[arg-type]  # an id of EMOTIONS
        text=prompt.text,
        seconds=_expected(prompt),
    )


def _expected(prompt: "Prompt") -> float:
    """Seconds that it takes to read, as near as is known here."""
    from aitwin.voice.prompts import PACE

    try:
        return round(prompt.seconds, 1)
    except TwinError:
        # Nothing here knows syllables: an English word has one and a half.
        return round(1.5 * len(prompt.text.split()) / PACE[prompt.emotion], 1)


def _progress(script: "Script") -> tuple[shapes.PromptProgress, ...]:
    from aitwin.voice.emotions import EMOTIONS

    return tuple(
        shapes.PromptProgress(
            emotion=one.emotion,  # type: ignore[arg-type]  # an id of EMOTIONS
            title=EMOTIONS[one.emotion].title,
            direction=EMOTIONS[one.emotion].direction,
            read=one.read,
            sentences=one.sentences,
            reading=one.reading,
            seconds=round(one.said, 2),
            wanted_seconds=one.asked,
        )
        for one in script.progress()
    )
