"""Consent: whose word it is, kept with its recording and for the owner alone."""

import stat
from datetime import date
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent
from aitwin.voice.consent import Consent

TODAY = date(2026, 5, 4)
CANARY = "Zuccanary"
SHA256 = "0123456789abcdef" * 4


def test_the_sentence_says_who_and_when() -> None:
    said = consent.sentence("Ana Bell", TODAY)
    assert said.startswith("I am Ana Bell. Today is 4 May 2026. ")


def test_a_consent_comes_back_with_its_recording_and_is_private(tmp_path: Path) -> None:
    recording = tmp_path / "said.WAV"
    recording.write_bytes(b"RIFF")
    given = Consent("spoken", TODAY, consent.sentence(CANARY, TODAY), SHA256, 0.95, 0.8)
    place = tmp_path / "ana" / "consent"
    assert consent.load(place) is None
    consent.store(place, given, recording)
    assert consent.load(place) == given
    assert (place / "consent.wav").read_bytes() == b"RIFF"
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    assert CANARY not in repr(given)


def test_a_later_consent_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    place = tmp_path / "consent"
    recording = tmp_path / "said.wav"
    recording.write_bytes(b"RIFF")
    consent.store(place, Consent("spoken", TODAY, "x"), recording)
    consent.store(place, consent.stated("Ana", TODAY))
    found = consent.load(place)
    assert found is not None
    assert found.kind == "stated"
    assert not (place / "consent.wav").exists()


@pytest.mark.parametrize(
    ("words", "likeness", "said"),
    [
        (None, None, ()),
        (0.7, 0.7, ()),
        (0.69, None, ("69%",)),
        (0.9, 0.69, ("somebody else",)),
        (0.1, 0.1, ("10%", "somebody else")),
    ],
)
def test_a_consent_that_was_not_heard_is_in_doubt(
    words: float | None, likeness: float | None, said: tuple[str, ...]
) -> None:
    given = Consent("spoken", TODAY, CANARY, words=words, likeness=likeness)
    assert len(given.doubts) == len(said)
    assert all(part in doubt for part, doubt in zip(said, given.doubts, strict=True))
    assert CANARY not in "".join(given.doubts)


@pytest.mark.parametrize("content", ["{}", '{"given_on": "soon"}', '{"given_on": 5}', "[]", "{"])
def test_a_damaged_consent_is_told_and_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / artifact.MANIFEST).write_text(content)
    with pytest.raises(TwinError, match=r"twin voice record --voice .* --consent"):
        consent.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "forged"), ("kind", None), ("given_on", "2026-13-01"), ("sentence", 5),
        ("sha256", "../x"), ("words", "all"), ("words", float("nan")), ("likeness", [1]),
        ("likeness", True), ("more", "x"),
    ],
)  # fmt: skip
def test_what_a_consent_says_must_be_of_its_kind(tmp_path: Path, field: str, value: object) -> None:
    place = tmp_path / "consent"
    consent.store(place, Consent("spoken", TODAY, CANARY, SHA256, 0.9, 0.8))
    said = artifact.read_manifest(place, kind="consent", remedy="")
    artifact.write_manifest(place, {**said, field: value})
    with pytest.raises(TwinError, match="is damaged") as told:
        consent.load(place)
    assert CANARY not in str(told.value)


def test_a_consent_is_taken_back_with_its_recording(tmp_path: Path) -> None:
    place = tmp_path / "ana" / "consent"
    consent.withdraw(place)
    recording = tmp_path / "said.wav"
    recording.write_bytes(b"RIFF")
    consent.store(place, Consent("spoken", TODAY, CANARY), recording)
    consent.withdraw(place)
    assert consent.load(place) is None
    assert list(place.parent.iterdir()) == []
    (place).mkdir()
    (place / artifact.MANIFEST).write_text("{")
    consent.withdraw(place)
    assert not place.exists()
