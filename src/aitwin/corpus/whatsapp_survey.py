"""What a WhatsApp chat is, from all of its lines: the order of its dates, and who speaks in it.

The first of the two passes over a file. Judges by the whole file, and keeps counts instead of
lines. Makes no messages: see whatsapp.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

from aitwin.corpus import phrases_chat as phrases
from aitwin.corpus.whatsapp_files import chunks, shape_in
from aitwin.corpus.whatsapp_headers import (
    MARKS,
    ORDERS,
    DateOrder,
    Headers,
    Shape,
    clock_words,
    shape_of,
)
from aitwin.corpus.whatsapp_texts import GENERATED_STARTS, repeated
from aitwin.errors import TwinError

PASTED_RUNS = 20  # stretches of time in one pasted block; beyond, it was a wrong clock
LATE = timedelta(hours=1)  # a message delivered late, or the hour that comes twice in autumn
DAY = timedelta(days=1)
NAME = 120  # characters; WhatsApp's own limit for a group's name is 100
SAMPLE = 16  # lines of each person that show whether the name goes on behind a colon
EVENTS = 3  # a sentence of the app stands there seldom, with the same words before its colon
KEPT = 10_000  # beginnings of system lines, and texts that the app repeats

_MARK = re.compile(f"[{MARKS}]+")
_DIGIT_OR_MARK = re.compile(rf"[\d{MARKS}]+")
_QUOTES = re.compile('["“”„«»「」『』]')
_PHONE = re.compile(r"\+\d[\d\s().\-\u2011]{6,}")


@dataclass
class _Run:
    """Neighbouring lines of one date whose times neither go back nor return."""

    date: str
    begin: time
    end: time
    limit: time = time.max
    """Where the lines before it stood, if it went back on their day."""
    heads: set[str] = field(default_factory=set, repr=False)
    lines: int = 0

    def next(self, written: str, moment: time) -> "_Run":
        """The run that starts with a line of that time."""
        back = written == self.date and moment < self.end
        stood = self.end if self.limit == time.max else self.limit
        return _Run(written, moment, moment, stood if back else time.max)


@dataclass
class _Track:
    """How well one order of day and month fits the course of the file."""

    last: datetime = datetime(2000, 1, 1)  # noqa: DTZ001 - local, as all times of an export
    regressions: int = 0
    years: int = 0
    """How often the year changes."""
    forward: set[str] = field(default_factory=set, repr=False)
    pasted: set[str] = field(default_factory=set, repr=False)
    block: list[tuple[datetime, _Run]] = field(default_factory=list, repr=False)
    """What went back in time and has not returned yet."""

    def take(self, day: date, run: _Run) -> None:
        """Go on with a run, which in this order is of `day`.

        A block that jumps back and returns may be a chat pasted into a message: who speaks only
        in such blocks is not of this chat.
        """
        begin = datetime.combine(day, run.begin)
        self.years += day.year != self.last.year
        if begin >= self.last - LATE:
            self.regressions += day < self.last.date()
            self._return(pasted=self._looks_pasted())
            self.forward |= run.heads
            self.last = max(self.last, datetime.combine(day, run.end))
            return
        if not self.block:
            self.regressions += day < self.last.date()
        self.block.append((begin, run))
        if len(self.block) > PASTED_RUNS:
            self._return(pasted=False)
            self.last = datetime.combine(day, run.end)

    def finish(self) -> None:
        """It never returned: a clock that was wrong, unless strangers talk among themselves."""
        heads = {head for _, run in self.block for head in run.heads}
        strangers = heads.isdisjoint(self.forward - {""}) and self._lines() > 1
        self._return(pasted=strangers and self._looks_pasted())

    def _return(self, *, pasted: bool) -> None:
        if self.block:
            into = self.pasted if pasted else self.forward
            into.update(*(run.heads for _, run in self.block))
            self.block = []

    def _looks_pasted(self) -> bool:
        """Whether it is not just a message that came late.

        WhatsApp copies headers only where somebody copies several messages.
        """
        old = any(begin < self.last - DAY for begin, _ in self.block)
        return old or self._lines() > 1

    def _lines(self) -> int:
        return sum(run.lines for _, run in self.block)


@dataclass
class _Heads:
    """What stands before the colons, from which the names are settled."""

    frame: str
    counts: Counter[str] = field(default_factory=Counter, repr=False)
    tight: Counter[str] = field(default_factory=Counter, repr=False)
    """With no space after the colon."""
    marked: Counter[str] = field(default_factory=Counter, repr=False)
    """With a direction mark in front."""
    generated: Counter[str] = field(default_factory=Counter, repr=False)
    """Lines that the app wrote under somebody's name."""
    phrases: Counter[str] = field(default_factory=Counter, repr=False)
    """What the app may have written, as often as it stands there."""
    sample: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """The first lines of each head: a name may hold a colon."""
    actors: set[str] = field(default_factory=set, repr=False)
    """The first words of the system lines that hold no colon: who did something."""

    def take(self, rest: str) -> str:
        """Note the line's beginning; "" when nobody speaks."""
        head, colon, text = rest.partition(": ")
        if not colon or not 0 < len(head) <= NAME or rest.startswith(GENERATED_STARTS):
            return self._take_odd(rest)
        self.counts[head] += 1
        if text.startswith(GENERATED_STARTS) or text.endswith((")", ">")):
            self._take_phrase(head, text)
        sample = self.sample.get(head)
        if sample is None:
            self.sample[head] = [rest[:NAME]]
        elif len(sample) < SAMPLE:
            sample.append(rest[:NAME])
        return head

    def _take_phrase(self, head: str, text: str) -> None:
        """Note what the app may have put into a text."""
        self.generated[head] += self.frame == "[" and text.startswith(GENERATED_STARTS)
        phrase = repeated(text) if len(self.phrases) < KEPT else ""
        if 0 < len(phrase) < NAME:
            self.phrases[phrase] += 1

    def _take_odd(self, rest: str) -> str:
        """A line without a name, with an empty text, or of a phone that writes no space."""
        at = rest.find(":", 0, NAME)
        if rest.startswith(GENERATED_STARTS):
            # The app's own, unless a contact is called so: then the line is one of several.
            self.marked[rest[: max(at, 0)]] += 1
            return ""
        if at < 0:
            words = _clean(rest[:NAME]).split(" ")
            if len(self.actors) < KEPT:
                self.actors.update(" ".join(words[:end]) for end in (1, 2, 3))
            return ""
        if rest.endswith(":") and at == len(rest) - 1:
            self.counts[rest[:at]] += 1
        elif at > 0 and ": " not in rest and not rest.startswith("/", at + 1):
            self.tight[rest[:at]] += 1
        return rest[:at]

    def names(self, outsiders: frozenset[str]) -> dict[str, str]:
        """The name by what is written before the colon."""
        counts = Counter(self.counts)
        if self.tight.total() > self.counts.total():
            counts = Counter(self.tight)
            for head, count in self.counts.items():
                counts[head.partition(":")[0]] += count
        counts += Counter({head: count for head, count in self.marked.items() if count > 2})
        plain = {_clean(head): count for head, count in counts.items()}
        rare = int(max(counts.values(), default=1) > 1)  # if others speak more often
        found: dict[str, str] = {}
        for head, count in counts.items():
            whole = _longer(head, self.sample.get(head, []))
            if head not in outsiders and not self._is_event(_clean(head), count, plain, rare):
                found[whole] = _clean(whole)
        return found

    def people(self, names: dict[str, str]) -> Counter[str]:
        """How many messages each name wrote itself."""
        people: Counter[str] = Counter()
        for head, name in names.items():
            first = head if head in self.counts else head.partition(": ")[0]
            people[name] += (self.counts[first] or self.tight[first]) - self.generated[first]
        return +people

    def _is_event(self, name: str, count: int, names: dict[str, int], rare: int) -> bool:
        """Whether a "name" is the beginning of a system line that happens to hold a colon.

        One that stands there at most `rare` times need only read like a sentence.
        """
        words = name.split(" ")
        if not name or len(_QUOTES.findall(name)) % 2 or len(words) > 8:
            return True
        if count > EVENTS:
            return False
        phone = _PHONE.match(name)
        if phone and any(char.isalpha() for char in name[phone.end() :]):
            return True
        for end in range(1, len(words) - 1):
            # "Ana changed this group" where Ana speaks, or does other things; "Ana van Dyck" ends
            # with a capital.
            actor = " ".join(words[:end])
            acts = names.get(actor, 0) > count or (count == 1 and actor in self.actors)
            if acts and not (_is_capital(words[end]) or _is_capital(words[-1])):
                return True
        if count > rare:
            return False
        # Somebody who never speaks did something: a sentence is longer than a name, and smaller.
        small = sum(word[:1].islower() for word in words[1:])
        sentence = small == len(words) - 1 > 2 or (len(words) > 4 and small * 2 > len(words))
        return sentence or _runs_on(name, names)


def _is_capital(word: str) -> bool:
    return word[:1].isupper()


def _runs_on(name: str, names: dict[str, int]) -> bool:
    """Whether a sentence without spaces begins with the name of somebody who speaks."""
    return any(
        name[:end] in names
        and name[end].isalpha()
        and not (name[end].isupper() or name[end].islower())
        for end in range(1, len(name) - 4)
    )


def _longer(head: str, lines: list[str]) -> str:
    """The name with its colons, when all that the person is known to write goes on alike."""
    cuts: Counter[str] = Counter()
    for line in lines:
        at = line.find(": ", len(head) + 2)
        while at > 0:
            cuts[line[:at]] += not line.startswith("http", at + 2)
            at = line.find(": ", at + 2)
    whole = [
        cut for cut, n in cuts.items() if n > 1 and all(line.startswith(cut) for line in lines)
    ]
    return max(whole, key=len, default=head)


def _clean(name: str) -> str:
    """A name as one would type it: no marks, plain spaces and hyphens."""
    return " ".join(_MARK.sub("", name).replace("\u2011", "-").split())


@dataclass(frozen=True)
class Hand:
    """How a phone writes dates and times, as far as one chat shows it."""

    shape: Shape
    zeros: frozenset[tuple[int, bool]]
    """Whether the first, second and third number of a date is filled up with a zero."""
    periods: frozenset[str]
    """How it writes morning and evening: "PM" and "p. m." are of two phones."""

    def may_be(self, other: "Hand") -> bool:
        """Whether both may be one phone: the same shape, and nothing that speaks against it."""
        contrary = {(place, not zero) for place, zero in other.zeros}
        periods = not (self.periods and other.periods) or self.periods & other.periods
        return self.shape == other.shape and not contrary & self.zeros and bool(periods)


@dataclass(frozen=True)
class Chat:
    """What all lines of a chat together say."""

    hand: Hand
    headers: Headers = field(repr=False)
    """Has seen every date and time of the file."""
    days: dict[str, date] = field(repr=False)
    """The day of each date as written."""
    names: dict[str, str] = field(repr=False)
    """The name by what is written before the colon."""
    outsiders: frozenset[str] = field(repr=False)
    """Who speaks only in what somebody pasted."""
    people: Counter[str] = field(repr=False)
    own_phrases: frozenset[str] = field(repr=False)
    """What the app, by its place, wrote into this chat more than once."""
    first: str = field(repr=False)
    """The first line of somebody, which stays the first when the chat grows."""


@dataclass
class _Evidence:
    """What the lines show, one after the other."""

    shape: Shape
    headers: Headers
    heads: _Heads
    tracks: dict[DateOrder, _Track] = field(
        default_factory=lambda: {order: _Track() for order in ORDERS}
    )
    first: str = field(default="", repr=False)


class Survey:
    """The evidence of one file, and the orders of day and month that it allows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        evidence = _evidence(path)
        self._evidence = evidence
        self.hand = _hand(evidence.shape, evidence.headers)
        self.orders = _fitting(evidence.headers.dates, evidence.tracks, evidence.shape)
        """One, if the file settles it by itself."""
        if not evidence.headers.dates:
            raise TwinError(
                f"{path}: no date in it is of a calendar known here; add another export"
            )
        if not self.orders:
            raise TwinError(
                f"{path}: its dates contradict each other (day and month change places, or they "
                "are of the future); export the chat again, in one piece and in the common calendar"
            )

    def settled(self) -> bool:
        """Whether the dates mean the same in every order that fits."""
        days = self._evidence.headers.dates.values()
        return len({tuple(choice[order] for choice in days) for order in self.orders}) == 1

    def chat(self, order: DateOrder) -> Chat:
        """What the chat is when its dates are of `order`."""
        heads, track = self._evidence.heads, self._evidence.tracks[order]
        outsiders = frozenset(track.pasted - track.forward - {""})
        names = heads.names(outsiders)
        dates = self._evidence.headers.dates
        return Chat(
            hand=self.hand,
            headers=self._evidence.headers,
            days={written: choices[order] for written, choices in dates.items()},
            names=names,
            outsiders=outsiders,
            people=heads.people(names),
            own_phrases=frozenset(text for text, count in heads.phrases.items() if count > 1),
            first=self._evidence.first,
        )


def _evidence(path: Path) -> _Evidence:
    shape = shape_in(path)
    if shape is None:
        next(chunks(path))  # says why it is no chat
        raise AssertionError(path)
    headers = Headers(shape)
    evidence = _Evidence(shape, headers, _Heads(shape.frame))
    split, take, times = headers.split, evidence.heads.take, headers.times
    run = _Run("", time.max, time.max)
    for lines in chunks(path):
        for line in lines:
            parts = split(line)
            if parts is None:
                if line.startswith("\ufeff") or shape.date == "\5":
                    _refuse_odd(path, line, shape)
                continue
            written, clock, rest = parts
            moment = times[clock]
            if written != run.date or not run.end <= moment < run.limit:
                _weigh(evidence, run)
                run = run.next(written, moment)
            run.end = moment
            run.lines += 1
            head = take(rest)
            run.heads.add(head)
            if head and not evidence.first:
                evidence.first = _clean(line)
    _weigh(evidence, run)
    for track in evidence.tracks.values():
        track.finish()
    _refuse_unknown_words(path, headers.times)
    return evidence


def _weigh(evidence: _Evidence, run: _Run) -> None:
    """Follow a run that has ended, in every order."""
    for order, day in evidence.headers.dates.get(run.date, {}).items():
        evidence.tracks[order].take(day, run)


def _hand(shape: Shape, headers: Headers) -> Hand:
    zeros = set()
    for written in headers.dates:
        for place, number in enumerate(re.findall(r"\d+", written)):
            if int(number) < 10:
                zeros.add((place, len(number) > 1))
    around = str.maketrans("aA", "pP", ":")
    words = {_DIGIT_OR_MARK.sub(" ", clock) for clock in headers.times}
    periods = {" ".join(word.translate(around).split()) for word in words}
    return Hand(shape, frozenset(zeros), frozenset(periods))


def _refuse_odd(path: Path, line: str, shape: Shape) -> None:
    """Say what is wrong with a header that is none of this chat's."""
    other = shape_of(line)
    if other is None:
        return
    if other == shape:  # it would be a header, had its date a year
        raise TwinError(
            f"{path}: has dates without a year, as WhatsApp wrote them until 2015; export the "
            "chat again with a current WhatsApp"
        )
    # A byte order mark and another kind of header: two exports were put into one file.
    if line.startswith("\ufeff") and other != shape:
        raise TwinError(f"{path}: holds exports of two kinds; split it where the second begins")


def _refuse_unknown_words(path: Path, times: dict[str, time]) -> None:
    """A word at the time that is neither known nor, by the hours, without meaning."""
    words = {word for clock in times for word in clock_words(clock)}
    unknown = words - phrases.AFTER_NOON.keys() - phrases.NOT_PERIODS
    on_24_hours = any(moment.hour > 12 or moment.hour == 0 for moment in times.values())
    if unknown and not (on_24_hours and len(words) == 1):
        raise TwinError(
            f"{path}: its times carry {len(unknown)} unknown words for morning or evening; set "
            "the phone to 24 hours and export the chat again"
        )


def _fitting(
    days: dict[str, dict[DateOrder, date]], tracks: dict[DateOrder, _Track], shape: Shape
) -> list[DateOrder]:
    """The orders that the file allows: by values over 12, then by the course of time."""
    latest = date.today() + timedelta(days=366)  # noqa: DTZ011 - a year of tolerance
    orders = [order for order in ORDERS if all(order in choice for choice in days.values())]
    for enough in (all, any):
        past = [o for o in orders if enough(choice[o] <= latest for choice in days.values())]
        if past:
            break
    orders = past
    if "ymd" in orders and len(orders) > 1:
        # Two digits each: the year is what changes least. On one day alone it stands in front
        # only where East Asia writes: dots and spaces, or the day period before the time.
        rest: list[DateOrder] = [order for order in orders if order != "ymd"]
        front, back = tracks["ymd"].years, tracks[rest[0]].years
        east = shape.clock.startswith("\4") or shape.date == "\1. \1. \1."
        if front < back:
            orders = ["ymd"]
        elif front > back or not east:
            orders = rest
    best = min((tracks[order].regressions for order in orders), default=0)
    return [order for order in orders if tracks[order].regressions <= best * 10]
