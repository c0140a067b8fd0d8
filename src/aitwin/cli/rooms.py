"""From settings to running parts: which base, which adapter, which voice a command works with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from aitwin.home import Home, Settings
from aitwin.prompt import Persona

if TYPE_CHECKING:
    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.base import Base
    from aitwin.style.engine import LlamaCpp
    from aitwin.twin import Twin
    from aitwin.voice.speech import Speech


def persona(settings: Settings) -> Persona:
    """Whose style is written."""
    return Persona(settings.name, settings.traits)


def open_base(home: Home, name: str) -> "Base":
    """The base model, dequantised for training if it was not yet."""
    from aitwin.models import Shelf
    from aitwin.style import base

    path, digest = Shelf(home.models).open(name)
    return base.prepare(name, path, digest, home.models / "floats")


def open_adapter(home: Home, name: str = "") -> "StyleAdapter":
    """The adapter of that name, or the newest."""
    from aitwin.style import adapter

    return adapter.load(home.adapters / name) if name else adapter.newest(home.adapters)


def open_engine(home: Home, adapter: "StyleAdapter") -> "LlamaCpp":
    """llama.cpp with the base that the adapter was trained on, and the adapter."""
    from aitwin.errors import TwinError
    from aitwin.models import Shelf
    from aitwin.style.engine import LlamaCpp

    path, digest = Shelf(home.models).open(adapter.manifest["base"]["name"])
    if digest != adapter.base_digest:
        raise TwinError(
            f"{path} is not the base that {adapter.path} was trained on; "
            "put that base back, or run `twin train`"
        )
    return LlamaCpp(path, adapter.gguf)


def open_speech(voice: str = "") -> "Speech":
    """Speech with a voice by id; so far there is the bundled base voice alone."""
    from aitwin.errors import TwinError
    from aitwin.voice.engines import Bundled
    from aitwin.voice.speech import Speech

    speaker = Bundled()
    if voice not in ("", "base", speaker.name):
        raise TwinError(f"no voice is called {voice!r}; `twin voice list` shows those there are")
    return Speech(speaker)


def open_twin(home: Home, adapter: str = "") -> tuple["Twin", Callable[[], None]]:
    """The whole twin, and what unloads it."""
    from aitwin.style.writer import Writer
    from aitwin.twin import Twin

    owner, speech = persona(home.settings()), open_speech()
    engine = open_engine(home, open_adapter(home, adapter))
    return Twin(Writer(engine, owner), speech), engine.close
