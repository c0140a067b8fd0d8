"""How good a recording sounds to people, as DNSMOS P.835 guesses it from the sound alone.

Reddy, Gopal, Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
evaluate noise suppressors", ICASSP 2022; network and polynomials from the package speechmos (MIT).
A listen costs 0.4 s on one core however little it hears, and 900 prompts would take six minutes. So
long takes are listened to in places, an hour in 10 s; and of the prompts that make an hour as many
as in one piece, for the owner to see. These scores are no part of a short take's grade: which of
them are heard is chance.
"""

import numpy as np

from aitwin import artifact
from aitwin.voice import networks
from aitwin.voice.audio import Samples
from aitwin.voice.heard import HOP, RATE, Frames

MOS_RATE = 16_000
"""Hertz that the network was trained at."""
LENGTH = 144_160
"""Samples at MOS_RATE that it listens to: 9.01 seconds, always."""
STRETCH = -(-LENGTH * RATE // MOS_RATE)
"""The same at RATE."""
EVERY = 150.0
"""Seconds of sound to one listen: 24 an hour."""
LONG = 20.0
"""Seconds from which every take is listened to, at least once, and graded by it as well: an hour in
such pieces costs 70 s of one processor. A prompt takes 3 to 8."""
NOMINAL = -26.0
"""dBFS to which every stretch is brought: the level of ITU-T's listening tests. A faint recording
is made louder anyway (see prepare), and left at -56 dBFS it would lose 0.9 of its score."""
FAINT = -80.0
"""dBFS under which there is nothing to listen to."""
OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""Quadratic, linear and constant term that map the network's third output to the scale of people
(speechmos.dnsmos, not personalised)."""


class Listener:
    """Scores sound. Loads 1 MB when made; safe to share between threads."""

    def __init__(self) -> None:
        """Raises TwinError when the network is not installed."""
        self._network = networks.open_("speechmos", "dnsmos_models/sig_bak_ovr.onnx")

    def score(self, samples: Samples, speech: Frames | None = None) -> float | None:
        """Overall quality (OVRL) of `samples` at RATE, 1 to 5: the mean over its `places`.

        `speech` is its probability per HOP frame (see vad). None where there is no sound.
        """
        if speech is None:
            speech = np.ones(-(-len(samples) // HOP), np.float32)
        heard = [self._listen(samples[start:stop]) for start, stop in places(speech)]
        scores = [score for score in heard if score is not None]
        return float(np.mean(scores)) if scores else None

    def _listen(self, samples: Samples) -> float | None:
        level = np.sqrt(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
        if level < 10 ** (FAINT / 20):
            return None
        import soxr

        sound = soxr.resample(samples, RATE, MOS_RATE, quality="HQ")
        sound = np.clip(sound * (10 ** (NOMINAL / 20) / level), -1, 1).astype(np.float32)
        # Doubled until it is long enough, as the authors do with short clips.
        while len(sound) < LENGTH:
            sound = np.concatenate([sound, sound])
        (output,) = self._network.run(None, {"input_1": sound[None, :LENGTH]})
        return float(np.polyval(OVERALL, float(output[0, 2])))


def places(speech: Frames) -> list[tuple[int, int]]:
    """Where to listen: (start, stop) in samples at RATE, one stretch per EVERY seconds.

    Each is STRETCH long, or as long as the sound where that is less, and lies about as much
    speech from its neighbours as all others do. `speech` is the probability per HOP frame.
    """
    if not len(speech):
        return []
    length = len(speech) * HOP
    count = max(1, round(length / RATE / EVERY))
    # A trace everywhere, so that a sound without speech has a middle too.
    amount = np.cumsum(speech.astype(np.float64) + 1e-6)
    shares = (np.arange(count) + 0.5) / count * amount[-1]
    middles = np.searchsorted(amount, shares) * HOP
    starts = np.clip(middles - STRETCH // 2, 0, max(0, length - STRETCH))
    return [(int(start), min(int(start) + STRETCH, length)) for start in starts]


def is_sampled(take_id: str, seconds: float) -> bool:
    """Whether a take of that length is one to listen to.

    Those that are LONG all are; of the others as many as make one listen per EVERY seconds, told
    by the id, so that the same takes are chosen on every day.
    """
    return seconds >= LONG or int(artifact.digest(take_id)[:8], 16) / 0x100000000 < seconds / EVERY
