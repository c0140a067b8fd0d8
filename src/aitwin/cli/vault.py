"""twin vault: the owner's private parts on an encrypted volume."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import DownloadColumn

from aitwin.cli.at_work import stoppable
from aitwin.cli.console import Json, print_json, progress, say, table
from aitwin.cli.passphrases import PassphraseFile, passphrase_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from aitwin.services.vault import Vault

app = typer.Typer(
    help="An encrypted volume for mail, datasets, adapters and recordings.", no_args_is_help=True
)


@app.command(epilog="Example: twin vault create --size 100")
def create(
    size: Annotated[int, typer.Option(help="Most that it may hold, in GiB (macOS).", min=1)] = 100,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the vault and move corpus, datasets, adapters and voices in.

    What was moved is compared before it is deleted outside. Run it again when it was stopped, or
    when something private lies outside of the vault again. Without the passphrase nobody opens it,
    you neither.
    """
    from aitwin import sealing

    vault = _vault()
    new = not vault.volume.exists
    passphrase = ""
    if new or not vault.state().is_open:
        passphrase = passphrase_of(passphrase_file, new=new)
        if new:
            sealing.check_passphrase(passphrase)
    with stoppable("`twin vault create` goes on"), progress(DownloadColumn()) as bar:
        state = vault.create(passphrase, size << 30, _drawn(bar))
    say(f"the vault holds {', '.join(state.inside)}; it is open until `twin vault close`")
    say(
        "what was deleted outside may live on in free blocks, snapshots and backups of the disk: "
        "FileVault, or LUKS, protects those"
    )


@app.command("open", epilog="Example: twin vault open")
def open_(passphrase_file: PassphraseFile = None) -> None:
    """Unlock the vault."""
    vault = _vault()
    if vault.state().is_open:
        say("the vault is open already")
        return
    if not vault.volume.exists:
        vault.open("")  # says that there is none
    vault.open(passphrase_of(passphrase_file, new=False))
    say(f"the vault is open, at {vault.volume.mount}")


@app.command(epilog="Example: twin vault close")
def close(
    force: Annotated[
        bool, typer.Option("--force", help="Even while programs use it; they may lose work.")
    ] = False,
) -> None:
    """Lock the vault."""
    say("the vault is locked" if _vault().close(force=force) else "the vault was locked already")


@app.command(epilog="Example: twin vault status --json")
def status(json: Json = False) -> None:
    """Show whether there is a vault, whether it is open, and what lies in it."""
    from aitwin.home import VAULT_PARTS

    vault = _vault()
    state = vault.state()
    if json:
        print_json(state)
        return
    if not state.exists:
        say("there is no vault; `twin vault create` makes one")
        return
    places = dict.fromkeys(state.inside, "in the vault")
    places |= dict.fromkeys(state.outside, "outside, on the disk as it is")
    rows = [(part, places.get(part, "nothing yet")) for part in VAULT_PARTS]
    table(f"The vault is {'open' if state.is_open else 'locked'}", ("part", "where"), rows)
    if state.outside:
        say("`twin vault create` moves in what is outside")


@app.command(epilog="Example: twin vault dissolve")
def dissolve(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Move everything out of the vault onto the disk as it is, and delete the vault."""
    if not yes:
        typer.confirm("Move everything out of the vault, unencrypted?", abort=True)
    with stoppable("`twin vault dissolve` goes on"), progress(DownloadColumn()) as bar:
        _vault().dissolve(_drawn(bar))
    say("the vault is gone; what was in it lies in the twin's directory")


def _vault() -> "Vault":
    from aitwin.home import Home
    from aitwin.services.vault import Vault

    home = Home.from_environment()
    home.require_own()
    return Vault(home)


def _drawn(bar: "Progress") -> Callable[[str, int, int], None]:
    tasks = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(f"moving {what}", total=total)
        bar.update(tasks[what], completed=done, total=total)

    return show
