"""A base speaker in another tone colour: manner first, then colour."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import audio, converted, speakers
from aitwin.voice.audio import Utterance
from aitwin.voice.converted import Converted
from aitwin.voice.converter import Converter
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.steering import Steering


@dataclass
class Base:
    """Says a stretch of real speech, whatever it is asked for, and keeps what that was."""

    said: Utterance
    paces: list[float] = field(default_factory=list)
    name: str = "base"
    cloned: bool = False

    def describe(self) -> str:
        return "a base"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        self.paces.append(speed)
        return self.said


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Two cores that are busy: more threads only wait for each other."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden" / "openvoice"


@pytest.fixture(scope="module")
def converter(golden: Path) -> Converter:
    return Converter.load(golden / "checkpoint.pth", golden / "config.json")


@pytest.fixture
def made(golden: Path, converter: Converter) -> Converted:
    samples, rate = soundfile.read(golden / "src_a.wav", dtype="float32")
    source, target = (np.load(golden / f"se_rand_{name}.npy").ravel() for name in ("src", "tgt"))
    base = Base(Utterance(samples, rate, "x"))
    return Converted(base, converter, source, target, "the voice of Ana (cloned)", tau=0.0)


def test_it_is_the_converters_answer_to_the_bases_speech(made: Converted, golden: Path) -> None:
    """S1: through and through, upstream's own golden sound for this speech and these colours."""
    said = made.speak("x")
    expected = np.load(golden / "out_tau0_random_se.npy")
    assert said.sample_rate == 22_050
    assert said.samples == pytest.approx(expected, abs=2e-5)
    assert (made.name, made.cloned, made.describe()) == (
        "base+openvoice", True, "the voice of Ana (cloned)",
    )  # fmt: skip


def test_the_seed_decides_on_chance(made: Converted) -> None:
    loose = replace(made, tau=0.3)
    once = loose.speak("x", seed=1).samples
    assert np.array_equal(once, loose.speak("x", seed=1).samples)
    assert not np.array_equal(once, loose.speak("x", seed=2).samples)


def test_the_voices_pace_is_asked_of_the_base(made: Converted) -> None:
    """DESIGN 6: rate by the base's own speed, within what it was made for."""
    slow = replace(made, steering=Steering(rate=0.8))
    for asked in (1.0, 1.5, 0.1):
        slow.speak("x", speed=asked)
    base: Any = made.base
    assert base.paces == pytest.approx([0.8, 1.2, converted.PACES[0]])


def test_silence_stays_silent_and_a_click_is_no_error(made: Converted) -> None:
    quiet = Utterance(np.zeros(4000, np.float32), RATE)
    assert not len(replace(made, base=Base(quiet)).speak("x").samples)
    none = Utterance(np.zeros(0, np.float32), RATE)
    assert not len(replace(made, base=Base(none)).speak("x").samples)
    click = Utterance(np.full(100, 0.1, np.float32), RATE)
    assert len(replace(made, base=Base(click)).speak("x").samples) == 256


def test_colours_of_two_encoders_are_refused(made: Converted) -> None:
    with pytest.raises(TwinError, match=r"256 numbers .* different encoders.*voice prepare"):
        replace(made, target=np.zeros(256, np.float32))


def test_a_colour_that_is_no_number_is_refused(made: Converted) -> None:
    spoilt = made.target.copy()
    spoilt[3] = np.nan
    for change in ({"target": spoilt}, {"source": spoilt}):
        with pytest.raises(TwinError, match=r"holds a NaN.*voice prepare"):
            replace(made, **change)


def test_a_bases_own_colour_is_that_of_its_speech(shared: Path) -> None:
    """With the real encoder: near to other sentences of it, far from another speaker."""
    place = shared / "golden" / "ref_encoder"
    encoder = ReferenceEncoder.load(place / "ref_enc_openvoice_v2.safetensors")
    bundled = Bundled()
    own = converted.tone(bundled, encoder)
    text = "Tomorrow the ferry leaves at noon, so pack your bags and call your father."
    other = audio.resample(bundled.speak(text, seed=9), RATE)
    assert speakers.cosine(own, encoder.embed(other.samples)) > 0.9
    stranger = soundfile.read(place / "spk1688_a.wav", dtype="float32")[0]
    assert speakers.cosine(own, encoder.embed(stranger)) < 0.6
    with pytest.raises(TwinError, match="no sound"):
        converted.tone(Base(Utterance(np.zeros(9, np.float32), RATE)), encoder)
