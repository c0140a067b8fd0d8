"""A take drawn and made audible: the whole of it, and a short stretch before and after preparing.

Values with SVG path data, PNGs and MP3s, ready for a page. Does not choose takes, and lays nothing
out: see voice_report.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from aitwin.errors import TwinError
from aitwin.voice import pictures, pitch, sound_file
from aitwin.voice.audio import Samples, Utterance, encode_mp3, resample
from aitwin.voice.edits import Timeline
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.prepared import Edit, Prepared, Stranger
from aitwin.voice.source import Source
from aitwin.voice.voices import Take

EXCERPT = 7.0
"""Seconds of a take that can be heard: two sentences. 90 kB in the page, before and after."""
RUN_UP = round(0.3 * RATE)
"""Samples before the first word of an excerpt."""
COLUMNS = 600
"""Of a waveform: finer than the pixels of its place on most screens."""
MINI_COLUMNS = 100
"""Of the small one beside a take's name."""
WAVE_HEIGHT = 64
LEVEL_HEIGHT = 32
PITCH_HEIGHT = 48
EXCERPT_HEIGHT = 48
SPECTRUM_SIZE = (400, 80)
"""Pixels."""
LEVELS = (-70.0, -10.0)
"""dBFS at the edges of the plot of loudness: from a quiet room to shouting."""
PITCHES = (60.0, 500.0)
"""Hertz at the edges of the plot of pitch, as in pitch."""
LOUD = 0.05
"""The least sample value that fills a waveform: a quiet take is drawn larger, silence is not."""
MARK_LEAST = 1.0
"""Columns; a click is shorter than what can be seen."""

_KINDS = {"silence": "silence", "breath": "breath", "click": "click"}
"""Class in the page of each reason."""
_TOLD = {"silence": 1}
"""How much there is to hear of an edit; of others 3. Cuts of silence are many, and the least."""
_PLURALS = {"breath": "breaths", "click": "clicks", "silence": "silences"}


@dataclass(frozen=True)
class Mark:
    """A stretch of a plot, in columns."""

    x: float
    width: float
    kind: str
    title: str
    y: int = 0


@dataclass(frozen=True, eq=False)
class Sound:
    """A piece of sound to see and hear."""

    columns: int
    wave: str = field(repr=False)
    """Path data, EXCERPT_HEIGHT high."""
    spectrum: str = field(repr=False)
    """PNG, base64."""
    mp3: str = field(repr=False)
    """base64."""


@dataclass(frozen=True, eq=False)
class Excerpt:
    """The same stretch of a take as it was recorded, and prepared."""

    why: str
    """What is to be heard in it."""
    place: tuple[float, float]
    """Where it begins and how long it is, in percent of the take."""
    before: Sound
    after: Sound
    moments: str
    """JSON: pairs of seconds [before, after] that belong together, in order."""


@dataclass(frozen=True)
class Contour:
    """The pitch of an excerpt, in its place over the take."""

    path: str = field(repr=False)
    x: float
    """Column of its first frame."""
    scale: float
    """Columns per frame."""


@dataclass(frozen=True, eq=False)
class Sketch:
    """What is drawn of a take; every plot of the whole take is `columns` wide."""

    columns: int
    wave: str = field(repr=False)
    mini: str = field(repr=False)
    mini_columns: int
    level: str = field(repr=False)
    marks: list[Mark]
    pitches: list[Mark]
    contour: Contour | None
    excerpt: Excerpt | None
    """None when nothing of the take is left after preparing."""

    @property
    def size(self) -> int:
        """Bytes in a page, nearly."""
        texts = [self.wave, self.mini, self.level, self.contour.path if self.contour else ""]
        for sound in (self.excerpt.before, self.excerpt.after) if self.excerpt else ():
            texts += [sound.wave, sound.spectrum, sound.mp3]
        return sum(map(len, texts)) + 150 * (len(self.marks) + len(self.pitches))


def draw(take: Take, prepared: Prepared) -> Sketch:
    """Draw a take. Reads the original once, in constant memory, and a piece of what is prepared.

    Raises TwinError when either cannot be read.
    """
    start, stop = stretch(prepared)
    reading = _Reading(take, start / RATE, stop / RATE)
    grain = max(1, -(-round(take.seconds * reading.rate) // COLUMNS))
    whole = pictures.outline(reading.blocks(), grain)
    columns = max(1, len(whole.high))
    # Of the recording as long as it is: a column is `grain` samples, the last one may be shorter.
    per_sample = whole.samples / grain / max(1, prepared.source_samples)
    before = reading.excerpt()
    mini = pictures.folded(whole, -(-columns // MINI_COLUMNS))
    return Sketch(
        columns=columns,
        wave=pictures.wave_path(whole, WAVE_HEIGHT, _scale(whole)),
        mini=pictures.wave_path(mini, WAVE_HEIGHT, _scale(whole)),
        mini_columns=len(mini.high),
        level=pictures.curve_path(whole.level, *LEVELS, LEVEL_HEIGHT),
        marks=_seen(
            [
                *(_mark(edit, per_sample) for edit in prepared.edits),
                *(_other(stranger, per_sample) for stranger in prepared.strangers),
            ]
        ),
        pitches=_seen(_pitches(prepared, per_sample)),
        contour=_contour(before, start * per_sample, per_sample),
        excerpt=_excerpt(prepared, before, start, stop),
    )


# The whole take


def _scale(whole: pictures.Outline) -> float:
    loudest = max(whole.high.max(initial=0), -whole.low.min(initial=0))
    return max(LOUD, float(loudest))


def _mark(edit: Edit, per_sample: float) -> Mark:
    length = (edit.stop - edit.start) / RATE
    done = "cut" if edit.kind == "cut" else f"lowered by {-edit.gain:.0f} dB"
    title = f"{edit.reason} {done}, {length:.2f} s, at {clock(edit.start / RATE)}"
    width = max(MARK_LEAST, (edit.stop - edit.start) * per_sample)
    return Mark(round(edit.start * per_sample, 1), round(width, 1), _KINDS[edit.reason], title)


def _other(stranger: Stranger, per_sample: float) -> Mark:
    length = stranger.source_stop - stranger.source_start
    return Mark(
        round(stranger.source_start * per_sample, 1),
        round(max(MARK_LEAST, length * per_sample), 1),
        "other",
        f"somebody else? {length / RATE:.0f} s at {clock(stranger.source_start / RATE)}, "
        f"likeness {stranger.cosine:.2f}",
    )


def _seen(marks: Iterable[Mark]) -> list[Mark]:
    """Without those that fall on one that is there: of hours, thousands would."""
    return list({(int(mark.x), mark.kind): mark for mark in marks}.values())


def _pitches(prepared: Prepared, per_sample: float) -> Iterator[Mark]:
    """The usual pitch of every utterance, in its place."""
    return (
        Mark(
            round(one.source_start * per_sample, 1),
            round((one.source_stop - one.source_start) * per_sample, 1),
            "tone",
            f"{one.pitch:.0f} Hz at {clock(one.source_start / RATE)}",
            round(PITCH_HEIGHT * (1 - _octaves(one.pitch))),
        )
        for one in prepared.segments
        if one.pitch
    )


def _octaves(hertz: float) -> float:
    """Height in the plot of pitch, 0 to 1: equal steps are equal ratios, as it is heard."""
    low, high, at = np.log2([*PITCHES, hertz])
    return float(np.clip((at - low) / (high - low), 0, 1))


def _contour(before: Samples, x: float, per_sample: float) -> Contour | None:
    octaves = np.log2(pitch.track(before))
    if np.isnan(octaves).all():
        return None
    low, high = np.log2(PITCHES)
    return Contour(
        pictures.curve_path(octaves, float(low), float(high), PITCH_HEIGHT),
        x + HOP / 2 * per_sample,
        HOP * per_sample,
    )


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


# A stretch of it, before and after


def stretch(prepared: Prepared) -> tuple[int, int]:
    """The stretch of the source that shows most of what preparing did, in samples.

    It begins shortly before an utterance; at the take's beginning where there is none.
    """
    length = min(round(EXCERPT * RATE), prepared.source_samples)
    latest = prepared.source_samples - length
    starts = np.array([one.source_start for one in prepared.segments] or [0]) - RUN_UP
    starts = np.clip(starts, 0, latest)
    # Edits are in order and apart from each other, and so are their ends.
    firsts = np.searchsorted([edit.start for edit in prepared.edits], starts)
    lasts = np.searchsorted([edit.stop for edit in prepared.edits], starts + length, "right")
    told = np.cumsum([0, *(_TOLD.get(edit.reason, 3) for edit in prepared.edits)])
    best = int(starts[np.argmax(told[np.maximum(firsts, lasts)] - told[firsts])])
    return best, best + length


def _why(prepared: Prepared, start: int, stop: int) -> str:
    """What is to be heard in a stretch, in words."""
    inside = [edit for edit in prepared.edits if start <= edit.start and edit.stop <= stop]
    counts = Counter((edit.reason, edit.kind) for edit in inside)
    changes = [told(reason, kind, count) for (reason, kind), count in counts.most_common()]
    changes.append(f"all of it {louder(prepared.gain)}")
    return f"{(stop - start) / RATE:.0f} s from {clock(start / RATE)}, {', '.join(changes)}"


def told(reason: str, kind: str, count: int) -> str:
    """Edits of one kind, in words."""
    noun = _PLURALS.get(reason, reason) if count > 1 else reason
    return f"{count:,} {noun} {'cut' if kind == 'cut' else 'lowered'}"


def louder(gain: float) -> str:
    """A change of level, in words."""
    if abs(gain) < 0.05:
        return "as loud as before"
    return f"{abs(gain):.1f} dB {'softer' if gain < 0 else 'louder'}"


def _excerpt(prepared: Prepared, before: Samples, start: int, stop: int) -> Excerpt | None:
    timeline = Timeline(prepared.source_samples, prepared.edits)
    kept = list(_kept(timeline, start, stop))
    if not kept:
        return None
    first, last = kept[0][1], kept[-1][1] + kept[-1][2]
    moments = [
        [
            round((at - zero) / RATE, 3)
            for at, zero in ((source + along, start), (now + along, first))
        ]
        for source, now, length in kept
        for along in (0, length)
    ]
    after = _read_prepared(prepared, first, last)
    # One scale for both: what became louder looks so.
    scale = float(max(LOUD, np.abs(before).max(initial=0), np.abs(after).max(initial=0)))
    whole = 100 / prepared.source_samples
    return Excerpt(
        why=_why(prepared, start, stop),
        place=(start * whole, (stop - start) * whole),
        before=_sound(before, scale),
        after=_sound(after, scale),
        moments=json.dumps(moments, separators=(",", ":")),
    )


def _kept(timeline: Timeline, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """What stays of a stretch of the source: (source sample, prepared sample, length) in order."""
    position = start
    cuts = [edit for edit in timeline.edits if edit.kind == "cut" and edit.stop > start]
    for cut_start, cut_stop in [*((cut.start, cut.stop) for cut in cuts), (stop, stop)]:
        until = min(cut_start, stop)
        if until > position and (now := timeline.prepared(position)) is not None:
            yield position, now, until - position
        position = max(position, cut_stop)


def _read_prepared(prepared: Prepared, start: int, stop: int) -> Samples:
    import soundfile

    try:
        samples, _ = soundfile.read(prepared.sound, stop - start, start, dtype="float32")
    except (OSError, soundfile.SoundFileError):
        raise TwinError(
            f"{prepared.sound} cannot be read; make it anew with `twin voice prepare`"
        ) from None
    return np.asarray(samples, np.float32)


def _sound(samples: Samples, scale: float) -> Sound:
    shape = pictures.outline([samples], -(-max(1, len(samples)) // COLUMNS))
    shades = pictures.spectrogram(samples, RATE, *SPECTRUM_SIZE)
    return Sound(
        columns=max(1, len(shape.high)),
        wave=pictures.wave_path(shape, EXCERPT_HEIGHT, scale),
        spectrum=_base64(pictures.png(shades, pictures.palette())),
        mp3=_base64(encode_mp3([Utterance(samples, RATE)])),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Reading:
    """One pass over an original: all of it to draw, and a stretch of it to keep."""

    def __init__(self, take: Take, start: float, stop: float) -> None:
        self.take = take
        # Of several channels some may be silent, or a mirror: Source knows, and takes five times
        # as long, since it also measures.
        self.rate = take.sample_rate if take.channels == 1 else RATE
        self.start = round(start * self.rate)
        self.stop = round(stop * self.rate)
        self.kept: list[Samples] = []

    def blocks(self) -> Iterator[Samples]:
        """The whole take, mono, at `rate`."""
        position = 0
        for block in self._mono():
            yield block
            inside = slice(max(0, self.start - position), max(0, self.stop - position))
            self.kept.append(block[inside].copy())
            position += len(block)

    def _mono(self) -> Iterator[Samples]:
        if self.take.channels > 1:
            return Source(self.take.original).blocks()
        return (block[:, 0] for block in sound_file.native(self.take.original))

    def excerpt(self) -> Samples:
        """The stretch at heard.RATE, when the blocks have been read; as loud as it was."""
        samples = np.concatenate([np.zeros(0, np.float32), *self.kept])
        return resample(Utterance(samples, self.rate), RATE).samples
