"""Twin: the two halves joined. write() text, say() it, speak() = write and say, overlapped.

The verbs are those of the command line. Does not parse requests or choose files.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from aitwin.prompt import Task
from aitwin.style.engine import Sampling
from aitwin.style.writer import Writer
from aitwin.voice.audio import Utterance
from aitwin.voice.speech import Speech


@dataclass(frozen=True)
class Twin:
    """Writes like the owner and speaks."""

    writer: Writer
    speech: Speech

    def write(
        self, task: Task, sampling: Sampling | None = None, *, adapted: bool = True
    ) -> Generator[str]:
        """Yield the draft piece by piece."""
        return self.writer.stream(task, sampling, adapted=adapted)

    def say(self, text: str, *, speed: float = 1.0, seed: int = 0) -> Iterator[Utterance]:
        """Yield the spoken text, one utterance per sentence."""
        return self.speech.stream(text, speed=speed, seed=seed)

    def speak(
        self, task: Task, sampling: Sampling | None = None, *, speed: float = 1.0
    ) -> Generator[str | Utterance]:
        """Yield text as it is written, and each sentence's audio as soon as the sentence stands.

        Closing the iterator stops the writing, too.
        """
        with closing(self.write(task, sampling)) as text:
            yield from self.speech.follow(text, speed=speed)
