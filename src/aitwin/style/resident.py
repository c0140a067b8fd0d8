"""One model in memory, while it is wanted: loaded for the first draft, unloaded after the last.

Does not know which model, or that it is one: it is given what loads an engine.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Lock, Timer

from aitwin.prompt import ChatMessage
from aitwin.style.engine import Closing, OpenEngine, Sampling

KEEP_ALIVE = 30.0
"""Minutes. Loading a 7B again takes seconds from the system's file cache, and it is 5 GB less."""


class Resident(Closing):
    """An engine that holds its model only while somebody writes, and some minutes longer."""

    def __init__(self, load: Callable[[], OpenEngine], keep_alive: float = KEEP_ALIVE) -> None:
        """`keep_alive`: minutes after the last draft; 0 unloads at its end."""
        self._load = load
        self._idle = keep_alive * 60
        self._lock = Lock()  # of what follows; never held while text is made
        self._engine: OpenEngine | None = None
        self._users = 0
        self._timer: Timer | None = None
        self._closed = False

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine."""
        with (
            self._loaded() as engine,
            closing(engine.stream(messages, sampling, adapted=adapted)) as pieces,
        ):
            yield from pieces

    def close(self) -> None:
        """Unload, at the latest when the drafts that are being written have ended."""
        with self._lock:
            self._closed = True
            self._unload()

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._engine is not None

    @contextmanager
    def _loaded(self) -> Iterator[OpenEngine]:
        with self._lock:
            if self._closed:
                raise RuntimeError("this engine is closed")
            self._stop_waiting()
            # Under the lock: two that come at once must not load it twice.
            self._engine = engine = self._engine or self._load()
            self._users += 1
        try:
            yield engine
        finally:
            with self._lock:
                self._users -= 1
                if self._closed or not self._idle:
                    self._unload()
                elif not self._users:
                    self._timer = Timer(self._idle, self._tired)
                    self._timer.daemon = True
                    self._timer.start()

    def _tired(self) -> None:
        with self._lock:
            self._unload()

    def _unload(self) -> None:
        """Close the engine unless it is in use; the lock is held."""
        if self._users:
            return
        self._stop_waiting()
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
