"""twin serve."""

from typing import Annotated

import typer

from aitwin.cli.console import say, told_of_measuring
from aitwin.cli.write import Adapter

PORT = 8400


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: twin serve --port 8400")(serve)


def serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = PORT,
    adapter: Adapter = "",
) -> None:
    """Serve the twin to programs on this machine, in OpenAI's shape. Listens on loopback only.

    Programs need the token in TWIN_HOME/secrets/api-token.
    """
    from aitwin.home import Home
    from aitwin.rooms import open_twin
    from aitwin.server import app as application
    from aitwin.server import listening as ports

    place = Home.from_environment()
    # Before the model is loaded: whoever forgot that it runs already is told at once.
    with ports.bind(port) as bound:
        twin, close = open_twin(place, adapter, measuring=told_of_measuring)
        app = application.create(twin, place.token(), on_close=close)
        # Not before: who connects would wait for as long as that takes.
        ports.listen(bound)
        address, taken = bound.getsockname()
        say(f"the twin listens on http://{address}:{taken}/v1 (this machine only); Ctrl-C stops it")
        say(f"its token is in {place.token_file}")
        ports.run(app, bound)
