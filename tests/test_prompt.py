import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin import prompt
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
