"""Remote login: what sshd, launchctl, dscl say, and what it means (P3).

`sshd -T` lists as in OpenSSH 9.x of macOS 15 and 8.4 of Debian 11; dscl's words are those of
dscl(1) and of public management scripts.
"""

import pytest

from aitwin.services import ssh
from aitwin.services.commands import Done
from tests.services.said import Said

OFF = Done(113, "", 'Could not find service "com.openssh.sshd" in domain for system')
MACOS = """\
port 22
addressfamily any
usepam yes
permitrootlogin without-password
pubkeyauthentication yes
passwordauthentication yes
kbdinteractiveauthentication yes
permitemptypasswords no
authorizedkeysfile .ssh/authorized_keys
"""
HARDENED = """\
port 22
permitrootlogin no
pubkeyauthentication yes
passwordauthentication no
kbdinteractiveauthentication no
permitemptypasswords no
"""
DEBIAN_11 = HARDENED.replace("kbdinteractiveauthentication", "challengeresponseauthentication")


def test_remote_login_that_is_off_is_all_that_there_is_to_say() -> None:
    (found,) = ssh.checks("Darwin", Said({"launchctl print system/com.openssh.sshd": OFF}))
    assert (found.what, found.state) == ("remote login", "ok")


def test_macos_as_it_comes_lets_passwords_in() -> None:
    found = ssh.keys_only(Said({"sudo -n sshd -T": MACOS}))
    assert found.state == "bad"
    assert "passwordauthentication yes" in found.evidence
    assert "permitrootlogin without-password" in found.evidence
    assert ssh.DROP_IN in found.remedy


@pytest.mark.parametrize("said", [HARDENED, DEBIAN_11])
def test_keys_alone(said: str) -> None:
    assert ssh.keys_only(Said({"sudo -n sshd -T": Done(1), "sshd -T": said})).state == "ok"


def test_the_first_value_counts_as_sshd_has_it() -> None:
    listed = "PasswordAuthentication no\npasswordauthentication yes\n"
    assert ssh.effective(listed)["passwordauthentication"] == "no"


def test_what_an_administrator_alone_is_told_is_unknown_and_says_so() -> None:
    said = {
        "sudo -n": Done(1, "", "sudo: a password is required"),
        "sshd -T": Done(1, "", "sshd: no hostkeys available -- exiting."),
    }
    found = ssh.keys_only(Said(said))
    assert found.state == "unknown"
    assert "administrator" in found.evidence


@pytest.mark.parametrize(
    ("done", "state", "evidence"),
    [
        (Done(0, "GroupMembership: thota\n"), "ok", "one user"),
        (Done(0, "GroupMembership: thota guest\n"), "warn", "2 users"),
        (Done(0, "GroupMembership: root\n"), "warn", "1 users"),
        (Done(0, "No such key: GroupMembership\n"), "ok", "administrators"),
        (Done(56, "", "<dscl_cmd> DS Error: -14136 (eDSRecordNotFound)"), "warn", "every user"),
        (Done(127), "unknown", "could not"),
    ],
)
def test_who_may_log_in(done: Done, state: str, evidence: str) -> None:
    found = ssh.who(Said({"dscl . -read /Groups/com.apple.access_ssh": done}))
    assert found.state == state
    assert evidence in found.evidence
    assert "thota" not in found.evidence


def test_on_linux_any_of_its_units_counts() -> None:
    said = {"systemctl is-active ssh.socket": "active\n", "systemctl": Done(3, "inactive\n")}
    found = ssh.checks("Linux", Said({**said, "sudo -n sshd": HARDENED}))
    assert [one.what for one in found] == ["login by key only"]
    off = ssh.checks("Linux", Said({"systemctl": Done(3, "inactive\n")}))
    assert [(one.what, one.state) for one in off] == [("remote login", "ok")]
    nobody = ssh.checks("Linux", Said())
    assert nobody[0].state == "unknown"
