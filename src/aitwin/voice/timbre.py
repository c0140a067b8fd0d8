"""Timbre: what of a voice statistics of its sound can tell, without any network.

The register, the range of its melody, and a sample of its spectral envelopes, by mood. Does not
change any sound: see matched.

    voices/ID/timbre/
      manifest.json   what it was made of, and the pitch by emotion ("": all of them)
      frames.npz      band levels by emotion
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import arrays, envelope, pitch, prompts
from aitwin.voice.audio import Samples, resample
from aitwin.voice.engines import Speaker
from aitwin.voice.envelope import FREQUENCIES
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.prepared import Segment
from aitwin.voice.profile import VoiceProfile, own
from aitwin.voice.voices import Voice

VERSION = 1
"""Of the recipe: what another version made is made anew."""
FRAMES = "frames.npz"
BANDS = 48
"""Of equal width on the mel scale."""
RANGE = (60.0, 10_500.0)
"""Hertz of the lowest and of the highest band's middle."""
FAINT = 30.0
"""dB under the loudest frames; a fainter one is more room than voice."""
KEPT = 2_000
"""Frames of a mood that are kept, evenly spread: 23 s of vowels, 0.4 MB."""
HEARD = 60.0
"""Seconds of a mood's utterances that are listened to: 0.8 s of one processor."""
LEAST = 5.0
"""Voiced seconds from which a mood has a timbre of its own; of less, it would be the words'."""
SENTENCES = 12
"""Prompts that a base speaker says to be measured: some 45 s."""
REMEDY = "run `twin voice prepare`"


def mel(hertz: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """A frequency on the scale on which pitches are heard as evenly spaced."""
    return np.asarray(1127 * np.log1p(hertz / 700))


_ENDS = mel(np.array(RANGE))
CENTRES: NDArray[np.float64] = 700 * np.expm1(
    (_ENDS[0] + (_ENDS[1] - _ENDS[0]) * np.arange(BANDS) / (BANDS - 1)) / 1127
)
"""Hertz of the bands' middles, shape [BANDS]."""
_DISTANCE = np.abs(mel(FREQUENCIES) - mel(CENTRES)[:, None])
_SHARES = np.maximum(0, 1 - _DISTANCE / np.diff(mel(CENTRES)).mean())
_SHARES /= _SHARES.sum(axis=1, keepdims=True)


def bands(envelopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels in dB of envelopes (see envelope), shape [frames, BANDS]; each frame's mean is 0."""
    levels = 10 * np.log10(envelopes @ _SHARES.T + 1e-12)
    return np.asarray(levels - levels.mean(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Timbre:
    """Of one speaker in one mood."""

    seconds: float
    """Voiced seconds that were heard."""
    pitch: float
    """Median pitch, Hertz."""
    spread: float
    """Range of the melody: half of what holds the middle 68 % of the pitch, octaves."""
    vowels: NDArray[np.float32] = field(repr=False)
    """Band levels of voiced frames, dB, shape [frames, BANDS], each frame's mean being 0."""
    hiss: NDArray[np.float32] = field(repr=False)
    """Mean band levels of unvoiced frames, dB, shape [BANDS]; those of vowels where none is."""


NOTHING = Timbre(0.0, 0.0, 0.0, np.zeros((0, BANDS), np.float32), np.zeros(BANDS, np.float32))
"""Of speech without a voiced frame."""


def of(voice: Voice, profile: VoiceProfile, emotion: str = "") -> Timbre:
    """The timbre of a voice in `emotion`; in all of them where it is empty or has too little.

    Made of the utterances that the profile is made of. Kept in the voice's directory, made anew
    when the profile changes. Raises TwinError when they have under LEAST voiced seconds together.
    """
    known = _stored(voice, profile)
    for mood in (emotion, "") if emotion in profile.manners else ("",):
        if mood not in known:
            known[mood] = measure(_sounds(_spread(_utterances(voice, profile, mood)))) or NOTHING
            _write(path_of(voice), _inputs(profile), known)
        if known[mood].seconds >= LEAST:
            return known[mood]
    raise TwinError(
        f"the voice {voice.id} has too little usable speech to be matched "
        f"({known[''].seconds:.0f} voiced seconds, and {LEAST:.0f} are the least); record some "
        "with `twin voice record`"
    )


def path_of(voice: Voice) -> Path:
    """Where a voice's timbre lies, or shall lie."""
    return voice.path / "timbre"


def of_speaker(speaker: Speaker, kept: Path | None = None) -> Timbre:
    """The timbre of a base speaker: measured once, then read from the directory `kept`.

    Measured anew when the speaker says the first sentence differently than then. Raises TwinError
    when it has no voice to be heard.
    """
    heard = spoken(speaker)
    first = next(heard)
    place = None if kept is None else place_of(speaker, kept, "timbre")
    inputs = {"heard": digest(first[1])}
    if place is not None:
        with suppress(TwinError):
            known, timbres = _load(place)
            if known == inputs and "" in timbres:
                return timbres[""]
    timbre = measure(samples for _, samples in (first, *heard))
    if timbre is None:
        raise TwinError(
            f"the voice {speaker.name} says nothing that has a pitch; use another --engine"
        )
    if place is not None:
        _write(place, inputs, {"": timbre})
    return timbre


def place_of(speaker: Speaker, kept: Path, what: str) -> Path:
    """Where something measured on a base speaker lies, or shall lie, in the directory `kept`."""
    return kept / re.sub(r"[^a-z0-9]+", "-", f"{speaker.name} {what}".lower())


def digest(samples: Samples) -> str:
    """Hex SHA-256 of a sound."""
    return artifact.digest(samples.tobytes().hex())


def spoken(speaker: Speaker) -> Iterator[tuple[str, Samples]]:
    """What a base speaker is known by: some prompts and how it says them, at RATE."""
    chosen = prompts.prompts("neutral")[:SENTENCES]
    for number, prompt in enumerate(chosen):
        yield prompt.text, resample(speaker.speak(prompt.text, seed=number), RATE).samples


def measure(sounds: Iterable[Samples]) -> Timbre | None:
    """The timbre of somebody in sounds at RATE; None where nothing in them has a pitch."""
    pitches, vowels, hiss = [], [], []
    for samples in sounds:
        found = pitch.track(samples)
        power = envelope.envelopes(samples, found)
        level = 10 * np.log10(power.sum(axis=1))
        if not len(level):
            continue
        loud = level > np.percentile(level, 95) - FAINT
        voiced = np.isfinite(found) & loud
        levels = bands(power).astype(np.float32)
        pitches.append(np.log2(found[voiced].astype(np.float64)))
        vowels.append(levels[voiced])
        hiss.append(levels[loud & ~voiced])
    if not sum(map(len, pitches)):
        return None
    octaves, frames, noises = (np.concatenate(parts) for parts in (pitches, vowels, hiss))
    low, middle, high = np.quantile(octaves, (0.16, 0.5, 0.84))
    return Timbre(
        seconds=len(octaves) * HOP / RATE,
        pitch=float(2**middle),
        spread=float(high - low) / 2,
        vowels=_some(frames, KEPT),
        hiss=noises.mean(axis=0) if len(noises) else frames.mean(axis=0),
    )


def _some(frames: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(np.intp)]


# --- Of a voice's takes ---------------------------------------------------------------------------


def _utterances(voice: Voice, profile: VoiceProfile, emotion: str) -> list[tuple[Path, Segment]]:
    """Those of an emotion, or of all, but for whispers where there is anything else."""
    found: dict[str, list[tuple[Path, Segment]]] = {}
    for take, ready, ids in own(voice, profile):
        found.setdefault(take.emotion, []).extend(
            (ready.sound, segment) for segment in ready.segments if segment.id in ids
        )
    if emotion:
        return found.get(emotion, [])
    # A whisper's vowels would pass for hisses.
    spoken = [name for name in found if name != "whispered"] or list(found)
    return [part for name in spoken for part in found[name]]


def _spread(parts: list[tuple[Path, Segment]]) -> list[tuple[Path, Segment]]:
    """So many that they last HEARD seconds, from the whole of the recordings."""
    total = sum(segment.stop - segment.start for _, segment in parts) / RATE
    if total <= HEARD:
        return parts
    count = max(1, int(len(parts) * HEARD / total))
    return [parts[number] for number in np.linspace(0, len(parts) - 1, count).astype(int)]


def _sounds(parts: Iterable[tuple[Path, Segment]]) -> Iterator[Samples]:
    import soundfile

    for path, segment in parts:
        try:
            samples, rate = soundfile.read(
                path, start=segment.start, stop=segment.stop, dtype="float32"
            )
        except (soundfile.LibsndfileError, OSError):
            raise TwinError(f"{path} is missing or damaged; {REMEDY} again") from None
        if rate != RATE or samples.ndim != 1:
            raise TwinError(f"{path} is missing or damaged; {REMEDY} again")
        yield samples


# --- On disk --------------------------------------------------------------------------------------


def _inputs(profile: VoiceProfile) -> dict[str, str]:
    dropped = profile.utterances.dropped.tolist() if profile.utterances is not None else []
    return {**profile.inputs, "dropped": artifact.digest(str(dropped))}


def _stored(voice: Voice, profile: VoiceProfile) -> dict[str, Timbre]:
    """What is there by emotion, as long as it was made of the same."""
    with suppress(TwinError):
        inputs, timbres = _load(path_of(voice))
        if inputs == _inputs(profile):
            return timbres
    return {}


def _load(path: Path) -> tuple[dict[str, str], dict[str, Timbre]]:
    """What it was made of, and the timbres by emotion. Raises TwinError when it is no such."""
    manifest = artifact.read_manifest(path, kind="timbre", remedy=REMEDY)
    try:
        if manifest["version"] != VERSION:
            raise ValueError("another version's")
        stored = arrays.read(path / FRAMES)
        timbres = {
            emotion: Timbre(
                **{name: artifact.number(value) for name, value in values.items()},
                vowels=_whole(stored[f"{emotion}.vowels"], 2),
                hiss=_whole(stored[f"{emotion}.hiss"], 1),
            )
            for emotion, values in manifest["timbres"].items()
        }
        return dict(manifest["inputs"]), timbres
    except (KeyError, TypeError, ValueError, OSError, AttributeError):
        raise TwinError(f"{path} is damaged, or of another version; {REMEDY}") from None


def _whole(array: NDArray[Any], axes: int) -> NDArray[np.float32]:
    if array.ndim != axes or array.shape[-1] != BANDS or not np.isfinite(array).all():
        raise ValueError("not the bands of a timbre")
    return array.astype(np.float32)


def _write(path: Path, inputs: Mapping[str, str], timbres: Mapping[str, Timbre]) -> None:
    stored = {
        f"{emotion}.{name}": getattr(timbre, name)
        for emotion, timbre in timbres.items()
        for name in ("vowels", "hiss")
    }
    with artifact.building(path) as scratch:
        np.savez(scratch / FRAMES, **stored)
        artifact.write_manifest(
            scratch,
            {
                "version": VERSION,
                "inputs": dict(inputs),
                "timbres": {
                    emotion: {
                        "seconds": timbre.seconds,
                        "pitch": timbre.pitch,
                        "spread": timbre.spread,
                    }
                    for emotion, timbre in timbres.items()
                },
            },
        )
