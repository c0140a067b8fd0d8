"""A filter that changes over time."""

import numpy as np
import pytest

from aitwin.voice import colour
from aitwin.voice.envelope import FREQUENCIES
from aitwin.voice.heard import BINS, HOP, RATE
from tests.voice.sounds import noise, sentence, silence, tone


def gains(samples: np.ndarray, gain: float | np.ndarray = 1.0) -> np.ndarray:
    return np.ones((-(-len(samples) // HOP), BINS)) * gain


def test_gains_of_one_leave_the_sound_as_it_is() -> None:
    said = sentence(1)
    assert colour.filtered(said, gains(said)) == pytest.approx(said, abs=1e-6)


@pytest.mark.parametrize(("hertz", "gain"), [(200, 1.0), (1_000, 1.0), (4_000, 0.1), (8_000, 0.1)])
def test_each_frequency_gets_its_own_gain(hertz: float, gain: float) -> None:
    sound = tone(hertz, 1.0)
    found = colour.filtered(sound, gains(sound, np.where(FREQUENCIES < 2_000, 1.0, 0.1)))
    inner = slice(RATE // 4, -RATE // 4)
    ratio = np.sqrt(np.mean(found[inner] ** 2) / np.mean(sound[inner] ** 2))
    assert ratio == pytest.approx(gain, rel=0.02)


def test_it_changes_in_time_and_without_delay() -> None:
    sound = noise(2.0, -20)
    over_time = gains(sound)
    over_time[len(over_time) // 2 :] = 0.25
    found = colour.filtered(sound, over_time)
    middle = len(over_time) // 2 * HOP
    assert found[: middle - 1024] == pytest.approx(sound[: middle - 1024], abs=1e-6)
    assert found[middle + 1024 :] == pytest.approx(sound[middle + 1024 :] / 4, abs=1e-6)


@pytest.mark.parametrize("samples", [0, 1, HOP, 3_000])
def test_any_length(samples: int) -> None:
    sound = noise(1.0, -20)[:samples]
    assert colour.filtered(sound, gains(sound)) == pytest.approx(sound, abs=1e-6)


def test_silence_stays_silent() -> None:
    sound = silence(0.5)
    assert not colour.filtered(sound, gains(sound, 100.0)).any()
