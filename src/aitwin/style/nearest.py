"""The owner's replies to requests like this one, found by their words, as examples for a model.

BM25 (Robertson and Zaragoza, 2009) by bm25s (Lù, arXiv 2407.03618). The index lives in memory and
is made anew from a dataset whenever it is wanted: none of the owner's text goes to disk a second
time. Does not write drafts: see writer.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aitwin.corpus.dataset import Example
from aitwin.prompt import ChatMessage

# Scripts that put no spaces between words: each letter counts as one.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]|[^\W_]+"
)
_SPARE = 8
"""Tokens left between the prompt and the end of the context."""


@dataclass(frozen=True)
class Index:
    """Requests to the owner by their words, with what was replied."""

    examples: tuple[Example, ...] = field(repr=False)
    """Oldest first, as in the dataset."""
    _scores: Any = field(repr=False)

    @classmethod
    def build(cls, examples: Sequence[Example]) -> "Index":
        """An index of what the replies answer; of the training part, say."""
        import bm25s

        requests = [words(request(example)) for example in examples]
        if not any(requests):
            return cls(tuple(examples), None)
        scores = bm25s.BM25()
        scores.index(requests, show_progress=False)
        return cls(tuple(examples), scores)

    def search(self, text: str, k: int, *, thread: str = "") -> list[Example]:
        """The `k` examples whose requests are nearest to `text`, best first; none of `thread`.

        Of equally near ones the newest come first.
        """
        wanted = words(text)
        if self._scores is None or not wanted:
            near = [0.0] * len(self.examples)
        else:
            near = self._scores.get_scores(wanted).tolist()
        places = [
            place for place, one in enumerate(self.examples) if not thread or one.thread != thread
        ]
        places.sort(key=lambda place: (-near[place], -place))
        return [self.examples[place] for place in places[:k]]


@dataclass(frozen=True)
class NearestReplies:
    """Adds replies of the owner's to a conversation, as many as fit."""

    index: Index = field(repr=False)
    count: Callable[[Sequence[ChatMessage]], int] = field(repr=False)
    """Tokens of a prompt (LlamaCpp.prompt_tokens)."""
    context: int
    """Tokens that the engine holds."""
    most: int = 5
    """Examples."""

    def added(self, messages: Sequence[ChatMessage], max_tokens: int) -> list[ChatMessage]:
        """The prompt `messages` with examples behind the standing instruction, the nearest last.

        `max_tokens` of the context stay free for the draft; half of it where the context does not
        hold so many beside the prompt.
        """
        system, *turns = messages
        room = self.context - max_tokens - _SPARE
        if self.count(messages) > room:
            room = self.context // 2 - _SPARE
        chosen: list[ChatMessage] = []
        for example in self.index.search(turns[-1]["content"], self.most):
            longer = [*as_turns([example]), *chosen]
            if self.count([system, *longer, *turns]) > room:
                continue
            chosen = longer
        return [system, *chosen, *turns]


def as_turns(examples: Sequence[Example]) -> list[ChatMessage]:
    """Examples as earlier turns of a conversation, in the order in which they are given."""
    return [turn for example in examples for turn in example.messages[1:]]


def request(example: Example) -> str:
    """What the reply answers: the instruction and the mail or chat."""
    return example.messages[-2]["content"]


def words(text: str) -> list[str]:
    """The words of a text in any script, without case and accents."""
    apart = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in apart if not unicodedata.category(c).startswith("M"))
    return _WORD.findall(bare.casefold())
