"""All that the routes work with: opened once, handed to each router, closed at the end.

Does not know the routes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aitwin.home import Home
from aitwin.server.access import Access
from aitwin.server.bench import Bench
from aitwin.server.desk import Desk
from aitwin.server.jobs import Jobs
from aitwin.server.queueing import Line
from aitwin.voice.studio import Studio

MOST_FORMS = 32
"""How many may be under way: each has a file on the disk."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What there is behind the routes."""

    home: Home
    credential: str = field(repr=False)
    """What the gateway shows with every request."""
    desk: Desk
    """Who writes. Opened for the first draft: there may be no adapter yet."""
    studio: Studio
    """Who speaks."""
    access: Access
    """Which tokens and sessions there are."""
    jobs: Jobs
    """What runs for minutes and hours."""
    bench: Bench
    """What listens to recordings."""
    writing: Line = field(default_factory=lambda: Line("draft"))
    """Of drafts: one is written at a time."""
    speaking: Line = field(default_factory=lambda: Line("speech"))
    """Of texts to say: one sentence is said at a time."""
    hearing: Line = field(default_factory=lambda: Line("recording"))
    """Of recordings that are listened to, one at a time."""
    receiving: Line = field(default_factory=lambda: Line("recording", most=MOST_FORMS - 1))
    """Of forms that are under way, all at once: who sends one slowly holds up nobody else."""
    gateway: str = ""
    """Where the one door listens: an address; empty where there is none."""
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(  # noqa: PLR0913 (all but the first two have a default)
        cls,
        home: Home,
        credential: str,
        *,
        desk: Desk | None = None,
        studio: Studio | None = None,
        measuring: Callable[[str], None] | None = None,
        gateway: str = "",
    ) -> "Parts":
        """As the home's settings say; with `desk` or `studio`, that one.

        `measuring`: see Studio.measure, which is done at once with it, so that no request waits.
        """
        from aitwin.rooms import open_studio

        # Whoever serves has a home: a studio that begins without one sees no voice, ever.
        home.open()
        if studio is None:
            studio = open_studio(home, measuring=None)
            if measuring is not None:
                studio.measure(measuring)
        return cls(
            home,
            credential,
            desk or Desk.of(home),
            studio,
            Access.open(home),
            Jobs.open(home),
            Bench(home),
            gateway=gateway,
        )

    def end_streams(self) -> None:
        """End what would go on for ever, when the server is about to end."""
        self.jobs.end_streams()

    def close(self) -> None:
        """Let go of everything; running jobs are ended so that they can be resumed."""
        self.jobs.close()
        self.desk.close()
        self.studio.close()
        self.access.close()
