"""Sounds for the tests of the voice room: speech of a known text and place, and known faults.

All at heard.RATE, float32, made afresh from a seed; speech is cached for the session.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.signal import butter, sosfilt

from aitwin.voice.audio import Samples, resample, trim
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE

SENTENCES = (
    "She sells sea shells by the shore, and the fish she saw was fresh.",
    "Half of the staff left for France on the first of the month.",
    "Seven swift ships sailed south across the misty straits.",
    "Please put the kettle on before you go upstairs.",
    "We walked along the river until the rain began.",
    "His office is rough, but the price of the house is fair enough.",
    "Nobody knew where the yellow dog came from.",
    "The chef finishes his dish with fresh thyme and a splash of fish sauce.",
    "I am leaving in the morning, and I will be away all week.",
    "Both of us think this is the safest path through the forest.",
)
BUNDLED = Bundled()


@dataclass(frozen=True, eq=False)
class Said:
    """Sentences one after the other, in silence."""

    samples: Samples
    spans: tuple[tuple[int, int], ...]
    """Where each sentence sounds, in samples."""
    texts: tuple[str, ...]


@cache
def sentence(number: int) -> Samples:
    """One of SENTENCES, without silence at its ends, at about -20 dBFS."""
    spoken = BUNDLED.speak(SENTENCES[number % len(SENTENCES)], seed=number)
    samples = resample(trim(spoken, before=0, after=0), RATE).samples
    return scaled(samples, -20)


def speech(count: int, *, rest: float = 0.6, edge: float = 0.5, first: int = 0) -> Said:
    """`count` sentences with `rest` seconds between them and `edge` seconds at the ends."""
    pieces = [silence(edge)]
    spans, length = [], len(pieces[0])
    for number in range(first, first + count):
        said = sentence(number)
        spans.append((length, length + len(said)))
        pieces += [said, silence(rest if number < first + count - 1 else edge)]
        length += len(pieces[-1]) + len(said)
    texts = tuple(SENTENCES[n % len(SENTENCES)] for n in range(first, first + count))
    return Said(np.concatenate(pieces), tuple(spans), texts)


@cache
def at_full_scale(rate: int) -> Samples:
    """Ten seconds of speech as a recording at `rate` Hertz would have it, peak 1."""
    said = BUNDLED.speak(
        "Peter kept the boat by the pier. She sells sea shells, he said, and that was that. "
        "What a day it had been for both of them, up there on the hill above the town.",
        seed=1,
    )
    samples = resample(said, rate).samples
    return samples / np.abs(samples).max()


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    """White noise of so many dBFS (RMS)."""
    chance = np.random.default_rng(seed)
    return scaled(chance.standard_normal(round(seconds * RATE)).astype(np.float32), level)


def tone(hertz: float, seconds: float, level: float = -20) -> Samples:
    """A sine of so many dBFS (RMS)."""
    time = np.arange(round(seconds * RATE)) / RATE
    return scaled(np.sin(2 * np.pi * hertz * time).astype(np.float32), level)


def breath(seconds: float, level: float, seed: int = 0) -> Samples:
    """Noise as of breathing in: 400 to 4,000 Hertz, swelling and fading, so many dBFS at most."""
    chance = np.random.default_rng(seed)
    edges = (chance.uniform(300, 700), chance.uniform(3000, 5000))
    shape = butter(2, edges, "bandpass", fs=RATE, output="sos")
    samples = sosfilt(shape, chance.standard_normal(round(seconds * RATE)))
    swell = np.sin(np.pi * np.linspace(0, 1, len(samples))) ** 0.7
    return (scaled(samples, level) * swell).astype(np.float32)


def click(level: float, seed: int = 0) -> Samples:
    """A mouth's click of 6 ms: a few kilohertz that die away at once; its peak in dBFS."""
    time = np.arange(round(0.006 * RATE)) / RATE
    hertz = np.random.default_rng(seed).uniform(1500, 4000)
    samples = np.sin(2 * np.pi * hertz * time) * np.exp(-time / 0.0015)
    return (samples / np.abs(samples).max() * 10 ** (level / 20)).astype(np.float32)


def planted(samples: Samples, sound: Samples, at: int) -> Samples:
    """`sound` added from sample `at` on."""
    mixed = samples.copy()
    mixed[at : at + len(sound)] += sound
    return mixed


def in_room(samples: Samples, level: float, seed: int = 0) -> Samples:
    """With a room's noise of so many dBFS under it."""
    return samples + noise(len(samples) / RATE, level, seed)[: len(samples)]


def clipped(samples: Samples, ceiling: float) -> Samples:
    """Held at so many dBFS, and made louder until that is full scale."""
    top = 10 ** (ceiling / 20)
    return (np.clip(samples, -top, top) / top).astype(np.float32)


def scaled(samples: Samples, level: float) -> Samples:
    """At so many dBFS (RMS)."""
    return (samples * (10 ** (level / 20) / np.sqrt(np.mean(np.square(samples))))).astype(
        np.float32
    )
