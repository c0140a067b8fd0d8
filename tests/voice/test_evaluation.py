"""Thirty sentences judged: what is kept, what goes on after an interruption, and the page."""

import base64
import io
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from selectolax.lexbor import LexborHTMLParser

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import evaluation, phonemes, prompts, verify, voices
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.evaluation import Evaluation
from aitwin.voice.heard import RATE
from aitwin.voice.openvoice import Embedding
from aitwin.voice.speech import Speech
from aitwin.voice.vad import Detector
from aitwin.voice.verify import GE2E, OPENVOICE, Target, Tools
from aitwin.voice.voices import Voice
from tests.voice import sounds

TEXTS = (
    "Nobody knew <b>where</b> it was.",
    "Please put the kettle on.",
    "Seven swift ships sailed south.",
)
HOSTILE = '</title><script>alert(1)</script><img src="https://evil.example/x.png">'
DETECTOR = Detector()


class Recorded:
    """A speaker that plays sentences which are there already."""

    cloned = False

    def __init__(self, name: str = "recorded", passed: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.passed = passed
        self.said = 0
        self.fails: BaseException | None = None
        self.fails_at = 0

    def describe(self) -> str:
        return f"the voice {self.name}"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        self.said += 1
        if self.fails is not None and self.said == self.fails_at:
            raise self.fails
        return Utterance(sounds.sentence(3 + self.said % 3), RATE, sentence)


class Ear:
    """Hears the same voice in everything."""

    def __init__(self, *values: float) -> None:
        self.values = np.array(values, np.float32)
        self.digest = f"ear {values}"

    def embed(self, samples: Samples) -> Embedding:
        return self.values


class Passed:
    engine = "better+engine"
    why = "not here yet: `twin models pull voice`"


LIKE = Target({OPENVOICE: np.array([1, 0], np.float32)}, {OPENVOICE: 0.95})
SAME, OTHER = (Tools(DETECTOR, {OPENVOICE: ear}) for ear in (Ear(0.9, 0.436), Ear(0.5, 0.866)))


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    made = voices.create(tmp_path / "voices", "Ana")
    place = artifact.make_private_dir(made.path / "profile")
    artifact.write_manifest(place, {"made": 1})
    return made


def run(voice: Voice, speaker: Recorded, tools: Tools = SAME, **values: Any) -> Evaluation:
    return evaluation.run(voice, Speech(speaker), LIKE, tools, **{"texts": TEXTS, **values})


def page(found: Evaluation) -> str:
    return found.page.read_text("utf-8")


# --- The sentences --------------------------------------------------------------------------------


def test_thirty_sentences_with_every_sound_and_none_that_is_read_aloud() -> None:
    texts = evaluation.sentences()
    assert len(set(texts)) == 30
    assert all(8 <= len(text.split()) <= 14 for text in texts)
    covered = phonemes.coverage(texts).counts
    assert [sound for sound, count in covered.items() if not count] == []
    read = {prompt.text for emotion in EMOTIONS for prompt in prompts.prompts(emotion)}
    assert read.isdisjoint(texts)


# --- What is kept ---------------------------------------------------------------------------------


def test_all_of_it_is_kept_and_read_again(voice: Voice) -> None:
    done: list[tuple[int, int]] = []
    made = run(voice, Recorded(passed=(Passed(),)), on_progress=lambda *at: done.append(at))
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert made.verdict.usable
    assert made.verdict.likeness[OPENVOICE] == pytest.approx(0.9, abs=1e-3)
    found = evaluation.load(voice)
    assert found.engine == made.engine
    assert found.engine.passed == (("better+engine", Passed.why),)
    assert found.verdict.reasons == made.verdict.reasons
    assert found.verdict.likeness == pytest.approx(dict(made.verdict.likeness))
    assert found.verdict.unchecked == made.verdict.unchecked
    assert (found.made_at, found.recordings) == (made.made_at, {OPENVOICE: 0.95})
    assert [one.check.text for one in found.said] == list(TEXTS)
    assert [one.check.faults for one in found.said] == [()] * 3
    for one in found.said:
        samples, rate = soundfile.read(found.path / one.file)
        assert rate == 22_050
        assert len(samples) / rate == pytest.approx(one.check.seconds)
        with soundfile.SoundFile(found.path / one.file) as file:
            assert file.comment == "AI-generated voice"
    clips = re.findall(r"data:audio/mpeg;base64,([A-Za-z0-9+/=]+)", page(found))
    for clip in clips:
        assert soundfile.SoundFile(io.BytesIO(base64.b64decode(clip))).comment == (
            "AI-generated voice"
        )
    assert len(clips) == 3
    exposed = [
        path
        for path in voice.path.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    ]
    assert not exposed
    assert not (voice.path / evaluation.GOING).exists()
    assert TEXTS[1] not in repr(found)


def test_it_is_marked_unusable_with_reasons(voice: Voice) -> None:
    found = run(voice, Recorded(), OTHER)
    assert not found.verdict.usable
    assert "not usable, spoken by recorded: it is 0.50 like the voice" in found.summary
    assert "Not usable yet" in page(found)
    assert "0.50 like the voice" in page(found)


def test_it_is_outdated_when_the_profile_is_another(voice: Voice) -> None:
    run(voice, Recorded())
    assert not evaluation.load(voice).outdated(voice)
    artifact.write_manifest(voice.path / "profile", {"made": 2})
    assert evaluation.load(voice).outdated(voice)


def test_what_was_asked_for_is_not_the_verdict(voice: Voice) -> None:
    """A whisper, or another engine, by name: the voice is judged by what speaks unasked."""
    run(voice, Recorded())
    asked = run(voice, Recorded("other"), OTHER, emotion="whisper", asked=True)
    assert not asked.verdict.usable
    assert evaluation.load(voice).verdict.usable
    assert evaluation.load(voice, asked=True).engine.name == "other"
    assert asked.page.is_file()


def test_it_is_outdated_when_another_engine_speaks(voice: Voice) -> None:
    found = run(voice, Recorded())
    assert found.outdated(voice, "recorded") == found.outdated(voice) == ""
    assert found.outdated(voice, "better") == "better speaks now"


def test_it_is_outdated_when_the_fine_tune_is_another(voice: Voice) -> None:
    tune = voice.path / "finetune"
    artifact.make_private_dir(tune)
    artifact.write_manifest(tune, {"made": 1})
    found = run(voice, Recorded("melotts+finetune"))
    other = run(voice, Recorded())
    artifact.write_manifest(tune, {"made": 2})
    assert "fine-tune" in found.outdated(voice)
    assert not other.outdated(voice)


def test_other_weights_say_all_of_it_anew(voice: Voice) -> None:
    """Nothing that another network has said is taken over after an interruption."""
    speaker = Weighed("before")
    speaker.fails, speaker.fails_at = KeyboardInterrupt(), 3
    with pytest.raises(KeyboardInterrupt):
        run(voice, speaker)
    again = Weighed("after")
    run(voice, again)
    assert again.said == len(TEXTS)


class Weighed(Recorded):
    """Of weights with a digest."""

    def __init__(self, made_of: str) -> None:
        super().__init__()
        self.made_of = made_of


def test_what_is_damaged_says_so(voice: Voice) -> None:
    with pytest.raises(TwinError, match="twin voice eval ana"):
        evaluation.load(voice)
    found = run(voice, Recorded())
    manifest = artifact.read_manifest(found.path, kind="", remedy="")
    for spoilt in (
        {**manifest, "version": 0},
        {**manifest, "said": [{"number": 1}]},
        {**manifest, "verdict": 7},
        {name: value for name, value in manifest.items() if name != "inputs"},
    ):
        artifact.write_manifest(found.path, spoilt)
        with pytest.raises(TwinError, match="run `twin voice eval ana`"):
            evaluation.load(voice)


# --- Interrupted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TwinError("the engine broke")])
def test_it_goes_on_where_it_was_stopped(voice: Voice, error: BaseException) -> None:
    before = run(voice, Recorded("older"))
    speaker = Recorded()
    speaker.fails, speaker.fails_at = error, 3
    with pytest.raises(type(error)):
        run(voice, speaker)
    assert evaluation.load(voice).engine == before.engine  # the old one stays until then
    rest = Recorded()
    found = run(voice, rest)
    assert rest.said == 1
    assert found.verdict.likeness[OPENVOICE] == pytest.approx(0.9, abs=1e-3)
    assert len(found.said) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda voice: run(voice, Recorded("another")),
        lambda voice: run(voice, Recorded(), OTHER),
        lambda voice: run(voice, Recorded(), emotion="sad"),
        lambda voice: run(voice, Recorded(), seed=1),
        lambda voice: (
            artifact.write_manifest(voice.path / "profile", {"made": 3}),
            run(voice, Recorded()),
        )[1],
    ],
)
def test_nothing_of_another_evaluation_is_taken(
    voice: Voice, change: Callable[[Voice], Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = Recorded()
    speaker.fails, speaker.fails_at = KeyboardInterrupt(), 3
    with pytest.raises(KeyboardInterrupt):
        run(voice, speaker)
    said: list[str] = []
    speak = Recorded.speak
    monkeypatch.setattr(
        Recorded, "speak", lambda self, text, **how: said.append(text) or speak(self, text, **how)
    )
    assert len(change(voice).said) == 3
    assert len(said) == 3


def test_a_half_written_sentence_is_said_again(voice: Voice) -> None:
    speaker = Recorded()
    speaker.fails, speaker.fails_at = KeyboardInterrupt(), 3
    with pytest.raises(KeyboardInterrupt):
        run(voice, speaker)
    going = voice.path / evaluation.GOING
    (going / "01.json").write_text("{")
    (going / "02.flac").unlink()
    rest = Recorded()
    run(voice, rest)
    assert rest.said == 3


# --- The page -------------------------------------------------------------------------------------


def test_the_page_holds_all_and_fetches_nothing(voice: Voice) -> None:
    voice = voices.rename(voice, f"Ana {HOSTILE}")
    text = page(run(voice, Recorded(passed=(Passed(),))))
    tree = LexborHTMLParser(text)
    assert not tree.css("script, img, link, iframe")
    assert not re.search(r"""(?:src|href)=["'](?!data:audio/mpeg)""", text)
    policy = tree.css_first("meta[http-equiv=Content-Security-Policy]").attributes["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert len(tree.css("audio")) == 3
    assert len(tree.css(".strip circle.dot")) == 2 * 3  # likeness and pace
    assert "&lt;b&gt;where&lt;/b&gt;" in text
    assert "better+engine" in text
    assert "<code>twin models pull voice</code>" in text
    assert "docs/verify.md" in text


def test_sentences_with_faults_come_first(voice: Voice) -> None:
    class Torn(Recorded):
        def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
            whole = super().speak(sentence).samples
            if "ships" in sentence:
                rest = sounds.silence(1.8)
                whole = np.concatenate([whole[: len(whole) // 2], rest, whole[len(whole) // 2 :]])
            return Utterance(whole, RATE, sentence)

    found = run(voice, Torn())
    numbers = [row.text() for row in LexborHTMLParser(page(found)).css("tbody td:first-child")]
    assert numbers == ["3", "1", "2"]
    assert [reason.what for reason in found.verdict.reasons] == ["pause"]  # one of three


def test_without_any_encoder_nobody_knows_whose_voice_it_is(voice: Voice) -> None:
    found = run(voice, Recorded(), Tools(DETECTOR))
    assert [reason.what for reason in found.verdict.reasons] == ["likeness"]
    assert "twin models pull openvoice-v2" in page(found)
    assert GE2E in " ".join(found.verdict.unchecked).lower()
    assert verify.OPENVOICE not in found.verdict.likeness
