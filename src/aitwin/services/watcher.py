"""What a Python process asks of the network, written down by itself. Imports nothing of ours.

An audit puts a copy of this file, called sitecustomize.py, in front of the path of every Python
process: it is imported at the start, adds an audit hook (sys.addaudithook), which nothing can take
away again, and lets a sitecustomize that was there before do what it does. Only addresses and names
of hosts are written, to `python.trace` beside it; never what is sent.
"""

import json
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

ADDRESSED = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind")
NAMED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
TRACE = "python.trace"


def program(command: list[str]) -> str:
    """What a process is called in the report: "twin write", "aitwin.server", "python".

    Only the first word of a command: what follows may be the owner's words.
    """
    if "-m" not in command:
        return Path(command[1]).name if command[1:] and command[1].endswith(".py") else "python"
    rest = command[command.index("-m") + 1 :]
    if rest[:1] == ["aitwin"]:
        return f"twin {rest[1]}" if rest[1:] else "twin"
    return rest[0] if rest else "python"


def row(event: str, arguments: tuple[Any, ...]) -> dict[str, Any] | None:
    """The event as it is written down; None for those that go nowhere."""
    if event in ADDRESSED:
        socket, address = arguments
        if address is None:  # it is connected, and that was written down
            return None
        found: dict[str, Any] = {"call": event.partition(".")[2], "family": int(socket.family)}
        if isinstance(address, tuple):
            return {**found, "host": str(address[0]), "port": str(address[1])}
        path = address if isinstance(address, str) else bytes(address).decode(errors="replace")
        return {**found, "host": path, "port": ""}
    if event in NAMED and arguments[0] is not None:
        asked = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
        host = asked.decode(errors="replace") if isinstance(asked, bytes) else str(asked)
        return {"call": event.partition(".")[2], "family": 0, "host": host, "port": ""}
    return None


def watch(trace: Path) -> None:
    """Write down, from now on, what this process asks of the network."""
    # One write to a file opened for appending: lines of several processes do not mix.
    handle = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    name = program(sys.orig_argv)

    def write(found: dict[str, Any]) -> None:
        line = json.dumps({"pid": os.getpid(), "program": name, **found})
        os.write(handle, line.encode() + b"\n")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ADDRESSED or event in NAMED:
            found = row(event, arguments)
            if found:
                write(found)

    write({"call": "start"})
    sys.addaudithook(hook)


if __name__ == "sitecustomize":
    own = Path(__file__).parent
    watch(own / TRACE)
    # Debian has a sitecustomize of its own, and a virtual environment may.
    sys.path = [place for place in sys.path if Path(place) != own]
    shadowed = PathFinder.find_spec("sitecustomize")
    if shadowed is not None and shadowed.loader is not None:
        shadowed.loader.exec_module(module_from_spec(shadowed))
