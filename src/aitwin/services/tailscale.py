"""The gateway shared inside the owner's tailnet by `tailscale serve`; never by Funnel (P2).

Serve hands HTTPS of the machine's own name to the gateway on loopback, for devices of the tailnet;
Funnel would do so for the whole internet. Reads what `tailscale` says as JSON.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aitwin.errors import TwinError
from aitwin.services.commands import TIMED_OUT, Commands, Done
from aitwin.services.finding import Finding

APP = "/Applications/Tailscale.app/Contents/MacOS/Tailscale"
"""The program inside the app from the App Store, which puts none on PATH."""
HTTPS = 443
_ABOUT = ("P2",)
_CERTIFICATE = 60.0
"""Seconds: the first time Serve may fetch a certificate."""


@dataclass(frozen=True)
class Share:
    """Something of this machine that the tailnet, or with Funnel the internet, can reach."""

    name: str
    """"mac.tail1234.ts.net:443", or the port where no name belongs to it."""
    target: str
    """What is behind it: "http://127.0.0.1:8787"."""
    path: str = "/"
    funnel: bool = False

    @property
    def place(self) -> str:
        """As told to the owner."""
        return f"{self.name}{self.path if self.path != '/' else ''} to {self.target}"


def name_of(run: Commands) -> str:
    """This machine's name in the tailnet.

    Raises TwinError when Tailscale is absent, not logged in, or may have no certificate.
    """
    done = _run(run, "status", "--json")
    if done.missing:
        raise TwinError("Tailscale is not installed; get it from tailscale.com, and log in")
    status = _read(done)
    state = str(status.get("BackendState", ""))
    if state != "Running":
        raise TwinError(
            f"Tailscale is not connected ({state or 'it does not answer'}); run `tailscale up`, "
            "and log in"
        )
    own = status.get("Self")
    name = str(own.get("DNSName", "") if isinstance(own, dict) else "").rstrip(".").lower()
    if not name:
        raise TwinError("this machine has no name in the tailnet; turn MagicDNS on at Tailscale")
    if not status.get("CertDomains"):
        raise TwinError(
            "the tailnet gives no certificates; turn on HTTPS Certificates under DNS in "
            "Tailscale's admin console, and run this again"
        )
    return name


def shares(run: Commands) -> list[Share] | None:
    """All that is shared, by the configuration that stays and by commands that run now.

    None where Tailscale is not installed or does not answer.
    """
    done = _run(run, "serve", "status", "--json")
    if not done.ok:
        return None
    return list(_shares(_read(done)))


def _shares(config: dict[str, Any]) -> Iterator[Share]:
    """From ipn.ServeConfig, as its JSON is: TCP, Web, AllowFunnel, Foreground, Services."""
    funnels = {name for name, on in _table(config, "AllowFunnel").items() if on}
    web = _table(config, "Web")
    named = set()
    for name, served in web.items():
        for path, handler in _table(served, "Handlers").items():
            target = next(
                (str(handler[kind]) for kind in ("Proxy", "Path", "Text") if handler.get(kind)), "?"
            )
            yield Share(name, target, path, name in funnels)
            named.add(name)
    for port, handler in _table(config, "TCP").items():
        if target := handler.get("TCPForward"):
            opened = any(name.endswith(f":{port}") for name in funnels)
            yield Share(f"port {port}", str(target), funnel=opened)
    for name in funnels - named:
        if not any(name.endswith(f":{port}") for port in _table(config, "TCP")):
            yield Share(name, "nothing yet", funnel=True)
    for more in (*_table(config, "Foreground").values(), *_table(config, "Services").values()):
        if isinstance(more, dict):
            yield from _shares(more)


def share(name: str, port: int, run: Commands) -> None:
    """Share the gateway under the machine's name. What others have shared there stays untouched.

    Raises TwinError when something else is there, when Funnel is on, or it does not work.
    """
    before = shares(run)
    if before is None:
        raise TwinError("`tailscale serve status --json` does not answer; is Tailscale up to date?")
    refuse_funnel(before)
    taken = [one for one in before if one.name == f"{name}:{HTTPS}" and not _is_ours(one, port)]
    if taken:
        raise TwinError(
            f"Tailscale shares something else already: {taken[0].place}; end that first: "
            f"tailscale serve --https={HTTPS} off"
        )
    if not any(_is_ours(one, port) for one in before if one.name == f"{name}:{HTTPS}"):
        target = f"http://127.0.0.1:{port}"
        done = _run(run, "serve", "--bg", f"--https={HTTPS}", target, seconds=_CERTIFICATE)
        # Where Serve is off for the tailnet, it prints a link and waits, or ends with 0.
        if link := re.search(r"https://login\.tailscale\.com/\S+", done.text):
            raise TwinError(
                f"Serve is not on for your tailnet; open {link[0]} to turn it on (Serve alone, not "
                "Funnel), and run this again"
            )
        if done.code == TIMED_OUT:
            raise TwinError("`tailscale serve` did not end within a minute; run this again")
        if not done.ok:
            raise TwinError(f"Tailscale does not share the gateway: {_said(done)}")
    after = shares(run) or []
    refuse_funnel(after)
    if not any(_is_ours(one, port) and one.name == f"{name}:{HTTPS}" for one in after):
        raise TwinError(
            "Tailscale says that it does not share it; see `tailscale serve status`, and try again"
        )


def refuse_funnel(shared: list[Share]) -> None:
    """Raise TwinError where something of this machine is open to the whole internet."""
    if opened := [one.name for one in shared if one.funnel]:
        raise TwinError(
            f"Funnel is on for {', '.join(opened)}: the whole internet reaches it; turn it off "
            "first: tailscale funnel reset"
        )


def unshare(name: str, port: int, run: Commands) -> bool:
    """End it; whether there was anything. What others have shared stays.

    Raises TwinError when it does not work.
    """
    before = shares(run)
    if not any(_is_ours(one, port) and one.name == f"{name}:{HTTPS}" for one in before or ()):
        return False
    done = _run(run, "serve", f"--https={HTTPS}", "off")
    after = shares(run)
    if not done.ok or after is None or any(_is_ours(one, port) for one in after):
        raise TwinError(
            f"Tailscale still shares the gateway ({_said(done)}); end it yourself: "
            f"tailscale serve --https={HTTPS} off"
        )
    return True


def findings(host: str, port: int, run: Commands) -> list[Finding]:
    """What the tailnet reaches of this machine. `host` is "" where no way in is set up."""
    shared = shares(run)
    if shared is None:
        if not host:
            return []
        told = "it does not answer"
        return [Finding("Tailscale", "warn", told, "tailscale up", (), _ABOUT)]
    found = [_funnel(shared)]
    ours = [one for one in shared if _is_ours(one, port)]
    if host and any(one.name == f"{host}:{HTTPS}" for one in ours):
        told = f"devices of your tailnet reach the gateway at https://{host}"
        found.append(Finding("Tailscale", "ok", told, requirements=_ABOUT))
    elif host:
        told = "the gateway is not shared"
        remedy = "twin remote tailscale set-up"
        found.append(Finding("Tailscale", "warn", told, remedy, (), _ABOUT))
    elif ours:
        told = f"shares the gateway, which twin.toml does not say: {ours[0].place}"
        remedy = f"tailscale serve --https={ours[0].name.rpartition(':')[2]} off"
        found.append(Finding("Tailscale", "warn", told, remedy, (), _ABOUT))
    return found


def _funnel(shared: list[Share]) -> Finding:
    opened = [one.name for one in shared if one.funnel]
    if not opened:
        return Finding("Funnel", "ok", "off", requirements=_ABOUT)
    fix = ("tailscale", "funnel", "reset")
    told = f"on for {', '.join(opened)}: the whole internet reaches it"
    return Finding("Funnel", "bad", told, " ".join(fix), fix, _ABOUT)


def _is_ours(one: Share, port: int) -> bool:
    return (
        re.fullmatch(rf"(http://)?(127\.0\.0\.1|localhost|\[::1\]):{port}/?", one.target)
        is not None
    )


def _table(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _run(run: Commands, *arguments: str, seconds: float = 20.0) -> Done:
    done = run.run(["tailscale", *arguments], seconds=seconds)
    return run.run([APP, *arguments], seconds=seconds) if done.missing else done


def _read(done: Done) -> dict[str, Any]:
    try:
        told = json.loads(done.out)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _said(done: Done) -> str:
    lines = [line for line in done.text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with {done.code}"
