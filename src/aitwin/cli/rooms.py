"""From settings to running parts: which base, which adapter, which voice a command works with."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING

from aitwin.home import Home, Settings
from aitwin.prompt import Persona

if TYPE_CHECKING:
    from aitwin.corpus.context import Budget
    from aitwin.corpus.pairs import Pair
    from aitwin.corpus.reverse import Author
    from aitwin.prompt import ChatMessage
    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.base import Base
    from aitwin.style.engine import LlamaCpp
    from aitwin.style.nearest import Index
    from aitwin.style.writer import Writer
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


@contextmanager
def open_budget(home: Home, settings: Settings, row: int) -> "Iterator[Budget]":
    """How long examples may be, in the tokens of the owner's base; estimated where it is not here.

    The tokenizer is loaded without the weights, which counting does not need.
    """
    from aitwin import prompt
    from aitwin.corpus.context import Budget
    from aitwin.errors import TwinError
    from aitwin.models import Shelf
    from aitwin.style import vocabulary
    from aitwin.style.tokens import END_OF_TURN

    with ExitStack() as stack:
        budget = Budget(row)
        try:
            path, _ = Shelf(home.models).open(settings.base)
            tokenizer = stack.enter_context(vocabulary.tokenizer(path))
            empty = prompt.messages(persona(settings), prompt.Task(""))
            template = len(tokenizer.prompt_tokens(empty)) + len(tokenizer.tokenize(END_OF_TURN))
            count = vocabulary.TokenCounter(tokenizer)
            budget = Budget(row, count, settings.base, template, count.learn)
        except (TwinError, ImportError):
            # No base yet, or one that cannot be trained on: then there is nothing to count with.
            pass
        yield budget


@contextmanager
def open_author(
    home: Home, settings: Settings, track: "Callable[[Sequence[Pair]], Iterable[Pair]]"
) -> "Iterator[Author]":
    """The owner's base model, to word instructions with."""
    from aitwin.corpus.reverse import Author
    from aitwin.models import Shelf
    from aitwin.style.engine import LlamaCpp, Sampling

    path, digest = Shelf(home.models).open(settings.base)
    with ExitStack() as stack:
        # Loaded for the first mail that has no answer yet: a rerun may need none.
        engine = cache(lambda: stack.enter_context(LlamaCpp(path)))

        def answer(messages: "Sequence[ChatMessage]", max_tokens: int) -> str:
            greedy = Sampling(max_tokens=max_tokens, temperature=0.0)
            return "".join(engine().stream(messages, greedy))

        yield Author(digest, answer, track)


def open_speech(voice: str = "") -> "Speech":
    """Speech with a voice by id; so far there is the bundled base voice alone."""
    from aitwin.errors import TwinError
    from aitwin.voice.engines import Bundled
    from aitwin.voice.speech import Speech

    speaker = Bundled()
    if voice not in ("", "base", speaker.name):
        raise TwinError(f"no voice is called {voice!r}; `twin voice list` shows those there are")
    return Speech(speaker)


def open_examples(home: Home, dataset: str) -> "Index":
    """The owner's replies of a dataset, to be searched."""
    from aitwin.corpus import dataset as datasets
    from aitwin.style.nearest import Index

    return Index.build(datasets.load(home.datasets / dataset).split("train"))


def open_writer(
    home: Home,
    adapter: "StyleAdapter",
    engine: "LlamaCpp",
    examples: "Index | None" = None,
    most: int = 0,
) -> "Writer":
    """A writer that knows the owner's habits, and shows the model `most` of the examples."""
    from aitwin.style.engine import CONTEXT
    from aitwin.style.guard import Habits
    from aitwin.style.nearest import NearestReplies
    from aitwin.style.writer import Writer

    nearest = None
    if examples and most:
        nearest = NearestReplies(
            examples, lambda messages: len(engine.prompt_tokens(messages)), CONTEXT, most
        )
    return Writer(engine, persona(home.settings()), Habits.load(adapter.path), nearest)


def open_twin(home: Home, adapter: str = "") -> tuple["Twin", Callable[[], None]]:
    """The whole twin, and what unloads it."""
    from aitwin.twin import Twin

    chosen, speech = open_adapter(home, adapter), open_speech()
    engine = open_engine(home, chosen)
    return Twin(open_writer(home, chosen, engine), speech), engine.close
