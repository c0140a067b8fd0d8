"""What is cut from a take or made softer, and which of its samples lie where afterwards.

Knows samples and edits only: where a rest or a breath is, others find (see breaths, prepare).

The arithmetic: a cut takes out exactly `stop - start` samples, so the prepared sound is as long as
the source less its cuts. Where a cut closes, the two sides are faded into each other around the
joint: what fades out behind it and fades in before it is taken from within the cut. No sample
outside a fade moves against its neighbours, or changes but by the gain of an "attenuate".
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.audio import Samples
from aitwin.voice.heard import RATE
from aitwin.voice.prepared import Edit

Span: TypeAlias = tuple[int, int]
"""From a sample, to behind a sample."""
Reader: TypeAlias = Callable[[int, int], Samples]
"""Gives the source's samples from one to behind another."""

FADE = 2 * round(0.003 * RATE)
"""Samples over which a cut's sides are faded into each other: 6 ms, half before the joint.

Equal power (sine and cosine), since two stretches of a room's noise do not correlate."""
SOFTENING = round(0.008 * RATE)
"""Samples in which an attenuation reaches its gain: 8 ms, longer than a click is audible."""


_IN: Samples = np.sin((np.arange(FADE) + 0.5) * (np.pi / 2 / FADE)).astype(np.float32)
"""Of the side that fades in, at the middle of each sample."""
_OUT = _IN[::-1]


def stretches(mask: NDArray[np.bool_], closed: int = 0) -> list[Span]:
    """Where a mask is true, over gaps of up to `closed`, in its own places."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    found: list[Span] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] <= closed:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def widened(spans: Iterable[Span], samples: int, by: int) -> list[Span]:
    """Spans in order, each `by` longer at both ends; those that meet are one."""
    found: list[Span] = []
    for start, stop in spans:
        start, stop = max(0, start - by), min(samples, stop + by)
        if found and start <= found[-1][1]:
            start, stop = found[-1][0], max(stop, found.pop()[1])
        found.append((start, stop))
    return found


def rests(kept: Iterable[Span], samples: int) -> list[Span]:
    """What lies between spans that are in order, before the first and behind the last."""
    bounds = [0, *(place for span in kept for place in span), samples]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return [(start, stop) for start, stop in pairs if start < stop]


def shortened(
    between: Iterable[Span], samples: int, *, most: int, kept: int, edge: int
) -> list[Edit]:
    """Cuts that bring rests down to `kept` samples where they have more than `most`.

    Half of what is kept stays at each side. A rest at the take's beginning or end that has more
    than twice `edge` keeps `edge` samples, on the side of the speech; no shorter one is cut, since
    a VAD that hears the result again is a frame or two off. A take that is one rest keeps its
    first `kept` samples: a sound of no samples is no file.
    """
    cuts = []
    for start, stop in between:
        first, last = start == 0, stop == samples
        if first and last:
            start += kept
        elif (first or last) and stop - start > 2 * edge:
            start, stop = (start if first else start + edge), (stop if last else stop - edge)
        elif not (first or last) and stop - start > most:
            start, stop = start + kept // 2, stop - (kept - kept // 2)
        else:
            continue
        if stop > start:
            cuts.append(Edit(start, stop, "cut", "silence"))
    return cuts


def settled(edits: Iterable[Edit], samples: int) -> tuple[Edit, ...]:
    """The same edits in order and apart from each other, as Timeline wants them.

    Cuts that meet become one (of the first one's reason). What is to be attenuated and also cut
    is cut; of two attenuations that overlap the later begins where the earlier ends. A cut
    within the take that is shorter than a fade is left out.
    """
    inside = [Edit(max(0, e.start), min(samples, e.stop), e.kind, e.reason, e.gain) for e in edits]
    inside = sorted((e for e in inside if e.stop > e.start), key=lambda e: (e.start, e.stop))
    cuts: list[Edit] = []
    for edit in (e for e in inside if e.kind == "cut"):
        if cuts and edit.start < cuts[-1].stop + FADE:
            cuts[-1] = _until(cuts[-1], max(cuts[-1].stop, edit.stop))
        else:
            cuts.append(edit)
    cuts = [_to_the_ends(cut, samples) for cut in cuts]
    cuts = [
        cut for cut in cuts if cut.stop - cut.start >= FADE or cut.start == 0 or cut.stop == samples
    ]
    taken = [(cut.start, cut.stop) for cut in cuts]
    soft: list[Edit] = []
    for edit in (e for e in inside if e.kind == "attenuate"):
        position = max(edit.start, soft[-1].stop if soft else 0)
        soft += [
            Edit(start, stop, edit.kind, edit.reason, edit.gain)
            for start, stop in _without(taken, position, edit.stop)
        ]
    return tuple(sorted([*cuts, *soft], key=lambda e: e.start))


def _until(edit: Edit, stop: int) -> Edit:
    return Edit(edit.start, stop, edit.kind, edit.reason, edit.gain)


def _to_the_ends(cut: Edit, samples: int) -> Edit:
    """A cut that leaves less than a fade of the take's beginning or end takes that as well."""
    start = 0 if cut.start < FADE else cut.start
    stop = samples if samples - cut.stop < FADE else cut.stop
    return Edit(start, stop, cut.kind, cut.reason, cut.gain)


def _without(taken: Sequence[Span], start: int, stop: int) -> Iterator[Span]:
    """What is left of a stretch when others are taken from it."""
    for first, behind in taken:
        if behind <= start:
            continue
        if first >= stop:
            break
        if first > start:
            yield start, first
        start = behind
    if start < stop:
        yield start, stop


@dataclass(frozen=True)
class Timeline:
    """A take's samples before and after its edits."""

    source_samples: int
    edits: tuple[Edit, ...]
    """In order, apart from each other; see settled."""

    def __post_init__(self) -> None:
        """Refuse edits that overlap, leave the take, or leave no room for a fade."""
        position = 0
        for edit in self.edits:
            if not position <= edit.start < edit.stop <= self.source_samples:
                raise ValueError(f"an edit at sample {edit.start} overlaps another or the end")
            position = edit.stop
        position = 0
        for cut in self._cuts:
            inner = cut.start > 0 and cut.stop < self.source_samples
            if (inner and cut.stop - cut.start < FADE) or 0 < cut.start - position < FADE:
                raise ValueError(f"the cut at sample {cut.start} leaves no room for its fade")
            position = cut.stop
        if self._cuts and 0 < self.source_samples - position < FADE:
            raise ValueError(f"the cut before sample {position} leaves no room for its fade")

    @cached_property
    def _cuts(self) -> tuple[Edit, ...]:
        return tuple(edit for edit in self.edits if edit.kind == "cut")

    @cached_property
    def _cut_starts(self) -> list[int]:
        return [cut.start for cut in self._cuts]

    @cached_property
    def _removed(self) -> list[int]:
        """Samples taken out before each cut, and by all of them."""
        return list(accumulate((cut.stop - cut.start for cut in self._cuts), initial=0))

    @cached_property
    def _joints(self) -> list[int]:
        """Where each cut closes, in prepared samples: the first sample behind it."""
        return [cut.start - gone for cut, gone in zip(self._cuts, self._removed[:-1], strict=True)]

    @property
    def samples(self) -> int:
        """Of the prepared sound."""
        return self.source_samples - self._removed[-1]

    def source(self, position: int) -> int:
        """The sample of the source that a prepared one comes from.

        For the end of a stretch ask `source(stop - 1) + 1`.
        """
        if not 0 <= position < self.samples:
            raise IndexError(f"the prepared sound has no sample {position}")
        return position + self._removed[bisect_right(self._joints, position)]

    def prepared(self, position: int) -> int | None:
        """Where a sample of the source is in the prepared sound; None: it was cut."""
        if not 0 <= position < self.source_samples:
            raise IndexError(f"the source has no sample {position}")
        passed = bisect_right(self._cut_starts, position)
        if passed and position < self._cuts[passed - 1].stop:
            return None
        return position - self._removed[passed]

    def render(self, read: Reader, start: int = 0, stop: int | None = None) -> Samples:
        """The prepared sound from one of its samples to behind another.

        Piece by piece it is to the bit what it is in one go.
        """
        stop = self.samples if stop is None else stop
        rendered = np.empty(stop - start, np.float32)
        bounds = [0, *self._joints, self.samples]
        for number, gone in enumerate(self._removed):
            first, behind = max(start, bounds[number]), min(stop, bounds[number + 1])
            if first < behind:
                rendered[first - start : behind - start] = self._softened(
                    read, first + gone, behind + gone
                )
        for number, joint in enumerate(self._joints):
            first, behind = max(start, joint - FADE // 2), min(stop, joint + FADE // 2)
            if first < behind and 0 < joint < self.samples:
                within = slice(first - joint + FADE // 2, behind - joint + FADE // 2)
                before, after = self._removed[number], self._removed[number + 1]
                rendered[first - start : behind - start] = _OUT[within] * self._softened(
                    read, first + before, behind + before
                ) + _IN[within] * self._softened(read, first + after, behind + after)
        return rendered

    def _softened(self, read: Reader, start: int, stop: int) -> Samples:
        """Samples of the source with their attenuations."""
        samples = np.array(read(start, stop), np.float32)
        for edit in self.edits[max(0, bisect_right(self._starts, start) - 1) :]:
            if edit.start >= stop:
                break
            first, behind = max(start, edit.start), min(stop, edit.stop)
            if edit.kind == "attenuate" and first < behind:
                curve = _curve(edit)[first - edit.start : behind - edit.start]
                samples[first - start : behind - start] *= curve
        return samples

    @cached_property
    def _starts(self) -> list[int]:
        return [edit.start for edit in self.edits]


def apply(samples: Samples, edits: Iterable[Edit]) -> Samples:
    """The whole of a short take, prepared."""
    timeline = Timeline(len(samples), tuple(edits))
    return timeline.render(lambda start, stop: samples[start:stop])


def _curve(edit: Edit) -> Samples:
    """Factors of an attenuation, whose decibels follow a raised cosine at both ends."""
    length = edit.stop - edit.start
    fade = min(SOFTENING, length // 2)
    depth = np.ones(length)
    ramp = (1 - np.cos((np.arange(fade) + 0.5) * (np.pi / max(1, fade)))) / 2
    depth[:fade] = ramp
    depth[length - fade :] = ramp[::-1]
    return (10 ** (edit.gain / 20 * depth)).astype(np.float32)
