"""Tape: a 24-bit WAV that grows while somebody speaks, and is readable at every moment.

What was said must outlive the program: each block is handed to the system as it comes, under a
head that leaves the length open (as a streamed WAV does), so a process that is killed leaves all
but the block in its hands; about once a second the disk is waited for, so a power cut takes no
more than that. FLAC would halve the size, but keeps up to a frame in memory and
leaves a head without a length that not every reader forgives.
Knows nothing of prompts or levels: see record.
"""

import os
import struct
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice.audio import UNKNOWN_SIZE

HEAD = 44  # bytes before the sound
WIDTH = 3  # bytes of a sample
SYNC = 1.0  # seconds between two waits for the disk
SYNC_SHARE = 0.1
"""Of the time that may go into waiting: a stick that takes a second is waited for every ten.

The microphone is heard by a thread of its own meanwhile, and its sound waits (microphone.QUEUE)."""
FULL = 1 << 23
"""Steps from 0 to full scale: every float32 that a 24-bit converter made is kept exactly."""


class Tape:
    """A recording under way at `path`, mode 0600."""

    def __init__(self, path: Path, sample_rate: int, channels: int) -> None:
        """Raises FileExistsError when there is one: nothing recorded is written over."""
        self.path = path
        self.sample_rate = sample_rate  # Hertz
        self.channels = channels
        self.frames = 0
        """Samples of one channel so far."""
        artifact.make_private_dir(path.parent)
        # Unbuffered: what is in our own memory dies with us.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._sync_at = time.monotonic() + SYNC
        try:
            self._put(_head(None, sample_rate, channels))
        except OSError:
            self.close()
            path.unlink(missing_ok=True)
            raise

    @property
    def seconds(self) -> float:
        """How long it lasts so far."""
        return self.frames / self.sample_rate

    def write(self, block: NDArray[np.float32]) -> None:
        """Add sound, shape [time, channels]; waits for the disk now and then.

        Raises OSError when the disk is full; what was written before stays.
        """
        steps = np.clip(np.rint(block.astype(np.float64) * FULL), -FULL, FULL - 1)
        # The low three bytes of each little-endian 32-bit number.
        self._put(steps.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :WIDTH].tobytes())
        self.frames += len(block)
        if (now := time.monotonic()) >= self._sync_at:
            os.fsync(self._file.fileno())
            done = time.monotonic()
            self._sync_at = done + max(SYNC, (done - now) / SYNC_SHARE)

    def close(self) -> None:
        """Stop. The file is readable, and still says that its length is open."""
        self._file.close()

    def finish(self) -> Path:
        """Stop, state the length, and wait until the disk has it."""
        self.close()
        mend(self.path)
        return self.path

    def _put(self, data: bytes) -> None:
        # An unbuffered write may take part of it: a disk with little room left does.
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]


def mend(path: Path) -> float:
    """State the true length of a tape, whole or torn off; its seconds.

    Only bytes of the head change, and what is behind the last whole sample falls away; so it
    works on a full disk, and doing it again changes nothing.
    Raises TwinError when the file is not one of ours.
    """
    with path.open("r+b") as file:
        head = file.read(HEAD)
        if len(head) < HEAD or head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt ":
            raise TwinError(f"{path} is not a recording of `twin voice record`; move it away")
        channels, rate = struct.unpack("<HI", head[22:28])
        frame = WIDTH * channels
        frames = (file.seek(0, os.SEEK_END) - HEAD) // frame
        file.truncate(HEAD + frames * frame)
        file.seek(0)
        file.write(_head(frames * frame, rate, channels))
        file.flush()
        os.fsync(file.fileno())
    return float(frames / rate)


def _head(size: int | None, rate: int, channels: int) -> bytes:
    """The bytes before `size` bytes of sound; None: not known yet."""
    frame = WIDTH * channels
    total, data = (UNKNOWN_SIZE,) * 2 if size is None else (HEAD - 8 + size, size)
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * frame, frame, 8 * WIDTH)
    return (
        b"RIFF" + struct.pack("<I", total) + b"WAVEfmt " + form + b"data" + struct.pack("<I", data)
    )
