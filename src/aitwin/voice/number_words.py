"""Numbers in American English words: counted, ordered, as a year, digit by digit.

Knows numbers alone; what is a price, a date or a telephone number is for quantities to see.
"""

LONGEST = 15
"""Digits of the largest number that people say: 999,999,999,999,999; more are read one by one."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def cardinal(number: int) -> str:
    """105: "one hundred five". Negative ones begin with "minus"; too long ones are digits."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if len(str(number)) > LONGEST:
        return digits(str(number))
    if number == 0:
        return DIGITS[0]
    parts = []
    for scale in _SCALES:
        number, thousand = divmod(number, 1000)
        if thousand:
            parts.append(_hundreds(thousand) + scale)
        if not number:
            break
    return " ".join(reversed(parts))


def _hundreds(number: int) -> str:
    """1 to 999."""
    hundreds, rest = divmod(number, 100)
    parts = [f"{DIGITS[hundreds]} hundred"] if hundreds else []
    if rest:
        parts.append(_tens(rest))
    return " ".join(parts)


def _tens(number: int) -> str:
    """1 to 99."""
    if number < 10:
        return DIGITS[number]
    if number < 20:
        return _TEENS[number - 10]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{DIGITS[ones]}" if ones else _TENS[tens]


def ordinal(number: int) -> str:
    """21: "twenty-first"."""
    return ordered(cardinal(number))


def ordered(words: str) -> str:
    """The ordinal of a number in words: "twenty-one" gives "twenty-first"."""
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return words[:cut] + _ORDINALS.get(last, regular)


def many(words: str) -> str:
    """The plural of a number in words: "nineteen ninety" gives "nineteen nineties"."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith("x") else f"{words}s"


def year(number: int) -> str:
    """A year of three or four digits: "nineteen oh five", "twenty twenty-four", "five hundred"."""
    century, rest = divmod(number, 100)
    if not 1000 <= number <= 9999 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    return f"{_tens(century)} {pair(rest)}"


def pair(number: int) -> str:
    """0 to 99, as they follow a hundred: "hundred", "oh five", "ninety-nine"."""
    if number == 0:
        return "hundred"
    return _tens(number) if number > 9 else f"oh {DIGITS[number]}"


def code(written: str) -> str:
    """The digits of a name or a model, as one says them: 380 "three eighty", 19 "nineteen"."""
    if written.startswith("0") or len(written) > 4:
        return digits(written)
    if len(written) == 3:
        return f"{DIGITS[int(written[0])]} {pair(int(written[1:]))}"
    return year(int(written))


def digits(written: str, group: int = 3) -> str:
    """Digit by digit, with a short rest after every `group`, as one reads an order number."""
    runs = (written[at : at + group] for at in range(0, len(written), group))
    return ", ".join(one_by_one(run) for run in runs)


def one_by_one(written: str) -> str:
    """The digits in `written`, without any rest."""
    return " ".join(DIGITS[int(digit)] for digit in written)
