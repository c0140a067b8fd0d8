"""Where somebody speaks: silero VAD, a small recurrent network. Does not know who speaks.

Silero Team, "Silero VAD" (2024), https://github.com/snakers4/silero-vad, MIT.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aitwin.voice import networks
from aitwin.voice.audio import Samples
from aitwin.voice.heard import HOP, RATE, Frames

VAD_RATE = 16_000
"""Hertz that the network was trained at."""
STEP = 512
"""Samples at VAD_RATE from one probability to the next: 32 ms."""
CONTEXT = 64
"""Samples of the step before that the network sees again."""
STATE = (1, 1, 128)
BLOCK = 512
"""Steps that are passed at once: 16 seconds, 1.2 MB."""

ON = 0.5
"""Probability at which speech begins, and..."""
OFF = 0.35
"""...under which it ends: silero's own pair."""
LEAST_SPEECH = 0.1
"""Seconds: shorter bursts are clicks and knocks, and a short "no" lasts 0.15."""
LEAST_PAUSE = 0.1
"""Seconds: shorter gaps are the closures of "p", "t" and "k"."""


class Detector:
    """Tells speech from the rest. Loads 1 MB when made; safe to share between threads."""

    def __init__(self) -> None:
        """Raises TwinError when the network is not installed."""
        self._network = networks.open_("silero_vad", "data/silero_vad_16k_sequence.onnx")

    def probabilities(self, samples: Samples) -> Frames:
        """Probability of speech per HOP frame of `samples` at RATE, shape [frames].

        Every call starts afresh: what was heard before is forgotten. Between the middles of two
        steps the probability is interpolated.
        """
        frames = -(-len(samples) // HOP)
        if not frames:
            return np.zeros(0, np.float32)
        import soxr

        sound = soxr.resample(samples, RATE, VAD_RATE, quality="HQ")
        steps = np.concatenate(list(self._steps(np.asarray(sound, np.float32))))
        at = (np.arange(frames) + 0.5) * HOP / RATE
        middles = (np.arange(len(steps)) + 0.5) * STEP / VAD_RATE
        probabilities: Frames = np.interp(at, middles, steps).astype(np.float32)
        return probabilities

    def _steps(self, sound: Samples) -> Iterator[NDArray[np.float32]]:
        count = -(-len(sound) // STEP)
        padded = np.zeros(CONTEXT + count * STEP, np.float32)
        padded[CONTEXT : CONTEXT + len(sound)] = sound
        windows = sliding_window_view(padded, CONTEXT + STEP)[::STEP]
        h: Any = np.zeros(STATE, np.float32)
        c: Any = np.zeros(STATE, np.float32)
        for start in range(0, count, BLOCK):
            # A copy: ONNX Runtime wants rows that follow each other in memory.
            block = np.ascontiguousarray(windows[start : start + BLOCK])
            heard, h, c = self._network.run(None, {"input": block, "h": h, "c": c})
            yield heard


def speech_spans(
    probabilities: Frames,
    *,
    on: float = ON,
    off: float = OFF,
    least_speech: float = LEAST_SPEECH,
    least_pause: float = LEAST_PAUSE,
) -> list[tuple[int, int]]:
    """Stretches of speech as frames (start, stop), in order, apart by a pause at least.

    Speech begins where the probability reaches `on` and lasts while it stays at `off` or above.
    Pauses shorter than `least_pause` seconds are closed first, then what is shorter than
    `least_speech` is left out.
    """
    if off > on:
        raise ValueError(f"speech cannot end at {off}, above where it begins ({on})")
    spans: list[tuple[int, int]] = []
    for start, stop in _runs(probabilities >= off):
        begins = np.flatnonzero(probabilities[start:stop] >= on)
        if not len(begins):
            continue
        start += int(begins[0])
        if spans and start - spans[-1][1] < least_pause * RATE / HOP:
            start = spans.pop()[0]
        spans.append((start, stop))
    return [span for span in spans if span[1] - span[0] >= least_speech * RATE / HOP]


def _runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Stretches of True as (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    yield from ((int(start), int(stop)) for start, stop in list(pairwise(edges))[::2])
