import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import languages
from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError


def pair(id, reply, thread="t", people=("Ana",), incoming=""):
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    return Pair(id, thread, "mail", moment, "Reply.", incoming, reply, people)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I'll call you later tonight.", "en"),
        ("Kannst du mir die Datei nochmal schicken?", "de"),
        ("Je t'appelle ce soir.", "fr"),
        ("¿Me puedes mandar el archivo otra vez?", "es"),
        ("Puoi mandarmi di nuovo il file?", "it"),
        ("Você pode me mandar o arquivo de novo?", "pt"),
        ("Kun je me het bestand nog eens sturen?", "nl"),
        ("Dosyayı tekrar gönderir misin?", "tr"),
        ("Спасибо за быстрый ответ, посмотрю завтра утром.", "ru"),
        ("십 분 뒤에 도착해요", "ko"),
        ("今日は無理です、ごめん", "ja"),
        ("谢谢你这么快回复，我明天早上看", "zh"),
        ("", ""),
        ("ok", ""),
        ("No.", ""),
        ("👍👍", ""),
        ("https://www.example.com/der/die/das 10:30 [PHONE_1] a@b.example", ""),
        ("x" * 100_000, ""),
    ],
)
def test_a_language_is_told_or_left_open(text, language):
    assert languages.tell(text) == language


def test_what_does_not_tell_goes_with_its_thread_then_its_people_then_the_rest():
    german = "Ich komme heute Abend später und bringe die Pumpe mit."
    french = "Je passe ce soir avec la pompe et les deux seaux."
    asked = "Könntest du morgen bitte den Schlüssel mitbringen?"
    rows = [
        pair("a", german, "one", ("Bo",)),
        pair("b", "ok", "one", ("Cy",)),
        pair("c", french, "two", ("Ana",)),
        pair("d", french, "three", ("Ana",)),
        pair("e", "ok", "four", ("Ana",)),
        pair("f", "ok", "five", ("Ana",), asked),
        pair("g", "ok", "six", ("Di",)),
    ]
    told = {p.id: p.language for p in languages.told(rows)}
    assert told == dict(a="de", b="de", c="fr", d="fr", e="fr", f="de", g="fr")  # noqa: C408
    assert [p.language for p in languages.told([pair("x", "ok")])] == [""]


def test_wanted_is_the_language_its_kin_and_what_nobody_can_tell():
    assert languages.wanted("de", ("en", "de"))
    assert not languages.wanted("fr", ("en", "de"))
    assert languages.wanted("", ("en",))
    assert languages.wanted("sr", ("hr",))  # too alike in one line of chat to be told apart
    assert not languages.wanted("sl", ("hr",))


def test_codes_are_those_that_can_be_told():
    assert languages.codes(["EN", "pt-BR", "nb", "en"]) == ("en", "pt", "no")
    with pytest.raises(TwinError, match="klingon: no language"):
        languages.codes(["en", "klingon"])


@given(st.text(max_size=80))
def test_no_text_is_too_odd(text):
    assert isinstance(languages.tell(text), str)


def test_the_model_is_loaded_when_it_is_asked_for():
    """`twin --help` stays quick."""
    code = "import sys, aitwin.cli, aitwin.corpus.pipeline; sys.exit('py3langid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_language_that_is_not_to_be_expected_is_said():
    """C6: a request in English that is answered in German must say so."""
    english = "I'll bring the pump and the two buckets tonight, as ever."
    german = "Ich komme heute Abend später und bringe die Pumpe mit."
    french = "Je passe ce soir avec la pompe et les deux seaux."
    rows = [pair(f"en{n}", english) for n in range(6)]
    rows += [pair(f"de{n}", german) for n in range(2)]
    rows += [
        pair("answered", german, incoming="Könntest du morgen bitte den Schlüssel mitbringen?"),
        pair("turned", english, incoming="Könntest du morgen bitte den Schlüssel mitbringen?"),
        pair("as asked", english, incoming="Could you bring the key tomorrow, please?"),
        pair("once", french),
        pair("never heard", english, incoming="Je passe ce soir avec la pompe et les deux seaux."),
        pair("short", "Bis dann"),
    ]
    said = languages.unexpected(rows)
    german_ones = dict.fromkeys(("de0", "de1", "answered"), "German")
    assert said == {**german_ones, "turned": "English"}
