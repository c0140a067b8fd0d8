"""VoiceProfile: what cloning needs to know of a voice, from its prepared takes.

    voices/ID/profile/
      manifest.json    manner by emotion, grades, base speaker, consent, digests of every input
      embeddings.npz   the vectors: pooled, by emotion, and of every utterance

Made of takes that were graded A to C. Does not prepare takes (see prepare), and does not clone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import audio, speakers
from aitwin.voice import consent as consents
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.consent import Consent
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import PULL, Embedding, ReferenceEncoder
from aitwin.voice.prepared import Prepared, Segment
from aitwin.voice.speakers import Embeddings
from aitwin.voice.voices import Take, Voice

VERSION = 1
"""Of the profile's recipe: one that another version made is made anew."""
VECTORS = "embeddings.npz"
REMEDY = "run `twin voice prepare`"
USABLE = ("A", "B", "C")
"""Grades of the takes that go into a profile."""
LEAST_SPEECH = 60.0
"""Seconds without which nothing is cloned. Measured: 8 s of speech are within 0.98 of the voice's
embedding, 26 s within 0.994; a minute leaves room for two or three emotions."""
BASES = ("en-au", "en-br", "en-default", "en-india", "en-us")
"""MeloTTS-English's own speakers, by the names of their embeddings' files."""


@dataclass(frozen=True)
class Prosody:
    """How somebody speaks in one emotion, over utterances. None: nothing to measure it on."""

    rate: float | None
    """Syllables per second of speech."""
    pitch: float | None
    """Median F0, Hertz, by voiced seconds."""
    pitch_low: float | None
    """Tenth percentile of F0 within an utterance, the median over utterances: how deep the
    melody falls."""
    pitch_high: float | None
    """Ninetieth percentile: how far it rises."""
    level: float | None
    """Median level of the speech as it was recorded, dBFS: compares emotions of one session."""
    level_low: float | None
    level_high: float | None
    """Tenth and ninetieth percentile over utterances."""
    pause: float | None
    """Median rest between utterances in the original, seconds."""
    pause_high: float | None
    """Its ninetieth percentile."""


@dataclass(frozen=True, eq=False)
class Manner:
    """A voice in one emotion."""

    takes: int
    """Graded A to C."""
    seconds: float
    """Of utterances that were kept."""
    dropped: int
    """Utterances that sound like somebody else, and count for nothing here."""
    prosody: Prosody
    embedding: Embedding | None = field(repr=False)
    """Robust mean over the utterances; None without encoder, or with none long enough."""
    likeness: float | None
    """Its cosine to the pooled embedding."""

    @property
    def minutes(self) -> float:
        """Of utterances that were kept."""
        return self.seconds / 60


@dataclass(frozen=True, eq=False)
class Utterances:
    """Every utterance that was embedded, in the order of the takes: what an emotion map shows."""

    ids: tuple[str, ...]
    """Of segments."""
    emotions: tuple[str, ...]
    seconds: NDArray[np.float64] = field(repr=False)
    embeddings: NDArray[np.float32] = field(repr=False)
    """Shape [utterances, 256]."""
    dropped: NDArray[np.bool_] = field(repr=False)
    """Sounds like somebody else than its emotion's others."""
    cosines: NDArray[np.float32] = field(repr=False)
    """To its emotion's embedding."""


@dataclass(frozen=True)
class Base:
    """The base speaker whose tone colour is nearest: the least is left for the converter to do.

    By the embeddings alone. What pitch a base speaker has is known once it has spoken.
    """

    name: str
    """One of BASES."""
    cosines: dict[str, float]
    """Of all of them to the pooled embedding."""


@dataclass(frozen=True, eq=False)
class VoiceProfile:
    """A voice's profile, at `path`."""

    path: Path
    manners: dict[str, Manner]
    """By emotion, in the order of EMOTIONS; those without a usable take are absent."""
    grades: dict[str, int]
    """Takes by letter, D too."""
    unprepared: int
    """Takes that nothing is known of yet."""
    pooled: Embedding | None = field(repr=False)
    """Robust mean over the kept utterances of all emotions."""
    utterances: Utterances | None = field(repr=False)
    """None without encoder."""
    base: Base | None
    """None when the base speakers' embeddings are not here."""
    consent: Consent | None
    """Without its sentence; a spoken one with its likeness to `pooled`."""
    consent_sha256: str
    """Of the consent's manifest; empty without one."""
    inputs: dict[str, str]
    """SHA-256 of everything that it was made of."""
    versions: dict[str, str]
    """Of the packages that made it."""

    @property
    def seconds(self) -> float:
        """Of utterances that were kept, in all emotions."""
        return sum(manner.seconds for manner in self.manners.values())

    @property
    def minutes(self) -> float:
        """Of utterances that were kept, in all emotions."""
        return self.seconds / 60


def path_of(voice: Voice) -> Path:
    """Where a voice's profile lies, or shall lie."""
    return voice.path / "profile"


def build(
    voice: Voice,
    encoder: ReferenceEncoder | None,
    *,
    base_speakers: Mapping[str, Embedding] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> VoiceProfile:
    """Make a voice's profile of its prepared takes, unless nothing has changed.

    Without `encoder` it has no embeddings, and cannot be cloned; one that has them is then left as
    it is as long as nothing else changed. `on_progress` is told how many takes are done, and of how
    many. Raises TwinError when a prepared sound is damaged, the profile then being as it was; or
    when no take is usable: a profile of takes that are gone does not outlive them.
    """
    takes, prepared = voice.takes(), {}
    for take in takes:
        found = voice.prepared(take)
        if found is not None:
            prepared[take.id] = found
    inputs = _inputs(voice, takes, prepared, encoder, base_speakers or {})
    known = _known(path_of(voice))
    if known is not None and _same(known.inputs, inputs):
        return replace(known, unprepared=len(takes) - len(prepared))
    usable = [
        (take, prepared[take.id])
        for take in takes
        if take.id in prepared and prepared[take.id].grade.letter in USABLE
    ]
    if not usable:
        remove(voice)
        state = "graded A to C" if prepared else f"prepared; {REMEDY}"
        raise TwinError(
            f"the voice {voice.id} has no take that is {state}, so there is nothing to make a "
            "profile of; record some with `twin voice record`"
        )
    vectors = _embedded(voice, usable, encoder, on_progress)
    profile = _assembled(voice, usable, vectors, base_speakers or {})
    letters = [each.grade.letter for each in prepared.values()]
    profile = replace(
        profile,
        grades={letter: letters.count(letter) for letter in ("A", "B", "C", "D")},
        unprepared=len(takes) - len(prepared),
        inputs=inputs,
    )
    if encoder is not None:
        profile = replace(profile, consent=_compared(voice, profile, encoder))
    _store(profile)
    return profile


def load(path: Path) -> VoiceProfile:
    """Raises TwinError when there is none, it is damaged, or another version made it."""
    manifest = artifact.read_manifest(path, kind="voice profile", remedy=REMEDY)
    if manifest.pop("version", None) != VERSION:
        raise TwinError(f"{path} was made by another version; {REMEDY}")
    try:
        with (path / VECTORS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            vectors = dict(stored)
        manners = {
            emotion: Manner(
                **{
                    **values,
                    "prosody": Prosody(**values["prosody"]),
                    "embedding": vectors.get(f"emotion.{emotion}"),
                }
            )
            for emotion, values in sorted(manifest.pop("manners").items(), key=_as_listed)
        }
        base, given = manifest.pop("base"), manifest.pop("consent")
        return VoiceProfile(
            path=path,
            manners=manners,
            pooled=vectors.get("pooled"),
            utterances=_utterances(vectors) if "embeddings" in vectors else None,
            base=Base(**base) if base else None,
            consent=_consent(given) if given else None,
            **manifest,
        )
    except (KeyError, TypeError, ValueError, OSError, EOFError, AttributeError, BadZipFile):
        raise TwinError(f"{path} is damaged; {REMEDY}") from None


def require_cloneable(profile: VoiceProfile) -> None:
    """Refuse to clone a voice whose owner has not agreed, or of which too little is known.

    Raises TwinError with everything that is missing, and what to do about it.
    """
    if missing := lacking(profile):
        voice = profile.path.parent.name
        raise TwinError(f"the voice {voice} cannot be cloned: " + "; ".join(missing))


def lacking(profile: VoiceProfile) -> tuple[str, ...]:
    """What stands between a profile and a clone, each with what to do about it."""
    missing = [*_missing_consent(profile)]
    if profile.pooled is None:
        missing.append(f"it has no speaker embedding: {PULL}, then `twin voice prepare`")
    if profile.seconds < LEAST_SPEECH:
        missing.append(
            f"it has {profile.seconds:.0f} s of usable speech, and {LEAST_SPEECH:.0f} s are the "
            f"least: {LEAST_SPEECH - profile.seconds:.0f} s are missing: `twin voice record`"
        )
    return tuple(missing)


def remove(voice: Voice) -> None:
    """Delete a voice's profile and the embeddings that it was made of, if there are any."""
    for made in (path_of(voice), voice.path / "embeddings"):
        artifact.remove(made)


def _missing_consent(profile: VoiceProfile) -> Iterator[str]:
    again = "`twin voice record --consent`"
    given = profile.consent
    # Looked up anew: a consent that was taken back must not live on in a profile.
    sha256 = _sha256(profile.path.parent / "consent" / artifact.MANIFEST)
    if not sha256:
        yield (
            f"there is no consent of the speaker: {again}, or give your word: "
            "`twin voice consent --i-am-the-speaker`"
        )
    elif given is None or sha256 != profile.consent_sha256:
        yield f"its consent is newer than the profile: {REMEDY}"
    elif given.kind == "spoken":
        if given.words is not None and given.words < consents.LEAST_WORDS:
            yield f"only {given.words:.0%} of its consent's words were heard: {again}"
        if profile.pooled is None:
            return
        if given.likeness is None:
            yield f"the recording of its consent cannot be compared with the takes: {again}"
        elif given.likeness < consents.LEAST_LIKENESS:
            yield (
                "its consent does not sound like the speaker of the takes (likeness "
                f"{given.likeness:.2f}, wanted {consents.LEAST_LIKENESS:.2f}): {again}, in the "
                "same room with the same microphone"
            )


# --- Made of takes --------------------------------------------------------------------------------


def _inputs(
    voice: Voice,
    takes: Sequence[Take],
    prepared: Mapping[str, Prepared],
    encoder: ReferenceEncoder | None,
    base_speakers: Mapping[str, Embedding],
) -> dict[str, str]:
    digests = {
        f"take {take.id} {take.emotion}": artifact.sha256(
            prepared[take.id].path / artifact.MANIFEST
        )
        for take in takes
        if take.id in prepared
    }
    consent = _sha256(voice.path / "consent" / artifact.MANIFEST)
    vectors = {name: base_speakers[name].tolist() for name in BASES if name in base_speakers}
    return {
        **digests,
        **({"consent": consent} if consent else {}),
        **({"encoder": encoder.digest} if encoder else {}),
        **({"base speakers": artifact.digest(str(vectors))} if encoder and vectors else {}),
    }


def _same(known: Mapping[str, str], inputs: Mapping[str, str]) -> bool:
    """Whether a profile made of `known` is still the right one."""
    if "encoder" not in inputs:
        known = {key: known[key] for key in known if key not in ("encoder", "base speakers")}
    return known == inputs


def _known(path: Path) -> VoiceProfile | None:
    try:
        return load(path)
    except TwinError:
        return None


_Usable: TypeAlias = Sequence[tuple[Take, Prepared]]


def _embedded(
    voice: Voice,
    usable: _Usable,
    encoder: ReferenceEncoder | None,
    on_progress: Callable[[int, int], None],
) -> Utterances | None:
    """Every utterance that is long and loud enough; from the disk as far as it was seen before."""
    if encoder is None:
        return None
    cache = Embeddings(voice.path / "embeddings", encoder)
    keys, ids, emotions, seconds, embeddings = [], [], [], [], []
    for done, (take, prepared) in enumerate(usable, 1):
        for segment, samples in _sounds(prepared):
            if not speakers.audible(samples):
                continue
            keys.append(cache.key(samples))
            ids.append(segment.id)
            emotions.append(take.emotion)
            seconds.append(len(samples) / RATE)
            embeddings.append(cache.of(samples))
        on_progress(done, len(usable))
    # Embeddings of takes that were dropped are the owner's voice, too: they do not stay (P4).
    cache.keep(keys)
    rows = np.stack(embeddings) if embeddings else np.zeros((0, encoder.size), np.float32)
    dropped, cosines = np.zeros(len(ids), np.bool_), np.zeros(len(ids), np.float32)
    durations = np.array(seconds, np.float64)
    for emotion in set(emotions):
        members = np.array([each == emotion for each in emotions])
        pooled = speakers.pool(rows[members], durations[members])
        dropped[members], cosines[members] = ~pooled.kept, pooled.cosines
    return Utterances(tuple(ids), tuple(emotions), durations, rows, dropped, cosines)


def _sounds(prepared: Prepared) -> Iterator[tuple[Segment, Samples]]:
    """Utterances of a prepared take, one in memory at a time."""
    import soundfile

    damaged = TwinError(f"{prepared.sound} is missing or damaged; {REMEDY} again")
    try:
        with soundfile.SoundFile(prepared.sound) as file:
            if file.samplerate != RATE or file.channels != 1:
                raise damaged
            for segment in prepared.segments:
                file.seek(segment.start)
                samples = file.read(segment.stop - segment.start, dtype="float32")
                if len(samples) != segment.stop - segment.start:
                    raise damaged
                yield segment, samples
    except (soundfile.LibsndfileError, OSError):
        raise damaged from None


def _assembled(
    voice: Voice,
    usable: _Usable,
    utterances: Utterances | None,
    base_speakers: Mapping[str, Embedding],
) -> VoiceProfile:
    """The profile, but for what `build` knows better."""
    pooled = _pooled(utterances) if utterances is not None else None
    foreign = (
        {name for name, out in zip(utterances.ids, utterances.dropped, strict=True) if out}
        if utterances is not None
        else set()
    )
    manners = {}
    for emotion in EMOTIONS:
        takes = [prepared for take, prepared in usable if take.emotion == emotion]
        if not takes:
            continue
        own = _pooled(utterances, emotion) if utterances is not None else None
        kept = [
            [segment for segment in prepared.segments if segment.id not in foreign]
            for prepared in takes
        ]
        manners[emotion] = Manner(
            takes=len(takes),
            seconds=sum(part.stop - part.start for parts in kept for part in parts) / RATE,
            dropped=sum(len(prepared.segments) for prepared in takes) - sum(map(len, kept)),
            prosody=_prosody(takes, kept),
            embedding=own,
            likeness=None if own is None or pooled is None else speakers.cosine(own, pooled),
        )
    given = consents.load(voice.path / "consent")
    return VoiceProfile(
        path=path_of(voice),
        manners=manners,
        grades={},
        unprepared=0,
        pooled=pooled,
        utterances=utterances,
        base=None if pooled is None else _base(pooled, base_speakers),
        consent=replace(given, sentence="", likeness=None) if given else None,
        consent_sha256=_sha256(voice.path / "consent" / artifact.MANIFEST),
        inputs={},
        versions=_versions(),
    )


def _pooled(utterances: Utterances, emotion: str = "") -> Embedding | None:
    """Of the kept utterances of one emotion, or of all."""
    members = ~utterances.dropped
    if emotion:
        members &= np.array([each == emotion for each in utterances.emotions], np.bool_)
    if not members.any():
        return None
    return speakers.pool(utterances.embeddings[members], utterances.seconds[members]).embedding


def _base(pooled: Embedding, base_speakers: Mapping[str, Embedding]) -> Base | None:
    cosines = {
        name: speakers.cosine(base_speakers[name], pooled)
        for name in BASES
        if name in base_speakers and base_speakers[name].shape == pooled.shape
    }
    return Base(max(cosines, key=lambda name: cosines[name]), cosines) if cosines else None


def _prosody(takes: Sequence[Prepared], kept: Sequence[Sequence[Segment]]) -> Prosody:
    """Statistics over the kept utterances of takes, in the order of the takes."""
    rates = [
        (take.measures.rate, take.measures.speech)
        for take in takes
        if take.measures.rate is not None and take.measures.speech > 0
    ]
    parts = [part for segments in kept for part in segments]
    levels = [
        (part.level - take.gain, float(part.stop - part.start))
        for take, segments in zip(takes, kept, strict=True)
        for part in segments
    ]
    # In the original's time: in the prepared sound long rests are shortened already.
    pauses = [
        ((after.source_start - before.source_stop) / RATE, 1.0)
        for take in takes
        for before, after in pairwise(take.segments)
    ]
    spoken = sum(weight for _, weight in rates)
    lows, pitches, highs = (
        [
            (value, part.voiced)
            for part in parts
            if part.voiced > 0 and (value := getattr(part, name)) is not None
        ]
        for name in ("pitch_low", "pitch", "pitch_high")
    )
    softest, level, loudest = _quantiles(levels)
    _, pause, longest = _quantiles(pauses)
    return Prosody(
        rate=sum(rate * weight for rate, weight in rates) / spoken if rates else None,
        pitch=_quantiles(pitches)[1],
        pitch_low=_quantiles(lows)[1],
        pitch_high=_quantiles(highs)[1],
        level=level,
        level_low=softest,
        level_high=loudest,
        pause=pause,
        pause_high=longest,
    )


def _quantiles(weighted: Sequence[tuple[float, float]]) -> tuple[float | None, ...]:
    """Tenth percentile, median and ninetieth of values with weights."""
    if not weighted:
        return None, None, None
    values, weights = np.array(weighted, np.float64).T
    found = np.quantile(values, (0.1, 0.5, 0.9), weights=weights, method="inverted_cdf")
    return tuple(float(value) for value in found)


def _compared(voice: Voice, profile: VoiceProfile, encoder: ReferenceEncoder) -> Consent | None:
    """The consent, a spoken one with its likeness to the takes where it can be compared."""
    given = profile.consent
    if given is None or given.kind != "spoken" or profile.pooled is None:
        return given
    for path in sorted((voice.path / "consent").glob("consent.*")):
        samples = _recording(path)
        if samples is not None and speakers.audible(samples):
            return replace(given, likeness=speakers.cosine(encoder.embed(samples), profile.pooled))
    return given


def _recording(path: Path) -> Samples | None:
    """A short recording at RATE; None when it cannot be read."""
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return audio.resample(Utterance(samples.mean(axis=1), rate), RATE).samples
    except (soundfile.LibsndfileError, OSError, ValueError):
        return None


# --- On disk --------------------------------------------------------------------------------------


def _store(profile: VoiceProfile) -> None:
    vectors: dict[str, Any] = {
        f"emotion.{emotion}": manner.embedding
        for emotion, manner in profile.manners.items()
        if manner.embedding is not None
    }
    if profile.pooled is not None:
        vectors["pooled"] = profile.pooled
    if profile.utterances is not None:
        seen = profile.utterances
        vectors |= {
            "ids": np.array(seen.ids, np.str_),
            "emotions": np.array(seen.emotions, np.str_),
            "seconds": seen.seconds,
            "embeddings": seen.embeddings,
            "dropped": seen.dropped,
            "cosines": seen.cosines,
        }
    manners = {
        emotion: {
            **{name: value for name, value in vars(manner).items() if name != "embedding"},
            "prosody": asdict(manner.prosody),
        }
        for emotion, manner in profile.manners.items()
    }
    given = profile.consent
    with artifact.building(profile.path) as scratch:
        np.savez(scratch / VECTORS, **vectors)
        artifact.write_manifest(
            scratch,
            {
                "version": VERSION,
                "manners": manners,
                "grades": profile.grades,
                "unprepared": profile.unprepared,
                "base": asdict(profile.base) if profile.base else None,
                "consent": {**asdict(given), "given_on": given.given_on.isoformat()}
                if given
                else None,
                "consent_sha256": profile.consent_sha256,
                "inputs": profile.inputs,
                "versions": profile.versions,
            },
        )


def _utterances(vectors: Mapping[str, NDArray[Any]]) -> Utterances:
    return Utterances(
        ids=tuple(vectors["ids"].tolist()),
        emotions=tuple(vectors["emotions"].tolist()),
        **{name: vectors[name] for name in ("seconds", "embeddings", "dropped", "cosines")},
    )


def _consent(values: Mapping[str, Any]) -> Consent:
    return Consent(**{**values, "given_on": date.fromisoformat(values["given_on"])})


def _as_listed(item: tuple[str, Any]) -> int:
    """The place of an emotion: JSON keeps keys in the order of the alphabet."""
    return list(EMOTIONS).index(item[0])


def _sha256(path: Path) -> str:
    """Of a file; empty when there is none."""
    return artifact.sha256(path) if path.is_file() else ""


def _versions() -> dict[str, str]:
    found = {}
    for package in ("aitwin", "numpy", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
