"""Judge: what a take by itself is like, and its grade right after it was read.

`assess` is the one way from a take's sound to its measures; the session that waits for a letter
and prepare, which gives the final one, both go it. Prepare adds what takes an ASR or the speaker
encoder, and has DNSMOS hear its utterances; what takes the whole voice, such as the likeness to
other takes, profile adds.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import edits, listening, loudness, measuring, mos, vad
from aitwin.voice.audio import Samples
from aitwin.voice.edits import Span
from aitwin.voice.grades import Grade
from aitwin.voice.grading import grade
from aitwin.voice.heard import HOP, RATE, Heard
from aitwin.voice.measures import Measures
from aitwin.voice.source import Source
from aitwin.voice.voices import Take

Reads: TypeAlias = Callable[[int, int], Samples]
"""Gives a take's samples at RATE from one place to another (see Source.blocks)."""
PIECE = 60 * RATE
"""Samples that are measured at a time."""


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
        measures = assess(
            listening.listen(samples, self._detector),
            lambda start, stop: samples[start:stop],
            source,
            take_id=take.id,
            listener=self._listener,
        )
        return grade(measures, emotion=take.emotion, prompted=bool(take.prompt))


def assess(
    heard: Heard, read: Reads, source: Source, *, take_id: str, listener: mos.Listener | None
) -> Measures:
    """All that a take by itself tells, of its original as it is.

    `source` was streamed to its end; `read` gives what it gave. Without a `listener`, no DNSMOS.
    """
    spans = [(start * HOP, stop * HOP) for start, stop in edits.stretches(measuring.uttered(heard))]
    return measuring.measure(
        heard,
        sample_rate=source.info.sample_rate,
        bandwidth=source.bandwidth,
        true_peak=source.true_peak,
        clipped=source.clipping,
        loudness=loudness_of_speech(read, edits.widened(spans, heard.samples, 0)),
        mos=_quality(heard, read, take_id, listener),
    )


def loudness_of_speech(read: Reads, spans: Iterable[Span]) -> float | None:
    """LUFS of the stretches of speech together, without the rests, however long they are."""
    meter = loudness.Meter(RATE)
    for start, stop in spans:
        for first in range(start, stop, PIECE):
            meter.add(read(first, min(first + PIECE, stop)))
    return meter.integrated()


def _quality(
    heard: Heard, read: Reads, take_id: str, listener: mos.Listener | None
) -> float | None:
    """DNSMOS of some stretches of speech; of short takes, of some takes only."""
    if listener is None or not mos.is_sampled(take_id, heard.samples / RATE):
        return None
    scores = [
        listener.score(read(start, min(stop, heard.samples)))
        for start, stop in mos.places(heard.speech)
    ]
    known = [score for score in scores if score is not None]
    return round(float(np.mean(known)), 3) if known else None
