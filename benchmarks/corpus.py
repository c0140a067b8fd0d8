"""How fast and in how much memory mail becomes pairs, against the standard library in the same run.

    python benchmarks/corpus.py mail [FILE ...] [--copies N]
    python benchmarks/corpus.py large [--gigabytes 10]
    python benchmarks/corpus.py dedupe [--texts 100000]

`mail`: finding every message and its headers (`mail.index`; `listing.parts` on all cores), the
whole import (listed, and what matters read into the store), and the way from the file to pairs,
each against `mailbox` going through the same file with a full parse; for the mailbox's own owner,
and for people who together wrote 15 % of it. `large`: a generated mailbox with attachments; peak
memory of all processes together. `dedupe`: near-duplicates against all pairs compared exactly.
Times on a shared machine swing: the ratios are what counts. Chats: see whatsapp.py; what the
extraction gets right: see extraction.py.
"""

import argparse
import base64
import json
import mailbox
import os
import random
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import psutil

from aitwin.corpus import dedupe, imports, listing, mail, messages, pairing, reading
from aitwin.corpus.messages import Owner
from aitwin.corpus.report import Losses, Skipped
from aitwin.corpus.store import Imported, Store

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
REAL = {
    CORPORA / "baechle-mips" / "all.mbox": re.compile(r"ralf@"),
    CORPORA / "leech-usrp" / "all.mbox": re.compile(r"patchvonbraun@gmail\.com|mleech@"),
}
"""The real mailboxes, and the addresses of those whose they are."""
SHARE = 0.15
"""Of the mails, that the owner wrote, in the end-to-end measurement."""


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """MiB that this process and its children hold together at most, seen every 50 ms."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        this = psutil.Process()
        while not done.wait(0.05):
            total = 0
            for process in (this, *this.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], total / 2**20)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def stdlib(path: Path) -> int:
    """Index and parse only: no charset, no HTML, no choice among alternatives."""
    return sum(1 for _ in mailbox.mbox(path, create=False))


def imported(path: Path, owner: Owner, folder: str) -> Store:
    store = Store(Path(folder))
    for _, result in imports.add(store, [path]):
        assert isinstance(result, Imported)
    assert not reading.what_matters(store, owner).gone
    return store


def to_pairs(path: Path, owner: Owner, folder: str) -> int:
    """Read, thread, clean, pair."""
    threads = messages.threads(imported(path, owner, folder).messages(owner))
    return sum(1 for _ in pairing.from_threads(threads, owner, Losses()))


def senders(path: Path) -> Counter[str]:
    return Counter(listed.sender.address for listed in mail.index(path, Skipped()))


def some_owner(counts: Counter[str]) -> Owner:
    """People who together wrote no more than SHARE, the most frequent first."""
    room = SHARE * counts.total()
    chosen = []
    for address, count in counts.most_common():
        if count <= room:
            chosen.append(address)
            room -= count
    return Owner("", frozenset(chosen))


def copied(path: Path, copies: int, folder: str) -> Path:
    """The mailbox so many times over, each time with Message-IDs of its own."""
    if copies == 1:
        return path
    data = path.read_bytes()
    ids = re.compile(rb"(?m)^((?:Message-ID|In-Reply-To|References|[ \t]+)[:<][^\n]*)", re.I)
    target = Path(folder) / path.name
    with target.open("wb") as file:
        for number in range(copies):
            mark = b".%d@" % number
            file.write(ids.sub(lambda m: m[1].replace(b"@", mark), data))  # noqa: B023
    return target


def measure_mail(path: Path, addresses: re.Pattern[str] | None, copies: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = copied(path, copies, folder)
        counts = senders(file)
        few = some_owner(counts)
        theirs = {a for a in counts if addresses and addresses.match(a)}
        rows: dict[str, float] = {}
        rows["mailbox"], number = timed(lambda: stdlib(file))
        rows["index"], _ = timed(lambda: sum(1 for _ in mail.index(file, Skipped())))
        size = file.stat().st_size
        rows["index, all cores"], _ = timed(lambda: sum(1 for _ in listing.parts(file, 0, size)))
        real = Owner("", frozenset(theirs)) if theirs else few
        rows["import"], _ = timed(lambda: imported(file, real, f"{folder}/a"))
        rows["import, few own"], _ = timed(lambda: imported(file, few, f"{folder}/b"))
        rows["to pairs, few own"], found = timed(lambda: to_pairs(file, few, f"{folder}/c"))
        megabytes = file.stat().st_size / 1e6
    print(f"{path.parent.name}, {copies} times: {number:,} messages, {megabytes:,.0f} MB")
    for name, seconds in rows.items():
        print(
            f"  {name:18} {seconds:8.2f} s {megabytes / seconds:8.1f} MB/s"
            f" {rows['mailbox'] / seconds:6.1f} x mailbox"
        )
    share = sum(counts[a] for a in few.addresses) / counts.total()
    print(f"  few own: {share:.0%} of the mails; {found:,} pairs")
    return {"file": path.parent.name, "copies": copies, "megabytes": megabytes, "seconds": rows}


# A large mailbox


def write_large(path: Path, gigabytes: float, seed: int = 1) -> None:
    """Plain mails, HTML mails and attachments, a tenth of them the owner's, in threads."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    words = [f"word{n}" for n in range(3000)]
    blob = base64.encodebytes(chance.randbytes(3 << 20))
    start = datetime(2010, 1, 1, tzinfo=UTC)
    number = 0
    with path.open("wb") as file:
        while file.tell() < gigabytes * 1e9:
            sender = "me@own.example" if number % 10 == 9 else f"p{chance.randrange(500)}@x.example"
            when = start + timedelta(minutes=20 * number)
            text = " ".join(chance.choices(words, k=chance.randrange(10, 120)))
            head = (
                f"From {sender} {when:%a %b %d %H:%M:%S %Y}\nFrom: <{sender}>\n"
                f"To: me@own.example\nDate: {format_datetime(when)}\nMessage-ID: <{number}@x>\n"
                f"Subject: {'Re: ' if number % 10 else ''}thread {number // 10}\n"
                + (f"In-Reply-To: <{number - 1}@x>\n" if number % 10 else "")
                + "MIME-Version: 1.0\n"
            )
            kind = chance.random()
            if kind < 0.5:
                body = f"Content-Type: text/plain; charset=utf-8\n\n{text}\n\n".encode()
            elif kind < 0.94:
                page = f"<p>{text}</p>" + "<div class=x style='color:#333'>&nbsp;</div>\n" * 700
                body = f"Content-Type: text/html; charset=utf-8\n\n{page}\n\n".encode()
            else:
                size = chance.randrange(1 << 14, len(blob))
                body = (
                    f'Content-Type: multipart/mixed; boundary="b{number}"\n\n--b{number}\n'
                    f"Content-Type: text/plain\n\n{text}\n--b{number}\n"
                    "Content-Type: application/pdf; name=a.pdf\n"
                    "Content-Transfer-Encoding: base64\n\n"
                ).encode() + blob[:size]
                body += f"\n--b{number}--\n\n".encode()
            file.write(head.encode() + body)
            number += 1


def measure_large(gigabytes: float) -> dict[str, Any]:
    owner = Owner("Me", frozenset({"me@own.example"}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.mbox"
        write_large(path, gigabytes)
        with peak_memory() as peak:
            seconds, store = timed(lambda: imported(path, owner, f"{folder}/store"))
        again, _ = timed(lambda: imported(path, owner, f"{folder}/store"))
        mails = store.summary(owner).mails
        database = (Path(folder) / "store" / "messages.sqlite").stat().st_size / 1e6
    print(
        f"{gigabytes:g} GB, {mails:,} mails: import {seconds:.1f} s,"
        f" {1e3 * gigabytes / seconds:,.0f} MB/s, peak {peak[0]:.0f} MiB of all processes;"
        f" again {again:.2f} s; store {database:.0f} MB"
    )
    return {
        "gigabytes": gigabytes,
        "mails": mails,
        "seconds": seconds,
        "peak_mib": peak[0],
        "again_seconds": again,
    }


# Near-duplicates


def some_texts(count: int, seed: int = 1) -> list[str]:
    """Replies of 3 to 60 words; a fifth are edited copies of another, near the threshold."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    words = [
        "".join(chance.choices("abcdefghiklmnoprstuvw", k=chance.randrange(2, 9)))
        for _ in range(8000)
    ]
    texts: list[str] = []
    for _ in range(count):
        if texts and chance.random() < 0.2:
            copy = chance.choice(texts).split()
            for _ in range(chance.randrange(0, max(2, len(copy) // 8))):
                copy[chance.randrange(len(copy))] = chance.choice(words)
            texts.append(" ".join(copy))
        else:
            texts.append(" ".join(chance.choices(words, k=chance.randrange(3, 60))))
    return texts


def true_pairs(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    """Every pair at or over the threshold, found exactly: prefix filtering (Chaudhuri, 2006).

    Two sets that similar share one of the few rarest members of either.
    """
    sets = [dedupe.shingles(text) for text in texts]
    often = Counter(member for one in sets for member in one)
    holders: dict[str, list[int]] = {}
    found = set()
    for number, members in enumerate(sets):
        rare = sorted(members, key=lambda member: (often[member], member))
        candidates = set()
        for member in rare[: len(rare) - int(-(-threshold * len(rare) // 1)) + 1]:
            candidates.update(holders.get(member, ()))
            holders.setdefault(member, []).append(number)
        for other in candidates:
            sizes = sorted((len(members), len(sets[other])))
            if (
                sizes[0] >= threshold * sizes[1]
                and dedupe.jaccard(members, sets[other]) >= threshold
            ):
                found.add((other, number))
    return found


def measure_dedupe(count: int) -> dict[str, Any]:
    texts = some_texts(count)
    seconds, groups = timed(lambda: dedupe.near_duplicates(texts))
    exact, truth = timed(lambda: true_pairs(texts, dedupe.THRESHOLD))
    dropped = {position for group in groups for position in group[1:]}
    missed = sum(one not in dropped and other not in dropped for one, other in truth)
    wrong = sum(
        not any((min(group[0], other), max(group[0], other)) in truth for other in (position,))
        for group in groups
        for position in group[1:]
    )
    recall = 1 - missed / max(1, len(truth))
    print(
        f"{count:,} texts: {seconds:.1f} s (all pairs exactly: {exact:.1f} s); {len(truth):,} true"
        f" pairs, recall {recall:.2%}; {wrong} dropped under the threshold"
    )
    return {"texts": count, "seconds": seconds, "exact_seconds": exact, "recall": recall}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    of_mail = commands.add_parser("mail")
    of_mail.add_argument("files", type=Path, nargs="*")
    of_mail.add_argument("--copies", type=int, default=1, help="the file so many times over")
    commands.add_parser("large").add_argument("--gigabytes", type=float, default=10)
    commands.add_parser("dedupe").add_argument("--texts", type=int, default=100_000)
    options = parser.parse_args()
    results: Any
    if options.command == "mail":
        files = options.files or list(REAL)
        results = [measure_mail(file, REAL.get(file), options.copies) for file in files]
    elif options.command == "large":
        results = measure_large(options.gigabytes)
    else:
        results = measure_dedupe(options.texts)
    print(json.dumps({"cores": os.cpu_count(), options.command: results}))


if __name__ == "__main__":
    main()
