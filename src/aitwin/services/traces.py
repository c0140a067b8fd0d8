"""Where programs tried to connect to, read from what watched them. Does not watch: see audit.

Four watchers write differently: strace (every system call of Linux), an audit hook in every Python
(see watcher), Chromium's net log (every request of the page), and macOS's log of what its sandbox
denied. What cannot be read counts as an attempt to reach the outside.
"""

import ipaddress
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

Verdict = Literal["loopback", "unix", "kernel", "browser", "outside"]
"""`kernel`: to the system itself, such as its list of interfaces. `browser`: what a browser does of
its own accord, for no page; it is told, and is not the twin's."""
CALLS = ("connect", "sendto", "sendmsg", "sendmmsg", "bind", "io_uring_setup")
"""System calls by which something can be reached, or can be reached by others."""
_BIRTHS = ("clone", "clone3", "fork", "vfork")
TRACED = f"trace={','.join((*CALLS, *_BIRTHS))},execve"
"""What strace is to look at; births say whose a thread is."""

_KERNEL = ("AF_NETLINK", "AF_UNSPEC", "AF_ALG", "AF_SYSTEM")
_NAME_PORTS = {"53", "853", "5353", "5355"}
"""DNS, DNS over TLS, multicast DNS, LLMNR: who asks a resolver on loopback asks the world by it."""
_RESOLVERS = re.compile(
    r"/run/systemd/resolve/|/run/avahi-daemon/|/mDNSResponder$|/run/dnsmasq|/run/unbound"
)


@dataclass(frozen=True)
class Attempt:
    """One try to reach something, or to be reached."""

    watcher: Literal["strace", "python", "browser", "macos"]
    program: str
    call: str
    destination: str
    """"127.0.0.1:8787", "/path/of/a.socket", "name of WORDS.example"; no word of what was sent."""
    verdict: Verdict


@dataclass(frozen=True)
class Destination:
    """The same attempts, counted."""

    watcher: str
    program: str
    call: str
    destination: str
    verdict: Verdict
    times: int


def counted(attempts: Iterable[Attempt]) -> tuple[Destination, ...]:
    """Each destination once: those outside first, then by program."""
    order = ("outside", "browser", "loopback", "unix", "kernel")
    found = Counter(attempts)
    ordered = sorted(
        found, key=lambda one: (order.index(one.verdict), one.program, one.destination, one.call)
    )
    return tuple(Destination(**vars(one), times=found[one]) for one in ordered)


# --- What is within ------------------------------------------------------------------------------


def judged(host: str, port: str, call: str) -> tuple[str, Verdict]:
    """An internet address as it is shown, and whether it is this machine alone."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # Python lets names stand where addresses do.
        return f"{host}:{port}", "loopback" if host == "localhost" else "outside"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    if address.is_unspecified:
        # Connecting to 0.0.0.0 reaches this machine; listening on it means on every network.
        return shown, "outside" if call == "bind" else "loopback"
    if not address.is_loopback or (port in _NAME_PORTS and call != "bind"):
        return shown, "outside"
    return shown, "loopback"


def _named(host: str) -> tuple[str, Verdict]:
    """A name that is looked up; an address needs no looking up."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        within = host in ("", "localhost", socket.gethostname())
        return f"name of {host}", "loopback" if within else "outside"
    within = address.is_loopback or address.is_unspecified
    return host, "loopback" if within else "outside"


def _unix(path: str) -> tuple[str, Verdict]:
    return path or "unnamed", "outside" if _RESOLVERS.search(path) else "unix"


# --- strace --------------------------------------------------------------------------------------

_LINE = re.compile(r"(?:\[pid\s+)?(\d+)\]?\s+(\w+)\((.*)")
_BORN = re.compile(rf"(\d+)\s+(?:<\.\.\. )?(?:{'|'.join(_BIRTHS)})(?:\(| resumed).*\) += (\d+)$")
_FAMILY = re.compile(r"sa_family=(AF_\w+|0x[0-9a-f]+)")
_INET = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')
_INET6 = re.compile(r'sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"')
_PATH = re.compile(r'sun_path=(@?"(?:[^"\\]|\\.)*")')


def of_strace(text: str, programs: Mapping[int, str] | None = None) -> Iterator[Attempt]:
    """From `strace -f -s 0 -o FILE` (strace(1)): the number of the thread, and the call.

    Arguments stand on the line even where the call is interrupted (`<unfinished ...>`).
    `programs`: what processes are called, where something else knows it better than their file.
    """
    names = _names(text, programs or {})
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is not None and found[2] in CALLS:
            yield from _of_call(names(int(found[1])), found[2], found[3])


def settled(text: str) -> bool:
    """Whether the first process of a trace has ended: strace writes no more of it."""
    first = text.partition(" ")[0]
    return (
        bool(first) and re.search(rf"^{re.escape(first)} +\+\+\+ ", text, re.MULTILINE) is not None
    )


def _names(text: str, programs: Mapping[int, str]) -> Callable[[int], str]:
    """What a thread's program is called: by what it executed last, else that of its parent."""
    executed: dict[int, str] = {}
    parents: dict[int, int] = {}
    for line in text.splitlines():
        if (found := _LINE.match(line)) and found[2] == "execve":
            if (named := re.match(r'"([^"]*)"', found[3])) and not line.endswith(")"):
                executed[int(found[1])] = named[1].rpartition("/")[2]
        elif born := _BORN.match(line):
            parents[int(born[2])] = int(born[1])

    def name(thread: int) -> str:
        for _ in range(len(parents) + 1):
            if found := programs.get(thread) or executed.get(thread):
                return found
            if thread not in parents:
                return ""
            thread = parents[thread]
        return ""

    return name


def _of_call(program: str, call: str, rest: str) -> Iterator[Attempt]:
    if call == "io_uring_setup":
        yield Attempt("strace", program, call, "a ring: what goes through is not seen", "kernel")
        return
    # Of several messages in one call, each has an address of its own.
    parts = re.split(r"(?=sa_family=)", rest)[1:]
    if not parts and call in ("connect", "bind"):
        yield Attempt("strace", program, call, "unreadable", "outside")
    for part in parts:
        shown, verdict = _of_address(part, call)
        yield Attempt("strace", program, call, shown, verdict)


def _of_address(part: str, call: str) -> tuple[str, Verdict]:
    named = _FAMILY.match(part)
    family = named[1] if named else ""
    if family in ("AF_UNIX", "AF_LOCAL"):
        path = _PATH.search(part)
        return _unix(path[1].replace('"', "") if path else "")
    if found := (_INET if family == "AF_INET" else _INET6).search(part):
        return judged(found[2], found[1], call)
    if family in _KERNEL:
        return family, "kernel"
    return family or "unreadable", "outside"


# --- Python's own --------------------------------------------------------------------------------

_FAMILIES = {
    int(value): f"AF_{name}"
    for name in ("UNIX", "INET", "INET6", "NETLINK", "ALG", "SYSTEM", "VSOCK", "PACKET")
    if (value := getattr(socket, f"AF_{name}", None)) is not None
}


def of_python(text: str) -> Iterator[Attempt]:
    """From the file of watcher; damaged lines are attempts that cannot be read."""
    for line in text.splitlines():
        try:
            row = json.loads(line)
            program, call = str(row["program"]), str(row["call"])
            if call == "start":
                continue
            host, port, family = str(row["host"]), str(row["port"]), int(row["family"])
        except (ValueError, KeyError, TypeError):
            yield Attempt("python", "", "", "unreadable", "outside")
            continue
        shown, verdict = _of_row(call, _FAMILIES.get(family, ""), host, port)
        yield Attempt("python", program, call, shown, verdict)


def _of_row(call: str, family: str, host: str, port: str) -> tuple[str, Verdict]:
    if call.startswith("get"):
        return _named(host)
    if family == "AF_UNIX":
        return _unix(host.replace("\0", "@"))
    if family in ("AF_INET", "AF_INET6"):
        return judged(host or "0.0.0.0", port, call)  # noqa: S104
    return family or "unreadable", "kernel" if family in _KERNEL else "outside"


def programs(text: str) -> dict[int, str]:
    """What each Python process is called, by its number: from the file of watcher."""
    found = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
            found[int(row["pid"])] = str(row["program"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


# --- The page's ----------------------------------------------------------------------------------


def of_net_log(document: Mapping[str, Any]) -> Iterator[Attempt]:
    """From Chromium's `--log-net-log` (net/log/net_log_event_type_list.h: URL_REQUEST_START_JOB).

    A request says who began it: an origin, or none, as what the browser does by itself, and the
    first load of a page. No origin but the twin's is opened: what any asks for is the page's doing.
    """
    started = document["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    for event in document["events"]:
        told = event.get("params", {})
        if event.get("type") != started or "url" not in told:
            continue
        parts = urlsplit(str(told["url"]))
        if parts.scheme not in ("http", "https", "ws", "wss"):  # data:, blob:, chrome:
            continue
        own = "://" in str(told.get("initiator", ""))
        # What stands in the path may be the owner's words.
        place = f"{parts.scheme}://{parts.netloc}"
        _, verdict = judged(parts.hostname or "", str(parts.port or ""), "request")
        if verdict == "outside" and not own:
            yield Attempt("browser", "browser itself", "request", place, "browser")
        else:
            yield Attempt("browser", "page", "request", place, verdict)


# --- macOS ---------------------------------------------------------------------------------------

_DENIED = re.compile(
    r"Sandbox: (?P<program>[^\n]+?)\((?P<pid>\d+)\) deny(?:\(\d+\))? "
    r"(?P<call>network-\w+|mach-lookup|system-socket)\*?(?P<place>[^\n]*)"
)


def of_denials(text: str, programs: Mapping[int, str] | None = None) -> Iterator[Attempt]:
    """From `log show` of macOS, what its sandbox denied.

    A denial without an address is of a kernel control, com.apple.netsrc, which sorts addresses and
    sends nothing (https://github.com/anthropic-experimental/sandbox-runtime/issues/599).
    """
    for found in _DENIED.finditer(text):
        place = found["place"].strip()
        program = (programs or {}).get(int(found["pid"]), found["program"])
        verdict: Verdict = "outside" if place else "kernel"
        yield Attempt("macos", program, found["call"], place or "no address", verdict)
