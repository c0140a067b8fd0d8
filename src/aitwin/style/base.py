"""The base model as the trainer needs it: a GGUF file, dequantised once into a torch directory.

Does not fetch anything: the file is on the shelf already (see models).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError

GGUF_MAGIC = b"GGUF"
ARCHITECTURES = ("llama", "qwen2")
"""Architectures whose adapters we can export and have compared with llama.cpp, number by number."""

USABLE = 0.75
"""Share of the memory that the weights may take: activations and the system want the rest."""


@dataclass(frozen=True)
class Base:
    """A base model: the file that is served, and the directory that is trained from it."""

    name: str
    """As in twin.toml: a name on the shelf, or the path of a GGUF file."""
    gguf: Path
    digest: str
    """SHA-256 of the GGUF file."""
    directory: Path
    """transformers layout: config and float weights. Token ids come from the engine: see tokens."""


def prepare(name: str, gguf: Path, digest: str, cache: Path) -> Base:
    """Dequantise `gguf`, whose SHA-256 is `digest`, into `cache`, unless that was done before.

    Raises TwinError for a file that is not a GGUF model of a supported architecture, and for one
    that is too large to be trained here.
    """
    architecture = read_architecture(gguf)
    if architecture not in ARCHITECTURES:
        raise TwinError(
            f"{gguf} holds a model of architecture {architecture!r}; adapters can be made for "
            f"{' and '.join(ARCHITECTURES)}: choose another base in twin.toml"
        )
    directory = cache / digest[:16]
    _require_memory(gguf)
    if not (directory / artifact.MANIFEST).exists():
        with artifact.building(directory) as scratch:
            _dequantise(gguf, scratch)
            artifact.write_manifest(scratch, {"gguf": gguf.name, "sha256": digest})
    return Base(name, gguf, digest, directory)


def read_architecture(gguf: Path) -> str:
    """`general.architecture` of a GGUF file.

    Raises TwinError when the file is missing, truncated or something else.
    """
    try:
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise TwinError(f"{gguf} cannot be read ({error.strerror}); `twin models list`") from None
    if magic != GGUF_MAGIC:
        raise TwinError(f"{gguf} is not a GGUF model file; `twin models verify` tells which is bad")
    from gguf import GGUFReader

    try:
        field = GGUFReader(gguf).get_field("general.architecture")
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise TwinError(
            f"{gguf} is damaged ({type(error).__name__}); pull it again: `twin models verify`"
        ) from None
    if field is None:
        raise TwinError(f"{gguf} does not say its architecture; it is no language model")
    return str(field.contents())


def count_parameters(gguf: Path) -> int:
    """How many numbers the model consists of."""
    from gguf import GGUFReader

    return sum(int(tensor.n_elements) for tensor in GGUFReader(gguf).tensors)


def _require_memory(gguf: Path) -> None:
    """Refuse before minutes of work what cannot end well: the weights alone fill the memory."""
    import torch

    parameters = count_parameters(gguf)
    if torch.cuda.is_available():
        there, needed = torch.cuda.get_device_properties(0).total_memory, parameters * 2
    else:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        needed = parameters * 4
    if needed > there * USABLE:
        raise TwinError(
            f"{gguf} has {parameters / 1e9:.1f} billion parameters: training it takes more than "
            f"{needed / 1e9:.0f} GB, and there are {there / 1e9:.0f}. Choose a smaller base "
            "(`twin models list`, `twin init --base NAME`); training in 4 bits comes later"
        )


def _dequantise(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, modeling_gguf_pytorch_utils
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # The one bar that the line above does not reach.
    bar = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda tensors, **_: tensors
    try:
        # Half floats keep 11 bits of a block's scale times its integer, bf16 8: half the file of
        # fp32, an eighth of bf16's error.
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float16, local_files_only=True
        )
    finally:
        modeling_gguf_pytorch_utils.tqdm = bar
    # Dequantised weights are plain floats, but the model still believes itself quantised.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    config = json.loads((target / "config.json").read_text())
    config.pop("quantization_config", None)
    artifact.write_private(target / "config.json", json.dumps(config, indent=2))
