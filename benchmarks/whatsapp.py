"""How fast we read a WhatsApp export, and in how much memory, against a plain parser.

    python benchmarks/whatsapp.py [--messages N] [--rounds N]

Generates chats into a temporary folder, of several phones' header shapes: about one line in five
continues a message, some lines are media, deleted messages or the app's own. The baseline is what
most projects do: one regex per line and `strptime`, with the shape of the header given. It settles
no shape, no order of dates and no names, takes nothing off a text, and gives no time zone.
Each reader runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import multiprocessing
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from aitwin.corpus import whatsapp
from aitwin.corpus.report import Skipped


@dataclass(frozen=True)
class Phone:
    """How one phone writes its headers."""

    header: str
    """A format of strftime."""
    pattern: str
    ios: bool = False


PHONES = {
    "android, 24 h": Phone("%d/%m/%Y, %H:%M - ", r"(\d+/\d+/\d+, \d+:\d+) - ([^:]+): (.*)"),
    "android, 12 h": Phone(
        "%m/%d/%y, %I:%M\u202f%p - ", r"(\d+/\d+/\d+, \d+:\d+\s[AP]M) - ([^:]+): (.*)"
    ),
    "ios": Phone("[%d.%m.%y, %H:%M:%S] ", r"\[([\d.]+, [\d:]+)\] ([^:]+): (.*)", ios=True),
}
PEOPLE = ["Ana", "Bob van Dyck", "~\u202fNev", "\u202a+44\u00a07700\u2011900123\u202c", "🤓"]
TEXT = (
    "the boat is late again and nobody told me so we wait at noon with bread, cheese and the "
    "good wine 😄 ja nein vielleicht tomorrow it is not my turn: yours, I said so. Über morgen!"
)
WORDS = TEXT.split()
RARE = ["https://example.org/a?b=c", "(later)", "<3", "@\u2068Ana\u2069", "13:30"]


def lines(phone: Phone, messages: int) -> Iterator[str]:
    chance = random.Random(20)  # noqa: S311 - the same chat each time
    moment = datetime(2015, 12, 24, 9, 30)  # noqa: DTZ001
    mark = "\u200e" if phone.ios else ""
    for _ in range(messages):
        moment += timedelta(seconds=int(chance.expovariate(1 / 300)))
        header = phone.header and f"{moment:{phone.header}}"
        name, kind = chance.choice(PEOPLE), chance.random()
        if kind < 0.04:
            body = f"{mark}image omitted" if phone.ios else "<Media omitted>"
            yield f"{mark}{header}{name}: {body}\n"
        elif kind < 0.05:
            yield f"{header}{name}: {mark}This message was deleted\n"
        elif kind < 0.06:
            yield f"{header}{mark}Ana changed the subject to “Boat: late”\n"
        else:
            words = chance.choices(WORDS, k=chance.choice((1, 3, 5, 9, 16)))
            text = " ".join(words + chance.sample(RARE, int(chance.random() < 0.1)))
            yield f"{header}{name}: {text}\n"
            while chance.random() < 0.21:
                yield " ".join(chance.choices(WORDS, k=6)) + "\n"


def ours(path: Path, phone: Phone) -> int:
    return sum(1 for _ in whatsapp.read(path, Skipped()))


def plain(path: Path, phone: Phone) -> int:
    pattern, form = re.compile(phone.pattern), phone.header.strip("[] -")
    count, message = 0, None
    with path.open(encoding="utf-8") as file:
        for line in file:
            if found := pattern.match(line.strip("\u200e\n")):
                count += message is not None
                message = {
                    "time": datetime.strptime(found[1], form),  # noqa: DTZ007
                    "name": found[2],
                    "text": found[3],
                }
            elif message:
                message["text"] += "\n" + line
    return count + (message is not None)


def apart(reader: Callable[[Path, Phone], int], path: Path, phone: Phone) -> dict[str, float]:
    """What a reader gives, its seconds and its peak memory, from a fresh process."""

    def child(answer: Connection) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        count = reader(path, phone)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        # Kilobytes on Linux, bytes on macOS.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        megabytes = peak / (1 if sys.platform == "darwin" else 1024**-1) / 1024**2
        answer.send(
            {"messages": count, "seconds": wall, "cpu_seconds": cpu, "peak_megabytes": megabytes}
        )

    mine, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    process.start()
    answer: dict[str, float] = mine.recv()
    process.join()
    return answer


def measure(folder: Path, name: str, sizes: list[int], rounds: int) -> list[dict[str, object]]:
    rows = []
    for size in sizes:
        path = folder / "chat.txt"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines(PHONES[name], size))
        for who, reader in {"aitwin": ours, "one regex, strptime": plain}.items():
            best = min(
                (apart(reader, path, PHONES[name]) for _ in range(rounds)),
                key=lambda row: row["seconds"],
            )
            rows.append({"phone": name, "reader": who, "bytes": path.stat().st_size, **best})
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=1_000_000, help="and a tenth of it")
    arguments.add_argument("--rounds", type=int, default=1, help="the best of so many (wall time)")
    arguments.add_argument("--phones", choices=PHONES, nargs="*", default=list(PHONES))
    options = arguments.parse_args()
    rows: list[dict[str, object]] = []
    print(
        f"{'phone':14} {'reader':20} {'messages':>9} {'s':>6} {'CPU s':>6}"
        f" {'per s':>9} {'peak MiB':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in options.phones:
            sizes = [options.messages // 10, options.messages]
            for row in measure(Path(folder), name, sizes, options.rounds):
                rows.append(row)
                print(
                    f"{row['phone']:14} {row['reader']:20} {row['messages']:9,}"
                    f" {row['seconds']:6.2f} {row['cpu_seconds']:6.2f}"
                    f" {row['messages'] / row['seconds']:9,.0f}"
                    f" {row['peak_megabytes']:8.1f}",
                    flush=True,
                )
    print(json.dumps({"messages": options.messages, "rounds": options.rounds, "rows": rows}))


if __name__ == "__main__":
    main()
