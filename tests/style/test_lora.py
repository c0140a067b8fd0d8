"""Adapters of PEFT and mlx-lm as llama.cpp's matrices, and what is refused of them."""

import json
from pathlib import Path
from typing import Any

import gguf_samples
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from aitwin.errors import TwinError
from aitwin.style import lora

WIDTH, INNER, HEADS, KEY_HEADS, KEYS = 64, 96, 4, 2, 32
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH, KEYS),
    "attn_v": (WIDTH, KEYS),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (WIDTH, INNER),
    "ffn_up": (WIDTH, INNER),
    "ffn_down": (INNER, WIDTH),
}


def base(target: Path, architecture: str = "llama", layers: int = 2, **more: Any) -> Path:
    values = {
        "general.architecture": architecture,
        f"{architecture}.attention.head_count": HEADS,
        f"{architecture}.attention.head_count_kv": KEY_HEADS,
    }
    weights = {
        f"blk.{layer}.{name}.weight": ((width, rows), 0, bytes(4 * width * rows))
        for layer in range(layers)
        for name, (width, rows) in SHAPES.items()
    }
    chosen = {key: value for key, value in (values | more).items() if value is not None}
    return gguf_samples.write(target / f"{architecture}-{layers}.gguf", chosen, weights)


def adapter(target: Path, model: Path, **config: Any) -> Path:
    return gguf_samples.peft_adapter(
        target / "adapter", gguf_samples.random_factors(model), **config
    )


def test_all_seven_matrices_of_both_layouts(tmp_path: Path) -> None:
    """M1, M2: strangers adapt more than q and v; mlx-lm's factors are transposed."""
    model = base(tmp_path, "qwen2")
    factors = gguf_samples.random_factors(model)
    peft = lora.load(gguf_samples.peft_adapter(tmp_path / "peft", factors), model)
    mlx = lora.load(gguf_samples.mlx_adapter(tmp_path / "mlx", factors), model)
    assert peft.names == mlx.names
    assert len(peft.names) == 2 * 7
    assert (peft.scale, mlx.scale) == (2.0, 2.0)
    assert (peft.alpha, peft.rank, peft.architecture) == (16.0, 8, "qwen2")
    for path, a, b in factors:
        layer, _, module = path.partition(".")
        name = f"blk.{layer}.{gguf_samples.SEVEN[module]}.weight"
        for one in (peft, mlx):
            np.testing.assert_array_equal(one.factors(name).a, a)
            np.testing.assert_array_equal(one.factors(name).b, b)


def test_only_queries_and_keys_of_llama_are_interleaved(tmp_path: Path) -> None:
    model = base(tmp_path, "llama")
    factors = gguf_samples.random_factors(model)
    loaded = lora.load(gguf_samples.peft_adapter(tmp_path / "peft", factors), model)
    moved = set()
    for path, _, b in factors:
        layer, _, module = path.partition(".")
        matrix = gguf_samples.SEVEN[module]
        if not np.array_equal(loaded.factors(f"blk.{layer}.{matrix}.weight").b, b):
            moved.add(matrix)
    assert moved == {"attn_q", "attn_k"}


def test_two_halves_of_each_head_become_pairs() -> None:
    rows = np.arange(8.0).reshape(8, 1)
    assert lora.interleave(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_as_many_keys_as_queries_unless_the_base_says_otherwise(tmp_path: Path) -> None:
    model = base(tmp_path, "llama", **{"llama.attention.head_count_kv": None})
    assert lora.load(adapter(tmp_path, model), model).names
    blind = base(
        tmp_path,
        "llama",
        **{"llama.attention.head_count_kv": None, "llama.attention.head_count": None},
    )
    with pytest.raises(TwinError, match="how many heads"):
        lora.load(tmp_path / "adapter", blind)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_adapters_of_16_bits(tmp_path: Path, dtype: str) -> None:
    """Most of those that strangers share are bf16."""
    import torch
    from safetensors.torch import save_file as save_torch

    model = base(tmp_path, "qwen2")
    factors = gguf_samples.random_factors(model)
    directory = gguf_samples.peft_adapter(tmp_path / "adapter", factors)
    kinds = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    weights = load_file(directory / lora.PEFT_WEIGHTS)
    cast = {name: torch.tensor(value).to(kinds[dtype]) for name, value in weights.items()}
    save_torch(cast, directory / lora.PEFT_WEIGHTS)
    loaded = lora.load(directory, model)
    _, a, _ = factors[0]
    got = loaded.factors(loaded.names[2]).a
    assert got.dtype == np.float32
    right = cast["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"].float().numpy()
    np.testing.assert_array_equal(loaded.factors("blk.0.attn_q.weight").a, right)
    np.testing.assert_allclose(right, a, rtol=1e-2)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"use_dora": True}, "use_dora is not exported"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is not exported"),
        ({"bias": "lora_only"}, "trains biases"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is not exported"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern is not exported"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern is not exported"),
        ({"lora_bias": True}, "lora_bias is not exported"),
        ({"layer_replication": [[0, 1]]}, "layer_replication is not exported"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices is not exported"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens is not exported"),
        ({"init_lora_weights": "pissa_niter_4"}, "changed the base"),
        ({"peft_type": "LOHA"}, "no LoRA"),
        ({"an_option_of_next_year": 1}, "an_option_of_next_year is not exported"),
        ({"r": 4}, "another rank than the 4"),
        ({"lora_alpha": 0}, "no rank and scale"),
        ({"r": "8"}, "no rank and scale"),
    ],
)
def test_options_that_would_be_lost_are_refused(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    model = base(tmp_path)
    with pytest.raises(TwinError, match=reason):
        lora.load(adapter(tmp_path, model, **config), model)


def test_what_peft_itself_writes_is_accepted(tmp_path: Path) -> None:
    """Every option of this version of PEFT at its default."""
    from peft import LoraConfig

    model = base(tmp_path)
    directory = adapter(tmp_path, model)
    LoraConfig(
        r=8,
        target_modules=["q_proj", "v_proj"],
        layers_to_transform=[0, 1],
        layers_pattern="layers",
        task_type="CAUSAL_LM",
        init_lora_weights="gaussian",
    ).save_pretrained(directory)
    assert lora.load(directory, model).alpha == 8


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    model = base(tmp_path, layers=1)
    directory = adapter(tmp_path, base(tmp_path, layers=3), use_dora=True, bias="all")
    with pytest.raises(TwinError) as caught:
        lora.load(directory, model)
    text = str(caught.value)
    assert "use_dora" in text
    assert "biases" in text
    assert "another base: blk.1.attn_k.weight is 64 x 32, in the base not there" in text
    assert "and 10 more" in text
    assert len(text) < 1500


def test_an_adapter_of_another_width_is_refused(tmp_path: Path) -> None:
    model = base(tmp_path)
    factors = [(path, np.zeros((8, 128), "<f4"), b) for path, _, b in
               gguf_samples.random_factors(model, matrices=("attn_v",))]  # fmt: skip
    directory = gguf_samples.peft_adapter(tmp_path / "adapter", factors)
    with pytest.raises(TwinError, match=r"another base: blk\.0\.attn_v\.weight is 128 x 32"):
        lora.load(directory, model)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"general.architecture": "gemma3"}, "architecture 'gemma3'"),
        ({"general.type": "adapter"}, "no model but of type 'adapter'"),
        ({"split.count": 3}, "one of 3 parts"),
    ],
)
def test_a_base_that_is_none_is_refused(tmp_path: Path, more: dict[str, Any], reason: str) -> None:
    directory = adapter(tmp_path, base(tmp_path))
    with pytest.raises(TwinError, match=reason):
        lora.load(directory, base(tmp_path, **more))


def test_a_matrix_with_a_scale_of_its_own_is_refused(tmp_path: Path) -> None:
    model = gguf_samples.write(
        tmp_path / "base.gguf",
        {"general.architecture": "qwen2"},
        {
            "blk.0.attn_v.weight": ((64, 32), 0, bytes(8192)),
            "blk.0.attn_v.scale": ((1,), 0, bytes(4)),
        },
    )
    with pytest.raises(TwinError, match=r"scales blk\.0\.attn_v\.weight apart"):
        lora.load(adapter(tmp_path, model), model)


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("model.layers.0.self_attn.q_proj.m", (64,), "no counterpart"),
        ("model.layers.0.mlp.switch_mlp.gate_proj.lora_a", (64, 8), "no counterpart"),
        ("model.embed_tokens.lora_a", (64, 8), "no counterpart"),
        ("model.layers.7.self_attn.q_proj.lora_a", (64, 8), "one factor is missing"),
        ("model.layers.0.self_attn.q_proj.lora_a", (64, 3), "do not fit each other"),
        ("model.layers.0.self_attn.q_proj.lora_a", (2, 64, 8), "do not fit each other"),
    ],
)
def test_mlx_tensors_without_a_place_are_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], reason: str
) -> None:
    model = base(tmp_path)
    directory = gguf_samples.mlx_adapter(tmp_path / "adapter", gguf_samples.random_factors(model))
    weights = load_file(directory / lora.MLX_WEIGHTS) | {name: np.zeros(shape, "<f4")}
    save_file(weights, directory / lora.MLX_WEIGHTS)
    with pytest.raises(TwinError, match=reason):
        lora.load(directory, model)


@pytest.mark.parametrize("kind", ["dora", "full"])
def test_mlx_runs_that_are_no_lora_are_refused(tmp_path: Path, kind: str) -> None:
    model = base(tmp_path)
    factors = gguf_samples.random_factors(model)
    directory = gguf_samples.mlx_adapter(tmp_path / "adapter", factors, fine_tune_type=kind)
    with pytest.raises(TwinError, match=f"{kind}.* no plain LoRA"):
        lora.load(directory, model)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 40, b"\2\0\0\0\0\0\0\0{}", b"\2" + bytes(7) + b"[]"]
)
def test_damaged_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    model = base(tmp_path)
    directory = adapter(tmp_path, model)
    (directory / lora.PEFT_WEIGHTS).write_bytes(content)
    with pytest.raises(TwinError, match=r"no whole safetensors|holds no tensor"):
        lora.load(directory, model)


def test_weights_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    model = base(tmp_path)
    directory = adapter(tmp_path, model)
    file = directory / lora.PEFT_WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(TwinError, match="no whole safetensors"):
        lora.load(directory, model)


@pytest.mark.parametrize("content", [None, b"{", b"[1]", b"\xff"])
def test_a_directory_without_a_configuration_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    model = base(tmp_path)
    directory = adapter(tmp_path, model)
    (directory / lora.CONFIG).unlink()
    if content is not None:
        (directory / lora.CONFIG).write_bytes(content)
    with pytest.raises(TwinError, match=lora.CONFIG):
        lora.load(directory, model)


def test_weights_as_a_pickle_are_refused(tmp_path: Path) -> None:
    model = base(tmp_path)
    directory = adapter(tmp_path, model)
    (directory / lora.PEFT_WEIGHTS).rename(directory / "adapter_model.bin")
    with pytest.raises(TwinError, match="saved as safetensors"):
        lora.load(directory, model)


@pytest.mark.model
def test_what_mlx_lm_computes_is_what_is_read(tmp_path: Path) -> None:
    """M1: names, shapes and scale as mlx-lm itself writes and applies them."""
    mx = pytest.importorskip("mlx.core", reason="MLX is not installed here")
    from mlx.utils import tree_flatten
    from mlx_lm.models.qwen2 import Model, ModelArgs
    from mlx_lm.tuner.utils import linear_to_lora_layers

    mx.random.seed(3)
    model = Model(
        ModelArgs(
            model_type="qwen2",
            hidden_size=WIDTH,
            num_hidden_layers=2,
            intermediate_size=INNER,
            num_attention_heads=HEADS,
            num_key_value_heads=KEY_HEADS,
            rms_norm_eps=1e-6,
            vocab_size=100,
        )
    )
    model.freeze()
    parameters = {"rank": 4, "scale": 3.0, "dropout": 0.0}
    linear_to_lora_layers(model, 2, parameters)
    trainable = {name: mx.random.normal(value.shape) for name, value in
                 tree_flatten(model.trainable_parameters())}  # fmt: skip
    model.load_weights(list(trainable.items()), strict=False)
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), trainable)
    config = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": parameters}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))

    loaded = lora.load(tmp_path, base(tmp_path, "qwen2"))
    assert loaded.scale == 3.0
    layer = model.model.layers[1]
    for module, matrix in ((layer.self_attn.q_proj, "attn_q"), (layer.mlp.down_proj, "ffn_down")):
        name = f"blk.1.{matrix}.weight"
        assert name in loaded.names
        factors = loaded.factors(name)
        merged = np.array(module.fuse().weight) - np.array(module.linear.weight)
        np.testing.assert_allclose(loaded.scale * factors.b @ factors.a, merged, atol=1e-4)
