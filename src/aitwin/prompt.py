"""The one place where a chat prompt is made, for training and for serving alike.

A dataset row and a request to the engine hold the same system and user text, made here, so that
the adapter meets at serving exactly what it was trained on. Does not know templates or tokens:
the chat template of the base model turns these messages into bytes (see style.tokens).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

ROW_TOKENS = 512
"""Tokens of prompt and reply together that an example is trained on, unless the owner says more.

The recipe's sequence length and the dataset's budget for context, which have to agree (M4)."""


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
    """The mail or chat to answer, oldest line first; empty when there is none."""
    reference: str = field(default="", repr=False)
    """Text whose style this one draft shall follow; empty for the owner's usual one."""


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
    parts = (reference, task.instruction, task.incoming)
    return "\n\n".join(plain(part).strip() for part in parts if part.strip())


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
