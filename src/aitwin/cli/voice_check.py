"""twin voice check: whether sound files bear the mark of synthesised speech."""

from pathlib import Path
from typing import Annotated

import typer

from aitwin.cli.console import Json, fail, print_json, progress, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: twin voice check kettle.wav")(check)


def check(
    files: Annotated[list[Path], typer.Argument(help="Sound files of any format.")],
    json: Json = False,
) -> None:
    """Look for the inaudible mark that everything spoken by AI Twin bears.

    It survives MP3, telephone quality and cutting, but less than 2 s of marked speech within a
    longer file may be missed. That none is found proves nothing: another program may have spoken.
    Of a file of less than 1.5 s, one answer in twenty is wrong.
    """
    from aitwin.errors import TwinError
    from aitwin.voice.watermark import Found, Watermark

    watermark = Watermark.load()
    found: dict[Path, Found] = {}
    problems = []
    with progress() as bar:
        for path in bar.track(files, description="listening"):
            try:
                found[path] = watermark.search(path)
            except TwinError as error:
                problems.append(str(error))
    if json:
        print_json(
            [
                {"file": path.absolute(), "synthesised": one.is_marked, **vars(one)}
                for path, one in found.items()
            ]
        )
    elif found:
        table(
            "the mark of synthesised speech",
            ("file", "length", "marked", "confidence", ""),
            [
                (
                    path.name,
                    f"{one.seconds:.1f} s",
                    f"{one.marked:.1f} s",
                    f"{one.confidence:.2f}",
                    "synthesised" if one.is_marked else "no mark",
                )
                for path, one in found.items()
            ],
        )
    if problems:
        for problem in problems:
            fail(problem)
        raise typer.Exit(1)
