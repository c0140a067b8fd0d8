"""The base for PyTorch: a GGUF file, dequantised once into transformers' layout."""

import json
import os
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style.base import Base, count_parameters

FORM = "floats"
USABLE = 0.75
"""Share of the memory that the weights may take: activations and the system want the rest."""


def prepare(base: Base) -> Path:
    """Dequantise `base`, unless that was done before; its directory.

    Raises TwinError for a base that is too large to be trained here.
    """
    directory = base.converted(FORM)
    _require_memory(base.gguf)
    if not (directory / artifact.MANIFEST).exists():
        with artifact.building(directory) as scratch:
            _dequantise(base.gguf, scratch)
            artifact.write_manifest(scratch, {"gguf": base.gguf.name, "sha256": base.digest})
    return directory


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
