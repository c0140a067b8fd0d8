"""Finds breaths and the clicks of a mouth in the rests of speech, to be made softer.

Nothing is cut for them: detectors like this one find the breaths that there are, but some soft
consonants too (measured elsewhere: 20 of 20 with 26 false hits), so what is found must be near
no speech, and softening it by some decibels must be no loss. A breath is a noise without pitch
between two stretches of quiet, less high than a sibilant and less dark than a vowel, that the VAD
is not sure to be speech. What sounds far from all speech (typing, a chair) is neither.
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
DARK = 0.25
"""Share of power above 2 kHz under which a sound is a voice, however soft: sentences 32 to 38 dB
under others, most of which the VAD takes for nothing, have 0.02 to 0.2, breaths 0.5 to 0.7."""
TONAL = 0.1
"""Flatness (see Heard) of a voice's clearest frame: theirs have 0.01 to 0.1, breaths 0.18 up."""
ALONE = 0.3
"""Seconds to the nearest such voice: the consonants of soft words are closer."""
FAR = 2.0
"""Seconds to the nearest speech behind which no breath is drawn for it, and no mouth is open."""
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
    """At least as long as a breath, and none: a laugh, or words that the VAD missed.

    Without what sounds FAR from speech and is no voice, as a whisper may be: unless the take is
    whispered, that is as good as silence."""


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
    voices = [
        not sure and _is_voice(heard, sound) for sound, sure in zip(sounds, speech, strict=True)
    ]
    found: dict[str, list[Span]] = {"breaths": [], "clicks": [], "others": []}
    for number, sound in enumerate(sounds):
        apart = _apart(sounds, speech, number)
        if speech[number] or (apart > FAR and not voices[number] and not whispered):
            continue
        sought = not whispered and apart <= FAR and _apart(sounds, voices, number) >= ALONE
        # A frame more at either side: the fades lie there.
        span = (max(0, sound[0] - 1) * HOP, min((sound[1] + 1) * HOP, heard.samples))
        if _lasts(sound) <= CLICK:
            loud = heard.level[slice(*sound)].max() > floor + CLICK_LOUDER
            if sought and loud and apart >= CLICK_APART:
                found["clicks"].append(span)
        elif sought and not voices[number] and _is_breath(heard, sound, apart):
            found["breaths"].append(span)
        elif _lasts(sound) >= BREATH[0]:
            found["others"].append(span)
    return Noises(**{kind: tuple(spans) for kind, spans in found.items()})


def _lasts(sound: Span) -> float:
    """Seconds."""
    return (sound[1] - sound[0]) * HOP / RATE


def _is_breath(heard: Heard, sound: Span, apart: float) -> bool:
    return (
        BREATH[0] <= _lasts(sound) <= BREATH[1]
        and apart >= BREATH_APART
        and _share_above(heard, *sound) < SIBILANT
    )


def _is_speech(heard: Heard, sound: Span) -> bool:
    within = slice(*sound)
    return bool(
        heard.speech[within].max() >= SURE
        or np.count_nonzero(np.isfinite(heard.pitch[within])) >= VOICED
    )


def _is_voice(heard: Heard, sound: Span) -> bool:
    """Whether a sound may be a vowel that is too soft for the VAD."""
    flat = float(heard.flat[slice(*sound)].min())
    return _lasts(sound) >= BREATH[0] and (_share_above(heard, *sound) < DARK or flat < TONAL)


def _apart(sounds: Sequence[Span], chosen: Sequence[bool], number: int) -> float:
    """Seconds of a sound to the nearest of others that are chosen."""
    start, stop = sounds[number]
    earlier = (sounds[n][1] for n in reversed(range(number)) if chosen[n])
    later = (sounds[n][0] for n in range(number + 1, len(sounds)) if chosen[n])
    return min(start - next(earlier, -math.inf), next(later, math.inf) - stop) * HOP / RATE


def _share_above(heard: Heard, start: int, stop: int) -> float:
    """Share of a sound's power above 2 kHz."""
    power = 10 ** (heard.level[start:stop].astype(np.float64) / 10)
    return float(np.average(heard.high[start:stop], weights=power))
