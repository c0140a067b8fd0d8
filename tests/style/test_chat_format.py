"""Turns, ends and roles of real and of hand-made chat models."""

from pathlib import Path

import gguf_samples
import pytest

from aitwin.errors import TwinError
from aitwin.style import chat_format

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
)
DEAF = "{% for m in messages if m['role'] != 'system' %}{{ m['content'] + eos_token }}{% endfor %}"


def model(target: Path, template: str | None, tokens: list[str], control: int, **ids: int) -> Path:
    """A GGUF file with metadata and one tensor of a number; the first tokens are control tokens."""
    values = {
        "general.architecture": "qwen2",
        "qwen2.context_length": 32768,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * control + [1] * (len(tokens) - control),
    }
    values |= {f"tokenizer.ggml.{name}_token_id": number for name, number in ids.items()}
    if template is not None:
        values["tokenizer.chat_template"] = template
    return gguf_samples.write(target, values, {"one.weight": ((1,), 0, bytes(4))})


@pytest.mark.model
def test_a_real_base(smollm2: Path) -> None:
    """SmolLM2: ChatML, which calls its end of turn the end of all."""
    chat = chat_format.read_chat(smollm2)
    assert (chat.architecture, chat.context) == ("llama", 8192)
    assert (chat.bos, chat.eos, chat.end_of_turn) == ("<|im_start|>", "<|im_end|>", "<|im_end|>")
    assert chat.stops == ("<|im_end|>", "<|endoftext|>")
    assert chat.knows_system
    assert "SmolLM" in chat.template
    assert "SmolLM" not in repr(chat)


def test_ends_without_a_name_are_found(tmp_path: Path) -> None:
    """DESIGN decision 4: both stops, although the file names one; ordinary text is none."""
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "</s>"]
    chat = chat_format.read_chat(model(tmp_path / "m.gguf", CHATML, tokens, 3, eos=2))
    assert chat.stops == ("<|im_end|>", "<|endoftext|>")
    assert chat.knows_system
    assert chat.bos == ""
    assert chat.context == 32768


def test_other_turns_than_chatml(tmp_path: Path) -> None:
    """A template that throws at a system message, as Gemma's does, knows none."""
    tokens = ["<bos>", "<eos>", "<end_of_turn>", "a"]
    chat = chat_format.read_chat(model(tmp_path / "m.gguf", GEMMA, tokens, 3, bos=0, eos=1))
    assert chat.end_of_turn == "<end_of_turn>"
    assert chat.stops == ("<end_of_turn>", "<eos>")
    assert not chat.knows_system


def test_a_template_that_drops_the_system_message_knows_none(tmp_path: Path) -> None:
    chat = chat_format.read_chat(model(tmp_path / "m.gguf", DEAF, ["</s>", "a"], 1, eos=0))
    assert not chat.knows_system
    assert chat.stops == ("</s>",)


@pytest.mark.parametrize("template", ["{% for", "{{ 1 / 0 }}", "{{ messages.nothing.at.all }}"])
def test_a_broken_template_is_refused(tmp_path: Path, template: str) -> None:
    file = model(tmp_path / "m.gguf", template, ["</s>", "a"], 1, eos=0)
    with pytest.raises(TwinError, match="cannot be rendered"):
        chat_format.read_chat(file)


def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="no chat template"):
        chat_format.read_chat(model(tmp_path / "m.gguf", None, ["</s>", "a"], 1, eos=0))
    with pytest.raises(TwinError, match="cannot be read"):
        chat_format.read_chat(tmp_path / "absent.gguf")


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    """Models come from strangers; their templates are programs."""
    template = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(TwinError, match="cannot be rendered"):
        chat_format.read_chat(model(tmp_path / "m.gguf", template, ["</s>", "a"], 1, eos=0))
