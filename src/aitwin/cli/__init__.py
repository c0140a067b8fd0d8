"""The command line: parse, call one function, print. One file per group of commands."""

import sys
from io import TextIOWrapper

import typer

from aitwin.cli import (
    audit,
    backup,
    corpus,
    dataset,
    demo,
    deploy,
    evaluate,
    login,
    models,
    owner,
    remote,
    serve,
    services,
    token,
    train,
    vault,
    voice,
    voices,
    write,
)
from aitwin.cli.console import fail
from aitwin.cli.explained import explanation
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
train.register(app)
write.register(app)
evaluate.register(app)
voice.register(app)
app.add_typer(voices.app, name="voice")
app.add_typer(models.app, name="models")
serve.register(app)
app.add_typer(services.app, name="services")
login.register(app)
app.add_typer(token.app, name="token")
app.add_typer(deploy.app, name="deploy")
app.add_typer(remote.app, name="remote")
app.add_typer(vault.app, name="vault")
app.add_typer(audit.app, name="audit")
backup.register(app)
demo.register(app)


def main() -> None:
    """Run the command line: exit code 0, 1 for an error that its message explains, 2 for usage."""
    from aitwin.home import stay_offline

    stay_offline()
    for stream in (sys.stdout, sys.stderr):
        # The name of a file need not be valid text, and the terminal need not speak Unicode.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (TwinError, ModuleNotFoundError, OSError) as error:
        if not (told := explanation(error)):
            raise
        fail(told)
        sys.exit(1)
