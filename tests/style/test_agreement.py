"""The adapter that is served is the one that was trained: torch, LoRA beside the base, and graft.

Compared by log-probabilities and first choices over a text that nobody was trained on; the adapter
is random, on all seven matrices, and so large that any mistake is unmistakable. Figures for every
quantisation: `benchmarks/export.py agreement`.
"""

from collections.abc import Callable
from pathlib import Path

import gguf_samples
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from aitwin.style import gguf, header, lora
from aitwin.style.adapter import StyleAdapter
from aitwin.style.base import Base
from aitwin.style.engine import LlamaCpp
from aitwin.style.graft import graft
from benchmarks import export
from benchmarks.export import Scores, in_torch, requantised, tokens, with_adapter

pytestmark = pytest.mark.model
WIDTH, INNER, LAYERS, HEADS, KEY_HEADS = 256, 512, 2, 4, 2
KEYS = WIDTH // HEADS * KEY_HEADS
CHANGED, APART = 0.5, 0.15

TOKENS = 48
"""Of the text: enough to tell right from wrong."""


def served(base: Path, adapter: Path | None = None) -> Scores:
    return export.served(base, adapter, TOKENS)


@pytest.fixture(scope="module")
def adapter(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    factors = gguf_samples.random_factors(smollm2, size=0.1)
    return gguf_samples.peft_adapter(tmp_path_factory.mktemp("adapter"), factors)


@pytest.fixture(scope="module")
def in_float(small_base: Base, engine: LlamaCpp, adapter: Path) -> tuple[Scores, Scores]:
    """Torch without the adapter, and with it."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        small_base.converted("floats"), dtype=torch.float32
    ).eval()
    before, wanted = tokens(engine, TOKENS)
    plain = in_torch(model, before, wanted)
    return plain, in_torch(with_adapter(model, adapter), before, wanted)


def test_torch_lora_and_graft_agree(
    small_base: Base, adapter: Path, in_float: tuple[Scores, Scores], tmp_path: Path
) -> None:
    """W1, DESIGN decision 1: one adapter in three forms."""
    plain, trained = in_float
    gguf.from_peft(adapter, small_base, tmp_path / "lora.gguf")
    grafted = graft(adapter, small_base.gguf, tmp_path / "twin.gguf")
    beside, within = served(small_base.gguf, tmp_path / "lora.gguf"), served(grafted.path)
    changed, same = trained.difference(plain)
    assert changed > CHANGED
    assert same < 0.85
    for form in (beside, within):
        apart, agreed = trained.difference(form)
        assert apart < APART
        assert agreed > 0.85
    apart, agreed = beside.difference(within)
    assert apart < APART
    assert agreed > 0.85


def skip(heads: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """No permutation of the projection with so many heads."""
    right = lora.interleave
    return lambda rows, count: rows if count == heads else right(rows, count)


@pytest.mark.parametrize("heads", [9, 3], ids=["query", "key"])
def test_a_missed_permutation_would_be_noticed(
    small_base: Base,
    adapter: Path,
    in_float: tuple[Scores, Scores],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    heads: int,
) -> None:
    """The file loads without a word: only the figures tell."""
    _, trained = in_float
    monkeypatch.setattr(lora, "interleave", skip(heads))
    grafted = graft(adapter, small_base.gguf, tmp_path / "twin.gguf")
    apart, _ = trained.difference(served(grafted.path))
    assert apart > 2 * APART


@pytest.mark.parametrize("kind", ["Q5_0", "F16"])
def test_bases_of_other_quantisations(
    smollm2: Path, small_base: Base, adapter: Path, tmp_path: Path, kind: str
) -> None:
    attention = ("attn_q", "attn_k", "attn_v", "attn_output")
    base = requantised(smollm2, kind, tmp_path / "base.gguf", attention)
    other = Base(kind, base, "", tmp_path)
    gguf.from_peft(adapter, other, tmp_path / "lora.gguf")
    grafted = graft(adapter, base, tmp_path / "twin.gguf")
    apart, agreed = served(base, tmp_path / "lora.gguf").difference(served(grafted.path))
    assert apart < APART
    assert agreed > 0.85


def test_a_trained_adapter(
    small_base: Base, finished: tuple[StyleAdapter, list[object], list[str]], tmp_path: Path
) -> None:
    """Beside the base or within it: an adapter as training leaves it."""
    one = finished[0]
    grafted = graft(one.path, small_base.gguf, tmp_path / "twin.gguf")
    assert grafted.tensors == 2 * 30
    beside, within = served(small_base.gguf, one.gguf), served(grafted.path)
    apart, agreed = beside.difference(within)
    assert apart < APART
    assert agreed > 0.85


def qwen2(target: Path, tokenizer: Path, kind: GGMLQuantizationType) -> Path:
    """A small model of architecture qwen2 whose matrices are random blocks of `kind`."""
    random = np.random.default_rng(9)
    named = header.read(tokenizer).values
    values = {name: value for name, value in named.items() if name.startswith("tokenizer.")}
    vocabulary = len(named["tokenizer.ggml.tokens"])
    values |= {
        "general.architecture": "qwen2",
        "qwen2.block_count": LAYERS,
        "qwen2.context_length": 512,
        "qwen2.embedding_length": WIDTH,
        "qwen2.feed_forward_length": INNER,
        "qwen2.attention.head_count": HEADS,
        "qwen2.attention.head_count_kv": KEY_HEADS,
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "qwen2.rope.freq_base": 1e6,
    }
    eight = GGMLQuantizationType.Q8_0
    words = quantize(random.standard_normal((vocabulary, WIDTH)).astype("<f4") * 0.3, eight)
    ones = ((WIDTH,), 0, np.ones(WIDTH, "<f4").tobytes())
    weights = {"token_embd.weight": ((WIDTH, vocabulary), eight, words.tobytes())}
    weights["output_norm.weight"] = ones
    shapes = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, KEYS), "attn_v": (WIDTH, KEYS)}
    shapes |= {"attn_output": (WIDTH, WIDTH), "ffn_gate": (WIDTH, INNER)}
    shapes |= {"ffn_up": (WIDTH, INNER), "ffn_down": (INNER, WIDTH)}
    for layer in range(LAYERS):
        weights |= {f"blk.{layer}.{name}.weight": ones for name in ("attn_norm", "ffn_norm")}
        for name, (width, rows) in shapes.items():
            data = gguf_samples.blocks(random, kind, rows, width)
            weights[f"blk.{layer}.{name}.weight"] = ((width, rows), kind, data)
            if name in ("attn_q", "attn_k", "attn_v"):
                bias = gguf_samples.floats(random, rows)
                weights[f"blk.{layer}.{name}.bias"] = ((rows,), 0, bias)
    return gguf_samples.write(target, values, weights)


@pytest.mark.parametrize("kind", ["Q4_K", "Q6_K"])
def test_k_quants(smollm2: Path, tmp_path: Path, kind: str) -> None:
    """Those of the owner's base, Q4_K_M: gguf-py and llama.cpp read the same numbers in them."""
    base = qwen2(tmp_path / "base.gguf", smollm2, GGMLQuantizationType[kind])
    adapter = gguf_samples.peft_adapter(
        tmp_path / "adapter", gguf_samples.random_factors(base, size=0.3)
    )
    gguf.from_peft(adapter, Base(kind, base, "", tmp_path), tmp_path / "lora.gguf")
    grafted = graft(adapter, base, tmp_path / "twin.gguf")
    beside = served(base, tmp_path / "lora.gguf")
    changed, _ = beside.difference(served(base))
    apart, _ = beside.difference(served(grafted.path))
    assert changed > CHANGED
    assert apart < changed / 20
