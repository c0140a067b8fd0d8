"""LoRA by MLX: one quantised model, its batches, its losses; one process or several.

Does not decide when to evaluate, save or stop: see train. Runs on Apple's GPU (Metal), on CUDA and
CPU. Under `mlx.launch` each process takes its share of every step's batches, and gradients and
losses are summed (data parallelism; MLX's ring or Thunderbolt backend carries them).
"""

import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitwin.errors import TwinError
from aitwin.style import base_mlx, memory
from aitwin.style.base import Base
from aitwin.style.batches import Loss
from aitwin.style.recipe import Recipe
from aitwin.style.tokens import Encoded
from aitwin.style.trainer import Arrays, fresh

_PREFIX = "base_model.model."
"""PEFT's, before the name of a module."""


class MlxTrainer:
    """A quantised base with a fresh LoRA adapter on it, and the optimiser that moves it."""

    libraries: tuple[str, ...] = ("mlx", "mlx-lm")

    def __init__(self, base: Base, recipe: Recipe) -> None:
        import mlx.core as mx
        from mlx import nn, optimizers
        from mlx_lm.utils import maybe_set_recommended_wired_limit

        self.recipe = recipe
        self.device = find_device()
        plan = memory.plan_mlx(base, recipe, self.device)
        self.bits, self.checkpointing = plan.bits, plan.checkpointing
        directory = base_mlx.prepare(base)
        self._group = mx.distributed.init()
        self._left_alone = False
        self.lead = self._group.rank() == 0
        maybe_set_recommended_wired_limit()
        self.model: Any = _load(directory, _dtype(self.device))
        self._adapted = _adapt(self.model, recipe)
        shapes = {
            f"{_PREFIX}{name}": (module.lora_b.shape[1], module.lora_a.shape[0])
            for name, module in self._adapted.items()
        }
        self.load_adapter_state(fresh(shapes, recipe))
        self._optimizer = optimizers.AdamW(0.0, weight_decay=0.0, bias_correction=True)
        self._optimizer.init(self.model.trainable_parameters())
        self._loss_and_gradients = nn.value_and_grad(self.model, self._negative_log_likelihood)
        mx.eval(self.model.parameters(), self._optimizer.state)

    def step(self, group: Sequence[Sequence[Encoded]], learning_rate: float) -> Loss:
        """See Trainer."""
        import mlx.core as mx
        from mlx import optimizers
        from mlx.utils import tree_map

        self.model.train()
        tokens = sum(len(one.reply) for batch in group for one in batch)
        total = 0.0
        gradients = tree_map(mx.zeros_like, self.model.trainable_parameters())
        for place in range(self._group.rank(), len(group), self._group.size()):
            self._draw(place)
            loss, more = self._loss_and_gradients(group[place], 1 / tokens)
            gradients = tree_map(mx.add, gradients, more)
            _evaluated(loss, gradients)
            total += loss.item()
        total, gradients = self._summed(total, gradients)
        gradients, norm = optimizers.clip_grad_norm(gradients, self.recipe.clip)
        if not np.isfinite(norm.item()):
            # Nothing that a checkpoint could keep may become of it.
            return Loss(float("nan"), tokens)
        self._optimizer.learning_rate = learning_rate
        self._optimizer.update(self.model, gradients)
        _evaluated(self.model.trainable_parameters(), self._optimizer.state)
        # Every length has buffers of its own, and those of other lengths are of no use.
        mx.clear_cache()
        return Loss(total * tokens, tokens)

    def evaluate(self, encoded: Sequence[Encoded], *, adapted: bool = True) -> Iterator[Loss]:
        """See Trainer; a round of batches at a time, one per process."""
        self.model.eval()
        ordered = sorted(encoded, key=len)
        size, processes = self.recipe.batch, self._group.size()
        batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
        for start in range(0, len(batches), processes):
            together = batches[start : start + processes]
            total = 0.0
            if self._group.rank() < len(together):
                self._scale(adapted=adapted)
                loss = self._negative_log_likelihood(together[self._group.rank()])
                _evaluated(loss)
                self._scale(adapted=True)
                total = loss.item()
            total, _ = self._summed(total, {})
            yield Loss(total, sum(len(one.reply) for batch in together for one in batch))

    def _negative_log_likelihood(self, batch: Sequence[Encoded], weight: float = 1.0) -> Any:
        """Summed over the reply tokens of `batch`, which alone pass through the output head.

        Padding stands on the right, where causal attention does not see it.
        """
        import mlx.core as mx
        from mlx import nn

        longest = max(len(one) for one in batch)
        ids = np.zeros((len(batch), longest), np.int32)
        before: list[int] = []
        for row, one in enumerate(batch):
            ids[row, : len(one)] = one.prompt + one.reply
            # The position before a token predicts it.
            first = row * longest + len(one.prompt) - 1
            before += range(first, first + len(one.reply))
        wanted = mx.array([token for one in batch for token in one.reply])
        hidden = self._hidden(mx.array(ids)).reshape(len(batch) * longest, -1)
        logits = self._head(hidden[mx.array(before)]).astype(mx.float32)
        return nn.losses.cross_entropy(logits, wanted, reduction="sum") * weight

    def _hidden(self, ids: Any) -> Any:
        """States before the output head, [batch, tokens, width]."""
        from mlx.nn.utils import checkpoint

        body = self.model.model
        hidden = body.embed_tokens(ids)
        for layer in body.layers:
            run = checkpoint(layer) if self.checkpointing and self.model.training else layer
            hidden = run(hidden, "causal", None)
        return body.norm(hidden)

    def _head(self, hidden: Any) -> Any:
        if self.model.args.tie_word_embeddings:
            return self.model.model.embed_tokens.as_linear(hidden)
        return self.model.lm_head(hidden)

    def _draw(self, place: int) -> None:
        """Keys for the dropout of batch `place` of this step, whichever process has it."""
        import mlx.core as mx

        step = int(self._optimizer.state["step"].item())
        seed = np.random.SeedSequence([self.recipe.seed, step, place]).generate_state(1)[0]
        keys = mx.random.split(mx.random.key(int(seed)), len(self._adapted))
        for module, key in zip(self._adapted.values(), keys, strict=True):
            module.dropout.draw(key)

    def _scale(self, *, adapted: bool) -> None:
        for module in self._adapted.values():
            module.scale = self.recipe.alpha / self.recipe.rank if adapted else 0.0

    def _summed(self, total: float, gradients: Any) -> tuple[float, Any]:
        """Over all processes, in one message.

        Raises TwinError when a process is gone.
        """
        import mlx.core as mx
        from mlx.utils import tree_flatten, tree_unflatten

        if self._group.size() == 1:
            return total, gradients
        flat = tree_flatten(gradients)
        parts = [mx.array([total]), *(array.flatten() for _, array in flat)]
        sizes = np.cumsum([part.size for part in parts]).tolist()
        first, *rest = mx.split(self._sent(mx.concatenate(parts)), sizes[:-1])
        summed = [
            (name, part.reshape(array.shape))
            for (name, array), part in zip(flat, rest, strict=True)
        ]
        return float(np.array(first)[0]), tree_unflatten(summed) if flat else gradients

    def _sent(self, message: Any) -> Any:
        """The sum of every process's message, in every process.

        Raises TwinError when a process is gone. MLX's ring (0.32) then raises, or gives numbers
        like any other, so that each process adds a one at both ends, to be counted; asked again,
        it may wait for ever, so that it is not.
        """
        import mlx.core as mx

        if not self._left_alone:
            one = mx.ones(1, message.dtype)
            summed = mx.distributed.all_sum(mx.concatenate([one, message, one]), group=self._group)
            try:
                ends = np.array(summed)[[0, -1]]
            except RuntimeError:  # "connection to a peer was lost"
                ends = np.zeros(2)
            self._left_alone = bool((ends != self._group.size()).any())
        if self._left_alone:
            raise TwinError(
                "another machine of this run is gone; start it again on all with `twin train "
                "--resume`: the last checkpoint is intact"
            )
        return summed[1:-1]

    def adapter_state(self) -> Arrays:
        """See Trainer."""
        arrays = {}
        for name, module in self._adapted.items():
            for half, weights in (("A", module.lora_a), ("B", module.lora_b)):
                arrays[f"{_PREFIX}{name}.lora_{half}.weight"] = np.array(weights).T.copy()
        return arrays

    def load_adapter_state(self, state: Arrays) -> None:
        """See Trainer."""
        import mlx.core as mx

        for name, module in self._adapted.items():
            module.lora_a = mx.array(state[f"{_PREFIX}{name}.lora_A.weight"].T)
            module.lora_b = mx.array(state[f"{_PREFIX}{name}.lora_B.weight"].T)

    def state(self) -> Arrays:
        """See Trainer. Dropout draws by seed, step and batch: nothing of it need be kept."""
        from mlx.utils import tree_flatten

        flat = tree_flatten(self._optimizer.state)
        return {f"optimizer.{name}": np.array(array) for name, array in flat}

    def load_state(self, state: Arrays) -> None:
        """See Trainer."""
        import mlx.core as mx
        from mlx.utils import tree_flatten, tree_unflatten

        names = [name for name, _ in tree_flatten(self._optimizer.state)]
        kept = [(name, mx.array(state[f"optimizer.{name}"])) for name in names]
        self._optimizer.state = tree_unflatten(kept)

    def agreed(self, value: float) -> float:
        """See Trainer. Sent as an integer, for sums are made of 32-bit floats."""
        import mlx.core as mx

        if self._group.size() == 1:
            return float(value)
        bits = int(np.float64(value).view(np.int64)) if self.lead else 0
        return float(np.array(self._sent(mx.array([bits], mx.int64))).view(np.float64)[0])

    def peak_memory(self) -> int:
        """See Trainer."""
        import mlx.core as mx

        if self.device != "cpu":
            return int(mx.get_peak_memory())
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def find_device() -> str:
    """Where MLX computes here."""
    import mlx.core as mx

    if mx.default_device() == mx.cpu:
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


def _dtype(device: str) -> Any:
    """Of scales, biases and activations: half floats overflow in Qwen2.5, a CPU has no bf16."""
    import mlx.core as mx

    return mx.float32 if device == "cpu" else mx.bfloat16


def _load(directory: Path, dtype: Any) -> Any:
    from mlx_lm.utils import load_model

    model, _ = load_model(directory, lazy=True)
    model.set_dtype(dtype)
    model.freeze()
    return model


def _adapt(model: Any, recipe: Recipe) -> dict[str, Any]:
    """Put mlx-lm's LoRA layers on the recipe's projections of every layer; these, by name."""
    from mlx_lm.tuner.lora import LoRALinear

    adapted = {}
    for number, layer in enumerate(model.layers):
        for target in recipe.targets:
            lora = LoRALinear.from_base(
                layer.self_attn[target], r=recipe.rank, scale=recipe.alpha / recipe.rank
            )
            lora.dropout = _keyed_dropout(recipe.dropout)
            layer.self_attn[target] = lora
            adapted[f"model.layers.{number}.self_attn.{target}"] = lora
    return adapted


def _keyed_dropout(share: float) -> Any:
    """Dropout that drops the same whenever it is run under the same key.

    MLX's own draws anew when a checkpointed layer is computed a second time (seen in 0.32), so that
    its gradients belong to another network than its loss.
    """
    import mlx.core as mx
    from mlx import nn

    class KeyedDropout(nn.Module):  # type: ignore[misc]
        def draw(self, key: Any) -> None:
            self._key = key

        def __call__(self, hidden: Any) -> Any:
            if not self.training or share == 0:
                return hidden
            kept = mx.random.bernoulli(1 - share, hidden.shape, key=self._key)
            return hidden * kept / (1 - share)

    return KeyedDropout()


def _evaluated(*arrays: Any) -> None:
    """Compute what MLX has only planned so far.

    Raises TwinError when that takes more memory than there is.
    """
    import mlx.core as mx

    try:
        mx.eval(*arrays)
    except RuntimeError as error:
        if "emory" not in str(error) and "alloc" not in str(error):
            raise
        raise TwinError(
            "the memory is full: lower sequence_length (or batch, to 4) in the recipe, close other "
            "programs, or choose a smaller base"
        ) from None
