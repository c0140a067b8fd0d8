"""twin init, doctor, purge."""

import io
import stat

import pytest


def test_init_writes_who_the_owner_is_and_adds_a_forgotten_address(owner, home):
    settings = home / "twin.toml"
    settings.write_text("# mine\n" + settings.read_text())
    result = owner("init", "--address", "Second@x.example", "--trait", "dry humour")
    assert result.code == 0
    text = settings.read_text()
    assert text.startswith("# mine\n")
    assert 'addresses = ["thota@x.example", "second@x.example"]' in text
    assert 'traits = ["dry humour"]' in text
    assert 'chat_names = ["Thota"]' in text
    assert result.out == ""
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_init_asks_nobody_who_is_not_there_and_knows_its_bases(twin, home):
    assert twin("init").code == 2
    assert twin("init", "--name", "A", "--address", "no-at-sign").code == 2
    twin("init", "--name", "A", "--base", "gpt-9").refused("gpt-9", "smollm2-135m-instruct")
    assert not (home / "twin.toml").exists()


@pytest.mark.parametrize(
    "flag", [("--name", "  "), ("--chat-name", " "), ("--trait", ""), ("--address", " "),
    ("--address", "Ana <ana>"), ("--address", "a b@x.example"), ("--address", "a@b@c"),
    ("--address", "ana@x.example, bell")],
)  # fmt: skip
def test_init_refuses_what_no_command_could_use(twin, home, flag):
    assert twin("init", "--name", "A", *flag).code == 2
    assert not home.exists()


def test_init_takes_the_address_out_of_a_mail_header(twin, home):
    header = '"Bell, Ana" <Ana@Bell.example>'
    twin("init", "--name", " Ana ", "--address", header, "--address", "ana@bell.example, b@x.y")
    text = (home / "twin.toml").read_text()
    assert 'name = "Ana"' in text
    assert 'addresses = ["ana@bell.example", "b@x.y"]' in text


def test_init_keeps_what_it_does_not_ask_for(owner, home):
    settings = home / "twin.toml"
    settings.write_text(settings.read_text().replace("names = []", 'names = ["Tom"]'))
    assert owner("init", "--trait", "dry").code == 0
    assert 'names = ["Tom"]' in settings.read_text()


def test_init_wants_a_base_that_is_there_and_remembers_where(twin, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twin("init", "--name", "A", "--base", "./nope.gguf").refused(str(tmp_path / "nope.gguf"))
    (tmp_path / "nope.gguf").write_text("<html>")
    twin("init", "--name", "A", "--base", "./nope.gguf").refused("no GGUF model")
    assert not home.exists()
    (tmp_path / "nope.gguf").write_bytes(b"GGUF")
    assert twin("init", "--name", "A", "--base", "./nope.gguf").code == 0
    assert f'base = "{tmp_path / "nope.gguf"}"' in (home / "twin.toml").read_text()


def test_init_asks_where_there_is_somebody(twin, home, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    answers = Terminal("Ana Bell\nana@bell.example, ab@w.example\nAna\n\n")
    monkeypatch.setattr("io.StringIO", lambda text: answers)
    assert twin("init").code == 0
    text = (home / "twin.toml").read_text()
    assert 'name = "Ana Bell"' in text
    assert 'addresses = ["ana@bell.example", "ab@w.example"]' in text
    assert 'traits = ["concise", "direct"]' in text


def test_every_mistake_in_the_settings_is_told_at_once_without_an_address(owner, home):
    (home / "twin.toml").write_text(
        '[owner]\nname = ""\naddresses = "zuccanary@x.example"\nnick = 1\n'
        '"zuccanary@y.example" = 2\n[style]\nbase = 7\ntraits = [1]\n[music]\n'
    )
    result = owner("corpus", "show")
    result.refused(
        str(home / "twin.toml"), "owner.name is missing", "owner.addresses must be a list",
        "owner.nick is not a setting", "style.base must be text", "style.traits must be a list",
        "music is not a setting", "owner.… is not a setting",
    )  # fmt: skip
    (home / "twin.toml").write_text('[owner]\nname = "A"\naddresses = ["zuccanary@x\n')
    owner("corpus", "show").refused("twin.toml", "line 3")
    (home / "twin.toml").write_text('owner = "zuccanary"\n')
    owner("corpus", "show").refused("owner must be a section", "owner.name is missing")
    (home / "twin.toml").write_bytes(b"\xff\xfe zuccanary")
    owner("corpus", "show").refused("twin.toml is no valid TOML")
    (home / "twin.toml").unlink()
    (home / "twin.toml").mkdir()
    owner("corpus", "show").refused("twin.toml cannot be read")


def test_a_home_that_is_somebody_elses_is_left_as_it_is(twin, home):
    home.mkdir(mode=0o755)
    (home / "thesis.tex").write_text("x")
    twin("init", "--name", "A").refused(str(home), "TWIN_HOME")
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    home.joinpath("thesis.tex").unlink()
    home.rmdir()
    home.write_text("a file")
    home.chmod(0o644)
    twin("init", "--name", "A").refused(str(home), "TWIN_HOME")
    assert stat.S_IMODE(home.stat().st_mode) == 0o644


@pytest.mark.parametrize("command", [("corpus", "show"), ("dataset", "build"), ("write", "x")])
def test_before_init_every_command_says_init(twin, command):
    twin(*command).refused("twin.toml", "twin init")


def test_doctor_tells_in_words_and_in_json_and_fails_when_something_is_bad(owner, home):
    result = owner("doctor")
    assert result.code == 0
    assert "all readable by you alone" in result.out
    leak = home / "corpus [x]"
    leak.write_text("x")
    leak.chmod(0o644)
    worse = owner("doctor")
    assert worse.code == 1
    assert str(leak) in worse.out
    listed = {finding["what"]: finding for finding in owner("doctor", "--json").json}
    assert listed["private files"]["state"] == "bad"
    assert "chmod" in listed["private files"]["remedy"]


def test_doctor_tells_of_tokens_that_open_all_for_ever(owner):
    """P2."""
    assert owner("token", "create", "mine", "--scope", "owner").code == 0
    found = {one["what"]: one for one in owner("doctor", "--json").json}
    assert found["tokens"]["state"] == "warn"
    assert "mine" in found["tokens"]["evidence"]
    assert found["passphrase"]["state"] == "ok"


def test_purge_deletes_what_was_named_and_lists_the_rest(owner, home, mailbox):
    owner("corpus", "add", mailbox)
    assert owner("purge", "corpus", stdin="n\n").code == 1
    assert (home / "corpus").exists()
    result = owner("purge", "corpus", "--yes")
    assert result.code == 0
    assert not (home / "corpus").exists()
    assert "twin.toml" in result.out
    assert owner("purge", "all", "--yes").code == 0
    assert list(home.iterdir()) == []


def test_purge_tells_what_it_cannot_reach(owner, home):
    (home / "logs").mkdir(mode=0o700)
    (home / "logs" / "last-backup.json").write_text('{"at": "2026-11-29T12:00:00+00:00"}')
    (home / "adapters" / "main").mkdir(parents=True)
    (home / "adapters" / "main" / "ollama.json").write_text("{}")
    told = owner("purge", "adapters", "--yes").out
    for what in ("backups", "the twin in Ollama", "Time Machine"):
        assert what in told
    again = owner("purge", "all", "--yes").out
    assert "the twin in Ollama" not in again


def test_purge_lets_a_twin_that_is_served_end_first(owner, home):
    from aitwin.home import Home
    from aitwin.services import serving

    (home / "logs").mkdir(mode=0o700)
    (home / "corpus").mkdir(mode=0o700)
    with (
        serving.alone(Home(home)) as directory,
        serving.announced(directory, serving.Address("http://127.0.0.1:1", "a socket", 1)),
    ):
        owner("purge", "corpus", "--yes").refused("is served", "nothing was deleted")
        assert owner("purge", "logs", "--yes").code == 0
    assert (home / "corpus").exists()


def test_purge_leaves_no_service_without_its_record(owner, home):
    (home / "run" / "services").mkdir(parents=True, mode=0o700)
    (home / "run" / "services" / "stack").write_text("{}")
    owner("purge", "all", "--yes").refused("twin services uninstall")
    assert (home / "twin.toml").exists()


def test_purge_and_init_leave_a_folder_that_is_no_twins(twin, home):
    """Whoever sets TWIN_HOME to a project loses nothing of it, nor who may read it."""
    files = [home / "models" / "net.onnx", home / "logs" / "today", home / "src" / "main.c"]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text("x")
    home.chmod(0o755)
    twin("purge", "all", "--yes").refused(str(home), "no twin's home", "TWIN_HOME")
    twin("purge", "models", "--yes").refused(str(home))
    twin("init", "--name", "A").refused(str(home))
    twin("serve", "--port", "0").refused(str(home))
    twin("token", "create", "x").refused(str(home))
    found = twin("doctor", "--json").json
    assert not [one for one in found if "chmod" in one["remedy"]]
    assert all(file.read_text() == "x" for file in files)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert not (home / "secrets").exists()


def test_purge_keeps_the_mark_beside_what_is_not_its_own(owner, home):
    (home / "notes.txt").write_text("x")
    assert owner("purge", "all", "--yes").code == 0
    assert {path.name for path in home.iterdir()} == {".aitwin", "notes.txt"}
    assert owner("init", "--name", "A").code == 0
