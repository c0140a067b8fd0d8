"""A MeloTTS that is small and random: its files, and what turns a few words into its numbers."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from aitwin.voice.bert import Bert
from aitwin.voice.g2p import G2P, Network
from aitwin.voice.melo_text import FrontEnd, Vocabulary
from aitwin.voice.synthesizer import FEATURES, Sizes, Synthesizer

PHONES = "aa ae ah ao aw ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw"
SYMBOLS = ["_", *f"{PHONES} V w y z zh".split(), *"!?.,'-", "UNK"]
WORDS = {
    "HELLO": "HH AH0 L OW1",
    "WORLD": "W ER1 L D",
    "YES": "Y EH1 S",
    "GOOD": "G UH1 D",
    "MORNING": "M AO1 R N IH0 NG",
}
CONFIG: dict[str, Any] = {
    "data": {
        "sampling_rate": 8_000,
        "filter_length": 64,
        "hop_length": 16,
        "n_speakers": 4,
        "spk2id": {"EN-US": 0, "EN-BR": 2},
    },
    "model": {
        "use_spk_conditioned_encoder": True,
        "inter_channels": 6,
        "hidden_channels": 8,
        "filter_channels": 12,
        "n_heads": 2,
        "n_layers": 3,
        "n_layers_trans_flow": 3,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3], [1, 2]],
        "upsample_rates": [4, 4],
        "upsample_initial_channel": 16,
        "upsample_kernel_sizes": [8, 6],
        "gin_channels": 5,
    },
    "symbols": SYMBOLS,
    "num_tones": 16,
    "num_languages": 10,
}


def config() -> dict[str, Any]:
    """CONFIG, to be changed at will."""
    return copy.deepcopy(CONFIG)


def network(seed: int = 0, *, trainable: bool = False) -> Synthesizer:
    """Random, and never the identity where training starts as one."""
    made = Synthesizer(Sizes.of(CONFIG), trainable=trainable).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) * 0.15)
            if name.endswith("gamma"):
                parameter += 1
        made.dp.proj.bias.fill_(0.6)
    return made


def write(directory: Path, seed: int = 0) -> tuple[Path, Path]:
    """`checkpoint.pth`, with what training needs, and `config.json`."""
    directory.mkdir(exist_ok=True, parents=True)
    checkpoint, path = directory / "checkpoint.pth", directory / "config.json"
    torch.save({"model": network(seed, trainable=True).state_dict()}, checkpoint)
    path.write_text(json.dumps(CONFIG), "utf-8")
    return checkpoint, path


def tokens() -> list[str]:
    """BERT's vocabulary of a few words."""
    return ["[UNK]", "[CLS]", "[SEP]", *(word.lower() for word in WORDS), *".,!?", "##ing"]


def front_end() -> FrontEnd:
    """That knows WORDS, and needs no network for them."""
    return FrontEnd(G2P(WORDS, Network({})), Vocabulary(tokens()), SYMBOLS)


def write_bert(directory: Path) -> tuple[Path, Path]:
    """`model.safetensors` of three layers, of which one is heard, and `vocab.txt`."""
    directory.mkdir(exist_ok=True, parents=True)
    random = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.05

    weights = {
        "bert.embeddings.word_embeddings.weight": some(len(tokens()), FEATURES),
        "bert.embeddings.position_embeddings.weight": some(512, FEATURES),
        "bert.embeddings.token_type_embeddings.weight": some(2, FEATURES),
        "bert.embeddings.LayerNorm.gamma": 1 + some(FEATURES),
        "bert.embeddings.LayerNorm.beta": some(FEATURES),
    }
    for layer in range(3):
        name = f"bert.encoder.layer.{layer}."
        inner = 16
        for part, (rows, columns) in {
            "attention.self.query": (FEATURES, FEATURES),
            "attention.self.key": (FEATURES, FEATURES),
            "attention.self.value": (FEATURES, FEATURES),
            "attention.output.dense": (FEATURES, FEATURES),
            "intermediate.dense": (inner, FEATURES),
            "output.dense": (FEATURES, inner),
        }.items():
            # Only the first layer is heard: the others may be thin.
            weights[f"{name}{part}.weight"] = some(rows, columns) if not layer else some(1)
            weights[f"{name}{part}.bias"] = some(rows)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"{name}{part}.gamma"] = 1 + some(FEATURES)
            weights[f"{name}{part}.beta"] = some(FEATURES)
    save_file(weights, directory / "model.safetensors")
    (directory / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens()), "utf-8")
    return directory / "model.safetensors", directory / "vocab.txt"


def bert(directory: Path) -> Bert:
    """Loaded from what `write_bert` writes."""
    return Bert.load(*write_bert(directory))
