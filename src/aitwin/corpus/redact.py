"""Secrets and other people's numbers become placeholders: `[PHONE_1]`, `[EMAIL_2]`.

The same secret has the same placeholder all through one pair. Only what has the shape of a secret,
or stands beside a word that names one, is touched: prices, dates, versions, order numbers and
addresses in prose stay. Names and postal addresses are not looked for.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from aitwin.corpus.pairs import Pair


@dataclass(frozen=True)
class Redacted:
    """A text without its secrets, and how many of which kind there were."""

    text: str = field(repr=False)
    counts: Counter[str]


class Redactor:
    """Remembers which placeholder stands for what, across the texts of one pair."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._placeholders: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()

    def redact(self, text: str) -> str:
        """The text with placeholders for its secrets."""
        for detector in _DETECTORS:
            text = detector.pattern.sub(partial(self._replace, detector), text)
        return text

    def _replace(self, detector: "_Detector", found: re.Match[str]) -> str:
        whole = found.group()
        secret = found["secret"] if "secret" in found.re.groupindex else whole
        if not detector.confirmed(secret):
            return whole
        self.counts[detector.kind] += 1
        start = found.start("secret") - found.start() if secret != whole else 0
        return whole[:start] + self._placeholder(detector, secret) + whole[start + len(secret) :]

    def _placeholder(self, detector: "_Detector", secret: str) -> str:
        key = (detector.kind, detector.same(secret))
        if key not in self._placeholders:
            self._numbers[detector.kind] += 1
            self._placeholders[key] = f"[{detector.kind}_{self._numbers[detector.kind]}]"
        return self._placeholders[key]


def redact(text: str) -> Redacted:
    """One text on its own."""
    redactor = Redactor()
    return Redacted(redactor.redact(text), redactor.counts)


def redact_pair(pair: Pair) -> tuple[Pair, Counter[str]]:
    """A pair whose three texts share their placeholders."""
    redactor = Redactor()
    clean = replace(
        pair,
        instruction=redactor.redact(pair.instruction),
        incoming=redactor.redact(pair.incoming),
        reply=redactor.redact(pair.reply),
    )
    return clean, redactor.counts


# What counts as a secret


def _always(_: str) -> bool:
    return True


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _lower(text: str) -> str:
    return text.casefold()


def _is_card(text: str) -> bool:
    """Card numbers end in a check digit (Luhn); one random number in ten would pass alone."""
    digits = [int(digit) for digit in reversed(_digits(text))]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return len(set(digits)) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: moved around and read as one number, the remainder by 97 is 1."""
    plain = re.sub(r"\s", "", text).upper()
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return 15 <= len(plain) <= 34 and int(number) % 97 == 1


def _is_phone(text: str) -> bool:
    """Plausible length, and no date: 2024-01-05 and 05.01.2024 are 8 digits."""
    return 9 <= len(_digits(text)) <= 15


def _is_password(text: str) -> bool:
    """After "password is" follow words, too ("wrong", "on the fridge"): a secret mixes."""
    kinds = (str.isdigit, str.isupper, lambda c: not c.isalnum())
    return any(kind(character) for kind in kinds for character in text[1:].rstrip(".,;:!?'\")"))


def _is_random(text: str) -> bool:
    """Capitals, small letters and digits that alternate at every third place: no words."""
    kinds = [(c.isdigit(), c.isupper()) for c in text if c.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    return len(set(kinds)) == len(("small", "capital", "digit")) and changes >= len(kinds) / 3


class _Detector(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    """The group `secret` is what is replaced; without one, all of the match."""
    confirmed: Callable[[str], bool] = _always
    same: Callable[[str], str] = str
    """What two spellings of one secret have in common."""


_LOCK_WORDS = (
    r"pass ?word|pass ?phrase|passwd|pwd|passcode|passwort|kennwort|mot de passe|contraseña|senha|"
    r"wachtwoord|lösenord|adgangskode|passord|salasana|hasło|heslo|пароль|密码|密碼|パスワード"
)
_WORDS_FOR_CODE = (
    r"(?:verification|security|one[- ]time|login|log-in|access|auth(?:entication)?|confirmation|"
    r"2fa|sms|door|gate|alarm|entry|key ?safe|lockbox|unlock)[- ](?:code|pin|number|password)|"
    r"otp|tan|pin(?: code| number)?|(?:the|your|my) code|code de sécurité|bestätigungscode|"
    r"sicherheitscode|código de verificación"
)
_WORDS_FOR_KEY = r"(?:api|access|secret)[ _-]?key|client[ _-]?secret|auth[ _-]?token|bearer|token"
_WORDS_FOR_PHONE = (
    r"tel|phone|mobile|mob|cell|handy|call me (?:on|at)|ring me on|text me (?:on|at)|"
    r"whatsapp(?: me)?(?: on)?|my number(?: is)?|téléphone|telefon|teléfono"
)
_QUERY_NAMES = (  # of a query
    r"[\w.-]*(?:token|secret|passw|pwd|signature|api_?key|auth|session|sid|otp|credential)[\w.-]*"
    r"|key|sig|code|pass|invite"
)
_KEY_SHAPES = (
    r"\b[spr]k[-_](?:(?:live|test|proj|ant)[-_])?[A-Za-z0-9_-]{16,}\b",
    r"\b(?:gh[pousr]_|hf_)[A-Za-z0-9]{20,}|\b(?:github_pat_|glpat-)[\w-]{20,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}|\bxox[abeoprs]-[\w-]{10,}",
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*",
)
_OF_WHAT = r"(?: (?:for|to|of) [\w ]{1,30}?)?"
_FEW_DIGITS = r"(?P<secret>\d{3,4}[ -]?\d{1,4})(?![\d.,:/-]*\d)"
# Not within a longer number, version, date, time or hexadecimal word.
_NO_NUMBER_BEFORE = r"(?<![\w+.,:/-])(?<!\d )"
_NO_NUMBER_AFTER = r"(?![\w-]| \d|[.,:/]\d)"


def _detector(
    kind: str,
    *alternatives: str,
    confirmed: Callable[[str], bool] = _always,
    same: Callable[[str], str] = str,
) -> _Detector:
    return _Detector(kind, re.compile("|".join(alternatives)), confirmed, same)


_DETECTORS = (
    _detector(
        "PRIVATE_KEY",
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|\Z)",
    ),
    _detector("API_KEY", *_KEY_SHAPES),
    _detector(
        "API_KEY",
        rf"(?i)\b(?:{_WORDS_FOR_KEY})(?:\s*(?:is|[:=])\s*|\s+)[\"'`]?(?P<secret>\w[\w\-+=.]{{15,}})",
        confirmed=lambda secret: bool(re.search(r"\d", secret)) and not secret.startswith("0x"),
    ),
    _detector("URL", r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/@:]+:[^\s/@]+@[^\s<>\"')\]]+"),
    _detector(
        "URL",
        rf"(?i)\bhttps?://[^\s<>\"]*[?&#;](?:{_QUERY_NAMES})=[^\s<>\"&]{{6,}}[^\s<>\"')\]]*",
    ),
    # A query this long is no longer meant for people: tracking, sessions, invitations.
    _detector("URL", r"(?i)\bhttps?://[^\s<>\"?]+\?[^\s<>\"]{60,}"),
    # "Anyone with the link": the link is the secret.
    _detector(
        "URL",
        r"\bhttps?://[^\s<>\"]*?/[\w-]{22,}[^\s<>\"')\]]*",
        confirmed=lambda url: any(map(_is_random, re.findall(r"(?<=/)[\w-]{22,}", url))),
    ),
    _detector("EMAIL", r"(?<![\w.+-])[\w.+'-]*[\w+]@(?:[\w-]+\.)+[^\W\d_]{2,}", same=_lower),
    _detector(
        "IBAN",
        r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b",
        r"\b[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?\b",
        confirmed=_is_iban,
        same=lambda text: re.sub(r"\s", "", text),
    ),
    _detector(
        "CARD",
        r"(?<![\d.,-])(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|65\d\d|35\d\d)(?:[ -]?\d{4}){3}"
        r"(?![\d-])",
        r"(?<![\d.,-])3[47]\d\d[ -]?\d{6}[ -]?\d{5}(?![\d-])",
        confirmed=_is_card,
        same=_digits,
    ),
    _detector(
        "PASSWORD",
        rf"(?i)\b(?:{_LOCK_WORDS})(?:\s*[:=：][^\S\n]*)[\"'`“]?(?P<secret>[^\s\"'`”]{{3,}})",
    ),
    _detector(
        "PASSWORD",
        rf"(?i)\b(?:{_LOCK_WORDS}){_OF_WHAT} (?:is|ist|est|es|é|är|er|to)(?: now)? "
        r"[\"'`“]?(?P<secret>[^\s\"'`”]{4,})",
        confirmed=_is_password,
    ),
    _detector(
        "CODE",
        rf"(?i)\b(?:{_WORDS_FOR_CODE}){_OF_WHAT}(?:\s*[:=：]\s*| (?:is|ist|est|es) | )"
        rf"(?:now )?[\"'`“]?{_FEW_DIGITS}",
    ),
    _detector(
        "CODE",
        r"(?i)(?<![\d.#-])(?P<secret>\d{4,8})"
        r"(?= is (?:your|the|my) [\w -]{0,40}\b(?:code|pin|otp)\b)",
    ),
    # International, with its plus; then national with a leading zero and groups, or the North
    # American shape. A long run of digits alone may as well be an order number, and stays.
    _detector(
        "PHONE",
        rf"(?<![\w+.])\+[1-9]\d{{0,2}}(?:[ \u00a0.\-/‑]?\(?\d{{1,5}}\)?){{2,6}}{_NO_NUMBER_AFTER}",
        confirmed=_is_phone,
        same=_digits,
    ),
    _detector(
        "PHONE",
        rf"{_NO_NUMBER_BEFORE}(?:\(0\d{{2,5}}\) ?|0\d{{2,5}}[ \u00a0/\-‑])"
        rf"\d{{3,4}}[ \u00a0\-‑]?\d{{3,5}}{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}07\d{{9}}{_NO_NUMBER_AFTER}",
        rf"{_NO_NUMBER_BEFORE}(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.‑ ])[2-9]\d\d[-.‑]\d{{4}}"
        rf"{_NO_NUMBER_AFTER}",
        confirmed=_is_phone,
        same=_digits,
    ),
    _detector(
        "PHONE",
        rf"(?i)\b(?:{_WORDS_FOR_PHONE})[ .:]{{1,3}}(?P<secret>\+?\(?\d[\d ()\-./]{{5,18}}\d)"
        r"(?![\w]|[.,:]\d)",
        confirmed=lambda text: 7 <= len(_digits(text)) <= 15,
        same=_digits,
    ),
    _detector("ID_NUMBER", r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"),
)
