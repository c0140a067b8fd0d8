"""Who is at work on a voice: kept out, waited for, told."""

import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.voice import at_work, record, voices
from aitwin.voice.at_work import BusyError
from aitwin.voice.voices import Voice


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


def is_busy(claim: AbstractContextManager[None], told: str = "") -> bool:
    try:
        with claim:
            return False
    except BusyError as error:
        return told in str(error)


def test_one_at_a_time(voice: Voice) -> None:
    with (
        at_work.alone(voice),
        pytest.raises(BusyError, match="ana is at work in another window"),
        at_work.alone(voice),
    ):
        pass
    with at_work.alone(voice):
        pass


def test_whoever_has_patience_waits(voice: Voice) -> None:
    """As long as that, and no longer."""
    entered, go = threading.Event(), threading.Event()

    def work() -> None:
        with at_work.alone(voice):
            entered.set()
            go.wait(20)

    working = threading.Thread(target=work)
    working.start()
    assert entered.wait(20)
    assert is_busy(at_work.alone(voice, 0.05))
    threading.Timer(0.2, go.set).start()
    with at_work.alone(voice, 20):
        assert go.is_set()
    working.join()


def test_a_recording_and_a_fine_tune_are_told_of(voice: Voice) -> None:
    with record.alone(voice):
        assert is_busy(record.alone(voice), "being recorded")
    with at_work.unlearned(voice.path):
        pass  # nobody learns it
    learning = voice.path / voices.LEARNING
    learning.mkdir()
    with artifact.holding(learning):
        assert is_busy(at_work.unlearned(voice.path), "learning the voice ana")


def test_who_takes_a_consent_back_waits_and_says_so(voice: Voice) -> None:
    """V1: what works ends with the step; then nobody begins."""
    told = []
    entered = threading.Event()

    def work() -> None:
        with at_work.alone(voice):
            entered.set()
            while not told:
                time.sleep(0.01)

    working = threading.Thread(target=work)
    working.start()
    assert entered.wait(20)
    with at_work.after_all(voice, lambda: told.append("waiting")):
        assert is_busy(at_work.alone(voice))
    working.join()
    assert told == ["waiting"]
