import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice import number_words

UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def value(words: str) -> int:
    """A reader of its own: what the words amount to."""
    total = group = 0
    for word in re.split(r"[ -]", words):
        if word in UNITS:
            group += UNITS.index(word)
        elif word in TENS:
            group += 20 + 10 * TENS.index(word)
        elif word == "hundred":
            group *= 100
        else:
            total += group * SCALES[word]
            group = 0
    return total + group


@given(st.integers(0, 10**15 - 1) | st.integers(0, 3000))
def test_the_words_amount_to_the_number(number: int) -> None:
    assert value(number_words.cardinal(number)) == number


def test_numbers_that_nobody_says_are_digits() -> None:
    assert number_words.cardinal(10**15) == "one zero zero" + ", zero zero zero" * 4 + ", zero"
    assert number_words.cardinal(-7) == "minus seven"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "first"), (2, "second"), (3, "third"), (4, "fourth"), (5, "fifth"), (8, "eighth"),
        (9, "ninth"), (12, "twelfth"), (20, "twentieth"), (21, "twenty-first"),
        (100, "one hundredth"), (103, "one hundred third"), (1_000_000, "one millionth"),
    ],
)  # fmt: skip
def test_ordinals(number: int, said: str) -> None:
    assert number_words.ordinal(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (79, "seventy-nine"), (500, "five hundred"), (1066, "ten sixty-six"),
        (1500, "fifteen hundred"), (1905, "nineteen oh five"), (1999, "nineteen ninety-nine"),
        (2000, "two thousand"), (2009, "two thousand nine"), (2010, "twenty ten"),
        (2024, "twenty twenty-four"), (2100, "twenty-one hundred"), (12024, "twelve thousand "
        "twenty-four"),
    ],
)  # fmt: skip
def test_years(number: int, said: str) -> None:
    assert number_words.year(number) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("7", "seven"), ("19", "nineteen"), ("380", "three eighty"), ("204", "two oh four"),
        ("100", "one hundred"), ("007", "zero zero seven"), ("5500", "fifty-five hundred"),
        ("12345", "one two three, four five"),
    ],
)  # fmt: skip
def test_codes(written: str, said: str) -> None:
    assert number_words.code(written) == said


def test_plurals() -> None:
    plurals = [number_words.many(word) for word in ("nineteen ninety", "six", "two thousand")]
    assert plurals == ["nineteen nineties", "sixes", "two thousands"]
