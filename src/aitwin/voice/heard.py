"""What is heard in a stretch of sound, frame by frame: level, speech, pitch, spectra.

Values only; who makes them: listening. What they say of a take as a whole: measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.audio import OUTPUT_RATE

RATE = OUTPUT_RATE
"""Hertz at which recordings are prepared: that of OpenVoice's reference encoder and of all output.

One resampling less than any other rate; the original stays at its own."""
HOP = 256
"""Samples from one frame to the next: 11.6 ms."""
WINDOW = 1024
"""Samples of a frame's spectrum, Hann; frame k is centred on sample k * HOP + HOP // 2."""
BINS = WINDOW // 2 + 1
SILENCE = -120.0
"""dBFS that stands for digital silence."""

FINE_RATE = RATE / 8
"""Hertz at which the pauses are heard finely, for what hums there."""
FINE_WINDOW = 24 * HOP // 8
"""Samples at FINE_RATE of a fine spectrum, Hann: 24 frames, 0.28 s; 3.6 Hz from bin to bin."""
FINE_BINS = FINE_WINDOW // 2 + 1

Frames: TypeAlias = NDArray[np.float32]
"""One number per frame, shape [frames]; frames = ceil(samples / HOP)."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A stretch of sound at RATE, frame by frame. Frame k covers samples k*HOP to (k+1)*HOP."""

    samples: int
    """How many samples were heard."""
    level: Frames = field(repr=False)
    """RMS of the frame's own HOP samples, dBFS; SILENCE for digital silence."""
    speech: Frames = field(repr=False)
    """Probability of speech, 0 to 1 (silero VAD)."""
    pitch: Frames = field(repr=False)
    """Fundamental frequency in Hertz; NaN where unvoiced."""
    high: Frames = field(repr=False)
    """Share of the frame's power above 2 kHz, 0 to 1: breaths and sibilants have much of it."""
    flat: Frames = field(repr=False)
    """Spectral flatness from 300 Hz to 8 kHz, 0 (a tone) to 1 (white noise)."""
    quiet_spectrum: NDArray[np.float64] = field(repr=False)
    """Sum of power spectra, shape [BINS], of the frames in pauses; with `quiet_frames`.

    A frame's spectrum sums up to its mean square. Digital silence is no pause: nobody's room is
    that still, it was put there by an editor."""
    quiet_frames: int
    speech_spectrum: NDArray[np.float64] = field(repr=False)
    """The same of the frames with speech."""
    speech_frames: int
    fine_spectrum: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros(FINE_BINS), repr=False
    )
    """Sum of spectra in dB, shape [FINE_BINS], of `fine_windows` windows that lie in pauses.

    Of the logarithms, so that a knock in one pause does not outweigh what is in all of them."""
    fine_windows: int = 0


def join(parts: Sequence[Heard]) -> Heard:
    """Stretches that follow each other, as one; all but the last are whole frames long."""
    if any(part.samples % HOP for part in parts[:-1]):
        raise ValueError("a stretch that another follows must be whole frames long")
    return Heard(
        samples=sum(part.samples for part in parts),
        level=np.concatenate([part.level for part in parts]),
        speech=np.concatenate([part.speech for part in parts]),
        pitch=np.concatenate([part.pitch for part in parts]),
        high=np.concatenate([part.high for part in parts]),
        flat=np.concatenate([part.flat for part in parts]),
        quiet_spectrum=np.sum([part.quiet_spectrum for part in parts], axis=0),
        quiet_frames=sum(part.quiet_frames for part in parts),
        speech_spectrum=np.sum([part.speech_spectrum for part in parts], axis=0),
        speech_frames=sum(part.speech_frames for part in parts),
        fine_spectrum=np.sum([part.fine_spectrum for part in parts], axis=0),
        fine_windows=sum(part.fine_windows for part in parts),
    )
