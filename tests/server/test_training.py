"""Trainings and adapters over HTTP: a real one on the smallest real base, and what is refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from aitwin import artifact
from aitwin.corpus import dataset
from aitwin.corpus.pairs import Pair
from aitwin.home import Home, Settings
from aitwin.prompt import Persona
from aitwin.server import training
from aitwin.server.training import TrainingStart

CANARY = "zuccanary"
SMALL = "smollm2-135m-instruct"
METRICS = {
    "minutes": None, "steps": 30, "planned_steps": 30, "finished": True, "best_step": 24,
    "seconds": 61.5, "tokens_per_second": 120.5, "device": "cpu", "bits": 32, "peak_memory": 9**9,
    "served_log_probability_base": -2.9, "served_log_probability_twin": -2.1, "test_examples": 9,
    "test_loss_before": 2.9, "test_loss_after": 2.2, "too_long": 1, "training_examples": 80,
    "test_perplexity_before": 18.2, "test_perplexity_after": 9.0,
}  # fmt: skip
HISTORY = [
    {"step": 0, "validation": 2.9, "seconds": 1.0},
    {"step": 24, "validation": 2.2, "training": 2.0, "seconds": 1.0},
]


@pytest.fixture
def place(home):
    """A home with an owner and a dataset."""
    place = Home(home).open()
    place.write_settings(Settings("Thota", ("t@x.example",), base=SMALL))
    pairs = [
        Pair(
            id=f"{n:016x}",
            thread=f"t{n}",
            channel="mail",
            sent_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n),
            instruction="Answer this mail from Ana.",
            incoming=f"What about {n}?",
            reply=f"No. Bring {n} buckets, {'ab' * (n % 7)} {n}.",
        )
        for n in range(12)
    ]
    dataset.build(pairs, Persona("Thota"), place.datasets / "main")
    return place


@pytest.fixture
def shelved(place, smollm2):
    """With the smallest real base on the shelf."""
    shelf = place.models / SMALL
    shelf.mkdir(parents=True)
    (shelf / "model.gguf").symlink_to(smollm2)
    told = {"sha256": artifact.sha256(smollm2), "bytes": smollm2.stat().st_size}
    artifact.write_manifest(shelf, told)
    return place


def adapter(place, name="main", *, evaluated=None, digest=None, **metrics):
    """An adapter as a training leaves it, but for its weights."""
    path = place.adapters / name
    rows = dataset.load(place.datasets / "main").digest
    with artifact.building(path) as scratch:
        lines = "".join(json.dumps(entry) + "\n" for entry in HISTORY)
        artifact.write_private(scratch / "training.jsonl", lines)
        artifact.write_manifest(
            scratch,
            {
                "kind": "adapter",
                "base": {"name": SMALL, "sha256": "f" * 64},
                "dataset": digest or rows,
                "recipe": {"rank": 8},
                "trainer": "torch",
                "canaries": 0,
                "files": {"training.jsonl": artifact.sha256(scratch / "training.jsonl")},
                "metrics": {**METRICS, **metrics},
                "versions": {"torch": "2"},
            },
        )
    if evaluated is not None:
        passed, settled = evaluated
        figure = {"value": 0.5, "low": None, "high": None, "count": 9}
        told = {
            "kind": "evaluation", "format": 1, "adapter": artifact.sha256(path / "manifest.json"),
            "base": SMALL, "dataset": rows, "made": "2026-11-29T12:00:00+00:00",
            "counts": {"answered": 9}, "plan": {"prompts": 9}, "warnings": ["few prompts"],
            "gate": {"passed": passed, "settled": settled, "reasons": [], "checks": []},
            "measures": {"attribution.body": {"twin": figure, "base": figure}},
        }  # fmt: skip
        (path / "evaluation.json").write_text(json.dumps(told))
        (path / "evaluation.html").write_text("<!doctype html><p>The page.")
    return path


def events(http, job_id):
    with http.stream("GET", f"/jobs/{job_id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


def kind_of(answer):
    assert CANARY not in answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


@pytest.mark.model
def test_a_training_is_started_watched_and_stopped(shelved, http, monkeypatch):
    """M1, M5: the real command on the real small base, up to its first step.

    What becomes of one that goes on is in tests/style/test_train.py, and of its lines in test_jobs.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    wanted = {"sequence_length": 128, "minutes": 0.1}
    job = http.post("/trainings", json=wanted).json()
    assert (job["kind"], job["name"], job["can_cancel"]) == ("training", "main", True)
    assert kind_of(http.post("/trainings", json={"name": "other"})) == (409, "busy-training")
    assert kind_of(http.post("/trainings/plan", json={})) == (409, "busy-training")
    end, stopped = {}, False
    for end in events(http, job["id"]):
        if end["plan"] and not stopped:
            stopped = http.post(f"/jobs/{job['id']}/cancel").json()["state"] == "cancelling"
    assert stopped
    assert end["plan"]["pairs"] == 8, end
    assert end["plan"]["memory"] < end["plan"]["available"]
    assert (end["state"], end["can_resume"], end["problem"]) == ("cancelled", True, None)
    assert http.get("/adapters").json() == {"adapters": [], "stopped": [], "problems": []}


def test_a_stopped_run_is_gone_on_with_or_begun_anew_and_never_by_accident(shelved, parts, http):
    checkpoint = shelved.adapters / ".main.run" / "checkpoint"
    checkpoint.mkdir(parents=True)
    artifact.write_manifest(checkpoint, {"kind": "checkpoint"})
    assert kind_of(http.post("/trainings", json={})) == (409, "stopped-run-waits")
    for how in ("resume", "restart"):
        job = http.post("/trainings", json={how: True}).json()
        assert parts.jobs.get(job["id"]).arguments[-1] == f"--{how}"
        for _ in range(3):  # at once
            http.post(f"/jobs/{job['id']}/cancel")
        assert [event["state"] for event in events(http, job["id"])][-1] == "cancelled"
    # What goes on as a job goes on as a run, too, and begins nothing anew.
    http.post(f"/jobs/{job['id']}/resume")
    assert parts.jobs.get(job["id"]).arguments[-1] == "--resume"
    assert "--restart" not in parts.jobs.get(job["id"]).arguments


def test_adapters_are_told_newest_first_with_what_they_are_compared_by(place, http):
    """C6."""
    adapter(place, "older", digest="a" * 64, test_loss_after=2.5)
    adapter(place, "main", evaluated=(False, True))
    (place.adapters / "broken").mkdir()
    (place.adapters / "broken" / "manifest.json").write_text("{")
    told = http.get("/adapters").json()
    newest, older = told["adapters"]
    assert (newest["name"], newest["current"], newest["verdict"]) == ("main", True, "failed")
    assert (newest["dataset_name"], older["dataset_name"]) == ("main", None)
    assert (older["current"], older["verdict"], older["test_loss_after"]) == (False, "none", 2.5)
    assert len(told["problems"]) == 1
    detail = http.get("/adapters/main").json()
    assert {key: detail[key] for key in newest} == newest
    assert [point["validation"] for point in detail["history"]] == [2.9, 2.2]
    assert {key: detail[key] for key in METRICS} == METRICS
    assert http.get("/datasets").json()["datasets"][0]["adapters"] == ["main"]


def test_a_stopped_run_without_an_adapter_is_told(place, http):
    checkpoint = place.adapters / ".first.run" / "checkpoint"
    checkpoint.mkdir(parents=True)
    artifact.write_manifest(checkpoint, {"kind": "checkpoint"})
    assert http.get("/adapters").json()["stopped"] == [{"name": "first"}]


@pytest.mark.parametrize(
    ("evaluated", "verdict"),
    [((True, True), "passed"), ((False, True), "failed"), ((False, False), "unsettled")],
)
def test_an_evaluation_is_told_in_figures_and_as_a_page(place, http, evaluated, verdict):
    """C6, W3."""
    path = adapter(place, evaluated=evaluated)
    told = http.get("/adapters/main/evaluation").json()
    assert told["gate"]["passed"] == evaluated[0]
    assert told["measures"]["attribution.body"]["twin"]["value"] == 0.5
    assert (told["adapter"], told["stale"]) == ("main", False)
    assert http.get("/adapters/main").json()["verdict"] == verdict
    page = http.get("/adapters/main/evaluation/page")
    assert page.text == "<!doctype html><p>The page."
    assert "sandbox" in page.headers["content-security-policy"]
    # Trained anew since: the figures are of another one.
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert http.get("/adapters/main/evaluation").json()["stale"]
    assert http.get("/adapters/main").json()["verdict"] == "none"


def test_an_adapter_that_was_never_examined_says_so(place, http):
    adapter(place)
    for path in ("/adapters/main/evaluation", "/adapters/main/evaluation/page"):
        assert kind_of(http.get(path)) == (404, "no-evaluation")


def test_an_unknown_adapter_is_a_problem(place, http):
    for name in ("other", "%2e%2e", ".main.run", "a%2fb", "%00", CANARY):
        for rest in ("", "/evaluation", "/evaluation/page"):
            assert http.get(f"/adapters/{name}{rest}").status_code == 404, (name, rest)
        assert http.post(f"/adapters/{name}/evaluation", json={}).status_code == 404


def test_an_evaluation_wants_the_dataset_of_its_adapter(place, http):
    adapter(place, digest="a" * 64)
    answer = http.post("/adapters/main/evaluation", json={})
    assert kind_of(answer) == (404, "unknown-dataset")
    assert "train again" in answer.json()["detail"]
    assert http.get("/jobs").json()["jobs"] == []


def test_an_evaluation_is_a_job(place, http, parts):
    adapter(place)
    job = http.post("/adapters/main/evaluation", json={"prompts": 3}).json()
    assert (job["kind"], job["name"]) == ("evaluation", "main")
    command = parts.jobs.get(job["id"]).arguments
    assert command == ("eval", "--adapter", "main", "--dataset", "main", "--prompts", "3")
    http.post(f"/jobs/{job['id']}/cancel")


def test_a_training_that_could_only_fail_is_refused_at_once(place, http):
    """M2-M5: bounds; the base is on the shelf, the dataset is there."""
    refused = [
        ({"dataset": "other"}, (404, "unknown-dataset")),
        ({"dataset": "../main"}, (422, "invalid-request")),
        ({"name": "../../x"}, (422, "invalid-request")),
        ({"name": "-x"}, (422, "invalid-request")),
        ({"rank": 64}, (422, "invalid-request")),
        ({"minutes": 0}, (422, "invalid-request")),
        ({"minutes": "NaN"}, (422, "invalid-request")),
        ({"ranks": 8}, (422, "invalid-request")),
        ({}, (409, "model-not-pulled")),
    ]
    for path in ("/trainings", "/trainings/plan"):
        for body, kind in refused:
            assert kind_of(http.post(path, json=body)) == kind, body
    place.write_settings(Settings("Thota", ("t@x.example",), base="/nowhere/model.gguf"))
    doubled = {"targets": ["q_proj", "q_proj"]}
    assert kind_of(http.post("/trainings", json=doubled)) == (422, "cannot")
    assert http.get("/jobs").json()["jobs"] == []


def test_nobody_trains_before_the_twin_is_set_up(http):
    assert kind_of(http.post("/trainings", json={})) == (409, "not-set-up")


def test_every_wish_reaches_the_command():
    """Each field of the request is an option of `twin train`, with the value that was sent."""
    import click
    from typer.main import get_command

    from aitwin.cli import app

    wanted = TrainingStart(
        dataset="d", name="n", base="b", rank=4, alpha=8, targets=["v_proj", "k_proj"],
        dropout=0.1, learning_rate=1e-4, batch=8, accumulation=5, epochs=1, steps=301,
        sequence_length=256, minutes=1.5, trainer="torch", bits=16, canaries=2,
    )  # fmt: skip
    command = get_command(app).commands["train"]
    context = click.Context(command)
    command.parse_args(context, training.arguments(wanted)[1:])
    told = {**context.params, "targets": context.params["target"]}
    sent = wanted.model_dump(exclude={"resume", "restart"})
    assert {key: told[key] for key in sent} == sent
