"""twin models: the shelf."""

from typing import Annotated

import typer
from rich.progress import DownloadColumn

from aitwin.cli.console import Json, fail, print_json, progress, say, table, told_of_measuring

app = typer.Typer(help="Models on this machine: list, pull, verify.", no_args_is_help=True)


def _names(incomplete: str) -> list[str]:
    from aitwin.models import CATALOGUE, GROUPS

    names = (*GROUPS, *(model.name for model in CATALOGUE))
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[
    str,
    typer.Argument(
        help='Name of a model, or "voice" for all that speak in your voice.', autocompletion=_names
    ),
]


@app.command("list", epilog="Example: twin models list --json")
def list_(json: Json = False) -> None:
    """Show what can be pulled, what is here, and what can speak with it."""
    from aitwin import models
    from aitwin.home import Home
    from aitwin.rooms import open_studio

    home = Home.from_environment()
    shelf = models.Shelf(home.models)
    rows = [
        {
            "name": model.name,
            "purpose": model.purpose,
            "bytes": model.whole,
            "licence": model.licence,
            "state": shelf.state(model),
        }
        for model in models.CATALOGUE
    ]
    engines = open_studio(home, measuring=told_of_measuring).engines()
    if json:
        print_json({"models": rows, "engines": engines})
        return
    table(
        "Models",
        ("name", "size", "licence", "state", "purpose"),
        [
            (
                row["name"],
                models.size(int(str(row["bytes"]))),
                row["licence"],
                row["state"],
                row["purpose"],
            )
            for row in rows
        ],
    )
    table(
        "Engines that speak, the best first",
        ("name", "licence", "state", "what it is"),
        [
            (
                engine.name,
                engine.licence,
                f"cannot: {engine.lacking}" if engine.lacking else "ready",
                engine.title,
            )
            for engine in engines
        ],
    )


@app.command(epilog="Example: twin models pull voice")
def pull(name: Name) -> None:
    """Download a model, or a group of them, and verify it.

    No other command downloads anything, but for `twin demo`: its own base, the same way.
    What has arrived before an interruption is kept, and not fetched again.
    """
    from aitwin.home import Home, hub
    from aitwin.models import GROUPS, Shelf

    # No home is wanted: a shelf of public models may lie anywhere (the tests' own does).
    shelf = Shelf(Home.from_environment().models)
    with progress(DownloadColumn()) as bar:
        task = bar.add_task(name, total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        if name in GROUPS:
            shelf.pull_group(name, say, hub=hub(), on_bytes=show)
        else:
            shelf.pull(name, say, hub=hub(), on_bytes=show)


@app.command(epilog="Example: twin models verify")
def verify(json: Json = False) -> None:
    """Compare every model on the shelf with its digest; exit code 1 when one is damaged."""
    from aitwin import models
    from aitwin.home import Home

    shelf = models.Shelf(Home.from_environment().models)
    states = {model.name: shelf.state(model, thorough=True) for model in models.CATALOGUE}
    if json:
        print_json(states)
    else:
        table("Models", ("name", "state"), list(states.items()))
    damaged = [name for name, state in states.items() if state == "damaged"]
    for name in damaged:
        fail(f"{shelf.directory / name} is damaged; run `twin models pull {name}`")
    if damaged:
        raise typer.Exit(1)
