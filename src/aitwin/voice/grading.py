"""A take's grade from its measures: every threshold of the voice room, with its reason, in LIMITS.

Measures nothing, and knows nothing of files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from aitwin.voice import mos
from aitwin.voice.grades import Grade, Letter, Reason
from aitwin.voice.measures import Measures

LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D")
WHISPERED = "whispered"
"""The emotion with limits of its own: no pitch, and 15 to 20 dB fainter than speech."""
SPEECH = 0.3
"""Seconds of speech under which there is none: a cough passes the VAD for as long."""
MUTED = -70.0
"""dBFS of a take without speech under which no microphone was open: any room is louder."""
MUTED_PEAK = -55.0
"""dBTP of its loudest moment, likewise: a mouse click is louder."""
MUSIC = 0.35
"""Tonal share from which it is music: notes, with or without drums, give 0.8 and more."""
HUM_HEARD = 45.0
"""dB of speech over the noise from which hum, however pure, is drowned by the voice."""


class Marks(NamedTuple):
    """Values beyond which a take is no better than B, C and D; None: never that bad."""

    b: float | None
    c: float | None
    d: float | None


@dataclass(frozen=True)
class Limit:
    """How one measure limits the grade."""

    what: str
    """As in grades.Reason."""
    value: Callable[[Measures], float | None]
    worse: Literal["low", "high"]
    """Which way it gets worse."""
    marks: Marks
    found: str
    """With `{v}` for the value and `{m}` for the measures."""
    advice: str
    whispered: Marks | None = None
    """Instead of `marks` for whispered takes."""
    added: Marks | None = None
    """Instead of `marks` for takes that nobody prompted: files that were added."""

    def letter(self, value: float, marks: Marks) -> Letter:
        """The best grade that `value` allows."""
        sign = 1 if self.worse == "high" else -1
        beyond = [mark is not None and sign * value > sign * mark for mark in marks]
        return LETTERS[max((at + 1 for at, is_beyond in enumerate(beyond) if is_beyond), default=0)]


def _share_of_speech(measures: Measures) -> float | None:
    return measures.speech / measures.seconds if measures.seconds else None


def _audible_hum(measures: Measures) -> float | None:
    audible = measures.snr is not None and measures.snr < HUM_HEARD
    return measures.hum if audible else None


def _quality(measures: Measures) -> float | None:
    """Only where every take of the kind has one: a letter is no matter of luck."""
    return measures.mos if measures.seconds >= mos.LONG else None


def _share_misread(measures: Measures) -> float | None:
    return measures.misread / measures.words if measures.misread and measures.words else None


LIMITS: tuple[Limit, ...] = (
    # The reference encoder hears the room as a part of the voice. A bedroom at night gives 40 dB,
    # a laptop's fan 20; at 10 the VAD still works, but pauses and consonants drown.
    Limit(
        "noise",
        lambda measures: measures.snr,
        "low",
        Marks(30, 20, 10),
        "the room is loud: speech is only {v:.0f} dB above its noise",
        "switch off the fan, close the window, come closer to the microphone",
        whispered=Marks(18, 10, 4),
    ),
    # The noise within speech has its own row. A gate also bites off soft beginnings and ends.
    Limit(
        "gate",
        lambda measures: float(measures.gated),
        "high",
        Marks(0.5, None, None),
        "the microphone or the app switches itself off between words (noise gate)",
        "turn its noise suppression or voice isolation off, or use another microphone",
    ),
    # One clipped vowel in a minute is 0.0001 of the samples; 0.02 is a crackle in every word.
    Limit(
        "clipping",
        lambda measures: measures.clipped,
        "high",
        Marks(0.0001, 0.001, 0.02),
        "too loud for the microphone: {v:.2%} of the sound is cut off at full scale",
        "turn the microphone's input level down, or sit a hand further away",
    ),
    # A line of 15 dB over the noise is heard as a tone. It can be filtered, so it is never a D.
    Limit(
        "hum",
        _audible_hum,
        "high",
        Marks(15, 30, None),
        "the mains hum ({m.hum_frequency:.0f} Hz) stands {v:.0f} dB above the noise around it",
        "unplug chargers and lamps near the microphone and its cable, or run the Mac on battery",
    ),
    # A furnished room has 0.3 to 0.4 s, a kitchen 0.7, a bathroom or a stairwell over 1. The
    # estimate is 0.05 s off at 0.4, and too low rather than too high over 0.8.
    Limit(
        "reverb",
        lambda measures: measures.reverb,
        "high",
        Marks(0.5, 0.7, 1.0),
        "the room echoes: a sound takes {v:.1f} seconds to die away",
        "record where there are curtains, carpets or clothes, and come closer to the microphone",
    ),
    # OpenVoice works up to 11 kHz. Bluetooth's better mode ends at 8 (or 7), a telephone at 3.4.
    Limit(
        "bandwidth",
        lambda measures: measures.bandwidth,
        "low",
        Marks(9_000, 6_500, 3_800),
        "dull: there is no sound above {v:,.0f} Hz, and a voice reaches to 11,000",
        "use a microphone with a cable or the Mac's own, no Bluetooth headset and no call",
    ),
    # Level itself is mended, but what is recorded too faintly loses the last bits of the sound.
    Limit(
        "level",
        lambda measures: measures.loudness,
        "low",
        Marks(-40, -50, -62),
        "very faint: its loudness is {v:.0f} LUFS, and -30 to -16 is good",
        "turn the microphone's input level up, or come closer to it",
        whispered=Marks(-52, -62, -72),
    ),
    # Silence is cut out, so little is lost; but somebody left the microphone open.
    Limit(
        "pauses",
        _share_of_speech,
        "low",
        Marks(0.3, 0.1, None),
        "only {v:.0%} of the take is speech",
        "stop the recording while you do not read",
        added=Marks(0.15, 0.05, None),
    ),
    # An utterance of 1 s is the least that an embedding holds for; a prompt takes 3 to 8 s. A file
    # that was added should give ten of them.
    Limit(
        "short",
        lambda measures: measures.speech,
        "low",
        Marks(1.0, 0.7, 0.5),
        "short: {v:.1f} seconds of speech",
        "read the whole sentence, and stop the recording only after it",
        added=Marks(10.0, 4.0, 1.0),
    ),
    # Clean synthetic speech scores 3.4, LibriSpeech's readers 2.7 to 3.2; white noise at 20, 10
    # and 0 dB 2.9, 2.4 and 1.9 (measured). Whispering, to which the model is deaf: 1.6.
    # Prompts, which are short, are not judged by it (see mos): noise, echo and clipping are.
    Limit(
        "quality",
        _quality,
        "low",
        Marks(2.7, 2.2, 1.6),
        "it does not sound clean: {v:.1f} of 5 points (DNSMOS)",
        "listen to it; record it again in a quiet room, close to the microphone",
        whispered=Marks(1.4, 1.2, None),
    ),
    # Stretches of one speaker have a cosine of 0.90 (deviation 0.05), of two 0.44 (0.20).
    Limit(
        "speakers",
        lambda measures: measures.speakers,
        "low",
        Marks(0.80, 0.72, 0.55),
        "somebody else seems to speak in it: its least like part agrees by {v:.2f} of 1",
        "record alone; of a conversation, cut out the others and add what is left",
        whispered=Marks(0.70, 0.60, 0.45),
    ),
    # Wrong words do not harm a voice; many of them mean that the take is not what it says. The
    # small ASR itself mishears one word in twenty, and whispering far more.
    Limit(
        "misread",
        _share_misread,
        "high",
        Marks(0.2, 0.5, None),
        "{m.misread} of {m.words} words differ from the prompt",
        "read it again, a little slower",
        whispered=Marks(0.6, None, None),
    ),
    # Speech has a pitch in 0.4 to 0.7 of its frames, whispering in 0.02 (measured).
    Limit(
        "voicing",
        lambda measures: measures.voiced,
        "low",
        Marks(0.25, 0.1, None),
        "it sounds whispered: {v:.0%} of the speech has a pitch, and 40 % or more is usual",
        "speak with your voice, or keep it as a whispered take (--emotion whispered)",
        whispered=Marks(None, None, None),
    ),
    # Hum as loud as the speech gives 0.3, a clean take 0.02.
    Limit(
        "music",
        lambda measures: measures.tonal,
        "high",
        Marks(MUSIC, 0.45, 0.6),
        "music, or another tone, sounds in {v:.0%} of it while nobody speaks",
        "switch the music off; of a programme, add the parts in which you speak alone",
    ),
)
"""Every threshold, with its reason. The order is that of the reasons of one letter."""


def grade(measures: Measures, *, emotion: str, prompted: bool) -> Grade:
    """Judge a take. What was not measured does not count against it.

    `emotion` is an id of EMOTIONS; `prompted`: the take is the reading of one prompt.
    """
    if measures.speech < SPEECH:
        return Grade("D", (_no_speech(measures),))
    reasons = []
    for limit in LIMITS:
        value = limit.value(measures)
        if value is None:
            continue
        letter = limit.letter(value, _marks(limit, emotion, prompted=prompted))
        if letter != "A":
            found = limit.found.format(v=value, m=measures)
            reasons.append(Reason(limit.what, letter, found, limit.advice))
    # A stable sort: within a letter, the table's order stays.
    reasons.sort(key=lambda reason: reason.letter, reverse=True)
    return Grade(reasons[0].letter if reasons else "A", tuple(reasons))


def _marks(limit: Limit, emotion: str, *, prompted: bool) -> Marks:
    if emotion == WHISPERED and limit.whispered is not None:
        return limit.whispered
    return limit.added if limit.added is not None and not prompted else limit.marks


def _no_speech(measures: Measures) -> Reason:
    if measures.seconds < SPEECH:
        advice = "read the whole sentence, and stop the recording only after it"
        return Reason("short", "D", "too short to hold a word", advice)
    if measures.true_peak < MUTED_PEAK or (measures.noise or 0) < MUTED:
        found = "no speech in it, and hardly a sound"
        advice = "is the microphone muted, or is another one chosen? See that the meter moves"
        return Reason("silence", "D", found, advice)
    if (measures.tonal or 0) > MUSIC:
        found = "music, or another tone, and no speech in it"
        return Reason("music", "D", found, "record your voice alone")
    found = "no speech in it, only noise"
    advice = "speak closer to the microphone, and see that the right one is chosen"
    return Reason("silence", "D", found, advice)
