"""From what was heard, frame by frame, to what a take is like in numbers. Does not judge: grading.

Where a take holds too little of what a number is made from, it is None rather than a guess.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aitwin.voice import vad
from aitwin.voice.heard import FINE_RATE, FINE_WINDOW, HOP, RATE, Frames, Heard
from aitwin.voice.listening import DEAD, decibels, pauses
from aitwin.voice.measures import Measures

SECOND = RATE / HOP
"""Frames."""
LEAST_PAUSES = 0.25
"""Seconds of pauses from which the room's noise is told."""
LEAST_SNR = -10.0
"""dB: what the VAD still finds under the noise cannot be told apart any further."""

MAINS = (50.0, 60.0)
"""Hertz: Europe, Asia, Africa; the Americas."""
HARMONICS = 12
"""Up to 600 Hz: a hum's power lies below."""
LEAST_WINDOWS = 3
"""Fine windows, half a second of pauses, from which hum is told."""
HUM_FLOOR = 6.0
"""dB over the noise around it from which a line is heard as a tone, and..."""
HUM_DOUBT = 22.0
"""...of one window alone: noise itself makes lines of 4 standard deviations, 5.6 dB each."""

STEADY = 0.5
"""dB by which a decay may rise from a frame to the next."""
ONSET = 3.0
"""dB of a decay left out at its top: there the voice itself still fades."""
ABOVE_NOISE = 6.0
"""dB over the noise at which a decay is left: below, the noise flattens it."""
LEAST_DROP = 10.0
"""dB that a decay falls by at least, and..."""
LEAST_FRAMES = 5
"""...over 58 ms at least."""
LEAST_DECAYS = 3
REVERB_SNR = 18.0
"""dB under which the noise leaves too little of a decay, and its own swings pass for some."""

DIP = 2.0
"""dB between two syllables at least (de Jong & Wempe, Behavior Research Methods 41(2), 2009)."""
APART = 0.1
"""Seconds between two syllables at least."""
FAINT = 25.0
"""dB under the loudest speech at which no syllable is counted."""

AUDIBLE = -55.0
"""dBFS from which music is heard as such."""
TONAL = 0.05
"""Flatness of a tonal frame: white noise has 0.56, brown noise 0.12, a chord under 0.01."""


def measure(  # noqa: PLR0913 - one fact of the original each
    heard: Heard,
    *,
    sample_rate: int,
    bandwidth: float | None,
    true_peak: float,
    clipped: float,
    loudness: float | None,
    mos: float | None = None,
) -> Measures:
    """Sum up a take; what is not heard in it (see Measures) comes as arguments.

    What others find out later (speakers, misread, words) is put in with
    `dataclasses.replace`.
    """
    spoken = (heard.speech >= vad.ON) & (heard.level > DEAD)
    quiet = pauses(heard.speech, heard.level)
    noise = _noise(heard.level[quiet])
    snr = _snr(heard.level[spoken], noise)
    hum, mains = _hum(heard)
    voices = heard.pitch[spoken & ~np.isnan(heard.pitch)]
    return Measures(
        seconds=heard.samples / RATE,
        speech=float(spoken.sum() / SECOND),
        sample_rate=sample_rate,
        bandwidth=bandwidth,
        loudness=loudness,
        true_peak=true_peak,
        clipped=clipped,
        noise=noise,
        snr=snr,
        hum=hum,
        hum_frequency=mains,
        reverb=_reverb(heard.level, noise, snr),
        mos=mos,
        pitch=float(np.median(voices)) if len(voices) else None,
        voiced=len(voices) / max(int(spoken.sum()), 1),
        rate=_rate(heard, spoken),
        tonal=_tonal(heard, quiet),
    )


def _noise(level: Frames) -> float | None:
    """Level of the room: the median, which breaths and clicks in some pauses leave alone."""
    return float(np.median(level)) if len(level) >= LEAST_PAUSES * SECOND else None


def _snr(level: Frames, noise: float | None) -> float | None:
    """Speech over noise, dB. Frames of speech hold noise as well: it is taken off."""
    if noise is None or not len(level):
        return None
    floor = 10 ** (noise / 10)
    speech = float(np.mean(10 ** (level.astype(np.float64) / 10))) - floor
    return float(10 * np.log10(max(speech / floor, 10 ** (LEAST_SNR / 10))))


def _hum(heard: Heard) -> tuple[float | None, float | None]:
    """The strongest line of the mains over the noise around it, dB, and which mains.

    (0, None) without hum; (None, None) where the pauses are too short.
    """
    if heard.fine_windows < LEAST_WINDOWS:
        return None, None
    mean = heard.fine_spectrum / heard.fine_windows
    doubt = max(HUM_FLOOR, HUM_DOUBT / np.sqrt(heard.fine_windows))
    found = {mains: _lines(mean, mains) for mains in MAINS}
    # 300 and 600 Hz belong to both: the sum over all lines decides.
    sums = {mains: lines[lines >= doubt].sum() for mains, lines in found.items()}
    mains = max(MAINS, key=lambda mains: sums[mains])
    return (float(found[mains].max()), mains) if sums[mains] > 0 else (0.0, None)


def _lines(spectrum: NDArray[np.float64], mains: float) -> NDArray[np.float64]:
    """How far each harmonic of `mains` stands above its neighbourhood, dB, shape [HARMONICS]."""
    width = FINE_RATE / FINE_WINDOW
    lines = np.zeros(HARMONICS)
    for index in range(HARMONICS):
        centre = round((index + 1) * mains / width)
        below, above = spectrum[centre - 7 : centre - 3], spectrum[centre + 4 : centre + 8]
        # Over both sides: on the slope of a high-pass, one side alone lies far below.
        around = max(np.median(below), np.median(above))
        # The mains waver by 0.2 %, less than a bin.
        lines[index] = spectrum[centre - 1 : centre + 2].max() - around
    return lines


def _reverb(level: Frames, noise: float | None, snr: float | None) -> float | None:
    """Blind estimate of RT60, seconds: how fast the sound decays on its own.

    A voice that stops leaves the room to decay freely, in a straight line of dB: the median time
    of all decays, weighted by the square of their drop and by their straightness (a voice that
    fades is bent). Dry speech itself gives 0.15 to 0.25. On speech in synthetic rooms of 0.2,
    0.4, 0.8 and 1.2 s the error is 0.03, 0.04, 0.14 and 0.36 s (RMS; with rests of 0.8 s, which
    cut the longest short: it reads 1.1).
    """
    if noise is None or snr is None or snr < REVERB_SNR:
        return None
    power = np.convolve(10 ** (level.astype(np.float64) / 10), np.ones(3) / 3, "same")
    smooth = decibels(power)
    falls = np.diff(smooth) < STEADY
    edges = np.flatnonzero(np.diff(np.concatenate([[False], falls, [False]])))
    times, weights = [], []
    for start, stop in list(pairwise(edges))[::2]:
        decay = smooth[start : stop + 1]
        decay = decay[int(np.argmax(decay)) :]
        decay = decay[: _first(decay < noise + ABOVE_NOISE)]
        decay = decay[_first(decay < decay[:1].sum() - ONSET) :]
        if len(decay) < LEAST_FRAMES or decay[0] - decay[-1] < LEAST_DROP:
            continue
        at = np.arange(len(decay)) - (len(decay) - 1) / 2
        slope = float(at @ decay / (at @ at)) * SECOND
        times.append(-60 / slope)
        bent = np.mean((decay - decay.mean() - slope / SECOND * at) ** 2)
        weights.append((decay[0] - decay[-1]) ** 2 / (1 + bent))
    if len(times) < LEAST_DECAYS:
        return None
    order = np.argsort(times)
    shares = np.cumsum(np.array(weights)[order])
    return float(np.array(times)[order][np.searchsorted(shares, shares[-1] / 2)])


def _first(mask: NDArray[np.bool_]) -> int:
    """Index of the first True; the length where there is none."""
    return int(np.argmax(mask)) if mask.any() else len(mask)


def _rate(heard: Heard, spoken: NDArray[np.bool_]) -> float | None:
    """Syllables per second of speech: peaks of the level below 2 kHz, with a dip between."""
    if spoken.sum() < SECOND:
        return None
    from scipy.signal import find_peaks

    power = 10 ** (heard.level.astype(np.float64) / 10) * (1 - heard.high)
    bell = np.hanning(9)[1:-1]  # 81 ms: shorter than a syllable, longer than a pitch period
    low = decibels(np.convolve(power, bell / bell.sum(), "same"))
    loudest = float(np.percentile(low[spoken], 95))
    peaks, _ = find_peaks(low, height=loudest - FAINT, prominence=DIP, distance=APART * SECOND)
    return float(spoken[peaks].sum() / spoken.sum() * SECOND)


def _tonal(heard: Heard, quiet: NDArray[np.bool_]) -> float | None:
    """Share of the frames that sound, are tonal and no speech; None when nothing sounds."""
    alive = int((heard.level > DEAD).sum())
    tones = quiet & (heard.level > AUDIBLE) & (heard.flat < TONAL)
    return float(tones.sum() / alive) if alive else None
