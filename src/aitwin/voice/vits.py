"""The parts of VITS that the tone colour converter and MeloTTS share, to infer and to train.

From the papers (Kim, Kong, Son: "Conditional Variational Autoencoder with Adversarial Learning for
End-to-End Text-to-Speech", 2021, arXiv 2106.06103; the decoder is HiFi-GAN's generator: Kong, Kim,
Bae 2020, arXiv 2010.05646; the gated stack is WaveNet's: van den Oord et al. 2016, as in WaveGlow).
The names of the parameters are those of published checkpoints with weight norm multiplied out
(checkpoint.fused); to train, put `torch.nn.utils.parametrizations.weight_norm` on what had it.

Shapes: [batch, channels, frames]. A `mask` is [batch, 1, frames] of ones and zeros, or None where
every frame counts. A `condition` is [batch, channels, 1], or None.

Importing this module imports torch: do it inside the function that needs it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aitwin.artifact import count

FLOOR = 1e-6
"""Power added to every bin of a spectrogram before the root, as in training."""
LEAK = 0.1
"""Slope of the decoder's leaky ReLU below zero, but for the last one."""
LAST_LEAK = 0.01
END_KERNEL = 7
"""Taps of the decoder's first and last convolution."""
KERNEL = 5
"""Taps of the WaveNets. This and the next three are in no config: every VITS has them so."""
POSTERIOR_LAYERS = 16
FLOW_LAYERS = 4
FLOW_DEPTH = 4
"""Layers of the WaveNet in each coupling layer."""
POSTERIOR_REACH = POSTERIOR_LAYERS * (KERNEL // 2)
"""Frames to each side that the posterior encoder hears."""
FLOW_REACH = FLOW_LAYERS * FLOW_DEPTH * (KERNEL // 2)
"""The same of a flow of WaveNets, in either direction."""


def mirrored(samples: NDArray[np.float32], window: int, hop: int) -> Tensor:
    """Samples [time] with (window - hop) / 2 of them mirrored at each end, as VITS frames them."""
    return torch.from_numpy(np.pad(samples, (window - hop) // 2, mode="reflect"))


def magnitudes(sound: Tensor, window: int, hop: int) -> Tensor:
    """Linear magnitudes [frames, window // 2 + 1] of all whole frames (Hann) of `sound` [time]."""
    frames = sound.unfold(0, window, hop) * torch.hann_window(window)
    spectrum = torch.fft.rfft(frames)
    return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + FLOOR)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` with the frames that do not count at zero."""
    return x if mask is None else x * mask


def same(kernel: int, dilation: int = 1) -> int:
    """Padding at each end with which a convolution keeps the number of frames."""
    return (kernel - 1) * dilation // 2


class WaveNet(nn.Module):
    """Gated convolutions with skip connections: [batch, hidden, frames] to the same shape."""

    def __init__(self, hidden: int, kernel: int, layers: int, condition: int = 0) -> None:
        super().__init__()
        self.hidden = hidden
        self.in_layers = nn.ModuleList(
            nn.Conv1d(hidden, 2 * hidden, kernel, padding=same(kernel)) for _ in range(layers)
        )
        # The last layer has nothing to hand on: its output is skip connection only.
        self.res_skip_layers = nn.ModuleList(
            nn.Conv1d(hidden, (1 if layer == layers - 1 else 2) * hidden, 1)
            for layer in range(layers)
        )
        if condition:
            self.cond_layer = nn.Conv1d(condition, 2 * hidden * layers, 1)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Sum of all layers' skip connections."""
        layers = len(self.in_layers)
        steer = None if condition is None else self.cond_layer(condition).chunk(layers, 1)
        total: Tensor | None = None
        for layer, (gate, out) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            heard = gate(x) if steer is None else gate(x) + steer[layer]
            filtered, opened = heard.chunk(2, 1)
            said = out(torch.tanh(filtered) * torch.sigmoid(opened))
            skip = said
            if layer < layers - 1:
                kept, skip = said.chunk(2, 1)
                x = masked(x + kept, mask)
            total = skip if total is None else total + skip
        assert total is not None  # noqa: S101 - for mypy: a WaveNet has at least one layer
        return masked(total, mask)


class PosteriorEncoder(nn.Module):
    """A linear spectrogram to the distribution of the latent: mean and log of the deviation."""

    def __init__(
        self,
        bins: int,
        latent: int,
        hidden: int,
        *,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.pre = nn.Conv1d(bins, hidden, 1)
        self.enc = WaveNet(hidden, KERNEL, POSTERIOR_LAYERS, condition)
        self.proj = nn.Conv1d(hidden, 2 * latent, 1)

    def forward(
        self, spectrogram: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and log deviation, each [batch, latent, frames].

        A sample is `masked(mean + noise * tau * log_deviation.exp(), mask)`.
        """
        hidden = self.enc(masked(self.pre(spectrogram), mask), mask, condition)
        mean, log_deviation = masked(self.proj(hidden), mask).chunk(2, 1)
        return mean, log_deviation


class CouplingLayer(nn.Module):
    """One half of the channels shifts the other by what `enc` makes of it (mean only).

    `enc(hidden, mask, condition)` keeps the shape [batch, hidden, frames]: a WaveNet in VITS and
    the converter, a transformer in MeloTTS.
    """

    def __init__(self, channels: int, hidden: int, enc: nn.Module) -> None:
        """Raises ValueError for channels that have no half."""
        super().__init__()
        if channels % 2:
            raise ValueError("the channels of a flow must halve")
        self.pre = nn.Conv1d(channels // 2, hidden, 1)
        self.enc = enc
        self.post = nn.Conv1d(hidden, channels // 2, 1)
        # A flow starts as the identity (only matters when one is trained from nothing).
        nn.init.zeros_(self.post.weight)
        nn.init.zeros_(self.post.bias)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """The moved half added."""
        still, moved = x.chunk(2, 1)
        return torch.cat([still, masked(moved, mask) + self._shift(still, mask, condition)], 1)

    def inverse(
        self, x: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """What `forward` did is undone."""
        still, moved = x.chunk(2, 1)
        shift = self._shift(still, mask, condition)
        return torch.cat([still, masked(moved - shift, mask)], 1)

    def _shift(self, still: Tensor, mask: Tensor | None, condition: Tensor | None) -> Tensor:
        hidden = self.enc(masked(self.pre(still), mask), mask, condition)
        return masked(self.post(hidden), mask)


class Flip(nn.Module):
    """The order of the channels reversed, so that each half gets to move; its own inverse."""

    def forward(
        self, x: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Channels from last to first."""
        del mask, condition
        return x.flip(1)

    inverse = forward


class CouplingFlow(nn.Module):
    """Coupling layers with a flip after each: from the posterior's space to the prior's.

    Volume is preserved, so the log determinant is zero. Official names count the flips:
    `flows.0`, `flows.2`, ... are the layers.
    """

    def __init__(self, layers: Iterable[CouplingLayer]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(part for layer in layers for part in (layer, Flip()))

    @classmethod
    def of_wavenets(cls, channels: int, hidden: int, *, condition: int = 0) -> "CouplingFlow":
        """VITS's own: coupling layers around WaveNets."""
        return cls(
            CouplingLayer(channels, hidden, WaveNet(hidden, KERNEL, FLOW_DEPTH, condition))
            for _ in range(FLOW_LAYERS)
        )

    def forward(
        self, z: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Posterior to prior, shape kept."""
        for part in self.flows:
            z = part(z, mask, condition)
        return z

    def inverse(
        self, z: Tensor, mask: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Prior to posterior, shape kept."""
        for part in reversed(self.flows):
            z = part.inverse(z, mask, condition)
        return z


class ResidualBlock(nn.Module):
    """Three pairs of a dilated and a plain convolution, each added to its input ("resblock 1")."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=same(kernel, d))
            for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=same(kernel)) for _ in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            # In place only where a convolution has just made the tensor: autograd allows that.
            heard = functional.leaky_relu_(dilated(functional.leaky_relu(x, LEAK)), LEAK)
            x = plain(heard).add_(x)
        return x


@dataclass(frozen=True)
class Upsampling:
    """The decoder's sizes, as config.json has them under "model"."""

    channels: int
    """At the start; each stage halves them."""
    rates: tuple[int, ...]
    """By how much each stage lengthens; their product is the hop."""
    kernels: tuple[int, ...]
    """Taps of each stage's transposed convolution."""
    block_kernels: tuple[int, ...]
    """Taps of the residual blocks after each stage."""
    block_dilations: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Raises ValueError for lists that do not fit each other."""
        if len(self.rates) != len(self.kernels) or not self.rates:
            raise ValueError("each upsampling rate wants one kernel")
        if len(self.block_kernels) != len(self.block_dilations) or not self.block_kernels:
            raise ValueError("each residual block's kernel wants one list of dilations")
        if any(
            k < r or r < 1 or (k - r) % 2 for k, r in zip(self.kernels, self.rates, strict=True)
        ):
            raise ValueError("a kernel must exceed its upsampling rate by an even number")
        if self.channels < 1 or self.channels % (1 << len(self.rates)):
            raise ValueError("the channels must halve at every stage")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.block_kernels):
            raise ValueError("a residual block wants an odd kernel")
        if not all(self.block_dilations):
            raise ValueError("a residual block wants at least one dilation")

    @property
    def hop(self) -> int:
        """Samples to a frame of the latent: 256 or 512."""
        return prod(self.rates)

    @property
    def block_reach(self) -> int:
        """Samples to each side that a stage's residual blocks hear: 60 with the usual sizes."""
        return max(
            sum(same(kernel, dilation) + same(kernel) for dilation in dilations)
            for kernel, dilations in zip(self.block_kernels, self.block_dilations, strict=True)
        )

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> "Upsampling":
        """From config.json's "model". Raises KeyError, TypeError or ValueError."""
        if str(model["resblock"]) != "1":
            raise ValueError("only residual blocks of kind 1 are known")
        return cls(
            count(model["upsample_initial_channel"]),
            tuple(count(rate) for rate in model["upsample_rates"]),
            tuple(count(kernel) for kernel in model["upsample_kernel_sizes"]),
            tuple(count(kernel) for kernel in model["resblock_kernel_sizes"]),
            tuple(tuple(count(d) for d in ds) for ds in model["resblock_dilation_sizes"]),
        )


class Decoder(nn.Module):
    """Latent to waveform: transposed convolutions, each followed by a mean of residual blocks."""

    def __init__(self, latent: int, sizes: Upsampling, *, condition: int = 0) -> None:
        super().__init__()
        channels, stages = sizes.channels, len(sizes.rates)
        self.sizes = sizes
        self.conv_pre = nn.Conv1d(latent, channels, END_KERNEL, padding=same(END_KERNEL))
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(
                channels >> stage,
                channels >> stage + 1,
                kernel,
                stride=rate,
                padding=(kernel - rate) // 2,
            )
            for stage, (rate, kernel) in enumerate(zip(sizes.rates, sizes.kernels, strict=True))
        )
        self.resblocks = nn.ModuleList(
            ResidualBlock(channels >> stage + 1, kernel, dilations)
            for stage in range(stages)
            for kernel, dilations in zip(sizes.block_kernels, sizes.block_dilations, strict=True)
        )
        self.conv_post = nn.Conv1d(
            channels >> stages, 1, END_KERNEL, padding=same(END_KERNEL), bias=False
        )
        if condition:
            self.cond = nn.Conv1d(condition, channels, 1)

    @property
    def blocks(self) -> int:
        """Residual blocks after each transposed convolution."""
        return len(self.resblocks) // len(self.ups)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """[batch, latent, frames] to [batch, 1, frames * product of rates], in [-1, 1]."""
        x = self.conv_pre(z)
        if condition is not None:
            x = x + self.cond(condition)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, LEAK))
            blocks = self.resblocks[stage * self.blocks : (stage + 1) * self.blocks]
            x = sum(block(x) for block in blocks) / self.blocks
        return torch.tanh(self.conv_post(functional.leaky_relu(x, LAST_LEAK)))
