"""twin remote: what is refused, what is told, and what is left behind."""

import json

import pytest

from aitwin.home import Home, RemoteSettings
from aitwin.services import commands, doctor, remote, serving, tunnel
from aitwin.services.commands import Done
from aitwin.services.finding import Finding
from tests.services.said import Said
from tests.services.test_tailscale import HOST, OURS, Tailscale
from tests.services.test_tunnel import ID, Cloudflared

PAGE = "http://127.0.0.1:8787"
ACCESS = ("--access-team", "dogs", "--access-audience", "ab" * 32)


@pytest.fixture
def place(owner, home, monkeypatch) -> Home:
    """An owner with a token, so that somebody could come in."""
    # What else listens on the machine that runs the tests is not our concern.
    monkeypatch.setattr(doctor, "listening", lambda *_: [])
    assert owner("token", "create", "phone").code == 0
    return Home(home)


@pytest.fixture
def served(place, monkeypatch, tmp_path):
    """A twin whose gateway refuses strangers; the real one is asked in tests of remote."""
    address = serving.Address(PAGE, "unix:/x", 1)
    monkeypatch.setattr(serving, "running", lambda _: address)
    monkeypatch.setattr(remote, "refusals", lambda _: [Finding("gateway", "ok", "refused")])
    monkeypatch.setattr(remote, "outside", lambda *_: Finding("strangers", "ok", "refused"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cloudflared").mkdir()
    tunnel.certificate().touch()


@pytest.fixture
def programs(monkeypatch):
    """Sets which programs this machine has."""

    def set_to(run):
        monkeypatch.setattr(commands, "System", lambda: run)
        return run

    return set_to


def test_cloudflare_is_set_up_shown_and_ended(twin, place, served, programs):
    """O2, P2."""
    run = programs(Cloudflared())
    result = twin("remote", "cloudflare", "set-up", "Twin.Example.org.")
    assert result.code == 0, result
    assert "twin services install" in result.err
    assert place.settings().remote == RemoteSettings("cloudflare", "twin.example.org")
    assert place.settings().addresses == ("thota@x.example",)
    assert tunnel.config_file(place).is_file()

    programs(Said({"cloudflared": "cloudflared version 2026.10.1", "ps": Done(0)}))
    shown = {one["what"]: one for one in twin("remote", "status", "--json").json}
    assert shown["way in"]["evidence"] == "Cloudflare Tunnel: https://twin.example.org"
    assert shown["tunnel's rules"]["state"] == "ok"
    assert shown["who may come in"]["evidence"].startswith("1 token")

    programs(run)
    ended = twin("remote", "cloudflare", "off", "--yes")
    assert ended.code == 0, ended
    assert "twin.example.org still has a record in your DNS" in ended.err
    assert run.steps[-1] == "delete"
    assert place.settings().remote == RemoteSettings()
    assert not place.tunnel.exists()
    twin("remote", "cloudflare", "off", "--yes").refused("no Cloudflare Tunnel")


def test_a_tunnel_that_stays_at_cloudflare_is_named(twin, place, served, programs):
    programs(Cloudflared(delete=Done(1)))
    twin("remote", "cloudflare", "set-up", "twin.example.org")
    assert ID in twin("remote", "cloudflare", "off", "--yes").err


def test_access_is_set_up_with_its_keys_and_not_taken_off_by_the_way(
    twin, place, served, programs, monkeypatch
):
    programs(Cloudflared())
    fetched = []
    monkeypatch.setattr(remote, "refresh_keys", lambda _, team="": fetched.append(team) or 2)
    assert twin("remote", "cloudflare", "set-up", "twin.example.org", *ACCESS).code == 0
    assert fetched == ["dogs"]
    assert place.settings().remote.access_audience == "ab" * 32
    again = twin("remote", "cloudflare", "set-up", "other.example.org")
    again.refused("--access-team")
    assert place.settings().remote.host == "twin.example.org"
    assert twin("remote", "cloudflare", "keys").code == 0


def test_tailscale_is_set_up_and_ended(twin, place, served, programs):
    """P2."""
    run = programs(Tailscale({}))
    result = twin("remote", "tailscale", "set-up")
    assert result.code == 0, result
    assert f"twin login --page https://{HOST}" in result.err
    assert place.settings().remote == RemoteSettings("tailscale", HOST)
    assert run.config == OURS
    assert twin("remote", "tailscale", "off").code == 0
    assert run.config == {}
    assert place.settings().remote == RemoteSettings()
    twin("remote", "tailscale", "off").refused("not reached by Tailscale")


def test_what_does_not_come_about_leaves_the_door_as_it_was(twin, place, served, programs):
    programs(Tailscale({}, Done(1, "", "Access denied: serve config denied")))
    twin("remote", "tailscale", "set-up").refused("serve config denied")
    assert place.settings().remote == RemoteSettings()
    programs(Tailscale(OURS))
    assert twin("remote", "tailscale", "set-up").code == 0
    programs(Tailscale({}, Done(1, "", "Access denied: serve config denied")))
    twin("remote", "tailscale", "set-up").refused("serve config denied")
    assert place.settings().remote == RemoteSettings("tailscale", HOST)
    remote.choose(place, RemoteSettings())
    programs(Cloudflared(route=Done(1, "", "no permission")))
    twin("remote", "cloudflare", "set-up", "twin.example.org").refused("no permission")
    assert place.settings().remote == RemoteSettings()
    assert not tunnel.config_file(place).exists()


@pytest.mark.parametrize(
    "command", [("tailscale", "set-up"), ("cloudflare", "set-up", "twin.example.org")]
)
def test_nothing_is_opened_unless_the_gateway_refuses_strangers(
    twin, place, served, programs, monkeypatch, command
):
    """P2: asked before anything is run."""
    run = programs(Said())
    found = [Finding("gateway: no key", "bad", "not refused as it must be: 200")]
    monkeypatch.setattr(remote, "refusals", lambda _: found)
    twin("remote", *command).refused("nothing was opened", "gateway: no key")
    assert run.asked == []


@pytest.mark.parametrize(
    "command", [("tailscale", "set-up"), ("cloudflare", "set-up", "twin.example.org")]
)
def test_nothing_is_opened_that_nobody_could_use(owner, served, programs, command):
    run = programs(Said())
    assert owner("token", "revoke", "phone").code == 0
    owner("remote", *command).refused("twin token create")
    assert run.asked == []


def test_a_twin_that_is_not_served_or_not_set_up(twin, place, programs):
    programs(Said())
    twin("remote", "tailscale", "set-up").refused("not served now")
    assert twin("remote", "status").code == 0
    place.settings_file.unlink()
    twin("remote", "tailscale", "set-up").refused("twin init")


@pytest.mark.parametrize(
    "words",
    [
        ("localhost",),
        ("https://twin.example.org",),
        ("twin.example.org", "--access-team", "dogs"),
        ("twin.example.org", "--access-team", "a.b", "--access-audience", "ab" * 32),
        ("twin.example.org", "--access-team", "dogs", "--access-audience", "short"),
        ("twin.example.org", "--name", "--force"),
    ],
)
def test_slips_of_the_pen_are_usage_errors(twin, place, programs, words):
    run = programs(Said())
    assert twin("remote", "cloudflare", "set-up", *words).code == 2
    assert run.asked == []


def test_status_ends_with_1_when_something_is_wrong(twin, place, served, programs):
    funnel = json.dumps(OURS | {"AllowFunnel": {f"{HOST}:443": True}})
    programs(Said({"tailscale serve status": funnel}))
    result = twin("remote", "status")
    assert result.code == 1
    assert "whole internet" in result.out
