"""From one timbre to another: what is known to differ is found, and nothing else is changed."""

from dataclasses import replace

import numpy as np
import pytest

from aitwin.voice import envelope, pitch, recolour, timbre
from aitwin.voice.timbre import BANDS, CENTRES, Timbre
from tests.voice.sounds import sentence


@pytest.fixture(scope="module")
def own() -> Timbre:
    found = timbre.measure(sentence(number) for number in range(0, 10, 2))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def other_words() -> Timbre:
    """Of the same speaker, who says something else."""
    found = timbre.measure(sentence(number) for number in range(1, 10, 2))
    assert found is not None
    return found


def stretched(timbre: Timbre, factor: float) -> Timbre:
    """With formants `factor` times higher: the band at f is what was at f / factor."""
    rows = [np.interp(CENTRES / factor, CENTRES, row) for row in timbre.vowels]
    vowels = np.array(rows) - np.mean(rows, axis=1, keepdims=True)
    return replace(timbre, vowels=vowels.astype(np.float32))


@pytest.mark.parametrize("factor", [0.86, 0.94, 1.0, 1.06, 1.16])
def test_another_length_of_the_vocal_tract_is_found(
    own: Timbre, other_words: Timbre, factor: float
) -> None:
    there = stretched(other_words, factor).vowels.astype(np.float64)
    found = recolour.stretch_of(own.vowels.astype(np.float64), there)
    assert found == pytest.approx(factor, abs=0.041)


def test_another_microphone_is_no_other_vocal_tract(own: Timbre, other_words: Timbre) -> None:
    tilt = np.linspace(8, -8, BANDS, dtype=np.float32)
    there = (other_words.vowels + tilt).astype(np.float64)
    assert recolour.stretch_of(own.vowels.astype(np.float64), there) == pytest.approx(1, abs=0.041)


def test_the_same_speaker_is_hardly_changed(own: Timbre, other_words: Timbre) -> None:
    said = sentence(5)
    found = pitch.track(said)
    power = envelope.envelopes(said, found)
    voiced = np.isfinite(found)
    moved = power * recolour.learn(own, other_words).gains(power, voiced) ** 2
    change = (timbre.bands(moved) - timbre.bands(power))[voiced]
    # To the two readers of ../shared/golden it is 10.7 and 12.6 dB.
    assert np.sqrt(np.mean(np.square(change))) < 3.5


def test_bands_get_the_wanted_means(own: Timbre) -> None:
    tilt = np.linspace(6, -6, BANDS, dtype=np.float32)
    wanted = replace(own, vowels=own.vowels + tilt, hiss=own.hiss - tilt)
    recolouring = recolour.learn(own, wanted)
    assert recolouring.stretch == 1
    means, hisses = [], []
    for number in range(0, 10, 2):
        said = sentence(number)
        found = pitch.track(said)
        power = envelope.envelopes(said, found)
        voiced = np.isfinite(found)
        gains = recolouring.gains(power, voiced)
        moved = power * gains**2
        assert moved.sum(axis=1) == pytest.approx(power.sum(axis=1), rel=1e-9)
        change = timbre.bands(moved) - timbre.bands(power)
        edge = np.convolve(voiced, np.ones(7), "same")
        means.append(change[edge == 7])
        hisses.append(change[edge == 0])
    # One on the way up to the edge: the outermost bands share their bins with no other.
    inner = slice(2, -2)
    assert np.concatenate(means).mean(axis=0)[inner] == pytest.approx(tilt[inner], abs=0.7)
    assert np.concatenate(hisses).mean(axis=0)[inner] == pytest.approx(-tilt[inner], abs=0.7)


def test_kinds_of_sound_get_shifts_of_their_own(own: Timbre) -> None:
    """What is bright in the base is made brighter yet: no one shift for all frames can do that."""
    bright = own.vowels[:, BANDS // 2 :].mean(axis=1) > -8
    assert 0.1 < bright.mean() < 0.9
    vowels = own.vowels.copy()
    vowels[bright, 30:40] += 6
    wanted = replace(own, vowels=vowels)
    found = recolour.learn(own, wanted)
    moved = (own.vowels - found.before) * found.spread + found.after
    by_kind = moved + found.kinds.shares(moved) @ found.kinds.shifts

    def off(levels: np.ndarray) -> float:
        misses = (levels - vowels)[:, 30:40]
        return float(abs(misses[bright].mean()) + abs(misses[~bright].mean()))

    assert off(by_kind) < off(moved)


def test_little_is_trusted_little(
    own: Timbre, other_words: Timbre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of shifts that are believed at once, three frames bring a tenth, and 613 nine tenths."""
    few = replace(other_words, vowels=other_words.vowels[:3])

    def swing(wanted: Timbre) -> float:
        return float(np.sqrt(np.mean(np.square(recolour.learn(own, wanted).kinds.shifts))))

    careful = swing(few), swing(other_words)
    monkeypatch.setattr(recolour, "TRUST", 1e-9)
    believing = swing(few), swing(other_words)
    assert min(believing) > 1
    assert careful[0] / believing[0] < 0.2
    assert 0.8 < careful[1] / believing[1] < 1


def test_learning_is_always_the_same(own: Timbre, other_words: Timbre) -> None:
    one, again = (recolour.learn(own, other_words) for _ in range(2))
    assert (one.kinds.shifts == again.kinds.shifts).all()
    assert one.stretch == again.stretch
