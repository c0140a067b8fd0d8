import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from style_samples import PERSONA, example

from aitwin import prompt
from aitwin.corpus.dataset import Example
from aitwin.prompt import Task
from aitwin.style.engine import LlamaCpp
from aitwin.style.nearest import Index, NearestReplies, as_turns, words


def row(number: int, incoming: str, answer: str = "No. T.") -> Example:
    return replace(example(incoming, answer), id=f"e{number}", thread=f"t{number // 2}")


ROWS = [
    row(0, "Ana: the roof leaks again"),
    row(1, "Ana: did you pay the bill for the van?"),
    row(2, "Ana: könntest du die Bücher zurückbringen?"),
    row(3, "Ana: お皿を洗ってくれませんか"),
    row(4, "Ana: क्या तुम आज बाज़ार जाओगे?"),
    row(5, "Ana: did you pay the bill for the van?"),
]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Who mends the ROOF?", "e0"),
        ("the bill for the van", "e5"),  # of equals the newer one
        ("Bucher zuruckbringen", "e2"),  # typed without umlauts
        (unicodedata.normalize("NFD", "Bücher"), "e2"),
        ("皿", "e3"),  # a word amid a sentence without spaces
        ("बाज़ार", "e4"),
    ],
)
def test_the_nearest_request_comes_first(text: str, first: str) -> None:
    assert Index.build(ROWS).search(text, 1)[0].id == first


def test_what_shares_no_word_is_newest_first() -> None:
    assert [one.id for one in Index.build(ROWS).search("zzz", 3)] == ["e5", "e4", "e3"]


def test_a_thread_is_left_out() -> None:
    found = Index.build(ROWS).search("roof bill van", 9, thread="t0")
    assert [one.id for one in found] == ["e5", "e4", "e3", "e2"]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(0, "")],
        [
            replace(
                ROWS[0],
                messages=[
                    {"role": "system", "content": ""},
                    {"role": "user", "content": "…"},
                    {"role": "assistant", "content": "x"},
                ],
            )
        ],
    ],
)
def test_few_words_or_none(rows: list[Example]) -> None:
    index = Index.build(rows)
    for text in ("", "…", "roof", "reply"):
        assert index.search(text, 5) == rows


@given(st.lists(st.text(), max_size=6), st.text(), st.integers(0, 7))
def test_any_text_can_be_asked_and_found(texts: list[str], asked: str, k: int) -> None:
    rows = [row(number, text) for number, text in enumerate(texts)]
    found = Index.build(rows).search(asked, k)
    assert len(found) == min(k, len(rows))
    assert found == Index.build(rows).search(asked, k)
    assert len({one.id for one in found}) == len(found)


def test_words_of_any_script() -> None:
    assert words("_ – ¨ \u0301") == []
    assert words("Ça ne va pas?") == ["ca", "ne", "va", "pas"]
    assert len(words("क्या तुम आज")) == 3
    assert words("ไปไหน") == ["ไ", "ป", "ไ", "ห", "น"]


def test_no_private_word_in_reprs() -> None:
    assert "roof" not in repr(Index.build(ROWS))


def test_nothing_is_written_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's text is in the dataset and nowhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    Index.build(ROWS).search("roof", 2)
    assert not list(tmp_path.iterdir())


# --- As turns of a conversation -------------------------------------------------------------------


def test_examples_stand_between_instruction_and_task_the_nearest_last(engine: LlamaCpp) -> None:
    def count(messages: object) -> int:
        return len(engine.prompt_tokens(messages))  # type: ignore[arg-type]

    asked = prompt.messages(PERSONA, Task("Reply in this chat with Ana.", "Ana: the roof?"))
    nearest = NearestReplies(Index.build(ROWS), count, 4096, most=2)
    longer = nearest.added(asked, 400)
    assert longer[0] == asked[0]
    assert longer[-1] == asked[-1]
    assert longer[-3:-1] == ROWS[0].messages[1:]
    assert len(longer) == 6


def test_only_what_fits_is_added() -> None:
    """An example that is too long leaves its place to shorter ones, and the task its own."""
    rows = [*ROWS, row(9, "Ana: the roof " + "roof " * 300)]
    asked = prompt.messages(PERSONA, Task("Reply in this chat with Ana.", "Ana: the roof?"))

    def count(messages: object) -> int:
        return sum(len(turn["content"].split()) for turn in messages)  # type: ignore[attr-defined]

    free = count(asked)
    longer = NearestReplies(Index.build(rows), count, free + 60, most=3).added(asked, 20)
    assert longer[-3:-1] == as_turns([ROWS[0]])
    assert count(longer) <= free + 40
    assert NearestReplies(Index.build(rows), count, 20, most=3).added(asked, 20) == asked
