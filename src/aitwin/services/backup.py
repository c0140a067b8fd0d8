"""The owner's things as one encrypted file, and back into a fresh home (V4, P4).

A backup holds what cannot be made again by a command: settings, adapters, datasets with the
owner's marks, profiles of voices; recordings, the corpus and secrets where the owner says so. Base
models are public and are pulled again. How it is encrypted: see sealing. It is read back and
compared before it counts as made. Does not ask for passphrases.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from aitwin import __version__, artifact, sealing
from aitwin.errors import TwinError
from aitwin.home import MARKER, SETTINGS, VAULT, VAULT_PARTS, Home
from aitwin.sealing import Decrypted, Kind, Member
from aitwin.services import serving

BACKUP = Kind("twin.tar.age", "a backup", "twin backup", ".twin")
CONTENTS = "backup.json"
"""The first file inside: what follows, with digests."""
VERSION = 1
CONTENTS_LIMIT = 64 << 20
"""Bytes of the list of files."""
MEMBERS = 500_000
RECORDINGS = (("takes",), ("prepared",), ("sessions",))
"""Directories of a voice that are large, and that a profile speaks without."""
LAST = "last-backup.json"
"""In logs/: when the last one was made and what was in it, for `twin doctor`."""
_SQLITE = (".sqlite", ".sqlite3", ".db")
_BESIDE = ("-wal", "-shm", "-journal")

Report = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many."""


@dataclass(frozen=True)
class Choice:
    """What goes in besides settings, adapters, datasets and profiles."""

    recordings: bool = False
    corpus: bool = False
    """The imported messages; marks and kept pairs are always in."""
    secrets: bool = False
    """Tokens, sessions, the passphrase's digest, keys of other servers."""


@dataclass(frozen=True)
class Entry:
    """A file of a backup."""

    name: str
    """Relative to the home, with the voices below voices/ wherever they lie."""
    size: int
    sha256: str


@dataclass(frozen=True)
class Made:
    """A backup that was written and read back."""

    files: int
    bytes: int
    """Of what is in it."""
    parts: Mapping[str, int]
    """Files by part: "adapters", "voices" …"""


def make(
    home: Home,
    target: Path,
    passphrase: str,
    choice: Choice = Choice(),
    *,
    report: Report = lambda what, done, total: None,
) -> Made:
    """Write a backup to `target` (0600), read it back, and compare.

    A backup that is at `target` already gives way to one that was read back: whether it may is the
    caller's to ask (sealing.check_target). Raises TwinError when there is nothing to keep, the
    passphrase is weak, or something changes meanwhile; what was at `target` is then still there.
    """
    sealing.check_passphrase(passphrase)
    with ExitStack() as stack:
        files = [*_files(home, choice, stack)]
        if not any(name == SETTINGS for name, _ in files):
            raise TwinError(f"{home.root} has no {SETTINGS}; there is nothing to keep yet")
        total = sum(path.stat().st_size for _, path in files)
        entries, done = [], 0
        for name, path in files:
            size = path.stat().st_size
            entries.append(Entry(name, size, artifact.sha256(path)))
            done += size
            report("reading", done, total)
        contents = stack.enter_context(_written(home, _contents(entries)))
        members = [
            Member(contents, CONTENTS, contents.stat().st_size),
            *(
                Member(path, entry.name, entry.size)
                for entry, (_, path) in zip(entries, files, strict=True)
            ),
        ]
        # Beside the target first: an older backup is replaced by one that was read back, only.
        scratch = target.with_name(f".{target.name}.{os.getpid()}.unproven")
        stack.callback(scratch.unlink, missing_ok=True)
        report("encrypting", 0, total)
        sealing.seal(scratch, BACKUP, members, passphrase)
        for done in _proven(scratch, passphrase, entries):
            report("reading back", done, total)
        scratch.replace(target)
    made = Made(len(entries), total, _counted(entries))
    artifact.write_private(
        home.root / "logs" / LAST,
        json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(made)}),
    )
    return made


def _files(home: Home, choice: Choice, stack: ExitStack) -> Iterator[tuple[str, Path]]:
    """Name in the backup and path, in a fixed order."""
    for name in (MARKER, SETTINGS):
        if (home.root / name).is_file():
            yield name, home.root / name
    # Of a locked vault each of them says so: a backup without them would be none.
    yield from _below(home.adapters, "adapters", stack)
    yield from _below(home.datasets, "datasets", stack)
    yield from _below(home.corpus, "corpus", stack, databases=choice.corpus)
    voices = home.open_voices() if _has_voices(home) else home.voices
    for name, path in _below(voices, "voices", stack):
        if choice.recordings or PurePosixPath(name).parts[2:3] not in RECORDINGS:
            yield name, path
    if choice.secrets:
        yield from _below(home.root / "secrets", "secrets", stack)


def _has_voices(home: Home) -> bool:
    return bool(home.voice_settings().directory) or home.voices.exists()


def _below(
    directory: Path, name: str, stack: ExitStack, *, databases: bool = True
) -> Iterator[tuple[str, Path]]:
    """The files below a directory; what hides behind a dot is half made, or can be made again."""
    if not directory.is_dir():
        return
    for path in sorted(directory.rglob("*")):
        place = path.relative_to(directory).as_posix()
        if path.is_symlink() or not path.is_file() or "/." in f"/{place}":
            continue
        if path.name.endswith(tuple(end + beside for end in _SQLITE for beside in _BESIDE)):
            continue
        if not path.name.endswith(_SQLITE):
            yield f"{name}/{place}", path
        elif databases:
            yield f"{name}/{place}", stack.enter_context(_copied(path))


@contextmanager
def _copied(database: Path) -> Iterator[Path]:
    """A database as it is at one moment, though others may write to it; beside it, and 0600."""
    handle, name = tempfile.mkstemp(dir=database.parent, prefix=f".{database.name}.{os.getpid()}.")
    os.close(handle)
    copy = Path(name)
    try:
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        yield copy
    finally:
        for path in (copy, *(copy.with_name(copy.name + beside) for beside in _BESIDE)):
            path.unlink(missing_ok=True)


@contextmanager
def _written(home: Home, contents: Mapping[str, Any]) -> Iterator[Path]:
    path = home.run / f".backup.{os.getpid()}.json"
    artifact.write_private(path, json.dumps(contents))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _contents(entries: list[Entry]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "aitwin": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(entry) for entry in entries],
    }


def _counted(entries: list[Entry]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        part = "settings" if "/" not in entry.name else entry.name.partition("/")[0]
        counts[part] = counts.get(part, 0) + 1
    return counts


def _proven(source: Path, passphrase: str, entries: list[Entry]) -> Iterator[int]:
    """Read it back as a restore would; yields the bytes read so far.

    Raises TwinError when it is not what was to be kept.
    """
    with sealing.unsealed(source, BACKUP, passphrase, MEMBERS) as decrypted:
        found, read = [], 0
        for name, size, content in decrypted.files():
            digest = _digest(content)
            if name != CONTENTS:
                found.append(Entry(name, size, digest))
                read += size
                yield read
    if found != entries:
        raise TwinError(
            "what was written is not what was read: something changed meanwhile, or the disk "
            "fails; run it again (nothing was replaced)"
        )


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(sealing.COPIED):
        digest.update(block)
    return digest.hexdigest()


# --- Back -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Restored:
    """What came out of a backup."""

    at: datetime
    """When it was made."""
    parts: Mapping[str, int]
    notes: tuple[str, ...]
    """What the owner has to see to."""


def restore(
    home: Home,
    source: Path,
    passphrase: str,
    *,
    replace: bool = False,
    report: Report = lambda what, done, total: None,
) -> Restored:
    """Unpack a backup into a home that has none of its things yet.

    All is unpacked and compared beside them first, and then moved into place, settings last: an
    interrupted restore can be run again. With `replace`, things of the same name give way.

    Raises TwinError when the file is no backup, is damaged, the passphrase is another, things are
    in the way, the twin is served, or the vault is locked; the home is then as before.
    """
    if home.root.exists():
        home.require_own()
    if served := serving.running(home):
        ends = "Ctrl-C there" if served.by == "twin serve" else "twin services stop"
        raise TwinError(
            f"the twin is served, and would go on with what was replaced; end that: {ends}"
        )
    home.open()
    place = _beside(home)
    artifact.sweep(place)
    size = source.stat().st_size if source.is_file() else 0
    if (free := shutil.disk_usage(place).free) < size:
        raise TwinError(
            f"{source} needs {size / 1e9:.1f} GB, and {place} has {free / 1e9:.1f} GB free; "
            "make room, and run it again"
        )
    scratch = Path(tempfile.mkdtemp(dir=place, prefix=f".restore.{os.getpid()}."))
    try:
        with sealing.unsealed(source, BACKUP, passphrase, MEMBERS) as decrypted:
            at, entries = _unpack(decrypted, scratch, report)
        things = _things(entries)
        if not replace and (there := [thing for thing in things if _taken(home, thing)]):
            named = ", ".join(there[:5]) + (" …" if len(there) > 5 else "")
            raise TwinError(
                f"{home.root} has {named} already; restore into a fresh home (TWIN_HOME), or let "
                "what is in the backup take their place: twin restore --replace"
            )
        notes = tuple(_without_volume(scratch))
        for thing in things:
            _move(scratch / thing, home.root / thing)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Restored(at, _counted(entries), notes)


def _beside(home: Home) -> Path:
    """Where it is unpacked: in the vault, where there is one, so that nothing lies outside of it.

    Raises TwinError while that is locked.
    """
    linked = [part for part in VAULT_PARTS if (home.root / part).is_symlink()]
    if not linked:
        return home.root
    if not all((home.root / part).exists() for part in linked):
        raise TwinError(
            "the vault is locked, and what is restored belongs into it; open it: twin vault open"
        )
    return home.root / VAULT


def _unpack(decrypted: Decrypted, scratch: Path, report: Report) -> tuple[datetime, list[Entry]]:
    files = decrypted.files()
    name, size, content = next(files, ("", 0, None))
    if name != CONTENTS or content is None or size > CONTENTS_LIMIT:
        raise decrypted.strange()
    at, expected = _read(decrypted, content.read())
    total, done = sum(entry.size for entry in expected), 0
    waiting = {entry.name: entry for entry in expected}
    for name, size, content in files:
        entry = waiting.pop(name, None)
        if entry is None or entry.size != size:
            raise decrypted.strange()
        with artifact.writing(scratch / name) as file:
            shutil.copyfileobj(content, file, sealing.COPIED)
            file.seek(0)
            if _digest(file) != entry.sha256:
                raise decrypted.broken()
        done += size
        report("restoring", done, total)
    if waiting:
        raise decrypted.broken()
    return at, expected


def _read(decrypted: Decrypted, contents: bytes) -> tuple[datetime, list[Entry]]:
    """The list of what is inside; every name in it is one that a backup may have."""
    try:
        values = json.loads(contents)
        if values["version"] != VERSION:
            raise TwinError(
                f"{decrypted.source} was made by AI Twin {str(values.get('aitwin'))[:20]}; restore "
                "it with that version, or a newer one"
            )
        at = datetime.fromisoformat(values["at"])
        entries = [
            Entry(str(row["name"]), int(row["size"]), str(row["sha256"])) for row in values["files"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise decrypted.strange() from None
    if not all(_belongs(entry.name) for entry in entries):
        raise decrypted.strange()
    return at, entries


def _belongs(name: str) -> bool:
    """Whether a file of that name may be in a backup: below a part of the home, nothing hidden."""
    if name in (MARKER, SETTINGS):
        return True
    path = PurePosixPath(name)
    parts = path.parts
    return (
        str(path) == name
        and len(parts) > 1
        and parts[0] in ("adapters", "datasets", "corpus", "voices", "secrets")
        and not any(part.startswith(".") or "\\" in part or "\0" in part for part in parts)
        and name.isprintable()
    )


def _things(entries: list[Entry]) -> list[str]:
    """What is moved into place as a whole: an adapter, a dataset, a voice; settings at the end."""
    things = dict.fromkeys(
        "/".join(PurePosixPath(entry.name).parts[:2]) for entry in entries if "/" in entry.name
    )
    return [*things, SETTINGS]


def _taken(home: Home, thing: str) -> bool:
    return (home.root / thing).exists()


def _move(source: Path, target: Path) -> None:
    """Into place; what was there is gone when the new is."""
    artifact.make_private_dir(target.parent)
    aside = target.with_name(f".{target.name}.replaced")
    if target.exists():
        _gone(aside)  # of a run that was stopped when the new was there already
        target.rename(aside)
    if source.stat().st_dev != target.parent.stat().st_dev:
        # Settings and secrets lie outside of the vault: no rename leads there.
        beside = target.with_name(f".{target.name}.{os.getpid()}.restored")
        _gone(beside)
        if source.is_dir():
            shutil.copytree(source, beside)
        else:
            shutil.copy2(source, beside)
        source = beside
    source.rename(target)
    _gone(aside)


def _gone(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _without_volume(scratch: Path) -> Iterator[str]:
    """Settings that name a volume which is not on this machine: the voices are in the home then."""
    import tomlkit

    path = scratch / SETTINGS
    document = tomlkit.parse(path.read_text("utf-8"))
    chosen = document.get("voice", {}).get("directory", "")
    if chosen:
        # What was restored lies in the home; recordings that stayed on the volume are found again
        # when it is set anew.
        del document["voice"]["directory"]
        artifact.write_private(path, tomlkit.dumps(document))
        yield (
            f"the voices lay in {chosen}, and are in the twin's directory now; to keep them there "
            "again, move them and set voice.directory"
        )


def last(home: Home) -> datetime | None:
    """When the last backup was made from this home; None for never."""
    try:
        values = json.loads((home.root / "logs" / LAST).read_text("utf-8"))
        return datetime.fromisoformat(values["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
