"""The command line: parse, call one function, print. One file per group of commands."""

import errno
import sys
from io import TextIOWrapper

import typer

from aitwin.cli import (
    corpus,
    dataset,
    demo,
    deploy,
    evaluate,
    models,
    owner,
    serve,
    train,
    voice,
    voices,
    write,
)
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
train.register(app)
write.register(app)
evaluate.register(app)
voice.register(app)
app.add_typer(voices.app, name="voice")
app.add_typer(models.app, name="models")
serve.register(app)
app.add_typer(deploy.app, name="deploy")
demo.register(app)


# What an owner can mend in a file system: no room, no right, not there, not of that kind.
_MENDABLE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota of disk space is used up; free some space",
    errno.EFBIG: "the file grew larger than this machine allows; raise the limit (ulimit -f)",
    errno.EACCES: "no permission; make it yours",
    errno.EPERM: "no permission; make it yours",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.ENOENT: "it is not there; check the path",
    errno.ENOTDIR: "a part of the path is a file; check the path",
    errno.EISDIR: "it is a directory; give a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


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
    except TwinError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        fail(_missing(error))
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        fail(f"{error.filename or 'TWIN_HOME'}: {_MENDABLE[error.errno]}, and run it again")
    else:
        return
    sys.exit(1)


def _missing(error: ModuleNotFoundError) -> str:
    """What to install for a module that is not there; a bug of ours is passed on."""
    from aitwin.services.doctor import EXTRAS, PARTS

    module = (error.name or "").partition(".")[0]
    if module in ("", "aitwin"):
        raise error
    extras = [EXTRAS[part] for part, modules in PARTS.items() if module in modules]
    wanted = f"aitwin[{extras[0] if extras else 'all'}]"
    return f"this needs {module}, which is not installed; run: pip install '{wanted}'"
