"""Text to phonemes: which sounds a set of sentences covers, and how many syllables a text has.

The phonemizer is hibari's (general American); its alphabet is folded into the 39 phonemes of
ARPAbet and the schwa. Does not judge how something was read: see read_aloud.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

from aitwin.errors import TwinError

Phonemes: TypeAlias = tuple[str, ...]
"""Symbols of INVENTORY in the order in which they are said."""

VOWELS: Mapping[str, str] = {
    "ɑ": "father",
    "æ": "cat",
    "ʌ": "cup",
    "ə": "about",
    "ɔ": "law",
    "aʊ": "cow",
    "aɪ": "my",
    "ɛ": "bed",
    "ɝ": "bird",
    "eɪ": "day",
    "ɪ": "sit",
    "i": "see",
    "oʊ": "go",
    "ɔɪ": "boy",
    "ʊ": "book",
    "u": "blue",
}
"""IPA symbol to a word that has it."""

CONSONANTS: Mapping[str, str] = {
    "b": "bad",
    "tʃ": "cheese",
    "d": "day",
    "ð": "then",
    "f": "fish",
    "ɡ": "go",
    "h": "hat",
    "dʒ": "joke",
    "k": "key",
    "l": "lip",
    "m": "map",
    "n": "nap",
    "ŋ": "sing",
    "p": "pen",
    "ɹ": "red",
    "s": "sun",
    "ʃ": "shoe",
    "t": "tea",
    "θ": "thin",
    "v": "van",
    "w": "wet",
    "j": "yes",
    "z": "zoo",
    "ʒ": "measure",
}
"""IPA symbol to a word that has it."""

INVENTORY: tuple[str, ...] = (*VOWELS, *CONSONANTS)

_FOLDED = {
    # Hibari writes diphthongs and affricates as one letter (the conventions of misaki).
    "A": "eɪ",
    "I": "aɪ",
    "O": "oʊ",
    "W": "aʊ",
    "Y": "ɔɪ",
    "ʤ": "dʒ",
    "ʧ": "tʃ",
    # Reduced vowels, and the tapped "t" of "butter".
    "ᵊ": "ə",
    "ɐ": "ə",
    "ᵻ": "ɪ",
    "T": "t",
    "ɾ": "t",
    # One sound in American speech, and one phoneme in ARPAbet: "bird", "butter".
    "ɜɹ": "ɝ",
    "əɹ": "ɝ",
}
_SYMBOL = re.compile(r"[ɜə]ɹ|.", re.DOTALL)
_MARKS = str.maketrans("", "", "ˈˌː")
_SYLLABIC_N = re.compile(r"tn(?![AIOWYiuæɑɔəɛɜɪʊʌᵊᵻ])")
"""The end of "button": hibari leaves the vowel of that syllable out."""
_NO = re.compile(r"\b(no)\.", re.IGNORECASE)

REFERENCE: Mapping[str, float] = {
    "ɑ": 0.0150,
    "æ": 0.0313,
    "ʌ": 0.0267,
    "ə": 0.0788,
    "ɔ": 0.0181,
    "aʊ": 0.0058,
    "aɪ": 0.0191,
    "ɛ": 0.0282,
    "ɝ": 0.0238,
    "eɪ": 0.0169,
    "ɪ": 0.0577,
    "i": 0.0330,
    "oʊ": 0.0136,
    "ɔɪ": 0.0010,
    "ʊ": 0.0053,
    "u": 0.0211,
    "b": 0.0183,
    "tʃ": 0.0054,
    "d": 0.0414,
    "ð": 0.0292,
    "f": 0.0185,
    "ɡ": 0.0091,
    "h": 0.0131,
    "dʒ": 0.0063,
    "k": 0.0327,
    "l": 0.0400,
    "m": 0.0291,
    "n": 0.0715,
    "ŋ": 0.0111,
    "p": 0.0214,
    "ɹ": 0.0454,
    "s": 0.0492,
    "ʃ": 0.0080,
    "t": 0.0731,
    "θ": 0.0040,
    "v": 0.0199,
    "w": 0.0199,
    "j": 0.0098,
    "z": 0.0277,
    "ʒ": 0.0005,
}
"""Share of each phoneme in general English.

The 20,000 commonest words of wordfreq 3.1 (books, subtitles, news, the web; Speer 2022), each
weighted by its frequency and read by this module.
"""


@dataclass(frozen=True)
class Coverage:
    """What is said in a set of texts."""

    counts: Mapping[str, int]
    """How often each phoneme of INVENTORY occurs; 0 where it does not."""
    diphones: Mapping[tuple[str, str], int]
    """How often one phoneme follows another without a pause between; pairs that occur."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Phonemes that do not occur."""
        return tuple(symbol for symbol, count in self.counts.items() if not count)

    @property
    def distance(self) -> float:
        """How far the shares of the phonemes are from general English, 0 (equal) to 1.

        Total variation: the share of phonemes that would have to be exchanged for others.
        """
        total = sum(self.counts.values()) or 1
        return sum(abs(self.counts[s] / total - REFERENCE[s]) for s in INVENTORY) / 2


@lru_cache(maxsize=2_000)
def phonemes(text: str) -> tuple[Phonemes, ...]:
    """What is said, one tuple for each stretch between pauses.

    Raises TwinError when hibari is not installed.
    """
    # As hibari reads it, "I said no." ends in "number".
    spoken = _phonemizer()(_NO.sub(r"\1!", text)).translate(_MARKS)
    stretches: list[list[str]] = [[]]
    for symbol in _SYMBOL.findall(_SYLLABIC_N.sub("tən", spoken)):
        phoneme = _FOLDED.get(symbol, symbol)
        if phoneme in VOWELS or phoneme in CONSONANTS:
            stretches[-1].append(phoneme)
        elif not symbol.isspace() and stretches[-1]:
            stretches.append([])
    return tuple(tuple(stretch) for stretch in stretches if stretch)


def syllables(text: str) -> int:
    """How many syllables a text has when it is read aloud: one for every vowel."""
    return sum(phoneme in VOWELS for stretch in phonemes(text) for phoneme in stretch)


def coverage(texts: Iterable[str]) -> Coverage:
    """The sounds of all `texts` together."""
    counts = dict.fromkeys(INVENTORY, 0)
    diphones: Counter[tuple[str, str]] = Counter()
    for text in texts:
        for stretch in phonemes(text):
            for phoneme in stretch:
                counts[phoneme] += 1
            diphones.update(pairwise(stretch))
    return Coverage(counts, dict(diphones))


@cache
def _phonemizer() -> Any:
    """Loaded once: a second for its lexicon, then 10,000 words in a second."""
    try:
        from hibari.g2p import G2P
    except ModuleNotFoundError as error:
        raise TwinError(
            f"the phonemizer is not installed (no module {error.name}); "
            "run `pip install 'aitwin[speak]'`"
        ) from None
    return G2P()
