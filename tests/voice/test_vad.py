from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.voice import audio, networks, vad
from aitwin.voice.audio import Samples
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.vad import Detector, speech_spans

SENTENCES = (
    "The morning train was late again, so we walked along the river instead.",
    "Nobody told her that the garden had been sold, and she never asked.",
    "Please put the green bottle on the table before you leave the kitchen.",
)


@cache
def detector() -> Detector:
    return Detector()


@cache
def said(sentence: int) -> Samples:
    spoken = audio.trim(Bundled().speak(SENTENCES[sentence], seed=sentence), before=0, after=0)
    return audio.resample(spoken, RATE).samples


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, level: float) -> Samples:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(round(seconds * RATE)) * 10 ** (level / 20)).astype(np.float32)


def seconds(spans: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(start * HOP / RATE, stop * HOP / RATE) for start, stop in spans]


@pytest.mark.parametrize("level", [-120, -60, -50])
def test_sentences_are_found_where_they_are(level: float) -> None:
    """V3: planted sentences, their edges within 0.15 s, in a still and in a noisy room."""
    parts = [silence(1), said(0), silence(1.5), said(1), silence(1), said(2), silence(0.7)]
    edges = np.cumsum([len(part) for part in parts]) / RATE
    sound = np.concatenate(parts)
    found = seconds(speech_spans(detector().probabilities(sound + noise(len(sound) / RATE, level))))
    planted = [(edges[0], edges[1]), (edges[2], edges[3]), (edges[4], edges[5])]
    # The comma within a sentence may be a pause of its own.
    assert 3 <= len(found) <= 6
    for start, stop in planted:
        inside = [span for span in found if span[0] < stop and span[1] > start]
        assert inside[0][0] == pytest.approx(start, abs=0.15)
        assert inside[-1][1] == pytest.approx(stop, abs=0.15)


@pytest.mark.parametrize("clip", ["spk1688_a", "spk1688_b", "spk3331_a", "spk3331_b"])
def test_people_are_heard(shared: Path, clip: str) -> None:
    samples, rate = soundfile.read(
        shared / "golden" / "ref_encoder" / f"{clip}.wav", dtype="float32"
    )
    assert rate == RATE
    probabilities = detector().probabilities(samples)
    assert float(np.mean(probabilities > vad.ON)) > 0.5


@pytest.mark.parametrize(
    "sound",
    [silence(5), noise(5, -30), noise(5, -6)],
    ids=["silence", "noise", "loud noise"],
)
def test_nobody_speaks_in_silence_and_noise(sound: Samples) -> None:
    assert speech_spans(detector().probabilities(sound)) == []


def test_a_chord_is_no_speech() -> None:
    """Music of steady tones: under a tenth of it passes for speech."""
    time = np.arange(RATE * 8) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277.2, 329.6, 440))
    probabilities = detector().probabilities((0.1 * np.asarray(chord)).astype(np.float32))
    assert float(np.mean(probabilities > vad.ON)) < 0.1


def test_every_call_starts_afresh_and_threads_do_not_meet() -> None:
    sounds = [said(0), noise(3, -30), said(1), said(2)]
    alone = [detector().probabilities(sound) for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector().probabilities, sounds * 3))
    for index, probabilities in enumerate(together):
        np.testing.assert_array_equal(probabilities, alone[index % 4])


@pytest.mark.parametrize("samples", [0, 1, HOP - 1, HOP, HOP + 1, 20 * RATE + 7])
def test_one_probability_per_frame(samples: int) -> None:
    """Longer than a block, too; every one is a probability."""
    probabilities = detector().probabilities(noise(samples / RATE, -40))
    assert len(probabilities) == -(-samples // HOP)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = detector().probabilities(said(0))
    monkeypatch.setattr(vad, "BLOCK", 7)
    np.testing.assert_allclose(detector().probabilities(said(0)), whole, atol=1e-5)


def test_hysteresis_keeps_a_wavering_word_whole() -> None:
    wavering = np.array([0.2] * 20 + [0.6, 0.4] * 20 + [0.2] * 20, np.float32)
    assert speech_spans(wavering) == [(20, 60)]
    assert speech_spans(np.full(60, 0.45, np.float32)) == []


def test_short_gaps_close_and_short_bursts_go() -> None:
    """A gap of 0.09 s closes, a burst of 0.09 s goes, 0.12 s of either stays."""
    short, long = round(0.09 * RATE / HOP), round(0.12 * RATE / HOP)

    def spans(*lengths: int) -> list[tuple[int, int]]:
        shape = np.repeat(np.arange(len(lengths)) % 2, lengths)
        return speech_spans(shape.astype(np.float32))

    assert spans(30, 30, short, 30, 30) == [(30, 60 + short + 30)]
    assert spans(30, 30, long, 30, 30) == [(30, 60), (60 + long, 90 + long)]
    assert spans(30, short, 30) == []
    assert spans(30, long, 30) == [(30, 30 + long)]


@given(st.lists(st.floats(0, 1, width=32), max_size=200))
def test_spans_are_in_order_long_enough_and_apart(values: list[float]) -> None:
    spans = speech_spans(np.array(values, np.float32))
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(stop - start >= vad.LEAST_SPEECH * RATE / HOP for start, stop in spans)
    gaps = zip(spans[1:], spans, strict=False)
    assert all(after[0] - before[1] >= vad.LEAST_PAUSE * RATE / HOP for after, before in gaps)
    heard = {frame for start, stop in spans for frame in (start, stop - 1)}
    assert all(values[frame] >= vad.OFF for frame in heard)


def test_an_end_above_the_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        speech_spans(np.zeros(3, np.float32), on=0.3, off=0.4)


def test_without_its_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda package: None)
    with pytest.raises(TwinError, match=r"silero_vad is not installed; .*aitwin\[clone\]"):
        Detector()
