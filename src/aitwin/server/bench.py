"""Bench: what listens to recordings behind the routes, opened when it is first asked for.

Shared by all of them, so that each network is in memory once. Answers no request.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from aitwin.errors import TwinError
from aitwin.home import Home

if TYPE_CHECKING:
    from aitwin.voice.audio import Samples
    from aitwin.voice.clips import Clip
    from aitwin.voice.grades import Grade
    from aitwin.voice.openvoice import ReferenceEncoder
    from aitwin.voice.prepare import Tools
    from aitwin.voice.studio import Studio
    from aitwin.voice.transcribe import Transcriber
    from aitwin.voice.verify import Encoder
    from aitwin.voice.voices import Take, Voice

KEPT = 4
"""Clips that are remembered: whoever tries texts with one does not wait for it each time."""
AT_ONCE = 1800.0
"""Seconds of a take up to which whoever sends it waits for its grade: some 25 s of one processor
(measured, 23 minutes: 19 s). Tunnels give an answer up after 100 s."""
PATIENCE = 1.0
"""Seconds that a grade waits for others who are at work on the voice."""
GLANCED = 120.0
"""Seconds of a take that is graded at once even where it cannot be made ready now."""


@dataclass(eq=False)
class Bench:
    """Everything here that can listen. Safe for several threads."""

    home: Home
    _lock: RLock = field(default_factory=RLock, init=False, repr=False)
    _tools: "Tools | None" = field(default=None, init=False, repr=False)
    _clips: "dict[str, Clip]" = field(default_factory=dict, init=False, repr=False)
    """By digest of the samples. In memory alone: a clip is kept nowhere."""
    _encoders: "dict[str, Encoder]" = field(default_factory=dict, init=False, repr=False)

    def grade(self, voice: "Voice", take: "Take") -> "tuple[Grade | None, str]":
        """Make a take ready, and its grade; where that cannot be, why, and what to do.

        The words and who speaks are heard by a preparation of the voice, which takes longer.
        """
        from aitwin.voice import at_work, prepare

        if take.seconds > AT_ONCE and voice.prepared(take) is None:
            return None, "it is long: its grade comes when the voice is prepared"
        try:
            tools = self.tools()
        except (TwinError, ModuleNotFoundError):
            return None, "nothing that could grade it is installed: run `twin doctor`"
        try:
            with at_work.alone(voice, PATIENCE):
                return prepare.prepare(voice, take, tools).grade, ""
        except at_work.BusyError:
            return self._glanced(take), (
                "the voice is being prepared or evaluated: prepare it once more when that is done"
            )
        except TwinError as error:
            return None, str(error)

    def _glanced(self, take: "Take") -> "Grade | None":
        from aitwin.voice.judge import Judge

        if take.seconds > GLANCED:
            return None
        with suppress(TwinError):
            return Judge()(take)
        return None

    def tools(self) -> "Tools":
        """What makes a take ready at once: all but what hears words and tells people apart.

        Raises TwinError or ModuleNotFoundError where that is not installed.
        """
        from aitwin.voice.mos import Listener
        from aitwin.voice.prepare import Tools
        from aitwin.voice.vad import Detector

        with self._lock:
            if self._tools is None:
                detector = Detector()
                listener = None
                with suppress(TwinError, ModuleNotFoundError):
                    listener = Listener()
                self._tools = Tools(detector, mos=listener)
            return self._tools

    def encoder(self) -> "ReferenceEncoder | None":
        """What profiles are made with; None where it was not pulled."""
        from aitwin.rooms import open_encoder
        from aitwin.voice.openvoice import ReferenceEncoder
        from aitwin.voice.verify import OPENVOICE

        with self._lock:
            known = self._encoders.get(OPENVOICE)
            if known is None:
                known, _ = open_encoder(self.home)
                if known is not None:
                    self._encoders[OPENVOICE] = known
            return known if isinstance(known, ReferenceEncoder) else None

    def encoders(self) -> "Mapping[str, Encoder]":
        """All that tell voices apart, by name (see verify.OPENVOICE, verify.GE2E)."""
        from aitwin.models import Shelf
        from aitwin.voice import ge2e, verify

        with self._lock:
            self.encoder()
            if verify.GE2E not in self._encoders:
                with suppress(TwinError, ModuleNotFoundError):  # not pulled, or no torch
                    path, _ = Shelf(self.home.models).open("ge2e")
                    self._encoders[verify.GE2E] = ge2e.SpeakerEncoder.load(path)
            return dict(self._encoders)

    def transcriber(self) -> "Transcriber | None":
        """What hears words; None where it is not installed. Loaded anew: it is asked seldom."""
        from aitwin.voice.transcribe import Transcriber

        if not Transcriber.installed():
            return None
        with suppress(TwinError, ModuleNotFoundError):
            return Transcriber.load()
        return None

    def clip(self, studio: "Studio", path: Path, sound: str) -> "Clip":
        """What speaks like a recording needs to hear of it; the last KEPT are remembered.

        `sound` is the digest of its samples. Raises TwinError when too little is said in it.
        """
        from aitwin.voice.source import Source

        with self._lock:
            clip = self._clips.pop(sound, None)
            if clip is None:
                with closing(Source(path).blocks()) as blocks:
                    clip = studio.listen(blocks)
            self._clips[sound] = clip  # the last one used lies at the end
            for old in [*self._clips][:-KEPT]:
                del self._clips[old]
        return clip

    def warm(self, studio: "Studio") -> None:
        """Load what the first upload and the first clip would wait for; nothing where that fails.

        Takes seconds: for a thread of its own, when the server begins.
        """
        with suppress(TwinError, ModuleNotFoundError):
            from aitwin.voice.judge import Judge

            self.tools()
            Judge()  # which knows what is loaded late, and loads it
        studio.warm()

    def likeness(self, said: "Samples", own: "Samples") -> dict[str, float]:
        """How like somebody's own speech what was said is, by encoder; empty: none is here.

        Both are sound at heard.RATE.
        """
        from aitwin.voice import speakers
        from aitwin.voice.placing import Placing

        told = {}
        for name, encoder in self.encoders().items():
            # One thread: others speak and write meanwhile.
            with Placing().engaged(), suppress(ValueError):  # too short to be heard
                told[name] = speakers.cosine(encoder.embed(said), encoder.embed(own))
        return told

    def renew_profile(self, voice: "Voice") -> str:
        """Bring a voice's profile up to date with its takes and its consent; what went wrong.

        Whoever calls keeps others out meanwhile (see at_work).
        """
        from aitwin.rooms import open_base_speakers
        from aitwin.voice import profile

        ready = [one for take in voice.takes() if (one := voice.prepared(take))]
        if not any(one.grade.letter in profile.USABLE for one in ready):
            profile.remove(voice)  # one of takes that are gone is not to outlive them
            return ""
        encoder = self.encoder()
        bases = open_base_speakers(self.home, encoder.size if encoder else None)
        try:
            profile.build(voice, encoder, base_speakers=bases)
        except TwinError as error:
            return str(error)
        return ""
