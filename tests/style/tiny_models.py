"""Base models of a few thousand random weights: the shapes are real, and a step takes no time."""

from pathlib import Path

import gguf_samples
import numpy as np

from aitwin import artifact
from aitwin.style import base as bases
from aitwin.style.base import Base
from aitwin.style.tokens import Encoded

WIDTH, LAYERS, HEADS, KEY_HEADS, INNER, VOCABULARY = 64, 2, 4, 2, 128, 320
KEYS = WIDTH // HEADS * KEY_HEADS


def weights(architecture: str, *, tied: bool = False, scale: float = 0.3) -> gguf_samples.Weights:
    """Seeded random tensors, 32-bit floats."""
    random = np.random.default_rng(20)

    def matrix(width: int, rows: int) -> tuple[tuple[int, ...], int, bytes]:
        return (width, rows), 0, gguf_samples.floats(random, rows, width, scale=scale)

    ones = ((WIDTH,), 0, np.ones(WIDTH, "<f4").tobytes())
    tensors = {"token_embd.weight": matrix(WIDTH, VOCABULARY), "output_norm.weight": ones}
    if not tied:
        tensors["output.weight"] = matrix(WIDTH, VOCABULARY)
    shapes = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, KEYS), "attn_v": (WIDTH, KEYS)}
    shapes |= {"attn_output": (WIDTH, WIDTH), "ffn_gate": (WIDTH, INNER)}
    shapes |= {"ffn_up": (WIDTH, INNER), "ffn_down": (INNER, WIDTH)}
    for layer in range(LAYERS):
        tensors |= {f"blk.{layer}.{name}.weight": ones for name in ("attn_norm", "ffn_norm")}
        for name, (width, rows) in shapes.items():
            tensors[f"blk.{layer}.{name}.weight"] = matrix(width, rows)
            if architecture == "qwen2" and name in ("attn_q", "attn_k", "attn_v"):
                bias = ((rows,), 0, gguf_samples.floats(random, rows))
                tensors[f"blk.{layer}.{name}.bias"] = bias
    return tensors


def values(architecture: str) -> dict[str, object]:
    """Metadata that goes with them."""
    sizes = {
        "block_count": LAYERS,
        "context_length": 512,
        "embedding_length": WIDTH,
        "feed_forward_length": INNER,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KEY_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.freq_base": 1e6,
        "vocab_size": VOCABULARY,
    }
    return {"general.architecture": architecture, "general.name": "tiny"} | {
        f"{architecture}.{key}": value for key, value in sizes.items()
    }


def tiny(folder: Path, architecture: str = "qwen2", *, tied: bool = False) -> Base:
    """A base of two layers."""
    file = folder / "tiny.gguf"
    gguf_samples.write(file, values(architecture), weights(architecture, tied=tied))
    return bases.find("tiny", file, artifact.sha256(file), folder)


def encoded(count: int, *, longest: int = 60, seed: int = 0) -> list[Encoded]:
    """Random token ids."""
    random = np.random.default_rng(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(random.integers(0, VOCABULARY, count).tolist())

    return [
        Encoded(
            f"e{number}", ids(int(random.integers(5, longest))), ids(int(random.integers(2, 12)))
        )
        for number in range(count)
    ]
