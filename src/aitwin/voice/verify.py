"""Verify: whether speech that was made is the owner's voice, can be understood, and sounds clean.

Whose voice it is, two encoders say. OpenVoice's own is a lenient judge of what OpenVoice's
converter has made, since it has trained that converter; GE2E has not. What they say of the same
person and of two is in SAME and in docs/verify.md. Which words are heard, a speech recognition
says; how clean it sounds, DNSMOS. A verdict is no proof of identity, and no ear: it sorts out what
is surely bad. Makes no speech, and keeps nothing: see evaluation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import audio, normalise, openvoice, phonemes, read_aloud, speakers, vad
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.clipping import Clipping
from aitwin.voice.ge2e import PULL as PULL_GE2E
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.mos import Listener
from aitwin.voice.openvoice import Embedding
from aitwin.voice.profile import VoiceProfile
from aitwin.voice.transcribe import Transcriber, Word
from aitwin.voice.watermark import LEAST as MARK_LEAST
from aitwin.voice.watermark import REMEDY as MARK_REMEDY
from aitwin.voice.watermark import SURE as MARK_SURE
from aitwin.voice.watermark import Watermark

OPENVOICE, GE2E = "openvoice", "ge2e"
"""The encoders, by name."""
TITLES = {OPENVOICE: "OpenVoice's encoder", GE2E: "GE2E, an independent encoder"}
SAME = {OPENVOICE: speakers.SAME, GE2E: 0.70}
"""Cosine of long stretches from which they are taken for the same person's.

Of GE2E, on 21 clips of 1.5 to 3.6 s of five people (two of them the same telephone line, one the
bundled voice): the same person 0.831 +- 0.052, different ones 0.512 +- 0.078, as often one for two
as two for one at 0.703. Means of several clips: the same 0.78 to 0.96, different 0.49 to 0.67, and
0.78 the two on one line, whom OpenVoice's encoder thinks 0.92 alike."""
NOISE = {OPENVOICE: speakers.NOISE, GE2E: 0.5}
"""Seconds. An embedding of s seconds is about 1 / sqrt(1 + NOISE / s) like the mean of many: of
GE2E 0.85 +- 0.04 between two sentences of 2.8 s of one voice."""


@dataclass(frozen=True)
class Calibration:
    """What an encoder says of pairs of short clips: mean and standard deviation."""

    same: tuple[float, float]
    """Of one person's."""
    different: tuple[float, float]
    """Of two people's."""


CALIBRATIONS = {
    OPENVOICE: Calibration(same=(0.903, 0.050), different=(0.435, 0.196)),
    GE2E: Calibration(same=(0.831, 0.052), different=(0.512, 0.078)),
}

LEAST_WORDS_RIGHT = 0.94
"""Of all words, by Whisper tiny.en. It hears all of the bundled voice's, and 0.99 of what is moved
towards another voice."""
LEAST_HEARD = 0.75
"""Of the words of one utterance: of eight, two may be lost."""
LEAST_MOS = 2.7
"""Mean of DNSMOS's overall score. Sentences of the bundled voice have 3.2 to 3.5, clips of 2 to 3 s
of audio books 2.7 to 3.2; the bundled voice with white noise 30, 20 and 10 dB beneath it 3.1, 2.8
and 2.4. It does not hear clipping: 3.3 with all above 0.15 of the peak cut off."""
MOST_CLIPPED = 1e-3
"""Share of the samples of one utterance that are cut off."""
LONGEST_PAUSE = 1.2
"""Seconds in one sentence without speech: an engine that lost its way. A comma takes 0.3."""
LOUDEST_TAIL = -26.0
"""dB to the speech before, of what is heard after the last word: breath and room are beneath."""
AFTER = 0.15
"""Seconds after the end of speech in which a final "s" or "t" may still sound."""
RATES = (1.8, 8.5)
"""Syllables per second of speech that people say: outside, words were swallowed, or drawn out."""
RATED = 5
"""Syllables from which a rate means something: "Stop!" takes as long as one likes."""
SILENT = 1e-3
"""Peak (-60 dBFS) under which nothing was said."""
LEAST_MARKED = 0.9
"""Share of the utterances that bear the watermark, where speech is marked at all."""
MOST_FAULTY = 0.1
"""Share of the utterances that may have a fault each."""
TAIL = round(0.03 * RATE)
"""Samples over which what follows the last word is measured."""

References: TypeAlias = Mapping[str, Embedding]
"""Whose voice it should be, by the name of the encoder."""


class Encoder(Protocol):
    """What tells voices apart: openvoice.ReferenceEncoder, ge2e.SpeakerEncoder."""

    @property
    def digest(self) -> str:
        """SHA-256 of its weights."""

    def embed(self, samples: Samples) -> Embedding:
        """Of a sound at heard.RATE."""


@dataclass(frozen=True, eq=False)
class Tools:
    """What listens; what is not here is done without, and told: see `lacking`."""

    detector: vad.Detector
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    """By OPENVOICE and GE2E."""
    transcriber: Transcriber | None = None
    listener: Listener | None = None
    watermark: Watermark | None = None
    """None where the speech is not to be marked, too."""

    def lacking(self, references: References) -> tuple[str, ...]:
        """What cannot be checked with these tools, and what to do about it."""
        told = []
        pulls = {OPENVOICE: openvoice.PULL, GE2E: PULL_GE2E}
        for name, pull in pulls.items():
            if name not in self.encoders:
                told.append(f"likeness by {TITLES[name]}: {pull}")
            elif name not in references:
                told.append(f"likeness by {TITLES[name]}: the profile has nothing to compare with")
        if self.transcriber is None:
            told.append("words: run `pip install 'aitwin[hear]'`")
        if self.listener is None:
            told.append("how clean it sounds: run `pip install 'aitwin[clone]'`")
        if self.watermark is None:
            told.append(f"the watermark: {MARK_REMEDY}")
        return tuple(told)


@dataclass(frozen=True)
class Reason:
    """Something that is not good enough."""

    what: str
    """Which check: "likeness", "words", "quality", "silence", "clipping", "pause", "tail",
    "pace" or "mark"."""
    found: str
    """In words, with the number and its limit."""
    advice: str


@dataclass(frozen=True, eq=False)
class Check:
    """What was heard in one utterance. None: not checked, or nothing to check it on."""

    text: str = field(repr=False)
    """As it was to be said."""
    seconds: float
    speech: float
    """Seconds of speech in it."""
    likeness: Mapping[str, float]
    """Cosine to the reference, by encoder; without those for which it is too short."""
    embeddings: Mapping[str, Embedding] = field(repr=False)
    """By encoder."""
    words: int | None
    """Of the text, as they are said."""
    wrong: int | None
    """Words replaced, missing or added."""
    heard: str = field(repr=False)
    """As the speech recognition writes it."""
    mos: float | None
    """DNSMOS, 1 to 5."""
    peak: float
    """Highest sample, 0 to 1."""
    clipped: float
    """Share of the samples that are cut off."""
    pause: float
    """Longest stretch without speech between two with it, seconds."""
    tail: float | None
    """Loudest of what is heard after the last word, dB to the speech; None when nothing follows."""
    rate: float | None
    """Syllables per second of speech."""
    marked: float | None = None
    """How sure it is that the watermark is in it, 0 to 1; None for less than watermark.LEAST."""

    @property
    def silent(self) -> bool:
        """Whether nothing was said."""
        return self.peak < SILENT or not self.speech

    @property
    def faults(self) -> tuple[Reason, ...]:
        """What is wrong with this one; of an utterance that is silent nothing else is said."""
        return tuple(_faults(self))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is to be said of all utterances together."""

    checks: tuple[Check, ...] = field(repr=False)
    likeness: Mapping[str, float]
    """Cosine of the mean of all utterances to the reference, by encoder."""
    error_rate: float | None
    """Words replaced, missing or added, of those that were to be said; can exceed 1."""
    mos: float | None
    """Mean over the utterances."""
    marked: float | None
    """Share of the utterances in which the watermark is surely found, 0 to 1."""
    reasons: tuple[Reason, ...]
    """Why it is not good enough; empty when it is."""
    unchecked: tuple[str, ...]
    """What nobody listened for, and what to do about it."""

    @property
    def usable(self) -> bool:
        """Whether it passes."""
        return not self.reasons


def check(
    utterances: Iterable[Utterance],
    references: References,
    tools: Tools,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Listen to speech that was made, one utterance at a time, and judge it.

    `on_progress` is told how many are done. Without a reference for any encoder that is here, the
    verdict is that nobody knows whose voice it is.
    """
    checks = []
    for done, utterance in enumerate(utterances, start=1):
        checks.append(listen(utterance, references, tools))
        on_progress(done)
    return judge(checks, references, tools.lacking(references))


def listen(utterance: Utterance, references: References, tools: Tools) -> Check:
    """Everything that can be heard in one utterance with the tools that are here."""
    samples = audio.resample(utterance, RATE).samples
    peak = float(np.abs(samples).max(initial=0.0))
    speech = tools.detector.probabilities(samples)
    spans = vad.speech_spans(speech) if peak >= SILENT else []
    spoken = sum(stop - start for start, stop in spans) * HOP / RATE
    embeddings = {
        name: encoder.embed(samples)
        for name, encoder in tools.encoders.items()
        if spans and speakers.audible(samples)
    }
    words = tools.transcriber.words(samples) if tools.transcriber else []
    wrong, count = word_errors(utterance.text, words) if tools.transcriber else (None, None)
    clipping = Clipping(RATE)
    if len(samples):
        clipping.add(samples)
    return Check(
        text=utterance.text,
        seconds=len(samples) / RATE,
        speech=spoken,
        likeness={
            name: speakers.cosine(found, references[name])
            for name, found in embeddings.items()
            if name in references
        },
        embeddings=embeddings,
        words=count,
        wrong=wrong,
        heard=" ".join(word.text for word in words),
        mos=tools.listener.score(samples) if tools.listener and spans else None,
        peak=peak,
        clipped=clipping.share() if len(samples) else 0.0,
        pause=max(((b - a) * HOP / RATE for (_, a), (b, _) in pairwise(spans)), default=0.0),
        tail=_tail(samples, spans),
        rate=_rate(utterance.text, spoken),
        marked=_marked(tools.watermark, samples),
    )


def judge(
    checks: Sequence[Check], references: References, unchecked: Sequence[str] = ()
) -> Verdict:
    """What all checks together say. `unchecked`: see Tools.lacking."""
    likeness = {
        name: speakers.cosine(mean, references[name])
        for name, mean in pooled(checks).items()
        if name in references
    }
    words = sum(one.words for one in checks if one.words is not None)
    wrong = sum(one.wrong for one in checks if one.wrong is not None)
    scores = [one.mos for one in checks if one.mos is not None]
    marks = [one.marked >= MARK_SURE for one in checks if one.marked is not None]
    error_rate = wrong / words if words else None
    mos = float(np.mean(scores)) if scores else None
    marked = float(np.mean(marks)) if marks else None
    reasons = [*_reasons(checks, likeness, error_rate, mos), *_unmarked(marked)]
    return Verdict(
        checks=tuple(checks),
        likeness=likeness,
        error_rate=error_rate,
        mos=mos,
        marked=marked,
        reasons=tuple(reasons),
        unchecked=tuple(unchecked),
    )


def pooled(checks: Iterable[Check]) -> dict[str, Embedding]:
    """The mean of all utterances by encoder, weighted by their seconds of speech."""
    sums: dict[str, NDArray[np.float64]] = {}
    weights: dict[str, float] = {}
    for one in checks:
        for name, embedding in one.embeddings.items():
            sums[name] = sums.get(name, 0.0) + embedding.astype(np.float64) * one.speech
            weights[name] = weights.get(name, 0.0) + one.speech
    return {name: np.asarray(sums[name] / weights[name], np.float32) for name in sums}


@dataclass(frozen=True, eq=False)
class Target:
    """Whose voice speech should be."""

    references: References = field(repr=False)
    recordings: Mapping[str, float]
    """Mean cosine of the owner's own utterances to the reference, by encoder: what is reached by
    the owner, and by nothing that was made."""


def target(
    profile: VoiceProfile,
    encoders: Mapping[str, Encoder],
    recordings: Iterable[Samples],
    emotion: str = "",
) -> Target:
    """Whose voice it should be, to each encoder.

    OpenVoice's is in the profile: of the emotion where that has one, else of all. For any other
    the voice's own `recordings`, utterances at heard.RATE of that emotion, are listened to; they
    are not asked for when there is no other.
    """
    found: dict[str, Embedding] = {}
    reached: dict[str, float] = {}
    manner = profile.manners.get(emotion)
    own = profile.pooled if manner is None or manner.embedding is None else manner.embedding
    if OPENVOICE in encoders and own is not None:
        found[OPENVOICE] = own
        if (seen := profile.utterances) is not None:
            these = [
                speakers.cosine(row, own)
                for row, out, name in zip(seen.embeddings, seen.dropped, seen.emotions, strict=True)
                if not out and emotion in ("", name)
            ]
            if these:
                reached[OPENVOICE] = float(np.mean(these))
    others = {name: encoder for name, encoder in encoders.items() if name != OPENVOICE}
    if not others:
        return Target(found, reached)
    audible = [samples for samples in recordings if speakers.audible(samples)]
    lengths = [len(samples) for samples in audible]
    for name, encoder in others.items() if audible else ():
        rows = np.stack([encoder.embed(samples) for samples in audible])
        mean = np.average(rows, axis=0, weights=lengths)
        found[name] = np.asarray(mean, np.float32)
        reached[name] = float(np.mean([speakers.cosine(row, found[name]) for row in rows]))
    return Target(found, reached)


def word_errors(written: str, heard: Sequence[Word]) -> tuple[int, int]:
    """Words replaced, missing or added, and the words of the text, as both are said.

    Numbers, contractions and words that sound alike are the same however they are spelled: what
    cannot be heard is no error. Raises TwinError when the phonemizer is not installed.
    """
    # Both sides are put into words, so that "$5" is "five dollars" on either.
    said = Word(normalise.spoken(" ".join(word.text for word in heard)), 0.0, 0.0, 1.0)
    reading = read_aloud.compare(normalise.spoken(written), [said])
    return reading.misread, reading.words


def word_error_rate(written: str, heard: Sequence[Word]) -> float:
    """Of a text that has words; see word_errors. Can exceed 1."""
    wrong, words = word_errors(written, heard)
    return wrong / words if words else float(wrong > 0)


def enough(name: str, seconds: float) -> float:
    """The cosine from which an utterance with so much speech is the reference's, by an encoder."""
    return float(SAME[name] / np.sqrt(1 + NOISE[name] / seconds))


def _rate(text: str, speech: float) -> float | None:
    if not speech:
        return None
    try:
        count = phonemes.syllables(text)
    except TwinError:
        return None  # what knows how words are said is not installed
    return count / speech if count >= RATED else None


def _marked(watermark: Watermark | None, samples: Samples) -> float | None:
    if watermark is None or len(samples) < MARK_LEAST * RATE:
        return None
    return watermark.confidence(samples, RATE)


def _tail(samples: Samples, spans: Sequence[tuple[int, int]]) -> float | None:
    """Loudest TAIL samples after the last speech, in dB to the speech."""
    if not spans:
        return None
    rest = samples[spans[-1][1] * HOP + round(AFTER * RATE) :]
    spoken = np.concatenate([samples[start * HOP : stop * HOP] for start, stop in spans])
    if len(rest) < TAIL or not spoken.any():
        return None
    power = np.concatenate([[0.0], np.cumsum(np.square(rest, dtype=np.float64))])
    loudest = float((power[TAIL:] - power[:-TAIL]).max()) / TAIL
    speech = float(np.mean(np.square(spoken, dtype=np.float64)))
    return 10 * float(np.log10(max(loudest / speech, 1e-12)))


# --- What is not good enough ----------------------------------------------------------------------


def _faults(one: Check) -> Iterator[Reason]:
    again = "say it again with another --seed"
    if one.silent:
        yield Reason("silence", "nothing is said", "another engine, or other words")
        return
    for name, found in one.likeness.items():
        wanted = enough(name, one.speech)
        if found < wanted:
            yield Reason(
                "likeness",
                f"{found:.2f} like the voice by {TITLES[name]}; "
                f"{wanted:.2f} are wanted of {one.speech:.1f} s",
                again,
            )
    if one.words and one.wrong is not None and one.wrong > (1 - LEAST_HEARD) * one.words:
        yield Reason("words", f"{one.wrong} words wrong of {one.words}", again)
    if one.clipped > MOST_CLIPPED:
        yield Reason("clipping", f"{100 * one.clipped:.2f} % of it is cut off", again)
    if one.pause > LONGEST_PAUSE:
        yield Reason("pause", f"a pause of {one.pause:.1f} s within the sentence", again)
    if one.tail is not None and one.tail > LOUDEST_TAIL:
        yield Reason("tail", f"a sound after the last word, {-one.tail:.0f} dB softer", again)
    low, high = RATES
    if one.rate is not None and not low <= one.rate <= high:
        yield Reason("pace", f"{one.rate:.1f} syllables in a second of speech", again)


def _reasons(
    checks: Sequence[Check],
    likeness: Mapping[str, float],
    error_rate: float | None,
    mos: float | None,
) -> Iterator[Reason]:
    """Why all of it does not pass."""
    if not checks or not likeness:
        yield Reason(
            "likeness",
            "nobody has heard whose voice it is",
            f"{openvoice.PULL}, then `twin voice prepare`",
        )
    for name, found in likeness.items():
        if found < SAME[name]:
            near = (
                f"it is {found:.2f} like the voice by {TITLES[name]}; {SAME[name]:.2f} are wanted"
            )
            yield Reason("likeness", near, "a better engine, or more and cleaner recordings")
    if error_rate is not None and error_rate > 1 - LEAST_WORDS_RIGHT:
        yield Reason(
            "words",
            f"{100 * error_rate:.0f} % of the words are heard wrong; "
            f"{100 * (1 - LEAST_WORDS_RIGHT):.0f} % may be",
            "slower speech, or another engine",
        )
    if mos is not None and mos < LEAST_MOS:
        yield Reason(
            "quality",
            f"it sounds {mos:.1f} of 5 (DNSMOS); {LEAST_MOS:.1f} are wanted",
            "another engine, or recordings with less noise and echo",
        )
    if silent := sum(one.silent for one in checks):
        yield Reason("silence", f"{silent} of {len(checks)} say nothing", "another engine")
    yield from _often(checks)


def _unmarked(marked: float | None) -> Iterator[Reason]:
    if marked is not None and marked < LEAST_MARKED:
        yield Reason(
            "mark",
            f"the watermark is found in {100 * marked:.0f} % of the sentences",
            "an engine whose speech keeps it",
        )


def _often(checks: Sequence[Check]) -> Iterator[Reason]:
    """Faults that many utterances have; likeness and words count over all of them together."""
    words = {
        "clipping": "are clipped",
        "pause": "have a long pause in them",
        "tail": "have a sound after the last word",
        "pace": "are spoken faster or slower than people speak",
    }
    for what, told in words.items():
        count = sum(any(fault.what == what for fault in one.faults) for one in checks)
        if count > MOST_FAULTY * len(checks):
            yield Reason(what, f"{count} of {len(checks)} {told}", "another engine or --seed")
