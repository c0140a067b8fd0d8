"""twin voice check: what AI Twin has spoken can be told from what a person said."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.voice import audio
from aitwin.voice.audio import Utterance
from aitwin.voice.engines import Bundled
from aitwin.voice.watermark import Watermark
from tests.cli.conftest import Twin


@pytest.fixture(scope="session")
def two_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same sentence without a mark and with one, the latter as an MP3."""
    folder = tmp_path_factory.mktemp("marks")
    said = Bundled().speak("The kettle is on, and the boat has not come back yet.", seed=1)
    plain, marked = folder / "plain.wav", folder / "marked.mp3"
    audio.save([said], plain)
    audio.save([Watermark.load().apply(said)], marked)
    return plain, marked


def test_what_bears_the_mark_is_told_from_what_does_not(
    twin: Twin, two_files: tuple[Path, Path]
) -> None:
    shown = twin("voice", "check", *two_files)
    assert shown.code == 0
    rows = {
        line.split()[0]: line for line in shown.out.splitlines() if ".wav" in line or "mp3" in line
    }
    assert "no mark" in rows["plain.wav"]
    assert "synthesised" in rows["marked.mp3"]
    found = twin("voice", "check", *two_files, "--json").json
    assert [one["synthesised"] for one in found] == [False, True]
    assert found[1]["marked"] == pytest.approx(found[1]["seconds"])


def test_a_part_of_a_long_file_that_is_synthesised_is_found(
    twin: Twin, two_files: tuple[Path, Path], tmp_path: Path
) -> None:
    marked, rate = soundfile.read(two_files[1], dtype="float32")
    plain, _ = soundfile.read(two_files[0], dtype="float32")
    long = np.concatenate([np.tile(plain, 8)[: 20 * rate], np.tile(marked, 4)[: 10 * rate]])
    audio.save([Utterance(long.astype(np.float32), rate)], tmp_path / "long.wav")
    (found,) = twin("voice", "check", tmp_path / "long.wav", "--json").json
    assert found["seconds"] == 30
    assert found["marked"] == pytest.approx(10, abs=2)


def test_a_file_that_cannot_be_read_hides_no_other(
    twin: Twin, two_files: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "torn.wav").write_text("no sound")
    shown = twin("voice", "check", tmp_path / "torn.wav", two_files[0])
    assert shown.code == 1
    assert "torn.wav" in shown.err
    assert "no mark" in shown.out
