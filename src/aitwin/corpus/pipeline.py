"""The corpus room from end to end: files to store, store to dataset. Each step lives elsewhere."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aitwin import artifact
from aitwin.corpus import curate, dataset, dedupe, page, pairs, redact, sources
from aitwin.corpus import marks as hand
from aitwin.corpus.curate import Choice
from aitwin.corpus.dataset import REMEDY, Dataset
from aitwin.corpus.funnel import Funnel
from aitwin.corpus.marks import Mark, Marks
from aitwin.corpus.messages import Message, Owner, Thread, threads
from aitwin.corpus.pairs import Pair
from aitwin.corpus.redact import Rules
from aitwin.corpus.report import Losses, Skipped
from aitwin.corpus.sources import Found
from aitwin.corpus.store import Imported, Store
from aitwin.corpus.whatsapp_headers import DateOrder
from aitwin.errors import TwinError
from aitwin.prompt import Persona

CANDIDATES = "pairs.json"
EXAMPLES = 5
"""Messages shown for each reason why a message gave no pair."""


@dataclass(frozen=True)
class Selection:
    """The chosen pairs, and what happened on the way to them."""

    pairs: list[Pair]
    funnel: Funnel
    redactions: Counter[str]
    copies: list[list[Pair]] = field(repr=False)
    """Groups of near-identical pairs; the first of each was kept, unless the owner dropped it."""
    found: list[Pair] = field(default_factory=list, repr=False)
    """Every pair that there was, not redacted."""
    reasons: dict[str, str] = field(default_factory=dict, repr=False)
    """Id of a pair that was not chosen -> why."""
    lost: dict[str, list[Message]] = field(default_factory=dict, repr=False)
    """Reason -> the first messages of the owner's that gave no pair for it."""


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
            store.pass_over(sources.place(found.path), found.error or found.reason)
            yield found, found.refusal() if found.named or found.error else None
            continue
        on_progress(Reading(found.path, before, total))
        skipped, source = Skipped(), sources.place(found.path)
        try:
            passed = _metered(found.path, before, total, on_progress)
            instead = date_order is not None and _dated_otherwise(store, found, date_order)
            messages = found.read(skipped, date_order, passed)
            before += found.bytes
            imported = store.add(source, found.format, messages, skipped, instead=instead)
        except OSError as problem:
            error = TwinError(f"{found.path} cannot be read ({problem.strerror}); check the disk")
            store.pass_over(source, str(error))
            yield found, error
        except TwinError as error:
            store.pass_over(source, str(error))
            yield found, error
        else:
            yield found, imported


def _dated_otherwise(store: Store, found: Found, date_order: DateOrder) -> bool:
    """Whether the store has this very chat with day, month and year in another order.

    Not only because messages differ: an export that has grown at one end and shrunk at the other
    replaces nothing.
    """
    if found.format != "whatsapp":
        return False
    stored = list(store.from_source(sources.place(found.path)))
    ids = {message.id for message in stored}
    mixed = {_without_order(message): message.sent_at.date() for message in stored}
    return any(
        message.id not in ids
        and mixed.get(_without_order(message), message.sent_at.date()) != message.sent_at.date()
        for message in found.read(Skipped(), date_order)
    )


def _without_order(message: Message) -> tuple[object, ...]:
    """A message as it is, whichever numbers of its date are day, month and year."""
    moment = message.sent_at
    numbers = sorted((moment.day, moment.month, moment.year % 100))
    return (*numbers, moment.time(), message.sender.name, message.text)


def remove(store: Store, path: Path) -> dict[Path, int]:
    """Forget what came from a file, or from all files in a folder: file -> messages.

    The path need not exist any more. Raises TwinError when nothing came from there.
    """
    place = sources.place(path)
    return {file: store.remove(file) for file in store.sources(place) or [place]}


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


def select(  # noqa: PLR0913 (the last four are the wishes of the owner, each with a default)
    messages: Iterable[Message],
    owner: Owner,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    funnel: Funnel | None = None,
    marks: Marks = Marks(),  # noqa: B008 - frozen
    rules: Rules = Rules(),  # noqa: B008 - frozen
) -> Selection:
    """From messages to the chosen pairs.

    A `funnel` that is given ends with all messages that were there, also those that were left
    out of `messages` because they cannot matter. What the owner dropped by hand is never chosen,
    what was pinned always is. Raises TwinError when there is too little.
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

    dropped = Losses()
    found = [pair for thread in grouped for pair in pairs.from_thread(thread, owner, dropped)]
    # One pair may hold several messages of a chat: all but one of them are counted as joined.
    funnel.add("your messages", "messages", own, dropped)
    lost = _examples(grouped, dropped)

    pinned, struck = marks.pinned(found), marks.dropped(found)
    found = [replace(pair, pinned=True) if pair.id in pinned else pair for pair in found]
    kept, copies = dedupe.without_copies(found, struck)
    reasons = _repeated(found, kept, copies, struck)
    funnel.add("pairs", "pairs", len(found), Counter(reasons.values()))

    dropped = Losses()
    fit = curate.gate(kept, dropped)
    funnel.add("distinct pairs", "pairs", len(kept), dropped)
    reasons |= dropped.reasons
    curate.require_enough(fit, f"{own} messages of yours", allow_small=choice.allow_small)

    chosen = curate.choose(fit, choice.size, choice.seed)
    taken = {pair.id for pair in chosen}
    reasons |= {pair.id: "not among the chosen" for pair in fit if pair.id not in taken}
    funnel.add("usable pairs", "pairs", len(fit), {"not among the chosen": len(fit) - len(chosen)})
    # Together: a secret that one pair gives away is one in all of them.
    redacted, redactions = redact.redact_pairs(chosen, rules)
    return Selection(redacted, funnel, redactions, copies, found, reasons, lost)


def _repeated(
    found: list[Pair], kept: list[Pair], copies: list[list[Pair]], struck: frozenset[str]
) -> dict[str, str]:
    """Why each pair that is not in `kept` is not there: its id -> the reason."""
    stays = {pair.id for pair in kept}
    after_struck = {pair.id for group in copies if group[0].id in struck for pair in group}
    reasons = {}
    for pair in found:
        if pair.id in struck:
            reasons[pair.id] = "dropped by you"
        elif pair.id not in stays and pair.id in after_struck:
            reasons[pair.id] = "nearly the same as one that you dropped"
        elif pair.id not in stays:
            reasons[pair.id] = f"nearly the same as another ({dedupe.THRESHOLD:.0%})"
    return reasons


def _examples(grouped: list[Thread], dropped: Losses) -> dict[str, list[Message]]:
    """For each reason the first messages that were lost for it, for the owner to look at."""
    examples: dict[str, list[Message]] = {}
    for thread in grouped:
        for message in thread.messages:
            reason = dropped.reasons.get(message.id, "")
            if reason and len(examples.setdefault(reason, [])) < EXAMPLES:
                examples[reason].append(message)
    return examples


def build(  # noqa: PLR0913 (the last two are the wishes of the owner, each with a default)
    store: Store,
    owner: Owner,
    persona: Persona,
    target: Path,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    rules: Rules = Rules(),  # noqa: B008 - frozen
) -> Dataset:
    """From the store to the dataset at `target`, with its page and its list of all pairs."""
    imports = store.import_log()
    if not imports:
        raise TwinError(
            "nothing has been imported yet; add your mail or chats: twin corpus add PATH"
        )
    funnel = Funnel()
    read, known = sum(i.read for i in imports), sum(i.known for i in imports)
    funnel.add("read", "messages", read, {"read before": known})
    marks = hand.load(store.path.parent)
    selection = select(store.messages(owner), owner, choice, funnel, marks, rules)
    settings = {
        **asdict(choice),
        "near_duplicate": dedupe.THRESHOLD,
        "incoming_characters": pairs.INCOMING_CHARACTERS,
        "redactions": dict(selection.redactions),
        "pinned": sum(pair.pinned for pair in selection.pairs),
    }
    built = dataset.build(
        selection.pairs,
        persona,
        target,
        funnel=selection.funnel,
        settings=settings,
    )
    page.write(target / page.FILE, page.of_dataset(built, selection, store, owner))
    _write_candidates(target / CANDIDATES, selection)
    return built


def _write_candidates(path: Path, selection: Selection) -> None:
    """Every pair that there was, without its words: what `twin dataset drop` finds ids in."""
    pairs = {
        pair.id: [selection.reasons.get(pair.id, ""), *pair.messages] for pair in selection.found
    }
    artifact.write_private(path, json.dumps(pairs, indent=0) + "\n")


def mark(
    store: Store, dataset: Dataset, prefixes: Iterable[str], how: Mark | None
) -> dict[str, str]:
    """Drop or pin pairs of the corpus for good, or (None) take such a mark off them.

    `prefixes` are ids or beginnings of ids. Returns each id with what became of the pair when
    `dataset` was built: empty when it was chosen. Raises TwinError, and then changes nothing.
    """
    directory = store.path.parent
    marks = hand.load(directory)
    candidates = _candidates(dataset)
    messages = {**marks.messages, **{id_: hashes for id_, (_, *hashes) in candidates.items()}}
    known = [*messages] if how else [*marks.marks, *marks.concerned(messages)]
    what = "pair" if how else "marked pair"
    chosen = {id_: messages[id_] for id_ in hand.resolve(prefixes, known, what)}
    hand.save(directory, marks.marked(chosen, how) if how else marks.unmarked(chosen))
    return {id_: candidates.get(id_, ["not in this dataset"])[0] for id_ in chosen}


def _candidates(dataset: Dataset) -> dict[str, list[str]]:
    """Id -> why it was not chosen (or empty), then the hashes of its messages."""
    path = dataset.path / CANDIDATES
    try:
        pairs: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise TwinError(
            f"{path}, the list of all pairs, is missing or damaged; {REMEDY} again"
        ) from None
    return pairs
