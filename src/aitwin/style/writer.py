"""A task becomes a draft. The one place that knows persona, prompt and engine together.

Does not choose models or keep adapters: it is handed an engine. What is taken off a draft is said
in guard.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from aitwin import prompt
from aitwin.prompt import ChatMessage, Length, Persona, Task
from aitwin.style.engine import CONTEXT, Engine, Sampling
from aitwin.style.guard import Draft, Guard, Habits, Intervention
from aitwin.style.nearest import NearestReplies

TOKENS_PER_WORD = 4
"""Ample: a limit cuts a draft amid a sentence, and is there for those that never end."""
LEAST_TOKENS = 32
MOST_OF_CONTEXT = 0.75
"""Of the context, for a draft of many words; servers refuse a limit that leaves no prompt room."""


@dataclass(frozen=True)
class Writer:
    """Writes drafts in the owner's style."""

    engine: Engine
    persona: Persona
    habits: Habits | None = None
    """What the owner's replies have; without it, only what is certainly not the owner's goes."""
    nearest: NearestReplies | None = None
    """Adds replies of the owner's to the prompt, for a model that has not learnt them."""

    def stream(
        self,
        task: Task,
        sampling: Sampling | None = None,
        *,
        adapted: bool = True,
        earlier: Sequence[ChatMessage] = (),
        taken_off: Callable[[Intervention], None] = lambda kind: None,
    ) -> Generator[str]:
        """Yield the draft piece by piece, and nothing but the draft (W2, W3).

        `earlier`: the turns before the task. `taken_off` is told, when the draft has ended, each
        kind of thing that the model had added.
        """
        sampling = sampling or sampling_for(task.length)
        messages = prompt.with_persona(self.persona, prompt.conversation(earlier, task))
        if self.nearest:
            messages = self.nearest.added(messages, sampling.max_tokens)
        guard = Guard(self.habits, task.instruction)
        with closing(self.engine.stream(messages, sampling, adapted=adapted)) as pieces:
            yield from guard.alone(pieces)
        for kind in guard.interventions:
            taken_off(kind)

    def draft(self, task: Task, sampling: Sampling | None = None, *, adapted: bool = True) -> Draft:
        """The same at once, with what was taken off."""
        kinds: list[Intervention] = []
        text = "".join(self.stream(task, sampling, adapted=adapted, taken_off=kinds.append))
        return Draft(text.strip(), tuple(kinds))


def sampling_for(length: Length | None, context: int = CONTEXT) -> Sampling:
    """The usual sampling, with room for a draft of that length in an engine's `context` tokens."""
    words = prompt.most_words(length)
    usual = Sampling()
    if words is None:
        return usual
    wanted = LEAST_TOKENS + TOKENS_PER_WORD * words
    return replace(usual, max_tokens=min(wanted, int(context * MOST_OF_CONTEXT)))
