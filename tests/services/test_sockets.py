"""What listens, and where (O3, P2): real sockets on Linux, recorded lines of lsof elsewhere.

The lines are of lsof 4.91, which macOS has; its fields: lsof(8), "OUTPUT FOR OTHER PROGRAMS".
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aitwin.services import doctor, ollama, sockets
from aitwin.services.commands import MISSING, Done
from aitwin.services.sockets import Listener
from tests.services.said import Said

LSOF = """\
p501
R1
cdeno
f12
n127.0.0.1:8787
f13
n[::1]:8787
p777
collama
f3
n*:11434
p778
cCursor\\x20Helper
f40
nlocalhost:50123
f41
n[fe80::1%lo0]:49152
"""


def test_lines_of_lsof() -> None:
    found = list(sockets.of_lsof(LSOF))
    assert [(one.program, one.place, one.is_loopback) for one in found] == [
        ("deno", "127.0.0.1:8787", True),
        ("deno", "[::1]:8787", True),
        ("ollama", "0.0.0.0:11434", False),
        ("Cursor\\x20Helper", "127.0.0.1:50123", True),
        ("Cursor\\x20Helper", "[fe80::1]:49152", False),
    ]
    assert [one.pid for one in found[:3]] == [501, 501, 777]


def test_lsof_that_lists_nothing_and_one_that_is_not_there() -> None:
    assert sockets.listeners("Darwin", Said({"lsof": Done(1)})) == []
    assert sockets.listeners("Darwin", Said({"lsof": Done(MISSING)})) is None
    assert sockets.listeners("Darwin", Said({"lsof": Done(1, "", "lsof: can't fork")})) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which Linux alone has")
@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_what_this_process_listens_on_is_found(family: int, address: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        try:
            listening.bind((address, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        listening.listen()
        port = listening.getsockname()[1]
        found = sockets.listeners("Linux", Said())
        assert found is not None
        (own,) = [one for one in found if one.port == port]
        assert (own.address, own.pid, own.is_loopback) == (address, os.getpid(), True)
    assert port not in [one.port for one in sockets.listeners("Linux", Said()) or []]


def test_an_ollama_for_the_whole_network_is_bad_and_is_not_asked() -> None:
    (found,) = ollama.checks([Listener("0.0.0.0", 11434, "ollama")])  # noqa: S104
    assert found.state == "bad"
    assert "OLLAMA_NO_CLOUD=1" in found.remedy


def test_no_ollama_is_no_finding() -> None:
    assert ollama.checks([Listener("127.0.0.1", 8787, "deno")]) == []


@pytest.mark.parametrize(
    ("started", "cloud_off", "state", "told"),
    [
        ({"OLLAMA_NO_CLOUD": "1", "OLLAMA_FLASH_ATTENTION": "1"}, False, "ok", "cloud is off"),
        ({"OLLAMA_HOST": "127.0.0.1"}, False, "warn", "cloud is not turned off"),
        ({"OLLAMA_NO_CLOUD": "false"}, False, "warn", "cloud is not turned off"),
        ({"OLLAMA_HOST": "127.0.0.1"}, True, "ok", "cloud is off"),
        ({"OLLAMA_ORIGINS": "*"}, True, "warn", "any web page"),
        ({"OLLAMA_DEBUG": "2"}, True, "warn", "log prompts"),
        ({"OLLAMA_FLASH_ATTENTION": "0"}, True, "warn", "flash attention"),
        (None, False, "unknown", "does not show them"),
        (None, True, "ok", "cloud is off"),
    ],
)
def test_what_an_ollama_was_started_with(
    started: dict[str, str] | None, cloud_off: bool, state: str, told: str
) -> None:
    """W4, P1."""
    found = ollama.flags(started, cloud_off=cloud_off)
    assert found.state == state
    assert told in found.evidence
    assert bool(found.remedy) == (state != "ok")


def test_the_environment_of_a_process_is_read_where_that_is_ours() -> None:
    with subprocess.Popen(["sleep", "60"], env={"OLLAMA_NO_CLOUD": "1"}) as held:
        try:
            assert ollama.environment(held.pid) == {"OLLAMA_NO_CLOUD": "1"}
        finally:
            held.kill()
    assert ollama.environment(0) is None
    assert ollama.environment(2**22 + 1) is None


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ('{"disable_ollama_cloud": true}', True),
        ('{"disable_ollama_cloud": "no"}', False),
        ("{}", False),
        ("[]", False),
        ("no JSON", False),
    ],
)
def test_the_cloud_may_be_off_by_its_settings(tmp_path: Path, text: str, off: bool) -> None:
    file = tmp_path / "server.json"
    assert not ollama.cloud_is_off(file)
    file.write_text(text)
    assert ollama.cloud_is_off(file) is off


@pytest.mark.parametrize(
    ("program", "state"),
    [
        ("python3.12", "bad"),
        ("Python", "bad"),
        ("cloudflar", "bad"),
        ("deno", "bad"),
        ("sshd", "ok"),
    ],
)
def test_which_programs_may_be_the_twins(program: str, state: str) -> None:
    """O3. Names as Linux, Homebrew's Python and a cutting `lsof` give them."""
    told = f"p7\nc{program}\nn*:8123\n"
    found = doctor.listening("Darwin", Said({"lsof": told}))
    assert found[0].state == state
