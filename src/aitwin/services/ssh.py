"""Remote login (P3): whether this machine can be logged into from elsewhere, by key alone, by whom.

What counts is what sshd would do, so its own answer is read (`sshd -T`, sshd(8)), not its files:
these include others, and the first value wins.
"""

import re
from collections.abc import Mapping

from aitwin.services.commands import Commands, Done
from aitwin.services.finding import Finding

_WANTED = {
    "passwordauthentication": ("no",),
    "kbdinteractiveauthentication": ("no",),
    # Before OpenSSH 8.7 this was its name.
    "challengeresponseauthentication": ("no",),
    "permitrootlogin": ("no",),
    "permitemptypasswords": ("no",),
    "pubkeyauthentication": ("yes",),
}
DROP_IN = "/etc/ssh/sshd_config.d/100-aitwin.conf"
"""Read before macOS's own defaults, which it includes in this order; later lines do not count."""
LINES = (
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin no",
    "PubkeyAuthentication yes",
)
_ABOUT = ("P3",)


def checks(system: str, commands: Commands) -> list[Finding]:
    """Whether remote login is on, and if so: how one gets in, and who."""
    on = _is_on(system, commands)
    if on is False:
        return [Finding("remote login", "ok", "off", requirements=_ABOUT)]
    found = []
    if on is None:
        found.append(
            Finding("remote login", "unknown", "could not be found out", requirements=_ABOUT)
        )
    found.append(keys_only(commands))
    if system == "Darwin":
        found.append(who(commands))
    return found


def _is_on(system: str, commands: Commands) -> bool | None:
    if system == "Darwin":
        # `systemsetup -getremotelogin` says it, too, to administrators alone.
        done = commands.run(["launchctl", "print", "system/com.openssh.sshd"])
        if done.ok:
            return True
        return False if "Could not find service" in done.text else None
    states = [_active(commands, unit) for unit in ("ssh.service", "sshd.service", "ssh.socket")]
    if any(states):
        return True
    return None if None in states else False


def _active(commands: Commands, unit: str) -> bool | None:
    done = commands.run(["systemctl", "is-active", unit])
    match done.out.strip():
        case "active" | "activating" | "reloading":
            return True
        case "inactive" | "failed" | "unknown":
            return False
    return None


def keys_only(commands: Commands) -> Finding:
    """No passwords, no root, by what sshd says it does."""
    done = commands.run(["sudo", "-n", "sshd", "-T"])
    if not done.ok:
        # On systems where the host's keys may be read by all it says the same without.
        done = commands.run(["sshd", "-T"])
    settings = effective(done.out)
    remedy = f"write to {DROP_IN}: {'; '.join(LINES)}"
    if not settings:
        return Finding(
            "login by key only",
            "unknown",
            f"{_why(done)}; `sudo sshd -T | grep -i -E 'password|kbd|root|pubkey'` shows it",
            remedy,
            requirements=_ABOUT,
        )
    wrong = [
        f"{name} {settings[name]}"
        for name, wanted in _WANTED.items()
        if name in settings and settings[name] not in wanted
    ]
    if wrong:
        return Finding("login by key only", "bad", ", ".join(wrong), remedy, requirements=_ABOUT)
    return Finding("login by key only", "ok", "no passwords, no root", requirements=_ABOUT)


def effective(text: str) -> Mapping[str, str]:
    """The settings that `sshd -T` lists, by name in lower case; the first of each counts."""
    settings: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if re.fullmatch(r"[a-zA-Z]+", name) and value:
            settings.setdefault(name.lower(), value.strip().lower())
    return settings


_GROUP = "com.apple.access_ssh"


def who(commands: Commands) -> Finding:
    """Which users of this Mac may log in from elsewhere: the group of Sharing > Remote Login."""
    done = commands.run(["dscl", ".", "-read", f"/Groups/{_GROUP}", "GroupMembership"])
    place = "System Settings > General > Sharing > Remote Login > (i)"
    if "eDSRecordNotFound" in done.text:
        # The group is renamed to …-disabled, or absent, when all users may.
        return Finding(
            *("users of remote login", "warn", "every user of this Mac"),
            f"{place}: allow yourself alone",
            requirements=_ABOUT,
        )
    if not done.ok:
        return Finding("users of remote login", "unknown", _why(done), place, requirements=_ABOUT)
    _, colon, names = done.out.partition("GroupMembership:")
    members = names.split() if colon else []
    count = len(members)
    if count > 1 or "root" in members:
        evidence = f"{count} users"
        return Finding("users of remote login", "warn", evidence, place, requirements=_ABOUT)
    evidence = "one user" if count else "administrators, or a group"
    return Finding("users of remote login", "ok", evidence, requirements=_ABOUT)


def _why(done: Done) -> str:
    if "no hostkeys available" in done.text or "a password is required" in done.text:
        return "sshd tells it to an administrator alone"
    return "could not be found out"
