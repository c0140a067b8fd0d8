"""twin services for real: kept by a real tmux, killed with kill -9."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import gateway, units

PROGRAM = Path(sys.executable).with_name("twin")


@pytest.fixture
def place(monkeypatch) -> Iterator[Home]:
    """A home with a short path: that of a socket has a limit."""
    path = Path(tempfile.mkdtemp(prefix="twin-", dir="/tmp"))
    monkeypatch.setenv("TWIN_HOME", str(path))
    # The sources that are tested, wherever the installed twin comes from.
    monkeypatch.setenv("PYTHONPATH", str(Path(units.__file__).parents[2]))
    yield Home(path)
    subprocess.run(["tmux", "-S", path / "run/tmux.sock", "kill-server"], capture_output=True)
    shutil.rmtree(path)


def twin(*words: str, code: int = 0) -> str:
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def states() -> dict[str, dict]:
    done = subprocess.run([PROGRAM, "services", "status", "--json"], capture_output=True, text=True)
    return {one["name"]: one for one in json.loads(done.stdout)}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def comes(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
def test_the_stack_lives_through_kills_and_leaves_nothing(place):
    """O4: each service comes back after kill -9; upgrades in place; a clean removal."""
    try:
        gateway.find()
    except TwinError as error:
        pytest.skip(f"no gateway: {error}")
    port = free_port()
    said = twin("services", "install", "--with", "tmux", "--port", str(port))
    assert "installed: api, gateway, keeper" in said
    before = states()
    assert {one["state"] for one in before.values()} == {"well"}

    # Again: nothing is touched.
    assert "installed" not in twin("services", "install", "--with", "tmux", "--port", str(port))
    assert {one["process"] for one in states().values()} == {
        one["process"] for one in before.values()
    }
    assert "served already" in twin("serve", "--port", "0", code=1)
    assert f"http://127.0.0.1:{port}/login#" in twin("login")

    # Killed, each is there again, and the other one never ended.
    for one in before.values():
        os.kill(one["process"], signal.SIGKILL)
    comes(lambda: all(ended(one["process"]) for one in before.values()), "still running")
    comes(lambda: {one["state"] for one in states().values()} == {"well"}, "not well again")
    after = states()
    assert not {one["process"] for one in after.values()} & {
        one["process"] for one in before.values()
    }

    logs = place.root / "logs" / "services"
    assert all(file.stat().st_mode & 0o077 == 0 for file in logs.iterdir())
    lines = twin("services", "logs", "gateway").splitlines()
    assert len([line for line in lines if "the gateway starts" in line]) == 2

    # tmux was told no more than what is in the definitions, and none of them holds the credential.
    secret = (place.run / "services" / "credential").read_text()
    for one in after.values():
        command = Path(f"/proc/{one['process']}/cmdline")
        assert not command.exists() or secret not in command.read_text()

    twin("services", "restart")
    assert all(ended(one["process"]) for one in after.values())
    after = states()
    assert {one["state"] for one in after.values()} == {"well"}
    # A new run of the stack has a new credential.
    assert (place.run / "services" / "credential").read_text() != secret

    twin("services", "stop")
    assert all(ended(one["process"]) for one in after.values())
    assert {one["state"] for one in states().values()} == {"stopped"}
    assert not (place.run / "services" / "credential").exists()
    assert "ollama" in twin("services", "run", "ollama", code=1)
    twin("services", "start")
    assert {one["state"] for one in states().values()} == {"well"}
    twin("services", "uninstall")
    assert not logs.exists()
    assert not list((place.run / "services" / "tmux").iterdir())
    assert not subprocess.run(
        ["tmux", "-S", place.run / "tmux.sock", "ls"], capture_output=True
    ).stdout
    assert "no services are installed" in twin("services", "status", code=1)
