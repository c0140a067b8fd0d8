"""Passphrases of files that leave this machine: from a file, or asked for without showing them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the passphrase; without it you are asked."),
]


def passphrase_of(file: Path | None, *, new: bool) -> str:
    """From a file, or asked for without showing it, and twice when it is new."""
    from aitwin.errors import TwinError

    if file is not None:
        try:
            lines = file.expanduser().read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            raise TwinError(f"{file} holds no text; put the passphrase into it") from None
        if len(lines) != 1:
            raise TwinError(f"{file} must hold the passphrase on one line, and nothing else")
        return lines[0]
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "there is nobody here to ask; give --passphrase-file", param_hint="--passphrase-file"
        )
    asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return asked
