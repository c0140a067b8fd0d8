"""Replies that a program sent in the owner's name, known by their words alone.

Headers say it better (see mail); some programs set none. Every phrase is one that programs write
and people do not: a person's mail about an absence must stay.
"""

# ruff: noqa: E501 -- word lists are easier to read and to extend unbroken

import re

_SUBJECT = re.compile(
    r"^\s*(?:\[?auto(?:matic|mated|matisch|matique|matica)?[ -]?(?:reply|response|antwort|réponse|svar)\]?|Automatische (?:Antwort|reactie)|Automatisch antwoord"
    r"|Réponse automatique|Respuesta automática|Risposta automatica|Resposta automática|Automatiskt svar|Autosvar|Automatisk svar"
    r"|Automaattinen vastaus|Odpowiedź automatyczna|Automatyczna odpowiedź|Automatická odpověď|Automatická odpoveď|Автоматический ответ|Автоответ"
    r"|Автоматична відповідь|Otomatik yanıt|Automatikus válasz|Răspuns automat|Αυτόματη απάντηση|自动答复|自动回复|自動回覆|自動応答|자동 회신|자동 응답|תשובה אוטומטית|رد تلقائي)\s*[:：]",
    re.IGNORECASE,
)
_ABSENCE = re.compile(
    r"^\s*(?:Out of (?:the )?office(?: auto(?:matic)? ?reply)?|Abwesenheitsnotiz|Abwesend|Abwesenheit|Absence du bureau|Absent du bureau|Fuera de (?:la )?oficina"
    r"|Fuori sede|Fora do escritório|Afwezig|Niet aanwezig|Frånvaro|Fravær|Poissa|Nieobecność|Mimo kancelář|Нет на работе|外出|不在)\s*[:：]",
    re.IGNORECASE,
)
_TEXT = re.compile(
    r"^\W*(?:This is an? (?:auto(?:matic|mated|-)|vacation)\W?(?:ally)?\s?(?:generated )?(?:e-?mail )?(?:reply|response|answer|message)\b"
    r"|Dies ist eine automatisch(?:e| (?:generierte|erstellte)) (?:Antwort|Nachricht|E-?Mail)|Ceci est (?:une réponse|un message) automatique"
    r"|(?:Esta es una respuesta|Este es un mensaje) automátic[ao]|(?:Questa è una risposta|Questo è un messaggio) automatic[ao]"
    r"|(?:Esta é uma resposta|Esta é uma mensagem) automática|Dit is een automatisch (?:antwoord|bericht)|Detta är ett automatiskt svar)",
    re.IGNORECASE,
)


def is_reply(subject: str, text: str, *, answers: bool) -> bool:
    """Whether a mail with this subject and text is an automatic reply.

    `answers`: whether it refers to another mail. "Out of office: May" to everybody is a person's.
    """
    if _SUBJECT.match(subject) or (answers and _ABSENCE.match(subject)):
        return True
    return answers and _TEXT.match(text[:200]) is not None
