"""Clip: a short recording of somebody, as what speaks like it needs to hear it. Kept nowhere.

Of a voice that is on disk, profile knows more: a clip stands in where there are seconds, not
minutes. Does not decide whether anybody may be cloned: whoever hands in the sound has to ask.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import edits, speakers, timbre, vad
from aitwin.voice.audio import Samples
from aitwin.voice.edits import Span
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.timbre import Timbre

if TYPE_CHECKING:
    from aitwin.voice.openvoice import Embedding, ReferenceEncoder

HEARD = 30.0
"""Seconds of speech that are listened to: an embedding of 26 s is within 0.994 of a whole voice's
(see profile), and the timbre of so much takes 0.35 s."""
LEAST = 2.0
"""Seconds of speech under which nothing is made of it: two words' vowels are no voice."""
LEAST_VOICED = 1.0
"""Seconds with a pitch, likewise: half of read speech has one."""
SHORT = 8.0
"""Seconds of speech under which the owner is told that more would sound more like them: 8 s are
within 0.98 of a voice's embedding."""
GUARD = 0.12
"""Seconds beside speech that count as speech: as prepare has it."""
LOOKED = 180.0
"""Seconds of a recording in which speech is looked for."""


@dataclass(frozen=True, eq=False)
class Clip:
    """What was heard of somebody, in one manner."""

    samples: Samples = field(repr=False)
    """Their speech at heard.RATE, its rests left out, HEARD seconds at most."""
    timbre: Timbre = field(repr=False)
    embedding: "Embedding | None" = field(repr=False)
    """None: no encoder is here."""
    digest: str
    """Of the samples and the encoder: the same for the same clip."""

    @property
    def seconds(self) -> float:
        """Of speech."""
        return len(self.samples) / RATE

    @property
    def is_short(self) -> bool:
        """Whether more of it would sound more like them."""
        return self.seconds < SHORT


def of(
    blocks: Iterable[Samples], detector: vad.Detector, encoder: "ReferenceEncoder | None" = None
) -> Clip:
    """The clip of a recording, which comes in blocks at RATE (see source.Source).

    Reads no more of it than LOOKED seconds. Raises TwinError when too little is said in it.
    """
    samples = _first(blocks, round(LOOKED * RATE))
    probabilities = detector.probabilities(samples)
    spoken = vad.speech_spans(probabilities)
    seconds = sum(stop - start for start, stop in spoken) * HOP / RATE
    if seconds < LEAST:
        raise TwinError(
            f"the clip holds {seconds:.1f} s of speech, and {LEAST:.0f} s are the least; "
            f"{SHORT:.0f} s or more are good: take a longer one"
        )
    spans = edits.widened(
        [(start * HOP, stop * HOP) for start, stop in spoken], len(samples), round(GUARD * RATE)
    )
    return of_speech(_joined(samples, spans), encoder)


def of_speech(samples: Samples, encoder: "ReferenceEncoder | None" = None) -> Clip:
    """The clip of speech at RATE that is known to be it.

    Raises TwinError when nothing in it has a pitch, as in whispering.
    """
    heard = timbre.measure([samples])
    if heard is None or heard.seconds < LEAST_VOICED:
        raise TwinError(
            "the clip holds too little of a voice: whispering, music and noise tell nothing of "
            f"one; take one with {SHORT:.0f} s of plain speech"
        )
    embedding = None
    if encoder is not None and speakers.audible(samples):
        embedding = encoder.embed(samples)
    made_of = f"{timbre.digest(samples)} {encoder.digest if encoder else ''}"
    return Clip(samples, heard, embedding, made_of)


def _first(blocks: Iterable[Samples], most: int) -> Samples:
    parts: list[Samples] = [np.zeros(0, np.float32)]
    length = 0
    for block in blocks:
        parts.append(block)
        length += len(block)
        if length >= most:
            break
    return np.concatenate(parts)[:most]


def _joined(samples: Samples, spans: Iterable[Span]) -> Samples:
    """The stretches, one after the other, HEARD seconds at most."""
    room = round(HEARD * RATE)
    parts: list[Samples] = []
    for start, stop in spans:
        parts.append(samples[start : min(stop, start + room)])
        room -= len(parts[-1])
        if room <= 0:
            break
    return np.concatenate(parts)
