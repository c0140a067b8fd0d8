"""Prepared: a take made ready for cloning, and every change that was made to it.

The original is never touched: `prepared.flac` follows from it and the manifest. Values and their
storing; who makes them: prepare.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice.grades import Grade, Reason
from aitwin.voice.measures import Measures

SOUND = "prepared.flac"
"""Mono, heard.RATE, 24 bits."""
VERSION = 1
"""Of the recipe: a take that another version prepared is prepared anew."""


@dataclass(frozen=True)
class Edit:
    """One change, in samples at heard.RATE of the original's timeline (after resampling)."""

    start: int
    stop: int
    kind: Literal["cut", "attenuate"]
    reason: Literal["silence", "breath", "click"]
    gain: float = 0.0
    """dB, for "attenuate"; faded in and out inside the stretch."""


@dataclass(frozen=True)
class Segment:
    """An utterance: a stretch of the prepared sound between two rests, 1 to 15 seconds."""

    id: str
    """Stable: the take's id and the first sample of the original, "1f3a…-000123456"."""
    start: int
    """Sample of prepared.flac; `stop` is behind the last."""
    stop: int
    source_start: int
    """The same in the original's timeline at heard.RATE."""
    source_stop: int
    text: str = field(default="", repr=False)
    """What was said: the prompt's words or the transcript's; empty when nobody knows."""
    pitch: float | None = None
    """Median F0, Hertz; None in whispering."""
    voiced: float = 0.0
    """Seconds with a pitch."""
    level: float = 0.0
    """Mean level of its speech after normalising, dBFS."""
    pitch_low: float | None = None
    """Tenth percentile of F0, Hertz."""
    pitch_high: float | None = None
    """The ninetieth."""
    stranger: bool = False
    """Whether it sounds like somebody else than the take's own speaker: left out of the profile."""


@dataclass(frozen=True)
class Prepared:
    """A take's preparation, at `path`."""

    path: Path
    take: str
    """Its id: the first 16 hex digits of the original's SHA-256."""
    samples: int
    """Of prepared.flac."""
    source_samples: int
    """Of the original's timeline at heard.RATE."""
    gain: float
    """dB by which the take was made louder, the same over its whole length."""
    limited: int
    """Samples that the true-peak limiter held down."""
    edits: tuple[Edit, ...]
    segments: tuple[Segment, ...]
    measures: Measures
    grade: Grade
    settings: dict[str, Any]
    """Every number of the recipe that made it (see prepare.Recipe)."""

    @property
    def sound(self) -> Path:
        """The prepared sound."""
        return self.path / SOUND


def store(scratch: Path, prepared: Prepared) -> None:
    """Complete the artifact in `scratch` (see artifact.building)."""
    values = {name: value for name, value in asdict(prepared).items() if name != "path"}
    artifact.write_manifest(scratch, {"version": VERSION, **values})


def load(path: Path) -> Prepared:
    """Raises TwinError when there is none, or another version made it."""
    remedy = "run `twin voice prepare`"
    manifest = artifact.read_manifest(path, kind="prepared take", remedy=remedy)
    try:
        if manifest.pop("version") != VERSION:
            raise TwinError(f"{path} was prepared by another version; {remedy}")
        grade = manifest.pop("grade")
        return Prepared(
            path=path,
            edits=tuple(Edit(**edit) for edit in manifest.pop("edits")),
            segments=tuple(Segment(**segment) for segment in manifest.pop("segments")),
            measures=Measures(**manifest.pop("measures")),
            grade=Grade(grade["letter"], tuple(Reason(**reason) for reason in grade["reasons"])),
            **manifest,
        )
    except (KeyError, TypeError):
        raise TwinError(f"{path} is damaged; {remedy}") from None
