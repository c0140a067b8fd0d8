"""MeloTTS's network: phones and what BERT says of them to sound, in the voice of a speaker.

VITS (Kim, Kong, Son 2021, arXiv 2106.06103) with features of a language model and a flow made of
transformers, after VITS 2 (Kong et al. 2023, arXiv 2307.16430). Module and key names are those of
the published checkpoint (MyShell's MeloTTS, MIT) with weight norm multiplied out. For inference
and for training; reads no files: see melo. Imports torch at once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from aitwin.voice.attention import Transformer
from aitwin.voice.configs import whole
from aitwin.voice.durations import Duration, StochasticDuration
from aitwin.voice.melo_text import FIRST_TONE, LANGUAGE
from aitwin.voice.vits import (
    FLOW_LAYERS,
    CouplingFlow,
    CouplingLayer,
    Decoder,
    PosteriorEncoder,
    Upsampling,
    masked,
)

FLOW_KERNEL = 5
"""Taps in the flow's transformers. This and the next four are in no config."""
DURATION_CHANNELS = 256
DURATION_DROPOUT = 0.5
CHINESE_FEATURES = 1_024
"""Width of the features of a Chinese model, which English leaves at zero."""
FEATURES = 768
"""Width of BERT's features."""
CHOICES: Mapping[str, object] = {
    "use_spk_conditioned_encoder": True,
    "use_transformer_flow": True,
    "use_vc": False,
    "flow_share_parameter": False,
    "use_mel_posterior_encoder": False,
    "n_flow_layer": FLOW_LAYERS,
}
"""What a config.json may choose, and upstream has code for, but we have only this of."""
TONES = FIRST_TONE + 4
"""Those of English are the last: of what has no stress, and of three kinds of stress."""
LANGUAGES = LANGUAGE + 1


@dataclass(frozen=True)
class Sizes:
    """What config.json says of the network."""

    rate: int
    """Hertz."""
    window: int
    """Samples of a spectrum of the posterior encoder, which training alone needs."""
    hop: int
    """Samples of a frame."""
    symbols: int
    tones: int
    languages: int
    speakers: int
    speaker: int
    """Width of a speaker's embedding."""
    latent: int
    hidden: int
    inner: int
    """Width of the feed-forward networks."""
    heads: int
    layers: int
    """Of the text encoder's transformer."""
    flow_layers: int
    """Of the transformer in each coupling layer of the flow."""
    kernel: int
    dropout: float
    upsampling: Upsampling

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Sizes":
        """From a whole config.json. Raises KeyError, TypeError or ValueError.

        Also for a network that lacks the tones or the language of English.
        """
        data, model = config["data"], config["model"]
        for choice, ours in CHOICES.items():
            if model.get(choice, ours) != ours:
                raise ValueError(f"{choice} is wanted to be {ours}")
        symbols, dropout = config["symbols"], model["p_dropout"]
        if not isinstance(symbols, list) or not symbols:
            raise ValueError("symbols is no list of them")
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise ValueError("p_dropout is no share")
        sizes = cls(
            rate=whole(data, "sampling_rate", 1_000),
            window=whole(data, "filter_length"),
            hop=whole(data, "hop_length"),
            symbols=len(symbols),
            tones=whole(config, "num_tones", TONES),
            languages=whole(config, "num_languages", LANGUAGES),
            speakers=whole(data, "n_speakers"),
            speaker=whole(model, "gin_channels"),
            latent=whole(model, "inter_channels"),
            hidden=whole(model, "hidden_channels"),
            inner=whole(model, "filter_channels"),
            heads=whole(model, "n_heads"),
            layers=whole(model, "n_layers"),
            flow_layers=whole(model, "n_layers_trans_flow"),
            kernel=whole(model, "kernel_size"),
            dropout=float(dropout),
            upsampling=Upsampling.of(model),
        )
        if math.prod(sizes.upsampling.rates) != sizes.hop:
            raise ValueError("the upsampling rates do not make one frame of sound")
        return sizes


class TextEncoder(nn.Module):
    """Phones, tones, languages and features to states, and to the prior they give each frame."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        hidden = sizes.hidden
        self.emb = nn.Embedding(sizes.symbols, hidden)
        self.tone_emb = nn.Embedding(sizes.tones, hidden)
        self.language_emb = nn.Embedding(sizes.languages, hidden)
        for embedding in (self.emb, self.tone_emb, self.language_emb):
            nn.init.normal_(embedding.weight, 0.0, hidden**-0.5)
        self.bert_proj = nn.Conv1d(CHINESE_FEATURES, hidden, 1)
        self.ja_bert_proj = nn.Conv1d(FEATURES, hidden, 1)
        self.encoder = _transformer(sizes, sizes.layers, sizes.kernel)
        self.proj = nn.Conv1d(hidden, 2 * sizes.latent, 1)

    def forward(  # noqa: PLR0913 - what is known of each phone
        self,
        phones: Tensor,
        tones: Tensor,
        languages: Tensor,
        features: Tensor,
        mask: Tensor | None,
        g: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States [batch, hidden, time], and mean and log deviation [batch, latent, time].

        Ids are [batch, time], `features` [batch, FEATURES, time], the speaker `g`
        [batch, speaker, 1].
        """
        ids = self.emb(phones) + self.tone_emb(tones) + self.language_emb(languages)
        # Of features that are all zero, the bias is what is left.
        x = ids.transpose(1, 2) + self.bert_proj.bias[:, None] + self.ja_bert_proj(features)
        x = self.encoder(x * math.sqrt(self.emb.embedding_dim), mask, g)
        mean, log_deviation = masked(self.proj(x), mask).chunk(2, 1)
        return x, mean, log_deviation


def _transformer(sizes: Sizes, layers: int, kernel: int) -> Transformer:
    return Transformer(
        sizes.hidden,
        sizes.inner,
        heads=sizes.heads,
        layers=layers,
        kernel=kernel,
        dropout=sizes.dropout,
        speaker=sizes.speaker,
    )


class Synthesizer(nn.Module):
    """All parts by their official names; `enc_q`, which training alone needs, where wished."""

    def __init__(self, sizes: Sizes, *, trainable: bool = False) -> None:
        super().__init__()
        self.sizes = sizes
        self.enc_p = TextEncoder(sizes)
        self.dec = Decoder(sizes.latent, sizes.upsampling, condition=sizes.speaker)
        if trainable:
            self.enc_q = PosteriorEncoder(
                sizes.window // 2 + 1, sizes.latent, sizes.hidden, condition=sizes.speaker
            )
        self.flow = CouplingFlow(
            CouplingLayer(
                sizes.latent, sizes.hidden, _transformer(sizes, sizes.flow_layers, FLOW_KERNEL)
            )
            for _ in range(FLOW_LAYERS)
        )
        self.sdp = StochasticDuration(sizes.hidden, DURATION_DROPOUT, sizes.speaker)
        self.dp = Duration(sizes.hidden, DURATION_CHANNELS, DURATION_DROPOUT, sizes.speaker)
        self.emb_g = nn.Embedding(sizes.speakers, sizes.speaker)
