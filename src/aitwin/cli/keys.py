"""Keys: single keys from the terminal, without Enter and without an echo.

The terminal is given back as it was on every way out, a signal that ends us included.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from aitwin.cli.console import err
from aitwin.errors import TwinError

END = "\x04"
"""Ctrl-D, and what is returned when the terminal is gone."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Keys:
    """`with Keys() as keys:` takes the keys of the terminal."""

    def __enter__(self) -> "Keys":
        """Raises TwinError when there is no terminal."""
        if not (sys.stdin.isatty() and err.is_terminal):
            raise TwinError(
                "a recording session needs a terminal, for its keys and its level meter; run it "
                "in one, or add recordings that exist: twin voice add FILE"
            )
        import termios

        self._handle = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._handle)
        # First, so that a signal between the two finds them in place.
        self._handlers: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {
            number: signal.signal(number, _end) for number in _ENDING
        }
        changed = termios.tcgetattr(self._handle)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        # Ctrl-Z would hold the microphone, and come back to a terminal that echoes.
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._handle, termios.TCSADRAIN, changed)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the terminal back."""
        import termios

        try:
            termios.tcsetattr(self._handle, termios.TCSAFLUSH, self._before)
        except termios.error:
            pass  # its window is closed
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def pressed(self, wait: float = 0.0) -> str:
        """The next key, in small letters; "" when none came within `wait` seconds.

        Arrows and other keys of several bytes count as none. Enter is a space.
        """
        if not self._waits(wait):
            return ""
        key = self._byte()
        if not key:
            return END
        if key == b"\x1b":
            self._skip_sequence()
            return ""
        if not key.isascii():
            following = (key >= b"\xc0") + (key >= b"\xe0") + (key >= b"\xf0")  # of UTF-8
            if following and self._waits():
                os.read(self._handle, following)
            return ""
        return " " if key in b"\r\n" else key.decode().lower()

    def _waits(self, wait: float = 0.0) -> bool:
        return bool(select.select([self._handle], [], [], wait)[0])

    def _byte(self) -> bytes:
        """One byte; none when the terminal is gone."""
        try:
            return os.read(self._handle, 1)
        except OSError:
            return b""

    def _skip_sequence(self) -> None:
        """What follows an escape: "[" or "O", then all up to a letter or "~" (ECMA-48)."""
        if not self._waits() or self._byte() not in (b"[", b"O"):
            return
        while self._waits() and (byte := self._byte()):
            if b"@" <= byte <= b"~":
                return


@contextmanager
def ending() -> Iterator[None]:
    """Let a signal that ends us clear up first, as Ctrl-C does; without a terminal, too."""
    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup's
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    """As SystemExit: every `finally` on the way out runs, and what was said is kept."""
    raise SystemExit(128 + number)
