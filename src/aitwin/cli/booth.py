"""Booth: the owner before the microphone. What is shown there, heard there, and pressed there.

Knows neither sessions nor takes: see record.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from aitwin.cli.console import err
from aitwin.cli.keys import END, Keys
from aitwin.errors import TwinError

if TYPE_CHECKING:
    from rich.live import Live

    from aitwin.cli.recording_screen import View
    from aitwin.voice.microphone import Block, Microphone, Stream
    from aitwin.voice.soundcheck import Meter

FRAME = 1 / 15  # seconds between two pictures: smooth to the eye, cheap for the processor

Result = TypeVar("Result")


class QuitError(Exception):
    """The owner goes."""


class Booth:
    """Shows, listens, and takes keys."""

    def __init__(self, microphone: "Microphone", keys: Keys, live: "Live", view: "View") -> None:
        self.microphone = microphone
        self.view = view
        self._keys = keys
        self._live = live
        self._drawn = 0.0
        self._open = ExitStack()
        self._stream: Stream | None = None

    @property
    def stream(self) -> "Stream":
        """The open microphone; opened when it is not."""
        if self._stream is None:
            self._stream = self._open.enter_context(self.microphone.open())
        return self._stream

    def close(self) -> None:
        """Let go of the microphone: its lamp goes out."""
        self._stream = None
        self._open.close()

    def show(
        self,
        keys: Mapping[str, str],
        status: str,
        remarks: tuple[str, ...] | None = None,
        letter: str = "",
    ) -> None:
        """Say what goes on, and which keys do what; without `remarks` the former stay."""
        names = {" ": "space"}
        self.view.keys = tuple((names.get(key, key), does) for key, does in keys.items())
        self.view.keys += (("q", "quit"),)
        self.view.status = status
        if remarks is not None:
            self.view.remarks, self.view.letter = remarks, letter
        self.draw()

    def draw(self) -> None:
        """Paint the screen."""
        from aitwin.cli.recording_screen import screen

        self._drawn = time.monotonic()
        self._live.update(screen(self.view, err), refresh=True)

    def ask(self, keys: Mapping[str, str], *, listening: bool = True) -> str:
        """Wait for one of `keys`, with a living meter.

        Raises QuitError when the owner goes.
        """
        from aitwin.cli.recording_screen import fits
        from aitwin.voice import soundcheck

        self.view.recording, self.view.peak, self.view.clipped = False, soundcheck.SILENCE, False
        self.view.level = soundcheck.SILENCE
        while True:
            self.draw()
            key = self._keys.pressed(FRAME)
            if key in ("q", END):
                raise QuitError
            # Nobody reads aloud, or agrees to anything, from a window that does not show it.
            if key in keys and fits(self.view, err):
                return key
            if not listening:
                continue
            try:
                blocks = self.stream.waiting()
            except TwinError as gone:
                self.replug(gone)
                continue
            if blocks:
                self.view.level = soundcheck.level(blocks[-1])

    def listen(
        self,
        hear: "Callable[[Block], None]",
        meter: "Meter",
        finished: Callable[[], bool],
        keys: Mapping[str, str],
    ) -> str:
        """Pass blocks to `hear` until it is `finished` ("") or one of `keys`, or q, is pressed.

        Raises UnpluggedError when the microphone goes.
        """
        stream, words = self.stream, self.view.status
        stream.waiting()  # what was heard before does not belong to it
        while not finished():
            hear(stream.read())
            if time.monotonic() - self._drawn >= FRAME:
                self.view.level, self.view.peak = meter.level, meter.peak
                self.view.clipped = meter.clipped > 0
                self.view.status = f"{meter.seconds:5.1f} s   {words}"
                self.draw()
            key = self._keys.pressed()
            if key in keys or key in ("q", END):
                return "q" if key == END else key
        return ""

    def replug(self, gone: TwinError) -> None:
        """Wait until the microphone is there again. Raises QuitError when the owner goes."""
        from aitwin.voice import microphone

        before = (self.view.status, self.view.keys, self.view.remarks, self.view.letter)
        reason: TwinError | None = gone
        while reason is not None:
            with suppress(Exception):  # what is gone may fail to close, too
                self.close()
            self.view.recording = False
            self.show({" ": "try again"}, "no microphone; what was said is kept", (f"{reason}.",))
            self.ask({" ": "try again"}, listening=False)
            try:
                self.microphone = microphone.again(self.microphone)
                self.stream.waiting()
            except TwinError as still:
                reason = still
            else:
                reason = None
        self.view.status, self.view.keys, self.view.remarks, self.view.letter = before

    def insist(self, stage: Callable[[], Result]) -> Result:
        """What `stage` gives; begun anew after the microphone was gone."""
        from aitwin.voice.microphone import UnpluggedError

        while True:
            try:
                return stage()
            except UnpluggedError as gone:
                self.replug(gone)


@contextmanager
def opened(microphone: "Microphone", keys: Keys, title: str) -> Iterator["Booth"]:
    """A booth on the whole of the terminal, which is given back at the end."""
    from rich.live import Live

    from aitwin.cli.recording_screen import View

    with Live(console=err, screen=True, auto_refresh=False) as live:
        booth = Booth(microphone, keys, live, View(title))
        try:
            yield booth
        finally:
            booth.close()
