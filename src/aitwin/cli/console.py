"""How commands talk: results to stdout, everything about them to stderr."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]

# No emoji: ":sailboat:" in a draft stays as the owner wrote it.
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def plain_name(name: str) -> str:
    """The name of a dataset or an adapter: it becomes that of a directory beside the others."""
    if name and not re.fullmatch(r"\w[\w. -]{0,80}", name):
        raise typer.BadParameter("use letters, digits, dots, dashes and spaces; no path")
    return name


def say(text: str) -> None:
    """Tell the owner something about what is going on."""
    # Not folded: a path that is cut in two cannot be copied.
    err.print(escape(text), soft_wrap=True)


def fail(message: str) -> None:
    """Show an error that the owner can mend."""
    err.print(f"[bold red]twin:[/] {escape(message)}", soft_wrap=True)


def told_of_measuring(what: str) -> None:
    """Say why it takes a while this once."""
    say(f"finding out how {what} computes fastest on this machine: once, up to half a minute …")


def print_json(value: Any) -> None:
    """Print a value for programs."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def print_line(value: Any) -> None:
    """Print a value on one line, at once: somebody may be listening."""
    sys.stdout.write(json.dumps(value, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        # One level at a time: asdict makes a Counter of pairs of a Counter.
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Path):
        return str(value)
    return value.isoformat()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose name ends with `#` are numbers."""
    grid = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None
    )
    for column in columns:
        number = column.endswith("#")
        grid.add_column(column.rstrip("#"), justify="right" if number else "left")
    for row in rows:
        grid.add_row(*(f"{cell:,}" if type(cell) is int else escape(str(cell)) for cell in row))
    out.print(grid)


def progress(amount: ProgressColumn | None = None, *, extra: tuple[str, ...] = ()) -> Progress:
    """A bar with what, how far, and how long still; `extra` are names of further fields.

    Nothing at all where there is no terminal to draw it on.
    """
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        amount or MofNCompleteColumn(),
        *(TextColumn(f"{{task.fields[{name}]}}") for name in extra),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )
