"""Each fault is found where it is planted, and not in what owners really write."""

import pytest

from aitwin.style.evaluation import faults
from aitwin.style.evaluation.faults import Case

PROMPT = "Reply to Ana Reis about the 14 May invoice.\n\nThe invoice 4711 is due, see https://x.example/a."


def case(raw: str, owner: str = "Paid it on Monday, the receipt is in the blue folder.") -> Case:
    return Case("t1", PROMPT.partition("\n\n")[0], PROMPT, owner, raw)


@pytest.mark.parametrize(
    "raw", ["Here's a draft:\nPaid.", "[DRAFT] Paid.", "Sure! Here is a reply:\nNo."]
)
def test_an_announcement_is_a_preamble(raw: str) -> None:
    assert faults.announced(raw)


@pytest.mark.parametrize(
    "raw", ["Here is the mail from the bank: paid.", "  Paid.", "Sure, bring it."]
)
def test_an_owners_opening_is_none(raw: str) -> None:
    assert not faults.announced(raw)


def test_refusals_are_an_assistants_not_an_owners() -> None:
    for raw in (
        "I'm sorry, but I can't assist with that.",
        "As an AI language model, I",
        "Als KI kann ich",
    ):
        assert faults.refuses(raw), raw
    for raw in (
        "I'm sorry, I can't come on Saturday.",
        "Sorry, cannot help you with the roof, my back.",
    ):
        assert not faults.refuses(raw), raw


def test_loops_are_found_and_prose_is_not() -> None:
    assert faults.loops("I will be there. " * 20)
    assert faults.loops("thank you so much for your help and thank you " * 12)
    prose = (
        "The roof leaks again, and the man who mended it last year is in hospital. I asked his "
        "brother, who wants twice the money and comes on Thursday at the earliest. Put the bucket "
        "under the stairs, empty it before you go to bed, and tell Jonas that the ladder is mine."
    )
    assert not faults.loops(prose)
    assert not faults.loops("No. No. No.")


def test_another_language_than_the_owners_reply_is_drift() -> None:
    french = "Je ne peux pas venir samedi, la voiture est au garage et ma femme travaille."
    assert faults.drifts(case(french))
    assert not faults.drifts(case("I paid it on Monday and the receipt is in the folder."))
    assert not faults.drifts(case("Ok."))  # too short to be in any


def test_facts_are_numbers_dates_names_and_links() -> None:
    assert faults.facts("Tell Ana Reis that 14 of them come on Monday, see www.x.example.") == {
        "Ana Reis", "14", "Monday", "www.x.example.",
    }  # fmt: skip
    assert faults.facts("Write a short apology.") == set()
    assert faults.facts('Answer the mail about "New Parts In Stock".') == set()


def test_a_fact_is_kept_when_a_part_of_the_name_is() -> None:
    assert faults.kept(case("Dear Ana, 14 May is fine.")) == pytest.approx(1.0)
    assert faults.kept(case("Dear Ana, that is fine.")) == pytest.approx(1 / 3)
    assert faults.kept(Case("t", "Write an apology.", "", "", "Sorry.")) is None


def test_numbers_and_links_out_of_nowhere_are_invented() -> None:
    assert faults.invents(case("Invoice 4712 is paid."))
    assert faults.invents(case("See https://y.example/b"))
    assert not faults.invents(case("4711 is paid, as on https://x.example/a."))
    assert not faults.invents(case("I have 2 of them."))  # small numbers are manners of speaking


def test_rates_stand_beside_the_owners() -> None:
    found = {
        m.key: m
        for m in faults.measure(
            {
                "base": [case("Here's a draft:\nPaid 99 of them.")] * 4,
                "owner": [case("Paid it.")] * 4,
            }
        ).measures
    }
    assert found["faults.preamble"].of("base").value == 1.0
    assert found["faults.preamble"].of("owner").value == 0.0
    assert found["faults.invented"].of("base").value == 1.0
    assert found["faults.facts"].of("owner").value == 0.0
