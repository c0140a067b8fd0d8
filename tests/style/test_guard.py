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
    "Natürlich, hier ist eine kurze Nachricht an Ana:\n\n",
    "Entwurf:\n\n",
    "Voici un brouillon de réponse :\n\n",
    "Bien sûr ! Voici une proposition de message :\n",
    "Claro, aquí tienes un borrador:\n\n",
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


OF_OWNERS = [
    # Lines at the head that announce what is the owner's.
    *(f"{line}\n\nNo.\nT." for line in (
        "Here's the error message:", "Here are the three e-mail addresses:",
        "Here are two versions:", "Here is the reply:", "Here is the message:",
        "Here is the draft contract:", "Here's the draft agenda:", "Here is the text of the law:",
        "Here's the version number:", "Here is your mail address:", "Here's a message from Tom:",
        "Here is a reply to your questions:", "Here's the response code:", "Sure, here's the list:",
        "Okay, here's the error message:", "Sure, here is the message of the server:",
        "This is the message:", "This is the version I mean:", "Below is the mail thread:",
        "Of course, here are the e-mail addresses:", "Here is my draft:", "Our draft so far:",
        "Hier ist die Fehlermeldung der Version 3:", "Das ist die Antwort:",
        "Hier ist die Antwort:",
        "Hier ist die Nachricht der Bank:", "Klar, hier ist die Mailadresse:",
        "Hier ist der Entwurf des Vertrags:", "Gerne! Hier ist ein Vorschlag:",
        "Anbei die Antwort:", "Anbei der Entwurf:", "Hier ist eine Antwort auf deine Fragen:",
        "Natürlich, hier ist die Version 2:",
        "Voici le message d'erreur :", "Voici la réponse :", "Voici la version de Paul :",
        "Voilà la réponse :", "Bien sûr, voici les adresses :", "Voici le projet de contrat :",
        "Aquí está la respuesta:", "Aquí está el mensaje de error:", "Claro, aquí está la lista:",
        "A continuación la versión del contrato:", "Aquí tienes el borrador del contrato:",
        "Ecco la risposta:", "Ecco il messaggio di errore:", "Certo, ecco gli indirizzi:",
        "Ecco la bozza del contratto:",
        "Aqui está a resposta:", "Segue a mensagem de erro:", "Claro, aqui vai a lista:",
        "Segue o rascunho do contrato:",
        "Hier is het antwoord:", "Hier is de foutmelding van versie 3:", "Hierbij het concept:",
        "Natuurlijk, hier is de lijst:", "Hier is het concept van het contract:",
    )),
    # Lines at the end.
    *(f"No.\n\n{line}" for line in (
        "Let me know if you need any changes to the draft contract.",
        "Let me know if the tone of the bell changes.", "Feel free to change the date.",
        "Let me know if you'd like to change rooms.", "Feel free to edit the page about Ana.",
        "Would you like me to change the tyres?", "Feel free to adjust the length of the rope.",
        "Gib Bescheid, wenn ich den Entwurf des Vertrags ändern soll.",
        "Sag Bescheid, wenn sich der Termin ändert.",
        "N'hésitez pas à modifier le contrat.", "Dime si cambia la fecha.",
        "Fammi sapere se vuoi cambiare treno.", "Me avise se quiser mudar o horário.",
        "Laat me weten of de datum wijzigt.",
    )),
    # What a colon introduces, code, and fences around a part.
    "Fill in this:\n[Your Name]", "Fill in this:\n\n[Your Name]\n[Your Position]",
    "Ana wrote at the end:\n\nBest,\nAna", "Ana schrieb:\n\nViele Grüße\nAna",
    "Il a signé :\nCordialement,\nPaul", "She signs with:\n\nNo more.\n\nSincerely,\nAnn Lee",
    "```\nrm -rf\n```", "```\nfor x in y:\n    go(x)\n```",
    "```sh\nmake it all now.\n```",
    "[Name]:\n[Date]:\nas in the form. T.",
]  # fmt: skip
OF_MODELS = [
    *(f"{line}\n\n{BODY}" for line in (
        "Here's the draft:", "Here is your draft:", "Here are two drafts:", "Here's a short reply:",
        "Sure, here is a revised version:", "Certainly! Here's a polite email to Ana:",
        "Of course! Here is the message in your style:", "Below is a draft email for your boss:",
        "Here is a professional response to your client:", "Here's an email you could send:",
        "Hier ist der Entwurf:", "Hier ist ein kurzer Entwurf:", "Klar! Hier ist die Nachricht:",
        "Hier ist eine höfliche Antwort:", "Gerne, hier ist ein Entwurf für deine Antwort:",
        "Hier ist ein Vorschlag für deine Antwort:", "Hier ist eine kurze Mail in deinem Stil:",
        "Voici le brouillon :", "Voici un message court :", "Bien sûr, voici la réponse :",
        "Voici une réponse polie :", "Voici un message que vous pouvez envoyer :",
        "Aquí tienes un borrador:", "Claro, aquí está la respuesta:", "Aquí va un mensaje breve:",
        "A continuación un borrador de correo:", "Aquí tienes una propuesta de respuesta:",
        "Ecco una bozza:", "Certo, ecco il messaggio:", "Ecco una risposta breve:",
        "Ecco la bozza di risposta:", "Di seguito una bozza:",
        "Aqui está um rascunho:", "Claro, aqui está a resposta:", "Segue um rascunho de resposta:",
        "Aqui vai uma mensagem curta:",
        "Hier is een kort bericht:", "Natuurlijk, hier is het antwoord:", "Hier is een concept:",
        "Hieronder een voorstel voor je antwoord:", "Hier is een beleefd antwoord:",
    )),
    *(f"{BODY}\n\n{line}" for line in (
        "Let me know if you'd like me to adjust the tone or the length.",
        "Feel free to change this message.", "Would you like me to make the draft shorter?",
        "Sag Bescheid, wenn ich den Ton ändern soll.",
        "N'hésitez pas à modifier ce message.", "Avísame si quieres cambiar el tono.",
        "Fammi sapere se vuoi modificare la bozza.", "Me avise se quiser ajustar o tom.",
        "Laat me weten of ik de toon moet aanpassen.",
    )),
]  # fmt: skip


def test_the_tables_are_long_enough() -> None:
    assert len(OF_OWNERS) >= 60
    assert len(OF_MODELS) >= 40


@pytest.mark.parametrize("habits", [None, Habits(), PLAIN])
@pytest.mark.parametrize("text", OF_OWNERS)
def test_what_an_owner_may_well_write_stays(text: str, habits: Habits | None) -> None:
    """W3; the worst failure is a lost word of the owner's."""
    draft = guarded(text, habits)
    assert (draft.text, draft.interventions) == (text, ())


@pytest.mark.parametrize("habits", [None, PLAIN])
@pytest.mark.parametrize("text", OF_MODELS)
def test_what_a_model_says_of_its_draft_goes(text: str, habits: Habits | None) -> None:
    assert guarded(text, habits).text == BODY


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


@pytest.mark.parametrize("inside", ["rm -rf", "It is done.\nIt is good for all."])
def test_a_fence_around_a_part_stays(inside: str) -> None:
    draft = guarded(f"```\n{inside}\n```\nBest,\nTom", PLAIN)
    assert draft == Draft(f"```\n{inside}\n```", ("sign-off",))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_greeting_with_a_colon_introduces_nothing(ending: str) -> None:
    text = "Dear Ana:\n\nThe parts are here."
    assert guarded(text + ending).text == text


@pytest.mark.parametrize("first", ["Two things:\n- a\n- b", "Here:\nthe roof"])
def test_what_a_colon_introduces_ends_with_a_blank_line(first: str) -> None:
    assert guarded(f"{first}\n\n[Your Name]").text == first


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
        *ANNOUNCEMENTS, *OWN, *ENDINGS, *FOREIGN, *OF_OWNERS, *OF_MODELS,
        "Subject: x\n", "\n", "\n\n", " ", "---\n", "-",
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


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("Hello there Ana, all is well here and the boat is dry. " * 9, 15),
        ("Hi Ana, all is well here and the boat is dry. " * 9, 15),
        ("OK so we go on Thursday and take the boat. " * 9, 15),
        ("Sure we go on Thursday and take the boat. " * 9, 15),
        ("[1] is the first of the papers that I meant. " * 9, 15),
        ("Here is the draft contract of the boat and the van. " * 9, 30),
        ("The **boat is dry and the van is not. " * 20, 230),
        ("**Very** glad that " + "the boat is dry and the van is not. " * 9, 15),
        ('"No, said the goat and went away over the hill. ' + "It rained on. " * 90, 215),
        ("```\nThis is no code but goes on and on. " + "It rained on. " * 200, 1020),
        ("```\nx = 1\n" + "It rained on. " * 200, 30),
        ("No.\nLet me know if it rains there, for then I come by car. " + "It rained. " * 30, 30),
        ("No.\nBest, I guess, is to go there on foot and to say so. " + "It rained. " * 30, 30),
        ("No.\n[1] is the first of the papers that I meant. " + "It rained. " * 30, 15),
    ],
)
@pytest.mark.parametrize("habits", [None, PLAIN])
def test_every_hold_is_bounded(text: str, most: int, habits: Habits | None) -> None:
    """In characters, when they come one by one."""
    given, passed, held = 0, 0, 0

    def letters() -> Iterator[str]:
        nonlocal given
        for letter in text:
            given += 1
            yield letter

    for piece in Guard(habits).alone(letters()):
        held = max(held, given - passed)
        passed += len(piece)
    assert held <= most


@pytest.mark.parametrize("text", ["No.\nBest,\n", "No.\n", '"No.\nNo."\n', "\n"])
def test_many_blank_lines_cost_little(text: str) -> None:
    """Each line is looked at once, not again whenever one follows."""
    looked = 0

    class Counting(Guard):
        def _kind(self, line: str, names: int) -> str:
            nonlocal looked
            looked += 1
            return super()._kind(line, names)

    blank = 3000
    "".join(Counting(PLAIN).alone([*text, *"\n" * blank, "x"]))
    assert looked < 10 * blank + 100_000 * (text[0] == '"')
