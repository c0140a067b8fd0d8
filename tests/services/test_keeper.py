"""What keeps the logs small, and locks the vault when the machine has slept."""

import json
import os
import sys

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home, Settings
from aitwin.services import keeper, logs, remote, units
from aitwin.services.keeper import Keeper
from tests.services.test_remote import ACCESS, CERTS


class Box:
    """A vault that can be locked."""

    def __init__(self, trouble: str = "") -> None:
        self.is_open = True
        self.trouble = trouble

    def close(self, *, force: bool = False) -> bool:
        if self.trouble:
            raise TwinError(self.trouble)
        was, self.is_open = self.is_open, False
        return was and force


def test_the_vault_is_locked_once_the_machine_has_slept(tmp_path):
    asleep = iter([5.0, 5.0, 5.2, 65.2, 65.2])
    said: list[str] = []
    box = Box()
    kept = Keeper(Home(tmp_path), said.append, box, lambda: next(asleep))
    kept.look()
    kept.look()  # two clocks are never read at once: 0.2 s is no sleep
    assert box.is_open
    kept.look()
    assert not box.is_open
    kept.look()
    assert said == ["the machine slept for 60 s; the vault is locked"]


def test_a_vault_that_stays_open_is_told(tmp_path):
    asleep = iter([0.0, 9.0])
    said: list[str] = []
    kept = Keeper(Home(tmp_path), said.append, Box("it is in use"), lambda: next(asleep))
    kept.look()
    assert said == ["the machine slept for 9 s; it is in use"]


def test_logs_of_the_home_are_put_aside(tmp_path):
    log = units.logs(Home(tmp_path)) / "api.log"
    logs.prepare(log)
    log.write_bytes(b"x" * (logs.MOST + 1))
    Keeper(Home(tmp_path), print, Box(), lambda: 0.0).look()
    assert log.stat().st_size == 0


def test_keys_of_access_are_fetched_once_a_day_and_only_where_access_is(tmp_path):
    """P1, P2: nothing is asked of the network but what the owner has set up."""
    place, asked, said = Home(tmp_path / "home"), [], []
    place.write_settings(Settings("Ana"))

    def fetched(url: str) -> bytes:
        asked.append(url)
        return json.dumps(CERTS).encode()

    def look(answer=fetched) -> None:
        Keeper(place, said.append, Box(), lambda: 0.0, answer).look()

    look()
    assert asked == []
    remote.choose(place, ACCESS)
    look()
    look()
    assert asked == ["https://dogs.cloudflareaccess.com/cdn-cgi/access/certs"]
    file = remote.keys_file(place)
    yesterday = file.stat().st_mtime - keeper.KEYS
    os.utime(file, (yesterday, yesterday))
    kept = Keeper(place, said.append, Box(), lambda: 0.0, lambda _: b"")
    kept.look()
    kept.look()
    assert len(said) == 1  # told once, and tried again in an hour
    assert "holds no keys" in said[0]
    assert file.stat().st_mtime == yesterday
    place.settings_file.write_text("[remote\n")
    look()
    assert len(asked) == 1


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no such clocks")
def test_the_clocks_are_there_and_nobody_sleeps_now():
    first = keeper.slept()
    assert first > -0.1
    assert abs(keeper.slept() - first) < keeper.LEAST
