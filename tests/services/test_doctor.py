"""Checks of the machine: each state with its evidence, and a remedy where one is needed."""

import os

from aitwin import models
from aitwin.home import Home, Settings
from aitwin.services import doctor, gateway
from tests.services.said import Said


def findings(home):
    return {finding.what: finding for finding in doctor.examine(Home(home), Said())}


def test_a_fresh_home_is_not_bad_but_has_things_to_do(home):
    found = findings(home)
    assert {finding.state for finding in found.values()} <= {"ok", "warn", "unknown"}
    assert found["settings"].remedy == "twin init"
    assert found["private files"].state == "ok"
    assert found["smollm2-135m-instruct"].state == "warn"
    assert found["training"].state == "ok"
    assert not home.exists()


def test_whatever_is_to_be_mended_has_a_remedy(home):
    seen = findings(home).values()
    assert all(finding.remedy for finding in seen if finding.state in ("warn", "bad"))


def test_a_machine_that_cannot_be_asked_is_unknown_and_no_reassurance(home):
    found = findings(home)
    assert {found[what].state for what in ("encrypted disk", "clock", "remote login")} == {
        "unknown"
    } or found["FileVault"].state == "unknown"


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


def test_a_gateway_that_is_not_built_says_how(home, tmp_path, monkeypatch):
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "deno.json").touch()
    package = tmp_path / "src" / "aitwin" / "__init__.py"
    monkeypatch.setattr(gateway.aitwin, "__file__", str(package))
    found = findings(home)["gateway"]
    assert (found.state, found.remedy) == ("warn", "make gateway")
    (tmp_path / "gateway" / "build").mkdir()
    (tmp_path / "gateway" / "build" / "main.js").touch()
    assert findings(home)["gateway"].state == "ok"


def test_modes_that_the_system_gave_are_not_the_owners(home):
    """P1. What is in a disk image is encrypted, and a volume's top has things of the system."""
    place = Home(home).open()
    for name, mode in (("twin.sparsebundle/bands", 0o755), ("vault/.Trashes", 0o333)):
        (home / name).mkdir(parents=True)
        (home / name).chmod(mode)
    for name in ("twin.sparsebundle", "vault"):
        (home / name).chmod(0o700)
    assert findings(home)["private files"].state == "ok"
    (place.root / "vault" / "corpus").mkdir()
    (place.root / "vault" / "corpus").chmod(0o755)
    assert findings(home)["private files"].state == "bad"
    (place.root / "vault" / "corpus").chmod(0o700)
    (place.root / "vault").chmod(0o755)
    assert findings(home)["private files"].state == "bad"


def test_an_ollama_that_listens_elsewhere_is_found_by_the_settings(home):
    place = Home(home)
    place.write_settings(Settings("Ana", ("a@x.example",)))
    with place.settings_file.open("a") as file:
        file.write('\n[writer]\nengine = "ollama"\nurl = "http://127.0.0.1:11500"\n')
    assert doctor._ollama_url(place) == "http://127.0.0.1:11500"
    said = Said({"lsof": "p7\ncollama\nn*:11500\n"})
    assert [one.state for one in doctor.listening("Darwin", said, "http://127.0.0.1:11500")] == [
        "bad",
        "bad",
    ]


def test_versions_are_told(home):
    seen = {one.what: one for one in doctor._versions(Said({"": "deno 2.9.8 (stable)\nv8 1\n"}))}
    assert seen["Deno"].evidence == "2.9.8"
    assert {"AI Twin", "Python"} <= set(seen)


def test_what_is_said_of_tokens_stands_among_the_rest(home):
    from aitwin.services.finding import Finding

    door = Finding("tokens", "warn", "one", "revoke it")
    assert door in doctor.examine(Home(home), Said(), [door])
