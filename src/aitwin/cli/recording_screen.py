"""What a recording session shows: one screen from one View. Decides nothing: see record."""

from dataclasses import dataclass, field, replace

from rich.align import Align
from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.script import Progress
from aitwin.voice.soundcheck import SILENCE

BOTTOM = -60.0  # dBFS at the left end of the meter
LOUD, TOO_LOUD = -12.0, -3.0  # dBFS at which its colour changes
SCALE = (-60, -48, -36, -24, -18, -12, -6, 0)
LEAST_WIDTH, LEAST_HEIGHT = 40, 8
"""Columns and lines in which nobody reads aloud, however short the sentence."""
WIDE = 69  # columns that a line of three emotions takes
GIVEN_UP = (
    *(("progress", 1), ("progress", 0), ("gap", 0), ("scale", 0), ("remarks", 1)),
    *(("frame", 0), ("direction", 0), ("title", 0), ("heading", 0), ("remarks", 0)),
)
"""Parts, and the lines that are left of them, in the order in which they make room."""
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
    """The whole of it, for the console's present size; nothing is lost at 80 x 24.

    In a smaller one the sentence stays to the last; where even that has no room (see fits), a
    larger window is asked for.
    """
    sizes = _sizes(view, console)
    if sizes is None:
        return _too_small(view, console)
    marks, width = _Marks.of(console), console.size.width
    text = Align.center(Text(view.text, style="bold", justify="center"), vertical="middle")
    body: RenderableType = Padding(text, (0, 1))
    if sizes["frame"]:
        body = Panel(text, border_style="red" if view.recording else "dim", padding=(0, 2))
    title = Text.assemble((" twin ", "reverse"), " ", view.title, overflow="ellipsis")
    parts: dict[str, RenderableType] = {
        "title": title,
        "gap": Text(" "),
        "heading": Text(view.heading or " ", style="bold", overflow="ellipsis", no_wrap=True),
        "direction": Text(view.direction or " ", style="italic"),
        "text": body,
        "meter": _meter(view, width, marks),
        "scale": _scale(width),
        "status": _status(view),
        "remarks": _remarks(view),
        "progress": _progress(view, width, marks, sizes["progress"]),
        "keys": _keys(view, width),
    }
    rows = Layout()
    rows.split_column(
        *(
            # The sentence has what the others leave.
            Layout(part) if name == "text" else Layout(part, size=sizes[name])
            for name, part in parts.items()
            if sizes[name] or name == "text"
        )
    )
    return rows


def fits(view: View, console: Console) -> bool:
    """Whether the console is large enough to read from."""
    return _sizes(view, console) is not None


def _sizes(view: View, console: Console) -> dict[str, int] | None:
    """Lines of each part; 0: left out. None when what must be seen has no room."""
    width, height = console.size
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return None

    def lines(text: Text, width: int) -> int:
        return len(text.wrap(console, width))

    progress = (5 if width >= WIDE else 1) if view.progress else 1
    sizes = {
        "title": 1,
        "gap": 1,
        "heading": 1,
        "direction": max(2, lines(Text(view.direction), width)),
        "frame": 2,
        "text": max(1, lines(Text(view.text), width - 6)),
        "meter": 1,
        "scale": 1,
        "status": 1,
        "remarks": max(3, lines(_remarks(view), width)),
        "progress": progress,
        "keys": lines(_keys(view, width), width),
    }
    for name, least in GIVEN_UP:
        over = sum(sizes.values()) - height
        if over <= 0:
            break
        sizes[name] = max(least, sizes[name] - over) if name == "remarks" else least
        if name == "frame":
            sizes["text"] = max(1, lines(Text(view.text), width - 2))
    return sizes if sum(sizes.values()) <= height else None


def _too_small(view: View, console: Console) -> RenderableType:
    width, height = console.size
    return Text.assemble(
        (" REC ", "bold white on red") if view.recording else "",
        ("Make this window larger.", "bold"),
        f"\nThere is no room for the sentence in {width} x {height}; 80 x 24 show everything.\n",
        _keys(replace(view, keys=view.keys[-1:]), width),
    )


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


def _meter(view: View, width: int, marks: _Marks) -> Text:
    length = _meter_length(width)
    full, loud, too_loud = (_place(level, length) for level in (view.level, LOUD, TOO_LOUD))
    bar = Text(marks.full * full + marks.empty * (length - full), "green")
    bar.stylize("yellow", loud, too_loud)
    bar.stylize("red", too_loud)
    if view.peak > BOTTOM:
        place = min(_place(view.peak, length), length - 1)
        bar = Text.assemble(bar[:place], (marks.peak, "bold"), bar[place + 1 :])
    number = f"{view.level:4.0f} dB" if view.level > BOTTOM else "  quiet"
    clip = (" CLIP ", "bold white on red") if view.clipped else ""
    return Text.assemble(" ", bar, " ", number, " ", clip)


def _scale(width: int) -> Text:
    length = _meter_length(width)
    scale = [" "] * (length + 3)
    for decibels in SCALE:
        label = str(decibels)
        start = max(0, _place(decibels, length) - len(label) // 2)
        scale[start : start + len(label)] = label
    return Text(" " + "".join(scale), style="dim", no_wrap=True)


def _meter_length(width: int) -> int:
    return max(10, width - 20)


def _place(level: float, length: int) -> int:
    """Of a level on the meter."""
    return round((min(max(level, BOTTOM), 0.0) - BOTTOM) / -BOTTOM * length)


def _status(view: View) -> Text:
    sign = Text(" REC ", "bold white on red") if view.recording else Text("     ")
    return Text.assemble(" ", sign, " ", view.status)


def _remarks(view: View) -> Text:
    lines = Text(" ")  # an empty one would make a layout show its own name
    if view.letter:
        lines.append(f" {view.letter} ", f"reverse {GRADES[view.letter]}").append(" ")
    return lines.append("\n ".join(view.remarks))


def _progress(view: View, width: int, marks: _Marks, lines: int) -> RenderableType:
    """Every emotion and the hour; in one line, the hour alone."""
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
    if lines == 1:
        return total
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


def _keys(view: View, width: int) -> Text:
    """In as many lines as they take; a key and what it does stay together."""
    line, length = Text(" "), 1
    for key, does in view.keys:
        wanted = len(key) + len(does) + 4
        if 1 < length > width - wanted:
            line.append("\n ")
            length = 1
        line.append(f" {key} ", "reverse")
        line.append(f" {does} ")
        length += wanted
        if length < width:
            line.append(" ")
            length += 1
    return line
