"""A service that keeps logs small, locks the vault after a sleep, and fetches the keys of Access.

What it can do about sleep is this: it sees, when the machine wakes, that it has slept, and locks
the vault then. While it slept the key was in memory. That the vault is locked before a sleep takes
the owner (`twin vault close`), or a machine that never sleeps, which `twin doctor` sees to.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Callable

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import logs, remote, units
from aitwin.services.vault import Vault

TICK = 5.0
"""Seconds between two looks."""
LEAST = 1.0
"""Seconds of sleep that count: two clocks are never read in the same moment."""
KEYS = 86_400.0
"""Seconds after which the keys of Cloudflare Access are fetched again, where that is set up."""
AGAIN = 3_600.0
"""Seconds between two looks at their age; so also until the next try."""


def slept() -> float:
    """Seconds that the machine has spent asleep since it started.

    By two clocks of the system, one of which stands still then; nobody sets either, as somebody may
    set the time of day.
    """
    if sys.platform == "darwin":
        # clock_gettime(3) of macOS: the second "does not increment while the system is asleep".
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - time.clock_gettime(
            time.CLOCK_UPTIME_RAW
        )
    # clock_gettime(2) of Linux: CLOCK_BOOTTIME "also includes any time that the system is
    # suspended".
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Keeper:
    """Looks after the logs and the vault of a home."""

    def __init__(
        self,
        place: Home,
        say: Callable[[str], None],
        vault: Vault | None = None,
        slept: Callable[[], float] = slept,
        fetched: Callable[[str], bytes] = remote.fetch,
    ) -> None:
        self._place = place
        self._fetched = fetched
        self._looked = float("-inf")
        self._logs = units.logs(place)
        self._say = say
        self._vault = vault or Vault(place)
        self._slept = slept
        self._before = slept()

    def look(self) -> None:
        """Do what is to be done now."""
        for log in self._logs.glob("*.log"):
            with contextlib.suppress(OSError):  # a full disk, say: the next look may do
                logs.rotate(log)
        asleep = self._slept()
        if asleep - self._before > LEAST:
            self._lock(asleep - self._before)
        self._before = asleep
        self._refresh_keys()

    def _lock(self, seconds: float) -> None:
        try:
            # Even while programs use it: whoever wakes the machine need not be the owner, and what
            # is cut off can go on later.
            if self._vault.close(force=True):
                self._say(f"the machine slept for {seconds:.0f} s; the vault is locked")
        except TwinError as error:
            self._say(f"the machine slept for {seconds:.0f} s; {error}")

    def _refresh_keys(self) -> None:
        """The gateway reads them from a file: it cannot reach the network."""
        if time.monotonic() - self._looked < AGAIN:
            return
        self._looked = time.monotonic()
        try:
            team = self._place.remote_settings().access_team
        except TwinError:
            return  # nobody comes in from outside while twin.toml cannot be read
        if not team or remote.age_of_keys(self._place) < KEYS:
            return
        try:
            remote.refresh_keys(self._place, team, fetched=self._fetched)
        except TwinError as error:
            self._say(str(error))


def main() -> None:
    """Look until it is told to end."""
    keeper = Keeper(Home.from_environment(), _say)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    while True:
        keeper.look()
        time.sleep(TICK)


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stderr.write(f"{stamp} twin: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
