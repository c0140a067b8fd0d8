"""The corpus room from end to end: files to store, store to dataset. Each step lives elsewhere."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aitwin.corpus import curate, dataset, dedupe, pairs, redact, sources
from aitwin.corpus.curate import Choice
from aitwin.corpus.dataset import Dataset
from aitwin.corpus.funnel import Funnel
from aitwin.corpus.messages import Message, Owner, threads
from aitwin.corpus.pairs import Pair
from aitwin.corpus.report import Skipped
from aitwin.corpus.sources import Found
from aitwin.corpus.store import Imported, Store
from aitwin.corpus.whatsapp_headers import DateOrder
from aitwin.errors import TwinError
from aitwin.prompt import Persona


@dataclass(frozen=True)
class Selection:
    """The chosen pairs, and what happened on the way to them."""

    pairs: list[Pair]
    funnel: Funnel
    redactions: Counter[str]
    copies: list[list[Pair]] = field(repr=False)
    """Groups of near-identical pairs; the first of each was kept."""


@dataclass(frozen=True)
class Reading:
    """Where an import stands, for whoever draws it."""

    path: Path
    """The file that is being read."""
    done: int
    """Bytes of all files that have been read."""
    total: int
    """Bytes of all files that are to be read."""


STEPS = 500
"""Reports per import at most: drawing each message of a large mailbox would slow it."""


def add(
    store: Store,
    paths: Iterable[Path],
    date_order: DateOrder | None = None,
    on_progress: Callable[[Reading], None] = lambda reading: None,
) -> Iterator[tuple[Found, Imported | TwinError | None]]:
    """Import files and folders, one transaction per file, telling each result as it is there.

    A file that fails gives its error and the next one goes on; None is a file in a folder that
    is no mail and no chat.
    """
    every = sources.find(paths)
    before, total = 0, sum(found.bytes for found in every)
    for found in every:
        if not found.format:
            yield found, found.refusal() if found.named else None
            continue
        on_progress(Reading(found.path, before, total))
        skipped = Skipped()
        try:
            passed = _metered(found.path, before, total, on_progress)
            messages = found.read(skipped, date_order, passed)
            before += found.bytes
            imported = store.add(found.path.resolve(), found.format, messages, skipped)
        except TwinError as error:
            yield found, error
        else:
            yield found, imported


def _metered(
    path: Path, before: int, total: int, on_progress: Callable[[Reading], None]
) -> Callable[[int], None]:
    """What a reader tells its position to: passes on one in `STEPS` parts of the whole."""
    told = before

    def passed(position: int) -> None:
        nonlocal told
        if before + position - told >= total / STEPS:
            told = before + position
            on_progress(Reading(path, told, total))

    return passed


def select(
    messages: Iterable[Message],
    owner: Owner,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    funnel: Funnel | None = None,
) -> Selection:
    """From messages to the chosen pairs.

    A `funnel` that is given ends with all messages that were there, also those that were left
    out of `messages` because they cannot matter. Raises TwinError when there is too little.
    """
    grouped = threads(messages)
    if funnel is None:
        funnel = Funnel()
        funnel.add("read", "messages", sum(len(thread.messages) for thread in grouped), {})
    own = sum(owner.wrote(message) for thread in grouped for message in thread.messages)
    everybody = funnel.stages[-1].went
    funnel.add("messages", "messages", everybody, {"written by others": everybody - own})
    if not own:
        raise TwinError(
            f"none of {everybody} messages is by you; add your addresses and chat names "
            "(twin init; twin corpus show lists who wrote)"
        )

    dropped: Counter[str] = Counter()
    found = [pair for thread in grouped for pair in pairs.from_thread(thread, owner, dropped)]
    # One pair may hold several messages of a chat: all but one of them are counted as joined.
    funnel.add("your messages", "messages", own, dropped)

    kept, copies = dedupe.without_copies(found)
    nearly = {f"nearly the same as another ({dedupe.THRESHOLD:.0%})": len(found) - len(kept)}
    funnel.add("pairs", "pairs", len(found), nearly)

    dropped = Counter()
    fit = curate.gate(kept, dropped)
    funnel.add("distinct pairs", "pairs", len(kept), dropped)
    curate.require_enough(fit, f"{own} messages of yours", allow_small=choice.allow_small)

    chosen = curate.choose(fit, choice.size, choice.seed)
    funnel.add("usable pairs", "pairs", len(fit), {"not among the chosen": len(fit) - len(chosen)})
    redacted = [redact.redact_pair(pair) for pair in chosen]
    redactions = sum((counts for _, counts in redacted), Counter[str]())
    return Selection([pair for pair, _ in redacted], funnel, redactions, copies)


def build(
    store: Store,
    owner: Owner,
    persona: Persona,
    target: Path,
    choice: Choice = Choice(),  # noqa: B008 - frozen
) -> Dataset:
    """From the store to the dataset at `target`."""
    imports = store.import_log()
    if not imports:
        raise TwinError(
            "nothing has been imported yet; add your mail or chats: twin corpus add PATH"
        )
    funnel = Funnel()
    read, known = sum(i.read for i in imports), sum(i.known for i in imports)
    funnel.add("read", "messages", read, {"read before": known})
    selection = select(store.messages(owner), owner, choice, funnel)
    settings = {
        **asdict(choice),
        "near_duplicate": dedupe.THRESHOLD,
        "incoming_characters": pairs.INCOMING_CHARACTERS,
        "redactions": dict(selection.redactions),
    }
    return dataset.build(
        selection.pairs, persona, target, funnel=selection.funnel, settings=settings
    )
