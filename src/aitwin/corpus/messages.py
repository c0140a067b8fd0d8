"""Messages and threads: who said what, when, answering what. No I/O, no parsing."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

Channel = Literal["mail", "chat"]

SAME_SUBJECT_DAYS = 60
"""A reply without usable headers answers the last mail of its subject, but none older than this."""

# What clients put before the subject of a reply, and of a forwarded mail, in their languages.
# "R", "VS", "RES" are real prefixes too, as short as they are: they need the colon.
_REPLY = (
    "re|r|aw|antw|antwort|sv|vs|res|resp|rif|rép|odp|ynt|yan|hv|bls|atb|vá|отв|ответ|απ|σχετ|"
    "回复|回覆|答复|答覆|返信|회신|رد|تر|השב"
)
_SURELY_FORWARD = "fwd?|wg|enc|doorst|vidaresend|továbbítás|пер|πρθ|转发|轉寄|転送|전달"
# Words and initials of everybody's, too: "TR: my report", "I: see you". The mail must show it.
_FORWARD = f"{_SURELY_FORWARD}|tr|rv|vb|vl|vs|pd|i"
_MARK = r"(?:\[\d+\]|\(\d+\)|\^\d+|\*\d+)?\s*[:：]\s*"
_REPLY_SUBJECT = re.compile(rf"^(?:\[[^\]]*\]\s*)?(?:{_REPLY}){_MARK}", re.IGNORECASE)
_FORWARD_SUBJECT = re.compile(rf"^(?:\[[^\]]*\]\s*)?(?:{_FORWARD}){_MARK}", re.IGNORECASE)
_SURELY_FORWARD_SUBJECT = re.compile(
    rf"^(?:\[[^\]]*\]\s*)?(?:{_SURELY_FORWARD}){_MARK}", re.IGNORECASE
)
# A list may put its tag before the prefix: "[linux-mips] Re: cache".
_PREFIXES = re.compile(rf"(^|^\[[^\]]*\]\s*)(?:(?:{_REPLY}|{_FORWARD}){_MARK})+", re.IGNORECASE)


@dataclass(frozen=True)
class Person:
    """Somebody who sends or receives."""

    name: str = field(repr=False)
    """As the message shows it; may be empty in mail."""
    address: str = field(default="", repr=False)
    """Mail address in lower case; empty in chats."""


@dataclass(frozen=True)
class Message:
    """One mail or one chat message, as its sender wrote it."""

    id: str
    """Message-ID without brackets; where there is none, a hash of sender, time and text."""
    channel: Channel
    sender: Person
    sent_at: datetime
    """Aware. A chat export holds local times of the exporting phone: read as this machine's."""
    text: str = field(repr=False)
    """Plain text. In mail still with quotes (as `> ` lines) and signature: see clean."""
    subject: str = field(default="", repr=False)
    recipients: tuple[Person, ...] = ()
    references: tuple[str, ...] = ()
    """Ids of the messages that this one answers, oldest first; the last is the direct parent."""
    conversation: str = ""
    """What the source itself groups by: the chat's name, Gmail's thread id; empty if nothing."""
    automatic: str = ""
    """Why no person wrote it ("bounce", "calendar", "list digest", "system"); empty otherwise."""

    def __post_init__(self) -> None:
        """Refuse a time that could be anybody's."""
        if self.sent_at.tzinfo is None:
            raise ValueError(f"message {self.id}: sent_at has no time zone")


@dataclass(frozen=True)
class Owner:
    """The person whose style is learnt, as the sources know them."""

    name: str = field(repr=False)
    addresses: frozenset[str] = field(default=frozenset(), repr=False)
    """Lower case."""
    chat_names: frozenset[str] = field(default=frozenset(), repr=False)
    """The names under which chats show the owner: "Thota", "+44 7700 900123"."""

    def wrote(self, message: Message) -> bool:
        """Whether the owner is the sender. In mail only an address decides, never a name."""
        if message.channel == "mail":
            return message.sender.address in self.addresses
        return message.sender.name in self.chat_names


@dataclass(frozen=True)
class Thread:
    """Messages that answer each other, in the order of their times."""

    id: str
    channel: Channel
    messages: tuple[Message, ...] = field(repr=False)


@lru_cache(maxsize=100_000)
def bare_subject(subject: str) -> str:
    """The subject that a mail and its answers share: no Re/AW/Fwd, one case, single spaces."""
    return " ".join(without_prefixes(subject).casefold().split())


def without_prefixes(subject: str) -> str:
    """The subject as its first writer wrote it."""
    return _PREFIXES.sub(r"\1", subject.strip())


def is_reply_subject(subject: str) -> bool:
    """Whether a subject says that its mail answers one."""
    return bool(_REPLY_SUBJECT.match(subject.strip()))


def has_reply_subject(message: Message) -> bool:
    """Whether the subject says that this mail answers one."""
    return is_reply_subject(message.subject)


def has_forward_subject(message: Message, *, surely: bool = False) -> bool:
    """Whether the subject says that this mail passes one on.

    `surely`: whether it can say nothing else, as "TR:" and "I:" can.
    """
    prefix = _SURELY_FORWARD_SUBJECT if surely else _FORWARD_SUBJECT
    return not has_reply_subject(message) and bool(prefix.match(message.subject.strip()))


def parent(message: Message, others: Sequence[Message], owner: Owner) -> Message | None:
    """The mail among `others`, in order of time, that the owner's `message` answers.

    The headers decide where they name one. If it is not there, none of its ancestors will do: they
    say something else, and are often the owner's own. Where the headers name none and the subject
    says that it is an answer, it is the last earlier mail of the same conversation or subject that
    somebody wrote whom it is addressed to.
    """
    if message.references:
        direct = message.references[-1]
        return next((other for other in others if other.id == direct != message.id), None)
    if not has_reply_subject(message):
        return None
    oldest = message.sent_at - timedelta(days=SAME_SUBJECT_DAYS)
    subject = bare_subject(message.subject)
    addressed = {person.address for person in message.recipients} - owner.addresses
    for other in reversed(others):
        same_talk = message.conversation and other.conversation == message.conversation
        same_subject = bare_subject(other.subject) == subject and oldest <= other.sent_at
        if (
            (same_talk or same_subject)
            and other.sent_at < message.sent_at
            and other.sender.address in addressed
        ):
            return other
    return None


def threads(messages: Iterable[Message]) -> list[Thread]:
    """Group messages into threads, oldest first; of messages with one id the first is kept.

    Mail: connected by In-Reply-To and References (also through a mail that is missing), by the
    source's own thread id, else by the subject of a reply. A chat is one thread.
    """
    kept: dict[str, Message] = {}
    for message in messages:
        kept.setdefault(message.id, message)
    groups = _Groups()
    for message in kept.values():
        for key in _links(message):
            groups.join(f"id:{message.id}", key)
    mails = sorted((m for m in kept.values() if m.channel == "mail"), key=_in_time)
    for reply, earlier in _same_subject(mails, kept):
        groups.join(f"id:{reply.id}", f"id:{earlier.id}")
    result: dict[str, list[Message]] = {}
    for message in kept.values():
        result.setdefault(groups.find(f"id:{message.id}"), []).append(message)
    return sorted(map(_thread, result.values()), key=lambda t: (t.messages[0].sent_at, t.id))


def _thread(group: list[Message]) -> Thread:
    if group[0].channel == "mail":
        ordered = sorted(group, key=_in_time)
    else:
        # A chat shows minutes only: within one, the order of the export is the order of speaking.
        ordered = sorted(group, key=lambda message: message.sent_at)
    return Thread(ordered[0].id, ordered[0].channel, tuple(ordered))


def _in_time(message: Message) -> tuple[datetime, str]:
    return message.sent_at, message.id


def _links(message: Message) -> Iterator[str]:
    """What `message` says that it belongs to."""
    yield from (f"id:{reference}" for reference in message.references)
    if message.conversation:
        yield f"conversation:{message.channel}:{message.conversation}"


def _same_subject(
    mails: list[Message], known: dict[str, Message]
) -> Iterator[tuple[Message, Message]]:
    """Replies whose headers lead nowhere, each with the last earlier mail of its subject."""
    last: dict[str, Message] = {}
    for mail in mails:
        subject = bare_subject(mail.subject)
        earlier = last.get(subject)
        last[subject] = mail
        if not subject or not earlier or not has_reply_subject(mail):
            continue
        if any(reference in known for reference in mail.references):
            continue
        if mail.sent_at - earlier.sent_at <= timedelta(days=SAME_SUBJECT_DAYS):
            yield mail, earlier


class _Groups:
    """Disjoint sets of keys (union-find with path compression)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def find(self, key: str) -> str:
        root = key
        while self._above.setdefault(root, root) != root:
            root = self._above[root]
        while self._above[key] != root:
            self._above[key], key = root, self._above[key]
        return root

    def join(self, one: str, other: str) -> None:
        self._above[self.find(other)] = self.find(one)
