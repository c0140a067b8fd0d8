"""--json-lines: what a long command tells a program, and how it ends with whoever started it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aitwin.cli import lines
from aitwin.cli.lines import Lines, telling
from aitwin.errors import TwinError
from tests.cli.conftest import CANARY, Result, Twin


def told(result: Result) -> list[dict[str, object]]:
    """Every line of the answer is an object that says what it is."""
    found = [json.loads(line) for line in result.out.splitlines()]
    assert all(isinstance(line["event"], str) for line in found)
    return found


def test_an_import_and_a_build_tell_how_far_they_are(owner: Twin, mailbox: Path) -> None:
    added = owner("corpus", "add", mailbox, "--json-lines")
    assert added.code == 0, added
    found = told(added)
    assert [line for line in found if line["event"] == "finished"] == [found[-1]]
    assert found[-1] | {"event": ""} == {
        "event": "", "files": 1, "messages": 60, "new": 60, "skipped": 0, "not_read": 0,
        "failed": 0,
    }  # fmt: skip
    read = [line for line in found if line["event"] == "progress"]
    assert read
    assert {line["unit"] for line in read} == {"bytes"}
    built = owner("dataset", "build", "--allow-small", "--json-lines")
    assert built.code == 0, built
    found = told(built)
    stages = [line["name"] for line in found if line["event"] == "stage"]
    assert stages == list(dict.fromkeys(stages))
    assert "cleaning and pairing" in stages
    assert (found[-1]["event"], found[-1]["pairs"]) == ("finished", 30)
    for result in (added, built):  # P1: no word of a mail, and no name of a file
        assert CANARY not in result.out
        assert mailbox.name not in result.out


@pytest.mark.parametrize(
    "command",
    [
        ["corpus", "add", "/nowhere/Sent.mbox"],
        ["dataset", "build"],
        ["train"],
        ["eval"],
        ["voice", "prepare", "nobody"],
        ["voice", "eval", "nobody"],
    ],
    ids=" ".join,
)
def test_what_fails_tells_why_as_the_last_line(owner: Twin, command: list[str]) -> None:
    """Every long command: the line says what the terminal is told."""
    result = owner(*command, "--json-lines")
    assert result.code == 1
    *_, last = told(result)
    assert last["event"] == "failed"
    told_to_the_owner = " ".join(result.err.split())
    assert " ".join(str(last["detail"]).split()) in told_to_the_owner


def test_a_bug_is_told_by_its_kind_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), telling(True):
        raise KeyError(CANARY)
    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "failed"
    assert line["detail"].startswith(f"KeyError in {__file__}:")
    assert CANARY not in line["detail"]


def test_nothing_is_printed_where_nobody_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(False) as quiet:
        quiet.stage("reading")
        quiet.progress(1, 2, "bytes")
        quiet.finished({})
    with pytest.raises(TwinError), telling(False):
        raise TwinError("not today")
    assert capsys.readouterr().out == ""


def test_few_lines_tell_of_much(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mailbox is read in a hundred thousand steps; the first and the last are always told."""
    clock = iter(n / 1000 for n in range(10_000))
    monkeypatch.setattr(lines.time, "monotonic", lambda: next(clock))
    told_of = Lines(on=True)
    for done in range(1, 1001):
        told_of.progress(done, 1000, "bytes", "reading")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    progress = [line["done"] for line in found if line["event"] == "progress"]
    assert (progress[0], progress[-1]) == (1, 1000)
    assert len(progress) < 10


SLEEPER = """
import subprocess, sys, time
from aitwin.cli.lines import telling
with telling(True) as lines:
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(helper.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("leashed", [True, False])
def test_a_command_ends_with_the_server_that_started_it(leashed: bool) -> None:
    """And with all that it has started; a command in a terminal knows of no such thing."""
    environment = {**os.environ, "TWIN_LEASH": "1" if leashed else "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], env=environment, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    helper = int(process.stdout.readline())
    process.stdin.close()
    try:
        if leashed:
            assert process.wait(20) < 0
            deadline = time.monotonic() + 20
            while _runs(helper):
                assert time.monotonic() < deadline, "the helper was left behind"
                time.sleep(0.02)
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


def _runs(process: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")
