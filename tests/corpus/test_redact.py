import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aitwin.corpus import html, mail, pipeline
from aitwin.corpus.curate import Choice
from aitwin.corpus.detector import Prepared
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.pairs import Pair
from aitwin.corpus.redact import DETECTORS, Rules, redact, redact_pair, redact_pairs
from aitwin.corpus.report import Skipped

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
        if place.startswith("chat"):
            yield Message(
                f"a{n}", "chat", ana, asked, f"What about {word}?\n{text}", conversation="c"
            )
            yield Message(
                f"b{n}", "chat", Person("Thota"), asked + timedelta(minutes=1),
                f"{own}\n{text}", conversation="c",
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


def test_no_detector_accepts_nothing_for_a_word():
    """An empty alternative would let a rule that needs a word match anywhere."""
    for one in DETECTORS:
        assert not re.search(r"\|\||\(\?:\||\(\||(?<!\\\\)\|\)", one.pattern.pattern), one.kind
        assert not one.pattern.fullmatch("")
