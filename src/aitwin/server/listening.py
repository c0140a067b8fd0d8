"""Where the server listens, and how it runs and ends. Never on anything but this machine."""

import fcntl
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from fastapi import FastAPI

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.server.problems import LEFT, of, place

LOOPBACK = "127.0.0.1"
UNIX_HOST = "twin.invalid"
"""What the gateway calls the host behind the Unix socket: nobody can have it (RFC 6761)."""

DRAIN = 10
"""Seconds for the requests under way when the server ends; then they are cut off."""
LONGEST_PATH = 103
"""Bytes: 104 on macOS, with the zero at the end."""


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


@contextmanager
def bind_unix(path: Path) -> Iterator[socket.socket]:
    """A Unix socket at `path`, for its owner alone (0600), that refuses connections until `listen`.

    It is removed with the block. What a server that was killed left behind is replaced. Raises
    TwinError when a server listens there, something else lies there, or the path is too long.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise TwinError(
            f"{path} is too long for a socket ({LONGEST_PATH} bytes at most); set TWIN_HOME to a "
            "shorter path, or run `twin serve --api tcp`"
        )
    artifact.make_private_dir(path.parent)
    path.parent.chmod(0o700)
    # The lock goes with the process, however it ends; a socket file stays behind.
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _served(path) from None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
            own = _bound_at(bound, path)
            try:
                yield bound
            finally:
                # Not what another has put there meanwhile.
                with suppress(FileNotFoundError):
                    if path.stat().st_ino == own:
                        path.unlink()
    finally:
        os.close(lock)


def _bound_at(bound: socket.socket, path: Path) -> int:
    """Bind, in the place of what was left behind; the inode. The lock is held."""
    if path.exists() and not path.is_socket():
        raise TwinError(f"{path} is no socket; move it away, the twin listens there")
    if _answers(path):
        raise _served(path)
    path.unlink(missing_ok=True)
    # Not made under another name and moved here: the system would go on calling it that. Until its
    # mode is set, nobody listens, and the directory is the owner's alone.
    try:
        bound.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        raise TwinError(
            f"no socket can be made at {path} ({error.strerror}); set TWIN_HOME to a directory on "
            "a disk of this machine, or run `twin serve --api tcp`"
        ) from None
    return path.stat().st_ino


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
    return True


def _served(path: Path) -> TwinError:
    return TwinError(
        f"a twin is being served already at {path}; stop that one first (Ctrl-C where it runs)"
    )


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
    """Serve until SIGINT or SIGTERM; then refuse what is new, and finish what is under way."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN,
    )
    logging.getLogger("uvicorn.error").addFilter(_without_words)
    silence()
    # uvicorn raises the signal once more when it has shut down; it did end well, so: exit code 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # Event streams never end by themselves: uvicorn would wait for them in vain.
            app.state.ending()
            super().handle_exit(sig, frame)

    Server(config).run(sockets=[listening])


def silence() -> None:
    """Have nothing logged by what quotes bytes of the forms that it reads."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def _without_words(record: logging.LogRecord) -> bool:
    """Make of a traceback its kind and place: the text of an error may quote a mail."""
    if record.exc_info and (error := record.exc_info[1]):
        root = error
        # What is raised when the answer is on its way already, and no status can be sent any more.
        while isinstance(root, RuntimeError) and root.__cause__ is not None:
            root = root.__cause__
        if isinstance(root, LEFT):
            return False
        problem = of(root)
        if problem.kind == "bug":
            record.msg, record.args = "%s", (place(root),)
        else:
            what = "a request failed" if root is error else "a stream was cut off"
            record.msg, record.args = f"{what}: %s", (problem.detail,)
        record.exc_info = record.exc_text = None
    return True
