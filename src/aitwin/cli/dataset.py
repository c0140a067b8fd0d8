"""twin dataset: pairs to learn from."""

from typing import Annotated

import typer

from aitwin.cli.console import Json, out, plain_name, print_json, say, table

app = typer.Typer(help="What the twin learns from: build, show.", no_args_is_help=True)

MAIN = "main"
Name = Annotated[str, typer.Option("--name", help="Name of the dataset.", callback=plain_name)]


@app.command(epilog="Example: twin dataset build --size 800")
def build(
    name: Name = MAIN,
    size: Annotated[int, typer.Option(help="Pairs at most.", min=1, max=5000)] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed chooses the same pairs.")] = 0,
    allow_small: Annotated[
        bool, typer.Option("--allow-small", help="Go on with fewer than 200 pairs.")
    ] = False,
    json: Json = False,
) -> None:
    """Turn the corpus into instruction pairs: own words only, no near-duplicates, diverse."""
    from aitwin.cli.console import err
    from aitwin.cli.corpus import owner_of
    from aitwin.cli.rooms import persona
    from aitwin.corpus import pipeline
    from aitwin.corpus.curate import Choice
    from aitwin.corpus.store import Store
    from aitwin.home import Home

    home = Home.from_environment()
    settings = home.settings()
    with err.status("reading threads, cleaning, choosing …"):
        dataset = pipeline.build(
            Store(home.corpus),
            owner_of(settings),
            persona(settings),
            home.datasets / name,
            Choice(size, seed, allow_small),
        )
    if json:
        print_json(dataset.manifest)
        return
    _show_funnel(dataset.manifest["funnel"])
    total = sum(dataset.counts.values())
    if total < 500:
        say(f"{total} pairs: enough to begin; 500 to 1,000 are better (C3). Add more mail or chats")
    say(f"wrote {dataset.path}; next: twin train")


@app.command(epilog="Example: twin dataset show --examples 3")
def show(
    name: Name = MAIN,
    examples: Annotated[int, typer.Option(help="Print this many pairs.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Show how messages became pairs, and on demand some of them."""
    from aitwin.corpus import dataset as datasets
    from aitwin.home import Home

    dataset = datasets.load(Home.from_environment().datasets / name)
    if json:
        print_json(dataset.manifest)
        return
    _show_funnel(dataset.manifest["funnel"])
    table(
        "Splits (by thread; the newest are the test)",
        ("split", "pairs#"),
        list(dataset.counts.items()),
    )
    rows = dataset.split("train")
    for example in rows[:: max(1, len(rows) // examples)][:examples] if examples else ():
        out.rule(f"{example.channel} {example.sent_at:%Y-%m-%d}", style="dim")
        out.print(example.messages[1]["content"], markup=False, style="dim")
        out.print(example.reply, markup=False)


def _show_funnel(stages: list[dict[str, object]]) -> None:
    from collections import Counter

    from aitwin.cli.corpus import reasons

    table(
        "From messages to pairs",
        ("stage", "came#", "went on#", "dropped"),
        [
            (stage["name"], stage["came"], stage["went"], reasons(Counter(stage["dropped"])))  # type: ignore[call-overload]
            for stage in stages
        ],
    )
