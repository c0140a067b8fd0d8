from collections.abc import Iterator
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.prompt import Persona, Task
from aitwin.style.engine import LlamaCpp, Sampling
from aitwin.style.writer import Writer
from aitwin.twin import Twin
from aitwin.voice.audio import Utterance
from aitwin.voice.studio import Cast, Studio

TASK = Task("Tell my neighbour that I cannot come on Saturday. Use three sentences.")
GREEDY = Sampling(60, temperature=0.0)


@pytest.fixture(scope="module")
def twin(smollm2: Path) -> Iterator[Twin]:
    with LlamaCpp(smollm2, threads=2) as engine:
        yield Twin(Writer(engine, Persona("Thota")), Studio())


def test_write_is_the_writers_draft(twin: Twin) -> None:
    """W2."""
    assert "".join(twin.write(TASK, GREEDY)) == "".join(twin.writer.stream(TASK, GREEDY))


def test_say_speaks_sentence_by_sentence(twin: Twin) -> None:
    said = list(twin.say("No. Ask Jonas. Tomorrow."))
    assert len(said) == 3
    assert all(utterance.samples.any() for utterance in said)


def test_say_takes_speed_and_seed(twin: Twin) -> None:
    slow, fast = (next(iter(twin.say("Ask Jonas.", speed=speed))) for speed in (0.8, 1.6))
    assert len(slow.samples) > 1.3 * len(fast.samples)
    with pytest.raises(TwinError, match="speed"):
        twin.say("No.", speed=9.0)


def test_the_voice_is_chosen_by_the_studio(twin: Twin) -> None:
    """Without a voice of the owner's it is the base voice, and whoever asks for another is told."""
    chosen = twin.speech().speaker
    assert isinstance(chosen, Cast)
    assert (chosen.engine, chosen.passed, chosen.owner) == ("bundled", (), "")
    with pytest.raises(TwinError, match="no voice is called 'ana'"):
        twin.speech("ana")


def test_speak_is_write_and_say_in_one(twin: Twin) -> None:
    """The text is that of write(), and each sentence is heard before the whole is written."""
    items = list(twin.speak(TASK, GREEDY))
    written = "".join(item for item in items if isinstance(item, str))
    assert written == "".join(twin.write(TASK, GREEDY))
    sounds = [n for n, item in enumerate(items) if isinstance(item, Utterance)]
    texts = [n for n, item in enumerate(items) if isinstance(item, str)]
    assert len(sounds) >= 2
    assert sounds[0] < texts[-1]


def test_a_listener_who_leaves_stops_the_writing(twin: Twin) -> None:
    """The engine is free at once for the next request."""
    going = twin.speak(TASK, Sampling(2000, temperature=1.5, repeat_penalty=1.5))
    assert isinstance(next(going), str)
    going.close()
    assert "".join(twin.write(TASK, GREEDY))
