"""The same work by many processes, in the order of the jobs."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from aitwin.corpus import cores
from aitwin.errors import TwinError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def two(monkeypatch):
    monkeypatch.setattr(cores, "count", lambda: 2)


def slower_when_even(number: int) -> tuple[int, int]:
    time.sleep(0.05 * (number % 2 == 0))
    return number, os.getpid()


def refuse(number: int) -> int:
    if number == 3:
        raise TwinError("3 is refused")
    return number


def vanish(number: int) -> int:
    if number == 2:
        os._exit(1)
    return number


def much(number: int) -> bytes:
    sys.stdout.write("a word that must not get among the answers\n")
    sys.stdout.flush()
    return bytes(number)


def name_itself(_: int) -> int:
    return os.getpid()


def test_results_come_in_the_order_of_the_jobs_from_two_processes():
    results = list(cores.in_order(slower_when_even, range(9)))
    assert [number for number, _ in results] == list(range(9))
    assert len({process for _, process in results} - {os.getpid()}) == 2


def test_alone_it_is_this_process():
    assert set(cores.in_order(name_itself, range(3), alone=True)) == {os.getpid()}


def test_what_the_work_raises_is_raised_here():
    results = cores.in_order(refuse, range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TwinError, match="3 is refused"):
        next(results)


def test_a_process_that_ends_is_told():
    with pytest.raises(TwinError, match="ended from outside"):
        list(cores.in_order(vanish, range(4)))


def test_large_jobs_and_results_and_prints_do_not_block(capfd):
    sizes = [3_000_000, 0, 5_000_000, 1]
    assert [len(result) for result in cores.in_order(much, sizes)] == sizes
    assert "a word" in capfd.readouterr().err


def test_no_job_at_all():
    assert list(cores.in_order(name_itself, [])) == []


def test_other_processes_end_when_the_caller_stops_asking():
    results = cores.in_order(name_itself, range(9))
    workers = [next(results), next(results)]
    results.close()
    assert not any(map(alive, workers))


def run(script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=subprocess.PIPE,
        check=False,
    )


def test_a_script_need_not_guard_its_main_part(tmp_path):
    """Whoever calls us from a plain script gets results, and runs it once."""
    script = tmp_path / "plain.py"
    script.write_text(
        "from aitwin.corpus import cores\n"
        "from tests.corpus.test_cores import name_itself\n"
        "cores.count = lambda: 2\n"
        "print(len(list(cores.in_order(name_itself, range(5)))))\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "5\n")


def test_other_processes_end_with_the_first():
    """kill -9 of an import leaves nothing running."""
    killed = run("""
        import os, signal
        from aitwin.corpus import cores
        from tests.corpus.test_cores import name_itself
        cores.count = lambda: 2
        for pid in cores.in_order(name_itself, range(9)):
            print(pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    worker = int(killed.stdout.split()[0])
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody waits for lives no more.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or " Z " not in state.read_text()
