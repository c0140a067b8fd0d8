"""The base for MLX: a GGUF file, repacked once into the layout of mlx-lm.

Most block formats of GGUF are affine (w = scale * q + bias, per 32 weights), and so is MLX's
quantisation: the integers move over as they are, so that what is trained on is what is served. The
others are quantised again, to 8 bits. Runs no model: see trainer_mlx.

Block formats: ggml's `ggml-common.h`; MLX's: a little-endian stream of `bits`-wide integers.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style.base import Base

FORM = "mlx"
GROUP = 32
"""Weights that share a scale and a bias."""
COARSE = 8
"""Bits for formats that are not affine by 32: finer than any of them."""
USABLE = 0.75
"""Share of the memory that the weights may take: activations and the system want the rest."""
CHUNK = 2**23
"""Weights that are repacked at a time."""
FLOATS = {"F32": 4, "F16": 2, "BF16": 2}
"""Bytes of the types that stay as they are."""

_BLOCKS = {
    "Q4_0": [("d", "<f2"), ("low", "u1", 16)],
    "Q4_1": [("d", "<f2"), ("m", "<f2"), ("low", "u1", 16)],
    "Q5_0": [("d", "<f2"), ("high", "u1", 4), ("low", "u1", 16)],
    "Q5_1": [("d", "<f2"), ("m", "<f2"), ("high", "u1", 4), ("low", "u1", 16)],
    "Q8_0": [("d", "<f2"), ("signed", "i1", 32)],
    "Q4_K": [("d", "<f2"), ("m", "<f2"), ("six", "u1", 12), ("low", "u1", 128)],
    "Q5_K": [("d", "<f2"), ("m", "<f2"), ("six", "u1", 12), ("high", "u1", 32), ("low", "u1", 128)],
}
_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
_BIASES = {f"attn_{p}.bias": f"self_attn.{p}_proj.bias" for p in "qkv"}
_FREQUENCIES = "rope_freqs.weight"
SLOW, FAST, TRAINED = 1.0, 4.0, 8192
"""Llama 3.1 and 3.2: turns within the first context below which a frequency is stretched, above
which it is not, and that context. A GGUF file holds their result, not the numbers."""


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
    heads: int | None = None
    """Rows are interleaved within so many heads, and must not be."""

    @property
    def bits(self) -> int | None:
        """Bits per weight in MLX; None stays a float."""
        if self.kind in FLOATS:
            return None
        return int(self.kind[1]) if self.kind in _BLOCKS else COARSE

    @property
    def bytes(self) -> int:
        """Its size in MLX: a quantised one has two 16-bit floats per group."""
        count = int(np.prod(self.shape))
        if self.bits is None:
            return count * FLOATS[self.kind]
        return count * self.bits // 8 + count // GROUP * 4


def prepare(base: Base) -> Path:
    """Repack `base`, unless that was done before; its directory, which mlx-lm loads.

    Raises TwinError for a base that MLX's model cannot hold, or the memory or disk.
    """
    directory = base.converted(FORM)
    if (directory / artifact.MANIFEST).exists():
        _require_memory(base.gguf, sum(p.stat().st_size for p in directory.iterdir()))
        return directory
    config, tensors = read(base.gguf)
    size = sum(tensor.bytes for tensor in tensors)
    _require_memory(base.gguf, size)
    _require_disk(artifact.make_private_dir(directory.parent), size)
    try:
        with artifact.building(directory) as scratch:
            _repack(base.gguf, tensors, scratch)
            artifact.write_private(scratch / "config.json", json.dumps(config, indent=2))
            artifact.write_manifest(scratch, {"gguf": base.gguf.name, "sha256": base.digest})
    except OSError as error:
        raise TwinError(
            f"{base.gguf} could not be converted into {directory} ({error.strerror}); free some "
            "space and train again"
        ) from None
    return directory


def bits(directory: Path) -> int | None:
    """Bits of the coarsest weights in a prepared directory; None when all are floats."""
    config = json.loads((directory / "config.json").read_text())
    coarsest: int | None = config.get("quantization", {}).get("bits")
    return coarsest


def _require_memory(gguf: Path, needed: int) -> None:
    """Refuse before minutes of work what cannot end well: the weights alone fill the memory."""
    import mlx.core as mx

    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if mx.default_device() == mx.gpu:
        device = mx.device_info()
        there = int(device.get("memory_size", device.get("total_memory", there)))
    if needed > there * USABLE:
        raise TwinError(
            f"{gguf} takes {needed / 1e9:.1f} GB and more to train, and there are "
            f"{there / 1e9:.0f} GB. Choose a smaller base, or one of 4 bits (`twin models list`, "
            "`twin init --base NAME`)"
        )


def _require_disk(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if needed > free:
        raise TwinError(
            f"converting the base takes {needed / 1e9:.1f} GB in {place}, and {free / 1e9:.1f} are "
            "free; make room and train again"
        )


# --- What the file holds --------------------------------------------------------------------------


def read(gguf: Path) -> tuple[dict[str, Any], list[Tensor]]:
    """mlx-lm's `config.json` for a GGUF file, and the tensors, layer by layer.

    Raises TwinError for whatever has no exact counterpart: a silent omission would train another
    model than the one that is served.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(gguf)
        config = _config(gguf, reader)
        found = {tensor.name: tensor for tensor in reader.tensors}
    except (OSError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise TwinError(
            f"{gguf} is damaged ({type(error).__name__}); pull it again: `twin models verify`"
        ) from None
    config["tie_word_embeddings"] = "output.weight" not in found
    if _FREQUENCIES in found:
        factors = np.array(found.pop(_FREQUENCIES).data, np.float32)
        config["rope_scaling"] = _stretched(gguf, factors, config)
    places = _places(config)
    if places.keys() != found.keys():
        missing, more = places.keys() - found.keys(), found.keys() - places.keys()
        raise TwinError(
            f"{gguf} is no plain {config['model_type']} model: "
            + (f"it lacks {min(missing)}" if missing else f"it has {min(more)}")
            + f" ({len(missing)} tensors too few, {len(more)} too many); choose another base, or "
            "`twin train --trainer torch`"
        )
    tensors = [_tensor(gguf, found[name], place, config) for name, place in places.items()]
    if len(found["token_embd.weight"].shape) == 2:
        config["vocab_size"] = int(found["token_embd.weight"].shape[1])
    quantised = {t.name.removesuffix(".weight"): t.bits for t in tensors if t.bits is not None}
    if quantised:
        modules = {
            name: {"group_size": GROUP, "bits": width, "mode": "affine"}
            for name, width in quantised.items()
        }
        least = min(quantised.values())
        config["quantization"] = {"group_size": GROUP, "bits": least, "mode": "affine", **modules}
    return config, tensors


def _config(gguf: Path, reader: Any) -> dict[str, Any]:
    architecture = str(reader.get_field("general.architecture").contents())

    def value(key: str, default: Any = None) -> Any:
        field = reader.get_field(f"{architecture}.{key}")
        if field is None and default is None:
            raise TwinError(f"{gguf} does not say its {key}; pull it again, or choose another base")
        return default if field is None else field.contents()

    width, heads = value("embedding_length"), value("attention.head_count")
    config = {
        "model_type": architecture,
        "hidden_size": width,
        "num_hidden_layers": value("block_count"),
        "intermediate_size": value("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": value("attention.head_count_kv", heads),
        "rms_norm_eps": value("attention.layer_norm_rms_epsilon"),
        "max_position_embeddings": value("context_length"),
        "rope_theta": value("rope.freq_base", 10000.0),
    }
    uneven = [key for key, number in config.items() if isinstance(number, list)]
    head = value("attention.key_length", width // heads if not uneven else 0)
    odd = {
        f"another {uneven[0] if uneven else ''} in each layer": bool(uneven),
        "values of another width than its keys": value("attention.value_length", head) != head,
        "a rotation of a part of each head": value("rope.dimension_count", head) != head,
        "heads of a width of their own": architecture == "qwen2" and head != width // heads,
        "a foreign byte order": reader.byte_order == "S",
    }
    if any(odd.values()):
        reason = next(name for name, there in odd.items() if there)
        raise TwinError(f"{gguf} has {reason}, which MLX's model has not; choose another base")
    if architecture == "llama":
        config["head_dim"] = head
    scaling, factor = value("rope.scaling.type", "none"), value("rope.scaling.factor", 1.0)
    if scaling == "linear" and factor != 1.0:
        config["rope_scaling"] = {"type": "linear", "factor": factor}
    elif scaling not in ("none", "linear"):
        raise TwinError(
            f"{gguf} stretches its context by {scaling!r}, which would train otherwise than it is "
            "served; choose a base without (Qwen2.5-7B-Instruct has 32,768 tokens as it is)"
        )
    return config


def _stretched(gguf: Path, factors: NDArray[np.float32], config: dict[str, Any]) -> dict[str, Any]:
    """The numbers of Llama 3's rotation, if they give the `factors` that are in the file."""
    size = config.get("head_dim", 2 * len(factors))
    lengths = 2 * np.pi * config["rope_theta"] ** (np.arange(0, size, 2) / size)
    longest = float(factors.max())
    kept = np.clip((TRAINED / lengths - SLOW) / (FAST - SLOW), 0, 1)
    expected = 1 / ((1 - kept) / longest + kept)
    if factors.shape != expected.shape or not np.allclose(factors, expected, rtol=1e-3):
        raise TwinError(
            f"{gguf} rotates its heads by frequencies of its own ({_FREQUENCIES}), which are not "
            "those of Llama 3; choose another base"
        )
    return {
        "rope_type": "llama3",
        "factor": longest,
        "low_freq_factor": SLOW,
        "high_freq_factor": FAST,
        "original_max_position_embeddings": TRAINED,
    }


def _places(config: dict[str, Any]) -> dict[str, str]:
    """GGUF's name to MLX's of every tensor of such a model."""
    names = {"token_embd.weight": "model.embed_tokens.weight"}
    parts = _LAYER | (_BIASES if config["model_type"] == "qwen2" else {})
    for layer in range(config["num_hidden_layers"]):
        names |= {f"blk.{layer}.{a}": f"model.layers.{layer}.{b}" for a, b in parts.items()}
    names["output_norm.weight"] = "model.norm.weight"
    if not config["tie_word_embeddings"]:
        names["output.weight"] = "lm_head.weight"
    return names


def _tensor(gguf: Path, found: Any, place: str, config: dict[str, Any]) -> Tensor:
    from gguf import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    kind = found.tensor_type
    shape = tuple(int(size) for size in reversed(found.shape))
    block, size = GGML_QUANT_SIZES[kind]
    if kind.name not in FLOATS:
        try:
            dequantize(np.zeros((1, size), np.uint8), kind)
            known = len(shape) > 1 and block % GROUP == 0
        except NotImplementedError:
            known = False
        if not known:
            raise TwinError(
                f"{gguf} holds {found.name} as {kind.name}, which cannot be read for training; "
                "choose a base quantised as Q4_K_M"
            )
    heads = None
    if config["model_type"] == "llama" and place.endswith(("q_proj.weight", "k_proj.weight")):
        query = place.endswith("q_proj.weight")
        heads = config["num_attention_heads" if query else "num_key_value_heads"]
    row = shape[-1] // block * size
    return Tensor(place, kind.name, shape, int(found.data_offset), row, heads)


# --- Repacking ------------------------------------------------------------------------------------


def _repack(gguf: Path, tensors: Sequence[Tensor], target: Path) -> None:
    """One file per layer, so that no more than a layer, or the embedding, is in memory."""
    import mlx.core as mx

    shards: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        parts = tensor.name.split(".")
        shard = parts[2].zfill(3) if parts[1] == "layers" else parts[-2]
        shards.setdefault(shard, []).append(tensor)
    with gguf.open("rb") as file:
        for shard, members in shards.items():
            arrays: dict[str, Any] = {}
            for tensor in members:
                arrays |= {name: _hold(array) for name, array in repacked(file, tensor).items()}
            mx.save_safetensors(
                str(target / f"model-{shard}.safetensors"), arrays, metadata={"format": "mlx"}
            )
            mx.clear_cache()


def _hold(array: NDArray[Any]) -> Any:
    """In MLX; NumPy has no bf16 and carries it as integers."""
    import mlx.core as mx

    held = mx.array(array)
    return held.view(mx.bfloat16) if array.dtype == np.uint16 else held


def repacked(file: Any, tensor: Tensor) -> dict[str, NDArray[Any]]:
    """The arrays of MLX that a tensor of the open GGUF file becomes, by name."""
    chunks: dict[str, list[NDArray[Any]]] = {}
    for raw in _rows(file, tensor):
        for part, array in _convert(raw, tensor).items():
            chunks.setdefault(part, []).append(array)
    arrays = {}
    for part in list(chunks):
        whole = np.concatenate(chunks.pop(part))
        if tensor.heads:
            whole = _in_halves(whole, tensor.heads)
        name = tensor.name if part == "weight" else tensor.name.removesuffix("weight") + part
        arrays[name] = whole.reshape(tensor.shape) if len(tensor.shape) == 1 else whole
    return arrays


def _rows(file: Any, tensor: Tensor) -> Iterator[NDArray[np.uint8]]:
    """Some rows at a time, as bytes; read, not mapped, so that the file does not fill memory."""
    count = int(np.prod(tensor.shape[:-1]))
    some = max(1, CHUNK // tensor.shape[-1])
    file.seek(tensor.offset)
    for start in range(0, count, some):
        rows = min(some, count - start)
        data = file.read(rows * tensor.row)
        if len(data) < rows * tensor.row:
            raise TwinError(f"{file.name} is cut off; pull it again: `twin models verify`")
        yield np.frombuffer(data, np.uint8).reshape(rows, tensor.row)


def _convert(raw: NDArray[np.uint8], tensor: Tensor) -> Mapping[str, NDArray[Any]]:
    if tensor.kind in FLOATS:
        kinds = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
        return {"weight": raw.view(kinds[tensor.kind])}
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


def _in_halves(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Reorder the rows of a query or key projection, of whatever width.

    GGUF files of architecture `llama` rotate neighbouring pairs of a head, MLX its halves.
    """
    out, width = rows.shape
    pairs = rows.reshape(heads, out // heads // 2, 2, width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(out, width)
