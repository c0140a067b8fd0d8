"""The owner's own base is a Qwen2: the same path, proved on a small one with random weights.

Real weights of that architecture cannot be had here; the arithmetic that could differ from the
llama architecture (biases, no permutation of rotary halves, grouped queries) does not need them.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from aitwin import artifact, prompt
from aitwin.prompt import Persona, Task
from aitwin.style import adapter, base_torch
from aitwin.style import base as bases
from aitwin.style import gguf as export
from aitwin.style.base import Base
from aitwin.style.engine import LlamaCpp
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import END_OF_TURN, Encoded

WIDTH, LAYERS, HEADS, KEY_HEADS, INNER = 64, 2, 4, 2, 128
MESSAGES = prompt.messages(Persona("Ana"), Task("Thank Tom for the spare parts."))
REPLY = "Thanks for the parts. The pump runs."


def _write_qwen2(target: Path, tokenizer_from: Path) -> None:
    """A GGUF of architecture qwen2, seeded random weights, the tokenizer of another model."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    reader = GGUFReader(tokenizer_from)
    writer = GGUFWriter(target, "qwen2")
    for name, field in reader.fields.items():
        if not name.startswith("tokenizer."):
            continue
        kind = field.types[0]
        if kind is GGUFValueType.ARRAY:
            writer.add_array(name, field.contents())
        else:
            writer.add_key_value(name, field.contents(), kind)
    vocabulary = len(reader.get_field("tokenizer.ggml.tokens").contents())
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_vocab_size(vocabulary)
    random = np.random.default_rng(20)

    def add(name: str, *shape: int, scale: float = 0.3) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float32))

    add("token_embd.weight", vocabulary, WIDTH)
    add("output.weight", vocabulary, WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    keys = WIDTH // HEADS * KEY_HEADS
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        writer.add_tensor(f"{at}attn_norm.weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(f"{at}ffn_norm.weight", np.ones(WIDTH, np.float32))
        for projection, out in (("q", WIDTH), ("k", keys), ("v", keys)):
            add(f"{at}attn_{projection}.weight", out, WIDTH)
            add(f"{at}attn_{projection}.bias", out)
        add(f"{at}attn_output.weight", WIDTH, WIDTH)
        add(f"{at}ffn_gate.weight", INNER, WIDTH)
        add(f"{at}ffn_up.weight", INNER, WIDTH)
        add(f"{at}ffn_down.weight", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Base:
    folder = tmp_path_factory.mktemp("qwen2")
    file = folder / "qwen2.gguf"
    _write_qwen2(file, smollm2)
    base = bases.find(str(file), file, artifact.sha256(file), folder)
    base_torch.prepare(base)
    return base


@pytest.mark.model
def test_training_and_serving_agree_on_a_qwen2_base(qwen2, tmp_path):
    """M1: an adapter on every attention projection moves torch and llama.cpp by the same amount."""
    from aitwin.style.trainer_torch import TorchTrainer

    trainer = TorchTrainer(qwen2, Recipe(targets=("q_proj", "k_proj", "v_proj", "o_proj")))
    random = np.random.default_rng(4)
    state = {
        name: random.normal(0, 0.2, array.shape).astype(np.float32)
        for name, array in trainer.adapter_state().items()
    }
    trainer.load_adapter_state(state)
    adapter.write_weights(tmp_path, trainer.adapter_state(), Recipe(), qwen2.name)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["r"] == Recipe().rank
    export.from_peft(tmp_path, qwen2, tmp_path / "adapter.gguf")

    with LlamaCpp(qwen2.gguf, tmp_path / "adapter.gguf", context=512) as engine:
        prompt_ids = tuple(engine.prompt_tokens(MESSAGES))
        reply_ids = tuple(engine.tokenize(REPLY + END_OF_TURN))
        served = {
            adapted: engine.score(MESSAGES, REPLY, adapted=adapted).log_probability
            for adapted in (False, True)
        }
    one = [Encoded("one", prompt_ids, reply_ids)]
    trained = {
        adapted: -sum(loss.total for loss in trainer.evaluate(one, adapted=adapted))
        for adapted in (False, True)
    }
    assert abs(served[True] - served[False]) > 5  # the adapter does something to speak of
    assert served[False] == pytest.approx(trained[False], rel=5e-3)
    assert served[True] == pytest.approx(trained[True], rel=5e-3)
