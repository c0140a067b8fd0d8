"""What launchd, systemd and tmux have in common: each keeps the services of the table running."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from aitwin.services.commands import Done
from aitwin.services.units import Name, Unit

Kind = Literal["launchd", "systemd", "tmux"]
LOOK = 0.1
"""Seconds between two looks at a service that is to end."""


@dataclass(frozen=True)
class Doing:
    """How a service is doing, as its manager says."""

    loaded: bool
    """Whether the manager watches it, and starts it again."""
    process: int = 0
    """0 while it does not run."""
    ended: str = ""
    """How it ended last, in the manager's words; empty when nothing is known."""


class Manager(Protocol):
    """Keeps services running. Methods raise TwinError with what the manager said."""

    @property
    def kind(self) -> Kind:
        """Which one it is."""
        ...

    def require(self) -> None:
        """Raise TwinError when it does not work here, with what to do."""
        ...

    def file(self, name: Name) -> Path:
        """Where the definition of a service lies."""
        ...

    def render(self, unit: Unit) -> bytes:
        """The definition. Raises TwinError when it would be refused."""
        ...

    def write(self, unit: Unit) -> None:
        """Put the definition there; the service does not run."""
        ...

    def delete(self, name: Name) -> None:
        """Take it away again; the service does not run."""
        ...

    def settle(self) -> None:
        """Make what was written and deleted known, before anything is started."""
        ...

    def start(self, unit: Unit) -> None:
        """Start it, and keep it running. Nothing when it runs."""
        ...

    def stop(self, name: Name, seconds: float) -> None:
        """End it, by force after `seconds`. Nothing when it is not loaded."""
        ...

    def doing(self, name: Name) -> Doing:
        """How it is doing."""
        ...


def said(done: Done) -> str:
    """What a program said, in one line."""
    return " ".join(done.text.split())[:300] or f"it ended with {done.code}"
