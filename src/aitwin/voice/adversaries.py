"""Adversaries: networks that learn to tell made speech from recorded, so that it gets better.

Those of HiFi-GAN (Kong, Kim, Bae 2020, arXiv 2010.05646) in the arrangement of VITS (Kim, Kong, Son
2021, arXiv 2106.06103): one that looks at the samples as they are, and five that look at every
second, third, fifth... of them. Losses by least squares (Mao et al. 2017). For training alone:
nothing that speaks needs them. Imports torch: import it where it is used.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

PERIODS = (2, 3, 5, 7, 11)
"""Primes, so that no two look at the same samples."""
NARROWER = (1, 2, 4, 8, 16)
"""By how much the channels can be divided."""
SLOPE = 0.1
"""Of the leaky rectifiers."""

Verdict: TypeAlias = tuple[Tensor, list[Tensor]]
"""Scores, shape [batch, places] (1: recorded, 0: made), and what every layer saw on the way."""


class ScaleAdversary(nn.Module):
    """Looks at all samples; each place sees some 0.1 s at 44.1 kHz."""

    def __init__(self, narrower: int = 1) -> None:
        super().__init__()
        # Channels, width, stride, groups: HiFi-GAN's own table.
        table = (
            *((16, 15, 1, 1), (64, 41, 4, 4), (256, 41, 4, 16), (1024, 41, 4, 64)),
            *((1024, 41, 4, 256), (1024, 5, 1, 1)),
        )
        layers, before = [], 1
        for channels, width, stride, groups in table:
            wide = channels // narrower
            layers.append(
                weight_norm(
                    nn.Conv1d(
                        *(before, wide, width, stride),
                        groups=max(1, groups // narrower),
                        padding=(width - 1) // 2,
                    )
                )
            )
            before = wide
        self.convs = nn.ModuleList(layers)
        self.conv_post = weight_norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, samples: Tensor) -> Verdict:
        """What it thinks of [batch, 1, time]."""
        seen = []
        for layer in self.convs:
            samples = leaky_relu(layer(samples), SLOPE)
            seen.append(samples)
        samples = self.conv_post(samples)
        return samples.flatten(1), [*seen, samples]


class PeriodAdversary(nn.Module):
    """Looks at samples that are one period apart."""

    def __init__(self, period: int, narrower: int = 1) -> None:
        super().__init__()
        self.period = period
        layers, before = [], 1
        for channels, stride in ((32, 3), (128, 3), (512, 3), (1024, 3), (1024, 1)):
            wide = channels // narrower
            layers.append(weight_norm(nn.Conv2d(before, wide, (5, 1), (stride, 1), padding=(2, 0))))
            before = wide
        self.convs = nn.ModuleList(layers)
        self.conv_post = weight_norm(nn.Conv2d(before, 1, (3, 1), padding=(1, 0)))

    def forward(self, samples: Tensor) -> Verdict:
        """What it thinks of [batch, 1, time]."""
        batch, channels, time = samples.shape
        samples = pad(samples, (0, -time % self.period), mode="reflect")
        seen = []
        samples = samples.view(batch, channels, -1, self.period)
        for layer in self.convs:
            samples = leaky_relu(layer(samples), SLOPE)
            seen.append(samples)
        samples = self.conv_post(samples)
        return samples.flatten(1), [*seen, samples]


class Adversaries(nn.Module):
    """All of them: 46.7 million parameters, a share 1 / `narrower`² of that in tests.

    Raises ValueError for a `narrower` that is not in NARROWER.
    """

    def __init__(self, narrower: int = 1) -> None:
        super().__init__()
        if narrower not in NARROWER:
            raise ValueError(f"narrower is one of {NARROWER}")
        self.discriminators = nn.ModuleList(
            [ScaleAdversary(narrower), *(PeriodAdversary(each, narrower) for each in PERIODS)]
        )

    def forward(self, samples: Tensor) -> list[Verdict]:
        """What each thinks of [batch, 1, time]."""
        return [each(samples) for each in self.discriminators]


def to_tell_apart(recorded: Sequence[Verdict], made: Sequence[Verdict]) -> Tensor:
    """The adversaries' own loss: 0 when they know all recorded speech from all that was made."""
    losses = [
        ((1 - real) ** 2).mean() + (fake**2).mean()
        for (real, _), (fake, _) in zip(recorded, made, strict=True)
    ]
    return torch.stack(losses).sum()


def to_pass(made: Sequence[Verdict]) -> Tensor:
    """The speaker's loss: 0 when all of them take what it made for recorded."""
    return torch.stack([((1 - fake) ** 2).mean() for fake, _ in made]).sum()


def to_look_alike(recorded: Sequence[Verdict], made: Sequence[Verdict]) -> Tensor:
    """Feature matching (Larsen et al. 2016): how differently their layers see the two.

    The recorded side is a goal and gets no gradient.
    """
    losses = [
        (real.detach() - fake).abs().mean()
        for (_, reals), (_, fakes) in zip(recorded, made, strict=True)
        for real, fake in zip(reals, fakes, strict=True)
    ]
    return 2 * torch.stack(losses).sum()
