"""twin train and twin write: the style half."""

import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from aitwin.cli.console import Json, out, plain_name, print_json, progress, say, table
from aitwin.prompt import Kind, Length, Register, Task

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.train import Job

MAIN = "main"
MOST_WORDS = 2000
Adapter = Annotated[
    str, typer.Option("--adapter", help="Adapter to write with (the newest).", callback=plain_name)
]
Context = Annotated[
    str, typer.Option("--context", help="File with what the task is about; - reads it from stdin.")
]
Reference = Annotated[
    Path | None, typer.Option("--reference", help="File with a text whose style to follow.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: twin train --minutes 90")(train)
    app.command(epilog='Example: twin write "Say that Thursday works." --reply mail.txt --to Ana')(
        write
    )


def train(  # noqa: PLR0913 (one flag per thing to choose)
    dataset: Annotated[
        str, typer.Option(help="Dataset to learn from.", callback=plain_name)
    ] = MAIN,
    name: Annotated[str, typer.Option(help="Name of the adapter.", callback=plain_name)] = MAIN,
    base: Annotated[str, typer.Option(help="Base model (default: that of twin.toml).")] = "",
    rank: Annotated[int | None, typer.Option(help="Rank of the adapter.")] = None,
    alpha: Annotated[int | None, typer.Option(help="Scale of the update times rank.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pairs.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of epochs.")] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Tokens per example.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Fit the run into this time, with fewer steps if need be.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew although a stopped run waits.")
    ] = False,
    json: Json = False,
) -> None:
    """Train an adapter in your style. Ctrl-C keeps the best so far; --resume goes on."""
    from aitwin.cli.rooms import open_base
    from aitwin.corpus import dataset as datasets
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.style.recipe import Recipe
    from aitwin.style.train import Job, waits

    chosen = {
        "rank": rank,
        "alpha": alpha if alpha or not rank else 2 * rank,
        "epochs": epochs,
        "steps": steps,
        "sequence_length": sequence_length,
    }
    recipe = Recipe(**{key: value for key, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    home = Home.from_environment()
    if waits(home.adapters / name) and not resume and not restart:
        raise TwinError(
            f"a stopped run waits for the adapter {name!r}: go on with `twin train --resume`, or "
            "throw it away and begin anew with `twin train --restart`"
        )
    data = datasets.load(home.datasets / dataset)
    wanted = base or home.settings().base
    say(f"preparing {wanted}")
    job = Job(data, open_base(home, wanted), recipe, home.adapters / name, minutes)
    _show_plan(job)
    for warning in recipe.warnings():
        say(f"warning: {warning}")
    adapter = run(job, resume=resume)
    if json:
        print_json(adapter.manifest)
    else:
        show_result(adapter)
    if not adapter.finished:
        say("stopped early; `twin train --resume` goes on where it stopped")
    say('next: twin write "Thank Ana for the spare parts."')


def _show_plan(job: "Job") -> None:
    recipe, pairs = job.recipe, job.dataset.counts["train"]
    limit = f", at most {job.minutes:g} minutes" if job.minutes else ""
    table(
        "Plan",
        ("", ""),
        [
            ("base", job.base.name),
            ("pairs", f"{pairs} to learn from, {job.dataset.counts['valid']} to check on the way"),
            ("adapter", f"rank {recipe.rank}, alpha {recipe.alpha}, {', '.join(recipe.targets)}"),
            ("update", f"{recipe.batch} x {recipe.accumulation} pairs"),
            ("steps", f"{recipe.total_steps(pairs)}{limit}"),
        ],
    )


def run(job: "Job", *, resume: bool = False, bar: "Bar | None" = None) -> "StyleAdapter":
    """Train with a progress bar; the first Ctrl-C stops after the step."""
    import signal

    from aitwin.style import train as training
    from aitwin.style.train import Progress

    stop = Event()

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping after this step; the best adapter so far is kept (Ctrl-C again: at once)")

    own = bar or progress(extra=("loss",))
    task = own.add_task("training", total=None, loss="")

    def show(now: Progress) -> None:
        loss = (
            f"loss {now.loss:.3f}, held out {now.validation:.3f}, {now.tokens_per_second:.0f} tok/s"
        )
        own.update(task, description="training", total=now.total, completed=now.step, loss=loss)

    def stage(name: str) -> None:
        own.update(task, description=name)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        if bar is None:
            own.start()
        adapter = training.train(job, resume=resume, stop=stop, on_progress=show, on_stage=stage)
    finally:
        signal.signal(signal.SIGINT, before)
        if bar is None:
            own.stop()
    return adapter


def show_result(adapter: "StyleAdapter") -> None:
    """Before and after, in one table."""
    metrics: dict[str, Any] = adapter.manifest["metrics"]
    table(
        "On held-out replies of yours",
        ("", "base", "twin"),
        [
            (
                "loss (nats per token)",
                f"{metrics['test_loss_before']:.3f}",
                f"{metrics['test_loss_after']:.3f}",
            ),
            (
                "perplexity",
                f"{metrics['test_perplexity_before']:.1f}",
                f"{metrics['test_perplexity_after']:.1f}",
            ),
            (
                "log-probability as served",
                f"{metrics['served_log_probability_base']:.3f}",
                f"{metrics['served_log_probability_twin']:.3f}",
            ),
        ],
    )
    say(f"{metrics['steps']} steps in {metrics['seconds']:.0f} s; adapter in {adapter.path}")


def write(  # noqa: PLR0913 (one flag per thing to choose)
    task: Annotated[str, typer.Argument(help="What to write.")] = "",
    context: Context = "",
    reply: Annotated[
        str, typer.Option("--reply", help="File with what is to be answered; - for stdin.")
    ] = "",
    rewrite: Annotated[
        str, typer.Option("--rewrite", help="File with a text to say in your words; - for stdin.")
    ] = "",
    to: Annotated[str, typer.Option("--to", help="Who will read it.")] = "",
    register: Annotated[
        Register | None, typer.Option("--as", help="A mail or a chat message.")
    ] = None,
    length: Annotated[
        str, typer.Option("--length", help="short, medium, long, or a number of words.")
    ] = "",
    reference: Reference = None,
    examples: Annotated[
        int, typer.Option(help="Replies of yours to show the model.", min=0, max=20)
    ] = 0,
    dataset: Annotated[
        str, typer.Option(help="Dataset that they come from.", callback=plain_name)
    ] = MAIN,
    adapter: Adapter = "",
    base: Annotated[bool, typer.Option("--base", help="Ask the base model, to compare.")] = False,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest draft, in tokens (by --length, else 400).", min=1)
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.", min=0, max=2)] = 0.4,
    seed: Annotated[int, typer.Option(help="The same seed writes the same draft.")] = 20,
    json: Json = False,
) -> None:
    """Write a draft in your style; nothing but the draft is printed, as it is written."""
    from contextlib import closing
    from dataclasses import replace

    from aitwin.cli.rooms import open_adapter, open_engine, open_examples, open_writer
    from aitwin.home import Home
    from aitwin.style.guard import Intervention
    from aitwin.style.writer import sampling_for

    wanted = replace(
        _read_request(task, {"write": context, "reply": reply, "rewrite": rewrite}, reference),
        to=to,
        register=register,
        length=read_length(length),
    )
    home = Home.from_environment()
    usual = sampling_for(wanted.length)
    sampling = replace(
        usual, max_tokens=max_tokens or usual.max_tokens, temperature=temperature, seed=seed
    )
    chosen = open_adapter(home, adapter)
    own = open_examples(home, dataset) if examples else None
    taken_off: list[Intervention] = []
    with open_engine(home, chosen) as engine:
        writer = open_writer(home, chosen, engine, own, examples)
        pieces = writer.stream(wanted, sampling, adapted=not base, taken_off=taken_off.append)
        with closing(pieces):
            if json:
                text = "".join(pieces).strip()
                name = None if base else chosen.path.name
                print_json({"text": text, "adapter": name, "taken_off": taken_off})
                return
            for piece in pieces:
                out.file.write(piece)
                out.file.flush()
    out.print()


def _read_request(task: str, sources: dict[Kind, str], reference: Path | None) -> Task:
    """The task with the one file that it is about."""
    from dataclasses import replace

    from aitwin.errors import TwinError

    given = [kind for kind, file in sources.items() if file]
    if len(given) > 1:
        raise TwinError("a draft is about one text: give --context, --reply or --rewrite alone")
    kind: Kind = given[0] if given else "write"
    if kind == "write" and not task.strip():
        raise TwinError(
            'say what to write: twin write "Thank Ana for the spare parts.", or give a mail to '
            "--reply to, or a text to --rewrite"
        )
    return replace(read_task(task, sources[kind], reference), kind=kind)


def read_length(text: str) -> Length | None:
    """ "short", "120", "120 words"; nothing for nothing. Raises TwinError."""
    from aitwin.errors import TwinError

    match text.casefold().removesuffix("words").strip():
        case "":
            return None
        case "short" | "medium" | "long" as known:
            return cast(Length, known)
        case number if number.isdecimal() and 0 < int(number) <= MOST_WORDS:
            return int(number)
    raise TwinError(
        f"--length is short, medium, long, or a number of words up to {MOST_WORDS}; not {text!r}"
    )


def read_task(task: str, context: str, reference: Path | None) -> Task:
    """The task of the command line, with its files read."""
    from aitwin.errors import TwinError

    try:
        incoming = sys.stdin.read() if context == "-" else _read(context)
        return Task(task, incoming, _read(reference) if reference else "")
    except (OSError, UnicodeDecodeError) as error:
        place = getattr(error, "filename", None) or context or reference
        raise TwinError(
            f"{place} cannot be read as text ({type(error).__name__}); give a plain text file"
        ) from None


def _read(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""
