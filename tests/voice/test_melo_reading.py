"""MeloTTS's own reading of numbers, times and abbreviations.

The expected words were written down from upstream's own code (MeloTTS 2093451, inflect 7), which
answered 12,000 random texts in the same words as ours (2026-11-29).
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.voice import melo_reading

READ = {
    "Nothing to do.": "nothing to do.",
    "0": "zero",
    "007": "seven",
    "-0": "zero",
    "-8 degrees": "minus eight degrees",
    "666-0142": "six hundred sixty-sixminus one hundred forty-two",
    "105": "one hundred five",
    "3000": "three thousand",
    "3005": "three thousand five",
    "3021": "three thousand twenty-one",
    "3100": "three thousand, one hundred",
    "16247": "sixteen thousand, two hundred forty-seven",
    "1,200,345": "one million, two hundred thousand, three hundred forty-five",
    "1000000000001": "one trillion one",
    # Between 1,000 and 3,000: years.
    "1001": "ten oh one",
    "1110": "eleven ten",
    "1,400": "fourteen hundred",
    "1905": "nineteen oh five",
    "1987": "nineteen eighty-seven",
    "2000": "two thousand",
    "2003": "two thousand three",
    "2010": "twenty ten",
    "2999": "twenty-nine ninety-nine",
    "-1905": "minus one thousand, nine hundred five",
    # Ordinals.
    "0th": "zeroth",
    "1st": "first",
    "11st": "eleventh",
    "20th": "twentieth",
    "32nd": "thirty-second",
    "100th": "one hundredth",
    "101st": "one hundred and first",
    "1005th": "one thousand and fifth",
    "1012th": "one thousand and twelfth",
    "12345th": "twelve thousand, three hundred and forty-fifth",
    # Decimals and money. The splitter has put a space after most full stops before.
    "3.14": "three point fourteen",
    "$7.25": "seven dollars twenty-five cents",
    "$1": "one dollar",
    "$1.01": "one dollar one cent",
    "$.5": "five cents",
    "$0": "zero dollars",
    "£1": "one pound sterling",
    "£3.02": "three pounds sterling two pence",
    "¥700": "seven hundred yen",
    "€35": "€thirty-five",
    "$1.2.3": "one point two.three dollars",
    # Times.
    "8:45 am": "eight forty-five a m",
    "16:08": "four oh eight p m",
    "2:20 p.m.": "two twenty a mp.m.",
    "0:30": "twelve thirty p m",
    "12:00": "twelve p m",
    "25:10": "twenty-five:ten",
    # Abbreviations, one after the other.
    "Dr. Lind met Mrs. Okoye": "doctor lind met misess okoye",
    "mr.st.": "misterst.",
    "st.mr.": "saintmister",
    "Capt. Moss, Birch co., ltd. or esq.": "captain moss, birch company, limited or esquire",
}


@pytest.mark.parametrize(("text", "words"), READ.items())
def test_reads_as_upstream_does(text, words):
    assert melo_reading.read(text) == words


def test_a_number_without_a_name_is_read_digit_by_digit():
    """Upstream refuses it; a text must not fail because of one."""
    assert melo_reading.read("1" + "0" * 35).startswith("one hundred decillion")
    assert melo_reading.read("12" + "0" * 35) == "one two" + 35 * " zero"
    assert melo_reading.read("7" * 6_000).count("seven") == 6_000  # more than int() takes


@given(st.integers(0, 10**36 - 1))
def test_a_cardinal_can_be_read_back(number):
    """By arithmetic on the words, which knows nothing of how they were made."""
    ones = dict(zip(melo_reading._ONES, range(20), strict=True))
    tens = dict(zip(melo_reading._TENS, range(20, 100, 10), strict=True))
    scales = {name: 1000**power for power, name in enumerate(melo_reading._SCALES, 1)}
    total, group = 0, 0
    for word in re.findall(r"\w+", melo_reading.cardinal(str(number))):
        if word in scales:
            total, group = total + group * scales[word], 0
        else:
            group = group * 100 if word == "hundred" else group + (ones | tens)[word]
    assert total + group == number


@given(st.text(alphabet="0123456789-.,:$£¥ adhmnprst"))
def test_no_digit_is_left(text):
    assert not re.search("[0-9]", melo_reading.read(text))
