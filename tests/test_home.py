"""The owner's directory and twin.toml. What the command line says of mistakes: tests/cli."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.home import (
    VOICES_MARKER,
    Home,
    Settings,
    VoiceSettings,
    WriterSettings,
    for_children,
    hub,
    take_credential,
    told,
)


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


def test_the_credential_is_taken_once_and_handed_to_nobody(home, monkeypatch):
    """O3: what the server starts does not know what the gateway shows."""
    monkeypatch.setenv("TWIN_CREDENTIAL", "zuccanary")
    assert take_credential() == "zuccanary"
    assert take_credential() == ""
    assert "TWIN_CREDENTIAL" not in for_children()
    assert for_children(TWIN_HOME="/x")["TWIN_HOME"] == "/x"


def test_of_the_environment_only_what_is_named_and_set_is_told(monkeypatch):
    monkeypatch.setenv("TWIN_HOSTS", "twin.example")
    monkeypatch.setenv("TWIN_RATE", "")
    assert told(["TWIN_HOSTS", "TWIN_RATE", "TWIN_PROXY"]) == {"TWIN_HOSTS": "twin.example"}


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
    for use in (Home(home).open, Home(home).require_own):
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


# --- Where the recordings lie ---------------------------------------------------------------------


@pytest.fixture
def volume(home, tmp_path, monkeypatch):
    """A directory that is as good as on another disk; `volume.lock()` takes the disk away."""
    path = tmp_path / "Volumes" / "Twin"
    path.mkdir(parents=True)
    status = Path.stat

    def stat(self, **how):
        found = status(self, **how)
        if self == path and not (tmp_path / "locked").exists():
            fields = list(found[:10])
            fields[2] += 1  # st_dev
            return os.stat_result(fields)
        return found

    monkeypatch.setattr(Path, "stat", stat)
    Home(home).write_settings(Settings("Ana", voice=VoiceSettings(str(path))))
    return path


def test_voice_settings_come_back_and_need_no_line_by_default(home):
    place = Home(home)
    settings = Settings("Ana", voice=VoiceSettings("/Volumes/Twin/voices", "/models/enc.pth"))
    place.write_settings(settings)
    assert place.settings() == settings
    place.write_settings(replace(settings, voice=VoiceSettings()))
    assert place.voice_settings() == VoiceSettings()
    assert "directory" not in place.settings_file.read_text()


def test_mistakes_in_voice_are_told_all_at_once(home):
    home.mkdir()
    (home / "twin.toml").write_text(
        '[owner]\nname = "Ana"\n[voice]\ndirectory = "recordings"\nencoder = ""\nmicrophone = 1\n'
    )
    with pytest.raises(TwinError) as told:
        Home(home).settings()
    for said in (
        "voice.directory must be a whole path",
        "voice.encoder",
        "voice.microphone is not",
    ):
        assert said in str(told.value)
    (home / "twin.toml").write_text('[owner]\nname = "Ana"\n[voice]\ndirectory = 5\nencoder = []\n')
    with pytest.raises(
        TwinError, match=r"voice\.directory must be text[^$]*voice\.encoder must be"
    ):
        Home(home).voice_settings()


def test_recordings_lie_in_the_home_before_anybody_said_who_they_are(home):
    place = Home(home)
    assert place.open_voices() == home / "voices" == place.voices
    assert place.voices.stat().st_mode & 0o777 == 0o700
    assert place.is_marked


def test_a_volume_is_marked_at_first_use_and_known_again(home, volume):
    """V4: recordings in an encrypted place."""
    assert Home(home).open_voices() == volume
    assert (volume / VOICES_MARKER).stat().st_mode & 0o777 == 0o600
    assert Home(home).open_voices() == volume
    assert not (home / "voices").exists()


def test_a_volume_that_is_absent_is_not_made(home, volume):
    """V4: what were made in its place would lie on the disk in the clear."""
    volume.rmdir()
    with pytest.raises(TwinError, match=r"is not mounted: unlock it.*run it again"):
        Home(home).open_voices()
    assert not volume.exists()


def test_an_empty_mount_point_is_no_volume(home, volume, tmp_path):
    (tmp_path / "locked").touch()
    with pytest.raises(TwinError, match=rf"unlock it.*touch '{volume}/{VOICES_MARKER}'"):
        Home(home).open_voices()
    assert list(volume.iterdir()) == []
    (volume / VOICES_MARKER).touch()
    assert Home(home).open_voices() == volume


def test_a_directory_that_is_a_file_is_no_volume(home, volume):
    volume.rmdir()
    volume.touch()
    with pytest.raises(TwinError, match="is not mounted"):
        Home(home).open_voices()
