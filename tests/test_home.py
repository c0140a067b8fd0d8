"""The owner's directory and twin.toml. What the command line says of mistakes: tests/cli."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home, Settings, WriterSettings, hub


def test_twin_home_comes_first_then_the_home_directory(monkeypatch, tmp_path, home):
    assert Home.from_environment().root == home
    monkeypatch.setenv("TWIN_HOME", "relative")
    monkeypatch.chdir(tmp_path)
    assert Home.from_environment().root == tmp_path / "relative"
    monkeypatch.setenv("TWIN_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.from_environment().root == tmp_path / ".aitwin"


def test_settings_come_back_as_they_were_written(home):
    place = Home(home)
    settings = Settings(
        "Ana", ("a@x.example",), ("Ana B",), ("dry",), "some.gguf", ("en", "de"), 0.5
    )
    place.write_settings(settings)
    assert place.settings() == settings
    plain = replace(settings, languages=(), mail_share=None)
    place.write_settings(plain)
    assert place.settings() == plain
    assert place.settings_file.stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("share", ["2", "-0.1", '"half"', "true", "nan", "[0.5]"])
def test_a_share_that_is_none_is_named(home, share):
    home.mkdir()
    (home / "twin.toml").write_text(f'[owner]\nname = "Ana"\n[style]\nmail_share = {share}\n')
    with pytest.raises(TwinError, match=r"style\.mail_share must be a number from 0 to 1"):
        Home(home).settings()


def test_comments_and_order_of_the_owner_are_kept(home):
    home.mkdir()
    text = '# mine\n[style]\nbase = "b" # because\n\n[owner]\nname = " Ana "\n'
    (home / "twin.toml").write_text(text)
    place = Home(home)
    assert place.settings().name == "Ana"
    place.write_settings(place.settings())
    written = (home / "twin.toml").read_text()
    assert written.startswith("# mine\n[style]")
    assert "# because" in written


def test_private_settings_do_not_show_in_a_repr():
    shown = repr(Settings("Zuccanary", ("zuccanary@x",), ("zuccanary",)))
    assert "uccanary" not in shown


def test_the_token_is_made_once_and_is_private(home):
    place = Home(home)
    token = place.token()
    assert len(token) >= 32
    assert place.token() == token
    assert place.token_file.stat().st_mode & 0o777 == 0o600
    assert place.token_file.parent.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TwinError, match="TWIN_HOME"):
        Home(tmp_path / "file" / "home").open()


def test_a_loose_home_of_ours_is_closed(home):
    Home(home).open()
    (home / "corpus").mkdir()
    home.chmod(0o755)
    Home(home).open()
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("inside", [("models/net.onnx",), ("logs/x", "src/y"), (".git/config",)])
def test_a_directory_without_proof_is_nobodys_home(home, inside):
    """Names prove nothing: many a project has models/ and logs/."""
    for name in inside:
        (home / name).parent.mkdir(parents=True)
        (home / name).touch()
    home.chmod(0o755)
    for use in (Home(home).open, Home(home).token, Home(home).require_own):
        with pytest.raises(TwinError, match=r"no twin's home.*TWIN_HOME"):
            use()
    assert home.stat().st_mode & 0o777 == 0o755
    assert not (home / ".aitwin").exists()


@pytest.mark.parametrize(
    "inside", ["models/tiny/model.gguf", "models/.partial/x", "models/floats/1/manifest.json",
    "demo/twin.toml", ".DS_Store"],
)  # fmt: skip
def test_pulled_models_and_a_demo_may_be_there_before_the_home(home, inside):
    (home / inside).parent.mkdir(parents=True, exist_ok=True)
    (home / inside).touch()
    marker = Home(home).open().marker
    assert marker.stat().st_mode & 0o777 == 0o600
    (home / "thesis.tex").touch()
    Home(home).open()


def test_twin_toml_is_proof_enough(home):
    """A home of before there was a mark."""
    home.mkdir()
    (home / "twin.toml").touch()
    (home / "logs").mkdir()
    assert Home(home).open().marker.is_file()


def test_models_come_from_the_hub_or_a_mirror(monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert hub() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example/")
    assert hub() == "http://mirror.example"


def test_the_model_libraries_are_told_to_stay_offline():
    """P1, W4: before they are imported, and whatever the environment said."""
    script = (
        "from aitwin.home import stay_offline; stay_offline()\n"
        "from huggingface_hub import constants as c\n"
        "print(c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True"]


def test_home_alone_reads_the_environment():
    """The house: everything else is told."""
    source = Path(__file__).parent.parent / "src" / "aitwin"
    readers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bos\.environ|\bgetenv\(", path.read_text())
    }
    assert readers == {"home.py"}


def test_all_names_are_redacted_on_demand_only(home):
    """P1: `[redact] people` is true or false, and survives a rewrite of the settings."""
    place = Home(home)
    place.write_settings(Settings("Thota", people=True))
    assert place.settings().people
    place.write_settings(Settings("Thota"))
    assert not place.settings().people
    text = place.settings_file.read_text().replace("people = false", 'people = "all"')
    place.settings_file.write_text(text)
    with pytest.raises(TwinError, match=r"redact\.people must be true or false"):
        place.settings()


def test_what_writes_is_kept_and_what_is_usual_needs_no_line(home):
    place = Home(home)
    writer = WriterSettings("openai", "http://127.0.0.1:1/v1", "twin", "base", 2048, 0.5)
    place.write_settings(Settings("Ana", writer=writer))
    assert place.settings().writer == writer
    place.write_settings(Settings("Ana"))
    assert place.settings().writer == WriterSettings()
    assert "engine" not in (home / "twin.toml").read_text()


def test_the_key_of_the_server_that_writes(home):
    place = Home(home)
    assert place.writer_key() == ""
    (home / "secrets").mkdir(parents=True)
    (home / "secrets" / "writer-key").write_text("sesame\n")
    assert place.writer_key() == "sesame"
    (home / "secrets" / "writer-key").write_bytes(b"\xff\xfe")
    with pytest.raises(TwinError, match="holds no text"):
        place.writer_key()
    (home / "secrets" / "writer-key").unlink()
    (home / "secrets" / "writer-key").mkdir()
    with pytest.raises(TwinError, match="cannot be read"):
        place.writer_key()
