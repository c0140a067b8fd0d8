from collections import Counter
from datetime import UTC, datetime

import pytest

from aitwin.corpus.pairs import Pair
from aitwin.corpus.redact import redact, redact_pair

SECRETS = [
    ("Write to ana.b+x@mail.example.org please", "Write to [EMAIL_1] please"),
    ("call +44 7700 900123 tonight", "call [PHONE_1] tonight"),
    ("Ring 07700 900123.", "Ring [PHONE_1]."),
    ("tel: 555-0142", "tel: [PHONE_1]"),
    ("(650) 555-0142 or 415-555-0101", "[PHONE_1] or [PHONE_2]"),
    ("card 4111 1111 1111 1111 ok", "card [CARD_1] ok"),
    ("IBAN GB82 WEST 1234 5698 7654 32 thanks", "IBAN [IBAN_1] thanks"),
    ("The wifi password is Basil-9!soup", "The wifi password is [PASSWORD_1]"),
    ("Passwort: geheim", "Passwort: [PASSWORD_1]"),
    ("password for the router is hunter2.", "password for the router is [PASSWORD_1]"),
    ("Your verification code is 493 027", "Your verification code is [CODE_1]"),
    ("482913 is your login code", "[CODE_1] is your login code"),
    ("gate code 4471", "gate code [CODE_1]"),
    ("key sk-proj-abcdEFGH1234ijklMNOP5678", "key [API_KEY_1]"),
    ("token: 9f8e7d6c5b4a39281706", "token: [API_KEY_1]"),
    ("AKIAABCDEFGHIJKLMNOP", "[API_KEY_1]"),
    ("https://u:pw@host.example/x", "[URL_1]"),
    ("see https://z.example/j/94?pwd=aB3dE5fG7 now", "see [URL_1] now"),
    ("https://docs.example/d/1aB2cD3eF4gH5iJ6kL7mN8oP/edit", "[URL_1]"),
    ("ssn 123-45-6789", "ssn [ID_NUMBER_1]"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----\nbye",
        "[PRIVATE_KEY_1]\nbye",
    ),
]

HARMLESS = [
    "It costs 1,299.99 EUR, or $4,000 for two.",
    "2024-03-14 at 16:00, not 14.03.2024 or 3/14/24, 6:24 PM.",
    "Version 2.14.3-rc1 and kernel 5.10.0-23",
    "Order 4711-0815-2231 and ticket 90210047",
    "Ping 192.168.178.41 and 10.0.0.1:8080",
    "The password is on the fridge. The password is wrong.",
    "Error code 40413, exit code 1, post code SW1A 1AA",
    "PR #1184 touched 41 files; pin 4 of the chip is live, tan 30 is 0.577",
    "00100000 00200000 0010 0000 dead beef",
    "See https://example.org/blog/how-to-water-basil-in-the-winter-months?page=2",
    "30 miles, 212 sites, 47 minutes, 1968, 22 ft",
    "My code passes 1200 tests and the token ring is dead",
    "@thota looked at it @ 16:00",
    "4111 1111 1111 1112",
    "ISBN 978-3-16-148410-0",
]


@pytest.mark.parametrize(("text", "expected"), SECRETS)
def test_secrets_become_placeholders(text, expected):
    """P1: what must not be learnt never reaches a dataset."""
    assert redact(text).text == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_numbers_and_links_stay(text):
    assert redact(text).text == text


@pytest.mark.parametrize("text", [text for text, _ in SECRETS])
def test_redacting_twice_changes_nothing_more(text):
    once = redact(text).text
    assert redact(once).text == once
    assert redact(text).counts.total() >= 1


def test_one_secret_has_one_placeholder_all_through_a_pair():
    pair = Pair(
        id="1",
        thread="t",
        channel="mail",
        sent_at=datetime(2024, 1, 1, tzinfo=UTC),
        instruction="Reply to this mail from ana@x.example.",
        incoming="Reach me at ANA@x.example or tom@x.example, +44 7700 900123",
        reply="tom@x.example it is. +44 (7700) 900-123 was busy.",
    )
    clean, counts = redact_pair(pair)
    assert clean.instruction == "Reply to this mail from [EMAIL_1]."
    assert clean.incoming == "Reach me at [EMAIL_1] or [EMAIL_2], [PHONE_1]"
    assert clean.reply == "[EMAIL_2] it is. [PHONE_1] was busy."
    assert counts == Counter(EMAIL=4, PHONE=2)
    assert clean.id == pair.id
