"""What MeloTTS reads into numbers, times and abbreviations before it looks words up.

Kept as upstream has it, oddities included ("3:15" gets an "a m", "0:30" a "p m"), so
that the front end gives what upstream's does. It seldom meets a digit: normalise has
spelled numbers out before, and better.
"""

import re
from collections.abc import Mapping

# fmt: off
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = (
    "thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion",
    "septillion", "octillion", "nonillion", "decillion",
)
# fmt: on
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_TIME = re.compile(r"\b(0?[0-9]|1[0-9]|2[0-3]):([0-5][0-9])\s*(am|pm)?\b")
_WITH_COMMAS = re.compile(r"[0-9][0-9,]+[0-9]")
_MONEY = re.compile(r"([£$¥])([0-9,.]*[0-9]+)")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_ORDINAL = re.compile(r"([0-9]+)(?:st|nd|rd|th)")
_INTEGER = re.compile(r"-?[0-9]+")

_CURRENCIES: Mapping[str, tuple[str, str, str, str]] = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound sterling", "pounds sterling", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
"""One and several of the unit, one and several of its hundredth."""

_ABBREVIATIONS: Mapping[str, str] = {
    "mrs": "misess",  # so upstream: it is said like "missus"
    "mr": "mister",
    "dr": "doctor",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "drs": "doctors",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
}
_ABBREVIATED = tuple((re.compile(rf"\b{short}\."), long) for short, long in _ABBREVIATIONS.items())


def read(text: str) -> str:
    """The text in small letters, its numbers, times and abbreviations in words."""
    text = _TIME.sub(_time, text.lower())
    text = _WITH_COMMAS.sub(lambda match: match[0].replace(",", ""), text)
    text = _MONEY.sub(_money, text)
    text = _DECIMAL.sub(lambda match: match[0].replace(".", " point "), text)
    text = _ORDINAL.sub(lambda match: ordinal(match[1]), text)
    text = _INTEGER.sub(lambda match: _integer(match[0]), text)
    # One after the other: in "mr.st." the second begins no word once the first is read.
    for short, long in _ABBREVIATED:
        text = short.sub(long, text)
    return text


def cardinal(digits: str, *, joint: str = "") -> str:
    """A whole number's words: "three thousand, one hundred twenty-one".

    `joint` stands before the last two digits: "one hundred and five" with " and".
    """
    digits = digits.lstrip("0") or "0"
    if len(digits) > 3 * (len(_SCALES) + 1):  # upstream raises: there is no name
        return " ".join(_ONES[int(digit)] for digit in digits)
    number = int(digits)
    if number < 1000:
        return _below_thousand(number, joint)
    groups: list[str] = []
    for scale in reversed(range(len(_SCALES) + 1)):
        group = number // 1000**scale % 1000
        if group and scale:
            groups.append(f"{_below_thousand(group, joint)} {_SCALES[scale - 1]}")
    rest = number % 1000
    if not rest:
        return ", ".join(groups)
    last = _below_thousand(rest, joint)
    # "three thousand five", but "three thousand, one hundred five".
    return ", ".join(groups) + (f"{joint} " if rest < 100 else ", ") + last


def ordinal(digits: str) -> str:
    """The words of the ordinal with these digits: "one hundred and first"."""
    words = cardinal(digits, joint=" and")
    rest, last = re.fullmatch(r"(.*?)(\w+)", words).groups()  # type: ignore[union-attr]
    if last in _IRREGULAR_ORDINALS:
        return rest + _IRREGULAR_ORDINALS[last]
    return f"{rest}{last.removesuffix('y')}ieth" if last.endswith("ty") else f"{rest}{last}th"


def _below_hundred(number: int) -> str:
    if number < 20:
        return _ONES[number]
    ten, one = divmod(number, 10)
    return f"{_TENS[ten - 2]}-{_ONES[one]}" if one else _TENS[ten - 2]


def _below_thousand(number: int, joint: str) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    words = f"{_ONES[hundreds]} hundred"
    return f"{words}{joint} {_below_hundred(rest)}" if rest else words


def _integer(text: str) -> str:
    """Between 1,000 and 3,000 as a year is read."""
    digits = text.removeprefix("-")
    sign = "minus " if text.startswith("-") and digits.strip("0") else ""
    if sign or len(digits.lstrip("0")) != 4 or not 1000 < int(digits) < 3000:
        return sign + cardinal(digits)
    century, rest = divmod(int(digits), 100)
    if century == 20 and rest < 10:
        return f"two thousand {_ONES[rest]}" if rest else "two thousand"
    if not rest:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} {f'oh {_ONES[rest]}' if rest < 10 else _below_hundred(rest)}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    words = [_ONES[hour - 12 if hour > 12 else hour or 12]]
    if minute:
        words += ["oh"] if minute < 10 else []
        words.append(_below_hundred(minute))
    # Upstream takes the hour after midnight for one after noon.
    half = match[3] or ("am" if 0 < hour < 12 else "pm")
    return " ".join([*words, *half])


def _money(match: re.Match[str]) -> str:
    one, many, hundredth, hundredths = _CURRENCIES[match[1]]
    parts = match[2].replace(",", "").split(".")
    if len(parts) > 2:
        return f"{match[2]} {many}"
    # Leading zeros go, as with upstream's numbers: "$05" is "5 dollars".
    whole = parts[0].lstrip("0")
    fraction = parts[1].lstrip("0") if len(parts) > 1 else ""
    said = [f"{whole} {one if whole == '1' else many}"] if whole else []
    if fraction:
        said.append(f"{fraction} {hundredth if fraction == '1' else hundredths}")
    return " ".join(said) or f"zero {many}"
