"""twin train: the plan, the bar, and what came of it."""

from collections.abc import Callable
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aitwin.cli.console import Json, plain_name, print_json, print_line, progress, say, table
from aitwin.cli.lines import JsonLines, telling

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.plan import Plan
    from aitwin.style.train import Job, Watcher

MAIN = "main"


def _some_time(minutes: float | None) -> float | None:
    if minutes is not None and not 0.1 <= minutes < float("inf"):  # also when it is no number
        raise typer.BadParameter("give at least 0.1 minutes")
    return minutes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: twin train --minutes 90")(train)


def train(  # noqa: PLR0913 (one flag per thing to choose)
    dataset: Annotated[
        str, typer.Option(help="Dataset to learn from.", callback=plain_name)
    ] = MAIN,
    name: Annotated[str, typer.Option(help="Name of the adapter.", callback=plain_name)] = MAIN,
    base: Annotated[str, typer.Option(help="Base model (default: that of twin.toml).")] = "",
    rank: Annotated[int | None, typer.Option(help="Rank of the adapter.")] = None,
    alpha: Annotated[int | None, typer.Option(help="Scale of the update times rank.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Projection to adapt, q_proj for one; repeatable.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of inputs left out.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs per forward pass.")] = None,
    accumulation: Annotated[int | None, typer.Option(help="Forward passes per step.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pairs.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of epochs.")] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Tokens per example.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Fit the run into this time, with fewer steps if need be.", callback=_some_time
        ),
    ] = None,
    trainer: Annotated[str, typer.Option(help="mlx, torch, or auto: what suits here.")] = "auto",
    bits: Annotated[
        int | None, typer.Option(help="Bits per weight of the base while training (4, 16, 32).")
    ] = None,
    canaries: Annotated[
        int,
        typer.Option(help="Invented secrets to plant, for `twin eval` to look for.", min=0, max=32),
    ] = 0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take, and do not train.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew although a stopped run waits.")
    ] = False,
    json_lines: JsonLines = False,
    json: Json = False,
) -> None:
    """Train an adapter in your style. Ctrl-C keeps the best so far; --resume goes on."""
    from aitwin.corpus import dataset as datasets
    from aitwin.errors import TwinError
    from aitwin.home import Home, launched
    from aitwin.rooms import open_base
    from aitwin.style import trainer as trainers
    from aitwin.style.recipe import Recipe
    from aitwin.style.train import Job, look_ahead, waits

    with telling(json_lines):
        chosen = {
            "rank": rank,
            "alpha": alpha if alpha or not rank else 2 * rank,
            "targets": tuple(target) if target else None,
            "dropout": dropout,
            "learning_rate": learning_rate,
            "batch": batch,
            "accumulation": accumulation,
            "epochs": epochs,
            "steps": steps,
            "sequence_length": sequence_length,
        }
        recipe = Recipe(**{key: value for key, value in chosen.items() if value is not None})  # type: ignore[arg-type]
        home = Home.from_environment()
        if waits(home.adapters / name) and not (resume or restart or plan):
            raise TwinError(
                f"a stopped run waits for the adapter {name!r}: go on with `twin train --resume`, "
                "or throw it away and begin anew with `twin train --restart`"
            )
        data = datasets.load(home.datasets / dataset)
        model = open_base(home, base or home.settings().base)
        backend = trainers.choose(trainer)
        launcher, rank_here = launched()
        if launcher not in (None, backend):
            right = "mlx.launch" if backend == "mlx" else "accelerate launch, or torchrun"
            raise TwinError(
                f"this was started by a launcher for {launcher}, and the trainer is {backend}: use "
                f"{right}, or `twin train --trainer {launcher}`"
            )
        job = Job(data, model, recipe, home.adapters / name, minutes, backend, bits, canaries)
        if plan:
            with progress() as bar:
                foreseen = look_ahead(job, _printed() if json_lines else _drawn(bar, None))
            if rank_here == 0:
                _tell_plan(foreseen, json=json, lines=json_lines)
            return
        adapter = run(job, resume=resume, lines=json_lines, on_plan=None if json else show_plan)
        if adapter is None:  # another process leads this run, and speaks
            return
        if json_lines:
            print_line(
                {"event": "finished", "adapter": adapter.path, **adapter.manifest["metrics"]}
            )
        elif json:
            print_json(adapter.manifest)
        else:
            show_result(adapter)
        if not adapter.finished:
            say("stopped early; `twin train --resume` goes on where it stopped")
        say('next: twin write "Thank Ana for the spare parts."')


def _tell_plan(plan: "Plan", *, json: bool, lines: bool) -> None:
    if lines:
        print_line({"event": "plan", **plan.as_dict()})
    elif json:
        print_json(plan.as_dict())
    else:
        show_plan(plan)


def show_plan(plan: "Plan") -> None:
    """The plan as a table."""
    from aitwin.models import size

    left_out = f" ({plan.too_long} are too long)" if plan.too_long else ""
    table(
        "Plan",
        ("", ""),
        [
            ("base", f"{plan.base}, held in {plan.bits} bits"),
            ("trainer", f"{plan.trainer} on {plan.device}"),
            ("pairs", f"{plan.pairs:,} to learn from{left_out}"),
            ("tokens", f"{plan.tokens:,} an epoch, {plan.reply_tokens:,} of them yours"),
            ("steps", f"{plan.steps:,}" if plan.seconds else f"at most {plan.steps:,}"),
            ("memory", f"about {size(plan.memory)} of {size(plan.available)}"),
            ("time", "as given" if plan.seconds is None else f"about {_duration(plan.seconds)}"),
        ],
    )
    for warning in plan.warnings:
        say(f"warning: {warning}")


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _drawn(bar: "Bar", on_plan: "Callable[[Plan], None] | None") -> "Watcher":
    """A watcher that draws on `bar`."""
    from aitwin.models import size
    from aitwin.style.train import Progress, Watcher

    task = bar.add_task("training", total=None, loss="")

    def show(now: Progress) -> None:
        loss = (
            f"loss {now.loss:.3f}, held out {now.validation:.3f}, "
            f"{now.tokens_per_second:.0f} tok/s, {size(now.memory)}"
        )
        bar.update(task, description="training", total=now.total, completed=now.step, loss=loss)

    return Watcher(on_plan, lambda name: bar.update(task, description=name), show)


def _printed() -> "Watcher":
    """A watcher that prints lines of JSON."""
    from aitwin.style.train import Watcher

    return Watcher(
        lambda plan: print_line({"event": "plan", **plan.as_dict()}),
        lambda name: print_line({"event": "stage", "name": name}),
        lambda now: print_line({"event": "progress", **asdict(now)}),
    )


def run(
    job: "Job",
    *,
    resume: bool = False,
    bar: "Bar | None" = None,
    lines: bool = False,
    on_plan: "Callable[[Plan], None] | None" = None,
) -> "StyleAdapter | None":
    """Train with a progress bar; the first Ctrl-C stops after the step.

    Of several processes, only the one that leads is heard.
    """
    import signal

    from aitwin.home import launched
    from aitwin.style import train as training
    from aitwin.style.train import Watcher

    stop = Event()
    silent = launched()[1] > 0

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if silent:
            return
        say("stopping after this step; the best adapter so far is kept (Ctrl-C again: at once)")

    own = bar or progress(extra=("loss",))
    watcher = _printed() if lines else _drawn(own, on_plan)
    if silent:
        watcher = Watcher()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        if bar is None and not lines and not silent:
            own.start()
        return training.train(job, resume=resume, stop=stop, watcher=watcher)
    finally:
        signal.signal(signal.SIGINT, before)
        if bar is None:
            own.stop()


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
