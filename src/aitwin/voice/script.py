"""Script: which sentence is read next, and how far the reading has come.

A quick reader has read all sentences of an emotion before its minutes are full: then they are
read once more, and each reading counts. Knows neither sound nor disk; the texts come from prompts.
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
    """Sentences that were read, in the reading that is under way."""
    sentences: int
    """All there are."""
    reading: int = 1
    """Which reading of the sentences is under way, from 1; the last one when none is."""

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
        read: Mapping[str, Sequence[float]] | None = None,
        other: Mapping[str, float] | None = None,
        skipped: Collection[str] = (),
        only: str = "",
    ) -> None:
        """Begin where earlier sessions ended.

        `read`: seconds of each reading of a sentence, by its id; `other`: seconds of speech per
        emotion that belong to no sentence; `skipped`: sentences skipped in earlier sessions,
        which come last; `only`: this emotion alone, to its last sentence, and all of it once
        more where it was read to its end before.
        """
        self._sentences = {
            emotion: sorted(
                (sentence for sentence in sentences if sentence.emotion == emotion),
                key=lambda sentence: sentence.id in skipped,  # stable: the order stays otherwise
            )
            for emotion in EMOTIONS
        }
        self._read = {sentence: list(seconds) for sentence, seconds in (read or {}).items()}
        self._other = dict(other or {})
        self._skipped: set[str] = set()
        self._only = only
        self._order = [only] if only else list(EMOTIONS)
        self._history: list[tuple[Sentence, int]] = []  # and which reading of it
        self._retaken: int | None = None
        # What was skipped on other days may be skipped for ever: it must not hold up a reading.
        asked = self._sentences.get(only, [])
        usual = [one for one in asked if one.id not in skipped] or asked
        times = min(map(self._times, usual), default=0)
        self._wanted = times + 1 if only else 0  # readings, whatever the minutes

    @property
    def current(self) -> Sentence | None:
        """What is to be read now; None when all is read."""
        if self._retaken is not None:
            return self._history[self._retaken][0]
        return next((self._left(emotion)[0] for emotion in self._open()), None)

    @property
    def retaken(self) -> int | None:
        """Which of the readings of this session `current` replaces, from 0; None: none."""
        return self._retaken

    @property
    def skipped(self) -> frozenset[str]:
        """Ids of the sentences that this session has skipped."""
        return frozenset(self._skipped)

    def read(self, seconds: float) -> None:
        """`current` was read, with so many seconds of speech."""
        sentence = self.current
        if sentence is None:
            raise ValueError("there is nothing left to read")
        readings = self._read.setdefault(sentence.id, [])
        if self._retaken is None:
            self._history.append((sentence, len(readings)))
            readings.append(seconds)
        else:
            readings[self._history[self._retaken][1]] = seconds
        self._retaken = None

    def heard(self, emotion: str, seconds: float) -> None:
        """Speech was kept that belongs to no sentence."""
        self._other[emotion] = self._other.get(emotion, 0.0) + seconds

    def skip(self) -> None:
        """Not this one; it comes back in another session. Of a retake: leave it as it was."""
        if self._retaken is None and self.current is not None:
            self._skipped.add(self.current.id)
        self._retaken = None

    def retake(self) -> bool:
        """Back to the sentence read before, and on the next call to the one before that.

        False when there is none in this session.
        """
        at = len(self._history) if self._retaken is None else self._retaken
        if at == 0:
            return False
        self._retaken = at - 1
        return True

    def next_emotion(self) -> bool:
        """On to another emotion; this one comes back last. False when there is no other."""
        self._retaken = None
        still = self._open()
        if len(still) < 2:
            return False
        self._order.remove(still[0])
        self._order.append(still[0])
        return True

    def progress(self) -> tuple[Progress, ...]:
        """Every emotion, in their usual order."""
        still = self._open()
        return tuple(self._progress(emotion, emotion in still) for emotion in EMOTIONS)

    def _progress(self, emotion: str, still: bool) -> Progress:
        sentences = self._sentences[emotion]
        complete = self._complete(emotion)
        before = complete if still else max(0, complete - 1)
        return Progress(
            emotion=emotion,
            said=self._said(emotion),
            asked=self._asked(emotion),
            read=sum(self._times(sentence) > before for sentence in sentences),
            sentences=len(sentences),
            reading=before + 1,
        )

    def _open(self) -> list[str]:
        """Emotions with something to read, in the order in which they come."""
        return [emotion for emotion in self._order if self._wants(emotion) and self._left(emotion)]

    def _wants(self, emotion: str) -> bool:
        return self._said(emotion) < self._asked(emotion) or self._complete(emotion) < self._wanted

    def _left(self, emotion: str) -> list[Sentence]:
        """What the reading that is under way lacks, but for what was skipped."""
        complete = self._complete(emotion)
        return [
            sentence for sentence in self._offered(emotion) if self._times(sentence) == complete
        ]

    def _complete(self, emotion: str) -> int:
        """How often all sentences were read, but for what was skipped."""
        return min(map(self._times, self._offered(emotion)), default=0)

    def _offered(self, emotion: str) -> list[Sentence]:
        return [one for one in self._sentences[emotion] if one.id not in self._skipped]

    def _times(self, sentence: Sentence) -> int:
        return len(self._read.get(sentence.id, ()))

    def _said(self, emotion: str) -> float:
        read = [sum(self._read.get(one.id, ())) for one in self._sentences[emotion]]
        return sum(read) + self._other.get(emotion, 0.0)

    @staticmethod
    def _asked(emotion: str) -> float:
        return EMOTIONS[emotion].minutes * 60
