import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
from numpy.typing import NDArray

from aitwin.voice import loudness
from aitwin.voice.audio import Samples
from aitwin.voice.clipping import RUN, Clipping, _FlatTops
from aitwin.voice.sound_file import ffmpeg, native
from tests.voice import sounds

NATIVE = 48_000


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Ten seconds at 48,000 Hertz, peak 1."""
    return sounds.at_full_scale(NATIVE)


def share(sound: NDArray[np.floating], rate: int = NATIVE, subtype: str = "PCM_16") -> float:
    """What is found in the sound as a file holds it, read second by second."""
    file = BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype=subtype)
    file.seek(0)
    stored, _ = soundfile.read(file, dtype="float32")
    clipping = Clipping(rate)
    for start in range(0, len(stored), rate):
        clipping.add(stored[start : start + rate])
    return clipping.share()


def tone(hertz: float, seconds: float = 1.0, rate: int = NATIVE, peak: float = 0.5) -> Samples:
    wave = np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    return (peak * wave).astype(np.float32)


# --- as it was recorded ------------------------------------------------------------------------


def flat_tops(sound: Samples, level: float) -> float:
    """Share of the samples at or over `level` in runs of three and more, sign by sign."""
    count = 0
    for side in (sound, -sound):
        edges = np.flatnonzero(np.diff(side >= level, prepend=False, append=False))
        runs = np.diff(edges)[::2]
        count += int(runs[runs >= RUN].sum())
    return count / len(sound)


@pytest.mark.parametrize("lowered", [1.0, 0.7, 0.1])
@pytest.mark.parametrize("level", [0.8, 0.6, 0.4, 0.2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_clipping_of_known_size_is_found(
    speech: Samples, lowered: float, level: float, subtype: str
) -> None:
    """Nothing that is not clipped is counted, and at least 85 % of what is; 97 % at full level.

    At a tenth of the level (-20 dB, 16 bits) many slopes are no steeper than the rounding.
    """
    clipped = np.clip(speech, -level, level) / np.float32(level) * np.float32(lowered)
    truth = flat_tops(speech, level)
    assert truth > 0
    found = share(clipped, subtype=subtype)
    assert found <= truth * 1.001
    assert found >= truth * (0.85 if lowered < 0.5 else 0.97)


def test_clipping_of_one_side_alone_is_found(speech: Samples) -> None:
    """As of a microphone with an offset; the other side reaches twice as high."""
    level = 0.5 * float(-speech.min())
    clipped = np.maximum(speech, -level)
    truth = flat_tops(-np.maximum(-speech, 0), 2) + flat_tops(np.minimum(speech, 0), level)
    found = share(clipped * 0.9)
    assert found == pytest.approx(truth, rel=0.05)


def test_dither_does_not_hide_clipping(speech: Samples) -> None:
    """Turned down by an editor, that adds one step of triangular noise before it rounds."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, len(speech))).sum(axis=0) / 32_768
    clipped = np.clip(speech, -0.4, 0.4)
    found = share(clipped + noise)
    assert flat_tops(speech, 0.4) * 0.6 < found <= flat_tops(speech, 0.4) * 1.001


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_loud_and_clean_speech_does_not_count(speech: Samples, subtype: str) -> None:
    for level in (0.9999, 0.1, 0.02):
        assert share(speech * level, subtype=subtype) == 0


@pytest.mark.parametrize("rate", [16_000, 48_000, 96_000])
@pytest.mark.parametrize("hertz", [20, 50, 100, 250, 440, 997, 4_000])
def test_a_full_scale_sine_does_not_count(rate: int, hertz: float) -> None:
    for subtype in ("PCM_16", "FLOAT"):
        assert share(tone(hertz, 1, rate, 1.0), rate, subtype) == 0


def test_noise_and_a_click_do_not_count() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * NATIVE)
    noise[NATIVE : NATIVE + 2] = 0.99
    assert share(noise) == 0


def test_a_wire_that_sticks_does_not_fill_the_memory() -> None:
    stuck = np.concatenate([tone(300), np.full(5 * NATIVE, 0.9, np.float32), tone(300)])
    assert share(stuck) == 0


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_flat_tops_on_the_borders_of_reads_are_found(speech: Samples, size: int) -> None:
    part = np.clip(speech[NATIVE : NATIVE + 20_000], -0.2, 0.2)
    whole, pieces = _FlatTops(), _FlatTops()
    whole.add(part)
    for start in range(0, len(part), size):
        pieces.add(part[start : start + size])
    assert pieces.count() == whole.count() > 0


# --- behind a resampler or a coder ------------------------------------------------------------


def cut(sound: Samples, decibels: float) -> Samples:
    """Too loud by so many dB."""
    return np.clip(sound / np.abs(sound).max() * 10 ** (decibels / 20), -1, 1).astype(np.float32)


def through(sound: Samples, rate: int, how: str, folder: Path) -> tuple[Samples, int]:
    """Clipped at `rate`, then brought to another, or coded."""
    if how == "resampled":
        return 0.8 * soxr.resample(sound, rate, 44_100), 44_100
    source, coded = folder / "source.wav", folder / f"coded.{how}"
    soundfile.write(source, 0.8 * sound, rate, "PCM_24")
    command = [ffmpeg(), "-v", "error", "-y", "-i", source, "-ar", "48000", "-b:a", "96k", coded]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return np.concatenate(list(native(coded)))[:, 0], 48_000


@pytest.mark.parametrize("how", ["resampled", "m4a", "mp3", "webm"])
def test_clipping_is_seen_behind_a_resampler_or_a_coder(
    speech: Samples, tmp_path: Path, how: str
) -> None:
    """From a quarter of it to all of it, where the voice was too loud by 6 dB and more."""
    voice = soxr.resample(speech, NATIVE, 22_050)
    for decibels in (6, 12):
        clipped = cut(voice, decibels)
        truth = float((np.abs(clipped) == 1).mean())
        found = share(*through(clipped, 22_050, how, tmp_path), subtype="FLOAT")
        assert 0.25 * truth < found < 1.1 * truth


def test_clipping_of_real_voices_is_seen(shared: Path, tmp_path: Path) -> None:
    """LibriSpeech, two speakers: too loud by 9 dB, all four; as they were, or limited, none."""
    clips = sorted((shared / "golden" / "ref_encoder").glob("*.wav"))
    assert clips
    for clip in clips:
        voice, rate = soundfile.read(clip, dtype="float32")
        for sound, least, most in (
            (limited(voice, rate, 0), 0, 0),
            (limited(voice, rate, 12), 0, 0),
            (cut(voice, 9), 0.003, 1),
        ):
            after = through(sound, rate, "resampled", tmp_path)
            assert least <= share(*after, subtype="FLOAT") <= most


def limited(sound: Samples, rate: int, gain: float) -> Samples:
    """Made louder by so many dB than full scale, and held under it, as for the radio."""
    louder = sound / np.abs(sound).max() * np.float32(10 ** (gain / 20))
    return loudness.limit(louder, -1.0, rate)[0]


@pytest.mark.parametrize("how", ["resampled", "m4a"])
def test_limited_speech_does_not_count(speech: Samples, tmp_path: Path, how: str) -> None:
    """Though its loudest samples pile up at one level as well."""
    for gain in (0, 12):
        loud = limited(speech, NATIVE, gain)
        assert share(*through(loud, NATIVE, how, tmp_path), subtype="FLOAT") == 0


@pytest.mark.parametrize("number", range(5))
def test_clean_speech_in_any_room_does_not_count(number: int) -> None:
    voice = sounds.sentence(number)
    for sound in (
        voice,
        sounds.in_room(voice, -40, seed=number),
        0.5 * voice + np.float32(0.1),
        voice + sounds.tone(50, len(voice) / sounds.RATE, -25)[: len(voice)],
        soxr.resample(voice, sounds.RATE, 96_000),
    ):
        assert share(sound, 96_000 if len(sound) > len(voice) else sounds.RATE) == 0


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_tones_and_noise_do_not_count(rate: int) -> None:
    chance = np.random.default_rng(0)
    white = chance.normal(0, 0.2, 5 * rate)
    walk = scipy.signal.sosfilt(scipy.signal.butter(1, 20, "high", fs=rate, output="sos"), white)
    swell = 1 + 0.9 * np.sin(2 * np.pi * 3 * np.arange(5 * rate) / rate)
    band = scipy.signal.butter(4, (200, 600), "bandpass", fs=rate, output="sos")
    rumble = np.cumsum(walk) / np.abs(np.cumsum(walk)).max()
    for sound in (white, walk, rumble, scipy.signal.sosfilt(band, white)):
        assert share(sound, rate) == 0
    for hertz in (47, 60, 110, 233, 311.1, 440, 620, 997, 1_237):
        assert share(0.5 * swell * tone(hertz, 5, rate, 1.0), rate) == 0
        assert share(tone(hertz, 5, rate, 0.3) + tone(3.1 * hertz, 5, rate, 0.1), rate) == 0
