"""How fast we read a mailbox, against the standard library, in the same run on the same file.

    python benchmarks/mbox.py [FILE] [--rounds N]

Two comparisons: finding every message with its headers (`mail.index` against `mailbox` opening the
file and parsing headers), and the whole of it (`mail.read` against `mailbox` with full parse).
Times on a shared machine swing; the ratios are what counts, so each round interleaves the four.
"""

import argparse
import email
import email.parser
import json
import mailbox
import time
from collections.abc import Callable
from pathlib import Path

from aitwin.corpus import mail
from aitwin.corpus.report import Skipped

DEFAULT = Path(__file__).parents[2] / "shared" / "corpora" / "baechle-mips" / "all.mbox"


def ours_index(path: Path) -> int:
    return sum(1 for _ in mail.index(path, Skipped()))


def ours_read(path: Path) -> int:
    return sum(1 for _ in mail.read(path, Skipped()))


def stdlib_index(path: Path) -> int:
    parser = email.parser.BytesHeaderParser()
    box = mailbox.mbox(path, factory=lambda file: parser.parse(file), create=False)
    return sum(1 for _ in box)


def stdlib_read(path: Path) -> int:
    """Index and parse only: no charset, no HTML, no choice among alternatives."""
    return sum(1 for _ in mailbox.mbox(path, create=False))


def measure(path: Path, rounds: int) -> dict[str, dict[str, float]]:
    readers: dict[str, Callable[[Path], int]] = {
        "index, aitwin": ours_index,
        "index, mailbox": stdlib_index,
        "read, aitwin": ours_read,
        "read, mailbox": stdlib_read,
    }
    seconds: dict[str, float] = {}
    counts: dict[str, int] = {}
    for _ in range(rounds):
        for name, reader in readers.items():
            start = time.process_time()
            counts[name] = reader(path)
            seconds[name] = min(seconds.get(name, float("inf")), time.process_time() - start)
    megabytes = path.stat().st_size / 1e6
    return {
        name: {
            "messages": counts[name],
            "seconds": spent,
            "megabytes_per_second": megabytes / spent,
        }
        for name, spent in seconds.items()
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path, nargs="?", default=DEFAULT)
    arguments.add_argument("--rounds", type=int, default=2, help="the best of so many (CPU time)")
    options = arguments.parse_args()
    results = measure(options.file, options.rounds)
    for name, row in results.items():
        print(
            f"{name:16} {row['messages']:8,.0f} messages {row['seconds']:8.2f} s"
            f" {row['megabytes_per_second']:8.1f} MB/s"
        )
    ratios = {
        stage: results[f"{stage}, mailbox"]["seconds"] / results[f"{stage}, aitwin"]["seconds"]
        for stage in ("index", "read")
    }
    print(
        json.dumps(
            {
                "file": str(options.file),
                "bytes": options.file.stat().st_size,
                "results": results,
                "ratios": ratios,
            }
        )
    )


if __name__ == "__main__":
    main()
