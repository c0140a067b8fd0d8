"""Threads to pairs: what the owner was answering, what was asked, what the owner wrote.

Does not redact (see redact), does not judge (see curate): every reply with words of the owner's
own becomes a pair, and every message that does not is counted with its reason.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from aitwin.corpus import clean, messages, relayed
from aitwin.corpus.messages import Channel, Message, Owner, Person, Thread
from aitwin.corpus.report import lose
from aitwin.prompt import Task

INCOMING_CHARACTERS = 1500
"""About 400 tokens: with a system line and a reply of 400 words a row still fits 1,024 tokens."""
CONTEXT_TURNS = 6
"""Turns of a chat before the reply: what a reader needs to follow, by reading some hundred."""
SHORTEST_SESSION_GAP = timedelta(hours=1)
LONGEST_SESSION_GAP = timedelta(hours=10)
"""A night apart is always another conversation, an answer within the hour never is."""
RHYTHM = 12
"""A pause this many times the chat's usual one (its upper quartile) ends a session."""
CUT = "[…]"
"""Stands where older text was left out of the incoming one."""


@dataclass(frozen=True)
class Pair:
    """One reply of the owner's with what it answers."""

    id: str
    """Hash of the ids of the reply's messages: the same after every import."""
    thread: str
    """Hash: one mail thread, or one session of a chat."""
    channel: Channel
    sent_at: datetime
    instruction: str = field(repr=False)
    incoming: str = field(repr=False)
    """Empty for a mail that begins a thread."""
    reply: str = field(repr=False)
    people: tuple[str, ...] = field(default=(), repr=False)
    """Whom the reply is for, by name. Not part of what is learnt."""
    messages: tuple[str, ...] = field(default=(), repr=False)
    """Hashes of the ids of the reply's messages, one by one."""
    pinned: bool = False
    """Whether the owner wants it learnt, whatever the rules say (see marks)."""

    @property
    def task(self) -> Task:
        """What the prompt is made from, in training as in serving."""
        return Task(instruction=self.instruction, incoming=self.incoming)


def from_thread(thread: Thread, owner: Owner, dropped: Counter[str]) -> Iterator[Pair]:
    """The pairs of a thread. Each message of the owner's is in one, or counted in `dropped`."""
    if thread.channel == "mail":
        yield from _from_mail(thread, owner, dropped)
    else:
        for session in sessions(thread.messages):
            yield from _from_session(session, owner, dropped)


# Mail


def _from_mail(thread: Thread, owner: Owner, dropped: Counter[str]) -> Iterator[Pair]:
    for mail in thread.messages:
        if not owner.wrote(mail):
            continue
        pair = _mail_pair(mail, thread, owner)
        if isinstance(pair, Pair):
            yield pair
        else:
            lose(dropped, pair, mail.id)


def _mail_pair(mail: Message, thread: Thread, owner: Owner) -> Pair | str:
    """The pair that ends in `mail`, or why there is none."""
    if mail.automatic:
        return f"automatic: {mail.automatic}"
    if messages.has_forward_subject(mail):
        return "forwarded mail"
    own = clean.own_words(mail.text).strip()
    if not own:
        return "no words of the owner's own"
    reply = clean.unwrap(relayed.without(own, mail.text, owner).strip())
    if not reply:
        return "only passes on what somebody else wrote"
    parent = messages.parent(mail, thread.messages, owner)
    asked = _asked(mail, parent, owner)
    if isinstance(asked, str):
        return asked
    instruction, incoming = asked
    paragraphs = re.split(r"\n\s*\n", clean.unwrap(incoming))
    return Pair(
        id=_hash(mail.id),
        thread=_hash(thread.id),
        channel="mail",
        sent_at=mail.sent_at,
        instruction=instruction,
        incoming=_newest(paragraphs, "\n\n"),
        reply=reply,
        people=(_correspondent(mail, parent, owner),),
        messages=(_hash(mail.id),),
    )


def _asked(mail: Message, parent: Message | None, owner: Owner) -> tuple[str, str] | str:
    """Instruction and incoming text for `mail`, or why they cannot be known."""
    about = _about(mail.subject)
    if parent is not None:
        # The parent's quotes are older mail; where it holds nothing else, they are what it says.
        incoming = clean.own_words(parent.text).strip() or clean.quoted(mail.text).strip()
        if not incoming:
            return "the mail it answers has no words"
        if owner.wrote(parent):
            return f"Follow up on this mail of yours{about}.", incoming
        return f"Reply to this mail from {_name(parent.sender)}{about}.", incoming
    to = mail.recipients[0] if mail.recipients else Person("")
    if quoted := clean.quoted(mail.text).strip():
        return f"Reply to this mail from {_name(to)}{about}.", quoted
    if mail.references or messages.has_reply_subject(mail):
        return "the mail it answers is missing"
    return f"Write a mail to {_name(to)}{about}.", ""


def _correspondent(mail: Message, parent: Message | None, owner: Owner) -> str:
    if parent is not None and not owner.wrote(parent):
        return _name(parent.sender)
    return _name(mail.recipients[0] if mail.recipients else Person(""))


def _about(subject: str) -> str:
    bare = " ".join(messages.without_prefixes(subject).split())
    return f' about "{bare}"' if bare else ""


def _name(person: Person) -> str:
    """What to call somebody: the name, else the part of the address that people choose."""
    return person.name.strip() or person.address.partition("@")[0] or "somebody"


# Chats


@dataclass(frozen=True)
class _Turn:
    """What one person says before somebody else does."""

    sender: Person
    messages: tuple[Message, ...] = field(repr=False)

    @property
    def text(self) -> str:
        return "\n".join(message.text.strip() for message in self.messages)


def sessions(chat: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """Cut a chat where its people paused for long, by the chat's own measure."""
    gap = session_gap(chat)
    start = 0
    for position, (one, other) in enumerate(pairwise(chat), start=1):
        if other.sent_at - one.sent_at > gap:
            yield tuple(chat[start:position])
            start = position
    yield tuple(chat[start:])


def session_gap(chat: Sequence[Message]) -> timedelta:
    """The pause that ends a session of this chat: quick chats sooner, slow ones later."""
    gaps = sorted(other.sent_at - one.sent_at for one, other in pairwise(chat))
    usual = gaps[len(gaps) * 3 // 4] if gaps else timedelta()
    return min(max(RHYTHM * usual, SHORTEST_SESSION_GAP), LONGEST_SESSION_GAP)


def _from_session(
    session: tuple[Message, ...], owner: Owner, dropped: Counter[str]
) -> Iterator[Pair]:
    turns = list(_turns(session, owner, dropped))
    for position, turn in enumerate(turns):
        if not owner.wrote(turn.messages[0]):
            continue
        before = turns[max(0, position - CONTEXT_TURNS) : position]
        if not before:
            for message in turn.messages:
                lose(dropped, "begins a chat: nothing to answer", message.id)
            continue
        for message in turn.messages[1:]:
            lose(dropped, "joined to the message before", message.id)
        others = sorted({_name(t.sender) for t in before if not owner.wrote(t.messages[0])})
        yield Pair(
            id=_hash(*(message.id for message in turn.messages)),
            thread=_hash(session[0].id),
            channel="chat",
            sent_at=turn.messages[-1].sent_at,
            instruction=f"Reply in this chat with {_list(others)}.",
            incoming=_newest([f"{_name(t.sender)}: {t.text}" for t in before], "\n"),
            reply=turn.text,
            people=tuple(others),
            messages=tuple(_hash(message.id) for message in turn.messages),
        )


def _turns(session: tuple[Message, ...], owner: Owner, dropped: Counter[str]) -> Iterator[_Turn]:
    """Consecutive messages of one sender as one turn; what no person wrote is left out."""
    said: list[Message] = []
    for message in session:
        if message.automatic or not message.text.strip():
            if owner.wrote(message):
                lose(dropped, f"automatic: {message.automatic or 'empty'}", message.id)
            continue
        # The owner may have been shown under two names: still one person speaking.
        if said and not (
            said[-1].sender == message.sender or (owner.wrote(said[-1]) and owner.wrote(message))
        ):
            yield _Turn(said[0].sender, tuple(said))
            said = []
        said.append(message)
    if said:
        yield _Turn(said[0].sender, tuple(said))


def _list(names: list[str]) -> str:
    """ "Ana", "Ana and Tom", "Ana, Tom and 3 others"."""
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


# Both


def _newest(pieces: list[str], separator: str) -> str:
    """As many whole pieces from the end as fit the budget: the newest are what is answered."""
    kept: list[str] = []
    room = INCOMING_CHARACTERS
    for piece in reversed([piece.strip() for piece in pieces if piece.strip()]):
        if len(piece) > room:
            # One piece alone may be too long: then its end, from the start of a word.
            rest = piece[-room:].partition(" ")[2] if not kept else ""
            kept += [rest, CUT] if rest else [CUT]
            break
        kept.append(piece)
        room -= len(piece) + len(separator)
    return separator.join(reversed(kept))


def _hash(*ids: str) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
