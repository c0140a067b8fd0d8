"""How much memory a fine-tune takes, before it starts.

Passes the shapes of one batch through the real networks, on torch's device "meta", where nothing is
computed and nothing takes memory, and counts what autograd would keep. What an allocator adds, and
the buffers of single operations, are in SLACK: benchmarks/finetune.py holds it against a measured
peak. Imports torch inside.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitwin.errors import TwinError

if TYPE_CHECKING:
    from torch import Tensor

    from aitwin.voice.mels import Analysis
    from aitwin.voice.synthesizer import Sizes
    from aitwin.voice.tuner import Recipe

FLOAT = 4
"""Bytes: everything is learnt in 32 bits."""
STATES = 4
"""A weight, its gradient and AdamW's two moments."""
LIBRARIES = 700_000_000
"""Bytes of Python, torch and what judges the speech, as benchmarks/finetune.py saw them."""
SLACK = 1.3
"""Of the activations: what the benchmark's peak had above those that are counted, and some."""
USABLE = 0.75
"""Share of the memory that a fine-tune may take: the system and other programs want the rest."""
LETTERS = 14.0
"""Per second of speech: English read aloud."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Estimate:
    """Bytes that a fine-tune takes."""

    weights: int
    """Networks, gradients, moments, and the best network so far."""
    activations: int
    """What a batch of the longest utterances leaves for the backward pass."""
    checkpoint: int
    """On disk."""
    parameters: int
    """Of the network and its adversaries; no bytes."""

    @property
    def total(self) -> int:
        """In memory."""
        return self.weights + self.activations + LIBRARIES


@cache
def tuning(sizes: "Sizes", analysis: "Analysis", recipe: "Recipe") -> Estimate:
    """What a fine-tune of a network of `sizes` takes."""
    from aitwin.voice.lessons import LONGEST

    passing = _Pass.of(sizes, analysis, recipe)
    kept = passing.kept(LONGEST)
    return Estimate(
        weights=(passing.parameters * STATES + passing.speaking) * FLOAT,
        activations=int(kept * SLACK),
        # Weights and two moments; the best network lies beside them.
        checkpoint=(passing.parameters * 3 + passing.speaking) * FLOAT,
        parameters=passing.parameters,
    )


def available(device: str) -> int:
    """Bytes that `device` has in all: "cuda", "mps" or "cpu".

    In all, not free at the moment: a run that was stopped has to be able to go on.
    """
    import torch

    if device == "cuda":
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    if device == "mps":
        return int(torch.mps.recommended_max_memory())
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CGROUP.read_text().strip() if _CGROUP.is_file() else "max"  # of a container
    return min(there, int(limit)) if limit.isdigit() else there


def require(needed: Estimate, there: int) -> None:
    """Raise TwinError when the fine-tune does not fit."""
    if needed.total > there * USABLE:
        raise TwinError(
            f"the fine-tune takes about {needed.total / 1e9:.1f} GB, and of {there / 1e9:.1f} GB "
            f"it may have {there * USABLE / 1e9:.1f}: lower --batch"
        )


@dataclass(frozen=True, eq=False)
class _Pass:
    """The networks on the device "meta", and what passes through them."""

    network: Any
    adversaries: Any
    bins: int
    hop: int
    rate: int
    recipe: "Recipe"

    @classmethod
    def of(cls, sizes: "Sizes", analysis: "Analysis", recipe: "Recipe") -> "_Pass":
        import torch

        from aitwin.voice.adversaries import Adversaries
        from aitwin.voice.synthesizer import Synthesizer

        with torch.device("meta"):
            network = Synthesizer(sizes, trainable=True)
            judges = Adversaries(recipe.narrower)
        return cls(network, judges, analysis.bins, analysis.hop, analysis.rate, recipe)

    @property
    def parameters(self) -> int:
        return sum(
            one.numel() for net in (self.network, self.adversaries) for one in net.parameters()
        )

    @property
    def speaking(self) -> int:
        """Parameters of the network without what training alone needs."""
        return sum(
            one.numel()
            for name, one in self.network.named_parameters()
            if not name.startswith("enc_q.")
        )

    def kept(self, seconds: float) -> int:
        """Bytes of activations that wait for the backward pass."""
        from torch.autograd.graph import saved_tensors_hooks

        sizes: dict[int, int] = {}
        alive = []
        weights = {
            one.untyped_storage()._cdata
            for net in (self.network, self.adversaries)
            for one in net.parameters()
        }

        def keep(tensor: "Tensor") -> "Tensor":
            storage = tensor.untyped_storage()
            if storage._cdata not in weights:
                sizes[storage._cdata] = storage.nbytes()
                alive.append(tensor)  # lest another tensor gets the same address
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            outcome = self._forward(seconds)
        del outcome
        return sum(sizes.values())

    def _forward(self, seconds: float) -> list[Any]:
        import torch

        count, frames = self.recipe.batch, int(seconds * self.rate / self.hop)
        symbols = 2 * int(seconds * LETTERS) + 1
        network = self.network
        with torch.device("meta"):
            ids = torch.zeros(count, symbols, dtype=torch.long)
            g = network.emb_g(torch.zeros(count, dtype=torch.long))[:, :, None]
            text_mask, mask = torch.ones(count, 1, symbols), torch.ones(count, 1, frames)
            features = torch.zeros(count, network.enc_p.ja_bert_proj.in_channels, symbols)
            read = network.enc_p(ids, ids, ids, features, text_mask, g)
            mean, log_deviation = network.enc_q(torch.zeros(count, self.bins, frames), mask, g)
            moved = network.flow(mean, mask, g)
            noise = torch.zeros(count, 2, symbols)
            durations = network.sdp.nll(read[0], text_mask, torch.ones_like(text_mask), g, noise)
            guessed = network.dp(read[0], text_mask, g)
            made = network.dec(mean[:, :, : self.recipe.segment], g)
        return [read, log_deviation, moved, durations, guessed, made, self._judge(2)]

    def _judge(self, sounds: int) -> list[Any]:
        import torch

        samples = self.recipe.segment * self.hop
        with torch.device("meta"):
            return [
                self.adversaries(torch.zeros(self.recipe.batch, 1, samples, requires_grad=True))
                for _ in range(sounds)
            ]
