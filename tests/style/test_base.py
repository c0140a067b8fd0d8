from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.style import base as bases


def test_a_base_knows_where_its_forms_are(smollm2: Path, tmp_path: Path) -> None:
    base = bases.find("small", smollm2, "0123456789abcdef" * 4, tmp_path)
    assert base.converted("floats") == tmp_path / "floats" / "0123456789abcdef"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no whole GGUF"),
        (b"PK\x03\x04 a zip", "no whole GGUF"),
        (b"GGUF", "no whole GGUF"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 40, "no whole GGUF"),
    ],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(content)
    with pytest.raises(TwinError, match=says) as error:
        bases.find("x", file, "0" * 64, tmp_path)
    assert str(file) in str(error.value)
    assert "twin models verify" in str(error.value)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.99])
def test_a_truncated_model(smollm2: Path, tmp_path: Path, share: float) -> None:
    """A download that broke off, wherever it did."""
    file = tmp_path / "base.gguf"
    with smollm2.open("rb") as whole:
        file.write_bytes(whole.read(int(smollm2.stat().st_size * share)))
    with pytest.raises(TwinError, match="no whole GGUF"):
        bases.find("x", file, "0" * 64, tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="No such file"):
        bases.find("x", tmp_path / "base.gguf", "0" * 64, tmp_path)


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
        bases.find("x", file, "0" * 64, tmp_path)
