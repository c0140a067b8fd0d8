"""Examples to token ids, and which of them carry the loss.

The prompt is the base model's own chat template over prompt.messages, so these ids are the ones
that the engine computes from the same messages (DESIGN decision 2). Knows nothing of training.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aitwin.corpus.dataset import Example
from aitwin.errors import TwinError

END_OF_TURN = "<|im_end|>"


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        """Encode."""

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """Render."""


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


def render(tokenizer: Tokenizer, messages: Sequence[Any]) -> str:
    """The prompt as text, up to where the reply begins.

    Raises TwinError when the base's template cannot hold a system message.
    """
    from jinja2.exceptions import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True
        )
    except (TemplateError, ValueError) as error:
        raise TwinError(
            f"the chat template of this base refuses the prompt ({type(error).__name__}): it may "
            "not know a system message; choose a ChatML base such as Qwen2.5 in twin.toml"
        ) from None
    return str(text)


def encode(tokenizer: Tokenizer, example: Example, limit: int) -> Encoded | None:
    """Token ids of `example`, at most `limit`; None when its reply alone does not leave room.

    A prompt that is too long loses tokens from the middle: the head holds the system prompt and
    the instruction, the tail the newest lines and the start of the reply.
    """
    *prompt_messages, reply_message = example.messages
    prompt = tokenizer(render(tokenizer, prompt_messages), add_special_tokens=False)["input_ids"]
    reply = tokenizer(reply_message["content"] + END_OF_TURN, add_special_tokens=False)["input_ids"]
    room = limit - len(reply)
    if room < min(len(prompt), 64):
        return None
    if len(prompt) > room:
        head = room // 2
        prompt = prompt[:head] + prompt[-(room - head) :]
    return Encoded(example.id, tuple(prompt), tuple(reply))


def encode_all(tokenizer: Tokenizer, examples: Iterable[Example], limit: int) -> list[Encoded]:
    """Those examples that fit, in order."""
    encoded = (encode(tokenizer, example, limit) for example in examples)
    return [one for one in encoded if one is not None]
