"""OpenVoice V2's tone colour converter: a sentence in one voice to the same sentence in another.

Written from the facts in the paper (Qin, Zhao, Yu, Sun: "OpenVoice: Versatile Instant Voice
Cloning", 2023, arXiv 2312.01479) and the names and shapes of the published weights (MIT). Words,
accent and rhythm stay; only the tone colour moves from the source's embedding to the target's.
Does not make embeddings (see openvoice), and does not speak (see converted).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import checkpoint as checkpoints
from aitwin.voice import configs
from aitwin.voice import placing as placings
from aitwin.voice.audio import Samples
from aitwin.voice.decoding import Decoding, Span
from aitwin.voice.openvoice import PREFIX, PULL, Embedding
from aitwin.voice.placing import Placing, Trial

if TYPE_CHECKING:
    from torch import Tensor, nn

TAU = 0.3
"""How much of the posterior's spread is drawn: the official setting."""
WORK = "openvoice-v2"
"""Its name among the notes of placing."""
TRIAL = 0.4
"""Seconds of sound by which placings are compared: each is tried four times, and an owner waits."""
SPAN = 1024
"""Frames that pass the encoder and the flow at a time, 12 s: some 30 MB, however long the sound."""


@dataclass(frozen=True)
class Sizes:
    """The numbers of config.json that the sound depends on."""

    rate: int  # Hertz
    window: int  # samples of a frame, and of its Fourier transform
    hop: int  # samples from one frame to the next
    latent: int
    hidden: int
    embedding: int
    blind: bool
    """Whether only the flow is told who speaks ("zero_g": V2)."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Sizes":
        """Raises KeyError, TypeError or ValueError for a config of something else."""
        data, model = config["data"], config["model"]
        blind = model.get("zero_g", False)
        if not isinstance(blind, bool):
            raise ValueError("zero_g is true or false")
        sizes = cls(
            rate=configs.whole(data, "sampling_rate"),
            window=configs.whole(data, "filter_length"),
            hop=configs.whole(data, "hop_length"),
            latent=configs.whole(model, "inter_channels"),
            hidden=configs.whole(model, "hidden_channels"),
            embedding=configs.whole(model, "gin_channels"),
            blind=blind,
        )
        if data["win_length"] != sizes.window:
            raise ValueError("frames that are shorter than their transform are not known")
        if sizes.window < sizes.hop or sizes.window % 2 or sizes.hop % 2:
            raise ValueError("frames must reach from one to the next, and lie evenly around it")
        return sizes


@dataclass(frozen=True, eq=False)
class Converter:
    """The networks, ready. Safe to use from several threads: it keeps no state."""

    sizes: Sizes
    placing: Placing
    encoder: "nn.Module" = field(repr=False)
    flow: "nn.Module" = field(repr=False)
    decoding: Decoding = field(repr=False)

    @classmethod
    def load(cls, checkpoint: Path, config: Path, placing: Placing | None = None) -> "Converter":
        """From the official `checkpoint.pth` (or its tensors as .safetensors) and `config.json`.

        Raises TwinError when a file is missing, damaged, of something else, or of another size
        than the other one says.
        """
        import torch

        from aitwin.voice import vits

        settings, placing = configs.read(config, PULL), placing or Placing()
        try:
            sizes, upsampling = Sizes.of(settings), vits.Upsampling.of(settings["model"])
            if upsampling.hop != sizes.hop:
                raise ValueError("the decoder's rates do not multiply to a hop")
            told = {"condition": sizes.embedding}
            with torch.device("meta"):
                networks = torch.nn.ModuleDict(
                    {
                        "enc_q": vits.PosteriorEncoder(
                            sizes.window // 2 + 1, sizes.latent, sizes.hidden, **told
                        ),
                        "flow": vits.CouplingFlow.of_wavenets(sizes.latent, sizes.hidden, **told),
                        "dec": vits.Decoder(sizes.latent, upsampling, **told),
                    }
                )
        # Torch has no narrower ones for sizes that are beyond it.
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError):
            raise TwinError(
                f"{config} is not the config of OpenVoice's converter; {PULL}"
            ) from None
        checkpoints.load_published(networks, checkpoint, PULL, besides=(PREFIX,))
        networks.eval().requires_grad_(False)
        return cls(
            sizes,
            placing,
            networks["enc_q"].to(placing.device),
            networks["flow"].to(placing.device),
            Decoding(networks["dec"], placing),
        )

    @classmethod
    def tuned(cls, checkpoint: Path, config: Path, note: Path) -> "Converter":
        """As `load`, placed where it is fastest here: measured once (seconds), kept in `note`.

        Raises TwinError as `load` does.
        """

        def prepare(placing: Placing) -> Trial:
            ready = cls.load(checkpoint, config, placing)
            random = np.random.default_rng(0)
            sound = random.normal(0, 0.1, round(TRIAL * ready.rate)).astype(np.float32)
            voices = random.normal(0, 0.7, (2, ready.sizes.embedding)).astype(np.float32)
            return lambda: ready.convert(sound, voices[0], voices[1])

        return cls.load(checkpoint, config, placings.choose(note, WORK, prepare))

    @property
    def rate(self) -> int:
        """Hertz, of what comes in and of what goes out: 22,050."""
        return self.sizes.rate

    @property
    def least(self) -> int:
        """The fewest samples that can be converted: 385, 17 ms.

        Fewer cannot be mirrored, or are less than a hop.
        """
        return max(self.sizes.hop, (self.sizes.window - self.sizes.hop) // 2 + 1)

    def convert(
        self,
        samples: Samples,
        source: Embedding,
        target: Embedding,
        *,
        tau: float = TAU,
        seed: int = 0,
    ) -> Samples:
        """`samples` [time] at `rate`, said by `source`, as `target` would: whole hops of them.

        The same `seed` gives the same samples: the draw is that of upstream after
        `torch.manual_seed(seed)`. Memory beside it and the sound does not grow with their length.
        Raises ValueError for fewer than `least` samples, for what are no numbers (a `tau` below 0,
        too), and for embeddings of another size.
        """
        import torch

        from aitwin.voice import vits

        if samples.ndim != 1 or len(samples) < self.least:
            raise ValueError(f"one channel of at least {self.least} samples is wanted")
        if not np.isfinite(samples).all():
            raise ValueError("samples hold a NaN or an infinity")
        if not 0 <= tau < math.inf:
            raise ValueError("tau is a number of at least 0")
        with self.placing.engaged():
            heard, wanted = self._placed(source), self._placed(target)
            told = (torch.zeros_like(heard),) * 2 if self.sizes.blind else (heard, wanted)
            sound = vits.mirrored(samples.astype(np.float32), self.sizes.window, self.sizes.hop)
            total = len(samples) // self.sizes.hop
            draw = torch.Generator().manual_seed(seed)
            noise = tau * torch.randn(1, self.sizes.latent, total, generator=draw)
            parts = []
            for start in range(0, total, SPAN):
                kept = Span(start, min(start + SPAN, total))
                fed = kept.around(
                    self.decoding.reach + vits.POSTERIOR_REACH + 2 * vits.FLOW_REACH, total
                )
                hop, window = self.sizes.hop, self.sizes.window
                spectrogram = vits.magnitudes(
                    sound[fed.start * hop : (fed.stop - 1) * hop + window], window, hop
                )
                mean, spread = self.encoder(self._at(spectrogram.T[None]), None, told[0])
                z = mean + self._at(noise[..., fed.start : fed.stop]) * spread.exp()
                z = self.flow.inverse(self.flow(z, None, heard), None, wanted)
                parts.append(self.decoding(z, told[1], kept.inside(fed)))
            return np.asarray(torch.cat(parts, -1)[0, 0].numpy())

    def _placed(self, embedding: Embedding) -> "Tensor":
        import torch

        if embedding.shape != (self.sizes.embedding,):
            raise ValueError(f"an embedding of {self.sizes.embedding} numbers is wanted")
        if not np.isfinite(embedding).all():
            raise ValueError("an embedding holds a NaN or an infinity")
        return self._at(torch.from_numpy(np.array(embedding, np.float32))[None, :, None])

    def _at(self, tensor: "Tensor") -> "Tensor":
        return tensor.to(self.placing.device)
