"""Who is at work on a voice: kept out, waited for, or told to come again.

Locks of the file system, so that they hold between the command line, the server and its jobs.
Recording has one of its own besides: see record.alone.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice.voices import LEARNING, Voice

AGAIN = 0.1
"""Seconds after which a lock is tried again."""


class BusyError(TwinError):
    """Somebody else is at work on the voice."""


@contextmanager
def alone(voice: Voice, patience: float = 0.0) -> Iterator[None]:
    """Keep out what would take from under another what it works on.

    Raises BusyError when the voice is being prepared, evaluated, exported or changed, and still is
    after `patience` seconds.
    """
    with ExitStack() as held:
        until = time.monotonic() + patience
        while True:
            try:
                held.enter_context(artifact.holding(voice.path, wait=False))
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise BusyError(
                        f"voice {voice.id} is at work in another window (it is prepared, "
                        "evaluated, exported, or takes are dropped); wait until that has ended, "
                        "or end it"
                    ) from None
            time.sleep(AGAIN)
        yield


@contextmanager
def unlearned(path: Path) -> Iterator[None]:
    """Keep a fine-tune of the voice at `path` out: it would write again what is deleted.

    Raises BusyError while one runs.
    """
    with ExitStack() as held:
        if (path / LEARNING).is_dir():
            try:
                held.enter_context(artifact.holding(path / LEARNING, wait=False))
            except BlockingIOError:
                raise BusyError(
                    f"`twin voice finetune` is learning the voice {path.name} in another window; "
                    "wait until that has ended, or end it (Ctrl-C there)"
                ) from None
        yield


@contextmanager
def after_all(voice: Voice, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait for whatever works on a voice, and keep it out afterwards; `waits` is told of it.

    For when the consent is gone already: who speaks or learns ends with the sentence or the step.
    """
    with ExitStack() as held:
        for place in (voice.path / LEARNING, voice.path):
            if not place.is_dir():
                continue
            try:
                held.enter_context(artifact.holding(place, wait=False))
            except BlockingIOError:
                waits()
                held.enter_context(artifact.holding(place))
        yield
