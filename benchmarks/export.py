"""What the export costs, and how well the exported forms agree with the adapter that was trained.

    python benchmarks/export.py graft [--layers 28]
    python benchmarks/export.py agreement [--model FILE]

`graft`: a file of random blocks in the shape of Qwen2.5-7B at Q4_K_M (4.4 GB) and a random adapter
on q and v; seconds and peak memory of the graft, in a process of its own, against
`shutil.copyfile` of the same file. `agreement`: SmolLM2 with its layers at several quantisations
and a random adapter on all seven matrices, so large that the text is told from the base's; per
token, log-probabilities and first choices of torch (32-bit floats of the dequantised base), of
llama.cpp with the adapter beside the base, and of llama.cpp with the graft.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

from aitwin import artifact, prompt
from aitwin.prompt import Persona, Task
from aitwin.style import header
from aitwin.style.engine import LlamaCpp
from aitwin.style.header import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "style"))
import gguf_samples

MODEL = Path(__file__).parents[1] / ".cache" / "models" / "smollm2-135m-instruct" / "model.gguf"
KINDS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16")
MESSAGES = prompt.messages(
    Persona("Thota"), Task("Reply to Ana.", "Ana: The pump is loud again. Can you come on Monday?")
)
TEXT = (
    "Monday is bad, I am on the boat until six. Turn the red valve a quarter to the left and "
    "listen whether it gets quieter. If not, switch it off at the wall and leave the window open, "
    "the cellar stays dry for a day without it. I can come on Tuesday before work, say at seven, "
    "if somebody lets me in. Jonas has the spare seal, ask him to put it on the bench. Do not let "
    "the dealer talk you into a new one, this pump is good for another ten years. T."
)
"""Held out from everything: nobody was trained on it."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model thinks of a text, token by token."""

    log_probabilities: np.ndarray
    """Of each token of the text, nats."""
    first: np.ndarray
    """The token that the model itself finds likeliest in each place."""

    def difference(self, other: "Scores") -> tuple[float, float]:
        """Mean difference of log-probabilities in nats, and the share of places of one choice."""
        apart = np.abs(self.log_probabilities - other.log_probabilities).mean()
        return float(apart), float((self.first == other.first).mean())


def tokens(engine: LlamaCpp, length: int | None = None) -> tuple[list[int], list[int]]:
    """The prompt and the text, as the base cuts them; of the text so many tokens, or all."""
    return engine.prompt_tokens(MESSAGES), engine.tokenize(TEXT)[:length]


def served(base: Path, adapter: Path | None = None, length: int | None = None) -> Scores:
    """Under llama.cpp, with the adapter beside the base."""
    with LlamaCpp(base, adapter, context=512) as engine:
        before, wanted = tokens(engine, length)
        request = {
            "prompt": before,
            "max_tokens": len(wanted),
            "temperature": 0.0,
            # The likeliest of all tokens, whatever the grammar allows.
            "n_probs": 1,
            "grammar": "%llguidance {}\nstart: " + " ".join(f"<[{token}]>" for token in wanted),
            **engine._lora(True),
        }
        answer = engine._server.handle_completions(request)
    places = answer["choices"][0]["logprobs"]["content"]
    assert [place["id"] for place in places] == wanted
    return Scores(
        np.array([place["logprob"] for place in places]),
        np.array([place["top_logprobs"][0]["id"] for place in places]),
    )


def in_torch(model: Any, before: Sequence[int], wanted: Sequence[int]) -> Scores:
    """Under torch, in 32-bit floats."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([[*before, *wanted]])).logits[0, len(before) - 1 : -1]
    log_probabilities = logits.float().log_softmax(-1)
    chosen = log_probabilities[torch.arange(len(wanted)), torch.tensor(wanted)]
    return Scores(chosen.numpy(), log_probabilities.argmax(-1).numpy())


def with_adapter(model: Any, adapter: Path) -> Any:
    """A torch model with a PEFT adapter."""
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT's own, see trainer_torch
        return PeftModel.from_pretrained(model, adapter).eval()


def requantised(base: Path, kind: str, target: Path, names: Sequence[str] = ()) -> Path:
    """The same model with the matrices of its layers, or those of these names, at `kind`."""
    chosen = names or tuple(gguf_samples.SEVEN.values())
    wanted = GGMLQuantizationType[kind]
    head = header.read(base)
    places: list[Tensor] = []
    contents: list[bytes] = []
    offset = 0
    with base.open("rb") as file:
        for tensor in head.tensors:
            file.seek(head.start + tensor.offset)
            data, known = file.read(_size(tensor)), tensor.kind
            if tensor.name.split(".")[-2] in chosen and known != wanted:
                numbers = _dequantised(tensor, data)
                data, known = quantize(numbers, wanted).tobytes(), int(wanted)
            places.append(replace(tensor, kind=known, offset=offset))
            contents.append(data.ljust(header.padded(len(data), head.alignment), b"\0"))
            offset += len(contents[-1])
    front = header.encode(head.metadata, len(head.values), places, head.alignment, head.version)
    target.write_bytes(front + b"".join(contents))
    return target


def _size(tensor: Tensor) -> int:
    numbers, size = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.kind)]
    return int(np.prod(tensor.shape)) // numbers * size


def _dequantised(tensor: Tensor, data: bytes) -> np.ndarray:
    rows = np.frombuffer(data, np.uint8).reshape(tensor.shape[1], -1)
    return dequantize(rows, GGMLQuantizationType(tensor.kind))


def floats(gguf: Path, directory: Path) -> Any:
    """The model of `directory` with the weights of the llama-type file `gguf`, in torch."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    state = model.state_dict()
    modules = {ours: theirs for theirs, ours in gguf_samples.SEVEN.items()}
    head = header.read(gguf)
    with gguf.open("rb") as file:
        for tensor in head.tensors:
            _, _, rest = tensor.name.partition(".")
            layer, _, name = rest.removesuffix(".weight").partition(".")
            if name not in modules:
                continue
            file.seek(head.start + tensor.offset)
            numbers = _dequantised(tensor, file.read(_size(tensor)))
            key = {"attn_q": "head_count", "attn_k": "head_count_kv"}.get(name)
            if key is not None:  # back to the order of transformers, whose rotary pairs are halves
                heads = head.of_architecture(f"attention.{key}")
                size = len(numbers) // heads
                numbers = numbers.reshape(heads, size // 2, 2, -1).swapaxes(1, 2)
                numbers = numbers.reshape(heads * size, -1)
            state[f"model.layers.{layer}.{modules[name]}.weight"].copy_(torch.tensor(numbers))
    return model


def agreement(model: Path) -> dict[str, Any]:
    from aitwin.style import base as bases
    from aitwin.style import gguf
    from aitwin.style.base import Base
    from aitwin.style.graft import graft

    digest = artifact.sha256(model)
    directory = bases.prepare("model", model, digest, model.parent.parent / "floats").directory
    results: dict[str, dict[str, tuple[float, float]]] = {}
    print("| layers | base | LoRA | graft | graft against LoRA | what the adapter changes |")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        adapter = gguf_samples.peft_adapter(
            scratch / "adapter", gguf_samples.random_factors(model, size=0.03)
        )
        for kind in KINDS:
            base = requantised(model, kind, scratch / "base.gguf")
            gguf.from_peft(adapter, Base(kind, base, "", directory), scratch / "lora.gguf")
            made = graft(adapter, base, scratch / "twin.gguf")
            with LlamaCpp(base, context=512) as engine:
                before, wanted = tokens(engine)
            plain = floats(base, directory)
            torch_base = in_torch(plain, before, wanted)
            trained = in_torch(with_adapter(plain, adapter), before, wanted)
            untouched, lora = served(base), served(base, scratch / "lora.gguf")
            grafted = served(made.path)
            results[kind] = {
                "base": torch_base.difference(untouched),
                "lora": trained.difference(lora),
                "graft": trained.difference(grafted),
                "graft and lora": lora.difference(grafted),
                "adapter": trained.difference(torch_base),
            }
            shown = (f"{d:.3f} {100 * share:.0f} %" for d, share in results[kind].values())
            print(f"| {kind} | {' | '.join(shown)} |", flush=True)
    print(f"{len(wanted)} tokens; mean |delta log p| in nats and top-1 agreement, against torch")
    return results


WIDTH, INNER, HEADS, KEY_HEADS, VOCABULARY = 3584, 18944, 28, 4, 152064
"""Qwen2.5-7B's own, from its configuration."""


def large(target: Path, layers: int) -> None:
    """Its tensors as Q4_K_M has them, in random bits; written piece by piece."""
    kinds = GGMLQuantizationType
    keys = WIDTH // HEADS * KEY_HEADS
    tensors: list[tuple[str, tuple[int, ...], GGMLQuantizationType]] = [
        ("token_embd.weight", (WIDTH, VOCABULARY), kinds.Q4_K),
        ("output.weight", (WIDTH, VOCABULARY), kinds.Q6_K),
        ("output_norm.weight", (WIDTH,), kinds.F32),
    ]
    for layer in range(layers):
        # Q4_K_M keeps half of these at six bits.
        better = kinds.Q6_K if layer % 2 else kinds.Q4_K
        tensors += [
            (f"blk.{layer}.{name}", shape, kind)
            for name, shape, kind in (
                ("attn_norm.weight", (WIDTH,), kinds.F32),
                ("ffn_norm.weight", (WIDTH,), kinds.F32),
                ("attn_q.weight", (WIDTH, WIDTH), kinds.Q4_K),
                ("attn_q.bias", (WIDTH,), kinds.F32),
                ("attn_k.weight", (WIDTH, keys), kinds.Q4_K),
                ("attn_k.bias", (keys,), kinds.F32),
                ("attn_v.weight", (WIDTH, keys), better),
                ("attn_v.bias", (keys,), kinds.F32),
                ("attn_output.weight", (WIDTH, WIDTH), kinds.Q4_K),
                ("ffn_gate.weight", (WIDTH, INNER), kinds.Q4_K),
                ("ffn_up.weight", (WIDTH, INNER), kinds.Q4_K),
                ("ffn_down.weight", (INNER, WIDTH), better),
            )
        ]
    places, offset = [], 0
    for name, shape, kind in tensors:
        places.append(Tensor(name, shape, int(kind), offset))
        offset += header.padded(_size(places[-1]), header.ALIGNMENT)
    values = {
        "general.architecture": "qwen2",
        "qwen2.attention.head_count": HEADS,
        "qwen2.attention.head_count_kv": KEY_HEADS,
        # llama.cpp wants these to load it (see serving.py).
        "qwen2.context_length": 32768,
        "qwen2.embedding_length": WIDTH,
        "qwen2.block_count": layers,
        "qwen2.feed_forward_length": INNER,
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.eos_token_id": VOCABULARY - 1,
        # As long as a real one: a reader that makes objects of it shows.
        "tokenizer.ggml.tokens": [f"token {number}" for number in range(VOCABULARY)],
        "tokenizer.ggml.merges": [f"left{number} right" for number in range(VOCABULARY)],
    }
    metadata = b"".join(gguf_samples.entry(key, value) for key, value in values.items())
    random = np.random.default_rng(7)
    with target.open("wb") as file:
        file.write(header.encode(metadata, len(values), places, header.ALIGNMENT))
        for place in places:
            size = header.padded(_size(place), header.ALIGNMENT)
            file.writelines(_content(random, place, size))


def _content(random: np.random.Generator, place: Tensor, size: int) -> Iterator[bytes]:
    """The same megabytes of valid blocks over and over: nobody looks whether they differ."""
    kind = GGMLQuantizationType(place.kind)
    if kind is GGMLQuantizationType.F32:
        yield bytes(size)
        return
    piece = gguf_samples.blocks(random, kind, 256, WIDTH)
    whole, rest = divmod(size, len(piece))
    yield from (piece for _ in range(whole))
    yield piece[:rest]


def speed(layers: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=MODEL.parents[2]) as folder:
        scratch = Path(folder)
        base, copy = scratch / "base.gguf", scratch / "copy.gguf"
        large(base, layers)
        factors = gguf_samples.random_factors(base, size=0.01, matrices=("attn_q", "attn_v"))
        adapter = gguf_samples.peft_adapter(scratch / "adapter", factors)
        megabytes = base.stat().st_size / 1e6
        start = time.perf_counter()
        shutil.copyfile(base, copy)
        with copy.open("rb+") as file:
            _flush(file.fileno())
        copied = time.perf_counter() - start
        copy.unlink()
        command = [sys.executable, __file__, "child", str(adapter), str(base), str(copy)]
        result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    seconds, size = result["seconds"], result["size"] / 1e6
    print(f"base {megabytes:,.0f} MB; copied in {copied:.1f} s ({megabytes / copied:,.0f} MB/s)")
    print(
        f"grafted {result['tensors']} matrices in {seconds:.1f} s "
        f"({megabytes / seconds:,.0f} MB/s), {100 * (size / megabytes - 1):+.1f} % size, "
        f"peak {peak:,.0f} MiB"
    )
    return {"copy_seconds": copied, "seconds": seconds, "peak_mib": peak, "megabytes": megabytes}


def _flush(descriptor: int) -> None:
    """The graft is on the disk when it ends: the copy has to be, too."""
    os.fsync(descriptor)


def child(adapter: Path, base: Path, target: Path) -> None:
    from aitwin.style.graft import graft

    start = time.perf_counter()
    made = graft(adapter, base, target)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "size": made.size, "tensors": made.tensors}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("graft").add_argument("--layers", type=int, default=28)
    commands.add_parser("agreement").add_argument("--model", type=Path, default=MODEL)
    commands.add_parser("child").add_argument("paths", type=Path, nargs=3)
    chosen = parser.parse_args()
    if chosen.command == "child":
        child(*chosen.paths)
        return
    results = speed(chosen.layers) if chosen.command == "graft" else agreement(chosen.model)
    print(json.dumps({"cores": os.cpu_count(), chosen.command: results}))


if __name__ == "__main__":
    main()
