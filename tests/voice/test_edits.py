from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice import edits
from aitwin.voice.edits import FADE, SOFTENING, Timeline
from aitwin.voice.heard import RATE
from aitwin.voice.prepared import Edit
from tests.voice import sounds

SAMPLES = 4_000


@st.composite
def any_edits(draw: st.DrawFn) -> list[Edit]:
    """As detectors may find them: in no order, over each other and over the take's ends."""
    found = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(-100, SAMPLES))
        stop = start + draw(st.integers(0, 1_200))
        cut = draw(st.booleans())
        found.append(
            Edit(start, stop, "cut", "silence")
            if cut
            else Edit(start, stop, "attenuate", "breath", draw(st.floats(-30, 0)))
        )
    return found


def a_timeline(found: list[Edit]) -> Timeline:
    return Timeline(SAMPLES, edits.settled(found, SAMPLES))


def touched(timeline: Timeline) -> set[int]:
    """Prepared samples that lie in a fade."""
    gone, positions = 0, set()
    for cut in (edit for edit in timeline.edits if edit.kind == "cut"):
        joint = cut.start - gone
        if 0 < joint < timeline.samples:
            positions.update(range(joint - FADE // 2, joint + FADE // 2))
        gone += cut.stop - cut.start
    return positions


@given(any_edits())
def test_settled_edits_are_in_order_apart_and_stay_so(found: list[Edit]) -> None:
    once = edits.settled(found, SAMPLES)
    assert all(one.stop <= other.start for one, other in pairwise(once))
    assert all(0 <= edit.start < edit.stop <= SAMPLES for edit in once)
    assert edits.settled(once, SAMPLES) == once
    Timeline(SAMPLES, once)


@given(any_edits())
def test_settling_cuts_what_was_to_be_cut_and_next_to_nothing_else(found: list[Edit]) -> None:
    wanted = np.zeros(SAMPLES, bool)
    for edit in (e for e in found if e.kind == "cut" and e.stop > 0):
        wanted[max(0, edit.start) : edit.stop] = True
    done = np.zeros(SAMPLES, bool)
    for edit in (e for e in edits.settled(found, SAMPLES) if e.kind == "cut"):
        done[edit.start : edit.stop] = True
    assert np.count_nonzero(done & ~wanted) <= (len(found) + 2) * FADE
    assert np.count_nonzero(wanted & ~done) <= len(found) * FADE


@given(any_edits())
def test_the_maps_are_exact_inverses(found: list[Edit]) -> None:
    timeline = a_timeline(found)
    there = [timeline.source(position) for position in range(timeline.samples)]
    assert [timeline.prepared(position) for position in there] == list(range(timeline.samples))
    assert all(one < other for one, other in pairwise(there))
    kept = [p for p in range(SAMPLES) if timeline.prepared(p) is not None]
    assert kept == there
    assert timeline.samples == SAMPLES - sum(
        edit.stop - edit.start for edit in timeline.edits if edit.kind == "cut"
    )


@given(any_edits())
def test_away_from_fades_every_sample_is_the_sources_own(found: list[Edit]) -> None:
    timeline = a_timeline(found)
    source = sounds.noise(SAMPLES / RATE, -20)
    rendered = edits.apply(source, timeline.edits)
    assert len(rendered) == timeline.samples
    softened = {
        position
        for edit in timeline.edits
        if edit.kind == "attenuate"
        for position in range(edit.start, edit.stop)
    }
    for position in set(range(timeline.samples)) - touched(timeline):
        there = timeline.source(position)
        if there in softened:
            assert abs(rendered[position]) <= abs(source[there])
        else:
            assert rendered[position] == source[there]


@given(any_edits(), st.lists(st.integers(0, SAMPLES), max_size=6))
def test_in_pieces_it_is_to_the_bit_what_it_is_in_one_go(
    found: list[Edit], places: list[int]
) -> None:
    timeline = a_timeline(found)
    source = sounds.noise(SAMPLES / RATE, -20)
    borders = sorted({0, timeline.samples, *(p for p in places if p < timeline.samples)})
    pieces = [
        timeline.render(lambda a, b: source[a:b], start, stop) for start, stop in pairwise(borders)
    ]
    whole = edits.apply(source, timeline.edits)
    assert np.concatenate([source[:0], *pieces]).tobytes() == whole.tobytes()


def test_a_cut_in_a_rooms_noise_keeps_its_level_and_makes_no_click() -> None:
    source = sounds.noise(1.0, -50)
    cut = Edit(5_000, 15_000, "cut", "silence")
    around = edits.apply(source, [cut])[5_000 - FADE // 2 : 5_000 + FADE // 2]
    assert 20 * np.log10(np.std(around)) == pytest.approx(-50, abs=1.5)
    low = sounds.tone(100, 1.0)
    # The worst place: from the top of the wave to its bottom.
    joined = edits.apply(low, [Edit(5_568, 5_568 + 220 * 20 + 110, "cut", "silence")])
    own = np.abs(np.diff(low)).max()
    assert np.abs(np.diff(joined)).max() < 4 * own
    hard = np.concatenate([low[:5_568], low[5_568 + 4_510 :]])
    assert np.abs(np.diff(hard)).max() > 20 * own


def test_an_attenuation_reaches_its_gain_and_starts_and_ends_at_none() -> None:
    level = np.ones(RATE, np.float32)
    softer = edits.apply(level, [Edit(1_000, 6_000, "attenuate", "breath", -12.0)])
    assert (softer[:1_000] == 1).all()
    assert (softer[6_000:] == 1).all()
    assert 20 * np.log10(softer[1_000 + SOFTENING : 6_000 - SOFTENING]) == pytest.approx(-12)
    assert np.abs(np.diff(softer)).max() < 0.01


def test_stretches_of_a_mask() -> None:
    mask = np.array([1, 0, 0, 1, 1, 0, 1], bool)
    assert edits.stretches(mask) == [(0, 1), (3, 5), (6, 7)]
    assert edits.stretches(mask, closed=1) == [(0, 1), (3, 7)]
    assert edits.stretches(mask[:0]) == []


def test_widened_spans_stay_within_the_take_and_become_one_where_they_meet() -> None:
    assert edits.widened([(5, 200), (230, 300), (960, 990)], 1_000, 20) == [(0, 320), (940, 1_000)]


def test_rests_are_what_lies_between() -> None:
    assert edits.rests([(80, 320), (900, 950)], 1_000) == [(0, 80), (320, 900), (950, 1_000)]
    assert edits.rests([(0, 1_000)], 1_000) == []
    assert edits.rests([], 1_000) == [(0, 1_000)]


def test_long_rests_are_shortened_from_their_middle() -> None:
    between = [(0, 500), (1_000, 1_090), (2_000, 3_000), (8_000, 9_000)]
    cuts = edits.shortened(between, 9_000, most=100, kept=40, edge=30)
    assert [(cut.start, cut.stop) for cut in cuts] == [(0, 470), (2_020, 2_980), (8_030, 9_000)]


def test_of_a_take_of_silence_next_to_nothing_is_kept() -> None:
    cuts = edits.shortened([(0, SAMPLES)], SAMPLES, most=900, kept=400, edge=300)
    kept = edits.apply(sounds.silence(SAMPLES / RATE), edits.settled(cuts, SAMPLES))
    assert len(kept) == 400
    assert edits.shortened([(0, 300)], 300, most=900, kept=400, edge=300) == []


@pytest.mark.parametrize(
    "wrong",
    [
        [Edit(10, 500, "cut", "silence")],
        [Edit(500, 900, "cut", "silence"), Edit(800, 1_500, "cut", "silence")],
        [Edit(500, 900, "cut", "silence"), Edit(910, 1_500, "cut", "silence")],
        [Edit(500, 510, "cut", "silence")],
        [Edit(900, 500, "attenuate", "breath")],
        [Edit(3_000, 5_000, "cut", "silence")],
        [Edit(3_000, 3_990, "cut", "silence")],
    ],
)
def test_edits_that_cannot_be_carried_out_are_refused(wrong: list[Edit]) -> None:
    with pytest.raises(ValueError, match="sample"):
        Timeline(SAMPLES, tuple(wrong))


def test_a_place_outside_is_none() -> None:
    timeline = Timeline(100, ())
    for ask in (timeline.source, timeline.prepared):
        with pytest.raises(IndexError, match="no sample 100"):
            ask(100)
