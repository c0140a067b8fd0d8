"""Who speaks: embeddings compared, pooled without outliers, and kept on disk by what was embedded.

Measured with the official weights on read English (seven clips of two people, and the bundled
voice): the noise of an embedding falls with the seconds that it was made of, NOISE; two people are
told apart from about 3 s on. What is compared is tone colour *and room*: white noise 40 dB under a
clean voice moves its embedding as far as another person would (cosine 0.73), and so does a change
of pitch with all formants by two semitones (0.66 to 0.79). A whisper, another microphone or a cold
may look like somebody else. So nothing here is proof of identity: it sorts, and it asks.

Moods move it, too, though by less than another person does: a voice whose pitch alone was raised or
lowered by 4 semitones is 0.64 to 0.70 like itself, by 6 semitones 0.58 to 0.61, by 9 semitones 0.53
to 0.57, and 0.03 less where it is brighter as well (16 sentences of 4 s each, the bundled voice).
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aitwin import artifact
from aitwin.voice.audio import Samples
from aitwin.voice.edits import Span
from aitwin.voice.grading import WHISPERED
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import Embedding, ReferenceEncoder

Each: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or an executor's."""

SAME = 0.754
"""Cosine at which two people are taken for one as often as one for two (84 clips, 15 speakers: the
same 0.903 +- 0.050, different 0.435 +- 0.196)."""
NOISE = 0.7
"""Seconds. An embedding of s seconds has a cosine of about 1 / sqrt(1 + NOISE / s) to the mean of
many of the same voice: measured 0.70 to 0.83 at 1 s, 0.91 to 0.95 at 3 s, 0.96 at 8 s."""
APART = 0.55
"""Cosine of long stretches under which they are clearly two people's: 72 of 100 pairs of different
people are, and of the same person in one room none (7 deviations). The same voice 6 semitones
higher, brighter or duller, is not (0.54 and more at 4.4 s, where the limit is 0.51); 9 semitones
higher and brighter it touches the limit. What is under it is left out, so it is far below SAME,
which would leave out whoever gets excited."""
DOUBTFUL = 0.65
"""Cosine under which somebody is to listen: 86 of 100 pairs of different people are, and so is a
voice that is 6 semitones higher, or only 30 dB above white noise."""
WHISPERED_APART = 0.33
"""As APART, for a whisper against its speaker's voice. Whispers of four voices (by LPC, with noise
for the excitation) were 0.37 to 0.77 like their own speaker, 0.14 to 0.51 like others: half of the
strangers who whisper are found at best."""
WHISPERED_DOUBTFUL = 0.40
"""As DOUBTFUL, for a whisper."""
LEAST = 1.5
"""Seconds. Shorter stretches are more noise than voice: they are not embedded."""
QUIET = 1e-4
"""RMS (-80 dBFS) under which there is nobody to be heard."""
ROUNDS = 20
"""Of the pooling; it settles after two or three."""
CANDIDATES = 1000
"""Stretches among which the first centre is looked for, so that hours need no gigabytes."""

WINDOW = 3.0
"""Seconds of a stretch within a take: the shortest with a steady answer."""
STEP = 1.5
"""Seconds from one to the next, and..."""
FINE_STEP = 0.5
"""...where one is in doubt: its cosine is below SAME."""
STRANGE = 0.68
"""Cosine under which it is somebody else, lowered for noise as in `enough`: 0.61 at 3 s.

Lower than SAME, since of a thousand windows none may be wrong. Pure stretches of 3 s of others
reach 0.59. The bundled voice stays above 0.80 at 0.8 to 1.25 of its speed, and above 0.63 when its
pitch is moved by four semitones and its formants are not: no window of 2,600 s of such takes was
flagged. With the formants moved as well, two semitones lower are 0.43: as far as somebody else."""


def cosine(one: Embedding, other: Embedding) -> float:
    """Likeness of two embeddings, -1 to 1; 0 where one of them is nothing."""
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.dot(one, other)) / length if length else 0.0


def enough(seconds: ArrayLike) -> NDArray[np.float64]:
    """The cosine to a pooled embedding from which stretches of `seconds` are the same speaker's.

    SAME, lowered by what the noise of so short a stretch takes away: 0.62 at 1.5 s, 0.73 at 10 s.
    """
    return SAME / np.sqrt(1 + NOISE / np.asarray(seconds, np.float64))


def audible(samples: Samples) -> bool:
    """Whether a stretch is long and loud enough to say who speaks."""
    return len(samples) >= LEAST * RATE and _rms(samples) > QUIET


@dataclass(frozen=True, eq=False)
class Pool:
    """Several stretches as one."""

    embedding: Embedding = field(repr=False)
    """Mean of the kept, weighted by their seconds, at its natural length."""
    kept: NDArray[np.bool_] = field(repr=False)
    """Which of them are the same speaker's, shape [stretches]."""
    cosines: NDArray[np.float32] = field(repr=False)
    """Of each to the mean."""


def pool(
    embeddings: NDArray[np.float32],
    seconds: NDArray[np.float64],
    near: Embedding | None = None,
) -> Pool:
    """The mean of embeddings [stretches, size] that belong together; the others are left out.

    Begins at the stretch that has the most seconds of others nearest to it, keeps those that are
    near enough to it, and goes on with their mean until the same ones are kept. So the speaker with
    the most to say wins, not an average of two; with `near`, the one who sounds like that. Weights
    are seconds: the variance falls with them. Raises ValueError when there is nothing to pool.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not len(embeddings) or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("nothing to pool, or an embedding that is none")
    unit = embeddings / lengths
    wanted = enough(seconds)
    if near is None:
        candidates = unit[:: -(-len(unit) // CANDIDATES)]
        # By how much, not how many: one with half of two speakers in it is near to all of both.
        excess = np.maximum(candidates @ unit.T - wanted, 0) @ seconds
        centre = candidates[int(excess.argmax())]
    else:
        centre = near / np.linalg.norm(near)
    found = unit @ centre >= wanted
    found[int((unit @ centre).argmax())] = True
    for _ in range(ROUNDS):
        kept = found
        mean = np.average(embeddings[kept], axis=0, weights=seconds[kept])
        cosines = unit @ (mean / np.linalg.norm(mean))
        found = cosines >= wanted
        if not found.any() or (found == kept).all():
            break
    return Pool(mean.astype(np.float32), kept, cosines.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Belonging:
    """Which of a voice's takes are its owner's, by their sound."""

    embedding: Embedding = field(repr=False)
    """Mean of the takes that surely are."""
    likeness: NDArray[np.float32] = field(repr=False)
    """Cosine of each to the others that surely are, shape [takes]; NaN: there are no others."""
    strangers: NDArray[np.bool_] = field(repr=False)
    """Clearly somebody else's, or from another room."""
    doubtful: NDArray[np.bool_] = field(repr=False)
    """May be; not among the strangers."""


def belonging(
    embeddings: NDArray[np.float32],
    seconds: NDArray[np.float64],
    emotions: Sequence[str],
    consent: Embedding | None = None,
) -> Belonging:
    """Tell the owner's takes from those of others, across emotions.

    One row for each take: its pooled embedding [takes, size], its seconds of speech, its emotion.
    The owner is whoever has the most seconds; with the embedding of a spoken `consent`, whoever
    sounds most like that, unless nobody does. A whisper says so only where nobody has a voice.
    Every take is then compared with the owner's others: without itself, lest a long one resemble
    nothing but itself. What is clearly apart is a stranger's. So is what is in doubt and sounds
    like that stranger; and so are takes of one emotion that are too short to say so each, but do
    together. Raises ValueError when there are no takes.
    """
    whispers = np.array([emotion == WHISPERED for emotion in emotions], np.bool_)
    own = _owner(embeddings, seconds, whispers, consent)

    def compared(members: NDArray[np.bool_]) -> tuple[float, float]:
        """Their likeness to the owner's others; and what limits are lowered by: both's noise."""
        others = own & ~members
        if not others.any():
            return float("nan"), 1.0
        one, other = (_mean(embeddings, seconds, these) for these in (members, others))
        noise = (1 + NOISE / seconds[members].sum()) * (1 + NOISE / seconds[others].sum())
        return cosine(one, other), 1 / float(np.sqrt(noise))

    likeness, strangers, doubtful = np.zeros(len(own)), np.zeros_like(own), np.zeros_like(own)
    for row, whispered in enumerate(whispers):
        alone = np.arange(len(own)) == row
        apart, doubt = _limits(whispered=bool(whispered))
        likeness[row], lowered = compared(alone)
        # The owner's own have nothing but each other to be compared with: they may be in doubt.
        strangers[row] = not own[row] and likeness[row] < apart * lowered
        doubtful[row] = likeness[row] < doubt * lowered
    if strangers.any():
        stranger = _mean(embeddings, seconds, strangers)
        for unsure in np.flatnonzero(doubtful & ~own & ~strangers):
            alike = cosine(embeddings[unsure], stranger)
            strangers[unsure] = alike >= enough(seconds[unsure]) and alike > likeness[unsure]
    for emotion in set(emotions):
        rest = np.array([each == emotion for each in emotions]) & ~own & ~strangers
        if rest.any():
            together, lowered = compared(rest)
            strangers |= rest & (together < lowered * _limits(whispered=emotion == WHISPERED)[0])
    return Belonging(
        _mean(embeddings, seconds, own),
        likeness.astype(np.float32),
        strangers,
        doubtful & ~strangers,
    )


def _limits(*, whispered: bool) -> tuple[float, float]:
    return (WHISPERED_APART, WHISPERED_DOUBTFUL) if whispered else (APART, DOUBTFUL)


def _owner(
    embeddings: NDArray[np.float32],
    seconds: NDArray[np.float64],
    whispers: NDArray[np.bool_],
    consent: Embedding | None,
) -> NDArray[np.bool_]:
    """The takes that surely are the owner's, shape [takes]: never none of them."""
    rows = np.flatnonzero(whispers if whispers.all() else ~whispers)
    unit = embeddings[rows] / np.linalg.norm(embeddings[rows], axis=1, keepdims=True)
    near = consent
    if consent is None or max(cosine(one, consent) for one in unit) < DOUBTFUL:
        candidates = unit[:: -(-len(unit) // CANDIDATES)]
        # What is surely the same counts in full: moods scatter a voice, and a stranger in one mood
        # is more alike.
        shares = np.clip(candidates @ unit.T, APART, DOUBTFUL) - APART
        near = candidates[int((shares @ seconds[rows]).argmax())]
    own = np.zeros(len(embeddings), np.bool_)
    own[rows] = pool(embeddings[rows], seconds[rows], near).kept
    return own


def _mean(
    embeddings: NDArray[np.float32], seconds: NDArray[np.float64], members: NDArray[np.bool_]
) -> Embedding:
    mean = np.average(embeddings[members], axis=0, weights=seconds[members])
    return np.asarray(mean, np.float32)


@dataclass(frozen=True)
class Stretch:
    """Part of a sound that sounds like somebody else than the rest."""

    start: int
    """Sample, as of the spans that were judged; `stop` is behind the last. Right to a second."""
    stop: int
    cosine: float
    """The lowest of its windows to the sound's own speaker."""


@dataclass(frozen=True)
class Consistency:
    """Whether one person speaks throughout."""

    share: float | None
    """Of the speech that was judged, what sounds like somebody else, 0 to 1; None: too little
    speech to be judged."""
    strangers: tuple[Stretch, ...]
    """Where somebody else seems to speak. Never a reason to cut by itself."""


def consistency(
    read: Callable[[int, int], Samples],
    speech: Sequence[Span],
    encoder: ReferenceEncoder,
    *,
    each: Each = map,
) -> Consistency:
    """Windows of WINDOW seconds against what most of the speech sounds like.

    `speech` is where somebody speaks, in order; what lies between is nobody, however loud.
    `read` gives the samples from one to behind another; `each` is `map`, or that of an executor:
    both are called from its threads. A window never reaches from one span into another, and where
    one is in doubt, others close to it are heard as well: so a stranger between two sentences, or
    in the middle of one, is heard alone.

    Measured by splices into three minutes of the bundled voice: of 19 stretches of 3 to 6 s of four
    other people all were found, in their place to a second and a half, with rests around them or
    none; with rests also those of 1.5 and 2 s (14 of 14), without 8 of 14.
    """

    def embedded(windows: Sequence[Span]) -> list[tuple[Span, Embedding]]:
        first = windows[0][0]
        samples = read(first, windows[-1][1])
        parts = ((window, samples[window[0] - first : window[1] - first]) for window in windows)
        return [(window, encoder.embed(part)) for window, part in parts if audible(part)]

    coarse = [found for found in map(_within, speech) if found]
    heard = [pair for pairs in each(embedded, coarse) for pair in pairs]
    if not heard:
        return Consistency(None, ())
    pooled = pool(
        np.stack([embedding for _, embedding in heard]),
        np.array([(stop - start) / RATE for (start, stop), _ in heard]),
    )
    own = pooled.embedding
    judged = {window: cosine(embedding, own) for window, embedding in heard}
    finer = [found for found in (_finer(span, judged) for span in speech) if found]
    judged |= {
        window: cosine(embedding, own)
        for pairs in each(embedded, finer)
        for window, embedding in pairs
    }
    strangers = _strange(judged)
    total = sum(stop - start for start, stop in speech if stop - start >= LEAST * RATE)
    return Consistency(sum(one.stop - one.start for one in strangers) / total, strangers)


def _within(span: Span) -> list[Span]:
    """Overlapping windows of a span, up to its end; none where it is too short to say anything."""
    start, stop = span
    if stop - start < LEAST * RATE:
        return []
    size = min(round(WINDOW * RATE), stop - start)
    starts = [*range(start, stop - size, round(STEP * RATE)), stop - size]
    return [(first, first + size) for first in starts]


def _finer(span: Span, judged: Mapping[Span, float]) -> list[Span]:
    """Windows of a span beside those that are in doubt."""
    found = set()
    for start, stop in _within(span):
        if judged.get((start, stop), 1.0) >= SAME:
            continue
        for aside in np.arange(FINE_STEP - STEP, STEP, FINE_STEP):
            moved = start + round(aside * RATE)
            if aside and span[0] <= moved and moved + stop - start <= span[1]:
                found.add((moved, moved + stop - start))
    return sorted(found - judged.keys())


def _strange(judged: Mapping[Span, float]) -> tuple[Stretch, ...]:
    """Windows that are somebody else's, those that overlap as one."""
    found: list[Stretch] = []
    for (start, stop), value in sorted(judged.items()):
        if value >= STRANGE / np.sqrt(1 + NOISE * RATE / (stop - start)):
            continue
        if found and start <= found[-1].stop:
            last = found.pop()
            found.append(Stretch(last.start, max(last.stop, stop), min(last.cosine, value)))
        else:
            found.append(Stretch(start, stop, value))
    return tuple(found)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings on disk, named by the digest of what was embedded and of the encoder.

    A file that is damaged is made anew; one that cannot be written is done without.
    """

    directory: Path
    encoder: ReferenceEncoder = field(repr=False)

    def key(self, samples: Samples) -> str:
        """Hex SHA-256 that names the embedding of `samples`."""
        digest = hashlib.sha256(f"{self.encoder.digest} {RATE}\n".encode())
        digest.update(np.ascontiguousarray(samples, "<f4").tobytes())
        return digest.hexdigest()

    def of(self, samples: Samples) -> Embedding:
        """The embedding of a stretch, from the disk when it is there. Errors: as of `embed`."""
        path = self._path(self.key(samples))
        known = self._read(path)
        if known is not None:
            return known
        made = self.encoder.embed(samples)
        with suppress(OSError), artifact.writing(path) as file:
            np.save(file, made)
        return made

    def keep(self, keys: Collection[str]) -> int:
        """Delete all others: those of takes that were dropped. Returns how many were deleted."""
        wanted = {self._path(key).name for key in keys}
        others = [path for path in self.directory.glob("*.npy") if path.name not in wanted]
        for path in others:
            path.unlink(missing_ok=True)
        return len(others)

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.npy"

    def _read(self, path: Path) -> Embedding | None:
        try:
            with path.open("rb") as file:
                known = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError, BadZipFile):
            return None
        whole = isinstance(known, np.ndarray) and known.shape == (self.encoder.size,)
        return known if whole and known.dtype == np.float32 and np.isfinite(known).all() else None
