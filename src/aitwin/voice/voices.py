"""A voice on disk: its name, its takes as recorded, and where what follows from them lies.

    voices/ID/
      manifest.json   name, when it was made
      takes/TAKE/     original.SUFFIX (never changed), manifest.json
      prepared/TAKE/  see prepared
      consent/        see consent
      profile/        see profile
      embeddings/     speaker embeddings by the digest of what was embedded
      sessions/       see record
      report.html     see voice_report

Does not read sound: see sound_file. What to tell of a voice: see overview.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import prepared
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.prepared import Prepared

ID_DIGITS = 16
"""Hex digits of a take's SHA-256 that name it: the same recording added twice is one take."""
RESERVED = ("base", "bundled")
"""What `--voice` calls the voice that ships with the package."""
COPIED = 1 << 20
"""Bytes copied at a time."""


@dataclass(frozen=True)
class Take:
    """One recording as it came: a prompt that was read, or a file that was added."""

    path: Path
    """Its directory."""
    suffix: str
    """Of the original, with its dot: ".flac"."""
    sha256: str
    emotion: str
    """An id of EMOTIONS."""
    added_at: datetime
    seconds: float
    sample_rate: int
    """Hertz of the original."""
    channels: int
    prompt: str = field(default="", repr=False)
    """What was to be read; empty for a file that was added."""
    prompt_id: str = ""
    session: str = ""
    """Id of the recording session; empty for a file that was added."""
    device: str = field(default="", repr=False)
    """Name of the microphone, where it is known."""

    @property
    def id(self) -> str:
        """Stable: from the content."""
        return self.path.name

    @property
    def original(self) -> Path:
        """The recording itself."""
        return self.path / f"original{self.suffix}"


@dataclass(frozen=True)
class Voice:
    """A voice at `path`; its directory's name is its id."""

    path: Path
    name: str
    created_at: datetime

    @property
    def id(self) -> str:
        """As given to `--voice`."""
        return self.path.name

    def takes(self) -> list[Take]:
        """All of them, the oldest first; half-copied ones are not among them."""
        found = (_load_take(path) for path in _artifacts(self.path / "takes"))
        return sorted(found, key=lambda take: (take.added_at, take.id))

    def take(self, take_id: str) -> Take:
        """One take. Raises TwinError when there is none of that id."""
        return _load_take(self.path / "takes" / _plain(take_id))

    def holds(self, sha256: str) -> bool:
        """Whether a recording with this content is among the takes."""
        return (self.path / "takes" / sha256[:ID_DIGITS] / artifact.MANIFEST).exists()

    def add(self, original: Path, values: dict[str, Any], *, move: bool = False) -> Take:
        """Keep a copy of a recording, or with `move` the file itself, as a take.

        `values` are Take's fields from `emotion` on; `added_at` is now where it is missing. A
        recording that is here already stays as it is.
        """
        if values["emotion"] not in EMOTIONS:
            raise TwinError(
                f"no emotion is called {values['emotion']!r}; there are {', '.join(EMOTIONS)}"
            )
        digest = artifact.sha256(original)
        place = self.path / "takes" / digest[:ID_DIGITS]
        if not self.holds(digest):
            with artifact.building(place) as scratch:
                suffix = original.suffix.lower()
                if move:
                    # Linked, not renamed: a full disk or a kill before the end leaves it.
                    _link(original, scratch / f"original{suffix}")
                else:
                    copied = copy(original, scratch / f"original{suffix}")
                    if copied != digest:
                        raise TwinError(f"{original} changed while it was copied; add it again")
                manifest = {"added_at": datetime.now(UTC).isoformat(), **values}
                artifact.write_manifest(scratch, {**manifest, "suffix": suffix, "sha256": digest})
        if move:
            original.unlink()
        return _load_take(place)

    def remove(self, take: Take) -> None:
        """Forget a take and all that was made of it (but for the profile: make that anew)."""
        self.drop(take.id)

    def drop(self, take_id: str) -> None:
        """`remove` by id, for a take that is damaged and cannot be loaded.

        Raises TwinError when there is none of that id.
        """
        original = self.path / "takes" / _plain(take_id)
        if not original.exists():
            raise TwinError(
                f"{self.id} has no take {take_id}; `twin voice show {self.id}` lists them"
            )
        for place in (self.path / "prepared" / take_id, original):
            artifact.remove(place)

    def prepared_path(self, take: Take) -> Path:
        """Where its preparation lies, or shall lie."""
        return self.path / "prepared" / take.id

    def prepared(self, take: Take) -> Prepared | None:
        """Its preparation; None where it is to be made, or to be made anew."""
        try:
            return prepared.load(self.prepared_path(take))
        except TwinError:
            return None


def place(directory: Path, name: str) -> Path:
    """Where the voice of that name or id lies, or shall lie, in `directory`.

    Raises TwinError when no id can be made of it.
    """
    voice_id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if not voice_id or voice_id in RESERVED:
        raise TwinError(f"{name!r} is no name for a voice; use some letters, such as --name ana")
    return directory / voice_id


def create(directory: Path, name: str) -> Voice:
    """A new voice in `directory` (the owner's voices/).

    Raises TwinError when there is one of that name, or the name makes no id.
    """
    path = place(directory, name)
    if path.exists():
        raise TwinError(f"a voice is called {path.name} already; choose another name")
    artifact.finish_removing(directory)
    with artifact.building(path) as scratch:
        write(Voice(scratch, name, datetime.now(UTC)))
    return load(path)


def write(voice: Voice) -> None:
    """Write a voice's own manifest: a new one, or a new name."""
    artifact.write_manifest(
        voice.path, {"name": voice.name, "created_at": voice.created_at.isoformat()}
    )


def rename(voice: Voice, name: str) -> Voice:
    """Give a voice another name. Its id stays: programs and the owner's notes know it."""
    if not name.strip():
        raise TwinError("a name has letters")
    renamed = replace(voice, name=name.strip())
    write(renamed)
    return renamed


def delete(voice: Voice) -> None:
    """Delete a voice: its recordings and everything that was made of them.

    The files are unlinked, which no solid-state disk, and no file system that copies on write,
    lets anybody improve on by overwriting: what is left in free blocks is protected by the disk's
    own encryption alone (FileVault, an encrypted volume). Copies in backups and exports stay.
    A voice whose deletion was interrupted is no voice any more, and goes with the next change.
    """
    artifact.finish_removing(voice.path.parent)
    artifact.remove(voice.path)


def open_(directory: Path, voice_id: str) -> Voice:
    """The voice of that id.

    Raises TwinError when there is none.
    """
    return load(directory / _plain(voice_id))


def load(path: Path) -> Voice:
    """The voice at `path`. Raises TwinError when there is none."""
    remedy = "`twin voice list` shows those there are, `twin voice record` makes one"
    artifact.restore(path)
    if (path / artifact.MANIFEST).exists():
        remedy = "take that file from a backup, or move the voice away and import an export of it"
    manifest = artifact.read_manifest(path, kind="voice", remedy=remedy)
    try:
        return Voice(path, str(manifest["name"]), datetime.fromisoformat(manifest["created_at"]))
    except (KeyError, TypeError, ValueError):
        raise TwinError(f"{path / artifact.MANIFEST} is damaged; {remedy}") from None


def all_(directory: Path) -> list[Voice]:
    """Every voice in `directory`, by name."""
    return sorted(
        (load(path) for path in _artifacts(directory)),
        key=lambda voice: (voice.name.lower(), voice.id),
    )


def find(directory: Path, wanted: str = "") -> Voice:
    """A voice by its id or its name; the only one there is, where nothing is said.

    Raises TwinError when that is none or several, and says which there are.
    """
    known = all_(directory)
    if not known:
        missing = f"no voice is called {wanted!r}: " if wanted else ""
        raise TwinError(
            f"{missing}there is no voice yet; `twin voice record --name NAME` records one, "
            "`twin voice add FILE… --name NAME` makes one of recordings"
        )
    listed = ", ".join(voice.id for voice in known)
    found = [voice for voice in known if voice.id == wanted] or [
        voice for voice in known if not wanted or voice.name.lower() == wanted.lower()
    ]
    match found:
        case [voice]:
            return voice
        case []:
            raise TwinError(f"no voice is called {wanted!r}; there are: {listed}")
        case _:
            ids = ", ".join(voice.id for voice in found)
            raise TwinError(f"which voice? say its id: {ids}")


def belongings(directory: Path) -> list[Path]:
    """Everything of voices in `directory`, half made and half deleted ones too, and nothing else.

    For deleting all of it in a directory that may be somebody else's, too.
    """
    if not directory.is_dir():
        return []
    return [path for path in sorted(directory.iterdir()) if path.is_dir() and _is_ours(path)]


def copy(source: Path, target: Path) -> str:
    """Copy a file privately; the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as read, artifact.writing(target) as written:
        for block in _read(read):
            digest.update(block)
            written.write(block)
    return digest.hexdigest()


def _link(original: Path, target: Path) -> None:
    try:
        target.hardlink_to(original)
    except OSError:
        copy(original, target)  # exFAT, on many a memory stick, has no links


def _read(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(COPIED):
        yield block


def _is_ours(path: Path) -> bool:
    if (path / "takes").is_dir() or (path / "prepared").is_dir():
        return True
    try:
        load(path)
    except TwinError:
        return False  # many a program calls a file manifest.json
    return True


def _artifacts(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [
        path
        for path in sorted(directory.iterdir())
        if not path.name.startswith(".") and (path / artifact.MANIFEST).exists()
    ]


def _plain(name: str) -> str:
    """An id that names a directory beside the others, and nothing above them."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise TwinError(f"{name!r} is no id; `twin voice list` shows those there are")
    return name


def _load_take(path: Path) -> Take:
    remedy = (
        f"drop it with `twin voice drop {path.parent.parent.name} {path.name}` and add it again"
    )
    manifest = artifact.read_manifest(path, kind="take", remedy=remedy)
    try:
        added = datetime.fromisoformat(manifest.pop("added_at"))
        return Take(path=path, added_at=added, **manifest)
    except (KeyError, TypeError, ValueError):
        raise TwinError(f"{path / artifact.MANIFEST} is damaged; {remedy}") from None
