"""Lessons: which utterances a network learns from, how they are kept, in which order (S6)."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import lessons, profile, voices
from aitwin.voice.audio import Samples
from aitwin.voice.heard import RATE
from aitwin.voice.lessons import Lessons, Source
from tests.voice import tiny_melo
from tests.voice.test_profile import add, encoder, minute
from tests.voice.test_speakers import ANA, BEN, speaker

SAID = "the quick brown fox jumps over the lazy dog again and again"
"""48 letters: fit for 3 to 12 seconds."""


def source(number: int, text: str = SAID, seconds: float = 5.0, emotion: str = "neutral") -> Source:
    sound = speaker(ANA + number, seconds)
    return Source(f"take-{number:03}", emotion, text, sound, RATE)


def made(path: Path, sources: list[Source]) -> Lessons:
    return lessons.make(path, iter(sources), tiny_melo.read, rate=tiny_melo.RATE, hop=tiny_melo.HOP)


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    place = tmp_path_factory.mktemp("voice") / "lessons"
    return made(place, [source(number) for number in range(20)])


def test_sound_words_and_features_come_back(some: Lessons) -> None:
    units, features = tiny_melo.read(SAID)
    for lesson in (some.all[0], some.all[13]):
        number = int(lesson.id[-3:])
        sound = some.samples(lesson)
        assert some.seconds(lesson) == pytest.approx(5.0, abs=0.01)
        # The tone of 8 kHz speech that was there at 22,050 is there still, as loud.
        before = speaker(ANA + number, 5.0)
        assert np.abs(np.fft.rfft(sound)).argmax() == np.abs(np.fft.rfft(before)).argmax()
        assert lesson.units == units
        np.testing.assert_allclose(some.features(lesson), features, atol=2e-3)
    again = lessons.load(some.path)
    assert again.all == some.all
    np.testing.assert_array_equal(again.samples(again.all[7]), some.samples(some.all[7]))


def test_what_cannot_be_learned_from_is_left_out_and_counted(tmp_path: Path) -> None:
    good = [source(number) for number in range(16)]
    bad = [
        source(20, text=""),
        source(21, text="…!"),
        source(22, seconds=0.5),
        source(23, seconds=20.0),
        source(24, text="hm"),
        source(25, text=SAID * 9),
    ]
    found = made(tmp_path / "lessons", [*good, *bad])
    assert [lesson.id for lesson in found.all] == [one.id for one in good]
    assert found.left_out == {
        "no words are known": 2,
        "not 1 to 13 s long": 2,
        "words that do not fit the sound": 2,
    }


def test_every_symbol_has_a_frame(tmp_path: Path) -> None:
    """The alignment wants one; what is spoken faster than frames pass is left out."""
    sources = [source(number, seconds=3.0) for number in range(24)]
    slow = lessons.make(
        tmp_path / "slow", iter(sources), tiny_melo.read, rate=RATE, hop=round(RATE / 41)
    )
    assert all(len(one.units.phone_ids) <= 41 * 3 for one in slow.all)
    with pytest.raises(TwinError, match="24 left out: words that do not fit the sound"):
        lessons.make(
            tmp_path / "none", iter(sources), tiny_melo.read, rate=RATE, hop=round(RATE / 20)
        )


def test_too_little_is_refused_with_the_reasons_and_leaves_nothing(tmp_path: Path) -> None:
    sources = [source(number) for number in range(11)] + [source(50, text="")] * 3
    with pytest.raises(
        TwinError, match=r"55 s .*60 s are the least \(3 left out: no words are known\)"
    ):
        made(tmp_path / "lessons", sources)
    assert list(tmp_path.iterdir()) == []


def test_what_is_held_out_depends_on_the_utterance_alone(tmp_path: Path, some: Lessons) -> None:
    held = {lesson.id for lesson in some.held}
    assert len(held) == lessons.HELD_LEAST
    assert not held & {lesson.id for lesson in some.training}
    more = made(tmp_path / "more", [source(number) for number in reversed(range(20))])
    assert {lesson.id for lesson in more.held} == held


@pytest.mark.parametrize("seconds", [11.0, 1.4])
def test_something_is_held_out_whatever_the_lengths(tmp_path: Path, seconds: float) -> None:
    """Without it nobody could tell a better network from a worse one."""
    lengths = [seconds + 0.01 * number for number in range(45 if seconds < 2 else 12)]
    text = SAID if seconds > 2 else "the quick brown fox"
    sources = [source(place, text, long) for place, long in enumerate(lengths)]
    found = made(tmp_path / "lessons", sources)
    assert len(found.held) == lessons.HELD_LEAST
    # Those nearest to what is easy to judge.
    shortest, longest = lessons.HELD_SECONDS
    missed = [max(shortest - found.seconds(one), found.seconds(one) - longest) for one in found.all]
    assert sorted(missed)[: len(found.held)] == sorted(
        max(shortest - found.seconds(one), found.seconds(one) - longest) for one in found.held
    )


def test_lessons_of_which_none_is_held_out_are_damaged(tmp_path: Path, some: Lessons) -> None:
    place = shutil.copytree(some.path, tmp_path / "lessons")
    path = place / artifact.MANIFEST
    path.write_text(path.read_text().replace('"held": true', '"held": false'))
    with pytest.raises(TwinError, match=r"lessons.*twin voice prepare"):
        lessons.load(place)


def test_an_epoch_has_every_lesson_once_and_the_next_is_another(some: Lessons) -> None:
    first, second = (lessons.order(some.training, 3, seed=1, epoch=epoch) for epoch in (0, 1))
    for batches in (first, second):
        assert sorted(one.id for batch in batches for one in batch) == sorted(
            one.id for one in some.training
        )
        assert len(batches) == lessons.batches(len(some.training), 3) == 6
    assert first != second
    assert lessons.order(some.training, 3, seed=1, epoch=0) == first


@pytest.mark.parametrize(("count", "batch"), [(1, 4), (4, 4), (31, 4), (32, 4), (33, 4), (100, 8)])
def test_batches_are_counted_as_they_are_made(some: Lessons, count: int, batch: int) -> None:
    many = [replace(some.all[0], id=str(number)) for number in range(count)]
    assert len(lessons.order(many, batch, 0, 0)) == lessons.batches(count, batch)


def test_nothing_private_shows(some: Lessons) -> None:
    shown = repr(some) + repr(some.all[0]) + repr(source(1))
    assert "quick" not in shown
    for path in some.path.iterdir():
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", [lessons.SOUND, lessons.FEATURES, artifact.MANIFEST])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x93NUMPY"])
def test_damaged_lessons_are_named(
    tmp_path: Path, some: Lessons, name: str, content: bytes
) -> None:
    place = shutil.copytree(some.path, tmp_path / "lessons")
    (place / name).write_bytes(content)
    with pytest.raises(TwinError, match=r"lessons.*twin voice prepare"):
        lessons.load(place)


def test_utterances_are_the_owners_own(tmp_path: Path) -> None:
    """Takes graded D, strangers in a take and whole takes of somebody else are not among them."""
    voice = voices.create(tmp_path / "voices", "Ana")
    own = add(voice, minute())
    add(voice, minute()[:3], emotion="sad", letter="D")
    add(voice, [speaker(BEN + step, 7) for step in range(4)], emotion="happy")
    stranger = speaker(BEN, 6)
    mixed = add(voice, [*minute()[2:8], stranger], emotion="angry")
    built = profile.build(voice, encoder())
    assert built.strangers  # or the next line would say nothing
    found = list(lessons.utterances(voice, built))
    assert {one.emotion for one in found} == {"neutral", "angry"}
    assert sum(one.id.startswith(own.id) for one in found) == 10
    assert sum(one.id.startswith(mixed.id) for one in found) == 6
    assert not any(np.array_equal(one.samples, stranger) for one in found)


def test_a_prepared_sound_that_is_damaged_is_named(tmp_path: Path) -> None:
    voice = voices.create(tmp_path / "voices", "Ana")
    add(voice, minute())
    built = profile.build(voice, encoder())
    sound = voice.prepared(voice.takes()[0])
    assert sound is not None
    soundfile.write(sound.sound, np.zeros(100, np.float32), RATE, format="FLAC")

    def all_of() -> Iterator[Samples]:
        return (one.samples for one in lessons.utterances(voice, built))

    with pytest.raises(TwinError, match="twin voice prepare"):
        list(all_of())
