"""LoRA by transformers and PEFT: one model, its batches, its losses.

Does not decide when to evaluate, save or stop: see train. Runs on CUDA, Apple's MPS and CPU.
"""

import resource
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from aitwin.style import base_torch
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded
from aitwin.style.trainer import Arrays, fresh

IGNORED = -100
"""Label of a token that carries no loss (PyTorch's cross entropy)."""


class TorchTrainer:
    """A base model with a fresh LoRA adapter on it, and the optimiser that moves it."""

    libraries: tuple[str, ...] = ("torch", "transformers", "peft")
    bits = 32
    lead = True

    def __init__(self, base: Base, recipe: Recipe) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = _device()
        model = AutoModelForCausalLM.from_pretrained(
            base_torch.prepare(base), dtype=_dtype(self.device), local_files_only=True
        )
        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=list(recipe.targets),
            task_type="CAUSAL_LM",
        )
        with warnings.catch_warnings():
            # PEFT 0.21 still asks transformers 5.23 by the old name.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            self.model: Any = get_peft_model(model, config).to(self.device)
        self.load_adapter_state(fresh(_shapes(self.adapter_state()), recipe))
        self._weights = [p for p in self.model.parameters() if p.requires_grad]
        self._optimizer = _optimizer(self._weights, self.device)

    def step(self, group: Sequence[Sequence[Encoded]], learning_rate: float) -> Loss:
        """One optimiser step over `group`; every reply token of the step weighs the same."""
        import torch

        self.model.train()
        tokens = sum(len(one.reply) for batch in group for one in batch)
        total = 0.0
        for batch in group:
            loss = self._negative_log_likelihood(batch)
            (loss / tokens).backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._weights, self.recipe.clip)
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return Loss(total, tokens)

    def evaluate(self, encoded: Sequence[Encoded], *, adapted: bool = True) -> Iterator[Loss]:
        """Losses of `encoded`, batch by batch; of the untouched base when not `adapted`."""
        import torch

        self.model.eval()
        ordered = sorted(encoded, key=len)
        for start in range(0, len(ordered), self.recipe.batch):
            batch = ordered[start : start + self.recipe.batch]
            with torch.inference_mode():
                if adapted:
                    total = self._negative_log_likelihood(batch).item()
                else:
                    with self.model.disable_adapter():
                        total = self._negative_log_likelihood(batch).item()
            yield Loss(total, sum(len(one.reply) for one in batch))

    def _negative_log_likelihood(self, batch: Sequence[Encoded]) -> Any:
        """Summed over the reply tokens of `batch`, which alone pass through the output head."""
        import torch
        from torch.nn.functional import cross_entropy

        longest = max(len(one) for one in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        attention = torch.zeros_like(ids)
        labels = torch.full_like(ids, IGNORED)
        for row, one in enumerate(batch):
            end = len(one)
            ids[row, :end] = torch.tensor(one.prompt + one.reply)
            attention[row, :end] = 1
            # The position before a token predicts it.
            labels[row, len(one.prompt) - 1 : end - 1] = torch.tensor(one.reply)
        language_model = self.model.get_base_model()
        hidden = language_model.model(
            input_ids=ids.to(self.device), attention_mask=attention.to(self.device)
        ).last_hidden_state
        wanted = labels != IGNORED
        logits = language_model.lm_head(hidden[wanted.to(self.device)])
        return cross_entropy(logits.float(), labels[wanted].to(self.device), reduction="sum")

    def adapter_state(self) -> Arrays:
        """See Trainer."""
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self.model)
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}

    def load_adapter_state(self, state: Arrays) -> None:
        """See Trainer."""
        import torch
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(
            self.model, {name: torch.from_numpy(array) for name, array in state.items()}
        )

    def state(self) -> Arrays:
        """See Trainer."""
        arrays = {"random": _random(self.device).get_rng_state().numpy()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            for key, value in moments.items():
                tensor = value.detach().cpu().numpy() if hasattr(value, "detach") else value
                arrays[f"optimizer.{index}.{key}"] = np.array(tensor)
        return arrays

    def load_state(self, state: Arrays) -> None:
        """See Trainer."""
        import torch

        moments: dict[int, dict[str, Any]] = {}
        for name, array in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                moments.setdefault(int(index), {})[key] = torch.from_numpy(array)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        _random(self.device).set_rng_state(torch.from_numpy(state["random"]))

    def agreed(self, value: float) -> float:
        """See Trainer."""
        return value

    def peak_memory(self) -> int:
        """See Trainer."""
        import torch

        if self.device == "cuda":
            return int(torch.cuda.max_memory_allocated())
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _shapes(state: Arrays) -> dict[str, tuple[int, int]]:
    """(out, in) of the adapted projections."""
    names = {name.removesuffix(".lora_A.weight") for name in state if ".lora_A." in name}
    return {
        name: (len(state[f"{name}.lora_B.weight"]), state[f"{name}.lora_A.weight"].shape[1])
        for name in names
    }


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _random(device: str) -> Any:
    """Where dropout draws; the order of the examples depends on the seed and the step alone."""
    import torch

    return torch if device == "cpu" else getattr(torch, device)


def _dtype(device: str) -> Any:
    """Floats of the frozen base: bf16 is 17 times slower than fp32 on a CPU without AMX."""
    import torch

    return torch.bfloat16 if device == "cuda" else torch.float32


def _optimizer(weights: list[Any], device: str) -> Any:
    """AdamW; 8-bit where bitsandbytes is installed and has it (CUDA). LoRA's state is small."""
    import torch

    if device == "cuda":
        try:
            from bitsandbytes.optim import AdamW8bit
        except ImportError:
            pass
        else:
            return AdamW8bit(weights, lr=0.0, weight_decay=0.0)
    return torch.optim.AdamW(weights, lr=0.0, weight_decay=0.0)
