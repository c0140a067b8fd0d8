"""The bill of materials: complete, pinned, and under licences that the twin can be given away with.

The document as a whole was checked against CycloneDX's own schema 1.6, strictly, on 2026-11-29.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aitwin import models
from supply import bom

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def document() -> dict:
    return bom.bill()


@pytest.fixture(scope="module")
def packages(document) -> dict[str, dict]:
    return {
        one["name"]: one for one in document["components"] if one["bom-ref"].startswith("pkg:pypi")
    }


def test_the_same_installation_gives_the_same_bill(document):
    assert bom.bill() == document
    assert document["specVersion"] == "1.6"
    references = [one["bom-ref"] for one in document["components"]]
    assert len(references) == len(set(references))


def test_it_holds_what_an_owner_gets_and_no_tool_of_the_tests(packages):
    assert {"torch", "fastapi", "deno", "pyrage", "xllamacpp", "starlette"} <= set(packages)
    assert not {"pytest", "mypy", "ruff", "hypothesis", "import-linter"} & set(packages)


def test_every_package_is_pinned_to_the_version_that_was_tested(packages):
    """A version that nobody tried comes in by a change that somebody reads."""
    pinned = {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in re.findall(
            r"^([\w.-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE
        )
    }
    loose = sorted(set(packages) - set(pinned))
    assert loose == []
    other = {
        name: (one["version"], pinned[name])
        for name, one in packages.items()
        if one["version"].partition("+")[0] != pinned[name]
    }
    assert other == {}


def test_every_licence_is_known_and_lets_the_twin_be_given_away(packages):
    def told(one: dict) -> str:
        return " ".join(
            part.get("expression") or part["license"]["name"] for part in one["licenses"]
        )

    # pyrage states none in its metadata; its LICENSE file is MIT's.
    unknown = sorted(name for name, one in packages.items() if not told(one))
    assert unknown == ["pyrage"]
    strong = re.compile(r"\b(?:A?GPL|SSPL|BUSL|CC-BY-NC|Proprietary)", re.IGNORECASE)
    assert [name for name, one in packages.items() if strong.search(told(one))] == []
    # A library of its own beside ours, which can be replaced.
    weak = [name for name, one in packages.items() if "LGPL" in told(one)]
    assert weak == ["soxr"]


def test_the_page_is_made_of_what_the_lock_pins_by_digest(document):
    npm = [one for one in document["components"] if one["bom-ref"].startswith("pkg:npm")]
    assert len(npm) > 50
    digests = [one["hashes"][0] for one in npm]
    assert all(one["alg"] == "SHA-512" and len(one["content"]) == 128 for one in digests)
    if bom.BUNDLED.is_file():
        assert "svelte" in {one["name"] for one in npm if one["scope"] == "required"}
    assert "typescript" in {one["name"] for one in npm if one["scope"] == "excluded"}


def test_every_model_is_listed_with_its_licence(document):
    listed = {one["name"]: one for one in document["components"] if "model:" in one["bom-ref"]}
    assert set(listed) == {model.name for model in models.CATALOGUE}
    assert all(one["licenses"][0]["license"]["name"] for one in listed.values())


def test_it_is_written_to_a_file(tmp_path):
    target = tmp_path / "dist" / "aitwin.cdx.json"
    subprocess.run(
        [sys.executable, "-m", "supply.bom", target], cwd=REPOSITORY, check=True, timeout=60
    )
    assert json.loads(target.read_text())["bomFormat"] == "CycloneDX"
