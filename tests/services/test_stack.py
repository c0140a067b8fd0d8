"""What is written, started and ended, and in which order; for real: tests/cli/test_services.py."""

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import stack
from aitwin.services.commands import Done, System
from aitwin.services.stack import Installed, Stack
from aitwin.services.units import Choice
from tests.services.said import Said


class Boxed:
    """A manager of nothing, that remembers."""

    def __init__(self, place: Home, monkeypatch) -> None:
        self.commands = Said(
            {
                "systemctl --user show --property=Version": "Version=252",
                "systemctl --user show": "LoadState=loaded\nActiveState=active\nMainPID=1",
                "systemctl": "",
                "hdiutil": Done(0),
            }
        )
        monkeypatch.setenv("XDG_CONFIG_HOME", str(place.root.parent / "config"))
        self.told: list[str] = []
        self.place = place

    def stack(self, choice: Choice) -> Stack:
        return Stack(self.place, Installed("systemd", choice), self.told.append, self.commands)

    def did(self, word: str) -> list[str]:
        """Services to which it was done, in order."""
        beginning = f"systemctl --user {word} "
        found = [asked for asked in self.commands.asked if asked.startswith(beginning)]
        self.commands.asked.clear()
        return [asked.removesuffix(".service").rpartition(".")[2] for asked in found]


def test_only_what_has_changed_is_ended_and_written_anew(tmp_path, monkeypatch):
    boxed = Boxed(Home(tmp_path / "twin"), monkeypatch)
    first = boxed.stack(Choice()).install()
    assert (first.added, first.changed, first.removed) == (("api", "gateway", "keeper"), (), ())
    assert boxed.did("stop") == []
    again = boxed.stack(Choice()).install()
    assert (again.added, again.changed, again.removed) == ((), (), ())
    assert boxed.did("stop") == []
    # Without the page: its service goes, the last first.
    less = boxed.stack(Choice(with_gateway=False)).install()
    assert less.removed == ("gateway",)
    assert boxed.did("stop") == ["keeper", "gateway", "api"]
    assert stack.installed(boxed.place) == Installed("systemd", Choice(with_gateway=False))
    boxed.stack(Choice(with_gateway=False)).uninstall()
    assert stack.installed(boxed.place) is None
    assert not list((tmp_path / "config" / "systemd" / "user").iterdir())


def test_another_way_in_from_elsewhere_is_a_change_of_the_gateway(tmp_path, monkeypatch):
    """Its definition holds no more of twin.toml than a digest."""
    place = Home(tmp_path / "twin").open()
    boxed = Boxed(place, monkeypatch)
    place.settings_file.write_text('[owner]\nname = "Ana"\n')
    boxed.stack(Choice()).install()
    boxed.did("stop")
    remote = '[owner]\nname = "Ana"\n[remote]\nway = "tailscale"\nhost = "mac.tail1234.ts.net"\n'
    place.settings_file.write_text(remote)
    stacked = boxed.stack(Choice())
    assert stacked.install().changed == ("gateway", "keeper")
    assert boxed.did("stop") == ["keeper", "gateway"]
    assert b"tail1234" not in stacked.manager.file("gateway").read_bytes()
    assert not stacked.install().changed


def test_the_vault_is_locked_when_the_stack_stops_and_not_when_it_restarts(tmp_path, monkeypatch):
    """P4."""
    boxed = Boxed(Home(tmp_path / "twin"), monkeypatch)
    locked: list[bool] = []
    monkeypatch.setattr(
        stack.Vault, "close", lambda vault, *, force=False: locked.append(force) or True
    )
    boxed.stack(Choice()).install()
    boxed.stack(Choice()).stop(close=False)
    assert locked == []
    boxed.stack(Choice()).stop()
    assert locked == [False]
    assert boxed.told == ["the vault is locked"]


def test_a_vault_in_use_is_told_and_the_stack_has_stopped(tmp_path, monkeypatch):
    boxed = Boxed(Home(tmp_path / "twin"), monkeypatch)

    def busy(vault: object, *, force: bool = False) -> bool:
        raise TwinError("a program still uses the vault")

    monkeypatch.setattr(stack.Vault, "close", busy)
    boxed.stack(Choice()).stop()
    assert boxed.told == ["the vault is still open: a program still uses the vault"]


def test_what_is_damaged_or_impossible_is_told(tmp_path):
    place = Home(tmp_path / "twin").open()
    assert stack.finding(place, System()).state == "ok"
    with pytest.raises(TwinError, match="twin services install"):
        Stack.of(place, print)
    record = place.run / "services" / "stack"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    with pytest.raises(TwinError, match="damaged"):
        stack.installed(place)
    assert stack.finding(place, System()).state == "bad"
    with pytest.raises(TwinError, match="nothing at boot"):
        stack.manager_of("tmux", place, at_boot=True)
