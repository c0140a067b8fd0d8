"""Instructions for first mails, worded by the owner's own base model (Panza's method).

The model sees a mail that is redacted already, and is asked what request it would answer. Its
answer is checked, for small models ramble: what is malformed is dropped, counted, and the rule's
instruction stays (see instructions). Loads no model: it is handed one that runs on this machine.
"""

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aitwin import artifact
from aitwin.corpus import instructions, languages
from aitwin.corpus.pairs import Pair
from aitwin.prompt import ChatMessage, plain

FILE = "instructions.jsonl"
"""What the model said so far, beside the corpus: an interrupted run goes on where it was."""
VERSION = 1
"""Of the prompt: another one asks anew."""
SENTENCES, WORDS = 3, 60
"""At most, in an instruction."""
MAX_TOKENS = 120
"""60 words with their marks, and a little: what is longer is malformed anyway."""

_SYSTEM = "You say in one to three sentences what a mail was asked to be."
_TASK = "Begin with a verb such as Write, Ask, Tell. Do not repeat sentences of the mail."
_EXAMPLE = (
    "Instruction for this mail:\n\nHi Lena,\n\nthe heating engineer can come on Tuesday between "
    "eight and ten. Could you let him in? The key hangs in the shed.",
    "Write a short mail to Lena. Tell her when the heating engineer comes, and ask her to open "
    "the door for him.",
)
_SENTENCE_END = re.compile(r"[.!?。！？]+(?=\s|$)")
_PREAMBLE = re.compile(
    r"sure\b|certainly\b|of course\b|absolutely\b|okay\b|ok\b|here(?:'s|’s| is| are)\b|below\b"
    r"|(?:the )?instructions?\b|as an\b|this (?:is|mail|email)\b|the (?:mail|email|message)\b"
    r"|[*#>\[-]",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r"(?:please )?(?:write|draft|compose|send|ask|tell|thank|invite|inform|let|request|apologi[sz]e"
    r"|explain|remind|announce|confirm|suggest|offer|share|update|notify|describe|propose|report"
    r"|give|say|complain|congratulate|introduce|warn|wish|answer|forward|point out|recommend"
    r"|schreib|verfass|bitte|frag|sag|teil|lad|écri|rédige|demande|remercie|escrib|redact|pide"
    r"|pregunta|scriv|chied|ringrazi|escrev|peç|pergunt|schrijf|vraag|skriv|napisz|напиш|yaz)",
    re.IGNORECASE,
)
_TELLING = re.compile(r"\[[A-Z_]+_\d+\]|\d+")
_KNOWN = "What is known:"


@dataclass(frozen=True)
class Author:
    """A model on this machine that words instructions."""

    model: str
    """What is to be remembered with its answers: the digest of its file."""
    answer: Callable[[Sequence[ChatMessage], int], str] = field(repr=False)
    """The likeliest answer to a prompt, of so many tokens at most."""
    track: Callable[[Sequence[Pair]], Iterable[Pair]] = iter
    """Passes the pairs on, and shows how far it is."""


def reworded(
    pairs: Sequence[Pair], author: Author, directory: Path
) -> tuple[list[Pair], Counter[str]]:
    """The pairs, first mails with the model's instructions; and how each first mail fared.

    Answers are kept in `directory`, readable by the owner alone. Counted are those "worded by the
    model", and the malformed ones by reason.
    """
    cache = _Cache(directory / FILE)
    fates: Counter[str] = Counter()
    worded: dict[str, str] = {}
    for pair in author.track([pair for pair in pairs if pair.begins]):
        prompt = messages(pair)
        key = _key(pair, author.model, prompt)
        if (said := cache.get(key)) is None:
            said = author.answer(prompt, MAX_TOKENS)
            cache.put(key, said)
        instruction = " ".join(said.split())
        flaw = malformed(instruction, pair)
        fates[flaw or "worded by the model"] += 1
        if not flaw:
            worded[pair.id] = instruction
    return [replace(p, instruction=worded.get(p.id, p.instruction)) for p in pairs], fates


def messages(pair: Pair) -> list[ChatMessage]:
    """What the model is asked about a first mail."""
    known = f"{_KNOWN} {plain(pair.instruction)}"
    asked, answered = _EXAMPLE
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"{asked}\n\n{_TASK}"},
        {"role": "assistant", "content": answered},
        {
            "role": "user",
            "content": f"Instruction for this mail:\n\n{plain(pair.reply)}\n\n{known}\n{_TASK}",
        },
    ]


def malformed(instruction: str, pair: Pair) -> str:
    """Why `instruction` will not do for this pair; nothing when it will."""
    if not instruction.strip():
        return "empty"
    if _PREAMBLE.match(instruction):
        return "begins with a preamble"
    if len(instructions.words(instruction)) > WORDS:
        return f"over {WORDS} words"
    if not instruction.endswith((".", "!", "?", "。")):
        return "does not end"
    if len(_SENTENCE_END.findall(instruction)) > SENTENCES:
        return f"over {SENTENCES} sentences"
    if not _IMPERATIVE.match(instruction):
        return "asks for nothing"
    if instructions.gives_away(instruction, pair.reply, pair.subject):
        return "repeats the mail"
    if instructions.gives_away(instruction, "\n".join((*_EXAMPLE, _TASK))) or _KNOWN in instruction:
        return "repeats the prompt"
    if languages.tell(instruction) not in ("", "en", pair.language) or (
        _scripts(instruction) - _scripts(f"a {pair.reply} {pair.instruction}")
    ):
        return "in another language"
    return _invented(instruction, pair)


def _invented(instruction: str, pair: Pair) -> str:
    """What the model made up, as far as names and numbers tell."""
    there = f"{pair.instruction} {pair.reply}"
    if set(_TELLING.findall(instruction)) - set(_TELLING.findall(there)):
        return "invents a number or a placeholder"
    to = set(instructions.words(" ".join(pair.people))) & set(instructions.words(pair.instruction))
    if to and not to & set(instructions.words(instruction)):
        return "for somebody else"
    return ""


def _scripts(text: str) -> set[str]:
    return {unicodedata.name(c, "?").split(" ")[0] for c in set(text) if c.isalpha()}


def _key(pair: Pair, model: str, prompt: list[ChatMessage]) -> str:
    asked = json.dumps([VERSION, pair.id, model, prompt], ensure_ascii=True)
    return hashlib.sha256(asked.encode()).hexdigest()


class _Cache:
    """Answers by key, one a line; a line that was cut off is as if it were not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers: dict[str, str] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                self._learn(line)

    def _learn(self, line: str) -> None:
        try:
            entry = json.loads(line)
            self._answers[entry["key"]] = str(entry["said"])
        except (ValueError, KeyError, TypeError):
            return

    def get(self, key: str) -> str | None:
        return self._answers.get(key)

    def put(self, key: str, said: str) -> None:
        self._answers[key] = said
        artifact.make_private_dir(self._path.parent)
        handle = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            # The line break comes first: what a killed run left half stays by itself.
            file.write("\n" + json.dumps({"key": key, "said": said}))
