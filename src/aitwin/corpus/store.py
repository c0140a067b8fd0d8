"""The imported messages, on disk: what was found in which file, once each.

One SQLite file that only the owner can read. A mail is first listed: who wrote it, when, about
what, and where it lies. Those that matter are read whole later (see reading); a chat is whole from
the start. Does not parse and does not judge: it keeps what was found until the owner removes it.
"""

import json
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from errno import ENOSPC
from itertools import islice
from pathlib import Path
from typing import Any, cast

from aitwin import artifact
from aitwin.corpus.mail import Listed
from aitwin.corpus.messages import (
    SAME_SUBJECT_DAYS,
    Channel,
    Message,
    Owner,
    Person,
    bare_subject,
    is_reply_subject,
)
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError

FILE = "messages.sqlite"
VERSION = 2
BATCH = 500
"""Messages held in memory during an import."""
CACHE = 32 << 10
"""KiB of pages that SQLite keeps: with its usual 2 MiB an import waits for its indexes."""
FULL = 1 << 20
"""Bytes: a disk with less room than this counts as full."""
SEEN_OFTEN = 3
"""Mails under the owner's name that make an address worth asking about."""

Row = tuple[Any, ...]
"""A message as the database has it: see listed_row and whole_row."""

_SCHEMA = """
CREATE TABLE imports (
    n INTEGER PRIMARY KEY, path TEXT NOT NULL, format TEXT NOT NULL, at TEXT NOT NULL,
    read INTEGER NOT NULL, new INTEGER NOT NULL, skipped TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0, scanned INTEGER NOT NULL DEFAULT 0,
    tail INTEGER NOT NULL DEFAULT 0, print TEXT NOT NULL DEFAULT ''
);
CREATE TABLE messages (
    n INTEGER PRIMARY KEY, import INTEGER NOT NULL REFERENCES imports ON DELETE CASCADE,
    channel TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL,
    sent_at TEXT NOT NULL, subject TEXT NOT NULL, bare_subject TEXT NOT NULL,
    recipients TEXT NOT NULL, refs TEXT NOT NULL, conversation TEXT NOT NULL,
    automatic TEXT NOT NULL, text TEXT NOT NULL,
    at INTEGER NOT NULL, whole INTEGER NOT NULL DEFAULT 1, offset INTEGER NOT NULL DEFAULT 0,
    length INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0,
    UNIQUE (channel, id, address)
);
CREATE TABLE passed_over (path TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE INDEX messages_import ON messages (import);
CREATE INDEX messages_subject ON messages (bare_subject, at) WHERE bare_subject <> '';
CREATE INDEX messages_talk ON messages (conversation, at) WHERE conversation <> '';
"""
_FROM_VERSION_1 = f"""
CREATE TABLE IF NOT EXISTS passed_over (path TEXT, reason TEXT);
ALTER TABLE imports RENAME TO old_imports;
ALTER TABLE messages RENAME TO old_messages;
ALTER TABLE passed_over RENAME TO old_passed_over;
DROP INDEX messages_import;
DROP INDEX messages_people;
DROP INDEX messages_subject;
{_SCHEMA}
INSERT INTO passed_over SELECT path, reason FROM old_passed_over;
INSERT INTO imports (n, path, format, at, read, new, skipped)
    SELECT n, path, format, at, read, new, skipped FROM old_imports;
INSERT INTO messages (n, import, channel, id, name, address, sent_at, subject, bare_subject,
    recipients, refs, conversation, automatic, text, at)
    SELECT n, import, channel, id, name, address, sent_at, subject, bare_subject,
    recipients, refs, conversation, automatic, text, CAST(strftime('%s', sent_at) AS INTEGER)
    FROM old_messages;
DROP TABLE old_messages;
DROP TABLE old_imports;
DROP TABLE old_passed_over;
"""  # noqa: S608 - constants
_UPGRADES = {0: _SCHEMA, 1: _FROM_VERSION_1}


@dataclass(frozen=True)
class Imported:
    """What one file gave."""

    source: Path
    format: str
    read: int
    """Messages in the file."""
    new: int
    """Messages that the store did not have."""
    skipped: Counter[str]
    """What could not become a message, by reason."""
    places: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """Where the first of each kind are, as `all.mbox@10240`."""
    finished: bool = True
    """Whether the file was listed to its end; adding it again goes on."""

    @property
    def known(self) -> int:
        """Messages that the store had already, from this file or another."""
        return self.read - self.new


@dataclass(frozen=True)
class Progress:
    """How far a mail file has been listed, so that a later import can go on."""

    number: int
    """Of the import in the log; 0 when it is to be opened."""
    read: int
    """Messages listed so far."""
    skipped: Skipped
    size: int
    """Bytes of the file at that time."""
    scanned: int
    """Bytes from its start that are done; a message ends there."""
    tail: int
    """Where the last message of them begins: a file that has grown may go on in its middle."""
    print: str
    """Of those bytes: whether they are still the same (see listing)."""

    @property
    def finished(self) -> bool:
        """Whether all of the file, as it was then, is done."""
        return self.scanned >= self.size


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mail lies that is listed and not read."""

    number: int
    """Of its row."""
    id: str
    path: Path
    offset: int
    length: int
    """Bytes, both."""


@dataclass(frozen=True)
class Summary:
    """What is in the store, in numbers."""

    mails: int
    chat_messages: int
    own_mails: int
    own_chat_messages: int
    first: datetime | None
    last: datetime | None
    whole_mails: int = 0
    """Mails that were read; the others are listed by their headers."""

    @property
    def messages(self) -> int:
        """All, each once."""
        return self.mails + self.chat_messages

    @property
    def own(self) -> int:
        """Messages that the owner wrote."""
        return self.own_mails + self.own_chat_messages


class Store:
    """Messages of all imported files, in the order in which they were read."""

    def __init__(self, directory: Path) -> None:
        self.path = artifact.make_private_dir(directory) / FILE
        # SQLite gives its journals the mode of the database: created here, all are private.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._held: sqlite3.Connection | None = None
        with self._connected() as db, _transaction(db):
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION and version not in _UPGRADES:
                raise TwinError(f"{self.path} was made by another version of twin; update twin")
            for statement in _UPGRADES.get(version, "").split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def held(self) -> Iterator["Store"]:
        """Keep one connection for all that is done within: opening it costs a millisecond."""
        with self._connected() as db:
            before, self._held = self._held, db
            try:
                yield self
            finally:
                self._held = before

    def add(
        self,
        source: Path,
        format: str,
        messages: Iterable[Message],
        skipped: Skipped,
        *,
        instead: bool = False,
    ) -> Imported:
        """Import a file, wholly or not at all; messages that are there already stay as they are.

        Only one whose stored text is the beginning of the new one was cut off, and is replaced.
        With `instead` all that came from this file before goes first. For what is whole from the
        start; mail files are listed first (see list_part).
        """
        read = 0
        with self._connected() as db, _transaction(db):
            if instead:
                _forget(db, source)
            number = _new_import(db, source, format)
            before = db.total_changes
            stream = iter(messages)
            while batch := [(number, *_row(message)) for message in islice(stream, BATCH)]:
                read += len(batch)
                db.executemany(_INSERT, batch)
            new = db.total_changes - before
            db.execute(
                "UPDATE imports SET read = ?, new = ?, skipped = ? WHERE n = ?",
                (read, new, _skipped_json(skipped), number),
            )
        return Imported(source, format, read, new, Counter(skipped.counts), dict(skipped.places))

    def progress(self, source: Path) -> Progress | None:
        """How far the last import of a mail file came; None if there was none."""
        query = """SELECT n, read, skipped, size, scanned, tail, print FROM imports
            WHERE path = ? ORDER BY n DESC LIMIT 1"""
        with self._connected() as db:
            row = db.execute(query, (_text(source),)).fetchone()
        if row is None:
            return None
        return Progress(row[0], row[1], Skipped(*_skipped(row[2])), *row[3:])

    def list_part(
        self, source: Path, rows: Sequence[Row], done: Progress, again: int | None = None
    ) -> int:
        """Keep the mails of one part of a file (see listed_row), and how far that is.

        Goes on with the import that `done` names, or (0) opens one; returns its number in the log.
        `again`: where the file ended before it grew. What was listed there gives way: it may have
        been cut off in its middle, even before its Message-ID.
        A mail that is whole already stays as it is. If it was the last of its file, which may have
        been cut off, and this copy is longer, that is to be read, too (see fill).
        """
        state = (
            *(done.read, _skipped_json(done.skipped)),
            *(done.size, done.scanned, done.tail, done.print),
        )
        with self._connected() as db, _transaction(db):
            number = done.number or _new_import(db, source, "mail")
            tail = (again, _text(source))
            renewed = db.execute(f"DELETE {_TAIL}", tail).rowcount if again is not None else 0
            if rows and not done.number:
                # What ended the file before need not do so now; nothing new leaves it the end.
                db.execute(
                    f"UPDATE messages SET last = 0 WHERE last AND import IN ({_OF_FILE})",  # noqa: S608
                    (_text(source),),
                )
            newest = "SELECT coalesce(max(n), 0) FROM messages"
            before = db.execute(newest).fetchone()[0]
            db.executemany(_LIST, ((number, *row) for row in rows))
            new = db.execute(newest).fetchone()[0] - before - renewed
            db.execute(
                """UPDATE imports SET new = new + ?, read = ?, skipped = ?, size = ?, scanned = ?,
                    tail = ?, print = ? WHERE n = ?""",
                (new, *state, number),
            )
        return number

    def imported(self, number: int) -> Imported:
        """What an import came to."""
        with self._connected() as db:
            return _imported(db.execute(f"{_LOG} WHERE n = ?", (number,)).fetchone())

    def tail_counts(self, source: Path, offset: int) -> int:
        """How many mails, 1 or 0, were listed from the end of a file, there."""
        query = f"SELECT count(*) {_TAIL}"
        with self._connected() as db:
            return int(db.execute(query, (offset, _text(source))).fetchone()[0])

    def unread_own(self, owner: Owner) -> list[Place]:
        """The owner's mails that are listed and not read, by file and place."""
        with self._connected() as db:
            _mark_own(db, owner)
            return _places(db, "SELECT n FROM own")

    def unread_parents(self, owner: Owner) -> list[Place]:
        """The mails that the owner's mails may answer, listed and not read, by file and place.

        The one that an answer names; where it names none, the last of its conversation or subject
        by somebody whom it is addressed to. To be asked for when the owner's own are read.
        """
        with self._connected() as db:
            _mark_own(db, owner)
            db.execute("CREATE TEMP TABLE wanted (n INTEGER)")
            db.execute(_NAMED_PARENTS)
            for subject, bare, talk, at, people in db.execute(_WITHOUT_PARENT).fetchall():
                if is_reply_subject(subject):
                    since = at - SAME_SUBJECT_DAYS * 86400
                    db.execute(_SUBJECT_PARENT, (bare, since, at, people))
                    db.execute(_TALK_PARENT, (talk, at, people))
            return _places(db, "SELECT n FROM wanted")

    def fill(self, messages: Iterable[tuple[int, Row]], skipped: Mapping[Path, Skipped]) -> None:
        """Keep mails that were listed whole (see whole_row), and what was passed over in them."""
        with self._connected() as db, _transaction(db):
            for number, row in messages:
                db.execute(_FILL, (*row, number))
                db.execute("UPDATE messages SET whole = 1 WHERE n = ?", (number,))
            for source, more in skipped.items():
                query = "SELECT n, skipped FROM imports WHERE path = ? ORDER BY n DESC LIMIT 1"
                for number, text in db.execute(query, (_text(source),)).fetchall():
                    together = Skipped(*_skipped(text))
                    together.take(more)
                    text = _skipped_json(together)
                    db.execute("UPDATE imports SET skipped = ? WHERE n = ?", (text, number))

    def pass_over(self, source: Path, reason: str) -> None:
        """Remember a file that was given, or met in a folder, and could not be imported."""
        with self._connected() as db, _transaction(db):
            db.execute("INSERT OR REPLACE INTO passed_over VALUES (?, ?)", (_text(source), reason))

    def passed_over(self) -> dict[Path, str]:
        """The files that could not be imported, with the reason of each."""
        with self._connected() as db:
            rows = db.execute("SELECT path, reason FROM passed_over ORDER BY path")
            return {_path(path): reason for path, reason in rows}

    def remove(self, source: Path) -> int:
        """Forget what came from `source`, and wipe it from the file; how many messages it was.

        A message that is in another file too is gone until that file is added again.
        """
        with self._connected() as db:
            with _transaction(db):
                removed = _forget(db, source)
                if removed is None:
                    raise TwinError(
                        f"nothing was imported from {source}; `twin corpus show` lists the files"
                    )
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def sources(self, place: Path) -> list[Path]:
        """The files that were imported and are `place`, or lie in that folder."""
        place = Path(_text(place))
        files = dict.fromkeys(one.source for one in self.import_log())
        return [file for file in files if place == file or place in file.parents]

    def from_source(self, source: Path) -> Iterator[Message]:
        """The whole messages that came from one file."""
        query = f"""SELECT {_COLUMNS} FROM messages
            WHERE whole AND import IN (SELECT n FROM imports WHERE path = ?) ORDER BY n"""  # noqa: S608
        with self._connected() as db:
            for row in db.execute(query, (_text(source),)):
                yield _message(row)

    def import_log(self) -> list[Imported]:
        """Every import, oldest first."""
        with self._connected() as db:
            return [_imported(row) for row in db.execute(f"{_LOG} ORDER BY n")]

    def last_new(self) -> datetime | None:
        """When an import last began that brought messages which were not known."""
        with self._connected() as db:
            [at] = db.execute("SELECT max(at) FROM imports WHERE new > 0").fetchone()
        return datetime.fromisoformat(at) if at else None

    def files(self) -> list[Imported]:
        """Each file once, as its last import left it; `new` counts over all of its imports."""
        files: dict[Path, Imported] = {}
        for one in self.import_log():
            earlier = files.get(one.source)
            files[one.source] = replace(one, new=one.new + (earlier.new if earlier else 0))
        return list(files.values())

    def messages(self, owner: Owner | None = None) -> Iterator[Message]:
        """All whole messages; with an owner, only those that can matter to what the owner wrote.

        These are the owner's own, the mails that they name or share a subject or a conversation
        with, and the chats that the owner takes part in.
        """
        query = f"SELECT {_COLUMNS} FROM messages"  # noqa: S608 - constants
        with self._connected() as db:
            if owner is not None:
                _mark_own(db, owner)
                for statement in _RELEVANT.split(";"):
                    db.execute(statement)
                query += " JOIN relevant USING (n)"
            # Of two copies the owner's own comes first: lists send theirs in their own name.
            own = "n NOT IN (SELECT n FROM own), " if owner is not None else ""
            for row in db.execute(f"{query} WHERE whole ORDER BY {own}n"):
                yield _message(row)

    def summary(self, owner: Owner) -> Summary:
        """Counts over all messages, and over those of the owner."""
        own = {"mail": 0, "chat": 0}
        all_ = {"mail": 0, "chat": 0}
        with self._connected() as db:
            query = """SELECT channel, address, name, count(*), sum(whole > 0) FROM messages
                GROUP BY 1, 2, 3"""
            whole = 0
            for channel, address, name, count, read in db.execute(query):
                all_[channel] += count
                whole += read if channel == "mail" else 0
                known = (
                    address in owner.addresses if channel == "mail" else name in owner.chat_names
                )
                own[channel] += count if known else 0
            span = db.execute("SELECT min(sent_at), max(sent_at) FROM messages").fetchone()
        first, last = (datetime.fromisoformat(moment) if moment else None for moment in span)
        return Summary(all_["mail"], all_["chat"], own["mail"], own["chat"], first, last, whole)

    def months(self, owner: Owner) -> dict[str, tuple[int, int]]:
        """Messages of each month ("2024-05"), and how many of them are the owner's."""
        counts: dict[str, tuple[int, int]] = {}
        query = """SELECT substr(sent_at, 1, 7), channel, address, name, count(*)
                   FROM messages GROUP BY 1, 2, 3, 4 ORDER BY 1"""
        with self._connected() as db:
            for month, channel, address, name, count in db.execute(query):
                known = (
                    address in owner.addresses if channel == "mail" else name in owner.chat_names
                )
                everything, own = counts.get(month, (0, 0))
                counts[month] = (everything + count, own + (count if known else 0))
        return counts

    def suggest_addresses(self, owner: Owner) -> Counter[str]:
        """Addresses that look like the owner's and are not listed, with their numbers of mails.

        They write under the owner's name, are one of the owner's with a tag ("ana+shop@x.org"), or
        sent what the mailbox itself calls sent.
        """
        seen: Counter[str] = Counter()
        known = {_undecorated(address) for address in owner.addresses}
        query = """SELECT address, name, count(*), sum(sent) FROM messages
            WHERE channel = 'mail' GROUP BY 1, 2"""
        with self._connected() as db:
            for address, name, count, sent in db.execute(query):
                if address in owner.addresses:
                    continue
                if _same_name(name, owner.name) or _undecorated(address) in known:
                    seen[address] += count
                elif sent > count // 2:
                    seen[address] += sent
        return Counter({address: n for address, n in seen.items() if address and n >= SEEN_OFTEN})

    def chats(self) -> dict[Path, Counter[str]]:
        """Who speaks in each chat, by file, with how many messages."""
        query = """SELECT path, name, count(*) FROM messages JOIN imports ON imports.n = import
            WHERE channel = 'chat' AND automatic = '' AND name <> '' GROUP BY 1, 2"""
        chats: dict[Path, Counter[str]] = {}
        with self._connected() as db:
            for path, name, count in db.execute(query):
                chats.setdefault(_path(path), Counter())[name] = count
        return chats

    def chat_names(self) -> Counter[str]:
        """Who speaks in chats, with how many messages: the owner is one of them."""
        people = "channel = 'chat' AND automatic = '' AND name <> ''"
        query = f"SELECT name, count(*) FROM messages WHERE {people} GROUP BY 1"  # noqa: S608
        with self._connected() as db:
            return Counter(dict(db.execute(query).fetchall()))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection whose errors are told in the owner's words."""
        if self._held is not None:
            yield self._held
            return
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")
                # Marks for a query stay in memory: a temporary file would be outside 0700.
                db.execute("PRAGMA temp_store = MEMORY")
                db.execute(f"PRAGMA cache_size = -{CACHE}")
                yield db
        except sqlite3.DatabaseError as error:
            raise TwinError(_explained(error, self.path)) from None
        except OSError as error:
            if error.errno != ENOSPC:
                raise
            raise TwinError(_explained(error, self.path)) from None


_COLUMNS = (
    "channel, id, name, address, sent_at, subject, bare_subject, recipients, refs, conversation, "
    "automatic, text, at"
)
_CHANGED = ", ".join(
    f"{column} = excluded.{column}" for column in ("import", *_COLUMNS.split(", "))
)
# A character cut in two, and the break at the end of what is left, are no part of the beginning.
_BEGINNING = "rtrim(messages.text, ' ' || char(9, 10, 13, 65533))"
_INSERT = f"""
INSERT INTO messages (import, {_COLUMNS}) VALUES (?{", ?" * 13})
ON CONFLICT (channel, id, address) DO UPDATE SET whole = 1, {_CHANGED}
WHERE NOT messages.whole OR (length(excluded.text) > length(messages.text)
    AND substr(excluded.text, 1, length({_BEGINNING})) = {_BEGINNING})
"""  # noqa: S608 - constants
# An unread mail is best looked for where it was seen last. `whole` is 2 for one that is whole, but
# perhaps cut off, where a longer copy is known.
_LIST = """
INSERT INTO messages (import, channel, id, name, address, sent_at, subject, bare_subject,
    conversation, at, offset, length, last, sent, recipients, refs, automatic, text, whole)
VALUES (?, 'mail', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '[]', '[]', '', '', 0)
ON CONFLICT (channel, id, address) DO UPDATE SET import = excluded.import,
    offset = excluded.offset, length = excluded.length, last = excluded.last,
    sent = max(sent, excluded.sent), whole = 2 * (whole > 0)
WHERE NOT messages.whole OR (messages.last AND excluded.length > messages.length)
"""
_FILL = f"""
UPDATE messages SET name = ?1, address = ?2, sent_at = ?3, subject = ?4, bare_subject = ?5,
    recipients = ?6, refs = ?7, conversation = ?8, automatic = ?9, text = ?10, at = ?11
WHERE n = ?12 AND (whole = 0
    OR (length(?10) > length(text) AND substr(?10, 1, length({_BEGINNING})) = {_BEGINNING}))
"""  # noqa: S608 - constants
_OF_FILE = "SELECT n FROM imports WHERE path = ?"
_TAIL = f"FROM messages WHERE last AND offset = ? AND import IN ({_OF_FILE})"
_LOG = "SELECT path, format, read, new, skipped, scanned >= size FROM imports"


def listed_row(listed: Listed) -> Row:
    """A mail that was listed, as `list_part` keeps it."""
    texts = (
        listed.id,
        listed.sender.name,
        listed.sender.address,
        listed.sent_at.isoformat(),
        listed.subject,
        bare_subject(listed.subject),
        listed.conversation,
    )
    numbers = (
        int(listed.sent_at.timestamp()),
        listed.offset,
        listed.length,
        int(listed.is_last),
        int(listed.sent),
    )
    return (*map(_utf8, texts), *numbers)


def whole_row(message: Message) -> Row:
    """A mail that was read, as `fill` keeps it."""
    return _row(message)[2:]


def _row(message: Message) -> Row:
    """The columns of a message."""
    texts = (
        message.channel,
        message.id,
        message.sender.name,
        message.sender.address,
        message.sent_at.isoformat(),
        message.subject,
        bare_subject(message.subject),
        json.dumps([[person.name, person.address] for person in message.recipients]),
        json.dumps(message.references),
        message.conversation,
        message.automatic,
        message.text,
    )
    return (*map(_utf8, texts), int(message.sent_at.timestamp()))


def _utf8(text: str) -> str:
    """Half characters, which no UTF-8 file can hold, become `?`."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _imported(row: Row) -> Imported:
    path, format, read, new, skipped, finished = row
    return Imported(_path(path), format, read, new, *_skipped(skipped), bool(finished))


def _skipped_json(skipped: Skipped) -> str:
    return json.dumps(
        {
            reason: {"count": count, "places": skipped.places.get(reason, [])}
            for reason, count in skipped.counts.items()
        }
    )


def _skipped(text: str) -> tuple[Counter[str], dict[str, list[str]]]:
    """Counts and places; the first stores kept the counts alone."""
    counts: Counter[str] = Counter()
    places: dict[str, list[str]] = {}
    for reason, entry in json.loads(text).items():
        counts[reason] = entry if isinstance(entry, int) else entry["count"]
        if not isinstance(entry, int) and entry["places"]:
            places[reason] = entry["places"]
    return counts, places


def _message(row: Row) -> Message:
    channel, id_, name, address, sent_at, subject, _, people, refs, talk, automatic, text, _ = row
    return Message(
        id=id_,
        channel=cast(Channel, channel),
        sender=Person(name, address),
        sent_at=datetime.fromisoformat(sent_at),
        text=text,
        subject=subject,
        recipients=tuple(Person(*person) for person in json.loads(people)),
        references=tuple(json.loads(refs)),
        conversation=talk,
        automatic=automatic,
    )


def _new_import(db: sqlite3.Connection, source: Path, format: str) -> int:
    """Open an entry of the log; its number. The file is then none that was passed over."""
    db.execute("DELETE FROM passed_over WHERE path = ?", (_text(source),))
    cursor = db.execute(
        "INSERT INTO imports (path, format, at, read, new, skipped) VALUES (?, ?, ?, 0, 0, '{}')",
        (_text(source), format, datetime.now(UTC).isoformat(timespec="milliseconds")),
    )
    return int(cursor.lastrowid or 0)


def _forget(db: sqlite3.Connection, source: Path) -> int | None:
    """Delete what came from a file; how many messages, or None if it was never imported."""
    query = "DELETE FROM messages WHERE import IN (SELECT n FROM imports WHERE path = ?)"
    removed = db.execute(query, (_text(source),)).rowcount
    known = db.execute("DELETE FROM imports WHERE path = ?", (_text(source),)).rowcount
    # A mail that another file holds too may be gone now: that file is to be looked at again.
    db.execute("UPDATE imports SET print = ''")
    return removed if known else None


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it: also when it is killed."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


_OWN = """
DROP TABLE IF EXISTS temp.owner;
DROP TABLE IF EXISTS temp.own;
DROP TABLE IF EXISTS temp.relevant;
DROP TABLE IF EXISTS temp.wanted;
CREATE TEMP TABLE owner (channel TEXT, key TEXT)
"""
_OWN_MESSAGES = """
CREATE TEMP TABLE own AS SELECT messages.n FROM messages JOIN owner
    ON messages.channel = owner.channel AND CASE messages.channel
        WHEN 'mail' THEN messages.address ELSE messages.name END = owner.key
"""
_RELEVANT = """
CREATE TEMP TABLE relevant (n INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO relevant SELECT n FROM own;
INSERT OR IGNORE INTO relevant SELECT named.n
    -- CROSS: in this order, or SQLite reads all messages for each reference (3.3 s against 0.03).
    FROM own CROSS JOIN messages USING (n) CROSS JOIN json_each(messages.refs) AS ref
    CROSS JOIN messages AS named ON named.channel = 'mail' AND named.id = ref.value;
INSERT OR IGNORE INTO relevant SELECT n FROM messages WHERE bare_subject <> '' AND bare_subject IN
    (SELECT bare_subject FROM own JOIN messages USING (n));
INSERT OR IGNORE INTO relevant SELECT n FROM messages WHERE conversation <> '' AND conversation IN
    (SELECT conversation FROM own JOIN messages USING (n));
"""
_OWN_MAILS = """
own CROSS JOIN messages AS mine ON mine.n = own.n AND mine.channel = 'mail' AND mine.whole
"""
_NAMED_PARENTS = f"""
INSERT INTO wanted SELECT named.n FROM {_OWN_MAILS}
    CROSS JOIN messages AS named ON named.channel = 'mail'
        AND named.id = json_extract(mine.refs, '$[#-1]')
"""  # noqa: S608 - constants, all of them
_WITHOUT_PARENT = f"""
SELECT mine.subject, mine.bare_subject, mine.conversation, mine.at, mine.recipients
FROM {_OWN_MAILS} WHERE mine.refs = '[]'
"""  # noqa: S608
_ADDRESSED = """
channel = 'mail' AND address NOT IN (SELECT key FROM owner)
    AND address IN (SELECT json_extract(value, '$[1]') FROM json_each(?)) ORDER BY at DESC LIMIT 1
"""
_SUBJECT_PARENT = f"""
INSERT INTO wanted SELECT n FROM messages
WHERE bare_subject <> '' AND bare_subject = ? AND at >= ? AND at < ? AND {_ADDRESSED}
"""  # noqa: S608
_TALK_PARENT = f"""
INSERT INTO wanted SELECT n FROM messages
WHERE conversation <> '' AND conversation = ? AND at < ? AND {_ADDRESSED}
"""  # noqa: S608


def _mark_own(db: sqlite3.Connection, owner: Owner) -> None:
    """Fill the temporary tables `owner` with what is known, `own` with the numbers of messages."""
    for statement in _OWN.split(";"):
        db.execute(statement)
    keys = [("mail", address) for address in owner.addresses]
    keys += [("chat", name) for name in owner.chat_names]
    db.executemany("INSERT INTO owner VALUES (?, ?)", keys)
    db.execute(_OWN_MESSAGES)


def _places(db: sqlite3.Connection, numbers: str) -> list[Place]:
    """Where those of these messages lie that are not read."""
    query = f"""SELECT messages.n, id, path, offset, length FROM messages
        JOIN imports ON imports.n = messages.import
        WHERE whole <> 1 AND messages.n IN ({numbers}) ORDER BY path, offset"""  # noqa: S608
    paths: dict[str, Path] = {}
    return [
        Place(number, id_, paths.setdefault(path, _path(path)), offset, length)
        for number, id_, path, offset, length in db.execute(query)
    ]


def _text(path: Path) -> str:
    """A path for the store, also where its name is no valid text."""
    return str(path).encode(errors="backslashreplace").decode()


def _path(text: str) -> Path:
    """The path that `_text` wrote down."""
    return Path(re.sub(r"\\udc([0-9a-f]{2})", lambda code: chr(int(f"dc{code[1]}", 16)), text))


def _same_name(one: str, other: str) -> bool:
    """Whether two display names are one name: "Marcus D. Leech", "marcus d leech"."""
    names = [re.findall(r"\w+", name.casefold()) for name in (one, other)]
    return bool(names[0]) and names[0] == names[1]


def _undecorated(address: str) -> str:
    """The mailbox behind an address: no tag after a plus, and no dots where Gmail ignores them."""
    local, _, domain = address.partition("@")
    local = local.partition("+")[0]
    gmail = domain in ("gmail.com", "googlemail.com")
    return f"{local.replace('.', '')}@gmail.com" if gmail else f"{local}@{domain}"


def _explained(error: Exception, path: Path) -> str:
    text = str(error)
    full = "full" in text or (isinstance(error, OSError) and error.errno == ENOSPC)
    # SQLite calls it an I/O error where it finds no room for its index of the journal.
    if full or ("I/O" in text and shutil.disk_usage(path.parent).free < FULL):
        return (
            f"no space left on the disk of {path.parent}; free some and run the command again "
            "(what was imported before is intact)"
        )
    if "locked" in text or "busy" in text:
        return f"{path} is in use by another twin command; wait for it to end and try again"
    if "malformed" in text or "not a database" in text:
        return f"{path} is damaged ({text}); move it away and import your files again"
    return f"{path} cannot be used ({text}); check its disk and its permissions, and try again"
