"""Reached from outside, or not: what the gateway is told of it, and proof that it refuses others.

Knows of no tunnel: see tunnel (Cloudflare) and tailscale. Who may come in is server.callers' to
say; how many there are is told to `require`.
"""

import http.client
import json
import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from aitwin import artifact, home
from aitwin.errors import TwinError
from aitwin.home import Home, RemoteSettings
from aitwin.services.finding import Finding

TITLES = {"cloudflare": "Cloudflare Tunnel", "tailscale": "Tailscale"}
PROXIES = {"cloudflare": "cloudflare", "tailscale": "forwarded"}
"""TWIN_PROXY of each way: whose word about its callers the gateway believes."""
COMMANDS = {"cloudflare": "twin remote cloudflare", "tailscale": "twin remote tailscale"}

_ANSWER = 5.0  # seconds
_PATIENCE = 30.0  # seconds, for Cloudflare's keys
_MOST_KEYS = 256 * 1024  # bytes; the real file has 5 kB
KEYS_STALE = 14
"""Days. Cloudflare takes new keys every six weeks, and believes the old ones for a week more."""
_STRANGER = "not-the-twin.invalid"
"""Nobody can have that name (RFC 6761)."""
_PROBLEM = "urn:aitwin:problem:"


# --- What the gateway is told ---------------------------------------------------------------------


def environment(place: Home, names: Iterable[str]) -> dict[str, str]:
    """Those of the gateway's variables `names` that [remote] or this process's environment sets.

    The environment wins. Never raises: with a twin.toml that is broken the gateway knows no name
    but loopback's, so that the page still opens here and nobody comes in from elsewhere.
    """
    wanted = frozenset(names)
    try:
        chosen = place.remote_settings()
    except TwinError:
        chosen = RemoteSettings()
    stated = _stated(place, chosen)
    kept = {name: value for name, value in stated.items() if name in wanted}
    return {**kept, **home.told(wanted)}


def _stated(place: Home, chosen: RemoteSettings) -> dict[str, str]:
    if not chosen.way:
        return {}
    told = {"TWIN_HOSTS": chosen.host, "TWIN_PROXY": PROXIES[chosen.way]}
    if chosen.access_team:
        told |= {
            "TWIN_ACCESS_TEAM": chosen.access_team,
            "TWIN_ACCESS_AUD": chosen.access_audience,
            "TWIN_ACCESS_KEYS": str(keys_file(place)),
        }
    return told


def choose(place: Home, chosen: RemoteSettings) -> None:
    """Write [remote] of twin.toml."""
    place.write_settings(replace(place.settings(), remote=chosen))


# --- Whether the door is shut to others -----------------------------------------------------------


@dataclass(frozen=True)
class Secrets:
    """What opens the twin: whoever sets a way in up must have something to show."""

    tokens: int
    browsers: int
    passphrase: bool

    @property
    def any(self) -> bool:
        """Whether there is any."""
        return bool(self.tokens or self.browsers or self.passphrase)

    def __str__(self) -> str:
        """In words, for the owner."""
        parts = [f"{_count(self.tokens, 'token')}", f"{_count(self.browsers, 'browser')} signed in"]
        return ", ".join([*parts, "a passphrase" if self.passphrase else "no passphrase"])


@dataclass(frozen=True)
class _Question:
    """What is asked of the gateway, and how it must refuse."""

    what: str
    kinds: tuple[str, ...]
    """Problems (urn:aitwin:problem:…), one of which is the right answer."""
    method: str = "GET"
    path: str = "/v1/models"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def _questions() -> tuple[_Question, ...]:
    return (
        _Question("another name", ("wrong-host",), headers={"Host": _STRANGER}),
        _Question(
            "another site's page",
            ("cross-site",),
            "POST",
            "/api/session",
            {
                "Origin": f"https://{_STRANGER}",
                "Sec-Fetch-Site": "cross-site",
                "Content-Type": "application/json",
                "Content-Length": "0",
            },
        ),
        _Question("no key", ("no-key",)),
        _Question(
            "a wrong key",
            # Too many tries is no less of a refusal.
            ("no-key", "too-many-tries"),
            headers={"Authorization": f"Bearer twin_{secrets.token_urlsafe(32)}"},
        ),
    )


def refusals(page: str) -> list[Finding]:
    """Ask the gateway what strangers would ask, and see that it refuses each."""
    return [_asked(page, question) for question in _questions()]


def outside(page: str, chosen: RemoteSettings) -> Finding:
    """Ask the gateway as the way in would on behalf of a stranger: under the public name."""
    headers = {"Host": chosen.host, "X-Forwarded-Proto": "https"}
    kinds: tuple[str, ...] = ("no-key", "too-many-tries")
    if chosen.way == "cloudflare":
        # An address of documentation's own (RFC 5737).
        headers |= {"Cf-Connecting-Ip": "192.0.2.1", "Cf-Ray": "0-TWIN"}
        if chosen.access_team:
            headers["Cf-Access-Jwt-Assertion"] = "forged.forged.forged"
            kinds = ("no-access",)
    else:
        headers |= {"X-Forwarded-Host": chosen.host, "X-Forwarded-For": "100.64.0.1"}
    found = _asked(page, _Question(f"strangers at {chosen.host}", kinds, headers=headers))
    if found.state == "bad" and found.evidence.endswith("wrong-host"):
        return replace(
            found,
            state="warn",
            evidence=f"the gateway does not know the name {chosen.host} yet",
            remedy="start the twin anew: twin services restart, or Ctrl-C and twin serve",
        )
    return found


def _asked(page: str, question: _Question) -> Finding:
    what, remedy = f"gateway: {question.what}", "stop the twin, and see docs/remote.md"
    try:
        status, kind = _answer(page, question)
    except (OSError, http.client.HTTPException) as error:
        why = f"no answer from {page} ({type(error).__name__})"
        return Finding(what, "unknown", why, "twin serve", requirements=("P2", "O3"))
    if kind in question.kinds:
        return Finding(what, "ok", f"refused ({status} {kind})", requirements=("P2", "O3"))
    told = f"not refused as it must be: {status} {kind or 'and not by the twin'}"
    return Finding(what, "bad", told, remedy, requirements=("P2", "O3"))


def _answer(page: str, question: _Question) -> tuple[int, str]:
    """Status, and the kind of the problem; empty when it is no problem of the twin's."""
    address = urlsplit(page)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port or 80, timeout=_ANSWER
    )
    with closing(connection):
        connection.putrequest(question.method, question.path, skip_host="Host" in question.headers)
        for name, value in question.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read(65536)
    try:
        told = str(json.loads(body)["type"])
    except (ValueError, KeyError, TypeError):
        told = ""
    return answer.status, told.removeprefix(_PROBLEM) if told.startswith(_PROBLEM) else ""


def require(place: Home, way: str, page: str, shown: Secrets) -> None:
    """What must hold before a way in is opened; `page` is where the twin is served, "" nowhere.

    Raises TwinError when another way is set up, when nothing opens the twin, so that nobody could
    come in that way but by a mistake of ours, when it is not served, or when the gateway lets in
    whom it must not.
    """
    chosen = place.settings().remote
    if chosen.way and chosen.way != way:
        raise TwinError(
            f"the twin is reached by {TITLES[chosen.way]} already, and one way in is enough to "
            f"watch; end that first: {COMMANDS[chosen.way]} off"
        )
    if not shown.any:
        raise TwinError(
            "nothing opens the twin yet, so nobody could use it from outside; make a token "
            "(twin token create NAME), or set a passphrase (twin passphrase)"
        )
    if not page:
        raise TwinError(
            "the twin is not served now, so whether its gateway refuses strangers cannot be seen; "
            "run `twin serve` in another window, or `twin services start`, and run this again"
        )
    wrong = [found for found in refusals(page) if found.state != "ok"]
    if wrong:
        listed = "\n".join(f"- {found.what}: {found.evidence}" for found in wrong)
        raise TwinError(f"the gateway is not ready to be reached; nothing was opened:\n{listed}")


def port_of(page: str) -> int:
    """The gateway's."""
    return urlsplit(page).port or 80


# --- The keys of Cloudflare Access ----------------------------------------------------------------


def keys_file(place: Home) -> Path:
    """Where they lie: the gateway cannot fetch them, as it cannot reach the network."""
    return place.tunnel / "access-keys.json"


def age_of_keys(place: Home) -> float:
    """Seconds since they were fetched; infinite when they are not there."""
    try:
        return time.time() - keys_file(place).stat().st_mtime
    except OSError:
        return math.inf


def keys_url(team: str) -> str:
    """Where Cloudflare has the public keys of a team's Access."""
    return f"https://{team}.cloudflareaccess.com/cdn-cgi/access/certs"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Nowhere else: keys of another place are none."""


def fetch(url: str) -> bytes:
    """What is there. Raises TwinError."""
    try:
        # Of keys_url: https, and a name that home.TEAM has looked at.
        request = Request(url, headers={"Accept": "application/json"})  # noqa: S310
        with build_opener(_Stay).open(request, timeout=_PATIENCE) as answer:
            body = bytes(answer.read(_MOST_KEYS + 1))
    except (URLError, OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise TwinError(
            f"the keys of Cloudflare Access cannot be fetched from {url} ({why}); is the team's "
            "name right, and this machine online?"
        ) from None
    if len(body) > _MOST_KEYS:
        raise TwinError(f"{url} answers with more than keys can be; is the team's name right?")
    return body


def refresh_keys(place: Home, team: str = "", *, fetched: Callable[[str], bytes] = fetch) -> int:
    """Fetch the keys of Access, of the team of twin.toml unless one is given; how many there are.

    The one thing besides `twin models pull` that reaches out, and only where Access is set up.
    What was there stays when that fails: raises TwinError.
    """
    team = team or place.remote_settings().access_team
    if not team:
        raise TwinError("Cloudflare Access is not set up; see docs/remote.md")
    url = keys_url(team)
    try:
        kept = [
            {name: key[name] for name in ("kid", "kty", "alg", "use", "n", "e") if name in key}
            for key in json.loads(fetched(url))["keys"]
            if key["kty"] == "RSA" and isinstance(key["kid"], str) and key["n"] and key["e"]
        ]
    except (ValueError, KeyError, TypeError):
        kept = []
    if not kept:
        raise TwinError(f"{url} holds no keys; is the team's name right?")
    artifact.make_private_dir(keys_file(place).parent)
    artifact.write_private(keys_file(place), json.dumps({"keys": kept}) + "\n")
    return len(kept)


def access(place: Home, chosen: RemoteSettings) -> Finding:
    """Whether Cloudflare Access stands in front, and its keys are there."""
    what, about = "Cloudflare Access", ("P2", "O2")
    if not chosen.access_team:
        told = "none in front: the twin's own tokens and sessions keep others out"
        return Finding(what, "ok", told, requirements=about)
    fix = ("twin", "remote", "cloudflare", "keys")
    age = age_of_keys(place) / 86_400
    if age == math.inf:
        told = "its keys are missing, so nobody comes in"
        return Finding(what, "bad", told, " ".join(fix), fix, about)
    told = f"asked of everybody from outside; keys {age:.0f} days old"
    if age > KEYS_STALE:
        return Finding(what, "warn", told, " ".join(fix), fix, about)
    return Finding(what, "ok", told, requirements=about)


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"
