"""Many files as one that is encrypted with a passphrase, and back, in pieces.

The file is a tar of two files in the age format (https://age-encryption.org/v1):

    key.age         an age identity, made for this file alone, sealed with the passphrase (scrypt)
    CONTENT.tar.age the files as a tar, encrypted to that identity

The usual tools open it without AI Twin, asking for the passphrase:

    tar -xf FILE && age -d -i key.age CONTENT.tar.age | tar -x

Why two: pyrage takes a passphrase only with the whole content in memory, and everything that
streams only with a key. The content may be larger than the memory, a key never is. That a key is
kept sealed by a passphrase is a use that age itself provides for. All cryptography is age's.

What is encrypted passes through in pieces, and is nowhere on disk in the clear. Does not ask for
passphrases, and does not know what the files are: see voice.sealed and backup.
"""

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

from aitwin import artifact
from aitwin.errors import TwinError

KEY = "key.age"
LEAST_PASSPHRASE = 8
"""Characters. scrypt makes a guess cost a second; eight of them, thought up, last for years."""
LEAST_KINDS = 5
"""Different characters in it: "aaaaaaaa" and "12121212" are the first that anybody tries."""
KEY_LIMIT = 4096
"""Bytes; a sealed identity has some 300."""
COPIED = 1 << 20
"""Bytes that are read at once."""
BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Kind:
    """What such files are called."""

    content: str
    """Name of the encrypted tar inside: "voice.tar.age"."""
    called: str
    """With its article: "an exported voice"."""
    maker: str
    """The command that makes it."""
    suffix: str
    """As files of this kind end by custom: ".voice"."""

    @property
    def name(self) -> str:
        """Without the article."""
        return self.called.partition(" ")[2]


@dataclass(frozen=True)
class Member:
    """A file that is sealed."""

    path: Path
    name: str
    """In the tar: "ana/takes/1f3a…/manifest.json"."""
    size: int


def check_passphrase(passphrase: str) -> str:
    """The passphrase itself. Raises TwinError when it is too weak to protect anything."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise TwinError(
            f"a passphrase of {len(passphrase)} characters is soon guessed; take at least "
            f"{LEAST_PASSPHRASE}, better four or five words"
        )
    if len(set(passphrase)) < LEAST_KINDS:
        raise TwinError(
            f"a passphrase of {len(set(passphrase))} different characters is soon guessed; take "
            "four or five words"
        )
    return passphrase


def check_target(target: Path, kind: Kind, *, force: bool = False) -> Path:
    """The path itself. Raises TwinError when nothing may be written there."""
    if target.is_dir():
        raise TwinError(
            f"{target} is a directory; name a file in it: {target / f'twin{kind.suffix}'}"
        )
    if not target.parent.is_dir():
        raise TwinError(
            f"{target.parent} is not there: plug in the disk that it is on, or make the directory"
        )
    if target.exists() and not force:
        raise TwinError(
            f"{target} is there already; choose another name, or replace it with --force"
        )
    return target


def seal(target: Path, kind: Kind, members: Iterable[Member], passphrase: str) -> None:
    """Write the members into one encrypted file of mode 0600, which takes the place of `target`.

    Raises TwinError when one of them changes meanwhile; whatever was there before then still is.
    """
    from pyrage import encrypt_io, x25519
    from pyrage import passphrase as sealing

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
        file.write(_header(kind.content, size))


@contextmanager
def unsealed(source: Path, kind: Kind, passphrase: str, most: int) -> Iterator["Decrypted"]:
    """What is in such a file: at most `most` files.

    Raises TwinError when it is none, is damaged or cut off, or the passphrase is another.
    """
    with _opened(source, kind) as (key, content):
        identity = _identity(key, passphrase, source, kind)
        decrypted = Decrypted(content, identity, source, kind, most)
        try:
            yield decrypted
        except tarfile.TarError:
            raise decrypted.broken() from None
        finally:
            decrypted.close()


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
def _opened(source: Path, kind: Kind) -> Iterator[tuple[bytes, IO[bytes]]]:
    """The sealed key, and the encrypted content."""
    unknown = TwinError(f"{source} is no {kind.name}; `{kind.maker}` makes one")
    try:
        mode = source.stat().st_mode
        # A pipe never ends, and is never there again from its beginning.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise TwinError(f"{source} is not a file; save it as a file first")
        archive = tarfile.open(source, "r:")  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        raise TwinError(f"{source} is not there; check the path") from None
    except IsADirectoryError:
        raise TwinError(f"{source} is a directory; give the file of {kind.called}") from None
    except tarfile.TarError:
        raise unknown from None
    with archive:
        try:
            members = [member for member in (archive.next(), archive.next()) if member]
            files = [file for member in members if (file := archive.extractfile(member))]
            if [member.name for member in members] != [KEY, kind.content] or len(files) != len(
                members
            ):
                raise unknown
            key, content = files[0].read(KEY_LIMIT), files[1]
        except tarfile.TarError:
            raise unknown from None
        yield key, content


def _identity(key: bytes, passphrase: str, source: Path, kind: Kind) -> Any:
    """The identity that the content is encrypted to."""
    from pyrage import DecryptError, IdentityError, x25519
    from pyrage import passphrase as sealing

    try:
        return x25519.Identity.from_str(sealing.decrypt(key, passphrase).decode().strip())
    except DecryptError:
        raise TwinError(
            f"{source} does not open: the passphrase is not the one that it was made with, or "
            "its beginning is damaged"
        ) from None
    except (IdentityError, UnicodeDecodeError):
        raise _broken(source, kind) from None


def _broken(source: Path, kind: Kind) -> TwinError:
    return TwinError(
        f"{source} is damaged or cut off; copy it again, or make it again with `{kind.maker}`"
    )


class Decrypted:
    """The content's tar, a piece at a time, while another thread decrypts what follows."""

    def __init__(
        self, content: IO[bytes], identity: Any, source: Path, kind: Kind, most: int
    ) -> None:
        self.source = source
        self._kind, self._most = kind, most
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
                if not plain or member.issparse() or count >= self._most:
                    raise self.strange()
                content = tar.extractfile(member)
                if content is None:
                    raise self.strange()
                yield member.name, member.size, content
        while self._file.read(COPIED):
            pass  # to the end, so that it is known to be the end
        self._thread.join()
        if self._failed:
            raise self.broken()

    def strange(self) -> TwinError:
        """The error for what does not belong in such a file."""
        return TwinError(
            f"{self.source} holds something that is no part of {self._kind.called}; nothing of it "
            "was taken"
        )

    def broken(self) -> TwinError:
        """The error for a file that is not whole."""
        return _broken(self.source, self._kind)

    def close(self) -> None:
        """Stop, wherever it is."""
        self._file.close()
        self._thread.join()
