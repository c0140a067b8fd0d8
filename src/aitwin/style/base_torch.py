"""The base for PyTorch: a GGUF file, dequantised once into transformers' layout.

Works in pieces of a few megabytes, whatever the model's size. Does not load a model, nor quantise
one anew: see trainer_torch. Formats: GGUF (ggml), and safetensors, whose head is JSON.
"""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import pi, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import header
from aitwin.style.base import Base
from aitwin.style.header import Header, Tensor

if TYPE_CHECKING:
    import numpy as np

FORM = "floats"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
Progress = Callable[[int, int], None]
"""Called with the numbers that are converted, and with all that will be."""
_NUMBERS = 1 << 20
"""Weights that are dequantised at once."""
_BYTES = 2
"""Of a half float. They keep 11 bits of a block's scale times its integer, bf16 8: half the file of
fp32, an eighth of bf16's error."""
_LARGEST = 65504.0
"""Of half floats."""
_SPARE = 1 << 28
"""Bytes that a disk shall have left."""
_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ROPE_FACTORS = "rope_freqs.weight"
"""Divisors of the rotary frequencies, by which llama.cpp's files tell Llama 3.1's scaling."""
_LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def prepare(base: Base, on_progress: Progress = lambda done, total: None) -> Path:
    """Dequantise `base`, unless that was done before; its directory.

    Raises TwinError for a file that is damaged or holds what this architecture does not know, and
    for a disk without room.
    """
    directory = base.converted(FORM)
    if not (directory / artifact.MANIFEST).exists():
        head = header.read(base.gguf)
        jobs = list(plan(head, base.gguf))
        settings = config(head, base.gguf)
        _require_room(directory, sum(_BYTES * prod(job.shape) for job in jobs))
        with artifact.building(directory) as scratch:
            artifact.write_private(scratch / CONFIG, json.dumps(settings, indent=2))
            _write(base.gguf, jobs, scratch / WEIGHTS, on_progress)
            artifact.write_manifest(scratch, {"gguf": base.gguf.name, "sha256": base.digest})
    return directory


@dataclass(frozen=True)
class Job:
    """One tensor on its way."""

    name: str
    """In transformers."""
    source: Tensor
    start: int
    """Its first byte in the GGUF file."""
    rotary: int
    """Rows of a head whose rotary pairs are neighbours there; 0 where they are halves already."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return self.source.shape[::-1]


def plan(head: Header, gguf: Path) -> Iterator[Job]:
    """All tensors, in the order in which they lie in the file.

    Raises TwinError when one is missing, or is there that this architecture does not know.
    """
    biased = head.architecture == "qwen2"
    missing = _expected(head, biased=biased)
    for tensor in sorted(head.tensors, key=lambda one: one.offset):
        if tensor.name == _ROPE_FACTORS:
            continue
        name = _name(tensor.name)
        if name not in missing and name != "lm_head.weight":
            raise TwinError(
                f"{gguf} holds {tensor.name}, which a plain {head.architecture} model does not "
                "have: a base that is made otherwise cannot be trained; choose another"
            )
        missing.discard(name)
        rotary = 0
        if head.architecture == "llama" and ".attn_q." in tensor.name:
            rotary = tensor.shape[1] // _heads(head)
        elif head.architecture == "llama" and ".attn_k." in tensor.name:
            rotary = tensor.shape[1] // _key_heads(head)
        yield Job(name, tensor, head.start + tensor.offset, rotary)
    if missing:
        raise TwinError(
            f"{gguf} lacks {len(missing)} of its tensors, such as {min(missing)}; pull it again"
        )


def _name(tensor: str) -> str:
    """The name in transformers; empty for what has none."""
    if tensor in _OUTER:
        return _OUTER[tensor]
    parts = tensor.split(".")
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in _INNER:
        return ""
    return f"model.layers.{parts[1]}.{_INNER[parts[2]]}.{parts[3]}"


def _expected(head: Header, *, biased: bool) -> set[str]:
    """Names that a model of that many layers has in transformers, but for an untied head."""
    names = {"model.embed_tokens.weight", "model.norm.weight"}
    layers = _number(head, "block_count")
    if layers > len(head.tensors):
        raise TwinError("a GGUF file with more layers than tensors is damaged; pull the base again")
    for layer in range(layers):
        names |= {f"model.layers.{layer}.{part}.weight" for part in _INNER.values()}
        if biased:
            names |= {f"model.layers.{layer}.self_attn.{p}_proj.bias" for p in "qkv"}
    return names


def _number(head: Header, key: str) -> int:
    value = head.of_architecture(key)
    if not isinstance(value, int) or value <= 0:
        raise TwinError(
            f"a GGUF file of architecture {head.architecture} that does not say its {key} is "
            "damaged; pull the base again"
        )
    return value


def _heads(head: Header) -> int:
    return _number(head, "attention.head_count")


def _key_heads(head: Header) -> int:
    same = head.of_architecture("attention.head_count_kv") is None
    return _heads(head) if same else _number(head, "attention.head_count_kv")


def config(head: Header, gguf: Path) -> dict[str, Any]:
    """What transformers wants to know of the model.

    Raises TwinError for a scaling of the positions that cannot be told from the file.
    """
    names = {tensor.name: tensor for tensor in head.tensors}
    if "token_embd.weight" not in names:
        raise TwinError(f"{gguf} has no embeddings; it is no language model")
    width, heads = _number(head, "embedding_length"), _heads(head)
    llama = head.architecture == "llama"
    settings = {
        "architectures": ["LlamaForCausalLM" if llama else "Qwen2ForCausalLM"],
        "model_type": head.architecture,
        "dtype": "float16",
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": _number(head, "feed_forward_length"),
        "max_position_embeddings": _number(head, "context_length"),
        "num_attention_heads": heads,
        "num_hidden_layers": _number(head, "block_count"),
        "num_key_value_heads": _key_heads(head),
        "rms_norm_eps": head.of_architecture("attention.layer_norm_rms_epsilon") or 1e-6,
        "rope_parameters": _rope(head, gguf),
        "tie_word_embeddings": "output.weight" not in names,
        # Of the matrix: some files count more or fewer words in their metadata.
        "vocab_size": names["token_embd.weight"].shape[1],
    }
    if llama:
        settings["head_dim"] = head.of_architecture("rope.dimension_count") or width // heads
    for mark in ("bos", "eos"):
        settings[f"{mark}_token_id"] = head.values.get(f"tokenizer.ggml.{mark}_token_id")
    return settings


def _rope(head: Header, gguf: Path) -> dict[str, Any]:
    """How positions turn queries and keys."""
    theta = float(head.of_architecture("rope.freq_base") or 10_000.0)
    kind = head.of_architecture("rope.scaling.type") or "none"
    factors = next((one for one in head.tensors if one.name == _ROPE_FACTORS), None)
    if factors is not None:
        return _llama3(head, gguf, factors, theta)
    linear = head.of_architecture("rope.scale_linear")  # of early files
    factor = head.of_architecture("rope.scaling.factor") or linear
    if kind == "none" and not linear:
        return {"rope_type": "default", "rope_theta": theta}
    if kind == "linear" or linear:
        return {"rope_type": "linear", "rope_theta": theta, "factor": float(factor)}
    if kind != "yarn" or not factor:
        raise TwinError(
            f"{gguf} scales its positions by {kind!r}, which is not known; choose another base"
        )
    first = head.of_architecture("rope.scaling.original_context_length")
    return {
        "rope_type": "yarn",
        "rope_theta": theta,
        "factor": float(factor),
        "original_max_position_embeddings": first or _number(head, "context_length"),
    }


def _llama3(head: Header, gguf: Path, tensor: Tensor, theta: float) -> dict[str, Any]:
    """Llama 3.1's scaling, if the divisors in the file are those that it leads to."""
    import numpy as np

    with gguf.open("rb") as file:
        file.seek(head.start + tensor.offset)
        factors = np.frombuffer(file.read(4 * tensor.shape[0]), "<f4")
    settings: dict[str, Any] = {**_LLAMA3, "rope_theta": theta, "factor": float(factors.max())}
    count = len(factors)
    waves = 2 * pi * theta ** (np.arange(count) / count)
    turns = settings["original_max_position_embeddings"] / waves
    low, high = settings["low_freq_factor"], settings["high_freq_factor"]
    share = np.clip((turns - low) / (high - low), 0, 1)
    if not np.allclose(factors, 1 / ((1 - share) / settings["factor"] + share), rtol=1e-3):
        raise TwinError(
            f"{gguf} scales its positions otherwise than Llama 3 does; choose another base"
        )
    return settings


def _require_room(directory: Path, size: int) -> None:
    """Refuse before minutes of work what cannot end well."""
    folder = artifact.make_private_dir(directory.parent)
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise TwinError(
            f"{folder} has {free / 1e9:.1f} GB free; the base as PyTorch trains it takes "
            f"{size / 1e9:.1f} GB: make room, or choose another disk (TWIN_HOME)"
        )


def _write(gguf: Path, plan: list[Job], target: Path, on_progress: Progress) -> None:
    total, done = sum(prod(job.shape) for job in plan), 0
    with gguf.open("rb") as source, artifact.writing(target) as sink:
        sink.write(_front(plan))
        for job in plan:
            for numbers in _dequantised(source, job, gguf):
                sink.write(numbers.tobytes())
                done += numbers.size
                on_progress(done, total)


def _front(plan: list[Job]) -> bytes:
    """The head of a safetensors file: names, shapes and places."""
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for job in plan:
        end = offset + _BYTES * prod(job.shape)
        head[job.name] = {"dtype": "F16", "shape": job.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(head).encode()
    text = text.ljust(header.padded(len(text), 8))
    return struct.pack("<Q", len(text)) + text


def _dequantised(source: BinaryIO, job: Job, gguf: Path) -> Iterator["np.ndarray"]:
    """Half floats of one tensor, some rows at a time."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    try:
        kind = GGMLQuantizationType(job.source.kind)
        block, size = GGML_QUANT_SIZES[kind]
        width = job.source.shape[0] // block * size
        rows, unit = prod(job.shape[:-1]), job.rotary or 1
        step = max(1, _NUMBERS // job.source.shape[0] // unit) * unit
        source.seek(job.start)  # read, not mapped: pages of a map count as memory of the process
        for first in range(0, rows, step):
            some = min(step, rows - first)
            data = np.frombuffer(source.read(some * width), np.uint8).reshape(some, width)
            numbers = dequantize(data, kind)
            if job.rotary:
                numbers = _halves(numbers, job.rotary)
            yield _half_floats(numbers)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise TwinError(
            f"{job.source.name} of {gguf} cannot be dequantised ({error}): pull the base again, or "
            "choose one of another quantisation, such as Q4_K_M"
        ) from None


def _halves(rows: "np.ndarray", head: int) -> "np.ndarray":
    """The rows of whole heads in transformers' order, which rotates halves, not neighbours.

    Undoes llama.cpp's converter, for architecture `llama` alone (see lora.interleave).
    """
    some, width = rows.shape
    return rows.reshape(some // head, head // 2, 2, width).swapaxes(1, 2).reshape(some, width)


def _half_floats(numbers: "np.ndarray") -> "np.ndarray":
    import numpy as np

    if not np.abs(numbers).max() <= _LARGEST:  # also when it is no number
        raise ValueError("it holds numbers that no 16-bit float holds")
    return numbers.astype("<f2")
