"""Commands that work on a voice for long: alone, and stopped without harm."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aitwin.cli.console import say

if TYPE_CHECKING:
    from aitwin.voice.voices import Voice

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@contextmanager
def alone(voice: "Voice") -> Iterator[None]:
    """Keep out what would take from under another what it works on.

    Recording has a lock of its own. Raises TwinError when the voice is being prepared, exported or
    changed.
    """
    from aitwin import artifact
    from aitwin.errors import TwinError

    try:
        with artifact.holding(voice.path, wait=False):
            yield
    except BlockingIOError:
        raise TwinError(
            f"voice {voice.id} is at work in another window (it is prepared, evaluated, exported, "
            "or takes are dropped); wait until that has ended, or end it"
        ) from None


@contextmanager
def unlearned(path: Path) -> Iterator[None]:
    """Keep a fine-tune of the voice at `path` out: it would write again what is deleted.

    Raises TwinError while one runs.
    """
    from aitwin import artifact
    from aitwin.errors import TwinError
    from aitwin.voice.voices import LEARNING

    with ExitStack() as held:
        if (path / LEARNING).is_dir():
            try:
                held.enter_context(artifact.holding(path / LEARNING, wait=False))
            except BlockingIOError:
                raise TwinError(
                    f"`twin voice finetune` is learning the voice {path.name} in another window; "
                    "wait until that has ended, or end it (Ctrl-C there)"
                ) from None
        yield


@contextmanager
def after_all(voice: "Voice") -> Iterator[None]:
    """Wait for whatever works on a voice, and keep it out afterwards.

    For when the consent is gone already: who speaks or learns ends with the sentence or the step.
    """
    from aitwin import artifact
    from aitwin.voice.voices import LEARNING

    with ExitStack() as held:
        for place in (voice.path / LEARNING, voice.path):
            if not place.is_dir():
                continue
            try:
                held.enter_context(artifact.holding(place, wait=False))
            except BlockingIOError:
                say(f"waiting for another window, which is at work on the voice {voice.id} …")
                held.enter_context(artifact.holding(place))
        yield


@contextmanager
def stoppable(left: str) -> Iterator[None]:
    """Say what is left when it is stopped by Ctrl-C, or ended by a signal: nothing half made is."""
    from aitwin.cli.keys import ending

    try:
        with ending():
            yield
    except KeyboardInterrupt:
        say(f"stopped; {left}")
        raise typer.Exit(INTERRUPTED) from None
    except SystemExit:
        say(f"stopped; {left}")
        raise
