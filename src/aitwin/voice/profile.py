"""VoiceProfile: what cloning needs to know of a voice, from its prepared takes.

    voices/ID/profile/
      manifest.json    manner by emotion, grades, base speaker, consent, digests of every input
      embeddings.npz   the vectors: pooled, by emotion, and of every utterance

Made of takes that were graded A to C, but for those that another person spoke (see
speakers.belonging). Does not prepare takes (see prepare), and does not clone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import arrays, audio, speakers
from aitwin.voice import consent as consents
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.consent import Consent
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import PULL, Embedding, ReferenceEncoder
from aitwin.voice.prepared import Prepared, Segment
from aitwin.voice.speakers import Embeddings
from aitwin.voice.voices import Take, Voice

VERSION = 2
"""Of the profile's recipe: one that another version made is made anew."""
VECTORS = "embeddings.npz"
REMEDY = "run `twin voice prepare`"
USABLE = ("A", "B", "C")
"""Grades of the takes that go into a profile."""
LEAST_SPEECH = 60.0
"""Seconds without which nothing is cloned. Measured: 8 s of speech are within 0.98 of the voice's
embedding, 26 s within 0.994; a minute leaves room for two or three emotions."""
NAMED = 4
"""Takes that are named in a line of advice; `twin voice show` names all."""
UNLIKE = 0.1
"""Share of utterances that are left out as unlike the rest from which the owner is told."""
BASES = ("en-au", "en-br", "en-default", "en-india", "en-us")
"""MeloTTS-English's own speakers, by the names of their embeddings' files."""


_DOUBTS = {
    "unlike": "{count} left out, unlike your other takes ({likeness} of 1): another person, or "
    "another microphone? {drop}, and read again",
    "doubtful": "{count} used, but only a little like your other takes ({likeness} of 1): listen; "
    "where it is not you, {drop}",
}
_SAID = {
    "like": "",
    "unlike": "left out: it does not sound like your other takes ({:.2f} of 1)",
    "doubtful": "it sounds only a little like your other takes ({:.2f} of 1)",
}
"""What is said of several takes and of one, by the verdict on them."""


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


@dataclass(frozen=True)
class Standing:
    """How a take sounds beside the voice's other takes."""

    emotion: str
    seconds: float
    """Of its utterances that were compared."""
    likeness: float | None
    """Cosine of its embedding to that of the owner's other takes, across emotions (see
    speakers.belonging); None: there are no others."""
    verdict: Literal["like", "doubtful", "unlike"]
    """What is "unlike" is clearly another person's, or from another room: it counts for nothing."""

    @property
    def said(self) -> str:
        """What it means for the take; empty where there is nothing to say."""
        return _SAID[self.verdict].format(self.likeness)


@dataclass(frozen=True, eq=False)
class Manner:
    """A voice in one emotion."""

    takes: int
    """Graded A to C, and like the others."""
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
    """Every utterance that was embedded, in the order of the takes: what an emotion map shows.

    Those of takes that are left out, too, so that they can be seen.
    """

    ids: tuple[str, ...]
    """Of segments."""
    emotions: tuple[str, ...]
    seconds: NDArray[np.float64] = field(repr=False)
    embeddings: NDArray[np.float32] = field(repr=False)
    """Shape [utterances, 256]."""
    dropped: NDArray[np.bool_] = field(repr=False)
    """Sounds like somebody else than its emotion's others, or its take is left out."""
    cosines: NDArray[np.float32] = field(repr=False)
    """To its emotion's embedding; of a take that is left out, to the owner's."""


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
    standings: dict[str, Standing]
    """By take; empty without encoder. Takes with no utterance to hear are absent."""
    grades: dict[str, int]
    """Takes by letter, D too."""
    unprepared: int
    """Takes that nothing is known of yet."""
    pooled: Embedding | None = field(repr=False)
    """Robust mean over the kept utterances of all emotions that sound like their owner's voice."""
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
    def strangers(self) -> frozenset[str]:
        """Ids of the takes that are left out, since somebody else seems to speak in them."""
        return frozenset(name for name, one in self.standings.items() if one.verdict == "unlike")

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
    it is as long as nothing else changed. Takes that another person spoke are left out, and named:
    `strangers`. Whose voice it is, the seconds tell, or a spoken consent. `on_progress` is told how
    many takes are done, and of how many. Raises TwinError when a prepared sound is damaged, the
    profile then being as it was; or when no take is usable: a profile of takes that are gone does
    not outlive them.
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
    spoken = _consent_embedding(voice, encoder) if encoder is not None else None
    heard = _heard(voice, usable, encoder, spoken, on_progress) if encoder is not None else None
    profile = _assembled(voice, usable, heard, base_speakers or {})
    letters = [each.grade.letter for each in prepared.values()]
    profile = replace(
        profile,
        grades={letter: letters.count(letter) for letter in ("A", "B", "C", "D")},
        unprepared=len(takes) - len(prepared),
        inputs=inputs,
    )
    if spoken is not None and profile.pooled is not None and profile.consent is not None:
        likeness = speakers.cosine(spoken, profile.pooled)
        profile = replace(profile, consent=replace(profile.consent, likeness=likeness))
    _store(profile)
    # What a dropped take sounded like does not stay (P4); it is made anew when it is wanted.
    artifact.remove(voice.path / "timbre")
    return profile


def load(path: Path) -> VoiceProfile:
    """Raises TwinError when there is none, it is damaged, or another version made it."""
    manifest = artifact.read_manifest(path, kind="voice profile", remedy=REMEDY)
    if manifest.pop("version", None) != VERSION:
        raise TwinError(f"{path} was made by another version; {REMEDY}")
    try:
        vectors = arrays.read(path / VECTORS)
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
        standings = {take: Standing(**values) for take, values in manifest.pop("standings").items()}
        base, given = manifest.pop("base"), manifest.pop("consent")
        return VoiceProfile(
            path=path,
            manners=manners,
            standings=standings,
            pooled=vectors.get("pooled"),
            utterances=_utterances(vectors) if "embeddings" in vectors else None,
            base=Base(**base) if base else None,
            consent=_consent(given) if given else None,
            **manifest,
        )
    except (KeyError, TypeError, ValueError, OSError, AttributeError):
        raise TwinError(f"{path} is damaged; {REMEDY}") from None


def require_cloneable(
    profile: VoiceProfile, *, embedding: bool = True, seconds: float | None = None
) -> None:
    """Refuse to clone a voice whose owner has not agreed, or of which too little is known.

    Raises TwinError with everything that is missing (see `lacking`), and what to do about it.
    """
    if missing := lacking(profile, embedding=embedding, seconds=seconds):
        voice = profile.path.parent.name
        raise TwinError(f"the voice {voice} cannot be cloned: " + "; ".join(missing))


def lacking(
    profile: VoiceProfile, *, embedding: bool = True, seconds: float | None = None
) -> tuple[str, ...]:
    """What stands between a profile and a clone, each with what to do about it.

    Without `embedding`: and an approximate match, which wants the consent and the speech alone.
    `seconds` of speech are the least, where that is not LEAST_SPEECH: see clips.
    """
    least = LEAST_SPEECH if seconds is None else seconds
    missing = [*_missing_consent(profile)]
    if embedding and profile.pooled is None:
        missing.append(f"it has no speaker embedding: {PULL}, then `twin voice prepare`")
    if profile.seconds < least:
        missing.append(
            f"it has {profile.seconds:.0f} s of usable speech, and {least:.0f} s are the "
            f"least: {least - profile.seconds:.0f} s are missing: `twin voice record`"
        )
    return tuple(missing)


def doubts(profile: VoiceProfile) -> tuple[str, ...]:
    """Takes and utterances that may be another person's, by emotion, and what to do about it.

    They keep nobody from cloning: what is clearly apart is left out already, the rest is used.
    """
    voice, told = profile.path.parent.name, []
    for emotion in EMOTIONS:
        for verdict, text in _DOUBTS.items():
            these = {
                take: one
                for take, one in profile.standings.items()
                if (one.emotion, one.verdict) == (emotion, verdict)
            }
            if not these:
                continue
            named = " ".join([*these][:NAMED]) + (" …" if len(these) > NAMED else "")
            said = text.format(
                count=f"{len(these)} take{'s' if len(these) > 1 else ''}",
                likeness=_range(these),
                drop=f"`twin voice drop {voice} {named}`",
            )
            told.append(f"{emotion}: {said}")
    for emotion, manner in profile.manners.items():
        heard = 0 if profile.utterances is None else profile.utterances.emotions.count(emotion)
        if manner.dropped > UNLIKE * heard:
            told.append(
                f"{emotion}: {manner.dropped} of {heard} utterances left out, unlike the rest: "
                "somebody else, or noise? They are the hollow marks of the map: "
                f"`twin voice report {voice}`"
            )
    if profile.strangers and (profile.consent is None or profile.consent.kind != "spoken"):
        told.append(
            "if the takes that are left out are yours, and the others are not: your consent, read "
            f"aloud, says who you are: `twin voice record --voice {voice} --consent`"
        )
    return tuple(told)


def _range(standings: Mapping[str, Standing]) -> str:
    """Their likeness: "0.46", or "0.42 to 0.47"."""
    values = [one.likeness for one in standings.values() if one.likeness is not None]
    ends = dict.fromkeys(f"{value:.2f}" for value in (min(values), max(values)))
    return " to ".join(ends)


def remove(voice: Voice) -> None:
    """Delete a voice's profile, what it was made of and what was made of it, if there is any."""
    for made in (path_of(voice), voice.path / "embeddings", voice.path / "timbre"):
        artifact.remove(made)


def _missing_consent(profile: VoiceProfile) -> Iterator[str]:
    voice = profile.path.parent.name
    again = f"`twin voice record --voice {voice} --consent`"
    given = profile.consent
    # Looked up anew: a consent that was taken back must not live on in a profile.
    sha256 = _sha256(profile.path.parent / "consent" / artifact.MANIFEST)
    if not sha256:
        yield (
            f"there is no consent of the speaker: {again}, or give your word: "
            f"`twin voice consent {voice} --i-am-the-speaker`"
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


@dataclass(frozen=True, eq=False)
class _Heard:
    """What the encoder makes of a voice's takes."""

    utterances: Utterances
    standings: dict[str, Standing]
    pooled: Embedding | None
    manners: dict[str, Embedding]
    """By emotion."""


def _heard(
    voice: Voice,
    usable: _Usable,
    encoder: ReferenceEncoder,
    consent: Embedding | None,
    on_progress: Callable[[int, int], None],
) -> _Heard:
    """Every utterance that is long and loud enough; from the disk as far as it was seen before."""
    cache = Embeddings(voice.path / "embeddings", encoder)
    keys, ids, takes, emotions, seconds, embeddings = [], [], [], [], [], []
    for done, (take, prepared) in enumerate(usable, 1):
        for segment, samples in sounds(prepared):
            if segment.stranger or not speakers.audible(samples):
                continue
            keys.append(cache.key(samples))
            ids.append(segment.id)
            takes.append(take.id)
            emotions.append(take.emotion)
            seconds.append(len(samples) / RATE)
            embeddings.append(cache.of(samples))
        on_progress(done, len(usable))
    # Embeddings of takes that were dropped are the owner's voice, too: they do not stay (P4).
    cache.keep(keys)
    rows = np.stack(embeddings) if embeddings else np.zeros((0, encoder.size), np.float32)
    utterances = Utterances(
        ids=tuple(ids),
        emotions=tuple(emotions),
        seconds=np.array(seconds, np.float64),
        embeddings=rows,
        dropped=np.zeros(len(ids), np.bool_),
        cosines=np.zeros(len(ids), np.float32),
    )
    return _sorted_out(utterances, np.array(takes, np.str_), consent)


def _sorted_out(heard: Utterances, takes: NDArray[np.str_], consent: Embedding | None) -> _Heard:
    """Takes of others left out, then utterances that are unlike their emotion's; the rest pooled.

    In this order: where another person has most of an emotion, their utterances would be kept.
    """
    if not len(takes):
        return _Heard(heard, {}, None, {})
    known = list(dict.fromkeys(takes.tolist()))
    rows = [takes == take for take in known]
    pools = [speakers.pool(heard.embeddings[these], heard.seconds[these]) for these in rows]
    spoken = np.array(
        [heard.seconds[these][one.kept].sum() for these, one in zip(rows, pools, strict=True)]
    )
    names = np.array(heard.emotions, np.str_)
    emotions = [str(names[these][0]) for these in rows]
    found = speakers.belonging(
        np.stack([one.embedding for one in pools]), spoken, emotions, consent
    )
    standings = {
        take: Standing(
            emotion=emotions[place],
            seconds=float(spoken[place]),
            likeness=None if np.isnan(found.likeness[place]) else float(found.likeness[place]),
            verdict="unlike"
            if found.strangers[place]
            else "doubtful"
            if found.doubtful[place]
            else "like",
        )
        for place, take in enumerate(known)
    }
    dropped = np.isin(takes, np.array(known, np.str_)[found.strangers])
    cosines = np.array([speakers.cosine(row, found.embedding) for row in heard.embeddings])
    manners = {}
    for emotion in dict.fromkeys(heard.emotions):
        members = np.flatnonzero((names == emotion) & ~dropped)
        if not len(members):
            continue
        own = speakers.pool(heard.embeddings[members], heard.seconds[members])
        dropped[members], cosines[members] = ~own.kept, own.cosines
        manners[emotion] = own.embedding
    kept = ~dropped
    pooled = speakers.pool(heard.embeddings[kept], heard.seconds[kept], near=found.embedding)
    utterances = replace(heard, dropped=dropped, cosines=cosines.astype(np.float32))
    return _Heard(utterances, standings, pooled.embedding, manners)


def own(voice: Voice, profile: VoiceProfile) -> Iterator[tuple[Take, Prepared, set[str]]]:
    """Takes in which the voice is heard, each with the ids of the utterances that are its own.

    Takes graded A to C, without those that are somebody else's, and without utterances that sound
    like somebody else, or that the profile leaves out.
    """
    foreign: set[str] = set()
    if profile.utterances is not None:
        seen = profile.utterances
        foreign = {name for name, out in zip(seen.ids, seen.dropped, strict=True) if out}
    for take in voice.takes():
        ready = voice.prepared(take)
        if ready is None or ready.grade.letter not in USABLE or take.id in profile.strangers:
            continue
        found = {segment.id for segment in ready.segments if not segment.stranger}
        yield take, ready, found - foreign


def sounds(prepared: Prepared) -> Iterator[tuple[Segment, Samples]]:
    """Utterances of a prepared take at RATE, one in memory at a time.

    Raises TwinError when the sound is damaged.
    """
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
    heard: _Heard | None,
    base_speakers: Mapping[str, Embedding],
) -> VoiceProfile:
    """The profile, but for what `build` knows better."""
    pooled = heard.pooled if heard else None
    standings = heard.standings if heard else {}
    foreign = _dropped(heard.utterances) if heard else set()
    manners = {}
    for emotion in EMOTIONS:
        takes = [
            prepared
            for take, prepared in usable
            if take.emotion == emotion
            and not (take.id in standings and standings[take.id].verdict == "unlike")
        ]
        if not takes:
            continue
        own = heard.manners.get(emotion) if heard else None
        kept = [
            [part for part in prepared.segments if not part.stranger and part.id not in foreign]
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
        standings=standings,
        grades={},
        unprepared=0,
        pooled=pooled,
        utterances=heard.utterances if heard else None,
        base=None if pooled is None else nearest_base(pooled, base_speakers),
        consent=replace(given, sentence="", likeness=None) if given else None,
        consent_sha256=_sha256(voice.path / "consent" / artifact.MANIFEST),
        inputs={},
        versions=_versions(),
    )


def _dropped(utterances: Utterances) -> set[str]:
    return {name for name, out in zip(utterances.ids, utterances.dropped, strict=True) if out}


def nearest_base(pooled: Embedding, base_speakers: Mapping[str, Embedding]) -> Base | None:
    """The base speaker that is nearest to an embedding; None where none is known."""
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
        if not (before.stranger or after.stranger)
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


def _consent_embedding(voice: Voice, encoder: ReferenceEncoder) -> Embedding | None:
    """Of a spoken consent whose recording can be heard."""
    given = consents.load(voice.path / "consent")
    if given is None or given.kind != "spoken":
        return None
    for path in sorted((voice.path / "consent").glob("consent.*")):
        samples = _recording(path)
        if samples is not None and speakers.audible(samples):
            return encoder.embed(samples)
    return None


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
                "standings": {take: asdict(one) for take, one in profile.standings.items()},
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
