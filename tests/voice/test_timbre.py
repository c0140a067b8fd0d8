"""Timbre: measured on the right utterances, kept, and made anew when they change."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import arrays, profile, timbre, voices
from aitwin.voice.audio import Utterance
from aitwin.voice.heard import RATE
from aitwin.voice.profile import VoiceProfile, build
from aitwin.voice.timbre import BANDS, KEPT
from aitwin.voice.voices import Voice
from tests.voice.sounds import noise, sentence, silence
from tests.voice.test_arrays import by_another_method
from tests.voice.test_profile import add
from tests.voice.vowels import vowel


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


@dataclass
class Reader:
    """A base speaker that hums at one pitch, and counts what it says."""

    hertz: float = 150.0
    said: list[str] = field(default_factory=list)
    name: str = "bundled"
    cloned: bool = False

    def describe(self) -> str:
        return "a hum"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        self.said.append(sentence)
        return Utterance(vowel(self.hertz, 0.5) if self.hertz else silence(0.5), RATE, sentence)


def test_pitch_and_colour_of_a_known_sound() -> None:
    found = timbre.measure([vowel(140, 2), silence(0.5), vowel(160, 2)])
    assert found is not None
    assert found.seconds == pytest.approx(4, abs=0.3)
    assert 139 < found.pitch < 161
    assert found.spread == pytest.approx(np.log2(160 / 140) / 2, abs=0.01)
    assert found.vowels.shape[1] == found.hiss.shape[0] == BANDS
    assert found.vowels.mean(axis=1) == pytest.approx(np.zeros(len(found.vowels)), abs=1e-4)
    # The formants at 500 and 1,500 Hertz stand out over the valley between them.
    first, valley, second = np.searchsorted(timbre.CENTRES, [500, 950, 1500])
    mean = found.vowels.mean(axis=0)
    assert mean[first] > mean[valley] + 10
    assert mean[second] > mean[valley] + 5


def test_how_loud_it_was_recorded_says_nothing() -> None:
    one = timbre.measure([sentence(3)])
    other = timbre.measure([sentence(3) * np.float32(0.25)])
    assert one is not None
    assert other is not None
    assert other.pitch == pytest.approx(one.pitch, rel=1e-3)
    assert np.abs(other.vowels.mean(axis=0) - one.vowels.mean(axis=0)).max() < 0.1


@pytest.mark.parametrize("sound", [silence(0), silence(1), noise(2, -20)])
def test_without_a_pitch_there_is_no_timbre(sound: np.ndarray) -> None:
    assert timbre.measure([sound]) is None


def test_hours_are_kept_as_a_sample() -> None:
    found = timbre.measure([vowel(150, 30)])
    assert found is not None
    assert len(found.vowels) == KEPT
    assert found.seconds == pytest.approx(30, abs=0.5)


def test_only_the_owners_usable_utterances_count(voice: Voice) -> None:
    add(voice, [vowel(150, 4), vowel(151, 4)])
    add(voice, [vowel(220, 8)], emotion="happy")
    add(voice, [vowel(400, 8)], letter="D")
    made = build(voice, None)
    assert timbre.of(voice, made, "neutral").pitch == pytest.approx(150.5, abs=1)
    assert timbre.of(voice, made, "happy").pitch == pytest.approx(220, abs=1)
    whole = timbre.of(voice, made)
    assert whole.seconds == pytest.approx(16, abs=0.5)
    assert 150 < whole.pitch < 220
    stranger = voice.takes()[1].id
    standing = profile.Standing("happy", 8, 0.2, "unlike")
    without = replace(made, standings={stranger: standing}, inputs={"another": "profile"})
    assert timbre.of(voice, without).pitch == pytest.approx(150.5, abs=1)


def test_a_mood_with_too_little_is_that_of_all(voice: Voice) -> None:
    add(voice, [vowel(150, 8)])
    add(voice, [vowel(220, 2)], emotion="sad")
    made = build(voice, None)
    whole = timbre.of(voice, made)
    for emotion in ("sad", "angry"):
        assert timbre.of(voice, made, emotion).pitch == whole.pitch


def test_whispers_count_among_all_only_where_there_is_nothing_else(voice: Voice) -> None:
    add(voice, [noise(8, -30)], emotion="whispered")
    with pytest.raises(TwinError, match="0 voiced seconds"):
        timbre.of(voice, build(voice, None), "whispered")
    add(voice, [vowel(150, 8)])
    made = build(voice, None)
    alone = timbre.measure([vowel(150, 8)])
    assert alone is not None
    for emotion in ("", "whispered"):
        assert timbre.of(voice, made, emotion).hiss == pytest.approx(alone.hiss, abs=0.5)


def test_too_little_altogether_is_an_error_that_says_so(voice: Voice) -> None:
    add(voice, [vowel(150, 2)])
    with pytest.raises(TwinError, match=r"ana has too little usable speech .*record"):
        timbre.of(voice, build(voice, None))


def test_it_is_kept_until_the_profile_changes(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(voice, [vowel(150, 8)])
    made = build(voice, None)
    once = timbre.of(voice, made)
    with monkeypatch.context() as patched:
        patched.setattr(timbre, "measure", lambda sounds: pytest.fail("measured again"))
        again = timbre.of(voice, made)
    assert (again.pitch, again.spread, again.seconds) == (once.pitch, once.spread, once.seconds)
    assert (again.vowels == once.vowels).all()
    assert (again.hiss == once.hiss).all()
    add(voice, [vowel(200, 20)])
    changed = build(voice, None)
    assert not timbre.path_of(voice).exists()  # nothing of a take that was dropped stays (P4)
    assert timbre.of(voice, changed).pitch == pytest.approx(200, abs=1)
    profile.remove(voice)
    assert not timbre.path_of(voice).exists()


@pytest.mark.parametrize("spoiled", [timbre.FRAMES, artifact.MANIFEST])
@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04 half"])
def test_what_is_damaged_is_made_anew(voice: Voice, spoiled: str, content: bytes) -> None:
    add(voice, [vowel(150, 8)])
    made = build(voice, None)
    once = timbre.of(voice, made)
    (timbre.path_of(voice) / spoiled).write_bytes(content)
    assert timbre.of(voice, made).pitch == once.pitch
    assert timbre.of(voice, made).pitch == once.pitch


def test_frames_that_no_zip_could_hold_are_made_anew(voice: Voice) -> None:
    add(voice, [vowel(150, 8)])
    made = build(voice, None)
    once = timbre.of(voice, made)
    frames = timbre.path_of(voice) / timbre.FRAMES
    frames.write_bytes(by_another_method(frames))
    assert timbre.of(voice, made).pitch == once.pitch
    assert set(arrays.read(frames)) == {".vowels", ".hiss"}


def test_a_damaged_take_is_an_error_that_names_it(voice: Voice) -> None:
    take = add(voice, [vowel(150, 8)])
    made = build(voice, None)
    sound = voice.prepared_path(take) / "prepared.flac"
    sound.write_bytes(b"fLaC" + bytes(99))
    with pytest.raises(TwinError, match=r"prepared\.flac is missing or damaged"):
        timbre.of(voice, made)


def test_an_hour_is_listened_to_in_places(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    add(voice, [vowel(100 + number, 2) for number in range(20)])
    made: VoiceProfile = build(voice, None)
    monkeypatch.setattr(timbre, "HEARD", 10.0)
    found = timbre.of(voice, made)
    assert found.seconds == pytest.approx(10, abs=1)
    assert found.pitch == pytest.approx(110, abs=3)  # from the whole of it
    assert found.spread > 0.06


def test_nothing_private_is_shown() -> None:
    found = timbre.measure([vowel(150, 2)])
    assert "array" not in repr(found)


def test_a_base_speaker_is_measured_once(tmp_path: Path) -> None:
    reader = Reader()
    once = timbre.of_speaker(reader, tmp_path)
    assert once.pitch == pytest.approx(150, abs=1)
    assert len(reader.said) == timbre.SENTENCES
    again = timbre.of_speaker(reader, tmp_path)
    assert len(reader.said) == timbre.SENTENCES + 1  # one, to see that it is still the same voice
    assert (again.vowels == once.vowels).all()
    assert timbre.of_speaker(Reader(hertz=210), tmp_path).pitch == pytest.approx(210, abs=1)
    manifest = json.loads((tmp_path / "bundled-timbre" / artifact.MANIFEST).read_text())
    assert set(manifest) == {"version", "inputs", "timbres"}


def test_a_base_speaker_without_a_voice_is_an_error() -> None:
    with pytest.raises(TwinError, match="bundled says nothing that has a pitch"):
        timbre.of_speaker(Reader(hertz=0))
