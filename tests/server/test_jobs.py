"""Jobs: real commands in processes of their own, watched, stopped, interrupted and gone on with.

What has to last or to fail at will is a command of the tests' own, which talks as ours do.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import httpx2 as httpx
import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server import runner
from aitwin.server.ledger import Order
from aitwin.server.problems import Problem
from aitwin.server.runner import Jobs

CANARY = "zuccanary"
MAIL = "".join(
    f"From a Thu Jan  3 08:00:00 2024\nFrom: Ana <ana@y.example>\nTo: t@x.example\n"
    f"Date: Thu, 3 Jan 2024 08:{n:02}:00 +0000\nMessage-ID: <{n}@y>\nSubject: {CANARY}\n\n"
    f"What about {CANARY}?\n\n"
    for n in range(20)
)
COMMAND = """
import json, os, signal, sys, time
from aitwin.cli.lines import telling
what = sys.argv[1]
with telling(True) as lines:
    lines.stage(what)
    if what == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if what == "lasting" or what == "deaf":
        lines.progress(1, 2, "pairs")
        print(json.dumps({"event": "pid", "pid": os.getpid()}), flush=True)
        time.sleep(60)
    if what == "trains":
        print(json.dumps({"event": "plan", "base": "small", "trainer": "torch", "device": "cpu",
            "bits": 32, "pairs": 9, "too_long": 0, "tokens": 99, "reply_tokens": 44, "steps": 3,
            "memory": 1, "available": 2, "seconds": None, "warnings": []}), flush=True)
        for step in (1, 2, 3):
            print(json.dumps({"event": "progress", "step": step, "total": 3, "loss": 3.0 / step,
                "validation": 2.5 if step < 3 else 2.0, "tokens_per_second": 9.0, "memory": 5,
                "seconds_left": 3.0 - step}), flush=True)
        print(json.dumps({"event": "finished", "finished": "--resume" in sys.argv}), flush=True)
    if what == "bug":
        raise KeyError("zuccanary")
    if what == "eaten":
        os.kill(os.getpid(), signal.SIGKILL)
    print("zuccanary, which is no JSON", flush=True)
    print("[1]", flush=True)
    if what == "done":
        lines.finished({"pairs": 7})
"""


@pytest.fixture
def command(tmp_path):
    path = tmp_path / "command.py"
    path.write_text(COMMAND)
    return (sys.executable, str(path))


@pytest.fixture
def opened(home, command):
    """Opens the jobs of the test's home, as one server after the other does."""
    made = []

    def open_(*, begin=True) -> Jobs:
        jobs = Jobs(Home(home), command)
        made.append(jobs)
        if begin:
            jobs.begin()
        return jobs

    yield open_
    for jobs in made:
        jobs.close()


def order(what, kind="build"):
    return Order(kind, "main", (what,))


def until(jobs, job_id, *states):
    """The job, when it is in one of these states."""
    deadline = time.monotonic() + 30
    while (record := jobs.get(job_id)).state not in states:
        assert time.monotonic() < deadline, record
        time.sleep(0.02)
    return record


def told(jobs, job_id, part):
    """The job, when it has told of that part."""
    deadline = time.monotonic() + 30
    while part not in (record := jobs.get(job_id)).moment:
        assert time.monotonic() < deadline, record
        time.sleep(0.02)
    return record


def events(response):
    """The events of a stream: kind and data."""
    found, kind = [], ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            found.append((kind, json.loads(line[6:])))
    return found


# The real thing


def test_an_import_is_accepted_watched_and_done(http, home, tmp_path):
    """O3, C1: over HTTP, with the real command; what is told of it holds no word of a mail."""
    mailbox = tmp_path / "Sent.mbox"
    mailbox.write_text(MAIL)
    accepted = http.post("/corpus/imports", json={"path": str(mailbox)})
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    assert (job["kind"], job["can_resume"]) == ("import", False)
    with http.stream("GET", f"/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        seen = events(stream)
    assert [kind for kind, _ in seen[:-1]] == ["progress"] * (len(seen) - 1)
    kind, end = seen[-1]
    assert kind == "end"
    assert end["state"] == "done", end
    assert end["result"] == {
        "files": 1, "messages": 20, "new": 20, "skipped": 0, "not_read": 0, "failed": 0,
    }  # fmt: skip
    assert end["progress"]["unit"] == "bytes"
    assert end["progress"]["done"] == end["progress"]["total"] == len(MAIL)
    assert http.get("/jobs").json()["jobs"][0] == end
    assert http.get(f"/jobs/{end['id']}").json() == {**end, "curve": []}
    assert http.get("/corpus").json()["messages"] == 20
    files = list((home / "run" / "jobs").iterdir())
    assert all(CANARY.encode() not in file.read_bytes() for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_what_fails_says_why_and_can_be_started_anew(http, home, tmp_path):
    folder = tmp_path / "mail"
    folder.mkdir()
    job = http.post("/corpus/imports", json={"path": str(folder)}).json()
    with http.stream("GET", f"/jobs/{job['id']}/events") as stream:
        *_, (kind, end) = events(stream)
    assert (kind, end["state"]) == ("end", "failed")
    assert end["problem"]["title"] == "The import failed"
    assert "give a mailbox" in end["problem"]["detail"]
    assert not end["can_resume"]
    refused = http.post(f"/jobs/{job['id']}/resume")
    assert refused.json()["type"] == "urn:aitwin:problem:not-resumable"
    (folder / "Sent.mbox").write_text(MAIL)
    job = http.post("/corpus/imports", json={"path": str(folder)}).json()
    with http.stream("GET", f"/jobs/{job['id']}/events") as stream:
        *_, (_, end) = events(stream)
    assert end["state"] == "done"
    refused = http.post(f"/jobs/{job['id']}/resume")
    assert refused.json()["type"] == "urn:aitwin:problem:not-resumable"
    refused = http.post(f"/jobs/{job['id']}/cancel")
    assert refused.json()["type"] == "urn:aitwin:problem:not-cancellable"


@pytest.mark.parametrize("where", ["named", "in a folder", "gone"])
def test_no_name_of_a_correspondent_stays_of_an_import_that_failed(home, tmp_path, where):
    """P1: such files are called by whoever wrote. Looked for while the server runs: it may die."""
    folder = tmp_path / "Chats with Zebulon"
    folder.mkdir()
    chat = folder / "WhatsApp Chat with Zebulon Quagmire.txt"
    chat.write_bytes(b"PK\x03\x04 no chat" if where == "in a folder" else b"no chat at all")
    if where == "in a folder":
        chat.rename(chat := chat.with_suffix(".zip"))
    path = folder if where == "in a folder" else chat
    # The path is checked before the job is accepted: it is gone by the time that it runs.
    wanted = Order("import", "", ("corpus", "add", str(path)))
    if where == "gone":
        chat.unlink()
    jobs = Jobs(Home(home))
    try:
        jobs.begin()
        record = until(jobs, jobs.start(wanted).id, "failed")
        assert record.problem
        assert record.arguments == ()
        files = list((home / "run" / "jobs").iterdir())
        assert {"ledger.sqlite", "ledger.sqlite-wal"} <= {file.name for file in files}
        for name in (b"Zebulon", b"Quagmire", b"Chats"):
            assert all(name not in file.read_bytes() for file in files), record.problem
    finally:
        jobs.close()


@pytest.mark.parametrize("path", ["/jobs/nothing", "/jobs/nothing/events"])
def test_an_unknown_job_is_a_problem(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:aitwin:problem:unknown-job"
    assert "nothing" not in answer.json()["detail"]


def test_asking_makes_nothing(http, home):
    """A look at the pages of a fresh home leaves no trace."""
    assert http.get("/jobs").json() == {"jobs": []}
    assert http.get("/corpus").json()["messages"] == 0
    assert http.get("/pairs").json() == {"pairs": []}
    assert not (home / "run" / "jobs").exists()
    assert not (home / "corpus").exists()


# Lanes and queues


def test_jobs_of_a_lane_run_one_after_the_other(opened):
    jobs = opened()
    first, second = jobs.start(order("lasting")), jobs.start(order("done", "import"))
    told(jobs, first.id, "progress")
    assert jobs.get(second.id).state == "queued"
    assert [one.id for one in jobs.active()] == [second.id, first.id]
    # What wants another part of the machine does not wait for it.
    until(jobs, jobs.start(order("done", "evaluation")).id, "done")
    jobs.cancel(first.id)
    assert until(jobs, second.id, "done").result == {"pairs": 7}
    assert until(jobs, first.id, "cancelled").problem is None


def test_a_job_that_waits_is_cancelled_at_once(opened):
    jobs = opened()
    first, second = jobs.start(order("lasting")), jobs.start(order("done"))
    assert jobs.cancel(second.id).state == "cancelled"
    jobs.cancel(first.id)
    until(jobs, first.id, "cancelled")
    assert jobs.get(second.id).attempts == 0


def test_a_second_training_is_refused_and_nothing_else(opened):
    """Two trainings at once: 409 busy-training."""
    jobs = opened()
    first = jobs.start(order("lasting", "training"))
    with pytest.raises(Problem) as refused:
        jobs.start(order("done", "training"))
    assert (refused.value.kind, refused.value.status) == ("busy-training", 409)
    until(jobs, first.id, "running")
    with pytest.raises(Problem) as refused:
        jobs.ask(["done", "--plan"])
    assert refused.value.kind == "busy-training"
    waits = jobs.start(order("done", "evaluation"))
    assert len(jobs.all()) == 2
    jobs.cancel(first.id)
    until(jobs, waits.id, "done")
    until(jobs, jobs.start(order("done", "training")).id, "done")


def test_a_queue_has_an_end(opened, monkeypatch):
    monkeypatch.setattr(runner, "WAITING", 2)
    jobs = opened(begin=False)
    for _ in range(3):
        jobs.start(order("done"))
    with pytest.raises(Problem) as refused:
        jobs.start(order("done"))
    assert refused.value.status == 429
    assert refused.value.headers["Retry-After"]
    assert len(jobs.all()) == 3


def test_room_is_made_before_a_base_is_loaded_and_not_for_less(home, command):
    """The resident model is unloaded before a training: two do not fit into the memory."""
    made = []
    jobs = Jobs(Home(home), command)
    jobs.begin(lambda: made.append(1))
    try:
        until(jobs, jobs.start(order("done")).id, "done")
        assert not made
        until(jobs, jobs.start(order("done", "training")).id, "done")
        by_model = jobs.start(Order("build", "main", ("done", "--instructions", "llm")))
        until(jobs, by_model.id, "done")
        assert len(made) == 2
    finally:
        jobs.close()


# Ends


def test_what_is_deaf_to_ctrl_c_is_killed_when_asked_again(opened, monkeypatch):
    monkeypatch.setattr(runner, "AT_ONCE", 0.3)
    jobs = opened()
    job = jobs.start(order("deaf"))
    told(jobs, job.id, "progress")
    assert jobs.cancel(job.id).state == "cancelling"
    assert jobs.get(job.id).state == "cancelling"
    jobs.cancel(job.id)
    assert until(jobs, job.id, "cancelled").problem is None


def test_what_is_deaf_to_ctrl_c_is_killed_after_a_while_by_itself(opened, monkeypatch):
    monkeypatch.setattr(runner, "AT_ONCE", 0.1)
    monkeypatch.setattr(runner, "USUAL_PATIENCE", 0.1)
    jobs = opened()
    job = jobs.start(order("deaf"))
    told(jobs, job.id, "progress")
    jobs.cancel(job.id)
    until(jobs, job.id, "cancelled")


def test_a_bug_is_told_without_what_it_quotes(opened, home):
    jobs = opened()
    failed = until(jobs, jobs.start(order("bug")).id, "failed")
    assert failed.problem.startswith("KeyError in ")
    assert "a bug; please report it" in failed.problem
    jobs.close()
    assert all(CANARY.encode() not in f.read_bytes() for f in (home / "run" / "jobs").iterdir())


def test_a_job_that_was_killed_for_its_memory_says_so(opened):
    jobs = opened()
    failed = until(jobs, jobs.start(order("eaten")).id, "failed")
    assert "the memory may have been full" in failed.problem


def test_what_says_nothing_at_its_end_is_no_success(opened):
    jobs = opened()
    failed = until(jobs, jobs.start(order("silent")).id, "failed")
    assert "exit code 0 and said nothing" in failed.problem


def test_a_command_that_cannot_be_started_fails(home):
    jobs = Jobs(Home(home), ("/nowhere/to/be/found",))
    jobs.begin()
    try:
        failed = until(jobs, jobs.start(order("done")).id, "failed")
        assert "cannot be started" in failed.problem
    finally:
        jobs.close()


def test_a_training_that_was_stopped_is_cancelled_with_its_result_and_draws_its_curve(opened):
    """M5: Ctrl-C keeps the best so far; what drew the curve is there for whoever comes later."""
    jobs = opened()
    job = jobs.start(order("trains", "training"))
    stopped = until(jobs, job.id, "cancelled")
    assert stopped.result == {"finished": False}
    moments = [moment for _, moment in jobs.ledger.moments(job.id)]
    assert [moment["training"]["step"] for moment in moments] == [1, 2, 3]
    assert all(moment["plan"]["steps"] == 3 for moment in moments)
    from aitwin.server.jobs import curve

    assert [(p.step, p.training, p.validation) for p in curve(moments)] == [
        (1, 3.0, 2.5), (2, 1.5, None), (3, 1.0, 2.0),
    ]  # fmt: skip
    jobs.resume(job.id, lambda record: [*record.arguments, "--resume"])
    assert until(jobs, job.id, "done").result == {"finished": True}


# One server after the other


def test_a_server_that_ends_interrupts_what_runs_and_keeps_what_waits(opened):
    """Shutdown drains within seconds; the next server goes on."""
    jobs = opened()
    first, second = jobs.start(order("lasting")), jobs.start(order("done"))
    told(jobs, first.id, "progress")
    jobs.close()
    jobs = opened(begin=False)
    assert [one.state for one in jobs.all()] == ["queued", "interrupted"]
    jobs.begin()
    until(jobs, second.id, "done")
    jobs.resume(first.id, lambda record: ["done"])
    assert until(jobs, first.id, "done").attempts == 2


def test_a_server_that_is_killed_takes_its_jobs_along(opened, home, command, tmp_path):
    """O3: kill -9 of the server at any point; the job is found interrupted, and no process left."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from aitwin.home import Home; from aitwin.server.ledger import Order\n"
        "from aitwin.server.runner import Jobs\n"
        "jobs = Jobs(Home(Path(sys.argv[1])), sys.argv[2:]); jobs.begin()\n"
        "job = jobs.start(Order('build', 'main', ('lasting',)))\n"
        "while 'progress' not in jobs.get(job.id).moment: time.sleep(0.02)\n"
        "[running] = jobs._running.values()\n"
        "print(running.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script, str(home), *command], stdout=subprocess.PIPE, text=True
    )
    child = int(server.stdout.readline())
    with pytest.raises(TwinError, match="another `twin serve` works"):
        opened().all()
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    deadline = time.monotonic() + 20
    while _runs(child):
        assert time.monotonic() < deadline, "the job outlived its server"
        time.sleep(0.05)
    jobs = opened()
    [job] = jobs.all()
    assert (job.state, job.moment["stage"]) == ("interrupted", "lasting")
    assert runner.can_resume(job)
    jobs.resume(job.id, lambda record: ["done"])
    until(jobs, job.id, "done")


def _runs(process):
    """Whether it is there, and no zombie that nobody has collected yet."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def test_a_job_knows_no_credential(opened, home, monkeypatch, tmp_path):
    """What opens the server is in its environment, and in no child's."""
    seen = tmp_path / "environment"
    script = tmp_path / "environment.py"
    script.write_text(
        "import json, os\n"
        f"open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))\n"
        "print(json.dumps({'event': 'finished'}))\n"
    )
    monkeypatch.setenv("TWIN_TOKEN", CANARY)
    jobs = Jobs(Home(home), (sys.executable, str(script)))
    jobs.begin()
    try:
        until(jobs, jobs.start(order("x")).id, "done")
    finally:
        jobs.close()
    environment = json.loads(seen.read_text())
    assert environment["TWIN_HOME"] == str(home)
    assert CANARY not in environment.values()


# Who watches


@pytest.fixture
def training(parts, http):
    """A job that nobody runs: the ledger is told of it by the test."""
    http.get("/health")  # from then on the server looks for nothing that is queued
    return parts.jobs.ledger.accept(order("trains", "training"))


def test_a_stream_goes_on_where_it_was_cut(parts, http, training):
    """Last-Event-ID: what was seen is not told again, and nothing is lost."""
    jobs, job = parts.jobs, training
    numbers = [
        jobs.ledger.tell(job.id, {"stage": str(n), "training": None}, keep=True) for n in range(4)
    ]
    jobs.ledger.end(job.id, "done", result={})
    with http.stream("GET", f"/jobs/{job.id}/events") as stream:
        whole = events(stream)
    assert [data["stage"] for kind, data in whole if kind == "progress"] == ["0", "1", "2", "3"]
    headers = {"Last-Event-ID": str(numbers[1])}
    with http.stream("GET", f"/jobs/{job.id}/events", headers=headers) as stream:
        rest = events(stream)
    assert [data["stage"] for kind, data in rest if kind == "progress"] == ["2", "3"]
    assert rest[-1] == whole[-1]


def test_fifty_watch_at_once_and_none_misses_a_step(parts, http, training):
    """50 concurrent event streams without loss."""
    jobs, job = parts.jobs, training
    jobs.ledger.begin(job.id)
    seen = {}

    def watch(number):
        with http.stream("GET", f"/jobs/{job.id}/events") as stream:
            seen[number] = [data["stage"] for kind, data in events(stream) if kind == "progress"]

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    while len(jobs._listeners) < len(threads):
        time.sleep(0.01)
    for n in range(20):
        jobs.ledger.tell(job.id, {"stage": str(n)}, keep=True)
        jobs._notify()
    jobs.ledger.end(job.id, "done", result={})
    jobs._notify()
    for thread in threads:
        thread.join()
    assert set(map(tuple, seen.values())) == {tuple(map(str, range(20)))}
    assert not jobs._listeners


def test_streams_end_when_the_server_is_about_to(parts, http, training):
    """Else an open page would hold the shutdown."""
    threading.Timer(0.2, parts.jobs.end_streams).start()
    with http.stream("GET", f"/jobs/{training.id}/events") as stream:
        assert events(stream) == []


def test_a_stream_ends_when_its_caller_is_revoked(parts, http, training, monkeypatch):
    """O3: revoking ends what runs, too: at the next heartbeat at the latest."""
    monkeypatch.setattr(runner, "HEARTBEAT", 0.1)
    parts.jobs.ledger.begin(training.id)
    caller = parts.access.add_token("watcher", scope="owner").caller
    path = f"/jobs/{training.id}/events"
    with http.stream("GET", path, headers={"X-Twin-Caller": caller.id}) as stream:
        pieces = stream.iter_raw()
        seen = b""
        while seen.count(b": still here") < 2:
            seen += next(pieces)
        parts.access.revoke(caller.id)
        with pytest.raises(httpx.RemoteProtocolError):  # cut off, without its end
            list(pieces)


def test_a_stream_says_that_it_is_still_there(http, training, monkeypatch):
    monkeypatch.setattr(runner, "HEARTBEAT", 0.05)
    with http.stream("GET", f"/jobs/{training.id}/events") as stream:
        for line in stream.iter_lines():
            if line == ": still here":
                break
        else:
            pytest.fail("nothing was heard")
