"""Who may ask: tokens of programs, sessions of the page, login codes, the passphrase.

One SQLite file that only the owner can read; the command line and a running server share it. Of a
secret it keeps the SHA-256 alone, of the passphrase a scrypt: whoever reads the file cannot come in
with it. Knows nothing of HTTP: see access.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server.scopes import Scope

Kind = Literal["token", "session", "machine"]
SCOPES: tuple[Scope, ...] = ("use", "owner")
Opened = Literal["link", "passphrase"]
"""What opened a session."""

VERSION = 1
SESSION = timedelta(days=30)
CODE = timedelta(minutes=10)
"""How long a login link waits to be opened."""
LONGEST_NAME = 80
LONGEST_LIFE = 3650  # days, of a token
SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE = 1024
SECRET = 32  # bytes
TOKEN_PREFIX = "twin_"  # noqa: S105 - shows what a leaked one is; no secret
NOTED = 60.0
"""Seconds between two notes that a caller was here."""
BUSY = 5.0
"""Seconds that a write waits for another process's."""

_COST, _BLOCK, _LANES = 1 << 16, 8, 1
"""scrypt: 64 MiB and a fifth of a second for each guess."""

_SCHEMA = """
CREATE TABLE callers (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, scope TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE, opened TEXT NOT NULL,
    made REAL NOT NULL, expires REAL, used REAL
);
CREATE TABLE codes (digest TEXT PRIMARY KEY, expires REAL NOT NULL);
CREATE TABLE passphrase (
    only INTEGER PRIMARY KEY CHECK (only = 1), salt BLOB NOT NULL, hash BLOB NOT NULL,
    cost INTEGER NOT NULL, block INTEGER NOT NULL, lanes INTEGER NOT NULL
);
"""
_COLUMNS = "id, kind, name, scope, opened, made, expires, used"
Row = tuple[Any, ...]
"""A caller as the database has it: _COLUMNS."""
_ALIVE = "(expires IS NULL OR expires > ?)"


@dataclass(frozen=True)
class Caller:
    """Who asks: a program, a browser that is signed in, or the owner's own machine."""

    id: str
    kind: Kind
    name: str
    """Given by the owner to a token; of a session, the browser's."""
    scope: Scope
    made_at: datetime
    expires_at: datetime | None = None
    used_at: datetime | None = None
    """To the minute or so: see NOTED."""
    opened: str = ""
    """Of a session: what opened it."""


@dataclass(frozen=True)
class Admission:
    """A caller that was just made, and the secret that it shows; told once, kept nowhere."""

    caller: Caller
    secret: str = field(repr=False)


class Access:
    """The store. Its methods may be called by several threads and processes at once.

    All of them raise TwinError when the file cannot be used.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        """`path`: the file, which is made when it is first written to."""
        self.path = path
        self._now = now
        self._lock = Lock()
        self._reading: sqlite3.Connection | None = None
        self._read: tuple[int, int] | None = None
        """Device and inode of what `_reading` reads."""

    @classmethod
    def open(cls, home: Home) -> "Access":
        """That of a home."""
        return cls(home.access_file)

    # --- Programs ---------------------------------------------------------------------------------

    def add_token(self, name: str, scope: Scope = "use", days: int | None = None) -> Admission:
        """A token for a program, for ever unless `days` are given.

        Raises TwinError when the name is taken or none.
        """
        name = fit(name)
        if days is not None and not 1 <= days <= LONGEST_LIFE:
            raise TwinError(f"a token lives from 1 to {LONGEST_LIFE} days; leave it out for ever")
        if scope not in SCOPES:
            raise TwinError(f"a token's scope is one of {', '.join(SCOPES)}")
        with self._writing() as db:
            query = "SELECT 1 FROM callers WHERE kind = 'token' AND name = ?"
            if db.execute(query, (name,)).fetchone():
                raise NameTakenError(
                    "there is a token of that name already; choose another name, or revoke it "
                    "first: twin token revoke NAME"
                )
            life = None if days is None else timedelta(days=days)
            secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET)
            return _admit(db, self._new("token", name, scope, life), secret)

    def tokens(self) -> list[Caller]:
        """Those of programs, the oldest first."""
        return self._list("token")

    # --- The page ---------------------------------------------------------------------------------

    def add_code(self) -> str:
        """A code for one login within CODE; told once."""
        code = secrets.token_urlsafe(SECRET)
        with self._writing() as db:
            db.execute(
                "INSERT INTO codes VALUES (?, ?)",
                (artifact.digest(code), self._now() + CODE.total_seconds()),
            )
        return code

    def log_in_by_code(self, code: str, name: str = "") -> Admission | None:
        """A session for who shows a code, which is spent by it; None when it is none."""
        with self._writing() as db:
            # Deleted and asked for in one: of two that come at once, one gets in.
            spent = db.execute("DELETE FROM codes WHERE digest = ?", (artifact.digest(code),))
            return self._session(db, "link", name) if spent.rowcount else None

    def log_in_by_passphrase(self, passphrase: str, name: str = "") -> Admission | None:
        """A session for who knows the passphrase; None when it is wrong, or there is none.

        Takes a fifth of a second and 64 MiB: whoever lets strangers ask, lets them ask one by one.
        """
        query = "SELECT salt, hash, cost, block, lanes FROM passphrase"
        with self._seeing() as db:
            row = db.execute(query).fetchone() if db else None
        if row is None:
            return None
        salt, expected, cost, block, lanes = row
        given = _scrypt(passphrase[:LONGEST_PASSPHRASE], salt, cost, block, lanes)
        if not hmac.compare_digest(given, expected):
            return None
        with self._writing() as db:
            # It may have been changed while this one was computed.
            now = db.execute(query).fetchone()
            return self._session(db, "passphrase", name) if now == row else None

    def sessions(self) -> list[Caller]:
        """Those of the page, the oldest first."""
        return self._list("session")

    def has_passphrase(self) -> bool:
        """Whether one is set."""
        with self._seeing() as db:
            return bool(db and db.execute("SELECT 1 FROM passphrase").fetchone())

    def set_passphrase(self, passphrase: str) -> int:
        """Let the page be opened with it, and with no earlier one.

        Returns how many sessions that an earlier one had opened have ended. Raises TwinError when
        it is too short.
        """
        length = len(_normal(passphrase))
        if length < SHORTEST_PASSPHRASE or len(passphrase) > LONGEST_PASSPHRASE:
            raise TwinError(
                f"a passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters, and "
                f"this one has {length}; five or six words that do not belong together are good"
            )
        salt = secrets.token_bytes(16)
        hashed = _scrypt(passphrase, salt, _COST, _BLOCK, _LANES)
        with self._writing() as db:
            ended = _end_opened_by_passphrase(db)
            db.execute(
                "INSERT OR REPLACE INTO passphrase VALUES (1, ?, ?, ?, ?, ?)",
                (salt, hashed, _COST, _BLOCK, _LANES),
            )
            return ended

    def remove_passphrase(self) -> int | None:
        """Let nobody in by a passphrase any more.

        Returns how many sessions that it had opened have ended; None when there was none.
        """
        with self._writing() as db:
            if not db.execute("DELETE FROM passphrase").rowcount:
                return None
            return _end_opened_by_passphrase(db)

    # --- Both -------------------------------------------------------------------------------------

    def shown(self, digest: str) -> Caller | None:
        """Who shows a secret of this digest (SHA-256, hex); None when nobody may. Notes the use."""
        with self._seeing() as db:
            query = f"SELECT {_COLUMNS} FROM callers WHERE digest = ? AND {_ALIVE}"  # noqa: S608
            row = db.execute(query, (digest, self._now())).fetchone() if db else None
        if row is None:
            return None
        caller = _caller(row)
        if caller.used_at is None or self._now() - caller.used_at.timestamp() >= NOTED:
            # A full disk, or a writer that takes long, is no reason to keep anybody out.
            with suppress(TwinError), self._writing(timeout=0) as db:
                db.execute("UPDATE callers SET used = ? WHERE id = ?", (self._now(), row[0]))
        return caller

    def caller(self, id: str) -> Caller | None:
        """The caller with this id; None when it was revoked, or has expired. Some microseconds."""
        with self._seeing() as db:
            query = f"SELECT {_COLUMNS} FROM callers WHERE id = ? AND {_ALIVE}"  # noqa: S608
            row = db.execute(query, (id, self._now())).fetchone() if db else None
        return _caller(row) if row else None

    def revoke(self, id: str) -> bool:
        """End a token or a session at once; False when there is none with this id."""
        with self._writing() as db:
            return bool(db.execute("DELETE FROM callers WHERE id = ?", (id,)).rowcount)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    # --- The file ---------------------------------------------------------------------------------

    def _session(self, db: sqlite3.Connection, opened: Opened, name: str) -> Admission:
        name = "".join(c for c in name if c.isprintable())[:LONGEST_NAME].strip()
        caller = self._new("session", name or "a browser", "owner", SESSION)
        return _admit(db, replace(caller, opened=opened), secrets.token_urlsafe(SECRET))

    def _new(self, kind: Kind, name: str, scope: Scope, life: timedelta | None) -> Caller:
        made = _at(self._now())
        expires = None if life is None else made + life
        return Caller(f"{kind}:{secrets.token_hex(6)}", kind, name, scope, made, expires)

    def _list(self, kind: Kind) -> list[Caller]:
        query = (
            f"SELECT {_COLUMNS} FROM callers WHERE kind = ? AND {_ALIVE} "  # noqa: S608
            "ORDER BY made, id"
        )
        with self._seeing() as db:
            rows = db.execute(query, (kind, self._now())).fetchall() if db else []
        return [_caller(row) for row in rows]

    @contextmanager
    def _seeing(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read with, kept open for the next; None while there is no file.

        Readers wait for no writer (WAL), so a request does not either.
        """
        with self._lock, _explained(self.path):
            try:
                status = self.path.stat()
            except FileNotFoundError:
                self._let_go()
                yield None
                return
            # Deleted and made anew (`twin purge`): a connection would go on with what was deleted.
            if self._read != (status.st_dev, status.st_ino):
                self._let_go()
                self._reading = self._connect(BUSY)
                self._read = (status.st_dev, status.st_ino)
            yield self._reading

    @contextmanager
    def _writing(self, timeout: float = BUSY) -> Iterator[sqlite3.Connection]:
        """A transaction: all of the block, or nothing of it, also when it is killed."""
        with _explained(self.path):
            if not self.path.exists():
                artifact.make_private_dir(self.path.parent)
                # SQLite's own way would let the umask decide; its further files take this mode.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(self._connect(timeout)) as db:
                db.execute("BEGIN IMMEDIATE")
                try:
                    for table in ("callers", "codes"):
                        expired = f"DELETE FROM {table} WHERE expires <= ?"  # noqa: S608
                        db.execute(expired, (self._now(),))
                    yield db
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")

    def _connect(self, timeout: float) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            # What was revoked stays so when the power fails.
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA temp_store = MEMORY")
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Make the tables in a fresh file."""
        if _version(db) == 0:
            db.execute("BEGIN IMMEDIATE")
            if _version(db) == 0:  # and no other process was first
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        if (found := _version(db)) != VERSION:
            raise TwinError(
                f"{self.path} is of another release of AI Twin (layout {found}, this one has "
                f"{VERSION}); use that one, or move the file away and make new tokens"
            )

    def _let_go(self) -> None:
        if self._reading is not None:
            self._reading.close()
        self._reading = self._read = None


class NameTakenError(TwinError):
    """There is a token of that name."""


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _end_opened_by_passphrase(db: sqlite3.Connection) -> int:
    return db.execute("DELETE FROM callers WHERE opened = 'passphrase'").rowcount


def fit(name: str) -> str:
    """The name of a token as it is kept. Raises TwinError when it is none."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise TwinError(
            f"a token needs a name of 1 to {LONGEST_NAME} characters, such as the program's"
        )
    return name


def _admit(db: sqlite3.Connection, caller: Caller, secret: str) -> Admission:
    expires = caller.expires_at and caller.expires_at.timestamp()
    db.execute(
        f"INSERT INTO callers ({_COLUMNS}, digest) VALUES ({'?, ' * 8}?)",  # noqa: S608
        (
            *(caller.id, caller.kind, caller.name, caller.scope, caller.opened),
            *(caller.made_at.timestamp(), expires, None, artifact.digest(secret)),
        ),
    )
    return Admission(caller, secret)


def _caller(row: Row) -> Caller:
    id, kind, name, scope, opened, made, expires, used = row
    return Caller(id, kind, name, scope, _at(made), _when(expires), _when(used), opened)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _when(seconds: float | None) -> datetime | None:
    return None if seconds is None else _at(seconds)


def _normal(passphrase: str) -> str:
    """The same for one that is typed on another keyboard: é as one sign or as two."""
    return unicodedata.normalize("NFKC", passphrase).strip()


def _scrypt(passphrase: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(
        _normal(passphrase).encode("utf-8", "surrogatepass"),
        salt=salt, n=cost, r=block, p=lanes,
        maxmem=256 * cost * block * lanes,
    )  # fmt: skip


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """The errors of the file in the owner's words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise TwinError(
            f"{path} cannot be used ({error}); make it your own, see that its disk has room, and "
            "try again"
        ) from None
    except sqlite3.DatabaseError:
        raise TwinError(
            f"{path} is damaged; move it away, and make new tokens (twin token create)"
        ) from None
