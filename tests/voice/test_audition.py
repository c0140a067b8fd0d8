"""Every engine side by side, the owner on top; no sound of a take outlives the take (P4)."""

import base64
import io
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from selectolax.lexbor import LexborHTMLParser

from aitwin.errors import TwinError
from aitwin.voice import audition, voices
from aitwin.voice.audio import Utterance
from aitwin.voice.audition import Rung
from aitwin.voice.heard import RATE
from aitwin.voice.speech import Speech
from aitwin.voice.vad import Detector
from aitwin.voice.verify import OPENVOICE, Target, Tools
from aitwin.voice.voices import Voice
from tests.voice import sounds
from tests.voice.test_evaluation import Ear, Recorded

TEXTS = ("Please put the kettle on.", "Is <i>this</i> you?")


class Broken(Recorded):
    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        raise TwinError("the weights are damaged; run `twin models pull voice`")


def locked() -> Speech:
    raise TwinError("no consent: `twin voice consent ana`")


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


def rungs() -> list[Rung]:
    return [
        Rung("best", "the best", "not here yet: run `twin models pull voice`"),
        Rung("good", "a good one", "", lambda: Speech(Recorded("good"))),
        Rung("broken", "a broken one", "", lambda: Speech(Broken("broken"))),
        Rung("locked", "a locked one", "", locked),
        Rung("base", "the base", "", lambda: Speech(Recorded("base"))),
    ]


def test_what_speaks_is_to_be_heard_and_what_does_not_says_why(voice: Voice) -> None:
    done: list[tuple[int, int]] = []
    target = Target({OPENVOICE: np.array([1, 0], np.float32)}, {OPENVOICE: 0.95})
    path = audition.write(
        voice,
        rungs(),
        own=[sounds.sentence(1), sounds.sentence(2)],
        texts=TEXTS,
        judged=(target, Tools(Detector(), {OPENVOICE: Ear(0.8, 0.6)})),
        on_progress=lambda *at: done.append(at),
    )
    assert (done[0], done[-1]) == ((0, 5), (5, 5))
    assert path == voice.path / "listening.html"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text("utf-8")
    tree = LexborHTMLParser(text)
    audio = tree.css("audio")
    assert len(audio) == 1 + 2 * 2
    # What is synthesised says so in its tags; the owner's recording is none.
    sounding = [base64.b64decode(str(one.attributes["src"]).partition(",")[2]) for one in audio]
    notes = [soundfile.SoundFile(io.BytesIO(one)).comment for one in sounding]
    assert notes == ["", *["AI-generated voice"] * 4]
    assert not tree.css("script, img, link, i")
    assert [node.text() for node in tree.css(".rung.own .chips span")] == [
        "openvoice: 0.95 like the voice"
    ]
    chips = [node.text() for node in tree.css(".rung:not(.own) .chips span")]
    assert chips == ["openvoice: 0.80 like the voice"] * 2
    silent = " ".join(node.text() for node in tree.css(".rung.none"))
    for why in ("Not here yet", "weights are damaged", "No consent"):
        assert why in silent
    assert "the voice good" in text


def test_without_measuring_and_with_nothing_that_speaks(voice: Voice) -> None:
    text = audition.write(voice, rungs()[:1], texts=TEXTS).read_text("utf-8")
    assert "Nothing can speak here" in text
    assert not LexborHTMLParser(text).css("audio, .own")


def test_the_page_goes_with_the_takes_that_it_holds(voice: Voice, tmp_path: Path) -> None:
    recording = tmp_path / "take.wav"
    recording.write_bytes(b"sound")
    values = {"emotion": "sad", "seconds": 1.0, "sample_rate": RATE, "channels": 1}
    take = voice.add(recording, values)
    path = audition.write(voice, rungs()[1:2], own=[sounds.sentence(1)], texts=TEXTS)
    assert path.exists()
    voice.drop(take.id)
    assert not path.exists()


def test_the_owners_recording_is_no_longer_than_it_says(voice: Voice) -> None:
    long = [sounds.sentence(number % 3) for number in range(30)]
    clip = audition._own(long)
    assert clip is not None
    assert 9 < clip.seconds <= audition.OWN_SECONDS + 1
    assert audition._own([]) is None
