"""What each fuzzer begins with: the golden samples, cut down to what its target takes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from aitwin.corpus import headers, mail
from aitwin.corpus.report import Skipped
from tests.corpus.samples import Sample, samples


def seeds(target: str) -> Iterator[bytes]:
    """The first inputs of the target of this name."""
    for sample in samples():
        kind = _kind(sample)
        if target in (kind, "detection") or (target == "body" and kind == "eml"):
            yield sample.data()
        elif target == "headers" and kind == "eml":
            yield headers.split(sample.data())[0]
        elif target == "own_words" and sample.format == "mail":
            yield from (message.text.encode() for message in mail.read(sample.source, Skipped()))
        if sample.is_zipped and target in ("whatsapp", "detection"):
            with tempfile.TemporaryDirectory() as scratch:
                yield sample.file(Path(scratch)).read_bytes()


def _kind(sample: Sample) -> str:
    if sample.format == "whatsapp":
        return "whatsapp"
    if sample.source.suffix in (".eml", ".emlx"):
        return sample.source.suffix[1:]
    return "mbox"
