"""What a recording session shows: one screen from one View. Decides nothing: see record."""

from dataclasses import dataclass, field

from rich.align import Align
from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.script import Progress
from aitwin.voice.soundcheck import SILENCE

BOTTOM = -60.0  # dBFS at the left end of the meter
LOUD, TOO_LOUD = -12.0, -3.0  # dBFS at which its colour changes
SCALE = (-60, -48, -36, -24, -18, -12, -6, 0)
GRADES = {"A": "bold green", "B": "green", "C": "yellow", "D": "bold red"}


@dataclass
class View:
    """All that is on the screen."""

    title: str = field(repr=False)
    """Of the voice and the microphone."""
    heading: str = ""
    """What this is about: the emotion, or a check."""
    direction: str = ""
    """How to do it."""
    text: str = field(default="", repr=False)
    """What is to be read."""
    status: str = ""
    """What goes on now."""
    recording: bool = False
    level: float = SILENCE
    """dBFS."""
    peak: float = SILENCE
    """dBFS, the highest of the take."""
    clipped: bool = False
    letter: str = ""
    """Grade of the last take."""
    remarks: tuple[str, ...] = ()
    """On the last take, or on what was checked."""
    progress: tuple[Progress, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    """Key and what it does."""


def screen(view: View, console: Console) -> RenderableType:
    """The whole of it, for the console's present size; nothing is lost at 80 x 24."""
    marks = _Marks.of(console)
    width = console.size.width
    body = Align.center(Text(view.text, style="bold", justify="center"), vertical="middle")
    rows = Layout()
    rows.split_column(
        Layout(Text.assemble((" twin ", "reverse"), " ", view.title, overflow="ellipsis"), size=1),
        Layout(_heading(view), size=4),
        Layout(Panel(body, border_style="red" if view.recording else "dim", padding=(0, 2))),
        Layout(_meter(view, width, marks), size=2),
        Layout(_status(view), size=1),
        Layout(_remarks(view), size=3),
        Layout(_progress(view, width, marks), size=5 if view.progress else 1),
        Layout(_keys(view), size=1),
    )
    return rows


@dataclass(frozen=True)
class _Marks:
    """What lines are drawn with."""

    full: str
    empty: str
    peak: str

    @classmethod
    def of(cls, console: Console) -> "_Marks":
        """Not every terminal speaks Unicode."""
        if console.encoding.startswith("utf"):
            return cls("█", "░", "│")
        return cls("#", ".", "|")


def _heading(view: View) -> Text:
    return Text.assemble("\n", (view.heading, "bold"), "\n", (view.direction, "italic"))


def _meter(view: View, width: int, marks: _Marks) -> Text:
    length = max(10, width - 20)

    def at(level: float) -> int:
        return round((min(max(level, BOTTOM), 0.0) - BOTTOM) / -BOTTOM * length)

    bar = Text(marks.full * at(view.level) + marks.empty * (length - at(view.level)), "green")
    bar.stylize("yellow", at(LOUD), at(TOO_LOUD))
    bar.stylize("red", at(TOO_LOUD))
    if view.peak > BOTTOM:
        place = min(at(view.peak), length - 1)
        bar = Text.assemble(bar[:place], (marks.peak, "bold"), bar[place + 1 :])
    number = f"{view.level:4.0f} dB" if view.level > BOTTOM else "  quiet"
    clip = (" CLIP ", "bold white on red") if view.clipped else ""
    scale = [" "] * (length + 3)
    for decibels in SCALE:
        label, start = str(decibels), at(decibels) - len(str(decibels)) // 2
        scale[max(0, start) : max(0, start) + len(label)] = label
    return Text.assemble(" ", bar, " ", number, " ", clip, "\n ", ("".join(scale), "dim"))


def _status(view: View) -> Text:
    sign = Text(" REC ", "bold white on red") if view.recording else Text("     ")
    return Text.assemble(" ", sign, " ", view.status)


def _remarks(view: View) -> Text:
    lines = Text(" ")  # an empty one would make a layout show its own name
    if view.letter:
        lines.append(f" {view.letter} ", f"reverse {GRADES[view.letter]}").append(" ")
    return lines.append("\n ".join(view.remarks))


def _progress(view: View, width: int, marks: _Marks) -> RenderableType:
    if not view.progress:
        return Text(" ")
    grid = Table.grid(expand=True)
    columns = 3
    for _ in range(columns):
        grid.add_column(ratio=1)
    length = max(3, width // columns - 20)
    cells = [_cell(one, length, marks) for one in view.progress]
    for start in range(0, len(cells), columns):
        grid.add_row(*cells[start : start + columns])
    said = sum(min(one.said, one.asked) for one in view.progress)
    asked = sum(one.asked for one in view.progress)
    total = Text.assemble(
        (f" {'the hour':<13} ", "bold"),
        (_bar(said / asked, max(10, width - 34), marks), "cyan"),
        f" {said / 60:.1f} of {asked / 60:.0f} min",
    )
    grid_and_total = Table.grid(expand=True)
    grid_and_total.add_row(grid)
    grid_and_total.add_row(total)
    return grid_and_total


def _cell(one: Progress, length: int, marks: _Marks) -> Text:
    return Text.assemble(
        f" {EMOTIONS[one.emotion].id:<13} ",
        (_bar(one.said / one.asked, length, marks), "green" if one.full else "cyan"),
        f" {one.said / 60:.1f}",
    )


def _bar(share: float, length: int, marks: _Marks) -> str:
    full = min(length, int(share * length))
    return marks.full * full + marks.empty * (length - full)


def _keys(view: View) -> Text:
    line = Text(" ")
    for key, does in view.keys:
        line.append(f" {key} ", "reverse")
        line.append(f" {does}  ")
    return line
