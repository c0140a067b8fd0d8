"""The imported messages, on disk: what was read from which file, once each.

One SQLite file that only the owner can read. Does not parse and does not judge: it keeps what
the readers found until the owner removes it.
"""

import json
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from errno import ENOSPC
from itertools import islice
from pathlib import Path
from typing import Any, cast

from aitwin import artifact
from aitwin.corpus.messages import Channel, Message, Owner, Person, bare_subject
from aitwin.corpus.report import Skipped
from aitwin.errors import TwinError

FILE = "messages.sqlite"
VERSION = 1
BATCH = 500
"""Messages held in memory during an import."""
FULL = 1 << 20
"""Bytes: a disk with less room than this counts as full."""
SEEN_OFTEN = 3
"""Mails under the owner's name that make an address worth asking about."""

_SCHEMA = """
CREATE TABLE imports (
    n INTEGER PRIMARY KEY, path TEXT NOT NULL, format TEXT NOT NULL, at TEXT NOT NULL,
    read INTEGER NOT NULL, new INTEGER NOT NULL, skipped TEXT NOT NULL
);
CREATE TABLE messages (
    n INTEGER PRIMARY KEY, import INTEGER NOT NULL REFERENCES imports ON DELETE CASCADE,
    channel TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL,
    sent_at TEXT NOT NULL, subject TEXT NOT NULL, bare_subject TEXT NOT NULL,
    recipients TEXT NOT NULL, refs TEXT NOT NULL, conversation TEXT NOT NULL,
    automatic TEXT NOT NULL, text TEXT NOT NULL,
    UNIQUE (channel, id)
);
CREATE INDEX messages_import ON messages (import);
CREATE INDEX messages_people ON messages (channel, address, name);
CREATE INDEX messages_subject ON messages (bare_subject) WHERE bare_subject <> '';
"""
# Came later; a store without it gets it when it is next opened.
_PASSED_OVER = (
    "CREATE TABLE IF NOT EXISTS passed_over (path TEXT PRIMARY KEY, reason TEXT NOT NULL)"
)


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

    @property
    def known(self) -> int:
        """Messages that the store had already, from this file or another."""
        return self.read - self.new


@dataclass(frozen=True)
class Summary:
    """What is in the store, in numbers."""

    mails: int
    chat_messages: int
    own_mails: int
    own_chat_messages: int
    first: datetime | None
    last: datetime | None

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
        with self._connected() as db:
            with _transaction(db):
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
                if version in (0, VERSION):
                    db.execute(_PASSED_OVER)
            if version not in (0, VERSION):
                raise TwinError(f"{self.path} was made by another version of twin; update twin")

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
        With `instead` all that came from this file before goes first.
        """
        read = 0
        with self._connected() as db, _transaction(db):
            if instead:
                _forget(db, source)
            cursor = db.execute(
                "INSERT INTO imports (path, format, at, read, new, skipped) VALUES (?,?,?,0,0,'')",
                (_text(source), format, datetime.now(UTC).isoformat(timespec="seconds")),
            )
            before = db.total_changes
            stream = iter(messages)
            while batch := [_row(message, cursor.lastrowid) for message in islice(stream, BATCH)]:
                read += len(batch)
                db.executemany(_INSERT, batch)
            new = db.total_changes - before
            db.execute(
                "UPDATE imports SET read = ?, new = ?, skipped = ? WHERE n = ?",
                (read, new, _skipped_json(skipped), cursor.lastrowid),
            )
            db.execute("DELETE FROM passed_over WHERE path = ?", (_text(source),))
        return Imported(source, format, read, new, Counter(skipped.counts), dict(skipped.places))

    def pass_over(self, source: Path, reason: str) -> None:
        """Remember a file that was given, or met in a folder, and could not be imported."""
        with self._connected() as db, _transaction(db):
            db.execute("INSERT OR REPLACE INTO passed_over VALUES (?, ?)", (_text(source), reason))

    def passed_over(self) -> dict[Path, str]:
        """The files that could not be imported, with the reason of each."""
        with self._connected() as db:
            rows = db.execute("SELECT path, reason FROM passed_over ORDER BY path")
            return {Path(path): reason for path, reason in rows}

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
        """The messages that came from one file."""
        query = f"""SELECT {_COLUMNS} FROM messages
            WHERE import IN (SELECT n FROM imports WHERE path = ?) ORDER BY n"""  # noqa: S608
        with self._connected() as db:
            for row in db.execute(query, (_text(source),)):
                yield _message(row)

    def import_log(self) -> list[Imported]:
        """Every import, oldest first."""
        with self._connected() as db:
            rows = db.execute("SELECT path, format, read, new, skipped FROM imports ORDER BY n")
            return [
                Imported(Path(path), format, read, new, *_skipped(skipped))
                for path, format, read, new, skipped in rows
            ]

    def messages(self, owner: Owner | None = None) -> Iterator[Message]:
        """All messages; with an owner, only those that can matter to what the owner wrote.

        These are the owner's own, the mails that they name or share a subject with, and the
        chats that the owner takes part in.
        """
        with self._connected() as db:
            if owner is None:
                query = f"SELECT {_COLUMNS} FROM messages ORDER BY n"  # noqa: S608 - constants
            else:
                _mark_relevant(db, owner)
                query = f"SELECT {_COLUMNS} FROM messages JOIN relevant USING (n) ORDER BY n"  # noqa: S608
            for row in db.execute(query):
                yield _message(row)

    def summary(self, owner: Owner) -> Summary:
        """Counts over all messages, and over those of the owner."""
        own = {"mail": 0, "chat": 0}
        all_ = {"mail": 0, "chat": 0}
        with self._connected() as db:
            query = "SELECT channel, address, name, count(*) FROM messages GROUP BY 1, 2, 3"
            for channel, address, name, count in db.execute(query):
                all_[channel] += count
                known = (
                    address in owner.addresses if channel == "mail" else name in owner.chat_names
                )
                own[channel] += count if known else 0
            span = db.execute("SELECT min(sent_at), max(sent_at) FROM messages").fetchone()
        first, last = (datetime.fromisoformat(moment) if moment else None for moment in span)
        return Summary(all_["mail"], all_["chat"], own["mail"], own["chat"], first, last)

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
        """Addresses that write under the owner's name but are not the owner's yet, with counts."""
        seen: Counter[str] = Counter()
        query = "SELECT address, name, count(*) FROM messages WHERE channel = 'mail' GROUP BY 1, 2"
        with self._connected() as db:
            for address, name, count in db.execute(query):
                if _same_name(name, owner.name) and address not in owner.addresses:
                    seen[address] += count
        return Counter({address: n for address, n in seen.items() if address and n >= SEEN_OFTEN})

    def chat_names(self) -> Counter[str]:
        """Who speaks in chats, with how many messages: the owner is one of them."""
        people = "channel = 'chat' AND automatic = '' AND name <> ''"
        query = f"SELECT name, count(*) FROM messages WHERE {people} GROUP BY 1"  # noqa: S608
        with self._connected() as db:
            return Counter(dict(db.execute(query).fetchall()))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection whose errors are told in the owner's words."""
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")
                # Marks for a query stay in memory: a temporary file would be outside 0700.
                db.execute("PRAGMA temp_store = MEMORY")
                yield db
        except sqlite3.DatabaseError as error:
            raise TwinError(_explained(error, self.path)) from None
        except OSError as error:
            if error.errno != ENOSPC:
                raise
            raise TwinError(_explained(error, self.path)) from None


_COLUMNS = (
    "channel, id, name, address, sent_at, subject, bare_subject, recipients, refs, conversation, "
    "automatic, text"
)
_CHANGED = ", ".join(
    f"{column} = excluded.{column}" for column in ("import", *_COLUMNS.split(", "))
)
# A character cut in two, and the break at the end of what is left, are no part of the beginning.
_BEGINNING = "rtrim(messages.text, ' ' || char(9, 10, 13, 65533))"
_INSERT = f"""
INSERT INTO messages (import, {_COLUMNS}) VALUES (?{", ?" * 12})
ON CONFLICT (channel, id) DO UPDATE SET {_CHANGED}
WHERE length(excluded.text) > length(messages.text)
    AND substr(excluded.text, 1, length({_BEGINNING})) = {_BEGINNING}
"""  # noqa: S608 - constants


def _row(message: Message, number: int | None) -> tuple[Any, ...]:
    """The columns of a message; half characters, which no UTF-8 file can hold, become `?`."""
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
    return (number, *(text.encode(errors="replace").decode() for text in texts))


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


def _message(row: tuple[str, ...]) -> Message:
    channel, id_, name, address, sent_at, subject, _, people, refs, talk, automatic, text = row
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


def _forget(db: sqlite3.Connection, source: Path) -> int | None:
    """Delete what came from a file; how many messages, or None if it was never imported."""
    query = "DELETE FROM messages WHERE import IN (SELECT n FROM imports WHERE path = ?)"
    removed = db.execute(query, (_text(source),)).rowcount
    known = db.execute("DELETE FROM imports WHERE path = ?", (_text(source),)).rowcount
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


_RELEVANT = """
CREATE TEMP TABLE own AS SELECT messages.n FROM messages JOIN owner
    ON messages.channel = owner.channel AND CASE messages.channel
        WHEN 'mail' THEN messages.address ELSE messages.name END = owner.key;
CREATE TEMP TABLE relevant (n INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO relevant SELECT n FROM own;
INSERT OR IGNORE INTO relevant SELECT named.n
    -- CROSS: in this order, or SQLite reads all messages for each reference (3.3 s against 0.03).
    FROM own CROSS JOIN messages USING (n) CROSS JOIN json_each(messages.refs) AS ref
    CROSS JOIN messages AS named ON named.channel = 'mail' AND named.id = ref.value;
INSERT OR IGNORE INTO relevant SELECT n FROM messages WHERE bare_subject <> '' AND bare_subject IN
    (SELECT bare_subject FROM own JOIN messages USING (n));
INSERT OR IGNORE INTO relevant SELECT n FROM messages WHERE channel = 'chat' AND conversation IN
    (SELECT conversation FROM own JOIN messages USING (n) WHERE channel = 'chat');
"""


def _mark_relevant(db: sqlite3.Connection, owner: Owner) -> None:
    """Fill the temporary table `relevant` with the numbers of messages that matter."""
    keys = [("mail", address) for address in owner.addresses]
    keys += [("chat", name) for name in owner.chat_names]
    db.execute("CREATE TEMP TABLE owner (channel TEXT, key TEXT)")
    db.executemany("INSERT INTO owner VALUES (?, ?)", keys)
    for statement in _RELEVANT.split(";"):
        db.execute(statement)


def _text(path: Path) -> str:
    """A path for the store, also where its name is no valid text."""
    return str(path).encode(errors="backslashreplace").decode()


def _same_name(one: str, other: str) -> bool:
    """Whether two display names are one name: "Marcus D. Leech", "marcus d leech"."""
    names = [re.findall(r"\w+", name.casefold()) for name in (one, other)]
    return bool(names[0]) and names[0] == names[1]


def _explained(error: Exception, path: Path) -> str:
    text = str(error)
    full = "full" in text or (isinstance(error, OSError) and error.errno == ENOSPC)
    # SQLite calls it an I/O error where it finds no room for its index of the journal.
    if full or ("I/O" in text and shutil.disk_usage(path.parent).free < FULL):
        return (
            f"no space left on the disk of {path.parent}; free some and run the command again "
            "(of a file that was being imported nothing was kept, earlier imports are intact)"
        )
    if "locked" in text or "busy" in text:
        return f"{path} is in use by another twin command; wait for it to end and try again"
    if "malformed" in text or "not a database" in text:
        return f"{path} is damaged ({text}); move it away and import your files again"
    return f"{path} cannot be used ({text}); check its disk and its permissions, and try again"
