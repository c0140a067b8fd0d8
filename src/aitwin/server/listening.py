"""Where the server listens, and how it runs and ends. Never on anything but this machine."""

import logging
import signal
import socket

from fastapi import FastAPI

from aitwin.errors import TwinError

LOOPBACK = "127.0.0.1"


def bind(port: int) -> socket.socket:
    """A socket on loopback that holds the port and refuses connections until `listen`.

    Raises TwinError when the port is taken.
    """
    # With the protocol named, asyncio turns Nagle's algorithm off: 40 ms per request otherwise.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError as error:
        bound.close()
        raise _unusable(port, error) from None
    return bound


def listen(bound: socket.socket) -> None:
    """Take connections from now on.

    Raises TwinError when another program was first: two may bind a port while neither listens.
    """
    try:
        bound.listen(128)
    except OSError as error:
        raise _unusable(bound.getsockname()[1], error) from None


def _unusable(port: int, error: OSError) -> TwinError:
    return TwinError(
        f"port {port} on {LOOPBACK} cannot be used ({error.strerror}); "
        "stop the other program, or choose another with `twin serve --port`"
    )


def run(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests that are under way."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    logging.getLogger("uvicorn.error").addFilter(_without_words)
    # uvicorn raises the signal once more when it has shut down; it did end well, so: exit code 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)
    uvicorn.Server(config).run(sockets=[listening])


def _without_words(record: logging.LogRecord) -> bool:
    """Make of a traceback its kind and place: the text of an error may quote a mail."""
    if record.exc_info and record.exc_info[1]:
        kind, error, trace = record.exc_info
        if isinstance(error.__cause__, TwinError):
            # The sound was on its way already, and no status can be sent any more.
            record.msg, record.args = "a stream was cut off: %s", (str(error.__cause__),)
            record.exc_info = record.exc_text = None
            return True
        while trace and trace.tb_next:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        record.msg, record.args = (
            "%s in %s: a bug; please report it",
            (kind and kind.__name__, place),
        )
        record.exc_info = record.exc_text = None
    return True
