"""The texts of ../shared/golden are other people's: nothing of them is written down here."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

WHOLE = 12
"""Characters from which on a golden string must not occur."""
PART = 24
"""Characters from which on a part of one, of whole words, must not occur either."""
PLACES = ("src", "tests", "docs", "benchmarks", "*.md", "*.toml", "Makefile")
KEPT = "tests/corpus/golden/"
"""Golden files of our own corpus readers, which are our own."""


def plain(text: str) -> str:
    return " ".join(text.lower().split())


def strings(content: Any) -> Iterator[str]:
    """Every string that is no name of a key."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from strings(value)


def texts(golden: Path) -> set[str]:
    """The texts of MeloTTS's golden files, and words whose pronunciation these tell."""
    found: set[str] = set()
    for name in ("splits.json", "waveforms.json"):
        found.update(strings(json.loads((golden / name).read_text("utf-8"))))
    for line in (golden / "frontend.jsonl").read_text("utf-8").splitlines():
        found.update(strings(json.loads(line)))
    found.update(json.loads((golden / "g2p_seq2seq_predictions.json").read_text("utf-8")))
    return {plain(text) for text in found}


def parts(text: str) -> Iterator[str]:
    """Every run of whole words that has PART characters, and no word more."""
    for start in re.finditer(r"\S+", text):
        end = re.compile(r"(?=\s)|$").search(text, start.start() + PART)
        if end is not None and start.start() + PART <= len(text):
            yield text[start.start() : end.start()]


def occurring(golden: set[str], pages: dict[str, str]) -> set[tuple[str, str]]:
    """Where something of `golden` stands in `pages`, and how it begins."""
    looked_for = {text for text in golden if len(text) >= WHOLE}
    looked_for.update(part for text in golden for part in parts(text))
    return {
        (name, text[:PART]) for name, page in pages.items() for text in looked_for if text in page
    }


def test_what_is_copied_would_be_seen() -> None:
    golden = {
        plain(text) for text in ("The owl ate\nfour mice, and slept until noon.", "Too short")
    }
    copied = {
        "whole": plain("x = 'the owl ate four mice, and slept until noon.'"),
        "part": "he said: four mice, and slept until midnight",
        "little": "the owl ate five mice. too short, and slept",
    }
    assert {name for name, _ in occurring(golden, copied)} == {"whole", "part"}


def test_no_golden_text_is_written_down_here(shared: Path) -> None:
    golden = texts(shared / "golden" / "melo")
    assert len(golden) > 100
    files = [
        file
        for place in PLACES
        for path in REPOSITORY.glob(place)
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    names = {file: file.relative_to(REPOSITORY).as_posix() for file in files}
    pages = {
        name: plain(file.read_bytes().decode("utf-8", "replace"))
        for file, name in names.items()
        if not name.startswith(KEPT)
    }
    assert "tests/test_own_texts.py" in pages
    assert occurring(golden, pages) == set()
