"""Transformer with relative positions over [batch, channels, time], as VITS and MeloTTS have it.

Self-attention (Vaswani et al. 2017, arXiv 1706.03762) in which near steps are told apart by learnt
embeddings of their distance (Shaw, Uszkoreit, Vaswani 2018, arXiv 1803.02155), and feed-forward
networks that are convolutions (Kim, Kong, Son 2021: "Conditional Variational Autoencoder with
Adversarial Learning for End-to-End Text-to-Speech", arXiv 2106.06103). Module and key names are
those of the published checkpoints. For inference and for training; imports torch at once.
Shapes, masks and conditions are as in vits: a mask is [batch, 1, time], or None where every step
counts.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from aitwin.voice.vits import masked

WINDOW = 4
"""Steps to each side whose distance is told apart."""
SPEAKER_LAYER = 2
"""The layer before which the speaker is added to the states (MeloTTS)."""
ROWS = 256
"""Steps that hear at a time. All at once would take memory with the square of their number: half a
minute of sound 70 MB for each of several tensors."""
MASKED = -1e4
"""Score of a step that does not count. No infinity: a row without any step would become NaN."""


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [batch, channels, time]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        normed = functional.layer_norm(x.transpose(1, 2), self.gamma.shape, self.gamma, self.beta)
        return normed.transpose(1, 2)


class RelativeAttention(nn.Module):
    """Each step hears all others, and knows how far away the near ones are."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared by {heads} heads")
        self.heads = heads
        width = channels // heads
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        # Shared by the heads, as published.
        self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * WINDOW + 1, width) * width**-0.5)
        self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * WINDOW + 1, width) * width**-0.5)
        self.drop = nn.Dropout(dropout)
        for projection in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(projection.weight)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """As `x` [batch, channels, time]."""
        batch, channels, time = x.shape
        query, key, value = (
            # Of shape [batch, heads, time, width].
            projection(x).view(batch, self.heads, -1, time).transpose(2, 3)
            for projection in (self.conv_q, self.conv_k, self.conv_v)
        )
        query = query / math.sqrt(channels // self.heads)
        heard = torch.cat(
            [
                self._heard(query[:, :, start : start + ROWS], key, value, mask, start)
                for start in range(0, time, ROWS)
            ],
            2,
        )
        return self.conv_o(heard.transpose(2, 3).reshape(batch, channels, time))

    def _heard(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, start: int
    ) -> Tensor:
        """What the steps of `query`, which begin at `start`, hear; of its shape."""
        rows, time = query.shape[2], key.shape[2]
        near, inside = _near(start, rows, time, query.device)
        near = near.expand(*query.shape[:2], -1, -1)
        distance = query @ self.emb_rel_k[0].T
        scores = (query @ key.transpose(2, 3)).scatter_add(
            3, near, distance.masked_fill(~inside, 0.0)
        )
        if mask is not None:
            pairs = mask[:, :, start : start + rows, None] * mask.unsqueeze(2)
            scores = scores.masked_fill(pairs == 0, MASKED)
        weights = self.drop(scores.softmax(3))
        by_distance = weights.gather(3, near).masked_fill(~inside, 0.0)
        return weights @ value + by_distance @ self.emb_rel_v[0]


def _near(start: int, rows: int, time: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each of some steps those within WINDOW, and which exist; both [rows, 2 W + 1]."""
    steps = torch.arange(start, start + rows, device=device)
    near = steps[:, None] + torch.arange(-WINDOW, WINDOW + 1, device=device)
    return near.clamp(0, time - 1), (near >= 0) & (near < time)


class FeedForward(nn.Module):
    """Two convolutions with a rectifier between them."""

    def __init__(self, channels: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.padding = ((kernel - 1) // 2, kernel // 2)
        self.conv_1 = nn.Conv1d(channels, inner, kernel)
        self.conv_2 = nn.Conv1d(inner, channels, kernel)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """As `x` [batch, channels, time]; what is masked is neither heard nor given."""
        inner = torch.relu(self.conv_1(functional.pad(masked(x, mask), self.padding)))
        inner = self.drop(inner)
        return masked(self.conv_2(functional.pad(masked(inner, mask), self.padding)), mask)


class Transformer(nn.Module):
    """Layers of attention and feed-forward networks; the speaker joins before SPEAKER_LAYER."""

    def __init__(  # noqa: PLR0913 - every size that a checkpoint has
        self,
        channels: int,
        inner: int,
        *,
        heads: int,
        layers: int,
        kernel: int,
        dropout: float,
        speaker: int,
    ) -> None:
        super().__init__()
        if layers <= SPEAKER_LAYER:
            raise ValueError(f"more than {SPEAKER_LAYER} layers are wanted, not {layers}")
        self.spk_emb_linear = nn.Linear(speaker, channels)
        self.attn_layers = nn.ModuleList(
            RelativeAttention(channels, heads, dropout) for _ in range(layers)
        )
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.ffn_layers = nn.ModuleList(
            FeedForward(channels, inner, kernel, dropout) for _ in range(layers)
        )
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, g: Tensor) -> Tensor:
        """As `x` [batch, channels, time]; the speaker `g` is [batch, speaker, 1]."""
        x = masked(x, mask)
        layers = zip(
            self.attn_layers,
            self.norm_layers_1,
            self.ffn_layers,
            self.norm_layers_2,
            strict=True,
        )
        for number, (attention, norm_1, feed_forward, norm_2) in enumerate(layers):
            if number == SPEAKER_LAYER:
                x = masked(x + self.spk_emb_linear(g.transpose(1, 2)).transpose(1, 2), mask)
            x = norm_1(x + self.drop(attention(x, mask)))
            x = norm_2(x + self.drop(feed_forward(x, mask)))
        return masked(x, mask)
