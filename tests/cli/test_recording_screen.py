import io
from dataclasses import replace

import pytest
from rich.console import Console

from aitwin.cli.recording_screen import View, fits, screen
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.script import Progress

PROGRESS = tuple(Progress(emotion, 210.0, 420.0, 50, 107) for emotion in EMOTIONS)
VIEW = View(
    title="Ana, Built-in Microphone, 48 kHz",
    heading="Angry, frustrated: 50 of 107 sentences read",
    direction=EMOTIONS["angry"].direction,
    text="You have had this key for a year, and in all that time you never once locked the door, "
    "not even when I asked you to, and I asked you to every single day of it!",
    status="3.2 s   read aloud; it stops by itself",
    recording=True,
    level=-18.0,
    peak=-6.0,
    letter="C",
    remarks=(
        "4.2 s of speech, peak -6 dB",
        "the room is loud: speech is only 14 dB above it: switch off the fan, close the window, "
        "come closer to the microphone",
    ),
    progress=PROGRESS,
    keys=(("space", "stop"), ("r", "retake"), ("s", "skip"), ("e", "next emotion"),
          ("p", "pause"), ("q", "quit")),
)  # fmt: skip


def console_of(width: int, height: int, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(file=file, width=width, height=height, color_system=None)


def shown(view: View, width: int = 80, height: int = 24, encoding: str = "utf-8") -> list[str]:
    console = console_of(width, height, encoding)
    file = console.file
    console.print(screen(view, console), height=height, crop=True)
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_everything_is_on_the_screen(width: int, height: int) -> None:
    lines = shown(VIEW, width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).replace("│", " ").split())
    for part in (VIEW.title, VIEW.heading, VIEW.direction, VIEW.text, VIEW.status, *VIEW.remarks):
        assert " ".join(part.split()) in words
    for emotion in EMOTIONS:
        assert emotion in words
    assert "31.5 of 63 min" in words
    for key, does in VIEW.keys:
        assert f"{key} {does}" in words


def words_of(lines: list[str]) -> str:
    return " ".join(" ".join(lines).replace("│", " ").split())


@pytest.mark.parametrize("size", [(60, 18), (60, 12), (40, 12), (40, 9), (120, 9)])
def test_in_a_small_window_the_sentence_stays_to_the_last(size: tuple[int, int]) -> None:
    """Whoever cannot see the sentence reads nothing while it records."""
    assert fits(VIEW, console_of(*size))
    lines = shown(VIEW, *size)
    assert len(lines) == size[1]
    words = words_of(lines)
    for part in (VIEW.text, "REC 3.2 s", "-18 dB"):
        assert part in words
    for key, does in VIEW.keys:
        assert f"{key} {does}" in words


@pytest.mark.parametrize(("height", "hour", "scale"), [(20, 1, 1), (18, 0, 1), (16, 0, 0)])
def test_progress_goes_first_and_then_the_scale(height: int, hour: bool, scale: bool) -> None:
    words = words_of(shown(VIEW, 60, height))
    assert ("31.5 of 63 min" in words, "-48 -36 -24" in words) == (hour, scale)
    for part in (VIEW.title, VIEW.heading, VIEW.direction, *VIEW.remarks):
        assert " ".join(part.split()) in words


@pytest.mark.parametrize("size", [(39, 24), (80, 7), (40, 8)])
def test_where_the_sentence_has_no_room_a_larger_window_is_asked_for(size: tuple[int, int]) -> None:
    assert not fits(VIEW, console_of(*size))
    words = words_of(shown(VIEW, *size))
    assert "Make this window larger." in words
    assert "q quit" in words
    assert "REC" in words  # shrunk while it records
    assert "locked the door" not in words


def test_all_advice_on_a_room_is_shown() -> None:
    advice = tuple(f"advice number {n} on what to do about this room of yours" for n in range(7))
    words = words_of(shown(replace(VIEW, text="", remarks=advice, letter="")))
    assert all(line in words for line in advice)


def test_a_view_of_nothing_shows_nothing_of_its_making() -> None:
    assert "Layout" not in "".join(shown(View("Ana")))


def meter(view: View) -> str:
    lines = shown(replace(view, remarks=()))
    (line,) = (line for line in lines if line.endswith(("dB", "quiet", "CLIP")))
    return line


@pytest.mark.parametrize(("level", "full"), [(-120.0, 0), (-60.0, 0), (-30.0, 30), (0.0, 60)])
def test_the_meter_is_as_long_as_it_is_loud(level: float, full: int) -> None:
    line = meter(replace(VIEW, level=level, peak=-120.0))
    assert line.count("█") == full
    assert line.count("░") == 60 - full
    assert ("quiet" in line) == (level <= -60)


def test_the_meter_holds_the_peak_and_tells_clipping() -> None:
    line = meter(replace(VIEW, level=-30.0, peak=-12.0))
    assert line.index("│") == 1 + 48
    assert "CLIP" not in line
    assert "CLIP" in meter(replace(VIEW, peak=0.0, clipped=True))


def test_recording_is_said_in_letters_not_in_colour_alone() -> None:
    assert any("REC" in line for line in shown(VIEW))
    assert not any("REC" in line for line in shown(replace(VIEW, recording=False)))


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    lines = shown(replace(VIEW, level=-30.0, peak=-12.0), encoding="ascii")
    bar = next(line for line in lines if line.endswith("dB"))
    assert bar.count("#") == 30
    assert bar.count("|") == 1


def test_what_is_read_is_not_in_a_repr() -> None:
    """P4."""
    assert "locked the door" not in repr(VIEW)
    assert "Microphone" not in repr(VIEW)
