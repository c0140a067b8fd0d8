import base64
import io
import re
import stat
import struct
import subprocess
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.voice import audio, pages
from aitwin.voice.audio import OUTPUT_RATE, Utterance


def tone(hertz: float, rate: int, seconds: float = 1.0, peak: float = 0.5) -> Utterance:
    time = np.arange(round(rate * seconds)) / rate
    return Utterance((peak * np.sin(2 * np.pi * hertz * time)).astype(np.float32), rate, "beep")


def pitch(samples: audio.Samples, rate: int) -> float:
    """Hertz of the strongest partial, to a tenth of the bin width."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 10 * len(samples)))
    return float(np.argmax(spectrum) * rate / (10 * len(samples)))


class BrokenError(Exception):
    pass


def breaks_off(first: Utterance) -> Iterator[Utterance]:
    yield first
    raise BrokenError


def test_utterance_measures_itself_and_hides_its_words() -> None:
    utterance = tone(440, 24_000, 1.5)
    assert utterance.seconds == 1.5
    assert "beep" not in repr(utterance)
    assert "0." not in repr(utterance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        Utterance(np.array([0, bad, 0], np.float32), 24_000)


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 4), np.float32), np.zeros(4), np.zeros(4, np.int16)]
)
def test_samples_of_another_shape_or_kind_are_refused(samples: audio.Samples) -> None:
    with pytest.raises(ValueError, match="float32"):
        Utterance(samples, 24_000)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 Hertz"):
        Utterance(np.zeros(4, np.float32), 0)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("hertz", [100.0, 440.0, 5_000.0])
def test_resampling_keeps_pitch_level_and_length(rate: int, hertz: float) -> None:
    """S2."""
    before = tone(hertz, rate)
    after = audio.resample(before, OUTPUT_RATE)
    assert (after.sample_rate, after.text) == (OUTPUT_RATE, "beep")
    assert abs(after.seconds - before.seconds) < 2 / OUTPUT_RATE
    middle = after.samples[2_000:-2_000]
    assert pitch(middle, OUTPUT_RATE) == pytest.approx(hertz, abs=0.3)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    """Above 11,025 Hertz nothing may fold back as a whistle."""
    after = audio.resample(tone(11_700, 24_000), OUTPUT_RATE)
    assert np.abs(after.samples[2_000:-2_000]).max() < 0.005


def test_resampling_nothing_is_nothing() -> None:
    nothing = Utterance(np.zeros(0, np.float32), 24_000)
    assert audio.resample(nothing, OUTPUT_RATE).seconds == 0


def test_trim_keeps_the_sound_and_its_margins() -> None:
    sound = tone(300, 24_000, 0.5)
    silence = np.zeros(12_000, np.float32)
    padded = Utterance(np.concatenate([silence, sound.samples, silence]), 24_000)
    trimmed = audio.trim(padded, before=0.04, after=0.08)
    assert trimmed.seconds == pytest.approx(0.62, abs=2 * audio.FRAME)
    assert np.sum(trimmed.samples**2) == pytest.approx(float(np.sum(sound.samples**2)))


def test_trim_keeps_a_soft_onset() -> None:
    """An "h" or "f" lies some 40 dB below the vowel that follows."""
    soft = tone(3_000, 24_000, 0.1, peak=0.004)
    loud = tone(200, 24_000, 0.3, peak=0.4)
    both = Utterance(np.concatenate([soft.samples, loud.samples]), 24_000)
    assert audio.trim(both).seconds == pytest.approx(0.4, abs=2 * audio.FRAME)


def test_trim_of_silence_is_empty() -> None:
    assert audio.trim(Utterance(np.zeros(999, np.float32), 24_000)).seconds == 0
    assert audio.trim(Utterance(np.zeros(0, np.float32), 24_000)).seconds == 0


def test_settled_sounds_join_without_a_click() -> None:
    """A cut at full swing steps by the amplitude; settled, no more than the tone itself does."""
    cut = Utterance(tone(200, OUTPUT_RATE, 0.3).samples[27:-13], OUTPUT_RATE)
    raw = np.concatenate([cut.samples, np.zeros(9, np.float32), cut.samples])
    assert np.abs(np.diff(raw)).max() > 0.2
    joined = np.concatenate([audio.settle(cut, 0.1).samples] * 2)
    assert np.abs(np.diff(joined)).max() <= np.abs(np.diff(cut.samples)).max() * 1.05
    assert len(joined) == 2 * (len(cut.samples) + round(0.1 * OUTPUT_RATE))


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_settling_next_to_nothing(length: int) -> None:
    tiny = Utterance(np.ones(length, np.float32), OUTPUT_RATE)
    assert len(audio.settle(tiny, 0.0).samples) == length


def test_settling_leaves_the_original_alone() -> None:
    original = Utterance(np.ones(2_000, np.float32), OUTPUT_RATE)
    audio.settle(original, 0.1)
    assert original.samples.min() == 1


@given(st.lists(st.floats(-4, 4, width=32), max_size=40))
def test_pcm_never_wraps_and_is_exact_to_half_a_step(values: list[float]) -> None:
    samples = np.array(values, np.float32)
    pcm = np.frombuffer(audio.pcm16(samples), "<i2")
    assert np.abs(pcm / 32_767 - np.clip(samples, -1, 1)).max(initial=0) <= 0.5001 / 32_767


def pcm(utterances: list[Utterance]) -> bytes:
    """What a WAV of them holds."""
    return b"".join(audio.pcm16(audio.resample(one, OUTPUT_RATE).samples) for one in utterances)


def test_wav_is_22050_hertz_16_bit_mono(tmp_path: Path) -> None:
    """S2."""
    audio.save([tone(440, 24_000), tone(880, 24_000, 0.5)], tmp_path / "out.wav")
    data = (tmp_path / "out.wav").read_bytes()
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 22_050, 33_075)
        values = np.frombuffer(file.readframes(-1), "<i2")
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    assert pitch(values[2_000:20_000] / 32_767, 22_050) == pytest.approx(440, abs=0.3)
    assert pitch(values[24_000:32_000] / 32_767, 22_050) == pytest.approx(880, abs=0.5)


def test_streamed_wav_is_the_same_sound_under_an_open_head() -> None:
    """S2: players read it to its end, and the head comes with the first sound."""
    spoken = [tone(440, 24_000), tone(880, 24_000, 0.5)]
    pieces = list(audio.wav_stream(iter(spoken)))
    assert len(pieces) == 2
    streamed = b"".join(pieces)
    assert streamed[44:] == pcm(spoken)
    assert struct.unpack("<I", streamed[4:8]) == struct.unpack("<I", streamed[40:44])
    assert struct.unpack("<I", streamed[4:8]) == (audio.UNKNOWN_SIZE,)
    samples, rate = soundfile.read(io.BytesIO(streamed))
    assert (len(samples), rate) == (33_075, 22_050)
    with wave.open(io.BytesIO(streamed)) as file:
        assert len(file.readframes(1_000_000)) == 2 * 33_075


def test_a_stream_of_nothing_is_an_empty_wav() -> None:
    assert b"".join(audio.wav_stream(iter([]))) == audio.wav_header(None)


def test_a_stream_that_fails_at_once_sends_no_byte() -> None:
    def fails() -> Iterator[Utterance]:
        raise BrokenError
        yield

    with pytest.raises(BrokenError):
        next(audio.wav_stream(fails()))


def test_mp3_is_the_same_sound() -> None:
    """S2."""
    samples, rate = soundfile.read(io.BytesIO(audio.encode_mp3([tone(440, 24_000, 2, peak=1.5)])))
    assert rate == 22_050
    assert len(samples) / rate == pytest.approx(2, abs=0.1)
    assert pitch(samples[8_000:30_000], rate) == pytest.approx(440, abs=0.3)


def test_a_clip_of_a_page_bears_the_note() -> None:
    sound = tone(440, OUTPUT_RATE)
    samples, _ = decoded(audio.encode_mp3([sound], note=NOTE))
    assert len(samples) / OUTPUT_RATE == pytest.approx(1, abs=0.1)
    for note in (NOTE, ""):
        clip = base64.b64decode(pages.clip(sound.samples, note).mp3)
        assert soundfile.SoundFile(io.BytesIO(clip)).comment == note


NOTE = "AI-generated voice of Jürgen, whose name is longer than an old tag has room for"


def decoded(data: bytes) -> tuple[audio.Samples, int]:
    """By ffmpeg, as other people's players read it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", "pipe:", "-f", "f32le", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    assert b"rror" not in done.stderr
    rate = re.search(rb"(\d+) Hz, mono", done.stderr)
    assert rate is not None
    tagged = NOTE.encode("utf-16") in data or NOTE.encode() in data
    assert (NOTE.encode() in done.stderr) == tagged
    return np.frombuffer(done.stdout, np.float32), int(rate[1])


@pytest.mark.parametrize("rate", [16_000, OUTPUT_RATE, 44_100])
def test_a_streamed_mp3_comes_in_pieces_and_is_the_same_sound(rate: int) -> None:
    told: list[int] = []

    def said() -> Iterator[Utterance]:
        for number in range(5):
            told.append(number)
            yield tone(440, 24_000, 1.0)

    whole, said_at_piece = b"", []
    for piece in audio.mp3_stream(said(), rate, NOTE):
        said_at_piece.append(len(told))
        whole += piece
    assert said_at_piece[:5] == [1, 2, 3, 4, 5]
    samples, heard = decoded(whole)
    assert heard == rate
    assert len(samples) / rate == pytest.approx(5, abs=0.15)
    assert pitch(samples, rate) == pytest.approx(440, abs=1)
    read, rate_read = soundfile.read(io.BytesIO(whole), dtype="float32")
    assert len(read) / rate_read == pytest.approx(5, abs=0.15)
    with soundfile.SoundFile(io.BytesIO(whole)) as file:
        assert file.comment == NOTE


def test_a_stream_of_nothing_is_an_empty_mp3_and_one_that_fails_sends_no_byte() -> None:
    assert len(decoded(b"".join(audio.mp3_stream([tone(440, 22_050, 0.001)])))[0]) < 5_000
    with pytest.raises(BrokenError):
        next(audio.mp3_stream(breaks_off(tone(440, 22_050, 0.0))))


def test_a_note_travels_with_wav_and_mp3(tmp_path: Path) -> None:
    for name in ("said.wav", "said.mp3"):
        seconds = audio.save([tone(440, 22_050)] * 2, tmp_path / name, note=NOTE)
        assert seconds == 2
        with soundfile.SoundFile(tmp_path / name) as file:
            assert file.comment == NOTE
        samples, rate = decoded((tmp_path / name).read_bytes())
        assert len(samples) / rate == pytest.approx(2, abs=0.03)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    streamed = b"".join(audio.wav_stream([tone(440, 22_050)] * 2, note=NOTE))
    assert len(decoded(streamed)[0]) == 2 * OUTPUT_RATE
    with wave.open(str(tmp_path / "said.wav")) as file:
        assert file.getnframes() == 2 * OUTPUT_RATE


def test_saving_writes_a_private_file(tmp_path: Path) -> None:
    """S2, P4."""
    path = tmp_path / "new" / "out.wav"
    said = [tone(440, 24_000), tone(440, OUTPUT_RATE, 0.5)]
    assert audio.save(said, path) == 1.5
    assert path.read_bytes() == audio.wav_header(3 * OUTPUT_RATE) + pcm(said)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_interruption_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    audio.save([tone(440, OUTPUT_RATE)], path)
    before = path.read_bytes()
    with pytest.raises(BrokenError):
        audio.save(breaks_off(tone(880, OUTPUT_RATE)), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.glob(".*")] == []


def test_saving_holds_one_utterance_at_a_time(tmp_path: Path) -> None:
    """A long text is on disk, not in memory."""
    path = tmp_path / "out.wav"
    sizes = []

    def said() -> Iterator[Utterance]:
        for _ in range(5):
            sizes.extend(entry.stat().st_size for entry in tmp_path.glob(".out.wav.*"))
            yield tone(440, OUTPUT_RATE, 10)

    audio.save(said(), path)
    assert len(sizes) == 5
    assert all(later - earlier > 400_000 for earlier, later in pairwise(sizes[1:]))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "directory.wav").mkdir()
    with pytest.raises(TwinError, match=r"directory\.wav cannot be written"):
        audio.save([tone(440, OUTPUT_RATE, 0.1)], tmp_path / "directory.wav")
    (tmp_path / "file").write_text("")
    with pytest.raises(TwinError, match=r"out\.wav cannot be written"):
        audio.save([tone(440, OUTPUT_RATE, 0.1)], tmp_path / "file" / "out.wav")


@pytest.mark.parametrize("name", ["out.ogg", "out.m4a", "out.flac", "out", "wav"])
def test_a_name_of_another_format_is_refused_before_anything_is_said(
    tmp_path: Path, name: str
) -> None:
    """It was a WAV whatever it was called."""
    asked: list[bool] = []

    def said() -> Iterator[Utterance]:
        asked.append(True)
        yield tone(440, OUTPUT_RATE)

    with pytest.raises(TwinError, match=r"neither a \.wav nor an \.mp3"):
        audio.save(said(), tmp_path / name)
    assert not asked
    assert list(tmp_path.iterdir()) == []
    audio.save(said(), tmp_path / "OUT.WAV")
    assert (tmp_path / "OUT.WAV").read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize("name", ["out.wav", "out.mp3"])
def test_a_look_at_the_whole_file_decides_whether_it_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    seen: list[float] = []

    def look(file: BinaryIO) -> None:
        with soundfile.SoundFile(file) as sound:
            samples = sound.read()
            seen.append(len(samples) / sound.samplerate)
            if pitch(samples, sound.samplerate) > 600:
                raise BrokenError

    audio.save([tone(440, OUTPUT_RATE, 2.0)], path, note=NOTE, look=look)
    before = path.read_bytes()
    with pytest.raises(BrokenError):
        audio.save([tone(880, OUTPUT_RATE, 3.0)], path, note=NOTE, look=look)
    assert seen == pytest.approx([2, 3], abs=0.05)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_more_than_a_wav_can_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "WAV_LIMIT", 10_000)
    with pytest.raises(TwinError, match="cut it in two"):
        audio.save([tone(440, OUTPUT_RATE)], tmp_path / "out.wav")
    assert list(tmp_path.glob("*.wav")) == []
