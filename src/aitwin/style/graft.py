"""A base and an adapter as one GGUF file, which every server loads that loads the base.

The base is copied byte for byte but for the adapted matrices: they become the dequantised base plus
the adapter's product, at Q8_0 or F16 (DESIGN decision 1). Works in pieces, in little memory,
whatever the model's size. Does not run or check the model: see proof.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import header, lora
from aitwin.style.header import Header, Tensor
from aitwin.style.lora import Factors, Lora

if TYPE_CHECKING:
    import numpy as np

F32, F16, Q8_0, BF16 = 0, 1, 8, 30
"""ggml's numbers of the quantisations that are written, and of floats."""
_BLOCK = 32
"""Numbers of a row that share a scale in Q8_0."""
_PIECE = 1 << 23
"""Bytes that are copied at once."""
_NUMBERS = 1 << 20
"""Weights that are computed at once: 4 MB, which the caches still help with."""
_LARGEST = 65504.0
"""Of 16-bit floats."""
_SPARE = 1 << 26
"""Bytes that a disk shall have left."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are written, and with all that will be."""


@dataclass(frozen=True)
class Graft:
    """What was written."""

    path: Path
    size: int
    """Bytes."""
    tensors: int
    """Matrices that differ from the base's."""


def graft(
    adapter: Path,
    base: Path,
    target: Path,
    *,
    exact: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> Graft:
    """Write the model `base` with the adapter in directory `adapter` in it to `target`.

    Adapted matrices are stored at Q8_0; at F16 when `exact`, when the base itself holds them as
    floats, and when a row cannot be cut into blocks. A failed or interrupted run leaves an earlier
    `target` as it was.
    Raises TwinError when the adapter does not fit, a matrix of the base cannot be dequantised, or
    the disk has no room.
    """
    weights = lora.load(adapter, base)
    if target.exists() and target.samefile(base):
        raise TwinError(f"{target} is the base itself, which is kept; write to another file")
    head = header.read(base)
    jobs = list(_jobs(head, weights, exact, base))
    front = _front(head, jobs)
    size = len(front) + sum(header.padded(job.size, head.alignment) for job in jobs)
    _require_room(target, size)
    done = len(front)
    with base.open("rb") as source, artifact.writing(target) as sink:
        sink.write(front)
        for job in jobs:
            pieces = (
                _copied(source, job) if job.kind is None else _adapted(source, job, weights, base)
            )
            written = 0
            for piece in pieces:
                sink.write(piece)
                written += len(piece)
                on_progress(done + written, size)
            gap = header.padded(job.size, head.alignment) - written
            sink.write(bytes(gap))
            done += written + gap
    on_progress(size, size)
    return Graft(target, size, len(weights.names))


@dataclass(frozen=True)
class _Job:
    """One tensor on its way."""

    tensor: Tensor
    start: int
    """Its first byte in the base."""
    held: int
    """Its bytes in the base; with the gap up to the next tensor, unless it is adapted."""
    size: int
    """Its bytes in the graft."""
    kind: int | None = None
    """How it is stored in the graft; None where it is copied."""


def _jobs(head: Header, weights: Lora, exact: bool, base: Path) -> Iterator[_Job]:
    """All tensors in the order in which they lie in the file."""
    adapted = set(weights.names)
    ordered = sorted(head.tensors, key=lambda tensor: tensor.offset)
    ends = [*(tensor.offset for tensor in ordered[1:]), head.size - head.start]
    for tensor, end in zip(ordered, ends, strict=True):
        start, extent = head.start + tensor.offset, end - tensor.offset
        if tensor.name not in adapted:
            # Of types that nobody here knows as well: a tensor reaches up to the next.
            yield _Job(tensor, start, extent, extent)
            continue
        held = _row_bytes(tensor, tensor.kind, base) * tensor.shape[1]
        if held > extent:
            raise TwinError(f"{base} is damaged: {tensor.name} is cut short; pull the base again")
        kind = _stored(tensor, exact)
        size = _row_bytes(tensor, kind, base) * tensor.shape[1]
        yield _Job(tensor, start, held, size, kind)


def _row_bytes(tensor: Tensor, kind: int, base: Path) -> int:
    """Bytes of one row of `tensor` as `kind`.

    Raises TwinError when gguf-py cannot dequantise that.
    """
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    try:
        known = GGMLQuantizationType(kind)
        numbers, size = GGML_QUANT_SIZES[known]
        dequantize(np.zeros((1, size), np.uint8), known)
    except (ValueError, KeyError, NotImplementedError):
        raise TwinError(
            f"{tensor.name} of {base} is of type {_type_name(kind)}, which cannot be dequantised; "
            "serve the adapter beside the base (adapter.gguf), or choose a base of another "
            "quantisation, such as Q4_K_M"
        ) from None
    if tensor.shape[0] % numbers:
        raise TwinError(f"{base} is damaged: a row of {tensor.name} is no whole number of blocks")
    return tensor.shape[0] // int(numbers) * int(size)


def _type_name(kind: int) -> str:
    from gguf import GGMLQuantizationType

    known = {int(one): str(one.name) for one in GGMLQuantizationType}
    return known.get(kind, f"number {kind}")


def _stored(tensor: Tensor, exact: bool) -> int:
    """A base that holds floats has chosen accuracy over size."""
    floats = tensor.kind in (F32, F16, BF16)
    return F16 if exact or floats or tensor.shape[0] % _BLOCK else Q8_0


def _front(head: Header, jobs: list[_Job]) -> bytes:
    """The base's header, with the new types and places."""
    places, offset = {}, 0
    for job in jobs:
        kind = job.tensor.kind if job.kind is None else job.kind
        places[job.tensor.name] = replace(job.tensor, kind=kind, offset=offset)
        offset += header.padded(job.size, head.alignment)
    ordered = [places[tensor.name] for tensor in head.tensors]
    return header.encode(head.metadata, len(head.values), ordered, head.alignment, head.version)


def _require_room(target: Path, size: int) -> None:
    """Refuse before minutes of work what cannot end well. An earlier file stays until the end."""
    folder = artifact.make_private_dir(target.parent)
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise TwinError(
            f"{folder} has {free / 1e9:.1f} GB free, the file takes {size / 1e9:.1f} GB: "
            "make room, or choose another disk (TWIN_HOME)"
        )


def _copied(source: BinaryIO, job: _Job) -> Iterator[bytes]:
    # Read, not mapped: pages of a map count as memory of the process.
    source.seek(job.start)
    left = job.held
    while left:
        piece = _taken(source, min(left, _PIECE))
        left -= len(piece)
        yield piece


def _taken(source: BinaryIO, count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise TwinError("the base became shorter while it was read; pull it again")
    return data


def _adapted(source: BinaryIO, job: _Job, weights: Lora, base: Path) -> Iterator[bytes]:
    """The rows of one matrix, some at a time."""
    import numpy as np
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    width, rows = job.tensor.shape
    factors = weights.factors(job.tensor.name)
    step = max(1, _NUMBERS // width)
    row_bytes = job.held // rows
    for first in range(0, rows, step):
        some = min(step, rows - first)
        source.seek(job.start + first * row_bytes)
        block = np.frombuffer(_taken(source, some * row_bytes), np.uint8).reshape(some, row_bytes)
        numbers = dequantize(block, GGMLQuantizationType(job.tensor.kind))
        numbers = numbers + _product(factors, weights.scale, slice(first, first + some))
        _require_numbers(numbers, job, base)
        yield quantize(numbers, GGMLQuantizationType(job.kind)).tobytes()


def _product(factors: Factors, scale: float, rows: slice) -> "np.ndarray":
    """What the adapter adds to some rows."""
    product: np.ndarray = (factors.b[rows] * scale) @ factors.a
    return product


def _require_numbers(numbers: Any, job: _Job, base: Path) -> None:
    import numpy as np

    if not np.abs(numbers).max() <= _LARGEST:  # also when it is no number
        raise TwinError(
            f"{job.tensor.name} of {base} with the adapter holds numbers that no 16-bit float "
            "holds: the adapter or the base is damaged; train again"
        )
