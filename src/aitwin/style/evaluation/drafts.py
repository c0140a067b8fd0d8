"""What the models wrote and how likely they found replies, each asked once and remembered.

Everything is appended to a private file beside the adapter as soon as it is there, so that an
evaluation that was stopped or killed goes on where it was. A key holds all that an answer depends
on: format, model, dataset, messages, sampling, seed. Does not judge.
"""

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aitwin import artifact
from aitwin.corpus.dataset import Example
from aitwin.prompt import ChatMessage
from aitwin.style.engine import LlamaCpp, Sampling, Score, TooLongError
from aitwin.style.evaluation.texts import asked
from aitwin.style.guard import Habits, guarded

FILE = "answers.jsonl"
FORMAT = 2
"""Raised when answers of before are no longer true, and are forgotten.

2: until then llama.cpp's store of prompts mixed up base and twin (see engine).
"""


def workplace(adapter: Path) -> Path:
    """Where the answers of an adapter's evaluation are kept: beside it, hidden, private."""
    return adapter.parent / f".{adapter.name}.eval"


class Notebook:
    """Answers by key, in a file of which a torn last line is no harm."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        artifact.make_private_dir(path.parent)
        if path.exists():
            with path.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    self._remember(line)

    def _remember(self, line: str) -> None:
        try:
            entry = json.loads(line)
            if not entry["key"].startswith(_key("")):
                return
            self._known[entry["key"]] = {"model": entry["model"], "value": entry["value"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # killed while it was written

    def find(self, key: str) -> Any:
        """What was noted under `key`; None when nothing was."""
        return self._known[key]["value"] if key in self._known else None

    def note(self, key: str, model: str, value: Any) -> None:
        """Remember what `model` answered, at once and for the next process."""
        self._known[key] = {"model": model, "value": value}
        # In one write, behind a line break of its own: what stands before may be torn.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, b"\n" + self._line(key))
        finally:
            os.close(file)

    def keep_only(self, models: Collection[str]) -> None:
        """Forget what other models answered: drafts of earlier adapters are of no more use."""
        self._known = {key: one for key, one in self._known.items() if one["model"] in models}
        artifact.write_private(self._path, b"".join(map(self._line, self._known)))

    def _line(self, key: str) -> bytes:
        text = json.dumps({"key": key, **self._known[key]}, ensure_ascii=False) + "\n"
        return text.encode("utf-8", "replace")


def _key(digest: str) -> str:
    return f"{FORMAT}:{digest}"


@dataclass(frozen=True)
class Draft:
    """What a model wrote."""

    raw: str = field(repr=False)
    """Before the guard."""
    cut: bool
    """Whether it was stopped at the most tokens that it may have."""

    text: str = field(repr=False)
    """As the owner would get it, after the guard."""
    touched: bool
    """Whether the guard took anything off."""


@dataclass(frozen=True)
class Desk:
    """An engine, asked through a notebook."""

    engine: LlamaCpp
    notebook: Notebook = field(repr=False)
    base: str
    """SHA-256 of the base; its drafts stay good when another adapter is evaluated."""
    adapter: str
    """SHA-256 of the adapter's manifest."""
    dataset: str
    sampling: Sampling
    habits: Habits = field(default=Habits(), repr=False)
    """For the guard, as drafts are served."""

    def draft(self, messages: Sequence[ChatMessage], *, adapted: bool) -> Draft | None:
        """What the model writes; None when the prompt is longer than the context."""
        found = self._asked("draft", messages, adapted, asdict(self.sampling))
        if found is None:
            return None
        # As it is served (see writer): who asks for a subject line gets one.
        passed = guarded(found["raw"], self.habits, asked=asked(messages[-1]["content"]))
        return Draft(found["raw"], found["cut"], passed.text.strip(), bool(passed.interventions))

    def score(self, messages: Sequence[ChatMessage], reply: str, *, adapted: bool) -> Score | None:
        """How likely the model finds `reply`; None when both are longer than the context."""
        found = self._asked("score", messages, adapted, reply)
        return None if found is None else Score(found["log_probability"], found["tokens"])

    def reply_score(self, example: Example, *, adapted: bool) -> Score | None:
        """How likely the model finds what the owner replied."""
        return self.score(example.messages[:-1], example.reply, adapted=adapted)

    def say(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> str:
        """The likeliest answer of the twin."""
        greedy = asdict(Sampling(max_tokens=max_tokens, temperature=0.0, repeat_penalty=1.0))
        found = self._asked("draft", messages, True, greedy)
        return "" if found is None else str(found["raw"])

    def likelihood(self, messages: Sequence[ChatMessage], reply: str) -> float | None:
        """Log-probability of `reply` under the twin; None when it is too long."""
        score = self.score(messages, reply, adapted=True)
        return None if score is None else score.log_probability

    def _asked(
        self, kind: str, messages: Sequence[ChatMessage], adapted: bool, how: Any
    ) -> dict[str, Any] | None:
        model = self.adapter if adapted else self.base
        told = json.dumps([kind, model, self.dataset, list(messages), how], sort_keys=True)
        key = _key(hashlib.sha256(told.encode("utf-8", "replace")).hexdigest())
        found = self.notebook.find(key)
        if found is None:
            ask = self._write if kind == "draft" else self._weigh
            try:
                found = ask(messages, adapted, how)
            except TooLongError:
                found = {"too_long": True}
            self.notebook.note(key, model, found)
        return None if found.get("too_long") else found

    def _write(self, messages: Sequence[ChatMessage], adapted: bool, how: Any) -> dict[str, Any]:
        sampling = Sampling(**how)
        raw = "".join(self.engine.stream(messages, sampling, adapted=adapted))
        # A stream does not say why it ended.
        return {"raw": raw, "cut": len(self.engine.tokenize(raw)) >= sampling.max_tokens - 1}

    def _weigh(self, messages: Sequence[ChatMessage], adapted: bool, how: Any) -> dict[str, Any]:
        return asdict(self.engine.score(messages, how, adapted=adapted))
