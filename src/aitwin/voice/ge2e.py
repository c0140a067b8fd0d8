"""A second ear for who speaks: the GE2E encoder of Resemblyzer, independent of OpenVoice.

Wan, Wang, Papir, Lopez Moreno: "Generalized end-to-end loss for speaker verification", ICASSP 2018
(arXiv 1710.10467): three LSTM layers over 40 mel bands, the last state projected, rectified and
brought to length 1; a sound is the mean over stretches of 1.6 s. Weights: Resemblyzer 0.1.4
(Apache-2.0). OpenVoice's own encoder has trained the converter, so it is a lenient judge of what
the converter makes; this one has not. Does not judge likeness: see verify.

Against the package itself, on the same samples at 16 kHz: see docs/verify.md.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import checkpoint
from aitwin.voice.audio import Samples
from aitwin.voice.heard import RATE
from aitwin.voice.mels import Analysis
from aitwin.voice.openvoice import Embedding

if TYPE_CHECKING:
    from torch import Tensor

PULL = "run `twin models pull ge2e`"
GE2E_RATE = 16_000
"""Hertz that the network was trained at."""
WINDOW = 400  # samples of a spectrum: 25 ms
HOP = 160  # samples from one spectrum to the next: 10 ms
STRETCH = 160
"""Spectra that the network hears at once: 1.6 s."""
EVERY = round(GE2E_RATE / 1.3 / HOP)
"""Spectra from one stretch to the next: 1.3 stretches in a second, as in Resemblyzer."""
COVERED = 0.75
"""Share of the last stretch that must be sound, so that it counts."""
NOMINAL = -24.0
"""dBFS to which every sound is brought. The spectra are no logarithms: the same clip 10 dB softer
is only 0.88 to 0.98 like itself. Resemblyzer raises what is under -30 dBFS and leaves the rest, so
that the level counts as part of the voice; a clone and a recording seldom have the same. Of levels
from -36 to -18 this one told three people apart best (ten clips)."""
LEAST = round(0.4 * RATE)
"""Samples at heard.RATE; of less nothing can be said. The rest of a stretch would be silence."""
BATCH = 64
"""Stretches at once: 50 s of sound, 13 MB of spectra and states."""

GRAIN = 480  # samples at GE2E_RATE: 30 ms, in which pauses are looked for
PAUSE = 10**-3.5
"""Power under which a grain is a pause, of that of the loudest: -35 dB, as soft as an "f"."""
SMOOTHED = 8
"""Grains over which pause or not is averaged, and..."""
REST = 6
"""...grains of a pause that stay, all together. Both as Resemblyzer has them."""


@dataclass(frozen=True, eq=False)
class SpeakerEncoder:
    """The network, ready to listen. Safe to use from several threads: it keeps no state."""

    weights: Mapping[str, "Tensor"] = field(repr=False)
    """By their names in the file: `lstm.weight_ih_l0` [1024, 40], ..., `linear.weight`."""
    digest: str
    """SHA-256 of the tensors."""

    @classmethod
    def load(cls, path: Path) -> "SpeakerEncoder":
        """From Resemblyzer's `pretrained.pt`.

        Raises TwinError when the file is missing, damaged, of something else, or a pickle that
        wants to run code (which it does not get to do).
        """
        tensors = {
            name: tensor.float()
            for name, tensor in sorted(_read(path).items())
            # Of the training: the scale and the offset of the loss.
            if name.startswith(("lstm.", "linear."))
        }
        digest = hashlib.sha256()
        for name, tensor in tensors.items():
            array = tensor.contiguous().numpy()
            digest.update(f"{name} {array.shape}\n".encode())
            digest.update(array.tobytes())
        try:
            encoder = cls(tensors, digest.hexdigest())
            _finite(encoder.embed_stretches(np.ones((1, 2, encoder.bands), np.float32)))
        except (KeyError, IndexError, ValueError, RuntimeError):
            raise TwinError(
                f"{path} holds no GE2E encoder, or one with parts missing; {PULL}"
            ) from None
        return encoder

    @property
    def bands(self) -> int:
        """Of the mel spectra: 40."""
        return int(self.weights["lstm.weight_ih_l0"].shape[1])

    @property
    def size(self) -> int:
        """Numbers of an embedding: 256."""
        return len(self.weights["linear.bias"])

    def embed(self, samples: Samples) -> Embedding:
        """Who speaks in a sound at heard.RATE, shape [time]: float32 [size] of length 1.

        Long pauses count for nothing, in bounded memory at any length. Of silence it says nothing
        that means anything. Raises ValueError for less than LEAST samples, or samples that are no
        numbers.
        """
        import soxr

        if samples.ndim != 1 or len(samples) < LEAST:
            raise ValueError(f"one channel of at least {LEAST} samples is wanted")
        if not np.isfinite(samples).all():
            raise ValueError("samples hold a NaN or an infinity")
        sound = np.asarray(soxr.resample(samples, RATE, GE2E_RATE, quality="HQ"), np.float32)
        return self.embed_speech(levelled(without_pauses(sound)))

    def embed_speech(self, sound: Samples) -> Embedding:
        """The same of a sound at GE2E_RATE as it is: any level, any pauses."""
        total = np.zeros(self.size, np.float64)
        starts = stretches(len(sound))
        for first in range(0, len(starts), BATCH):
            some = starts[first : first + BATCH]
            begin, end = some[0], some[-1] + STRETCH
            heard = spectra(sound, begin, end, self.bands)
            grid = np.stack([heard[start - begin : start - begin + STRETCH] for start in some])
            total += self.embed_stretches(grid).sum(axis=0)
        length = float(np.linalg.norm(total))
        return np.asarray(total / (length or 1.0), np.float32)

    def embed_stretches(self, mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mel spectra [stretches, frames, bands] to vectors of length 1, [stretches, size]."""
        import torch

        with torch.inference_mode():
            hidden = self._recurrent(torch.from_numpy(mels))[1][0][-1]
            raw = torch.nn.functional.linear(
                hidden, self.weights["linear.weight"], self.weights["linear.bias"]
            ).relu()
            found = torch.nn.functional.normalize(raw, dim=1)
        return np.asarray(found.numpy(), np.float32)

    @cached_property
    def _recurrent(self) -> Any:
        import torch

        layers = sum(name.startswith("lstm.weight_hh") for name in self.weights)
        hidden = self.weights["lstm.weight_hh_l0"].shape[1]
        lstm = torch.nn.LSTM(self.bands, hidden, layers, batch_first=True)
        lstm.load_state_dict(
            {
                name.removeprefix("lstm."): tensor
                for name, tensor in self.weights.items()
                if name.startswith("lstm.")
            }
        )
        return lstm.eval()


def levelled(sound: Samples) -> Samples:
    """At NOMINAL; as it is where there is nothing."""
    power = float(np.mean(np.square(sound, dtype=np.float64)))
    if not power:
        return sound
    return np.asarray(sound * np.sqrt(10 ** (NOMINAL / 10) / power), np.float32)


def without_pauses(sound: Samples) -> Samples:
    """A sound at GE2E_RATE with no pause longer than REST grains; as it is where all is pause.

    Resemblyzer asks a detector of speech, and this the level alone: what is heard here is a voice
    in a quiet room, or one that was made.
    """
    count = len(sound) // GRAIN
    whole = sound[: count * GRAIN]
    power = np.square(whole.reshape(count, GRAIN), dtype=np.float64).mean(axis=1)
    loud = power > power.max(initial=0.0) * PAUSE
    near = np.convolve(loud, np.ones(SMOOTHED), "full")[SMOOTHED // 2 :][:count] > SMOOTHED / 2
    kept = np.convolve(near, np.ones(REST + 1), "full")[REST // 2 :][:count] > 0
    return np.asarray(whole[np.repeat(kept, GRAIN)]) if kept.any() else sound


def stretches(samples: int) -> list[int]:
    """First spectra of the stretches that are heard of so many samples at GE2E_RATE; one at least.

    The last is left out where less than COVERED of it is sound.
    """
    frames = -(-(samples + 1) // HOP)
    starts = list(range(0, max(1, frames - STRETCH + EVERY + 1), EVERY))
    covered = (samples - starts[-1] * HOP) / (STRETCH * HOP)
    return starts[:-1] if covered < COVERED and len(starts) > 1 else starts


def spectra(sound: Samples, begin: int, end: int, bands: int) -> NDArray[np.float32]:
    """Power in mel bands, shape [end - begin, bands], of frames centred on multiples of HOP.

    Around the sound there is silence.
    """
    first = begin * HOP - WINDOW // 2
    last = (end - 1) * HOP + WINDOW // 2
    piece = np.pad(sound[max(0, first) : last], (max(0, -first), max(0, last - len(sound))))
    windows = np.lib.stride_tricks.sliding_window_view(piece, WINDOW)[::HOP]
    # Periodic, as spectrograms have it.
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(windows * hann)))
    filters = Analysis(GE2E_RATE, WINDOW, HOP, bands).filters
    return np.asarray(power @ filters.T, np.float32)


def _finite(values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise ValueError("the weights hold a NaN")


def _read(path: Path) -> Mapping[str, "Tensor"]:
    """All tensors of the model, by name."""
    saved = checkpoint.unpickled(path, PULL)
    model = saved.get("model_state") if isinstance(saved, dict) else None
    if not isinstance(model, dict) or not all(
        isinstance(name, str) and checkpoint.is_plain(value) for name, value in model.items()
    ):
        raise TwinError(f"{path} is not the checkpoint of a GE2E encoder; {PULL}")
    return {name: value.detach() for name, value in model.items()}
