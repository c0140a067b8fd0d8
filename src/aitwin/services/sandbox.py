"""Programs that reach this machine and nothing else: loopback, and Unix sockets.

    python -m aitwin.services.sandbox COMMAND …    runs COMMAND where there is only loopback (Linux)

Linux: a network namespace of its own, in which no other interface is. macOS: a profile of Seatbelt,
which the services of the twin run under as well. Does not look at what is tried: see traces.
"""

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from aitwin.errors import TwinError
from aitwin.services.commands import Commands, System, find

SANDBOX_EXEC = "/usr/bin/sandbox-exec"
TAG = "aitwin-sandbox"
"""Ends every message of the system's log about what the profile denied."""
PROFILE = f"""\
(version 1)
(allow default)
(deny network* (with message "{TAG}"))
(allow network-bind (local ip "localhost:*"))
(allow network-inbound (local ip "localhost:*"))
(allow network-outbound (remote ip "localhost:*"))
(allow network* (local unix-socket) (remote unix-socket))
(deny network-outbound (literal "/private/var/run/mDNSResponder") (with message "{TAG}"))
(deny network-outbound (literal "/var/run/mDNSResponder") (with message "{TAG}"))
(deny mach-lookup (global-name "com.apple.dnssd.service") (with message "{TAG}"))
"""
"""For sandbox-exec(1): of rules that fit, the last one counts.

`(local ip …)` does not hold for outgoing connections, whose own end is not bound yet, so those are
told by `(remote ip …)`. The resolver is a Unix socket, or a Mach service: whoever asks it for
WORDS.example has told WORDS to the internet, so it is closed although Unix sockets are not. We
name 127.0.0.1 by number throughout.
"""

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
"""CLONE_NEWUSER and CLONE_NEWNET of sched.h; Python has os.unshare only from 3.12 on."""
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
"""SIOCGIFFLAGS, SIOCSIFFLAGS and IFF_UP: netdevice(7)."""


def cut_off(command: Sequence[str], system: str = "") -> tuple[str, ...]:
    """The command, where it reaches loopback and Unix sockets alone."""
    if (system or platform.system()) == "Darwin":
        return (SANDBOX_EXEC, "-p", PROFILE, *command)
    return (sys.executable, "-m", __name__, *command)


def confined(
    command: Sequence[str], system: str = "", commands: Commands | None = None
) -> tuple[str, ...]:
    """The command of a service, which others of this machine must reach.

    On Linux it is unchanged: a namespace would hide its port from the owner's browser. So it is
    where macOS does not take the profile (`twin audit network` says so): a twin that is silent
    because nobody could forbid it to talk is better than one that does not start.
    """
    system = system or platform.system()
    if system == "Darwin" and not lacking(system, commands or System()):
        return cut_off(command, system)
    return tuple(command)


def lacking(system: str, commands: Commands) -> str:
    """Why nothing can be cut off on this machine; empty when it can."""
    if system == "Darwin":
        done = commands.run([SANDBOX_EXEC, "-p", PROFILE, "/usr/bin/true"])
        if done.ok:
            return ""
        return "sandbox-exec does not take the profile" if not done.missing else "no sandbox-exec"
    if system != "Linux":
        return f"{system} is not supported"
    if commands.run(cut_off(["true"], system)).ok:
        return ""
    return (
        "a user may not make network namespaces here (see kernel.unprivileged_userns_clone, "
        "kernel.apparmor_restrict_unprivileged_userns and user.max_net_namespaces of sysctl)"
    )


def enter() -> None:
    """Leave the network: this process, and whatever it starts, has loopback alone (Linux).

    It stays the same user, with no right beyond that. Raises TwinError where that is not allowed.
    """
    import ctypes

    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if libc.unshare(_NEW_USER | _NEW_NET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        own = Path("/proc/self")
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"{user} {user} 1")
        (own / "gid_map").write_text(f"{group} {group} 1")
        _raise_loopback()
    except OSError as error:
        raise TwinError(f"no network namespace can be made ({error.strerror})") from None


def _raise_loopback() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", asked)[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def main(command: Sequence[str]) -> int:
    """Become the command, cut off."""
    program = find(command[0]) if command else None
    if program is None:
        sys.stderr.write("usage: python -m aitwin.services.sandbox COMMAND …\n")
        return 2
    try:
        enter()
    except TwinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return os.execv(program, list(command))  # noqa: S606 - the command is ours


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
