"""The vault: the owner's private parts on an encrypted volume, opened with a passphrase (V4, P4).

In the home, the parts that moved in are links into the volume: `datasets -> vault/datasets`. While
it is locked they lead nowhere, so nothing is ever read from, or written to, the disk in its place;
home.Home says that it is locked. Moving in and out copies, compares, and only then deletes, and can
be run again when it was stopped.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import VAULT, VAULT_PARTS, Home
from aitwin.services import serving, volume
from aitwin.services.commands import Commands, System
from aitwin.services.finding import Finding
from aitwin.services.volume import Volume

DARWIN_IMAGE, LINUX_IMAGE = "twin.sparsebundle", "vault.encrypted"
MARKER = ".aitwin-vault"
"""Lies on the volume: what is at the mount point is the vault, and no empty directory."""
OF_THE_SYSTEM = frozenset(
    {
        *(".fseventsd", ".Trashes", ".Spotlight-V100", ".TemporaryItems", ".DS_Store"),
        *(".DocumentRevisions-V100", "lost+found"),
    }
)
"""What systems keep at the top of a volume by themselves."""
SPARE = 1.1
"""Of what moves in: free space that is asked for."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class State:
    """How the vault is doing."""

    exists: bool
    is_open: bool
    inside: tuple[str, ...]
    """Parts that lie in it."""
    outside: tuple[str, ...]
    """Private parts that lie on the disk as they are."""


class Vault:
    """The vault of a home."""

    def __init__(self, home: Home, commands: Commands | None = None) -> None:
        system = platform.system()
        image = home.root / (DARWIN_IMAGE if system == "Darwin" else LINUX_IMAGE)
        self.home = home
        self.volume: Volume = volume.of(system, image, home.root / VAULT, commands or System())

    def state(self) -> State:
        """What is where."""
        inside = tuple(part for part in VAULT_PARTS if (self.home.root / part).is_symlink())
        outside = tuple(
            part
            for part in VAULT_PARTS
            if part not in inside and _holds_something(self.home.root / part)
        )
        return State(self.volume.exists, self._is_open(), inside, outside)

    def create(
        self, passphrase: str, size: int, report: Report = lambda what, done, total: None
    ) -> State:
        """Make it, open it, and move the private parts in. Goes on where it was stopped."""
        self._require_rest()
        self.home.open()
        if not self.volume.exists:
            self.volume.create(passphrase, size)
        if not self._is_open():
            self.open(passphrase)
        for part in VAULT_PARTS:
            self._move_in(part, report)
        return self.state()

    def open(self, passphrase: str) -> None:
        """Raises TwinError when there is none, or the passphrase is another."""
        if not self.volume.exists:
            raise TwinError("there is no vault yet; `twin vault create` makes one")
        if self._is_open():
            return
        mount = self.volume.mount
        artifact.make_private_dir(mount)
        if any(mount.iterdir()):
            raise TwinError(
                f"{mount} is not empty, and the vault is not open: move away what is in there, and "
                "run it again"
            )
        self.volume.open(passphrase)
        with suppress(OSError):  # a fresh volume's top may be read by others
            mount.chmod(0o700)
        if not (mount / MARKER).is_file():
            artifact.write_private(mount / MARKER, "The vault of an AI Twin.\n")

    def close(self, *, force: bool = False) -> bool:
        """Lock it; whether it was open."""
        if not self.volume.is_open:
            return False
        self.volume.close(force=force)
        return True

    def dissolve(self, report: Report = lambda what, done, total: None) -> None:
        """Move everything out again, onto the disk as it is, and delete the vault."""
        if not self.volume.exists:
            raise TwinError("there is no vault")
        if not self._is_open():
            raise TwinError("the vault is locked; open it first: twin vault open")
        self._require_rest()
        if strange := self._strange():
            raise TwinError(
                f"{self.volume.mount} holds {', '.join(strange)}, which is not the twin's and "
                "would be deleted with the vault; move it elsewhere, and run it again"
            )
        for part in VAULT_PARTS:
            self._move_out(part, report)
        self.close()
        image = self.volume.image
        shutil.rmtree(image) if image.is_dir() else image.unlink()
        self.volume.mount.rmdir()

    def _is_open(self) -> bool:
        return self.volume.is_open and (
            (self.volume.mount / MARKER).is_file() or not any(self.volume.mount.iterdir())
        )

    def _require_rest(self) -> None:
        """Raise TwinError while the twin is served: what it writes then would be left behind."""
        if served := serving.running(self.home):
            ends = "Ctrl-C there" if served.by == "twin serve" else "twin services stop"
            raise TwinError(f"the twin is served, and may write to what moves; end that: {ends}")

    def _strange(self) -> list[str]:
        known = {MARKER, *VAULT_PARTS, *OF_THE_SYSTEM, *(f".{part}.moving" for part in VAULT_PARTS)}
        return sorted(path.name for path in self.volume.mount.iterdir() if path.name not in known)

    def _move_in(self, part: str, report: Report) -> None:
        link, inner = self.home.root / part, self.volume.mount / part
        aside = self.home.root / f".{part}.moved"
        if not link.is_symlink():
            _put_back(link, aside)
            if link.exists():
                self._copied_in(link, aside, report)
            artifact.make_private_dir(inner)
            link.symlink_to(Path(VAULT) / part)
        if aside.exists():
            shutil.rmtree(aside)

    def _copied_in(self, link: Path, aside: Path, report: Report) -> None:
        """Copy beside its place in the vault, compare, set the original aside, let the copy count.

        What the vault has already is never overwritten, and nothing in it is deleted.
        """
        inner = self.volume.mount / link.name
        if clashing := _clashing(link, inner):
            raise TwinError(
                f"{link.name} has {len(clashing)} files that the vault has otherwise, the first "
                f"{link / clashing[0]}; move away those that you do not want, and run it again "
                "(nothing was deleted)"
            )
        _require_room(link, self.volume.mount)
        staged = self.volume.mount / f".{link.name}.moving"
        _copied(link, staged, report)
        link.rename(aside)
        try:
            # Whoever wrote to it since it was compared has done so here: nobody finds it any more.
            if missed := _missed(aside, staged):
                raise _changed(link / missed[0])
            _merged(staged, inner)
        except BaseException:
            _put_back(link, aside)
            raise

    def _move_out(self, part: str, report: Report) -> None:
        link, inner = self.home.root / part, self.volume.mount / part
        if not _holds_something(inner):
            if link.is_symlink():
                link.unlink()
            return
        if link.is_symlink() or not link.exists():
            _require_room(inner, self.home.root)
            outer = self.home.root / f".{part}.moving"
            _copied(inner, outer, report)
            link.unlink(missing_ok=True)
            outer.rename(link)
        # A run may have been stopped here; or there was one outside of the vault as well.
        clashing = [name for name in _missed(inner, link) if not _same(inner / name, link / name)]
        if clashing:
            raise TwinError(
                f"the vault has {len(clashing)} files in {part} that are not, or otherwise, in "
                f"{link}, the first {inner / clashing[0]}; see which you want, move the others "
                "away, and run it again (nothing was deleted)"
            )
        shutil.rmtree(inner)


def finding(home: Home, commands: Commands) -> Finding:
    """For `twin doctor`: whether there is one, and whether what is private lies in it."""
    about = ("V4", "P4")
    state = Vault(home, commands).state()
    if not state.exists:
        evidence = "none; what is private is protected by the disk's own encryption alone"
        return Finding("vault", "ok", evidence, "twin vault create", requirements=about)
    if state.outside:
        named = ", ".join(state.outside)
        return Finding("vault", "bad", f"outside of it: {named}", "twin vault create", (), about)
    opened = "open" if state.is_open else "locked"
    return Finding("vault", "ok", f"{opened}, holds {', '.join(state.inside)}", requirements=about)


def _holds_something(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _require_room(source: Path, target: Path) -> None:
    wanted = sum(path.stat().st_size for path in _files(source)) * SPARE
    free = shutil.disk_usage(target).free
    if free < wanted:
        raise TwinError(
            f"{source.name} needs {wanted / 1e9:.1f} GB in {target}, which has {free / 1e9:.1f} GB "
            "free; make room, and run it again"
        )


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file() or path.is_symlink())


def _copied(source: Path, target: Path, report: Report) -> None:
    """Copy a tree, and compare it; what an earlier run has copied already is not copied again.

    Raises TwinError when a copy is not what was read.
    """
    artifact.make_private_dir(target)
    files = [*_files(source)]
    total = sum(path.lstat().st_size for path in files)
    done = 0
    for path in files:
        copy = target / path.relative_to(source)
        artifact.make_private_dir(copy.parent)
        if path.is_symlink():
            copy.unlink(missing_ok=True)
            copy.symlink_to(path.readlink())
            continue
        if not _same(path, copy):
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
            shutil.copystat(path, copy)
            with copy.open("rb") as file:
                os.fsync(file.fileno())
            if not _same(path, copy):
                raise _changed(path)
        done += path.stat().st_size
        report(source.name.strip("."), done, total)
    wanted = {path.relative_to(source) for path in files}
    for left_over in [path for path in _files(target) if path.relative_to(target) not in wanted]:
        left_over.unlink()  # of an earlier run, and gone since
    for directory in (path for path in source.rglob("*") if path.is_dir()):
        artifact.make_private_dir(target / directory.relative_to(source))


def _same(one: Path, other: Path) -> bool:
    return (
        other.is_file()
        and one.stat().st_size == other.stat().st_size
        and artifact.sha256(one) == artifact.sha256(other)
    )


def _changed(path: Path) -> TwinError:
    return TwinError(
        f"{path} changed while it moved, or the disk fails; stop what writes to it, and run it "
        "again (nothing was deleted)"
    )


def _put_back(link: Path, aside: Path) -> None:
    """Undo the step at which a run was stopped, if it was: the original is where it belongs."""
    if not aside.exists() or link.is_symlink():
        return
    if link.is_dir() and not any(link.iterdir()):
        link.rmdir()  # a program has made it anew meanwhile
    if link.exists():
        raise TwinError(
            f"an earlier run left {aside}, and there is a new {link.name} beside it; move what you "
            "want of the new one into it, delete the new one, and run it again"
        )
    aside.rename(link)


def _missed(source: Path, copy: Path) -> list[Path]:
    """Files that are not as they were when they were copied: new, longer, written to since."""
    return [
        path.relative_to(source)
        for path in _files(source)
        if not path.is_symlink() and _marks(path) != _marks(copy / path.relative_to(source))
    ]


def _marks(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _clashing(source: Path, target: Path) -> list[Path]:
    """Files that both have, with other content."""
    names = [path.relative_to(source) for path in _files(source)]
    return [
        name
        for name in names
        if os.path.lexists(target / name)
        and not (source / name).is_symlink()
        and not _same(source / name, target / name)
    ]


def _merged(staged: Path, inner: Path) -> None:
    """Let what was staged be at its place, beside what is there; on one volume, so by name."""
    if not _holds_something(inner):
        if inner.is_dir():
            inner.rmdir()
        staged.rename(inner)
        return
    for directory in [path for path in staged.rglob("*") if path.is_dir()]:
        artifact.make_private_dir(inner / directory.relative_to(staged))
    for path in [*_files(staged)]:
        path.replace(inner / path.relative_to(staged))
    shutil.rmtree(staged)
