"""Mail, datasets and pairs over HTTP: what is told, decided by hand, sent and kept."""

import json
import os
import shutil
import stat
from datetime import UTC, datetime, timedelta

import pytest

from aitwin.corpus import kept, pipeline
from aitwin.corpus.curate import Choice
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Store
from aitwin.home import Home, Settings
from aitwin.prompt import Persona, Task
from aitwin.prompt import user as request_of
from aitwin.server import mailboxes

CANARY = "zuccanary"
ME = Owner("Thota", frozenset({"t@x.example"}), frozenset({"Thota"}))
MAIL = b"".join(
    b"From a Thu Jan  3 08:00:00 2024\nFrom: Ana <ana@y.example>\nTo: t@x.example\n"
    b"Date: Thu, 3 Jan 2024 08:%02d:00 +0000\nMessage-ID: <%d@y>\nSubject: boat\n\nBoat?\n\n"
    % (n, n)
    for n in range(5)
)
CHAT = "".join(
    f"[03/01/2024, 08:{n:02}:00] {who}: line {n} of it\n"
    for n, who in enumerate(["Ana", "Thota"] * 8)
)
OCTETS = {"Content-Type": "application/octet-stream"}


def letters(count):
    """Mails to the owner, each with an answer."""
    for n in range(count):
        name = "".join(chr(97 + (n * k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        ana, moment = Person("Ana", "ana@y.example"), datetime(2024, 1, 1, tzinfo=UTC)
        moment += timedelta(days=n)
        yield Message(f"a{n}", "mail", ana, moment, f"What about {name}?", f"On {name}")
        yield Message(
            f"b{n}", "mail", Person("", "t@x.example"), moment + timedelta(hours=1),
            f"Bring {n} buckets of {name}, the {name} pump is at {n}.", f"Re: On {name}",
            (ana,), (f"a{n}",),
        )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A home whose owner has a corpus and a dataset."""
    place = Home(tmp_path_factory.mktemp("built") / "home").open()
    place.write_settings(Settings("Thota", ("t@x.example",), ("Thota",)))
    Store(place.corpus).add(place.root / "all.mbox", "mail", letters(40), Skipped())
    build(place)
    return place


@pytest.fixture
def owned(home, built):
    """The same, for one test."""
    shutil.copytree(built.root, home)
    return Home(home)


def build(place):
    choice = Choice(allow_small=True)
    target = place.datasets / "main"
    return pipeline.build(Store(place.corpus), ME, Persona("Thota"), target, choice)


def end_of(http, job):
    """A job, when it has ended."""
    with http.stream("GET", f"/jobs/{job['id']}/events") as stream:
        lines = list(stream.iter_lines())
    return json.loads(lines[lines.index("event: end") + 1].removeprefix("data: "))


def kind_of(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


# Datasets and pairs


def test_a_dataset_is_told_in_numbers_that_add_up(owned, http):
    """C3, C5: how messages became pairs, and why the others did not."""
    [listed] = http.get("/datasets").json()["datasets"]
    told = http.get("/datasets/main").json()
    assert listed == {key: told[key] for key in listed}
    assert (told["id"], told["pairs"], told["stale"]) == ("main", 40, False)
    assert sum(told["counts"].values()) == 40
    assert sum(bar["mail"] for bar in told["lengths"]) == 40
    assert sum(bar["mail"] for bar in told["months"]) == 40
    assert [bar["label"] for bar in told["months"]] == ["2024-01", "2024-02"]
    for before, after in zip(told["funnel"], told["funnel"][1:], strict=False):
        assert before["went"] == after["came"]
        lost = sum(one["count"] for one in before["dropped"])
        assert before["came"] == before["went"] + lost
    page = http.get("/datasets/main/page")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-same-origin" not in policy


def test_a_dataset_is_stale_when_messages_have_come_since(owned, http):
    store = Store(owned.corpus)
    again = store.add(owned.root / "all.mbox", "mail", letters(40), Skipped())
    assert again.new == 0
    assert not http.get("/datasets/main").json()["stale"]
    store.add(owned.root / "more.mbox", "mail", letters(41), Skipped())
    assert http.get("/datasets/main").json()["stale"]


def test_pairs_are_looked_through_page_by_page(owned, http):
    def pairs(**query):
        return http.get("/datasets/main/pairs", params=query).json()

    everything = pairs(limit=500)
    assert everything["total"] == len(everything["pairs"]) == 40
    moments = [pair["sent_at"] for pair in everything["pairs"]]
    assert moments == sorted(moments, reverse=True)
    second = pairs(limit=15, offset=15)
    assert second["pairs"] == everything["pairs"][15:30]
    assert second["total"] == 40
    assert pairs(split="test")["total"] == http.get("/datasets/main").json()["counts"]["test"]
    one = everything["pairs"][7]
    assert pairs(q=one["id"][:9])["pairs"] == [one]
    assert pairs(q=one["reply"].upper()[:25])["pairs"] == [one]
    assert one["instruction"].startswith(("Reply", "Answer", "Write", "Draft"))
    assert one["incoming"].startswith("What about ")
    assert pairs(q="no such words")["total"] == 0
    assert pairs(offset=40) == {"total": 40, "offset": 40, "pairs": []}


def test_marks_are_set_taken_back_and_obeyed_by_the_next_build(owned, http):
    ids = [pair["id"] for pair in http.get("/datasets/main/pairs").json()["pairs"]]

    def mark(how, *which):
        return http.post("/datasets/main/marks", json={"ids": list(which), "mark": how})

    assert mark("drop", *ids[:2]).json() == {
        "changed": {ids[0]: "", ids[1]: ""},
        "marks": {"dropped": 2, "pinned": 0, "edited": 0, "kept": 0},
    }
    assert mark("pin", ids[2]).json()["marks"]["pinned"] == 1
    # None of those that bear no mark is an error: a page that is a little old sends them.
    assert mark("none", ids[0], ids[5]).json()["changed"] == {ids[0]: ""}
    assert http.get("/datasets/main").json()["stale"]
    marked = http.get("/datasets/main/pairs", params={"mark": "drop"}).json()
    assert [pair["id"] for pair in marked["pairs"]] == [ids[1]]
    assert kind_of(mark("drop", ids[7], f"{CANARY}")) == (404, "unknown-pair")
    assert http.get("/datasets/main").json()["marks"]["dropped"] == 1  # all or nothing
    build(owned)
    now = http.get("/datasets/main/pairs").json()["pairs"]
    assert ids[1] not in {pair["id"] for pair in now}
    assert not http.get("/datasets/main").json()["stale"]


def test_an_edit_is_kept_and_taken_back(owned, http):
    one = http.get("/datasets/main/pairs").json()["pairs"][3]
    at = f"/datasets/main/pairs/{one['id']}"
    put = http.patch(at, json={"reply": "Otherwise put."}).json()
    assert put == {**one, "edit": "Otherwise put."}
    found = http.get("/datasets/main/pairs", params={"q": "otherwise PUT"}).json()["pairs"]
    assert found == [put]
    assert http.get("/datasets/main").json()["marks"]["edited"] == 1
    assert http.patch(at, json={"reply": f"  {one['reply']}\n"}).json() == one
    assert http.get("/datasets/main").json()["marks"]["edited"] == 0
    other = at.replace(one["id"], "f" * 16)
    assert kind_of(http.patch(other, json={"reply": CANARY})) == (404, "unknown-pair")


def test_a_kept_draft_is_asked_for_as_a_draft_is(owned, http):
    """W2: "Keep my edit as a pair". The prompt that is learnt is the one that is served."""
    wanted = {
        "instruction": "Tell her that Thursday works",
        "context": "Does Thursday suit you?",
        "kind": "reply",
        "to": "Ana",
        "length": "short",
        "reply": "Thursday it is. Thanks!",
    }
    answer = http.post("/pairs", json=wanted)
    assert answer.status_code == 201
    draft = answer.json()
    assert http.post("/pairs", json=wanted).json() == draft
    assert http.get("/pairs").json() == {"pairs": [draft]}
    built = build(owned)
    [row] = [row for row in built.split("train") if row.id == draft["id"]]
    served = Task(wanted["instruction"], wanted["context"], kind="reply", to="Ana", length="short")
    assert row.messages[1]["content"] == request_of(served)
    listed = http.get("/datasets/main/pairs", params={"q": draft["id"]}).json()["pairs"]
    assert [pair["kept"] for pair in listed] == [True]
    assert stat.S_IMODE((owned.corpus / kept.FILE).stat().st_mode) == 0o600
    assert http.delete(f"/pairs/{draft['id']}").status_code == 204
    assert kind_of(http.delete(f"/pairs/{draft['id']}")) == (404, "unknown-pair")
    assert http.get("/pairs").json() == {"pairs": []}


def test_a_chat_is_kept_as_a_chat(http):
    wanted = {"instruction": "Yes", "register": "chat", "context": "Ana: tea?", "reply": "yes!"}
    assert http.post("/pairs", json=wanted).json()["channel"] == "chat"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"instruction": "Say no", "reply": " \n "}, "cannot"),
        ({"instruction": "", "reply": "Yes."}, "cannot"),
        ({"instruction": "x", "reply": CANARY, "chanel": "mail"}, "invalid-request"),
        ({"instruction": "x", "reply": CANARY * 3000}, "invalid-request"),
    ],
)
def test_what_cannot_be_kept_is_a_problem(http, body, kind):
    assert kind_of(http.post("/pairs", json=body)) == (422, kind)


def test_an_unknown_dataset_is_a_problem(owned, http):
    """Path tricks in names lead nowhere."""
    for name in ("other", "%2e%2e", "a%2fb", ".main", "main%0a", "%00", CANARY):
        for rest in ("", "/page", "/pairs"):
            answer = http.get(f"/datasets/{name}{rest}")
            assert answer.status_code == 404, (name, rest)
            assert CANARY not in answer.text


def test_a_dataset_that_was_changed_is_told_and_hides_no_other(owned, http):
    target = owned.datasets / "other"
    choice = Choice(allow_small=True)
    pipeline.build(Store(owned.corpus), ME, Persona("Thota"), target, choice)
    (owned.datasets / "main" / "test.jsonl").write_text("{}\n")
    told = http.get("/datasets").json()
    assert [one["id"] for one in told["datasets"]] == ["other"]
    assert "was changed after it was built" in told["problems"][0]
    assert kind_of(http.get("/datasets/main")) == (422, "cannot")


def test_a_dataset_is_built_by_a_job(owned, http):
    """The real command, in a process of its own, with what the request says."""
    wanted = {"name": "small", "size": 20, "allow_small": True, "languages": ["en"]}
    job = http.post("/datasets", json=wanted)
    assert job.status_code == 202, job.text
    end = end_of(http, job.json())
    assert (end["state"], end["kind"], end["name"]) == ("done", "build", "small"), end
    assert end["result"]["pairs"] == 20
    told = http.get("/datasets/small").json()
    assert told["settings"]["languages"] == ["en"]
    assert told["digest"] == end["result"]["digest"]


def test_a_build_that_could_only_fail_is_refused_at_once(owned, http):
    assert kind_of(http.post("/datasets", json={"size": 20})) == (422, "cannot")
    assert kind_of(http.post("/datasets", json={"size": 0})) == (422, "invalid-request")
    assert kind_of(http.post("/datasets", json={"name": "../x"})) == (422, "invalid-request")
    owned.settings_file.unlink()
    assert kind_of(http.post("/datasets", json={})) == (409, "not-set-up")
    assert http.get("/jobs").json()["jobs"] == []


# The corpus


def test_the_corpus_is_told_with_what_is_to_be_done(owned, http):
    """C1: whether the owner is recognised, and who speaks where nobody is known as the owner."""
    store = Store(owned.corpus)
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    chat = [
        Message(f"c{n}", "chat", Person(who), moment, f"line {n}", conversation="m")
        for n, who in enumerate(["Meera", "Tom", "Meera"])
    ]
    skipped = Skipped()
    skipped.add("without a date", "chat.txt@3")
    store.add(owned.root / "Chat.txt", "whatsapp", chat, skipped)
    strange = [
        Message(f"d{n}", "mail", Person("Thota", "old@z.example"), moment, "x") for n in range(4)
    ]
    store.add(owned.root / "old.mbox", "mail", strange, Skipped())
    told = http.get("/corpus").json()
    assert told["known_owner"]
    assert (told["messages"], told["own"], told["chat_messages"]) == (87, 40, 3)
    assert [(one["name"], one["format"], one["read"]) for one in told["sources"]] == [
        ("all.mbox", "mail", 80), ("Chat.txt", "whatsapp", 3), ("old.mbox", "mail", 4),
    ]  # fmt: skip
    assert told["losses"] == [{"reason": "without a date", "count": 1, "places": ["chat.txt@3"]}]
    assert told["suggested_addresses"] == [{"name": "old@z.example", "count": 4}]
    assert told["unknown_chats"] == [
        {
            "name": "Chat.txt",
            "speakers": [{"name": "Meera", "count": 2}, {"name": "Tom", "count": 1}],
        }
    ]
    assert [month["month"] for month in told["months"]] == ["2024-01", "2024-02", "2024-03"]
    page = http.get("/corpus/page")
    assert page.headers["content-type"].startswith("text/html")
    assert "Recognised as yours" in page.text


@pytest.mark.parametrize(
    "path", ["", "relative.mbox", "/nowhere/Sent.mbox", "~nobody9/x", "/" + "x" * 4000, "/a\0b"]
)
def test_a_path_that_leads_nowhere_is_a_problem(http, path):
    answer = http.post("/corpus/imports", json={"path": path})
    assert kind_of(answer) in ((404, "unknown-path"), (422, "invalid-request"))


@pytest.mark.parametrize(
    ("name", "kept_as", "content"),
    [
        ("Sent.mbox", "Sent.mbox", MAIL),
        ("../../etc/passwd", "passwd", MAIL),
        ("C:\\mail\\Sent.mbox", "Sent.mbox", MAIL),
        ("", "upload", MAIL),
        ("..", "upload", MAIL),
        ("né\n\0w\ud83d.mbox", "néw.mbox", MAIL),
        ("😀" * 200 + ".mbox", None, MAIL),
        ("WhatsApp Chat - Ana.txt", "WhatsApp Chat - Ana.txt", CHAT.encode()),
    ],
)
def test_a_file_that_is_sent_is_imported_and_stays(home, http, name, kept_as, content):
    """C1: known by its content, whatever it is called; its name is no path."""
    name = name.encode("utf-8", "ignore").decode()
    told = {"name": name, "dates": "dmy"}
    answer = http.post("/corpus/uploads", params=told, content=content, headers=OCTETS)
    assert answer.status_code == 202, answer.text
    assert end_of(http, answer.json())["state"] == "done"
    [folder] = (home / "corpus" / "uploads").iterdir()
    [file] = folder.iterdir()
    assert kept_as in (None, file.name)
    assert len(os.fsencode(file.name)) <= 255
    assert file.read_bytes() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [source] = http.get("/corpus").json()["sources"]
    assert source["read"] > 0


def test_the_same_file_twice_is_one(home, http):
    for name in ("Sent.mbox", "Sent (1).mbox"):
        job = http.post("/corpus/uploads", params={"name": name}, content=MAIL, headers=OCTETS)
        end = end_of(http, job.json())
    assert end["result"]["new"] == 0
    assert len(list((home / "corpus" / "uploads").iterdir())) == 1


def nothing_is_left(home):
    uploads = home / "corpus" / "uploads"
    return not uploads.is_dir() or not list(uploads.iterdir())


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", (422, "unusable-file")),
        (b"\x89PNG\r\n\x1a\n" + bytes(5000), (415, "not-a-corpus")),
        (f"{CANARY} is no mail at all".encode(), (415, "not-a-corpus")),
        (b"PK\x03\x04" + bytes(3000), (415, "not-a-corpus")),
    ],
)
def test_what_is_no_mail_is_refused_and_not_kept(home, http, content, kind):
    answer = http.post("/corpus/uploads", params={"name": CANARY}, content=content, headers=OCTETS)
    assert kind_of(answer) == kind
    assert nothing_is_left(home)
    assert http.get("/jobs").json()["jobs"] == []


def test_an_upload_that_breaks_off_leaves_nothing(home, http):
    """Nothing half-stored. The client promises more than it sends, and goes."""
    import socket
    import time

    address = (http.base_url.host, http.base_url.port)
    head = (
        f"POST /corpus/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(MAIL) * 2}\r\n"
        f"Authorization: {http.headers['authorization']}\r\nX-Twin-Caller: machine\r\n\r\n"
    )
    with socket.create_connection(address) as connection:
        connection.sendall(head.encode() + MAIL)
        uploads = home / "corpus" / "uploads"
        while not uploads.is_dir() or nothing_is_left(home):
            time.sleep(0.01)
    deadline = time.monotonic() + 10
    while not nothing_is_left(home):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert http.get("/jobs").json()["jobs"] == []


def test_an_upload_that_the_disk_cannot_hold_is_refused_before_it_is_read(http, home, monkeypatch):
    monkeypatch.setattr(mailboxes, "SPARE", 1 << 60)
    answer = http.post("/corpus/uploads", content=MAIL, headers=OCTETS)
    assert kind_of(answer) == (507, "disk-full")
    assert nothing_is_left(home)


def test_an_upload_for_which_no_job_can_be_started_leaves_nothing(home, http, monkeypatch):
    from aitwin.server import runner

    monkeypatch.setattr(runner, "WAITING", -1)
    answer = http.post("/corpus/uploads", content=MAIL, headers=OCTETS)
    assert kind_of(answer) == (429, "queue-full")
    assert nothing_is_left(home)
