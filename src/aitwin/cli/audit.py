"""twin audit: the proof that nothing leaves this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import Json, print_json, say, table

if TYPE_CHECKING:
    from aitwin.services.audit import Report, Sample
    from aitwin.services.chain import Step

app = typer.Typer(help="See for yourself what leaves this machine.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """See for yourself what leaves this machine."""


@app.command(epilog="Example: twin audit network")
def network(
    minutes: Annotated[
        float, typer.Option(help="Time to train in: a few steps.", min=0.1, max=30)
    ] = 0.1,
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Open the page in a browser, too.")
    ] = True,
    browser: Annotated[
        Path | None,
        typer.Option(
            help="Chromium or Chrome (found by itself where they usually are).",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Show the last report again.")] = False,
    json: Json = False,
) -> None:
    """Run everything where there is no network, and report whatever tries to leave.

    A twin of the sample owner imports, trains, writes, speaks, and serves its API and its page; it
    is gone afterwards. Exit code 1 when anything but this machine itself was wanted.
    """
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.services import audit as audits

    home = Home.from_environment()
    if last:
        found = audits.last(home)
        if found is None:
            raise TwinError("no audit was made yet; run: twin audit network")
    else:
        equipment = audits.Equipment.found(browser, page=page)
        say("cut off from the network: a minute or three")
        found = audits.run(home, _sample(minutes), equipment, lambda step: _tell(step, json=json))
    if json:
        print_json(found)
    else:
        _show(found, home.audits)
    if found.state == "bad":
        raise typer.Exit(1)


def _sample(minutes: float) -> "Sample":
    from aitwin.demo import SAMPLE_OWNER, THOTA
    from aitwin.services.audit import Sample

    owner = SAMPLE_OWNER
    flags = (
        *("--name", owner.name, "--base", owner.base),
        *(part for one in owner.addresses for part in ("--address", one)),
        *(part for one in owner.chat_names for part in ("--chat-name", one)),
    )
    sources = (THOTA / "WhatsApp Chat - Meera.txt", THOTA / "letters")
    return Sample(flags, sources, owner.base, minutes)


def _tell(step: "Step", *, json: bool) -> None:
    if not json:
        say(f"{'  ok' if step.ok else ' bad'}  {step.name} ({step.seconds:.0f} s)")
    if step.told:
        say(f"      {step.told.strip()}")


_VERDICTS = {
    "outside": "OUTSIDE",
    "browser": "the browser's own",
    "loopback": "this machine",
    "unix": "this machine",
    "kernel": "the system itself",
}


def _show(report: "Report", directory: Path) -> None:
    table(
        f"What was tried on {report.at[:10]}",
        ("by", "call", "destination", "times#", "verdict"),
        [
            (one.program, one.call, one.destination, one.times, _VERDICTS[one.verdict])
            for one in report.destinations
        ],
    )
    say(f"watched: {', '.join(report.watchers) or 'by nothing that saw the canary'}")
    say(f"{report.state}: {report.evidence}")
    say(f"the report is in {directory}")
