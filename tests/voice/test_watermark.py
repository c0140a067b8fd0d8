import io
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import audio, watermark
from aitwin.voice.audio import Utterance
from aitwin.voice.engines import Bundled
from aitwin.voice.watermark import SURE, Watermark

SENTENCES = ("Yes.", "The kettle is on, and the cat sits by the stove.")


@cache
def mark() -> Watermark:
    return Watermark.load()


@cache
def said(text: str) -> Utterance:
    return audio.resample(Bundled().speak(text, seed=3), audio.OUTPUT_RATE)


@cache
def marked(text: str) -> Utterance:
    return mark().apply(said(text))


def as_mp3(samples: audio.Samples) -> tuple[audio.Samples, int]:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, audio.OUTPUT_RATE, format="MP3")
    buffer.seek(0)
    return soundfile.read(buffer, dtype="float32")


@pytest.mark.parametrize("text", SENTENCES)
def test_a_mark_is_found_where_it_is_and_only_there(text: str) -> None:
    assert mark().confidence(said(text).samples, audio.OUTPUT_RATE) < 0.5
    assert mark().confidence(marked(text).samples, audio.OUTPUT_RATE) > SURE
    assert mark().confidence(*as_mp3(marked(text).samples)) > 0.8
    assert mark().confidence(*as_mp3(said(text).samples)) < 0.5


@pytest.mark.parametrize("treated", ["half as loud", "8 kHz", "a part", "16 bits", "with silence"])
def test_a_mark_survives_what_sound_goes_through(treated: str) -> None:
    sound, rate = marked(SENTENCES[1]).samples, audio.OUTPUT_RATE
    match treated:
        case "half as loud":
            sound = sound * np.float32(0.5)
        case "8 kHz":
            sound, rate = audio.resample(Utterance(sound, rate), 8000).samples, 8000
        case "a part":
            sound = np.ascontiguousarray(sound[rate // 2 : rate * 2])
        case "16 bits":
            sound = np.frombuffer(audio.pcm16(sound), "<i2").astype(np.float32) / 32_768
        case "with silence":
            sound = np.concatenate([np.zeros(rate, np.float32), sound, np.zeros(rate, np.float32)])
    assert mark().confidence(sound, rate) > SURE


def test_only_what_lies_below_two_kilohertz_changes_and_only_a_little() -> None:
    before, after = said(SENTENCES[1]), marked(SENTENCES[1])
    assert len(before.samples) == len(after.samples)
    assert after.text == before.text
    change = np.abs(np.fft.rfft(after.samples - before.samples))
    hertz = np.fft.rfftfreq(len(before.samples), 1 / audio.OUTPUT_RATE)
    assert change[hertz > 2200].max() < 0.01 * change.max()
    loudness = [np.sqrt(np.mean(sound.samples**2)) for sound in (before, after)]
    assert loudness[1] == pytest.approx(loudness[0], rel=0.1)


def test_the_parts_of_a_long_sound_join(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Utterance(np.tile(said(SENTENCES[1]).samples, 3), audio.OUTPUT_RATE)
    whole = mark().apply(long).samples
    monkeypatch.setattr(watermark, "PART", 2.0)
    assert np.abs(mark().apply(long).samples - whole).max() < 1e-4


def test_a_mark_never_makes_a_sound_clip() -> None:
    loud = said(SENTENCES[1]).samples / np.abs(said(SENTENCES[1]).samples).max()
    assert np.abs(mark().apply(Utterance(loud, audio.OUTPUT_RATE)).samples).max() <= 1


@pytest.mark.parametrize("samples", [0, 1, 200, 3000])
def test_nothing_and_next_to_nothing_pass(samples: int) -> None:
    silent = Utterance(np.zeros(samples, np.float32), 22_050)
    assert mark().apply(silent) is silent
    assert mark().confidence(silent.samples, 22_050) == 0
    click = Utterance(np.full(samples, 0.1, np.float32), 22_050)
    assert len(mark().apply(click).samples) == samples
    assert 0 <= mark().confidence(click.samples, 22_050) <= 1


def test_many_threads_may_mark_at_once() -> None:
    fresh, done = Watermark.load(), []
    threads = [
        threading.Thread(target=lambda: done.append(fresh.apply(said(SENTENCES[0])).samples))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert all(np.array_equal(one, done[0]) for one in done)


def test_a_package_that_is_missing_or_damaged_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "weights"
    with pytest.raises(TwinError, match=r"missing|damaged|no checkpoint"):
        Watermark(broken).apply(said(SENTENCES[0]))
    broken.write_bytes(b"PK nothing")
    with pytest.raises(TwinError, match=r"missing|damaged|no checkpoint"):
        Watermark(broken).confidence(said(SENTENCES[0]).samples, audio.OUTPUT_RATE)
    monkeypatch.setattr(watermark, "find_spec", lambda _: None)
    with pytest.raises(TwinError, match="aitwin\\[clone\\]"):
        Watermark.load()


def test_a_part_of_a_file_is_enough_and_one_channel_too(tmp_path: Path) -> None:
    rate, plain = audio.OUTPUT_RATE, np.tile(said(SENTENCES[1]).samples, 3)
    mixed = plain.copy()
    mixed[3 * rate : 6 * rate] = mark().apply(Utterance(plain, rate)).samples[3 * rate : 6 * rate]
    soundfile.write(tmp_path / "mixed.flac", np.stack([mixed, -mixed], axis=1), rate)
    found = mark().search(tmp_path / "mixed.flac")
    assert found.is_marked
    assert found.seconds == pytest.approx(len(plain) / rate)
    assert found.marked == pytest.approx(3, abs=1)
    soundfile.write(tmp_path / "plain.flac", plain, rate)
    assert mark().search(tmp_path / "plain.flac").marked == 0
    audio.save([marked(SENTENCES[0])], tmp_path / "short.wav")
    short = mark().search(tmp_path / "short.wav")
    assert (short.is_marked, short.marked) == (True, short.seconds)
