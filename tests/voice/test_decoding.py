"""The decoder made ready to infer says what the decoder says, in whatever spans it passes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from test_vits import MODEL, filled, frames

from aitwin.voice import vits
from aitwin.voice.decoding import Decoding, Span
from aitwin.voice.placing import BACKENDS, Placing

MELO = MODEL | {"upsample_rates": [2, 2, 2], "upsample_kernel_sizes": [6, 2, 4]}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The tests of other rooms run beside these."""
    torch.set_num_threads(1)


def decoder(model: dict[str, object], condition: int = 3) -> vits.Decoder:
    made = filled(vits.Decoder(4, vits.Upsampling.of(model), condition=condition))
    assert isinstance(made, vits.Decoder)
    return made.requires_grad_(False)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", [MODEL, MELO])
@pytest.mark.parametrize("span", [1, 3, 8, 100])
def test_spans_say_the_same_as_the_whole(backend: str, model: dict[str, object], span: int) -> None:
    whole = decoder(model)
    z, told = frames(4, 25), frames(3, 1)
    ready = Decoding(whole, Placing(backend=backend), span=span)
    with ready.placing.engaged():
        torch.testing.assert_close(ready(z, told), whole(z, told), rtol=0, atol=2e-5)
        part = ready(z, told, Span(5, 17))
        torch.testing.assert_close(part, whole(z, told)[..., 40:136], rtol=0, atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_decoder_that_trains_goes_on_by_itself(backend: str) -> None:
    """Fine-tuning lets one hear samples between its steps."""
    whole = decoder(MODEL).requires_grad_(True)
    before = {name: value.stride() for name, value in whole.named_parameters()}
    ready = Decoding(whole, Placing(backend=backend))
    with torch.inference_mode():
        said = ready(frames(4, 9))
        for value in whole.parameters():
            value.mul_(0.5)
        assert torch.equal(ready(frames(4, 9)), said)
    assert {name: value.stride() for name, value in whole.named_parameters()} == before


def test_without_a_condition() -> None:
    whole = decoder(MODEL, condition=0)
    ready = Decoding(whole, Placing())
    torch.testing.assert_close(ready(frames(4, 9)), whole(frames(4, 9)), rtol=0, atol=2e-5)


@pytest.mark.parametrize("model", [MODEL, MELO])
def test_its_reach_is_what_a_frame_hears(model: dict[str, object]) -> None:
    whole = decoder(model).double()
    reach = Decoding(decoder(model), Placing()).reach
    z = frames(4, 2 * reach + 9)[:1].double()
    middle = reach + 4
    hop = whole.sizes.hop
    sound = slice(middle * hop, (middle + 1) * hop)

    def hears(frame: int) -> bool:
        changed = z.clone()
        changed[..., frame] += 1
        return not torch.equal(whole(z)[..., sound], whole(changed)[..., sound])

    # On one side the kernels may reach less far than on the other.
    assert hears(middle - reach) or hears(middle + reach)
    assert not hears(middle - reach - 1)
    assert not hears(middle + reach + 1)


def test_the_work_around_a_span_is_small() -> None:
    """With the official sizes: 13 frames of 256 hear into a span, and late layers fewer."""
    official = MODEL | {
        "upsample_initial_channel": 16,
        "upsample_rates": [8, 8, 2, 2],
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    }
    ready = Decoding(decoder(official), Placing())
    assert ready.reach == 13
    plan = ready._plan(Span(1000, 1256), 5000)
    extra = [
        (inside.stop - inside.start) / rate / 256 - 1
        for (_, inside), rate in zip(plan, (8, 64, 128, 256), strict=True)
    ]
    assert extra == sorted(extra, reverse=True)
    assert extra[0] < 0.08
    assert extra[-1] < 0.002


def test_threads_do_not_disturb_each_other() -> None:
    ready = Decoding(decoder(MODEL), Placing(), span=7)
    latents = [frames(4, 30, seed) for seed in range(6)]

    def say(z: torch.Tensor) -> torch.Tensor:
        with ready.placing.engaged():
            return ready(z)

    alone = [say(z) for z in latents]
    with ThreadPoolExecutor(3) as threads:
        for one, other in zip(alone, threads.map(say, latents), strict=True):
            assert torch.equal(one, other)
