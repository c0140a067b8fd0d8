from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from aitwin.voice.audio import Samples
from aitwin.voice.channels import Channels, Survey
from aitwin.voice.heard import RATE
from tests.voice import sounds

LENGTH = 20 * RATE


def surveyed(*channels: NDArray[np.floating], rate: int = RATE, offset: float = 0.0) -> Channels:
    """Heard second by second, as from a file."""
    sound = np.stack(channels, axis=1).astype(np.float32) + np.float32(offset)
    survey = Survey(rate, len(channels))
    for start in range(0, len(sound), rate):
        survey.add(sound[start : start + rate])
    return survey.end()


def spoken(first: int = 0) -> Samples:
    """Twenty seconds of speech."""
    return sounds.speech(7, first=first).samples[:LENGTH]


def room(level: float = -70, seed: int = 0) -> Samples:
    """A microphone's own noise, of another kind for each seed."""
    return sounds.noise(LENGTH / RATE, level, seed)


def in_turns(a: Samples, b: Samples) -> tuple[Samples, Samples]:
    """The first for five seconds, then the second for the rest."""
    a, b = a.copy(), b.copy()
    a[5 * RATE :] = 0
    b[: 5 * RATE] = 0
    return a, b


# --- one speaker ------------------------------------------------------------------------------


def test_one_channel_is_heard() -> None:
    assert surveyed(spoken()) == Channels(of=1, heard=(0,), signs=(1,))


def test_two_channels_of_the_same_are_one_voice() -> None:
    """Dual mono, also where one of them is softer."""
    for gain in (1.0, 0.1):
        found = surveyed(spoken(), gain * spoken())
        assert found == Channels(of=2, heard=(0, 1), signs=(1, 1))
        assert found.remarks == ()


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000, 96_000, 22_051])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_a_dead_channel_is_told(rate: int, offset: float) -> None:
    sound = np.resize(spoken(), 5 * rate + 3)
    found = surveyed(np.zeros_like(sound), sound, rate=rate, offset=offset)
    assert found == Channels(of=2, heard=(1,), signs=(1,))
    (remark,) = found.remarks
    assert (remark.what, remark.letter) == ("channels", "A")
    assert remark.found == "channel 1 of 2 left out: nobody is heard in it"


def brown(level: float) -> Samples:
    """Rumble, as of wind, or of a preamplifier."""
    walk = np.cumsum(room(0, seed=3))
    return sounds.scaled(walk - walk.mean(), level)


@pytest.mark.parametrize(
    "noise",
    [
        room(-35, seed=1),
        sounds.tone(50, 20, -25) + sounds.tone(150, 20, -35) + room(-60, seed=1),
        brown(-30),
        sounds.tone(1_000, 20, -30),
    ],
    ids=["hiss", "hum", "rumble", "whistle"],
)
def test_a_noisy_dead_channel_is_left_out(noise: Samples) -> None:
    """Though it is no more than 15 dB under the voice, at -20 dBFS."""
    assert surveyed(spoken() + room(-60), noise) == Channels(of=2, heard=(0,), signs=(1,))


def test_crosstalk_and_a_click_are_nobody() -> None:
    leak = sounds.planted(spoken() * 10 ** (-65 / 20), sounds.click(-10), 3 * RATE)
    assert surveyed(spoken(), leak).heard == (0,)


@pytest.mark.parametrize("gain", [-1.0, -0.1])
def test_a_channel_upside_down_is_turned(gain: float) -> None:
    found = surveyed(spoken() + room(-60), gain * spoken() + room(-65, seed=1))
    assert found == Channels(of=2, heard=(0, 1), signs=(1, -1))
    (remark,) = found.remarks
    assert remark.letter == "A"
    assert remark.found == "channel 2 of 2 turned: it is the other upside down"


def echoing(sound: Samples, rt60: float, direct: float, delay: int, seed: int) -> Samples:
    """At a microphone `delay` samples away: the voice so many dB over the room's tail."""
    time = np.arange(round(rt60 * RATE)) / RATE
    tail = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / rt60)
    response = np.concatenate([np.zeros(delay), tail / np.sqrt(np.square(tail).sum())])
    response[delay] += 10 ** (direct / 20)
    return np.asarray(fftconvolve(sound, response)[: len(sound)], np.float32)


@pytest.mark.parametrize("rt60", [0.3, 0.6, 1.0])
def test_two_microphones_at_one_speaker_are_one_voice(rt60: float) -> None:
    """Near and far, noisy and quiet, in any room: nothing is called a conversation."""
    for (direct, delay), (near, far) in product(
        [(6, 0), (-3, 100), (-10, 220)], [(-80, -80), (-75, -45), (-45, -75)]
    ):
        found = surveyed(
            echoing(spoken(), rt60, 12, 0, seed=1) + room(near),
            0.5 * echoing(spoken(), rt60, direct, delay, seed=2) + room(far, seed=1),
        )
        assert found.heard == (0, 1)
        assert not found.apart


def test_a_microphone_that_levels_itself_is_no_other_speaker() -> None:
    """A camera's, up to 6 dB either way."""
    gain = 10 ** (6 / 20 * np.sin(np.linspace(0, 20, LENGTH)))
    assert not surveyed(spoken() + room(-60), gain * (spoken() + room(-60, seed=1))).apart


# --- two speakers -----------------------------------------------------------------------------


@pytest.mark.parametrize("level", [-80, -60, -40])
@pytest.mark.parametrize("bleed", [-100, -30, -20, -12])
@pytest.mark.parametrize("gain", [1.0, 0.2])
def test_a_channel_for_each_speaker_is_told(level: float, bleed: float, gain: float) -> None:
    """V3: however much of each is heard in the other's microphone, and in what noise."""
    a, b = in_turns(spoken(), spoken(first=3))
    leak = 10 ** (bleed / 20)
    found = surveyed(a + leak * b + room(level), gain * (b + leak * a + room(level, seed=1)))
    assert found == Channels(of=2, heard=(0, 1), signs=(1, 1), apart=True)
    (remark,) = found.remarks
    assert remark.letter == "D"
    assert remark.found == "each channel holds another speaker"
    assert remark.advice == "export yours alone, as mono, and add that"


@pytest.mark.parametrize("softer", [0, -30])
@pytest.mark.parametrize("seconds", [2, 5])
def test_a_channel_that_is_alive_only_at_the_end_is_heard(seconds: int, softer: float) -> None:
    """The other one goes on, or has ended."""
    late = spoken(first=3) * 10 ** (softer / 20)
    late[: -seconds * RATE] = 0
    for early in (spoken(), in_turns(spoken(), late)[0]):
        assert surveyed(early + room(), late + room(-72, seed=1)).heard == (0, 1)


def test_a_channel_that_is_cut_to_silence_between_words_is_heard() -> None:
    """As tracks of a call are exported: digital silence but where somebody speaks."""
    a, b = in_turns(spoken(), spoken(first=3))
    found = surveyed(a, b)
    assert (found.heard, found.apart) == ((0, 1), True)


def test_of_many_channels_each_has_its_part() -> None:
    a, b = in_turns(spoken(), spoken(first=3))
    found = surveyed(a + room(), room(-50, seed=1), -a / 2 + room(seed=2), b + room(seed=3))
    assert found == Channels(of=4, heard=(0, 2, 3), signs=(1, -1, 1), apart=True)
    assert [remark.letter for remark in found.remarks] == ["D", "A", "A"]


# --- nobody -----------------------------------------------------------------------------------


def test_where_nobody_speaks_the_louder_channels_stay() -> None:
    """Steady sound is not told from noise, so it is not left out."""
    tone = sounds.tone(440, 20)
    assert surveyed(tone, 0.5 * tone, 0.001 * tone).heard == (0, 1)
    assert surveyed(np.zeros(LENGTH), np.zeros(LENGTH)).heard == (0, 1)


@pytest.mark.parametrize("samples", [1, 2, 100, 3_000])
def test_a_recording_of_an_instant_is_heard(samples: int) -> None:
    assert surveyed(spoken()[RATE : RATE + samples], np.zeros(samples), rate=48_000).of == 2
