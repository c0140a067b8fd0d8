"""Vowels made by a formula, for the tests of what changes voices: their truth is known."""

import numpy as np
from scipy.signal import lfilter

from aitwin.voice.audio import Samples
from aitwin.voice.heard import HOP, RATE, Frames

FORMANTS = ((500.0, 80.0), (1500.0, 120.0), (2500.0, 160.0), (6000.0, 400.0))
"""Hertz and bandwidth of a neutral vowel, and one above."""


def vowel(
    hertz: float, seconds: float = 0.5, formants: tuple[tuple[float, float], ...] = FORMANTS
) -> Samples:
    """Pulses of that pitch through resonators, peak 0.5."""
    sound = np.zeros(round(seconds * RATE))
    sound[np.arange(0, len(sound) - 1, RATE / hertz).astype(int)] = 1
    for middle, width in formants:
        radius = np.exp(-np.pi * width / RATE)
        sound = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * middle / RATE), radius**2], sound)
    return np.asarray(sound / np.abs(sound).max() * 0.5, np.float32)


def steady(samples: Samples, hertz: float) -> Frames:
    """The pitch of all of it."""
    return np.full(-(-len(samples) // HOP), hertz, np.float32)
