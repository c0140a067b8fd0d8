"""What programs of macOS and Linux say about the machine, as recorded by others, and what it means.

Where the words come from: fdesetup(8), pmset(1), lsblk(8), timedatectl(1), systemctl(1);
management scripts that parse them in public (Jamf extension attributes, osquery packs, Munki's
facts); `pmset -g custom` of a Mac mini from ezone.co.uk and of a MacBook from its manual page.
"""

import pytest

from aitwin.services import machine
from aitwin.services.commands import Done
from tests.services.said import Said

FDESETUP = {
    "FileVault is On.\n": "ok",
    "FileVault is On.\nFileVault master keychain appears to be installed.\n": "ok",
    "FileVault is Off.\n": "bad",
    "FileVault is Off.\nDeferred enablement appears to be active for user 'ana'.\n": "warn",
    "FileVault is Off, but will be enabled after the next restart.\n": "warn",
    "FileVault is On, but needs to be restarted to finish.\n": "warn",
    "Encryption in progress: Percent completed = 45.23\n": "warn",
    "FileVault is On.\nEncryption in progress: Percent completed = 45\n": "warn",
    "FileVault is Off.\nDecryption in progress: Percent completed = 12\n": "bad",
    "Decryption in progress: Percent completed = 12.4\n": "bad",
    "FileVault is On.\nDecryption in progress: Percent completed = 3\n": "bad",
    "Error: Unable to determine FileVault status.\n": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize(("said", "state"), FDESETUP.items())
def test_filevault(said: str, state: str) -> None:
    """P4."""
    found = machine.filevault(Said({"fdesetup status": said}))
    assert found.state == state
    assert (found.state == "ok") == (not found.remedy)


def test_filevault_says_how_far_it_is() -> None:
    found = machine.filevault(
        Said({"fdesetup": "Encryption in progress: Percent completed = 45.2"})
    )
    assert "45.2 %" in found.evidence


FIREWALL = {
    "Firewall is enabled. (State = 1) \n": ("ok", "on"),
    "Firewall is enabled. (State = 2) \n": ("ok", "lets nothing in"),
    "Firewall is blocking all non-essential incoming connections. (State = 2)\n": ("ok", "nothing"),
    "Firewall is disabled. (State = 0) \n": ("warn", "off"),
    "Firewall is enabled.\n": ("ok", "on"),
}


@pytest.mark.parametrize(("said", "meant"), FIREWALL.items())
def test_firewall(said: str, meant: tuple[str, str]) -> None:
    found = machine.firewall(Said({"/usr/libexec/ApplicationFirewall/socketfilterfw": said}))
    assert found.state == meant[0]
    assert meant[1] in found.evidence
    assert bool(found.fix) == (found.state == "warn")


def test_a_firewall_that_cannot_be_asked_is_not_called_off() -> None:
    assert machine.firewall(Said()).state == "unknown"


MINI = """\
AC Power:
 Sleep On Power Button 1
 womp                 1
 networkoversleep     0
 sleep                {sleep}
 powernap             1
 ttyskeepawake        1
 hibernatefile        /var/vm/sleepimage
 tcpkeepalive         1
 autorestart          {autorestart}
 displaysleep         10
 disksleep            10
"""
BOOK = """\
Battery Power:
 lidwake              1
 sleep                15
 autorestart          0
 lessbright           1
AC Power:
 lidwake              1
 sleep                0
 displaysleep         10
"""


def test_a_mac_that_comes_back_and_never_sleeps() -> None:
    """O1."""
    said = MINI.format(sleep="0", autorestart="1")
    assert [one.state for one in machine.power(Said({"pmset -g custom": said}))] == ["ok", "ok"]


def test_a_mac_that_stays_off_and_sleeps_is_told_with_what_mends_it() -> None:
    said = MINI.format(sleep="10 (sleep prevented by sharingd, powerd)", autorestart="0")
    restart, sleep = machine.power(Said({"pmset -g custom": said}))
    assert restart.fix == ("sudo", "pmset", "-a", "autorestart", "1")
    assert "10 minutes" in sleep.evidence
    assert sleep.fix == ("sudo", "pmset", "-a", "sleep", "0")


def test_of_a_laptop_the_mains_count_and_it_cannot_start_by_itself() -> None:
    restart, sleep = machine.power(Said({"pmset -g custom": BOOK}))
    assert (restart.state, restart.fix) == ("warn", ())
    assert sleep.state == "ok"


@pytest.mark.parametrize("done", [Done(127), Done(0, ""), Done(1, "", "pmset: unable")])
def test_power_that_cannot_be_asked_is_unknown(done: Done) -> None:
    assert {one.state for one in machine.power(Said({"pmset": done}))} == {"unknown"}


LSBLK = {
    "disk \npart /boot\ncrypt /\n": "ok",
    "disk \npart /\ncrypt /home\n": "ok",
    "disk \npart /boot/efi\ncrypt \nlvm /\nlvm [SWAP]\n": "unknown",
    "disk \npart /\n": "warn",
    "": "unknown",
}


@pytest.mark.parametrize(("said", "state"), LSBLK.items())
def test_encryption_of_a_linux_disk(said: str, state: str) -> None:
    found = machine.encrypted_disk(Said({"lsblk": said}))
    assert found.state == state


@pytest.mark.parametrize(
    ("done", "state"),
    [
        (Done(1, "masked\n"), "ok"),
        (Done(0, "static\n"), "warn"),
        (Done(1, "", "System has not been booted with systemd as init system (PID 1)."), "unknown"),
        (Done(127), "unknown"),
    ],
)
def test_sleep_of_linux(done: Done, state: str) -> None:
    (found,) = machine.sleep_of_linux(Said({"systemctl is-enabled sleep.target": done}))
    assert found.state == state


@pytest.mark.parametrize(
    ("done", "state"),
    [(Done(0, "yes\n"), "ok"), (Done(0, "no\n"), "warn"), (Done(1, "", "Failed"), "unknown")],
)
def test_clock_of_linux(done: Done, state: str) -> None:
    assert machine.clock_of_linux(Said({"timedatectl show": done})).state == state


@pytest.mark.parametrize(
    ("done", "state"),
    [
        (Done(0, "system/com.apple.timed = {\n\tactive count = 1\n"), "ok"),
        (Done(113, "", 'Could not find service "com.apple.timed" in domain for system'), "warn"),
        (Done(127), "unknown"),
    ],
)
def test_clock_of_a_mac(done: Done, state: str) -> None:
    assert machine.clock_of_mac(Said({"launchctl print": done})).state == state


@pytest.mark.parametrize(
    ("said", "state"), [("Network Time: On\n", "ok"), ("Network Time: Off\n", "warn")]
)
def test_clock_of_a_mac_whose_administrator_is_asked(said: str, state: str) -> None:
    """systemsetup(8); the service runs in either case."""
    commands = Said(
        {
            "sudo -n systemsetup -getusingnetworktime": said,
            "launchctl print": "system/com.apple.timed = {\n",
        }
    )
    assert machine.clock_of_mac(commands).state == state


def test_each_system_is_asked_its_own_programs() -> None:
    mac, linux = Said(), Said()
    machine.checks("Darwin", mac)
    machine.checks("Linux", linux)
    assert any("pmset" in words for words in mac.asked)
    assert not any("pmset" in words or "fdesetup" in words for words in linux.asked)
