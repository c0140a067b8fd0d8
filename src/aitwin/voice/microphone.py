"""Microphone: where sound comes from, block by block, at the device's own rate.

A device of this machine by way of PortAudio, or a sound file in its place. Does not store what
it hears, and does not judge it: see record.
"""

import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError

Block: TypeAlias = NDArray[np.float32]
"""Sound as it comes, shape [time, channels], in [-1, 1]."""

BLOCK = 0.02  # seconds; a level meter that moves with the voice
QUEUE = 10.0  # seconds of sound that may wait for a slow disk before any is lost
STALLED = 2.0
"""Seconds without a block after which a device is taken for unplugged.

CoreAudio does not always say that a device has gone: it merely calls no more."""
GOOD_RATE = 24_000
"""Hertz; below it "s" and "f" lose part of what tells voices apart (V2 recommends it)."""
MIN_RATE = 16_000  # Hertz (V2)
MAX_CHANNELS = 2  # a stereo pair; of more, the first two are heard


class UnpluggedError(TwinError):
    """The microphone is gone: pulled out, switched off, or a file that has come to its end."""


class Stream(Protocol):
    """An open microphone."""

    @property
    def latency(self) -> float:
        """Seconds from the sound to its block, as the device states it; 0 when it does not."""

    @property
    def lost(self) -> int:
        """How often sound was lost so far because this machine was too slow to take it."""

    def read(self) -> Block:
        """The next block, BLOCK seconds long or about; waits for it.

        Raises UnpluggedError when none comes any more.
        """

    def waiting(self) -> list[Block]:
        """What came since the last call and nobody has read; returns at once.

        A file gives nothing here: it waits for its reader as a person does.
        Raises UnpluggedError when nothing will come any more.
        """


class Microphone(Protocol):
    """Something that can be opened and heard."""

    @property
    def name(self) -> str:
        """As its maker calls it."""

    @property
    def sample_rate(self) -> int:
        """Hertz, its own: nothing is resampled on the way."""

    @property
    def channels(self) -> int:
        """1 or 2."""

    def open(self) -> AbstractContextManager[Stream]:
        """Listen while the block of `with` runs."""


@dataclass(frozen=True)
class SoundDevice:
    """An input of this machine, through PortAudio."""

    id: int
    """PortAudio's number; it changes when devices come and go."""
    name: str = field(repr=False)
    sample_rate: int
    """Hertz at which the system runs it."""
    channels: int
    default: bool = False
    """Whether the system would choose it."""

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """See Microphone.

        Raises TwinError when the device is taken, or this terminal may not use it.
        """
        portaudio = _portaudio()
        live = _LiveStream(self.sample_rate)
        try:
            stream = portaudio.InputStream(
                device=self.id,
                samplerate=self.sample_rate,
                channels=self.channels,
                dtype="float32",
                blocksize=round(self.sample_rate * BLOCK),
                # As the converter gives it: clipping must stay visible, and dither adds noise.
                clip_off=True,
                dither_off=True,
                callback=live.take,
                finished_callback=live.end,
            )
            stream.start()
        except portaudio.PortAudioError as error:
            raise TwinError(self._closed(error)) from None
        try:
            live.latency = float(stream.latency)
            yield live
        finally:
            with suppress(portaudio.PortAudioError):  # of a device that is gone
                stream.close()

    def _closed(self, error: Exception) -> str:
        return (
            f"microphone {self.id} does not open ({_reason(error)}); close other programs that "
            "record, plug it in anew, or choose another: twin voice record --list-devices"
        )


class _LiveStream:
    """Blocks from PortAudio's thread to ours."""

    def __init__(self, sample_rate: int) -> None:
        self.latency = 0.0
        self.lost = 0
        # Bounded: a disk that hangs must not fill the memory with an hour of sound.
        self._blocks: queue.Queue[Block] = queue.Queue(maxsize=round(QUEUE / BLOCK))
        self._sample_rate = sample_rate
        self._ended = False
        self._heard_at = time.monotonic()

    def take(self, samples: Block, _frames: int, _time: object, status: Any) -> None:
        """PortAudio's callback: it must neither wait nor raise."""
        if status.input_overflow:
            self.lost += 1
        try:
            self._blocks.put_nowait(samples.copy())  # PortAudio uses its buffer again
        except queue.Full:
            self.lost += 1

    def end(self) -> None:
        """PortAudio's callback when the stream stops."""
        self._ended = True

    def read(self) -> Block:
        """See Stream."""
        waited = 0.0
        while waited < STALLED:
            # In short steps: whether the stream has ended is not told through the queue.
            try:
                block = self._blocks.get(timeout=BLOCK * 5)
            except queue.Empty:
                if self._ended:
                    break
                waited += BLOCK * 5
            else:
                self._heard_at = time.monotonic()
                return block
        raise UnpluggedError("the microphone is gone; plug it in again")

    def waiting(self) -> list[Block]:
        """See Stream."""
        blocks: list[Block] = []
        try:
            while True:
                blocks.append(self._blocks.get_nowait())
        except queue.Empty:
            pass
        now = time.monotonic()
        if blocks:
            self._heard_at = now
        elif self._ended or now - self._heard_at > STALLED:
            raise UnpluggedError("the microphone is gone; plug it in again")
        return blocks


class FileMicrophone:
    """A sound file in the place of a microphone: for trying out, for tests, without a device.

    It goes on where it was when it is opened again; its end is a microphone unplugged.
    """

    def __init__(self, path: Path, *, pace: float = 1.0) -> None:
        """`pace`: 1 plays in real time, 10 ten times as fast.

        Raises TwinError when it is no sound file.
        """
        import soundfile

        try:
            self._file = soundfile.SoundFile(path)
        except (OSError, soundfile.LibsndfileError):
            raise TwinError(
                f"{path} is no sound that can be played as a microphone; give a wav or flac file"
            ) from None
        self.path = path
        self.pace = pace
        self.sample_rate = int(self._file.samplerate)
        self.channels = min(int(self._file.channels), MAX_CHANNELS)
        self.latency = 0.0
        self.lost = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """See Microphone."""
        yield self

    def read(self) -> Block:
        """See Stream."""
        block: Block = self._file.read(
            round(self.sample_rate * BLOCK), dtype="float32", always_2d=True
        )
        if not len(block):
            raise UnpluggedError(f"{self.path} has come to its end")
        time.sleep(len(block) / self.sample_rate / self.pace)
        return block[:, : self.channels]

    def waiting(self) -> list[Block]:
        """See Stream."""
        return []


def devices() -> list[SoundDevice]:
    """The inputs of this machine. Raises TwinError when PortAudio is missing."""
    portaudio = _portaudio()
    try:
        listed, standard = portaudio.query_devices(), portaudio.default.device[0]
    except portaudio.PortAudioError as error:
        raise TwinError(
            f"this machine's sound does not answer ({_reason(error)}); plug in a microphone, or "
            "record elsewhere and add the files with `twin voice add`"
        ) from None
    return [
        SoundDevice(
            id=number,
            name=str(device["name"]),
            sample_rate=round(device["default_samplerate"]),
            channels=min(int(device["max_input_channels"]), MAX_CHANNELS),
            default=number == standard,
        )
        for number, device in enumerate(listed)
        if device["max_input_channels"] > 0
    ]


def find(wanted: str = "", *, pace: float = 1.0) -> Microphone:
    """The microphone of that number, or with that in its name; a sound file; "" the system's own.

    Raises TwinError when there is none, when several fit, or when its rate is too low (V2).
    """
    if wanted and Path(wanted).is_file():
        return _fast_enough(FileMicrophone(Path(wanted), pace=pace))
    if os.sep in wanted:
        raise TwinError(f"{wanted} is not there; give a sound file, or a microphone's name")
    listed = devices()
    if not wanted:
        # A machine may have inputs and none that is the standard: then the first will do.
        fitting = [device for device in listed if device.default] or listed[:1]
    elif wanted.isdecimal():
        fitting = [device for device in listed if device.id == int(wanted)]
    else:
        fitting = [device for device in listed if wanted.lower() in device.name.lower()]
    if not fitting:
        what = f"no microphone is called {wanted!r}" if wanted else "this machine has no microphone"
        raise TwinError(
            f"{what}; plug one in, and see `twin voice record --list-devices`"
            " (recordings that exist: `twin voice add FILE`)"
        )
    if len(fitting) > 1:
        numbers = ", ".join(str(device.id) for device in fitting)
        raise TwinError(f"{wanted!r} fits several microphones; choose one by number: {numbers}")
    return _fast_enough(fitting[0])


def again(microphone: Microphone) -> Microphone:
    """The same microphone, after it was plugged in again.

    Where PortAudio cannot be made to look anew, the one that was: opening it tells whether it is
    back. Raises UnpluggedError while it is away.
    """
    if not isinstance(microphone, SoundDevice):
        return microphone
    portaudio = _portaudio()
    # PortAudio lists the devices when it starts, and never again. sounddevice has no public name
    # for starting it anew; these two are as old as itself, and may go all the same.
    stop, start = (getattr(portaudio, name, None) for name in ("_terminate", "_initialize"))
    if stop is None or start is None:
        return microphone
    try:
        stop()
        start()
        listed = devices()
    except portaudio.PortAudioError:
        listed = []
    for device in listed:
        same = (device.name, device.sample_rate, device.channels)
        if same == (microphone.name, microphone.sample_rate, microphone.channels):
            return device
    raise UnpluggedError("the microphone is still away; plug it in as it was")


def _fast_enough(microphone: Microphone) -> Microphone:
    if microphone.sample_rate < MIN_RATE:
        raise TwinError(
            f"this microphone gives {microphone.sample_rate:,} Hertz, a voice needs "
            f"{MIN_RATE:,}: it is a telephone's sound (a Bluetooth headset does so while it "
            "plays); use the built-in microphone or a USB one"
        )
    return microphone


def permission_advice() -> str:
    """Why a microphone may give nothing at all, and what to do about it."""
    if sys.platform == "darwin":
        return (
            "the microphone gives no sound at all: allow this terminal to use it in "
            "System Settings > Privacy & Security > Microphone, then open the terminal anew"
        )
    return (
        "the microphone gives no sound at all: it is muted, or its input is chosen wrongly in "
        "the sound settings"
    )


def _portaudio() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise TwinError(
            "recording is not installed (no module sounddevice); run `pip install 'aitwin[clone]'`"
        ) from None
    except OSError:
        # The wheels for macOS and Windows bring PortAudio along.
        remedy = (
            "pip install --force-reinstall sounddevice"
            if sys.platform == "darwin"
            else "sudo apt install libportaudio2"
        )
        raise TwinError(
            f"PortAudio, which hears microphones, is missing; run `{remedy}`"
            " (recordings that exist need none: `twin voice add FILE`)"
        ) from None
    return sounddevice


def _reason(error: Exception) -> str:
    """PortAudio's own short reason, without the names and numbers that follow it."""
    return str(error.args[0]).partition(":")[2].strip().partition("[")[0].strip() or "no reason"
