"""Refusals: one shape, by their kinds, without a word of what was sent (RFC 9457)."""

import ast
import errno
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.testclient import TestClient

from aitwin.errors import TwinError
from aitwin.server import problems
from aitwin.server.problems import KINDS, Fault, Problem
from aitwin.style.engine import LoadError, TooLongError

CANARY = "zuccanary"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_document_that_says_what_to_do(kind):
    document = Problem(kind).document()
    assert document["type"] == f"urn:aitwin:problem:{kind}"
    assert document["status"] == KINDS[kind].status >= 400
    assert document["error"]["code"] == kind
    assert document["error"]["message"] == document["detail"]
    assert document["title"][0].isupper()
    assert not document["title"].endswith(".")
    problems.ProblemDocument.model_validate(document)


def test_one_route_may_mean_another_status():
    """As /access/check does: what it asks about is not there, and it may ask."""
    assert Problem("unknown-caller", status=404).answer().status_code == 404


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TwinError("the model is gone; pull it"), "cannot"),
        (TooLongError(5000, 4096), "prompt-too-long"),
        (MemoryError(), "out-of-memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out-of-memory",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out-of-memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full"),
        (ModuleNotFoundError("No module named 'soundfile'", name="soundfile"), "not-installed"),
        (ValueError(CANARY), "bug"),
        (RuntimeError(CANARY), "bug"),
        (OSError(errno.EACCES, CANARY), "bug"),
        (Problem("busy"), "busy"),
    ],
)
def test_what_went_wrong_is_told_by_its_kind(error, kind):
    told = problems.of(error)
    assert told.kind == kind
    assert CANARY not in str(told.document())


def test_a_model_that_is_larger_than_the_memory_is_told_as_such(tmp_path):
    base = tmp_path / "model.gguf"
    base.write_bytes(b"GGUF")
    assert problems.of(LoadError(base)).kind == "cannot"
    with base.open("r+b") as file:
        file.truncate(1 << 42)  # a hole: it takes no room
    assert problems.of(LoadError(base)).kind == "out-of-memory"


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int
    names: list[str] = []


@pytest.fixture
def http():
    app = FastAPI()
    problems.explain(app)

    @app.post("/things")
    async def things(wanted: Wanted, limit: int = 3) -> None:
        if wanted.count == 1:
            raise MemoryError(CANARY)
        if wanted.count == 2:
            raise Problem("busy", headers={"Retry-After": "4"})

    with TestClient(app) as client:
        yield client


def test_every_field_that_is_wrong_is_named_and_none_is_repeated(http):
    body = {"count": CANARY, "names": ["a", 7], CANARY: 1}
    answer = http.post("/things", params={"limit": CANARY}, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {one["pointer"] for one in answer.json()["errors"]} == {
        "#/count", "#/names/1", "#/…", "?limit",
    }  # fmt: skip
    assert CANARY not in answer.text


def test_of_very_many_wrong_fields_twenty_are_named(http):
    answer = http.post("/things", json={"count": 3, "names": [7] * 5000})
    assert answer.status_code == 422
    told = answer.json()
    assert len(told["errors"]) == problems.MOST_FAULTS
    assert told["detail"].endswith(f"; and {5000 - problems.MOST_FAULTS} more")
    assert len(answer.content) < 64 * 1024  # as much as the gateway passes on


def test_every_kind_is_raised_somewhere():
    """Else it only fills the documentation, in which callers look for what may happen."""
    raised = set()
    for file in Path(problems.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        for statement in tree.body:
            # Tables of what a route may answer, and the kinds themselves.
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple):
                continue
            if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "KINDS":
                continue
            raised |= _strings(statement)
    assert set(KINDS) - raised == set()


def _strings(node: ast.AST) -> set[str]:
    """All that are written in it, but in what `told` says of a route."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "told":
        return set()
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    return set().union(*map(_strings, ast.iter_child_nodes(node)))


def test_memory_method_and_path_have_their_kinds(http):
    answer = http.post("/things", json={"count": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "out-of-memory")
    assert CANARY not in answer.text
    assert http.post("/things", json={"count": 2}).headers["retry-after"] == "4"
    answer = http.get("/things")
    assert (answer.json()["error"]["code"], answer.headers["allow"]) == ("wrong-method", "POST")
    assert http.get("/nothing").json()["error"]["code"] == "not-found"


def test_what_a_route_may_answer_is_told_with_an_example_of_each():
    told = problems.told("busy", "no-adapter", "exists")
    assert set(told) == {429, 409}
    examples = told[409]["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"no-adapter", "exists"}
    assert "Retry-After" in told[429]["headers"]


def test_a_fault_says_where():
    document = Problem("invalid-request", errors=[Fault("#/a", "is wrong")]).document()
    assert document["errors"] == [{"pointer": "#/a", "detail": "is wrong"}]
