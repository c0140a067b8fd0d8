"""Monotonic alignment search: which symbol each frame of a recording belongs to.

The dynamic programme of Kim, Kim, Kong and Yoon, "Glow-TTS" (2020, arXiv 2005.11129, algorithm 1):
of all ways to lay the frames over the symbols in order, leaving out none, the likeliest. Knows
nothing of networks; what a frame is worth to a symbol is given.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Alignment: TypeAlias = NDArray[np.int64]
"""The symbol of each frame, shape [batch, frames]; 0 behind the end of a shorter one."""


def search(scores: NDArray[np.float32], symbols: Sequence[int], frames: Sequence[int]) -> Alignment:
    """The likeliest monotonic alignment.

    `scores` has shape [batch, symbols, frames]: the log-likelihood of every frame under every
    symbol. `symbols` and `frames` say how many of them are real. Every symbol gets one frame at
    least, the first the first, the last the last. Where two ways are equally likely, a frame goes
    to the later symbol. One pass over the frames, in memory of one bit per score as numpy has it
    (a byte). Raises ValueError when there are fewer frames than symbols, or a score is no number.
    """
    batch, most, longest = scores.shape
    symbol_counts, frame_counts = np.asarray(symbols), np.asarray(frames)
    if not (symbol_counts.shape == frame_counts.shape == (batch,)):
        raise ValueError("one count of symbols and of frames is wanted for each of the batch")
    if (symbol_counts < 1).any() or (symbol_counts > most).any() or (frame_counts > longest).any():
        raise ValueError("the counts go beyond the scores")
    if (frame_counts < symbol_counts).any():
        raise ValueError("every symbol needs a frame, and there are fewer frames than symbols")
    if np.isnan(scores).any():
        raise ValueError("the scores hold a NaN")
    by_frame = np.ascontiguousarray(np.moveaxis(scores, 2, 0), np.float64)
    # Whether the best way to have a symbol at a frame comes from the symbol before it.
    advanced = np.zeros((longest, batch, most), np.bool_)
    best = np.full((batch, most), -np.inf)
    best[:, 0] = by_frame[0, :, 0]
    before = np.full_like(best, -np.inf)
    for frame in range(1, longest):
        before[:, 1:] = best[:, :-1]
        np.greater(before, best, out=advanced[frame])
        np.maximum(best, before, out=best)
        best += by_frame[frame]
    found = np.zeros((batch, longest), np.int64)
    rows, symbol = np.arange(batch), symbol_counts - 1
    for frame in range(longest - 1, -1, -1):
        real = frame < frame_counts
        found[:, frame] = np.where(real, symbol, 0)
        symbol = symbol - (real & advanced[frame, rows, symbol])
    return found


def durations(alignment: Alignment, symbols: int, frames: Sequence[int]) -> NDArray[np.float32]:
    """How many frames each symbol has, shape [batch, symbols]; sums to `frames`."""
    counted = [
        np.bincount(row[:count], minlength=symbols)
        for row, count in zip(alignment, frames, strict=True)
    ]
    return np.asarray(counted, np.float32)
