"""What the demo's page holds."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.demo import report
from aitwin.voice import audio
from aitwin.voice.audio import Utterance


@pytest.mark.parametrize("note", ["AI-generated voice", ""])
def test_a_clip_keeps_the_note_of_its_file(tmp_path: Path, note: str) -> None:
    sound = Utterance(0.1 * np.sin(np.arange(22_050, dtype=np.float32)), 22_050)
    audio.save([sound], tmp_path / "said.wav", note=note)
    clip = base64.b64decode(report._spoken(tmp_path / "said.wav"))
    with soundfile.SoundFile(io.BytesIO(clip)) as file:
        assert file.comment == note
        assert file.frames > 20_000
