import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aitwin.corpus import reverse
from aitwin.corpus.pairs import Pair
from aitwin.corpus.reverse import Author

FIRST = Pair(
    "p1", "t", "mail", datetime(2024, 1, 1, tzinfo=UTC),
    'Write a short mail to Ana about "Boat".', "",
    "The boat leaks again, so bring two buckets and the old pump on Tuesday at 9.",
    ("Ana Lopez",), language="en", subject="Boat",
)  # fmt: skip
REPLY = replace(FIRST, id="p2", incoming="Is it dry?", instruction="Reply to this mail from Ana.")
GOOD = "Write a short mail to Ana. Ask her for buckets and a pump."


def author(*answers, asked=None):
    left = iter(answers)

    def answer(messages, max_tokens):
        if asked is not None:
            asked.append(messages)
        return next(left)

    return Author("digest", answer)


@pytest.mark.parametrize(
    ("instruction", "flaw"),
    [
        (GOOD, ""),
        ("Schreibe Ana, dass das Boot schon wieder undicht ist und was sie mitbringen soll.",
         "in another language"),
        ("", "empty"),
        ("  ", "empty"),
        ("Sure! Write a mail to Ana.", "begins with a preamble"),
        ("Here is the instruction: write to Ana.", "begins with a preamble"),
        ("**Write** to Ana.", "begins with a preamble"),
        ("Instruction: Write to Ana.", "begins with a preamble"),
        ("Write to Ana " + "again and again " * 20 + ".", "over 60 words"),
        ("Write to Ana. Ask her. Thank her. Stop.", "over 3 sentences"),
        ("Write to Ana about the", "does not end"),
        ("Ana is told about the boat.", "asks for nothing"),
        ("Tell Ana the boat leaks again, so bring two buckets.", "repeats the mail"),
        ("Write to Ana. What is known: little.", "repeats the prompt"),
        ("Ask Ana to let him in. The key hangs in the shed.", "repeats the prompt"),
        ("Напиши Ana.", "in another language"),
        ("Write to Ana at [PHONE_1].", "invents a number or a placeholder"),
        ("Write to Ana about 2 buckets at 15.", "invents a number or a placeholder"),
        ("Write to Lena about the boat.", "for somebody else"),
    ],
)  # fmt: skip
def test_what_will_not_do_is_told_by_its_flaw(instruction, flaw):
    assert reverse.malformed(instruction, FIRST) == flaw


def test_the_owners_language_will_do():
    german = replace(FIRST, language="de", instruction="Write a short mail to Ana.")
    text = "Schreibe Ana, dass das Boot schon wieder undicht ist und was sie mitbringen soll."
    assert reverse.malformed(text, german) == ""


def test_first_mails_alone_are_worded_and_the_malformed_counted(tmp_path):
    other = replace(FIRST, id="p3")
    pairs, fates = reverse.reworded([FIRST, REPLY, other], author(GOOD, "Sure!"), tmp_path)
    assert [p.instruction for p in pairs] == [GOOD, REPLY.instruction, FIRST.instruction]
    assert fates == {"worded by the model": 1, "begins with a preamble": 1}


def test_answers_are_kept_privately_and_not_asked_for_twice(tmp_path):
    """P1; Ctrl-C between two mails loses one answer at most."""

    def stopped():
        yield GOOD
        raise KeyboardInterrupt

    answers = stopped()
    stops = Author("digest", lambda messages, max_tokens: next(answers))
    with pytest.raises(KeyboardInterrupt):
        reverse.reworded([FIRST, replace(FIRST, id="p3")], stops, tmp_path)
    file = tmp_path / reverse.FILE
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(file.read_text() + '\n{"key": "cut o')
    asked = []
    pairs, _ = reverse.reworded(
        [FIRST, replace(FIRST, id="p3")], author(GOOD, GOOD, asked=asked), tmp_path
    )
    assert len(asked) == 1
    assert [p.instruction for p in pairs] == [GOOD, GOOD]
    reverse.reworded([FIRST, replace(FIRST, id="p3")], author(), tmp_path)


def test_another_model_or_another_text_is_asked_anew(tmp_path):
    reverse.reworded([FIRST], author(GOOD), tmp_path)
    asked = []
    reverse.reworded([FIRST], replace(author(GOOD, asked=asked), model="other"), tmp_path)
    reverse.reworded([replace(FIRST, reply="Dry now.")], author(GOOD, asked=asked), tmp_path)
    assert len(asked) == 2


def test_what_is_asked_holds_the_mail_and_no_marks_of_a_template():
    said = reverse.messages(replace(FIRST, reply="It leaks. <|im_end|>"))
    assert [m["role"] for m in said] == ["system", "user", "assistant", "user"]
    assert "It leaks." in said[-1]["content"]
    assert FIRST.instruction in said[-1]["content"]
    assert "<|im_end|>" not in json.dumps(said)
    assert FIRST.reply not in repr(author())


@pytest.mark.model
def test_a_real_model_answers_and_is_checked(smollm2, tmp_path):
    """The demo's base is small: here only that every mail is worded or counted."""
    from aitwin.style.engine import LlamaCpp, Sampling

    with LlamaCpp(smollm2) as engine:

        def answer(messages, max_tokens):
            return "".join(engine.stream(messages, Sampling(max_tokens, temperature=0.0)))

        pairs, fates = reverse.reworded([FIRST], Author("digest", answer), tmp_path)
        again, _ = reverse.reworded([FIRST], Author("other", answer), tmp_path)
    assert fates.total() == 1
    assert reverse.malformed(pairs[0].instruction, FIRST) == ""
    assert pairs == again  # greedy
