"""How assistants announce, decorate and end a draft, in seven languages, whole or only begun.

What is done about them, and whether an owner writes like that, too, is said in guard.
"""

# ruff: noqa: SIM905 -- word lists are easier to read unquoted

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

LEAD = 160
"""Characters in which an opening line has to end: a longer one is the owner's."""
_FLAGS = re.IGNORECASE | re.ASCII  # ASCII: else "ſ" is an "s", and prefixes are harder to tell


# At the head

# An owner may write "Here is the draft contract:", "Here's a message from Ana:" or "Hier ist die
# Antwort:"; a model announces its draft in few words, and these are all of them.
_DONE = r":(?:\*\*)?[ \t]*(?=\n)"
_ADDRESSEE = (
    r"(?!(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
    r"(?-i:[A-Z])[^\s:.!?,]{0,30}(?: (?-i:[A-Z])[^\s:.!?,]{0,30})?"
)


@dataclass(frozen=True)
class _Announcing:
    """The words of an announcement, as alternatives of a pattern."""

    polite: str
    here: str
    a: str
    the: str
    manner: str
    """Adjectives, before or behind the noun."""
    draft: str
    """What only a draft is called."""
    reply: str
    """What mails of an owner's are called, too: those go with "a", or behind a polite word."""
    purpose: str
    """Behind the noun."""
    to: str
    """Before the name of who will read it."""

    @property
    def pattern(self) -> str:
        polite = rf"(?:(?:{self.polite})(?:[ \xa0\u202f]?[,.!:])?[ \t]+)"
        manners = rf"(?:(?:{self.manner})[ \t]+)*"
        purpose = rf"(?:[ \t]+(?:{self.manner}|{self.purpose}))*"
        to_name = rf"(?:[ \t]+(?:{self.to})[ \t]+{_ADDRESSEE})?"
        noun = rf"(?:{self.a}|{self.the})[ \t]+{manners}"
        return (
            rf"(?:{polite}?(?:{self.here})[ \t]+{noun}(?:{self.draft}){purpose}{to_name}"
            rf"|{polite}(?:{self.here})[ \t]+{noun}(?:{self.reply}){purpose}{to_name}"
            rf"|(?:{self.here})[ \t]+(?:{self.a})[ \t]+{manners}(?!(?:{_VERSION}))"
            rf"(?:{self.reply}){purpose})[ \xa0\u202f]?{_DONE}"
        )

    @property
    def words(self) -> set[str]:
        before = (self.polite, self.here, self.a, self.the, self.manner)
        rest = (self.draft, self.reply, self.purpose, self.to)
        return _spelled(" ".join((*before, *rest))) | self.nouns

    @property
    def nouns(self) -> set[str]:
        other = _spelled(f"{self.a} {self.the} {self.manner} of de di für voor")
        return (_spelled(f"{self.draft} {self.reply}") | {"email"}) - other


_LETTERS = re.compile(r"[^\W\d_]+")
_STEMS = re.compile(r"([^\W\d_]*)([^\W\d_])(\??)")
_VERSION = r"versi|versã|fassung|version|text"
_READERS = r"(?:colleague|boss|manager|friend|team|client|customer|landlord|professor|teacher)s?"
_LANGUAGES = (
    _Announcing(
        polite="sure thing|sure|certainly|of course|absolutely|okay|ok",
        here="here's|here’s|here is|here are|below is|this is",
        a="a|an|another|two|three",
        the="the|your",
        manner="short|brief|possible|suggested|sample|simple|quick|polite|friendly|professional"
        "|formal|informal|casual|concise|warm|warmer|shorter|revised|rewritten|improved|polished",
        draft=r"drafts?(?: (?:reply|response|message|e-?mail|mail|version|text)s?)?"
        r"(?: of (?:an?|the|your) (?:short |brief )?(?:reply|response|message|e-?mail|mail))?",
        reply=r"(?:reply|response|message|e-?mail|mail|version|text)s?",
        purpose=r"(?:that )?you (?:asked for|requested|(?:can|could|might) (?:send|use))"
        rf"(?: to {_ADDRESSEE})?|in your (?:own )?(?:style|voice|words)|(?:to|for) your {_READERS}"
        r"|(?:thanking|declining|inviting|telling|confirming) (?:your )?[^\n:.!?]{1,60}",
        to="to|for",
    ),
    _Announcing(
        polite="gerne?|natürlich|klar|sicher|selbstverständlich",
        here="hier ist|hier sind|hier kommt|nachfolgend",
        a="ein|eine|einen|zwei|drei",
        the="der|die|das|dein|deine|ihr|ihre",
        manner="(?:kurz|knapp|möglich|höflich|freundlich|förmlich|formell|überarbeitet|einfach)"
        "(?:er|en|es|e)?",
        draft=r"(?:antwort|nachrichten|mail|e-mail-)?entwurf|entwürfe"
        r"|(?:entwurf|vorschlag) für (?:deine|ihre|eine) (?:antwort|nachricht|e-?mail|mail)",
        reply="antwort|nachricht|e-?mail|mail|version|fassung",
        purpose=r"für (?:deine|ihre|eine) (?:antwort|nachricht|e-?mail|mail)|wie gewünscht"
        r"|in (?:deinem|ihrem) stil|an (?:deinen|ihren) kollegen|an (?:deine|ihre) kollegin",
        to="an",
    ),
    _Announcing(
        polite="bien sûr|certainement|avec plaisir|d'accord|d’accord",
        here="voici|ci-dessous",
        a="un|une|deux|trois",
        the="le|la|votre|ton|ta",
        manner="bref|brève|courte?|possible|polie?|simple|professionnel(?:le)?|amicale?"
        "|formel(?:le)?|concise?",
        draft=r"brouillons?(?: de (?:réponse|message|mail|e-?mail|courriel))?"
        r"|(?:proposition|projet) de (?:réponse|message|mail|e-?mail|courriel)",
        reply="réponse|message|mail|e-?mail|courriel|version",
        purpose=r"dans (?:votre|ton) style|que (?:vous pouvez|tu peux) envoyer"
        r"|pour (?:votre|ton|ta) (?:réponse|message|collègue)|à (?:votre|ton) collègue",
        to="à|pour",
    ),
    _Announcing(
        polite="claro que sí|claro|por supuesto|con gusto",
        here="aquí tienes|aquí tiene|aquí está|aquí va|a continuación",
        a="un|una|dos|tres",
        the="el|la|tu|su",
        manner="breve|cort[oa]|posible|cortés|formal|profesional|amable|sencill[oa]|concis[oa]",
        draft=r"borrador(?:es)?(?: de (?:respuesta|mensaje|correo|e-?mail))?"
        r"|propuesta de (?:respuesta|mensaje|correo|e-?mail)",
        reply="respuesta|mensaje|correo|e-?mail|versión",
        purpose=r"en (?:tu|su) estilo|que puedes? enviar"
        r"|para (?:tu|su) (?:respuesta|mensaje|colega)|a (?:tu|su) colega",
        to="a|para",
    ),
    _Announcing(
        polite="certo|certamente|volentieri",
        here="ecco|di seguito",
        a="un|una|due|tre",
        the="il|la|la tua|il tuo|la sua|il suo",
        manner="breve|possibile|cortese|formale|professionale|gentile|semplice|concis[oa]",
        draft=r"bozz[ae](?: di (?:risposta|messaggio|e-?mail|mail))?"
        r"|proposta di (?:risposta|messaggio|e-?mail|mail)",
        reply="risposta|messaggio|e-?mail|mail|versione",
        purpose=r"nel (?:tuo|suo) stile|che puoi inviare|al (?:tuo|suo) collega"
        r"|per (?:la tua|il tuo) (?:risposta|messaggio|collega)",
        to="a|per",
    ),
    _Announcing(
        polite="claro|com certeza|com prazer",
        here="aqui está|aqui vai|segue|eis",
        a="um|uma|dois|duas|três",
        the="o|a|seu|sua|o seu|a sua",
        manner="breve|curt[oa]|possível|formal|profissional|simples|educad[oa]|concis[oa]",
        draft=r"rascunhos?(?: de (?:resposta|mensagem|e-?mail))?"
        r"|proposta de (?:resposta|mensagem|e-?mail)",
        reply="resposta|mensagem|e-?mail|versão",
        purpose=r"no seu estilo|que você pode enviar"
        r"|para (?:a |o )?(?:sua|seu) (?:resposta|mensagem|colega)",
        to="para",
    ),
    _Announcing(
        polite="natuurlijk|zeker|graag",
        here="hier is|hieronder|hieronder staat",
        a="een|twee|drie",
        the="het|de|je|jouw|uw",
        manner="korte?|mogelijke?|beleefde?|formele?|zakelijke?|vriendelijke?|eenvoudige?",
        draft=r"concept(?:en|antwoord|bericht|mail)?"
        r"|voorstel voor (?:je|jouw|uw|een) (?:antwoord|bericht|mail|e-?mail)",
        reply="antwoord|bericht|mail|e-?mail|versie",
        purpose=r"in (?:je|jouw|uw) stijl|dat je kunt (?:versturen|sturen)"
        r"|(?:voor|aan) (?:je|jouw|uw) (?:antwoord|bericht|collega)",
        to="aan|voor",
    ),
)
_BRACKETED = (
    "draft|reply|response|message|entwurf|antwort|brouillon|réponse|borrador|respuesta|bozza"
    "|risposta|rascunho|resposta|concept|antwoord"
)
_LABELLED = "draft|entwurf|brouillon|borrador|bozza|rascunho"
_LABEL = rf"\*\*\[(?:{_BRACKETED})\]\*\*|\[(?:{_BRACKETED})\]|(?:\*\*)?(?:{_LABELLED})\s?{_DONE}"
ANNOUNCEMENT = re.compile(rf"(?:{'|'.join(one.pattern for one in _LANGUAGES)}|{_LABEL})\s*", _FLAGS)
RULE = re.compile(r"-{3,80}[ \t]*(?=\n)\s*")
"""Below an announcement."""
_SUBJECT = "subject|betreff|objet|asunto|oggetto|assunto|onderwerp"
SUBJECT = re.compile(rf"(?:\*\*)?(?:{_SUBJECT})\s?:[^\n]{{0,{LEAD}}}\n\s*", _FLAGS)
ASKS_SUBJECT = re.compile(_SUBJECT, _FLAGS)
_FILLS = (
    "your|my|insert|add|enter|recipient|sender|client|colleague|company|full|first|last|job|contact"
    "|phone|position|name|date|title|ihr|dein|votre|ton|nom|tu|su|nombre|il tuo|nome|seu|sua|uw"
    "|jouw|je|naam".split("|")
)
_SHORT = ("name", "nom", "tu", "su", "nome", "je", "naam", "date")
"""Of these only the whole word: "[nominal]" is none."""
_TO_FILL = "|".join(rf"{fill}\b" if fill in _SHORT else fill for fill in _FILLS)
PLACEHOLDER = rf"\[(?![A-Z]+_\d)(?:{_TO_FILL})[^\]\n]{{0,40}}\]"
"""What is to be filled in by hand; a placeholder of the redaction ("[EMAIL_1]") is none."""
_GREETINGS = (
    "dear|hi|hello|hey|hallo|liebe|lieber|sehr geehrte|sehr geehrter|cher|chère|bonjour|estimado"
    "|estimada|hola|caro|cara|gentile|ciao|prezado|prezada|olá|beste|geachte"
)
GREETING = re.compile(
    rf"(?:(?:{_GREETINGS})[ \t]+{PLACEHOLDER}[ \t]*[,!:]?|{PLACEHOLDER}[ \t]*[,!]?)"
    r"[ \t]*(?=\n)\s*",
    _FLAGS,
)
SALUTATION = re.compile(r"(?:dear|gentlemen|ladies|hi|hello)\b[^\n]{0,60}:\W*", _FLAGS)
"""A line that ends in a colon and yet introduces nothing."""
FENCE = re.compile(
    r"```[ \t]*(?:text|txt|plaintext|plain|markdown|md|e-?mail|mail)?[ \t]*\n"
    r"(?P<inner>.*?)\n```\s*",
    re.DOTALL | _FLAGS,
)
QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»"}
CODE_SIGNS = re.compile(r"[{}\[\];=<>$|\\]|\(\)|^\s*(?:#|//)", re.MULTILINE)
SENTENCE = re.compile(r"^[^\W\d_][^\n]*\s[^\n]+\s[^\n]*[^\W_][.!?…][\"”’)]*\s*$", re.MULTILINE)
"""A line of three words or more that ends like one."""
FENCED, QUOTED, BEHIND = 1000, 200, 300
"""Characters between fences, between quotes, and behind them, that are waited for."""


# In the text

BOLD = re.compile(r"(?<![\w*])\*\*(?P<inner>[^\s*](?:[^*\n]{0,198}[^\s*])?)\*\*(?![\w*])")
BOLD_BEGUN = re.compile(r"(?<![\w*])\*(?:\*(?:[^\s*][^*\n]{0,199}\*{0,2})?)?")
HEADING = re.compile(r"[ ]{0,3}#{1,6}[ \t]{1,8}(?=\S)")
LINE_BEGUN = re.compile(r"\s{0,3}(?:`{0,2}|#{1,6}[ \t]{0,8})")
"""All of a line that may become a heading or a fence."""
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
CHANGES = re.compile(rf"{_CHANGES}|aangepast|short|long|kürzer|länger")
_DRAFT = set(
    "draft tone wording style length placeholder placeholders entwurf entwurfs ton tonfall länge "
    "wortlaut brouillon borrador tono bozza lunghezza longueur longitud rascunho tom concept toon "
    "lengte".split()
)
_THIS = set("this dieser diese diesen ce cette este esta esto questo questa dit deze".split())
_MESSAGE = set(
    "message reply response email mail text version nachricht antwort réponse courriel texte "
    "mensaje respuesta correo texto messaggio risposta testo mensagem resposta bericht antwoord "
    "tekst".split()
)
_FILLING = set(
    # With which one asks for changes, in every language; nothing that a message is about.
    "i you me we it to a an the if or and as in any some other further more less please would d ll "
    "like want need prefer should have make made anything something is are be there s see fit more "
    "formal informal casual friendly needed necessary e your can help any way changes "
    "du sie ich mir es den der die das dem ob falls wenn oder und etwas noch soll sollen möchtest "
    "möchten willst wollen bitte gern gerne nach bedarf weiter förmlicher lockerer so dass "
    "vous tu je le la les si ou et à me dire voulez veux souhaitez souhaites que quelque chose "
    "autre besoin de un une plus moins "
    "quieres quiere desea necesitas alguno algún alguna algo lo los o y el en más menos que "
    "se vuoi vuole desidera qualcosa qualche il lo i e più meno di "
    "quiser deseja precisar alguma algum coisa o a os mais menos se "
    "er iets of wil je u het moet worden nog graag als in dan ik meer minder".split()
)
ASKS_OFFER = re.compile(rf"{_CHANGES}|feedback|let \w+ know", _FLAGS)
TO_FILL_IN = re.compile(PLACEHOLDER, _FLAGS)
ALL_TO_FILL_IN = re.compile(rf"{PLACEHOLDER}(?:[ \t,]*{PLACEHOLDER})*[.,]?", _FLAGS)
"""A whole line."""


def offers(line: str, *, known: bool) -> bool:
    """Whether a line is nothing but an offer of changes; `known` owners make none at all.

    Otherwise it has to speak of the draft, as nobody does in it.
    """
    words = _offered(line)
    changes = any(CHANGES.match(word) for word in words)
    text = any(word in _DRAFT for word in words) or any(
        one in _THIS and two in _MESSAGE for one, two in pairwise(words)
    )
    return changes and (known or text) and all(map(_is_of_offer, words))


def may_offer(begun: str) -> bool:
    """Whether a line that begins so may become one."""
    text = begun.lower().removeprefix("(")
    if any(opening.startswith(text) for opening in OFFERS):
        return True
    return bool(_opening(text)) and all(map(_is_of_offer, _offered(begun)[:-1]))


def _offered(line: str) -> list[str]:
    text = line.lower().removeprefix("(")
    return _LETTERS.findall(text[len(_opening(text)) :]) if _opening(text) else []


def _opening(text: str) -> str:
    return max((one for one in OFFERS if text.startswith(one)), key=len, default="")


def _is_of_offer(word: str) -> bool:
    return (
        word in _FILLING
        or word in _DRAFT
        or word in _THIS
        or word in _MESSAGE
        or bool(CHANGES.match(word))
    )


def may_announce(begun: str) -> bool:
    """Whether a line that begins so may become an announcement."""
    text = begun.lower()
    return (
        _begins(text, _LABELS, whole=False)
        or _begins(text.removeprefix("**"), _LABELLED.split("|"), whole=False)
        or bool(_LABEL_BEGUN.fullmatch(begun))
        or (_begins(text, _OPENINGS) and _may_announce(text))
    )


def _may_announce(text: str) -> bool:
    before, colon, behind = text.rpartition(":")
    if colon and not behind.strip("* \t"):
        text = before
    words = list(_LETTERS.finditer(text))
    if not words or (words[-1].end() == len(text) and len(words) == 1):
        return True
    if words[-1].end() == len(text):
        *words, last = words
        begins = any(one.startswith(last[0]) for one in _WORDS)
        if not (_has_noun(words) or begins or _is_known(last[0], _WORDS)):
            return False
    for place, word in enumerate(words):
        if _has_noun(words[: max(0, place - 1)]):
            return not re.search(r"[.!?\n]", text[word.start() :])
        if not _is_known(word[0], _WORDS):
            return False
    return True


def _has_noun(words: Sequence[re.Match[str]]) -> bool:
    return any(_is_known(word[0], _NOUNS) for word in words)


def _spelled(pattern: str) -> set[str]:
    """The beginnings of the words of a pattern, up to what may be left out."""
    return {start + ("" if maybe else last) for start, last, maybe in _STEMS.findall(pattern)}


def _is_known(word: str, stems: Set[str]) -> bool:
    return word in stems or any(word[:end] in stems for end in range(4, len(word)))


def may_be_subject(begun: str) -> bool:
    """Whether a line that begins so may become one with the subject."""
    bare = begun.lower().removeprefix("*").removeprefix("*")
    starts = _begins(bare, _SUBJECT.split("|"), whole=False)
    return starts or bool(_SUBJECT_BEGUN.fullmatch(begun))


def may_greet(begun: str) -> bool:
    """Whether a line that begins so may become a greeting that is to be filled in."""
    text = begun.lower()
    if _begins(text, _GREETINGS.split("|"), whole=False):
        return True
    for greeting in ("", *_GREETINGS.split("|")):
        rest = text.removeprefix(greeting)
        if rest != text or not greeting:
            name = rest.lstrip(" \t")
            if (not name and greeting) or ((name != rest or not greeting) and may_fill_in(name)):
                return True
    return False


def may_fill_in(begun: str) -> bool:
    """Whether a text that begins so may become one that is to be filled in, and nothing else."""
    rest = _FILLED.sub("", begun, count=1)
    if rest != begun and (not rest.strip(" \t,.!:")):
        return True
    if not rest.startswith("[") or "]" in rest or len(rest) > 60:
        return False
    return _begins(rest[1:].lower(), _FILLS)


_FILLED = re.compile(rf"{PLACEHOLDER}(?:[ \t,]*{PLACEHOLDER})*[ \t,]*", _FLAGS)


def _begins(text: str, openings: Iterable[str], *, whole: bool = True) -> bool:
    """Whether a text may turn out to begin with one of `openings`; `whole`: or does already."""
    return any(one.startswith(text) or (whole and text.startswith(one)) for one in openings)


_OPENINGS = tuple(
    phrase for one in _LANGUAGES for phrase in f"{one.polite}|{one.here}|gern".split("|")
)
_WORDS = frozenset().union(*(one.words for one in _LANGUAGES))
_NOUNS = frozenset().union(*(one.nouns for one in _LANGUAGES))
_LABELS = tuple(f"{stars}[{word}]{stars}" for word in _BRACKETED.split("|") for stars in ("", "**"))
_LABEL_BEGUN = re.compile(rf"\*|\*\*|(?:\*\*)?(?:{_LABELLED})\s?(?::(?:\*\*?)?[ \t]*)?", _FLAGS)
_SUBJECT_BEGUN = re.compile(rf"(?:\*\*)?(?:{_SUBJECT})(?:\s?|\s?:[^\n]*)", _FLAGS)
