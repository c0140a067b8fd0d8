from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from aitwin.voice import gating
from aitwin.voice.heard import RATE, Heard
from aitwin.voice.listening import listen
from aitwin.voice.vad import Detector
from tests.voice import sounds

Sound = NDArray[np.float64]


@cache
def detector() -> Detector:
    return Detector()


@cache
def dry() -> Sound:
    """Three sentences at -20 dBFS, in digital silence."""
    return sounds.speech(3, rest=0.8).samples.astype(np.float64)


def noise(exponent: float, level: float) -> Sound:
    """Under `dry`, with a power of 1 / f ** exponent (0 white, 1 pink, 2 brown), dBFS."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(dry())))
    hertz = np.maximum(np.fft.rfftfreq(len(dry()), 1 / RATE), 60)
    made = np.fft.irfft(spectrum * hertz ** (-exponent / 2), len(dry()))
    return np.asarray(made / made.std() * 10 ** (level / 20))


def gated(sound: Sound, *, hold: float, release: float, down: float) -> Sound:
    """By a gate that hears the voice: `hold` seconds after it, down in `release` seconds."""
    level = np.sqrt(np.convolve(dry() ** 2, np.ones(220) / 220, "same"))
    after = np.ones(round(hold * RATE) + 1)
    is_open = fftconvolve(level > 10 ** (-42 / 20), after)[: len(sound)] > 0.5
    gain, step = np.zeros(len(sound)), 32
    now = -down
    for start in range(0, len(sound), step):
        opening, closing = down * step / (0.005 * RATE), down * step / max(release * RATE, step)
        now = min(0, now + opening) if is_open[start] else max(-down, now - closing)
        gain[start : start + step] = now
    return sound * 10 ** (gain / 20)


def heard(sound: Sound) -> Heard:
    return listen(sound.astype(np.float32), detector())


@pytest.mark.parametrize("level", [-32, -39, -46])
@pytest.mark.parametrize("exponent", [0, 1, 2], ids=["white", "pink", "brown"])
@pytest.mark.parametrize(
    ("hold", "release", "down"),
    [(0.1, 0.02, 90), (0.1, 0.3, 40), (0.2, 1.0, 40), (0.25, 0, 200)],
    ids=["hard", "soft", "slow", "digital"],
)
def test_a_gate_hides_no_noise(
    level: float, exponent: float, hold: float, release: float, down: float
) -> None:
    """The noise within speech, within 3 dB, whatever is left of it between."""
    noisy = gated(dry() + noise(exponent, level), hold=hold, release=release, down=down)
    found = gating.hidden_noise(heard(noisy + noise(0, -95)))
    assert found == pytest.approx(level, abs=3)


@pytest.mark.parametrize("level", [-120, -75, -60, -45, -32])
@pytest.mark.parametrize("exponent", [0, 1, 2], ids=["white", "pink", "brown"])
def test_a_room_that_is_always_heard_is_no_gate(level: float, exponent: float) -> None:
    """From digital silence between the sentences to a loud fan."""
    assert gating.hidden_noise(heard(dry() + noise(exponent, level))) is None


def test_silence_put_between_clean_sentences_is_no_gate() -> None:
    assert gating.hidden_noise(heard(dry())) is None
    edited = np.where(dry() == 0, 0, dry() + noise(1, -65))
    assert gating.hidden_noise(heard(edited)) is None


@pytest.mark.parametrize("reverberation", [0.2, 0.4, 0.8, 1.2])
@pytest.mark.parametrize("direct", [6, -6])
def test_an_echo_is_no_gate(reverberation: float, direct: float) -> None:
    length = round(1.2 * reverberation * RATE)
    decay = 10 ** (-3 * np.arange(length) / RATE / reverberation)
    response = np.random.default_rng(1).standard_normal(length) * decay
    response *= 10 ** (-direct / 20) / np.sqrt(np.sum(response[1:] ** 2))
    response[0] = 1
    wet = fftconvolve(dry(), response)[: len(dry())]
    assert gating.hidden_noise(heard(wet + noise(1, -75))) is None


def test_whispering_is_no_noise_behind_a_gate() -> None:
    """V1: words without a pitch, as steady as noise, in digital silence."""
    spectrum = np.abs(np.fft.rfft(dry()[: len(dry()) // 256 * 256].reshape(-1, 256)))
    hiss = np.fft.rfft(np.random.default_rng(0).standard_normal((len(spectrum), 256)))
    whispered = np.fft.irfft(spectrum * hiss / np.abs(hiss)).reshape(-1)
    found = heard(whispered)
    assert np.isfinite(found.pitch).mean() < 0.05
    assert gating.hidden_noise(found) is None


def test_without_pauses_or_speech_nobody_knows() -> None:
    noisy = dry() + noise(1, -32)
    assert gating.hidden_noise(heard(noisy[RATE : 2 * RATE])) is None
    assert gating.hidden_noise(heard(noise(1, -32))) is None
    assert gating.hidden_noise(heard(np.zeros(0))) is None
