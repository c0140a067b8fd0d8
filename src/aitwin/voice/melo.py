"""MeloTTS: English sentences to sound, in one of the voices of its checkpoint.

Reads the published checkpoint and config (MyShell, MIT), runs the network (see synthesizer) and
offers it as a Speaker. Does not turn text into phones (see melo_text) or features (see bert), and
does not change whose voice it is (see converter). Every number comes from config.json.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import bert as berts
from aitwin.voice import checkpoint as checkpoints
from aitwin.voice import configs
from aitwin.voice import placing as placings
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.bert import Bert, Features
from aitwin.voice.melo_text import MOST_TOKENS, FrontEnd, Units
from aitwin.voice.placing import Placing, Trial

if TYPE_CHECKING:
    from torch import Tensor

    from aitwin.voice.decoding import Decoding
    from aitwin.voice.synthesizer import Synthesizer

PULL = "run `twin models pull melotts-english`"
REST = 0.05
"""Seconds of silence after each piece of a sentence, at speed 1."""
WORK = "melotts"
"""What its placing is noted as."""
TRAINING = "enc_q."
"""How the names of the tensors begin that training alone needs."""
LONGEST = 0.25
"""Seconds that a phone or the blank beside it may last at speed 1, on the average of a piece. That
is six times as long as speech is; what wants more comes from spoilt weights."""
SLOWEST = 0.1
"""Of speeds: slower ones would only fill the memory."""
SPAN = 128
"""Frames that the decoder makes at a time: 1.5 s. Twice as many took 0.2 GB more and no less time,
half as many a little more time (measured)."""
TRIAL = 32
"""Frames by which placings are compared, 0.4 s: each is tried four times, and an owner waits."""
SDP_RATIO = 0.2
"""Share of the drawn durations beside the guessed ones; this and the next two are MeloTTS's own."""
NOISE = 0.6
"""Variety of the sound: deviations of the prior, as a factor."""
DURATION_NOISE = 0.8
"""Variety of the drawn durations."""


@dataclass(frozen=True)
class Manner:
    """How freely the network speaks. With all three at 0, always the same whatever the seed."""

    sdp_ratio: float = SDP_RATIO
    noise: float = NOISE
    duration_noise: float = DURATION_NOISE


MANNER = Manner()
"""MeloTTS's own."""


@dataclass(frozen=True, eq=False)
class Melo:
    """The network, ready to speak. Safe to use from several threads, which take turns."""

    network: "Synthesizer" = field(repr=False)
    """All but the decoder."""
    speakers: Mapping[str, int]
    """Row of each voice's embedding, by its name: {"EN-US": 0, ...}."""
    decode: "Decoding" = field(repr=False)
    """The network's decoder, made ready where and as it is to run."""
    _turn: RLock = field(default_factory=RLock, init=False, repr=False)

    @classmethod
    def load(cls, checkpoint: Path, config: Path, placing: Placing | None = None) -> "Melo":
        """From the published `checkpoint.pth` and `config.json`, or what a fine-tuning made.

        Takes weights with weight norm or without; what only training needs is left out. Raises
        TwinError when a file is missing, damaged, or does not belong to the other.
        """
        import torch

        from aitwin.voice.decoding import Decoding
        from aitwin.voice.synthesizer import Sizes, Synthesizer

        placing = placing or Placing()
        content = configs.read(config, PULL)
        try:
            sizes = Sizes.of(content)
            with torch.device("meta"):
                network = Synthesizer(sizes)
            speakers = configs.speakers(content, sizes.speakers)
        # Torch has no narrower ones for sizes that are none.
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            first, *_ = str(error).splitlines() or [""]
            what = f"{type(error).__name__}: {first[:80]}"
            raise TwinError(f"{config} is no config of MeloTTS ({what}); {PULL}") from None
        checkpoints.load_published(network, checkpoint, PULL, besides=(TRAINING,))
        network.requires_grad_(False).eval().to(placing.device)
        decode = Decoding(network.dec, placing, span=SPAN)
        del network.dec  # its weights lie in `decode`, in another order
        return cls(network, speakers, decode)

    @classmethod
    def tuned(cls, checkpoint: Path, config: Path, note: Path) -> "Melo":
        """As `load`, placed where it is fastest here: measured once (seconds), kept in `note`.

        Raises TwinError as `load` does.
        """

        def prepare(placing: Placing) -> Trial:
            return cls.load(checkpoint, config, placing)._trial

        return cls.load(checkpoint, config, placings.choose(note, WORK, prepare))

    def _trial(self) -> Samples:
        """Some noise, spoken. All but the text, which is a twentieth of the work.

        Without durations, whose rounding would make another length of the same sentence.
        """
        import torch

        network, device = self.network, self.decode.placing.device
        chance = torch.Generator().manual_seed(0)
        with self.decode.placing.engaged():
            noise = torch.randn(1, network.sizes.latent, TRIAL, generator=chance).to(device)
            g = network.emb_g(torch.tensor([0], device=device)).unsqueeze(2)
            sound = self.decode(network.flow.inverse(noise, None, g), g)
            return np.asarray(sound[0, 0].cpu().numpy(), np.float32)

    @contextmanager
    def engaged(self) -> Iterator[None]:
        """Within the block nobody else speaks with it: one has all processors that it was given."""
        with self._turn, self.decode.placing.engaged():
            yield

    @property
    def rate(self) -> int:
        """Hertz of its sound: 44,100."""
        return self.network.sizes.rate

    def synthesise(  # noqa: PLR0913 - what is said, by whom, and how
        self,
        units: Units,
        features: Features,
        speaker: str,
        *,
        speed: float = 1.0,
        seed: int = 0,
        manner: Manner = MANNER,
    ) -> Samples:
        """One piece of a text in the voice of `speaker`, at `rate`: see `spoken`.

        Raises TwinError when there is no such speaker, too.
        """
        self.require(speaker)
        with self.engaged():
            return spoken(
                self.network,
                units,
                features,
                self.speakers[speaker],
                speed=speed,
                seed=seed,
                manner=manner,
                decode=self.decode,
            )

    def require(self, speaker: str) -> None:
        """Raises TwinError when the checkpoint has no such voice."""
        if speaker not in self.speakers:
            raise TwinError(
                f"MeloTTS has no voice {speaker!r}; choose one of: {', '.join(self.speakers)}"
            )


@dataclass(frozen=True, eq=False)
class MeloSpeaker:
    """MeloTTS as a Speaker (see engines): sentences in one of its voices."""

    melo: Melo
    front_end: FrontEnd = field(repr=False)
    bert: Bert
    speaker: str = "EN-US"
    manner: Manner = MANNER

    def __post_init__(self) -> None:
        """Raises TwinError when the checkpoint has no such voice, or listens to another BERT."""
        self.melo.require(self.speaker)
        wanted, both_marks = _width(self.melo.network), 2
        if self.bert.width != wanted:
            raise TwinError(
                f"the BERT that was read gives {self.bert.width:,} features for each token, and "
                f"MeloTTS wants {wanted}; {berts.PULL}"
            )
        if self.bert.longest < MOST_TOKENS + both_marks:
            raise TwinError(
                f"the BERT that was read reads {self.bert.longest:,} word pieces at once, and "
                f"MeloTTS wants {MOST_TOKENS + both_marks}; {berts.PULL}"
            )

    @property
    def name(self) -> str:
        """See Speaker."""
        return "melotts"

    @property
    def cloned(self) -> bool:
        """See Speaker. The voices of the checkpoint are strangers'."""
        return False

    def describe(self) -> str:
        """See Speaker."""
        return f"MeloTTS {self.speaker} (a base voice, not yours)"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        """See Speaker.

        A sentence that is too long for one go is said in pieces with a short rest after each.
        Raises ValueError when `speed` is under SLOWEST or no number.
        """
        _require_speed(speed)
        rest = np.zeros(int(self.melo.rate * REST / speed), np.float32)
        parts = [np.zeros(0, np.float32)]
        with self.melo.engaged():  # BERT is not to disturb another sentence, either
            for units in self.front_end.read(sentence):
                if not units.silent:
                    features = self.bert.features(units.token_ids)
                    parts += [
                        self.melo.synthesise(
                            units,
                            features,
                            self.speaker,
                            speed=speed,
                            seed=seed,
                            manner=self.manner,
                        ),
                        rest,
                    ]
        return Utterance(np.concatenate(parts), self.melo.rate, sentence)


def spoken(  # noqa: PLR0913 - the network, what is said, by whom, and how
    network: "Synthesizer",
    units: Units,
    features: Features,
    row: int,
    *,
    speed: float = 1.0,
    seed: int = 0,
    manner: Manner = MANNER,
    decode: "Callable[[Tensor, Tensor], Tensor] | None" = None,
) -> Samples:
    """One piece of a text by a network in evaluation mode, in training or loaded.

    `decode` takes the place of the network's own decoder.

    `features` are BERT's for `units.token_ids`, `row` is the speaker's. The noise is what upstream
    draws after `torch.manual_seed(seed)` on a CPU, so that devices agree. Raises TwinError when
    the network gives durations that nobody speaks; ValueError when `features` are of another text
    or another BERT, or `speed` is under SLOWEST or no number.
    """
    import torch

    _require_speed(speed)
    if features.shape != (len(units.repeats), _width(network)):
        raise ValueError(
            f"{len(units.repeats)} tokens want as many features, of {_width(network)} numbers each"
        )
    chance = torch.Generator().manual_seed(seed)
    device = network.emb_g.weight.device

    def ids(values: Sequence[int]) -> "Tensor":
        return torch.tensor([values], device=device)

    spread = torch.from_numpy(np.repeat(features, units.repeats, axis=0))
    with torch.inference_mode():
        g = network.emb_g(ids([row])[0]).unsqueeze(2)
        states, mean, log_deviation = network.enc_p(
            ids(units.phone_ids),
            ids(units.tone_ids),
            ids(units.language_ids),
            spread.T.unsqueeze(0).to(device),
            None,
            g,
        )
        steps = states.shape[2]
        mask = states.new_ones(1, 1, steps)
        noise = torch.randn(1, 2, steps, generator=chance).to(device)
        drawn = network.sdp(states, mask, g, noise * manner.duration_noise)
        guessed = network.dp(states, mask, g)
        log_durations = drawn * manner.sdp_ratio + guessed * (1 - manner.sdp_ratio)
        frames = _frames(log_durations.exp()[0, 0], speed, network.sizes.rate / network.sizes.hop)
        mean, log_deviation = (
            torch.repeat_interleave(x, frames, dim=2) for x in (mean, log_deviation)
        )
        # Frame by frame, as the mean lies in upstream's memory, which is how randn_like fills it.
        _, channels, steps = mean.shape
        noise = torch.empty(1, steps, channels).transpose(1, 2).normal_(generator=chance)
        latent = mean + noise.to(device) * log_deviation.exp() * manner.noise
        latent = network.flow.inverse(latent, None, g)
        sound = (decode or network.dec)(latent, g)
        return np.asarray(sound[0, 0].cpu().numpy(), np.float32)


def _require_speed(speed: float) -> None:
    if not (math.isfinite(speed) and speed >= SLOWEST):
        raise ValueError(f"a speed is a number of {SLOWEST} or more")


def _width(network: "Synthesizer") -> int:
    """Of the features that it listens to."""
    return int(network.enc_p.ja_bert_proj.in_channels)


def _frames(durations: "Tensor", speed: float, per_second: float) -> "Tensor":
    """Whole frames, when they are a sentence's. Asked before anything of their length is made."""
    total = float(durations.sum())
    if not 0 < total <= LONGEST * len(durations) * per_second:  # a NaN, too
        raise TwinError(
            f"MeloTTS wants no sensible time for a sentence ({total:.3g} frames): "
            f"its weights are spoilt; {PULL}"
        )
    return (durations / speed).ceil().long()
