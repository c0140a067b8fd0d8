"""The text of a WhatsApp message: what a person wrote, and what the app put there itself.

By structure first (marks, brackets, file names), by the lists of `phrases_chat` where structure
cannot tell. Knows single texts: no files, no senders.
"""

import re

from aitwin.corpus import phrases_chat as phrases
from aitwin.corpus.whatsapp_headers import MARKS

_MARK = re.compile(f"[{MARKS}]+")
# A marked beginning is the app's own on iOS: held for every such line in 16 locales.
GENERATED_STARTS = ("\u200e", "\u200f")
_ODD = re.compile(rf"[{MARKS}<(]")
_OMITTED = re.compile(r"<\s?(?![A-Za-z/-]+>)[^\W\d_][^<>\n\d=:]{4,60}>")
_EDITED = re.compile(r"(?:[^\W\d_]+ ){2,}[^\W\d_]+\.?")
_ATTACHED = re.compile(
    r"(?P<stem>[^\n]*?)\.(?P<kind>\w{0,5}) (?:\((?P<phrase>[^()\n]{3,40})\)|<(?P<angled>[^<>\n]+)>)"
)
_FILE = re.compile(r"\.\w{2,5}\b|\d{4}")
_SPACES = " \t\n\u00a0\u200e\u200f"
_PHONE_FILE = re.compile(r"[A-Z]{3}-\d{8}-WA\d{4}")
_POLL = re.compile(r"[^\n:]{2,20}:\n[^\n]+(?:\n[^\n:]{2,24}: [^\n]*\(\d+ [^\n()]+\))+")
_LOCATION = re.compile(
    r"(?:[^\n]*\n){0,3}[^\n]*:\s?https://(?:maps\.google\.com/\?q=-?[\d.]+,-?[\d.]+"
    r"|foursquare\.com/v/\S+)"
)


def written(raw: str, frame: str, own: frozenset[str] = frozenset()) -> tuple[str, str]:
    """The text that a person wrote; or the app's own, and why nobody wrote it.

    `own` are phrases that the app is known to write in this chat.
    """
    text = raw.strip()
    if not (_ODD.search(raw) or ":\n" in raw or "://" in raw):
        return text, _generated(text) if len(text) < 64 else ""
    text = _text(raw)
    if len(text) < 64 and (kind := _generated(text)):
        return text, kind
    return _apart(raw, text, frame, own)


def _apart(raw: str, text: str, frame: str, own: frozenset[str]) -> tuple[str, str]:
    """The same for a text with brackets, marks or links; `text` is `raw` without marks."""
    if text.endswith(">"):
        raw = _without_edited(raw, frame, own)
        text = _text(raw)
    if ":\n" in text and _POLL.fullmatch(text):
        return text, "poll"
    if "://" in text and _LOCATION.fullmatch(text):
        return text, "location"
    first, _, others = raw.partition("\n")
    caption = _text(others)
    if frame == "[" and raw.startswith(GENERATED_STARTS):
        if caption and not first.endswith(":"):
            return caption, ""
        return text, "media" if "<" in first else "system"
    if text.startswith("<") or text.partition("\n")[0].endswith((")", ">")):
        kind = _media(first, caption, frame, own)
        if kind:
            return (text, kind) if kind != "caption" else (caption, "")
    return _ios_media(raw, text, own)


def _generated(text: str) -> str:
    """What a whole text is that stands in the lists of the app's own; "" when it does not."""
    return phrases.GENERATED.get(text.removesuffix(".").lower(), "") if text != "." else ""


def _text(raw: str) -> str:
    return _MARK.sub("", raw).strip()


def _angled_end(raw: str) -> tuple[str, str]:
    """What stands before a closing `<…>`, and what is inside; all and "" when there is none."""
    text = raw.rstrip(_SPACES)
    before, bracket, inside = text[:-1].rpartition("<")
    if not bracket or not text.endswith(">") or "\n" in inside or ">" in inside:
        return raw, ""
    return before, inside.strip()


def repeated(text: str) -> str:
    """What in a line may be the app's own in whatever language, if the chat repeats it; or "".

    Behind a file that a phone named, in Android's edited mark, or all that an iPhone marked.
    """
    if text.startswith(GENERATED_STARTS):
        return text[1:]
    if text.endswith(")") and (found := _ATTACHED.fullmatch(text)):
        return found["phrase"].lower() if _PHONE_FILE.fullmatch(found["stem"]) else ""
    if text.endswith(">"):
        before, inside = _angled_end(text)
        return inside if _text(before) and _EDITED.fullmatch(inside) else ""
    return ""


def _without_edited(raw: str, frame: str, own: frozenset[str]) -> str:
    """Take off ` <This message was edited>`."""
    before, inside = _angled_end(raw)
    if inside in own or inside.strip(".").lower() in phrases.EDITED:
        return before
    # On iOS the mark tells, in any language; a file's name is an attachment.
    marked = frame == "[" and before.endswith(GENERATED_STARTS) and _text(before)
    return before if marked and inside and not _FILE.search(inside) else raw


def _media(raw: str, caption: str, frame: str, own: frozenset[str]) -> str:
    """Android's attachment lines: what they are, "caption" when words of a person follow."""
    first = _text(raw)
    if frame != "[" and _OMITTED.fullmatch(first):
        return "caption" if caption else "media"
    found = _ATTACHED.fullmatch(first)
    if not found:
        return ""
    if found["kind"] == "vcf":
        return "contact"
    phrase = (found["phrase"] or found["angled"]).lower()
    known = phrase in phrases.ATTACHED or phrase == "attached" or phrase in own
    # Old iPhones mark the word behind the file.
    if not (known or "<\u200e" in raw or _PHONE_FILE.fullmatch(found["stem"])):
        return ""
    # Under a document Android repeats its name.
    return "caption" if caption not in ("", found["stem"]) else "media"


def _ios_media(raw: str, text: str, own: frozenset[str]) -> tuple[str, str]:
    """IOS puts a marked `<attached: F>` or `image omitted` behind a caption or a file's name."""
    if not any(mark in raw for mark in GENERATED_STARTS):
        return text, ""
    before, inside = _angled_end(raw)
    if not (before.endswith(GENERATED_STARTS) and _FILE.search(inside)):
        before, _, last = raw.rpartition("\u200e")
        if not (last in own or last.strip(" .").lower() in phrases.OMITTED):
            return text, ""
    no_words = "•" in before.rpartition("\n")[2] or not _text(before)
    return (text, "media") if no_words else (_text(before), "")
