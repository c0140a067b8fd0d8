"""The warm-up benchmark: it takes what wins, refuses what is wrong, and remembers."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from aitwin.voice import placing
from aitwin.voice.audio import Samples
from aitwin.voice.placing import Placing, Trial

SOUND = np.linspace(-0.5, 0.5, 50, dtype=np.float32)


class Machine:
    """A clock that moves by what each placing costs; no time passes."""

    def __init__(self, cost: Callable[[Placing], float], said: Samples = SOUND) -> None:
        self.cost, self.said, self.now = cost, said, 0.0
        self.tried: list[Placing] = []

    def prepare(self, choice: Placing) -> Trial:
        self.tried.append(choice)
        cost = self.cost(choice)

        def trial() -> Samples:
            self.now += cost
            return SOUND if choice == Placing() else self.said

        return trial


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], Machine]:
    def use(machine: Machine) -> Machine:
        monkeypatch.setattr(placing.time, "perf_counter", lambda: machine.now)
        monkeypatch.setattr(placing, "idle", lambda: 2)
        return machine

    return use


def no_gain(choice: Placing) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("cost", "cores", "wanted"),
    [
        (no_gain, 8, Placing()),
        (lambda p: 1 / p.threads, 1, Placing()),
        (lambda p: 1 / p.threads, 2, Placing(threads=2)),
        (lambda p: 1 / p.threads, 12, Placing(threads=8)),
        (lambda p: 1 / min(p.threads, 4), 16, Placing(threads=4)),
        (lambda p: 0.95 if p.threads > 1 else 1, 8, Placing()),
        (lambda p: 2 if p.threads > 1 else 1, 8, Placing()),
        (lambda p: 0.5 if p.backend == "plain" else 1, 1, Placing(backend="plain")),
        (lambda p: 0.1 if p.device == "mps" else 1, 2, Placing("mps", 1, "plain")),
        (lambda p: 0.95 if p.device == "mps" else 1, 2, Placing()),
    ],
)
def test_what_wins_is_taken(
    at: Callable[[Machine], Machine],
    cost: Callable[[Placing], float],
    cores: int,
    wanted: Placing,
) -> None:
    machine = at(Machine(cost))
    assert placing.fastest(machine.prepare, ["mps"], cores) == wanted
    assert all(choice.threads <= cores for choice in machine.tried)


@pytest.mark.parametrize(
    "said", [SOUND * 1.1, SOUND[:-1], np.full_like(SOUND, np.nan), SOUND[::-1]]
)
def test_what_is_fast_and_wrong_is_refused(at: Callable[[Machine], Machine], said: Samples) -> None:
    machine = at(Machine(lambda choice: 1.0 if choice == Placing() else 0.1, said))
    assert placing.fastest(machine.prepare, ["mps"], 2) == Placing()


def test_what_does_not_run_is_passed_over(at: Callable[[Machine], Machine]) -> None:
    def cost(choice: Placing) -> float:
        if choice.device == "mps":
            raise NotImplementedError("aten::something is not implemented for MPS")
        return 1 / choice.threads

    assert placing.fastest(at(Machine(cost)).prepare, ["mps"], 2) == Placing(threads=2)


def test_what_is_hopeless_is_not_tried_again(at: Callable[[Machine], Machine]) -> None:
    """Two threads where others are at work: a hundred times as long, while an owner waits."""
    machine = at(Machine(lambda choice: 100.0 if choice.threads > 1 else 1.0))
    assert placing.fastest(machine.prepare, [], 2) == Placing()
    assert machine.now == 2 * (1 + placing.TAKES) + 100  # both back ends, and the threads once


@pytest.mark.parametrize(("load", "free"), [(0.4, 8), (1.9, 8), (4.2, 5), (8.9, 1), (40.0, 1)])
def test_threads_are_tried_where_cores_are_idle(
    monkeypatch: pytest.MonkeyPatch, load: float, free: int
) -> None:
    monkeypatch.setattr(placing.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(placing.os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert placing.idle() == free


def test_an_accelerator_may_be_slow_at_first(at: Callable[[Machine], Machine]) -> None:
    """It compiles what it is given."""
    costs = iter([9.0, 0.1, 0.1, 0.1])
    machine = at(Machine(lambda choice: 1.0))
    prepare = machine.prepare

    def prepared(choice: Placing) -> Trial:
        if choice.device == "cpu":
            return prepare(choice)

        def trial() -> Samples:
            machine.now += next(costs)
            return SOUND

        return trial

    assert placing.fastest(prepared, ["mps"], 1) == Placing("mps", 1, "plain")


def test_it_ends_when_enough_of_the_processor_is_spent(
    at: Callable[[Machine], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each candidate costs most of what there is: the second is the last."""
    machine = at(Machine(lambda choice: 1 / choice.threads))
    spent = 0.6 * placing.BUDGET
    monkeypatch.setattr(placing.time, "process_time", lambda: spent * len(machine.tried))
    assert placing.fastest(machine.prepare, ["mps"], 64) == Placing()
    assert len(machine.tried) == 2


def test_it_is_measured_once_for_each_work(
    at: Callable[[Machine], Machine], tmp_path: Path
) -> None:
    note = tmp_path / "models" / "placing.json"
    machine = at(Machine(no_gain))
    assert placing.choose(note, "converter", machine.prepare) == Placing()
    count = len(machine.tried)
    assert placing.choose(note, "converter", machine.prepare) == Placing()
    assert len(machine.tried) == count
    placing.choose(note, "melo", machine.prepare)
    assert len(machine.tried) == 2 * count
    assert set(json.loads(note.read_text())["work"]) == {"converter", "melo"}


def change(*keys: str, value: object) -> Callable[[str], str]:
    def changed(text: str) -> str:
        content = inner = json.loads(text)
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        return json.dumps(content)

    return changed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:20],
        lambda text: "[]",
        change("machine", "torch", value="0.1"),
        change("machine", "processor", value="Apple M1"),
        change("machine", "cards", value=["NVIDIA H100 NVL"]),
        change("machine", "aitwin", value="0"),
        change("work", value=[]),
        change("work", "converter", value={"device": "cpu", "core": 1}),
        change("work", "converter", "device", value="tpu"),
        change("work", "converter", "backend", value="magic"),
        change("work", "converter", "threads", value=10_000),
        change("work", "converter", "threads", value="1"),
    ],
)
def test_another_machine_or_a_spoilt_note_is_measured_anew(
    at: Callable[[Machine], Machine], tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    note = tmp_path / "placing.json"
    machine = at(Machine(no_gain))
    placing.choose(note, "converter", machine.prepare)
    note.write_text(spoil(note.read_text()))
    count = len(machine.tried)
    assert placing.choose(note, "converter", machine.prepare) == Placing()
    assert len(machine.tried) == 2 * count


def test_another_processor_is_another_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A home may be copied to a machine of the same kind, with as many cores."""
    described = tmp_path / "cpuinfo"
    described.write_text("processor\t: 0\nmodel name\t: Made Up 9000\nflags\t: fpu\n\n")
    monkeypatch.setattr(placing, "CPUINFO", described)
    monkeypatch.setattr(placing.platform, "system", lambda: "Linux")
    first = placing._machine()
    assert first["processor"] == "Made Up 9000"
    described.write_text("processor\t: 0\nmodel name\t: Made Up 9100\n")
    assert placing._machine() != first


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (lambda: subprocess.CompletedProcess([], 0, "Apple M4 Pro\n"), "Apple M4 Pro"),
        (lambda: exec_error(subprocess.TimeoutExpired("sysctl", 5)), "arm"),
        (lambda: exec_error(FileNotFoundError()), "arm"),
    ],
)
def test_a_mac_says_which_chip_it_has(
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], subprocess.CompletedProcess[str]],
    wanted: str,
) -> None:
    monkeypatch.setattr(placing.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(placing.platform, "processor", lambda: "arm")
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return answer()

    monkeypatch.setattr(placing.subprocess, "run", run)
    assert placing._processor() == wanted
    assert asked == [["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]]


def exec_error(error: Exception) -> subprocess.CompletedProcess[str]:
    raise error


def test_a_note_that_cannot_be_written_is_no_error(
    at: Callable[[Machine], Machine], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    machine = at(Machine(no_gain))
    assert placing.choose(tmp_path / "file" / "x.json", "melo", machine.prepare) == Placing()


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with Placing(threads=before + 1).engaged():
        assert torch.get_num_threads() == before + 1
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), Placing(threads=before + 1).engaged():
        raise KeyError
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()


def in_a_new_thread(ask: Callable[[], int]) -> int:
    with ThreadPoolExecutor(1) as new:
        return new.submit(ask).result()


def test_blocks_of_several_threads_leave_nothing_behind() -> None:
    """A enters, B enters, A leaves, B leaves: torch is as before, in old threads and in new."""
    before = torch.get_num_threads()
    other = before + 3
    inside, leave = Event(), Event()

    def stay() -> int:
        with Placing(threads=other).engaged():
            inside.set()
            assert leave.wait(60)
            return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        with Placing(threads=before + 1).engaged():
            waits = pool.submit(stay)
            assert inside.wait(60)
            assert torch.get_num_threads() == before + 1
        assert torch.get_num_threads() == before
        leave.set()
        assert waits.result(60) == other
        assert pool.submit(torch.get_num_threads).result() == before
    assert in_a_new_thread(torch.get_num_threads) == before


def test_a_block_within_a_block() -> None:
    """What measures a voice lets it speak, and that is a block of its own."""
    before = torch.get_num_threads()
    with Placing(threads=before + 1).engaged():
        with Placing(threads=before + 2).engaged():
            assert torch.get_num_threads() == before + 2
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
