"""The header reader against gguf-py's, and against damage."""

import struct
from contextlib import suppress
from pathlib import Path

import gguf_samples
import pytest
from gguf import GGUFReader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.style import header

VALUES = {
    "general.architecture": "qwen2",
    "one.number": 7,
    "one.float": 0.5,
    "one.truth": True,
    "some.texts": ["a", "ü", "", "🙂"],
    "some.numbers": [1, -2, 3],
}
WEIGHTS = {"a.weight": ((4, 2), 0, bytes(32)), "b.weight": ((3,), 0, bytes(12))}


@pytest.mark.model
def test_a_real_file_reads_as_with_gguf_py(smollm2: Path) -> None:
    mine, theirs = header.read(smollm2), GGUFReader(smollm2)
    fields = {n: f.contents() for n, f in theirs.fields.items() if not n.startswith("GGUF.")}
    assert mine.values == fields
    assert [(t.name, t.shape, t.kind) for t in mine.tensors] == [
        (t.name, tuple(int(n) for n in t.shape), int(t.tensor_type)) for t in theirs.tensors
    ]
    assert [mine.start + t.offset for t in mine.tensors] == [t.data_offset for t in theirs.tensors]


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_written_is_read(tmp_path: Path, version: int) -> None:
    file = gguf_samples.write(tmp_path / "m.gguf", VALUES, WEIGHTS, version=version)
    head = header.read(file)
    assert head.values == VALUES
    assert head.version == version
    assert {t.name: t.shape for t in head.tensors} == {"a.weight": (4, 2), "b.weight": (3,)}
    again = header.encode(head.metadata, len(head.values), head.tensors, 32, version)
    assert file.read_bytes().startswith(again)
    assert len(again) == head.start


def test_a_vocabulary_may_hold_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = gguf_samples.write(tmp_path / "m.gguf", {"some.text": "qqqq"}, WEIGHTS)
    file.write_bytes(file.read_bytes().replace(b"qqqq", b"\xff\xfeqq"))
    head = header.read(file)
    assert header.string(head.values["some.text"])[8:] == b"\xff\xfeqq"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "beyond the end"),
        (b"GGUF", "too early"),
        (b"PK\3\4 and more of an archive", "does not begin"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "another version"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "another version"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "beyond the end"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "too early"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 77), "unknown type"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 9, 5), "unknown type"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 4, 1 << 40), "beyond the end"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"t", 9), "9 dimensions"),
    ],
)
def test_damage_is_said(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(TwinError, match=reason):
        header.read(tmp_path / "m.gguf")


@pytest.mark.parametrize("alignment", [0, 48])
def test_an_alignment_that_cannot_be_is_refused(tmp_path: Path, alignment: int) -> None:
    file = gguf_samples.write(tmp_path / "m.gguf", {"general.alignment": 64}, WEIGHTS)
    before, after = struct.pack("<II", 4, 64), struct.pack("<II", 4, alignment)
    file.write_bytes(file.read_bytes().replace(before, after))
    with pytest.raises(TwinError, match="power of two"):
        header.read(file)


def test_names_and_places_are_unique(tmp_path: Path) -> None:
    file = gguf_samples.write(tmp_path / "m.gguf", VALUES, WEIGHTS)
    content = file.read_bytes()
    for old, new, reason in (
        (b"b.weight", b"a.weight", "one name"),
        (b"one.float", b"one.truth", "is there twice"),
        (struct.pack("<Q", 32) + bytes(8), bytes(16), "one place"),
    ):
        file.write_bytes(content.replace(old, new, 1))
        with pytest.raises(TwinError, match=reason):
            header.read(file)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_a_twin_error_or_a_header(tmp_path: Path, data: st.DataObject) -> None:
    """Never another error, never much memory, never a long time."""
    file = tmp_path / "m.gguf"
    content = bytearray(gguf_samples.write(file, VALUES, WEIGHTS).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(4, len(content) - 1))
        content[place] = data.draw(st.sampled_from([0, 1, 9, 127, 255]))
    file.write_bytes(content[: data.draw(st.integers(8, len(content)))])
    with suppress(TwinError):
        header.read(file)
