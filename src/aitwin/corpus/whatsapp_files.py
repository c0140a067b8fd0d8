"""The text inside a WhatsApp export, a .txt or the .zip around it, as lines.

Nothing is unpacked to disk and nothing is held but one chunk. Knows that a chat starts with a
header (see whatsapp_headers), and nothing else of what the lines mean.
"""

import codecs
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import IO

from aitwin.corpus.whatsapp_headers import Shape, settle
from aitwin.errors import TwinError

PEEK = 1 << 16  # bytes that decide whether a file is a chat
CHUNK = 1 << 18  # characters per read
LONGEST = 1 << 20  # characters of one message; WhatsApp allows 65,536
LARGEST = 1 << 30  # bytes of a zipped chat; a million messages are about 0.1 GB
RATIO = 200  # zipped chats shrink 3 to 50 times, bombs about 1,000 times

# What zipfile lets through when a zip is cut or mangled; ValueError also of names and offsets.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


def shape_in(path: Path) -> Shape | None:
    """The shape of the headers of a chat; None when the file is no chat."""
    with _open(path) as chat:
        return chat[2] if chat else None


def chunks(path: Path) -> Iterator[list[str]]:
    """The lines of a chat, without their ends, many at a time."""
    with _open(path) as chat:
        if chat is None:
            raise TwinError(
                f"{path}: not a WhatsApp chat (no line starts with a date and a time as WhatsApp "
                "writes them); in WhatsApp: More > Export chat"
            )
        file, encoding, _ = chat
        # Only \r and \n end a line: people write U+2028, form feeds and the like.
        stream = TextIOWrapper(file, encoding=encoding, errors="replace")
        rest = ""
        while chunk := stream.read(CHUNK):
            *lines, rest = (rest + chunk).split("\n")
            if len(rest) > LONGEST:
                raise TwinError(f"{path}: a line of over {LONGEST:,} characters: not a chat")
            yield lines
        if rest:
            yield [rest]


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], str, Shape] | None]:
    """The bytes of a chat, their encoding and the shape of its headers; None if it is no chat."""
    with ExitStack() as stack:
        try:
            if zipfile.is_zipfile(path):
                archive = stack.enter_context(zipfile.ZipFile(path))
                member = _member(path, archive)
                file = stack.enter_context(archive.open(member)) if member else None
            else:
                file = stack.enter_context(path.open("rb")) if path.is_file() else None
            start = file.read(PEEK) if file else b""
            shape = _shape(start)
            if file is None or shape is None:
                yield None
                return
            file.seek(0)
            yield file, _encoding(start), shape
        except OSError as error:
            if error.errno is None:  # of a decompressor
                raise _damaged(path, error) from None
            raise TwinError(f"{path}: cannot be read ({error.strerror}); check the file") from None
        except _DAMAGED as error:
            raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> TwinError:
    why = type(error).__name__
    return TwinError(f"{path}: the zip is damaged ({why}); export the chat again")


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """The one chat in a zip. Media exports may hold other texts: the content decides."""
    chats = []
    for info in archive.infolist():
        if info.filename.lower().endswith(".txt") and not info.filename.startswith("__MACOSX/"):
            _refuse_tricks(path, info)
            with archive.open(info) as file:
                if _shape(file.read(PEEK)):
                    chats.append(info)
    named = [info for info in chats if PurePosixPath(info.filename).name == "_chat.txt"]
    chats = named if len(named) == 1 else chats
    if len(chats) > 1:
        raise TwinError(f"{path}: holds {len(chats)} chats; unzip it and add them one by one")
    return chats[0] if chats else None


def _refuse_tricks(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse what no phone writes: bombs, links, names that point elsewhere; and passwords."""
    name = PurePosixPath(info.orig_filename.replace("\\", "/"))
    problems = {
        "a path that points outside": name.is_absolute() or ".." in name.parts,
        "a name with a zero byte": "\0" in info.orig_filename,
        "a link": stat.S_ISLNK(info.external_attr >> 16),
        "a password": bool(info.flag_bits & 1),
        "a text too large for a chat": info.file_size > LARGEST
        or info.file_size > max(CHUNK, RATIO * info.compress_size),
    }
    if found := [problem for problem, is_so in problems.items() if is_so]:
        raise TwinError(f"{path}: refused: it holds {' and '.join(found)}; export the chat again")


def _encoding(start: bytes) -> str:
    """UTF-8, unless a byte order mark or the bytes beyond ASCII say that an editor changed it."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    # Incremental, for the peek may end within a character.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(start)
    broken = text.count("\ufffd")
    return "cp1252" if broken * 2 > sum(char > "\x7f" for char in text) else "utf-8"


def _shape(start: bytes) -> Shape | None:
    text = start.decode(_encoding(start), "replace")
    return None if "\0" in text[:1024] else settle(re.split(r"\r\n?|\n", text)[:200])
