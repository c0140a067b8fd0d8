"""A voice as one encrypted file, to keep elsewhere or to take to another machine, and back.

The file is a tar of two files in the age format (https://age-encryption.org/v1):

    key.age         an age identity, made for this file alone, sealed with the passphrase (scrypt)
    voice.tar.age   the voice's directory as a tar, encrypted to that identity

The usual tools open it without AI Twin, asking for the passphrase:

    tar -xf ana.voice && age -d -i key.age voice.tar.age | tar -x

Why two: pyrage takes a passphrase only with the whole content in memory, and everything that
streams only with a key. A voice may be larger than the memory, a key never is. That a key is kept
sealed by a passphrase is a use that age itself provides for. All cryptography is age's.

What is encrypted passes through in pieces, and is nowhere on disk in the clear outside of the
voice's own directory. Left out is what follows from the rest: embeddings, report, and what hides
behind a dot. Does not ask for passphrases.
"""

import os
import re
import shlex
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import IO, Any

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent as consents
from aitwin.voice import voices
from aitwin.voice.consent import Consent
from aitwin.voice.voices import COPIED, Voice

KEY, CONTENT = "key.age", "voice.tar.age"
LEAST_PASSPHRASE = 8
"""Characters. scrypt makes a guess cost a second; eight of them, thought up, last for years."""
PARTS = ("takes", "prepared", "consent", consents.IMPORTED, "profile", "sessions")
"""What of a voice's directory is exported, with its own manifest."""
KEY_LIMIT = 4096
"""Bytes; a sealed identity has some 300."""
MANIFEST_LIMIT = 1 << 16
"""Bytes of a voice's own manifest, which is read before anything is written."""
MEMBERS = 100_000
"""Files; an hour of takes, two or three seconds each, has some 5,000."""
BLOCK = tarfile.BLOCKSIZE

_PLACE = re.compile(
    rf"takes/[0-9a-f]{{{voices.ID_DIGITS}}}/(?:manifest\.json|original{voices.SUFFIX})"
    rf"|(?:consent|{consents.IMPORTED})/(?:manifest\.json|consent{voices.SUFFIX})"
    r"|(?:prepared|profile|sessions)(?:/[A-Za-z0-9][\w.-]{0,99}){1,3}",
    re.ASCII,
)
"""A file of a voice, relative to its directory; no name begins with a dot."""


@dataclass(frozen=True)
class Member:
    """A file that is exported."""

    path: Path
    name: str
    """In the tar: "ana/takes/1f3a…/manifest.json"."""
    size: int


@dataclass(frozen=True)
class Imported:
    """What came out of a file."""

    voice: Voice
    consent: Consent | None = field(repr=False)
    """Kept at consent.IMPORTED: it allows nothing here."""
    problems: tuple[str, ...]
    """What is damaged in the file, and was left out."""


def check_passphrase(passphrase: str) -> str:
    """The passphrase itself. Raises TwinError when it is too short to protect anything."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise TwinError(
            f"a passphrase of {len(passphrase)} characters is soon guessed; take at least "
            f"{LEAST_PASSPHRASE}, better four or five words"
        )
    return passphrase


def check_target(target: Path, *, force: bool = False) -> Path:
    """The path itself. Raises TwinError when no export may be written there."""
    if target.is_dir():
        raise TwinError(f"{target} is a directory; name a file in it: {target / 'ana.voice'}")
    if not target.parent.is_dir():
        raise TwinError(
            f"{target.parent} is not there: plug in the disk that it is on, or make the directory"
        )
    if target.exists() and not force:
        raise TwinError(
            f"{target} is there already; choose another name, or replace it with --force"
        )
    return target


def export(voice: Voice, target: Path, passphrase: str, *, force: bool = False) -> int:
    """Write a voice into one encrypted file of mode 0600; returns how many files are in it.

    Raises TwinError when the passphrase is weak, `target` is there and `force` is not given, a take
    is damaged (so that no copy lacks one in silence), or the voice changes meanwhile; whatever was
    at `target` before is then still there.
    """
    from pyrage import encrypt_io, x25519
    from pyrage import passphrase as sealing

    check_passphrase(passphrase)
    check_target(target, force=force)
    if problems := [*voice.damaged(), *_changed(voice)]:
        raise TwinError(f"nothing was exported: {'; '.join(problems)}")
    members = _members(voice)
    identity = x25519.Identity.generate()
    key = sealing.encrypt(f"{identity}\n".encode(), passphrase)
    content = _Pulled(_tar(members))
    with artifact.writing(target) as file:
        file.write(_header(KEY, len(key)) + key + bytes(-len(key) % BLOCK))
        # The size is known at the end only: age pads its head by chance.
        head = file.tell()
        file.write(bytes(BLOCK))
        start = file.tell()
        try:
            encrypt_io(content, file, [identity.to_public()])
        except Exception:
            # pyrage reports what its reader raised as an error of its own, in words alone.
            if content.failure is not None:
                raise content.failure from None
            raise
        size = file.tell() - start
        file.write(bytes(-size % BLOCK + 2 * BLOCK))
        file.seek(head)
        file.write(_header(CONTENT, size))
    return len(members)


def import_(source: Path, directory: Path, passphrase: str, name: str = "") -> Imported:
    """Take an exported voice into `directory`, under another `name` where one is given.

    A take that is damaged inside is left out. Raises TwinError when the file is no exported voice,
    is damaged or cut off, the passphrase is another, or there is a voice of that name already;
    nothing is left behind then.
    """
    artifact.make_private_dir(directory)
    voices.tidy(directory)
    with _opened(source) as (key, content):
        identity = _unsealed(key, passphrase, source)
        # Nothing is compressed: what comes out is no larger than what went in.
        size, free = source.stat().st_size, shutil.disk_usage(directory).free
        if free < size:
            raise TwinError(
                f"{source} needs {size / 1e9:.1f} GB, and {directory} has {free / 1e9:.1f} GB "
                "free; make room, and run it again"
            )
        with _decrypting(content, identity, source) as decrypted:
            return _unpack(decrypted, directory, name)


def _changed(voice: Voice) -> Iterator[str]:
    """Takes whose recording is not the one that came; an import would not take them."""
    for take in voice.takes():
        if not take.original.is_file():
            yield (
                f"the recording of take {take.id} is gone; `twin voice drop {voice.id} {take.id}` "
                "forgets the take"
            )
        elif artifact.sha256(take.original) != take.sha256:
            yield (
                f"{take.original} has changed since it came; `twin voice add "
                f"{shlex.quote(str(take.original))} "
                f"--emotion {take.emotion} --voice {voice.id}` takes it as it is now, then forget "
                f"what it was: `twin voice drop {voice.id} {take.id}`"
            )


def _members(voice: Voice) -> list[Member]:
    """A voice's files, its own manifest first: an import learns from it what it imports."""
    files = [voice.path / artifact.MANIFEST]
    for part in PARTS:
        files += sorted(path for path in (voice.path / part).rglob("*") if path.is_file())
    found = []
    for path in files:
        place = path.relative_to(voice.path).as_posix()
        if "/." in f"/{place}":
            continue  # half made
        if place != artifact.MANIFEST and not _PLACE.fullmatch(place):
            raise TwinError(f"{path} is no part of a voice; move it away, and run it again")
        found.append(Member(path, f"{voice.id}/{place}", path.stat().st_size))
    return found


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    # GNU's form holds sizes over 8 GB in the one block that was left for it; all tools read it.
    return info.tobuf(tarfile.GNU_FORMAT)


def _tar(members: Iterable[Member]) -> Iterator[bytes]:
    """The members as a tar, in pieces. Dates and owners are left out: they say nothing."""
    for member in members:
        yield _header(member.name, member.size)
        left = member.size
        with member.path.open("rb") as file:
            while left and (block := file.read(min(COPIED, left))):
                left -= len(block)
                yield block
            if left or file.read(1):
                raise TwinError(f"{member.path} changed while it was exported; run it again")
        yield bytes(-member.size % BLOCK)
    yield bytes(2 * BLOCK)


class _Pulled:
    """Pieces as a file that is read; keeps what went wrong in making them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.failure: BaseException | None = None
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except BaseException as error:  # Ctrl-C, too, which would end as an error of pyrage's
            self.failure = error
            raise
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)


@contextmanager
def _opened(source: Path) -> Iterator[tuple[bytes, IO[bytes]]]:
    """The sealed key, and the encrypted content."""
    unknown = TwinError(f"{source} is no exported voice; `twin voice export` makes one")
    try:
        mode = source.stat().st_mode
        # A pipe never ends, and is never there again from its beginning.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise TwinError(f"{source} is not a file; save the exported voice as a file first")
        archive = tarfile.open(source, "r:")  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        raise TwinError(f"{source} is not there; check the path") from None
    except IsADirectoryError:
        raise TwinError(f"{source} is a directory; give the file of an exported voice") from None
    except tarfile.TarError:
        raise unknown from None
    with archive:
        try:
            members = [member for member in (archive.next(), archive.next()) if member]
            files = [file for member in members if (file := archive.extractfile(member))]
            if [member.name for member in members] != [KEY, CONTENT] or len(files) != len(members):
                raise unknown
            key, content = files[0].read(KEY_LIMIT), files[1]
        except tarfile.TarError:
            raise unknown from None
        yield key, content


def _unsealed(key: bytes, passphrase: str, source: Path) -> Any:
    """The identity that the content is encrypted to."""
    from pyrage import DecryptError, IdentityError, x25519
    from pyrage import passphrase as sealing

    try:
        return x25519.Identity.from_str(sealing.decrypt(key, passphrase).decode().strip())
    except DecryptError:
        raise TwinError(
            f"{source} does not open: the passphrase is not the one that it was exported with, or "
            "its beginning is damaged"
        ) from None
    except (IdentityError, UnicodeDecodeError):
        raise _broken(source) from None


def _broken(source: Path) -> TwinError:
    return TwinError(f"{source} is damaged or cut off; copy it again, or export the voice again")


def _strange(source: Path) -> TwinError:
    return TwinError(
        f"{source} holds something that is no part of a voice; nothing of it was taken"
    )


class _Decrypted:
    """The content's tar, a piece at a time, while another thread decrypts what follows."""

    def __init__(self, content: IO[bytes], identity: Any, source: Path) -> None:
        self.source = source
        self._failed = False
        read, write = os.pipe()
        self._file = os.fdopen(read, "rb")
        # Unbuffered: what is left in a buffer could only fail again when it is closed.
        self._pipe = os.fdopen(write, "wb", buffering=0)
        self._thread = Thread(target=self._decrypt, args=(content, identity), daemon=True)
        self._thread.start()

    def _decrypt(self, content: IO[bytes], identity: Any) -> None:
        from pyrage import DecryptError, decrypt_io

        with self._pipe:
            try:
                decrypt_io(content, self._pipe, [identity])
            except (DecryptError, OSError, tarfile.TarError):
                self._failed = True

    def files(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        """Name, size and content of each file, in order; read it before the next.

        Raises TwinError when there is anything but files, or too many of them, and when the whole
        is not what was exported: at the end all of it is authenticated. (A piece that is damaged
        may raise TarError before.)
        """
        with tarfile.open(fileobj=self._file, mode="r|") as tar:
            for count, member in enumerate(tar):
                # A sparse file would be larger here than what it takes in the tar.
                plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
                if not plain or member.issparse() or count >= MEMBERS:
                    raise _strange(self.source)
                content = tar.extractfile(member)
                if content is None:
                    raise _strange(self.source)
                yield member.name, member.size, content
        while self._file.read(COPIED):
            pass  # to the end, so that it is known to be the end
        self._thread.join()
        if self._failed:
            raise _broken(self.source)

    def close(self) -> None:
        """Stop, wherever it is."""
        self._file.close()
        self._thread.join()


@contextmanager
def _decrypting(content: IO[bytes], identity: Any, source: Path) -> Iterator[_Decrypted]:
    decrypted = _Decrypted(content, identity, source)
    try:
        yield decrypted
    except tarfile.TarError:
        raise _broken(source) from None
    finally:
        decrypted.close()


def _unpack(decrypted: _Decrypted, directory: Path, name: str) -> Imported:
    files = decrypted.files()
    place, size, content = next(files, ("", 0, None))
    own, _, manifest = place.partition("/")
    if content is None or manifest != artifact.MANIFEST or size > MANIFEST_LIMIT:
        raise _strange(decrypted.source)
    target = voices.place(directory, name or own)
    if any(path.is_file() for path in (target, *target.rglob("*"))):
        raise TwinError(
            f"a voice is called {target.name} already; import this one under another name: "
            "--name NAME"
        )
    with artifact.building(target) as scratch:
        artifact.write_private(scratch / artifact.MANIFEST, content.read())
        for file_name, _, content in files:
            above, _, place = file_name.partition("/")
            if above != own or not _PLACE.fullmatch(place) or (scratch / place).exists():
                raise _strange(decrypted.source)
            with artifact.writing(scratch / place) as file:
                shutil.copyfileobj(content, file, COPIED)
        voice = _own(scratch, decrypted.source)
        if name:
            voices.write(replace(voice, name=name))
        problems = [*_left_out(voice, decrypted.source)]
        if problems and not voice.takes():
            raise TwinError("\n".join([*problems, "no take is left, so nothing was imported"]))
        given = _set_aside(scratch, decrypted.source, problems)
    return Imported(voices.load(target), given, tuple(problems))


def _own(scratch: Path, source: Path) -> Voice:
    """The voice as its manifest says. Raises TwinError when that is damaged."""
    try:
        voice = voices.load(scratch)
    except TwinError:
        raise _strange(source) from None
    if not voice.name.isprintable():
        raise _strange(source)  # it is shown on a terminal, which takes orders
    return voice


def _left_out(voice: Voice, source: Path) -> Iterator[str]:
    """Delete takes that are not what they say, and preparations of none; tells what was left out.

    Another's take of that form need not be one, and a recording is named by its content.
    """
    whole = {take.id: take for take in voice.takes()}
    for path in sorted(voice.path.glob("takes/*")):
        take = whole.get(path.name)
        files = {file.name for file in path.iterdir()}
        if (
            take is None
            or files != {artifact.MANIFEST, take.original.name}
            or artifact.sha256(take.original) != take.sha256
        ):
            artifact.remove(path)
            yield f"take {path.name} is damaged in {source}, and was left out; export it again"
    for path in sorted(voice.path.glob("prepared/*")):
        if not (voice.path / "takes" / path.name).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _set_aside(scratch: Path, source: Path, problems: list[str]) -> Consent | None:
    """Keep the consent that came along where it allows nothing; None where there is none."""
    own, aside = scratch / "consent", scratch / consents.IMPORTED
    if own.exists():
        shutil.rmtree(aside, ignore_errors=True)
        own.rename(aside)
    if not aside.exists():
        return None
    with suppress(TwinError):
        if given := consents.load(aside):
            return given
    shutil.rmtree(aside)
    problems.append(f"the consent is damaged in {source}, and was left out")
    return None
