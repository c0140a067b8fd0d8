"""How well own words are told from everybody else's: on labelled mails and on two real mailboxes.

    python benchmarks/extraction.py [--shared ../shared] [--offenders]

Labelled: own text lost and exact matches on the test mails of three strippers and on invented
mails. Real: lines of a reply (of 20 characters and more) that stand verbatim in the mail that it
answers, replies that come out empty, and megabytes of the owner's mail per second. Of the
offenders only what kind of line they are is shown, never their words.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aitwin.corpus import clean, machine, mail
from aitwin.corpus.messages import Message
from aitwin.corpus.report import Skipped

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "corpus"))

import labelled  # noqa: E402 -- beside the tests, which hold the same mails

MAILBOXES = ("baechle-mips", "leech-usrp")
SHORTEST = 20
"""Characters; "Thanks," and "Hi," stand in many mails by chance."""


def score(cases: Iterable[labelled.Case]) -> dict[str, float]:
    outcomes = [labelled.outcome(case) for case in cases]
    return {
        "mails": len(outcomes),
        "exact": sum(outcome.is_exact for outcome in outcomes) / len(outcomes),
        "own text lost": sum(bool(outcome.lost) for outcome in outcomes),
        "foreign text kept": sum(bool(outcome.foreign) for outcome in outcomes),
    }


def replies(folder: Path) -> list[tuple[Message, Message | None]]:
    """The owner's mails with what they answer, by the truth that lies beside the mailbox."""
    rows = {
        row["mid"].strip("<>"): row
        for row in map(json.loads, (folder / "truth.jsonl").read_text().splitlines())
    }
    messages = {message.id: message for message in mail.read(folder / "all.mbox", Skipped())}
    return [
        (message, messages.get((rows[id_]["parent"] or "").strip("<>")))
        for id_, message in messages.items()
        if id_ in rows and rows[id_]["owner"]
    ]


def measure(folder: Path) -> tuple[dict[str, float], Counter[str]]:
    pairs = replies(folder)
    start = time.process_time()
    owns = [clean.own_words(message.text) for message, _ in pairs]
    seconds = time.process_time() - start
    offenders: Counter[str] = Counter()
    lines = repeated = 0
    for (_, parent), own in zip(pairs, owns, strict=True):
        if parent is None:
            continue
        theirs = set(labelled.plain_lines(parent.text))
        mine = [line for line in own.split("\n") if len(" ".join(line.split())) >= SHORTEST]
        again = [line for line in mine if " ".join(line.split()) in theirs]
        lines, repeated = lines + len(mine), repeated + len(again)
        offenders.update(map(kind, again))
    return {
        "mails": len(pairs),
        "lines": lines,
        "repeated": repeated,
        "share": repeated / lines,
        "empty": sum(not own for own in owns),
        "megabytes_per_second": sum(len(message.text) for message, _ in pairs) / seconds / 1e6,
    }, offenders


def kind(line: str) -> str:
    """What sort of line this is, in a word that gives nothing of it away."""
    if machine.looks_machine(line):
        return "code or log"
    if line[:1] in " \t":
        return "indented"
    if sum(map(str.isalpha, line)) < 0.6 * len(line):
        return "mostly signs and numbers"
    return "words"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    arguments.add_argument("--offenders", action="store_true", help="kinds of repeated lines")
    options = arguments.parse_args()
    results: dict[str, dict[str, float]] = {
        "test mails of three strippers": score(labelled.fixtures(options.shared)),
        **{path.stem: score(labelled.invented(path.name)) for path in _invented()},
    }
    for name, row in results.items():
        print(
            f"{name:32} {row['mails']:5.0f} mails {row['exact']:7.1%} exact"
            f" {row['own text lost']:3.0f} with own text lost"
            f" {row['foreign text kept']:3.0f} with foreign text kept"
        )
    for name in MAILBOXES:
        results[name], offenders = measure(options.shared / "corpora" / name)
        row = results[name]
        print(
            f"{name:32} {row['mails']:5.0f} mails {row['share']:7.2%} of {row['lines']:.0f} lines"
            f" repeated {row['empty']:3.0f} empty {row['megabytes_per_second']:5.1f} MB/s"
        )
        if options.offenders:
            print("    " + ", ".join(f"{count} {what}" for what, count in offenders.items()))
    print(json.dumps(results))


def _invented() -> list[Path]:
    return sorted(labelled.DATA.glob("own_words_*.txt"))


if __name__ == "__main__":
    main()
