"""Voices on disk: takes are kept as they came, and what is deleted is gone."""

import shutil
import stat
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import voices
from aitwin.voice.voices import Take, Voice

CANARY = "zuccanary"
VALUES = {"emotion": "happy", "seconds": 3.0, "sample_rate": 48_000, "channels": 2}


class KilledError(BaseException):
    """A process that ends in the middle, as far as the disk can tell."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "voices"


@pytest.fixture
def voice(directory: Path) -> Voice:
    return voices.create(directory, "Ana Bell")


def added(voice: Voice, content: bytes = b"sound", **values: object) -> Take:
    sound = voice.path.parent.parent / "take.WAV"
    sound.write_bytes(content)
    return voice.add(sound, {**VALUES, **values})


def prepared(voice: Voice, take: Take) -> Path:
    with artifact.building(voice.prepared_path(take)) as scratch:
        (scratch / "prepared.flac").write_bytes(b"flac")
        artifact.write_manifest(scratch, {})
    return voice.prepared_path(take)


def test_a_take_is_kept_as_it_came_and_for_the_owner_alone(voice: Voice) -> None:
    """V4: non-destructive and private."""
    take = added(voice, prompt=CANARY, device=CANARY)
    assert take.original.read_bytes() == b"sound"
    assert take.original.name == "original.wav"
    assert take.sha256.startswith(take.id)
    assert voice.takes() == [take] == [voice.take(take.id)]
    assert CANARY not in repr(take)
    assert {
        stat.S_IMODE(path.stat().st_mode) for path in voice.path.rglob("*") if path.is_file()
    } == {0o600}
    assert {
        stat.S_IMODE(path.stat().st_mode) for path in (voice.path, *voice.path.rglob("*/"))
    } == {0o700}


def test_the_same_recording_is_one_take_and_keeps_its_first_emotion(voice: Voice) -> None:
    first = added(voice)
    assert added(voice, emotion="sad") == first
    assert voice.holds(first.sha256)
    assert len(voice.takes()) == 1


def test_takes_are_listed_in_the_order_in_which_they_came(voice: Voice) -> None:
    ids = [added(voice, bytes([n])).id for n in range(5)]
    assert [take.id for take in voice.takes()] == ids


def test_an_emotion_that_is_none_is_refused_with_those_there_are(voice: Voice) -> None:
    with pytest.raises(TwinError, match=r"'bored'.*neutral, happy"):
        added(voice, emotion="bored")
    assert voice.takes() == []


@pytest.mark.parametrize("name", ["", "…", "bundled", "Base"])
def test_a_name_that_makes_no_id_is_refused(directory: Path, name: str) -> None:
    with pytest.raises(TwinError, match="no name for a voice"):
        voices.create(directory, name)
    assert not directory.exists()


def test_a_voice_of_that_name_stays_as_it_is(voice: Voice) -> None:
    take = added(voice)
    with pytest.raises(TwinError, match="ana-bell already"):
        voices.create(voice.path.parent, "ana BELL!")
    assert voice.takes() == [take]


def test_a_voice_is_found_by_id_by_name_or_as_the_only_one(voice: Voice, directory: Path) -> None:
    assert voices.find(directory) == voices.find(directory, "ana-bell") == voice
    assert voices.find(directory, "ANA bell") == voice
    other = voices.create(directory, "Bo")
    assert voices.find(directory, "bo") == other
    with pytest.raises(TwinError, match=r"'cid'.*ana-bell, bo"):
        voices.find(directory, "cid")
    with pytest.raises(TwinError, match=r"which voice.*ana-bell, bo"):
        voices.find(directory)


def test_without_a_voice_both_ways_to_one_are_told(directory: Path) -> None:
    with pytest.raises(TwinError, match=r"twin voice record.*twin voice add"):
        voices.find(directory, "ana")


def test_a_name_that_two_voices_share_is_asked_for_by_id(voice: Voice, directory: Path) -> None:
    voices.rename(voices.create(directory, "Bo"), "Ana Bell")
    with pytest.raises(TwinError, match=r"its id: ana-bell, bo"):
        voices.find(directory, "ana bell")


def test_renaming_changes_the_name_and_not_the_id(voice: Voice, directory: Path) -> None:
    take = added(voice)
    renamed = voices.rename(voice, " Anna ")
    assert (renamed.id, renamed.name, renamed.takes()) == ("ana-bell", "Anna", [take])
    assert voices.open_(directory, "ana-bell") == renamed
    with pytest.raises(TwinError, match="letters"):
        voices.rename(voice, " ")


@pytest.mark.parametrize("path", ["../x", "/etc", ".hidden", "A", ""])
def test_an_id_that_is_a_path_opens_nothing(voice: Voice, directory: Path, path: str) -> None:
    with pytest.raises(TwinError, match="is no id"):
        voices.open_(directory, path)
    with pytest.raises(TwinError, match="is no id"):
        voice.take(path)


def test_removing_a_take_removes_what_was_made_of_it(voice: Voice) -> None:
    take, other = added(voice), added(voice, b"other")
    place = prepared(voice, take)
    voice.remove(take)
    assert voice.takes() == [other]
    assert not place.exists()
    with pytest.raises(TwinError, match="has no take"):
        voice.drop(take.id)


def test_a_damaged_take_says_how_to_get_rid_of_it(voice: Voice) -> None:
    take = added(voice)
    (take.path / artifact.MANIFEST).write_text("{}")
    with pytest.raises(TwinError, match=f"twin voice drop ana-bell {take.id}"):
        voice.takes()
    voice.drop(take.id)
    assert voice.takes() == []


@pytest.mark.parametrize("content", ["{", "{}", '{"name": "Ana", "created_at": 5}'])
def test_a_damaged_voice_says_where_its_manifest_may_come_from(
    voice: Voice, directory: Path, content: str
) -> None:
    (voice.path / artifact.MANIFEST).write_text(content)
    with pytest.raises(TwinError, match=r"manifest\.json.*backup.*export"):
        voices.all_(directory)


def test_a_deleted_voice_leaves_nothing(voice: Voice, directory: Path) -> None:
    prepared(voice, added(voice))
    other = voices.create(directory, "Bo")
    voices.delete(voice)
    assert list(directory.iterdir()) == [other.path]


def test_an_interrupted_deletion_leaves_no_voice_and_is_finished_later(
    voice: Voice, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a voice that looks whole, nor recordings for good."""
    added(voice)
    remove = shutil.rmtree

    def killed(path: Path, **_: object) -> None:
        next(Path(path).rglob("original.wav")).unlink()
        raise KilledError

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KilledError):
        voices.delete(voice)
    assert voices.all_(directory) == []
    with pytest.raises(TwinError, match="no complete voice"):
        voices.open_(directory, voice.id)
    monkeypatch.setattr(shutil, "rmtree", remove)
    again = voices.create(directory, "Ana Bell")
    assert again.takes() == []
    assert list(directory.iterdir()) == [again.path]


def test_an_interrupted_removal_of_a_take_leaves_no_take(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = added(voice)
    remove = shutil.rmtree

    def killed(path: Path, **_: object) -> None:
        raise KilledError

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KilledError):
        voice.remove(take)
    assert voice.takes() == []
    monkeypatch.setattr(shutil, "rmtree", remove)
    assert added(voice).original.read_bytes() == b"sound"


def test_belongings_are_all_of_ours_and_nothing_else(voice: Voice, directory: Path) -> None:
    added(voice)
    empty = voices.create(directory, "Cy")
    half_deleted = directory / ".bo.removed"
    (half_deleted / "takes").mkdir(parents=True)
    (directory / "holiday").mkdir()
    (directory / "holiday" / "photo.jpg").touch()
    (directory / "notes.txt").touch()
    (directory / "app").mkdir()
    (directory / "app" / artifact.MANIFEST).write_text('{"name": "App"}')
    assert voices.belongings(directory) == [half_deleted, voice.path, empty.path]
    assert voices.belongings(directory / "nowhere") == []
