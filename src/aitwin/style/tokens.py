"""Examples to token ids: the prompt, and the reply, which alone carries the loss.

The ids are those of the engine that will serve, by the template and the vocabulary of the very
file it serves, so that training and serving cannot differ (DESIGN decision 2). A second tokenizer
would: the one that transformers 5.23 makes of SmolLM2's GGUF cuts before digits otherwise, which
changed 37 of 812 real examples. Knows nothing of training.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aitwin.corpus.dataset import Example
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, plain

END_OF_TURN = "<|im_end|>"
OPENING = 16
"""Tokens after the system turn that a cut prompt keeps: the role, and how the request begins."""
CLOSING = 16
"""Tokens at its end that it keeps: the last words, the end of the turn, and whose turn it is."""


class Tokenizer(Protocol):
    """What is asked of the engine (see engine.LlamaCpp)."""

    def prompt_tokens(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Token ids of the prompt, up to where the reply begins."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text`."""


@dataclass(frozen=True)
class Encoded:
    """One example as the model sees it."""

    id: str
    prompt: tuple[int, ...] = field(repr=False)
    reply: tuple[int, ...] = field(repr=False)
    """Ends with the end-of-turn token: the twin must learn when to stop, too."""

    def __len__(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.reply)


def encode(tokenizer: Tokenizer, example: Example, limit: int) -> Encoded | None:
    """Token ids of `example`, at most `limit`; None when its reply does not leave enough room.

    A prompt that is too long loses tokens from the middle: the head holds the system turn and the
    instruction, the tail the newest lines and the start of the reply.
    Raises TwinError when the base does not end its turns as ChatML does.
    """
    *before, last = example.messages
    prompt = tokenizer.prompt_tokens(before)
    reply = tokenizer.tokenize(plain(last["content"]) + END_OF_TURN)
    end = tokenizer.tokenize(END_OF_TURN)
    if reply[-1:] != end or end[0] not in prompt:
        raise TwinError(
            f"the chat template of this base does not end a turn with {END_OF_TURN}; choose a "
            "ChatML base such as Qwen2.5 in twin.toml"
        )
    room = limit - len(reply)
    if len(prompt) > room:
        opening = prompt.index(end[0]) + 1 + OPENING
        if room < opening + CLOSING:
            return None
        head = max(room // 2, opening)
        prompt = prompt[:head] + prompt[head - room :]
    return Encoded(example.id, tuple(prompt), tuple(reply))


def encode_all(tokenizer: Tokenizer, examples: Iterable[Example], limit: int) -> list[Encoded]:
    """Those examples that fit, in order."""
    encoded = (encode(tokenizer, example, limit) for example in examples)
    return [one for one in encoded if one is not None]
