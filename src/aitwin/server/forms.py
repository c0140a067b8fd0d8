"""Forms with a file, streamed to disk: bounded memory, bounded disk, and nothing left behind.

Knows no route, and does not look into the file.
"""

import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from anyio import fail_after, to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from aitwin import artifact
from aitwin.server.problems import ClientGoneError, Fault, Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

Model = TypeVar("Model", bound=BaseModel)

WRITTEN = 1 << 20
"""Bytes that are gathered before they are written: what a form takes of memory."""
OVERHEAD = 1 << 20
"""Bytes of a form beside its file and its fields: boundaries and heads."""
MOST_PARTS = 32
SPARE = 200_000_000
"""Bytes that stay free on the disk, for what is made of the file and for everybody else."""
LOOKED = 16 << 20
"""Bytes after which the disk is looked at again, where nobody said how long the file is."""
PATIENCE = 60.0
"""Seconds without a byte after which the sender is taken to be gone."""
SLOWEST = 16_000
"""Bytes in a second that a whole form comes at, after the first minute: a bad line has more, and
a byte a minute would keep a place for ever."""


REFUSED = (b"false", b"0", b"no", b"off", b"f", b"n")
"""What pydantic takes for a no."""
NO_CONSENT = "say by `consent` that whoever is heard in the clip has agreed to be spoken like"


@dataclass(frozen=True)
class Form:
    """What was sent."""

    fields: Mapping[str, str] = field(repr=False)
    file: Path | None
    """Goes with the block that received it; None: there was none."""
    size: int
    """Bytes of the file."""

    def read(self, shape: type[Model]) -> Model:
        """The fields as a value. Raises RequestValidationError when they are none."""
        try:
            return shape.model_validate_strings(dict(self.fields))
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
            raise RequestValidationError(faults) from None


@dataclass(frozen=True)
class Bounds:
    """What a route takes."""

    file: str
    """Name of the part with the file."""
    fields: frozenset[str]
    """Names of the others; a form with one that is called otherwise is refused."""
    most: int
    """Bytes of the file."""
    most_field: int = 4_096
    """Bytes of a field."""
    texts: frozenset[str] = frozenset()
    """Fields that are long texts."""
    most_text: int = 0
    """Bytes of one."""
    agreed: str = ""
    """A field that, where it stands before the file, must be true for the file to be read."""

    def most_of(self, name: str) -> int:
        """Bytes of that field."""
        return self.most_text if name in self.texts else self.most_field


def body_of(
    *, form: type[BaseModel], file: str, optional: bool = False, json: type[BaseModel] | None = None
) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body itself: a form with a file, or JSON.

    With `optional`, the file may be wanting.
    """
    shape = form.model_json_schema()
    fields = {
        file: {"type": "string", "format": "binary", "description": "A recording"},
        **{name: _never_null(field) for name, field in shape.get("properties", {}).items()},
    }
    wanted = [*([] if optional else [file]), *shape.get("required", [])]
    schema = {"type": "object", "properties": fields}
    content: dict[str, Any] = {
        "multipart/form-data": {"schema": {**schema, **({"required": wanted} if wanted else {})}}
    }
    if json is not None:
        content["application/json"] = {"schema": json.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}


def _never_null(field: dict[str, Any]) -> dict[str, Any]:
    """A field of a form, which is absent rather than null."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    rest = {key: value for key, value in field.items() if key not in ("anyOf", "default", "title")}
    return {**rest, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}


def is_form(request: Request) -> bool:
    """Whether a form with parts was sent, and not JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "multipart/form-data"


@asynccontextmanager
async def received(request: Request, directory: Path, bounds: Bounds) -> AsyncGenerator[Form]:
    """The form, its file in a private place inside `directory` that is gone after the block.

    What a process that was killed has left there, artifact.sweep removes: its name says so.
    Raises Problem for whatever is wrong with the form or the disk.
    """
    declared = _declared(request, bounds)
    boundary = _boundary(request)
    with _staged(directory) as place:
        _require_room(place, declared)
        with closing(place.open("xb")) as file, _writing():
            place.chmod(0o600)
            sorter = _Sorter(bounds)
            parser = sorter.parser(boundary)
            come, most = 0, _most(bounds)
            began = time.monotonic()
            async for chunk in _chunks(request):
                come += len(chunk)
                if come > most:  # heads of parts count, too
                    raise _too_large(bounds)
                if time.monotonic() - began > PATIENCE + come / SLOWEST:
                    raise Problem("truncated", "the form comes too slowly; send a smaller file")
                _parsed(parser, chunk)
                if len(sorter.waiting) >= WRITTEN:
                    await to_thread.run_sync(_written, file, sorter, declared)
            if not sorter.ended:
                raise Problem("truncated", "the form ends before its last boundary; send it again")
            await to_thread.run_sync(_finished, file, sorter)
        yield Form(sorter.texts(), place if sorter.found else None, sorter.size)


def _declared(request: Request, bounds: Bounds) -> int | None:
    """Bytes that are to come, where that was said."""
    told = request.headers.get("content-length", "")
    if not told.isdecimal():
        return None
    if int(told) > _most(bounds):
        raise _too_large(bounds)
    return int(told)


def _most(bounds: Bounds) -> int:
    """Bytes of a whole form."""
    return bounds.most + sum(map(bounds.most_of, bounds.fields)) + OVERHEAD


def _too_large(bounds: Bounds) -> Problem:
    return Problem(
        "too-large", f"a file may have {bounds.most / 1e6:,.0f} MB; send it in smaller pieces"
    )


def _boundary(request: Request) -> bytes:
    from python_multipart.multipart import parse_options_header

    if not is_form(request):
        raise Problem("unsupported-media-type", "send a form: multipart/form-data")
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise Problem("malformed", "the form names no boundary between its parts")
    return boundary


@contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """A path for a file in a private directory of its own.

    The directory is called as half-made artifacts are, and has the inside of a voice: so what a
    kill leaves is recognised as a voice's, and goes with the next change, or with all voices.
    """
    artifact.sweep(directory)
    scratch = Path(tempfile.mkdtemp(dir=directory, prefix=f".upload.{os.getpid()}."))
    try:
        inside = scratch / "takes"
        inside.mkdir(mode=0o700)
        yield inside / "sent"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise Problem("disk-full") from None
        raise


def _require_room(place: Path, coming: int | None) -> None:
    free = shutil.disk_usage(place.parent).free
    if free - (coming or 0) < SPARE:
        raise Problem(
            "disk-full",
            f"{free / 1e6:,.0f} MB are free on the disk, and {SPARE / 1e6:,.0f} MB are to stay "
            "free; make room, and send it again",
        )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Problem when it does not."""
    stream = aiter(request.stream())
    while True:
        try:
            with fail_after(PATIENCE):
                chunk = await anext(stream, None)
        except ClientDisconnect:
            raise ClientGoneError from None
        except TimeoutError:
            raise Problem("truncated", "nothing came for a minute; send it again") from None
        if chunk is None:
            return
        yield chunk


def _parsed(parser: "_Parser", chunk: bytes) -> None:
    from python_multipart.exceptions import FormParserError

    try:
        parser.write(chunk)
    except FormParserError:
        # Its text quotes what was sent.
        raise Problem("malformed", "the parts of the form cannot be told apart") from None


def _written(file: BinaryIO, sorter: "_Sorter", declared: int | None) -> None:
    before = file.tell()
    file.write(sorter.taken())
    if declared is None and file.tell() // LOOKED > before // LOOKED:
        _require_room(Path(file.name), None)


def _finished(file: BinaryIO, sorter: "_Sorter") -> None:
    file.write(sorter.taken())
    file.flush()
    # What is accepted is on the disk before anybody is told so.
    os.fsync(file.fileno())


class _Sorter:
    """What a parser finds, part by part: fields are kept, the file's bytes wait to be written."""

    def __init__(self, bounds: Bounds) -> None:
        self.waiting = bytearray()
        self.size = 0
        self.found = False
        self.ended = False
        self._bounds = bounds
        self._fields: dict[str, bytearray] = {}
        self._parts = 0
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name: str | None = None

    def parser(self, boundary: bytes) -> "_Parser":
        """One that tells this sorter."""
        from python_multipart.multipart import MultipartParser

        told: MultipartCallbacks = {
            "on_part_begin": self._begins,
            "on_header_field": self._names,
            "on_header_value": self._says,
            "on_header_end": self._headed,
            "on_headers_finished": self._opens,
            "on_part_data": self._holds,
            "on_end": self._ends,
        }
        return MultipartParser(boundary, told)

    def taken(self) -> bytes:
        """What waits to be written; it waits no more."""
        ready = bytes(self.waiting)
        self.waiting.clear()
        return ready

    def texts(self) -> dict[str, str]:
        """The fields."""
        try:
            return {name: text.decode() for name, text in self._fields.items()}
        except UnicodeDecodeError:
            raise Problem("malformed", "the fields of the form are no UTF-8") from None

    def _begins(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Problem("malformed", f"the form has more than {MOST_PARTS} parts")
        self._disposition, self._name = b"", None

    def _names(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _says(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _headed(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _opens(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if name == self._bounds.file:
            if self.found:
                raise Problem("malformed", f"the form has {name!r} twice; send one file at a time")
            self._require_agreed()
            self.found = True
        elif name not in self._bounds.fields:
            # Passed over, a clip under another name would be answered in another voice.
            # What it is called is not repeated.
            why = f"is no field of this form; the recording is called `{self._bounds.file}`"
            raise Problem("invalid-request", f"#/…: {why}", errors=[Fault("#/…", why)])
        elif name in self._fields:
            raise Problem("malformed", f"the form has {name!r} twice; send it once")
        else:
            self._fields[name] = bytearray()
        self._name = name

    def _require_agreed(self) -> None:
        """Where the answer is no already, megabytes need not come before it is told."""
        told = self._fields.get(self._bounds.agreed)
        if told is not None and bytes(told).strip().lower() in REFUSED:
            raise Problem("no-consent", NO_CONSENT)

    def _holds(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            return  # the name of no part is known before its head has come
        if self._name == self._bounds.file:
            self.size += end - start
            if self.size > self._bounds.most:
                raise _too_large(self._bounds)
            self.waiting += data[start:end]
            return
        text = self._fields[self._name]
        text += data[start:end]
        if len(text) > self._bounds.most_of(self._name):
            raise Problem("too-large", f"the field {self._name} is longer than any such field")

    def _ends(self) -> None:
        self.ended = True


if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser as _Parser
