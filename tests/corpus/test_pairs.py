from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import pairs
from aitwin.corpus.context import CUT
from aitwin.corpus.messages import Message, Owner, Person, Thread, threads

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota", "+44 7700 900123"}))
ANA = Person("Ana Lopez", "ana@y.example")
SELF = Person("Thota", "t@x.example")
WROTE = "On Mon, 1 Jan 2024 at 09:00, Ana Lopez <ana@y.example> wrote:"


def mail(id, sender, text, hour=0, **more):
    return Message(id, "mail", sender, START + timedelta(hours=hour), text, **more)


def said(*lines, gap=1):
    """A chat of (name, text) or (name, text, minutes since the line before)."""
    moment, result = START, []
    for number, (name, text, *minutes) in enumerate(lines):
        moment += timedelta(minutes=minutes[0] if minutes else gap)
        result.append(Message(f"c{number}", "chat", Person(name), moment, text, conversation="Ana"))
    return result


def made(*messages):
    dropped = Counter()
    found = [p for t in threads(messages) for p in pairs.from_thread(t, ME, dropped)]
    return found, +dropped


def test_a_reply_has_the_parents_own_words():
    """C4: the user's part is the mail that is answered, the assistant's the owner's words alone."""
    asked = mail("a", ANA, "Is it dry?\n\n-- \nAna Lopez\nSales", subject="Boat")
    answer = f"{WROTE}\n> Is it dry?\n\nNo. Bring a bucket."
    reply = mail("b", SELF, answer, 1, subject="Re: Boat", references=("a",))
    [pair], dropped = made(asked, reply)
    assert pair.instruction == 'Write a reply to this mail from Ana Lopez about "Boat".'
    assert (pair.incoming, pair.reply) == ("Is it dry?", "No. Bring a bucket.")
    assert pair.task.incoming == pair.incoming
    assert not dropped
    assert "bucket" not in repr(pair)


def test_a_missing_parent_is_read_from_the_quote():
    text = f"No. Bring a bucket.\n\n{WROTE}\n> Is it dry?\n"
    [pair], _ = made(
        mail("b", SELF, text, subject="Re: Boat", references=("lost",), recipients=(ANA,))
    )
    assert pair.instruction == 'Write a reply to this mail from Ana Lopez about "Boat".'
    assert (pair.incoming, pair.reply) == ("Is it dry?", "No. Bring a bucket.")


def test_a_first_mail_is_asked_for_and_a_follow_up_too():
    first = mail("a", SELF, "The boat leaks. Who has a pump?", subject="Boat", recipients=(ANA,))
    again = mail(
        "b", SELF, "Found one.", 5, subject="Re: Boat", references=("a",), recipients=(ANA,)
    )
    (one, two), _ = made(first, again)
    about = 'Draft a short mail to Ana Lopez about "Boat" that asks a question.'
    assert (one.instruction, one.incoming, one.begins) == (about, "", True)
    assert not two.begins
    assert two.instruction == 'Follow up on this mail of yours about "Boat".'
    assert two.incoming == "The boat leaks. Who has a pump?"


def test_what_others_wrote_below_a_from_line_is_not_learnt():
    """C4; counted where nothing else is left."""
    patch = f"From: {ANA.name} <{ANA.address}>\n\nFix the leak.\n"
    (first, second), dropped = made(
        mail("a", SELF, patch + "\n---\nI tried it: it holds.", recipients=(ANA,)),
        mail("b", SELF, "It holds.\n\nTo: ana@y.example", 1, recipients=(ANA,)),
        mail("c", SELF, patch, 2, recipients=(ANA,)),
    )
    assert [first.reply, second.reply] == ["I tried it: it holds.", "It holds."]
    assert dropped == {"only passes on what somebody else wrote": 1}


def test_what_gives_no_pair_is_counted_with_its_reason():
    found, dropped = made(
        mail("a", SELF, "Busy.", subject="Re: Boat"),
        mail("b", SELF, "Away until Monday.", automatic="auto-reply"),
        mail("c", SELF, "FYI", subject="Fwd: Boat"),
        mail("d", SELF, "-- \nThota", subject="Cat"),
        mail("e", ANA, "", subject="Dog"),
        mail("f", SELF, "Good dog.", 1, subject="Re: Dog", references=("e",)),
    )
    assert not found
    assert dropped == {
        "the mail it answers is missing": 1,
        "automatic: auto-reply": 1,
        "forwarded mail that does not show where it begins": 1,
        "no words of the owner's own": 1,
        "the mail it answers has no words": 1,
    }


BLOCK = (
    "---------- Forwarded message ---------\nFrom: Reg Oak <reg@z.example>\n"
    "Date: Mon, 1 Jan 2024\nSubject: Boat\nTo: Thota <t@x.example>\n\nIt leaks again.\n"
)
OUTLOOK = (
    "-----Ursprüngliche Nachricht-----\nVon: Reg Oak <reg@z.example>\n"
    "Gesendet: Montag, 1. Januar 2024 09:00\nAn: Thota\nBetreff: Boat\n\nIt leaks again.\n"
)


@pytest.mark.parametrize(
    ("subject", "block"),
    [
        ("Fwd: Boat", BLOCK),
        ("FW: Boat", "From: Reg Oak <reg@z.example>\nSent: Monday, January 1, 2024 9:00 AM\n"
         "To: Thota <t@x.example>\nSubject: Boat\n\nIt leaks again.\n"),
        ("WG: Boat", OUTLOOK),
        ("TR: Boat", OUTLOOK),
        ("I: Boat", BLOCK),
        ("Boat", BLOCK),
    ],
)  # fmt: skip
def test_what_the_owner_writes_above_a_forward_is_a_note_on_it(subject, block):
    """C4: no sentence of the owner's is lost, none of the other's is learnt."""
    text = f"You were right about the hull.\n\n{block}"
    [pair], dropped = made(mail("a", SELF, text, subject=subject, recipients=(ANA,)))
    request = 'Forward this mail from Reg Oak about "Boat" to Ana Lopez, with a note.'
    assert (pair.instruction, pair.incoming) == (request, "It leaks again.")
    assert (pair.reply, pair.people) == ("You were right about the hull.", ("Ana Lopez",))
    assert not pair.begins
    assert not dropped


def test_a_forward_without_a_note_is_counted():
    found, dropped = made(mail("a", SELF, BLOCK, subject="Fwd: Boat", recipients=(ANA,)))
    assert not found
    assert dropped == {"forwarded mail": 1}


def test_the_owners_own_mail_is_forwarded_as_such():
    block = BLOCK.replace("Reg Oak <reg@z.example>", "Thota <t@x.example>")
    text = f"As I said in May.\n\n{block}"
    [pair], _ = made(mail("a", SELF, text, subject="Fwd: Boat", recipients=(ANA,)))
    assert pair.instruction.startswith('Forward this mail of yours about "Boat" to Ana Lopez')


@pytest.mark.parametrize(
    "subject", ["TR: my report", "I: see you", "RV: camping", "PD: x", "VB: y"]
)
def test_two_letters_and_a_colon_are_no_forward(subject):
    [pair], dropped = made(mail("a", SELF, "See you at the boat.", subject=subject))
    assert pair.begins
    assert not dropped


def test_a_chat_turn_answers_the_turns_before_it():
    (one, two), dropped = made(
        *said(
            ("Ana", "new phone"), ("Ana", "testing"),
            ("Thota", "Clearly."), ("Thota", "I'm next door."),
            ("Ana", "dry?"), ("+44 7700 900123", "No."),
        )
    )  # fmt: skip
    assert one.instruction == "Reply in this chat with Ana."
    assert one.incoming == "Ana: new phone\ntesting"
    assert one.reply == "Clearly.\nI'm next door."
    assert two.incoming == "Ana: new phone\ntesting\nThota: Clearly.\nI'm next door.\nAna: dry?"
    assert dropped == {"joined to the message before": 1}


def test_a_chat_reply_needs_context_and_media_say_nothing():
    chat = said(("Thota", "Morning."), ("Ana", "hi"), ("Thota", "x"))
    chat[2] = Message(
        "m", "chat", chat[2].sender, chat[2].sent_at, "", conversation="Ana", automatic="media"
    )
    found, dropped = made(*chat)
    assert not found
    assert dropped == {"begins a chat: nothing to answer": 1, "automatic: media": 1}


def test_a_group_is_named_by_those_who_are_answered():
    [pair], _ = made(*said(("Bo", "1"), ("Ana", "2"), ("Cy", "3"), ("Di", "4"), ("Thota", "5")))
    assert pair.instruction == "Reply in this chat with Ana, Bo and 2 others."


def test_a_session_ends_at_a_pause_that_is_long_for_this_chat():
    quick = said(*[("Ana", "x"), ("Thota", "y")] * 5, ("Ana", "later", 90), ("Thota", "z"))
    slow = said(
        *[("Ana", "x", 30), ("Thota", "y", 30)] * 5, ("Ana", "later", 90), ("Thota", "z", 30)
    )
    assert pairs.session_gap(quick) == pairs.SHORTEST_SESSION_GAP
    assert len(list(pairs.sessions(quick))) == 2
    assert len(list(pairs.sessions(slow))) == 1
    assert pairs.session_gap(said(("Ana", "x"), ("Thota", "y", 9999))) == pairs.LONGEST_SESSION_GAP


def test_a_long_parent_waits_in_pieces_to_be_cut():
    """How much stays is a matter of tokens (see context), but none carries a whole novel."""
    paragraphs = [f"{number} " + "word " * 60 for number in range(90)]
    asked = mail("a", ANA, "\n\n".join(paragraphs))
    [pair], _ = made(asked, mail("b", SELF, "No.", 1, references=("a",)))
    assert len(pair.incoming) <= pairs.INCOMING_CHARACTERS
    assert pair.incoming == "\n\n".join(pair.pieces)
    assert pair.pieces[0] == CUT
    assert pair.pieces[-1] == paragraphs[-1].strip()


def test_answers_between_quoted_lines_answer_them_one_by_one():
    """C4: the incoming text shows what each paragraph of the reply is about."""
    asked = mail(
        "a", ANA, "Hi,\n\nIs it dry?\n\nWho has\nthe pump?\n\nAnd a long rest.", subject="Boat"
    )
    text = f"{WROTE}\n> Hi,\n>\n> Is it dry?\n\nNo.\n\n> Who has\n> the pump?\n\nReg. As ever.\n"
    reply = mail("b", SELF, text, 1, subject="Re: Boat", references=("a",))
    [pair], _ = made(asked, reply)
    assert pair.instruction.endswith(' from Ana Lopez about "Boat", point by point.')
    first, second = pair.incoming.split("\n\n")
    assert first.startswith("(1) ")
    assert first.endswith("Is it dry?")
    assert second.startswith("(2) Who has")
    assert "long rest" not in pair.incoming
    assert pair.reply == "No.\n\nReg. As ever."


def points(*quoted):
    text = "".join(f"> {one}\n\nAnswer {n}, as ever.\n\n" for n, one in enumerate(quoted))
    reply = mail("b", SELF, f"{WROTE}\n{text}", 1, subject="Re: Boat", references=("a",))
    asked = mail("a", ANA, "\n\n".join(quoted), subject="Boat")
    return made(asked, reply)[0][0].pieces


def test_points_that_have_numbers_are_not_numbered_twice():
    """C4: the reply may name the sender's numbers, which must not become others."""
    dry, pump, hose = "Is it dry?", "Who has it?", "And the hose?"
    assert points(f"1. {dry}", f"2. {pump}") == (f"1. {dry}", f"2. {pump}")
    assert points(f"(b) {dry}", f"(c) {pump}") == (f"(b) {dry}", f"(c) {pump}")
    assert points(f"1. {dry}", f"1. {pump}") == (f"(1) {dry}", f"(2) {pump}")
    assert points(f"1) {dry}", pump, f"2) {hose}") == (f"(1) {dry}", f"(2) {pump}", f"(3) {hose}")
    assert points(f"1. {dry}", pump) == (f"(1) {dry}", f"(2) {pump}")
    assert points("5. May is fine?", pump) == ("(1) 5. May is fine?", f"(2) {pump}")
    assert points("J. Reg has it?", pump) == ("(1) J. Reg has it?", f"(2) {pump}")


def test_long_points_wait_each_shortened():
    shown = points(*("word " * 900 + f"dry {n}?" for n in range(4)))
    assert [one[:3] for one in shown] == ["(1)", "(2)", "(3)", "(4)"]
    assert [one[-6:] for one in shown] == [f"dry {n}?" for n in range(4)]
    assert sum(map(len, shown)) <= pairs.INCOMING_CHARACTERS


def test_one_answer_below_a_quote_answers_the_whole_mail():
    asked = mail("a", ANA, "Is it dry?\n\nWho has the pump?", subject="Boat")
    text = f"{WROTE}\n> Who has the pump?\n\nReg. As ever.\n"
    [pair], _ = made(asked, mail("b", SELF, text, 1, subject="Re: Boat", references=("a",)))
    assert pair.incoming == "Is it dry?\n\nWho has the pump?"
    assert "point by point" not in pair.instruction


def test_a_pause_that_is_long_for_the_chat_begins_another_turn():
    quick = [("Ana", "x"), ("Thota", "y")] * 5
    (*_, one, two), dropped = made(
        *said(*quick, ("Ana", "dry?"), ("Thota", "No."), ("Thota", "Wet."), ("Thota", "Still.", 40))
    )
    assert (one.reply, two.reply) == ("No.\nWet.", "Still.")
    assert two.incoming.endswith("Ana: dry?\nThota: No.\nWet.")
    assert (one.instruction, two.instruction) == (
        "Reply in this chat with Ana.",
        "Go on in this chat with Ana.",
    )
    assert dropped == {"joined to the message before": 1}


def test_a_slow_chat_has_longer_turns():
    slow = [("Ana", "x", 30), ("Thota", "y", 30)] * 5
    (*_, last), _ = made(
        *said(*slow, ("Ana", "dry?", 30), ("Thota", "No.", 30), ("Thota", "Wet.", 40))
    )
    assert last.reply == "No.\nWet."
    assert pairs.turn_gap(said(*slow)) == timedelta(hours=2) * pairs.TURN_RHYTHM / 4
    assert pairs.turn_gap(said(*[("Ana", "x")] * 9)) == pairs.SHORTEST_TURN_GAP
    lonely = said(("Ana", "x"), ("Thota", "y", 9999))
    assert pairs.turn_gap(lonely) <= pairs.session_gap(lonely)


def test_who_goes_on_alone_does_so_with_the_others_of_the_chat():
    chat = said(*[("Ana", "x"), ("Thota", "y")] * 5, ("Thota", "Off.", 90), ("Thota", "Back.", 40))
    (*_, pair), _ = made(*chat)
    assert pair.reply == "Back."
    assert (pair.instruction, pair.incoming) == ("Go on in this chat with Ana.", "Thota: Off.")


LINES = st.lists(
    st.tuples(
        st.sampled_from(["Ana", "Bo", "Thota", "+44 7700 900123"]),
        st.sampled_from(["hm", "", "yes", "two\nlines"]),
        st.integers(0, 900),
    ),
    min_size=1,
    max_size=20,
)


@given(LINES)
def test_every_message_of_the_owner_is_in_a_pair_or_has_a_reason(lines):
    chat = said(*lines)
    found, dropped = made(*chat)
    assert len(found) + dropped.total() == sum(map(ME.wrote, chat))
    assert [m for s in pairs.sessions(chat) for m in s] == chat
    for pair in found:
        assert pair.incoming
    for one, other in pairwise(found):
        assert one.id != other.id


def test_ids_are_the_same_after_every_import():
    chat = said(("Ana", "x"), ("Thota", "y"))
    assert made(*chat)[0][0].id == made(*said(("Ana", "x"), ("Thota", "y")))[0][0].id
    assert isinstance(threads(chat)[0], Thread)


def test_what_an_answer_quotes_says_more_than_a_mail_of_the_same_subject():
    """One person's words must not be answered where another's were."""
    guessed = mail("a", ANA, "Is the invoice paid?", subject="Boat")
    text = f"No. Bring a bucket.\n\n{WROTE}\n> Is it dry?\n"
    answer = mail("b", SELF, text, 1, subject="Re: Boat", recipients=(ANA,))
    [pair], _ = made(guessed, answer)
    assert pair.incoming == "Is it dry?"
    silent = mail("c", SELF, "Yes, on Monday.", 1, subject="Re: Boat", recipients=(ANA,))
    [pair], _ = made(guessed, silent)
    assert pair.incoming == "Is the invoice paid?"
