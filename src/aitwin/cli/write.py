"""twin write."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aitwin.cli.console import Json, out, plain_name, print_json

Adapter = Annotated[
    str, typer.Option("--adapter", help="Adapter to write with (the newest).", callback=plain_name)
]
Context = Annotated[
    str, typer.Option("--context", help="File with what is to be answered; - reads it from stdin.")
]
Reference = Annotated[
    Path | None, typer.Option("--reference", help="File with a text whose style to follow.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog='Example: twin write "Thank Ana for the spare parts." --context mail.txt')(
        write
    )


def write(  # noqa: PLR0913 (one flag per thing to choose)
    task: Annotated[str, typer.Argument(help="What to write.")],
    context: Context = "",
    reference: Reference = None,
    adapter: Adapter = "",
    base: Annotated[bool, typer.Option("--base", help="Ask the base model, to compare.")] = False,
    max_tokens: Annotated[int, typer.Option(help="Longest draft, in tokens.", min=1)] = 400,
    temperature: Annotated[float, typer.Option(help="0 is greedy.", min=0, max=2)] = 0.4,
    seed: Annotated[int, typer.Option(help="The same seed writes the same draft.")] = 20,
    json: Json = False,
) -> None:
    """Write a draft in your style; nothing but the draft is printed, as it is written."""
    from contextlib import closing

    from aitwin.cli.rooms import open_adapter, open_engine, persona
    from aitwin.home import Home
    from aitwin.style.engine import Sampling
    from aitwin.style.writer import Writer

    wanted = read_task(task, context, reference)
    home = Home.from_environment()
    settings = home.settings()
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed)
    chosen = open_adapter(home, adapter)
    with open_engine(home, chosen) as engine:
        pieces = Writer(engine, persona(settings)).stream(wanted, sampling, adapted=not base)
        with closing(pieces):
            if json:
                text = "".join(pieces).strip()
                print_json({"text": text, "adapter": None if base else chosen.path.name})
                return
            for piece in pieces:
                out.file.write(piece)
                out.file.flush()
    out.print()


def read_task(task: str, context: str, reference: Path | None) -> Any:
    """The task of the command line, with its files read."""
    from aitwin.errors import TwinError
    from aitwin.prompt import Task

    try:
        incoming = sys.stdin.read() if context == "-" else _read(context)
        return Task(task, incoming, _read(reference) if reference else "")
    except (OSError, UnicodeDecodeError) as error:
        place = getattr(error, "filename", None) or context or reference
        raise TwinError(
            f"{place} cannot be read as text ({type(error).__name__}); give a plain text file"
        ) from None


def _read(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""
