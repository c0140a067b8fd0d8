"""The shared parts of VITS: they invert, mask and train. Their values: see test_converter."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from aitwin.voice import vits

MODEL: dict[str, Any] = {
    "resblock": "1",
    "upsample_initial_channel": 16,
    "upsample_rates": [4, 2],
    "upsample_kernel_sizes": [8, 2],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3], [1, 2]],
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The tests of other rooms run beside these."""
    torch.set_num_threads(1)


def filled(module: nn.Module, seed: int = 0) -> nn.Module:
    """With values of which none is zero, so that nothing passes by being absent."""
    random = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.3
    return module


def frames(channels: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(2, channels, length, generator=torch.Generator().manual_seed(seed))


def lengths(length: int) -> torch.Tensor:
    mask = torch.ones(2, 1, length)
    mask[1, :, length // 2 :] = 0
    return mask


@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_a_flow_is_undone_by_its_inverse(masked: bool) -> None:
    flow = filled(vits.CouplingFlow.of_wavenets(6, 8, condition=3))
    mask = lengths(40) if masked else None
    x, told = vits.masked(frames(6, 40), mask), frames(3, 1)
    there = flow(x, mask, told)
    assert float((there - x).abs().mean()) > 0.1
    torch.testing.assert_close(flow.inverse(there, mask, told), x, rtol=1e-4, atol=1e-4)
    assert float((flow.inverse(there, mask, told + 1) - x).abs().mean()) > 0.1


@torch.no_grad()
def test_a_new_flow_only_flips() -> None:
    flow = vits.CouplingFlow.of_wavenets(6, 8)
    torch.testing.assert_close(flow(frames(6, 9)), frames(6, 9))


@pytest.mark.parametrize(
    ("make", "reach"),
    [
        (lambda: vits.PosteriorEncoder(10, 4, 6), vits.POSTERIOR_REACH),
        (lambda: vits.CouplingFlow.of_wavenets(10, 6), vits.FLOW_REACH),
    ],
)
@torch.no_grad()
def test_a_frame_is_heard_as_far_as_stated_and_no_farther(make: Any, reach: int) -> None:
    """The converter cuts long sounds by these numbers."""
    module, x = filled(make()).double(), frames(10, 121).double()
    changed = x.clone()
    changed[..., 60] += 1
    one, other = module(x), module(changed)
    one, other = (y[0] if isinstance(y, tuple) else y for y in (one, other))
    touched = ((one - other).abs() > 0).any(1).any(0).nonzero().ravel()
    assert [int(touched[0]), int(touched[-1])] == [60 - reach, 60 + reach]


@torch.no_grad()
def test_frames_that_do_not_count_change_nothing() -> None:
    encoder = filled(vits.PosteriorEncoder(9, 4, 6, condition=3))
    mask, told, x = lengths(40), frames(3, 1), frames(9, 40)
    noisy = x + 100 * (1 - mask)
    for one, other in zip(encoder(x, mask, told), encoder(noisy, mask, told), strict=True):
        torch.testing.assert_close(one, other)
        assert float(one[1, :, 20:].abs().max()) == 0
    alone = encoder(x[1:, :, :20], None, told[1:])[0]
    torch.testing.assert_close(encoder(x, mask, told)[0][1:, :, :20], alone)


def test_every_parameter_learns_under_weight_norm() -> None:
    parts = nn.ModuleDict(
        {
            "enc": vits.PosteriorEncoder(9, 4, 6, condition=3),
            "flow": filled(vits.CouplingFlow.of_wavenets(4, 6, condition=3)),
            "dec": vits.Decoder(4, vits.Upsampling.of(MODEL), condition=3),
        }
    )
    for module in list(parts.modules()):
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            weight_norm(module)
    told = frames(3, 1)
    mean, spread = parts["enc"](frames(9, 20), lengths(20), told)
    z = mean + torch.randn_like(mean) * spread.exp()
    loss = parts["dec"](z, told).abs().mean() + parts["flow"](z, lengths(20), told).pow(2).mean()
    loss.backward()
    without = [name for name, p in parts.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_sizes_are_those_of_the_config() -> None:
    decoder = vits.Decoder(4, vits.Upsampling.of(MODEL))
    assert decoder.sizes.hop == 8
    assert decoder.sizes.block_reach == max((1 + 1) + (3 + 1), (2 + 2) + (4 + 2))
    assert decoder(frames(4, 5)).shape == (2, 1, 40)
    assert decoder.state_dict()["resblocks.3.convs1.1.weight"].shape == (4, 4, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"resblock": "2"},
        {"upsample_rates": [4]},
        {"upsample_rates": [], "upsample_kernel_sizes": []},
        {"upsample_rates": [4, 3]},
        {"upsample_kernel_sizes": [3, 2]},
        {"upsample_initial_channel": 18},
        {"upsample_initial_channel": 0},
        {"upsample_rates": [0, 2], "upsample_kernel_sizes": [0, 2]},
        {"resblock_kernel_sizes": [3, 4]},
        {"resblock_dilation_sizes": [[1, 3]]},
    ],
)
def test_sizes_that_do_not_fit_each_other_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|wants|only|not a count"):
        vits.Upsampling.of(MODEL | change)


def test_frames_lie_as_librosa_would_have_them() -> None:
    """The middle of frame k is sample k * hop + hop / 2, and a tone lands in its bin."""
    window, hop, rate = 64, 16, 6400
    tone = np.sin(2 * np.pi * 1000 * np.arange(800) / rate).astype(np.float32)
    found = vits.magnitudes(vits.mirrored(tone, window, hop), window, hop)
    assert found.shape == (800 // hop, window // 2 + 1)
    assert (found[2:-2].argmax(1) == 1000 * window // rate).all()
    click = np.zeros(800, np.float32)
    click[10 * hop + hop // 2] = 1
    loud = vits.magnitudes(vits.mirrored(click, window, hop), window, hop).sum(1)
    assert int(loud.argmax()) == 10
