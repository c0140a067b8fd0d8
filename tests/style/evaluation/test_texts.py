"""What of a row is somebody else's."""

from datetime import UTC, datetime
from typing import Literal

import pytest
from style_samples import PERSONA

from aitwin import prompt
from aitwin.corpus import instructions
from aitwin.corpus.dataset import Example
from aitwin.style.evaluation.texts import body, others_words


def row(instruction: str, incoming: str, channel: Literal["mail", "chat"] = "mail") -> Example:
    messages = [
        *prompt.messages(PERSONA, prompt.Task(instruction, incoming)),
        prompt.ChatMessage(role="assistant", content="No. T."),
    ]
    return Example("e1", "t1", channel, datetime(2024, 1, 1, tzinfo=UTC), messages)


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
@pytest.mark.parametrize("subject", ["Boat", ""])
def test_a_mail_of_the_owners_own_is_nobody_elses(seed: str, subject: str) -> None:
    asked = instructions.in_language(instructions.follow_up(subject, seed), "German")
    assert others_words(row(asked, "Es leckt."), PERSONA) == ""


def test_a_mail_to_the_owner_is() -> None:
    assert others_words(row('Reply to this mail from Ana about "Boat".', "Hi!"), PERSONA) == "Hi!"


def test_of_a_chat_the_owners_turns_are_left_out() -> None:
    chat = "Ana: the roof?\nand the van?\nThota: no.\nnever.\nAna: why"
    found = others_words(row("Go on in this chat with Ana.", chat, "chat"), PERSONA)
    assert found == "the roof?\nand the van?\nwhy"


def test_a_body_has_no_greeting_and_no_sign_off() -> None:
    assert body("Dear Ana,\n\nthe roof leaks since Monday.\n\nCheers,\nT.") == (
        "the roof leaks since Monday."
    )
    assert body("No.") == "No."
