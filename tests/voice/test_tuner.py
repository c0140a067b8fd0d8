"""The steps of a fine-tune: what moves, what does not, and that the same step is the same (S6)."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from aitwin.errors import TwinError
from aitwin.voice import lessons, tuner
from aitwin.voice.heard import RATE
from aitwin.voice.lessons import Lessons, Source
from aitwin.voice.mels import Analysis
from aitwin.voice.synthesizer import Sizes, Synthesizer
from aitwin.voice.tuner import Batch, Recipe, Tuner
from tests.voice import tiny_melo

RECIPE = Recipe(steps=60, warm_up=2, batch=2, segment=8, narrower=16, learning_rate=3e-3)
ROWS = {"neutral": 2, "happy": 3}


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    """A minute of chirps with words of different lengths."""
    random = np.random.default_rng(0)

    def chirp(seconds: float) -> np.ndarray:
        time = np.arange(round(RATE * seconds)) / RATE
        sound = 0.3 * np.sin(2 * np.pi * (200 + 60 * time) * time)
        return (sound + random.normal(0, 0.003, len(time))).astype(np.float32)

    words = ("the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "again", "and")
    sources = [
        Source(
            f"take-{number:02}",
            "neutral" if number % 3 else "happy",
            " ".join(words[: 4 + number % 8]),
            chirp(3.0 + 0.3 * (number % 8)),
            RATE,
        )
        for number in range(20)
    ]
    place = tmp_path_factory.mktemp("voice") / "lessons"
    return lessons.make(
        place, iter(sources), tiny_melo.read, rate=tiny_melo.RATE, hop=tiny_melo.HOP
    )


def fresh(recipe: Recipe = RECIPE) -> Tuner:
    return Tuner(tiny_melo.network(), Analysis.of(tiny_melo.config()["data"]), recipe)


def batch_of(some: Lessons, count: int = 2) -> Batch:
    return tuner.collate(some, some.training[:count], ROWS, tiny_melo.HOP)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- Batches --------------------------------------------------------------------------------------


def test_a_batch_is_its_lessons_padded(some: Lessons) -> None:
    batch = batch_of(some)
    for row, lesson in enumerate(some.training[:2]):
        symbols, frames = len(lesson.units.phone_ids), batch.frames[row]
        assert batch.symbols[row] == symbols
        assert batch.phones[row, :symbols].tolist() == list(lesson.units.phone_ids)
        assert not batch.phones[row, symbols:].any()
        assert not batch.features[row, :, symbols:].any()
        # The second token's features are those of each of its symbols and the blanks between.
        first, second = lesson.units.repeats[:2]
        spread = batch.features[row, :, first : first + second]
        wanted = some.features(lesson)[1][:, None].repeat(second, axis=1)
        np.testing.assert_array_equal(spread.numpy(), wanted)
        sound = some.samples(lesson)[: frames * tiny_melo.HOP]
        np.testing.assert_array_equal(batch.samples[row, : len(sound)].numpy(), sound)
        assert not batch.samples[row, len(sound) :].any()
        assert batch.speakers[row] == ROWS[lesson.emotion]
    assert batch.samples.shape[1] == max(batch.frames) * tiny_melo.HOP


# --- Losses, against torch's own distributions ----------------------------------------------------


def test_likelihoods_are_those_of_normal_distributions() -> None:
    random = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 7, generator=random)
    mean, log_deviation = (torch.randn(2, 3, 5, generator=random) * 0.5 for _ in range(2))
    found = tuner.likelihoods(z, mean, log_deviation)
    wanted = (
        Normal(mean[:, :, :, None], log_deviation.exp()[:, :, :, None])
        .log_prob(z[:, :, None, :])
        .sum(1)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_divergence_is_kl_on_average_and_counts_real_frames() -> None:
    """By one sample it scatters; over ten thousand it is torch's own."""
    random = torch.Generator().manual_seed(0)
    own, prior = Normal(0.3, 0.8), Normal(-0.2, 1.5)
    count = 10_000
    z = 0.3 + 0.8 * torch.randn(1, 2, count, generator=random)
    shape = torch.ones(1, 2, count)
    mask = torch.ones(1, 1, count)
    found = tuner.divergence(z, shape * math.log(0.8), shape * -0.2, shape * math.log(1.5), mask)
    wanted = 2 * float(torch.distributions.kl_divergence(own, prior))
    assert float(found) == pytest.approx(wanted, abs=0.02)
    mask[:, :, count // 2 :] = 0
    z[:, :, count // 2 :] = 99.0
    again = tuner.divergence(z, shape * math.log(0.8), shape * -0.2, shape * math.log(1.5), mask)
    assert float(again) == pytest.approx(wanted, abs=0.03)


# --- Weight norm ----------------------------------------------------------------------------------


def test_weight_norm_changes_the_form_of_the_weights_not_the_network() -> None:
    plain, normed = tiny_melo.network(), tiny_melo.network()
    tuner.with_weight_norm(normed)
    dissolved = tuner.fused(normed)
    wanted = plain.state_dict()
    assert dissolved.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(dissolved[name], tensor, rtol=1e-5, atol=1e-7)
    # As in the published checkpoints: the decoder's insides and the posterior's WaveNet.
    normed_names = {
        name.partition(".parametrizations")[0]
        for name, _ in normed.named_parameters()
        if "original0" in name
    }
    assert "dec.ups.0" in normed_names
    assert "enc_q.enc.cond_layer" in normed_names
    assert "dec.conv_pre" not in normed_names
    assert not any(name.startswith(("enc_p", "flow", "sdp", "dp")) for name in normed_names)


def test_the_golden_checkpoint_has_weight_norm_at_the_same_places(shared: Path) -> None:
    place = shared / "golden" / "melo"
    published = torch.load(place / "checkpoint.pth", weights_only=True)["model"]
    wanted = {name.removesuffix(".weight_g") for name in published if name.endswith(".weight_g")}
    network = Synthesizer(Sizes.of(json.loads((place / "config.json").read_text())), trainable=True)
    tuner.with_weight_norm(network)
    found = {
        name.partition(".parametrizations")[0]
        for name, _ in network.named_parameters()
        if name.endswith("original0")
    }
    assert found == wanted


def test_what_speaks_is_written_without_what_listens() -> None:
    weights = fresh().weights()
    assert not any("enc_q" in name or "parametrizations" in name for name in weights)
    Synthesizer(Sizes.of(tiny_melo.config())).load_state_dict(weights, strict=True)


# --- Steps ----------------------------------------------------------------------------------------


def test_in_the_warm_up_the_adversaries_alone_learn(some: Lessons) -> None:
    one = fresh()
    before = one.state()
    losses = one.step(batch_of(some), 0)
    after = one.state()
    moved = {
        name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert moved == {"adversaries"}
    assert losses.adversaries > 0
    assert losses.mel == losses.kl == losses.duration == 0


def test_steps_move_everything_that_speaks_and_no_other_speaker(some: Lessons) -> None:
    one = fresh()
    before = one.state()
    for number in range(3):  # some layers are zero at first, and let no gradient pass
        one.step(batch_of(some), RECIPE.warm_up + number)
    after = one.state()
    still = {
        name
        for name in before
        if name.startswith("network.") and torch.equal(before[name], after[name])
    }
    # The features of a Chinese model are always zero: there is nothing to learn from them.
    assert still == {"network.enc_p.bert_proj.weight"}
    table, learnt = before["network.emb_g.weight"], after["network.emb_g.weight"]
    unmoved = [row for row in range(6) if torch.equal(table[row], learnt[row])]
    assert unmoved == [0, 1, 4, 5]


def test_the_same_step_is_the_same_whatever_was_drawn_before(some: Lessons) -> None:
    """Its chance comes from the seed and its number alone; the caller's is left as it was."""
    one, other = fresh(), fresh()
    torch.manual_seed(1)
    first = one.step(batch_of(some), 5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = other.step(batch_of(some), 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == second
    assert same(one.state(), other.state())
    third = fresh(replace(RECIPE, seed=1)).step(batch_of(some), 5)
    assert third != first


def test_a_state_goes_on_bit_for_bit(some: Lessons) -> None:
    whole, half = fresh(), fresh()
    batch = batch_of(some)
    first, last = RECIPE.warm_up - 1, RECIPE.warm_up + 1
    for number in range(first, last + 1):
        whole.step(batch, number)
    for number in range(first, last):
        half.step(batch, number)
    other = fresh()
    other.load_state(half.state())
    other.step(batch, last)
    assert same(whole.state(), other.state())


def test_losses_fall(some: Lessons) -> None:
    """The same few sentences over and over: what is made comes nearer to what was recorded."""
    one = fresh(replace(RECIPE, learning_rate=8e-3))
    batch = batch_of(some)
    seen = [one.step(batch, RECIPE.warm_up + number % 3) for number in range(18)]
    first, last = seen[:3], seen[-3:]

    def mean(which: list[tuner.Losses], name: str) -> float:
        return float(np.mean([getattr(each, name) for each in which]))

    assert all(losses.finite for losses in seen)
    assert mean(last, "mel") < 0.7 * mean(first, "mel")
    assert mean(last, "duration") < 0.7 * mean(first, "duration")
    assert mean(last, "kl") < 0.7 * mean(first, "kl")
    assert mean(last, "adversaries") < mean(first, "adversaries")


def test_the_rate_falls_along_a_line() -> None:
    recipe = Recipe(steps=1_000, learning_rate=1e-3, last_rate=0.1)
    assert recipe.rate_at(0) == 1e-3
    assert recipe.rate_at(500) == pytest.approx(5.5e-4)
    assert recipe.rate_at(1_000) == pytest.approx(1e-4)


def test_a_recipe_says_everything_that_is_wrong_with_it() -> None:
    with pytest.raises(TwinError, match=r"steps must be above warm_up; batch must be 1 to 64"):
        Recipe(steps=10, warm_up=20, batch=0)
    with pytest.raises(TwinError, match="learning_rate"):
        Recipe(learning_rate=float("nan"))


@pytest.mark.parametrize("seed", [-1, 2**31, 2**70])
def test_a_seed_that_something_cannot_draw_by_is_refused(seed: int) -> None:
    with pytest.raises(TwinError, match="seed must be 0 to 2147483647"):
        Recipe(seed=seed)


def test_the_largest_seed_draws(some: Lessons) -> None:
    recipe = replace(RECIPE, seed=tuner.MOST_SEED)
    assert lessons.order(some.training, 2, recipe.seed, epoch=0)
    assert fresh(recipe).step(batch_of(some), 0).finite


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 0.0, -1.0])
@pytest.mark.parametrize("name", ["mel", "kl"])
def test_a_weight_that_is_none_is_refused(name: str, weight: float) -> None:
    with pytest.raises(TwinError, match=f"{name} must be above 0 and finite"):
        replace(RECIPE, **{name: weight})
