import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import gguf_samples
import numpy as np
import pytest
import tiny_models
from safetensors.numpy import load_file

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import base as bases
from aitwin.style import base_torch, header
from aitwin.style.base import Base


def by_transformers(gguf: Path) -> dict[str, np.ndarray]:
    """The whole model at once, as transformers dequantises it."""
    import torch
    from transformers import AutoModelForCausalLM, modeling_gguf_pytorch_utils
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    bar = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda tensors, **_: tensors
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float16, local_files_only=True
        )
    finally:
        modeling_gguf_pytorch_utils.tqdm = bar
    return {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}


def require_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        assert array.dtype == np.float16
        assert np.array_equal(array, theirs[name]), name


@pytest.mark.model
def test_smollm2_is_dequantised_as_by_transformers(
    smollm2: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """M1: to the bit, in a few megabytes, silently, privately, once."""
    base = bases.find("small", smollm2, artifact.sha256(smollm2), tmp_path)
    done: list[tuple[int, int]] = []
    tracemalloc.start()
    directory = base_torch.prepare(base, lambda *now: done.append(now))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6
    assert capfd.readouterr() == ("", "")
    assert directory == base.converted("floats")
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    assert done[-1] == (134_515_008, 134_515_008)
    assert done == sorted(done)
    require_equal(load_file(directory / base_torch.WEIGHTS), by_transformers(smollm2))
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert base_torch.prepare(base) == directory
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_both_architectures(tmp_path: Path, architecture: str, tied: bool) -> None:
    """Biases of qwen2, rotary rows of llama, an output head of its own or none."""
    base = tiny_models.tiny(tmp_path, architecture, tied=tied)
    directory = base_torch.prepare(base)
    require_equal(load_file(directory / base_torch.WEIGHTS), by_transformers(base.gguf))
    settings = json.loads((directory / base_torch.CONFIG).read_text())
    assert settings["tie_word_embeddings"] is tied
    assert settings["rope_parameters"] == {"rope_type": "default", "rope_theta": 1e6}
    assert "quantization_config" not in settings


def test_the_settings_are_those_that_transformers_reads(tmp_path: Path) -> None:
    from transformers import AutoConfig

    base = tiny_models.tiny(tmp_path, "llama")
    ours = AutoConfig.from_pretrained(base_torch.prepare(base)).to_dict()
    theirs = AutoConfig.from_pretrained(tmp_path, gguf_file=base.gguf.name).to_dict()
    same = ("hidden_size", "head_dim", "rms_norm_eps", "vocab_size", "tie_word_embeddings")
    same += ("num_key_value_heads", "max_position_embeddings", "hidden_act", "intermediate_size")
    assert [ours[key] for key in same] == [theirs[key] for key in same]
    assert ours["rope_parameters"]["rope_theta"] == theirs["rope_parameters"]["rope_theta"]


def changed(
    folder: Path, extra: dict[str, Any], tensors: dict[str, Any], architecture: str = "llama"
) -> Base:
    """A tiny base with other metadata and tensors; None takes a tensor away."""
    weights = {**tiny_models.weights(architecture), **tensors}
    whole = {name: tensor for name, tensor in weights.items() if tensor is not None}
    file = folder / "changed.gguf"
    gguf_samples.write(file, {**tiny_models.values(architecture), **extra}, whole)
    return bases.find("changed", file, artifact.sha256(file), folder)


def factors(factor: float, *, exponent: float = 1.0) -> dict[str, Any]:
    """What llama.cpp's converter writes for Llama 3.1, at a theta of 1e6 and heads of 16."""
    waves = 2 * np.pi * 1e6 ** (np.arange(8) / 8)
    share = np.clip((8192 / waves - 1) / 3, 0, 1) ** exponent
    divisors = 1 / ((1 - share) / factor + share)
    return {"rope_freqs.weight": ((8,), 0, divisors.astype("<f4").tobytes())}


@pytest.mark.parametrize(
    ("extra", "tensors", "expected"),
    [
        (
            {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
            {},
            {"rope_type": "linear", "factor": 4.0},
        ),
        (
            {
                "llama.rope.scaling.type": "yarn",
                "llama.rope.scaling.factor": 4.0,
                "llama.rope.scaling.original_context_length": 128,
            },
            {},
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
        ),
        ({}, factors(8.0), {**base_torch._LLAMA3, "factor": 8.0}),
    ],
    ids=["linear", "yarn", "llama3"],
)
def test_scaled_positions(
    tmp_path: Path, extra: dict[str, Any], tensors: dict[str, Any], expected: dict[str, Any]
) -> None:
    base = changed(tmp_path, extra, tensors)
    settings = base_torch.config(header.read(base.gguf), base.gguf)["rope_parameters"]
    assert settings == pytest.approx({**expected, "rope_theta": 1e6})


def test_llama3_is_scaled_as_transformers_does(tmp_path: Path) -> None:
    """The divisors that we accept are those by which it divides."""
    from transformers import AutoModelForCausalLM

    base = changed(tmp_path, {}, factors(8.0))
    model = AutoModelForCausalLM.from_pretrained(base_torch.prepare(base))
    plain = 1e6 ** (-np.arange(8) / 8)
    divided = np.frombuffer(factors(8.0)["rope_freqs.weight"][2], "<f4")
    assert model.model.rotary_emb.inv_freq.numpy() == pytest.approx(plain / divided, rel=1e-4)


@pytest.mark.parametrize(
    ("extra", "tensors", "says"),
    [
        ({"llama.rope.scaling.type": "longrope"}, {}, "'longrope'"),
        ({}, factors(8.0, exponent=2.0), "otherwise than Llama 3"),
        ({}, {"blk.0.attn_q_norm.weight": ((64,), 0, bytes(256))}, r"blk\.0\.attn_q_norm\.weight"),
        ({}, {"blk.0.attn_q.bias": ((64,), 0, bytes(256))}, r"blk\.0\.attn_q\.bias"),
        ({}, {"blk.1.ffn_up.weight": None}, r"lacks 1 .*layers\.1\.mlp\.up_proj"),
        ({}, {"token_embd.weight": None}, "lacks 1"),
        ({"llama.block_count": 1}, {}, r"holds blk\.1"),
        ({"llama.attention.head_count": 0}, {}, "head_count"),
        ({}, {"output_norm.weight": ((64,), 0, b"\0\0\x80\x7f" * 64)}, "no 16-bit float holds"),
        ({}, {"output_norm.weight": ((64,), 99, bytes(64))}, "cannot be dequantised"),
    ],
)
def test_what_is_no_plain_model_is_refused(
    tmp_path: Path, extra: dict[str, Any], tensors: dict[str, Any], says: str
) -> None:
    """A tensor that is left out silently would train another model than the one that is served."""
    file = tmp_path / "changed.gguf"
    weights = {**tiny_models.weights("llama"), **tensors}
    whole = {name: tensor for name, tensor in weights.items() if tensor is not None}
    gguf_samples.write(file, {**tiny_models.values("llama"), **extra}, whole)
    base = Base("changed", file, "0" * 64, tmp_path)
    with pytest.raises(TwinError, match=says):
        base_torch.prepare(base)
    assert not list(tmp_path.glob("floats/*"))
    assert not list(tmp_path.glob("floats/.*"))


def test_a_full_disk_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_models.tiny(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(base_torch.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(TwinError, match=r"GB free.*make room"):
        base_torch.prepare(base)
    assert not list(tmp_path.glob("floats/*"))


def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    base = tiny_models.tiny(tmp_path)
    with pytest.raises(OSError, match="No space"):
        base_torch.prepare(base, interrupt)
    assert list((tmp_path / "floats").iterdir()) == []
