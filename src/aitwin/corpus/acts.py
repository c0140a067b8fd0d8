"""What a mail does, where a sentence near its beginning does it: thanks, asks, sends, invites.

A word is not the act: "No thanks to him", "the bill was not attached" and "I refuse to invite
them" do none of it. In doubt nothing is said.
"""

# ruff: noqa: E501 -- word lists are easier to read unbroken

import re
from collections.abc import Iterator
from typing import NamedTuple

SENTENCES = 60
"""Looked at, of a mail."""
SENTENCE = 300
"""Characters of one that are looked at."""

_GREETING = (
    r"(?:(?:hi|hello|hey|dear|good (?:morning|day|evening)|hallo|liebe[rs]?|guten \w+|salut|bonjour"
    r"|cher|chère|hola|querid[oa]|ciao|car[oa]|olá|beste|dag|hej|cześć|привет)\b[^,!.]{0,40}[,!]\s*)?"
)
_SPLIT = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？।؟۔])|\n+")
_SPOKEN_OF = re.compile(
    r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|„[^“”\n]{1,300}[“”]|«[^»\n]{1,300}»|「[^」\n]{1,300}」"
)
_NEGATED = re.compile(
    r"n['’]t\b|\b(?:not|never|no|none|nor|without|refus\w+|forgot\w*|forgets?|nicht|kein\w*|nie|ohne"
    r"|fehlt\w*|pas|jamais|sans|sin|nunca|non|mai|senza|não|sem|niet|geen|inte|ikke|не|ни|nie)\b"
    r"|ない|不|没",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[?？؟;]\s*$")
_ASKS = re.compile(r"[?？؟][\"'”’)\s]*$")


class _Act(NamedTuple):
    """What a mail does, and how a sentence that does it reads."""

    does: str
    within: int
    """Characters of the mail: who thanks at its end does not write in order to thank."""
    sentence: re.Pattern[str]
    revocable: bool
    """Whether a negation in the sentence, or a question mark, takes it back."""


def _act(
    does: str, within: int, begins: str, anywhere: str = "(?!)", *, revocable: bool = False
) -> _Act:
    """`begins`: how the sentence begins, behind a greeting; `anywhere`: what may stand within."""
    pattern = rf"\W*{_GREETING}(?:{begins})|.*?(?:{anywhere})"
    return _Act(does, within, re.compile(pattern, re.IGNORECASE), revocable)


_ACTS = (
    # In this order: who apologises and asks, apologises.
    _act(
        "apologises",
        300,
        r"(?:(?:i['’]?m|i am|we['’]?re|we are|so|very|terribly|really|again) ){0,3}sorry\b"
        r"(?! (?:to hear|to see|to learn|for (?:your|you|him|her|them)|about your|state|sight|lot|you\b))"
        r"|(?:my|our|many|with) apologies|apologies\b|(?:i|we) (?:do )?apologi[sz]e\b"
        r"|(?:ich )?(?:bitte )?(?:entschuldige?|entschuldigung|verzeih\w*)\b|(?:es )?tut mir (?:sehr )?leid"
        r"|(?:je suis )?(?:désolée?|excuse[zs]?-moi)|(?:lo siento|perdón|perdona)|scusa(?:mi|te)?\b"
        r"|mi dispiace|desculp[ae]|przepraszam|извини|ursäkta|förlåt",
        r"ごめん|すみません|申し訳|抱歉|对不起",
    ),
    _act(
        "says thanks",
        160,
        r"(?:(?:many|so many|and|again) )?thank(?:s| you)\b(?! (?:to|but|in advance|god)\b)"
        r"|(?:vielen|herzlichen|besten|tausend) dank\b(?! im voraus)|(?:ich )?danke\b(?! im voraus|,? nein)"
        r"|merci\b(?! d['’]avance| de bien)|(?:muchas |mil )?gracias\b(?! (?:a|de antemano)\b)"
        r"|(?:mille |molte )?grazie\b(?! in anticipo)|(?:muito )?obrigad[oa]\b|(?:hartelijk )?bedankt\b"
        r"|(?:stort )?tack\b|dzięk\w+|спасибо|teşekkür",
        r"ありがとう|感謝|谢谢|感谢",
    ),
    _act(
        "sends something",
        2000,
        r"(?:please )?(?:find )?(?:attached|enclosed)\b|anbei\b|ci-joint|in allegato|em anexo",
        r"\b(?:is|are|have|i've|i have|i|we|find|the|see|as) (?:attach(?:ed|ing)?|enclos(?:ed|ing))\b"
        r"|\bim anhang\b|\banbei\b|\bangehängt\b|\ben pièces? jointes?\b|\badjunto\b|\bin allegato\b"
        r"|\bem anexo\b|\bin de bijlage\b|\bbijgevoegd\b|\bi bifogad|\bw załączniku\b|во вложении"
        r"|прикрепля|添付しま|附件",
        revocable=True,
    ),
    _act(
        "invites",
        2000,
        r"(?:please )?join us\b|you(?:['’]re| are) (?:all |both )?(?:warmly |cordially )?invited\b",
        r"\b(?:i|we)(?: would|['’]d)? (?:like|want|love)? ?(?:to )?invite you\b"
        r"|\blade (?:ich )?(?:dich|euch|sie)\b|\b(?:dich|euch|sie) einladen\b|\bt['’]invite|\bvous invit"
        r"|\bte invit|\bvi invito\b|\bzapraszam|приглашаю|招待しま|邀请您",
        revocable=True,
    ),
    _act(
        "announces something",
        400,
        r"(?:i|we) (?:are (?:pleased|happy|proud) to |['’]re (?:pleased|happy) to )?(?:announce|release)\b"
        r"|announcing\b|(?:hiermit )?(?:kündige|kündigen wir)\b|nous annonçons|anunciamos|annunciamo",
        r"\bis now available\b|\bpleased to (?:announce|release)\b",
        revocable=True,
    ),
    _act(
        "asks for something",
        2000,
        r"(?:please|pls)\b(?! find| (?:your|my)self)|(?:could|can|would|will) you\b|bitte\b(?! (?:schön|sehr))"
        r"|(?:kannst|könntest) du\b|(?:können|könnten) sie\b|(?:peux|pourrais)-tu|pou(?:vez|rriez)-vous"
        r"|por favor|(?:puedes|podrías)\b|per favore|(?:puoi|potresti)\b|poderia\b|kun je\b|alstublieft"
        r"|proszę|czy możesz|пожалуйста|lütfen",
        r",? (?:so|and|but|or|then) (?:please|could you|can you|would you)\b|, (?:please|bitte)\b"
        r"|\bs['’]il (?:te|vous) pla[iî]t|\bpor favor\b|\bper favore\b|\bpożaluj|пожалуйста|ください|お願い|请",
    ),
)


def does(text: str) -> str:
    """What the mail does ("says thanks"), or nothing where no sentence tells."""
    found = list(_sentences(text))
    for act in _ACTS:
        for place, sentence in found:
            if place > act.within:
                break
            if act.sentence.match(sentence) and not (act.revocable and _taken_back(sentence)):
                return act.does
    return "asks a question" if any(_ASKS.search(sentence) for _, sentence in found) else ""


def _taken_back(sentence: str) -> bool:
    return bool(_NEGATED.search(sentence) or _QUESTION.search(sentence))


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences with their places, without what they cite."""
    spoken = _SPOKEN_OF.sub("…", text[: SENTENCES * SENTENCE])
    place = 0
    for sentence in _SPLIT.split(spoken)[:SENTENCES]:
        if sentence.strip():
            yield place, sentence.strip()[:SENTENCE]
        place += len(sentence) + 1
