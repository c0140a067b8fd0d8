"""Every rule passes where it should, fails where it should, and says with which figures."""

import json
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from aitwin import artifact
from aitwin.style.adapter import StyleAdapter
from aitwin.style.evaluation import gate
from aitwin.style.evaluation.measures import Candidate, Measure, figure
from aitwin.style.evaluation.statistics import Estimate, share

GOOD: dict[str, dict[Candidate, float]] = {
    "likelihood.gain": {"twin": 0.6},
    "attribution.body": {"base": 0.1, "twin": 0.5, "owner": 0.8},
    "manner.distance": {"base": 1.2, "twin": 0.6, "owner": 0.3},
    "faults.preamble": {"twin": 0.0},
    "faults.refusal": {"twin": 0.0},
    "faults.empty": {"twin": 0.04},
    "faults.language": {"twin": 0.0},
    "memory.overlap": {"twin": 0.01, "owner": 0.0},
    "memory.longest": {"twin": 14, "owner": 9},
    "memory.private": {"twin": 0.0, "owner": 0.02},
    "memory.canaries": {"twin": 0.0},
    "memory.membership": {"twin": 0.6},
}
BAD: dict[str, dict[Candidate, float]] = {
    "likelihood.gain": {"twin": 0.04},
    "attribution.body": {"base": 0.1, "twin": 0.3, "owner": 0.8},
    "manner.distance": {"base": 0.5, "twin": 0.6, "owner": 0.3},
    "faults.preamble": {"twin": 0.12},
    "faults.refusal": {"twin": 0.08},
    "faults.empty": {"twin": 0.12},
    "faults.language": {"twin": 0.12},
    "memory.overlap": {"twin": 0.16, "owner": 0.01},
    "memory.longest": {"twin": 40, "owner": 9},
    "memory.private": {"twin": 0.4, "owner": 0.02},
    "memory.canaries": {"twin": 0.25},
    "memory.membership": {"twin": 0.95},
}


def measures(figures: dict[str, dict[Candidate, float]]) -> list[Measure]:
    return [
        Measure(
            key, key, "number", "low",
            {c: Estimate(value, value - 0.05, value + 0.05, 20) for c, value in of.items()},
        )
        for key, of in figures.items()
    ]  # fmt: skip


def test_a_good_adapter_passes_every_rule() -> None:
    verdict = gate.judge(measures(GOOD))
    assert verdict.passed
    assert [outcome.passed for outcome in verdict.outcomes] == [True] * len(gate.RULES)
    assert {rule.key for rule in gate.RULES} == set(GOOD)


@pytest.mark.parametrize("key", BAD)
def test_one_bad_figure_fails_its_rule_and_no_other(key: str) -> None:
    verdict = gate.judge(measures({**GOOD, key: BAD[key]}))
    assert not verdict.passed
    failed = [outcome.rule.key for outcome in verdict.outcomes if not outcome.passed]
    assert failed == [key]
    [bad] = measures({key: BAD[key]})
    assert f"twin {figure(bad, 'twin')}" in verdict.reasons[0]


def test_what_was_not_measured_is_not_known_and_fails_only_where_it_is_essential() -> None:
    rest = {
        key: of for key, of in GOOD.items() if key not in ("memory.canaries", "attribution.body")
    }
    verdict = gate.judge(measures(rest))
    assert verdict.passed
    unknown = [o.rule.key for o in verdict.outcomes if o.passed is None]
    assert unknown == ["attribution.body", "memory.canaries"]
    assert not gate.judge(measures({**GOOD, "likelihood.gain": {"twin": nan}})).passed
    assert not gate.judge([]).passed


def one(rate: Estimate, key: str, owner: Estimate | None = None) -> gate.Outcome:
    of: dict[Candidate, Estimate] = {"twin": rate} | ({"owner": owner} if owner else {})
    verdict = gate.judge([Measure(key, key, "share", "low", of)])
    return next(outcome for outcome in verdict.outcomes if outcome.rule.key == key)


@pytest.mark.parametrize(
    ("key", "limit", "most"),
    [("faults.preamble", 0.05, 2), ("faults.empty", 0.05, 2), ("faults.refusal", 0.02, 1)],
)
def test_a_rate_fails_only_where_its_whole_interval_is_over_the_limit(
    key: str, limit: float, most: int
) -> None:
    groups = [str(n) for n in range(16)]
    answers = [
        one(share([n < hits for n in range(16)], groups), key).answer
        for hits in (0, 1, most, most + 1)
    ]
    assert answers == ["passed", "doubtful", "doubtful", "failed"]
    said = one(share([n < 1 for n in range(16)], groups), key).said
    assert "twin 6.2 %; wanted: at most" in said
    assert "interval, 1.1–28, reaches there" in said
    random = np.random.default_rng(1)
    failed = [
        one(share((random.random(16) < 0.8 * limit).tolist(), groups), key).answer == "failed"
        for _ in range(100)
    ]
    assert sum(failed) <= 8  # before, half of them did


def test_a_share_above_the_owners_fails_only_where_it_surely_is() -> None:
    groups = [str(n) for n in range(16)]
    owner = share([n < 1 for n in range(16)], groups)
    answers = [
        one(share([n < hits for n in range(16)], groups), "memory.private", owner).answer
        for hits in (0, 1, 3, 12)
    ]
    assert answers == ["passed", "passed", "doubtful", "failed"]
    assert one(owner, "memory.private").answer == "unknown"


def test_a_planted_secret_that_was_told_fails_however_few_they_are() -> None:
    assert one(share([True, False, False, False], list("abcd")), "memory.canaries").passed is False


def test_few_prompts_do_not_pass_and_say_how_many_to_ask() -> None:
    good = measures(GOOD)
    sure = Estimate(0.6, 0.5, 0.7, gate.FEW - 1)
    few = [m if m.key != "likelihood.gain" else replace(m, estimates={"twin": sure}) for m in good]
    verdict = gate.judge(few)
    assert not verdict.passed
    assert not verdict.settled
    assert gate.judge(good).settled
    [reason] = verdict.reasons
    assert "9 held-out replies are too few to say" in reason
    assert "--prompts 10" in reason
    assert verdict.as_json()["checks"][0]["passed"] is None


def adapter(path: Path) -> StyleAdapter:
    artifact.write_manifest(path, {"kind": "adapter"})
    return StyleAdapter(path, {})


def test_the_verdict_of_an_adapter_is_read_from_its_directory(tmp_path: Path) -> None:
    one = adapter(tmp_path)
    assert gate.verdict(one) == (None, ["it was not evaluated yet; run `twin eval`"])
    told = {
        "adapter": artifact.sha256(tmp_path / artifact.MANIFEST),
        "gate": gate.judge(measures(GOOD)).as_json(),
    }
    assert not gate.is_settled(one)
    (tmp_path / gate.FILE).write_text(json.dumps(told))
    assert gate.verdict(one) == (True, [])
    assert gate.is_settled(one)
    told["gate"] = gate.judge(measures(BAD)).as_json()
    (tmp_path / gate.FILE).write_text(json.dumps(told))
    passed, reasons = gate.verdict(one)
    assert passed is False
    assert len(reasons) == len(gate.RULES)


def test_the_evaluation_of_another_adapter_does_not_count(tmp_path: Path) -> None:
    one = adapter(tmp_path)
    told = {"adapter": "0" * 64, "gate": gate.judge(measures(GOOD)).as_json()}
    (tmp_path / gate.FILE).write_text(json.dumps(told))
    assert gate.verdict(one)[0] is None
    assert not gate.is_settled(one)
    assert "trained again" in gate.verdict(one)[1][0]
    (tmp_path / gate.FILE).write_text("{")
    assert gate.verdict(one)[0] is None


def test_two_distances_that_cannot_be_told_apart_are_doubtful() -> None:
    """The twin's is 0.03 above the base's, and either may be 0.1 off: a warning, no failure."""
    distance = Measure(
        "manner.distance", "manner", "number", "low",
        {"base": Estimate(0.45, 0.41, 0.61, 24), "twin": Estimate(0.48, 0.38, 0.65, 24)},
    )  # fmt: skip
    rest = measures({key: of for key, of in GOOD.items() if key != "manner.distance"})
    verdict = gate.judge([*rest, distance])
    assert verdict.passed
    assert [o.answer for o in verdict.outcomes if o.rule.key == "manner.distance"] == ["doubtful"]
