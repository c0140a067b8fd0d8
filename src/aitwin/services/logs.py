"""The services' logs: bounded in size, readable by the owner alone, and without content.

What is in them is each service's own matter; none writes mail, prompts or drafts into them. A log
is only ever appended to, by a program that knows nothing of all this: so it is emptied in place
once it has been copied. A line that is written in the moment between is lost.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from aitwin import artifact

MOST = 1_000_000
"""Bytes of a log until it is put aside."""
KEPT = 3
"""Older logs of a service: name.log.1 is the newest of them."""
_LOOK = 0.5
"""Seconds between two looks at a log that is followed."""


def prepare(log: Path) -> None:
    """Make the file, if it is not there: a service manager would let others read it."""
    artifact.make_private_dir(log.parent)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def take_over(log: Path) -> None:
    """Write what this process says from now on into the log, and what it becomes by exec, too."""
    prepare(log)
    handle = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(handle, 2)
    os.close(handle)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    # A terminal stays open: tmux ends a pane (SIGHUP) when nobody has its terminal any more.
    if not os.isatty(0):
        os.dup2(nowhere, 0)
    os.close(nowhere)


def rotate(log: Path, most: int = MOST, kept: int = KEPT) -> bool:
    """Put it aside when it is larger than `most`; whether it was."""
    try:
        if log.stat().st_size <= most:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            _aside(log, number - 1).replace(_aside(log, number))
    # Of a runaway the end: it may have written more than the disk holds twice.
    with log.open("r+b") as file, artifact.writing(_aside(log, 1)) as copy:
        file.seek(-min(2 * most, log.stat().st_size), os.SEEK_END)
        copy.write(file.read(2 * most))
        # Who writes has it open for appending: the next line is the first.
        file.truncate(0)
    return True


def last(log: Path, lines: int) -> list[str]:
    """The last lines of it, of those put aside as well."""
    found: deque[str] = deque(maxlen=lines)
    for path in (*(_aside(log, number) for number in range(KEPT, 0, -1)), log):
        with contextlib.suppress(FileNotFoundError), path.open(errors="replace") as file:
            found.extend(line.rstrip("\n") for line in file)
    return list(found)


def follow(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Lines as they come, with the log that they are of; without an end."""
    places = {log: log.stat().st_size if log.exists() else 0 for log in files}
    while True:
        for log, place in places.items():
            try:
                size = log.stat().st_size
            except FileNotFoundError:
                continue
            with log.open("rb") as file:
                file.seek(place if place <= size else 0)  # it was put aside
                # A line that is being written has no end yet.
                whole, end, _ = file.read().rpartition(b"\n")
            places[log] = (place if place <= size else 0) + len(whole) + len(end)
            for line in whole.splitlines():
                yield log, line.decode(errors="replace")
        time.sleep(_LOOK)


def remove(directory: Path) -> None:
    """Delete all logs in it."""
    for path in directory.glob("*.log*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def _aside(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
