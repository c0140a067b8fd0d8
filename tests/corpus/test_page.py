import json
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from aitwin.corpus import dataset, imports, page, pipeline
from aitwin.corpus.curate import Choice
from aitwin.corpus.messages import Message, Owner, Person
from aitwin.corpus.report import Skipped
from aitwin.corpus.store import Store
from aitwin.demo import SAMPLE_OWNER, THOTA
from aitwin.errors import TwinError
from aitwin.prompt import Persona

SAMPLE = Owner(
    SAMPLE_OWNER.name, frozenset(SAMPLE_OWNER.addresses), frozenset(SAMPLE_OWNER.chat_names)
)
ME = Owner("Thota", frozenset({"t@x.example"}))
HOSTILE = (
    '</script><script>alert(1)</script><img src="https://evil.example/x.png" onerror=alert(2)>'
)
CANARY = "zucchini-canary-4471@secret.example"


def number(text):
    return int(re.match(r"[\d,]+", text.strip())[0].replace(",", ""))


def parsed(path):
    return LexborHTMLParser(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """(store, dataset, page) of the sample owner."""
    home = tmp_path_factory.mktemp("sample")
    store = Store(home / "corpus")
    for _, result in imports.add(store, [THOTA]):
        assert not isinstance(result, TwinError)
    built = pipeline.build(store, SAMPLE, Persona("Thota"), home / "main")
    return store, built, parsed(built.path / page.FILE)


@pytest.mark.parametrize(
    ("wishes", "options"),
    [
        ({}, ""),
        ({"languages": ["en", "de"]}, " --language en --language de"),
        ({"mail_share": 0.5}, " --mail-share 0.5"),
        ({"mail_share": 0.0}, " --mail-share 0"),
        ({"tokens": {"row": 1024}}, " --tokens 1024"),
        ({"instructions": "llm"}, " --instructions llm"),
    ],
)
def test_the_command_that_builds_it_again_has_every_wish(sample, wishes, options):
    built = sample[1]
    manifest = {**built.manifest, "settings": {**built.manifest["settings"], **wishes}}
    assert page._build_command(replace(built, manifest=manifest)) == f"twin dataset build{options}"


@pytest.fixture(scope="module")
def baechle(shared, tmp_path_factory):
    """(store, dataset, page) of a real mailbox of 4,568 mails."""
    folder = shared / "corpora" / "baechle-mips"
    truth = (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    senders = [record["frm"] for record in map(json.loads, truth) if record["owner"]]
    address = re.compile(r"[^<>\s]+@[^<>\s]+")
    owner = Owner("Ralf Baechle", frozenset(address.findall(s)[-1].lower() for s in senders))
    home = tmp_path_factory.mktemp("baechle")
    store = Store(home / "corpus")
    list(imports.add(store, [folder]))
    built = pipeline.build(store, owner, Persona("Ralf"), home / "main")
    return store, built, parsed(built.path / page.FILE)


@pytest.fixture(scope="module", params=["sample", "baechle"])
def any_owner(request):
    return request.getfixturevalue(request.param)


def test_every_chosen_pair_is_in_the_review_with_its_id_and_command(any_owner):
    _, built, html = any_owner
    rows = {row.id: (name, row) for name in dataset.SPLITS for row in built.split(name)}
    items = html.css("#review-pairs article[data-pair]")
    assert {item.attributes["data-pair"] for item in items} == set(rows)
    assert len(items) == len(rows)
    for item in items:
        name, row = rows[item.attributes["data-pair"]]
        assert item.attributes["data-split"] == name
        assert item.attributes["data-channel"] == row.channel
        assert item.css_first(".own").text() == row.reply
        assert item.css_first("button[data-copy]").attributes["data-copy"] == (
            f"twin dataset drop {row.id}"
        )


def test_languages_and_what_was_read_whole_are_shown(any_owner):
    """What a mailbox holds and what of it was decoded, in numbers."""
    store, built, html = any_owner
    table = html.css_first("#languages ~ .scroll table")
    shown = {
        row.css_first("td").text(): number(row.css("td")[-1].text())
        for row in table.css("tr")
        if row.css_first("td")
    }
    assert shown == built.manifest["languages"]
    assert max(shown, key=shown.__getitem__) == "en"
    summary = store.summary(ME)
    assert f"Of {summary.mails:,} mails, {summary.whole_mails:,} were read whole" in html.text()
    assert summary.whole_mails < summary.mails


def test_its_counts_are_those_of_the_funnel(any_owner):
    store, built, html = any_owner
    stages = html.css(".stage")
    assert len(stages) == len(built.funnel.stages)
    for shown, stage in zip(stages, built.funnel.stages, strict=True):
        assert shown.css_first("header b").text() == stage.name
        came, went = shown.css_first("header .number").text().split("→")
        assert (number(came), number(went)) == (stage.came, stage.went)
        reasons = shown.css("details.reason > summary, div.reason")
        told = {r.text().split(maxsplit=1)[1].strip(): number(r.text()) for r in reasons}
        assert told == stage.dropped
    figures = [number(figure.text()) for figure in html.css(".figure")]
    log = store.import_log()
    assert figures[0] == sum(one.new for one in log)
    assert figures[2] == sum(built.counts.values())
    assert figures[4] == sum(one.skipped.total() for one in log)


def test_every_reason_why_a_pair_or_message_of_the_owners_is_lost_has_examples(any_owner):
    _, built, html = any_owner
    for shown, stage in zip(html.css(".stage"), built.funnel.stages, strict=True):
        if stage.name in ("read", "messages"):
            continue
        for details in shown.css("details.reason"):
            assert 1 <= len(details.css("article")) <= page.EXAMPLES
        assert len(shown.css("details.reason")) == len(stage.dropped)


def test_every_pair_that_was_left_out_is_listed(sample, tmp_path):
    """C6: with its id, so that it can be pinned."""
    store, _, _ = sample
    built = pipeline.build(store, SAMPLE, Persona("Thota"), tmp_path / "d", Choice(size=600))
    html = parsed(built.path / page.FILE)
    lines = {row.attributes["data-left-out"] for row in html.css("tr[data-left-out]")}
    shown = {row.attributes["data-pair"] for row in html.css(".stage [data-pair]")}
    assert lines | shown == set(pipeline.why_left_out(built))
    assert not lines & shown
    assert len(lines) > 200
    assert all(row.css("td")[2].text().strip() for row in html.css("tr[data-left-out]"))


def test_plots_add_up(any_owner):
    _, built, html = any_owner
    by_label = {
        figure.attributes["aria-label"]: sum(
            number(title.text().rpartition(": ")[2]) for title in figure.css("rect > title")
        )
        for figure in html.css("figure.plot")
    }
    chosen = next(s.went for s in built.funnel.stages if s.name == "usable pairs")
    assert by_label == {
        "messages that you wrote": built.funnel.stages[1].went,
        "chosen pairs": chosen,
        "words in the chosen replies": chosen,
    }


def test_nothing_is_fetched_from_anywhere(any_owner):
    """P1, C2."""
    html = any_owner[2]
    policy = html.css_first("meta[http-equiv]").attributes["content"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    for node in html.css("*"):
        names = set(node.attributes)
        assert names.isdisjoint({"src", "srcset", "action", "poster", "data", "onclick", "onload"})
        assert (node.attributes.get("href") or "#").startswith("#")
        assert "url(" not in (node.attributes.get("style") or "")
    assert not re.search(r"url\(|@import", html.css_first("style").text())
    assert len(html.css("script")) == 1


def test_the_pages_and_lists_are_private(sample):
    store, built, _ = sample
    page.write(store.path.parent / page.FILE, page.of_corpus(store, SAMPLE))
    for path in (built.path / page.FILE, store.path.parent / page.FILE):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_not_read_is_there_with_its_place(sample):
    store, _, html = sample
    lost = {d.css_first("summary").text(): d for d in html.css("#lost ~ details.reason")}
    spam = next(details for summary, details in lost.items() if "spam" in summary)
    [place] = [code.text() for code in spam.css("code")]
    assert re.fullmatch(r"work\.mbox@\d+", place)
    mbox = (THOTA / "work.mbox").read_bytes()
    assert b"spam" in mbox[int(place.partition("@")[2]) :][:2000].lower()
    corpus = LexborHTMLParser(page.of_corpus(store, SAMPLE))
    assert place in {code.text() for code in corpus.css(".places code")}
    assert not corpus.css("article")


def test_files_that_were_not_imported_are_named_until_they_are(tmp_path):
    (tmp_path / "in").mkdir()
    notes, when = tmp_path / "in" / "notes.txt", tmp_path / "in" / "when.txt"
    notes.write_text("leeks\n")
    when.write_text("[01/02/2020, 18:24:25] Ana: dry?\n[01/02/2020, 18:25:02] Thota: No.\n")
    store = Store(tmp_path / "corpus")
    list(imports.add(store, [tmp_path / "in"]))
    shown = LexborHTMLParser(page.of_corpus(store, ME))
    assert {code.text() for code in shown.css(".places code")} == {str(notes), str(when)}
    list(imports.add(store, [when], "dmy"))
    assert list(store.passed_over()) == [notes]


def exchange(replies, name="Ana"):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for n, reply in enumerate(replies):
        ana, asked = Person(name, "a@y.example"), start + timedelta(days=n)
        yield Message(f"a{n}", "mail", ana, asked, f"{HOSTILE} {n}?", f"On {n} {HOSTILE}")
        yield Message(
            f"b{n}", "mail", Person("", "t@x.example"), asked + timedelta(hours=1),
            reply, f"Re: On {n} {HOSTILE}", (ana,), (f"a{n}",),
        )  # fmt: skip


def hostile_page(tmp_path, text, name="Ana"):
    words = ["leeks", "boats", "radios", "bowls", "bunting", "pumps", "gaskets", "crumpets"]
    replies = [
        f"{words[n % 8]} {n} {words[n // 8]} and {words[(n * 3) % 8]} {n * 7919} {text}"
        for n in range(40)
    ]
    replies += [f"The same for everybody, which is {text} and no more of it."] * 3 + [text * 200]
    skipped = Skipped()
    skipped.add(f"odd {HOSTILE}", f"{HOSTILE}.mbox@7")
    store = Store(tmp_path / "corpus")
    store.add(Path(f"/{HOSTILE}"), "mail", exchange(replies, name), skipped)
    return pipeline.build(store, ME, Persona("Thota"), tmp_path / "it's", Choice(allow_small=True))


def test_hostile_mail_is_text_and_nothing_else(tmp_path):
    """Subjects, names, texts, paths and reasons are written by strangers."""
    built = hostile_page(tmp_path, HOSTILE, name=HOSTILE)
    html = parsed(built.path / page.FILE)
    [script] = html.css("script")
    assert "alert" not in script.text()
    assert not html.css("img, iframe, object, embed, link, base, form")
    assert not [n for n in html.css("*") if any(a.startswith("on") for a in n.attributes)]
    reply = html.css_first("#review-pairs .own").text()
    assert HOSTILE in reply
    # The name of the dataset is a shell word in the commands.
    assert html.css_first("html").attributes["data-option"] == " --name 'it'\"'\"'s'"
    assert html.css_first("html").attributes["data-build"].endswith("--allow-small")


def test_no_secret_is_in_any_file_of_the_dataset(tmp_path):
    """P1: examples of what was left out are redacted, too."""
    built = hostile_page(tmp_path, CANARY, name=CANARY)
    files = list(built.path.iterdir())
    assert {page.FILE, pipeline.CANDIDATES, "train.jsonl"} <= {file.name for file in files}
    assert not [file.name for file in files if b"zucchini" in file.read_bytes()]
    html = parsed(built.path / page.FILE)
    assert html.css_first("#review-pairs mark").text() == "[EMAIL_1]"
    assert html.css_first("#review-pairs article").attributes["data-redacted"] == "yes"


def test_near_duplicates_stand_side_by_side(tmp_path):
    html = parsed(hostile_page(tmp_path, "fine").path / page.FILE)
    [group] = html.css("#copies ~ details")
    kept, copies = group.css(".pair > div")
    assert len(kept.css("article")) == 1
    assert [a.css("header span")[1].text() for a in copies.css("article")] == [
        "nearly the same as another (85%)"
    ] * 2


def test_a_long_time_is_told_by_year_and_gaps_are_shown():
    assert page.timeline({"2023-11": 1, "2024-02": 2, "2031-01": 0}) == [
        page.Bar("2023-11", (1,)),
        page.Bar("2023-12", (0,)),
        page.Bar("2024-01", (0,)),
        page.Bar("2024-02", (2,)),
    ]
    years = page.timeline({"1970-01": 1, "2024-02": 2, "2024-03": 1})
    assert (len(years), years[0], years[-1]) == (
        55,
        page.Bar("1970", (1,)),
        page.Bar("2024", (3,)),
    )
    assert page.timeline({}) == []


def test_the_same_dataset_has_the_same_page(sample, tmp_path):
    store, built, _ = sample
    again = pipeline.build(store, SAMPLE, Persona("Thota"), tmp_path / "main")
    assert (again.path / page.FILE).read_bytes() == (built.path / page.FILE).read_bytes()
