"""A task becomes a draft. The one place that knows persona, prompt and engine together.

Does not choose models or keep adapters: it is handed an engine.
"""

import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from aitwin import prompt
from aitwin.prompt import ChatMessage, Persona, Task
from aitwin.style.engine import Engine, Sampling

_LEAD = 160
"""Characters in which an announcement has to end: a longer first line is the owner's."""
_POLITE = r"(?:(?:sure|certainly|of course|absolutely|okay|ok)(?: thing)?[,.!:]?[ \t]+)?"
_THING = r"\b(?:draft|reply|response|message|mail|e-?mail|version|text)s?\b"
# An owner may write "Here is the draft: page 3 is new." or "Here is the mail from the bank:"; it is
# the model that announces a text of no origin, on a line of its own.
_ORIGIN = r"\b(?:from|i|he|she|we|they|got|sent|my|our|his|her|their)\b"
_HERE = rf"(?:here(?:'s|’s| is| are)|below is|this is)\s(?:(?!{_ORIGIN})[^\n:]){{0,80}}?"
_ANNOUNCEMENT = rf"{_POLITE}{_HERE}{_THING}(?:(?!{_ORIGIN})[^\n:]){{0,60}}:(?:\*\*)?[ \t]*(?=\n)"
_LABEL = r"(?:\*\*)?(?:\[(?:draft|reply|response|message)\]|draft\s?:(?=[* \t]*\n))(?:\*\*)?"
_RULE = r"(?:\s*\n-{3,}[ \t]*(?=\n))?"
_PREAMBLE = re.compile(rf"(?P<lead>{_ANNOUNCEMENT}|{_LABEL}){_RULE}\s*", re.IGNORECASE | re.ASCII)
_OPENINGS = (
    *("sure", "certainly", "of course", "absolutely", "ok"),
    *("here", "below is", "this is", "[", "**", "draft"),
)


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


def without_preamble(pieces: Iterable[str]) -> Generator[str]:
    """Pass on a stream of text, less what `draft_alone` takes off, however it is cut."""
    head = ""
    rest = iter(pieces)
    for piece in rest:
        head += piece
        if _settled(head):
            break
    if head := draft_alone(head):
        yield head
    yield from rest


def draft_alone(text: str) -> str:
    """`text` less an announcement at its head, such as "Here's a draft:" (W3), else unchanged."""
    text = text.lstrip()
    announced = _PREAMBLE.match(text)
    if announced is None or announced.end("lead") > _LEAD:
        return text
    return text[announced.end() :]


def _settled(head: str) -> bool:
    """Whether `draft_alone(head)` stays as it is, whatever follows."""
    head = head.lstrip()
    opening = head[: max(map(len, _OPENINGS))].lower()
    if not any(opening.startswith(word[: len(opening)]) for word in _OPENINGS):
        return True
    if "\n" not in head and len(head) <= _LEAD:
        return False
    rest = draft_alone(head)
    return bool(rest.strip("- \t"))
