"""The fundamental frequency of a voice, frame by frame. Does not know where speech is.

YIN (de Cheveigné & Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA
111(4), 2002) for all frames at once. Mending octave errors from the second around them was tried:
0.4 instead of 0.6 % gross errors, as often worse as better, so it is left out.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aitwin.voice.audio import Samples
from aitwin.voice.heard import HOP, RATE, Frames

LOWEST = 60.0
"""Hertz: a deep male voice at the end of a tired sentence."""
HIGHEST = 800.0
"""Hertz: a child, or a woman who shouts."""
PITCH_RATE = RATE // 2
"""Hertz at which periods are compared: half the work, and a voice's periods lie below 5 kHz."""
STEP = HOP // 2
"""Samples at PITCH_RATE from frame to frame."""
LONGEST = round(PITCH_RATE / LOWEST)
SHORTEST = round(PITCH_RATE / HIGHEST)
SPAN = 512
"""Samples at PITCH_RATE that a frame looks at: a window of 30 ms, and the longest period."""
COMPARED = SPAN - LONGEST - 2
DIP = 0.15
"""A difference this low is a period, and the shortest such is the pitch (YIN's step 4)."""
VOICED = 0.35
"""The least difference of a frame above which it has no pitch: whispering stays above it in 99 %
of its frames, and of 0.45 in 96 % only (measured)."""
BLOCK = 2_048
"""Frames at once: 24 s, some 12 MB."""
FAINT = 1e-10
"""Mean square below which there is nothing to compare: -100 dBFS."""
SHORTEST_RUN = 3
"""Frames (35 ms): a shorter voiced run is no vowel."""


def track(samples: Samples, where: NDArray[np.bool_] | None = None) -> Frames:
    """F0 in Hertz per HOP frame of `samples` at RATE, shape [frames]; NaN where unvoiced.

    Only frames in `where` (shape [frames]; all, when None) are looked at. Whispering has no pitch.
    """
    frames = -(-len(samples) // HOP)
    found = np.full(frames, np.nan, np.float32)
    chosen = np.arange(frames) if where is None else np.flatnonzero(where)
    if not len(chosen):
        return found
    import soxr

    sound = soxr.resample(samples, RATE, PITCH_RATE, quality="MQ").astype(np.float32)
    # The middle of what is compared lies in the middle of the frame.
    before = (COMPARED + LONGEST // 2) // 2 - STEP // 2
    padded = np.zeros(frames * STEP + SPAN + before, np.float32)
    padded[before : before + len(sound)] = sound[: len(padded) - before]
    windows = sliding_window_view(padded, SPAN)[::STEP]
    lags = np.zeros(frames, np.float32)
    for start in range(0, len(chosen), BLOCK):
        block = chosen[start : start + BLOCK]
        lags[block] = _periods(windows[block])
    voiced = lags > 0
    found[voiced] = PITCH_RATE / lags[voiced]
    return _drop_short(_smooth(found))


def _differences(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """YIN's cumulative-mean-normalised difference d'(lag), shape [frames, LONGEST + 2]."""
    # d(lag) = sum over j of (x[j] - x[j + lag])^2 = E(0) + E(lag) - 2 r(lag), j < COMPARED
    transformed = np.fft.rfft(windows, SPAN)
    head = windows.copy()
    head[:, COMPARED:] = 0
    # COMPARED + LONGEST + 2 = SPAN: no lag that is read wraps around.
    product = np.fft.irfft(np.conj(np.fft.rfft(head, SPAN)) * transformed, SPAN)
    lags = LONGEST + 2
    energy = np.zeros((len(windows), SPAN + 1), np.float64)
    np.cumsum(np.square(windows), axis=1, dtype=np.float64, out=energy[:, 1:])
    shifted = energy[:, COMPARED : COMPARED + lags] - energy[:, :lags]
    difference = np.maximum(shifted[:, :1] + shifted - 2 * product[:, :lags], 0)
    difference[:, 0] = 0
    mean = np.cumsum(difference, axis=1) / np.maximum(np.arange(lags), 1)
    normal = np.where(mean > 0, difference / np.where(mean > 0, mean, 1), 1)
    normal[shifted[:, 0] < FAINT * COMPARED] = 1
    return normal.astype(np.float32)


def _periods(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The period of each frame in samples at PITCH_RATE, with its fraction; 0 where unvoiced."""
    normal = _differences(windows)
    inner = normal[:, SHORTEST : LONGEST + 1]
    left, right = normal[:, SHORTEST - 1 : LONGEST], normal[:, SHORTEST + 1 : LONGEST + 2]
    dips = (inner <= left) & (inner < right)
    bend = left - 2 * inner + right
    shift = np.clip(np.where(dips, 0.5 * (left - right) / np.where(dips, bend, 1), 0), -0.5, 0.5)
    # Between the samples: of a short period the nearest one may miss the dip by half its depth.
    depth = np.where(dips, inner - 0.25 * (left - right) * shift, 2)
    least = depth.min(axis=1)
    # The first dip that is about as deep as the deepest; YIN takes the first below a threshold.
    enough = depth <= np.maximum(DIP, least + 0.05)[:, None]
    at = np.argmax(enough, axis=1)
    rows = np.arange(len(windows))
    periods = SHORTEST + at + shift[rows, at]
    return np.where(least <= VOICED, periods, 0).astype(np.float32)


def _smooth(found: Frames) -> Frames:
    """A median of five frames; what had no pitch gets none."""
    padded = np.pad(found, 2, constant_values=np.nan)
    around = np.sort(sliding_window_view(padded, 5), axis=1)  # NaN last
    count = np.count_nonzero(~np.isnan(around), axis=1)
    middle = around[np.arange(len(found)), np.maximum(count - 1, 0) // 2]
    return np.where(np.isnan(found), np.nan, middle).astype(np.float32)


def _drop_short(found: Frames) -> Frames:
    """Without voiced runs that are too short to be any."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], np.isnan(found), [True]])))
    starts, stops = edges[::2], edges[1::2]
    kept = found.copy()
    for start, stop in zip(starts, stops, strict=True):
        if stop - start < SHORTEST_RUN:
            kept[start:stop] = np.nan
    return kept
