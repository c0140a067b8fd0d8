"""What is cut off reaches this machine and nothing else, and is seen when it tries (P1)."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from aitwin.services import canary, sandbox, traces, watcher
from aitwin.services.commands import Done, System
from tests.services.said import Said

linux = pytest.mark.skipif(platform.system() != "Linux", reason="namespaces are Linux's")

SERVES = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
print("reached", [name for _, name in socket.if_nameindex()])
"""


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    if platform.system() == "Linux" and (why := sandbox.lacking("Linux", System())):
        pytest.skip(why)


def cut_off(*command, path=""):
    source = Path(sandbox.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, str(source))))}
    return subprocess.run(
        sandbox.cut_off(command), env=environment, capture_output=True, text=True, check=False
    )


@linux
def test_loopback_works_and_there_is_no_other_interface():
    assert cut_off(sys.executable, "-c", SERVES).stdout == "reached ['lo']\n"


@linux
def test_the_canary_is_refused_at_once_and_its_tries_are_seen(tmp_path):
    """The check of the check: an audit that cannot see this sees nothing."""
    (tmp_path / "sitecustomize.py").write_text(Path(watcher.__file__).read_text())
    done = cut_off(sys.executable, "-m", canary.__name__, path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / watcher.TRACE).read_text()
    found = [one for one in traces.of_python(text) if one.program == canary.__name__]
    assert {one.destination for one in found if one.verdict == "outside"} == {
        f"{canary.ADDRESS}:443",
        f"[{canary.ADDRESS_6}]:443",
        f"{canary.ADDRESS}:9",
        f"name of {canary.NAME}",
    }


@linux
def test_it_stays_the_same_user():
    assert cut_off("id", "-u").stdout.strip() == str(os.getuid())


def test_a_way_out_is_no_refusal():
    def nothing_happens():
        return None

    def waits():
        raise TimeoutError

    def denied():
        raise PermissionError

    assert not canary.refused(nothing_happens)
    assert not canary.refused(waits)
    assert canary.refused(denied)


@linux
def test_a_command_that_is_not_there_is_a_usage_error():
    assert cut_off("no-such-program-here").returncode == 2


def test_services_are_confined_on_macos_and_reachable_on_linux():
    """O3: a namespace would hide the gateway from the owner's browser."""
    assert sandbox.confined(("twin", "serve"), "Linux") == ("twin", "serve")
    command = sandbox.confined(("twin", "serve"), "Darwin", Said({sandbox.SANDBOX_EXEC: ""}))
    assert command[:2] == (sandbox.SANDBOX_EXEC, "-p")
    assert command[3:] == ("twin", "serve")
    # Where the profile is not taken, the twin starts all the same.
    assert sandbox.confined(("twin", "serve"), "Darwin", Said()) == ("twin", "serve")


def test_the_profile_closes_the_resolver_after_it_opens_unix_sockets():
    """Of rules that fit, the last one counts; a question to the resolver leaves the machine."""
    profile = sandbox.PROFILE
    assert profile.count("(") == profile.count(")")
    assert profile.index("(deny network*") < profile.index("unix-socket")
    assert profile.index("unix-socket") < profile.index("mDNSResponder")
    assert "com.apple.dnssd.service" in profile


def test_a_machine_that_cannot_cut_off_says_why():
    assert "user namespaces" not in sandbox.lacking("Linux", System())
    assert "sysctl" in sandbox.lacking("Linux", Said())
    assert sandbox.lacking("Darwin", Said()) == "no sandbox-exec"
    refused = Said({sandbox.SANDBOX_EXEC: Done(65, err="unbound variable")})
    assert sandbox.lacking("Darwin", refused) == "sandbox-exec does not take the profile"
    assert sandbox.lacking("Darwin", Said({sandbox.SANDBOX_EXEC: ""})) == ""
    assert sandbox.lacking("Plan9", Said()) == "Plan9 is not supported"
