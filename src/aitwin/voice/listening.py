"""From sound to what is heard in it, frame by frame. Does not sum up a take: see measuring."""

from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from aitwin.voice import pitch, vad
from aitwin.voice.audio import Samples
from aitwin.voice.heard import (
    BINS,
    FINE_BINS,
    FINE_RATE,
    FINE_WINDOW,
    HOP,
    RATE,
    SILENCE,
    WINDOW,
    Frames,
    Heard,
)

DEAD = -110.0
"""dBFS under which a frame is digital silence: the dither of 16 bits lies at -98, a still
microphone at -90."""
MARGIN = 0.1
"""Seconds beside speech that count neither as speech nor as a pause: soft ends, echoes, the VAD's
own error."""
BLOCK = 2_048
"""Frames at once: 24 s, some 20 MB."""
HIGH = 2_000.0
"""Hertz above which breaths and sibilants have much of their power."""
FLAT = (300.0, 8_000.0)
"""Hertz between which flatness is told: above hum, below where MP3 and telephones end."""
FINE_STEP = 12
"""Frames from one fine window to the next: half of one."""

_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_FINE_HANN = np.hanning(FINE_WINDOW + 1)[:-1].astype(np.float32)


class Detects(Protocol):
    """What listening needs of a vad.Detector."""

    def probabilities(self, samples: Samples) -> Frames:
        """Probability of speech per HOP frame of `samples` at RATE."""


def listen(samples: Samples, detector: Detects) -> Heard:
    """All that is heard in a stretch at RATE of up to ten minutes.

    Longer ones work, but take 20 MB a minute. Stretches that follow each other: see heard.join.
    """
    level = levels(samples)
    speech = detector.probabilities(samples)
    spoken = speech >= vad.ON
    quiet = pauses(speech, level)
    high, flat, quiet_spectrum, speech_spectrum = _spectra(samples, quiet, spoken)
    fine_spectrum, fine_windows = _fine(samples, quiet)
    return Heard(
        samples=len(samples),
        level=level,
        speech=speech,
        pitch=pitch.track(samples, speech >= vad.OFF),
        high=high,
        flat=flat,
        quiet_spectrum=quiet_spectrum,
        quiet_frames=int(quiet.sum()),
        speech_spectrum=speech_spectrum,
        speech_frames=int(spoken.sum()),
        fine_spectrum=fine_spectrum,
        fine_windows=fine_windows,
    )


def levels(samples: Samples) -> Frames:
    """RMS per HOP frame in dBFS, shape [frames]; SILENCE at least."""
    frames = -(-len(samples) // HOP)
    padded = np.zeros(frames * HOP, np.float32)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(frames, HOP)).mean(axis=1, dtype=np.float64)
    power[-1:] *= HOP / max(len(samples) - (frames - 1) * HOP, 1)  # the last is a part of a frame
    return decibels(power).astype(np.float32)


def decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squares in dBFS; SILENCE at least."""
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE / 10)))


def pauses(speech: Frames, level: Frames) -> NDArray[np.bool_]:
    """Frames in which the room alone is heard: MARGIN away from speech, and no digital silence."""
    return apart(speech) & (level > DEAD)


def apart(speech: Frames) -> NDArray[np.bool_]:
    """Frames that lie MARGIN away from speech, digital silence or not."""
    if not len(speech):
        return np.zeros(0, bool)
    reach = round(MARGIN * RATE / HOP)
    near = np.pad(speech >= vad.OFF, reach)
    return np.asarray(~sliding_window_view(near, 2 * reach + 1).any(axis=1))


def _spectra(
    samples: Samples, quiet: NDArray[np.bool_], spoken: NDArray[np.bool_]
) -> tuple[Frames, Frames, NDArray[np.float64], NDArray[np.float64]]:
    """Share above HIGH and flatness per frame, and the summed spectra of pauses and of speech."""
    frames = len(quiet)
    high, flat = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
    quiet_sum, speech_sum = np.zeros(BINS), np.zeros(BINS)
    before = (WINDOW - HOP) // 2
    padded = np.zeros(frames * HOP + WINDOW, np.float32)
    padded[before : before + len(samples)] = samples
    windows = sliding_window_view(padded, WINDOW)[::HOP]
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    above = int(np.searchsorted(hertz, HIGH))
    low, top = np.searchsorted(hertz, FLAT)
    # Doubled for the negative frequencies, so that a spectrum sums up to the mean square.
    scale = np.float32(2 / (WINDOW * np.sum(np.square(_HANN))))
    for start in range(0, frames, BLOCK):
        chosen = slice(start, min(start + BLOCK, frames))
        transformed = np.fft.rfft(windows[chosen] * _HANN)
        power = (np.square(transformed.real) + np.square(transformed.imag)) * scale
        total = np.maximum(power.sum(axis=1), 1e-20)
        high[chosen] = power[:, above:].sum(axis=1) / total
        band = np.maximum(power[:, low:top], 1e-20)
        flat[chosen] = np.exp(np.log(band).mean(axis=1)) / band.mean(axis=1)
        quiet_sum += power[quiet[chosen]].sum(axis=0, dtype=np.float64)
        speech_sum += power[spoken[chosen]].sum(axis=0, dtype=np.float64)
    return high, flat, quiet_sum, speech_sum


def _fine(samples: Samples, quiet: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Heard.fine_spectrum and fine_windows."""
    length = FINE_WINDOW * int(RATE / FINE_RATE) // HOP
    total, count = np.zeros(FINE_BINS), 0
    if len(quiet) < length:
        return total, count
    whole = np.asarray(sliding_window_view(quiet, length).all(axis=1))
    starts = np.flatnonzero(whole[::FINE_STEP]) * FINE_STEP
    if not len(starts):
        return total, count
    import soxr

    sound = soxr.resample(samples, RATE, FINE_RATE, quality="MQ").astype(np.float32)
    step = FINE_WINDOW // length
    scale = 2 / (FINE_WINDOW * np.sum(np.square(_FINE_HANN)))
    for start in starts * step:
        window = sound[start : start + FINE_WINDOW]
        if len(window) == FINE_WINDOW:  # the last may lack a sample or two
            power = np.square(np.abs(np.fft.rfft(window * _FINE_HANN))) * scale
            # A tiny number, so that an emptied band (MP3) has a logarithm.
            total += 10 * np.log10(power + 1e-16)
            count += 1
    return total, count
