"""twin voice finetune: what it will take, the bar, and what came of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.at_work import alone, unlearned
from aitwin.cli.choosing import OnlyId
from aitwin.cli.console import Json, print_json, progress, say, table

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from aitwin.home import Home
    from aitwin.voice.bert import Bert
    from aitwin.voice.finetune import Ears, Heard, Plan, Watcher
    from aitwin.voice.lessons import Reading
    from aitwin.voice.melo_text import FrontEnd
    from aitwin.voice.tuned import Tuned


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: twin voice finetune ana --steps 6000")(finetune)


def finetune(  # noqa: PLR0913 (one flag per thing to choose)
    voice: OnlyId = "",
    steps: Annotated[int | None, typer.Option(help="Steps at most.")] = None,
    batch: Annotated[int | None, typer.Option(help="Utterances in a step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate at the beginning.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Steps between two samples to hear, which are judged.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Judgements in a row without gain that end it.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of what chance decides.")] = None,
    device: Annotated[
        str,
        typer.Option(help="cpu, mps, cuda, or auto: the first there is of cuda, mps, cpu."),
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew although a stopped run waits.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the fine-tune, and a run that was stopped.")
    ] = False,
    json: Json = False,
) -> None:
    """Teach MeloTTS to speak as you do, from your prepared takes. Optional; takes hours.

    Ctrl-C stops after the step and keeps the best so far; --resume goes on.
    """
    from aitwin import artifact
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import finetune as training
    from aitwin.voice import profile as profiles
    from aitwin.voice import tuned
    from aitwin.voice.tuner import Recipe
    from aitwin.voice.watermark import Watermark

    home = Home.from_environment()
    owned = open_voice(home, voice)
    if delete:
        with alone(owned), unlearned(owned.path):
            training.forget(owned)
            artifact.remove(tuned.path_of(owned))
        say(f"no fine-tune of {owned.id} is left; the other engines speak in its voice")
        return
    known = profiles.load(profiles.path_of(owned))
    # Before anything is loaded: who has not agreed hears of nothing else.
    profiles.require_cloneable(known)
    training.require_choice(owned, resume=resume, restart=restart)
    chosen = {
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "every": every,
        "patience": patience,
        "seed": seed,
    }
    recipe = Recipe(**{key: value for key, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    read = _Reader(home)
    base = training.Base(read.melo, read.config)
    job = training.Job(
        voice=owned,
        profile=known,
        base=base,
        read=read,
        ears=_open_ears(home),
        watermark=Watermark.load(),
        recipe=recipe,
        device=training.place(device),
    )
    with progress(extra=("loss",)) as bar, _stopping() as stop:
        result = training.run(
            job, resume=resume, restart=restart, stop=stop, watcher=_drawn(bar, quiet=json)
        )
    if result is None:
        if json:
            print_json({"finished": False})
        say(f"stopped; `twin voice finetune {owned.id} --resume` goes on where it stopped")
    elif json:
        print_json(result.manifest)
    else:
        _tell(result)
    if result is not None and not result.metrics["finished"]:
        say(f"stopped early; `twin voice finetune {owned.id} --resume` goes on where it stopped")


class _Reader:
    """The front end and BERT, loaded for the first text: a run that is resumed reads none.

    A text is read as for speech, lest the network learns what it never gets to say.
    """

    def __init__(self, home: "Home") -> None:
        """Raises TwinError when one of the models has not been pulled."""
        from aitwin.models import Shelf

        shelf = Shelf(home.models)
        self.melo, self.bert, self.g2p = (
            shelf.open(name)[0] for name in ("melotts-english", "bert-base-uncased", "g2p-english")
        )

    def __call__(self, text: str) -> "Reading | None":
        """None for a text without a word, and for one that speech would say in several pieces."""
        from aitwin.voice import normalise

        front_end, bert = self._opened
        pieces = front_end.read(normalise.spoken(text))
        if len(pieces) != 1:
            return None
        return pieces[0], bert.features(pieces[0].token_ids)

    @cached_property
    def _opened(self) -> "tuple[FrontEnd, Bert]":
        from aitwin.voice.melo_reader import Reader

        reader = Reader(self.g2p.parent, self.bert.parent)
        return reader.front_end(self.config), reader.network

    @property
    def config(self) -> Path:
        """MeloTTS's own."""
        return self.melo.parent / "config.json"


def _open_ears(home: "Home") -> "Ears":
    """Raises TwinError without an encoder: nobody would know whose voice it is."""
    from aitwin.errors import TwinError
    from aitwin.rooms import open_ears, open_encoder
    from aitwin.voice.finetune import Ears

    encoder, why = open_encoder(home)
    if encoder is None:
        raise TwinError(why)
    tools = open_ears()
    return Ears(encoder, tools.transcriber if tools else None)


@contextmanager
def _stopping() -> Iterator[Event]:
    """The first Ctrl-C asks to stop after the step, the second stops at once."""
    stop = Event()

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping after this step; the best so far is kept (Ctrl-C again: at once)")

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _drawn(bar: "Bar", *, quiet: bool) -> "Watcher":
    """A watcher that draws on `bar`."""
    from aitwin.voice.finetune import Progress, Watcher

    task = bar.add_task("fine-tuning", total=None, loss="")
    told = [-1]

    def show(now: Progress) -> None:
        loss = f"mel {now.losses.mel:.3f}, like you {now.heard.likeness:.2f}"
        if now.heard.word_errors is not None:
            loss += f", words {now.heard.word_errors:.0%} wrong"
        bar.update(task, description="fine-tuning", total=now.total, completed=now.step, loss=loss)
        if now.heard.step != told[0]:
            told[0] = now.heard.step
            say(f"step {now.heard.step}: {_heard(now.heard)}; to hear: {now.samples}")

    return Watcher(
        lambda name: bar.update(task, description=name),
        (lambda plan: None) if quiet else _show,
        show,
    )


def _heard(heard: "Heard") -> str:
    words = "" if heard.word_errors is None else f", {heard.word_errors:.1%} of words wrong"
    return f"likeness {heard.likeness:.3f}{words}"


def _show(plan: "Plan") -> None:
    """The plan as a table."""
    from aitwin.models import size

    voices = ", ".join(f"{name} {minutes:.0f} min" for name, minutes in plan.speakers.items())
    table(
        "Fine-tune",
        ("", ""),
        [
            ("speech", f"{plan.minutes:.0f} min in {plan.sentences:,} sentences"),
            ("held out", f"{plan.held} sentences, to measure on"),
            ("left out", "; ".join(f"{n}: {why}" for why, n in plan.left_out.items()) or "nothing"),
            ("manners", voices or "one"),
            ("steps", f"{plan.steps:,} at most, {plan.epochs:.0f} times through your speech"),
            ("memory", f"about {size(plan.memory)} of {size(plan.available)} ({plan.device})"),
        ],
    )


def _tell(result: "Tuned") -> None:
    """Before and after, in one table."""
    known = result.metrics

    def share(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.1%}"

    table(
        f"On {known['sentences']} held-out sentences of yours",
        ("", "before", "after"),
        [
            (
                "likeness (1: the same voice)",
                f"{known['likeness_before']:.3f}",
                f"{known['likeness']:.3f}",
            ),
            ("words wrong", share(known["word_errors_before"]), share(known["word_errors"])),
        ],
    )
    say(f"best at step {known['step']} of {known['steps']}; kept in {result.path}")
