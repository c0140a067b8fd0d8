"""report.html: one self-contained page on what the tour did. Renders, computes nothing."""

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from aitwin import artifact
from aitwin.corpus.dataset import Dataset
from aitwin.corpus.store import Imported
from aitwin.style.adapter import CURVE, StyleAdapter

if TYPE_CHECKING:
    from aitwin.demo.tour import Answer

SAMPLES = 4
"""Pairs shown; two of mail, two of chat."""


def write(
    path: Path,
    imported: Sequence[Imported],
    dataset: Dataset,
    adapter: StyleAdapter,
    answers: Sequence["Answer"],
) -> None:
    """Write the page, readable by the owner alone: it quotes mail and chats."""
    environment = Environment(
        loader=PackageLoader("aitwin.demo", "."), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html.jinja").render(
        persona=dataset.persona,
        sources=_sources(imported),
        skipped=sum((one.skipped for one in imported), Counter[str]()).most_common(),
        funnel=dataset.funnel.stages,
        counts=dataset.counts,
        redactions=dataset.manifest["settings"].get("redactions", {}),
        samples=_samples(dataset),
        curve=_embedded(adapter.path / CURVE),
        metrics=adapter.manifest["metrics"],
        recipe=adapter.manifest["recipe"],
        base=adapter.manifest["base"],
        proof=adapter.proof,
        answers=[(answer, _spoken(answer.speech)) for answer in answers],
    )
    artifact.write_private(path, page)


def _sources(imported: Sequence[Imported]) -> list[dict[str, Any]]:
    """One row per file; the many files of a folder together."""
    rows: dict[str, dict[str, Any]] = {}
    for one in imported:
        letters = one.source.suffix == ".eml"
        name = f"{one.source.parent.name}/*.eml" if letters else one.source.name
        row = rows.setdefault(
            name, {"name": name, "format": one.format, "files": 0, "read": 0, "skipped": 0}
        )
        row["files"] += 1
        row["read"] += one.read
        row["skipped"] += one.skipped.total()
    return list(rows.values())


def _samples(dataset: Dataset) -> list[Any]:
    rows = dataset.split("train")
    chosen = []
    for channel in ("mail", "chat"):
        these = [row for row in rows if row.channel == channel]
        half = SAMPLES // 2
        chosen += these[len(these) // 3 :: max(1, len(these) // half)][:half]
    return chosen


def _embedded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _spoken(path: Path) -> str:
    """The WAV as MP3: a tenth of the size inside the page."""
    import soundfile

    from aitwin.voice.audio import Utterance, encode_mp3

    with soundfile.SoundFile(path) as file:
        samples, rate, note = file.read(dtype="float32"), file.samplerate, file.comment
    return base64.b64encode(encode_mp3([Utterance(samples, rate)], rate, note)).decode()
