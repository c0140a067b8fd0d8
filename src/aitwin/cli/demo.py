"""twin demo: the tour, with a live view of its stages."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import err, progress, say
from aitwin.errors import TwinError

if TYPE_CHECKING:
    from rich.console import Group

    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.train import Job

MINUTES = 2.25
"""The measurements before and after take 40 s more: three minutes in all on two cores."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: twin demo --minutes 3")(demo)


def demo(
    minutes: Annotated[float, typer.Option(help="Time for the training steps.", min=0.2)] = MINUTES,
) -> None:
    """Run the whole main job on the sample owner: mail and chats in, drafts and speech out.

    Works in TWIN_HOME/demo and touches nothing of yours; run again, it keeps what is done.
    """
    from aitwin.demo import tour
    from aitwin.home import Home

    view = View(tour.STAGES)
    with view.live():
        result = tour.take(
            Home.from_environment(), tour.Guide(view.stage, view.train), minutes=minutes
        )
    twin = _program()
    say("")
    say(f"look      {result.report}")
    say(f"hear      {result.speech}")
    say(f'try       TWIN_HOME={result.home} {twin} write "Tell Gavin no."')
    say(f"your own  {twin} init")
    say(f"          {twin} corpus add PATH-TO-YOUR-MAIL")
    say(f"          {twin} dataset build")
    say(f"          {twin} models pull {result.own_base}   (or another: {twin} models list)")
    say(f"          {twin} train")
    say(f'          {twin} write "Thank Ana for the spare parts."')


def _program() -> str:
    """How this very program is called from here: `twin`, or where it is when it is on no path."""
    program = Path(sys.argv[0]).absolute()
    found = shutil.which(program.name)
    if found and Path(found).absolute() == program:
        return program.name
    here = Path.cwd()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)


class View:
    """Stages with their state, time and result; below them the bar of the running one."""

    def __init__(self, stages: tuple[str, ...]) -> None:
        self._state = dict.fromkeys(stages, "[dim]·[/]")
        self._note = dict.fromkeys(stages, "")
        self._seconds: dict[str, float] = {}
        self._bar = progress(extra=("loss",))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw while the block runs; without a terminal, print a line per stage instead."""
        from rich.live import Live

        if not err.is_terminal:
            yield
            return
        with Live(get_renderable=self._draw, console=err, refresh_per_second=8):
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator["_Stage"]:
        """Show `name` as running, then as done or failed."""
        started = time.monotonic()
        self._state[name] = "[yellow]▸[/]"
        if not err.is_terminal:
            say(f"{name} …")
        try:
            yield _Stage(self, name)
        except BaseException:
            self._state[name] = "[red]✗[/]"
            raise
        self._seconds[name] = time.monotonic() - started
        self._state[name] = "[green]✓[/]"
        if not err.is_terminal:
            say(f"{name}: {self._note[name]} ({self._seconds[name]:.1f} s)")

    def note(self, name: str, text: str) -> None:
        """What came of a stage, in a few words."""
        self._note[name] = text

    def train(self, job: "Job", resume: bool) -> "StyleAdapter":
        """Train with the bar below the stages."""
        from aitwin.cli.train import run

        try:
            adapter = run(job, resume=resume, bar=self._bar if err.is_terminal else None)
        finally:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
        if adapter is None:
            raise TwinError("the demo runs in one process; `twin train` is what can be launched")
        return adapter

    def _draw(self) -> "Group":
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        for name, state in self._state.items():
            spent = f"{self._seconds[name]:.1f} s" if name in self._seconds else ""
            grid.add_row(state, name, f"[dim]{spent:>8}[/]", escape(self._note[name]))
        return Group(grid, self._bar)


class _Stage:
    def __init__(self, view: View, name: str) -> None:
        self._view, self._name = view, name

    def note(self, text: str) -> None:
        self._view.note(self._name, text)
