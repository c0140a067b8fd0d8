"""Source: a recording as everything behind it hears it: mono, without rumble, at heard.RATE.

While it streams, it gathers what only the original tells: clipping, true peak, bandwidth. Which
channels hold a voice is known from the whole file (see channels). Neither opens files nor decodes
(see sound_file); makes no louder, cuts nothing, judges nothing.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.audio import Samples
from aitwin.voice.channels import Channels, Survey
from aitwin.voice.clipping import Clipping
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.loudness import TruePeak
from aitwin.voice.sound_file import Recording, SoundInfo

CORNER = 55.0
"""Hertz, of the high-pass (Butterworth, see ORDER).

Low male voices reach down to 75 Hz: that keeps all but 0.4 dB, 80 Hz all but 0.2. Rumble, steps
and wind lie under 40 Hz: down by 11 dB at 40, by 24 at 27. The mains' own 50 Hz lose 5 dB, 60 Hz
2 dB; hum is measured, and named, by its harmonics (100, 150, 180 Hz...), which stay as they were.
"""
ORDER = 4
READ = 1.0
"""Seconds read at a time, whatever blocks are asked for: these depend on nothing but the file."""

WINDOW = 2_048
"""Samples of a spectrum: 43 ms at 48,000 Hertz."""
DIGITAL_SILENCE = -110.0
"""dBFS of a frame in which nothing was recorded: below the dither of 16 bits (-96)."""
CLASS = 3.0
"""dB of a class of levels: spectra are averaged among frames that are equally loud."""
COMMON = 0.01
"""Share of the frames that a class needs to count."""
ABOVE = 10.0
"""dB between the loudest class and the softest where there is speech, and not the floor alone."""
DEEPEST = 70.0
"""dB under the strongest partial where speech ends in any case: "s" is 40 dB under a vowel's."""
HIDES = 60.0
"""dB under the strongest partial from which noise hides speech: of some voices all above 4,000
Hertz is 46 dB under it (LibriSpeech), and has to rise from the noise by ABOVE."""
WIDE = 9_000.0
"""Hertz from which a band is as wide as anybody asks: where noise hides more, no harm is done."""
SMOOTH = 200.0  # Hertz over which spectra are smoothed: the distance of a high voice's partials
EDGE = 400.0  # Hertz of which more than half must be heard for the band to reach there


class Source:
    """A recording, streamed as mono samples at RATE. Can be streamed again and again."""

    info: SoundInfo
    """What the file is."""
    samples: int
    """How many `blocks()` gave. This and all that follows is known once it has ended."""
    channels: Channels
    """What each of them holds."""
    clipping: float
    """Share of the original's samples in flat tops at its own full scale, 0 to 1 (see clipping)."""
    true_peak: float
    """Of the original, dBTP."""
    bandwidth: float | None
    """Hertz up to which speech rises from the noise floor, or at which both end.

    None when nothing rises, or when noise hides where it ends.
    """
    missing: float
    """See Recording."""
    damaged: bool
    """See Recording."""

    def __init__(self, path: Path) -> None:
        """Look into the file. Raises TwinError (see Recording)."""
        self._recording = Recording(path)
        self.info = self._recording.info
        self._surveyed: Channels | None = None

    def blocks(self, seconds: float = 10.0) -> Generator[Samples, None, None]:
        """The whole of it, in blocks of the multiple of HOP nearest to `seconds`.

        The last is what is left. In all they are round(frames * RATE / sample_rate) samples,
        the same for blocks of any length. A lossy file may overshoot: samples can exceed 1.
        Raises TwinError (see Recording.blocks).
        """
        size = max(1, round(seconds * RATE / HOP)) * HOP
        rest: list[Samples] = []
        length = 0
        with closing(self._stream()) as stream:
            for piece in stream:
                rest.append(piece)
                length += len(piece)
                while length >= size:
                    joined = np.concatenate(rest)
                    yield joined[:size]
                    rest, length = [joined[size:]], length - size
        if length:
            yield np.concatenate(rest)

    def _stream(self) -> Generator[Samples, None, None]:
        """Pieces of any length, and the facts at their end."""
        rate = self.info.sample_rate
        channels = self._surveyed = self._surveyed or self._survey()
        share = np.array(channels.signs, np.float32) / np.float32(len(channels.heard))
        peak, spectrum = TruePeak(), _Spectrum(rate)
        clippings = [Clipping(rate) for _ in channels.heard]
        high_pass, resampler = _HighPass(rate), _Resampler(rate)
        with closing(self._recording.blocks(READ)) as blocks:
            for block in blocks:
                heard = block.take(channels.heard, axis=1)  # [time, channels] in memory too
                peak.add(heard)
                for clipping, channel in zip(clippings, heard.T, strict=True):
                    clipping.add(channel)
                mono = heard @ share  # ten times as quick as a mean over two
                spectrum.add(mono)
                yield resampler.add(high_pass.add(mono))
        peak.add(heard[:0], last=True)
        yield resampler.end()
        self.samples = resampler.given
        self.channels = channels
        self.clipping = float(np.mean([clipping.share() for clipping in clippings]))
        self.true_peak = peak.dbtp
        self.bandwidth = spectrum.bandwidth()
        self.missing, self.damaged = self._recording.missing, self._recording.damaged

    def _survey(self) -> Channels:
        """What each channel holds, of a whole file: its first half may be the interviewer's.

        Decodes it once more than mono needs; no window of it tells what the rest holds.
        """
        if self.info.channels == 1:
            return Channels(of=1, heard=(0,), signs=(1,))
        survey = Survey(self.info.sample_rate, self.info.channels)
        with closing(self._recording.blocks(READ)) as blocks:
            for block in blocks:
                survey.add(block)
        return survey.end()


# --- to heard.RATE ----------------------------------------------------------------------------


class _HighPass:
    """CORNER, at the native rate: a constant offset would ring at the resampler's first sample."""

    def __init__(self, rate: int) -> None:
        import scipy.signal

        self._filter = scipy.signal.sosfilt
        self._sections = scipy.signal.butter(ORDER, CORNER, "highpass", fs=rate, output="sos")
        self._settled = scipy.signal.sosfilt_zi(self._sections)
        self._state: NDArray[np.float64] | None = None

    def add(self, samples: Samples) -> Samples:
        """What comes next, filtered; the first sample is taken to have lasted for ever before."""
        if self._state is None:
            self._state = self._settled * samples[0]
        filtered, self._state = self._filter(
            self._sections, samples.astype(np.float64), zi=self._state
        )
        return np.asarray(filtered, np.float32)


class _Resampler:
    """To RATE, exactly as long as one call for the whole would make it."""

    def __init__(self, rate: int) -> None:
        import soxr

        self._rate = rate
        self._taken = self.given = 0
        self._stream: Any = None
        if rate != RATE:
            self._stream = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")

    def add(self, samples: Samples) -> Samples:
        """Samples at RATE that follow from what came so far."""
        self._taken += len(samples)
        made = self._stream.resample_chunk(samples) if self._stream else samples
        self.given += len(made)
        return np.asarray(made, np.float32)

    def end(self) -> Samples:
        """The last of them, which waited for what might come."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        due = resampled(self._taken, self._rate) - self.given
        made = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)[:due]
        self.given += due
        return np.pad(made, (0, due - len(made)))


def resampled(frames: int, rate: int) -> int:
    """How many samples at RATE so many frames make; halves round up.

    soxr decides halves either way: there the last sample may be a nought of ours.
    """
    return (2 * frames * RATE + rate) // (2 * rate)


# --- facts of the original --------------------------------------------------------------------


class _Spectrum:
    """Power spectra of a mono stream, averaged among frames that are equally loud."""

    def __init__(self, rate: int) -> None:
        self._step = rate / WINDOW  # Hertz between bins
        self._window = np.hanning(WINDOW).astype(np.float32)
        self._rest = np.zeros(0, np.float32)
        classes = round(-DIGITAL_SILENCE / CLASS) + 10
        self._sums = np.zeros((classes, WINDOW // 2 + 1))
        self._counts = np.zeros(classes, np.int64)

    def add(self, samples: Samples) -> None:
        """Hear what comes next."""
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:]
        frames = sound[:whole].reshape(-1, WINDOW)
        power = np.square(frames).mean(axis=1)
        heard = power > 10 ** (DIGITAL_SILENCE / 10)
        frames, power = frames[heard], power[heard]
        levels = ((10 * np.log10(power) - DIGITAL_SILENCE) / CLASS).astype(np.intp)
        levels = np.minimum(levels, len(self._counts) - 1)
        spectra = np.square(np.abs(np.fft.rfft(frames * self._window)))
        for level in np.unique(levels):
            self._sums[level] += spectra[levels == level].sum(axis=0)
        self._counts += np.bincount(levels, minlength=len(self._counts))

    def bandwidth(self) -> float | None:
        """Where the loudest frames still rise from the softest, see `Source.bandwidth`."""
        common = self._counts >= max(3, COMMON * self._counts.sum())
        if common.sum() < 2:
            return None
        means = self._sums[common] / self._counts[common, np.newaxis]
        means = np.array([_smooth(mean, SMOOTH / self._step) for mean in means])
        speech, floor = means.max(axis=0), means.min(axis=0)
        rises = speech > floor * 10 ** (ABOVE / 10)
        rises &= speech > speech.max() * 10 ** (-DEEPEST / 10)
        hidden = floor > speech.max() * 10 ** (-HIDES / 10)
        risen, end = self._last(rises), self._last(rises | hidden)
        if risen is None or risen >= WIDE:
            return risen
        # Noise that ends is that of a line or a coder, and the voice ends with it. Noise that
        # goes on may hide as much.
        return end if end is not None and end < WIDE else None

    def _last(self, bins: NDArray[np.bool_]) -> float | None:
        """Hertz up to which more than half of EDGE is among the bins."""
        reached = np.flatnonzero(_smooth(bins.astype(np.float64), EDGE / self._step) > 0.5)
        return float(reached[-1] * self._step) if len(reached) else None


def _smooth(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Running mean over the odd number of bins nearest to `width`; the ends are repeated."""
    half = round((width - 1) / 2)
    padded = np.pad(values, half, mode="edge")
    return np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), "valid")
