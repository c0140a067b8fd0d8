"""One-time codes, PINs, and the codes of doors and alarms: digits beside a word that names them.

A word that only such codes have ("OTP", "портовый код") counts whatever words stand between; a
plain "code" counts where the sentence says that the number is it. Passwords: see secrets.
"""

import re

from aitwin.corpus.detector import detector

_SURE = (
    r"otp|one[- ]time (?:code|pass ?(?:word|code)|pin)|(?:verification|security|log-?in|sign-?in|"
    r"access|auth\w*|confirmation|activation|door|gate|alarm|entry|entrance|garage|lock ?box|"
    r"key ?safe|safe|locker|padlock|backup|recovery|unlock|pairing|reset|2fa|mfa|buzzer|intercom|"
    r"keypad|shed|bike lock|buzz)[- ]?(?:codes?|pin|combo|combination)|keypad|pass ?codes?|puk|"
    r"(?:bestätigungs|sicherheits|tür|zugangs|tor|alarm|freischalt|haustür|einmal|verifizierungs|"
    r"anmelde|aktivierungs|garagen|keller|eingangs|prüf|schließfach|safe)[- ]?(?:code|pin|nummer|"
    r"kombination)|zahlen(?:kombination|code|schloss)|einmal(?:passwort|kennwort)|"
    r"digicode|code (?:de (?:la |l['’])?(?:porte|vérification|sécurité|confirmation|connexion|"
    r"validation|alarme)|du portail|de l['’](?:immeuble|alarme|entrée)|d['’](?:accès|entrée)|"
    r"secret|à usage unique|du coffre|wifi)|"
    r"(?:código|codigo|clave|codi) (?:de (?:la )?(?:verificaci\w+|seguridad|acceso|confirmaci\w+|"
    r"puerta|alarma|un solo uso|caja)|del portal|del portón|"
    r"de(?:l)? (?:verificação|segurança|acesso|confirmação|acceso)|do portão|da porta|do prédio|"
    r"do alarme|secreto)|codice (?:di (?:verifica|sicurezza|accesso|conferma)|del cancello|"
    r"del portone|della porta|dell['’]allarme|segreto)|"
    r"(?:verificatie|toegangs|beveiligings|deur|alarm|bevestigings|inlog|poort|pin|kluis)code|"
    r"(?:engångs|engangs|verifierings|verifiserings|verifikations|bekräftelse|bekreftelses|"
    r"bekræftelses|port|dør|dörr|säkerhets|sikkerheds|sikkerhets|sms-?|larm|alarm|inloggnings|pin)"
    r"kod|(?:vahvistus|ovi|turva|kerta|pin-?|tunnus|hälytys)kood|"
    r"kod\w{0,3} (?:weryfikac\w+|do (?:bramy|domofonu|drzwi|furtki|klatki)|autoryzac\w+|"
    r"jednorazow\w+|dostępu|za (?:potvrdu|ulaz\w*))|verifikacijski kod|"
    r"(?:ověřovací|overovací|potvrzovací|bezpečnostní|bezpečnostný|přístupový|jednorázový) kód|"
    r"kód (?:k|od|pro|do) \w+|(?:ellenőrző|biztonsági|belépési|kapu|hitelesítő|megerősítő) ?kód|"
    r"cod(?:ul)?(?: \w+){0,2} de (?:verificare|securitate|acces|confirmare|la interfon)|"
    r"(?:doğrulama|onay|güvenlik|giriş|kapı) kodu|mã (?:xác (?:thực|nhận|minh)|otp|pin)|"
    r"kode (?:otp|verifikasi|akses|keamanan|konfirmasi)|"
    r"κωδικ\w+ (?:επαλήθευσης|επιβεβαίωσης|ασφαλείας|πρόσβασης|μίας χρήσης|πόρτας)|"
    r"код\w* (?:подтвержд\w+|домофон\w*|подъезда|доступ\w*|безопасности|активации|проверки|"
    r"от (?:двери|ворот|калитки|подъезда|домофона|сейфа)|входа|підтвердж\w+|перевірки|активації|"
    r"під['’]їзду|за (?:потвърждение|достъп|вход))|(?:проверочный|одноразовый) (?:код|пароль)|"
    r"пин-?код"
)
"""Words that nothing but a secret code has, in languages that part words; they may go on."""
_SURE_ELSEWHERE = (
    r"验证码|驗證碼|校验码|动态(?:码|密码)|门禁(?:码|密码)|認証(?:コード|番号)|確認コード|暗証番号|"
    r"セキュリティ ?コード|ワンタイム(?:パスワード|コード)|인증 ?(?:번호|코드)|보안 ?코드|"
    r"현관 ?비밀번호|"
    r"(?:رمز|كود) (?:التحقق|الدخول|التأكيد|الأمان|الباب|التفعيل)|"
    r"קוד (?:ה?אימות|ה?כניסה|ה?אבטחה|ה?דלת|ה?שער|לדלת|לשער|לבניין)|"
    r"รหัส ?(?:otp|ยืนยัน|ประตู)|(?:सत्यापन|वेरिफिकेशन) कोड|ओटीपी"
)
OF_WHAT = r"(?: (?:for|to|of|für|pour|de|del|da|van|till|til|от|к) [\w' ]{1,30}?)?"

_NO_CODE_BEFORE = "".join(
    rf"(?<!\b{word}[ -])"
    for word in (
        *("error", "exit", "status", "area", "zip", "post", "postal", "country", "dial", "bar"),
        *("source", "product", "discount", "promo", "voucher", "http", "return", "response", "op"),
        *("part", "item", "sort", "swift", "bank", "fault", "machine", "byte", "color", "colour"),
        *("airport", "station", "currency", "language", "coupon", "gift"),
        *("building", "tax", "vat", "penal", "civil", "labour", "labor", "morse", "dress", "game"),
    )
)
_CODE_NAMES = (
    r"(?:verification|security|one[- ]time|login|log-in|sign-in|access|auth(?:entication)?|"
    r"confirmation|activation|2fa|two-factor|sms|whatsapp|google|door|gate|alarm|entry|entrance|"
    r"garage|safe|locker|key ?safe|lock ?box|padlock|unlock|backup|recovery|pass)"
    r"[- ]?(?:codes?|pin|number|password|passcode)|(?:door|gate|alarm|safe)(?= is)|"
    r"one-time passcode|otp|(?:the|your|my|our) (?:\w+ )?code(?= is|:)|pin(?:[ -]?(?:code|"
    r"number))?|"
    r"(?:bestätigungs|sicherheits|tür|zugangs|tor|alarm|freischalt|haustür)[- ]?code|tan|"
    r"geheimzahl|"
    r"(?:dein|ihr|mein|unser) (?:\w+-?)?code|key ?safe(?= is)|"
    r"(?:votre|ton|le|mon) code(?= est| ?:)|code (?:de (?:sécurité|vérification|confirmation)|"
    r"d['’]entrée|"
    r"d['’]accès|du portail)|digicode|tu código|código de (?:verificación|seguridad|acceso)|"
    r"código(?=:)|(?:seu|o) código(?= é|:)|código de verificação|codice (?:di (?:verifica|"
    r"sicurezza|"
    r"accesso)|otp)|(?:je|jouw|uw) code|verificatiecode|engångskod|(?:din|portens|port) ?kod|"
    r"kod (?:weryfikacyjny|do bramy)|doğrulama kodu|onay kodu|kode (?:verifikasi|otp)"
)
_OTHER_CODES = (
    r"код (?:подтверждения|домофона|доступа|безопасности)|(?:ваш|твой) код|пин(?:-код)?|验证码|"
    r""
    r"驗證碼|校验码|認証コード|確認コード|暗証番号|인증번호|인증 코드|"
    r"كود التحقق|رمز التحقق|קוד אימות"
)
_NO_UNIT = (
    r"(?![\w%]|[.:/]\d|,\d{3}(?!\d)| ?(?:lines?|rows?|bytes?|words?|chars?|characters|pages?|loc|"
    r"lignes|zeilen|"
    r"líneas|linhas|righe|regels|tests?|times|lux|apart|строк|rpm|volts?|ms|[kmg]b|[mck]?m|kg|"
    r"eur|euros?|usd|[kmg]?hz|x ?\d)\b| ?[€£$])"
)
_DIGITS = r"(?:[#*]?(?:\d{3,4}[ -]?\d{3,4}|\d{4,8})|\d\d[ -]\d\d[ -]\d\d)(?:#|\b)"
_OR_LETTERS = r"(?=[A-Z\d-]*\d)[A-Z\d]{4,6}(?:-[A-Z\d]{4,6})?#?"
_NAMED = (
    r"(?:\w*(?:codes?|kod|koden|kode|kodu|kód|koodi|cod(?:ul|e)?|c[oó]digos?|codice|código|koda|"
    r"κωδικός)|"
    r"pin|nip|puk|pass ?code|combo|combinat?ion|combinaison|combinaci[oó]n|combinazione|combinação|"
    r"\w*kombination|şifresi?|parola|kode?t|код\w{0,2}|пин|пароль|κωδικό)"
)
"""What a secret code may be called, where the same sentence says what it opens."""
_OPENED = (
    r"(?:door|gate|alarm|safe|lock|padlock|shed|garage|building|flat|apartment|house|cabin|"
    r"entrance|"
    r"entry|lift|locker|box|vault|suitcase|bike|wi-?fi|phone|ipad|iphone|tablet|laptop|sim|card|"
    r"bank|visa|voicemail|parking|barrier|unit|storage|vchod|entrada|ingresso|wejści|intrare|giriş|"
    r"вход|вхід|bejárat|"
    r"sisäänkäyn|ingång|inngang|indgang|kellar|källar|tür|tor|schlo(?:ss|ß)|tresor|haus|keller|"
    r"wohnung|karte|"
    r"handy|koffer|fahrrad|schließfach|eingang|porte|portail|immeuble|cadenas|coffre|entrée|carte|"
    r"téléphone|local|vélo|puerta|portal|port[oó]n|caja|garaje|candado|tarjeta|edificio|casa|"
    r"maleta|"
    r"m[oó]vil|trastero|cancello|cassaforte|allarme|lucchetto|bancomat|carta|palazzo|porta|portão|"
    r"cofre|alarme|prédio|cadeado|cartão|garagem|deur|poort|kluis|slot|huis|fiets|kaart|berging|"
    r"schuur|dörr|port(?! of)|grind|förråd|lås|larm|kassaskåp|kort|cykel|dør|bod|garasje|hytt|skab|"
    r"ovi|"
    r"ove|"
    r"lukko|luko|portti|portin|hälyty|kassakaap|kortti|kortin|varasto|drzw|bram|furtk|domofon|sejf|"
    r"kłódk|kart|klatk|garaż|dveř|brán|zám|ajtó|kapu|széf|lakat|riasztó|kárty|ușă|ușii|poart|seif|"
    r"lacăt|interfon|kapı|kasa|kilit|bina|двер|ворот|калитк|подъезд|домофон|сейф|зам[ок]|"
    r"сигнализац|"
    r"карт|телефон|гараж|шкаф|шлагбаум|під['’]їзд|πόρτα|χρηματοκιβώτ|συναγερμ|κάρτα|λουκέτ)\w{0,6}"
)
_OPENS_NOTHING = (
    r"(?!(?:sup|im|ex|re|trans|air|pass|rap|view|pur|com)port|port(?:ab|er|fol|ion|rai)|"
    r"\w{1,12}[aciou]tor|\w?stor(?:y|ie)|histor|(?:b|c|f|unb)lock|\w{0,8}[b-df-hj-np-tv-z]ov[ei]|"
    r"over|body|bodies|sim(?:ul|pl|il)|discard|cardin|binar|exhaust|warehouse|safety|locali|united)"
)
"""Words that only hold one of those: support, monitor, history, cover, simulation, binary."""
_PRODUCT = r"(?!(?-i:[A-Z]\d\d0)\b)"
"""A capital and a number of tens is what things are called: N200, X310."""
_PLACED = (
    r"(?:[#*]?(?!(?:19[5-9]|20[0-4])\d\b)\d{4,8}|[#*]?1[0-8]\d\d|\d\d?(?:-\d\d?){2,3}|"
    r"(?-i:(?=[A-ZА-Я]{0,2}\d)(?=\d*[A-ZА-Я])[A-ZА-Я\d]{4,7}))"
)
_APART = (
    r"(?:[#*]?(?!(?:19[5-9]|20[0-4])\d\b)\d{4,8}[#*]?|\d{3}[ -]\d{3,4}|\d{4}[ -]\d{4}|"
    r"\d\d?-\d\d?-\d\d?(?:-\d\d?)?|\d(?: \d){3,7}|"
    r"(?-i:(?=[A-ZА-Я]*\d)(?=\d*[A-ZА-Я])[A-ZА-Я\d]{4,8}|(?=[A-Z\d-]*\d)(?=[A-Z\d-]*[A-Z])"
    r"[A-Z\d]{3,5}-[A-Z\d]{3,5}))"
)
"""What a code may look like where other words stand before it: no year."""
_BETWEEN = r"(?:[^\w\n]{1,3}[^\W\d_]{1,15}){0,6}?[^\w#*]{1,4}"
_WORDS = r"(?:[^\w\n]{1,3}[^\W\d_]{1,15})"
_DOORS = (
    r"\w{0,12}tür(?:e|en)?|(?:\w{0,10}[^\Waciou\d_])?tor|tresor|schließfach|alarm(?:anlage)?|porte|portail|"
    r"portillon|immeuble|coffre|cadenas|alarme|puerta|port[oó]n|portal|candado|caja fuerte|alarma|"
    r"portão|cofre|cadeado|prédio|cancello|portone|cassaforte|lucchetto|allarme|deur|voordeur|poort|"
    r"kluis|\w{0,10}dörr(?:en)?|\w{0,10}dør(?:en|a)?|kassaskåp|drzwi|brama|furtka|domofon|sejf|"
    r"dveře|brána|kapu|ajtó|széf|poart[aă]|ușa|seif|interfon|kapı|kasa|дверь|ворота|калитка|подъезд|"
    r"домофон|сейф|πόρτα"
)
"""What is opened by a code, but never by one that is said of something else: a "port" has 8080."""
_DOOR_STEMS = (
    *("tür", "tor", "tresor", "fach", "alarm", "port", "immeuble", "coffre", "cadenas", "puerta"),
    *("candado", "caja", "cofre", "cadeado", "prédio", "cancello", "cassaforte", "lucchetto"),
    *("allarme", "deur", "poort", "kluis", "dörr", "dør", "kassa", "drzwi", "brama", "furtka"),
    *("domofon", "sejf", "dveře", "brána", "kapu", "ajtó", "széf", "poart", "ușa", "seif"),
    *("interfon", "kapı", "kasa", "двер", "ворот", "калит", "подъезд", "домофон", "сейф", "πόρτα"),
    *("door", "gate", "keypad", "lock", "garage", "shed", "safe", "vault", "building", "lobby"),
    "lift",
)
_CVV = r"(?:cryptogramme|crypto|prüfziffer|kartenprüfnummer|cvv2?|cvc2?|cvn|card security code)"

OPENING = re.compile(rf"(?i)(?<![^\W_])(?:{_DOORS}|{_OPENED}|{_NAMED})(?![^\W_])|{_SURE_ELSEWHERE}")
"""A word for a code, or for what one opens."""

DETECTORS = (
    detector(
        "CODE",
        rf"(?i)(?:(?<![^\W_])(?:{_CODE_NAMES})['’]?s?|{_OTHER_CODES}){OF_WHAT}"
        r"(?: (?:is|ist|lautet|est|es|é|è|är|to)(?: now)?\b)?(?:\s*[:=]\s*|\s?[是は]\s?| )"
        rf"[\"'`“«\[]?(?P<code>{_DIGITS}){_NO_UNIT}(?:, ?(?P<second>{_DIGITS}))?"
        rf"(?:, ?(?P<third>{_DIGITS}))?",
        r"(?:(?i:digicode|code d['’]entrée|door code|gate code|türcode|portcode|passcode|otp))"
        rf"(?: is)?\s*:?\s*(?P<mixed>{_OR_LETTERS}){_NO_UNIT}",
        rf"(?i)\b{_CVV}(?: is|:)?\s*(?P<cvv>\d{{3,4}})\b",
        r"(?i)\bcombination(?: is|:)?\s*(?P<dial>\d{1,2}(?:-\d{1,2}){2,3}|\d{4,6})\b",
        words=(
            *("crypto", "prüf"),
            *("code", "pin", "otp", "tan", "password", "passcode", "number", "alarm", "gate is"),
            *("door is", "safe is", "cvv", "cvc", "cvn", "combination", "geheimzahl", "código"),
            *("codice", "kod", "код", "пин", "验证码", "驗證碼", "校验码", "コード", "暗証番号"),
            *("인증", "التحقق", "קוד"),
        ),
        digits="some",
    ),
    detector(
        "CODE",
        rf"(?i)\b(?=code){_NO_CODE_BEFORE}codes?\s*:\s*(?P<bare>\d{{4,8}}#?){_NO_UNIT}(?! "
        rf"+[0-9a-f]{{4,}})",
        rf"(?i)\b(?=code|kod|cód|cod){_NO_CODE_BEFORE}(?:code|código|codice|kod) (?:for|to|of|on|"
        rf"für|"
        r"pour|de|del|della|do|da|van|till|til)\b[\w' ]{1,30}?(?: is| ist| est| es| é| è| är| er|"
        r":) "
        rf"(?P<place>(?:\d{{4,8}}|(?=\d*[A-D])[A-D\d]{{5,6}})#?){_NO_UNIT}",
        r"(?i)\b(?:safe|lock|padlock|locker|gate|door) opens with (?P<opens>\d{4,8}|"
        r"\d\d-\d\d-\d\d)\b",
        r"(?i)\bkey ?safe is (?P<keysafe>[A-Z]?\d{4}[A-Z]?)\b",
        r"(?P<chinese>\d{4,8})是(?:您|你)的(?:\w{0,6})验证码",
        r"(?i)(?<![\d.#])(?P<first>\d{4,8}|\d{3}[ -]\d{3})"
        r"(?= is (?:your|the|my) [\w -]{0,40}\b(?:code|pin|otp|passcode|password)\b)",
        r"(?i)\b(?:use|enter|type|with|code) (?P<use>\d{4,8}|\d{3}[ -]\d{3}) "
        r"(?:to (?:log|sign|verify|confirm|unlock|authori[sz]e|complete)|as your|for your (?:login|"
        r"sign|account))",
        words=(
            *("code", "pin", "otp", "use ", "enter ", "type ", "password", "kod", "cód", "codice"),
            *("opens with", "safe is", "验证码"),
        ),
        digits="some",
    ),
    # "Die PIN für die EC-Karte ist 5820", "код домофона 38К7714".
    detector(
        "CODE",
        rf"(?i)(?<![^\W_])(?:{_SURE})[^\W\d_]{{0,7}}{_BETWEEN}{_PRODUCT}(?P<sure>{_APART}){_NO_UNIT}",
        rf"(?i)(?:{_SURE_ELSEWHERE})[^\d\n]{{0,20}}?(?P<elsewhere>\d(?: \d){{3,7}}|"
        rf"\d{{3}}[ -]\d{{3}}|"
        rf"\d{{4,8}})(?![a-z\d%]|[.:/]\d)",
        rf"(?i)\b(?:pins?(?:[- ]?(?:code|number|nummer))?|combination|combo|geheimzahl|nip|"
        rf"(?:the|your|my|our) (?:\w+ ){{0,3}}?(?=code){_NO_CODE_BEFORE}codes?){_WORDS}{{0,6}}?"
        rf"(?: (?:is|ist|lautet|est|es|to|still|now|be|är|er|jest|je|este|è|é|είναι|это)|['’]s|"
        rf" ?[:=])[^\w\n#*]{{1,3}}"
        rf"{_PRODUCT}(?P<copula>{_APART}){_NO_UNIT}",
        rf"(?i)\b(?:din|deres|min|koden) (?:kode )?er (?P<danish>\d{{4,8}}){_NO_UNIT}",
        r"(?i)(?<![\d.#-])(?P<told>\d{4,8}|\d{3}[ -]\d{3}|\d\d?-\d\d?-\d\d?(?:-\d\d?)?)[^\w\n]{1,4}"
        r"(?:that['’]?s|this is|is|was|be) (?:the|my|your|our) (?:[\w-]+ ){0,2}"
        r"(?:code|pin|otp|passcode|combo|combination)\b",
        r"(?i)\b(?:on|from) the back(?: of (?:it|the card))?\W{1,3}(?:(?:is|are)\W{1,2})?"
        r"(?P<back>\d{3,4})\b(?! ?(?:pages?|rows?|seats?))",
        words=(
            *("code", "kod", "kód", "cód", "cod", "codi", "pin", "nip", "otp", "puk", "keypad"),
            *(
                "combo",
                "combination",
                "kombination",
                "zahlen",
                "einmal",
                "geheimzahl",
                "clave",
                "the back",
                "nummer",
            ),
            *("kood", "κωδικ", "код", "пин", "парол", "mã ", "验证码", "驗證碼", "校验码", "动态"),
            *("门禁", "コード", "番号", "ワンタイム", "인증", "보안", "비밀번호", "رمز", "كود"),
            *("קוד", "รหัส", "कोड", "ओटीपी"),
        ),
        digits="some",
    ),
    # "Le code du cadenas : 7042", "PIN ke kartě je 7418": a code, what it opens, a number.
    detector(
        "CODE",
        rf"(?i)(?<![^\W_]){_NAMED}{_WORDS}{{0,3}}?[^\w\n]{{1,3}}{_OPENS_NOTHING}{_OPENED}"
        rf"{_WORDS}{{0,3}}?[^\w\n#*]{{1,4}}{_PRODUCT}(?P<opens>{_PLACED}[#*]?){_NO_UNIT}",
        rf"(?i)(?<![^\W_]){_OPENS_NOTHING}\w{{0,12}}?{_OPENED}[^\w\n]{{1,3}}{_NAMED}{_WORDS}{{0,3}}?[^\w\n#*]{{1,4"
        rf"}}"
        rf"{_PRODUCT}(?P<opened>{_PLACED}[#*]?){_NO_UNIT}",
        words=(
            *("code", "kod", "kód", "koodi", "cod", "cód", "pin", "nip", "puk", "comb", "komb"),
            *("şifre", "parol", "код", "пин", "пароль", "κωδικ"),
        ),
        digits="some",
    ),
    detector(
        "CODE",
        r"(?i)\b(?:door|gate|alarm|safe|pad ?lock|garage|shed|keypad|lock ?box|key ?safe|voicemail)"
        r"(?:['’]s| one is| one['’]s| is| ?[:=-]) ?(?P<thing>(?!(?:19[5-9]|"
        r"20[0-4])\d\b)\d{4,6})[#*]?"
        rf"{_NO_UNIT}",
        r"(?i)\b(?:unlocks?|opens?|unlock it|open it|entsperr\w*|öffne\w*|déverrouill\w*|"
        r"s['’]ouvre|"
        r"se abre|desbloque\w*|si apre|sblocc\w*|abre|opent|låses? op|öppnas?|otwiera|открывается)"
        rf"(?:{_WORDS}){{0,2}} (?:with|mit|avec|con|com|met|med|z|по|кодом) {_WORDS}{{0,1}}?\W?"
        rf"(?P<with>{_PLACED}[#*]?){_NO_UNIT}",
        r"(?i)\b(?:enter|type(?: in)?|punch(?: in)?|press|key in|dial|tapez?|tippe?|digita|marca|"
        r"pulsa|"
        r"aperte|toets|tryck|slå|wpisz|naciśnij|набери|введи|нажми|tuşla)\W{1,2}"
        r"(?P<typed>[#*]?\d{4,8}[#*]?|(?-i:\d{1,4}[A-C]\d{1,4}))"
        r"(?=[.,;!)]*(?:\s*$|\s+(?:when|to|at|on|and|then|into|au|am|al|en|und|et|y|e|na|på|i|"
        r"и)\b))",
        rf"(?i)\balarm\w{{0,8}}{_WORDS}{{0,3}} (?:with|mit|avec|"
        rf"con) (?P<alarm>\d{{4,6}}){_NO_UNIT}",
        r"(?i)\b(?:my|the|your|his|her) (?:\w+ )?pin is[^\d\n]{1,40}, (?P<same>\d{4,6})(?=[.!]*\s*$"
        r")",
        r"(?-i:\b[mp]?TAN)\b[: ]{1,3}(?P<tan>(?=[A-Z\d]*\d)[A-Z\d]{6,8})\b",
        words=(
            *("door", "gate", "alarm", "safe", "lock", "garage", "shed", "keypad", "voicemail"),
            *("open", "sperr", "ffne", "verrouill", "ouvr", "abre", "desblo", "apre", "otwiera"),
            *(
                "открыва",
                "öppn",
                "låse",
                "enter",
                "type",
                "punch",
                "press",
                "key in",
                "dial",
                "tape",
            ),
            *("tippe", "digita", "marca", "pulsa", "aperte", "toets", "tryck", "slå", "wpisz"),
            *("naciśnij", "набери", "введи", "нажми", "tuşla", "pin is", "tan "),
        ),
        digits="some",
    ),
    # "Tür: 4471", "door 4471#", "gate #0427": no door has such a number.
    detector(
        "CODE",
        rf"(?i)(?<![^\W_])(?:{_DOORS})(?: [^\W\d_]{{1,10}}){{0,2}} ?[:=] ?"
        rf"(?P<door>[#*]?(?!(?:19|20)\d\d\b)"
        rf"\d{{4,6}}[A-C]?[#*]?)"
        rf"(?=[.,;!)]{{0,2}}(?:\s|$)){_NO_UNIT}",
        rf"(?i)(?<![^\W_])(?:{_DOORS}|doors?|gates?|keypad|(?:pad)?lock|port[ae]|garage|shed|safe|vault|building|"
        r"lobby|lift) ?[:=]? ?"
        rf"(?P<pressed>\d{{4,8}}[#*]|\*\d{{4,8}}[#*]?|#0\d{{3,7}}[#*]?)(?![\w#*])",
        words=_DOOR_STEMS,
        digits="some",
    ),
    detector(
        "CODE",
        # What follows a card and its date.
        r"(?<!\d)(?:\d{4}[ -]?){3}\d{3,4}\W{1,3}(?:exp\w*\W{1,2})?\d\d ?/ ?\d\d(?:\d\d)?\W{1,3}"
        r"(?P<cvv>\d{3,4})(?!\d)",
        digits="many",
    ),
)
