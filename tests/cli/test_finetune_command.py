"""twin voice finetune: what is refused before anything is loaded (S6)."""

from pathlib import Path

import pytest

from aitwin.cli.finetune import _Reader
from aitwin.home import Home
from aitwin.voice import finetune, normalise, profile, voices
from tests.cli.conftest import Twin
from tests.voice import small_melo
from tests.voice.test_profile import add, consented, encoder, minute


@pytest.fixture
def owned(twin: Twin) -> voices.Voice:
    assert twin("init", "--name", "Ana", "--address", "ana@x.example").code == 0
    voice = voices.create(Home.from_environment().open_voices(), "Ana")
    add(voice, minute())
    return voice


def test_who_has_not_agreed_is_refused_first(owned: voices.Voice, twin: Twin) -> None:
    assert "twin voice prepare" in twin("voice", "finetune", "ana").err
    profile.build(owned, encoder())
    result = twin("voice", "finetune", "ana")
    assert result.code == 1
    assert "cannot be cloned" in result.err
    assert not finetune.workplace(owned).exists()


def test_what_is_missing_or_waits_is_named(owned: voices.Voice, twin: Twin) -> None:
    consented(owned, kind="stated")
    profile.build(owned, encoder())
    assert "twin models pull melotts-english" in twin("voice", "finetune", "ana").err
    assert "batch must be 1 to 64" in twin("voice", "finetune", "ana", "--batch", "0").err
    assert "seed must be 0 to" in twin("voice", "finetune", "ana", "--seed", "-1").err
    place = finetune.workplace(owned) / finetune.CHECKPOINT
    place.mkdir(parents=True)
    (place / "manifest.json").write_text("{}")
    assert "--resume" in twin("voice", "finetune", "ana").err
    assert "choose one of" in twin("voice", "finetune", "ana", "--restart", "--resume").err
    assert "twin models pull" in twin("voice", "finetune", "ana", "--restart").err


def test_a_text_is_learned_as_it_is_spoken(tmp_path: Path) -> None:
    """The same phones as MeloSpeaker asks for; what it would say in pieces is no lesson."""
    front_end = small_melo.front_end()
    reader = _Reader.__new__(_Reader)
    vars(reader)["_opened"] = (front_end, small_melo.bert(tmp_path))
    # Three full stops are three pauses to the splitter, and were one before it.
    for text in ("Good morning... yes", "Good morning, world!"):
        said = reader(text)
        assert said is not None
        assert [said[0]] == front_end.read(normalise.spoken(text))
        assert len(said[1]) == len(said[0].token_ids)
    assert front_end.units("Good morning... yes") != front_end.read("Good morning... yes")[0]
    assert reader("...") is None
    assert reader("Good morning. " * 60) is None


def test_without_the_mark_nothing_is_learned(
    owned: voices.Voice, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples to hear are the owner's voice: none is made that does not say what it is."""
    consented(owned, kind="stated")
    profile.build(owned, encoder())
    monkeypatch.setattr("aitwin.models.Shelf.open", lambda self, name: [Path("model")])
    monkeypatch.setattr("aitwin.cli.finetune._open_ears", lambda home: None)
    monkeypatch.setattr("aitwin.voice.watermark.find_spec", lambda name: None)
    monkeypatch.setattr(finetune, "run", lambda *given, **more: pytest.fail("it began"))
    assert "resemble-perth" in twin("voice", "finetune", "ana").err


def test_a_run_that_was_stopped_answers_a_program(
    owned: voices.Voice, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is better than MeloTTS there is no manifest, and yet an answer."""
    consented(owned, kind="stated")
    profile.build(owned, encoder())
    monkeypatch.setattr("aitwin.models.Shelf.open", lambda self, name: [Path("model")])
    monkeypatch.setattr("aitwin.cli.finetune._open_ears", lambda home: None)
    monkeypatch.setattr(finetune, "run", lambda *given, **more: None)
    result = twin("voice", "finetune", "ana", "--json")
    assert (result.code, result.json) == (0, {"finished": False})
    assert "--resume" in result.err
