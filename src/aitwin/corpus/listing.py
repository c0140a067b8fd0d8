"""The first pass over mail files: every mail listed by its headers, on all cores.

A file is taken in parts, each kept as soon as it is done, so an import that was cut short goes on
where it stopped, and of an export that has grown only what is new is looked at. Reads no bodies
(see reading) and no chats.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aitwin.corpus import cores, mail, mailfile, store
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Imported, Progress, Row, Store

PART = 16 << 20
"""Bytes of a file that are listed at a time: some thousand mails, some megabytes of rows."""
ALONE = 48 << 20
"""Bytes under which other processes would take longer to start than they save."""
_PRINT = 1 << 16
"""Bytes at either end of what was listed that show whether a file is still the same."""


class _Job(NamedTuple):
    path: Path
    start: int
    stop: int
    exactly: bool
    """Whether a message is known to begin at `start`."""


class Part(NamedTuple):
    """What one part of a file holds."""

    begin: int
    last: int
    """Where the last message in it begins."""
    end: int
    rows: list[Row]
    skipped: Skipped


def import_mail(
    kept: Store, source: Path, path: Path, passed: Callable[[int], None] = lambda position: None
) -> Imported:
    """List the mails of a file, or those that came since it was imported last.

    `source` is the file's one name in the store, `passed` is told how many bytes are done.
    Raises TwinError when the file cannot be read or is no mail.
    """
    size = mailfile.size(path)
    done = kept.progress(source)
    if done is not None and done.print and done.print == _print(path, done.scanned):
        done = _going_on(kept, source, done, size)
    else:
        done = Progress(0, 0, Skipped(), size, 0, 0, "")
    if done.scanned >= size:
        return kept.imported(kept.list_part(source, [], replace(done, size=size)))
    again = done.tail if done.scanned and not done.number else None
    for part in parts(path, done.scanned, size):
        done.skipped.take(part.skipped)
        read, print = done.read + len(part.rows), _print(path, part.end)
        done = Progress(done.number, read, done.skipped, size, part.end, part.last, print)
        done = replace(done, number=kept.list_part(source, part.rows, done, again))
        again = None
        passed(part.end)
    return kept.imported(done.number)


def _going_on(kept: Store, source: Path, done: Progress, size: int) -> Progress:
    """The same import where it was cut short; else a new one behind what is listed already."""
    if not done.finished:
        return done
    if size <= done.scanned:
        return replace(done, number=0)
    # What was the last message then may have been cut off in its middle.
    read = done.read - kept.tail_counts(source, done.tail)
    return replace(done, number=0, read=read, scanned=done.tail)


def parts(path: Path, start: int, size: int) -> Iterator[Part]:
    """The parts of a file from `start` on, each from where the one before ends."""
    stops = [*range(start + PART, size, PART), size]
    starts = [start, *stops[:-1]]
    jobs = [
        _Job(path, begin, stop, exactly=begin == start)
        for begin, stop in zip(starts, stops, strict=True)
    ]
    end = start
    for job, part in zip(
        jobs, cores.in_order(_list_part, jobs, alone=size - start < ALONE), strict=True
    ):
        if part.begin != end:
            # A length in a header said that a message goes on over what looked like its end.
            part = _list_part(job._replace(start=end, exactly=True))
        # Behind the mail of an .emlx there is more, which is none.
        end = size if job.stop == size else part.end
        yield part._replace(end=end)


def _list_part(job: _Job) -> Part:
    skipped = Skipped()
    begin, last, end, listed = mail.part(*job[:3], skipped, exactly=job.exactly)
    return Part(begin, last, end, [store.listed_row(one) for one in listed], skipped)


def _print(path: Path, upto: int) -> str:
    """A digest of both ends of what lies before `upto`: mailboxes grow at their end."""
    digest = hashlib.sha256(str(upto).encode())
    with mailfile.place(path).open("rb") as file:
        digest.update(file.read(min(_PRINT, upto)))
        file.seek(max(0, upto - _PRINT))
        digest.update(file.read(min(_PRINT, upto)))
    return digest.hexdigest()
