"""Numbers and addresses that lead to one person: mail, card, bank account, identity papers.

A number is taken where its check digits and shape leave little doubt, or where a word beside it
says what it is. Check digits are worked out here: they are a line each, and a library of all
formats (python-stdnum) accepts dates and order numbers where no word says what a number is.
Phones: see phones.
"""

import re

from aitwin.corpus.detector import detector, digits


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text).upper()


# Check digits


def _luhn(text: str) -> bool:
    """ISO 7812; one random number in ten passes."""
    number = [int(digit) for digit in reversed(digits(text))]
    doubled = [sum(divmod(2 * digit, 10)) for digit in number[1::2]]
    return (sum(number[::2]) + sum(doubled)) % 10 == 0


def _is_card(text: str) -> bool:
    number = digits(text)
    return len(set(number)) > 1 and _luhn(number)


def _is_iban(text: str) -> bool:
    """ISO 13616: moved around and read as one number, the remainder by 97 is 1."""
    plain = _plain(text)
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return 15 <= len(plain) <= 34 and int(number) % 97 == 1


def _is_dni(text: str) -> bool:
    """Spain: the last letter is the remainder by 23; X, Y, Z of foreigners count 0, 1, 2."""
    plain = _plain(text)
    number = plain[:-1].replace("X", "0", 1).replace("Y", "1", 1).replace("Z", "2", 1)
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def _is_codice_fiscale(text: str) -> bool:
    """Italy: characters at odd places count by a table, the sum by 26 is the last letter."""
    table = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22)
    odd = (*table, 25, 24, 23)
    values = [int(c) if c.isdigit() else ord(c) - ord("A") for c in text.upper()]
    total = sum(odd[v] for v in values[:-1:2]) + sum(values[1:-1:2])
    return total % 26 == values[-1]


def _is_nir(text: str) -> bool:
    """France: 97 less the remainder; Corsica's 2A and 2B count 19 and 18."""
    plain = _plain(text).replace("2A", "19").replace("2B", "18")
    return plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def _is_cpf(text: str) -> bool:
    """Brazil: two digits, each the weighted sum of those before, by 11."""
    number = [int(digit) for digit in digits(text)]
    for place in (9, 10):
        total = sum((place + 1 - i) * number[i] for i in range(place))
        if (total * 10 % 11) % 10 != number[place]:
            return False
    return len(set(number)) > 1


def _is_chinese(text: str) -> bool:
    """ISO 7064 mod 11-2; X is ten."""
    values = [10 if c in "xX" else int(c) for c in text]
    return sum(v * pow(2, 17 - i, 11) for i, v in enumerate(values)) % 11 == 1


def _is_finnish(text: str) -> bool:
    number = int(digits(text[:6]) + digits(text[7:10]))
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == text[-1].upper()


def _is_belgian(text: str) -> bool:
    """97 less the remainder, with a 2 before for those born since 2000."""
    number = digits(text)
    return any(97 - int(era + number[:9]) % 97 == int(number[9:]) for era in ("", "2"))


def _weighted(text: str, weights: tuple[int, ...], by: int) -> bool:
    """The sum of the digits, each times its weight, is a multiple."""
    number = [int(digit) for digit in digits(text)]
    return sum(d * w for d, w in zip(number, weights, strict=True)) % by == 0


def _is_cnpj(text: str) -> bool:
    """Brazil's companies: two digits, as in the CPF, with weights from 2 to 9 and round again."""
    number = digits(text)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return all(
        sum(int(d) * w for d, w in zip(number[:end], weights[13 - end :], strict=True))
        * 10
        % 11
        % 10
        == int(number[end])
        for end in (12, 13)
    )


def _is_czech_account(text: str) -> bool:
    """Both parts before the bank's number, each weighted by powers of two, by 11."""
    account, _, _ = text.partition("/")
    weights = (6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
    parts = account.split("-")
    return all(_weighted(part.zfill(10), weights, 11) for part in parts)


def _is_hungarian_account(text: str) -> bool:
    return _weighted(digits(text)[:8], (9, 7, 3, 1, 9, 7, 3, 1), 10)


def _is_polish_account(text: str) -> bool:
    """An IBAN of Poland without its PL."""
    return _is_iban(f"PL{_plain(text)}")


def _is_ahv(text: str) -> bool:
    """Switzerland: an EAN-13."""
    return _weighted(text, (1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1), 10)


def _is_snils(text: str) -> bool:
    """Russia: the weighted sum by 101."""
    number = digits(text)
    total = sum(int(d) * w for d, w in zip(number, range(9, 0, -1), strict=False))
    return total % 101 % 100 == int(number[9:])


def _is_rut(text: str) -> bool:
    """Chile: the digits from the end times 2 to 7, by 11; K is ten."""
    plain = _plain(text)
    total = sum(int(d) * (2 + i % 6) for i, d in enumerate(reversed(plain[:-1])))
    return "0K987654321"[total % 11] == plain[-1]


def _is_nric(text: str) -> bool:
    """Singapore: the weighted sum by 11, with a table for each first letter."""
    total = sum(int(d) * w for d, w in zip(text[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += 4 if text[0] in "TG" else 3 if text[0] == "M" else 0
    table = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "KLJNPQRTUWX"}
    return table.get(text[0], "XWUTRQPNMLK")[total % 11] == text[-1]


def _is_steuer_id(text: str) -> bool:
    """Germany: ISO 7064 mod 11,10."""
    number = digits(text)
    product = 10
    for digit in number[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(number[-1])


_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_TURNS = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def _is_aadhaar(text: str) -> bool:
    """India: Verhoeff's scheme, in the group of the turns of a pentagon."""
    check = 0
    for place, digit in enumerate(reversed(digits(text))):
        check = int(_DIHEDRAL[check][int(_TURNS[place % 8][int(digit)])])
    return check == 0


def _is_vin(text: str) -> bool:
    """Cars: the ninth character is the weighted sum by 11; Europe's have none, and need a word."""
    values = {
        **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
        **dict(zip("JKLMN", range(1, 6), strict=True)),
        **{"P": 7, "R": 9},
        **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
    }
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(
        (int(c) if c.isdigit() else values[c]) * w for c, w in zip(text, weights, strict=True)
    )
    return "0123456789X"[total % 11] == text[8] and len(set(text)) > len("VIN")


# Mail addresses

_MESSAGE_ID = r"(?i:(?:message-?id|in-reply-to|references)\b[^\n]*<?)"
_TOP = (
    r"(?:com|org|net|edu|gov|info|io|dev|me|eu|example|uk|de|fr|nl|at|ch|it|es|pl|se|ca|au|us|in)"
)


_UNIT = re.compile(r"\.(?:service|socket|timer|mount|automount|swap|slice|scope|device|path)$")
"""Of systemd: "getty@tty1.service"."""
_PICTURE = re.compile(r"(?i)\.(?:png|jpe?g|gif|bmp|emf|wmz|tiff?)$")
"""With eight hexadecimal digits after the "@" it is the Content-ID of a picture in a mail."""


def _is_mail(text: str) -> bool:
    """No Message-ID (all digits and dots before the @, or base64 with =), no repository."""
    name, _, host = text.partition("@")
    if _UNIT.search(host) or (_PICTURE.search(name) and re.match(r"(?i)[\da-f]{8}\.", host)):
        return False
    if name == "git" or "=" in name or re.fullmatch(r"\d+\.\d+|[\w.+-]*\d{14,}[\w.+-]*", name):
        return text.endswith("whatsapp.net") or text.endswith(".us")
    return not re.fullmatch(r"[0-9A-F]{7,}(?:[.-][0-9A-F]+)+|\d{6,}\.[\w.-]*|Pine\..+", name)


_MAIL = (
    detector(
        "EMAIL",
        r"(?<![\w.+=/$%-])(?:[\w+][\w.+'=-]*|\"[^\"\n]{1,40}\")@(?:[\w-]+\.)+"
        r"(?:xn--[a-z\d-]+|[A-Za-z]{2,}|[^\W\dA-Za-z_]{2,})(?![:\w.-]*/\w)",
        words=("@",),
        confirmed=_is_mail,
        same=lambda text: text.casefold(),
    ),
    detector(
        "EMAIL",
        r"(?i)(?<![\w.+-])[\w.+-]+ ?[\[({<] ?at ?[\])}>] ?[\w-]+"
        r"(?:(?: ?[\[({<] ?(?:dot|punkt|point) ?[\])}>] ?|\.)[\w-]+)+",
        rf"(?i)(?<![\w.+-])[\w.+-]*[a-z][\w.+-]* at (?:[\w-]+ dot )+{_TOP}\b",
        words=("(at", "[at", "{at", "( at", "[ at", "{ at", " dot "),
        same=lambda text: re.sub(r"\W*\b(?:at|dot)\b\W*|\W", "", text.casefold()),
    ),
)

# Cards and bank accounts

_CARD_BEFORE = r"(?<![\w.,-])(?<![\da-f]{8} )(?<!\b[a-z]\d: )(?<!\b[a-z]\d\d: )"
_CARD_AFTER = r"(?![\w-]| +[\da-f]{8,}\b)"
_NUMBER_IS = (
    r"(?: ?(?:(?:no|nr|num|number|nummer|número|numéro)\b\.?|№|#|n[°ºo]\.?))?"
    r"(?: ?[:=.#] ?| (?:is|ist|lautet|est|es|é|è|är|er|on|jest|to|hai|это) | ){0,2}"
)

_CARD_WORDS = (
    r"(?:credit|debit|bank)? ?card|maestro|visa|mastercard|amex|karte|kreditkarte|carte|tarjeta|"
    r"carta|"
    r"cartão|kort|карт[аеуы]|rupay|unionpay|discover|jcb|diners|mir|elo|mada|troy|卡号|"
    r"银行卡(?:号)?|"
    r"カード番号|카드번호|بطاقة"
)

_CZECH_BANKS = (
    r"0100|0300|0600|0710|0800|2010|2060|2070|2100|2200|2220|2250|2260|2600|2700|3030|3050|3060|"
    r"3500|4300|5500|5800|6000|6100|6200|6210|6300|6700|6800|7910|7950|7960|8030|8040|8060|8090"
)

_IBAN_SHAPE = (
    r"[A-Z]{2}\d\d(?:[ -]?[A-Z]{4}(?=[ -]?\d))?[A-Z\d]{0,30}"
    r"(?:[ -](?=[A-Z]{0,3}\d)[A-Z\d]{1,30}){0,9}"
)


def _is_ibans_length(text: str) -> bool:
    """One character more or less than an IBAN may have, and digits enough."""
    return 14 <= len(_plain(text)) <= 35 and len(digits(text)) >= len("12345678")


_MONEY = (
    detector(
        "IBAN",
        r"(?i)\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b",
        r"(?i)\b[A-Z]{2}\d{2}(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,3})?\b",
        confirmed=_is_iban,
        digits="many",
        same=_plain,
    ),
    detector(
        "CARD",
        rf"{_CARD_BEFORE}(?P<long>(?:4\d{{3}}|5[1-5]\d\d|2[2-7]\d\d|6011|6[245]\d\d|35\d\d|"
        rf"220[0-4])"
        rf"(?:(?:[ .-]{{1,3}}|\n)?\d{{4}}){{3}}){_CARD_AFTER}",
        rf"{_CARD_BEFORE}(?P<amex>3[47]\d\d[ -]?\d{{6}}[ -]?\d{{5}}){_CARD_AFTER}",
        rf"{_CARD_BEFORE}(?P<diners>3(?:0[0-5]|[68]\d)\d[ -]?\d{{6}}[ -]?\d{{4}}){_CARD_AFTER}",
        digits="many",
        confirmed=_is_card,
        same=digits,
    ),
    detector(
        "CARD",
        # Maestro and whatever else has 12 to 19 digits, where it is called a card.
        rf"(?i)\b(?:{_CARD_WORDS}){_NUMBER_IS}(?P<named>\d(?:[ -]{{0,2}}\d){{11,18}})\b",
        rf"(?i){_CARD_BEFORE}(?P<before>\d(?:[ -]?\d){{11,18}}) (?:is|was) (?:my|the|our|her|his) "
        rf"(?:[\w-]+ )?(?:{_CARD_WORDS})\b",
        digits="many",
        confirmed=_is_card,
        same=digits,
    ),
    # With a digit that is wrong it still tells the account, where it is called one.
    detector(
        "IBAN",
        rf"(?i)\biban{_NUMBER_IS}(?P<called>{_IBAN_SHAPE})(?!\w)",
        rf"(?i)(?<!\w)(?P<before>{_IBAN_SHAPE}) (?:is|ist|est|es|è|é) (?:[^\W\d_]{{1,8}} ){{0,2}}"
        r"iban\b",
        words=("iban",),
        digits="some",
        confirmed=_is_ibans_length,
        same=_plain,
    ),
    detector(
        "IBAN",
        r"(?<![\w.,-])\d\d(?: ?\d{4}){6}(?![\w-]| \d)",
        digits="many",
        confirmed=_is_polish_account,
        same=_plain,
    ),
    detector(
        "BANK",
        rf"(?<![\w./-])(?:\d{{2,6}}-)?\d{{4,10}}/(?:{_CZECH_BANKS})(?![\w/-])",
        digits="many",
        confirmed=_is_czech_account,
        same=_plain,
    ),
    detector(
        "BANK",
        r"(?<![\w.-])\d{8}-\d{8}(?:-\d{8})?(?![\w-])",
        digits="many",
        confirmed=_is_hungarian_account,
        same=_plain,
    ),
    detector(
        "BANK",
        # A sort code and an account, side by side.
        r"(?i)(?<![\w./-])(?P<sorted>\d\d-\d\d-\d\d)[ ,/;:\n]{1,3}(?:(?:a/?c|acc(?:oun)?t?|and)"
        r"(?: (?:no|number))?[.: ]{1,3})?(?P<account>\d{8})(?![\w-])",
        digits="many",
        same=_plain,
    ),
    detector(
        "BANK",
        rf"(?i)(?:\bsort ?code|\bs/c){_NUMBER_IS}(?P<sort>\d\d[- ]?\d\d[- ]?\d\d)\b",
        rf"(?i)\b(?:account|acct|acc|a/c|bank account|checking|savings|konto|kontonummer|kto|"
        rf"girokonto|compte|"
        rf"cuenta|"
        rf"conta|conto|rekening(?:nummer)?|konto(?:nr|nummer)|konta|rachunku?|účtu?|účet|"
        rf"számla(?:szám)?|"
        rf"cont|tili(?:numero)?|hesap|счет[ауе]?|счёт|рахунок|账号|帐号|口座(?:番号)?|"
        rf"계좌(?:번호)?|"
        rf"חשבון|حساب){_NUMBER_IS}(?P<account>\d[\d "
        rf"-]{{5,20}}\d)\b",
        rf"(?i)\b(?:routing|aba){_NUMBER_IS}(?P<routing>\d{{9}})\b",
        rf"(?i)\b(?:blz|bankleitzahl){_NUMBER_IS}(?P<blz>\d{{3}} ?\d{{3}} ?\d\d)\b",
        rf"(?i)\btransit{_NUMBER_IS}(?P<transit>\d{{5}}(?:-\d{{3}})?)\b",
        rf"(?i)\b(?:bankgiro|plusgiro|postgiro|bg|pg|"
        rf"swish){_NUMBER_IS}(?P<giro>\d{{2,4}}-\d{{1,4}}|"
        rf"\d{{7,10}})\b",
        r"(?i)\breg\.? ?(?:nr|no)?\.?:? ?(?P<reg>\d{4})[ ,]{1,3}(?:konto(?:nr)?\.?:? ?)?"
        r"(?P<regged>\d{6,10})\b",
        rf"(?i)\brib{_NUMBER_IS}(?P<rib>\d{{5}} ?\d{{5}} ?[A-Z\d]{{11}} ?\d\d)\b",
        rf"(?i)\bbsb{_NUMBER_IS}(?P<bsb>\d{{3}}[- ]?\d{{3}})\b",
        rf"(?i)\bclabe{_NUMBER_IS}(?P<clabe>\d{{18}})\b",
        rf"(?i)\bifsc(?: code)?{_NUMBER_IS}(?P<ifsc>[A-Z]{{4}}0[A-Z0-9]{{6}})\b",
        words=(
            *(
                "sort",
                "checking",
                "savings",
                "s/c",
                "acc",
                "a/c",
                "konto",
                "kto",
                "compte",
                "cuenta",
                "conta",
                "conto",
                "rekening",
            ),
            *("routing", "aba", "blz", "bankleitzahl", "bsb", "clabe", "ifsc", "konta", "rachun"),
            *("účet", "účtu", "számla", "cont", "tili", "hesap", "счет", "счёт", "рахунок", "账号"),
            *(
                "帐号",
                "口座",
                "계좌",
                "חשבון",
                "حساب",
                "transit",
                "giro",
                "bg",
                "pg",
                "swish",
                "reg",
            ),
            *("rib",),
        ),
        digits="some",
        same=_plain,
    ),
)

# Identity papers

_DATE = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_PAPERS = (
    r"ssn|social security(?: number)?|itin|national insurance|nhs|passport|reisepass|passeport|"
    r"pasaporte|passaporto|paspoort|(?:driver'?s?|driving) licen[cs]e|führerschein|steuer-?(?:id|"
    r"nummer)|"
    r"steueridentifikationsnummer|personalausweis|ausweis|sozialversicherungs|cédula|cedula|"
    r"codice fiscale|numéro de sécu(?:rité sociale)?|n° de sécu(?:rité sociale)?|burgerservice|"
    r"rijksregister|personnummer|hetu|henkilötunnus|fødselsnummer|pesel|rodné číslo|tc kimlik|"
    r"kimlik|"
    r"aadhaar|aadhar|voter id|nric|mykad|curp|medicare|national id|identity (?:card|number|"
    r"document)|"
    r"id card|identification number|id number|tax (?:id|number)|taxpayer id|rijbewijs|patente|"
    r"permis|"
    r"(?:employee|staff|student|patient|member|policy|insurance)(?= (?:no|num|id))(?: id)?|her "
    r"social|"
    r"his social|my social|social(?=:| is| no| num)|utr|unique taxpayer reference|vin|imei|"
    r"(?:vehicle|chassis) (?:identification )?number|dl(?= ?(?:#|no|num))|driver id|cnpj|"
    r"(?:chave )?pix|id-?nr|identifikationsnummer|rvnr|sv-?nr|ahv(?:-?nummer)?|avs|cpr|svnr|"
    r"(?:nummer|numero|numéro|número) (?:de|di|della|des) (?:passeport|pasaporte|passaporto|"
    r"carte d['’]identité|carta d['’]identità)|carte d['’]identité|carta d['’]identità|dowód|"
    r"dowodu|paszport|občansk\w+ průkaz|útlevél|buletin|legitimation|henkilökortti|pas(?= ?(?:nr|"
    r"no))|"
    r"green card|alien (?:registration )?number|a-number|visa (?:number|no)|permit (?:number|no)|"
    r"medical (?:record|card) (?:number|no)|mrn|ahvnr|ehic|pass(?=-?(?:nummer|nr))"
)
_SHORT_PAPERS = (
    r"ein|dni|nie|nif|rut|cuil|cuit|c\.?f\.?|nir|bsn|cpr|rč|cnp|fin|ktp|nik|cpf|rg|rfc|sin|tfn|ird|"
    r"vat "
    r"reg|"
    r"amka|afm|jmbg|oib|egn|emšo"
)
"""Also words of some language: only before a number of seven digits."""
_PAPERS_ELSEWHERE = "|".join(
    (
        *(r"паспорт", r"инн", r"снилс", r"身份证(?:号码?)?", r"護照"),
        *(r"护照", r"マイナンバー", r"주민등록번호", r"여권"),
        *(r"הוית זהות", r"ת\.?ז\.?", r"תעודת זהות", r"رقم الهوية", r"جواز"),
    )
)


_SHORT_PAPER_WORDS = (*_SHORT_PAPERS.replace(r"c\.?f\.?", "cf|c.f").split("|"),)
_PAPER_NUMBER = (
    r"(?P<named>(?-i:(?=[A-Z]{0,5}[ -]?\d)[A-Z\d](?:[ ./-]?[A-Z\d]){3,21}?))"
    r"(?=[.,;:!?)\]'\"]*(?:\s+[^\W\d]{2,}|\s*$|\s*\n|[,;)]| +[^\w ]))"
)


def _is_paper_number(text: str) -> bool:
    """Beside its word anything will do that is long enough and no date."""
    if re.fullmatch(r"\d{1,2}[./ ]\d{1,2}[./ ]\d{2,4}|\d{4}[./-]\d\d[./-]\d\d", text):
        return False
    plain = _plain(text)
    few = len(digits(text)) >= len("12") and len(plain) >= len("X4RTBPFW")
    return (few or len(digits(text)) >= len("1234")) and len(plain) >= 7


_PAPER_NUMBERS = (
    detector(
        "ID_NUMBER",
        rf"(?i)(?<![^\W_])(?:{_SHORT_PAPERS})\b{_NUMBER_IS}{_PAPER_NUMBER}",
        words=_SHORT_PAPER_WORDS,
        digits="some",
        confirmed=lambda text: _is_paper_number(text) and len(digits(text)) >= len("1234567"),
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?i)\blast (?:4|four)(?: digits)? (?:of|on) (?:(?:my|the|your|his|her|our) )?"
        r"(?:\w+ ){0,2}?(?:card|ssn|social|account|acct|number)(?: is| are|"
        r":)?\W{1,2}(?P<last>\d{4})\b",
        words=("last 4", "last four"),
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?i)\b(?:ni|nino|national insurance)(?: number| no\.?| is|:)*\s?"
        r"(?P<ni>[A-Z]{2}(?: ?\d\d){3} ?[A-D])\b",
        r"(?i)\bpan(?: card)?(?: number| no\.?| is|:)* (?P<pan>[A-Z]{5}\d{4}[A-Z])\b",
        digits="some",
        words=("ni ", "ni:", "nino", "insurance", "pan ", "pan:", "pan-"),
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        rf"(?i)(?:(?<![^\W_])(?:{_PAPERS})(?:nummer|-nr\.?)?|"
        rf"{_PAPERS_ELSEWHERE}){_NUMBER_IS}{_PAPER_NUMBER}",
        words=(
            *("ssn", "social", "itin", "insurance", "nhs", "pass", "pasa", "paspoort", "licen"),
            *(
                "führerschein",
                "steuer",
                "ausweis",
                "sozialvers",
                "dula",
                "fiscale",
                "sécu",
                "burgers",
            ),
            *(
                "rijksreg",
                "personn",
                "hetu",
                "henkilö",
                "fødsels",
                "pesel",
                "rodné",
                "kimlik",
                "aadha",
            ),
            *(
                "voter",
                "nric",
                "mykad",
                "curp",
                "medicare",
                " id",
                "id num",
                "id card",
                "identi",
                "tax",
                "rijbewijs",
            ),
            *("patente", "permis", "employee", "staff", "student", "patient", "member", "policy"),
            *("паспорт", "инн", "снилс", "身份证", "護照", "护照", "マイナンバー", "주민", "여권"),
            *("זהות", 'ת"ז', "ת.ז", "הוית", "الهوية", "جواز", "social", "utr", "vin", "imei"),
            *("vehicle", "chassis", "dl", "driver", "cnpj", "pix", "idnr", "id-nr", "rvnr", "svnr"),
            *("sv-nr", "ahv", "avs", "cpr", "identité", "identità", "dowód", "dowodu", "paszport"),
            *(
                "průkaz",
                "útlevél",
                "buletin",
                "legitimation",
                "henkilöko",
                "pas ",
                "pasnr",
                "green c",
            ),
            *("alien", "a-number", "permit", "record", "mrn", "ehic"),
        ),
        digits="some",
        confirmed=_is_paper_number,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])",  # United States
        rf"(?<![\w-])\d\d{_DATE}-[1-489]\d{{6}}(?![\w-])",  # South Korea
        digits="many",
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        # United Kingdom
        r"\b(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z](?<!BG|GB|NK|KN|TN|NT|ZZ) ?\d\d ?\d\d ?\d\d "
        r"?[A-D]\b",
        rf"\b[A-Z]{{4}}\d\d{_DATE}[HMX][A-Z]{{5}}[A-Z\d]\d\b",  # Mexico
        digits="some",
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"\b(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]\b",
        digits="many",
        confirmed=_is_dni,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?i)\b[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]\b",
        confirmed=_is_codice_fiscale,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?<![\w.,-])[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?![\w-]| "
        r"\d)",
        digits="many",
        confirmed=_is_nir,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?<![\w-])\d{3}\.\d{3}\.\d{3}-\d\d(?![\w-])",
        digits="many",
        confirmed=_is_cpf,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        rf"(?<![\w.])\d{{6}}(?:19|20)\d\d{_DATE}\d{{3}}[\dXx](?!\w)",
        digits="many",
        confirmed=_is_chinese,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        rf"(?<![\w-])(?:19|20)?\d\d{_DATE}[-+]\d{{4}}(?![\w-])",  # Sweden
        digits="many",
        confirmed=lambda text: _luhn(digits(text)[-10:]),
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"\b(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d[-+A]\d{3}[0-9A-Y]\b",
        confirmed=_is_finnish,
        same=_plain,
    ),
    detector(
        "ID_NUMBER",
        r"(?<![\w.])\d\d\.\d\d\.\d\d-\d{3}\.\d\d(?![\w.])",
        digits="many",
        confirmed=_is_belgian,
        same=_plain,
    ),
)

_SHAPED = (
    (r"(?<![\w.-])\d\d\.\d{3}\.\d{3}/\d{4}-\d\d(?![\w-])", _is_cnpj),
    (r"(?<![\w.-])756\.\d{4}\.\d{4}\.\d\d(?![\w.-])", _is_ahv),
    (r"(?<![\w.-])\d{3}-\d{3}-\d{3}[ -]\d\d(?![\w-])", _is_snils),
    (r"(?<![\w.-])\d{1,2}\.\d{3}\.\d{3}-[\dkK](?![\w-])", _is_rut),
    (r"(?<![\w-])[STFGM]\d{7}[A-Z](?![\w-])", _is_nric),
    (r"(?<![\w.,-])[1-9]\d \d{3} \d{3} \d{3}(?![\w.,-]| \d)", _is_steuer_id),
    (r"(?<![\w.,-])(?<!\d )[2-9]\d{3} \d{4} \d{4}(?![\w.,-]| \d)", _is_aadhaar),
    (r"(?<![\w-])(?=[A-Z\d]*\d{4,6}(?!\w))[A-HJ-NPR-Z\d]{17}(?![\w-])", _is_vin),
    # Denmark; drivers of the United Kingdom: no check digits that hold for all.
    (r"(?<![\w.-])(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d-\d{4}(?![\w-])", bool),
    (r"\b[A-Z]{2,5}9{0,3}\d[0156]\d(?:0[1-9]|[12]\d|3[01])\d[A-Z][A-Z9][A-Z\d][A-Z]{2}\b", bool),
)
"""Papers with a shape of their own, and what proves them."""
_SHAPES = tuple(
    detector("ID_NUMBER", shape, digits="some", confirmed=proof, same=_plain)
    for shape, proof in _SHAPED
)

DETECTORS = (*_MAIL, *_MONEY, *_PAPER_NUMBERS, *_SHAPES)
