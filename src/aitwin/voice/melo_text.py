"""MeloTTS's front end for English: a text to the numbers that its network reads.

Splits a text as upstream does, reads numbers (melo_reading), cuts words into BERT's pieces, looks
up how each is said (g2p), and spreads the phonemes over the pieces. Makes exactly upstream's
numbers (MeloTTS 2093451, `language="EN"`), from the facts, with other code and without NLTK,
MeCab, transformers or the network. Does not compute BERT's features or any sound: see bert, melo.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitwin.errors import TwinError
from aitwin.voice import configs, melo_reading
from aitwin.voice.configs import PULL
from aitwin.voice.g2p import G2P, LONGEST, PHONEMES

PAD = "_"
"""Symbol before and after every piece; with the number 0 it also stands between all symbols."""
UNKNOWN = "UNK"
"""Symbol for what the network has no other for."""
LANGUAGE = 2
"""English, as upstream numbers languages: Chinese, Japanese, English, …"""
FIRST_TONE = 7
"""English tones come after six of Chinese and one of Japanese."""
LONGEST_PIECE = 512
"""Characters; upstream's splitter cuts there, wherever it is."""
GOOD_PIECE = 256
"""Characters from which on the splitter takes the next end of a sentence."""
MOST_TOKENS = 510
"""What BERT reads at once, besides its own two marks."""
NO_PIECE = "[UNK]"
"""BERT's token for a word that it has no pieces for, or one of more than 100 letters."""

_CAMEL = re.compile(r"([a-z])([A-Z])")
_STRESSED = re.compile(r"[A-Z]+[0-2]")
_SPACES = re.compile(r"\s+")
_PAUSES = re.compile(r"([,.?!])")
_ENDS = "!?."
_NO_WORDS = re.compile(r"[\s.,;:!?]*")
_MARKS = str.maketrans(
    {**dict.fromkeys("。！？；", "."), "，": ",", **dict.fromkeys("‘’", "'")}
    | dict.fromkeys('<>()[]"«»“”')
)


@dataclass(frozen=True)
class Units:
    """A piece of a text as the network reads it. All of it is private: the text can be read off.

    `token_ids`, `word2ph` and `repeats` have one value for each BERT token, its marks included;
    `phones` and `tones` one for each symbol; the three model inputs have a blank (0) before,
    between and after the symbols, so they are twice as long and one.
    """

    text: str = field(repr=False)
    """In small letters, numbers in words."""
    bert_tokens: tuple[str, ...] = field(repr=False)
    """Without the marks of begin and end."""
    token_ids: tuple[int, ...] = field(repr=False)
    """With the marks of begin and end (CLS, SEP)."""
    phones: tuple[str, ...] = field(repr=False)
    tones: tuple[int, ...] = field(repr=False)
    """0 for no stress mark, else ARPAbet's stress and one."""
    word2ph: tuple[int, ...] = field(repr=False)
    """How many of `phones` belong to each token."""
    phone_ids: tuple[int, ...] = field(repr=False)
    tone_ids: tuple[int, ...] = field(repr=False)
    language_ids: tuple[int, ...] = field(repr=False)

    @property
    def repeats(self) -> tuple[int, ...]:
        """How many model inputs belong to each token: each one's features are repeated so."""
        first, *others = (2 * count for count in self.word2ph)
        return (first + 1, *others)

    @property
    def silent(self) -> bool:
        """Whether there is nothing to say: no symbols but marks and padding."""
        return not any(phone[0].isalpha() for phone in self.phones)


class Vocabulary:
    """BERT's own words and word pieces (WordPiece, lower case; Devlin et al. 2019)."""

    def __init__(self, tokens: Sequence[str]) -> None:
        """Raises TwinError when `tokens` lacks one of BERT's marks."""
        try:
            from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
        except ModuleNotFoundError as error:
            raise TwinError(
                f"BERT's tokenizer is not installed (no module {error.name}); "
                "run `pip install 'aitwin[clone]'`"
            ) from None
        ids = {token: number for number, token in enumerate(tokens)}
        missing = [mark for mark in ("[CLS]", "[SEP]", NO_PIECE) if mark not in ids]
        if missing:
            raise TwinError(f"BERT's vocabulary has no {', '.join(missing)}; {PULL}")
        self.begin, self.end = ids["[CLS]"], ids["[SEP]"]
        self._tokenizer: Any = Tokenizer(models.WordPiece(ids, unk_token=NO_PIECE))
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read `vocab.txt`, a token a line. Raises TwinError when it is none."""
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            raise TwinError(f"{path} is missing; {PULL}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise TwinError(f"{path} cannot be read ({type(error).__name__}); {PULL}") from None
        # By "\n" alone: a few tokens are other separators of lines.
        return cls(text.removesuffix("\n").split("\n"))

    def cut(self, text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The tokens of a text, and their ids; no marks of begin and end."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return tuple(encoding.tokens), tuple(encoding.ids)

    def readable(self, text: str) -> str:
        """`text` with spaces in place of the characters that BERT has no piece for.

        A word that is too long for it comes in parts, each of as many letters as g2p says of one
        word. So no token of the answer is NO_PIECE, which would be said ("unk").
        """
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        readable, done = [], 0
        for token, (start, stop) in zip(encoding.tokens, encoding.offsets, strict=True):
            if token == NO_PIECE:
                readable += [text[done:start], self._in_parts(text[start:stop])]
                done = stop
        return "".join([*readable, text[done:]])

    def _in_parts(self, word: str) -> str:
        strange = {letter for letter in set(word) if NO_PIECE in self.cut(letter)[0]}
        words = "".join(" " if letter in strange else letter for letter in word).split()
        parts = [
            one[start : start + LONGEST] for one in words for start in range(0, len(one), LONGEST)
        ]
        return " ".join(part for part in parts if NO_PIECE not in self.cut(part)[0])


class FrontEnd:
    """Texts to Units. Safe to use from several threads."""

    def __init__(self, g2p: G2P, vocabulary: Vocabulary, symbols: Sequence[str]) -> None:
        self._g2p = g2p
        self._vocabulary = vocabulary
        self._symbols: Mapping[str, int] = {name: number for number, name in enumerate(symbols)}

    def pieces(self, text: str) -> list[str]:
        """`text` as upstream's splitter cuts it: pieces of whole sentences, about 300 characters.

        Every comma and full stop is followed by a space afterwards, and what has no words is gone.
        """
        text = _SPACES.sub(" ", _PAUSES.sub(r"\1 ", _SPACES.sub(" ", text.translate(_MARKS))))
        pieces = (piece.strip() for piece in _cut(text))
        return [piece for piece in pieces if not _NO_WORDS.fullmatch(piece)]

    def units(self, piece: str) -> Units:
        """One of `pieces`, or any short text, as the network reads it.

        Raises TwinError when it has more than MOST_TOKENS: `read` cuts it.
        """
        text = _read(piece)
        tokens, ids = self._vocabulary.cut(text)
        if len(tokens) > MOST_TOKENS:
            raise TwinError(
                f"a piece of {len(tokens)} word pieces is longer than BERT reads at once "
                f"({MOST_TOKENS}); cut the text at a comma or a full stop"
            )
        return self._units(text, tokens, ids)

    def _units(self, text: str, tokens: tuple[str, ...], ids: tuple[int, ...]) -> Units:
        phones, tones, counts = [PAD], [0], [1]
        for group in _words(tokens):
            said = self._g2p.pronounce("".join(group))
            phones += [self._symbol(phone) for phone in said]
            tones += [int(phone[-1]) + 1 if _STRESSED.fullmatch(phone) else 0 for phone in said]
            counts += _spread(len(said), len(group))
        phones, tones, counts = [*phones, PAD], [*tones, 0], [*counts, 1]
        return Units(
            text=text,
            bert_tokens=tokens,
            token_ids=(self._vocabulary.begin, *ids, self._vocabulary.end),
            phones=tuple(phones),
            tones=tuple(tones),
            word2ph=tuple(counts),
            phone_ids=_between([self._symbols[phone] for phone in phones]),
            tone_ids=_between([FIRST_TONE + tone for tone in tones]),
            language_ids=_between([LANGUAGE] * len(phones)),
        )

    def read(self, text: str) -> list[Units]:
        """All of a text: `pieces`, then `units`; a piece that is too long is cut at a space.

        What BERT has no piece for (emoji, most of other scripts) is silent, where upstream and
        `units` say "unk".
        """
        waiting, units = self.pieces(text)[::-1], []
        while waiting:
            piece = waiting.pop()
            known = self._vocabulary.readable(_read(piece))
            tokens, ids = self._vocabulary.cut(known)
            if len(tokens) > MOST_TOKENS:
                middle = piece.rfind(" ", 0, len(piece) // 2 + 1)
                middle = middle if middle > 0 else len(piece) // 2
                waiting += [piece[middle:].strip(), piece[:middle].strip()]
            elif tokens:
                units.append(self._units(known, tokens, ids))
        return units

    def _symbol(self, phone: str) -> str:
        """The network's symbol for an ARPAbet symbol or a mark."""
        # The network's bare "UW", and its own marks, upstream knows no symbol for.
        if phone in PHONEMES and (phone == "UW" or phone.startswith("<")):
            return UNKNOWN
        plain = phone.rstrip("012").lower()
        symbol = "V" if plain == "v" else plain
        return symbol if symbol in self._symbols else UNKNOWN


def read_symbols(config: Path) -> list[str]:
    """The symbols of MeloTTS's `config.json`, in the order of their numbers.

    Raises TwinError when the file is missing, is something else, lacks a symbol of English, or
    wants no blanks between symbols.
    """
    content = configs.read(config, PULL)
    data = content.get("data")
    if isinstance(data, dict) and data.get("add_blank", True) is not True:
        raise TwinError(
            f"{config} is of a MeloTTS that reads no blanks between its symbols (add_blank), and "
            f"there is none in AI Twin that does; {PULL}"
        )
    symbols = content.get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(name, str) for name in symbols):
        raise TwinError(f"{config} has no list of symbols; {PULL}")
    english = {phone.rstrip("012").lower() for phone in PHONEMES if not phone.startswith("<")}
    lacking = ({*english, "V", PAD, UNKNOWN, *".,!?'-"} - {"v"}) - set(symbols)
    if lacking or symbols[0] != PAD:
        raise TwinError(
            f"{config} is not of an English MeloTTS: its symbols lack "
            f"{', '.join(sorted(lacking)) or 'the padding at the beginning'}; {PULL}"
        )
    return symbols


def _read(piece: str) -> str:
    """In small letters, numbers in words; what is written as "oneTwo" is two words."""
    return melo_reading.read(_CAMEL.sub(r"\1 \2", piece))


def _cut(text: str) -> list[str]:
    """Pieces that end with a sentence once they have GOOD_PIECE characters.

    Where LONGEST_PIECE comes first, the piece ends with its latest sentence, or between words.
    """
    pieces: list[str] = []
    start, position, latest = 0, 0, 0  # latest: where the latest sentence of this piece ended
    while position < len(text):
        position += 1
        ended = text[position - 1] in _ENDS and text[position : position + 1] in (" ", "")
        if position - start >= LONGEST_PIECE:
            position = latest if latest > start else _word_end(text, start, position)
        elif ended:
            latest = position
            if position - start < GOOD_PIECE:
                continue
        else:
            continue
        pieces.append(text[start:position])
        start = position
    return [*pieces, text[start:]]


def _word_end(text: str, start: int, position: int) -> int:
    """The end of a word before `position`, not before the piece is a good one."""
    while text[position - 1] not in "!?. " and position - start > GOOD_PIECE:
        position -= 1
    return position


def _words(tokens: Sequence[str]) -> list[list[str]]:
    """Tokens of one word together; what continues a word begins with "#"."""
    words: list[list[str]] = []
    for token in tokens:
        # A "#" of the text itself joins the word before it, as upstream has it.
        if token.startswith("#") and words:
            words[-1].append(token.replace("#", ""))
        else:
            words.append([token])
    return words


def _spread(phones: int, tokens: int) -> list[int]:
    """How many phones each of a word's tokens gets: equal shares, the first ones one more."""
    share, rest = divmod(phones, tokens)
    return [share + (place < rest) for place in range(tokens)]


def _between(values: Sequence[int]) -> tuple[int, ...]:
    """A blank before, between and after all values."""
    spaced = [0] * (2 * len(values) + 1)
    spaced[1::2] = values
    return tuple(spaced)
