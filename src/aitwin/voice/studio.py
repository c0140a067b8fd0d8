"""Studio: what can speak here, and the best of it that can speak in a given voice.

    melotts+finetune    MeloTTS fine-tuned on the voice, where that was done (see finetune)
    melotts+openvoice   MeloTTS in the voice's tone colour (OpenVoice V2)
    bundled+openvoice   the bundled base voice in the voice's tone colour
    bundled+match       the bundled base voice moved towards the voice: approximate
    bundled             the bundled base voice, which is nobody's

The first that can is taken, and why each better one cannot is part of the result: a clone is never
silently somebody else's voice. Engines of other packages speak where they are asked for by name.
Loads weights once, and lets one sentence at a time be spoken over all requests. Knows no files but
by the paths it is given; does not cut texts (see speech).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from aitwin import __version__, artifact
from aitwin.errors import TwinError
from aitwin.voice import engines, ladder, tuned
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.ladder import Loft, Part, Rung

if TYPE_CHECKING:
    from aitwin.voice.audio import Samples, Utterance
    from aitwin.voice.clips import Clip
    from aitwin.voice.engines import Engine, Guest, Speaker
    from aitwin.voice.profile import VoiceProfile
    from aitwin.voice.speech import Speech
    from aitwin.voice.voices import Voice

BUNDLED = ladder.BUNDLED.name
NO_ENGINE = ("twin", "base")
"""What a request over HTTP calls the best engine, and the base voice: never one engine."""
BASE_VOICES = ("base", BUNDLED)
"""What `--voice` calls the base voice: see voices.RESERVED."""
CLIP = "clip"
"""What the voice of a clip is called, which is kept nowhere."""
OF_CLIP = "the reference clip"
"""Whose voice that is, in words."""


@dataclass(frozen=True)
class Weights:
    """Where the models lie that were pulled; None: not here."""

    openvoice: Path | None = None
    """Directory with checkpoint.pth, config.json and speakers/."""
    melotts: Path | None = None
    """Directory with checkpoint.pth and config.json."""
    bert: Path | None = None
    """Directory with model.safetensors and vocab.txt."""
    g2p: Path | None = None
    """Directory with the dictionary and the network behind it."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """By field: why it is None, where more is known than that nobody pulled it."""


@dataclass(frozen=True)
class EngineState:
    """A way to speak, and whether it can on this machine."""

    name: str
    """As given to `--engine`."""
    title: str
    licence: str
    clones: bool
    """Whether it speaks in a voice of the owner's."""
    lacking: str
    """Why it cannot speak here, and what to do about it; empty when it can."""


@dataclass(frozen=True)
class Passed:
    """A better engine that did not speak."""

    engine: str
    why: str


@dataclass(frozen=True, eq=False)
class Cast:
    """The Speaker that was chosen. Waits for its turn with every sentence."""

    speaker: "Speaker"
    engine: str
    """Its name among Studio.engines."""
    passed: tuple[Passed, ...]
    """Better engines, and why they do not speak; empty when this is the best there is."""
    voice: str = ""
    """Id of the voice that was wanted; empty for the base voice."""
    owner: str = field(default="", repr=False)
    """Name of whose voice it is meant to be; empty when nobody's is heard."""
    emotion: str = ""
    approximate: bool = False
    """Moved towards the voice, and no clone of it."""
    queue: "Queue" = field(default_factory=lambda: Queue(), repr=False)
    profile: "VoiceProfile | None" = field(default=None, repr=False)
    """Of the voice that is heard; None when nobody's is, or a clip's, whose giver was asked."""
    clip: "Clip | None" = field(default=None, repr=False)
    """What it speaks like, where that is all that is known of a voice."""
    files: Callable[[], tuple[Path, ...]] | None = field(default=None, repr=False)
    """Tells what its networks were loaded from; None: nobody knows, as of another package's."""

    @property
    def name(self) -> str:
        """See Speaker: the engine's name."""
        return self.engine

    @property
    def cloned(self) -> bool:
        """See Speaker."""
        return self.speaker.cloned

    def describe(self) -> str:
        """See Speaker."""
        told = self.speaker.describe()
        if self.voice and not (self.owner or self.speaker.cloned):
            return f"{told}, in place of the voice {self.voice}"
        return told

    @property
    def made_of(self) -> str:
        """A digest of all that speaks, but for the profile: up to a gigabyte is read for it.

        Where nobody knows what that is, never the same twice: it may be another by now.
        """
        if self.files is None:
            return uuid4().hex
        return artifact.digest(
            f"{__version__} " + " ".join(artifact.sha256(file) for file in self.files())
        )

    @property
    def note(self) -> str:
        """What every file and stream says of itself."""
        return f"AI-generated voice of {self.owner}" if self.owner else "AI-generated voice"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> "Utterance":
        """See Speaker.

        Raises TwinError when the voice's owner has taken the consent back since it was chosen.
        """
        with self.queue.turn():
            self._require_consent()
            return self.speaker.speak(sentence, speed=speed, seed=seed)

    def _require_consent(self) -> None:
        """With every sentence: a server may go on for weeks with what it has opened."""
        from aitwin.voice import profile as profiles

        if self.profile is not None:
            least = None if self.clip is None else 0.0
            profiles.require_cloneable(self.profile, embedding=False, seconds=least)


class Queue:
    """Turns, first come, first served: a Lock promises no order, and one could wait for ever."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._busy = False
        self._waiting: deque[Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for it; over with the block."""
        with self._guard:
            called = Event()
            if self._busy:
                self._waiting.append(called)
            else:
                self._busy = True
                called.set()
        try:
            called.wait()
            yield
        finally:
            with self._guard:
                if called in self._waiting:  # interrupted before it was called
                    self._waiting.remove(called)
                elif self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._busy = False


class Studio:
    """Everything that can speak, opened when it is first asked for. Safe for several threads."""

    def __init__(
        self,
        weights: "Weights | Callable[[], Weights] | None" = None,
        *,
        voices: Callable[[], Path] | None = None,
        kept: Path | None = None,
        more: Sequence["Engine"] = (),
        measuring: Callable[[str], None] | None = None,
    ) -> None:
        """`weights`: where the models lie, or what tells where they lie by now.

        `voices` opens the directory with the owner's voices. It is asked with every request, since
        its volume may be locked meanwhile. In the directory `kept` lies what is measured of the
        base voices, and of this machine. `more` are engines beside our ladder; those of other
        packages are found by themselves.

        `measuring` is told of what it is about to be found out, for up to half a minute, how it
        computes fastest on this machine (see placing). Without it nothing is measured: what is not
        known is done on one thread, and nobody waits; `measure` finds it out beforehand.
        """
        self.queue = Queue()
        self._weights, self._kept = weights or Weights(), kept
        self._loft = Loft(self._weights, kept, measuring)
        self._voices = voices
        self._more = more
        self._others: dict[tuple[str, ...], Guest] = {}
        self._opening = Lock()

    def engines(self) -> list[EngineState]:
        """Every way to speak, our own first, and why it cannot where it cannot. Loads nothing."""
        own = [_state(rung, self._loft.lacks(rung)) for rung in ladder.RUNGS]
        return own + [
            EngineState(other.name, other.title, other.licence, other.clones, _reason(other))
            for other in self._beside()
        ]

    def find(self, wanted: str = "") -> "Voice | None":
        """A voice of the owner's by id or name; None for the base voice.

        Where nothing is said: the only one there is, or the base voice where there is none. Raises
        TwinError when there is no such voice, when several are meant, or their volume is locked.
        """
        from aitwin.voice import voices

        if wanted in BASE_VOICES or (self._voices is None and not wanted):
            return None
        if self._voices is None:
            raise TwinError(f"no voice is called {wanted!r}; there is the base voice alone: base")
        if wanted:
            return voices.find(self._voices(), wanted)
        try:
            directory = self._voices()
            if not voices.all_(directory) and not voices.damaged(directory):
                return None
            return voices.find(directory)
        except TwinError as error:
            raise TwinError(f"{error}; or choose the base voice: base") from None

    def voices(self) -> "list[Voice]":
        """The owner's, but for damaged ones. Raises TwinError when their volume is locked."""
        from aitwin.voice import voices

        return voices.all_(self._voices()) if self._voices else []

    def best(self, voice: "Voice") -> str:
        """Name of the engine that speaks in a voice where none is asked for: see `ladder`."""
        return next((rung.name for rung in self.ladder(voice) if not rung.lacking), "")

    def emotions(self, voice: "Voice") -> list[str]:
        """Those in which it can speak; none where it has no profile yet."""
        from aitwin.voice import profile

        try:
            return list(profile.load(profile.path_of(voice)).manners)
        except TwinError:
            return []  # `ladder` tells

    def speech(self, voice: "Voice | None", *, emotion: str = "", engine: str = "") -> "Speech":
        """Speech in a voice: see `cast`; its `speaker` is a Cast, which says what was chosen.

        It bears the inaudible mark of synthesised speech wherever that is installed.
        """
        from aitwin.voice.speech import Speech

        chosen = self.cast(voice, emotion=emotion, engine=engine)
        return Speech(chosen, self._loft.watermark(), chosen.note)

    def cast(self, voice: "Voice | None", *, emotion: str = "", engine: str = "") -> Cast:
        """The best speaker for a voice, in an emotion that it was recorded in; None: a base voice.

        With `engine`, that one or none. Raises TwinError when that cannot speak, the voice has no
        such emotion, or nothing at all can speak.
        """
        if emotion and emotion not in EMOTIONS:
            raise TwinError(f"no emotion is called {emotion!r}; there are {', '.join(EMOTIONS)}")
        if emotion and voice is None:
            raise TwinError(
                f"the base voice has one manner alone, so it cannot be {emotion}: emotions are "
                "those of a voice of yours (`twin voice list`)"
            )
        if engine:
            return self._only(engine, voice, emotion)
        if voice is None:
            return self._opened(ladder.BUNDLED, None, ())
        part, barred = _part(voice, emotion)
        passed: list[Passed] = []
        for rung in self._rungs(voice):
            try:
                if why := self._lacks(rung, part, barred):
                    raise TwinError(why)
                return self._opened(rung, part, tuple(passed), voice)
            except (TwinError, ModuleNotFoundError) as error:
                passed.append(Passed(rung.name, _told(error)))
        raise TwinError("nothing can speak: " + "; ".join(f"{p.engine}: {p.why}" for p in passed))

    def warm(self) -> None:
        """Load what speaks everywhere, so that the first who asks does not wait for it.

        Where a part is not installed, whoever asks for it will be told.
        """
        with suppress(TwinError, ModuleNotFoundError):
            clip = self._loft.listen([self._loft.example()])
            for _ in self.speech_like(clip, engine=ladder.MATCHED.name).stream("Hello."):
                pass

    def listen(self, blocks: "Iterable[Samples]") -> "Clip":
        """A short recording, in blocks at heard.RATE, as `speech_like` wants it. Keeps nothing.

        Raises TwinError when too little is said in it.
        """
        return self._loft.listen(blocks)

    def speech_like(self, clip: "Clip", *, engine: str = "") -> "Speech":
        """Speech in the voice of a clip, by the best engine that can, or by `engine` alone.

        Whoever hands in the clip has made sure that its speaker agrees. Raises TwinError when
        nothing can speak like it: no other voice takes its place.
        """
        from aitwin.voice.speech import Speech

        chosen = self._like(clip, engine, None, OF_CLIP)
        return Speech(chosen, self._loft.watermark(), chosen.note)

    def speech_however_little(
        self, voice: "Voice | None", *, emotion: str = "", engine: str = ""
    ) -> "Speech":
        """As `speech`; of a voice of which there are seconds alone, from those, as from a clip.

        That is an approximation, and says so; `speech` would let the base voice speak.
        """
        clones = engine not in {rung.name for rung in ladder.RUNGS if not rung.clones}
        if voice is not None and clones and _has_little(voice):
            with suppress(TwinError):  # even less than a clip needs: `speech` tells
                return self.speech_from_little(voice, emotion=emotion, engine=engine)
        return self.speech(voice, emotion=emotion, engine=engine)

    def speech_from_little(
        self, voice: "Voice", *, emotion: str = "", engine: str = ""
    ) -> "Speech":
        """Speech in a voice of which there are seconds, not the minute that a clone wants.

        From its best utterances, as from a clip. Raises TwinError when its owner has not agreed,
        it has no take that can be listened to, or as `speech_like` does.
        """
        from aitwin.voice import profile as profiles
        from aitwin.voice import reference
        from aitwin.voice.speech import Speech

        profile = profiles.load(profiles.path_of(voice))
        profiles.require_cloneable(profile, embedding=False, seconds=0.0)
        heard = reference.of(voice, profile, emotion)
        clip = self._loft.listen([heard.samples])
        chosen = replace(
            self._like(clip, engine, voice, voice.name), profile=profile, emotion=emotion
        )
        return Speech(chosen, self._loft.watermark(), chosen.note)

    def _like(self, clip: "Clip", engine: str, voice: "Voice | None", owner: str) -> Cast:
        from aitwin.voice.engines import Reference
        from aitwin.voice.heard import RATE

        called = voice.id if voice else CLIP
        made = partial(Cast, voice=called, owner=owner, queue=self.queue, clip=clip)
        foreign = {one.name: one for one in self._beside() if one.clones}
        own = {rung.name: rung for rung in ladder.CLIPS}
        if engine in foreign:
            if why := _reason(foreign[engine]):
                raise TwinError(f"the engine {engine} cannot speak: {why}")
            heard = Reference(called, owner, "", clip.samples, RATE, "")
            return made(engines.Guest.open(foreign[engine], heard), engine, ())
        if engine and engine not in own:
            raise TwinError(
                "no engine of that name speaks like a clip; there are "
                f"{', '.join([*own, *foreign])}"
            )
        passed: list[Passed] = []
        for rung in [own[engine]] if engine else ladder.CLIPS:
            try:
                if why := self._loft.lacks(rung):
                    raise TwinError(why)
                speaker = self._loft.like(rung, clip, owner)
            except (TwinError, ModuleNotFoundError) as error:
                passed.append(Passed(rung.name, _told(error)))
                continue
            return made(
                speaker,
                rung.name,
                tuple(passed),
                approximate=rung is ladder.MATCHED,
                files=partial(self._loft.files, rung, None),
            )
        raise TwinError(
            "nothing can speak like the clip: " + "; ".join(f"{p.engine}: {p.why}" for p in passed)
        )

    def ladder(self, voice: "Voice", *, emotion: str = "") -> list[EngineState]:
        """The rungs for this voice, the best first: `lacking` says why one cannot speak for it.

        Loads nothing: what is damaged is found when it is opened, and told from then on, until
        something of it changes (a pull, a preparation). Raises TwinError when the voice has no such
        emotion.
        """
        part, barred = _part(voice, emotion)
        return [
            _state(
                rung,
                self._lacks(rung, part, barred)
                or self._loft.unopened(rung, part if rung.clones else None),
            )
            for rung in self._rungs(voice)
        ]

    def measure(self, measuring: Callable[[str], None]) -> None:
        """Find out how what speaks for the owner's voices computes fastest here; once.

        Loads nothing where it is known, or where no voice needs it, and keeps nothing loaded. What
        cannot be opened now will say so when it is to speak.
        """
        if self._voices is None:
            return
        studio = Studio(self._weights, voices=self._voices, kept=self._kept, measuring=measuring)
        owned: list[Voice] = []
        with suppress(TwinError):  # their volume is locked
            owned = studio.voices()
        for voice in owned:
            with suppress(TwinError):  # nothing can speak in this one, or it is damaged
                best = next((one for one in studio.ladder(voice) if not one.lacking), None)
                if best and self._loft.unmeasured(best.name):
                    studio.cast(voice)
                    studio.close()

    @property
    def loaded(self) -> list[str]:
        """Names of the engines that hold something in memory."""
        return [*self._loft.opened, *dict.fromkeys(key[0] for key in [*self._others])]

    def close(self) -> None:
        """Forget everything that was loaded."""
        self._loft.close()
        with self._opening:
            self._others.clear()

    def _beside(self) -> "list[Engine]":
        """Engines that speak where they are asked for by name."""
        ours = (*(rung.name for rung in ladder.RUNGS), *(one.name for one in self._more))
        return [*self._more, *engines.installed((*ours, *NO_ENGINE))]

    def _rungs(self, voice: "Voice") -> list[Rung]:
        """The ladder of a voice. A fine-tune is no rung where nobody made one: it is optional.

        One that is damaged is a rung, and passed over with that reason.
        """
        own = [ladder.TUNED] if tuned.find(voice) else []
        return [*own, *ladder.LADDER]

    def _lacks(self, rung: Rung, part: Part | None, barred: Mapping[str, str]) -> str:
        """Why a rung cannot speak for a voice: what the voice lacks first, then the machine."""
        why = barred.get(rung.name, "") or self._loft.lacks(rung)
        if not why and part and rung is ladder.TUNED:
            why = tuned.lacking(part.voice)
        return why

    def _opened(
        self,
        rung: Rung,
        part: Part | None,
        passed: tuple[Passed, ...],
        voice: "Voice | None" = None,
    ) -> Cast:
        speaker = self._loft.open(rung, part if rung.clones else None)
        return Cast(
            speaker,
            rung.name,
            passed,
            voice=voice.id if voice else "",
            owner=voice.name if voice and rung.clones else "",
            emotion=part.emotion if part and rung.clones else "",
            approximate=rung is ladder.MATCHED,
            queue=self.queue,
            profile=part.profile if part and rung.clones else None,
            files=partial(self._loft.files, rung, part),
        )

    def _only(self, engine: str, voice: "Voice | None", emotion: str) -> Cast:
        """That engine, or none. Raises TwinError with what it lacks."""
        others = {other.name: other for other in self._beside()}
        own = {rung.name: rung for rung in ladder.RUNGS}
        wanted = own.get(engine) or others.get(engine)
        if wanted is None:
            raise TwinError(
                f"no engine is called {engine!r}; there are {', '.join([*own, *others])}"
            )
        if wanted.clones and voice is None:
            raise TwinError(f"the engine {engine} speaks in a voice of yours; name one")
        if not wanted.clones and emotion:
            raise TwinError(f"the engine {engine} has a voice of its own, and no emotion of yours")
        part, barred = _part(voice, emotion) if voice and wanted.clones else (None, {})
        if isinstance(wanted, Rung):
            if why := self._lacks(wanted, part, barred):
                raise TwinError(f"the engine {engine} cannot speak: {why}")
            return self._opened(wanted, part, (), voice)
        if why := barred.get(ladder.BUNDLED_CONVERTED.name) or _reason(wanted):
            raise TwinError(f"the engine {engine} cannot speak: {why}")
        return self._foreign(wanted, part)

    def _foreign(self, engine: "Engine", part: Part | None) -> Cast:
        from aitwin.voice import reference

        key = (engine.name, *(part.key if part else ()))
        with self._opening:
            speaker = self._others.get(key)
            if speaker is None:
                heard = reference.of(part.voice, part.profile, part.emotion) if part else None
                # One of each engine: such models are large, and a clip is quickly heard again. The
                # one before goes first: two would be in memory at once.
                for kept in [kept for kept in self._others if kept[0] == engine.name]:
                    del self._others[kept]
                speaker = self._others[key] = engines.Guest.open(engine, heard)
        return Cast(
            speaker,
            engine.name,
            (),
            voice=part.voice.id if part else "",
            owner=part.voice.name if part else "",
            emotion=part.emotion if part else "",
            queue=self.queue,
            profile=part.profile if part else None,
        )


def _part(voice: "Voice", emotion: str) -> tuple[Part | None, dict[str, str]]:
    """What is known of a voice, and by rung why that does not do for it.

    Raises TwinError when the voice was not recorded in `emotion`.
    """
    from aitwin.voice import profile as profiles

    clones = [rung.name for rung in ladder.RUNGS if rung.clones]
    try:
        profile = profiles.load(profiles.path_of(voice))
    except TwinError as error:
        return None, dict.fromkeys(clones, str(error))
    if emotion and emotion not in profile.manners:
        raise TwinError(
            f"the voice {voice.id} was not recorded in {emotion!r}; it has "
            f"{', '.join(profile.manners) or 'none'}: "
            f"`twin voice record --voice {voice.id} --emotion {emotion}`"
        )
    barred = {}
    for name in clones:
        # The match measures sound itself; it wants the speaker's consent as any clone does.
        embedding = name != ladder.MATCHED.name
        if missing := profiles.lacking(profile, embedding=embedding):
            barred[name] = "; ".join(missing)
    return Part(voice, profile, emotion), barred


def _has_little(voice: "Voice") -> bool:
    """Whether all that a voice lacks for a match is speech."""
    from aitwin.voice import profile as profiles

    try:
        profile = profiles.load(profiles.path_of(voice))
    except TwinError:
        return False
    enough = profile.seconds >= profiles.LEAST_SPEECH
    return not enough and not profiles.lacking(profile, embedding=False, seconds=0.0)


def _state(rung: Rung, lacking: str) -> EngineState:
    return EngineState(rung.name, rung.title, rung.licence, rung.clones, lacking)


def _reason(engine: "Engine") -> str:
    """Why another package's engine cannot speak; empty when it says that it can."""
    try:
        return str(engine.lacking())
    except Exception as error:  # noqa: BLE001 (anything may be wrong in another's package)
        return f"it does not say whether it can ({type(error).__name__}); update its package"


def _told(error: TwinError | ModuleNotFoundError) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; run `pip install 'aitwin[clone]'`"
    return str(error)
