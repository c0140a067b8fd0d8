"""Schemathesis over the whole API, as gateway/openapi.json describes it (bad input, O3).

What is asked is made of the document: right and wrong. Every answer has to be one that the document
promises, in its form, and none a bug. Few examples here; a long run has TWIN_FUZZ_EXAMPLES=100.
"""

import itertools
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import hypothesis
import numpy as np
import pytest
import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from aitwin.home import Home, Settings
from aitwin.prompt import Persona
from aitwin.server import app as application
from aitwin.server import openapi
from aitwin.server.desk import Desk
from aitwin.server.runner import Jobs
from aitwin.style.writer import Writer
from aitwin.voice.audio import Utterance
from aitwin.voice.engines import Bundled
from tests.server.served import HEADERS, parts_of, served

EXAMPLES = int(os.environ.get("TWIN_FUZZ_EXAMPLES", "2"))
"""For each route, right and wrong."""
LEFT_OUT = {
    # Never ends by itself: see test_jobs.
    "watchJob",
}
THERE = {"voice_id": "ana"}
"""What is there, for every second request: what is made up is found nowhere."""
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


class Brief:
    """An engine that writes a line: what is tried is the API, thousands of times, not a model."""

    def stream(self, messages, sampling, *, adapted=True):
        yield from ("", "No sugar, ", "thanks.")


def tone(self, sentence, *, speed=1.0, seed=0):
    """In the place of the bundled voice, for the same reason."""
    return Utterance(0.3 * np.sin(np.arange(2205) * 0.1).astype(np.float32), 22_050, sentence)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    place = tmp_path_factory.mktemp("fuzzed") / "home"
    home = Home(place)
    home.write_settings(Settings("Thota"))
    parts = parts_of(place, desk=Desk.with_(Writer(Brief(), Persona("Thota"))))
    # A job that is accepted does nothing: paths are made up, and "/" is one.
    parts = replace(parts, jobs=Jobs(home, command=(sys.executable, "-c", "")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bundled, "speak", tone)
        with served(application.create(parts)) as address:
            answer = httpx.post(f"{address}/voices", json={"name": "Ana"}, headers=HEADERS)
            assert answer.json()["id"] == THERE["voice_id"]
            yield address


def described():
    """The document, with what is left out of it."""
    schema = schemathesis.openapi.from_dict(json.loads(Path(openapi.FILE).read_text()))
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return schema.exclude(operation_id=sorted(LEFT_OUT))


schema = described()
turns = itertools.cycle((True, False))


@schema.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and next(turns):
        return {name: THERE.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="TWIN_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_every_answer_is_one_that_the_document_promises(case, address):
    answer = case.call(base_url=address, headers=HEADERS, timeout=180)
    case.validate_response(answer, checks=CHECKS.get_by_names(CHECKED))
