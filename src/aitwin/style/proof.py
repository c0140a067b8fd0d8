"""Proof of life: is the adapter live in the engine that serves, and nearer to the owner?

Asks the engine that serves, not the trainer, so that export and serving are proved with it.
Does not measure how well the twin writes: see evaluation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aitwin import prompt
from aitwin.corpus.dataset import Example
from aitwin.errors import TwinError
from aitwin.prompt import Persona, Task
from aitwin.style.engine import Sampling, Score, Scorer, TooLongError

PROBES = (
    Task("Draft a reply to my colleague thanking them for their help."),
    Task("Tell my neighbour that I cannot come on Saturday."),
    Task("Ask the supplier when the parts arrive."),
)
"""Fixed requests, answered greedily by base and twin."""
LONGEST = 120
"""Tokens of an answer to one."""
SCORED = 8
"""Held-out replies that are scored: 8 ms per token and model on a small CPU."""


@dataclass(frozen=True)
class Answer:
    """One probe, asked of both."""

    task: Task
    base: str = field(repr=False)
    twin: str = field(repr=False)


@dataclass(frozen=True)
class ProofOfLife:
    """The adapter is live, and nearer to the owner than the base is (DESIGN decision 3)."""

    answers: tuple[Answer, ...]
    base: Score
    """Of held-out replies of the owner, under the base model."""
    twin: Score
    """Of the same replies, under the twin."""
    too_long: int = 0
    """Held-out replies that could not be scored: they are longer than the engine's context."""

    @property
    def differing(self) -> int:
        """Probes on which the twin says something else than the base."""
        return sum(answer.base != answer.twin for answer in self.answers)

    def require_live(self) -> None:
        """Raise TwinError unless the twin answers otherwise than the base."""
        if not self.differing:
            raise TwinError(
                "the adapter is not live: twin and base gave the same answers to all "
                f"{len(self.answers)} probes; train again, or keep the earlier adapter"
            )

    def require(self) -> None:
        """Raise TwinError unless the adapter is live and better than the base."""
        self.require_live()
        if not self.twin.tokens:
            raise TwinError(
                f"no held-out reply could be scored ({self.too_long} are too long); add mail or "
                "chats, build the dataset again and train"
            )
        if self.twin.mean <= self.base.mean:
            raise TwinError(
                f"the twin finds the owner's held-out replies less likely than the base does "
                f"({self.twin.mean:.3f} against {self.base.mean:.3f} nats per token); "
                "train longer or on more pairs, or keep the earlier adapter"
            )


def scored(held_out: Sequence[Example]) -> list[Example]:
    """Those of the held-out replies that are scored: at most SCORED, from their whole time."""
    taken = min(SCORED, len(held_out))
    return [held_out[index * len(held_out) // taken] for index in range(taken)]


def prove(
    engine: Scorer,
    persona: Persona,
    held_out: Sequence[Example],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ProofOfLife:
    """Ask base and twin the same things. Does not judge: see `ProofOfLife.require`."""
    greedy = Sampling(max_tokens=LONGEST, temperature=0.0)
    chosen = scored(held_out)
    total = len(PROBES) + len(chosen)
    answers = []
    for done, task in enumerate(PROBES):
        on_progress(done, total)
        messages = prompt.messages(persona, task)
        base, twin = (
            "".join(engine.stream(messages, greedy, adapted=adapted)).strip()
            for adapted in (False, True)
        )
        answers.append(Answer(task, base, twin))
    scores = {False: Score(0.0, 0), True: Score(0.0, 0)}
    too_long = 0
    for done, example in enumerate(chosen, start=len(PROBES)):
        on_progress(done, total)
        *before, _ = example.messages
        try:
            both = {
                adapted: engine.score(before, example.reply, adapted=adapted) for adapted in scores
            }
        except TooLongError:
            too_long += 1
        else:
            scores = {adapted: scores[adapted] + both[adapted] for adapted in scores}
    on_progress(total, total)
    return ProofOfLife(tuple(answers), scores[False], scores[True], too_long)
