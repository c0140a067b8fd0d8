"""An adapter as a LoRA GGUF, the form in which llama.cpp loads it beside the base.

Format: llama.cpp's adapter files (`general.type` "adapter", `adapter.type` "lora", tensors
`blk.N.attn_q.weight.lora_a` [rank, in] and `.lora_b` [out, rank]). Does not touch the base; how a
base and an adapter become one file: see graft.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aitwin import artifact
from aitwin.style import header, lora
from aitwin.style.base import Base
from aitwin.style.header import ALIGNMENT, FLOAT32, STRING, Tensor
from aitwin.style.lora import Lora

if TYPE_CHECKING:
    import numpy as np

_F32 = 0
"""ggml's number of 32-bit floats."""


def from_peft(adapter: Path, base: Base, target: Path) -> None:
    """Write the adapter in directory `adapter`, trained on `base`, as GGUF file `target`.

    Raises TwinError for what has no place in llama.cpp's model, or does not fit the base: a silent
    omission would serve another model than the one that was trained.
    """
    _write(lora.from_peft(adapter, base.gguf), target)


def from_mlx(adapter: Path, base: Base, target: Path) -> None:
    """The same for an adapter that mlx-lm wrote."""
    _write(lora.from_mlx(adapter, base.gguf), target)


def _write(adapter: Lora, target: Path) -> None:
    places, offset = [], 0
    for name, array in _tensors(adapter):
        places.append(Tensor(name, array.shape[::-1], _F32, offset))
        offset += header.padded(array.nbytes, ALIGNMENT)
    entries = [
        header.string(key) + struct.pack("<I", STRING) + header.string(value)
        for key, value in (
            ("general.architecture", adapter.architecture),
            ("general.type", "adapter"),
            ("adapter.type", "lora"),
        )
    ]
    entries.append(header.string("adapter.lora.alpha") + struct.pack("<If", FLOAT32, adapter.alpha))
    with artifact.writing(target) as file:
        file.write(header.encode(b"".join(entries), len(entries), places, ALIGNMENT))
        for _, array in _tensors(adapter):
            data = array.astype("<f4").tobytes()
            file.write(data.ljust(header.padded(len(data), ALIGNMENT), b"\0"))


def _tensors(adapter: Lora) -> Iterator[tuple[str, "np.ndarray"]]:
    for name in adapter.names:
        factors = adapter.factors(name)
        yield f"{name}.lora_a", factors.a
        yield f"{name}.lora_b", factors.b
