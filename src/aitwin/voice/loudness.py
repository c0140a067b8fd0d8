"""How loud a sound is, how high it peaks between its samples, and holding those peaks down.

Loudness is that of EBU R 128 and ITU-R BS.1770-4, the true peak that of its annex 2. Does not
decide how loud anything should be: see prepare.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.audio import Samples

BLOCK = 4
"""Steps of a gating block: 0.4 seconds, three quarters of it shared with the next."""
STEPS = 10
"""Steps in a second."""
ABSOLUTE_GATE = -70.0  # LUFS; below it is no programme
RELATIVE_GATE = -10.0  # LU under the mean of what passes the absolute gate
OFFSET = -0.691  # dB; makes a 997 Hz sine of 0 dBFS in one channel -3.01 LUFS
SILENCE = -120.0
"""dBTP of a sound without any: under the least step of 16 bits, and still a number."""

OVERSAMPLING = 4
"""BS.1770 annex 2: at 22,050 Hertz a peak is then missed by 0.7 dB at the very most (a tone at
the Nyquist frequency), by 0.2 dB at half of it, where speech has its last energy."""
LOOK = 0.01
"""Seconds that the limiter looks ahead and back. One period of the lowest voice (80 Hz) and the
gain moves slower than the voice does: it turns down a syllable, it does not flatten waves."""
TOLERANCE = 0.01
"""dB by which a true peak may exceed the ceiling after limiting."""
OVERSHOOT = 3.0
"""How much higher than the samples around it a peak may be (9.5 dB): a tone hides 3 dB, random
bits at full scale hid 7.9 at the most. Stretches too soft to matter are passed over by it."""
_PEAK_PIECE = 4_096  # samples
_PIECE = 10.0  # seconds worked on at a time: an hour takes no more memory than that
_CONTEXT = 256  # samples on either side of a piece, more than the interpolation's filter reaches


class Meter:
    """Integrated loudness of a mono stream."""

    def __init__(self, rate: int) -> None:
        """Of a stream at `rate` Hertz."""
        import scipy.signal

        self._filter = scipy.signal.sosfilt
        self._sections = _k_weighting(rate)
        self._state = np.zeros((len(self._sections), 2))
        self._rate = rate
        self._steps: list[NDArray[np.float64]] = []  # energies, a tenth of a second each
        self._count = 0
        self._rest = np.zeros(0)

    def add(self, samples: Samples) -> None:
        """Hear what comes next; of any length, so far as it fits into memory thrice."""
        weighted, self._state = self._filter(
            self._sections, samples.astype(np.float64), zi=self._state
        )
        squares = np.concatenate([self._rest, np.square(weighted)])
        # Where steps begin and end, in samples since the start: of 11,025 Hertz not every step
        # has the same length.
        begun = self._count * self._rate // STEPS
        more = ((begun + len(squares)) * STEPS - 1) // self._rate + 1 - self._count
        edges = (self._count + np.arange(more + 1)) * self._rate // STEPS - begun
        edges = edges[edges <= len(squares)]
        if len(edges) > 1:
            self._steps.append(np.add.reduceat(squares[: edges[-1]], edges[:-1]))
            self._count += len(edges) - 1
        self._rest = squares[edges[-1] :]

    def integrated(self) -> float | None:
        """LUFS of what was heard so far; None under 0.4 seconds, or when nothing passes the gate.

        Checked against pyloudnorm, whose filters it uses; that one needs all sound at once.
        """
        steps = np.concatenate(self._steps) if self._steps else np.zeros(0)
        if len(steps) < BLOCK:
            return None
        sums = np.convolve(steps, np.ones(BLOCK), "valid")
        blocks = sums / (BLOCK * self._rate / STEPS)
        blocks = blocks[blocks > _power(ABSOLUTE_GATE)]
        if not len(blocks):
            return None
        # The loudest block always passes: it is no softer than the mean.
        blocks = blocks[blocks > blocks.mean() * 10 ** (RELATIVE_GATE / 10)]
        return float(OFFSET + 10 * np.log10(blocks.mean()))


def integrated(samples: Samples, rate: int) -> float | None:
    """Integrated loudness in LUFS; None under 0.4 seconds, or without a sound over -70 LUFS."""
    meter = Meter(rate)
    size = round(_PIECE * rate)
    for start in range(0, len(samples), size):
        meter.add(samples[start : start + size])
    return meter.integrated()


def _power(loudness: float) -> float:
    """Mean square of a K-weighted block of that loudness."""
    return float(10 ** ((loudness - OFFSET) / 10))


def _k_weighting(rate: int) -> NDArray[np.float64]:
    """The two stages of BS.1770, as sections [2, 6], for any rate.

    By De Man's formulas ("Evaluation of implementations of the EBU R128 loudness measurement",
    AES 145, 2018), which give the standard's own coefficients at 48,000 Hertz; pyloudnorm's
    default, from an audio cookbook, comes only near them.
    """
    from pyloudnorm import IIRfilter

    stages = [
        (3.99984385397, 0.7071752369554193, 1681.9744509555319, "high_shelf_DeMan"),
        (0.0, 0.5003270373253953, 38.13547087613982, "high_pass_DeMan"),
    ]
    sections, standard = (
        np.array(
            [[*(stage := IIRfilter(g, q, f, r, kind)).b, *stage.a] for g, q, f, kind in stages]
        )
        for r in (rate, 48_000)
    )
    # The standard does not scale its high-pass to 1. That must not grow with lower rates.
    sections[1, :3] *= _top_gain(standard[1]) / _top_gain(sections[1])
    return sections


def _top_gain(section: NDArray[np.float64]) -> float:
    """Gain at the Nyquist frequency."""
    signs = np.array([1, -1, 1])
    return float(section[:3] @ signs / (section[3:] @ signs))


class TruePeak:
    """The highest peak of a stream, between its samples too."""

    def __init__(self) -> None:
        """Of a stream at any rate."""
        import soxr

        self._resample = soxr.resample
        self._peak = 0.0
        self._sound: NDArray[np.float32] | None = None  # the last _CONTEXT, and what waits
        self._done = 0  # samples of it

    def add(self, samples: NDArray[np.float32], *, last: bool = False) -> None:
        """Hear what comes next, shape [time] or [time, channels]; `last`: and nothing after it."""
        sound = samples if self._sound is None else np.concatenate([self._sound, samples])
        while self._done < len(sound) - (0 if last else _PEAK_PIECE + _CONTEXT - 1):
            self._look(sound, self._done)
            self._done += _PEAK_PIECE
        first = max(0, self._done - _CONTEXT)
        self._sound = sound[first:]
        self._done -= first

    def _look(self, sound: NDArray[np.float32], start: int) -> None:
        first = max(0, start - _CONTEXT)
        piece = sound[first : start + _PEAK_PIECE + _CONTEXT]
        # The samples themselves too: the interpolation is a low-pass just under Nyquist.
        extreme = _extreme(piece)
        self._peak = max(self._peak, extreme)
        if extreme * OVERSHOOT > self._peak:
            between = self._resample(piece, 1, OVERSAMPLING, quality="HQ")
            begin = (start - first) * OVERSAMPLING
            between = between[begin : begin + _PEAK_PIECE * OVERSAMPLING]
            self._peak = max(self._peak, _extreme(between))

    @property
    def dbtp(self) -> float:
        """Decibels over full scale; SILENCE when there was nothing."""
        return _decibels(self._peak)


def true_peak(samples: Samples, rate: int) -> float:
    """The highest peak in dBTP, between the samples too; SILENCE when there is none."""
    peak = TruePeak()
    size = round(_PIECE * rate)
    for start in range(0, len(samples), size):
        peak.add(samples[start : start + size])
    peak.add(samples[:0], last=True)
    return peak.dbtp


def _extreme(sound: NDArray[np.float32]) -> float:
    """The greatest magnitude, without a copy."""
    return max(float(sound.max(initial=0.0)), -float(sound.min(initial=0.0)))


def _decibels(amplitude: float) -> float:
    return max(SILENCE, 20 * float(np.log10(amplitude))) if amplitude > 0 else SILENCE


def limit(samples: Samples, ceiling_db: float, rate: int) -> tuple[Samples, int]:
    """The sound with no true peak above `ceiling_db`, and how many samples were held down.

    Around each peak the gain sinks and rises along a raised cosine, LOOK to either side of a
    bottom as wide again; farther away every bit stays as it was, and a sound without such peaks
    is returned as it is. The ceiling holds to TOLERANCE, by `true_peak`.
    """
    ceiling = 10 ** (ceiling_db / 20)
    look = max(1, round(LOOK * rate))
    size = round(_PIECE * rate)
    spans = [(start, start + size) for start in range(0, len(samples), size)]
    held = samples
    # A second pass for the little that a moving gain adds between the samples; a third is rare.
    while len(overs := _overs(held, spans, ceiling)):
        if held is samples:
            held = samples.copy()
        spans = []
        for start, gain in _gains(overs, ceiling, look):
            skip = max(0, -start)
            piece = held[start + skip : start + len(gain)]
            piece *= gain[skip : skip + len(piece)]
            spans.append((start + skip, start + skip + len(piece)))
    return held, 0 if held is samples else int(np.count_nonzero(held != samples))


@dataclass(frozen=True, eq=False)
class _Overs:
    """Where a sound is above the ceiling."""

    places: NDArray[np.intp]
    """Sample before or at the peak, ascending."""
    levels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.places)


def _overs(samples: Samples, spans: Iterable[tuple[int, int]], ceiling: float) -> _Overs:
    """What is above the ceiling in `spans`; nothing when all of it is within TOLERANCE."""
    import soxr

    places, levels = [], []
    for start, stop in spans:
        first = max(0, start - _CONTEXT)
        piece = samples[first : stop + _CONTEXT]
        between = np.abs(soxr.resample(piece, 1, OVERSAMPLING, quality="HQ"))
        level = between[: len(piece) * OVERSAMPLING].reshape(-1, OVERSAMPLING).max(axis=1)
        level = np.maximum(level, np.abs(piece))[start - first : stop - first]
        above = np.flatnonzero(level > ceiling)
        places.append(above + start)
        levels.append(level[above])
    found = _Overs(np.concatenate([*places, []]).astype(np.intp), np.concatenate([*levels, []]))
    if found.levels.max(initial=0.0) <= ceiling * 10 ** (TOLERANCE / 20):
        return _Overs(found.places[:0], found.levels[:0])
    return found


def _gains(overs: _Overs, ceiling: float, look: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The gain around the peaks, in stretches; of each its first sample, which may lie before 0.

    Wherever a peak is, the gain is that which holds it down, or less. Stretches do not overlap.
    """
    from scipy.ndimage import maximum_filter1d

    bell = np.hanning(2 * look + 1)
    bell /= bell.sum()
    reach = 2 * look + 1
    # Where two stretches would touch, they are one.
    breaks = np.flatnonzero(np.diff(overs.places) > 2 * reach) + 1
    for part in np.split(np.arange(len(overs)), breaks):
        start = int(overs.places[part[0]]) - reach
        # How much less than 1: of zeros every filter makes zeros, to the last bit.
        less = np.zeros(int(overs.places[part[-1]]) + reach + 2 - start)
        where = overs.places[part] - start
        less[where] = 1 - ceiling / overs.levels[part]
        less[where + 1] = np.maximum(less[where + 1], less[where])
        less = maximum_filter1d(less, 2 * look + 1, mode="constant")
        yield start, (1 - np.convolve(less, bell, "same")).astype(np.float32)
