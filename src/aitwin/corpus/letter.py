"""What the headers of one mail say: who wrote it, when, answering what, and whether by hand.

Reads no file and no body.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from aitwin.corpus import headers, phrases
from aitwin.corpus.headers import Headers
from aitwin.corpus.messages import Person

_AUTOMATIC_HEADERS = {
    "x-autoreply": "auto-reply",
    "x-autorespond": "auto-reply",
    "x-autoresponse": "auto-reply",
    "x-failed-recipients": "bounce",
}
_DIGEST = re.compile(r"(?i)^(?!(?:re|aw|sv|antw|fwd?)\s*:).*\bdigest,? vol(?:ume)?\.? \d+")
_VIA = re.compile(r"\s+(?:via|über|through|przez|през|через|vía|通过|経由)\s+", re.IGNORECASE)


def unwanted(head: Headers) -> str:
    """Why the mailbox itself says that this is no letter sent: drafts, spam, trash, chat."""
    if labels := _labels(head):
        for reason, names in phrases.GMAIL_LABELS.items():
            if labels & names:
                return reason
    status = head.raw("x-mozilla-status")
    if re.fullmatch(r"[0-9a-fA-F]{4}", status) and int(status, 16) & 0x0008:
        return "trash"
    return ""


def is_labelled_sent(head: Headers) -> bool:
    """Whether Gmail says that the owner of the mailbox sent it."""
    return not phrases.SENT_LABELS.isdisjoint(_labels(head))


def _labels(head: Headers) -> set[str]:
    if "x-gmail-labels" not in head:
        return set()
    value = head.text("x-gmail-labels")
    return {label.strip(" \"'").casefold() for label in value.split(",")} if value else set()


def id_of(head: Headers) -> str:
    """The Message-ID without its brackets; empty if there is none."""
    value = head.raw("message-id")
    found = headers.ids(value)
    return found[0] if found else re.sub(r"[\s<>]+", "", value)


def sender(head: Headers) -> Person | None:
    """Who wrote it, also when a list has put its own address there."""
    found = headers.people(head.raw("from"))
    if not found:
        return None
    sender = found[0]
    if not _VIA.search(sender.name):
        return sender
    return _before_the_list(head, sender) or sender


def _before_the_list(head: Headers, rewritten: Person) -> Person | None:
    """Who wrote what a list sends as "X via list": only a header decides, never a guess."""
    original = headers.people(head.raw("x-original-from"))
    if original:
        return original[0]
    if "list-id" not in head and "list-post" not in head:
        return None  # "Ana via DocuSign": a service that writes in her name
    lists = {rewritten.address, *re.findall(r"mailto:([^>?]+)", head.raw("list-post").lower())}
    answers = [
        person for person in headers.people(head.raw("reply-to")) if person.address not in lists
    ]
    if len(answers) != 1:
        return None
    name = _VIA.split(rewritten.name)[0].strip(" '\"")
    return Person(answers[0].name or name, answers[0].address)


def sent_at(head: Headers, envelope: str) -> datetime | None:
    """The Date; else when a server took the mail; else what the separator line says."""
    if when := headers.moment(head.raw("date")):
        return when
    for name in ("date", "x-original-date", "resent-date", "delivery-date"):
        for value in head.all(name):
            if when := headers.moment(value):
                return when
    for value in head.all("received"):
        if when := headers.moment(value.rpartition(";")[2]):
            return when
    # "user@host Wed Jan  3 08:00:00 2024": what comes before the weekday is an address.
    day = re.search(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*|\b\d{4}-\d\d-\d\d.*", envelope)
    return _envelope_moment(day[0]) if day else None


def _envelope_moment(tail: str) -> datetime | None:
    if re.match(r"\d{4}-", tail):
        try:
            when = datetime.fromisoformat(tail.strip().replace(" ", "T", 1))
        except ValueError:
            return None
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    gmail = re.fullmatch(
        r"(\w{3}) (\w{3}) +(\d{1,2}) ([\d:]+) ([+-]\d{4}|[A-Z]{2,4}) (\d{4}).*", tail
    )
    if gmail:  # the zone before the year, which the standard library does not expect
        tail = f"{gmail[1]}, {gmail[3]} {gmail[2]} {gmail[6]} {gmail[4]} {gmail[5]}"
    return headers.moment(tail)


def recipients(head: Headers) -> Iterator[Person]:
    """Whom it was sent to, once each."""
    seen = set()
    for name in ("to", "cc", "bcc"):
        for value in head.all(name):
            for person in headers.people(value):
                if person.address not in seen:
                    seen.add(person.address)
                    yield person


def references(head: Headers, own: str) -> tuple[str, ...]:
    """References and In-Reply-To, oldest first; a single In-Reply-To is the parent, so last."""
    found = headers.ids(head.raw("references"))
    answered = headers.ids(head.raw("in-reply-to"))
    if len(answered) > 1:  # MH: Message from Bo <bo@example.org> of "Monday" <1@example.org>
        people = {person.address for person in recipients(head)}
        answered = [id_ for id_ in answered if id_.lower() not in people]
    if len(answered) == 1:
        found = [reference for reference in found if reference != answered[0]]
    elif found:
        answered = []  # old clients put addresses there too: the other header is the better one
    return tuple(dict.fromkeys(id_ for id_ in (*found, *answered) if id_ != own))


def automatic(head: Headers, sender: Person) -> str:
    """Why no person wrote it, as far as the headers say so; empty otherwise."""
    submitted = head.raw("auto-submitted").split(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return "auto-reply" if submitted == "auto-replied" else "generated"
    for name, reason in _AUTOMATIC_HEADERS.items():
        if head.raw(name).lower() not in ("", "no", "false"):
            return reason
    if head.raw("precedence").lower() in ("auto_reply", "auto-reply"):
        return "auto-reply"
    local = sender.address.partition("@")[0]
    if local == "mailer-daemon" or (local == "postmaster" and head.raw("return-path") == "<>"):
        return "bounce"
    if _DIGEST.match(head.text("subject")) and local.endswith(("-request", "-owner", "-digest")):
        return "list digest"
    return ""
