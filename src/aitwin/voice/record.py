"""Record: a session in which the owner reads aloud, take by take, over as many days as it takes.

    voices/ID/sessions/SESSION/
      manifest.json   when, which microphone, how loud the room was; what was said and skipped
      EMOTION.wav     the take under way; once it is kept it lies among the voice's takes
      consent.wav     the consent under way

Holds no terminal and opens no microphone: see cli.record and microphone. What a take is worth, and
whether there is speech in what the meter took for the room, is for others to judge, and handed in.
"""

import shutil
import wave
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeAlias

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent as consents
from aitwin.voice import profile as profiles
from aitwin.voice.at_work import BusyError
from aitwin.voice.consent import Consent
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.grades import Grade
from aitwin.voice.microphone import Block, Microphone
from aitwin.voice.script import Script, Sentence
from aitwin.voice.soundcheck import Levels, Meter, Room
from aitwin.voice.tape import HEAD, Tape, mend
from aitwin.voice.voices import Take, Voice

Judges: TypeAlias = Callable[[Take], Grade]
"""Grades a take (see judge); a reader waits for it, so within half a second."""
Hears: TypeAlias = Callable[[Path, str], float]
"""Share of a sentence's words that are heard in a recording, 0 to 1 (see read_aloud.contains)."""

Speaks: TypeAlias = Callable[[Path], float]
"""Seconds of speech in a recording, a whispered one too (see vad)."""

SESSIONS = "sessions"
CONSENT = "consent.wav"
CONSENT_TRIES = 3
OTHER_ROOM = 6.0  # dB of noise between two days after which it is another room, or another fan
OTHER_LEVEL = 6.0  # dB of voice: another distance, or another input level
LEAST_SAID = 0.3  # seconds of speech; with less, nobody has read a sentence
TOO_SHORT = 0.5  # seconds of sound; a key that was struck twice
WHISPERED = "whispered"
"""The emotion that is to be heard over the room's noise, not far above it."""
SPACE = 500_000_000  # bytes; 24 bits at 48 kHz in mono take 518 MB an hour


@dataclass(frozen=True)
class Conditions:
    """What a session is recorded with."""

    device: str = field(repr=False)
    sample_rate: int
    """Hertz."""
    channels: int
    noise: float
    """Of the room, dBFS."""
    hum: float
    """dB."""
    speech: float
    """Level of the owner's voice in the line that is read for a check, dBFS."""
    peak: float
    """Of the same, dBFS."""

    @classmethod
    def found(cls, microphone: Microphone, room: Room, levels: Levels) -> "Conditions":
        """As the sound check has found them."""
        return cls(
            device=microphone.name,
            sample_rate=microphone.sample_rate,
            channels=microphone.channels,
            noise=round(room.noise, 1),
            hum=round(room.hum, 1),
            speech=round(levels.speech, 1),
            peak=round(levels.peak, 1),
        )

    def changes(self, before: "Conditions") -> tuple[str, ...]:
        """What differs from an earlier session and will be heard, in plain words (V2)."""
        found = []
        if self.device != before.device:
            found.append("another microphone than last time: one voice wants one microphone")
        elif self.sample_rate != before.sample_rate:
            found.append(
                f"the microphone now gives {self.sample_rate:,} Hertz, last time it gave "
                f"{before.sample_rate:,}"
            )
        noise, speech = self.noise - before.noise, self.speech - before.speech
        if abs(noise) > OTHER_ROOM:
            how = "louder" if noise > 0 else "quieter"
            found.append(f"the room is {abs(noise):.0f} dB {how} than last time")
        if abs(speech) > OTHER_LEVEL:
            how = "louder" if speech > 0 else "quieter"
            found.append(
                f"your voice is {abs(speech):.0f} dB {how} than last time: check the distance "
                "and the input level"
            )
        return tuple(found)


@dataclass(frozen=True)
class PastSession:
    """What an earlier session has left."""

    id: str
    started_at: datetime
    conditions: Conditions
    said: Mapping[str, float]
    """Seconds of speech of each take it kept, the pauses within included, by the take's id."""
    skipped: frozenset[str]
    """Ids of sentences."""


@dataclass(frozen=True)
class Kept:
    """A take that is safe among the voice's takes."""

    take: Take
    levels: Levels
    seconds: float
    """Of speech, the pauses within included: what counts towards the hour."""
    grade: Grade | None
    """None: nobody was there to judge, or there was too little to judge."""


class Recording:
    """A take under way: on disk while it is said, and followed by a meter."""

    def __init__(self, tape: Tape, meter: Meter, words: int) -> None:
        self.tape = tape
        self.meter = meter
        self._words = words

    def hear(self, block: Block) -> None:
        """Take the next block.

        Raises OSError when the disk is full; what was said before stays.
        """
        self.tape.write(block)
        self.meter.hear(block)

    def over(self) -> bool:
        """Whether the reader has come to an end."""
        return self.meter.finished(self._words)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to keep: not a moment of sound, or nothing but zeros.

        What the meter takes for the room's noise may be a whisper: it is not for us to drop.
        """
        return self.tape.seconds < TOO_SHORT or self.meter.levels().silent


class Session:
    """One sitting: leads through the script and keeps what is read."""

    def __init__(
        self,
        voice: Voice,
        conditions: Conditions,
        script: Script,
        judge: Judges | None = None,
        speaks: Speaks | None = None,
    ) -> None:
        """Begin a session of `voice`; its directory is made at once."""
        self.voice = voice
        self.conditions = conditions
        self.script = script
        self._judge = judge
        self._speaks = speaks
        self._readings: list[Take] = []  # as the script counts them
        self._started_at = datetime.now(UTC)
        self._said: dict[str, float] = {}
        self.grades: dict[str, str] = {}
        """Letters, by the take's id."""
        self.kept: list[Take] = []
        """What was kept, the latest last."""
        parent = artifact.make_private_dir(voice.path / SESSIONS)
        self.path = _free(parent, self._started_at.strftime("%Y%m%d-%H%M%S"))
        self._write()

    @property
    def id(self) -> str:
        """As the takes name it."""
        return self.path.name

    def start(self) -> Recording:
        """Begin to record what the script asks for.

        Raises ValueError when nothing is left to read, OSError when the disk is full.
        """
        sentence = self.script.current
        if sentence is None:
            raise ValueError("there is nothing left to read")
        whispered = sentence.emotion == WHISPERED
        return self._record(f"{sentence.emotion}.wav", sentence.text, whispered=whispered)

    def start_consent(self, sentence: str) -> Recording:
        """Begin to record the owner's consent."""
        (self.path / CONSENT).unlink(missing_ok=True)
        return self._record(CONSENT, sentence)

    def heard(self, recording: Recording) -> float:
        """Seconds of speech in a take that is over, the pauses within included.

        By the meter; where it heard nothing, by whoever tells a whisper from the room's noise.
        """
        levels = recording.meter.levels()
        if levels.said >= LEAST_SAID or self._speaks is None:
            return levels.lasted
        try:
            return self._speaks(recording.tape.finish())
        except TwinError:
            return levels.lasted

    def keep(self, recording: Recording) -> Kept:
        """The sentence was read: make it a take, in the place of the one that is retaken.

        An earlier reading of the same sentence stays.
        """
        sentence = self.script.current
        if sentence is None:
            raise ValueError("there is nothing left to read")
        levels, seconds = recording.meter.levels(), self.heard(recording)
        take = self._add(
            recording.tape.finish(),
            sentence.emotion,
            recording.tape.seconds,
            {"prompt": sentence.text, "prompt_id": sentence.id},
        )
        grade = self._grade(take)
        self._said[take.id] = round(seconds, 2)
        if grade:
            self.grades[take.id] = grade.letter
        place = self.script.retaken
        self.script.read(seconds)
        if place is None:
            self._readings.append(take)
        else:
            # The new one is safe: only now may the one that it replaces go.
            earlier, self._readings[place] = self._readings[place], take
            if earlier.id != take.id:
                self._forget(earlier)
        self.kept.append(take)
        self._write()
        return Kept(take, levels, seconds, grade)

    def interrupt(self, recording: Recording) -> Take | None:
        """Something came between: keep what was said so far; the sentence is read again.

        The take has no sentence, since nobody knows how much of it was read. None when there is
        nothing in it (see Recording.empty). What cannot be made a take now, on a full disk, lies
        safe in the session's directory and becomes one next time.
        """
        tape = recording.tape
        tape.close()
        if not tape.path.exists():
            return None  # made a take already, a moment before
        emotion = tape.path.stem
        if recording.empty or emotion not in EMOTIONS:  # half a consent is none
            tape.path.unlink()
            return None
        seconds = self.heard(recording)
        take = self._add(tape.finish(), emotion, tape.seconds, {})
        self._said[take.id] = round(seconds, 2)
        self.kept.append(take)
        self.script.heard(emotion, seconds)
        self._write()
        return take

    def discard(self, recording: Recording) -> None:
        """The reader wants to begin anew."""
        recording.tape.close()
        recording.tape.path.unlink(missing_ok=True)

    def skip(self) -> None:
        """Leave the sentence for another day."""
        self.script.skip()
        self._write()

    def accept(
        self, recording: Recording, sentence: str, today: date, hears: Hears | None = None
    ) -> Consent | None:
        """Keep the consent that was read; None, and nothing kept, when it was not heard.

        Without `hears` only that something of its length was said is known.
        """
        path = recording.tape.finish()
        said, asked = recording.meter.said, len(sentence.split())
        share = hears(path, sentence) if hears else None
        # Nobody reads a sentence of thirty words in two seconds, whatever was heard.
        if said < asked * 0.1 or (share is not None and share < consents.LEAST_WORDS):
            path.unlink()
            return None
        given = Consent(
            kind="spoken",
            given_on=today,
            sentence=sentence,
            sha256=artifact.sha256(path),
            words=share,
        )
        consents.store(self.voice.path / "consent", given, path)
        path.unlink()
        return given

    def _record(self, name: str, text: str, *, whispered: bool = False) -> Recording:
        conditions = self.conditions
        tape = Tape(self.path / name, conditions.sample_rate, conditions.channels)
        meter = Meter(conditions.sample_rate, conditions.noise, whispered=whispered)
        return Recording(tape, meter, len(text.split()))

    def _add(self, path: Path, emotion: str, seconds: float, values: Mapping[str, str]) -> Take:
        return self.voice.add(
            path,
            {
                "emotion": emotion,
                "seconds": seconds,
                "sample_rate": self.conditions.sample_rate,
                "channels": self.conditions.channels,
                "session": self.id,
                "device": self.conditions.device,
                **values,
            },
            move=True,
        )

    def _forget(self, take: Take) -> None:
        self.voice.remove(take)
        self._said.pop(take.id, None)
        self.grades.pop(take.id, None)
        self.kept = [kept for kept in self.kept if kept.id != take.id]

    def _grade(self, take: Take) -> Grade | None:
        if self._judge is None:
            return None
        try:
            return self._judge(take)
        except TwinError:
            return None  # the take is safe; `twin voice prepare` judges it again

    def _write(self) -> None:
        artifact.make_private_dir(self.path)
        manifest = {
            "started_at": self._started_at.isoformat(),
            "conditions": asdict(self.conditions),
            "said": self._said,
            "grades": self.grades,
            "skipped": sorted(self.script.skipped),
        }
        artifact.write_manifest(self.path, manifest)


@contextmanager
def alone(voice: Voice) -> Iterator[None]:
    """Keep a second session of the same voice out while the block runs.

    Raises BusyError when there is one.
    """
    directory = artifact.make_private_dir(voice.path / SESSIONS)
    try:
        with artifact.holding(directory, wait=False):
            yield
    except BlockingIOError:
        raise BusyError(
            f"voice {voice.id} is being recorded in another window; go on there, or end it"
        ) from None


def past(voice: Voice) -> list[PastSession]:
    """The voice's sessions, the oldest first.

    One whose manifest is gone or damaged is left out: its takes are among the voice's all the same.
    """
    found = []
    for path in sorted((voice.path / SESSIONS).glob("[0-9]*")):
        try:
            found.append(_load(path))
        except TwinError:
            continue
    return found


def script(
    voice: Voice,
    sentences: Sequence[Sentence],
    sessions: Iterable[PastSession],
    only: str = "",
) -> Script:
    """What is still to be read of `sentences`.

    Speech is counted as the session that recorded it heard it; of a file that was added, all.
    """
    sessions = list(sessions)
    said = {take: seconds for session in sessions for take, seconds in session.said.items()}
    known = {sentence.id for sentence in sentences}
    read: dict[str, list[float]] = {}
    other: dict[str, float] = {}
    for take in voice.takes():
        seconds = said.get(take.id, take.seconds)
        if take.prompt_id in known:
            read.setdefault(take.prompt_id, []).append(seconds)
        else:
            other[take.emotion] = other.get(take.emotion, 0.0) + seconds
    skipped = {sentence for session in sessions for sentence in session.skipped}
    return Script(sentences, read=read, other=other, skipped=skipped, only=only)


def recover(voice: Voice) -> list[Take]:
    """Make takes of what a session that was killed, or found no room, has left behind.

    Whatever sounds is kept, a whisper no louder than the room too.
    """
    found = []
    for path in sorted((voice.path / SESSIONS).glob("[0-9]*/*.wav")):
        # Half a consent is none, and a file that has just been opened holds nothing.
        if path.name == CONSENT or path.stat().st_size <= HEAD:
            path.unlink()
            continue
        if path.stem not in EMOTIONS:
            continue  # none of ours
        seconds = mend(path)
        if seconds < TOO_SHORT or not _sounds(path):
            path.unlink()
            continue
        with wave.open(str(path)) as file:
            rate, channels = file.getframerate(), file.getnchannels()
        values: dict[str, Any] = {"emotion": path.stem, "seconds": seconds, "sample_rate": rate}
        values |= {"channels": channels, "session": path.parent.name}
        found.append(voice.add(path, values, move=True))
    return found


def consent_doubts(voice: Voice) -> tuple[str, ...]:
    """Why the consent that is kept does not count, in plain words; none where there is none.

    Its speaker is compared with the takes' when a profile is made: what was found then counts as
    long as the consent is the same.
    """
    place = voice.path / "consent"
    try:
        given = consents.load(place)
    except TwinError:
        return ("its record is damaged",)
    if given is None:
        return ()
    with suppress(TwinError):  # without a profile, nobody has compared it yet
        made = profiles.load(profiles.path_of(voice))
        if made.consent and made.consent_sha256 == artifact.sha256(place / artifact.MANIFEST):
            return made.consent.doubts
    return given.doubts


def room_left(voice: Voice) -> str:
    """A warning when the disk may not hold another hour; empty when it will."""
    free = shutil.disk_usage(voice.path).free
    if free >= SPACE:
        return ""
    return f"only {free / 1e6:,.0f} MB are free on the disk; an hour of sound takes 500"


def _load(path: Path) -> PastSession:
    manifest = artifact.read_manifest(path, kind="session", remedy="its takes are safe")
    try:
        return PastSession(
            id=path.name,
            started_at=datetime.fromisoformat(manifest["started_at"]),
            conditions=Conditions(**manifest["conditions"]),
            said={str(take): float(seconds) for take, seconds in manifest["said"].items()},
            skipped=frozenset(manifest["skipped"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TwinError(f"{path / artifact.MANIFEST} is damaged; its takes are safe") from None


def _sounds(path: Path) -> bool:
    """Whether a tape holds anything but zeros."""
    with wave.open(str(path)) as file:
        while data := file.readframes(file.getframerate()):
            if any(data):
                return True
    return False


def _free(parent: Path, name: str) -> Path:
    """A directory of that name, or with a number behind it."""
    for number in range(1, 1_000):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return path
    raise TwinError(f"{parent} holds a thousand sessions of this second; check the clock")
