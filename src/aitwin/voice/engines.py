"""Speaker: whatever turns one sentence into sound, and the voice that ships with the package.

Gets one sentence of bounded length at a time; cutting a text is the work of speech.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from aitwin.errors import TwinError

if TYPE_CHECKING:
    from aitwin.voice.audio import Utterance

MAX_PHONEMES = 400
"""What the bundled voice says in one breath: 400 take 0.3 GB, 1,500 take 0.8 GB (measured)."""

_NO = re.compile(r"\b(no|nos)\.(?!\s*\d)")


class Speaker(Protocol):
    """A voice that can say one sentence. Implementations load their weights when first asked."""

    @property
    def name(self) -> str:
        """Short id, as given to `--voice`: "bundled"."""

    @property
    def cloned(self) -> bool:
        """Whether it sounds like the owner."""

    def describe(self) -> str:
        """Whose voice is heard, in words for the owner; goes with every result."""

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> "Utterance":
        """Say one sentence, at any sample rate; the same `seed` gives the same samples.

        Empty when the voice has no sound for it. Safe to call from several threads.
        """


@dataclass(frozen=True, eq=False)
class Bundled:
    """The English voice "heart" of hibari-tts: Apache-2.0, 14 MB in the package, never online."""

    threads: int = 1
    """Processor threads. One is 60 times faster than real time; a second gains nothing."""
    _turn: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def name(self) -> str:
        """See Speaker."""
        return "bundled"

    @property
    def cloned(self) -> bool:
        """See Speaker."""
        return False

    def describe(self) -> str:
        """See Speaker."""
        return "bundled base voice (not yours: no clone exists yet)"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> "Utterance":
        """See Speaker.

        Raises TwinError when the package is missing or damaged.
        """
        import numpy as np

        from aitwin.voice.audio import Utterance

        with self._turn:
            voice = self._voice
            noise = np.random.default_rng(seed)
            parts = [
                voice.from_ids(voice.ids(phonemes), speed, noise)
                for chunk in voice.phonemize(_as_hibari_reads(sentence))
                for phonemes in _breaths(chunk)
            ]
        samples = np.concatenate([np.zeros(0, np.float32), *parts])
        return Utterance(samples, int(voice.sample_rate), sentence)

    @cached_property
    def _voice(self) -> Any:
        try:
            from hibari import Hibari
        except ModuleNotFoundError as error:
            raise TwinError(
                f"the bundled voice is not installed (no module {error.name}); "
                "run `pip install 'aitwin[speak]'`"
            ) from None
        try:
            # No voice name: every voice but the default one would be downloaded.
            return Hibari(threads=self.threads)
        except (OSError, ValueError, RuntimeError) as error:
            raise TwinError(
                f"the bundled voice does not load ({type(error).__name__}); "
                "run `pip install --force-reinstall hibari-tts`"
            ) from error


def _as_hibari_reads(sentence: str) -> str:
    """Hibari reads "I said no." as "I said number."; a space before the stop prevents it."""
    return _NO.sub(r"\1 .", sentence)


def _breaths(phonemes: str) -> Iterator[str]:
    """Hibari cuts at clauses only, so a long row of numbers would pass whole."""
    while len(phonemes) > MAX_PHONEMES:
        cut = phonemes.rfind(" ", 1, MAX_PHONEMES)
        cut = MAX_PHONEMES if cut < 0 else cut
        yield phonemes[:cut]
        phonemes = phonemes[cut:].lstrip()
    yield phonemes
