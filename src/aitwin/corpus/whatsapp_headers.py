"""The grammar of WhatsApp's line headers: a date and a time as a phone's locale writes them.

`shape_of` recognises any such header; `Shape.pattern` then accepts only the headers of one file,
so that look-alikes pasted into a message stay text. Knows single lines, no files and no names.
"""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Literal

from aitwin.corpus import phrases_chat as phrases

DateOrder = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[DateOrder, ...] = ("dmy", "mdy", "ymd")
MARKS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
"""Direction marks and byte order marks, as a character class."""

PERSIAN = 1388
"""The Persian year that began in March 2009."""
ISLAMIC = 1430
"""The Islamic year of that time. Those are not read: their months are proclaimed, not reckoned."""

# Bounded, or a line of a million spaces would take hours.
_M = f"[{MARKS}]{{0,8}}"
_G = rf"[\s{MARKS}]{{0,8}}"
_GAP = rf"[\s{MARKS}]{{1,8}}"
_WORD = rf"[^\d\s{MARKS}\[\]:/,،、<>()\-.][^\d\[\]:/,،、<>()\-]{{0,18}}?"
_ERA = r"(?:พ\.ศ\.|民國|民国|令和|平成|[RrHh](?=\d))"
_YEAR = rf"(?:{_ERA}{_G})?\d{{1,4}}"
_NUMERIC = (
    rf"{_YEAR}{_G}[./\-\u2010-\u2013年년]{_G}\d{{1,2}}{_G}[./\-\u2010-\u2013月월]{_G}{_YEAR}"
    rf"(?:[.日일])?(?:{_G}(?:г\.?|BE|B\.E\.|พ\.ศ\.))?"
)
_MONTH = rf"(?i:{'|'.join(sorted(phrases.MONTHS, key=len, reverse=True))})\.?"
_WORDY = (
    rf"(?:\d{{1,2}}\.?\s(?:de\s)?{_MONTH}(?:,?\s(?:de\s)?\d{{4}})?"
    rf"|{_MONTH}\s\d{{1,2}}(?:,\s\d{{4}})?)"
)
_TICK = rf"{_G}(?:[:.：٫h時时点點시]|min|分|분){_G}"
_UNITS = ("s", "秒", "초", "分", "분")
_TIME = rf"\d{{1,2}}{_TICK}\d{{2}}(?:{_TICK}\d{{2}})?(?:{_G}(?:{'|'.join(_UNITS)}))?"
_DATE = rf"(?P<date>{_NUMERIC}|{_WORDY})"
_MIDDLE = rf"(?P<middle>{_G}[,،、]?{_G})"
_STAMPS = (
    rf"{_DATE}{_MIDDLE}(?P<clock>(?:{_WORD}{_G})?{_TIME}(?:{_G}{_WORD})?)",
    rf"(?P<clock>(?:{_WORD}{_G})?{_TIME}(?:{_G}{_WORD})?){_MIDDLE}{_DATE}",
)
# iOS brackets, Android's dash, the colon of iOS before 2016.
_OPEN = {"[": rf"{_M}\[{_M}", "-": _M, ":": _M}
_CLOSE = {"[": rf"{_G}\]\s?", "-": rf"{_GAP}[-–—](?:\s|$)", ":": r":\s"}
_ANY = tuple(
    (frame, stamp is _STAMPS[0], re.compile(_OPEN[frame] + stamp + _CLOSE[frame]))
    for frame in _OPEN
    for stamp in _STAMPS
)

_ISO_TIME = re.compile(r"[Tt]\d")
"""`2025-03-03T10:15:00Z`: a program's log, never a phone's locale."""
_NUMBER = re.compile(rf"({_ERA})?{_G}(\d+)")
_LEAD, _TAIL = re.compile(r"\D*"), re.compile(r"\D*$")
_DIGITS = re.compile(r"\d+")
_BETWEEN = re.compile(rf"[\s.{MARKS}]+")
_MAIL_OR_PAGE = re.compile(r"From |[!-9;-Z\\-~]+:\s|<")
_ERAS = {"r": 2018, "令和": 2018, "h": 1988, "平成": 1988, "民國": 1911, "民国": 1911}
_PLACEHOLDERS = {
    "\1": r"\d{1,2}",
    "\2": r"\d{3,4}",
    "\3": _ERA,
    "\4": _WORD,
    "\5": _WORDY,
    " ": _GAP,
}


@dataclass(frozen=True)
class Shape:
    """What every header of one file has in common; digits and words are placeholders."""

    frame: str
    """What ends the header: "[" for brackets, "-" or ":"."""
    date_first: bool
    date: str
    middle: str
    clock: str

    def pattern(self) -> re.Pattern[str]:
        """Matches this file's headers alone; groups "date" and "clock"."""
        parts = [f"(?P<date>{_loosely(self.date)})", f"(?P<clock>{_loosely(self.clock)})"]
        first, last = parts if self.date_first else reversed(parts)
        middle = _M + _loosely(self.middle) + _M
        return re.compile(_OPEN[self.frame] + first + middle + last + _CLOSE[self.frame])


class Headers:
    """Takes the headers of one file off its lines, and remembers what they say.

    Most lines are of the same day as the line before: then all but the time stands there already,
    and the time has mostly been seen. Only what is new is matched and read.
    """

    def __init__(self, shape: Shape) -> None:
        self.dates: dict[str, dict[DateOrder, date]] = {}
        """What each date of the file may mean."""
        self.times: dict[str, time] = {}
        self._match = shape.pattern().match
        self._date = ""
        # What stands before and behind the time; at first what no line holds.
        self._before = self._behind = "\n"
        self._start = 1  # len(self._before)

    def split(self, line: str) -> tuple[str, str, str] | None:
        """Date and time as written, and what follows; None when the line goes on with a text."""
        if line.startswith(self._before):
            start = self._start
            end = line.find(self._behind, start, start + 120)
            if end > 0 and (clock := line[start:end]) in self.times:
                return self._date, clock, line[end + len(self._behind) :]
        found = self._match(line)
        if found is None:
            return None
        written, clock = found.group("date", "clock")
        if not self._exist(written, clock):
            return None
        behind = line[found.end("clock") : found.end()]
        # Without the space the next line may have one more; a mark in front is of few lines.
        if behind[-1:].isspace() and line[0] != "\u200e":
            self._date, self._behind, self._start = written, behind, found.start("clock")
            self._before = line[: self._start]
        return written, clock, line[found.end() :]

    def _exist(self, written: str, clock: str) -> bool:
        if written not in self.dates and (days := readings(written)):
            self.dates[written] = days
        if clock not in self.times and (moment := time_of_day(clock)):
            self.times[clock] = moment
        return written in self.dates and clock in self.times


def shape_of(line: str) -> Shape | None:
    """The shape of a line that starts with a header of any kind."""
    for frame, date_first, pattern in _ANY:
        found = pattern.match(line)
        if not found:
            continue
        written, middle, clock = found.group("date", "middle", "clock")
        if _ISO_TIME.match(clock):
            return None
        if time_of_day(clock) and (readings(written) or yearless(written)):
            date_, middle = _date_skeleton(written), _plain(middle)
            return Shape(frame, date_first, date_, middle, _clock_skeleton(clock))
    return None


def settle(lines: list[str]) -> Shape | None:
    """The one shape of a file that starts with `lines`; None when it is no chat.

    The first line decides: a message may hold more pasted headers than the file has of its own.
    Only where the head is cut off the majority does.
    """
    lines = [line for line in lines if line.strip()]
    if lines and (first := shape_of(lines[0])):
        return first
    if not lines or _MAIL_OR_PAGE.match(lines[0]):
        return None
    votes = Counter(shape for shape in map(shape_of, lines) if shape)
    shape, count = max(votes.items(), key=lambda vote: vote[1], default=(None, 0))
    return shape if count >= max(3, len(lines) // 5) else None


def yearless(written: str) -> bool:
    """Whether a date names a month and no year, as Android did until about 2015."""
    return re.fullmatch(_WORDY, written) is not None and not re.search(r"\d{4}", written)


def readings(written: str) -> dict[DateOrder, date]:
    """What a date may mean, by order; empty when it can be none."""
    numbers = [(era.lower(), digits) for era, digits in _NUMBER.findall(written)]
    if len(numbers) == 2:
        month = next(
            (m for w in re.findall(r"[^\W\d]+", written.lower()) if (m := phrases.MONTHS.get(w))), 0
        )
        choices = dict.fromkeys(ORDERS, (_year(*numbers[1]), month, int(numbers[0][1])))
    elif len(numbers) == 3:
        choices = _numeric(*numbers)
    else:
        return {}
    return {order: day for order, choice in choices.items() if (day := _date(*choice))}


def _numeric(
    first: tuple[str, str], second: tuple[str, str], third: tuple[str, str]
) -> dict[DateOrder, tuple[int, int, int]]:
    """Year, month and day by order: an era or more than two digits can only be the year."""
    a, b, c = int(first[1]), int(second[1]), int(third[1])
    choices: dict[DateOrder, tuple[int, int, int]] = {}
    if not (first[0] or len(first[1]) > 2):
        choices["dmy"] = (_year(*third), b, a)
        choices["mdy"] = (_year(*third), a, b)
    if not (third[0] or len(third[1]) > 2):
        choices["ymd"] = (_year(*first), b, c)
    return choices


def _date(year: int, month: int, day: int) -> date | None:
    if PERSIAN <= year < ISLAMIC:
        return _persian(year, month, day)
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    # WhatsApp is of 2009; what lies outside is another calendar or no date.
    return found if 2009 <= year <= 2100 else None


def _persian(year: int, month: int, day: int) -> date | None:
    """A date of the Persian calendar, which iPhones in Iran use: 6 months of 31 days, 6 of 30."""
    shorter = month == 12 and not _is_persian_leap(year)
    if not (1 <= month <= 12 and 1 <= day <= 30 + (month < 7) - shorter):
        return None
    days = sum(365 + _is_persian_leap(past) for past in range(PERSIAN, year))
    days += 30 * (month - 1) + min(month - 1, 6) + day - 1
    return date(2009, 3, 21) + timedelta(days=days)


def _is_persian_leap(year: int) -> bool:
    """By the cycle of 33 years, which follows the sun from 1178 to 1633."""
    return (8 * year + 29) % 33 < 8


def _year(era: str, digits: str) -> int:
    """Japanese and Minguo years by their era; Buddhist years are 543 ahead."""
    number = int(digits)
    if era in _ERAS:
        return _ERAS[era] + number
    if len(digits) == 3:
        return 1911 + number
    if len(digits) <= 2:
        # Buddhist 2552 is 2009: until 2051 two digits are one or the other, never both.
        return 2000 + number if number < 52 else 2500 - 543 + number
    return number - 543 if number > 2400 else number


def time_of_day(written: str) -> time | None:
    """The time, on a clock of 24 hours; None when it is none."""
    numbers = [int(number) for number in _DIGITS.findall(written)]
    hour, minute, second = (*numbers, 0)[:3]
    if hour > 23 or minute > 59 or second > 59:
        return None
    for word in clock_words(written):
        late = phrases.AFTER_NOON.get(word)
        if late is None or hour > 12:
            continue
        if hour == 12:
            hour = 12 if late and word not in phrases.NIGHT else 0
        elif late and not (word in phrases.NOON and hour >= 10):
            hour += 12
    return time(hour, minute, second)


def clock_words(written: str) -> list[str]:
    """The words around a time, without dots, spaces, marks and case: "p. m." is "pm"."""
    if written[0].isdigit() and written[-1].isdigit():  # most clocks
        return []
    before, *_, after = _DIGITS.split(written)
    words = [_BETWEEN.sub("", word).lower() for word in (before, after) if word]
    return [word for word in words if word and word not in _UNITS]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(f"[{MARKS}]", "", text))


def _date_skeleton(written: str) -> str:
    text = _plain(written)
    if re.fullmatch(_WORDY, text):
        return "\5"
    text = re.sub(rf"{_ERA}(?=\s?\d)", "\3", text)
    return re.sub(r"\d+", lambda run: "\1" if len(run[0]) < 3 else "\2", text)


def _clock_skeleton(written: str) -> str:
    text = _plain(written)
    lead, tail = _LEAD.match(text), _TAIL.search(text)
    before, after = (lead[0] if lead else ""), (tail[0] if tail else "")
    core = re.sub(r"\d+", "\1", text[len(before) : len(text) - len(after)])
    return _slot(before) + core + (after if after.strip() in _UNITS else _slot(after))


def _slot(word: str) -> str:
    """A placeholder for a day period, which varies; "à" and "klo" stay as they are."""
    if word.strip(" .").lower() in phrases.NOT_PERIODS:
        return word
    return re.sub(r"\S(.*\S)?", "\4", word)


def _loosely(skeleton: str) -> str:
    """A pattern for a skeleton: any digits, any kind of space, direction marks anywhere."""
    return _M.join(_PLACEHOLDERS.get(char) or re.escape(char) for char in skeleton)
