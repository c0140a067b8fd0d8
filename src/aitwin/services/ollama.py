"""Checks of an Ollama that runs here: where it listens, version, flags, cloud (O3, W1, W4).

Flags are read from the environment of its process, where the system shows that: what it was started
with is what counts, not what it should be started with.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from aitwin.errors import TwinError
from aitwin.services.finding import Finding
from aitwin.services.sockets import Listener
from aitwin.style.ollama import START, URL, VERSIONS, Ollama

PORT = int(URL.rpartition(":")[2])
_ABOUT = ("O3", "W1", "W4")
SERVER = Path(".ollama/server.json")
"""In the owner's directory: the other place where its cloud can be turned off."""


def checks(listening: Sequence[Listener], url: str = URL) -> list[Finding]:
    """Nothing where no Ollama listens: it is one of the engines, not a part of the twin."""
    port = int(url.rpartition(":")[2])
    ours = [one for one in listening if one.port == port]
    if not ours:
        return []
    open_ = [one for one in ours if not one.is_loopback]
    if open_:
        # What answers on the network may be anybody's: nothing is asked of it.
        return [
            Finding(
                "Ollama",
                "bad",
                f"listens on {open_[0].place}, for the whole network",
                f"stop it, unset OLLAMA_HOST, and start it as: {START}",
                requirements=_ABOUT,
            )
        ]
    try:
        version = Ollama(url).version()
    except TwinError as error:
        return [Finding("Ollama", "warn", str(error), f"start it as: {START}", requirements=_ABOUT)]
    since = VERSIONS["no_cloud"].since
    if not version.is_unknown and version < since:
        evidence = f"{version}, which cannot be kept from the cloud"
        return [Finding("Ollama", "warn", evidence, f"update it to {since} or later", (), _ABOUT)]
    return [
        Finding("Ollama", "ok", f"{version} on {ours[0].place}", requirements=_ABOUT),
        flags(environment(ours[0].pid), cloud_off=cloud_is_off(Path.home() / SERVER)),
    ]


def flags(started: Mapping[str, str] | None, *, cloud_off: bool) -> Finding:
    """What it was started with; `cloud_off`: whether its own settings turn the cloud off."""
    what, remedy = "Ollama's flags", f"end it, and start it as: {START}"
    if started is None and not cloud_off:
        told = f"its process does not show them; so that it cannot reach its cloud: {START}"
        return Finding(what, "unknown", told, remedy, (), _ABOUT)
    shown = started or {}
    wrong = [
        text
        for text, is_so in (
            ("its cloud is not turned off", not cloud_off and not _on(shown, "OLLAMA_NO_CLOUD")),
            ("any web page may ask it (OLLAMA_ORIGINS)", "*" in shown.get("OLLAMA_ORIGINS", "")),
            ("it may log prompts (OLLAMA_DEBUG)", _on(shown, "OLLAMA_DEBUG")),
            (
                "flash attention is turned off",
                "OLLAMA_FLASH_ATTENTION" in shown and not _on(shown, "OLLAMA_FLASH_ATTENTION"),
            ),
        )
        if is_so
    ]
    if wrong:
        return Finding(what, "warn", "; ".join(wrong), remedy, (), _ABOUT)
    return Finding(what, "ok", "its cloud is off", requirements=_ABOUT)


def _on(started: Mapping[str, str], name: str) -> bool:
    """As Ollama reads it (envconfig/config.go): any text that is not false by Go's rules."""
    return started.get(name, "").strip() not in ("", "0", "f", "F", "false", "FALSE", "False")


def environment(process: int) -> Mapping[str, str] | None:
    """With which a process was started; None where the system does not show it."""
    try:
        import psutil
    except ImportError:
        return None
    try:
        # Of a program that macOS guards, it is empty.
        return dict(psutil.Process(process).environ()) or None if process else None
    except (psutil.Error, OSError):
        return None


def cloud_is_off(file: Path) -> bool:
    """Whether ~/.ollama/server.json turns it off (docs.ollama.com/faq: disable_ollama_cloud)."""
    try:
        return json.loads(file.read_text("utf-8")).get("disable_ollama_cloud") is True
    except (OSError, ValueError, AttributeError):
        return False
