"""Intake: a recording decoded once from end to end, before it becomes a take.

What a file states of its length need not be so, and a small file may unpack to days of nothing:
both are known here, before anything is kept. Keeps nothing itself: see voices.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from aitwin.errors import TwinError
from aitwin.voice.sound_file import Block, Recording, SoundInfo

MOST_CHANNELS_RATE = 192_000
"""Frames times channels per second up to which length alone counts: 96,000 Hertz in stereo."""


class TooLongError(TwinError):
    """It is longer than what was asked to be the longest."""


class TooShortError(TwinError):
    """It holds less sound than what was asked to be the least."""


@dataclass(frozen=True)
class Intake:
    """What was found."""

    format: str
    """See SoundInfo."""
    seconds: float
    sample_rate: int
    """Hertz."""
    channels: int
    sound: str
    """SHA-256 of the decoded samples: a WAV and its FLAC are one recording."""
    missing: float
    """Seconds that the file promises and does not hold."""

    @property
    def values(self) -> dict[str, Any]:
        """As voices.Voice.add wants them."""
        return {
            "seconds": self.seconds,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "sound": self.sound,
        }

    @property
    def suffix(self) -> str:
        """What such a file is called after what it is: ".webm"."""
        return f".{self.format}" if self.format.isalnum() and len(self.format) < 9 else ".sound"


def of(path: Path, *, least: float = 0.0, longest: float = inf, copy: Path | None = None) -> Intake:
    """Decode all of a file, in constant memory.

    `least` and `longest` are in seconds. Decodes no more than `longest`, nor than that holds at 96
    kHz in stereo. `copy` becomes a FLAC of what was decoded: ffmpeg, which reads what browsers
    record, takes half a second for each look. Raises TooShortError and TooLongError, and as
    Recording does.
    """
    recording, digest, frames = Recording(path), hashlib.sha256(), 0
    info = recording.info
    if info.seconds is not None and info.seconds > longest:
        raise _too_long(path, longest)
    width = max(info.sample_rate * info.channels, MOST_CHANNELS_RATE)
    most = longest * info.sample_rate * MOST_CHANNELS_RATE / width
    with closing(recording.blocks()) as blocks, _copying(copy, info) as keep:
        for block in blocks:
            digest.update(block.tobytes())
            frames += len(block)
            if frames > most:
                raise _too_long(path, most / info.sample_rate)
            keep(block)
    digest.update(f"{info.sample_rate} {info.channels}".encode())
    seconds = frames / info.sample_rate
    if seconds < least:
        raise TooShortError(
            f"{path} holds {seconds:.2f} seconds of sound; {least:g} are the least: record a "
            "longer piece"
        )
    return Intake(
        info.format, seconds, info.sample_rate, info.channels, digest.hexdigest(), recording.missing
    )


@contextmanager
def _copying(copy: Path | None, info: SoundInfo) -> Iterator[Callable[[Block], None]]:
    """What takes the blocks of a copy, if there is to be one."""
    import soundfile

    if copy is None:
        yield lambda block: None
        return
    with soundfile.SoundFile(
        copy, "w", info.sample_rate, info.channels, "PCM_24", format="FLAC"
    ) as file:
        # A lossy codec overshoots; a FLAC ends at full scale.
        yield lambda block: file.write(block.clip(-1, 1))


def _too_long(path: Path, longest: float) -> TooLongError:
    return TooLongError(
        f"{path} is longer than {longest / 60:.0f} minutes, the most that is taken at once; cut it "
        "into pieces of 5 to 10 minutes"
    )
