"""From what was heard, frame by frame, to what a take is like in numbers. Does not judge: grading.

Where a take holds too little of what a number is made from, it is None rather than a guess.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aitwin.voice import gating, vad
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
WAVER = 0.2
"""Hertz that the grid may be off its 50 or 60."""
HARMONICS = 12
"""Up to 600 Hz: a hum's power lies below, and..."""
LOWEST = 40.0
"""...Hertz from which: below is what a high-pass leaves of rumble."""
OFF_GRID = 1.2
"""Hertz that a line may lie beside a harmonic: so well is its place known between the bins."""
LEAST_LINES = 2
"""Harmonics of a hum: one line alone is any tone. And it has twice as many as lie off its grid:
a chord, or a voice next door, has a few on it by chance."""
LEAST_WINDOWS = 3
"""Fine windows, half a second of pauses, from which hum is told."""
HUM_FLOOR = 6.0
"""dB over the noise around it from which a line is heard as a tone, and..."""
HUM_DOUBT = 22.0
"""...of one window alone: noise itself makes lines of 4 standard deviations, 5.6 dB each."""

BELOW, ABOVE = np.arange(-7, -3), np.arange(4, 8)
"""Bins beside a line where the noise around it is heard: behind the slopes of Hann's window."""

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

BELL = 5
"""Frames, 58 ms, that the level is smoothed by: shorter than a syllable."""
DIP = 2.5
"""dB between two syllables at least (de Jong & Wempe, Behavior Research Methods 41(2), 2009)."""
APART = 0.08
"""Seconds between two syllables at least."""
FAINT = 20.0
"""dB under the loudest speech at which no syllable is counted."""
SLOW = 3.0
"""Syllables per second up to which each has a peak of its own. Faster, they run together, and..."""
MERGED = 0.6
"""...for each that is counted beyond, so many are missed: what errs least on synthetic speech, slow
and fast, and on people (measured)."""

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

    What others find out later (speakers, misread, words) is put in with `dataclasses.replace`; so
    is the `rate` of known words.
    """
    spoken = (heard.speech >= vad.ON) & (heard.level > DEAD)
    quiet = pauses(heard.speech, heard.level)
    hidden = gating.hidden_noise(heard)
    noise = _noise(heard.level[quiet]) if hidden is None else hidden
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
        # Where a gate closes, its own pace would be measured.
        reverb=_reverb(heard.level, noise, snr) if hidden is None else None,
        mos=mos,
        pitch=float(np.median(voices)) if len(voices) else None,
        voiced=len(voices) / max(int(spoken.sum()), 1),
        rate=_rate(heard, spoken),
        tonal=_tonal(heard, quiet),
        gated=hidden is not None,
    )


def uttered(heard: Heard) -> NDArray[np.bool_]:
    """Frames in which somebody speaks: by the VAD, and any vowel that it was not sure of."""
    frames = np.isfinite(heard.pitch)
    for start, stop in vad.speech_spans(heard.speech):
        frames[start:stop] = True
    return frames


def rate(text: str, speech: float) -> float | None:
    """Syllables per second of a text that was said in `speech` seconds of speech (Measures.speech).

    Better than what `measure` guesses from the sound: put it in its place where the words are
    known, from a prompt or an ASR. None under a second of speech. Raises TwinError when the
    phonemizer is not installed.
    """
    if speech < 1:
        return None
    from aitwin.voice import phonemes

    return phonemes.syllables(text) / speech


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
    hertz, heights = _lines(heard.fine_spectrum / heard.fine_windows)
    heard_as_tones = heights >= max(HUM_FLOOR, HUM_DOUBT / np.sqrt(heard.fine_windows))
    hertz, heights = hertz[heard_as_tones], heights[heard_as_tones]
    found = {mains: _on_grid(hertz, mains) for mains in MAINS}
    # 300 and 600 Hz belong to both: the sum over all lines decides.
    mains = max(MAINS, key=lambda mains: heights[found[mains]].sum())
    on = int(found[mains].sum())
    if on < max(LEAST_LINES, 2 * (len(hertz) - on)):
        return 0.0, None
    return float(heights[found[mains]].max()), mains


def _lines(spectrum: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every local peak of a fine spectrum in dB: its Hertz, and how many dB above what is around.

    Between the bins, the place is that of the parabola through the three highest.
    """
    width = FINE_RATE / FINE_WINDOW
    top = (HARMONICS + 0.5) * max(MAINS)
    bins = np.arange(round(LOWEST / width), round(top / width))
    left, middle, right = spectrum[bins - 1], spectrum[bins], spectrum[bins + 1]
    peaks = (middle > left) & (middle >= right)
    bins, left, middle, right = bins[peaks], left[peaks], middle[peaks], right[peaks]
    hertz = (bins + 0.5 * (left - right) / (left - 2 * middle + right)) * width
    # Over both sides: on the slope of a high-pass, one side alone lies far below.
    sides = [np.median(spectrum[bins[:, None] + beside], axis=1) for beside in (BELOW, ABOVE)]
    return hertz, middle - np.maximum(*sides)


def _on_grid(hertz: NDArray[np.float64], mains: float) -> NDArray[np.bool_]:
    """Which of the lines are harmonics of one frequency within WAVER of `mains`."""
    most = np.zeros(len(hertz), bool)
    for exact in np.linspace(mains - WAVER, mains + WAVER, 5):
        order = np.clip(np.round(hertz / exact), 1, HARMONICS)
        on = np.abs(hertz - order * exact) <= OFF_GRID
        most = on if on.sum() > most.sum() else most
    return most


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
    """Syllables per second of speech: peaks of the level below 2 kHz, with a dip between.

    An estimate. From 3 to 8 a second it is 8 % off (RMS; 17 % at most) on synthetic speech and
    15 % on four LibriSpeech clips; in an echoing room, where dips fill up, by 25 %. Where the
    words are known: `rate`.
    """
    if spoken.sum() < SECOND:
        return None
    from scipy.signal import find_peaks

    power = 10 ** (heard.level.astype(np.float64) / 10) * (1 - heard.high)
    bell = np.hanning(BELL + 2)[1:-1]
    low = decibels(np.convolve(power, bell / bell.sum(), "same"))
    loudest = float(np.percentile(low[spoken], 95))
    peaks, _ = find_peaks(low, height=loudest - FAINT, prominence=DIP, distance=APART * SECOND)
    counted = float(spoken[peaks].sum() / spoken.sum() * SECOND)
    return counted + MERGED * max(0.0, counted - SLOW)


def _tonal(heard: Heard, quiet: NDArray[np.bool_]) -> float | None:
    """Share of the frames that sound, are tonal and no speech; None when nothing sounds."""
    alive = int((heard.level > DEAD).sum())
    tones = quiet & (heard.level > AUDIBLE) & (heard.flat < TONAL)
    return float(tones.sum() / alive) if alive else None
