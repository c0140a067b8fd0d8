"""The way in: what the gateway is told, and that strangers are refused before it opens (P2)."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.home import AUDIENCE, HOST, Home, RemoteSettings, Settings
from aitwin.services import gateway, reach, remote
from aitwin.services.gateway import Plan, Upstream
from aitwin.services.remote import Secrets
from tests.cli.test_serve import built, serving  # noqa: F401 - a fixture
from tests.services.said import Said
from tests.services.test_supervisor import until

NAMES = (
    *("TWIN_HOSTS", "TWIN_PROXY", "TWIN_ACCESS_TEAM", "TWIN_ACCESS_AUD", "TWIN_ACCESS_KEYS"),
    "TWIN_RATE",
)
NONE, TOKEN = Secrets(0, 0, False), Secrets(1, 0, False)
ACCESS = RemoteSettings("cloudflare", "twin.example.org", "dogs", "ab" * 32)
TAILSCALE = RemoteSettings("tailscale", "mac.tail1234.ts.net")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def place(home) -> Home:
    place = Home(home)
    place.write_settings(Settings("Ana"))
    return place


@contextlib.contextmanager
def answering(status: int, body: bytes = b"{}", headers: tuple[tuple[str, str], ...] = ()):
    """A server that gives everybody the same answer; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# --- What the gateway is told ---------------------------------------------------------------------


def test_a_twin_that_nobody_made_reachable_is_asked_by_the_names_of_loopback_alone(home, place):
    assert remote.environment(place, NAMES) == {}
    assert remote.environment(Home(home / "none"), NAMES) == {}


def test_each_way_in_tells_the_gateway_its_name_and_whose_word_counts(place):
    remote.choose(place, TAILSCALE)
    assert remote.environment(place, NAMES) == {
        "TWIN_HOSTS": "mac.tail1234.ts.net",
        "TWIN_PROXY": "forwarded",
    }
    remote.choose(place, ACCESS)
    assert remote.environment(place, NAMES) == {
        "TWIN_HOSTS": "twin.example.org",
        "TWIN_PROXY": "cloudflare",
        "TWIN_ACCESS_TEAM": "dogs",
        "TWIN_ACCESS_AUD": "ab" * 32,
        "TWIN_ACCESS_KEYS": str(place.root / "secrets" / "tunnel" / "access-keys.json"),
    }


def test_the_gateway_takes_each_of_these_names_and_no_other(built, place):  # noqa: F811
    """Deno may see no variable that it was not built for."""
    permitted = gateway.permitted(gateway.find())
    assert permitted == set(NAMES)
    remote.choose(place, ACCESS)
    assert set(remote.environment(place, permitted)) < permitted
    assert remote.environment(place, ()) == {}


def test_what_is_set_where_the_twin_starts_wins(place, monkeypatch):
    remote.choose(place, ACCESS)
    monkeypatch.setenv("TWIN_HOSTS", "elsewhere.example.org")
    monkeypatch.setenv("TWIN_RATE", "5")
    told = remote.environment(place, NAMES)
    assert told["TWIN_HOSTS"] == "elsewhere.example.org"
    assert told["TWIN_RATE"] == "5"
    assert told["TWIN_PROXY"] == "cloudflare"


def test_a_broken_twin_toml_shuts_the_door_and_does_not_stop_it(place):
    remote.choose(place, ACCESS)
    place.settings_file.write_text(place.settings_file.read_text() + "\n[remote\n")
    assert remote.environment(place, NAMES) == {}
    found = reach.examine(place, "", Said(), NONE)
    assert [finding.state for finding in found] == ["warn"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"way": "ngrok"}, "remote.way must be one of"),
        ({"host": ""}, "remote.host must be a name"),
        ({"access_audience": ""}, "belong together"),
        ({"way": "tailscale"}, "access_team is Cloudflare's"),
        ({"access_team": "a.b"}, "remote.access_team must be"),
        ({"access_audience": "XYZ"}, "remote.access_audience must be"),
    ],
)
def test_mistakes_in_remote_are_named(place, changes, said):
    remote.choose(place, replace(ACCESS, **changes))
    with pytest.raises(TwinError, match=said):
        place.settings()


def test_remote_of_twin_toml_is_read_back_and_goes_when_nothing_is_chosen(place):
    remote.choose(place, ACCESS)
    assert place.settings().remote == ACCESS
    assert place.settings().name == "Ana"
    remote.choose(place, RemoteSettings())
    assert place.settings().remote == RemoteSettings()
    assert "example.org" not in place.settings_file.read_text()


def test_a_host_is_a_name_that_can_be_in_dns_and_nothing_else():
    for good in ("twin.example.org", "a.b", "mac-2.tail1234.ts.net", "xn--bcher-kva.example"):
        assert HOST.fullmatch(good), good
    for bad in (
        *("localhost", "127.0.0.1", "a..b", "-a.b", "a-.b", "a.b:80", "a.b/c", "a.b,c.d", "a.b\n"),
        *("*.example.org", "Twin.example.org", "a b.c", ".a.b", "a.b.", f"{'a' * 64}.b", ""),
    ):
        assert not HOST.fullmatch(bad), bad
    assert not AUDIENCE.fullmatch("ab" * 32 + "\n")


# --- Whether the door is shut ---------------------------------------------------------------------


def test_a_way_in_wants_a_door_and_something_that_opens_it(place):
    chosen = place.settings().remote
    assert chosen == RemoteSettings()
    with pytest.raises(TwinError, match="twin token create"):
        remote.require(place, "cloudflare", "http://127.0.0.1:9", NONE)
    with pytest.raises(TwinError, match="not served now"):
        remote.require(place, "cloudflare", "", TOKEN)
    with pytest.raises(TwinError, match="no answer"):
        remote.require(place, "cloudflare", "http://127.0.0.1:9", TOKEN)


def test_there_is_one_way_in_at_a_time(place):
    remote.choose(place, TAILSCALE)
    with pytest.raises(TwinError, match="twin remote tailscale off"):
        remote.require(place, "cloudflare", "http://127.0.0.1:9", TOKEN)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"data": []}'),
        (401, b"{}"),
        (401, b'{"type": "about:blank"}'),
        (502, b'{"type": "urn:aitwin:problem:unreachable"}'),
        (200, b"\xff"),
        (200, b"[]"),
    ],
)
def test_a_door_that_lets_strangers_in_or_is_not_the_twins_is_found_out(place, status, body):
    """The check can fail: another program on the port, or a gateway that asks for nothing."""
    with answering(status, body) as page:
        found = remote.refusals(page)
        assert [finding.state for finding in found] == ["bad"] * 4
        assert remote.outside(page, ACCESS).state == "bad"
        with pytest.raises(TwinError, match="nothing was opened") as refused:
            remote.require(place, "tailscale", page, TOKEN)
    assert all(finding.what in str(refused.value) for finding in found)


def test_a_key_that_another_door_refuses_is_no_proof(place):
    """One right answer to all questions is not enough: each has its own."""
    with answering(401, b'{"type": "urn:aitwin:problem:no-key"}') as page:
        states = {finding.what: finding.state for finding in remote.refusals(page)}
    assert states == {
        "gateway: another name": "bad",
        "gateway: another site's page": "bad",
        "gateway: no key": "ok",
        "gateway: a wrong key": "ok",
    }


def test_twin_serve_refuses_strangers_also_under_the_name_that_twin_toml_gives(built, monkeypatch):  # noqa: F811
    """P2, O3: the whole of it, as the owner starts it."""
    # The path of a socket has a limit.
    short = Path(tempfile.mkdtemp(prefix="twin-", dir="/tmp"))
    monkeypatch.setenv("TWIN_HOME", str(short))
    place = Home(short)
    place.write_settings(Settings("Ana"))
    remote.choose(place, TAILSCALE)
    try:
        with serving() as served:
            found = remote.refusals(served.page)
            assert [finding.state for finding in found] == ["ok"] * 4, found
            remote.require(place, "tailscale", served.page, TOKEN)
            assert remote.outside(served.page, TAILSCALE).state == "ok"
            # A name that was chosen after it had started.
            unknown = remote.outside(served.page, ACCESS)
            assert unknown.state == "warn"
            assert "twin services restart" in unknown.remedy
            whole = reach.examine(place, served.page, Said(), TOKEN)
            assert {finding.state for finding in whole if "gateway" in finding.what} == {"ok"}
    finally:
        shutil.rmtree(short)


@contextlib.contextmanager
def door(place: Home, port: int) -> Iterator[str]:
    """The real gateway as [remote] has it, with no API behind it."""
    build = gateway.find()
    settings = remote.environment(place, gateway.permitted(build))
    plan = Plan(port, Upstream(port=9), "c" * 43, place.run / "deno", settings)
    launch = gateway.launch(build, plan)
    page = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        launch.command, env=dict(launch.environment), stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: remote.refusals(page)[0].state == "ok")
        yield page
    finally:
        process.stdin.close()
        process.wait(30)


def free_port() -> int:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.mark.parametrize("chosen", [TAILSCALE, replace(ACCESS, access_team="", access_audience="")])
def test_under_its_public_name_the_real_gateway_asks_for_a_key(built, place, chosen):  # noqa: F811
    """P2: with twin.toml alone, as a tunnel would ask."""
    remote.choose(place, chosen)
    with door(place, free_port()) as page:
        found = remote.outside(page, chosen)
        assert (found.state, found.evidence) == ("ok", "refused (401 no-key)")
        elsewhere = remote.outside(page, replace(chosen, host="other.example.org"))
        assert elsewhere.state == "warn"


def test_behind_access_the_real_gateway_wants_its_proof_also_without_any_keys(built, place):  # noqa: F811
    """P2: a file of keys that is missing lets nobody in."""
    remote.choose(place, ACCESS)
    with door(place, free_port()) as page:
        found = remote.outside(page, ACCESS)
        assert (found.state, found.evidence) == ("ok", "refused (403 no-access)")


# --- The keys of Access ---------------------------------------------------------------------------

# As https://TEAM.cloudflareaccess.com/cdn-cgi/access/certs is documented (Cloudflare One docs,
# "Validate JWTs"): JWKs, and certificates which the gateway has no use for.
CERTS = {
    "keys": [
        {"kid": "1", "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": "5PKZ"},
        {"kid": "2", "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": "pwVn"},
    ],
    "public_cert": {"kid": "1", "cert": "-----BEGIN CERTIFICATE-----"},
    "public_certs": [{"kid": "1", "cert": "-----BEGIN CERTIFICATE-----"}],
}


def test_keys_are_kept_for_the_owner_alone_and_nothing_but_keys(place):
    asked = []

    def fetched(url: str) -> bytes:
        asked.append(url)
        return json.dumps(CERTS).encode()

    remote.choose(place, ACCESS)
    assert remote.refresh_keys(place, fetched=fetched) == 2
    assert asked == ["https://dogs.cloudflareaccess.com/cdn-cgi/access/certs"]
    file = remote.keys_file(place)
    assert json.loads(file.read_text()) == {"keys": CERTS["keys"]}
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0
    assert remote.access(place, ACCESS).state == "ok"


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"{}", b"[]", b'{"keys": []}', b'{"keys": [{"kty": "EC"}]}']
)
def test_what_is_no_keys_never_replaces_those_that_are_there(place, answer):
    remote.refresh_keys(place, "dogs", fetched=lambda _: json.dumps(CERTS).encode())
    before = remote.keys_file(place).read_bytes()
    with pytest.raises(TwinError, match="holds no keys"):
        remote.refresh_keys(place, "dogs", fetched=lambda _: answer)
    assert remote.keys_file(place).read_bytes() == before


def test_keys_are_fetched_from_where_they_are_and_nowhere_else():
    with answering(200, b"body") as page:
        assert remote.fetch(page) == b"body"
        away = (("Location", page),)
        with answering(302, headers=away) as elsewhere, pytest.raises(TwinError, match="fetched"):
            remote.fetch(elsewhere)
    with answering(404) as page, pytest.raises(TwinError, match="Not Found"):
        remote.fetch(page)
    with answering(200, b"x" * 300_000) as page, pytest.raises(TwinError, match="more than keys"):
        remote.fetch(page)
    with pytest.raises(TwinError, match="online"):
        remote.fetch("http://127.0.0.1:9/")


def test_missing_and_old_keys_are_found(place):
    import os
    import time

    assert remote.access(place, replace(ACCESS, access_team="")).state == "ok"
    assert remote.access(place, ACCESS).state == "bad"
    remote.refresh_keys(place, "dogs", fetched=lambda _: json.dumps(CERTS).encode())
    old = time.time() - 20 * 86_400
    os.utime(remote.keys_file(place), (old, old))
    found = remote.access(place, ACCESS)
    assert found.state == "warn"
    assert found.fix == ("twin", "remote", "cloudflare", "keys")


def test_without_access_there_are_no_keys_to_fetch(place):
    with pytest.raises(TwinError, match="not set up"):
        remote.refresh_keys(place, fetched=lambda _: b"")


# --- What is told ---------------------------------------------------------------------------------


def test_a_way_in_with_nothing_that_opens_the_twin_is_pointed_out(place):
    remote.choose(place, TAILSCALE)
    found = {one.what: one for one in reach.examine(place, "", Said(), NONE)}
    assert found["who may come in"].state == "warn"
    assert found["way in"].evidence == "Tailscale: https://mac.tail1234.ts.net"
    assert found["gateway"].state == "unknown"


def test_who_may_come_in_is_counted_in_words():
    assert str(Secrets(1, 2, True)) == "1 token, 2 browsers signed in, a passphrase"
    assert str(NONE) == "no tokens, no browsers signed in, no passphrase"
