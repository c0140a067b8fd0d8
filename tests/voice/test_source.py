import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import source
from aitwin.voice.audio import Samples
from aitwin.voice.channels import Channels
from aitwin.voice.heard import HOP, RATE
from aitwin.voice.loudness import true_peak
from aitwin.voice.sound_file import ffmpeg
from aitwin.voice.source import Source
from tests.voice import sounds

NATIVE = 48_000


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Ten seconds at 48,000 Hertz, peak 1; nothing above 12,000 Hertz: the voice ends there."""
    return sounds.at_full_scale(NATIVE)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A sound as a file of 16 bits, unless something else is said."""

    def write(sound: NDArray[np.floating], rate: int = NATIVE, subtype: str = "PCM_16") -> Path:
        path = tmp_path / "take.wav"
        soundfile.write(path, sound, rate, format="WAV", subtype=subtype)
        return path

    return write


def streamed(path: Path, seconds: float = 10.0) -> tuple[Source, Samples]:
    take = Source(path)
    return take, np.concatenate(list(take.blocks(seconds)))


def tone(hertz: float, seconds: float = 1.0, rate: int = NATIVE, peak: float = 0.5) -> Samples:
    wave = np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
    return (peak * wave).astype(np.float32)


# --- the stream -------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("more", [0, 1, 17])
def test_a_take_has_as_many_samples_as_its_length_says(
    write: Callable[..., Path], rate: int, more: int
) -> None:
    frames = 2 * rate + more
    take, samples = streamed(write(tone(440, 3, rate)[:frames], rate))
    assert abs(len(samples) - frames * RATE / rate) <= 0.5
    assert len(samples) == take.samples
    assert samples.dtype == np.float32


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20_000), st.sampled_from([16_000, 32_000, 44_100, 48_000, 88_200]))
def test_the_count_is_that_of_one_call_for_the_whole(frames: int, rate: int) -> None:
    whole = soxr.resample(np.zeros(frames, np.float32), rate, RATE)
    half = frames * RATE * 2 % (2 * rate) == rate
    assert source.resampled(frames, rate) - len(whole) in ((0, 1) if half else (0,))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_the_length_of_the_blocks_changes_no_sample(
    write: Callable[..., Path], speech: Samples, rate: int
) -> None:
    sound = np.stack([speech, 0.5 * speech], 1)[: 5 * rate + 77] * np.float32(0.9)
    path = write(sound, rate)
    expected, whole = streamed(path, 60)
    for seconds in (0.0, 0.1, 1.0):
        take = Source(path)
        blocks = list(take.blocks(seconds))
        sizes = {len(block) for block in blocks[:-1]}
        assert len(sizes) == 1
        assert sizes.pop() == max(1, round(seconds * RATE / HOP)) * HOP
        assert np.array_equal(np.concatenate(blocks), whole)
        facts = ("samples", "clipping", "true_peak", "bandwidth", "channels", "missing")
        assert [getattr(take, fact) for fact in facts] == [
            getattr(expected, fact) for fact in facts
        ]


def test_a_stream_is_what_one_call_for_the_whole_makes(
    write: Callable[..., Path], speech: Samples
) -> None:
    path = write(speech * 0.9, subtype="FLOAT")
    _, samples = streamed(path)
    sections = scipy.signal.butter(source.ORDER, source.CORNER, "highpass", fs=NATIVE, output="sos")
    # The voice begins in silence: with or without a settled filter.
    filtered = scipy.signal.sosfilt(sections, speech * 0.9)
    whole = soxr.resample(filtered.astype(np.float32), NATIVE, RATE, quality="HQ")
    assert 0 <= len(samples) - len(whole) <= 1
    assert np.abs(samples[: len(whole)] - whole).max() < 1e-6


def test_any_format_gives_the_same_stream(
    write: Callable[..., Path], speech: Samples, tmp_path: Path
) -> None:
    path = write(speech * 0.9, subtype="PCM_24")
    _, samples = streamed(path)
    other = tmp_path / "take.m4a"
    command = [ffmpeg(), "-v", "error", "-i", path, "-c:a", "alac", other]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    take, same = streamed(other)
    assert take.info.format == "m4a"
    assert np.abs(same - samples).max() < 1e-6


@pytest.mark.parametrize(
    ("hertz", "low", "high"),
    [
        (20, -99, -34),
        (30, -99, -20),
        (50, -5.5, -4.5),
        (60, -2.5, -1.5),
        (75, -0.4, 0),
        (80, -0.25, 0),
        (100, -0.1, 0.01),
        (120, -0.1, 0.01),
        (150, -0.1, 0.01),
        (3_000, -0.1, 0.01),
    ],
)
def test_rumble_goes_while_low_voices_and_the_hums_harmonics_stay(
    write: Callable[..., Path], hertz: float, low: float, high: float
) -> None:
    _, samples = streamed(write(tone(hertz, 3), subtype="FLOAT"))
    middle = samples[RATE : 2 * RATE]
    level = 20 * np.log10(np.sqrt(2 * np.square(middle).mean()) / 0.5)
    assert low <= level <= high


@pytest.mark.parametrize("offset", [0.3, -0.01])
def test_a_constant_offset_goes_without_a_thump(write: Callable[..., Path], offset: float) -> None:
    _, samples = streamed(write(np.full(NATIVE, offset, np.float32), subtype="FLOAT"))
    assert np.abs(samples).max() < 1e-6


# --- to mono ----------------------------------------------------------------------------------


def test_two_channels_become_their_mean(write: Callable[..., Path], speech: Samples) -> None:
    _, one = streamed(write(speech * 0.75, subtype="FLOAT"))
    take, two = streamed(write(np.stack([speech, speech * 0.5], 1), subtype="FLOAT"))
    assert take.channels == Channels(of=2, heard=(0, 1), signs=(1, 1))
    assert np.abs(one - two).max() < 1e-6


@pytest.mark.parametrize(("hiss", "offset"), [(0.0, 0.0), (0.0005, 0.0), (0.0005, 0.3)])
@pytest.mark.parametrize("place", [0, 1])
def test_a_dead_channel_is_left_out(
    write: Callable[..., Path], speech: Samples, hiss: float, offset: float, place: int
) -> None:
    dead = np.random.default_rng(0).normal(offset, hiss, len(speech)).astype(np.float32)
    both = [dead, dead]
    both[place] = speech
    _, one = streamed(write(speech, subtype="FLOAT"))
    take, samples = streamed(write(np.stack(both, 1), subtype="FLOAT"))
    assert take.channels == Channels(of=2, heard=(place,), signs=(1,))
    assert np.array_equal(samples, one)


def test_a_channel_upside_down_is_turned(write: Callable[..., Path], speech: Samples) -> None:
    """Its mean with the other would be silence."""
    _, one = streamed(write(speech * 0.95, subtype="FLOAT"))
    take, two = streamed(write(np.stack([speech, -speech * 0.9], 1), subtype="FLOAT"))
    assert take.channels == Channels(of=2, heard=(0, 1), signs=(1, -1))
    assert np.abs(one - two).max() < 1e-6


def test_who_speaks_last_is_not_left_out(write: Callable[..., Path], speech: Samples) -> None:
    """V3: the interviewer for twenty seconds, then the owner, each on a channel."""
    chance, length = np.random.default_rng(0), len(speech)
    sound = chance.normal(0, 10 ** (-70 / 20), (6 * length, 2)).astype(np.float32)
    sound[: 2 * length, 0] += np.tile(speech[::-1], 2)
    sound[2 * length :, 1] += np.tile(speech, 4)
    take, samples = streamed(write(sound))
    assert take.channels == Channels(of=2, heard=(0, 1), signs=(1, 1), apart=True)
    _, owner = streamed(write(sound[:, 1]))
    assert np.abs(samples - owner / 2)[4 * RATE * length // NATIVE // 2 :].max() < 0.002


def test_channels_are_looked_at_once(
    write: Callable[..., Path], speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Source(write(np.stack([speech, speech], 1)))
    first = np.concatenate(list(take.blocks()))
    monkeypatch.setattr(source, "Survey", None)
    assert np.array_equal(np.concatenate(list(take.blocks())), first)


def test_a_take_of_silence_is_as_long_as_it_was(write: Callable[..., Path]) -> None:
    take, samples = streamed(write(np.zeros((NATIVE * 3, 2), np.float32)))
    assert len(samples) == 3 * RATE
    assert not samples.any()
    assert (take.clipping, take.true_peak, take.bandwidth) == (0.0, -120.0, None)


# --- true peak and bandwidth ------------------------------------------------------------------


def test_the_true_peak_is_the_originals(write: Callable[..., Path], speech: Samples) -> None:
    take, _ = streamed(write(np.stack([speech * 0.5, speech * 0.25], 1), subtype="FLOAT"))
    assert take.true_peak == pytest.approx(true_peak(speech * np.float32(0.5), NATIVE), abs=1e-3)


def telephone(speech: Samples) -> Samples:
    """A call, stored at 48,000 Hertz."""
    call = soxr.resample(soxr.resample(speech, NATIVE, 8_000), 8_000, NATIVE)
    band = scipy.signal.butter(12, 3_400, fs=NATIVE, output="sos")
    return np.asarray(scipy.signal.sosfilt(band, call), np.float32)


def test_a_telephone_call_stored_at_48_kilohertz_shows(
    write: Callable[..., Path], speech: Samples
) -> None:
    """V2: the rate alone says nothing."""
    bandwidth = streamed(write(telephone(speech) * 0.5))[0].bandwidth
    assert bandwidth is not None
    assert 3_400 <= bandwidth <= 4_100


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_the_bandwidth_of_a_low_rate_is_its_half(
    write: Callable[..., Path], speech: Samples, rate: int
) -> None:
    """Though stored at 48,000; the resampler's own slope is a twentieth of it."""
    narrow = soxr.resample(soxr.resample(speech, NATIVE, rate), rate, NATIVE)
    bandwidth = streamed(write(narrow * 0.5))[0].bandwidth
    assert bandwidth == pytest.approx(rate / 2, rel=0.06)


def test_an_mp3_shows_where_its_coder_stopped(
    write: Callable[..., Path], speech: Samples, tmp_path: Path
) -> None:
    path = write(speech * 0.5)
    for rate, low, high in ((32, 7_000, 10_000), (64, 10_000, 12_500)):
        coded = tmp_path / f"{rate}.mp3"
        command = [ffmpeg(), "-v", "error", "-i", path, "-ar", "44100", "-b:a", f"{rate}k", coded]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        bandwidth = streamed(coded)[0].bandwidth
        assert bandwidth is not None
        assert low <= bandwidth <= high


def in_noise(speech: Samples, snr: float, seed: int = 0) -> Samples:
    """White, so many dB under the speech."""
    level = float(np.sqrt(np.square(speech).mean())) * 10 ** (-snr / 20)
    noise = np.random.default_rng(seed).normal(0, level, len(speech))
    return (0.5 * (speech + noise)).astype(np.float32)


@pytest.mark.parametrize("snr", [40, 20])
def test_noise_of_the_room_does_not_widen_the_band(
    write: Callable[..., Path], speech: Samples, snr: float
) -> None:
    assert streamed(write(in_noise(speech, snr)))[0].bandwidth == pytest.approx(11_700, rel=0.05)
    narrow = streamed(write(in_noise(telephone(speech), 40)))[0].bandwidth
    assert narrow == pytest.approx(3_800, rel=0.1)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("snr", [25, 18, 14, 10, 5, 0])
def test_noise_that_hides_the_band_does_not_narrow_it(
    write: Callable[..., Path], speech: Samples, snr: float, seed: int
) -> None:
    """Of a bright voice it may be known; of a dull one, with "s" 20 dB softer, hardly."""
    dull = scipy.signal.sosfilt(
        scipy.signal.butter(2, 1_500, fs=NATIVE, output="sos"), speech
    ).astype(np.float32)
    for voice in (speech, dull):
        bandwidth = streamed(write(in_noise(voice, snr, seed)))[0].bandwidth
        assert bandwidth is None or bandwidth >= 9_000
    assert streamed(write(in_noise(telephone(speech), min(snr, 18), seed)))[0].bandwidth is None


@pytest.mark.parametrize("snr", [30, 20, 14, 10])
def test_the_noise_of_a_line_ends_with_its_band(
    write: Callable[..., Path], speech: Samples, snr: float
) -> None:
    """V2: a noisy call is a call; so is a noisy headset."""
    call = streamed(write(telephone(in_noise(speech, snr))))[0].bandwidth
    assert call == pytest.approx(3_900, rel=0.06)
    headset = soxr.resample(soxr.resample(in_noise(speech, snr), NATIVE, 16_000), 16_000, NATIVE)
    assert streamed(write(headset))[0].bandwidth == pytest.approx(7_900, rel=0.05)


def test_silence_around_the_voice_does_not_change_the_band(
    write: Callable[..., Path], speech: Samples
) -> None:
    alone = streamed(write(speech * 0.5))[0].bandwidth
    silence = np.zeros(60 * NATIVE, np.float32)
    around = streamed(write(np.concatenate([silence, speech * 0.5, silence])))[0].bandwidth
    assert around == pytest.approx(alone, rel=0.01)


def test_steady_noise_has_no_band_of_speech(write: Callable[..., Path]) -> None:
    assert streamed(write(np.random.default_rng(0).normal(0, 0.1, 5 * NATIVE)))[0].bandwidth is None


def test_real_speech_from_a_corpus_of_16_kilohertz(shared: Path) -> None:
    """V2: LibriSpeech, stored at 22,050 Hertz."""
    clips = sorted((shared / "golden" / "ref_encoder").glob("*.wav"))
    assert clips
    for clip in clips:
        take, samples = streamed(clip)
        assert take.clipping == 0
        assert take.bandwidth == pytest.approx(8_000, rel=0.03)
        assert len(samples) == soundfile.info(clip).frames


# --- what goes wrong --------------------------------------------------------------------------


def test_a_cut_off_take_says_how_much_is_missing(
    write: Callable[..., Path], speech: Samples
) -> None:
    path = write(speech)
    whole = len(speech) / NATIVE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    take, samples = streamed(path)
    assert take.missing == pytest.approx(whole / 2, abs=0.01)
    assert len(samples) / RATE + take.missing == pytest.approx(whole, abs=0.001)


def test_a_telephones_rate_is_refused(write: Callable[..., Path]) -> None:
    """V2."""
    with pytest.raises(TwinError, match="8,000 Hertz"):
        Source(write(tone(440, 3, 8_000), 8_000))


def test_facts_are_not_told_before_they_are_known(
    write: Callable[..., Path], speech: Samples
) -> None:
    take = Source(write(speech))
    blocks = take.blocks(1.0)
    next(blocks)
    with pytest.raises(AttributeError):
        _ = take.clipping
    blocks.close()
