"""twin remote: the twin reached from outside, by Cloudflare Tunnel or Tailscale, or not at all."""

import platform
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.console import Json, print_json, say

if TYPE_CHECKING:
    from aitwin.home import Home
    from aitwin.services.finding import Finding
    from aitwin.services.remote import Secrets

app = typer.Typer(
    help="Reach the twin from outside, by one way of your choice, or see that nobody can.",
    no_args_is_help=True,
)
cloudflare = typer.Typer(
    help="A public name by Cloudflare Tunnel: set-up, off, keys.", no_args_is_help=True
)
tailscale = typer.Typer(
    help="Devices of your tailnet, by Tailscale Serve: set-up, off.", no_args_is_help=True
)
app.add_typer(cloudflare, name="cloudflare")
app.add_typer(tailscale, name="tailscale")


@cloudflare.command("set-up", epilog="Example: twin remote cloudflare set-up twin.example.org")
def set_up_cloudflare(
    host: Annotated[str, typer.Argument(help="The public name, of a domain at Cloudflare.")],
    name: Annotated[str, typer.Option(help="The tunnel's name in your account.")] = "aitwin",
    access_team: Annotated[
        str, typer.Option(help="Cloudflare Access: the name before .cloudflareaccess.com.")
    ] = "",
    access_audience: Annotated[
        str, typer.Option(help="Cloudflare Access: the audience tag of the application.")
    ] = "",
) -> None:
    """Make a tunnel that leads a public name to the gateway, and nothing else.

    Refused unless the twin is served, something opens it (a token, a passphrase), and its gateway
    refuses strangers. Run it again when it was stopped, or to change the name. Cloudflare sees what
    passes through in clear.
    """
    from aitwin.errors import TwinError
    from aitwin.home import AUDIENCE, HOST, TEAM, RemoteSettings
    from aitwin.services import remote, tunnel
    from aitwin.services.commands import System

    host, access_team = host.lower().rstrip("."), access_team.lower()
    access_audience = access_audience.lower()
    if not HOST.fullmatch(host):
        raise typer.BadParameter("a name looks like twin.example.org", param_hint="HOST")
    if bool(access_team) != bool(access_audience):
        raise typer.BadParameter(
            "the team and the audience tag belong together", param_hint="--access-team"
        )
    if access_team and not TEAM.fullmatch(access_team):
        raise typer.BadParameter(
            "it is the name before .cloudflareaccess.com", param_hint="--access-team"
        )
    if access_audience and not AUDIENCE.fullmatch(access_audience):
        raise typer.BadParameter("a tag has 64 of 0-9 and a-f", param_hint="--access-audience")
    if name != tunnel.fit_name(name):
        raise typer.BadParameter("use letters, digits and dashes", param_hint="--name")
    home = _home()
    before = home.settings().remote
    if before.access_team and not access_team and before.way == "cloudflare":
        # Nobody takes a lock off by leaving an option out.
        raise TwinError(
            f"Cloudflare Access is set up for {before.host}; give --access-team and "
            "--access-audience again, or end the tunnel first: twin remote cloudflare off"
        )
    page = _page(home)
    remote.require(home, "cloudflare", page, _secrets(home))
    if access_team:
        count = remote.refresh_keys(home, access_team)
        say(f"{count} keys of Cloudflare Access fetched")
    plan = tunnel.Plan(host, remote.port_of(page), name)
    tunnel.prepare(home, plan, System(), say)
    # The door learns the name before anything leads to it.
    remote.choose(home, RemoteSettings("cloudflare", host, access_team, access_audience))
    tunnel.commit(home)
    say("set up; it works once the gateway knows its name and the tunnel runs:")
    say("  twin services install    (adds the tunnel to what this machine keeps running)")
    say("  twin services restart    (the gateway learns its name)")
    say("  twin remote status       (shows what the outside can reach)")
    say(
        f"{tunnel.certificate()} can make tunnels and names in your account, and running needs it "
        "no more: move it to a safe place"
    )


@cloudflare.command("off", epilog="Example: twin remote cloudflare off")
def off_cloudflare(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End the tunnel: forget the public name, and delete the tunnel and its secret."""
    from aitwin.errors import TwinError
    from aitwin.home import RemoteSettings
    from aitwin.services import remote, tunnel
    from aitwin.services.commands import System

    home = _home()
    chosen = home.settings().remote
    if chosen.way != "cloudflare" and not tunnel.config_file(home).exists():
        raise TwinError("no Cloudflare Tunnel is set up; see `twin remote status`")
    if not yes:
        typer.confirm("End the tunnel, and delete its secret?", abort=True, err=True)
    # The door forgets the name first: whatever still leads here is refused then.
    if chosen.way == "cloudflare":
        remote.choose(home, RemoteSettings())
    known = tunnel.identity(home)
    gone = tunnel.remove(home, System())
    say("the public name and the tunnel's secret are deleted on this machine")
    if known and not gone:
        say(
            f"at Cloudflare the tunnel {known} is still listed, and of no use without its secret; "
            "delete it in the dashboard, or: cloudflared tunnel login, cloudflared tunnel delete"
        )
    if chosen.host:
        say(
            f"{chosen.host} still has a record in your DNS, which leads nowhere: delete it in the "
            "dashboard"
        )
    if tunnel.ready() is not None:
        say("a cloudflared still runs: twin services install (takes the tunnel out)")
    say("restart the twin, so that its gateway forgets the name: twin services restart")


@cloudflare.command(epilog="Example: twin remote cloudflare keys")
def keys() -> None:
    """Fetch the public keys of Cloudflare Access, which change every six weeks.

    The gateway cannot reach the network, and reads them from a file.
    """
    from aitwin.services import remote

    say(f"{remote.refresh_keys(_home())} keys of Cloudflare Access fetched")


@tailscale.command("set-up", epilog="Example: twin remote tailscale set-up")
def set_up_tailscale() -> None:
    """Share the gateway with the devices of your tailnet, and with nobody else.

    Refused unless the twin is served, something opens it (a token, a passphrase), and its gateway
    refuses strangers; and where Funnel opens this machine to the internet.
    """
    from aitwin.home import RemoteSettings
    from aitwin.services import remote
    from aitwin.services import tailscale as serve
    from aitwin.services.commands import System

    home = _home()
    page = _page(home)
    remote.require(home, "tailscale", page, _secrets(home))
    run = System()
    host = serve.name_of(run)
    serve.refuse_funnel(serve.shares(run) or [])
    before = home.settings().remote
    remote.choose(home, RemoteSettings("tailscale", host))
    try:
        serve.share(host, remote.port_of(page), run)
    except BaseException:
        remote.choose(home, before)
        raise
    say(
        f"devices of your tailnet reach the twin at https://{host}, once its gateway knows the name"
    )
    say("restart the twin: twin services restart, or Ctrl-C and twin serve")
    say(f"then sign a browser in: twin login --page https://{host}")


@tailscale.command("off", epilog="Example: twin remote tailscale off")
def off_tailscale() -> None:
    """Share the gateway no more."""
    from aitwin.errors import TwinError
    from aitwin.home import RemoteSettings
    from aitwin.services import gateway, remote
    from aitwin.services import tailscale as serve
    from aitwin.services.commands import System

    home = _home()
    chosen = home.settings().remote
    if chosen.way != "tailscale":
        raise TwinError("the twin is not reached by Tailscale; see `twin remote status`")
    page = _page(home)
    port = remote.port_of(page) if page else gateway.PORT
    remote.choose(home, RemoteSettings())
    ended = serve.unshare(chosen.host, port, System())
    say("the gateway is shared no more" if ended else "Tailscale did not share the gateway")
    say("restart the twin, so that its gateway forgets the name: twin services restart")


@app.command(epilog="Example: twin remote status --json")
def status(json: Json = False) -> None:
    """Show what the outside can reach, and who could come in; exit code 1 when something is wrong.

    Asks the running gateway what strangers would ask. Sends nothing out of this machine.
    """
    from aitwin.cli.owner import show
    from aitwin.services import doctor, reach
    from aitwin.services.commands import System

    home = _home()
    run = System()
    found: list[Finding] = [
        *reach.examine(home, _page(home), run, _secrets(home)),
        *doctor.listening(platform.system(), run),
    ]
    if json:
        print_json(found)
    else:
        for finding in found:
            show(finding)
    if any(finding.state == "bad" for finding in found):
        raise typer.Exit(1)


def _home() -> "Home":
    from aitwin.home import Home

    return Home.from_environment()


def _page(home: "Home") -> str:
    """Where the twin is served now; "" nowhere."""
    from aitwin.services import serving

    served = serving.running(home)
    return served.page if served else ""


def _secrets(home: "Home") -> "Secrets":
    from aitwin.server.callers import Access
    from aitwin.services.remote import Secrets

    access = Access.open(home)
    return Secrets(len(access.tokens()), len(access.sessions()), access.has_passphrase())
