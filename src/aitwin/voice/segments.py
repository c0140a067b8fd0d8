"""Utterances: the stretches of a prepared take that are compared, played and embedded.

Cut at rests, 1 to 15 seconds long. Moves no sample: see edits. Hears no words: see transcribe.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np

from aitwin.voice.edits import Span, Timeline
from aitwin.voice.heard import HOP, RATE, Heard
from aitwin.voice.prepared import Edit, Segment

if TYPE_CHECKING:
    from aitwin.voice.transcribe import Word

SHORTEST = round(1.0 * RATE)
"""Samples: of less, an embedding says little."""
LONGEST = round(15.0 * RATE)
"""Samples: what a listener hears in one go, and an ASR in one window."""
REST = round(0.15 * RATE)
"""Samples of rest between two utterances, beside what guards the speech (0.12 s at either side):
in all 0.4 s, as between two sentences; a comma's is shorter."""
REACH = round(1.0 * RATE)
"""Samples of rest over which one that is too short joins its neighbour."""
SMOOTHED = 9
"""Frames (0.1 s) over which the level is averaged where speech without a rest is to be cut."""
READ = 0.5
"""Share of the prompt's words that must be heard for the prompt to be what was said."""

_WORD = re.compile(r"\S+")
_SOUNDLESS = re.compile(r"[^\w]+")


@dataclass(frozen=True)
class _Stretch:
    """Speech in the prepared sound, and where it comes from."""

    start: int
    stop: int
    source_start: int
    source_stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def until(self, other: "_Stretch") -> "_Stretch":
        return replace(self, stop=other.stop, source_stop=other.source_stop)


def segments(
    speech: Iterable[Span], heard: Heard, timeline: Timeline, *, take: str, gain: float
) -> tuple[Segment, ...]:
    """The utterances of a take, in order.

    `speech` is where somebody speaks, in samples of the source, in order; `gain` in dB is what
    the prepared sound has been made louder by. Speech that is shorter than SHORTEST and far from
    any other is in no utterance. One that comes from the same first sample has the same id.
    """
    cuts = [edit for edit in timeline.edits if edit.kind == "cut"]
    kept = [stretch for span in speech for stretch in _kept(span, cuts, timeline)]
    parts = [part for stretch in kept for part in _bounded(stretch, heard)]
    return tuple(
        _segment(part, heard, take, gain) for part in _joined(parts) if part.length >= SHORTEST
    )


def _kept(span: Span, cuts: Sequence[Edit], timeline: Timeline) -> Iterator[_Stretch]:
    """What the cuts have left of a stretch of speech; none of them is within a piece."""
    start, stop = span
    for cut in cuts[bisect_right(cuts, start, key=lambda cut: cut.stop) :]:
        if cut.start >= stop:
            break
        if cut.start > start:
            yield _stretch(start, cut.start, timeline)
        start = cut.stop
    if start < stop:
        yield _stretch(start, stop, timeline)


def _stretch(start: int, stop: int, timeline: Timeline) -> _Stretch:
    first = timeline.prepared(start)
    if first is None:  # cannot be: _kept has gone around the cuts
        raise ValueError(f"sample {start} was cut")
    return _Stretch(first, first + stop - start, start, stop)


def _bounded(stretch: _Stretch, heard: Heard) -> Iterator[_Stretch]:
    """The same in pieces of LONGEST at most, cut where it is softest."""
    if stretch.length <= LONGEST:
        yield stretch
        return
    first, behind = stretch.source_start // HOP, stretch.source_stop // HOP
    quarter = (behind - first) // 4
    power = 10 ** (heard.level[first + quarter : behind - quarter] / 10)
    softest = int(np.argmin(np.convolve(power, np.ones(SMOOTHED), "valid"))) + SMOOTHED // 2
    place = (first + quarter + softest) * HOP
    middle = stretch.start + place - stretch.source_start
    yield from _bounded(replace(stretch, stop=middle, source_stop=place), heard)
    yield from _bounded(replace(stretch, start=middle, source_start=place), heard)


def _joined(parts: Iterable[_Stretch]) -> list[_Stretch]:
    """Those that follow each other closely, or are short and not far apart, made one."""
    found: list[_Stretch] = []
    for part in parts:
        if found and found[-1].until(part).length <= LONGEST:
            rest = part.start - found[-1].stop
            short = min(found[-1].length, part.length) < SHORTEST
            # Two pieces of one long stretch touch, and were cut on purpose.
            if 0 < rest < (REACH if short else REST) or (short and rest == 0):
                found[-1] = found[-1].until(part)
                continue
        found.append(part)
    return found


def _segment(part: _Stretch, heard: Heard, take: str, gain: float) -> Segment:
    frames = slice(part.source_start // HOP, -(-part.source_stop // HOP))
    pitch = heard.pitch[frames]
    voiced = pitch[np.isfinite(pitch)]
    low, median, high = (
        (round(float(value), 2) for value in np.quantile(voiced, (0.1, 0.5, 0.9)))
        if len(voiced)
        else (None, None, None)
    )
    level = heard.level[frames].astype(np.float64)
    spoken = level[heard.speech[frames] >= 0.5]
    power = np.mean(10 ** ((spoken if len(spoken) else level) / 10))
    return Segment(
        id=f"{take}-{part.source_start:09d}",
        start=part.start,
        stop=part.stop,
        source_start=part.source_start,
        source_stop=part.source_stop,
        pitch=median,
        pitch_low=low,
        pitch_high=high,
        voiced=round(len(voiced) * HOP / RATE, 3),
        level=round(float(10 * np.log10(power)) + gain, 2),
    )


def with_texts(
    found: Sequence[Segment], words: Sequence["Word"] | None, prompt: str
) -> tuple[Segment, ...]:
    """The utterances with what was said in each.

    `words` were heard in the prepared sound, in order (None: nobody listened); `prompt` is what
    was to be read, or empty. What was heard of the prompt is written as the prompt writes it;
    without ears a prompt belongs to a take's only utterance, and to no one of several.
    """
    if words is None:
        only = prompt if len(found) == 1 else ""
        return tuple(replace(segment, text=only) for segment in found)
    texts: dict[int, list[str]] = {}
    for text, middle in _as_written(words, prompt) if prompt else _as_heard(words):
        number = _nearest(found, middle * RATE)
        if number is not None:
            texts.setdefault(number, []).append(text)
    return tuple(
        replace(segment, text=" ".join(texts.get(number, ())))
        for number, segment in enumerate(found)
    )


def _as_heard(words: Iterable["Word"]) -> Iterator[tuple[str, float]]:
    """Words with the second of their middle."""
    for word in words:
        if text := word.text.strip():
            yield text, (word.start + word.stop) / 2


def _as_written(words: Sequence["Word"], prompt: str) -> list[tuple[str, float]]:
    """The prompt's words, each at the time of what was heard for it, or of the one before."""
    heard = list(_as_heard(words))
    written = _WORD.findall(prompt)
    matcher = SequenceMatcher(
        None, [_sound(word) for word in written], [_sound(text) for text, _ in heard], False
    )
    times: dict[int, float] = {}
    for block in matcher.get_matching_blocks():
        for step in range(block.size):
            times[block.a + step] = heard[block.b + step][1]
    if len(times) < READ * len(written):
        return heard
    time, timed = min(times.values()), []
    for number, word in enumerate(written):
        time = times.get(number, time)
        timed.append((word, time))
    return timed


def _sound(word: str) -> str:
    """A word without what is not said: case and punctuation."""
    return _SOUNDLESS.sub("", word).lower()


def _nearest(found: Sequence[Segment], sample: float) -> int | None:
    """The utterance at a sample of the prepared sound, or the one within REST of it."""
    behind = bisect_right(found, sample, key=lambda segment: segment.start)
    near = range(max(0, behind - 1), min(len(found), behind + 1))
    away = {n: max(found[n].start - sample, sample - found[n].stop, 0) for n in near}
    number = min(away, key=lambda n: away[n], default=None)
    return number if number is not None and away[number] <= REST else None
