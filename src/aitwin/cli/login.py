"""twin login, twin passphrase: how the owner's browser comes in."""

import re
from typing import Annotated

import typer

from aitwin.cli.console import say
from aitwin.cli.passphrases import PassphraseFile, passphrase_of
from aitwin.cli.serve import print_link


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: twin login --page https://twin.example")(login)
    app.command(epilog="Example: twin passphrase --remove")(passphrase)


def login(
    page: Annotated[
        str,
        typer.Option(
            "--page", help="How the browser reaches the page, where it is not on this machine."
        ),
    ] = "",
) -> None:
    """Print a link that signs a browser in, once, while the twin is served."""
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.services import serving

    home = Home.from_environment()
    address = serving.running(home)
    if address is None:
        raise TwinError("the twin is not served now; run `twin serve`, which prints a link, too")
    if page and not re.fullmatch(r"https?://[^\s/#?]+/?", page):
        raise typer.BadParameter("an address looks like https://twin.example", param_hint="--page")
    if not (page or address.page):
        raise TwinError("the API is served without its page; run `twin serve` without --no-gateway")
    print_link(home, page.rstrip("/") or address.page)


def passphrase(
    file: PassphraseFile = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let in by links alone.")] = False,
) -> None:
    """Set a passphrase that opens the page, too, or remove it. Only a hash of it is kept.

    Browsers that an earlier one had let in are signed out.
    """
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.server.callers import Access

    if remove and file:
        raise typer.BadParameter("there is nothing to set with --remove", param_hint="--remove")
    access = Access.open(Home.from_environment().open())
    if remove:
        ended = access.remove_passphrase()
        if ended is None:
            raise TwinError("no passphrase is set; the page opens by links alone (twin login)")
        say(f"no passphrase opens the page any more; {_browsers(ended)} signed out")
        return
    ended = access.set_passphrase(passphrase_of(file, new=True))
    say(f"the passphrase opens the page; {_browsers(ended)} signed out")


def _browsers(count: int) -> str:
    return "1 browser was" if count == 1 else f"{count or 'no'} browsers were"
