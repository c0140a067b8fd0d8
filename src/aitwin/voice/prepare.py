"""A take as recorded to a take made ready: heard, measured, graded, mended and cut into utterances.

Two passes over any length in little memory. The first decodes the original into a private file
that has no name, and listens part by part; the second renders what the edits leave, at one
loudness, into prepared.flac. The original is not touched. Judges by grading, and hears by
listening; knows neither prompts' lists nor profiles.
"""

import errno
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import breaths, edits, loudness, prepared, segments, speakers, vad
from aitwin.voice.audio import Samples
from aitwin.voice.breaths import Noises
from aitwin.voice.edits import Span, Timeline
from aitwin.voice.grades import Grade, Reason
from aitwin.voice.grading import grade
from aitwin.voice.heard import HOP, RATE, Heard, join
from aitwin.voice.listening import levels, listen
from aitwin.voice.measures import Measures
from aitwin.voice.measuring import measure
from aitwin.voice.mos import Listener, is_sampled, places
from aitwin.voice.prepared import Edit, Prepared, Segment
from aitwin.voice.source import Source
from aitwin.voice.voices import Take, Voice

if TYPE_CHECKING:
    from aitwin.voice.openvoice import ReferenceEncoder
    from aitwin.voice.transcribe import Transcriber, Word

Progress: TypeAlias = Callable[[Take, float], None]
"""Told of a take, and of the share of its preparation that is done, 0 to 1; from any thread."""

BLOCK = 10.0
"""Seconds that are decoded at a time."""
DECODED, HEARD, RENDERED = 0.4, 0.8, 0.95
"""Shares of the work that are done behind each step; the rest is words and grade."""
RENDER = 60 * RATE
"""Samples that are rendered at a time."""
LOOK_BACK = 15.0
"""Seconds before the end of a part in which the quietest place is looked for: the VAD begins
every part afresh, which in a rest makes no difference."""
HUSH = 0.3
"""Seconds over which that place is quiet."""
AROUND = round(0.5 * RATE)
"""Samples beside a rendered block that the limiter hears as well: more than it looks ahead and
takes to let go."""
CORES = 4
"""Each that works takes up to 0.3 GB with DNSMOS, and an hour 30 s of one processor (measured)."""
MISSED = 1.0
"""Seconds: less is how codecs round."""
COMPARED = 600 * RATE
"""Samples among which speakers are told apart at a time: 53 MB."""
LISTENED = 32
"""Stretches that the ASR gets at a time: 25 MB of sound."""
LISTENED_LONG = 9 * RATE
"""Samples up to which utterances that follow each other are one stretch for the ASR: its shortest
window takes ten seconds, full or not. Halves its time, with the same words (measured)."""


@dataclass(frozen=True)
class Recipe:
    """Every number of a preparation."""

    loudness: float = -23.0
    """LUFS of the speech: EBU R128's own target; a peak 22 dB above it is still free of limits."""
    most_gain: float = 30.0
    """dB: a take that needs more was recorded too softly to be worth it."""
    most_noise: float = -45.0
    """dBFS that the room's noise is raised to at most: whispering is soft, and its room is not to
    become loud for it."""
    ceiling: float = -1.0
    """dBTP: EBU R128's maximum, so that no codec clips."""
    guard: float = 0.12
    """Seconds beside speech that count as speech: the VAD clips soft onsets and ends."""
    rest_most: float = 0.8
    """Seconds: a longer rest is shortened. One between two sentences lasts 0.4 to 0.7."""
    rest_kept: float = 0.4
    """Seconds that are left of it."""
    edge: float = 0.2
    """Seconds left of the silence at the beginning and end, beside the guard."""
    breath_gain: float = -12.0
    """dB: heard no more beside speech, and little lost where it was a consonant."""
    click_gain: float = -18.0
    """dB: a click is short and stands out more."""
    part: float = 180.0
    """Seconds that are listened to at a time: 16 MB of sound, some 100 MB at work."""


@dataclass(frozen=True, eq=False)
class Tools:
    """What listens; opened once, shared by all threads. What is None is done without."""

    detector: vad.Detector = field(repr=False)
    mos: Listener | None = field(default=None, repr=False)
    transcriber: "Transcriber | None" = field(default=None, repr=False)
    encoder: "ReferenceEncoder | None" = field(default=None, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of all takes of a voice."""

    prepared: tuple[Prepared, ...]
    """Those that are ready, in the order of the takes."""
    problems: tuple[str, ...]
    """One for each take that is not: what, where and what to do next."""


def _nobody(take: Take, share: float) -> None:
    """Nobody wants to know."""


def prepare(  # noqa: PLR0913 - what of, how, and who is told
    voice: Voice,
    take: Take,
    tools: Tools,
    recipe: Recipe = Recipe(),
    *,
    on_progress: Progress = _nobody,
    cores: int = 1,
) -> Prepared:
    """Make a take ready, listening in up to `cores` threads; at once when it is so already.

    The same original, recipe, tools and versions give the same files to the byte. A failure
    leaves what was prepared before. A take without speech becomes a short one of grade D.
    Raises TwinError when the original cannot be read, or there is no room for the result.
    """
    settings = _settings(recipe, tools)
    before = voice.prepared(take)
    if before and before.settings == settings and before.sound.exists():
        return before
    import soundfile

    try:
        with artifact.building(voice.prepared_path(take)) as scratch:
            with _stored(scratch) as stored:
                job = _Job(take, tools, recipe, stored, partial(on_progress, take))
                made = job.into(scratch, settings, cores)
            prepared.store(scratch, made)
    except (OSError, soundfile.SoundFileError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise TwinError(
            f"take {take.id} cannot be prepared in {voice.path} ({why}); see that the disk has "
            "room and may be written to, then run `twin voice prepare` again"
        ) from error
    return replace(made, path=voice.prepared_path(take))


def prepare_all(
    voice: Voice,
    tools: Tools,
    recipe: Recipe = Recipe(),
    *,
    on_progress: Progress = _nobody,
    cores: int = 0,
) -> Outcome:
    """Make all takes of a voice ready, `cores` at a time (0: all there are, up to CORES).

    A take that fails does not hold up the others. When interrupted, takes that are done stay.
    """
    cores = cores or min(os.cpu_count() or 1, CORES)
    takes = voice.takes()
    stop = Event()

    def told(take: Take, share: float) -> None:
        if stop.is_set():
            raise _StoppedError
        on_progress(take, share)

    def one(take: Take) -> Prepared | str:
        try:
            return prepare(
                voice, take, tools, recipe, on_progress=told, cores=max(1, cores // len(takes))
            )
        except TwinError as error:
            return str(error)

    with ThreadPoolExecutor(cores) as pool:
        futures = [pool.submit(one, take) for take in takes]
        try:
            results = [future.result() for future in futures]
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    return Outcome(
        tuple(result for result in results if isinstance(result, Prepared)),
        tuple(result for result in results if isinstance(result, str)),
    )


class _StoppedError(Exception):
    """The owner has stopped it all."""


def _settings(recipe: Recipe, tools: Tools) -> dict[str, Any]:
    """What a preparation depends on besides the original."""
    optional = ("mos", "transcriber", "encoder")
    return {**asdict(recipe), "with": [tool for tool in optional if getattr(tools, tool)]}


class _Stored:
    """A take's samples in a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.samples = 0

    def append(self, samples: Samples) -> None:
        self._file.write(samples.astype(np.float32, copy=False).tobytes())
        self._file.flush()
        self.samples += len(samples)

    def read(self, start: int, stop: int) -> Samples:
        """From any thread: no place in the file is remembered."""
        data = bytearray()
        while len(data) < (stop - start) * 4:
            more = os.pread(
                self._file.fileno(), (stop - start) * 4 - len(data), start * 4 + len(data)
            )
            if not more:
                raise OSError("the private copy of the samples is cut off")
            data += more
        return np.frombuffer(data, np.float32)


@contextmanager
def _stored(directory: Path) -> Iterator[_Stored]:
    """A place for samples that has no name any more: it is gone with the process at the latest."""
    path = directory / "samples"
    with path.open("w+b") as file:
        path.unlink()
        yield _Stored(file)


@dataclass(frozen=True, eq=False)
class _Job:
    """One take's preparation."""

    take: Take
    tools: Tools
    recipe: Recipe
    stored: _Stored
    told: Callable[[float], None]

    def into(self, scratch: Path, settings: dict[str, Any], cores: int) -> Prepared:
        """Everything but the manifest, written into `scratch`."""
        source = Source(self.take.original)
        heard = self._hear(source, cores)
        noises = breaths.find(heard)
        speech = _spoken(heard, noises.breaths, guard=round(self.recipe.guard * RATE))
        measured = replace(
            measure(
                heard,
                sample_rate=source.info.sample_rate,
                bandwidth=source.bandwidth,
                true_peak=source.true_peak,
                clipped=source.clipping,
                loudness=self._loudness(heard),
                mos=self._mos(heard),
            ),
            speakers=self._speakers(),
        )
        timeline = Timeline(self.stored.samples, self._edits(speech, noises))
        gain = self._gain(measured)
        limited = self._render(timeline, gain, scratch / prepared.SOUND)
        found = segments.segments(speech, heard, timeline, take=self.take.id, gain=gain)
        words = self._words(scratch / prepared.SOUND, found)
        if words is not None:
            measured = self._read(measured, words)
        prompted = bool(self.take.prompt)
        self.told(1.0)
        return Prepared(
            path=scratch,
            take=self.take.id,
            samples=timeline.samples,
            source_samples=heard.samples,
            gain=gain,
            limited=limited,
            edits=timeline.edits,
            segments=segments.with_texts(found, words, self.take.prompt),
            measures=measured,
            grade=_noted(grade(measured, emotion=self.take.emotion, prompted=prompted), source),
            settings=settings,
        )

    # The first pass

    def _hear(self, source: Source, cores: int) -> Heard:
        """Decode, and listen to each part as soon as it is there."""
        futures: list[Future[Heard]] = []
        with ThreadPoolExecutor(cores) as pool:
            try:
                with closing(self._parts(source)) as parts:
                    for start, stop in parts:
                        futures.append(pool.submit(self._listen, start, stop))
                return join(list(self._all(futures)))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _parts(self, source: Source) -> Generator[Span, None, None]:
        """Stretches of whole frames that follow each other; each is stored when it is given."""
        start, length = 0, round(self.recipe.part * RATE / HOP) * HOP
        with closing(source.blocks(BLOCK)) as blocks:
            for block in blocks:
                self.stored.append(block)
                share = self.stored.samples / RATE / max(1.0, self.take.seconds)
                self.told(DECODED * min(1.0, share))
                while self.stored.samples - start >= length:
                    border = self._quietest(start + length)
                    yield start, border
                    start = border
        if self.stored.samples > start:
            yield start, self.stored.samples

    def _quietest(self, stop: int) -> int:
        """The border before `stop`, of whole frames, in the middle of the quietest HUSH."""
        back = min(LOOK_BACK, self.recipe.part / 2)
        start = stop - round(back * RATE / HOP) * HOP
        power = 10 ** (levels(self.stored.read(start, stop)).astype(np.float64) / 10)
        width = round(HUSH * RATE / HOP)
        quietest = int(np.argmin(np.convolve(power, np.ones(width), "valid")))
        return start + (quietest + width // 2) * HOP

    def _listen(self, start: int, stop: int) -> Heard:
        return listen(self.stored.read(start, stop), self.tools.detector)

    def _all(self, futures: Sequence[Future[Heard]]) -> Iterator[Heard]:
        for number, future in enumerate(futures, 1):
            yield future.result()
            self.told(DECODED + (HEARD - DECODED) * number / len(futures))

    # What is measured on the sound itself

    def _loudness(self, heard: Heard) -> float | None:
        """LUFS of the speech, its rests left out, however long they are."""
        meter = loudness.Meter(RATE)
        for start, stop in _spoken(heard):
            for first in range(start, stop, RENDER):
                meter.add(self.stored.read(first, min(first + RENDER, stop)))
        return meter.integrated()

    def _mos(self, heard: Heard) -> float | None:
        """DNSMOS of some stretches of speech; of short takes, of some."""
        listener = self.tools.mos
        if listener is None or not is_sampled(self.take.id, heard.samples / RATE):
            return None
        scores = [
            listener.score(self.stored.read(start, min(stop, heard.samples)))
            for start, stop in places(heard.speech)
        ]
        known = [score for score in scores if score is not None]
        return round(float(np.mean(known)), 3) if known else None

    def _speakers(self) -> float | None:
        """The least likeness of a stretch to the rest of its ten minutes.

        Only measured, never cut: two people are 0.66 alike at times, and one in another room 0.73.
        """
        if self.tools.encoder is None:
            return None
        least = []
        for start in range(0, self.stored.samples, COMPARED):
            samples = self.stored.read(start, min(start + COMPARED, self.stored.samples))
            least.append(speakers.consistency(samples, self.tools.encoder).least)
        return min((cosine for cosine in least if cosine is not None), default=None)

    # What is changed

    def _edits(self, speech: Sequence[Span], noises: Noises) -> tuple[Edit, ...]:
        recipe, samples = self.recipe, self.stored.samples
        # A breath is softened as a whole, since half a one would be heard; and what is neither
        # speech nor breath may be a whisper. Of a take without speech nothing is worth it.
        sounds = [*noises.breaths, *noises.others] if speech else []
        kept = edits.widened(sorted([*speech, *sounds]), samples, 0)
        cuts = edits.shortened(
            edits.rests(kept, samples),
            samples,
            most=round(recipe.rest_most * RATE),
            kept=round(recipe.rest_kept * RATE),
            edge=round(recipe.edge * RATE),
        )
        return edits.settled(
            [
                *cuts,
                *(Edit(*s, "attenuate", "breath", recipe.breath_gain) for s in noises.breaths),
                *(Edit(*s, "attenuate", "click", recipe.click_gain) for s in noises.clicks),
            ],
            samples,
        )

    def _gain(self, measured: Measures) -> float:
        """dB towards the recipe's loudness; no more than raises the room to what is bearable."""
        if measured.loudness is None:
            return 0.0
        gain = min(self.recipe.loudness - measured.loudness, self.recipe.most_gain)
        if measured.noise is not None:
            gain = min(gain, max(0.0, self.recipe.most_noise - measured.noise))
        return round(gain, 2)

    # The second pass

    def _render(self, timeline: Timeline, gain: float, path: Path) -> int:
        """Write the prepared sound; how many samples the limiter held down."""
        import soundfile

        factor, limited = np.float32(10 ** (gain / 20)), 0
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_24", format="FLAC") as file:
            for start in range(0, timeline.samples, RENDER):
                stop = min(start + RENDER, timeline.samples)
                first, behind = max(0, start - AROUND), min(stop + AROUND, timeline.samples)
                louder = timeline.render(self.stored.read, first, behind) * factor
                held, _ = loudness.limit(louder, self.recipe.ceiling, RATE)
                within = slice(start - first, stop - first)
                limited += int(np.count_nonzero(held[within] != louder[within]))
                file.write(held[within])
                self.told(HEARD + (RENDERED - HEARD) * stop / timeline.samples)
        # What does not fit on the disk at the very end is lost without an error.
        if not len(soundfile.read(path, start=timeline.samples - 1)[0]):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return limited

    def _words(self, sound: Path, found: Sequence[Segment]) -> "list[Word] | None":
        """What the ASR hears in each utterance, at its time in the prepared sound."""
        if self.tools.transcriber is None:
            return None
        import soundfile

        words: list[Word] = []
        stretches = _joined(found)
        for first in range(0, len(stretches), LISTENED):
            some = stretches[first : first + LISTENED]
            sounds = [
                soundfile.read(sound, start=start, stop=stop, dtype="float32")[0]
                for start, stop in some
            ]
            for (start, _), heard in zip(
                some, self.tools.transcriber.words_of_each(sounds), strict=True
            ):
                at = start / RATE
                words += [replace(w, start=w.start + at, stop=w.stop + at) for w in heard]
            self.told(RENDERED + (1 - RENDERED) * (first + len(some)) / len(stretches))
        return words

    def _read(self, measured: Measures, words: "Sequence[Word]") -> Measures:
        """With the number of words, and of those that are not the prompt's."""
        if not self.take.prompt:
            return replace(measured, words=len(words))
        from aitwin.voice import read_aloud

        read = read_aloud.compare(self.take.prompt, words)
        return replace(measured, misread=read.misread, words=read.words)


def _joined(found: Sequence[Segment]) -> list[Span]:
    """Where utterances lie in the prepared sound, neighbours together up to LISTENED_LONG."""
    spans: list[Span] = []
    for each in found:
        if spans and each.stop - spans[-1][0] <= LISTENED_LONG:
            spans[-1] = (spans[-1][0], each.stop)
        else:
            spans.append((each.start, each.stop))
    return spans


def _spoken(heard: Heard, but: Iterable[Span] = (), guard: int = 0) -> list[Span]:
    """Where somebody speaks, in samples, in order, each `guard` longer at both ends.

    What the VAD finds, and any vowel that it was not sure of, but for the breaths in `but`.
    """
    voiced = np.isfinite(heard.pitch)
    for start, stop in vad.speech_spans(heard.speech):
        voiced[start:stop] = True
    for start, stop in but:
        voiced[start // HOP : -(-stop // HOP)] = False
    spans = [(start * HOP, stop * HOP) for start, stop in edits.stretches(voiced)]
    return edits.widened(spans, heard.samples, guard)


def _noted(verdict: Grade, source: Source) -> Grade:
    """With remarks where the original is not whole, or its channels are not one voice."""
    remarks = list(source.channels.remarks)
    if source.damaged or source.missing >= MISSED:
        seconds = f"{source.missing:.0f} of its seconds" if source.missing >= MISSED else "parts"
        found = f"the recording is damaged: {seconds} are missing"
        advice = "copy it again from where it came; what could be read of it is used"
        remarks.append(Reason("damage", "B", found, advice))
    if not remarks:
        return verdict
    reasons = sorted([*verdict.reasons, *remarks], key=lambda each: each.letter, reverse=True)
    return Grade(max(verdict.letter, reasons[0].letter), tuple(reasons))
