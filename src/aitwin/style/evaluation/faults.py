"""What a draft must not be: announced, refused, empty, looping, in another language, unfaithful.

Each question is answered by yes or no per draft, of what the model wrote before the guard touched
it. Does not know whose text it is; the owner's own replies are asked the same, as the ceiling.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

from aitwin.style.evaluation.measures import CANDIDATES, Candidate, Measure, Section
from aitwin.style.evaluation.statistics import mean, share
from aitwin.style.guard import guarded
from aitwin.style.nearest import words

LOOP_WORDS = 24
"""A shorter text is never said to loop."""
LOOP_GRAM = 4
LOOP_SHARE = 0.5
"""Of its word 4-grams, how many have been there before (seq-rep-4; Welleck et al. 2020)."""
LOOP_CHARACTERS = 300
LOOP_RATIO = 0.25
"""Compressed size over size: prose of some hundred characters stays above 0.4."""
SURE = 0.9
"""Probability from which a text is believed to be in a language."""
TELLING = 6
"""Words before a text is said to be in any."""

_REFUSAL = re.compile(
    r"\b(?:as an ai\b|as a (?:large )?language model|i(?:'m| am) (?:just )?an ai\b|"
    r"i(?:'m| am) (?:sorry|afraid),? (?:but )?(?:i )?(?:can(?:'|no|’)t|am (?:not able|unable)) "
    r"(?:to )?(?:assist|help|fulfill|comply|provide|write|create|generate)|"
    r"i can(?:'|no|’)t (?:assist|help) (?:you )?with (?:that|this)|"
    r"als (?:eine )?ki\b|als sprachmodell|en tant qu['’]ia\b|modèle de langage|"
    r"como (?:una )?ia\b|modelo de lenguaje)",
    re.IGNORECASE,
)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]+", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,:/-]\d+)*(?![\w])")
_MONTHS = (
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday "
    "januar februar märz mai juni juli oktober dezember "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "
    "lundi mardi mercredi jeudi vendredi samedi dimanche "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "lunes martes miércoles jueves viernes sábado domingo"
)
_DATE = re.compile(rf"(?<!\w)(?:{'|'.join(_MONTHS.split())})(?!\w)", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|„[^“\n]*“|«[^»\n]*»")


@dataclass(frozen=True)
class Case:
    """One draft and what it was to be."""

    group: str
    """The conversation."""
    instruction: str = field(repr=False)
    prompt: str = field(repr=False)
    """All that was asked, the instruction with it."""
    owner: str = field(repr=False)
    """What the owner replied."""
    raw: str = field(repr=False)
    """What the model wrote, before the guard."""
    cut: bool = False
    """Whether it was stopped at the most tokens that it may have."""
    touched: bool = False
    """Whether the guard took anything off."""


def measure(cases: Mapping[Candidate, Sequence[Case]]) -> Section:
    """Rates of each fault by candidate."""
    questions: tuple[tuple[str, str, Any], ...] = (
        ("preamble", "announces itself", lambda case: announced(case.raw)),
        ("guarded", "the guard takes something off", lambda case: case.touched),
        ("refusal", "refuses", lambda case: refuses(case.raw)),
        ("empty", "is empty or loops", lambda case: not words(case.raw) or loops(case.raw)),
        ("language", "in another language than your reply", drifts),
        ("cut", "not ended at the longest draft", lambda case: case.cut),
        ("invented", "names a number, address or link that was not asked about", invents),
    )
    lines = [
        Measure(
            f"faults.{key}", name, "share", "owner" if key == "invented" else "low",
            {c: share([ask(case) for case in cases[c]], _groups(cases[c]))
             for c in CANDIDATES if c in cases},
            headline=key in ("preamble", "empty"),
        )
        for key, name, ask in questions
    ]  # fmt: skip
    faithful = {}
    for candidate in (c for c in CANDIDATES if c in cases):
        told = [(kept(case), case.group) for case in cases[candidate]]
        asked = [(found, group) for found, group in told if found is not None]
        faithful[candidate] = mean([found for found, _ in asked], [group for _, group in asked])
    lines.append(
        Measure("faults.facts", "facts of the instruction that are kept", "share", "high", faithful)
    )
    note = (
        "Counted in what the model wrote, before the guard took anything off. Facts are the "
        "numbers, dates, names and links of the instruction; a reply need not repeat them, so your "
        "own share is what to compare with."
    )
    return Section("Faults", note, tuple(lines))


def _groups(cases: Sequence[Case]) -> list[str]:
    return [case.group for case in cases]


def announced(raw: str) -> bool:
    """Whether the guard would take an announcement off."""
    return "announcement" in guarded(raw).interventions


def refuses(raw: str) -> bool:
    """Whether it declines as an assistant does."""
    return _REFUSAL.search(raw) is not None


def loops(text: str) -> bool:
    """Whether it says the same again and again."""
    said = words(text)
    if len(said) < LOOP_WORDS:
        return False
    grams = [tuple(said[at : at + LOOP_GRAM]) for at in range(len(said) - LOOP_GRAM + 1)]
    data = text.encode("utf-8", "replace")
    packed = len(zlib.compress(data, 9)) / len(data)
    return 1 - len(set(grams)) / len(grams) >= LOOP_SHARE or (
        len(data) >= LOOP_CHARACTERS and packed < LOOP_RATIO
    )


def drifts(case: Case) -> bool:
    """Whether the draft is surely in another language than the owner's reply, or than the prompt
    where that reply does not tell."""
    written = language(case.raw)
    wanted = language(case.owner) or language(case.prompt)
    return bool(written and wanted and written != wanted)


def language(text: str) -> str:
    """ISO code of a text's language; empty where it does not tell."""
    plain = " ".join(_NUMBER.sub(" ", _URL.sub(" ", text[:1000])).split())
    if len(words(plain)) < TELLING:
        return ""
    code, sure = _identifier().classify(plain)
    return str(code) if sure >= SURE else ""


def kept(case: Case) -> float | None:
    """Share of the instruction's facts that the draft names; None where it has none."""
    wanted = facts(case.instruction)
    if not wanted:
        return None
    said = set(words(case.raw))
    return sum(any(word in said for word in words(fact)) for fact in wanted) / len(wanted)


def facts(text: str) -> set[str]:
    """Numbers, names of days and months, links, and names: runs of capitalised words amid a
    sentence, outside quotation marks. "Ana Reis" is one fact, for who is greeted as Ana is she.
    """
    found = {*_URL.findall(text), *_NUMBER.findall(text), *_DATE.findall(text)}
    name: list[str] = []
    for before, word in pairwise(["", *_QUOTED.sub(" ", text).split(), ""]):
        if before and before[-1] not in ".!?:" and word[:1].isupper():
            name.append(word.strip(".,;:!?()'’"))
        elif name:
            found.add(" ".join(name))
            name = []
    return found


def invents(case: Case) -> bool:
    """Whether it has a number of two digits or more, or a link, that the prompt does not have."""
    there = set(_hard(case.prompt))
    return any(fact not in there for fact in _hard(case.raw))


def _hard(text: str) -> list[str]:
    numbers = [number for number in _NUMBER.findall(text) if len(number) > 1]
    return [*numbers, *(url.rstrip(".,;") for url in _URL.findall(text))]


@cache
def _identifier() -> Any:
    """Half a second and 100 MB: loaded when a language is asked about."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
