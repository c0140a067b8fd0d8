"""twin token: what programs show to the twin."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aitwin.cli.console import Json, print_json, say, table

if TYPE_CHECKING:
    from datetime import datetime

    from aitwin.server.callers import Access

app = typer.Typer(
    help="Tokens of programs, and browsers that are signed in: create, list, revoke.",
    no_args_is_help=True,
)


@app.command(epilog="Example: twin token create editor --file editor.token")
def create(
    name: Annotated[str, typer.Argument(help="Who shows it: the program's name.")],
    scope: Annotated[
        Literal["use", "owner"],
        typer.Option(help="use: write and speak, and see what with; owner: everything."),
    ] = "use",
    days: Annotated[
        int | None, typer.Option(help="For how long (for ever).", min=1, max=3650)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Write it there, readable by you alone, and print nothing."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a token for a program, and print it: this once, for it is not kept."""
    from aitwin import artifact

    if file is not None and json:
        raise typer.BadParameter("it is printed or written, not both", param_hint="--file")
    if file is not None and not file.expanduser().parent.is_dir():
        # Before it is made: a token that nobody has seen would stay behind.
        raise typer.BadParameter("there is no such directory", param_hint="--file")
    made = _access().add_token(name, scope, days)
    if json:
        print_json({"token": made.secret, **vars(made.caller)})
        return
    expires = made.caller.expires_at
    until = f"until {_day(expires)}" if expires else "until you revoke it"
    may = "may do everything" if scope == "owner" else "may write and speak"
    say(f"a program that shows it {may}, {until}; it is not shown again")
    if file is None:
        sys.stdout.write(made.secret + "\n")
    else:
        artifact.write_private(file.expanduser(), made.secret + "\n")


@app.command("list", epilog="Example: twin token list --json")
def list_(json: Json = False) -> None:
    """Show the tokens, and the browsers that are signed in. Never what they show."""
    from aitwin.home import Home
    from aitwin.server.callers import Access

    access = Access.open(Home.from_environment())
    callers = [*access.tokens(), *access.sessions()]
    if json:
        print_json(callers)
        return
    table(
        "Who may ask",
        ("id", "name", "scope", "used", "expires"),
        [
            (
                caller.id,
                caller.name,
                caller.scope,
                f"{caller.used_at.astimezone():%Y-%m-%d %H:%M}" if caller.used_at else "never",
                _day(caller.expires_at) if caller.expires_at else "never",
            )
            for caller in callers
        ],
    )


@app.command(epilog="Example: twin token revoke editor")
def revoke(
    name: Annotated[str, typer.Argument(help="The token's name, or an id of `twin token list`.")],
) -> None:
    """End a token, or sign a browser out: at once, also while the twin is served."""
    from aitwin.errors import TwinError

    access = _access()
    named = [token.id for token in access.tokens() if token.name == name.strip()]
    if not access.revoke(named[0] if named else name):
        raise TwinError("there is no token or session of that name or id; see `twin token list`")
    say("revoked")


def _access() -> "Access":
    from aitwin.home import Home
    from aitwin.server.callers import Access

    return Access.open(Home.from_environment().open())


def _day(at: "datetime") -> str:
    return f"{at.astimezone():%Y-%m-%d}"
