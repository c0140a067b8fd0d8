"""twin voice record: a recording session in the terminal.

Leads from the sound check to the last sentence. What is kept, and how, is decided in
voice.record; what is seen, in recording_screen.
"""

from collections import Counter
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aitwin.cli.booth import Booth, QuitError, opened
from aitwin.cli.choosing import Owned, emotions
from aitwin.cli.console import say, table
from aitwin.cli.keys import Keys
from aitwin.errors import TwinError
from aitwin.home import Home

if TYPE_CHECKING:
    from pathlib import Path

    from aitwin.cli.recording_screen import View
    from aitwin.voice.microphone import Block, Microphone
    from aitwin.voice.prompts import Prompt
    from aitwin.voice.record import Hears, Judges, Kept, Recording, Session, Speaks
    from aitwin.voice.soundcheck import Levels, Room
    from aitwin.voice.voices import Voice

ROOM_SECONDS = 3.0  # of silence; hum needs two
LINE = "The quick brown fox jumps over the lazy dog, and then it sits down in the sun."
"""For the level: everybody knows it, and it has every letter."""

_READINGS = {2: "second", 3: "third", 4: "fourth"}
_START = {" ": "start"}
_GO_ON = {" ": "go on", "r": "again"}
_READY = {" ": "start", "r": "retake", "s": "skip", "e": "next emotion", "p": "pause"}
_READING = {" ": "stop", "r": "retake", "s": "skip", "e": "next emotion", "p": "pause"}


def register(voices: typer.Typer) -> None:
    """Add the command."""
    voices.command(epilog="Example: twin voice record --name ana")(record)


def record(  # noqa: PLR0913 (one flag per thing to choose)
    voice: Owned = "",
    name: Annotated[str, typer.Option("--name", help="Your name, for a new voice.")] = "",
    device: Annotated[
        str, typer.Option("--device", help="Microphone by number or name, or a sound file.")
    ] = "",
    emotion: Annotated[
        str, typer.Option("--emotion", help="Record this one only.", autocompletion=emotions)
    ] = "",
    i_am_the_speaker: Annotated[
        bool,
        typer.Option("--i-am-the-speaker", help="Give your consent by this flag, not aloud."),
    ] = False,
    consent: Annotated[bool, typer.Option("--consent", help="Give your consent anew.")] = False,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Show the microphones, and end.")
    ] = False,
    pace: Annotated[
        float, typer.Option("--pace", hidden=True, min=0.1, help="How fast a file is played.")
    ] = 1.0,
) -> None:
    """Record your voice: sentences to read aloud, in nine emotions, on as many days as you like.

    Begins with a check of the room and of the level, and with your consent.

    Whatever was said is kept; the next session goes on at the same sentence.
    """
    from aitwin.voice import microphone
    from aitwin.voice import record as recording
    from aitwin.voice.emotions import EMOTIONS

    if list_devices:
        listed = [(one.id, one.name, one.sample_rate, one.channels, "default" * one.default)
                  for one in microphone.devices()]  # fmt: skip
        table("Microphones", ("id", "name", "Hertz#", "channels#", ""), listed)
        return
    if emotion and emotion not in EMOTIONS:
        raise TwinError(f"no emotion is called {emotion!r}; there are {', '.join(EMOTIONS)}")
    with Keys() as keys:
        heard = microphone.find(device, pace=pace)
        owned = _voice(Home.from_environment(), voice, name)
        with recording.alone(owned):
            sitting = Sitting(owned, emotion, _judge(), _hears(), _speaks())
            try:
                sitting.run(heard, keys, stated=i_am_the_speaker, anew=consent)
            except QuitError:
                pass
            except KeyboardInterrupt:
                raise typer.Exit(130) from None
            except OSError as error:
                raise TwinError(
                    f"{owned.path} cannot be written to ({error.strerror}); nothing that was said "
                    "is lost: free some space, or attach the disk again, and run it again"
                ) from None
            finally:
                sitting.farewell()


class Sitting:
    """One run of the command, from the sound check to the farewell."""

    def __init__(
        self,
        voice: "Voice",
        emotion: str = "",
        judge: "Judges | None" = None,
        hears: "Hears | None" = None,
        speaks: "Speaks | None" = None,
    ) -> None:
        from aitwin.voice import record as recording

        self.voice = voice
        self._had_page = voice.page.exists()
        self.rescued = recording.recover(voice)
        self._past = recording.past(voice)
        self._script = recording.script(voice, _sentences(), self._past, emotion)
        self._judge = judge
        self._hears = hears
        self._speaks = speaks
        self._only = emotion
        self._doubts = recording.consent_doubts(voice)
        self._session: Session | None = None

    def run(self, microphone: "Microphone", keys: Keys, *, stated: bool, anew: bool) -> None:
        """All of it. Raises QuitError when the owner goes."""
        if self._script.current is None and not (anew or self._doubts):
            return
        title = f"{self.voice.name}, {microphone.name}, {microphone.sample_rate / 1_000:g} kHz"
        with opened(microphone, keys, title) as booth:
            if self._doubts:
                self._tell_doubts(booth, stated=stated)
            room = booth.insist(lambda: check_room(booth))
            levels = booth.insist(lambda: check_voice(booth, room))
            session = self._begin(booth, room, levels)
            self._consent(booth, session, stated=stated, anew=anew)
            read_aloud(booth, session)

    def farewell(self) -> None:
        """Tell what was kept, and how to go on."""
        if self.rescued:
            say(f"takes kept of a session that broke off: {len(self.rescued)}")
        if self._had_page and not self.voice.page.exists():
            say(
                "the page held a take that was retaken, and is deleted; "
                f"`twin voice report {self.voice.id}` makes it anew"
            )
        progress = self._script.progress()
        said, asked = (sum(getattr(one, what) for one in progress) for what in ("said", "asked"))
        kept = self._session.kept if self._session else []
        grades = Counter(self._session.grades.values() if self._session else ())
        letters = ", ".join(f"{grades[letter]} {letter}" for letter in sorted(grades))
        say(
            f"takes kept: {len(kept)}{f' ({letters})' if letters else ''}; voice {self.voice.id} "
            f"has {said / 60:.1f} of {asked / 60:.0f} minutes"
        )
        again = f"twin voice record --voice {self.voice.id}"
        if self._script.current is not None:
            say(f"go on when you like: {again}")
        elif all(one.full for one in progress):
            say(
                f"that is all that was asked for; go on with: twin voice prepare {self.voice.id} "
                "(one emotion once more, from its first sentence to its last: "
                f"{again} --emotion {self._only or 'happy'})"
            )
        elif self._only and not self._script.skipped:
            say(f"there is enough of {self._only}; go on with the others: {again}")
        else:
            say(f"what is left was skipped, and comes again next time: {again}")

    def _begin(self, booth: Booth, room: "Room", levels: "Levels") -> "Session":
        from aitwin.voice import record as recording

        conditions = recording.Conditions.found(booth.microphone, room, levels)
        session = recording.Session(self.voice, conditions, self._script, self._judge, self._speaks)
        self._session = session
        warnings = [recording.room_left(self.voice)]
        if self._past:
            warnings += conditions.changes(self._past[-1].conditions)
        found = tuple(warning for warning in warnings if warning)
        if found:
            booth.view.heading, booth.view.direction = "Before you begin", ""
            booth.view.text = "\n\n".join(found)
            booth.show({" ": "go on all the same"}, "what is recorded should sound alike", ())
            booth.ask(_START)
        return session

    def _consent(self, booth: Booth, session: "Session", *, stated: bool, anew: bool) -> None:
        from aitwin.voice import consent as consents

        place = self.voice.path / "consent"
        if not (anew or self._doubts) and consents.load(place) is not None:
            return
        today = datetime.now().astimezone().date()
        if stated:
            consents.store(place, consents.stated(self.voice.name, today))
        else:
            ask_consent(booth, session, today, self._hears)
        self._doubts = ()

    def _tell_doubts(self, booth: Booth, *, stated: bool) -> None:
        view = booth.view
        view.heading, view.direction = "Your consent is wanted anew", ""
        view.text = f"The consent that is kept does not count: {', and '.join(self._doubts)}."
        then = "by the flag" if stated else "to be read aloud, after the room and the level"
        booth.show(_START, f"it comes {then}", ())
        booth.ask(_START)


def check_room(booth: Booth) -> "Room":
    """Listen to the room until the owner is content with it."""
    view = booth.view
    while True:
        view.heading, view.text = "1. The room", ""
        view.direction = "How quiet is it? Keep still for three seconds."
        booth.show(_START, "press space, then keep still", ())
        booth.ask(_START)
        room = _hear_room(booth)
        latency = f", {room.latency * 1_000:.0f} ms behind" if room.latency else ""
        status = f"noise {room.noise:.0f} dBFS, {room.sample_rate:,} Hertz{latency}"
        booth.show(_GO_ON, status, room.advice or ("A good room to record in.",))
        if booth.ask(_GO_ON) == " ":
            return room


def check_voice(booth: Booth, room: "Room") -> "Levels":
    """Hear a line read aloud until the owner is content with its level.

    Raises TwinError when the microphone gives nothing but zeros.
    """
    from aitwin.voice.microphone import permission_advice
    from aitwin.voice.soundcheck import voice_advice

    view = booth.view
    while True:
        view.heading, view.text = "2. The level", LINE
        view.direction = "Sit as you will for the whole hour, and read this in your usual voice."
        booth.show(_START, "press space, then read aloud", ())
        booth.ask(_START)
        levels = _hear_line(booth, room.noise)
        if levels.silent:
            raise TwinError(permission_advice())
        status = f"voice {levels.speech:.0f} dBFS, peak {levels.peak:.0f} dB"
        advice = voice_advice(levels, room.noise) or ("A good level.",)
        booth.show(_GO_ON, status if levels.said else "", advice)
        if booth.ask(_GO_ON) == " ":
            return levels


def _hear_room(booth: Booth) -> "Room":
    from aitwin.voice import soundcheck

    rate, stream = booth.microphone.sample_rate, booth.stream
    blocks: list[Block] = []
    lost, meter = stream.lost, soundcheck.Meter(rate)

    def hear(block: "Block") -> None:
        blocks.append(block)
        meter.hear(block)

    booth.show({}, "listening to the room, keep still")
    if booth.listen(hear, meter, lambda: meter.seconds >= ROOM_SECONDS, {}):
        raise QuitError
    return soundcheck.room(blocks, rate, latency=stream.latency, lost=stream.lost - lost)


def _hear_line(booth: Booth, noise: float) -> "Levels":
    from aitwin.voice.soundcheck import Meter

    meter, words = Meter(booth.microphone.sample_rate, noise), len(LINE.split())
    booth.view.recording = True
    booth.show({" ": "stop"}, "read aloud; it stops by itself")
    if booth.listen(meter.hear, meter, lambda: meter.finished(words), {" ": "stop"}) == "q":
        raise QuitError
    return meter.levels()


def ask_consent(booth: Booth, session: "Session", today: date, hears: "Hears | None") -> None:
    """Have the consent read aloud. Raises TwinError when it is not heard several times."""
    from aitwin.voice import consent as consents
    from aitwin.voice.record import CONSENT_TRIES

    sentence = consents.sentence(session.voice.name, today)
    view = booth.view
    view.heading, view.text = "3. Your consent", sentence
    view.direction = "Nobody's voice is learned without it. Read it aloud, word by word."
    booth.show(_START, "", ())
    for attempt in range(1, CONSENT_TRIES + 1):
        recording = booth.insist(lambda: _hear_consent(booth, session, sentence))
        booth.show({}, "listening to what was said")
        if session.accept(recording, sentence, today, hears):
            return
        unheard = f"The sentence was not heard ({attempt} of {CONSENT_TRIES}); read all of it."
        booth.show(_START, "", (unheard,))
    raise TwinError(
        f"the consent was not heard, {CONSENT_TRIES} times; run it again in a quieter room, or "
        "give your word with --i-am-the-speaker"
    )


def read_aloud(booth: Booth, session: "Session") -> None:
    """Sentence after sentence, until all is read. Raises QuitError when the owner goes."""
    from aitwin.voice.microphone import UnpluggedError

    booth.show(_READY, "", ("Everything is kept as you go; end whenever you like.",))
    while (sentence := session.script.current) is not None:
        _present(booth.view, session)
        again = "once more: " if session.script.retaken is not None else ""
        booth.show(_READY, f"{again}press space, then read aloud")
        key = booth.ask(_READY)
        if key == " ":
            try:
                key = take(booth, session)
            except UnpluggedError as gone:
                _present(booth.view, session)
                booth.replug(gone)
                continue
        _steer(booth, session, key, sentence.emotion)


def take(booth: Booth, session: "Session") -> str:
    """Record one sentence; the key with which the owner goes elsewhere, "" when it is kept."""
    lost = booth.stream.lost
    recording = session.start()
    booth.view.recording = True
    booth.show(_READING, "read aloud; it stops by itself")
    try:
        key = booth.listen(recording.hear, recording.meter, recording.over, _READING)
        if key in (" ", ""):
            _keep(booth, session, recording, stopped=key == " ")
            if booth.stream.lost > lost:
                booth.view.remarks += ("sound was lost on the way: retake it, with less running",)
        elif key in ("r", "s"):
            session.discard(recording)
        else:
            session.interrupt(recording)
    except BaseException:
        # Whatever it is, Ctrl-C or a full disk: what was said stays. Where even that cannot be
        # written now, it lies in the session's directory, and the next session takes it up.
        with suppress(OSError):
            session.interrupt(recording)
        raise
    # What is begun anew is the sentence itself, not the one before it.
    return "" if key in (" ", "r") else key


def _hear_consent(booth: Booth, session: "Session", sentence: str) -> "Recording":
    booth.show(_START, "press space, then read aloud")
    booth.ask(_START)
    recording = session.start_consent(sentence)
    booth.view.recording = True
    booth.show({" ": "stop"}, "read aloud; it stops by itself")
    try:
        over = {" ": "stop"}
        if booth.listen(recording.hear, recording.meter, recording.over, over) == "q":
            raise QuitError
    except BaseException:
        # Half a consent is none. What cannot be deleted now, the next session deletes.
        with suppress(OSError):
            session.interrupt(recording)
        raise
    return recording


def _keep(booth: Booth, session: "Session", recording: "Recording", *, stopped: bool) -> None:
    """Keep what was recorded: as a reading, or without its sentence when nobody heard one."""
    from aitwin.voice.record import LEAST_SAID

    if recording.empty:
        session.discard(recording)
        booth.show(_READY, "", ("There is no sound in it; it is not kept.",))
        return
    booth.show({}, "kept; how was it?")
    # The owner who ends it with a key says that it was read, whatever the meter has heard.
    if not stopped and session.heard(recording) < LEAST_SAID:
        session.interrupt(recording)
        unheard = "Nothing was heard: come closer, or end it with the space when you have read."
        booth.show(_READY, "", (unheard, "What there is is kept; the sentence comes again."))
        return
    kept = session.keep(recording)
    letter = kept.grade.letter if kept.grade else ""
    booth.show(_READY, "", _verdict(kept, session.conditions.noise), letter)


def _verdict(kept: "Kept", noise: float) -> tuple[str, ...]:
    from aitwin.voice.soundcheck import voice_advice

    first = f"{kept.seconds:.1f} s of speech, peak {kept.levels.peak:.0f} dB"
    if kept.grade is None:
        return (first, *voice_advice(kept.levels, noise)[:1])
    return (first, *(f"{reason.found}: {reason.advice}" for reason in kept.grade.reasons[:1]))


def _steer(booth: Booth, session: "Session", key: str, emotion: str) -> None:
    """Do what a key other than the space asks for."""
    match key:
        case "r":
            if not session.script.retake():
                booth.show(_READY, "", ("There is no take before this one in this session.",))
        case "s":
            session.skip()
        case "e":
            if not session.script.next_emotion():
                booth.show(_READY, "", (f"Only {emotion} is left.",))
        case "p":
            booth.close()
            booth.view.text = ""
            booth.show({"p": "go on"}, "paused; the microphone is off", ())
            booth.ask({"p": "go on", " ": "go on"}, listening=False)
        case "q":
            raise QuitError
        case _:
            pass  # it was read, or is to be read anew


def _present(view: "View", session: "Session") -> None:
    from aitwin.voice.emotions import EMOTIONS

    view.progress = session.script.progress()
    sentence = session.script.current
    if sentence is not None:
        emotion = EMOTIONS[sentence.emotion]
        (progress,) = (one for one in view.progress if one.emotion == emotion.id)
        read = f"{progress.read} of {progress.sentences} sentences read"
        title, view.direction = emotion.title.capitalize(), emotion.direction
        if progress.reading > 1:
            title += f", {_READINGS.get(progress.reading, 'another')} reading"
            view.direction = f"Say it differently than before. {emotion.direction}"
        view.heading, view.text = f"{title}: {read}", sentence.text


def _voice(home: Home, wanted: str, name: str) -> "Voice":
    """The voice that is recorded; made when it is new."""
    from aitwin.voice import voices

    directory = home.open_voices()
    if wanted or (not name and voices.all_(directory)):
        return voices.find(directory, wanted)
    if not name and home.settings_file.exists():
        name = home.settings().name
    if not name:
        raise TwinError("whose voice is it? give it a name: twin voice record --name ana")
    return voices.called(directory, name)


def _judge() -> "Judges | None":
    """Who grades a take at once; where a part for it is missing, `twin voice prepare` will."""
    try:
        from aitwin.voice.judge import Judge

        return Judge()
    except (ModuleNotFoundError, TwinError):
        return None


def _hears() -> "Hears | None":
    """Who hears whether the consent's words were said; None where no ASR is installed."""
    from aitwin.voice.transcribe import Transcriber

    if not Transcriber.installed():
        return None

    def hears(path: "Path", sentence: str) -> float:
        import numpy as np

        from aitwin.voice import read_aloud
        from aitwin.voice.source import Source

        samples = np.concatenate(list(Source(path).blocks()))
        return read_aloud.contains(sentence, Transcriber.load().words(samples))

    return hears


def _speaks() -> "Speaks | None":
    """Who tells a whisper from the room's noise; None where the network is not installed."""
    from aitwin.voice import vad

    try:
        detector = vad.Detector()
    except TwinError:
        return None

    def speaks(path: "Path") -> float:
        import numpy as np

        from aitwin.voice.heard import HOP, RATE
        from aitwin.voice.source import Source

        samples = np.concatenate([np.zeros(0, np.float32), *Source(path).blocks()])
        spans = vad.speech_spans(detector.probabilities(samples))
        return (spans[-1][1] - spans[0][0]) * HOP / RATE if spans else 0.0

    return speaks


def _sentences() -> "list[Prompt]":
    from aitwin.voice.emotions import EMOTIONS
    from aitwin.voice.prompts import prompts

    return [prompt for emotion in EMOTIONS for prompt in prompts(emotion)]
