"""Monotonic alignment search, against trying out every alignment there is (S6)."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice import alignment


def best_of_all(scores: np.ndarray) -> tuple[float, list[list[int]]]:
    """The best sum of scores [symbols, frames], and every alignment that reaches it."""
    symbols, frames = scores.shape
    found: list[tuple[float, list[int]]] = []
    for starts in combinations(range(1, frames), symbols - 1):
        edges = (0, *starts, frames)
        way = [symbol for symbol in range(symbols) for _ in range(*edges[symbol : symbol + 2])]
        found.append((sum(float(scores[way[i], i]) for i in range(frames)), way))
    best = max(total for total, _ in found)
    return best, [way for total, way in found if total > best - 1e-9]


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=3),
)
def test_no_other_alignment_is_likelier(seed: int, sizes: list[tuple[int, int]]) -> None:
    symbols = [size for size, _ in sizes]
    frames = [size + more for size, more in sizes]
    random = np.random.default_rng(seed)
    # What lies beyond the counts is better than all that is real: it must not be taken.
    scores = np.full((len(sizes), max(symbols) + 1, max(frames) + 1), 1e6, np.float32)
    for row, (symbol, frame) in enumerate(zip(symbols, frames, strict=True)):
        scores[row, :symbol, :frame] = random.normal(0, 9, (symbol, frame))
    found = alignment.search(scores, symbols, frames)
    assert found.shape == (len(sizes), max(frames) + 1)
    for row, (symbol, frame) in enumerate(zip(symbols, frames, strict=True)):
        _, ways = best_of_all(scores[row, :symbol, :frame].astype(np.float64))
        assert found[row, :frame].tolist() in ways
        assert not found[row, frame:].any()
    lasting = alignment.durations(found, scores.shape[1], frames)
    assert lasting.sum(axis=1).tolist() == frames
    for row, symbol in enumerate(symbols):
        assert (lasting[row, :symbol] >= 1).all()
        assert not lasting[row, symbol:].any()


def test_a_planted_alignment_is_found_in_a_sentence_of_ten_seconds() -> None:
    """200 symbols over 860 frames: as long as MeloTTS has them."""
    random = np.random.default_rng(0)
    planted = np.sort(random.integers(0, 200, 860))
    planted = np.searchsorted(np.unique(planted), planted)  # no symbol left out
    count = int(planted[-1]) + 1
    scores = random.normal(0, 1, (1, count, 860)).astype(np.float32)
    scores[0, planted, np.arange(860)] += 50
    found = alignment.search(scores, [count], [860])
    assert (found[0] == planted).all()


@pytest.mark.parametrize(
    ("symbols", "frames", "words"),
    [
        ([4], [3], "fewer frames than symbols"),
        ([0], [3], "beyond the scores"),
        ([6], [6], "beyond the scores"),
        ([2], [9], "beyond the scores"),
        ([2, 2], [3], "one count"),
    ],
)
def test_counts_that_do_not_fit_are_refused(
    symbols: list[int], frames: list[int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        alignment.search(np.zeros((1, 5, 8), np.float32), symbols, frames)


def test_a_score_that_is_no_number_is_refused() -> None:
    scores = np.zeros((1, 2, 3), np.float32)
    scores[0, 1, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        alignment.search(scores, [2], [3])
