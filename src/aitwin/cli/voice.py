"""twin say, speak: a text, or a draft, as sound. The owner's voices: see voices."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aitwin.cli.choosing import Emotion, Engine, Seed, Voice
from aitwin.cli.console import Json, out, print_json, progress, say, told_of_measuring
from aitwin.cli.write import Adapter, Context, Reference, read_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aitwin.voice.audio import Utterance
    from aitwin.voice.speech import Speech, Spoken


Output = Annotated[Path, typer.Option("--output", "-o", help="WAV or MP3 file to write.")]
Speed = Annotated[float, typer.Option("--speed", help="1 is the voice's own pace.")]
Pause = Annotated[float, typer.Option("--pause", help="Factor on the rests after sentences.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("say", epilog='Example: twin say "The kettle is on." -o kettle.wav')(say_)
    app.command(epilog='Example: twin speak "Tell Tom the boat sinks." -o boat.wav')(speak)


def say_(  # noqa: PLR0913 (one flag per thing to choose)
    text: Annotated[str, typer.Argument(help="What to say; - reads it from stdin.")],
    output: Output = Path("twin.wav"),
    voice: Voice = "",
    emotion: Emotion = "",
    engine: Engine = "",
    speed: Speed = 1.0,
    pause: Pause = 1.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Say a text, sentence by sentence, into a 22,050 Hz WAV or MP3."""
    from aitwin.home import Home
    from aitwin.rooms import open_studio
    from aitwin.voice import audio

    audio.require_writable(output)
    studio = open_studio(Home.from_environment(), measuring=told_of_measuring)
    speech = studio.speech(studio.find(voice), emotion=emotion, engine=engine)
    words = sys.stdin.read() if text == "-" else text
    _tell(speech)
    with progress() as bar:
        task = bar.add_task("speaking", total=None)
        spoken = speech.save(
            words,
            output,
            lambda done, total: bar.update(task, completed=done, total=total),
            speed=speed,
            pause=pause,
            seed=seed,
        )
    if json:
        print_json({"file": output.absolute(), **_told(spoken, speech)})
    _say_what_came(spoken, output, quiet=json)


def speak(  # noqa: PLR0913 (one flag per thing to choose)
    task: Annotated[str, typer.Argument(help="What to write and say.")],
    context: Context = "",
    reference: Reference = None,
    adapter: Adapter = "",
    output: Output = Path("twin.wav"),
    voice: Voice = "",
    emotion: Emotion = "",
    engine: Engine = "",
    speed: Speed = 1.0,
    pause: Pause = 1.0,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a draft in your style and say it; each sentence is spoken while the next is written."""
    from aitwin.home import Home
    from aitwin.rooms import open_adapter, open_engine, open_studio, open_writer
    from aitwin.twin import Twin
    from aitwin.voice import audio

    audio.require_writable(output)
    wanted = read_task(task, context, reference)
    home = Home.from_environment()
    chosen, studio = open_adapter(home, adapter), open_studio(home, measuring=told_of_measuring)
    speech = studio.speech(studio.find(voice), emotion=emotion, engine=engine)
    _tell(speech)
    # The engine last: llama.cpp can hang when it is unloaded before its first request.
    with open_engine(home, chosen) as model:
        twin = Twin(open_writer(home, chosen, model), studio)
        draft: list[str] = []

        def printed() -> "Iterator[str | Utterance]":
            for item in twin.speak(wanted, None, speech, speed=speed, pause=pause, seed=seed):
                if isinstance(item, str):
                    draft.append(item)
                    if not json:
                        out.file.write(item)
                        out.file.flush()
                yield item

        spoken = speech.write(printed(), output)
    if json:
        text = "".join(draft).strip()
        print_json({"text": text, "file": output.absolute(), **_told(spoken, speech)})
    else:
        out.print()
    _say_what_came(spoken, output, quiet=json)


def _say_what_came(spoken: "Spoken", output: Path, *, quiet: bool) -> None:
    if spoken.unspoken:
        have = "character has" if spoken.unspoken == 1 else "characters have"
        say(f"{spoken.unspoken} {have} no sound in this voice: left out")
    if not quiet:
        sentences = f"{spoken.sentences} sentence{'' if spoken.sentences == 1 else 's'}"
        say(f"{output}: {spoken.seconds:.1f} s, {sentences}, {spoken.engine}")


def _told(spoken: "Spoken", speech: "Speech") -> dict[str, Any]:
    """What was written and what was chosen, as plain values for a program."""
    return {**vars(spoken), **_chosen(speech)}


def _tell(speech: "Speech") -> None:
    """Say why no better engine speaks, and nothing marks it: before the sound, which takes long."""
    from aitwin.voice import watermark
    from aitwin.voice.studio import Cast

    if speech.watermark is None:
        say(f"without the inaudible mark of synthesised speech: {watermark.lacking()}")
    if isinstance(speech.speaker, Cast):
        for passed in speech.speaker.passed:
            say(f"without {passed.engine}: {passed.why}")


def _chosen(speech: "Speech") -> dict[str, Any]:
    """What was chosen, as plain values for a program."""
    from aitwin.voice.studio import Cast

    chosen = speech.speaker
    if not isinstance(chosen, Cast):
        return {"speaker": chosen.name, "cloned": chosen.cloned}
    return {
        "speaker": chosen.engine,
        "cloned": chosen.cloned,
        "approximate": chosen.approximate,
        "voice": chosen.voice,
        "emotion": chosen.emotion,
        "passed": [vars(passed) for passed in chosen.passed],
    }
