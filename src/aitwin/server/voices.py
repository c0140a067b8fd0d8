"""The owner's voices over HTTP: what there is of each, how well it speaks, and jobs on it.

How recordings come in: uploads; one by one: takes. Whose word there is: consents. What speaks in a
voice: speaking, references.
"""

from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from aitwin.errors import TwinError
from aitwin.server import consents, jobs, takes
from aitwin.server import voice_shapes as shapes
from aitwin.server.ledger import Kind, Order
from aitwin.server.owned import (
    busy_told,
    changing,
    located,
    opened,
    placed,
    voices_of,
    with_room,
)
from aitwin.server.problems import Problem, told
from aitwin.server.scopes import USE
from aitwin.server.takes import KINDS, PRIVATE
from aitwin.server.uploads import reasons_of
from aitwin.server.voice_shapes import VoiceId

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.evaluation import Evaluation
    from aitwin.voice.overview import EmotionOverview, Overview, TakeOverview
    from aitwin.voice.voices import Take, Voice

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src data:; "
    "img-src data:; sandbox allow-scripts"
)
"""A page of ours is whole in itself; sandboxed, it is no part of the app's origin."""
WORK: dict[Kind, tuple[str, ...]] = {
    "voice-preparation": ("voice", "prepare"),
    "voice-evaluation": ("voice", "eval"),
}
"""What a job on a voice runs."""


def router_of(parts: "Parts") -> APIRouter:
    """The routes below /voices, but for uploads."""
    router = APIRouter(tags=["voices"])
    _add_list(router, parts)
    _add_changes(router, parts)
    _add_evaluation(router, parts)
    _add_jobs(router, parts)
    router.include_router(takes.router_of(parts))
    router.include_router(consents.router_of(parts))
    return router


def _add_list(router: APIRouter, parts: "Parts") -> None:
    @router.get(
        "/voices",
        operation_id="listVoices",
        openapi_extra=USE,
        responses=told("voices-locked"),
    )
    def list_voices() -> shapes.Voices:
        """The owner's voices, by name, and how far each has come."""
        return _all(parts)

    @router.get(
        "/voices/{voice_id}",
        operation_id="getVoice",
        responses=told("unknown-voice", "voices-locked", "cannot"),
    )
    def show(voice_id: VoiceId) -> shapes.Voice:
        """A voice: its nine emotions, its takes with grades and reasons, and what it lacks."""
        return _whole(parts, opened(voices_of(parts.home), voice_id))


def _add_changes(router: APIRouter, parts: "Parts") -> None:
    @router.post(
        "/voices",
        operation_id="createVoice",
        status_code=201,
        responses=told("invalid-request", "exists", "voices-locked", "disk-full", "cannot"),
    )
    def create(wanted: shapes.NewVoice) -> shapes.VoiceSummary:
        """A new voice, without a take yet."""
        return _create(parts, wanted.name)

    @router.patch(
        "/voices/{voice_id}",
        operation_id="renameVoice",
        responses=told(
            *("unknown-voice", "voices-locked", "in-use", "invalid-request", "disk-full", "cannot")
        ),
    )
    def rename(voice_id: VoiceId, wanted: shapes.Renamed) -> shapes.VoiceSummary:
        """Another name; the id stays."""
        return _rename(parts, opened(voices_of(parts.home), voice_id), wanted.name)

    @router.delete(
        "/voices/{voice_id}",
        operation_id="deleteVoice",
        status_code=204,
        responses=told("unknown-voice", "voices-locked", "in-use", "cannot"),
    )
    def delete(voice_id: VoiceId) -> None:
        """Delete a voice for good: its recordings, and all that was made of them."""
        _delete(parts, voice_id)


def _add_evaluation(router: APIRouter, parts: "Parts") -> None:
    @router.get(
        "/voices/{voice_id}/evaluation",
        operation_id="getVoiceEvaluation",
        responses=told("unknown-voice", "no-evaluation", "voices-locked", "cannot"),
    )
    def evaluation(voice_id: VoiceId) -> shapes.Judged:
        """How well the voice speaks, as it was measured last: how like its owner, how clear."""
        voice = opened(voices_of(parts.home), voice_id)
        judged = _judged(voice, parts.studio.best(voice))
        if judged is None:
            raise Problem("no-evaluation")
        return judged

    @router.get(
        "/voices/{voice_id}/evaluation/page",
        operation_id="getVoiceEvaluationPage",
        response_class=Response,
        responses={
            200: {
                "content": {"text/html": {"schema": {"type": "string"}}},
                "description": "The page, with all to hear",
            },
            **told("unknown-voice", "no-evaluation", "voices-locked", "cannot"),
        },
    )
    def page(voice_id: VoiceId) -> FileResponse:
        """The page of the evaluation: every sentence to hear, and what was found in it."""
        found = _evaluation(opened(voices_of(parts.home), voice_id))
        if found is None or not found.page.is_file():
            raise Problem("no-evaluation")
        headers = {**PRIVATE, "Content-Security-Policy": PAGE_POLICY}
        return FileResponse(found.page, media_type="text/html; charset=utf-8", headers=headers)


def _add_jobs(router: APIRouter, parts: "Parts") -> None:
    answers = told("unknown-voice", "voices-locked", "busy", "disk-full", "cannot")

    @router.post(
        "/voices/{voice_id}/preparation",
        operation_id="prepareVoice",
        status_code=202,
        responses=answers,
    )
    async def prepare(voice_id: VoiceId) -> jobs.Job:
        """Make all takes ready, hear their words and who speaks, and renew the profile."""
        return await to_thread.run_sync(_start, parts, "voice-preparation", voice_id)

    @router.post(
        "/voices/{voice_id}/evaluation",
        operation_id="evaluateVoice",
        status_code=202,
        responses=answers,
    )
    async def evaluate(voice_id: VoiceId) -> jobs.Job:
        """Let the voice say thirty sentences, and measure how like its owner they sound."""
        return await to_thread.run_sync(_start, parts, "voice-evaluation", voice_id)


def _start(parts: "Parts", kind: Kind, voice_id: str) -> jobs.Job:
    voice = opened(voices_of(parts.home), voice_id)
    if not voice.takes():
        raise Problem("cannot", "it has no recording yet: record some, or add files")
    return jobs.view(parts.jobs.start(Order(kind, voice.id, (*WORK[kind], voice.id))))


def _all(parts: "Parts") -> shapes.Voices:
    from aitwin.voice import voices

    directory = voices_of(parts.home)
    seen, damaged = [], voices.damaged(directory)
    for voice in voices.all_(directory):
        try:
            seen.append(_summary(parts, voice))
        except TwinError as error:
            damaged.append(str(error))
    return shapes.Voices(voices=tuple(seen), damaged=tuple(damaged))


def _create(parts: "Parts", name: str) -> shapes.VoiceSummary:
    from aitwin.voice import voices

    directory = voices_of(parts.home)
    place = placed(directory, name)
    if not voices.is_free(place):
        raise Problem("exists", "a voice is called so already, or as good as so")
    with with_room():
        return _summary(parts, voices.create(directory, name))


def _rename(parts: "Parts", voice: "Voice", name: str) -> shapes.VoiceSummary:
    from aitwin.voice import record, voices

    placed(voice.path.parent, name)
    with busy_told(), record.alone(voice), with_room():
        return _summary(parts, voices.rename(voice, name))


def _delete(parts: "Parts", voice_id: str) -> None:
    from aitwin.voice import at_work, voices

    path = located(voices_of(parts.home), voice_id)
    try:
        voice = voices.load(path)
    except TwinError:
        # Damaged: its id is all that is known, and it goes all the same.
        with busy_told(), at_work.unlearned(path):
            voices.delete(path)
        return
    with changing(voice):
        voices.delete(path)


def _seen(parts: "Parts", voice: "Voice") -> "tuple[Overview, str]":
    """What there is of a voice, and what speaks in it now."""
    from aitwin.voice import overview

    engine = parts.studio.best(voice)
    return overview.of(voice, engine=engine), engine


def _summary(parts: "Parts", voice: "Voice") -> shapes.VoiceSummary:
    seen, engine = _seen(parts, voice)
    return _glance(seen, engine)


def _glance(seen: "Overview", engine: str) -> shapes.VoiceSummary:
    return shapes.VoiceSummary(
        id=seen.id,
        name=seen.name,
        created_at=seen.created_at,
        takes=len(seen.takes),
        seconds=round(seen.minutes * 60, 2),
        usable_seconds=round(seen.usable * 60, 2),
        wanted_seconds=round(sum(one.asked for one in seen.emotions) * 60, 2),
        emotions_full=sum(one.usable >= one.asked for one in seen.emotions),
        grades=seen.grades,
        consent=seen.consent or None,  # type: ignore[arg-type]  # "spoken" or "stated"
        ready=not seen.missing,
        engine=engine,
        speaks_well=seen.speaks_well,
    )


def _whole(parts: "Parts", voice: "Voice") -> shapes.Voice:
    seen, engine = _seen(parts, voice)
    takes = {take.id: take for take in voice.takes()}
    return shapes.Voice(
        **_glance(seen, engine).model_dump(),
        emotions=tuple(map(_emotion, seen.emotions)),
        recordings=tuple(_take(one, takes[one.id]) for one in seen.takes if one.id in takes),
        profile=seen.profile,
        missing=seen.missing,
        advice=seen.advice,
        damaged=tuple(voice.damaged()),
        given=consents.given(voice),
        evaluation=_judged(voice, engine),
        finetune=seen.finetune,
    )


def _emotion(one: "EmotionOverview") -> shapes.EmotionState:
    from aitwin.voice.emotions import EMOTIONS

    known = EMOTIONS[one.emotion]
    return shapes.EmotionState(
        emotion=one.emotion,  # type: ignore[arg-type]  # an id of EMOTIONS
        title=known.title,
        direction=known.direction,
        takes=one.takes,
        seconds=round(one.minutes * 60, 2),
        usable_seconds=round(one.usable * 60, 2),
        wanted_seconds=round(one.asked * 60, 2),
        grades=one.grades,
        pitch=one.pitch,
        rate=one.rate,
    )


def _take(seen: "TakeOverview", take: "Take") -> shapes.Take:
    from aitwin.voice.grades import Grade

    standing = seen.standing
    grade = Grade(seen.grade, seen.reasons) if seen.grade else None
    return shapes.Take(
        id=take.id,
        emotion=take.emotion,  # type: ignore[arg-type]  # an id of EMOTIONS
        added_at=take.added_at,
        seconds=round(take.seconds, 3),
        usable_seconds=round(seen.usable, 3),
        sample_rate=take.sample_rate,
        channels=take.channels,
        format=take.suffix[1:] if take.suffix in KINDS else "bin",
        prompt_id=take.prompt_id,
        grade=seen.grade,
        reasons=reasons_of(grade),
        likeness=standing.likeness if standing else None,
        remark=standing.said if standing else "",
    )


def _evaluation(voice: "Voice") -> "Evaluation | None":
    from aitwin.voice import evaluation

    try:
        return evaluation.load(voice)
    except TwinError:
        return None


def _judged(voice: "Voice", engine: str) -> shapes.Judged | None:
    from aitwin.voice import verify

    found = _evaluation(voice)
    if found is None:
        return None
    verdict = found.verdict
    return shapes.Judged(
        voice_id=voice.id,
        made_at=found.made_at,
        summary=found.summary,
        emotion=found.emotion,  # type: ignore[arg-type]  # an id of EMOTIONS, or empty
        engine=found.engine.name,
        described=found.engine.described,
        approximate=found.engine.approximate,
        usable=verdict.usable,
        reasons=tuple(f"{one.found}: {one.advice}" for one in verdict.reasons),
        unchecked=tuple(verdict.unchecked),
        likeness=dict(verdict.likeness),
        likeness_of_recordings=dict(found.recordings),
        likeness_wanted={name: verify.SAME[name] for name in verdict.likeness},
        word_error_rate=verdict.error_rate,
        mos=verdict.mos,
        watermarked=verdict.marked,
        sentences=len(found.said),
        faulty=sum(bool(one.check.faults) for one in found.said),
        seconds_per_second=found.speed,
        outdated=found.outdated(voice, engine),
    )
