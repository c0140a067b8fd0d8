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
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aitwin import artifact
from aitwin.voice.audio import Samples
from aitwin.voice.grading import WHISPERED
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import Embedding, ReferenceEncoder

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

WINDOW = 4.0
"""Seconds of a stretch within a take: the shortest with a steady answer (0.94 +- 0.015)."""
STEP = 2.0
"""Seconds from one to the next."""
FAINT = 0.05
"""A window 26 dB softer than the take's loud ones is a pause, not a speaker."""


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
    """Part of a take that sounds like somebody else than the rest."""

    start: int
    """Sample at heard.RATE; `stop` is behind the last. Right to about STEP seconds."""
    stop: int
    cosine: float
    """The lowest of its windows to the take's own speaker."""


@dataclass(frozen=True)
class Consistency:
    """Whether one person speaks throughout a take."""

    least: float | None
    """Lowest cosine of a window to the take's own speaker; None: too little to be heard."""
    strangers: tuple[Stretch, ...]
    """Where somebody else seems to speak. Never a reason to cut by itself."""


def consistency(samples: Samples, encoder: ReferenceEncoder) -> Consistency:
    """Windows of WINDOW seconds against what most of the take sounds like.

    Measured by splices into a minute of another voice: 18 of 18 stretches of 3 s and more were
    found, 4 of 6 of 2 s, none of 1 s; nothing was flagged in four minutes of one voice at changing
    speed. Two people who talk by turns of a second or two may pass for one.
    """
    found = list(_windows(samples))
    if not found:
        return Consistency(None, ())
    pooled = _pooled(samples, found, encoder)
    strangers: list[Stretch] = []
    for (start, stop), kept, value in zip(found, pooled.kept, pooled.cosines, strict=True):
        if kept:
            continue
        if strangers and start <= strangers[-1].stop:
            last = strangers.pop()
            strangers.append(Stretch(last.start, stop, min(last.cosine, float(value))))
        else:
            strangers.append(Stretch(start, stop, float(value)))
    return Consistency(float(pooled.cosines.min()), tuple(strangers))


def _pooled(samples: Samples, spans: Sequence[tuple[int, int]], encoder: ReferenceEncoder) -> Pool:
    embeddings = np.stack([encoder.embed(samples[start:stop]) for start, stop in spans])
    return pool(embeddings, np.array([(stop - start) / RATE for start, stop in spans]))


def _windows(samples: Samples) -> Iterator[tuple[int, int]]:
    """Overlapping windows in which somebody is heard; the last ends where the take does."""
    size, step = round(WINDOW * RATE), round(STEP * RATE)
    last = max(0, len(samples) - size)
    starts = [*range(0, last, step), last]
    loud = [_rms(samples[start : start + size]) for start in starts]
    wanted = max(QUIET, FAINT * float(np.percentile(loud, 90)))
    for start, level in zip(starts, loud, strict=True):
        stretch = samples[start : start + size]
        if level >= wanted and audible(stretch):
            yield start, start + len(stretch)


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
