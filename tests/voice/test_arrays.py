"""The one reader of .npz files: whatever the file, arrays or a ValueError."""

import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from aitwin.voice import arrays


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "arrays.npz"
    random = np.random.default_rng(0)
    np.savez(path, levels=random.normal(size=(3, 4)).astype(np.float32), ids=np.array(["a", "b"]))
    return path


def with_header(header: bytes) -> bytes:
    """A zip whose one array has this header."""
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(64)
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("levels.npy", content)
    return file.getvalue()


def by_another_method(path: Path) -> bytes:
    """As if it were compressed in a way that zipfile does not know."""
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\1\2", 10), (b"PK\3\4", 8)):
        at = content.index(signature) + place
        content[at : at + 2] = struct.pack("<H", 97)
    return bytes(content)


def test_what_was_written_is_read(whole: Path) -> None:
    found = arrays.read(whole)
    assert set(found) == {"levels", "ids"}
    assert found["levels"].shape == (3, 4)
    assert found["levels"].dtype == np.float32
    assert found["ids"].tolist() == ["a", "b"]


def test_a_file_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        arrays.read(tmp_path / "absent.npz")


def test_damage_of_every_kind_is_a_value_error(whole: Path, tmp_path: Path) -> None:
    array = BytesIO()
    np.save(array, np.zeros(3))
    huge = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }\n" % 2**50
    damaged = {
        "empty": b"",
        "half": whole.read_bytes()[:200],
        "of another method": by_another_method(whole),
        "no Python": with_header(b"{'descr': '<f4', 'shape': (3, 4\n"),
        "no text": with_header(b"{'descr': '''\n"),
        "larger than any memory": with_header(huge),
        "one array, not a file of arrays": array.getvalue(),
    }
    for kind, content in damaged.items():
        path = tmp_path / f"{kind}.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{kind}\.npz holds no arrays"):
            arrays.read(path)


def test_a_pickle_in_it_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, secret=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="holds no arrays"):
        arrays.read(path)


def test_bytes_that_changed_end_in_nothing_else(whole: Path, tmp_path: Path) -> None:
    """Half of 400 are cut off, half have some other bytes."""
    content, random = whole.read_bytes(), np.random.default_rng(0)
    path, refused = tmp_path / "damaged.npz", 0
    for number in range(400):
        damaged = bytearray(content)
        if number % 2:
            del damaged[random.integers(len(content)) :]
        else:
            for place in random.integers(len(content), size=random.integers(1, 9)):
                damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            arrays.read(path)
        except ValueError:
            refused += 1
    assert refused > 300
