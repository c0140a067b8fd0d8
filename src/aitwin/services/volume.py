"""An encrypted volume as the system makes it: a sparse image on macOS, gocryptfs on Linux (V4, P4).

Knows how one is made, opened and closed; what lies in it: see vault. A passphrase goes to the
program by standard input, never as an argument, which every user of the machine could read.
"""

import os
import plistlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.services.commands import Commands, Done

SLOW = 120.0
"""Seconds for what encrypts, formats, or tells every program to let go of a volume."""
GIB = 1 << 30


class Volume(Protocol):
    """A place whose content is encrypted on disk."""

    @property
    def image(self) -> Path:
        """What lies on the disk."""
        ...

    @property
    def mount(self) -> Path:
        """Where the content is while it is open."""
        ...

    @property
    def exists(self) -> bool:
        """Whether it was made."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the content can be read now."""
        ...

    def create(self, passphrase: str, size: int) -> None:
        """Make it, with room for `size` bytes; closed. Raises TwinError."""
        ...

    def open(self, passphrase: str) -> None:
        """Mount it. Raises TwinError when the passphrase is another, or it cannot be."""
        ...

    def close(self, *, force: bool = False) -> None:
        """Unmount it. Raises TwinError while programs use it, unless they are to be cut off."""
        ...


@dataclass(frozen=True)
class SparseImage:
    """macOS: `hdiutil` (hdiutil(1)); AES-256, APFS, as many bands on disk as are filled."""

    image: Path
    mount: Path
    commands: Commands = field(repr=False)

    @property
    def exists(self) -> bool:
        """See Volume."""
        return self.image.exists()

    @property
    def is_open(self) -> bool:
        """See Volume."""
        return os.path.ismount(self.mount)

    def create(self, passphrase: str, size: int) -> None:
        """See Volume."""
        artifact.make_private_dir(self.image.parent)
        command = [
            *("hdiutil", "create", "-quiet", "-type", "SPARSEBUNDLE", "-fs", "APFS"),
            *("-encryption", "AES-256", "-stdinpass", "-volname", "AI Twin"),
            *("-size", f"{max(1, size // GIB)}g", str(self.image)),
        ]
        # To the end of the input, a line's end included: so none is sent.
        done = self.commands.run(command, stdin=passphrase, seconds=SLOW)
        if not done.ok:
            raise TwinError(f"the vault could not be made: {_said(done)}")
        with suppress(OSError):  # what is in it is encrypted; how much there is, is nobody's affair
            self.image.chmod(0o700)

    def open(self, passphrase: str) -> None:
        """See Volume."""
        # Not shown in the Finder; owners are kept, or all users of the Mac could read it.
        command = [
            *("hdiutil", "attach", "-plist", "-nobrowse", "-owners", "on", "-stdinpass"),
            *("-mountpoint", str(self.mount), str(self.image)),
        ]
        done = self.commands.run(command, stdin=passphrase, seconds=SLOW)
        if not done.ok:
            if "Authentication error" in done.text:
                raise wrong_passphrase()
            raise TwinError(f"the vault could not be opened: {_said(done)}")
        if not any(Path(place).resolve() == self.mount.resolve() for place in mounted(done.out)):
            raise TwinError(f"the vault was opened, but not at {self.mount}; twin vault close")

    def close(self, *, force: bool = False) -> None:
        """See Volume."""
        command = ["hdiutil", "detach", str(self.mount), *(["-force"] if force else [])]
        done = self.commands.run(command, seconds=SLOW)
        if not done.ok:
            raise _in_use(done, "Resource busy" in done.text or "couldn't unmount" in done.text)


def mounted(text: str) -> list[str]:
    """Mount points in what `hdiutil attach -plist` says."""
    try:
        answer: Any = plistlib.loads(text.encode())
        entities = answer["system-entities"]
        return [str(one["mount-point"]) for one in entities if "mount-point" in one]
    except (ValueError, KeyError, TypeError, plistlib.InvalidFileException):
        return []


@dataclass(frozen=True)
class Gocryptfs:
    """Linux: gocryptfs(1), which needs no administrator; `image` is a directory of cipher files.

    Names and contents are encrypted; how many files there are, and how large, is not.
    """

    image: Path
    mount: Path
    commands: Commands = field(repr=False)

    @property
    def exists(self) -> bool:
        """See Volume."""
        return (self.image / "gocryptfs.conf").is_file()

    @property
    def is_open(self) -> bool:
        """See Volume."""
        return os.path.ismount(self.mount)

    def create(self, passphrase: str, size: int) -> None:
        """See Volume."""
        artifact.make_private_dir(self.image)
        done = self.commands.run(
            ["gocryptfs", "-init", "-q", "-passfile", "/dev/stdin", str(self.image)],
            stdin=passphrase,
            seconds=SLOW,
        )
        if done.missing:
            raise TwinError(
                "gocryptfs is not installed; install it with your system's packages (Debian and "
                "Ubuntu: sudo apt install gocryptfs fuse3)"
            )
        if not done.ok:
            raise TwinError(f"the vault could not be made: {_said(done)}")

    def open(self, passphrase: str) -> None:
        """See Volume."""
        done = self.commands.run(
            ["gocryptfs", "-q", "-passfile", "/dev/stdin", str(self.image), str(self.mount)],
            stdin=passphrase,
            seconds=SLOW,
        )
        if done.code == WRONG_PASSWORD:
            raise wrong_passphrase()
        if not done.ok:
            raise TwinError(f"the vault could not be opened: {_said(done)}")

    def close(self, *, force: bool = False) -> None:
        """See Volume."""
        # Lazily: those who use it keep what they have open, nobody else gets in.
        lazily = ["-z"] if force else []
        done = self.commands.run(["fusermount3", "-u", *lazily, str(self.mount)], seconds=SLOW)
        if done.missing:
            done = self.commands.run(["fusermount", "-u", *lazily, str(self.mount)], seconds=SLOW)
        if not done.ok:
            raise _in_use(done, "busy" in done.text)


WRONG_PASSWORD = 12
"""Of gocryptfs(1), "EXIT CODES"."""


def of(system: str, image: Path, mount: Path, commands: Commands) -> Volume:
    """The kind that `platform.system()` has."""
    kind = SparseImage if system == "Darwin" else Gocryptfs
    return kind(image, mount, commands)


def wrong_passphrase() -> TwinError:
    """The error for it."""
    return TwinError("the passphrase is not the vault's; nothing was opened")


def _in_use(done: Done, busy: bool) -> TwinError:
    if busy:
        return TwinError(
            "a program still uses the vault: stop it (twin services stop, other windows), or cut "
            "it off with `twin vault close --force`"
        )
    return TwinError(f"the vault could not be closed: {_said(done)}")


def _said(done: Done) -> str:
    return " ".join(done.text.split())[:200] or f"the program ended with {done.code}"
