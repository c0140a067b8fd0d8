import json
import stat
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import curate, dataset, marks, pipeline
from aitwin.corpus.curate import Choice
from aitwin.corpus.marks import Marks
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Store
from aitwin.errors import TwinError
from aitwin.prompt import Persona

ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota"}))
SMALL = Choice(allow_small=True)
START = datetime(2024, 1, 1, tzinfo=UTC)


def letters(count, replies=None):
    """Mails to the owner, each with an answer; `replies` replaces some of the answers."""
    for n in range(count):
        name = "".join(chr(97 + (n * k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        ana, asked = Person("Ana", "a@y.example"), START + timedelta(days=n)
        text = (replies or {}).get(n, f"Bring {n} buckets of {name}, the {name} pump is at {n}.")
        yield Message(f"a{n}", "mail", ana, asked, f"What about {name}?", f"On {name}")
        yield Message(
            f"b{n}", "mail", Person("", "t@x.example"), asked + timedelta(hours=1),
            text, f"Re: On {name}", (ana,), (f"a{n}",),
        )  # fmt: skip


def chat(minutes):
    """A chat in which the owner answers once, in messages at these minutes."""
    yield Message("c", "chat", Person("Meera"), START, "milk?", conversation="m")
    for minute in minutes:
        moment = START + timedelta(minutes=minute)
        yield Message(
            f"c{minute}", "chat", Person("Thota"), moment, f"oat at {minute} then", conversation="m"
        )


def select(messages, by_hand=None, choice=SMALL):
    return pipeline.select(messages, ME, choice, marks=by_hand or Marks())


def of(messages, number):
    """The id of the pair that ends in the answer with this number."""
    return next(p.id for p in select(messages).found if p.sent_at.day == number + 1)


def marked(mark, *ids):
    return Marks().marked(dict.fromkeys(ids, ()), mark)


def test_a_dropped_pair_is_never_chosen_and_counted():
    """C6: the owner's veto."""
    out = of(letters(20), 3)
    selection = select(letters(20), marked("drop", out))
    assert out not in {p.id for p in selection.pairs}
    assert len(selection.pairs) == 19
    [stage] = [s for s in selection.funnel.stages if s.name == "pairs"]
    assert stage.dropped == {"dropped by you": 1}
    assert selection.reasons == {out: "dropped by you"}


def test_what_nearly_repeats_a_dropped_pair_does_not_take_its_place():
    same = "That is not a plan, that is a wish. Bring numbers on Tuesday at nine."
    replies = {2: same, 5: same + ".", 9: same + " OK"}
    plain = select(letters(20, replies))
    assert len(plain.pairs) == 18
    out = of(letters(20, replies), 5)
    selection = select(letters(20, replies), marked("drop", out))
    assert not [p for p in selection.pairs if "wish" in p.reply]
    [stage] = [s for s in selection.funnel.stages if s.name == "pairs"]
    assert stage.dropped == {"dropped by you": 1, "nearly the same as one that you dropped": 2}
    # Unless the owner wants just that one.
    other = of(letters(20, replies), 9)
    both = marked("drop", out).marked({other: ()}, "pin")
    assert [p.id for p in select(letters(20, replies), both).pairs if "wish" in p.reply] == [other]


def test_a_pinned_pair_passes_the_gates_and_is_always_chosen():
    replies = {4: "word " * 500, 6: "Yes."}
    long, short = of(letters(30, replies), 4), of(letters(30, replies), 6)
    assert {long, short}.isdisjoint(p.id for p in select(letters(30, replies)).pairs)
    choice = Choice(5, allow_small=True)
    for seed in range(3):
        by_hand = marked("pin", long, short)
        chosen = select(letters(30, replies), by_hand, Choice(5, seed, allow_small=True)).pairs
        assert {long, short} <= {p.id for p in chosen}
        assert len(chosen) == 5
    six = marked("pin", *[p.id for p in select(letters(30)).pairs][:6])
    with pytest.raises(TwinError, match=r"6 pairs are pinned, but .* 5; ask for --size 6"):
        select(letters(30), six, choice)


def test_two_pinned_copies_both_stay():
    same = "That is not a plan, that is a wish. Bring numbers on Tuesday at nine."
    replies = {2: same, 5: same}
    by_hand = marked("pin", of(letters(9, replies), 2), of(letters(9, replies), 5))
    assert sum("wish" in p.reply for p in select(letters(9, replies), by_hand).pairs) == 2


def test_pinned_fragments_do_not_count_as_excess():
    replies = dict.fromkeys(range(8), "Oh well.")
    pinned = marked("pin", *(of(letters(20, replies), n) for n in range(8)))
    kept = [p for p in select(letters(20, replies), pinned).pairs if p.reply == "Oh well."]
    assert len(kept) == 8 > curate.SAME_REPLY_MOST


def test_pinned_pairs_are_learnt_not_held_out(tmp_path):
    newest = of(letters(20), 19)
    pairs = select(letters(20), marked("pin", newest)).pairs
    built = dataset.build(pairs, Persona("Thota"), tmp_path / "d")
    assert newest in {row.id for row in built.split("train")}
    assert min(built.counts.values()) > 0


def test_a_dropped_message_stays_dropped_when_a_grown_chat_cuts_its_turns_elsewhere():
    first = [p for p in select([*letters(5), *chat([1, 2])]).found if p.channel == "chat"]
    by_hand = Marks().marked({p.id: p.messages for p in first}, "drop")
    grown = select([*letters(5), *chat([1, 2, 3])], by_hand)
    now = [p for p in grown.found if p.channel == "chat"]
    assert now[0].id != first[0].id
    assert grown.reasons == {now[0].id: "dropped by you"}
    # And can be unmarked by the id that it has now.
    assert by_hand.concerned({p.id: p.messages for p in now}) == [now[0].id]
    assert by_hand.unmarked({p.id: p.messages for p in now}) == Marks()


def test_drop_is_stronger_than_pin_on_another_part_of_the_same_pair():
    [pair] = [p for p in select([*letters(5), *chat([1, 2])]).found if p.channel == "chat"]
    by_hand = Marks({"old": "pin", "new": "drop"}, {"old": pair.messages[:1], "new": pair.messages})
    assert by_hand.pinned([pair]) == frozenset()
    assert by_hand.dropped([pair]) == {pair.id}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "corpus")
    store.add(tmp_path / "all.mbox", "mail", letters(40), Skipped())
    return store


def build(store, choice=SMALL):
    return pipeline.build(store, ME, Persona("Thota"), store.path.parent.parent / "main", choice)


def ids(built):
    return {row.id for name in dataset.SPLITS for row in built.split(name)}


def test_marks_survive_a_rebuild_and_a_new_import_and_can_be_taken_back(store):
    built = build(store)
    out, keep = sorted(ids(built))[:2]
    assert pipeline.mark(store, built, [out[:9]], "drop") == {out: ""}
    assert pipeline.mark(store, built, [keep], "pin") == {keep: ""}
    for _ in range(2):
        built = build(store, Choice(10, allow_small=True))
        assert out not in ids(built)
        assert keep in ids(built)
        assert built.manifest["settings"]["pinned"] == 1
    source = store.path.parent.parent / "all.mbox"
    store.remove(source)
    store.add(source, "mail", letters(50), Skipped())
    built = build(store)
    assert out not in ids(built)
    assert pipeline.mark(store, built, [out[:9]], None) == {out: "dropped by you"}
    assert out in ids(build(store))


def test_the_file_is_private_and_holds_no_words(store):
    built = build(store)
    pipeline.mark(store, built, [next(iter(ids(built)))], "drop")
    for path in (store.path.parent / marks.FILE, built.path / pipeline.CANDIDATES):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "buckets" not in path.read_text()
        assert "example" not in path.read_text()


def test_a_damaged_file_is_an_error_not_an_empty_one(store):
    """Else what the owner dropped would come back."""
    for content in ("", "[]", '{"format": 1}', '{"format": 1, "marks": {"a": {"mark": "x"}}}'):
        (store.path.parent / marks.FILE).write_text(content)
        with pytest.raises(TwinError, match=r"marks\.json is damaged"):
            build(store)
    (store.path.parent / marks.FILE).write_text('{"format": 9, "marks": {}}')
    with pytest.raises(TwinError, match="another version"):
        build(store)


def test_ids_that_fit_nothing_or_several_change_nothing_and_are_all_named(store):
    built = build(store)
    known = sorted(ids(built))
    twins = next(a for a, b in pairwise(known) if a[0] == b[0])
    with pytest.raises(TwinError) as error:
        pipeline.mark(store, built, [known[0], twins[0], "zebra"], "drop")
    assert "no pair has an id that begins with 'zebra'" in str(error.value)
    assert f"'{twins[0]}' begins " in str(error.value)
    assert twins in str(error.value)
    assert not (store.path.parent / marks.FILE).exists()
    with pytest.raises(TwinError, match="no marked pair has an id that begins with"):
        pipeline.mark(store, built, [known[0]], None)
    (built.path / pipeline.CANDIDATES).unlink()
    with pytest.raises(TwinError, match="make it with `twin dataset build` again"):
        pipeline.mark(store, built, [known[0]], "drop")


IDS = st.text("abc", min_size=1, max_size=3)
HASHES = st.lists(st.sampled_from("123456"), max_size=3, unique=True)


@given(st.dictionaries(IDS, st.tuples(st.sampled_from(["drop", "pin"]), HASHES)))
def test_marks_are_read_as_they_were_written(tmp_path_factory, entries):
    written = Marks()
    for id_, (mark, hashes) in entries.items():
        written = written.marked({id_: hashes}, mark)
    directory = tmp_path_factory.mktemp("corpus")
    marks.save(directory, written)
    assert marks.load(directory) == written
    assert json.loads((directory / marks.FILE).read_text())["format"] == marks.FORMAT


@given(st.lists(IDS, min_size=1, unique=True), IDS)
def test_a_prefix_means_the_one_id_that_it_begins(ids, prefix):
    fitting = [id_ for id_ in ids if id_.startswith(prefix)]
    if prefix in fitting or len(fitting) == 1:
        assert marks.resolve([prefix], ids) == [prefix if prefix in fitting else fitting[0]]
    else:
        with pytest.raises(TwinError):
            marks.resolve([prefix], ids)
