from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin import prompt
from aitwin.corpus import instructions
from aitwin.corpus.messages import Person
from aitwin.prompt import ChatMessage, Persona, Task

PERSONA = Persona("Thota", ("concise", "dry humour"))


def test_the_whole_prompt() -> None:
    """W3: the standing instruction names the owner and manner, and wants the message alone."""
    task = Task("Reply to this mail from Ana.", "Ana: done?\n", "Ho.\n\nNo.")
    assert prompt.messages(PERSONA, task) == [
        {
            "role": "system",
            "content": "You are Thota. Write as Thota writes: concise, dry humour. "
            "Answer with the message alone.",
        },
        {
            "role": "user",
            "content": "Follow the style of this text:\n\nHo.\n\nNo.\n\n"
            "Reply to this mail from Ana.\n\nAna: done?",
        },
    ]


@pytest.mark.parametrize(
    ("task", "content"),
    [
        (Task("Say no."), "Say no."),
        (Task("Say no.", "  \n "), "Say no."),
        (Task("Say no.", "", "\t"), "Say no."),
        (Task("", "Ana: done?"), "Ana: done?"),
        (Task(""), ""),
    ],
)
def test_empty_parts_leave_no_gap(task: Task, content: str) -> None:
    assert prompt.user(task) == content


MAIL = Task("", "Ana: done?", kind="reply")


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        (Task("Say no.", to="Ana"), "Write a mail to Ana. Say no."),
        (Task("Say no.", length="short"), "Write a short mail. Say no."),
        (Task("", to="Ana", length="medium"), "Write a mail of a few sentences to Ana."),
        (
            Task("Say no.", length="long", to="a colleague"),
            "Write a long mail to a colleague. Say no.",
        ),
        (Task("Say no.", length=50), "Write a mail of about 50 words. Say no."),
        (
            Task("Say no.", register="chat", to="Ana", length="short"),
            "Write a short chat message to Ana. Say no.",
        ),
        (
            Task("Say no.", register="chat", length=9),
            "Write a chat message of about 9 words. Say no.",
        ),
        (MAIL, "Reply to this mail."),
        (replace(MAIL, to="Ana"), "Reply to this mail from Ana."),
        (
            replace(MAIL, to="Ana", instruction="Say no.", length="short"),
            "Reply to this mail from Ana. Say no. Keep it short.",
        ),
        (replace(MAIL, length="medium"), "Reply to this mail. Write a few sentences."),
        (replace(MAIL, length="long"), "Reply to this mail. Write at length."),
        (replace(MAIL, length=50), "Reply to this mail. Write about 50 words."),
        (replace(MAIL, register="chat"), "Go on in this chat."),
        (replace(MAIL, register="chat", to="Ana"), "Reply in this chat with Ana."),
        (replace(MAIL, kind="rewrite"), "Rewrite this text in your own words."),
        (
            replace(MAIL, kind="rewrite", register="mail", to="Ana", instruction="Be brief."),
            "Rewrite this mail to Ana in your own words. Be brief.",
        ),
        (replace(MAIL, to="{who} {to}"), "Reply to this mail from {who} {to}."),
    ],
)
def test_a_request_is_worded_as_the_training_set_words_it(task: Task, asked: str) -> None:
    """W2: kind, recipient, register and length, each where a row of the dataset has it."""
    assert prompt.request(task) == asked
    assert prompt.user(task) == "\n\n".join(filter(None, [asked, task.incoming]))


def test_a_request_reads_as_the_rows_do() -> None:
    """The words of the training set, not a copy of them."""
    ana = Person("Ana", "ana@example.org")
    rows = {instructions.reply(ana, "", str(seed)) for seed in range(99)}
    assert prompt.request(replace(MAIL, to="Ana")) in rows
    first = {instructions.first_mail("Ana", "", "word " * 9, str(seed)) for seed in range(99)}
    assert prompt.request(Task("", to="Ana", length="short")) in first
    chat = instructions.in_chat(["Ana"], goes_on=False)
    assert prompt.request(replace(MAIL, register="chat", to="Ana")) == chat


def test_an_owner_without_traits() -> None:
    assert "Write as Ana writes. " in prompt.system(Persona("Ana"))


ANY = st.text() | st.text(st.sampled_from("<|im_end>start \n"))


@given(ANY, ANY, ANY, ANY, st.lists(ANY, max_size=3), ANY)
def test_no_part_can_hold_a_mark_of_turns(
    instruction: str, incoming: str, reference: str, name: str, traits: list[str], earlier: str
) -> None:
    """Whatever a mail or a name holds: `<|` begins every mark of ChatML, so none is left."""
    turns = prompt.conversation(
        [ChatMessage(role="assistant", content=earlier)], Task(instruction, incoming, reference)
    )
    for message in prompt.with_persona(Persona(name, tuple(traits)), turns):
        assert "<|" not in message["content"]
        message["content"].encode()  # no half character is left, either


@given(ANY)
def test_plain_is_stable_and_gentle(text: str) -> None:
    """Made plain twice is made plain once; a text without marks is not touched."""
    once = prompt.plain(text)
    assert prompt.plain(once) == once
    assert once.replace("< |", "<|") == text.replace("< |", "<|")


def test_half_characters_become_a_question_mark() -> None:
    assert prompt.plain("a\ud83db") == "a?b"


def test_a_task_prompt_is_a_conversation_of_one_turn() -> None:
    """The server's route and the dataset's rows meet in one function."""
    task = Task("Say no.", "Ana: come?")
    turns = prompt.conversation((), task)
    assert prompt.with_persona(PERSONA, turns) == prompt.messages(PERSONA, task)


def test_earlier_turns_come_first_and_are_not_changed_in_place() -> None:
    earlier = [ChatMessage(role="user", content="a <|im_end|>")]
    turns = prompt.conversation(earlier, Task("b"))
    assert [turn["content"] for turn in turns] == ["a < |im_end|>", "b"]
    assert earlier[0]["content"] == "a <|im_end|>"


def test_texts_stay_out_of_reprs() -> None:
    assert "secret" not in repr(Task("secret", "secret", "secret"))
    assert "secret" not in repr(Persona("secret"))
