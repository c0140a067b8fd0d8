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

from aitwin.corpus import words
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
_NAMES = dict(
    re.findall(
        r"(\w+):(\w+)",
        "af:Afrikaans am:Amharic ar:Arabic az:Azerbaijani be:Belarusian bg:Bulgarian bn:Bengali "
        "br:Breton bs:Bosnian ca:Catalan cs:Czech cy:Welsh da:Danish de:German el:Greek en:English "
        "eo:Esperanto es:Spanish et:Estonian eu:Basque fa:Persian fi:Finnish fr:French fy:Frisian "
        "ga:Irish gl:Galician gu:Gujarati ha:Hausa he:Hebrew hi:Hindi hr:Croatian hu:Hungarian "
        "hy:Armenian id:Indonesian is:Icelandic it:Italian ja:Japanese ka:Georgian kk:Kazakh "
        "km:Khmer kn:Kannada ko:Korean ku:Kurdish ky:Kyrgyz la:Latin lb:Luxembourgish lo:Lao "
        "lt:Lithuanian lv:Latvian mk:Macedonian ml:Malayalam mn:Mongolian mr:Marathi ms:Malay "
        "mt:Maltese my:Burmese ne:Nepali nl:Dutch no:Norwegian nn:Norwegian pa:Punjabi pl:Polish "
        "ps:Pashto pt:Portuguese ro:Romanian ru:Russian si:Sinhala sk:Slovak sl:Slovene so:Somali "
        "sq:Albanian sr:Serbian sv:Swedish sw:Swahili ta:Tamil te:Telugu th:Thai tl:Tagalog "
        "tr:Turkish uk:Ukrainian ur:Urdu uz:Uzbek vi:Vietnamese xh:Xhosa yo:Yoruba zh:Chinese "
        "zu:Zulu",
    )
)
USED = 3
"""Replies that are surely in a language before it is believed to be one of the owner's."""
TELLING = 5
"""Words of a text before it is said to be in another language than was to be expected."""
_NONE = "zxx"  # ISO 639 for "no linguistic content"
_NO_WORDS = re.compile(r"\S*(?:://|www\.|@)\S+|\[[A-Z_]+_\d+\]|\S*\d\S*|[!-&(-/:-@\[-`{-~]")


def tell(text: str) -> str:
    """ISO code of the language of a text, or nothing where its words do not tell.

    Of languages that are written alike, the likeliest.
    """
    plain = " ".join(_NO_WORDS.sub(" ", text[:ENOUGH]).split())
    if not plain:
        return ""
    ranked: list[tuple[str, float]] = _identifier().rank(plain)
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


def unexpected(pairs: Sequence[Pair]) -> dict[str, str]:
    """Pair id -> the English name of its reply's language, where it is not to be expected.

    That is where it is not the owner's commonest, or not that of what is answered. Nothing is said
    about a text of a few words, nor of a language that is hardly ever met: it may be an error.
    """
    sure = {pair.id: _surely(pair.reply) for pair in pairs}
    asked = {pair.id: _surely(pair.incoming[-ENOUGH:]) for pair in pairs}
    counts = Counter(_kin(language) for language in sure.values() if language)
    heard = counts + Counter(_kin(language) for language in asked.values() if language)
    usual = _commonest(counts)
    said = {}
    for pair in pairs:
        language = sure[pair.id]
        if not language or counts[_kin(language)] < USED or language not in _NAMES:
            continue
        answers = _kin(asked[pair.id])
        turned = answers not in ("", _kin(language)) and heard[answers] >= USED
        if _kin(language) != usual or turned:
            said[pair.id] = _NAMES[language]
    return said


def _surely(text: str) -> str:
    """The language of a text that is long enough to be in one."""
    return tell(text) if words.count(text) >= TELLING else ""


def wanted(language: str, languages: Iterable[str]) -> bool:
    """Whether a reply in `language` is one that the owner wants; what is unknown passes."""
    return not language or _kin(language) in {_kin(one) for one in languages}


def codes(languages: Iterable[str]) -> tuple[str, ...]:
    """The languages as this module writes them. Raises TwinError for one that it cannot tell."""
    plain = [re.split("[-_]", language.strip().lower())[0] for language in languages]
    plain = [_ALIASES.get(language, language) for language in plain]
    known = set(_identifier().labels) - {_NONE} if plain else set()
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
