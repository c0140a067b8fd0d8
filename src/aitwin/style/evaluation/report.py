"""evaluation.html: every figure with its interval, and texts side by side. Renders only.

Self-contained and private (0600): it holds the owner's words, so it asks for nothing from anywhere,
and a policy in the page forbids it. The figures alone are in evaluation.json.
"""

from dataclasses import dataclass
from math import isnan
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from aitwin import artifact
from aitwin.prompt import Persona
from aitwin.style.evaluation import Evaluation
from aitwin.style.evaluation.measures import (
    CANDIDATES,
    TITLES,
    Candidate,
    Measure,
    figure,
    interval,
)
from aitwin.style.evaluation.texts import incoming, instruction

FILE = "evaluation.html"
EXAMPLES = 12
"""Prompts whose texts are shown."""
LANE = 9
"""Height of a candidate's line in a plot, in units of its picture."""
WIDTH = 200


@dataclass(frozen=True)
class Mark:
    """One candidate's dot and interval in a plot."""

    candidate: Candidate
    at: float
    low: float
    high: float
    y: float


def marks(measure: Measure) -> list[Mark]:
    """Where the dots and intervals of a measure stand, left to right on its own scale."""
    there = [(c, measure.of(c)) for c in CANDIDATES if not isnan(measure.of(c).value)]
    if not there:
        return []
    ends = [x for _, e in there for x in (e.value, e.low, e.high) if not isnan(x)]
    least, most = min(0.0, *ends), max(1.0 if measure.unit == "share" else 0.0, *ends)
    scale = (WIDTH - 12) / ((most - least) or 1.0)

    def place(value: float, otherwise: float) -> float:
        return 6 + ((otherwise if isnan(value) else value) - least) * scale

    return [
        Mark(c, place(e.value, 0), place(e.low, e.value), place(e.high, e.value), LANE * (n + 0.5))
        for n, (c, e) in enumerate(there)
    ]


def render(evaluation: Evaluation, name: str, persona: Persona) -> str:
    """The page."""
    pages = Environment(
        loader=PackageLoader("aitwin.style.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("report.html.jinja").render(
        evaluation=evaluation,
        name=name,
        owner=persona.name,
        candidates=CANDIDATES,
        titles=TITLES,
        figure=figure,
        interval=interval,
        marks=marks,
        lane=LANE,
        width=WIDTH,
        examples=evaluation.answered[:EXAMPLES],
        instruction=instruction,
        incoming=incoming,
    )


def write(evaluation: Evaluation, adapter: Path, persona: Persona) -> Path:
    """Write the page into the adapter's directory; its path."""
    page = adapter / FILE
    text = render(evaluation, adapter.name, persona)
    artifact.write_private(page, text.encode("utf-8", "replace"))
    return page
