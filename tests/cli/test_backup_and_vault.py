"""twin backup, restore, vault: what the commands say and refuse (V4, P4)."""

import subprocess
from pathlib import Path

import pytest

from aitwin.home import Home
from tests.cli.conftest import Twin
from tests.services.test_vault import mounts


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that lies open: age takes a second and a gigabyte to seal one, on purpose."""
    from pyrage import passphrase

    monkeypatch.setattr(passphrase, "encrypt", lambda key, _: key)
    monkeypatch.setattr(passphrase, "decrypt", lambda key, _: key)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("four wet dogs in a van\n")
    return path


@pytest.fixture
def unmounted(home: Path):
    yield
    subprocess.run(["fusermount3", "-uz", home / "vault"], capture_output=True, check=False)


def test_a_backup_says_what_is_not_in_it_and_comes_back(
    twin: Twin, home: Path, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert twin("init", "--name", "Ana", "--address", "ana@x.example").code == 0
    file = tmp_path / "ana.twin"
    made = twin("backup", file, "--passphrase-file", words)
    assert made.code == 0
    assert "read back and compared" in made.err
    assert "not in it: recordings, imported mail, tokens and keys" in made.err
    twin("backup", file, "--passphrase-file", words).refused("there already", "--force")
    assert twin("backup", file, "--force", "--passphrase-file", words, "--json").json["files"] == 2
    twin("restore", file, "--passphrase-file", words).refused("twin.toml already", "--replace")
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "new"))
    back = twin("restore", file, "--passphrase-file", words, "--json")
    assert back.json["parts"] == {"settings": 2}
    assert Home(tmp_path / "new").settings().name == "Ana"


def test_a_weak_passphrase_and_a_strange_file_are_refused(
    twin: Twin, home: Path, tmp_path: Path, words: Path
) -> None:
    twin("init", "--name", "Ana")
    for weak in ("121212121212", "short"):
        (tmp_path / "weak.txt").write_text(f"{weak}\n")
        twin("backup", tmp_path / "x.twin", "--passphrase-file", tmp_path / "weak.txt").refused(
            "soon guessed"
        )
    twin("restore", words, "--passphrase-file", words).refused("no backup", "twin backup")
    twin("restore", tmp_path / "none", "--passphrase-file", words).refused("is not there")


def test_without_a_vault_that_is_told(twin: Twin, home: Path) -> None:
    assert "there is no vault" in twin("vault", "status").err
    assert twin("vault", "status", "--json").json["exists"] is False
    twin("vault", "open").refused("no vault yet", "twin vault create")
    assert "locked already" in twin("vault", "close").err
    twin("vault", "dissolve", "--yes").refused("there is no vault")


@mounts
def test_a_vault_from_making_it_to_dissolving_it(
    twin: Twin, home: Path, words: Path, tmp_path: Path, unmounted: None
) -> None:
    twin("init", "--name", "Ana", "--address", "ana@x.example")
    chat = tmp_path / "WhatsApp Chat with Tom.txt"
    chat.write_text("".join(f"13/04/2024, 10:0{n} - Tom: line {n}\n" for n in range(6)))
    assert twin("corpus", "add", chat).code == 0
    made = twin("vault", "create", "--passphrase-file", words)
    assert made.code == 0, made
    assert "the vault holds corpus" in made.err
    assert twin("corpus", "show", "--json").code == 0
    assert "the vault is locked" in twin("vault", "close").err
    twin("corpus", "show").refused("the vault is locked", "twin vault open")
    twin("dataset", "build").refused("the vault is locked")
    twin("purge", "corpus", "--yes").refused("locked")
    (tmp_path / "other.txt").write_text("five dry cats in a tin\n")
    twin("vault", "open", "--passphrase-file", tmp_path / "other.txt").refused("passphrase")
    assert twin("vault", "open", "--passphrase-file", words).code == 0
    assert twin("vault", "status", "--json").json["is_open"] is True
    assert twin("purge", "corpus", "--yes").code == 0
    assert not (home / "vault" / "corpus").exists()
    assert twin("vault", "dissolve", "--yes").code == 0
    assert twin("vault", "status", "--json").json["exists"] is False
