import mailbox
import re
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aitwin.corpus import html, imports, mail, pipeline
from aitwin.corpus.curate import Choice
from aitwin.corpus.detector import Prepared
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.pairs import Pair
from aitwin.corpus.redact import (
    DETECTORS,
    Redactor,
    Rules,
    inventory,
    redact,
    redact_pair,
    redact_pairs,
)
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Store
from aitwin.prompt import Persona

DATA = Path(__file__).parent / "data"
MARK = re.compile(r"⟦(\w+)\|(.*?)⟧", re.DOTALL)
ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota"}))
START = datetime(2024, 1, 1, tzinfo=UTC)


def table(name):
    """The texts of a table; those that are known to fail are expected to (docs/redaction.md)."""
    rows = []
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            label, text = line.split("\t", 1)
            known = [pytest.mark.xfail(strict=True, reason="known")] if label[0] == "!" else []
            rows.append(pytest.param(text.replace("\\n", "\n").replace("~", ""), marks=known))
    return rows


SECRETS = table("redact_secrets.tsv")
HARMLESS = table("redact_harmless.tsv")
HELD_OUT = [row for n in (2, 3, 4, 5, 6) for row in table(f"redact_holdout{n}_secrets.tsv")]
HELD_OUT_HARMLESS = [
    row for n in (2, 3, 4, 5, 6) for row in table(f"redact_holdout{n}_harmless.tsv")
]


def expected(text):
    """The marked text, its secrets counted into placeholders of their kind."""
    numbers: Counter[str] = Counter()

    def placeholder(found):
        numbers[found[1]] += 1
        return f"[{found[1]}_{numbers[found[1]]}]"

    return MARK.sub(placeholder, text)


def pair(instruction="", incoming="", reply="", name="1"):
    return Pair(name, "t", "mail", START, instruction, incoming, reply)


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_become_placeholders_and_nothing_else_does(text):
    """P1: what must not be learnt never reaches a dataset."""
    assert redact(MARK.sub(r"\2", text)).text == expected(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_numbers_links_and_code_stay(text):
    assert redact(text).text == text


def clean(text):
    """A text, or the texts of a pair that "¦" parts, without their secrets."""
    parts = text.split("¦")
    if len(parts) == 1:
        return redact(text).text
    cleaned, _ = redact_pair(pair(*[""] * (3 - len(parts)), *parts))
    return "¦".join((cleaned.instruction, cleaned.incoming, cleaned.reply))


def survives(kind, secret, text, rest):
    """Whether the secret, or a piece with a digit that the rest has not, stands in the text."""
    pieces = re.findall(r"\w*\d\w*", secret) if kind not in WORDLIKE else []
    pieces = [piece for piece in pieces if len(piece) > 1 and piece not in rest]
    return secret in text or any(
        re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text) for piece in pieces
    )


WORDLIKE = ("PASSWORD", "API_KEY", "PRIVATE_KEY", "URL", "EMAIL")


@pytest.mark.parametrize("text", HELD_OUT)
def test_no_secret_of_the_hold_outs_is_left(text):
    """P1. What kind it was taken for does not matter here."""
    cleaned, rest = clean(MARK.sub(r"\2", text)), MARK.sub("", text)
    for kind, secret in MARK.findall(text):
        assert not survives(kind, secret, cleaned, rest)


@pytest.mark.parametrize("text", HELD_OUT_HARMLESS)
def test_harmless_lines_of_the_hold_outs_stay(text):
    assert clean(text) == text


def test_the_tables_are_what_the_figures_are_measured_on():
    assert sum(len(MARK.findall(row.values[0])) for row in SECRETS) >= 500
    assert len(HARMLESS) >= 480


@pytest.mark.parametrize("text", [row.values[0] for row in SECRETS])
def test_redacting_twice_changes_nothing_more(text):
    once = redact(MARK.sub(r"\2", text)).text
    assert redact(once).text == once


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_any_text_keeps_its_places(text):
    """Detectors read another text than is replaced: each character must keep its place."""
    prepared = Prepared(text)
    assert len(prepared.text) == len(prepared.lower) == len(text)
    result = redact(text)
    assert result.counts.total() or result.text == text


def test_one_secret_has_one_placeholder_all_through_a_pair():
    clean, counts = redact_pair(
        pair(
            "Reply to this mail from ana@x.example.",
            "Reach me at ANA@x.example or tom@x.example, +44 7700 900123",
            "tom@x.example it is. +44 (7700) 900-123 was busy, so was 07700 900123.",
        )
    )
    assert clean.instruction == "Reply to this mail from [EMAIL_1]."
    assert clean.incoming == "Reach me at [EMAIL_1] or [EMAIL_2], [PHONE_1]"
    assert clean.reply == "[EMAIL_2] it is. [PHONE_1] was busy, so was [PHONE_1]."
    assert counts == Counter(EMAIL=4, PHONE=3)
    assert clean.id == "1"


def test_a_secret_that_is_announced_once_goes_wherever_it_stands():
    clean, _ = redact_pair(
        pair(incoming="the wifi password is Quince-4-Ever", reply="Quince-4-Ever? Works.")
    )
    assert clean.reply == "[PASSWORD_1]? Works."
    given_away = pair(incoming="the wifi password is Quince-4-Ever", reply="Thanks.", name="a")
    alone = pair(incoming="which one?", reply="Try Quince-4-Ever again.", name="b")
    cleaned, counts = redact_pairs([alone, given_away])
    assert [one.reply for one in cleaned] == ["Try [PASSWORD_1] again.", "Thanks."]
    assert counts == Counter(PASSWORD=2)


def test_a_short_code_goes_in_other_pairs_of_the_same_people_or_about_a_lock():
    """P1: and "4471" stays a number where neither the people nor the words are the same."""
    told = replace(
        pair(incoming="the door code is 4471", reply="Thanks.", name="a"), people=("Ana Silva",)
    )
    texts = ("4471 did it", "4471 for the gate, yes", "We sold 4471 of them")
    ana = replace(pair(reply=texts[0], name="b"), thread="u", people=("Ana Silva",))
    tom = replace(pair(reply=texts[1], name="c"), thread="v", people=("Tom",))
    sold = replace(pair(reply=texts[2], name="d"), thread="v", people=("Tom",))
    cleaned, _ = redact_pairs([ana, tom, sold, told])
    assert [one.reply for one in cleaned[:3]] == [
        "[CODE_1] did it",
        "[CODE_1] for the gate, yes",
        "We sold 4471 of them",
    ]
    redactor = Redactor(Rules())
    redactor.redact_set([told])
    assert redactor.redact_text("4471 was left out") == "[CODE_1] was left out"


def test_a_contact_that_is_called_a_secret_is_one_in_the_instruction():
    named = replace(
        pair('Reply to this mail from the password is zucchini about "jam".', name="a"),
        people=("the password is zucchini",),
    )
    [cleaned], _ = redact_pairs([named])
    assert cleaned.instruction == (
        'Reply to this mail from the password is [PASSWORD_1] about "jam".'
    )


def test_a_word_that_was_a_password_stays_a_word_elsewhere():
    clean, _ = redact_pair(pair(incoming="Passwort: geheim", reply="Das ist ja geheim."))
    assert clean == pair(incoming="Passwort: [PASSWORD_1]", reply="Das ist ja geheim.")


def test_placeholders_of_the_writer_are_not_taken_twice():
    assert redact("[PHONE_1] or +44 7700 900123").text == "[PHONE_1] or [PHONE_2]"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("+44 20 7946 0958", "Ring the shop on 020 7946 0958."),
        ("020 7946 0958", "Ring the shop on +44 (0)20 7946 0958."),
        ("Shop@X.example", "Write to shop@x.example"),
        ("@x.example", "Write to ana@x.example or tom@x.example"),
        ("DE89370400440532013000", "auf DE89 3704 0044 0532 0130 00"),
        ("7 Mill Lane", "come to 7 Mill Lane at six"),
    ],
)
def test_what_the_owner_allows_stays(entry, text):
    assert redact(text).text != text
    assert redact(text, Rules(allow=frozenset({entry}))).text == text


def test_allowing_one_number_allows_no_other():
    rules = Rules(allow=frozenset({"020 7946 0958", "", "@"}))
    assert redact("020 7946 0958, 020 7946 0123", rules).text == "020 7946 0958, [PHONE_1]"
    assert "[EMAIL_1]" in redact("ana@y.example", Rules(allow=frozenset({"y.example"}))).text


def test_names_go_only_when_they_are_given():
    text = (
        "Reply to this mail from Ana Silva. Ana's Rose garden; will Mark come? Hi Mark, ANA SILVA"
    )
    assert redact(text).text == text
    rules = Rules(names=frozenset({"Ana Silva", "Mark Will"}))
    assert redact(text, rules).text == (
        "Reply to this mail from [NAME_1]. [NAME_1]'s Rose garden; will Mark come? "
        "Hi [NAME_2], [NAME_1]"
    )
    kept = Rules(names=rules.names, allow=frozenset({"Ana Silva"}))
    assert redact("Ana and Mark Will", kept).text == "Ana and [NAME_1]"


def test_all_correspondents_lose_their_names_on_demand():
    """P1: first names, full names and possessives; no word of every day in small letters."""
    asked = pair("Reply in this chat with Rose Stone.", "Rose Stone: by the stone wall", "Rose?")
    other = replace(
        pair("Reply to this mail from Jörg Müller.", "", "Hi jörg, Jörg's car, rose gardens", "2"),
        people=("Jörg Müller",),
    )
    cleaned, counts = redact_pairs(
        [replace(asked, people=("Rose Stone",)), other], Rules(people=True)
    )
    assert cleaned[0].instruction == "Reply in this chat with [NAME_1]."
    assert cleaned[0].incoming == "[NAME_1]: by the stone wall"
    assert cleaned[1].reply == "Hi [NAME_1], [NAME_1]'s car, rose gardens"
    assert counts["NAME"] >= 5
    assert redact_pairs([asked, other])[0] == [asked, other]


def test_everybody_in_the_corpus_loses_their_name_and_the_owner_keeps_it():
    """P1: also somebody who is only written about in another thread's headers."""

    def sent(person):
        for message in corpus("body", "Regards from Thota to Bo Larsson"):
            yield replace(message, recipients=(*message.recipients, person))

    chosen = pipeline.select(
        sent(Person("Bo Larsson", "b@z.example")), ME, Choice(allow_small=True),
        rules=Rules(people=True),
    ).pairs  # fmt: skip
    replies = [one.reply for one in chosen]
    assert replies
    assert all("Regards from Thota to [NAME_" in reply for reply in replies)
    assert not any("Larsson" in reply for reply in replies)


def test_a_word_that_the_corpus_writes_small_is_no_name_alone():
    pairs = [
        replace(pair(reply="Lake or river, a lake is a lake. Ask Tom Lake.", name="1"),
                people=("Tom Lake",)),
    ]  # fmt: skip
    [cleaned], _ = redact_pairs(pairs, Rules(people=True))
    assert cleaned.reply == "Lake or river, a lake is a lake. Ask [NAME_1]."


def test_two_people_of_one_first_name_are_told_apart_by_the_full_one():
    rules = Rules(names=frozenset({"Ana Silva", "Ana Costa"}))
    cleaned = redact("Ana Silva, Ana Costa, Silva, Ana and Ana", rules).text
    assert cleaned == "[NAME_1], [NAME_2], [NAME_1] and [NAME_3]"


def test_an_answer_is_found_where_the_question_is_in_the_message_before():
    """P1: also within the incoming text, and where the subject names it."""
    chat = pair("Reply in this chat with Ana.", "Ana: whats the gate code?\nTom: 4471", "Thanks")
    assert redact_pair(chat)[0].incoming == "Ana: whats the gate code?\nTom: [CODE_1]"
    mail = pair('Reply to this mail from Ana about "wifi password".', "Hi", "Sure.\nQuincejam77")
    assert redact_pair(mail)[0].reply == "Sure.\n[PASSWORD_1]"
    talk = pair("Reply to this mail from Ana.", "We met 1250 people", "Nice! 1300 here")
    assert redact_pair(talk)[0] == talk


def test_cells_under_a_head_that_names_a_lock_are_secrets():
    table = "site,user,password\nshop,ana,Quincejam77\nbank,tom,Pearjelly88"
    assert redact(table).text == "site,user,password\nshop,ana,[PASSWORD_1]\nbank,tom,[PASSWORD_2]"
    code = "int a,\n\tLOW_PIN,\n\tHIGH_PIN4,\n"
    assert redact(code).text == code


def test_the_owner_sees_what_was_taken_out_and_can_keep_it():
    """P1: the inventory is in the clear, for the terminal; its ids stay the same."""
    pairs = [pair(reply="call 020 7946 0958 or ana@x.example"), pair(reply="020 7946 0958, yes")]
    found = inventory(pairs)
    assert [(one.kind, one.secret, one.times) for one in found] == [
        ("EMAIL", "ana@x.example", 1),
        ("PHONE", "020 7946 0958", 2),
    ]
    assert found[1].context == "call 020 7946 0958 or ana@x.example"
    assert "7946" not in repr(found)
    assert found == inventory(pairs)
    kept = Rules(allow=frozenset({found[1].secret}))
    assert [one.kind for one in inventory(pairs, kept)] == ["EMAIL"]


HOSTILE = (
    *("a", "1", "1 ", "Ab ", "Ab, ", "password ", "password is ", "code ", "my pin is a ", "1-"),
    *("1.", "0 1 ", "x@", "http://a/", "http://a?", "www.a.b/", "one ", "Flat 1, ", "Ab Road "),
    *("| password ", "password:\n", "WIFI:S:a;", "12 words abc ", "kod door ", "a_", "wifi "),
    *("user a ", "4111 ", "+1 ", "ul. Ab ", "市区", "what code?\n1234\n", "mysql ", "login a "),
    *(
        "alarm mit a ",
        "Ab 1, ",
        "tel ",
        "password (a ",
        "iban AB12 ",
        "AB12 1 ",
        "tür a ",
        "door 1",
    ),
    *("http://a/b ", "one hundred ", "07700 ", "password of the a ", "is my iban "),
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_time_in_proportion_to_its_length(piece):
    """Four times the text takes about four times as long, not sixteen."""

    def seconds(length):
        text = (piece * length)[:length]
        began = time.process_time()
        redact_pair(pair("", text, text[:2000]))
        return time.process_time() - began

    seconds(1000)
    short, long = min(seconds(4000) for _ in range(2)), seconds(16_000)
    assert long < 10 * short + 0.1


def test_numbers_of_a_known_country_need_no_word_beside_them():
    pytest.importorskip("phonenumbers")
    text = "or 612 34 56 78, you know"
    assert redact(text).text == text
    assert redact(text, Rules(regions=frozenset({"ES"}))).text == "or [PHONE_1], you know"


def test_nothing_private_is_shown_by_a_representation():
    rules = Rules(frozenset({"020 7946 0958"}), frozenset({"Ana Silva"}))
    shown = repr(redact("+44 7700 900123")) + repr(rules)
    assert "7700" not in shown
    assert "7946" not in shown
    assert "Silva" not in shown


def test_a_set_is_found_secret_by_secret_in_a_real_mailbox_and_little_else(shared):
    """16 MB of two lists: hex dumps, patches, oopses, and hardly a key, card or code in them."""
    counts: Counter[str] = Counter()
    for number, message in enumerate(
        mail.read(shared / "corpora" / "baechle-mips" / "all.mbox", Skipped())
    ):
        if number % 4 == 0:
            counts += redact(message.text).counts
    rare = ("CARD", "IBAN", "BANK", "ID_NUMBER", "API_KEY", "PASSWORD", "CODE", "PRIVATE_KEY")
    assert counts["EMAIL"] > 1000
    assert sum(counts[kind] for kind in rare) <= 5


# A canary, planted anywhere in a corpus, through the whole pipeline

CANARIES = {
    "Zucchini-7!canary": "The wifi password is Zucchini-7!canary",
    "canary-77-secret": "reach me at canary-77-secret@mail.example",
    "7700 900471": "my number is +44 7700 900471",
    "447193": "447193 is your login code",
    "4111 1111 1111 1111": "card 4111 1111 1111 1111",
    "3704 0044 0532": "DE89 3704 0044 0532 0130 00",
    "078-05-1120": "her ssn 078-05-1120",
    "cAn4rYcAn4rY7cAn4rY9xQ": "token: cAn4rYcAn4rY7cAn4rY9xQ",
    "k=cAn4rY": "https://x.example/j/9?tok=1&authtok=cAn4rY88&token=cAn4rY88",
    "14 Canary Road": "14 Canary Road, Leeds LS6 2AB",
    "zuccanary": "the password is zuccanary",
    "Zuccanary": "Das Passwort (für das Portal) ist Zuccanary",
    "zucanari": "le mot de passe du wifi est zucanari",
}
PLACES = ("subject", "body", "quote", "signature", "parent", "name", "chat", "chat name", "html")


def corpus(place, text):
    """Thirty mails or chat sessions of other words, the text planted in one place of each."""
    ana = Person(text if "name" in place else "Ana", "a@y.example")
    for n in range(24):
        word = "".join(chr(97 + (n * k + k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        asked, answered = START + timedelta(days=n), START + timedelta(days=n, hours=1)
        own = f"Bring the {word} pump and leave the {word[::-1]} in its shed until noon. "
        own += f"Somebody will come for the {word[1:]} and all the other things that we left there."
        if place == "chat answer":
            question, answer = text
            yield Message(f"a{n}", "chat", ana, asked, f"{word}? {question}", conversation="c")
            yield Message(
                f"b{n}", "chat", Person("Thota"), asked + timedelta(minutes=1),
                f"{answer}\n{own}", conversation="c",
            )  # fmt: skip
            continue
        if place.startswith("chat"):
            if place == "chat again":
                planted = text[min(n, 1)]
            else:
                planted = "" if place == "chat attached" else text
            yield Message(
                f"a{n}", "chat", ana, asked, f"What about {word}?\n{planted}", conversation="c"
            )
            yield Message(
                f"b{n}", "chat", Person("Thota"), asked + timedelta(minutes=1),
                f"{own}\n{planted}", conversation="c",
            )  # fmt: skip
            continue
        parent = f"What about {word}?" + (f"\n{text}" if place in ("parent", "html") else "")
        if place == "html":
            parent = html_mail(parent, text)
        body = own + {
            "body": f"\n{text}",
            "quote": f"\n\nOn 1 Jan 2024, Ana wrote:\n> {text}\n",
            "signature": f"\n\n-- \nThota\n{text}\n",
        }.get(place, "")
        subject = f"On {word}" + (f": {text}" if place == "subject" else "")
        if place != "quote":
            yield Message(f"a{n}", "mail", ana, asked, parent, subject)
        yield Message(
            f"b{n}", "mail", Person("", "t@x.example"), answered, body, f"Re: {subject}", (ana,),
            (f"a{n}",),
        )  # fmt: skip


def html_mail(text, planted):
    """What the reader makes of an HTML mail with the text in attributes, too."""
    quoted = planted.replace('"', "&quot;")
    return html.text(
        f'<p title="{quoted}">{text}</p><a href="https://x.example/?token={quoted}">here</a>'
        f'<img alt="{quoted}" src="cid:1">'
    )


@given(st.sampled_from(sorted(CANARIES)), st.sampled_from(PLACES))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_canary_planted_anywhere_never_reaches_the_chosen_pairs(canary, place):
    """P1."""
    planted = list(corpus(place, CANARIES[canary]))
    assert any(canary in m.text + m.subject + m.sender.name for m in planted)
    selection = pipeline.select(planted, ME, Choice(allow_small=True))
    assert selection.pairs
    for chosen in selection.pairs:
        assert canary not in f"{chosen.instruction}\n{chosen.incoming}\n{chosen.reply}"


@given(st.from_regex(r"4[1-9]{3}", fullmatch=True))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_door_code_told_once_is_in_no_later_pair_of_the_chat(code):
    """P1: also where nothing but the person tells that it is the same."""
    planted = list(corpus("chat again", (f"the door code is {code}", f"{code} did it")))
    chosen = pipeline.select(planted, ME, Choice(allow_small=True)).pairs
    assert any("[CODE_1] did it" in one.reply for one in chosen)
    assert not any(code in f"{one.incoming}\n{one.reply}" for one in chosen)


# The same through the whole dataset: every file of it

DIGITS = st.text("0123456789", min_size=12, max_size=12)
WORDS_OF_A_PASSWORD = ("Zucchini", "Quokka", "Bramble", "Xylem")


def luhn(number):
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in number[::-2]]
    return number + str(-(sum(doubled) + sum(map(int, number[-2::-2]))) % 10)


def iban(bank):
    number = "".join(str(int(c, 36)) for c in f"{bank}DE00")
    return f"DE{98 - int(number) % 97:02}{bank}"


def in_fours(text):
    return " ".join(re.findall(".{1,4}", text))


@st.composite
def secret(draw):
    """Kind, the secret, a message that gives it away."""
    d = draw(DIGITS)
    word = draw(st.sampled_from(WORDS_OF_A_PASSWORD))
    password = f"{word}-{d[:3]}!{word[::-1]}"
    key = f"sk-proj-{d[:6]}{word}{d[6:]}{word[::-1]}x7Q"
    card, bank = luhn(f"4{d}88"), iban(f"{d}347569")
    return draw(
        st.sampled_from(
            [
                ("password", password, f"The wifi password is {password}"),
                ("quoted", password, f'Passwort: "{password}"'),
                ("code", f"91{d[:4]}", f"91{d[:4]} is your verification code"),
                ("door", f"92{d[:4]}", f"the code of the door is 92{d[:4]}"),
                ("key", key, f"export OPENAI_API_KEY={key}"),
                ("card", card, f"card {in_fours(card)} exp 09/27"),
                ("iban", bank, f"IBAN {in_fours(bank).lower()}"),
                ("phone", f"7700900{d[:3]}", f"my number is +44 7700 900{d[:3]}"),
                ("ssn", f"21909{d[:3]}7", f"ssn 219-09-{d[:3]}7"),
                ("mail", f"{word}{d[:4]}@mail", f"write to {word}{d[:4]}@mail.example"),
                ("url", f"tok{d}", f"https://x.example/reset?token=tok{d}"),
                (
                    "address",
                    f"{word} Road",
                    f"{d[0] if d[0] != '0' else 7}1 {word} Road, Leeds LS6 2AB",
                ),
                ("qr", password, f"WIFI:S:Home;T:WPA;P:{password};;"),
                ("word", "zuccanary", "the password is zuccanary"),
                ("noun", "zuccanary", "le mot de passe du wifi est zuccanary"),
                ("again", f"4{d[0]}71", (f"the door code is 4{d[0]}71", f"4{d[0]}71 did it")),
            ]
        )
    )


def squeezed(text):
    """Without what a secret may be spelt with: capitals, spaces, hyphens, escapes of JSON."""
    return re.sub(r"[\s()-]|\\\\n", "", text).casefold()


@given(secret(), st.sampled_from((*PLACES, "answer", "attached", "chat attached")), st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_file_of_a_dataset_holds_any_form_of_a_planted_secret(planted, place, people):
    """P1: rows, manifest, pairs and page; also where only the message before announces it."""
    kind, canary, text = planted
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "corpus")
        if place == "answer" and kind in ("password", "code"):
            what = "wifi password" if kind == "password" else "door code"
            messages_ = corpus("chat answer", (f"What is the {what}?", canary))
        elif kind == "again":
            messages_ = corpus("chat again", text)
        else:
            messages_ = corpus("body" if place == "answer" else place, text)
        attached = text if "attached" in place and kind != "again" else ""
        source = export(Path(folder), list(messages_), attached)
        assert [result.new for _, result in imports.add(store, [source])] != [0]
        target = Path(folder) / "main"
        pipeline.build(
            store, ME, Persona("Thota"), target, Choice(allow_small=True), Rules(people=people)
        )
        files = [path for path in target.rglob("*") if path.is_file()]
        assert {"manifest.json", "pairs.json", "train.jsonl", "report.html"} <= {
            f.name for f in files
        }
        for file in files:
            written = file.read_text(encoding="utf-8")
            assert squeezed(canary) not in squeezed(written), file.name
            assert squeezed(canary) not in squeezed(unescape(written)), file.name


def export(folder, sent, attached):
    """The messages as the files that people have: a mailbox, or a chat."""
    if sent[0].channel == "chat":
        path = folder / "WhatsApp Chat with Ana.txt"
        lines = [
            f"{m.sent_at:%d/%m/%Y}, {m.sent_at:%H:%M} - {m.sender.name}: {text}"
            for m in sent
            for text in (m.text, f"{attached}.pdf (file attached)")
            if text[0] != "."
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path
    path = folder / "all.mbox"
    box = mailbox.mbox(path)
    for m in sent:
        made = EmailMessage()
        made["From"] = formataddr((m.sender.name.replace("\n", " "), m.sender.address))
        made["To"] = "t@x.example" if m.sender.address == "a@y.example" else "a@y.example"
        made["Date"] = format_datetime(m.sent_at)
        made["Message-ID"] = f"<{m.id}@x.example>"
        made["Subject"] = m.subject.replace("\n", " ")
        if m.references:
            made["In-Reply-To"] = f"<{m.references[0]}@x.example>"
        made.set_content(m.text)
        if attached:
            made.add_attachment(b"x", "application", "pdf", filename=attached + ".pdf")
        box.add(made)
    box.close()
    return path


def test_no_detector_accepts_nothing_for_a_word():
    """An empty alternative would let a rule that needs a word match anywhere."""
    for one in DETECTORS:
        assert not re.search(r"\|\||\(\?:\||\(\||(?<!\\\\)\|\)", one.pattern.pattern), one.kind
        assert not one.pattern.fullmatch("")
