"""An inaudible mark in synthesised speech that says it is synthesised; and finding it again.

The network is PerTh ("perceptual threshold", Resemble AI, MIT): its weights lie in the package
resemble-perth, whose own code wants librosa and torchaudio and is not imported. It raises and
lowers the spectrum below 2 kHz by up to 1.5 dB, where the speech itself masks the change. The mark
carries no message: it is there or not. Says nothing about who made a sound that bears none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import checkpoint
from aitwin.voice.audio import Samples, Utterance

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "perth_net/pretrained/implicit/perth_net_250000.pth.tar"
REMEDY = "run `pip install 'aitwin[clone]'`"
REINSTALL = "run `pip install --force-reinstall --no-deps resemble-perth`"
RATE = 32_000  # Hertz
WINDOW, HOP = 2048, 320  # samples
FLOOR = 1e-9
"""The least magnitude that is told from nothing: -180 dB, which the network sees as 0."""
RANGE = 195.0
"""Decibels from FLOOR to what the network sees as 1."""
QUIET = 0.05
"""Frames with less than this share of the loudest one's levels, summed, are left as they are."""
STRENGTH = 0.75
"""Of the change that the network proposes. Measured on 25 clips of 0.7 to 6 s: at 1 the overall
DNSMOS falls by 0.09, at 0.7 by 0.06, and the mark is found in all of them, as MP3 and at 8 kHz too;
at 0.5 it is lost in some."""
STRETCHES = (1.25, 1.0, 0.75)
"""At these three speeds the mark is looked for."""
SURE = 0.9
"""Confidence from which a sound counts as marked. Of real speech without a mark, 2 of 41 stretches
of 0.7 s and none of 20 from 1.5 s came above it."""
PART = 30.0  # seconds that pass the network at a time
REACH = 24
"""Frames on either side of a part that decide on its edges: 15 that the layers see, and as many as
a window takes, twice."""
LOOK = 2.0
"""Seconds of a file that are looked at in one go, each going on from the middle of the last: a mark
that fills a half of it is not sure. Of speech without a mark, none of 58 stretches came above 0.7;
with it, all above 0.998."""
LEAST = 1.5  # seconds of which something can be said


@dataclass(frozen=True)
class Found:
    """What a search of a file came to."""

    seconds: float
    """How long the sound is."""
    marked: float
    """Seconds of it that bear the mark, to a second."""
    confidence: float
    """Of the stretch where it is surest, 0 to 1."""

    @property
    def is_marked(self) -> bool:
        """Whether any stretch bears the mark."""
        return self.confidence >= SURE


@dataclass(frozen=True, eq=False)
class Watermark:
    """The network, ready to mark and to look. Safe to use from several threads."""

    path: Path
    _turn: Lock = field(default_factory=Lock, init=False, repr=False)

    @classmethod
    def load(cls) -> "Watermark":
        """From the installed package; the weights are read when first used.

        Raises TwinError with what is `lacking`.
        """
        spec = find_spec("perth")
        if (why := lacking()) or spec is None or spec.origin is None:
            raise TwinError(why)
        return cls(Path(spec.origin).parent / WEIGHTS)

    def apply(self, utterance: Utterance) -> Utterance:
        """The same sound with the mark in it: same length, above 2 kHz untouched.

        A silent or empty one is handed back as it is. Raises TwinError when the weights are
        damaged.
        """
        import soxr

        from aitwin.voice import audio

        if not utterance.samples.any():
            return utterance
        heard = audio.resample(utterance, RATE).samples
        # Only what changes is computed at the network's rate, so that nothing else is resampled.
        change = soxr.resample(self._change(heard), RATE, utterance.sample_rate, quality="HQ")
        marked = utterance.samples.copy()
        length = min(len(marked), len(change))
        marked[:length] += change[:length]
        # A mark never makes a sound clip that did not.
        highest, allowed = np.abs(marked).max(), max(1.0, np.abs(utterance.samples).max())
        if highest > allowed:
            marked *= allowed / highest
        return Utterance(marked, utterance.sample_rate, utterance.text)

    def confidence(self, samples: Samples, rate: int) -> float:
        """How sure it is that a mark is there, from 0 to 1 (see SURE). Silence bears none."""
        import torch

        from aitwin.voice import audio

        heard = audio.resample(Utterance(samples, rate), RATE).samples
        if len(heard) < WINDOW or not heard.any():
            return 0.0
        with torch.inference_mode():
            found, sure = [], []
            levels = _levels(_spectrum(torch.from_numpy(heard)))
            mask = _loud(levels)
            low = levels[: self._bins]
            for stretch, layers in zip(STRETCHES, ("slow", "normal", "fast"), strict=True):
                size = int(low.shape[1] * stretch)
                seen = _stretched(low, size, "linear") if stretch != 1 else low
                weight = _stretched(mask[None], size, "nearest")[0] if stretch != 1 else mask
                answer = self._layers(f"decoder.{layers}_layers", seen)
                answer = (answer * weight).sum(1) / weight.sum()
                sure.append(answer[0])
                found.append(answer[1])
            share = torch.softmax(torch.stack(sure), 0)
            return float((torch.stack(found) * share).sum().clip(0, 1))

    def search(self, path: Path) -> "Found":
        """Look for the mark in a file of any format, a stretch of LOOK at a time.

        Raises TwinError when the file is missing, damaged or no sound.
        """
        from aitwin.voice.sound_file import Recording

        recording = Recording(path)
        rate = recording.info.sample_rate
        half = round(LOOK / 2 * rate)
        before: NDArray[np.float32] | None = None
        frames, strongest, seen = 0, 0.0, [False]
        for block in recording.blocks(half / rate):
            frames += len(block)
            both = block if before is None else np.concatenate([before, block])
            before = block
            if len(both) < LEAST * rate and frames > half:
                break  # what is left at the end says nothing
            # Each channel, for one may hold another's inverse, and their mean nothing.
            sure = max(self.confidence(np.ascontiguousarray(channel), rate) for channel in both.T)
            strongest = max(strongest, sure)
            seen[-1] = seen[-1] or sure >= SURE
            seen.append(sure >= SURE)
        seconds = frames / rate
        return Found(
            seconds, min(seconds, sum(seen[: -(-frames // half)]) * half / rate), strongest
        )

    def _change(self, heard: Samples) -> Samples:
        """What is to be added at RATE, shape [time]."""
        import torch

        kept, reach = round(PART * RATE / HOP) * HOP, REACH * HOP
        parts = []
        with torch.inference_mode():
            for start in range(0, len(heard), kept):
                first, last = max(0, start - reach), min(len(heard), start + kept + reach)
                part = torch.from_numpy(heard[first:last])
                spectrum = _spectrum(part)
                levels = _levels(spectrum)
                added = self._layers("encoder.layers", levels[: self._bins]) * _loud(levels)
                factor = STRENGTH * (torch.pow(10.0, added * (RANGE / 20)) - 1)
                spectrum[: self._bins] *= factor
                spectrum[self._bins :] = 0
                parts.append(_sound(spectrum, len(part))[start - first :][:kept])
        return np.asarray(torch.cat(parts).numpy(), np.float32)

    def _layers(self, prefix: str, seen: "Tensor") -> "Tensor":
        """Convolutions over time with leaky rectifiers between, shape [channels, frames]."""
        from torch.nn import functional

        count = sum(name.startswith(prefix) and name.endswith("bias") for name in self._weights)
        for layer in range(count):
            weight = self._weights[f"{prefix}.{layer}.conv.weight"]
            bias = self._weights[f"{prefix}.{layer}.conv.bias"]
            seen = functional.conv1d(seen[None], weight, bias, padding=weight.shape[2] // 2)[0]
            if layer < count - 1:
                seen = functional.leaky_relu(seen)
        return seen

    @property
    def _bins(self) -> int:
        """Of the spectrum, from the lowest, that bear the mark: 128."""
        return int(self._weights["encoder.layers.0.conv.weight"].shape[1])

    @property
    def _weights(self) -> "Mapping[str, Tensor]":
        with self._turn:
            return self._opened

    @cached_property
    def _opened(self) -> "Mapping[str, Tensor]":
        tensors = checkpoint.read(self.path, REINSTALL)
        if not {"encoder.layers.0.conv.weight", "decoder.slow_layers.0.conv.weight"} <= {*tensors}:
            raise TwinError(f"{self.path} holds no watermark; {REINSTALL}")
        return tensors


def lacking() -> str:
    """Why nothing can be marked here, and what to do about it; empty when it can."""
    perth = find_spec("perth")
    if perth is None or perth.origin is None:
        return f"the watermark (package resemble-perth) is not installed; {REMEDY}"
    if find_spec("torch") is None:
        return f"the watermark wants PyTorch, which is not installed; {REMEDY}"
    return ""


def _spectrum(samples: "Tensor") -> "Tensor":
    """Complex, shape [1025, frames]."""
    import torch

    # A sound shorter than half a window cannot be mirrored at its ends: silence instead.
    mode = "reflect" if len(samples) > WINDOW // 2 else "constant"
    window = torch.hann_window(WINDOW)
    return torch.stft(samples, WINDOW, HOP, window=window, pad_mode=mode, return_complex=True)


def _sound(spectrum: "Tensor", length: int) -> "Tensor":
    import torch

    return torch.istft(spectrum, WINDOW, HOP, window=torch.hann_window(WINDOW), length=length)


def _levels(spectrum: "Tensor") -> "Tensor":
    """Decibels above FLOOR, as a share of RANGE."""
    import torch

    floor = 20 * np.log10(FLOOR)
    return (20 * torch.log10(spectrum.abs().clip(min=FLOOR)) - floor) / RANGE


def _loud(levels: "Tensor") -> "Tensor":
    """1 for frames that are not QUIET, shape [frames]."""
    total = levels.sum(0)
    return (total > total.max() * QUIET).float()


def _stretched(seen: "Tensor", size: int, mode: str) -> "Tensor":
    """Shape [channels, size]."""
    from torch.nn import functional

    aligned = True if mode == "linear" else None
    return functional.interpolate(seen[None], size=size, mode=mode, align_corners=aligned)[0]
