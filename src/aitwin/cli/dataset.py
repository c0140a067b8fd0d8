"""twin dataset: pairs to learn from."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aitwin.cli import redactions
from aitwin.cli.console import Json, out, plain_name, print_json, say, table
from aitwin.cli.lines import JsonLines, telling
from aitwin.prompt import ROW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from aitwin.corpus.dataset import Dataset, Example
    from aitwin.corpus.marks import Mark, Marks
    from aitwin.corpus.pairs import Pair
    from aitwin.corpus.pipeline import LeftOut
    from aitwin.home import Home

app = typer.Typer(
    help="What the twin learns from: build, look through, drop and pin.", no_args_is_help=True
)

redactions.register(app)

MAIN = "main"
LINE = 80
"""Characters of a reply in a list."""
Instructions = Literal["rules", "llm"]
Name = Annotated[str, typer.Option("--name", help="Name of the dataset.", callback=plain_name)]


@app.command(epilog="Example: twin dataset build --size 800 --language en")
def build(  # noqa: PLR0913 (each is a wish of the owner's)
    name: Name = MAIN,
    size: Annotated[int, typer.Option(help="Pairs at most.", min=1, max=5000)] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed chooses the same pairs.")] = 0,
    language: Annotated[
        list[str] | None,
        typer.Option(
            help="Take replies in this language alone (en, de, …); repeat for each. "
            "Usually those of twin.toml, else all."
        ),
    ] = None,
    mail_share: Annotated[
        float | None,
        typer.Option(
            help="Mails in the set, the rest chats. Usually that of twin.toml, else as you write.",
            min=0,
            max=1,
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option(help="Tokens of an example: as in twin train --sequence-length.", min=64)
    ] = ROW_TOKENS,
    instructions: Annotated[
        Instructions,
        typer.Option(help="Who words the requests for first mails: rules, or your base model."),
    ] = "rules",
    allow_small: Annotated[
        bool, typer.Option("--allow-small", help="Go on with fewer than 200 pairs.")
    ] = False,
    json_lines: JsonLines = False,
    json: Json = False,
) -> None:
    """Turn the corpus into instruction pairs: own words only, no near-duplicates, diverse."""
    from contextlib import ExitStack

    from aitwin.cli.console import progress
    from aitwin.corpus import languages, pipeline
    from aitwin.corpus.curate import Choice
    from aitwin.corpus.store import Store
    from aitwin.home import Home
    from aitwin.rooms import open_author, open_budget, owner_of, persona, rules_of

    with ExitStack() as stack:
        lines = stack.enter_context(telling(json_lines))
        home = Home.from_environment()
        settings = home.settings()
        choice = Choice(
            size,
            seed,
            allow_small,
            languages.codes(settings.languages if language is None else language),
            settings.mail_share if mail_share is None else mail_share,
        )
        bar = stack.enter_context(progress())
        task = bar.add_task("looking at threads", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)
            lines.progress(done, total or None, "", what)

        def track(pairs: "Sequence[Pair]") -> "Iterator[Pair]":
            # Another pace than before: what went before says nothing about how long this takes.
            bar.reset(task, description="wording instructions", total=len(pairs))
            for done, pair in enumerate(pairs):
                lines.progress(done, len(pairs), "pairs", "wording instructions")
                yield pair
                bar.advance(task)

        dataset = pipeline.build(
            Store(home.corpus),
            owner_of(settings),
            persona(settings),
            home.datasets / name,
            choice,
            rules_of(settings),
            stack.enter_context(open_budget(home, settings, tokens)),
            stack.enter_context(open_author(home, settings, track))
            if instructions == "llm"
            else None,
            show,
        )
        total = sum(dataset.counts.values())
        lines.finished({"pairs": total, "counts": dataset.counts, "digest": dataset.digest})
    if json:
        print_json(dataset.manifest)
        return
    if json_lines:
        return
    _show_funnel(dataset.manifest["funnel"])
    _say_how(dataset)
    if total < 500:
        say(f"{total} pairs: enough to begin; 500 to 1,000 are better (C3). Add more mail or chats")
    say(f"wrote {dataset.path}; look through it: twin dataset report")
    say("next: twin train")


def _say_how(dataset: "Dataset") -> None:
    """What is gone, languages, what counted the tokens, how the model's instructions fared."""
    from aitwin.corpus import reading

    settings = dataset.manifest["settings"]
    if gone := reading.remark(settings["mails_gone"]):
        say(gone)
    languages = Counter(dataset.manifest["languages"]).most_common()
    if len(languages) > 1:
        told = ", ".join(f"{language} {count:,}" for language, count in languages)
        say(f"languages: {told} (choose: --language, or languages under [style] in twin.toml)")
    if settings["tokens"]["counted_by"] == "estimate":
        say(
            "tokens are estimated, since the base model is not on the shelf; before you train, "
            "pull it (twin models pull) and build again"
        )
    if fates := Counter(settings["instructions_llm"]):
        from aitwin.cli.corpus import reasons

        worded = fates.pop("worded by the model", 0)
        kept = f"; by the rules: {reasons(fates)}" if fates else ""
        say(f"instructions of first mails: {worded:,} worded by your base model{kept}")


@app.command(epilog="Example: twin dataset show --examples 3")
def show(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Print these pairs, left out or not: ids, or beginnings of ids."),
    ] = None,
    name: Name = MAIN,
    examples: Annotated[int, typer.Option(help="Print this many pairs.", min=0)] = 0,
    left_out: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="List pairs that were left out: for reasons with these words, or all.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show how messages became pairs, your marks, and on demand some pairs with their ids."""
    from aitwin.corpus import dataset as datasets
    from aitwin.corpus import marks as hand
    from aitwin.home import Home

    home = Home.from_environment()
    dataset = datasets.load(home.datasets / name)
    marks = hand.load(home.corpus)
    if ids:
        _show_by_id(home, dataset, ids, json=json)
        return
    if left_out is not None:
        _list_left_out(home, dataset, "" if left_out == "all" else left_out, json=json)
        return
    if json:
        print_json({**dataset.manifest, "marks": marks.marks})
        return
    _show_funnel(dataset.manifest["funnel"])
    table(
        "Splits (by thread; the newest are the test)",
        ("split", "pairs#"),
        list(dataset.counts.items()),
    )
    _show_marks(marks, dataset)
    learnt = dataset.split("train")
    step = max(1, len(learnt) // max(1, examples))
    _show_pairs(learnt[::step][:examples])
    if not examples:
        say("look at pairs and their ids: twin dataset report, or twin dataset show --examples 5")


Ids = Annotated[
    list[str], typer.Argument(metavar="ID…", help="Ids of pairs; the beginning of one is enough.")
]


@app.command(epilog="Example: twin dataset drop 3f9a 07c1")
def drop(ids: Ids, name: Name = MAIN, json: Json = False) -> None:
    """Never learn from these pairs, nor from what nearly repeats them."""
    _mark(ids, name, "drop", json=json)


@app.command(epilog="Example: twin dataset pin 3f9a")
def pin(ids: Ids, name: Name = MAIN, json: Json = False) -> None:
    """Always learn from these pairs, whatever the rules of the choice say."""
    _mark(ids, name, "pin", json=json)


@app.command(epilog="Example: twin dataset unmark 3f9a")
def unmark(ids: Ids, name: Name = MAIN, json: Json = False) -> None:
    """Take back a drop or a pin."""
    _mark(ids, name, None, json=json)


@app.command(epilog="Example: twin dataset report --open")
def report(
    name: Name = MAIN,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print where the page is that shows every pair, what was left out, and why."""
    from aitwin.corpus import dataset as datasets
    from aitwin.corpus import page
    from aitwin.errors import TwinError
    from aitwin.home import Home

    path = datasets.load(Home.from_environment().datasets / name).path / page.FILE
    if not path.exists():
        raise TwinError(f"{path} does not exist; {datasets.REMEDY} again")
    show_page(path, in_browser=show)


def show_page(path: "Path", *, in_browser: bool) -> None:
    """Print where a page is, and on demand open it."""
    import webbrowser

    out.print(str(path), markup=False, soft_wrap=True)
    if in_browser and not webbrowser.open(path.as_uri()):
        say("no browser could be opened here; open the file yourself")


def _mark(ids: list[str], name: str, how: "Mark | None", *, json: bool) -> None:
    """Set or take a mark, and say what that means for each pair."""
    from aitwin.corpus import dataset as datasets
    from aitwin.corpus import marks as hand
    from aitwin.corpus import pipeline
    from aitwin.corpus.store import Store
    from aitwin.home import Home

    home = Home.from_environment()
    dataset = datasets.load(home.datasets / name)
    changed = pipeline.mark(Store(home.corpus), dataset, ids, how)
    if json:
        print_json({"changed": changed, "marks": hand.load(home.corpus).marks})
        return
    done = {"drop": "dropped", "pin": "pinned", None: "unmarked"}[how]
    table(
        f"{done.capitalize()} {len(changed)}",
        ("pair", "in the present dataset"),
        [(id_, reason or "chosen") for id_, reason in changed.items()],
    )
    say("this counts from the next: twin dataset build")


def _show_marks(marks: "Marks", dataset: "Dataset") -> None:
    if marks.marks:
        pinned = dataset.manifest["settings"].get("pinned", 0)
        say(
            f"your marks: {marks.count('drop')} dropped, {marks.count('pin')} pinned "
            f"({pinned} of them in this dataset)"
        )


def _show_by_id(home: "Home", dataset: "Dataset", ids: list[str], *, json: bool) -> None:
    """Print pairs of the dataset, and such as were left out of it."""
    from aitwin.corpus import dataset as datasets
    from aitwin.corpus import marks as hand
    from aitwin.corpus import pipeline

    rows = {row.id: row for split in datasets.SPLITS for row in dataset.split(split)}
    wanted = hand.resolve(ids, [*rows, *pipeline.why_left_out(dataset)])
    chosen = [rows[id_] for id_ in wanted if id_ in rows]
    others = _read_left_out(home, dataset, [id_ for id_ in wanted if id_ not in rows])
    if json:
        print_json([*chosen, *others])
        return
    _show_pairs(chosen)
    for pair in others:
        day = f"{pair.sent_at:%Y-%m-%d}"
        out.rule(f"{pair.id} {pair.channel} {day}", style="dim")
        say(f"{pair.id} was left out: {pair.reason}")
        asked = "\n\n".join(filter(None, (pair.instruction, pair.incoming)))
        out.print(asked, markup=False, style="dim")
        out.print(pair.reply, markup=False)


def _list_left_out(home: "Home", dataset: "Dataset", reason: str, *, json: bool) -> None:
    """One line for each pair that was left out."""
    from aitwin.corpus import pipeline

    reasons_of = pipeline.why_left_out(dataset)
    wanted = [id_ for id_, why in reasons_of.items() if reason.casefold() in why.casefold()]
    pairs = _read_left_out(home, dataset, wanted)
    if json:
        print_json(pairs)
        return
    rows = [(p.id, f"{p.sent_at:%Y-%m-%d}", p.reason, _line(p.reply)) for p in pairs]
    table(f"Left out: {len(rows)}", ("pair", "sent", "because", "reply"), rows)
    say("see one whole: twin dataset show ID; have it learnt all the same: twin dataset pin ID")


def _read_left_out(home: "Home", dataset: "Dataset", ids: list[str]) -> "list[LeftOut]":
    from aitwin.corpus import pipeline
    from aitwin.corpus.store import Store
    from aitwin.rooms import owner_of, rules_of

    if not ids:
        return []
    settings = home.settings()
    store = Store(home.corpus)
    return pipeline.left_out(store, owner_of(settings), dataset, rules_of(settings), set(ids))


def _line(text: str) -> str:
    """The beginning of a text, on one line."""
    plain = " ".join(text.split())
    return plain if len(plain) <= LINE else plain[:LINE].rstrip() + " …"


def _show_pairs(examples: "Sequence[Example]", *, json: bool = False) -> None:
    if json:
        print_json(examples)
        return
    for example in examples:
        out.rule(f"{example.id} {example.channel} {example.sent_at:%Y-%m-%d}", style="dim")
        out.print(example.messages[1]["content"], markup=False, style="dim")
        out.print(example.reply, markup=False)


def _show_funnel(stages: list[dict[str, object]]) -> None:
    from aitwin.cli.corpus import reasons

    table(
        "From messages to pairs",
        ("stage", "came#", "went on#", "dropped"),
        [
            (stage["name"], stage["came"], stage["went"], reasons(Counter(stage["dropped"])))  # type: ignore[call-overload]
            for stage in stages
        ],
    )
