"""What a check found: state, evidence, and what mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "bad", "unknown"]
"""`unknown`: it could not be found out here, which is told, and is no reassurance."""


@dataclass(frozen=True)
class Finding:
    """One check. No text of the owner's is in it."""

    what: str
    state: State
    evidence: str
    remedy: str = ""
    """What the owner can do, in words or as a command."""
    fix: tuple[str, ...] = ()
    """The command that mends it, for `twin doctor --fix`, which asks before; empty: by hand."""
    requirements: tuple[str, ...] = ()
    """Ids of REQUIREMENTS.md that it is about."""


def worst(findings: Iterable[Finding]) -> State:
    """The state of them all together."""
    order: tuple[State, ...] = ("ok", "unknown", "warn", "bad")
    return max((finding.state for finding in findings), key=order.index, default="ok")
