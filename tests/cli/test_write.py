"""twin train, write, say, speak, voice: with the real small model and the real bundled voice."""

import wave
from pathlib import Path

import pytest

from aitwin.cli.write import _read_request, read_length
from aitwin.prompt import Task
from aitwin.voice.speech import unspoken

CANARY = "zuccanary"


def test_write_prints_the_draft_and_nothing_else(trained, home, tmp_path):
    """W2, W3."""
    mail = tmp_path / "mail.txt"
    mail.write_text(f"Can you come on Tuesday, {CANARY}?")
    words = ("--max-tokens", "8", "--context", mail)
    plain = trained("write", "Decline.", *words)
    assert plain.code == 0
    assert plain.out.strip()
    asked = trained("write", "Decline.", *words, "--json")
    assert asked.json == {"text": plain.out.strip(), "adapter": "main", "taken_off": []}
    base = trained("write", "Decline.", *words, "--base", "--json")
    assert base.json["adapter"] is None
    assert trained("write", "Decline.", "--context", "-", "--max-tokens", "4", stdin="x").code == 0


def test_a_request_is_worded_by_its_flags(tmp_path):
    """W2: one file at most, and what to do with it."""
    mail = tmp_path / "mail.txt"
    mail.write_text("Can you come?")
    flags = {"write": "", "reply": str(mail), "rewrite": ""}
    assert _read_request("", flags, mail) == Task(
        "", "Can you come?", "Can you come?", kind="reply"
    )
    assert _read_request("No.", dict.fromkeys(flags, ""), None) == Task("No.")


@pytest.mark.parametrize(
    ("text", "length"),
    [("", None), ("short", "short"), ("Long", "long"), ("120", 120), ("120 words", 120)],
)
def test_a_length_is_read(text, length):
    assert read_length(text) == length


def test_flags_and_examples_reach_the_model(trained, tmp_path, home, mailbox):
    mail = tmp_path / "mail.txt"
    mail.write_text("Can you come on Tuesday?")
    assert trained("corpus", "add", mailbox).code == 0
    assert trained("dataset", "build", "--allow-small").code == 0
    plain = ("write", "--reply", mail, "--max-tokens", "8", "--temperature", "0")
    chat = (*plain, "Decline.", "--to", "Ana", "--as", "chat", "--length", "5 words")
    drafts = {trained(*flags).out for flags in (plain, (*plain, "--examples", "3"), chat)}
    assert len(drafts) == 3


def test_a_request_that_is_none_is_refused(trained, tmp_path):
    trained("write").refused("--reply", "--rewrite")
    trained("write", "x", "--reply", "a", "--rewrite", "b").refused("one text")
    for length in ("tiny", "0", "99999", "-3"):
        trained("write", "x", "--length", length).refused("--length", length)
    trained("write", "x", "--examples", "2", "--dataset", "no").refused("no", "dataset build")


def test_damaged_habits_are_told(trained, home):
    (home / "adapters" / "main" / "habits.json").write_text("{")
    trained("write", "x").refused("habits.json", "twin train")


def test_write_before_there_is_an_adapter_or_a_model(owner, trained, home):
    trained("write", "x", "--adapter", "other").refused("adapters/other", "twin train")
    (home / "adapters" / "main" / "manifest.json").unlink()
    trained("write", "x").refused("no adapter in", "twin train")
    trained("train").refused("datasets/main", "twin dataset build")


def test_train_and_write_before_the_model_is_pulled(owner, home, mailbox, random_adapter):
    import shutil

    shutil.copytree(random_adapter, home / "adapters" / "main")
    owner("write", "x").refused("smollm2-135m-instruct", "twin models pull")
    owner("corpus", "add", mailbox)
    owner("dataset", "build", "--allow-small")
    owner("train").refused("qwen2.5-7b-instruct", "twin models pull")
    owner("train", "--rank", "64").refused("rank")


def test_a_stopped_run_is_not_thrown_away_unasked(owner, home):
    """A run of hours is resumed or restarted by name, never lost to a forgotten flag."""
    waiting = home / "adapters" / ".main.run" / "checkpoint" / "manifest.json"
    waiting.parent.mkdir(parents=True)
    waiting.touch()
    owner("train").refused("--resume", "--restart")
    assert waiting.exists()
    owner("train", "--restart").refused("twin dataset build")


def test_a_model_with_a_flipped_byte_does_not_write(trained, home, smollm2):
    weights = home / "models" / "smollm2-135m-instruct" / "model.gguf"
    weights.unlink()
    weights.write_bytes(smollm2.read_bytes()[:-1] + b"!")
    trained("write", "x").refused(str(weights), "damaged", "twin models pull")


def test_files_that_are_no_text_are_named(trained, tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\xff\xfe\xff" + CANARY.encode())
    trained("write", "x", "--context", tmp_path / "x.bin").refused("x.bin", "plain text")
    trained("write", "x", "--reference", tmp_path / "no.txt").refused("no.txt")
    trained("write", "x", "--context", tmp_path / "no.txt").refused("no.txt")


def test_a_prompt_that_is_too_long_is_told_in_tokens(trained, tmp_path):
    (tmp_path / "long.txt").write_text(f"{CANARY} word " * 5000)
    trained("write", "x", "--context", tmp_path / "long.txt").refused("tokens", "shorten")


def test_say_writes_a_wav_of_the_agreed_form(twin, tmp_path):
    """S2."""
    path = tmp_path / "kettle.wav"
    result = twin("say", "The kettle is on.", "-o", path, "--json")
    assert result.code == 0
    with wave.open(str(path)) as sound:
        form = (sound.getframerate(), sound.getsampwidth(), sound.getnchannels())
    assert form == (22_050, 2, 1)
    assert result.json["file"] == str(path)
    assert "not yours" in twin("say", "-", "-o", path, stdin="No.").err


def test_say_refuses_what_it_cannot(twin, tmp_path):
    twin("say", "x", "--voice", "morgan").refused("no voice is called 'morgan'", "base")
    (tmp_path / "file").write_text("")
    twin("say", CANARY, "-o", tmp_path / "file" / "x.wav").refused("x.wav")
    twin("say", CANARY, "-o", tmp_path).refused(str(tmp_path))


def test_speak_writes_and_says(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = trained("speak", "Say no.", "-o", "no.wav", "--json")
    assert result.code == 0
    assert result.json["text"]
    assert result.json["marked"] is not None
    assert result.json["unspoken"] == unspoken(result.json["text"])
    assert result.json["sentences"] >= 1
    assert Path(result.json["file"]).stat().st_size > 44
    trained("speak", "x", "--voice", "morgan").refused("morgan")


def test_voices_are_listed_and_shown(twin):
    [row] = twin("voice", "list", "--json").json
    assert row["id"] == "bundled"
    assert row["cloned"] is False
    assert twin("voice", "show", "bundled", "--json").json == row
    assert "bundled" in twin("voice", "list").out
    twin("voice", "show", "morgan").refused("morgan")


def test_a_launcher_for_another_trainer_is_refused(trained, home, monkeypatch):
    """Each of its processes would train alone, and all of them to the same place."""
    monkeypatch.setattr("aitwin.corpus.dataset.load", lambda path: None)
    for variable, trainer, right in (("MLX_RANK", "torch", "accelerate"), ("RANK", "mlx", "mlx.l")):
        monkeypatch.setenv(variable, "1")
        trained("train", "--trainer", trainer).refused("launcher", right, "--trainer")
        monkeypatch.delenv(variable)


def test_a_time_that_is_none_is_refused(owner):
    for minutes in ("nan", "0", "-5", "inf"):
        assert owner("train", "--minutes", minutes).code == 2
