"""A named Cloudflare Tunnel: made step by step, to the gateway alone, and taken down (P2, O2).

What cloudflared says stands as its sources have it (github.com/cloudflare/cloudflared:
cmd/cloudflared/tunnel/subcommand_context.go, ingress_subcommands.go, metrics/readiness.go) and as
it is quoted in public reports; each with a note.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home, Settings
from aitwin.services import tunnel, units
from aitwin.services.commands import MISSING, Done
from aitwin.services.tunnel import Plan
from aitwin.services.units import Choice, Start
from tests.services.said import Said
from tests.services.test_remote import answering

ID = "6ff42ae2-765d-4adf-8112-31c55c1551ef"
PLAN = Plan("twin.example.org", 8787)
ADDED = "2026-11-29T18:00:00Z INF Added CNAME {} which will route to this tunnel tunnelID=" + ID


class Cloudflared:
    """A cloudflared that does what the real one does, as far as files go; its words can be set."""

    def __init__(self, **answers: Done) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []

    def run(self, command: Sequence[str], *, stdin: str | None = None, seconds: float = 0) -> Done:
        assert command[0] == "cloudflared"
        words = tuple(command[1:])
        self.asked.append(words)
        if words == ("--version",):
            return self.answers.get("version", Done(0, "cloudflared version 2026.10.1\n"))
        assert words[:2] == ("tunnel", "--config"), words
        config, step, *rest = words[2:]
        assert Path(config).stat().st_mode & 0o077 == 0
        if step in self.answers:
            return self.answers[step]
        return getattr(self, step)(Path(config), *rest)

    def create(self, config: Path, option: str, file: str, name: str) -> Done:
        """Mode 0400, and never over a file that is there (filesystem, credentials)."""
        assert option == "--credentials-file"
        # Where another configuration is read, names would go to that one's tunnel.
        assert "tunnel:" not in config.read_text()
        with Path(file).open("x") as opened:
            json.dump({"AccountTag": "a" * 32, "TunnelSecret": "c2VjcmV0", "TunnelID": ID}, opened)
        Path(file).chmod(0o400)
        said = (
            f"Tunnel credentials written to {file}. cloudflared chose this file based on where "
            "your origin certificate was found. Keep this file secret. To revoke these "
            f"credentials, delete the tunnel.\n\nCreated tunnel {name} with id {ID}\n"
        )
        return Done(0, said)

    def ingress(self, config: Path, verb: str, url: str = "") -> Done:
        """ingress_subcommands.go."""
        if verb == "validate":
            return Done(0, f"Validating rules from {config}\nOK\n")
        text = config.read_text()
        host = url.removeprefix("https://").rstrip("/")
        if f'hostname: "{host}"' in text:
            told = f"\thostname: {host}\n\tservice: http://127.0.0.1:8787\n"
            return Done(0, f"Using rules from {config}\nMatched rule #0\n{told}")
        told = "\tservice: http_status:404\n"
        return Done(0, f"Using rules from {config}\nMatched rule #1\n{told}")

    def route(self, config: Path, kind: str, tunnel_id: str, host: str) -> Done:
        assert (kind, tunnel_id) == ("dns", ID)
        assert f'tunnel: "{ID}"' in config.read_text()
        return Done(0, "", ADDED.format(host) + "\n")

    def delete(self, config: Path, option: str, tunnel_id: str) -> Done:
        assert (option, tunnel_id) == ("-f", ID)
        return Done(0)

    @property
    def steps(self) -> list[str]:
        return [words[3] for words in self.asked if words[0] == "tunnel"]


@pytest.fixture
def place(home, tmp_path, monkeypatch) -> Home:
    """An owner whose cloudflared is logged in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cloudflared").mkdir()
    (tmp_path / ".cloudflared" / "cert.pem").write_text("-----BEGIN ARGO TUNNEL TOKEN-----")
    place = Home(home)
    place.write_settings(Settings("Ana"))
    return place


def made(place: Home, run: Cloudflared, plan: Plan = PLAN) -> list[str]:
    said: list[str] = []
    tunnel.prepare(place, plan, run, said.append)
    return said


def test_a_tunnel_is_made_checked_led_to_and_counts_last_of_all(place):
    """O2: and its secret is the owner's alone."""
    run = Cloudflared()
    assert len(made(place, run)) == 3
    assert run.steps == ["create", "ingress", "ingress", "ingress", "route"]
    assert not tunnel.config_file(place).exists()
    tunnel.commit(place)
    left = sorted(path.name for path in place.tunnel.iterdir())
    assert left == ["config.yml", "credentials.json"]
    for path in (place.tunnel, *place.tunnel.iterdir()):
        assert path.stat().st_mode & 0o077 == 0
    assert tunnel.identity(place) == ID


def test_its_configuration_is_yaml_that_lets_one_name_in(place):
    """As Cloudflare documents it: "Configuration file", "Ingress rules"."""
    import yaml

    made(place, Cloudflared())
    tunnel.commit(place)
    config = yaml.safe_load(tunnel.config_file(place).read_text())
    assert config == {
        "tunnel": ID,
        "credentials-file": str(tunnel.credentials_file(place)),
        "ingress": [
            {"hostname": "twin.example.org", "service": "http://127.0.0.1:8787"},
            {"service": "http_status:404"},
        ],
    }


def test_a_home_with_any_name_stays_one_text_in_yaml(tmp_path):
    import yaml

    place = Home(tmp_path / 'a "b": c #')
    config = yaml.safe_load(tunnel.rendered(place, PLAN, ID))
    assert config["credentials-file"] == str(tunnel.credentials_file(place))


def test_running_it_again_makes_no_second_tunnel(place):
    made(place, Cloudflared())
    again = Cloudflared()
    made(place, again, replace(PLAN, host="other.example.org"))
    assert "create" not in again.steps
    tunnel.commit(place)
    assert '"other.example.org"' in tunnel.config_file(place).read_text()


def test_without_the_program_or_a_login_it_says_what_to_do(place):
    with pytest.raises(TwinError, match="brew install cloudflared"):
        made(place, Cloudflared(version=Done(MISSING)))
    tunnel.certificate().unlink()
    run = Cloudflared()
    with pytest.raises(TwinError, match="cloudflared tunnel login"):
        made(place, run)
    assert run.steps == []
    assert not place.tunnel.exists()


# What the API answers to a name that is taken (tunnelstore, error 1013).
TAKEN = "failed to create tunnel: Create Tunnel API call failed: tunnel with name already exists"
# What it answers to a name with a record (error 1003).
RECORD = (
    "2026-11-29T18:00:00Z ERR Failed to add route error="
    '"code: 1003, reason: An A, AAAA, or CNAME record with that host already exists."'
)
# Without a `tunnel` of its own cloudflared warns of keys that it does not know, and ends with 0.
UNUSED = "Warning: unused keys detected in your config file. Here is a list of unused keys:\n a\n"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"create": Done(1, "", TAKEN)}, "--name"),
        ({"create": Done(1, "", "couldn't create client")}, "couldn't create client"),
        ({"create": Done(0, "Created tunnel")}, "no tunnel that can be used"),
        ({"ingress": Done(1, "", "Validation failed: hostname is empty")}, "does not take"),
        ({"ingress": Done(0, UNUSED)}, "does not take"),
        ({"route": Done(1, "", RECORD)}, "delete it in Cloudflare's dashboard"),
        ({"route": Done(1, "", "certificate has no permission")}, "could not be led"),
        # The login is for one domain: for others that is put behind the name, and nothing fails.
        ({"route": Done(0, "", ADDED.format("twin.example.org.mine.net"))}, "another domain"),
    ],
)
def test_whatever_goes_wrong_on_the_way_no_tunnel_counts(place, answers, said):
    with pytest.raises(TwinError, match=said):
        made(place, Cloudflared(**answers))
    assert not tunnel.config_file(place).exists()
    assert not (place.tunnel / "none.yml").exists()


def test_a_name_that_leads_there_already_is_fine(place):
    """RouteResult "unchanged" (cfapi/hostname.go)."""
    told = f"twin.example.org is already configured to route to your tunnel tunnelID={ID}"
    made(place, Cloudflared(route=Done(0, "", told)))


def test_rules_that_lead_elsewhere_are_refused(place):
    class Wrong(Cloudflared):
        def ingress(self, config: Path, verb: str, url: str = "") -> Done:
            if verb == "rule":
                return Done(0, "Matched rule #0\n\tservice: http://127.0.0.1:11434\n")
            return super().ingress(config, verb, url)

    with pytest.raises(TwinError, match="elsewhere"):
        made(place, Wrong())


def test_a_tunnel_is_taken_down_here_and_there(place):
    made(place, Cloudflared())
    tunnel.commit(place)
    run = Cloudflared()
    assert tunnel.remove(place, run) is True
    assert run.steps == ["delete"]
    assert not place.tunnel.exists()
    assert tunnel.remove(place, run) is False


@pytest.mark.parametrize("logged_in", [True, False])
def test_what_cannot_be_deleted_there_is_deleted_here(place, logged_in):
    made(place, Cloudflared())
    tunnel.commit(place)
    (place.tunnel / "notes").touch()
    if not logged_in:
        tunnel.certificate().unlink()
    assert tunnel.remove(place, Cloudflared(delete=Done(1, "", "no route to host"))) is False
    assert [path.name for path in place.tunnel.iterdir()] == ["notes"]


def test_the_command_runs_our_configuration_or_says_what_is_missing(place, monkeypatch, tmp_path):
    monkeypatch.setattr(tunnel.programs, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TwinError, match="not installed"):
        tunnel.command(place)
    program = tmp_path / "cloudflared"
    program.touch(0o755)
    config = str(tunnel.config_file(place))
    command = tunnel.command(place)
    assert command[:2] == (str(program), "tunnel")
    assert command[-3:] == ("--config", config, "run")
    assert "--no-autoupdate" in command
    assert command[command.index("--metrics") + 1] == "127.0.0.1:20241"


def test_it_runs_with_nothing_of_ours_and_as_no_other_tunnel(place, monkeypatch, tmp_path):
    """P2: cloudflared takes a token, and with it rules from elsewhere, from its environment."""
    (tmp_path / "cloudflared").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TUNNEL_TOKEN", "of another tunnel")
    monkeypatch.setenv("TWIN_CREDENTIAL", "sesame")
    made(place, Cloudflared())
    tunnel.commit(place)
    unit = units.find(units.table(place, Choice()), "tunnel")
    launch = unit.launch(Start("sesame", leashed=False))
    assert launch.command[0] == str(tmp_path / "cloudflared")
    assert {"PATH", "HOME"} <= set(launch.environment)
    kept = {name for name in launch.environment if name.startswith(("TUNNEL", "TWIN"))}
    assert kept == {"TUNNEL_MANAGEMENT_DIAGNOSTICS"}
    assert "sesame" not in str(launch.command)


# --- Looking --------------------------------------------------------------------------------------


def states(place: Home, port: int) -> dict[str, str]:
    found = tunnel.findings(
        place, PLAN, Said({"cloudflared": "cloudflared version 2026.10.1"}), port
    )
    return {finding.what: finding.state for finding in found}


def port_of(page: str) -> int:
    return int(page.rpartition(":")[2])


def test_a_file_that_somebody_changed_is_found(place):
    made(place, Cloudflared())
    assert states(place, 9)["tunnel's rules"] == "bad"  # prepared, and not committed
    tunnel.commit(place)
    assert states(place, 9)["tunnel's rules"] == "ok"
    file = tunnel.config_file(place)
    written = file.read_text()
    file.write_text(written.replace("http_status:404", "http://127.0.0.1:11434"))
    assert states(place, 9)["tunnel's rules"] == "bad"
    file.write_text(written)
    moved = tunnel.findings(place, replace(PLAN, port=8788), Said(), 9)
    assert moved[0].state == "bad"
    # While the twin is not served, its port is not known, and may be any.
    assert tunnel.findings(place, replace(PLAN, port=0), Said(), 9)[0].state == "ok"
    file.write_text(written.replace("8787", "99"))
    assert tunnel.findings(place, replace(PLAN, port=0), Said(), 9)[0].state == "ok"
    file.write_text(written.replace('"http://127.0.0.1:8787"', "unix:/tmp/x"))
    assert tunnel.findings(place, replace(PLAN, port=0), Said(), 9)[0].state == "bad"
    file.write_text(written)
    tunnel.credentials_file(place).unlink()
    assert states(place, 9)["tunnel's rules"] == "bad"


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        # metrics/readiness.go
        (200, b'{"status":200,"readyConnections":4,"connectorId":"a"}', "ok"),
        (503, b'{"status":503,"readyConnections":0,"connectorId":"a"}', "warn"),
        (200, b"hello", "warn"),
        (200, b"[1]", "warn"),
    ],
)
def test_whether_it_is_connected_is_asked_of_itself(place, status, body, state):
    with answering(status, body) as page:
        assert states(place, port_of(page))["tunnel"] == state


def test_a_tunnel_that_does_not_run_has_a_remedy(place):
    assert states(place, 9)["tunnel"] == "warn"
    found = tunnel.findings(place, PLAN, Said(), 9)[1]
    assert "not installed" in found.evidence


def test_tunnels_of_others_are_seen_and_our_own_is_none_of_them(place):
    own = f"/opt/homebrew/bin/cloudflared tunnel --config {tunnel.config_file(place)} run"
    quiet = f"/sbin/launchd\n{own}\n\nvim cloudflared tunnel\n/usr/bin/cloudflared access login\n"
    assert tunnel.others(place, Said({"ps": quiet})).state == "ok"
    dashboards = "/usr/local/bin/cloudflared tunnel run --token abc"
    found = tunnel.others(place, Said({"ps": f"{quiet}{dashboards}\n"}))
    assert found.state == "warn"
    assert "1 other cloudflared runs" in found.evidence
    assert "abc" not in str(found)
    assert tunnel.others(place, Said()).state == "unknown"
