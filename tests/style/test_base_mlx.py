import io
import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import style_models
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from mlx_lm.utils import load_model

from aitwin import artifact, prompt
from aitwin.errors import TwinError
from aitwin.prompt import Persona, Task
from aitwin.style import base as bases
from aitwin.style import base_mlx, base_torch, lora
from aitwin.style.base import Base
from aitwin.style.base_mlx import Tensor
from aitwin.style.engine import LlamaCpp
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import END_OF_TURN, Encoded
from aitwin.style.trainer_mlx import MlxTrainer

MESSAGES = prompt.messages(Persona("Ana"), Task("Thank Tom for the spare parts."))
REPLY = "Thanks for the parts. The pump runs."


# --- Block formats --------------------------------------------------------------------------------

# As a share of the largest weight of a tensor. The scales of Q4_K and Q5_K are products that
# 16-bit floats round; the others of 8 bits are quantised anew.
ERRORS = {
    "Q4_0": 0.0,
    "Q4_1": 0.0,
    "Q5_0": 0.0,
    "Q5_1": 0.0,
    "Q8_0": 0.0,
    "Q4_K": 5e-4,
    "Q5_K": 5e-4,
    "Q6_K": 1e-2,
    "Q3_K": 1e-2,
    "Q2_K": 1e-2,
    "IQ4_NL": 1e-2,
}


def whole(data: bytes, tensor: Tensor) -> dict[str, np.ndarray]:
    parts = list(base_mlx.repacked(io.BytesIO(data), tensor))
    assert len(parts) > 1 or base_mlx.CHUNK > 5 * 512
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("kind", ERRORS)
def test_the_weights_are_those_of_the_file(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """M1: what is trained on is what is served, number by number, also when read in pieces."""
    monkeypatch.setattr(base_mlx, "CHUNK", 5 * 512)
    raw = style_models.random_blocks(64, 512, kind, np.random.default_rng(1), 0.03)
    tensor = Tensor("x.weight", kind, (64, 512), 3, raw.shape[1])
    parts = whole(b"abc" + raw.tobytes(), tensor)
    weight, scales, biases = (
        mx.array(parts[f"x.{part}"]) for part in ("weight", "scales", "biases")
    )
    assert tensor.bits == (int(kind[1]) if ERRORS[kind] < 1e-2 else 8)
    assert tensor.bytes == sum(array.nbytes for array in parts.values())
    held = mx.dequantize(
        weight,
        scales.astype(mx.float32),
        biases.astype(mx.float32),
        group_size=base_mlx.GROUP,
        bits=tensor.bits,
    )
    expected = dequantize(raw, GGMLQuantizationType[kind])
    error = np.abs(np.array(held) - expected).max()
    assert error <= ERRORS[kind] * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_floats_stay_as_they_are(kind: str) -> None:
    size = 4 if kind == "F32" else 2
    raw = np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32).view(np.uint8)
    tensor = Tensor("x.weight", kind, (4, 32 // size), 0, 32)
    (held,) = whole(raw.tobytes(), tensor).values()
    assert held.tobytes() == raw.tobytes()
    assert tensor.arrays == {"x.weight": (kind, tensor.shape)}
    assert tensor.bytes == held.nbytes


def test_heads_are_turned_as_the_export_turns_them_back() -> None:
    rows = np.arange(8 * 6 * 5).reshape(8 * 6, 5)
    assert np.array_equal(base_mlx._in_halves(lora.interleave(rows, 6), 8), rows)


# --- Whole models ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "kind", "options"),
    [
        ("llama", "F32", {}),
        ("llama", "Q4_K", {"width": 256, "tied": True}),
        ("llama", "Q6_K", {"width": 256}),
        ("qwen2", "Q4_0", {}),
        ("qwen2", "Q5_K", {"width": 256, "tied": True}),
    ],
)
def test_mlx_lm_loads_it_and_computes_what_torch_computes(
    architecture: str, kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """M1: by mlx-lm's own loader, without code of ours; grouped queries, biases, tied or not."""
    import torch
    from transformers import AutoModelForCausalLM

    base = style_models.base(tmp_path, architecture, kind, **options)
    directory = base_mlx.prepare(base)
    model, config = load_model(directory)
    model.set_dtype(mx.float32)
    reference = AutoModelForCausalLM.from_pretrained(
        base_torch.prepare(base), dtype=torch.float32, local_files_only=True
    )
    ids = [[5, 17, 250, 3, 3, 99, 7]]
    ours = np.array(model(mx.array(ids)))
    with torch.inference_mode():
        theirs = reference(torch.tensor(ids)).logits.numpy()
    assert config["vocab_size"] == style_models.VOCABULARY
    tolerance = 0.05 if kind == "Q6_K" else 0.005
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


def _served_and_trained(base: Base) -> tuple[float, float]:
    with LlamaCpp(base.gguf, context=512) as engine:
        prompt_ids = tuple(engine.prompt_tokens(MESSAGES))
        reply_ids = tuple(engine.tokenize(REPLY + END_OF_TURN))
        served = engine.score(MESSAGES, REPLY).log_probability
    trainer = MlxTrainer(base, Recipe())
    one = [Encoded("one", prompt_ids, reply_ids)]
    return served, -sum(loss.total for loss in trainer.evaluate(one))


def _llama3(size: int, theta: float, factor: float) -> np.ndarray:
    """As llama.cpp's converter writes it (Llama 3.1's `rope_scaling`), frequency by frequency."""
    factors = []
    for place in range(0, size, 2):
        length = 2 * np.pi * theta ** (place / size)
        if length < 8192 / 4:
            factors.append(1.0)
        elif length > 8192:
            factors.append(factor)
        else:
            smooth = (8192 / length - 1) / (4 - 1)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


LINEAR = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
YARN = {
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 4.0,
    "llama.rope.scaling.original_context_length": 128,
}


@pytest.mark.model
@pytest.mark.parametrize(("kind", "fields"), [("F32", LINEAR), ("F32", YARN), ("Q4_1", LINEAR)])
def test_llama_cpp_computes_the_same(
    kind: str, fields: dict[str, Any], tmp_path: Path, smollm2: Path
) -> None:
    """Against the engine that serves; and when a context was stretched, both change alike."""
    plain = style_models.base(tmp_path, "llama", kind, tokenizer_from=smollm2)
    (tmp_path / "other").mkdir()
    stretched = style_models.base(
        tmp_path / "other", "llama", kind, tokenizer_from=smollm2, fields=fields
    )
    served, trained = _served_and_trained(plain)
    served_stretched, trained_stretched = _served_and_trained(stretched)
    # llama.cpp rounds activations to 8 bits before it multiplies them with quantised weights.
    tolerance = 1e-3 if kind == "F32" else 5e-3
    assert served == pytest.approx(trained, rel=tolerance)
    assert served_stretched == pytest.approx(trained_stretched, rel=tolerance)
    assert abs(served / served_stretched - 1) > 10 * tolerance


def test_llama_3_turns_as_its_file_says(tmp_path: Path) -> None:
    """llama.cpp divides each frequency by its factor; mlx-lm makes the factors by itself."""
    factors = _llama3(16, 1e4, 8.0)
    assert factors.max() == 8 > factors[-2] > factors.min() == 1
    base = style_models.base(tmp_path, "llama", tensors={"rope_freqs.weight": factors})
    model, _ = load_model(base_mlx.prepare(base))
    turns = np.array(model.layers[0].self_attn.rope._freqs)
    assert turns == pytest.approx(1e4 ** (np.arange(0, 16, 2) / 16) * factors, rel=1e-5)


def _all(shard: Path) -> list[mx.array]:
    return list(mx.load(str(shard)).values())


def test_it_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    base = style_models.base(tmp_path, "qwen2", "Q8_0")
    directory = base_mlx.prepare(base)
    made = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert base_mlx.prepare(base) == directory
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == made
    assert artifact.read_manifest(directory, kind="base", remedy="")["sha256"] == base.digest
    assert base_mlx.size(base.gguf)[1] == 8
    settings = json.loads((directory / "config.json").read_text())
    assert settings["quantization"]["group_size"] == 32
    held = sum(array.nbytes for shard in directory.glob("*.safetensors") for array in _all(shard))
    assert held == base_mlx.size(base.gguf)[0]


# --- Bad input ------------------------------------------------------------------------------------


def _refusal(base: Base) -> str:
    with pytest.raises(TwinError) as refused:
        base_mlx.prepare(base)
    assert not list(base.cache.rglob("*.safetensors"))  # nothing half-written
    return str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fields": {"llama.rope.scaling.type": "longrope"}}, "scales its positions by 'longrope'"),
        (
            {"tensors": {"rope_freqs.weight": np.full(8, 3, np.float32)}},
            "otherwise than Llama 3 does",
        ),
        (
            {"tensors": {"blk.0.attn_q_norm.weight": np.ones(16, np.float32)}},
            "holds blk.0.attn_q_norm.weight",
        ),
    ],
    ids=["positions", "frequencies", "tensor"],
)
def test_what_has_no_counterpart_is_refused(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """A silent omission would train another model than the one that is served."""
    assert words in _refusal(style_models.base(tmp_path, "llama", **options))


def test_a_type_that_nobody_can_read_is_refused(tmp_path: Path) -> None:
    base = style_models.base(tmp_path, "llama", "Q8_0")
    data = base.gguf.read_bytes()
    name = b"blk.1.ffn_up.weight"
    at = data.index(name) + len(name) + 4 + 2 * 8
    assert data[at] == GGMLQuantizationType.Q8_0
    q8_1 = int(GGMLQuantizationType.Q8_1).to_bytes(4, "little")
    base.gguf.write_bytes(data[:at] + q8_1 + data[at + 4 :] + bytes(99999))
    assert "blk.1.ffn_up.weight in a form (ggml's number 9)" in _refusal(base)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    base = style_models.base(tmp_path, "llama", "Q8_0")
    base.gguf.write_bytes(base.gguf.read_bytes()[:-500])
    assert "cut off" in _refusal(base)
    tensor = Tensor("x.weight", "F32", (4, 8), base.gguf.stat().st_size - 8, 32)
    with base.gguf.open("rb") as file, pytest.raises(TwinError, match="cut off"):
        list(base_mlx._rows(file, tensor))


def test_a_misplaced_tensor_is_named(tmp_path: Path) -> None:
    base = style_models.base(tmp_path, "qwen2")
    base.gguf.write_bytes(
        base.gguf.read_bytes().replace(b"blk.0.attn_q.bias", b"blk.7.attn_q.bias")
    )
    assert "holds blk.7.attn_q.bias" in _refusal(base)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = style_models.base(tmp_path, "qwen2", "Q8_0")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as full:
        full.setattr(base_mlx.shutil, "disk_usage", lambda path: usage)
        assert "make room" in _refusal(base)

    def fails(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(base_mlx, "_write", fails)
    assert "No space left on device" in _refusal(base)
    assert not list(base.converted("mlx").parent.iterdir())


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gemma.gguf"
    style_models.write_model(file, "gemma3")
    with pytest.raises(TwinError, match="'gemma3'"):
        bases.find("gemma", file, "0", tmp_path)
