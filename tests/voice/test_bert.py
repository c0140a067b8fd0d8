"""BERT's heard layers: against transformers' own BERT with random weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from aitwin.errors import TwinError
from aitwin.voice.bert import Bert

WORDS, WIDTH, LAYERS, LONGEST = 60, 128, 5, 24


@pytest.fixture(scope="module")
def host() -> torch.nn.Module:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=LONGEST,
    )
    model = BertModel(config).eval()
    for parameter in model.parameters():
        # As they are at first, biases are 0 and norms 1: a mix-up of them would pass.
        torch.nn.init.normal_(parameter, 0.05, 0.2)
    return model


@pytest.fixture
def weights(host: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {f"bert.{name}": tensor.clone() for name, tensor in host.state_dict().items()}


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    # As in the official file, an entry is a separator of lines, and none but "\n" ends one.
    entries = ["\u2028", *(f"word{number}" for number in range(WORDS - 1))]
    path.write_text("".join(f"{entry}\n" for entry in entries), "utf-8")
    return path


def saved(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    return path


@pytest.mark.parametrize("tokens", [1, 2, 13, LONGEST])
def test_features_are_the_third_last_state_of_transformers_bert(
    tmp_path: Path,
    host: torch.nn.Module,
    weights: dict[str, torch.Tensor],
    vocabulary: Path,
    tokens: int,
) -> None:
    """S1: the oracle of what goes into `ja_bert`."""
    bert = Bert.load(saved(tmp_path, weights), vocabulary)
    ids = np.random.default_rng(tokens).integers(0, WORDS, tokens).tolist()
    with torch.inference_mode():
        states = host(torch.tensor([ids]), output_hidden_states=True).hidden_states
    features = bert.features(ids)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, states[-3][0].numpy(), atol=2e-5)
    assert np.abs(features - states[-2][0].numpy()).max() > 0.1


def test_the_names_of_the_published_file_are_read(
    tmp_path: Path, weights: dict[str, torch.Tensor], vocabulary: Path
) -> None:
    """It says gamma and beta, and holds what nobody needs here."""
    published = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in weights.items()
    }
    published["cls.predictions.bias"] = torch.full((WORDS,), float("nan"))
    published["bert.embeddings.position_ids"] = torch.arange(LONGEST)[None]
    ids = [1, 5, 9, 2]
    bert = Bert.load(saved(tmp_path, published), vocabulary)
    plain = {name.removeprefix("bert."): tensor for name, tensor in weights.items()}
    other = Bert.load(saved(tmp_path / "..", plain), vocabulary)
    np.testing.assert_array_equal(bert.features(ids), other.features(ids))
    assert not any("layer.3" in name or "layer.4" in name for name in bert.weights)
    assert "tensor" not in repr(bert)


@pytest.mark.parametrize("ids", [[], [0] * (LONGEST + 1), [0, WORDS], [-1, 0]])
def test_ids_that_are_none(
    tmp_path: Path, weights: dict[str, torch.Tensor], vocabulary: Path, ids: list[int]
) -> None:
    bert = Bert.load(saved(tmp_path, weights), vocabulary)
    with pytest.raises(ValueError, match=rf"1 to {LONGEST} ids, each under {WORDS}"):
        bert.features(ids)


def without(part: str) -> Callable[[dict[str, torch.Tensor]], object]:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if part in name]:
            del weights[name]

    return spoil


def narrow(weights: dict[str, torch.Tensor]) -> None:
    name = "bert.encoder.layer.1.output.dense.weight"
    weights[name] = weights[name][:, :-1].contiguous()


def not_a_number(weights: dict[str, torch.Tensor]) -> None:
    weights["bert.encoder.layer.2.attention.self.key.bias"][0] = float("nan")


def not_a_number_in_a_rare_word(weights: dict[str, torch.Tensor]) -> None:
    weights["bert.embeddings.word_embeddings.weight"][WORDS - 1, 3] = float("nan")


def infinity_at_a_late_place(weights: dict[str, torch.Tensor]) -> None:
    weights["bert.embeddings.position_embeddings.weight"][LONGEST - 1, 3] = float("-inf")


def layer_without_a_number(weights: dict[str, torch.Tensor]) -> None:
    weights["bert.encoder.layer.foo.x"] = torch.zeros(1)


def layer_below_the_first(weights: dict[str, torch.Tensor]) -> None:
    weights["bert.encoder.layer.-1.x"] = torch.zeros(1)


def whole_numbers(weights: dict[str, torch.Tensor]) -> None:
    name = "bert.embeddings.position_embeddings.weight"
    weights[name] = weights[name].long()


def nothing_in_it(weights: dict[str, torch.Tensor]) -> None:
    name = "bert.embeddings.word_embeddings.weight"
    weights[name] = weights[name][:0].clone()


@pytest.mark.parametrize(
    "spoil",
    [
        without("position_embeddings"),
        without("layer.0.intermediate"),
        without("embeddings.LayerNorm"),
        without("layer.1.attention.self.query"),
        without("encoder"),
        without("layer.2."),
        narrow,
        not_a_number,
        not_a_number_in_a_rare_word,
        infinity_at_a_late_place,
        layer_without_a_number,
        layer_below_the_first,
        whole_numbers,
        nothing_in_it,
    ],
)
def test_weights_with_parts_missing_or_spoilt(
    tmp_path: Path,
    weights: dict[str, torch.Tensor],
    vocabulary: Path,
    spoil: Callable[[dict[str, torch.Tensor]], object],
) -> None:
    spoil(weights)
    with pytest.raises(TwinError, match=r"model\.safetensors holds no BERT.*bert-base-uncased"):
        Bert.load(saved(tmp_path, weights), vocabulary)


def test_the_vocabulary_of_another_bert_is_refused(
    tmp_path: Path, weights: dict[str, torch.Tensor], vocabulary: Path
) -> None:
    path = saved(tmp_path, weights)
    vocabulary.write_text("one\ntwo\n", "utf-8")
    with pytest.raises(TwinError, match=r"vocab\.txt has 2 entries.*is made for 60.*twin models"):
        Bert.load(path, vocabulary)
    vocabulary.write_bytes(b"\xff\xfe")
    with pytest.raises(TwinError, match=r"vocab\.txt cannot be read.*bert-base-uncased"):
        Bert.load(path, vocabulary)
    with pytest.raises(TwinError, match=r"none\.safetensors is missing.*bert-base-uncased"):
        Bert.load(tmp_path / "none.safetensors", vocabulary)
