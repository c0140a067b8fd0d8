"""Lines: a bounded number wait, and everyone else is told when to come again."""

from contextlib import ExitStack

import pytest

from aitwin.server.problems import Problem
from aitwin.server.queueing import Line


def test_one_is_served_and_as_many_wait_as_may():
    line = Line("draft", most=1)
    with line.place():
        assert (line.places, line.waiting) == (1, 0)
        with line.place():
            assert (line.places, line.waiting) == (2, 1)
            with pytest.raises(Problem) as refused, line.place():
                pass
            assert refused.value.status == 429
            assert refused.value.headers["Retry-After"] == "8"
        with line.place():
            pass
    assert line.places == 0


def test_a_place_is_free_when_its_holder_fails():
    line = Line("draft", most=0)
    with pytest.raises(ValueError, match="broken"), line.place():
        raise ValueError("broken")
    assert line.places == 0
    with line.place():
        pass


@pytest.mark.parametrize(("seconds", "told"), [(0.01, "1"), (7.2, "8"), (900.0, "60")])
def test_when_to_come_again_follows_how_long_it_takes(seconds, told):
    line = Line("draft", most=0, seconds=seconds)
    with line.place(), pytest.raises(Problem) as refused, line.place():
        pass
    assert refused.value.headers["Retry-After"] == told


def test_one_caller_leaves_places_for_others():
    """S3: a token that asks for everything at once shuts nobody out; the owner's machine may."""
    line = Line("speech")
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(line.place("token:a"))
        with pytest.raises(Problem) as refused, line.place("token:a"):
            pass
        assert refused.value.status == 429
        assert refused.value.headers["Retry-After"]
        for _ in range(5):
            held.enter_context(line.place())
        held.enter_context(line.place("token:b"))
    with line.place("token:a"):
        assert line.places == 1
