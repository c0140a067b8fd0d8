"""The tour from end to end: the real parts, with little time for the training.

One run is shared by all tests here: it takes a minute or two.
"""

import json
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest

TWIN = [sys.executable, "-c", "from aitwin.cli import main; main()"]


def _twin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TWIN_HOME": str(home)}
    return subprocess.run(
        [*TWIN, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Path:
    """A home in which `twin demo` has run."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir(mode=0o700)
    (home / "models" / smollm2.parent.name).symlink_to(smollm2.parent)
    done = _twin(home, "demo", "--minutes", "0.3")
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stderr
    return home


@pytest.mark.model
def test_every_artifact_is_there_and_private(tour):
    demo = tour / "demo"
    for name in ("datasets/main/manifest.json", "adapters/main/manifest.json", "report.html"):
        assert (demo / name).is_file(), name
    exposed = [
        path for path in demo.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
    assert exposed == []


@pytest.mark.model
def test_held_out_loss_falls_as_trained_and_as_served(tour):
    """The twin finds replies of the owner that it never saw likelier than the base does."""
    manifest = json.loads((tour / "demo/adapters/main/manifest.json").read_text())
    metrics = manifest["metrics"]
    assert metrics["test_loss_after"] < metrics["test_loss_before"]
    assert metrics["served_log_probability_twin"] > metrics["served_log_probability_base"]


@pytest.mark.model
def test_the_speech_is_a_22050_hertz_mono_wav(tour):
    """S2."""
    for path in sorted((tour / "demo").glob("draft-*.wav")):
        with wave.open(str(path)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (
                22_050,
                1,
                2,
            )
            assert sound.getnframes() > 22_050 // 4


@pytest.mark.model
def test_the_report_is_self_contained_and_shows_what_happened(tour):
    page = (tour / "demo/report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert page.count("data:audio/mpeg;base64,") == 3
    assert page.count("data:image/png;base64,") == 1
    for shown in ("written by others", "nearly the same as another", "never shown", "base model"):
        assert shown in page
    assert "bundled base voice" in page


@pytest.mark.model
def test_a_second_tour_keeps_what_is_done(tour):
    before = (tour / "demo/adapters/main/manifest.json").stat().st_mtime_ns
    done = _twin(tour, "demo", "--minutes", "0.3")
    assert done.returncode == 0, done.stderr
    assert (tour / "demo/adapters/main/manifest.json").stat().st_mtime_ns == before


@pytest.mark.model
def test_the_demos_home_is_a_home_like_any_other(tour):
    """W2, W3: the owner's commands work on it, and print the draft alone."""
    done = _twin(tour / "demo", "write", "Thank Ana for the spare parts.", "--max-tokens", "24")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 3
    assert done.stderr == ""


@pytest.mark.model
def test_a_draft_is_written_and_spoken_in_one_command(tour, tmp_path):
    sound = tmp_path / "draft.wav"
    done = _twin(tour / "demo", "speak", "Tell Tom the boat sinks.", "-o", str(sound))
    assert done.returncode == 0, done.stderr
    assert "bundled base voice (not yours" in done.stderr
    with wave.open(str(sound)) as spoken:
        assert spoken.getframerate() == 22_050
