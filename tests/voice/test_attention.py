"""The transformer of VITS: against transformers' VITS modules with random weights."""

import pytest
import torch

from aitwin.voice.attention import ROWS, SPEAKER_LAYER, FeedForward, RelativeAttention, Transformer

CHANNELS, INNER, SPEAKER = 24, 40, 5


def roughened(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every parameter random, so that none can be left out or mixed up unnoticed."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.3)
    return module.eval()


def some(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("time", [1, 3, 5, 40, ROWS, ROWS + 3, 2 * ROWS + 40])
def test_attention_and_feed_forward_agree_with_transformers(time: int) -> None:
    """S1. Fewer steps than the window reaches, and more."""
    from transformers import VitsConfig
    from transformers.models.vits.modeling_vits import VitsAttention, VitsFeedForward

    config = VitsConfig(
        hidden_size=CHANNELS,
        num_attention_heads=3,
        ffn_dim=INNER,
        ffn_kernel_size=4,  # even: what is padded more is the end
    )
    ours = roughened(RelativeAttention(CHANNELS, 3, 0.1))
    theirs = VitsAttention(config).eval()
    names = {"q_proj": "conv_q", "k_proj": "conv_k", "v_proj": "conv_v", "out_proj": "conv_o"}
    state = ours.state_dict()
    theirs.load_state_dict(
        {
            **{
                f"{their}.{part}": state[f"{our}.{part}"].reshape(
                    (CHANNELS, CHANNELS) if part == "weight" else (CHANNELS,)
                )
                for their, our in names.items()
                for part in ("weight", "bias")
            },
            "emb_rel_k": state["emb_rel_k"],
            "emb_rel_v": state["emb_rel_v"],
        }
    )
    x = some(2, CHANNELS, time)
    with torch.inference_mode():
        expected = theirs(x.transpose(1, 2))[0].transpose(1, 2)
        torch.testing.assert_close(ours(x, None), expected, atol=1e-5, rtol=1e-5)

        feed, host = roughened(FeedForward(CHANNELS, INNER, 4, 0.1)), VitsFeedForward(config).eval()
        host.load_state_dict(feed.state_dict())
        mask = torch.ones(2, 1, time)
        mask[1, :, time // 2 :] = 0
        expected = host(x.transpose(1, 2), mask.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(feed(x, mask), expected, atol=1e-5, rtol=1e-5)


@pytest.fixture
def transformer() -> torch.nn.Module:
    return roughened(
        Transformer(CHANNELS, INNER, heads=2, layers=4, kernel=3, dropout=0.1, speaker=SPEAKER)
    )


@pytest.mark.parametrize(("time", "shorter"), [(17, 9), (ROWS + 30, ROWS + 10), (ROWS + 30, 20)])
def test_a_sentence_in_a_batch_is_the_sentence_alone(
    transformer: torch.nn.Module, time: int, shorter: int
) -> None:
    """What pads the shorter one is neither heard nor given."""
    x, g = some(2, CHANNELS, time), some(2, SPEAKER, 1, seed=2)
    mask = torch.ones(2, 1, time)
    mask[1, :, shorter:] = 0
    with torch.inference_mode():
        both = transformer(x, mask, g)
        alone = transformer(x[1:, :, :shorter], None, g[1:])
    torch.testing.assert_close(both[1:, :, :shorter], alone, atol=1e-5, rtol=1e-5)
    assert not both[1, :, shorter:].any()
    assert both[0, :, shorter:].any()


def test_the_speaker_joins_before_the_third_layer(transformer: torch.nn.Module) -> None:
    """MeloTTS: the first two layers say what is said, whoever says it."""
    seen: list[torch.Tensor] = []
    for layer in transformer.attn_layers:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    x = some(1, CHANNELS, 6)
    with torch.inference_mode():
        for seed in (1, 2):
            transformer(x, None, some(1, SPEAKER, 1, seed=seed))
    one, other = seen[:4], seen[4:]
    alike = [torch.equal(a, b) for a, b in zip(one, other, strict=True)]
    assert alike == [True] * SPEAKER_LAYER + [False] * 2


def test_dropout_acts_in_training_alone(transformer: torch.nn.Module) -> None:
    x, g = some(1, CHANNELS, 6), some(1, SPEAKER, 1)
    assert torch.equal(transformer(x, None, g), transformer(x, None, g))
    transformer.train()
    assert not torch.equal(transformer(x, None, g), transformer(x, None, g))


def test_gradients_reach_every_parameter(transformer: torch.nn.Module) -> None:
    """S6: fine-tuning needs them, and the attention writes into tensors by index."""
    mask = torch.ones(1, 1, 12)
    transformer(some(1, CHANNELS, 12), mask, some(1, SPEAKER, 1)).square().sum().backward()
    still = [
        name
        for name, parameter in transformer.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # The bias of the keys adds the same to every score, which the softmax takes out again; what
    # the rounding leaves of it is none of ours.
    assert [name for name in still if "conv_k.bias" not in name] == []


def test_sizes_that_fit_no_checkpoint() -> None:
    with pytest.raises(ValueError, match="24 channels cannot be shared by 5 heads"):
        RelativeAttention(24, 5, 0.0)
    with pytest.raises(ValueError, match="more than 2 layers are wanted, not 2"):
        Transformer(8, 8, heads=2, layers=2, kernel=3, dropout=0.0, speaker=2)
