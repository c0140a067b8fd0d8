"""Files and folders into the store, with progress and an answer for each file.

Reads no format itself (see sources), and knows no dataset.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aitwin.corpus import listing, sources
from aitwin.corpus.messages import Message
from aitwin.corpus.report import Skipped
from aitwin.corpus.sources import Found
from aitwin.corpus.store import Imported, Store
from aitwin.corpus.whatsapp import Siblings
from aitwin.corpus.whatsapp_headers import DateOrder
from aitwin.errors import TwinError


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
    """Import files and folders, telling each result as it is there.

    A file that fails gives its error and the next one goes on; None is a file in a folder that
    is no mail and no chat. Mail is listed only: reading.what_matters reads the rest.
    """
    every = sources.find(paths)
    before, total = 0, sum(found.bytes for found in every)
    earlier = [one.source for one in store.import_log() if one.format == "whatsapp"]
    chats = Siblings(
        dict.fromkeys([*(found.path for found in every if found.format == "whatsapp"), *earlier])
    )
    with store.held():
        for found in every:
            if not found.format:
                store.pass_over(sources.place(found.path), found.error or found.reason)
                yield found, found.refusal() if found.named or found.error else None
                continue
            on_progress(Reading(found.path, before, total))
            passed = _metered(found.path, before, total, on_progress)
            before += found.bytes
            try:
                yield found, _one(store, found, date_order, chats, passed)
            except OSError as problem:
                why = f"{found.path} cannot be read ({problem.strerror}); check the disk"
                store.pass_over(sources.place(found.path), why)
                yield found, TwinError(why)
            except TwinError as error:
                store.pass_over(sources.place(found.path), str(error))
                yield found, error


def _one(
    store: Store,
    found: Found,
    date_order: DateOrder | None,
    chats: Siblings,
    passed: Callable[[int], None],
) -> Imported:
    """Import one file: mail is listed, to be read where it matters; a chat is read whole."""
    source = sources.place(found.path)
    if found.format == "mail":
        return listing.import_mail(store, source, found.path, passed)
    skipped = Skipped()
    instead = date_order is not None and _dated_otherwise(store, found, date_order)
    messages = found.read(skipped, date_order, chats)
    return store.add(source, found.format, messages, skipped, instead=instead)


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
