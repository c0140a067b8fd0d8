"""The graft as a file: what is copied, what is computed, what is refused.

That the model in it is the adapted one, by log-probabilities: see test_agreement.
"""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import gguf_samples
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize

from aitwin.errors import TwinError
from aitwin.style import header
from aitwin.style.graft import graft

WIDTH, INNER, LAYERS, HEADS, KEY_HEADS = 256, 512, 2, 4, 2
KEYS = WIDTH // HEADS * KEY_HEADS
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH, KEYS),
    "attn_v": (WIDTH, KEYS),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (WIDTH, INNER),
    "ffn_up": (WIDTH, INNER),
    "ffn_down": (INNER, WIDTH),
}
K_QUANTS = [getattr(GGMLQuantizationType, f"Q{bits}_K") for bits in (2, 3, 4, 5, 6)]
KINDS = [
    *(GGMLQuantizationType[name] for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")),
    *(GGMLQuantizationType[name] for name in ("Q5_0", "Q5_1", "IQ4_NL")),
    *K_QUANTS,
]
FLOATS = KINDS[:3]


def values(architecture: str = "llama", **more: Any) -> dict[str, Any]:
    return {
        "general.architecture": architecture,
        "general.name": "tiny",
        f"{architecture}.attention.head_count": HEADS,
        f"{architecture}.attention.head_count_kv": KEY_HEADS,
        "tokenizer.ggml.tokens": ["a", "b", "ü"],
        **more,
    }


def weights(kind: GGMLQuantizationType) -> dict[str, tuple[tuple[int, ...], int, bytes]]:
    """A model whose matrices are of this kind, its other tensors floats."""
    random = np.random.default_rng(5)
    made: dict[str, tuple[tuple[int, ...], int, bytes]] = {
        "token_embd.weight": ((WIDTH, 3), 0, gguf_samples.floats(random, 3, WIDTH)),
        "output_norm.weight": ((WIDTH,), 0, gguf_samples.floats(random, WIDTH)),
    }
    for layer in range(LAYERS):
        made[f"blk.{layer}.attn_norm.weight"] = ((WIDTH,), 0, gguf_samples.floats(random, WIDTH))
        for name, (width, rows) in SHAPES.items():
            if kind in K_QUANTS or kind is GGMLQuantizationType.IQ4_NL:
                data = gguf_samples.blocks(random, kind, rows, width)
            else:
                numbers = random.standard_normal((rows, width)).astype("<f4") * 0.05
                data = quantize(numbers, kind).tobytes()
            made[f"blk.{layer}.{name}.weight"] = ((width, rows), kind, data)
    return made


def base(target: Path, kind: GGMLQuantizationType = GGMLQuantizationType.Q4_0, **more: Any) -> Path:
    return gguf_samples.write(target / "base.gguf", values(**more), weights(kind))


def adapter(target: Path, model: Path, **config: Any) -> Path:
    factors = gguf_samples.random_factors(model)
    return gguf_samples.peft_adapter(target / "adapter", factors, **config)


def pairwise(rows: np.ndarray, heads: int) -> np.ndarray:
    """The order of llama.cpp's rotary pairs, row by row, from that of transformers' halves."""
    size = len(rows) // heads
    order = [
        head * size + half * (size // 2) + place
        for head in range(heads)
        for place in range(size // 2)
        for half in range(2)
    ]
    return rows[order]


def tensors(path: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def floats_of(tensor: Any) -> np.ndarray:
    return dequantize(tensor.data, tensor.tensor_type)


def expected(model: Path, scale: float = 2.0) -> dict[str, np.ndarray]:
    """Base plus product, by code apart from what is tested."""
    there, wanted = tensors(model), {}
    for path, a, b in gguf_samples.random_factors(model):
        layer, _, module = path.partition(".")
        name = f"blk.{layer}.{gguf_samples.SEVEN[module]}.weight"
        heads = {"attn_q": HEADS, "attn_k": KEY_HEADS}.get(name.split(".")[2])
        added = scale * b.astype(np.float64) @ a.astype(np.float64)
        wanted[name] = floats_of(there[name]) + (pairwise(added, heads) if heads else added)
    return wanted


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_adapted_matrices_are_base_plus_product_and_all_else_is_the_base(
    tmp_path: Path, kind: GGMLQuantizationType
) -> None:
    """M2, W1: for every quantisation that a base is likely to have."""
    model = base(tmp_path, kind)
    made = graft(adapter(tmp_path, model), model, tmp_path / "twin.gguf")
    there, here, wanted = tensors(model), tensors(made.path), expected(model)
    assert made.tensors == len(wanted) == LAYERS * len(SHAPES)
    assert list(here) == list(there)
    for name, tensor in here.items():
        assert tuple(tensor.shape) == tuple(there[name].shape)
        if name not in wanted:
            assert tensor.tensor_type == there[name].tensor_type
            assert tensor.data.tobytes() == there[name].data.tobytes()
            continue
        assert tensor.tensor_type.name == ("F16" if kind in FLOATS else "Q8_0")
        got, right = floats_of(tensor), wanted[name]
        # A step of Q8_0 is a 127th of its block's largest; halves of 16 bits err by 2^-11.
        blocks = np.abs(right).reshape(len(right), -1, 32).max(axis=2, keepdims=True)
        step = blocks / 127 * (0.5 if kind not in FLOATS else 0.07) * 1.01 + 1e-6
        # The scale of a block is a 16-bit float.
        room = step + blocks * 2**-11
        assert (np.abs(got - right).reshape(len(right), -1, 32) <= room).all()
        assert np.abs(right - floats_of(there[name])).max() > 0.03  # the adapter changes much


def test_the_metadata_is_the_bases_byte_for_byte(tmp_path: Path) -> None:
    model = base(tmp_path)
    made = graft(adapter(tmp_path, model), model, tmp_path / "twin.gguf")
    before, after = header.read(model), header.read(made.path)
    assert after.metadata == before.metadata
    assert after.version == before.version
    assert [t.name for t in after.tensors] == [t.name for t in before.tensors]
    assert made.size == made.path.stat().st_size
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_f16_by_option(tmp_path: Path) -> None:
    model = base(tmp_path)
    exact = graft(adapter(tmp_path, model), model, tmp_path / "twin.gguf", exact=True)
    wanted = expected(model)
    for name, tensor in tensors(exact.path).items():
        if name in wanted:
            assert tensor.tensor_type is GGMLQuantizationType.F16
            np.testing.assert_allclose(floats_of(tensor), wanted[name], rtol=1e-3, atol=1e-6)


def test_rows_that_cannot_be_cut_into_blocks_become_f16(tmp_path: Path) -> None:
    """Some small models have rows of, say, 40 numbers."""
    random = np.random.default_rng(3)
    shape = (40, 24)
    model = gguf_samples.write(
        tmp_path / "base.gguf",
        values("qwen2"),
        {"blk.0.attn_v.weight": (shape, 0, gguf_samples.floats(random, *shape))},
    )
    made = graft(adapter(tmp_path, model), model, tmp_path / "twin.gguf")
    assert tensors(made.path)["blk.0.attn_v.weight"].tensor_type is GGMLQuantizationType.F16


@pytest.mark.parametrize(("alignment", "version"), [(32, 2), (64, 3), (4096, 3), (8, 3)])
def test_other_alignments_and_versions(tmp_path: Path, alignment: int, version: int) -> None:
    more = {"general.alignment": alignment} if alignment != 32 else {}
    content = weights(GGMLQuantizationType.Q4_1)
    model = gguf_samples.write(tmp_path / "base.gguf", values(**more), content, version=version)
    made = graft(adapter(tmp_path, model), model, tmp_path / "twin.gguf")
    after = header.read(made.path)
    assert (after.alignment, after.version) == (alignment, version)
    assert all(tensor.offset % alignment == 0 for tensor in after.tensors)
    there, here = tensors(model), tensors(made.path)
    for name, right in expected(model).items():
        np.testing.assert_allclose(floats_of(here[name]), right, atol=0.01)
    assert here["token_embd.weight"].data.tobytes() == there["token_embd.weight"].data.tobytes()


def test_tensors_may_lie_in_another_order_than_they_are_listed(tmp_path: Path) -> None:
    """And the last need not be padded: some writers leave its gap out."""
    model = base(tmp_path)
    head = header.read(model)
    listed = head.tensors[::-1]
    front = header.encode(head.metadata, len(head.values), listed, 32)
    shuffled = tmp_path / "shuffled.gguf"
    shuffled.write_bytes(front + model.read_bytes()[head.start :])
    made = graft(adapter(tmp_path, model), shuffled, tmp_path / "twin.gguf")
    here = tensors(made.path)
    assert list(here) == [tensor.name for tensor in listed]
    for name, right in expected(model).items():
        np.testing.assert_allclose(floats_of(here[name]), right, atol=0.01)


def test_a_type_that_nobody_knows_is_copied(tmp_path: Path) -> None:
    """New quantisations come; what is not adapted need not be understood."""
    content = weights(GGMLQuantizationType.Q4_0)
    secret = bytes(range(1, 97))
    content = {"rope.odd": ((7, 3), 999, secret), **content}
    model = gguf_samples.write(tmp_path / "base.gguf", values(), content)
    adapted = gguf_samples.peft_adapter(
        tmp_path / "adapter", gguf_samples.random_factors(model, matrices=("attn_v",))
    )
    made = graft(adapted, model, tmp_path / "twin.gguf")
    head = header.read(made.path)
    odd = head.tensors[0]
    assert (odd.name, odd.kind, odd.shape) == ("rope.odd", 999, (7, 3))
    begin = head.start + odd.offset
    assert made.path.read_bytes()[begin : begin + 96] == secret


@pytest.mark.parametrize(("kind", "name"), [(24, "I8"), (15, "Q8_K"), (999, "number 999")])
def test_a_matrix_that_cannot_be_dequantised_is_named(tmp_path: Path, kind: int, name: str) -> None:
    content = weights(GGMLQuantizationType.Q4_0)
    shape, _, _ = content["blk.1.attn_v.weight"]
    content["blk.1.attn_v.weight"] = (shape, kind, bytes(300_000))
    model = gguf_samples.write(tmp_path / "base.gguf", values(), content)
    with pytest.raises(TwinError, match=rf"blk\.1\.attn_v\.weight .* type {name}"):
        graft(adapter(tmp_path, model), model, tmp_path / "twin.gguf")
    assert not (tmp_path / "twin.gguf").exists()


def test_progress_goes_from_the_header_to_the_whole_file(tmp_path: Path) -> None:
    model = base(tmp_path)
    seen: list[tuple[int, int]] = []
    made = graft(
        adapter(tmp_path, model),
        model,
        tmp_path / "twin.gguf",
        on_progress=lambda done, total: seen.append((done, total)),
    )
    done = [one for one, _ in seen]
    assert done == sorted(done)
    assert {total for _, total in seen} == {made.size}
    assert done[-1] == made.size
    assert done[0] < made.size / 2


def test_an_interrupted_graft_leaves_the_earlier_one(tmp_path: Path) -> None:
    model = base(tmp_path)
    target = tmp_path / "out" / "twin.gguf"
    target.parent.mkdir()
    target.write_bytes(b"earlier")

    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        graft(adapter(tmp_path, model), model, target, on_progress=interrupt)
    assert target.read_bytes() == b"earlier"
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = base(tmp_path)
    lora = adapter(tmp_path, model)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**6))
    with pytest.raises(TwinError, match="make room"):
        graft(lora, model, tmp_path / "twin.gguf")


def test_the_base_is_never_overwritten(tmp_path: Path) -> None:
    model = base(tmp_path)
    content = model.read_bytes()
    (tmp_path / "link.gguf").symlink_to(model)
    lora = adapter(tmp_path, model)
    for target in (model, tmp_path / "link.gguf"):
        with pytest.raises(TwinError, match="the base itself"):
            graft(lora, model, target)
    assert model.read_bytes() == content


def test_a_base_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    model = base(tmp_path)
    lora = adapter(tmp_path, model)
    model.write_bytes(model.read_bytes()[:-5000])
    with pytest.raises(TwinError, match=r"blk\.1\.ffn_down\.weight is cut short"):
        graft(lora, model, tmp_path / "twin.gguf")


@pytest.mark.parametrize("damage", [np.nan, np.inf, 1e6])
def test_numbers_that_are_none_are_refused(tmp_path: Path, damage: float) -> None:
    """A diverged adapter would make a model that answers nothing."""
    model = base(tmp_path)
    factors = gguf_samples.random_factors(model)
    factors[3][2][0, 0] = damage
    lora = gguf_samples.peft_adapter(tmp_path / "adapter", factors)
    with pytest.raises(TwinError, match="holds numbers that"):
        graft(lora, model, tmp_path / "twin.gguf")
    assert not (tmp_path / "twin.gguf").exists()


def test_an_mlx_adapter_makes_the_same_graft(tmp_path: Path) -> None:
    """M1: both trainers' adapters are interchangeable."""
    model = base(tmp_path)
    factors = gguf_samples.random_factors(model)
    of_peft = gguf_samples.peft_adapter(tmp_path / "peft", factors)
    of_mlx = gguf_samples.mlx_adapter(tmp_path / "mlx", factors)
    one = graft(of_peft, model, tmp_path / "one.gguf").path.read_bytes()
    assert graft(of_mlx, model, tmp_path / "two.gguf").path.read_bytes() == one
