"""What the outside can reach of the twin, by every way that there could be. Changes nothing."""

from aitwin.errors import TwinError
from aitwin.home import Home, RemoteSettings
from aitwin.services import gateway, remote, tailscale, tunnel
from aitwin.services.commands import Commands
from aitwin.services.finding import Finding
from aitwin.services.remote import Secrets
from aitwin.services.tunnel import Plan

_ABOUT = ("P2", "O2")


def examine(place: Home, page: str, run: Commands, shown: Secrets) -> list[Finding]:
    """All checks: the way in, what refuses strangers, tunnels that nobody set up here.

    `page`: where the twin is served; "" nowhere.
    """
    try:
        chosen = place.remote_settings()
    except TwinError as error:
        told = f"the gateway knows no name but this machine's: {error}"
        return [Finding("way in", "warn", told, "mend twin.toml", (), _ABOUT)]
    found = [_way(chosen), _who(chosen, shown)]
    if page:
        found += remote.refusals(page)
        if chosen.way:
            found.append(remote.outside(page, chosen))
    else:
        told = "the twin is not served now; what its gateway refuses cannot be asked"
        found.append(Finding("gateway", "unknown", told, "twin serve", (), ("P2", "O3")))
    return [*found, *ways(place, page, run)]


def ways(place: Home, page: str, run: Commands) -> list[Finding]:
    """The ways themselves. `page` as above."""
    try:
        chosen = place.remote_settings()
    except TwinError:
        chosen = RemoteSettings()
    port = remote.port_of(page) if page else 0
    found = []
    if chosen.way == "cloudflare":
        found += tunnel.findings(place, Plan(chosen.host, port), run)
        found.append(remote.access(place, chosen))
    elif tunnel.config_file(place).exists():
        told = "its files are here, and twin.toml does not say so: the gateway refuses what comes"
        found.append(
            Finding("tunnel", "warn", told, "twin remote cloudflare off", (), ("P2", "O2"))
        )
    shared = chosen.host if chosen.way == "tailscale" else ""
    found += tailscale.findings(shared, port or gateway.PORT, run)
    found.append(tunnel.others(place, run))
    return found


def _way(chosen: RemoteSettings) -> Finding:
    if not chosen.way:
        return Finding("way in", "ok", "none: this machine alone", requirements=_ABOUT)
    told = f"{remote.TITLES[chosen.way]}: https://{chosen.host}"
    return Finding("way in", "ok", told, requirements=_ABOUT)


def _who(chosen: RemoteSettings, shown: Secrets) -> Finding:
    if chosen.way and not shown.any:
        told = "nothing opens the twin, so nobody can come in"
        return Finding("who may come in", "warn", told, "twin token create NAME", (), _ABOUT)
    return Finding("who may come in", "ok", str(shown), requirements=_ABOUT)
