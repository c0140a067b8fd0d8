"""The GE2E encoder: against vectors of the package resemblyzer, and with small random weights."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from aitwin.errors import TwinError
from aitwin.voice import ge2e
from aitwin.voice.audio import Samples
from aitwin.voice.ge2e import GE2E_RATE, SpeakerEncoder
from aitwin.voice.heard import RATE
from tests.conftest import REPOSITORY
from tests.voice import sounds

WEIGHTS = REPOSITORY / ".cache" / "models" / "ge2e" / "pretrained.pt"
EXPECTED = json.loads(Path(__file__).with_name("ge2e_expected.json").read_text())
"""What resemblyzer 0.1.4 with librosa 0.11.0 says (VoiceEncoder.embed_utterance) of the sounds
below at 16 kHz; 2026-11-29."""


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    if not WEIGHTS.is_file():
        pytest.skip("the GE2E encoder is not here; `make test` pulls it (17 MB)")
    return SpeakerEncoder.load(WEIGHTS)


def buzz(seconds: float = 5.0) -> Samples:
    """Syllables of a wavering buzz at GE2E_RATE, the same on every machine."""
    time = np.arange(round(seconds * GE2E_RATE)) / GE2E_RATE
    phase = 2 * np.pi * np.cumsum(140 + 20 * np.sin(2 * np.pi * 0.6 * time)) / GE2E_RATE
    partials = np.sum([np.sin(k * phase) / k for k in range(1, 40)], axis=0)
    sound = partials * np.clip(np.sin(2 * np.pi * 1.5 * time), 0.05, 1)
    return (sound * 0.05 / np.sqrt(np.mean(sound**2))).astype(np.float32)


def tiny_weights(seed: int = 0, bands: int = 40, hidden: int = 6) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.5

    found = {"similarity_weight": some(1), "linear.weight": some(9, hidden), "linear.bias": some(9)}
    for layer, width in enumerate((bands, hidden)):
        found |= {
            f"lstm.weight_ih_l{layer}": some(4 * hidden, width),
            f"lstm.weight_hh_l{layer}": some(4 * hidden, hidden),
            f"lstm.bias_ih_l{layer}": some(4 * hidden),
            f"lstm.bias_hh_l{layer}": some(4 * hidden),
        }
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> SpeakerEncoder:
    torch.save({"step": 1, "model_state": tiny_weights()}, tmp_path / "tiny.pt")
    return SpeakerEncoder.load(tmp_path / "tiny.pt")


# --- Against the package ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "seconds"), [("buzz", 5.0), ("short", 1.0)])
def test_vectors_are_those_of_the_package(
    encoder: SpeakerEncoder, name: str, seconds: float
) -> None:
    """Seen: 1.6e-7 at the most, over ten clips of speech."""
    found = encoder.embed_speech(buzz(seconds))
    np.testing.assert_allclose(found, EXPECTED[name], rtol=0, atol=1e-5)


def test_of_the_bundled_voice_too(encoder: SpeakerEncoder) -> None:
    """Looser: another processor's bundled voice is not the same to the last bit."""
    sound = soxr.resample(sounds.sentence(7), RATE, GE2E_RATE, quality="HQ")
    found = encoder.embed_speech(np.asarray(sound, np.float32))
    np.testing.assert_allclose(found, EXPECTED["sentence"], rtol=0, atol=2e-3)


def test_a_voice_is_nearer_to_itself_than_to_another(encoder: SpeakerEncoder) -> None:
    """Faster by a third, pitch and formants with it: somebody else, to the ear as well."""
    one, other = (encoder.embed(sounds.sentence(number)) for number in (0, 7))
    smaller = encoder.embed(soxr.resample(sounds.sentence(7), 4, 3).astype(np.float32))
    assert one @ other > 0.8
    assert one @ smaller < 0.7
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)


def test_the_level_is_no_part_of_a_voice(encoder: SpeakerEncoder) -> None:
    """Unlike in the package, for which the same clip 10 dB softer is 0.97 like itself at best."""
    loud = sounds.sentence(7)
    soft = encoder.embed((loud * 0.1).astype(np.float32))
    assert encoder.embed(loud) @ soft == pytest.approx(1, abs=1e-4)


def test_long_pauses_count_for_nothing(encoder: SpeakerEncoder) -> None:
    said = sounds.sentence(7)
    rest = sounds.silence(3.0)
    apart = np.concatenate([rest, said[: len(said) // 2], rest, said[len(said) // 2 :], rest])
    assert encoder.embed(said) @ encoder.embed(apart) > 0.97
    assert (
        encoder.embed_speech(buzz(3))
        @ encoder.embed_speech(np.concatenate([buzz(3), np.zeros(6 * GE2E_RATE, np.float32)]))
        < 0.9
    )  # what the cutting is for


# --- With small weights of our own --------------------------------------------------------------


def test_a_sound_of_any_length_is_the_mean_of_its_stretches(tiny: SpeakerEncoder) -> None:
    """Beyond BATCH stretches, too: none is left out or heard twice where two batches meet."""
    sound = np.random.default_rng(1).normal(0, 0.1, 80 * GE2E_RATE).astype(np.float32)
    starts = ge2e.stretches(len(sound))
    assert len(starts) > ge2e.BATCH
    mels = ge2e.spectra(sound, 0, starts[-1] + ge2e.STRETCH, tiny.bands)
    each = tiny.embed_stretches(np.stack([mels[at : at + ge2e.STRETCH] for at in starts]))
    wanted = each.mean(axis=0)
    np.testing.assert_allclose(
        tiny.embed_speech(sound), wanted / np.linalg.norm(wanted), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    # A stretch of 1.6 s every 0.77 s; the last needs 1.2 s of sound.
    [(0.4, 1), (1.6, 1), (1.96, 1), (1.98, 2), (2.4, 2), (2.73, 2), (2.75, 3), (10.0, 12)],
)
def test_how_many_stretches(seconds: float, wanted: int) -> None:
    assert len(ge2e.stretches(round(seconds * GE2E_RATE))) == wanted


def test_spectra_of_a_tone_lie_in_its_band() -> None:
    time = np.arange(GE2E_RATE) / GE2E_RATE
    low, high = (
        ge2e.spectra(np.sin(2 * np.pi * hertz * time).astype(np.float32), 20, 60, 40)
        for hertz in (300.0, 5000.0)
    )
    assert low.shape == (40, 40)
    # Slaney's scale: 66.7 Hertz to a mel below 1 kHz; 45.2 mels and 41 steps to 8 kHz.
    assert np.argmax(low.mean(axis=0)) == round(300 / (200 / 3) / (45.2 / 41)) - 1
    assert np.argmax(high.mean(axis=0)) > 30


def test_silence_and_faint_sounds_are_no_error(tiny: SpeakerEncoder) -> None:
    silent = tiny.embed(np.zeros(RATE, np.float32))
    assert np.isfinite(silent).all()
    assert np.isfinite(tiny.embed(np.full(RATE, 1e-20, np.float32))).all()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(ge2e.LEAST - 1, np.float32),
        np.zeros((2, RATE), np.float32),
        np.full(RATE, np.nan, np.float32),
    ],
)
def test_what_cannot_be_heard_is_refused(tiny: SpeakerEncoder, samples: Samples) -> None:
    with pytest.raises(ValueError, match=r"samples"):
        tiny.embed(samples)


# --- Files that are none --------------------------------------------------------------------------


class Greedy:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "pretrained.pt"
    with pytest.raises(TwinError, match=r"missing; run `twin models pull ge2e`"):
        SpeakerEncoder.load(path)
    whole = tiny_weights()
    spoilt = {**whole, "linear.bias": torch.full((9,), torch.nan)}
    cases: list[tuple[object, str]] = [
        ({"model_state": {}}, "parts missing"),
        ({"model_state": {name: whole[name] for name in whole if "hh_l1" not in name}}, "parts"),
        ({"model_state": spoilt}, "parts missing"),
        ({"model": whole}, "not the checkpoint"),
        ({"model_state": {7: torch.ones(1)}}, "not the checkpoint"),
        *(
            ({"model_state": {**whole, "linear.bias": odd}}, "not the checkpoint")
            for odd in (torch.ones(9).to_sparse(), torch.ones(9, device="meta"), torch.arange(9))
        ),
        ([1, 2], "not the checkpoint"),
    ]
    for saved, said in cases:
        torch.save(saved, path)
        with pytest.raises(TwinError, match=said):
            SpeakerEncoder.load(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(TwinError, match="damaged"):
        SpeakerEncoder.load(path)


def test_no_code_in_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pretrained.pt"
    path.write_bytes(pickle.dumps({"model_state": Greedy()}, protocol=2))
    with pytest.raises(TwinError, match=r"pretrained\.pt"):
        SpeakerEncoder.load(path)
    assert capsys.readouterr().out == ""
