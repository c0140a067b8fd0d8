"""What the owner was asked to write, by rules: `Write a short mail to Ana about "Boat".`

For a reply that is who is answered, about what. For a first mail nobody asked: the request is made
up backwards from its head and its words (a reverse instruction), in one of a few phrasings, so
that none is learnt by heart. It tells what the mail is about and never how it says it. A model
may word it better: see reverse.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aitwin.corpus import acts
from aitwin.corpus import words as wording
from aitwin.corpus.messages import Owner, Person, without_prefixes
from aitwin.prompt import (
    ABOUT,
    CHAT_ANY,
    CHAT_MORE,
    CHAT_REPLY,
    FIRST_MAILS,
    FOLLOW_UPS,
    REPLIES,
    a_mail,
)

TOPICS = 3
"""Words of the content that stand for a subject where there is none."""
COMMON = 0.05
"""A word in more than this share of the owner's texts says nothing about one of them."""
NAME_WORDS = 5
RUN = 6
"""Words in a row that an instruction must not share with the reply: it would give it away."""

_FREEMAIL = re.compile(
    "gmail|googlemail|outlook|hotmail|live|msn|yahoo|ymail|icloud|me|mac|gmx|web|aol|proton|"
    "protonmail|pm|fastmail|posteo|mailbox|t-online|freenet|orange|free|laposte|wanadoo|libero|"
    "yandex|mail|qq|163|126|naver|hey|zoho|tutanota"
)
"""Hosts of everybody: no two people there are colleagues."""
_DESKS = {
    "support": "support service help helpdesk hilfe kundenservice assistance soporte suporte",
    "sales": "sales vertrieb orders order bestellung shop ventas vendas commercial",
    "billing": "billing invoice invoices accounts accounting rechnung buchhaltung factura",
    "jobs": "jobs careers career hr bewerbung recruiting",
    "office": "info contact kontakt office mail hello admin postmaster webmaster team "
    "reception sekretariat contacto contato bonjour noreply no-reply",
}
_DESK = {name: desk for desk, names in _DESKS.items() for name in names.split()}
_LIST_HOST = re.compile(
    r"(?:^|\.)(?:lists?|groups?|mailman|listserv|freelists|googlegroups|yahoogroups|vger)\."
)
_LIST_NAME = re.compile(r"[-._](?:list|l|devel|dev|users?|discuss|announce|talk)$")
_NO_SUBJECT = re.compile(
    r"\W*(?:(?:no|kein|sans|sin|senza|sem|geen|ingen)?\W*"
    r"(?:subject|betreff|objet|asunto|oggetto|assunto|onderwerp|ämne))?\W*",
    re.IGNORECASE,
)

_LIST_TAG = re.compile(r"^(?:\[(?=[^\]]*[a-z])[\w.-]{2,30}\]\s*)+(?=\S)")
"""`[USRP-users]`, which a list puts before the subject; `[PATCH 2/3]` the writer does."""
_TOPIC_PHRASINGS = ("It is about {topics}.", "Topics: {topics}.", "It mentions {topics}.")
_GREETING = re.compile(r"[^.?]{1,60}[,!:]|\S+(?: \S+){0,3}")
_SIGNED = re.compile(r"[^.?!:]{1,40}[,!.]?")
_EDGES = ".,;:!?()[]\"'“”‘’«»…।؟،"
_WORD = re.compile(r"\w+")


# Replies


def name_of(person: Person) -> str:
    """What to call somebody: the name, else the part of the address that people choose."""
    return person.name.strip() or person.address.partition("@")[0] or "somebody"


def names_of(names: Sequence[str]) -> str:
    """ "Ana", "Ana and Tom", "Ana, Tom and 3 others"."""
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def reply(sender: Person, subject: str, seed: str) -> str:
    """The request for a reply to a mail, in one of a few phrasings."""
    return _phrased(REPLIES, seed, who=name_of(sender), about=about(subject))


def follow_up(subject: str, seed: str) -> str:
    """The request for another mail after one of the owner's own."""
    return _phrased(FOLLOW_UPS, seed, about=about(subject))


def in_language(instruction: str, language: str) -> str:
    """The request, with the language that it is to be written in."""
    return f"{instruction} Write in {language}." if language else instruction


def about(subject: str) -> str:
    """` about "Boat"`, without the tag of a list; nothing where the subject says nothing."""
    bare = " ".join(subject.split())
    for _ in range(2):  # "[list] Re: [list] Boat"
        bare = without_prefixes(_LIST_TAG.sub("", bare))
    return ABOUT.format(subject=bare) if tells(bare) else ""


def tells(subject: str) -> bool:
    """Whether a subject says what the mail is about: "(no subject)" does not."""
    return not _NO_SUBJECT.fullmatch(" ".join(subject.split()))


def in_chat(people: Sequence[str], *, goes_on: bool) -> str:
    """The request for a turn of a chat; `goes_on`: the turn before it is the owner's, too."""
    if not people:
        return CHAT_ANY
    return (CHAT_MORE if goes_on else CHAT_REPLY).format(who=names_of(people))


# First mails


def first_mail(to: str, subject: str, text: str, seed: str) -> str:
    """The request that a mail without a predecessor might have answered.

    `seed`, the id of the pair, chooses among phrasings that mean the same.
    """
    that = f" that {does}" if (does := acts.does(text)) else ""
    return _phrased(
        FIRST_MAILS, seed, mail=a_mail(wording.count(text)), to=to, about=about(subject), that=that
    )


def to_whom(recipients: Sequence[Person], owner: Owner) -> str:
    """Who a mail is for, as one would say it: a name, "a colleague", "the sales desk at Acme"."""
    others = [person for person in recipients if person.address not in owner.addresses]
    if not others:
        return "yourself" if recipients else "somebody"
    colleagues = {address.rpartition("@")[2] for address in owner.addresses}
    return names_of([_role(person, colleagues) for person in others])


def _role(person: Person, colleagues: set[str]) -> str:
    local, _, host = person.address.partition("@")
    if _LIST_HOST.search(host) or _LIST_NAME.search(local):
        return f"the {_LIST_NAME.sub('', local)} list"
    if desk := _DESK.get(local):
        company = _company(host)
        return f"the {desk} desk" + (f" at {company}" if company else "")
    if person.name.strip():
        return " ".join(person.name.split()[:NAME_WORDS])
    if host in colleagues and not _FREEMAIL.fullmatch(host.split(".")[0]):
        return "a colleague"
    return local or "somebody"


def _company(host: str) -> str:
    """ "mail.acme.co.uk" -> "Acme"; nothing for a host of everybody."""
    labels = [label for label in host.split(".")[:-1] if label not in ("co", "com", "org", "ac")]
    label = labels[-1] if labels else ""
    return "" if _FREEMAIL.fullmatch(label) else label.capitalize()


def _phrased(phrasings: Sequence[str], seed: str, **parts: str) -> str:
    return phrasings[_number(seed) % len(phrasings)].format(**parts)


def _number(seed: str) -> int:
    return int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)


# Topics, where there is no subject


@dataclass(frozen=True)
class Commonness:
    """In how many of the owner's texts each word is: what tells one from the others."""

    texts: int
    words: Counter[str] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Commonness":
        """Count the words of all texts."""
        counts: Counter[str] = Counter()
        number = 0
        for text in texts:
            counts.update(set(_plain_words(text)))
            number += 1
        return cls(number, counts)

    def topics(self, text: str) -> list[str]:
        """The few words that say most about `text`, in its order.

        Never a word that is in no other text: it may be a secret that nobody recognised.
        """
        most = max(5, COMMON * self.texts)
        said = _plain_words(_body(text))
        counts = Counter(word for word in said if 2 <= self.words[word] <= most)
        weight = {word: n * math.log(self.texts / self.words[word]) for word, n in counts.items()}
        best = sorted(weight, key=lambda word: (-weight[word], word))[:TOPICS]
        return [word for word in counts if word in best]


def with_topics(instruction: str, topics: Sequence[str], seed: str) -> str:
    """The request, and what it is about besides those whom it names."""
    topics = [topic for topic in topics if topic not in words(instruction)]
    if not topics:
        return instruction
    phrasing = _TOPIC_PHRASINGS[_number(seed) // 7 % len(_TOPIC_PHRASINGS)]
    return f"{instruction} {phrasing.format(topics=names_of(topics))}"


def _body(text: str) -> str:
    """The text without the greeting and the sign-off: they are about nobody's boat."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    first = 1 if len(lines) > 1 and _GREETING.fullmatch(lines[0]) else 0
    last = len(lines)
    while last > first + 1 and _SIGNED.fullmatch(lines[last - 1]):
        last -= 1
    return "\n".join(lines[first:last])


def _plain_words(text: str) -> list[str]:
    """Words of letters alone, as they stand between spaces: no part of an address or a code."""
    plain = (word.strip(_EDGES) for word in text.split())
    return [w.casefold() for w in plain if len(w) >= 4 and wording.bare(w).isalpha()]


# Leaks


def gives_away(instruction: str, reply: str, subject: str = "") -> bool:
    """Whether the instruction repeats a run of the reply's words that is not in the subject."""
    return bool(_runs(instruction) & _runs(reply) - _runs(subject))


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(wording.bare(text).casefold())


def _runs(text: str) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[i : i + RUN]) for i in range(len(said) - RUN + 1)}
