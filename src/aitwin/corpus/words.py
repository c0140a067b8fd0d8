"""How many words a text has, in any script. Judges nothing.

Marks above and below letters belong to them (Hindi, Arabic, Hebrew, Thai), though a regular
expression takes them for the end of a word.
"""

import re
import unicodedata

BETWEEN_LETTERS = ("M", "Cf")
"""Categories of what stands within a word and is no letter: marks, joiners, directions."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# Scripts without spaces, and how many letters a word of theirs has, about.
_UNSPACED = (
    (re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff]"), 2),
    (re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"), 4),  # Thai, Lao, Burmese, Khmer
)
_EMOJI = re.compile("[\u2600-\u27bf\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]")


def bare(text: str) -> str:
    """The text without what stands between the letters of a word."""
    if text.isascii():
        return text
    return "".join(c for c in text if not unicodedata.category(c).startswith(BETWEEN_LETTERS))


def found(text: str) -> list[str]:
    """The words, as spaces and signs part them: of a script without spaces, whole runs."""
    return _WORD.findall(bare(text))


def count(text: str) -> int:
    """How many words, also where a script does not part them."""
    text, unspaced = bare(text), 0
    for letters, in_a_word in _UNSPACED:
        text, number = letters.subn(" ", text)
        unspaced += -(-number // in_a_word)
    return len(_WORD.findall(text)) + unspaced


def has_emoji(text: str) -> bool:
    """Whether there is a picture that says something by itself."""
    return bool(_EMOJI.search(text))
