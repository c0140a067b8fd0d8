"""The writer of the newest adapter: opened when somebody writes, anew when another one has come.

Does not write, and knows nothing of requests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server.problems import Problem

if TYPE_CHECKING:
    from aitwin.style.engine import OpenEngine
    from aitwin.style.writer import Writer


@dataclass(frozen=True)
class Seat:
    """A writer, and what it holds."""

    writer: "Writer"
    close: Callable[[], None]
    loaded: Callable[[], bool] = lambda: True
    adapter: str = ""
    """Its name."""
    heavy: bool = False
    """Whether the model is so large that nothing is trained beside it (R1)."""


class Desk:
    """One writer at a time. Safe for several threads."""

    def __init__(
        self, opened: Callable[[], Seat], signs: Callable[[], object] = lambda: None
    ) -> None:
        """`signs` differ when what `opened` opens would be another by now."""
        self._open = opened
        self._signs = signs
        self._lock = Lock()
        self._seat: Seat | None = None
        self._seen: object = None
        self._closed = False

    @classmethod
    def of(cls, home: Home, adapter: str = "") -> "Desk":
        """By twin.toml: the newest adapter, or the one of that name."""
        return cls(lambda: _opened(home, adapter), lambda: _signs(home))

    @classmethod
    def with_(cls, writer: "Writer", close: Callable[[], None] = lambda: None) -> "Desk":
        """A writer that is there already."""
        return cls(lambda: Seat(writer, close))

    def writer(self) -> "Writer":
        """Who writes now. Blocks: it may be opened for it, but no model is loaded yet.

        Raises Problem when the owner has to do something first, TwinError when something is broken.
        """
        with self._lock:
            if self._closed:
                raise Problem("shutting-down", headers={"Retry-After": "10"})
            seen = self._signs()
            if self._seat is not None and seen != self._seen:
                self._leave()
            if self._seat is None:
                self._seat, self._seen = self._open(), seen
            return self._seat.writer

    def rest(self) -> None:
        """Unload the model, at the latest when the drafts under way have ended: for a training.

        The next draft loads it again.
        """
        with self._lock:
            self._leave()

    @property
    def adapter(self) -> str:
        """Name of the adapter that writes; empty before anybody has written."""
        seat = self._seat
        return seat.adapter if seat is not None else ""

    @property
    def heavy(self) -> bool:
        """Whether the model of the last writer is too large to be loaded beside a training."""
        seat = self._seat
        return seat is not None and seat.heavy

    @property
    def loaded(self) -> str:
        """Name of the adapter whose model is in memory; empty when none is."""
        seat = self._seat
        return seat.adapter or "twin" if seat is not None and seat.loaded() else ""

    def close(self) -> None:
        """Unload for good."""
        with self._lock:
            self._closed = True
            self._leave()

    def _leave(self) -> None:
        """The lock is held."""
        if self._seat is not None:
            self._seat.close()
            self._seat = None


def _signs(home: Home) -> object:
    """What tells that an adapter was trained or taken away, or the settings were changed."""
    found: dict[str, int] = {}
    for path in (home.settings_file, *home.adapters.glob("[!.]*/manifest.json")):
        try:
            found[str(path)] = path.stat().st_mtime_ns
        except OSError:
            continue  # taken away meanwhile
    return found


def _opened(home: Home, adapter: str) -> Seat:
    from aitwin import rooms

    if not home.settings_file.exists():
        raise Problem("not-set-up")
    home.settings()  # a mistake in it is told before anything else
    if not any(home.adapters.glob("[!.]*/manifest.json")):
        raise Problem("no-adapter")
    chosen = rooms.open_adapter(home, adapter)
    engine = _engine(home, chosen.manifest["base"]["name"], lambda: rooms.open_engine(home, chosen))
    return Seat(
        rooms.open_writer(home, chosen, engine),
        engine.close,
        lambda: bool(getattr(engine, "loaded", True)),
        chosen.path.name,
        heavy=_is_heavy(home, chosen.manifest["base"]["name"]),
    )


def _is_heavy(home: Home, base: str) -> bool:
    """Of what another program holds, that one has to take care."""
    from aitwin import models

    if home.settings().writer.engine != "embedded":
        return False
    path, _ = models.Shelf(home.models).open(base)
    return path.stat().st_size > models.LARGE


def _engine(home: Home, base: str, opened: "Callable[[], OpenEngine]") -> "OpenEngine":
    """What writes; a base that nobody pulled is a kind of its own."""
    from aitwin import models

    try:
        return opened()
    except ModuleNotFoundError as error:
        raise Problem(
            "not-installed", f"{error.name} is not installed; run: pip install 'aitwin[write]'"
        ) from None
    except TwinError as error:
        known = next((one for one in models.CATALOGUE if one.name == base), None)
        if known and models.Shelf(home.models).state(known) == "absent":
            raise Problem("model-not-pulled", str(error)) from None
        raise
