"""twin init, doctor, purge: the owner's directory."""

import re
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from aitwin.cli.console import Json, out, print_json, say, table

if TYPE_CHECKING:
    from aitwin.home import Home
    from aitwin.services.finding import Finding


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


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Offer to run what mends each thing, one by one.")
    ] = False,
    json: Json = False,
) -> None:
    """Check this machine and the twin's directory; exit code 1 when something is wrong."""
    from aitwin.home import Home
    from aitwin.services import doctor as checks

    if fix and json:
        raise typer.BadParameter("--fix asks before it mends; leave --json out")
    home = Home.from_environment()
    doors = _doors(home)
    findings = checks.examine(home, doors=doors)
    if json:
        print_json(findings)
    else:
        for finding in findings:
            show(finding)
    if fix and _mended(findings):
        findings = checks.examine(home, doors=doors)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _doors(place: "Home") -> "list[Finding]":
    """How strong what opens the twin is; the server's file says what there is."""
    from aitwin.errors import TwinError
    from aitwin.server.callers import Access
    from aitwin.services import keys
    from aitwin.services.finding import Finding

    try:
        with closing(Access.open(place)) as access:
            tokens = [
                keys.Key(
                    one.name, one.scope == "owner", bool(one.expires_at), one.made_at, one.used_at
                )
                for one in access.tokens()
            ]
            return keys.findings(tokens, passphrase=access.has_passphrase())
    except TwinError as error:
        return [Finding("tokens", "bad", str(error), "twin token list", (), ("P2",))]


_MARKS = {
    "ok": "[green]  ok[/]",
    "warn": "[yellow]look[/]",
    "bad": "[red] bad[/]",
    "unknown": "[dim]   ?[/]",
}


def show(finding: "Finding") -> None:
    """Print one finding, and what mends it."""
    told = escape(f"{finding.what}: {finding.evidence}")
    out.print(f"{_MARKS[finding.state]}  {told}", soft_wrap=True)
    if finding.remedy:
        out.print(f"      → {finding.remedy}", markup=False, soft_wrap=True)


def _mended(findings: "list[Finding]") -> bool:
    """Offer each command that mends something; whether one was run."""
    import shlex
    import subprocess

    ran = False
    for finding in findings:
        if finding.state == "ok" or not finding.fix:
            continue
        command = shlex.join(finding.fix)
        if not typer.confirm(f"{finding.what}: run `{command}`?", default=False, err=True):
            continue
        ran = True
        try:
            # In the terminal: sudo asks for the password there.
            done = subprocess.run(finding.fix, check=False)  # noqa: S603 - shown, and agreed to
        except OSError as error:
            say(f"{command} could not be run ({error.strerror})")
            continue
        say("done" if done.returncode == 0 else f"{command} ended with {done.returncode}")
    return ran


def _paths(place: "Home", chosen: Iterable[str]) -> list[Path]:
    """What is deleted: of a part that lies in the vault, what is in there, and the link to it.

    Raises TwinError while the vault is locked: its content can only be deleted when it is open.
    """
    from aitwin.errors import TwinError
    from aitwin.home import SETTINGS

    paths: list[Path] = []
    for part in chosen:
        path = place.root / (SETTINGS if part == "settings" else part)
        if path.is_symlink():
            if not path.exists():
                raise TwinError(f"{part} lies in the vault, which is locked: twin vault open")
            paths += [path.resolve(), path]
        elif path.exists():
            paths.append(path)
    return paths


def purge(
    parts: Annotated[
        list[str], typer.Argument(help="What to delete: corpus, datasets, …, or all.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete personal data for good, and list what remains."""
    import shutil

    from aitwin.home import MARKER, PARTS, Home
    from aitwin.services import remains

    place = Home.from_environment()
    place.require_own()
    unknown = set(parts) - {*PARTS, "settings", "all"}
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: choose among {', '.join((*PARTS, 'settings'))}, all"
        )
    chosen = (*PARTS, "settings") if "all" in parts else tuple(dict.fromkeys(parts))
    remains.require_rest(place, chosen)
    paths = _paths(place, chosen)
    elsewhere = _voices_elsewhere(place) if "voices" in chosen else []
    beyond = remains.elsewhere(place)
    # twin.toml after them: it says where they lie.
    doomed = [*elsewhere, *paths]
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
    table("Not reached", ("what", "made to go by"), [(one.what, one.ends) for one in beyond])
