"""Spectra for the losses: against the golden spectrograms, and other people's filters (S6)."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers.audio_utils import mel_filter_bank

from aitwin.voice import transcribe
from aitwin.voice.mels import Analysis

OFFICIAL = Analysis(rate=44_100, window=2_048, hop=512, bands=128)


@pytest.mark.parametrize(
    "analysis",
    [
        OFFICIAL,
        Analysis(rate=22_050, window=1_024, hop=256, bands=80, low=50.0, high=8_000.0),
        Analysis(rate=16_000, window=400, hop=160, bands=80),
    ],
)
def test_the_filters_are_slaneys(analysis: Analysis) -> None:
    other = mel_filter_bank(
        num_frequency_bins=analysis.bins,
        num_mel_filters=analysis.bands,
        min_frequency=analysis.low,
        max_frequency=analysis.high or analysis.rate / 2,
        sampling_rate=analysis.rate,
        norm="slaney",
        mel_scale="slaney",
    )
    np.testing.assert_allclose(analysis.filters, other.T, rtol=0, atol=1e-7)


def test_the_filters_are_those_of_the_speech_recognition() -> None:
    whisper = Analysis(rate=transcribe.WHISPER_RATE, window=transcribe.WINDOW, hop=1, bands=80)
    np.testing.assert_allclose(whisper.filters, transcribe._mel_filters(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("clip", ["src_a", "ref_b"])
def test_linear_spectra_are_upstreams(shared: Path, clip: str) -> None:
    place = shared / "golden" / "openvoice"
    samples = soundfile.read(place / f"{clip}.wav", dtype="float32")[0][:6000]
    found = Analysis(22_050, 1_024, 256, 80).linear(torch.from_numpy(samples)[None])
    wanted = np.load(place / f"spec_{clip}_first6000.npy")
    np.testing.assert_allclose(found[0].numpy(), wanted, rtol=0, atol=1e-5)


def test_the_numbers_come_from_the_config(shared: Path) -> None:
    config = json.loads((shared / "golden" / "melo" / "config_official_sizes_en.json").read_text())
    assert Analysis.of(config["data"]) == OFFICIAL
    with pytest.raises(ValueError, match="window"):
        Analysis.of({**config["data"], "win_length": 1024})


def test_a_tone_is_in_its_own_band_and_silence_at_the_floor() -> None:
    time = torch.arange(44_100) / 44_100
    tone = torch.sin(2 * np.pi * 3_000 * time) * 0.5
    mel = OFFICIAL.mel(OFFICIAL.linear(torch.stack([tone, torch.zeros_like(tone)])))
    assert mel.shape == (2, 128, 44_100 // 512)
    bins = np.linspace(0, 22_050, OFFICIAL.bins)
    centres = bins[OFFICIAL.filters.argmax(axis=1)]
    loudest = int(mel[0, :, 40].argmax())
    assert centres[loudest] == pytest.approx(3_000, abs=80)
    assert mel[1].max() < mel[0].max() - 5


def test_a_gradient_passes_and_silence_has_a_finite_one() -> None:
    samples = torch.zeros(1, 4_096, requires_grad=True)
    OFFICIAL.mel(OFFICIAL.linear(samples)).sum().backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
    loud = torch.randn(1, 4_096, generator=torch.Generator().manual_seed(0)).requires_grad_()
    OFFICIAL.mel(OFFICIAL.linear(loud)).sum().backward()
    assert loud.grad is not None
    assert loud.grad.abs().max() > 0


def test_too_little_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 768 samples"):
        OFFICIAL.linear(torch.zeros(1, 768))
