from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.voice import audio, mos, networks
from aitwin.voice.audio import Samples
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.mos import Listener, is_sampled, places

FRAMES_PER_SECOND = RATE / HOP


@cache
def listener() -> Listener:
    return Listener()


@cache
def said() -> Samples:
    """About nine seconds."""
    sentences = (
        "The morning train was late again, so we walked along the river instead.",
        "Nobody told her that the garden had been sold, and she never asked.",
    )
    spoken = [audio.resample(Bundled().speak(sentence), RATE) for sentence in sentences]
    return np.concatenate([utterance.samples for utterance in spoken])


def buzz() -> Samples:
    """Ten seconds of syllables of a wavering buzz, RMS 0.05, the same on every machine."""
    time = np.arange(10 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 20 * np.sin(2 * np.pi * 0.6 * time)) / RATE
    partials = np.sum([np.sin(k * phase) / k for k in range(1, 25)], axis=0)
    sound = partials * np.clip(np.sin(2 * np.pi * 1.5 * time), 0, 1)
    return (sound * 0.05 / np.sqrt(np.mean(sound**2))).astype(np.float32)


def noisy(samples: Samples, snr: float) -> Samples:
    noise = np.random.default_rng(0).standard_normal(len(samples)) * samples.std()
    return (samples + noise * 10 ** (-snr / 20)).astype(np.float32)


def test_the_score_is_the_packages_own() -> None:
    """Computed once: speechmos' polynomial (numpy.poly1d) of what the network says of `buzz`.

    Nine seconds of it at -26 dBFS, resampled by scipy.signal.resample_poly.
    """
    assert listener().score(buzz()[: mos.STRETCH]) == pytest.approx(1.8287, abs=0.02)


def test_more_noise_is_a_lower_score() -> None:
    """V3: 40, 20, 10, 0 dB of white noise; each costs a fifth of a point or more."""
    scores = [listener().score(noisy(said(), snr)) for snr in (40, 20, 10, 0)]
    assert all(better - worse > 0.2 for better, worse in pairwise(scores))
    assert scores[0] > 3


@pytest.mark.parametrize("clip", ["spk1688_a", "spk1688_b", "spk3331_a", "spk3331_b"])
def test_people_score_in_the_middle(shared: Path, clip: str) -> None:
    """LibriSpeech came from MP3s of volunteers: 2.7 to 3.2."""
    samples, _ = soundfile.read(shared / "golden" / "ref_encoder" / f"{clip}.wav", dtype="float32")
    assert listener().score(samples) == pytest.approx(2.9, abs=0.4)


def test_level_does_not_matter() -> None:
    loud, faint = (listener().score(said() * np.float32(gain)) for gain in (1.5, 0.02))
    assert loud == pytest.approx(faint, abs=0.01)


@pytest.mark.parametrize("samples", [0, 1, HOP, 3 * RATE, 12 * RATE])
def test_silence_has_no_score(samples: int) -> None:
    assert listener().score(np.zeros(samples, np.float32)) is None


def test_a_short_take_is_doubled_until_it_is_long_enough() -> None:
    short = said()[: 2 * RATE]
    score = listener().score(short)
    assert score == pytest.approx(listener().score(np.tile(short, 4)), abs=0.1)


def test_what_is_not_speech_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence within a minute of noise: the score is the sentence's."""
    monkeypatch.setattr(mos, "EVERY", 600)
    noise = (np.random.default_rng(0).standard_normal(30 * RATE) * 0.05).astype(np.float32)
    sound = np.concatenate([noise, said(), noise])
    speech = np.zeros(-(-len(sound) // HOP), np.float32)
    speech[30 * RATE // HOP : (30 * RATE + len(said())) // HOP] = 1
    assert listener().score(sound, speech) == pytest.approx(listener().score(said()), abs=0.3)
    assert listener().score(sound, np.ones_like(speech)) is not None
    assert listener().score(noise) < listener().score(said()) - 0.5


def test_threads_do_not_meet() -> None:
    sounds = [noisy(said(), snr) for snr in (40, 10)] * 2
    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(listener().score, sounds))
    assert scores[:2] == pytest.approx(scores[2:])
    assert scores[0] > scores[1]


def test_an_hour_is_listened_to_in_24_places() -> None:
    """Spread over its speech: none in the half hour in which nobody speaks."""
    speech = np.zeros(round(3_600 * FRAMES_PER_SECOND), np.float32)
    half = len(speech) // 2
    speech[half:] = 1
    found = places(speech)
    assert len(found) == 24
    assert all(stop - start == mos.STRETCH for start, stop in found)
    assert all(start > half * HOP - mos.STRETCH for start, _ in found)
    gaps = np.diff([start for start, _ in found]) / RATE
    assert gaps.min() == pytest.approx(75, abs=1)
    assert gaps.max() == pytest.approx(75, abs=1)


@given(st.floats(0, 1_000), st.integers(0, 5))
def test_places_lie_inside(seconds: float, seed: int) -> None:
    speech = np.random.default_rng(seed).random(round(seconds * FRAMES_PER_SECOND))
    found = places(speech.astype(np.float32))
    length = len(speech) * HOP
    assert all(0 <= start < stop <= length for start, stop in found)
    assert all(stop - start == min(length, mos.STRETCH) for start, stop in found)
    assert len(found) == (max(1, round(length / RATE / mos.EVERY)) if length else 0)


def test_short_takes_are_sampled_by_their_ids() -> None:
    """900 prompts of 4 s: as many listens as the hour they make gets in one piece, within half."""
    chosen = [number for number in range(900) if is_sampled(f"{number:016x}", 4)]
    assert 12 <= len(chosen) <= 36
    assert chosen == [number for number in range(900) if is_sampled(f"{number:016x}", 4)]
    assert all(is_sampled(f"{number:016x}", mos.LONG) for number in range(900))


def test_without_its_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda package: None)
    with pytest.raises(TwinError, match=r"speechmos is not installed; .*aitwin\[clone\]"):
        Listener()
