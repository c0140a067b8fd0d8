"""twin dataset drop, pin, unmark, redactions, report and twin corpus report, as typed."""

import json
import sys
from pathlib import Path

import pytest

from aitwin.cli import main
from aitwin.demo import SAMPLE_OWNER, THOTA
from aitwin.home import Home


@pytest.fixture
def twin(home, monkeypatch, capsys):
    """Run a command line; returns its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["twin", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    Home(home).write_settings(SAMPLE_OWNER)
    return run


@pytest.fixture
def built(twin, home):
    """The sample owner's dataset."""
    assert twin("corpus", "add", str(THOTA))[0] == 0
    assert twin("dataset", "build")[0] == 0
    return home / "datasets" / "main"


def rows(built: Path) -> dict[str, dict]:
    lines = [line for f in built.glob("*.jsonl") for line in f.read_text().split("\n") if line]
    return {row["id"]: row for row in map(json.loads, lines)}


def test_drop_pin_and_unmark_by_the_beginning_of_an_id(twin, built):
    before = rows(built)
    out, keep = list(before)[:2]
    code, printed, told = twin("dataset", "drop", out[:10])
    assert code == 0
    assert out in printed
    assert "twin dataset build" in told
    assert twin("dataset", "pin", keep)[0] == 0
    assert twin("dataset", "build", "--size", "200")[0] == 0
    after = rows(built)
    assert out not in after
    assert keep in after
    assert len(after) == 200
    assert "1 dropped, 1 pinned (1 of them in this dataset)" in twin("dataset", "show")[2]
    shown = json.loads(twin("dataset", "show", "--json")[1])
    assert shown["marks"] == {out: "drop", keep: "pin"}
    changed = json.loads(twin("dataset", "unmark", out[:10], keep[:10], "--json")[1])
    assert changed == {"changed": {out: "dropped by you", keep: ""}, "marks": {}}
    assert twin("dataset", "build")[0] == 0
    assert set(rows(built)) == set(before)


def test_wrong_ids_are_an_error_with_the_next_step(twin, built):
    code, _, told = twin("dataset", "drop", "nothing-like-this")
    assert code == 1
    assert "no pair has an id that begins with 'nothing-like-this'" in told
    assert "twin dataset report" in told
    assert twin("dataset", "drop")[0] == 2


def test_pairs_are_shown_with_their_ids(twin, built):
    known = rows(built)
    id_, row = next(iter(known.items()))
    printed = twin("dataset", "show", id_[:12])[1]
    assert id_ in printed
    assert row["messages"][-1]["content"].split()[0] in printed
    examples = twin("dataset", "show", "--examples", "3")[1]
    assert sum(id_ in examples for id_ in known) == 3
    assert [pair["id"] for pair in json.loads(twin("dataset", "show", id_, "--json")[1])] == [id_]


def test_what_was_left_out_is_shown_and_listed_and_can_be_pinned(twin, built):
    """C6: a pair that no page shows could not be brought back."""
    every = json.loads((built / "pairs.json").read_text())
    assert twin("dataset", "build", "--size", "200")[0] == 0
    left = sorted(every.keys() - rows(built).keys())
    listed = json.loads(twin("dataset", "show", "--left-out", "all", "--json")[1])
    assert sorted(pair["id"] for pair in listed) == left
    few = json.loads(twin("dataset", "show", "--left-out", "NEARLY the same", "--json")[1])
    assert 0 < len(few) < len(listed)
    assert {pair["reason"] for pair in few} == {"nearly the same as another (85%)"}
    assert f"Left out: {len(few)}" in twin("dataset", "show", "--left-out", "nearly the same")[1]
    id_ = next(pair["id"] for pair in listed if pair["reason"] == "not among the chosen")
    code, printed, told = twin("dataset", "show", id_[:12])
    assert (code, id_ in printed) == (0, True)
    assert f"{id_} was left out: not among the chosen" in told
    both = [id_, next(iter(rows(built)))]
    shown = json.loads(twin("dataset", "show", *both, "--json")[1])
    assert {pair["id"] for pair in shown} == set(both)
    assert twin("dataset", "pin", id_)[0] == 0
    assert twin("dataset", "build", "--size", "200")[0] == 0
    assert id_ in rows(built)


def test_reports_say_where_they_are(twin, built, home):
    code, printed, _ = twin("dataset", "report")
    assert (code, printed.strip()) == (0, str(built / "report.html"))
    code, printed, _ = twin("corpus", "report")
    assert (code, printed.strip()) == (0, str(home / "corpus" / "report.html"))
    assert "What was read" in Path(printed.strip()).read_text()
    (built / "report.html").unlink()
    code, _, told = twin("dataset", "report")
    assert code == 1
    assert "make it with `twin dataset build` again" in told


def test_an_empty_corpus_has_no_report(twin):
    code, _, told = twin("corpus", "report")
    assert code == 1
    assert "twin corpus add" in told


def test_the_owner_sees_what_was_taken_out_and_keeps_it_by_its_id(twin, built, home):
    """P1: in the clear on the terminal only; the veto is a line of twin.toml."""
    code, printed, _ = twin("dataset", "redactions", "--json")
    assert code == 0
    found = json.loads(printed)
    first = next(one for one in found if one["kind"] in ("PHONE", "EMAIL", "URL", "ADDRESS"))
    assert first["secret"] in twin("dataset", "redactions", "--kind", first["kind"].lower())[1]
    for file in built.iterdir():
        assert first["secret"] not in file.read_text()
    assert "twin dataset redactions" in (built / "report.html").read_text()
    code, _, told = twin("dataset", "redactions", "--allow", first["id"])
    assert (code, "twin dataset build" in told) == (0, True)
    assert first["secret"] in Home(home).settings().allow
    assert twin("dataset", "build")[0] == 0
    left = json.loads(twin("dataset", "redactions", "--json")[1])
    assert first["id"] not in [one["id"] for one in left]
    assert len(left) < len(found)
    code, _, told = twin("dataset", "redactions", "--allow", "0000000000")
    assert code == 1
    assert "no redaction of this dataset has the id 0000000000" in told
