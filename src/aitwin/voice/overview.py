"""What to tell the owner of a voice: how much there is, how good it is, what it still lacks.

Reads manifests alone: no sound is opened, and no text of a take is handed on. The page with
pictures: voice_report.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from aitwin.errors import TwinError
from aitwin.voice import consent as consents
from aitwin.voice import evaluation, phonemes, profile, tuned
from aitwin.voice.consent import Consent
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.evaluation import Evaluation
from aitwin.voice.grades import Letter, Reason
from aitwin.voice.heard import RATE
from aitwin.voice.prepared import Prepared
from aitwin.voice.profile import Standing, VoiceProfile
from aitwin.voice.voices import Take, Voice


@dataclass(frozen=True)
class TakeOverview:
    """A take, without its words."""

    id: str
    emotion: str
    added_at: datetime
    seconds: float
    """As recorded."""
    usable: float
    """Seconds that are left when it is prepared; 0 where it is not, its grade is D, or somebody
    else seems to speak in it."""
    sample_rate: int
    """Hertz."""
    channels: int
    prompted: bool
    """Whether it was read from a prompt."""
    grade: Letter | None
    """None: not prepared yet."""
    reasons: tuple[Reason, ...] = ()
    standing: Standing | None = None
    """How it sounds beside the others; None: not compared yet."""


@dataclass(frozen=True)
class EmotionOverview:
    """An emotional context, and how much there is of it."""

    emotion: str
    takes: int
    minutes: float
    """As recorded."""
    usable: float
    """Minutes, prepared, of grade A to C, and like the others."""
    asked: float
    """Minutes (V1, V2)."""
    grades: dict[str, int]
    """How many takes have which."""
    pitch: float | None
    """Median, Hertz, as the profile has it."""
    rate: float | None
    """Syllables per second, as the profile has it."""


@dataclass(frozen=True)
class Overview:
    """A voice at a glance."""

    id: str
    name: str
    created_at: datetime
    takes: tuple[TakeOverview, ...]
    emotions: tuple[EmotionOverview, ...]
    """All nine contexts, those without a take too."""
    consent: str
    """"spoken", "stated", or empty: then nothing may be cloned."""
    consent_given_on: date | None
    profile: bool
    """Whether a profile is built."""
    missing: tuple[str, ...]
    """What stands between this voice and a clone, each with the command that helps; none: ready."""
    advice: tuple[str, ...]
    """Takes that somebody else seems to speak, with what to do about them; cloning goes without."""
    evaluation: str
    """Whether what is made of it is usable, and why not, as it was evaluated; empty when never."""
    speaks_well: bool | None
    """Whether it passed; None: not evaluated, or not since its profile changed."""
    consent_unchecked: tuple[str, ...] = ()
    """What nobody has looked at in a recorded consent, which without it is no more than a word."""
    finetune: str = ""
    """Whether what was fine-tuned can speak, and whether takes that it learned from are dropped;
    empty where nobody made one."""

    @property
    def minutes(self) -> float:
        """As recorded."""
        return sum(take.seconds for take in self.takes) / 60

    @property
    def usable(self) -> float:
        """Minutes, prepared, of grade A to C, and like the others."""
        return sum(take.usable for take in self.takes) / 60

    @property
    def grades(self) -> dict[str, int]:
        """How many takes have which; those that are not prepared have none."""
        return _grades(self.takes)


def of(voice: Voice, *, engine: str = "") -> Overview:
    """Look at a voice; what is damaged in it counts as missing.

    `engine` is the one that speaks in it now, where that is known (see Studio.best): a verdict on
    another one is outdated.
    """
    made = _profile(voice)
    takes = tuple(_take(take, voice.prepared(take), made) for take in voice.takes())
    judged = _evaluation(voice)
    outdated = judged.outdated(voice, engine) if judged else ""
    given, damage = None, []
    try:
        given = consents.load(voice.path / "consent")
    except TwinError as error:
        damage.append(str(error))
    return Overview(
        id=voice.id,
        name=voice.name,
        created_at=voice.created_at,
        takes=takes,
        emotions=tuple(_emotion(name, takes, made) for name in EMOTIONS),
        consent=given.kind if given else "",
        consent_given_on=given.given_on if given else None,
        profile=made is not None,
        missing=(*damage, *_missing(voice.id, takes, given, made)),
        advice=profile.doubts(made) if made else (),
        evaluation=_told(judged, outdated, voice.id) if judged else "",
        speaks_well=judged.verdict.usable if judged and not outdated else None,
        consent_unchecked=_unchecked(given, made),
        finetune=_finetune(voice),
    )


def sounds(voice: Voice) -> Mapping[str, int]:
    """How often each phoneme of English was said in takes of grade A to C; empty: nobody knows.

    Counts what was to be read, or was heard, but for what others said; the texts themselves stay
    here.
    """
    made = _profile(voice)
    strangers = made.strangers if made else frozenset()
    ready = [
        one for take in voice.takes() if take.id not in strangers and (one := voice.prepared(take))
    ]
    usable = [one for one in ready if one.grade.letter in profile.USABLE]
    texts = [part.text for one in usable for part in one.segments if not part.stranger]
    texts = [text for text in texts if text]
    try:
        return phonemes.coverage(texts).counts if texts else {}
    except TwinError:
        return {}  # what knows how words are said is not installed


def _take(take: Take, ready: Prepared | None, made: VoiceProfile | None) -> TakeOverview:
    standing = made.standings.get(take.id) if made else None
    good = ready is not None and ready.grade.letter in profile.USABLE
    usable = good and (standing is None or standing.verdict != "unlike")
    return TakeOverview(
        id=take.id,
        emotion=take.emotion,
        added_at=take.added_at,
        seconds=take.seconds,
        usable=ready.samples / RATE if ready and usable else 0.0,
        sample_rate=take.sample_rate,
        channels=take.channels,
        prompted=bool(take.prompt),
        grade=ready.grade.letter if ready else None,
        reasons=ready.grade.reasons if ready else (),
        standing=standing,
    )


def _emotion(
    name: str, all_takes: Sequence[TakeOverview], made: VoiceProfile | None
) -> EmotionOverview:
    takes = [take for take in all_takes if take.emotion == name]
    manner = made.manners.get(name) if made else None
    return EmotionOverview(
        emotion=name,
        takes=len(takes),
        minutes=sum(take.seconds for take in takes) / 60,
        usable=sum(take.usable for take in takes) / 60,
        asked=EMOTIONS[name].minutes,
        grades=_grades(takes),
        pitch=manner.prosody.pitch if manner else None,
        rate=manner.prosody.rate if manner else None,
    )


def _grades(takes: Iterable[TakeOverview]) -> dict[str, int]:
    return dict(sorted(Counter(take.grade for take in takes if take.grade).items()))


def _profile(voice: Voice) -> VoiceProfile | None:
    try:
        return profile.load(profile.path_of(voice))
    except TwinError:
        return None


def _evaluation(voice: Voice) -> Evaluation | None:
    try:
        return evaluation.load(voice)
    except TwinError:
        return None


def _told(judged: Evaluation, outdated: str, voice_id: str) -> str:
    again = f"; {outdated}: `twin voice eval {voice_id}`" if outdated else ""
    return f"{judged.summary} ({judged.made_at.astimezone():%d %B %Y}){again}"


def _unchecked(given: Consent | None, made: VoiceProfile | None) -> tuple[str, ...]:
    """The comparison is in the profile, the words in the consent itself."""
    if given is None:
        return ()
    known = made.consent if made and made.consent and made.consent.sha256 == given.sha256 else given
    return known.unchecked


def _finetune(voice: Voice) -> str:
    if tuned.find(voice) is None:
        return ""
    if why := tuned.lacking(voice):
        return why
    if gone := tuned.outlived(voice):
        again = f"twin voice finetune {voice.id}"
        return (
            f"it has learned from {len(gone)} takes that are dropped; `{again}` makes it anew "
            f"without them, `{again} --delete` deletes it"
        )
    return "there is one, which speaks"


def _missing(
    voice_id: str,
    takes: Sequence[TakeOverview],
    given: Consent | None,
    made: VoiceProfile | None,
) -> Iterator[str]:
    if not takes:
        yield f"recordings: `twin voice record --voice {voice_id}`, or `twin voice add FILE…`"
    elif waiting := sum(take.grade is None for take in takes):
        yield f"preparation of {waiting} takes: `twin voice prepare {voice_id}`"
    elif not any(take.usable for take in takes):
        yield f"a take of grade A to C: `twin voice show {voice_id}` says what is wrong"
    elif made is None:
        yield f"a profile: `twin voice prepare {voice_id}`"
    if made is not None:
        yield from profile.lacking(made)
    elif given is None:
        yield f"your consent: `twin voice consent {voice_id}` says how to give it"
