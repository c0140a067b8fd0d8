"""WhatsApp exports (.txt, or the .zip around it) to messages, in two passes and constant memory.

The first pass settles what the file is: the shape of its headers, the day/month order, the names.
The second yields. Does not guess: what a file leaves open is asked for. Nothing is unpacked to
disk. Does not merge turns, and takes nothing from a text but WhatsApp's own marks and words.
"""

import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from hashlib import blake2b
from io import TextIOWrapper
from itertools import takewhile
from operator import eq
from pathlib import Path, PurePosixPath
from typing import IO

from aitwin.corpus import phrases_chat as phrases
from aitwin.corpus.messages import Message, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.whatsapp_headers import (
    MARKS,
    ORDERS,
    Clock,
    DateOrder,
    Shape,
    clock_words,
    readings,
    settle,
    shape_of,
    time_of_day,
    yearless,
)
from aitwin.corpus.whatsapp_texts import GENERATED_STARTS, written
from aitwin.errors import TwinError

__all__ = ["DateOrder", "participants", "read", "recognises"]

PEEK = 1 << 16  # bytes that decide whether a file is a chat
CHUNK = 1 << 18  # characters per read
LONGEST = 1 << 20  # characters of one message; WhatsApp allows 65,536
LARGEST = 1 << 30  # bytes of a zipped chat; a million messages are about 0.1 GB
RATIO = 200  # zipped chats shrink 3 to 50 times, bombs about 1,000 times
PASTED_DAYS = 20  # changes of day in one pasted block; beyond, it was a wrong clock
NAME = 120  # characters; WhatsApp's own limit for a group's name is 100

_MARK = re.compile(f"[{MARKS}]+")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)
"""What zipfile raises for broken archives; the last for a name that is not in the charset it says."""
_QUOTES = re.compile('["“”„«»「」『』]')


def recognises(path: Path) -> bool:
    """Whether the file is a chat, or a zip with one inside, judged by its content."""
    with _open(path) as chat:
        return chat is not None


def read(path: Path, skipped: Skipped, date_order: DateOrder | None = None) -> Iterator[Message]:
    """The messages of a chat, in the order of the file.

    `date_order` settles only what the file itself leaves open.
    """
    chat = _survey(path, date_order)
    people = {name: Person(name) for name in chat.names.values()}
    zone = _Zone()
    same: Counter[tuple[str, str]] = Counter()
    previous: datetime | None = None
    for moment, name, raw in _bodies(path, chat, skipped):
        text, automatic = written(raw, chat.shape.frame)
        if moment != previous:
            previous = moment
            same.clear()
        same[name, text] += 1
        yield Message(
            id=_hash(chat.conversation, str(moment), name, text, str(same[name, text])),
            channel="chat",
            sender=people[name],
            sent_at=zone.place(moment),
            text=text,
            conversation=chat.conversation,
            automatic=automatic,
        )


def participants(path: Path) -> Counter[str]:
    """How many messages each person of a chat wrote; to suggest which of them is the owner."""
    return _survey(path, None, ask=False).people


def _hash(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


class _Zone:
    """This machine's time zone. A time that the clock skipped or repeated is the first such."""

    def __init__(self) -> None:
        self._hours: dict[int, tzinfo | None] = {}

    def place(self, moment: datetime) -> datetime:
        """A naive local time, made aware."""
        hour = moment.toordinal() * 24 + moment.hour
        if hour not in self._hours:
            if len(self._hours) > 4096:
                self._hours.clear()
            ends = [moment.replace(minute=m, second=m).astimezone() for m in (0, 59)]
            # Only an hour without a change of offset can be known as a whole.
            same = ends[0].utcoffset() == ends[1].utcoffset()
            self._hours[hour] = ends[0].tzinfo if same else None
        zone = self._hours[hour]
        return moment.replace(tzinfo=zone) if zone else moment.astimezone()


# --- files -----------------------------------------------------------------------------------


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], str, Shape] | None]:
    """The bytes of a chat, their encoding and the shape of its headers; None if it is no chat."""
    with ExitStack() as stack:
        try:
            if zipfile.is_zipfile(path):
                archive = stack.enter_context(zipfile.ZipFile(path))
                member = _member(path, archive)
                file = stack.enter_context(archive.open(member)) if member else None
            else:
                file = stack.enter_context(path.open("rb")) if path.is_file() else None
            start = file.read(PEEK) if file else b""
            shape = _shape(start)
            if file is None or shape is None:
                yield None
                return
            file.seek(0)
            yield file, _encoding(start), shape
        except _DAMAGED as error:
            why = type(error).__name__
            raise TwinError(f"{path}: the zip is damaged ({why}); export the chat again") from None
        except OSError as error:
            raise TwinError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """The one chat in a zip. Media exports may hold other texts: the content decides."""
    chats = []
    for info in archive.infolist():
        if info.filename.lower().endswith(".txt") and not info.filename.startswith("__MACOSX/"):
            _refuse_tricks(path, info)
            with archive.open(info) as file:
                if _shape(file.read(PEEK)):
                    chats.append(info)
    named = [info for info in chats if PurePosixPath(info.filename).name == "_chat.txt"]
    chats = named if len(named) == 1 else chats
    if len(chats) > 1:
        raise TwinError(f"{path}: holds {len(chats)} chats; unzip it and add them one by one")
    return chats[0] if chats else None


def _refuse_tricks(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse what no phone writes: bombs, links, names that point elsewhere; and passwords."""
    name = PurePosixPath(info.orig_filename.replace("\\", "/"))
    problems = {
        "a path that points outside": name.is_absolute() or ".." in name.parts,
        "a name with a zero byte": "\0" in info.orig_filename,
        "a link": stat.S_ISLNK(info.external_attr >> 16),
        "a password": bool(info.flag_bits & 1),
        "a text too large for a chat": info.file_size > LARGEST
        or info.file_size > max(CHUNK, RATIO * info.compress_size),
    }
    if found := [problem for problem, is_so in problems.items() if is_so]:
        raise TwinError(f"{path}: refused: it holds {' and '.join(found)}; export the chat again")


def _encoding(start: bytes) -> str:
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"


def _shape(start: bytes) -> Shape | None:
    text = start.decode(_encoding(start), "replace")
    return None if "\0" in text[:1024] else settle(re.split(r"\r\n?|\n", text)[:200])


def _lines(path: Path) -> Iterator[str]:
    """The lines of the chat, without their ends, however long the file."""
    with _open(path) as chat:
        if chat is None:
            raise TwinError(
                f"{path}: not a WhatsApp chat (no line starts with a date and a time as WhatsApp "
                "writes them); in WhatsApp: More > Export chat"
            )
        file, encoding, _ = chat
        stream = TextIOWrapper(file, encoding=encoding, errors="replace")
        rest = ""
        while chunk := stream.read(CHUNK):
            *lines, rest = (rest + chunk).split("\n")
            if len(rest) > LONGEST:
                raise TwinError(f"{path}: a line of over {LONGEST:,} characters: not a chat")
            yield from lines
        if rest:
            yield rest


# --- first pass ------------------------------------------------------------------------------


@dataclass
class _Track:
    """How well one order of day and month fits the course of the file."""

    last: date = date(2000, 1, 1)
    regressions: int = 0
    years: int = 0
    """How often the year changes."""
    forward: set[str] = field(default_factory=set, repr=False)
    pasted: set[str] = field(default_factory=set, repr=False)
    block: set[str] = field(default_factory=set, repr=False)
    days: int = 0

    def take(self, day: date, heads: set[str]) -> None:
        """Go on with what was said on `day`.

        A block that jumps back and returns may be a chat pasted into a message: who speaks only
        in such blocks is not of this chat.
        """
        self.years += day.year != self.last.year
        if day >= self.last - timedelta(days=1):
            self.regressions += day < self.last
            self.pasted |= self.block
            self.forward |= heads
            self.block, self.days, self.last = set(), 0, max(day, self.last)
            return
        self.regressions += not self.days
        self.block |= heads
        self.days += 1
        if self.days > PASTED_DAYS:
            self.finish()
            self.last = day

    def finish(self) -> None:
        """It never returned: not a paste, but a clock that had been wrong."""
        self.forward |= self.block
        self.block, self.days = set(), 0


@dataclass
class _Heads:
    """What stands before the colons, from which the names are settled."""

    counts: Counter[str] = field(default_factory=Counter)
    tight: Counter[str] = field(default_factory=Counter)
    """With no space after the colon."""
    generated: Counter[str] = field(default_factory=Counter)
    """Lines that the app wrote under somebody's name."""
    shared: dict[str, str] = field(default_factory=dict)
    """What all lines of a head begin with: a name may hold a colon."""

    def take(self, rest: str, frame: str) -> str:
        """Note the line's beginning; "" when nobody speaks."""
        at = rest.find(": ")
        if at < 0 and rest.endswith(":"):
            at = len(rest) - 1
        if at < 0:
            at = rest.find(":", 0, NAME)
            if at > 0 and not rest.startswith("/", at + 1):
                self.tight[rest[:at]] += 1
            return rest[: max(at, 0)]
        if not 0 < at <= NAME or rest.startswith(GENERATED_STARTS):
            return ""
        head = rest[:at]
        self.counts[head] += 1
        if frame == "[" and rest.startswith(GENERATED_STARTS, at + 2):
            self.generated[head] += 1
        if (shared := self.shared.get(head, rest)) != "":
            common = sum(takewhile(bool, map(eq, shared, rest[:NAME])))
            self.shared[head] = shared[:common] if common > at + 2 else ""
        return head

    def names(self, outsiders: frozenset[str]) -> dict[str, str]:
        """The name by what is written before the colon."""
        counts = self.tight if self.tight.total() > self.counts.total() else self.counts
        plain = {_clean(head): count for head, count in counts.items()}
        found: dict[str, str] = {}
        for head, count in counts.items():
            whole = _longer(self.shared.get(head, ""), head) if count > 1 else head
            if head not in outsiders and not _is_event(_clean(head), count, plain):
                found[whole] = _clean(whole)
        return found

    def people(self, names: dict[str, str]) -> Counter[str]:
        """How many messages each name wrote itself."""
        people: Counter[str] = Counter()
        for head, name in names.items():
            first = head if head in self.counts else head.partition(": ")[0]
            people[name] += (self.counts[first] or self.tight[first]) - self.generated[first]
        return +people


def _longer(shared: str, head: str) -> str:
    """The name with its colons, when every line of two or more goes on with the same words."""
    end = shared.rfind(": ")
    while end > len(head) and shared.startswith("http", end + 2):
        end = shared.rfind(": ", 0, end)
    return shared[:end] if end > len(head) else head


def _is_event(name: str, count: int, names: dict[str, int]) -> bool:
    """Whether a "name" is the beginning of a system line that happens to hold a colon."""
    if not name or len(_QUOTES.findall(name)) % 2 or len(name.split()) > 8:
        return True
    words = name.split(" ")
    for end in range(1, len(words) - 1):
        # "Ana changed this group" where Ana speaks herself; "Ana van Dyck" has a capital.
        if names.get(" ".join(words[:end]), 0) > count:
            return not any(word[:1].isupper() for word in words[end:])
    return False


def _clean(name: str) -> str:
    """A name as one would type it: no marks, plain spaces and hyphens."""
    return " ".join(_MARK.sub("", name).replace("\u2011", "-").split())


@dataclass(frozen=True)
class _Chat:
    """What the first pass found."""

    shape: Shape
    days: dict[str, date] = field(repr=False)
    clocks: dict[str, Clock] = field(repr=False)
    names: dict[str, str] = field(repr=False)
    outsiders: frozenset[str] = field(repr=False)
    people: Counter[str] = field(repr=False)
    conversation: str


@dataclass
class _Evidence:
    """What the first pass collects."""

    days: dict[str, dict[DateOrder, date]] = field(default_factory=dict, repr=False)
    clocks: dict[str, Clock] = field(default_factory=dict, repr=False)
    heads: _Heads = field(default_factory=_Heads, repr=False)
    tracks: dict[DateOrder, _Track] = field(
        default_factory=lambda: {order: _Track() for order in ORDERS}
    )
    today: str = ""
    speakers: set[str] = field(default_factory=set, repr=False)

    def is_time(self, written: str, time: str) -> bool:
        """Whether a header's date and time exist, in whatever order; remembers them."""
        if written not in self.days:
            self.days[written] = readings(written)
        if time not in self.clocks and (clock := time_of_day(time)):
            self.clocks[time] = clock
        return bool(self.days[written]) and time in self.clocks

    def end_day(self, following: str = "") -> None:
        """Weigh the day that ends, in every order."""
        for order, day in self.days.get(self.today, {}).items():
            self.tracks[order].take(day, self.speakers)
        self.today, self.speakers = following, set()


def _survey(path: Path, date_order: DateOrder | None, *, ask: bool = True) -> _Chat:
    """The first pass; with `ask`, an open day/month order is an error."""
    shape = _shape_in(path)
    evidence = _evidence(path, shape)
    clocks, heads, tracks = evidence.clocks, evidence.heads, evidence.tracks
    days = {written: choices for written, choices in evidence.days.items() if choices}
    _refuse_unknown_words(path, clocks)
    fitting = _fitting(days, tracks, shape)
    order = _settle_order(path, days, fitting if ask else fitting[:1], date_order)
    outsiders = frozenset(tracks[order].pasted - tracks[order].forward - {""})
    names = heads.names(outsiders)
    people = heads.people(names)
    return _Chat(
        shape=shape,
        days={written: choices[order] for written, choices in days.items()},
        clocks=clocks,
        names=names,
        outsiders=outsiders,
        people=people,
        conversation=_conversation(path, people),
    )


def _evidence(path: Path, shape: Shape) -> _Evidence:
    evidence = _Evidence()
    match = shape.pattern().match
    for line in _lines(path):
        if (found := match(line)) is None:
            _refuse_second_export(path, line, shape)
            continue
        written, time = found.group("date", "clock")
        if not evidence.is_time(written, time):
            _refuse_yearless(path, written)
            continue
        if written != evidence.today:
            evidence.end_day(written)
        evidence.speakers.add(evidence.heads.take(line[found.end() :], shape.frame))
    evidence.end_day()
    for track in evidence.tracks.values():
        track.finish()
    return evidence


def _shape_in(path: Path) -> Shape:
    with _open(path) as chat:
        if chat:
            return chat[2]
    next(_lines(path))  # says why it is no chat
    raise AssertionError(path)


def _refuse_yearless(path: Path, written: str) -> None:
    if yearless(written):
        raise TwinError(
            f"{path}: has dates without a year, as WhatsApp wrote them until 2015; export the "
            "chat again with a current WhatsApp"
        )


def _refuse_second_export(path: Path, line: str, shape: Shape) -> None:
    """A byte order mark and another kind of header: two exports were put into one file."""
    if line.startswith("\ufeff") and (other := shape_of(line)) and other != shape:
        raise TwinError(f"{path}: holds exports of two kinds; split it where the second begins")


def _refuse_unknown_words(path: Path, clocks: dict[str, Clock]) -> None:
    """A word at the time that is neither known nor, by the hours, without meaning."""
    words = {word for time in clocks for word in clock_words(time)}
    unknown = words - phrases.AFTER_NOON.keys() - phrases.NOT_PERIODS
    on_24_hours = any(hour > 12 or hour == 0 for hour, _, _ in clocks.values())
    if unknown and not (on_24_hours and len(words) == 1):
        raise TwinError(
            f"{path}: its times carry {len(unknown)} unknown words for morning or evening; set "
            "the phone to 24 hours and export the chat again"
        )


def _settle_order(
    path: Path,
    days: dict[str, dict[DateOrder, date]],
    fitting: list[DateOrder],
    asked: DateOrder | None,
) -> DateOrder:
    """The one order that fits; among several the one asked for, else an error that asks."""
    if not days:
        raise TwinError(f"{path}: no date in it is of a calendar known here; add another export")
    if not fitting:
        raise TwinError(
            f"{path}: its dates contradict each other (day and month change places, or they are "
            "of the future); export the chat again, in one piece and in the common calendar"
        )
    if len({tuple(choice[order] for choice in days.values()) for order in fitting}) == 1:
        return fitting[0]
    if asked in fitting:
        return asked
    choices = " or ".join(f"--dates {order}" for order in fitting)
    raise TwinError(f"{path}: its dates can be read in {len(fitting)} ways; say which: {choices}")


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


def _conversation(path: Path, people: Counter[str]) -> str:
    """An id that survives a longer export: the chat's name if the file tells it, else who talks."""
    title = re.sub(r"\s*\(\d+\)$", "", _MARK.sub("", path.stem))
    if "whatsapp" in title.lower():
        return _hash("chat", title)
    return _hash("people", *sorted(people))


# --- second pass -----------------------------------------------------------------------------


def _bodies(path: Path, chat: _Chat, skipped: Skipped) -> Iterator[tuple[datetime, str, str]]:
    """Time, name and text as written, for every message that somebody sent."""
    head: tuple[datetime, str] | None = None
    body: list[str] = []
    size, place = 0, "text before the first message"
    for number, (found, line) in enumerate(_headers(path, chat), 1):
        if found is None:
            size += len(line)
            if size > LONGEST:
                raise TwinError(f"{path}:{number}: a text of over {LONGEST:,} characters: no chat")
            if place and line.strip():
                skipped.add(place, f"{path}:{number}")
            body.append(line)
            continue
        if head:
            yield *head, "\n".join(body)
        if not found[1]:
            skipped.add("system line", f"{path}:{number}")
        head = found if found[1] else None
        body, size, place = [line], 0, ""
    if head:
        yield *head, "\n".join(body)


def _headers(path: Path, chat: _Chat) -> Iterator[tuple[tuple[datetime, str] | None, str]]:
    """Each line's time, name ("" in system lines) and text; None where it goes on."""
    match = chat.shape.pattern().match
    days, clocks, names = chat.days, chat.clocks, chat.names
    colons = any(":" in head for head in names)
    for line in _lines(path):
        found = match(line)
        if found is None:
            yield None, line
            continue
        day, clock = days.get(found["date"]), clocks.get(found["clock"])
        if day is None or clock is None:
            yield None, line
            continue
        rest = line[found.end() :]
        at = rest.find(": ")
        name, text = names.get(rest[:at], ""), rest[at + 2 :]
        if colons or not name:
            name, text = _split(rest, names)
        outside = not name and rest.partition(":")[0] in chat.outsiders
        if outside:
            yield None, line
        else:
            moment = datetime(day.year, day.month, day.day, *clock)  # noqa: DTZ001 - local
            yield (moment, name), text


def _split(rest: str, names: dict[str, str]) -> tuple[str, str]:
    """Name and text by the longest name known; no name for a system line."""
    at = rest.rfind(":", 0, NAME)
    while at > 0:
        if name := names.get(rest[:at]):
            return name, rest[at + 1 :].removeprefix(" ")
        at = rest.rfind(":", 0, at)
    return "", rest
