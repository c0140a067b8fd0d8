"""MeloTTS's network: its sizes and names, in batches and in training."""

from typing import Any

import pytest
import torch

from aitwin.voice.synthesizer import FEATURES, Sizes, Synthesizer
from tests.voice import small_melo
from tests.voice.test_attention import some

OFFICIAL = {
    "data": {
        "sampling_rate": 44_100,
        "filter_length": 2_048,
        "hop_length": 512,
        "n_speakers": 256,
        "spk2id": {"EN-US": 0},
    },
    "model": {
        **small_melo.CONFIG["model"],
        "inter_channels": 192,
        "hidden_channels": 192,
        "filter_channels": 768,
        "n_layers": 6,
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "upsample_rates": [8, 8, 2, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 8, 2, 2],
        "gin_channels": 256,
    },
    "symbols": ["_"] * 219,
    "num_tones": 16,
    "num_languages": 10,
}
"""The sizes of the published English config."""


def test_the_official_sizes_make_the_published_network() -> None:
    """51.8 million parameters, of which it speaks with 42.9; the rest is for training."""
    with torch.device("meta"):
        speaking = Synthesizer(Sizes.of(OFFICIAL))
        whole = Synthesizer(Sizes.of(OFFICIAL), trainable=True)
    assert sum(p.numel() for p in whole.parameters()) == 51_845_937
    assert sum(p.numel() for p in speaking.parameters()) == 42_942_705
    extra = set(whole.state_dict()) - set(speaking.state_dict())
    assert extra
    assert all(name.startswith("enc_q.") for name in extra)


def test_the_names_are_those_of_the_published_checkpoint(shared: Any) -> None:
    """S1. With weight norm multiplied out, every tensor has its place and none is left."""
    import json

    from aitwin.voice import checkpoint

    melo = shared / "golden" / "melo"
    sizes = Sizes.of(json.loads((melo / "config.json").read_text()))
    with torch.device("meta"):
        whole = Synthesizer(sizes, trainable=True)
    published = checkpoint.fused(checkpoint.read(melo / "checkpoint.pth", "pull it"))
    assert {name: tensor.shape for name, tensor in whole.state_dict().items()} == {
        name: tensor.shape for name, tensor in published.items()
    }


def change(**parts: dict[str, Any] | int) -> dict[str, Any]:
    config = small_melo.config()
    for name, values in parts.items():
        if isinstance(values, dict):
            config[name].update(values)
        else:
            config[name] = values
    return config


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (change(model={"use_transformer_flow": False}), "use_transformer_flow is wanted"),
        (change(model={"use_spk_conditioned_encoder": False}), "use_spk_conditioned_encoder"),
        (change(model={"use_vc": True}), "use_vc is wanted to be False"),
        (change(model={"flow_share_parameter": True}), "flow_share_parameter"),
        (change(model={"use_mel_posterior_encoder": True}), "use_mel_posterior_encoder"),
        (change(model={"n_flow_layer": 3}), "n_flow_layer is wanted to be 4"),
        (change(model={"upsample_rates": [4, 2]}), "rates do not make one frame"),
        (change(model={"resblock": "2"}), "residual blocks of kind 1"),
    ],
)
def test_other_networks_are_told_apart(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Sizes.of(config)


@pytest.mark.parametrize("part", ["data", "model", "symbols", "num_tones"])
def test_a_config_must_be_whole(part: str) -> None:
    config = small_melo.config()
    del config[part]
    with pytest.raises(KeyError):
        Sizes.of(config)


def inputs(batch: int, time: int) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(4)
    phones, tones, languages = (
        torch.randint(0, most, (batch, time), generator=random)
        for most in (len(small_melo.SYMBOLS), 16, 10)
    )
    return phones, tones, languages, some(batch, FEATURES, time)


def test_the_text_of_a_batch_is_read_as_alone() -> None:
    """S6: padding is heard by nobody."""
    network = small_melo.network()
    phones, tones, languages, features = inputs(2, 11)
    mask = torch.ones(2, 1, 11)
    mask[1, :, 6:] = 0
    g = network.emb_g(torch.tensor([0, 2])).unsqueeze(2)
    with torch.inference_mode():
        both = network.enc_p(phones, tones, languages, features, mask, g)
        alone = network.enc_p(
            phones[1:, :6],
            tones[1:, :6],
            languages[1:, :6],
            features[1:, :, :6],
            None,
            g[1:],
        )
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one[1:, :, :6], other, atol=1e-5, rtol=1e-5)
        assert not one[1, :, 6:].any()


def test_the_flow_undoes_itself() -> None:
    network = small_melo.network()
    z, g = some(2, 6, 13), network.emb_g(torch.tensor([0, 1])).unsqueeze(2)
    mask = torch.ones(2, 1, 13)
    mask[1, :, 8:] = 0
    with torch.inference_mode():
        prior = network.flow(z * mask, mask, g)
        back = network.flow.inverse(prior, mask, g)
    torch.testing.assert_close(back, z * mask, atol=1e-5, rtol=1e-5)
    assert (prior - z * mask).abs().max() > 0.05


def test_what_is_told_apart_is_heard() -> None:
    """Phone, tone, language, feature and speaker each change the states."""
    network = small_melo.network()
    phones, tones, languages, features = inputs(1, 7)
    g = network.emb_g(torch.tensor([0])).unsqueeze(2)
    with torch.inference_mode():
        plain = network.enc_p(phones, tones, languages, features, None, g)[0]
        changed = [
            network.enc_p((phones + 1) % 40, tones, languages, features, None, g)[0],
            network.enc_p(phones, (tones + 1) % 16, languages, features, None, g)[0],
            network.enc_p(phones, tones, (languages + 1) % 10, features, None, g)[0],
            network.enc_p(phones, tones, languages, features * 0.9, None, g)[0],
            network.enc_p(phones, tones, languages, features, None, g * 0.9)[0],
        ]
    assert all((plain - other).abs().max() > 1e-3 for other in changed)


def test_all_that_training_needs_can_be_learnt() -> None:
    """S6: one step of the whole model, by its parts, reaches all parameters but the unheard."""
    network = small_melo.network(trainable=True).train()
    phones, tones, languages, features = inputs(1, 7)
    g = network.emb_g(torch.tensor([2])).unsqueeze(2)
    mask = torch.ones(1, 1, 7)
    states, mean, log_deviation = network.enc_p(phones, tones, languages, features, mask, g)
    latent, spread = network.enc_q(some(1, 33, 9), torch.ones(1, 1, 9), g)
    prior = network.flow(latent + spread.exp(), torch.ones(1, 1, 9), g)
    loss = (
        network.dec(latent, g).square().mean()
        + prior.square().mean()
        + mean.square().mean()
        + log_deviation.square().mean()
        + network.sdp.nll(states, mask, mask * 2, g, some(1, 2, 7)).sum()
        + network.dp(states, mask, g).square().mean()
    )
    loss.backward()
    untouched = {name for name, p in network.named_parameters() if p.grad is None}
    assert untouched == {"enc_p.bert_proj.weight"}  # English has no Chinese features
