from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.script import Script


@dataclass(frozen=True)
class Line:
    id: str
    emotion: str
    text: str = "read me"


LINES = [Line(f"{emotion}-{n}", emotion) for n in range(3) for emotion in EMOTIONS]


def of(emotion: str) -> set[str]:
    return {line.id for line in LINES if line.emotion == emotion}


def now(script: Script) -> str:
    return script.current.id if script.current else ""


def test_sentences_come_emotion_by_emotion() -> None:
    """V1: all nine contexts."""
    script, order = Script(LINES), []
    while script.current:
        order.append(script.current.id)
        script.read(140)
    assert order == [f"{emotion}-{n}" for emotion in EMOTIONS for n in range(3)]
    with pytest.raises(ValueError, match="nothing left"):
        script.read(140)


def test_another_day_goes_on_where_it_ended() -> None:
    script = Script(LINES, read={"neutral-0": [4], "neutral-1": [5]}, other={"neutral": 60})
    assert now(script) == "neutral-2"
    progress = script.progress()[0]
    assert (progress.said, progress.asked, progress.read, progress.sentences) == (69, 420, 2, 3)


def test_enough_of_an_emotion_leads_to_the_next() -> None:
    """V2: seven minutes each."""
    script = Script(LINES)
    script.read(419.9)
    assert now(script) == "neutral-1"
    script.read(0.2)
    assert now(script) == "happy-0"
    assert script.progress()[0].full


def test_one_emotion_alone_goes_on_to_its_last_sentence() -> None:
    script = Script(LINES, only="sad", other={"sad": 999})
    seen = []
    while script.current:
        seen.append(now(script))
        script.read(4)
    assert seen == ["sad-0", "sad-1", "sad-2"]
    assert not script.next_emotion()


def test_what_is_skipped_comes_last_another_day() -> None:
    script = Script(LINES)
    script.skip()
    assert now(script) == "neutral-1"
    assert script.skipped == {"neutral-0"}
    later = Script(LINES, skipped=script.skipped)
    assert now(later) == "neutral-1"
    later.read(4)
    later.read(4)
    assert now(later) == "neutral-0"


def test_whoever_reads_quickly_reads_all_of_it_once_more() -> None:
    """V2: the minutes are asked for, not the sentences."""
    script, order = Script(LINES), []
    while script.current and script.current.emotion == "neutral":
        progress = script.progress()[0]
        order.append((script.current.id, progress.reading, progress.read))
        script.read(100)
    first = [(f"neutral-{n}", 1, n) for n in range(3)]
    assert order == [*first, ("neutral-0", 2, 0), ("neutral-1", 2, 1)]
    assert (script.progress()[0].said, now(script)) == (500, "happy-0")


def test_another_day_goes_on_with_the_second_reading() -> None:
    read = {"neutral-0": [50, 60], "neutral-1": [50], "neutral-2": [50]}
    script = Script(LINES, read=read)
    assert now(script) == "neutral-1"
    progress = script.progress()[0]
    assert (progress.said, progress.reading, progress.read) == (210, 2, 1)


def test_a_take_that_was_dropped_is_read_before_a_second_reading() -> None:
    script = Script(LINES, read={"neutral-0": [50, 60], "neutral-2": [50]})
    assert now(script) == "neutral-1"
    assert script.progress()[0].reading == 1


def test_one_emotion_that_is_full_is_read_once_more_when_it_is_asked_for() -> None:
    read = {f"sad-{n}": [140.0] for n in range(3)}
    assert not any(emotion == "sad" for emotion in Script(LINES, read=read)._open())
    script, seen = Script(LINES, read=read, only="sad"), []
    while script.current:
        seen.append(now(script))
        script.read(140)
    assert seen == ["sad-0", "sad-1", "sad-2"]
    sad = script.progress()[list(EMOTIONS).index("sad")]
    assert (sad.said, sad.reading, sad.read) == (840, 2, 3)


def test_what_is_always_skipped_does_not_hold_up_a_second_reading() -> None:
    read = {"sad-0": [210.0], "sad-2": [210.0]}
    script = Script(LINES, read=read, skipped=["sad-1"], only="sad")
    assert now(script) == "sad-1"
    script.skip()
    assert now(script) == "sad-0"


def test_what_was_skipped_and_read_later_counts_as_read() -> None:
    ids = [f"sad-{n}" for n in range(3)]
    script = Script(LINES, read={one: [140.0] for one in ids}, skipped=ids, only="sad")
    assert now(script) == "sad-0"


def test_a_retake_within_the_second_reading_leaves_the_first() -> None:
    script = Script(LINES, read={f"neutral-{n}": [10.0] for n in range(3)})
    script.read(20)
    assert script.retake()
    assert (now(script), script.retaken) == ("neutral-0", 0)
    script.read(25)
    assert script.progress()[0].said == 30 + 25
    assert now(script) == "neutral-1"


def test_a_retake_goes_back_and_then_on() -> None:
    script = Script(LINES)
    assert not script.retake()
    script.read(4)
    script.read(5)
    assert script.retaken is None
    assert script.retake()
    assert (now(script), script.retaken) == ("neutral-1", 1)
    assert script.retake()
    assert now(script) == "neutral-0"
    assert not script.retake()
    script.read(6)  # in the place of the first
    assert (now(script), script.retaken) == ("neutral-2", None)
    assert script.progress()[0].said == 11
    assert script.progress()[0].read == 2


def test_a_retake_that_is_skipped_stays_as_it_was() -> None:
    script = Script(LINES)
    script.read(4)
    script.retake()
    script.skip()
    assert (now(script), script.skipped) == ("neutral-1", frozenset())
    assert script.progress()[0].said == 4


def test_emotions_take_turns() -> None:
    script = Script(LINES)
    script.read(4)
    assert script.next_emotion()
    assert now(script) == "happy-0"
    for _ in range(8):
        assert script.next_emotion()
    assert now(script) == "neutral-1"


def test_speech_without_a_sentence_counts() -> None:
    script = Script(LINES)
    script.heard("neutral", 2.5)
    script.heard("neutral", 1)
    assert script.progress()[0].said == 3.5
    assert now(script) == "neutral-0"


@given(st.lists(st.sampled_from(["read", "skip", "retake", "next_emotion"]), max_size=60))
def test_no_sentence_is_lost_and_none_comes_twice(keys: list[str]) -> None:
    script, times = Script(LINES), Counter[str]()
    for key in keys:
        if key != "read":
            getattr(script, key)()
        elif script.current:
            if script.retaken is None:
                offered = of(script.current.emotion) - script.skipped
                assert times[script.current.id] == min(times[line] for line in offered)
                times[script.current.id] += 1
            script.read(140)
    script.skip()  # out of a retake
    while script.current:
        times[script.current.id] += 1
        script.read(140)
    assert times.keys() | script.skipped == {line.id for line in LINES}
    # Where some were skipped, the others are read once more until there is enough.
    for progress in script.progress():
        assert progress.full or of(progress.emotion) <= script.skipped
        assert progress.said == 140 * sum(times[line] for line in of(progress.emotion))
