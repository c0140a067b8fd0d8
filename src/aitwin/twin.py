"""Twin: the two halves joined. write() text, say() it, speak() = write and say, overlapped.

The verbs are those of the command line. Does not parse requests or choose files.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypedDict, Unpack

from aitwin.prompt import Task
from aitwin.style.engine import Sampling
from aitwin.style.writer import Writer
from aitwin.voice.audio import Utterance
from aitwin.voice.speech import Speech
from aitwin.voice.studio import Studio


class Delivery(TypedDict, total=False):
    """How a text is said: see Speech.stream."""

    speed: float
    pause: float
    seed: int


@dataclass(frozen=True)
class Twin:
    """Writes like the owner, and speaks in the owner's voice as well as this machine can."""

    writer: Writer
    studio: Studio

    def write(
        self, task: Task, sampling: Sampling | None = None, *, adapted: bool = True
    ) -> Generator[str]:
        """Yield the draft piece by piece."""
        return self.writer.stream(task, sampling, adapted=adapted)

    def speech(self, voice: str = "", *, emotion: str = "", engine: str = "") -> Speech:
        """Speech in a voice by id or name: see Studio.find and Studio.cast."""
        return self.studio.speech(self.studio.find(voice), emotion=emotion, engine=engine)

    def say(
        self, text: str, speech: Speech | None = None, **how: Unpack[Delivery]
    ) -> Iterator[Utterance]:
        """Yield the spoken text, one utterance per sentence.

        Without `speech`, in the voice that is meant where none is named.
        """
        return (speech or self.speech()).stream(text, **how)

    def speak(
        self,
        task: Task,
        sampling: Sampling | None = None,
        speech: Speech | None = None,
        **how: Unpack[Delivery],
    ) -> Generator[str | Utterance]:
        """Yield text as it is written, and each sentence's audio as soon as the sentence stands.

        Closing the iterator stops the writing, too.
        """
        with closing(self.write(task, sampling)) as text:
            yield from (speech or self.speech()).follow(text, **how)
