import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import instructions
from aitwin.corpus.instructions import Commonness
from aitwin.corpus.messages import Owner, Person

ME = Owner("Thota", frozenset({"t@quill.example", "thota@gmail.com"}))
ANA = Person("Ana Lopez", "ana@y.example")


@pytest.mark.parametrize(
    ("recipients", "role"),
    [
        ((), "somebody"),
        ((Person("", "t@quill.example"),), "yourself"),
        ((ANA,), "Ana Lopez"),
        ((ANA, Person("", "t@quill.example")), "Ana Lopez"),
        ((Person("", "tom@quill.example"),), "a colleague"),
        ((Person("", "tom@gmail.com"),), "tom"),  # who shares a freemail host is no colleague
        ((Person("", "support@mail.acme.co.uk"),), "the support desk at Acme"),
        ((Person("Acme Sales", "sales@acme.example"),), "the sales desk at Acme"),
        ((Person("", "info@gmail.com"),), "the office desk"),
        ((Person("", "linux-mips@lists.linux.example"),), "the linux-mips list"),
        ((Person("Sailors", "boats-discuss@y.example"),), "the boats list"),
        ((ANA, Person("Tom", "tom@z.example")), "Ana Lopez and Tom"),
        ((ANA, *(Person(n, f"{n}@z.example") for n in "bcde")), "Ana Lopez, b and 3 others"),
        ((Person("Society for the Care of Old Wooden Boats", "s@z.example"),),
         "Society for the Care of"),
    ],
)  # fmt: skip
def test_a_recipient_is_called_what_one_would_say(recipients, role):
    assert instructions.to_whom(recipients, ME) == role


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("The boat leaks.", ""),
        ("Is it dry?", " that asks a question"),
        ("Is it dry? Then we can go. I will bring the bucket.", " that asks a question"),
        ("Sorry, could you send it again?", " that apologises"),
        ("Vielen Dank für die Pumpe.", " that says thanks"),
        ("Anbei die Rechnung.", " that sends something"),
        ("I'd like to invite you to the launch.", " that invites"),
        ("Kannst du mir die Datei schicken?", " that asks for something"),
        ("Por favor, tráeme el cubo.", " that asks for something"),
        ("明日までに送ってください", " that asks for something"),
        ("We announce release 2.", " that announces something"),
        ("See http://a.example/?q=1 there.", ""),
        ("A displeased man.", ""),
        ("I spent Friday apologising to people holding dead cucumbers.", ""),
        ("No thanks to him, the boat is dry.", ""),
        ("Thanks to him, the boat is wet.", ""),
        ("Thank you in advance.", ""),
        ("I refuse to invite them.", ""),
        ("The bill was not attached.", ""),
        ("The bill isn't attached to the wall.", ""),
        ("Im Anhang fehlt die Rechnung.", ""),
        ("A sorry state of affairs. I am not sorry.", ""),
        ("I was sorry to hear of it.", ""),
        ('He said "please bring it" and left.', ""),
        ("She said “thank you” twice.", ""),
        ("Do as you please.", ""),
        ("Attach the hose to the pump.", ""),
        ("Hi Ana,\nThanks for the pump, I didn't expect it.", " that says thanks"),
        ("Hi Ana, thank you for the pump.", " that says thanks"),
        ("I'm so sorry, I can't come.", " that apologises"),
        ("Please don't bring the dog.", " that asks for something"),
        ("I've attached the bill.", " that sends something"),
        ("You are invited to the launch.", " that invites"),
        ("Join us on Sunday.", " that invites"),
        ("Would you like to invite you know who?", " that asks for something"),
    ],
)
def test_what_a_mail_does_is_seen_from_light_cues(text, does):
    said = instructions.first_mail("Ana", "Boat", text, "1")
    assert said.replace(".", "").endswith(does or "") if does else " that " not in said


@pytest.mark.parametrize(
    ("words", "noun"),
    [(5, "a short mail"), (60, "a mail of a few sentences"), (150, "a mail"), (300, "a long mail")],
)
def test_the_length_is_told_about(words, noun):
    said = instructions.first_mail("Ana", "Boat", "word " * words, "1").rstrip(".")
    assert re.search(rf"(?:rite|Draft|Compose|Send|need) {noun}(?: to |$)", said)
    assert instructions.first_mail("Ana", "", "雨" * 100, "1").count("a few sentences") == 1


def test_phrasings_vary_by_the_pair_and_not_by_the_run():
    said = [instructions.first_mail("Ana", "Boat", "It leaks.", str(n)) for n in range(60)]
    assert said == [instructions.first_mail("Ana", "Boat", "It leaks.", str(n)) for n in range(60)]
    rest = 'a short mail to Ana about "Boat".'
    asked = ("Write", "Draft", "Compose", "Send", "Please write", "I need")
    assert set(said) == {f"{verb} {rest}" for verb in asked}
    assert all(4 <= said.count(one) <= 20 for one in set(said))


def test_replies_are_asked_for_in_a_few_ways():
    ana = Person("Ana", "ana@y.example")
    said = [instructions.reply(ana, "[USRP-users] R: Boat", str(n)) for n in range(60)]
    assert set(said) == {
        'Reply to this mail from Ana about "Boat".',
        'Answer this mail from Ana about "Boat".',
        'Write a reply to this mail from Ana about "Boat".',
        'Draft an answer to Ana\'s mail about "Boat".',
    }
    assert len({instructions.follow_up("Boat", str(n)) for n in range(30)}) == 2


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("[USRP-users] Boat", "Boat"),
        ("[linux-mips] Re: [list] Boat", "Boat"),
        ("[PATCH 2/3] Boat", "[PATCH 2/3] Boat"),
        ("[RFC] Boat", "[RFC] Boat"),
        ("[a few words] Boat", "[a few words] Boat"),
        ("[boat]", "[boat]"),
    ],
)
def test_the_tag_of_a_list_is_no_subject(subject, shown):
    assert instructions.about(subject) == f' about "{shown}"'


@pytest.mark.parametrize("subject", ["", "  ", "(no subject)", "(Kein Betreff)", "…", "No subject"])
def test_a_subject_that_says_nothing_is_none(subject):
    assert instructions.about(subject) == ""
    assert not instructions.tells(subject)
    assert instructions.tells("No")


def test_topics_are_the_rarest_words_that_others_have_too():
    common = Commonness.of(
        ["the pump drips today"] * 2
        + ["bilge water again today"] * 3
        + [f"nothing about word{n} today" for n in range(95)]
    )
    text = "Today the bilge pump drips. Nothing zucchini-canary hunterpass s3cret a@b.example"
    topics = common.topics(text)
    assert topics == ["bilge", "pump", "drips"]
    said = instructions.with_topics("Write a short mail to Ana.", topics, "1")
    assert said.startswith("Write a short mail to Ana. ")
    assert "bilge, pump and drips" in said
    assert common.topics("Nothing today.") == []
    assert instructions.with_topics("Write to Ana.", [], "1") == "Write to Ana."


def test_topics_are_not_those_of_the_greeting_nor_the_sign_off():
    texts = ["Sehr geehrter Kundenservice,\n\nder Kessel tropft.\n\nFreundliche Grüße\nJonas Weber"]
    common = Commonness.of([*texts * 3, *(f"nichts {n}" for n in range(60))])
    assert common.topics(texts[0]) == ["kessel", "tropft"]
    said = instructions.with_topics("Write to the kessel desk.", ["kessel", "tropft"], "1")
    assert "kessel and" not in said
    assert "tropft" in said


def test_words_with_marks_are_topics_and_runs_as_any_are():
    hindi = "कश्ती पुरानी मरम्मत चाहिए"
    common = Commonness.of([hindi] * 3 + [f"कुछ {n}" for n in range(60)])
    assert set(common.topics(hindi)) <= set(hindi.split())
    assert len(common.topics(hindi)) == 3
    run = "कल सुबह दस बजे मिलते हैं"
    assert instructions.gives_away(f"लिखो {run}", run)
    assert not instructions.gives_away("कल सुबह मिलते हैं", "कल सुबह मिलते हैं और")


def test_a_word_that_stands_nowhere_else_is_no_topic():
    """P1: it may be a password that nobody recognised."""
    common = Commonness.of(["correct horse", "battery staple", "battery horse hunterpass"])
    assert "hunterpass" not in common.topics("hunterpass horse battery hunterpass")


_SAID = ["the", "boat", "leaks", "again", "bring", "a", "bucket", "Ana", "please"]
WORDS = st.lists(st.sampled_from(_SAID), max_size=60).map(" ".join)


@given(WORDS, WORDS, st.text(max_size=30), st.text(max_size=9))
def test_an_instruction_never_repeats_the_reply(reply, subject, name, seed):
    """C6: else the adapter learns to copy. The subject may stand in both."""
    to = instructions.to_whom((Person(name, "x@y.example"),), ME)
    said = instructions.first_mail(to, subject, reply, seed)
    said = instructions.with_topics(said, Commonness.of([reply] * 3).topics(reply), seed)
    assert not instructions.gives_away(said, reply, subject)


def test_giving_away_is_six_words_in_a_row():
    reply = "The boat leaks, so bring a bucket."
    assert instructions.gives_away("Say: the boat leaks so bring a bucket!", reply)
    assert not instructions.gives_away("Say: the boat leaks so bring two", reply)
    assert not instructions.gives_away("About the boat leaks so bring a bucket", reply, reply)


def test_a_chat_is_answered_or_gone_on_with():
    assert instructions.in_chat(["Ana"], goes_on=False) == "Reply in this chat with Ana."
    assert (
        instructions.in_chat(["Ana", "Bo"], goes_on=True) == "Go on in this chat with Ana and Bo."
    )
    assert instructions.in_chat([], goes_on=True) == "Go on in this chat."


def test_a_request_says_the_language_where_it_must():
    assert instructions.in_language("Reply.", "German") == "Reply. Write in German."
    assert instructions.in_language("Reply.", "") == "Reply."
