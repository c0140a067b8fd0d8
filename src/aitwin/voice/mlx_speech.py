"""Engine: mlx-audio on Apple silicon, with a model of the owner's choice that clones from a clip.

Written against mlx-audio 0.6.2 (MIT): `mlx_audio.tts.utils.load(path)` gives a model whose
`generate(text, ref_audio, ref_text, …)` yields results with `audio` and `sample_rate`. Its models
follow the clip's melody, too, and not only its tone colour. Not part of the ladder: it speaks where
it is asked for, with a model that the owner has put into its directory.
"""

import inspect
import platform
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from aitwin.errors import TwinError
from aitwin.voice.audio import Samples, Utterance, resample
from aitwin.voice.engines import Reference

NAME = "mlx-audio"
INSTALL = "run `pip install 'aitwin[mlx-audio]'`"
CONFIG = "config.json"


@dataclass(frozen=True)
class MlxAudio:
    """See engines.Engine."""

    directory: Path
    """Where a model for mlx-audio lies: config.json and its .safetensors."""

    @property
    def name(self) -> str:
        """See Engine."""
        return NAME

    @property
    def title(self) -> str:
        """See Engine."""
        return "a model of your choice on Apple silicon (mlx-audio), cloning from a clip of yours"

    @property
    def licence(self) -> str:
        """See Engine."""
        return "MIT, and the model's own"

    @property
    def clones(self) -> bool:
        """See Engine."""
        return True

    def lacking(self) -> str:
        """See Engine."""
        if (sys.platform, platform.machine()) != ("darwin", "arm64"):
            return "it runs on Apple silicon alone"
        if find_spec("mlx_audio") is None:
            return f"mlx_audio is not installed: {INSTALL}"
        if not (self.directory / CONFIG).is_file():
            return (
                f"there is no model in {self.directory}: put one there that clones from a clip, "
                "converted for MLX (config.json and .safetensors)"
            )
        return ""

    def open(self, reference: Reference | None) -> "MlxSpeaker":
        """See Engine."""
        from mlx_audio.tts.utils import load

        if reference is None:
            raise TwinError(f"the engine {NAME} speaks in a voice of yours; name one")
        try:
            # A directory that is there: a mere name would be looked up on the network.
            model = load(self.directory.resolve(strict=True))
            accepted = inspect.signature(model.generate).parameters
            rate = int(model.sample_rate)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TwinError(
                f"the model in {self.directory} does not load ({type(error).__name__}); "
                "put another there"
            ) from None
        if "ref_audio" not in accepted:
            raise TwinError(
                f"the model in {self.directory} does not clone from a clip; put one there that does"
            )
        told = "ref_text" in accepted
        if told and not reference.text:
            raise TwinError(
                f"the model in {self.directory} wants the words of the clip, and nobody knows "
                f"them: run `twin voice prepare {reference.voice}` with speech recognition"
            )
        clip = resample(Utterance(reference.samples, reference.sample_rate), rate).samples
        return MlxSpeaker(
            model, clip, reference.text if told else None, f"the voice of {reference.name}"
        )


@dataclass(frozen=True, eq=False)
class MlxSpeaker:
    """See engines.Speaker."""

    model: Any
    clip: Samples = field(repr=False)
    """At the model's own rate."""
    words: str | None = field(repr=False)
    """Of the clip; None where the model does not read them."""
    title: str = field(repr=False)
    _turn: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def name(self) -> str:
        """See Speaker."""
        return NAME

    @property
    def cloned(self) -> bool:
        """See Speaker."""
        return True

    def describe(self) -> str:
        """See Speaker."""
        return f"{self.title} (cloned by {NAME} from a clip)"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        """See Speaker. Most of its models keep their own pace, whatever `speed` says."""
        import mlx.core as mx
        import numpy as np

        words = {} if self.words is None else {"ref_text": self.words}
        with self._turn:
            mx.random.seed(seed)
            results = list(
                self.model.generate(
                    text=sentence,
                    ref_audio=mx.array(self.clip),
                    speed=speed,
                    verbose=False,
                    **words,
                )
            )
        if not results:
            return Utterance(np.zeros(0, np.float32), 22_050, sentence)
        parts = [np.asarray(one.audio, np.float32).ravel() for one in results]
        return Utterance(np.concatenate(parts), int(results[0].sample_rate), sentence)
