"""BERT, as far as MeloTTS listens to it: what each part of a word means in its sentence.

Post-norm transformer (Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers",
arXiv 1810.04805) with the key names of the published bert-base-uncased (Apache-2.0). Only the
layers that are heard are read: 10 of 12. Does not cut words into parts: see melo_text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import checkpoint

if TYPE_CHECKING:
    from torch import Tensor

Features: TypeAlias = NDArray[np.float32]
"""Shape [tokens, width]: 768 numbers for each part of a word."""

PULL = "run `twin models pull bert-base-uncased`"
PREFIX = "bert."
HEAD = 64
"""Width of an attention head, in every BERT that was published."""
UNHEARD = 2
"""Layers at the end that MeloTTS leaves out: it takes the third last state."""
EPSILON = 1e-12
_OLD_NAMES = ((".gamma", ".weight"), (".beta", ".bias"))
"""How the published file calls the parts of a layer norm, and how everybody does since."""


@dataclass(frozen=True, eq=False)
class Bert:
    """The network, ready to read. Safe to use from several threads: it keeps no state."""

    weights: Mapping[str, "Tensor"] = field(repr=False)
    """By their official names, without PREFIX."""
    layers: int
    """That are read."""

    @classmethod
    def load(cls, weights: Path, vocabulary: Path) -> "Bert":
        """From the published `model.safetensors` and the `vocab.txt` that belongs to it.

        The vocabulary is only counted: ids of another one would give features of other words, and
        nobody would notice. Raises TwinError when a file is missing, damaged or of another model.
        """
        bert = cls._of(checkpoint.read(weights, PULL), weights)
        try:
            # Lines end with "\n" alone: a few entries are other separators of lines.
            words = len(vocabulary.read_text("utf-8").removesuffix("\n").split("\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise TwinError(
                f"the vocabulary {vocabulary} cannot be read ({type(error).__name__}); {PULL}"
            ) from None
        if words != bert.words:
            raise TwinError(
                f"{vocabulary} has {words:,} entries, and {weights} is made for {bert.words:,}: "
                f"they do not belong together; {PULL}"
            )
        return bert

    @classmethod
    def _of(cls, tensors: Mapping[str, "Tensor"], path: Path) -> "Bert":
        """The heard layers of what was read from `path`, tried once. Raises TwinError."""
        try:
            named = _named(tensors)
            layers = max(
                (1 + number for number in map(_layer, named) if number is not None), default=0
            )
            kept = {
                name: tensor
                for name, tensor in named.items()
                if (_layer(name) or 0) < layers - UNHEARD
            }
            bert = cls(kept, layers - UNHEARD)
            if layers <= UNHEARD or not all(map(_is_finite, kept.values())):
                raise ValueError("too few layers, or a NaN in one of them")
            bert.features([0, 1])
        except (KeyError, IndexError, ValueError, RuntimeError):
            raise TwinError(
                f"{path} holds no BERT, or one with parts missing or spoilt; {PULL}"
            ) from None
        return bert

    @property
    def words(self) -> int:
        """Entries of the vocabulary: 30,522."""
        return len(self.weights["embeddings.word_embeddings.weight"])

    @property
    def width(self) -> int:
        """Numbers for each token: 768."""
        return int(self.weights["embeddings.word_embeddings.weight"].shape[1])

    @property
    def longest(self) -> int:
        """Tokens that can be read at once, with the two marks around them: 512."""
        return len(self.weights["embeddings.position_embeddings.weight"])

    def features(self, ids: Sequence[int]) -> Features:
        """What the last of `layers` says of each token, shape [len(ids), width].

        `ids` are a sentence between its two marks, [CLS] and [SEP]. Raises ValueError for more
        than `longest` of them, none, or ids of another vocabulary.
        """
        import torch

        if not 0 < len(ids) <= self.longest or not all(0 <= index < self.words for index in ids):
            raise ValueError(f"1 to {self.longest} ids, each under {self.words}, are wanted")
        with torch.inference_mode():
            state = (
                self.weights["embeddings.word_embeddings.weight"][torch.tensor(ids)]
                + self.weights["embeddings.token_type_embeddings.weight"][0]
                + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
            )
            state = self._norm(state, "embeddings.LayerNorm")
            for layer in range(self.layers):
                state = self._heard(state, f"encoder.layer.{layer}.")
            return np.asarray(state.numpy(), np.float32)

    def _heard(self, state: "Tensor", name: str) -> "Tensor":
        """Self-attention and a feed-forward network, each added and then normed."""
        from torch.nn import functional

        query, key, value = (
            # [tokens, width] to [heads, tokens, HEAD]
            self._linear(state, f"{name}attention.self.{part}")
            .view(len(state), -1, HEAD)
            .transpose(0, 1)
            for part in ("query", "key", "value")
        )
        heard = functional.scaled_dot_product_attention(query, key, value)
        heard = heard.transpose(0, 1).reshape(state.shape)
        state = self._norm(
            state + self._linear(heard, f"{name}attention.output.dense"),
            f"{name}attention.output.LayerNorm",
        )
        inner = functional.gelu(self._linear(state, f"{name}intermediate.dense"))
        return self._norm(
            state + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm"
        )

    def _linear(self, state: "Tensor", name: str) -> "Tensor":
        from torch.nn import functional

        return functional.linear(
            state, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        )

    def _norm(self, state: "Tensor", name: str) -> "Tensor":
        from torch.nn import functional

        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(state, weight.shape, weight, bias, EPSILON)


def _named(tensors: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """The weights of the network itself, without PREFIX and by the newer names.

    The published file also holds the numbers of the places, which are no weights.
    """
    named = {}
    for name, tensor in tensors.items():
        short = name.removeprefix(PREFIX)
        if short.startswith(("embeddings.", "encoder.layer.")) and tensor.is_floating_point():
            for old, new in _OLD_NAMES:
                if short.endswith(old):
                    short = short.removesuffix(old) + new
            named[short] = tensor.float()
    return named


def _layer(name: str) -> int | None:
    """Which layer a tensor is of, if any. Raises ValueError when the layer has no number."""
    _, found, rest = name.partition("encoder.layer.")
    number = rest.partition(".")[0]
    if found and not number.isdecimal():
        raise ValueError("a layer without a number")
    return int(number) if found else None


def _is_finite(tensor: "Tensor") -> bool:
    """By its extremes, which a NaN takes over: `isfinite` would need as much memory again."""
    return all(bool(extreme.isfinite()) for extreme in tensor.aminmax())
