import builtins
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import microphone
from aitwin.voice.microphone import FileMicrophone, SoundDevice, UnpluggedError

DEVICES = [
    {"name": "Loudspeaker", "max_input_channels": 0, "default_samplerate": 48_000.0},
    {"name": "Built-in Microphone", "max_input_channels": 1, "default_samplerate": 48_000.0},
    {"name": "Scarlett 18i8", "max_input_channels": 18, "default_samplerate": 96_000.0},
    {"name": "Scarlett loopback", "max_input_channels": 2, "default_samplerate": 44_100.0},
    {"name": "Headset", "max_input_channels": 1, "default_samplerate": 8_000.0},
]


class FakePortAudio(ModuleType):
    """PortAudio, which is neither here nor in CI: the edge of the machine."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.default = SimpleNamespace(device=[1, 0])
        self.devices: list[dict[str, Any]] = DEVICES
        self.opened: dict[str, Any] = {}
        self.broken = ""
        self.running = False
        self.listed = True

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def InputStream(self, **options: Any) -> "FakePortAudio":  # noqa: N802 (its name)
        if self.broken:
            raise self.PortAudioError(self.broken)
        self.opened = options
        self.latency = 0.012
        return self

    def start(self) -> None:
        self.running = True

    def close(self) -> None:
        self.running = False
        self.opened["finished_callback"]()
        if self.broken:
            raise self.PortAudioError(self.broken)

    def _terminate(self) -> None:
        self.listed = False
        if self.broken:
            raise self.PortAudioError(self.broken)

    def _initialize(self) -> None:
        self.listed = True

    def send(self, samples: np.ndarray, *, overflow: bool = False) -> None:
        buffer = samples.copy()
        status = SimpleNamespace(input_overflow=overflow)
        self.opened["callback"](buffer, len(buffer), None, status)
        buffer[:] = 9  # PortAudio's own memory: it uses it again


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.fixture
def tone(tmp_path: Path) -> Callable[..., Path]:
    def write(rate: int = 48_000, channels: int = 1, seconds: float = 0.1) -> Path:
        samples = np.random.default_rng(0).uniform(-0.5, 0.5, (round(rate * seconds), channels))
        path = tmp_path / f"{rate}-{channels}.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")
        return path

    return write


def blocks(count: int, channels: int = 1) -> list[np.ndarray]:
    return [np.full((960, channels), n / 100, np.float32) for n in range(count)]


def test_devices_are_the_inputs_at_their_own_rate(portaudio: FakePortAudio) -> None:
    """V2: the native rate; loudspeakers are no microphones."""
    listed = microphone.devices()
    assert [(d.id, d.sample_rate, d.channels, d.default) for d in listed] == [
        (1, 48_000, 1, True),
        (2, 96_000, 2, False),
        (3, 44_100, 2, False),
        (4, 8_000, 1, False),
    ]
    assert "Scarlett" not in repr(listed)


@pytest.mark.parametrize(
    ("wanted", "number"), [("", 1), ("2", 2), ("built-in", 1), ("LOOPBACK", 3), ("18i8", 2)]
)
def test_a_microphone_is_found_by_number_or_name(
    portaudio: FakePortAudio, wanted: str, number: int
) -> None:
    found = microphone.find(wanted)
    assert isinstance(found, SoundDevice)
    assert found.id == number


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("scarlett", "choose one by number: 2, 3"),
        ("rode", "no microphone is called 'rode'"),
        ("0", "no microphone is called '0'"),  # the loudspeaker
        ("takes/gone.wav", "takes/gone.wav is not there"),
        ("headset", r"8,000 Hertz.*Bluetooth"),
    ],
)
def test_what_cannot_be_recorded_with_is_refused(
    portaudio: FakePortAudio, wanted: str, said: str
) -> None:
    """V2: under 16 kHz, with the reason."""
    with pytest.raises(TwinError, match=said):
        microphone.find(wanted)


def test_a_machine_without_microphone_says_so(portaudio: FakePortAudio) -> None:
    portaudio.devices = DEVICES[:1]
    with pytest.raises(TwinError, match=r"has no microphone.*twin voice add"):
        microphone.find()


def test_a_machine_without_standard_input_takes_the_first(portaudio: FakePortAudio) -> None:
    portaudio.default.device = [-1, 0]
    assert microphone.find() == microphone.devices()[0]


def test_portaudio_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(TwinError, match=r"apt install libportaudio2.*twin voice add"):
        microphone.devices()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(TwinError, match="--force-reinstall sounddevice"):
        microphone.devices()


def test_the_package_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(TwinError, match=r"pip install 'aitwin\[clone\]'"):
        microphone.devices()


def test_blocks_arrive_in_order_as_they_were(portaudio: FakePortAudio) -> None:
    """V2: float, the device's own rate and channels, no dither."""
    with microphone.find("18i8").open() as stream:
        for block in blocks(4, channels=2):
            portaudio.send(block)
        heard = [stream.read(), stream.read(), *stream.waiting()]
        assert stream.waiting() == []
        assert (stream.latency, stream.lost) == (0.012, 0)
        assert portaudio.running
    assert not portaudio.running
    assert np.array_equal(heard, blocks(4, channels=2))
    wanted = {"samplerate": 96_000, "channels": 2, "dtype": "float32", "device": 2}
    assert wanted.items() <= portaudio.opened.items()
    assert portaudio.opened["dither_off"]
    assert portaudio.opened["blocksize"] == 1_920


def test_sound_that_is_lost_is_counted(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the device, or because nobody took it: the queue is bounded."""
    monkeypatch.setattr(microphone, "QUEUE", 3 * microphone.BLOCK)
    with microphone.find().open() as stream:
        for block in blocks(5):
            portaudio.send(block)
        assert stream.lost == 2
        assert np.array_equal(stream.waiting(), blocks(3))
        portaudio.send(blocks(1)[0], overflow=True)
        assert stream.lost == 3


def test_unplugged_after_what_was_said_is_read(portaudio: FakePortAudio) -> None:
    with microphone.find().open() as stream:
        portaudio.send(blocks(1)[0])
        portaudio.opened["finished_callback"]()
        assert len(stream.read()) == 960
        with pytest.raises(UnpluggedError, match="gone"):
            stream.read()
        with pytest.raises(UnpluggedError, match="gone"):
            stream.waiting()


def test_a_device_that_falls_silent_without_a_word_is_unplugged(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CoreAudio stops calling, and says nothing."""
    monkeypatch.setattr(microphone, "STALLED", 0.05)
    with microphone.find().open() as stream:
        with pytest.raises(UnpluggedError):
            stream.read()
        with pytest.raises(UnpluggedError):
            stream.waiting()


def test_a_microphone_comes_back_under_another_number(portaudio: FakePortAudio) -> None:
    before = microphone.find("18i8")
    portaudio.devices = [DEVICES[2], *DEVICES[:2]]
    portaudio.listed = False
    back = microphone.again(before)
    assert portaudio.listed  # PortAudio was asked to look again
    assert isinstance(back, SoundDevice)
    assert (back.id, back.name) == (0, before.name)


@pytest.mark.parametrize("rate", [None, 44_100.0])
def test_a_microphone_that_stays_away_is_told(portaudio: FakePortAudio, rate: float | None) -> None:
    """Or that comes back at another rate: one session has one."""
    before = microphone.find("18i8")
    other = [] if rate is None else [{**DEVICES[2], "default_samplerate": rate}]
    portaudio.devices = [*DEVICES[:2], *other]
    with pytest.raises(UnpluggedError, match="still away"):
        microphone.again(before)


@pytest.mark.parametrize("private", ["_terminate", "_initialize"])
def test_where_portaudio_cannot_look_anew_the_same_is_tried(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, private: str
) -> None:
    """sounddevice may lose what it never promised."""
    before = microphone.find("18i8")
    monkeypatch.delattr(FakePortAudio, private)
    assert microphone.again(before) is before


def test_read_waits_for_sound(portaudio: FakePortAudio) -> None:
    with microphone.find().open() as stream:
        thread = threading.Timer(0.02, portaudio.send, [blocks(1)[0]])
        thread.start()
        assert len(stream.read()) == 960
        thread.join()


def test_a_device_that_is_gone_may_fail_to_close(portaudio: FakePortAudio) -> None:
    before = microphone.find()
    with before.open():
        portaudio.broken = "Error stopping stream: Unanticipated host error [PaErrorCode -9999]"
    assert not portaudio.running
    with pytest.raises(UnpluggedError, match="still away"):
        microphone.again(before)


def test_a_device_that_is_taken_says_what_to_do(portaudio: FakePortAudio) -> None:
    portaudio.broken = "Error opening InputStream: Device unavailable [PaErrorCode -9985]"
    with (
        pytest.raises(TwinError, match=r"1 does not open \(Device unavailable\); close other"),
        microphone.find().open(),
    ):
        pass


@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_file_is_heard_sample_by_sample(
    tone: Callable[..., Path], rate: int, channels: int
) -> None:
    path = tone(rate, channels)
    played = microphone.find(str(path), pace=1_000)
    assert microphone.again(played) is played
    assert (played.sample_rate, played.channels) == (rate, min(channels, 2))
    heard = []
    with played.open() as stream:
        assert stream.waiting() == []
        heard.append(stream.read())
    with played.open() as stream:
        heard += [stream.read() for _ in range(4)]
        with pytest.raises(UnpluggedError, match="come to its end"):
            stream.read()
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.array_equal(np.concatenate(heard), samples[:, :2])


def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("bread, milk")
    with pytest.raises(TwinError, match="is no sound"):
        FileMicrophone(tmp_path / "notes.wav")


def test_a_file_of_a_telephone_is_refused(tone: Callable[..., Path]) -> None:
    """V2."""
    with pytest.raises(TwinError, match="8,000 Hertz"):
        microphone.find(str(tone(8_000)))


def test_silence_is_explained_for_this_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "System Settings > Privacy & Security > Microphone" in microphone.permission_advice()
    monkeypatch.setattr(sys, "platform", "linux")
    assert "muted" in microphone.permission_advice()
