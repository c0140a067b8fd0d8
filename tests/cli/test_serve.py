"""twin serve as a real process: the gateway and the API, where they listen, how they end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest

from aitwin.errors import TwinError
from aitwin.services import doctor, gateway
from tests.services.test_supervisor import alive, until

CANARY = "zuccanary"
PROGRAM = Path(sys.executable).with_name("twin")


@pytest.fixture
def home(monkeypatch) -> Iterator[Path]:
    """A home with a short path: that of a socket has a limit."""
    path = Path(tempfile.mkdtemp(prefix="twin-", dir="/tmp"))
    monkeypatch.setenv("TWIN_HOME", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def built() -> None:
    """The gateway's build, which `make test` has made."""
    try:
        gateway.find()
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"no gateway: {error}")


@dataclass
class Serving:
    """A running `twin serve`."""

    process: "subprocess.Popen[str]"
    page: str
    """Its address."""
    code: str
    """Of the link that it printed."""
    said: str

    def children(self) -> list[int]:
        """The API, then the gateway."""
        children = psutil.Process(self.process.pid).children()
        ordered = sorted(children, key=lambda child: "aitwin.server" not in child.cmdline())
        return [child.pid for child in ordered]


@contextmanager
def serving(*options: str) -> Iterator[Serving]:
    """`twin serve` until the block ends, at the latest."""
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        printed = process.stdout.readline()
        link = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/login#(\S{43})\n", printed)
        assert link, printed + process.stderr.read()
        said = process.stderr.readline() + process.stderr.readline()
        yield Serving(process, link[1], link[2], said)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def token(*options: str) -> dict[str, str]:
    """The header of a program with a fresh token."""
    name = f"program {len(options)}"
    made = subprocess.run(
        [PROGRAM, "token", "create", name, *options], capture_output=True, text=True, check=True
    )
    return {"Authorization": f"Bearer {made.stdout.strip()}"}


def listening(pid: int) -> set[str]:
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


@pytest.mark.model
def test_a_program_writes_by_way_of_the_gateway_and_nothing_is_logged(trained, built, home):
    """A3, S4, O3, P1: the page's port is on loopback; the API has none; no word is logged."""
    with serving() as served, httpx.Client(base_url=served.page, timeout=60) as client:
        api, door = served.children()
        assert listening(api) == set()
        assert listening(door) <= {"0100007F"}
        socket_file = home / "run" / "api.sock"
        assert socket_file.stat().st_mode & 0o077 == 0
        assert socket_file.parent.stat().st_mode & 0o077 == 0
        body = {"messages": [{"role": "user", "content": f"Say no to {CANARY}."}], "max_tokens": 4}
        program = token()
        assert client.post("/v1/chat/completions", json=body, headers=program).is_success
        stranger = {"Authorization": f"Bearer {'x' * 43}"}
        refused = client.post("/v1/chat/completions", json=body, headers=stranger)
        assert refused.status_code == 401
        wrong = client.post("/v1/chat/completions", json=[CANARY], headers=program)
        assert wrong.is_client_error
        streamed = body | {"stream": True, "max_tokens": 40}
        with client.stream("POST", "/v1/chat/completions", json=streamed, headers=program) as reply:
            lines = reply.iter_lines()
            assert next(lines).startswith("data: ")
            served.process.send_signal(signal.SIGTERM)
            assert "data: [DONE]" in list(lines)  # what is under way is finished
        out, err = served.process.communicate(timeout=60)
    assert served.process.returncode == 0
    assert out == ""
    assert err == ""  # nothing of requests
    assert not alive(api)
    assert not alive(door)
    assert not socket_file.exists()
    kept = [path for path in home.rglob("*") if path.is_file() and "models" not in path.parts]
    holding = [path.name for path in kept if CANARY.encode() in path.read_bytes()]
    assert holding == []


def test_the_link_opens_the_page_once_and_a_token_works_until_it_is_revoked(built, home):
    """O3: before anybody has said whose twin it is, too."""
    with serving() as served, httpx.Client(base_url=served.page, timeout=30) as page:
        assert page.get("/", follow_redirects=False).status_code == 303
        origin = {"Origin": served.page}
        login = page.post("/api/session", json={"code": served.code}, headers=origin)
        assert login.is_success, login.text
        cookie = login.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert page.get("/", follow_redirects=False).status_code == 200
        again = httpx.post(f"{served.page}/api/session", json={"code": served.code}, headers=origin)
        assert again.status_code == 401
        link = subprocess.run([PROGRAM, "login"], capture_output=True, text=True, check=True)
        assert link.stdout.startswith(f"{served.page}/login#")
        assert link.stdout.strip().rpartition("#")[2] != served.code
        tunnel = [PROGRAM, "login", "--page", "https://twin.example/"]
        link = subprocess.run(tunnel, capture_output=True, text=True, check=True)
        assert link.stdout.startswith("https://twin.example/login#")
        assert subprocess.run([*tunnel[:3], "x y"], capture_output=True).returncode == 2
        program = token()
        assert httpx.get(f"{served.page}/v1/models", headers=program).is_success
        subprocess.run([PROGRAM, "token", "revoke", "program 0"], capture_output=True, check=True)
        # The gateway remembers a token for a minute; the API does not.
        assert httpx.get(f"{served.page}/v1/models", headers=program).status_code == 401


def test_a_child_that_is_killed_comes_back_and_the_sessions_live_on(built, home):
    with serving() as served:
        program = token()
        api, door = served.children()
        for number, killed in ((1, api), (2, door)):
            os.kill(killed, signal.SIGKILL)
            lines = [served.process.stderr.readline() for _ in range(2)]
            assert "was ended by SIGKILL; it is started again in" in lines[0], (number, lines)
            assert "is back" in lines[1], (number, lines)
            assert httpx.get(f"{served.page}/v1/models", headers=program).is_success
        assert not {api, door} & set(served.children())


def test_none_outlives_twin_serve_that_is_killed(built, home):
    with serving() as served:
        children = served.children()
        assert len(children) == 2
        served.process.kill()
        until(lambda: not any(map(alive, children)))
        assert subprocess.run([PROGRAM, "login"], capture_output=True, check=False).returncode == 1
    with serving("--api", "tcp") as again:  # what was left behind is no hindrance
        assert httpx.get(f"{again.page}/v1/models", headers=token("--days", "1")).is_success
        api, door = again.children()
        assert listening(api) | listening(door) <= {"0100007F"}


def test_a_second_one_is_refused_and_told_where_the_first_is(built, home, twin):
    with serving() as served:
        twin("serve", "--port", "0").refused("served already", served.page, "twin login")


def test_a_port_in_use_is_told_before_anything_is_started(built, owner):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        owner("serve", "--port", port).refused(f"port {port} on 127.0.0.1", "--port")
        both = ("--api", "tcp", "--api-port", port)
        owner("serve", "--port", "0", *both).refused(f"port {port}", "--api-port")


def test_a_home_that_cannot_hold_a_socket_is_told_what_to_do(built, twin, home, monkeypatch):
    long = home / ("x" * 90)
    monkeypatch.setenv("TWIN_HOME", str(long))
    twin("serve", "--port", "0").refused("cannot be the name of a socket", "--api tcp")


def test_without_a_build_it_says_how_to_get_one(twin, home, tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "aitwin" / "__init__.py"
    monkeypatch.setattr(gateway.aitwin, "__file__", str(package))
    twin("serve", "--port", "0").refused("no gateway", "make wheel", "--no-gateway")
    clone = tmp_path / "clone"
    (clone / "gateway").mkdir(parents=True)
    (clone / "gateway" / "deno.json").touch()
    monkeypatch.setattr(gateway.aitwin, "__file__", str(clone / "src" / "aitwin" / "__init__.py"))
    twin("serve", "--port", "0").refused("not built yet", "make gateway")
    installed = clone / "src" / "aitwin" / "gateway" / "main.js"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert gateway.find() == installed.parent


def test_what_is_not_installed_is_told_before_anything_is_started(twin, home, monkeypatch):
    monkeypatch.setitem(doctor.PARTS, "serving", ("no_such_module_here",))
    twin("serve", "--port", "0").refused("no_such_module_here", "pip install 'aitwin[serve]'")


def test_deno_may_come_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deno", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TwinError, match=r"pip install 'aitwin\[serve\]'"):
        gateway.deno()
    (tmp_path / "deno").write_text("#!/bin/sh\n")
    (tmp_path / "deno").chmod(0o755)
    assert gateway.deno() == str(tmp_path / "deno")


def test_the_api_alone_lends_its_credential_while_it_runs(home):
    process = subprocess.Popen(
        [PROGRAM, "serve", "--no-gateway", "--api", "tcp"], stderr=subprocess.PIPE, text=True
    )
    with process:
        first, second = process.stderr.readline(), process.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert address, first
        file = home / "run" / "serving" / "credential"
        assert str(file) in second
        assert file.stat().st_mode & 0o077 == 0
        headers = {"Authorization": f"Bearer {file.read_text()}", "X-Twin-Caller": "machine"}
        assert httpx.get(f"{address[0]}/v1/models", headers=headers).is_success
        login = subprocess.run([PROGRAM, "login"], capture_output=True, text=True, check=False)
        assert "without its page" in login.stderr
        environ = Path(f"/proc/{process.pid}/cmdline")
        if environ.exists():
            assert file.read_text() not in environ.read_text()
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert not file.exists()


def test_login_while_nothing_is_served_says_so(twin, home):
    twin("login").refused("not served", "twin serve")


def test_settings_of_the_gateway_are_those_that_it_may_read(built, home, monkeypatch):
    """The owner's variables for a tunnel reach it; others do not."""
    build = gateway.find()
    names = gateway.permitted(build)
    assert {"TWIN_HOSTS", "TWIN_ACCESS_KEYS"} <= names
    assert not names & {"TWIN_TOKEN", "TWIN_UPSTREAM", "PORT", "HOME", "TWIN_CREDENTIAL"}
    upstream = gateway.Upstream(socket=home / "run" / "api.sock")
    settings = {"TWIN_HOSTS": "twin.example", "TWIN_ACCESS_KEYS": "/keys.json"}
    told = gateway.Plan(8787, upstream, "c" * 43, home / "deno", settings)
    launch = gateway.launch(build, told)
    assert launch.environment["TWIN_HOSTS"] == "twin.example"
    assert launch.environment["TWIN_UPSTREAM"] == f"unix:{home}/run/api.sock"
    assert "--allow-read=/keys.json" in launch.command
    assert not any("{" in part or "c" * 43 in part for part in launch.command)
    assert "c" * 43 not in repr(launch) + repr(told)
    with pytest.raises(TwinError, match="comma"):  # Deno would take it for two permissions
        gateway.launch(build, replace(told, settings={"TWIN_ACCESS_KEYS": "/a,/etc"}))
    launched = json.dumps(launch.command)
    assert f"--allow-net=127.0.0.1:8787,unix:{home}/run/api.sock" in launched
