import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hibari import Hibari

from aitwin.errors import TwinError
from aitwin.voice.engines import MAX_PHONEMES, Bundled, Speaker, _as_hibari_reads, _breaths

SENTENCE = "The invoice is attached, and the numbers are finally right."


@pytest.fixture(scope="module")
def bundled() -> Speaker:
    return Bundled()


def test_it_says_that_it_is_not_the_owner(bundled: Speaker) -> None:
    assert bundled.cloned is False
    assert "not yours" in bundled.describe()


def test_it_speaks(bundled: Speaker) -> None:
    """Ten words at a human pace, loud enough, not clipped, and mostly sound."""
    utterance = bundled.speak(SENTENCE)
    assert (utterance.sample_rate, utterance.text) == (24_000, SENTENCE)
    assert 2.5 < utterance.seconds < 6
    assert 0.1 < np.abs(utterance.samples).max() < 1
    frames = utterance.samples[: len(utterance.samples) // 240 * 240].reshape(-1, 240)
    loudness = np.sqrt((frames**2).mean(axis=1))
    assert 0.05 < np.mean(loudness < 0.003) < 0.45


def test_the_same_seed_gives_the_same_samples(bundled: Speaker) -> None:
    once = bundled.speak(SENTENCE, seed=7).samples
    assert np.array_equal(once, bundled.speak(SENTENCE, seed=7).samples)
    assert np.array_equal(once, Bundled().speak(SENTENCE, seed=7).samples)
    assert not np.array_equal(once, bundled.speak(SENTENCE, seed=8).samples)


def test_speed_changes_the_pace(bundled: Speaker) -> None:
    slow, fast = (bundled.speak(SENTENCE, speed=speed).seconds for speed in (0.7, 1.4))
    assert 1.6 < slow / fast < 2.4


@pytest.mark.parametrize("silent", ["", " ", "😀", "你好"])
def test_what_has_no_sound_is_empty(bundled: Speaker, silent: str) -> None:
    assert bundled.speak(silent).seconds == 0


def test_no_is_no_number() -> None:
    """Hibari reads a lower-case "no." as "number"; when it no longer does, our remedy can go."""
    phonemes = Hibari(threads=1).phonemize
    assert phonemes("I said no.") == phonemes("I said number.")
    assert phonemes(_as_hibari_reads("I said no.")) == ["ˌI sˈɛd nˈO."]
    assert phonemes(_as_hibari_reads('I said "no."')) == ["ˌI sˈɛd nˈO."]
    assert _as_hibari_reads("See no. 5, not nos. 6.") == "See no. 5, not nos. 6."


def test_several_threads_may_ask_at_once(bundled: Speaker) -> None:
    """Each gets what it would get alone."""
    texts = ["First.", "Second one.", "The third is longer."]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(bundled.speak, texts * 2))
    for text, said in zip(texts * 2, together, strict=True):
        assert np.array_equal(said.samples, bundled.speak(text).samples)


def test_a_row_of_numbers_is_said_in_several_breaths(bundled: Speaker) -> None:
    """Uncut, these 300 characters are 1,500 phonemes and take 0.8 GB."""
    phonemes = "nˈIn hˈʌndɹəd " * 100
    breaths = list(_breaths(phonemes))
    assert max(map(len, breaths)) <= MAX_PHONEMES
    assert "".join(breaths).replace(" ", "") == phonemes.replace(" ", "")
    assert list(_breaths("x" * 1_000)) == ["x" * 400, "x" * 400, "x" * 200]
    assert 40 < bundled.speak("999,999,999 " * 12).seconds < 120


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    with pytest.raises(TwinError, match=r"pip install 'aitwin\[speak\]'"):
        Bundled().speak("Hello.")


def test_importing_is_free() -> None:
    """Neither numpy nor a model is loaded before the first sentence."""
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, aitwin.voice.engines as e, aitwin.voice.speech as s\n"
            "s.Speech(e.Bundled())\n"
            "print(*{'numpy', 'soxr', 'hibari', 'onnxruntime', 'soundfile'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == ""
