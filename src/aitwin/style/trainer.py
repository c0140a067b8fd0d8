"""What a trainer is to a run, and which trainers there are.

A trainer holds one base with a LoRA adapter on it, and moves that. It does not decide when to
evaluate, save or stop (see train), knows no text, and writes no file.
"""

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import memory
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.memory import Estimate
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded

Backend = Literal["mlx", "torch"]
Arrays = dict[str, NDArray[Any]]
"""Named arrays in the machine's memory, as safetensors keeps them."""


class Trainer(Protocol):
    """A base model, the adapter on it, and the optimiser that moves the adapter."""

    device: str
    """"cpu", "cuda", "mps", "metal"."""
    bits: int
    """Bits per weight of the frozen base as it is held: 4, 16 or 32."""
    libraries: tuple[str, ...]
    """Packages whose versions belong into the manifest."""
    lead: bool
    """Whether this process is the one of the run that writes files and speaks."""

    def step(self, group: Sequence[Sequence[Encoded]], learning_rate: float) -> Loss:
        """One optimiser step over `group`, in which every reply token weighs the same.

        With several processes, each takes its share of the batches; the loss is that of all.
        """

    def evaluate(self, encoded: Sequence[Encoded], *, adapted: bool = True) -> Iterator[Loss]:
        """Losses of `encoded`, batch by batch; of the untouched base when not `adapted`."""

    def adapter_state(self) -> Arrays:
        """A copy of the adapter: float32, PEFT's names, A [rank, in] and B [out, rank]."""

    def load_adapter_state(self, state: Arrays) -> None:
        """Take over weights of `adapter_state`, of this trainer or another."""

    def state(self) -> Arrays:
        """A copy of all that a run needs, beside the adapter, to go on exactly where it is."""

    def load_state(self, state: Arrays) -> None:
        """Go on from `state`."""

    def agreed(self, value: float) -> float:
        """The value of the lead, in every process of the run."""

    def peak_memory(self) -> int:
        """Bytes that the training has held at most so far."""


def choose(wanted: str = "auto") -> Backend:
    """MLX on Apple silicon, PyTorch elsewhere, unless the owner says otherwise.

    Raises TwinError when that trainer is not installed here.
    """
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    name = ("mlx" if apple else "torch") if wanted == "auto" else wanted
    extras: dict[str, tuple[Backend, str, str]] = {
        "mlx": ("mlx", "mlx_lm", "mlx"),
        "torch": ("torch", "peft", "train"),
    }
    if name not in extras:
        raise TwinError(f"no trainer is called {name!r}; there are {', '.join(extras)} and auto")
    backend, package, extra = extras[name]
    if find_spec(package) is None:
        raise TwinError(
            f"the trainer {name} needs the package {package}: pip install 'aitwin[{extra}]', or "
            "choose another with `twin train --trainer`"
        )
    return backend


def foresee(
    backend: Backend, base: Base, recipe: Recipe, bits: int | None = None
) -> tuple[Estimate, int]:
    """The memory that the training takes, and the bytes that there are, before anything is loaded.

    Raises TwinError when it does not fit, saying what to lower.
    """
    if backend == "mlx":
        if bits is not None:
            raise TwinError("MLX holds the base in the bits of its file; leave --bits out")
        from aitwin.style.trainer_mlx import find_device as find_mlx_device

        device = find_mlx_device()
        return memory.plan_mlx(base, recipe, device).estimate, memory.available(device)
    from aitwin.style.trainer_torch import find_device

    device = find_device()
    return memory.plan(base, recipe, device, bits).estimate, memory.available(device)


def prepare(backend: Backend, base: Base) -> None:
    """Convert the base for that trainer, once; it takes seconds to minutes.

    Of several processes on a machine, one converts and the others wait for it.
    """
    with artifact.holding(artifact.make_private_dir(base.cache)):
        if backend == "mlx":
            from aitwin.style import base_mlx

            base_mlx.prepare(base)
        else:
            from aitwin.style import base_torch

            base_torch.prepare(base)


def load(backend: Backend, base: Base, recipe: Recipe, bits: int | None = None) -> Trainer:
    """The trainer over a prepared base, with a fresh adapter.

    Raises TwinError for a base that does not fit into the memory.
    """
    if backend == "mlx":
        from aitwin.style.trainer_mlx import MlxTrainer

        # It holds the base in the bits of the file.
        return MlxTrainer(base, recipe)
    from aitwin.style.trainer_torch import TorchTrainer

    return TorchTrainer(base, recipe, bits)


def fresh(shapes: dict[str, tuple[int, int]], recipe: Recipe) -> Arrays:
    """The adapter before the first step, the same for every trainer, machine and process.

    `shapes` are (out, in) of the adapted projections by PEFT's module name. A is drawn uniformly
    within 1 / sqrt(in), B is zero (Hu et al., 2021, and PEFT's default).
    """
    arrays: Arrays = {}
    random = np.random.default_rng(recipe.seed)
    for name, (rows, columns) in sorted(shapes.items()):
        bound = columns**-0.5
        first = random.uniform(-bound, bound, (recipe.rank, columns))
        arrays[f"{name}.lora_A.weight"] = first.astype(np.float32)
        arrays[f"{name}.lora_B.weight"] = np.zeros((rows, recipe.rank), np.float32)
    return arrays
