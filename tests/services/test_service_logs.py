"""Logs that stay small while programs go on writing into them."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

from aitwin.services import logs


def test_a_log_is_put_aside_while_its_writer_goes_on(tmp_path):
    log = tmp_path / "logs" / "api.log"
    logs.prepare(log)
    writer = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in range(10):
        os.write(writer, f"{number} {'.' * 300}\n".encode())
        logs.rotate(log, most=1000, kept=2)
    os.close(writer)
    files = sorted(log.parent.iterdir())
    assert [file.name for file in files] == ["api.log", "api.log.1", "api.log.2"]
    assert all(file.stat().st_size <= 1300 for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    # No line is lost or torn but those that were put aside too often.
    numbers = [line.split()[0] for line in logs.last(log, 100)]
    assert numbers == [str(number) for number in range(10)][-len(numbers) :]
    assert logs.last(log, 2) == logs.last(log, 100)[-2:]


def test_of_a_runaway_only_the_end_is_kept(tmp_path):
    log = tmp_path / "api.log"
    log.write_bytes(b"x" * 50_000 + b"end")
    assert logs.rotate(log, most=1000)
    assert log.stat().st_size == 0
    assert (tmp_path / "api.log.1").read_bytes() == b"x" * 1997 + b"end"


def test_a_small_log_and_an_absent_one_are_left_alone(tmp_path):
    log = tmp_path / "api.log"
    assert not logs.rotate(log)
    log.write_text("one\n")
    assert not logs.rotate(log)
    assert logs.last(log, 5) == ["one"]


def test_others_cannot_read_a_log_that_was_there_before(tmp_path):
    log = tmp_path / "api.log"
    log.write_text("one\n")
    log.chmod(0o644)
    logs.prepare(log)
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.read_text() == "one\n"


def test_lines_are_followed_through_being_put_aside(tmp_path, monkeypatch):
    log = tmp_path / "api.log"
    log.write_text("old\n")
    steps = iter(
        [
            lambda: log.write_text("old\nnew\nhal"),
            lambda: log.write_text("old\nnew\nhalf\n"),
            lambda: log.write_text("again\n"),
        ]
    )
    monkeypatch.setattr(logs.time, "sleep", lambda seconds: next(steps)())
    lines = [line for _, line in itertools.islice(logs.follow([log]), 3)]
    assert lines == ["new", "half", "again"]


def test_a_service_says_all_into_its_log_also_after_exec(tmp_path):
    log = tmp_path / "api.log"
    program = (
        "import os, sys; from pathlib import Path; from aitwin.services import logs; "
        "logs.take_over(Path(sys.argv[1])); "
        "os.execv('/bin/sh', ['sh', '-c', 'echo secret link; echo trouble >&2'])"
    )
    source = str(Path(logs.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, str(log)],
        capture_output=True, stdin=subprocess.DEVNULL, check=True,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert log.read_text() == "trouble\n"
    assert (done.stdout, done.stderr) == (b"", b"")
