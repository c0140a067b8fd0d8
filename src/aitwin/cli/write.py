"""twin write."""

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from aitwin.cli.console import Json, out, plain_name, print_json
from aitwin.prompt import Kind, Length, Register, Task

MAIN = "main"
MOST_WORDS = 2000
Adapter = Annotated[
    str, typer.Option("--adapter", help="Adapter to write with (the newest).", callback=plain_name)
]
Context = Annotated[
    str, typer.Option("--context", help="File with what the task is about; - reads it from stdin.")
]
Reference = Annotated[
    Path | None, typer.Option("--reference", help="File with a text whose style to follow.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog='Example: twin write "Say that Thursday works." --reply mail.txt --to Ana')(
        write
    )


def write(  # noqa: PLR0913 (one flag per thing to choose)
    task: Annotated[str, typer.Argument(help="What to write.")] = "",
    context: Context = "",
    reply: Annotated[
        str, typer.Option("--reply", help="File with what is to be answered; - for stdin.")
    ] = "",
    rewrite: Annotated[
        str, typer.Option("--rewrite", help="File with a text to say in your words; - for stdin.")
    ] = "",
    to: Annotated[str, typer.Option("--to", help="Who will read it.")] = "",
    register: Annotated[
        Register | None, typer.Option("--as", help="A mail or a chat message.")
    ] = None,
    length: Annotated[
        str, typer.Option("--length", help="short, medium, long, or a number of words.")
    ] = "",
    reference: Reference = None,
    examples: Annotated[
        int, typer.Option(help="Replies of yours to show the model.", min=0, max=20)
    ] = 0,
    dataset: Annotated[
        str, typer.Option(help="Dataset that they come from.", callback=plain_name)
    ] = MAIN,
    adapter: Adapter = "",
    base: Annotated[bool, typer.Option("--base", help="Ask the base model, to compare.")] = False,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest draft, in tokens (by --length, else 400).", min=1)
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.", min=0, max=2)] = 0.4,
    seed: Annotated[int, typer.Option(help="The same seed writes the same draft.")] = 20,
    json: Json = False,
) -> None:
    """Write a draft in your style; nothing but the draft is printed, as it is written."""
    from contextlib import closing
    from dataclasses import replace

    from aitwin.home import Home
    from aitwin.rooms import open_adapter, open_engine, open_examples, open_writer
    from aitwin.style.engine import CONTEXT
    from aitwin.style.guard import Intervention
    from aitwin.style.writer import sampling_for

    wanted = replace(
        _read_request(task, {"write": context, "reply": reply, "rewrite": rewrite}, reference),
        to=to,
        register=register,
        length=read_length(length),
    )
    home = Home.from_environment()
    usual = sampling_for(wanted.length, home.settings().writer.context or CONTEXT)
    sampling = replace(
        usual, max_tokens=max_tokens or usual.max_tokens, temperature=temperature, seed=seed
    )
    chosen = open_adapter(home, adapter)
    taken_off: list[Intervention] = []
    with (
        open_examples(home, chosen, dataset, examples) as own,
        open_engine(home, chosen) as engine,
    ):
        writer = open_writer(home, chosen, engine, own)
        pieces = writer.stream(wanted, sampling, adapted=not base, taken_off=taken_off.append)
        with closing(pieces):
            if json:
                text = "".join(pieces).strip()
                name = None if base else chosen.path.name
                print_json({"text": text, "adapter": name, "taken_off": taken_off})
                return
            for piece in pieces:
                out.file.write(piece)
                out.file.flush()
    out.print()


def _read_request(task: str, sources: dict[Kind, str], reference: Path | None) -> Task:
    """The task with the one file that it is about."""
    from dataclasses import replace

    from aitwin.errors import TwinError

    given = [kind for kind, file in sources.items() if file]
    if len(given) > 1:
        raise TwinError("a draft is about one text: give --context, --reply or --rewrite alone")
    kind: Kind = given[0] if given else "write"
    if kind == "write" and not task.strip():
        raise TwinError(
            'say what to write: twin write "Thank Ana for the spare parts.", or give a mail to '
            "--reply to, or a text to --rewrite"
        )
    return replace(read_task(task, sources[kind], reference), kind=kind)


def read_length(text: str) -> Length | None:
    """ "short", "120", "120 words"; nothing for nothing. Raises TwinError."""
    from aitwin.errors import TwinError

    match text.casefold().removesuffix("words").strip():
        case "":
            return None
        case "short" | "medium" | "long" as known:
            return cast(Length, known)
        case number if number.isdecimal() and 0 < int(number) <= MOST_WORDS:
            return int(number)
    raise TwinError(
        f"--length is short, medium, long, or a number of words up to {MOST_WORDS}; not {text!r}"
    )


def read_task(task: str, context: str, reference: Path | None) -> Task:
    """The task of the command line, with its files read."""
    from aitwin.errors import TwinError

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
