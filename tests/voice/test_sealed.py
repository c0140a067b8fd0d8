"""A voice in one encrypted file and back; what a damaged, strange or hostile file does (V4, P4)."""

import hashlib
import io
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import pytest

from aitwin import artifact, sealing
from aitwin.errors import TwinError
from aitwin.voice import consent, sealed, voices
from aitwin.voice.voices import Voice

WORDS = "four words and more"
CANARY = "zuccanary"
VALUES = {"emotion": "sad", "seconds": 3.0, "sample_rate": 48_000, "channels": 1}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "voices"


@pytest.fixture
def voice(directory: Path, tmp_path: Path) -> Voice:
    """A voice with two takes, one of them large, a preparation, a consent, and caches."""
    made = voices.create(directory, "Ana Bell")
    for n, size in enumerate((3_000_001, 512)):
        sound = tmp_path / f"{n}.wav"
        sound.write_bytes(os.urandom(size))
        take = made.add(sound, {**VALUES, "prompt": CANARY})
        with artifact.building(made.prepared_path(take)) as scratch:
            (scratch / "prepared.flac").write_bytes(b"flac")
            artifact.write_manifest(scratch, {"version": 0})
    consent.store(made.path / "consent", consent.stated(CANARY, date(2026, 5, 4)), sound)
    for cache in ("embeddings/1.npy", "report.html", ".half.1.abcdefgh/x"):
        (made.path / cache).parent.mkdir(exist_ok=True)
        (made.path / cache).write_text("x")
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that lies open: age takes a second and a gigabyte to seal one, on purpose."""
    from pyrage import passphrase

    monkeypatch.setattr(passphrase, "encrypt", lambda key, _: key)
    monkeypatch.setattr(passphrase, "decrypt", lambda key, _: key)


def exported_by(place: Path) -> Path:
    made = voices.create(place / "voices-of-before", "Ana")
    sound = place / "a.wav"
    sound.write_bytes(b"RIFF" + os.urandom(199_996))
    made.add(sound, {**VALUES, "prompt": CANARY})
    sealed.export(made, place / "ana.voice", WORDS)
    return place / "ana.voice"


@pytest.fixture
def exported(quick: None, tmp_path: Path) -> Path:
    """A small exported voice, to be damaged."""
    return exported_by(tmp_path)


@pytest.fixture(scope="module")
def really_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, sealed with the passphrase."""
    return exported_by(tmp_path_factory.mktemp("exported"))


def content(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def private(path: Path) -> bool:
    """Whether everything at `path` is the owner's alone: 0600 and 0700."""
    return all(
        stat.S_IMODE(one.stat().st_mode) == (0o700 if one.is_dir() else 0o600)
        for one in (path, *path.rglob("*"))
    )


def sealed_by_hand(target: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """A file as `export` makes it, with whatever entries in it."""
    from pyrage import encrypt, passphrase, x25519

    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    identity = x25519.Identity.generate()
    key = passphrase.encrypt(f"{identity}".encode(), WORDS)
    body = encrypt(inner.getvalue(), [identity.to_public()])
    with tarfile.open(target, "w") as tar:
        for name, data in ((sealing.KEY, key), (sealed.VOICE.content, body)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target


def entry(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> tuple:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info, data if kind == tarfile.REGTYPE else b""


MANIFEST = entry(
    "ana/manifest.json",
    json.dumps({"name": "Ana", "created_at": "2026-05-04T00:00:00+00:00"}).encode(),
)


def test_a_voice_comes_back_as_it_was_without_its_caches(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "ana.voice"
    assert sealed.export(voice, target, WORDS) == 11
    imported = sealed.import_(target, tmp_path / "other", WORDS)
    there, before = (
        imported.voice,
        {
            name.replace("consent/", f"{consent.IMPORTED}/", 1): data
            for name, data in content(voice.path).items()
            if not name.startswith(("embeddings", "report", "."))
        },
    )
    assert content(there.path) == before
    assert (there.id, there.name, there.created_at) == (voice.id, voice.name, voice.created_at)
    assert [take.sha256 for take in there.takes()] == [take.sha256 for take in voice.takes()]
    assert imported.problems == ()
    assert imported.consent == consent.load(voice.path / "consent")
    assert CANARY not in repr(imported)
    assert private(tmp_path / "other")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["ana.voice"]


def test_nothing_can_be_read_in_the_file(really_exported: Path) -> None:
    data = really_exported.read_bytes()
    for words in (CANARY, "takes/", "emotion", "created_at", WORDS, "AGE-SECRET-KEY"):
        assert words.encode() not in data


def test_the_age_program_opens_it(really_exported: Path, tmp_path: Path) -> None:
    """What the module's docstring tells the owner to type, with age's own program."""
    if shutil.which("age") is None:
        pytest.skip("the age program is not installed on this machine")
    with tarfile.open(really_exported) as tar:
        tar.extractall(tmp_path, filter="data")
    screen, terminal = pty.openpty()  # age asks at a terminal and nowhere else
    with subprocess.Popen(
        ["age", "-d", "-i", "key.age", "-o", "voice.tar", "voice.tar.age"],
        cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    ) as process:  # fmt: skip
        os.read(screen, 100)
        os.write(screen, f"{WORDS}\n".encode())
        assert process.wait(timeout=60) == 0
    with tarfile.open(tmp_path / "voice.tar") as tar:
        names = tar.getnames()
        assert names[0] == "ana/manifest.json"
        assert len(names) == 3
        tar.extractall(tmp_path, filter="data")
    assert voices.load(tmp_path / "ana").takes()[0].original.stat().st_size == 200_000


@pytest.mark.parametrize("passphrase", ["", "1234567"])
def test_a_weak_passphrase_is_refused_before_anything_is_written(
    voice: Voice, tmp_path: Path, passphrase: str
) -> None:
    with pytest.raises(TwinError, match="at least 8"):
        sealed.export(voice, tmp_path / "ana.voice", passphrase)
    assert not (tmp_path / "ana.voice").exists()


def test_the_passphrase_opens_it_and_another_does_not(
    really_exported: Path, directory: Path
) -> None:
    with pytest.raises(TwinError, match="passphrase is not the one") as told:
        sealed.import_(really_exported, directory, "another passphrase")
    assert "another passphrase" not in str(told.value)
    assert not list(directory.iterdir())
    assert len(sealed.import_(really_exported, directory, WORDS).voice.takes()) == 1


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.4])
def test_a_file_that_was_cut_off_leaves_nothing(
    exported: Path, directory: Path, tmp_path: Path, kept: float
) -> None:
    data = exported.read_bytes()
    cut = tmp_path / "cut.voice"
    # Behind the content there are only zeros, up to a multiple of 10,240: measured from its end.
    cut.write_bytes(data[: int(kept * len(data.rstrip(b"\0")))])
    with pytest.raises(TwinError, match="damaged or cut off"):
        sealed.import_(cut, directory, WORDS)
    assert not list(directory.iterdir())


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_flipped_bit_anywhere_leaves_nothing(
    exported: Path, directory: Path, tmp_path: Path, place: float
) -> None:
    data = bytearray(exported.read_bytes())
    data[int(place * len(bytes(data).rstrip(b"\0")))] ^= 1
    damaged = tmp_path / "damaged.voice"
    damaged.write_bytes(data)
    with pytest.raises(TwinError, match="damaged or cut off"):
        sealed.import_(damaged, directory, WORDS)
    assert not list(directory.iterdir())


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 20_000, b"age-encryption.org/v1\n" * 99])
def test_something_else_is_told(directory: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(TwinError, match="no exported voice"):
        sealed.import_(tmp_path / "x", directory, WORDS)
    with pytest.raises(TwinError, match="not there"):
        sealed.import_(tmp_path / "y", directory, WORDS)
    with pytest.raises(TwinError, match="a directory"):
        sealed.import_(tmp_path, directory, WORDS)


HOSTILE = {
    "upwards": entry("ana/takes/../../../x"),
    "absolute": entry("/etc/cron.d/x"),
    "another voice's": entry("bo/takes/1/original.wav"),
    "beside the parts": entry("ana/embeddings/x.npy"),
    "hidden": entry("ana/takes/.x/original.wav"),
    "link": entry("ana/takes/1/original.wav", kind=tarfile.SYMTYPE),
    "hard link": entry("ana/takes/1/original.wav", kind=tarfile.LNKTYPE),
    "device": entry("ana/takes/1/original.wav", kind=tarfile.CHRTYPE),
    "pipe": entry("ana/takes/1/original.wav", kind=tarfile.FIFOTYPE),
    "directory in a file's place": entry("ana/takes/1", kind=tarfile.DIRTYPE),
    "a manifest again": MANIFEST,
    "too deep": entry("ana/sessions/1/2/3/4/x"),
    "a take's third file": entry("ana/takes/0123456789abcdef/notes.txt"),
    "a take that is named otherwise": entry("ana/takes/mine/original.wav"),
    "a consent's third file": entry("ana/consent/notes.txt"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_part_of_a_voice_is_not_taken(
    kind: str, directory: Path, tmp_path: Path, quick: None
) -> None:
    good = entry("ana/profile/x.npy")
    source = sealed_by_hand(tmp_path / "ana.voice", [MANIFEST, good, HOSTILE[kind]])
    with pytest.raises(TwinError, match="no part of an exported voice"):
        sealed.import_(source, directory, WORDS)
    assert not list(directory.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"ana.voice", "voices"}


def take_entries(data: bytes, **values: object) -> list[tuple]:
    """A take as `export` packs it; `values` are what its manifest says otherwise."""
    digest = hashlib.sha256(data).hexdigest()
    manifest = {
        **{"emotion": "sad", "seconds": 3.0, "sample_rate": 48_000, "channels": 1},
        **{"suffix": ".wav", "sha256": digest, "added_at": "2026-05-04T10:00:00+00:00", **values},
    }
    place = f"ana/takes/{digest[:16]}"
    return [
        entry(f"{place}/manifest.json", json.dumps(manifest).encode()),
        entry(f"{place}/original.wav", data),
    ]


DAMAGED = {
    "not JSON": [entry("ana/takes/0123456789abcdef/manifest.json", b"{")],
    "no manifest": take_entries(b"x")[1:],
    "no recording": take_entries(b"x")[:1],
    "a recording upwards": take_entries(b"x", suffix="/../../../../secret"),
    "no number": take_entries(b"x", seconds="many"),
    "no emotion": take_entries(b"x", emotion="<script>"),
    "another recording": [take_entries(b"x")[0], (take_entries(b"x")[1][0], b"y")],
    "two recordings": [
        *take_entries(b"x"),
        entry(f"ana/takes/{hashlib.sha256(b'x').hexdigest()[:16]}/original.flac"),
    ],
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_take_that_is_damaged_in_the_file_is_left_out_and_told(
    kind: str, directory: Path, tmp_path: Path, quick: None
) -> None:
    """The others are taken; nothing outside of the voice is ever read for one."""
    (tmp_path / "secret").write_text(CANARY)
    of_the_damaged = entry(f"ana/prepared/{DAMAGED[kind][0][0].name.split('/')[2]}/prepared.flac")
    source = sealed_by_hand(
        tmp_path / "ana.voice", [MANIFEST, *take_entries(b"good"), *DAMAGED[kind], of_the_damaged]
    )
    imported = sealed.import_(source, directory, WORDS)
    (problem,) = imported.problems
    assert str(source) in problem
    assert f".{imported.voice.id}." not in problem
    (take,) = imported.voice.takes()
    assert take.original.read_bytes() == b"good"
    assert imported.voice.damaged() == []
    assert [path.name for path in (imported.voice.path / "takes").iterdir()] == [take.id]
    assert list((imported.voice.path / "prepared").iterdir()) == []


@pytest.mark.parametrize(
    "manifest",
    [
        *(b"{", b"{}", b'{"name": 5, "created_at": "2026-05-04T00:00:00+00:00"}'),
        b'{"name": "\\u001b[2J", "created_at": "2026-05-04T00:00:00+00:00"}',
    ],
)
def test_a_voice_whose_manifest_is_damaged_or_orders_the_terminal_about_is_not_taken(
    directory: Path, tmp_path: Path, quick: None, manifest: bytes
) -> None:
    source = sealed_by_hand(tmp_path / "ana.voice", [entry("ana/manifest.json", manifest)])
    with pytest.raises(TwinError, match=r"ana\.voice holds something") as told:
        sealed.import_(source, directory, WORDS)
    assert ".ana." not in str(told.value)
    assert not list(directory.iterdir())


def test_a_consent_that_comes_along_is_kept_and_allows_nothing(
    voice: Voice, tmp_path: Path, quick: None
) -> None:
    """Who holds a file of a voice need not be its speaker."""
    sealed.export(voice, tmp_path / "ana.voice", WORDS)
    there = sealed.import_(tmp_path / "ana.voice", tmp_path / "other", WORDS).voice
    assert consent.load(there.path / "consent") is None
    assert consent.load(there.path / consent.IMPORTED) == consent.load(voice.path / "consent")
    # Taken further, it is still there; the word of this machine goes before it.
    sealed.export(there, tmp_path / "further.voice", WORDS)
    further = sealed.import_(tmp_path / "further.voice", tmp_path / "third", WORDS)
    assert further.consent == consent.load(voice.path / "consent")
    mine = consent.stated("Bo", date(2026, 6, 1))
    consent.store(there.path / "consent", mine)
    sealed.export(there, tmp_path / "mine.voice", WORDS)
    assert sealed.import_(tmp_path / "mine.voice", tmp_path / "fourth", WORDS).consent == mine


@pytest.mark.parametrize("name", ["manifest.json", "consent.wav"])
def test_a_consent_that_is_damaged_in_the_file_is_left_out_and_told(
    directory: Path, tmp_path: Path, quick: None, name: str
) -> None:
    source = sealed_by_hand(tmp_path / "ana.voice", [MANIFEST, entry(f"ana/consent/{name}")])
    imported = sealed.import_(source, directory, WORDS)
    assert imported.consent is None
    assert "consent is damaged" in "".join(imported.problems)
    assert not list(imported.voice.path.glob("*consent*"))


def test_a_damaged_take_is_told_by_name_and_not_left_out_of_an_export(
    voice: Voice, tmp_path: Path, quick: None
) -> None:
    """All at once, each with what to do; what was changed outside of AI Twin, too."""
    first, second = voice.takes()
    (first.path / artifact.MANIFEST).write_text("{")
    second.original.write_bytes(b"changed")
    with pytest.raises(TwinError, match="nothing was exported") as told:
        sealed.export(voice, tmp_path / "ana.voice", WORDS)
    for take in (first, second):
        assert f"twin voice drop ana-bell {take.id}" in str(told.value)
    assert not (tmp_path / "ana.voice").exists()
    voice.drop(first.id)
    second.original.unlink()
    with pytest.raises(TwinError, match=f"recording of take {second.id} is gone"):
        sealed.export(voice, tmp_path / "ana.voice", WORDS)
    voice.drop(second.id)
    sealed.export(voice, tmp_path / "ana.voice", WORDS)
    assert sealed.import_(tmp_path / "ana.voice", tmp_path / "other", WORDS).problems == ()


def test_a_file_that_is_there_is_replaced_only_by_force(
    voice: Voice, tmp_path: Path, quick: None
) -> None:
    target = tmp_path / "thesis.doc"
    target.write_text("two years")
    with pytest.raises(TwinError, match=r"there already.*--force"):
        sealed.export(voice, target, WORDS)
    assert target.read_text() == "two years"
    assert sealed.export(voice, target, WORDS, force=True) > 0
    with pytest.raises(TwinError, match="is a directory; name a file"):
        sealed.export(voice, tmp_path, WORDS, force=True)


@pytest.mark.parametrize("kind", DAMAGED)
def test_of_a_file_without_a_whole_take_nothing_is_imported(
    kind: str, directory: Path, tmp_path: Path, quick: None
) -> None:
    source = sealed_by_hand(tmp_path / "ana.voice", [MANIFEST, *DAMAGED[kind]])
    with pytest.raises(TwinError, match=r"was left out(?s:.)*nothing was imported"):
        sealed.import_(source, directory, WORDS)
    assert not list(directory.iterdir())


def test_a_disk_that_is_not_plugged_in_is_not_made_up(voice: Voice, tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="is not there: plug in the disk"):
        sealed.export(voice, tmp_path / "STICK" / "ana.voice", WORDS)
    assert not (tmp_path / "STICK").exists()


def test_a_pipe_is_no_file_to_import_from(directory: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TwinError, match="not a file"):
        sealed.import_(tmp_path / "pipe", directory, WORDS)


def test_ctrl_c_ends_an_export_as_it_ends_all_else(
    voice: Voice, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside of pyrage it would become an error of pyrage's."""
    take = sealing._tar

    def pressed(members: Iterable[sealing.Member]) -> Iterator[bytes]:
        yield next(iter(take(members)))
        raise KeyboardInterrupt

    monkeypatch.setattr(sealing, "_tar", pressed)
    with pytest.raises(KeyboardInterrupt):
        sealed.export(voice, tmp_path / "ana.voice", WORDS)
    assert not list(tmp_path.glob("*ana*voice*"))


def test_an_import_takes_away_what_a_killed_one_had_unpacked(
    exported: Path, directory: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = directory / f".bo.{gone.pid}.abcdefgh" / "takes"
    left.mkdir(parents=True)
    sealed.import_(exported, directory, WORDS)
    assert [path.name for path in directory.iterdir()] == ["ana"]


def test_a_voice_that_is_there_stays_and_another_name_helps(
    exported: Path, directory: Path
) -> None:
    first = voices.create(directory, "Ana")
    with pytest.raises(TwinError, match=r"ana already.*--name NAME"):
        sealed.import_(exported, directory, WORDS)
    assert voices.load(first.path).takes() == []
    second = sealed.import_(exported, directory, WORDS, "Ana of 2026").voice
    assert (second.id, second.name) == ("ana-of-2026", "Ana of 2026")
    assert len(second.takes()) == 1
    with pytest.raises(TwinError, match="no name for a voice"):
        sealed.import_(exported, directory, WORDS, "bundled")


def test_an_export_that_fails_leaves_the_file_of_before(
    voice: Voice, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "ana.voice"
    target.write_text("of before")
    grown = voice.takes()[0].original
    list_members = sealed._members

    def then_it_grows(one: Voice) -> list[sealing.Member]:
        found = list_members(one)
        grown.write_bytes(grown.read_bytes() + b"more")
        return found

    monkeypatch.setattr(sealed, "_members", then_it_grows)
    with pytest.raises(TwinError, match="changed while it was exported"):
        sealed.export(voice, target, WORDS, force=True)
    assert target.read_text() == "of before"
    assert not list(tmp_path.glob(".ana*"))


def test_a_strange_file_in_a_voice_is_named_and_not_left_out_in_silence(
    voice: Voice, tmp_path: Path, quick: None
) -> None:
    (voice.path / "takes" / "my notes.txt").write_text(CANARY)
    with pytest.raises(TwinError, match=r"my notes\.txt"):
        sealed.export(voice, tmp_path / "ana.voice", WORDS)


def test_a_full_disk_is_told_before_anything_is_written(
    exported: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(exported)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(TwinError, match="make room"):
        sealed.import_(exported, directory, WORDS)
    assert not list(directory.iterdir())


def test_memory_does_not_grow_with_the_voice(directory: Path, tmp_path: Path, quick: None) -> None:
    """Beside the passphrase's own, which age sets: as much for 1 MB as for 1 GB."""
    import tracemalloc

    big = voices.create(directory, "Big")
    for n in range(3):
        sound = tmp_path / "big.wav"
        with sound.open("wb") as file:
            file.write(bytes([n]))
            file.truncate(20_000_000)
        big.add(sound, VALUES)
    tracemalloc.start()
    try:
        sealed.export(big, tmp_path / "big.voice", WORDS)
        sealed.import_(tmp_path / "big.voice", tmp_path / "other", WORDS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * voices.COPIED
