"""What `twin doctor` finds, over HTTP: the command itself is run (P1, P4, O3)."""

import subprocess

import pytest

from aitwin.server import examination
from aitwin.server.examination import Examination


def test_the_checks_of_doctor_are_told_with_what_mends_them(parts, http):
    answer = http.get("/doctor", timeout=90)
    assert answer.status_code == 200
    found = {one["what"]: one for one in answer.json()["findings"]}
    assert found["Python"]["state"] == "ok"
    assert found["settings"]["state"] == "warn"
    assert found["settings"]["remedy"] == "twin init"
    assert str(parts.home.root) in found["settings"]["evidence"]


def test_something_that_is_bad_is_an_answer_too(parts, http):
    parts.home.open()
    parts.home.settings_file.write_text("[owner]\nname = 7\n")
    answer = http.get("/doctor", timeout=90)
    assert answer.status_code == 200
    assert "bad" in {one["state"] for one in answer.json()["findings"]}


@pytest.mark.parametrize("printed", ["", "Traceback", "{}", "[]", '[{"what": "x"}]'])
def test_checks_that_tell_nothing_are_a_problem_without_their_words(
    parts, http, monkeypatch, printed
):
    def run(command, **how):
        return subprocess.CompletedProcess(command, 1, printed, "zuccanary")

    monkeypatch.setattr(examination.subprocess, "run", run)
    answer = http.get("/doctor")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:aitwin:problem:cannot")
    assert "zuccanary" not in answer.text


def test_fields_that_doctor_may_have_besides_are_passed_over():
    row = {"what": "x", "state": "ok", "evidence": "y", "fix": [], "requirements": ["P4"]}
    assert Examination.model_validate({"findings": [row]}).findings[0].remedy == ""
