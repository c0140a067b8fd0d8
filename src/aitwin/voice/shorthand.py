"""Shorthand as one says it: addresses of the web, abbreviations, initials, Roman numbers.

Does not count (see quantities): addresses and abbreviations are read before the numbers, capitals
after them, when no digit is left.
"""

import re
from collections.abc import Callable

from aitwin.voice.number_words import cardinal, code, one_by_one, ordinal
from aitwin.voice.quantities import Rule


def spelled(letters: str) -> str:
    """ "GPU" as "G P U". The name of "A" is written "ay", since "A" is read as the article."""
    return " ".join("ay" if letter in "aA" else letter.upper() for letter in letters)


def word_set(table: str) -> frozenset[str]:
    """The words of a table, which are parted by spaces."""
    return frozenset(table.split())


# --- Addresses ------------------------------------------------------------------------------------

PATH = 40
"""Characters of a web address behind its host that are read; nobody says more of it."""
_SUFFIXES = (
    "com|org|net|edu|gov|info|io|ai|dev|app|co|me|tv|eu|uk|de|fr|es|it|nl|be|ch|at|se|no|dk|fi|pl|pt"
    "|ie|us|ca|au|nz|in|jp|cn|kr|br|mx|ru|invalid|test|example|local"
)
_FILES = (
    "txt|pdf|doc|docx|xls|xlsx|ppt|pptx|csv|tsv|md|html|htm|xml|json|yaml|yml|toml|py|js|ts|css|sh|zip"
    "|tar|gz|jpg|jpeg|png|gif|svg|mp3|mp4|wav|mov|exe|dmg|log|ini|cfg|cpp|java|rs|rb|php|sql|eml|mbox"
)
_SAID_AS_WORDS = word_set(
    "com org net gov info dev app co me zip tar doc log gif mov java test local"
)
_LETTERS_OF_FILES = word_set("docx xlsx pptx exe ini py md sh rs ts")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})"
_OPAQUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w%-]{12,}|\w{25,}|.*[%=&?#+~;,]")


def _web(found: re.Match[str]) -> str:
    written = found[0].rstrip(".,;:!?)]}\"'*_")
    tail = found[0][len(written) :]
    bare = re.sub(r"^(?:\w{2,10}://)?(?:www\.)?", "", written, flags=re.IGNORECASE)
    host, slash, path = bare.partition("/")
    host, question, _ = host.partition("?")
    host, colon, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
    parts = [_host(host.rpartition("@")[2])]
    if colon:
        parts.append(f"colon {one_by_one(port)}")
    if slash or question:
        parts.append(_path(path if slash else "?"))
    return " ".join(part for part in parts if part) + tail


def _host(host: str) -> str:
    return " dot ".join(_label(label, exact=True) for label in host.split(".") if label)


def _path(path: str) -> str:
    parts: list[str] = []
    left = PATH
    path, question, _ = path.rstrip("/").partition("?")
    for segment in filter(None, path.split("/")):
        left -= len(segment)
        if left < 0 or _OPAQUE.fullmatch(segment):
            return " ".join([*parts, "and so on"]) if parts else "slash and so on"
        parts.append("slash " + " dot ".join(_label(each) for each in segment.split(".") if each))
    return " ".join([*parts, "and so on"] if question else parts)


def _label(written: str, *, exact: bool = False) -> str:
    """One part of an address. `exact`: a dash counts, as in a host or in the name of a mailbox."""
    said = []
    if not exact:
        written = re.sub(r"(?<![^\W_])[vV](?=\d)", "version", written)
    for run in re.findall(r"\d+|[^\W\d_]+|-+|_+|\+", written):
        if run[0] in "-_+":
            name = {"-": "dash", "_": "underscore", "+": "plus"}[run[0]]
            said.extend([name] * len(run) if exact else [])
        elif run.isdigit():
            said.append(one_by_one(run) if exact or len(run) > 4 else code(run))
        else:
            said.append(_part(run))
    return " ".join(said)


def _part(word: str) -> str:
    lower = word.lower()
    if lower == "json":
        return "Jason"
    if lower in _SAID_AS_WORDS:
        return word
    short = len(word) <= 2 or lower in _LETTERS_OF_FILES
    return spelled(word) if short or not _vowels(word) else word


def _mailbox(found: re.Match[str]) -> str:
    name = " dot ".join(_label(part, exact=True) for part in found["name"].split(".") if part)
    return f"{name} at {_host(found['host'])}"


def _file(found: re.Match[str]) -> str:
    return f"{_label(found['name'])} dot {_part(found['kind'])}"


_ADDRESSES: list[Rule] = [
    (re.compile(r"\b(?:https?|ftps?|ssh|file)://[^\s<>\"“”]+|\bwww\.[^\s<>\"“”]+"), _web),
    (
        re.compile(
            rf"(?<![\w.+-])(?:mailto:)?(?P<name>[\w+-][\w.+-]{{0,63}})@"
            rf"(?P<host>{_LABEL}(?:\.{_LABEL}){{1,6}})"
        ),
        _mailbox,
    ),
    (
        re.compile(
            rf"(?<![\w.@/-])(?:{_LABEL}\.){{1,6}}(?:{_SUFFIXES})(?![\w-]|\.\w)"
            r"(?::\d{2,5}\b)?(?:/[^\s<>\"“”]*)?"
        ),
        lambda found: _web(found) if _domain(found[0]) else found[0],
    ),
    (re.compile(rf"(?<![\w./-])(?P<name>[\w-]{{1,64}})\.(?P<kind>{_FILES})\b(?!\.\w)"), _file),
    (
        re.compile(r"(?<![\w@])@(\w[\w.-]{0,62}\w|\w)"),
        lambda found: f"at {' dot '.join(map(_handle, found[1].split('.')))}",
    ),
    (re.compile(r"(?<![\w#])#(?= ?(?:[A-Z]{1,4}-?)?\d)"), lambda found: "number "),
    (re.compile(r"(?<![\w#&])#(?=[A-Za-z])"), lambda found: "hashtag "),
]


def _domain(written: str) -> bool:
    """ "done.It" and "see.me" in a hurry are no addresses; "example.com" is."""
    return written == written.lower() or "/" in written


def _handle(written: str) -> str:
    return re.sub(r"[_-]+", " ", written).strip()


# --- Abbreviations --------------------------------------------------------------------------------


def _table(lines: str) -> dict[str, str]:
    entries = (entry.strip().split("=") for line in lines.splitlines() for entry in line.split("|"))
    return {entry[0].strip(): entry[1].strip() for entry in entries if len(entry) == 2}


_NUMBERED = _table("""
no=number | nos=numbers | nr=number | p=page | pp=pages | vol=volume | vols=volumes | fig=figure
figs=figures | ch=chapter | chap=chapter | sec=section | art=article
par=paragraph | para=paragraph | ext=extension | eq=equation | tab=table | pt=part
rm=room | ep=episode
""")
"""With a stop, before a number only."""
_STOPPED = _table("""
prof=professor | gen=general | gov=governor | sen=senator | rep=representative | capt=captain
lt=lieutenant | col=colonel | sgt=sergeant | cmdr=commander | rev=reverend | hon=honorable
pres=president | supt=superintendent | cpl=corporal | maj=major | adm=admiral | fr=father
msgr=monsignor | messrs=messieurs | dept=department | est=established | approx=approximately
ca=circa | cf=compare | viz=namely | resp=respectively | incl=including | excl=excluding
inc=incorporated | ltd=limited | co=company | corp=corporation | bros=brothers | ave=avenue
blvd=boulevard | rd=road | mt=mount | ft=fort | tel=telephone | max=maximum | min=minimum
jan=January | feb=February | mar=March | apr=April | jun=June | jul=July | aug=August
sep=September | sept=September | oct=October | nov=November | dec=December | assoc=associate
asst=assistant | univ=university | govt=government | misc=miscellaneous | temp=temperature
apt=apartment | bldg=building | hr=hour | hrs=hours | mins=minutes | ed=editor | eds=editors
al=al | attn=attention | ref=reference | qty=quantity | avg=average | dr=doctor | mr=mister
mrs=missus | ms=ms | jr=junior | sr=senior | vs=versus | etc=et cetera | st=saint
""")
"""With a stop."""
_BARE = _table("""
Mr=Mister | Mrs=Missus | Dr=Doctor | Jr=Junior | Sr=Senior | Prof=Professor | Ltd=Limited
vs=versus | etc=et cetera | btw=by the way | BTW=by the way | imo=in my opinion
IMO=in my opinion | imho=in my humble opinion | IMHO=in my humble opinion | thx=thanks
pls=please | plz=please | Pls=please | Thx=thanks | Btw=by the way | idk=I don't know
IDK=I don't know | tbh=to be honest | afaik=as far as I know | AFAIK=as far as I know
ppl=people | msg=message | msgs=messages | mtg=meeting | approx=approximately | dept=department
govt=government | ok=okay | OK=okay | Ok=okay | Ave=Avenue | Blvd=Boulevard | PhD=P H D
PhDs=P H D's | IoT=I O T | JPEG=jay peg | JSON=Jason | json=Jason | YoY=year over year
QoQ=quarter over quarter | id=I D | ids=I D's | yrs=years | hrs=hours | mins=minutes
IBAN=I ban | NVIDIA=Nvidia | WWI=World War one | WWII=World War two
asap=ay S ay P | fyi=F Y I | faq=F ay Q | faqs=F ay Q's | diy=D I Y | eta=E T ay | tba=T B ay
usa=U S ay | vip=V I P | ceo=C E O | cfo=C F O | cto=C T O | api=ay P I | apis=ay P I's | url=U R L
urls=U R L's | cpu=C P U | gpu=G P U | usb=U S B | ai=ay I | ios=i O S | iphone=i phone
VRAM=V ram | pw=password
tmrw=tomorrow | y/o=years old | Ctrl=Control | Cmd=Command | Esc=Escape | e-mails=e-mails
""")
"""As they stand."""
_LATIN = _table("e.g=for example | i.e=that is | eg=for example | ie=that is")


def _cased(like: str, words: str) -> str:
    return words[:1].upper() + words[1:] if like[:1].isupper() else words


_SHOUTED = word_set(
    "dr mr mrs ms st jr sr vs etc ave blvd rd inc ltd corp prof apt tel attn dept bldg"
)
_MEASURED = re.compile(
    r" ?(?:\d|(?:speed|length|size|number|temp\w*|weight|load|height|age|capacity|power|value|width"
    r"|depth|price|amount|duration|score|points?|guests|people|group|of)\b)"
)


def _stopped(found: re.Match[str]) -> str:
    key = found["key"]
    lower = key.lower()
    after = found.string[found.end() : found.end() + 3].lstrip()
    before = found.string[max(0, found.start() - 30) : found.start()].split()
    named = bool(before) and (
        (before[-1][:1].isupper() and before[-1][-1:].isalpha())
        or bool(re.fullmatch(r"\d+(?:st|nd|rd|th)", before[-1]))
    )
    if key.isupper() and lower not in _SHOUTED:
        return found[0]  # "cc HR."
    if lower == "st":
        # "St. Peter", but "Main St. is".
        saint = after[:1].isupper() or not named
        return _cased(key, "saint" if saint else "street")
    if lower == "dr" and named and not after[:1].isupper():
        return _cased(key, "drive")
    if lower in {"ft", "mt"} and not after[:1].isupper():
        return found[0]
    if key in {"Max", "Ed"} and not _MEASURED.match(found.string, found.end()):
        return found[0]  # the name
    if lower in {"fr", "ed", "al", "min", "est", "rep", "ref", "mar", "jun", "sep", "dec"} and (
        not after
    ):
        # The last word of a sentence, more likely: "call me Al."
        return found[0]
    return _cased(key, _STOPPED[lower])


def _pattern(keys: dict[str, str]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))


def _initials(found: re.Match[str]) -> str:
    letters = found[0].replace(".", "")
    # Its stop ends the sentence, too, where nothing follows.
    ends = found[0].endswith(".") and not found.string[found.end() :].strip(" \"')")
    return spelled(letters) + ("." if ends else "")


_INITIAL = re.compile(r"(?<![\w.'])[A-Z]\.(?= [A-Z](?:[a-z]|\.))")


def _initial(found: re.Match[str]) -> str:
    """ "George W. Bush" and "J. K. Rowling"; neither "so am I. Nobody" nor "3 P M. We left"."""
    before = found.string[max(0, found.start() - 30) : found.start()].split()
    named = not before or (before[-1][:1].isupper() and len(before[-1]) > 1)
    return spelled(found[0][0]) if named else found[0]


_WINDS = {"N": "North", "S": "South", "E": "East", "W": "West"}

_ABBREVIATIONS: list[Rule] = [
    (
        re.compile(r"\b([A-Z]{1,3})&([A-Z]{1,3})\b"),
        lambda found: f"{spelled(found[1])} and {spelled(found[2])}",
    ),
    # Francs, as they write in Switzerland.
    (re.compile(r"\b[sS]?Fr\.(?= ?\d)"), lambda found: "CHF"),
    (re.compile(r"(?<=\d) ?S?Fr\.(?=$|[\s,;)])(?! [A-Z])"), lambda found: " CHF"),
    (
        re.compile(r"(?<=\d )([NSEW])\.(?= (?:[A-Z][a-z]|\d+(?:st|nd|rd|th)\b))"),
        lambda found: _WINDS[found[1]],
    ),
    (re.compile(r"\bHr\.(?= [A-Z][a-z])"), lambda found: "Herr"),
    (re.compile(r"\b([Rr])e: "), lambda found: "Regarding " if found[1] == "R" else "regarding "),
    (re.compile(r"\bFwd?: "), lambda found: "Forwarded, "),
    (re.compile(r"\b([CF])\+\+(?!\w)"), lambda found: f"{found[1]} plus plus"),
    (re.compile(r"\b([CFJ])#(?!\w)"), lambda found: f"{found[1]} sharp"),
    (re.compile(r"\b([Nn])o\.(?= (?:is|was) [+(]?\d|: [+(]?\d)"), lambda found: f"{found[1]}umber"),
    (re.compile(r"\b([wW])/o\b"), lambda found: "without"),
    (re.compile(r"\b([wW])/(?=\s)"), lambda found: "with"),
    (re.compile(r"\bc\. ?(?=1\d\d\d\b)"), lambda found: "circa "),
    (re.compile(r"\b[Aa]pt\.?(?= (?:number )?\d)"), lambda found: "apartment"),
    (re.compile(r"\bb/c\b"), lambda found: "because"),
    (re.compile(r"\bc/o\b"), lambda found: "care of"),
    (re.compile(r"\bn/a\b|\bN/A\b"), lambda found: "not applicable"),
    (re.compile(r"\bP\.?h\.? ?D\b\.?"), _initials),
    (
        re.compile(rf"\b(?P<key>(?i:{_pattern(_LATIN)}))\.,?|\b(?P<bare>e\.g|i\.e)\b,?"),
        lambda found: _LATIN[(found["key"] or found["bare"]).lower()],
    ),
    (
        re.compile(rf"\b(?P<key>(?i:{_pattern(_NUMBERED)}))\. ?(?=\d|[IVX]{{2,}}\b|[VX]\b)"),
        lambda found: f"{_cased(found['key'], _NUMBERED[found['key'].lower()])} ",
    ),
    (re.compile(rf"(?<![\w'.])(?P<key>(?i:{_pattern(_STOPPED)}))\.(?![\w])"), _stopped),
    (
        # "/etc/passwd" is a path.
        re.compile(rf"(?<![\w'])(?<!\s/)(?<!^/)(?<!\bslash )(?P<key>{_pattern(_BARE)})(?![\w'])"),
        lambda found: _BARE[found["key"]],
    ),
    (_INITIAL, _initial),
]


# --- Capitals -------------------------------------------------------------------------------------

_REGNAL = word_set(
    "Henry Charles Edward George William James Richard John Louis Philip Philippe Elizabeth Mary "
    "Francis Benedict Paul Pius Gregory Leo Clement Innocent Urban Alexander Nicholas Peter "
    "Catherine Frederick Friedrich Wilhelm Ferdinand Alfonso Carlos Felipe Juan Christian Gustav "
    "Gustaf Haakon Harald Olaf Margrethe Albert Leopold Rainier Napoleon Otto Ramesses Ramses "
    "Ptolemy Cleopatra Darius Xerxes Constantine Theodosius Justinian Robert David Malcolm Kenneth "
    "Boniface Celestine Julius Sixtus Adrian Abdullah Mohammed Hassan Rama Naresuan"
)
_COUNTED = word_set(
    "chapter part volume vol book act scene war phase type stage grade class level section article "
    "title appendix episode generation mark lesson unit figure table module tier step round "
    "category schedule annex number canto bowl quadrant apollo division"
)
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def _roman(found: re.Match[str]) -> str:
    name, written, after = found["name"], found["roman"], found["after"] or ""
    # A single C, D, L or M is a letter: "Plan C".
    if not _ROMAN.fullmatch(written.upper()) or written.upper() in {"C", "D", "L", "M"}:
        return found[0]
    values = [_ROMAN_DIGITS[letter] for letter in written.upper()]
    value = sum(
        -one if one < following else one
        for one, following in zip(values, [*values[1:], 0], strict=True)
    )
    # "So did Charles. I" is cut by then; "Charles I think" is not.
    alone = written == "I" and after.strip()[:1].islower() and after[:1] == " "
    if name in _REGNAL and written.isupper() and not alone:
        return f"{name} the {ordinal(value)}{after}"
    if name.lower() in _COUNTED and not alone:
        return f"{name} {cardinal(value)}{after}"
    if len(written) > 1 and written.isupper() and set(written) <= set("IVX") and name[0].isupper():
        return f"{name} {cardinal(value)}{after}"
    return found[0]


_SHORT_WORDS = word_set(
    "a i am an and are as at be but by can did do ever for get go got had has have he her him his "
    "how if in into is it its just let me more my new no not now of off oh on one only or our out "
    "own put red run sad say see set she so stop the them then this to too try two up us use was "
    "way we who why will with yes yet you your all any ask bad big boy buy cut day end far few fun "
    "god hey hot job kid law lot low mad man may men mom dad old pay per sun ten top war win won "
    "ad ah eh hi ho ok ow ox yo wow new yes bus car cat dog eat fit fix fly hit ice key lie map "
    "mix nor odd oil raw sea sex sir sit six sky sum tax tea tie tip toy van via wet zoo "
    # Said as words, although they are initials:
    "ram rom sim pin zip gif lan wan vat nasa nato cad ufo bit laser radar opec"
)
_AMBIGUOUS = word_set("IT US AM PM AD OR ID WHO")
"""Initials, unless all around them is in capitals."""
_LONG_INITIALS = word_set(
    "HTML HTTP HTTPS IEEE ASAP USPS UEFA NCAA NAACP AARP DHCP IMAP SMTP ADHD ISBN "
    "ATMS FAQS NYPD LAPD NSFW RSVP TTYL IMHO UNHCR DVLA HMRC GDPR CCTV USSR IIRC AFAIC YMCA "
    "UCLA NYSE CEST AEST AEDT"
)
_INTERJECTIONS = word_set("hm hmm hmmm mm mmm mhm sh shh shhh psst pst grr brr pfft tsk nth zzz")
_MIXED_CASE = re.compile(r"(?<=[a-z])(?<!\bMc)(?<!\bO')(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


_ONSET = re.compile(
    "(?:[bcdfghjklmnpqrstvwxz]?|[bcfgkps]l|[bcdfgkptvw]r|[cgpstw]h|sch|[gk]n|ps|s[ckmnpqtwv]"
    "|s[cpt]r|s[ph]r|spl|thr|[dt]w|ts|tz|mc|qu|squ|rh|kh|zh)(?=[aeiouy])"
)
"""How an English word begins."""


def _vowels(word: str) -> bool:
    return bool(re.search("[AEIOUYaeiouy]", word))


def _sayable(word: str) -> bool:
    """Whether one could say it as a word: NASA, not HDMI."""
    lower = word.lower()
    return bool(_ONSET.match(lower)) and not re.search("q(?!u)|[^aeiouy]{4}|[^aeiouy]{3}$", lower)


def _capital_word(shouting: bool) -> Callable[[re.Match[str]], str]:
    def said(found: re.Match[str]) -> str:
        word, tail = found["word"], found["tail"] or ""
        lower = word.lower()
        if word in _AMBIGUOUS:
            as_word = shouting and word in {"IT", "US", "AM", "OR", "WHO"}
        elif len(word) <= 3:
            as_word = lower in _SHORT_WORDS
        else:
            as_word = word not in _LONG_INITIALS and (shouting or _sayable(word)) and _vowels(word)
        if as_word:
            # One that is said as a word is a name, unless the sentence shouts.
            name = not shouting and lower not in _SHORT_WORDS and len(word) > 3
            return (word.capitalize() if name else lower) + tail
        if tail == "s":
            tail = "'s"
        return spelled(word) + tail

    return said


def _single_a(found: re.Match[str]) -> str:
    """The article, or the letter: "A dog", "Read A Christmas Carol"; "plan A", "A B C"."""
    after = re.match(r" ?([A-Za-z]*)", found.string[found.end() :])
    word = after[1] if after else ""
    before = found.string[: found.start()].rstrip()
    starts = not before or before[-1] in ".!?,:;"
    if len(word) > 1 and (starts or word[0].isupper()):
        return "a"
    return "a" if starts and word and word[0].islower() else "ay"


def _shouts(text: str) -> bool:
    words = re.findall(r"[A-Za-z]{2,}", text)
    capitals = [word for word in words if word.isupper()]
    # "PLEASE READ" and "I LOVE YOU", but not "IT US", nor "NASA HQ".
    short = len(capitals) == len(words) == 2 and all(
        word.lower() in _SHORT_WORDS or (len(word) > 3 and _sayable(word)) for word in words
    )
    return short or (len(capitals) >= 3 and len(capitals) * 3 >= len(words) * 2)


def _run(rules: list[Rule], text: str) -> str:
    for pattern, words in rules:
        text = pattern.sub(words, text)
    return text


def addresses(text: str) -> str:
    """`text` with web and mail addresses, files, handles and hashtags in words."""
    return _run(_ADDRESSES, text)


_DOTTED = re.compile(r"(?<![\w.'])[A-Za-z](?:\.[A-Za-z]){1,7}(?:\.|(?!\w))")


def initials(text: str) -> str:
    """`text` with "U.S." spelled. After the times, which want "3 p.m." whole."""
    return _INITIAL.sub(_initial, _DOTTED.sub(_initials, text))


def abbreviations(text: str) -> str:
    """`text` with abbreviations in full, and initials with stops spelled."""
    return _run(_ABBREVIATIONS, text)


_CAPITALS: list[Rule] = [
    (
        re.compile(r"\b([A-Z]{2,6})(s)\b(?!')"),
        lambda found: f"{spelled(found[1])}'s" if found[0] not in {"Is"} else found[0],
    ),
    (
        re.compile(r"(?<![\w'])[A-Za-z]*[a-z][A-Z][A-Za-z]*|\b[A-Z]{2,}[a-z]+"),
        lambda found: _MIXED_CASE.sub(" ", found[0]),
    ),
    (
        re.compile(
            r"\b(?P<name>[A-Za-z][a-z]+),? (?P<roman>[IVXLC]+|(?<=[a-z] )[ivxlc]+)\b(?! [A-Z]\b|')"
            r"(?P<after>(?: \w)?)"
        ),
        _roman,
    ),
]


_CONTRACTED = re.compile(
    r"(?<![\w'])(?:[A-Z]+'(?:T|RE|VE|LL|D|M)|(?:IT|THAT|WHAT|HE|SHE|LET|HERE|THERE|WHO)'S)(?!\w)"
)
"""DON'T, I'LL."""


def capitals(text: str) -> str:
    """`text` without digits, with Roman numbers, initials and MixedCase as they are said."""
    text = _run(_CAPITALS, text)
    text = _CONTRACTED.sub(lambda found: re.sub("^i(?=')", "I", found[0].lower()), text)
    shouting = _shouts(text)
    text = re.sub(
        r"(?<![\w'])(?P<word>[A-Z]{2,})(?P<tail>'?s)?(?!\w)", _capital_word(shouting), text
    )
    text = re.sub(r"(?<![\w'])A(?![\w'-])", _single_a, text)
    text = re.sub(r"(?<=\b[A-Z])-(?=[A-Z]\b)", " ", text)  # USB-C
    return re.sub(
        r"(?<![\w'])[b-df-hj-np-tv-xz]{2,6}(?![\w'])",
        lambda found: found[0] if found[0] in _INTERJECTIONS else spelled(found[0]),
        text,
    )
