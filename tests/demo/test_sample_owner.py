"""The sample owner: enough of him, his voice constant, nobody's real data (C3, C5, C6)."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from aitwin.corpus import clean, curate, dedupe, imports, pairs, reading, sources
from aitwin.corpus.messages import Message, Owner, threads
from aitwin.corpus.pairs import Pair
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Imported, Store
from aitwin.demo import SAMPLE_OWNER, THOTA

OWNER = Owner(
    SAMPLE_OWNER.name, frozenset(SAMPLE_OWNER.addresses), frozenset(SAMPLE_OWNER.chat_names)
)
FLUFF = re.compile(
    r"finds you well|circle back|reach(?:ing)? out|touch base|leverag|going forward"
    r"|don't hesitate|earliest convenience|synerg|best regards|kind regards"
    r"|\b(?:perhaps|maybe|sort of|kind of|I think maybe|it might be)\b",
    re.IGNORECASE,
)
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Imported]]:
    store = Store(tmp_path_factory.mktemp("corpus"))
    results = [result for _, result in imports.add(store, sorted(THOTA.iterdir()))]
    assert all(isinstance(result, Imported) for result in results)
    assert not reading.what_matters(store, OWNER).gone
    return store, results


@cache
def _pairs(store: Store) -> list[Pair]:
    dropped: Counter[str] = Counter()
    found = [
        pair
        for thread in threads(store.messages())
        for pair in pairs.from_thread(thread, OWNER, dropped)
    ]
    return curate.gate(dedupe.without_copies(found)[0], Counter())


def _own(store: Store) -> list[Message]:
    return [message for message in store.messages() if OWNER.wrote(message)]


def test_mail_in_two_forms_and_chats_in_two_locales(imported):
    """C1: mbox, eml, an iOS chat of en_GB and an Android chat of en_US."""
    formats = Counter((one.source.suffix, one.format) for one in imported[1])
    assert formats[(".mbox", "mail")] == 2
    assert formats[(".eml", "mail")] > 50
    assert formats[(".txt", "whatsapp")] == 2


def test_at_least_320_distinct_exchanges(imported):
    """C6: distinct after near-duplicates at 0.85 are gone; and enough for a full set (C3)."""
    distinct = _pairs(imported[0])
    assert len(distinct) >= 500
    assert Counter(pair.channel for pair in distinct)["chat"] >= 200
    openings = Counter(pair.reply.split("\n")[0][:60] for pair in distinct if len(pair.reply) > 60)
    assert openings.most_common(1)[0][1] <= 8  # a salutation may recur, an opening may not


def test_no_sentence_of_his_is_a_template(imported):
    sentences: Counter[str] = Counter()
    for pair in _pairs(imported[0]):
        sentences.update(
            sentence.strip().lower()
            for sentence in set(re.split(r"[.!?\n]+", pair.reply))
            if len(sentence.split()) > 4
        )
    repeated = {sentence: count for sentence, count in sentences.items() if count > 2}
    assert not repeated


def test_his_voice_is_constant(imported):
    """Concise, direct, no fluff: in every reply, not on average."""
    replies = [pair.reply for pair in _pairs(imported[0])]
    assert not [reply for reply in replies if "!" in reply.replace("!=", "")]
    assert not [reply for reply in replies if EMOJI.search(reply)]
    fluff = [reply for reply in replies if FLUFF.search(reply)]
    assert len(fluff) <= len(replies) * 0.02  # he quotes others' fluff to mock it
    lengths = sorted(len(reply.split()) for reply in replies)
    assert 8 <= lengths[len(lengths) // 2] <= 45
    assert lengths[-1] >= 120


def test_the_usual_dirt_is_there_and_is_cleaned(imported):
    store = imported[0]
    mails = [message for message in _own(store) if message.channel == "mail"]
    assert sum(">" in mail.text for mail in mails) > 100
    assert sum("Quillfern" in mail.text and "\n--" in mail.text for mail in mails) > 30
    cleaned = [clean.own_words(mail.text) for mail in mails]
    assert not [text for text in cleaned if re.search(r"^(?:--|> |On .* wrote:$)", text, re.M)]
    assert not [text for text in cleaned if "Sent from my" in text]
    skipped = sum((one.skipped for one in imported[1]), Counter())
    assert skipped["drafts"] == 1
    assert skipped["spam"] == 1
    assert any(message.automatic == "media" for message in store.messages())


def test_no_real_person_can_be_reached():
    """Addresses end in .example, mobile numbers are those reserved for drama."""
    messages = [m for found in sources.find([THOTA]) for m in found.read(Skipped())]
    assert len(messages) > 1700
    texts = [message.text for message in messages]
    addresses = [
        person.address
        for message in messages
        for person in (message.sender, *message.recipients)
        if person.address
    ]
    hosts = re.findall(r"@([\w-]+(?:\.[\w-]+)+)", "\n".join([*texts, *addresses]))
    assert len(hosts) > 1000
    assert {host for host in hosts if not host.endswith(".example")} == set()
    mobiles = re.findall(r"\b07\d{3} ?\d{6}\b", "\n".join(texts))
    assert mobiles
    assert {number for number in mobiles if not number.startswith("07700 900")} == set()


def test_the_files_are_in_the_package():
    assert isinstance(THOTA, Path)
    assert THOTA.is_dir()
