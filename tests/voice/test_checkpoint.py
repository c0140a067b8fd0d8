"""Published weights: read without running code, weight norm multiplied out, loaded whole."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from aitwin.errors import TwinError
from aitwin.voice import checkpoint

REMEDY = "pull it again"


@pytest.mark.parametrize(
    "save",
    [
        lambda tensors, path: torch.save({"model": tensors, "iteration": 7}, path),
        lambda tensors, path: torch.save(tensors, path),
        lambda tensors, path: torch.save(tensors, path, _use_new_zipfile_serialization=False),
    ],
)
def test_what_torch_saved_is_read_by_name(
    tmp_path: Path, save: Callable[[dict[str, torch.Tensor], Path], None]
) -> None:
    tensors = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(1)}
    save(tensors, tmp_path / "x.pth")
    save_file(tensors, tmp_path / "x.safetensors")
    for name in ("x.pth", "x.safetensors"):
        found = checkpoint.read(tmp_path / name, REMEDY)
        assert found.keys() == tensors.keys()
        torch.testing.assert_close(found, tensors, rtol=0, atol=0)


@pytest.mark.parametrize("content", [{}, {"model": {}}, {"a": 1}, {1: torch.ones(1)}, [1]])
def test_what_holds_no_tensors_is_no_checkpoint(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(TwinError, match=r"x\.pth is no checkpoint.*pull it again"):
        checkpoint.read(tmp_path / "x.pth", REMEDY)


def save_zip(tensors: dict[str, torch.Tensor], path: Path) -> None:
    torch.save({"model": tensors}, path)


def save_old(tensors: dict[str, torch.Tensor], path: Path) -> None:
    torch.save({"model": tensors}, path, _use_new_zipfile_serialization=False)


def damaged(whole: bytes, chance: np.random.Generator) -> bytes:
    """Cut short, or with some bytes of the file's own structure or of its numbers another."""
    if chance.random() < 0.3:
        return whole[: chance.integers(len(whole))]
    content = bytearray(whole)
    for _ in range(chance.choice([1, 1, 4, 30])):
        content[chance.integers(len(content))] ^= chance.integers(1, 256)
    return bytes(content)


def complaint(path: Path) -> str:
    """What is said of a file; nothing if tensors are read from it."""
    try:
        assert checkpoint.read(path, REMEDY)
    except TwinError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("save", [save_zip, save_old, save_file])
def test_whatever_is_damaged_is_an_error_that_says_so(
    tmp_path: Path, save: Callable[[dict[str, torch.Tensor], Path], None]
) -> None:
    """Or, in a format without checksums, tensors: no other error gets out of torch."""
    path = tmp_path / ("x.safetensors" if save is save_file else "x.pth")
    save(values(), path)
    whole, said = path.read_bytes(), []
    for seed in range(300):
        path.write_bytes(damaged(whole, np.random.default_rng(seed)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said.append(complaint(path))
    refused = [text for text in said if text]
    assert len(refused) > 150
    assert all(text.endswith("; pull it again") for text in refused)


def test_one_wrong_bit_among_the_weights_is_noticed(tmp_path: Path) -> None:
    """Torch compares no checksums, and the value would be a number like any other."""
    place = tmp_path / "x.pth"
    save_zip({"a": torch.full((500,), 0.7)}, place)
    content = bytearray(place.read_bytes())
    middle = content.index(torch.full((2,), 0.7).numpy().tobytes()) + 1000
    content[middle] ^= 1
    place.write_bytes(content)
    assert bool(torch.load(place, weights_only=True)["model"]["a"].isfinite().all())
    with pytest.raises(TwinError, match=r"x\.pth is damaged.*pull it again"):
        checkpoint.read(place, REMEDY)


@pytest.mark.parametrize(
    "odd",
    [
        lambda: torch.ones(3, 2).to_sparse(),
        lambda: torch.ones(3, 2, device="meta"),
        lambda: torch.ones(3, 2).to(torch.float8_e4m3fn),
        lambda: torch.ones(3, 2, dtype=torch.complex64),
    ],
    ids=["sparse", "meta", "float8", "complex"],
)
def test_what_nobody_can_compute_with_is_no_weight(
    tmp_path: Path, odd: Callable[[], torch.Tensor]
) -> None:
    spoilt = values() | {"0.weight": odd()}
    torch.save(spoilt, tmp_path / "x.pth")
    with pytest.raises(TwinError, match=r"x\.pth holds no weights.*0\.weight.*pull it again"):
        checkpoint.read(tmp_path / "x.pth", REMEDY)
    with pytest.raises(TwinError, match=r"1 of no floating-point numbers \(0\.weight\)"):
        checkpoint.load_into(linear(), spoilt, Path("x"), REMEDY)
    if spoilt["0.weight"].layout is torch.strided and spoilt["0.weight"].device.type == "cpu":
        save_file(spoilt, tmp_path / "x.safetensors")
        with pytest.raises(TwinError, match=r"x\.safetensors holds no weights.*0\.weight"):
            checkpoint.read(tmp_path / "x.safetensors", REMEDY)


def test_whole_numbers_are_read_and_are_no_weights(tmp_path: Path) -> None:
    """Some networks publish positions among their weights."""
    torch.save({"position_ids": torch.arange(4), "a": nn.Parameter(torch.ones(1))}, tmp_path / "x")
    found = checkpoint.read(tmp_path / "x", REMEDY)
    assert found["position_ids"].tolist() == [0, 1, 2, 3]
    assert not found["a"].requires_grad
    whole = values() | {"0.bias": torch.ones(3, dtype=torch.int64)}
    with pytest.raises(TwinError, match=r"1 of no floating-point numbers \(0\.bias\)"):
        checkpoint.load_into(linear(), whole, Path("x"), REMEDY)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_missing_file_says_what_to_do(tmp_path: Path, name: str) -> None:
    for read in (checkpoint.read, checkpoint.unpickled):
        with pytest.raises(TwinError, match=rf"{name} is missing; pull it again"):
            read(tmp_path / name, REMEDY)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(3, 5, 7), nn.ConvTranspose1d(6, 4, 8, stride=2), nn.Conv2d(2, 3, 3)],
    ids=lambda layer: type(layer).__name__,
)
def test_weight_norm_is_multiplied_out_as_torch_does_it(layer: nn.Module) -> None:
    weight_norm(layer)
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(torch.rand(()) + 1.5)
    halves = {
        "up.0.weight_g": layer.parametrizations.weight.original0,
        "up.0.weight_v": layer.parametrizations.weight.original1,
        "up.0.bias": layer.bias,
    }
    found = checkpoint.fused({name: tensor.detach() for name, tensor in halves.items()})
    assert found.keys() == {"up.0.weight", "up.0.bias"}
    torch.testing.assert_close(found["up.0.weight"], layer.weight.detach())


def test_a_half_without_the_other_keeps_its_name() -> None:
    alone = {"a.weight_v": torch.ones(2, 3, 1), "b.weight_g": torch.ones(2, 1, 1)}
    torch.testing.assert_close(checkpoint.fused(alone), alone)
    misfit = {"a.weight_v": torch.ones(2, 3, 1), "a.weight_g": torch.ones(3, 1, 1)}
    torch.testing.assert_close(checkpoint.fused(misfit), misfit)


def linear() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def values() -> dict[str, torch.Tensor]:
    return {name: torch.rand(tensor.shape) for name, tensor in linear().state_dict().items()}


@pytest.mark.parametrize("make", [linear, lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))])
def test_every_value_arrives_and_is_a_copy(make: Callable[[], nn.Module]) -> None:
    """The file may be mapped, and a later pull replaces it."""
    module, tensors = make(), values()
    tensors["0.weight"] = tensors["0.weight"].half()
    checkpoint.load_into(module, tensors, Path("x"), REMEDY)
    wanted = {name: tensor.float().clone() for name, tensor in tensors.items()}
    tensors["1.weight"].zero_()
    torch.testing.assert_close(dict(module.state_dict()), wanted, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in module.parameters())


class Pair(nn.Module):
    """Two parts under weight norm, one of them larger."""

    def __init__(self) -> None:
        super().__init__()
        self.dec = nn.Conv1d(20, 30, 7)
        self.enc = nn.Conv1d(3, 5, 7)


def published(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """A file for it, with a part more, that others read."""
    tensors = {"other.weight": torch.ones(3)}
    for name, value in Pair().state_dict().items():
        tensors[name] = value
        if name.endswith("weight"):
            tensors[f"{name}_v"] = tensors.pop(name)
            tensors[f"{name}_g"] = torch.arange(1.0, len(value) + 1).view(-1, 1, 1)
    change(tensors)
    torch.save({"model": tensors}, folder / "x.pth")
    return folder / "x.pth"


def load(path: Path, module: nn.Module) -> nn.Module:
    checkpoint.load_published(module, path, REMEDY, besides=("other.",))
    return module


def by_itself(path: Path, module: nn.Module) -> nn.Module:
    tensors = checkpoint.fused(checkpoint.read(path, REMEDY))
    tensors = {name: tensors[name] for name in tensors if not name.startswith("other.")}
    checkpoint.load_into(module, tensors, path, REMEDY)
    return module


def test_a_network_is_loaded_child_by_child(tmp_path: Path) -> None:
    path = published(tmp_path, lambda tensors: None)
    found, wanted = (way(path, Pair()).state_dict() for way in (load, by_itself))
    torch.testing.assert_close(dict(found), dict(wanted), rtol=0, atol=0)
    with pytest.raises(ValueError, match="tensors of its own"):
        load(path, nn.Linear(2, 3))


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="only Linux lists what is mapped")
def test_what_one_child_was_copied_from_is_let_go_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = published(tmp_path, lambda tensors: None), []
    assign = checkpoint._assign

    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(str(path))

    def watched(*args: Any) -> None:
        seen.append(mapped())
        assign(*args)

    monkeypatch.setattr(checkpoint, "_assign", watched)
    load(path, Pair())
    assert seen == [1, 1]
    assert mapped() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("enc.weight_v"), r"4 tensors, 1 missing \(enc\.weight\), 1 foreign"),
        (lambda t: t.update(more=torch.ones(1)), r"1 foreign \(more\)"),
        (lambda t: t.update({"enc.more": torch.ones(1)}), r"1 foreign \(enc\.more\)"),
        (lambda t: t.update({"dec.bias": torch.ones(1)}), r"1 of another shape \(dec\.bias\)"),
        (lambda t: t["enc.weight_v"].fill_(0), r"1 spoilt by a NaN.*\(enc\.weight\)"),
        (lambda t: t.update({"enc.bias": torch.ones(5).long()}), r"1 of no floating-point"),
        (
            lambda t: (t.pop("dec.bias"), t.pop("enc.bias")),
            r"2 missing \(dec\.bias\); pull it again",
        ),
    ],
)
def test_what_does_not_fit_a_child_is_named(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object], words: str
) -> None:
    path = published(tmp_path, change)
    for way in (load, by_itself):
        with pytest.raises(TwinError, match=rf"x\.pth holds another network.*{words}"):
            way(path, Pair())


def test_all_that_does_not_fit_is_counted_at_once() -> None:
    tensors = values()
    del tensors["0.weight"], tensors["1.bias"]
    tensors |= {
        "x": torch.ones(1),
        "0.bias": torch.ones(4),
        "1.weight": torch.full((1, 3), float("inf")),
    }
    with pytest.raises(TwinError) as caught:
        checkpoint.load_into(linear(), tensors, Path("/models/x.pth"), REMEDY)
    assert str(caught.value) == (
        "/models/x.pth holds another network than the one of its config: of 4 tensors, "
        "2 missing (0.weight), 1 foreign (x), 1 of another shape (0.bias), "
        "1 spoilt by a NaN or an infinity (1.weight); pull it again"
    )
