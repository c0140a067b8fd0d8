"""Spectral envelopes: against WORLD's own numbers, and free of the pitch."""

import numpy as np
import pytest

from aitwin.voice import envelope
from aitwin.voice.heard import BINS, HOP
from tests.voice.sounds import noise
from tests.voice.vowels import steady, vowel

FRAME = 20
PLACES = [5, 23, 47, 70, 93, 116, 186, 279, 400]
"""Bins: on formants, between them, and high up."""
WORLD = {
    140.0: [-15.519, -3.485, -18.707, -8.505, -26.721, -21.276, -62.551, -63.237, -97.144],
    np.nan: [-5.068, -2.765, -29.597, -7.14, -36.641, -21.271, -78.602, -65.44, -113.62],
}
"""dB by the pitch: cheaptrick of pyworld 0.3.6.post1 of the same vowel, 2026-11-29."""


def decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)


@pytest.mark.parametrize("hertz", WORLD)
def test_a_vowel_has_the_envelope_that_world_finds(hertz: float) -> None:
    sound = vowel(140)
    found = decibels(envelope.envelopes(sound, steady(sound, hertz))[FRAME])
    # -100 dB is the floor that either adds.
    assert found[PLACES[:-1]] == pytest.approx(WORLD[hertz][:-1], abs=0.02)


def test_another_pitch_has_the_same_envelope() -> None:
    within = slice(10, 140)  # 200 to 3,000 Hertz

    def shape(levels: np.ndarray) -> np.ndarray:
        return levels[within] - np.median(levels[within])

    found, combed = [], []
    for hertz in (110.0, 150.0, 190.0):
        sound = vowel(hertz)
        found.append(shape(decibels(envelope.envelopes(sound, steady(sound, hertz))[FRAME])))
        window = sound[FRAME * HOP - 384 : FRAME * HOP + 640] * np.hanning(1024)
        combed.append(shape(decibels(np.square(np.abs(np.fft.rfft(window))))))
    for number in (1, 2):
        assert np.median(np.abs(found[number] - found[0])) < 2.5
        assert np.median(np.abs(combed[number] - combed[0])) > 6


def test_noise_is_as_high_everywhere() -> None:
    sound = noise(4.0, -20)
    found = envelope.envelopes(sound, steady(sound, np.nan)).mean(axis=0)
    assert np.ptp(decibels(found[5:-5])) < 3


def test_twice_the_amplitude_is_6_db() -> None:
    sound = vowel(150)
    once, twice = (
        envelope.envelopes(each, steady(sound, 150))[FRAME, :200] for each in (sound, 2 * sound)
    )
    assert decibels(twice / once) == pytest.approx(np.full(200, 6.02), abs=0.01)


@pytest.mark.parametrize("samples", [0, 1, 100, HOP, HOP + 1])
def test_a_sound_of_any_length_has_a_frame_for_each_hop(samples: int) -> None:
    sound = noise(1.0, -20)[:samples]
    found = envelope.envelopes(sound, steady(sound, 100))
    assert found.shape == (-(-samples // HOP), BINS)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_blocks_and_a_voice_that_is_too_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = vowel(120)
    pitch = steady(sound, 120)
    pitch[FRAME] = 30  # deeper than a frame can tell: taken for LOWEST
    whole = envelope.envelopes(sound, pitch)
    assert np.isfinite(whole).all()
    monkeypatch.setattr(envelope, "BLOCK", 7)
    assert envelope.envelopes(sound, pitch) == pytest.approx(whole, rel=1e-9)
