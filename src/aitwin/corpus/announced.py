"""Secrets that another line announces: a message asks for one, the head of a column names it.

Knows no secret of its own: a line that follows a question is read as if the word stood before it,
by the rules of secrets, codes, identifiers and phones.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from aitwin.corpus import codes, identifiers, phones, secrets
from aitwin.corpus.detector import HIDDEN, Prepared, Span

LINES = 8
"""How many lines after the question may hold the answer."""
LONGEST = 100
MOST_WORDS = 12
"""Characters and words of such a line: an answer is short, and what is longer is prose."""
FIRST_WORDS = 5
"""Words before the answer, and fewer."""

_QUESTION = (
    r"(?:\?|？|؟|\b(?:what|send|text me|tell me|give me|(?:need|got|have|forgot|know) (?:the|your|"
    r"ur|my|our)|remind|"
    r"whats|wie|welche\w*|schick\w*|sag|brauch\w*|hast|gib|quel\w*|c['’]est quoi|envoie\w*|"
    r"donne\w*|"
    r"cu[aá]l|p[aá]same|m[aá]nda\w*|env[ií]a\w*|dime|qual|manda\w*|dimmi|passa\w*|wat|stuur|geef|"
    r"vad|"
    r"skicka|hva|hvad|mikä|jaki\w*|podaj|wyślij|ne|nedir|gönder|какой|скинь|пришли|напомни|дай|"
    r"який)\b|"
    r"教えて|多少|什么|发我|뭐|알려|ما |أرسل|מה |שלח)"
)


class _Ask(NamedTuple):
    """What somebody may ask for, and by which words its answer is then read."""

    word: re.Pattern[str]
    stems: tuple[str, ...]
    """Only lines with one of these are looked at: speed."""
    prefixes: tuple[str, ...]
    kinds: frozenset[str]


def _ask(word: str, stems: str, prefixes: tuple[str, ...], *kinds: str) -> _Ask:
    return _Ask(re.compile(f"(?i){word}"), tuple(stems.split()), prefixes, frozenset(kinds))


_ASKS = (
    _Ask(
        re.compile(f"(?i){secrets.LOCKS}"),
        secrets.LOCK_STEMS,
        ("password ", "door code "),
        frozenset({"PASSWORD", "CODE"}),
    ),
    _ask(
        r"(?:\b(?:codes?|digicode|pin|otp|tan|puk|combo|combination|kod\w{0,4}|kood\w*|kód\w*|"
        r"c[oó]digo|codice|cod(?:ul)?|κωδικ\w*|код\w*|пин)\b|\w(?:code|kod|koden|kode|koodi)\b|"
        r"验证码|コード|番号|인증|رمز|קוד)",
        "code pin otp tan puk comb kod kood kód cód cod κωδικ код пин 验证码 コード 番号 인증 رمز ק"
        "וד",
        ("door code ",),
        "CODE",
    ),
    _ask(
        r"\b(?:number|phone|mobile|cell|nummer|handy\w*|num[eé]ro|n[uú]mero|m[oó]vil|numer|"
        r"telefon\w*|номер|телефон|numara\w*)\b|电话|手机|電話|번호|رقم|טלפון",
        "number phone mobile cell nummer handy numer numér númer móvil movil telefon номер телефон "
        "numara 电话 手机 電話 번호 رقم טלפון",
        ("phone ",),
        "PHONE",
    ),
    _ask(
        r"\b(?:account|acct|iban|bank details|sort code|konto\w*|compte|rib|cuenta|conto|conta|"
        r"rekening\w*|счёт|счет|hesap)\b|账号|口座|계좌",
        "account acct iban bank sort konto compte rib cuenta cont rekening счёт счет hesap 账号 口"
        "座 "
        "계좌",
        ("account ", "sort code "),
        *("BANK", "IBAN"),
    ),
    _ask(
        r"\b(?:passport|ssn|social|id number|national id|tax id|nino|ni number|licen[cs]e|dni|cpf|"
        r"reisepass|ausweis\w*|steuer\w*|passeport|s[ée]cu|pasaporte|passaporto|codice fiscale|bsn|"
        r"pesel|personnummer|паспорт\w*|инн|снилс|aadhaar|aadhar|pan)\b|身份证|여권",
        "pass ssn social id nino ni licen dni cpf ausweis steuer sécu secu pasap codice bsn pesel "
        "personn паспорт инн снилс aadha pan 身份证 여권",
        ("passport number ",),
        "ID_NUMBER",
    ),
)
STEMS = frozenset(stem for ask in _ASKS for stem in ask.stems)
_QUESTIONS = re.compile(rf"(?i){_QUESTION}")
_TRIED = (*secrets.DETECTORS, *codes.DETECTORS, *identifiers.DETECTORS, *phones.DETECTORS)
_LINE = re.compile(r"[^\n]+")
_HEADING = re.compile(r"\W*(?:[^\W\d_]+\W{1,2}){0,2}[^\W\d_]+ ?:\W*")
""" "Passwords:", "WiFi codes:": the lines below are a list of them."""
_WORD_AND_NUMBER = re.compile(
    r"(?:[^\W\d_]+,? ){0,2}((?=\S*\d)(?=\S*[^\W\d])(?!https?:)[^\s/]{6,40})\s*"
)
"""Alone on its line it is no product ("Windows11") where a password was asked for."""
_NO_ANSWER = re.compile(r"\w\($")
""" "usleep(1000": an argument."""
_FIGURES = re.compile(r"(?:\b\d+\s+){3}\d|\b(?:19|20)\d\d ?- ?(?:19|20)\d\d\b")
"""A row of a table, or from one year to another: no code."""
_SPEAKER = re.compile(r"\A[^\W\d][\w .'-]{0,30}: ")
"""In a chat each turn begins with who said it."""


def answers(texts: Sequence[Prepared]) -> Iterator[tuple[int, Span]]:
    """What answers a question of a line before, as (which text, where): texts that follow."""
    for ask in _ASKS:
        read: set[tuple[int, int]] = set()
        for which, text in enumerate(texts[:-1] if len(texts) > 1 else texts):
            for end in _asking(text, ask, always=which == 0 and len(texts) > 1):
                read.update(_after(texts, which, end))
        for which, start in sorted(read):
            line = _LINE.match(texts[which].text, start)
            if line and len(line[0]) <= LONGEST:
                for span in _read(line[0], ask, start):
                    yield which, span


def _asking(text: Prepared, ask: _Ask, *, always: bool) -> Iterator[int]:
    """Where the lines end that ask for it. What the first text names, the rest is about."""
    for start, end in text.around(ask.stems, more=0):
        for line in _LINE.finditer(text.text, start, end):
            if _HEADING.fullmatch(line[0]) and ask.word.search(line[0]):
                yield line.end()
                continue
            for word in ask.word.finditer(line[0]):
                near = line[0][max(0, word.start() - 40) : word.end() + 25]
                if always or _QUESTIONS.search(near):
                    yield line.end()
                    break


def _after(texts: Sequence[Prepared], which: int, end: int) -> Iterator[tuple[int, int]]:
    """The lines that follow in this text, and the first of the next ones, by their beginnings."""
    for line in islice(_LINE.finditer(texts[which].text, end), LINES):
        yield which, line.start()
    for later in range(which + 1, len(texts)):
        for line in islice(_LINE.finditer(texts[later].text), LINES):
            yield later, line.start()


def _read(line: str, ask: _Ask, start: int) -> Iterator[Span]:
    """The secrets of a line as if the word stood before it."""
    name = _SPEAKER.match(line)
    skipped = name.end() if name else 0
    said, start = line[skipped:], start + skipped
    if "PASSWORD" in ask.kinds and (word := _WORD_AND_NUMBER.fullmatch(said)):
        yield Span(start + word.start(1), start + word.end(1), "PASSWORD", word[1].casefold())
    for prefix in ask.prefixes:
        prepared = Prepared(prefix + said)
        at = start - len(prefix)
        for detector in _TRIED:
            if detector.kind in ask.kinds:
                if detector.kind == "CODE" and _FIGURES.search(said):
                    continue
                for span in detector.find(prepared):
                    if _at_hand(said, span.start - len(prefix)):
                        yield span._replace(start=span.start + at, end=span.end + at)


def _at_hand(said: str, at: int) -> bool:
    """An answer begins with what was asked for, or after a word or two ("sure, it's …")."""
    if at > 0 and _NO_ANSWER.search(said[:at]):
        return False
    before = said[:at].split() if at >= 0 else [said] * FIRST_WORDS
    words = said.split()
    if len(before) >= FIRST_WORDS or len(words) > MOST_WORDS:
        return False
    # "MIPS32 code" is talk about code.
    return said[at].isdigit() or len(words) < FIRST_WORDS


# Tables

_HEAD = re.compile(
    rf"(?i)(?:[^\W\d_]+[ -])?(?:{secrets.LOCKS}|pass|pin|code|secret|token|api[ -]?key|mdp)s?"
)
_NAMES = re.compile(r"[^\W\d_][\w .()/-]{0,24}|")
_SEPARATORS = "|\t;,"


def columns(text: Prepared) -> Iterator[Span]:
    """The cells under a head that names a lock, in tables with bars, tabs, semicolons or commas."""
    if not any(separator in text.text for separator in _SEPARATORS):
        return
    if not any(word in text.lower for word in _HEADS):
        return
    under = _Under("", 0, ())
    for line in _LINE.finditer(text.text):
        if under.places and line[0].count(under.separator) == under.parts:
            yield from _cells(line, under)
        else:
            under = _head(line[0])


_HEADS = (*secrets.LOCK_STEMS, "pass", "pin", "code", "secret", "token", "key")


class _Under(NamedTuple):
    """How the lines of a table are parted, and which cells hold secrets."""

    separator: str
    parts: int
    """Separators of a line: a line with more or fewer is no part of the table."""
    places: tuple[int, ...]


def _head(line: str) -> _Under:
    """What a line says of the lines below, where it is nothing but names of columns."""
    for separator in _SEPARATORS:
        cells = [cell.strip(" *`\"'") for cell in line.split(separator)]
        if len(cells) > 1 and all(map(_NAMES.fullmatch, cells)):
            places = (place for place, cell in enumerate(cells) if _HEAD.fullmatch(cell))
            return _Under(separator, len(cells) - 1, tuple(places))
    return _Under("", 0, ())


def _cells(line: re.Match[str], under: _Under) -> Iterator[Span]:
    at = line.start()
    for place, cell in enumerate(line[0].split(under.separator)):
        secret = cell.strip().strip("\"'`*")
        if place in under.places and _is_cell(secret):
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
