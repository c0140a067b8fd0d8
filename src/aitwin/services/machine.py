"""Checks of the machine itself: disk encryption, firewall, power, sleep, clock.

Each reads what a program of the system says; the variants that it must understand are recorded in
tests/services/test_machine.py, with where they come from. Changes nothing.
"""

import re
from typing import Literal

from aitwin.services.commands import Commands, Done
from aitwin.services.finding import Finding

System = Literal["Darwin", "Linux"]


def checks(system: str, commands: Commands) -> list[Finding]:
    """All of them, for `platform.system()` as given."""
    if system == "Darwin":
        return [
            filevault(commands),
            firewall(commands),
            *power(commands),
            clock_of_mac(commands),
        ]
    return [encrypted_disk(commands), *sleep_of_linux(commands), clock_of_linux(commands)]


# --- macOS ----------------------------------------------------------------------------------------

_PERCENT = re.compile(r"Percent completed = ([\d.,]+)")


def filevault(commands: Commands) -> Finding:
    """P4, V4: `fdesetup status` (fdesetup(8))."""
    done = commands.run(["fdesetup", "status"])
    said, remedy = done.text, "System Settings > Privacy & Security > FileVault"
    about = ("P4", "V4")
    if "Encryption in progress" in said:
        percent = _PERCENT.search(said)
        evidence = f"encrypting, {percent[1]} % done" if percent else "encrypting"
        return Finding(
            "FileVault", "warn", evidence, "leave this Mac on until it is done", requirements=about
        )
    if "FileVault is On" in said:
        if "restart" in said:
            return Finding(
                *("FileVault", "warn", "on after the next restart", "restart this Mac"),
                requirements=about,
            )
        if "Decryption in progress" in said:
            return Finding("FileVault", "bad", "being turned off", remedy, requirements=about)
        return Finding("FileVault", "ok", "on", requirements=about)
    if "FileVault is Off" in said or "Decryption in progress" in said:
        if "after the next restart" in said or "Deferred enablement appears to be active" in said:
            return Finding(
                *("FileVault", "warn", "off until the next login or restart", "restart this Mac"),
                requirements=about,
            )
        return Finding("FileVault", "bad", "off", remedy, requirements=about)
    return Finding("FileVault", "unknown", _unknown(done), remedy, requirements=about)


_FIREWALL = "/usr/libexec/ApplicationFirewall/socketfilterfw"


def firewall(commands: Commands) -> Finding:
    """P2: the application firewall; `socketfilterfw --getglobalstate`."""
    done = commands.run([_FIREWALL, "--getglobalstate"])
    state = re.search(r"State = (\d)", done.text)
    on = state[1] != "0" if state else "enabled" in done.text if done.ok else None
    fix = ("sudo", _FIREWALL, "--setglobalstate", "on")
    if on is None:
        return Finding("firewall", "unknown", _unknown(done), " ".join(fix), requirements=("P2",))
    if not on:
        return Finding("firewall", "warn", "off", " ".join(fix), fix, ("P2",))
    blocks = state is not None and state[1] == "2"
    evidence = "on, and lets nothing in" if blocks else "on"
    return Finding("firewall", "ok", evidence, requirements=("P2",))


def power(commands: Commands) -> list[Finding]:
    """O1: comes back after a power failure, and never sleeps; `pmset -g custom` (pmset(1)).

    A Mac without a battery has the one section "AC Power:", a laptop "Battery Power:" besides, of
    which nothing is asked.
    """
    done = commands.run(["pmset", "-g", "custom"])
    settings = _on_mains(done.out)
    if not done.ok or not settings:
        why = _unknown(done)
        return [
            Finding("after a power failure", "unknown", why, _pmset("autorestart", 1), (), ("O1",)),
            Finding("sleep", "unknown", why, _pmset("sleep", 0), (), ("O1",)),
        ]
    found = []
    # Where there is no such line the machine cannot do it: laptops have none.
    if "autorestart" not in settings:
        found.append(
            Finding(
                "after a power failure",
                "warn",
                "this Mac cannot start by itself",
                "after a power failure, press its power button",
                requirements=("O1",),
            )
        )
    elif settings["autorestart"] == 0:
        found.append(_off("after a power failure", "stays off", ("autorestart", 1)))
    else:
        found.append(
            Finding("after a power failure", "ok", "starts by itself", requirements=("O1",))
        )
    minutes = settings.get("sleep", 0)
    if minutes:
        found.append(_off("sleep", f"sleeps after {minutes} minutes", ("sleep", 0)))
    else:
        found.append(Finding("sleep", "ok", "never sleeps", requirements=("O1",)))
    return found


def _off(what: str, evidence: str, setting: tuple[str, int]) -> Finding:
    fix = ("sudo", "pmset", "-a", setting[0], str(setting[1]))
    return Finding(what, "warn", evidence, " ".join(fix), fix, ("O1",))


def _pmset(name: str, value: int) -> str:
    return f"sudo pmset -a {name} {value}"


def _on_mains(text: str) -> dict[str, int]:
    """The settings for mains power, one to a line: " sleep     1 (sleep prevented by …)"."""
    settings: dict[str, int] = {}
    mains = False
    for line in text.splitlines():
        if line[:1].strip():
            mains = line.startswith("AC Power")
        elif mains and (found := re.match(r"\s+(\S.*?)\s+(\d+)(?:\s+\(.*)?$", line)):
            settings[found[1]] = int(found[2])
    return settings


def clock_of_mac(commands: Commands) -> Finding:
    """Tokens and sessions expire by it; `systemsetup -getusingnetworktime` wants an administrator.

    It is asked where sudo wants no password. What needs no administrator is whether the service
    that sets it is there (`launchctl print`); it may be there and told to set nothing.
    """
    fix = ("sudo", "systemsetup", "-setusingnetworktime", "on")
    told = commands.run(["sudo", "-n", "systemsetup", "-getusingnetworktime"])
    if told.ok and "Network Time: Off" in told.out:
        return Finding("clock", "warn", "nothing sets it", " ".join(fix), fix)
    if told.ok and "Network Time: On" in told.out:
        return Finding("clock", "ok", "set by the network's time")
    done = commands.run(["launchctl", "print", "system/com.apple.timed"])
    if done.ok:
        return Finding("clock", "ok", "the service that sets it runs")
    if done.missing or "Could not find service" not in done.text:
        return Finding("clock", "unknown", _unknown(done), " ".join(fix))
    return Finding("clock", "warn", "nothing sets it", " ".join(fix), fix)


# --- Linux ----------------------------------------------------------------------------------------


def encrypted_disk(commands: Commands) -> Finding:
    """P4 on Linux: whether what is mounted on / or /home lies on LUKS; `lsblk` (lsblk(8))."""
    done = commands.run(["lsblk", "--noheadings", "--raw", "--output", "TYPE,MOUNTPOINT"])
    about = ("P4", "V4")
    remedy = "install with an encrypted disk (LUKS), or keep what is private in `twin vault`"
    rows = [line.split() for line in done.out.splitlines() if line.strip()]
    if not done.ok or not rows:
        return Finding("encrypted disk", "unknown", _unknown(done), remedy, requirements=about)
    if any(row[0] == "crypt" and len(row) > 1 and row[1] in ("/", "/home") for row in rows):
        return Finding("encrypted disk", "ok", "LUKS", requirements=about)
    if any(row[0] == "crypt" for row in rows):
        # A volume group upon it: which of its parts is mounted where is not in this list.
        return Finding(
            *("encrypted disk", "unknown", "a part of the disk is encrypted", remedy),
            requirements=about,
        )
    return Finding("encrypted disk", "warn", "no part of it is encrypted", remedy, (), about)


def sleep_of_linux(commands: Commands) -> list[Finding]:
    """O1 on Linux: whether systemd may put the machine to sleep."""
    done = commands.run(["systemctl", "is-enabled", "sleep.target"])
    fix = ("sudo", "systemctl", "mask", "sleep.target", "suspend.target", "hibernate.target")
    if done.missing or "not been booted with systemd" in done.text:
        return [Finding("sleep", "unknown", _unknown(done), requirements=("O1",))]
    if done.out.strip() == "masked":
        return [Finding("sleep", "ok", "never sleeps", requirements=("O1",))]
    return [Finding("sleep", "warn", "may be put to sleep", " ".join(fix), fix, ("O1",))]


def clock_of_linux(commands: Commands) -> Finding:
    """Whether something sets the clock; `timedatectl show` (timedatectl(1))."""
    done = commands.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    fix = ("sudo", "timedatectl", "set-ntp", "true")
    match done.out.strip():
        case "yes":
            return Finding("clock", "ok", "set by the network's time")
        case "no" if done.ok:
            return Finding("clock", "warn", "not set by the network's time", " ".join(fix), fix)
    return Finding("clock", "unknown", _unknown(done))


def _unknown(done: Done) -> str:
    """Why nothing is known, in one line."""
    said = " ".join(done.text.split())
    return f"could not be found out: {said[:120]}" if said else "could not be found out"
