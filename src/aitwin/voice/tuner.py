"""Tuner: MeloTTS's network and its adversaries, and the steps that move both.

Losses of VITS (Kim, Kong, Son 2021, arXiv 2106.06103): mel spectrum, KL divergence, both durations,
adversaries and their features. Four things differ from how the published weights were trained: the
alignment is searched without added noise, for it is settled; there is no adversary for durations;
the learning rate falls along a line; and the adversaries, which are not published, learn alone
first, lest new ones spoil a network that speaks well. Does not choose what is learnt when, nor
writes a file: see finetune. Imports torch: import it where it is used.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, pad
from torch.nn.utils import parametrizations, parametrize

from aitwin.errors import TwinError
from aitwin.voice import adversaries, alignment
from aitwin.voice.adversaries import NARROWER, Adversaries
from aitwin.voice.lessons import Lesson, Lessons
from aitwin.voice.mels import Analysis
from aitwin.voice.synthesizer import Synthesizer

BETAS, EPSILON = (0.8, 0.99), 1e-9
"""Of AdamW, as in VITS. No weight decay: it would shrink the rows of the other speakers."""
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps for each parameter."""
NORMED = ("enc_q.enc.", "dec.ups.", "dec.resblocks.")
"""Beginnings of the names of layers that had weight norm when they were trained."""
MOST_SEED = 2**31 - 1
"""Of a recipe: whatever draws by it can take it, and what is made of it and a step's number."""
SHORTEST_DURATION = 1e-6
"""Frames: what is added before a logarithm is taken."""


@dataclass(frozen=True)
class Recipe:
    """Every number of a fine-tune."""

    steps: int = 6_000
    """Of which the first `warm_up` move the adversaries alone."""
    warm_up: int = 300
    batch: int = 8
    """Utterances in a step."""
    segment: int = 32
    """Frames of each utterance that become sound: 0.37 s, as in the training of the weights."""
    learning_rate: float = 1e-4
    """At the beginning; a third of that of the training from nothing."""
    last_rate: float = 0.1
    """Share of it that is left at the end."""
    mel: float = 45.0
    """Weight of the mel loss; `kl` and the others as in VITS."""
    kl: float = 1.0
    every: int = 500
    """Steps from one evaluation, with samples to hear, to the next."""
    patience: int = 4
    """Evaluations in a row that are no better, after which it stops."""
    spoken: int = 8
    """Held-out sentences that are said at each evaluation."""
    seed: int = 0
    narrower: int = 1
    """The adversaries' channels are divided by it; 1 on a machine for the purpose."""

    def __post_init__(self) -> None:
        """Raises TwinError for numbers with which nothing can be learnt."""
        wrong = [
            f"{name} must be {bounds}"
            for name, bounds, right in (
                ("steps", "above warm_up", self.steps > self.warm_up >= 0),
                ("batch", "1 to 64", 1 <= self.batch <= 64),
                ("segment", "8 to 256", 8 <= self.segment <= 256),
                ("mel", "above 0 and finite", 0 < self.mel < math.inf),
                ("kl", "above 0 and finite", 0 < self.kl < math.inf),
                ("learning_rate", "above 0 and at most 0.01", 0 < self.learning_rate <= 0.01),
                ("last_rate", "0 to 1", 0 <= self.last_rate <= 1),
                ("every", "1 or more", self.every >= 1),
                ("patience", "1 or more", self.patience >= 1),
                ("spoken", "1 or more", self.spoken >= 1),
                ("seed", f"0 to {MOST_SEED}", 0 <= self.seed <= MOST_SEED),
                ("narrower", f"one of {NARROWER}", self.narrower in NARROWER),
            )
            if not right
        ]
        if wrong:
            raise TwinError("this fine-tune cannot be done: " + "; ".join(wrong))

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.learning_rate * (1 - (1 - self.last_rate) * step / self.steps)


@dataclass(frozen=True)
class Losses:
    """What a step was like. 0 for what it did not look at."""

    mel: float = 0.0
    """Mean difference of log magnitudes, without its weight: 1 is 8.7 dB."""
    kl: float = 0.0
    """Nats per frame by which what was read misses what was heard."""
    duration: float = 0.0
    """Of both networks for durations."""
    passing: float = 0.0
    """How little the adversaries take the speech for recorded: 0 to about 6."""
    features: float = 0.0
    """How differently the adversaries' layers see the two."""
    adversaries: float = 0.0
    """How badly they tell the two apart: 3 by guessing."""

    @property
    def finite(self) -> bool:
        """Whether all of them are numbers."""
        return all(math.isfinite(value) for value in asdict(self).values())


@dataclass(frozen=True, eq=False)
class Batch:
    """Some lessons as tensors, padded with zeros to the longest."""

    phones: Tensor = field(repr=False)
    """[batch, symbols], as `tones` and `languages`."""
    tones: Tensor = field(repr=False)
    languages: Tensor = field(repr=False)
    features: Tensor = field(repr=False)
    """[batch, width, symbols]."""
    speakers: Tensor = field(repr=False)
    """[batch]: rows of the speakers' embedding."""
    samples: Tensor = field(repr=False)
    """[batch, time]."""
    symbols: tuple[int, ...]
    """How many of them are real."""
    frames: tuple[int, ...]
    """How many of them are real."""

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return Batch(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in values.items()})


def collate(lessons: Lessons, chosen: Sequence[Lesson], rows: dict[str, int], hop: int) -> Batch:
    """Lessons as a batch; `rows` says which speaker stands for which emotion."""
    symbols = [len(lesson.units.phone_ids) for lesson in chosen]
    frames = [(lesson.stop - lesson.start) // hop for lesson in chosen]
    features = [
        torch.from_numpy(np.repeat(lessons.features(lesson), lesson.units.repeats, axis=0)).T
        for lesson in chosen
    ]

    def ids(name: str) -> Tensor:
        rows_of_ids = [torch.tensor(getattr(lesson.units, name)) for lesson in chosen]
        return nn.utils.rnn.pad_sequence(rows_of_ids, batch_first=True)

    return Batch(
        phones=ids("phone_ids"),
        tones=ids("tone_ids"),
        languages=ids("language_ids"),
        features=torch.stack([pad(one, (0, max(symbols) - one.shape[1])) for one in features]),
        speakers=torch.tensor([rows[lesson.emotion] for lesson in chosen]),
        samples=torch.stack(
            [
                pad(
                    torch.from_numpy(lessons.samples(lesson)[: count * hop]),
                    (0, (max(frames) - count) * hop),
                )
                for lesson, count in zip(chosen, frames, strict=True)
            ]
        ),
        symbols=tuple(symbols),
        frames=tuple(frames),
    )


@dataclass(frozen=True, eq=False)
class _Passed:
    """What one pass through the network leaves for the losses."""

    recorded: Tensor
    """[batch, 1, samples of a segment]."""
    made: Tensor
    """The same stretch, from the network."""
    mel: Tensor
    """Of the recorded stretch."""
    kl: Tensor
    duration: Tensor


class Tuner:
    """The networks and their optimisers on a device. Not to be used from several threads."""

    def __init__(
        self, network: Synthesizer, analysis: Analysis, recipe: Recipe, device: str = "cpu"
    ) -> None:
        self.network, self.analysis, self.recipe = network, analysis, recipe
        self.device = device
        with_weight_norm(network)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.adversaries = Adversaries(recipe.narrower)
        for module in (self.network, self.adversaries):
            module.to(device).train()
        self._moves = {
            "network": _adamw(self.network, recipe),
            "adversaries": _adamw(self.adversaries, recipe),
        }

    def step(self, batch: Batch, number: int) -> Losses:
        """Move the adversaries once, and behind the warm-up the network, too.

        All that is left to chance follows from the recipe's seed and the step's number (from 0), so
        that a run goes on exactly where it stopped.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed * 1_000_003 + number)
            return self._step(batch.to(self.device), number)

    def _step(self, batch: Batch, number: int) -> Losses:
        alone = number < self.recipe.warm_up
        with torch.set_grad_enabled(not alone):
            passed = self._pass(batch)
        told = adversaries.to_tell_apart(
            self.adversaries(passed.recorded), self.adversaries(passed.made.detach())
        )
        self._move("adversaries", told, number)
        if alone:
            return Losses(adversaries=told.item())
        # Asked anew, for they have just moved; their own gradients are not wanted.
        self.adversaries.requires_grad_(False)
        real, fake = self.adversaries(passed.recorded), self.adversaries(passed.made)
        passing, alike = adversaries.to_pass(fake), adversaries.to_look_alike(real, fake)
        made_mel = self.analysis.mel(self.analysis.linear(passed.made[:, 0]))
        mel = l1_loss(made_mel, passed.mel)
        total = self.recipe.mel * mel + self.recipe.kl * passed.kl + passed.duration
        self._move("network", total + passing + alike, number)
        self.adversaries.requires_grad_(True)
        values = torch.stack([mel, passed.kl, passed.duration, passing, alike, told]).tolist()
        return Losses(*values)

    def _move(self, who: str, loss: Tensor, number: int) -> None:
        moves = self._moves[who]
        moves.param_groups[0]["lr"] = self.recipe.rate_at(number)
        moves.zero_grad(set_to_none=True)
        loss.backward()
        moves.step()

    def _pass(self, batch: Batch) -> _Passed:
        network, analysis = self.network, self.analysis
        g = network.emb_g(batch.speakers)[:, :, None]
        symbol_mask = _mask(batch.symbols, self.device)
        frame_mask = _mask(batch.frames, self.device)
        states, mean, log_deviation = network.enc_p(
            batch.phones, batch.tones, batch.languages, batch.features, symbol_mask, g
        )
        linear = analysis.linear(batch.samples)
        own_mean, own_log = network.enc_q(linear, frame_mask, g)
        z = (own_mean + torch.randn_like(own_mean) * own_log.exp()) * frame_mask
        moved = network.flow(z, frame_mask, g)
        with torch.no_grad():
            scores = likelihoods(moved, mean, log_deviation).float().cpu().numpy()
        found = alignment.search(scores, batch.symbols, batch.frames)
        places = torch.from_numpy(found).to(self.device)[:, None].expand(-1, mean.shape[1], -1)
        kl = divergence(
            moved, own_log, mean.gather(2, places), log_deviation.gather(2, places), frame_mask
        )
        lasting = torch.from_numpy(
            alignment.durations(found, batch.phones.shape[1], batch.frames)
        ).to(self.device)[:, None]
        duration = self._duration(states, lasting, symbol_mask, g)
        width = min(self.recipe.segment, *batch.frames)
        starts = [
            int(torch.randint(count - width + 1, ())) for count in batch.frames
        ]  # drawn on the CPU: the same stretches on every device
        made = network.dec(_stretches(z, starts, width), g)
        return _Passed(
            recorded=_stretches(
                batch.samples[:, None],
                [start * analysis.hop for start in starts],
                width * analysis.hop,
            ),
            made=made,
            mel=analysis.mel(_stretches(linear, starts, width)),
            kl=kl,
            duration=duration,
        )

    def _duration(self, states: Tensor, lasting: Tensor, mask: Tensor, g: Tensor) -> Tensor:
        noise = torch.randn(len(states), 2, states.shape[2]).to(self.device)
        drawn = self.network.sdp.nll(states, mask, lasting, g, noise).sum()
        guessed = self.network.dp(states, mask, g)
        wanted = torch.log(lasting + SHORTEST_DURATION) * mask
        return (drawn + ((guessed - wanted) ** 2 * mask).sum()) / mask.sum()

    def weights(self) -> dict[str, Tensor]:
        """A copy of what speaks: all but enc_q, weight norm multiplied out, official names."""
        found = {}
        for name, tensor in fused(self.network).items():
            if not name.startswith("enc_q."):
                found[name] = tensor.detach().cpu().clone().contiguous()
        return found

    def state(self) -> dict[str, Tensor]:
        """A copy of everything that a run needs to go on exactly where it is, on the CPU."""
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self._state()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from `state`. Raises KeyError or RuntimeError when it is of another network."""
        for who, module in (("network", self.network), ("adversaries", self.adversaries)):
            module.load_state_dict(_of(state, f"{who}."))
            moves = self._moves[who]
            kept = _of(state, f"moves.{who}.")
            moments: dict[int, dict[str, Tensor]] = {}
            for name, tensor in kept.items():
                place, _, key = name.partition(".")
                moments.setdefault(int(place), {})[key] = tensor
            moves.load_state_dict(
                {"state": moments, "param_groups": moves.state_dict()["param_groups"]}
            )

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        for who, module in (("network", self.network), ("adversaries", self.adversaries)):
            for name, tensor in module.state_dict().items():
                yield f"{who}.{name}", tensor
            for place, moments in self._moves[who].state_dict()["state"].items():
                for key in MOMENTS:
                    yield f"moves.{who}.{place}.{key}", moments[key]


def with_weight_norm(network: Synthesizer) -> None:
    """Weight norm (Salimans and Kingma 2016) on the layers that were trained with it."""
    for name, module in network.named_modules():
        if name.startswith(NORMED) and isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            parametrizations.weight_norm(module)


def fused(network: nn.Module) -> dict[str, Tensor]:
    """The state of `network` with weight norm multiplied out, by the names it has without."""
    found = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if ".parametrizations." not in name
    }
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module):
            found[f"{name}.weight"] = module.weight
    return found


def likelihoods(z: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Log-density of each frame of `z` [batch, channels, frames] under each symbol's normal
    distribution, by `mean` and `log_deviation` [batch, channels, symbols].

    Shape [batch, symbols, frames].
    """
    precision = torch.exp(-2 * log_deviation)
    alone = (-0.5 * math.log(2 * math.pi) - log_deviation - 0.5 * mean**2 * precision).sum(1)[
        :, :, None
    ]
    both = (mean * precision).transpose(1, 2) @ z
    return alone + both - 0.5 * precision.transpose(1, 2) @ z**2


def divergence(
    z: Tensor, own_log: Tensor, mean: Tensor, log_deviation: Tensor, mask: Tensor
) -> Tensor:
    """KL divergence of what was heard from what was read, by one sample `z` of the former.

    All [batch, channels, frames], in the prior's space; nats per frame.
    """
    nats = log_deviation - own_log - 0.5 + 0.5 * (z - mean) ** 2 * torch.exp(-2 * log_deviation)
    return (nats * mask).sum() / mask.sum()


def _adamw(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        module.parameters(), recipe.learning_rate, betas=BETAS, eps=EPSILON, weight_decay=0.0
    )


def _mask(counts: Sequence[int], device: str) -> Tensor:
    """[batch, 1, most] of ones where something is real."""
    places = torch.arange(max(counts))
    return (places < torch.tensor(counts)[:, None]).float()[:, None].to(device)


def _stretches(x: Tensor, starts: Sequence[int], width: int) -> Tensor:
    """One stretch of each of [batch, channels, time]."""
    return torch.stack([x[row, :, start : start + width] for row, start in enumerate(starts)])


def _of(state: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
