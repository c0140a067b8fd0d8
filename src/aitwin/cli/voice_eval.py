"""twin voice eval, listen: how well a voice speaks, measured, and to hear."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.at_work import alone, stoppable
from aitwin.cli.choosing import Emotion, Engine, OnlyId, Seed
from aitwin.cli.console import Json, print_json, progress, say, told_of_measuring
from aitwin.cli.lines import JsonLines, telling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aitwin.home import Home
    from aitwin.voice.evaluation import Evaluation
    from aitwin.voice.profile import VoiceProfile
    from aitwin.voice.verify import Encoder, Target, Tools
    from aitwin.voice.voices import Voice

Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]
FIGURES = ("usable", "likeness", "word_error_rate", "mos", "sentences", "faulty")
"""What --json-lines tells of an evaluation at its end."""
GOES_ON = "what is done is kept: the same command goes on"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("eval", epilog="Example: twin voice eval ana --open")(evaluate)
    app.command(epilog="Example: twin voice listen ana --open")(listen)


def evaluate(  # noqa: PLR0913 (one flag per thing to choose)
    voice: OnlyId = "",
    emotion: Emotion = "",
    engine: Engine = "",
    seed: Seed = 0,
    in_browser: Open = False,
    json_lines: JsonLines = False,
    json: Json = False,
) -> None:
    """Let a voice say thirty sentences, listen to them, and tell whether it is usable.

    How like the owner it sounds, whether its words are understood, how clean it is, and what is
    wrong with single sentences: on a page with everything to hear, and in the exit code, 1 when it
    is not usable. Without --engine and --emotion it is the voice's verdict, which `twin voice list`
    shows. Ctrl-C stops; the same command goes on.
    """
    from aitwin.cli.dataset import show_page
    from aitwin.home import Home
    from aitwin.rooms import open_studio, open_voice
    from aitwin.voice import evaluation

    with telling(json_lines) as lines:
        home = Home.from_environment()
        owned = open_voice(home, voice)
        known = _profile(owned)
        with alone(owned), stoppable(GOES_ON):
            speech = open_studio(home, measuring=told_of_measuring).speech(
                owned, emotion=emotion, engine=engine
            )
            tools, target = _ears(home, owned, known, emotion)
            tools = replace(tools, watermark=speech.watermark)
            with progress() as bar:
                task = bar.add_task(f"speaking by {speech.speaker.name}", total=None)

                def told(done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total)
                    lines.progress(done, total, "sentences", "speaking and listening")

                found = evaluation.run(
                    owned,
                    speech,
                    target,
                    tools,
                    emotion=emotion,
                    seed=seed,
                    asked=bool(engine or emotion),
                    on_progress=told,
                )
        figures = summary(found)
        lines.finished({key: figures[key] for key in FIGURES})
        if json:
            print_json(figures)
        elif not json_lines:
            _tell(found)
            show_page(found.page, in_browser=in_browser)
        if not found.verdict.usable:
            raise typer.Exit(1)


def listen(
    voice: OnlyId = "",
    emotion: Emotion = "",
    measured: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Write how like the owner each is.")
    ] = True,
    in_browser: Open = False,
    json: Json = False,
) -> None:
    """Let every engine that can speak for a voice say the same, on one page to compare by ear."""
    from aitwin.cli.dataset import show_page
    from aitwin.home import Home
    from aitwin.rooms import open_studio, open_voice
    from aitwin.voice import audition, evaluation
    from aitwin.voice.audition import Rung

    home = Home.from_environment()
    owned = open_voice(home, voice)
    known = _profile(owned)
    studio = open_studio(home, measuring=told_of_measuring)
    rungs = [
        Rung(
            state.name,
            state.title,
            state.lacking,
            partial(studio.speech, owned, emotion=emotion, engine=state.name),
        )
        for state in studio.ladder(owned, emotion=emotion)
    ]
    with alone(owned), stoppable("no page was written"), progress() as bar:
        task = bar.add_task("speaking", total=None)
        tools, target = _ears(home, owned, known, emotion)
        path = audition.write(
            owned,
            rungs,
            own=evaluation.recordings(owned, known, emotion),
            judged=(target, tools) if measured else None,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json:
        print_json({"id": owned.id, "page": path})
    else:
        show_page(path, in_browser=in_browser)


def summary(found: "Evaluation") -> dict[str, object]:
    """An evaluation as plain values for a program: no text."""
    verdict = found.verdict
    return {
        "id": found.voice,
        "emotion": found.emotion,
        "made_at": found.made_at,
        "engine": found.engine,
        "usable": verdict.usable,
        "reasons": verdict.reasons,
        "unchecked": verdict.unchecked,
        "likeness": dict(verdict.likeness),
        "likeness_of_recordings": dict(found.recordings),
        "word_error_rate": verdict.error_rate,
        "mos": verdict.mos,
        "watermarked": verdict.marked,
        "sentences": len(found.said),
        "faulty": sum(bool(one.check.faults) for one in found.said),
        "seconds_per_second": found.speed,
        "page": found.page,
    }


def _tell(found: "Evaluation") -> None:
    verdict = found.verdict
    say(f"{found.voice}, spoken by {found.engine.described}")
    for name, why in found.engine.passed:
        say(f"{name} did not speak: {why}")
    for name, likeness in verdict.likeness.items():
        own = found.recordings.get(name)
        beside = "" if own is None else f" (your recordings, one by one: {own:.2f})"
        say(f"likeness by {name}: {likeness:.2f}{beside}")
    if verdict.error_rate is not None:
        say(f"words heard wrong: {100 * verdict.error_rate:.1f} %")
    if verdict.mos is not None:
        say(f"quality (DNSMOS): {verdict.mos:.1f} of 5")
    if verdict.marked is not None:
        say(f"watermark found in {100 * verdict.marked:.0f} % of the sentences")
    for what in verdict.unchecked:
        say(f"not checked: {what}")
    for reason in verdict.reasons:
        say(f"not usable: {reason.found}; {reason.advice}")
    if verdict.usable:
        say(f"usable{', as an approximate match' if found.engine.approximate else ''}")


def _profile(voice: "Voice") -> "VoiceProfile":
    """What is known of a voice. Raises TwinError when it is not prepared."""
    from aitwin.voice import profile

    return profile.load(profile.path_of(voice))


def _ears(
    home: "Home", voice: "Voice", profile: "VoiceProfile", emotion: str
) -> "tuple[Tools, Target]":
    """Everything here that can listen, and what it is to hear."""
    from aitwin.rooms import open_ears, open_tools
    from aitwin.voice import evaluation, verify

    tools, words = open_tools(home), open_ears()
    encoders: dict[str, Encoder] = {}
    if tools.encoder is not None:
        encoders[verify.OPENVOICE] = tools.encoder
    encoders |= _ge2e(home)
    recordings = evaluation.recordings(voice, profile, emotion)
    return (
        verify.Tools(tools.detector, encoders, words.transcriber if words else None, tools.mos),
        verify.target(profile, encoders, recordings, emotion),
    )


def _ge2e(home: "Home") -> "Mapping[str, Encoder]":
    """The second encoder, where it was pulled."""
    from aitwin.errors import TwinError
    from aitwin.models import Shelf
    from aitwin.voice import ge2e, verify

    try:
        path, _ = Shelf(home.models).open("ge2e")
        return {verify.GE2E: ge2e.SpeakerEncoder.load(path)}
    except (TwinError, ModuleNotFoundError):
        return {}  # the verdict says that it was not asked
