"""Files of published weights to tensors by name, and those into a network.

No file gets to run code. Knows no network: the official names are the networks' own.
"""

import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from aitwin.errors import TwinError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

DIRECTION, LENGTH = "weight_v", "weight_g"
"""The two parts of a weight under weight norm, in published checkpoints."""


def read(path: Path, remedy: str) -> dict[str, "Tensor"]:
    """All tensors of a .safetensors, or of what torch saved: {"model": {name: tensor}} or the dict.

    Dense tensors on the processor, without a gradient; of what numbers, see `is_plain`.
    `remedy` is what the owner can do about a bad file; it ends the text of every TwinError here.
    Raises TwinError when the file is missing, damaged, of something else, or a pickle that wants
    to run code (which it does not get to do).
    """
    return _read(path, remedy, checked=True)


def _read(path: Path, remedy: str, *, checked: bool) -> dict[str, "Tensor"]:
    if not path.is_file():
        raise TwinError(f"{path} is missing; {remedy}")
    model: Any
    if path.suffix == ".safetensors":
        model = _safe(path, remedy)
    else:
        saved = _unpickled(path, remedy, checked=checked)
        model = saved.get("model", saved) if isinstance(saved, dict) else None
    if (
        not isinstance(model, dict)
        or not model
        or not all(isinstance(name, str) and _is_tensor(value) for name, value in model.items())
    ):
        raise TwinError(f"{path} is no checkpoint: it holds no tensors by name; {remedy}")
    odd = next((name for name, value in model.items() if not _is_dense(value)), None)
    if odd is not None:
        raise TwinError(f"{path} holds no weights to compute with ({odd}); {remedy}")
    return {name: value.detach() for name, value in model.items()}


def unpickled(path: Path, remedy: str) -> Any:
    """What torch saved, as long as it is plain values and tensors: no code in the file is run.

    Torch compares no checksums, so they are compared here, where the file has any (a zip; 41 ms
    for the converter's 131 MB). Raises TwinError as `read` does.
    """
    return _unpickled(path, remedy, checked=True)


def _unpickled(path: Path, remedy: str, *, checked: bool) -> Any:
    import torch

    if not path.is_file():
        raise TwinError(f"{path} is missing; {remedy}")
    damaged = "is damaged, or no checkpoint"
    try:
        zipped = zipfile.is_zipfile(path)
        if checked and zipped and not _is_intact(path):
            raise TwinError(f"{path} {damaged}; {remedy}")
        # Mapped: of the converter's weights the reference encoder takes a fortieth into memory.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except TwinError:
        raise
    except pickle.UnpicklingError as error:
        code = "GLOBAL" in str(error)
        what = "wants to run code and was refused" if code else damaged
    # Of a damaged file torch's readers raise what they come upon: IndexError, struct.error,
    # AssertionError and more. Nothing of ours is in the block whose mistakes this could hide.
    except Exception:  # noqa: BLE001
        what = damaged
    raise TwinError(f"{path} {what}; {remedy}")


def is_plain(tensor: object) -> bool:
    """Whether it is a dense tensor of real floating-point numbers, on the processor."""
    return _is_tensor(tensor) and _is_dense(tensor) and bool(tensor.is_floating_point())


def _safe(path: Path, remedy: str) -> dict[str, "Tensor"]:
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except Exception:  # noqa: BLE001 - as of torch.load above
        raise TwinError(f"{path} is damaged, or no file of safetensors; {remedy}") from None


class _Fused(Mapping[str, "Tensor"]):
    """Products that are made when they are asked for: a checkpoint is never in memory twice."""

    def __init__(self, tensors: Mapping[str, "Tensor"]) -> None:
        self._tensors = tensors
        self._stems = {
            stem + "weight": stem
            for stem in (name.removesuffix(DIRECTION) for name in tensors)
            if stem + DIRECTION in tensors
            and stem + LENGTH in tensors
            and tensors[stem + LENGTH].numel() == len(tensors[stem + DIRECTION])
        }
        halves = {stem + half for stem in self._stems.values() for half in (DIRECTION, LENGTH)}
        self._names = [*(name for name in tensors if name not in halves), *self._stems]

    def __getitem__(self, name: str) -> "Tensor":
        if name not in self._stems:
            return self._tensors[name]
        stem = self._stems[name]
        direction = self._tensors[stem + DIRECTION].float()
        length = self._tensors[stem + LENGTH].float().flatten()
        factor = length / direction.flatten(1).norm(dim=1)
        return direction * factor.view(-1, *[1] * (direction.ndim - 1))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def fused(tensors: Mapping[str, "Tensor"]) -> Mapping[str, "Tensor"]:
    """Weight norm (Salimans and Kingma 2016) multiplied out: weight = g * v / |v|.

    The norm is taken over all but the first dimension, as published: of a Conv that is one of an
    output channel, of a ConvTranspose one of an input channel. A half whose other half is missing
    stays under its name, where `load_into` finds it. The rest passes as it is.
    """
    return _Fused(tensors)


def load_into(module: "Module", tensors: Mapping[str, "Tensor"], path: Path, remedy: str) -> None:
    """Give every parameter and buffer of `module` its value: all of them, and no tensor is left.

    The values are copied, in the module's own precision; a module made under
    `torch.device("meta")` gets memory by it, so that nothing is initialised in vain.
    Raises TwinError that says how many tensors are missing, foreign, of another shape or kind of
    number, or spoilt.
    """
    misfits = _Misfits()
    _assign(module, tensors, misfits)
    misfits.complain(len(module.state_dict()), path, remedy)


def load_published(
    module: "Module", path: Path, remedy: str, *, besides: tuple[str, ...] = ()
) -> None:
    """As `load_into`, of all that `read` finds in a file, `fused`, but what begins as `besides`.

    A child of `module` after the other, the largest first, and the file is opened for each. What
    has been copied out of a mapped file counts as memory as long as the file is mapped: so at most
    one child is in memory twice, not all of the network (the converter: 387 MiB at the peak, where
    it was 478; of both, 220 are torch). Raises TwinError as `load_into` does.
    """
    children = dict(sorted(module.named_children(), key=lambda child: -_bytes(child[1])))
    if any(name.partition(".")[0] not in children for name in module.state_dict()):
        raise ValueError("a network with tensors of its own, beside its children's")
    misfits = _Misfits()
    for number, (name, child) in enumerate(children.items()):
        first, prefix = not number, f"{name}."
        tensors = _read(path, remedy, checked=first)
        if first:
            misfits.add(
                "foreign",
                (
                    other
                    for other in tensors
                    if other.partition(".")[0] not in children and not other.startswith(besides)
                ),
            )
        own = {key: value for key, value in tensors.items() if key.startswith(prefix)}
        del tensors
        _assign(child, fused(own), misfits, prefix)
        del own
    misfits.complain(len(module.state_dict()), path, remedy)


class _Misfits:
    """Names of tensors by what is wrong with them."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[str]] = {
            "missing": [],
            "foreign": [],
            "of another shape": [],
            "of no floating-point numbers": [],
            "spoilt by a NaN or an infinity": [],
        }

    def add(self, kind: str, names: Iterable[str]) -> None:
        self.kinds[kind] += names

    def complain(self, total: int, path: Path, remedy: str) -> None:
        wrong = [
            f"{len(names)} {kind} ({min(names)})" for kind, names in self.kinds.items() if names
        ]
        if wrong:
            raise TwinError(
                f"{path} holds another network than the one of its config: "
                f"of {total} tensors, {', '.join(wrong)}; {remedy}"
            )


def _assign(
    module: "Module", tensors: Mapping[str, "Tensor"], misfits: _Misfits, prefix: str = ""
) -> None:
    """What fits into the module, if all does; else it is noted. `tensors` have the prefix."""
    wanted = {prefix + name: value for name, value in module.state_dict().items()}
    misfits.add("missing", wanted.keys() - tensors.keys())
    misfits.add("foreign", tensors.keys() - wanted.keys())
    values = {}
    for name in sorted(wanted.keys() & tensors.keys()):
        value = tensors[name]
        if value.shape != wanted[name].shape:
            misfits.add("of another shape", [name])
        elif not is_plain(value):
            misfits.add("of no floating-point numbers", [name])
        elif not bool(value.isfinite().all()):
            misfits.add("spoilt by a NaN or an infinity", [name])
        else:
            values[name.removeprefix(prefix)] = value.to(wanted[name].dtype, copy=True)
    if not any(misfits.kinds.values()):
        module.load_state_dict(values, assign=True)


def _bytes(module: "Module") -> int:
    return sum(value.nbytes for value in module.state_dict().values())


def _is_tensor(value: object) -> "TypeGuard[Tensor]":
    import torch

    return isinstance(value, torch.Tensor)


def _is_dense(tensor: "Tensor") -> bool:
    """No sparse, quantised or narrow (float8) one, and none without its values (meta)."""
    import torch

    kinds = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool}
    kinds |= {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and tensor.dtype in kinds


def _is_intact(path: Path) -> bool:
    """Whether every file within a zip has its checksum (CRC-32)."""
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None
