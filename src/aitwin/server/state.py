"""How the twin stands: memory, disk, queues, what listens, what could reach the network (O3, R1).

Looks only. Counts and names of programs, files and models; never what was written or said.
"""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field

from aitwin import __version__, models
from aitwin.errors import TwinError
from aitwin.server import problems
from aitwin.server.scopes import USE
from aitwin.server.shapes import Shape

if TYPE_CHECKING:
    import psutil

    from aitwin.home import Home
    from aitwin.server.parts import Parts

BUDGET = 18_000_000_000
"""Bytes for everything together, of the 24 GB that the smallest machine has (R1)."""
TUNNELS = {"cloudflared": "Cloudflare Tunnel", "tailscaled": "Tailscale"}
"""By the program that keeps one open."""
SERVERS = ("ollama", "llama-server")
"""Programs that may hold a model for us."""

Role = Literal["api", "gateway", "supervisor", "job", "model server"]


class ProcessRow(Shape):
    """A program that belongs to the twin."""

    role: Role
    pid: int
    bytes: int
    """Resident memory; pages that several share are counted with each."""


class Memory(Shape):
    """Memory of the whole stack."""

    budget: int = BUDGET
    """Bytes that all of it may take together (R1)."""
    used: int
    """Bytes that all of it takes now."""
    total: int
    """Bytes of this machine."""
    available: int
    """Bytes that programs can still get."""
    processes: list[ProcessRow]


class Cores(Shape):
    """Processors."""

    count: int
    load: float
    """How many were wanted on average in the last minute."""


class Disk(Shape):
    """The disk that the home lies on."""

    total: int
    free: int
    encryption: Literal["on", "off", "unknown"]
    """Of the whole disk: it protects mail and recordings when the machine is stolen (P4)."""


class Loaded(Shape):
    """A model in memory."""

    what: Literal["writing", "speaking"]
    name: str


class Queue(Shape):
    """Who waits for what."""

    name: Literal["draft", "speech", "recording"]
    served: int
    """Requests being worked on: 0 or 1."""
    waiting: int
    most: int
    """How many may wait before the next one is refused (429)."""


class Listening(Shape):
    """A place where the twin takes connections."""

    role: Role
    kind: Literal["unix", "tcp"]
    address: str
    private: bool
    """Whether only this machine can reach it."""


class Reach(Shape):
    """What could reach the network, and when."""

    what: str
    when: str


class Audited(Shape):
    """What `twin audit network` found: the whole chain, cut off from the network and watched."""

    at: datetime
    state: Literal["ok", "warn", "bad", "unknown"]
    evidence: str
    """For reading: what was run, and what tried to leave."""


class State(Shape):
    """How the twin stands."""

    version: str
    platform: str
    uptime: float
    """Seconds since the API was started."""
    memory: Memory
    cores: Cores
    disk: Disk
    loaded: list[Loaded]
    queues: list[Queue]
    jobs: int
    """Jobs that run or wait."""
    training: bool
    """Whether one is running or waits."""
    gateway: str
    """Address of the door; empty where none was started."""
    listening: list[Listening]
    tunnels: list[str]
    """Programs on this machine that let others in, or could: running now."""
    reaches: list[Reach]
    audit: Audited | None = None
    """How the last audit of the network went; None: there was none yet."""


class ShelfRow(Shape):
    """A model that can be pulled."""

    name: str
    purpose: str
    licence: str
    bytes: int
    state: models.State
    writes: bool
    """Whether it is a base that drafts are written with."""
    chosen: bool
    """Whether twin.toml names it."""
    pull: str = Field(examples=["twin models pull qwen2.5-7b-instruct"])
    """The command that brings it: the only moment at which the network is used."""


class ShelfList(Shape):
    """The model shelf."""

    models: list[ShelfRow]
    free: int
    """Bytes of disk."""


def router_of(parts: "Parts") -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["state"])

    @router.get("/state", operation_id="getState", responses=problems.told("not-installed"))
    async def state() -> State:
        """Memory against the budget, queues, what listens, and what could reach the network."""
        # Of the event loop's own: read here, not in the thread.
        queues = [
            Queue(name=line.what, served=min(1, line.places), waiting=line.waiting, most=line.most)
            for line in (parts.writing, parts.speaking, parts.hearing)
        ]
        return await to_thread.run_sync(_state, parts, queues)

    @router.get("/shelf", operation_id="listShelf", openapi_extra=USE)
    async def shelf() -> ShelfList:
        """Every model that can be pulled, and which of them are here."""
        return await to_thread.run_sync(_shelf, parts.home)

    return router


def _state(parts: "Parts", queues: list[Queue]) -> State:
    import psutil

    family = list(_family())
    memory = psutil.virtual_memory()
    rows = [ProcessRow(role=role, pid=one.pid, bytes=size) for role, one, size in family]
    place = next(path for path in (parts.home.root, *parts.home.root.parents) if path.exists())
    disk = shutil.disk_usage(place)
    active = parts.jobs.active()
    tunnels = _tunnels()
    return State(
        version=__version__,
        platform=f"{platform.system()} {platform.machine()}",
        uptime=round(time.monotonic() - parts.began, 1),
        memory=Memory(
            used=sum(row.bytes for row in rows),
            total=memory.total,
            available=memory.available,
            processes=rows,
        ),
        cores=Cores(count=os.cpu_count() or 1, load=round(os.getloadavg()[0], 2)),
        disk=Disk(total=disk.total, free=disk.free, encryption=encryption(place)),
        loaded=_loaded(parts),
        queues=queues,
        jobs=len(active),
        training=any(record.kind == "training" for record in active),
        gateway=parts.gateway,
        listening=[place for role, one, _ in family for place in _listening(role, one)],
        tunnels=tunnels,
        reaches=_reaches(parts.home, tunnels),
        audit=_audited(parts.home),
    )


def _loaded(parts: "Parts") -> list[Loaded]:
    rows = [Loaded(what="speaking", name=name) for name in parts.studio.loaded]
    if name := parts.desk.loaded:
        rows.insert(0, Loaded(what="writing", name=name))
    return rows


def _family() -> "Iterator[tuple[Role, psutil.Process, int]]":
    """This process, what it has started, what has started it, and what that has started."""
    import psutil

    own = psutil.Process()
    children = {child.pid for child in own.children(recursive=True)}
    above = own.parent()
    all_ = [own, *own.children(recursive=True)]
    # Started by hand, the API stands below a shell, with which it has nothing to do.
    if above is not None and _supervises(above):
        all_ = [above, own, *(one for one in above.children(recursive=True) if one != own)]
    all_ += [one for one in psutil.process_iter(["name"]) if one.info["name"] in SERVERS]
    for one in all_:
        role: Role = "gateway"
        if one == own:
            role = "api"
        elif one == above:
            role = "supervisor"
        elif one.pid in children:
            role = "job"
        with suppress(psutil.Error):  # ended meanwhile, or another user's
            if one.name() in SERVERS:
                role = "model server"
            yield role, one, one.memory_info().rss


def _supervises(process: "psutil.Process") -> bool:
    import psutil

    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return "serve" in command and any("twin" in Path(word).name for word in command[:4])


def _listening(role: Role, process: "psutil.Process") -> Iterator[Listening]:
    import psutil

    try:
        for one in process.net_connections("inet"):
            if one.status == psutil.CONN_LISTEN:
                host, port = one.laddr
                private = host == "::1" or host.startswith("127.")
                shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                yield Listening(role=role, kind="tcp", address=shown, private=private)
        seen: set[str] = set()
        for one in process.net_connections("unix"):
            # Both ends of a connection have the path; on macOS, nothing says which one listens.
            path = str(one.laddr)
            if path.startswith("/") and path not in seen and role == "api":
                seen.add(path)
                yield Listening(role=role, kind="unix", address=path, private=True)
    except psutil.Error:
        return  # ended meanwhile, or another user's


def _tunnels() -> list[str]:
    import psutil

    running = {process.info["name"] for process in psutil.process_iter(["name"])}
    return [title for program, title in TUNNELS.items() if program in running]


def _reaches(home: "Home", tunnels: list[str]) -> list[Reach]:
    rows = [
        Reach(
            what="twin models pull", when="only when you run it: it fetches a model, sends nothing"
        )
    ]
    with suppress(TwinError):
        settings = home.settings()
        writer = settings.writer
        if settings.remote.access_team:
            when = "once a day: Cloudflare's public keys come, and nothing of yours goes"
            rows.append(Reach(what="keys of Cloudflare Access", when=when))
        if writer.engine != "embedded":
            where = f"{writer.engine} on this machine"
            rows.append(Reach(what=where, when="drafts go there; what it does is its own affair"))
    rows += [
        Reach(what=title, when="as long as it runs: whoever it lets in reaches the sign-in")
        for title in tunnels
    ]
    return rows


def _audited(home: "Home") -> Audited | None:
    """From the newest report of services.audit, which is no part of the server."""
    for path in sorted(home.audits.glob("*.json"), reverse=True):
        with suppress(OSError, ValueError):
            return Audited.model_validate_json(path.read_bytes())
    return None


def encryption(place: Path) -> Literal["on", "off", "unknown"]:
    """Whether the disk of `place` is encrypted as a whole, as far as the system tells."""
    if platform.system() == "Darwin":
        command = ["/usr/bin/fdesetup", "status"]
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, check=False, timeout=5
            )
            return "on" if "FileVault is On" in done.stdout else "off"
        return "unknown"
    device = place.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not found.exists():
        return "unknown"  # of a container, or a network
    return "on" if _is_crypt(found) else "off"


def _is_crypt(device: Path) -> bool:
    """Whether a block device of Linux, or one that it lies upon, is dm-crypt's."""
    mapped = device / "dm" / "uuid"
    if mapped.is_file() and mapped.read_text().startswith("CRYPT-"):
        return True
    below = device / "slaves"
    return below.is_dir() and any(_is_crypt(one) for one in below.iterdir())


def _shelf(home: "Home") -> ShelfList:
    chosen = ""
    with suppress(TwinError):
        chosen = home.settings().base
    shelf = models.Shelf(home.models)
    place = next(path for path in (home.models, *home.models.parents) if path.exists())
    return ShelfList(
        free=shutil.disk_usage(place).free,
        models=[
            ShelfRow(
                name=model.name,
                purpose=model.purpose,
                licence=model.licence,
                bytes=model.whole,
                state=shelf.state(model),
                writes=model.writes,
                chosen=model.name == chosen,
                pull=f"twin models pull {model.name}",
            )
            for model in models.CATALOGUE
        ],
    )
