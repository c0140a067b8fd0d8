"""LoRA by transformers and PEFT: one model, its batches, its losses.

Does not decide when to evaluate, save or stop: see train. Runs on CUDA, Apple's MPS and CPU, and in
as many processes as `torchrun` or `accelerate launch` starts: each takes its share of the batches.
All processes of a run make the same calls in the same order.
"""

import logging
import resource
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from aitwin.errors import TwinError
from aitwin.style import base_torch, memory
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.memory import Plan
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded
from aitwin.style.trainer import Arrays, fresh

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What PyTorch says on CUDA and MPS, on a CPU, and on a CPU of Windows."""


_MMAP_THRESHOLD = -3
"""Of glibc's mallopt."""
_LARGE = 1 << 20
"""Bytes from which a block is one of its own."""


class TorchTrainer:
    """A base model with a fresh LoRA adapter on it, and the optimiser that moves it."""

    libraries: tuple[str, ...] = ("torch", "transformers", "peft")

    def __init__(self, base: Base, recipe: Recipe, bits: int | None = None) -> None:
        """`bits` of the frozen base and checkpointing are those that fit (see memory.plan)."""
        with _quiet():
            import torch
            from accelerate import PartialState
            from peft import LoraConfig, get_peft_model

        self.recipe = recipe
        self.device = find_device()
        processes = PartialState(cpu=self.device == "cpu")
        self._rank, self._processes = processes.process_index, processes.num_processes
        self.lead = processes.is_main_process
        self.plan = memory.plan(base, recipe, self.device, bits)
        self.bits = self.plan.bits
        if self.bits == 4:
            self.libraries = (*self.libraries, "bitsandbytes")
        # Another dropout in every process; the adapter is the same in all of them: see `fresh`.
        torch.manual_seed(recipe.seed + self._rank)
        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=list(recipe.targets),
            task_type="CAUSAL_LM",
        )
        with self._room(), warnings.catch_warnings():
            # PEFT 0.21 still asks transformers 5.23 by the old name.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            frozen = _load(base, self.plan, self.device)
            self.model: Any = get_peft_model(frozen, config)
            self.model = self.model if self.bits == 4 else self.model.to(self.device)
        self.load_adapter_state(fresh(_shapes(self.adapter_state()), recipe))
        self._weights = [p for p in self.model.parameters() if p.requires_grad]
        self._optimizer = _optimizer(self._weights, self.device)

    def step(self, group: Sequence[Sequence[Encoded]], learning_rate: float) -> Loss:
        """One optimiser step over `group`; every reply token of the step weighs the same."""
        import torch

        self._learn(True)
        tokens = sum(len(one.reply) for batch in group for one in batch)
        total = torch.zeros((), device=self.device)
        with self._room():
            for batch in group[self._rank :: self._processes]:
                loss = self._negative_log_likelihood(batch)
                (loss / tokens).backward()
                total += loss.detach()
            self._share_gradients()
            norm = torch.nn.utils.clip_grad_norm_(self._weights, self.recipe.clip)
            if not torch.isfinite(norm):
                # Nothing that a checkpoint could keep may become of it.
                self._optimizer.zero_grad(set_to_none=True)
                return Loss(float("nan"), tokens)
            for parameters in self._optimizer.param_groups:
                parameters["lr"] = learning_rate
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        return Loss(self._summed(total.item())[0], tokens)

    def evaluate(self, encoded: Sequence[Encoded], *, adapted: bool = True) -> Iterator[Loss]:
        """Losses of `encoded`, batch by batch; of the untouched base when not `adapted`.

        With several processes, of as many batches at once as there are processes.
        """
        import torch

        self._learn(False)
        ordered = sorted(encoded, key=len)
        size = self.recipe.batch
        for first in range(0, len(ordered), size * self._processes):
            start = first + size * self._rank
            batch = ordered[start : start + size]
            total = 0.0
            if batch:
                with torch.inference_mode(), self._room():
                    if adapted:
                        total = self._negative_log_likelihood(batch).item()
                    else:
                        with self.model.disable_adapter():
                            total = self._negative_log_likelihood(batch).item()
            total, tokens = self._summed(total, sum(len(one.reply) for one in batch))
            yield Loss(total, round(tokens))

    def _negative_log_likelihood(self, batch: Sequence[Encoded]) -> Any:
        """Summed over the reply tokens of `batch`, which alone pass through the output head."""
        import torch

        longest = max(len(one) for one in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        wanted = torch.zeros_like(ids, dtype=torch.bool)
        for row, one in enumerate(batch):
            ids[row, : len(one)] = torch.tensor(one.prompt + one.reply)
            # The position before a token predicts it.
            wanted[row, len(one.prompt) - 1 : len(one) - 1] = True
        labels = torch.tensor([token for one in batch for token in one.reply])
        language_model = self.model.get_base_model()
        # No mask: padding stands behind, where causal attention never looks from the tokens before.
        hidden = language_model.model(
            input_ids=ids.to(self.device), use_cache=False
        ).last_hidden_state
        return _head_loss(
            hidden[wanted.to(self.device)], language_model.lm_head.weight, labels.to(self.device)
        )

    def _learn(self, on: bool) -> None:
        """Dropout and checkpointing as in training, or neither."""
        self.model.train(on)
        if self.bits == 4 and self.device == "cpu":
            # bitsandbytes 0.50 packs the weights anew for evaluation in bf16, which costs accuracy
            # and cannot be trained with afterwards.
            for module in self.model.modules():
                if type(module).__name__ == "Linear4bit" and hasattr(module, "quant_state"):
                    module.training = True

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Turn the many errors of a full memory into one that tells what to lower."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            full = isinstance(error, MemoryError) or any(
                words in str(error) for words in _OUT_OF_MEMORY
            )
            if not full:
                raise
            needed, there = self.plan.estimate, memory.available(self.device)
            raise TwinError(
                "the memory is full: " + memory.too_little(self.recipe, needed, there)
            ) from None

    def _share_gradients(self) -> None:
        """Every process gets the sum of all gradients; one without a batch adds nothing."""
        import torch

        if self._processes == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._weights]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        pieces = flat.split([p.numel() for p in self._weights])
        for parameter, piece in zip(self._weights, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)

    def _summed(self, *values: float) -> list[float]:
        """Each summed over the processes."""
        import torch

        if self._processes == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(sums)
        return [float(value) for value in sums]

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
        """See Trainer. Holds where dropout is in every process."""
        import torch

        random = _random(self.device).get_rng_state().to(self.device)
        states = [torch.empty_like(random) for _ in range(self._processes)]
        if self._processes == 1:
            states = [random]
        else:
            torch.distributed.all_gather(states, random)
        arrays = {f"random.{rank}": one.cpu().numpy() for rank, one in enumerate(states)}
        for index, weight in enumerate(self._weights):
            for key, value in self._optimizer.state[weight].items():
                tensor = value.detach().cpu().numpy() if hasattr(value, "detach") else value
                arrays[f"optimizer.{index}.{key}"] = np.array(tensor)
        return arrays

    def load_state(self, state: Arrays) -> None:
        """See Trainer."""
        import torch

        began = sum(name.startswith("random.") for name in state)
        if began != self._processes:
            raise TwinError(
                f"the run was begun with {began} processes and there are {self._processes}; "
                "go on with as many"
            )
        for weight in self._weights:
            self._optimizer.state[weight].clear()
        for name, array in state.items():
            kind, index, *rest = name.split(".")
            if kind == "optimizer":
                weight = self._weights[int(index)]
                self._optimizer.state[weight][rest[0]] = self._moment(array)
        _random(self.device).set_rng_state(torch.from_numpy(state[f"random.{self._rank}"]))

    def _moment(self, array: Any) -> Any:
        """A moment of the optimiser where it belongs; counts of steps stay beside the CPU."""
        import torch

        if array.ndim == 0:  # bitsandbytes counts in an int, PyTorch in a tensor
            return int(array) if array.dtype.kind == "i" else torch.from_numpy(array.copy())
        return torch.from_numpy(array.copy()).to(self.device)

    def agreed(self, value: float) -> float:
        """See Trainer."""
        return self._summed(value if self.lead else 0.0)[0]

    def peak_memory(self) -> int:
        """See Trainer."""
        import torch

        if self.device == "cuda":
            return int(torch.cuda.max_memory_allocated())
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


@contextmanager
def _quiet() -> Iterator[None]:
    """Import PEFT without what bitsandbytes does on import.

    On a CPU with AVX512 it looks on the network for a kernel (through the package kernels, where
    that is installed), and complains when there is none; we do not evaluate with it: see `_learn`.
    """
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    absent = "kernels" not in sys.modules
    if absent:
        sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        import peft  # noqa: F401 (imports bitsandbytes where that is installed)

        yield
    finally:
        if absent:
            del sys.modules["kernels"]


def _give_back_memory() -> None:
    """Make glibc return every large block at once, where memory is short.

    Otherwise matrices that live for a moment leave gaps between activations: a step of SmolLM2 with
    checkpointing held 0.9 GB more than was in use. It costs a fifth of the speed (measured).
    """
    import ctypes

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").mallopt(_MMAP_THRESHOLD, _LARGE)


def _load(base: Base, plan: Plan, device: str) -> Any:
    """The frozen model."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # bf16 is 17 times slower than fp32 on a CPU without AMX.
    floats = torch.float32 if plan.bits == 32 or device == "cpu" else torch.bfloat16
    options: dict[str, Any] = {}
    if device == "cpu" and (plan.checkpointing or plan.bits == 4):
        _give_back_memory()
    if plan.bits == 4:
        options["device_map"] = {"": torch.cuda.current_device() if device == "cuda" else device}
        # Norms compute in 32 bits whatever they are kept in; the output head stays floats.
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=floats,
        )
    model = AutoModelForCausalLM.from_pretrained(
        base_torch.prepare(base), dtype=floats, local_files_only=True, **options
    )
    model.requires_grad_(False)
    if plan.checkpointing:
        # Computed again with the same dropout: the generator's state is kept with each layer.
        model.activation_checkpointing_enable(
            activation_checkpointing_kwargs={"use_reentrant": False, "preserve_rng_state": True}
        )
    return model


def _head_loss(hidden: Any, head: Any, labels: Any) -> Any:
    """Summed negative log-likelihood of `labels` (n) under `hidden` (n, width) times `head`.

    `head` (vocabulary, width) is frozen, so the gradient for `hidden` is made in the forward pass,
    some positions at a time, and no logits are kept (as in Liger Kernel; Hsu et al., 2024).
    """
    import torch

    total = torch.zeros((), device=hidden.device)
    gradient = torch.empty_like(hidden)
    with torch.no_grad():
        for start in range(0, len(labels), memory.LOGITS):
            part = slice(start, start + memory.LOGITS)
            wanted = labels[part].unsqueeze(1)
            logs = (hidden[part] @ head.T).float().log_softmax(-1)
            total -= logs.gather(1, wanted).sum()
            if hidden.requires_grad:
                shares = logs.exp_()
                shares.scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=shares.dtype))
                gradient[part] = shares.to(head.dtype) @ head
    if not hidden.requires_grad:
        return total
    # Has that gradient, and the value of `total`.
    slope = (hidden * gradient).float().sum()
    return slope + (total - slope).detach()


def _shapes(state: Arrays) -> dict[str, tuple[int, int]]:
    """(out, in) of the adapted projections."""
    names = {name.removesuffix(".lora_A.weight") for name in state if ".lora_A." in name}
    return {
        name: (len(state[f"{name}.lora_B.weight"]), state[f"{name}.lora_A.weight"].shape[1])
        for name in names
    }


def find_device() -> str:
    """Where PyTorch computes here."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _random(device: str) -> Any:
    """Where dropout draws; the order of the examples depends on the seed and the step alone."""
    import torch

    return torch if device == "cpu" else getattr(torch, device)


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
