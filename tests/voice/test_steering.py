"""Steering: what is asked for, and what is heard of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aitwin.errors import TwinError
from aitwin.voice import loudness, phonemes, pitch, steering
from aitwin.voice.audio import Utterance
from aitwin.voice.heard import RATE
from aitwin.voice.profile import Manner, Prosody, VoiceProfile
from aitwin.voice.steering import Steering
from tests.voice.sounds import BUNDLED, SENTENCES, sentence, silence
from tests.voice.test_timbre import Reader

BASE = Prosody(
    rate=4.0,
    pitch=200.0,
    pitch_low=160.0,
    pitch_high=240.0,
    level=-20.0,
    level_low=-22.0,
    level_high=-18.0,
    pause=None,
    pause_high=None,
)
CALM = replace(BASE, rate=4.4, pitch=120.0, pitch_low=100.0, pitch_high=140.0, level=-40.0)


def manner(prosody: Prosody, seconds: float = 60.0) -> Manner:
    return Manner(1, seconds, 0, prosody, None, None)


def profile(**moods: Prosody) -> VoiceProfile:
    return VoiceProfile(
        path=Path("voices/ana/profile"),
        manners={emotion: manner(prosody) for emotion, prosody in moods.items()},
        standings={},
        grades={},
        unprepared=0,
        pooled=None,
        utterances=None,
        base=None,
        consent=None,
        consent_sha256="",
        inputs={},
        versions={},
    )


# --- What is asked for --------------------------------------------------------------------------


def test_of_takes_the_base_to_the_owners_register() -> None:
    found = steering.of(profile(neutral=CALM), "neutral", BASE)
    assert found.rate == pytest.approx(1.1)
    assert found.pitch == pytest.approx(0.6)
    assert found.spread == pytest.approx(np.log(1.4) / np.log(1.5))
    # How loud a microphone was set says nothing of anybody's energy.
    assert found.energy == 1
    assert steering.of(profile(neutral=CALM), "", BASE) == found


def test_within_takes_the_owners_calm_to_their_mood() -> None:
    angry = replace(CALM, rate=5.5, pitch=150.0, pitch_low=110.0, pitch_high=200.0, level=-37.0)
    moods = profile(neutral=CALM, angry=angry)
    found = steering.within(moods, "angry")
    assert found.rate == pytest.approx(1.25)
    assert found.pitch == pytest.approx(1.25)
    assert found.spread == steering.SPREADS[1]
    assert found.energy == pytest.approx(10 ** (3 / 20))
    assert steering.within(moods, "neutral") == steering.within(moods, "") == Steering()
    assert steering.of(moods, "angry", BASE).energy == pytest.approx(10 ** (3 / 20))


def test_without_a_neutral_take_the_mood_with_most_speech_is_the_usual_one() -> None:
    sad = replace(CALM, rate=3.3)
    moods = profile(happy=CALM, sad=sad)
    moods.manners["sad"] = manner(sad, seconds=600)
    assert steering.within(moods, "") == Steering()
    assert steering.within(moods, "happy").rate == pytest.approx(4.4 / 3.3)


def test_what_was_not_measured_stays_as_it_is() -> None:
    nothing = Prosody(**dict.fromkeys(vars(BASE)))
    assert steering.of(profile(neutral=nothing), "neutral", BASE) == Steering()
    assert steering.of(profile(neutral=CALM), "neutral", nothing) == Steering()


def test_nothing_goes_beyond_what_the_base_can_do() -> None:
    far = replace(CALM, rate=40.0, pitch=900.0, pitch_low=100.0, pitch_high=1600.0, level=0.0)
    moods = profile(neutral=CALM, happy=far)
    found = steering.of(moods, "happy", BASE)
    assert (found.rate, found.pitch, found.spread, found.energy) == (1.4, 2.0, 1.4, 2.0)


def test_a_mood_that_was_never_recorded_is_an_error_with_what_there_is() -> None:
    moods = profile(neutral=CALM, happy=CALM)
    for ask in (lambda: steering.of(moods, "sad", BASE), lambda: steering.within(moods, "sad")):
        with pytest.raises(TwinError, match=r"ana has no usable take read sad; .*neutral, happy"):
            ask()
    with pytest.raises(TwinError, match="there are none"):
        steering.of(profile(), "", BASE)


@pytest.mark.parametrize(
    ("prosody", "breath"),
    [
        (replace(CALM, pitch=None, pitch_low=None, pitch_high=None), True),
        # Breath passes for a pitch here and there, all over the place.
        (replace(CALM, pitch=250.0, pitch_low=90.0, pitch_high=500.0), True),
        (CALM, False),  # soft, with a voice
    ],
)
def test_a_whisper_is_told_from_soft_speech(prosody: Prosody, breath: bool) -> None:
    moods = profile(neutral=CALM, whispered=prosody)
    assert steering.of(moods, "whispered", BASE).whispered is breath
    assert steering.within(moods, "whispered").whispered is breath


# --- What is heard ------------------------------------------------------------------------------


def said(number: int = 4) -> Utterance:
    return Utterance(sentence(number), RATE, "something private")


def melody(samples: np.ndarray) -> tuple[float, float]:
    """Median, Hertz, and the octaves between the tenth and the ninetieth percentile."""
    found = np.log2(pitch.track(samples))
    low, middle, high = np.nanquantile(found, (0.1, 0.5, 0.9))
    return float(2**middle), float(high - low)


def decibels(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


def test_steering_that_changes_nothing_gives_back_the_utterance() -> None:
    utterance = said()
    assert Steering().apply(utterance) is utterance
    assert Steering(rate=1.3).apply(utterance) is utterance  # the base speaker's to follow


@pytest.mark.parametrize(("factor", "spread"), [(0.7, 1.0), (1.3, 1.0), (1.0, 0.6), (1.2, 1.4)])
def test_pitch_and_range_are_what_was_asked_for(factor: float, spread: float) -> None:
    utterance = said()
    steered = Steering(pitch=factor, spread=spread).apply(utterance)
    assert steered.text == utterance.text
    assert len(steered.samples) == len(utterance.samples)
    before, after = melody(utterance.samples), melody(steered.samples)
    assert after[0] / before[0] == pytest.approx(factor, rel=0.03)
    assert after[1] / before[1] == pytest.approx(spread, rel=0.15)


def test_energy_is_amplitude_and_peaks_stay_below_the_ceiling() -> None:
    utterance = said()
    soft = Steering(energy=0.5).apply(utterance).samples
    assert decibels(soft) == pytest.approx(decibels(utterance.samples) - 6.02, abs=0.05)
    loud = Utterance(utterance.samples / np.abs(utterance.samples).max(), RATE)
    held = Steering(energy=2.0).apply(loud).samples
    assert loudness.true_peak(held, RATE) <= steering.CEILING + 0.05


def test_any_rate_goes_in() -> None:
    utterance = BUNDLED.speak(SENTENCES[4], seed=4)
    assert utterance.sample_rate == 24_000
    steered = Steering(pitch=0.8).apply(utterance)
    assert steered.sample_rate == RATE
    assert steered.seconds == pytest.approx(utterance.seconds, abs=0.001)


@pytest.mark.parametrize("samples", [0, 1, 200, 5_000])
def test_silence_and_scraps_survive(samples: int) -> None:
    everything = Steering(pitch=1.2, spread=1.3, energy=1.5)
    for steered in (everything, replace(everything, whispered=True)):
        for sound in (silence(1)[:samples], sentence(0)[3_000 : 3_000 + samples]):
            found = steered.apply(Utterance(sound, RATE)).samples
            assert len(found) == samples


def test_a_whisper_has_no_pitch_and_is_softer() -> None:
    utterance = said(5)
    whispered = Steering(whispered=True).apply(utterance).samples
    assert len(whispered) == len(utterance.samples)
    voiced = np.isfinite(pitch.track(utterance.samples)).mean()
    assert np.isfinite(pitch.track(whispered)).mean() < 0.05 < 0.3 < voiced
    assert -8 < decibels(whispered) - decibels(utterance.samples) < -2
    assert (whispered == Steering(whispered=True).apply(utterance).samples).all()


def test_words_are_understood_steered_and_whispered() -> None:
    from aitwin.voice.transcribe import Transcriber

    ears = Transcriber.load()
    for steered in (Steering(pitch=0.7, spread=1.3), Steering(whispered=True)):
        heard = ears.words(steered.apply(said(4)).samples)
        text = " ".join(word.text.strip() for word in heard).strip(".").lower()
        assert text == SENTENCES[4].strip(".").lower()


# --- The base speaker's own manner ----------------------------------------------------------------


def test_a_base_speakers_manner_is_measured_once(tmp_path: Path) -> None:
    found = steering.manner(BUNDLED, tmp_path)
    assert found.pitch == pytest.approx(196, abs=8)
    assert found.pitch_low is not None
    assert found.pitch_high is not None
    assert found.pitch_low < 196 < found.pitch_high
    again = steering.manner(BUNDLED, tmp_path)
    assert again == found
    # By the clock: syllables over the length of the sound, whose ends and commas are silent.
    sounds = [(SENTENCES[number], sentence(number)) for number in range(4)]
    prosody = steering.measure(sounds)
    plain = sum(phonemes.syllables(text) for text, _ in sounds) / (
        sum(len(sound) for _, sound in sounds) / RATE
    )
    assert prosody.rate == pytest.approx(plain, rel=0.15)


def test_another_base_speaker_is_measured_anew(tmp_path: Path) -> None:
    reader = Reader()
    steering.manner(reader, tmp_path)
    spoken = len(reader.said)
    steering.manner(reader, tmp_path)
    assert len(reader.said) == spoken + 1
    steering.manner(Reader(hertz=210), tmp_path)
    (kept,) = tmp_path.iterdir()
    (kept / "manifest.json").write_text("{}")
    steering.manner(reader, tmp_path)
    assert len(reader.said) == 2 * spoken + 1
