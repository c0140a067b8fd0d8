"""How strong what opens the twin is: tokens and the passphrase (P2). Sees no secret.

Tokens are random and long by making, and a passphrase is refused when it is short; what can be
weak is how much they open, and for how long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aitwin.services.finding import Finding

IDLE = timedelta(days=90)
"""A token that nobody has shown for so long is one that nobody misses."""
_ABOUT = ("P2", "O2")


@dataclass(frozen=True)
class Key:
    """A token, as far as its strength goes."""

    name: str
    owner: bool
    """Whether it opens all, mail and recordings included."""
    expires: bool
    made: datetime
    used: datetime | None


def findings(
    keys: Sequence[Key], *, passphrase: bool, now: datetime | None = None
) -> list[Finding]:
    """`passphrase`: whether there is one."""
    return [_tokens(keys, now or datetime.now(UTC)), _passphrase(passphrase)]


def _tokens(keys: Sequence[Key], now: datetime) -> Finding:
    what = "tokens"
    if not keys:
        return Finding(what, "ok", "none", requirements=_ABOUT)
    for why, found in (
        ("opens all, and never expires", [key for key in keys if key.owner and not key.expires]),
        (
            f"was not used for {IDLE.days} days",
            [key for key in keys if now - (key.used or key.made) > IDLE],
        ),
    ):
        if found:
            named = ", ".join(f"“{key.name}”" for key in found)
            remedy = "twin token revoke NAME, and if it is needed: twin token create NAME --days 90"
            return Finding(what, "warn", f"{named} {why}", remedy, (), _ABOUT)
    told = f"{len(keys)}, random, of 256 bits; only their digests are kept"
    return Finding(what, "ok", told, requirements=_ABOUT)


def _passphrase(passphrase: bool) -> Finding:
    told = "none: links of `twin login` alone"
    if passphrase:
        told = "long enough when it was set; tries are counted, and only a scrypt of it is kept"
    return Finding("passphrase", "ok", told, requirements=_ABOUT)
