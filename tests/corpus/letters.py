"""Mailboxes for tests: invented people, one line a mail."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

ME = "me@own.example"
ANA = "ana@far.example"
TOM = "tom@far.example"


def letter(
    number: int,
    sender: str = ANA,
    to: str = ME,
    *,
    subject: str = "boat",
    body: str = "The boat leaks again.",
    more: str = "",
) -> bytes:
    """One mail of an mbox; its Message-ID is `<NUMBER@x>`, its time hour NUMBER of 2024."""
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return (
        f"From {sender} {moment:%a %b %d %H:%M:%S %Y}\n"
        f"From: {sender}\nTo: {to}\nDate: {format_datetime(moment)}\nMessage-ID: <{number}@x>\n"
        f"Subject: {subject}\n{more}\n{body}\n\n"
    ).encode()


def answer(number: int, parent: int, sender: str = ME, to: str = ANA, **more: str) -> bytes:
    """A mail that names another as the one that it answers."""
    more.setdefault("subject", "Re: boat")
    return letter(number, sender, to, more=f"In-Reply-To: <{parent}@x>\n", **more)


def mailbox(path: Path, *letters: bytes) -> Path:
    """Write letters as an mbox."""
    path.write_bytes(b"".join(letters))
    return path
