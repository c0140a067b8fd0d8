import os
import signal
import stat
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import tape as module
from aitwin.voice.tape import FULL, HEAD, Tape, mend


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (frames, channels)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
def test_a_tape_keeps_rate_channels_and_24_bits(tmp_path: Path, rate: int, channels: int) -> None:
    """V2: never resampled before storage; every step of a 24-bit converter is kept."""
    block = np.rint(noise(999, channels) * FULL).clip(-FULL, FULL - 1).astype(np.float32) / FULL
    tape = Tape(tmp_path / "a" / "take.wav", rate, channels)
    tape.write(block[:500])
    tape.write(block[500:])
    assert tape.seconds == 999 / rate
    path = tape.finish()
    read, its_rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert (its_rate, soundfile.info(path).subtype) == (rate, "PCM_24")
    assert np.array_equal(read, block)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (channels, 3, rate, 999)


def test_a_tape_is_private(tmp_path: Path) -> None:
    """P4."""
    previous = os.umask(0)
    try:
        tape = Tape(tmp_path / "sessions" / "take.wav", 48_000, 1)
    finally:
        os.umask(previous)
    tape.close()
    assert stat.S_IMODE(tape.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(tape.path.parent.stat().st_mode) == 0o700


def test_beyond_full_scale_it_holds_and_never_wraps(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "take.wav", 48_000, 1)
    tape.write(np.array([[1.0], [1.5], [-1.0], [-7.0]], np.float32))
    read, _ = soundfile.read(tape.finish(), dtype="float64")
    assert read.tolist() == [1 - 1 / FULL, 1 - 1 / FULL, -1, -1]


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_bytes(b"an hour of work")
    with pytest.raises(FileExistsError):
        Tape(tmp_path / "take.wav", 48_000, 1)
    assert (tmp_path / "take.wav").read_bytes() == b"an hour of work"


def test_an_unfinished_tape_is_readable_and_mended(tmp_path: Path) -> None:
    block = noise(4_801)
    tape = Tape(tmp_path / "take.wav", 48_000, 1)
    tape.write(block)
    assert len(soundfile.read(tape.path)[0]) == 4_801  # while it is still open
    tape.close()
    with tape.path.open("ab") as file:
        file.write(b"\x01\x02")  # the system took part of a sample
    assert mend(tape.path) == 4_801 / 48_000
    mended = tape.path.read_bytes()
    assert len(mended) == HEAD + 3 * 4_801
    assert mend(tape.path) == 4_801 / 48_000
    assert tape.path.read_bytes() == mended
    with wave.open(str(tape.path)) as file:
        assert file.getnframes() == 4_801


def test_a_killed_process_leaves_what_was_said(tmp_path: Path) -> None:
    """kill -9 in the middle of a take."""
    script = (
        "import sys, pathlib, time, numpy as np\n"
        "from aitwin.voice.tape import Tape\n"
        "tape = Tape(pathlib.Path(sys.argv[1]), 48_000, 1)\n"
        "for n in range(50): tape.write(np.full((960, 1), n / 64, np.float32))\n"
        "print('said', flush=True)\n"
        "time.sleep(60)\n"
    )
    path = tmp_path / "take.wav"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "said\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    expected = np.repeat(np.arange(50) / 64, 960)
    assert np.array_equal(soundfile.read(path)[0], expected)
    assert mend(path) == 1.0
    assert np.array_equal(soundfile.read(path)[0], expected)


def test_the_disk_is_waited_for_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in the middle of a take."""
    now, synced, slow = 0.0, [], 0.0
    fsync = os.fsync

    def wait(handle: int) -> None:
        nonlocal now
        fsync(handle)
        synced.append((now, os.fstat(handle).st_size))
        now += slow

    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(module.os, "fsync", wait)
    tape = Tape(tmp_path / "take.wav", 48_000, 1)
    block = noise(4_800)
    for n in range(51):
        now = n / 10
        tape.write(block)
    assert synced == [(n, HEAD + 3 * 4_800 * (10 * n + 1)) for n in (1, 2, 3, 4, 5)]
    synced.clear()
    slow, now = 3.0, 6.0
    tape.write(block)
    for later in (10.0, 20.0, 38.9, 39.1):
        now = later
        tape.write(block)
    assert [at for at, _ in synced] == [6.0, 39.1]  # a slow stick is asked a tenth of the time
    tape.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "take.wav", 48_000, 1)
    tape.write(noise(960))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, tape._file.fileno())
    os.close(full)
    with pytest.raises(OSError, match="No space left"):
        tape.write(noise(960))
    tape.close()
    assert mend(tape.path) == 0.02


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_bytes(b"not a recording" * 9)
    with pytest.raises(TwinError, match="not a recording"):
        mend(tmp_path / "take.wav")
    assert (tmp_path / "take.wav").read_bytes() == b"not a recording" * 9
