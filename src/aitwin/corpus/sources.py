"""The formats that can be read, and which of them each file is.

A file's content decides, never its name, and exactly one reader must claim it. Nothing is passed
over in silence: every file that is not read is listed with a reason.
"""

import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aitwin.corpus import mail, whatsapp
from aitwin.corpus.messages import Message
from aitwin.corpus.report import Skipped
from aitwin.corpus.whatsapp import Siblings
from aitwin.corpus.whatsapp_headers import DateOrder
from aitwin.errors import TwinError

_TRASHED = re.compile(r":2,[A-Z]*T")
"""Flags at the end of a file's name in a Maildir (cr.yp.to/proto/maildir.html)."""
PEEK = 4096  # bytes: enough to tell text from anything else


class Reader(Protocol):
    """What a module must have to be a source."""

    def recognises(self, path: Path) -> bool:
        """Whether the file is of this format, by its content."""

    def read(self, path: Path, skipped: Skipped) -> Iterator[Message]:
        """Its messages; what cannot become one is counted in `skipped`."""


SOURCES: dict[str, Reader] = {"mail": mail, "whatsapp": whatsapp}


@dataclass(frozen=True)
class Found:
    """A file that was given, or met in a folder."""

    path: Path
    format: str = ""
    """The name of its reader in SOURCES; empty when nobody reads it."""
    reason: str = ""
    """Why it is not read; empty when it is."""
    named: bool = True
    """Whether the owner named this very file: then not reading it is an error, not a remark."""
    error: str = ""
    """What is wrong with a file that a reader knows and cannot take: an error in a folder too."""

    @property
    def bytes(self) -> int:
        """What there is to read: nothing where nobody reads it."""
        # Apple's bundle is a directory; what is in it is as long as the file called mbox.
        file = self.path / "mbox" if self.path.is_dir() else self.path
        try:
            return file.stat().st_size if self.format else 0
        except OSError:  # gone since it was found; reading it will say so
            return 0

    def read(
        self,
        skipped: Skipped,
        date_order: DateOrder | None = None,
        siblings: Siblings | None = None,
    ) -> Iterator[Message]:
        """The messages of a file that has a reader, whole."""
        if self.format == "whatsapp":
            return whatsapp.read(self.path, skipped, date_order, siblings)
        return SOURCES[self.format].read(self.path, skipped)

    def refusal(self) -> TwinError:
        """What to tell the owner about a file that should have been read and cannot be."""
        return TwinError(
            self.error
            or f"{self.path} was not imported: {self.reason}; "
            "give a mailbox (.mbox, .eml, .emlx) or a WhatsApp export (.txt, .zip)"
        )


def find(paths: Iterable[Path]) -> list[Found]:
    """Every file under `paths` with its reader, or with the reason why it has none.

    Raises TwinError when a path does not exist: that is a slip of the owner's, to mend at once.
    """
    found: dict[Path, Found] = {}
    for path in paths:
        if not os.path.lexists(path):
            raise TwinError(f"{path} does not exist; check the spelling of the path")
        if not path.is_dir():
            found[place(path)] = detect(path)
            continue
        for file in _walk(path, found):
            found.setdefault(place(file), detect(file, inside=path))
    return list(found.values())


def place(path: Path) -> Path:
    """Where a file really is: one name for it, however it was given."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself, a folder that is locked
        return path.absolute()


def detect(path: Path, inside: Path | None = None) -> Found:
    """Which reader a file belongs to; `inside` is the folder that was given instead of it."""
    named = inside is None
    if inside is not None and _hidden(path.relative_to(inside), inside):
        return Found(path, reason="hidden file", named=False)
    if path.parent.name == "cur" and _TRASHED.search(path.name):
        return Found(path, reason="in the trash of a Maildir", named=named)
    try:
        if path.stat().st_size == 0:
            return Found(path, reason="the file is empty", named=named)
        claims = [name for name, reader in SOURCES.items() if reader.recognises(path)]
        if len(claims) == 1:
            return Found(path, format=claims[0], named=named)
        if not claims:
            return Found(path, reason=_what(path), named=named)
    except TwinError as error:
        return Found(path, reason="damaged or refused", named=named, error=str(error))
    except PermissionError:
        return Found(path, reason="no permission to read it", named=named)
    except FileNotFoundError:
        return Found(path, reason="a link to nothing", named=named)
    except OSError as error:
        return Found(path, reason=f"cannot be read ({error.strerror})", named=named)
    both = (
        f"{path} looks like {' and like '.join(claims)}; "
        "please report this, and leave the file out for now"
    )
    return Found(path, reason="two readers claim it", named=named, error=both)


def _walk(folder: Path, found: dict[Path, Found]) -> Iterator[Path]:
    """The files below a folder, always in the same order; what cannot be entered is in `found`."""

    def locked(error: OSError) -> None:
        path = Path(error.filename)
        found[place(path)] = Found(path, reason="a folder without permission to read", named=False)

    files = []
    for root, folders, names in os.walk(folder, onerror=locked):
        here = Path(root)
        for path in (here / name for name in folders):
            if path.is_symlink():  # it may lead anywhere, also in circles
                found[place(path)] = Found(path, reason="a link to a folder", named=False)
        files += [here / name for name in names]
    yield from sorted(files)


def _hidden(path: Path, folder: Path) -> bool:
    """Whether a file is none of the owner's business; folders of a Maildir are called ".Sent"."""
    for depth, part in enumerate(path.parts, start=1):
        if part.startswith("."):
            above = folder.joinpath(*path.parts[:depth])
            if not (above / "cur").is_dir():
                return True
    return False


def _what(path: Path) -> str:
    """What an unrecognised file is, in words that help."""
    if not path.is_file():
        return "not a file"
    with path.open("rb") as file:
        start = file.read(PEEK)
    if zipfile.is_zipfile(path):
        return _what_zip(path)
    if any(part.casefold() == "attachments" for part in path.parent.parts[-4:]):
        return "an attachment"
    if b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "a binary file, no mailbox or chat"
    return "text, but no mailbox (mbox, eml, emlx) and no WhatsApp chat"


def _what_zip(path: Path) -> str:
    """Takeout and Outlook.com hand out mail in zips: what is in them has to lie on the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.casefold() for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError):
        return "a damaged zip"
    if any(name.endswith((".mbox", ".eml", ".emlx")) for name in names):
        return "a zip of mail: unzip it, and add the folder"
    return "a zip without a WhatsApp chat in it"
