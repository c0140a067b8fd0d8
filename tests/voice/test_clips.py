"""Clips: what is heard of a short recording, and what speaks like it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aitwin.errors import TwinError
from aitwin.voice import clips, reference
from aitwin.voice import profile as profiles
from aitwin.voice.engines import Reference
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.studio import Studio, Weights
from aitwin.voice.vad import Detector
from tests.voice.sounds import noise, silence, speech
from tests.voice.test_studio import (
    clips as recordings,
)
from tests.voice.test_studio import one_thread, random_weights, short, voice  # noqa: F401

DETECTOR = Detector()


def test_speech_alone_is_heard_and_no_more_than_is_of_use() -> None:
    """What is said in any room, between rests of any length, for at most HEARD seconds."""
    said = speech(3, rest=2.0, edge=3.0)
    clip = clips.of([said.samples], DETECTOR)
    words = sum(stop - start for start, stop in said.spans) / RATE
    assert words - 0.5 < clip.seconds < words + 3 * 2 * clips.GUARD + 0.5
    assert 150 < clip.timbre.pitch < 250
    assert clip.embedding is None
    long = [speech(10).samples] * 2
    assert clips.of(long, DETECTOR).seconds == pytest.approx(clips.HEARD, abs=0.01)
    assert not clips.of(long, DETECTOR).is_short


def test_no_more_is_read_than_is_looked_at() -> None:
    """A clip may be ten minutes long: nobody waits for the rest."""
    read = []

    def blocks() -> Any:
        for number in range(60):
            read.append(number)
            yield speech(3).samples if number == 0 else silence(10)

    clips.of(blocks(), DETECTOR)
    assert len(read) * 10 <= clips.LOOKED + 10


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.zeros(0, np.float32), "0.0 s of speech"),
        (silence(5), "0.0 s of speech"),
        (speech(1).samples[: round(1.2 * RATE)], "s of speech, and 2 s are the least"),
    ],
)
def test_too_little_is_refused(samples: Any, told: str) -> None:
    with pytest.raises(TwinError, match=told):
        clips.of([samples], DETECTOR)


def test_what_has_no_voice_is_refused() -> None:
    """A whisper, or music that the detector took for speech."""
    with pytest.raises(TwinError, match="too little of a voice"):
        clips.of_speech(noise(4, -30))


def test_the_same_clip_has_the_same_digest_and_another_encoder_another(
    shared: Path,
    random_weights: Weights,  # noqa: F811
) -> None:
    assert random_weights.openvoice is not None
    encoder = ReferenceEncoder.load(random_weights.openvoice / "checkpoint.pth")
    samples = recordings(shared, "3331")[0]
    one, same, other = (clips.of_speech(samples, by) for by in (None, None, encoder))
    assert one.digest == same.digest != other.digest
    assert other.embedding is not None


def test_the_converter_speaks_like_a_clip_where_its_weights_are(
    shared: Path,
    random_weights: Weights,  # noqa: F811
) -> None:
    """S1: cloned, and marked; why nothing better does is told; MeloTTS would, with its weights."""
    studio = Studio(random_weights)
    clip = studio.listen([np.concatenate(recordings(shared, "3331"))])
    assert clip.embedding is not None
    speech_ = studio.speech_like(clip)
    cast: Any = speech_.speaker
    assert (cast.engine, cast.cloned, cast.approximate) == ("bundled+openvoice", True, False)
    assert [one.engine for one in cast.passed] == ["melotts+openvoice"]
    assert "reference clip" in cast.describe()
    assert np.array_equal(cast.speaker.target, clip.embedding)
    assert next(speech_.stream("No sugar.")).samples.any()
    matched: Any = studio.speech_like(clip, engine="bundled+match").speaker
    assert (matched.engine, matched.cloned, matched.approximate) == ("bundled+match", False, True)


def test_an_engine_of_another_package_gets_the_clip() -> None:
    """As it gets a stretch of a voice: the sound, and no words that nobody knows."""
    opened: list[Reference | None] = []

    class Foreign:
        name, title, licence, clones = "foreign", "an engine", "MIT", True
        cloned = True

        def lacking(self) -> str:
            return ""

        def open(self, heard: Reference | None) -> "Foreign":
            opened.append(heard)
            return self

        def describe(self) -> str:
            return "somebody"

        def speak(self, sentence: str, **how: Any) -> None:
            raise AssertionError("nobody asked")

    studio = Studio(more=(Foreign(),))  # type: ignore[arg-type]
    clip = studio.listen([speech(2).samples])
    assert studio.speech_like(clip, engine="foreign").speaker.name == "foreign"
    (heard,) = opened
    assert heard is not None
    assert (heard.sample_rate, heard.text) == (RATE, "")
    assert np.array_equal(heard.samples, clip.samples)
    with pytest.raises(TwinError, match="no engine of that name speaks like a clip"):
        studio.speech_like(clip, engine="bundled")


def test_a_voice_of_seconds_speaks_from_its_best_utterances(
    voice: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """V1: with consent alone; in the manner of the emotion that is asked for."""
    profiles.build(voice, None)
    monkeypatch.setattr(profiles, "LEAST_SPEECH", 1_000.0)
    studio = Studio(voices=lambda: voice.path.parent)
    assert studio.speech(voice).speaker.engine == "bundled"  # type: ignore[attr-defined]
    cast: Any = studio.speech_however_little(voice, emotion="sad").speaker
    assert (cast.engine, cast.voice, cast.emotion) == ("bundled+match", "ana", "sad")
    made = profiles.load(profiles.path_of(voice))
    sad = reference.of(voice, made, "sad").samples
    assert len(cast.clip.samples) <= len(sad)
    (voice.path / "consent" / "manifest.json").unlink()
    with pytest.raises(TwinError, match="no consent"):
        cast.speak("No.")
    assert studio.speech_however_little(voice).speaker.engine == "bundled"  # type: ignore[attr-defined]


def test_what_is_loaded_beforehand_is_not_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3: the first who asks waits for nothing that is common to all."""
    from aitwin.voice import timbre

    studio = Studio()
    studio.warm()
    measured = []
    monkeypatch.setattr(timbre, "of_speaker", lambda *how: measured.append(how))
    clip = studio.listen([speech(2).samples])
    assert next(studio.speech_like(clip).stream("No sugar.")).samples.any()
    assert measured == []
