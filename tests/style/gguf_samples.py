"""Small GGUF files and adapters, made by hand for the tests of the style room."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from safetensors.numpy import save_file

from aitwin.style import header
from aitwin.style.header import Tensor

F32 = GGMLQuantizationType.F32
Weights = Mapping[str, tuple[tuple[int, ...], int, bytes]]
"""By name: shape (numbers of a row first), quantisation, data."""
SEVEN = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def entry(key: str, value: Any) -> bytes:
    """One value of metadata."""
    return header.string(key) + _value(value)


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", header.FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", header.STRING) + header.string(value)
    if value and isinstance(value[0], str):
        texts = b"".join(header.string(text) for text in value)
        return struct.pack("<IIQ", 9, header.STRING, len(value)) + texts
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def write(target: Path, values: Mapping[str, Any], weights: Weights, *, version: int = 3) -> Path:
    """A GGUF file of these values and tensors."""
    alignment = values.get("general.alignment", header.ALIGNMENT)
    tensors, offset, data = [], 0, b""
    for name, (shape, kind, content) in weights.items():
        tensors.append(Tensor(name, shape, int(kind), offset))
        data += content.ljust(header.padded(len(content), alignment), b"\0")
        offset = len(data)
    metadata = b"".join(entry(key, value) for key, value in values.items())
    target.write_bytes(header.encode(metadata, len(values), tensors, alignment, version) + data)
    return target


def floats(random: np.random.Generator, *shape: int, scale: float = 0.1) -> bytes:
    return (random.standard_normal(shape) * scale).astype("<f4").tobytes()


def blocks(random: np.random.Generator, kind: GGMLQuantizationType, rows: int, width: int) -> bytes:
    """Weights of about 0.05 in random bits: any is valid, but for the scales, which are set."""
    numbers, size = GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (rows * width // numbers, size), np.uint8)
    half = np.array([2e-4, 1.5e-3], "<f2").view(np.uint8)
    match kind:
        case GGMLQuantizationType.Q4_K | GGMLQuantizationType.Q5_K:  # d, dmin, ...
            data[:, :4] = half
        case GGMLQuantizationType.IQ4_NL:  # d, ...
            data[:, :2] = np.array([5e-4], "<f2").view(np.uint8)
        case GGMLQuantizationType.Q2_K:  # ..., d, dmin
            data[:, -4:] = np.array([4e-3, 6e-3], "<f2").view(np.uint8)
        case GGMLQuantizationType.Q3_K:  # ..., d
            data[:, -2:] = np.array([1e-3], "<f2").view(np.uint8)
        case GGMLQuantizationType.Q6_K:  # ..., scales, d
            scales = random.integers(-16, 17, (len(data), 16), np.int8)
            data[:, -18:-2] = scales.view(np.uint8)
            data[:, -2:] = half[:2]
    return data.tobytes()


def peft_adapter(
    target: Path,
    tensors: Sequence[tuple[str, np.ndarray, np.ndarray]],
    **config: Any,
) -> Path:
    """A directory as PEFT writes it: per matrix its path in the model, A and B."""
    target.mkdir(parents=True, exist_ok=True)
    rank = tensors[0][1].shape[0] if tensors else 8
    modules = sorted({path.rpartition(".")[2] for path, _, _ in tensors})
    options = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": modules}
    (target / "adapter_config.json").write_text(json.dumps(options | config))
    weights = {}
    for path, a, b in tensors:
        weights[f"base_model.model.model.layers.{path}.lora_A.weight"] = np.ascontiguousarray(a)
        weights[f"base_model.model.model.layers.{path}.lora_B.weight"] = np.ascontiguousarray(b)
    save_file(weights, target / "adapter_model.safetensors")
    return target


def mlx_adapter(
    target: Path, tensors: Sequence[tuple[str, np.ndarray, np.ndarray]], **config: Any
) -> Path:
    """The same as mlx-lm writes it: transposed, alpha over rank as the scale."""
    target.mkdir(parents=True, exist_ok=True)
    rank = tensors[0][1].shape[0]
    parameters = {"rank": rank, "scale": 2.0, "dropout": 0.0}
    options = {"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": parameters}
    (target / "adapter_config.json").write_text(json.dumps(options | config))
    weights = {}
    for path, a, b in tensors:
        weights[f"model.layers.{path}.lora_a"] = np.ascontiguousarray(a.T)
        weights[f"model.layers.{path}.lora_b"] = np.ascontiguousarray(b.T)
    save_file(weights, target / "adapters.safetensors")
    return target


def random_factors(
    gguf: Path, *, rank: int = 8, size: float = 0.05, seed: int = 4, matrices: Sequence[str] = ()
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """A and B for every linear matrix of the model, or for these, drawn by their size."""
    random = np.random.default_rng(seed)
    head = header.read(gguf)
    paths = {ours: theirs for theirs, ours in SEVEN.items() if not matrices or ours in matrices}
    factors = []
    for tensor in head.tensors:
        block, _, name = tensor.name.removesuffix(".weight").partition(".")
        layer, _, matrix = name.partition(".")
        if block == "blk" and matrix in paths and tensor.name.endswith(".weight"):
            width, rows = tensor.shape
            a = random.standard_normal((rank, width)) / width**0.5
            b = random.standard_normal((rows, rank)) * size
            one = (f"{layer}.{paths[matrix]}", a.astype("<f4"), b.astype("<f4"))
            factors.append(one)
    return factors
