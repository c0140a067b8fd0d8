"""Spectra that a loss can look through: linear magnitudes and mel bands, by torch, in batches.

The numbers of an analysis come from a checkpoint's config.json. Frames lie as in VITS (Kim, Kong,
Son 2021): (window - hop) / 2 samples are mirrored at each end, so that there are time // hop of
them. For a single sound in numpy: openvoice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

POWER_FLOOR = 1e-6
"""Added to the power of every bin before the root, as in the training of the published weights."""
BAND_FLOOR = 1e-5
"""Of a band's magnitude before the logarithm: -100 dB."""


@dataclass(frozen=True)
class Analysis:
    """How sound is looked at."""

    rate: int
    """Hertz."""
    window: int
    """Samples of a frame."""
    hop: int
    """Samples from one frame to the next."""
    bands: int
    """Of mel."""
    low: float = 0.0
    """Hertz where the first band begins, and..."""
    high: float = 0.0
    """...where the last one ends; 0: at half the rate."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Analysis":
        """From the section "data" of a config.json in MeloTTS's layout.

        Raises KeyError, TypeError or ValueError when it is none.
        """
        if data["win_length"] != data["filter_length"]:
            raise ValueError("a window that is not as long as its frame is not provided for")
        return cls(
            rate=int(data["sampling_rate"]),
            window=int(data["filter_length"]),
            hop=int(data["hop_length"]),
            bands=int(data["n_mel_channels"]),
            low=float(data["mel_fmin"] or 0.0),
            high=float(data["mel_fmax"] or 0.0),
        )

    @property
    def bins(self) -> int:
        """Of a linear spectrum."""
        return self.window // 2 + 1

    def linear(self, samples: "Tensor") -> "Tensor":
        """Magnitudes of [batch, time], shape [batch, bins, time // hop]; differentiable.

        Raises ValueError for less sound than is mirrored at an end.
        """
        import torch

        margin = (self.window - self.hop) // 2
        if samples.shape[-1] <= margin:
            raise ValueError(f"more than {margin} samples are wanted")
        padded = torch.nn.functional.pad(samples[:, None], (margin, margin), mode="reflect")[:, 0]
        spectrum = torch.stft(
            padded,
            self.window,
            self.hop,
            window=torch.hann_window(self.window, device=samples.device),
            center=False,
            return_complex=True,
        )
        return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + POWER_FLOOR)

    def mel(self, linear: "Tensor") -> "Tensor":
        """Log magnitudes by band, shape [batch, bands, frames]; differentiable."""
        import torch

        filters = torch.from_numpy(self.filters).to(linear.device)
        return torch.log(torch.clamp(filters @ linear, min=BAND_FLOOR))

    @cached_property
    def filters(self) -> NDArray[np.float32]:
        """Triangles of equal area on Slaney's mel scale, shape [bands, bins].

        The scale of his Auditory Toolbox (1998): linear below 1 kHz, logarithmic above.
        """
        linear, knee, step = 200 / 3, 1_000.0, np.log(6.4) / 27

        def mel(hertz: float) -> float:
            above = knee / linear + np.log(max(hertz, knee) / knee) / step
            return float(hertz / linear if hertz < knee else above)

        mels = np.linspace(mel(self.low), mel(self.high or self.rate / 2), self.bands + 2)
        edges = np.where(
            mels < knee / linear, mels * linear, knee * np.exp(step * (mels - knee / linear))
        )
        ramps = edges[:, None] - np.linspace(0, self.rate / 2, self.bins)
        widths = np.diff(edges)[:, None]
        triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]))
        return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None], np.float32)
