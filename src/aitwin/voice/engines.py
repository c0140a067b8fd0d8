"""Speaker: whatever turns one sentence into sound; Engine: what a package offers that makes one.

And the voice that ships with ours. A speaker gets one sentence of bounded length at a time; cutting
a text is the work of speech, and choosing among engines that of studio.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from aitwin.errors import TwinError

if TYPE_CHECKING:
    from aitwin.voice.audio import Samples, Utterance

GROUP = "aitwin.speakers"
"""Entry points of this group are engines that other packages bring."""
NAME = re.compile(r"[a-z0-9][a-z0-9+._-]{0,63}")
"""Of an engine: it is typed on the command line, and goes into a header over HTTP."""
MAX_PHONEMES = 400
"""What the bundled voice says in one breath: 400 take 0.3 GB, 1,500 take 0.8 GB (measured)."""

RATES = (8_000, 192_000)
"""Hertz that another package's engine may speak at."""

_NO = re.compile(r"\b(no|nos)\.(?!\s*\d)")
_LETTER_A = re.compile(r"\bay\b")


class Speaker(Protocol):
    """A voice that can say one sentence."""

    @property
    def name(self) -> str:
        """Short id of its engine, as given to `--engine`: "bundled"."""

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
class Reference:
    """What an engine that clones gets to hear of a voice whose owner has agreed to it."""

    voice: str
    """Id of the voice."""
    name: str = field(repr=False)
    """Whose it is, for the sentence that `Speaker.describe` makes."""
    emotion: str
    """An id of emotions.EMOTIONS, as it was asked for; empty for the voice as a whole."""
    samples: "Samples" = field(repr=False)
    """A stretch of that emotion, mono at `sample_rate`, in [-1, 1]: whole utterances with a short
    rest between them, reference.SECONDS at most."""
    sample_rate: int  # Hertz
    text: str = field(repr=False)
    """What is said in it; empty when nobody knows."""


class Engine(Protocol):
    """A way to speak that another package brings, as an entry point of GROUP.

    The entry point is such an object, or a class or function that gives one when it is called
    without arguments. Importing it must be cheap: what is heavy is loaded by `open`.
    """

    @property
    def name(self) -> str:
        """Short id, as given to `--engine`: "mlx-audio". That of the entry point is not read."""

    @property
    def title(self) -> str:
        """What it is, in words for the owner."""

    @property
    def licence(self) -> str:
        """Of its code and its weights: "MIT"."""

    @property
    def clones(self) -> bool:
        """Whether it speaks in a voice that it is given; otherwise it has one of its own."""

    def lacking(self) -> str:
        """Why it cannot speak on this machine, and what to do about it; empty when it can."""

    def open(self, reference: Reference | None) -> Speaker:
        """A speaker, ready to speak; None for the engine's own voice.

        Raises TwinError when that cannot be. Offline: nothing is ever fetched here.
        """


@dataclass(frozen=True)
class Broken:
    """An engine whose package is installed and does not load."""

    name: str
    why: str

    @property
    def title(self) -> str:
        """See Engine."""
        return "an engine of another package"

    @property
    def licence(self) -> str:
        """See Engine."""
        return "unknown"

    @property
    def clones(self) -> bool:
        """See Engine."""
        return False

    def lacking(self) -> str:
        """See Engine."""
        return self.why

    def open(self, reference: Reference | None) -> Speaker:
        """See Engine."""
        raise TwinError(f"the engine {self.name} cannot speak: {self.why}")


@dataclass(frozen=True, eq=False)
class Guest:
    """A Speaker of another package: what it says of itself is read once, and its sound looked at.

    Whatever goes wrong in it is a TwinError that names the engine, since nothing here is to blame,
    and never quotes the text.
    """

    name: str
    """The engine's."""
    cloned: bool
    described: str = field(repr=False)
    speaker: Speaker = field(repr=False)

    @classmethod
    def open(cls, engine: Engine, reference: Reference | None) -> "Guest":
        """Raises TwinError when the engine does not open, or gives no Speaker."""
        try:
            speaker = engine.open(reference)
            cloned, described = speaker.cloned, speaker.describe()
            if not (isinstance(described, str) and callable(speaker.speak)):
                raise TypeError("no speaker")
        except TwinError:
            raise
        except Exception as error:  # noqa: BLE001 (another's code; its message is not ours)
            raise TwinError(
                f"the engine {engine.name} does not open ({type(error).__name__}); {_REMEDY}"
            ) from None
        return cls(engine.name, bool(cloned), described, speaker)

    def describe(self) -> str:
        """See Speaker."""
        return self.described

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> "Utterance":
        """See Speaker. Raises TwinError when the engine fails, or gives what is no sound."""
        try:
            said = self.speaker.speak(sentence, speed=speed, seed=seed)
            return _looked_at(said, sentence)
        except TwinError:
            raise
        except Exception as error:  # noqa: BLE001 (another's code; its message may quote the text)
            raise TwinError(
                f"the engine {self.name} failed ({type(error).__name__}); {_REMEDY}"
            ) from None


_REMEDY = "update its package, or choose another with --engine"


def _looked_at(said: Any, sentence: str) -> "Utterance":
    """What a Speaker gave, as an Utterance. Raises an error of Python's own when it is none."""
    import numpy as np

    from aitwin.voice.audio import Utterance

    samples, rate = np.asarray(said.samples, np.float32), said.sample_rate
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError("samples are one row of numbers")
    if rate != int(rate) or not RATES[0] <= rate <= RATES[1]:
        raise ValueError("no sample rate")
    return Utterance(samples, int(rate), sentence)


def installed(taken: Collection[str] = ()) -> tuple[Engine, ...]:
    """Engines that other packages bring, by name; one that does not load is Broken.

    So is one whose name nobody could ask for: no NAME, one of those `taken`, or one that two
    packages bring, both of which are named.
    """
    found: defaultdict[str, dict[str, Engine]] = defaultdict(dict)
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else point.value
        engine: Engine
        try:
            offered = point.load()
            engine = offered() if callable(offered) else offered
            # Read once here: an engine without them must not break the list of all engines.
            told = (engine.name, engine.title, engine.licence, engine.clones, engine.lacking)
            if not all(isinstance(text, str) for text in told[:3]):
                raise TypeError("no text")
        except Exception as error:  # noqa: BLE001 (anything may be wrong in another's package)
            why = f"does not load ({type(error).__name__})"
            engine = _broken(package, why, taken)
        else:
            if not NAME.fullmatch(engine.name):
                why = "brings an engine whose name is not of a-z, 0-9, '+', '-', '.' and '_'"
                engine = _broken(package, why, taken)
            elif engine.name in taken:
                why = f"brings an engine called {engine.name}, which is the name of another"
                engine = _broken(package, why, taken)
        found[engine.name][f"{package}, {point.value}"] = engine
    return tuple(_only(name, found[name]) for name in sorted(found))


def _only(name: str, brought: dict[str, Engine]) -> Engine:
    """The engine of a name; Broken where several are called so."""
    if len(brought) == 1:
        return next(iter(brought.values()))
    packages = " and ".join(sorted(brought))
    return Broken(name, f"several are called so ({packages}): uninstall all but one of them")


def _broken(package: str, why: str, taken: Collection[str]) -> Broken:
    """Under its package's name, which it can be asked for by."""
    name = re.sub(r"[^a-z0-9+-]+", "-", package.lower()).strip("-+") or "engine"
    while name in taken:
        name += "-package"
    return Broken(name, f"the package {package} {why}; update it, or run `pip uninstall {package}`")


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
        return "bundled base voice (not yours)"

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
    """Hibari reads "I said no." as "I said number."; a space before the stop prevents it.

    The name of the letter A, "ay" (see shorthand.spelled), it reads as "eye"; "eh" it reads right.
    """
    return _NO.sub(r"\1 .", _LETTER_A.sub("eh", sentence))


def _breaths(phonemes: str) -> Iterator[str]:
    """Hibari cuts at clauses only, so a long row of numbers would pass whole."""
    while len(phonemes) > MAX_PHONEMES:
        cut = phonemes.rfind(" ", 1, MAX_PHONEMES)
        cut = MAX_PHONEMES if cut < 0 else cut
        yield phonemes[:cut]
        phonemes = phonemes[cut:].lstrip()
    yield phonemes
