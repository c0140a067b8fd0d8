"""Children that are started in order, started again, and ended together, as real processes (S4)."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.services.supervisor import Child, Pace, StoppedError, Supervisor

PROGRAM = """
import os, signal, sys
name, folder, manner = sys.argv[1:]

def note(what):
    with open(f"{folder}/log", "a") as log:
        log.write(f"{what} {name}\\n")

def end(*_):
    note("end")
    os._exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if manner == "stubborn" else end)
note("begin")
with open(f"{folder}/{name}.new", "w") as file:
    file.write(str(os.getpid()))
os.replace(f"{folder}/{name}.new", f"{folder}/{name}.pid")
if manner == "fails":
    sys.exit(3)
while os.read(0, 1) or manner == "stubborn":
    pass
end()
"""
PROMPT = Pace(start=30, again=0.01, longest=0.04, proven=60)


class Stage:
    """Children that note what they do in a folder, and what was said of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.said: list[str] = []

    def child(self, name: str, manner: str = "", **options) -> Child:
        options.setdefault("healthy", lambda: self.pid(name) is not None)
        options.setdefault("environment", {})
        return Child(
            f"the {name}",
            (sys.executable, "-c", PROGRAM, name, str(self.folder), manner),
            **options,
        )

    def pid(self, name: str) -> int | None:
        try:
            return int((self.folder / f"{name}.pid").read_text())
        except FileNotFoundError:
            return None

    def log(self) -> list[str]:
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def run(self, *children: Child, then=lambda: None, pace: Pace = PROMPT) -> None:
        """Start and watch them, do `then` in a thread, and stop as by Ctrl-C."""

        def act():
            try:
                then()
            finally:
                os.kill(os.getpid(), signal.SIGINT)

        with Supervisor(children, self.said.append, pace) as all_:
            all_.start()
            acting = threading.Thread(target=act)
            acting.start()
            all_.watch()
        acting.join()


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def until(holds) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("never")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/stat").exists():
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has ended meanwhile
    # Nobody waits for an orphan in a container without an init.
    return state.rpartition(")")[2].split()[0] != "Z"


def test_each_is_started_when_the_one_before_it_is_well_and_ended_in_the_other_order(stage):
    seen = []

    def healthy() -> bool:
        seen.append(stage.pid("second"))
        return stage.pid("first") is not None and len(seen) > 3

    stage.run(stage.child("first", healthy=healthy), stage.child("second"))
    assert set(seen) == {None}
    assert stage.log() == ["begin first", "begin second", "end second", "end first"]
    assert stage.said == []


def test_whoever_dies_is_started_again_and_the_other_goes_on(stage):
    """kill -9 of one child."""
    pids = {}

    def kill():
        pids.update({name: stage.pid(name) for name in ("first", "second")})
        os.kill(pids["first"], signal.SIGKILL)
        until(lambda: stage.said[-1:] == ["the first is back"])

    def healthy() -> bool:
        return stage.pid("first") not in (None, pids.get("first"))

    stage.run(stage.child("first", healthy=healthy), stage.child("second"), then=kill)
    assert stage.said == [
        "the first was ended by SIGKILL; it is started again in 0.01 s",
        "the first is back",
    ]
    assert stage.pid("first") != pids["first"]
    assert stage.pid("second") == pids["second"]
    assert sorted(stage.log()[-2:]) == ["end first", "end second"]


def test_who_dies_again_and_again_is_given_longer_and_longer(stage):
    def waits():
        os.kill(stage.pid("first"), signal.SIGKILL)
        until(lambda: len(stage.said) >= 5)

    begun = []

    def command_that_fails_later() -> bool:
        begun.append(stage.pid("first"))
        return stage.pid("first") is not None

    child = stage.child("first", healthy=command_that_fails_later)
    script = stage.folder / "late.py"
    # Well once, then never again.
    script.write_text(
        "import os, sys\nif os.path.exists(sys.argv[2] + '/log'): sys.exit(3)\n" + PROGRAM
    )
    command = (sys.executable, str(script), *child.command[3:])
    stage.run(Child(child.name, command, {}, child.healthy), then=waits)
    pauses = [said.rpartition(" in ")[2] for said in stage.said if "again" in said]
    assert pauses[:5] == ["0.01 s", "0.02 s", "0.04 s", "0.04 s", "0.04 s"]
    assert "exit code 3" in stage.said[1]


def test_who_has_run_for_long_is_started_again_soon(stage):
    def kill_thrice():
        for deaths in (1, 2, 3):
            until(lambda: stage.pid("first") is not None and alive(stage.pid("first")))
            pid = stage.pid("first")
            os.kill(pid, signal.SIGKILL)
            until(lambda deaths=deaths: sum("again" in said for said in stage.said) == deaths)
            until(lambda pid=pid: stage.pid("first") != pid)

    stage.run(stage.child("first"), then=kill_thrice, pace=Pace(again=0.01, proven=0))
    assert {said.rpartition(" in ")[2] for said in stage.said if "again" in said} == {"0.01 s"}


def test_a_start_that_fails_says_who_and_how_and_leaves_none(stage):
    children = stage.child("first"), stage.child("second", "fails", healthy=lambda: False)
    with pytest.raises(TwinError, match=r"the second ended \(exit code 3\) at the start"):
        stage.run(*children)
    assert stage.log() == ["begin first", "begin second", "end first"]


def test_who_does_not_become_well_is_told(stage):
    child = stage.child("first", healthy=lambda: False)
    with pytest.raises(TwinError, match="the first has not answered for 0 s"):
        stage.run(child, pace=Pace(start=0.3))
    assert not alive(stage.pid("first"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_the_start_stops_all(stage, number):
    before = signal.getsignal(number)

    def healthy() -> bool:
        if stage.pid("first"):
            os.kill(os.getpid(), number)
        return False

    with pytest.raises(StoppedError):
        stage.run(stage.child("first", healthy=healthy), stage.child("second"))
    assert stage.log() == ["begin first", "end first"]
    assert signal.getsignal(number) is before


def test_who_does_not_end_is_killed(stage):
    stage.run(stage.child("first"), stage.child("second", "stubborn", drain=0.2))
    assert stage.said == ["the second did not end in time, and is killed"]
    assert not alive(stage.pid("second"))
    assert stage.log() == ["begin first", "begin second", "end first"]


def test_a_second_signal_does_not_wait(stage):
    def again():
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: not alive(stage.pid("second")))

    stage.run(
        stage.child("first", "stubborn", drain=600),
        stage.child("second", drain=600),
        then=again,
    )
    assert stage.said == []
    assert not alive(stage.pid("first"))


def test_none_outlives_a_supervisor_that_is_killed(stage):
    """kill -9 of `twin serve`: the pipe that was their standard input ends."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path; from tests.services.test_supervisor import Stage\n"
        "stage = Stage(Path(sys.argv[3]))\n"
        "stage.run(stage.child('first'), stage.child('second'), then=lambda: sys.stdin.read())\n"
    )
    root = Path(__file__).parents[2]
    supervising = subprocess.Popen(
        [sys.executable, "-c", program, str(root), str(root / "src"), str(stage.folder)],
        stdin=subprocess.PIPE,
    )
    with supervising:
        until(lambda: stage.pid("second") is not None)
        supervising.kill()
    until(lambda: sorted(stage.log()[2:]) == ["end first", "end second"])
    until(lambda: not alive(stage.pid("first")) and not alive(stage.pid("second")))


def test_a_child_sees_only_the_environment_that_it_is_given(stage, monkeypatch):
    """The credential of one must not reach the other by way of ours."""
    monkeypatch.setenv("TWIN_CREDENTIAL", "zuccanary")
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ))); "
        "os.replace(sys.argv[1], sys.argv[2]); os.read(0, 1)"
    )
    made, seen = stage.folder / "environment.new", stage.folder / "environment"
    child = Child("it", (sys.executable, "-c", code, made, seen), {"A": "b"}, seen.exists)
    stage.run(child)
    assert "'A': 'b'" in seen.read_text()
    assert "zuccanary" not in seen.read_text()
    assert seen.stat().st_mode & 0o077 == 0
    assert "'b'" not in repr(child)
