"""A MeloTTS of the tests' own: its real network, small, over letters instead of phones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from aitwin.voice.lessons import Reading
from aitwin.voice.melo_text import Units
from aitwin.voice.synthesizer import FEATURES, Sizes, Synthesizer

RATE, HOP = 8_000, 128
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def config() -> dict[str, Any]:
    """Everything as in the published one, but small, and at 8 kHz."""
    return {
        "data": {
            "sampling_rate": RATE,
            "filter_length": 512,
            "hop_length": HOP,
            "win_length": 512,
            "n_mel_channels": 20,
            "mel_fmin": 0.0,
            "mel_fmax": None,
            "n_speakers": 6,
            "spk2id": {"EN-US": 0, "EN-BR": 1},
        },
        "model": {
            "use_spk_conditioned_encoder": True,
            "inter_channels": 4,
            "hidden_channels": 8,
            "filter_channels": 16,
            "n_heads": 2,
            "n_layers": 3,
            "n_layers_trans_flow": 3,
            "kernel_size": 3,
            "p_dropout": 0.1,
            "resblock": "1",
            "resblock_kernel_sizes": [3],
            "resblock_dilation_sizes": [[1, 3, 5]],
            "upsample_rates": [8, 16],
            "upsample_initial_channel": 16,
            "upsample_kernel_sizes": [16, 32],
            "gin_channels": 4,
        },
        "symbols": ["_", *LETTERS],
        "num_tones": 16,
        "num_languages": 10,
    }


def network(seed: int = 0) -> Synthesizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Synthesizer(Sizes.of(config()), trainable=True)
        with torch.no_grad():
            made.dp.proj.bias += 3.2  # so that there are some seconds to hear
        return made


def write(directory: Path, seed: int = 0) -> tuple[Path, Path]:
    """A checkpoint and its config.json."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().contiguous() for k, v in network(seed).state_dict().items()}
    save_file(tensors, directory / "checkpoint.safetensors")
    (directory / "config.json").write_text(json.dumps(config()))
    return directory / "checkpoint.safetensors", directory / "config.json"


def read(text: str) -> Reading:
    """Every letter a phone, every word a token."""
    words = ["".join(one for one in word if one in LETTERS) for word in text.lower().split()]
    words = [word for word in words if word]
    phones = ("_", *"".join(words), "_")
    ids = tuple(place for phone in phones for place in (0, ("_" + LETTERS).index(phone)))
    blanks = (0,) * len((*ids, 0))
    units = Units(
        text=text,
        bert_tokens=tuple(words),
        token_ids=tuple(range(len(words) + 2)),
        phones=phones,
        tones=(0,) * len(phones),
        word2ph=(1, *map(len, words), 1),
        phone_ids=(*ids, 0),
        tone_ids=blanks,
        language_ids=blanks,
    )
    random = np.random.default_rng(len(text))
    return units, random.normal(0, 1, (len(words) + 2, FEATURES)).astype(np.float32)
