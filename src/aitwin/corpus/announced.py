"""Secrets that another line announces: a message asks for one, the head of a column names it.

Knows no secret of its own: a line that follows a question is read as if the word stood before it,
by the rules of secrets, codes, identifiers and phones.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from aitwin.corpus import codes, identifiers, phones, secrets
from aitwin.corpus.detector import HIDDEN, Prepared, Span

LINES = 5
"""How many lines after the question may hold the answer."""
LONGEST = 100
"""Characters of such a line: an answer is short, and what is longer is prose."""

_QUESTION = (
    r"(?:\?|？|؟|\b(?:what|which|send|text|tell|give|need|remind|remember|got|have|forgot|share|pass|"
    r"whats|wie|welche\w*|schick\w*|sag|brauch\w*|hast|gib|quel\w*|c['’]est quoi|envoie\w*|donne\w*|"
    r"cu[aá]l|p[aá]same|m[aá]nda\w*|env[ií]a\w*|dime|qual|manda\w*|dimmi|passa\w*|wat|stuur|geef|vad|"
    r"skicka|hva|hvad|mikä|jaki\w*|podaj|wyślij|ne|nedir|gönder|какой|скинь|пришли|напомни|дай|який)\b|"
    r"教えて|多少|什么|发我|뭐|알려|ما |أرسل|מה |שלח)"
)
_CODE = (
    r"\b(?:codes?|digicode|pin|otp|tan|puk|combo|combination|kod\w{0,4}|kood\w*|kód\w*|c[oó]digo|"
    r"codice|cod(?:ul)?|κωδικ\w*|код\w*|пин)\b|\w(?:code|kod|koden|kode)\b|验证码|コード|番号|인증|رمز|קוד"
)
_ASKED = (
    (secrets.LOCKS, ("password ", "door code "), frozenset({"PASSWORD", "CODE"})),
    (_CODE, ("door code ",), frozenset({"CODE"})),
    (
        r"\b(?:number|phone|mobile|cell|nummer|handy\w*|num[eé]ro|n[uú]mero|m[oó]vil|numer|telefon\w*|"
        r"номер|телефон|numara\w*)\b|电话|手机|電話|번호|رقم|טלפון",
        ("phone ",),
        frozenset({"PHONE"}),
    ),
    (
        r"\b(?:account|acct|iban|bank details|sort code|konto\w*|compte|rib|cuenta|conto|conta|"
        r"rekening\w*|счёт|счет|hesap)\b|账号|口座|계좌",
        ("account ", "sort code "),
        frozenset({"BANK", "IBAN"}),
    ),
    (
        r"\b(?:passport|ssn|social|id number|national id|tax id|nino|ni number|licen[cs]e|dni|cpf|"
        r"pass(?:nummer)?|reisepass|ausweis\w*|steuer\w*|passeport|s[ée]cu|pasaporte|passaporto|"
        r"codice fiscale|bsn|pesel|personnummer|паспорт\w*|инн|снилс|aadhaar|aadhar|pan)\b|身份证|여권",
        ("passport number ",),
        frozenset({"ID_NUMBER"}),
    ),
)
_ASKS = [(re.compile(rf"(?i){word}"), prefixes, kinds) for word, prefixes, kinds in _ASKED]
_ANY = re.compile("(?i)" + "|".join(f"(?:{word})" for word, _, _ in _ASKED))
_QUESTIONS = re.compile(rf"(?i){_QUESTION}")
_TRIED = (*secrets.DETECTORS, *codes.DETECTORS, *identifiers.DETECTORS, *phones.DETECTORS)
_LINE = re.compile(r"[^\n]+")


def answers(texts: Sequence[Prepared]) -> Iterator[tuple[int, Span]]:
    """What answers a question of a line before, as (which text, where): texts that follow."""
    left = [0] * len(_ASKS)
    for which, text in enumerate(texts):
        last = which == len(texts) - 1
        for line in _LINE.finditer(text.text):
            if any(left) and len(line[0]) <= LONGEST:
                for asked, more in enumerate(left):
                    if more:
                        for span in _read(line[0], _ASKS[asked], line.start()):
                            yield which, span
            left = [max(0, more - 1) for more in left]
            # What the first text says is what the rest is about: it need not ask.
            if _ANY.search(line[0]) and not last:
                asks = which == 0 or bool(_QUESTIONS.search(line[0]))
                _note(line[0], left, asks=asks)
        # A mail may ask at its beginning, and is answered in the next text.
        if which < len(texts) - 1 and _ANY.search(text.text):
            for line in _LINE.finditer(text.text):
                _note(line[0], left, asks=which == 0 or bool(_QUESTIONS.search(line[0])))


def _note(line: str, left: list[int], *, asks: bool) -> None:
    for number, (word, _, _) in enumerate(_ASKS):
        if asks and word.search(line):
            left[number] = LINES


def _read(
    line: str, asked: tuple[re.Pattern[str], tuple[str, ...], frozenset[str]], start: int
) -> Iterator[Span]:
    """The secrets of a line as if the word stood before it."""
    _, prefixes, kinds = asked
    for prefix in prefixes:
        prepared = Prepared(prefix + _SPEAKER.sub(lambda name: " " * len(name[0]), line))
        for detector in _TRIED:
            if detector.kind in kinds:
                for span in detector.find(prepared):
                    if span.start >= len(prefix):
                        at = start - len(prefix)
                        yield span._replace(start=span.start + at, end=span.end + at)


_SPEAKER = re.compile(r"\A[^\W\d][\w .'-]{0,30}: ")


# Tables

_HEAD = re.compile(
    rf"(?i)\W*(?:\w+[ _-])?(?:{secrets.LOCKS}|pass|pin|code|secret|token|api[ _-]?key|mdp)s?\W*"
)
_SEPARATORS = "|\t;,"


def columns(text: Prepared) -> Iterator[Span]:
    """The cells under a head that names a lock, in tables with bars, tabs, semicolons or commas."""
    if not any(separator in text.text for separator in _SEPARATORS):
        return
    if not any(word in text.lower for word in _HEADS):
        return
    under: tuple[str, list[int]] = ("", [])
    for line in _LINE.finditer(text.text):
        separator, places = under
        if places and separator in line[0]:
            yield from _cells(line, separator, places)
            continue
        under = _head(line[0])


_HEADS = (*secrets.LOCK_STEMS, "pass", "pin", "code", "secret", "token", "key")


def _head(line: str) -> tuple[str, list[int]]:
    """Which separator parts the line, and which of its cells name a lock."""
    for separator in _SEPARATORS:
        cells = line.split(separator) if separator in line else []
        places = [place for place, cell in enumerate(cells) if _HEAD.fullmatch(cell.strip())]
        if places:
            return separator, places
    return "", []


def _cells(line: re.Match[str], separator: str, places: Iterable[int]) -> Iterator[Span]:
    at = line.start()
    for place, cell in enumerate(line[0].split(separator)):
        secret = cell.strip().strip("\"'`*")
        if place in places and _is_cell(secret):
            start = at + cell.index(secret)
            yield Span(start, start + len(secret), "PASSWORD", secret.casefold())
        at += len(cell) + 1


def _is_cell(text: str) -> bool:
    """One word with something that is no small letter: no rule of a table, no prose."""
    return (
        len(text) >= len("1234")
        and " " not in text
        and HIDDEN not in text
        and any(c.isdigit() or c.isupper() for c in text)
    )
