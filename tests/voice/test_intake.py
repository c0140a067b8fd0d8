"""Recordings decoded once before they become takes: how long they are, and how long they may be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.voice import intake
from aitwin.voice.intake import TooLongError, TooShortError
from aitwin.voice.sound_file import Recording

RATE = 48_000


def sound(seconds: float, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (round(seconds * RATE), channels))


def written(path: Path, seconds: float = 4.0, rate: int = RATE, channels: int = 1) -> Path:
    soundfile.write(path, sound(seconds, channels), rate, subtype="PCM_16")
    return path


def test_a_wav_and_its_flac_are_one_recording(tmp_path: Path) -> None:
    one = written(tmp_path / "a.wav", channels=2)
    soundfile.write(tmp_path / "a.flac", *soundfile.read(one), subtype="PCM_16")
    first, second = (intake.of(tmp_path / name) for name in ("a.wav", "a.flac"))
    assert first.sound == second.sound
    assert (first.suffix, second.suffix) == (".wav", ".flac")
    assert first.values == {
        "seconds": 4.0,
        "sample_rate": RATE,
        "channels": 2,
        "sound": first.sound,
    }
    assert intake.of(written(tmp_path / "b.wav", 4.1)).sound != first.sound


def test_what_is_too_short_or_too_long_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav")
    assert intake.of(path, least=4.0, longest=4.0).seconds == 4.0
    with pytest.raises(TooShortError, match=r"4\.00 seconds of sound; 4\.1 are the least"):
        intake.of(path, least=4.1)
    with pytest.raises(TooLongError):
        intake.of(path, longest=3.9)


def test_no_more_is_decoded_than_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may unpack to days, and need not say so; channels and rates count, too."""
    opened, blocks, decoded = Recording.__post_init__, Recording.blocks, []

    def unstated(self):
        opened(self)
        self.info = replace(self.info, seconds=None)

    def counted(self, seconds=10.0):
        for block in blocks(self, 1.0):
            decoded.append(len(block) / self.info.sample_rate)
            yield block

    monkeypatch.setattr(Recording, "__post_init__", unstated)
    monkeypatch.setattr(Recording, "blocks", counted)
    for channels, most in ((1, 10.0), (8, 5.0)):
        path = written(tmp_path / f"{channels}.wav", 30, channels=channels)
        decoded.clear()
        with pytest.raises(TooLongError):
            intake.of(path, longest=10.0)
        assert most <= sum(decoded) <= most + 1


def test_a_copy_is_what_was_decoded(tmp_path: Path) -> None:
    """For who listens to it again and again; held at full scale."""
    path = tmp_path / "a.wav"
    loud = 1.5 * sound(3.0, 2) / 0.1
    soundfile.write(path, loud, RATE, subtype="FLOAT")
    found = intake.of(path, copy=tmp_path / "copy")
    copied, rate = soundfile.read(tmp_path / "copy")
    assert soundfile.info(tmp_path / "copy").format == "FLAC"
    assert (rate, copied.shape) == (RATE, loud.shape)
    assert np.abs(copied - np.clip(loud, -1, 1)).max() < 1e-6
    assert found.seconds == 3.0
