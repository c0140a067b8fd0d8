"""twin services: the twin always on, kept running by the system."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aitwin.cli.console import Json, out, print_json, say, table
from aitwin.cli.write import Adapter
from aitwin.services.gateway import PORT

if TYPE_CHECKING:
    from aitwin.services.stack import Stack

app = typer.Typer(
    help="The twin always on: started with the machine, started again when something dies.",
    no_args_is_help=True,
)

Port = Annotated[int, typer.Option(help="Port of the page on 127.0.0.1.", min=1, max=65535)]
Api = Annotated[
    Literal["unix", "tcp"],
    typer.Option(help="How the gateway reaches the API: a socket in TWIN_HOME, or a port."),
]
ApiPort = Annotated[int, typer.Option(help="Port of the API with --api tcp.", min=0, max=65535)]
WithGateway = Annotated[
    bool, typer.Option("--gateway/--no-gateway", help="Serve the page, or the API alone.")
]


@app.command(epilog="Example: twin services install --with launchd --at-boot")
def install(  # noqa: PLR0913 - one for each option
    manager: Annotated[
        Literal["launchd", "systemd", "tmux"] | None,
        typer.Option(
            "--with", help="What keeps them running: launchd on macOS, systemd elsewhere."
        ),
    ] = None,
    at_boot: Annotated[
        bool,
        typer.Option(
            "--at-boot",
            help="Also while you are not logged in; macOS asks for an administrator's password.",
        ),
    ] = False,
    port: Port = PORT,
    api: Api = "unix",
    api_port: ApiPort = 0,
    gateway: WithGateway = True,
    adapter: Adapter = "",
) -> None:
    """Install the services and start them. Run it again after an update, or to change something.

    Only what has changed is started anew.
    """
    from aitwin.home import Home
    from aitwin.services import stack
    from aitwin.services.units import Choice

    if api == "tcp" and not api_port:
        raise typer.BadParameter("give the API a port", param_hint="--api-port")
    place = Home.from_environment()
    if place.settings_file.exists():
        place.settings()  # says what is wrong in it, before anything is changed
    choice = Choice(port, api, api_port, gateway, adapter)
    what = stack.Installed(manager or stack.usual(), choice, at_boot)
    all_of_them = stack.Stack(place, what, say)
    changes = all_of_them.install()
    for names, how in (
        (changes.added, "installed"),
        (changes.changed, "changed"),
        (changes.removed, "removed"),
    ):
        if names:
            say(f"{how}: {', '.join(names)}")
    _started(all_of_them)


@app.command(epilog="Example: twin services start")
def start() -> None:
    """Start what does not run, and wait until all is well."""
    _started(_stack())


@app.command(epilog="Example: twin services stop")
def stop() -> None:
    """End all services, and lock the vault. They come back with the machine: see uninstall."""
    all_of_them = _stack()
    all_of_them.stop()
    also = "" if all_of_them.what.kind == "tmux" else ", and so does a restart of this machine"
    say(f"stopped; `twin services start` starts them{also}")


@app.command(epilog="Example: twin services restart")
def restart() -> None:
    """End all services and start them again, in their order."""
    all_of_them = _stack()
    all_of_them.restart()
    _told(all_of_them)


@app.command(epilog="Example: twin services status --json")
def status(json: Json = False) -> None:
    """Show how each service is doing; exit code 1 when one is not well."""
    all_of_them = _stack()
    found = all_of_them.status()
    if json:
        print_json(found)
    else:
        rows = [
            (
                one.name,
                one.state,
                str(one.process or "–"),
                _span(one.seconds) if one.process else "–",
                f"{one.bytes / 1e6:.0f} MB" if one.bytes else "–",
                one.ended or "–",
            )
            for one in found
        ]
        table(
            f"Services, kept running by {all_of_them.what.kind}",
            ("service", "state", "process", "for", "memory#", "ended last"),
            rows,
        )
    if any(one.state != "well" for one in found):
        raise typer.Exit(1)


@app.command(epilog="Example: twin services logs gateway --lines 20")
def logs(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SERVICE", help="Which; none: all of them.")
    ] = None,
    lines: Annotated[int, typer.Option(help="How many of the last lines of each.", min=1)] = 40,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show new lines as they come, until Ctrl-C.")
    ] = False,
) -> None:
    """Show what the services say about themselves. There is no content in it."""
    from aitwin.services import logs as files
    from aitwin.services.stack import logs_of

    chosen = logs_of(_stack(), names or ())
    for log in chosen:
        for line in files.last(log, lines):
            _line(log.stem, line)
    if not follow:
        return
    try:
        for log, line in files.follow(chosen):
            _line(log.stem, line)
    except KeyboardInterrupt:
        return


@app.command(epilog="Example: twin services uninstall")
def uninstall() -> None:
    """End all services, and take away what was installed of them, and their logs."""
    _stack().uninstall()
    say("nothing of the services is left; `twin serve` serves the twin by hand")


@app.command(hidden=True, epilog="Example: twin services run api")
def run(  # noqa: PLR0913 - one for each option
    name: Annotated[str, typer.Argument(help="The service.")],
    port: Port = PORT,
    api: Api = "unix",
    api_port: ApiPort = 0,
    gateway: WithGateway = True,
    adapter: Adapter = "",
) -> None:
    """Become a service: what launchd, systemd and tmux start. What it says goes to its log."""
    from aitwin.home import Home
    from aitwin.services import running, units

    place = Home.from_environment()
    choice = units.Choice(port, api, api_port, gateway, adapter)
    running.run(units.find(units.table(place, choice), name))


def _stack() -> "Stack":
    from aitwin.home import Home
    from aitwin.services.stack import Stack

    return Stack.of(Home.from_environment(), say)


def _started(all_of_them: "Stack") -> None:
    say("starting; the first time this may take a minute …")
    all_of_them.start()
    _told(all_of_them)


def _told(all_of_them: "Stack") -> None:
    page = all_of_them.what.choice.page
    where = f"the twin is at {page} (this machine only)" if page else "the API listens"
    say(f"{where}; all services are well")
    if page:
        say("a link that signs your browser in: twin login")


def _line(name: str, line: str) -> None:
    out.print(f"{name:>8}  {line}", markup=False, soft_wrap=True)


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
