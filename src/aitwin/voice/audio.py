"""Utterance: a stretch of sound with the words in it; shaping it, and writing it as WAV or MP3.

Does not make speech (see engines), and does not know sentences (see speech).
"""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

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
WAV_LIMIT = 0xFFFFFFFF - 36  # bytes of sound that the sizes of a RIFF file can express
UNKNOWN_SIZE = 0xFFFFFFFF
"""The size that a streamed WAV states, since its end is not known when its head is sent.

ffmpeg, browsers, libsndfile and the stdlib read such a file to its end.
"""


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


def wav_header(size: int | None, rate: int = OUTPUT_RATE) -> bytes:
    """The 44 bytes before `size` bytes of 16-bit mono PCM; None: not known yet, streamed."""
    total, data = (UNKNOWN_SIZE,) * 2 if size is None else (36 + size, size)
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", total) + b"WAVEfmt " + form + b"data" + struct.pack("<I", data)
    )


def wav_stream(utterances: Iterable[Utterance], rate: int = OUTPUT_RATE) -> Iterator[bytes]:
    """A WAV in pieces, one per utterance, each as soon as it is there.

    The head goes out with the first sound, so that what fails before it fails before any byte.
    """
    head = wav_header(None, rate)
    for utterance in utterances:
        yield head + pcm16(resample(utterance, rate).samples)
        head = b""
    if head:
        yield head


def encode_wav(utterances: Iterable[Utterance], rate: int = OUTPUT_RATE) -> bytes:
    """A whole 16-bit mono WAV, in memory: for sound that is known to be short."""
    sound = b"".join(pcm16(resample(utterance, rate).samples) for utterance in utterances)
    return wav_header(len(sound), rate) + sound


def encode_mp3(utterances: Iterable[Utterance], rate: int = OUTPUT_RATE) -> bytes:
    """A whole mono MP3, in memory."""
    import soundfile

    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", samplerate=rate, channels=1, format="MP3", subtype="MPEG_LAYER_III"
    ) as file:
        for utterance in utterances:
            file.write(np.clip(resample(utterance, rate).samples, -1, 1))
    return buffer.getvalue()


def save(utterances: Iterable[Utterance], path: Path, rate: int = OUTPUT_RATE) -> float:
    """Write a 16-bit mono WAV of mode 0600, utterance by utterance; returns its seconds.

    One utterance is in memory at a time. The file appears when it is whole; an interruption
    leaves the one that was there before.
    Raises TwinError when it cannot be written, or is longer than a WAV can be.
    """
    size = 0
    try:
        with artifact.writing(path) as file:
            file.write(wav_header(None, rate))
            for utterance in utterances:
                size += file.write(pcm16(resample(utterance, rate).samples))
                if size > WAV_LIMIT:
                    raise TwinError(
                        f"{path} would hold more than {WAV_LIMIT / 2 / rate / 3600:.0f} hours, "
                        "more than a WAV can; cut the text in two"
                    )
            file.seek(0)
            file.write(wav_header(size, rate))
    except OSError as error:
        raise TwinError(
            f"{path} cannot be written ({error.strerror}); choose another place, or make room"
        ) from error
    return size / 2 / rate
