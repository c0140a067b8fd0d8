import json
import re
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from errno import EIO
from pathlib import Path

import pytest

from aitwin.corpus import curate, dataset, imports, messages, pairs, pipeline, reading, reverse
from aitwin.corpus.context import CUT, Budget
from aitwin.corpus.curate import Choice
from aitwin.corpus.marks import Marks
from aitwin.corpus.messages import Message, Owner, Person, threads
from aitwin.corpus.report import Skipped
from aitwin.corpus.reverse import Author
from aitwin.corpus.sources import Found
from aitwin.corpus.store import Store
from aitwin.errors import TwinError
from aitwin.prompt import Persona

ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota"}))
CANARY = "zucchini-canary-4471@secret.example"


@pytest.fixture(scope="module")
def baechle(shared, tmp_path_factory):
    """The real mailbox, imported: (store, owner, truth by Message-ID)."""
    folder = shared / "corpora" / "baechle-mips"
    truth = {}
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        truth[record["mid"].strip("<>")] = record
    address = re.compile(r"[^<>\s]+@[^<>\s]+")
    senders = [record["frm"] for record in truth.values() if record["owner"]]
    owner = Owner("Ralf Baechle", frozenset(address.findall(s)[-1].lower() for s in senders))
    store = Store(tmp_path_factory.mktemp("baechle") / "corpus")
    [(_, imported)] = imports.add(store, [folder / "all.mbox"])
    assert imported.new == len(truth)
    assert not reading.what_matters(store, owner).gone
    return store, owner, truth


def test_only_the_owners_mails_are_taken_for_the_owners(baechle):
    """Of a real mailbox, no message of somebody else, and every one of the owner's."""
    store, owner, truth = baechle
    for message in store.messages():
        assert owner.wrote(message) == truth[message.id]["owner"], message.id


def test_the_parent_is_the_one_that_the_truth_names(baechle):
    store, owner, truth = baechle
    wrong, compared = [], 0
    for thread in threads(store.messages(owner)):
        for message in filter(owner.wrote, thread.messages):
            named = (truth[message.id]["parent"] or "").strip("<>")
            if named in truth:
                compared += 1
                parent = messages.parent(message, thread.messages, owner)
                if parent is None or parent.id != named:
                    wrong.append(message.id)
    assert compared > 2000
    assert not wrong


def test_a_real_mailbox_gives_a_full_dataset_with_a_funnel_that_adds_up(baechle, tmp_path):
    """C3-C6: at least 1,000 usable pairs before the choice, then a set of 1,000."""
    store, owner, truth = baechle
    built = pipeline.build(store, owner, Persona("Ralf"), tmp_path / "d")
    by_name = {stage.name: stage for stage in built.funnel.stages}
    assert by_name["read"].came == len(truth)
    assert by_name["your messages"].came == sum(record["owner"] for record in truth.values())
    assert by_name["usable pairs"].came >= 1000
    assert by_name["usable pairs"].went == curate.SIZE
    assert sum(built.counts.values()) == built.funnel.stages[-1].went
    own = {pairs._hash(m.id) for m in store.messages(owner) if owner.wrote(m)}
    rows = [row for name in dataset.SPLITS for row in built.split(name)]
    assert {row.id for row in rows} <= own
    # A Message-ID is nobody's address, nor are the list in a link to its archive, a public server.
    public = r"In-Reply-To: <[^>]*>|http://www\.opensubscriber\.com/message/\S+|:pserver:\S+"
    replies = [re.sub(public, "", row.reply) for row in rows]
    assert not any(re.search(r"[\w.]+@[\w-]+\.\w+", reply) for reply in replies)


def letters(count, text="Bring {n} buckets of type {c}, the {c} pump is out until {n} o'clock."):
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    for n in range(count):
        name = "".join(chr(97 + (n * k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        asked, answered = moment + timedelta(days=n), moment + timedelta(days=n, hours=1)
        ana = Person("Ana", "a@y.example")
        yield Message(f"a{n}", "mail", ana, asked, f"What about {name}?", f"On {name}")
        yield Message(
            f"b{n}", "mail", Person("", "t@x.example"), answered,
            text.format(n=n, c=name), f"Re: On {name}", (ana,), (f"a{n}",),
        )  # fmt: skip


def test_a_secret_anywhere_never_reaches_the_chosen_pairs():
    """P1."""
    text = f"Write to {CANARY}. Bring {{n}} of {{c}}, the {{c}} pump is out until {{n}} o'clock."
    selection = pipeline.select(letters(30, text), ME, Choice(allow_small=True))
    assert selection.pairs
    assert not any("canary" in p.reply + p.incoming + p.instruction for p in selection.pairs)
    assert selection.redactions["EMAIL"] == len(selection.pairs)


def firsts(count, text, subject="", to=None):
    """First mails of the owner's, no two alike."""
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    for n in range(count):
        name = "".join(chr(97 + (n * k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        yield Message(
            f"f{n}", "mail", Person("", "t@x.example"), moment + timedelta(days=n),
            text.format(n=n, c=name), subject, (to or Person("Ana", "a@y.example"),),
        )  # fmt: skip


def test_a_first_mail_without_a_subject_is_about_its_words_less_its_secrets():
    """P1: what a detector took out of the mail does not come back as its topic."""
    text = "My THING drips. Password: zuccanary\n\nBring {n} of {c} and the {c} ladle."
    things = [
        "rudder",
        "bilge",
        "kettle",
        "boiler",
        "gutter",
        "radio",
        "hose",
        "sieve",
        "tank",
        "ax",
    ]
    begun = [
        replace(mail, text=mail.text.replace("THING", f"{things[n // 2]} and {things[n // 4]}"))
        for n, mail in enumerate(firsts(20, text))
    ]
    mails = [*begun, *letters(40)]
    selection = pipeline.select(mails, ME, Choice(allow_small=True))
    begun = [pair for pair in selection.pairs if pair.begins]
    assert len(begun) == 20
    told = [re.search(r"(?:about|Topics:|mentions) \w+ and \w+\.", p.instruction) for p in begun]
    assert sum(map(bool, told)) >= 5
    assert not any("zuccanary" in p.instruction + p.reply for p in selection.pairs)
    assert len({p.instruction for p in begun}) > 3


def test_what_a_model_words_is_redacted_like_the_rest(tmp_path):
    """P1: it sees no secret, and what it makes up that looks like one goes, too."""
    seen = []

    def answer(messages, max_tokens):
        seen.append(messages[-1]["content"])
        return "Write to Ana at bob@secret.example about the pump."

    text = f"Write to {CANARY}. The {{c}} pump drips, bring {{n}} of {{c}} and a ladle by noon."
    selection = pipeline.select(firsts(20, text), ME, Choice(allow_small=True))
    worded, fates = pipeline.reword(selection, Author("digest", answer), tmp_path)
    assert fates == {"worded by the model": 20}
    assert not any("canary" in said for said in seen)
    assert not any("bob@" in pair.instruction for pair in worded.pairs)
    assert all("[EMAIL_2]" in pair.instruction for pair in worded.pairs)
    # What is kept for the next run is what the model said of redacted mails.
    assert "canary" not in (tmp_path / reverse.FILE).read_text()


def test_the_owner_chooses_languages():
    german = "Bring bitte {n} Eimer vom Typ {c} mit, die Pumpe {c} ist bis {n} Uhr außer Betrieb."
    mails = [*letters(30), *firsts(20, german)]
    both = pipeline.select(mails, ME, Choice(allow_small=True))
    assert Counter(pair.language for pair in both.pairs) == {"en": 30, "de": 20}
    one = pipeline.select(mails, ME, Choice(allow_small=True, languages=("en",)))
    assert len(one.pairs) == 30
    assert one.funnel.stages[-2].dropped == {"reply in another language (de)": 20}


def test_context_is_cut_to_the_budget_of_tokens():
    budget = Budget(120, lambda text: len(text.split()), "words", template=0)
    mails = [
        replace(m, text=m.text + "\n\n" + "More of it. " * 99) if m.id.startswith("a") else m
        for m in letters(30)
    ]
    for pair in pipeline.select(mails, ME, Choice(allow_small=True), budget=budget).pairs:
        assert pair.incoming.startswith(CUT)
        texts = (pair.instruction, pair.incoming, pair.reply)
        assert sum(len(text.split()) for text in texts) <= 120
        assert pair.pieces == ()


def test_too_little_is_refused_unless_asked_for():
    """C3."""
    with pytest.raises(TwinError, match=r"30 usable pairs .* from 30 messages of yours; 170 more"):
        pipeline.select(letters(30), ME)
    assert len(pipeline.select(letters(30), ME, Choice(allow_small=True)).pairs) == 30


def test_an_owner_who_wrote_nothing_is_told_so(tmp_path):
    with pytest.raises(TwinError, match="none of 60 messages is by you"):
        pipeline.select(letters(30), Owner("Bob", frozenset({"bob@x.example"})))
    with pytest.raises(TwinError, match="nothing has been imported"):
        pipeline.build(Store(tmp_path / "c"), ME, Persona("Thota"), tmp_path / "d")


def test_a_bad_file_is_reported_and_the_others_are_imported(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "chat.txt").write_text(
        "[18/07/2020, 18:24:25] Ana: dry?\n[18/07/2020, 18:25:02] Thota: No.\n"
    )
    (folder / "when.txt").write_text(
        "01/02/2020, 18:24 - Ana: dry?\n01/02/2020, 18:25 - Thota: No.\n"
    )
    (folder / "notes.txt").write_text("leeks\n")
    store = Store(tmp_path / "corpus")
    results = {found.path.name: result for found, result in imports.add(store, [folder])}
    assert results["chat.txt"].new == 2
    assert isinstance(results["when.txt"], TwinError)
    assert "--dates" in str(results["when.txt"])
    assert results["notes.txt"] is None
    [(_, refused)] = imports.add(store, [folder / "notes.txt"])
    assert isinstance(refused, TwinError)
    again = dict(imports.add(store, [folder / "when.txt"], "dmy"))
    assert [result.new for result in again.values()] == [2]


def test_a_file_that_a_reader_refuses_does_not_stop_the_others(tmp_path):
    """C1: found odd while looking for files, not while reading."""
    folder = tmp_path / "exports"
    folder.mkdir()
    chat = "[18/07/2020, 18:24:25] Ana: dry?\n[18/07/2020, 18:25:02] Thota: No.\n"
    with zipfile.ZipFile(folder / "a-two.zip", "w") as archive:
        archive.writestr("one.txt", chat)
        archive.writestr("two.txt", chat)
    with zipfile.ZipFile(folder / "b-outside.zip", "w") as archive:
        archive.writestr("../one.txt", chat)
    (folder / "chat.txt").write_text(chat)
    store = Store(tmp_path / "corpus")
    results = {found.path.name: result for found, result in imports.add(store, [folder])}
    assert "holds 2 chats" in str(results["a-two.zip"])
    assert "points outside" in str(results["b-outside.zip"])
    assert all(isinstance(results[name], TwinError) for name in ("a-two.zip", "b-outside.zip"))
    assert results["chat.txt"].new == 2
    assert "holds 2 chats" in store.passed_over()[folder / "a-two.zip"]


def test_a_file_that_fails_while_it_is_read_does_not_stop_the_others(tmp_path, monkeypatch):
    """C1: a bad sector, a stick that was pulled."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"[18/07/2020, 18:24:25] {name}: dry?\n" * 2)
    real = Found.read

    def read(self, *args):
        yield from real(self, *args)
        if self.path.name == "a.txt":
            raise OSError(EIO, "Input/output error")

    monkeypatch.setattr(Found, "read", read)
    store = Store(tmp_path / "corpus")
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    [(_, failed), (_, imported)] = imports.add(store, paths)
    assert "a.txt cannot be read (Input/output error)" in str(failed)
    assert imported.new == 2
    assert len(list(store.messages())) == 2


def test_importing_takes_no_more_memory_for_more_messages(tmp_path):
    """One batch at a time: what is alive while importing does not grow with the mailbox."""
    alive: Counter[str] = Counter()

    class Counted(str):
        __slots__ = ()

        def __del__(self):
            alive["now"] -= 1

    def many():
        for n in range(5000):
            alive["now"] += 1
            alive["most"] = max(alive["most"], alive["now"])
            moment = datetime(2024, 1, 1, tzinfo=UTC)
            yield Message(f"m{n}", "mail", Person(""), moment, Counted("words " * 50))

    Store(tmp_path / "c").add(Path("/x"), "mail", many(), Skipped())
    assert alive["most"] <= 1000


def test_a_secret_that_an_unchosen_pair_gives_away_is_out_of_the_chosen():
    """P1: announced where nothing is learnt from, named where it is."""
    mails = list(letters(40))
    told = replace(mails[1], text="The password is Zucchini-4471, mind.")
    bare = [
        replace(mail, text=f"{mail.text} I tried Zucchini-4471 there, too.")
        if number % 2 and number > 3
        else mail
        for number, mail in enumerate(mails)
    ]
    bare[1] = told
    plain = pipeline.select(bare, ME, Choice(allow_small=True))
    [announced] = [pair.id for pair in plain.found if "password" in pair.reply]
    dropped = Marks().marked({announced: ()}, "drop")
    chosen = pipeline.select(bare, ME, Choice(allow_small=True), marks=dropped).pairs
    assert len(chosen) > 15
    assert announced not in {pair.id for pair in chosen}
    assert not [pair.id for pair in chosen if "Zucchini-4471" in pair.reply]
