"""`twin voice record` at a terminal of its own (a pty), and its stages with keys from a script."""

import errno
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from aitwin.cli import booth
from aitwin.cli import keys as keys_module
from aitwin.cli import record as command
from aitwin.cli.booth import QuitError
from aitwin.cli.keys import END, Keys
from aitwin.errors import TwinError
from aitwin.voice import consent, record, tape, voices
from aitwin.voice.audio import trim
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.engines import Bundled
from aitwin.voice.grades import Grade, Reason
from aitwin.voice.microphone import FileMicrophone, UnpluggedError
from aitwin.voice.prompts import Prompt, prompts
from aitwin.voice.voices import Take, Voice

Twin = Callable[..., Any]
RATE = 24_000
NEUTRAL = prompts("neutral")
WAIT = 30.0  # seconds until a screen that does not come fails the test
# A controlling terminal of its own, so that Ctrl-C becomes a signal.
SESSION = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def room(seconds: float, level: float = -62.0) -> np.ndarray:
    random = np.random.default_rng(0).normal(0, 10 ** (level / 20), round(RATE * seconds))
    return random.astype(np.float32)


@pytest.fixture(scope="session")
def said() -> Callable[[str], np.ndarray]:
    bundled = Bundled()

    def speak(text: str) -> np.ndarray:
        samples = trim(bundled.speak(text, seed=1), before=0, after=0).samples
        noise = np.random.default_rng(1).normal(0, 10 ** (-62 / 20), len(samples))
        return samples + noise.astype(np.float32)

    return speak


@pytest.fixture(scope="session")
def performance(
    said: Callable[[str], np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """A sound file of somebody who goes through a session: silence, a line, consent, sentences."""
    directory = tmp_path_factory.mktemp("performances")

    def write(*, consent: bool = False, takes: int = 0, endless: float = 0.0) -> Path:
        parts = [room(3.2)]
        texts = [command.LINE, *([consent_text()] * consent)]
        texts += [prompt.text for prompt in NEUTRAL[:takes]]
        for text in texts:
            parts += [room(0.3), said(text), room(3.2)]  # of a rest, whatever the sentence is
        if endless:
            babble = said(NEUTRAL[0].text)
            parts += [room(0.3), np.tile(babble, 1 + round(RATE * endless / len(babble)))]
        path = directory / f"{consent}-{takes}-{endless}.wav"
        soundfile.write(path, np.concatenate(parts), RATE, subtype="PCM_24")
        return path

    return write


def consent_text() -> str:
    return consent.sentence("Ana", datetime.now().astimezone().date())


class Terminal:
    """`twin` at a pty of 80 x 24, with what it shows, and keys to press."""

    def __init__(self, *arguments: object) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self._slave)
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SESSION, sys.executable, "-m", "aitwin", "voice", "record",
             *map(str, arguments)],
            stdin=self._slave, stdout=self._slave, stderr=self._slave, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.raw = ""
        self.shown = ""
        """All of it, without what moves the cursor and sets colours."""
        self._seen = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self._slave)

    def see(self, pattern: str) -> None:
        """Wait until something like it is shown that was not shown before the last key."""
        end = time.monotonic() + WAIT
        while not re.search(pattern, self.shown[self._seen :]):
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} did not come: {self.shown[-2_500:]}")

    def press(self, key: str, then: str) -> None:
        """Press a key, and wait until something like `then` is shown."""
        self._seen = len(self.shown)
        os.write(self.master, key.encode())
        self.see(then)

    def ends(self) -> int:
        """The exit code; the terminal must be as it was."""
        end = time.monotonic() + WAIT
        while self.process.poll() is None:
            self._read(0.05)
            assert time.monotonic() < end, self.shown[-2_500:]
        while self._read(0.05):
            pass
        assert termios.tcgetattr(self._slave) == self.before
        for on, off in (("[?1049h", "[?1049l"), ("[?25l", "[?25h")):  # the screen, the cursor
            assert 0 < self.raw.rfind(on) < self.raw.rfind(off)
        return self.process.returncode

    def _read(self, wait: float) -> bool:
        if not select.select([self.master], [], [], max(0, wait))[0]:
            return False
        data = os.read(self.master, 65_536).decode(errors="replace")
        self.raw += data
        self.shown += plain(data)
        return True


def checked(terminal: Terminal, then: str) -> None:
    """Through room and level."""
    terminal.see("press space, then keep still")
    terminal.press(" ", "A good room")
    terminal.press(" ", "press space, then read aloud")
    terminal.press(" ", "A good level")
    terminal.press(" ", then)


def read_so_far(number: int) -> str:
    return rf"Neutral, calm: {number} of {len(NEUTRAL)} sentences read"


def plain(shown: str) -> str:
    """Without what moves the cursor and sets colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def ana(home: Path) -> Voice:
    return voices.open_(home / "voices", "ana")


def takes(home: Path) -> list[Take]:
    return ana(home).takes()


def test_a_session_at_a_terminal_and_another_day(
    home: Path, performance: Callable[..., Path]
) -> None:
    """V1, V2, P4: room, level, takes, a retake, a skip, quit; resumed; Ctrl-C within a take."""
    os.umask(0o022)
    file = performance(takes=4)
    with Terminal("--name", "Ana", "--device", file, "--i-am-the-speaker", "--pace", 30) as screen:
        checked(screen, read_so_far(0))
        screen.see(re.escape(NEUTRAL[0].text[:40]))
        screen.press(" ", read_so_far(1))
        screen.press(" ", read_so_far(2))
        first = takes(home)
        screen.press("\x1bOS\x1b[15;2R\x1aä", "press space")  # F4, F5, Ctrl-Z: nothing
        screen.press("r", "once more")
        screen.press(" ", re.escape(NEUTRAL[2].text[:40]))
        screen.press("s", re.escape(NEUTRAL[3].text[:40]))
        screen.press(" ", read_so_far(3))
        screen.press("q", "takes kept: 3")
        assert screen.ends() == 0
    assert "twin voice record --voice ana" in screen.shown
    found = takes(home)
    assert [take.prompt_id for take in found] == [NEUTRAL[n].id for n in (0, 1, 3)]
    assert found[0] == first[0]
    assert first[1].id not in {take.id for take in found}  # the retake stands in its place
    assert {(take.sample_rate, take.device) for take in found} == {(RATE, file.name)}
    given = consent.load(home / "voices" / "ana" / "consent")
    assert given is not None
    assert given.kind == "stated"
    private(home)
    (session,) = (home / "voices" / "ana" / "sessions").iterdir()
    manifest = json.loads((session / "manifest.json").read_text())
    assert manifest["conditions"]["sample_rate"] == RATE
    assert manifest["conditions"]["noise"] == pytest.approx(-62, abs=1)
    assert manifest["skipped"] == [NEUTRAL[2].id]
    assert manifest["said"].keys() == {take.id for take in found}

    with Terminal("--device", performance(endless=60), "--pace", 20) as screen:
        checked(screen, "another microphone than last time")
        screen.press(" ", re.escape(NEUTRAL[4].text[:40]))  # what was skipped comes last
        assert "consent" not in screen.shown.lower()  # it is there
        screen.press(" ", r"([5-9]|\d\d)\.\d s   read aloud")
        screen.press("\x03", "takes kept: 1")
        assert screen.ends() == 130
    *same, broken_off = takes(home)
    assert same == found
    assert (broken_off.prompt_id, broken_off.emotion) == ("", "neutral")
    assert broken_off.seconds > 1
    again = record.script(ana(home), NEUTRAL, record.past(ana(home)))
    assert again.current == NEUTRAL[4]
    private(home)
    logged(home)


def private(home: Path) -> None:
    for path in (home / "voices" / "ana").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def logged(home: Path) -> None:
    """No sentence is anywhere but with its take and the consent."""
    for path in home.rglob("*"):
        if path.is_file() and not {"takes", "consent"} & set(path.parts):
            content = path.read_bytes()
            assert not any(prompt.text.encode() in content for prompt in NEUTRAL), path


def test_a_spoken_consent_and_sessions_that_break_off(
    home: Path, performance: Callable[..., Path]
) -> None:
    """The consent comes first; kill -9 and a microphone unplugged within a take lose nothing."""
    file = performance(consent=True, endless=60)
    with Terminal("--name", "Ana", "--device", file, "--pace", 20) as screen:
        checked(screen, "I am Ana. Today is")
        assert takes(home) == []
        screen.press(" ", read_so_far(0))
        screen.press(" ", r"([5-9]|\d\d)\.\d s   read aloud")
        screen.process.kill()
        screen.process.wait()
    given = consent.load(home / "voices" / "ana" / "consent")
    assert given is not None
    assert given.kind == "spoken"
    kept = home / "voices" / "ana" / "consent" / "consent.wav"
    assert soundfile.info(kept).samplerate == RATE
    assert takes(home) == []

    with Terminal("--device", performance(endless=3), "--pace", 40) as screen:
        checked(screen, "another microphone than last time")
        screen.press(" ", read_so_far(0))
        screen.press(" ", "no microphone; what was said is kept")  # unplugged within a take
        screen.press(" ", "press space, then read aloud")
        screen.process.terminate()
        assert screen.ends() == 128 + signal.SIGTERM
    assert "takes kept of a session that broke off: 1" in screen.shown
    assert "takes kept: 1" in screen.shown
    killed, unplugged = takes(home)
    assert killed.seconds > 1
    assert unplugged.seconds > 3
    assert (killed.prompt, unplugged.prompt) == ("", "")
    private(home)


def test_without_a_terminal_it_says_what_to_do(twin: Twin, home: Path) -> None:
    twin("voice", "record", "--name", "Ana").refused("needs a terminal", "twin voice add FILE")
    assert not (home / "voices").exists()


def test_an_unknown_emotion_is_refused(twin: Twin) -> None:
    twin("voice", "record", "--emotion", "bored").refused("'bored'", "neutral, happy, sad")


def test_microphones_are_listed(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    from aitwin.voice import microphone

    one = microphone.SoundDevice(3, "Scarlett", 96_000, 2, default=True)
    monkeypatch.setattr(microphone, "devices", lambda: [one])
    result = twin("voice", "record", "--list-devices")
    assert result.code == 0
    assert re.search(r"3\s+Scarlett\s+96,000\s+2\s+default", result.out)


def test_portaudio_missing_is_told(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    twin("voice", "record", "--list-devices").refused("pip install 'aitwin[clone]'")


class Script(Keys):
    """Keys from a list: one each time the session waits for one, none while it listens.

    "" pulls the microphone out.
    """

    def __init__(self, keys: Sequence[str], microphone: FileMicrophone) -> None:
        self.left = list(keys)
        self.microphone = microphone

    def pressed(self, wait: float = 0.0) -> str:
        if not wait:
            return ""
        key = self.left.pop(0) if self.left else END
        if not key and isinstance(self.microphone, LooseCable):
            self.microphone.away = True
        return key


class Within(Script):
    """Keys as above, and something that happens after a second of a take."""

    def __init__(
        self, keys: Sequence[str], microphone: FileMicrophone, strike: Callable[[], str]
    ) -> None:
        super().__init__(keys, microphone)
        self.strike = strike
        self.blocks = 0

    def pressed(self, wait: float = 0.0) -> str:
        if wait or self.left:  # the room and the level are still to be listened to
            return super().pressed(wait)
        self.blocks += 1
        return self.strike() if self.blocks == 50 else ""


class LooseCable(FileMicrophone):
    """A microphone that can be pulled out, and that loses sound while it is read."""

    away = False
    times = 0

    @contextmanager
    def open(self) -> Iterator["LooseCable"]:
        self.times += 1
        yield self

    def waiting(self) -> list[np.ndarray]:
        if self.away:
            self.away = False
            raise UnpluggedError("the microphone is gone; plug it in again")
        return []

    def read(self) -> np.ndarray:
        self.lost += 1
        return super().read()


class Muted(LooseCable):
    """One that gives zeros from then on."""

    def read(self) -> np.ndarray:
        return super().read() * np.float32(self.times < 2)


CHECKED = "    "  # the room and the level, each begun and accepted


@pytest.fixture
def voice(home: Path) -> Voice:
    made = voices.create(home / "voices", "Ana")
    consent.store(made.path / "consent", consent.stated("Ana", date(2026, 11, 29)))
    return made


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What was on the screen so far, as one line."""
    file = io.StringIO()
    screen = Console(file=file, force_terminal=True, width=80, height=24)
    monkeypatch.setattr(booth, "err", screen)
    return lambda: re.sub(r"[│\s]+", " ", plain(file.getvalue()))


@pytest.fixture
def sit(voice: Voice, shown: Callable[[], str]) -> Callable[..., None]:
    """A sitting with a file for a microphone, and keys from a string."""

    def run(
        heard: Path | FileMicrophone,
        keys: Sequence[str],
        *,
        emotion: str = "",
        anew: bool = False,
        stated: bool = False,
        strike: Callable[[], str] | None = None,
        **parts: Any,
    ) -> None:
        sitting = command.Sitting(voice, emotion, **parts)
        microphone = FileMicrophone(heard, pace=100_000) if isinstance(heard, Path) else heard
        pressed = Within(keys, microphone, strike) if strike else Script(keys, microphone)
        try:
            sitting.run(microphone, pressed, stated=stated, anew=anew)
        except QuitError:
            pass
        finally:
            sitting.farewell()

    return run


def test_a_grade_is_shown_at_once(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    capfd: pytest.CaptureFixture[str],
    shown: Callable[[], str],
) -> None:
    reason = Reason("hum", "C", "there is a hum of 50 Hertz", "unplug the charger")
    sit(performance(takes=1), CHECKED + " ", judge=lambda take: Grade("C", (reason,)))
    assert re.search(r"C +\d\.\d s of speech", shown())
    assert "there is a hum of 50 Hertz: unplug the charger" in shown()
    assert "takes kept: 1 (1 C)" in capfd.readouterr().err


def test_a_consent_that_is_not_heard_is_asked_for_three_times(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    shown: Callable[[], str],
) -> None:
    before = consent.load(voice.path / "consent")
    heard: list[Path] = []

    def hears(path: Path, sentence: str) -> float:
        heard.append(path)
        return 0.5

    with pytest.raises(TwinError, match=r"3 times.*--i-am-the-speaker"):
        sit(performance(takes=8), CHECKED + "   ", anew=True, hears=hears)
    assert len(heard) == 3
    assert "The sentence was not heard (2 of 3)" in shown()
    assert consent.load(voice.path / "consent") == before
    assert list(voice.path.glob("sessions/*/*.wav")) == []
    assert voice.takes() == []


def test_a_full_disk_keeps_what_was_said(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, written = tape.Tape.write, 0

    def until_full(self: tape.Tape, block: np.ndarray) -> None:
        nonlocal written
        written += 1
        if written > 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, block)

    monkeypatch.setattr(tape.Tape, "write", until_full)
    with pytest.raises(OSError, match="No space"):
        sit(performance(takes=1), CHECKED + " ")
    (take,) = voice.takes()
    assert take.seconds == pytest.approx(4.0)
    assert take.prompt_id == ""


def test_a_microphone_that_gives_nothing_is_explained(
    sit: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS gives zeros to a terminal that may not listen."""
    monkeypatch.setattr(sys, "platform", "darwin")
    soundfile.write(tmp_path / "zeros.wav", np.zeros(RATE * 20), RATE)
    with pytest.raises(TwinError, match=r"Privacy & Security > Microphone"):
        sit(tmp_path / "zeros.wav", CHECKED)


@pytest.fixture
def then(performance: Callable[..., Path], tmp_path: Path) -> Callable[[np.ndarray], Path]:
    """A performance of room and level, and then of that."""

    def write(samples: np.ndarray) -> Path:
        checked, _ = soundfile.read(performance(), dtype="float32")
        path = tmp_path / "then.wav"
        soundfile.write(path, np.concatenate([checked, samples]), RATE, subtype="PCM_24")
        return path

    return write


def whisper(seconds: float, above: float = 6.5) -> np.ndarray:
    """A sound like a whisper, so many dB over the room."""
    return room(seconds) + room(seconds, -62 + above)[::-1]


def test_a_whisper_ends_by_itself_and_is_kept(
    sit: Callable[..., None], then: Callable[[np.ndarray], Path], voice: Voice
) -> None:
    """V1: the whispered takes lie a few dB over the room."""
    heard = then(np.concatenate([room(0.5), whisper(8), room(20)]))
    sit(heard, CHECKED + " ", emotion="whispered")
    (take,) = voice.takes()
    assert take.prompt_id == prompts("whispered")[0].id
    assert take.seconds < 0.5 + 8 + 4
    (said,) = record.past(voice)[0].said.values()
    assert said == pytest.approx(8, abs=0.1)


def test_a_reading_that_nobody_heard_is_kept_without_its_sentence(
    sit: Callable[..., None],
    then: Callable[[np.ndarray], Path],
    voice: Voice,
    shown: Callable[[], str],
) -> None:
    sit(then(room(20)), CHECKED + " ", speaks=lambda path: 0.0)
    assert "Nothing was heard: come closer" in shown()
    assert "What there is is kept; the sentence comes again." in shown()
    (take,) = voice.takes()
    assert (take.prompt_id, take.emotion) == ("", "neutral")
    again = record.script(voice, NEUTRAL, record.past(voice))
    assert (again.current, again.progress()[0].said) == (NEUTRAL[0], 0)


def test_a_whisper_under_the_meter_is_a_reading_all_the_same(
    sit: Callable[..., None], then: Callable[[np.ndarray], Path], voice: Voice
) -> None:
    """The voice activity detector hears what lies no higher than the room."""
    sit(then(room(20)), CHECKED + " ", emotion="whispered", speaks=lambda path: 4.5)
    (take,) = voice.takes()
    assert take.prompt_id == prompts("whispered")[0].id
    assert list(record.past(voice)[0].said.values()) == [4.5]


def test_the_detector_tells_speech_from_the_room(
    said: Callable[[str], np.ndarray], tmp_path: Path
) -> None:
    speaks = command._speaks()
    assert speaks is not None
    spoken = said(NEUTRAL[0].text)
    for name, samples in (("room", room(4)), ("said", np.concatenate([room(1), spoken, room(1)]))):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="PCM_24")
    assert speaks(tmp_path / "room.wav") == 0
    assert speaks(tmp_path / "said.wav") == pytest.approx(len(spoken) / RATE, abs=0.5)


@pytest.mark.parametrize("key", ["q", "p", "e"])
def test_a_whisper_that_a_key_breaks_off_is_kept(
    sit: Callable[..., None], then: Callable[[np.ndarray], Path], voice: Voice, key: str
) -> None:
    heard = then(whisper(20, above=3))
    sit(heard, CHECKED + " ", emotion="whispered", strike=lambda: key)
    (take,) = voice.takes()
    assert (take.prompt_id, take.seconds) == ("", 1.0)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_window_that_is_closed_keeps_the_take(
    sit: Callable[..., None], then: Callable[[np.ndarray], Path], voice: Voice, number: int
) -> None:
    """SIGHUP, and SIGTERM when the machine is shut down."""

    def end() -> str:
        keys_module._end(number, None)
        raise AssertionError

    with pytest.raises(SystemExit):
        sit(then(whisper(20)), CHECKED + " ", strike=end)
    (take,) = voice.takes()
    assert take.seconds == 1.0


def test_a_recording_of_nothing_but_zeros_is_not_kept(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    shown: Callable[[], str],
) -> None:
    """A microphone that was muted."""
    microphone = Muted(performance(takes=4), pace=100_000)
    sit(microphone, [*CHECKED, "", " ", " "])
    assert "There is no sound in it" in shown()
    assert voice.takes() == []
    assert list(voice.path.glob("sessions/*/*.wav")) == []


@pytest.mark.parametrize("stated", [False, True])
def test_a_damaged_consent_is_asked_for_and_written_over(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    shown: Callable[[], str],
    stated: bool,
) -> None:
    (voice.path / "consent" / "manifest.json").write_text("{")
    keys = " " + CHECKED + " " * (not stated)
    sit(performance(consent=True), keys, stated=stated, hears=lambda path, sentence: 1.0)
    assert "The consent that is kept does not count: its record is damaged." in shown()
    given = consent.load(voice.path / "consent")
    assert given is not None
    assert given.kind == ("stated" if stated else "spoken")


def test_a_consent_of_somebody_else_is_told_at_the_start(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    shown: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even when there is nothing else to do."""
    monkeypatch.setattr(command, "_sentences", lambda: [])
    doubt = "it sounds like somebody else than the takes"
    monkeypatch.setattr(record, "consent_doubts", lambda voice: (doubt,))
    sit(performance(consent=True), " " + CHECKED + " ", hears=lambda path, sentence: 1.0)
    assert f"does not count: {doubt}." in shown()
    assert shown().index(doubt) < shown().index("1. The room")
    given = consent.load(voice.path / "consent")
    assert given is not None
    assert given.kind == "spoken"


@pytest.mark.parametrize(("size", "begins"), [((60, 18), True), ((38, 18), False)])
def test_nothing_is_recorded_in_a_window_that_hides_the_sentence(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    begins: bool,
) -> None:
    file = io.StringIO()
    width, height = size
    screen = Console(file=file, force_terminal=True, width=width, height=height)
    monkeypatch.setattr(booth, "err", screen)
    sit(performance(takes=1), CHECKED + " ")
    assert len(voice.takes()) == begins
    assert ("Make this window larger." in file.getvalue()) != begins


def test_one_emotion_alone_and_to_its_end(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    shown: Callable[[], str],
) -> None:
    asked_for(monkeypatch, 0.02)
    lines = [Prompt("sad-1", "sad", "It rains."), Prompt("happy-1", "happy", "The sun is out.")]
    monkeypatch.setattr(command, "_sentences", lambda: lines)
    sit(performance(takes=2), CHECKED + "re  ", emotion="sad")
    assert "There is no take before this one" in shown()
    assert "Only sad is left" in shown()
    said = capfd.readouterr().err
    assert "there is enough of sad; go on with the others: twin voice record --voice ana" in said
    assert [take.prompt_id for take in voice.takes()] == ["sad-1"]


def asked_for(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    """So many of each emotion."""
    for name, emotion in EMOTIONS.items():
        monkeypatch.setitem(EMOTIONS, name, replace(emotion, minutes=minutes))


def test_whoever_has_read_all_reads_it_once_more(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    shown: Callable[[], str],
) -> None:
    """V2: the minutes are asked for; all that is to be read may be read before they are full."""
    monkeypatch.setattr(command, "_sentences", lambda: [Prompt("happy-1", "happy", "Sun.")])
    sit(performance(takes=2), CHECKED + "  ", emotion="happy")
    assert "Happy, excited, second reading: 0 of 1 sentences read" in shown()
    assert "Say it differently than before." in shown()
    assert [take.prompt_id for take in voice.takes()] == ["happy-1", "happy-1"]
    assert "go on when you like: twin voice record --voice ana" in capfd.readouterr().err
    sit(performance(takes=1), CHECKED, emotion="happy")
    assert "Happy, excited, third reading: 0 of 1 sentences read" in shown()


def there_are_minutes(voice: Voice, emotion: str) -> None:
    """Enough of them, in a file that was added."""
    file = voice.path.parent / f"{emotion}.wav"
    file.write_text(emotion)
    voice.add(file, {"emotion": emotion, "seconds": 500.0, "sample_rate": RATE, "channels": 1})
    file.unlink()


def test_what_is_said_at_the_end_leads_on(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    shown: Callable[[], str],
) -> None:
    lines = [Prompt(f"{emotion}-1", emotion, "Sun.") for emotion in EMOTIONS]
    monkeypatch.setattr(command, "_sentences", lambda: lines)
    sit(performance(), CHECKED + "s" * 9)
    assert "was skipped, and comes again next time: twin voice record" in capfd.readouterr().err
    for emotion in EMOTIONS:
        there_are_minutes(voice, emotion)
    sit(performance(), "")
    said = capfd.readouterr().err
    assert "go on with: twin voice prepare ana" in said
    assert "twin voice record --voice ana --emotion happy" in said
    sit(performance(takes=1), CHECKED + "  ", emotion="happy")  # as it says
    assert "Happy, excited: 0 of 1 sentences read" in shown()
    assert "go on with: twin voice prepare ana" in capfd.readouterr().err
    sit(performance(takes=1), CHECKED, emotion="happy")
    assert "Happy, excited, second reading: 0 of 1 sentences read" in shown()


def test_what_changed_since_the_last_day_is_shown(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    tmp_path: Path,
    shown: Callable[[], str],
) -> None:
    sit(performance(takes=1), CHECKED + " ")
    samples, _ = soundfile.read(performance(takes=1), dtype="float32")
    samples = np.concatenate([samples, room(3)])  # a voice in noise seems to pause for longer
    louder = tmp_path / "another.wav"
    soundfile.write(louder, samples + 10 * room(len(samples) / RATE)[: len(samples)], RATE)
    assert "than last time" not in shown()
    sit(louder, CHECKED + " ")
    assert "another microphone than last time" in shown()
    assert "the room is 21 dB louder than last time" in shown()


def test_a_microphone_that_comes_back_is_gone_on_with(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    shown: Callable[[], str],
) -> None:
    microphone = LooseCable(performance(takes=1), pace=100_000)
    sit(microphone, [*CHECKED, "", " ", " "])
    assert "the microphone is gone; plug it in again" in shown()
    assert microphone.times == 2
    assert len(voice.takes()) == 1


def test_a_pause_lets_go_of_the_microphone(
    sit: Callable[..., None],
    performance: Callable[..., Path],
    voice: Voice,
    shown: Callable[[], str],
) -> None:
    microphone = LooseCable(performance(takes=1), pace=100_000)
    sit(microphone, [*CHECKED, "p", "p", " "])
    assert "paused; the microphone is off" in shown()
    assert microphone.times == 2
    assert len(voice.takes()) == 1


def test_sound_that_was_lost_is_told(
    sit: Callable[..., None], performance: Callable[..., Path], shown: Callable[[], str]
) -> None:
    sit(LooseCable(performance(takes=1), pace=100_000), CHECKED)
    assert "sound was lost on the way: close programs" in shown()
    sit(LooseCable(performance(takes=1), pace=100_000), [*CHECKED, " ", " "])
    assert "sound was lost on the way: retake it" in shown()


def test_a_page_that_went_with_a_retaken_take_is_told(
    voice: Voice, capfd: pytest.CaptureFixture[str]
) -> None:
    """P4: it held sound of it (see Voice.remove)."""
    voice.page.write_text("sound")
    sitting = command.Sitting(voice)
    sitting.farewell()
    assert "the page" not in capfd.readouterr().err
    voice.page.unlink()
    sitting.farewell()
    assert f"`twin voice report {voice.id}` makes it anew" in capfd.readouterr().err
