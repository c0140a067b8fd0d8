from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice import edits, segments
from aitwin.voice.edits import Span, Timeline
from aitwin.voice.heard import HOP, RATE, Heard
from aitwin.voice.prepared import Edit, Segment
from aitwin.voice.segments import LONGEST, SHORTEST, with_texts


@dataclass(frozen=True)
class Word:
    text: str = field(repr=False)
    start: float
    stop: float


def a_take(seconds: float) -> Heard:
    """Speech at -20 dBFS, half of its frames at 200 Hertz; softest at each third second."""
    frames = -(-round(seconds * RATE) // HOP)
    level = np.full(frames, -20, np.float32)
    level[:: round(3 * RATE / HOP)] = -60
    pitch = np.full(frames, 200, np.float32)
    pitch[::2] = np.nan
    ones, nothing = np.ones(frames, np.float32), np.zeros(513)
    template = Heard(0, level, ones, pitch, ones, ones, nothing, 0, nothing, frames)
    return replace(template, samples=round(seconds * RATE))


def utterances(
    spans: list[tuple[float, float]], *, seconds: float = 120, cuts: tuple[Edit, ...] = ()
) -> tuple[Segment, ...]:
    """Of speech at these seconds."""
    samples = [(round(start * RATE), round(stop * RATE)) for start, stop in spans]
    heard = a_take(seconds)
    return segments.segments(samples, heard, Timeline(heard.samples, cuts), take="1f3a", gain=3.0)


def lengths(found: tuple[Segment, ...]) -> list[float]:
    return [round((segment.stop - segment.start) / RATE, 2) for segment in found]


def test_an_utterance_ends_at_a_rest_and_not_at_a_comma() -> None:
    assert lengths(utterances([(1, 3), (3.1, 5), (5.3, 8)])) == [4.0, 2.7]


def test_a_short_one_joins_a_neighbour_or_is_none() -> None:
    assert lengths(utterances([(1, 1.4), (2.1, 5), (5.7, 6.2), (9, 9.5), (20, 23)])) == [5.2, 3]


def test_a_long_one_is_cut_where_it_is_softest() -> None:
    found = utterances([(1, 41)])
    assert sum(lengths(found)) == pytest.approx(40, abs=0.05)
    assert max(lengths(found)) <= 15
    for one, other in pairwise(found):
        assert one.stop == other.start
        assert abs((one.source_stop / RATE + 1.5) % 3 - 1.5) < 0.1


def test_cuts_move_an_utterance_and_keep_its_id() -> None:
    """The id comes from the original's samples, whatever is cut before."""
    before = utterances([(10, 13), (30, 32)])
    after = utterances([(10, 13), (30, 32)], cuts=(Edit(0, 9 * RATE, "cut", "silence"),))
    assert [s.id for s in before] == [s.id for s in after] == ["1f3a-000220500", "1f3a-000661500"]
    assert [s.source_start for s in before] == [s.source_start for s in after]
    assert [a.start - b.start for a, b in zip(before, after, strict=True)] == [9 * RATE] * 2


def test_speech_that_was_cut_is_in_no_utterance() -> None:
    silenced = Edit(20 * RATE, 26 * RATE, "cut", "silence")
    found = utterances([(10, 13), (20, 26), (30, 32)], cuts=(silenced,))
    assert lengths(found) == [3, 2]
    half = utterances([(18, 26)], cuts=(silenced,))
    assert lengths(half) == [2]


def test_pitch_voice_and_level_are_of_the_utterance() -> None:
    (found,) = utterances([(10.1, 12.1)])
    assert found.pitch == 200
    assert found.voiced == pytest.approx(1, abs=0.03)
    assert found.level == pytest.approx(-17, abs=0.1)


@given(
    st.lists(
        st.tuples(st.floats(0.05, 3), st.floats(0.05, 40)).map(
            lambda pair: (round(pair[0] * RATE), round(pair[1] * RATE))
        ),
        max_size=8,
    )
)
def test_utterances_are_in_order_apart_within_bounds_and_true(steps: list[Span]) -> None:
    """Whatever the rests and the speech: 1 to 15 s, and each is where its source is."""
    speech, position = [], 0
    for rest, length in steps:
        speech.append((position + rest, position + rest + length))
        position += rest + length
    samples = position + RATE
    between = edits.rests(speech, samples)
    cuts = edits.shortened(between, samples, most=RATE, kept=RATE // 2, edge=RATE // 5)
    timeline = Timeline(samples, edits.settled(cuts, samples))
    found = segments.segments(speech, a_take(samples / RATE), timeline, take="1f3a", gain=0.0)
    for segment in found:
        assert SHORTEST <= segment.stop - segment.start <= LONGEST
        assert timeline.source(segment.start) == segment.source_start
        assert timeline.source(segment.stop - 1) + 1 == segment.source_stop
    assert all(one.stop <= other.start for one, other in pairwise(found))
    assert len({segment.id for segment in found}) == len(found)
    # What is in none is short, or a rest.
    covered = sum(segment.source_stop - segment.source_start for segment in found)
    total = sum(stop - start for start, stop in speech)
    assert covered >= total - SHORTEST * (len(steps) + 3)


PROMPT = "I can't go, Anna; it is far too late. Ask me again tomorrow."


def heard_words(text: str, start: float, each: float = 0.25) -> list[Word]:
    words = text.split()
    return [Word(w, start + n * each, start + (n + 1) * each) for n, w in enumerate(words)]


def texts(found: tuple[Segment, ...]) -> list[str]:
    return [segment.text for segment in found]


def test_without_ears_a_prompt_is_what_the_only_utterance_says() -> None:
    assert texts(with_texts(utterances([(1, 4)]), None, PROMPT)) == [PROMPT]
    assert texts(with_texts(utterances([(1, 4), (6, 8)]), None, PROMPT)) == ["", ""]
    assert with_texts((), None, PROMPT) == ()


def test_what_is_heard_goes_to_the_utterance_at_its_time() -> None:
    words = [*heard_words(" it rains", 1.1), *heard_words("and pours", 6.2), Word("huh", 20, 21)]
    found = with_texts(utterances([(1, 4), (6, 8)]), words, "")
    assert texts(found) == ["it rains", "and pours"]
    assert texts(with_texts(utterances([(1, 4)]), [], "")) == [""]


def test_what_is_heard_of_a_prompt_is_written_as_the_prompt() -> None:
    """An ASR writes names and stops as it likes, and misses a word."""
    words = [
        *heard_words("i cant go ana it is far too late", 1.0),
        *heard_words("ask again tomorrow", 6.0),
    ]
    found = with_texts(utterances([(1, 4), (6, 8)]), words, PROMPT)
    assert texts(found) == ["I can't go, Anna; it is far too late.", "Ask me again tomorrow."]


def test_something_else_than_the_prompt_is_what_was_said() -> None:
    found = with_texts(utterances([(1, 4)]), heard_words("never mind the rain", 1.2), PROMPT)
    assert texts(found) == ["never mind the rain"]


def test_no_word_is_shown() -> None:
    """P4."""
    found = with_texts(utterances([(1, 4)]), None, PROMPT)
    assert "Anna" not in repr(found)
