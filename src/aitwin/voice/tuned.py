"""Tuned: MeloTTS as it was fine-tuned to a voice, on disk.

    voices/ID/finetune/
      checkpoint.safetensors  the network, official names, weight norm multiplied out
      config.json             as MeloTTS's own; its speakers are the voice's emotions
      history.jsonl           losses, likeness and word errors over the run
      samples/                held-out sentences, as said before and after
      manifest.json           what it was made of, and what was measured

Who makes it: finetune. Who speaks with it: melo.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import configs
from aitwin.voice.voices import TUNED, Voice

FOLDER = TUNED
CHECKPOINT, CONFIG, HISTORY, SAMPLES = (
    *("checkpoint.safetensors", "config.json", "history.jsonl", "samples"),
)
NEUTRAL = "neutral"
"""The speaker that is always there."""
VERSION = 1


@dataclass(frozen=True, eq=False)
class Tuned:
    """A whole fine-tune, at `path`."""

    path: Path
    speakers: dict[str, int]
    """Rows of the speakers' embedding by emotion; NEUTRAL is among them."""
    manifest: dict[str, Any] = field(repr=False)

    @property
    def checkpoint(self) -> Path:
        """The network's weights."""
        return self.path / CHECKPOINT

    @property
    def config(self) -> Path:
        """Their config.json."""
        return self.path / CONFIG

    @property
    def takes(self) -> tuple[str, ...]:
        """Ids of the takes that it has learned from."""
        return tuple(self.manifest["takes"])

    @property
    def metrics(self) -> dict[str, Any]:
        """Likeness and word errors of held-out sentences, before and after; steps and times."""
        found: dict[str, Any] = self.manifest["metrics"]
        return found

    def speaker(self, emotion: str) -> str:
        """The speaker for an emotion: its own, or the neutral one."""
        return emotion if emotion in self.speakers else NEUTRAL


def path_of(voice: Voice) -> Path:
    """Where a voice's fine-tune lies, or shall lie."""
    return voice.path / FOLDER


def find(voice: Voice) -> Path | None:
    """Where a voice's fine-tune lies, whole or damaged: see `lacking`; None when there is none."""
    path = path_of(voice)
    artifact.restore(path)
    return path if path.exists() else None


def lacking(voice: Voice) -> str:
    """Why a voice's fine-tune cannot speak, and what to do about it; empty when it can."""
    try:
        load(path_of(voice))
    except TwinError as error:
        return str(error)
    return ""


def outlived(voice: Voice) -> tuple[str, ...]:
    """Ids of takes that a voice's fine-tune has learned from, and that are no more.

    Empty without one, or when it is damaged.
    """
    try:
        learned = load(path_of(voice)).takes
    except TwinError:
        return ()
    return tuple(take for take in learned if not (voice.path / "takes" / take).exists())


def opened(path: Path) -> Tuned:
    """As `load`, and the weights are those that were written, to the bit: for who speaks with it.

    Reads them once (200 MB). Raises TwinError, as `load` does, when they are others.
    """
    found = load(path)
    try:
        same = artifact.sha256(found.checkpoint) == found.manifest["sha256"]
    except OSError:
        same = False
    if not same:
        raise TwinError(f"{found.checkpoint} is damaged; {_remedy(path)}")
    return found


def load(path: Path) -> Tuned:
    """Raises TwinError when there is none, it is damaged, or another version made it."""
    remedy = _remedy(path)
    manifest = artifact.read_manifest(path, kind="fine-tuned voice", remedy=remedy)
    try:
        if manifest["version"] != VERSION:
            raise TwinError(f"{path} was made by another version; {remedy}")
        config = configs.read(path / CONFIG, remedy)
        rows = configs.speakers(config, configs.whole(config["data"], "n_speakers"))
        whole = NEUTRAL in rows and (path / CHECKPOINT).stat().st_size == manifest["size"]
        whole = whole and isinstance(manifest["metrics"], dict)
        artifact.text(manifest["sha256"], r"[0-9a-f]{64}")
        whole = whole and all(re.fullmatch(r"[\w-]+", take) for take in manifest["takes"])
    except (KeyError, TypeError, ValueError, AttributeError, OSError, RecursionError):
        whole = False
    if not whole:
        raise TwinError(f"{path} is damaged; {remedy}") from None
    return Tuned(path, rows, manifest)


def _remedy(path: Path) -> str:
    return f"run `twin voice finetune {path.parent.name}`"
