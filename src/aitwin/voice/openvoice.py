"""OpenVoice V2's reference encoder: a stretch of speech to the numbers that say who speaks.

Written from the facts in the paper (Qin, Zhao, Yu, Sun: "OpenVoice: Versatile Instant Voice
Cloning", 2023, arXiv 2312.01479) and from the names and shapes of the published weights (MIT).
Every size follows from the tensors. Does not pool stretches or judge likeness: see speakers.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import checkpoint
from aitwin.voice.audio import Samples

if TYPE_CHECKING:
    from torch import Tensor

Embedding: TypeAlias = NDArray[np.float32]
"""Tone colour, shape [256] with the official weights. Its length means something to the converter
(about 10 to 12), so it is kept; likeness is the angle alone."""

PREFIX = "ref_enc."
"""How the encoder's tensors are called among those of the whole converter."""
PULL = "run `twin models pull openvoice-v2`"
STRIDE = 2
"""Of every convolution, in time and in frequency, with a padding of 1."""
CHUNK = 1024
"""Frames (12 s) that pass the convolutions at a time: some 50 MB, however long the sound."""


@dataclass(frozen=True, eq=False)
class ReferenceEncoder:
    """The network, ready to listen. Safe to use from several threads: it keeps no state."""

    weights: Mapping[str, "Tensor"] = field(repr=False)
    """By name, without PREFIX; weight norm dissolved: `convs.N.weight` [out, in, 3, 3]."""
    digest: str
    """SHA-256 of the tensors as published: the same for a .pth and a .safetensors of them."""

    @classmethod
    def load(cls, path: Path) -> "ReferenceEncoder":
        """From the official converter's `checkpoint.pth`, or a .safetensors with its names.

        Raises TwinError when the file is missing, damaged, of something else, or a pickle that
        wants to run code (which it does not get to do).
        """
        tensors = checkpoint.read(path, PULL)
        found = {
            name.removeprefix(PREFIX): tensor
            for name, tensor in sorted(tensors.items())
            if name.startswith(PREFIX)
        }
        if not all(checkpoint.is_plain(tensor) for tensor in found.values()):
            raise TwinError(f"{path} holds no reference encoder of OpenVoice V2; {PULL}")
        digest = hashlib.sha256()
        for name, tensor in found.items():
            array = tensor.float().contiguous().numpy()
            digest.update(f"{name} {array.shape}\n".encode())
            digest.update(array.tobytes())
        try:
            encoder = cls(_ready(found), digest.hexdigest())
            if not np.isfinite(encoder.embed(np.zeros(encoder.window, np.float32))).all():
                raise ValueError("the weights hold a NaN")
        except (KeyError, IndexError, ValueError, RuntimeError):
            raise TwinError(
                f"{path} holds no reference encoder of OpenVoice V2, or one with parts missing; "
                f"{PULL}"
            ) from None
        return encoder

    @property
    def window(self) -> int:
        """Samples of a frame, and the fewest that can be embedded: 1,024."""
        return 2 * (len(self.weights["layernorm.weight"]) - 1)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next: 256."""
        return self.window // 4

    @property
    def size(self) -> int:
        """Numbers of an embedding: 256."""
        return len(self.weights["proj.bias"])

    def embed(self, samples: Samples) -> Embedding:
        """Who speaks in a stretch at heard.RATE, shape [time]: float32 [size].

        What the network says of the stretch as a whole, in bounded memory at any length. Of less
        than 1.5 s it says little, and of silence nothing that means anything: see speakers.
        Raises ValueError for less than `window` samples, or samples that are no numbers.
        """
        import torch

        if samples.ndim != 1 or len(samples) < self.window:
            raise ValueError(f"one channel of at least {self.window} samples is wanted")
        if not np.isfinite(samples).all():
            raise ValueError("samples hold a NaN or an infinity")
        with torch.inference_mode():
            steps = torch.cat(list(self._convolved(samples)))
            hidden = self._recurrent(steps[None])[1][0, 0]
            answer = torch.nn.functional.linear(
                hidden, self.weights["proj.weight"], self.weights["proj.bias"]
            )
        return np.asarray(answer.numpy(), np.float32)

    def spectrogram(self, samples: Samples) -> NDArray[np.float32]:
        """Linear magnitudes, shape [window // 2 + 1, len(samples) // hop].

        The frames lie as in VITS: (window - hop) / 2 samples are mirrored at each end.
        """
        import torch

        from aitwin.voice import vits

        with torch.inference_mode():
            sound = vits.mirrored(samples, self.window, self.hop)
            return np.asarray(vits.magnitudes(sound, self.window, self.hop).T.numpy())

    def _convolved(self, samples: Samples) -> Iterator["Tensor"]:
        """What the recurrent layer hears, shape [steps, features], a chunk at a time.

        The same as of the whole sound at once: each chunk is heard with so many frames around it
        that the padding at its own ends reaches none of the steps that are kept.
        """
        from torch.nn import functional

        from aitwin.voice import vits

        count = self._layers
        grain = STRIDE**count  # frames to a step
        kept = max(1, CHUNK // grain) * grain
        sound = vits.mirrored(samples, self.window, self.hop)
        total = len(samples) // self.hop
        for start in range(0, total, kept):
            stop = min(start + kept, total)
            # A step sees (STRIDE ** layers - 1) frames to each side: less than one grain.
            first, last = max(0, start - grain), min(stop + grain, total)
            part = sound[first * self.hop : (last - 1) * self.hop + self.window]
            heard = functional.layer_norm(
                vits.magnitudes(part, self.window, self.hop)[None, None],
                (self.window // 2 + 1,),
                self.weights["layernorm.weight"],
                self.weights["layernorm.bias"],
            )
            for layer in range(count):
                heard = functional.relu_(
                    functional.conv2d(
                        heard,
                        self.weights[f"convs.{layer}.weight"],
                        self.weights[f"convs.{layer}.bias"],
                        stride=STRIDE,
                        padding=1,
                    )
                )
            steps = heard[0].transpose(0, 1).flatten(1)
            skipped = (start - first) // grain
            yield steps[skipped : skipped + -(-(stop - start) // grain)]

    @property
    def _layers(self) -> int:
        return sum(name.startswith("convs.") and name.endswith(".bias") for name in self.weights)

    @cached_property
    def _recurrent(self) -> Any:
        import torch

        hidden, heard = self.weights["gru.weight_hh_l0"], self.weights["gru.weight_ih_l0"]
        layer = torch.nn.GRU(heard.shape[1], hidden.shape[1], batch_first=True)
        layer.load_state_dict(
            {
                name.removeprefix("gru."): tensor
                for name, tensor in self.weights.items()
                if name.startswith("gru.")
            }
        )
        return layer.eval()


def speakers(directory: Path, size: int | None = None) -> dict[str, Embedding]:
    """The embeddings of MeloTTS's own voices, by file name: "en-us", "en-br", ...

    `size` is how many numbers the encoder gives that they are to be compared with, if it is known;
    all must have as many. Raises TwinError when there is none, or one of them is damaged.
    """
    found = {}
    for path in sorted(directory.glob("*.pth")):
        tensor = checkpoint.unpickled(path, PULL)
        if (
            not checkpoint.is_plain(tensor)
            or not tensor.numel()
            or not bool(tensor.isfinite().all())
            or tensor.numel() != (size := size or tensor.numel())
        ):
            raise TwinError(f"{path} holds no embedding of a speaker; {PULL}")
        found[path.stem] = np.array(tensor.detach().float().numpy()).ravel()
    if not found:
        raise TwinError(f"{directory} holds no base speakers; {PULL}")
    return found


def _ready(tensors: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Weight norm multiplied out, in memory of its own: the file may be mapped, and change."""
    import torch

    # Channels last takes half the time of torch's own order. By `to`: `contiguous` leaves the
    # first layer, which has one channel, as it is, and that one alone takes most of the time.
    return {
        name: tensor.float().to(
            memory_format=torch.channels_last if tensor.ndim == 4 else torch.contiguous_format,
            copy=True,
        )
        for name, tensor in checkpoint.fused(tensors).items()
    }
