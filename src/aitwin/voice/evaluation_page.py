"""One private HTML page on an evaluation: the verdict, plots, and every sentence to listen to.

Self-contained: see pages. Measures and judges nothing: see verify.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aitwin.errors import TwinError
from aitwin.voice import pages, verify
from aitwin.voice.pages import Clip
from aitwin.voice.verify import CALIBRATIONS, SAME, TITLES, Check

if TYPE_CHECKING:
    from aitwin.voice.evaluation import Evaluation, Said

WIDTH = 640.0
"""Of a plot, in its own units."""
LANES = 5
"""Heights at which dots lie, so that equal values are seen as several."""


@dataclass(frozen=True)
class Figure:
    """A number with what it says."""

    value: str
    label: str
    bad: bool = False
    """Whether it is a reason why the verdict is no."""


@dataclass(frozen=True)
class Band:
    """A stretch of a plot's axis, in WIDTH."""

    kind: str
    x: float
    width: float
    label: str
    told: str


@dataclass(frozen=True)
class Plot:
    """Values on one axis. All places in WIDTH."""

    title: str
    told: str
    """In words, for whoever does not see it."""
    marks: list[tuple[float, str]]
    limits: list[float]
    dots: list[tuple[float, int, str]]
    """Place, height, and the value in words."""
    all: float | None = None
    """Where all together lie."""
    own: float | None = None
    """Where the owner's recordings lie."""
    bands: list[Band] = field(default_factory=list)
    key: str = ""
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A sentence on the page."""

    number: int
    check: Check
    clip: Clip


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    step: float
    form: str

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return WIDTH * min(1.0, max(0.0, share))

    @property
    def marks(self) -> list[tuple[float, str]]:
        count = round((self.high - self.low) / self.step)
        values = [self.low + number * self.step for number in range(count + 1)]
        return [(self.at(value), self.form.format(value)) for value in values]


_COSINES = _Axis(0.0, 1.0, 0.1, "{:.1f}")
_SCORES = _Axis(1.0, 5.0, 0.5, "{:.1f}")
_RATES = _Axis(0.0, 10.0, 1.0, "{:.0f}")


def render(evaluation: "Evaluation", directory: Path) -> str:
    """The page; `directory` holds the sounds.

    Raises TwinError when one of them cannot be read.
    """
    verdict = evaluation.verdict
    ordered = sorted(evaluation.said, key=lambda one: (-len(one.check.faults), one.number))
    return pages.render(
        "evaluation.html.j2",
        seen=evaluation,
        verdict=verdict,
        figures=_figures(evaluation),
        plots=[*_likeness(evaluation), *_quality(evaluation), *_pace(evaluation)],
        encoders=[name for name in TITLES if name in verdict.likeness],
        rows=[Row(one.number, one.check, _clip(directory, one)) for one in ordered],
    )


def _clip(directory: Path, said: "Said") -> Clip:
    import soundfile

    try:
        with soundfile.SoundFile(directory / said.file) as file:
            samples, note = file.read(dtype="float32"), file.comment
    except (soundfile.LibsndfileError, OSError):
        raise TwinError(
            f"{directory / said.file} is missing or damaged; run `twin voice eval` again"
        ) from None
    return pages.clip(samples, note)


def _figures(evaluation: "Evaluation") -> list[Figure]:
    verdict = evaluation.verdict
    failed = {reason.what for reason in verdict.reasons}
    figures = [
        Figure(
            f"{found:.2f}",
            f"like the voice, by {TITLES[name]} (wanted: {SAME[name]:.2f})",
            found < SAME[name],
        )
        for name, found in verdict.likeness.items()
    ]
    if verdict.error_rate is not None:
        right = 100 * max(0.0, 1 - verdict.error_rate)
        wanted = 100 * verify.LEAST_WORDS_RIGHT
        label = f"of the words are understood (wanted: {wanted:.0f} %)"
        figures.append(Figure(f"{right:.1f} %", label, "words" in failed))
    if verdict.mos is not None:
        label = f"of 5, how clean it sounds (DNSMOS; wanted: {verify.LEAST_MOS:.1f})"
        figures.append(Figure(f"{verdict.mos:.1f}", label, "quality" in failed))
    faulty = sum(bool(one.check.faults) for one in evaluation.said)
    figures.append(Figure(f"{faulty} of {len(evaluation.said)}", "sentences with a fault"))
    if verdict.marked is not None:
        label = "of the sentences surely bear the watermark"
        figures.append(Figure(f"{100 * verdict.marked:.0f} %", label, "mark" in failed))
    if evaluation.speed is not None:
        label = "seconds of work for a second of speech, on this machine"
        figures.append(Figure(f"{evaluation.speed:.2f}", label))
    return figures


def _likeness(evaluation: "Evaluation") -> Iterable[Plot]:
    for name, title in TITLES.items():
        if name not in evaluation.verdict.likeness:
            continue
        usual, whole = CALIBRATIONS[name], evaluation.verdict.likeness[name]
        own = evaluation.recordings.get(name)
        yield Plot(
            title=f"Likeness, by {title}",
            told=f"likeness of each sentence; all together {whole:.2f}",
            marks=_COSINES.marks,
            limits=[_COSINES.at(SAME[name])],
            dots=_dots(
                _COSINES,
                [(one.number, one.check.likeness.get(name)) for one in evaluation.said],
                "{:.2f}",
            ),
            all=_COSINES.at(whole),
            own=None if own is None else _COSINES.at(own),
            bands=[
                _band("other", "two people", usual.different),
                _band("same", "one person", usual.same),
            ],
            key="" if own is None else f"ring: your own recordings, sentence by sentence {own:.2f}",
            note="The bands are what short clips of two people and of one usually have; a short "
            "sentence says less than all together.",
        )


def _band(kind: str, label: str, usual: tuple[float, float]) -> Band:
    mean, spread = usual
    low, high = _COSINES.at(mean - spread), _COSINES.at(mean + spread)
    return Band(kind, low, high - low, label, f"{label}: {mean:.2f} ± {spread:.2f}")


def _quality(evaluation: "Evaluation") -> Iterable[Plot]:
    mos = evaluation.verdict.mos
    if mos is not None:
        yield Plot(
            title="How clean it sounds (DNSMOS, 1 to 5)",
            told=f"quality of each sentence; the mean {mos:.1f}",
            marks=_SCORES.marks,
            limits=[_SCORES.at(verify.LEAST_MOS)],
            dots=_dots(_SCORES, [(one.number, one.check.mos) for one in evaluation.said], "{:.1f}"),
            all=_SCORES.at(mos),
        )


def _pace(evaluation: "Evaluation") -> Iterable[Plot]:
    rates = [(one.number, one.check.rate) for one in evaluation.said]
    known = [rate for _, rate in rates if rate is not None]
    if known:
        yield Plot(
            title="Pace, syllables in a second of speech",
            told=f"pace of each sentence, {min(known):.1f} to {max(known):.1f}",
            marks=_RATES.marks,
            limits=[_RATES.at(limit) for limit in verify.RATES],
            dots=_dots(_RATES, rates, "{:.1f}"),
            all=_RATES.at(sum(known) / len(known)),
        )


def _dots(
    axis: _Axis, values: Sequence[tuple[int, float | None]], form: str
) -> list[tuple[float, int, str]]:
    return [
        (axis.at(value), 22 + 10 * (number % LANES), f"sentence {number}: {form.format(value)}")
        for number, value in values
        if value is not None
    ]
