import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import sound_file
from aitwin.voice.sound_file import Recording, SoundInfo, native, probe

RATE = 48_000
SECONDS = 2.0


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ffmpeg of the package: the same version everywhere, and quick to start."""
    monkeypatch.setenv("PATH", "")


def speech_like(
    seconds: float = SECONDS, channels: int = 2, rate: int = RATE
) -> NDArray[np.float32]:
    """Noise and a gliding tone, different in each channel: nothing in it repeats."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(1).normal(0, 0.02, (len(time), channels))
    tones = [0.3 * np.sin(2 * np.pi * (200 + 90 * k + 40 * time) * time) for k in range(channels)]
    return (np.stack(tones, 1) + noise).astype(np.float32)


def wav(path: Path, sound: NDArray[np.float32], rate: int = RATE, **kind: str) -> Path:
    soundfile.write(path, sound, rate, **{"format": "WAV", "subtype": "PCM_24", **kind})
    return path


def coded(tmp_path: Path, name: str, *options: str) -> Path:
    """What an ordinary ffmpeg makes of two channels of sound."""
    source = wav(tmp_path / "source.wav", speech_like())
    run(sound_file.ffmpeg(), "-v", "error", "-i", source, *options, tmp_path / name)
    source.unlink()
    return tmp_path / name


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def heard(path: Path, seconds: float = 0.7) -> NDArray[np.float32]:
    return np.concatenate(list(native(path, seconds)))


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Cosine of two sounds at no delay: one sample of it costs 3 % here."""
    length = min(len(one), len(other))
    a, b = one[:length].ravel(), other[:length].ravel()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize(
    ("kind", "subtype", "format"),
    [
        ("WAV", "PCM_16", "wav"),
        ("WAV", "FLOAT", "wav"),
        ("WAVEX", "PCM_24", "wav"),
        ("RF64", "PCM_24", "wav"),
        ("FLAC", "PCM_24", "flac"),
        ("AIFF", "PCM_24", "aiff"),
    ],
)
def test_what_is_stored_without_loss_is_read_without_loss(
    tmp_path: Path, kind: str, subtype: str, format: str
) -> None:
    path = wav(tmp_path / "take", speech_like(), format=kind, subtype=subtype)
    stored, _ = soundfile.read(path, dtype="float32")
    assert probe(path) == SoundInfo(format, RATE, 2, SECONDS)
    assert np.array_equal(heard(path), stored)


@pytest.mark.parametrize(
    ("kind", "subtype", "format"),
    [
        ("MP3", "MPEG_LAYER_III", "mp3"),
        ("OGG", "VORBIS", "ogg"),
        ("OGG", "OPUS", "ogg"),
    ],
)
def test_lossy_files_have_all_their_frames_and_no_delay(
    tmp_path: Path, kind: str, subtype: str, format: str
) -> None:
    path = wav(tmp_path / "take", speech_like(), format=kind, subtype=subtype)
    assert probe(path) == SoundInfo(format, RATE, 2, SECONDS)
    whole, _ = soundfile.read(path, dtype="float32")
    assert whole.shape == (2 * RATE, 2)
    # A decoder that is restarted between two reads, as soundfile does by itself, cracks there.
    assert np.array_equal(heard(path), whole)
    assert likeness(heard(path), speech_like()) > 0.98


@pytest.mark.parametrize(
    ("name", "options", "format", "loss"),
    [
        ("take.m4a", ["-c:a", "aac", "-b:a", "192k"], "m4a", True),
        ("take.mp4", ["-c:a", "aac", "-b:a", "192k"], "mp4", True),
        ("take.m4a", ["-c:a", "alac"], "m4a", False),
        ("take.caf", ["-c:a", "alac"], "caf", False),
        ("take.caf", ["-c:a", "pcm_s24be"], "caf", False),
        ("take.webm", ["-c:a", "libopus", "-b:a", "128k"], "webm", True),
        ("take.mka", ["-c:a", "flac"], "matroska", False),
    ],
)
def test_other_containers_are_read_by_ffmpeg(
    tmp_path: Path, name: str, options: list[str], format: str, loss: bool
) -> None:
    path = coded(tmp_path, name, *options)
    info = probe(path)
    assert (info.format, info.sample_rate, info.channels) == (format, RATE, 2)
    assert info.seconds == pytest.approx(SECONDS, abs=0.1)
    sound = heard(path)
    if loss:
        # Some versions keep the last frame's padding, wma loses it: up to 2,048 frames.
        assert len(sound) == pytest.approx(2 * RATE, abs=2_048)
        assert likeness(sound, speech_like()) > 0.98
    else:
        assert sound.shape == (2 * RATE, 2)
        assert np.abs(sound - speech_like()).max() < 2**-23


def test_windows_media_is_read(tmp_path: Path) -> None:
    """But for the first 2,048 frames, in which its decoder settles."""
    path = coded(tmp_path, "take.wma", "-c:a", "wmav2", "-b:a", "192k")
    assert probe(path).format == "wma"
    sound = heard(path)
    assert likeness(sound, speech_like()[2_048:]) > 0.98


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", speech_like(), RATE)
    (tmp_path / "a.mp3").rename(tmp_path / "a.wav")
    coded(tmp_path, "b.m4a").rename(tmp_path / "b.mp3")
    wav(tmp_path / "c.m4a", speech_like())
    assert [probe(tmp_path / name).format for name in ("a.wav", "b.mp3", "c.m4a")] == [
        *("mp3", "m4a", "wav")
    ]


@pytest.mark.parametrize("size", [0.0, 0.013, 1.0, 60.0])
def test_blocks_are_as_long_as_asked_for(tmp_path: Path, size: float) -> None:
    sound = speech_like(0.1)
    path = wav(tmp_path / "take.wav", sound, subtype="FLOAT")
    blocks = list(Recording(path).blocks(size))
    assert {len(block) for block in blocks[:-1]} <= {max(1, round(size * RATE))}
    assert np.array_equal(np.concatenate(blocks), sound)


def test_a_webm_out_of_a_browser_states_no_duration(tmp_path: Path) -> None:
    path = coded(tmp_path, "take.webm", "-c:a", "libopus", "-live", "1", "-f", "webm")
    assert probe(path, least=1.0).seconds is None
    recording = Recording(path)
    assert sum(len(block) for block in recording.blocks()) == 2 * RATE
    assert recording.missing == 0


@pytest.mark.parametrize("options", [["-f", "flac"], ["-f", "mp3", "-write_xing", "0"]])
def test_what_was_streamed_into_a_file_lacks_nothing(tmp_path: Path, options: list[str]) -> None:
    """A FLAC from a pipe does not state its length, an MP3 only about."""
    source = wav(tmp_path / "source.wav", speech_like())
    command = [sound_file.ffmpeg(), "-v", "error", "-i", source, *options, "pipe:1"]
    made = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    path = tmp_path / "take"
    path.write_bytes(made.stdout)
    recording = Recording(path)
    frames = sum(len(block) for block in recording.blocks())
    assert 2 * RATE <= frames <= 2 * RATE + 3_000
    assert (recording.missing, recording.damaged) == (0, False)
    assert recording.info.seconds is None or recording.info.seconds < SECONDS + 0.1


def test_a_wav_need_not_hold_plain_samples(tmp_path: Path) -> None:
    path = coded(tmp_path, "take.wav", "-c:a", "adpcm_ms")
    recording = Recording(path)
    assert sum(len(block) for block in recording.blocks()) == pytest.approx(2 * RATE, abs=4_000)
    assert (recording.missing, recording.damaged) == (0, False)


def test_a_rate_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="states 1,000,000 Hertz"):
        probe(wav(tmp_path / "a.wav", speech_like(0.1), 1_000_000))


def test_a_video_gives_its_sound(tmp_path: Path) -> None:
    picture = ["-f", "lavfi", "-i", "color=s=64x64:d=2", "-c:v", "mpeg4"]
    path = coded(tmp_path, "film.mp4", *picture, "-c:a", "aac", "-map", "0", "-map", "1")
    assert probe(path).channels == 2


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    picture = ["-f", "lavfi", "-i", "color=s=64x64:d=1", "-c:v", "mpeg4"]
    run(sound_file.ffmpeg(), "-v", "error", *picture, film)
    with pytest.raises(TwinError, match=r"film\.mp4 holds no sound; choose another"):
        probe(film)


# --- cut off and damaged ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["take.wav", "take.aiff", "take.flac", "take.mp3"])
def test_a_file_that_was_cut_off_gives_what_is_there_and_says_what_is_not(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    soundfile.write(path, speech_like(), RATE)
    whole = heard(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    recording = Recording(path)
    rest = np.concatenate(list(recording.blocks(0.5)))
    assert len(rest) == pytest.approx(0.6 * len(whole), rel=0.06)
    assert len(rest) / RATE + recording.missing == pytest.approx(SECONDS, abs=0.001)
    # Up to an MP3's last whole frame, that borrows bits from those behind it.
    assert np.array_equal(rest[:-5_000], whole[: len(rest) - 5_000])


def test_an_m4a_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "aac", "-movflags", "+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    recording = Recording(path)
    frames = sum(len(block) for block in recording.blocks())
    assert recording.missing == pytest.approx(SECONDS - frames / RATE, abs=0.05)
    assert 0.5 < recording.missing < 1.5
    assert recording.damaged


def test_an_m4a_without_its_index_says_so(tmp_path: Path) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TwinError, match="breaks off before its index"):
        probe(path)


@pytest.mark.parametrize("name", ["take.flac", "take.mp3", "take.ogg"])
def test_what_lies_behind_a_damage_is_read_too(tmp_path: Path, name: str) -> None:
    """A flaw of half a second does not cost the rest of an hour."""
    path = tmp_path / name
    soundfile.write(path, speech_like(8.0), RATE)
    data = bytearray(path.read_bytes())
    start, length = len(data) // 3, len(data) // 80
    data[start : start + length] = np.random.default_rng(0).bytes(length)
    path.write_bytes(data)
    recording = Recording(path)
    frames = sum(len(block) for block in recording.blocks())
    assert recording.damaged
    assert 6.5 * RATE < frames <= 8 * RATE


def test_a_wav_that_was_never_closed_is_read_to_its_end(tmp_path: Path) -> None:
    """A recorder that lost power leaves sizes of nothing, or of all ones."""
    path = wav(tmp_path / "take.wav", speech_like(1.0), subtype="PCM_16")
    data = path.read_bytes()
    place = data.index(b"data") + 4
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        path.write_bytes(data[:place] + size + data[place + 4 :])
        recording = Recording(path)
        assert sum(len(block) for block in recording.blocks()) == RATE
        assert recording.missing == 0


@pytest.mark.parametrize("name", ["take.wav", "take.mp3", "take.m4a", "take.webm", "take"])
def test_garbage_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(3).bytes(50_000))
    with pytest.raises(TwinError, match=r"is not a recording, or it is damaged"):
        probe(path)


@pytest.mark.parametrize("magic", ["524946460000000057415645", "664c6143", "4f676753", "494433"])
def test_garbage_under_a_good_beginning_is_refused(tmp_path: Path, magic: str) -> None:
    path = tmp_path / "take"
    path.write_bytes(bytes.fromhex(magic) + np.random.default_rng(3).bytes(50_000))
    with pytest.raises(TwinError, match=r"take (is not a recording|holds no sound)"):
        probe(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 32_000.0])
def test_numbers_that_are_no_sound_are_refused_where_they_are(tmp_path: Path, bad: float) -> None:
    sound = speech_like()
    sound[RATE, 1] = bad
    path = wav(tmp_path / "take.wav", sound, subtype="FLOAT")
    with pytest.raises(TwinError, match=r"at second 1\.00"):
        heard(path)


# --- what is no recording of a voice ----------------------------------------------------------


@pytest.mark.parametrize("name", ["call.wav", "call.flac", "call.mp3"])
def test_a_telephone_call_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    """V2."""
    soundfile.write(tmp_path / name, speech_like(rate=8_000), 8_000)
    with pytest.raises(
        TwinError, match="at 8,000 Hertz, as a telephone does; a voice needs 16,000"
    ):
        probe(tmp_path / name)


def test_a_telephone_call_in_an_m4a_is_refused_too(tmp_path: Path) -> None:
    """V2."""
    with pytest.raises(TwinError, match="8,000 Hertz"):
        probe(coded(tmp_path, "call.m4a", "-ar", "8000", "-c:a", "aac"))


def test_sixteen_kilohertz_are_enough(tmp_path: Path) -> None:
    """V2."""
    assert probe(wav(tmp_path / "a.wav", speech_like(rate=16_000), 16_000)).sample_rate == 16_000


def test_a_clip_of_two_seconds_is_refused_where_a_least_length_is_asked_for(
    tmp_path: Path,
) -> None:
    path = wav(tmp_path / "clip.wav", speech_like())
    assert probe(path).seconds == 2.0
    with pytest.raises(TwinError, match=r"holds 2\.00 seconds of sound; 3 are the least"):
        probe(path, least=sound_file.MIN_SECONDS)
    whole = wav(tmp_path / "whole.wav", speech_like(3.0))
    assert probe(whole, least=sound_file.MIN_SECONDS).seconds == 3.0


def test_more_channels_than_a_voice_needs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="has 9 channels"):
        probe(wav(tmp_path / "a.wav", speech_like(0.2, channels=9)))
    assert probe(wav(tmp_path / "b.wav", speech_like(0.2, channels=8))).channels == 8


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (Path.mkdir, "is a directory"),
        (Path.touch, "is empty"),
        (make_pipe, "is not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (lambda path: wav(path, speech_like(0.0)), "holds no sound"),
    ],
)
def test_what_is_no_sound_at_all_is_refused(
    tmp_path: Path, make: Callable[[Path], Any], reason: str
) -> None:
    path = tmp_path / "take.wav"
    make(path)
    with pytest.raises(TwinError, match=reason):
        probe(path)


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(TwinError, match="NUL"):
        probe(Path("take\0.wav"))


# --- ffmpeg as a stranger ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["-x.m4a", "concat:a|b", "http:x.m4a", "%41 %d.m4a", "a\nb.m4a", "ü 'q' \"r\".m4a"]
)
def test_odd_names_are_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coded(tmp_path, "take.m4a", "-c:a", "alac").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(heard(Path(name))) == 2 * RATE


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{other}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("name", ["take.m4a", "take.m3u8", "take.ffconcat", "take.sdp"])
def test_playlists_are_not_followed(tmp_path: Path, playlist: str, name: str) -> None:
    """P4: a file that was sent to the owner cannot name others of the owner's files."""
    other = wav(tmp_path / "private.wav", speech_like())
    path = tmp_path / name
    path.write_text(playlist.format(other=other))
    with pytest.raises(TwinError, match="is not a recording"):
        probe(path)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every process that is started."""
    started = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return started


def test_ffmpeg_ends_when_nobody_listens_any_more(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "alac")
    blocks = Recording(path).blocks(0.1)
    next(blocks)
    assert processes[-1].poll() is None
    blocks.close()
    assert all(process.poll() is not None for process in processes)


def test_ffmpeg_ends_with_an_interruption(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "alac")
    blocks = Recording(path).blocks(0.1)
    next(blocks)
    with pytest.raises(KeyboardInterrupt):
        blocks.throw(KeyboardInterrupt())
    assert all(process.poll() is not None for process in processes)


def test_ffmpeg_says_nothing_to_the_owner(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """P4: it would quote titles out of the file."""
    path = coded(tmp_path, "take.m4a", "-c:a", "aac", "-metadata", "title=SECRET")
    data = path.read_bytes()
    list(native(path))
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(TwinError) as error:
        probe(path)
    said = capfd.readouterr()
    assert said.out + said.err + caplog.text == ""
    assert "SECRET" not in str(error.value)


def test_the_owners_ffmpeg_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "alac")
    own = tmp_path / "bin" / "ffmpeg"
    own.parent.mkdir()
    own.symlink_to(sound_file.ffmpeg())
    monkeypatch.setenv("PATH", str(own.parent))
    assert sound_file.ffmpeg() == str(own)
    assert len(heard(path)) == 2 * RATE


def test_an_ffmpeg_that_does_not_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "alac")
    broken = tmp_path / "ffmpeg"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TwinError, match="ffmpeg does not run"):
        probe(path)


def test_without_any_ffmpeg_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coded(tmp_path, "take.m4a", "-c:a", "alac")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(TwinError, match=r"aitwin\[clone\]"):
        probe(path)
    assert probe(wav(tmp_path / "a.wav", speech_like())).format == "wav"
