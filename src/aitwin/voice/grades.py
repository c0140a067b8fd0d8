"""A take's grade, A to D, with reasons and advice in plain words. Measures nothing."""

from dataclasses import dataclass
from typing import Literal

Letter = Literal["A", "B", "C", "D"]
"""A: as good as it gets at home. B: good. C: usable, better retaken. D: left out of the profile."""


@dataclass(frozen=True)
class Reason:
    """One thing that lowers a grade."""

    what: str
    """Which measure: "noise", "clipping", "hum", "reverb", "level", "bandwidth", "short", ..."""
    letter: Letter
    """The best grade that it allows."""
    found: str
    """In words, with the number: "the room is loud: speech is only 14 dB above it"."""
    advice: str
    """What to do: "switch off the fan, close the window, come closer to the microphone"."""


@dataclass(frozen=True)
class Grade:
    """The verdict on a take."""

    letter: Letter
    reasons: tuple[Reason, ...] = ()
    """The worst first; empty for an A without a remark."""
