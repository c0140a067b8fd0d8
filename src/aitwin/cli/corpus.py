"""twin corpus: mail and chats in."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import DownloadColumn

from aitwin.cli.console import Json, err, fail, print_json, progress, say, table
from aitwin.cli.lines import JsonLines, Lines, telling
from aitwin.rooms import owner_of

if TYPE_CHECKING:
    from aitwin.corpus.store import Imported, Store
    from aitwin.home import Home

app = typer.Typer(help="Your mail and chats: add, show, look through.", no_args_is_help=True)

NAMES_SHOWN = 5
"""Files that were left out, by name, for each reason."""
FILES_SHOWN = 3
"""Files of a folder that have a row of their own; more of them share one."""
INTERRUPTED = 130
"""Exit code of what Ctrl-C stopped, as in any shell."""
SPEAKERS = 8
"""Names of a chat that are listed where the owner has to be found."""
REASONS = 6
"""Reasons that are named in a row of a table."""
SUGGESTED = 5
"""Addresses that are asked about at a time."""

Dates = Literal["dmy", "mdy", "ymd"]


@dataclass
class _Outcome:
    """What an import came to, in three heaps."""

    imported: "list[Imported]" = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    whys: Counter[str] = field(default_factory=Counter)
    """The same errors without the names of the files, for a program that keeps them."""
    not_read: dict[str, list[Path]] = field(default_factory=dict)
    """Files in folders that are no mail and no chat, by reason."""

    def figures(self) -> dict[str, Any]:
        """What came of it in numbers, for a program."""
        return {
            "files": len(self.imported),
            "messages": sum(one.read for one in self.imported),
            "new": sum(one.new for one in self.imported),
            "skipped": sum(one.skipped.total() for one in self.imported),
            "not_read": sum(map(len, self.not_read.values())),
            "failed": len(self.errors),
        }


@app.command(epilog="Example: twin corpus add ~/Takeout/Mail/Sent.mbox 'WhatsApp Chat - Ana.zip'")
def add(
    paths: Annotated[list[Path], typer.Argument(help="Mailboxes, chat exports, folders of them.")],
    dates: Annotated[
        Dates | None, typer.Option(help="Order of dates in a chat that leaves it open.")
    ] = None,
    json_lines: JsonLines = False,
    json: Json = False,
) -> None:
    """Import mail (.mbox, .eml, .emlx, Apple bundles) and WhatsApp chats (.txt, .zip).

    Mail is listed first, then what you wrote and what you answered is read. Adding a grown export
    again imports only what is new, and an interrupted import goes on where it stopped. A file that
    cannot be read is reported, the others go on, and the exit code is 1. Adding a chat again with
    other --dates replaces it.
    """
    from aitwin.corpus.store import Store
    from aitwin.home import Home

    with telling(json_lines) as lines:
        home = Home.from_environment().open()
        store = Store(home.corpus)
        try:
            outcome = _import(store, paths, dates, lines)
            read = _read_what_matters(home, store, lines) if outcome.imported else ""
        except KeyboardInterrupt:
            say("stopped; what is done is kept: run the same command again to go on")
            raise typer.Exit(INTERRUPTED) from None
        if json:
            print_json(vars(outcome))
        elif outcome.imported and not json_lines:
            _show_imports(outcome.imported)
        _tell_what_failed(outcome, lines)
        if not json:
            say(read)
            _offer_addresses(home, store)
            say("next: twin corpus show, then twin dataset build")


def _tell_what_failed(outcome: _Outcome, lines: Lines) -> None:
    """What was left out; raises where that is an error."""
    from aitwin.errors import TwinError

    for reason, files in sorted(outcome.not_read.items(), key=lambda item: -len(item[1])):
        say(f"left out {len(files)} files in folders: {reason}: {_names(files)}")
    for error in outcome.errors:
        fail(error)
    if outcome.imported:
        lines.finished(outcome.figures())
    elif outcome.errors:
        lines.failed("; ".join(_times(why, n) for why, n in outcome.whys.most_common(REASONS)))
    if outcome.errors:
        raise typer.Exit(1)
    if not outcome.imported:
        raise TwinError("there was nothing to read; give a mailbox or a WhatsApp export")


def _read_what_matters(home: "Home", store: "Store", lines: Lines | None = None) -> str:
    """Read the owner's mails and what they answer, with a bar over their bytes; what to say of it.

    Where it is not known yet who the owner is, the dataset's build reads them later.
    """
    from aitwin.corpus import reading

    if not home.settings_file.exists():
        return "mail is listed; say who you are (twin init), so that your mails can be read"
    with progress(DownloadColumn()) as bar:
        task = bar.add_task("reading what you wrote and answered", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if lines:
                lines.progress(done, total, "bytes", "reading what you wrote and answered")

        read = reading.what_matters(store, owner_of(home.settings()), show)
    gone = reading.remark(read.gone)
    return gone or f"read {read.read:,} mails whole: those that you wrote, and what they answer"


def _offer_addresses(home: "Home", store: "Store") -> None:
    """Name the addresses that look like the owner's; where somebody is there to ask, add them."""
    from dataclasses import replace

    if not home.settings_file.exists():
        return
    settings = home.settings()
    suggested = store.suggest_addresses(owner_of(settings)).most_common(SUGGESTED)
    if not suggested:
        return
    which = ", ".join(f"{address} ({count:,} mails)" for address, count in suggested)
    say(f"these look like yours too: {which}")
    if not _somebody_is_there():
        say("add them with `twin init --address …`, each that is yours")
    elif typer.confirm("Add all of them?", default=False, err=True):
        more = tuple(address for address, _ in suggested)
        home.write_settings(replace(settings, addresses=(*settings.addresses, *more)))
        say(_read_what_matters(home, store))
    else:
        say("add those that are yours with `twin init --address …`")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and err.is_terminal


def _names(files: list[Path]) -> str:
    """The first of the files by name, and how many more there are."""
    names = [str(path).encode(errors="backslashreplace").decode() for path in files[:NAMES_SHOWN]]
    more = len(files) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _import(store: "Store", paths: list[Path], dates: Dates | None, lines: Lines) -> _Outcome:
    """Import with a bar over the bytes of all files."""
    from aitwin.corpus import imports
    from aitwin.corpus.imports import Reading
    from aitwin.errors import TwinError

    outcome = _Outcome()
    with progress(DownloadColumn()) as bar:
        task = bar.add_task("looking for mail and chats", total=None)
        lines.stage("looking for mail and chats")

        def show(now: Reading) -> None:
            bar.update(task, description=now.path.name, completed=now.done, total=now.total)
            lines.progress(now.done, now.total, "bytes", "reading mail and chats")

        for found, result in imports.add(store, paths, dates, show):
            if isinstance(result, TwinError):
                outcome.errors.append(str(result))
                outcome.whys[_unnamed(str(result), found.path)] += 1
            elif result is None:
                outcome.not_read.setdefault(found.reason, []).append(found.path)
            else:
                outcome.imported.append(result)
        bar.update(task, description="read", completed=bar.tasks[task].total)
    return outcome


def _unnamed(why: str, path: Path) -> str:
    """Why a file was refused, without what it is called: by whoever wrote, often."""
    from aitwin.corpus import sources

    for name in (sources.place(path), path):
        why = why.replace(str(name), "the file")
    return why


def _times(why: str, files: int) -> str:
    return why if files == 1 else f"{why} ({files} files)"


def _show_imports(imported: "list[Imported]") -> None:
    """One row per file, but one per folder where a folder holds many."""
    in_folder = Counter((one.source.parent, one.format) for one in imported)
    rows: dict[tuple[str, str], list[Imported]] = {}
    for one in imported:
        files = in_folder[one.source.parent, one.format]
        together = files > FILES_SHOWN
        name = f"{one.source.parent.name}/ ({files:,} files)" if together else one.source.name
        rows.setdefault((name, one.format), []).append(one)
    table(
        "Imported",
        ("from", "format", "messages#", "new#", "skipped"),
        [
            (
                name,
                kind,
                sum(one.read for one in group),
                sum(one.new for one in group),
                reasons(sum((one.skipped for one in group), Counter()))
                + ("" if all(one.finished for one in group) else " (unfinished)"),
            )
            for (name, kind), group in rows.items()
        ],
    )


def reasons(counts: Counter[str]) -> str:
    """ "4: 2 without date, 2 undecodable"."""
    total = counts.total()
    listed = [f"{count} {reason}" for reason, count in counts.most_common(REASONS)]
    if rest := total - sum(count for _, count in counts.most_common(REASONS)):
        listed.append(f"{rest} for other reasons")
    return f"{total}: {', '.join(listed)}" if total else "-"


@app.command(epilog="Example: twin corpus show --json")
def show(json: Json = False) -> None:
    """Show what is in the corpus, what could not be read, and whether you are recognised in it."""
    from aitwin.corpus.store import Store
    from aitwin.home import Home

    home = Home.from_environment()
    owner = owner_of(home.settings())
    store = Store(home.corpus)
    log, summary = store.files(), store.summary(owner)
    names = store.chat_names()
    if json:
        print_json(
            {
                "files": log,
                "summary": summary,
                "suggested_addresses": store.suggest_addresses(owner),
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
        ("", "messages#", "yours#", "read whole#"),
        [
            ("mail", summary.mails, summary.own_mails, summary.whole_mails),
            ("chat", summary.chat_messages, summary.own_chat_messages, summary.chat_messages),
            (
                span,
                summary.mails + summary.chat_messages,
                summary.own,
                summary.whole_mails + summary.chat_messages,
            ),
        ],
    )
    if any(not one.finished for one in log):
        say("some files are not listed to their end; add them again to go on")
    _offer_addresses(home, store)
    for path, speakers in store.chats().items():
        if not owner.chat_names & speakers.keys():
            who = ", ".join(name for name, _ in speakers.most_common(SPEAKERS))
            say(f"nobody in {path.name} is known as you; who speaks there: {who}")
            say("add your name there with `twin init --chat-name …`")


@app.command(epilog="Example: twin corpus remove 'WhatsApp Chat - Ana.zip'")
def remove(
    path: Annotated[Path, typer.Argument(help="A file that was added, or a folder of them.")],
    json: Json = False,
) -> None:
    """Forget what came from a file or folder. The file itself stays as it is.

    A message that another file holds too comes back when that file is added again. Datasets and
    adapters that were made before keep what they learnt; build and train them again.
    """
    from aitwin.corpus import imports
    from aitwin.corpus.store import Store
    from aitwin.home import Home

    removed = imports.remove(Store(Home.from_environment().open().corpus), path)
    if json:
        print_json({"removed": {str(file): count for file, count in removed.items()}})
        return
    say(f"removed {sum(removed.values()):,} messages of {len(removed):,} files from the corpus")
    say("next: twin dataset build, so that the dataset forgets them too")


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
