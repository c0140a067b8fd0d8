"""The one place where a chat prompt is made, for training and for serving alike.

A dataset row and a request to the engine hold the same system and user text, made here, so that
the adapter meets at serving exactly what it was trained on. Here, too, are the phrases that a
request is made of. Does not know templates or tokens: the chat template of the base model turns
these messages into bytes (see style.tokens).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

ROW_TOKENS = 512
"""Tokens of prompt and reply together that an example is trained on, unless the owner says more.

The recipe's sequence length and the dataset's budget for context, which have to agree (M4)."""


SHORT, SENTENCES, LONG = 25, 80, 200
"""Words up to which a mail is short, or a few sentences; and from which it is long."""

Kind = Literal["write", "reply", "rewrite"]
Register = Literal["mail", "chat"]
Length = Literal["short", "medium", "long"] | int
"""A number is one of words."""

# What the training set asks for a draft with (see corpus.instructions); a request uses the first.
FIRST_MAILS = (
    "Write {mail} to {to}{about}{that}.",
    "Draft {mail} to {to}{about}{that}.",
    "Compose {mail} to {to}{about}{that}.",
    "Send {mail} to {to}{about}{that}.",
    "Please write {mail} to {to}{about}{that}.",
    "I need {mail} to {to}{about}{that}.",
)
REPLIES = (
    "Reply to this mail from {who}{about}.",
    "Answer this mail from {who}{about}.",
    "Write a reply to this mail from {who}{about}.",
    "Draft an answer to {who}'s mail{about}.",
)
FOLLOW_UPS = (
    "Follow up on this mail of yours{about}.",
    "Write another mail after this one of yours{about}.",
)
CHAT_REPLY, CHAT_MORE, CHAT_ANY = (
    "Reply in this chat with {who}.",
    "Go on in this chat with {who}.",
    "Go on in this chat.",
)
ABOUT = ' about "{subject}"'


class ChatMessage(TypedDict):
    """One ChatML message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Persona:
    """Whose style it is."""

    name: str = field(repr=False)
    traits: tuple[str, ...] = ()
    """How the owner writes, in the owner's own words: "concise", "dry humour"."""


@dataclass(frozen=True)
class Task:
    """What is to be written."""

    instruction: str = field(repr=False)
    """"Reply to this mail from Ana.", "Thank my colleague for the help"."""
    incoming: str = field(default="", repr=False)
    """The mail or chat to answer, oldest line first, or the text to rewrite; empty for none."""
    reference: str = field(default="", repr=False)
    """Text whose style this one draft shall follow; empty for the owner's usual one."""
    kind: Kind = "write"
    """What `incoming` is for: "reply" and "rewrite" are said in words before the instruction."""
    to: str = field(default="", repr=False)
    """Who will read the draft: "Ana", "Ana and Tom", "a colleague"."""
    register: Register | None = None
    length: Length | None = None


def system(persona: Persona) -> str:
    """The standing instruction: who writes, how, and that only the draft is wanted (W3)."""
    manner = f": {', '.join(persona.traits)}" if persona.traits else ""
    return plain(
        f"You are {persona.name}. Write as {persona.name} writes{manner}. "
        "Answer with the message alone."
    )


def user(task: Task) -> str:
    """The request itself. The parts keep this order so that a growing chat reuses its prefix."""
    style = task.reference.strip()
    reference = f"Follow the style of this text:\n\n{style}" if style else ""
    parts = (reference, request(task), task.incoming)
    return "\n\n".join(plain(part).strip() for part in parts if part.strip())


def request(task: Task) -> str:
    """The task's instruction, behind what its other fields say, as the training set words it.

    A row of the training set has nothing but an instruction: that one stays as it is.
    """
    if task.kind == "write":
        special = task.to or task.register or task.length
        parts = [_to_write(task) if special else "", task.instruction]
    else:
        opening = _to_reply(task) if task.kind == "reply" else _to_rewrite(task)
        parts = [opening, task.instruction, _how_long(task.length)]
    return " ".join(filter(None, parts))


def _to_write(task: Task) -> str:
    noun = "chat message" if task.register == "chat" else "mail"
    if isinstance(task.length, int):
        what = f"a {noun} of about {task.length} words"
    else:
        what = a_mail(most_words(task.length)).replace("mail", noun)
    sentence = FIRST_MAILS[0].format(mail=what, to=task.to or "{to}", about="", that="")
    return sentence if task.to else sentence.replace(" to {to}", "")


def _to_reply(task: Task) -> str:
    if task.register == "chat":
        return CHAT_REPLY.format(who=task.to) if task.to else CHAT_ANY
    sentence = REPLIES[0].format(who=task.to or "{who}", about="")
    return sentence if task.to else sentence.replace(" from {who}", "")


def _to_rewrite(task: Task) -> str:
    what = {"mail": "mail", "chat": "chat message", None: "text"}[task.register]
    return f"Rewrite this {what}{f' to {task.to}' if task.to else ''} in your own words."


def _how_long(length: Length | None) -> str:
    if isinstance(length, int):
        return f"Write about {length} words."
    lengths = {"short": "Keep it short.", "medium": "Write a few sentences."}
    return lengths.get(length, "Write at length.") if length else ""


def a_mail(words: int | None) -> str:
    """A mail of so many words, as one asks for it."""
    if words is None:
        return "a mail"
    if words <= SHORT:
        return "a short mail"
    if words <= SENTENCES:
        return "a mail of a few sentences"
    return "a mail" if words < LONG else "a long mail"


def most_words(length: Length | None) -> int | None:
    """How many words a draft of that length should have at most; None where nobody said."""
    if isinstance(length, int) or length is None:
        return length
    return {"short": SHORT, "medium": SENTENCES, "long": 2 * LONG}[length]


def conversation(earlier: Sequence[ChatMessage], task: Task) -> list[ChatMessage]:
    """A user turn for `task` after earlier turns; `with_persona` adds the standing instruction."""
    turns = [ChatMessage(role=turn["role"], content=plain(turn["content"])) for turn in earlier]
    return [*turns, {"role": "user", "content": user(task)}]


def plain(text: str) -> str:
    """`text` without the marks that a chat template takes for structure.

    A mail that holds `<|im_end|>` must not end the owner's turn: whoever writes to the owner would
    otherwise speak as the system. Half characters, as undecodable input leaves them, become "?".
    """
    return text.encode("utf-8", "replace").decode().replace("<|", "< |")


def messages(persona: Persona, task: Task) -> list[ChatMessage]:
    """The prompt for `task`: what stands before the reply, in training and in serving."""
    return with_persona(persona, conversation((), task))


def with_persona(persona: Persona, turns: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The standing instruction before the turns of a conversation."""
    return [{"role": "system", "content": system(persona)}, *turns]
