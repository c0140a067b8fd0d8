"""The words by which mail programs introduce, end and label what they quote, in many languages.

Data for mail, html and clean. Every list is for whole lines or whole labels, never for words
somewhere in a sentence.
"""

# ruff: noqa: E501, SIM905 -- word lists are easier to read and to extend unbroken

import re


def _any(words: str) -> str:
    """An alternation of the `|`-separated phrases, longest first."""
    return "|".join(
        sorted((re.escape(word.strip()) for word in words.split("|")), key=len, reverse=True)
    )


LABELS = {
    "from": _any(
        "From|Von|De|Da|Van|Från|Fra|Lähettäjä|Od|Nadawca|От|От кого|Від|发件人|寄件者|寄件人|發件人|差出人|送信者"
        "|보낸 사람|보낸사람|Gönderen|Kimden|Από|Feladó|De la|מאת|من|Expéditeur|Remitente|Mittente|Remetente|Absender"
        "|Afzender|Avsändare|Afsender|Saatja|No|Nuo|Dari|Từ|จาก|Message du|Expéditeur"
    ),
    "sent": _any(
        "Sent|Date|Gesendet|Datum|Envoyé|Envoyé le|Date d'envoi|Enviado|Enviado el|Fecha|Enviada em|Enviado em|Data"
        "|Inviato|Data invio|Verzonden|Verzonden op|Skickat|Sendt|Dato|Lähetetty|Päivämäärä|Päiväys|Wysłano|Wysłane"
        "|Data wysłania|Odesláno|Odoslané|Отправлено|Дата|Надіслано|发送时间|发送日期|日期|寄件日期|傳送時間"
        "|發送日期|送信日時|日時|日付|보낸 날짜|날짜|Gönderildi|Gönderme Tarihi|Tarih|Στάλθηκε|Ημερομηνία|Elküldve|Dátum|Trimis"
        "|נשלח|תאריך|تاريخ|Saadetud|Dikirim|Tanggal|Đã gửi|Ngày|ส่ง|วันที่|Sent at|Date and time|Poslano|Poslato|Message du"
    ),
    "to": _any(
        "To|An|À|A|Para|Per|Aan|Till|Til|Vastaanottaja|Do|Komu|Кому|收件人|收件者|宛先|받는 사람|받는사람|Kime|Alıcı|Προς|Címzett"
        "|Către|אל|إلى|Destinataire|Destinatario|Destinatário|Saaja|Kepada|Đến|ถึง|Za"
    ),
    "cc": _any("Cc|CC|Kopie|Copie|Copie à|Copia|Kopia|Kopi|Kopio|DW|Копия|Копія|抄送|副本|참조|Bilgi|Κοιν|Másolat|Bcc|Bc|Cci"),
    "subject": _any(
        "Subject|Betreff|Objet|Asunto|Oggetto|Assunto|Onderwerp|Ämne|Emne|Aihe|Temat|Předmět|Predmet|Тема|主题|主旨|主題|件名"
        "|제목|Konu|Θέμα|Tárgy|Subiect|נושא|الموضوع|Sujet|Teema|Perihal|Subjek|Chủ đề|เรื่อง|Asunto"
    ),
    "other": _any("Reply-To|Antwort an|Répondre à|Importance|Wichtigkeit|Attachments|Anlagen|Organization|Message-ID|Newsgroups"),
}  # fmt: skip
"""The labels of the header block that mail programs put above what they quote."""

HEADER_LINE = re.compile(
    r"^[\s*_|>]{0,8}(?:-\s)?(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in LABELS.items())
    + r")\s?\*{0,2}\s?[:：]\*{0,2}(?P<value>.*)$",
    re.IGNORECASE,
)
LABEL_END = 16 + max(len(word) for words in LABELS.values() for word in words.split("|"))
"""A line without a colon among so many characters at its start is no HEADER_LINE."""
FROM_LABEL = re.compile(rf"^[\s*]*(?:{LABELS['from']})\s?\*{{0,2}}\s?[:：]", re.IGNORECASE)

_ORIGINAL = _any(
    "Original Message|Original message|Original Appointment|Ursprüngliche Nachricht|Originalnachricht"
    "|Message d'origine|Message original|Message initial|Mensaje original|Messaggio originale|Messaggio Originale"
    "|Mensagem original|Oorspronkelijk bericht|Oorspronkelijke bericht|Ursprungligt meddelande|Originalmeddelande"
    "|Opprinnelig melding|Oprindelig meddelelse|Original besked|Alkuperäinen viesti|Wiadomość oryginalna"
    "|Oryginalna wiadomość|Původní zpráva|Pôvodná správa|Исходное сообщение|Оригинальное сообщение|Вихідне повідомлення"
    "|原始邮件|原始郵件|邮件原件|元のメッセージ|Original-Nachricht|원본 메시지|원본 메일|Orijinal Mesaj|Özgün İleti|Αρχικό μήνυμα"
    "|Eredeti üzenet|Mesaj original|הודעה מקורית|الرسالة الأصلية|Reply message|Reply Separator|Algne sõnum|Pesan Asli"
)
_FORWARDED = _any(
    "Forwarded message|Forwarded Message|Begin forwarded message|Weitergeleitete Nachricht|Anfang der weitergeleiteten Nachricht"
    "|Anfang der weitergeleiteten E-Mail|Message transféré|Début du message transféré|Début du message réexpédié"
    "|Mensaje reenviado|Inicio del mensaje reenviado|Messaggio inoltrato|Inizio messaggio inoltrato"
    "|Mensagem encaminhada|Mensagem reencaminhada|Início da mensagem encaminhada|Doorgestuurd bericht"
    "|Begin doorgestuurd bericht|Vidarebefordrat meddelande|Vidarebefordrat brev|Videresendt melding|Videresendt meddelelse"
    "|Videresend melding|Start på videresendt besked|Vidarebefordrat mejl|Edelleenlähetetty viesti|Välitetty viesti"
    "|Przekazana wiadomość|Wiadomość przekazana|Přeposlaná zpráva|Preposlaná správa|Пересылаемое сообщение|Пересланное сообщение"
    "|Начало переадресованного сообщения|Начало переадресованного письма|Переслане повідомлення|转发的邮件|轉寄郵件|转发邮件信息"
    "|開始轉寄郵件|转发邮件|転送されたメッセージ|転送メッセージ|전달된 메시지|İletilen ileti|Yönlendirilen mesaj|Προωθημένο μήνυμα"
    "|Továbbított üzenet|Mesaj redirecționat|הודעה שהועברה|Pesan terusan|Fwd Message"
)
LONGEST_DIVIDER = max(map(len, f"{_ORIGINAL}|{_FORWARDED}".split("|")))
"""Characters, but for dashes and what stands between them and the words, or behind the words."""
BARE_ORIGINAL = re.compile(rf"^\s*(?:{_ORIGINAL})\s*$", re.IGNORECASE)
"""As some phones write it, without dashes: believed only right above a header block."""
ORIGINAL = re.compile(
    rf"^\s*(?:-{{2,}}+\s*+(?:{_ORIGINAL})\s*(?:-{{2,}}|\(.*\)|$)|_{{3,}}+\s*+(?:{_ORIGINAL})\s*_{{3,}}\s*$"
    rf"|(?:{_ORIGINAL})\s*:\s*$)",
    re.IGNORECASE,
)
FORWARDED = re.compile(
    rf"^\s*(?:[-=_*]{{2,}}+\s*+(?:{_FORWARDED})\b.{{0,120}}$|(?:{_FORWARDED})\s*[:：]\s*$"
    r"|-{3,}+\s*+(?:Begin included|Start of forwarded|Forwarded).{0,80}$)",
    re.IGNORECASE,
)

WROTE = (
    r"(?:wrote|writes?|said|says|a écrit|écrit|a ecrit|a wrote|schrieb|schrieben|geschrieben|escribió|escribio|escriu|va escriure|ha scritto"
    r"|scrisse|scrive|escreveu|schreef|geschreven|skrev|skreiv|skrifaði|napisał\(a\)|napisała|napisał|napisal\(a\)|napisal|napísal\(a\)|napísal|pisze"
    r"|napsal\(a\)|napsala|napsal|написал\(а\)|написала|написал|написали|пишет|пише|написав|написа|kirjoitti|kirjutas"
    r"|写道|寫道|写了|作成|작성함|작성|님이 씀|のメッセージ|のメール|írta|yazdı|şunları yazdı|şunu yazdı|a scris|έγραψε|כתב/ה|כתבה|כתב|كتب|نوشت"
    r"|đã viết|viết|menulis|เขียนว่า|je napisao|je napisala|napisao|rašė|rakstīja|ha escrit|schreibt|skriver)"
)
"""The verb of an attribution line. What a line with it means is for clean to say."""

SENT_FROM = re.compile(
    r"^\W{0,3}(?:Sent|Envoyé|Enviado|Enviada|Inviato|Gesendet|Von meinem .{2,40} gesendet|Verzonden|Verstuurd|Verstuurd vanaf"
    r"|Skickat|Sendt|Lähetetty|Wysłane|Wysłano|Odesláno|Odoslané|Отправлено|Надіслано|Надіслане|发自|從我的|发送自|傳送自|Sendt fra|iPhoneから送信|iPadから送信"
    r"|Gönderildi|Στάλθηκε|Küldve|Trimis|Enviat|Saadetud|Dikirim|Poslano|Poslato|Đã gửi|ส่งจาก)"
    r"(?:\s|我的|$).{0,70}$"
    r"|^\W{0,3}(?:Get|Obtenez|Télécharger|Obtener|Holen Sie sich|Download|Ottieni|Scarica|Obter|Obtenha|Baixe|Skaffa|Skaff deg|Hent|Hanki|Pobierz"
    r"|Získat|Загрузить|Скачать|Завантажити|获取|取得)\s(?:o |program |aplikaci )?Outlook\b.{0,70}$"
    r"|^\W{0,3}Outlook (?:für|voor|for) (?:iOS|Android)(?:\s?<[^<>]{1,200}>)?\s?(?:herunterladen|beziehen|downloaden|を入手|をダウンロード)\W?$"
    r"|^(?:iOS|Android)(?: için|용) Outlook.{0,90}$"
    r"|^\W{0,3}(?:iPhone|iPad|Android|スマートフォン).{0,12}(?:から送信|에서 보냄)\s*$|^나의 .{2,20}에서 보냄\s*$|^.{2,30}から送信\s*$"
    r"|^\W{0,3}.{2,40}(?:cihazımdan|tarafımdan) gönderildi\s*$|^\W{0,3}Von meinem .{2,40} gesendet\s*\.?$"
    r"|^\W{0,3}via mobile\s*$",
    re.IGNORECASE,
)
DEVICE = re.compile(
    r"\b(?:iPhone|iPad|iPod|Android\w*|BlackBerry\w*|Black ?Berry|Samsung|Galaxy|HTC|Nokia|Huawei|Xiaomi|Redmi|Pixel|Wiko|Motorola|OnePlus|Windows|Phone"
    r"|phone|mobile|mobil\w*|device|tablet|smartphone|handheld|Treo|Palm|Yahoo|Mail|Outlook|Proton\w*|Gmail|Sparrow|Tapatalk"
    r"|Thunderbird|Mutt|K-9|FairEmail|Spark|телефона|устройства|Handy|Gerät|téléphone|portable|móvil|celular|puhelimesta)\b",
    re.IGNORECASE,
)

LIST_FOOTER = re.compile(
    r"^(?:To unsubscribe(?: from this (?:list|group)|,| send an? e-?mail)|To post to this group|Unsubscribe:|unsubscribe:? https?:"
    r"|You(?:'re| are) receiving this (?:message|email|because)|You received this message because|Reply to this email directly"
    r"|For more options, visit|More majordomo info|the body of a message to majordomo|Visit this group at"
    r"|Yahoo! Groups (?:Sponsor|Links)|List archives?:|.{1,60}\bmailing list(?:\s*$| -- \S+@\S+\s*$)|.{0,60}mailman/listinfo/"
    r"|Pour vous désinscrire|Um sich abzumelden|Para cancelar (?:la|su) suscripción|Per annullare l'iscrizione"
    r"|This (?:e-?mail|message) (?:has been|was) (?:checked|scanned) .{0,40}\b(?:by|with) .{0,30}\b(?:avast|avg|norton|mcafee|kaspersky|eset|bitdefender|sophos|mailscanner|anti-?virus)"
    r"|Diese (?:E-?Mail|Nachricht) wurde von .{0,30} auf Viren geprüft|L'absence de virus dans ce courrier|Este (?:correo electrónico|e-?mail) (?:ha sido|foi) (?:comprobado|analizado|escaneado|verificado) .{0,40}\b(?:virus|vírus)"
    r"|Questa e-?mail è stata controllata per individuare virus|Virus-free\.\s|No virus found in this (?:incoming|outgoing)? ?message|Checked by AVG"
    r"|(?:P\W{0,2})?(?:Please )?(?:consider|think of) the environment before printing|Bitte (?:denken Sie an|prüfen Sie der|prüfen Sie, ob) .{0,40}(?:Umwelt|ausgedruckt)"
    r"|(?:Pensez|Merci de penser) à l'environnement avant d'imprimer|(?:Por favor,? )?(?:considere|piense en) el medio ambiente antes de imprimir|Antes de imprimir .{0,60}(?:medio ambiente|meio ambiente)|Prima di stampare.{0,40}ambiente|Denk aan het milieu voordat u"
    r"|To stop receiving|Post to\s+:\s|Liste de diffusion|FAQ:? +https?://\S+$|Please read the FAQ at)",
    re.IGNORECASE,
)
FOOTER_HINTS = (
    "unsubscribe", "this group", "this message", "this e", "reply to this", "for more options", "more majordomo", "majordomo",
    "yahoo! groups", "list archive", "mailing list", "mailman", "désinscrire", "abzumelden", "cancelar", "annullare", "to stop",
    "post to", "liste de diffusion", "faq", "virus", "avg", "environment", "umwelt", "ausgedruckt", "environnement",
    "medio ambiente", "meio ambiente", "ambiente", "milieu", "you're receiving", "you are receiving",
)  # fmt: skip
"""Every line that LIST_FOOTER matches holds one of these in lower case: a test that costs little."""
DISCLAIMER = tuple(
    re.compile(pattern.lower())
    for pattern in (
        r"confidential|privileged|vertraulich|confidentiel|confidencial|confidenziali|riservat|vertrouwelijk|konfidentiell|fortrolig"
        r"|luottamuksellis|poufn|конфиденциальн|конфіденційн|důvěrn|gizli|机密|保密",
        r"intended (?:only |solely )?(?:for|recipient)|named addressee|bestimmten? (?:Empfänger|Adressat)|vorgesehene[nr]? Empfänger|richtige Adressat"
        r"|destinataire|destinatari|geadresseerde|avsedd (?:mottagare|för)|tiltenkte mottaker|vastaanottajalle|adresat|адресат|收件人",
        r"in error|by mistake|irrtümlich|par erreur|por error|per errore|por engano|abusievelijk|per abuis|av misstag|ved en feil|erehdyksessä|omyłkowo|ошибочно|помилково|omylem",
        r"unauthori[sz]ed|strictly prohibited|nicht gestattet|strictement interdit|prohibid|vietat|niet toegestaan|otillåt|zabronion|запрещ|disclos|dissemination|distribution|weitergabe|divulg",
        r"notify the sender|delete (?:it|this|the)|informieren Sie|vernichten Sie|prévenir l'expéditeur|avisez|notifi|elimin|cancellarlo|verwijder|radera|destroy",
        r"virus|legally binding|liability|Haftung|responsabilité|consider the environment|before printing",
        r"this (?:e-?mail|message|communication)|diese (?:E-?Mail|Nachricht)|ce (?:message|courriel)|este (?:mensaje|correo|mensagem|e-?mail)|questo messaggio|dit (?:e-?mail)?bericht|detta (?:mail|meddelande|e-post)",
    )
)
"""A paragraph that matches three of these is a disclaimer: one alone is ordinary speech.

For text in lower case: several times as fast as IGNORECASE.
"""

GMAIL_LABELS = {
    "drafts": frozenset(
        "draft|drafts|entwurf|entwürfe|brouillon|brouillons|borrador|borradores|bozza|bozze|rascunho|rascunhos|concept|concepten|utkast"
        "|kladde|kladder|luonnokset|luonnos|wersje robocze|wersja robocza|koncepty|rozepsané|koncept|черновики|черновик|чернетки|чернетка|草稿|草稿箱"
        "|草稿匣|下書き|임시보관함|임시 보관함|taslaklar|taslak|πρόχειρα|piszkozatok|piszkozat|ciorne|mesaje nefinalizate|nacrti|чернови|טיוטות|المسودات|esborranys|skice|mustandid|juodraščiai|melnraksti|draf|thư nháp|ร่างจดหมาย".split("|")
    ),
    "spam": frozenset(
        "spam|junk|junk e-mail|bulk mail|courrier indésirable|pourriel|correo no deseado|posta indesiderata|lixo eletrônico|lixo electrónico|ongewenst|skräppost"
        "|søppelpost|spamme|roskaposti|nevyžádaná pošta|nevyžiadaná pošta|спам|垃圾邮件|垃圾郵件|迷惑メール|스팸|스팸함|istenmeyen|ανεπιθύμητα|ανεπιθύμητη αλληλογραφία|levélszemét|דואר זבל|ספאם|غير مرغوب فيه|neželjena pošta|rämpspost|šlamštas|mēstules|thư rác|จดหมายขยะ|correu brossa".split("|")
    ),
    "trash": frozenset(
        "trash|bin|deleted|deleted items|papierkorb|corbeille|papelera|cestino|lixo|lixeira|reciclagem|prullenbak|papperskorg|papperskorgen|papirkurv|papirkurven|papperskorgen"
        "|roskakori|kosz|koš|kôš|корзина|кошик|кош|已删除邮件|回收站|垃圾桶|ゴミ箱|휴지통|çöp kutusu|çöp|κάδος απορριμμάτων|κάδος|kuka|lomtár|coș de gunoi|smeće|smetnjak|אשפה|האשפה|المهملات|prügikast|šiukšliadėžė|atkritne|sampah|thùng rác|ถังขยะ|paperera".split("|")
    ),
    "chat": frozenset("chat|chats|чаты|чат|聊天|チャット|채팅|sohbet|sohbetler|συνομιλίες|csevegés|צ'אט|keskustelut|chatter|czat|czaty".split("|")),
}  # fmt: skip
"""Gmail's names for its own labels, in lower case, by the reason they are left out for."""

SENT_LABELS = frozenset(
    "sent|sent mail|gesendet|messages envoyés|envoyés|enviados|enviado|posta inviata|inviati|e-mails enviados"
    "|verzonden|verzonden berichten|skickat|skickade|sendt|sendte|lähetetyt|wysłane|odeslané|odeslaná pošta|odoslané|отправленные|надіслані"
    "|已发送|已发邮件|寄件備份|送信済み|送信済みメール|보낸편지함|보낸메일함|gönderilmiş postalar|gönderilenler|απεσταλμένα|elküldött|elküldött levelek"
    "|trimise|poslano|poslana pošta|изпратени|נשלח|דואר יוצא|المرسل|الرسائل المرسلة|enviats|terkirim|đã gửi|thư đã gửi|จดหมายที่ส่งแล้ว".split("|")
)  # fmt: skip
"""Gmail's names for the label of what its owner sent, in lower case."""
