"""What the owner decided by hand: pairs that are never learnt from, and pairs that always are.

A small private file beside the corpus, so that it outlives every dataset. It holds hashes only.
Does not choose: see curate and dedupe, which obey.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aitwin import artifact
from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError

Mark = Literal["drop", "pin"]

FILE = "marks.json"
FORMAT = 1
LISTED = 5
"""Ids named in an error about an ambiguous one."""


@dataclass(frozen=True)
class Marks:
    """The marks by the id of their pair, and what that pair was made of."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pair id -> hashes of its messages. A chat that grew may cut its turns elsewhere, which gives
    pairs new ids: a message that was dropped stays dropped all the same."""

    def count(self, mark: Mark) -> int:
        """How many pairs bear it."""
        return sum(one == mark for one in self.marks.values())

    def marked(self, pair_ids: Mapping[str, Sequence[str]], mark: Mark) -> "Marks":
        """With a mark on these pairs (id -> hashes of messages); it replaces another one."""
        rest = self.unmarked(pair_ids)
        messages = {id_: tuple(hashes) for id_, hashes in pair_ids.items()}
        return Marks({**rest.marks, **dict.fromkeys(pair_ids, mark)}, {**rest.messages, **messages})

    def unmarked(self, pair_ids: Mapping[str, Sequence[str]]) -> "Marks":
        """Without any mark on these pairs, also where a mark was on an earlier cut of them."""
        touched = {hash_ for hashes in pair_ids.values() for hash_ in hashes}
        rest = {
            id_: tuple(hash_ for hash_ in self.messages.get(id_, ()) if hash_ not in touched)
            for id_ in self.marks
            if id_ not in pair_ids
        }
        stays = [id_ for id_, hashes in rest.items() if hashes or not self.messages.get(id_)]
        return Marks({id_: self.marks[id_] for id_ in stays}, {id_: rest[id_] for id_ in stays})

    def concerned(self, pair_ids: Mapping[str, Sequence[str]]) -> list[str]:
        """Those of these pairs (id -> hashes of messages) that any mark is on."""
        marked = self._keys("drop") | self._keys("pin")
        return [
            id_
            for id_, hashes in pair_ids.items()
            if id_ in marked or not marked.isdisjoint(hashes)
        ]

    def of(self, pair_ids: Mapping[str, Sequence[str]]) -> dict[str, Mark]:
        """The mark that each of these pairs bears (id -> hashes of messages), of those that do."""
        found: dict[str, Mark] = {}
        for mark in ("pin", "drop"):  # what is both is dropped
            marked = self._keys(mark)
            for id_, hashes in pair_ids.items():
                if id_ in marked or not marked.isdisjoint(hashes):
                    found[id_] = mark
        return found

    def dropped(self, pairs: Iterable[Pair]) -> frozenset[str]:
        """The ids of those that hold a message that the owner dropped."""
        return self._bearing("drop", pairs)

    def pinned(self, pairs: Iterable[Pair]) -> frozenset[str]:
        """The ids of those that the owner pinned and did not drop."""
        every = list(pairs)
        return self._bearing("pin", every) - self._bearing("drop", every)

    def _bearing(self, mark: Mark, pairs: Iterable[Pair]) -> frozenset[str]:
        marked = self._keys(mark)
        return frozenset(
            pair.id for pair in pairs if pair.id in marked or not marked.isdisjoint(pair.messages)
        )

    def _keys(self, mark: Mark) -> set[str]:
        ids = [id_ for id_, one in self.marks.items() if one == mark]
        return {*ids, *(hash_ for id_ in ids for hash_ in self.messages.get(id_, ()))}


def load(directory: Path) -> Marks:
    """The marks in the corpus at `directory`; none when there is no file.

    Raises TwinError when the file cannot be read: going on without it would bring back what the
    owner dropped.
    """
    path = directory / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise TwinError(f"{path} was made by another version of twin; update twin")
        marks = {str(id_): _mark(entry["mark"]) for id_, entry in content["marks"].items()}
        messages = {
            str(id_): tuple(map(str, entry["messages"])) for id_, entry in content["marks"].items()
        }
    except FileNotFoundError:
        return Marks()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TwinError(
            f"{path} is damaged, and holds what you dropped and pinned; put it back from a "
            "backup, or delete it to begin without marks"
        ) from None
    return Marks(marks, messages)


def save(directory: Path, marks: Marks) -> Path:
    """Write the marks, wholly or not at all."""
    entries = {
        id_: {"mark": mark, "messages": list(marks.messages.get(id_, ()))}
        for id_, mark in sorted(marks.marks.items())
    }
    path = directory / FILE
    artifact.write_private(path, json.dumps({"format": FORMAT, "marks": entries}, indent=1) + "\n")
    return path


def resolve(prefixes: Iterable[str], ids: Iterable[str], what: str = "pair") -> list[str]:
    """The one of `ids` that each of `prefixes` begins, in order and once each.

    Raises TwinError that names every prefix which begins none of them, or several.
    """
    known = sorted(set(ids))
    found: dict[str, None] = {}
    problems = []
    for prefix in prefixes:
        wanted = prefix.strip().lower()
        fitting = [id_ for id_ in known if wanted and id_.startswith(wanted)]
        if wanted in fitting or len(fitting) == 1:
            found[wanted if wanted in fitting else fitting[0]] = None
        elif not fitting:
            problems.append(f"no {what} has an id that begins with {prefix!r}")
        else:
            more = f" and {len(fitting) - LISTED} more" if len(fitting) > LISTED else ""
            listed = ", ".join(fitting[:LISTED]) + more
            problems.append(f"{prefix!r} begins {len(fitting)} ids ({listed}): give more of it")
    if problems:
        raise TwinError(
            f"{'; '.join(problems)}. Nothing was done; "
            "`twin dataset report` shows the pairs with their ids"
        )
    return list(found)


def _mark(value: object) -> Mark:
    if value == "drop":
        return "drop"
    if value == "pin":
        return "pin"
    raise ValueError("neither drop nor pin")
