"""What the owner is told of a voice: how much, how good, and the next step."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from aitwin import artifact
from aitwin.voice import consent, overview, phonemes, prepared, profile, voices
from aitwin.voice.grades import Grade, Letter, Reason
from aitwin.voice.heard import RATE
from aitwin.voice.measures import Measures
from aitwin.voice.prepared import Prepared, Segment
from aitwin.voice.voices import Take, Voice

CANARY = "zuccanary"
QUIET = Reason("level", "C", "the voice is soft", "come closer")


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


def added(voice: Voice, emotion: str, seconds: float) -> Take:
    sound = voice.path.parent / f"{emotion}-{seconds}.wav"
    sound.write_bytes(sound.name.encode())
    values = {"emotion": emotion, "seconds": seconds, "sample_rate": 48_000, "channels": 1}
    return voice.add(sound, {**values, "prompt": CANARY, "device": CANARY})


def ready(voice: Voice, take: Take, letter: Letter, seconds: float, text: str = "") -> None:
    measures = Measures(
        *(take.seconds, seconds, 48_000, None, None, -3.0, 0.0, None, None, None, None),
        *(None, None, None, 0.5),
    )
    said = Segment(f"{take.id}-000000000", 0, RATE, 0, RATE, text)
    with artifact.building(voice.prepared_path(take)) as scratch:
        prepared.store(
            scratch,
            Prepared(
                path=scratch, take=take.id, samples=round(seconds * RATE), source_samples=0,
                gain=0.0, limited=0, edits=(), segments=(said,) if text else (), measures=measures,
                grade=Grade(letter, (QUIET,) if letter != "A" else ()), settings={},
            ),
        )  # fmt: skip


def judged(voice: Voice, standings: dict[str, tuple[str, float, str]]) -> None:
    """A profile that an encoder has compared the takes for."""
    made = profile.build(voice, None)
    values = json.loads((made.path / artifact.MANIFEST).read_text())
    values["standings"] = {
        take: {"emotion": emotion, "seconds": 80.0, "likeness": likeness, "verdict": verdict}
        for take, (emotion, likeness, verdict) in standings.items()
    }
    artifact.write_manifest(made.path, values)


def steps(voice: Voice) -> str:
    return "\n".join(overview.of(voice).missing)


def test_a_voice_is_told_step_by_step_what_it_lacks(voice: Voice) -> None:
    assert "twin voice record --voice ana" in steps(voice)
    take = added(voice, "sad", 120.0)
    added(voice, "sad", 60.0)
    assert "preparation of 2 takes: `twin voice prepare ana`" in steps(voice)
    assert "twin voice consent ana" in steps(voice)
    for each in voice.takes():
        ready(voice, each, "D", 50.0)
    assert "grade A to C: `twin voice show ana`" in steps(voice)
    ready(voice, take, "C", 100.0)
    assert "a profile: `twin voice prepare ana`" in steps(voice)
    consent.store(voice.path / "consent", consent.stated("Ana", date(2026, 5, 4)))
    assert "consent" not in steps(voice)


def test_a_profile_speaks_for_itself(voice: Voice) -> None:
    ready(voice, added(voice, "sad", 120.0), "A", 100.0)
    profile.build(voice, None)
    seen = overview.of(voice)
    assert seen.profile
    assert seen.missing == profile.lacking(profile.load(profile.path_of(voice)))
    assert seen.missing


def test_takes_of_another_person_are_told_and_not_counted(voice: Voice) -> None:
    """In minutes, in sounds, and with what to do; the grade stays what it is."""
    for emotion, text in (("sad", "She sees."), ("happy", "Boys bring books.")):
        ready(voice, added(voice, emotion, 120.0), "A", 90.0, text)
    sad, happy = voice.takes()
    judged(voice, {sad.id: ("sad", 0.95, "like"), happy.id: ("happy", 0.41, "unlike")})
    seen = overview.of(voice)
    assert (seen.usable, seen.minutes) == (1.5, 4.0)
    assert [take.grade for take in seen.takes] == ["A", "A"]
    assert [bool(take.standing and take.standing.said) for take in seen.takes] == [False, True]
    assert {one.emotion: one.usable for one in seen.emotions if one.takes} == {
        "happy": 0.0,
        "sad": 1.5,
    }
    assert f"twin voice drop ana {happy.id}" in seen.advice[0]
    assert not any(happy.id in step for step in seen.missing)
    counts = overview.sounds(voice)
    assert counts["s"] == 1
    assert counts["b"] == 0


def test_without_a_profile_nothing_is_advised(voice: Voice) -> None:
    ready(voice, added(voice, "sad", 120.0), "A", 90.0)
    seen = overview.of(voice)
    assert seen.advice == ()
    assert seen.takes[0].standing is None


def test_minutes_and_grades_are_counted_by_emotion(voice: Voice) -> None:
    ready(voice, added(voice, "sad", 120.0), "A", 90.0)
    ready(voice, added(voice, "sad", 60.0), "D", 30.0)
    ready(voice, added(voice, "happy", 30.0), "C", 15.0)
    added(voice, "happy", 6.0)
    seen = overview.of(voice)
    assert (seen.minutes, seen.usable) == (3.6, 1.75)
    assert seen.grades == {"A": 1, "C": 1, "D": 1}
    assert len(seen.emotions) == 9
    happy, sad = (one for one in seen.emotions if one.takes)  # in the order of EMOTIONS
    assert (sad.takes, sad.minutes, sad.usable, sad.grades) == (2, 3.0, 1.5, {"A": 1, "D": 1})
    assert (happy.takes, happy.minutes, happy.usable) == (2, 0.6, 0.25)
    assert happy.asked == 7
    assert [take.reasons for take in seen.takes if take.grade == "C"] == [(QUIET,)]


def test_sounds_are_counted_in_what_was_read_and_usable(voice: Voice) -> None:
    assert overview.sounds(voice) == {}
    for emotion, letter, text in (("sad", "A", "She sees."), ("happy", "D", "Boys bring books.")):
        ready(voice, added(voice, emotion, 120.0), letter, 90.0, text)
    counts = overview.sounds(voice)
    assert (counts["s"], counts["ʃ"], counts["b"]) == (1, 1, 0)
    assert len(counts) == len(phonemes.INVENTORY)


def test_no_word_and_no_device_is_in_it(voice: Voice) -> None:
    ready(voice, added(voice, "sad", 120.0), "A", 90.0)
    consent.store(voice.path / "consent", consent.stated(CANARY, date(2026, 5, 4)))
    seen = overview.of(voice)
    assert (seen.consent, seen.consent_given_on) == ("stated", date(2026, 5, 4))
    assert CANARY not in repr(seen)


def test_a_damaged_take_hides_no_other(voice: Voice) -> None:
    """Who shows a voice shows its damaged takes beside (Voice.damaged)."""
    other = added(voice, "happy", 60.0)
    (added(voice, "sad", 120.0).path / artifact.MANIFEST).write_text("{")
    assert [take.id for take in overview.of(voice).takes] == [other.id]


def test_a_damaged_consent_hides_no_voice(voice: Voice) -> None:
    (voice.path / "consent").mkdir()
    (voice.path / "consent" / artifact.MANIFEST).write_text("{")
    seen = overview.of(voice)
    assert seen.name == "Ana"
    assert not seen.consent
    assert "twin voice consent ana --i-am-the-speaker" in seen.missing[0]


def test_a_verdict_on_another_engine_is_none(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    """What spoke then does not speak now: nobody knows how well the voice speaks."""

    class Judged:
        summary, made_at = "usable, spoken by bundled+match", datetime(2026, 5, 3, tzinfo=UTC)

        class verdict:  # noqa: N801 (as the field)
            usable = True

        def outdated(self, voice: Voice, engine: str = "") -> str:
            return f"{engine} speaks now" if engine == "melotts+openvoice" else ""

    monkeypatch.setattr(overview.evaluation, "load", lambda voice: Judged())
    assert overview.of(voice, engine="bundled+match").speaks_well is True
    seen = overview.of(voice, engine="melotts+openvoice")
    assert seen.speaks_well is None
    assert "melotts+openvoice speaks now: `twin voice eval ana`" in seen.evaluation


@pytest.mark.parametrize(
    ("kind", "words", "likeness", "told"),
    [
        ("stated", None, None, ()),
        ("spoken", 0.9, 0.9, ()),
        ("spoken", 0.9, None, ("not compared with the takes",)),
        ("spoken", None, None, ("nobody has heard its words", "not compared with the takes")),
    ],
)
def test_a_recorded_consent_says_what_nobody_has_looked_at(
    voice: Voice, kind: Any, words: float | None, likeness: float | None, told: tuple[str, ...]
) -> None:
    """V1: before any model is pulled, it is no more than a word."""
    given = consent.Consent(kind, date(2026, 5, 3), "I am Ana.", words=words, likeness=likeness)
    consent.store(voice.path / "consent", given)
    found = overview.of(voice).consent_unchecked
    assert len(found) == len(told)
    assert all(part in whole for part, whole in zip(told, found, strict=True))
