"""What the vocal tract makes of a sound: its spectral envelope, without the comb of the pitch.

CheapTrick (Morise, "CheapTrick, a spectral envelope estimator for high-quality speech synthesis",
Speech Communication 67, 2015), the part of the vocoder WORLD that is wanted here, for all frames
at once. WORLD's own synthesis is not used: see melody.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aitwin.voice.audio import Samples
from aitwin.voice.heard import BINS, HOP, RATE, WINDOW, Frames

LOWEST = 3 * RATE / (WINDOW - 3)
"""Hertz (65): of a deeper voice, three periods are longer than a frame's spectrum."""
UNVOICED = 500.0
"""Hertz that stand for the pitch where there is none: a window of 6 ms, as in WORLD."""
RECOVERY = -0.15
"""Of what the smoothing takes away; the paper's q1."""
FLOOR = 1e-12
"""Power that is added: no logarithm of nothing."""
BLOCK = 1_024
"""Frames at once: 12 s, some 30 MB."""

FREQUENCIES = np.fft.rfftfreq(WINDOW, 1 / RATE)
"""Hertz of the bins, shape [BINS]."""


def envelopes(samples: Samples, pitch: Frames) -> NDArray[np.float64]:
    """Power per bin, shape [frames, BINS], with one frame every HOP samples at RATE.

    `pitch` is in Hertz, shape [frames], NaN where unvoiced (see pitch.track). Frame k is centred
    on sample k * HOP + HOP // 2. A frame's power sums up to about that of its window.
    """
    found = np.empty((len(pitch), BINS))
    padded = np.zeros(len(pitch) * HOP + WINDOW)
    before = (WINDOW - HOP) // 2
    padded[before : before + len(samples)] = samples[: len(padded) - before]
    windows = sliding_window_view(padded, WINDOW)[::HOP]
    hertz = np.where(np.isnan(pitch), UNVOICED, np.maximum(pitch, LOWEST)).astype(np.float64)
    for start in range(0, len(pitch), BLOCK):
        block = slice(start, min(start + BLOCK, len(pitch)))
        found[block] = _envelopes(windows[block], hertz[block, None])
    return found


def _envelopes(frames: NDArray[np.float64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of frames, shape [frames, WINDOW], with a pitch each, shape [frames, 1]."""
    # Three periods under a Hann window: its power does not depend on where the pulses lie.
    phase = (np.arange(WINDOW) - WINDOW // 2) / (1.5 * RATE / pitch)
    window = np.where(np.abs(phase) < 1, 0.5 + 0.5 * np.cos(np.pi * phase), 0)
    window /= np.sqrt(np.sum(np.square(window), axis=1, keepdims=True))
    cut = frames * window
    cut -= window * (cut.sum(axis=1, keepdims=True) / window.sum(axis=1, keepdims=True))
    power = np.square(np.abs(np.fft.rfft(cut))) + FLOOR
    smooth = _smoothed(_filled(power, pitch), pitch)
    quefrency = np.arange(BINS) / RATE * pitch
    lifter = np.sinc(quefrency) * (1 - 2 * RECOVERY + 2 * RECOVERY * np.cos(2 * np.pi * quefrency))
    cepstrum = np.fft.irfft(np.log(smooth), WINDOW)[:, :BINS]
    kept = cepstrum * lifter
    kept[:, 1:-1] *= 2
    return np.asarray(np.exp(np.fft.rfft(kept, WINDOW).real))


def _filled(power: NDArray[np.float64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Below the pitch there is no harmonic: what lies mirrored above it is put there, too."""
    mirrored = _between(power, pitch - FREQUENCIES)
    return np.where(pitch > FREQUENCIES, power + mirrored, power)


def _smoothed(power: NDArray[np.float64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over two thirds of the pitch around every bin: most of the comb is gone."""
    width = FREQUENCIES[1]
    # Mirrored at both ends, where a third of the pitch reaches beyond.
    reach = int(np.ceil(pitch.max() / 3 / width)) + 2
    wide = np.pad(power, ((0, 0), (reach, reach)), mode="reflect")
    total = np.cumsum(wide, axis=1) * width
    at = FREQUENCIES + (reach - 0.5) * width
    upper = _between(total, at + pitch / 3)
    lower = _between(total, at - pitch / 3)
    return np.maximum((upper - lower) / (2 * pitch / 3), FLOOR)


def _between(rows: NDArray[np.float64], hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row read at its own frequencies, between its bins by a straight line."""
    place = np.clip(hertz / FREQUENCIES[1], 0, rows.shape[1] - 1.001)
    below = place.astype(np.intp)
    share = place - below
    low = np.take_along_axis(rows, below, axis=1)
    above = np.take_along_axis(rows, below + 1, axis=1)
    return np.asarray(low + share * (above - low))
