"""Complete or absent, whole or as before."""

import json
import os
import signal
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_private_and_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    artifact.write_private(path, "one")
    artifact.write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert entries(path.parent) == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    artifact.write_private(path, "old")

    def write():
        with artifact.writing(path) as file:
            file.write(b"half")
            raise OSError(ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write()
    assert path.read_text() == "old"
    assert entries(tmp_path) == ["file"]


def test_a_directory_appears_when_its_manifest_is_there(tmp_path):
    target = tmp_path / "thing"
    with artifact.building(target) as scratch:
        (scratch / "sub").mkdir()
        (scratch / "sub" / "x").write_text("1")
        (scratch / "sub" / "x").chmod(0o644)
        assert not target.exists()
        artifact.write_manifest(scratch, {"n": 1})
    assert (target / "sub" / "x").stat().st_mode & 0o777 == 0o600
    assert (target / "sub").stat().st_mode & 0o777 == 0o700
    assert artifact.read_manifest(target, kind="thing", remedy="make it") == {"n": 1}
    assert entries(tmp_path) == ["thing"]


def build(target, number):
    with artifact.building(target) as scratch:
        artifact.write_manifest(scratch, {"n": number})
        if number is None:
            raise KeyboardInterrupt


def test_a_failed_build_leaves_the_earlier_one(tmp_path):
    target = tmp_path / "thing"
    build(target, 1)
    with pytest.raises(KeyboardInterrupt):
        build(target, None)
    assert artifact.read_manifest(target, kind="thing", remedy="") == {"n": 1}
    build(target, 2)
    assert artifact.read_manifest(target, kind="thing", remedy="") == {"n": 2}
    assert entries(tmp_path) == ["thing"]


def test_a_killed_build_leaves_the_earlier_one(tmp_path):
    """SIGKILL: no handler runs, and still nothing half is taken for whole."""
    target = tmp_path / "thing"
    build(target, 1)
    script = (
        "import sys, os, signal; from pathlib import Path; from aitwin import artifact\n"
        "with artifact.building(Path(sys.argv[1])) as scratch:\n"
        "    artifact.write_manifest(scratch, {'n': 2}); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, os.fspath(target)])
    assert done.returncode == -signal.SIGKILL
    assert artifact.read_manifest(target, kind="thing", remedy="") == {"n": 1}


KILLED_AMID_THE_SWAP = """
import os, signal, sys
from pathlib import Path
from aitwin import artifact
rename = Path.rename
def first_alone(self, target):
    rename(self, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = first_alone
with artifact.building(Path(sys.argv[1])) as scratch:
    artifact.write_manifest(scratch, {"n": 2})
"""


@pytest.mark.parametrize("use", ["read", "build"])
def test_a_build_killed_between_its_two_renames_gives_the_earlier_one_back(tmp_path, use):
    target = tmp_path / "thing"
    build(target, 1)
    done = subprocess.run([sys.executable, "-c", KILLED_AMID_THE_SWAP, os.fspath(target)])
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    if use == "build":
        with pytest.raises(KeyboardInterrupt):
            build(target, None)
    assert artifact.read_manifest(target, kind="thing", remedy="") == {"n": 1}


def test_who_reads_amid_the_swap_does_not_break_the_build(tmp_path, monkeypatch):
    target = tmp_path / "thing"
    build(target, 1)
    rename, seen = Path.rename, []

    def read_between(self, other):
        moved = rename(self, other)
        if self == target and not seen:
            seen.append(artifact.read_manifest(target, kind="thing", remedy=""))
        return moved

    monkeypatch.setattr(Path, "rename", read_between)
    build(target, 2)
    assert seen == [{"n": 1}]
    assert artifact.read_manifest(target, kind="thing", remedy="") == {"n": 2}
    assert entries(tmp_path) == ["thing"]


def test_an_artifact_without_manifest_is_a_bug(tmp_path):
    with pytest.raises(RuntimeError, match="manifest"), artifact.building(tmp_path / "thing"):
        pass
    assert entries(tmp_path) == []


@pytest.mark.parametrize("content", [None, "{", "[]", "\x00", "[" * 100_000])
def test_a_manifest_that_cannot_be_used_says_the_next_step(tmp_path, content):
    if content is not None:
        (tmp_path / artifact.MANIFEST).write_text(content)
    with pytest.raises(TwinError, match=r"thing.*make it again|cannot be read.*make it again"):
        artifact.read_manifest(tmp_path, kind="thing", remedy="make it again")


def test_the_manifest_reads_well(tmp_path):
    artifact.write_manifest(tmp_path, {"b": 1, "a": "é"})
    text = (tmp_path / artifact.MANIFEST).read_text()
    assert json.loads(text) == {"a": "é", "b": 1}
    assert text.index('"a"') < text.index('"b"')


def test_what_killed_processes_had_half_made_is_removed(tmp_path: Path) -> None:
    """And nothing else: not what a living process makes, not what only looks like it."""
    dead, living = dead_process(), os.getpid()
    kept = [f".thing.{living}.abcdefgh", ".thing.run", ".thing.12", f".thing2.{dead}.abcdefgh"]
    for name in (*kept, f".thing.{dead}.abcdefgh"):
        (tmp_path / name).mkdir()
    (tmp_path / f".thing.{dead}.fileabcd").touch()
    artifact.write_private(tmp_path / "thing", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "thing"])


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    return gone.pid


def test_a_removal_takes_what_killed_builds_had_half_made(tmp_path: Path) -> None:
    """P4: deleted is deleted, the copy that a build was at work on included."""
    dead, living = dead_process(), os.getpid()
    kept = [f".thing.{living}.abcdefgh", f".thing2.{dead}.abcdefgh"]
    for name in (*kept, "thing", f".thing.{dead}.abcdefgh"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sound").touch()
    artifact.remove(tmp_path / "thing")
    assert entries(tmp_path) == sorted(kept)
    artifact.remove(tmp_path / "nowhere" / "thing")


def test_a_sweep_takes_what_killed_processes_had_half_made_of_anything(tmp_path: Path) -> None:
    dead = dead_process()
    kept = [".hidden", f".b.{os.getpid()}.abcdefgh", f"c.{dead}.abcdefgh", "whole"]
    for name in (*kept, f".a.{dead}.abcdefgh", f".b.c.{dead}.abcdefgh"):
        (tmp_path / name).mkdir()
    (tmp_path / f".d.html.{dead}.abcdefgh").touch()
    artifact.sweep(tmp_path)
    assert entries(tmp_path) == sorted(kept)
    artifact.sweep(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "value", [None, True, "1", [], float("nan"), float("inf"), -float("inf"), 10**400]
)
def test_a_number_in_a_manifest_is_finite(value):
    with pytest.raises(ValueError, match="number"):
        artifact.number(value)
    assert artifact.number(3) == 3.0
    assert artifact.number(-0.5) == -0.5


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.0, "1"])
def test_a_count_in_a_manifest_is_a_whole_number_above_zero(value):
    with pytest.raises(ValueError, match="count"):
        artifact.count(value)
    assert artifact.count(1) == 1


@pytest.mark.parametrize("value", [None, 5, "b", "aa", "a\n"])
def test_a_text_in_a_manifest_has_its_form(value):
    with pytest.raises(ValueError, match="text"):
        artifact.text(value, "a")
    assert artifact.text("a", "a") == "a"
    assert artifact.text("anything") == "anything"


def test_one_holds_a_directory(tmp_path: Path) -> None:
    with (
        artifact.holding(tmp_path),
        pytest.raises(BlockingIOError),
        artifact.holding(tmp_path, wait=False),
    ):
        raise AssertionError
    with artifact.holding(tmp_path, wait=False):
        pass


def test_a_removed_artifact_is_gone_with_what_a_build_had_set_aside(tmp_path):
    target = tmp_path / "x"
    for name in ("x", ".x.replaced", ".x.removed"):
        (tmp_path / name).mkdir()
        artifact.write_manifest(tmp_path / name, {})
    artifact.remove(target)
    assert list(tmp_path.iterdir()) == []
    artifact.restore(target)
    assert not target.exists()
    artifact.remove(target)


def test_an_interrupted_removal_is_hidden_and_finished_later(tmp_path, monkeypatch):
    target = tmp_path / "x"
    (target / "deep").mkdir(parents=True)
    artifact.write_manifest(target, {})

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(artifact.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            artifact.remove(target)
    assert [path.name for path in tmp_path.iterdir()] == [".x.removed"]
    (tmp_path / "y").mkdir()
    artifact.finish_removing(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["y"]
