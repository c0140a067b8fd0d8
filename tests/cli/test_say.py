"""twin say: in the owner's voice, as well as this machine can, and never silently another's."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin import rooms
from aitwin.home import Home
from aitwin.voice import converter, voices, watermark
from aitwin.voice import profile as profiles
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.studio import Weights
from tests.cli.conftest import CANARY, Twin
from tests.voice.sounds import sentence
from tests.voice.test_profile import add, consented


@pytest.fixture
def ana(owner: Twin, home: Path, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """An owner with a voice that may be matched; its minute is some seconds here."""
    monkeypatch.setattr(profiles, "LEAST_SPEECH", 5.0)
    made = voices.create(Home(home).open_voices(), "Ana")
    add(made, [sentence(number) for number in range(5)])
    consented(made, kind="stated")
    profiles.build(made, None)
    return owner


def test_without_a_home_the_base_voice_speaks_and_nothing_is_made(
    twin: Twin, home: Path, tmp_path: Path
) -> None:
    result = twin("say", "The kettle is on.", "-o", tmp_path / "kettle.wav", "--json")
    assert result.code == 0
    told = result.json
    assert (told["speaker"], told["voice"], told["passed"]) == ("bundled", "", [])
    assert not home.exists()
    twin("say", "No.", "--voice", "ana").refused("no voice is called 'ana'")


def test_the_owners_voice_speaks_and_what_better_engines_lack_is_said(
    ana: Twin, tmp_path: Path
) -> None:
    """S1: by name or without; why nothing better speaks goes to stderr, and into the JSON."""
    sound = tmp_path / "kettle.wav"
    result = ana("say", f"The {CANARY} is on.", "-o", sound, "--json")
    told = result.json
    assert (told["speaker"], told["voice"], told["approximate"]) == ("bundled+match", "ana", True)
    assert [one["engine"] for one in told["passed"]] == ["melotts+openvoice", "bundled+openvoice"]
    assert "without melotts+openvoice: " in result.err
    assert CANARY not in result.out + result.err
    base = tmp_path / "base.wav"
    plain = ana("say", f"The {CANARY} is on.", "-o", base, "--voice", "base")
    assert "bundled base voice (not yours)" in plain.err
    assert "without" not in plain.err
    heard, other = soundfile.read(sound)[0], soundfile.read(base)[0]
    assert len(heard) != len(other) or not np.allclose(heard, other, atol=0.01)


def test_an_mp3_and_the_controls(ana: Twin, tmp_path: Path) -> None:
    """S2."""
    sound = tmp_path / "kettle.mp3"
    how = ("--pause", "3", "--speed", "1.5", "--seed", "4", "--emotion", "neutral")
    assert ana("say", "The kettle is on. No sugar.", "-o", sound, *how).code == 0
    samples, rate = soundfile.read(sound)
    assert rate == 22_050
    assert 1.5 < len(samples) / rate < 8
    ana("say", "No.", "--pause", "9").refused("pause 9")
    ana("say", "No.", "--emotion", "sad").refused("not recorded in 'sad'", "twin voice record")
    ana("say", "No.", "--engine", "melotts").refused("melotts cannot speak", "pull voice")


def test_what_takes_long_once_is_told(
    ana: Twin, home: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3: whoever waits while the machine is measured knows what for."""
    weights = shared / "golden" / "openvoice"
    monkeypatch.setattr(converter, "TRIAL", 0.1)
    monkeypatch.setattr(rooms, "_speaking_weights", lambda shelf: Weights(openvoice=weights))
    voice = voices.find(Home(home).open_voices())
    profiles.build(voice, ReferenceEncoder.load(weights / "checkpoint.pth"))
    once, again = (ana("say", "No.", "-o", tmp_path / "no.wav") for _ in range(2))
    assert once.code == again.code == 0
    assert "how the converter of tone colour computes fastest on this machine" in once.err
    assert "fastest" not in again.err


def test_what_cannot_be_is_refused_before_anything_is_opened(
    twin: Twin, home: Path, tmp_path: Path
) -> None:
    """S2: a name of another format, for both commands, and a seed that no generator takes."""
    for command in ("say", "speak"):
        for name in ("kettle.ogg", "kettle"):
            twin(command, "One.", "-o", tmp_path / name).refused("neither a .wav nor an .mp3")
    twin("say", "One.", "-o", tmp_path / "a.wav", "--seed", "-1").refused("seed -1", "from 0 to")
    assert list(tmp_path.rglob("*.*")) == []
    assert not home.exists()


def test_one_sentence_is_one_and_what_is_left_out_is_told(twin: Twin, tmp_path: Path) -> None:
    told = twin("say", "日本語 test.", "-o", tmp_path / "a.wav").err
    assert re.search(r"s, 1 sentence, bundled", told)
    assert "3 characters have no sound in this voice: left out" in told
    assert "2 sentences" in twin("say", "One. Two.", "-o", tmp_path / "a.wav").err


@pytest.mark.parametrize("package", ["perth", "torch"])
def test_where_nothing_can_be_marked_the_base_voice_says_so_and_no_other_speaks(
    ana: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """S5: fail loudly."""
    there = watermark.find_spec
    monkeypatch.setattr(
        watermark, "find_spec", lambda name: None if name == package else there(name)
    )
    sound = tmp_path / "kettle.wav"
    ana("say", "The kettle is on.", "-o", sound).refused(
        "Ana", "inaudible mark", "pip install 'aitwin[clone]'"
    )
    assert not sound.exists()
    result = ana("say", "The kettle is on.", "-o", sound, "--voice", "base", "--json")
    assert result.json["marked"] is None
    assert "without the inaudible mark" in result.err
    assert "pip install 'aitwin[clone]'" in result.err


def test_the_shelf_tells_the_studio_what_is_here(home: Path, owner: Twin) -> None:
    """A model that is damaged is told as such, and one that nobody pulled as not here."""
    shelf = home / "models" / "openvoice-v2"
    shelf.mkdir(parents=True)
    (shelf / "manifest.json").write_text("{}")
    studio = rooms.open_studio(Home(home), measuring=None)
    states = {one.name: one.lacking for one in studio.engines()}
    assert "openvoice-v2 is damaged" in states["bundled+openvoice"]
    assert "bert-base-uncased" in states["melotts"]
    assert "damaged" not in states["melotts"]
