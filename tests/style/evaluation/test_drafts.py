"""What was asked is never asked twice, not even after a kill amid a line."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from aitwin.prompt import ChatMessage
from aitwin.style.engine import LlamaCpp, Sampling, Score, TooLongError
from aitwin.style.evaluation import drafts
from aitwin.style.evaluation.drafts import Desk, Draft, Notebook

ASKED: list[ChatMessage] = [{"role": "user", "content": "Reply to Ana."}]


class Counting:
    """An engine that counts; the twin says something else than the base."""

    def __init__(self, *, context: int = 100) -> None:
        self.asked = 0
        self.context = context

    def stream(self, messages: Any, sampling: Sampling, *, adapted: bool = True) -> Any:
        self.asked += 1
        if len(str(messages)) > self.context:
            raise TooLongError(self.context + 1, self.context)
        yield "Here's a draft:\n"
        yield "No. T." if adapted else "Thank you!"

    def score(self, messages: Any, reply: str, *, adapted: bool = True) -> Score:
        self.asked += 1
        return Score(-3.0 if adapted else -9.0, 3)

    def tokenize(self, text: str) -> list[int]:
        return list(range(len(text.split())))


def desk(path: Path, engine: Counting, adapter: str = "a", **sampling: Any) -> Desk:
    notebook = Notebook(path / "answers.jsonl")
    return Desk(cast(LlamaCpp, engine), notebook, "b", adapter, "d", Sampling(**sampling))


def test_an_answer_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    engine = Counting()
    first = desk(tmp_path, engine).draft(ASKED, adapted=True)
    assert desk(tmp_path, engine).draft(ASKED, adapted=True) == first
    assert engine.asked == 1
    assert first == Draft("Here's a draft:\nNo. T.", False, "No. T.", True)
    assert (tmp_path / "answers.jsonl").stat().st_mode & 0o777 == 0o600


def test_another_adapter_seed_or_sampling_is_asked_again_but_not_the_base(tmp_path: Path) -> None:
    engine = Counting()
    for changed in (
        desk(tmp_path, engine),
        desk(tmp_path, engine, adapter="other"),
        desk(tmp_path, engine, seed=21),
        desk(tmp_path, engine, temperature=0.0),
    ):
        changed.draft(ASKED, adapted=True)
    assert engine.asked == 4
    for adapter in ("a", "other"):
        desk(tmp_path, engine, adapter=adapter).score(ASKED, "No.", adapted=False)
    assert engine.asked == 5


def test_a_line_that_was_torn_by_a_kill_costs_only_itself(tmp_path: Path) -> None:
    engine = Counting()
    asked = desk(tmp_path, engine)
    asked.draft(ASKED, adapted=True)
    asked.score(ASKED, "No.", adapted=True)
    path = tmp_path / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = desk(tmp_path, engine)
    again.draft(ASKED, adapted=True)
    again.score(ASKED, "No.", adapted=True)
    again.score(ASKED, "Yes.", adapted=True)
    assert engine.asked == 4
    desk(tmp_path, engine).score(ASKED, "No.", adapted=True)
    assert engine.asked == 4


def test_a_prompt_that_is_too_long_is_known_to_be(tmp_path: Path) -> None:
    engine = Counting(context=10)
    assert desk(tmp_path, engine).draft(ASKED, adapted=True) is None
    assert desk(tmp_path, engine).draft(ASKED, adapted=True) is None
    assert engine.asked == 1


def test_a_draft_that_used_all_its_tokens_was_cut(tmp_path: Path) -> None:
    draft = desk(tmp_path, Counting(), max_tokens=5).draft(ASKED, adapted=True)
    assert draft is not None
    assert draft.cut


def test_what_an_earlier_adapter_wrote_is_forgotten_at_the_end(tmp_path: Path) -> None:
    engine = Counting()
    desk(tmp_path, engine, adapter="earlier").draft(ASKED, adapted=True)
    now = desk(tmp_path, engine)
    now.draft(ASKED, adapted=True)
    now.notebook.keep_only((now.base, now.adapter))
    desk(tmp_path, engine).draft(ASKED, adapted=True)
    assert engine.asked == 2
    desk(tmp_path, engine, adapter="earlier").draft(ASKED, adapted=True)
    assert engine.asked == 3


def test_answers_of_an_earlier_format_are_asked_again_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Counting()
    monkeypatch.setattr(drafts, "FORMAT", drafts.FORMAT - 1)
    desk(tmp_path, engine).draft(ASKED, adapted=True)
    monkeypatch.undo()
    bare = {"key": "0" * 64, "model": "a", "value": {}}  # as keys were before they had a format
    with (tmp_path / "answers.jsonl").open("a") as file:
        file.write(json.dumps(bare) + "\n[]\n")
    now = desk(tmp_path, engine)
    now.draft(ASKED, adapted=True)
    assert engine.asked == 2
    now.notebook.keep_only((now.base, now.adapter))
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 1


def test_the_guard_knows_what_was_asked_as_when_a_draft_is_served(tmp_path: Path) -> None:
    class Subject(Counting):
        def stream(self, messages: Any, sampling: Sampling, *, adapted: bool = True) -> Any:
            yield "Subject: the roof\n\nIt leaks."

    wanted: list[ChatMessage] = [{"role": "user", "content": "Write a mail with a subject line."}]
    unasked: list[ChatMessage] = [{"role": "user", "content": "Reply.\n\nThe subject line?"}]
    kept, taken = (
        desk(tmp_path, Subject()).draft(these, adapted=True) for these in (wanted, unasked)
    )
    assert kept is not None
    assert taken is not None
    assert kept.text.startswith("Subject: the roof")
    assert taken.text == "It leaks."
