"""Converted: a speaker whose sentences are given another voice's tone colour.

The base speaks in the manner that the voice has in an emotion (see steering), and OpenVoice's
converter gives that the voice's tone colour. Which base, whose voice: studio decides.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import audio
from aitwin.voice.audio import Utterance
from aitwin.voice.converter import TAU

if TYPE_CHECKING:
    from aitwin.voice.converter import Converter
    from aitwin.voice.engines import Speaker
    from aitwin.voice.openvoice import Embedding, ReferenceEncoder
    from aitwin.voice.steering import Steering

PACES = (0.4, 2.5)
"""What a base is asked for at most: the owner's pace times the voice's could leave the speech that
a base was made for."""
MEASURED = (
    "The kettle is on, and nobody has moved the van since Thursday.",
    "Please bring the blue folder when you come to see us tomorrow morning.",
    "How far would you walk for a decent cup of coffee in this weather?",
    "My brother thinks that the measure was enough, but the harbour is too shallow.",
    "We usually choose the judge's garden for a quiet lunch together.",
    "Five years ago this road was closed, and only goats could use the bridge.",
    "He should have asked a lawyer before he signed anything at all.",
    "The children laughed when their father dropped the fishing rod in the water.",
    "I'd rather pay twelve pounds more than wait another hour for the train.",
    "Her voice was calm, though everybody around the table was shouting.",
    "Would you check the oil and the tyres, and wash the rear window, too?",
    "Those new shoes squeak on every floor of the museum.",
)
"""What a base says for its tone colour to be measured: 41 s of the bundled voice, every sound of
English. Measured: a cosine of 0.968 to the colour of 40 other sentences; with the first five of
these 0.944, with single ones 0.67 to 0.85."""


@dataclass(frozen=True, eq=False)
class Converted:
    """A Speaker: `base`, steered, in the tone colour of `target`."""

    base: "Speaker"
    converter: "Converter"
    source: "Embedding" = field(repr=False)
    """The base's own tone colour."""
    target: "Embedding" = field(repr=False)
    title: str
    """Whose voice is heard, in words for the owner: for `describe`."""
    steering: "Steering | None" = None
    """The voice's manner against the base's; None leaves the base's."""
    tau: float = TAU

    def __post_init__(self) -> None:
        """Refuse embeddings of two different encoders, and what are no numbers."""
        if self.source.shape != self.target.shape:
            raise TwinError(
                f"the voice's embedding has {self.target.size} numbers and the base speaker's "
                f"{self.source.size}: they come of different encoders; run `twin voice prepare`"
            )
        if not (np.isfinite(self.source).all() and np.isfinite(self.target).all()):
            raise TwinError(
                "the embedding of the voice or of its base speaker holds a NaN; "
                "run `twin voice prepare`"
            )

    @property
    def name(self) -> str:
        """See Speaker."""
        return f"{self.base.name}+openvoice"

    @property
    def cloned(self) -> bool:
        """See Speaker."""
        return True

    def describe(self) -> str:
        """See Speaker."""
        return self.title

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        """See Speaker. At the converter's rate, 22,050 Hertz."""
        pace = speed * (self.steering.rate if self.steering else 1.0)
        said = self.base.speak(sentence, speed=float(np.clip(pace, *PACES)), seed=seed)
        if self.steering is not None:
            said = self.steering.apply(said)
        heard = audio.resample(said, self.converter.rate)
        if not heard.samples.any():
            return replace(heard, samples=heard.samples[:0])
        # A mere click of a word is shorter than what the converter can mirror at its ends.
        short = max(0, self.converter.least - len(heard.samples))
        samples = self.converter.convert(
            np.pad(heard.samples, (0, short)), self.source, self.target, tau=self.tau, seed=seed
        )
        return Utterance(samples, self.converter.rate, sentence)


def tone(base: "Speaker", encoder: "ReferenceEncoder") -> "Embedding":
    """The tone colour of a base speaker, measured on its own speech: shape [256].

    Raises TwinError when it says nothing.
    """
    from aitwin.voice.heard import RATE

    parts = []
    for seed, sentence in enumerate(MEASURED):
        said = audio.trim(audio.resample(base.speak(sentence, seed=seed), RATE))
        parts.append(said.samples)
    speech = np.concatenate(parts)
    if len(speech) < encoder.window or not speech.any():
        raise TwinError(f"the {base.name} voice has no sound for {len(MEASURED)} sentences")
    return encoder.embed(speech)
