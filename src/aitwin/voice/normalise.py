"""What is written, as it is said: words in ASCII letters with `. , ! ? ' -`, and nothing else.

Speakers guess at "$5.50", "3:15 p.m." and "GPU", each in its own way, and some wrongly (MeloTTS
says "five dollars. fifty"); so all of them get words. American English. Reading a date that may
be the third of April or the fourth of March is no guess: it is read as it stands.
Does not cut a text into sentences (see speech), and adds no word that is not written.
"""

import html
import re
import unicodedata
from functools import lru_cache

from aitwin.voice import quantities, shorthand
from aitwin.voice.quantities import Rule

# Beyond letters and ASCII: what there are words, or a rest, for.
_SOUNDED = frozenset("–—―‒…‘’“”«»„‚¿¡°²³¢£¥€₹₩§©®™±×÷µ−→←↔≈≠≤≥‰′″•·")
_LETTERS = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O",
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
        "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "ng", "Ŋ": "Ng", "ſ": "s", "ə": "e", "Ə": "E",
    }
)  # fmt: skip
_QUOTES = str.maketrans(
    {
        "’": "'", "‘": "'", "‚": "'", "′": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "″": '"', "–": "–", "―": "—", "‒": "–", "…": "...", "•": " ", "·": " ", "¿": "", "¡": "",
        "®": "", "™": "", "\u2011": "-", "\u2010": "-",
    }
)  # fmt: skip

_HEART = re.compile(
    r"(\b(?:I|We|we|They|they)|(?:^|(?<=[.!?,] ))[Yy]ou) ?"
    r"(?:❤|♥|💕|💖|🖤|💙|💚|💛|💜|<3(?![%\d]))\ufe0f? ?(?=[^\W\d])",
    re.MULTILINE,
)
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"
_NAMED: list[Rule] = [
    (_HEART, lambda found: f"{found[1]} love "),
    # Letters of other scripts that are units or signs in an English text.
    (re.compile("μ(?=[mgslLFAWVH]\\b)"), lambda found: "µ"),
    (re.compile(r"(?<=\d)( ?[kMG]?)[ΩΩ](?!\w)"), lambda found: f"{found[1]}ohm"),
    (
        re.compile(rf"(?<![{_GREEK}])(?<![{_GREEK}] )[Α-Ωα-ωΩ](?! ?[{_GREEK}])"),
        lambda found: _letter_name(found),
    ),
    (re.compile("√"), lambda found: " square root of "),
    (re.compile("∞"), lambda found: " infinity "),
]
"""Characters that are said by a name; they are no other script, and not left out."""
_EMOTICON = re.compile(
    r"(?<!\w)(?:[:;=][-^'o]?[)(\]\[DPpOo/\\|*]{1,4}|[8xX]-\)|:3(?=[ \t]*(?:$|[.,!?]))"
    r"|\^_?\^|[xX]D+)(?!\w)",
    re.MULTILINE,
)
_LESS_THAN_THREE = re.compile(r"(?<![\w.,=<>])(?<!\b[a-hj-z] )(?:<3+)++(?![\w%°]|[.,]\d)")
_COUNTABLE = re.compile(
    r" (?!this\b|thanks\b|hugs\b|kisses\b|always\b|yours\b|cheers\b|\w*ss\b)"
    r"(?:\w{2,}s|people|percent|min|sec|[kcm]?m|kg|[kMGT]B)\b"
)


def _letter_name(found: re.Match[str]) -> str:
    """A single Greek letter, apart from the words on either side."""
    name = unicodedata.name(found[0]).rsplit(" ", 1)[-1].lower().replace("lamda", "lambda")
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    name = "omega" if name == "sign" else name
    return f"{' ' * before.isalnum()}{name}{' ' * after.isalnum()}"


def _face(found: re.Match[str]) -> str:
    """Silent; but "(items 7 and 8-)" is a bracket."""
    line = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
    return found[0] if found[0][0] in "8xX" and line.count("(") > line.count(")") else " "


def _heart_or_less(found: re.Match[str]) -> str:
    """A heart is silent, "<3 days" is not."""
    return found[0] if _COUNTABLE.match(found.string, found.end()) else " "


_TYPESET = re.compile(r"(?<![\w.,+])[1-9]\d{0,2}(?:[\u00a0\u202f\u2009]\d{3})+(?!\d)")
"""A number with the spaces that typesetters put into it."""
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_GLUED = re.compile(r"(?<=[a-z]{2})\.(?=[A-Z][a-z])")
"""A stop without its space: "done.Then"."""

_TAGS = (
    "a|abbr|address|article|aside|audio|b|big|blockquote|body|br|button|canvas|center|cite|code"
    "|dd|del|details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr"
    "|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|optgroup|option|p|pre"
    "|q|s|samp|script|section|select|small|source|span|strike|strong|style|sub|summary|sup|svg"
    "|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|video|wbr"
)
_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|em|font|i|ins|kbd|mark|s|small|span|strong|su[bp]|tt|u|wbr)\b",
    re.IGNORECASE,
)
_ATTRIBUTE = r"""\s{1,9}[\w:-]{1,40}=(?:"[^"<>]{0,500}"|'[^'<>]{0,500}'|[^\s"'<>]{1,200})"""

_MARKDOWN: list[Rule] = [
    (re.compile(r"!?\[([^\]\n]{1,200})\]\([^()\n]{0,500}\)"), lambda found: found[1]),
    # In brackets as a parenthesis: "Ana <ana@example.com>", "<https://...>".
    (
        re.compile(r"<([^\s<>@]{1,64}@[^\s<>]{1,250}|\w{2,10}://[^\s<>]{1,500})>"),
        lambda found: f"({found[1]})",
    ),
    (re.compile(r"<!--[^<>]{0,500}-->|</[A-Za-z][\w:.-]{0,30}\s?>"), lambda found: _tag(found[0])),
    (re.compile(rf"<(?i:{_TAGS})(?:{_ATTRIBUTE})*+\s?/?>"), lambda found: _tag(found[0])),
    (re.compile(rf"<[A-Za-z][\w:.-]{{0,30}}(?:{_ATTRIBUTE})++\s?/?>"), lambda found: " "),
    (re.compile(r"<([A-Za-z][^<>\n]{0,60})>(?!\w)"), lambda found: _in_angles(found)),
    (re.compile(r"^[ \t]*(?:[-*_=~][ \t]*){3,}$", re.MULTILINE), lambda found: ""),
    (re.compile(r"^(?=[^\n]*---)[ \t|:-]++$", re.MULTILINE), lambda found: ""),
    (
        re.compile(r"^[ \t]*(?:(?:[-*•‣>]|#{1,6})[ \t]+)+(?:\[[ xX]\][ \t]+)?", re.MULTILINE),
        lambda found: "",
    ),
    (
        re.compile(
            r"(?<!\w)[*_`~]++(?=[^\s*_`~\d])|(?<!\w)[*_`]++(?=\d)|(?<=\S)[*_`]++(?!\w)"
            r"|(?<=[^\s~])~~(?!\w)"
        ),
        lambda found: "",
    ),
]


def _tag(written: str) -> str:
    """HTML is silent; what is no formatting of a word also parts the words on either side."""
    return "" if _INLINE.match(written) else " "


def _in_angles(found: re.Match[str]) -> str:
    """What stands in angle brackets and is no HTML: "<Name>", "List<String>"; not "a <b, c> d"."""
    words = found[1].split()
    sides = (words[0], words[-1]) if len(words) > 1 else ()
    return found[0] if any(len(side) == 1 for side in sides) else f" {found[1]} "


_SYMBOLS: list[Rule] = [
    (re.compile(r"\b(and|either)/(or)\b"), lambda found: f"{found[1]} {found[2]}"),
    (
        re.compile(r"\b(he|him|his|yes|she|her|hers|or|s)/(she|her|hers|no|he|him|his|he)\b", re.I),
        lambda found: f"{'she' if found[1] == 's' else found[1]} or {found[2]}",
    ),
    (re.compile(r"(?<=\w) ?&+ ?(?=\w)|&+"), lambda found: " and "),
    (re.compile(r"(?<=[\s\w])-= ?"), lambda found: " minus equals "),
    (re.compile(r"(?<=[\s\w])\+= ?"), lambda found: " plus equals "),
    (re.compile(r"(?<=\s)/(?=[a-z][\w.-]*/)|^/(?=[a-z][\w.-]*/)"), lambda found: "slash "),
    (re.compile(r"-{1,3}>|=>|→"), lambda found: " to "),
    (re.compile(r"<-{1,3}(?=\s)|←|↔"), lambda found: " "),
    (re.compile(r"[~≈] ?(?=\w)"), lambda found: " about "),
    (re.compile(r"±|\+/-"), lambda found: " plus or minus "),
    (re.compile(r"÷"), lambda found: " divided by "),
    (re.compile(r"≤|<="), lambda found: " at most "),
    (re.compile(r"≥|>="), lambda found: " at least "),
    (re.compile(r"≠|!="), lambda found: " is not "),
    (re.compile(r"(?<=\w) ?= ?(?=\w)|==+"), lambda found: " equals "),
    (re.compile(r"< ?(?=\w)"), lambda found: " less than "),
    (re.compile(r"(?<=[a-z]{2}) > (?=[A-Z][a-z])"), lambda found: ", "),  # a path through menus
    (re.compile(r"(?<=[\w)]) ?> ?(?=\w)|^> ?(?=\w)"), lambda found: " greater than "),
    (re.compile(r"\+ ?(?=\w)|(?<=\w)\+"), lambda found: " plus "),
    (re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), lambda found: " slash "),
    (re.compile(r"(?<=\s)@(?=\s)|@(?=\w)"), lambda found: " at "),
    (re.compile(r"%"), lambda found: " percent "),
    (re.compile(r"°"), lambda found: " degrees "),
    (re.compile(r"§+"), lambda found: " section "),
    (re.compile(r"©|\([cC]\)(?= )"), lambda found: " copyright "),
    (re.compile(r"²|\^ ?two\b"), lambda found: " squared "),
    (re.compile(r"³|\^ ?three\b"), lambda found: " cubed "),
    (re.compile(r"(?<=\w)\^(?=\w)"), lambda found: " to the power of "),
    (re.compile(r"[µ]"), lambda found: " micro "),
    (re.compile(r"×"), lambda found: " times "),
    (re.compile(r"\$+"), lambda found: " dollars "),
    (re.compile(r"€"), lambda found: " euros "),
    (re.compile(r"£"), lambda found: " pounds "),
    (re.compile(r"¥"), lambda found: " yen "),
    (re.compile(r"₹"), lambda found: " rupees "),
    (re.compile(r"₩"), lambda found: " won "),
    (re.compile(r"¢"), lambda found: " cents "),
    (re.compile(r"‰"), lambda found: " per mille "),
]


def plain(text: str) -> tuple[str, int]:
    """`text` without what has no sound, and how many characters that were: emoji, other scripts."""
    parts = []
    unspoken = 0
    text = unicodedata.normalize("NFC", text)
    for pattern, words in _NAMED:
        text = pattern.sub(words, text)
    for character in text:
        part = _sound(character)
        unspoken += part is None
        # A space keeps the words on either side apart.
        parts.append(" " if part is None else part)
    return "".join(parts), unspoken


@lru_cache(maxsize=4096)
def _sound(character: str) -> str | None:
    """What is spoken for one character: itself, a plain form of it, nothing, or None: unspoken."""
    category = unicodedata.category(character)
    if character.isspace() or character in _SOUNDED:
        return character
    if category == "Nd":
        return str(unicodedata.decimal(character))
    compatible = unicodedata.normalize("NFKC", character).replace("\N{FRACTION SLASH}", "/")
    if all(map(_sounds, compatible)):
        return f" {compatible}" if category == "No" else compatible  # "5⅓" is no "51/3"
    # Marks and joiners belong to the character before; they are no character of their own.
    return "" if category in {"Cf", "Mn", "Me"} else None


def _sounds(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    return character in _SOUNDED or (
        character.isalpha() and unicodedata.name(character, "").startswith("LATIN ")
    )


def _latin(text: str) -> str:
    """Letters without their accents."""
    if text.isascii():
        return text
    return "".join(
        character if character.isascii() or character in _SOUNDED else _bare(character)
        for character in text
    )


@lru_cache(maxsize=1024)
def _bare(letter: str) -> str:
    bare = unicodedata.normalize("NFKD", letter.translate(_LETTERS))
    return "".join(filter(str.isascii, bare)) or " " * letter.isspace()


def spoken(text: str) -> str:
    """`text` as it is said. Empty when nothing of it is: no letter and no digit in it."""
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    for pattern, words in _MARKDOWN:
        text = pattern.sub(words, text)
    text = _TYPESET.sub(lambda found: re.sub(r"\s", "'", found[0]), text)
    text = _LESS_THAN_THREE.sub(_heart_or_less, _HEART.sub(r"\1 love ", text))
    text = _latin(plain(_EMOTICON.sub(_face, text))[0].translate(_QUOTES))
    text = re.sub(r"(?<=[\w,;])[ \t]*\n\s*(?=\w)", ". ", text)
    text = re.sub(r"\s+", " ", text).strip()
    ends = _last_mark(text)
    text = shorthand.addresses(text).replace("_", " ")
    text = _GLUED.sub(". ", text)
    text = shorthand.initials(quantities.said(shorthand.abbreviations(text)))
    for pattern, words in _SYMBOLS:
        text = pattern.sub(words, text)
    return _ended(_tidy(shorthand.capitals(_tidy(text))), ends)


def _last_mark(text: str) -> str:
    """The mark that the text ends with, which a last "p.m." or "Ltd." has taken with it."""
    bare = text.rstrip("\"')]} *_")
    return bare[-1] if bare and bare[-1] in ".!?" else ""


_TIDY: list[Rule] = [
    (re.compile(r"[()\[\]{};:|–—]+|(?<![A-Za-z])-+(?![A-Za-z])|--+"), lambda found: ","),
    # A hyphen joins two words, an apostrophe is within one; elsewhere they have no sound.
    (re.compile(r"(?<![A-Za-z])['-]+|['-]+(?![A-Za-z])"), lambda found: " "),
    (re.compile(r"[^A-Za-z.,!?' -]"), lambda found: " "),
    (re.compile(r" {2,}"), lambda found: " "),
    (re.compile(r" ?[,.!?][ ,.!?]*+"), lambda found: _mark(found)),
]


def _mark(found: re.Match[str]) -> str:
    """One mark for a row of them, the strongest; a trail of dots is left."""
    run = found[0]
    if not found.start():
        return ""
    if "?" in run:
        mark = "?"
    elif "!" in run:
        mark = "!"
    elif ".." in run:
        mark = "..."
    else:
        mark = "." if "." in run else ","
    return f"{mark} "


def _tidy(text: str) -> str:
    for pattern, words in _TIDY:
        text = pattern.sub(words, text)
    return text.strip()


def _ended(text: str, mark: str) -> str:
    if not re.search("[A-Za-z]", text):
        return ""
    return text if not mark or text[-1] in ".!?" else text.rstrip(", ") + mark
