"""Steering: what makes a base speaker speak in somebody's manner: pace, pitch, melody, energy.

OpenVoice takes over tone colour, and neither accent nor emotion: that is left to this (decision 6).
It moves a whole sentence; which words are stressed stays the base speaker's. Does not change whose
voice is heard: see matched and converter.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import (
    colour,
    envelope,
    listening,
    loudness,
    measuring,
    melody,
    pitch,
    timbre,
    vad,
)
from aitwin.voice.audio import Samples, Utterance, resample
from aitwin.voice.engines import Speaker
from aitwin.voice.heard import HOP, RATE, Frames
from aitwin.voice.profile import Manner, Prosody, VoiceProfile

RATES = (0.7, 1.4)
"""Between which the pace is moved: beyond, the base speakers slur or drawl."""
PITCHES = (0.5, 2.0)
"""Between which the pitch is moved: an octave."""
SPREADS = (0.6, 1.4)
"""Between which the melody's range is moved: beyond, it is a drone or a song."""
ENERGIES = (0.5, 2.0)
"""Between which the amplitude is moved: 6 dB."""
CEILING = -1.0
"""dBTP that a louder manner is held under."""
ERRATIC = 2.0
"""Ratio of the ninetieth to the tenth percentile of the pitch of something `whispered`, from which
that pitch is none: breath looks as if it had any pitch, from one moment to the next."""
BREATH = 0.7
"""Amplitude of a whisper beside the voice's: it is 3 to 20 dB softer, and must still be heard."""
WHISPER = (800.0, 6.0)
"""Hertz under which a whisper loses so many dB per octave: the throat's pulses make the lows."""
PLAIN = "neutral"
VERSION = 1


@dataclass(frozen=True)
class Steering:
    """Factors on what the base speaker does by itself; 1 leaves it as it is."""

    rate: float = 1.0
    """Of pace. Not applied to sound: to be multiplied into the `speed` that the base gets."""
    pitch: float = 1.0
    """Of the median pitch."""
    spread: float = 1.0
    """Of the melody's range: how far it rises and falls around the median, in octaves."""
    energy: float = 1.0
    """Of the amplitude."""
    whispered: bool = False
    """Without a voice: breath in place of pitch. Soft speech that has a pitch is no whisper."""

    def apply(self, utterance: Utterance) -> Utterance:
        """The utterance in this manner, as long as before; `rate` is the base speaker's to follow.

        At heard.RATE where anything is changed. Peaks stay under CEILING.
        """
        plain = (self.pitch, self.spread, self.energy, self.whispered) == (1.0, 1.0, 1.0, False)
        if plain or not utterance.samples.any():
            return utterance
        samples = resample(utterance, RATE).samples
        found = pitch.track(samples)
        if self.whispered:
            samples = whisper(samples, envelope.envelopes(samples, found))
        else:
            samples = self.melody(samples, found)
        return Utterance(self.louder(samples), RATE, utterance.text)

    def melody(self, samples: Samples, found: Frames) -> Samples:
        """A sound at RATE with its pitch, `found` in it (see pitch.track), moved."""
        octaves = np.log2(found)
        if np.isnan(octaves).all() or (self.pitch, self.spread) == (1.0, 1.0):
            return samples
        middle = np.nanmedian(octaves)
        wanted = 2 ** (middle + np.log2(self.pitch) + self.spread * (octaves - middle))
        return melody.moved(samples, found, wanted.astype(np.float32))

    def louder(self, samples: Samples) -> Samples:
        """A sound at RATE with `energy`."""
        if self.energy == 1.0:
            return samples
        held, _ = loudness.limit(samples * np.float32(self.energy), CEILING, RATE)
        return held


def whisper(samples: Samples, envelopes: NDArray[np.float64]) -> Samples:
    """A sound at RATE, whispered: noise in the shape of its `envelopes` (see envelope).

    Always the same noise. The words stay; who speaks is harder to tell, as with any whisper.
    """
    noise = np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    corner, slope = WHISPER
    below = np.minimum(0, np.log2(np.maximum(envelope.FREQUENCIES, 50.0) / corner)) * slope
    breath = colour.filtered(noise, np.sqrt(envelopes) * 10 ** (below / 20))
    power = float(np.sqrt(np.mean(np.square(breath)))) or 1.0
    scale = BREATH * float(np.sqrt(np.mean(np.square(samples)))) / power
    return breath * np.float32(scale)


def of(profile: VoiceProfile, emotion: str, base: Prosody) -> Steering:
    """What takes a base speaker's manner to the owner's in `emotion`: its own register, too.

    For speech that nothing else moves towards the owner's pitch. `base` is the base speaker's own
    manner (see `manner`). Empty: as they usually speak. What was not measured stays as it is.
    Raises TwinError when the owner has no take in that emotion.
    """
    chosen, usual = _manners(profile, emotion)
    return _between(chosen.prosody, base, usual.prosody, emotion)


def within(profile: VoiceProfile, emotion: str) -> Steering:
    """What takes the owner's usual manner to theirs in `emotion`.

    For a base that a converter takes to the owner's register by itself. Empty: nothing.
    Raises TwinError when the owner has no take in that emotion.
    """
    chosen, usual = _manners(profile, emotion)
    return _between(chosen.prosody, usual.prosody, usual.prosody, emotion)


def manner(speaker: Speaker, kept: Path | None = None) -> Prosody:
    """How a base speaker speaks by itself: measured once, then read from the directory `kept`.

    Measured anew when it says the first sentence differently than then. Needs silero VAD.
    """
    heard = timbre.spoken(speaker)
    first = next(heard)
    place = None if kept is None else timbre.place_of(speaker, kept, "manner")
    known = timbre.digest(first[1])
    if place is not None and (found := _stored(place, known)) is not None:
        return found
    prosody = measure([first, *heard])
    if place is not None:
        with artifact.building(place) as scratch:
            values = {"version": VERSION, "heard": known, "prosody": asdict(prosody)}
            artifact.write_manifest(scratch, values)
    return prosody


def measure(said: "list[tuple[str, Samples]]") -> Prosody:
    """The manner of somebody in texts and how they say them, at RATE, by profile's measures."""
    detector = vad.Detector()
    speech, texts, pitches, levels = 0.0, [], [], []
    for text, samples in said:
        heard = listening.listen(samples, detector)
        spoken = heard.speech >= vad.ON
        if not spoken.any():
            continue
        speech += float(spoken.sum()) * HOP / RATE
        texts.append(text)
        levels.append(float(10 * np.log10(np.mean(10 ** (heard.level[spoken] / 10)))))
        voiced = heard.pitch[np.isfinite(heard.pitch)]
        if len(voiced):
            pitches.append(np.quantile(voiced, (0.1, 0.5, 0.9)))
    low, middle, high = np.median(pitches, axis=0).tolist() if pitches else (None, None, None)
    softest, level, loudest = (
        np.quantile(levels, (0.1, 0.5, 0.9)).tolist() if levels else (None, None, None)
    )
    return Prosody(
        rate=measuring.rate(" ".join(texts), speech),
        pitch=middle,
        pitch_low=low,
        pitch_high=high,
        level=level,
        level_low=softest,
        level_high=loudest,
        pause=None,
        pause_high=None,
    )


def _stored(path: Path, known: str) -> Prosody | None:
    try:
        manifest = artifact.read_manifest(path, kind="manner", remedy="")
        if (manifest["version"], manifest["heard"]) != (VERSION, known):
            return None
        values: Mapping[str, object] = manifest["prosody"]
        return Prosody(
            **{
                name: None if value is None else artifact.number(value)
                for name, value in values.items()
            }
        )
    except (TwinError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _manners(profile: VoiceProfile, emotion: str) -> tuple[Manner, Manner]:
    """The one that is asked for, and the owner's usual one."""
    known = profile.manners
    if not known or (emotion and emotion not in known):
        voice = profile.path.parent.name
        raise TwinError(
            f"the voice {voice} has no usable take read {emotion or PLAIN}; there are "
            f"{', '.join(known) or 'none'}: `twin voice record --voice {voice}` records more"
        )
    usual = known.get(PLAIN) or max(known.values(), key=lambda one: one.seconds)
    return known[emotion] if emotion else usual, usual


def _between(wanted: Prosody, base: Prosody, usual: Prosody, emotion: str) -> Steering:
    if emotion == "whispered" and _is_breath(wanted):
        return Steering(rate=_ratio(wanted.rate, base.rate, RATES), whispered=True)
    # Levels compare within one session alone: how loud a microphone was set says nothing.
    energy = (
        1.0
        if wanted.level is None or usual.level is None
        else _bounded(10 ** ((wanted.level - usual.level) / 20), ENERGIES)
    )
    return Steering(
        rate=_ratio(wanted.rate, base.rate, RATES),
        pitch=_ratio(wanted.pitch, base.pitch, PITCHES),
        spread=_ratio(_octaves(wanted), _octaves(base), SPREADS),
        energy=energy,
    )


def _is_breath(prosody: Prosody) -> bool:
    octaves = _octaves(prosody)
    return octaves is None or octaves > np.log2(ERRATIC)


def _octaves(prosody: Prosody) -> float | None:
    """From the tenth to the ninetieth percentile of the pitch."""
    if prosody.pitch_low is None or prosody.pitch_high is None:
        return None
    return float(np.log2(prosody.pitch_high / prosody.pitch_low))


def _ratio(wanted: float | None, base: float | None, bounds: tuple[float, float]) -> float:
    return _bounded(wanted / base, bounds) if wanted and base else 1.0


def _bounded(factor: float, bounds: tuple[float, float]) -> float:
    return min(max(factor, bounds[0]), bounds[1])
