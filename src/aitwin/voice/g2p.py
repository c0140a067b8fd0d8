"""Graphemes to phonemes: how one English word is said, in ARPAbet with stress.

The dictionary of MeloTTS first, then what g2p_en 2.1.0 does: the words of a later release of the
same dictionary, then a small recurrent network that spells a pronunciation out (two GRUs, Cho et
al. 2014). Answers as upstream does, since the voice was trained on these answers. Knows one word
at a time, so of two pronunciations ("record") it gives the same one everywhere; does not read
numbers or abbreviations: see melo_reading.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path
from typing import TypeAlias
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from aitwin.errors import TwinError
from aitwin.voice import arrays
from aitwin.voice.configs import PULL

Pronunciation: TypeAlias = tuple[str, ...]
"""ARPAbet symbols, vowels with their stress: ("HH", "AH0", "L", "OW1"); or one mark ("?",)."""

DICTIONARY = "cmudict.rep"
"""A word in capitals, two spaces, its syllables with " - " between; "##" begins a comment."""
NETWORK = "checkpoint20.npz"
LATER = "cmudict-0.7a.zip"
"""NLTK's copy of a later release of the same dictionary, which g2p_en asks."""
HOMOGRAPHS = "homographs.en"
"""g2p_en's words with two pronunciations: word, one for a part of speech, the other, which part."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# fmt: off
_CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T",
    "TH", "V", "W", "Y", "Z", "ZH",
)
_VOWELS = (
    "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW",
)
# fmt: on
# The network's own table has an "UW" without stress, in the place that the alphabet gives it.
PHONEMES: tuple[str, ...] = (
    *("<pad>", "<unk>", "<s>", "</s>"),
    *sorted([*_CONSONANTS, *(f"{vowel}{stress}" for vowel in _VOWELS for stress in "012"), "UW"]),
)
"""What the network writes, by its index."""
_GRAPHEMES: Mapping[str, int] = {letter: number for number, letter in enumerate(LETTERS, 3)}
_UNKNOWN, _WORD_END = 1, 2
"""What the network reads, by its index; 0 is padding."""
_START, _END = PHONEMES.index("<s>"), PHONEMES.index("</s>")
LONGEST = 20
"""Phonemes of a word: the network stops there."""
_CACHED = 20_000
"""Words whose pronunciation is kept, so that the network spells each out once."""
Floats: TypeAlias = NDArray[np.float32]

_SHAPES: Mapping[str, tuple[int, ...]] = {
    "enc_emb": (3 + len(LETTERS), 256),
    "enc_w_ih": (768, 256),
    "enc_w_hh": (768, 256),
    "enc_b_ih": (768,),
    "enc_b_hh": (768,),
    "dec_emb": (len(PHONEMES), 256),
    "dec_w_ih": (768, 256),
    "dec_w_hh": (768, 256),
    "dec_b_ih": (768,),
    "dec_b_hh": (768,),
    "fc_w": (len(PHONEMES), 256),
    "fc_b": (len(PHONEMES),),
}
_SILENT = re.compile(r"[^a-z'.,?!\-]")


@dataclass(frozen=True, eq=False)
class Network:
    """g2p_en's network: one GRU reads the letters, another writes the phonemes."""

    weights: Mapping[str, Floats] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> "Network":
        """Read `checkpoint20.npz` (no code is run). Raises TwinError when it is none."""
        try:
            found = arrays.read(path)
            weights = {name: np.asarray(found[name], np.float32) for name in _SHAPES}
        except FileNotFoundError:
            raise TwinError(f"{path} is missing; {PULL}") from None
        # Texts or times are no numbers: TypeError.
        except (ValueError, TypeError, KeyError):
            raise TwinError(f"{path} cannot be read as g2p_en's network; {PULL}") from None
        for name, shape in _SHAPES.items():
            if weights[name].shape != shape or not np.isfinite(weights[name]).all():
                raise TwinError(f"{path} is not g2p_en's network ({name} differs); {PULL}")
        return cls(weights)

    def spell(self, word: str) -> Pronunciation:
        """The pronunciation of a word in small letters; what is no letter counts as unknown."""
        state: Floats = np.zeros(self.weights["enc_w_hh"].shape[1], np.float32)
        for index in [*(_GRAPHEMES.get(letter, _UNKNOWN) for letter in word), _WORD_END]:
            state = self._step("enc", index, state)
        said: list[str] = []
        latest = _START
        while len(said) < LONGEST:
            state = self._step("dec", latest, state)
            latest = int((self.weights["fc_w"] @ state + self.weights["fc_b"]).argmax())
            if latest == _END:
                break
            said.append(PHONEMES[latest])
        return tuple(said)

    def _step(self, half: str, index: int, state: Floats) -> Floats:
        """One step of a GRU: gates r and z, candidate n, as PyTorch orders them."""
        weights = self.weights
        given = weights[f"{half}_w_ih"] @ weights[f"{half}_emb"][index] + weights[f"{half}_b_ih"]
        kept = weights[f"{half}_w_hh"] @ state + weights[f"{half}_b_hh"]
        (given_r, given_z, given_n), (r, z, n) = np.split(given, 3), np.split(kept, 3)
        reset, update = _sigmoid(given_r + r), _sigmoid(given_z + z)
        candidate = np.tanh(given_n + reset * n)
        fresh: Floats = (1 - update) * candidate + update * state
        return fresh


def _sigmoid(values: Floats) -> Floats:
    # By tanh, since exp(-x) overflows.
    half = np.float32(0.5)
    gate: Floats = half + half * np.tanh(half * values)
    return gate


class G2P:
    """Words to pronunciations. Safe to use from several threads."""

    def __init__(
        self,
        dictionary: Mapping[str, str],
        network: Network,
        later: Mapping[str, str] | None = None,
    ) -> None:
        """Words of `dictionary` are in capitals, of `later` in small letters."""
        self._dictionary = dictionary
        self._network = network
        self._later = later or {}
        self._cached = lru_cache(_CACHED)(self._pronounce)

    @classmethod
    def load(cls, directory: Path) -> "G2P":
        """Read the four files in `directory` (0.3 s, 40 MB).

        Without LATER and HOMOGRAPHS, the network guesses what they would have told. Raises
        TwinError when one of the other two is missing, or any is something else.
        """
        dictionary = read_dictionary(directory / DICTIONARY)
        later: dict[str, str] = {}
        if (directory / LATER).exists():
            later = read_later(directory / LATER, dictionary)
        if (directory / HOMOGRAPHS).exists():
            # A homograph's entry goes before the dictionary's, as in g2p_en.
            later |= read_homographs(directory / HOMOGRAPHS)
        return cls(dictionary, Network.load(directory / NETWORK), later)

    def pronounce(self, word: str) -> Pronunciation:
        """How `word` is said: ARPAbet, or the mark itself for one of ``' . , ? ! -``.

        Empty for what cannot be said: other marks, letters of other scripts. An accent is ignored.
        """
        return self._cached(word)

    def _pronounce(self, word: str) -> Pronunciation:
        known = self._dictionary.get(word.upper())
        if known is not None:
            return tuple(known.split())
        # From here on as g2p_en does: accents off, small letters, other characters away.
        letters = "".join(c for c in unicodedata.normalize("NFD", word) if not _is_accent(c))
        plain = _SILENT.sub("", letters.lower())
        if not any(letter in LETTERS for letter in plain):
            return (plain,) if plain else ()
        later = self._later.get(plain) or self._dictionary.get(plain.upper())
        return tuple(later.split()) if later is not None else self._network.spell(plain)


def _is_accent(character: str) -> bool:
    return unicodedata.category(character) == "Mn"


def read_dictionary(path: Path) -> dict[str, str]:
    """Word in capitals to its phonemes, spaces between them, of a file as DICTIONARY describes.

    Raises TwinError when it is missing, or a line has no pronunciation.
    """
    words: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.startswith("##") or not line.strip():
            continue
        word, gap, syllables = line.strip().partition("  ")
        phonemes = syllables.replace(" - ", " ").strip()
        if not gap or not phonemes:
            raise TwinError(f"{path}: line {number} has no pronunciation; {PULL}")
        words[word] = phonemes
    if not words:
        raise TwinError(f"{path} has no words; {PULL}")
    return words


def read_later(path: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Word in small letters to its first pronunciation, of a file as LATER describes.

    Without those that `known` (in capitals) says alike. A line is a word, the number of the
    pronunciation, its phonemes. Raises TwinError when it is something else.
    """
    words: dict[str, str] = {}
    try:
        with ZipFile(path) as archive, archive.open("cmudict/cmudict") as file:
            for number, line in enumerate(TextIOWrapper(file, "ascii"), 1):
                parts = line.rstrip("\n").split(" ", 2)
                if len(parts) < 3 or not parts[1].isdecimal():
                    raise TwinError(f"{path}: line {number} has no pronunciation; {PULL}")
                if parts[1] == "1" and known.get(parts[0]) != parts[2]:
                    words[parts[0].lower()] = parts[2]
    except TwinError:
        raise
    # As with arrays: what a damaged zip ends in has no common error.
    except Exception as error:  # noqa: BLE001
        raise TwinError(f"{path} cannot be read ({type(error).__name__}); {PULL}") from None
    return words


def read_homographs(path: Path) -> dict[str, str]:
    """Word in small letters to one of its two pronunciations, of a file as HOMOGRAPHS describes.

    The second: g2p_en takes the first for a part of speech that a word by itself never has (seen
    with all 18 that are not in MeloTTS's dictionary). Raises TwinError when it is something else.
    """
    lines = (line for line in _text(path).splitlines() if line and not line.startswith("#"))
    entries = [line.split("|") for line in lines]
    if not entries or any(len(entry) != 4 for entry in entries):
        raise TwinError(f"{path} is not g2p_en's list of homographs; {PULL}")
    return {word.lower(): second for word, _, second, _ in entries}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise TwinError(f"{path} is missing; {PULL}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TwinError(f"{path} cannot be read ({type(error).__name__}); {PULL}") from None
