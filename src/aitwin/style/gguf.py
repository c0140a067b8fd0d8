"""A PEFT adapter as a LoRA GGUF, the form in which llama.cpp loads it beside the base.

Format: llama.cpp's adapter files (`general.type` "adapter", `adapter.type` "lora", tensors
`blk.N.attn_q.weight.lora_a` [rank, in] and `.lora_b` [out, rank]). Does not touch the base.
"""

import json
import re
from pathlib import Path
from typing import Any

from aitwin.errors import TwinError
from aitwin.style.base import Base

_TENSOR = re.compile(
    r"base_model\.model\.model\.layers\.(?P<layer>\d+)\.self_attn"
    r"\.(?P<projection>[qkvo])_proj\.lora_(?P<half>[AB])\.weight"
)
_GGUF_PROJECTION = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output"}


def from_peft(adapter: Path, base: Base, target: Path) -> None:
    """Write the adapter in directory `adapter`, trained on `base`, as GGUF file `target`.

    Raises TwinError for a tensor that has no place in llama.cpp's model: a silent omission would
    serve another model than the one that was trained.
    """
    from gguf import GGUFType, GGUFWriter, Keys
    from safetensors.numpy import load_file

    config = json.loads((adapter / "adapter_config.json").read_text())
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        raise TwinError(
            f"{adapter} scales some layers otherwise, a LoRA GGUF all alike: not exported"
        )
    shape = json.loads((base.converted("floats") / "config.json").read_text())
    architecture = str(shape["model_type"])
    writer = GGUFWriter(target, architecture)
    writer.add_type(GGUFType.ADAPTER)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, _alpha(config))
    for name, tensor in sorted(load_file(adapter / "adapter_model.safetensors").items()):
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise TwinError(f"adapter tensor {name} has no counterpart in llama.cpp; not exported")
        projection, half = match["projection"], match["half"].lower()
        if half == "b" and projection in "qk" and architecture == "llama":
            heads = shape["num_attention_heads" if projection == "q" else "num_key_value_heads"]
            tensor = _interleave(tensor, heads)
        place = f"blk.{match['layer']}.{_GGUF_PROJECTION[projection]}.weight.lora_{half}"
        writer.add_tensor(place, tensor.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    target.chmod(0o600)


def _alpha(config: dict[str, Any]) -> float:
    """llama.cpp divides by the rank; rank-stabilised LoRA (Kalajdzievski, 2023) by its root."""
    alpha = float(config["lora_alpha"])
    return alpha * float(config["r"]) ** 0.5 if config.get("use_rslora") else alpha


def _interleave(rows: Any, heads: int) -> Any:
    """Reorder the output rows of a query or key projection, as llama.cpp's converter does.

    transformers rotates the halves of a head, GGUF files of architecture `llama` neighbouring
    pairs; a missed permutation loads without an error and quietly spoils the attention.
    """
    out, rank = rows.shape
    return rows.reshape(heads, 2, out // heads // 2, rank).swapaxes(1, 2).reshape(out, rank)
