"""LoRA by transformers and PEFT: one model, its batches, its losses.

Does not decide when to evaluate, save or stop: see train. Runs on CUDA, Apple's MPS and CPU.
"""

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded

IGNORED = -100
"""Label of a token that carries no loss (PyTorch's cross entropy)."""


class TorchTrainer:
    """A base model with a fresh LoRA adapter on it, and the optimiser that moves it."""

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
            base.directory, dtype=_dtype(self.device), local_files_only=True
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
            # PEFT draws A on the model's device: moving afterwards gives every device one start.
            self.model: Any = get_peft_model(model, config).to(self.device)
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

    def save_adapter(self, directory: Path) -> None:
        """Write the adapter alone, in PEFT's layout."""
        self.model.save_pretrained(directory)
        (directory / "README.md").unlink(missing_ok=True)

    def adapter_state(self) -> dict[str, Any]:
        """A copy of the adapter's weights on the CPU."""
        from peft import get_peft_model_state_dict

        state = get_peft_model_state_dict(self.model)
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def load_adapter_state(self, state: dict[str, Any]) -> None:
        """Take over weights of `adapter_state`."""
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self.model, state)

    def state(self) -> dict[str, Any]:
        """A copy of all that a run needs to go on exactly where it is."""
        return {
            "adapter": self.adapter_state(),
            "optimizer": deepcopy(self._optimizer.state_dict()),
            "random": _random(self.device).get_rng_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.load_adapter_state(state["adapter"])
        self._optimizer.load_state_dict(state["optimizer"])
        _random(self.device).set_rng_state(state["random"])


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
