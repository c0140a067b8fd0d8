from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import voices
from aitwin.voice.audio import trim
from aitwin.voice.engines import Bundled
from aitwin.voice.judge import Judge
from aitwin.voice.voices import Take

RATE = 24_000
Keep = Callable[[np.ndarray], Take]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def reading() -> np.ndarray:
    """Six seconds of speech in a quiet room."""
    text = "The kettle is on, and the cat sits by the stove, while the rain runs down the window."
    said = trim(Bundled().speak(text, seed=1)).samples
    room = np.random.default_rng(0).normal(0, 10 ** (-66 / 20), len(said) + RATE)
    room[RATE // 2 : RATE // 2 + len(said)] += said
    return room.astype(np.float32)


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    def add(samples: np.ndarray) -> Take:
        soundfile.write(tmp_path / "take.wav", samples, RATE, subtype="PCM_24")
        values = {"emotion": "neutral", "seconds": len(samples) / RATE, "sample_rate": RATE}
        values |= {"channels": 1, "prompt": "The kettle is on.", "prompt_id": "neutral-1"}
        return voices.create(tmp_path / "voices", "ana").add(tmp_path / "take.wav", values)

    return add


def test_a_good_reading_is_good(judge: Judge, keep: Keep, reading: np.ndarray) -> None:
    assert judge(keep(reading)).letter in "AB"


def test_a_loud_room_is_heard(judge: Judge, keep: Keep, reading: np.ndarray) -> None:
    room = np.random.default_rng(1).normal(0, 10 ** (-38 / 20), len(reading))
    grade = judge(keep(reading + room.astype(np.float32)))
    assert grade.letter in "CD"
    assert "noise" in {reason.what for reason in grade.reasons}


def test_clipping_is_heard(judge: Judge, keep: Keep, reading: np.ndarray) -> None:
    grade = judge(keep(np.clip(reading * 8, -1, 1)))
    assert "clipping" in {reason.what for reason in grade.reasons}


def test_a_take_of_nothing_cannot_be_judged(judge: Judge, keep: Keep) -> None:
    """A session keeps it all the same, ungraded."""
    with pytest.raises(TwinError):
        judge(keep(np.zeros(0, np.float32)))
