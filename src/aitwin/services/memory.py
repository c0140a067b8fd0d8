"""Memory: what all of the twin takes now, and what it will with everything loaded (R1).

What is foreseen is reckoned from what was measured (docs/benchmarks.md, stack_memory and
recovery), on Linux; on unified memory a model takes what its file is long, as here.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from aitwin import models
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services.finding import Finding

if TYPE_CHECKING:
    import psutil

BUDGET = 18_000_000_000
"""Bytes for everything together, of the 24 GB that the smallest machine has (R1)."""
SYSTEM = 0.75
"""Share of a machine's memory that the twin may count on: R1's 18 of 24."""
API = 625_000_000
"""The API with what grades recordings."""
SPEECH = 1_170_000_000
"""MeloTTS with BERT, and the converter."""
DOORS = 75_000_000 + 26_000_000
"""The gateway, and the keeper."""
WRITING = 1.08
"""A writing model to its file: 5.04 GB of 4.68, with its context."""
MODULES = ("aitwin", "aitwin.server", "aitwin.services.keeper")
SERVERS = frozenset({"ollama", "llama-server"})
"""Programs that may hold a model for us."""
_ABOUT = ("R1",)


def findings(home: Home) -> list[Finding]:
    """What it takes now, and what it will take; nothing is loaded for it."""
    try:
        import psutil
    except ImportError:
        why = "psutil is not installed"
        return [Finding("memory now", "unknown", why, requirements=_ABOUT), foreseen(home, 0)]
    machine = psutil.virtual_memory()
    return [now(used(), machine.available, machine.total), foreseen(home, machine.total)]


def now(taken: int, free: int, total: int) -> Finding:
    """Of all processes of the twin together."""
    told = f"the twin takes {_gb(taken)} of {_gb(BUDGET)}; {_gb(free)} of {_gb(total)} are free"
    if taken > BUDGET:
        remedy = "twin services restart, and see what grows: twin services status"
        return Finding("memory now", "bad", told, remedy, (), _ABOUT)
    return Finding("memory now", "ok", told, requirements=_ABOUT)


def foreseen(home: Home, total: int) -> Finding:
    """With the writing model, all of the voice and the services loaded at once.

    `total`: the machine's memory; 0 where it is not known.
    """
    what = "memory, all loaded"
    try:
        base = home.settings().base
    except TwinError:
        return Finding(what, "unknown", "no base is chosen yet", requirements=_ABOUT)
    weights = _weights(home, base)
    if weights is None:
        return Finding(what, "unknown", "the size of its base is not known", requirements=_ABOUT)
    wanted = round(weights * WRITING) + API + SPEECH + DOORS
    told = f"about {_gb(wanted)} of {_gb(BUDGET)}, of which the base {_gb(weights)}"
    remedy = "choose a smaller base: twin init --base NAME (see twin models list)"
    if wanted > BUDGET:
        return Finding(what, "bad", told, remedy, (), _ABOUT)
    if total and wanted > total * SYSTEM:
        return Finding(what, "warn", f"{told}; this machine has {_gb(total)}", remedy, (), _ABOUT)
    return Finding(what, "ok", told, requirements=_ABOUT)


def used() -> int:
    """Bytes of memory of all that belongs to a twin of this user, but of who asks."""
    import psutil

    own = psutil.Process()
    asking = {own.pid, *(one.pid for one in own.parents())}
    return sum(
        size
        for one in psutil.process_iter(["name", "cmdline"])
        if one.pid not in asking and belongs(one.info["name"] or "", one.info["cmdline"] or ())
        for size in _resident(one)
    )


def belongs(name: str, command: Sequence[str]) -> bool:
    """Whether a process of that name and command line is a part of the twin."""
    if name.lower() in SERVERS:
        return True
    if any(option == "-m" and module in MODULES for option, module in pairwise(command)):
        return True
    program = [Path(word).name for word in command[:2]]
    # The gateway: Deno with the build's main file; `twin serve`: a script of that name.
    return "twin" in program or (
        program[:1] == ["deno"] and any("/gateway/" in word for word in command[1:])
    )


def _resident(process: "psutil.Process") -> Iterator[int]:
    import psutil

    try:
        yield int(process.memory_info().rss)
    except psutil.Error:
        return  # it has ended, or is another user's


def _weights(home: Home, base: str) -> int | None:
    if base.endswith(".gguf"):
        try:
            return Path(base).expanduser().stat().st_size
        except OSError:
            return None
    return next((model.bytes for model in models.CATALOGUE if model.name == base), None)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
