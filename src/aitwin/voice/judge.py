"""Judge: the grade of a take right after it was read, while its reader waits.

Hears the original as it is. What takes an ASR or the speaker encoder is said by prepare; what takes
the whole voice, such as the likeness to other takes, by profile.
"""

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import listening, loudness, mos, vad
from aitwin.voice.grades import Grade
from aitwin.voice.grading import grade
from aitwin.voice.heard import RATE
from aitwin.voice.measuring import measure
from aitwin.voice.source import Source
from aitwin.voice.voices import Take


class Judge:
    """Grades takes of seconds, not of hours. Loads 2 MB when made."""

    def __init__(self) -> None:
        """Raises TwinError when a network is not installed."""
        self._detector = vad.Detector()
        self._listener = mos.Listener()
        # scipy and its kin load when they are first used: not while the first reader waits.
        quiet = np.zeros(RATE, np.float32)
        listening.listen(quiet, self._detector)
        loudness.integrated(quiet, RATE)

    def __call__(self, take: Take) -> Grade:
        """The verdict. Raises TwinError when the recording cannot be read."""
        source = Source(take.original)
        blocks = list(source.blocks())
        if not blocks:
            raise TwinError(f"take {take.id} holds no sound; record it again")
        samples = np.concatenate(blocks)
        heard = listening.listen(samples, self._detector)
        sampled = mos.is_sampled(take.id, take.seconds)
        measures = measure(
            heard,
            sample_rate=take.sample_rate,
            bandwidth=source.bandwidth,
            true_peak=source.true_peak,
            clipped=source.clipping,
            loudness=loudness.integrated(samples, RATE),
            # Nearly all of the time goes here, so it is spent where prepare spends it as well.
            mos=self._listener.score(samples, heard.speech) if sampled else None,
        )
        return grade(measures, emotion=take.emotion, prompted=bool(take.prompt))
