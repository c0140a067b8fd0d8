"""twin voice eval, listen: exit codes, what is printed, stopped and gone on, and the real parts."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from aitwin import artifact, rooms
from aitwin.cli import voice_eval
from aitwin.voice import evaluation
from aitwin.voice.speech import Speech
from aitwin.voice.vad import Detector
from aitwin.voice.verify import OPENVOICE, Target, Tools
from tests.cli.conftest import Twin
from tests.voice import sounds
from tests.voice.test_evaluation import Ear, Recorded

TEXTS = ("Please put the kettle on.", "Nobody knew where the yellow dog came from.")


class Studio:
    """Two engines, of which one speaks."""

    def __init__(self, speaker: Recorded) -> None:
        self.speaker = speaker

    def speech(self, voice: Any, *, emotion: str = "", engine: str = "") -> Speech:
        return Speech(self.speaker)

    def best(self, voice: Any) -> str:
        return self.speaker.name

    def ladder(self, voice: Any, *, emotion: str = "") -> list[Any]:
        return [
            SimpleNamespace(name="better", title="a better one", lacking="not here: `twin pull`"),
            SimpleNamespace(name=self.speaker.name, title="this one", lacking=""),
        ]


@pytest.fixture
def heard_as() -> list[float]:
    """The cosine at which everything is heard."""
    return [0.9]


@pytest.fixture
def speaker() -> Recorded:
    return Recorded()


@pytest.fixture
def ana(
    owner: Twin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    speaker: Recorded,
    heard_as: list[float],
) -> Twin:
    """An owner with a voice, and with ears and a studio that are quick."""
    noise = np.random.default_rng(0).normal(0, 0.1, 56_000).astype(np.float32)
    soundfile.write(tmp_path / "take.wav", noise, 16_000)
    added = owner(
        *("voice", "add", tmp_path / "take.wav", "--emotion", "sad", "--name", "Ana"),
        "--no-prepare",
    )
    assert added.code == 0, added

    def ears(*_: object) -> tuple[Tools, Target]:
        ear = Ear(heard_as[0], float(np.sqrt(1 - heard_as[0] ** 2)))
        like = Target({OPENVOICE: np.array([1, 0], np.float32)}, {OPENVOICE: 0.95})
        return Tools(Detector(), {OPENVOICE: ear}), like

    monkeypatch.setattr(rooms, "open_studio", lambda home, **how: Studio(speaker))
    monkeypatch.setattr(voice_eval, "_profile", lambda voice: None)
    monkeypatch.setattr(voice_eval, "_ears", ears)
    monkeypatch.setattr(evaluation, "recordings", lambda *_: iter(()))
    monkeypatch.setattr(evaluation, "sentences", lambda: TEXTS)
    return owner


def test_a_voice_that_passes(ana: Twin, home: Path) -> None:
    result = ana("voice", "eval", "ana")
    assert result.code == 0, result
    assert result.out.strip() == str(home / "voices" / "ana" / "evaluation" / "report.html")
    assert "likeness by openvoice: 0.90" in result.err
    assert "usable" in result.err
    assert "not checked: words" in result.err
    assert Path(result.out.strip()).is_file()
    shown = json.loads(ana("voice", "list", "--json").out)
    assert [one["speaks_well"] for one in shown if one["id"] == "ana"] == [True]
    assert "evaluation: usable, spoken by recorded" in ana("voice", "show", "ana").err


def test_one_that_does_not(ana: Twin, heard_as: list[float]) -> None:
    heard_as[0] = 0.4
    result = ana("voice", "eval", "ana")
    assert result.code == 1
    assert "not usable: it is 0.40 like the voice" in result.err
    printed = json.loads(ana("voice", "eval", "ana", "--json").out)
    assert printed["usable"] is False
    assert [reason["what"] for reason in printed["reasons"]] == ["likeness"]
    assert (printed["sentences"], printed["faulty"]) == (2, 2)
    assert TEXTS[0] not in json.dumps(printed)


def test_a_seed_that_no_generator_takes(ana: Twin, speaker: Recorded) -> None:
    ana("voice", "eval", "ana", "--seed", "-1").refused("seed -1 is out of bounds")
    assert speaker.said == 0


def test_it_is_stopped_and_goes_on(ana: Twin, speaker: Recorded) -> None:
    speaker.fails, speaker.fails_at = KeyboardInterrupt(), 2
    result = ana("voice", "eval", "ana")
    assert result.code == 130
    assert "what is done is kept" in result.err
    assert ana("voice", "eval", "ana").code == 0
    assert speaker.said == 3  # one, the interrupted one, and that again


def test_while_another_is_at_work_on_the_voice(ana: Twin, home: Path) -> None:
    with artifact.holding(home / "voices" / "ana"):
        ana("voice", "eval", "ana").refused("at work in another window")


def test_side_by_side(ana: Twin, home: Path) -> None:
    result = ana("voice", "listen", "ana")
    assert result.code == 0, result
    page = Path(result.out.strip())
    assert page == home / "voices" / "ana" / "listening.html"
    text = page.read_text("utf-8")
    assert text.count("<audio") == 3
    assert "openvoice: 0.90 like the voice" in text
    assert "a better one" in text
    assert "Not here" in text
    printed = ana("voice", "listen", "ana", "--no-measure", "--json").out
    assert json.loads(printed) == {"id": "ana", "page": str(page)}
    assert "like the voice" not in page.read_text("utf-8")


def test_what_is_not_prepared_is_refused(owner: Twin, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "take.wav", sounds.noise(3.5, -20), 22_050)
    owner(
        *("voice", "add", tmp_path / "take.wav", "--emotion", "sad", "--name", "Ana"),
        "--no-prepare",
    )
    for command in ("eval", "listen"):
        owner("voice", command, "ana").refused("twin voice prepare")


def test_with_the_real_parts(owner: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was pulled: the base voice speaks and is understood, and nobody says whose it is."""
    monkeypatch.setattr(evaluation, "sentences", lambda: TEXTS)
    soundfile.write(tmp_path / "take.wav", sounds.speech(3).samples, 22_050, "PCM_24")
    added = owner("voice", "add", tmp_path / "take.wav", "--emotion", "neutral", "--name", "Ana")
    assert added.code == 0, added
    result = owner("voice", "eval", "ana", "--engine", "bundled", "--json")
    assert result.code == 1, result
    printed = json.loads(result.out)
    assert [reason["what"] for reason in printed["reasons"]] == ["likeness"]
    assert "twin models pull" in printed["reasons"][0]["advice"]
    assert printed["engine"]["name"] == "bundled"
    assert printed["word_error_rate"] == 0
    assert printed["mos"] > 3
    assert [what for what in printed["unchecked"] if "likeness" not in what] == []
    assert len(printed["unchecked"]) == 2
    assert printed["watermarked"] == 1
