"""Lines: one is served at a time, a bounded number wait, everyone else is told when to come again.

Does not know what is waited for.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from anyio import Semaphore
from fastapi import Request

from aitwin.server.problems import Problem

MOST = 16
"""How many may wait: at ten seconds a draft the last of them waits for minutes already."""
MOST_EACH = 4
"""How many places one caller may hold: a token that asks for more leaves room for others."""
USUAL = 8.0
"""Seconds that a turn takes, before one was measured."""


@dataclass(eq=False)
class Line:
    """Who comes first is served first. Belongs to one event loop."""

    what: Literal["draft", "speech", "recording"]
    """What is waited for."""
    most: int = MOST
    turn: Semaphore = field(default_factory=lambda: Semaphore(1), repr=False)
    """Held by whoever is served; those who wait hold no thread meanwhile."""
    places: int = 0
    """How many are served or wait."""
    seconds: float = USUAL
    """How long a place was held of late: a moving average."""

    held: Counter[str] = field(default_factory=Counter, repr=False)
    """Places by caller."""

    def require_place(self, who: str = "") -> None:
        """Raise Problem when too many wait already, or too many of one caller."""
        if self.places > self.most:
            raise self._busy(f"{self.places} requests for a {self.what} wait already")
        if who and self.held[who] >= MOST_EACH:
            raise self._busy(f"{MOST_EACH} requests of yours for a {self.what} are under way")

    def _busy(self, why: str) -> Problem:
        # Waiting a whole line out would be polite, and wrong: places are given up, too.
        soon = min(60, max(1, math.ceil(self.seconds)))
        return Problem("busy", f"{why}; try again in {soon} s", headers={"Retry-After": str(soon)})

    @contextmanager
    def place(self, who: str = "") -> Iterator[None]:
        """Be served or wait; `who` asks (see `asker`). Raises Problem as `require_place` does."""
        self.require_place(who)
        self.places += 1
        self.held[who] += 1
        began = time.monotonic()
        ahead = self.places
        try:
            yield
        finally:
            self.places -= 1
            self.held[who] -= 1
            if not self.held[who]:
                del self.held[who]
            self.seconds += 0.2 * ((time.monotonic() - began) / ahead - self.seconds)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return max(0, self.places - 1)


def asker(request: Request) -> str:
    """Who asks, by id; empty for the owner's own machine, whose places nobody counts."""
    caller = getattr(request.state, "caller", None)
    return caller.id if caller else ""
