"""From the store to a dataset, end to end. Each step lives elsewhere; files come in by imports."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from aitwin import artifact
from aitwin.corpus import (
    context,
    curate,
    dataset,
    dedupe,
    instructions,
    languages,
    page,
    pairing,
    reading,
    redact,
    reverse,
)
from aitwin.corpus import kept as keeping
from aitwin.corpus import marks as hand
from aitwin.corpus.context import Budget
from aitwin.corpus.curate import Choice
from aitwin.corpus.dataset import REMEDY, Dataset
from aitwin.corpus.funnel import Funnel
from aitwin.corpus.instructions import Commonness
from aitwin.corpus.kept import Book
from aitwin.corpus.marks import Mark, Marks
from aitwin.corpus.messages import Channel, Message, Owner, Thread, threads
from aitwin.corpus.pairs import JOINED, Pair
from aitwin.corpus.redact import Found, Redactor, Rules
from aitwin.corpus.report import Losses
from aitwin.corpus.reverse import Author
from aitwin.corpus.store import Store
from aitwin.errors import TwinError
from aitwin.prompt import Persona

Track = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0 where nobody knows)."""

CANDIDATES = "pairs.json"
EXAMPLES = 5
"""Messages shown for each reason why a message gave no pair."""


def _untracked(what: str, done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Selection:
    """The chosen pairs, and what happened on the way to them."""

    pairs: list[Pair]
    funnel: Funnel
    redactions: Counter[str]
    copies: list[list[Pair]] = field(repr=False)
    """Groups of near-identical pairs; the first of each was kept, unless the owner dropped it."""
    redactor: Redactor = field(default_factory=lambda: Redactor(Rules()), repr=False)
    """Knows what the chosen pairs gave away: for whatever else of the corpus is to be shown."""
    found: list[Pair] = field(default_factory=list, repr=False)
    """Every pair that there was, not redacted."""
    reasons: dict[str, str] = field(default_factory=dict, repr=False)
    """Id of a pair that was not chosen -> why."""
    lost: dict[str, list[Message]] = field(default_factory=dict, repr=False)
    """Reason -> the first messages of the owner's that gave no pair for it."""
    edited: frozenset[str] = frozenset()
    """Ids of the chosen pairs whose reply is in the owner's later wording."""


def select(  # noqa: PLR0913 (the last six are the wishes of the owner, each with a default)
    messages: Iterable[Message],
    owner: Owner,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    funnel: Funnel | None = None,
    marks: Marks = Marks(),  # noqa: B008 - frozen
    rules: Rules = Rules(),  # noqa: B008 - frozen
    budget: Budget = Budget(),  # noqa: B008 - frozen
    track: Track = _untracked,
    book: Book = Book(),  # noqa: B008 - frozen
) -> Selection:
    """From messages to the chosen pairs.

    The drafts that the owner kept (`book`) count as messages of the owner's. A `funnel` that is
    given ends with all messages that were there, also those that were left out of `messages`
    because they cannot matter. What the owner dropped by hand is never chosen, what was pinned
    always is. Raises TwinError when there is too little.
    """
    grouped = threads(messages)
    if funnel is None:
        funnel = Funnel()
        read = sum(len(thread.messages) for thread in grouped)
        funnel.add("read", "messages", read + len(book.drafts), {})
    own = sum(owner.wrote(message) for thread in grouped for message in thread.messages)
    own += len(book.drafts)
    everybody = funnel.stages[-1].went
    funnel.add("messages", "messages", everybody, {"written by others": everybody - own})
    if not own:
        raise TwinError(
            f"none of {everybody} messages is by you; add your addresses and chat names "
            "(twin init; twin corpus show lists who wrote)"
        )

    dropped = Losses()
    pairing_up = partial(track, "cleaning and pairing")
    found = [*pairing.from_threads(grouped, owner, dropped, pairing_up), *book.pairs]
    # One pair may hold several messages of a chat: all but one of them are counted as joined.
    funnel.add("your messages", "messages", own, dropped)
    lost = _examples(grouped, dropped)

    track("choosing", 0, 0)
    struck = marks.dropped(found)
    pinned = (marks.pinned(found) | book.pinned(found)) - struck
    found = [replace(pair, pinned=True) if pair.id in pinned else pair for pair in found]
    kept, copies = dedupe.without_copies(found, struck)
    reasons = _repeated(found, kept, copies, struck)
    funnel.add("pairs", "pairs", len(found), Counter(reasons.values()))

    if choice.languages:
        kept = languages.told(kept)
    dropped = Losses()
    fit = curate.gate(kept, dropped, choice.languages)
    fit = context.without_endless(fit, budget, dropped)
    funnel.add("distinct pairs", "pairs", len(kept), dropped)
    reasons |= dropped.reasons
    lost_for = sum((stage.dropped for stage in funnel.stages[-3:]), Counter())
    del lost_for[JOINED]
    curate.require_enough(fit, f"{own} messages of yours", lost_for, allow_small=choice.allow_small)

    chosen = curate.choose(fit, choice.size, choice.seed, choice.mail_share)
    curate.require_share(chosen, choice)
    taken = {pair.id for pair in chosen}
    why = curate.why_not(len(chosen), len(fit), choice)
    reasons |= {pair.id: why for pair in fit if pair.id not in taken}
    funnel.add("usable pairs", "pairs", len(fit), {why: len(fit) - len(chosen)})
    if not choice.languages:
        chosen = languages.told(chosen)
    chosen = _fitted(_with_languages(chosen), budget, book)
    # Together: a secret that one pair gives away is one in all of them, chosen or not.
    track("looking for secrets", 0, 0)
    redactor = Redactor(_with_people(rules, grouped, owner))
    redactor.hear(pair for pair in found if pair.id not in taken)
    redacted, redactions = redactor.redact_set(chosen)
    edits = {pair.id: edit.reply for pair in redacted if (edit := book.edit_of(pair))}
    redacted = [_edited(pair, edits, redactor) for pair in redacted]
    common = Commonness.of(_conversations(found))
    worded = [_with_topics(pair, common) for pair in redacted]
    edited = frozenset(edits)
    return Selection(worded, funnel, redactions, copies, redactor, found, reasons, lost, edited)


def _fitted(pairs: list[Pair], budget: Budget, book: Book) -> list[Pair]:
    """The pairs with as much context as the replies leave room for that will be learnt."""
    edits = {pair.id: edit.reply for pair in pairs if (edit := book.edit_of(pair))}
    put = [replace(pair, reply=edits.get(pair.id, pair.reply)) for pair in pairs]
    fitted = context.fit_all(put, budget)
    # The owner edits what is shown, and that is redacted: its turn comes after the redaction.
    return [replace(one, reply=pair.reply) for one, pair in zip(fitted, pairs, strict=True)]


def _edited(pair: Pair, edits: Mapping[str, str], redactor: Redactor) -> Pair:
    """A redacted pair with its reply in the owner's later wording, which is redacted, too."""
    if pair.id not in edits:
        return pair
    return redactor.redact_pair(replace(pair, reply=edits[pair.id]))


def _with_languages(pairs: list[Pair]) -> list[Pair]:
    """The pairs, with the language in the request where it would not be expected."""
    said = languages.unexpected(pairs)
    return [
        replace(p, instruction=instructions.in_language(p.instruction, said.get(p.id, "")))
        for p in pairs
    ]


def _conversations(pairs: Iterable[Pair]) -> list[str]:
    """All that is said in each conversation, as one text: what it repeats counts once."""
    texts: dict[str, list[str]] = {}
    for pair in pairs:
        texts.setdefault(pair.thread, []).extend((pair.reply, pair.incoming))
    return ["\n".join(said) for said in texts.values()]


def _with_topics(pair: Pair, common: Commonness) -> Pair:
    """A first mail without a subject gets one from its words, which are redacted by now."""
    if not pair.begins or instructions.tells(pair.subject):
        return pair
    topics = common.topics(pair.reply)
    return replace(pair, instruction=instructions.with_topics(pair.instruction, topics, pair.id))


def reword(selection: Selection, author: Author, directory: Path) -> tuple[Selection, Counter[str]]:
    """The selection with first mails' instructions by a model, and how many it spoiled, and why.

    What the model makes of a redacted mail is redacted again: it may put together what was apart.
    """
    worded, fates = reverse.reworded(selection.pairs, author, directory)
    clean = []
    for before, pair in zip(selection.pairs, worded, strict=True):
        if pair.instruction != before.instruction:
            pair = replace(pair, instruction=selection.redactor.redact_pair(pair).instruction)
        clean.append(pair)
    return replace(selection, pairs=clean), fates


def _with_people(rules: Rules, grouped: Iterable[Thread], owner: Owner) -> Rules:
    """The rules with the names of everybody who wrote or was written to, where those are to go."""
    if not rules.people:
        return rules
    people = {
        person.name
        for thread in grouped
        for message in thread.messages
        for person in (message.sender, *message.recipients)
        if person.address not in owner.addresses and person.name not in owner.chat_names
    }
    own = {owner.name, *owner.chat_names}
    return replace(rules, names=rules.names | people, allow=rules.allow | own)


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


def build(  # noqa: PLR0913 (the last five are the wishes of the owner, each with a default)
    store: Store,
    owner: Owner,
    persona: Persona,
    target: Path,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    rules: Rules = Rules(),  # noqa: B008 - frozen
    budget: Budget = Budget(),  # noqa: B008 - frozen
    author: Author | None = None,
    track: Track = _untracked,
) -> Dataset:
    """From the store to the dataset at `target`, with its page and its list of all pairs.

    Mails that matter and were only listed so far are read first.
    """
    context.require_room(budget)
    files = store.files()
    if not files:
        raise TwinError(
            "nothing has been imported yet; add your mail or chats: twin corpus add PATH"
        )
    gone = reading.what_matters(store, owner, partial(track, "reading what you wrote")).gone
    funnel = Funnel()
    everything = store.summary(owner).messages
    # What stood in a file that was rewritten since is still there, and in no file any more.
    read = max(everything, sum(file.read for file in files))
    marks, book = hand.load(store.path.parent), keeping.load(store.path.parent)
    drafts = len(book.drafts)
    funnel.add("read", "messages", read + drafts, {"in several files": read - everything})
    messages = store.messages(owner)
    try:
        selection = select(messages, owner, choice, funnel, marks, rules, budget, track, book)
    except TwinError as error:
        if gone:  # then that is why, or part of it
            raise TwinError(f"{error}\n{reading.remark(gone)}") from None
        raise
    fates: Counter[str] = Counter()
    if author:
        selection, fates = reword(selection, author, store.path.parent)
    settings = {
        **asdict(choice),
        "near_duplicate": dedupe.THRESHOLD,
        "tokens": {"row": budget.row, "counted_by": budget.counted_by},
        "instructions": "llm" if author else "rules",
        "instructions_llm": dict(fates),
        "redactions": dict(selection.redactions),
        "pinned": sum(pair.pinned for pair in selection.pairs),
        "kept": sorted(pair.id for pair in selection.pairs if pair.kept),
        "edited": sorted(selection.edited),
        "mails_gone": {str(path): count for path, count in gone.items()},
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


@dataclass(frozen=True)
class LeftOut:
    """A pair of the corpus that is in no part of a dataset, redacted, and why."""

    id: str
    channel: Channel
    sent_at: datetime
    reason: str
    instruction: str = field(repr=False)
    incoming: str = field(repr=False)
    reply: str = field(repr=False)


def why_left_out(dataset_: Dataset) -> dict[str, str]:
    """Id of each pair that was there when the dataset was built and is not in it -> why."""
    chosen = {row.id for split in dataset.SPLITS for row in dataset_.split(split)}
    return {
        id_: reason or "held-out reply that nearly repeats one in training"
        for id_, (reason, *_) in _candidates(dataset_).items()
        if id_ not in chosen
    }


def left_out(
    store: Store, owner: Owner, dataset_: Dataset, rules: Rules, ids: Collection[str]
) -> list[LeftOut]:
    """These left-out pairs, oldest first, read from the corpus again.

    Secrets that the chosen pairs give away are known, and replaced in these, too.
    """
    reasons = why_left_out(dataset_)
    grouped = threads(store.messages(owner))
    drafts = keeping.load(store.path.parent).pairs
    found = [*pairing.from_threads(grouped, owner, Losses()), *drafts]
    redactor = Redactor(_with_people(rules, grouped, owner))
    redactor.redact_set([pair for pair in found if pair.id not in reasons])
    shown = []
    for pair in sorted(found, key=lambda pair: (pair.sent_at, pair.id)):
        if pair.id in ids and pair.id in reasons:
            clean, why = redactor.redact_pair(pair), reasons[pair.id]
            texts = (clean.instruction, clean.incoming, clean.reply)
            shown.append(LeftOut(pair.id, pair.channel, pair.sent_at, why, *texts))
    return shown


def redactions(store: Store, owner: Owner, dataset_: Dataset, rules: Rules) -> list[Found]:
    """What was taken out of the pairs of a dataset, in the clear, read from the corpus again."""
    chosen = {row.id for split in dataset.SPLITS for row in dataset_.split(split)}
    grouped = threads(store.messages(owner))
    drafts = keeping.load(store.path.parent).pairs
    found = [*pairing.from_threads(grouped, owner, Losses()), *drafts]
    rules = _with_people(rules, grouped, owner)
    return redact.inventory((pair for pair in found if pair.id in chosen), rules)


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
    candidates = _candidates(dataset)
    what = "pair" if how else "marked pair"
    # A server may be asked twice at once: neither may write over the other's mark.
    with artifact.holding(directory):
        marks = hand.load(directory)
        messages = {**marks.messages, **{id_: hashes for id_, (_, *hashes) in candidates.items()}}
        known = [*messages] if how else [*marks.marks, *marks.concerned(messages)]
        chosen = {id_: messages[id_] for id_ in hand.resolve(prefixes, known, what)}
        hand.save(directory, marks.marked(chosen, how) if how else marks.unmarked(chosen))
    return {id_: candidates.get(id_, ["not in this dataset"])[0] for id_ in chosen}


def marks_of(store: Store, dataset: Dataset) -> dict[str, Mark]:
    """The marks that pairs bear which were there when `dataset` was built, by id."""
    return hand.load(store.path.parent).of(messages_of(dataset))


def messages_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Each pair that was there when `dataset` was built, with the hashes of its messages."""
    return {id_: tuple(hashes) for id_, (_, *hashes) in _candidates(dataset).items()}


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
