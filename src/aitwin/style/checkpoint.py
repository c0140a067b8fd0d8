"""Where a run stands, on disk: what must survive a stop at any moment.

An artifact with the run's place, the adapter as it is, the best one so far, and the trainer's own
state. Does not know how a step is made.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style.trainer import Arrays, Trainer

FOLDER = "checkpoint"
REMEDY = "begin anew with `twin train --restart`"
_STATE = "state.safetensors"
_CURRENT = "current.safetensors"
_BEST = "best.safetensors"


@dataclass
class Run:
    """One training, from its first step to its last."""

    total: int
    """Optimiser steps planned."""
    step: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0
    """Up to the end of the first step."""
    tokens: int = 0
    best: float = float("inf")
    """Lowest validation loss so far, nats per reply token."""
    best_step: int = 0
    best_weights: Arrays = field(default_factory=dict, repr=False)
    history: list[dict[str, float]] = field(default_factory=list)
    """Losses and times, one entry per evaluation."""
    over: bool = False
    """Whether validation had stopped to fall, so that the rest is not worth its time."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.over or self.step >= self.total

    @property
    def evaluations_since_best(self) -> int:
        """How many evaluations in a row have not been the best."""
        return sum(entry["step"] > self.best_step for entry in self.history)


def there(workplace: Path) -> bool:
    """Whether a run was stopped here and can go on."""
    artifact.restore(workplace / FOLDER)
    return (workplace / FOLDER / artifact.MANIFEST).exists()


def forget(workplace: Path) -> None:
    """Empty the workplace; cut off on the way, nothing is left that claims to be resumable."""
    (workplace / FOLDER / artifact.MANIFEST).unlink(missing_ok=True)
    for path in workplace.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def save(workplace: Path, run: Run, trainer: Trainer) -> None:
    """Whole or not at all: killed here, a run goes on from the checkpoint before.

    Every process of a run calls this; the lead writes.
    """
    from safetensors.numpy import save_file

    arrays = {_STATE: trainer.state(), _CURRENT: trainer.adapter_state(), _BEST: run.best_weights}
    if not trainer.lead:
        return
    place = {key: value for key, value in vars(run).items() if key != "best_weights"}
    with artifact.building(workplace / FOLDER) as scratch:
        for name, state in arrays.items():
            save_file(state, scratch / name)
        manifest = {"kind": "checkpoint", "bits": trainer.bits, "run": place}
        artifact.write_manifest(scratch, manifest)


def resume(workplace: Path, trainer: Trainer) -> Run:
    """Put `trainer` where the run was stopped.

    Raises TwinError when the checkpoint is damaged, or was of a base held in other bits.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    place = workplace / FOLDER
    manifest = artifact.read_manifest(place, kind="checkpoint", remedy=REMEDY)
    try:
        bits, before = manifest["bits"], manifest["run"]
        state, current, best = (load_file(place / name) for name in (_STATE, _CURRENT, _BEST))
        if bits == trainer.bits:
            trainer.load_adapter_state(current)
            trainer.load_state(state)
            return Run(**before, best_weights=best)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise TwinError(f"{place} is damaged ({type(error).__name__}); {REMEDY}") from None
    raise TwinError(
        f"{place} is of a base held in {bits} bits, and now it is held in {trainer.bits}: give "
        f"`twin train --resume --bits {bits}`, or {REMEDY}"
    )
