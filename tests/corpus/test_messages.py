from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.corpus import messages
from aitwin.corpus.messages import Message, Owner, Person, threads

DAY = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
ME = Owner("Thota", frozenset({"t@x.example", "home@x.example"}), frozenset({"Thota"}))


def mail(id, by="ana@y.example", day=0.0, subject="", refs=(), conversation="", to=None):
    return Message(
        id=id,
        channel="mail",
        sender=Person("", by),
        sent_at=DAY + timedelta(days=day),
        text=f"text of {id}",
        subject=subject,
        recipients=(to,) if to else (),
        references=tuple(refs),
        conversation=conversation,
    )


def chat(id, name, minute, conversation="Ana"):
    moment = DAY + timedelta(minutes=minute)
    return Message(id, "chat", Person(name), moment, "hm", conversation=conversation)


def grouped(*mails):
    return [[message.id for message in thread.messages] for thread in threads(mails)]


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Boat", "RE: boat", "AW: Boat", "Antw: Boat", "SV: Boat", "Odp: Boat", "回复：Boat",
        "回复: Boat", "Re[2]: Boat", "Re: AW: Re:  Boat", "RES: Boat", "Ynt: Boat", "Re : Boat",
        "Отв: Boat", "R: Boat",
    ],
)  # fmt: skip
def test_a_reply_prefix_in_any_language_leaves_the_bare_subject(subject):
    assert messages.bare_subject(subject) == "boat"
    assert messages.has_reply_subject(mail("1", subject=subject))


@pytest.mark.parametrize(
    "subject", ["Report: Boat", "Area 51: x", "Recap", "Swim: today", "Thread"]
)
def test_words_that_begin_like_a_prefix_are_subjects(subject):
    assert messages.bare_subject(subject) == subject.casefold()
    assert not messages.has_reply_subject(mail("1", subject=subject))


def test_a_list_tag_may_stand_before_the_prefix():
    assert messages.bare_subject("[linux-mips] Re: cache") == "[linux-mips] cache"
    assert messages.without_prefixes("Re: [PATCH 1/2] Cache") == "[PATCH 1/2] Cache"


def test_forwards_are_no_replies():
    assert messages.has_forward_subject(mail("1", subject="WG: Boat"))
    assert not messages.has_forward_subject(mail("1", subject="Re: Fwd: Boat"))


def test_references_connect_also_through_a_mail_that_is_missing():
    assert grouped(
        mail("b", day=1, refs=["lost"]), mail("c", day=2, refs=["a", "lost"]), mail("a")
    ) == [["a", "b", "c"]]


def test_the_sources_own_thread_id_connects():
    assert grouped(mail("a", conversation="7"), mail("b", day=9, conversation="7")) == [["a", "b"]]


def test_a_reply_without_headers_joins_its_subject_for_60_days_only():
    first = mail("a", subject="Boat")
    assert grouped(first, mail("b", day=59, subject="AW: boat")) == [["a", "b"]]
    assert grouped(first, mail("b", day=61, subject="AW: boat")) == [["a"], ["b"]]
    # Two people may both write about "Boat" without answering each other.
    assert grouped(first, mail("b", day=1, subject="Boat")) == [["a"], ["b"]]


def test_a_chat_keeps_the_order_of_the_export_within_one_minute():
    said = [chat("z", "Ana", 0), chat("a", "Thota", 0), chat("m", "Ana", 0)]
    assert grouped(*said) == [["z", "a", "m"]]


def test_the_parent_is_the_mail_that_is_named_last_and_no_other():
    """Where that one is missing, an older one, often the owner's own, says something else."""
    mails = [
        mail("a", subject="Boat"),
        mail("b", day=1, subject="Re: Boat"),
        mail("c", day=2, by="t@x.example", refs=["a", "b"]),
        mail("d", day=3, by="t@x.example", refs=["a", "b", "lost"], subject="Re: Boat"),
    ]
    assert messages.parent(mails[2], mails, ME) == mails[1]
    assert messages.parent(mails[3], mails, ME) is None


def test_without_headers_the_parent_is_the_last_mail_of_the_subject_by_who_is_addressed():
    mails = [
        mail("a", subject="Boat"),
        mail("b", day=1, subject="Re: Boat"),
        mail("c", day=2, subject="Re: Boat", by="home@x.example"),
        mail("d", day=2, subject="Re: Boat", by="carol@z.example"),
        mail("e", day=4, subject="Re: Boat"),
    ]
    to_ana = {"by": "t@x.example", "day": 3, "to": mails[1].sender}
    assert messages.parent(mail("m", subject="SV: boat", **to_ana), mails, ME) == mails[1]
    assert messages.parent(mail("n", subject="Boat", **to_ana), mails, ME) is None
    assert (
        messages.parent(mail("o", subject="SV: boat", by="t@x.example", day=3), mails, ME) is None
    )


def test_in_mail_an_address_makes_the_owner_never_a_name():
    stranger = Message("1", "mail", Person("Thota", "thota@spam.example"), DAY, "hello")
    assert not ME.wrote(stranger)
    assert ME.wrote(mail("2", by="t@x.example"))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        Message("1", "mail", Person(""), datetime(2024, 1, 1), "x")  # noqa: DTZ001


IDS = st.sampled_from("abcdefgh")


@given(
    st.lists(
        st.builds(
            mail,
            IDS,
            st.sampled_from(["t@x.example", "ana@y.example"]),
            st.integers(0, 90),
            st.sampled_from(["", "Boat", "Re: Boat", "AW: Cat"]),
            st.lists(IDS, max_size=3),
            st.sampled_from(["", "", "7"]),
        )
        | st.builds(chat, IDS, st.sampled_from(["Ana", "Thota"]), st.integers(0, 9)),
        max_size=12,
    )
)
def test_threads_partition_the_messages(mixed):
    found = [message for thread in threads(mixed) for message in thread.messages]
    assert sorted(m.id for m in found) == sorted({m.id for m in mixed})
    for thread in threads(mixed):
        times = [message.sent_at for message in thread.messages]
        assert times == sorted(times)
