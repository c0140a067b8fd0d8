"""Finds breaths and the clicks of a mouth in the rests of speech, to be made softer.

Nothing is cut for them: detectors like this one find the breaths that there are, but some soft
consonants too (measured elsewhere: 20 of 20 with 26 false hits), so what is found must be near
no speech, and softening it by some decibels must be no loss. A breath is a noise without pitch
between two stretches of quiet, less high than a sibilant, that the VAD is not sure to be speech.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitwin.voice import edits
from aitwin.voice.edits import Span
from aitwin.voice.heard import HOP, RATE, Heard

QUIET = 0.35
"""Probability of speech under which a frame may show the level of the room (vad.OFF)."""
STILL = -80.0
"""dBFS: no room is as quiet; digital silence is, and then any dither were a sound."""
LOUDER = 6.0
"""dB above the room at which there is a sound: frames of white noise vary by 0.4 dB (sigma)."""
SURE = 0.9
"""Probability of speech from which a sound is speech: breaths that were planted reach 0.89."""
VOICED = 3
"""Frames with a pitch that make a sound speech."""
WHISPERED = 0.15
"""Share of voiced frames in the speech under which a take counts as whispered."""
CLOSURE = 3
"""Frames of quiet (35 ms) that do not end a sound."""
BREATH = (0.08, 0.9)
"""Seconds that a breath lasts."""
BREATH_APART = 0.06
"""Seconds of quiet between a breath and speech: more than the closure in "six" (50 ms)."""
SIBILANT = 0.88
"""Share of power above 2 kHz from which a noise is an "s" or "sh" rather than a breath."""
CLICK = 0.04
"""Seconds that a click lasts at most, with the frames that it only touches."""
CLICK_LOUDER = 10.0
"""dB above the room that a click has in its loudest frame."""
CLICK_APART = 0.15
"""Seconds between a click and speech: a "t" at a word's end is released within 100 ms."""


@dataclass(frozen=True)
class Noises:
    """What sounds and is no speech, as (start, stop) in samples, in order."""

    breaths: tuple[Span, ...] = ()
    clicks: tuple[Span, ...] = ()
    others: tuple[Span, ...] = ()
    """At least as long as a breath, and none: a chair, a laugh, a whisper that the VAD missed."""


def room(heard: Heard) -> float:
    """dBFS of the rests: low among them, since breaths and clicks lie there too.

    The level of the softest frames where there is no rest. STILL at least.
    """
    if not len(heard.level):
        return STILL
    quiet = heard.level[heard.speech < QUIET]
    level = np.percentile(quiet, 20) if len(quiet) else np.percentile(heard.level, 2)
    return max(STILL, float(level))


def find(heard: Heard) -> Noises:
    """Breaths and clicks, none of them nearer to speech than consonants are, and other sounds.

    No breath and no click in a take that is whispered: nothing tells a whispered word from them.
    """
    spoken = heard.speech >= QUIET
    whispered = np.isfinite(heard.pitch[spoken]).sum() < WHISPERED * spoken.sum()
    floor = room(heard)
    sounds = edits.stretches(heard.level > floor + LOUDER, CLOSURE)
    speech = [_is_speech(heard, sound) for sound in sounds]
    found: dict[str, list[Span]] = {"breaths": [], "clicks": [], "others": []}
    for number, (start, stop) in enumerate(sounds):
        if speech[number]:
            continue
        apart = _apart(sounds, speech, number) * HOP / RATE
        lasts = (stop - start) * HOP / RATE
        # A frame more at either side: the fades lie there.
        span = (max(0, start - 1) * HOP, min((stop + 1) * HOP, heard.samples))
        peak = heard.level[start:stop].max()
        if lasts <= CLICK:
            if apart >= CLICK_APART and peak > floor + CLICK_LOUDER and not whispered:
                found["clicks"].append(span)
        elif whispered or not _is_breath(heard, (start, stop), apart):
            found["others"].extend([span] if lasts >= BREATH[0] else [])
        else:
            found["breaths"].append(span)
    return Noises(**{kind: tuple(spans) for kind, spans in found.items()})


def _is_breath(heard: Heard, sound: Span, apart: float) -> bool:
    lasts = (sound[1] - sound[0]) * HOP / RATE
    return (
        BREATH[0] <= lasts <= BREATH[1]
        and apart >= BREATH_APART
        and _share_above(heard, *sound) < SIBILANT
    )


def _is_speech(heard: Heard, sound: Span) -> bool:
    within = slice(*sound)
    return bool(
        heard.speech[within].max() >= SURE
        or np.count_nonzero(np.isfinite(heard.pitch[within])) >= VOICED
    )


def _apart(sounds: Sequence[Span], speech: Sequence[bool], number: int) -> float:
    """Frames of a sound to the nearest speech."""
    start, stop = sounds[number]
    earlier = (sounds[n][1] for n in reversed(range(number)) if speech[n])
    later = (sounds[n][0] for n in range(number + 1, len(sounds)) if speech[n])
    return min(start - next(earlier, -math.inf), next(later, math.inf) - stop)


def _share_above(heard: Heard, start: int, stop: int) -> float:
    """Share of a sound's power above 2 kHz."""
    power = 10 ** (heard.level[start:stop].astype(np.float64) / 10)
    return float(np.average(heard.high[start:stop], weights=power))
