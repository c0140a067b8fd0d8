import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.style.guard import HABITS, Draft, Guard, Habits, guarded

BODY = "Ana,\n\nthanks for the parts. T."
PLAIN = Habits(names=frozenset({"t.", "t", "thota"}))
"""Of an owner who has none of these manners, and signs."""

ANNOUNCEMENTS = [
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
    "Hier ist ein Entwurf für deine Antwort:\n\n",
    "Gerne! Hier ist ein Vorschlag:\n",
    "Natürlich, hier ist eine kurze Nachricht an Ana:\n\n",
    "Entwurf:\n\n",
    "Voici un brouillon de réponse :\n\n",
    "Bien sûr ! Voici une proposition de message :\n",
    "Claro, aquí tienes un borrador:\n\n",
    "Aquí está la respuesta:\n\n",
    "Certo! Ecco una bozza di risposta:\n\n",
    "Claro! Aqui está um rascunho:\n\n",
    "Segue uma proposta de resposta:\n",
    "Natuurlijk! Hier is een concept:\n\n",
    "Hieronder een voorstel voor je antwoord:\n\n",
    "Dear [Recipient's Name],\n\n",
    "Hallo [Name],\n",
    "Here's a draft:\n\nHi [Your colleague's name],\n\n",
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
    "--- \nT.",
    "- one\n- two",
    "Okay.\n\nHere's a draft:\n\nnot at the head.",
    "Here is a thing about the boat, the dog, the roof, the fence, the well, the cat, the hedge, "
    "the goat, the barn, the shed, the gate, the van, the bill, and last not least the draft:\nno",
    "ok",
    "Sure",
    "",
    "Hier ist die Antwort von der Bank:\n\nNein.",
    "Voici la réponse de la banque :\n\nNon.",
    "Ecco il messaggio di Marco:\nno",
    "Aquí está el correo que recibí:\nno",
    "Hier is het bericht van Jan:\nnee",
    "Write to [EMAIL_1]\n\n[PHONE_2]",
    "The field is called\n[Your Name]\nand may be empty.",
    "*lol* no. 2 ** 3 ** 4, f(*args, **kwargs) and g(**kw). a*b*c",
    "```\nmake\n```\nRun that. T.",
    "Run this:\n\n```\n# as root\n**x**\n```",
    'He said "no".',
    '"nope"',
    '"Yes", he said.\n"No", she said.',
    "“Never”\n\nT.",
    "#1 is fine, #2 is not",
    "Best to take the train. T.",
    "Best, I guess, is not to go.",
    "Regards to your mother",
    "Warmly recommended:\nthe inn.",
    "Viele Grüße an deine Mutter",
    "Let me know if it rains. T.",
    "Feel free to come by. T.",
    "Let me know if the draft arrived.",
    "No.\n\nBest regards,\nsee you on Thursday then, and bring the ladder. T.",
    "No.\n\nThanks,\nT.",
    "No.\n---\n",
    "No.  \n\n",
]

ENDINGS = [
    "\n\nBest regards,\n[Your Name]",
    "\n\nSincerely,\n\n[Your Name]\n[Your Position]",
    "\n\nKind regards, [Your Name]",
    "\n\n[Your Name]",
    "\nMit freundlichen Grüßen\n[Ihr Name]",
    "\n\nCordialement,\n[Votre nom]",
    "\n\nSaludos,\n[Tu nombre]",
    "\n\nCordiali saluti,\n[Il tuo nome]",
    "\n\nAtenciosamente,\n[Seu nome]",
    "\n\nMet vriendelijke groet,\n[Jouw naam]",
    "\n\n---\n\nLet me know if you'd like me to adjust the tone!",
    "\n\nFeel free to modify this message as you see fit.",
    "\n\nBest regards,\n[Your Name]\n\n---\n\nFeel free to change the wording.",
    "\n\nGib mir Bescheid, falls ich den Entwurf anpassen soll.",
]
FOREIGN = [
    "\n\nBest regards,",
    "\n\nSincerely,\nJohn Smith\nSenior Engineer\nAcme",
    "\n\nBest,\n\nJohn",
    "\n\nBest regards,\nJohn Smith\nHead of Sales at The Boat & Van Company",
    "\n\nMit freundlichen Grüßen\nHans Meier",
    "\n\nHartelijke groet, Jan",
    "\n\nLet me know if you'd like any changes!",
    "\n\nN'hésitez pas à me dire si vous voulez modifier quelque chose.",
    "\n\nLaat me weten of er iets aangepast moet worden, of wil je het wijzigen?",
]


@pytest.mark.parametrize("habits", [None, PLAIN])
@pytest.mark.parametrize("announcement", ANNOUNCEMENTS)
def test_an_announcement_is_taken_off(announcement: str, habits: Habits | None) -> None:
    """W3: the draft alone."""
    draft = guarded(announcement + BODY, habits)
    assert draft.text == BODY
    assert draft.interventions


@pytest.mark.parametrize("habits", [None, PLAIN])
@pytest.mark.parametrize("text", OWN)
def test_words_of_the_owner_survive(text: str, habits: Habits | None) -> None:
    """To lose the owner's words is worse than to leave a model's."""
    draft = guarded(text, habits)
    assert (draft.text, draft.interventions) == (text, ())


@pytest.mark.parametrize("habits", [None, PLAIN])
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_to_be_filled_in_or_speaks_of_the_draft_goes(
    ending: str, habits: Habits | None
) -> None:
    assert guarded(BODY + ending, habits).text == BODY


@pytest.mark.parametrize("ending", FOREIGN)
def test_a_foreign_ending_goes_only_if_the_owner_is_known(ending: str) -> None:
    assert guarded(BODY + ending).text == BODY + ending
    assert guarded(BODY + ending, PLAIN).text == BODY


@pytest.mark.parametrize(
    ("text", "alone", "kind"),
    [
        ("Subject: Parts\n\n" + BODY, BODY, "subject line"),
        ("**Betreff:** Teile\n" + BODY, BODY, "subject line"),
        (f"```\n{BODY}\n```", BODY, "fence"),
        (f"```markdown\n{BODY}\n```\n\nLet me know if you'd like any changes.", BODY, "fence"),
        (f'"{BODY}"', BODY, "quotes"),
        (f"“{BODY}”\n", BODY, "quotes"),
        ("I am **very** glad, **Ana**.", "I am very glad, Ana.", "bold"),
        ("## Parts\n\nThey came.", "Parts\n\nThey came.", "heading"),
        ("No.\n\nBest regards,\nThota", "No.\n\nThota", "sign-off"),
        ("No.\n\n**Best regards,**\n**John**", "No.", "sign-off"),
    ],
)
def test_what_no_reply_of_the_owners_has_goes(text: str, alone: str, kind: str) -> None:
    draft = guarded(text, PLAIN)
    assert draft.text == alone
    assert kind in draft.interventions
    assert guarded(text).text == text


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Subject: Parts\n\nThey came.", "Write a mail with a subject line."),
        ("Betreff: Teile\n\nDa.", "Schreib eine Mail mit Betreff."),
        ("No.\n\nBest regards,\nJohn", "Say no, and sign with best regards, John"),
        ("It is done.\n\nLet me know if you'd like any changes.", "Ask Ana for changes."),
    ],
)
def test_who_asks_for_it_gets_it(text: str, asked: str) -> None:
    assert guarded(text, PLAIN, asked=asked).text == text
    assert guarded(text, PLAIN).text != text


# --- Habits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        "Here's a draft:\n\nNo.",
        "Subject: Boat\n\nNo.",
        "```\nmake\n```",
        '"One.\n\nTwo."',
        "I **said** no.",
        "# Plan\n\nNone.",
        "Dear [Name],\n\nNo.",
        "No.\n\nLet me know if you'd like any changes.",
        "No.\n\nBest regards,\nThota",
        "No.\n\nViele Grüße, Thota",
        "Let me know if you'd like any changes.",
    ],
)
def test_what_an_owner_once_wrote_is_the_owners(reply: str) -> None:
    """Learnt from the replies themselves, in every manner that the guard knows."""
    habits = Habits.of(["No.", reply, "Fine."])
    draft = guarded(reply, habits)
    assert (draft.text, draft.interventions) == (reply, ())


def test_an_owners_formula_is_not_every_formula() -> None:
    habits = Habits.of(["No.\n\nBest regards,\nThota", "Yes.\n\nBest regards,\nThota"])
    assert habits == Habits(sign_offs=frozenset({"best regards"}), names=frozenset({"thota"}))
    assert guarded("No.\n\nSincerely,\nThota", habits).text == "No.\n\nThota"
    text = "No.\n\nBest regards,\nThota\n[Your Position]"
    assert guarded(text, habits).text == "No.\n\nBest regards,\nThota"


def test_habits_are_kept_beside_the_adapter(tmp_path: Path) -> None:
    assert Habits.load(tmp_path) is None
    habits = Habits.of(["**No.**\n\nBest regards,\nThota"] * 2)
    habits.save(tmp_path)
    assert Habits.load(tmp_path) == habits
    assert (tmp_path / HABITS).stat().st_mode & 0o777 == 0o600
    assert "thota" not in repr(habits)


@pytest.mark.parametrize("content", ["{", "[]", "{}", json.dumps({"kinds": 1})])
def test_damaged_habits_are_told(tmp_path: Path, content: str) -> None:
    (tmp_path / HABITS).write_text(content)
    with pytest.raises(TwinError, match=r"habits\.json.*twin train"):
        Habits.load(tmp_path)


# --- Never too much, and the same however it comes ------------------------------------------------


@pytest.mark.parametrize(
    "text", ["[DRAFT]", "Here's a draft:\n", "Best regards,\nJohn", "Subject: x\n", "[Your Name]"]
)
def test_a_text_is_never_taken_off_whole(text: str) -> None:
    draft = guarded(text, PLAIN)
    assert (draft.text, draft.interventions) == (text, ())


def cut(text: str, places: Sequence[int]) -> Iterator[str]:
    ends = sorted(place % (len(text) + 1) for place in places)
    for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
        yield text[start:end]


PARTS = st.sampled_from(
    [
        *ANNOUNCEMENTS, *OWN, *ENDINGS, *FOREIGN, "Subject: x\n", "\n", "\n\n", " ", "---\n", "-",
        "```\n", "\n```", "```", '"', "“", "”", "**", "*", "# ", "Best", ",", "\nRegards", "\nT.",
        "\nRegards,\nJo", "\nThota", "\nHead of", " Sales", "\nLet me know", "[Your", "]", "\u2028",
        "\r\n", "ſ", "İ", "K",
    ]
)  # fmt: skip
TEXTS = st.lists(PARTS | st.text(max_size=20), max_size=6).map("".join)
OWNERS = st.sampled_from([None, PLAIN, Habits(), Habits(frozenset({"bold", "fence", "offer"}))])


@given(TEXTS, OWNERS, st.lists(st.integers(0, 600), max_size=40))
def test_pieces_do_not_change_the_draft(
    text: str, habits: Habits | None, places: list[int]
) -> None:
    """However the engine cuts its stream, the draft is that of the whole text."""
    guard = Guard(habits)
    pieces = "".join(guard.alone(cut(text, places)))
    whole = guarded(text, habits)
    assert (pieces, guard.interventions) == (whole.text, whole.interventions)
    assert bool(pieces) == bool(text.lstrip())


@given(
    st.sampled_from(["", *ANNOUNCEMENTS]),
    st.sampled_from(["", "Subject: Parts\n\n", "## Parts\n\n"]),
    st.sampled_from(OWN),
    st.sampled_from(["", *ENDINGS, *FOREIGN]),
    OWNERS,
)
def test_what_is_a_draft_alone_stays_it(
    head: str, subject: str, body: str, ending: str, habits: Habits | None
) -> None:
    once = guarded(head + subject + body + ending, habits).text
    assert guarded(once, habits) == Draft(once)


@given(st.lists(st.text(st.characters(categories=["L", "Nd", "Po"], exclude_characters='*#`"'))))
def test_plain_words_are_passed_byte_for_byte(words: list[str]) -> None:
    text = "x " + " ".join(words)
    assert guarded(text, PLAIN).text == text


# --- How long it holds back -----------------------------------------------------------------------


def delay(text: str, habits: Habits | None) -> int:
    """Words that are held back at most, when the text comes word by word."""
    given, passed, most = 0, 0, 0

    def words() -> Iterator[str]:
        nonlocal given
        for word in text.split(" "):
            given += 1
            yield f"{word} "

    for piece in Guard(habits).alone(words()):
        most = max(most, given - passed)
        passed += piece.count(" ")
    return most


@pytest.mark.parametrize("habits", [None, PLAIN])
@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("No. Ask Jonas, he knows.", 1),
        ("Ana,\n\nthanks for the parts. They fit.\n\nSee you on Thursday at ten.\n\nT.", 2),
        ("Best to take the train, I think, for the road is closed.", 2),
        ("No.\n\nBest regards to all of you from the mountains.", 4),
        ("Hi Ana,\nthe parts are here. They fit well.", 3),
    ],
)
def test_little_is_held_back(text: str, most: int, habits: Habits | None) -> None:
    assert delay(text, habits) <= most
