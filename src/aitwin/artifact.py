"""Directories that are complete or absent, files that are whole or as before.

An artifact is a directory with a `manifest.json` that is written last: its presence means that
the artifact is complete. Knows nothing of what is inside.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from aitwin.errors import TwinError

MANIFEST = "manifest.json"
LARGEST = 1e300
"""Of numbers in a manifest: what is larger is damage, if it fits into a float at all."""
_REMOVED = ".removed"
_HALF_MADE = re.compile(r"\.(.+)\.(\d+)\.\w{8}")
"""What is being made, the process that makes it, and what makes the name its own."""


def make_private_dir(path: Path) -> Path:
    """Create `path` (and parents) readable by the owner alone (0700)."""
    for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return path


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file of mode 0600 that takes the place of `path` when the block ends without an error.

    It can be read, too, so that the block may look at what it has written.

    Readers see the old content or the new, never half; a failed block leaves the old.
    """
    make_private_dir(path.parent)
    _sweep(path)
    # mkstemp gives 0600 from the first byte; the same directory keeps the rename atomic.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_scratch(path))
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_private(path: Path, data: str | bytes) -> None:
    """Write a whole file at once, as `writing` does."""
    with writing(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """A private scratch directory that becomes `target` when the block ends without an error.

    An interrupted or failed block leaves whatever was at `target` before untouched.
    """
    make_private_dir(target.parent)
    restore(target)
    _sweep(target)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=_scratch(target)))
    try:
        yield scratch
        if not (scratch / MANIFEST).exists():
            raise RuntimeError(f"{target.name}: an artifact needs a {MANIFEST}")
        for path in scratch.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        replaced = _replaced(target)
        shutil.rmtree(replaced, ignore_errors=True)
        if target.exists():
            target.rename(replaced)
        try:
            scratch.rename(target)
        except OSError:
            # Somebody who read at this moment has put the old one back.
            if not target.exists():
                raise
            target.rename(replaced)
            scratch.rename(target)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch(target: Path) -> str:
    """How names of what becomes `target` begin; they say who is at work."""
    return f".{target.name}.{os.getpid()}."


def sweep(directory: Path) -> None:
    """Remove what processes that were killed had half made in `directory`."""
    if directory.is_dir():
        for path in directory.iterdir():
            if is_abandoned(path):
                _discard(path)


def is_abandoned(path: Path) -> bool:
    """Whether the name says that a process half made this, which runs no more."""
    made = _HALF_MADE.fullmatch(path.name)
    return made is not None and not _runs(int(made[2]))


def _sweep(target: Path) -> None:
    """`sweep` for one target: beside it may lie what is none of ours."""
    for path in target.parent.iterdir():
        made = _HALF_MADE.fullmatch(path.name)
        if made is not None and made[1] == target.name and is_abandoned(path):
            _discard(path)


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # somebody else's, or no number of a process at all
    return True


@contextmanager
def holding(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep other processes that hold `directory` out while the block runs.

    Raises BlockingIOError at once when another holds it and `wait` is off.
    """
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def _replaced(target: Path) -> Path:
    return target.parent / f".{target.name}.replaced"


def restore(target: Path) -> None:
    """Put back what a build had set aside when it was killed before its own took the place."""
    if not target.exists() and _replaced(target).exists():
        _replaced(target).rename(target)


def remove(target: Path) -> None:
    """Delete the artifact at `target`, if there is one, and what builds of it have left.

    Those are what one had set aside, and what one that was killed had half made. The artifact is
    hidden before its first file goes: what an interruption leaves is none that looks whole, and
    `finish_removing` deletes it.
    """
    if target.parent.is_dir():
        _sweep(target)
    doomed = target.parent / f".{target.name}{_REMOVED}"
    for rest in (doomed, _replaced(target)):
        if rest.exists():
            shutil.rmtree(rest)
    if target.exists():
        target.rename(doomed)
        shutil.rmtree(doomed)


def finish_removing(directory: Path) -> None:
    """Delete what interrupted removals left in `directory`."""
    for path in directory.glob(f".*{_REMOVED}"):
        shutil.rmtree(path)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Complete the artifact in `directory`."""
    write_private(directory / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")


def read_manifest(directory: Path, *, kind: str, remedy: str) -> dict[str, Any]:
    """The manifest of the artifact in `directory`.

    Raises TwinError when the artifact is absent, incomplete or unreadable; `remedy` is the next
    step to tell the owner.
    """
    path = directory / MANIFEST
    try:
        restore(directory)
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise TwinError(f"no complete {kind} at {directory}; {remedy}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise TwinError(f"{path} cannot be read ({type(error).__name__}); {remedy}") from None
    if not isinstance(manifest, dict):
        raise TwinError(f"{path} is not the manifest of a {kind}; {remedy}")
    return manifest


def text(value: object, pattern: str = "") -> str:
    """A manifest's value that must be text, and match the whole of `pattern` where one is given.

    Raises ValueError when it is something else.
    """
    if not isinstance(value, str) or (pattern and not re.fullmatch(pattern, value)):
        raise ValueError("not a text of that form")
    return value


def number(value: object) -> float:
    """A manifest's value that must be a finite number. Raises ValueError when it is none."""
    # JSON's own numbers go beyond a float's, and Python reads NaN and Infinity, too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        raise ValueError("not a number")
    return float(value)


def count(value: object) -> int:
    """A manifest's value that must be a whole number above zero. Raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("not a count")
    return value


def digest(text: str) -> str:
    """Hex SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
