from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from aitwin.voice import breaths, edits, vad
from aitwin.voice.audio import Samples
from aitwin.voice.edits import Span
from aitwin.voice.heard import HOP, RATE, Heard
from aitwin.voice.listening import listen
from aitwin.voice.prepared import Edit
from tests.voice import sounds

ROOMS = (-60.0, -50.0)
"""dBFS; the sentences are at -20."""


@cache
def detector() -> vad.Detector:
    return vad.Detector()


def heard(samples: Samples) -> Heard:
    return listen(samples, detector())


def with_noises(room: float, seed: int) -> tuple[Samples, list[Span], list[Span]]:
    """Ten sentences; between them breaths, half of them close to the next word, and clicks."""
    said = sounds.speech(10, rest=0.8, first=10 * seed)
    samples = sounds.in_room(said.samples, room, seed)
    chance = np.random.default_rng(seed)
    planted: tuple[list[Span], list[Span]] = ([], [])
    for number in range(9):
        behind, before = said.spans[number][1], said.spans[number + 1][0]
        if number % 3 < 2:
            lasts, level = chance.uniform(0.15, 0.45), chance.uniform(-42, -30)
            noise = sounds.breath(lasts, level, number)
            middle = (behind + before - len(noise)) // 2
            at = before - len(noise) - round(0.1 * RATE) if number % 2 else middle
        else:
            noise, at = sounds.click(chance.uniform(-28, -18), number), (behind + before) // 2
        samples = sounds.planted(samples, noise, at)
        planted[number % 3 // 2].append((at, at + len(noise)))
    return samples, *planted


def shared(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def counts(planted: list[Span], found: tuple[Span, ...]) -> tuple[int, int]:
    """How many of the planted were found, and how many found were never planted."""
    hits = sum(any(shared(p, f) > 0.6 * (p[1] - p[0]) for f in found) for p in planted)
    return hits, sum(not any(shared(p, f) for p in planted) for f in found)


def test_planted_breaths_and_clicks_are_found_and_little_else() -> None:
    """24 breaths of 0.15 to 0.45 s at -42 to -30 dBFS and 12 clicks, in rooms of -60 and -50."""
    breath_hits = click_hits = false = 0
    for room in ROOMS:
        for seed in (0, 1):
            samples, planted_breaths, planted_clicks = with_noises(room, seed)
            found = breaths.find(heard(samples))
            hits, wrong = counts(planted_breaths, found.breaths)
            clicks, wrong_clicks = counts(planted_clicks, found.clicks)
            breath_hits, click_hits = breath_hits + hits, click_hits + clicks
            false += wrong + wrong_clicks
    assert breath_hits >= 0.9 * 24  # recall
    assert click_hits >= 0.9 * 12
    assert false <= 0.1 * 36  # precision


@pytest.mark.parametrize("room", ROOMS)
def test_consonants_keep_their_sound(room: float) -> None:
    """Twenty sentences full of "s", "f", "sh", "th" and "h", with rests as short as a comma's."""
    for rest in (0.12, 0.3):
        said = sounds.speech(10, rest=rest)
        samples = sounds.in_room(said.samples, room)
        found = breaths.find(heard(samples))
        softer = [
            Edit(a, b, "attenuate", "breath", -12) for a, b in (*found.breaths, *found.clicks)
        ]
        after = edits.apply(samples, edits.settled(softer, len(samples)))
        for start, stop in said.spans:
            before = samples[start:stop].reshape(-1)
            lost = np.sum(before**2) / np.sum(after[start:stop] ** 2)
            assert 10 * np.log10(lost) < 0.01
            assert not any(shared((start, stop), span) > 0.02 * RATE for span in found.breaths)


def test_nothing_is_sought_in_a_whisper() -> None:
    samples, *_ = with_noises(-60, 0)
    voiceless = heard(samples)
    voiceless = replace(voiceless, pitch=np.full_like(voiceless.pitch, np.nan))
    found = breaths.find(voiceless)
    assert (found.breaths, found.clicks) == ((), ())


def test_a_sound_that_is_neither_is_named_as_such() -> None:
    """A hiss of half a second, too high for a breath: it is no silence to be cut."""
    said = sounds.speech(2, rest=2.0)
    middle = (said.spans[0][1] + said.spans[1][0]) // 2
    noise = np.diff(sounds.noise(0.5, -35))
    samples = sounds.planted(sounds.in_room(said.samples, -60), noise, middle - len(noise) // 2)
    found = breaths.find(heard(samples))
    assert (found.breaths, found.clicks) == ((), ())
    assert len(found.others) == 1
    assert found.others[0] == pytest.approx(
        (middle - len(noise) // 2, middle + len(noise) // 2), abs=3 * HOP
    )


def test_silence_and_nothing_hold_no_breath() -> None:
    for samples in (sounds.silence(3), sounds.noise(3, -55), sounds.silence(0)):
        assert breaths.find(heard(samples)) == breaths.Noises()


def test_the_rooms_level_is_found_under_breaths() -> None:
    samples, *_ = with_noises(-55, 0)
    assert breaths.room(heard(samples)) == pytest.approx(-55, abs=1)
    assert breaths.room(heard(sounds.silence(1))) == breaths.STILL


def test_what_is_found_stays_within_the_take() -> None:
    """A click in the last, partial frame."""
    said = sounds.speech(1, edge=0.6)
    samples = sounds.in_room(said.samples[: len(said.samples) // HOP * HOP + 40], -60)
    samples = sounds.planted(samples, sounds.click(-12), len(samples) - 133)
    found = breaths.find(heard(samples))
    assert len(found.clicks) == 1
    assert found.clicks[0][1] == len(samples)


def drawn(gap: int, *, lasts: int = 15, high: float = 0.6) -> Heard:
    """Half a second of a vowel, `gap` frames of a room at -60 dBFS, and a noise at -38."""
    vowel, behind = slice(40, 83), slice(83 + gap, 83 + gap + lasts)
    frames = np.zeros(160, np.float32)
    level, speech, pitch, share, flat = (frames.copy() for _ in range(5))
    level[:], level[vowel], level[behind] = -60, -20, -38
    speech[vowel], speech[behind] = 1.0, 0.2
    pitch[:], pitch[vowel] = np.nan, 120
    share[behind] = high
    flat[:], flat[vowel] = 0.3, 0.02
    blank = heard(sounds.silence(160 * HOP / RATE))
    return replace(blank, level=level, speech=speech, pitch=pitch, high=share, flat=flat)


def test_the_end_of_six_is_no_breath() -> None:
    """Behind the closure of its "k", 46 ms, comes a noise that belongs to the word."""
    assert breaths.find(drawn(gap=4)).breaths == ()
    assert len(breaths.find(drawn(gap=6)).breaths) == 1


@pytest.mark.parametrize(("high", "found"), [(0.1, 0), (0.4, 1), (0.8, 1), (0.95, 0)])
def test_a_breath_is_neither_dark_nor_a_sibilant(high: float, found: int) -> None:
    assert len(breaths.find(drawn(gap=20, high=high)).breaths) == found


@pytest.mark.parametrize(("room", "drop"), [(-75.0, 32.0), (-65.0, 32.0), (-75.0, 38.0)])
def test_very_soft_sentences_beside_loud_ones_are_no_breaths(room: float, drop: float) -> None:
    """Every other sentence so many decibels softer: nothing of it is softened, nor cut."""
    said = sounds.speech(6, rest=0.6)
    samples = said.samples.copy()
    for start, stop in said.spans[1::2]:
        samples[start:stop] *= np.float32(10 ** (-drop / 20))
    found = breaths.find(heard(sounds.in_room(samples, room)))
    assert (found.breaths, found.clicks) == ((), ())


def keystroke(chance: np.random.Generator) -> Samples:
    """A knock with a low tone in it, 20 to 120 ms."""
    time = np.arange(round(chance.uniform(0.02, 0.12) * RATE)) / RATE
    knock = chance.standard_normal(len(time)) * np.exp(-time / chance.uniform(0.005, 0.03))
    knock += 0.5 * np.sin(2 * np.pi * chance.uniform(150, 600) * time) * np.exp(-time / 0.02)
    return (knock / np.abs(knock).max() * 10 ** (chance.uniform(-32, -18) / 20)).astype(np.float32)


def test_typing_in_a_pause_is_no_breath_where_nobody_speaks() -> None:
    """Twenty seconds of it: more than two seconds from speech it is as good as silence."""
    chance = np.random.default_rng(3)
    said = sounds.speech(2, rest=20.0)
    samples = sounds.in_room(said.samples, -62)
    behind, before = said.spans[0][1], said.spans[1][0]
    at = behind + round(0.6 * RATE)
    while at < before - RATE // 2:
        samples = sounds.planted(samples, keystroke(chance), at)
        at += round(chance.uniform(0.15, 0.6) * RATE)
    found = breaths.find(heard(samples))
    far = round((breaths.FAR + 0.2) * RATE)
    for start, stop in (*found.breaths, *found.clicks, *found.others):
        assert start < behind + far or stop > before - far
