"""The adapter to mlx-audio, with a stand-in for that package: it runs on Apple silicon alone."""

import platform
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aitwin.errors import TwinError
from aitwin.voice import mlx_speech
from aitwin.voice.engines import Reference
from aitwin.voice.mlx_speech import MlxAudio
from aitwin.voice.studio import Studio

CLIP = Reference("ana", "Ana", "", np.full(22_050, 0.1, np.float32), 22_050, "what was said")


class Model:
    """As mlx-audio 0.6.2's models are asked."""

    sample_rate = 24_000

    def generate(
        self,
        text: str,
        ref_audio: Any = None,
        ref_text: Any = None,
        speed: float = 1.0,
        **more: Any,
    ) -> Any:
        self.asked = (text, ref_audio, ref_text, speed)
        for _ in range(2):
            yield SimpleNamespace(audio=np.full((1, 1200), 0.2), sample_rate=24_000)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An Apple machine with mlx-audio installed and a model in its place."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(mlx_speech, "find_spec", lambda name: object())
    (tmp_path / "config.json").write_text("{}")
    state = SimpleNamespace(model=Model(), loaded=[], directory=tmp_path)
    utils: Any = ModuleType("mlx_audio.tts.utils")

    def load(path: Path) -> Any:
        state.loaded.append(path)
        return state.model

    utils.load = load
    core: Any = ModuleType("mlx.core")
    core.array = lambda values: values
    core.random = SimpleNamespace(seed=lambda seed: None)
    for name, module in (
        ("mlx_audio", ModuleType("mlx_audio")), ("mlx_audio.tts", ModuleType("mlx_audio.tts")),
        ("mlx_audio.tts.utils", utils), ("mlx", ModuleType("mlx")), ("mlx.core", core),
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys.modules["mlx"], "core", core, raising=False)
    return state


def test_elsewhere_it_says_why_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    engine = MlxAudio(tmp_path)
    assert engine.lacking() == "it runs on Apple silicon alone"
    state = Studio(more=(engine,)).engines()[-1]
    assert (state.name, state.lacking, state.clones) == ("mlx-audio", engine.lacking(), True)


def test_without_a_model_it_says_where_one_belongs(package: SimpleNamespace) -> None:
    (package.directory / "config.json").unlink()
    assert str(package.directory) in MlxAudio(package.directory).lacking()


def test_it_speaks_from_the_clip_and_its_words(package: SimpleNamespace) -> None:
    """Loaded from a directory that is there, never by a name; the clip at the model's own rate."""
    engine = MlxAudio(package.directory)
    assert engine.lacking() == ""
    speaker = engine.open(CLIP)
    assert package.loaded == [package.directory.resolve()]
    said = speaker.speak("Hello.", speed=1.2)
    text, clip, words, speed = package.model.asked
    assert (text, words, speed) == ("Hello.", "what was said", 1.2)
    assert len(clip) == 24_000
    assert (said.sample_rate, len(said.samples)) == (24_000, 2_400)
    assert "Ana" in speaker.describe()
    assert "what was said" not in repr(speaker)


def test_what_it_cannot_do_is_said(package: SimpleNamespace) -> None:
    engine = MlxAudio(package.directory)
    with pytest.raises(TwinError, match="name one"):
        engine.open(None)
    wordless = Reference("ana", "Ana", "", CLIP.samples, 22_050, "")
    with pytest.raises(TwinError, match="twin voice prepare ana"):
        engine.open(wordless)
    package.model = SimpleNamespace(sample_rate=24_000, generate=lambda text: ())
    with pytest.raises(TwinError, match="does not clone"):
        engine.open(CLIP)
    package.model = None
    with pytest.raises(TwinError, match=r"does not load \(AttributeError\)"):
        engine.open(CLIP)
