"""One private HTML page on a voice: what is recorded, how good it is, and how it sounds.

Self-contained: styles, script, pictures and short pieces of sound are inside, nothing is fetched,
and a policy in the page forbids it. No text that was read or said is on it. Measures nothing that
preparing has measured already, and judges nothing: see grading, profile. Drawing: see sketches.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent as consents
from aitwin.voice import pictures, sketches
from aitwin.voice import profile as profiles
from aitwin.voice.emotions import EMOTIONS, Emotion
from aitwin.voice.grades import Reason
from aitwin.voice.heard import RATE
from aitwin.voice.measures import Measures
from aitwin.voice.prepared import Prepared
from aitwin.voice.profile import Prosody, Standing, VoiceProfile
from aitwin.voice.sketches import Sketch
from aitwin.voice.voices import Take, Voice

DRAWN = 48
"""Takes with pictures and sound, 0.17 MB each: the worst, and some of every context."""
DRAWN_PER_EMOTION = 2
"""Of each context, whatever their grades."""
SIZE_MOST = 11_000_000
"""Bytes of pictures and sound; takes beyond have their numbers only. The page stays under 15 MB."""
FEW = 10
"""A sound of speech that was read less often than this is marked as rare."""
SPOTS_MOST = 3_000
"""Utterances on the map; of more, every n-th."""
MAP = 100.0
"""Units of the map from its middle to its edges."""
MAJORITY = (10, 50, 90)
"""Percentiles between which "usual" values lie, and the middle one."""

_SHAPES = {
    "neutral": "M-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0Z",
    "happy": "M0,-4.4L4.2,3.2H-4.2Z",
    "sad": "M0,4.4L4.2,-3.2H-4.2Z",
    "angry": "M-3.4,-3.4H3.4V3.4H-3.4Z",
    "surprised": "M0,-4.8L4.2,0L0,4.8L-4.2,0Z",
    "whispered": "M-1.4,-4.2H1.4V-1.4H4.2V1.4H1.4V4.2H-1.4V1.4H-4.2V-1.4H-1.4Z",
    "authoritative": "M-4.4,-2H4.4V2H-4.4Z",
    "tired": "M-2,-4.4H2V4.4H-2Z",
    "playful": "M0,-4.8L1.4,-1.5L4.7,-1.5L2.1,0.8L3,4.2L0,2.2L-3,4.2L-2.1,0.8L-4.7,-1.5L-1.4,-1.5Z",
}
"""The mark of each context: nine colours alone are not told apart by everybody."""


@dataclass(frozen=True)
class Check:
    """One thing that cloning needs, or that the hour asks for."""

    done: bool
    text: str
    """With commands between backticks."""
    needed: bool = True
    """False: better with it, but cloning works without."""


@dataclass(frozen=True)
class Spread:
    """Where four fifths of some values lie."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Scale:
    """An axis from its first mark to its last."""

    marks: tuple[int, ...]
    octaves: bool
    """Equal steps are equal ratios, as pitch is heard."""

    def at(self, value: float) -> float:
        """Where a value lies, in percent."""
        ends = np.array([self.marks[0], self.marks[-1], max(value, 1e-9)], np.float64)
        low, high, here = np.log2(ends) if self.octaves else ends
        return 100 * float(np.clip((here - low) / (high - low), 0, 1))


PITCHES = Scale((60, 100, 150, 220, 330, 500), octaves=True)
"""Hertz."""
RATES = Scale((1, 2, 3, 4, 5, 6, 7), octaves=False)
"""Syllables per second."""


@dataclass(frozen=True)
class Context:
    """A row of the table of emotional contexts."""

    emotion: Emotion
    usable: float
    """Minutes of prepared sound graded A to C, and like the other takes."""
    waiting: float
    """Minutes that are not prepared yet."""
    left_out: float
    """Minutes graded D, or unlike the other takes."""
    takes: int
    unprepared: int
    grades: list[tuple[str, int]]
    rate: Spread | None
    """Syllables per second, over its takes."""
    prosody: Prosody | None
    """None before there is a profile."""
    likeness: float | None
    """Cosine of its embedding to the voice's own."""

    @property
    def left(self) -> float:
        """Minutes still to be recorded."""
        return max(0.0, self.emotion.minutes - self.usable - self.waiting)

    @property
    def full(self) -> bool:
        """Whether there is as much as was asked for, to a few seconds."""
        return self.usable > self.emotion.minutes - 0.05

    @property
    def pitch(self) -> Spread | None:
        """Hertz, over its utterances; None for a whisper."""
        how = self.prosody
        if how is None or how.pitch is None or how.pitch_low is None or how.pitch_high is None:
            return None
        return Spread(how.pitch_low, how.pitch, how.pitch_high)

    def share(self, minutes: float) -> float:
        """Of its bar, in percent; the bar is as long as what was asked for, or what is there."""
        there = self.usable + self.waiting + self.left_out
        return 100 * minutes / max(self.emotion.minutes, there)


@dataclass(frozen=True)
class Row:
    """A take on the page."""

    take: Take
    prepared: Prepared | None
    summary: str
    reasons: tuple[Reason, ...]
    measures: list[tuple[str, str]]
    changes: str
    standing: Standing | None = None
    """How it sounds beside the other takes."""
    sketch: Sketch | None = None
    trouble: str = ""
    """Why it is not drawn, where it should be."""

    @property
    def letter(self) -> str:
        """Its grade; empty when it is not prepared."""
        return self.prepared.grade.letter if self.prepared else ""

    @property
    def rank(self) -> str:
        """Its grade; D where it is left out since somebody else seems to speak."""
        return "D" if self.standing and self.standing.verdict == "unlike" else self.letter


def write(
    voice: Voice,
    *,
    profile: VoiceProfile | None = None,
    phonemes: Mapping[str, int] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the page into the voice's own directory, readable by the owner alone.

    `profile` is the voice's, where it is built; `phonemes` how often each sound of the language was
    read, 0 for those that were not. `on_progress` is told how many of the takes that are drawn are
    done. A take that cannot be drawn is on the page with the reason.
    Raises TwinError when the page cannot be written.
    """
    path = voice.page
    page = _page(voice, profile, phonemes or {}, on_progress)
    try:
        # A name can hold half characters, and no UTF-8 file can hold those.
        artifact.write_private(path, page.encode(errors="replace"))
    except OSError as error:
        raise TwinError(
            f"{path} cannot be written ({error.strerror}); make room, and try again"
        ) from error
    return path


def _page(
    voice: Voice,
    profile: VoiceProfile | None,
    phonemes: Mapping[str, int],
    on_progress: Callable[[int, int], None],
) -> str:
    takes = [(take, voice.prepared(take)) for take in voice.takes()]
    contexts = [_context(emotion, takes, profile) for emotion in EMOTIONS.values()]
    standings = profile.standings if profile else {}
    rows = [_row(take, prepared, standings.get(take.id)) for take, prepared in takes]
    rows = _drawn(_worst_first(rows), on_progress)
    checks = _checks(voice, takes, contexts, profile)
    return _render(
        voice=voice,
        today=datetime.now(UTC).astimezone(),
        ready=all(check.done for check in checks if check.needed),
        checks=checks,
        contexts=contexts,
        next=max(contexts, key=lambda row: row.left),
        usable=sum(row.usable for row in contexts),
        asked=sum(emotion.minutes for emotion in EMOTIONS.values()),
        grades=_grades(prepared for _, prepared in takes),
        pitches=PITCHES,
        rates=RATES,
        phonemes=sorted(phonemes.items(), key=lambda item: (item[1], item[0])),
        few=FEW,
        map=_map(profile),
        rows=rows,
        sketches=sketches,
        shapes=_SHAPES,
    )


def _render(**context: Any) -> str:
    environment = Environment(
        loader=PackageLoader("aitwin.voice"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": sketches.clock,
        "commands": _commands,
        "decibels": _decibels,
        "sentence": _sentence,
    }
    script = resources.files("aitwin.voice").joinpath("templates/voice.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("voice.html.j2")
    page = template.render(script=Markup(script), script_digest=digest, **context)  # noqa: S704 - ours
    return page.strip() + "\n"


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _commands(text: str) -> Markup:
    """The text, escaped, with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


# The voice as a whole


Takes = Sequence[tuple[Take, Prepared | None]]


def _grades(prepared: Iterable[Prepared | None]) -> list[tuple[str, int]]:
    return sorted(Counter(one.grade.letter for one in prepared if one).items())


def _checks(
    voice: Voice, takes: Takes, contexts: Sequence[Context], profile: VoiceProfile | None
) -> list[Check]:
    """What cloning needs, in the order in which it is done."""
    waiting = sum(prepared is None for _, prepared in takes)
    usable = sum(row.usable for row in contexts)
    asked = sum(row.emotion.minutes for row in contexts)
    begin = "" if takes else f": `twin voice record --voice {voice.id}`"
    go_on = f": `twin voice prepare {voice.id}`" if waiting else ""
    return [
        Check(bool(takes), f"{len(takes):,} recorded{begin}"),
        Check(bool(takes) and not waiting, f"{len(takes) - waiting:,} prepared{go_on}"),
        *_consent(voice, profile),
        *_profile(voice, profile),
        Check(
            usable >= asked,
            f"{usable:.1f} of {asked:.0f} minutes: cloning works with less, and is better with all",
            needed=False,
        ),
    ]


def _consent(voice: Voice, profile: VoiceProfile | None) -> Iterator[Check]:
    """Where there is a profile, it is that which misses a consent."""
    again = f"`twin voice consent {voice.id}`"
    try:
        given = consents.load(voice.path / "consent")
    except TwinError:
        yield Check(False, f"the consent is damaged; give it again: {again}")
        return
    if given is None:
        if profile is None:
            yield Check(False, f"no consent yet, that this is your own voice: {again}")
        return
    how = "read aloud" if given.kind == "spoken" else "stated, not read aloud"
    told = [f"consent of {given.given_on:%-d %B %Y}, {how}"]
    if given.words is not None:
        told.append(f"{100 * given.words:.0f} % of its words heard")
    if profile and profile.consent and profile.consent.likeness is not None:
        told.append(f"likeness to the takes {profile.consent.likeness:.2f}")
    yield Check(True, ", ".join(told))


def _profile(voice: Voice, profile: VoiceProfile | None) -> Iterator[Check]:
    if profile is None:
        yield Check(False, f"no profile of the voice yet: `twin voice prepare {voice.id}`")
        return
    missing = profiles.lacking(profile)
    yield from (Check(False, text) for text in missing)
    if not missing:
        nearest = f"; nearest base speaker {profile.base.name}" if profile.base else ""
        yield Check(True, f"a profile of {profile.minutes:.1f} minutes of speech{nearest}")
    yield from (Check(False, text, needed=False) for text in profiles.doubts(profile))


def _context(emotion: Emotion, takes: Takes, profile: VoiceProfile | None) -> Context:
    these = [(take, prepared) for take, prepared in takes if take.emotion == emotion.id]
    ready = [prepared for _, prepared in these if prepared]
    strangers = profile.strangers if profile else frozenset()
    good = [
        prepared
        for prepared in ready
        if prepared.grade.letter in profiles.USABLE and prepared.take not in strangers
    ]
    manner = profile.manners.get(emotion.id) if profile else None
    return Context(
        emotion=emotion,
        usable=sum(prepared.samples for prepared in good) / RATE / 60,
        waiting=sum(take.seconds for take, prepared in these if not prepared) / 60,
        left_out=sum(one.samples for one in ready if one not in good) / RATE / 60,
        takes=len(these),
        unprepared=len(these) - len(ready),
        grades=_grades(ready),
        rate=_spread([(p.measures.rate, p.measures.speech) for p in good if p.measures.rate]),
        prosody=manner.prosody if manner else None,
        likeness=manner.likeness if manner else None,
    )


def _spread(values: Sequence[tuple[float, float]]) -> Spread | None:
    """Of values with their weights."""
    if not values or not sum(weight for _, weight in values):
        return None
    ordered, weights = np.array(sorted(values)).T
    share = 100 * (np.cumsum(weights) - weights / 2) / weights.sum()
    return Spread(*(float(np.interp(percent, share, ordered)) for percent in MAJORITY))


# The map


def _map(profile: VoiceProfile | None) -> dict[str, Any]:
    if profile is None or profile.utterances is None:
        return {"spots": []}
    seen = profile.utterances
    step = max(1, -(-len(seen.ids) // SPOTS_MOST))
    # Only the direction says who speaks: lengths would push loud contexts apart.
    lengths = np.linalg.norm(seen.embeddings, axis=1, keepdims=True)
    places, explained = pictures.plane((seen.embeddings / np.maximum(lengths, 1e-9))[::step])
    return {
        "spots": [
            (name, emotion, bool(dropped), MAP * x, -MAP * y)
            for name, emotion, dropped, (x, y) in zip(
                seen.ids[::step],
                seen.emotions[::step],
                seen.dropped[::step],
                places.tolist(),
                strict=True,
            )
        ],
        "counts": Counter(seen.emotions),
        "dropped": int(seen.dropped.sum()),
        "explained": explained,
    }


# Take by take


def _worst_first(rows: Iterable[Row]) -> list[Row]:
    """Left out or by grade, then by how much there is to say; those not prepared at the end."""
    return sorted(rows, key=lambda row: (-ord(row.rank) if row.rank else 0, -len(row.reasons)))


def _drawn(rows: Sequence[Row], on_progress: Callable[[int, int], None]) -> list[Row]:
    """The same rows, some of them with their sketches."""
    chosen = _chosen(rows)
    drawn, done, size = [], 0, 0
    for row in rows:
        if row.take.id in chosen:
            if size < SIZE_MOST:
                row = _with_sketch(row)
                size += row.sketch.size if row.sketch else 0
            done += 1
            on_progress(done, len(chosen))
        drawn.append(row)
    return drawn


def _with_sketch(row: Row) -> Row:
    if row.prepared is None:
        return row
    try:
        return replace(row, sketch=sketches.draw(row.take, row.prepared))
    except TwinError as error:
        return replace(row, trouble=str(error))


def _chosen(rows: Sequence[Row]) -> set[str]:
    """Ids of the takes to be drawn: some of each context, then the worst."""
    ready = [row.take for row in rows if row.prepared]
    chosen: dict[str, None] = {}
    for emotion in EMOTIONS:
        these = [take.id for take in ready if take.emotion == emotion]
        chosen |= dict.fromkeys(these[:DRAWN_PER_EMOTION])
    for take in ready:
        if len(chosen) >= DRAWN:
            break
        chosen[take.id] = None
    return set(chosen)


def _row(take: Take, prepared: Prepared | None, standing: Standing | None) -> Row:
    if prepared is None:
        return Row(take, None, "not prepared yet", (), [], "")
    reasons = prepared.grade.reasons
    found = [*filter(None, [standing.said if standing else ""]), *(one.found for one in reasons)]
    summary = found[0] if found else "nothing to complain of"
    if len(found) > 1:
        summary += f", and {len(found) - 1} more"
    measures = _in_words(prepared.measures, standing.likeness if standing else None)
    return Row(take, prepared, summary, reasons, measures, _changes(prepared), standing)


def _in_words(measures: Measures, likeness: float | None) -> list[tuple[str, str]]:
    """The measures that there are, named and with their units."""
    m = measures
    told: list[tuple[str, str | None]] = [
        ("length, and speech in it", f"{sketches.clock(m.seconds)}, {sketches.clock(m.speech)}"),
        ("recorded at", f"{m.sample_rate:,} Hz"),
        ("sound up to", _number(m.bandwidth, "{:,.0f} Hz")),
        ("loudness", _number(m.loudness, "{:.1f} LUFS")),
        ("loudest point", _number(m.true_peak, "{:+.1f} dBTP")),
        ("clipped", f"{100 * m.clipped:.3f} %" if m.clipped else "nothing"),
        ("the room in the pauses", _number(m.noise, "{:.0f} dBFS")),
        ("speech above the room", _number(m.snr, "{:.0f} dB")),
        ("hum of the mains", _hum(m)),
        ("echo of the room (RT60)", _number(m.reverb, "{:.2f} s")),
        ("how clean it sounds (DNSMOS)", _number(m.mos, "{:.1f} of 5")),
        ("usual pitch", _number(m.pitch, "{:.0f} Hz")),
        ("speech with a pitch", f"{100 * m.voiced:.0f} %"),
        ("pace", _number(m.rate, "{:.1f} syllables/s")),
        ("likeness to your other takes", _number(likeness, "{:.2f} of 1")),
        ("somebody else speaks in", _number(_percent(m.strange), "{:.1f} % of the speech")),
        ("tones while nobody speaks", _number(_percent(m.tonal), "{:.0f} %")),
        ("words misread", _misread(m)),
    ]
    return [(name, value) for name, value in told if value is not None]


def _number(value: float | None, form: str) -> str | None:
    return None if value is None else form.format(value).replace("-", "−")


def _decibels(value: float | None) -> str:
    return _number(value, "{:.0f}") or "–"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _hum(measures: Measures) -> str | None:
    if measures.hum is None:
        return None
    if not measures.hum or measures.hum_frequency is None:
        return "none"
    return f"{measures.hum:.0f} dB at {measures.hum_frequency:.0f} Hz"


def _misread(measures: Measures) -> str | None:
    if measures.misread is None or measures.words is None:
        return None
    return f"{measures.misread:,} of {measures.words:,}"


def _changes(prepared: Prepared) -> str:
    """What preparing did, in words."""
    gone = sum(edit.stop - edit.start for edit in prepared.edits if edit.kind == "cut") / RATE
    counts = Counter((edit.reason, edit.kind) for edit in prepared.edits)
    told = [sketches.louder(prepared.gain)]
    told += [sketches.told(reason, kind, count) for (reason, kind), count in counts.most_common()]
    if prepared.limited:
        told.append(f"{prepared.limited:,} samples held down by the limiter")
    if gone:
        told.append(f"{gone:.1f} s shorter")
    told.append(f"{len(prepared.segments):,} utterance{'s' if len(prepared.segments) != 1 else ''}")
    return ", ".join(told)
