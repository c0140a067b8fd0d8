"""The rungs of the studio's ladder: what each of our engines wants, and how it is opened.

What is loaded is kept, and shared by all rungs that want it. Does not choose a rung: see studio.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from aitwin import __version__, artifact
from aitwin.errors import TwinError
from aitwin.voice import tuned
from aitwin.voice.configs import PULL

if TYPE_CHECKING:
    from aitwin.voice.audio import Samples, Utterance
    from aitwin.voice.bert import Bert
    from aitwin.voice.clips import Clip
    from aitwin.voice.converter import Converter
    from aitwin.voice.engines import Bundled, Speaker
    from aitwin.voice.melo import Melo, MeloSpeaker
    from aitwin.voice.melo_reader import Reader
    from aitwin.voice.melo_text import FrontEnd
    from aitwin.voice.openvoice import Embedding, ReferenceEncoder
    from aitwin.voice.profile import VoiceProfile
    from aitwin.voice.steering import Steering
    from aitwin.voice.studio import Weights
    from aitwin.voice.voices import Voice
    from aitwin.voice.watermark import Watermark

T = TypeVar("T")
N = TypeVar("N", "Converter", "Melo")

KEPT = 16
"""Opened speakers that are kept: nine emotions of a voice, and some of another."""
ENOUGH = 20.0
"""Seconds of neutral speech from which that, and not all emotions together, is the voice's own
tone colour where no emotion is asked for: 26 s are within 0.994 of the voice's (see profile)."""
PLACING = "placing.json"
"""File in `kept` with what was found to be fastest on this machine: see placing."""
UNOPENED = "unopened.json"
"""File in `kept` with what was all there and did not open, as digests, from which no voice can be
told. Whatever changes in its files makes another digest."""
UNOPENED_KEPT = 200
"""Of those, the last ones: every rung of some voices in all emotions."""
DEFAULT_BASE = "en-default"
"""MeloTTS's speaker where the profile knows none that is near."""


@dataclass(frozen=True)
class Rung:
    """One of our own engines."""

    name: str
    title: str
    licence: str
    clones: bool
    wants: tuple[str, ...]
    """Fields of studio.Weights."""
    modules: tuple[str, ...]
    """What must be importable."""
    extra: str
    """What pip installs the modules with."""


_MELO = ("melotts", "bert", "g2p")
_NETWORKS = ("torch", "safetensors")
TUNED = Rung(
    "melotts+finetune",
    "MeloTTS, fine-tuned on your voice",
    *("MIT, Apache-2.0", True, ("bert", "g2p"), _NETWORKS, "clone"),
)
MELO_CONVERTED = Rung(
    "melotts+openvoice",
    "MeloTTS in your tone colour, by OpenVoice V2",
    *("MIT, Apache-2.0", True, (*_MELO, "openvoice"), _NETWORKS, "clone"),
)
BUNDLED_CONVERTED = Rung(
    "bundled+openvoice",
    "the bundled base voice in your tone colour, by OpenVoice V2",
    *("Apache-2.0, MIT", True, ("openvoice",), ("hibari", *_NETWORKS), "clone"),
)
MATCHED = Rung(
    "bundled+match",
    "the bundled base voice moved towards yours: an approximate match",
    *("Apache-2.0, MIT", True, (), ("hibari", "scipy", "onnxruntime"), "clone"),
)
MELO = Rung(
    "melotts",
    "a base voice of MeloTTS: nobody's",
    *("MIT, Apache-2.0", False, _MELO, _NETWORKS, "clone"),
)
BUNDLED = Rung(
    "bundled",
    "the bundled base voice: nobody's",
    *("Apache-2.0", False, (), ("hibari",), "speak"),
)
LADDER = (MELO_CONVERTED, BUNDLED_CONVERTED, MATCHED, BUNDLED)
"""The best first."""
CLIPS = LADDER[:-1]
"""Those that speak like a clip: there is no other voice in its place."""
RUNGS = (TUNED, *LADDER[:-1], MELO, BUNDLED)
"""All of them: a fine-tune is there for some voices, and MeloTTS's own voice is never the best."""
_PULLED = {
    "openvoice": "openvoice-v2",
    "melotts": "melotts-english",
    "bert": "bert-base-uncased",
    "g2p": "the pronunciation data",
}


@dataclass(frozen=True, eq=False)
class Part:
    """What a rung that clones is opened for."""

    voice: "Voice"
    profile: "VoiceProfile"
    emotion: str
    """As asked for, and among the profile's; empty for the voice as it mostly speaks."""

    @property
    def owner(self) -> str:
        """For a sentence on whose voice is heard."""
        manner = f", {self.emotion}" if self.emotion else ""
        return f"{self.voice.name}{manner}"

    @property
    def key(self) -> tuple[str, ...]:
        """Changes with everything that a speaker is made of."""
        made = [self.profile.path / artifact.MANIFEST]
        if not tuned.lacking(self.voice):
            made.append(tuned.path_of(self.voice) / artifact.MANIFEST)
        digests = map(artifact.sha256, made)
        return (str(self.voice.path), self.voice.name, self.emotion, *digests)


@dataclass(frozen=True, eq=False)
class Own:
    """A Speaker that has learned the voice, and so is the owner's as it stands."""

    speaker: "Speaker"
    name: str
    title: str

    @property
    def cloned(self) -> bool:
        """See Speaker."""
        return True

    def describe(self) -> str:
        """See Speaker."""
        return self.title

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> "Utterance":
        """See Speaker."""
        return self.speaker.speak(sentence, speed=speed, seed=seed)


class Loft:
    """Loads weights and opens rungs, each once. Safe for several threads."""

    def __init__(
        self,
        weights: "Weights | Callable[[], Weights]",
        kept: Path | None = None,
        measuring: Callable[[str], None] | None = None,
    ) -> None:
        """See Studio."""
        self._where = weights if callable(weights) else lambda: weights
        self._known: Weights | None = None
        self._kept = kept
        self._measuring = measuring
        self._opening = RLock()
        self._loaded: dict[str, Any] = {}
        self._speakers: dict[tuple[str, ...], Speaker] = {}
        self._why: dict[str, str] = {}

    @property
    def _weights(self) -> "Weights":
        """Asked anew until all are there: a server is told of what is pulled while it runs."""
        known = self._known
        if known is None or None in (known.openvoice, known.melotts, known.bert, known.g2p):
            known = self._known = self._where()
        return known

    @property
    def opened(self) -> list[str]:
        """Names of the rungs that hold something in memory."""
        return list(dict.fromkeys(key[0] for key in [*self._speakers]))

    def files(self, rung: Rung, part: Part | None) -> tuple[Path, ...]:
        """All that a rung's networks are loaded from."""
        places = [getattr(self._weights, name) for name in rung.wants]
        if part and rung is TUNED:
            places.append(tuned.path_of(part.voice))
        return tuple(
            sorted(
                file
                for place in places
                if place is not None
                for file in place.rglob("*")
                if file.is_file()
                and file.name != artifact.MANIFEST
                and file.parent.name != tuned.SAMPLES
            )
        )

    def lacks(self, rung: Rung) -> str:
        """Why a rung cannot speak on this machine, and what to do; empty when it can."""
        missing = [name for name in rung.modules if find_spec(name) is None]
        reasons = (
            [f"{', '.join(missing)} not installed: run `pip install 'aitwin[{rung.extra}]'`"]
            if missing
            else []
        )
        weights = self._weights
        absent = [name for name in rung.wants if getattr(weights, name) is None]
        told = weights.lacking
        reasons += [told[name] for name in absent if name in told]
        if unknown := [_PULLED[name] for name in absent if name not in told]:
            reasons.append(f"not here yet: {', '.join(unknown)}; {PULL}")
        return "; ".join(dict.fromkeys(reasons))

    def open(self, rung: Rung, part: Part | None) -> "Speaker":
        """A rung's speaker; `part` for those that clone.

        Raises TwinError when its weights are damaged, or do not fit the voice's profile; that is
        remembered, see `unopened`.
        """
        key = (rung.name, *(part.key if part else ()))
        with self._opening:
            speaker = self._speakers.pop(key, None)
            if speaker is None:
                made_of = self._made_of(rung, part)
                try:
                    speaker = _OPENERS[rung](self, part)
                except TwinError as error:
                    self._remember(made_of, str(error))
                    raise
                self._remember(made_of, "")
            self._speakers[key] = speaker  # the last one used lies at the end
            for old in [*self._speakers][:-KEPT]:
                del self._speakers[old]
        return speaker

    def unopened(self, rung: Rung, part: Part | None) -> str:
        """Why a rung for which nothing is lacking did not open when it last was to; empty when it
        did, was never tried, or is made of something else by now. Opens nothing.
        """
        try:
            made_of = self._made_of(rung, part)
        except OSError:
            return ""  # the voice is gone meanwhile
        if made_of not in self._noted():
            return ""
        again = f" --voice {part.voice.id}" if part else ""
        return self._why.get(made_of) or (
            f"all of it is here, and it did not open when it was last tried; "
            f"`twin say Hello{again} --engine {rung.name}` tries again, and says why"
        )

    def _made_of(self, rung: Rung, part: Part | None) -> str:
        """A digest that changes with all that a rung is opened from. Reads no weights."""
        made = [__version__, rung.name, *(part.key if part else ())]
        for file in self.files(rung, part):
            try:
                seen = file.stat()
            except OSError:
                continue  # gone meanwhile, which changes the digest as well
            made.append(f"{file} {seen.st_size} {seen.st_mtime_ns}")
        return artifact.digest("\n".join(made))

    def _noted(self) -> list[str]:
        """What did not open, by `_made_of`: here, or in another process before."""
        if self._kept is None:
            return [*self._why]
        try:
            noted = json.loads((self._kept / UNOPENED).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return []
        return [one for one in noted if isinstance(one, str)] if isinstance(noted, list) else []

    def _remember(self, made_of: str, why: str) -> None:
        """That something did not open; or, without `why`, that it did."""
        noted = self._noted()
        self._why.pop(made_of, None)
        if why:
            self._why[made_of] = why
            for old in [*self._why][:-UNOPENED_KEPT]:
                del self._why[old]
        if self._kept is None or (not why and made_of not in noted):
            return
        noted = [one for one in noted if one != made_of] + [made_of] * bool(why)
        with suppress(OSError, TwinError):  # a full disk keeps nobody from speaking
            artifact.make_private_dir(self._kept)
            artifact.write_private(self._kept / UNOPENED, json.dumps(noted[-UNOPENED_KEPT:]))

    def unmeasured(self, name: str) -> bool:
        """Whether it is not known yet how that rung's networks compute fastest here."""
        from aitwin.voice import converter, melo, placing

        works = {
            TUNED.name: (melo.WORK,),
            MELO_CONVERTED.name: (melo.WORK, converter.WORK),
            BUNDLED_CONVERTED.name: (converter.WORK,),
        }.get(name, ())
        if self._kept is None:
            return False
        return any(placing.known(self._kept / PLACING, work) is None for work in works)

    def watermark(self) -> "Watermark | None":
        """What marks speech as synthesised; None where it is not installed."""
        from aitwin.voice.watermark import Watermark

        try:
            return self._once("watermark", Watermark.load)
        except TwinError:
            return None

    def close(self) -> None:
        """Forget everything that was loaded."""
        with self._opening:
            self._loaded.clear()
            self._speakers.clear()

    # --- Rungs ------------------------------------------------------------------------------------

    def _bundled(self, part: Part | None = None) -> "Bundled":
        from aitwin.voice.engines import Bundled

        return self._once("bundled", Bundled)

    def _plain_melo(self, part: Part | None = None) -> "MeloSpeaker":
        return self._melo_speaker(DEFAULT_BASE)

    def _matched(self, part: Part | None) -> "Speaker":
        from aitwin.voice import matched, steering, timbre
        from aitwin.voice import profile as profiles

        assert part is not None  # noqa: S101 (studio opens no clone without one)
        base = self._bundled()
        # Without an emotion the timbre's own pitch and melody do, and the base's manner need not
        # be measured.
        manner = (
            steering.of(part.profile, part.emotion, steering.manner(base, self._kept))
            if part.emotion
            else None
        )
        own = timbre.of(part.voice, part.profile, part.emotion)
        if profiles.lacking(part.profile, embedding=False):
            # Taken back while it was measured: what was measured must not stay.
            artifact.remove(timbre.path_of(part.voice))
            with suppress(OSError):
                part.voice.path.rmdir()  # all of the voice is gone
            profiles.require_cloneable(part.profile, embedding=False)
        return matched.Matched(base, own, f"the voice of {part.owner}", manner, self._kept)

    def _tuned(self, part: Part | None) -> Own:
        from aitwin.voice import melo

        assert part is not None  # noqa: S101
        tune = tuned.load(tuned.path_of(part.voice))
        # As large as MeloTTS: what is fastest for one is for the other.
        files = tune.checkpoint, tune.config

        def load() -> "tuple[Melo, FrontEnd]":
            tuned.opened(tune.path)  # once for each: it reads all the weights
            self._forget(TUNED)  # before: two would be in memory at once
            own = self._placed(melo.Melo, files, melo.WORK, "MeloTTS")
            return own, self._reader().front_end(tune.config)

        # One network for all emotions, which are its speakers; another fine-tune takes its place.
        made = artifact.sha256(tune.path / artifact.MANIFEST)
        own, front_end = self._latest(TUNED.name, f"{tune.path} {made}", load)
        speaker = melo.MeloSpeaker(own, front_end, self._bert(), tune.speaker(part.emotion))
        return Own(speaker, TUNED.name, f"the voice of {part.owner} (MeloTTS, fine-tuned on it)")

    def _converted(self, part: Part | None) -> "Speaker":
        assert part is not None  # noqa: S101
        return self._in_tone_colour(self._bundled(), None, part, "the bundled base voice")

    def _melo_converted(self, part: Part | None) -> "Speaker":
        assert part is not None  # noqa: S101
        name = part.profile.base.name if part.profile.base else DEFAULT_BASE
        official = self._base_speakers().get(name)
        return self._in_tone_colour(self._melo_speaker(name), official, part, "MeloTTS")

    def _in_tone_colour(
        self, base: "Speaker", official: "Embedding | None", part: Part, words_by: str
    ) -> "Speaker":
        from aitwin.voice import steering

        if part.profile.inputs.get("encoder") != self._encoder().digest:
            raise TwinError(
                f"the profile of {part.voice.id} was made with another encoder than the converter "
                f"has; run `twin voice prepare {part.voice.id}`"
            )
        return self._coloured(
            base,
            official,
            _tone_colour(part.profile, part.emotion),
            f"the voice of {part.owner} (cloned: {words_by} in its tone colour)",
            steering.within(part.profile, part.emotion) if part.emotion else None,
        )

    def _coloured(
        self,
        base: "Speaker",
        official: "Embedding | None",
        target: "Embedding",
        title: str,
        steering: "Steering | None" = None,
    ) -> "Speaker":
        from aitwin.voice.converted import Converted

        return Converted(
            base=base,
            converter=self._converter(),
            source=self._tone(base) if official is None else official,
            target=target,
            title=title,
            steering=steering,
        )

    # --- Clips ------------------------------------------------------------------------------------

    def listen(self, blocks: "Iterable[Samples]") -> "Clip":
        """A recording in blocks at heard.RATE, as `like` wants it. Errors: as of clips.of."""
        from aitwin.voice import clips, vad

        detector = self._once("detector", vad.Detector)
        encodes = all(map(find_spec, _NETWORKS)) and self._weights.openvoice is not None
        return clips.of(blocks, detector, self._encoder() if encodes else None)

    def example(self) -> "Samples":
        """A sentence of the bundled voice, at heard.RATE."""
        from aitwin.voice import timbre

        return next(timbre.spoken(self._bundled()))[1]

    def like(self, rung: Rung, clip: "Clip", owner: str) -> "Speaker":
        """A rung's speaker for a clip; `owner` says whose it is, in words.

        Not kept: whoever hands in the clip knows how long it may stay. Raises TwinError when the
        rung clones from takes alone, or as `open` does.
        """
        opened = _LIKE.get(rung)
        if opened is None:
            raise TwinError(f"the engine {rung.name} speaks in no voice of a clip")
        with self._opening:
            return opened(self, clip, owner)

    def _like_matched(self, clip: "Clip", owner: str) -> "Speaker":
        from aitwin.voice import matched, timbre

        base = self._bundled()
        known = self._once("base timbre", lambda: timbre.of_speaker(base, self._kept))
        return matched.Matched(base, clip.timbre, f"the voice of {owner}", known=known)

    def _like_converted(self, clip: "Clip", owner: str) -> "Speaker":
        title = f"the voice of {owner} (cloned: the bundled base voice in its tone colour)"
        return self._coloured(self._bundled(), None, _embedding(clip), title)

    def _like_melo(self, clip: "Clip", owner: str) -> "Speaker":
        from aitwin.voice import profile

        target, bases = _embedding(clip), self._base_speakers()
        nearest = profile.nearest_base(target, bases)
        name = nearest.name if nearest else DEFAULT_BASE
        title = f"the voice of {owner} (cloned: MeloTTS in its tone colour)"
        return self._coloured(self._melo_speaker(name), bases.get(name), target, title)

    # --- Weights ----------------------------------------------------------------------------------

    def _once(self, name: str, load: Callable[[], T]) -> T:
        with self._opening:
            if name not in self._loaded:
                self._loaded[name] = load()
            loaded: T = self._loaded[name]
            return loaded

    def _latest(self, name: str, made_of: str, load: Callable[[], T]) -> T:
        """As `_once`, as long as it is made of the same: what was loaded before is forgotten."""
        with self._opening:
            before, _ = self._loaded.get(name, ("", None))
            if before != made_of:
                self._loaded.pop(name, None)
                self._loaded[name] = made_of, load()
            loaded: T = self._loaded[name][1]
            return loaded

    def _forget(self, rung: Rung) -> None:
        """Let go of a rung's speakers, which hold what they speak with."""
        for key in [key for key in self._speakers if key[0] == rung.name]:
            del self._speakers[key]

    def _lies(self, name: str) -> Path:
        path: Path | None = getattr(self._weights, name)
        if path is None:
            raise TwinError(f"{_PULLED[name]} is not here yet; {PULL}")
        return path

    def _converter(self) -> "Converter":
        from aitwin.voice import converter

        lies = self._lies("openvoice")
        files = lies / "checkpoint.pth", lies / "config.json"
        return self._once(
            "converter",
            lambda: self._placed(
                converter.Converter, files, converter.WORK, "the converter of tone colour"
            ),
        )

    def _encoder(self) -> "ReferenceEncoder":
        from aitwin.voice.openvoice import ReferenceEncoder

        return self._once(
            "encoder",
            lambda: ReferenceEncoder.load(self._lies("openvoice") / "checkpoint.pth"),
        )

    def _base_speakers(self) -> "dict[str, Embedding]":
        from aitwin.voice import openvoice

        directory = self._lies("openvoice") / "speakers"
        return self._once(
            "base speakers",
            lambda: (
                openvoice.speakers(directory, self._encoder().size) if directory.is_dir() else {}
            ),
        )

    def _reader(self) -> "Reader":
        from aitwin.voice.melo_reader import Reader

        return self._once("reader", lambda: Reader(self._lies("g2p"), self._lies("bert")))

    def _front_end(self, config: Path) -> "FrontEnd":
        return self._reader().front_end(config)

    def _bert(self) -> "Bert":
        return self._reader().network

    def _melo(self) -> "Melo":
        from aitwin.voice import melo

        lies = self._lies("melotts")
        files = lies / "checkpoint.pth", lies / "config.json"
        return self._once("melotts", lambda: self._placed(melo.Melo, files, melo.WORK, "MeloTTS"))

    def _placed(self, network: type[N], files: tuple[Path, Path], work: str, title: str) -> N:
        """A network of `files`, where it is fastest here: measured once, and whoever waits is told.

        Where nothing is known and nothing to be measured, on one thread.
        """
        from aitwin.voice import placing

        note = self._kept / PLACING if self._kept else None
        known = placing.known(note, work) if note else None
        if note and known is None and self._measuring:
            self._measuring(title)
            return network.tuned(*files, note)
        return network.load(*files, known)

    def _melo_speaker(self, base: str) -> "MeloSpeaker":
        from aitwin.voice.melo import MeloSpeaker

        melo = self._melo()
        by_name = {name.lower().replace("_", "-"): name for name in melo.speakers}
        name = by_name.get(base) or by_name.get(DEFAULT_BASE) or next(iter(melo.speakers))
        front_end = self._front_end(self._lies("melotts") / "config.json")
        return MeloSpeaker(melo, front_end, self._bert(), name)

    def _tone(self, base: "Speaker") -> "Embedding":
        """A base's own tone colour, from `kept` where it was measured before."""
        import numpy as np

        from aitwin.voice import converted
        from aitwin.voice.placing import Placing

        encoder = self._encoder()
        made_of = artifact.digest(f"{encoder.digest} {converted.MEASURED} {base.describe()}")
        known = self._kept / f"tone-{base.name}-{made_of[:16]}.npy" if self._kept else None
        if known is not None and known.is_file():
            try:
                found = np.load(known, allow_pickle=False)
                if found.shape == (encoder.size,) and np.isfinite(found).all():
                    return np.asarray(found, np.float32)
            except (OSError, ValueError, EOFError):
                pass  # damaged: it is measured anew
        with Placing().engaged():
            measured = converted.tone(base, encoder)
        if known is not None:
            file = BytesIO()
            np.save(file, measured)
            artifact.make_private_dir(known.parent)
            artifact.write_private(known, file.getvalue())
        return measured


_OPENERS: dict[Rung, Callable[[Loft, Part | None], "Speaker"]] = {
    TUNED: Loft._tuned,
    MELO_CONVERTED: Loft._melo_converted,
    BUNDLED_CONVERTED: Loft._converted,
    MATCHED: Loft._matched,
    MELO: Loft._plain_melo,
    BUNDLED: Loft._bundled,
}


_LIKE: "dict[Rung, Callable[[Loft, Clip, str], Speaker]]" = {
    MELO_CONVERTED: Loft._like_melo,
    BUNDLED_CONVERTED: Loft._like_converted,
    MATCHED: Loft._like_matched,
}


def _embedding(clip: "Clip") -> "Embedding":
    if clip.embedding is None:
        raise TwinError(f"the clip was heard by no encoder; {PULL}")
    return clip.embedding


def _tone_colour(profile: "VoiceProfile", emotion: str) -> "Embedding":
    """The voice's in an emotion, or as near to it as was heard."""
    manner = profile.manners.get(emotion or "neutral")
    if manner and manner.embedding is not None and (emotion or manner.seconds >= ENOUGH):
        return manner.embedding
    if profile.pooled is None:
        raise TwinError(f"{profile.path} has no speaker embedding; run `twin voice prepare`")
    return profile.pooled
