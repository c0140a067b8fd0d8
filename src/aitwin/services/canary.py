"""Tries to leave this machine, to prove that an audit sees it and that nothing gets out.

    python -m aitwin.services.canary    exit code 0 where every try was refused at once

The addresses are set aside for documentation (RFC 5737, RFC 3849), and the name for nobody (RFC
2606): even where nothing is cut off, nobody is reached.
"""

import socket
import sys
from collections.abc import Callable

ADDRESS = "192.0.2.1"
ADDRESS_6 = "2001:db8::1"
NAME = "audit.twin.invalid"
_PATIENCE = 3.0
"""Seconds. Where there is a way out, a try ends by itself only after a minute."""


def refused(attempt: Callable[[], object]) -> bool:
    """Whether the system refuses it at once; waiting in vain is no refusal."""
    try:
        attempt()
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def _connect(host: str, family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(_PATIENCE)
        one.connect((host, 443))


def _send() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"", (ADDRESS, 9))


def main() -> int:
    """Try every way."""
    ways: tuple[Callable[[], object], ...] = (
        lambda: _connect(ADDRESS, socket.AF_INET),
        lambda: _connect(ADDRESS_6, socket.AF_INET6),
        _send,
        lambda: socket.getaddrinfo(NAME, 443),
    )
    # Every one of them, even after one that was open.
    return int(sum(not refused(way) for way in ways) > 0)


if __name__ == "__main__":
    sys.exit(main())
