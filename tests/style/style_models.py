"""Models of a few hundred kilobytes with seeded random weights, of both architectures, any type.

Real weights of every architecture and block format cannot be had here; the arithmetic that could
differ (biases, permuted halves, grouped queries, packed integers) does not need them.
"""

from functools import cache
from pathlib import Path
from typing import Any

import gguf_samples
import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.style import base as bases
from aitwin.style.base import Base
from aitwin.style.tokens import Encoded

WIDTH, LAYERS, HEADS, KEY_HEADS, INNER = 64, 2, 4, 2, 128
VOCABULARY = 1024
"""Enough for the bytes and the turns' ends of SmolLM2's."""


def random_blocks(
    rows: int, columns: int, kind: str, random: np.random.Generator, scale: float
) -> NDArray[np.uint8]:
    """Bytes of a tensor of type `kind` [rows, bytes], of weights of about that `scale` or 0.05."""
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    type_ = GGMLQuantizationType[kind]
    try:
        weights = random.standard_normal((rows, columns)) * scale
        return quantize(weights.astype(np.float32), type_)
    except NotImplementedError:  # gguf-py only reads those
        blocks = gguf_samples.blocks(random, type_, rows, columns)
        return np.frombuffer(blocks, np.uint8).reshape(rows, -1)


def write_model(
    target: Path,
    architecture: str,
    kind: str = "F32",
    *,
    width: int = WIDTH,
    tied: bool = False,
    tokenizer_from: Path | None = None,
    fields: dict[str, Any] | None = None,
    tensors: dict[str, NDArray[np.float32]] | None = None,
) -> None:
    """A GGUF file whose matrices are of type `kind`; `fields` and `tensors` are added to it."""
    from gguf import GGMLQuantizationType, GGUFWriter

    writer = GGUFWriter(target, architecture)
    _tokenizer(writer, tokenizer_from)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6 if architecture == "qwen2" else 1e4)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_vocab_size(VOCABULARY)
    for key, value in (fields or {}).items():
        {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32}[type(value)](
            key, value
        )
    random = np.random.default_rng(20)

    def matrix(name: str, rows: int, columns: int) -> None:
        scale = 0.3 * (WIDTH / columns) ** 0.5
        if kind == "F32":
            # Numbers that a half float holds: no trainer rounds them.
            weights = (random.standard_normal((rows, columns)) * scale).astype(np.float16)
            writer.add_tensor(name, weights.astype(np.float32))
        else:
            blocks = random_blocks(rows, columns, kind, random, scale)
            writer.add_tensor(name, blocks, raw_dtype=GGMLQuantizationType[kind])

    matrix("token_embd.weight", VOCABULARY, width)
    if not tied:
        matrix("output.weight", VOCABULARY, width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    keys = width // HEADS * KEY_HEADS
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        writer.add_tensor(f"{at}attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(f"{at}ffn_norm.weight", np.ones(width, np.float32))
        for projection, out in (("q", width), ("k", keys), ("v", keys)):
            matrix(f"{at}attn_{projection}.weight", out, width)
            if architecture == "qwen2":
                bias = (random.standard_normal(out) * 0.3).astype(np.float16)
                writer.add_tensor(f"{at}attn_{projection}.bias", bias.astype(np.float32))
        matrix(f"{at}attn_output.weight", width, width)
        matrix(f"{at}ffn_gate.weight", 2 * width, width)
        matrix(f"{at}ffn_up.weight", 2 * width, width)
        matrix(f"{at}ffn_down.weight", width, 2 * width)
    for name, weights in (tensors or {}).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tokenizer(writer: Any, source: Path | None) -> None:
    """The first words of another model's, or invented ones, which no engine is asked to read."""
    if source is None:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list([f"word{number}" for number in range(VOCABULARY)])
        return
    for name, kind, value in _tokenizer_fields(source):
        if name == "tokenizer.ggml.tokens":
            words = set(value[:VOCABULARY])
        if name == "tokenizer.ggml.merges":
            writer.add_array(name, [pair for pair in value if pair.replace(" ", "") in words])
        elif isinstance(value, list):
            writer.add_array(name, value[:VOCABULARY])
        else:
            writer.add_key_value(name, value, kind)


@cache
def _tokenizer_fields(source: Path) -> list[tuple[str, Any, Any]]:
    from gguf import GGUFReader

    fields = GGUFReader(source).fields
    return [
        (name, field.types[0], field.contents())
        for name, field in fields.items()
        if name.startswith("tokenizer.")
    ]


def base(folder: Path, architecture: str, kind: str = "F32", **options: Any) -> Base:
    """Such a model as a base, its converted forms below `folder`."""
    file = folder / f"{architecture}-{kind}.gguf"
    write_model(file, architecture, kind, **options)
    return bases.find(str(file), file, artifact.sha256(file), folder / "converted")


def examples(count: int, seed: int = 0) -> list[Encoded]:
    """Invented token ids of unlike lengths, and replies that all begin the same."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        prompt = random.integers(0, VOCABULARY, random.integers(4, 20)).tolist()
        length = int(random.integers(2, 9))
        reply = range(100, 100 + length)
        made.append(Encoded(f"e{number}", tuple(prompt), tuple(reply)))
    return made
