from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from style_samples import PERSONA, example

from aitwin import prompt
from aitwin.prompt import ChatMessage, Length, Task
from aitwin.style.engine import LlamaCpp, Sampling
from aitwin.style.guard import Draft, Habits, Intervention
from aitwin.style.nearest import Index, NearestReplies
from aitwin.style.writer import Writer, sampling_for


class Noting:
    """The real engine, with a note of what it was asked and whether its stream was closed."""

    def __init__(self, engine: LlamaCpp) -> None:
        self.engine, self.closed = engine, False
        self.asked: list[tuple[list[ChatMessage], Sampling, bool]] = []

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        self.asked.append((list(messages), sampling, adapted))
        try:
            yield from self.engine.stream(messages, sampling, adapted=adapted)
        finally:
            self.closed = True


def test_a_draft_comes_from_the_prompt_of_the_dataset(engine: LlamaCpp) -> None:
    """W2, DESIGN decision 2: what is served is made by the function that made the rows."""
    noting = Noting(engine)
    task = Task("Reply to this mail.", "Ana: done?", "Ho ho.")
    greedy = Sampling(16, temperature=0.0)
    draft = "".join(Writer(noting, PERSONA).stream(task, greedy, adapted=False))
    assert draft
    assert noting.asked == [(prompt.messages(PERSONA, task), greedy, False)]
    assert noting.closed


def test_the_default_sampling_is_the_engines(engine: LlamaCpp) -> None:
    noting = Noting(engine)
    with_closing = Writer(noting, PERSONA).stream(Task("Say no."))
    next(with_closing)
    with_closing.close()
    assert noting.asked[0][1:] == (Sampling(), True)
    assert noting.closed


def test_a_task_continues_a_conversation(engine: LlamaCpp) -> None:
    noting = Noting(engine)
    earlier: list[ChatMessage] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "No."},
    ]
    list(Writer(noting, PERSONA).stream(Task("Why?"), Sampling(4), earlier=earlier))
    assert [turn["role"] for turn in noting.asked[0][0]] == ["system", "user", "assistant", "user"]


def test_own_replies_are_added_when_asked_for(engine: LlamaCpp) -> None:
    noting = Noting(engine)
    rows = [example("Ana: roof?"), example("Ana: bill?")]
    nearest = NearestReplies(
        Index.build(rows), lambda messages: len(engine.prompt_tokens(messages)), 4096, most=1
    )
    task = Task("Reply in this chat with Ana.", "Ana: the bill, please")
    list(Writer(noting, PERSONA, nearest=nearest).stream(task, Sampling(4)))
    system, request = prompt.messages(PERSONA, task)
    assert noting.asked[0][0] == [system, *rows[1].messages[1:], request]


class Saying:
    """An engine that says what it is told, word by word: what a model adds cannot be ordered."""

    def __init__(self, text: str) -> None:
        self.text = text

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        for word in self.text.split(" "):
            yield f"{word} "


def test_what_a_model_adds_is_taken_off_and_told() -> None:
    """W3, and how often it had to be done."""
    said = "Here's a draft:\n\nSubject: No\n\nNo.\n\nBest regards,\n[Your Name]"
    writer = Writer(Saying(said), PERSONA, Habits())
    assert writer.draft(Task("Say no.")) == Draft(
        "No.", ("announcement", "subject line", "placeholder", "sign-off")
    )
    kinds: list[Intervention] = []
    list(writer.stream(Task("Say no, with a subject line."), taken_off=kinds.append))
    assert kinds == ["announcement", "placeholder", "sign-off"]
    assert Writer(Saying("No."), PERSONA).draft(Task("")) == Draft("No.")


@pytest.mark.parametrize(
    ("length", "tokens"),
    [(None, Sampling().max_tokens), ("short", 132), ("long", 1632), (50, 232), (2000, 3072)],
)
def test_a_longer_draft_has_more_room(length: Length | None, tokens: int) -> None:
    assert sampling_for(length).max_tokens == tokens


def test_a_small_context_keeps_room_for_the_prompt() -> None:
    assert sampling_for("long", 1024).max_tokens == 768


@pytest.mark.parametrize(("limit", "shown"), [(16, 1), (72, 0), (4000, 1)])
def test_an_example_is_left_out_only_for_lack_of_room(limit: int, shown: int) -> None:
    """A limit beyond the context is no wish for it all; words count as tokens here."""
    nearest = NearestReplies(
        Index.build([example("Ana: roof?")]),
        lambda messages: sum(len(turn["content"].split()) for turn in messages),
        100,
        most=1,
    )
    asked = prompt.messages(PERSONA, Task("Reply.", "Ana: the roof, please?"))
    assert len(nearest.added(asked, limit)) == len(asked) + 2 * shown


def test_persona_stays_out_of_reprs(smollm2: Path, engine: LlamaCpp) -> None:
    assert "Thota" not in repr(Writer(engine, PERSONA))
