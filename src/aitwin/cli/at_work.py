"""Commands that work on a voice for long: alone, and stopped without harm."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aitwin.cli.console import say

if TYPE_CHECKING:
    from aitwin.voice.voices import Voice

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def alone(voice: "Voice") -> AbstractContextManager[None]:
    """Keep out what would take from under another what it works on: see voice.at_work."""
    from aitwin.voice import at_work

    return at_work.alone(voice)


def unlearned(path: Path) -> AbstractContextManager[None]:
    """Keep a fine-tune of the voice at `path` out: see voice.at_work."""
    from aitwin.voice import at_work

    return at_work.unlearned(path)


def after_all(voice: "Voice") -> AbstractContextManager[None]:
    """Wait for whatever works on a voice, and say so: see voice.at_work."""
    from aitwin.voice import at_work

    waiting = f"waiting for another window, which is at work on the voice {voice.id} …"
    return at_work.after_all(voice, lambda: say(waiting))


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
