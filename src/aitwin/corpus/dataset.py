"""The finished dataset: ChatML rows in three parts, and a manifest that says where they came from.

`train.jsonl`, `valid.jsonl`, `test.jsonl` and, written last, `manifest.json`. All that the style
half knows of mail and chats. Does not choose pairs: see curate.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any, Literal

import aitwin
from aitwin import artifact, prompt
from aitwin.corpus import dedupe
from aitwin.corpus.funnel import Funnel
from aitwin.corpus.messages import Channel
from aitwin.corpus.pairs import Pair
from aitwin.corpus.report import lose
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Persona

Split = Literal["train", "valid", "test"]

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
VALID_SHARE = 0.1
TEST_SHARE = 0.1
LARGEST_SHARE = 0.5
"""A thread that would fill more than this of a held-out part stays in training."""
FORMAT = 1
REMEDY = "make it with `twin dataset build`"


@dataclass(frozen=True)
class Example:
    """One row: the prompt as it will be served, and the owner's reply as the last message."""

    id: str
    thread: str
    channel: Channel
    sent_at: datetime
    messages: list[ChatMessage] = field(repr=False)

    @property
    def reply(self) -> str:
        """What the owner wrote."""
        return self.messages[-1]["content"]


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk, complete and unchanged since it was built."""

    path: Path
    persona: Persona
    counts: dict[Split, int]
    manifest: dict[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """One hash for all rows; an adapter keeps it to say what it was trained on."""
        return str(self.manifest["digest"])

    @property
    def funnel(self) -> Funnel:
        """How the messages read became these rows, with a reason for every loss."""
        return Funnel.from_json(self.manifest["funnel"])

    def split(self, name: Split) -> list[Example]:
        """The rows of one part, oldest first."""
        # Not splitlines(): a reply may hold U+2028, which JSON leaves as it is.
        with (self.path / f"{name}.jsonl").open(encoding="utf-8", newline="\n") as lines:
            return [_example(json.loads(line)) for line in lines]


def build(
    pairs: Sequence[Pair],
    persona: Persona,
    target: Path,
    *,
    funnel: Funnel | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Dataset:
    """Write the dataset of the chosen `pairs` to the directory `target`, whole or not at all.

    Raises TwinError when they are too few, or too little apart, for three parts.
    """
    dropped: Counter[str] = Counter()
    parts = split(pairs, dropped)
    if not all(parts.values()):
        raise TwinError(
            f"{len(pairs)} pairs of {len({pair.thread for pair in pairs})} conversations cannot be "
            "split into training, validation and test; add more mail or chats (twin corpus add)"
        )
    funnel = Funnel(list(funnel.stages) if funnel else [])
    funnel.add("split", "pairs", len(pairs), dropped)
    with artifact.building(target) as scratch:
        digests = {}
        for name, part in parts.items():
            rows = "".join(_line(pair, persona) for pair in part)
            artifact.write_private(scratch / f"{name}.jsonl", rows)
            digests[name] = hashlib.sha256(rows.encode()).hexdigest()
        manifest = {
            "kind": "dataset",
            "format": FORMAT,
            "aitwin": aitwin.__version__,
            "persona": asdict(persona),
            "counts": {name: len(part) for name, part in parts.items()},
            "channels": dict(Counter(pair.channel for pair in pairs)),
            "languages": dict(Counter(pair.language for pair in pairs if pair.language)),
            "digests": digests,
            "digest": hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
            "funnel": funnel.as_json(),
            "settings": dict(settings or {}),
        }
        artifact.write_manifest(scratch, manifest)
    return load(target)


def load(path: Path) -> Dataset:
    """The dataset at `path`. Raises TwinError when it is absent, incomplete or has been changed."""
    manifest = artifact.read_manifest(path, kind="dataset", remedy=REMEDY)
    if manifest.get("kind") != "dataset" or manifest.get("format") != FORMAT:
        raise TwinError(f"{path} is no dataset that this version can read; {REMEDY}")
    for name in SPLITS:
        file = path / f"{name}.jsonl"
        if not file.is_file() or artifact.sha256(file) != manifest["digests"][name]:
            raise TwinError(f"{file} is missing or was changed after it was built; {REMEDY} again")
    persona = Persona(manifest["persona"]["name"], tuple(manifest["persona"]["traits"]))
    return Dataset(path, persona, {name: manifest["counts"][name] for name in SPLITS}, manifest)


def split(pairs: Iterable[Pair], dropped: Counter[str]) -> dict[Split, list[Pair]]:
    """Whole threads, by time: the newest are the test, those before them the validation.

    Mail and chats are split alike, so that each part has its share of both. A held-out reply that
    nearly repeats one in training would measure memory, not style: it is left out and counted.
    """
    parts: dict[Split, list[Pair]] = {name: [] for name in SPLITS}
    everything = list(pairs)
    for channel in ("mail", "chat"):
        these = [pair for pair in everything if pair.channel == channel]
        rest = _take_newest(these, TEST_SHARE * len(these), parts["test"])
        parts["train"] += _take_newest(rest, VALID_SHARE * len(these), parts["valid"])
    for part in parts.values():
        part.sort(key=lambda pair: (pair.sent_at, pair.id))
    for name in ("valid", "test"):
        kept = _unlike(parts["train"], parts[name])
        stays = {pair.id for pair in kept}
        for pair in parts[name]:
            if pair.id not in stays:
                lose(dropped, f"{name} reply that nearly repeats one in training", pair.id)
        parts[name] = kept
    return parts


def _take_newest(pairs: list[Pair], wanted: float, part: list[Pair]) -> list[Pair]:
    """Move the newest threads to `part` until it has `wanted` pairs; what stays is returned.

    Threads with a pinned pair come last: the owner wants them learnt.
    """
    threads: dict[str, list[Pair]] = {}
    for pair in pairs:
        threads.setdefault(pair.thread, []).append(pair)
    newest = sorted(
        threads,
        key=lambda key: (
            not any(p.pinned for p in threads[key]),
            max((p.sent_at, p.id) for p in threads[key]),
        ),
    )
    taken: set[str] = set()
    count = 0
    for key in reversed(newest):
        if count >= wanted or len(taken) == len(newest) - 1:
            break
        if len(threads[key]) <= max(1, LARGEST_SHARE * wanted):
            taken.add(key)
            count += len(threads[key])
            part += threads[key]
    return [pair for pair in pairs if pair.thread not in taken]


def _unlike(train: list[Pair], held_out: list[Pair]) -> list[Pair]:
    """The held-out pairs whose replies no reply in training comes near.

    By the true similarity of all that could be alike, not by MinHash, which misses one in some
    hundred: texts that reach the threshold share one of their few rarest shingles (prefix
    filtering, Chaudhuri et al., 2006).
    """
    learnt = [dedupe.shingles(pair.reply) for pair in train]
    commonness = Counter(shingle for these in learnt for shingle in these)

    def rarest(these: frozenset[str]) -> list[str]:
        ranked = sorted(these, key=lambda shingle: (commonness[shingle], shingle))
        return ranked[: len(these) - ceil(dedupe.THRESHOLD * len(these) - 1e-9) + 1]

    having: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for these in learnt:
        for shingle in rarest(these):
            having[shingle].append(these)

    def repeats(pair: Pair) -> bool:
        these = dedupe.shingles(pair.reply)
        near = (other for shingle in rarest(these) for other in having.get(shingle, ()))
        return any(dedupe.jaccard(these, other) >= dedupe.THRESHOLD for other in near)

    return [pair for pair in held_out if not repeats(pair)]


def _line(pair: Pair, persona: Persona) -> str:
    row = {
        "id": pair.id,
        "thread": pair.thread,
        "channel": pair.channel,
        "sent_at": pair.sent_at.isoformat(),
        "messages": [
            *prompt.messages(persona, pair.task),
            {"role": "assistant", "content": pair.reply},
        ],
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _example(row: dict[str, Any]) -> Example:
    sent_at = datetime.fromisoformat(row["sent_at"])
    return Example(row["id"], row["thread"], row["channel"], sent_at, row["messages"])
