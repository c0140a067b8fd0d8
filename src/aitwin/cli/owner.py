"""twin init, doctor, purge: the owner's directory."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from aitwin.cli.console import Json, out, print_json, say, table

if TYPE_CHECKING:
    from aitwin.home import Home


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog='Example: twin init --name "Ana Bell" --address ana@bell.example')(init)
    app.command(epilog="Example: twin doctor --json")(doctor)
    app.command(epilog="Example: twin purge corpus datasets")(purge)


def init(
    name: Annotated[str, typer.Option(help="Your name, as drafts should know it.")] = "",
    address: Annotated[
        list[str] | None,
        typer.Option(help="A mail address of yours, added to those known; repeat for each."),
    ] = None,
    chat_name: Annotated[
        list[str] | None,
        typer.Option(help="Your name in chat exports, added to those known; repeat for each."),
    ] = None,
    trait: Annotated[
        list[str] | None, typer.Option(help='How you write: "dry humour"; repeat for each.')
    ] = None,
    base: Annotated[str, typer.Option(help="Base model (see `twin models list`).")] = "",
) -> None:
    """Say who you are: writes twin.toml. Asks for what no flag gives."""
    from aitwin import home, models

    place = home.Home.from_environment()
    before = place.settings() if place.settings_file.exists() else None
    if name and not name.strip():
        raise typer.BadParameter("a name has letters", param_hint="--name")
    asks = sys.stdin.isatty() and not name
    if not name and not asks and before is None:
        raise typer.BadParameter("give --name (there is nobody here to ask)", param_hint="--name")
    defaults = before or home.Settings(name="")
    settings = replace(
        defaults,
        name=name.strip() or (_asked_name(defaults.name) if asks else defaults.name),
        addresses=_addresses(_added(address, "Your mail addresses", defaults.addresses, asks)),
        chat_names=_added(chat_name, "Your names in chat exports", defaults.chat_names, asks),
        traits=_given(trait, "How you write", defaults.traits, asks),
        base=models.choose(base) if base else defaults.base,
    )
    place.write_settings(settings)
    say(f"wrote {place.settings_file}")
    if not settings.addresses and not settings.chat_names:
        say("no address and no chat name yet: nothing can be recognised as yours before there is")
    say("next: twin corpus add PATH-TO-YOUR-MAIL …")


def _asked_name(default: str) -> str:
    while not (name := str(typer.prompt("Your name", default or None)).strip()):
        pass
    return name


def _addresses(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses alone, as they are compared: "Ana Bell <Ana@Bell.example>" has one."""
    from email.utils import getaddresses

    found = [address.lower() for text in texts for _, address in getaddresses([text])]
    if not all(re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", address) for address in found):
        raise typer.BadParameter("an address looks like ana@bell.example", param_hint="--address")
    return tuple(dict.fromkeys(found))


def _added(
    flags: list[str] | None, question: str, known: tuple[str, ...], asks: bool
) -> tuple[str, ...]:
    """A forgotten address joins the others; to take one away, edit twin.toml or be asked."""
    given = _given(flags, question, known, asks)
    return tuple(dict.fromkeys((*known, *given))) if flags else given


def _given(
    flags: list[str] | None, question: str, default: tuple[str, ...], asks: bool
) -> tuple[str, ...]:
    if flags:
        if not all(flag.strip() for flag in flags):
            raise typer.BadParameter("an address, a chat name, a trait has letters")
        return tuple(flag.strip() for flag in flags)
    if not asks:
        return default
    answer: str = typer.prompt(f"{question} (separate by commas)", ", ".join(default))
    return tuple(part.strip() for part in answer.split(",") if part.strip())


def _voices_elsewhere(place: "Home") -> list[Path]:
    """Recordings that twin.toml keeps outside of the home; the volume they lie on must be there."""
    from aitwin.errors import TwinError
    from aitwin.home import VOICES_MARKER
    from aitwin.voice import voices

    if not place.voice_settings().directory:
        return []
    try:
        directory = place.open_voices()
    except TwinError as error:
        raise TwinError(f"{error} (nothing was deleted)") from None
    return [*voices.belongings(directory), directory / VOICES_MARKER]


def doctor(json: Json = False) -> None:
    """Check this machine and the twin's directory; exit code 1 when something is wrong."""
    from aitwin.home import Home
    from aitwin.services import doctor as checks

    findings = checks.examine(Home.from_environment())
    if json:
        print_json(findings)
    else:
        marks = {"ok": "[green]  ok[/]", "warn": "[yellow]look[/]", "bad": "[red] bad[/]"}
        for finding in findings:
            told = escape(f"{finding.what}: {finding.evidence}")
            out.print(f"{marks[finding.state]}  {told}", soft_wrap=True)
            if finding.remedy:
                out.print(f"      → {finding.remedy}", markup=False, soft_wrap=True)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def purge(
    parts: Annotated[
        list[str], typer.Argument(help="What to delete: corpus, datasets, …, or all.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete personal data for good, and list what remains."""
    import shutil

    from aitwin.home import MARKER, PARTS, SETTINGS, Home

    place = Home.from_environment()
    place.require_own()
    unknown = set(parts) - {*PARTS, "settings", "all"}
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: choose among {', '.join((*PARTS, 'settings'))}, all"
        )
    chosen = (*PARTS, "settings") if "all" in parts else tuple(dict.fromkeys(parts))
    paths = [place.root / (SETTINGS if part == "settings" else part) for part in chosen]
    elsewhere = _voices_elsewhere(place) if "voices" in chosen else []
    # twin.toml after them: it says where they lie.
    doomed = [*elsewhere, *(path for path in paths if path.exists())]
    names = ", ".join(str(path) if path in elsewhere else path.name for path in doomed)
    if doomed and not yes:
        typer.confirm(f"Delete {names} in {place.root} for good?", abort=True)
    for path in doomed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    say(f"deleted: {names or 'nothing, there was nothing'}")
    remaining = sorted(place.root.iterdir()) if place.root.exists() else []
    if [path.name for path in remaining] == [MARKER]:
        # An empty directory needs no proof. Beside other things it stays, or `init` would refuse.
        remaining.pop().unlink()
    if remaining:
        table("What remains", ("path",), [(path,) for path in remaining])
