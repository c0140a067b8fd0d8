from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import loudness, prepare, vad, voices
from aitwin.voice.audio import trim
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE as HEARD_RATE
from aitwin.voice.judge import Judge, Reads, assess, loudness_of_speech
from aitwin.voice.listening import listen
from aitwin.voice.mos import Listener
from aitwin.voice.source import Source
from aitwin.voice.voices import Take, Voice

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
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "ana")


@pytest.fixture
def keep(tmp_path: Path, voice: Voice) -> Keep:
    def add(samples: np.ndarray) -> Take:
        soundfile.write(tmp_path / "take.wav", samples, RATE, subtype="PCM_24")
        values = {"emotion": "neutral", "seconds": len(samples) / RATE, "sample_rate": RATE}
        values |= {"channels": 1, "prompt": "The kettle is on.", "prompt_id": "neutral-1"}
        return voice.add(tmp_path / "take.wav", values)

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


def room(samples: np.ndarray, level: float) -> np.ndarray:
    white = np.random.default_rng(2).normal(0, 10 ** (level / 20), len(samples))
    return (samples + white).astype(np.float32)


def reading_of(samples: np.ndarray) -> Reads:
    return lambda start, stop: samples[start:stop]


FAULTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clean": lambda reading: reading,
    "loud room": lambda reading: room(reading, -40),
    "clipped": lambda reading: np.clip(reading * 8, -1, 1),
    # Faint, after a long silence: loud enough or not depends on whether the silence counts.
    "faint": lambda reading: room(np.concatenate([np.zeros(8 * RATE), reading * 0.08]), -92),
    # Long enough for DNSMOS, and with noise that it hears.
    "long": lambda reading: room(np.tile(reading, 4), -45),
    "nobody": lambda reading: room(np.zeros(3 * RATE), -40),
    "a moment": lambda reading: reading[RATE : RATE + 300],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_said_at_once_is_what_prepare_says_later(
    judge: Judge, keep: Keep, voice: Voice, reading: np.ndarray, fault: str
) -> None:
    """Letter, reasons and numbers, where neither other takes nor an ASR are needed."""
    take = keep(FAULTS[fault](reading).astype(np.float32))
    tools = prepare.Tools(vad.Detector(), mos=Listener())
    prepared = prepare.prepare(voice, take, tools)
    assert judge(take) == prepared.grade
    source = Source(take.original)
    samples = np.concatenate(list(source.blocks()))
    heard = listen(samples, tools.detector)
    found = assess(heard, reading_of(samples), source, take_id=take.id, listener=tools.mos)
    # Prepare counts the syllables of the prompt, and lets DNSMOS hear whole utterances.
    assert found == replace(prepared.measures, rate=found.rate, mos=found.mos)
    assert (found.mos is None) == (prepared.measures.mos is None)
    if found.mos is not None:
        assert prepared.measures.mos == pytest.approx(found.mos, abs=0.3)


def test_rests_do_not_count_towards_the_loudness_of_speech(reading: np.ndarray) -> None:
    samples = np.concatenate([reading, np.zeros(600 * RATE, np.float32), reading])
    spans = [(0, len(reading)), (len(samples) - len(reading), len(samples))]
    found = loudness_of_speech(reading_of(samples), spans)
    assert found == pytest.approx(loudness.integrated(np.tile(reading, 2), HEARD_RATE), abs=0.01)
    assert loudness_of_speech(reading_of(samples), []) is None
