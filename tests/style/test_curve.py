from pathlib import Path

import pytest
from PIL import Image

from aitwin.style import curve

HISTORY = [
    {"step": 0, "validation": 4.4},
    {"step": 5, "validation": 4.1, "training": 4.2},
    {"step": 10, "validation": 3.9, "training": 3.8},
]


@pytest.mark.parametrize("history", [HISTORY, HISTORY[:1], []])
def test_a_curve_is_a_private_picture(tmp_path: Path, history: list[dict[str, float]]) -> None:
    """Also of a run that was stopped before its first evaluation."""
    path = tmp_path / "loss.png"
    curve.draw(history, path)
    assert path.stat().st_mode & 0o777 == 0o600
    with Image.open(path) as picture:
        assert picture.size == (1036, 518)


def test_both_lines_are_drawn(tmp_path: Path) -> None:
    """The two colours of the lines are in the picture; without training losses, only the one."""

    def colours(history: list[dict[str, float]]) -> set[tuple[int, ...]]:
        curve.draw(history, tmp_path / "loss.png")
        with Image.open(tmp_path / "loss.png") as picture:
            counted = picture.convert("RGB").getcolors(1 << 20) or []
        return {colour for _, colour in counted}

    orange, slate = (0xC2, 0x41, 0x0C), (0x64, 0x74, 0x8B)
    assert {orange, slate} <= colours(HISTORY)
    assert slate not in colours([{"step": 0, "validation": 4.4}, {"step": 5, "validation": 4.1}])
