"""Recording: a file of sound, read as a stream at its own rate, whatever its name says it is.

What a file is follows from its first bytes. WAV, FLAC, MP3, Ogg and AIFF are decoded by
libsndfile; all else (m4a, mp4, webm, caf, wma…) by ffmpeg, as a process of its own that reads this
one file, no playlist and no network. Does not change the sound: see source.
"""

import re
import shutil
import stat
import struct
import subprocess
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError

if TYPE_CHECKING:
    import soundfile

Block: TypeAlias = NDArray[np.float32]
"""Sound as the file holds it, shape [time, channels]; what a lossy codec overshoots is kept."""

MIN_RATE = 16_000
"""Hertz (V2). Below it the consonants are missing: "s" has its energy from 4 to 8 kHz."""
MAX_RATE = 384_000
"""Hertz; eight times studio rate. What states more is damaged."""
MIN_SECONDS = 3.0
"""Of a file that is added to a voice: one short sentence with the rests around it.

The guided session's own prompts may be shorter, so that this holds only where it is passed on.
"""
MAX_CHANNELS = 8
"""7.1; what claims more is no recording of a voice, and each channel costs memory."""
LOUDEST = 1_000.0
"""+60 dB over full scale: what is louder is integers that were stored as floats, or damage."""
SLACK = 0.1
"""Seconds by which a container's stated duration may differ from its sound: a codec's padding is
up to 4,096 frames, 0.085 seconds."""
PROBE_SECONDS = 60.0
"""Time that ffmpeg has to say what a file is; it takes 0.1 s."""

_DEMUXERS = (
    "mov,matroska,webm,caf,aac,asf,amr,mp3,flac,ogg,wav,w64,aiff,au,avi,mpeg,mpegts,flv,ape,wv,ac3"
)
"""Containers of one file each. No playlist (hls, concat, dash, sdp): those name other files."""
_STATED = {"m4a", "mp4", "mov", "3gp", "webm", "matroska", "caf", "wma"}
"""Containers that state a duration; of others ffmpeg guesses it from the bit rate."""
_SNDFILE_NAMES = {"WAVEX": "wav", "RF64": "wav", "WAV": "wav"}
_UNKNOWN_FRAMES = 2**62
"""From here on libsndfile means that it does not know: a FLAC that was streamed."""
_EVEN = {1, 3, 6, 7, 0xFFFE}
"""Kinds of WAV whose stated bytes per second are true: PCM, float, A-law, mu-law, extensible."""
_OPEN_ENDED = 0x7FFF0000
"""Bytes: a WAV that states this or more was streamed, or never closed."""


class NotSoundError(TwinError):
    """The file is none of sound, or damaged from its beginning on."""


class NoSoundError(TwinError):
    """A file of sound, with none in it."""


@dataclass(frozen=True)
class SoundInfo:
    """What a file of sound is."""

    format: str
    """What it really is: "wav", "flac", "mp3", "ogg", "aiff", "m4a", "webm"…"""
    sample_rate: int
    """Hertz."""
    channels: int
    seconds: float | None
    """As the file states; None where it states nothing (a webm out of a browser)."""


class _Reader(Protocol):
    """An open file."""

    info: SoundInfo
    stated: float | None
    """Seconds that its header promises."""
    damaged: bool

    def read(self, frames: int) -> Block:
        """The next frames; fewer only at the end."""

    def close(self) -> None:
        """Let go of it, at any point."""


@dataclass
class Recording:
    """A file of sound; each `blocks()` opens it anew.

    Raises TwinError, with the reason and the next step, when it cannot be a recording of a voice.
    """

    path: Path
    info: SoundInfo = field(init=False)
    missing: float = field(default=0.0, init=False)
    """Seconds that the file promises and does not hold, known when `blocks()` has ended.

    A cut-off file gives what is there. A cut-off Ogg, a bare AAC stream, or a webm without a
    duration, promises nothing.
    """
    damaged: bool = field(default=False, init=False)
    """Whether the decoder met nonsense on its way; known when `blocks()` has ended."""

    def __post_init__(self) -> None:
        """Look into the file."""
        with closing(_open(self.path)) as reader:
            self.info = reader.info

    def blocks(self, seconds: float = 10.0) -> Generator[Block, None, None]:
        """The sound in blocks of `seconds`, the last one shorter, in constant memory.

        Closing the iterator early ends the decoder. Raises TwinError when the file is damaged
        from its beginning on, or holds numbers that are no sound.
        """
        size = max(1, round(seconds * self.info.sample_rate))
        frames = 0
        with closing(_open(self.path)) as reader:
            while len(block := self._read(reader, size, frames)):
                frames += len(block)
                yield block
            self.damaged = reader.damaged
            length = frames / self.info.sample_rate
            if not frames:
                raise _no_sound(self.path)
            if reader.stated is not None and reader.stated - length > SLACK:
                self.missing = reader.stated - length

    def _read(self, reader: _Reader, size: int, frames: int) -> Block:
        block = reader.read(size)
        # One comparison for all three: a NaN compares false.
        if not np.abs(block).max(initial=0.0) <= LOUDEST:
            bad = np.flatnonzero(~(np.abs(block) <= LOUDEST).all(axis=1))[0]
            raise TwinError(
                f"{self.path} holds numbers that are no sound at second "
                f"{(frames + bad) / self.info.sample_rate:,.2f} (not a number, or 1,000 times "
                "full scale); export it anew as 16- or 24-bit WAV"
            )
        return block


def probe(path: Path, *, least: float = 0.0) -> SoundInfo:
    """What the file is, having read its first `least` seconds (a tenth at the least).

    Raises TwinError when it is no sound, damaged from its beginning on, empty, shorter than
    `least` (see MIN_SECONDS), or below MIN_RATE.
    """
    recording = Recording(path)
    seconds = max(least, 0.1)
    with closing(recording.blocks(seconds)) as blocks:
        read = len(next(blocks)) / recording.info.sample_rate
    if read < least:
        raise TwinError(
            f"{path} holds {read:.2f} seconds of sound; {least:.0f} are the least from which "
            "anything can be learned: record a longer piece"
        )
    return recording.info


def native(path: Path, seconds: float = 10.0) -> Generator[Block, None, None]:
    """The blocks of a Recording, for who needs nothing else of it."""
    return Recording(path).blocks(seconds)


def _open(path: Path) -> _Reader:
    head = _head(path)
    reader: _Reader | None = None
    if _libsndfile_reads(head):
        reader = _open_sndfile(path)
    reader = reader or _Ffmpeg(path, head)
    info = reader.info
    try:
        if info.sample_rate < MIN_RATE:
            raise TwinError(
                f"{path} was recorded at {info.sample_rate:,} Hertz, as a telephone does; a voice "
                f"needs {MIN_RATE:,} or more (24,000 is better): record it anew, or look for the "
                "original at its full rate"
            )
        if info.sample_rate > MAX_RATE:
            raise TwinError(
                f"{path} states {info.sample_rate:,} Hertz, more than any recorder has: it is "
                "damaged; copy it again"
            )
        if info.channels > MAX_CHANNELS:
            raise TwinError(
                f"{path} has {info.channels} channels, more than the {MAX_CHANNELS} of any "
                "microphone here; export the voice alone, in mono"
            )
    except TwinError:
        reader.close()
        raise
    return reader


def _head(path: Path) -> bytes:
    """The first bytes, once it is sure that the path is a file that ends."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise TwinError(f"{path} is a directory; name the recordings in it")
        # A pipe or a device may never end.
        if not stat.S_ISREG(mode):
            raise TwinError(f"{path} is not a file; save the recording as a file first")
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise TwinError(f"{path} does not exist; check the name") from None
    except OSError as error:
        raise TwinError(
            f"{path} cannot be read ({error.strerror}); check who may read it"
        ) from None
    except ValueError:
        raise TwinError("a path with a NUL in it names no file; check the name") from None
    if not head:
        raise NoSoundError(f"{path} is empty; copy it again from where it was recorded")
    return head


def _no_sound(path: Path) -> NoSoundError:
    return NoSoundError(f"{path} holds no sound; choose another file")


def _libsndfile_reads(head: bytes) -> bool:
    """Only what is surely one of five: libsndfile knows thirty more, that nobody speaks into."""
    return (
        (head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE")
        or (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"))
        or head[:4] in (b"fLaC", b"OggS")
        or head[:3] == b"ID3"
        # The sync word, and a layer: "no layer" is AAC.
        or (head[0] == 0xFF and head[1:2] > b"\xdf" and bool(head[1] & 0x06))
    )


# --- libsndfile -------------------------------------------------------------------------------


def _open_sndfile(path: Path) -> "_Sndfile | None":
    """None when libsndfile makes nothing of it: an Ogg may be Speex, a WAV may be anything."""
    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except soundfile.SoundFileError:
        return None
    # It believes the head of a WAV that was never closed, which says that nothing follows.
    if not file.frames:
        file.close()
        return None
    return _Sndfile(path, file)


class _Sndfile:
    """A file that libsndfile decodes; where it gives up, ffmpeg goes on."""

    PIECE = 4_096
    """Frames read at once: what of a piece lies before a damage is lost to libsndfile's caller."""

    def __init__(self, path: Path, file: "soundfile.SoundFile") -> None:
        # soundfile seeks to where it is after each read, unless it cannot. That restarts an MP3's
        # decoder, which is heard as a crack at each border (measured: off by up to 0.2).
        file.seekable = lambda: False
        name = _SNDFILE_NAMES.get(file.format, file.format.lower())
        self._path, self._file, self._frames = path, file, 0
        self._rest: _Ffmpeg | None = None
        self.damaged = False
        seconds = file.frames / file.samplerate if file.frames < _UNKNOWN_FRAMES else None
        self.info = SoundInfo(name, file.samplerate, file.channels, seconds)
        self.stated = _stated(path, self.info)
        # Frames from which on an end is no surprise.
        self._enough = int(((seconds or 0) - SLACK) * file.samplerate)

    def read(self, frames: int) -> Block:
        """See _Reader."""
        blocks = []
        while frames > 0 and len(block := self._piece(min(frames, self.PIECE))):
            blocks.append(block)
            frames -= len(block)
        return np.concatenate(blocks) if blocks else np.zeros((0, self.info.channels), np.float32)

    def _piece(self, frames: int) -> Block:
        import soundfile

        if self._rest is None:
            block: Block = np.zeros((0, self.info.channels), np.float32)
            failed = False
            try:
                block = self._file.read(frames, dtype="float32", always_2d=True)
            except soundfile.SoundFileError:
                failed = True
            self._frames += len(block)
            # Of a damaged Ogg it says no more than that it has ended.
            if len(block) or not (failed or self._frames < self._enough):
                return block
            self.damaged = True
            self._rest = self._behind_the_damage()
        return self._rest.read(frames) if self._rest is not None else block

    def _behind_the_damage(self) -> "_Ffmpeg | None":
        """The same file where libsndfile gave up, in a decoder that skips what it cannot read."""
        try:
            rest = _Ffmpeg(self._path, _head(self._path))
        except TwinError:
            return None
        mine, its = self.info, rest.info
        if (mine.sample_rate, mine.channels) != (its.sample_rate, its.channels):
            rest.close()
            return None
        skip = self._frames
        while skip and len(block := rest.read(min(skip, 100_000))):
            skip -= len(block)
        return rest

    def close(self) -> None:
        """See _Reader."""
        self._file.close()
        if self._rest is not None:
            self._rest.close()


def _stated(path: Path, info: SoundInfo) -> float | None:
    """Seconds that the header promises. Of a WAV and an AIFF libsndfile tells what is there."""
    if info.format == "wav":
        return _stated_by_wav(path)
    if info.format == "aiff":
        return _stated_by_aiff(path, info.sample_rate)
    return info.seconds


def _chunks(file: IO[bytes], order: str) -> Iterator[tuple[bytes, int]]:
    """Names and sizes of an IFF's chunks; the file stands at the content of each."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack(order + "4sI", head)
        place = file.tell()
        yield name, size
        file.seek(place + size + size % 2)


def _stated_by_wav(path: Path) -> float | None:
    with path.open("rb") as file:
        order = ">" if file.read(4) == b"RIFX" else "<"
        kind = speed = 0
        for name, size in _chunks(file, order):
            if name == b"fmt " and len(form := file.read(12)) == 12:
                kind, _, _, speed = struct.unpack(order + "HHII", form)
            if name == b"data":
                # RF64 states its size elsewhere, and all ones here.
                known = kind in _EVEN and speed > 0 and 0 < size < _OPEN_ENDED
                return size / speed if known else None
    return None


def _stated_by_aiff(path: Path, rate: int) -> float | None:
    with path.open("rb") as file:
        for name, _ in _chunks(file, ">"):
            if name == b"COMM" and len(form := file.read(6)) == 6:
                return float(struct.unpack(">hI", form)[1]) / rate
    return None


# --- ffmpeg -----------------------------------------------------------------------------------


def ffmpeg() -> str:
    """The program: the one on the PATH, or the one that comes with imageio-ffmpeg.

    Raises TwinError when there is neither.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise TwinError(
            "recordings other than WAV, FLAC, MP3, Ogg and AIFF need ffmpeg; run "
            "`pip install 'aitwin[clone]'` or `brew install ffmpeg`"
        ) from None


class _Ffmpeg:
    """A file that ffmpeg decodes: its sound comes through a pipe, with a Sun AU head before it.

    The head says rate and channels as decoded, which containers get wrong (HE-AAC states half).
    """

    def __init__(self, path: Path, head: bytes) -> None:
        # `file:` keeps a name such as "concat:a|b" or "-x.m4a" a name; ffmpeg decodes no %41.
        self._source = [
            *(ffmpeg(), "-nostdin", "-hide_banner", "-protocol_whitelist", "file"),
            *("-format_whitelist", _DEMUXERS, "-i", f"file:{path.absolute()}"),
        ]
        self._path = path
        name, seconds = self._survey(head)
        self.stated = seconds if name in _STATED else None
        self.damaged = False
        self._process = subprocess.Popen(  # noqa: S603 - a list, no shell
            # After the input: the first track of sound, as floats, whatever else there is.
            [
                *(*self._source, "-v", "error", "-map", "0:a:0", "-map_metadata", "-1"),
                *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self._process.stdout is None or self._process.stderr is None:
            raise RuntimeError("a process that was given pipes has none")
        self._sound, self._complaints = self._process.stdout, _Complaints(self._process.stderr)
        try:
            rate, channels = self._au_head(head)
        except BaseException:
            self.close()
            raise
        self.info = SoundInfo(name, rate, channels, self.stated)

    def _survey(self, head: bytes) -> tuple[str, float | None]:
        """What ffmpeg says of the file when it is asked for nothing else."""
        try:
            found = subprocess.run(  # noqa: S603 - a list, no shell
                self._source,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_SECONDS,
                check=False,  # it always ends with 1: no output was named
            )
        except OSError as error:
            raise TwinError(
                f"{self._source[0]} does not run ({error.strerror}); install ffmpeg anew, or "
                "remove it: the package brings its own"
            ) from None
        except subprocess.TimeoutExpired:
            raise TwinError(
                f"{self._path} could not be made out within {PROBE_SECONDS:.0f} seconds; export "
                "it anew as WAV"
            ) from None
        said = found.stderr.decode(errors="replace")
        container = re.search(r"^Input #0, (\S+), from ", said, re.MULTILINE)
        if container is None:
            raise _refusal(self._path, said, head)
        if not re.search(r"^\s+Stream #0:\d.*: Audio: ", said, re.MULTILINE):
            raise _no_sound(self._path)
        stated = re.search(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", said, re.MULTILINE)
        seconds = None
        if stated is not None:
            seconds = int(stated[1]) * 3600 + int(stated[2]) * 60 + float(stated[3])
        return _container_name(container[1], head), seconds

    def _au_head(self, file_head: bytes) -> tuple[int, int]:
        head = self._sound.read(24)
        if len(head) < 24:
            self._process.wait()
            raise _refusal(self._path, self._complaints.text(), file_head)
        offset, _, _, rate, channels = struct.unpack(">5I", head[4:])
        self._sound.read(offset - 24)
        return rate, channels

    def read(self, frames: int) -> Block:
        """See _Reader."""
        width = 4 * self.info.channels
        data = self._sound.read(frames * width)
        if len(data) < frames * width:
            self.damaged = self._process.wait() != 0 or bool(self._complaints.text())
        data = data[: len(data) // width * width]
        return np.frombuffer(data, ">f4").astype(np.float32).reshape(-1, self.info.channels)

    def close(self) -> None:
        """See _Reader. The process ends with it."""
        self._process.kill()
        self._process.wait()
        self._complaints.text()
        self._sound.close()


class _Complaints:
    """The end of what a process writes to its stderr, drained so that it never stands still.

    Only looked into: it may quote titles and names out of the file.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque(maxlen=50)
        self._thread = Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._stream:
            # A line of bounded length: a stream without a newline would be one line.
            while line := self._stream.readline(1_000):
                self._lines.append(line)

    def text(self) -> str:
        """All of it, once the process has ended."""
        self._thread.join()
        return b"".join(self._lines).decode(errors="replace")


def _container_name(demuxer: str, head: bytes) -> str:
    """As people call it: one demuxer reads a whole family."""
    if demuxer.startswith("mov"):
        brand = head[8:12]
        known = {b"M4A ": "m4a", b"M4B ": "m4a", b"qt  ": "mov"}
        return known.get(brand, "3gp" if brand[:2] == b"3g" else "mp4")
    if demuxer.startswith("matroska"):
        return "webm" if b"webm" in head else "matroska"
    return {"asf": "wma"}.get(demuxer, demuxer)


def _refusal(path: Path, said: str, head: bytes) -> TwinError:
    """Why ffmpeg gave up, in our words."""
    if head[4:8] == b"ftyp" and "moov atom not found" in said:
        return NotSoundError(
            f"{path} breaks off before its index: it was cut short while it was recorded or "
            "copied; copy it again"
        )
    if re.search(r"Decod(er|ing).*not found|Unknown decoder|encrypted", said):
        return NotSoundError(
            f"{path} is sound in a form that cannot be decoded here; export it as WAV or m4a"
        )
    if "matches no streams" in said:
        return _no_sound(path)
    return NotSoundError(
        f"{path} is not a recording, or it is damaged from its beginning on; copy it again, or "
        "export it as WAV"
    )
