"""Phone numbers: international, national by shape, and any where a word announces one.

Without a country a run of digits may as well be an order number, and stays: see regional_phones.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from aitwin.corpus.detector import Prepared, Span, detector, digits

PHONE_DIGITS = (7, 15)
_SAME_PHONE = 9
"""Last digits that tell phones apart: what is before may be +44, 0044, 0 or nothing."""


def phone_key(text: str) -> str:
    """The same for a number as written at home and abroad."""
    return digits(text)[-_SAME_PHONE:]


_PHONE_WORDS = (
    r"tel|tél|tlf|telefax|fax|phone(?: number)?|telephone|telephone number|mobile|mob|cell|"
    r"cellphone|"
    r"handy|handynummer|call (?:me )?(?:on|at)|ring (?:me )?(?:on|at)|reach me (?:on|at)|"
    r"text (?:me )?(?:on|at)|dial|whats ?app(?: me)?(?: on| at)?|wa|zap|signal|"
    r"(?:my|his|her|their|the|new) (?:new )?(?:number|cell|mobile|phone)(?: number)?|"
    r"meine (?:neue )?nummer|mon numéro|mi (?:número|móvil|celular|tel)|il mio numero|"
    r"mijn nummer|mitt nummer|téléphone|portable|appelle(?:-moi)?(?: au| le)?|telefon|teléfono|"
    r"móvil|movil|cel|celular|telefone|telemóvel|telemovel|telefono|cellulare|gsm|mobil|"
    r"mobil(?:nr|nummer)|puh|numer|nr tel|ph|hp|mob(?:ile)? no|(?:my|his|her|ur|your) no|numaram|"
    r"whats ?app (?:me )?(?:on|at)|viber|facetime|line(?= ?:)|digits(?= ?:)|"
    r"ll[aá]mame(?: al?)?|chiamami(?: al)?|me liga(?: no)?|liga (?:para|pro)|zadzwoń(?: pod)?|"
    r"txt(?: me)?(?: at| on)?|"
    r"text(?: me)?|call(?: me)?|ring(?: me)?|reach (?:me|him|her|us)(?: on| at)?|"
    r"bel(?: me)?(?: op)?|"
    r"ring (?:mig|meg)(?: på)?|joignable au|rappelle(?:-moi)?(?: au)?|"
    r"ruf(?: mich)?(?: an)?(?: unter)?|"
    r"arayın?|contact(?: me| us| no| number)?(?: at| on)?|fone|nº|telefonszám(?:om)?|telefonnummer|"
    r"číslo|telefoonnummer|nomor|sđt|số điện thoại"
)
_PHONE_WORDS_ELSEWHERE = (
    r"тел(?:ефон)?|моб|κινητό|τηλ(?:έφωνο)?|мобил\w+|мой номер|(?:по)?звони(?:те)?|номер|"
    r"电话(?:号码)?|手机(?:号)?|電話(?:番号)?|携帯|"
    r"전화(?:번호)?|"
    r"رقمي|رقم (?:الهاتف|الجوال)|هاتف|جوال|טלפון|נייד|फ़ोन|फोन|โทร"
)
# Not within a longer number, version, date, time or hexadecimal word, nor in a row of them.
_NO_NUMBER_BEFORE = r"(?<![A-Za-z\d_+.,:/#-])(?<!\d )(?<![\da-f]{4} )"
_NO_NUMBER_AFTER = r"(?![A-Za-z\d_-]| \d|[.,:/]\d| +[\da-f]{8}\b)"
_GAP = r"(?: - |[ .\-/]?)"


def _is_phone(text: str) -> bool:
    """A plausible length: 2024-01-05 and 05.01.2024 are 8 digits."""
    if not 9 <= len(digits(text)) <= PHONE_DIGITS[1] or len(set(digits(text))) <= 2:
        return False
    pairs = re.fullmatch(r"\d\d(?:[ -]\d\d){4}", text)
    # Lots that were drawn go up: "07 14 21 28 35".
    return not (pairs and sorted(set(text.split())) == text.split())


def _is_international(text: str) -> bool:
    """Germans write the extension behind it: "+49 (0)7071 - 40 78 56-6211"."""
    return _is_phone(text) or _is_phone(re.sub(r"\(0\)|(?<=\d)-\d{2,5}$", "", text))


def _is_named_phone(text: str) -> bool:
    few, many = PHONE_DIGITS
    if re.fullmatch(r"\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{4}-\d\d-\d\d|(?:19|20)\d\d ?- ?\d{4}", text):
        return False
    return few <= len(digits(text)) <= many


_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_ONE_WORD = rf"(?:oh|nought|{'|'.join(_DIGIT_WORDS)}|double|triple)"
_MORE_WORDS = rf"(?:{_ONE_WORD}|hundred|thousand|{'|'.join((*_TEENS, *_TENS))})"


def _is_spoken(text: str) -> bool:
    """Digits enough, most of them alone: "two hundred thirty" is an amount, "one two three" counts.

    "hundred" and "thousand" stand for their noughts, a ten before a digit for its first.
    """
    words = re.findall(r"\+?\w+", text.casefold())
    values = [_VALUES.get(word, word.lstrip("+")) for word in words]
    figures = [(len(value) if value.isdigit() else 1) for value in values]
    alone = [value for value in values if value.isdigit() and len(value) == 1]
    known = words[0][0] in "+0" or words[0] in ("oh", "zero", "nought")
    steps = sum(abs(ord(a) - ord(b)) == 1 for a, b in pairwise(alone))
    if 2 * steps > sum(figures) - 1:
        return False
    return sum(figures) >= (9 if known else 7) and len(alone) >= (3 if known else 6)


_VALUES = {
    **{word: str(digit) for digit, word in enumerate(_DIGIT_WORDS)},
    **{"oh": "0", "nought": "0", "hundred": "00", "thousand": "000", "double": "x", "triple": "xx"},
    **{word: str(number) for number, word in enumerate(_TEENS, 10)},
    **{word: f"{number}0" for number, word in enumerate(_TENS, 2)},
}


DETECTORS = (
    detector(
        "PHONE",
        rf"(?<![\w+.])\+[1-9]\d{{0,2}}(?:{_GAP}\(?\d{{1,5}}\)?){{2,6}}{_NO_NUMBER_AFTER}",
        r"(?<![\w+.])\+[1-9]\d{8,14}(?!\d)",
        rf"{_NO_NUMBER_BEFORE}(?:00|011[ -])(?!800)[1-9]\d{{0,2}}[ -]\(?[1-9]\d{{0,4}}\)?"
        rf"(?:[ -]?\d{{2,5}}){{1,5}}{_NO_NUMBER_AFTER}",
        digits="many",
        confirmed=_is_international,
        same=phone_key,
    ),
    # National, with a leading zero and groups.
    detector(
        "PHONE",
        rf"{_NO_NUMBER_BEFORE}(?!0\d{{4}}-\d{{4}}\b)(?:\(0\d{{1,5}}\) ?|0[1-9]\d{{0,4}}(?: ?/ ?|"
        rf"[ -]))"
        rf"\d{{2,4}}(?:[ -]?\d{{2,5}}){{0,4}}{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}0[1-9](?:[ .-]\d\d){{4}}{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}0[1-9]\d{{8,9}}{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}01[5-7]\d{{9}}{_NO_NUMBER_AFTER}",
        digits="many",
        confirmed=lambda text: _is_phone(text) and len(digits(text)) <= 12,
        same=phone_key,
    ),
    # National, by shapes of their own: North America, Russia, Brazil.
    detector(
        "PHONE",
        rf"{_NO_NUMBER_BEFORE}(?:1[-. ])?(?:\([2-9]\d\d\) ?[2-9]\d\d[-. ]|"
        rf"[2-9]\d\d[-. /][2-9]\d\d[-.])\d{{4}}"
        rf"{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}8[ -]?(?:\(\d{{3}}\)|-\d{{3}})[ -]?\d{{3}}[ -]?\d\d[ -]?\d\d"
        rf"{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}8-\d{{3}}-\d{{3}}-\d\d-\d\d{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}89\d{{9}}{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}(?:\(\d\d\) ?9?|\d\d 9)\d{{4}}-\d{{4}}{_NO_NUMBER_AFTER}",
        digits="many",
        confirmed=_is_phone,
        same=phone_key,
    ),
    # A long run of digits alone may as well be an order number, and stays; beside a word it goes.
    detector(
        "PHONE",
        rf"(?i)(?:(?<![^\W_])(?:{_PHONE_WORDS})|{_PHONE_WORDS_ELSEWHERE})"
        r"(?: (?:no|nr|number|nummer)\.?)?(?: ?[.:=] ?| (?:is|ist|est|es|é|è|är)(?: now| el|"
        r" le)? ?|"
        r"\s?[是は]\s?|"
        r" ){0,3}(?P<named>\+?\(?\d[\d ()\-./]{5,18}\d)(?![A-Za-z\d_-]|[.,:/]\d| \d)",
        r"(?i)\b(?:wa\.me/|whatsapp\.com/send\?phone=)\+?(?P<link>\d{8,15})",
        r"(?<![\w.])@(?P<mention>\d{10,15})\b",
        r"(?i)\btel:(?P<tel>\+?[\d().-]{7,20})",
        digits="many",
        confirmed=_is_named_phone,
        same=phone_key,
    ),
    # "nine one seven five five five 0126": words of digits in a row, figures before and among them.
    detector(
        "PHONE",
        rf"(?i)(?<![\w+])(?:\+?\d{{1,5}}[ ,-]{{1,2}}){{0,4}}{_ONE_WORD}"
        rf"(?:[ ,-]{{1,2}}(?:{_MORE_WORDS}|\d{{1,5}})){{1,16}}\b",
        words=_DIGIT_WORDS,
        confirmed=_is_spoken,
    ),
)


def regional_phones(regions: frozenset[str]) -> Callable[[Prepared], Iterator[Span]]:
    """Finds the national numbers of these countries ("DE", "IN") that no word announces."""
    import phonenumbers

    def find(text: Prepared) -> Iterator[Span]:
        for start, end in text.numbers:
            for region in regions:
                for found in phonenumbers.PhoneNumberMatcher(text.text[start:end], region):
                    at = start + found.start
                    yield Span(at, at + len(found.raw_string), "PHONE", phone_key(found.raw_string))

    return find
