"""The application behind a real uvicorn on a free port of loopback."""

import threading
from contextlib import contextmanager

import httpx2 as httpx
import uvicorn

from aitwin.server import app as application
from aitwin.server import listening as ports
from aitwin.server.desk import Desk, Seat
from aitwin.server.parts import Parts
from aitwin.server.problems import Problem

CREDENTIAL = "credential-of-the-tests-" + "c" * 24
HEADERS = {"Authorization": f"Bearer {CREDENTIAL}", "X-Twin-Caller": "machine"}
"""As the owner's own machine asks."""


@contextmanager
def served(app, listening=None):
    """Its address; on a socket that listens already, where one is given."""
    if listening is None:
        listening = ports.bind(0)
        ports.listen(listening)
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def asking(parts):
    """A client that shows the credential to the application over `parts`."""
    with (
        served(application.create(parts)) as address,
        httpx.Client(base_url=address, headers=HEADERS, timeout=180) as client,
    ):
        yield client


def nobody_writes() -> Desk:
    """As before the first training."""

    def opened() -> Seat:
        raise Problem("no-adapter")

    return Desk(opened)


def parts_of(home, **others) -> Parts:
    """Parts of the home at a path, with the tests' credential."""
    from aitwin.home import Home

    return Parts.of(Home(home), CREDENTIAL, **others)
