"""twin dataset redactions: what was taken out, in the clear, and the owner's veto.

The originals are read from the corpus and go to the owner's terminal only: no file holds them.
"""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import Json, plain_name, print_json, say, table

if TYPE_CHECKING:
    from aitwin.corpus.redact import Found
    from aitwin.home import Home

SHOWN = 200
"""Rows of the table; --kind shows all of one kind."""


def register(app: typer.Typer) -> None:
    """Put the command among those of its group."""
    app.command(epilog="Example: twin dataset redactions --allow 3f9a07c1")(redactions)


def redactions(
    name: Annotated[
        str, typer.Option("--name", help="Name of the dataset.", callback=plain_name)
    ] = "main",
    kind: Annotated[str, typer.Option(help="Only this kind: phone, address, …")] = "",
    allow: Annotated[
        list[str] | None, typer.Option(help="Keep this one from now on; ids, may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the originals that placeholders stand for, and on demand keep some of them."""
    from aitwin.corpus import dataset as datasets
    from aitwin.corpus import pipeline
    from aitwin.corpus.store import Store
    from aitwin.home import Home
    from aitwin.rooms import owner_of, rules_of

    home = Home.from_environment()
    settings = home.settings()
    dataset = datasets.load(home.datasets / name)
    found = pipeline.redactions(Store(home.corpus), owner_of(settings), dataset, rules_of(settings))
    if allow:
        _allow(home, found, allow)
        return
    wanted = kind.strip().upper().replace(" ", "_").replace("-", "_")
    found = [one for one in found if wanted in ("", one.kind)]
    if json:
        print_json([asdict(one) for one in found])
        return
    table(
        "Taken out of the pairs (only here in the clear)",
        ("id", "kind", "times#", "what", "where"),
        [(one.id, one.kind, one.times, one.secret, one.context) for one in found[:SHOWN]],
    )
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN:,} more; one kind at a time: --kind phone")
    say("wrong? keep one: twin dataset redactions --allow ID")


def _allow(home: "Home", found: "list[Found]", ids: list[str]) -> None:
    """Put what the ids stand for among what the owner allows."""
    from aitwin.errors import TwinError

    chosen = [one for one in found if any(one.id.startswith(id_.lower()) for id_ in ids if id_)]
    missing = [id_ for id_ in ids if not any(one.id.startswith(id_.lower()) for one in chosen)]
    if missing:
        raise TwinError(
            f"no redaction of this dataset has the id {', '.join(missing)}; "
            "see them: twin dataset redactions"
        )
    settings = home.settings()
    entries = dict.fromkeys((*settings.allow, *(one.secret for one in chosen)))
    home.write_settings(replace(settings, allow=tuple(entries)))
    say(f"kept from now on: {len(chosen)}; they are listed in {home.settings_file} under [redact]")
    say("this counts from the next: twin dataset build")
