"""Units of systemd: checked by systemd itself where it is installed; what it says is recorded."""

import shutil
import subprocess

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import units
from aitwin.services.commands import Done
from aitwin.services.systemd import Systemd, of_show
from aitwin.services.units import Choice
from tests.services.said import Said


def table(place: Home) -> tuple[units.Unit, ...]:
    return units.table(place, Choice(adapter="of $HOME and 100%"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
def test_systemd_takes_the_units_as_they_are(tmp_path):
    place = Home(tmp_path / 'a "home" 50%').open()
    manager = Systemd(place, Said(), directory=tmp_path / "units")
    for unit in table(place):
        manager.write(unit)
    files = sorted((tmp_path / "units").iterdir())
    assert files
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *files],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if str(tmp_path / "units") in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_nothing_in_a_line_is_replaced(tmp_path):
    text = Systemd(Home(tmp_path), Said()).render(table(Home(tmp_path))[0]).decode()
    assert '"of $$HOME and 100%%"' in text
    assert "Restart=always" in text
    assert "LimitCORE=0" in text


def test_a_line_break_cannot_become_a_setting(tmp_path):
    place = Home(tmp_path / "a\nExecStartPre=rm")
    with pytest.raises(TwinError, match="line break"):
        Systemd(place, Said()).render(table(place)[0])


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        # `systemctl show` of systemd 252 and 255, systemctl(1).
        ("LoadState=loaded\nActiveState=active\nMainPID=71\nResult=success\nExecMainStatus=0",
         (True, 71, "")),
        ("LoadState=loaded\nActiveState=activating\nMainPID=0\nResult=signal\nExecMainStatus=9",
         (True, 0, "signal, 9")),
        ("LoadState=loaded\nActiveState=inactive\nMainPID=0\nResult=success\nExecMainStatus=0",
         (False, 0, "")),
        ("LoadState=not-found\nActiveState=inactive\nMainPID=0", (False, 0, "")),
    ],
)  # fmt: skip
def test_what_it_says_of_a_unit(said, wanted):
    doing = of_show(Done(0, said))
    assert (doing.loaded, doing.process, doing.ended) == wanted


def test_without_a_systemd_of_ones_own_it_says_what_to_do(tmp_path):
    said = "Failed to connect to bus: No medium found"
    commands = Said({"systemctl --user show": Done(1, err=said)})
    with pytest.raises(TwinError, match=r"No medium found.*--with tmux"):
        Systemd(Home(tmp_path), commands).require()
    with pytest.raises(TwinError, match="not installed"):
        Systemd(Home(tmp_path), Said()).require()


def test_at_boot_is_lingering(tmp_path):
    commands = Said({"systemctl --user": "", "loginctl enable-linger": ""})
    Systemd(Home(tmp_path), commands, at_boot=True).settle()
    assert commands.asked == ["systemctl --user daemon-reload", "loginctl enable-linger"]
