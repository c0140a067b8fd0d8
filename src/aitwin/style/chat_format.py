"""How a base model marks the turns of a chat, read from its own GGUF file.

The template, the tokens that end a turn and the role it knows: what a server has to be told that
does not read them by itself (Ollama's Modelfile). Makes no prompts: see prompt and tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitwin.errors import TwinError
from aitwin.style import header
from aitwin.style.header import Header

CONTROL = 3
"""`tokenizer.ggml.token_type` of a token that no text contains."""
ENDS = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>"),
    *("<end_of_turn>", "<|return|>", "</s>", "<|END_OF_TURN_TOKEN|>", "[EOT]", "<EOT>"),
)
"""Tokens that end a generation whatever the file calls them, as llama.cpp looks for them too."""
_SYSTEM, _USER, _ANSWER = "0system0", "0user0", "0answer0"


@dataclass(frozen=True)
class ChatFormat:
    """The marks of a base's chat."""

    architecture: str
    template: str = field(repr=False)
    """Jinja, as `tokenizer.chat_template` has it."""
    bos: str
    """The token that the file calls its beginning; whether prompts get it is the tokenizer's."""
    eos: str
    """The token that the file calls its end."""
    end_of_turn: str
    """What the template puts after an answer, white space aside: "<|im_end|>"."""
    stops: tuple[str, ...]
    """Tokens at which a generation ends, the end of a turn first."""
    knows_system: bool
    """Whether a system message reaches the prompt."""
    context: int
    """Tokens that the base was trained for; 0 when the file does not say."""


def read_chat(gguf: Path) -> ChatFormat:
    """The chat format of the model in `gguf`.

    Raises TwinError when the file is no chat model, or its template cannot be rendered.
    """
    head = header.read(gguf)
    template = head.values.get("tokenizer.chat_template")
    tokens = head.values.get("tokenizer.ggml.tokens")
    if not isinstance(template, str) or not isinstance(tokens, list):
        raise TwinError(
            f"{gguf} has no chat template; choose an instruct model, such as Qwen2.5-7B-Instruct, "
            "in twin.toml"
        )
    bos = _token(head, "bos")
    eos = _token(head, "eos")
    end = _end_of_turn(template, bos, eos)
    if end is None:
        raise TwinError(
            f"the chat template of {gguf} cannot be rendered; choose another base in twin.toml"
        )
    return ChatFormat(
        architecture=head.architecture,
        template=template,
        bos=bos,
        eos=eos,
        end_of_turn=end,
        stops=tuple(dict.fromkeys(_stops(head, end))),
        knows_system=_knows_system(template, bos, eos),
        context=int(head.of_architecture("context_length") or 0),
    )


def _token(head: Header, name: str) -> str:
    """The text of the token that the metadata calls `name`."""
    number = head.values.get(f"tokenizer.ggml.{name}_token_id")
    tokens = head.values["tokenizer.ggml.tokens"]
    return str(tokens[number]) if isinstance(number, int) and 0 <= number < len(tokens) else ""


def _stops(head: Header, end: str) -> Iterator[str]:
    """The end of a turn, the ends that the file names, and those that it has without a name."""
    tokens = head.values["tokenizer.ggml.tokens"]
    kinds = head.values.get("tokenizer.ggml.token_type", ())
    control = {text for text, kind in zip(tokens, kinds, strict=False) if kind == CONTROL}
    named = (_token(head, name) for name in ("eos", "eot", "eom"))
    yield from (text for text in (end, *named) if text)
    yield from (text for text in ENDS if text in control)


def _end_of_turn(template: str, bos: str, eos: str) -> str | None:
    """What follows an answer and precedes the next turn; None when the template refuses."""
    turns = [{"role": "user", "content": _USER}, {"role": "assistant", "content": _ANSWER}]
    text = render(template, turns, bos, eos)
    return None if text is None else text.partition(_ANSWER)[2].strip()


def _knows_system(template: str, bos: str, eos: str) -> bool:
    turns = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    return _SYSTEM in (render(template, turns, bos, eos, ask=True) or "")


def render(
    template: str, turns: list[dict[str, str]], bos: str = "", eos: str = "", *, ask: bool = False
) -> str | None:
    """The prompt of `turns`, with the opening of an answer when `ask`; None when it is refused.

    In the environment that transformers gives templates (`chat_template_utils`), sandboxed.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    context: dict[str, Any] = {"raise_exception": refuse, "strftime_now": lambda form: form}
    context |= {"bos_token": bos, "eos_token": eos, "add_generation_prompt": ask}
    try:
        return environment.from_string(template).render(messages=turns, **context)
    # A template is a program of its maker's: it may fail in any way.
    except Exception:  # noqa: BLE001
        return None
