"""twin deploy, and twin write through Ollama, against a stand-in for it (see ollama_standin)."""

import json
from contextlib import closing

import pytest
from ollama_standin import Standin

CANARY = "zuccanary"


@pytest.fixture
def ollama(tmp_path, monkeypatch):
    """An empty Ollama; at the end, no request may have been a mistake."""
    from aitwin.style import proof

    monkeypatch.setattr(proof, "PROBES", proof.PROBES[:1])
    monkeypatch.setattr(proof, "LONGEST", 12)
    (tmp_path / "blobs").mkdir()
    with closing(Standin(tmp_path / "blobs")) as standin:
        standin.behaviour.version = "0.34.0"  # takes the LoRA: nothing is grafted here
        yield standin
        assert standin.mistakes == []


def use(home, engine, **more):
    """Write [writer] into twin.toml."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"engine": engine, **more}.items()]
    with (home / "twin.toml").open("a") as settings:
        settings.write("\n[writer]\n" + "\n".join(lines) + "\n")


def test_deploy_then_write_with_it(trained, home, ollama):
    """W1: the twin and its base in Ollama, and drafts from there."""
    result = trained("deploy", "writer", "--ollama", ollama.url, "--json")
    assert result.code == 0, result
    assert "was not evaluated yet" in result.err
    assert "no held-out reply is scored" in result.err
    assert result.json["made"] is True
    again = trained("deploy", "writer", "--ollama", ollama.url)
    assert again.code == 0
    assert "it was there already" in again.err
    shown = trained("deploy", "status", "--ollama", ollama.url)
    assert "aitwin:latest" in shown.out
    assert result.json["name"] in shown.out
    use(home, "ollama", url=ollama.url, context=512, keep_alive=1)
    words = ("write", f"Say no to {CANARY}.", "--max-tokens", "6", "--temperature", "0")
    twin, base = trained(*words), trained(*words, "--base")
    assert twin.code == base.code == 0
    assert twin.out.strip()
    assert base.out.strip()
    chats = [body for what, body in ollama.asked if what == "POST /api/chat"]
    assert [chat["model"] for chat in chats[-2:]] == ["aitwin:latest", "aitwin-base:latest"]
    assert chats[-1]["options"]["num_ctx"] == 512
    assert trained("deploy", "status", "--json").json["twin"] == result.json["name"]


def test_an_adapter_that_failed_its_evaluation_is_not_deployed(trained, home, ollama):
    from aitwin import artifact

    adapter = home / "adapters" / "main"
    gate = {"passed": False, "reasons": ["2 canaries came back, 0 allowed"]}
    told = {"adapter": artifact.sha256(adapter / artifact.MANIFEST), "gate": gate}
    (adapter / "evaluation.json").write_text(json.dumps(told))
    words = ("deploy", "writer", "--ollama", ollama.url)
    trained(*words).refused("2 canaries", "--force")
    assert ollama.models == {}
    forced = trained(*words, "--force")
    assert forced.code == 0, forced
    assert "aitwin:latest" in ollama.models


def test_what_is_missing_is_told(owner, trained, home, ollama, tmp_path):
    trained("deploy", "writer", "--ollama", "http://192.168.1.4:11434").refused("not this machine")
    ollama.behaviour.version = "0.5.4"
    trained("deploy", "writer", "--ollama", ollama.url).refused("0.5.4 is too old", "update")
    trained("deploy", "writer", "--ollama", "http://127.0.0.1:9").refused("OLLAMA_NO_CLOUD=1")
    use(home, "ollama", url=ollama.url)
    trained("write", CANARY).refused("0.5.4 is too old")
    ollama.behaviour.version = "0.35.0"
    trained("write", CANARY).refused("no model aitwin:latest", "twin deploy writer")
    (home / "adapters" / "main" / "manifest.json").unlink()
    trained("deploy", "writer").refused("no adapter", "twin train")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('engine = "gpt"', "writer.engine must be one of embedded, ollama, openai"),
        ("engine = 3", "writer.engine must be text"),
        ('engine = "openai"', "writer.model must name"),
        ("context = 12", "writer.context must be a whole number of tokens, 256 to 131072"),
        ("context = 2147483648", "256 to 131072"),
        ("context = true", "writer.context must be"),
        ('keep_alive = "5m"', "writer.keep_alive must be a number of minutes"),
        ("keep_alive = nan", "writer.keep_alive must be"),
        ("speed = 3", "writer.speed is not a setting"),
        ('engine = "ollama"\nurl = "http://example.org"', "example.org is not this machine"),
        ('engine = "openai"\nmodel = "m"\nurl = "nonsense"', "is no address such as"),
    ],
)
def test_mistakes_in_the_settings_are_named(trained, home, lines, told):
    with (home / "twin.toml").open("a") as settings:
        settings.write(f"\n[writer]\n{lines}\n")
    trained("write", CANARY).refused(told)
