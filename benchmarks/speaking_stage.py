"""What speaking.py measures with: models of the official sizes, and a voice.

The models have the official names, but are random: the work of a network does not depend on its
values. Only durations would be absurd, so MeloTTS's are set: FRAMES of 512 samples for each symbol
and for each blank between two. Of BERT's vocabulary, the words of one text are real, so that it
has as many tokens for that as BERT's own would have.
"""

import json
import math
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converter
import melo

from aitwin.voice.converted import MEASURED
from aitwin.voice.studio import Studio, Weights

if TYPE_CHECKING:
    from aitwin.voice.voices import Voice

HERE = Path(__file__).parent.parent
G2P = HERE / ".cache" / "models" / "g2p-english"
MODELS = ("openvoice-v2", "melotts-english", "bert-base-uncased")
VOICE = "Ana"
FRAMES = 4
"""93 ms for a phone with its blank, pauses between sentences among them: 85 characters then take
5.1 s. The bundled voice takes 5.5 s for them."""
STILL = 20.0
"""Log scale of the drawn durations that makes them nothing beside the set ones."""
SPEAKERS = {"EN-US": 0, "EN-Default": 4}


def write(folder: Path, text: str) -> None:
    """As they lie on the shelf: openvoice-v2/, melotts-english/ and bert-base-uncased/."""
    import torch

    from aitwin.voice.melo import SDP_RATIO

    places = [folder / name for name in MODELS]
    openvoice, melotts, bert = places
    for place in (*places, openvoice / "speakers"):
        place.mkdir(parents=True, exist_ok=True)
    converter.write_checkpoint(openvoice)
    tensors = torch.load(openvoice / "checkpoint.pth", weights_only=True)["model"]
    torch.save({"model": tensors | _reference_encoder()}, openvoice / "checkpoint.pth")
    torch.save(torch.randn(1, 256, 1) * 0.7, openvoice / "speakers" / "en-default.pth")
    melo.write(melotts, 1.0)
    for name in ("model.safetensors", "vocab.txt"):
        (melotts / name).rename(bert / name)
    saved = torch.load(melotts / "checkpoint.pth", weights_only=True)["model"]
    # Just under whole frames, since the share that is drawn adds a little.
    saved["dp.proj.bias"].fill_(math.log(FRAMES - 0.01) / (1 - SDP_RATIO))
    saved["sdp.flows.0.logs"].fill_(STILL)
    torch.save({"model": saved}, melotts / "checkpoint.pth")
    config = melo.CONFIG | {"symbols": _symbols()}
    config["data"] = config["data"] | {"spk2id": SPEAKERS}
    (melotts / "config.json").write_text(json.dumps(config))
    _teach(bert / "vocab.txt", text)


def _reference_encoder() -> dict[str, Any]:
    """Under weight norm, as published."""
    import torch

    channels = [1, 32, 32, 64, 64, 128, 128]
    made: dict[str, Any] = {}
    for layer, (heard, said) in enumerate(pairwise(channels)):
        name = f"ref_enc.convs.{layer}."
        weight = torch.nn.Conv2d(heard, said, 3).weight.detach()
        made[f"{name}weight_v"], made[f"{name}bias"] = weight, torch.zeros(said)
        made[f"{name}weight_g"] = weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    parts = {"gru": torch.nn.GRU(1152, 128), "proj": torch.nn.Linear(128, 256)}
    parts["layernorm"] = torch.nn.LayerNorm(513)
    for part, network in parts.items():
        made |= {f"ref_enc.{part}.{name}": t for name, t in network.state_dict().items()}
    return made


def _symbols() -> list[str]:
    """Those of English, and as many others as the embedding has rows."""
    from aitwin.voice.g2p import PHONEMES
    from aitwin.voice.melo_text import PAD, UNKNOWN

    english = {phone.rstrip("012").lower() for phone in PHONEMES if not phone.startswith("<")}
    symbols = [PAD, *sorted(english), "V", *".,!?'-", UNKNOWN]
    total = len(melo.CONFIG["symbols"])
    return symbols + [f"other{number}" for number in range(total - len(symbols))]


def _teach(vocabulary: Path, text: str) -> None:
    """Real tokens in place of the first ones: as many for a text as BERT's own would be."""
    tokens = vocabulary.read_text().splitlines()
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(words)]
    vocabulary.write_text("".join(f"{token}\n" for token in [*known, *tokens[len(known) :]]))


def weights(place: Path) -> Weights:
    """Of what `write` wrote into place/weights; the pronunciation data are the real ones."""
    openvoice, melotts, bert = (place / "weights" / name for name in MODELS)
    return Weights(openvoice, melotts, bert, G2P)


def voice(place: Path) -> "Voice":
    """One with consent and a profile, of the bundled voice's own speech."""
    sys.path.insert(0, str(HERE))
    from aitwin.voice import audio, profile, voices
    from aitwin.voice.engines import Bundled
    from aitwin.voice.heard import RATE
    from aitwin.voice.openvoice import ReferenceEncoder
    from tests.voice.test_profile import add, consented

    base = Bundled()
    said = [audio.resample(base.speak(sentence), RATE).samples for sentence in MEASURED]
    made = voices.create(place / "voices", VOICE)
    add(made, said * 2)  # a minute is the least
    consented(made, kind="stated")
    encoder = ReferenceEncoder.load(place / "weights" / "openvoice-v2" / "checkpoint.pth")
    profile.build(made, encoder)
    return made


def studio(place: Path) -> Studio:
    """Everything that speaks in `place`, with what was measured once."""
    return Studio(
        weights(place),
        voices=lambda: place / "voices",
        kept=place / "kept",
        measuring=lambda _: None,  # as the command line and `twin serve` do before they speak
    )
