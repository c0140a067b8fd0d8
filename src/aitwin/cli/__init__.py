"""The command line: parse, call one function, print. One file per group of commands."""

import errno
import sys

import typer

from aitwin.cli import corpus, dataset, demo, models, owner, serve, voice, write
from aitwin.cli.console import fail
from aitwin.errors import TwinError

app = typer.Typer(
    name="twin",
    help="A private twin: writes like you from your own mail and chats, and speaks. "
    "Everything stays on this machine.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    epilog="First look: [bold]twin demo[/]. Your own: [bold]twin init[/].",
)
owner.register(app)
app.add_typer(corpus.app, name="corpus")
app.add_typer(dataset.app, name="dataset")
write.register(app)
voice.register(app)
app.add_typer(models.app, name="models")
serve.register(app)
demo.register(app)


def main() -> None:
    """Run the command line: exit code 0, 1 for an error that its message explains, 2 for usage."""
    from aitwin.home import stay_offline

    stay_offline()
    try:
        app()
    except TwinError as error:
        fail(str(error))
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        place = error.filename or "TWIN_HOME"
        fail(f"the disk is full ({place}); free some space and run the command again")
        sys.exit(1)
