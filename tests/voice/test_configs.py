"""The one reader of a network's config.json: what it gives, and what it refuses."""

from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.voice import configs

REMEDY = "pull it again"


def test_an_object_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"data": {"hop_length": 256, "who": "Zoë"}}', "utf-8")
    assert configs.read(path, REMEDY) == {"data": {"hop_length": 256, "who": "Zoë"}}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[1]", b"7", b'"text"', b"null", b"\xff\xfe{}", b"[" * 100_000),
        *(b'{"rate": NaN}', b'{"rate": -Infinity}', b'{"a": 1} {"b": 2}'),
    ],
)
def test_anything_else_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(TwinError, match=REMEDY) as caught:
        configs.read(path, REMEDY)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("name", "what"), [("absent.json", "missing"), (".", "cannot be read")])
def test_what_is_no_file_is_told_apart(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(TwinError, match=f"{what}.*{REMEDY}"):
        configs.read(tmp_path / name, REMEDY)


@pytest.mark.parametrize("value", [3, 7, 9])
def test_a_whole_number_within_its_bounds(value: int) -> None:
    assert configs.whole({"rate": value}, "rate", 3, 9) == value


@pytest.mark.parametrize("value", [2, 10, 3.0, 3.5, "3", True, None, [3], float("inf")])
def test_what_is_no_such_number_is_called_by_its_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"^rate is no whole number of 3 or more"):
        configs.whole({"rate": value}, "rate", 3, 9)
    with pytest.raises(KeyError, match="rate"):
        configs.whole({}, "rate")
