"""What opens something: passwords, one-time codes, keys of programs, links that let anybody in.

A word that names a lock counts in every language listed; without one, only what has a shape that
nothing else has. Numbers of persons and banks: see identifiers.
"""

import re
from itertools import pairwise

from aitwin.corpus.codes import OF_WHAT
from aitwin.corpus.detector import detector

# Passwords

_LATIN_LOCKS = (
    "pass ?word|pass ?wort|passwd|pwd|pass ?code|pass ?phrase|kennwort|mot de passe|mdp|contraseña|"
    "senha|palavra[- ]passe|wachtwoord|lösenord(?:et)?|adgangskode|passord(?:et)?|salasana|hasło|"
    "heslo|jelszó|parol[aă]|lozinka|şifre|mật khẩu|kata sandi"
)
_OTHER_LOCKS = (
    "парол[ьяю]|κωδικός|密码|密碼|口令|パスワード|暗証番号|비밀번호|암호|비번|패스워드|รหัสผ่าน|"
    "पासवर्ड|"
    "كلمة (?:السر|المرور)|رمز عبور|סיסמ[הא]|סיסמת"
)
_LOCK = rf"(?:(?<![^\W_])(?:{_LATIN_LOCKS}|pw)(?![^\W_])|pgpassword|{_OTHER_LOCKS})"
# Locks as cases and articles bend them ("adgangskoden", "şifresi", "паролата", "비밀번호는").
_BENT_LOCKS = (
    r"(?:(?<![^\W_])(?:passwords?|passwort|lösenord|adgangskode|passord|salasana|hasł|hesl|jelsz|"
    r"parol|şifre|wachtwoord|lozink|zaporka|geslo|parool|senha|contraseny|contraseña|парол|κωδικ|"
    r"kennwort|log-?in(?= [^\n]{1,40}/))[^\W\d_]{0,5}|"
    r"(?:passwort|kennwort|wachtwoord|lösenord|passord)[^\W\d_]{0,5}|"
    r"(?:密码|密碼|パスワード|暗証番号|비밀번호|암호|비번|패스워드|รหัสผ่าน|पासवर्ड|סיסמ)\w{0,4})"
)
LOCKS = rf"(?:{_LOCK}|{_BENT_LOCKS})"
LOCK_STEMS = (
    *(
        "passw",
        "pass ",
        "pass:",
        "passphrase",
        "passcode",
        "passord",
        "pwd",
        "pw",
        "kennwort",
        "mdp",
    ),
    *("mot de passe", "contraseña", "senha", "palavra", "wachtwoord", "lösenord", "adgangskode"),
    *("salasana", "hasł", "hesl", "jelsz", "parol", "lozin", "şifre", "khẩu", "sandi"),
    *(
        "парол",
        "κωδικός",
        "密码",
        "密碼",
        "口令",
        "パスワード",
        "暗証番号",
        "비밀번호",
        "암호",
        "비번",
        "패스워드",
    ),
    *("รหัสผ่าน", "पासवर्ड", "كلمة", "رمز", "סיסמ"),
)
_IS = r"(?:is|was|ist|lautet|war|est|es|é|è|e'|är|er|on|je|to|hai|это|-)"
_OPEN, _CLOSE = r"[\"'`“”„«‘]", r"[\"'`”“»’]"
_ASIDE = r"(?: \([^()\n]{1,40}\)|, [^,\n]{1,30},)?"
_OF = (
    rf"{_ASIDE}(?: (?:for|to|of|on|at|from|für|fürs|zum|zur|vom|von|im|pour|de|du|des|d['’]|à|au|"
    r"di|del|della|dell['’]|per|para|da|do|na|van|voor|till?|för|av|af|på|от|к|do|w)"
    rf" ?[\w'’ -]{{1,30}}?)?{_ASIDE}"
)
""" "(guest)", "of the wifi": what may stand between the word for a lock and "is"."""
_TOKEN = r"(?:[^\s\"`”“»«,;<]|<(?!/))"  # noqa: S105 - a pattern
_FILE = r"\.(?:pdf|docx?|odt|xlsx?|csv|pptx?|txt|md|jpe?g|png|heic|zip|mp[34]|opus|vcf|html?|eml)\b"
_GOES_ON = (
    r" (?:and|but|if|here|now|today|thanks|thx|btw|please|und|aber|danke|et|mais|merci|och|og|"
    r"tack|tak|takk|gracias|grazie|obrigad[oa])\b"
)
_ONE_WORD = (
    rf"[^\W\d_]{{5,30}}(?={_FILE}|{_GOES_ON}|[\"'”»’.!,;)]{{1,2}}\s|[\"'”»’.!,;)]{{0,2}}\s*$)"
)
"""At the end of what is said, or of the name of a file: "the password is sun cream" is prose."""
_LONE_WORD = rf"{_OPEN}?(?P<word>{_ONE_WORD})"
# Words after a colon go on as prose ("password: see the fridge"); a password stands alone.
_ALONE = r"(?=[\"'`”»’,;.]*(?:\s*$|[,;\n]|\s+(?:and|und|et|y)\b))"
_STRONG = rf"(?=\S*\d)(?=\S*[^\W\d]){_TOKEN}{{6,}}(?<![.?:)\]'’])"
_NO_SECRET = frozenset(
    [
        "null",
        "none",
        "nil",
        "true",
        "false",
        "str",
        "string",
        "text",
        "undefined",
        "required",
        "optional",
        "changed",
        "empty",
        "unknown",
        "missing",
        "hidden",
        "secret",
        "protected",
        "invalid",
        "incorrect",
        "forgotten",
        "vergessen",
        "oublié",
    ]
)
_ALGORITHM = re.compile(r"(?i)(?:sha|md|bcrypt|utf|aes|pbkdf|oauth|base|rsa|http|rfc|v)-?\d")


_NO_WORD = re.compile(
    r"(?i)[(<\[$]|https?:|www\.|\d{1,2}[:.h]\d\d ?(?:am|pm|uhr|h)?\W*$|v?\d+(?:\.\d+)+\w{0,4}\W*$|"
    r"\d{4}-\d\d-\d\d|\d+(?:st|nd|rd|th|ms|min|sec|kb|mb|gb|px|eur|usd)\W*$"
)
"""A variable, a link, a time, a version, a date, a measure."""


def _is_value(text: str) -> bool:
    """After a colon or an equals sign: no code, and nothing that says that there is none."""
    if re.fullmatch(r"[a-z_]\w*(?:\.[a-z_]\w*)+", text):  # an attribute of some program's
        return False
    return not re.search(r"[()\[\]{}<>*;]", text.rstrip(").;>")) and _bare(text) not in _NO_SECRET


def _is_mixed(text: str) -> bool:
    """After "password is" follow words, too ("wrong", "case-sensitive"): a secret mixes."""
    inner = text[1:].rstrip(".,;:!?'\")")
    if re.match(r"\d{1,2}[^\W\dA-Za-z_]", text):  # "12文字以上": how long it must be
        return False
    if text.isupper() and text.isalpha():
        return False
    return any(c.isdigit() or c.isupper() or not (c.isalnum() or c in "-'’.") for c in inner)


_SAID_OF_LOCKS = frozenset(
    word
    for line in (
        "safe unsafe correct wrong right weak strong good better long longer short shorter same",
        "different valid invalid secret private public blank empty hidden lost gone there here",
        "below above inside known unknown simple easy ready fine okay ours yours mine theirs still",
        "again today always never also enough plain clear clean fresh older newer dead broken",
        "stuck yesterday tomorrow where what which whatever something nothing anything everything",
        "important compulsory mandatory necessary temporary primary overdue about with your their",
        "optional identical internal external official original personal typical final basic",
        "generic automatic sensitive active inactive recent current absent permanent ancient",
        "falsch richtig sicher unsicher geheim leer lang kurz gleich anders stark schwach einfach",
        "noch schon nicht jetzt hier dort unten oben korrekt klar neu alt wieder immer dabei egal",
        "faux valide vide caché connu inconnu faible fort fausse bonne mauvaise même encore",
        "nouveau déjà incorrecto correcta incorrecta segura seguro secreta débil fuerte válida",
        "inválida igual misma nueva vieja corta larga sbagliata giusta sicura errata uguale nuova",
        "vecchia lunga debole forte errada certa fraca curta longa mesma nova juist fout veilig",
        "onveilig hetzelfde nieuw kort zwak sterk leeg rätt säker samma",
    )
    for word in line.split()
)
"""What people say of a password, at least four letters long."""
_SAID_ELSEWHERE = frozenset(
    word
    for line in (
        "zuhause daheim irgendwo unterwegs morgen heute gestern später bald danach drin drauf dran",
        "dabei darin überall nirgends hinten vorne futsch kaputt hinüber fertig bereit schwer",
        "leicht dasselbe derselbe dieselbe unser unseres meins deins seins ihres eures klein groß",
        "blöd doof super prima toll cool perfekt privat öffentlich intern extern doppelt pflicht",
        "quatsch geschichte müll mist unsinn schrott käse thema problem sache bestandteil grund",
        "voraussetzung glück zufall absicht text scheiße englisch deutsch peter standard schluss",
        "celui celle ceux trop longue court courte compliqué facile difficile secrète privé privée",
        "publique mien tien sien notre votre dessous dessus dedans ailleurs partout demain hier",
        "bientôt toujours jamais maintenant pareil pareille exact exacte correct correcte mort",
        "périmé nulle simple aussi autre ici même juste prêt moche perdu connu",
        "mío tuyo tuya tuyos nuestra nuestro suyo suya ahora mañana ayer aquí allí abajo arriba",
        "dentro siempre nunca todavía distinto distinta otra otro fácil sencilla sencillo",
        "siguiente buena bueno mala larga largo eterna mejor peor esta este esto",
        "minha nossa agora amanhã ontem abaixo acima sempre outra simples boa minúsculo",
        "nostra vostra adesso domani ieri sotto sopra ancora altra altro semplice segreta segreto",
        "seguente buona buono uguali tutto quella quello",
        "hier daar beneden boven altijd nooit anders dezelfde moeilijk makkelijk simpel geheim",
        "privé openbaar gisteren vandaag nodig kwijt klaar uniek opnieuw",
        "blödsinn vorschrift antiga antigo larguísima tillfälligt",
        "bedingung verschwendung zumutung gewohnheit sicherheit notwendigkeit interessant riskant",
        "relevant konsistent vorhanden erhalten erloschen erschienen abermals",
        "fini finie défini définie choisi choisie reçu reçue perdue connue inconnue nécessaire",
        "temporaire contraire identique necesaria necesario necessária necessário necessaria",
        "necessario temporaneo contraria contrario única único unica unico pública público",
        "básica básico numérica numérico alfanumérica automática automático sospechosa defectuosa",
        "temporal pubblica completa completo entera libera libero cualquiera vuestra vuestro",
        "samme forkert riktig feil væk borte borta kvar stadig altid aldrig alltid alltså lätt",
        "nedenfor nedenunder ovenfor enkel svår lang kort gammel gammal här där fortfarande igen",
        "random plaintext cleartext trivial rubbish stupid silly weird funny nonsense garbage",
        "awful great perfect fixed static dynamic unique similar irrelevant klartext clair claire",
        "english german french spanish uppercase lowercase case",
    )
    for word in line.split()
)
"""The same in other languages, and what else is said: where it is, whose, when."""
_PREDICATE = re.compile(
    r"(?:un|in|ge|ver|ab|be).{2,}(?:t|en)|.{2,}(?:ed|ing|able|ible|ful|less|lich|ig|isch|iert|bar|"
    r"los|ados?|adas?|idos?|idas?|at[oa]|ut[oa]|ées?|é)",
    re.IGNORECASE,
)
"""Endings of the same: "expired", "ungültig", "olvidada"."""


_ROMANCE = re.compile(
    r"(?i).{2,}(?:(?:[csn]i|on|rm|gu|tu|in|so)ale?s?|(?:nn|ci|tu)elle?s?|(?:er|ci|ur|ig)ente?s?|"
    r"(?:port|st|fis)ante?s?|oires?|ori[ao]s?|[sct]iv[ao]s?|[sct]i[fv]e?s?|iques?|euse|eux|"
    r"ible|able|[áíaei]vel|ett[ao]|ísim[ao])"
)
"""Endings of what is said of a password in French, Spanish, Portuguese and Italian."""
_NORDIC = re.compile(r"(?i).{2,}(?:t|ad|ig|iga|sk|nd[ea]|ende|l[øö]sa?|bar)")
_GERMANIC = re.compile(
    r"(?i)(?:ge|ver|be|ont).{2,}(?:d|t|en)|er.{2,}t|hinter.{2,}t|"
    r"(?:ab|an|auf|aus|ein|zu|zurück|mit|um|weg|vor|nach|los|fest|her|hin|frei).{0,4}ge.{2,}(?:t|en)|"
    r"pflicht.*|.{2,}(?:iv|ell|[nmg]al|är|haft|sam|frei|bar|isch|ig|lich|lijk|baar|loos|end|sache|standard)"
)


def _is_lone_word(text: str, said: re.Pattern[str]) -> bool:
    word = text.casefold()
    return (
        text.isalpha()
        and (text.islower() or text.istitle())
        and word not in _SAID_OF_LOCKS
        and word not in _SAID_ELSEWHERE
        and not (_PREDICATE.fullmatch(word) or said.fullmatch(word))
    )


def _is_small_word(text: str) -> bool:
    """A word that nobody would say of a password: then it is one."""
    return _is_lone_word(text, _PREDICATE)


def _is_strong(text: str) -> bool:
    if text.startswith("/") or text.count("/") > 1 or "->" in text:  # a path, a pointer
        return False
    if not _is_mixed(text) or _ALGORITHM.match(text) or _NO_WORD.match(text):
        return False
    # A digit at the end makes no secret: KeePass2, Python3.
    return bool(re.search(r"\d\D*\d|\d[^\W\d]|[!#$%&*+=@^~]", text.rstrip("!")))


def _bare(text: str) -> str:
    return text.strip(".,;:!?'\")>").casefold()


_NUMBERED = r"(?:\d{1,2}[.):]?[ \t]*)?"
_PROSE = re.compile(r"(?i)(?:\b(?:the|and|for|are|was|were|has|had|from|not|she|his|her)\b.*){2}")
"""None of these is among the 2,048 words of recovery phrases; a pass phrase may have one."""


def _is_apples(text: str) -> bool:
    """Apple proposes small letters with one capital and one digit."""
    counts = sum(map(str.isdigit, text)), sum(map(str.isupper, text))
    return counts in ((1, 1), (1, 2), (2, 1))


_FEW = r"(?:[^\w\n]{1,3}[^\W\d_]{1,15})"
_SERVICE = (
    r"(?:wi-?fi|wlan|router|netflix|g?mail|hotmail|e-?mail|account|icloud|spotify|ipad|laptop|"
    r"amazon|"
    r"facebook|insta(?:gram)?|hotspot|disney\+?|paypal|vpn)"
)

_PASSWORDS = (
    detector(
        "PASSWORD",
        rf"(?im){_LOCK}[\"']?(?: is|s)?\s*[:=]=?[^\S\n]*\n?[^\S\n]*"
        rf"(?:{_OPEN}(?P<quoted>[^\s\"`”“»\n][^\"`”“»\n]{{2,59}}){_CLOSE}"
        rf"|(?P<alone>{_TOKEN}{{3,}}?){_ALONE}|(?P<mixed>(?=\S*[^\W\d_])(?=\S*\d){_TOKEN}{{4,}}))",
        words=LOCK_STEMS,
        confirmed=_is_value,
    ),
    detector(
        "PASSWORD",
        rf"(?i)(?:pass ?phrase|{_LATIN_LOCKS}){OF_WHAT} (?:is|ist|est|es|to|lautet)(?: now)? "
        rf"{_OPEN}(?P<quoted>[^\"`”“»\n]{{3,60}}){_CLOSE}",
        rf"(?i){_LOCK}{_OF}(?: (?:{_IS}(?![^\W_])|has (?:changed|been set) to)|['’]s|は|是|为|"
        rf"為) ?"
        rf"(?:now |jetzt )?{_OPEN}?(?P<token>{_TOKEN}{{4,}}?)(?=[.?,:)]*(?:\s|$)|{_CLOSE}|です)",
        words=LOCK_STEMS,
        confirmed=_is_mixed,
    ),
    # "the password is zucchini." and nothing more: no adjective, so it is the password itself.
    detector(
        "PASSWORD",
        rf"(?im)(?!wacht)(?:{_LOCK}|\bpasswords?){_OF} (?:is|is now) {_LONE_WORD}",
        rf"(?im)hasło{_OF} to (?P<polish>{_ONE_WORD})",
        words=LOCK_STEMS,
        confirmed=_is_small_word,
    ),
    detector(
        "PASSWORD",
        rf"(?im)(?:{LOCKS}){_OF} (?:ist|lautet)(?: jetzt| nun| nur| weiterhin)? {_LONE_WORD}",
        rf"(?im)wachtwoord\w{{0,2}}{_OF} is (?:nu )?(?P<dutch>{_ONE_WORD})",
        words=LOCK_STEMS,
        confirmed=lambda text: _is_lone_word(text, _GERMANIC),
    ),
    # "la parola è ..." is said of any word.
    detector(
        "PASSWORD",
        rf"(?im)(?!parol){_LOCK}{_OF} "
        rf"(?:est|es|è|é|est maintenant|es ahora|è ora|é agora) {_LONE_WORD}",
        words=LOCK_STEMS,
        confirmed=lambda text: _is_lone_word(text, _ROMANCE),
    ),
    detector(
        "PASSWORD",
        rf"(?im)(?:{LOCKS}){_OF} (?:är|er|är nu|er nå|er nu) {_LONE_WORD}",
        words=LOCK_STEMS,
        confirmed=lambda text: _is_lone_word(text, _NORDIC),
    ),
    # A key, a clue or a code; of the wifi it is a password.
    detector(
        "PASSWORD",
        r"(?im)(?<![^\W_])(?:pass|clave|contra|clé|chiave|codice|key|code|koden?)"
        rf"(?= [^\n]{{1,24}}\b(?:wi-?fi|wlan|netflix|hotspot)\b){_OF} "
        rf"(?:is|ist|est|es|è|é|är|er)(?: now| jetzt| ahora| ora| nu| nå)? {_LONE_WORD}",
        words=("wifi", "wi-fi", "wlan", "netflix", "hotspot"),
        confirmed=lambda text: all(
            _is_lone_word(text, said) for said in (_ROMANCE, _NORDIC, _GERMANIC)
        ),
    ),
    # "the password hai Plum2024", "пароль от вайфая Plum2024": whatever the words between.
    detector(
        "PASSWORD",
        rf"(?i){LOCKS}(?:[^\w\n]{{1,3}}[^\W\d]{{1,15}}){{0,7}}?[^\w\n]{{1,3}}"
        rf"(?P<strong>{_STRONG})",
        rf"(?im){_LOCK}{OF_WHAT}(?: {_IS})?[^\S\n]*:?[^\S\n]*\n[^\S\n]*{_OPEN}?(?P<below>{_STRONG})"
        rf"{_CLOSE}?[^\S\n]*$",
        rf"(?im)(?P<bracketed>{_STRONG})[^\S\n]*\((?:the |my |our )?(?:[\w-]+ )?{_LOCK}\)",
        rf"(?i)(?P<before>{_STRONG})['\"”»]? (?:is|ist|est|for|für|pour) (?:the|my|our|your|das|"
        rf"le) "
        r"(?:[\w-]+ ){0,2}(?:password|passwort|passcode|pw)\b",
        rf"(?i)\b(?:use|try|with) {_OPEN}?(?P<used>{_STRONG}){_CLOSE}? as (?:\w+ )?(?:password|pw)",
        rf"(?i)\b(?:pass(?: is|:)|user\w*\b[^\n]{{1,30}}\bpass) (?P<pass>{_STRONG})",
        rf"(?i)(?P<told>{_STRONG}),? \(?(?:that['’]s|that is|being|as) (?:the|my|our|your) "
        r"(?:[\w-]+ ){0,2}(?:password|passwort|passcode|pw)\b",
        rf"(?i)\bpasswords?\? (?:it['’]s|it is|try|still) {_OPEN}?(?P<asked>{_STRONG})",
        words=LOCK_STEMS,
        confirmed=_is_strong,
    ),
    detector(
        "PASSWORD",
        r"(?i)\b(?:wpa[23]?|wlan|wi-?fi|network|netzwerk|hotspot|psk)[- ]?"
        r"(?:(?:key|schlüssel|psk|clé|clave|code|pre-shared key)[^\S\n]*(?:[:=]|is|ist)?|"
        r"(?<=fi|an|ot)(?: ?[:=](?!\w:)| is| ist))[^\S\n]*"
        r"(?P<key>\d{8,63}(?!\S)|(?=\S*\d)(?=\S*[^\W\d])[!-~]{8,63})(?<![.,;:!?])",
        r"(?i)\bwi-?fi\s*:\s*[^\n/]{1,30}/\s*(?P<guest>\S{6,})",
        r"(?im)^ *key ?: ?(?P<label>\d{12,63}|(?=\S*\d)(?=\S*[^\W\d])[!-~]{8,63}) *$",
        rf"(?i)\bkey (?:to|for|of) (?:the|my|our) [\w' ]{{1,30}} is (?P<archive>{_STRONG})",
        words=("wpa", "wlan", "wifi", "wi-fi", "network", "netzwerk", "hotspot", "psk", "key"),
        confirmed=lambda text: _is_strong(text) or text.isdigit(),
    ),
    # "la pass del wifi è pizza4tutti", "user: admin, key: 7hq2-Wmzk".
    detector(
        "PASSWORD",
        rf"(?i)(?<![^\W_])(?:pass|psw|pswd|contra|clave|codice|senha|chiave|key|code|koden?|clé|"
        rf"login)"
        rf"{_FEW}{{0,3}}?[^\w\n]{{1,3}}{_SERVICE}{_FEW}{{0,2}}?[^\w\n]{{1,4}}(?P<of>{_STRONG})",
        rf"(?i)(?<![^\W_]){_SERVICE}(?:['’]s|{_FEW}{{0,3}}?[^\w\n]{{1,3}}(?:pass|psw|key|code|"
        rf"clave|pw))"
        rf"(?: is| ist| est| es| è)?[^\w\n]{{1,3}}(?P<its>{_STRONG})",
        rf"(?i)(?<![^\W_])(?:user(?:name)?|benutzer|usuario|utente|login|"
        rf"id)\W{{1,3}}[\w.@+-]{{1,40}}"
        rf"\W{{1,3}}(?:key|pass|code|pw|schlüssel)\W{{1,3}}(?P<after>{_STRONG})",
        r"(?i)\b(?:account|log ?in)\b[^\n\d]{1,40}(?:it['’]s|it is|is|:) [\w.@+-]{2,40} (?:and|/|,|"
        r"und|et|y) "
        rf"(?P<both>{_STRONG})",
        words=(
            *("wifi", "wi-fi", "wlan", "router", "netflix", "mail", "account", "icloud", "spotify"),
            *(
                "ipad",
                "laptop",
                "amazon",
                "facebook",
                "insta",
                "user",
                "benutzer",
                "usuario",
                "utente",
            ),
            *("login", "hotspot", "disney", "paypal", "vpn"),
        ),
        confirmed=_is_strong,
    ),
    # User and password, side by side.
    detector(
        "PASSWORD",
        r"(?i)(?<![\w/.@-])(?:creds?|credentials|log-?ins?|zugangsdaten|logindaten|identifiants|"
        r"credenciales|"
        r"accesos?|(?:log|sign) ?(?:in|on) (?:with|as))(?![\w/-])"
        rf"(?: are| is|:| sind)? ?:? ?[\w.@+-]{{1,40}} ?[/|] ?(?P<pair>{_STRONG})",
        # "user guide/v2.10": a bare slash makes no password of what follows.
        r"(?i)(?<![\w/.@-])(?:user(?:name)?|benutzer|usuario|identifiant)"
        rf"(?:(?: is| ist|:) ?[\w.@+-]{{1,40}} ?[/|]| [\w.@+-]{{1,40}} [/|]) ?(?P<user>{_STRONG})",
        words=(
            "cred",
            "log",
            "sign",
            "daten",
            "identifiant",
            "acceso",
            "user",
            "benutzer",
            "usuario",
        ),
        confirmed=_is_strong,
    ),
    # "clave" is a lock and a clue.
    detector(
        "PASSWORD",
        rf"(?i)\b(?:clave|chiave|clé)(?: de \w+)?\s*(?::|=| es| è| est)\s*(?P<clave>{_STRONG})",
        words=("clave", "chiave", "clé"),
    ),
    detector(
        "PASSWORD",
        r"\bmysql(?:dump)?\b[^\n]{0,60}? -p(?P<mysql>[^\s-]\S{3,})",
        r"\bcurl\b[^\n]{0,80}? (?:-u|--user) ?[^\s:]+:(?P<curl>\S{3,})",
        r"\bsshpass -p ?(?:'(?P<quoted>[^'\n]{3,})'|(?P<ssh>[^\s']\S{2,}))",
        r"\blogin\b[^\n]{0,80}? (?:-p|--pass(?:word)?)[ =](?P<login>[^\s-]\S{3,})",
        r"(?<!\S)--?pass(?:word|wd|phrase)?[ =][\"']?(?P<option>(?!\$)[^\s\"'<>-][^\s\"'<>]{3,})",
        words=("mysql", "curl", "sshpass", "login", "-pass"),
    ),
    # Settings: "smtp_pass: ...", <password>...</password>, the text behind a WiFi's QR code.
    detector(
        "PASSWORD",
        r"(?i)(?<![^\W_])[a-z][\w-]{0,40}[_-](?:pass|pw|pwd|passwd|password|"
        r"passphrase)[\"']?\s?[:=]"
        r"[^\S\n]?[\"']?(?P<setting>[^\s\"',;]{4,})",
        r"(?i)<(?:\w+:)?(?:password|passwd|pwd|passphrase|secret|api-?key|token)>(?P<element>"
        r"[^<\s]{3,80})</",
        words=("_pass", "-pass", "_pw", "-pw", "<", ":pass", ":pwd", ":secret"),
        confirmed=_is_value,
    ),
    detector(
        "PASSWORD",
        r"(?i)\bWIFI:(?:[A-OQ-Z]\w?:(?:\\.|[^;\\\n])*;){0,6}P:\"?(?P<qr>(?:\\.|[^;\\\n\"])+)",
        words=("wifi:",),
    ),
    # BitLocker; Google's and Apple's passwords for one program.
    detector("PASSWORD", r"(?<![\w-])(?:\d{6}-){7}\d{6}(?![\w-])", digits="many"),
    detector(
        "PASSWORD",
        r"(?i)\bapp(?:lication)?[- ](?:specific )?(?:password|passwort|pw)\b[^\w\n]{1,3}(?:(?:is|"
        r"ist)"
        r"[^\w\n]{1,3})?(?P<app>[a-z]{4}(?:[ -][a-z]{4}){3})\b",
        words=("app pass", "app-pass", "app pw", "app-spec", "app spec", "application"),
    ),
    detector(
        "PASSWORD",
        r"(?<![\w-])[a-zA-Z\d]{6}-[a-zA-Z\d]{6}-[a-zA-Z\d]{6}(?![\w-])",
        digits="some",
        confirmed=_is_apples,
    ),
    detector(
        "PASSWORD",
        r"(?i)\b(?:(?:seed|recovery|mnemonic|backup|secret|wallet)(?:[ -](?:phrase|words?|key|"
        r"seed))+|"
        r"mnemonic|(?:12|15|18|21|24|twelve|twenty-four)[ -]words?(?:[ -]phrase)?|seed)"
        r"(?: is| are)?\s*:?\s*[\"'“„«(\[]?"
        rf"(?P<seed>(?:{_NUMBERED}[a-z]{{3,8}}[ ,;\n]{{1,3}}){{11,23}}{_NUMBERED}[a-z]{{3,8}})\b",
        r"(?im)\bpass ?phrase\s*[:=][^\S\n]*(?P<phrase>\S[^\n]{3,80})$",
        words=("phrase", "words", "word", "mnemonic", "seed", "wallet"),
        confirmed=lambda text: _is_value(text) and not _PROSE.search(text),
    ),
)

# Keys of programs

_KEY_SHAPES = (
    r"\b[spr]k[-_](?:(?:live|test|proj|ant|or|svcacct)[-_])?[A-Za-z0-9_-]{16,}",
    r"\b(?:gh[pousr]_|hf_|npm_|whsec_|r8_|gsk_|tskey-|sntrys_|lin_api_|ntn_|secret_)[\w-]{20,}",
    r"\b(?:github_pat_|glpat-|gldt-|pypi-|do[opr]_v1_|shp(?:at|ca|pa|ss)_|rubygems_|"
    r"dapi)[\w-]{20,}",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}|\bya29\.[\w-]{20,}",
    r"\bxox[abeoprs]-[\w-]{10,}|\bxapp-[\w-]{20,}|\bSG\.[\w-]{16,}\.[\w-]{16,}",
    r"\b[ps]k\.eyJ[\w.-]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|\bAGE-SECRET-KEY-1[A-Z0-9]{20,}",
    r"\b\d{8,10}:AA[\w-]{32,}|\b(?:EAA|EAAC)[A-Za-z0-9]{40,}",
)
_KEY_WORDS = (
    r"(?:x-)?(?:api|access|secret|account|private|auth|license|licence|encryption|signing|shared)"
    r"[ _-]?(?:access[ _-]?)?key|client[ _-]?secret|(?:auth|access|refresh|api|bearer|session|bot)"
    r"[ _-]?token|bearer|token|(?:session|sid|jsessionid|phpsessid)(?==)|secret"
)


def _is_random(text: str) -> bool:
    """Capitals, small letters and digits that alternate at every third place: no words."""
    kinds = [(c.isdigit(), c.isupper()) for c in text if c.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds))
    digits = sum(is_digit for is_digit, _ in kinds)
    # A class of Java has capitals enough, but one digit at most.
    return len(set(kinds)) == 3 and digits >= 2 and changes >= len(kinds) / 3


def _is_issued(text: str) -> bool:
    """Hexadecimal digits of a key's length, or capitals and small letters in no word's order."""
    if re.fullmatch(r"[a-f\d]+", text):
        return len(text) in (32, 40, 48, 64) and any(map(str.isalpha, text))
    cases = [(c.isdigit(), c.isupper()) for c in text]
    changes = sum(one != other for one, other in pairwise(cases))
    return len(set(cases)) > 1 and changes >= len(text) / 3


def _has_digit(text: str) -> bool:
    return any(c.isdigit() for c in text) and not text.startswith("0x")


_KEYS = (
    detector(
        "PRIVATE_KEY",
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z ]*-----|\Z)",
    ),
    detector(
        "API_KEY",
        *_KEY_SHAPES,
        words=(
            *("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "gh", "hf_", "npm_", "whsec_", "r8_"),
            *("gsk_", "tskey-", "sntrys_", "lin_api_", "ntn_", "secret_", "glpat-", "gldt-"),
            *("pypi-", "_v1_", "shp", "rubygems_", "dapi", "akia", "asia", "abia", "acca", "aiza"),
            *("ya29.", "xox", "xapp-", "sg.", "eyj", "age-secret", ":aa", "eaa"),
        ),
        confirmed=lambda text: (
            _has_digit(text) or text.isupper() or _is_issued(text.rpartition("_")[2])
        ),
    ),
    # What a company puts before its keys, and then letters and digits without order.
    detector(
        "API_KEY",
        r"(?<![\w/.-])[a-z][a-z\d]{1,9}(?:[_-][a-z\d]{1,9}){0,3}[_-](?:[a-f\d]{32,}|"
        r"[A-Za-z\d]{24,})"
        r"(?![\w/@.-]|\(\))",
        confirmed=lambda text: _is_issued(re.split("[_-]", text)[-1]),
    ),
    # Discord's bots; product keys.
    detector(
        "API_KEY",
        r"\b[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}",
        r"(?<![\w-])(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5}(?![\w-])",
        confirmed=lambda text: _has_digit(text) and not text.replace("-", "").isdigit(),
    ),
    detector(
        "API_KEY",
        rf"(?i)(?<![^\W_])(?:{_KEY_WORDS})[\"']?(?:\s*(?:is|[:=])\s*| )[\"'`]?"
        r"(?P<named>[\w+-][\w\-+=./]{15,})",
        r"(?i)\bauthorization: basic (?P<basic>[\w+/=]{8,})",
        r"(?i)\b(?:product|licen[cs]e|serial|windows|office) (?:key|number)(?: is|:)?\s+"
        r"(?P<licence>(?=[A-Z-]*\d)[A-Z\d]{4,8}(?:-[A-Z\d]{4,8}){2,})",
        words=("key", "secret", "token", "bearer", "session", "sessid", "sid=", "basic", "serial"),
        confirmed=_has_digit,
    ),
    # Amazon's secret keys have slashes as paths have, but are 40 characters that follow no rule.
    detector(
        "API_KEY",
        r"(?<![\w/+=.-])(?=[A-Za-z/+]*\d)[A-Za-z0-9/+]{40}(?![\w/+=.])",
        confirmed=_is_random,
    ),
    # A long word of no language: a key of some service that is not listed.
    detector(
        "API_KEY",
        # No commit's Change-Id, no mangled name of C++, no link that a mail gateway rewrote.
        r"(?<![\w/+=.@%&?<!;$-])(?!I[\da-f]{40}\b|_Z)(?=[A-Za-z_-]*\d)[\w-]{24,}(?![\w/@.=%-])",
        confirmed=_is_random,
    ),
)

# Links that let anybody in

_QUERY_NAMES = (
    r"[\w.-]*(?:token|secret|passw|pwd|signature|api_?key|auth|session|sid|otp|credential)[\w.-]*"
    r"|[\w.-]*key|sig|code|pass|invite|hash|ticket"
)
_HOST = r"(?:(?<![\w/])https?://|www\.|(?<![\w@./-])(?:[\w-]+\.)+[a-z]{2,}(?=/))"
_REST = r"[^\s<>\"')\]]*"
_INVITING = (
    r"(?:reset|invit|verif|confirm|unsubscrib|activat|log-?in|magic|auth|share|private|token|join|"
    r"ical|secret|guest)"
)

_URLS = (
    detector(
        "URL",
        r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/@:]*:[^\s/@]+@[^\s<>\"')\]]+",
        r"(?i)\botpauth://[^\s<>\"]+",
        words=("://",),
    ),
    detector(
        "URL",
        rf"(?i){_HOST}[^\s<>\"]{{0,2000}}[?&#;](?:{_QUERY_NAMES})=[^\s<>\"&]{{6,}}{_REST}",
        # A query this long is no longer meant for people: tracking, sessions, invitations.
        r"(?i)\bhttps?://[^\s<>\"?]+\?[^\s<>\"]{60,}",
        words=("://", "www.", "/"),
    ),
    # "Anyone with the link": the link is the secret.
    detector(
        "URL",
        rf"(?i){_HOST}[^\s<>\"]{{0,800}}?\b{_INVITING}[\w-]{{0,40}}[/-](?:[\w-]{{1,80}}/){{0,6}}?"
        rf"(?:[0-9a-f]{{24,}}|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})\b{_REST}",
        rf"(?i)(?:https?://)?(?:chat\.whatsapp\.com/|t\.me/(?:joinchat/|\+)|discord\.gg/|"
        rf"discord(?:app)?\.com/(?:invite|api/webhooks)/|signal\.group/#|hooks\.slack\.com/)"
        rf"[\w+-]{{6,}}{_REST}",
        words=("://", "www.", "/"),
    ),
    detector(
        "URL",
        r"\b(?:https?://|www\.)[^\s<>\"]{0,800}?/(?:[A-Za-z\d!]{16,}|"
        r"[\w-]{22,})(?!\.)\b[^\s<>\"')\]]*",
        words=("://", "www."),
        confirmed=lambda url: any(
            map(_is_random, re.findall(r"(?<=/)(?:[A-Za-z\d!]{16,}|[\w-]{22,})(?![\w.-])", url))
        ),
    ),
)

DETECTORS = (*_KEYS[:1], *_URLS, *_KEYS[1:], *_PASSWORDS)
