"""A filter that changes from frame to frame: the colour of a sound, over time. Knows no voices."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aitwin.voice.audio import Samples
from aitwin.voice.heard import HOP, WINDOW

STEP = WINDOW // 8
"""Samples from one window to the next: Hann twice, so that changing gains leave no ripple."""
BLOCK = 1_024
"""Windows at once: some 25 MB."""

_HANN = np.hanning(WINDOW + 1)[:-1]
_SUM = float(np.square(_HANN).sum() / STEP)


def filtered(samples: Samples, gains: NDArray[np.float64]) -> Samples:
    """The sound with `gains` as amplitude factors, shape [frames, BINS], one frame every HOP.

    As long as before, and without delay. Frame k is centred on sample k * HOP + HOP // 2.
    """
    if not len(samples):
        return samples
    # From a window before the first sample on, so that every sample lies in as many windows.
    count = (len(samples) + WINDOW) // STEP + 1
    padded = np.zeros(count * STEP + WINDOW)
    padded[WINDOW : WINDOW + len(samples)] = samples
    windows = sliding_window_view(padded, WINDOW)[::STEP][:count]
    sound = np.zeros(len(padded))
    logarithms = np.log(np.maximum(gains, 1e-9))
    for start in range(0, count, BLOCK):
        block = np.arange(start, min(start + BLOCK, count))
        place = np.clip((block * STEP - WINDOW // 2 - HOP // 2) / HOP, 0, len(gains) - 1)
        below = np.minimum(place.astype(np.intp), max(len(gains) - 2, 0))
        share = (place - below)[:, None]
        above = np.minimum(below + 1, len(gains) - 1)
        gain = np.exp(logarithms[below] * (1 - share) + logarithms[above] * share)
        parts = np.fft.irfft(np.fft.rfft(windows[block] * _HANN) * gain, WINDOW) * _HANN
        for number, part in zip(block, parts, strict=True):
            sound[number * STEP : number * STEP + WINDOW] += part
    return (sound[WINDOW : WINDOW + len(samples)] / _SUM).astype(np.float32)
