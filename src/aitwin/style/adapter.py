"""StyleAdapter: what a training run leaves behind, in PEFT's layout, with its provenance.

A directory with `adapter_model.safetensors`, `adapter_config.json`, `adapter.gguf` (for llama.cpp),
`training.jsonl` (one line per evaluation), `loss.png`, `loss.svg`, `proof.json` (what base and twin
answered to the same probes) and the manifest. Does not train or serve.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style.recipe import Recipe

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
GGUF = "adapter.gguf"
HISTORY = "training.jsonl"
CURVE = "loss.png"
CURVES = (CURVE, "loss.svg")
PROOF = "proof.json"


@dataclass(frozen=True)
class StyleAdapter:
    """An adapter on disk."""

    path: Path
    manifest: dict[str, Any]

    @property
    def gguf(self) -> Path:
        """The LoRA file that llama.cpp loads beside the base."""
        return self.path / GGUF

    @property
    def history(self) -> list[dict[str, float]]:
        """Losses by optimiser step."""
        lines = (self.path / HISTORY).read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def proof(self) -> dict[str, Any]:
        """The proof of life, with texts."""
        proof: dict[str, Any] = json.loads((self.path / PROOF).read_text())
        return proof

    @property
    def base_digest(self) -> str:
        """SHA-256 of the GGUF base that it was trained on."""
        return str(self.manifest["base"]["sha256"])

    @property
    def finished(self) -> bool:
        """Whether its run went to the end, not only to a Ctrl-C."""
        metrics = self.manifest["metrics"]
        return bool(metrics.get("finished", metrics["steps"] >= metrics["planned_steps"]))

    def is_result_of(self, fingerprint: dict[str, Any]) -> bool:
        """Whether training with that dataset, base and recipe would give this adapter again."""
        same = all(self.manifest.get(key) == value for key, value in fingerprint.items())
        return same and self.finished


def write_weights(directory: Path, state: Mapping[str, Any], recipe: Recipe, base: str) -> None:
    """The arrays `state` (PEFT's names, see trainer) and the configuration, as PEFT writes them."""
    from safetensors.numpy import save_file

    save_file(dict(state), directory / WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": sorted(recipe.targets),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    artifact.write_private(directory / CONFIG, json.dumps(config, indent=2) + "\n")


def load(path: Path) -> StyleAdapter:
    """Open an adapter.

    Raises TwinError when it is absent, incomplete, or its files were changed since.
    """
    manifest = artifact.read_manifest(path, kind="adapter", remedy="run `twin train`")
    if manifest.get("kind") != "adapter":
        raise TwinError(f"{path} is no adapter that this version can read; run `twin train` again")
    for name, digest in manifest["files"].items():
        file = path / name
        if not file.is_file() or artifact.sha256(file) != digest:
            raise TwinError(f"{file} is missing or damaged; run `twin train` again")
    return StyleAdapter(path, manifest)


def newest(adapters: Path) -> StyleAdapter:
    """The adapter that was finished last.

    Raises TwinError when there is none.
    """
    complete = [path.parent for path in adapters.glob(f"[!.]*/{artifact.MANIFEST}")]
    if not complete:
        raise TwinError(f"no adapter in {adapters} yet; run `twin train`")
    return load(max(complete, key=lambda path: (path / artifact.MANIFEST).stat().st_mtime_ns))
