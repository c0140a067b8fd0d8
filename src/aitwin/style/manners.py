"""How assistants announce, decorate and end a draft, in seven languages: patterns, no judgement.

What is done about them, and whether an owner writes like that, too, is said in guard.
"""

# ruff: noqa: SIM905 -- word lists are easier to read unquoted

import re

LEAD = 160
"""Characters in which an opening line has to end: a longer one is the owner's."""
_FLAGS = re.IGNORECASE | re.ASCII  # ASCII: else "ſ" is an "s", and prefixes are harder to tell


# At the head

# An owner may write "Here is the draft: page 3 is new." or "Here is the mail from the bank:"; it is
# the model that announces a text of no origin, on a line of its own.
_ORIGIN = r"\b(?:from|i|he|she|we|they|got|sent|my|our|his|her|their)\b"
_DONE = r":(?:\*\*)?[ \t]*(?=\n)"
_ENGLISH = (
    r"(?:(?:sure|certainly|of course|absolutely|okay|ok)(?: thing)?[,.!:]?[ \t]+)?"
    rf"(?:here(?:'s|’s| is| are)|below is|this is)\s(?:(?!{_ORIGIN})[^\n:]){{0,80}}?"
    r"\b(?:draft|reply|response|message|mail|e-?mail|version|text)s?\b"
    rf"(?:(?!{_ORIGIN})[^\n:]){{0,60}}{_DONE}"
)


def _announcing(polite: str, here: str, thing: str, origin: str) -> str:
    """`origin`: words that say whose text it is; the owner passes that one on."""
    return (
        rf"(?:(?:{polite})[ \t\u202f\xa0]?[,.!:]?[ \t]+)?"
        rf"(?:{here})\s(?:(?!\b(?:{origin}))[^\n:]){{0,60}}?"
        rf"\b(?:{thing})\b(?:(?!\b(?:{origin}))[^\n:]){{0,60}}{_DONE}"
    )


_ANNOUNCEMENTS = (
    _ENGLISH,
    _announcing(
        "gerne?|natürlich|klar|sicher|selbstverständlich",
        "hier ist|hier sind|hier kommt|nachfolgend|anbei|das ist",
        r"entwurf|entwürfe|antwort|nachricht|e-?mail|mail|text|vorschlag|version|\w+entwurf",
        r"von\b|vom\b|ich\b|er\b|sie\b|wir\b|mein|unser|sein|ihre",
    ),
    _announcing(
        "bien sûr|certainement|avec plaisir|d'accord|d’accord",
        "voici|voilà|ci-dessous",
        "brouillon|réponse|message|mail|e-?mail|courriel|texte|version|proposition",
        r"d[ue]s?\b(?! (?:réponse|message|mail|e-mail|courriel|texte)\b)|qu|j['’]|il\b|elle\b"
        r"|nous\b|reçu|mon\b|ma\b|notre\b",
    ),
    _announcing(
        "claro(?: que sí)?|por supuesto|con gusto",
        "aquí tienes|aquí está|aquí va|aquí tiene|a continuación",
        "borrador|respuesta|mensaje|correo|e-?mail|texto|versión|propuesta",
        r"del?\b(?! (?:respuesta|mensaje|correo|texto)\b)|que\b|mi\b|nuestr|recib|envi",
    ),
    _announcing(
        "certo|certamente|volentieri",
        "ecco|di seguito",
        "bozza|risposta|messaggio|mail|e-?mail|testo|versione|proposta",
        r"d(?:i|el|ella|al|alla)\b(?! (?:risposta|messaggio|mail|e-mail|testo)\b)|che\b|mi[ao]\b"
        r"|nostr|ricevut",
    ),
    _announcing(
        "claro|com certeza|com prazer",
        "aqui está|aqui vai|segue|eis",
        "rascunho|resposta|mensagem|mail|e-?mail|texto|versão|proposta",
        r"d[aeo]s?\b(?! (?:resposta|mensagem|e-mail|texto)\b)|que\b|meu\b|minha\b|noss|receb",
    ),
    _announcing(
        "natuurlijk|zeker|graag",
        "hier is|hieronder|hierbij|dit is",
        "concept|antwoord|bericht|mail|e-?mail|tekst|versie|voorstel",
        r"van\b|ik\b|hij\b|zij\b|we\b|wij\b|mijn\b|onze?\b|zijn\b",
    ),
)
_BRACKETS = (
    r"\[(?:draft|reply|response|message|entwurf|antwort|brouillon|réponse|borrador|respuesta|bozza"
    r"|risposta|rascunho|resposta|concept|antwoord)\]"
)
_LABEL = (
    rf"\*\*{_BRACKETS}\*\*|{_BRACKETS}"
    rf"|(?:\*\*)?(?:draft|entwurf|brouillon|borrador|bozza|rascunho)\s?{_DONE}"
)
ANNOUNCEMENT = re.compile(rf"(?:{'|'.join(_ANNOUNCEMENTS)}|{_LABEL})\s*", _FLAGS)
RULE = re.compile(r"-{3,}[ \t]*(?=\n)\s*")
"""Below an announcement."""
_SUBJECT = "subject|betreff|objet|asunto|oggetto|assunto|onderwerp"
SUBJECT = re.compile(rf"(?:\*\*)?(?:{_SUBJECT})\s?:[^\n]{{0,{LEAD}}}\n\s*", _FLAGS)
ASKS_SUBJECT = re.compile(_SUBJECT, _FLAGS)
PLACEHOLDER = (
    r"\[(?![A-Z]+_\d)(?:your|my|insert|add|enter|recipient|sender|client|colleague|company|full"
    r"|first|last|job|contact|phone|position|name\b|date\]|title|ihr|dein|votre|ton|nom\b|tu\b|su\b"
    r"|nombre|il tuo|nome\b|seu|sua|uw|jouw|je\b|naam\b)[^\]\n]{0,40}\]"
)
"""What is to be filled in by hand; a placeholder of the redaction ("[EMAIL_1]") is none."""
GREETING = re.compile(
    r"(?:(?:dear|hi|hello|hey|hallo|liebe|lieber|sehr geehrte|sehr geehrter|cher|chère|bonjour"
    r"|estimad[oa]|hola|car[oa]|gentile|ciao|prezad[oa]|olá|beste|geachte)[ \t]+)?"
    rf"{PLACEHOLDER}[ \t]*[,!:]?[ \t]*(?=\n)\s*",
    _FLAGS,
)
FENCE = re.compile(
    r"```[ \t]*(?:text|txt|plaintext|plain|markdown|md|e-?mail|mail)?[ \t]*\n"
    r"(?P<inner>.*?)\n```\s*",
    re.DOTALL | _FLAGS,
)
QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»"}
OPENINGS = tuple(
    "sure|certainly|of course|absolutely|ok|here|below is|this is|draft|[|**|gern|natürlich|klar"
    "|sicher|selbstverständlich|hier|nachfolgend|anbei|das ist|bien sûr|certainement|avec plaisir"
    "|d'accord|d’accord|voici|voilà|ci-dessous|claro|por supuesto|con gusto|aquí|a continuación"
    "|certo|certamente|volentieri|ecco|di seguito|com certeza|com prazer|aqui|segue|eis|natuurlijk"
    "|zeker|graag|dit is|entwurf|brouillon|borrador|bozza|rascunho|subject|betreff|objet|asunto"
    "|oggetto|assunto|onderwerp|dear|hi|hello|hey|hallo|liebe|sehr geehrte|cher|chère|bonjour"
    "|estimad|hola|caro|cara|gentile|ciao|prezad|olá|beste|geachte|---".split("|")
)
"""With which what is taken off a head begins."""


# In the text

BOLD = re.compile(r"(?<![\w*])\*\*(?P<inner>[^\s*](?:[^*\n]*[^\s*])?)\*\*(?![\w*])")
HEADING = re.compile(r"[ ]{0,3}#{1,6}[ \t]+(?=\S)")
CODE = re.compile(r"\s{0,3}```")


# At the end

SIGN_OFFS = tuple(
    "best regards|kind regards|kindest regards|warm regards|warmest regards|with best regards"
    "|with kind regards|with warm regards|regards|yours sincerely|yours faithfully|yours truly"
    "|sincerely|sincerely yours|best wishes|with best wishes|respectfully|cordially|warmly|best"
    "|mit freundlichen grüßen|freundliche grüße|mit freundlichem gruß|mit herzlichen grüßen"
    "|herzliche grüße|mit besten grüßen|beste grüße|mit lieben grüßen|liebe grüße|viele grüße"
    "|schöne grüße|mit freundlichen grüssen|freundliche grüsse|beste grüsse|liebe grüsse"
    "|viele grüsse|hochachtungsvoll|mfg|cordialement|bien cordialement|sincèrement|bien à vous"
    "|bien à toi|meilleures salutations|sincères salutations|cordiales salutations"
    "|salutations distinguées|amicalement|un cordial saludo|un saludo cordial|un atento saludo"
    "|un saludo|saludos|saludos cordiales|atentamente|cordialmente|cordiali saluti|distinti saluti"
    "|saluti|atenciosamente|com os melhores cumprimentos|melhores cumprimentos|cumprimentos"
    "|respeitosamente|met vriendelijke groet|met vriendelijke groeten|vriendelijke groet"
    "|vriendelijke groeten|met hartelijke groet|hartelijke groet|hartelijke groeten|hoogachtend"
    "|groeten".split("|")
)
"""Formulas; not those that thank or wish something."""
NAME = 40
"""Characters of a name on the line of the formula."""
SIGN_OFF = re.compile(
    rf"(?P<phrase>{'|'.join(sorted(SIGN_OFFS, key=len, reverse=True))})"
    rf"(?:[ \t]*[.!]?|[ \t]?,[ \t]*(?P<name>[^\n]{{1,{NAME}}})?)",
    _FLAGS,
)
"""A whole line."""
SMALL = frozenset("of the and at for in & von van de del der des di da do du la le und et".split())
"""Words of names and titles that begin with no capital."""
_CHANGES = (
    r"(?:chang|adjust|modif|edit|customi[sz]|tweak|personali[sz]|revis|adapt|shorten|änder|ander"
    r"|anpass|kürz|umformulier|überarbeit|ajust|personnalis|cambi|modific|adatt|personaliz|alter"
    r"|mudan|wijzig|aanpas|aan te passen|verander)"
)
OFFERS = tuple(
    "let me know if|please let me know if|feel free to|please feel free to|would you like me to"
    "|do you want me to|sag mir bescheid|sag mir gern bescheid|sag gern bescheid|sag bescheid"
    "|sagen sie mir|sagen sie bescheid|gib mir bescheid|gib bescheid|geben sie mir|lass mich wissen"
    "|lassen sie mich|bitte lassen sie mich|möchten sie, dass ich|möchtest du, dass ich"
    "|n'hésitez pas à|n'hésite pas à|n’hésitez pas à|n’hésite pas à|dites-moi|dis-moi"
    "|faites-moi savoir|fais-moi savoir|avísame|avíseme|dime si|hazme saber|no dudes en"
    "|siéntete libre|fammi sapere|mi faccia sapere|sentiti libero|non esitare|me avise|avise-me"
    "|diga-me|me diga|sinta-se à vontade|fique à vontade|laat me weten|laat mij weten"
    "|laat het me weten|laat het mij weten|voel je vrij".split("|")
)
"""With which a model offers to do better."""
_TEXT = (
    r"draft|tone|wording|placeholder|this (?:message|reply|response|e-?mail|mail|text|version)"
    r"|entwurf|tonfall|brouillon|borrador|bozza|rascunho|concept"
)
OFFER = re.compile(rf"\(?(?:{'|'.join(OFFERS)})(?=.*{_CHANGES})[^\n]{{0,200}}", _FLAGS)
"""A whole line."""
OFFERS_DRAFT = re.compile(
    rf"\(?(?:{'|'.join(OFFERS)})(?=.*{_CHANGES})(?=.*\b(?:{_TEXT})\b)[^\n]{{0,200}}", _FLAGS
)
"""One that speaks of the draft, as nobody does in it."""
ASKS_OFFER = re.compile(rf"{_CHANGES}|feedback|let \w+ know", _FLAGS)
TO_FILL_IN = re.compile(PLACEHOLDER, _FLAGS)
ALL_TO_FILL_IN = re.compile(rf"{PLACEHOLDER}(?:[ \t,]*{PLACEHOLDER})*[.,]?", _FLAGS)
"""A whole line."""
