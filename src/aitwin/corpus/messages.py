"""Messages and threads: who said what, when, answering what. No I/O, no parsing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Channel = Literal["mail", "chat"]


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


def threads(messages: Iterable[Message]) -> list[Thread]:
    """Group messages into threads.

    Mail: connected by In-Reply-To and References, else by the source's own thread id, else alone
    under the same bare subject among the same people. A chat is one thread.
    """
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        root = key
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    kept = {message.id: message for message in messages}
    for message in kept.values():
        keys = [f"id:{message.id}", *(f"id:{reference}" for reference in message.references)]
        if message.conversation:
            keys.append(f"conversation:{message.channel}:{message.conversation}")
        elif not message.references and message.channel == "mail":
            keys.extend(_subject_keys(message))
        for key in keys[1:]:
            parent[find(key)] = find(keys[0])

    groups: dict[str, list[Message]] = {}
    for message in kept.values():
        groups.setdefault(find(f"id:{message.id}"), []).append(message)
    result = []
    for group in groups.values():
        ordered = sorted(group, key=lambda m: (m.sent_at, m.id) if m.channel == "mail" else (m.sent_at,))
        result.append(Thread(ordered[0].id, ordered[0].channel, tuple(ordered)))
    return sorted(result, key=lambda thread: (thread.messages[0].sent_at, thread.id))
