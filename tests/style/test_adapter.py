import json
import os
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import adapter


def made(path: Path, **changes: object) -> Path:
    """An adapter of one small file."""
    with artifact.building(path) as scratch:
        artifact.write_private(scratch / adapter.HISTORY, '{"step": 0, "validation": 4.5}\n')
        artifact.write_private(scratch / adapter.PROOF, '{"answers": []}')
        names = (adapter.HISTORY, adapter.PROOF)
        manifest: dict[str, object] = {
            "kind": "adapter",
            "base": {"name": "small", "sha256": "ab" * 32},
            "dataset": "d" * 64,
            "recipe": {"rank": 8},
            "files": {name: artifact.sha256(scratch / name) for name in names},
            "metrics": {"steps": 10, "planned_steps": 10},
        }
        artifact.write_manifest(scratch, manifest | changes)
    return path


def test_an_adapter_is_read_back(tmp_path: Path) -> None:
    opened = adapter.load(made(tmp_path / "main"))
    assert opened.gguf == tmp_path / "main" / "adapter.gguf"
    assert opened.history == [{"step": 0, "validation": 4.5}]
    assert opened.proof == {"answers": []}
    assert opened.base_digest == "ab" * 32
    assert opened.finished


def test_a_stopped_run_is_not_finished(tmp_path: Path) -> None:
    stopped = made(tmp_path / "main", metrics={"steps": 4, "planned_steps": 10})
    assert not adapter.load(stopped).finished


def test_it_is_the_result_of_the_same_inputs_only(tmp_path: Path) -> None:
    same = {"dataset": "d" * 64, "recipe": {"rank": 8}}
    opened = adapter.load(made(tmp_path / "main"))
    assert opened.is_result_of(same)
    assert not opened.is_result_of(same | {"recipe": {"rank": 16}})
    stopped = made(tmp_path / "stopped", metrics={"steps": 4, "planned_steps": 10})
    assert not adapter.load(stopped).is_result_of(same)


def test_files_that_were_changed_or_lost(tmp_path: Path) -> None:
    path = made(tmp_path / "main")
    (path / adapter.HISTORY).write_text("{}")
    with pytest.raises(TwinError, match=r"training\.jsonl is missing or damaged; run `twin train`"):
        adapter.load(path)
    (path / adapter.HISTORY).unlink()
    with pytest.raises(TwinError, match="missing or damaged"):
        adapter.load(path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "dataset"}', "{}"])
def test_a_manifest_of_something_else(tmp_path: Path, content: str) -> None:
    path = made(tmp_path / "main")
    (path / artifact.MANIFEST).write_text(content)
    with pytest.raises(TwinError, match="twin train"):
        adapter.load(path)


def test_an_absent_adapter(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="no complete adapter at"):
        adapter.load(tmp_path / "main")
    with pytest.raises(TwinError, match="no adapter in"):
        adapter.newest(tmp_path)
    with pytest.raises(TwinError, match="no adapter in"):
        adapter.newest(tmp_path / "never")


def test_the_newest_is_the_one_finished_last(tmp_path: Path) -> None:
    """Neither a run under way nor an incomplete directory is taken for an adapter."""
    for age, name in enumerate(("third", "second", "first")):
        path = made(tmp_path / name)
        os.utime(path / artifact.MANIFEST, (1000 - age, 1000 - age))
    made(tmp_path / ".main.run")
    (tmp_path / "half").mkdir()
    assert adapter.newest(tmp_path).path.name == "third"
    assert json.loads((tmp_path / "third" / artifact.MANIFEST).read_text())["kind"] == "adapter"
