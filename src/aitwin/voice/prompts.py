"""The sentences to read aloud: our own text, about 105 for each emotion, seven minutes of it.

They fit their emotion by what they say, and are phonetically balanced: `phonemes.coverage` tells.
Does not record anything, and does not know what was read: see read_aloud.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.phonemes import Phonemes, phonemes, syllables

PACE = {
    "neutral": 4.2,
    "happy": 4.6,
    "sad": 3.6,
    "angry": 4.3,
    "surprised": 4.4,
    "whispered": 3.7,
    "authoritative": 3.9,
    "tired": 3.5,
    "playful": 4.5,
}
"""Syllables per second, without pauses: an estimate around the 4.2 of careful reading aloud."""
PAUSE = 0.25
"""Seconds at a comma or between two sentences."""

_PAUSES = re.compile(r"[,;:.!?](?=\s)")


@dataclass(frozen=True)
class Prompt:
    """A sentence or two to read aloud."""

    id: str
    """Follows from emotion and text alone: adding or moving sentences changes no other's."""
    emotion: str
    text: str = field(repr=False)

    @property
    def seconds(self) -> float:
        """How long it probably takes to read. Raises TwinError when hibari is not installed."""
        pauses = len(_PAUSES.findall(self.text))
        return syllables(self.text) / PACE[self.emotion] + PAUSE * pauses


@cache
def prompts(emotion: str) -> tuple[Prompt, ...]:
    """All prompts of an emotion, in the order in which to read them (see in_reading_order).

    Raises TwinError when there is no such emotion.
    """
    if emotion not in EMOTIONS:
        raise TwinError(f"no emotion of that name; there are {', '.join(EMOTIONS)}")
    file = resources.files("aitwin.voice") / "prompt_texts" / f"{emotion}.txt"
    return tuple(
        Prompt(f"{emotion}-{artifact.digest(text)[:8]}", emotion, text)
        for text in file.read_text("utf-8").splitlines()
    )


def find(prompt_id: str) -> Prompt | None:
    """The prompt of that id; None when it is not, or no longer, among them."""
    emotion = prompt_id.partition("-")[0]
    if emotion not in EMOTIONS:
        return None
    return next((prompt for prompt in prompts(emotion) if prompt.id == prompt_id), None)


def in_reading_order(texts: Sequence[str]) -> list[str]:
    """Ordered so that whoever stops early has covered as many sounds as possible.

    The files are stored in this order. Greedy set cover: next is the text with the most
    phonemes, then the most diphones, that none before it has; ties keep the given order.
    """
    left = {text: (_runs(text, 1), _runs(text, 2)) for text in texts}
    ordered: list[str] = []
    while left:
        best = max(left, key=lambda text: [len(new) for new in left[text]])
        singles, pairs = left.pop(best)
        ordered.append(best)
        for remaining_singles, remaining_pairs in left.values():
            remaining_singles -= singles
            remaining_pairs -= pairs
    return ordered


def _runs(text: str, length: int) -> set[Phonemes]:
    """The runs of so many phonemes that occur in it."""
    return {
        stretch[at : at + length]
        for stretch in phonemes(text)
        for at in range(len(stretch) - length + 1)
    }
