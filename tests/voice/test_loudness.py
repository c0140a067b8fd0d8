"""The signals are those of EBU Tech 3341 (version 4, 2023), with one channel instead of two.

One channel has half the power of two alike, so that each expected loudness is 3.01 LU lower.
"""

import numpy as np
import pyloudnorm
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from aitwin.voice import loudness
from aitwin.voice.audio import Samples
from aitwin.voice.engines import Bundled
from aitwin.voice.loudness import Meter, TruePeak, integrated, limit, true_peak

RATE = 22_050
MONO = -3.01  # LU


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Nine seconds."""
    said = Bundled().speak(
        "Peter kept the boat by the pier. She sells sea shells, he said, and that was that. "
        "What a day it had been for both of them, up there on the hill above the town.",
        seed=1,
    )
    return np.asarray(soxr.resample(said.samples, said.sample_rate, RATE), np.float32)


def tones(*parts: tuple[float, float], rate: int = RATE) -> Samples:
    """A 1,000 Hz sine: seconds of it at dBFS of its peak."""
    levels = np.concatenate(
        [np.full(round(rate * seconds), 10 ** (level / 20)) for seconds, level in parts]
    )
    wave = np.sin(2 * np.pi * 1_000 * np.arange(len(levels)) / rate)
    return (levels * wave).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_a_steady_tone(rate: int, level: float) -> None:
    """Cases 1 and 2, at all rates that recordings have."""
    found = integrated(tones((20, level), rate=rate), rate)
    assert found == pytest.approx(level + MONO, abs=0.1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(10, -36), (60, -23), (10, -36)], -23),
        ([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], -23),
        ([(20, -26), (20.1, -20), (20, -26)], -23),
    ],
)
def test_the_gates(parts: list[tuple[float, float]], expected: float) -> None:
    """Cases 3, 4 and 5: what is soft beside the rest, or soft at all, does not count."""
    assert integrated(tones(*parts), RATE) == pytest.approx(expected + MONO, abs=0.1)


def test_the_standards_own_calibration() -> None:
    """BS.1770: "a 0 dB FS, 997 Hz sine in one channel will be indicated as -3.01 LKFS"."""
    wave = np.sin(2 * np.pi * 997 * np.arange(5 * 48_000) / 48_000).astype(np.float32)
    assert integrated(wave, 48_000) == pytest.approx(-3.01, abs=0.01)


def test_speech_is_as_loud_as_pyloudnorm_says(speech: Samples) -> None:
    theirs = pyloudnorm.Meter(RATE, filter_class="DeMan").integrated_loudness(speech)
    assert integrated(speech, RATE) == pytest.approx(theirs, abs=0.1)


@pytest.mark.parametrize("size", [1, 700, 22_050, 100_000])
def test_a_stream_is_as_loud_as_the_whole(speech: Samples, size: int) -> None:
    part = speech[: 3 * RATE] if size > 1 else speech[:RATE]
    for rate in (RATE, 11_025):  # a tenth of a second is 1,102.5 samples there
        meter = Meter(rate)
        for start in range(0, len(part), size):
            meter.add(part[start : start + size])
        assert meter.integrated() == pytest.approx(integrated(part, rate), abs=1e-9)


def test_silence_and_next_to_nothing_have_no_loudness(speech: Samples) -> None:
    assert integrated(np.zeros(RATE, np.float32), RATE) is None
    assert integrated(speech[:0], RATE) is None
    assert integrated(speech[RATE : RATE + round(0.39 * RATE)], RATE) is None
    assert integrated(speech[RATE : RATE + round(0.41 * RATE)], RATE) is not None
    assert integrated(speech * 1e-4, RATE) is None


def faded(wave: Samples) -> Samples:
    """A sound that begins at once has other peaks than its own."""
    ramp = np.ones(len(wave), np.float32)
    ramp[:2_000] = np.hanning(4_000)[:2_000]
    return wave * ramp * ramp[::-1]


@pytest.mark.parametrize(
    ("divisor", "phase", "amplitude", "expected"),
    [
        (4, 0, 0.5, -6.0),
        (4, 45, 0.5, -6.0),
        (6, 60, 0.5, -6.0),
        (8, 67.5, 0.5, -6.0),
        (4, 45, 1.41, 3.0),
    ],
)
@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_peaks_between_the_samples(
    rate: int, divisor: int, phase: float, amplitude: float, expected: float
) -> None:
    """Cases 15 to 19: +0.2 and -0.4 dB are allowed."""
    steps = 2 * np.pi * np.arange(rate) / divisor + np.deg2rad(phase)
    wave = faded((amplitude * np.sin(steps)).astype(np.float32))
    assert expected - 0.4 <= true_peak(wave, rate) <= expected + 0.2


def test_a_quarter_of_the_rate_at_45_degrees_hides_three_decibels() -> None:
    wave = faded(np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4).astype(np.float32))
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak(wave, RATE) == pytest.approx(0, abs=0.01)


def test_a_peak_is_never_under_the_highest_sample(speech: Samples) -> None:
    click = np.zeros(999, np.float32)
    click[[0, 500]] = 0.5, -0.7
    for sound in (speech, click):
        assert true_peak(sound, RATE) >= 20 * np.log10(np.abs(sound).max()) - 1e-6


def test_nothing_peaks_at_minus_120() -> None:
    assert true_peak(np.zeros(100, np.float32), RATE) == loudness.SILENCE
    assert true_peak(np.zeros(0, np.float32), RATE) == loudness.SILENCE


def test_the_peak_of_several_channels_is_that_of_the_loudest(speech: Samples) -> None:
    peak = TruePeak()
    both = np.stack([speech * 0.1, speech], 1)
    for start in range(0, len(both), 5_000):
        peak.add(both[start : start + 5_000])
    peak.add(both[:0], last=True)
    assert peak.dbtp == pytest.approx(true_peak(speech, RATE), abs=1e-4)


# --- the limiter ------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [3, 6, 12, 40])
def test_no_peak_of_speech_exceeds_the_ceiling(speech: Samples, gain: float) -> None:
    loud = speech * np.float32(10 ** ((gain - true_peak(speech, RATE)) / 20))
    held, count = limit(loud, -1.0, RATE)
    assert true_peak(held, RATE) <= -1.0 + loudness.TOLERANCE
    assert true_peak(held, RATE) > -1.05
    assert count == np.count_nonzero(held != loud)
    # Nothing changes its sign, and nothing becomes louder.
    assert (np.abs(held) <= np.abs(loud)).all()
    assert (held * loud >= 0).all()


def test_what_needs_no_limiting_is_the_same_array(speech: Samples) -> None:
    quiet = speech * np.float32(0.1)
    assert limit(quiet, -1.0, RATE)[0] is quiet
    assert limit(quiet, -1.0, RATE)[1] == 0
    nothing = speech[:0]
    assert limit(nothing, -1.0, RATE)[0] is nothing


def test_far_from_a_peak_every_bit_stays_as_it_was(speech: Samples) -> None:
    sound = speech / np.float32(2 * np.abs(speech).max())
    place = 2 * RATE
    before = sound.copy()
    sound[place : place + 20] = np.hanning(20) * 1.5
    original = sound.copy()
    held, count = limit(sound, -1.0, RATE)
    assert np.array_equal(sound, original)
    reach = round((2 * loudness.LOOK + 0.002) * RATE)
    assert np.array_equal(held[: place - reach], before[: place - reach])
    assert np.array_equal(held[place + 20 + reach :], before[place + 20 + reach :])
    assert 0 < count <= 2 * reach + 20


def test_the_gain_moves_slowly() -> None:
    """No click, and no wave is bent: it turns down what is around a peak with the peak."""
    wave = (0.4 * np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)).astype(np.float32)
    wave[RATE // 2 : RATE // 2 + 22] *= 5
    held, _ = limit(wave, -1.0, RATE)
    heard = np.abs(wave) > 0.05
    gain = held[heard] / wave[heard]
    assert gain.min() == pytest.approx(10 ** (-1 / 20) / 2, rel=0.03)
    # The steepest slope of the raised cosine is twice its mean: the dip over 2 LOOK.
    steepest = 2 * (1 - gain.min()) / (2 * loudness.LOOK)
    assert (np.abs(np.diff(gain)) <= 1.05 * steepest * np.diff(np.flatnonzero(heard)) / RATE).all()


def test_peaks_on_the_borders_of_the_pieces_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.zeros(10_000, np.float32)
    sound[[0, 999, 1_000, 4_999, 9_999]] = 2, 2, -2, 2, -2
    whole, count = limit(sound, -1.0, RATE)
    monkeypatch.setattr(loudness, "_PIECE", 1_000 / RATE)
    pieces, same = limit(sound, -1.0, RATE)
    assert true_peak(pieces, RATE) <= -1.0 + loudness.TOLERANCE
    assert count == same
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3_000),
    st.floats(0.1, 8),
    st.sampled_from([-12.0, -3.0, -1.0, 0.0]),
)
def test_no_sound_exceeds_any_ceiling(seed: int, length: int, level: float, ceiling: float) -> None:
    """Noise is harder than speech: it peaks anywhere, and close together."""
    noise = np.random.default_rng(seed).normal(0, level, length).astype(np.float32)
    held, _ = limit(noise, ceiling, RATE)
    assert true_peak(held, RATE) <= ceiling + loudness.TOLERANCE
