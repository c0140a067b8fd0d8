"""How long each sound lasts: one network that guesses, and one that draws.

Kim, Kong, Son 2021 (VITS, arXiv 2106.06103), appendix A and B: `Duration` gives the mean of the
logarithm, `StochasticDuration` is a flow from noise to logarithms of durations, whose couplings are
the splines of Durkan et al. 2019 ("Neural Spline Flows", arXiv 1906.04032). Module and key names
are those of the published checkpoints. For inference and for training; imports torch at once.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from aitwin.voice.attention import ChannelNorm

BINS = 10
"""Pieces of a spline."""
BOUND = 5.0
"""A spline is the identity outside [-BOUND, BOUND]."""
SMALLEST = 1e-3
"""Width and height of a piece, as a share of the whole, and slope at a knot, at least."""
SHORTEST = 1e-5
"""Frames whose logarithm is still taken."""
FLOWS = 4
CONVOLUTIONS = 3
KERNEL = 3


def spline(x: Tensor, shape: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
    """A monotonic rational-quadratic spline through (-BOUND, -BOUND) and (BOUND, BOUND).

    `x` of any shape, `shape` [*x.shape, 3 BINS - 1]: logits of the widths and of the heights, and
    what softplus makes slopes of, for the knots inside. Answers the values, or with `inverse` the
    arguments that have the values `x`, and the logarithm of the slope of what was done.
    """
    knots_x, width = _knots(shape[..., :BINS])
    knots_y, height = _knots(shape[..., BINS : 2 * BINS])
    # The slope at both ends is that of the identity outside.
    slope = functional.pad(SMALLEST + functional.softplus(shape[..., 2 * BINS :]), (1, 1), value=1)
    inside = x.clamp(-BOUND, BOUND)
    knots = knots_y if inverse else knots_x
    piece = (inside[..., None] >= knots[..., 1:-1]).sum(-1, keepdim=True)
    left, below, w, h, start = (
        part.gather(-1, piece).squeeze(-1) for part in (knots_x, knots_y, width, height, slope)
    )
    end = slope.gather(-1, piece + 1).squeeze(-1)
    steep = h / w
    bend = start + end - 2 * steep
    if inverse:
        up = inside - below
        a = up * bend + h * (steep - start)
        b = h * start - up * bend
        c = -steep * up
        # The stable form of the root; rounding may bring what is under it below zero.
        share = 2 * c / (-b - (b.square() - 4 * a * c).clamp_min(0).sqrt())
    else:
        share = (inside - left) / w
    mixed = share * (1 - share)
    under = steep + bend * mixed
    rise = end * share.square() + 2 * steep * mixed + start * (1 - share).square()
    log_slope = 2 * steep.log() + rise.log() - 2 * under.log()
    if inverse:
        moved, log_slope = share * w + left, -log_slope
    else:
        moved = below + h * (steep * share.square() + start * mixed) / under
    identity = (x < -BOUND) | (x > BOUND)
    return torch.where(identity, x, moved), log_slope.masked_fill(identity, 0.0)


def _knots(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Knots from -BOUND to BOUND, [..., BINS + 1], and what lies between them, [..., BINS]."""
    share = SMALLEST + (1 - SMALLEST * BINS) * logits.softmax(-1)
    inner = 2 * BOUND * share.cumsum(-1)[..., :-1] - BOUND
    ends = torch.full_like(inner[..., :1], BOUND)
    knots = torch.cat([-ends, inner, ends], -1)
    return knots, knots.diff(dim=-1)


class SeparableConvolutions(nn.Module):
    """Dilated convolutions, each channel by itself and then all together, added to their input."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.convs_sep = nn.ModuleList(
            nn.Conv1d(
                channels,
                channels,
                KERNEL,
                groups=channels,
                dilation=KERNEL**layer,
                padding=(KERNEL - 1) * KERNEL**layer // 2,
            )
            for layer in range(CONVOLUTIONS)
        )
        self.convs_1x1 = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in self.convs_sep)
        self.norms_1 = nn.ModuleList(ChannelNorm(channels) for _ in self.convs_sep)
        self.norms_2 = nn.ModuleList(ChannelNorm(channels) for _ in self.convs_sep)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, g: Tensor | None = None) -> Tensor:
        """As `x` [batch, channels, time]; `g`, of its shape, is added to it first."""
        if g is not None:
            x = x + g
        layers = zip(self.convs_sep, self.convs_1x1, self.norms_1, self.norms_2, strict=True)
        for alone, together, norm_1, norm_2 in layers:
            y = functional.gelu(norm_1(alone(x * mask)))
            y = functional.gelu(norm_2(together(y)))
            x = x + self.drop(y)
        return x * mask


class Scaling(nn.Module):
    """A flow that moves and stretches both channels."""

    def __init__(self) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.zeros(2, 1))
        self.logs = nn.Parameter(torch.zeros(2, 1))

    def forward(
        self, x: Tensor, mask: Tensor, g: Tensor, *, reverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`x` [batch, 2, time] to the same shape, and the log-determinant [batch]."""
        if reverse:
            return (x - self.m) * torch.exp(-self.logs) * mask, -(self.logs * mask).sum((1, 2))
        return (self.m + torch.exp(self.logs) * x) * mask, (self.logs * mask).sum((1, 2))


class SplineCoupling(nn.Module):
    """A flow that bends the second channel by a spline which the first one and `g` choose."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(1, channels, 1)
        self.convs = SeparableConvolutions(channels, dropout=0.0)
        self.proj = nn.Conv1d(channels, 3 * BINS - 1, 1)
        # Starts as the identity, or nearly so.
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(
        self, x: Tensor, mask: Tensor, g: Tensor, *, reverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`x` [batch, 2, time] to the same shape, and the log-determinant [batch]."""
        still, moved = x.chunk(2, 1)
        shape = self.proj(self.convs(self.pre(still), mask, g)) * mask
        widths, heights, slopes = shape.transpose(1, 2).split([BINS, BINS, BINS - 1], -1)
        root = math.sqrt(self.pre.out_channels)
        chosen = torch.cat([widths / root, heights / root, slopes], -1)
        moved, log_slope = spline(moved, chosen.unsqueeze(1), inverse=reverse)
        return torch.cat([still, moved], 1) * mask, (log_slope * mask).sum((1, 2))


class Flip(nn.Module):
    """The channels in reverse order, so that the next coupling bends the other half."""

    def forward(
        self, x: Tensor, mask: Tensor, g: Tensor, *, reverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`x` [batch, channels, time] to the same shape; the log-determinant is 0."""
        return x.flip(1), x.new_zeros(len(x))


class StochasticDuration(nn.Module):
    """Durations drawn from noise, as people speak; or how likely given durations are."""

    def __init__(self, channels: int, dropout: float, speaker: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(channels, channels, 1)
        self.convs = SeparableConvolutions(channels, dropout)
        self.proj = nn.Conv1d(channels, channels, 1)
        self.cond = nn.Conv1d(speaker, channels, 1)
        self.flows = _flows(channels)
        # Only for training: these bring durations, which are whole numbers, among the real ones.
        self.post_pre = nn.Conv1d(1, channels, 1)
        self.post_convs = SeparableConvolutions(channels, dropout)
        self.post_proj = nn.Conv1d(channels, channels, 1)
        self.post_flows = _flows(channels)

    def forward(self, x: Tensor, mask: Tensor, g: Tensor, noise: Tensor) -> Tensor:
        """Logarithms of durations in frames, [batch, 1, time].

        `x` [batch, channels, time] are the states of the text, `mask` [batch, 1, time], `g`
        [batch, speaker, 1], and `noise` [batch, 2, time] is normal, scaled to the wished variety.
        """
        heard = self._heard(x, mask, g)
        scaling, _, *rest = self.flows  # the first coupling touches only what is thrown away
        z = noise
        for flow in [*reversed(rest), scaling]:
            z, _ = flow(z, mask, heard, reverse=True)
        return z[:, :1]

    def nll(self, x: Tensor, mask: Tensor, durations: Tensor, g: Tensor, noise: Tensor) -> Tensor:
        """Bound of the negative log-likelihood of whole frames `durations` [batch, 1, time].

        Variational dequantisation and data augmentation, in the paper's words: `noise`
        [batch, 2, time] is normal, and one half of it becomes a fraction that is taken from each
        duration. Answers [batch], a sum over time.
        """
        heard = self._heard(x, mask, g)
        known = self.post_proj(self.post_convs(self.post_pre(durations), mask)) * mask
        drawn = noise * mask
        z, posterior = drawn, -_log_normal(drawn, mask)
        for flow in self.post_flows:
            z, log_determinant = flow(z, mask, heard + known)
            posterior = posterior + log_determinant
        taken, more = z.chunk(2, 1)
        squashed = functional.logsigmoid(taken) + functional.logsigmoid(-taken)
        posterior = posterior + (squashed * mask).sum((1, 2))
        real = (durations - taken.sigmoid()) * mask
        logarithm = real.clamp_min(SHORTEST).log() * mask
        z, prior = torch.cat([logarithm, more], 1), -logarithm.sum((1, 2))
        for flow in self.flows:
            z, log_determinant = flow(z, mask, heard)
            prior = prior + log_determinant
        return -(_log_normal(z, mask) + prior + posterior)

    def _heard(self, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        # Detached: durations are learnt from the states of the text, and do not shape them.
        heard = self.pre(x.detach()) + self.cond(g.detach())
        return self.proj(self.convs(heard, mask)) * mask


def _flows(channels: int) -> nn.ModuleList:
    couplings = [part for _ in range(FLOWS) for part in (SplineCoupling(channels), Flip())]
    return nn.ModuleList([Scaling(), *couplings])


def _log_normal(x: Tensor, mask: Tensor) -> Tensor:
    """Log-density of `x` under the normal distribution, summed to [batch]."""
    return (-0.5 * (math.log(2 * math.pi) + x.square()) * mask).sum((1, 2))


class Duration(nn.Module):
    """The logarithm of each duration, always the same for the same text."""

    def __init__(self, channels: int, inner: int, dropout: float, speaker: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, inner, KERNEL, padding=KERNEL // 2)
        self.norm_1 = ChannelNorm(inner)
        self.conv_2 = nn.Conv1d(inner, inner, KERNEL, padding=KERNEL // 2)
        self.norm_2 = ChannelNorm(inner)
        self.proj = nn.Conv1d(inner, 1, 1)
        self.cond = nn.Conv1d(speaker, channels, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        """[batch, 1, time] of `x` [batch, channels, time] and the speaker `g`."""
        x = x.detach() + self.cond(g.detach())
        x = self.drop(self.norm_1(torch.relu(self.conv_1(x * mask))))
        x = self.drop(self.norm_2(torch.relu(self.conv_2(x * mask))))
        return self.proj(x * mask) * mask
