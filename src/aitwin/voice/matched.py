"""Matched: a base speaker whose sound is moved towards a voice by statistics. Approximate.

No network and nothing to pull: the pitch is moved (see melody), formants and bands are filtered
towards the voice's (see recolour). Does not clone: see converter.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from aitwin.voice import colour, envelope, loudness, pitch, recolour, steering, timbre
from aitwin.voice.audio import Samples, Utterance, resample
from aitwin.voice.engines import Speaker
from aitwin.voice.heard import RATE
from aitwin.voice.steering import CEILING, PITCHES, SPREADS, Steering
from aitwin.voice.timbre import Timbre

SPEEDS = (0.5, 2.0)
"""Between which a base speaker is asked to speak."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A Speaker: the base's words in about the voice of `title`, at heard.RATE."""

    base: Speaker
    timbre: Timbre = field(repr=False)
    """Of the voice: see timbre.of."""
    title: str = field(repr=False)
    """Whose voice it is, in words for the owner."""
    steering: Steering | None = None
    """See steering.of. None: pitch and melody from the timbre, pace and energy the base's."""
    kept: Path | None = None
    """Directory in which the base's own timbre is kept; None: measured at the first word, 1 s."""
    known: Timbre | None = field(default=None, repr=False)
    """The base's own timbre, where somebody has measured it already."""
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def name(self) -> str:
        """See Speaker."""
        return f"{self.base.name}+match"

    @property
    def cloned(self) -> bool:
        """See Speaker. An approximate match is no clone."""
        return False

    def describe(self) -> str:
        """See Speaker."""
        return f"approximate match of {self.title} (the {self.base.name} voice, moved towards it)"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        """See Speaker. As loud as the base says it, but for the steering's energy."""
        with self._lock:  # so that two first sentences do not measure the base twice
            manner, recolouring = self._manner, self._recolouring
        slowest, fastest = SPEEDS
        pace = min(max(speed * manner.rate, slowest), fastest)
        said = resample(self.base.speak(sentence, speed=pace, seed=seed), RATE)
        if not said.samples.any():
            return said
        found = pitch.track(said.samples)
        power = envelope.envelopes(said.samples, found)
        if manner.whispered:
            moved = steering.whisper(said.samples, power)
        else:
            moved = manner.melody(said.samples, found)
        coloured = colour.filtered(moved, recolouring.gains(power, np.isfinite(found)))
        level = _level(moved if manner.whispered else said.samples) * manner.energy
        scaled = coloured * np.float32(level / max(_level(coloured), 1e-9))
        held, _ = loudness.limit(scaled, CEILING, RATE)
        return Utterance(held, RATE, said.text)

    @cached_property
    def _own(self) -> Timbre:
        return self.known or timbre.of_speaker(self.base, self.kept)

    @cached_property
    def _recolouring(self) -> recolour.Recolouring:
        return recolour.learn(self._own, self.timbre)

    @cached_property
    def _manner(self) -> Steering:
        if self.steering is not None:
            return self.steering
        return Steering(
            pitch=float(np.clip(self.timbre.pitch / self._own.pitch, *PITCHES)),
            spread=float(np.clip(self.timbre.spread / max(self._own.spread, 1e-3), *SPREADS)),
        )


def _level(samples: Samples) -> float:
    """RMS."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
