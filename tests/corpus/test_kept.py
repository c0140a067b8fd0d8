"""Drafts that the owner kept, and replies put otherwise: learnt by the next build, and private."""

import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest

from aitwin.corpus import dataset, kept, marks, page, pipeline
from aitwin.corpus.curate import Choice
from aitwin.corpus.kept import Book
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Store
from aitwin.errors import TwinError
from aitwin.prompt import Persona

ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota"}))
SMALL = Choice(allow_small=True)
PHONE = "+49 151 23456789"


def letters(count, asked="What about it?"):
    """Mails to the owner, each with an answer."""
    for n in range(count):
        name = "".join(chr(97 + (n * k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        ana, moment = Person("Ana", "a@y.example"), datetime(2024, 1, 1, tzinfo=UTC)
        moment += timedelta(days=n)
        yield Message(f"a{n}", "mail", ana, moment, f"{asked} And {name}?", f"On {name}")
        yield Message(
            f"b{n}", "mail", Person("", "t@x.example"), moment + timedelta(hours=1),
            f"Bring {n} buckets of {name}, the {name} pump is at {n}.", f"Re: On {name}",
            (ana,), (f"a{n}",),
        )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "corpus")
    store.add(tmp_path / "all.mbox", "mail", letters(30, f"Call me at {PHONE}."), Skipped())
    return store


def build(store, choice=SMALL):
    return pipeline.build(store, ME, Persona("Thota"), store.path.parent.parent / "main", choice)


def rows(built):
    return {row.id: (name, row) for name in dataset.SPLITS for row in built.split(name)}


def test_a_kept_draft_is_learnt_whatever_the_choice_and_asked_for_as_it_was(store):
    """C3: more of the owner's own words. The request is the owner's, never one made up for it."""
    draft = kept.draft("Tell Tom that the roof is done", "", "Roof's done. Come and look.", "mail")
    kept.keep(store.path.parent, draft)
    built = build(store, Choice(5, allow_small=True))
    split, row = rows(built)[draft.id]
    assert split == "train"
    assert row.messages[1]["content"] == "Tell Tom that the roof is done"
    assert row.reply == "Roof's done. Come and look."
    assert built.manifest["settings"]["kept"] == [draft.id]
    shown = (built.path / page.FILE).read_text()
    assert "a draft that you kept" in shown
    kept.forget(store.path.parent, draft.id)
    again = build(store)
    assert draft.id not in rows(again)
    assert "a draft that you kept" not in (again.path / page.FILE).read_text()


def test_the_funnel_adds_up_with_kept_drafts(store):
    """Every stage begins with what the one before let through; kept drafts are in the first."""
    plain = build(store).funnel.stages
    kept.keep(store.path.parent, kept.draft("Say no", "Buy my boat?", "No, thanks, Tom.", "mail"))
    now = build(store).funnel.stages
    assert [stage.came for stage in now[:2]] == [stage.came + 1 for stage in plain[:2]]
    assert sum(built.went for built in now[-1:]) == plain[-1].went + 1


def test_a_kept_draft_gives_away_no_secret(store):
    """C4: what the owner pastes is redacted like everything else."""
    context = f"Ring me at {PHONE}."
    draft = kept.draft("Say when", context, f"I rang {PHONE}, nobody there.", "mail")
    kept.keep(store.path.parent, draft)
    _, row = rows(build(store))[draft.id]
    assert PHONE not in str(row.messages)
    assert row.reply == "I rang [PHONE_1], nobody there."
    assert "Ring me at [PHONE_1]." in row.messages[1]["content"]


def test_a_dropped_draft_is_not_learnt(store):
    draft = kept.keep(store.path.parent, kept.draft("Say no", "", "No, thanks, Tom.", "mail"))
    built = build(store)
    assert pipeline.mark(store, built, [draft.id], "drop") == {draft.id: ""}
    again = build(store)
    assert draft.id not in rows(again)
    assert pipeline.why_left_out(again)[draft.id] == "dropped by you"
    [shown] = pipeline.left_out(store, ME, again, pipeline.Rules(), {draft.id})
    assert shown.reply == "No, thanks, Tom."


def test_an_edit_takes_the_place_of_the_reply_and_the_placeholders_stay(store):
    """What is edited is what is shown, which is redacted: "[PHONE_1]" means the same afterwards."""
    built = build(store)
    pair_id, (_, row) = min(rows(built).items())
    assert "Call me at [PHONE_1]." in row.messages[1]["content"]
    messages = pipeline.messages_of(built)[pair_id]
    kept.edit(store.path.parent, pair_id, messages, "Rang [PHONE_1], and tom@z.example, too.")
    again = build(store, Choice(5, allow_small=True))
    _, put = rows(again)[pair_id]
    assert put.reply == "Rang [PHONE_1], and [EMAIL_1], too."
    assert "Call me at [PHONE_1]." in put.messages[1]["content"]
    assert again.manifest["settings"]["edited"] == [pair_id]
    assert "edited by you" in (again.path / page.FILE).read_text()
    assert kept.edit(store.path.parent, pair_id, messages, "  ") is None
    assert rows(build(store))[pair_id][1].reply == row.reply


def test_an_edit_is_found_by_its_messages_and_a_mark_is_stronger(store):
    built = build(store)
    pair_id = min(rows(built))
    messages = pipeline.messages_of(built)[pair_id]
    kept.edit(store.path.parent, "an-older-id", messages, "Otherwise put.")
    assert rows(build(store))[pair_id][1].reply == "Otherwise put."
    # Put again under the id that it has now, there is one edit of it, not two.
    kept.edit(store.path.parent, pair_id, messages, "Put once more.")
    assert kept.load(store.path.parent).edits.keys() == {pair_id}
    pipeline.mark(store, built, [pair_id], "drop")
    assert pair_id not in rows(build(store))


def test_a_longer_edit_takes_its_room_from_the_context(store):
    """M4: the example fits its row; the newest of what is answered stays."""
    draft = kept.draft("Say no", "\n\n".join(f"Word {n} of it." for n in range(200)), "No.", "mail")
    kept.keep(store.path.parent, draft)
    before = rows(build(store))[draft.id][1].messages[1]["content"]
    messages = pipeline.messages_of(build(store))[draft.id]
    kept.edit(store.path.parent, draft.id, messages, "No, " * 150 + "thanks.")
    after = rows(build(store))[draft.id][1].messages[1]["content"]
    assert len(after) < len(before)
    assert after.endswith("Word 199 of it.")


def test_the_book_is_private_and_kept_whole(tmp_path):
    corpus = tmp_path / "corpus"
    assert kept.load(corpus) == Book()
    draft = kept.draft("Say\r\nno", "Buy my boat?\0", "No \ud800thanks.", "chat")
    assert kept.keep(corpus, draft) == draft
    assert kept.keep(corpus, kept.draft("Say\nno", "Buy my boat?", "No ?thanks.", "chat")) == draft
    assert kept.load(corpus) == Book({draft.id: draft})
    assert stat.S_IMODE((corpus / kept.FILE).stat().st_mode) == 0o600
    for told in (repr(draft), repr(draft.pair), repr(kept.load(corpus))):
        assert "boat" not in told
        assert "thanks" not in told
    assert kept.forget(corpus, draft.id)
    assert not kept.forget(corpus, draft.id)


def test_two_that_keep_at_once_both_keep(tmp_path):
    """A page may send two requests at the same time: neither writes over the other's."""
    drafts = [kept.draft(f"Say {n}", "", f"It is {n}.", "mail") for n in range(12)]
    threads = [threading.Thread(target=kept.keep, args=(tmp_path, one)) for one in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.load(tmp_path).drafts.keys() == {one.id for one in drafts}


@pytest.mark.parametrize(("instruction", "reply"), [("", "Yes."), ("Say yes", " \n"), ("", "")])
def test_nothing_to_learn_is_refused(instruction, reply):
    with pytest.raises(TwinError, match="fill in both"):
        kept.draft(instruction, "What?", reply, "mail")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format": 1, "drafts": {"a": {}}, "edits": {}}', "\udcff"]
)
def test_a_damaged_book_is_never_written_over(tmp_path, content):
    (tmp_path / kept.FILE).write_text(content, errors="surrogateescape")
    with pytest.raises(TwinError, match=r"kept\.json is damaged, and holds the drafts"):
        kept.keep(tmp_path, kept.draft("Say no", "", "No.", "mail"))
    assert (tmp_path / kept.FILE).read_text(errors="surrogateescape") == content


def test_a_book_of_another_version_says_so(tmp_path):
    (tmp_path / kept.FILE).write_text('{"format": 9, "drafts": {}, "edits": {}}')
    with pytest.raises(TwinError, match="another version"):
        kept.load(tmp_path)


def test_the_mark_of_each_pair_is_told(store):
    built = build(store)
    out, in_, _ = sorted(rows(built))[:3]
    pipeline.mark(store, built, [out], "drop")
    pipeline.mark(store, built, [in_], "pin")
    assert pipeline.marks_of(store, built) == {out: "drop", in_: "pin"}
    assert marks.load(store.path.parent).of({"other": pipeline.messages_of(built)[out]}) == {
        "other": "drop"
    }
