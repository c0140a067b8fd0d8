"""Utterance: a stretch of sound with the words in it; shaping it, and writing it as WAV or MP3.

Does not make speech (see engines), and does not know sentences (see speech).
"""

import io
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError

Samples: TypeAlias = NDArray[np.float32]
"""Mono sound, shape [time], in [-1, 1]."""

OUTPUT_RATE = 22_050  # Hertz (S2)
FADE = 0.005  # seconds; longer than a click, shorter than a consonant
FRAME = 0.01  # seconds; the grain in which silence is looked for
SILENCE = 0.003  # of the loudest frame: -50 dB, under the softest "f" or "h" of the bundled voice
WAV_LIMIT = 0xFFFFFFFF - 4096  # bytes of sound that the sizes of a RIFF file can express
UNKNOWN_SIZE = 0xFFFFFFFF
"""The size that a streamed WAV states, since its end is not known when its head is sent.

ffmpeg, browsers, libsndfile and the stdlib read such a file to its end.
"""
_MPEG1_RATES = (44_100, 48_000, 32_000, 0)  # Hertz; MPEG-2 has the halves
_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)  # kbit/s, layer III
_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)


@dataclass(frozen=True, eq=False)
class Utterance:
    """Something said."""

    samples: Samples = field(repr=False)
    sample_rate: int  # Hertz
    text: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what would be heard as noise, or not at all."""
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"samples are float32 of shape [time], not {self.samples.dtype} "
                f"of shape {self.samples.shape}"
            )
        if self.sample_rate <= 0:
            raise ValueError(f"a sample rate is positive, not {self.sample_rate} Hertz")
        # A NaN becomes a full-scale crack in 16 bits; better none of it.
        if not np.isfinite(self.samples).all():
            raise ValueError("samples hold a NaN or an infinity")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate


def resample(utterance: Utterance, rate: int) -> Utterance:
    """The same sound at `rate` Hertz."""
    if rate == utterance.sample_rate:
        return utterance
    import soxr

    samples = soxr.resample(utterance.samples, utterance.sample_rate, rate, quality="HQ")
    return replace(utterance, samples=samples.astype(np.float32, copy=False), sample_rate=rate)


def trim(utterance: Utterance, *, before: float = 0.04, after: float = 0.08) -> Utterance:
    """Without the silence at its ends, but for `before` and `after` seconds of it.

    A sound that is silent throughout becomes empty.
    """
    rate = utterance.sample_rate
    size = max(1, round(rate * FRAME))
    frames = -(-len(utterance.samples) // size)
    padded = np.zeros(frames * size, np.float32)
    padded[: len(utterance.samples)] = utterance.samples
    loudness = np.sqrt(np.square(padded.reshape(frames, size)).mean(axis=1))
    heard = np.flatnonzero(loudness > SILENCE * loudness.max(initial=0.0))
    if not len(heard):
        return replace(utterance, samples=utterance.samples[:0])
    start = max(0, heard[0] * size - round(before * rate))
    stop = (heard[-1] + 1) * size + round(after * rate)
    return replace(utterance, samples=utterance.samples[start:stop])


def settle(utterance: Utterance, pause: float) -> Utterance:
    """Faded in and out, with `pause` seconds of silence behind: it joins any other unheard."""
    samples = utterance.samples
    length = min(round(FADE * utterance.sample_rate), len(samples) // 2)
    ramp = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)
    silence = np.zeros(round(pause * utterance.sample_rate), np.float32)
    joined = np.concatenate([samples, silence])
    joined[:length] *= ramp
    joined[len(samples) - length : len(samples)] *= ramp[::-1]
    return replace(utterance, samples=joined)


def pcm16(samples: Samples) -> bytes:
    """16-bit little-endian PCM. What is louder than full scale is held there: it never wraps."""
    return np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def wav_header(size: int | None, rate: int = OUTPUT_RATE, note: str = "") -> bytes:
    """What stands before `size` bytes of 16-bit mono PCM; None: not known yet, streamed.

    `note` is what players show as the comment (INFO/ICMT). Without one there are 44 bytes.
    """
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    middle = b"WAVEfmt " + form + (_info(note) if note else b"")
    total, data = (UNKNOWN_SIZE,) * 2 if size is None else (len(middle) + 8 + size, size)
    return b"RIFF" + struct.pack("<I", total) + middle + b"data" + struct.pack("<I", data)


def _info(note: str) -> bytes:
    """A LIST chunk (Microsoft and IBM, "Multimedia Programming Interface", 1991); text in UTF-8."""
    text = note.encode() + b"\0"
    entry = b"INFOICMT" + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    return b"LIST" + struct.pack("<I", len(entry)) + entry


def wav_stream(
    utterances: Iterable[Utterance], rate: int = OUTPUT_RATE, note: str = ""
) -> Iterator[bytes]:
    """A WAV in pieces, one per utterance, each as soon as it is there.

    The head goes out with the first sound, so that what fails before it fails before any byte.
    """
    head = wav_header(None, rate, note)
    for utterance in utterances:
        yield head + pcm16(resample(utterance, rate).samples)
        head = b""
    if head:
        yield head


def mp3_stream(
    utterances: Iterable[Utterance], rate: int = OUTPUT_RATE, note: str = ""
) -> Iterator[bytes]:
    """A mono MP3 in pieces, about one per utterance, each as soon as it is there.

    The head goes out with the first sound, as in `wav_stream`.
    """
    # LAME leaves room for an index in the first frame and fills it at the end, when that frame
    # has long been sent: read as it is, empty, it gives players a wrong length. So it stays here.
    encoded = io.BytesIO()
    head, sent = _id3(note) if note else b"", 0
    with _mp3(encoded, rate) as file:
        for utterance in utterances:
            file.write(np.clip(resample(utterance, rate).samples, -1, 1))
            ready = encoded.getbuffer().nbytes
            sent = sent or _frame_size(encoded)
            if ready > sent:
                yield head + bytes(encoded.getbuffer()[sent:ready])
                head, sent = b"", ready
    sent = sent or _frame_size(encoded)
    yield head + bytes(encoded.getbuffer()[sent:])


def encode_mp3(utterances: Iterable[Utterance], rate: int = OUTPUT_RATE, note: str = "") -> bytes:
    """A whole mono MP3, in memory and as small as may be: for sound that a page of ours embeds."""
    encoded = io.BytesIO()
    with _mp3(encoded, rate, constant=False) as file:
        for utterance in utterances:
            file.write(np.clip(resample(utterance, rate).samples, -1, 1))
    return (_id3(note) if note else b"") + encoded.getvalue()


def _mp3(file: Any, rate: int, *, constant: bool = True) -> Any:
    """An encoder into `file`.

    At a constant rate (64 kbit/s of 22,050 Hz) players know the length of what has no index.
    """
    import soundfile

    settings = {"bitrate_mode": "CONSTANT", "compression_level": 0.6} if constant else {}
    return soundfile.SoundFile(
        file,
        "w",
        samplerate=rate,
        channels=1,
        format="MP3",
        subtype="MPEG_LAYER_III",
        **settings,
    )


def _frame_size(encoded: io.BytesIO) -> int:
    """Bytes of the first frame of an MPEG-2 (16, 22.05, 24 kHz) or MPEG-1 stream; 0: not there yet.

    By the table of ISO/IEC 11172-3 and 13818-3, layer III.
    """
    with encoded.getbuffer() as view:
        if len(view) < 4:
            return 0
        bits = int.from_bytes(view[:4], "big")
    first = bits >> 19 & 3 == 3  # MPEG-1
    kilobits = (_MPEG1 if first else _MPEG2)[bits >> 12 & 15]
    hertz = _MPEG1_RATES[bits >> 10 & 3] // (1 if first else 2)
    return (144 if first else 72) * kilobits * 1000 // hertz + (bits >> 9 & 1)


def _id3(note: str) -> bytes:
    """An ID3v2.3 tag with `note` as title and as comment, for what is streamed and for files."""
    text = b"\x01" + note.encode("utf-16")
    frames = b"".join(
        name + struct.pack(">IH", len(body), 0) + body
        for name, body in (
            (b"TIT2", text),
            (b"COMM", b"\x01eng" + "\0".encode("utf-16") + note.encode("utf-16")),
        )
    )
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frames


class _Behind(io.RawIOBase):
    """A file as it is behind what has been written to it so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start = file, file.tell()

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = self._start + offset if whence == io.SEEK_SET else offset
        return self._file.seek(at, whence) - self._start


def require_writable(path: Path) -> None:
    """Raise TwinError when the name is of no format that `save` writes."""
    if path.suffix.lower() not in _WRITERS:
        raise TwinError(f"{path} is neither a .wav nor an .mp3; call the file one of them")


def save(
    utterances: Iterable[Utterance],
    path: Path,
    rate: int = OUTPUT_RATE,
    note: str = "",
    look: Callable[[BinaryIO], None] | None = None,
) -> float:
    """Write a mono file of mode 0600, utterance by utterance; returns its seconds.

    An MP3 or a 16-bit WAV, as `path` ends; `note` is its comment. One utterance is in memory at a
    time. `look` gets the whole file, to read, before it takes its place: an interruption, or what
    is raised there, leaves the one that was there before.
    Raises TwinError when the name ends otherwise, before anything is asked of `utterances`, when
    it cannot be written, or is longer than a WAV can be.
    """
    require_writable(path)
    write = _WRITERS[path.suffix.lower()]
    try:
        with artifact.writing(path) as file:
            samples = write((resample(one, rate).samples for one in utterances), file, rate, note)
            if look is not None:
                file.flush()
                file.seek(0)
                look(file)
    except OSError as error:
        raise TwinError(
            f"{path} cannot be written ({error.strerror}); choose another place, or make room"
        ) from error
    return samples / rate


def _save_wav(parts: Iterable[Samples], file: BinaryIO, rate: int, note: str) -> int:
    size = 0
    file.write(wav_header(None, rate, note))
    for part in parts:
        size += file.write(pcm16(part))
        if size > WAV_LIMIT:
            raise TwinError(
                f"the text takes more than {WAV_LIMIT / 2 / rate / 3600:.0f} hours to say, more "
                "than a WAV can hold; cut it in two, or write an MP3"
            )
    file.seek(0)
    file.write(wav_header(size, rate, note))
    return size // 2


def _save_mp3(parts: Iterable[Samples], file: BinaryIO, rate: int, note: str) -> int:
    count = 0
    file.write(_id3(note) if note else b"")
    with _mp3(_Behind(file), rate) as encoder:
        for part in parts:
            encoder.write(np.clip(part, -1, 1))
            count += len(part)
    return count


_WRITERS: dict[str, Callable[[Iterable[Samples], BinaryIO, int, str], int]] = {
    ".wav": _save_wav,
    ".mp3": _save_mp3,
}
