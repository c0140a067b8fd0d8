"""Voices on disk: takes are kept as they came, and what is deleted is gone."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import voices
from aitwin.voice.voices import Take, Voice

CANARY = "zuccanary"
VALUES = {"emotion": "happy", "seconds": 3.0, "sample_rate": 48_000, "channels": 2}


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    return gone.pid


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
    for name in (" ", "bundled", "Base", "…"):
        with pytest.raises(TwinError, match="letters"):
            voices.rename(voice, name)
    assert "Anna" not in repr(renamed)


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


MADE = {*voices.DERIVED, *voices.UNDER_WAY, "profile"}


def everything_made(voice: Voice) -> None:
    """What is made of a voice's takes, and what a killed process has left of it."""
    for name in MADE:
        (voice.path / name).mkdir()
        (voice.path / name / "sound").write_text("sound")
    left = voice.path / f".timbre.{dead_process()}.abcdefgh"
    for place in (left, voice.path / ".finetune.replaced", voice.path / "..finetune.run.removed"):
        place.mkdir()
    for page in voices.PAGES:
        (voice.path / page).write_text("sound")


def left_of(voice: Voice) -> set[str]:
    return {path.name for path in voice.path.iterdir()}


def test_what_is_left_when_a_take_is_dropped(voice: Voice) -> None:
    """P4: what it trained, what it measured and what it said, all but a whole fine-tune."""
    take, other = added(voice), added(voice, b"other")
    prepared(voice, take)
    everything_made(voice)
    voice.remove(take)
    kept = {"manifest.json", "takes", "prepared", "profile", "finetune", ".finetune.replaced"}
    assert left_of(voice) == kept
    assert {path.name for path in (voice.path / "takes").iterdir()} == {other.id}
    assert not [*(voice.path / "prepared").iterdir()]


def test_what_is_left_when_the_consent_is_taken_back(voice: Voice) -> None:
    """V1: nothing speaks in the voice, or has spoken in it; the recordings stay."""
    added(voice)
    everything_made(voice)
    voice.forget_clones()
    assert left_of(voice) == {"manifest.json", "takes", "profile", "report.html"}
    voice.forget_clones()


def test_what_is_left_when_a_voice_is_deleted(voice: Voice, directory: Path) -> None:
    added(voice)
    everything_made(voice)
    voices.delete(voice.path)
    assert [*directory.iterdir()] == []


def test_the_layout_names_all_that_lies_in_a_voice() -> None:
    for name in {*voices.PARTS, *voices.UNDER_WAY, *voices.PAGES}:
        assert f" {name}" in (voices.__doc__ or ""), name


def test_the_page_goes_with_a_take_whose_sound_it_holds(voice: Voice) -> None:
    """P4: deleted is deleted."""
    take = added(voice)
    voice.page.write_text("sound")
    half_written = voice.path / f".report.html.{dead_process()}.abcdefgh"
    half_written.write_text("sound")
    with pytest.raises(TwinError, match="has no take"):
        voice.drop("0" * 16)
    assert voice.page.exists()
    voice.remove(take)
    assert not voice.page.exists()
    assert not half_written.exists()


def test_a_take_that_is_dropped_takes_the_leftovers_of_killed_processes(voice: Voice) -> None:
    """P4: a preparation, or a copy, that kill -9 cut off."""
    dead, living = dead_process(), os.getpid()
    take, other = added(voice), added(voice, b"other")
    kept = voice.path / "prepared" / f".{other.id}.{living}.abcdefgh"
    left = [
        voice.path / "prepared" / f".{take.id}.{dead}.abcdefgh",
        voice.path / "prepared" / f".{'0' * 16}.{dead}.abcdefgh",
        voice.path / "takes" / f".{'0' * 16}.{dead}.abcdefgh",
    ]
    for path in (kept, *left):
        path.mkdir(parents=True)
        (path / "prepared.flac").touch()
    voice.drop(take.id)
    assert kept.exists()
    assert not any(path.exists() for path in left)


def change(take: Take, **values: object) -> None:
    manifest = artifact.read_manifest(take.path, kind="take", remedy="")
    artifact.write_manifest(take.path, {**manifest, **values})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seconds", "many"), ("seconds", float("nan")), ("seconds", -1), ("seconds", None),
        ("sample_rate", 0), ("sample_rate", 1.5), ("channels", True), ("channels", "2"),
        ("emotion", "<script>"), ("emotion", ["happy"]), ("added_at", "2026-05-04T10:00:00"),
        ("added_at", 5), ("suffix", "/../../../x"), ("suffix", ".WAV"), ("suffix", ""),
        ("suffix", ".x/y"), ("suffix", ".wav\n"), ("sha256", "0" * 64), ("sha256", "x"),
        ("prompt", 5), ("device", None), ("session", {}), ("sound", "x"), ("id", "x"),
        ("path", "/etc"),
    ],
)  # fmt: skip
def test_what_a_take_says_must_be_of_its_kind(voice: Voice, field: str, value: object) -> None:
    """Or it may name a file of somebody else, or stop what reads numbers."""
    take, other = added(voice, prompt=CANARY), added(voice, b"other")
    change(take, **{field: value})
    assert voice.takes() == [other]
    (problem,) = voice.damaged()
    assert take.id in problem
    assert CANARY not in problem
    with pytest.raises(TwinError, match=f"twin voice drop ana-bell {take.id}"):
        voice.take(take.id)


@pytest.mark.parametrize("content", ["{}", "{", None])
def test_a_damaged_take_holds_no_other_up_and_says_how_to_mend_it(
    voice: Voice, content: str | None
) -> None:
    take, other = added(voice, emotion="sad"), added(voice, b"other")
    manifest = take.path / artifact.MANIFEST
    manifest.unlink() if content is None else manifest.write_text(content)
    assert voice.takes() == [other]
    assert not voice.holds(take.sha256)
    (problem,) = voice.damaged()
    assert f"twin voice add {take.path} " in problem
    assert f"twin voice drop ana-bell {take.id}" in problem
    again = voice.add(take.original, {**VALUES, "emotion": "sad"})
    assert (again.id, again.sha256, again.original.read_bytes()) == (take.id, take.sha256, b"sound")
    assert voice.damaged() == []
    manifest.write_text("{}")
    voice.drop(take.id)
    assert voice.takes() == [other]


def test_a_suffix_that_is_none_of_ours_is_not_taken_over(voice: Voice, tmp_path: Path) -> None:
    for name in ("take", "take.", "take.très", "take.w av", "take.longsuffix"):
        sound = tmp_path / name
        sound.write_text(name)
        take = voice.add(sound, VALUES)
        assert take.original.name == "original.sound"
        assert take.original.read_text() == name
    assert voice.damaged() == []


def test_the_same_sound_in_another_format_is_one_take(voice: Voice) -> None:
    first = added(voice, b"as WAV", sound="a" * 64)
    assert added(voice, b"as FLAC", sound="a" * 64, emotion="sad") == first
    assert added(voice, b"another", sound="b" * 64) != first
    assert len(voice.takes()) == 2


@pytest.mark.parametrize(
    "content",
    [
        *("{", "{}", '{"name": "Ana", "created_at": 5}'),
        '{"name": ["Ana"], "created_at": "2026-05-04T00:00:00+00:00"}',
        '{"name": "Ana", "created_at": "2026-05-04T00:00:00"}',
    ],
)
def test_a_damaged_voice_is_told_and_disables_no_other(
    voice: Voice, directory: Path, content: str
) -> None:
    other = voices.create(directory, "Bo")
    (voice.path / artifact.MANIFEST).write_text(content)
    assert voices.all_(directory) == [other]
    (problem,) = voices.damaged(directory)
    for said in (str(voice.path / artifact.MANIFEST), "backup", "export", "twin voice delete ana"):
        assert said in problem
    assert voices.find(directory) == voices.find(directory, "Bo") == other
    with pytest.raises(TwinError, match=r"manifest\.json.*twin voice delete ana-bell"):
        voices.find(directory, "ana-bell")
    assert voices.locate(directory, "Bo") == other.path
    voices.delete(voices.locate(directory, "ana-bell"))
    assert voices.damaged(directory) == []
    assert list(directory.iterdir()) == [other.path]


def test_where_all_voices_are_damaged_that_is_told(voice: Voice, directory: Path) -> None:
    (voice.path / artifact.MANIFEST).write_text("{")
    with pytest.raises(TwinError, match=r"manifest\.json cannot be read.*backup"):
        voices.find(directory)


def test_what_is_left_of_a_voice_is_taken_up_by_one_of_its_name(
    voice: Voice, directory: Path
) -> None:
    """A session that outlived the voice leaves a directory; a lost manifest, recordings."""
    take = added(voice)
    (voice.path / artifact.MANIFEST).unlink()
    assert voices.all_(directory) == []
    (problem,) = voices.damaged(directory)
    assert "twin voice record --name ana-bell" in problem
    assert voices.create(directory, "Ana Bell").takes() == [take]
    (directory / "bo" / "sessions").mkdir(parents=True)
    assert voices.create(directory, "Bo").takes() == []
    (directory / "holiday").mkdir()
    (directory / "holiday" / "photo.jpg").touch()
    with pytest.raises(TwinError, match="holiday already"):
        voices.create(directory, "Holiday")
    with pytest.raises(TwinError, match="'holiday'"):
        voices.locate(directory, "holiday")


def test_a_name_that_is_known_goes_on_with_its_voice(voice: Voice, directory: Path) -> None:
    assert voices.called(directory, "ana BELL") == voice
    renamed = voices.rename(voice, "Ann")
    assert voices.called(directory, "Ann") == voices.called(directory, "Ana Bell") == renamed
    other = voices.called(directory, " Bo ")
    assert (other.id, other.name) == ("bo", "Bo")
    voices.rename(other, "Ann")
    with pytest.raises(TwinError, match=r"its id: ana-bell, bo"):
        voices.called(directory, "Ann")


@pytest.mark.parametrize(
    ("name", "voice_id"),
    [
        ("Łukasz Żółć", "lukasz-zolc"), ("Ærøskøbing", "aeroskobing"), ("Straße", "strasse"),
        ("İpek Işık", "ipek-isik"), ("Ａｎａ", "ana"), ("李明 Li", "li"), ("a" * 60, "a" * 40),
    ],
)  # fmt: skip
def test_letters_of_other_alphabets_become_ours(directory: Path, name: str, voice_id: str) -> None:
    made = voices.create(directory, name)
    assert (made.id, made.name) == (voice_id, name)
    assert voices.find(directory, name) == made


def test_names_without_a_letter_of_ours_are_numbered(directory: Path) -> None:
    first, second = voices.create(directory, "李明"), voices.create(directory, "Анна")
    assert (first.id, second.id) == ("voice", "voice-2")
    assert voices.place(directory, "Анна") == second.path
    assert voices.called(directory, "李明") == first
    with pytest.raises(TwinError, match="voice-2 already"):
        voices.create(directory, "Анна")


def test_a_deleted_voice_leaves_nothing(voice: Voice, directory: Path) -> None:
    prepared(voice, added(voice))
    other = voices.create(directory, "Bo")
    voices.delete(voice.path)
    assert list(directory.iterdir()) == [other.path]


@pytest.mark.parametrize("change", ["create", "delete"])
def test_what_a_killed_import_had_unpacked_goes_with_the_next_change(
    voice: Voice, directory: Path, change: str
) -> None:
    """P4: recordings that were decrypted, of a voice that is none yet."""
    dead, living = dead_process(), os.getpid()
    for process in (dead, living):
        scratch = directory / f".bo.{process}.abcdefgh"
        (scratch / "takes" / "1").mkdir(parents=True)
        (scratch / "takes" / "1" / "original.wav").touch()
    foreign = directory / f".photos.{dead}.archives"
    foreign.mkdir()
    if change == "create":
        voices.create(directory, "Cy")
    else:
        voices.delete(voice.path)
    assert not (directory / f".bo.{dead}.abcdefgh").exists()
    assert (directory / f".bo.{living}.abcdefgh").exists()
    assert foreign.exists()


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
        voices.delete(voice.path)
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
