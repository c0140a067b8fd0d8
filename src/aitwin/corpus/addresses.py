"""Where people live: a house number beside the name of a street, and the town that follows.

Rules for some thirty countries by the word for a street. A town, a postcode or a street without
a house number is prose, and stays; so is an address that follows no rule here.
"""

from aitwin.corpus.detector import detector

_UPPER = r"[A-ZÀ-ÖØ-ÞŁŚŻŠČŽĐĞİŞ]"
_NAME = rf"{_UPPER}[\w'’.-]+"
_ENGLISH = rf"(?:{_UPPER}[\w'’.-]+|\d{{1,3}}(?:st|nd|rd|th))"
_NUMBER = r"\d{1,5}(?:[a-zA-Z]\b|(?:[-/]\d{1,4}[a-zA-Z]?){1,3}\b)?"

# English: 14 Elm Road, Leeds LS6 2AB
_STREETS = (
    r"(?:Road|Rd|Street|Avenue|Ave|Lane|Ln|Drive|Crescent|Cres|Terrace|Boulevard|Blvd|Gardens|"
    r"Grove|Parkway|Pkwy|Highway|Hwy|Mews|Circle|Alley|Close|Parade|Pde|Esplanade|Cct|Tce|"
    r"Turnpike|Tpke|Trl|Cir|Bvd|Wharf|Quay)\b\.?"
)
_LOOSE_STREETS = r"(?:St|Dr|Way|Place|Pl|Court|Ct|Square|Sq|Hill|Row|Park|View|Walk|Broadway)\b\.?"
_UK = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
_US = r"[A-Z]{2},? \d{5}(?:-\d{4})?\b"
_CANADA = r"[A-Z]{2},? [A-Z]\d[A-Z] ?\d[A-Z]\d\b"
_FOUR = r"\d{4}\b"
_AUSTRALIA = r"(?:NSW|VIC|QLD|WA|SA|TAS|ACT|NT),? \d{4}\b"
_POSTCODE = rf"(?:{_UK}|{_US}|{_CANADA}|{_AUSTRALIA}|{_FOUR}|\d{{6}}\b)"
_WORD = (
    rf"(?:{_UPPER}[\w'’.()-]*|\d{{1,4}}[.º°ª]?[A-Za-z]?|[a-z]{{1,4}}\.|de|del|della|da|do|am|"
    r"an der|im|of|upon|on|sur|sous|apto|piso|esq|dto|dcha|izq|tv|th|mf|apt|flat|floor|fl|nr|no|-)"
)
_CODE = (
    rf"(?:{_UK}|[A-Z]{{2}},? \d{{5}}(?:-\d{{3,4}})?\b|{_CANADA}|"
    rf"{_AUSTRALIA}|[A-Z]\d[\dW] ?[A-Z\d]{{4}}\b|"
    r"\d{5}-\d{3}\b|"
    r"\d{4}-\d{3}\b|\d{4} [A-Z]{2}\b|(?:[A-Z]{1,2}-)?\d{4,6}\b|\d{3} \d\d\b|\d\d-\d{3}\b)"
)
# What may stand between a street and its postcode, and the town that follows: no small words.
_TAIL = (
    rf"(?:(?:(?:,?[ ]{{1,2}}|,?\n|,|/){_WORD}){{0,9}}?(?:,?[ ]{{1,2}}|,?\n){_CODE}"
    rf"(?:,? {_UPPER}[\w'’-]+){{0,2}}(?: [A-Z\d]{{1,2}}\b)?(?: \([A-Z]{{2}}\))?)"
)
_UNIT = r"(?:,? (?:Apt|Apartment|Flat|Unit|Suite|Ste|#)\.? ?\w{1,5})?"
_TOWN = rf"(?:,?\s{{1,2}}(?:{_NAME}\s?){{1,3}},?)"
_POINT = r"(?: (?:N|S|E|W|NE|NW|SE|SW)\b\.?)?"
_TO_TOWN = rf"(?:(?:{_TOWN}){{0,2}}?,?\s{{1,2}}{_POSTCODE})"

# The street first: Lindenstraße 12, 10969 Berlin
_COMPOUND = (
    r"(?:stra(?:ß|ss)e|str\.|gasse|allee|platz|ufer|damm|chaussee|promenade|straat|gracht|laan|"
    r"kade|"
    r"plein|(?<!Aus)(?<!Um)(?<!Heim)(?<!Rück)(?<!Hin)weg|gatan|vägen|gränd|gade|vej|gata|veien|"
    r"gate|katu|tie|utca)"
)
_LEADING = (
    r"(?:Via|Viale|Corso|Piazza|Piazzale|Calle|C/|Avda\.?|Avenida|Av\.|Plaza|Paseo|Carrer|Rua|"
    r"Travessa|Praça|Largo|Alameda|ul\.|al\.|pl\.|os\.|ulica|Strada|Str\.|Bulevardul|Jalan|Jl\.|"
    r"Rue|Avenue|Chaussée|(?<=[io]n )via|viale|corso|piazza|calle|avenida|plaza|paseo|carrer|rua|"
    r"travessa|praça|ulica|jalan)"
)
# Words of every day: an address only with its town.
_AT = r"(?:Am|An der|An den|Im|In der|In den|Auf der|Auf dem|Zum|Zur)"
_NO_UNIT = r"| (?:%|€|Uhr|Euro|EUR|km|min|h|kg|m(?!\.)|Stunden)\b"
_NO_YEAR = r"(?!(?:19|20)\d\d\b)"
_LINKS = r"(?:(?:de|del|della|delle|dei|da|do|das|dos|di|la|las|los|le|du|des|d'|l'|sur|Alten) ?)*"
_TO_CODE = (
    rf"(?:,?\s{{1,2}}(?:[A-Z]{{1,2}}-)?(?:\d{{4}} [A-Z]{{2}}|\d{{2}}-\d{{3}}|\d{{3}} \d{{2}}|"
    rf"\d{{4}}-\d{{3}}|\d{{4,5}})\s(?:{_NAME}[ ]?){{1,3}}(?:\b[A-Z]\b)?)"
)
_FLOOR = r"(?: [A-Z] \d{1,3}\b)?"

_CAPITAL = r"(?:[A-ZÀ-ÖØ-ÞĀ-ĮĲ-ŽΆ-ΏΑ-Ω])"
_SHARP = (
    r"(?:[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]\d[\dW] (?=[A-Z\d]{0,3}\d)[A-Z][A-Z\d]{3}|"
    r"[A-Z]\d[A-Z] \d[A-Z]\d)"
)

DETECTORS = (
    detector(
        "ADDRESS",
        rf"\b(?:(?:Flat|Apartment|Apt|Unit|Suite) \w{{1,4}},? )?(?<![\d.,:/-])(?<!\d "
        rf")(?<!opyright )(?!(?:19|20)\d\d,)\d{{1,5}}[A-Za-z]?"
        rf"{_POINT},? (?:{_ENGLISH} ){{1,3}}(?:{_STREETS}|"
        rf"{_LOOSE_STREETS}){_POINT}{_UNIT}{_TO_TOWN}",
        rf"\b(?:(?:Flat|Apartment|Apt|Unit|Suite) \w{{1,4}},? )?(?<![\d.,:/-])(?<!\d "
        rf")(?<!opyright )(?!(?:19|20)\d\d,)\d{{1,5}}[A-Za-z]?"
        rf"{_POINT},? (?:{_ENGLISH} ){{1,3}}{_STREETS}{_POINT}{_UNIT}{_TAIL}?",
        # Unit 5/72 Jacaranda Pde; 88 W 3rd St.
        rf"\b(?:(?:Flat|Apartment|Apt|Unit|Suite|Lot) ?)?\d{{1,4}}/\d{{1,4}}[A-Za-z]?,? "
        rf"(?:{_NAME} ){{1,3}}(?:{_STREETS}|{_LOOSE_STREETS}){_TAIL}?",
        rf"(?<![\d.,:/-])(?<!\d )\b\d{{1,5}}(?: [NSEW]\.?| (?:North|South|East|West))?"
        rf" \d{{1,3}}(?:st|nd|rd|th) (?:{_STREETS}|St\b\.?){_POINT}{_UNIT}{_TAIL}?",
        rf"(?<![\d.,:/-])(?<!\d )\b(?<!opyright )(?!(?:19|20)\d\d,)\d{{1,5}}[A-Za-z]?(?: "
        rf"[NSEW]\.?)? (?:{_NAME} )(?:St\.|St|Dr)(?=[\s.,]|$)"
        r"(?! (?:[A-Z]|of))",
        rf"(?i:\bP\.? ?O\.? ?Box) \d{{1,6}}{_TO_TOWN}?",
        words=(
            *("road", " rd", "street", "avenue", " ave", "lane", " ln", "drive", "cres", "terrace"),
            *(
                "boulevard",
                "blvd",
                "gardens",
                "grove",
                "park",
                "pkwy",
                "pde",
                "parade",
                "cct",
                "tce",
                "esplanade",
                "wharf",
                "quay",
                "highway",
                "hwy",
                "mews",
            ),
            *(
                "turnpike",
                "tpke",
                " trl",
                " cir",
                "bvd",
                "alley",
                "close",
                " st",
                " dr",
                " way",
                "place",
                " pl",
                "court",
                " ct",
            ),
            *("square", " sq", " hill", " row", " view", " walk", "broadway", "box "),
        ),
        digits="some",
    ),
    detector(
        "ADDRESS",
        rf"\b(?:(?:{_NAME}[ -]){{0,2}}{_NAME[:-1]}*|{_UPPER}[\w-]*)(?i:{_COMPOUND}) "
        rf"{_NUMBER}(?!\d|[.,:]\d{_NO_UNIT})"
        rf"{_FLOOR}(?:{_TAIL}|{_TO_CODE})?",
        rf"\b{_UPPER}[\w-]+(?:er|en|ische)? (?:Stra(?:ß|ss)e|Str\.|Allee|Platz|Weg|Ring|Ufer|"
        rf"Damm|Gasse) "
        rf"{_NUMBER}(?!\d|[.,:]\d)(?:{_TAIL}|{_TO_CODE})?",
        rf"(?<![\w]){_LEADING} ?{_LINKS}(?:{_NAME}[ ]?){{1,4}},? ?(?:(?:n[º°.r]\.?|num\.|"
        rf"No\.?:?) ?)?{_NO_YEAR}"
        rf"{_NUMBER}(?!\d|[.,:]\d{_NO_UNIT})(?:{_TAIL}|(?:,[^\n,]{{1,12}})?{_TO_CODE}|"
        rf"(?:, (?:bl|sc|et|ap|apto|piso|int|scala|bloco)\.? ?\w{{1,4}}){{1,4}})?",
        rf"(?<![\w]){_AT} {_LINKS}(?:{_NAME}[ ]?){{1,3}} ?{_NUMBER}{_TO_CODE}",
        words=(
            *("straße", "strasse", "str.", "gasse", "allee", "platz", "ufer", "damm", "chaussee"),
            *("promenade", "straat", "gracht", "laan", "kade", "plein", "gatan", "vägen", "gränd"),
            *("gade", "vej", "gata", "veien", "gate ", "katu", "tie ", "utca", "weg ", " ring "),
            *("via ", "viale", "corso", "piazza", "calle", "c/", "avda", "avenida", "av.", "plaza"),
            *(
                "paseo",
                "carrer",
                "rua ",
                "rue ",
                "avenue",
                "travessa",
                "praça",
                "largo",
                "alameda",
                "ul.",
                "al. ",
            ),
            *("pl.", "os.", "ulica", "strada", "bulevardul", "jalan", "jl.", "am ", "an de", "im "),
            *("in de", "auf de", "zum ", "zur "),
        ),
        digits="some",
    ),
    detector(
        "ADDRESS",
        rf"(?i)\b\d{{1,4}}(?: ?(?:bis|ter|quater))?,? (?:rue|avenue|av\.|boulevard|bd|place|"
        rf"chemin|impasse|"
        rf"allée|quai|route de|cours|faubourg)(?-i:(?: (?:de|du|des|la|le|les|l['’]|d['’]|saint|"
        rf"sainte))*"
        rf" ?{_UPPER}[\w'’-]+(?:[ -](?:{_UPPER}[\w'’-]+|de|du|la))*(?:{_TAIL}|{_TO_CODE})?)",
        words=(
            *("rue ", "avenue", "av.", "bd ", "boulevard", "place ", "chemin", "impasse", "allée"),
            *("quai", "route de", "cours ", "faubourg"),
        ),
        digits="",
    ),
    # B-204, Lotus Heights, Andheri West, Mumbai - 400053
    detector(
        "ADDRESS",
        rf"\b(?:[A-Z]{{1,2}}-?)?\d{{1,4}}[A-Z]?, (?:{_NAME}(?:, |"
        rf" )){{2,9}}(?:[-–] ?)?[1-9]\d\d ?\d{{3}}\b",
        digits="some",
        confirmed=lambda text: text.count(",") > 1,
    ),
    # By the postcode of the United Kingdom, Ireland or Canada after a comma: it leads to a door.
    detector(
        "ADDRESS",
        rf"(?<![\w'’./-])(?:(?:{_UPPER}|\d)[\w'’./-]{{0,30}}(?:,? |,\n)){{1,12}}{_SHARP}(?!\w)",
        digits="some",
        confirmed=lambda text: "," in text,
    ),
    # A street that needs no word for one: "Národní 25, 110 00 Praha 1", "Ερμού 56, 105 63 Αθήνα".
    detector(
        "ADDRESS",
        rf"(?:{_CAPITAL}[\w.'’-]+ ){{1,3}}{_NO_YEAR}\d{{1,4}}[a-z]?(?:[/-]\d{{1,4}}){{0,2}}(?:, [^,"
        rf"\n]{{1,12}})?"
        rf",\s(?:[A-Z]{{1,2}}-)?(?:\d{{3}} \d\d|\d\d-\d{{3}}|\d{{4,5}}(?:-\d{{3}})?|"
        rf"\d{{4}} ?[A-Z]{{2}}) {_CAPITAL}[\w'’-]{{2,}}(?: \d{{1,2}}\b)?",
        digits="town",
    ),
    detector(
        "ADDRESS",
        rf"\b\d{{4}} {_NAME},? (?:{_NAME} ){{1,3}}(?:utca|út|tér|körút|köz|sétány|"
        rf"u\.) \d{{1,4}}\.?",
        rf"(?:{_NAME} ){{1,3}}(?:utca|út|tér|körút|köz|sétány) \d{{1,4}}\.?",
        rf"(?:{_NAME} ){{1,3}}(?:Caddesi|Cad\.|Cd\.|Sokağı|Sokak|Sok\.|Sk\.|Bulvarı|Blv\.|Mah\.|"
        rf"Mahallesi),? "
        rf"(?:{_NAME} )?(?:No\.?:? ?)?\d{{1,4}}(?:/\d{{1,3}}|"
        rf" D:? ?\d{{1,3}})?(?:,? {_NAME}(?:/{_NAME})?)?",
        r"(?i:Flat|Plot|House|H\.? ?No|Door|Shop|D\.? ?No|Block|Villa|Room|Unit|"
        r"Blk)\.? ?(?i:No\.?:? ?)?"
        r"[A-Z]?-?\d{1,5}[\w/-]{0,6}(?:, [^,\n]{2,30}){1,5}[ ,-]{1,3}\d{3} ?\d{3}\b",
        r"[가-힣]{2,8}(?:시|도|군|구) (?:[가-힣\d]+(?:시|군|구|읍|면|동) ){0,3}[가-힣\d]+(?:로|"
        r"길) ?\d{1,4}"
        r"(?:-\d{1,3})?(?:번길 ?\d{1,3})?(?:,? ?\d{1,4}동)?(?: ?\d{1,4}호)?",
        r"شارع [^\d\n]{2,30}\d{1,4}|רח(?:וב|['׳]) [^\d\n]{2,25}\d{1,4}|"
        rf"\b\d{{1,4}}[A-Z]?(?:/\d{{1,3}})? (?:[Đđ]ường|[Pp]hố) (?:{_CAPITAL}\w+ ?){{1,4}}|"
        rf"(?:[Οο]δός|[Λλ]εωφ(?:όρος|\.)) (?:{_CAPITAL}\w+ ){{1,3}}\d{{1,3}}|"
        rf"\d{{1,4}}(?:/\d{{1,4}})? ?(?:ถนน|ถ\.|ซอย) ?[ก-๙]{{2,20}}",
        words=(
            *("utca", "út ", "tér", "körút", "köz", "sétány", "u. ", "cad", "cd.", "sok", "sk."),
            *("bulvar", "blv.", "mah.", "mahallesi", "flat", "plot", "house", "h. no", "h.no"),
            *("h no", "door", "shop", "d.no", "d no", "d. no", "block", "villa", "room", "unit"),
            *("blk", "로", "길", "شارع", "רח", "ường", "phố", "δός", "λεωφ", "ถ", "ซอย"),
        ),
        digits="some",
    ),
    detector(
        "ADDRESS",
        r"(?:ул\.|улица|пр(?:оспект|-т|\.)|пер\.|переулок|бульвар|шоссе|вул\.) ?[А-ЯЁІЇЄ][\w "
        r"-]{2,30},? "
        r"(?:д\.|дом|буд\.)? ?\d{1,4}[а-я]?(?:/\d+)?(?:,? ?(?:к|корп|стр)\.? ?\d+)?(?:,? ?(?:кв|"
        r"оф)\.? ?\d+)?",
        r"〒 ?\d{3}-?\d{4}[^\S\n]*[^\s,，。、]{0,40}",
        r"[\u4e00-\u9fff]{2,8}[都道府県][\u4e00-\u9fff\u30a0-\u30ff]{1,12}[市区町村郡][^\s,，。、]{"
        r"0,20}\d+"
        r"(?:-\d+)*",
        r"(?:[\u4e00-\u9fff]{2,8}[省市])?[\u4e00-\u9fff]{2,8}[区县市][\u4e00-\u9fff]{2,12}[路街道巷"
        r"]\d+号?"
        r"(?:[\u4e00-\u9fff\d]{1,20}[室楼栋单元号])?",
        words=(
            *(
                "ул.",
                "улица",
                "пр-т",
                "пр.",
                "проспект",
                "пер.",
                "переулок",
                "бульвар",
                "шоссе",
                "вул.",
            ),
            *("〒", "都", "道", "府", "県", "区", "县", "市"),
        ),
    ),
)
