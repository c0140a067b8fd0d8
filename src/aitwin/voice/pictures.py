"""Sound as small pictures: SVG path data, indexed PNGs, and a plane for embeddings.

Knows arrays and boxes only. What they show, and in which colours: voice_report and its template.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.audio import Samples
from aitwin.voice.heard import Frames

SILENCE = -120.0
"""dBFS of digital silence, as in heard.Heard.level."""
SPECTRUM_FLOOR = 70.0
"""dB under the loudest point at which a spectrogram is black: the noise of a quiet room."""
SPECTRUM_SHADES = 32
"""Steps of a spectrogram, 2.2 dB each: finer ones are not seen, and double the file."""
SPECTRUM_WINDOW = 0.032
"""Seconds of sound in a column: two periods of a low voice, and consonants still stand apart."""
SPECTRUM_LOWEST = 60.0  # Hertz; under every voice
ROUNDING = 1e-6
"""Distances of unit vectors under this are those of float32, and mean nothing."""
_SHADE_STOPS = (
    (8, 8, 16),
    (60, 20, 80),
    (150, 40, 90),
    (225, 90, 50),
    (250, 180, 70),
    (255, 250, 210),
)
"""Dark to light through violet and orange: the order is kept in grey, and for the colour-blind."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A sound in columns of equal length; all arrays have the shape [columns]."""

    low: Frames = field(repr=False)
    high: Frames = field(repr=False)
    level: Frames = field(repr=False)
    """RMS, dBFS; SILENCE where there is nothing."""
    samples: int
    """How many were seen; the last column may be shorter."""


def outline(blocks: Iterable[Samples], grain: int) -> Outline:
    """Lowest, highest and RMS of every `grain` samples, in constant memory but for the columns."""
    parts: list[tuple[Frames, Frames, Frames]] = []
    rest = np.zeros(0, np.float32)
    total = 0
    for block in blocks:
        total += len(block)
        joined = np.concatenate([rest, block])
        whole = len(joined) // grain * grain
        parts.append(_columns(joined[:whole].reshape(-1, grain)))
        rest = joined[whole:]
    if len(rest):
        parts.append(_columns(rest[None]))
    empty = np.zeros(0, np.float32)
    low, high, power = (
        (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else (empty,) * 3
    )
    level = 10 * np.log10(np.maximum(power, 10 ** (SILENCE / 10)))
    return Outline(low, high, level.astype(np.float32), total)


def _columns(grid: NDArray[np.float32]) -> tuple[Frames, Frames, Frames]:
    """Of samples of shape [columns, grain]."""
    return grid.min(axis=1), grid.max(axis=1), np.square(grid).mean(axis=1)


def folded(sound: Outline, columns: int) -> Outline:
    """The same with every `columns` columns made one."""
    edges = np.arange(0, len(sound.high), columns)
    if not len(edges):
        return sound
    power = np.add.reduceat(10 ** (sound.level / 10), edges)
    counts = np.diff([*edges, len(sound.level)])
    return Outline(
        np.minimum.reduceat(sound.low, edges),
        np.maximum.reduceat(sound.high, edges),
        (10 * np.log10(power / counts)).astype(np.float32),
        sound.samples,
    )


def wave_path(sound: Outline, height: float, scale: float = 1.0) -> str:
    """Path data of a waveform: one unit wide per column, the middle at height / 2.

    `scale` is the sample value that reaches the edges; what is beyond is held there.
    """
    if not len(sound.high):
        return ""
    half = height / 2
    top = np.rint(half - half * np.clip(sound.high / scale, -1, 1)).astype(int)
    bottom = np.rint(half - half * np.clip(sound.low / scale, -1, 1)).astype(int)
    # A silent column still shows as a hair line.
    bottom = np.maximum(bottom, top + 1)
    there = " ".join(f"{x},{y}" for x, y in enumerate(top))
    back = " ".join(f"{x},{y}" for x, y in reversed(list(enumerate(bottom))))
    return f"M{there} {back}Z"


def curve_path(values: Frames, bottom: float, top: float, height: float) -> str:
    """Path data of a line, one unit from value to value; NaN interrupts it.

    `bottom` and `top` are the values at the lower and the upper edge; what is beyond is held there.
    A value between two NaN becomes a dot (with round line caps).
    """
    y = height * (1 - np.clip((values - bottom) / (top - bottom), 0, 1))
    path: list[str] = []
    drawing = False
    for x, at in enumerate(y):
        if np.isnan(at):
            drawing = False
            continue
        path.append(f"{' ' if drawing else f'M{x},{at:.0f}L'}{x},{at:.0f}")
        drawing = True
    return "".join(path)


def spectrogram(samples: Samples, rate: int, width: int, height: int) -> NDArray[np.uint8]:
    """Shades of shape [height, width], 0 to SPECTRUM_SHADES - 1; row 0 is the highest frequency.

    Columns are Hann windows spread evenly over the sound; rows run from SPECTRUM_LOWEST to half the
    rate, evenly in mel (Stevens, Volkmann and Newman 1937; O'Shaughnessy's formula).
    """
    window = round(rate * SPECTRUM_WINDOW)
    padded = np.pad(samples, window // 2)
    starts = np.linspace(0, max(0, len(samples) - 1), width).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(
        np.pad(padded, (0, max(0, window - len(padded)))), window
    )
    chosen = frames[np.minimum(starts, len(frames) - 1)] * np.hanning(window).astype(np.float32)
    size = 2 * 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(chosen, size)) ** 2

    edges = _hertz(np.linspace(_mel(SPECTRUM_LOWEST), _mel(rate / 2), height + 1))
    bins = np.clip((edges * size / rate).astype(int), 0, power.shape[1] - 1)
    # The loudest bin of a row, so that narrow harmonics stay visible in wide rows.
    rows = np.stack(
        [power[:, low : max(high, low + 1)].max(axis=1) for low, high in pairwise(bins)]
    )
    level = 10 * np.log10(np.maximum(rows, 1e-12))
    above = (level - level.max() + SPECTRUM_FLOOR) / SPECTRUM_FLOOR
    shades = np.clip(above, 0, 1) * (SPECTRUM_SHADES - 1)
    if level.max() <= SILENCE:
        shades = np.zeros_like(shades)
    return np.ascontiguousarray(np.rint(shades).astype(np.uint8)[::-1])


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


def palette() -> NDArray[np.uint8]:
    """The colours of a spectrogram, shape [SPECTRUM_SHADES, 3]."""
    stops = np.array(_SHADE_STOPS, np.float64)
    at = np.linspace(0, len(stops) - 1, SPECTRUM_SHADES)
    mixed = [np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)


def png(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """An indexed PNG (ISO/IEC 15948): `pixels` [height, width] are rows of `colours` [n, 3].

    By hand, since twenty lines cost less than an imaging library.
    """
    height, width = pixels.shape
    filtered = np.pad(pixels, ((0, 0), (1, 0)))  # filter 0, "none", before each row
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(filtered.tobytes(), 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def plane(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Vectors [n, dimensions] on the plane that shows most of their spread, [n, 2] in [-1, 1].

    Principal components by singular value decomposition. Both axes keep one scale, so that
    distances compare. The sign is fixed: the strongest dimension of an axis points up. Beside it
    the share of the squared spread that the plane shows, 0 to 1; 1 where there is none.
    """
    flat = np.zeros((len(vectors), 2))
    if len(vectors) < 2:
        return flat, 1.0
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[: min(2, int(np.count_nonzero(spread > spread[0] * 1e-9)))]
    strongest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), strongest])[:, None]
    flat[:, : len(axes)] = centred @ axes.T
    total = float(np.square(spread).sum())
    furthest = np.abs(flat).max()
    if furthest < ROUNDING:
        return np.zeros_like(flat), 1.0
    return flat / furthest, float(np.square(spread[:2]).sum()) / total
