"""twin serve: the page, its gateway and the API behind it."""

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aitwin.cli.console import say
from aitwin.cli.write import Adapter
from aitwin.services.gateway import PORT

if TYPE_CHECKING:
    from aitwin.home import Home


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=f"Example: twin serve --port {PORT}")(serve)


def serve(
    port: Annotated[
        int,
        typer.Option(help="Port of the page on 127.0.0.1; 0 takes a free one.", min=0, max=65535),
    ] = PORT,
    api: Annotated[
        Literal["unix", "tcp"],
        typer.Option(help="How the gateway reaches the API: a socket in TWIN_HOME, or a port."),
    ] = "unix",
    api_port: Annotated[
        int,
        typer.Option(help="Port of the API with --api tcp; 0 takes a free one.", min=0, max=65535),
    ] = 0,
    gateway: Annotated[
        bool, typer.Option("--gateway/--no-gateway", help="Serve the page, or the API alone.")
    ] = True,
    adapter: Adapter = "",
) -> None:
    """Serve the twin: its page, and /api and /v1 for programs. Listens on this machine only.

    Prints a link that signs a browser in, once. Programs show a token: twin token create NAME.
    """
    import secrets

    from aitwin.home import Home
    from aitwin.services import serving
    from aitwin.services.supervisor import StoppedError, Supervisor
    from aitwin.services.units import Choice

    home = Home.from_environment()
    credential = secrets.token_urlsafe(32)
    with serving.alone(home) as directory:
        choice = Choice(port, api, api_port, gateway, adapter)
        line = serving.plan(home, choice, credential)
        with Supervisor(line.children, say) as children, ExitStack() as told:
            try:
                children.start()
            except StoppedError:
                return
            told.enter_context(serving.announced(directory, line.address))
            if line.address.page:
                say(f"the twin is at {line.address.page} (this machine only); Ctrl-C stops it")
                print_link(home, line.address.page)
            else:
                file = told.enter_context(serving.lent(directory, credential))
                say(f"the API listens on {line.address.api} (this machine only); Ctrl-C stops it")
                say(f"its credential, for as long as it runs, is in {file}")
            children.watch()


def print_link(home: "Home", page: str) -> None:
    """Print a link that signs one browser in."""
    from aitwin.server.callers import CODE, Access

    code = Access.open(home).add_code()
    minutes = CODE.total_seconds() / 60
    say(f"the link signs in one browser, once, within {minutes:.0f} minutes; another: twin login")
    # What follows # is sent to nobody, and so stands in no log.
    sys.stdout.write(f"{page}/login#{code}\n")
    sys.stdout.flush()
