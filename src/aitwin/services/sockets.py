"""What listens on this machine, and where: read from the system, not from what was intended (O3).

On Linux from /proc, elsewhere from `lsof`. Sees what the processes of the same user listen on; on
Linux, of others the address alone.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aitwin.services.commands import Commands

_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp."""


@dataclass(frozen=True)
class Listener:
    """A TCP socket that takes connections."""

    address: str
    port: int
    program: str = ""
    """Name of the process; empty where it is not ours to see."""
    pid: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def place(self) -> str:
        """As addresses are written."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def listeners(system: str, commands: Commands, proc: Path = Path("/proc")) -> list[Listener] | None:
    """Every listening TCP socket that can be seen; None where there is nothing to ask."""
    if system == "Linux":
        return list(_of_proc(proc))
    done = commands.run(["lsof", "-nP", "-iTCP", "-sTCP:LISTEN", "-FpcnR"])
    # lsof ends with 1 when it lists nothing, and when it was denied a part of it.
    if done.missing or (not done.ok and not done.out and done.err.strip()):
        return None
    return list(of_lsof(done.out))


def of_lsof(text: str) -> Iterator[Listener]:
    """From `lsof -F pcn` (lsof(8), "OUTPUT FOR OTHER PROGRAMS"): one field to a line."""
    pid, program = 0, ""
    for line in text.splitlines():
        field, value = line[:1], line[1:]
        if field == "p":
            pid, program = int(value), ""
        elif field == "c":
            program = value
        elif field == "n" and (found := re.fullmatch(r"(.+):(\d+)", value)):
            host = found[1].strip("[]")
            # Scope of a link-local address: fe80::1%lo0.
            host = {"*": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host).partition("%")[0]  # noqa: S104
            yield Listener(host, int(found[2]), program, pid)


def _of_proc(proc: Path) -> Iterator[Listener]:
    owners = _owners(proc)
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTEN:
                host, _, port = columns[1].partition(":")
                pid, program = owners.get(columns[9], (0, ""))
                yield Listener(_address(host), int(port, 16), program, pid)


def _address(digits: str) -> str:
    """From the kernel's hexadecimal: words of four bytes, each in the machine's order."""
    words = [bytes.fromhex(digits[start : start + 8])[::-1] for start in range(0, len(digits), 8)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _owners(proc: Path) -> dict[str, tuple[int, str]]:
    """Process and its name by the inode of a socket that it holds."""
    found: dict[str, tuple[int, str]] = {}
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        try:
            name = (process / "comm").read_text().strip()
            for handle in (process / "fd").iterdir():
                target = str(handle.readlink())
                if target.startswith("socket:["):
                    found[target[8:-1]] = (int(process.name), name)
        except OSError:
            continue  # it has ended, or is somebody else's
    return found
