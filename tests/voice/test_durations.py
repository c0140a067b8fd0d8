"""Durations: the spline by its mathematics, the networks against transformers' VITS modules."""

import copy

import pytest
import torch

from aitwin.voice.durations import (
    BINS,
    BOUND,
    Duration,
    SplineCoupling,
    StochasticDuration,
    spline,
)
from tests.voice.test_attention import roughened, some

CHANNELS, SPEAKER, TIME = 12, 5, 15


def drawn_shape(count: int, scale: float = 2.0) -> torch.Tensor:
    return some(count, 3 * BINS - 1, seed=3).double() * scale


@pytest.mark.parametrize("scale", [0.0, 0.5, 4.0])
def test_a_spline_undoes_itself_rises_and_knows_its_slope(scale: float) -> None:
    x = torch.linspace(-1.4 * BOUND, 1.4 * BOUND, 501, dtype=torch.float64).requires_grad_()
    shape = drawn_shape(1, scale).expand(501, -1)
    y, log_slope = spline(x, shape, inverse=False)
    assert (y.diff() > 0).all()
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slope.exp(), slope, atol=1e-9, rtol=1e-9)
    back, log_back = spline(y, shape, inverse=True)
    torch.testing.assert_close(back, x, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(log_back, -log_slope, atol=1e-7, rtol=1e-7)


def test_a_spline_is_the_identity_outside_and_meets_it_smoothly() -> None:
    x = torch.tensor([-9.0, -BOUND, BOUND, 7.0], dtype=torch.float64)
    for inverse in (False, True):
        y, log_slope = spline(x, drawn_shape(4), inverse=inverse)
        torch.testing.assert_close(y, x)
        torch.testing.assert_close(log_slope, torch.zeros_like(x), atol=1e-12, rtol=0)


def test_extreme_shapes_give_numbers_and_gradients() -> None:
    """In float32, as it runs: training has seen logits of such a size."""
    shape = (some(64, 3 * BINS - 1) * 30).requires_grad_()
    x = (some(64) * 3).requires_grad_()
    for inverse in (False, True):
        y, log_slope = spline(x, shape, inverse=inverse)
        assert y.isfinite().all()
        assert log_slope.isfinite().all()
        for gradient in torch.autograd.grad(y.sum() + log_slope.sum(), (x, shape)):
            assert gradient.isfinite().all()


def mapped(name: str) -> str:
    """An official name to that of transformers, whose flows are not counted with their flips."""
    head, *rest = name.split(".")
    if head in ("flows", "post_flows"):
        number = int(rest[0])
        part = ".".join(rest[1:])
        part = part.replace("logs", "log_scale") if number == 0 else part
        part = {"m": "translate"}.get(part, part)
        return f"{head}.{(number + 1) // 2}.{inner(part)}"
    return inner(name)


def inner(name: str) -> str:
    for official, theirs in (
        ("post_convs.", "post_conv_dds."),
        ("post_pre.", "post_conv_pre."),
        ("post_proj.", "post_conv_proj."),
        ("convs_sep", "convs_dilated"),
        ("convs_1x1", "convs_pointwise"),
    ):
        name = name.replace(official, theirs)
    for official, theirs in (
        ("convs.", "conv_dds."),
        ("pre.", "conv_pre."),
        ("proj.", "conv_proj."),
    ):
        if name.startswith(official):
            name = theirs + name.removeprefix(official)
    return name.replace("gamma", "weight").replace("beta", "bias")


@pytest.fixture(scope="module")
def pair() -> tuple[StochasticDuration, torch.nn.Module]:
    """Ours, and transformers' with the same weights."""
    from transformers import VitsConfig
    from transformers.models.vits.modeling_vits import VitsStochasticDurationPredictor

    ours = roughened(StochasticDuration(CHANNELS, 0.5, SPEAKER))
    config = VitsConfig(hidden_size=CHANNELS, speaker_embedding_size=SPEAKER)
    theirs = VitsStochasticDurationPredictor(config).eval()
    theirs.load_state_dict(
        {mapped(name): tensor for name, tensor in ours.state_dict().items()}, strict=True
    )
    return ours, theirs


def test_drawn_durations_agree_with_transformers(
    pair: tuple[StochasticDuration, torch.nn.Module],
) -> None:
    """S1."""
    ours, theirs = pair
    x, g = some(2, CHANNELS, TIME), some(2, SPEAKER, 1, seed=2)
    mask = torch.ones(2, 1, TIME)
    mask[1, :, 9:] = 0
    torch.manual_seed(7)
    with torch.inference_mode():
        expected = theirs(x, mask, g, reverse=True, noise_scale=0.8)
        torch.manual_seed(7)
        drawn = ours(x, mask, g, torch.randn(2, 2, TIME) * 0.8)
    torch.testing.assert_close(drawn, expected, atol=1e-4, rtol=1e-4)
    assert drawn[0].std() > 0.1


class Unflipped(torch.nn.Module):
    """The first flow of transformers, without the flip that follows it there alone.

    In that direction, which it does not train, transformers is no inverse of its own other one:
    neither the paper nor the published checkpoints have a flip there.
    """

    def __init__(self, flow: torch.nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, **given: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        y, log_determinant = self.flow(x, mask, **given)
        return y.flip(1), log_determinant


def test_the_likelihood_of_durations_agrees_with_transformers(
    pair: tuple[StochasticDuration, torch.nn.Module],
) -> None:
    """S6: the training direction."""
    ours, theirs = pair
    theirs = copy.deepcopy(theirs)
    for flows in (theirs.flows, theirs.post_flows):
        flows[0] = Unflipped(flows[0])
    x, g = some(2, CHANNELS, TIME), some(2, SPEAKER, 1, seed=2)
    mask = torch.ones(2, 1, TIME)
    mask[1, :, 9:] = 0
    durations = torch.randint(1, 9, (2, 1, TIME), generator=torch.Generator().manual_seed(1)) * mask
    torch.manual_seed(7)
    with torch.inference_mode():
        expected = theirs(x, mask, g, durations)
        torch.manual_seed(7)
        said = ours.nll(x, mask, durations, g, torch.randn(2, 2, TIME))
    torch.testing.assert_close(said, expected, atol=1e-3, rtol=1e-4)


def test_a_shorter_sentence_in_a_batch_is_as_likely_as_alone(
    pair: tuple[StochasticDuration, torch.nn.Module],
) -> None:
    ours, _ = pair
    x, g, noise = some(2, CHANNELS, TIME), some(2, SPEAKER, 1), some(2, 2, TIME, seed=5)
    mask = torch.ones(2, 1, TIME)
    mask[1, :, 9:] = 0
    durations = torch.full((2, 1, TIME), 3.0) * mask
    with torch.inference_mode():
        both = ours.nll(x, mask, durations, g, noise)
        alone = ours.nll(
            x[1:, :, :9], mask[1:, :, :9], durations[1:, :, :9], g[1:], noise[1:, :, :9]
        )
    torch.testing.assert_close(both[1:], alone, atol=1e-3, rtol=1e-4)


def test_guessed_durations_agree_with_transformers() -> None:
    """S1."""
    from transformers import VitsConfig
    from transformers.models.vits.modeling_vits import VitsDurationPredictor

    ours = roughened(Duration(CHANNELS, 16, 0.5, SPEAKER))
    config = VitsConfig(
        hidden_size=CHANNELS,
        speaker_embedding_size=SPEAKER,
        duration_predictor_filter_channels=16,
        duration_predictor_kernel_size=3,
    )
    theirs = VitsDurationPredictor(config).eval()
    theirs.load_state_dict(
        {
            name.replace("gamma", "weight").replace("beta", "bias"): tensor
            for name, tensor in ours.state_dict().items()
        }
    )
    x, g = some(2, CHANNELS, TIME), some(2, SPEAKER, 1)
    mask = torch.ones(2, 1, TIME)
    mask[1, :, 4:] = 0
    with torch.inference_mode():
        torch.testing.assert_close(ours(x, mask, g), theirs(x, mask, g), atol=1e-5, rtol=1e-5)


def test_durations_are_learnt_and_do_not_shape_the_text_encoder() -> None:
    """S6: gradients reach the network's own parameters, and stop before the states."""
    ours = roughened(StochasticDuration(CHANNELS, 0.0, SPEAKER)).train()
    x, g = some(1, CHANNELS, TIME).requires_grad_(), some(1, SPEAKER, 1).requires_grad_()
    mask = torch.ones(1, 1, TIME)
    ours.nll(x, mask, mask * 4, g, some(1, 2, TIME)).sum().backward()
    assert x.grad is None
    assert g.grad is None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours.parameters())


def test_a_new_coupling_hardly_moves_anything() -> None:
    """Fresh weights make even slopes: training starts at the identity's neighbourhood."""
    x, mask = some(1, 2, TIME), torch.ones(1, 1, TIME)
    with torch.inference_mode():
        y, log_determinant = SplineCoupling(CHANNELS)(x, mask, some(1, CHANNELS, TIME))
    torch.testing.assert_close(y, x, atol=0.5, rtol=0.1)
    assert log_determinant.isfinite().all()
