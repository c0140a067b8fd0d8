"""The API's description: current, and complete enough to make a client of."""

import json
import subprocess
import sys

import pytest

from aitwin.server import openapi
from aitwin.server.problems import KINDS, PREFIX
from aitwin.server.scopes import MARK

DOCUMENT = json.loads(openapi.FILE.read_text())
OPERATIONS = [
    (path, method, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method in openapi.METHODS
]
named = pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS]
)
USED = {
    "listModels", "getModel", "writeChat", "listEngines", "listSpeakingVoices", "speak",
    "speakLike", "say", "listShelf", "listVoices",
}  # fmt: skip
"""What a token may do that is no owner's: write, speak, say, and see what there is for it."""


def test_the_file_is_what_the_application_says(home):
    """Otherwise: `python -m aitwin.server.openapi`. And nothing is made of it in the home."""
    assert openapi.FILE.read_text() == openapi.text()
    assert not home.exists()


def test_it_is_the_same_whatever_the_environment_is():
    """The order of sets is another in every process."""
    done = subprocess.run(
        [sys.executable, "-c", "from aitwin.server import openapi; print(openapi.text(), end='')"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == openapi.FILE.read_text()


@named
def test_every_operation_is_named_told_and_bounded(path, method, operation):
    assert operation["operationId"].isidentifier()
    assert "_" not in operation["operationId"]
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in openapi.TAGS
    assert operation["description"].strip()
    assert operation[MARK] in ("use", "owner")
    assert {"500"} < set(operation["responses"])
    if path != "/health":
        assert {"401", "403"} < set(operation["responses"])
        assert operation["security"] == [{"credential": []}]


@named
def test_every_answer_has_a_type(path, method, operation):
    for status, answer in operation["responses"].items():
        if status in ("204", "304", "416"):  # Starlette answers 416 to a bad Range, without a body
            continue
        assert answer["description"]
        assert answer["content"], status
        for kind, content in answer["content"].items():
            if status.startswith("2"):
                assert content["schema"], (status, kind)
            else:
                assert kind == "application/problem+json", status
                for example in content["examples"].values():
                    told = example["value"]
                    assert told["type"].removeprefix(PREFIX) in KINDS


def test_ids_are_one_each_and_every_reference_leads_somewhere():
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    text = openapi.FILE.read_text()
    shapes = DOCUMENT["components"]["schemas"]
    wanted = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert wanted <= set(shapes)
    assert "HTTPValidationError" not in text


def test_a_plain_token_may_use_and_nothing_more():
    """O3: a new route is the owner's until somebody adds it here, too."""
    assert {one["operationId"] for *_, one in OPERATIONS if one[MARK] == "use"} == USED
