"""The grammar of the command line: help, examples, JSON, completion, exit codes, imports."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from aitwin.cli import app

HEAVY = {
    *("torch", "transformers", "peft", "xllamacpp", "hibari", "numpy", "fastapi", "uvicorn"),
    *("matplotlib", "sqlite3", "selectolax", "gguf", "soundfile", "huggingface_hub", "openai"),
}
WITHOUT_JSON = {
    *("init", "purge", "demo", "serve", "models pull", "corpus report", "dataset report"),
    *("login", "passphrase", "token revoke"),
    *(f"services {what}" for what in ("install", "start", "stop", "restart", "uninstall", "run")),
    "services logs",
    *("vault create", "vault open", "vault close", "vault dissolve"),
    *("remote cloudflare set-up", "remote cloudflare off", "remote cloudflare keys"),
    *("remote tailscale set-up", "remote tailscale off"),
    *("voice drop", "voice rename", "voice delete", "voice report", "voice record"),
}
"""Commands whose only result is what they change."""
TESTS = Path(__file__).parent.parent


def commands(group=None, path=()):
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands())


def test_the_grammar_is_the_one_that_was_agreed():
    assert set(COMMANDS) >= {
        *("init", "corpus add", "corpus show", "dataset build", "dataset show", "train", "write"),
        *("say", "speak", "voice list", "models list", "models pull", "models verify", "serve"),
        *("doctor", "demo", "purge"),
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_parses(name, twin):
    result = twin(*name.split(), "--help")
    assert result.code == 0
    command = COMMANDS[name]
    assert command.help
    example = re.search(rf"Example: twin ({re.escape(name)}.*)", command.epilog or "")
    assert example, f"twin {name} has no example"
    assert example[0] in re.sub(r"\s+", " ", result.out)
    import shlex

    words = shlex.split(example[1])[len(name.split()) :]
    command.make_context(name, words)  # raises UsageError where the example is wrong


@pytest.mark.parametrize("name", COMMANDS)
def test_what_chooses_a_voice_an_emotion_or_an_engine_is_completed(name):
    of_a_voice = [
        one for one in COMMANDS[name].params if one.name in ("voice", "emotion", "engine")
    ]
    assert all(one._custom_shell_complete is not None for one in of_a_voice)
    assert len(of_a_voice) >= {"say": 3, "speak": 3, "voice eval": 3}.get(name, 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_speaks_json_where_a_program_may_read_it(name):
    options = {option for one in COMMANDS[name].params for option in one.opts}
    assert ("--json" in options) == (name not in WITHOUT_JSON)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_test_that_runs_it(name):
    called = re.compile(
        r"(?:twin|owner|ana|trained|twin_process|Popen)\w*\(\s*(?:\[\w+, )?\*?\(?"
        + r",\s*".join(f'"{word}"' for word in name.split())
        + r"\W"
    )
    files = [*(TESTS / "cli").glob("test_*.py"), *(TESTS / "demo").glob("test_*.py")]
    texts = [file.read_text() for file in files]
    inside = name == "demo" and any("tour.take(" in text for text in texts)
    assert inside or any(called.search(text) for text in texts), f"no test runs twin {name}"


def test_help_imports_no_model_library():
    """Rule 10: importing is free."""
    script = (
        "import sys\nfrom aitwin import cli\nsys.argv = ['twin', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = {module.partition(".")[0] for module in done.stderr.split()}
    assert "typer" in loaded
    assert "Commands" in done.stdout
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("twin models pull qw", {"qwen2.5-1.5b-instruct", "qwen2.5-7b-instruct"}),
        ("twin models pull smol", {"smollm2-135m-instruct"}),
        ("twin da", {"dataset"}),
        ("twin corpus ", {"add", "remove", "report", "show"}),
    ],
)
def test_the_shell_completes(typed, offered, home):
    words = {"_TWIN_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    environment = os.environ | words | {"COMP_CWORD": str(len(typed.split(" ")) - 1)}
    done = subprocess.run(
        [Path(sys.executable).with_name("twin")], env=environment, capture_output=True, text=True
    )
    assert set(done.stdout.split()) == offered


def test_usage_errors_exit_with_2(twin, home):
    assert twin("nonsense").code == 2
    assert twin("corpus", "add").code == 2
    assert twin("corpus", "add", "x", "--dates", "ydm").code == 2
    assert twin("serve", "--port", "99999").code == 2
    assert twin("dataset", "build", "--name", "../../elsewhere").code == 2
    assert twin("train", "--name", ".hidden").code == 2
    assert twin("write", "x", "--adapter", "a/b").code == 2
    assert twin("purge", "everything", "--yes").code == 2
    assert not home.exists()


def test_ctrl_c_ends_without_a_traceback(home):
    twin = Path(sys.executable).with_name("twin")
    process = subprocess.Popen(
        [twin, "say", "-", "-o", home / "x.wav"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # It waits for stdin when it has imported what it needs: then nothing is read from CPU time.
    stat = Path(f"/proc/{process.pid}/wchan")
    for _ in range(600):
        if process.poll() is not None or "pipe" in _read(stat):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (1, 130)
    assert out == ""
    assert "Traceback" not in err


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return "pipe"  # no procfs (macOS): the signal may come early, which must not matter


def test_a_closed_pipe_is_no_error_to_report(twin_process, owner, home):
    done = subprocess.run(
        ["bash", "-c", f"{Path(sys.executable).with_name('twin')} models list | head -1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_a_missing_part_says_what_to_install(home):
    script = (
        "import sys\nsys.modules['fastapi'] = None\nfrom aitwin import cli\n"
        "sys.argv = ['twin', 'serve']\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'aitwin[serve]'" in done.stderr
    assert "Traceback" not in done.stderr
