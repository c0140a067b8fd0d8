"""One model in memory while it is wanted. What is loaded here counts, so that time is tested."""

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from style_samples import PERSONA

from aitwin import prompt
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Task
from aitwin.style.engine import Closing, LlamaCpp, Sampling
from aitwin.style.resident import Resident

GREEDY = Sampling(6, temperature=0.0)
MESSAGES = prompt.messages(PERSONA, Task("Thank Ana."))
SOON = 0.05 / 60  # minutes


class Counting(Closing):
    """An engine that counts how often it is loaded and unloaded."""

    loaded = unloaded = 0

    def __init__(self) -> None:
        type(self).loaded += 1

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        yield "twin " if adapted else "base "
        yield "text"

    def close(self) -> None:
        type(self).unloaded += 1


@pytest.fixture
def kind() -> type[Counting]:
    return type("Fresh", (Counting,), {"loaded": 0, "unloaded": 0})


def wait_for(condition: object) -> None:
    for _ in range(400):
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


def test_it_loads_for_the_first_draft_and_once(kind: type[Counting]) -> None:
    with Resident(kind) as engine:
        assert not engine.loaded
        assert kind.loaded == 0
        assert "".join(engine.stream(MESSAGES, GREEDY)) == "twin text"
        assert "".join(engine.stream(MESSAGES, GREEDY, adapted=False)) == "base text"
        assert (kind.loaded, kind.unloaded) == (1, 0)
    assert (kind.loaded, kind.unloaded) == (1, 1)


def test_it_unloads_when_idle_and_loads_again(kind: type[Counting]) -> None:
    with Resident(kind, SOON) as engine:
        list(engine.stream(MESSAGES, GREEDY))
        wait_for(lambda: not engine.loaded)
        list(engine.stream(MESSAGES, GREEDY))
        assert (kind.loaded, kind.unloaded) == (2, 1)
    assert kind.unloaded == 2


def test_it_does_not_unload_amid_a_draft(kind: type[Counting]) -> None:
    with Resident(kind, SOON) as engine:
        list(engine.stream(MESSAGES, GREEDY))
        pieces = engine.stream(MESSAGES, GREEDY)
        next(pieces)
        time.sleep(0.2)
        assert kind.unloaded == 0
        pieces.close()
        wait_for(lambda: kind.unloaded == 1)


def test_nothing_is_kept_when_nothing_shall_be(kind: type[Counting]) -> None:
    with Resident(kind, 0) as engine:
        list(engine.stream(MESSAGES, GREEDY))
        assert not engine.loaded
        list(engine.stream(MESSAGES, GREEDY))
    assert (kind.loaded, kind.unloaded) == (2, 2)


def test_many_at_once_load_one_model(kind: type[Counting]) -> None:
    got: list[str] = []
    with Resident(kind) as engine:
        threads = [
            threading.Thread(target=lambda: got.append("".join(engine.stream(MESSAGES, GREEDY))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == ["twin text"] * 8
        assert kind.loaded == 1
    assert kind.unloaded == 1


def test_a_model_that_does_not_load_may_load_later(kind: type[Counting]) -> None:
    ready = False

    def load() -> Counting:
        if not ready:
            raise TwinError("no memory")
        return kind()

    with Resident(load) as engine:
        with pytest.raises(TwinError, match="no memory"):
            list(engine.stream(MESSAGES, GREEDY))
        ready = True
        assert list(engine.stream(MESSAGES, GREEDY))


def test_closed_is_closed(kind: type[Counting]) -> None:
    engine = Resident(kind)
    with closing(engine.stream(MESSAGES, GREEDY)) as pieces:
        next(pieces)
        engine.close()
        assert kind.unloaded == 0
        assert list(pieces) == ["text"]
    assert kind.unloaded == 1
    engine.close()
    assert kind.unloaded == 1
    with pytest.raises(RuntimeError, match="closed"):
        list(engine.stream(MESSAGES, GREEDY))


def test_a_real_model_comes_and_goes_with_its_text(smollm2: Path, engine: LlamaCpp) -> None:
    """R1: one model resident, and none while nobody writes."""
    expected = "".join(engine.stream(MESSAGES, GREEDY))
    with Resident(lambda: LlamaCpp(smollm2, context=256, threads=1), 0) as resident:
        for _ in range(2):
            assert "".join(resident.stream(MESSAGES, GREEDY)) == expected
            assert not resident.loaded
