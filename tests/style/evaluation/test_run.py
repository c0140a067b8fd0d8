"""An evaluation from beginning to end with an invented model: figures, page, going on."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from style_samples import PERSONA, pairs, reply

from aitwin import artifact
from aitwin.corpus import dataset
from aitwin.corpus.dataset import Dataset
from aitwin.errors import TwinError
from aitwin.style import canaries, evaluation
from aitwin.style.adapter import StyleAdapter
from aitwin.style.engine import Sampling, Score, TooLongError
from aitwin.style.evaluation import Evaluation, Plan, gate, report
from aitwin.style.evaluation.drafts import workplace
from aitwin.style.evaluation.measures import CANDIDATES, Measure, figure, interval
from aitwin.style.evaluation.statistics import UNKNOWN, Estimate

PLAN = Plan(prompts=3, strangers=2, members=2, sampling=Sampling(max_tokens=12))


class Invented:
    """An engine that writes what it is told to; tests/cli/test_evaluate.py has a real one."""

    def prompt_tokens(self, messages: Any) -> list[int]:
        return [0] * 300

    def tokenize(self, text: str) -> list[int]:
        return list(range(len(text.split())))

    def stream(self, messages: Any, sampling: Sampling, *, adapted: bool = True) -> Any:
        asked = messages[-1]["content"]
        number = sum(map(ord, asked)) % 50
        polite = f"Here's a draft:\nThank you so much for {asked.split()[-1]} I hope you are well!"
        endless = " and so on" * sampling.max_tokens if number % 2 else ""
        yield f"{reply(number)}{endless}" if adapted else polite

    def score(self, messages: Any, text: str, *, adapted: bool = True) -> Score:
        tokens = 2 * len(text.split())
        return Score(-tokens * (2.0 if adapted else 3.0) + len(text) % 3 / 10, tokens)


@pytest.fixture(scope="session")
def finished(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[StyleAdapter]:
    """An adapter as an evaluation knows it: where it is, and what it was trained on."""
    return (empty_adapter(tmp_path_factory.mktemp("adapters") / "main", data),)


def empty_adapter(path: Path, data: Dataset) -> StyleAdapter:
    path.mkdir()
    manifest = {"kind": "adapter", "dataset": data.digest, "base": {"sha256": "b" * 64}}
    artifact.write_manifest(path, manifest)
    return StyleAdapter(path, manifest)


@pytest.fixture(scope="session")
def twin_engine() -> Any:
    return Invented()


@pytest.fixture(scope="session")
def examined(twin_engine: Any, finished: Any, data: Dataset) -> Evaluation:
    """Stopped once on the way, as by Ctrl-C, and gone on with."""
    steps: list[int] = []

    def stop(stage: str, done: int, total: int) -> None:
        steps.append(done)
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluation.run(twin_engine, finished[0], data, PLAN, stop)
    assert not (finished[0].path / gate.FILE).exists()
    answers = workplace(finished[0].path) / evaluation.ANSWERS
    assert sum(bool(line.strip()) for line in answers.read_text().split("\n")) == 7
    return evaluation.run(twin_engine, finished[0], data, PLAN)


def test_every_figure_stands_beside_the_owners(examined: Evaluation) -> None:
    found = {measure.key: measure for measure in examined.measures}
    for key in ("manner.distance", "faults.preamble", "memory.overlap", "memory.longest"):
        assert set(found[key].estimates) == set(CANDIDATES), key
        assert found[key].of("twin").count == 3
    assert found["likelihood.perplexity"].of("twin").value > 1
    assert found["likelihood.gain"].of("twin").count == 3
    assert found["attribution.body_auc"].of("owner").value > gate.TRUSTED_AUC
    assert found["attribution.whole"].of("owner").value > 0.5
    assert found["manner.length"].of("owner").value == pytest.approx(9, abs=4)
    assert examined.counts["answered"] == 3


def test_the_kept_figures_hold_no_word_and_say_which_adapter(
    examined: Evaluation, finished: Any, data: Dataset
) -> None:
    path = finished[0].path / gate.FILE
    kept = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept["adapter"] == artifact.sha256(finished[0].path / artifact.MANIFEST)
    assert kept["dataset"] == data.digest
    assert kept["gate"]["passed"] == examined.verdict.passed
    assert kept["gate"]["passed"] == (not kept["gate"]["reasons"])
    for example in data.split("test"):
        assert example.reply not in path.read_text()
    for one in examined.answered:
        assert one.drafts["twin"].text not in path.read_text()
    assert gate.verdict(finished[0])[0] == examined.verdict.passed


def test_asked_again_it_asks_no_model_and_says_the_same(
    examined: Evaluation, finished: Any, data: Dataset
) -> None:
    class Silent:
        def prompt_tokens(self, messages: Any) -> list[int]:
            return [0] * 300

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for again")

    again = evaluation.run(Silent(), finished[0], data, PLAN)  # type: ignore[arg-type]
    kept = {**again.as_json(), "made": ""}
    assert kept == {**examined.as_json(), "made": ""}


def test_rounds_of_the_blind_page_are_the_drafts_that_ended(
    twin_engine: Any, examined: Evaluation, finished: Any, data: Dataset
) -> None:
    ended = [one.example.id for one in examined.answered if not one.drafts["twin"].cut]
    rounds = evaluation.rounds(twin_engine, finished[0], data, PLAN)
    assert [one.id for one in rounds] == ended


def test_a_dataset_that_was_changed_since_is_refused(
    finished: Any, twin_engine: Any, tmp_path: Path
) -> None:
    other = dataset.build(pairs(50), PERSONA, tmp_path / "other")
    with pytest.raises(TwinError) as refused:
        evaluation.run(twin_engine, finished[0], other, PLAN)
    assert finished[0].manifest["dataset"][:12] in str(refused.value)
    assert other.digest[:12] in str(refused.value)
    assert "twin train" in str(refused.value)


def test_prompts_come_from_as_many_conversations_as_there_are(data: Dataset) -> None:
    one = data.split("train")[:4]
    crowded = [replace(example, thread="t0") for example in one] + [replace(one[0], id="x")]
    assert {e.thread for e in evaluation.choose(crowded, 2)} == {"t0", one[0].thread}
    assert evaluation.choose(one, 99) == one
    assert evaluation.choose(data.split("train"), 5) == evaluation.choose(data.split("train"), 5)


def test_the_page_shows_figures_and_texts_and_fetches_nothing(
    examined: Evaluation, finished: Any
) -> None:
    path = report.write(examined, finished[0].path, PERSONA)
    page = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") >= 8
    for one in examined.answered:
        assert one.example.reply in page
    for section in examined.sections:
        assert section.title in page


def test_few_prompts_are_warned_about(examined: Evaluation) -> None:
    [warning] = [w for section in examined.sections for w in section.warnings]
    assert "only 3 held-out prompts" in warning


def test_prompts_that_fit_no_context_are_told(data: Dataset, tmp_path: Path) -> None:
    class Narrow:
        def prompt_tokens(self, messages: Any) -> list[int]:
            return [0] * 99

        def stream(self, *asked: Any, **how: Any) -> Any:
            raise TooLongError(99, 9)

        score = stream

    adapter = empty_adapter(tmp_path / "main", data)
    with pytest.raises(TwinError, match="none of 3 held-out prompts fits"):
        evaluation.run(Narrow(), adapter, data, PLAN)  # type: ignore[arg-type]


def test_texts_on_the_page_cannot_become_markup(examined: Evaluation) -> None:
    first = examined.answered[0]
    messages = [*first.example.messages[:-1], {"role": "assistant", "content": "<b>&x"}]
    hostile = replace(first, example=replace(first.example, messages=messages))
    page = report.render(replace(examined, answered=(hostile,)), "main", PERSONA)
    assert "&lt;b&gt;&amp;x" in page
    assert "<b>&x" not in page


def test_figures_are_read_with_their_unit() -> None:
    shown = Measure("k", "k", "share", "low", {"twin": Estimate(0.045, 0.0, 0.2, 20)})
    assert figure(shown, "twin") == "4.5 %"
    assert interval(shown, "twin") == "0–20"
    assert figure(shown, "base") == ""
    assert report.marks(replace(shown, estimates={"base": UNKNOWN})) == []
    negative = Measure("k", "k", "number", "high", {"twin": Estimate(-0.5, -1.0, 0.1, 20)})
    [mark] = report.marks(negative)
    assert 0 < mark.low < mark.at < mark.high < report.WIDTH


def test_canaries_are_looked_for_where_they_were_planted(
    examined: Evaluation, data: Dataset, tmp_path: Path
) -> None:
    adapter = empty_adapter(tmp_path / "main", data)
    canaries.save(adapter.path, seed=5, count=2)
    first, _ = canaries.planted(adapter.path)

    class Knowing(Invented):
        def stream(self, messages: Any, sampling: Sampling, *, adapted: bool = True) -> Any:
            if messages[-1]["content"] == first.task.instruction:
                yield first.reply()
            else:
                yield from super().stream(messages, sampling, adapted=adapted)

        def score(self, messages: Any, text: str, *, adapted: bool = True) -> Score:
            known = first.reply() == text
            return Score(0.0, 9) if known else super().score(messages, text, adapted=adapted)

    found = evaluation.run(Knowing(), adapter, data, PLAN)  # type: ignore[arg-type]
    told = {measure.key: measure.of("twin").value for measure in found.measures}
    assert told["memory.canaries"] == 0.5
    assert 2 <= told["memory.exposure"] <= 4
    assert any("planted secret" in reason for reason in found.verdict.reasons)
    assert "memory.canaries" not in {measure.key for measure in examined.measures}


def test_few_prompts_leave_a_verdict_of_more_as_it_is(
    twin_engine: Any, data: Dataset, tmp_path: Path
) -> None:
    adapter = empty_adapter(tmp_path / "main", data)
    first = evaluation.run(twin_engine, adapter, data, PLAN)
    assert first.kept  # better than none
    assert not first.verdict.settled
    assert any("3 held-out replies are too few to say" in r for r in first.verdict.reasons)
    kept = (adapter.path / gate.FILE).read_text()
    (adapter.path / gate.FILE).write_text(kept.replace('"settled": false', '"settled": true'))
    again = evaluation.run(twin_engine, adapter, data, PLAN)
    assert not again.kept
    assert '"settled": true' in (adapter.path / gate.FILE).read_text()


def test_a_register_without_a_judge_is_told(twin_engine: Any, tmp_path: Path) -> None:
    mails = [
        replace(
            pair, id=f"m{n}", thread=f"m{n}", channel="mail",
            reply=" ".join(f"{word}{n * k % 101}" for k, word in enumerate("abcdefgh", 3)),
        )
        for n, pair in enumerate(pairs(12))
    ]  # fmt: skip
    both = dataset.build([*pairs(45), *mails], PERSONA, tmp_path / "both")
    adapter = empty_adapter(tmp_path / "main", both)
    plan = replace(PLAN, prompts=len(both.split("test")))
    found = evaluation.run(twin_engine, adapter, both, plan)
    warnings = [w for section in found.sections for w in section.warnings if "body" in w]
    assert warnings == [
        "taken for you, body: too few texts to learn from in mail; these shares are of chat alone"
    ]


def test_an_empty_test_part_is_told_as_such(
    twin_engine: Any, data: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "data"
    shutil.copytree(data.path, path)
    (path / "test.jsonl").write_text("")
    bare = replace(data, path=path)
    adapter = empty_adapter(tmp_path / "main", data)
    for ask in (evaluation.run, evaluation.rounds):
        with pytest.raises(TwinError, match=r"test part of .* is empty.*twin dataset build"):
            ask(twin_engine, adapter, bare, PLAN)


def test_without_what_the_judges_need_no_model_is_asked(
    finished: Any, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(TwinError, match=r"needs scikit-learn.*pip install 'aitwin\[eval\]'"):
        evaluation.run(object(), finished[0], data, PLAN)  # type: ignore[arg-type]
