"""Pictures that can be read back: the sound's own numbers are in them."""

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from aitwin.voice import pictures
from aitwin.voice.heard import RATE


def tone(hertz: float, seconds: float = 1.0, peak: float = 0.5) -> np.ndarray:
    time = np.arange(round(RATE * seconds)) / RATE
    return (peak * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def points(path: str) -> np.ndarray:
    return np.array([tuple(map(float, pair)) for pair in re.findall(r"([-\d.]+),([-\d.]+)", path)])


@given(st.lists(st.integers(0, 700), max_size=6), st.integers(1, 300))
def test_an_outline_does_not_depend_on_how_the_sound_arrives(sizes: list[int], grain: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, sum(sizes)).astype(np.float32)
    blocks = np.split(sound, np.cumsum(sizes)[:-1]) if sizes else []
    whole, pieces = pictures.outline([sound], grain), pictures.outline(blocks, grain)
    assert pieces.samples == len(sound)
    assert len(pieces.high) == -(-len(sound) // grain)
    for name in ("low", "high", "level"):
        assert np.allclose(getattr(whole, name), getattr(pieces, name), atol=1e-3), name


def test_an_outline_has_extremes_and_level_of_each_column() -> None:
    sound = np.concatenate([tone(441, peak=0.5), np.zeros(RATE, np.float32)])
    found = pictures.outline([sound], RATE)
    assert found.high == pytest.approx([0.5, 0], abs=1e-3)
    assert found.low == pytest.approx([-0.5, 0], abs=1e-3)
    # The RMS of a sine is 3 dB under its peak, which is 6 dB under full scale.
    assert found.level == pytest.approx([-9.03, pictures.SILENCE], abs=0.01)


def test_folding_an_outline_is_drawing_it_coarser() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 12_000).astype(np.float32)
    fine, coarse = pictures.outline([sound], 100), pictures.outline([sound], 400)
    folded = pictures.folded(fine, 4)
    assert np.array_equal(folded.low, coarse.low)
    assert np.array_equal(folded.high, coarse.high)
    assert np.allclose(folded.level, coarse.level, atol=1e-3)


def test_a_waveform_goes_out_along_the_top_and_back_along_the_bottom() -> None:
    low, high = np.float32([-0.5, -1, 0]), np.float32([0.5, 2, 0])
    sound = pictures.Outline(low, high, np.zeros(3, np.float32), 3)
    assert points(pictures.wave_path(sound, 64)).tolist() == [
        [0, 16],
        [1, 0],  # what is beyond the edge is held there
        [2, 32],
        [2, 33],  # silence is a hair line
        [1, 64],
        [0, 48],
    ]
    louder = pictures.wave_path(sound, 64, 0.5)
    assert points(louder)[0].tolist() == [0, 0]


def test_a_curve_is_interrupted_where_there_is_no_value() -> None:
    values = np.float32([0, 5, np.nan, np.nan, 10, np.nan, 20])
    path = pictures.curve_path(values, 0, 10, 40)
    assert path == "M0,40L0,40 1,20M4,0L4,0M6,0L6,0"
    assert pictures.curve_path(np.float32([np.nan, np.nan]), 0, 10, 40) == ""


@pytest.mark.parametrize("hertz", [120, 440, 3_000, 8_000])
def test_a_tone_is_one_bright_row_at_its_own_height(hertz: float) -> None:
    shades = pictures.spectrogram(tone(hertz), RATE, 50, 80)
    assert shades.shape == (80, 50)
    assert shades.max() == pictures.SPECTRUM_SHADES - 1
    rows = shades[:, 10:-10].argmax(axis=0)
    mel = 2595 * np.log10(1 + np.array([pictures.SPECTRUM_LOWEST, hertz, RATE / 2]) / 700)
    expected = 80 * (1 - (mel[1] - mel[0]) / (mel[2] - mel[0]))
    assert np.abs(rows - expected).max() <= 2


@pytest.mark.parametrize("samples", [0, 1, 500, RATE])
def test_silence_of_any_length_is_black(samples: int) -> None:
    shades = pictures.spectrogram(np.zeros(samples, np.float32), RATE, 40, 20)
    assert shades.shape == (20, 40)
    assert not shades.any()


def test_a_png_is_read_back_pixel_by_pixel_by_somebody_elses_decoder() -> None:
    pixels = np.random.default_rng(0).integers(0, pictures.SPECTRUM_SHADES, (9, 14), np.uint8)
    colours = pictures.palette()
    read = imread(io.BytesIO(pictures.png(pixels, colours)), format="png")
    assert np.array_equal(np.rint(read[..., :3] * 255).astype(np.uint8), colours[pixels])


def test_the_palette_grows_lighter_all_the_way() -> None:
    light = pictures.palette() @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > 0).all()


def test_the_plane_keeps_distances_of_what_lies_in_one() -> None:
    random = np.random.default_rng(0)
    flat = random.normal(0, [3, 1], (40, 2))
    turned = np.linalg.qr(random.normal(size=(16, 16)))[0][:2]
    places, shown = pictures.plane((flat @ turned + 5).astype(np.float32))
    assert shown == pytest.approx(1)
    assert np.abs(places).max() == 1

    def distances(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, None] - points[None], axis=-1)

    assert np.allclose(
        distances(places) * distances(flat).max(),
        distances(flat) * distances(places).max(),
        atol=1e-4,
    )


def test_the_plane_is_the_same_whatever_the_order() -> None:
    vectors = np.random.default_rng(2).normal(size=(30, 8)).astype(np.float32)
    order = np.random.default_rng(3).permutation(30)
    places, _ = pictures.plane(vectors)
    shuffled, _ = pictures.plane(vectors[order])
    assert np.allclose(shuffled, places[order], atol=1e-6)


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.ones((1, 4)), np.ones((5, 4))])
def test_what_does_not_differ_is_in_the_middle(vectors: np.ndarray) -> None:
    places, shown = pictures.plane(vectors.astype(np.float32))
    assert places.shape == (len(vectors), 2)
    assert not places.any()
    assert shown == 1


def test_two_points_lie_on_a_line() -> None:
    places, shown = pictures.plane(np.float32([[0, 0, 1], [0, 0, 3]]))
    assert sorted(places[:, 0]) == [-1, 1]
    assert places[:, 1] == pytest.approx([0, 0])
    assert shown == pytest.approx(1)
