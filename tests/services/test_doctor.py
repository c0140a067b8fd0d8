"""Checks of the machine: each state with its evidence, and a remedy where one is needed."""

import os

from aitwin import models
from aitwin.home import Home, Settings
from aitwin.services import doctor


def findings(home):
    return {finding.what: finding for finding in doctor.examine(Home(home))}


def test_a_fresh_home_is_not_bad_but_has_things_to_do(home):
    found = findings(home)
    assert {finding.state for finding in found.values()} <= {"ok", "warn"}
    assert found["settings"].remedy == "twin init"
    assert found["private files"].state == "ok"
    assert found["smollm2-135m-instruct"].state == "warn"
    assert found["training"].state == "ok"
    assert not home.exists()


def test_every_finding_that_is_not_ok_has_a_remedy(home):
    assert all(finding.remedy for finding in findings(home).values() if finding.state != "ok")


def test_settings_are_missing_incomplete_wrong_or_fine(home):
    place = Home(home)
    place.write_settings(Settings("Ana"))
    assert findings(home)["settings"].state == "warn"
    place.write_settings(Settings("Ana", ("a@x.example",)))
    assert findings(home)["settings"].state == "ok"
    place.settings_file.write_text("[owner]\nname = 7\n")
    assert findings(home)["settings"].state == "bad"


def test_what_others_can_read_is_counted_and_named(home):
    """P1."""
    Home(home).open()
    (home / "corpus").mkdir(mode=0o700)
    (home / "corpus" / "a").touch(0o600)
    (home / "link").symlink_to(os.devnull)
    assert findings(home)["private files"].state == "ok"
    (home / "corpus" / "a").chmod(0o640)
    (home / "corpus").chmod(0o755)
    found = findings(home)["private files"]
    assert found.state == "bad"
    assert found.evidence.startswith("2 readable by others")
    assert str(home) in found.remedy


def test_too_little_disk_is_told_with_what_is_wanted(home, monkeypatch):
    """R2."""
    monkeypatch.setattr(models, "FREE_FOR_LARGE", 1 << 60)
    assert findings(home)["disk"].state == "warn"
    monkeypatch.setattr(models, "FREE_FOR_LARGE", 1)
    assert findings(home)["disk"].state == "ok"


def test_a_part_that_is_not_installed_says_how(home, monkeypatch):
    monkeypatch.setitem(doctor.PARTS, "speaking", ("no_such_module_here",))
    found = findings(home)["speaking"]
    assert found.state == "warn"
    assert "pip install 'aitwin[speak]'" in found.remedy


def test_a_damaged_model_is_bad(home):
    place = home / "models" / "smollm2-135m-instruct"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text("{}")
    found = findings(home)["smollm2-135m-instruct"]
    assert (found.state, found.remedy) == ("bad", "twin models pull smollm2-135m-instruct")
