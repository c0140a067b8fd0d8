"""Mail and chats over HTTP: what was read and what not, and how more comes in (C1, C2).

A mailbox can have the size of the disk, so an upload is streamed to it; it stays beside the corpus,
because the mails that matter are read from it later.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from aitwin import artifact
from aitwin.home import Home
from aitwin.server.jobs import Job, view
from aitwin.server.ledger import Order
from aitwin.server.pages import private_page
from aitwin.server.problems import Problem, told

if TYPE_CHECKING:
    from aitwin.corpus.messages import Owner
    from aitwin.corpus.store import Imported
    from aitwin.server.parts import Parts

UPLOADS = "uploads"
LONGEST_NAME = 120
"""Characters of a file's name that are kept."""
SPARE = 1 << 30
"""Bytes of the disk that an upload leaves free: the import needs some of them."""
PIECE = 1 << 20
"""Bytes that are written at a time."""
FILES_SHOWN = 3
"""Files of a folder that have a row of their own; more of them share one."""
MOST_SUGGESTED = 10
DateOrder = Literal["dmy", "mdy", "ymd"]


class Counted(BaseModel):
    """A name and how often."""

    name: str
    count: int


class Loss(BaseModel):
    """What could not be read, and where the first of it stand."""

    reason: str
    count: int
    places: list[str]


class CorpusSource(BaseModel):
    """A file that was read, or a folder of many."""

    name: str
    path: str
    format: str
    files: int = 1
    read: int = 0
    """Messages in it."""
    new: int = 0
    """Messages that were not known before."""
    skipped: int = 0


class UnknownChat(BaseModel):
    """A chat in which nobody is known as the owner, and who speaks there."""

    name: str
    speakers: list[Counted]


class Month(BaseModel):
    """Messages of a month."""

    month: str
    """As 2024-05."""
    messages: int
    own: int


class Corpus(BaseModel):
    """What was imported, what not, and whether the owner is recognised in it."""

    known_owner: bool
    """Whether twin.toml says who the owner is."""
    sources: list[CorpusSource] = []
    messages: int = 0
    own: int = 0
    mails: int = 0
    own_mails: int = 0
    whole_mails: int = 0
    """Mails that were read; the others are known by their headers."""
    chat_messages: int = 0
    own_chat_messages: int = 0
    first: datetime | None = None
    last: datetime | None = None
    months: list[Month] = []
    losses: list[Loss] = []
    not_read: list[Loss] = []
    """Files that were not imported."""
    unfinished: list[str] = []
    """Files that were not listed to their end: add them again to go on."""
    suggested_addresses: list[Counted] = []
    """Addresses that look like the owner's and are not known as such."""
    unknown_chats: list[UnknownChat] = []


class ImportRequest(BaseModel):
    """A file or a folder of this machine to import."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"path": "~/Takeout/Mail/Sent.mbox"}]}
    )

    path: str = Field(min_length=1, max_length=4096, repr=False)
    dates: Literal["dmy", "mdy", "ymd"] | None = None
    """Order of dates in a chat that leaves it open."""


def add_routes(router: APIRouter, parts: "Parts") -> None:
    """The routes below /corpus."""
    home = parts.home

    @router.get("/corpus", operation_id="getCorpus", responses=told("cannot"))
    def get_corpus() -> Corpus:
        """What was imported, what not, and whether the owner is recognised in it."""
        return _corpus(home)

    @router.get(
        "/corpus/page",
        operation_id="getCorpusPage",
        response_class=HTMLResponse,
        responses=told("not-set-up", "no-report", "cannot"),
    )
    def get_corpus_page() -> HTMLResponse:
        """What was read, what could not be, and where, as a page; made anew each time."""
        from aitwin.corpus import page
        from aitwin.corpus.store import Store
        from aitwin.rooms import owner_of

        if not home.settings_file.exists():
            raise Problem("not-set-up")
        if not _is_there(home):
            raise Problem("no-report", "the corpus is empty: import mail or chats first")
        store = Store(home.corpus)
        path = home.corpus / page.FILE
        page.write(path, page.of_corpus(store, owner_of(home.settings())))
        return private_page(path, Problem("no-report"))

    @router.post(
        "/corpus/imports",
        operation_id="startImport",
        status_code=202,
        responses=told("unknown-path", "queue-full", "disk-full"),
    )
    def start_import(wanted: ImportRequest) -> Job:
        """Import a file or a folder of this machine. What is there already is not read again."""
        return view(parts.jobs.start(_order(_existing(wanted.path), wanted.dates)))

    @router.post(
        "/corpus/uploads",
        operation_id="uploadMail",
        status_code=202,
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "The file itself: .mbox, .eml, .emlx, or a WhatsApp .txt or .zip",
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                },
            }
        },
        responses=told(
            *("not-a-corpus", "unusable-file", "truncated", "disk-full", "queue-full"),
        ),
    )
    async def upload_mail(
        request: Request,
        name: Annotated[
            str, Query(max_length=1000, description="The file's name, by which it is listed")
        ] = "",
        dates: DateOrder | None = None,
    ) -> Job:
        """Import a file that is sent: streamed to the disk, known by its content, kept whole."""
        path, new = await _received(home, request, _safe(name))
        try:
            record = await to_thread.run_sync(parts.jobs.start, _order(path, dates))
        except BaseException:
            if new:
                await to_thread.run_sync(shutil.rmtree, path.parent, True)
            raise
        return view(record)


# What is there


def _is_there(home: Home) -> bool:
    from aitwin.corpus.store import FILE

    return (home.corpus / FILE).is_file()


def _corpus(home: Home) -> Corpus:
    """An empty one where nothing was imported: asking makes nothing."""
    from aitwin.corpus import page
    from aitwin.corpus.messages import Owner
    from aitwin.corpus.store import Store
    from aitwin.rooms import owner_of

    known = home.settings_file.exists()
    if not _is_there(home):
        return Corpus(known_owner=known)
    owner = owner_of(home.settings()) if known else Owner("", frozenset(), frozenset())
    store = Store(home.corpus)
    with store.held():
        log, summary = store.files(), store.summary(owner)
        return Corpus(
            known_owner=known,
            sources=_sources(log),
            messages=summary.messages,
            own=summary.own,
            mails=summary.mails,
            own_mails=summary.own_mails,
            whole_mails=summary.whole_mails,
            chat_messages=summary.chat_messages,
            own_chat_messages=summary.own_chat_messages,
            first=summary.first,
            last=summary.last,
            months=[
                Month(month=month, messages=everything, own=own)
                for month, (everything, own) in store.months(owner).items()
            ],
            losses=[Loss.model_validate(one) for one in page.losses(log)],
            not_read=[Loss.model_validate(one) for one in page.not_read(store.passed_over())],
            unfinished=[str(one.source) for one in log if not one.finished],
            suggested_addresses=counted(store.suggest_addresses(owner), MOST_SUGGESTED)
            if known
            else [],
            unknown_chats=_unknown_chats(store.chats(), owner),
        )


def _sources(log: Sequence["Imported"]) -> list[CorpusSource]:
    """One for each file, but one for each folder where a folder holds many."""
    in_folder = Counter((one.source.parent, one.format) for one in log)
    rows: dict[tuple[Path, str], CorpusSource] = {}
    for one in log:
        files = in_folder[one.source.parent, one.format]
        together = files > FILES_SHOWN
        path = one.source.parent if together else one.source
        row = rows.setdefault(
            (path, one.format),
            CorpusSource(
                name=_shown(path.name),
                path=_shown(str(path)),
                format=one.format,
                files=files if together else 1,
            ),
        )
        row.read += one.read
        row.new += one.new
        row.skipped += one.skipped.total()
    return list(rows.values())


def _shown(name: str) -> str:
    """The name of a file need not be valid text."""
    return name.encode(errors="backslashreplace").decode()


def counted(counts: Counter[str], most: int | None = None) -> list[Counted]:
    """The commonest first."""
    return [Counted(name=name, count=count) for name, count in counts.most_common(most)]


def _unknown_chats(chats: dict[Path, Counter[str]], owner: "Owner") -> list[UnknownChat]:
    return [
        UnknownChat(name=_shown(path.name), speakers=counted(speakers, MOST_SUGGESTED))
        for path, speakers in chats.items()
        if not owner.chat_names & speakers.keys()
    ]


# What comes in


def _order(path: Path, dates: DateOrder | None) -> Order:
    how = ("--dates", dates) if dates else ()
    return Order("import", "", ("corpus", "add", str(path), *how))


def _existing(text: str) -> Path:
    """The file or folder that is meant. Raises Problem when there is none."""
    try:
        path = Path(text.strip()).expanduser()
        if path.is_absolute() and path.exists():
            return path
    except (OSError, RuntimeError, ValueError):
        pass  # a name too long, a home of nobody, half a character
    raise Problem("unknown-path")


def _safe(name: str) -> str:
    """The last part of a name, as a name that any disk takes."""
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(c for c in last.encode("utf-8", "ignore").decode() if c.isprintable())
    stem, dot, suffix = clean.strip(". ").rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    short = stem[:LONGEST_NAME] + dot + suffix[:12]
    # A name has 255 bytes at most, and not every letter is one.
    while len(short.encode()) > 200:
        stem = stem[:-8]
        short = stem + dot + suffix[:12]
    return short or "upload"


async def _received(home: Home, request: Request, name: str) -> tuple[Path, bool]:
    """The file of the body on the disk, and whether it is new there: the same twice is one.

    Raises Problem, and leaves nothing, when it is no mail and no chat, or does not come whole.
    """
    expected = int(request.headers.get("content-length") or -1)
    uploads = await to_thread.run_sync(_make_ready, home, max(0, expected))
    handle, scratch = tempfile.mkstemp(dir=uploads, prefix=f".upload.{os.getpid()}.")
    temporary = Path(scratch)
    try:
        with os.fdopen(handle, "wb") as file:
            size, digest = await _written(request, file)
        if expected >= 0 and size != expected:
            raise Problem("truncated")
        return await to_thread.run_sync(_placed, temporary, size, digest, uploads, name)
    finally:
        temporary.unlink(missing_ok=True)


def _make_ready(home: Home, expected: int) -> Path:
    uploads = artifact.make_private_dir(home.open().corpus / UPLOADS)
    artifact.sweep(uploads)
    if shutil.disk_usage(uploads).free < expected + SPARE:
        raise Problem("disk-full")
    return uploads


async def _written(request: Request, file: BinaryIO) -> tuple[int, str]:
    """Write the body out in pieces: its bytes and its digest."""
    hashed, size = hashlib.sha256(), 0

    def write(piece: bytes) -> None:
        hashed.update(piece)
        try:
            file.write(piece)
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT, EFBIG):
                raise Problem("disk-full") from None
            raise

    async for piece in _pieces(request):
        size += len(piece)
        await to_thread.run_sync(write, piece)

    def finish() -> None:
        file.flush()
        os.fsync(file.fileno())

    await to_thread.run_sync(finish)
    return size, hashed.hexdigest()


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in larger pieces than the network gives."""
    waiting = bytearray()
    async for chunk in request.stream():
        waiting += chunk
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _placed(temporary: Path, size: int, digest: str, uploads: Path, name: str) -> tuple[Path, bool]:
    from aitwin.corpus import sources

    if not size:
        raise Problem("unusable-file")
    if not sources.detect(temporary).format:
        raise Problem("not-a-corpus")
    folder = uploads / digest[:16]
    there = [path for path in folder.glob("*") if path.is_file()]
    if there:
        return there[0], False
    artifact.make_private_dir(folder)
    temporary.replace(folder / name)
    for directory in (folder, uploads):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)  # the names, too, survive a power cut
        finally:
            os.close(handle)
    return folder / name, True
