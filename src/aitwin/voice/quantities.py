"""Quantities as one says them: dates, times, telephone numbers, money, units, fractions, ranges.

Each rule is a pattern and what is said for it. They run in the order of RULES: what can be taken
for something else comes first (a date before a fraction, a price before a number). Every digit is
a word in the end. Does not read words (see shorthand).
"""

import re
from collections.abc import Callable
from typing import TypeAlias

from aitwin.voice.number_words import (
    cardinal,
    code,
    digits,
    many,
    one_by_one,
    ordered,
    ordinal,
    pair,
    year,
)

Rule: TypeAlias = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]

LONGEST_NUMBER = 9
"""Digits in a row that are read as a number; more are read one by one, as one reads an order id."""
LONGEST_GROUPED = 15
"""The same for digits with commas: 999,999,999,999,999 is still a number that people say."""

_DASH = "[-–—]"
_FREE = r"(?<![\w.,])"
"""Nothing before that a number could be the rest of."""
_NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?|(?<!\d)\.\d++"
_SIGN = r"(?P<sign>(?<![\w)\]}.,-])-|−)?"


def number(written: str) -> str:
    """An unsigned number with or without commas and a decimal point, in words."""
    whole, _, fraction = written.partition(".")
    bare = whole.replace(",", "")
    longest = LONGEST_NUMBER if bare == whole else LONGEST_GROUPED
    if not bare:
        said = ""
    elif len(bare) > longest or (bare[0] == "0" and len(bare) > 1 and not fraction):
        said = digits(bare)
    else:
        said = cardinal(int(bare))
    # No rest within a number, however long its fraction is.
    return f"{said} point {one_by_one(fraction)}".strip() if fraction else said


def said(text: str) -> str:
    """`text` with every digit in words."""
    for pattern, words in RULES:
        text = pattern.sub(words, text)
    return text


def _sign(found: re.Match[str]) -> str:
    return "minus " if found["sign"] else ""


def _attributive(found: re.Match[str]) -> bool:
    """Whether it stands before a noun: "a 5 km run" is a five kilometer run."""
    before = found.string[max(0, found.start() - 4) : found.start()]
    return bool(re.search(r"(?<!\w)[Aa]n? $", before)) and bool(
        re.match(r"[ -][a-z]", found.string[found.end() : found.end() + 2])
    )


# --- Dates ----------------------------------------------------------------------------------------

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of the months
_WEEKDAYS = {
    day[:3].lower(): day
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
}
_MONTH = (
    r"(?P<month>(?i:jan(?:uary)?|feb(?:ruary)?|apr(?:il)?|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)|Mar(?:ch)?|MAR(?:CH)?|M[aA][yY])"
    r"\b\.?"
)
_MONTHS_SHORT = "|".join({month[:3]: month for month in _MONTHS} | {"Sept": "", "June": ""})
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_TH = r"(?:st|nd|rd|th|ST|ND|RD|TH)"
_YEAR = r"(?:(?:,? |,)(?P<year>(?:1\d|20)\d\d)(?![\d:-]|[.,]\d))?"
_WEEKDAY = r"(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)"


def _month(written: str) -> str:
    return next(month for month in _MONTHS if month[:3].lower() == written[:3].lower())


def _dated(month: int, day: int, year_: str) -> str | None:
    """A date in words, the month first; None when there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= _LONGEST[month - 1]):
        return None
    when = f"{_MONTHS[month - 1]} {ordinal(day)}"
    return f"{when}, {_year(year_)}" if year_ else when


def _year(written: str) -> str:
    if len(written) == 2:
        return pair(int(written))
    return year(int(written))


def _month_first(found: re.Match[str]) -> str:
    when = f"{_month(found['month'])} {ordinal(int(found['day']))}"
    if found["last"]:
        when += f" to {ordinal(int(found['last']))}"
    return f"{when}, {_year(found['year'])}" if found["year"] else when


def _day_first(found: re.Match[str]) -> str:
    the = "The" if found[0].startswith("T") else "the"
    when = f"{the} {ordinal(int(found['day']))}"
    if found["last"]:
        when += f" to the {ordinal(int(found['last']))}"
    when += f" of {_month(found['month'])}"
    return f"{when}, {_year(found['year'])}" if found["year"] else when


def _iso(found: re.Match[str]) -> str:
    when = _dated(int(found["month"]), int(found["day"]), found["year"])
    return (when + (" " if found["time"] else "")) if when else found[0]


def _slashed(found: re.Match[str]) -> str:
    """3/15/2024 or 15/03/2024; one that may be both is read as it stands, and never guessed.

    With dots the day comes first wherever people write so.
    """
    first, second = int(found["first"]), int(found["second"])
    year_ = found["year"]
    if first == second or second > 12:
        when = _dated(first, second, year_)
    elif first > 12 or found["dash"] == ".":
        when = _dated(second, first, year_)
    elif max(first, second) <= 12 and min(first, second) > 0:
        when = f"{cardinal(first)} slash {cardinal(second)}"
        when += f", {_year(year_)}" if year_ else ""
    else:
        when = None
    return f"{found['before'] or ''}{when}" if when else found[0]


_OF_DECADES = re.compile(
    r"\b(?:[Tt]he|[Tt]heir|[Hh]is|[Hh]er|[Mm]y|[Oo]ur|[Yy]our|[Ee]arly|[Mm]id|[Ll]ate)[ -]"
    r"(?:'?\d0'?s(?: (?:and|or|to|through) | ?[-–/] ?))?(?:(?:early|mid|late)[ -])?$"
)
_IN_DECADES = re.compile(
    r" (?:music|movies?|films?|hits?|rock|pop|party|fashion|songs?|style|kids?|hair|bands?|sitcoms?"
    r"|nostalgia|classics?|vibes?|disco)\b"
)
_TIMED = re.compile(r" (?:timeout|mark|limit|delay|clip|video|break|window|countdown|pause)\b")


def _decade(found: re.Match[str]) -> str:
    """The eighties; "20s" without anything that tells so are seconds, "100s of" are hundreds."""
    written = found["decade"] or found["many"]
    if found["many"]:
        return many(cardinal(int(written)).removeprefix("one "))
    if len(written) == 4:
        return many(year(int(written)))
    before = found.string[max(0, found.start() - 40) : found.start()]
    named = found["mark"] or _OF_DECADES.search(before)
    if (not named or _TIMED.match(found.string, found.end())) and not (
        _IN_DECADES.match(found.string, found.end())
    ):
        return found[0]
    return many(cardinal(int(written))) if written != "00" else "two thousands"


def _two_days(found: re.Match[str]) -> str:
    """5/6 June; "3/2 June" is none."""
    return _day_first(found) if int(found["day"]) < int(found["last"]) else found[0]


_DATES: list[Rule] = [
    (
        re.compile(
            rf"\b(?P<one>(?!S){_WEEKDAY})\.(?!\w)"
            r"|(?<=on |or |nd |xt |is |st )(?P<end>Sat|Sun)\.(?!\w)"
            r"|(?<= a )(?P<a>Sat|Sun)\.(?!\w)"
        ),
        lambda found: _WEEKDAYS[(found["one"] or found["end"] or found["a"])[:3].lower()],
    ),
    # Before the units: "the 90s" are no seconds.
    (
        re.compile(
            r"(?<![\w.,])(?P<mark>')?"
            r"(?:(?P<many>10{1,3})'?s(?= of\b)|(?P<decade>(?:1\d\d|20\d|[2-9])0|00)'?s\b)"
        ),
        _decade,
    ),
    (
        re.compile(
            rf"(?<![\w.,:/$€£-])(?:[tT]he )?{_DAY}/(?P<last>3[01]|[12]\d|[1-9]) {_MONTH}{_YEAR}"
            r"(?! ?\d)"
        ),
        _two_days,
    ),
    (
        re.compile(rf"\b(?P<one>{_WEEKDAY})\b\.?(?=,? \d|,? {_MONTH} ?\d| ?{_DASH} ?{_WEEKDAY}\b)"),
        lambda found: _WEEKDAYS[found["one"][:3].lower()],
    ),
    (
        re.compile(rf"(?<=day) ?{_DASH} ?(?P<other>{_WEEKDAY})\b(?:\.(?= [a-z]))?"),
        lambda found: f" to {_WEEKDAYS[found['other'][:3].lower()]}",
    ),
    (
        re.compile(
            r"(?<![\w.-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
            r"(?:(?P<time>T(?=\d\d:))|(?![\w-]))"
        ),
        _iso,
    ),
    (
        re.compile(
            r"(?<![\w./-])(?P<year>(?:1\d|20)\d\d)/(?P<month>\d\d?)/(?P<day>\d\d?)(?P<time>(?!))?"
            r"(?![\w/-]|[.,]\d)"
        ),
        _iso,
    ),
    (
        re.compile(
            rf"\b{_MONTH} {_DAY}{_TH}?(?:(?: ?{_DASH} ?|/)(?P<last>3[01]|[12]\d|0?[1-9]){_TH}?)?"
            rf"(?![\d:/]|\.\d|,\d{{3}}(?!\d)| ?[%$€£]| ?[ap]\.?m\b){_YEAR}"
        ),
        _month_first,
    ),
    (
        re.compile(
            rf"(?<![\w.,:/$€£-])(?:[tT]he )?{_DAY}(?:{_TH}|\.)?"
            rf"(?: ?{_DASH} ?(?P<last>3[01]|[12]\d|0?[1-9])(?:{_TH}|\.)?)? (?:of )?{_MONTH}{_YEAR}"
            r"(?! ?\d)"
        ),
        _day_first,
    ),
    (
        re.compile(rf"\b{_MONTH} ?{_DASH} ?(?P<last>{_MONTHS_SHORT})\b(?:\.(?= [a-z]))?(?! \d)"),
        lambda found: f"{_month(found['month'])} to {_month(found['last'])}",
    ),
    (
        re.compile(rf"\b{_MONTH} (?P<year>(?:1\d|20)\d\d)(?![\d:-]|[.,]\d)"),
        lambda found: f"{_month(found['month'])} {_year(found['year'])}",
    ),
    (
        re.compile(
            r"(?<![\w./-])(?P<before>)(?P<first>\d{1,2})(?P<dash>[./-])(?P<second>\d{1,2})(?P=dash)"
            r"(?P<year>(?:1\d|20)\d\d|(?<=[./])\d\d)(?![\w/-]|[.,]\d)"
        ),
        _slashed,
    ),
    (
        re.compile(
            r"(?P<before>\b(?i:on|by|until|till|since|before|after|from|due) )"
            r"(?P<first>\d{1,2})(?P<dash>[/.])(?P<second>\d{1,2})(?P<year>)"
            r"(?:(?<=\.\d)\.|(?<=\.\d\d)\.|(?<=/\d)|(?<=/\d\d))(?![\w/]|[.,]\d)"
        ),
        _slashed,
    ),
]


# --- Times ----------------------------------------------------------------------------------------

_HALF = r"(?P<half>[AaPp])\.? ?[Mm]\b(?P<dot>\.?)"


def _hour(found: re.Match[str]) -> str:
    """With a.m. or p.m."""
    hour = int(found["hour"])
    minute = found["minute"]
    if hour > 24 or (minute and int(minute) > 59):
        return found[0]
    clock = cardinal(hour)
    if minute and int(minute):
        clock += f" {pair(int(minute))}"
    # Its stop ends the sentence, too, where nothing follows.
    ends = found["dot"] and not found.string[found.end() :].strip(" \"')")
    return f"{clock} {_half(found['half'])}{'.' if ends else ''}"


def _half(letter: str) -> str:
    return "ay M" if letter in "aA" else "P M"


def _clock(found: re.Match[str]) -> str:
    """Without: the hours from 13 on, and the first one, are told as one tells them in English."""
    hour, minute = int(found["hour"]), int(found["minute"])
    second = found["second"]
    if hour > 24 or minute > 59 or (second and int(second) > 59):
        return found[0]
    tail = ""
    if second and int(second):
        tail = f" and {cardinal(int(second))} second{'' if int(second) == 1 else 's'}"
    if (hour, minute) in {(0, 0), (24, 0)}:
        return f"midnight{tail}"
    if hour == 0 or hour > 12:
        half = _half("a" if hour in {0, 24} else "p")
        return f"{_told(hour % 12 or 12, minute)}{tail} {half}"
    return (_told(hour, minute) or "") + ("" if minute else " o'clock") + tail


def _told(hour: int, minute: int) -> str:
    return cardinal(hour) + (f" {pair(minute)}" if minute else "")


def _zone(found: re.Match[str]) -> str:
    sign = "plus" if found["sign"] == "+" else "minus"
    minute = f" {cardinal(int(found['minute']))}" if int(found["minute"] or 0) else ""
    return f"{found['zone']} {sign} {cardinal(int(found['hour']))}{minute}"


def _timed(found: re.Match[str]) -> bool:
    """Whether hours or seconds stand near."""
    return bool(_TIMER.search(found.string[max(0, found.start() - 60) : found.end() + 60]))


_TIMER = re.compile(r"\d ?(?:ms|secs?|s|h|hrs?)(?!\w)")

_TIMES: list[Rule] = [
    (
        re.compile(
            r"\b(?P<zone>UTC|GMT) ?(?P<sign>[-+−–])(?P<hour>\d\d?)(?::?(?P<minute>\d\d))?(?![\w:])"
        ),
        _zone,
    ),
    (
        re.compile(r"(?<![\w:.,])(?P<hour>\d\d?)[:.](?P<minute>\d\d)(?P<second>(?!))? ?Uhr\b"),
        _clock,
    ),
    # Minutes and days, where hours or seconds stand beside them.
    (
        re.compile(r"\b(\d{1,3} ?h(?:rs?)?)(?: and|,)? ?(\d{1,2}) ?m(?![\w/²³])"),
        lambda found: f"{found[1]} {found[2]}min",
    ),
    (
        re.compile(r"(?<![\w.,])(\d{1,3}) ?m(?=(?: and|,)? ?\d{1,2} ?s(?:ecs?)?\b| ago\b)"),
        lambda found: f"{found[1]} min{' ' * found.string[found.end()].isdigit()}",
    ),
    (
        re.compile(r"\b([Ee]very|[Aa]fter|[Ww]ithin|[Ff]or|[Ii]n|[Ww]ait) (\d{1,3})m(?![\w/²³])"),
        lambda found: f"{found[0]}in" if _timed(found) else found[0],
    ),
    (
        re.compile(r"\b((?i:wait(?: for)?|(?:back|ready|done) in) \d{1,3})m(?![\w/²³])"),
        lambda found: f"{found[1]} min",
    ),
    (
        re.compile(r"(?<![\w.,])(\d{1,3}) ?d(?=(?: and|,)? ?\d{1,2} ?h\b)"),
        lambda found: f"{found[1]} day{'' if found[1] == '1' else 's'}",
    ),
    (
        re.compile(
            rf"\b(\d\d?(?::\d\d)?(?: ?[AaPp]\.?[Mm]\b\.?)?) ?{_DASH} ?"
            r"(?=\d\d?(?::\d\d)?(?: ?[AaPp]\.? ?[Mm]\b))"
        ),
        lambda found: f"{found[1]} to ",
    ),
    (re.compile(rf"(?<=:\d\d) ?{_DASH} ?(?=\d\d?:\d\d)"), lambda found: " to "),
    (
        re.compile(rf"(?<![\w.:,$€£])(?P<hour>\d\d?)(?:[:.](?P<minute>\d\d))? ?{_HALF}"),
        _hour,
    ),
    (
        re.compile(
            r"(?<![\w:.,])(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?"
            r"(?![\d:])(?:(?: ?h|Z)\b)?"
        ),
        _clock,
    ),
    (
        re.compile(r"(?<=\b[Ii]n )(\d\d):([0-5]\d)(?![\d:])"),  # no hour: how long a race took
        lambda found: f"{cardinal(int(found[1]))} {pair(int(found[2]))}",
    ),
    (
        re.compile(r"(?<![\w:.,])(?P<hour>\d\d?) ?h ?(?P<minute>[0-5]\d)\b"),
        lambda found: f"{cardinal(int(found['hour']))} {pair(int(found['minute']))}",
    ),
]


# --- Telephones -----------------------------------------------------------------------------------


def _dialled(found: re.Match[str]) -> str:
    plus = "plus " if found[0].lstrip(" (").startswith("+") else ""
    return plus + ", ".join(
        digits(run) if len(run) > 4 else one_by_one(run) for run in re.findall(r"\d+", found[0])
    )


def _long_dialled(found: re.Match[str]) -> str:
    return _dialled(found) if sum(map(str.isdigit, found[0])) >= 7 else found[0]


def _short_dialled(found: re.Match[str]) -> str:
    if found["call"] or found[0].startswith("555") or found["last"].startswith("0"):
        return (found["call"] or "") + (
            f"{one_by_one(found['first'])}, {one_by_one(found['last'])}"
        )
    return found[0]


_TELEPHONES: list[Rule] = [
    (re.compile(r"(?<!\w)\+\d{1,4}(?:[ ./-]?\(?\d{1,6}\)?){1,7}(?![\d%])"), _long_dialled),
    (
        re.compile(r"(?<![\w.,-])(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"),
        _dialled,
    ),
    (
        re.compile(
            r"(?P<call>\b(?:[Cc]all|[Dd]ial|[Tt]ext|[Pp]hone|[Tt]el|[Nn]umber|[Rr]ing|at)[.:]? )?"
            r"(?<![\w.,-])(?P<first>\d{3})-(?P<last>\d{4})(?![\w-])"
        ),
        _short_dialled,
    ),
    (
        re.compile(r"(?<![\w.,/-])\d{3,4}(?: \d{3,4}){2,6}(?![\w/:%-]|[.,]\d| ?[€$£])"),
        _dialled,
    ),
    (
        re.compile(r"(?<![\w.,/-])\(?0\d{1,4}\)?(?:[ /-]\d{2,8}){1,4}(?![\w/:-]|[.,]\d)"),
        _long_dialled,
    ),
    (
        re.compile(r"\b([Cc]all|[Dd]ial|[Tt]ext|[Pp]hone|[Rr]ing) (\d{3})(?![\w,.:/-]\w| [a-z])"),
        lambda found: f"{found[1]} {one_by_one(found[2])}",
    ),
    (
        re.compile(
            r"\b((?i:call|dial|text|phone|ring)(?:s|l?ed|l?ing)?|[Rr][au]ng) ([1-9]11|112|999)"
            r"(?: or ([1-9]11|112|999))?(?![\w,.:/-]\w)"
        ),
        lambda found: (
            f"{found[1]} {one_by_one(found[2])}"
            + (f" or {one_by_one(found[3])}" if found[3] else "")
        ),
    ),
    (
        re.compile(r"\b((?i:call|dial|text|ring)(?:ed|ing)?) (\d{7,})(?![\w%]|[.,:/-]\d)"),
        lambda found: f"{found[1]} {digits(found[2])}",
    ),
    (re.compile(r"(?<![\w.,-])911(?= (?:call|operator|dispatch))"), lambda found: "nine one one"),
    (
        re.compile(
            r"\b((?i:code|passcode|password|pin|otp|fax|tel|telephone|phone|mobile|cell)"
            r"(?: number)?(?: is| was)?:? ?)(\d{4,})(?![\w%]|[.,:/-]\d| ?[€$£])"
        ),
        lambda found: (
            f"{found[1]}{digits(found[2]) if len(found[2]) > 4 else one_by_one(found[2])}"
        ),
    ),
    (
        re.compile(r"(?<![\w.,-])1-(8\d\d|900)-(?=[A-Z])"),
        lambda found: (
            f"one, {code(found[1]) if found[1][1:] != '00' else cardinal(int(found[1]))}, "
        ),
    ),
    (
        re.compile(r"(?<![\w.,-])(7\d7)-([1-9]00|[89]|10)(?![\w-]|[.,]\d)"),
        lambda found: f"{code(found[1])} {cardinal(int(found[2]))}",
    ),
]


# --- Money ----------------------------------------------------------------------------------------

_SIGNS = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₩": ("won", "won", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¢": ("cent", "cents", "", ""),
}
_CODES: dict[str, str | tuple[str, str, str, str]] = {
    "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "KRW": "₩", "INR": "₹",
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "NZD": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "CNY": ("yuan", "yuan", "", ""),
    "SEK": ("Swedish crown", "Swedish crowns", "", ""),
    "NOK": ("Norwegian crown", "Norwegian crowns", "", ""),
    "DKK": ("Danish crown", "Danish crowns", "", ""),
    "PLN": ("zloty", "zloty", "", ""),
    "MXN": ("Mexican peso", "Mexican pesos", "", ""),
    "BRL": ("Brazilian real", "Brazilian reals", "", ""),
}  # fmt: skip
_AREAS = {
    "US": "U S ", "A": "Australian ", "AU": "Australian ", "C": "Canadian ", "CA": "Canadian ",
    "NZ": "New Zealand ", "HK": "Hong Kong ", "S": "Singapore ",
}  # fmt: skip
_MAGNITUDES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million",
    "mio": "million", "bn": "billion", "b": "billion", "B": "billion", "tn": "trillion",
    "T": "trillion",
}  # fmt: skip
_SIGN_OF_MONEY = f"[{''.join(_SIGNS)}]"
_CODE = "|".join(_CODES)
_MAGNITUDE = (
    r"(?: ?(?P<{0}>thousand|million|billion|trillion|mio|bn|mn|tn|[kKmMbBT])(?![A-Za-z0-9]))?"
)
_PER = r"(?: ?/ ?(?P<per>[A-Za-z]{1,12}\b[²³]?)(?!/))?"


def _coin(written: str) -> tuple[str, str, str, str]:
    coin = _CODES.get(written, written)
    return _SIGNS[coin] if isinstance(coin, str) else coin


def _money(found: re.Match[str]) -> str:
    groups = found.groupdict()
    one, several, cent, cents = _coin(groups["coin"].strip())
    area = _AREAS.get(groups.get("area") or "", "")
    amount, until = groups["amount"], groups["until"]
    magnitude = groups["scale"] or groups["scale2"] or ""
    magnitude = _MAGNITUDES.get(magnitude, magnitude)
    scaled = f" {magnitude}" if magnitude else ""
    per = f" per {_PER_UNIT.get(groups['per'], groups['per'])}" if groups["per"] else ""
    if _attributive(found):
        several = one
    if until:
        low = number(amount) + (scaled if groups["scale"] and groups["scale2"] else "")
        return f"{_sign(found)}{low} to {number(until)}{scaled} {area}{several}{per}"
    whole, _, fraction = amount.partition(".")
    if scaled or not cent or len(fraction) != 2:
        coins = one if amount == "1" and not scaled else several
        return f"{_sign(found)}{number(amount)}{scaled} {area}{coins}{per}"
    parts = []
    if whole.strip("0,") or not int(fraction):
        parts.append(f"{number(whole or '0')} {area}{one if whole == '1' else several}")
    if int(fraction):
        parts.append(f"{cardinal(int(fraction))} {cent if int(fraction) == 1 else cents}")
    return _sign(found) + " and ".join(parts) + per


_MONEY: list[Rule] = [
    # Nothing behind the comma: "20,- EUR".
    (re.compile(r"(?<=\d)[.,][-–—]{1,2}(?=$|[\s.,;!?)])"), lambda found: ""),
    # A decimal comma: "5,50 €" and "€5,50".
    (
        re.compile(
            r"(?<![\d,.])(\d+),(\d\d)(?= ?(?:[€£]|EUR\b|CHF\b))|(?<=€)( ?\d+),(\d\d)(?![\d,])"
        ),
        lambda found: f"{found[1] or found[3]}.{found[2] or found[4]}",
    ),
    (
        re.compile(
            rf"{_SIGN}(?:(?<![A-Za-z])(?P<area>US|AU?|CA?|NZ|HK|S))?"
            rf"(?P<coin>{_SIGN_OF_MONEY}|\b(?:{_CODE})(?= ?\d)) ?(?P<amount>{_NUMBER})"
            rf"{_MAGNITUDE.format('scale')}"
            rf"(?: ?{_DASH} ?{_SIGN_OF_MONEY}?(?P<until>{_NUMBER})"
            rf"{_MAGNITUDE.format('scale2')})?{_PER}"
        ),
        _money,
    ),
    (
        re.compile(
            rf"{_SIGN}{_FREE}(?P<amount>{_NUMBER}){_MAGNITUDE.format('scale')}"
            rf"(?: ?{_DASH} ?(?P<until>{_NUMBER}){_MAGNITUDE.format('scale2')})?"
            rf" ?(?P<coin>{_SIGN_OF_MONEY}(?!\d)|(?:{_CODE})\b){_PER}"
        ),
        _money,
    ),
]


# --- Percentages, versions, fractions -------------------------------------------------------------


def _percent(found: re.Match[str]) -> str:
    unit = {"%": "percent", "‰": "per mille"}[found["unit"]]
    until = f" to {number(found['until'])}" if found["until"] else ""
    return f"{_sign(found)}{number(found['amount'])}{until} {unit}"


def _dotted(found: re.Match[str]) -> str:
    """2.0.1, or the address of a machine, whose digits are read one by one."""
    groups = found["dotted"].split(".")
    before = "version " if found["version"] else ""
    if len(groups) == 4 and not before and all(int(group) < 256 for group in groups):
        return " dot ".join(map(one_by_one, groups))
    name, count = found["stage"] or "", found["count"] or ""
    name = f" {'R C' if name.lower() == 'rc' else name}" if name else ""
    return f"{before}{' point '.join(map(number, groups))}{name} {number(count)}".rstrip()


_SPECIAL_FRACTIONS = {
    "24/7": "twenty-four seven", "9/11": "nine eleven", "50/50": "fifty fifty",
    "1/2": "one half", "1/4": "one quarter", "3/4": "three quarters",
}  # fmt: skip


def _fraction(written: str) -> str:
    """ "3/4", with or without a whole number before it: "1 3/4"."""
    whole, _, part = written.rpartition(" ")
    if part in _SPECIAL_FRACTIONS:
        words = _SPECIAL_FRACTIONS[part]
    else:
        top, bottom = part.split("/")
        if len(bottom) > 3 or int(bottom) < 2 or (len(top) > 2 or int(top) >= int(bottom)):
            # One that may be a date is read as it stands.
            between = "slash" if int(top) <= 31 and 1 <= int(bottom) <= 12 else "over"
            return f"{whole} {number(top)} {between} {number(bottom)}".strip()
        name = "half" if bottom == "2" else ordered(cardinal(int(bottom)))
        words = f"{cardinal(int(top))} {many(name) if int(top) != 1 else name}"
    if not whole:
        return words
    words = re.sub(r"^one (?=half|quarter)", "a ", words)
    return f"{number(whole)} and {words}"


_FRACTION = r"(?:\d{1,4} )?\d{1,4}/\d{1,4}"
_STAGE = r"(?:-(?P<stage>(?i:rc|alpha|beta|dev|preview|pre|nightly))[.-]?(?P<count>\d{0,4}))?"
"""What stands behind a version that is not out yet."""

_VERSIONS: list[Rule] = [
    (
        re.compile(
            r"(?<![\w.])(?P<version>[vV]\.?(?=\d))?(?P<dotted>\d{1,6}(?:\.\d{1,6}){2,6})"
            rf"(?![\w]|\.\d){_STAGE}"
        ),
        _dotted,
    ),
    (
        # "V8" is no version.
        re.compile(
            r"(?<![\w.])(?P<version>v\.?|V\.?(?=\d{1,6}\.\d))(?P<dotted>\d{1,6}(?:\.\d{1,6})?)"
            rf"(?![\w]|\.\d){_STAGE}"
        ),
        _dotted,
    ),
    (
        re.compile(r"\b(RFC|ISO|IEC|DIN|IEEE) (\d{3,4})(?!\d|[.,]\d)"),
        lambda found: f"{found[1]} {code(found[2]) if found[2][-2:] != '00' else number(found[2])}",
    ),
    # A hyphen in a name is no range: CVE-2024-3094, i7-12700K.
    (
        re.compile(
            r"(?<![\w.,/'-])(?:[A-Za-z]{1,9}\d[A-Za-z\d]{0,9}(?:-[A-Za-z]{0,9}\d[A-Za-z\d]{0,9})+"
            r"|[A-Za-z]{1,9}(?:-[A-Za-z]{0,9}\d[A-Za-z\d]{0,9}){2,})(?![\w-]|\.\d)"
        ),
        lambda found: _mixed(found),
    ),
    (
        re.compile(
            r"\b(?P<name>[Vv]ersion|[Rr]elease|Python|Java|Node|iOS|macOS|iPadOS|Android|Ubuntu"
            r"|Debian|Windows|PHP|Ruby|Go|Swift|Chapter|Section|section|chapter) "
            r"(?P<major>\d{1,6})\.(?P<minor>\d{1,6})(?![\w]|\.\d)"
        ),
        lambda found: f"{found['name']} {number(found['major'])} point {number(found['minor'])}",
    ),
]
_PERCENTAGES: list[Rule] = [
    (
        re.compile(
            rf"{_SIGN}{_FREE}(?P<amount>{_NUMBER})(?: ?[%‰])?"
            rf"(?: ?{_DASH} ?(?P<until>{_NUMBER}))? ?(?P<unit>[%‰])"
        ),
        _percent,
    ),
]


# --- Units ----------------------------------------------------------------------------------------


def _units(lines: str) -> dict[str, tuple[str, str]]:
    """Symbol to names for one and for several, of "ft foot/feet"; the plural may be regular."""
    found = {}
    for entry in filter(None, (entry.strip() for entry in re.split(r"[|\n]", lines))):
        symbol, _, names = entry.partition(" ")
        one, _, several = names.partition("/")
        found[symbol] = (one, several or f"{one}s")
    return found


_UNITS = _units("""
km kilometer | m meter | dm decimeter | cm centimeter | mm millimeter | µm micrometer
nm nanometer | mi mile | yd yard | ft foot/feet | in inch/inches | nmi nautical mile
kg kilogram | g gram | mg milligram | µg microgram | t ton | lb pound | lbs pound | oz ounce
l liter | L liter | dl deciliter | cl centiliter | ml milliliter | mL milliliter | gal gallon
pt pint | qt quart | tsp teaspoon | tbsp tablespoon | cal calorie | kcal kilocalorie | kJ kilojoule
h hour | hr hour | hrs hour | min minute | mins minute | s second | sec second | secs second
ms millisecond | µs microsecond | ns nanosecond | yr year | yrs year | wk week | wks week
mo month | mos month
kB kilobyte | KB kilobyte | MB megabyte | GB gigabyte | TB terabyte | PB petabyte
KiB kibibyte | MiB mebibyte | GiB gibibyte | TiB tebibyte
kbps kilobit per second/kilobits per second | Mbps megabit per second/megabits per second
Gbps gigabit per second/gigabits per second | kbit kilobit | Mbit megabit | Gbit gigabit
Hz hertz/hertz | kHz kilohertz/kilohertz | MHz megahertz/megahertz | GHz gigahertz/gigahertz
W watt | kW kilowatt | MW megawatt | GW gigawatt | kWh kilowatt hour | MWh megawatt hour
Wh watt hour | V volt | kV kilovolt | mV millivolt | mA milliamp | mAh milliamp hour
Pa pascal | hPa hectopascal | kPa kilopascal | bar bar | mbar millibar | psi P S I/P S I
dB decibel | lm lumen | px pixel | MP megapixel | fps frame per second/frames per second
rpm revolution per minute/revolutions per minute | bpm beat per minute/beats per minute
mph mile per hour/miles per hour | mpg mile per gallon/miles per gallon
kph kilometer per hour/kilometers per hour | kmh kilometer per hour/kilometers per hour
dpi dot per inch/dots per inch | ppi pixel per inch/pixels per inch
ohm ohm | kohm kilohm | Mohm megohm | Gohm gigohm
ppm part per million/parts per million | ha hectare | ac acre | kn knot
°C degree Celsius/degrees Celsius | °F degree Fahrenheit/degrees Fahrenheit | ° degree
""")
_SYMBOLS = "|".join(re.escape(symbol) for symbol in sorted(_UNITS, key=len, reverse=True))
_POWERS = {"²": "square ", "³": "cubic ", "sq ": "square ", "sq. ": "square ", "cu ": "cubic "}
_PER_UNIT = {
    "h": "hour", "hr": "hour", "s": "second", "sec": "second", "min": "minute", "d": "day",
    "day": "day", "week": "week", "wk": "week", "month": "month", "mo": "month", "year": "year",
    "yr": "year", "kg": "kilogram", "g": "gram", "l": "liter", "L": "liter", "ml": "milliliter",
    "dl": "deciliter", "m": "meter", "km": "kilometer", "m²": "square meter", "m³": "cubic meter",
    "gal": "gallon", "lb": "pound", "oz": "ounce", "kWh": "kilowatt hour", "GB": "gigabyte",
    "person": "person", "cm²": "square centimeter",
}  # fmt: skip
_PER_SYMBOLS = "|".join(sorted(_PER_UNIT, key=len, reverse=True))
_QUANTITY = rf"(?:{_FRACTION}|{_NUMBER}(?: \d/\d)?)"


def _measured(found: re.Match[str]) -> str:
    amount = found["amount"]
    one, several = _UNITS[found["unit"]]
    power = _POWERS.get(found["power"] or found["square"] or "", "")
    alone = amount == "1" or ("/" in amount and " " not in amount)
    single = not found["until"] and (alone or found["hyphen"] == "-" or _attributive(found))
    words = _quantity(amount)
    if found["until"]:
        words += f" {'by' if found['to'] == 'x' else 'to'} {number(found['until'])}"
    per = f" per {_PER_UNIT[found['per']]}" if found["per"] else ""
    return f"{_sign(found)}{words} {power}{one if single else several}{per}"


def _quantity(written: str) -> str:
    return _fraction(written) if "/" in written else number(written)


def _inches(found: re.Match[str]) -> str:
    if len(re.findall(r'(?<!\d)"', found.string[: found.start()])) % 2:
        return found[0]  # the end of a quotation: "No. 1"
    return f"{cardinal(int(found[1]))} inch{'' if found[1] == '1' else 'es'}"


_UNIT_RULES: list[Rule] = [
    (re.compile(r"(?<=\d) x(?= (?:daily|weekly|monthly|per|an?)\b)"), lambda found: " times"),
    (re.compile(r"(?<=\dx) ?/ ?(?=(?:day|week|month|year)\b)"), lambda found: " per "),
    # "y = 2x + 1" is no "two times".
    (
        re.compile(rf"(?:(?<==)|(?<== )){_FREE}({_NUMBER})x(?=$|[\s.,;)+*/-])(?! [a-z]{{2}})"),
        lambda found: f"{number(found[1])} x",
    ),
    (
        re.compile(rf"{_FREE}({_NUMBER})x(?=[²³^]| ?[+*=^/] ?[\da-z]| [-−] \d)"),
        lambda found: f"{number(found[1])} x",
    ),
    (
        re.compile(rf"{_FREE}({_NUMBER})(?: ?[-–—] ?({_NUMBER}))?x(?!\w)"),
        lambda found: number(found[1]) + (f" to {number(found[2])}" if found[2] else "") + " times",
    ),
    (
        re.compile(r"(?<![\w.,])(\d)' ?(\d{1,2})(?:\"|''|(?![\w']))"),
        lambda found: f"{cardinal(int(found[1]))} foot {cardinal(int(found[2]))}",
    ),
    (
        re.compile(r"(?<![\w.,])(\d{1,3})\"(?=\s|$|[.,!?)])"),
        _inches,
    ),
    (
        re.compile(r"(?<=\d) ?[x×] ?(?=\d++(?:[.,]\d++)? ?[x×] ?\d)"),
        lambda found: " times " if _summed(found) else " by ",
    ),
    (
        re.compile(r"(?<![\w.,])(\d{3,4}) ?[x×] ?(\d{3,4})(?![\w.,]\w|\w)"),
        lambda found: f"{_side(found[1])} by {_side(found[2])}",
    ),
    (re.compile(r"(\d ?(?:[cdkmµ]?m|ft|in)) ?[x×] ?(?=\d)"), lambda found: f"{found[1]} by "),
    (
        re.compile(
            rf"{_SIGN}{_FREE}(?P<amount>{_QUANTITY})"
            rf"(?: ?(?P<to>[-–—x]|to) ?(?P<until>{_NUMBER}))?"
            r"(?P<hyphen>[ -]?)(?P<square>(?:sq|cu)\.? (?=ft|in|m|km|mi|yd))?"
            rf"(?P<unit>{_SYMBOLS})(?P<power>[²³])?(?:/(?P<per>{_PER_SYMBOLS}))?"
            r"(?![\w²³°]|/[A-Za-z]|'\w)(?:(?<=min|hrs|tsp|lbs|sec)\.|(?<=hr|in|lb|oz|ft|mi|yd)\.|(?<=tbsp)\.)?"
        ),
        lambda found: found[0] if _no_unit(found) else _measured(found),
    ),
]


def _no_unit(found: re.Match[str]) -> bool:
    """ "5 in the morning", "5G" of a network, and "5 a.m." that looked like something else."""
    unit = found["unit"]
    after = found.string[found.end() : found.end() + 8]
    if unit == "in":
        return not re.match(r"$|[.,;)!?]| (?:wide|long|tall|high|deep|thick|by|x)\b", after) and (
            not found[0].endswith(".")
        )
    return unit in {"h", "s", "m", "t", "W", "V"} and (
        after[:1] in {"'", "."} and after[1:2].isalpha()
    )


def _side(written: str) -> str:
    return code(written) if written[-2:] != "00" else cardinal(int(written))


# --- Ranges, sums, years, numbers -----------------------------------------------------------------

_AGE = r"(?:1\d\d\d|20\d\d)"


def _years(found: re.Match[str]) -> str:
    last = found["last"]
    if len(last) == 2 and int(last) <= int(found["first"][2:]):
        return found[0]
    return f"{year(int(found['first']))} to {_year(last)}"


def _mixed(found: re.Match[str]) -> str:
    """Letters and digits in one word: H2O, MP3, F-16."""
    parts: list[str] = []
    for run in re.findall(r"[A-Za-z]+|\d+", found[0]):
        if run.isdigit():
            parts.append(code(run))
        elif run.isupper() and len(run) <= 3:
            parts.extend("ay" if letter == "A" else letter for letter in run)
        elif len(run) == 1:
            parts.append("ay" if run == "a" else run.upper())
        else:
            parts.append(run)
    return " ".join(parts)


_TERM = re.compile(r"=[ \w.,()+*/^−-]*(?<![A-Za-z])(?:\d*[a-z]|\d+|\))$")
"""The end of one side of an equation, a number or a variable."""


def _summed(found: re.Match[str]) -> bool:
    """Whether there is an equals sign next to it: "2 x 3 = 6"."""
    before = found.string[max(0, found.start() - 12) : found.start()]
    after = found.string[found.end() : found.end() + 24]
    return bool(re.search(r"= ?[\d.,]+$", before) or re.match(r"[\d., x*+-]+=", after))


def _grouped(found: re.Match[str]) -> str:
    """1-2-3, the number of a book, of an invoice."""
    return ", ".join(
        digits(run)
        if len(run) > 4
        else year(int(run))
        if re.fullmatch(_AGE, run)
        else one_by_one(run)
        for run in found[0].split("-")
    )


_OF = re.compile(
    r"\b(?i:pages?|slides?|parts?|steps?|episodes?|chapters?|days?|questions?|tasks?|photos?"
    r"|images?|files?|issues?|disks?|items?|tests?|lessons?) $"
)
_RATED = re.compile(
    r"\b(?i:rat(?:ed?|es|ing)|scor(?:ed?|es|ing)|grades?)(?: (?:it|this|them|him|her|of|is|was|a|an"
    r"|at))?:? $"
)
_PART = re.compile(r" (?:of|an?|inch(?:es)?|miles?|seconds?|cups?|teaspoons?|tablespoons?)\b")


def _out_of(found: re.Match[str]) -> str:
    """Page one of three, four out of five stars, nine point five out of ten."""
    count, of = found["count"], found["all"]
    before = found.string[max(0, found.start() - 24) : found.start()]
    stars = re.match(r" (?:stars?|points?)\b", found.string[found.end() : found.end() + 8])
    at_most = float(count) <= int(of)
    if _OF.search(before) and "." not in count and int(count) > 0 and at_most:
        return f"{number(count)} of {number(of)}"
    part = count == "1" or bool(_PART.match(found.string, found.end()))
    # With spaces it may be a sum: "3 / 10 = 0.3".
    mark = found["slash"] == "/" and ((of == "10" and not part) or "." in count)
    if at_most and (stars or mark or _RATED.search(before)):
        return f"{number(count)} out of {number(of)}"
    return found[0]


_MANY = re.compile(
    r"\+? (?:(?:active|new|more|other|daily|monthly|unique|paying|registered|different) )?"
    r"(?:people|(?!was\b|has\b|does\b|this\b|its\b|his\b|plus\b|always\b|makes\b|says\b|sells\b"
    r"|screens\b|videos\b|runs\b|races\b|TVs\b)[a-z]{2,}(?<!s)s)\b"
)
_ABOUT = re.compile(
    r"\b(?i:over|than|about|nearly|almost|around|reached|hit|approximately|some|up to) $"
)


def _scaled(found: re.Match[str]) -> str:
    """1.2M users, 5M views, 10K steps; but a 4K screen, a 7B model, and 3M."""
    amount, until = found["amount"], found["until"]
    first, last = found["scale"], found["scale2"] or found["scale"]
    before = found.string[max(0, found.start() - 16) : found.start()]
    counted = (
        "." in amount + (until or "")
        or (until and first)
        or _MANY.match(found.string, found.end())
        or _ABOUT.search(before)
    )
    if not counted:
        return found[0]
    words = number(amount)
    if until:
        words += f" {_MAGNITUDES[first]}" if first and first != last else ""
        words += f" to {number(until)}"
    return f"{words} {_MAGNITUDES[last]}"


_OF_GAMES = re.compile(
    r"\b(?i:scores?|results?|games?|match|final|won|wins?|beat|los[est]+|led|leads?|ahead|draw)\b"
)
_WORKED_OUT = re.compile(r"(?:^|[.!?:;,(=] ?|\b(?i:is|are|what's|calculate|compute|so|then|and) )$")


def _less(found: re.Match[str]) -> str:
    """ "2 - 1" by itself is a sum; "won 2 - 1", "open 9 - 5" and "pages 3 - 5" are none."""
    before = found.string[max(0, found.start() - 40) : found.start()]
    after = found.string[found.end() : found.end() + 8]
    ends = re.match(r"(?:$|[.,;:!?)](?!\d)| (?:is|equals|makes|leaves)\b)", after)
    sum_ = (
        ends
        and float(found[1]) > float(found[2])
        and _WORKED_OUT.search(before)
        and not _OF_GAMES.search(before)
    )
    return f"{found[1]} minus {found[2]}" if sum_ else found[0]


_REST: list[Rule] = [
    (
        re.compile(
            r"(?<![\w.,-])\d+(?:-\d+){2,}(?![\w-])"
            r"|(?:(?<=umber )|(?<=order )|(?<=invoice )|(?<=ticket ))\d+(?:-\d+)+(?![\w-])"
        ),
        _grouped,
    ),
    (
        re.compile(r"(?<![\w./])((?:19|20)\d\d)/(\d\d)(?![\w/]|[.,]\d)"),
        lambda found: (
            f"{year(int(found[1]))} slash {pair(int(found[2]))}"
            if int(found[2]) == (int(found[1]) + 1) % 100
            else found[0]
        ),
    ),
    (
        re.compile(
            r"(?<![\w.,/-])(?P<count>\d{1,3}(?:\.\d{1,2})?)(?P<slash> ?/ ?)"
            r"(?P<all>\d{1,3})(?![\w/-]| /|[.,]\d)"
        ),
        _out_of,
    ),
    (
        re.compile(rf"{_FREE}(?P<amount>{_FRACTION})(?![\w/]|[.,]\d)"),
        lambda found: _fraction(found[0]),
    ),
    (
        re.compile(
            rf"{_FREE}({_NUMBER})(?: ?(million|billion|trillion|thousand|k|bn|mn|tn))(?!\w)"
        ),
        lambda found: f"{number(found[1])} {_MAGNITUDES.get(found[2], found[2])}",
    ),
    (
        re.compile(
            rf"{_FREE}(?P<amount>{_NUMBER})(?P<scale>[KMB])?"
            rf"(?: ?{_DASH} ?(?P<until>{_NUMBER})(?P<scale2>[KMB])|(?<=[KMB]))(?!\w|[.,]\d)"
        ),
        _scaled,
    ),
    (
        re.compile(
            rf"(?<![\d.,$'])\b(?P<first>{_AGE}) ?[-–—] ?(?P<last>{_AGE}|\d\d)(?![\w-]|[.,]\d)"
        ),
        _years,
    ),
    (re.compile(r"(?<![\w'])'(\d\d)(?![\w'])"), lambda found: pair(int(found[1]))),
    (
        re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+)(?i:st|nd|rd|th)\b"),
        lambda found: ordered(number(found[1])),
    ),
    # "5 - 3 = 2" and "x = 3y - 7"; without a sum it is a range.
    (re.compile(r"(?<=\d) [-−] (?=\d[\d.,]{0,20}+ ?=)"), lambda found: " minus "),
    (
        re.compile(r"(?<=[\da-z)]) [-−] (?=\d|[a-z]\b)"),
        lambda found: " minus " if _TERM.search(found.string[: found.start()][-80:]) else found[0],
    ),
    (re.compile(r"(?<![-−\d] )(?<![\w.,−-])(\d++(?:\.\d++)?) - (\d++(?:\.\d++)?)"), _less),
    (re.compile(r"(?<=\d) ?× ?(?=\d)|(?<=\d) ?\* ?(?=\d)"), lambda found: " times "),
    (re.compile(r"(?<=\d) ?x ?(?=\d)"), lambda found: " times " if _summed(found) else " by "),
    (re.compile(r"(?<!/ \d)(?<!/ \d\d)(?<=\d) / (?=\d++(?! ?/))"), lambda found: " divided by "),
    (re.compile(r"(?<=\d) ?[-–—] ?(?=\d|\.\d)"), lambda found: " to "),
    (re.compile(r"(?<=\d):(?=\d)"), lambda found: " to "),
    (re.compile(r"(?<=\d)-(?=[A-Za-z])"), lambda found: " "),
    # A decimal with letters at it, "802.11ac" and "v1.2M": its point is no stop.
    (
        re.compile(
            r"(?<![\w.,])([A-Za-z]{1,8}\d{1,6}|\d{1,6}(?=\.\d{1,9}[A-Za-z]))\.(\d{1,9})(?!\d)"
        ),
        lambda found: f"{found[1]} point {_apart(found, one_by_one(found[2]))}",
    ),
    (
        re.compile(r"\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]+(?:-\d+)?\b|\b[A-Za-z]+-\d+\b"),
        _mixed,
    ),
    (re.compile(r"(?<![\w)\]}])[-−](?=\.?\d)|−"), lambda found: "minus "),
    (
        re.compile(
            r"(?<![\w.,])(?:1[1-9]\d\d|20\d\d)(?![\w]|[.,]\d)|(?<=\b[IiAa][nt] )10\d\d(?!\w)"
        ),
        lambda found: year(int(found[0])),
    ),
    (re.compile(_NUMBER), lambda found: _apart(found, number(found[0]))),
    (re.compile(r"\d+"), lambda found: _apart(found, number(found[0]))),
]


def _apart(found: re.Match[str], words: str) -> str:
    """A space between a word and letters that it would run into."""
    before = found.string[found.start() - 1 : found.start()]
    after = found.string[found.end() : found.end() + 1]
    return f"{' ' * before.isalnum()}{words}{' ' * after.isalnum()}"


def _hexadecimal(found: re.Match[str]) -> str:
    parts = (
        one_by_one(each) if each.isdigit() else "ay" if each in "aA" else each.upper()
        for each in found[1]
    )
    return f"zero X {' '.join(parts)}"


def _scientific(found: re.Match[str]) -> str:
    if not (found["sign"] or "." in found["amount"] or found["e"] == "e"):
        return found[0]  # "seat 12E3"
    sign = "minus " if found["sign"] in {"-", "−"} else ""
    return f"{number(found['amount'])} times ten to the {sign}{cardinal(int(found['power']))}"


def _commas(written: str) -> str:
    """Digits in groups of any spelling, as _NUMBER wants them: "1'250,50" as "1,250.50"."""
    whole, mark, part = re.fullmatch(r"(.*?\d{3})(?:([.,])(\d{1,2}))?", written).groups()  # type: ignore[union-attr]
    grouped = re.sub(r"[\s.']", ",", whole)
    return f"{grouped}.{part}" if mark else grouped


def _dotted_groups(found: re.Match[str]) -> str:
    """5.000.000, unless it is the address of a machine."""
    groups = found[0].split(".")
    address = len(groups) == 4 and all(
        group.isdigit() and int(group) < 256 and group != "000" for group in groups
    )
    return found[0] if address else _commas(found[0])


_LISTED = re.compile(
    r"\b(?i:pages?|pp\.?|rooms?|items?|chapters?|numbers?|nos?\.?|steps?|figures?|figs?\.?|days?"
    r"|sections?|lines?|questions?|points?|tables?|verses?|rows?|columns?|tasks?|seats?|gates?"
    r"|weeks?|grades?|levels?|options?|tracks?|articles?|exercises?|problems?|games?"
    rf"|(?:{_MONTHS_SHORT}|{'|'.join(_MONTHS)})\.?) $"
)


def _decimal_comma(found: re.Match[str]) -> str:
    """ "12,5" is a number, "pages 3,4" are two, and so are the coordinates "(3,4)"."""
    before = found.string[max(0, found.start() - 16) : found.start()]
    pair_ = before.endswith("(") and found.string[found.end() : found.end() + 1] == ")"
    return found[0] if pair_ or _LISTED.search(before) else f"{found[1]}.{found[2]}"


_EUROPEAN = "EUR|CHF|SEK|NOK|DKK|PLN|BRL"
_COINS = rf"{_SIGN_OF_MONEY}|(?:{_CODE}|[Ee]uros?|francs?|dollars?|pounds?)\b"
_SPACED = r"[1-9]\d{0,2}(?: \d{3})+(?:[.,]\d{1,2})?(?! ?\d)"
_DOT_GROUP = r"[1-9]\d{0,2}\.\d{3}"
_NO_RATE = (
    r"(?! ?(?:/|per\b|a liter\b|(?:thousand|million|billion|trillion|mio|bn|mn|tn|[kKmMbB])\b))"
)

_OF_PEOPLE = (
    r"(?= (?:people|km|(?!was\b|has\b|does\b|this\b|its\b|is\b|always\b)"
    r"[a-z]{2,}(?<!s)s)\b)"
)
_NOT_COUNTED = re.compile(
    r"\b(?i:call|dial|text|phone|ring|tel|fax|code|pin|flight|line|at|by|till|until|aged?)[.:]? $"
)
"""Before two numbers that are none together: a telephone's, a time and a count."""


def _spaced(found: re.Match[str]) -> str:
    """12 345 friends; neither "room 12 345" nor "on May 12 345"."""
    before = found.string[max(0, found.start() - 16) : found.start()]
    return found[0] if _LISTED.search(before) or _NOT_COUNTED.search(before) else _commas(found[0])


def _indian(found: re.Match[str]) -> str:
    """1,00,000, unless it is a list of pages."""
    before = found.string[max(0, found.start() - 16) : found.start()]
    return found[0] if _LISTED.search(before) else f"{int(found[0].replace(',', '')):,}"


_GROUPS: list[Rule] = [
    # Q1-Q3: before the names with hyphens.
    (
        re.compile(r"(?<![\w.,/'-])([A-Z])(\d{1,3}) ?[-–—] ?(\1?\d{1,3})(?![\w-]|[.,]\d)"),
        lambda found: (
            f"{found[1]}{found[2]} to {found[3]}"
            if (found[1] in "QH" or found[3][0] == found[1])
            and int(found[2]) < int(found[3].lstrip(found[1]))
            else found[0]
        ),
    ),
    (re.compile(r"(?<![\w.,])[1-9]\d?(?:,\d\d){1,5},\d{3}(?!\d|,\d)"), _indian),
    (re.compile(r"(?<![\w.,])0[xX]([0-9A-Fa-f]{1,16})(?!\w)"), _hexadecimal),
    (
        re.compile(
            r"(?<![\w.,])(?P<amount>\d{1,9}(?:\.\d{1,9})?)(?P<e>[eE])(?P<sign>[-+−]?)"
            r"(?P<power>\d{1,3})(?!\w|[.,]\d)"
        ),
        _scientific,
    ),
    (
        re.compile(r"(?<![\w.,'])[1-9]\d{0,2}(?:'\d{3})+(?:[.,]\d{1,2})?(?!\d|'\d)"),
        lambda found: _commas(found[0]),
    ),
    # Beside a currency one space is enough, and one dot: no coin has three decimals, but rates do.
    (
        re.compile(rf"((?:{_SIGN_OF_MONEY}|\b(?:{_CODE})) ?)({_SPACED})"),
        lambda found: found[1] + _commas(found[2]),
    ),
    (
        re.compile(rf"(?<![\w.,+])(?<!\d )({_SPACED})(?= ?(?:{_COINS}))"),
        lambda found: _commas(found[1]),
    ),
    (
        re.compile(rf"((?:€|\b(?:{_EUROPEAN})) ?)({_DOT_GROUP})(?!\w|[.,]\d){_NO_RATE}"),
        lambda found: found[1] + _commas(found[2]),
    ),
    (
        re.compile(
            rf"(?<![\w.,])({_DOT_GROUP})(?= ?(?:€|(?:{_EUROPEAN}|[Ee]uros?|francs?)\b)"
            rf"{_NO_RATE})"
        ),
        lambda found: _commas(found[1]),
    ),
    (
        re.compile(r"(?<![\w.,])[1-9]\d{0,2}(?:\.\d{3}){2,}(?:,\d{1,2})?(?!\w|[.,]\d)"),
        _dotted_groups,
    ),
    (
        re.compile(r"(?<![\w.,+])(?<!\d )[1-9]\d?(?: \d{3}){2,4}(?:[.,]\d{1,2})?(?! ?\d)"),
        lambda found: _commas(found[0]),
    ),
    # "000" behind a space is no number of its own; other groups are, but before what is counted.
    (
        re.compile(r"(?<![\w.,+])(?<!\d )[1-9]\d{0,2}(?: 000)++(?:[.,]\d{1,2})?(?! ?\d)"),
        _spaced,
    ),
    (
        re.compile(
            rf"(?<![\w.,+])(?<!\d )[1-9]\d{{0,2}} \d{{3}}(?:[.,]\d{{1,2}})?(?!\d){_OF_PEOPLE}"
        ),
        _spaced,
    ),
    # 1.234,50 as in much of Europe.
    (
        re.compile(r"(?<![\w.,])\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,])"),
        lambda found: found[0].replace(".", "").replace(",", "."),
    ),
    # 12,5: a group of three digits is thousands, a row of more is a list.
    (
        re.compile(
            r"(?<![\w.,])(?<!\d, )(\d{1,3}),(\d{1,2}|\d{4,9})(?!\d|,\d)"
            r"(?! (?:and|or|to|&) \d++(?!,))"
        ),
        _decimal_comma,
    ),
]

RULES: list[Rule] = [
    *_GROUPS,
    *_DATES,
    *_TIMES,
    *_TELEPHONES,
    *_VERSIONS,
    *_MONEY,
    *_PERCENTAGES,
    *_UNIT_RULES,
    *_REST,
]
