"""twin backup, restore: the owner's things as one encrypted file, and back."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import DownloadColumn

from aitwin.cli.at_work import stoppable
from aitwin.cli.console import Json, print_json, progress, say, table
from aitwin.cli.passphrases import PassphraseFile, passphrase_of

if TYPE_CHECKING:
    from rich.progress import Progress


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: twin backup /Volumes/Stick/ana.twin --recordings")(backup)
    app.command(epilog="Example: twin restore /Volumes/Stick/ana.twin")(restore)


def backup(  # noqa: PLR0913 (one flag per thing to choose)
    file: Annotated[Path, typer.Argument(help="File to write, best on another disk.")],
    recordings: Annotated[
        bool, typer.Option("--recordings", help="The recordings of your voices, too.")
    ] = False,
    corpus: Annotated[bool, typer.Option("--corpus", help="Your imported mail, too.")] = False,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Tokens and keys, too: who restores it, has them.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: Json = False,
) -> None:
    """Write settings, adapters, datasets and voice profiles into one encrypted file.

    It is read back and compared before it counts. Whoever has the file and the passphrase has what
    is in it; without the passphrase nobody has, you neither. Base models are not in it: they are
    public, and pulled again.
    """
    from aitwin import sealing
    from aitwin.home import Home
    from aitwin.services import backup as backups

    home = Home.from_environment()
    sealing.check_target(file, backups.BACKUP, force=force)
    passphrase = sealing.check_passphrase(passphrase_of(passphrase_file, new=True))
    choice = backups.Choice(recordings, corpus, secrets)
    with stoppable("nothing was written"), progress(DownloadColumn()) as bar:
        made = backups.make(home, file, passphrase, choice, report=_drawn(bar))
    if json:
        print_json({"file": file.absolute(), **vars(made)})
        return
    table("In the backup", ("part", "files#"), sorted(made.parts.items()))
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB, read back and compared")
    left_out = [
        what
        for what, kept in (
            ("recordings", recordings),
            ("imported mail", corpus),
            ("tokens and keys", secrets),
        )
        if not kept
    ]
    if left_out:
        say(f"not in it: {', '.join(left_out)}, and base models")


def restore(
    file: Annotated[Path, typer.Argument(help="File that `twin backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Let what is in it replace what is here.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Take everything out of a backup, on this machine or a new one.

    Without --replace nothing that is here is touched: a backup goes into a fresh home.
    """
    from aitwin.home import Home
    from aitwin.services import backup as backups

    home = Home.from_environment()
    passphrase = passphrase_of(passphrase_file, new=False)
    with stoppable("nothing was restored"), progress(DownloadColumn()) as bar:
        restored = backups.restore(home, file, passphrase, replace=replace, report=_drawn(bar))
    if json:
        print_json({"home": home.root, "at": restored.at, **{"parts": restored.parts}})
    else:
        table("Restored", ("part", "files#"), sorted(restored.parts.items()))
    for note in restored.notes:
        say(note)
    say(f"the backup is of {restored.at:%d %B %Y}; what is missing now: twin doctor")


def _drawn(bar: "Progress") -> Callable[[str, int, int], None]:
    tasks = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    return show
