"""What is said bears the mark and the note of synthesised speech, and is looked at once written."""

from pathlib import Path
from typing import Any

import pytest

from aitwin.errors import TwinError
from aitwin.voice import watermark
from aitwin.voice.engines import Bundled
from aitwin.voice.speech import Speech
from aitwin.voice.watermark import Watermark

TEXT = "The kettle is on, and nobody has moved the van."
NOTE = "AI-generated voice of Ana"


@pytest.mark.parametrize("name", ["kettle.wav", "kettle.mp3"])
def test_a_file_bears_both(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    spoken = Speech(Bundled(), Watermark.load(), NOTE).save(TEXT, path)
    assert spoken.marked is not None
    assert spoken.marked > watermark.SURE
    assert NOTE.encode() in path.read_bytes() or NOTE.encode("utf-16-le") in path.read_bytes()


def test_without_what_marks_it_is_said_that_nothing_is_marked(tmp_path: Path) -> None:
    spoken = Speech(Bundled()).save(TEXT, tmp_path / "kettle.wav")
    assert spoken.marked is None
    assert b"AI-generated voice" in (tmp_path / "kettle.wav").read_bytes()[:200]


@pytest.mark.parametrize("name", ["draft.wav", "draft.mp3"])
def test_a_draft_is_looked_at_as_a_text_is(tmp_path: Path, name: str) -> None:
    """What `twin speak` writes, while it is being written."""
    parts = [TEXT[at : at + 5] for at in range(0, len(TEXT), 5)]
    good = Speech(Bundled(), Watermark.load())
    spoken = good.write(good.follow(parts), tmp_path / name)
    assert spoken.marked is not None
    assert spoken.marked > watermark.SURE
    before = (tmp_path / name).read_bytes()
    bad = Speech(Bundled(), Blind(Watermark.load().path))
    with pytest.raises(TwinError, match="does not bear the mark"):
        bad.write(bad.follow(parts), tmp_path / name)
    assert (tmp_path / name).read_bytes() == before


class Blind(Watermark):
    """Marks nothing, and so finds nothing."""

    def apply(self, utterance: Any) -> Any:
        return utterance


def test_what_does_not_bear_the_mark_does_not_stay(tmp_path: Path) -> None:
    blind = Blind(Watermark.load().path)
    with pytest.raises(TwinError, match="does not bear the mark of synthesised speech"):
        Speech(Bundled(), blind).save(TEXT, tmp_path / "kettle.wav")
    assert not list(tmp_path.iterdir())
    # What was there before is not lost to it.
    kept = tmp_path / "keep.mp3"
    Speech(Bundled(), Watermark.load()).save(TEXT, kept)
    before = kept.read_bytes()
    with pytest.raises(TwinError, match="was not kept"):
        Speech(Bundled(), blind).save(TEXT, kept)
    assert kept.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["keep.mp3"]
    # Of half a second nobody could say: it is left, with how sure that is.
    assert Speech(Bundled(), blind).save("No.", tmp_path / "no.wav").marked is not None
