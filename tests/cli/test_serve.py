"""twin serve as a real process: where it listens, how it ends."""

import errno
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from aitwin import rooms
from aitwin.server import app as application
from aitwin.server import listening as ports

CANARY = "zuccanary"
PROGRAM = Path(sys.executable).with_name("twin")


@pytest.fixture
def serving(trained, home):
    """A running `twin serve`: (process, its address, the environment's token)."""
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = process.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", first)
    assert address, first + process.stderr.read()
    assert "its token is in" in process.stderr.readline()
    try:
        yield process, address[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_on_loopback_alone_logs_nothing_and_ends_cleanly(serving, home, number):
    """S4, O3: bound to 127.0.0.1 and nothing else; no word of a request is logged."""
    process, address = serving
    token = (home / "secrets" / "api-token").read_text()
    assert (home / "secrets" / "api-token").stat().st_mode & 0o077 == 0
    body = {"messages": [{"role": "user", "content": f"Say no to {CANARY}."}], "max_tokens": 4}
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=address, timeout=60) as client:
        assert client.post("/v1/chat/completions", json=body, headers=headers).is_success
        assert client.post("/v1/chat/completions", json=body).status_code == 401
        assert client.post("/v1/chat/completions", json=[CANARY], headers=headers).is_client_error
    assert _listening(process.pid) <= {"0100007F"}
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    assert err == ""  # nothing of requests


def _listening(pid):
    """Addresses in hex on which a process listens for TCP (Linux; elsewhere nothing is seen)."""
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        tables = (
            Path(f"/proc/{pid}/net/tcp").read_text() + Path(f"/proc/{pid}/net/tcp6").read_text()
        )
    except OSError:
        return set()
    rows = [line.split() for line in tables.splitlines() if ":" in line]
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in own}


def test_a_port_in_use_is_told_before_anything_is_loaded(owner):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        owner("serve", "--port", str(port)).refused(f"port {port} on 127.0.0.1", "--port")


def test_nobody_is_kept_waiting_while_it_opens_what_it_has(owner, monkeypatch):
    """The first time it measures for up to half a minute: until then connections are refused."""
    bound, answers = [], []
    bind = ports.bind

    def remembered(port):
        bound.append(bind(port))
        return bound[0]

    def opening(place, adapter):
        answers.append(_connect(bound[0]))
        return None, lambda: None

    def running(app, listening):
        answers.append(_connect(listening))

    monkeypatch.setattr(ports, "bind", remembered)
    monkeypatch.setattr(rooms, "open_twin", opening)
    monkeypatch.setattr(application, "create", lambda twin, token, *, on_close: None)
    monkeypatch.setattr(ports, "run", running)
    assert owner("serve", "--port", "0").code == 0
    assert answers == [errno.ECONNREFUSED, 0]


def _connect(listening):
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex(listening.getsockname())


def test_serve_before_training_says_so(owner):
    owner("serve", "--port", "0").refused("no adapter", "twin train")
