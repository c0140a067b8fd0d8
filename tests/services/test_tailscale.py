"""tailscale serve: the gateway for the tailnet, never for the internet (P2).

JSON as the sources have it: `tailscale status --json` is ipnstate.Status, `tailscale serve status
--json` is ipn.ServeConfig (github.com/tailscale/tailscale, ipn/ipnstate/ipnstate.go, ipn/serve.go).
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from aitwin.errors import TwinError
from aitwin.services import tailscale
from aitwin.services.commands import MISSING, TIMED_OUT, Done
from tests.services.said import Said

HOST = "mac.tail1234.ts.net"
STATUS = {
    "Version": "1.102.4",
    "BackendState": "Running",
    "Self": {"HostName": "mac", "DNSName": f"{HOST}.", "Online": True},
    "MagicDNSSuffix": "tail1234.ts.net",
    "CertDomains": [HOST],
    "Peer": {},
}


def shared(target: str, name: str = f"{HOST}:443", **more: Any) -> dict[str, Any]:
    port = name.rpartition(":")[2]
    web = {name: {"Handlers": {"/": {"Proxy": target}}}}
    return {"TCP": {port: {"HTTPS": True}}, "Web": web, **more}


OURS = shared("http://127.0.0.1:8787")
FUNNEL = OURS | {"AllowFunnel": {f"{HOST}:443": True}}


class Tailscale:
    """A tailscale that keeps what it is told to share."""

    def __init__(self, config: dict[str, Any], serve: Done | None = None) -> None:
        self.config, self.serve = config, serve
        self.asked: list[str] = []

    def run(self, command: Sequence[str], *, stdin: str | None = None, seconds: float = 0) -> Done:
        program, *words = command
        assert program == "tailscale"
        self.asked.append(" ".join(words))
        if words == ["status", "--json"]:
            return Done(0, json.dumps(STATUS))
        if words == ["serve", "status", "--json"]:
            return Done(0, json.dumps(self.config))
        if self.serve is not None:
            return self.serve
        if words[:3] == ["serve", "--bg", "--https=443"]:
            self.config = shared(words[3])
            return Done(0, f"Available within your tailnet:\n\nhttps://{HOST}/\n")
        assert words == ["serve", "--https=443", "off"], words
        self.config = {}
        return Done(0)


def test_the_gateway_is_shared_under_the_machines_own_name():
    run = Tailscale({})
    assert tailscale.name_of(run) == HOST
    tailscale.share(HOST, 8787, run)
    assert "serve --bg --https=443 http://127.0.0.1:8787" in run.asked
    assert not any("funnel" in words for words in run.asked)
    found = tailscale.findings(HOST, 8787, run)
    assert [(one.what, one.state) for one in found] == [("Funnel", "ok"), ("Tailscale", "ok")]


def test_sharing_what_is_shared_already_asks_for_nothing():
    run = Tailscale(OURS)
    tailscale.share(HOST, 8787, run)
    assert run.asked == ["serve status --json", "serve status --json"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (STATUS | {"BackendState": "NeedsLogin"}, "NeedsLogin"),
        (STATUS | {"BackendState": "Stopped"}, "tailscale up"),
        (STATUS | {"Self": {"DNSName": ""}}, "MagicDNS"),
        (STATUS | {"Self": None}, "MagicDNS"),
        # null where the tailnet has HTTPS off
        (STATUS | {"CertDomains": None}, "HTTPS Certificates"),
        ({}, "does not answer"),
    ],
)
def test_a_tailscale_that_cannot_serve_says_what_to_do(status, said):
    with pytest.raises(TwinError, match=said):
        tailscale.name_of(Said({"tailscale status": json.dumps(status)}))


def test_a_daemon_that_does_not_run_and_no_tailscale_at_all():
    down = Done(1, "", "failed to connect to local tailscaled; is it running?")
    with pytest.raises(TwinError, match="does not answer"):
        tailscale.name_of(Said({"tailscale": down}))
    with pytest.raises(TwinError, match="not installed"):
        tailscale.name_of(Said())
    assert tailscale.shares(Said()) is None
    assert tailscale.findings("", 8787, Said()) == []
    assert tailscale.findings(HOST, 8787, Said({"tailscale": down}))[0].state == "warn"


def test_the_app_of_the_app_store_is_found_where_path_has_none():
    run = Said({tailscale.APP: json.dumps(STATUS)})
    assert tailscale.name_of(run) == HOST
    assert [words.split(" ")[0] for words in run.asked] == ["tailscale", tailscale.APP]


NOT_ON = (
    "Serve is not enabled on your tailnet.\nTo enable, visit:\n\n"
    "         https://login.tailscale.com/f/serve?node=nABC123CNTRL\n"
)


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        # It prints this and waits; some versions end with 0.
        (Done(TIMED_OUT, NOT_ON), r"f/serve\?node=nABC123CNTRL to turn it on"),
        (Done(0, NOT_ON), "Serve is not on"),
        (Done(TIMED_OUT), "within a minute"),
        (Done(1, "", "Access denied: serve config denied"), "serve config denied"),
        (Done(0), "does not share it"),
    ],
)
def test_a_share_that_does_not_come_about_is_an_error(serve, said):
    with pytest.raises(TwinError, match=said):
        tailscale.share(HOST, 8787, Tailscale({}, serve))


def test_what_somebody_else_shares_is_not_taken_over():
    run = Tailscale(shared("http://127.0.0.1:3000"))
    with pytest.raises(TwinError, match="something else"):
        tailscale.share(HOST, 8787, run)
    assert not any("--bg" in words for words in run.asked)
    # Under another port it is no hindrance, and stays.
    tailscale.share(HOST, 8787, Tailscale(shared("http://127.0.0.1:3000", f"{HOST}:8443")))


@pytest.mark.parametrize(
    "config",
    [
        FUNNEL,
        {"AllowFunnel": {f"{HOST}:443": True}},
        {"TCP": {"443": {"TCPForward": "127.0.0.1:8787"}}, "AllowFunnel": {f"{HOST}:443": True}},
        {"Foreground": {"session": FUNNEL}},
    ],
)
def test_funnel_is_refused_wherever_it_is_on(config):
    """P2: a funnel opens the machine to the whole internet."""
    run = Tailscale(config)
    with pytest.raises(TwinError, match="whole internet"):
        tailscale.share(HOST, 8787, run)
    assert not any("--bg" in words for words in run.asked)
    found = tailscale.findings("", 8787, run)[0]
    assert (found.what, found.state) == ("Funnel", "bad")


def test_a_funnel_that_was_turned_off_is_none():
    assert not any(one.funnel for one in tailscale.shares(Tailscale(
        OURS | {"AllowFunnel": {f"{HOST}:443": False}}
    )))  # fmt: skip


def test_ending_it_ends_ours_alone():
    run = Tailscale(OURS)
    assert tailscale.unshare(HOST, 8787, run) is True
    assert run.config == {}
    assert tailscale.unshare(HOST, 8787, run) is False
    other = Tailscale(shared("http://127.0.0.1:3000"))
    assert tailscale.unshare(HOST, 8787, other) is False
    assert other.config
    with pytest.raises(TwinError, match="end it yourself"):
        tailscale.unshare(HOST, 8787, Tailscale(OURS, Done(1, "", "denied")))


def test_a_gateway_that_is_shared_without_our_knowing_is_pointed_out():
    found = {one.what: one for one in tailscale.findings("", 8787, Tailscale(OURS))}
    assert found["Tailscale"].state == "warn"
    assert found["Tailscale"].remedy == "tailscale serve --https=443 off"
    other = Tailscale(shared("http://127.0.0.1:3000"))
    assert [one.what for one in tailscale.findings("", 8787, other)] == ["Funnel"]
    assert tailscale.findings(HOST, 8787, other)[1].state == "warn"


def test_services_of_the_tailnet_that_lead_to_the_gateway_count_too():
    config = {"Services": {"svc:twin": shared("http://localhost:8787", "twin.tail1234.ts.net:443")}}
    assert {one.what for one in tailscale.findings("", 8787, Tailscale(config))} == {
        "Funnel",
        "Tailscale",
    }


def test_nonsense_is_nothing():
    for text in ("", "No serve config", "[]", '{"Web": []}', '{"TCP": {}}', "null"):
        assert tailscale.shares(Said({"tailscale serve status": Done(0, text)})) == []


def test_missing_is_told_from_failing():
    assert tailscale.shares(Said({"tailscale": Done(MISSING)})) is None
