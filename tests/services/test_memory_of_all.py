"""Memory now and foreseen, against what the machine may give (R1)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aitwin.home import Home, Settings
from aitwin.services import memory

GB = 10**9


@pytest.mark.parametrize(("taken", "state"), [(0, "ok"), (18 * GB, "ok"), (18 * GB + 1, "bad")])
def test_what_it_takes_now_is_held_against_the_budget(taken: int, state: str) -> None:
    found = memory.now(taken, 5 * GB, 24 * GB)
    assert found.state == state
    assert bool(found.remedy) == (state == "bad")


@pytest.mark.parametrize(
    ("size", "machine", "state"),
    [(4.68, 24, "ok"), (4.68, 8, "warn"), (14.0, 24, "ok"), (15.0, 24, "bad"), (4.68, 0, "ok")],
)
def test_what_it_will_take_is_reckoned_from_the_base(
    home: Path, tmp_path: Path, size: float, machine: int, state: str
) -> None:
    """The measured whole, with a base of 4.68 GB, was about 7.0 GB (docs/benchmarks.md)."""
    base = tmp_path / "base.gguf"
    base.touch()
    os.truncate(base, round(size * GB))  # a hole: nothing is written
    place = Home(home)
    place.write_settings(Settings("Ana", ("a@x.example",), base=str(base)))
    found = memory.foreseen(place, machine * GB)
    assert found.state == state
    if size == 4.68:
        assert "about 7.0 GB of 18.0 GB" in found.evidence


def test_what_is_not_known_is_not_reckoned(home: Path) -> None:
    place = Home(home)
    assert memory.foreseen(place, 0).state == "unknown"
    place.write_settings(Settings("Ana", ("a@x.example",), base="/gone/base.gguf"))
    assert memory.foreseen(place, 0).state == "unknown"
    place.write_settings(Settings("Ana", ("a@x.example",)))
    assert memory.foreseen(place, 24 * GB).state == "ok"


@pytest.mark.parametrize(
    ("name", "command", "belongs"),
    [
        ("python3.12", "python3.12 -m aitwin.server --socket /x", True),
        ("Python", "/opt/homebrew/bin/python3 -m aitwin services run api", True),
        ("python3", "/x/.venv/bin/python3 /x/.venv/bin/twin serve", True),
        ("deno", "/x/deno run --allow-net=127.0.0.1 /x/gateway/build/main.js", True),
        ("ollama", "ollama serve", True),
        ("python3", "python3 -m http.server", False),
        ("deno", "deno run other.ts", False),
        ("grep", "grep -r twin", False),
        ("", "", False),
    ],
)
def test_which_processes_are_the_twins(name: str, command: str, belongs: bool) -> None:
    assert memory.belongs(name, command.split()) == belongs


def test_the_memory_of_a_service_is_seen() -> None:
    """A process that says of itself what the keeper does."""
    before = memory.used()
    code = "import sys; held = bytearray(200_000_000); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "-m", "aitwin.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as held:
        assert held.stdout is not None
        held.stdout.readline()
        try:
            assert memory.used() - before > 150_000_000
        finally:
            held.kill()
