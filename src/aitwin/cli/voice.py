"""twin say, speak: a text, or a draft, as sound. The owner's voices: see voices."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import Json, out, print_json, progress, say
from aitwin.cli.write import Adapter, Context, Reference, read_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aitwin.voice.audio import Utterance

Output = Annotated[Path, typer.Option("--output", "-o", help="WAV file to write.")]
Voice = Annotated[str, typer.Option("--voice", help="Voice by id (see `twin voice list`).")]
Speed = Annotated[float, typer.Option("--speed", help="1 is the voice's own pace.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("say", epilog='Example: twin say "The kettle is on." -o kettle.wav')(say_)
    app.command(epilog='Example: twin speak "Tell Tom the boat sinks." -o boat.wav')(speak)


def say_(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from stdin.")],
    output: Output = Path("twin.wav"),
    voice: Voice = "",
    speed: Speed = 1.0,
    json: Json = False,
) -> None:
    """Say a text, sentence by sentence, into a 22,050 Hz WAV."""
    from aitwin.cli.rooms import open_speech

    speech = open_speech(voice)
    words = sys.stdin.read() if text == "-" else text
    with progress() as bar:
        task = bar.add_task("speaking", total=None)
        spoken = speech.save(
            words,
            output,
            lambda done, total: bar.update(task, completed=done, total=total),
            speed=speed,
        )
    if spoken.unspoken:
        say(f"{spoken.unspoken} characters have no sound in this voice and were left out")
    if json:
        print_json({"file": output.absolute(), **vars(spoken)})
    else:
        say(f"{output}: {spoken.seconds:.1f} s, {spoken.sentences} sentences, {spoken.engine}")


def speak(  # noqa: PLR0913 (one flag per thing to choose)
    task: Annotated[str, typer.Argument(help="What to write and say.")],
    context: Context = "",
    reference: Reference = None,
    adapter: Adapter = "",
    output: Output = Path("twin.wav"),
    voice: Voice = "",
    speed: Speed = 1.0,
    json: Json = False,
) -> None:
    """Write a draft in your style and say it; each sentence is spoken while the next is written."""
    from aitwin.cli.rooms import open_adapter, open_engine, open_speech, open_writer
    from aitwin.home import Home
    from aitwin.twin import Twin
    from aitwin.voice import audio

    wanted = read_task(task, context, reference)
    home = Home.from_environment()
    speech, chosen = open_speech(voice), open_adapter(home, adapter)
    # The engine last: llama.cpp can hang when it is unloaded before its first request.
    with open_engine(home, chosen) as engine:
        twin = Twin(open_writer(home, chosen, engine), speech)

        draft: list[str] = []

        def printed() -> "Iterator[Utterance]":
            for item in twin.speak(wanted, speed=speed):
                if not isinstance(item, str):
                    yield item
                    continue
                draft.append(item)
                if not json:
                    out.file.write(item)
                    out.file.flush()

        seconds = audio.save(printed(), output)
    if json:
        text = "".join(draft).strip()
        print_json({"text": text, "file": output.absolute(), "seconds": seconds})
        return
    out.print()
    say(f"{output}: {seconds:.1f} s, {twin.speech.speaker.describe()}")
