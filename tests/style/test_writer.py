from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from style_samples import PERSONA

from aitwin import prompt
from aitwin.prompt import ChatMessage, Task
from aitwin.style.engine import LlamaCpp, Sampling
from aitwin.style.writer import Writer, draft_alone, without_preamble

BODY = "Ana,\n\nthanks for the parts. T."

PREAMBLES = [
    "Here's a draft:\n\n",
    "Here’s a draft:\n",
    "Here is a draft reply:\n\n",
    "Here is the draft you asked for:\n",
    "Here's a possible response to your colleague:\n\n",
    "Here is an email you can send to Ana:\n\n",
    "Here are two versions:\n\n",
    "Sure, here's a draft:\n\n",
    "Sure! Here is a short message thanking Ana for the parts:\n\n",
    "Sure thing! Here's a reply:\n\n",
    "Certainly! Here's a draft of an email thanking your colleague:\n\n",
    "Of course. Below is a draft message:\n\n",
    "Absolutely! Here is the reply:\n",
    "Okay, here's the response in your style:\n\n",
    "Ok, here is a mail:\n\n",
    "HERE IS A DRAFT:\n",
    "This is a draft for Ana:\n\n",
    "Here's a draft:\n\n---\n\n",
    "Here's a draft:\n---\n",
    "Here is a draft:  \n\n",
    "**Draft:**\n\n",
    "Draft:\n",
    "draft :\n\n",
    "[DRAFT] ",
    "[DRAFT]\n\n",
    "**[Draft]**\n",
    "[Reply]\n",
    "[Message] ",
    "\n\n  Here's a draft:\n\n",
]

OWN = [
    BODY,
    "Sure. Thursday at ten. T.",
    "Sure, here is the thing: I never said yes.",
    "Sure, here's what I meant:\nno.",
    "Of course not. T.",
    "Of course: Thursday.\nT.",
    "Absolutely no. T.",
    "Okay, fine. You win. T.",
    "Okay: three things.\n1. No\n2. No\n3. No",
    "Here is the draft contract: page 3 is new.",
    "Here's the draft: https://example.org/x",
    "Here's the reply from the bank:\n\nDear customer, no.",
    "Here is the mail I got from Ana:\n\n> hello",
    "Here is the message he sent me:\nno.",
    "Here's my reply:\nNo.",
    "Here's what the email said: nothing.",
    "Here we go again.\nT.",
    "Here. Take it. T.",
    "Hereby signed. T.",
    "This is the last message: stop.",
    "This is not a draft.\n\nSend it. T.",
    "Below is fine. T.",
    "Draft: attached, comments by Friday. T.",
    "Drafted it twice. T.",
    "Drafty in here:\nclose the window.",
    "[1] and [2] are done. T.",
    "[…] as I said. T.",
    "**No.** T.",
    "--- \nT.",
    "- one\n- two",
    "Okay.\n\nHere's a draft:\n\nnot at the head.",
    "Here is a thing about the boat, the dog, the roof, the fence, the well, the cat, the hedge, "
    "the goat, the barn, the shed, the gate, the van, the bill, and last not least the draft:\nno",
    "ok",
    "Sure",
    "",
]


@pytest.mark.parametrize("preamble", PREAMBLES)
def test_an_announcement_is_taken_off(preamble: str) -> None:
    """W3: the draft alone."""
    assert draft_alone(preamble + BODY) == BODY
    assert "".join(without_preamble(iter([preamble + BODY]))) == BODY


@pytest.mark.parametrize("text", OWN)
def test_words_of_the_owner_survive(text: str) -> None:
    """To lose the owner's words is worse than to leave a model's."""
    assert draft_alone(text) == text
    assert "".join(without_preamble(iter(text))) == text


def cut(text: str, places: Sequence[int]) -> Iterator[str]:
    ends = sorted(place % (len(text) + 1) for place in places)
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        yield text[start:end]


TEXTS = st.builds(
    lambda lead, body: lead + body,
    st.sampled_from([*PREAMBLES, *OWN]) | st.text(max_size=20),
    st.sampled_from([*OWN, "---\nHi", "- Hi", "-", "--\n", "  \n Hi", "ſure"])
    | st.text(max_size=200)
    | st.text(st.sampled_from("here's a draft:\n-[]* \t"), max_size=200),
)


@given(TEXTS, st.lists(st.integers(0, 600), max_size=30))
def test_pieces_do_not_change_the_draft(text: str, places: list[int]) -> None:
    """However the engine cuts its stream, the draft is that of the whole text."""
    pieces = list(without_preamble(cut(text, places)))
    assert "".join(pieces) == draft_alone(text)


@pytest.mark.parametrize("text", ["No. Ask Jonas.", "Thanks. T.", "Ana,\n\nno."])
def test_most_drafts_are_not_held_back(text: str) -> None:
    """The first piece comes out before the second is asked for."""
    asked = 0

    def pieces() -> Iterator[str]:
        nonlocal asked
        for piece in text.split(" "):
            asked += 1
            yield piece + " "

    next(without_preamble(pieces()))
    assert asked == 1


# --- With the engine ------------------------------------------------------------------------------


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


def test_an_answer_continues_a_conversation(engine: LlamaCpp) -> None:
    noting = Noting(engine)
    turns = prompt.conversation(
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "No."}], Task("Why?")
    )
    list(Writer(noting, PERSONA).answer(turns, Sampling(4)))
    assert [turn["role"] for turn in noting.asked[0][0]] == ["system", "user", "assistant", "user"]


def test_persona_stays_out_of_reprs(smollm2: Path, engine: LlamaCpp) -> None:
    assert "Thota" not in repr(Writer(engine, PERSONA))
