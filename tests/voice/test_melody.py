"""Moving the pitch: it goes where it is wanted, and all else stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitwin.voice import envelope, melody, pitch, timbre
from aitwin.voice.heard import HOP, RATE
from tests.voice.sounds import noise, sentence, silence
from tests.voice.vowels import steady, vowel


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


def test_unmoved_it_is_the_same_sound() -> None:
    said = sentence(0)
    found = pitch.track(said)
    same = melody.moved(said, found, found)
    assert same[HOP:-HOP] == pytest.approx(said[HOP:-HOP], abs=1e-6)


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.25, 1.6])
def test_the_pitch_goes_where_it_is_wanted(factor: float) -> None:
    errors, kept = [], []
    for number in (3, 4, 6):
        said = sentence(number)
        found = pitch.track(said)
        moved = melody.moved(said, found, (found * factor).astype(np.float32))
        assert len(moved) == len(said)
        heard = pitch.track(moved)
        both = np.isfinite(found) & np.isfinite(heard)
        kept.append(both.sum() / np.isfinite(found).sum())
        errors.append(12 * np.log2(heard[both] / found[both] / factor))
        assert level(moved) == pytest.approx(level(said), abs=1.5 if factor < 1.5 else 3)
    semitones = np.concatenate(errors)
    assert abs(np.median(semitones)) < 0.05
    assert np.percentile(np.abs(semitones), 85) < 0.5
    assert min(kept) > 0.75


def test_tone_colour_stays() -> None:
    said = sentence(4)
    found = pitch.track(said)
    wanted = (found * 0.75).astype(np.float32)
    moved = melody.moved(said, found, wanted)

    def colour(sound: np.ndarray, hertz: np.ndarray) -> np.ndarray:
        frames = np.isfinite(hertz)
        return timbre.bands(envelope.envelopes(sound, hertz)[frames]).mean(axis=0)

    before, after = colour(said, found), colour(moved, wanted)
    # Resampling to that pitch, which moves the formants too, changes the bands by 3.8 dB.
    assert np.sqrt(np.mean(np.square(after - before)[4:])) < 1.5


def test_what_has_no_pitch_stays_as_it_is() -> None:
    hiss, voice = noise(0.4, -30), vowel(150, 0.4)
    sound = np.concatenate([hiss, voice, hiss])
    hertz = steady(sound, np.nan)
    hertz[len(hiss) // HOP + 2 : (len(hiss) + len(voice)) // HOP - 2] = 150
    moved = melody.moved(sound, hertz, hertz * np.float32(1.3))
    edge = len(hiss) - 4 * HOP
    assert moved[:edge] == pytest.approx(sound[:edge], abs=1e-6)
    # Behind the vowel pieces are laid out on another grid, so of noise the level is what stays.
    assert level(moved[-edge:]) == pytest.approx(level(hiss), abs=1)


@pytest.mark.parametrize("sound", [silence(0), silence(0.3), noise(0.3, -20)])
def test_without_a_pitch_nothing_happens(sound: np.ndarray) -> None:
    hertz = steady(sound, np.nan)
    assert melody.moved(sound, hertz, hertz) is sound


@settings(max_examples=40, deadline=None)
@given(
    frames=st.lists(
        st.tuples(
            st.one_of(st.just(np.nan), st.floats(20, 5000)),
            st.one_of(st.just(np.nan), st.floats(1, 5000)),
        ),
        min_size=1,
        max_size=12,
    ),
    cut=st.integers(0, HOP - 1),
    seed=st.integers(0, 9),
)
def test_any_melody_gives_a_sound_as_long_as_before(
    frames: list[tuple[float, float]], cut: int, seed: int
) -> None:
    sound = noise(12 * HOP / RATE + 0.1, -20, seed)[: len(frames) * HOP - cut]
    found, wanted = np.array(frames, np.float32).T
    moved = melody.moved(sound, found, wanted)
    assert moved.shape == sound.shape
    assert moved.dtype == np.float32
    assert np.isfinite(moved).all()
    assert np.abs(moved).max() < 20 * np.abs(sound).max()
