"""From settings to running parts: which base, which adapter, which voice is worked with.

For the command line and the server alike. Prints nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aitwin.home import Home, Settings, WriterSettings
from aitwin.prompt import Persona

if TYPE_CHECKING:
    from aitwin.corpus.context import Budget
    from aitwin.corpus.dataset import Example
    from aitwin.corpus.messages import Owner
    from aitwin.corpus.pairs import Pair
    from aitwin.corpus.redact import Rules
    from aitwin.corpus.reverse import Author
    from aitwin.models import Shelf
    from aitwin.prompt import ChatMessage
    from aitwin.style.adapter import StyleAdapter
    from aitwin.style.base import Base
    from aitwin.style.deploy import Job
    from aitwin.style.engine import LlamaCpp, OpenEngine
    from aitwin.style.nearest import NearestReplies
    from aitwin.style.ollama import Ollama
    from aitwin.style.writer import Writer
    from aitwin.voice.openvoice import Embedding, ReferenceEncoder
    from aitwin.voice.prepare import Tools
    from aitwin.voice.studio import Studio, Weights
    from aitwin.voice.voices import Voice

T = TypeVar("T")

SPEAKING = {
    "openvoice": "openvoice-v2",
    "melotts": "melotts-english",
    "bert": "bert-base-uncased",
    "g2p": "g2p-english",
}
"""Models of the shelf by the fields of studio.Weights."""
MEASURED = ".measured"
"""Directory on the shelf with what was measured of the base voices."""


def persona(settings: Settings) -> Persona:
    """Whose style is written."""
    return Persona(settings.name, settings.traits)


def owner_of(settings: Settings) -> "Owner":
    """The owner, as mail and chats know them."""
    from aitwin.corpus.messages import Owner

    return Owner(settings.name, frozenset(settings.addresses), frozenset(settings.chat_names))


def rules_of(settings: Settings) -> "Rules":
    """What the owner wants redacted, and what kept."""
    from aitwin.corpus.redact import Rules

    return Rules(
        frozenset(settings.allow),
        frozenset(settings.names),
        settings.people,
        frozenset(settings.regions),
    )


def open_base(home: Home, name: str) -> "Base":
    """The base model."""
    from aitwin.models import Shelf
    from aitwin.style import base

    path, digest = Shelf(home.models).open(name)
    return base.find(name, path, digest, home.models)


def open_adapter(home: Home, name: str = "") -> "StyleAdapter":
    """The adapter of that name, or the newest."""
    from aitwin.style import adapter

    return adapter.load(home.adapters / name) if name else adapter.newest(home.adapters)


def open_llama(home: Home, adapter: "StyleAdapter") -> "LlamaCpp":
    """llama.cpp with the base that the adapter was trained on, and the adapter.

    What measures a twin asks this one, whatever writes its drafts.
    """
    return _llama(home, adapter, home.settings().writer, quoting=False)()


def open_engine(home: Home, adapter: "StyleAdapter") -> "OpenEngine":
    """What twin.toml lets write. Raises TwinError when it cannot, before anything is loaded."""
    from aitwin.style.compatible import URL, OpenAICompatible
    from aitwin.style.resident import KEEP_ALIVE, Resident

    writer = home.settings().writer
    if writer.engine == "openai":
        url = writer.url or URL
        return OpenAICompatible(url, writer.model, writer.base_model, key=home.writer_key())
    if writer.engine == "ollama":
        return _ollama(writer)
    minutes = KEEP_ALIVE if writer.keep_alive is None else writer.keep_alive
    return Resident(_llama(home, adapter, writer, quoting=True), minutes)


def _llama(
    home: Home, adapter: "StyleAdapter", writer: WriterSettings, *, quoting: bool
) -> "Callable[[], LlamaCpp]":
    """What loads it; that its files are there and fit together is seen to at once."""
    from aitwin.style.engine import CONTEXT, LlamaCpp, Loading

    path, loading = _base_of(home, adapter), Loading(quoting=quoting)
    return lambda: LlamaCpp(path, adapter.gguf, context=writer.context or CONTEXT, loading=loading)


def _ollama(writer: WriterSettings) -> "OpenEngine":
    from aitwin.style.engine import CONTEXT
    from aitwin.style.ollama import STABLE, STABLE_BASE, URL, Ollama, OllamaEngine

    ollama = Ollama(writer.url or URL)
    ollama.version()
    return OllamaEngine(
        ollama,
        writer.model or STABLE,
        writer.base_model or STABLE_BASE,
        context=writer.context or CONTEXT,
        keep_alive=writer.keep_alive,
    )


def open_ollama(settings: Settings, url: str = "") -> "Ollama":
    """Ollama at that address, or where twin.toml says that it writes."""
    from aitwin.style.ollama import URL, Ollama

    set_url = settings.writer.url if settings.writer.engine == "ollama" else ""
    return Ollama(url or set_url or URL)


def open_deployment(home: Home, settings: Settings, adapter: "StyleAdapter", keep: bool) -> "Job":
    """What `twin deploy writer` deploys: the adapter, its base, and replies to prove it with."""
    from aitwin.style.deploy import Job
    from aitwin.style.engine import CONTEXT

    return Job(
        adapter,
        _base_of(home, adapter),
        persona(settings),
        _held_out(home, adapter),
        settings.writer.context or CONTEXT,
        keep,
    )


def _base_of(home: Home, adapter: "StyleAdapter") -> Path:
    """The GGUF file that the adapter was trained on. Raises TwinError when it is another now."""
    from aitwin.errors import TwinError
    from aitwin.models import Shelf

    path, digest = Shelf(home.models).open(adapter.manifest["base"]["name"])
    if digest != adapter.base_digest:
        raise TwinError(
            f"{path} is not the base that {adapter.path} was trained on; "
            "put that base back, or run `twin train`"
        )
    return path


def _held_out(home: Home, adapter: "StyleAdapter") -> "list[Example]":
    """Replies that the adapter was not trained on; none when its dataset is gone."""
    from aitwin.corpus import dataset as datasets
    from aitwin.errors import TwinError

    for manifest in sorted(home.datasets.glob("[!.]*/manifest.json")):
        try:
            data = datasets.load(manifest.parent)
        except TwinError:
            continue  # of another version, or changed: not the one that was trained on
        if data.digest == adapter.manifest.get("dataset"):
            return data.split("test")
    return []


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


def open_studio(home: Home, *, measuring: Callable[[str], None] | None) -> "Studio":
    """All that can speak here. Loads nothing, and makes no home.

    `measuring`: see Studio.
    """
    from aitwin.models import Shelf
    from aitwin.voice.mlx_speech import MlxAudio
    from aitwin.voice.studio import Studio

    return Studio(
        # Asked with every request: a server learns of what is pulled while it runs.
        lambda: _speaking_weights(Shelf(home.models)),
        voices=(lambda: open_voices(home)) if home.root.exists() else None,
        kept=home.models / MEASURED if home.root.exists() else None,
        more=(MlxAudio(home.models / "mlx-audio"),),
        measuring=measuring,
    )


def _speaking_weights(shelf: "Shelf") -> "Weights":
    """Where the models that speak lie; of those that are not whole, why.

    Sizes are compared, not digests: half a gigabyte would be read for every sentence that is said.
    What is damaged nevertheless is found when it is loaded.
    """
    from aitwin import models
    from aitwin.voice.studio import Weights

    lies: dict[str, Path] = {}
    lacking: dict[str, str] = {}
    for part, name in SPEAKING.items():
        model = next((one for one in models.CATALOGUE if one.name == name), None)
        if model is None:
            continue
        state = shelf.state(model)
        if state == "ready":
            lies[part] = shelf.directory / name
        elif state == "damaged":
            lacking[part] = f"{name} is damaged; run `twin models pull {name}`"
    return Weights(**lies, lacking=lacking)


def open_voices(home: Home) -> Path:
    """The directory with the owner's voices. Raises TwinError when its volume is locked."""
    return home.open_voices()


def open_voice(home: Home, wanted: str = "") -> "Voice":
    """A voice of the owner's by id or name; the only one there is, where nothing is said."""
    from aitwin.voice import voices

    return voices.find(open_voices(home), wanted)


def open_encoder(home: Home) -> "tuple[ReferenceEncoder | None, str]":
    """What tells voices apart; or None, and a sentence on what is wanting.

    Recording, grading and mending go without it; a profile does not.
    """
    from aitwin.errors import TwinError
    from aitwin.voice.openvoice import ReferenceEncoder

    try:
        return ReferenceEncoder.load(_encoder_file(home)), ""
    except TwinError as error:
        return None, str(error)
    except ModuleNotFoundError as error:
        return None, f"{error.name} is not installed; run: pip install 'aitwin[clone]'"


def open_base_speakers(home: Home, size: int | None) -> "dict[str, Embedding]":
    """Tone colours of the base speakers, which lie beside the encoder's weights; or none.

    `size` is how many numbers the encoder gives for a voice, None without one: those of the base
    speakers are of no use when they are not as many.
    """
    from aitwin.errors import TwinError
    from aitwin.models import SPEAKERS
    from aitwin.voice import openvoice

    try:
        directory = _encoder_file(home).parent / SPEAKERS
        return openvoice.speakers(directory, size) if directory.is_dir() else {}
    except (TwinError, ModuleNotFoundError):
        return {}  # open_encoder has told the owner


def _encoder_file(home: Home) -> Path:
    """The weights that twin.toml names: a file, or a model of the shelf."""
    from aitwin.models import Shelf

    chosen = home.voice_settings().encoder
    if chosen.endswith((".pth", ".safetensors")):
        return Path(chosen).expanduser()
    return Shelf(home.models).open(chosen)[0]


def open_tools(home: Home) -> "Tools":
    """What listens to recordings, but for the words; what is not installed is done without."""
    from aitwin.voice.mos import Listener
    from aitwin.voice.prepare import Tools
    from aitwin.voice.vad import Detector

    encoder, _ = open_encoder(home)
    return Tools(Detector(), mos=_optional(Listener), encoder=encoder)


def open_ears() -> "Tools | None":
    """What hears the words of what is prepared; None where no speech recognition is installed."""
    from aitwin.voice.prepare import Tools
    from aitwin.voice.transcribe import Transcriber
    from aitwin.voice.vad import Detector

    transcriber = _optional(Transcriber.load)
    return Tools(Detector(), transcriber=transcriber) if transcriber else None


def _optional(opened: "Callable[[], T]") -> "T | None":
    from aitwin.errors import TwinError

    try:
        return opened()
    except (TwinError, ModuleNotFoundError):
        return None  # not installed: doctor says so


@contextmanager
def open_examples(
    home: Home, adapter: "StyleAdapter", dataset: str, most: int
) -> "Iterator[NearestReplies | None]":
    """The owner's nearest replies of a dataset, `most` of them to a request; None for none."""
    from aitwin.corpus import dataset as datasets
    from aitwin.style import vocabulary
    from aitwin.style.engine import CONTEXT
    from aitwin.style.nearest import Index, NearestReplies

    if not most:
        yield None
        return
    index = Index.build(datasets.load(home.datasets / dataset).split("train"))
    # Whatever writes, the prompt is counted with the base's own tokenizer.
    with vocabulary.tokenizer(_base_of(home, adapter)) as tokenizer:
        context = home.settings().writer.context or CONTEXT
        yield NearestReplies(
            index, lambda messages: len(tokenizer.prompt_tokens(messages)), context, most
        )


def open_writer(
    home: Home,
    adapter: "StyleAdapter",
    engine: "OpenEngine",
    examples: "NearestReplies | None" = None,
) -> "Writer":
    """A writer that knows the owner's habits, and shows the model examples."""
    from aitwin.style.guard import Habits
    from aitwin.style.writer import Writer

    return Writer(engine, persona(home.settings()), Habits.load(adapter.path), examples)
