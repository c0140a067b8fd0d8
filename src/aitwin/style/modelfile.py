"""What Ollama is told of a model: as a request to its API, and as a Modelfile to read.

Both hold the same template, standing instruction, stops and sampling. Does not talk to Ollama.
Grammar of a Modelfile: docs/modelfile.md of ollama/ollama; of its templates: Go, text/template.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitwin import prompt
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Persona, Task
from aitwin.style import chat_format
from aitwin.style.engine import CONTEXT, Sampling
from aitwin.style.ollama import options
from aitwin.style.tokens import END_OF_TURN

TEMPLATE = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n"
    "{{ .Content }}<|im_end|>\n"
    "{{ end }}<|im_start|>assistant\n"
)
"""ChatML in Go's words; `require_chatml` holds it against the base's own template."""
STOPS = (END_OF_TURN, "<|endoftext|>")
"""Both, always (DESIGN decision 4): a base that was not trained to chat ends with the second."""


@dataclass(frozen=True)
class Model:
    """A model as Ollama shall have it."""

    files: dict[str, str]
    """Names of weights, ending with .gguf, to SHA-256."""
    adapters: dict[str, str] = field(default_factory=dict)
    """The same of LoRA files."""
    system: str = field(default="", repr=False)
    """The standing instruction, for programs that send none of their own."""
    stops: tuple[str, ...] = STOPS
    sampling: Sampling = field(default_factory=Sampling)
    context: int = CONTEXT

    @property
    def parameters(self) -> dict[str, Any]:
        """Sampling, context and stops, in Ollama's words."""
        return {**options(self.sampling), "num_ctx": self.context, "stop": list(self.stops)}

    def request(self, name: str) -> dict[str, Any]:
        """The body of POST /api/create."""
        body: dict[str, Any] = {
            "model": name,
            "files": {file: f"sha256:{digest}" for file, digest in self.files.items()},
            "template": TEMPLATE,
            "parameters": self.parameters,
            "stream": True,
        }
        if self.adapters:
            body["adapters"] = {file: f"sha256:{digest}" for file, digest in self.adapters.items()}
        if self.system:
            body["system"] = self.system
        return body

    def text(self, note: str) -> str:
        """The Modelfile, with a first line that says where its files come from."""
        lines = [f"# {note}", *(f"FROM ./{file}" for file in self.files)]
        lines += [f"ADAPTER ./{file}" for file in self.adapters]
        lines.append(f'TEMPLATE """{TEMPLATE}"""')
        if self.system:
            # There is no way to write three quotes between three quotes.
            lines.append('SYSTEM """' + self.system.replace('"""', "'''") + '"""')
        for key, value in self.parameters.items():
            for one in value if isinstance(value, list) else [value]:
                shown = f'"{one}"' if isinstance(one, str) else one
                lines.append(f"PARAMETER {key} {shown}")
        return "\n".join(lines) + "\n"


def render(messages: Sequence[ChatMessage]) -> str:
    """What Ollama makes of `messages` with TEMPLATE."""
    turns = (f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
    return "".join(turns) + "<|im_start|>assistant\n"


def stops(base: Path) -> tuple[str, ...]:
    """Where a reply ends: at STOPS, and where else this base ends one."""
    return tuple(dict.fromkeys((*STOPS, *chat_format.read_chat(base).stops)))


def require_chatml(base: Path, persona: Persona) -> None:
    """Raise TwinError unless TEMPLATE gives the bytes that the base's own template gives.

    The adapter was trained on those (DESIGN decision 2).
    """
    chat = chat_format.read_chat(base)
    for messages in _conversations(persona):
        turns = [{"role": str(turn["role"]), "content": turn["content"]} for turn in messages]
        own = chat_format.render(chat.template, turns, chat.bos, chat.eos, ask=True)
        # Some templates begin with a token of their own; Ollama adds that one itself.
        if own not in (ours := render(messages), chat.bos + ours):
            raise TwinError(
                f"the chat template of {base} is not ChatML to the byte, and no other can be given "
                'to Ollama yet; keep engine = "embedded", or train on a ChatML base such as Qwen2.5'
            )


def _conversations(persona: Persona) -> Iterator[list[ChatMessage]]:
    """What templates differ in: several turns, white space at ends, nothing said, other letters."""
    usual = prompt.messages(persona, Task("Thank Ana.", "Ana: done?\nTom: yes"))
    yield usual
    more: list[ChatMessage] = [
        {"role": "assistant", "content": "  Ana, dzi\u0119ki! \u8c22\u8c22 \U0001f600\n\n"},
        {"role": "user", "content": "\n\u00dc {{ x }} <b>&amp;</b> \t"},
    ]
    yield [*usual, *more]
    yield [{"role": "system", "content": ""}, *usual[1:], *more, *more]


def require_context(base: Path, context: int) -> None:
    """Raise TwinError when a base was trained for fewer tokens than `context`."""
    trained = chat_format.read_chat(base).context
    if trained and context > trained:
        raise TwinError(
            f"{base} was trained for {trained} tokens, not for {context}; set context = {trained} "
            "or less under [writer] in twin.toml"
        )
