"""The ledger: every job that was accepted, on disk before anybody is told so (O3).

One SQLite file that only the owner can read. It holds what a job is and how far it came; of the
owner's words nothing, and of files the path that an unfinished import still needs. Runs nothing.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any, Literal, cast, get_args

from aitwin import artifact
from aitwin.errors import TwinError

Kind = Literal["import", "build", "training", "evaluation", "voice-preparation", "voice-evaluation"]
State = Literal["queued", "running", "cancelling", "done", "failed", "cancelled", "interrupted"]

FILE = "ledger.sqlite"
VERSION = 1
OPEN: tuple[State, ...] = ("queued", "running", "cancelling")
"""States of a job that has not ended."""
KEPT = 500
"""Jobs that are remembered."""
KEPT_EVENTS = 50
"""Of them, those whose progress can be told once more."""

_SCHEMA = """
CREATE TABLE jobs (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
    arguments TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL,
    started_at TEXT, ended_at TEXT, attempts INTEGER NOT NULL DEFAULT 0,
    moment TEXT NOT NULL DEFAULT '{}', result TEXT, problem TEXT
);
CREATE TABLE events (
    n INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    kept INTEGER NOT NULL, moment TEXT NOT NULL
);
CREATE INDEX events_job ON events (job, n);
CREATE INDEX jobs_state ON jobs (state)
"""
_COLUMNS = (
    "id, kind, name, arguments, state, created_at, started_at, ended_at, attempts, moment, "
    "result, problem"
)


@dataclass(frozen=True)
class Order:
    """A job that is asked for."""

    kind: Kind
    name: str
    """The adapter, dataset or voice that it is about; empty for the corpus."""
    arguments: tuple[str, ...] = field(repr=False)
    """Of the command line, without --json-lines."""


@dataclass(frozen=True)
class Record:
    """A job as the ledger has it."""

    id: str
    kind: Kind
    name: str
    arguments: tuple[str, ...] = field(repr=False)
    state: State
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    """How often it was begun."""
    moment: Mapping[str, Any]
    """The latest of its progress: stage, progress, training, plan."""
    result: Mapping[str, Any] | None
    problem: str | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state not in OPEN


class Ledger:
    """The jobs of one home. Safe for several threads, and for a kill at any point."""

    def __init__(self, directory: Path) -> None:
        self.path = artifact.make_private_dir(directory) / FILE
        # SQLite gives its journals the mode of the database: created here, all are private.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = RLock()
        # Transactions are begun by hand, so that each is as large as what must be kept whole.
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            # The answer "accepted" must survive a power cut, too.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            # What is taken out (a path names who wrote) is not to be found in free pages.
            self._db.execute("PRAGMA secure_delete = ON")
            self._make()
        except sqlite3.DatabaseError:
            self._db.close()
            raise TwinError(
                f"{self.path} is damaged; it lists past jobs only: move it away, and start again"
            ) from None

    def _make(self) -> None:
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise TwinError(f"{self.path} was made by another version of twin; update twin")
            if not version:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    # What is asked

    def get(self, job_id: str) -> Record | None:
        """The job of that id; None when there is none."""
        with self._lock:
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE id = ?",  # noqa: S608 - constants
                (job_id,),
            ).fetchone()
        return _record(row) if row else None

    def all(self, kind: str | None = None, *, states: Sequence[State] = ()) -> list[Record]:
        """Jobs, the newest first; of that kind, and in one of these states, where they are said."""
        asked = states or get_args(State)
        marks = ", ".join("?" * len(asked))
        query = f"""SELECT {_COLUMNS} FROM jobs
            WHERE (kind = ? OR ? IS NULL) AND state IN ({marks}) ORDER BY n DESC"""  # noqa: S608 - constants
        with self._lock:
            rows = self._db.execute(query, (kind, kind, *asked)).fetchall()
        return [_record(row) for row in rows]

    def moments(self, job_id: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """What a job told after the event of that number: numbers and moments, in their order."""
        query = """SELECT events.n, events.moment FROM events JOIN jobs ON jobs.n = events.job
            WHERE jobs.id = ? AND events.n > ? ORDER BY events.n"""
        with self._lock:
            rows = self._db.execute(query, (job_id, after)).fetchall()
        return [(number, json.loads(moment)) for number, moment in rows]

    # What is written down

    def accept(self, order: Order) -> Record:
        """A new job, queued. When this returns, it is on the disk."""
        job_id = secrets.token_hex(8)
        with self._transaction() as db:
            db.execute(
                """INSERT INTO jobs (id, kind, name, arguments, state, created_at)
                VALUES (?, ?, ?, ?, 'queued', ?)""",
                (job_id, order.kind, order.name, json.dumps(order.arguments), _now()),
            )
            db.execute(
                "DELETE FROM jobs WHERE n <= (SELECT max(n) FROM jobs) - ? "
                "AND state NOT IN ('queued', 'running', 'cancelling')",
                (KEPT,),
            )
            db.execute(
                "DELETE FROM events WHERE job <= (SELECT max(n) FROM jobs) - ?", (KEPT_EVENTS,)
            )
        return self._known(job_id)

    def again(self, job_id: str, arguments: Sequence[str]) -> Record:
        """A job that has ended is queued once more, with these arguments."""
        return self._change(
            job_id,
            "state = 'queued', arguments = ?, ended_at = NULL, problem = NULL, result = NULL, "
            "moment = json_remove(moment, '$.stage', '$.progress')",
            json.dumps(list(arguments)),
        )

    def begin(self, job_id: str) -> Record:
        """A queued job runs from now on."""
        return self._change(
            job_id,
            "state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, ?)",
            _now(),
        )

    def mark_cancelling(self, job_id: str) -> Record:
        """A running job was asked to stop."""
        return self._change(job_id, "state = 'cancelling'")

    def tell(self, job_id: str, moment: Mapping[str, Any], *, keep: bool) -> int:
        """Write down where a job is: the number of the event.

        What is to be told to whoever comes later is to be kept (a loss curve); else only the
        latest is.
        """
        text = json.dumps(moment)
        with self._transaction() as db:
            row = db.execute("SELECT n FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return 0
            db.execute("UPDATE jobs SET moment = ? WHERE n = ?", (text, row[0]))
            db.execute("DELETE FROM events WHERE job = ? AND NOT kept", row)
            added = db.execute(
                "INSERT INTO events (job, kept, moment) VALUES (?, ?, ?)", (row[0], keep, text)
            )
            return added.lastrowid or 0

    def end(
        self,
        job_id: str,
        state: State,
        *,
        result: Mapping[str, Any] | None = None,
        problem: str | None = None,
    ) -> Record:
        """A job is over. Its arguments are kept only where it can go on: they name files.

        An import that failed cannot: what was wrong with the file will be wrong with it again.
        """
        ended = self._change(
            job_id,
            "state = ?, ended_at = ?, result = ?, problem = ?, arguments = CASE "
            "WHEN ? = 'done' OR (kind = 'import' AND ? = 'failed') THEN '[]' ELSE arguments END",
            *(state, _now(), json.dumps(result) if result is not None else None, problem),
            *(state, state),
        )
        if not ended.arguments:
            # The journal still has what was taken out, and a server may be killed at any time.
            with self._lock:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return ended

    def interrupt_all(self) -> None:
        """What ran when the server ended is interrupted; what was queued is queued still."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = 'interrupted', ended_at = ? "
                "WHERE state IN ('running', 'cancelling')",
                (_now(),),
            )

    def _change(self, job_id: str, assignments: str, *values: object) -> Record:
        with self._transaction() as db:
            db.execute(f"UPDATE jobs SET {assignments} WHERE id = ?", (*values, job_id))  # noqa: S608 - ours
            return self._known(job_id)

    def _known(self, job_id: str) -> Record:
        record = self.get(job_id)
        if record is None:
            raise KeyError(job_id)
        return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _record(row: Sequence[Any]) -> Record:
    job_id, kind, name, arguments, state, created, started, ended, attempts, moment, *rest = row
    result, problem = rest
    return Record(
        job_id,
        cast(Kind, kind),
        name,
        tuple(json.loads(arguments)),
        cast(State, state),
        datetime.fromisoformat(created),
        _moment(started),
        _moment(ended),
        attempts,
        json.loads(moment),
        json.loads(result) if result else None,
        problem,
    )
