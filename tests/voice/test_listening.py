from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice import audio, heard, listening
from aitwin.voice.audio import Samples
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import BINS, FINE_BINS, FINE_RATE, FINE_WINDOW, HOP, RATE, Frames, Heard
from aitwin.voice.listening import listen
from aitwin.voice.vad import Detector

SENTENCE = "Nobody told her that the garden had been sold, and she never asked."


class Nobody:
    """Hears no speech at all."""

    def probabilities(self, samples: Samples) -> Frames:
        return np.zeros(-(-len(samples) // HOP), np.float32)


class Somebody:
    """Hears speech from one second to another."""

    def __init__(self, start: float, stop: float) -> None:
        self.start, self.stop = start, stop

    def probabilities(self, samples: Samples) -> Frames:
        middles = (np.arange(-(-len(samples) // HOP)) + 0.5) * HOP / RATE
        return ((middles > self.start) & (middles < self.stop)).astype(np.float32)


@cache
def said() -> Samples:
    spoken = audio.trim(Bundled().speak(SENTENCE), before=0, after=0)
    return audio.resample(spoken, RATE).samples


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    white = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (white * 10 ** (level / 20)).astype(np.float32)


def tone(hertz: float, seconds: float, level: float) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    return (np.sqrt(2) * 10 ** (level / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def level_of(spectrum_sum: np.ndarray, count: int) -> float:
    return float(10 * np.log10(spectrum_sum.sum() / count))


def test_noise_is_heard_at_its_level() -> None:
    """Frame by frame and as a spectrum; both within 0.1 dB over five seconds."""
    sound = listen(noise(5, -40), Nobody())
    assert 10 * np.log10(np.mean(10 ** (sound.level / 10))) == pytest.approx(-40, abs=0.1)
    inner = sound.quiet_frames - 3  # the windows at the ends reach over them
    assert level_of(sound.quiet_spectrum, inner) == pytest.approx(-40, abs=0.1)
    assert sound.speech_frames == 0
    assert sound.flat.mean() == pytest.approx(np.exp(-np.euler_gamma), abs=0.02)  # white
    assert sound.high.mean() == pytest.approx(1 - 2_000 / 11_025, abs=0.01)


@pytest.mark.parametrize(("hertz", "high"), [(500, 0), (1_900, 0), (2_100, 1), (5_000, 1)])
def test_a_tone_is_flat_nowhere_and_on_its_side_of_two_kilohertz(hertz: float, high: int) -> None:
    sound = listen(tone(hertz, 2, -20), Nobody())
    inner = slice(3, -3)
    np.testing.assert_allclose(sound.high[inner], high, atol=0.02)
    assert sound.flat[inner].max() < 0.01
    assert np.argmax(sound.quiet_spectrum) == round(hertz * heard.WINDOW / RATE)


def test_frames_cover_their_own_samples() -> None:
    """A burst in frame 50 is in the level of frame 50 alone, and centred there in the spectra."""
    samples = np.zeros(100 * HOP, np.float32)
    samples[50 * HOP : 51 * HOP] = 0.1
    sound = listen(samples, Nobody())
    assert np.flatnonzero(sound.level > heard.SILENCE).tolist() == [50]
    assert sound.level[50] == pytest.approx(-20, abs=0.01)


def test_the_last_frame_counts_what_it_has() -> None:
    """Half a frame of a steady sound is as loud as a whole one."""
    level = listening.levels(np.full(3 * HOP + HOP // 2, 0.1, np.float32))
    np.testing.assert_allclose(level, -20, atol=0.01)


def test_speech_and_pauses_are_summed_apart() -> None:
    """Within a margin of speech, nothing counts as a pause."""
    samples = noise(6, -60)
    samples[2 * RATE : 4 * RATE] += noise(2, -20, seed=1)
    sound = listen(samples, Somebody(2, 4))
    assert level_of(sound.quiet_spectrum, sound.quiet_frames) == pytest.approx(-60, abs=0.3)
    assert level_of(sound.speech_spectrum, sound.speech_frames) == pytest.approx(-20, abs=0.3)
    assert sound.quiet_frames == pytest.approx((4 - 2 * listening.MARGIN) * RATE / HOP, abs=4)
    assert sound.speech_frames == pytest.approx(2 * RATE / HOP, abs=2)


def test_digital_silence_is_no_pause() -> None:
    """An editor's gaps say nothing of the room."""
    edited = np.concatenate([noise(1, -50), np.zeros(3 * RATE, np.float32), noise(1, -50)])
    sound = listen(edited, Nobody())
    assert sound.quiet_frames == pytest.approx(2 * RATE / HOP, abs=3)
    assert level_of(sound.quiet_spectrum, sound.quiet_frames) == pytest.approx(-50, abs=0.3)


@pytest.mark.parametrize("hertz", [50, 60, 100, 120, 300])
def test_mains_hum_is_told_apart_in_the_fine_spectrum(hertz: float) -> None:
    """A tone at -60 dBFS stands on its own frequency, at its level less Hann's width."""
    sound = listen(tone(hertz, 3, -60) + noise(3, -60), Nobody())
    mean = sound.fine_spectrum / sound.fine_windows
    bin_width = FINE_RATE / FINE_WINDOW
    peak = int(np.argmax(mean))
    assert peak * bin_width == pytest.approx(hertz, abs=bin_width)
    around = 10 * np.log10(np.sum(10 ** (mean[peak - 2 : peak + 3] / 10)))
    assert around == pytest.approx(-60, abs=0.5)


def test_a_knock_does_not_outweigh_the_room() -> None:
    """The fine spectrum is a mean of logarithms: one knock in 20 s moves it by under 2 dB."""
    quiet = noise(20, -60)
    knocked = quiet.copy()
    knocked[9 * RATE : 9 * RATE + 2_000] += tone(100, 1, -20)[:2_000]
    still, moved = (listen(sound, Nobody()) for sound in (quiet, knocked))
    change = moved.fine_spectrum / moved.fine_windows - still.fine_spectrum / still.fine_windows
    assert np.abs(change).max() < 2


def test_a_sentence_is_heard_whole() -> None:
    """V3: speech, pitch and level where the sentence is."""
    samples = np.concatenate([noise(1, -65), said(), noise(1, -65)])
    sound = listen(samples, Detector())
    spoken = np.flatnonzero(sound.speech > 0.5) * HOP / RATE
    assert spoken.min() == pytest.approx(1, abs=0.3)
    assert spoken.max() == pytest.approx(1 + len(said()) / RATE, abs=0.3)
    assert 150 < np.nanmedian(sound.pitch) < 250
    assert np.isnan(sound.pitch[sound.speech < 0.3]).all()
    assert sound.speech_frames + sound.quiet_frames < len(sound.level)


def test_stretches_joined_are_the_whole() -> None:
    """Levels exactly; sums but for the two windows at the seam."""
    samples = noise(6, -40)
    cut = 200 * HOP
    whole = listen(samples, Nobody())
    joined = heard.join([listen(part, Nobody()) for part in (samples[:cut], samples[cut:])])
    assert (joined.samples, joined.quiet_frames) == (whole.samples, whole.quiet_frames)
    np.testing.assert_array_equal(joined.level, whole.level)
    assert joined.quiet_spectrum.sum() == pytest.approx(whole.quiet_spectrum.sum(), rel=0.02)
    assert joined.fine_windows == pytest.approx(whole.fine_windows, abs=3)
    mean = joined.fine_spectrum / joined.fine_windows - whole.fine_spectrum / whole.fine_windows
    assert np.abs(mean).mean() < 1


def test_a_seam_inside_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="whole frames"):
        heard.join([listen(noise(0.1, -40)[:300], Nobody())] * 2)


@given(st.integers(0, 40 * HOP), st.floats(-130, 20))
def test_every_length_and_level_gives_finite_frames(length: int, level: float) -> None:
    samples = noise(40 * HOP / RATE, level)[:length]
    sound: Heard = listen(samples, Nobody())
    frames = -(-length // HOP)
    for values in (sound.level, sound.speech, sound.pitch, sound.high, sound.flat):
        assert values.shape == (frames,)
        assert values.dtype == np.float32
    assert np.isfinite(sound.level).all()
    assert ((sound.high >= 0) & (sound.high <= 1)).all()
    assert ((sound.flat >= 0) & (sound.flat <= 1.001)).all()
    assert sound.quiet_spectrum.shape == sound.speech_spectrum.shape == (BINS,)
    assert sound.fine_spectrum.shape == (FINE_BINS,)
    assert np.isfinite(sound.fine_spectrum).all()
