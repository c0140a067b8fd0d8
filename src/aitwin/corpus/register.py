"""How formal a reply is, by cues that cost nothing: address, sign-off, case, marks, emoji.

Coarse on purpose: three registers, so that a choice can keep their shares. Judges nobody.
"""

import re
from typing import Literal

Register = Literal["formal", "plain", "informal"]

_FORMAL = re.compile(
    r"^\s*(?:dear|sehr geehrte|guten tag|madame|monsieur|estimad[oa]|gentile|egregi|prezad[oa]|"
    r"geachte|beste|szanown|уважаем|sayın)\b"
    r"|\b(?:(?:best|kind|warm)(?: regards| wishes)|regards|sincerely|yours faithfully|"
    r"mit freundlichen grüßen|freundliche grüße|cordialement|saludos cordiales|atentamente|"
    r"distinti saluti|cordiali saluti|atenciosamente|met vriendelijke groet|"
    r"med vänliga hälsningar|z poważaniem|с уважением|saygılarımla)\b"
    r"|敬具|此致",
    re.IGNORECASE,
)
_INFORMAL = re.compile(
    r"\b(?:ha(?:ha)+|he(?:he)+|lo+l|lmao|omg|btw|yep|yeah|nope|gonna|wanna|thx|u|ur|jaja+|"
    r"mdr|kkk+|ahah+a?|хаха\w*|хех\w*)\b"
    r"|[!?]{2,}|[:;]-?[)(DP]|(?<!\.)\.{3,}(?!\.)"
    "|[\u2600-\u27bf\U0001f300-\U0001faff]|ww+$|哈哈|ㅋㅋ",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.!?…。！？।॥؟۔።។။:)\"'”’»」]\s*$|[\u0e00-\u0eff]\s*$")
"""Also where Thai or Lao stands last, which ends no sentence with a mark."""


def of(text: str) -> Register:
    """The register of a reply."""
    informal = len(_INFORMAL.findall(text))
    first = next((character for character in text if character.isalpha()), "")
    informal += first.islower() + (not _ENDED.search(text))
    if _FORMAL.search(text):
        return "formal" if informal < 2 else "plain"
    return "informal" if informal else "plain"
