"""An adapter in llama.cpp's terms: for each adapted matrix of the base, its two small factors.

Reads PEFT's layout and that of mlx-lm, and checks either against the base's own GGUF header: what
would be left out in silence, or does not fit, is refused. Writes nothing: see gguf and graft.
"""

import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitwin.errors import TwinError
from aitwin.style import header
from aitwin.style.base import ARCHITECTURES
from aitwin.style.header import Header

if TYPE_CHECKING:
    import numpy as np

PEFT_WEIGHTS, MLX_WEIGHTS = "adapter_model.safetensors", "adapters.safetensors"
CONFIG = "adapter_config.json"
MATRICES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""The linear projections of a layer, as transformers and mlx-lm call them and as GGUF does."""
_LAYER = r"model\.layers\.(?P<layer>0|[1-9][0-9]*)\.(?P<matrix>[a-z_]+\.[a-z_]+)\.lora_"
_PEFT = re.compile(rf"base_model\.model\.{_LAYER}(?P<half>[AB])\.weight")
_MLX = re.compile(rf"{_LAYER}(?P<half>[ab])")
_KNOWN = {
    # What is asked for.
    *("peft_type", "r", "lora_alpha", "use_rslora"),
    # Matters while training only, or says what the names of the tensors say again.
    *("auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("lora_dropout", "peft_version", "ensure_weight_tying", "eva_config", "loftq_config"),
    # Names a library, or sizes what another option would turn on.
    *("megatron_core", "qalora_group_size"),
    # Has a rule of its own in `_peft_problems`.
    *("bias", "init_lora_weights"),
}
_OWN_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin that change the base as well: such an adapter fits no other file."""
_SHOWN = 6
"""Problems that a message lists."""
_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True, eq=False)
class Factors:
    """What the adapter adds to one matrix: `scale * b @ a`."""

    a: "np.ndarray"
    """Shape (rank, in), 32-bit floats."""
    b: "np.ndarray"
    """Shape (out, rank), its rows in the order of the base's GGUF file."""


@dataclass(frozen=True)
class Lora:
    """An adapter that fits a base."""

    architecture: str
    alpha: float
    """llama.cpp scales by alpha / rank."""
    rank: int
    _weights: "_Safetensors" = field(repr=False)
    _places: dict[str, "_Place"] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The adapted tensors of the base: "blk.0.attn_q.weight", layer by layer."""
        return tuple(self._places)

    @property
    def scale(self) -> float:
        """Of what is added."""
        return self.alpha / self.rank

    def factors(self, name: str) -> Factors:
        """Those of the tensor `name`, read from the file."""
        place = self._places[name]
        a, b = self._weights.read(place.a), self._weights.read(place.b)
        if place.transposed:
            a, b = a.T, b.T
        return Factors(a, interleave(b, place.heads) if place.heads else b)


@dataclass(frozen=True)
class _Place:
    """Where the factors of one matrix are found."""

    a: str
    b: str
    shape: tuple[int, int, int]
    """in, rank, out."""
    transposed: bool
    heads: int = 0
    """Heads whose rows are to be interleaved; 0 where they are not."""


def load(adapter: Path, base: Path) -> Lora:
    """The adapter in directory `adapter`, PEFT's or mlx-lm's, for the GGUF file `base`.

    Raises TwinError, which lists all that is wrong, when it cannot be represented in full or does
    not fit the base.
    """
    if (adapter / MLX_WEIGHTS).is_file() and not (adapter / PEFT_WEIGHTS).is_file():
        return from_mlx(adapter, base)
    return from_peft(adapter, base)


def from_peft(adapter: Path, base: Path) -> Lora:
    """The same for PEFT's layout."""
    config = _config(adapter)
    rank, alpha = _number(config.get("r")), _number(config.get("lora_alpha"))
    if config.get("use_rslora"):
        # llama.cpp divides by the rank; rank-stabilised LoRA (Kalajdzievski, 2023) by its root.
        alpha *= rank**0.5
    problems = _peft_problems(config)
    return _Reading(adapter / PEFT_WEIGHTS, base, _PEFT, False).lora(rank, alpha, problems)


def from_mlx(adapter: Path, base: Path) -> Lora:
    """The same for mlx-lm's layout, whose factors are transposed."""
    config = _config(adapter)
    kind, chosen = config.get("fine_tune_type", "lora"), config.get("lora_parameters")
    problems = [] if kind == "lora" else [f"fine_tune_type {kind!r} is no plain LoRA"]
    parameters = chosen if isinstance(chosen, dict) else {}
    rank = _number(parameters.get("rank"))
    alpha = _number(parameters.get("scale")) * rank
    return _Reading(adapter / MLX_WEIGHTS, base, _MLX, True).lora(rank, alpha, problems)


def _config(adapter: Path) -> dict[str, Any]:
    path = adapter / CONFIG
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TwinError(
            f"{path} cannot be read ({type(error).__name__}); {adapter} is no adapter directory of "
            "PEFT or mlx-lm, or it is damaged"
        ) from None
    if not isinstance(config, dict):
        raise TwinError(f"{path} is no adapter's configuration; take the adapter's own directory")
    return config


def _number(value: Any) -> float:
    """0 for what is none, which is refused later."""
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _peft_problems(config: dict[str, Any]) -> list[str]:
    """Options that would be served otherwise than they were trained."""
    problems = []
    if config.get("peft_type", "LORA") != "LORA":
        problems.append(f"peft_type {config['peft_type']!r} is no LoRA")
    if config.get("bias", "none") != "none":
        problems.append(f"bias {config['bias']!r} trains biases, which no LoRA file holds")
    begin = config.get("init_lora_weights")
    if isinstance(begin, str) and begin.lower().startswith(_OWN_BASE):
        problems.append(f"init_lora_weights {begin!r} changed the base, too")
    problems += [
        f"{option} is not exported"
        for option, value in sorted(config.items())
        if value and option not in _KNOWN
    ]
    return problems


class _Reading:
    """Matches the tensors of an adapter with those of a base, and gathers what is wrong."""

    def __init__(
        self, weights: Path, base: Path, pattern: re.Pattern[str], transposed: bool
    ) -> None:
        self._file, self._base = weights, base
        self._weights = _Safetensors(weights)
        self._head = header.read(base)
        self._pattern, self._transposed = pattern, transposed
        self._shapes = {tensor.name: tensor.shape for tensor in self._head.tensors}
        self._problems: list[str] = []

    def lora(self, rank: float, alpha: float, problems: Iterable[str]) -> Lora:
        """The adapter. Raises TwinError when anything is wrong."""
        require_base(self._base, self._head)
        self._problems += problems
        if not rank or not alpha:
            self._problems.append(f"{CONFIG} gives no rank and scale")
        halves = self._halves()
        if not halves and not self._problems:
            self._problems.append("it holds no tensor")
        places = {
            name: self._place(name, found) for name, found in sorted(halves.items(), key=_order)
        }
        fitting = {name: place for name, place in places.items() if place is not None}
        if any(place.shape[1] != rank for place in fitting.values()):
            self._problems.append(f"tensors of another rank than the {rank:g} of {CONFIG}")
        if self._problems:
            raise TwinError(self._message())
        return Lora(self._head.architecture, alpha, int(rank), self._weights, fitting)

    def _halves(self) -> dict[str, dict[str, str]]:
        """Names in the adapter's file by tensor of the base and half."""
        halves: dict[str, dict[str, str]] = {}
        for name in self._weights.shapes:
            match = self._pattern.fullmatch(name)
            matrix = MATRICES.get(match["matrix"]) if match else None
            if match is None or matrix is None:
                self._problems.append(f"tensor {name} has no counterpart in llama.cpp")
                continue
            place = f"blk.{int(match['layer'])}.{matrix}.weight"
            halves.setdefault(place, {})[match["half"].lower()] = name
        return halves

    def _place(self, name: str, found: dict[str, str]) -> _Place | None:
        if len(found) < 2:
            self._problems.append(f"of {name} one factor is missing")
            return None
        a, b = (self._weights.shapes[found[half]] for half in "ab")
        if self._transposed:
            a, b = a[::-1], b[::-1]
        if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
            self._problems.append(f"the factors of {name} do not fit each other")
            return None
        there = self._shapes.get(name)
        if there != (a[1], b[0]):
            size = " x ".join(map(str, there)) if there else "not there"
            self._problems.append(
                f"an adapter for another base: {name} is {a[1]} x {b[0]}, in the base {size}"
            )
            return None
        if name.replace(".weight", ".scale") in self._shapes:
            self._problems.append(f"the base scales {name} apart, and the adapter with it")
        shape = (a[1], a[0], b[0])
        return _Place(found["a"], found["b"], shape, self._transposed, self._heads(name, b[0]))

    def _heads(self, name: str, rows: int) -> int:
        """transformers rotates the halves of a head, GGUF of architecture llama pairs."""
        key = {"attn_q": "head_count", "attn_k": "head_count_kv"}.get(name.split(".")[2])
        if self._head.architecture != "llama" or key is None:
            return 0
        heads = self._head.of_architecture(f"attention.{key}")
        if heads is None:  # as many keys as queries
            heads = self._head.of_architecture("attention.head_count")
        if not isinstance(heads, int) or heads <= 0 or rows % (2 * heads):
            self._problems.append(f"the base does not tell how many heads {name} has")
            return 0
        return heads

    def _message(self) -> str:
        shown = "; ".join(self._problems[:_SHOWN])
        more = len(self._problems) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        return (
            f"the adapter {self._file.parent} is not exported for {self._base}: {shown}{rest}. "
            "Take the base that it was trained on, or train a plain LoRA adapter (`twin train`)"
        )


def _order(item: tuple[str, Any]) -> tuple[int, str]:
    """Layer by layer."""
    return int(item[0].split(".")[1]), item[0]


def require_base(base: Path, head: Header) -> None:
    """Raise TwinError unless `base` is one whole model of an architecture that we export for."""
    if head.architecture not in ARCHITECTURES:
        raise TwinError(
            f"{base} holds a model of architecture {head.architecture!r}; adapters can be exported "
            f"for {' and '.join(ARCHITECTURES)}: choose another base in twin.toml"
        )
    if head.values.get("general.type", "model") != "model":
        raise TwinError(f"{base} is no model but of type {head.values['general.type']!r}")
    parts = head.values.get("split.count", 1)
    if parts != 1:
        raise TwinError(
            f"{base} is one of {parts} parts of a model; join them first (llama-gguf-split --merge)"
        )


def interleave(rows: "np.ndarray", heads: int) -> "np.ndarray":
    """Reorder the output rows of a query or key projection, as llama.cpp's converter does.

    transformers rotates the halves of a head, GGUF files of architecture `llama` neighbouring
    pairs; a missed permutation loads without an error and quietly spoils the attention.
    """
    out, rank = rows.shape
    return rows.reshape(heads, 2, out // heads // 2, rank).swapaxes(1, 2).reshape(out, rank)


class _Safetensors:
    """A safetensors file, tensor by tensor, as 32-bit floats.

    The library's own reader gives no bf16 without torch, and adapters of strangers are often bf16.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                if length > path.stat().st_size:
                    raise ValueError("a header beyond the end")
                entries = json.loads(file.read(length))
            self._start = 8 + length
            self._entries = {name: e for name, e in entries.items() if name != "__metadata__"}
            self.shapes = {n: tuple(map(int, e["shape"])) for n, e in self._entries.items()}
            self._check()
        except FileNotFoundError:
            raise TwinError(
                f"{path} is missing; an adapter has to be saved as safetensors"
            ) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
            raise TwinError(
                f"{path} is no whole safetensors file ({type(error).__name__}); make it again"
            ) from None

    def _check(self) -> None:
        room = self._path.stat().st_size - self._start
        for name, entry in self._entries.items():
            begin, end = entry["data_offsets"]
            size = 2 if entry["dtype"] != "F32" else 4
            for length in self.shapes[name]:
                size *= length
            if (
                entry["dtype"] not in _DTYPES
                or not 0 <= begin <= end <= room
                or end - begin != size
            ):
                raise ValueError("an entry that cannot be")

    def read(self, name: str) -> "np.ndarray":
        import numpy as np

        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        with self._path.open("rb") as file:
            file.seek(self._start + begin)
            data = np.frombuffer(file.read(end - begin), _DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":  # the upper half of a 32-bit float
            data = (data.astype(np.uint32) << 16).view(np.float32)
        tensor = data.astype(np.float32).reshape(self.shapes[name])
        if not np.isfinite(tensor).all():
            raise TwinError(f"{self._path}: {name} holds numbers that are none; train again")
        return tensor
