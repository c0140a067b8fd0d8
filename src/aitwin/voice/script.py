"""Script: which sentence is read next, and how far the reading has come.

Knows neither sound nor disk; the texts come from prompts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aitwin.voice.emotions import EMOTIONS


class Sentence(Protocol):
    """Something to read aloud: prompts.Prompt, or anything of its shape."""

    @property
    def id(self) -> str:
        """Stable from version to version."""

    @property
    def emotion(self) -> str:
        """An id of EMOTIONS."""

    @property
    def text(self) -> str:
        """What is read."""


@dataclass(frozen=True)
class Progress:
    """How far one emotion has come."""

    emotion: str
    said: float
    """Seconds of speech there are."""
    asked: float
    """Seconds that are asked for."""
    read: int
    """Sentences that were read."""
    sentences: int
    """All there are."""

    @property
    def full(self) -> bool:
        """Whether there is enough of it."""
        return self.said >= self.asked


class Script:
    """Leads from sentence to sentence: emotion after emotion, each until there is enough of it."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        *,
        read: Mapping[str, float] | None = None,
        other: Mapping[str, float] | None = None,
        skipped: Collection[str] = (),
        only: str = "",
    ) -> None:
        """Begin where earlier sessions ended.

        `read`: seconds said of each sentence that was read, by its id; `other`: seconds of
        speech per emotion that belong to no sentence; `skipped`: sentences skipped in earlier
        sessions, which come last; `only`: this emotion alone, to its last sentence.
        """
        self._sentences = {
            emotion: sorted(
                (sentence for sentence in sentences if sentence.emotion == emotion),
                key=lambda sentence: sentence.id in skipped,  # stable: the order stays otherwise
            )
            for emotion in EMOTIONS
        }
        self._read = dict(read or {})
        self._other = dict(other or {})
        self._skipped: set[str] = set()
        self._only = only
        self._order = [only] if only else list(EMOTIONS)
        self._history: list[Sentence] = []
        self._again: int | None = None

    @property
    def current(self) -> Sentence | None:
        """What is to be read now; None when all is read."""
        if self._again is not None:
            return self._history[self._again]
        return next((self._left(emotion)[0] for emotion in self._open()), None)

    @property
    def again(self) -> bool:
        """Whether `current` was read before, and is to be read anew."""
        return self._again is not None

    @property
    def skipped(self) -> frozenset[str]:
        """Ids of the sentences that this session has skipped."""
        return frozenset(self._skipped)

    def read(self, seconds: float) -> None:
        """`current` was read, with so many seconds of speech."""
        sentence = self.current
        if sentence is None:
            raise ValueError("there is nothing left to read")
        self._read[sentence.id] = seconds
        if self._again is None:
            self._history.append(sentence)
        self._again = None

    def heard(self, emotion: str, seconds: float) -> None:
        """Speech was kept that belongs to no sentence."""
        self._other[emotion] = self._other.get(emotion, 0.0) + seconds

    def skip(self) -> None:
        """Not this one; it comes back in another session. Of a retake: leave it as it was."""
        if self._again is None and self.current is not None:
            self._skipped.add(self.current.id)
        self._again = None

    def retake(self) -> bool:
        """Back to the sentence read before, and on the next call to the one before that.

        False when there is none in this session.
        """
        at = len(self._history) if self._again is None else self._again
        if at == 0:
            return False
        self._again = at - 1
        return True

    def next_emotion(self) -> bool:
        """On to another emotion; this one comes back last. False when there is no other."""
        self._again = None
        still = self._open()
        if len(still) < 2:
            return False
        self._order.remove(still[0])
        self._order.append(still[0])
        return True

    def progress(self) -> tuple[Progress, ...]:
        """Every emotion, in their usual order."""
        return tuple(self._progress(emotion) for emotion in EMOTIONS)

    def _progress(self, emotion: str) -> Progress:
        read = [self._read[s.id] for s in self._sentences[emotion] if s.id in self._read]
        return Progress(
            emotion=emotion,
            said=sum(read) + self._other.get(emotion, 0.0),
            asked=EMOTIONS[emotion].minutes * 60,
            read=len(read),
            sentences=len(self._sentences[emotion]),
        )

    def _open(self) -> list[str]:
        """Emotions with something to read, in the order in which they come."""
        return [
            emotion
            for emotion in self._order
            if self._left(emotion) and (self._only or not self._progress(emotion).full)
        ]

    def _left(self, emotion: str) -> list[Sentence]:
        done = self._read.keys() | self._skipped
        return [sentence for sentence in self._sentences[emotion] if sentence.id not in done]
