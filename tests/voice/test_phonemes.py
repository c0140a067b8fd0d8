import sys

import pytest

from aitwin.errors import TwinError
from aitwin.voice import phonemes as module
from aitwin.voice.phonemes import (
    CONSONANTS,
    INVENTORY,
    REFERENCE,
    VOWELS,
    coverage,
    phonemes,
    syllables,
)


def test_the_inventory_is_arpabet_and_the_schwa() -> None:
    assert len(CONSONANTS) == 24
    assert len(VOWELS) == 16
    assert len(set(INVENTORY)) == 40


@pytest.mark.parametrize(("symbol", "word"), {**VOWELS, **CONSONANTS}.items())
def test_every_phoneme_is_in_its_word(symbol: str, word: str) -> None:
    assert symbol in [phoneme for stretch in phonemes(word) for phoneme in stretch]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("judge", "dʒ ʌ dʒ"),
        ("church", "tʃ ɝ tʃ"),
        ("measure", "m ɛ ʒ ɝ"),
        ("butter", "b ʌ t ɝ"),
        ("button", "b ʌ t ə n"),
        ("witness", "w ɪ t n ə s"),
        ("boy", "b ɔɪ"),
        ("around", "ɝ aʊ n d"),
        ("roses", "ɹ oʊ z ɪ z"),
    ],
)
def test_words_read_as_a_dictionary_has_them(text: str, expected: str) -> None:
    """CMUdict, but for the schwa."""
    assert phonemes(text) == (tuple(expected.split()),)


def test_a_pause_parts_stretches() -> None:
    assert len(phonemes("Stop, look: listen! No. Yes")) == 5
    assert len(phonemes("It's twenty-five o'clock")) == 1
    assert phonemes("?!") == phonemes("") == ()


def test_no_at_the_end_is_not_a_number() -> None:
    assert phonemes("I said no.")[-1][-2:] == ("n", "oʊ")


def test_whatever_is_written_becomes_phonemes_of_the_inventory() -> None:
    text = "Zyzzlethorp paid 1,250 for 3 pianos at Quaxley's café; naïve? “Hmm…” — 50 % (or £7)."
    assert {p for stretch in phonemes(text) for p in stretch} <= set(INVENTORY)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("strengths", 1),
        ("button", 2),
        ("every little bottle", 7),
        ("It is a beautiful evening.", 8),
        ("Twenty-five mountains, certainly!", 8),
    ],
)
def test_syllables_are_counted(text: str, count: int) -> None:
    assert syllables(text) == count


def test_coverage_counts_phonemes_and_neighbours() -> None:
    covered = coverage(["see me", "see, me"])
    assert {symbol: n for symbol, n in covered.counts.items() if n} == {"s": 2, "i": 4, "m": 2}
    assert covered.diphones == {("s", "i"): 2, ("i", "m"): 1, ("m", "i"): 2}
    assert set(covered.missing) == set(INVENTORY) - {"s", "i", "m"}


def test_the_distance_to_english_is_a_total_variation() -> None:
    assert sum(REFERENCE.values()) == pytest.approx(1, abs=0.002)
    assert set(REFERENCE) == set(INVENTORY)
    assert coverage([]).distance == pytest.approx(0.5, abs=0.001)
    only_s_and_i = coverage(["see"])
    shared = REFERENCE["s"] + REFERENCE["i"]
    assert only_s_and_i.distance == pytest.approx(1 - shared, abs=0.002)


def test_a_missing_phonemizer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari.g2p", None)
    module._phonemizer.cache_clear()
    with pytest.raises(TwinError, match=r"aitwin\[speak\]") as raised:
        phonemes("my secret")
    assert "secret" not in str(raised.value)
