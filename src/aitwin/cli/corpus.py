"""twin corpus: mail and chats in."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import Json, fail, print_json, progress, say, table

if TYPE_CHECKING:
    from aitwin.corpus.messages import Owner
    from aitwin.home import Settings

app = typer.Typer(help="Your mail and chats: add, show, look through.", no_args_is_help=True)


def owner_of(settings: "Settings") -> "Owner":
    """The owner, as mail and chats know them."""
    from aitwin.corpus.messages import Owner

    return Owner(settings.name, frozenset(settings.addresses), frozenset(settings.chat_names))


@app.command(epilog="Example: twin corpus add ~/Takeout/Mail/Sent.mbox 'WhatsApp Chat - Ana.zip'")
def add(
    paths: Annotated[list[Path], typer.Argument(help="Mailboxes, chat exports, folders of them.")],
    dates: Annotated[
        str, typer.Option(help="Order of dates in a chat that leaves it open: dmy, mdy or ymd.")
    ] = "",
    json: Json = False,
) -> None:
    """Import mail (.mbox, .eml, .emlx, Apple bundles) and WhatsApp chats (.txt, .zip).

    Adding a grown export again imports only what is new. A file that cannot be read is reported,
    the others go on, and the exit code is 1.
    """
    from aitwin.corpus import pipeline
    from aitwin.corpus.store import Imported, Store
    from aitwin.errors import TwinError
    from aitwin.home import Home

    if dates not in ("", "dmy", "mdy", "ymd"):
        raise typer.BadParameter("choose dmy, mdy or ymd", param_hint="--dates")
    home = Home.from_environment().open()
    imported: list[Imported] = []
    errors: list[str] = []
    passed: Counter[str] = Counter()
    with progress() as bar:
        task = bar.add_task("reading", total=None)
        for found, result in pipeline.add(Store(home.corpus), paths, dates or None):  # type: ignore[arg-type]
            bar.update(task, advance=1, description=f"read {found.path.name}")
            if isinstance(result, Imported):
                imported.append(result)
            elif isinstance(result, TwinError):
                errors.append(str(result))
            else:
                passed[found.reason] += 1
    if json:
        print_json({"imported": imported, "errors": errors, "not_read": passed})
    else:
        _show_imports(imported)
        for reason, count in passed.most_common():
            say(f"{count} files in folders were left out: {reason}")
    for error in errors:
        fail(error)
    if errors:
        raise typer.Exit(1)
    if not imported:
        raise TwinError("there was nothing to read; give a mailbox or a WhatsApp export")
    if not json:
        say("next: twin corpus show, then twin dataset build")


def _show_imports(imported: list) -> None:  # type: ignore[type-arg]
    """One row per file, or one per folder and format where there are many files."""
    groups: dict[tuple[str, str], list] = {}  # type: ignore[type-arg]
    many = len(imported) > 12
    for one in imported:
        name = f"{one.source.parent.name}/" if many else one.source.name
        groups.setdefault((name, one.format), []).append(one)
    table(
        "Imported",
        ("from", "format", "messages#", "new#", "skipped"),
        [
            (
                name if not many else f"{name} ({len(group)} files)",
                kind,
                sum(one.read for one in group),
                sum(one.new for one in group),
                reasons(sum((one.skipped for one in group), Counter())),
            )
            for (name, kind), group in groups.items()
        ],
    )


def reasons(counts: Counter[str]) -> str:
    """ "4: 2 without date, 2 undecodable"."""
    total = counts.total()
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.most_common(4))
    return f"{total}: {listed}" if total else "-"


@app.command(epilog="Example: twin corpus show --json")
def show(json: Json = False) -> None:
    """Show what is in the corpus, what could not be read, and whether you are recognised in it."""
    from aitwin.corpus.store import Store
    from aitwin.home import Home

    home = Home.from_environment()
    owner = owner_of(home.settings())
    store = Store(home.corpus)
    log, summary = store.import_log(), store.summary(owner)
    suggested, names = store.suggest_addresses(owner), store.chat_names()
    if json:
        print_json(
            {
                "files": log,
                "summary": summary,
                "suggested_addresses": suggested,
                "chat_names": names,
            }
        )
        return
    if not log:
        say("the corpus is empty; begin with `twin corpus add PATH-TO-YOUR-MAIL`")
        return
    _show_imports(log)
    span = f"{summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d}" if summary.first else "-"
    table(
        "Corpus",
        ("", "messages#", "yours#"),
        [
            ("mail", summary.mails, summary.own_mails),
            ("chat", summary.chat_messages, summary.own_chat_messages),
            (span, summary.mails + summary.chat_messages, summary.own),
        ],
    )
    if suggested:
        addresses = ", ".join(address for address, _ in suggested.most_common(5))
        say(f"these look like yours too: {addresses}; add them with `twin init --address …`")
    if names and not owner.chat_names & set(names):
        say(f"none of your chat names speaks in the chats; there are {', '.join(list(names)[:8])}")


@app.command(epilog="Example: twin corpus report --open")
def report(
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a page on what was read, what could not be, and where; print where it is."""
    from aitwin.cli.dataset import show_page
    from aitwin.corpus import page
    from aitwin.corpus.store import Store
    from aitwin.errors import TwinError
    from aitwin.home import Home

    home = Home.from_environment()
    owner = owner_of(home.settings())
    store = Store(home.corpus)
    if not store.import_log() and not store.passed_over():
        raise TwinError("the corpus is empty; begin with: twin corpus add PATH-TO-YOUR-MAIL")
    path = home.corpus / page.FILE
    page.write(path, page.of_corpus(store, owner))
    show_page(path, in_browser=show)
