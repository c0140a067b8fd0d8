"""Threads to pairs: what the owner was answering, what was asked, what the owner wrote.

Does not redact (see redact), does not judge (see curate): every reply with words of the owner's
own becomes a pair, and every message that does not is counted with its reason.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from aitwin.corpus import clean, forwards, instructions, messages, relayed
from aitwin.corpus.context import BETWEEN, each, newest
from aitwin.corpus.forwards import Forwarded
from aitwin.corpus.instructions import name_of
from aitwin.corpus.messages import Channel, Message, Owner, Person, Thread
from aitwin.corpus.report import lose
from aitwin.prompt import Task

INCOMING_CHARACTERS = 8000
"""More than any budget of tokens lets through (see context): what a pair carries until then."""
CONTEXT_TURNS = 6
"""Turns of a chat before the reply: what a reader needs to follow, by reading some hundred."""
SHORTEST_SESSION_GAP = timedelta(hours=1)
LONGEST_SESSION_GAP = timedelta(hours=10)
"""A night apart is always another conversation, an answer within the hour never is."""
JOINED = "joined to the message before"
"""Why a message gave no pair of its own, though nothing of it is lost."""
RHYTHM = 12
"""A pause this many times the chat's usual one (its upper quartile) ends a session."""
SHORTEST_TURN_GAP = timedelta(minutes=10)
TURN_RHYTHM = 4
"""A pause this many times the chat's usual one ends a turn, though the same person goes on."""

_QUOTING = re.compile(r"\s{0,6}[\w.-]{0,12}[>|:%]")
"""Begins a line that may be a quote, of whatever kind; clean knows which are."""
_OWN_NUMBER = re.compile(r"\(?(\d{1,2}|[a-z]|[ivx]{1,4})\)\s+(?=\S)|(\d{1,2})\.\s+(?=\S)")
"""Begins a point of the sender's: "1. ", "(a) ", "ii) "."""


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
    language: str = ""
    """Of the reply, as "en" (see languages); empty where nobody has looked or can tell."""
    subject: str = field(default="", repr=False)
    """Of the mail, as it is, not redacted. Not part of what is learnt."""
    pieces: tuple[str, ...] = field(default=(), repr=False)
    """The incoming text in the parts that it may lose whole (see context): paragraphs, turns."""
    one_by_one: bool = False
    """Whether the reply answers each of the pieces, so that none of them may be lost whole."""
    kept: bool = False
    """Whether it is a draft that the owner kept (see kept): then the request is a real one."""

    @property
    def begins(self) -> bool:
        """Whether it is a first mail, that answers nothing, and whose request has to be made up."""
        return self.channel == "mail" and not self.incoming and not self.kept

    @property
    def task(self) -> Task:
        """What the prompt is made from, in training as in serving."""
        return Task(instruction=self.instruction, incoming=self.incoming)


def from_thread(thread: Thread, owner: Owner, dropped: Counter[str]) -> Iterator[Pair]:
    """The pairs of a thread. Each message of the owner's is in one, or counted in `dropped`."""
    if thread.channel == "mail":
        yield from _from_mail(thread, owner, dropped)
    else:
        gap, everybody = turn_gap(thread.messages), _others(thread.messages, owner)
        for session in sessions(thread.messages):
            turns = list(_turns(session, gap, owner, dropped))
            yield from _from_session(turns, _hash(session[0].id), everybody, owner, dropped)


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
    own = clean.own_words(mail.text).strip()
    forwarded = forwards.forwarded(mail)
    if forwarded is None and messages.has_forward_subject(mail, surely=True):
        return "forwarded mail that does not show where it begins"
    if not own:
        return "no words of the owner's own" if forwarded is None else "forwarded mail"
    reply = clean.unwrap(relayed.without(own, mail.text, owner).strip())
    if not reply:
        return "only passes on what somebody else wrote"
    parent = None if forwarded else messages.parent(mail, thread.messages, owner)
    asked = _noted(mail, forwarded, owner) if forwarded else _asked(mail, parent, owner)
    if isinstance(asked, str):
        return asked
    subject = messages.without_prefixes(mail.subject)
    if not asked.pieces:
        to = instructions.to_whom(mail.recipients, owner)
        asked = _Asked(instructions.first_mail(to, subject, reply, _hash(mail.id)))
    keep = each if asked.one_by_one else newest
    pieces = keep(asked.pieces, "mail", INCOMING_CHARACTERS)
    return Pair(
        id=_hash(mail.id),
        thread=_hash(thread.id),
        channel="mail",
        sent_at=mail.sent_at,
        instruction=asked.instruction,
        incoming=BETWEEN["mail"].join(pieces),
        reply=reply,
        people=(_correspondent(mail, parent, owner),),
        messages=(_hash(mail.id),),
        subject=subject,
        pieces=tuple(pieces),
        one_by_one=asked.one_by_one,
    )


@dataclass(frozen=True)
class _Asked:
    """What a reply answers."""

    instruction: str = field(repr=False)
    pieces: tuple[str, ...] = field(default=(), repr=False)
    """Paragraphs of the mail, or the passages that are answered one by one; none: a first mail."""
    one_by_one: bool = False


def _noted(mail: Message, forwarded: Forwarded, owner: Owner) -> _Asked:
    """What a mail passes on, above which the owner wrote something."""
    sender = forwarded.sender
    whose = " of yours" if owner.wrote(replace(mail, sender=sender)) else f" from {name_of(sender)}"
    about = instructions.about(messages.without_prefixes(mail.subject))
    to = instructions.to_whom(mail.recipients, owner)
    request = f"Forward this mail{whose}{about} to {to}, with a note."
    return _Asked(request, _paragraphs(forwarded.text))


def _asked(mail: Message, parent: Message | None, owner: Owner) -> _Asked | str:
    """What `mail` answers, or why that cannot be known."""
    subject, seed = messages.without_prefixes(mail.subject), _hash(mail.id)
    if parent is not None and owner.wrote(parent):
        request = instructions.follow_up(subject, seed)
    elif parent is not None:
        request = instructions.reply(parent.sender, subject, seed)
    else:
        to = mail.recipients[0] if mail.recipients else Person("")
        request = instructions.reply(to, subject, seed)
    if passages := _answered_one_by_one(mail):
        return _Asked(f"{request[:-1]}, point by point.", passages, one_by_one=True)
    if parent is not None:
        # A parent that no header names is a guess, and what the answer quotes is none.
        incoming = "" if mail.references else clean.quoted(mail.text).strip()
        # The parent's quotes are older mail; where it holds nothing else, they are what it says.
        incoming = incoming or clean.own_words(parent.text).strip()
        incoming = incoming or clean.quoted(mail.text).strip()
        if not incoming:
            return "the mail it answers has no words"
        return _Asked(request, _paragraphs(incoming))
    if quoted := clean.quoted(mail.text).strip():
        return _Asked(request, _paragraphs(quoted))
    if mail.references or messages.has_reply_subject(mail):
        return "the mail it answers is missing"
    return _Asked("")


def _answered_one_by_one(mail: Message) -> tuple[str, ...]:
    """The quoted passages between which the sender wrote, numbered; none for a plain reply.

    Two answers or more make it so: one below a quote answers the whole mail.
    """
    if not clean.interleaves(mail.text):
        return ()
    quoting = [bool(_QUOTING.match(line)) for line in mail.text.split("\n") if line.strip()]
    if sum(one and not other for one, other in pairwise(quoting)) < 2:
        return ()  # an answer that looks like a quote itself is no sure one
    answered = [quoted for quoted, own in clean.exchanges(mail.text) if quoted.strip() and own]
    if len(answered) < 2:
        return ()
    return _numbered([" ".join(_paragraphs(passage)) for passage in answered])


def _numbered(passages: Sequence[str]) -> tuple[str, ...]:
    """The passages with numbers: the sender's own, where each has another one."""
    found = [_OWN_NUMBER.match(passage) for passage in passages]
    own = [match[1] or match[2] if match else "" for match in found]
    if all(own) and len(set(own)) == len(own):
        return tuple(passages)
    several = len(passages) - own.count("") > 1  # one alone may be a date: "5. May"
    numbered = []
    for number, (passage, its) in enumerate(zip(passages, own, strict=True), start=1):
        doubled = its and (several or its == str(number))
        numbered.append(
            f"({number}) {_OWN_NUMBER.sub('', passage, count=1) if doubled else passage}"
        )
    return tuple(numbered)


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(re.split(r"\n\s*\n", clean.unwrap(text)))


def _correspondent(mail: Message, parent: Message | None, owner: Owner) -> str:
    if parent is not None and not owner.wrote(parent):
        return name_of(parent.sender)
    return name_of(mail.recipients[0] if mail.recipients else Person(""))


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
    return min(max(RHYTHM * _usual_gap(chat), SHORTEST_SESSION_GAP), LONGEST_SESSION_GAP)


def _usual_gap(chat: Sequence[Message]) -> timedelta:
    """The upper quartile: three of four answers come sooner."""
    gaps = sorted(other.sent_at - one.sent_at for one, other in pairwise(chat))
    return gaps[len(gaps) * 3 // 4] if gaps else timedelta()


def turn_gap(chat: Sequence[Message]) -> timedelta:
    """The pause after which the same person begins another turn, by the chat's own measure."""
    return min(max(TURN_RHYTHM * _usual_gap(chat), SHORTEST_TURN_GAP), session_gap(chat))


def _from_session(
    turns: list[_Turn], session: str, everybody: list[str], owner: Owner, dropped: Counter[str]
) -> Iterator[Pair]:
    for position, turn in enumerate(turns):
        if not owner.wrote(turn.messages[0]):
            continue
        before = turns[max(0, position - CONTEXT_TURNS) : position]
        if not before:
            for message in turn.messages:
                lose(dropped, "begins a chat: nothing to answer", message.id)
            continue
        for message in turn.messages[1:]:
            lose(dropped, JOINED, message.id)
        others = _others((t.messages[0] for t in before), owner)
        goes_on = owner.wrote(before[-1].messages[0])
        # After a pause the owner may go on alone: then to everybody in the chat.
        people = others or everybody
        said = [f"{name_of(t.sender)}: {t.text}" for t in before]
        pieces = newest(said, "chat", INCOMING_CHARACTERS)
        yield Pair(
            id=_hash(*(message.id for message in turn.messages)),
            thread=session,
            channel="chat",
            sent_at=turn.messages[-1].sent_at,
            instruction=instructions.in_chat(people, goes_on=goes_on),
            incoming=BETWEEN["chat"].join(pieces),
            reply=turn.text,
            people=tuple(people),
            messages=tuple(_hash(message.id) for message in turn.messages),
            pieces=tuple(pieces),
        )


def _others(messages: Iterable[Message], owner: Owner) -> list[str]:
    """Who speaks, besides the owner."""
    return sorted({name_of(m.sender) for m in messages if not m.automatic and not owner.wrote(m)})


def _turns(
    session: tuple[Message, ...], gap: timedelta, owner: Owner, dropped: Counter[str]
) -> Iterator[_Turn]:
    """Messages of one sender with no long pause between them; what no person wrote is left out."""
    said: list[Message] = []
    for message in session:
        if message.automatic or not message.text.strip():
            if owner.wrote(message):
                lose(dropped, f"automatic: {message.automatic or 'empty'}", message.id)
            continue
        if said and not _go_on(said[-1], message, gap, owner):
            yield _Turn(said[0].sender, tuple(said))
            said = []
        said.append(message)
    if said:
        yield _Turn(said[0].sender, tuple(said))


def _go_on(before: Message, message: Message, gap: timedelta, owner: Owner) -> bool:
    """Whether one person says both, in one go."""
    # The owner may have been shown under two names: still one person speaking.
    same = before.sender == message.sender or (owner.wrote(before) and owner.wrote(message))
    return same and message.sent_at - before.sent_at <= gap


def _hash(*ids: str) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
