"""A voice on disk: its name, its takes as recorded, and where what follows from them lies.

    voices/ID/
      manifest.json   name, when it was made
      takes/TAKE/     original.SUFFIX (never changed), manifest.json
      prepared/TAKE/  see prepared
      consent/        see consent; imported-consent/ came with it from another machine
      profile/        see profile
      embeddings/     speaker embeddings by the digest of what was embedded
      sessions/       see record
      evaluation/     see evaluation; so are evaluation-asked/, and .evaluation.going/, which is one
                      that is not complete
      finetune/       see tuned
      .finetune.run/  see finetune: all that a run learns from, until it has ended
      timbre/         see timbre
      report.html     see voice_report
      listening.html  see audition

Does not read sound: see sound_file. What to tell of a voice: see overview.
"""

import hashlib
import re
import shlex
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
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
UNWRITTEN = "voice"
"""Id of a voice whose name has no letter of ours: 李明; the next is voice-2."""
COPIED = 1 << 20
"""Bytes copied at a time."""
SUFFIX = r"\.[a-z0-9]{1,8}"
"""Of an original."""
OTHER_SUFFIX = ".sound"
"""Of an original whose own is none of that form; what it is, its content says."""
SHA256 = r"[0-9a-f]{64}"
PAGE = "report.html"
LISTENING = "listening.html"
PAGES = (PAGE, LISTENING)
"""What holds sound of the takes, and goes with the first of them that is dropped."""
TUNED = "finetune"
JUDGED, JUDGED_ASKED = "evaluation", "evaluation-asked"
DERIVED = frozenset((JUDGED, JUDGED_ASKED, TUNED, "timbre"))
"""Directories of what was made of a voice, can be made anew, and is not exported."""
LEARNING = f".{TUNED}.run"
JUDGING = ".evaluation.going"
UNDER_WAY = frozenset((LEARNING, JUDGING))
"""Directories of what is being made of a voice."""
PARTS = DERIVED | frozenset(
    ("takes", "prepared", "consent", "imported-consent", "profile", "embeddings", "sessions")
)
"""Directories of a voice."""

_ID = r"[a-z0-9][a-z0-9-]*"
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode does not take apart into one of ours and a mark."""


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
    sound: str = ""
    """SHA-256 of the decoded samples, where it is known: a WAV and its FLAC are one recording."""

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
    name: str = field(repr=False)
    created_at: datetime

    @property
    def id(self) -> str:
        """As given to `--voice`."""
        return self.path.name

    @property
    def page(self) -> Path:
        """Where the page on it lies, if there is one."""
        return self.path / PAGE

    def takes(self) -> list[Take]:
        """All of them, the oldest first; half-copied and damaged ones are not among them."""
        found = []
        for path in self._takes():
            with suppress(TwinError):  # `damaged` tells
                found.append(_load_take(path))
        return sorted(found, key=lambda take: (take.added_at, take.id))

    def damaged(self) -> list[str]:
        """For each take that cannot be read: which, and what to do about it."""
        found = []
        for path in self._takes():
            try:
                _load_take(path)
            except TwinError as error:
                found.append(str(error))
        return found

    def take(self, take_id: str) -> Take:
        """One take. Raises TwinError when there is none of that id."""
        return _load_take(self.path / "takes" / _plain(take_id))

    def holds(self, sha256: str) -> bool:
        """Whether a recording with this content is among the takes."""
        try:
            return _load_take(self.path / "takes" / sha256[:ID_DIGITS]).original.is_file()
        except TwinError:
            return False

    def add(self, original: Path, values: dict[str, Any], *, move: bool = False) -> Take:
        """Keep a copy of a recording, or with `move` the file itself, as a take.

        `values` are Take's fields from `emotion` on; `added_at` is now where it is missing. A
        recording that is here already stays as it is: one with the same content, or with the same
        `sound`, whatever it is written as. A damaged take of it is made whole.
        """
        if values["emotion"] not in EMOTIONS:
            raise TwinError(
                f"no emotion is called {values['emotion']!r}; there are {', '.join(EMOTIONS)}"
            )
        digest = artifact.sha256(original)
        place = self.path / "takes" / digest[:ID_DIGITS]
        if not self.holds(digest):
            if (sound := values.get("sound")) and not move:
                for take in self.takes():
                    if take.sound == sound:
                        return take
            own = original.suffix.lower()
            suffix = own if re.fullmatch(SUFFIX, own) else OTHER_SUFFIX
            manifest = {"added_at": datetime.now(UTC).isoformat(), **values}
            manifest |= {"suffix": suffix, "sha256": digest}
            _parsed(place, manifest)
            with artifact.building(place) as scratch:
                if move:
                    # Linked, not renamed: a full disk or a kill before the end leaves it.
                    _link(original, scratch / f"original{suffix}")
                else:
                    copied = copy(original, scratch / f"original{suffix}")
                    if copied != digest:
                        raise TwinError(f"{original} changed while it was copied; add it again")
                artifact.write_manifest(scratch, manifest)
        if move:
            original.unlink()
        return _load_take(place)

    def remove(self, take: Take) -> None:
        """Forget a take and all that was made of it, but for two things.

        The profile: make it anew (profile.build). A fine-tune that has learned from it stays, since
        it took hours: see tuned.outlived. The pages go, too, which hold sound of many takes, and
        the evaluation.
        """
        self.drop(take.id)

    def drop(self, take_id: str) -> None:
        """`remove` by id, for a take that is damaged and cannot be loaded.

        Raises TwinError when there is none of that id.
        """
        original = self.path / "takes" / _plain(take_id)
        ready = self.path / "prepared" / take_id
        # A process that was killed may have left a copy of any take's sound.
        for directory in (self.path, original.parent, ready.parent):
            artifact.sweep(directory)
        if not original.exists():
            raise TwinError(
                f"{self.id} has no take {take_id}; `twin voice show {self.id}` lists them"
            )
        for page in PAGES:
            (self.path / page).unlink(missing_ok=True)
        for place in (ready, *self._made(DERIVED - {TUNED}), original):
            artifact.remove(place)

    def forget_clones(self) -> None:
        """Delete all that speaks in this voice, has spoken in it, or was to learn it.

        For when its owner takes the consent back. Takes, profile and the page on them stay.
        """
        artifact.sweep(self.path)
        (self.path / LISTENING).unlink(missing_ok=True)
        for place in self._made(DERIVED):
            artifact.remove(place)

    def _made(self, names: frozenset[str]) -> list[Path]:
        """What was made of the takes, of those names, and what is under way."""
        return [self.path / name for name in sorted(names | UNDER_WAY)]

    def _takes(self) -> list[Path]:
        """Directories of takes, damaged ones too."""
        places = self.path / "takes"
        if not places.is_dir():
            return []
        return [
            path
            for path in sorted(places.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]

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
    if voice_id := _id(name):
        return directory / voice_id
    for number in count(1):
        path = directory / (UNWRITTEN if number == 1 else f"{UNWRITTEN}-{number}")
        if is_free(path):
            break
        with suppress(TwinError):
            if load(path).name == name:
                break
    return path


def is_free(path: Path) -> bool:
    """Whether a voice may be made at `path`: nothing is there, or what is left of one.

    That is a directory without a manifest, with a voice's parts and nothing else.
    """
    return not path.exists() or (not (path / artifact.MANIFEST).exists() and _has_parts(path))


def create(directory: Path, name: str) -> Voice:
    """A new voice in `directory` (the owner's voices/).

    What is left of one whose manifest is gone becomes part of it. Raises TwinError when there is
    one of that name, or the name makes no id.
    """
    path = place(directory, name)
    if not is_free(path):
        raise TwinError(f"a voice is called {path.name} already; choose another name")
    tidy(directory)
    made = Voice(path, name.strip(), datetime.now(UTC))
    if path.exists():
        write(made)
    else:
        with artifact.building(path) as scratch:
            write(replace(made, path=scratch))
    return load(path)


def called(directory: Path, name: str) -> Voice:
    """The voice of that name, or of the id that the name makes; a new one where there is none.

    Raises TwinError when the name makes no id, several have it, or the voice is damaged.
    """
    path = place(directory, name)
    named = [voice for voice in all_(directory) if voice.name.lower() == name.strip().lower()]
    if named and path not in [voice.path for voice in named]:
        return find(directory, name)
    return create(directory, name) if is_free(path) else load(path)


def write(voice: Voice) -> None:
    """Write a voice's own manifest: a new one, or a new name."""
    artifact.write_manifest(
        voice.path, {"name": voice.name, "created_at": voice.created_at.isoformat()}
    )


def rename(voice: Voice, name: str) -> Voice:
    """Give a voice another name. Its id stays: programs and the owner's notes know it.

    Raises TwinError when no voice may be called so.
    """
    _id(name)
    renamed = replace(voice, name=name.strip())
    write(renamed)
    return renamed


def delete(path: Path) -> None:
    """Delete the voice at `path`: its recordings and everything that was made of them.

    The files are unlinked, which no solid-state disk, and no file system that copies on write,
    lets anybody improve on by overwriting: what is left in free blocks is protected by the disk's
    own encryption alone (FileVault, an encrypted volume). Copies in backups and exports stay.
    A voice whose deletion was interrupted is no voice any more, and goes with the next change.
    """
    tidy(path.parent)
    artifact.remove(path)


def tidy(directory: Path) -> None:
    """Delete what deletions, and imports that were killed, have left in `directory`."""
    artifact.finish_removing(directory)
    for path in belongings(directory):
        if artifact.is_abandoned(path):
            artifact.remove(path)


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
        remedy = (
            "take that file from a backup, or move the voice away and import an export of it; "
            f"`twin voice delete {path.name}` deletes it"
        )
    manifest = artifact.read_manifest(path, kind="voice", remedy=remedy)
    try:
        name, made = artifact.text(manifest["name"]), _moment(manifest["created_at"])
    except (KeyError, ValueError):
        raise TwinError(f"{path / artifact.MANIFEST} is damaged; {remedy}") from None
    return Voice(path, name, made)


def all_(directory: Path) -> list[Voice]:
    """Every voice in `directory`, by name; damaged ones are not among them."""
    found = []
    for path in _artifacts(directory):
        with suppress(TwinError):  # `damaged` tells
            found.append(load(path))
    return sorted(found, key=lambda voice: (voice.name.lower(), voice.id))


def damaged(directory: Path) -> list[str]:
    """For each voice in `directory` that cannot be read: which, and what to do about it."""
    found = []
    for path in _artifacts(directory):
        try:
            load(path)
        except TwinError as error:
            found.append(str(error))
    return found + [
        f"{path} has recordings, and {artifact.MANIFEST} is gone: `twin voice record --name "
        f"{path.name}` takes them up again"
        for path in belongings(directory)
        if not path.name.startswith(".") and not (path / artifact.MANIFEST).exists()
    ]


def find(directory: Path, wanted: str = "") -> Voice:
    """A voice by its id or its name; the only one there is, where nothing is said.

    Raises TwinError when that is none or several, and says which there are; or when it is damaged.
    """
    if re.fullmatch(_ID, wanted) and (directory / wanted / artifact.MANIFEST).exists():
        return load(directory / wanted)
    known = all_(directory)
    if not known:
        missing = f"no voice is called {wanted!r}: " if wanted else ""
        if problems := damaged(directory):
            raise TwinError(f"{missing}{'; '.join(problems)}")
        raise TwinError(
            f"{missing}there is no voice yet; `twin voice record --name NAME` records one, "
            "`twin voice add FILE… --name NAME` makes one of recordings"
        )
    listed = ", ".join(voice.id for voice in known)
    found = [voice for voice in known if not wanted or voice.name.lower() == wanted.lower()]
    match found:
        case [voice]:
            return voice
        case []:
            raise TwinError(f"no voice is called {wanted!r}; there are: {listed}")
        case _:
            ids = ", ".join(voice.id for voice in found)
            raise TwinError(f"which voice? say its id: {ids}")


def locate(directory: Path, wanted: str) -> Path:
    """Where a voice lies, found as by `find`; by its id one that is damaged, too."""
    path = directory / wanted
    if re.fullmatch(_ID, wanted) and path.is_dir() and (_is_ours(path) or _has_parts(path)):
        return path
    return find(directory, wanted).path


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


def _has_parts(path: Path) -> bool:
    """Whether a directory has parts of a voice, and nothing else."""
    if not path.is_dir():
        return False
    found = {one.name for one in path.iterdir() if not one.name.startswith(".")}
    return bool(found) and found <= {*PARTS, *PAGES, artifact.MANIFEST}


def _artifacts(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [
        path
        for path in sorted(directory.iterdir())
        if not path.name.startswith(".") and (path / artifact.MANIFEST).exists()
    ]


def _id(name: str) -> str:
    """The id that a name makes; empty where it has letters, but none of ours.

    Raises TwinError when it has none at all, or the bundled voice has that id.
    """
    apart = unicodedata.normalize("NFKD", name).casefold().translate(_LETTERS)
    letters = "".join(letter for letter in apart if not unicodedata.combining(letter))
    voice_id = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40].strip("-")
    if voice_id in RESERVED or not any(letter.isalnum() for letter in name):
        raise TwinError(f"{name!r} is no name for a voice; use some letters, such as --name ana")
    return voice_id


def _plain(name: str) -> str:
    """An id that names a directory beside the others, and nothing above them."""
    if not re.fullmatch(_ID, name):
        raise TwinError(f"{name!r} is no id; `twin voice list` shows those there are")
    return name


def _load_take(path: Path) -> Take:
    voice_id = path.parent.parent.name
    remedy = (
        f"`twin voice add {shlex.quote(str(path))} --emotion EMOTION --voice {voice_id}` takes its "
        f"recording up again, `twin voice drop {voice_id} {path.name}` forgets it"
    )
    manifest = artifact.read_manifest(path, kind="take", remedy=remedy)
    try:
        return _parsed(path, manifest)
    except (KeyError, TypeError, ValueError):
        raise TwinError(f"{path / artifact.MANIFEST} is damaged; {remedy}") from None


def _parsed(path: Path, manifest: Mapping[str, Any]) -> Take:
    """A manifest as a take. Raises KeyError, TypeError or ValueError when it is none."""
    found = {name: artifact.text(value) for name, value in manifest.items() if name not in _OTHERS}
    take = Take(
        **found,
        path=path,
        added_at=_moment(manifest["added_at"]),
        seconds=artifact.number(manifest["seconds"]),
        sample_rate=artifact.count(manifest["sample_rate"]),
        channels=artifact.count(manifest["channels"]),
    )
    artifact.text(take.suffix, SUFFIX)
    artifact.text(take.sha256, SHA256)
    artifact.text(take.sound, f"({SHA256})?")
    if take.emotion not in EMOTIONS or take.id != take.sha256[:ID_DIGITS] or take.seconds < 0:
        raise ValueError("not a take")
    return take


_OTHERS = ("added_at", "seconds", "sample_rate", "channels")
"""Fields of a take that are no texts."""


def _moment(value: object) -> datetime:
    """A time with its zone. Raises ValueError when it is none."""
    moment = datetime.fromisoformat(artifact.text(value))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
