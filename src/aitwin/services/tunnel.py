"""A named Cloudflare Tunnel to the gateway, and to nothing else (P2, O2).

Made by `cloudflared`, which the owner has installed and logged in. Its configuration is a file of
ours with one rule for the gateway and 404 for the rest; the dashboard of Cloudflare has no say in
it. Does not run the tunnel: the services do.
"""

import contextlib
import http.client
import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import commands as programs
from aitwin.services.commands import Commands, Done
from aitwin.services.finding import Finding

METRICS_PORT = 20241
"""Where cloudflared says on 127.0.0.1 whether it is connected; the first of its own choice."""
NAME = "aitwin"
ENVIRONMENT = {"TUNNEL_MANAGEMENT_DIAGNOSTICS": "false"}
"""Else Cloudflare's dashboard may ask for its counters and profiles.

A version that does not know the option `--management-diagnostics` would not start with it; of a
variable it takes no notice.
"""
_ONLINE = 120.0
"""Seconds for what asks Cloudflare."""
_ANSWER = 2.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ABOUT = ("P2", "O2")


@dataclass(frozen=True)
class Plan:
    """A tunnel as the owner wants it."""

    host: str
    """The public name."""
    port: int
    """The gateway's; 0 where it is not known, to look at a tunnel that is there."""
    name: str = NAME
    """The tunnel's, in the owner's account."""


def config_file(place: Home) -> Path:
    """cloudflared's configuration; there is a tunnel where it is."""
    return place.tunnel / "config.yml"


def credentials_file(place: Home) -> Path:
    """The tunnel's secret: whoever has it can stand in for this machine."""
    return place.tunnel / "credentials.json"


def command(place: Home) -> tuple[str, ...]:
    """What runs the tunnel. Raises TwinError when there is no such program."""
    program = programs.find("cloudflared")
    if program is None:
        raise TwinError(_missing())
    options = ("--no-autoupdate", "--metrics", f"127.0.0.1:{METRICS_PORT}", "--loglevel", "warn")
    return (str(program), "tunnel", *options, "--config", str(config_file(place)), "run")


def rendered(place: Home, plan: Plan, tunnel: str) -> str:
    """The configuration.

    Every text is in JSON's quotes, which YAML reads as its own.
    """
    told = json.dumps
    return "\n".join(
        (
            "# Written by `twin remote cloudflare set-up`; another run writes it anew.",
            f"tunnel: {told(tunnel)}",
            f"credentials-file: {told(str(credentials_file(place)))}",
            "ingress:",
            f"  - hostname: {told(plan.host)}",
            f"    service: {told(f'http://127.0.0.1:{plan.port}')}",
            '  - service: "http_status:404"',
            "",
        )
    )


def fit_name(name: str) -> str:
    """A tunnel's name as it may be: nothing that could be an option, or stand for something."""
    return re.sub(r"[^A-Za-z0-9-]", "", name)[:64].lstrip("-")


# --- Setting up -----------------------------------------------------------------------------------


def certificate() -> Path:
    """Where `cloudflared tunnel login` puts what lets it make tunnels and names in the account."""
    return Path.home() / ".cloudflared" / "cert.pem"


def prepare(place: Home, plan: Plan, run: Commands, say: Callable[[str], None]) -> None:
    """Make the tunnel and its name, and check its rules; what is there from an earlier try stays.

    The configuration lies beside its place then: `commit` is what makes it count. Raises TwinError.
    """
    if run.run(["cloudflared", "--version"]).missing:
        raise TwinError(_missing())
    if not certificate().is_file():
        raise TwinError(
            "cloudflared is not logged in; run `cloudflared tunnel login`, choose the domain of "
            f"{plan.host} in the browser, and run this again"
        )
    artifact.make_private_dir(place.open().tunnel)
    # Else the configuration of another tunnel would be read, and the name lead to that.
    artifact.write_private(_blank(place), "no-autoupdate: true\n")
    try:
        tunnel = _tunnel(place, plan, run, say)
        artifact.write_private(_next(place), rendered(place, plan, tunnel))
        _check_rules(_next(place), plan, run)
        say("its rules: that name leads to the gateway, everything else to a 404")
        _route(_next(place), plan, tunnel, run)
        say(f"{plan.host} leads to the tunnel")
    finally:
        _blank(place).unlink(missing_ok=True)


def commit(place: Home) -> None:
    """Let what was prepared count."""
    _next(place).replace(config_file(place))


def _blank(place: Home) -> Path:
    return place.tunnel / "none.yml"


def _next(place: Home) -> Path:
    return place.tunnel / "config.next.yml"


def _tunnel(place: Home, plan: Plan, run: Commands, say: Callable[[str], None]) -> str:
    """The tunnel's id; it is made where there is none yet."""
    file = credentials_file(place)
    if (known := identity(place)) is not None:
        say("the tunnel is there already")
        return known
    file.unlink(missing_ok=True)
    options = ("--credentials-file", str(file), plan.name)
    done = run.run(
        ["cloudflared", "tunnel", "--config", str(_blank(place)), "create", *options],
        seconds=_ONLINE,
    )
    if "already exists" in done.text:
        raise TwinError(
            f"your account has a tunnel named {plan.name}, whose secret is not here; take another "
            f"name (--name), or delete that one: cloudflared tunnel delete {plan.name}"
        )
    if not done.ok:
        raise TwinError(f"the tunnel could not be made: {_said(done)}")
    if file.is_file():
        file.chmod(0o600)
    made = identity(place)
    if made is None:
        raise TwinError(f"cloudflared has made no tunnel that can be used: see {file}")
    say(f"the tunnel {plan.name} is made")
    return made


def identity(place: Home) -> str | None:
    """The id of the tunnel whose secret is here."""
    try:
        told = json.loads(credentials_file(place).read_text("utf-8"))["TunnelID"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, str) and _UUID.fullmatch(told) else None


def _check_rules(config: Path, plan: Plan, run: Commands) -> None:
    """Ask cloudflared itself what it makes of the file."""
    asked = ["cloudflared", "tunnel", "--config", str(config), "ingress"]
    done = run.run([*asked, "validate"])
    # It ends well with a warning, too, where it does not know a key.
    if not done.ok or "OK" not in done.out.split():
        raise TwinError(f"cloudflared does not take its configuration: {_said(done)}")
    gateway = f"http://127.0.0.1:{plan.port}"
    for url, number, service in (
        (f"https://{plan.host}/", 0, gateway),
        ("https://not-the-twin.invalid/", 1, "http_status:404"),
    ):
        done = run.run([*asked, "rule", url])
        if not done.ok or f"Matched rule #{number}" not in done.out or service not in done.out:
            raise TwinError(
                f"cloudflared would send {url} elsewhere than to {service}: {_said(done)}"
            )


def _route(config: Path, plan: Plan, tunnel: str, run: Commands) -> None:
    """Let the public name lead to the tunnel; a name that leads elsewhere is never taken over."""
    done = run.run(
        ["cloudflared", "tunnel", "--config", str(config), "route", "dns", tunnel, plan.host],
        seconds=_ONLINE,
    )
    if "already exists" in done.text:
        raise TwinError(
            f"{plan.host} has a record in your DNS already; delete it in Cloudflare's dashboard, "
            "or take another name"
        )
    if not done.ok:
        raise TwinError(f"{plan.host} could not be led to the tunnel: {_said(done)}")
    # A login is for one domain; for names of others cloudflared adds that domain at the end.
    made = re.search(r"Added CNAME (\S+) which", done.text)
    if made and made[1].lower().rstrip(".") != plan.host:
        raise TwinError(
            f"cloudflared is logged in for another domain, and has made the name {made[1]}; delete "
            f"that record in Cloudflare's dashboard, delete {certificate()}, run "
            f"`cloudflared tunnel login` for the domain of {plan.host}, and run this again"
        )


# --- Taking down ----------------------------------------------------------------------------------


def remove(place: Home, run: Commands) -> bool:
    """Delete the tunnel, here and where possible at Cloudflare; whether it is gone there, too."""
    config_file(place).unlink(missing_ok=True)
    gone = False
    tunnel = identity(place)
    if tunnel and certificate().is_file():
        artifact.write_private(_blank(place), "no-autoupdate: true\n")
        asked = ["cloudflared", "tunnel", "--config", str(_blank(place)), "delete", "-f", tunnel]
        done = run.run(asked, seconds=_ONLINE)
        gone = done.ok or "already been deleted" in done.text
    if place.tunnel.is_dir():
        for path in (
            *(credentials_file(place), _blank(place), _next(place)),
            place.tunnel / "access-keys.json",
        ):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody keeps something of theirs there
            place.tunnel.rmdir()
    return gone


# --- Looking --------------------------------------------------------------------------------------


def ready(port: int = METRICS_PORT) -> int | None:
    """How many connections to Cloudflare the tunnel has; None when none runs.

    cloudflared answers `/ready` on its metrics address with 200 or 503, and JSON.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER)
    with closing(connection):
        try:
            connection.request("GET", "/ready")
            told = json.loads(connection.getresponse().read(4096))
            return int(told["readyConnections"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None


def findings(place: Home, plan: Plan, run: Commands, port: int = METRICS_PORT) -> list[Finding]:
    """The tunnel's files, and whether it is connected."""
    again = f"twin remote cloudflare set-up {plan.host}"
    return [_files(place, plan, again), _connected(run, port)]


def _files(place: Home, plan: Plan, again: str) -> Finding:
    what = "tunnel's rules"
    tunnel = identity(place)
    try:
        stands = config_file(place).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return Finding(what, "bad", f"{config_file(place)} cannot be read", again, (), _ABOUT)
    if tunnel is None:
        told = f"the tunnel's secret is missing: {credentials_file(place)}"
        return Finding(what, "bad", told, again, (), _ABOUT)
    led = re.search(r'service: "http://127\.0\.0\.1:(\d+)"', stands)
    port = int(led[1]) if led else 0
    if port and plan.port and port != plan.port:
        told = f"it leads to port {port}, and the gateway is on {plan.port}"
        return Finding(what, "bad", told, again, (), _ABOUT)
    plan = replace(plan, port=port)
    if stands != rendered(place, plan, tunnel):
        told = f"{config_file(place)} is not as it was written: more may be let out, or elsewhere"
        return Finding(what, "bad", told, again, (), _ABOUT)
    told = f"{plan.host} to the gateway on 127.0.0.1:{plan.port}; a 404 for everything else"
    return Finding(what, "ok", told, requirements=_ABOUT)


def _connected(run: Commands, port: int) -> Finding:
    what = "tunnel"
    connections = ready(port)
    if connections is None:
        missing = run.run(["cloudflared", "--version"]).missing
        told = "cloudflared is not installed" if missing else "it does not run"
        return Finding(what, "warn", told, "twin services install", (), _ABOUT)
    if not connections:
        told = "it runs, and is not connected to Cloudflare"
        return Finding(what, "warn", told, "twin services logs tunnel", (), _ABOUT)
    return Finding(what, "ok", f"connected, {connections} connections outward", requirements=_ABOUT)


def others(place: Home, run: Commands) -> Finding:
    """Tunnels that run on this machine besides the twin's own: they may lead anywhere."""
    what = "other tunnels"
    done = run.run(["ps", "-axo", "args="])
    if not done.ok:
        return Finding(what, "unknown", "processes cannot be listed", requirements=_ABOUT)
    own = str(config_file(place))
    foreign = [
        line
        for line in done.out.splitlines()
        if (words := line.split())
        and Path(words[0]).name == "cloudflared"
        and "tunnel" in words[1:]
        and own not in line
    ]
    if not foreign:
        return Finding(what, "ok", "none runs", requirements=_ABOUT)
    plural = "s run" if len(foreign) > 1 else " runs"
    told = f"{len(foreign)} other cloudflared{plural} here; whether it leads to the twin, you know"
    remedy = "see that it has no rule for the gateway's port: cloudflared tunnel list"
    return Finding(what, "warn", told, remedy, (), _ABOUT)


def _missing() -> str:
    return (
        "cloudflared is not installed; on macOS: brew install cloudflared; elsewhere see "
        "Cloudflare's documentation of Cloudflare Tunnel"
    )


def _said(done: Done) -> str:
    """The last that a program said: its own error."""
    lines = [line for line in done.text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with {done.code}"
