"""Which language a reply is in, as far as its words tell; else that of its correspondence.

"ok" and "No." are in no language, "Bis dann" is in one. What is too short to tell goes with the
conversation around it. Never looks anything up: the model is in the package (py3langid).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from aitwin.corpus.pairs import Pair
from aitwin.errors import TwinError

SURE = 0.6
"""Probability from which a text is believed to be in a language."""
ENOUGH = 1000
"""Characters that are looked at: more tell no more."""

_KIN = (
    ("hr", "bs", "sr"),
    ("id", "ms"),
    ("no", "nn", "da"),
    ("zh", "wuu", "yue"),
    ("ar", "arz", "ary"),
)
"""Written so alike that short texts do not tell them apart: who wants one, gets all."""
_KIN_OF = {code: kin[0] for kin in _KIN for code in kin}
_ALIASES = {"nb": "no", "iw": "he", "in": "id", "cmn": "zh", "fil": "tl", "sh": "hr"}
_NONE = "zxx"  # ISO 639 for "no linguistic content"
_NO_WORDS = re.compile(r"\S*(?:://|www\.|@)\S+|\[[A-Z_]+_\d+\]|\S*\d\S*|[!-&(-/:-@\[-`{-~]")


def tell(text: str) -> str:
    """ISO code of the language of a text, or nothing where its words do not tell.

    Of languages that are written alike, the likeliest.
    """
    words = " ".join(_NO_WORDS.sub(" ", text[:ENOUGH]).split())
    if not words:
        return ""
    ranked: list[tuple[str, float]] = _identifier().rank(words)
    best = ranked[0][0]
    sure = sum(share for code, share in ranked if _kin(code) == _kin(best))
    return best if sure >= SURE and best != _NONE else ""


def told(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with the languages of their replies.

    A reply that does not tell is in the language of its thread, else of what is written with the
    same people, else of most replies: each time if anything there tells.
    """
    sure = {pair.id: tell(pair.reply) for pair in pairs}
    threads: defaultdict[str, Counter[str]] = defaultdict(Counter)
    people: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        if language := sure[pair.id]:
            threads[pair.thread][language] += 1
            people[pair.people][language] += 1
    everything = sum(people.values(), Counter())

    def language_of(pair: Pair) -> str:
        if told := sure[pair.id]:
            return told
        if counts := threads.get(pair.thread):
            return _commonest(counts)
        if asked := tell(pair.incoming[-ENOUGH:]):
            return asked
        return _commonest(people.get(pair.people) or everything)

    return [replace(pair, language=language_of(pair)) for pair in pairs]


def wanted(language: str, languages: Iterable[str]) -> bool:
    """Whether a reply in `language` is one that the owner wants; what is unknown passes."""
    return not language or _kin(language) in {_kin(one) for one in languages}


def codes(languages: Iterable[str]) -> tuple[str, ...]:
    """The languages as this module writes them. Raises TwinError for one that it cannot tell."""
    plain = [re.split("[-_]", language.strip().lower())[0] for language in languages]
    plain = [_ALIASES.get(language, language) for language in plain]
    known = set(_identifier().labels) - {_NONE}
    if unknown := [language for language in plain if language not in known]:
        raise TwinError(
            f"{', '.join(unknown)}: no language that can be told apart here; "
            "give two-letter codes such as en, de, pt"
        )
    return tuple(dict.fromkeys(plain))


def _kin(language: str) -> str:
    return _KIN_OF.get(language, language)


def _commonest(counts: Counter[str]) -> str:
    return min(counts, default="", key=lambda language: (-counts[language], language))


@cache
def _identifier() -> Any:
    """Half a second and 100 MB: loaded when a language is asked about."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
