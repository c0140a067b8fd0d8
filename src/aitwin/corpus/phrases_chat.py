"""Words that WhatsApp itself puts into an export, by language. Data only: whatsapp decides.

Structure comes first (marks, brackets, file names); these lists settle what structure cannot.
"""

# Day periods as CLDR and the phones print them, without dots, spaces and case.
_BEFORE_NOON = """
am πμ дп дпл ص öö 上午 凌晨 清晨 早上 早晨 半夜 午夜 午前 오전 새벽 아침 sa pg dop de ap fm قظ vm
ਪੂਦੁ पूर्वाह्न पूर्व पुर्वाह्न मपू மு.ப முப முற்பகல் ಪೂರ್ವಾಹ್ನ పూర్వాహ్నం এএম পূর্বাহ্ণ પૂર્વાહ્ન ก่อนเที่ยง
paradites eparadites prijepodne prepodne пре পূর্বাহ্ন прпд преподне пробяд преполадне
fh fmd fhd дополудня priešpiet dopoludnia priekšpusdienā proob проб пробед asubuhi ጥዋት לפנהצ
delamañana delamadrugada damanhã damadrugada dumatin קדמהצ قبلدوپہر ກ່ອນທ່ຽງ ព្រឹក နံနက်
"""
_AFTER_NOON = """
pm μμ пп ппл م ös 下午 晚上 傍晚 中午 午後 夜 오후 저녁 밤 ch ptg odp du ip em بظ nm
ਬਾਦੁ अपराह्न अप मउ பிப பிற்பகல் ಅಪರಾಹ್ನ అపరాహ్నం পিএম অপরাহ্ণ અપરાહ્ન หลังเที่ยง അപരാഹ്നം
pasdites epasdites poslijepodne popodne по অপরাহ্ন поподне попладне слоб слобед попл
eh emd ehd пополудні popiet popoludní pēcpusdienā alasiri mchana usiku ከሰዓት אחהצ
delatarde delanoche delmediodía datarde danoite dusoir delaprèsmidi بعددوپہر ຫຼັງທ່ຽງ ល្ងាច ညနေ
"""
AFTER_NOON: dict[str, bool] = {
    **dict.fromkeys(_BEFORE_NOON.split(), False),
    **dict.fromkeys(_AFTER_NOON.split(), True),
}
"""Whether the normalised word means the second half of the day."""

NOON = frozenset({"中午", "delmediodía", "mchana"})
"""Periods around noon, where 10 and 11 are still before it."""
NIGHT = frozenset({"晚上", "밤", "夜", "delanoche", "danoite", "usiku"})
"""Evening periods, where 12 is midnight."""

_JOINERS = "à á a às as at de um uhr kl klo om alle ve la las h o ob ч в о у u pukul jam lúc"
NOT_PERIODS = frozenset(_JOINERS.split())
"""Words that join date and time, or close the time, on any clock."""

OMITTED = frozenset(
    f"{media} {verb}"
    for medias, verbs in (
        (
            "image|video|audio|gif|sticker|document|contact card|video note|voice message|media",
            "omitted",
        ),
        ("bild|video|audio|gif|sticker|dokument|kontaktkarte|medien", "weggelassen"),
        ("imagem|vídeo|áudio|gif|figurinha|documento|mídia", "ocultado|ocultada|omitida|omitido"),
        ("imagen|video|vídeo|audio|gif|sticker|documento", "omitida|omitido"),
        ("image|vidéo|audio|gif|sticker|document", "absente|absent|omis|omise"),
        ("immagine|video|audio|gif|sticker|documento", "omessa|omesso|omessi"),
        ("afbeelding|video|audio|gif|sticker|document", "weggelaten"),
    )
    for media in medias.split("|")
    for verb in verbs.split("|")
)
"""What iOS puts in the place of media that were not exported (lower case)."""

ATTACHED = frozenset(
    {
        "file attached", "datei angehängt", "arquivo anexado", "ficheiro anexado",
        "archivo adjunto", "fichier joint", "файл добавлен", "файл прикреплен", "file allegato",
        "bestand bijgevoegd", "plik dołączony", "dosya ekli", "dosya eklendi", "fil bifogad",
        "fil vedhæftet", "fil vedlagt", "tiedosto liitetty", "fișier atașat", "файл додано",
        "soubor byl přiložen", "fájl csatolva", "berkas terlampir", "file terlampir",
        "tệp đính kèm", "檔案附加", "文件附件", "添付ファイル", "파일 첨부됨", "ملف مرفق",
        "הקובץ צורף", "फ़ाइल संलग्न",
    }
)  # fmt: skip
"""Android's `F (file attached)`: the words in the brackets (lower case)."""

EDITED = frozenset(
    {
        "this message was edited", "diese nachricht wurde bearbeitet", "se editó este mensaje",
        "ce message a été modifié", "esta mensagem foi editada", "mensagem editada",
        "questo messaggio è stato modificato", "dit bericht is bewerkt",
        "este mensaje fue editado", "это сообщение изменено", "сообщение изменено",
        "данное сообщение изменено", "bu mesaj düzenlendi", "ta wiadomość została zmieniona",
        "wiadomość została edytowana", "det här meddelandet redigerades",
        "denne besked blev redigeret", "denne meldingen ble redigert", "tätä viestiä muokattiin",
        "acest mesaj a fost editat", "pesan ini telah diedit", "pesan ini diedit",
        "تم تعديل هذه الرسالة", "הודעה זו נערכה", "यह संदेश संपादित किया गया", "此訊息已編輯",
        "此消息已编辑", "這則訊息已編輯", "このメッセージは編集されました",
        "이 메시지는 수정되었습니다",
        "tin nhắn này đã được chỉnh sửa", "це повідомлення було змінено",
    }
)  # fmt: skip
"""The suffix of an edited message, without brackets, last dot and case."""

_GENERATED: dict[str, tuple[str, ...]] = {
    "deleted": (
        "this message was deleted", "you deleted this message", "this message was deleted by admin",
        "diese nachricht wurde gelöscht", "du hast diese nachricht gelöscht",
        "mensagem apagada", "essa mensagem foi apagada", "esta mensagem foi apagada",
        "você apagou esta mensagem", "apagou esta mensagem", "você apagou essa mensagem",
        "se eliminó este mensaje", "este mensaje fue eliminado", "eliminaste este mensaje",
        "ce message a été supprimé", "vous avez supprimé ce message",
        "questo messaggio è stato eliminato", "hai eliminato questo messaggio",
        "dit bericht is verwijderd", "u hebt dit bericht verwijderd",
        "je hebt dit bericht verwijderd", "это сообщение удалено", "сообщение удалено",
        "данное сообщение удалено", "вы удалили это сообщение", "вы удалили данное сообщение",
        "bu mesaj silindi", "bu mesajı sildiniz", "ta wiadomość została usunięta",
        "usunięto tę wiadomość", "det här meddelandet raderades", "denne besked blev slettet",
        "denne meldingen ble slettet", "tämä viesti poistettiin", "acest mesaj a fost șters",
        "pesan ini telah dihapus", "pesan ini dihapus", "anda telah menghapus pesan ini",
        "تم حذف هذه الرسالة", "הודעה זו נמחקה", "यह संदेश हटाया गया", "यह मैसेज डिलीट किया गया",
        "此訊息已刪除", "此消息已删除", "此訊息已被刪除", "このメッセージは削除されました",
        "삭제된 메시지입니다", "tin nhắn này đã bị xóa", "це повідомлення було видалено",
    ),
    "call": (
        "missed voice call", "missed video call", "missed group voice call",
        "missed group video call", "voice call", "video call", "verpasster sprachanruf",
        "verpasster videoanruf", "appel vocal manqué", "appel vidéo manqué",
        "llamada perdida", "llamada de voz perdida", "videollamada perdida",
        "chamada de voz perdida", "chamada de vídeo perdida", "chiamata vocale persa",
        "videochiamata persa", "gemiste spraakoproep", "gemiste video-oproep",
    ),
    "location": ("live location shared", "live-standort geteilt", "localização em tempo real",
                 "ubicación en tiempo real compartida", "position en direct partagée"),
    "waiting": (
        "waiting for this message", "waiting for this message. this may take a while",
        "waiting for this message. check your phone", "warte auf diese nachricht",
        "aguardando mensagem", "aguardando esta mensagem", "esperando este mensaje",
        "en attente de ce message", "in attesa del messaggio",
    ),
    "view once": ("null", ""),
}  # fmt: skip

GENERATED: dict[str, str] = {
    **{phrase: kind for kind, phrases in _GENERATED.items() for phrase in phrases},
    **dict.fromkeys(OMITTED, "media"),
}
"""Whole bodies that no person wrote (lower case, without the last dot) and what they are."""

MONTHS: dict[str, int] = {
    word: number
    for number, words in enumerate(
        (
            "jan january januar janvier janv ene enero gen gennaio janeiro januari",
            "feb february februar février févr febrero febbraio fev fevereiro februari",
            "mar march mär märz mars marzo março mrt maart",
            "apr april avr avril abr abril aprile",
            "may mai mayo mag maggio maio mei",
            "jun june juni juin junio giu giugno junho",
            "jul july juli juil juillet julio lug luglio julho",
            "aug august août ago agosto augustus",
            "sep sept september septembre septiembre set settembre setembro",
            "oct october okt oktober octobre octubre ott ottobre out outubro",
            "nov november novembre noviembre novembro",
            "dec december dez dezember déc décembre dic diciembre dicembre dezembro",
        ),
        start=1,
    )
    for word in words.split()
}
"""Month words of the old Android header `4 Aug 2014 11:36 - `."""
