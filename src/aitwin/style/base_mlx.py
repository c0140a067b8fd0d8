"""The base for MLX: a GGUF file, repacked once into the layout of mlx-lm.

Most block formats of GGUF are affine (w = scale * q + bias, per 32 weights), and so is MLX's
quantisation: the integers move over as they are, so that what is trained on is what is served. The
others are quantised again, to 8 bits. Runs no model: see trainer_mlx.

Block formats: ggml's `ggml-common.h`; MLX's: a little-endian stream of `bits`-wide integers.
"""

import json
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import base_torch, header
from aitwin.style.base import Base
from aitwin.style.base_torch import Job
from aitwin.style.header import Header

FORM = "mlx"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
GROUP = 32
"""Weights that share a scale and a bias."""
COARSE = 8
"""Bits for formats that are not affine by 32: finer than any of them."""
CHUNK = 2**20
"""Weights that are repacked at a time."""
FLOATS = ("F32", "F16", "BF16")
"""Types that stay as they are."""
_SIZES = {"F32": 4, "F16": 2, "BF16": 2, "U32": 4}

_BLOCKS = {
    "Q4_0": [("d", "<f2"), ("low", "u1", 16)],
    "Q4_1": [("d", "<f2"), ("m", "<f2"), ("low", "u1", 16)],
    "Q5_0": [("d", "<f2"), ("high", "u1", 4), ("low", "u1", 16)],
    "Q5_1": [("d", "<f2"), ("m", "<f2"), ("high", "u1", 4), ("low", "u1", 16)],
    "Q8_0": [("d", "<f2"), ("signed", "i1", 32)],
    "Q4_K": [("d", "<f2"), ("m", "<f2"), ("six", "u1", 12), ("low", "u1", 128)],
    "Q5_K": [("d", "<f2"), ("m", "<f2"), ("six", "u1", 12), ("high", "u1", 32), ("low", "u1", 128)],
}


@dataclass(frozen=True)
class Tensor:
    """One tensor: where it lies in the GGUF file, and what becomes of it."""

    name: str
    """MLX's."""
    kind: str
    """GGUF's name of its type, such as Q4_K."""
    shape: tuple[int, ...]
    offset: int
    """In the file, bytes."""
    row: int
    """Bytes of one row in the file."""
    rotary: int = 0
    """Rows of a head whose rotary pairs are neighbours there; 0 where they are halves already."""

    @property
    def bits(self) -> int | None:
        """Bits per weight in MLX; None stays a float."""
        if self.kind in FLOATS:
            return None
        return int(self.kind[1]) if self.kind in _BLOCKS else COARSE

    @property
    def arrays(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Names, types and shapes in MLX."""
        if self.bits is None:
            return {self.name: (self.kind, self.shape)}
        module = self.name.removesuffix(".weight")
        *rows, columns = self.shape
        groups = ("F16", (*rows, columns // GROUP))
        packed = ("U32", (*rows, columns * self.bits // 32))
        return {self.name: packed, f"{module}.scales": groups, f"{module}.biases": groups}

    @property
    def bytes(self) -> int:
        """Its size in MLX."""
        return sum(_SIZES[kind] * prod(shape) for kind, shape in self.arrays.values())


def prepare(base: Base) -> Path:
    """Repack `base`, unless that was done before; its directory, which mlx-lm loads.

    Raises TwinError for a base that MLX's model cannot hold, and for a disk without room.
    """
    directory = base.converted(FORM)
    if (directory / artifact.MANIFEST).exists():
        return directory
    head = header.read(base.gguf)
    tensors = read(head, base.gguf)
    settings = config(head, base.gguf, tensors)
    _require_room(directory, sum(tensor.bytes for tensor in tensors))
    try:
        with artifact.building(directory) as scratch:
            _write(base.gguf, tensors, scratch / WEIGHTS)
            artifact.write_private(scratch / CONFIG, json.dumps(settings, indent=2))
            artifact.write_manifest(scratch, {"gguf": base.gguf.name, "sha256": base.digest})
    except OSError as error:
        raise TwinError(
            f"{base.gguf} could not be converted into {directory} ({error.strerror}); free some "
            "space and train again"
        ) from None
    return directory


def size(gguf: Path) -> tuple[int, int | None]:
    """Bytes that the weights of a file take in MLX, and bits of the coarsest; None: all floats."""
    tensors = read(header.read(gguf), gguf)
    return sum(tensor.bytes for tensor in tensors), _coarsest(tensors)


def _coarsest(tensors: Sequence[Tensor]) -> int | None:
    return min((tensor.bits for tensor in tensors if tensor.bits is not None), default=None)


def _require_room(directory: Path, needed: int) -> None:
    """Refuse before minutes of work what cannot end well."""
    folder = artifact.make_private_dir(directory.parent)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise TwinError(
            f"{folder} has {free / 1e9:.1f} GB free; the base as MLX trains it takes "
            f"{needed / 1e9:.1f} GB: make room, or choose another disk (TWIN_HOME)"
        )


# --- What the file holds --------------------------------------------------------------------------


def read(head: Header, gguf: Path) -> list[Tensor]:
    """The tensors, in the file's order.

    Raises TwinError for whatever has no exact counterpart: a silent omission would train another
    model than the one that is served.
    """
    return [_tensor(job, gguf) for job in base_torch.plan(head, gguf)]


def _tensor(job: Job, gguf: Path) -> Tensor:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    try:
        kind = GGMLQuantizationType(job.source.kind)
        block, length = GGML_QUANT_SIZES[kind]
        if kind.name not in FLOATS:
            dequantize(np.zeros((1, length), np.uint8), kind)
        known = kind.name in FLOATS or (len(job.shape) > 1 and block % GROUP == 0)
    except (ValueError, KeyError, NotImplementedError):
        known = False
    if not known:
        raise TwinError(
            f"{gguf} holds {job.source.name} in a form (ggml's number {job.source.kind}) that "
            "cannot be trained on; choose a base quantised as Q4_K_M"
        )
    row = job.shape[-1] // block * length
    return Tensor(job.name, kind.name, job.shape, job.start, row, job.rotary)


def config(head: Header, gguf: Path, tensors: Sequence[Tensor]) -> dict[str, Any]:
    """What mlx-lm wants to know of the model: as transformers, but for positions and bits."""
    settings = base_torch.config(head, gguf)
    rope = settings.pop("rope_parameters")
    settings["rope_theta"] = rope.pop("rope_theta")
    if rope["rope_type"] != "default":
        settings["rope_scaling"] = rope
    width = settings["hidden_size"] // settings["num_attention_heads"]
    if settings["model_type"] == "qwen2":
        rotated = head.of_architecture("rope.dimension_count") or width
        if rotated != width:
            raise TwinError(
                f"{gguf} rotates {rotated} of {width} numbers of a head, which MLX's model does "
                "not; choose another base, or `twin train --trainer torch`"
            )
    coarsest = _coarsest(tensors)
    if coarsest is not None:
        quantised = {tensor.name.removesuffix(".weight"): tensor.bits for tensor in tensors}
        settings["quantization"] = _quantised(coarsest) | {
            name: _quantised(bits) for name, bits in quantised.items() if bits is not None
        }
    return settings


def _quantised(bits: int) -> dict[str, Any]:
    return {"group_size": GROUP, "bits": bits, "mode": "affine"}


# --- Repacking ------------------------------------------------------------------------------------


def _write(gguf: Path, tensors: Sequence[Tensor], target: Path) -> None:
    """A safetensors file, some rows at a time: integers, scales and biases each to their place."""
    front, places = _front(tensors)
    with gguf.open("rb") as source, artifact.writing(target) as sink:
        sink.write(front)
        for tensor in tensors:
            for arrays in repacked(source, tensor):
                for name, array in arrays.items():
                    sink.seek(len(front) + places[name])
                    sink.write(array.tobytes())
                    places[name] += array.nbytes


def _front(tensors: Sequence[Tensor]) -> tuple[bytes, dict[str, int]]:
    """The head of a safetensors file, and where behind it each array begins."""
    head: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    places, offset = {}, 0
    for tensor in tensors:
        for name, (kind, shape) in tensor.arrays.items():
            end = offset + _SIZES[kind] * prod(shape)
            head[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, end]}
            places[name], offset = offset, end
    text = json.dumps(head).encode()
    text = text.ljust(header.padded(len(text), 8))
    return struct.pack("<Q", len(text)) + text, places


def repacked(source: BinaryIO, tensor: Tensor) -> Iterator[dict[str, NDArray[Any]]]:
    """Some rows at a time of the arrays that a tensor of the open GGUF file becomes."""
    for raw in _rows(source, tensor):
        parts = _convert(raw, tensor).values()
        yield {
            name: _in_halves(part, tensor.rotary) if tensor.rotary else part
            for name, part in zip(tensor.arrays, parts, strict=True)
        }


def _rows(source: BinaryIO, tensor: Tensor) -> Iterator[NDArray[np.uint8]]:
    """Whole heads where rows must be reordered; read, not mapped: a map would count as memory."""
    count, unit = prod(tensor.shape[:-1]), tensor.rotary or 1
    some = max(1, CHUNK // tensor.shape[-1] // unit) * unit
    source.seek(tensor.offset)
    for start in range(0, count, some):
        rows = min(some, count - start)
        data = source.read(rows * tensor.row)
        if len(data) < rows * tensor.row:
            raise TwinError(
                f"the base is cut off within {tensor.name}; pull it again: `twin models verify`"
            )
        yield np.frombuffer(data, np.uint8).reshape(rows, tensor.row)


def _convert(raw: NDArray[np.uint8], tensor: Tensor) -> Mapping[str, NDArray[Any]]:
    if tensor.kind in FLOATS:
        return {"weight": raw}
    if tensor.kind not in _BLOCKS:
        return _coarse(raw, tensor.kind)
    integers, scales, biases = affine(raw, tensor.kind)
    return {
        "weight": pack(integers, int(tensor.kind[1])),
        "scales": scales.astype(np.float16),
        "biases": biases.astype(np.float16),
    }


def affine(
    raw: NDArray[np.uint8], kind: str
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Rows of blocks as integers [rows, in], and scales and biases [rows, in / 32]."""
    from gguf.quants import Q4_K

    rows = len(raw)
    blocks = raw.view(np.dtype(_BLOCKS[kind]))
    names = blocks.dtype.names or ()
    scales = blocks["d"].astype(np.float32)
    if kind.endswith("_K"):
        # Eight groups per block, each with a scale and a minimum of six bits.
        six, minima = Q4_K.get_scale_min(np.ascontiguousarray(blocks["six"]).reshape(-1, 12))
        biases = -(blocks["m"].astype(np.float32)[..., None] * minima.reshape(rows, -1, 8))
        scales = scales[..., None] * six.reshape(rows, -1, 8)
    elif "m" in names:
        biases = blocks["m"].astype(np.float32)
    else:
        biases = -scales * 2 ** (int(kind[1]) - 1)
    return (
        _integers(blocks).reshape(rows, -1),
        scales.reshape(rows, -1),
        biases.reshape(rows, -1),
    )


def _integers(blocks: NDArray[Any]) -> NDArray[np.uint8]:
    """The quantised integers of each block, in the order of the weights."""
    names = blocks.dtype.names or ()
    if "signed" in names:
        return blocks["signed"].view(np.uint8) ^ np.uint8(0x80)
    # Each run of bytes holds as many weights in its low halves, and the following in its high ones.
    run = min(GROUP, blocks["low"].shape[-1])
    low = blocks["low"].reshape(*blocks.shape, -1, 1, run)
    integers = np.concatenate([low & 0x0F, low >> 4], axis=-2)
    if "high" in names:
        high: NDArray[np.uint8] = blocks["high"]
        fifth: NDArray[Any]
        if run < GROUP:
            fifth = np.unpackbits(high, axis=-1, bitorder="little")
        else:
            fifth = high[..., None, :] >> np.arange(8, dtype=np.uint8)[:, None] & 1
        integers |= fifth.reshape(integers.shape) << 4
    return integers


def pack(integers: NDArray[np.uint8], width: int) -> NDArray[np.uint32]:
    """Rows of integers as MLX packs them: eight at a time into `width` bytes."""
    rows = len(integers)
    eights = integers.reshape(rows, -1, 8)
    stream = np.zeros(eights.shape[:2], "<u8")
    for place in range(8):
        stream |= eights[..., place].astype(np.uint64) << np.uint64(width * place)
    packed = stream.view(np.uint8).reshape(rows, -1, 8)[..., :width]
    return np.ascontiguousarray(packed).reshape(rows, -1).view("<u4")


def _coarse(raw: NDArray[np.uint8], kind: str) -> dict[str, NDArray[Any]]:
    """Quantised anew, to 8 bits."""
    import mlx.core as mx
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    weights = mx.array(dequantize(raw, GGMLQuantizationType[kind]))
    packed, scales, biases = mx.quantize(weights, group_size=GROUP, bits=COARSE)
    return {
        "weight": np.array(packed),
        "scales": np.array(scales.astype(mx.float16)),
        "biases": np.array(biases.astype(mx.float16)),
    }


def _in_halves(rows: NDArray[Any], head: int) -> NDArray[Any]:
    """Reorder the rows, of whatever width, of heads of so many rows.

    GGUF files of architecture `llama` rotate neighbouring pairs of a head, MLX its halves.
    """
    out, width = rows.shape
    pairs = rows.reshape(out // head, head // 2, 2, width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(out, width)
