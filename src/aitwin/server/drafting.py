"""One draft for a request: begun by whoever writes now, cut off when nobody waits for it.

Does not know how a draft is sent: see writing, saying.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Literal

from anyio import to_thread

from aitwin.prompt import ChatMessage, Task
from aitwin.server.ledger import Kind
from aitwin.server.problems import Problem
from aitwin.server.streams import pumped
from aitwin.style.engine import Engine, Sampling
from aitwin.style.guard import Intervention

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.style.writer import Writer

WITH_MODEL: tuple[Kind, ...] = ("training", "evaluation")
"""Jobs that hold a model of their own."""
CHARACTERS = 4
"""Of a token, about."""
SEEDS = (-(2**63), 2**63 - 1)
"""What OpenAI's API takes as a seed; engines take 32 bits of it."""


@dataclass(frozen=True)
class Wish:
    """What is to be written, and how."""

    task: Task
    sampling: Sampling
    adapted: bool = True
    """Whether the twin writes; otherwise its base."""
    earlier: Sequence[ChatMessage] = field(default=(), repr=False)


@dataclass(eq=False)
class Drafting:
    """A draft that is being written."""

    pieces: AsyncGenerator[str]
    taken_off: list[Intervention]
    """Filled when it has ended."""
    halt: Event
    """Set it, and the draft ends."""
    engine: "Counted"
    limit: int
    adapter: str
    """Whose style it is."""
    stopped: bool = False
    """Whether it was ended by a text that was asked for to end it."""

    @property
    def finish(self) -> Literal["stop", "length"]:
        """Why the text ended: to be asked when it has."""
        return "length" if self.engine.pieces >= self.limit and not self.stopped else "stop"


async def begin(parts: "Parts", wish: Wish, who: str = "") -> Drafting:
    """A draft for `who` (see Line), whose first piece comes when it is its turn.

    Raises Problem when nobody can write, and at its first piece when too many wait.
    """
    own = await to_thread.run_sync(_writer, parts)
    halt = Event()
    engine = Counted(own.engine, halt)
    taken_off: list[Intervention] = []
    sampling = replace(wish.sampling, seed=wish.sampling.seed % 2**32)
    pieces = replace(own, engine=engine).stream(
        wish.task,
        sampling,
        adapted=wish.adapted,
        earlier=wish.earlier,
        taken_off=taken_off.append,
    )
    return Drafting(
        pumped(pieces, parts.writing, halt, who=who),
        taken_off,
        halt,
        engine,
        sampling.max_tokens,
        parts.desk.adapter,
    )


def _writer(parts: "Parts") -> "Writer":
    """Who writes. Raises Problem when a training has the memory that its model would take."""
    own = parts.desk.writer()
    if parts.desk.heavy and any(parts.jobs.active(kind) for kind in WITH_MODEL):
        raise Problem(
            "busy-training",
            "a training or an evaluation has the memory of this machine: drafts are written again "
            "when it is done, or when you stop it",
        )
    return own


class Counted:
    """The engine of one request, and how many pieces it gave; ends early when `halt` is set.

    A piece is a token, but for those that are a part of a character (some emoji): of a text cut
    off after such ones the limit is not noticed.
    """

    def __init__(self, engine: Engine, halt: Event) -> None:
        self._engine = engine
        self._halt = halt
        self.pieces = 0
        self.read = 0
        """Tokens of the prompt, by their usual length: engines do not all count them."""

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine."""
        if self._halt.is_set():
            return  # given up while it waited: no model is loaded for it
        self.read = sum(len(message["content"]) for message in messages) // CHARACTERS
        with closing(self._engine.stream(messages, sampling, adapted=adapted)) as pieces:
            for piece in pieces:
                if self._halt.is_set():
                    return
                # An empty one was there to give us this moment, while the prompt is read.
                if piece:
                    self.pieces += 1
                    yield piece
