# ruff: noqa: E501 -- word lists are easier to read unbroken
"""Automatic replies that only their words give away."""

import pytest

from aitwin.corpus import automatic


@pytest.mark.parametrize(
    "subject",
    ["Automatic reply: Boat", "Auto-Reply: Boat", "Automatische Antwort: Boot", "Réponse automatique : Bateau",
     "Respuesta automática: Barco", "Risposta automatica: Barca", "Automatisch antwoord: Boot", "Autosvar: Båt",
     "Odpowiedź automatyczna: Łódź", "Автоматический ответ: Лодка", "自动回复: 船", "自動応答: 船", "자동 회신: 배"],
)  # fmt: skip
def test_programs_say_so_in_the_subject(subject: str) -> None:
    """C2: an automatic reply teaches nothing of how its owner writes."""
    assert automatic.is_reply(subject, "", answers=False)


def test_an_absence_is_a_programs_only_as_an_answer() -> None:
    assert automatic.is_reply("Abwesenheitsnotiz: Boot", "Ich bin weg.", answers=True)
    assert not automatic.is_reply("Out of office: all of May", "I am away.", answers=False)
    assert not automatic.is_reply("Re: Out of office: all of May", "Enjoy.", answers=True)
    assert not automatic.is_reply("Out of office next week?", "Who is?", answers=True)


def test_the_first_words_count_in_an_answer() -> None:
    text = "This is an automatic reply. I am at sea."
    assert automatic.is_reply("Re: Boat", text, answers=True)
    assert not automatic.is_reply("Boat", text, answers=False)
    assert not automatic.is_reply("Re: Boat", f"She wrote back: {text}", answers=True)
