"""Recordings as somebody would send them; and what a home holds of voices."""

import io
import subprocess
from pathlib import Path

import soundfile

from aitwin.voice import sound_file
from tests.voice.sounds import RATE, speech


def wav(sentences: int = 2, *, first: int = 0, **kind: str) -> bytes:
    """Somebody reading, about four seconds a sentence."""
    file = io.BytesIO()
    form = {"format": "WAV", "subtype": "PCM_16", **kind}
    soundfile.write(file, speech(sentences, first=first).samples, RATE, **form)
    return file.getvalue()


def coded(tmp_path: Path, name: str, *options: str, source: bytes = b"") -> bytes:
    """The same, or another WAV, by ffmpeg, as `name` says: ".webm" is what a browser records."""
    given = tmp_path / "source.wav"
    given.write_bytes(source or wav())
    target = tmp_path / name
    subprocess.run(
        [sound_file.ffmpeg(), "-y", "-v", "error", "-i", given, *options, target],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return target.read_bytes()


def left(home: Path) -> list[str]:
    """Everything that lies among the voices: names below `voices/`, but for the mark of use."""
    place = home / "voices"
    return (
        sorted(str(path.relative_to(place)) for path in place.rglob("*")) if place.exists() else []
    )


def kind_of(answer) -> str:
    """Of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["type"].removeprefix("urn:aitwin:problem:")
