"""The API as a program of its own: `python -m aitwin.server`, which `twin serve` starts.

The credential comes by the environment, where other users cannot read it; what is no secret, by
arguments.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Thread, Timer

from aitwin import home
from aitwin.errors import TwinError

SHORTEST_CREDENTIAL = 32
AT_REST = 10.0
"""Seconds after the start until what grades recordings is loaded, so that the first one that comes
does not wait for that: when the page stands, which would wait for it, too."""
PATIENCE = 30.0
"""Seconds that it gets to end in by itself, when nobody is left who could end it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until it is told to end; returns the exit code."""
    home.stay_offline()
    credential = home.take_credential()
    told = _parser().parse_args(arguments)
    if told.end_with_stdin:
        Thread(target=_end_with_stdin, daemon=True).start()
    try:
        if len(credential) < SHORTEST_CREDENTIAL:
            raise TwinError(
                f"{home.CREDENTIAL} must have at least {SHORTEST_CREDENTIAL} characters; "
                "`twin serve` makes one"
            )
        _serve(told, credential)
    except TwinError as error:
        _say(str(error))
        return 1
    return 0


def _serve(told: argparse.Namespace, credential: str) -> None:
    from aitwin.server import app as application
    from aitwin.server import listening as ports
    from aitwin.server.desk import Desk
    from aitwin.server.parts import Parts

    place = home.Home.from_environment().open()
    with ExitStack() as held:
        # Before anything is opened: whoever forgot that it runs already is told at once.
        bound = (
            held.enter_context(ports.bind_unix(told.socket))
            if told.socket
            else held.enter_context(ports.bind(told.port))
        )
        parts = Parts.of(
            place,
            credential,
            desk=Desk.of(place, told.adapter),
            measuring=_measuring,
            gateway=told.gateway,
        )
        app = application.create(parts)
        # Not before: who connects would wait for as long as that takes.
        ports.listen(bound)
        warming = Timer(AT_REST, parts.bench.warm, (parts.studio,))
        warming.daemon = True
        warming.start()
        ports.run(app, bound)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m aitwin.server", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="Unix socket to listen on")
    where.add_argument("--port", type=int, help="port on 127.0.0.1")
    parser.add_argument("--adapter", default="", help="adapter that writes (the newest)")
    parser.add_argument("--gateway", default="", help="where the gateway listens")
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="end when the standard input does"
    )
    return parser


def _end_with_stdin() -> None:
    """When the pipe's other end is gone, whoever started this is, too: end as by SIGTERM."""
    # Not sys.stdin: a thread that holds its buffer when the interpreter ends makes it crash.
    while True:
        try:
            if not os.read(0, 1):
                break
        except OSError:
            break
    stubborn = Timer(PATIENCE, os._exit, (1,))
    stubborn.daemon = True
    stubborn.start()
    os.kill(os.getpid(), signal.SIGTERM)


def _measuring(what: str) -> None:
    _say(f"finding out how {what} computes fastest on this machine: once, up to half a minute …")


def _say(text: str) -> None:
    sys.stderr.write(f"twin: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
