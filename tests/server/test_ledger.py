"""The ledger: what was accepted is there after a kill at any point, and of words there is none."""

import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from aitwin.errors import TwinError
from aitwin.server import ledger as ledgers
from aitwin.server.ledger import Ledger, Order

TRAINING = Order("training", "main", ("train", "--name", "main"))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "run")
    yield ledger
    ledger.close()


def test_what_was_accepted_survives_a_kill_at_any_point(tmp_path):
    """O3: told of is recorded. The process is killed while it accepts one job after the other."""
    script = (
        "import sys; from pathlib import Path; from aitwin.server.ledger import Ledger, Order\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "while True:\n"
        "    job = ledger.accept(Order('build', 'main', ('dataset', 'build')))\n"
        "    print(job.id, flush=True)\n"
        "    ledger.begin(job.id)\n"
        "    ledger.tell(job.id, {'stage': 'choosing'}, keep=True)\n"
    )
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        told = [process.stdout.readline().strip() for _ in range(25)]
        process.send_signal(signal.SIGKILL)
        told += [line.strip() for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        ledger = Ledger(tmp_path)
        ledger.interrupt_all()
        found = {record.id: record.state for record in ledger.all()}
        ledger.close()
        assert set(told) <= found.keys()
        assert set(found.values()) <= {"interrupted", "queued"}


def test_a_job_lives_from_its_acceptance_to_its_end(ledger):
    job = ledger.accept(TRAINING)
    assert (job.state, job.attempts, job.started_at) == ("queued", 0, None)
    assert ledger.begin(job.id).state == "running"
    number = ledger.tell(job.id, {"stage": "loading"}, keep=False)
    assert ledger.moments(job.id) == [(number, {"stage": "loading"})]
    ended = ledger.end(job.id, "failed", problem="the disk is full")
    assert (ended.state, ended.problem, ended.ended) == ("failed", "the disk is full", True)
    assert ended.created_at <= ended.started_at <= ended.ended_at
    again = ledger.again(job.id, [*job.arguments, "--resume"])
    assert again.arguments == ("train", "--name", "main", "--resume")
    assert (again.state, again.problem, again.ended_at) == ("queued", None, None)
    assert ledger.begin(job.id).attempts == 2


def test_of_what_is_only_the_latest_only_the_latest_is_told_again(ledger):
    """A curve is told from its beginning; of bytes read only how many there are by now."""
    job = ledger.accept(TRAINING)
    numbers = [
        ledger.tell(job.id, {"n": n}, keep=keep)
        for n, keep in enumerate([False, False, True, False, True, False])
    ]
    assert numbers == sorted(set(numbers))
    assert [moment["n"] for _, moment in ledger.moments(job.id)] == [2, 4, 5]
    assert ledger.moments(job.id, numbers[2]) == [(numbers[4], {"n": 4}), (numbers[5], {"n": 5})]
    assert ledger.get(job.id).moment == {"n": 5}


def test_the_newest_come_first_by_kind_and_state(ledger):
    first, second = ledger.accept(TRAINING), ledger.accept(Order("import", "", ("corpus", "add")))
    ledger.end(first.id, "done", result={"steps": 3})
    assert [one.id for one in ledger.all()] == [second.id, first.id]
    assert [one.id for one in ledger.all("training")] == [first.id]
    assert [one.id for one in ledger.all(states=ledgers.OPEN)] == [second.id]
    assert ledger.get(first.id).result == {"steps": 3}
    assert ledger.get("nothing") is None


def test_a_done_import_leaves_no_path_and_an_unfinished_one_what_it_needs(ledger, tmp_path):
    """P1: paths of the owner's files as few as needed."""
    order = Order("import", "", ("corpus", "add", "/home/thota/WhatsApp Chat - Ana.zip"))
    job = ledger.accept(order)
    assert "Ana" not in repr(order)
    assert "Ana" not in repr(job)
    assert ledger.end(job.id, "interrupted").arguments == order.arguments
    assert ledger.end(job.id, "done", result={}).arguments == ()
    # Not after it is closed: a server may be killed at any time.
    assert all(b"Ana" not in file.read_bytes() for file in (tmp_path / "run").iterdir())


def test_all_of_its_files_are_private(ledger, tmp_path):
    ledger.accept(TRAINING)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "run").iterdir()}
    assert modes[ledgers.FILE] == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_old_jobs_are_forgotten_and_what_waits_is_not(ledger, monkeypatch):
    monkeypatch.setattr(ledgers, "KEPT", 3)
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 2)
    jobs = [ledger.accept(TRAINING) for _ in range(2)]
    ledger.end(jobs[1].id, "done", result={})
    for _ in range(4):
        jobs.append(ledger.accept(TRAINING))
        ledger.tell(jobs[-1].id, {"stage": "x"}, keep=True)
        ledger.end(jobs[-1].id, "done", result={})
    known = {record.id for record in ledger.all()}
    assert jobs[0].id in known  # it waits still
    assert jobs[1].id not in known
    assert len(known) == 4
    assert [bool(ledger.moments(job.id)) for job in jobs[-3:]] == [False, True, True]


@pytest.mark.parametrize("content", [b"no database at all, but long enough to look like one" * 40])
def test_a_damaged_ledger_says_what_to_do(tmp_path, content):
    (tmp_path / ledgers.FILE).write_bytes(content)
    with pytest.raises(TwinError, match=r"ledger\.sqlite is damaged.*move it away"):
        Ledger(tmp_path)


def test_a_ledger_of_another_version_says_so(tmp_path):
    with sqlite3.connect(tmp_path / ledgers.FILE) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(TwinError, match="another version"):
        Ledger(tmp_path)
