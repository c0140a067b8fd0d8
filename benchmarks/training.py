"""Seconds and memory of a training step: ours, PEFT's plain loop, TRL and mlx-lm, on one machine.

    python benchmarks/training.py [--dataset DIRECTORY] [--steps 3] [--rounds 2]
        [--variants ours,peft,trl,mlx,ours-mlx] [--trl-python PYTHON] [--json FILE]

Without a dataset, the sample owner's is built. All variants train SmolLM2 in 32-bit floats (MLX's
in those of the converted base) with the default recipe on the same tokens in the same batches; each
in a process of its own, in turn, its first step not counted. Prints a table: seconds per optimiser
step (16 examples), tokens per second, peak resident memory, the loss of the first step, which has
to be the same, and for ours the estimate of memory. Covers M6 and R1. TRL is no dependency of ours:
give the Python of an environment that has it.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))

from aitwin import artifact  # noqa: E402
from aitwin.home import stay_offline  # noqa: E402
from aitwin.style import base as bases  # noqa: E402
from aitwin.style.base import Base  # noqa: E402
from aitwin.style.batches import batches  # noqa: E402
from aitwin.style.recipe import Recipe  # noqa: E402
from aitwin.style.tokens import Encoded  # noqa: E402

RECIPE = Recipe()
LEARNING_RATE = 1e-4
Steps = Sequence[Sequence[Sequence[Encoded]]]
Timed = tuple[list[float], list[float]]
"""Seconds of each step, and its loss, nats per reply token."""
MODEL = ROOT / ".cache" / "models" / "smollm2-135m-instruct" / "model.gguf"
IGNORED = -100
PAD, END = "<pad>", "<end>"


def ours(base: Base, steps: Steps, backend: str = "torch") -> Timed:
    from aitwin.style import trainer

    one = trainer.load(backend, base, RECIPE)
    seconds, losses = [], []
    for group in steps:
        started = time.perf_counter()
        losses.append(one.step(group, LEARNING_RATE).mean)
        seconds.append(time.perf_counter() - started)
    return seconds, losses


def ours_mlx(base: Base, steps: Steps) -> Timed:
    return ours(base, steps, "mlx")


def peft_model(base: Base) -> Any:
    """The same model and adapter as ours, as PEFT's documentation makes it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.converted("floats"), dtype=torch.float32)
    config = LoraConfig(
        r=RECIPE.rank,
        lora_alpha=RECIPE.alpha,
        lora_dropout=RECIPE.dropout,
        target_modules=list(RECIPE.targets),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def padded(batch: Sequence[Encoded]) -> dict[str, Any]:
    """A batch as transformers' models take it; only replies have labels."""
    import torch

    longest = max(map(len, batch))
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, one in enumerate(batch):
        ids[row, : len(one)] = torch.tensor(one.prompt + one.reply)
        mask[row, : len(one)] = 1
        labels[row, len(one.prompt) : len(one)] = torch.tensor(one.reply)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def peft(base: Base, steps: Steps) -> Timed:
    """The loop of PEFT's examples, with every reply token of a step weighing the same."""
    import torch

    model = peft_model(base).train()
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0)
    seconds, losses = [], []
    for group in steps:
        started = time.perf_counter()
        tokens = sum(len(one.reply) for batch in group for one in batch)
        total = 0.0
        for batch in group:
            loss = model(**padded(batch), num_items_in_batch=torch.tensor(tokens)).loss
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(weights, RECIPE.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - started)
        losses.append(total)
    return seconds, losses


def trl(base: Base, steps: Steps) -> Timed:
    """TRL's SFTTrainer, given the same tokens in the same order."""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": list(one.prompt + one.reply),
            "labels": [IGNORED] * len(one.prompt) + list(one.reply),
        }
        for group in steps
        for batch in group
        for one in batch
    ]
    seconds: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: object, **__: object) -> None:
            seconds.append(time.perf_counter() - self.started)

    # It asks for a tokenizer although the rows are tokens: only the padding token is used.
    words = Tokenizer(WordLevel({PAD: 0, END: 2}, unk_token=PAD))
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=peft_model(base),
            args=SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=RECIPE.batch,
                gradient_accumulation_steps=RECIPE.accumulation,
                max_steps=len(steps),
                learning_rate=LEARNING_RATE,
                lr_scheduler_type="constant",
                weight_decay=0.0,
                max_grad_norm=RECIPE.clip,
                max_length=RECIPE.sequence_length,
                train_sampling_strategy="sequential",
                dataset_kwargs={"skip_prepare_dataset": True},
                gradient_checkpointing=False,
                bf16=False,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=PreTrainedTokenizerFast(
                tokenizer_object=words, pad_token=PAD, eos_token=END
            ),
            callbacks=[Clock()],
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return seconds, losses


def mlx(base: Base, steps: Steps) -> Timed:
    """mlx-lm's own trainer, as `mlx_lm.lora` calls it, on all layers."""
    from types import SimpleNamespace

    import mlx.core as mx
    import mlx.optimizers as optimizers
    import numpy as np
    from mlx_lm.tuner import trainer
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load_model

    folder = base.converted("floats")
    rope = json.loads((folder / "config.json").read_text())["rope_parameters"]
    # mlx-lm looks for it where transformers 4 had it.
    model, _ = load_model(folder, model_config={"rope_theta": rope["rope_theta"]})
    model.set_dtype(mx.float32)
    model.freeze()
    keys = [f"self_attn.{target}" for target in RECIPE.targets]
    scale = RECIPE.alpha / RECIPE.rank
    settings = {"rank": RECIPE.rank, "scale": scale, "dropout": RECIPE.dropout, "keys": keys}
    linear_to_lora_layers(model, len(model.layers), settings)

    def feed(**_: object) -> Any:
        for group in steps:
            for batch in group:
                width = max(map(len, batch)) + 1
                ids = np.zeros((len(batch), width), np.int32)
                for row, one in enumerate(batch):
                    ids[row, : len(one)] = one.prompt + one.reply
                spans = [[len(one.prompt), len(one) - 1] for one in batch]
                yield mx.array(ids), mx.array(spans)

    seconds: list[float] = []
    losses: list[float] = []

    class Clock(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            seconds.append(1 / train_info["iterations_per_second"])
            losses.append(train_info["train_loss"])

    each = RECIPE.accumulation
    with tempfile.TemporaryDirectory() as scratch:
        trainer.train(
            model,
            optimizers.AdamW(LEARNING_RATE, weight_decay=0.0),
            SimpleNamespace(),
            args=trainer.TrainingArgs(
                batch_size=RECIPE.batch,
                iters=len(steps) * each,
                steps_per_report=each,
                steps_per_save=10**9,
                max_seq_length=RECIPE.sequence_length + 1,
                grad_accumulation_steps=each,
                adapter_file=str(Path(scratch) / "adapters.safetensors"),
            ),
            iterate_batches=feed,
            training_callback=Clock(),
        )
    return [each * one for one in seconds], losses


VARIANTS: dict[str, tuple[Callable[[Base, Steps], Timed], str]] = {
    "ours": (ours, "peft"),
    "peft": (peft, "peft"),
    "trl": (trl, "trl"),
    "mlx": (mlx, "mlx_lm"),
    "ours-mlx": (ours_mlx, "mlx_lm"),
}
"""By name: what trains, and the package that it needs."""


def child(variant: str, model: str, tokens: str) -> None:
    """One variant in a process of its own; a line of JSON."""
    import contextlib

    stay_offline()
    base = find_base(Path(model))
    steps = [
        [[Encoded("", tuple(prompt), tuple(reply)) for prompt, reply in batch] for batch in group]
        for group in json.loads(Path(tokens).read_text())
    ]
    with contextlib.redirect_stdout(sys.stderr):
        seconds, losses = VARIANTS[variant][0](base, steps)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = most if sys.platform == "darwin" else most * 1024
    print(json.dumps({"seconds": seconds, "losses": losses, "peak": peak}))


def find_base(model: Path) -> Base:
    return bases.find(model.parent.name, model, artifact.sha256(model), model.parent.parent)


def read_steps(dataset: Path | None, model: Path, count: int) -> Steps:
    """Full optimiser steps of the first epoch, as the training makes them."""
    from aitwin.corpus import dataset as datasets
    from aitwin.style.engine import LlamaCpp
    from aitwin.style.tokens import encode_all

    with tempfile.TemporaryDirectory() as folder:
        found = datasets.load(dataset or sample_owner(Path(folder)))
        rows = found.split("train")
    with LlamaCpp(model, context=256) as engine:
        encoded = encode_all(engine, rows, RECIPE.sequence_length)
    size = RECIPE.batch * RECIPE.accumulation
    full = [
        group for group in batches(encoded, RECIPE, 0) if sum(len(batch) for batch in group) == size
    ]
    if len(full) < count:
        raise SystemExit(f"the dataset has {len(full)} full steps; give --steps {len(full) - 1}")
    return full[:count]


def sample_owner(folder: Path) -> Path:
    """The dataset of the demo."""
    from aitwin.corpus import imports, pipeline
    from aitwin.corpus.messages import Owner
    from aitwin.corpus.store import Store
    from aitwin.demo import SAMPLE_OWNER, THOTA
    from aitwin.prompt import Persona

    store = Store(folder / "corpus")
    for _ in imports.add(store, sorted(THOTA.iterdir())):
        pass
    owner = Owner(
        SAMPLE_OWNER.name, frozenset(SAMPLE_OWNER.addresses), frozenset(SAMPLE_OWNER.chat_names)
    )
    persona = Persona(SAMPLE_OWNER.name, SAMPLE_OWNER.traits)
    return pipeline.build(store, owner, persona, folder / "main").path


def run(variant: str, model: Path, tokens: Path, python: str) -> dict[str, Any]:
    arguments = [python, __file__, "--child", variant, str(model), str(tokens)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{variant} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def summary(results: list[dict[str, Any]], tokens: list[int]) -> dict[str, float]:
    """The median over all rounds of the seconds of a step per token, by an average step."""
    pace = [
        seconds / count
        for result in results
        for seconds, count in zip(result["seconds"][1:], tokens[1:], strict=True)
    ]
    middle = statistics.median(pace)
    return {
        "seconds_per_step": middle * statistics.mean(tokens[1:]),
        "tokens_per_second": 1 / middle,
        "peak_gb": max(result["peak"] for result in results) / 1e9,
        "first_loss": results[0]["losses"][0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--steps", type=int, default=3, help="Measured steps, after one more.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--variants", default="ours,peft,trl")
    parser.add_argument("--trl-python", default=sys.executable)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    from aitwin.style import base_torch, memory

    stay_offline()
    base = find_base(chosen.model)
    base_torch.prepare(base)
    steps = read_steps(chosen.dataset, chosen.model, chosen.steps + 1)
    tokens = [sum(len(one) for batch in group for one in batch) for group in steps]
    results: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokens.json"
        ids = [[[(one.prompt, one.reply) for one in batch] for batch in group] for group in steps]
        file.write_text(json.dumps(ids))
        for _ in range(chosen.rounds):
            for variant in chosen.variants.split(","):
                python = chosen.trl_python if variant == "trl" else sys.executable
                if python == sys.executable and not find_spec(VARIANTS[variant][1]):
                    continue
                results.setdefault(variant, []).append(run(variant, chosen.model, file, python))
                print(variant, results[variant][-1], file=sys.stderr)
    rows = {variant: summary(found, tokens) for variant, found in results.items()}
    longest = max(len(one) for group in steps for batch in group for one in batch)
    fitted = Recipe(sequence_length=max(64, longest))
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "tokens_per_step": statistics.mean(tokens[1:]),
        "estimate_gb": memory.estimate(base, fitted, 32, False).total / 1e9,
        "variants": rows,
    }
    show(rows, report)
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n")


def show(rows: dict[str, dict[str, float]], report: dict[str, Any]) -> None:
    baselines = [name for name in rows if not name.startswith("ours")]
    fastest = min(baselines or rows, key=lambda name: rows[name]["seconds_per_step"])
    reference = rows[fastest]
    print(f"{report['machine']}; {report['tokens_per_step']:.0f} tokens a step")
    print("| trainer | s/step | tokens/s | peak GB | first loss | time | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        time_ratio = row["seconds_per_step"] / reference["seconds_per_step"]
        memory_ratio = row["peak_gb"] / reference["peak_gb"]
        print(
            f"| {name} | {row['seconds_per_step']:.2f} | {row['tokens_per_second']:.0f} | "
            f"{row['peak_gb']:.2f} | {row['first_loss']:.3f} | {time_ratio:.2f} | "
            f"{memory_ratio:.2f} |"
        )
    print(f"time and memory: over {fastest}, the faster of the others")
    print(f"estimate for ours: {report['estimate_gb']:.2f} GB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
