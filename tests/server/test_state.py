"""How the twin stands: memory, queues, what listens, what is here (O3, R1, P1)."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from aitwin import models
from aitwin.home import Home, RemoteSettings, Settings, WriterSettings
from aitwin.server import app as application
from aitwin.server import listening as ports
from aitwin.server import state
from tests.server.served import HEADERS, asking, parts_of, served


def test_memory_is_that_of_all_our_processes(parts, http):
    """R1: a program that the server has started counts, and what it has for it is told."""
    own = http.get("/state").json()["memory"]
    with subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(80_000_000); print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as job:  # fmt: skip
        job.stdout.readline()
        with_job = http.get("/state").json()["memory"]
        job.communicate(b"\n")
    assert own["budget"] == 18_000_000_000
    rows = {row["pid"]: row for row in with_job["processes"]}
    assert rows[os.getpid()]["role"] == "api"
    assert rows[job.pid]["role"] == "job"
    assert rows[job.pid]["bytes"] > 80_000_000
    assert with_job["used"] == sum(row["bytes"] for row in with_job["processes"])


def test_what_listens_is_told_and_what_others_can_reach_is_no_private_place(parts, http):
    with socket.socket() as open_to_all, socket.socket() as private:
        for one, host in ((open_to_all, "0.0.0.0"), (private, "127.0.0.1")):  # noqa: S104
            one.bind((host, 0))
            one.listen()
        rows = http.get("/state").json()["listening"]
        found = {row["address"]: row["private"] for row in rows if row["kind"] == "tcp"}
        assert found[f"0.0.0.0:{open_to_all.getsockname()[1]}"] is False
        assert found[f"127.0.0.1:{private.getsockname()[1]}"] is True


def test_a_socket_is_told_by_its_path(parts, home):
    path = Home(home).api_socket
    with ports.bind_unix(path) as bound:
        ports.listen(bound)
        with served(application.create(parts), bound):
            transport = httpx.HTTPTransport(uds=str(path))
            with httpx.Client(transport=transport, headers=HEADERS) as one:
                rows = one.get("http://twin.invalid/state").json()["listening"]
    assert {"role": "api", "kind": "unix", "address": str(path), "private": True} in rows


def test_what_is_loaded_and_who_waits_is_told(parts, http):
    before = http.get("/state").json()
    assert before["loaded"] == []
    http.post("/v1/audio/speech", json={"input": "No.", "voice": "base"})
    with parts.writing.place(), parts.writing.place():
        after = http.get("/state").json()
    assert {"what": "speaking", "name": "bundled"} in after["loaded"]
    queues = {row["name"]: (row["served"], row["waiting"]) for row in after["queues"]}
    assert queues == {"draft": (1, 1), "speech": (0, 0), "recording": (0, 0)}
    assert after["uptime"] >= before["uptime"]
    assert (after["training"], after["jobs"]) == (False, 0)


def test_keys_of_access_are_told_where_they_are_fetched(home):
    """P1: nothing but what the owner has set up asks the network."""
    Home(home).write_settings(
        Settings(
            "Thota", remote=RemoteSettings("cloudflare", "twin.example.org", "dogs", "ab" * 32)
        )
    )
    with asking(parts_of(home)) as http:
        told = http.get("/state").json()
    assert "keys of Cloudflare Access" in [row["what"] for row in told["reaches"]]


def test_what_could_reach_the_network_is_told(home):
    """P1: pulling models, on command; a server of the owner's that writes."""
    Home(home).write_settings(
        Settings("Thota", writer=WriterSettings("ollama", url="http://127.0.0.1:11434"))
    )
    with asking(parts_of(home, gateway="http://127.0.0.1:8787")) as http:
        told = http.get("/state").json()
    assert [row["what"] for row in told["reaches"]][:2] == [
        "twin models pull", "ollama on this machine",
    ]  # fmt: skip
    assert told["gateway"] == "http://127.0.0.1:8787"
    assert "Thota" not in str(told)


def test_a_disk_that_is_encrypted_is_known_by_what_lies_below(tmp_path):
    """P4, Linux: LVM upon dm-crypt."""
    crypt, volume, plain = (tmp_path / name for name in ("crypt", "volume", "plain"))
    for device, uuid in ((crypt, "CRYPT-LUKS2-ab"), (volume, "LVM-cd"), (plain, None)):
        (device / "dm").mkdir(parents=True)
        (device / "slaves").mkdir()
        if uuid:
            (device / "dm" / "uuid").write_text(uuid)
    (volume / "slaves" / "dm-0").symlink_to(crypt)
    assert [state._is_crypt(one) for one in (crypt, volume, plain)] == [True, True, False]
    assert state.encryption(Path("/proc")) == "unknown"


def test_the_shelf_tells_what_is_here_and_how_to_get_the_rest(home, http):
    rows = {row["name"]: row for row in http.get("/shelf").json()["models"]}
    assert set(rows) == {model.name for model in models.CATALOGUE}
    assert {row["state"] for row in rows.values()} == {"absent"}
    assert rows["openvoice-v2"]["pull"] == "twin models pull openvoice-v2"
    damaged = home / "models" / "openvoice-v2"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("{}")
    Home(home).write_settings(Settings("Thota", base="smollm2-135m-instruct"))
    rows = {row["name"]: row for row in http.get("/shelf").json()["models"]}
    assert rows["openvoice-v2"]["state"] == "damaged"
    assert [name for name, row in rows.items() if row["chosen"]] == ["smollm2-135m-instruct"]


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (["/usr/bin/python3", "/home/a/.venv/bin/twin", "serve"], True),
        (["python", "-m", "aitwin", "serve", "--port", "0"], True),
        (["bash", "-c", "make serve"], False),
        (["python", "-m", "pytest"], False),
    ],
)
def test_a_supervisor_is_known_by_its_command(command, ours):
    class Process:
        def cmdline(self):
            return command

    assert state._supervises(Process()) is ours
