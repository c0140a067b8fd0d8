"""How much memory a training takes, before it starts, and what follows: bits and checkpointing.

Reckons from the head of the GGUF file; loads no model. The formula counts what autograd keeps of a
decoder of the Llama family whose weights are frozen, so that a projection without adapter keeps no
input; the benchmark (benchmarks/training.py) holds it against measured peaks.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Literal

from aitwin.errors import TwinError
from aitwin.style import header
from aitwin.style.base import Base
from aitwin.style.recipe import Recipe

Bits = Literal[4, 16, 32]

USABLE = 0.75
"""Share of the memory that a training may take: the system and other programs want the rest."""
LIBRARIES = 550_000_000
"""Bytes of Python, PyTorch, transformers and PEFT themselves (measured, Linux)."""
QLORA_FROM = 2_000_000_000
"""Bytes of a base in 16 bits from which a GPU holds it in 4 (M1)."""
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
"""Per weight: a scale of 8 bits per block of 64, and one of 32 bits per 256 scales (Dettmers et
al., 2023, "QLoRA", double quantisation)."""
LOGITS = 256
"""Reply positions that pass through the output head at once."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Estimate:
    """Bytes that a training takes."""

    weights: int
    """Of the frozen base."""
    adapter: int
    """Its weights, their gradients and the two moments of the optimiser."""
    activations: int
    """What a batch of the longest examples leaves for the backward pass, and its logits."""
    libraries: int = LIBRARIES

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.adapter + self.activations + self.libraries


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder of the Llama family."""

    layers: int
    width: int
    inner: int
    """Width of the feed-forward part."""
    heads: int
    """Of the queries."""
    queries: int
    """Numbers of a token's queries, all heads together."""
    keys: int
    """Numbers of its keys, which are those of its values."""
    vocabulary: int
    matrices: int
    """Weights of the projections, which 4 bits hold."""
    others: int
    """Weights of embeddings, output head and norms, which stay floats."""

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.matrices + self.others


def shape(gguf: Path) -> Shape:
    """The sizes of the model in `gguf`.

    Raises TwinError for a file that is none.
    """
    head = header.read(gguf)
    sizes = {tensor.name: tensor.shape for tensor in head.tensors}
    try:
        width, vocabulary = sizes["token_embd.weight"]
        matrices = sum(
            prod(size) for name, size in sizes.items() if name.startswith("blk.") and len(size) == 2
        )
        return Shape(
            layers=int(head.of_architecture("block_count")),
            width=width,
            inner=sizes["blk.0.ffn_up.weight"][1],
            heads=int(head.of_architecture("attention.head_count")),
            queries=sizes["blk.0.attn_q.weight"][1],
            keys=sizes["blk.0.attn_k.weight"][1],
            vocabulary=vocabulary,
            matrices=matrices,
            others=sum(map(prod, sizes.values())) - matrices,
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise TwinError(f"{gguf} is no model of the Llama family; choose another base") from None


def estimate(
    base: Base, recipe: Recipe, bits: int, checkpointing: bool, device: str = "cpu"
) -> Estimate:
    """What PyTorch takes to train `base` by `recipe`, its frozen weights held in `bits`."""
    return reckon(shape(base.gguf), recipe, bits, checkpointing, device)


def reckon(
    model: Shape, recipe: Recipe, bits: int, checkpointing: bool, device: str = "cpu"
) -> Estimate:
    """The same from the sizes alone."""
    # A GPU computes in 16 bits beside 4-bit weights, a CPU in 32 (bf16 is 17 times slower there).
    size = 4 if bits == 32 or (bits == 4 and device == "cpu") else 2
    if bits == 4:
        weights = int(model.matrices * NF4_BITS / 8) + model.others * size
    else:
        weights = model.parameters * bits // 8
    return Estimate(
        weights=weights,
        adapter=_adapter(model, recipe),
        activations=_activations(model, recipe, size, checkpointing=checkpointing)
        + _output(model, recipe, size)
        # Backward, a matrix of 4 bits is floats for a moment.
        + (model.width * model.inner * size if bits == 4 else 0),
    )


def estimate_mlx(
    base: Base, recipe: Recipe, *, checkpointing: bool = True, device: str = "metal"
) -> Estimate:
    """What MLX takes to train `base`, whose weights keep the bits of the file."""
    from aitwin.style import base_mlx

    model = shape(base.gguf)
    weights, _ = base_mlx.size(base.gguf)
    number = 4 if device == "cpu" else 2
    return Estimate(
        weights=weights,
        adapter=_adapter(model, recipe),
        activations=_activations(model, recipe, number, checkpointing=checkpointing)
        + _scores(model, recipe, number, 1 if checkpointing else model.layers)
        + _output(model, recipe, number),
    )


def _adapter(model: Shape, recipe: Recipe) -> int:
    """A weight, its gradient and two moments, 32 bits each."""
    sides = {
        "q_proj": model.width + model.queries,
        "k_proj": model.width + model.keys,
        "v_proj": model.width + model.keys,
        "o_proj": model.queries + model.width,
    }
    return 16 * recipe.rank * model.layers * sum(sides[target] for target in recipe.targets)


def _activations(model: Shape, recipe: Recipe, size: int, *, checkpointing: bool) -> int:
    """Of one batch. Per token and layer autograd keeps the inputs of

    - both norms, in 32 bits, and their results where those are of 16 bits (Zhang & Sennrich, 2019);
    - the adapted projections, in 32 bits, with the dropout's mask;
    - the attention: queries, keys, values, result; keys and values repeated for every head;
    - the gate's SiLU, and of both factors of the product behind it.
    """
    norms = 2 * model.width * (4 if size == 4 else 4 + size)
    inputs = sum(model.queries if t == "o_proj" else model.width for t in recipe.targets)
    adapters = inputs * (4 + (1 if recipe.dropout else 0))
    attention = 4 * model.queries * size
    feed_forward = 3 * model.inner * size
    layer = norms + adapters + attention + feed_forward
    tokens = recipe.batch * recipe.sequence_length
    if checkpointing:
        return tokens * (model.layers * model.width * size + layer)
    return tokens * model.layers * layer


def _scores(model: Shape, recipe: Recipe, size: int, layers: int) -> int:
    """Of the attention, before and after the softmax: MLX 0.32 does not fuse it in training."""
    return 2 * recipe.batch * model.heads * recipe.sequence_length**2 * size * layers


def _output(model: Shape, recipe: Recipe, size: int) -> int:
    """Logits, the same in 32 bits, and their gradient, of so many positions at once."""
    positions = min(LOGITS, recipe.batch * recipe.sequence_length)
    return positions * model.vocabulary * (8 + (0 if size == 4 else 2 * size))


def available(device: str) -> int:
    """Bytes that `device` has in all: "cuda", "mps", "metal" or "cpu".

    In all, not free at the moment: a run that was stopped has to go on in the same bits.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    if device == "mps":
        import torch

        return int(torch.mps.recommended_max_memory())
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CGROUP.read_text().strip() if _CGROUP.is_file() else "max"  # of a container
    return min(there, int(limit)) if limit.isdigit() else there


@dataclass(frozen=True)
class Plan:
    """How a training is held in memory."""

    bits: int
    """Of the frozen weights."""
    checkpointing: bool
    """Whether activations are computed twice instead of being kept: slower by about 40 %."""
    estimate: Estimate


def plan(base: Base, recipe: Recipe, device: str, bits: int | None = None) -> Plan:
    """The best way in which it fits (see `_bits`), kept activations before new ones.

    Raises TwinError when none does, naming what to lower, and for `bits` that there are not here.
    """
    model = shape(base.gguf)
    room = int(available(device) * USABLE)
    possible = _bits(model, device)
    if bits is not None and bits not in possible:
        raise TwinError(
            f"on {device} PyTorch holds the base in {' or '.join(map(str, sorted(possible)))} "
            f"bits, not in {bits}; leave --bits out for what fits"
            + ("" if 4 in possible else " (4 bits want the package bitsandbytes)")
        )
    last: Estimate | None = None
    for candidate in (bits,) if bits else possible:
        for checkpointing in (False, True):
            last = reckon(model, recipe, candidate, checkpointing, device)
            if last.total <= room:
                return Plan(candidate, checkpointing, last)
    assert last is not None  # noqa: S101 (there is always a candidate)
    raise TwinError(too_little(recipe, last, available(device)))


def plan_mlx(base: Base, recipe: Recipe, device: str = "metal") -> Plan:
    """How MLX holds it: activations are kept where there is room, computed twice where not.

    Raises TwinError when neither fits, naming what to lower.
    """
    from aitwin.style import base_mlx

    there = available(device)
    for checkpointing in (False, True):
        needed = estimate_mlx(base, recipe, checkpointing=checkpointing, device=device)
        if needed.total <= there * USABLE:
            _, bits = base_mlx.size(base.gguf)
            return Plan(bits or (32 if device == "cpu" else 16), checkpointing, needed)
    raise TwinError(too_little(recipe, needed, there))


def _bits(model: Shape, device: str) -> list[int]:
    """What `device` can, the best first: floats; but on a card, large bases in 4 bits (M1)."""
    four = [4] if find_spec("bitsandbytes") else []
    if device == "cuda":
        return [*four, 16] if model.parameters * 2 > QLORA_FROM else [16, *four]
    return [32, 16, *four] if device == "mps" else [32, *four]


def too_little(recipe: Recipe, needed: Estimate, there: int) -> str:
    """What to tell the owner."""
    lower = [
        f"{name} (now {now})"
        for name, now, least in (
            ("batch", recipe.batch, 4),
            ("sequence_length", recipe.sequence_length, 256),
        )
        if now > least
    ]
    return (
        f"this training takes about {needed.total / 1e9:.1f} GB ({needed.weights / 1e9:.1f} for "
        f"the base, {needed.activations / 1e9:.1f} for a batch), and may take "
        f"{there * USABLE / 1e9:.1f} of {there / 1e9:.1f}: "
        + (f"lower {' or '.join(lower)}, or " if lower else "")
        + "choose a smaller base (`twin models list`, `twin init --base NAME`)"
    )
