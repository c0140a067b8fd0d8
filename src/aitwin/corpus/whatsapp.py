"""WhatsApp exports (.txt, or the .zip around it) to messages, in two passes and constant memory.

The first pass settles what the file is (see whatsapp_survey), the second yields. Does not guess:
what a file and its siblings leave open is asked for. Does not merge turns, and takes nothing from
a text but WhatsApp's own marks and words.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, tzinfo
from hashlib import blake2b
from pathlib import Path

from aitwin.corpus.messages import Message, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.whatsapp_files import LONGEST, chunks, shape_in
from aitwin.corpus.whatsapp_headers import MARKS, DateOrder
from aitwin.corpus.whatsapp_survey import LATE, NAME, Chat, Hand, Survey
from aitwin.corpus.whatsapp_texts import written
from aitwin.errors import TwinError

LOOKS = 50  # for a line earlier in the file; a clock that was wrong would ask for every line
REMEMBERED = 1000  # messages of one day among which the same one is told apart

_MARK = re.compile(f"[{MARKS}]+")

__all__ = ["DateOrder", "Siblings", "participants", "read", "recognises", "settled_order"]


def recognises(path: Path) -> bool:
    """Whether the file is a chat, or a zip with one inside, judged by its content."""
    return shape_in(path) is not None


def settled_order(path: Path) -> tuple[Hand, DateOrder] | None:
    """The order of day and month that a chat settles by its own evidence, and how it writes."""
    try:
        found = Survey(path)
    except TwinError:  # whoever reads the file itself will be told
        return None
    return (found.hand, found.orders[0]) if len(found.orders) == 1 else None


class Siblings:
    """Other exports, which may tell what a chat leaves open; each is read when first needed."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._settled: list[tuple[Hand, DateOrder]] | None = None

    def order(self, hand: Hand) -> DateOrder | None:
        """The order of all that write like `hand`; None when nobody does, or they disagree."""
        if self._settled is None:
            self._settled = [found for path in self._paths if (found := settled_order(path))]
        orders = {order for other, order in self._settled if hand.may_be(other)}
        return orders.pop() if len(orders) == 1 else None


def read(
    path: Path,
    skipped: Skipped,
    date_order: DateOrder | None = None,
    siblings: Siblings | None = None,
) -> Iterator[Message]:
    """The messages of a chat, in the order of the file.

    `date_order`, and after it `siblings`, settle only what the file itself leaves open.
    """
    found = Survey(path)
    chat = found.chat(_order(found, date_order, siblings))
    people = {name: Person(name) for name in chat.names.values()}
    frame, title = chat.hand.shape.frame, _title(path)
    conversation = _hash(f"chat\x1f{title}" if title else f"first\x1f{chat.first}")
    zone, ids = _Zone(), _Ids(title)
    fields = vars(Message("", "chat", Person(""), datetime.now(UTC), "", conversation=conversation))
    for day, clock, name, raw in _bodies(path, chat, skipped):
        text, automatic = written(raw, frame, chat.own_phrases)
        # Around the constructor, which takes three times as long; all times here are aware.
        message = object.__new__(Message)
        values = vars(message)
        values.update(fields)
        values["id"] = ids.of(day, clock, name, raw)
        values["sender"] = people[name]
        values["sent_at"] = zone.place(day, clock)
        values["text"] = text
        values["automatic"] = automatic
        yield message


def participants(path: Path) -> Counter[str]:
    """How many messages each person of a chat wrote; to suggest which of them is the owner."""
    found = Survey(path)
    return found.chat(found.orders[0]).people


def _order(found: Survey, date_order: DateOrder | None, siblings: Siblings | None) -> DateOrder:
    """The one order that fits; among several the one asked for or told, else an error that asks."""
    if found.settled():
        return found.orders[0]
    if date_order in found.orders:
        return date_order
    if siblings and (order := siblings.order(found.hand)) in found.orders:
        return order
    choices = " or ".join(f"--dates {order}" for order in found.orders)
    raise TwinError(
        f"{found.path}: its dates can be read in {len(found.orders)} ways; say which: {choices}"
    )


def _title(path: Path) -> str:
    """The chat's name, if the file tells it; "" when somebody gave the file a name of its own."""
    # Unpacked by hand, the chat of an iPhone lies in a folder with the name of the zip.
    stem = path.absolute().parent.name if path.stem == "_chat" else path.stem
    title = re.sub(r"\s*\(\d+\)$", "", _MARK.sub("", stem))
    return title if "whatsapp" in title.lower() else ""


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


class _Ids:
    """Ids that a longer export, or a later version of this program, gives again.

    Of what the file says, before anything is taken off. The same words of one person in one minute
    are counted. Where no title tells the chat, nothing does: an export may lose its beginning.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._day: date | None = None
        self._clock: time | None = None
        self._written = ""
        self._seen: dict[str, int] = {}
        self._start = blake2b(digest_size=16)

    def of(self, day: date, clock: time, name: str, raw: str) -> str:
        """The id of the next message of the file."""
        if day is not self._day:
            self._day = day
            start = f"{self._title}\x1f{day} ".encode("utf-8", "replace")
            self._start = blake2b(start, digest_size=16)
            self._seen.clear()
        if clock is not self._clock:
            self._clock, self._written = clock, clock.isoformat()
            # Times may go back a little, but hardly by so many messages.
            if len(self._seen) > REMEMBERED:
                self._seen.clear()
        # Wherever the name ends: a longer export may show that it holds a colon.
        key = f"{self._written}\x1f{name}: {raw}"
        self._seen[key] = count = self._seen.get(key, 0) + 1
        whole = self._start.copy()
        whole.update(f"{key}\x1f{count}".encode("utf-8", "replace"))
        return whole.hexdigest()


class _Zone:
    """This machine's time zone. A time that the clock skipped or repeated is the first such."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._zone: tzinfo | None = None

    def place(self, day: date, clock: time) -> datetime:
        """A local time, made aware."""
        if day is not self._day:
            self._day = day
            ends = [datetime.combine(day, end).astimezone() for end in (time.min, time.max)]
            # Only a day without a change of offset can be known as a whole.
            same = ends[0].utcoffset() == ends[1].utcoffset()
            self._zone = ends[0].tzinfo if same else None
        if self._zone:
            return datetime.combine(day, clock, self._zone)
        return datetime.combine(day, clock).astimezone()


class _Speakers:
    """Who speaks in what stands behind a header."""

    def __init__(self, chat: Chat) -> None:
        self._names, self._outsiders = chat.names, chat.outsiders
        self._colons = any(":" in head for head in chat.names)

    def of(self, rest: str) -> tuple[str, str] | None:
        """Name ("" in system lines) and text; None when somebody pasted the line."""
        head, colon, text = rest.partition(": ")
        name = self._names.get(head) if colon and not self._colons else None
        if name:
            return name, text
        # The longest name known, which may hold colons, or have no space behind.
        at = rest.rfind(":", 0, NAME)
        while at > 0:
            if name := self._names.get(rest[:at]):
                return name, rest[at + 1 :].removeprefix(" ")
            at = rest.rfind(":", 0, at)
        return None if rest.partition(":")[0] in self._outsiders else ("", rest)


class _Pasted:
    """Lines that go back in time and stand earlier in the chat: somebody pasted them into a text.

    Strangers who speak in a paste are told by the survey; members say there what they said before.
    """

    def __init__(self, path: Path, chat: Chat) -> None:
        self._path, self._days, self._times = path, chat.days, chat.headers.times
        self._day, self._clock = date(2000, 1, 1), time.min  # the latest moment so far
        self._looks = 0

    def has(self, parts: tuple[str, str, str], line: str, number: int) -> bool:
        """Whether the `number`th line of the file, taken apart, is one."""
        day, clock = self._days[parts[0]], self._times[parts[1]]
        if day is self._day and clock >= self._clock:  # nearly every line
            self._clock = clock
            return False
        moment, latest = datetime.combine(day, clock), datetime.combine(self._day, self._clock)
        if moment < latest - LATE and self._looks < LOOKS:
            self._looks += 1
            return self._stands_before(line, number)
        if moment > latest:
            self._day, self._clock = day, clock
        return False

    def _stands_before(self, line: str, number: int) -> bool:
        for lines in chunks(self._path):
            if line in lines[: max(0, number - 1)]:
                return True
            number -= len(lines)
            if number <= 1:
                break
        return False


def _bodies(path: Path, chat: Chat, skipped: Skipped) -> Iterator[tuple[date, time, str, str]]:
    """Day, time, name and text as written, for every message that somebody sent."""
    split, days, times = chat.headers.split, chat.days, chat.headers.times
    speaks = _Speakers(chat).of
    pasted = _Pasted(path, chat).has
    head: tuple[date, time, str] | None = None
    body: list[str] = []
    number, size, place = 0, 0, "text before the first message"
    for lines in chunks(path):
        for line in lines:
            number += 1
            parts = split(line)
            spoken = speaks(parts[2]) if parts and not pasted(parts, line, number) else None
            if parts is None or spoken is None:
                size += len(line)
                if size > LONGEST:
                    raise TwinError(
                        f"{path}:{number}: a text of over {LONGEST:,} characters: no chat"
                    )
                if parts and not head:  # pasted into nothing
                    place = place or "line of nobody in the chat"
                if place and line.strip():
                    skipped.add(place, f"{path}:{number}")
                body.append(line)
                continue
            if head:
                yield *head, "\n".join(body)
            name, text = spoken
            if not name:
                skipped.add("system line", f"{path}:{number}")
            head = (days[parts[0]], times[parts[1]], name) if name else None
            body, size, place = [text], 0, ""
    if head:
        yield *head, "\n".join(body)
