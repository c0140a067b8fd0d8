import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent, profile, record, soundcheck, tape, voices
from aitwin.voice.audio import resample, trim
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.engines import Bundled
from aitwin.voice.grades import Grade, Reason
from aitwin.voice.record import Conditions, Recording, Session
from aitwin.voice.script import Script
from aitwin.voice.voices import Take, Voice

RATE = 48_000
CANARY = "zuccanary"
TODAY = date(2026, 11, 29)
HERE = Conditions("Built-in zuccanary", RATE, 1, noise=-65.0, hum=0.0, speech=-25.0, peak=-8.0)


@dataclass(frozen=True)
class Line:
    id: str
    emotion: str
    text: str = f"The {CANARY} kettle is on."


LINES = [Line(f"{emotion}-{n}", emotion) for emotion in ("neutral", "sad") for n in range(3)]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    said = trim(Bundled().speak("The kettle is on, and the cat sits by the stove.", seed=1))
    return resample(said, RATE).samples


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "ana")


def room(seconds: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed).normal(0, 10 ** (-65 / 20), round(RATE * seconds))
    return random.astype(np.float32)


def begin(voice: Voice, judge: record.Judges | None = None, here: Conditions = HERE) -> Session:
    script = record.script(voice, LINES, record.past(voice))
    return Session(voice, here, script, judge)


def hear(recording: Recording, samples: np.ndarray) -> None:
    for at in range(0, len(samples), 960):
        recording.hear(samples[at : at + 960, None])


def read(session: Session, samples: np.ndarray) -> record.Kept:
    recording = session.start()
    hear(recording, samples)
    return session.keep(recording)


def current(session: Session) -> str:
    return session.script.current.id if session.script.current else ""


def tree(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())


def test_a_take_is_kept_as_it_was_said(voice: Voice, speech: np.ndarray) -> None:
    """V2: the device's own rate, 24 bits; P4: private."""
    session = begin(voice)
    said = np.concatenate([room(0.5), speech, room(1.4)])
    kept = read(session, said)
    (take,) = voice.takes()
    assert kept.take == take
    assert (take.emotion, take.prompt_id, take.prompt) == ("neutral", "neutral-0", LINES[0].text)
    assert (take.session, take.device) == (session.id, HERE.device)
    assert (take.sample_rate, take.channels) == (RATE, 1)
    assert take.seconds == len(said) / RATE
    samples, rate = soundfile.read(take.original, dtype="float32")
    assert rate == RATE
    assert np.abs(samples - said).max() <= 0.5 / tape.FULL
    assert kept.levels.said == pytest.approx(len(speech) / RATE, rel=0.3)
    for path in voice.path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert tree(session.path) == ["manifest.json"]


def test_the_next_day_goes_on_at_the_same_sentence(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    read(session, speech)
    session.skip()
    assert current(session) == "neutral-2"
    later = begin(voice)
    assert later.id != session.id
    assert current(later) == "neutral-2"  # what was skipped comes last
    read(later, speech + room(len(speech) / RATE)[: len(speech)])
    assert current(later) == "neutral-1"
    progress = later.script.progress()[0]
    assert (progress.read, progress.sentences) == (2, 3)
    first, second = record.past(voice)
    assert (first.id, second.id) == (session.id, later.id)
    assert first.conditions == HERE
    assert first.skipped == {"neutral-1"}
    assert progress.said == pytest.approx(sum([*first.said.values(), *second.said.values()]))


def test_a_retake_takes_the_place_of_the_first(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    first = read(session, speech).take
    assert session.script.retake()
    recording = session.start()
    hear(recording, speech * np.float32(0.5))
    assert [take.id for take in voice.takes()] == [first.id]  # until the new one is safe
    second = session.keep(recording).take
    assert [take.id for take in voice.takes()] == [second.id]
    assert [take.id for take in session.kept] == [second.id]
    assert second.prompt_id == "neutral-0"
    assert current(session) == "neutral-1"
    assert current(begin(voice)) == "neutral-1"


def test_beginning_anew_keeps_nothing_of_it(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    recording = session.start()
    hear(recording, speech)
    session.discard(recording)
    assert tree(session.path) == ["manifest.json"]
    read(session, speech)
    assert len(voice.takes()) == 1


def test_a_take_is_graded_at_once(voice: Voice, speech: np.ndarray) -> None:
    judged: list[Take] = []
    grade = Grade("C", (Reason("noise", "C", "the room is loud", "close the window"),))

    def judge(take: Take) -> Grade:
        judged.append(take)
        assert soundfile.info(take.original).samplerate == RATE
        return grade

    session = begin(voice, judge)
    kept = read(session, speech)
    assert (kept.grade, judged) == (grade, [kept.take])
    assert session.grades == {kept.take.id: "C"}


def test_a_judge_that_fails_loses_nothing(voice: Voice, speech: np.ndarray) -> None:
    def judge(take: Take) -> Grade:
        raise TwinError("too short to judge")

    assert read(begin(voice, judge), speech).grade is None
    assert len(voice.takes()) == 1


def test_an_interrupted_take_is_kept_and_its_sentence_comes_again(
    voice: Voice, speech: np.ndarray
) -> None:
    """A device unplugged mid-take, Ctrl-C, a pause."""
    session = begin(voice)
    recording = session.start()
    hear(recording, speech[: RATE * 2])
    take = session.interrupt(recording)
    assert take is not None
    assert (take.prompt, take.prompt_id, take.emotion) == ("", "", "neutral")
    assert take.seconds == 2.0
    assert current(session) == "neutral-0"
    later = begin(voice)
    assert current(later) == "neutral-0"
    lasted = recording.meter.levels().lasted
    assert later.script.progress()[0].said == pytest.approx(lasted, abs=0.01)
    assert tree(session.path) == ["manifest.json"]


def whisper(session: Session, above: float, seconds: float) -> Recording:
    """A sound like a whisper, so many dB over the room: 1.5 s of the room, the whisper, 1.5 s."""
    recording = session.start()
    hear(recording, room(1.5))
    said = room(seconds, seed=1) * np.float32(10 ** (above / 20)) + room(seconds, seed=2)
    hear(recording, said)
    return recording


@pytest.fixture
def whispering(voice: Voice) -> Session:
    script = record.script(voice, [Line(f"whispered-{n}", "whispered") for n in range(3)], [])
    return Session(voice, HERE, script)


@pytest.mark.parametrize("above", [6.0, 6.5])
def test_a_whisper_ends_by_itself_and_counts(whispering: Session, above: float) -> None:
    """V1's whispered takes lie a few dB over the room."""
    recording = whisper(whispering, above, 5.0)
    assert not recording.over()
    hear(recording, room(1.5))
    assert recording.over()
    assert whispering.heard(recording) == pytest.approx(5.0, abs=0.1)
    kept = whispering.keep(recording)
    assert kept.seconds == pytest.approx(5.0, abs=0.1)
    assert kept.take.prompt_id == "whispered-0"


@pytest.mark.parametrize("above", [-6.0, 6.0])
def test_an_interrupted_whisper_is_kept(voice: Voice, whispering: Session, above: float) -> None:
    """Whatever the meter has heard: q, p, e, Ctrl-C, and a microphone unplugged end here."""
    take = whispering.interrupt(whisper(whispering, above, 6.5))
    assert voice.takes() == [take]
    assert take is not None
    assert take.seconds == 8.0


def test_who_tells_a_whisper_from_the_room_is_asked_when_the_meter_is_deaf(voice: Voice) -> None:
    asked: list[Path] = []

    def speaks(path: Path) -> float:
        asked.append(path)
        assert soundfile.info(path).duration == 4.0
        return 2.5

    session = Session(voice, HERE, record.script(voice, LINES, []), speaks=speaks)
    recording = session.start()
    hear(recording, room(4))
    assert session.heard(recording) == 2.5
    assert session.keep(recording).seconds == 2.5
    assert session.script.progress()[0].said == 2.5
    assert {path.name for path in asked} == {"neutral.wav"}


def test_speech_that_the_meter_hears_is_asked_about_of_nobody(
    voice: Voice, speech: np.ndarray
) -> None:
    def speaks(path: Path) -> float:
        raise AssertionError

    session = Session(voice, HERE, record.script(voice, LINES, []), speaks=speaks)
    assert read(session, speech).seconds > 2


def test_a_file_that_cannot_be_asked_about_is_kept(voice: Voice) -> None:
    def speaks(path: Path) -> float:
        raise TwinError("cannot be read")

    session = Session(voice, HERE, record.script(voice, LINES, []), speaks=speaks)
    recording = session.start()
    hear(recording, room(2))
    assert session.interrupt(recording) is not None


def test_the_second_reading_stands_beside_the_first(voice: Voice, speech: np.ndarray) -> None:
    """V2: whoever reads quickly has read all before the minutes are full."""
    session = begin(voice)
    for n in range(3):
        read(session, speech[: RATE * 2 + n])
    later = begin(voice)
    assert current(later) == "neutral-0"
    assert later.script.progress()[0].reading == 2
    again = read(later, speech[: RATE * 2 + 3]).take
    assert len(voice.takes()) == 4
    assert later.script.retake()
    retaken = read(later, speech[: RATE * 2 + 4]).take
    ids = [take.id for take in voice.takes() if take.prompt_id == "neutral-0"]
    assert len(ids) == 2
    assert retaken.id in ids
    assert again.id not in ids
    progress = begin(voice).script.progress()[0]
    assert (progress.reading, progress.read) == (2, 1)
    said = [seconds for past in record.past(voice) for seconds in past.said.values()]
    assert progress.said == pytest.approx(sum(said))


@pytest.mark.parametrize("samples", [room(0.0), room(0.01), np.zeros(RATE * 3, np.float32)])
def test_of_a_take_in_which_there_is_no_sound_nothing_is_kept(
    voice: Voice, samples: np.ndarray
) -> None:
    session = begin(voice)
    recording = session.start()
    hear(recording, samples)
    assert session.interrupt(recording) is None
    assert voice.takes() == []
    assert tree(session.path) == ["manifest.json"]


def test_an_interruption_right_after_a_take_was_kept(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    recording = session.start()
    hear(recording, speech)
    session.keep(recording)
    assert session.interrupt(recording) is None
    assert len(voice.takes()) == 1


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from aitwin.voice import record, voices
from tests.voice.test_record import HERE, begin
voice = voices.open_(Path(sys.argv[1]), "ana")
recording = begin(voice).start()
samples = np.load(sys.argv[2])
for at in range(0, len(samples), 960):
    recording.hear(samples[at : at + 960, None])
print("said", flush=True)
time.sleep(60)
"""


def test_a_killed_session_leaves_what_was_said(
    voice: Voice, speech: np.ndarray, tmp_path: Path
) -> None:
    """kill -9 mid-take."""
    np.save(tmp_path / "said.npy", speech)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, voice.path.parent, tmp_path / "said.npy"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "said\n"
        process.send_signal(signal.SIGKILL)
    (left,) = voice.path.glob("sessions/*/neutral.wav")
    assert len(soundfile.read(left)[0]) == len(speech)  # readable as it lies there
    (take,) = record.recover(voice)
    assert (take.emotion, take.prompt_id, take.session) == ("neutral", "", left.parent.name)
    samples, _ = soundfile.read(take.original, dtype="float32")
    assert np.abs(samples - speech).max() <= 0.5 / tape.FULL
    assert not left.exists()
    assert record.recover(voice) == []
    assert current(begin(voice)) == "neutral-0"


def test_recovery_keeps_a_whisper(voice: Voice) -> None:
    session = begin(voice)
    left = tape.Tape(session.path / "whispered.wav", RATE, 1)
    left.write(room(8)[:, None] * np.float32(10 ** (2 / 20)))  # -63 dBFS
    left.close()
    (take,) = record.recover(voice)
    assert (take.emotion, take.seconds) == ("whispered", 8.0)


def test_recovery_leaves_alone_what_is_not_ours(voice: Voice) -> None:
    session = begin(voice)
    (session.path / "notes.wav").write_bytes(b"of the owner" * 9)
    assert record.recover(voice) == []
    assert tree(session.path) == ["manifest.json", "notes.wav"]


def test_recovery_tells_sound_from_nothing(voice: Voice) -> None:
    session = begin(voice)
    zeros = np.zeros(RATE * 2, np.float32)
    for name, samples in (("neutral", zeros), ("happy", room(0)), ("tired", room(0.2)),
                          ("consent", room(2))):  # fmt: skip
        left = tape.Tape(session.path / f"{name}.wav", RATE, 2)
        left.write(np.stack([samples, samples], axis=1))
        left.close()
    (session.path / "sad.wav").write_bytes(b"RIFF")  # killed while it was opened
    assert record.recover(voice) == []
    assert tree(session.path) == ["manifest.json"]


def test_recovery_reads_the_levels_that_were_said(voice: Voice, speech: np.ndarray) -> None:
    """Two channels, one of them dead; negative samples keep their sign."""
    session = begin(voice)
    left = tape.Tape(session.path / "happy.wav", RATE, 2)
    left.write(np.stack([np.zeros_like(speech), speech], axis=1))
    left.close()
    (take,) = record.recover(voice)
    assert (take.channels, take.seconds) == (2, len(speech) / RATE)


class FullDiskError(OSError):
    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("part", ["write_manifest", "building"])
def test_a_full_disk_loses_no_take(
    voice: Voice, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    session = begin(voice)
    recording = session.start()
    hear(recording, speech)

    def full(*_: object) -> None:
        raise FullDiskError

    with monkeypatch.context() as patched:
        patched.setattr(artifact, part, full)
        with pytest.raises(OSError, match="No space"):
            session.keep(recording)
        with pytest.raises(OSError, match="No space"):
            session.interrupt(recording)
    assert tree(session.path) == ["manifest.json", "neutral.wav"]
    (take,) = record.recover(voice)  # the next time, when there is room again
    assert take.seconds == len(speech) / RATE
    assert current(begin(voice)) == "neutral-0"


def test_two_sessions_of_one_voice_do_not_mix(voice: Voice) -> None:
    with record.alone(voice):
        with pytest.raises(TwinError, match="in another window"), record.alone(voice):
            pass
        other = voices.create(voice.path.parent, "bea")
        with record.alone(other):
            assert (other.path / "sessions").is_dir()
    with record.alone(voice):
        pass


def test_sessions_of_the_same_second_are_two(voice: Voice) -> None:
    ids = [begin(voice).id for _ in range(3)]
    assert len(set(ids)) == 3
    assert [session.id for session in record.past(voice)] == sorted(ids)


def test_a_damaged_session_does_not_stop_the_next(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    read(session, speech)
    (session.path / "manifest.json").write_text("{}")
    later = begin(voice)
    assert [past.id for past in record.past(voice)] == [later.id]
    assert current(later) == "neutral-1"
    assert later.script.progress()[0].said == pytest.approx(len(speech) / RATE)


def test_files_that_were_added_count_towards_the_hour(voice: Voice, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "memo.wav", room(5), RATE)
    values = {"emotion": "sad", "seconds": 200.0, "sample_rate": RATE, "channels": 1}
    voice.add(tmp_path / "memo.wav", values)
    progress = {one.emotion: one for one in begin(voice).script.progress()}
    assert progress["sad"].said == 200
    assert progress["sad"].read == 0
    assert progress["sad"].asked == EMOTIONS["sad"].minutes * 60


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (HERE, ()),
        (replace(HERE, noise=-60.0, speech=-30.0), ()),
        (replace(HERE, device="Headset"), ("another microphone",)),
        (replace(HERE, sample_rate=44_100), ("44,100 Hertz",)),
        (replace(HERE, noise=-50.0), ("15 dB louder",)),
        (replace(HERE, noise=-75.0), ("10 dB quieter",)),
        (replace(HERE, speech=-33.0), ("voice is 8 dB quieter",)),
        (replace(HERE, device="B", noise=-50, speech=-17), ("another", "room", "voice")),
    ],
)
def test_what_changed_since_the_last_day_is_told(now: Conditions, said: Sequence[str]) -> None:
    """V2: one microphone, one room."""
    changes = now.changes(HERE)
    assert len(changes) == len(said)
    for words, change in zip(said, changes, strict=True):
        assert words in change


def said_consent(session: Session, samples: np.ndarray) -> tuple[Recording, str]:
    sentence = consent.sentence("Ana", TODAY)
    recording = session.start_consent(sentence)
    hear(recording, samples)
    return recording, sentence


def spoken(voice: Voice) -> Iterable[str]:
    return tree(voice.path / "consent")


def test_a_consent_that_was_heard_is_kept(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    long = np.concatenate([speech] * 3)
    recording, sentence = said_consent(session, long)
    given = session.accept(recording, sentence, TODAY, lambda path, asked: 1.0)
    assert given == consent.load(voice.path / "consent")
    assert given is not None
    assert (given.kind, given.given_on, given.words) == ("spoken", TODAY, 1.0)
    assert spoken(voice) == ["consent.wav", "manifest.json"]
    assert artifact.sha256(voice.path / "consent" / "consent.wav") == given.sha256
    assert tree(session.path) == ["manifest.json"]
    assert voice.takes() == []


def test_without_an_asr_the_consent_says_that_nobody_heard_it(
    voice: Voice, speech: np.ndarray
) -> None:
    session = begin(voice)
    given = session.accept(*said_consent(session, np.concatenate([speech] * 3)), TODAY)
    assert given is not None
    assert given.words is None


@pytest.mark.parametrize("share", [0.0, consent.LEAST_WORDS - 0.01])
def test_other_words_are_no_consent(voice: Voice, speech: np.ndarray, share: float) -> None:
    def hears(path: Path, sentence: str) -> float:
        assert "I am Ana. Today is 29 November 2026." in sentence
        assert soundfile.info(path).duration == pytest.approx(3 * len(speech) / RATE)
        return share

    session = begin(voice)
    for _ in range(record.CONSENT_TRIES):
        recording, sentence = said_consent(session, np.concatenate([speech] * 3))
        assert session.accept(recording, sentence, TODAY, hears) is None
    assert consent.load(voice.path / "consent") is None
    assert tree(session.path) == ["manifest.json"]


def test_silence_is_no_consent(voice: Voice) -> None:
    session = begin(voice)
    assert session.accept(*said_consent(session, room(4)), TODAY) is None
    assert spoken(voice) == []


def test_an_interrupted_consent_is_none(voice: Voice, speech: np.ndarray) -> None:
    session = begin(voice)
    recording, _ = said_consent(session, speech)
    assert session.interrupt(recording) is None
    assert voice.takes() == []
    assert tree(session.path) == ["manifest.json"]


def test_little_room_on_the_disk_is_told(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    assert record.room_left(voice) == ""
    monkeypatch.setattr(record, "SPACE", 1 << 60)
    assert "MB are free" in record.room_left(voice)


def test_a_session_ends_when_all_is_read(voice: Voice, speech: np.ndarray) -> None:
    nearly = {emotion: EMOTIONS[emotion].minutes * 60 - 3 for emotion in ("neutral", "sad")}
    session = Session(voice, HERE, Script(LINES, other=nearly))
    for n in range(4):  # of two seconds each
        read(session, speech[: RATE * 2 + n])
    assert session.script.current is None
    with pytest.raises(ValueError, match="nothing left"):
        session.start()
    read_aloud = [take.prompt_id for take in voice.takes()]
    assert read_aloud == ["neutral-0", "neutral-1", "sad-0", "sad-1"]


def test_a_recording_knows_when_its_sentence_is_over(voice: Voice, speech: np.ndarray) -> None:
    recording = begin(voice).start()
    hear(recording, np.concatenate([room(2.0), speech]))
    assert not recording.over()
    hear(recording, room(soundcheck.REST + 0.1))
    assert recording.over()
    recording.tape.close()


def test_nothing_private_is_in_a_repr(voice: Voice, speech: np.ndarray) -> None:
    """P4: no prompt, no name of a device."""
    session = begin(voice)
    kept = read(session, speech)
    shown = repr([kept, session.conditions, record.past(voice), session.kept])
    assert CANARY not in shown


def compared(voice: Voice, likeness: float) -> None:
    """A profile that has compared the consent of now with the takes."""
    given = consent.load(voice.path / "consent")
    assert given is not None
    made = profile.VoiceProfile(
        path=profile.path_of(voice),
        manners={},
        grades={},
        standings={},
        unprepared=0,
        pooled=None,
        utterances=None,
        base=None,
        consent=replace(given, sentence="", likeness=likeness),
        consent_sha256=artifact.sha256(voice.path / "consent" / artifact.MANIFEST),
        inputs={},
        versions={},
    )
    profile._store(made)


def give(voice: Voice, words: float = 1.0) -> None:
    given = consent.Consent("spoken", TODAY, consent.sentence("Ana", TODAY), "0" * 64, words)
    consent.store(voice.path / "consent", given)


def test_a_consent_without_doubts(voice: Voice) -> None:
    assert record.consent_doubts(voice) == ()  # there is none
    give(voice)
    assert record.consent_doubts(voice) == ()  # nobody has compared it
    compared(voice, consent.LEAST_LIKENESS + 0.05)
    assert record.consent_doubts(voice) == ()


def test_a_consent_of_somebody_else_is_doubted_until_it_is_given_anew(voice: Voice) -> None:
    give(voice)
    compared(voice, consent.LEAST_LIKENESS - 0.05)
    (doubt,) = record.consent_doubts(voice)
    assert "somebody else" in doubt
    give(voice, words=0.9)  # another one: what was compared is not it
    assert record.consent_doubts(voice) == ()


@pytest.mark.parametrize("damaged", ["{", "{}", "[]", ""])
def test_a_damaged_consent_is_none(voice: Voice, damaged: str) -> None:
    give(voice)
    (voice.path / "consent" / artifact.MANIFEST).write_text(damaged)
    assert "damaged" in record.consent_doubts(voice)[0]


def test_a_damaged_profile_says_nothing_of_the_consent(voice: Voice) -> None:
    give(voice, words=0.5)
    compared(voice, 0.2)
    (voice.path / "profile" / artifact.MANIFEST).write_text("{")
    (doubt,) = record.consent_doubts(voice)
    assert "words" in doubt
