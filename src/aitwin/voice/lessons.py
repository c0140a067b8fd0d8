"""Lessons: a voice's prepared utterances as a text-to-speech network learns from them.

    lessons/
      manifest.json   where each lies, its phones, and what was left out
      sound.npy       int16, all utterances behind each other, at the network's own rate
      features.npy    float16 [tokens, width]: what BERT says of the words

Made once for a run and read by memory map, so that an hour takes no memory. Only what is known to
be the owner's speech, with words that fit its length, is a lesson. Knows no network: what reads the
words is given.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import audio
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.heard import RATE
from aitwin.voice.melo_text import Units
from aitwin.voice.profile import VoiceProfile, own, sounds
from aitwin.voice.voices import Voice

VERSION = 1
SOUND, FEATURES = "sound.npy", "features.npy"
REMEDY = "run `twin voice prepare` again"
SHORTEST, LONGEST = 1.0, 13.0
"""Seconds. Under it there is no sentence; above it one utterance takes a batch's memory alone."""
SLOWEST, FASTEST = 4.0, 30.0
"""Letters per second. English read aloud has 10 to 18: outside, words and sound are not each
other's."""
LEAST = 60.0
"""Seconds of lessons without which a network would learn the room by heart, not the voice."""
HELD_SHARE = 0.05
"""Of the lessons, kept out of training to measure on."""
HELD_LEAST, HELD_MOST = 4, 24
HELD_SECONDS = (2.0, 10.0)
"""Lengths of those where there are such: long enough to tell whose voice it is, short enough to be
made often."""


@dataclass(frozen=True)
class Lesson:
    """One utterance: what was said, and where its sound is."""

    id: str
    """Of its segment."""
    emotion: str
    text: str = field(repr=False)
    start: int
    """First sample in sound.npy; `stop` is behind the last."""
    stop: int
    units: Units = field(repr=False)
    """Its text as the network reads it."""
    first_token: int
    """Row of features.npy."""
    held: bool = False
    """Whether it is kept out of training."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """All of a voice, at `path`."""

    path: Path
    rate: int
    """Hertz."""
    all: tuple[Lesson, ...] = field(repr=False)
    left_out: dict[str, int]
    """Utterances that are none, by the reason."""
    _sound: NDArray[np.int16] = field(repr=False)
    _features: NDArray[np.float16] = field(repr=False)

    @property
    def training(self) -> tuple[Lesson, ...]:
        """Those to learn from."""
        return tuple(lesson for lesson in self.all if not lesson.held)

    @property
    def held(self) -> tuple[Lesson, ...]:
        """Those to measure on."""
        return tuple(lesson for lesson in self.all if lesson.held)

    @property
    def emotions(self) -> dict[str, float]:
        """Seconds of training by emotion, most first."""
        found: Counter[str] = Counter()
        for lesson in self.training:
            found[lesson.emotion] += lesson.stop - lesson.start
        return {emotion: samples / self.rate for emotion, samples in found.most_common()}

    def seconds(self, lesson: Lesson) -> float:
        """How long it lasts."""
        return (lesson.stop - lesson.start) / self.rate

    def samples(self, lesson: Lesson) -> Samples:
        """Its sound, at `rate`."""
        return self._sound[lesson.start : lesson.stop].astype(np.float32) / np.float32(32_768)

    def features(self, lesson: Lesson) -> NDArray[np.float32]:
        """What BERT says of each of its tokens, shape [tokens, width]."""
        stop = lesson.first_token + len(lesson.units.token_ids)
        return self._features[lesson.first_token : stop].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Source:
    """An utterance that may become a lesson."""

    id: str
    emotion: str
    text: str = field(repr=False)
    samples: Samples = field(repr=False)
    sample_rate: int
    """Hertz."""


Reading: TypeAlias = tuple[Units, NDArray[np.floating[Any]]]
"""A text as the network reads it, and what BERT says of its tokens, shape [tokens, width]."""


def utterances(voice: Voice, profile: VoiceProfile) -> Iterator[Source]:
    """The voice's own utterances, one in memory at a time; other people's are not among them.

    Which they are, `profile.own` says. Raises TwinError when a prepared sound is damaged.
    """
    for take, found, ids in own(voice, profile):
        for segment, samples in sounds(found):
            if segment.id in ids:
                yield Source(segment.id, take.emotion, segment.text, samples, RATE)


def make(
    target: Path,
    sources: Iterator[Source],
    read: Callable[[str], Reading | None],
    *,
    rate: int,
    hop: int,
) -> Lessons:
    """Write the lessons at `target`, for a network of `rate` Hertz and `hop` samples a frame.

    `read` answers None for a text that cannot be read. Raises TwinError when less than a minute is
    left, with the reasons.
    """
    left_out: Counter[str] = Counter()
    lessons: list[Lesson] = []
    features: list[NDArray[np.float16]] = []
    samples_so_far = tokens_so_far = 0
    with artifact.building(target) as scratch:
        with (scratch / "sound").open("wb") as raw:
            for source in sources:
                why, reading = _judged(source, read, hop / rate)
                if reading is None:
                    left_out[why] += 1
                    continue
                sound = audio.resample(Utterance(source.samples, source.sample_rate), rate).samples
                raw.write(audio.pcm16(sound))
                units, said = reading
                features.append(np.asarray(said, np.float16))
                lessons.append(
                    Lesson(
                        id=source.id,
                        emotion=source.emotion,
                        text=source.text,
                        start=samples_so_far,
                        stop=samples_so_far + len(sound),
                        units=units,
                        first_token=tokens_so_far,
                    )
                )
                samples_so_far += len(sound)
                tokens_so_far += len(said)
        if samples_so_far < LEAST * rate or len(lessons) < 2 * HELD_LEAST:
            raise TwinError(_too_few(samples_so_far / rate, left_out))
        raw_sound = np.memmap(scratch / "sound", "<i2", "r")
        np.save(scratch / SOUND, raw_sound)
        del raw_sound
        (scratch / "sound").unlink()
        np.save(scratch / FEATURES, np.concatenate(features))
        kept = _held_out(lessons, rate)
        artifact.write_manifest(
            scratch,
            {
                "version": VERSION,
                "rate": rate,
                "left_out": dict(left_out),
                "lessons": [asdict(lesson) for lesson in kept],
            },
        )
    return load(target)


def load(path: Path) -> Lessons:
    """Raises TwinError when there are none, or they are damaged."""
    manifest = artifact.read_manifest(path, kind="set of lessons", remedy=REMEDY)
    try:
        if manifest["version"] != VERSION:
            raise TwinError(f"{path} was made by another version; {REMEDY}")
        found = Lessons(
            path=path,
            rate=artifact.count(manifest["rate"]),
            all=tuple(_lesson(one) for one in manifest["lessons"]),
            left_out=manifest["left_out"],
            _sound=np.load(path / SOUND, mmap_mode="r", allow_pickle=False),
            _features=np.load(path / FEATURES, mmap_mode="r", allow_pickle=False),
        )
        whole = found.all[-1].stop == len(found._sound)
        whole = whole and bool(found.held) and bool(found.training)
    except (KeyError, TypeError, ValueError, IndexError, OSError, EOFError, AttributeError):
        whole = False
    if not whole:
        raise TwinError(f"{path} is damaged; {REMEDY}") from None
    return found


def order(lessons: Sequence[Lesson], batch: int, seed: int, epoch: int) -> list[list[Lesson]]:
    """The batches of an epoch, every lesson in one of them; the same for the same numbers.

    Shuffled, then lessons of like length together, so that little of a batch is padding.
    """
    random = np.random.default_rng([seed, epoch])
    mixed = [lessons[place] for place in random.permutation(len(lessons))]
    near = 8 * batch  # lessons among which a batch finds its like
    batches = []
    for start in range(0, len(mixed), near):
        group = sorted(mixed[start : start + near], key=lambda one: one.stop - one.start)
        batches += [group[first : first + batch] for first in range(0, len(group), batch)]
    return [batches[place] for place in random.permutation(len(batches))]


def batches(lessons: int, batch: int) -> int:
    """How many there are in an epoch."""
    whole, rest = divmod(lessons, 8 * batch)
    return whole * 8 + -(-rest // batch)


def _judged(
    source: Source, read: Callable[[str], Reading | None], frame: float
) -> tuple[str, Reading | None]:
    """Why it is no lesson, or how its text reads; `frame` in seconds."""
    seconds = len(source.samples) / source.sample_rate
    letters = sum(letter.isalpha() for letter in source.text)
    if not letters:
        return "no words are known", None
    if not SHORTEST <= seconds <= LONGEST:
        return f"not {SHORTEST:.0f} to {LONGEST:.0f} s long", None
    if not SLOWEST <= letters / seconds <= FASTEST:
        return "words that do not fit the sound", None
    reading = read(source.text)
    if reading is None or reading[0].silent:
        return "words that cannot be read", None
    # Blanks between the symbols want a frame each, too (see alignment).
    if len(reading[0].phone_ids) > int(seconds / frame):
        return "words that do not fit the sound", None
    return "", reading


def _too_few(seconds: float, left_out: Counter[str]) -> str:
    reasons = "; ".join(f"{count} left out: {why}" for why, count in left_out.most_common())
    return (
        f"{seconds:.0f} s of speech with known words can be learned from, and {LEAST:.0f} s are "
        f"the least{f' ({reasons})' if reasons else ''}; record more with `twin voice record`, "
        "or, where the words are not known, install `aitwin[hear]` and run `twin voice prepare`"
    )


def _held_out(lessons: Sequence[Lesson], rate: int) -> list[Lesson]:
    """With some marked as held: by their ids, so that the next run holds out the same.

    Of HELD_SECONDS, or what comes nearest to it where there are too few.
    """
    shortest, longest = HELD_SECONDS

    def liking(one: Lesson) -> tuple[float, str]:
        seconds = (one.stop - one.start) / rate
        return max(shortest - seconds, seconds - longest, 0.0), artifact.digest(one.id)

    wanted = min(HELD_MOST, max(HELD_LEAST, round(HELD_SHARE * len(lessons))), len(lessons) // 2)
    chosen = {one.id for one in sorted(lessons, key=liking)[:wanted]}
    return [Lesson(**{**vars(one), "held": one.id in chosen}) for one in lessons]


def _lesson(values: dict[str, Any]) -> Lesson:
    """From a manifest. Raises KeyError or TypeError when it is none."""
    units: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in values["units"].items()
    }
    return Lesson(**{**values, "units": Units(**units)})
