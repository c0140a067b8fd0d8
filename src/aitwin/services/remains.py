"""What a purge cannot reach: where else the owner's things are, and how each is made to go.

Looks only. What lies in the home itself, the purge lists by looking.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import backup, serving, stack, tunnel
from aitwin.services.vault import Vault
from aitwin.style import deploy

LIVE = frozenset({"secrets", "logs", "models", "demo"})
"""What a twin that is served can lose: it opens its secrets anew, and needs none of the others."""


@dataclass(frozen=True)
class Elsewhere:
    """Something of the owner's that outlasts a purge."""

    what: str
    ends: str
    """How it is made to go, in words or as a command."""


def require_rest(place: Home, parts: tuple[str, ...]) -> None:
    """Raise TwinError while the services would write anew, or could not be taken away any more."""
    if set(parts) <= LIVE:
        return
    if "run" in parts and (place.run / "services" / "stack").exists():
        raise TwinError(
            "the services are installed, and without run/ could not be taken away any more; run "
            "`twin services uninstall` first (nothing was deleted)"
        )
    if served := serving.running(place):
        ends = "Ctrl-C there" if served.by == "twin serve" else "twin services stop"
        raise TwinError(
            f"the twin is served, and has open what is to be deleted; end that: {ends} (nothing "
            "was deleted)"
        )


def elsewhere(place: Home) -> list[Elsewhere]:
    """Asked before the purge: afterwards nothing tells of it any more."""
    return [*_elsewhere(place)]


def _elsewhere(place: Home) -> Iterator[Elsewhere]:
    try:
        installed = stack.installed(place) is not None
    except TwinError:
        installed = True
    if installed:
        yield Elsewhere("the services' definitions", "twin services uninstall")
    if (vault := Vault(place)).volume.exists:
        image = vault.volume.image
        yield Elsewhere(f"the vault {image}", "twin vault dissolve, or close and delete it")
    if tunnel.identity(place):
        yield Elsewhere(
            "the tunnel at Cloudflare, and its name in your DNS",
            "twin remote cloudflare off, before its secret is purged",
        )
    if _deployed(place):
        yield Elsewhere("the twin in Ollama", "ollama list, and ollama rm for each aitwin of it")
    if backup.last(place):
        yield Elsewhere("backups", "delete the files where you put them")
    yield Elsewhere(
        "copies in free blocks, snapshots, Time Machine",
        "FileVault or LUKS keeps them from others; erase the disk when you give it away",
    )


def _deployed(place: Home) -> bool:
    """Whether the twin was given to Ollama: style.deploy's records lie beside the adapters."""
    try:
        if place.settings().writer.engine == "ollama":
            return True
    except TwinError:
        pass
    adapters = place.root / "adapters"
    return any(any(adapters.glob(name)) for name in (deploy.LEDGER, f"*/{deploy.RECORD}"))
