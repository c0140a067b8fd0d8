"""The owner's things in one encrypted file and back; damaged and hostile files (V4, P4)."""

import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from aitwin import artifact, sealing
from aitwin.errors import TwinError
from aitwin.home import VAULT_PARTS, Home, Settings, VoiceSettings
from aitwin.services import backup, serving
from aitwin.services.backup import BACKUP, Choice
from aitwin.voice import voices

WORDS = "four wet dogs in a van"
CANARY = "zuccanary"
SHARED = Path("/dev/shm")  # noqa: S108 - another file system than that of the tests
"""Linux: in memory."""
VALUES = {"emotion": "sad", "seconds": 3.0, "sample_rate": 48_000, "channels": 1}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A key that lies open: age takes a second and a gigabyte to seal one, on purpose."""
    if "sealed_for_real" in request.keywords:
        return
    from pyrage import passphrase

    monkeypatch.setattr(passphrase, "encrypt", lambda key, _: key)
    monkeypatch.setattr(passphrase, "decrypt", lambda key, _: key)


@pytest.fixture
def owner(tmp_path: Path) -> Home:
    """A home with a little of everything."""
    home = Home(tmp_path / "owner").open()
    home.write_settings(Settings("Ana", ("ana@x.example",)))
    for part, size in (("adapters/main", 3_000_001), ("datasets/main", 20)):
        with artifact.building(home.root / part) as scratch:
            (scratch / "content").write_bytes(os.urandom(size))
            (scratch / ".cache").write_text("made again")
            artifact.write_manifest(scratch, {})
    voice = voices.create(home.voices, "Ana Bell")
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF" + os.urandom(996))
    voice.add(sound, {**VALUES, "prompt": CANARY})
    with artifact.building(voice.path / "profile") as scratch:
        artifact.write_manifest(scratch, {"kind": "profile"})
    artifact.make_private_dir(home.corpus)
    artifact.write_private(home.corpus / "marks.json", "{}")
    with closing(sqlite3.connect(home.corpus / "messages.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE message (body TEXT)")
        database.execute("INSERT INTO message VALUES (?)", (CANARY,))
        database.commit()
    artifact.write_private(home.root / "secrets" / "writer-key", "sesame")
    artifact.write_private(home.models / "model.gguf", "public")
    return home


def made(owner: Home, tmp_path: Path, choice: Choice = Choice()) -> Path:  # noqa: B008
    target = tmp_path / "ana.twin"
    backup.make(owner, target, WORDS, choice)
    return target


def files(home: Home) -> dict[str, bytes]:
    return {
        path.relative_to(home.root).as_posix(): path.read_bytes()
        for path in home.root.rglob("*")
        if path.is_file() and "logs" not in path.parts
    }


def test_what_is_kept_comes_back_byte_for_byte_and_private(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    assert stat.S_IMODE(source.stat().st_mode) == 0o600
    new = Home(tmp_path / "new")
    restored = backup.restore(new, source, WORDS)
    before, after = files(owner), files(new)
    assert set(after) == {
        name
        for name in before
        if not name.startswith(("models/", "secrets/", "corpus/messages"))
        and "/takes/" not in name
        and "/." not in f"/{name.removeprefix('.')}"
    }
    assert all(after[name] == before[name] for name in after)
    assert dict(restored.parts) == {
        "settings": 2,
        "adapters": 2,
        "datasets": 2,
        "corpus": 1,
        "voices": 2,
    }
    exposed = [path for path in new.root.rglob("*") if path.stat().st_mode & 0o077]
    assert exposed == []
    assert new.settings().name == "Ana"


def test_nothing_of_it_can_be_read_in_the_file(owner: Home, tmp_path: Path) -> None:
    content = made(owner, tmp_path, Choice(True, True, True)).read_bytes()
    assert CANARY.encode() not in content
    assert b"sesame" not in content
    assert b"ana@x.example" not in content


def test_recordings_mail_and_secrets_come_when_they_are_asked_for(
    owner: Home, tmp_path: Path
) -> None:
    source = made(owner, tmp_path, Choice(recordings=True, corpus=True, secrets=True))
    new = Home(tmp_path / "new")
    backup.restore(new, source, WORDS)
    assert (new.root / "secrets" / "writer-key").read_text() == "sesame"
    assert len(voices.all_(new.voices)[0].takes()) == 1
    with closing(sqlite3.connect(new.corpus / "messages.sqlite")) as database:
        assert database.execute("SELECT body FROM message").fetchall() == [(CANARY,)]


def test_a_database_that_is_written_to_is_kept_as_it_is_at_one_moment(
    owner: Home, tmp_path: Path
) -> None:
    """Its last rows are in the -wal file beside it, which no copy of the file alone has."""
    with closing(sqlite3.connect(owner.corpus / "messages.sqlite")) as database:
        database.execute("INSERT INTO message VALUES ('second')")
        database.commit()
        assert (owner.corpus / "messages.sqlite-wal").stat().st_size
        source = made(owner, tmp_path, Choice(corpus=True))
    new = Home(tmp_path / "new")
    backup.restore(new, source, WORDS)
    with closing(sqlite3.connect(new.corpus / "messages.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM message").fetchone() == (2,)
    assert not list(owner.corpus.glob(".*"))


@pytest.mark.sealed_for_real
def test_another_passphrase_does_not_open_it(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    new = Home(tmp_path / "new")
    with pytest.raises(TwinError, match="the passphrase is not the one"):
        backup.restore(new, source, "five dry cats in a tin")
    assert not new.settings_file.exists()
    backup.restore(new, source, WORDS)
    assert new.settings_file.exists()


@pytest.mark.parametrize("cut", [2_000, 400_000])
def test_one_that_is_cut_off_is_refused_and_leaves_nothing(
    owner: Home, tmp_path: Path, cut: int
) -> None:
    source = made(owner, tmp_path)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) - cut])
    new = Home(tmp_path / "new")
    with pytest.raises(TwinError):
        backup.restore(new, source, WORDS)
    assert [path.name for path in new.root.iterdir()] == [".aitwin"]


def test_one_that_was_changed_is_refused(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    source.write_bytes(content)
    with pytest.raises(TwinError, match="damaged or cut off"):
        backup.restore(Home(tmp_path / "new"), source, WORDS)


def test_what_is_here_is_not_touched_unless_that_is_said(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    artifact.write_private(owner.root / "adapters" / "main" / "content", "newer")
    before = files(owner)
    with pytest.raises(TwinError, match="adapters/main"):
        backup.restore(owner, source, WORDS)
    assert files(owner) == before
    backup.restore(owner, source, WORDS, replace=True)
    assert (owner.root / "adapters" / "main" / "content").stat().st_size == 3_000_001
    assert not list(owner.root.rglob("*.replaced"))


def test_a_backup_is_replaced_by_one_that_was_read_back_only(
    owner: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made(owner, tmp_path)
    before = source.read_bytes()
    seal = sealing.seal

    def failing_disk(target: Path, *rest: object) -> None:
        seal(target, *rest)  # type: ignore[arg-type]
        content = bytearray(target.read_bytes())
        content[-2000] ^= 1
        target.write_bytes(content)

    monkeypatch.setattr(sealing, "seal", failing_disk)
    with pytest.raises(TwinError):
        backup.make(owner, source, WORDS)
    assert source.read_bytes() == before
    assert [path.name for path in tmp_path.glob(".*twin*")] == []


HOSTILE = {
    "upwards": "../../.ssh/authorized_keys",
    "absolute": "/etc/cron.d/x",
    "hidden": "adapters/.main/x",
    "another part": "models/x/model.gguf",
    "backslash": "adapters\\..\\x/y",
    "doubled": "adapters//x",
    "control": "adapters/a\x1b[2J/x",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_that_no_backup_has_are_not_written(name: str, tmp_path: Path) -> None:
    from pyrage import encrypt, x25519

    contents = {
        "version": 1,
        "at": "2026-11-29T12:00:00+00:00",
        "files": [{"name": name, "size": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1"}],
    }
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        for file, data in ((backup.CONTENTS, json.dumps(contents).encode()), (name, b"x")):
            info = tarfile.TarInfo(file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    identity = x25519.Identity.generate()
    source = tmp_path / "x.twin"
    with tarfile.open(source, "w") as tar:
        key = f"{identity}".encode()
        body = encrypt(inner.getvalue(), [identity.to_public()])
        for file, data in ((sealing.KEY, key), (BACKUP.content, body)):
            info = tarfile.TarInfo(file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    new = Home(tmp_path / "deep" / "new")
    with pytest.raises(TwinError, match="no part of a backup"):
        backup.restore(new, source, WORDS)
    assert [path.name for path in new.root.iterdir()] == [".aitwin"]


def test_a_voice_that_lay_on_another_volume_lies_in_the_home_then(
    owner: Home, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    owner.voices.rename(volume)
    (volume / ".aitwin-voices").touch()
    settings = owner.settings()
    owner.write_settings(
        Settings(settings.name, settings.addresses, voice=VoiceSettings(str(volume)))
    )
    source = made(owner, tmp_path)
    new = Home(tmp_path / "new")
    (note,) = backup.restore(new, source, WORDS).notes
    assert str(volume) in note
    assert [voice.id for voice in voices.all_(new.open_voices())] == ["ana-bell"]


def test_a_home_without_settings_has_nothing_to_keep(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="nothing to keep"):
        backup.make(Home(tmp_path / "x"), tmp_path / "x.twin", WORDS)


def test_when_the_last_was_made(owner: Home, tmp_path: Path) -> None:
    assert backup.last(owner) is None
    made(owner, tmp_path)
    assert backup.last(owner) is not None


def in_a_vault(home: Home, *, locked: bool = False) -> Path:
    """A home whose private parts lie on another file system, as those in a vault do."""
    shared = Path(tempfile.mkdtemp(dir=SHARED))
    (home.open().root / "vault").symlink_to(shared)
    for part in VAULT_PARTS:
        if not locked:
            (shared / part).mkdir(mode=0o700)
        (home.root / part).symlink_to(Path("vault") / part)
    return shared


@pytest.mark.skipif(not SHARED.is_dir(), reason="no second file system to write to")
def test_what_belongs_into_the_vault_is_never_outside_of_it(
    owner: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V4. And settings, which lie outside, are on another file system than the rest."""
    source = made(owner, tmp_path, Choice(secrets=True))
    new = Home(tmp_path / "new")
    shared = in_a_vault(new)
    unpacked: list[Path] = []
    unpack = backup._unpack
    monkeypatch.setattr(
        backup,
        "_unpack",
        lambda decrypted, scratch, report: (
            unpacked.append(scratch.resolve()) or unpack(decrypted, scratch, report)
        ),
    )
    try:
        for replace in (False, True):
            backup.restore(new, source, WORDS, replace=replace)
            assert (shared / "adapters" / "main" / "content").is_file()
            assert new.settings().name == "Ana"
            assert (new.root / "secrets" / "writer-key").read_text() == "sesame"
            assert not [path for path in new.root.iterdir() if path.name.startswith(".r")]
        assert unpacked
        assert all(scratch.is_relative_to(shared) for scratch in unpacked)
    finally:
        shutil.rmtree(shared)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no second file system to write to")
def test_nothing_is_restored_into_a_locked_vault(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    new = Home(tmp_path / "new")
    shared = in_a_vault(new, locked=True)
    try:
        with pytest.raises(TwinError, match="twin vault open"):
            backup.restore(new, source, WORDS)
        assert not new.settings_file.exists()
    finally:
        shutil.rmtree(shared)


def test_what_a_stopped_restore_left_aside_is_no_hindrance(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    new = Home(tmp_path / "new")
    backup.restore(new, source, WORDS)
    artifact.write_private(new.adapters / ".main.replaced" / "content", "older")
    backup.restore(new, source, WORDS, replace=True)
    assert not (new.adapters / ".main.replaced").exists()


def test_nothing_is_restored_below_a_twin_that_is_served(owner: Home, tmp_path: Path) -> None:
    source = made(owner, tmp_path)
    with serving.alone(owner) as directory:
        address = serving.Address("http://127.0.0.1:8787", "a socket", os.getpid())
        with serving.announced(directory, address), pytest.raises(TwinError, match="is served"):
            backup.restore(owner, source, WORDS, replace=True)


@pytest.mark.parametrize("part", VAULT_PARTS)
def test_no_backup_is_made_without_what_is_locked_away(
    owner: Home, tmp_path: Path, part: str
) -> None:
    away = tmp_path / "away"
    if (owner.root / part).exists():
        (owner.root / part).rename(away)
    (owner.root / part).symlink_to(Path("vault") / part)
    with pytest.raises(TwinError, match="the vault is locked"):
        made(owner, tmp_path)
    assert not (tmp_path / "ana.twin").exists()
