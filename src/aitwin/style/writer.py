"""A task becomes a draft. The one place that knows persona, prompt and engine together.

Does not choose models or keep adapters: it is handed an engine.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from aitwin import prompt
from aitwin.prompt import ChatMessage, Persona, Task
from aitwin.style.engine import Engine, Sampling

_LEAD = 160
"""Characters held back until it is clear whether the model begins with a preamble."""
_LABEL = r"(?:\*\*)?(?:\[(?:draft|reply|message)\]|draft\s?:)(?:\*\*)?"
_HERE = (
    r"(?:(?:sure|certainly|of course|absolutely|okay)[,.!]?\s+)?"
    r"(?:here(?:'s|’s| is| are)|below is|this is)\s[^\n:]{0,80}"
)
# An owner may well write "Here is the reply from the bank: ..."; on a line of its own, or with the
# word "draft", it is the model that speaks.
_ANNOUNCEMENT = (
    rf"{_HERE}(?:draft[^\n:]{{0,60}}:|"
    r"(?:reply|response|message|mail|email|version)[^\n:]{0,60}:[ \t]*(?=\n))"
)
_OPENINGS = (
    *("sure", "certainly", "of course", "absolutely", "okay"),
    *("here", "below", "this is", "[", "**", "draft"),
)
_PREAMBLE = re.compile(rf"\s*(?:{_ANNOUNCEMENT}|{_LABEL})\s*(?:---\s*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Writer:
    """Writes drafts in the owner's style."""

    engine: Engine
    persona: Persona

    def stream(
        self, task: Task, sampling: Sampling | None = None, *, adapted: bool = True
    ) -> Generator[str]:
        """Yield the draft piece by piece, and nothing but the draft (W2, W3)."""
        return self.answer(prompt.conversation((), task), sampling, adapted=adapted)

    def answer(
        self,
        turns: Sequence[ChatMessage],
        sampling: Sampling | None = None,
        *,
        adapted: bool = True,
    ) -> Generator[str]:
        """The same for the last turn of a conversation (see prompt.conversation)."""
        messages = prompt.with_persona(self.persona, turns)
        with closing(
            self.engine.stream(messages, sampling or Sampling(), adapted=adapted)
        ) as pieces:
            yield from without_preamble(pieces)


def without_preamble(pieces: Iterator[str]) -> Iterator[str]:
    """Pass on a stream of text, less a leading announcement such as "Here's a draft:" (W3).

    Only the head of the text is ever held back or changed, never the words after it.
    """
    head = ""
    for piece in pieces:
        head += piece
        if not _may_be_preamble(head):
            break
    yield _PREAMBLE.sub("", head, count=1).lstrip()
    yield from pieces


def _may_be_preamble(head: str) -> bool:
    """Whether more text could still turn the head into an announcement that ends with a colon."""
    head = head.lstrip()
    if len(head) > _LEAD:
        return False
    opening = head[: len("absolutely")].lower()
    return any(opening.startswith(word[: len(opening)]) for word in _OPENINGS) and (
        "\n" not in head.rstrip("\n")
    )
