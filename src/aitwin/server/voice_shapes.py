"""What the routes on voices take and give, as types: the API's own words for the voice room.

Neither reads a voice nor answers a request: see voices, uploads, references.
"""

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import Field

from aitwin.server.shapes import Shape
from aitwin.voice.grades import Letter

Emotion = Literal[
    "neutral",
    "happy",
    "sad",
    "angry",
    "surprised",
    "whispered",
    "authoritative",
    "tired",
    "playful",
]
"""An id of emotions.EMOTIONS; a test holds the two together, since a type is known beforehand."""

LONGEST_NAME = 100
"""Characters of a voice's name; an id has 40."""
VOICE_ID = r"^[a-z0-9][a-z0-9-]{0,63}$"
TAKE_ID = r"^[0-9a-f]{16}$"
PROMPT_ID = r"^[a-z]{3,16}-[0-9a-f]{8}$"

VoiceId = Annotated[str, Path(pattern=VOICE_ID, description="Id of a voice", examples=["ana"])]
TakeId = Annotated[str, Path(pattern=TAKE_ID, description="Id of a take")]


class Reason(Shape):
    """One thing that lowers a grade."""

    what: str = Field(examples=["noise"])
    """Which measure: noise, clipping, hum, reverb, level, bandwidth, short, speakers, …"""
    letter: Letter
    """The best grade that it allows."""
    found: str = Field(examples=["the room is loud: speech is only 14 dB above it"])
    """In words, with the number."""
    advice: str = Field(examples=["switch off the fan, close the window, come closer"])
    """What to do better next time."""


class Take(Shape):
    """One recording of a voice, without its words."""

    id: str = Field(pattern=TAKE_ID)
    """Follows from the content: the same recording sent twice is one take."""
    emotion: Emotion
    added_at: datetime
    seconds: float
    """As recorded."""
    usable_seconds: float
    """What is left of it when it is made ready; 0 where its grade is D, or somebody else speaks."""
    sample_rate: int
    """Hertz of the recording."""
    channels: int
    format: str = Field(examples=["webm"])
    """Kind of file, without a dot; `bin` where that is not known."""
    prompt_id: str = Field(default="", examples=["neutral-0f1e2d3c"])
    """The sentence that was read; empty for a file that was added."""
    grade: Letter | None
    """A (as good as it gets at home), B, C (better retaken), D (left out); null: not heard yet."""
    reasons: tuple[Reason, ...] = ()
    """What lowers the grade, the worst first."""
    likeness: float | None = None
    """To the voice's other takes, -1 to 1; null: not compared (no encoder, or nothing else)."""
    remark: str = ""
    """Where it does not sound like the others: what is to be said of that."""


class EmotionState(Shape):
    """One of the nine contexts, and how much of it there is."""

    emotion: Emotion
    title: str = Field(examples=["happy, excited"])
    direction: str
    """How to read it, for the reader."""
    takes: int
    seconds: float
    """As recorded."""
    usable_seconds: float
    """Of grade A to C, and like the others."""
    wanted_seconds: float = Field(examples=[420.0])
    """How much is asked for (V1, V2)."""
    grades: dict[str, int] = Field(examples=[{"A": 12, "C": 1}])
    """How many takes have which letter."""
    pitch: float | None
    """Median, Hertz, as the profile has it."""
    rate: float | None
    """Syllables per second, as the profile has it."""


class ConsentState(Shape):
    """Whose word there is that the voice may be cloned."""

    kind: Literal["spoken", "stated"]
    """Read aloud, or given by a tick."""
    given_on: date
    words: float | None = None
    """Share of the sentence that was heard; null: nobody listened (no speech recognition)."""
    likeness: float | None = None
    """Of its speaker to the takes, -1 to 1; null: not compared yet."""
    doubts: tuple[str, ...] = ()
    """What speaks against it; it then allows nothing."""
    unchecked: tuple[str, ...] = ()
    """What nobody has looked at."""


class Consent(Shape):
    """The sentence to be read aloud, and the consent that there is."""

    voice_id: str
    sentence: str = Field(repr=False)
    """To be read aloud, word for word; it names today's date."""
    given: ConsentState | None
    imported: bool
    """Whether one came with the voice from another machine, which allows nothing here."""


class StatedConsent(Shape):
    """The owner's word, in the place of a recording of it."""

    i_am_the_speaker: Literal[True]
    """That this is your own voice, and may be cloned here: never taken for granted."""


class Judged(Shape):
    """How well a voice speaks, as it was measured (see `POST /voices/{voice_id}/evaluation`)."""

    voice_id: str
    made_at: datetime
    summary: str = Field(examples=["usable, spoken by melotts+openvoice"])
    """In a line."""
    emotion: Emotion | Literal[""]
    """Empty: as the voice mostly speaks."""
    engine: str = Field(examples=["melotts+openvoice"])
    described: str
    """Whose voice was heard, in words."""
    approximate: bool
    """Moved towards the voice, and no clone of it."""
    usable: bool
    reasons: tuple[str, ...]
    """Why it is not usable, each with what to do."""
    unchecked: tuple[str, ...]
    """What could not be listened to, each with what to do."""
    likeness: dict[str, float] = Field(examples=[{"openvoice": 0.91, "ge2e": 0.84}])
    """How like the owner the speech is, -1 to 1, by encoder: the similarity score."""
    likeness_of_recordings: dict[str, float]
    """How like themselves the owner's own recordings are, by encoder: the most to hope for."""
    likeness_wanted: dict[str, float] = Field(examples=[{"openvoice": 0.75, "ge2e": 0.7}])
    """From where on an encoder takes two for one person, by encoder."""
    word_error_rate: float | None
    mos: float | None
    """Quality by DNSMOS, 1 to 5."""
    watermarked: float | None
    """Share of the sentences in which the mark of synthesised speech was found again."""
    sentences: int
    faulty: int
    seconds_per_second: float | None
    """Time that a second of speech took."""
    outdated: str = ""
    """What has changed since, in words; empty: it holds."""


class VoiceSummary(Shape):
    """A voice at a glance."""

    id: str = Field(pattern=VOICE_ID, examples=["ana"])
    name: str = Field(repr=False, examples=["Ana"])
    created_at: datetime
    takes: int
    seconds: float
    """As recorded."""
    usable_seconds: float
    grades: dict[str, int]
    consent: Literal["spoken", "stated"] | None
    """Null: then nothing may be cloned."""
    wanted_seconds: float = Field(examples=[3780.0])
    """How much is asked for, in all nine emotions (V1)."""
    emotions_full: int = Field(ge=0, le=9)
    """Emotions of which there is enough."""
    ready: bool
    """Whether it can be cloned: nothing is `missing`."""
    engine: str = Field(examples=["bundled+match"])
    """What speaks in it now; `bundled` is nobody's voice; empty: nothing can."""
    speaks_well: bool | None
    """Whether it passed its evaluation; null: not evaluated, or something changed since."""


class Voices(Shape):
    """The owner's voices, by name."""

    voices: tuple[VoiceSummary, ...]
    damaged: tuple[str, ...] = ()
    """For each voice that cannot be read: which, and what to do."""


class Voice(VoiceSummary):
    """A voice, its nine emotions and its takes."""

    emotions: tuple[EmotionState, ...]
    """All nine, those without a take too."""
    recordings: tuple[Take, ...]
    """Oldest first."""
    profile: bool
    """Whether a profile is built."""
    missing: tuple[str, ...]
    """What stands between this voice and a clone, each with what to do; none: ready."""
    advice: tuple[str, ...]
    """Takes that somebody else seems to speak, with what to do."""
    damaged: tuple[str, ...]
    """Takes that cannot be read, and what to do."""
    given: ConsentState | None
    """The consent, in full."""
    evaluation: Judged | None
    finetune: str
    """Whether there is a fine-tune that speaks; empty: nobody made one."""


class NewVoice(Shape):
    """A voice to be made."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, repr=False, examples=["Ana"])


class Renamed(Shape):
    """Another name; the id stays."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME, repr=False, examples=["Ana Bell"])


class Uploaded(Shape):
    """A recording that is kept."""

    voice_id: str = Field(examples=["ana"])
    take_id: str = Field(examples=["1f3a5c7e9b2d4f60"])
    seconds: float
    sample_rate: int = Field(examples=[48_000])
    """Hertz of the recording."""
    grade: Letter | None
    """Null: nothing here can listen, or the voice is at work elsewhere; `warnings` says which."""
    warnings: tuple[str, ...]
    """What lowers the grade and what is wanting, each with what to do."""
    reasons: tuple[Reason, ...] = ()
    """The same of the grade, apart."""
    format: str = Field(examples=["webm"])
    """What the file really is."""
    channels: int
    emotion: Emotion
    already_here: bool = False
    """The same recording was there before, and stays as it was."""
    created: bool = False
    """Whether the voice was made for it."""


class Prompt(Shape):
    """A sentence or two to read aloud."""

    id: str = Field(pattern=PROMPT_ID)
    emotion: Emotion
    text: str = Field(repr=False)
    seconds: float
    """How long it probably takes to read."""


class PromptProgress(Shape):
    """How far the reading of one emotion has come."""

    emotion: Emotion
    title: str
    direction: str
    read: int
    """Sentences that were read, in the reading that is under way."""
    sentences: int
    """All there are."""
    reading: int
    """Which reading of them is under way, from 1."""
    seconds: float
    wanted_seconds: float


class Prompts(Shape):
    """What is to be read next, in order, and how far the reading has come."""

    prompts: tuple[Prompt, ...]
    """Empty when there is enough of everything that was asked for."""
    progress: tuple[PromptProgress, ...]
    """All nine emotions."""
