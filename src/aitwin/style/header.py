"""What a GGUF file says of itself: its metadata, and where its tensors lie.

Little-endian versions 2 and 3, after the GGUF specification of ggml. Reads and writes headers only,
never a weight; gguf-py's reader makes two arrays per vocabulary entry, half a gigabyte for Qwen2.5.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from aitwin.errors import TwinError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
"""Bytes, unless `general.alignment` says otherwise."""
FLOAT32, STRING = 6, 8
"""Types of metadata values, as the specification numbers them."""
_ARRAY = 9
_SCALARS = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
_DIMENSIONS = 4


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies."""

    name: str
    shape: tuple[int, ...]
    """As the file has it: numbers of a row first, then rows."""
    kind: int
    """ggml's number of the quantisation (`gguf.GGMLQuantizationType`)."""
    offset: int
    """Bytes from where the tensors begin."""


@dataclass(frozen=True)
class Header:
    """The head of a GGUF file."""

    version: int
    values: dict[str, Any] = field(repr=False)
    """Metadata: numbers, strings and lists of them."""
    metadata: bytes = field(repr=False)
    """The same as it stands in the file."""
    tensors: tuple[Tensor, ...] = field(repr=False)
    """In the file's order."""
    start: int
    """Byte of the file at which the tensors begin."""
    size: int
    """Bytes of the whole file."""

    @property
    def alignment(self) -> int:
        """Bytes of which every offset is a multiple."""
        return int(self.values.get("general.alignment", ALIGNMENT))

    @property
    def architecture(self) -> str:
        """ "llama", "qwen2"; empty when the file does not say."""
        return str(self.values.get("general.architecture", ""))

    def of_architecture(self, key: str) -> Any:
        """A value such as "attention.head_count", which files keep under their architecture."""
        return self.values.get(f"{self.architecture}.{key}")


def read(gguf: Path) -> Header:
    """The header of `gguf`.

    Raises TwinError when it cannot be read, is damaged or is something else.
    """
    try:
        with gguf.open("rb") as file:
            return _read(_Source(file, gguf.stat().st_size))
    except OSError as error:
        raise TwinError(f"{gguf} cannot be read ({error.strerror}); `twin models list`") from None
    except (ValueError, struct.error) as error:
        raise TwinError(
            f"{gguf} is no whole GGUF file ({error}); `twin models verify` tells which model is bad"
        ) from None


class _Source:
    """Reads values one after the other, and never past the end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    def position(self) -> int:
        return self._file.tell()

    def take(self, count: int) -> bytes:
        # Asked first: a damaged length may be larger than the memory.
        if count > self.size:
            raise ValueError("a length beyond the end")
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("it ends too early")
        return data

    def between(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        return self.take(end - start)

    def numbers(self, code: str, count: int = 1) -> tuple[Any, ...]:
        return struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize(f"<{code}")))

    def number(self, code: str) -> Any:
        return self.numbers(code)[0]

    def text(self) -> str:
        # Vocabularies of some models hold bytes that are no UTF-8.
        return self.take(self.number("Q")).decode("utf-8", "surrogateescape")

    def value(self) -> Any:
        kind = self.number("I")
        if kind == STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_code(kind))
        inner, count = self.number("I"), self.number("Q")
        if inner == STRING:
            return [self.text() for _ in range(count)]
        return list(self.numbers(_code(inner), count))


def _code(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"a value of unknown type {kind}")
    return _SCALARS[kind]


def _read(source: _Source) -> Header:
    if source.take(4) != MAGIC:
        raise ValueError("it does not begin as one")
    version = source.number("I")
    if version not in VERSIONS:
        raise ValueError(f"of another version than {' and '.join(map(str, VERSIONS))}")
    tensors, entries = source.numbers("Q", 2)
    begin = source.position()
    values: dict[str, Any] = {}
    for _ in range(entries):
        key = source.text()
        if key in values:
            raise ValueError(f"{key} is there twice")
        values[key] = source.value()
    end = source.position()
    places = tuple(_tensor(source) for _ in range(tensors))
    alignment = values.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise ValueError("its alignment is no power of two")
    start = padded(source.position(), alignment)
    _check(places, start, source.size)
    return Header(version, values, source.between(begin, end), places, start, source.size)


def _tensor(source: _Source) -> Tensor:
    name = source.text()
    dimensions = source.number("I")
    if dimensions > _DIMENSIONS:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    shape = source.numbers("Q", dimensions)
    return Tensor(name, shape, source.number("I"), source.number("Q"))


def _check(tensors: tuple[Tensor, ...], start: int, size: int) -> None:
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise ValueError("two of its tensors have one name")
    if len({tensor.offset for tensor in tensors}) < len(tensors):
        raise ValueError("two of its tensors lie in one place")
    if any(start + tensor.offset >= size for tensor in tensors):
        raise ValueError("it ends before its last tensor")


def encode(
    metadata: bytes, entries: int, tensors: Iterable[Tensor], alignment: int, version: int = 3
) -> bytes:
    """A header, padded up to where the tensors begin; `metadata` holds `entries` values."""
    places = [
        string(tensor.name)
        + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        + struct.pack("<IQ", tensor.kind, tensor.offset)
        for tensor in tensors
    ]
    head = MAGIC + struct.pack("<IQQ", version, len(places), entries) + metadata + b"".join(places)
    return head.ljust(padded(len(head), alignment), b"\0")


def string(text: str) -> bytes:
    """A string as GGUF writes it: its length, and UTF-8."""
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def padded(size: int, alignment: int) -> int:
    """The next multiple of `alignment`."""
    return -(-size // alignment) * alignment
