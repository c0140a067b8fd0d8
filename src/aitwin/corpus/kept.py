"""What the owner wrote for the twin: drafts that were mended and kept, and replies put otherwise.

A small private file beside the corpus, so that it outlives every dataset. A kept draft is a pair
of its own, an edit takes the place of the reply of a pair that there is; the next build learns
both. Does not choose and does not redact: see pipeline.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aitwin import artifact
from aitwin.corpus.messages import Channel
from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError

FILE = "kept.json"
FORMAT = 1
MOST = 5000
"""Kept drafts, and as many edits: as many as the largest dataset holds."""


@dataclass(frozen=True)
class Kept:
    """A draft as the owner would have sent it."""

    id: str
    """Hash of its words: kept twice, it is one."""
    channel: Channel
    kept_at: datetime
    instruction: str = field(repr=False)
    incoming: str = field(repr=False)
    """The mail or chat that it answers; empty for none."""
    reply: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a time that says not where."""
        if self.kept_at.tzinfo is None:
            raise ValueError("a time without a time zone")

    @property
    def pair(self) -> Pair:
        """As it is learnt: pinned, since the owner took the trouble."""
        pieces = self.incoming.split("\n\n" if self.channel == "mail" else "\n")
        return Pair(
            id=self.id,
            thread=self.id,
            channel=self.channel,
            sent_at=self.kept_at,
            instruction=self.instruction,
            incoming=self.incoming,
            reply=self.reply,
            messages=(self.id,),
            pinned=True,
            pieces=tuple(pieces) if self.incoming else (),
            kept=True,
        )


@dataclass(frozen=True)
class Edit:
    """The reply of a pair as the owner would rather have put it."""

    messages: tuple[str, ...] = field(repr=False)
    """Hashes of the messages that the pair is made of: it may have another id one day."""
    made_at: datetime
    reply: str = field(repr=False)


@dataclass(frozen=True)
class Book:
    """All of it."""

    drafts: Mapping[str, Kept] = field(default_factory=dict)
    """By id."""
    edits: Mapping[str, Edit] = field(default_factory=dict)
    """By the id of their pair."""

    @property
    def pairs(self) -> list[Pair]:
        """The kept drafts as pairs, the oldest first."""
        drafts = sorted(self.drafts.values(), key=lambda one: (one.kept_at, one.id))
        return [one.pair for one in drafts]

    def edit_of(self, pair: Pair) -> Edit | None:
        """What its reply is to be; by its id, or made of the very same messages."""
        if found := self.edits.get(pair.id):
            return found
        same = (edit for edit in self.edits.values() if edit.messages == pair.messages)
        return next(same, None) if pair.messages else None

    def pinned(self, pairs: Iterable[Pair]) -> frozenset[str]:
        """The ids of those that were edited: the owner wants them learnt."""
        by_messages = {edit.messages for edit in self.edits.values() if edit.messages}
        return frozenset(
            pair.id for pair in pairs if pair.id in self.edits or pair.messages in by_messages
        )


def draft(
    instruction: str, incoming: str, reply: str, channel: Channel, at: datetime | None = None
) -> Kept:
    """A draft to keep. Raises TwinError when there is nothing in it to learn."""
    texts = [_tidy(text) for text in (instruction, incoming, reply)]
    if not texts[0] or not texts[2]:
        raise TwinError("a pair needs what was asked for and what was written; fill in both")
    digest = artifact.digest("\n\0".join(("kept", channel, *texts)))[:16]
    return Kept(digest, channel, at or datetime.now(UTC), *texts)


def _tidy(text: str) -> str:
    """As texts of mail come, too: half characters can be in no file."""
    clean = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    return clean.replace("\0", "").strip()


def keep(directory: Path, one: Kept) -> Kept:
    """Add a draft to what the corpus at `directory` keeps; what was there already stays so."""
    with _changing(directory) as book:
        if one.id in book.drafts:
            return book.drafts[one.id]
        if len(book.drafts) >= MOST:
            raise TwinError(f"{MOST} drafts are kept already; delete some that are no good")
        save(directory, replace(book, drafts={**book.drafts, one.id: one}))
    return one


def forget(directory: Path, draft_id: str) -> bool:
    """Delete a kept draft for good; whether there was one. Datasets keep what they have."""
    with _changing(directory) as book:
        if draft_id not in book.drafts:
            return False
        rest = {id_: one for id_, one in book.drafts.items() if id_ != draft_id}
        # What was said of it goes with it.
        edits = {id_: edit for id_, edit in book.edits.items() if id_ != draft_id}
        save(directory, Book(rest, edits))
    return True


def edit(directory: Path, pair_id: str, messages: Sequence[str], reply: str) -> Edit | None:
    """Have the reply of a pair put so from the next build on; an empty one takes that back."""
    text = _tidy(reply)
    with _changing(directory) as book:
        these = tuple(messages)
        rest = {
            id_: one
            for id_, one in book.edits.items()
            if id_ != pair_id and not (these and one.messages == these)
        }
        if not text:
            save(directory, replace(book, edits=rest))
            return None
        if len(rest) >= MOST:
            raise TwinError(f"{MOST} pairs are edited already; take some of the edits back")
        made = Edit(these, datetime.now(UTC), text)
        save(directory, replace(book, edits={**rest, pair_id: made}))
    return made


@contextmanager
def _changing(directory: Path) -> Iterator[Book]:
    """The book, which nobody else changes meanwhile."""
    with artifact.holding(artifact.make_private_dir(directory)):
        yield load(directory)


def load(directory: Path) -> Book:
    """What is kept in the corpus at `directory`; nothing when there is no file.

    Raises TwinError when the file cannot be read: going on without it would lose what the owner
    wrote at the next change.
    """
    path = directory / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise TwinError(f"{path} was made by another version of twin; update twin")
        drafts = {str(id_): _draft(str(id_), entry) for id_, entry in content["drafts"].items()}
        edits = {str(id_): _edit(entry) for id_, entry in content["edits"].items()}
    except FileNotFoundError:
        return Book()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise TwinError(
            f"{path} is damaged, and holds the drafts that you kept; put it back from a backup, or "
            "delete it to begin without them"
        ) from None
    return Book(drafts, edits)


def save(directory: Path, book: Book) -> Path:
    """Write the book, wholly or not at all."""
    drafts = {
        id_: {
            "channel": one.channel,
            "kept_at": one.kept_at.isoformat(),
            "instruction": one.instruction,
            "incoming": one.incoming,
            "reply": one.reply,
        }
        for id_, one in sorted(book.drafts.items())
    }
    edits = {
        id_: {
            "messages": list(one.messages),
            "made_at": one.made_at.isoformat(),
            "reply": one.reply,
        }
        for id_, one in sorted(book.edits.items())
    }
    path = directory / FILE
    content = {"format": FORMAT, "drafts": drafts, "edits": edits}
    artifact.write_private(path, json.dumps(content, indent=1) + "\n")
    return path


def _draft(draft_id: str, entry: Mapping[str, Any]) -> Kept:
    texts = (artifact.text(entry[key]) for key in ("instruction", "incoming", "reply"))
    return Kept(
        draft_id, _channel(entry["channel"]), datetime.fromisoformat(entry["kept_at"]), *texts
    )


def _edit(entry: Mapping[str, Any]) -> Edit:
    made_at = datetime.fromisoformat(entry["made_at"])
    return Edit(tuple(map(str, entry["messages"])), made_at, artifact.text(entry["reply"]))


def _channel(value: object) -> Channel:
    if value == "mail":
        return "mail"
    if value == "chat":
        return "chat"
    raise ValueError("neither mail nor chat")
