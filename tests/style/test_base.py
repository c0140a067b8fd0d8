import json
import shutil
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style import base as bases


def test_a_base_is_dequantised_once_privately_and_silently(
    smollm2: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the progress bar of transformers nor a warning gets into the owner's terminal."""
    digest = artifact.sha256(smollm2)
    made = bases.prepare("small", smollm2, digest, tmp_path / "floats")
    assert capfd.readouterr() == ("", "")
    assert made.directory == tmp_path / "floats" / digest[:16]
    assert {path.stat().st_mode & 0o777 for path in made.directory.iterdir()} == {0o600}
    assert "quantization_config" not in json.loads((made.directory / "config.json").read_text())
    before = {path.name: path.stat().st_mtime_ns for path in made.directory.iterdir()}
    assert bases.prepare("small", smollm2, digest, tmp_path / "floats") == made
    assert {path.name: path.stat().st_mtime_ns for path in made.directory.iterdir()} == before


def test_the_bar_of_others_is_left_as_it_was(smollm2: Path, tmp_path: Path) -> None:
    from tqdm.auto import tqdm
    from transformers import modeling_gguf_pytorch_utils

    with pytest.raises(TwinError):
        bases.prepare("small", smollm2.parent / "nothing.gguf", "0" * 64, tmp_path)
    assert modeling_gguf_pytorch_utils.tqdm is tqdm


def test_the_architecture_is_read_from_the_file(smollm2: Path) -> None:
    assert bases.read_architecture(smollm2) == "llama"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a GGUF"),
        (b"PK\x03\x04 a zip", "is not a GGUF"),
        (b"GGUF", "is damaged"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 40, "is damaged"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(content)
    with pytest.raises(TwinError, match=says) as error:
        bases.prepare("x", file, "0" * 64, tmp_path / "floats")
    assert str(file) in str(error.value)
    assert "twin models verify" in str(error.value)
    assert not (tmp_path / "floats").exists()


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.99])
def test_a_truncated_model(smollm2: Path, tmp_path: Path, share: float) -> None:
    """A download that broke off, wherever it did."""
    file = tmp_path / "base.gguf"
    with smollm2.open("rb") as whole:
        file.write_bytes(whole.read(int(smollm2.stat().st_size * share)))
    with pytest.raises(TwinError, match="is damaged"):
        bases.prepare("x", file, "0" * 64, tmp_path / "floats")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="No such file"):
        bases.read_architecture(tmp_path / "base.gguf")


def test_another_architecture_is_refused_before_any_work(tmp_path: Path) -> None:
    """An adapter for it could be trained, but not be served."""
    from gguf import GGUFWriter

    file = tmp_path / "mamba.gguf"
    writer = GGUFWriter(file, "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(TwinError, match="'mamba'; adapters can be made for llama and qwen2"):
        bases.prepare("x", file, "0" * 64, tmp_path / "floats")
    assert not (tmp_path / "floats").exists()


def test_an_interrupted_conversion_leaves_nothing(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bases, "_dequantise", full)
    with pytest.raises(OSError, match="No space"):
        bases.prepare("small", smollm2, "1" * 64, tmp_path / "floats")
    assert list((tmp_path / "floats").iterdir()) == []
    shutil.rmtree(tmp_path / "floats")


def test_a_base_that_cannot_be_trained_here_is_refused_at_once(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1: 135 million parameters on a machine of 512 MiB; nothing is dequantised first."""
    assert bases.count_parameters(smollm2) == 134_515_008
    monkeypatch.setattr(bases.os, "sysconf", {"SC_PHYS_PAGES": 1 << 17, "SC_PAGE_SIZE": 4096}.get)
    with pytest.raises(TwinError, match=r"0\.1 billion parameters.*twin init --base NAME"):
        bases.prepare("small", smollm2, "0" * 64, tmp_path / "floats")
    assert not (tmp_path / "floats").exists()
